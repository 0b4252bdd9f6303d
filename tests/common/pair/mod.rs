//! A real log server and a real collector on loopback, in a directory of their own, gone when dropped.
//!
//! The box's logs stand in `remote/`, the log host's copies in `local/`, its pointers there or in `pointer/`, its status
//! files in `status/`. What the daemons say is kept beside them and shown by a test that fails. Each pair has a loopback
//! address of its own, so that nobody takes the server's port while it is being restarted.
//!
//! Who needs only a part of all this takes the parts: the two configurations, a daemon, a log, its copies.

pub mod address;
pub mod config;
pub mod content;
pub mod copies;
pub mod daemon;
mod expect;
pub mod log;
mod options;
pub mod pointer;
pub mod relay;
pub mod strace;

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use super::process::Signal;
use super::{FETCHLOGS, memory};
use copies::Copies;
use daemon::{COLLECTOR, Daemon, SERVER};
use log::{Log, NotedLog};
pub use options::{Hints, Options};
use relay::Relay;
use strace::Strace;

/// The two daemons and their files.
pub struct Pair {
    home: TempDir,
    options: Options,
    address: SocketAddr,
    relay: Option<Relay>,
    server: Option<Daemon>,
    collector: Option<Daemon>,
}

/// Longer than a write before a truncation makes the server suspect that there was another.
pub const QUIET: Duration = Duration::from_millis(300);

/// No losses.
pub const NOTHING: [&str; 0] = [];

