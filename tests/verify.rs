//! `fetch_logs verify` with the real programs: a server, copies made by hand or by a running collector, and what is
//! said of them.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

#[path = "verify/cases.rs"]
mod cases;
#[path = "verify/place.rs"]
mod place;
#[path = "verify/running.rs"]
mod running;
#[path = "verify/servers.rs"]
mod servers;
#[path = "verify/usage.rs"]
mod usage;
