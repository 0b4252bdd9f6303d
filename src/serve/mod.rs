//! The log server: one process that serves the log files its configuration names.
//!
//! Pure but for the shell: [`config`], [`allow`] and [`glob`] say what may be served to whom, [`catalog`] which file
//! answers a request, [`survey`] which files there are, [`session`] is one client's machine, [`stream`] and [`chain`]
//! its streaming halves in classic and in version 2.

pub mod allow;
pub mod catalog;
pub mod chain;
pub mod config;
pub mod digest;
pub mod follow;
pub mod glob;
pub mod job;
pub mod likeness;
pub mod memory;
pub mod order;
pub mod pace;
pub mod search;
pub mod session;
pub mod shell;
pub mod stream;
pub mod survey;
pub mod turn;
