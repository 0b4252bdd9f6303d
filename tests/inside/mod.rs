//! The worlds in which the library's own machines are tried, compiled into it for its tests:
//! nothing here has a process, a socket or a clock of its own.
//!
//! - [`fake`]: a file system in memory, one handle for both sides.
//! - [`model`]: a file system that knows what a power cut takes away.
//! - [`search`]: a question put until there is an answer.
//! - [`pair`]: one server and one collector under one virtual clock.
//! - [`explore`]: the collector over the model, every crash at every point.
//! - [`sim`]: many boxes and one log host in seeded chaos.

pub mod fake;
pub mod model;
pub mod search;

mod explore;
mod pair;
mod sim;
