//! Version 2 with the real log server and the real collector: nothing lost, nothing twice, and proof of it, whatever
//! is done to the log, to the two programs and to the connection between them.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../common/mod.rs"]
mod common;

mod breaks;
mod classic;
mod copies;
mod heal;
mod identity;
mod large;
mod liar;
mod outage;
mod scripted;
mod unverified;
mod writers;
