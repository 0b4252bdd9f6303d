//! A real log server and a real collector on loopback, in a directory of their own, gone when dropped.
//!
//! The logs stand in `remote/`, the copies and pointers in `local/`, the status files in `status/`. What the daemons
//! say is kept beside them and shown by a test that fails. Each pair has a loopback address of its own, so that nobody
//! takes the server's port while it is being restarted.

pub mod copies;
pub mod daemon;
pub mod log;
pub mod relay;
pub mod strace;
pub mod wait;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use super::FETCHLOGS;
use copies::Copies;
use daemon::Daemon;
use log::Log;
use relay::Relay;
use strace::Strace;
use wait::eventually;

/// What a pair is started with. The default is one log named `m` with its rotated files as `m.1`, `m.2` and so on.
#[derive(Clone)]
pub struct Options {
    /// Each log by name, and the globs of its rotated files, both below `remote/`.
    pub logs: Vec<(String, String)>,
    /// How the server learns of changes.
    pub hints: Hints,
    /// `$delay_check`, in seconds.
    pub check_s: f64,
    /// `$grace`, in seconds.
    pub grace_s: f64,
    /// `$alive_interval`, in seconds.
    pub alive_s: f64,
    /// What follows the fifth field of each source.
    pub fields: &'static str,
    /// Whether a [`Relay`] stands between the two.
    pub relayed: bool,
    /// Whether all files are kept off the disk, where that can be done: for much data and no wish to wait for it.
    pub in_memory: bool,
}

/// How the server learns of changes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Hints {
    /// The kernel tells it.
    Told,
    /// Only by its own checks: the system call that would tell it fails.
    ByChecks,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            logs: vec![("m".into(), "m.*[0-9]".into())],
            hints: Hints::Told,
            check_s: 0.2,
            grace_s: 3600.0,
            alive_s: 60.0,
            fields: "",
            relayed: false,
            in_memory: false,
        }
    }
}

impl Options {
    /// One log with these globs of its rotated files.
    pub fn of(name: &str, globs: &str) -> Options {
        Options {
            logs: vec![(name.into(), globs.into())],
            ..Options::default()
        }
    }

    /// The same, but version 2 of the protocol is never offered.
    pub fn classic(self) -> Options {
        Options {
            fields: "proto=classic",
            ..self
        }
    }

    /// The same, in both versions of the protocol.
    pub fn in_both_protocols(self) -> [Options; 2] {
        [self.clone(), self.classic()]
    }

    /// Whatever arrives in time arrives because the kernel told of it: the next check is far away.
    pub fn told() -> Options {
        Options {
            check_s: 600.0,
            ..Options::default()
        }
    }

    /// Nothing is told by the kernel. `None` where that cannot be brought about.
    pub fn by_checks() -> Option<Options> {
        strace::program().map(|_| Options {
            hints: Hints::ByChecks,
            check_s: 0.1,
            ..Options::default()
        })
    }
}

/// Makes four tests of a function: with version 2 of the protocol and in classic, each where the kernel tells the
/// server of changes and where nothing but its own checks find them.
#[macro_export]
macro_rules! every_way {
    ($name:ident) => {
        mod $name {
            use $crate::common::pair::Options;

            #[test]
            fn when_told() {
                super::$name(Options::told());
            }

            #[test]
            fn classic_when_told() {
                super::$name(Options::told().classic());
            }

            #[test]
            fn by_checks() {
                Options::by_checks().map(super::$name);
            }

            #[test]
            fn classic_by_checks() {
                Options::by_checks().map(|options| super::$name(options.classic()));
            }
        }
    };
}

/// Makes two tests of a function that is handed options: with version 2 of the protocol and in classic.
#[macro_export]
macro_rules! both_protocols {
    ($name:ident) => {
        mod $name {
            use $crate::common::pair::Options;

            #[test]
            fn v2() {
                super::$name(Options::told());
            }

            #[test]
            fn classic() {
                super::$name(Options::told().classic());
            }
        }
    };
}

/// The two daemons and their files.
pub struct Pair {
    home: TempDir,
    options: Options,
    address: SocketAddr,
    relay: Option<Relay>,
    server: Option<Daemon>,
    collector: Option<Daemon>,
}

impl Pair {
    /// Starts both and waits for the first contact, which begins with the live log whatever came before it. The logs
    /// that are not there yet are created empty.
    pub fn start(options: Options) -> Pair {
        let mut pair = Pair::prepare(options);
        pair.start_server();
        pair.start_collector();
        for (name, _) in pair.options.logs.clone() {
            pair.until(|pair| match pair.local(&name).exists() {
                true => Ok(()),
                false => Err(format!("there was no contact about {name}")),
            });
        }
        pair
    }

