//! What an operator sees of the sources: one record for each, and the faces that are made of it
//! when somebody looks. Pure, and nothing here costs a source anything that nobody looks at.
//!
//! - [`record`]: what a source does not remember itself.
//! - [`faces`]: the table, JSON, metrics and the page, in parts that fit into a turn.
//! - [`events`]: what happens, as JSON.
//! - [`summary`]: all of them in one line.
//! - [`lines`], [`screen`]: what `fetch_logs status` prints, and what it shows with `-w`.
//! - [`http`], [`exchange`]: the requests of the control socket, and one connection of it.

pub mod amount;
pub mod events;
pub mod exchange;
pub mod faces;
pub mod http;
pub mod json;
pub mod lines;
mod metrics;
#[cfg(feature = "page")]
pub mod page;
pub mod record;
pub mod screen;
pub mod summary;
