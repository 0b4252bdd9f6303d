//! `fetch_logs verify` with the real programs: a server, copies made by hand or by a running collector, and what is
//! said of them.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../common/mod.rs"]
mod common;

mod cases;
mod place;
mod running;
mod servers;
mod usage;
