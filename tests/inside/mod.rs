//! The worlds in which the library's own machines are tried, compiled into it for its tests:
//! nothing here has a process, a socket or a clock of its own.
//!
//! - [`fake`]: a file system in memory, one handle for both sides.
//! - [`model`]: a file system that knows what a power cut takes away.
//! - [`fair`]: what one machine may cost all others.
//! - [`fuzz`]: what a fuzzer hands its bytes to, and the inputs that are kept.
//! - [`gzip`]: what a rotator makes of a rotated file.
//! - [`search`]: a question put until there is an answer.
//! - [`pair`]: one server and one collector under one virtual clock.
//! - [`explore`]: the collector over the model, every crash at every point.
//! - [`sim`]: many boxes and one log host in seeded chaos.

// These are tests, too, when a fuzzer runs them.
#![allow(clippy::unwrap_used, clippy::expect_used)]
// A fuzzer needs a part of it.
#![cfg_attr(not(test), allow(dead_code, unused_imports))]

pub mod fair;
pub mod fake;
pub mod fuzz;
pub mod model;

#[cfg(test)]
pub mod gzip;
#[cfg(test)]
pub mod search;

#[cfg(test)]
mod explore;
#[cfg(test)]
mod pair;
#[cfg(test)]
mod sim;
