//! The collector: one process that follows the logs of all its sources.
//!
//! Pure but for the shell: [`config`] says what to fetch, [`copy`] is a source's local files in
//! every state that a crash may leave them in, [`archive`] what the box has compressed,
//! [`finished`] what is done about copies that are complete, [`source`] one source's machine,
//! [`verify`] the comparison of the copies with the servers' files on demand, [`family`] which
//! logs a box has, [`probe`] a question to a server on demand, [`view`] what those who look are
//! shown, [`event`], [`error`] and [`status`] what an operator gets to see.

pub(crate) mod archive;
mod asking;
mod blocks;
pub(crate) mod config;
pub mod copy;
pub(crate) mod error;
pub(crate) mod event;
pub(crate) mod family;
pub(crate) mod finished;
pub(crate) mod hooks;
pub(crate) mod probe;
pub(crate) mod shell;
pub(crate) mod source;
pub(crate) mod status;
pub(crate) mod verify;
pub(crate) mod view;