    /// Everything is in its place, and neither of the two is running.
    pub fn prepare(options: Options) -> Pair {
        let memory = Some(Path::new("/dev/shm")).filter(|dir| options.in_memory && dir.is_dir());
        let home = memory.map_or_else(tempfile::tempdir, tempfile::tempdir_in);
        let home = home.unwrap();
        for dir in ["remote", "local", "status"] {
            fs::create_dir(home.path().join(dir)).unwrap();
        }
        let pair = Pair {
            home,
            options,
            address: SocketAddr::new(loopback_address().into(), 0),
            relay: None,
            server: None,
            collector: None,
        };
        for (name, _) in &pair.options.logs {
            drop(pair.log(name).open());
        }
        pair
    }

    /// Adds a log before the start of both.
    pub fn serve(&mut self, name: &str, globs: &str) {
        self.options.logs.push((name.into(), globs.into()));
    }

    /// The log of this name.
    pub fn log(&self, name: &str) -> Log {
        Log::at(self.home.path().join("remote").join(name))
    }

    /// The local copies of the log of this name.
    pub fn copies(&self, name: &str) -> Copies {
        Copies::at(self.local(name))
    }

    /// The path of the local copy.
    pub fn local(&self, name: &str) -> PathBuf {
        self.home.path().join("local").join(name)
    }

    /// The path of the pointer file.
    pub fn pointer(&self, name: &str) -> PathBuf {
        self.local(&format!("{name}.pointer"))
    }

    /// The directory of all of this.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Where the server listens, once it was started.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What stands between the two; only if the options ask for it.
    pub fn relay(&self) -> &Relay {
        self.relay.as_ref().unwrap()
    }

    /// The running server.
    pub fn server(&mut self) -> &mut Daemon {
        self.server.as_mut().expect("the server is running")
    }

    /// The running collector.
    pub fn collector(&mut self) -> &mut Daemon {
        self.collector.as_mut().expect("the collector is running")
    }

    /// Everything the collector has said in all its runs, events and losses.
    pub fn events(&self) -> String {
        daemon::said(self.home.path(), COLLECTOR)
    }

    /// The status that a monitoring system sees.
    pub fn status(&self) -> String {
        let file = self.home.path().join("status");
        let server = self.relay.as_ref().map_or(self.address, Relay::address);
        fs::read_to_string(file.join(server.ip().to_string())).unwrap_or_default()
    }

    /// What the collector says it has lost, one entry for each loss.
    pub fn losses(&self) -> Vec<String> {
        let said = daemon::told(self.home.path(), COLLECTOR);
        let losses = said.lines().filter_map(|line| {
            // TIME ADDRESS REMOTE_FILE lost INODE:OFFSET
            let mut words = line.split(' ').skip(3);
            (words.next() == Some("lost")).then(|| words.collect())
        });
        losses.collect()
    }

    /// Starts the server and waits until it listens, at the same port as before.
    pub fn start_server(&mut self) {
        let command = match self.options.hints {
            Hints::Told => Command::new(FETCHLOGS),
            Hints::ByChecks => Strace::new("inotify_init1").failing("ENOSYS").command(),
        };
        self.start_server_as(command);
    }

    /// The same with the beginning of the command line in the caller's hands.
    pub fn start_server_as(&mut self, mut command: Command) {
        assert!(self.server.is_none());
        let config = self.home.path().join("server.conf");
        fs::write(&config, self.server_config()).unwrap();
        command.args(["gen_numbers", "-c"]).arg(config);
        let server = Daemon::start(command, self.home.path(), SERVER);
        self.address = server.listening_address();
        if self.options.hints == Hints::ByChecks {
            let said = daemon::said(self.home.path(), SERVER);
            assert!(said.contains("noticed only at every check"), "{said}");
        }
        self.server = Some(server);
        if self.options.relayed && self.relay.is_none() {
            self.relay = Some(Relay::to(self.address));
        }
    }

    /// The collector is to ask somebody else.
    pub fn ask(&mut self, server: SocketAddr) {
        self.address = server;
    }

    /// Starts the collector.
    pub fn start_collector(&mut self) {
        self.start_collector_as(Command::new(FETCHLOGS));
    }

    /// Starts the collector by a command to which its arguments are added.
    pub fn start_collector_as(&mut self, mut command: Command) {
        assert!(self.collector.is_none());
        let config = self.home.path().join("collector.conf");
        fs::write(&config, self.collector_config()).unwrap();
        command
            .args(["fetch_logs", "-r", "0.1"])
            .arg(self.home.path().join("status"))
            .arg(config);
        self.collector = Some(Daemon::start(command, self.home.path(), COLLECTOR));
    }

    /// SIGKILL, at whatever the server is doing.
    pub fn kill_server(&mut self) {
        self.server.take().expect("the server is running").kill();
    }

