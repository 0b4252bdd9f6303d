//! A real log server and a real collector: what the box writes is what the log host holds, byte for byte and
//! generation by generation, whatever happens to either of them on the way.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

#[path = "pair/away.rs"]
mod away;
#[path = "pair/idle.rs"]
mod idle;
#[path = "pair/kills.rs"]
mod kills;
#[path = "pair/rotation.rs"]
mod rotation;
#[path = "pair/stream.rs"]
mod stream;