/// Beginning and end.
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
        let dir = match options.in_memory {
            true => memory(),
            false => std::env::temp_dir(),
        };
        Pair::prepare_in(&dir, options)
    }

    /// The same below a directory of the caller's choice.
    pub fn prepare_in(dir: &Path, options: Options) -> Pair {
        let pair = Pair {
            home: tempfile::tempdir_in(dir).unwrap(),
            options,
            address: SocketAddr::new(address::own().into(), 0),
            relay: None,
            server: None,
            collector: None,
        };
        for dir in ["remote", "local", "pointer", "status"] {
            fs::create_dir(pair.path(dir)).unwrap();
        }
        for (name, _) in &pair.options.logs {
            let log = pair.log(name);
            for path in [log.path(), &pair.local(name), &pair.pointer(name)] {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
            }
            drop(log.open());
        }
        pair
    }

    /// Adds a log before the start of both. It need not be there.
    pub fn serve(&mut self, name: &str, globs: &str) {
        self.options.logs.push((name.into(), globs.into()));
    }

    /// The collector is to ask somebody else.
    pub fn ask(&mut self, server: SocketAddr) {
        self.address = server;
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
        let config = self.path("server.conf");
        fs::write(&config, self.server_config()).unwrap();
        command.args(["gen_numbers", "-c"]).arg(config);
        let server = Daemon::start(command, self.home(), SERVER);
        self.address = server.listening_address();
        if self.options.hints == Hints::ByChecks {
            let said = server.complaints();
            assert!(said.contains("noticed only at every check"), "{said}");
        }
        self.server = Some(server);
        if self.options.relayed && self.relay.is_none() {
            self.relay = Some(Relay::to(self.address));
        }
    }

    /// Starts the collector.
    pub fn start_collector(&mut self) {
        self.start_collector_as(Command::new(FETCHLOGS));
    }

    /// Starts the collector by a command to which its arguments are added.
    pub fn start_collector_as(&mut self, mut command: Command) {
        assert!(self.collector.is_none());
        self.write_collector_config();
        let Options {
            retry_s,
            wait_s,
            idle_s,
            ..
        } = self.options;
        let periods = format!("fetch_logs -r {retry_s} -w {wait_s} -i {idle_s}");
        command.args(periods.split(' '));
        if !self.options.hook.is_empty() {
            command.arg("-x").arg(self.write_hook());
        }
        command
            .arg(self.path("status"))
            .arg(self.path("collector.conf"));
        self.collector = Some(Daemon::start(command, self.home(), COLLECTOR));
    }

    fn write_hook(&self) -> PathBuf {
        let path = self.path("hook");
        let script = format!(
            "#!/bin/sh\ncd {}\n{}\n",
            self.home().display(),
            self.options.hook
        );
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// Lets a collector that is running read its configuration with other fields behind the fifth.
    pub fn reconfigure_collector(&mut self, fields: &'static str) {
        self.options.fields = fields;
        self.write_collector_config();
        self.collector().signal(Signal::HUP);
    }

    /// Asks the server to end, and waits until it has.
    pub fn stop_server(&mut self) {
        self.server().signal(Signal::TERM);
        let server = self.server.take();
        assert!(!server.unwrap().was_killed());
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

    /// Lets something happen to the box, with the collector connected or away.
    pub fn change(&mut self, log: &mut NotedLog, away: bool, act: impl FnOnce(&mut NotedLog)) {
        if !away {
            thread::sleep(QUIET);
            return act(log);
        }
        self.kill_collector();
        act(log);
        self.start_collector();
    }

    /// Lets something happen to the box in one moment, as the server sees it.
    pub fn in_one_moment(&mut self, log: &mut NotedLog, act: impl FnOnce(&mut NotedLog)) {
        self.server().signal(Signal::STOP);
        act(log);
        self.server().signal(Signal::CONT);
    }

    fn server_config(&self) -> String {
        let Options {
            check_s,
            grace_s,
            alive_s,
            statements,
            ..
        } = self.options;
        let mut text = format!(
            "{statements}\n$delay_check = {check_s}; $grace = {grace_s}; $alive_interval = {alive_s};\n"
        );
        let dir = self.path("remote");
        for (name, globs) in &self.options.logs {
            text += &config::served(&dir, name, globs);
        }
        config::server(self.address, self.options.allow, &text)
    }

    fn write_collector_config(&self) {
        let mut text = String::new();
        for (name, _) in &self.options.logs {
            text += &config::source(
                self.asked(),
                self.log(name).path(),
                &self.local(name),
                &self.pointer(name),
                self.options.fields,
            );
        }
        fs::write(self.path("collector.conf"), text).unwrap();
    }
}

/// What there is to be seen.
impl Pair {
    /// The directory of all of this.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.home().join(name)
    }

    /// The log of this name.
    pub fn log(&self, name: &str) -> Log {
        Log::at(self.path("remote").join(name))
    }

    /// The local copies of the log of this name.
    pub fn copies(&self, name: &str) -> Copies {
        Copies::at(self.local(name))
    }

    /// The path of the local copy.
    pub fn local(&self, name: &str) -> PathBuf {
        self.path("local").join(name)
    }

    /// The path of the pointer file.
    pub fn pointer(&self, name: &str) -> PathBuf {
        match self.options.pointers_apart {
            true => self.path("pointer").join(name),
            false => self.local(&format!("{name}.pointer")),
        }
    }

    /// Where the server listens, once it was started, or whoever is asked in its place.
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

    /// Every event so far, in all runs of the collector.
    pub fn events(&self) -> String {
        daemon::told(self.home(), COLLECTOR)
    }

    /// What the collector has complained of in all its runs.
    pub fn complaints(&self) -> String {
        daemon::complaints(self.home(), COLLECTOR)
    }

    /// Everything the collector has said in all its runs, complaints last.
    pub fn said(&self) -> String {
        daemon::said(self.home(), COLLECTOR)
    }

    /// What the collector says it has lost, one entry for each loss.
    pub fn losses(&self) -> Vec<String> {
        let events = self.events();
        let losses = events.lines().filter_map(|line| {
            // TIME ADDRESS REMOTE_FILE lost INODE:OFFSET
            let mut words = line.split(' ').skip(3);
            (words.next() == Some("lost")).then(|| words.collect())
        });
        losses.collect()
    }

    /// The status that a monitoring system sees.
    pub fn status(&self) -> String {
        let file = self.path("status").join(self.asked().ip().to_string());
        fs::read_to_string(file).unwrap_or_default()
    }

    /// All that helps to see why a test failed.
    pub fn everything_said(&mut self) -> String {
        let mut text = String::new();
        for path in self.paths_of_copies() {
            let len = fs::metadata(&path).map_or(0, |metadata| metadata.len());
            text += &format!("{len:>10} {}\n", path.display());
        }
        if !self.all_run() {
            text += "a daemon has ended\n";
        }
        for (name, _) in &self.options.logs {
            let pointer = daemon::text_of(&self.pointer(name));
            text += &format!("-- pointer of {name}\n{pointer}");
        }
        let [server, collector] = [SERVER, COLLECTOR].map(|name| daemon::said(self.home(), name));
        text + "-- server\n" + &server + "-- collector\n" + &collector
    }

    /// Whether none has ended of those that were started and not stopped.
    fn all_run(&mut self) -> bool {
        let daemons = [&mut self.server, &mut self.collector];
        daemons.into_iter().flatten().all(Daemon::is_running)
    }

    fn paths_of_copies(&self) -> Vec<PathBuf> {
        let of_each = self.options.logs.iter();
        let of_each = of_each.map(|(name, _)| self.copies(name).beside(""));
        let mut paths: Vec<PathBuf> = of_each.flatten().collect();
        paths.sort();
        paths.dedup();
        paths
    }

    /// Whom the collector asks.
    fn asked(&self) -> SocketAddr {
        self.relay.as_ref().map_or(self.address, Relay::address)
    }
}
