//! The real server and the real collector with as many logs as a measurement wants.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::measure::{size, until};
use crate::common::FETCHLOGS;
use crate::common::process::{Process, Signal};

/// Logs, and copies, of one directory: more than there are in that of any box.
const LOGS_PER_DIR: usize = 100;

/// Both programs, and the directory they work in.
pub struct Stand {
    home: TempDir,
    port: u16,
    logs: usize,
    fields: &'static str,
    server: Option<Process>,
    collector: Option<Process>,
}

impl Stand {
    /// So many empty logs, and nothing runs yet. In memory, so that no disk is measured.
    pub fn new(logs: usize) -> Stand {
        Stand::with_fields(logs, "")
    }

    /// The same, with this behind the fifth field of each source.
    pub fn with_fields(logs: usize, fields: &'static str) -> Stand {
        let home = tempfile::tempdir_in(memory()).unwrap();
        for dir in ["remote", "local", "pointer"] {
            for n in 0..logs.div_ceil(LOGS_PER_DIR) {
                fs::create_dir_all(home.path().join(format!("{dir}/{n}"))).unwrap();
            }
        }
        let stand = Stand {
            home,
            port: free_port(),
            logs,
            fields,
            server: None,
            collector: None,
        };
        for n in 0..logs {
            File::create(stand.log(n)).unwrap();
        }
        stand
    }

    /// A log of the box.
    pub fn log(&self, n: usize) -> PathBuf {
        self.place("remote", n)
    }

    /// Its copy.
    pub fn copy(&self, n: usize) -> PathBuf {
        self.place("local", n)
    }

    /// Appends to a log.
    pub fn append(&self, n: usize, bytes: &[u8]) {
        let mut log = File::options().append(true).open(self.log(n)).unwrap();
        log.write_all(bytes).unwrap();
    }

    /// Renames a log and begins it anew, as rotators do.
    pub fn rotate(&self, n: usize) {
        let log = self.log(n);
        fs::rename(&log, log.with_extension("1")).unwrap();
        File::create(log).unwrap();
    }

    pub fn start_server(&mut self) {
        let mut text = format!(
            "$hosts_allow{{'127.0.0.1'}} = 1; $bind_addr = '127.0.0.1'; $bind_port = {};\n\
             $max_clients = 20000; $max_clients_per_ip = 20000;\n",
            self.port
        );
        for n in 0..self.logs {
            let log = self.log(n);
            text += &format!("$files{{'{0}'}} = '{0}.[0-9]';\n", log.display());
        }
        let config = self.home.path().join("server.conf");
        fs::write(&config, text).unwrap();
        let mut command = Command::new(FETCHLOGS);
        command.args(["gen_numbers", "-c"]).arg(config);
        let server = Process::start(command);
        server.stderr.wait_for("listening");
        self.server = Some(server);
    }

    pub fn start_collector(&mut self) {
        let mut text = String::new();
        for n in 0..self.logs {
            let (log, copy) = (self.log(n), self.copy(n));
            let pointer = self.place("pointer", n);
            let (log, copy, pointer) = (log.display(), copy.display(), pointer.display());
            text += &format!(
                "127.0.0.1 {} {log} {copy} {pointer} {}\n",
                self.port, self.fields
            );
        }
        let config = self.home.path().join("collector.conf");
        fs::write(&config, text).unwrap();
        let mut command = Command::new(FETCHLOGS);
        command
            .args(["fetch_logs", "-r", "0.2"])
            .arg(self.status_dir())
            .arg(config);
        self.collector = Some(Process::start(command));
    }

    /// Both, and waits until all logs are followed.
    pub fn start(&mut self) {
        self.start_server();
        self.start_collector();
        self.wait_until_all_is_well();
    }

    /// Waits until the status is OK; tells how long that took.
    pub fn wait_until_all_is_well(&self) -> Duration {
        let status = self.status_dir().join("127.0.0.1");
        until("the status OK", || {
            fs::read_to_string(&status).is_ok_and(|text| text.starts_with("OK"))
        })
    }

    /// Waits until a copy has this size; tells how long that took.
    pub fn wait_for_size(&self, n: usize, bytes: u64) -> Duration {
        let copy = self.copy(n);
        until("the copy to grow", || size(&copy) >= bytes)
    }

    pub fn stop_server(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.signal(Signal::TERM);
            server.wait();
        }
    }

    pub fn server_pid(&self) -> u32 {
        self.server.as_ref().unwrap().pid()
    }

    pub fn collector_pid(&self) -> u32 {
        self.collector.as_ref().unwrap().pid()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    fn place(&self, dir: &str, n: usize) -> PathBuf {
        let home = self.home.path();
        home.join(format!("{dir}/{}/m{n}", n / LOGS_PER_DIR))
    }

    fn status_dir(&self) -> PathBuf {
        self.home.path().join("status")
    }
}

/// Where files cost no disk.
pub fn memory() -> PathBuf {
    let shm = Path::new("/dev/shm");
    if shm.is_dir() {
        shm.to_owned()
    } else {
        std::env::temp_dir()
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
