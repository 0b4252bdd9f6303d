//! The real server and the real collector with as many logs as a measurement wants.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::measure::{size, until};
pub use crate::common::memory;
use crate::common::pair::log::Log;
use crate::common::pair::{Options, Pair};

/// Logs, and copies, of one directory: more than there are in that of any box.
const LOGS_PER_DIR: usize = 100;

/// Both programs, and the directory they work in.
pub struct Stand(Pair);

impl Stand {
    /// So many empty logs, and nothing runs yet. In memory, so that no disk is measured.
    pub fn new(logs: usize) -> Stand {
        Stand::with_fields(logs, "")
    }

    /// The same, with this behind the fifth field of each source.
    pub fn with_fields(logs: usize, fields: &'static str) -> Stand {
        let names = (0..logs).map(name);
        let logs = names.map(|name| (name.clone(), format!("{name}.[0-9]")));
        Stand(Pair::prepare(Options {
            logs: logs.collect(),
            check_s: DELAY_CHECK_S,
            // The default of the server.
            grace_s: 10.0,
            statements: "$max_clients = 20000; $max_clients_per_ip = 20000;",
            retry_s: 0.2,
            fields,
            pointers_apart: true,
            in_memory: true,
            ..Options::default()
        }))
    }

    /// A log of the box.
    pub fn log(&self, n: usize) -> PathBuf {
        self.file(n).path().to_owned()
    }

    /// Its copy.
    pub fn copy(&self, n: usize) -> PathBuf {
        self.0.local(&name(n))
    }

    /// Appends to a log.
    pub fn append(&self, n: usize, bytes: &[u8]) {
        self.file(n).append(bytes);
    }

    /// Renames a log and begins it anew, as rotators do.
    pub fn rotate(&self, n: usize) {
        self.file(n).rotate();
    }

    pub fn start_server(&mut self) {
        self.0.start_server();
    }

    pub fn start_collector(&mut self) {
        self.0.start_collector();
    }

    /// Both, and waits until all logs are followed.
    pub fn start(&mut self) {
        self.start_server();
        self.start_collector();
        self.wait_until_all_is_well();
    }

    /// Waits until the status is OK; tells how long that took.
    pub fn wait_until_all_is_well(&self) -> Duration {
        until("the status OK", || self.0.status().starts_with("OK"))
    }

    /// Waits until a copy has this size; tells how long that took.
    pub fn wait_for_size(&self, n: usize, bytes: u64) -> Duration {
        let copy = self.copy(n);
        until("the copy to grow", || size(&copy) >= bytes)
    }

    pub fn stop_server(&mut self) {
        self.0.stop_server();
    }

    pub fn server_pid(&mut self) -> u32 {
        self.0.server().pid()
    }

    pub fn collector_pid(&mut self) -> u32 {
        self.0.collector().pid()
    }

    /// Where the server listens, once it was started.
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    fn file(&self, n: usize) -> Log {
        self.0.log(&name(n))
    }
}

/// The server's own `$delay_check`, in seconds.
const DELAY_CHECK_S: f64 = 5.0;

fn name(n: usize) -> String {
    format!("{}/m{n}", n / LOGS_PER_DIR)
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
