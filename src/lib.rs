//! Exact, live copies of the log files of many small boxes.
//!
//! The modules in reading order, each standing only on those before it:
//!
//! - [`limits`], [`time`], [`ids`]: every capacity and period; the two clocks as types; file
//!   identities.
//! - [`mutation`], [`random`], [`backoff`], [`sorting`]: faults that tests plant; numbers that are
//!   spread; the wait between two tries; one routine that sorts everything.
//! - [`wire`]: bytes to values and back. Pure. Of [`sys`] it uses `cpu` alone, which makes no
//!   system call: the checksum's instructions are unsafe code, so they stand there.
//! - [`noise`]: keys, and connections that are sealed by them. Pure.
//! - [`sys`]: system calls as safe functions, the only unsafe code.
//! - [`store`]: the file system as two narrow traits, and the real one.
//! - [`report`]: what a daemon says about itself.
//! - [`reactor`]: the event loop's tools.
//! - [`serve`]: the log server: its configuration, which file answers, one peer's session (pure),
//!   and its mio shell.
//! - [`collect`]: the collector: its configuration, one source's machine and files (pure), and its
//!   mio shell.
//! - [`snmp`]: the net-snmp helper.
//! - [`demo`]: the two programs, live, on this host.
//! - [`applets`]: command lines and dispatch.
//!
//! A pure module is handed its time, its randomness and its files. So one and the same machine runs
//! under the loop, under a unit test in virtual time and under a simulator.

#![deny(unsafe_code)]
// Its readers are those who change it, and they see everything.
#![allow(rustdoc::private_intra_doc_links)]
// What only the other program needs is compiled, and not linked.
#![cfg_attr(
    not(all(feature = "gen_numbers", feature = "fetch_logs")),
    allow(dead_code)
)]

#[cfg(not(any(feature = "gen_numbers", feature = "fetch_logs")))]
compile_error!("choose a program: --features gen_numbers, fetch_logs or both");

pub mod applets;
pub(crate) mod backoff;
pub mod collect;
#[cfg(feature = "demo")]
pub(crate) mod demo;
pub mod ids;
#[cfg(any(test, fuzzing))]
#[path = "../tests/inside/mod.rs"]
mod inside;
pub mod limits;
mod mutation;
pub mod noise;
pub mod random;
pub(crate) mod reactor;
pub(crate) mod report;
pub mod serve;
pub mod snmp;
mod sorting;
pub mod store;
pub(crate) mod sys;
pub mod time;
pub mod wire;

/// For the binary, by [`entry!`].
#[doc(hidden)]
pub use sys::entry::start;

#[cfg(fuzzing)]
pub use inside::fuzz;
