//! The rotators in the field: each with its own names and its own order of calls, logrotate itself and the others
//! played call by call. What the box kept arrives in order and once, whether the collector looks on or is away.
//!
//! Each stands the test in version 2 and in classic. What classic cannot do is asked of version 2 alone:
//! - copytruncate while the collector is away: what was written between the last line it saw and the truncation is
//!   only in the copy `m.1`, which nothing in classic ties to the generation that the collector holds.
//! - a file system that gives an inode number out again at once, and a log that gets the number which the collector
//!   holds: in classic it is taken for the same generation, or for the same one truncated.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../common/mod.rs"]
mod common;

#[cfg(feature = "gz")]
mod compressed;
mod logrotate;
mod played;
mod writer;
