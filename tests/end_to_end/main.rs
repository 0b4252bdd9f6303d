//! A real log server and a real collector: what the box writes is what the log host holds, byte for byte and
//! generation by generation, whatever happens to either of them on the way.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../common/mod.rs"]
mod common;

mod classic;
mod v2;
