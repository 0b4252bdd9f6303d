//! The log server: one process that serves the log files its configuration names.
//!
//! Pure but for the shell: [`config`] and [`glob`] say what may be served to whom, [`find`] which
//! file answers a request, [`send`] how it is sent, in classic and in version 2; [`session`] is one
//! client's machine.

pub mod config;
pub(crate) mod find;
pub mod glob;
pub(crate) mod send;
pub(crate) mod session;
pub(crate) mod shell;