    /// SIGKILL, at whatever the collector is doing.
    pub fn kill_collector(&mut self) {
        let collector = self.collector.take();
        collector.expect("the collector is running").kill();
    }

    /// Waits for the collector to end by itself and tells whether it was killed by a signal.
    pub fn collector_was_killed(&mut self) -> bool {
        let collector = self.collector.take();
        collector.expect("the collector was running").was_killed()
    }

    /// Waits until the check says `Ok`; otherwise fails with its last word and those of the daemons.
    pub fn until(&mut self, mut check: impl FnMut(&Pair) -> Result<(), String>) {
        let outcome = eventually(|| {
            check(self).map_err(|why| {
                let all_run = [&mut self.server, &mut self.collector]
                    .into_iter()
                    .flatten()
                    .all(|daemon| daemon.is_running());
                if all_run {
                    why
                } else {
                    format!("{why}; a daemon has ended")
                }
            })
        });
        if let Err(why) = outcome {
            panic!(
                "{why}\n-- server\n{}\n-- collector\n{}\n",
                daemon::said(self.home.path(), SERVER),
                self.events()
            );
        }
    }

    /// Waits until the local copies of a log are these generations, oldest first, the live one last.
    pub fn expect(&mut self, name: &str, generations: &[impl AsRef<[u8]>]) {
        self.until(|pair| pair.copies(name).compare(generations));
    }

    /// Waits until the local copies of a log are what stands in `remote/`, generation by generation.
    pub fn expect_same(&mut self, name: &str) {
        let generations = self.log(name).generations();
        self.expect(name, &generations);
    }

    /// Waits until all copies of a log together are this.
    pub fn expect_all(&mut self, name: &str, written: &[u8]) {
        self.until(|pair| pair.copies(name).compare_all(written));
    }

    /// Waits until the server has a file open no more.
    pub fn until_server_lets_go_of(&mut self, path: &Path) {
        let descriptors = format!("/proc/{}/fd", self.server().pid());
        self.until(|_| {
            let mut descriptors = fs::read_dir(&descriptors).unwrap().flatten();
            let is_open = descriptors.any(|fd| fs::read_link(fd.path()).is_ok_and(|to| to == path));
            match is_open {
                true => Err(format!("the server has {} open", path.display())),
                false => Ok(()),
            }
        });
    }

    /// Waits until the status of the server is this.
    pub fn expect_status(&mut self, status: &str) {
        self.until(|pair| match pair.status().trim_end() {
            now if now == status => Ok(()),
            now => Err(format!("the status is {now:?} and not {status:?}")),
        });
    }

    /// Waits until the collector has said this.
    pub fn expect_event(&mut self, text: &str) {
        self.until(|pair| {
            let is_said = pair.events().contains(text);
            is_said
                .then_some(())
                .ok_or_else(|| format!("the collector does not say {text:?}"))
        });
    }

    fn server_config(&self) -> String {
        let Options {
            check_s,
            grace_s,
            alive_s,
            ..
        } = self.options;
        let mut text = format!(
            "$hosts_allow{{'127.0.0.1'}} = 1; $max_clients = 2000; $max_clients_per_ip = 2000;\n\
             $bind_addr = '{}'; $bind_port = {};\n$delay_check = {check_s}; $grace = {grace_s}; \
             $alive_interval = {alive_s};\n",
            self.address.ip(),
            self.address.port(),
        );
        let dir = self.home.path().join("remote");
        for (name, globs) in &self.options.logs {
            let globs: Vec<String> = globs
                .split_whitespace()
                .map(|glob| dir.join(glob).display().to_string())
                .collect();
            let path = dir.join(name);
            text += &format!("$files{{'{}'}} = '{}';\n", path.display(), globs.join(" "));
        }
        text + "1;\n"
    }

    fn collector_config(&self) -> String {
        let server = self.relay.as_ref().map_or(self.address, Relay::address);
        let mut text = String::new();
        for (name, _) in &self.options.logs {
            text += &format!(
                "{} {} {} {} {} {}\n",
                server.ip(),
                server.port(),
                self.log(name).path().display(),
                self.local(name).display(),
                self.pointer(name).display(),
                self.options.fields,
            );
        }
        text
    }
}

/// No losses.
pub const NOTHING: [&str; 0] = [];

const SERVER: &str = "server";
const COLLECTOR: &str = "collector";

/// An address in 127/8 that no other pair of this run has.
fn loopback_address() -> Ipv4Addr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = std::process::id()
        .wrapping_mul(64)
        .wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
    let [_, a, b, c] = number.to_be_bytes();
    // Not 127.0.0.1, from which everybody calls, and no end of the range.
    Ipv4Addr::new(127, 1 + a % 250, b, 1 + c % 250)
}
