//! A log server as an administrator would start it.
#![allow(dead_code)]

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::FETCHLOGS;
use super::descriptors;
use super::process::{Ended, Process, Signal};
use super::wait::{eventually, until};

/// Stands before every configuration, as its first line: later statements override it.
const BASE: &str = "$bind_addr = \"127.0.0.1\"; $bind_port = 0; $hosts_allow{\"127.0.0.1\"} = 1;\n";

/// A running server; killed when dropped.
pub struct Server {
    process: Process,
    config: ConfigFile,
    address: SocketAddr,
}

impl Server {
    /// Starts a server with these settings. Unless they say otherwise, it serves 127.0.0.1 at any port of that address.
    pub fn start(settings: &str) -> Server {
        Server::start_as(settings, |config| gen_numbers(["-c".as_ref(), config]))
    }

    /// The same by a command of one's own, made from the path of the configuration.
    pub fn start_as(settings: &str, command: impl FnOnce(&OsStr) -> Command) -> Server {
        let config = ConfigFile::new(settings);
        let mut process = Process::start(command(config.path().as_os_str()));
        let address = eventually("a server that listens", || {
            if process.has_ended() {
                panic!("the server did not start: {:?}", process.wait());
            }
            let line = process.stderr.line("listening on ")?;
            line.rsplit(' ').next()?.parse().ok()
        });
        Server {
            process,
            config,
            address,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Its configuration file.
    pub fn config(&self) -> PathBuf {
        self.config.path()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Gives it other settings and waits until it says that it took them up. Between two of these it has to say
    /// something else, because what it says twice in a row it only counts.
    pub fn reload(&self, settings: &str) {
        self.reload_and_hear(settings, "read the configuration again");
    }

    /// The same with settings that it cannot take up.
    pub fn reload_in_vain(&self, settings: &str) {
        self.reload_and_hear(settings, "the configuration stays as it was before");
    }

    /// Writes its configuration, and tells it nothing of that.
    pub fn configure(&self, settings: &str) {
        self.config.write(settings);
    }

    /// The same, and waits for words of one's own.
    pub fn reload_and_hear(&self, settings: &str, words: &str) {
        let times = || self.said().matches(words).count();
        let before = times();
        self.config.write(settings);
        self.signal(Signal::HUP);
        until(words, || times() > before);
    }

    /// What it said so far.
    pub fn said(&self) -> String {
        self.process.stderr.text()
    }

    /// Waits for a line with `words` in it.
    pub fn wait_for(&self, words: &str) -> String {
        self.process.stderr.wait_for(words)
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> Ended {
        self.process.wait()
    }

    /// The numbers of its open descriptors.
    pub fn descriptors(&self) -> Vec<usize> {
        descriptors::of(self.pid())
    }

    /// Waits until nobody is connected any more and tells how many descriptors are open then.
    pub fn idle_descriptors(&self) -> usize {
        eventually("no socket but the listener, and no file", || {
            let numbers = self.descriptors();
            let own = numbers.iter().filter(|&&n| !descriptors::is_handed_down(n));
            let targets: Option<Vec<PathBuf>> =
                own.map(|&n| descriptors::target(self.pid(), n)).collect();
            let of_clients = |target: &&PathBuf| {
                target.is_absolute()
                    || target.to_string_lossy().starts_with("socket:")
                        && !descriptors::is_local(target)
            };
            (targets?.iter().filter(of_clients).count() == 1).then_some(numbers.len())
        })
    }
}

/// The program's log server with these arguments.
pub fn gen_numbers<I: AsRef<OsStr>>(args: impl IntoIterator<Item = I>) -> Command {
    let mut command = Command::new(FETCHLOGS);
    command.arg("gen_numbers").args(args);
    command
}

/// A configuration file in a directory of its own, readable for everybody; gone when dropped.
pub struct ConfigFile(TempDir);

impl ConfigFile {
    /// With settings that begin in its second line.
    pub fn new(settings: &str) -> ConfigFile {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        let config = ConfigFile(dir);
        config.write(settings);
        config
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.0.path().join("gen_numbers.pl.locals")
    }

    fn write(&self, settings: &str) {
        fs::write(self.path(), format!("{BASE}{settings}")).unwrap();
    }
}
