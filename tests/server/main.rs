//! The log server as a process, against a scripted classic client over loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../common/mod.rs"]
mod common;

mod admission;
mod answers;
mod endurance;
mod families;
mod growth;
mod keeping;
mod kinds;
mod others;
mod plans;
mod reload;
mod requests;
mod rotation;
mod series;
mod walls;
