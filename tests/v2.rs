//! Version 2 with the real log server and the real collector: nothing lost, nothing twice, and proof of it, whatever
//! is done to the log, to the two programs and to the connection between them.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

#[path = "v2/breaks.rs"]
mod breaks;
#[path = "v2/classic.rs"]
mod classic;
#[path = "v2/copies.rs"]
mod copies;
#[path = "v2/heal.rs"]
mod heal;
#[path = "v2/identity.rs"]
mod identity;
#[path = "v2/large.rs"]
mod large;
#[path = "v2/liar.rs"]
mod liar;
#[path = "v2/outage.rs"]
mod outage;
#[path = "v2/scripted.rs"]
mod scripted;
#[path = "v2/unverified.rs"]
mod unverified;
#[path = "v2/writers.rs"]
mod writers;
