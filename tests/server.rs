//! The log server as a process, against a scripted classic client over loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

#[path = "server/admission.rs"]
mod admission;
#[path = "server/answers.rs"]
mod answers;
#[path = "server/endurance.rs"]
mod endurance;
#[path = "server/growth.rs"]
mod growth;
#[path = "server/kinds.rs"]
mod kinds;
#[path = "server/reload.rs"]
mod reload;
#[path = "server/requests.rs"]
mod requests;
#[path = "server/rotation.rs"]
mod rotation;
