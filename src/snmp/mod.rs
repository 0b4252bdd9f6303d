//! The SNMP helper: shows the collector's status files to net-snmp's agent.
//!
//! The agent (`snmpd`) starts it for a `pass_persist` line and talks to it over a pipe, one short
//! request at a time: `PING`, then `get`, `getnext` or `set` and an object identifier. The helper
//! answers from `SNMP_DIR`, where the collector keeps one small file for every log server, named
//! like its address, and a table of all sources. What it remembers of that it can read again, so
//! the agent may kill it at any moment.
//!
//! - [`oid`]: numeric object identifiers. Pure.
//! - [`instance`]: which identifiers exist below the base, and which comes next. Pure.
//! - [`locals`]: the file in which fetchlogs 1.1 has the settings. Pure.
//! - [`numbers`]: the numbers of servers and sources. Pure.
//! - [`value`]: what the agent is told of an instance. Pure.
//! - [`status`]: the status files as a narrow trait, and the value that one of them becomes. Pure.
//! - [`dialogue`]: lines in, answers out. Pure.
//! - [`shell`]: standard input and output, the real directory, and silence on standard error.

pub(crate) mod dialogue;
pub(crate) mod instance;
pub mod locals;
pub(crate) mod numbers;
pub(crate) mod oid;
pub mod shell;
pub(crate) mod status;
pub(crate) mod value;

pub use shell::{Options, run};
