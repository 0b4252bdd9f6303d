//! What fetchlogs 1.1 got wrong, item by item, with the real programs. The numbers group what has one cause.
//!
//! | item | what went wrong | right in classic | right in version 2 |
//! | --- | --- | --- | --- |
//! | 1 | 0x07 in a log becomes 0xff | no | yes |
//! | 2 | rotations while the collector is away: all but the last skipped | all generations that are still there | yes |
//! | 2 | the generation that the collector holds is gone: all others skipped | if our server saw it written | always |
//! | 3 | truncated, and the offset lies behind the end: refused for ever | yes, by a server of 1.1, too | yes |
//! | 3 | truncated, and grown past the offset: joined in the middle | if our server saw it shorter | always |
//! | 3 | the inode is used again by another file | as for truncation | always |
//! | 4 | kill -9 in a rotation: a file twice, or an empty pointer | yes | yes |
//! | 5 | two rotations within a second: one copy overwritten | yes | yes |
//! | 6 | a client that resets its connection kills the server | yes | yes |
//! | 6 | first contact "rotates" nothing into an empty file | yes | yes |
//! | 6 | the SNMP helper warns on stderr | yes, see `snmp` | yes |
//! | 7 | a write error ends the source | yes | yes |
//! | 7 | an answer that arrives in pieces is not understood | yes | yes |
//! | 7 | nothing is ever made durable | yes | yes |
//! | 7 | lines written to a file just rotated are lost | not while its writer has it open and writes once in `$grace` | the same |
//!
//! What classic can do is tested in classic; `cured` has what takes version 2.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../common/mod.rs"]
mod common;

mod cured;
mod durable;
mod generations;
mod old_server;
mod robust;
mod truncated;
