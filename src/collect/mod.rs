//! The collector: one process that follows the logs of all its sources.
//!
//! Pure but for the shell: [`config`] says what to fetch, [`source`] is one source's machine, [`copy`] its local files
//! in every state that a crash may leave them in, [`status`] what the servers' status files say, [`verify`] the
//! comparison of the copies with the servers' files.

pub mod audit;
pub mod backoff;
pub mod config;
pub mod copy;
pub mod event;
pub mod framed;
pub mod pointer;
pub mod repair;
pub mod shell;
pub mod source;
pub mod status;
pub mod tail;
pub mod trouble;
pub mod verify;
