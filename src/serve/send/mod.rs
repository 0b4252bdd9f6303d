//! An open file on its way to a client. Pure.
//!
//! In reading order: [`context`] what each part is handed, and [`ending`] what it answers;
//! [`keepalive`] and [`digest`], which all need; [`at_path`] and [`follow`] what has become of the
//! file's name, and the place in it, and [`zeros`] that may not be written yet; and the three
//! replies: [`classic`], [`v2`], and [`op`] for whoever asks about a copy.

pub mod at_path;
pub mod classic;
pub mod context;
pub mod digest;
pub mod ending;
pub mod follow;
pub mod keepalive;
pub mod list;
pub mod op;
mod outbox;
pub mod v2;
mod zeros;
