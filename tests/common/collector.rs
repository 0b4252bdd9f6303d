//! A real collector, its configuration, and the files it keeps.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::thread;

use tempfile::TempDir;

use super::pair::config;
use super::pair::copies::Copies;
pub use super::process::Signal;
use super::process::{self, Printed, Process};
use super::wait::eventually;
use super::{FETCHLOGS, memory};

/// The file every source asks for unless a test says otherwise.
pub const REMOTE: &str = "/var/log/messages";

/// Short periods where waiting is not what is tested, long ones where a busy machine must not look like a dead peer.
/// Later options override these.
const USUAL_OPTIONS: [&str; 6] = ["-r", "0.02", "-w", "60", "-i", "120"];

/// A directory with a configuration, local copies, pointers and status files. It outlives any collector in it.
pub struct Place {
    dir: TempDir,
}

impl Place {
    /// An empty one, in memory where there is such a place: each start of a collector makes the whole file system
    /// durable, and the disk has others to serve.
    pub fn new() -> Place {
        Place::inside(&memory())
    }

    /// An empty one somewhere in this directory.
    pub fn inside(directory: &Path) -> Place {
        let dir = tempfile::tempdir_in(directory).unwrap();
        fs::create_dir(dir.path().join("snmp")).unwrap();
        Place { dir }
    }

    /// One with these lines as its configuration.
    pub fn with(lines: impl FnOnce(&Place) -> Vec<String>) -> Place {
        let place = Place::new();
        place.configure(&lines(&place));
        place
    }

    /// One with a single source, its local copy named `log`.
    pub fn following(server: SocketAddr) -> Place {
        Place::with(|place| vec![place.line(server, REMOTE, "log")])
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A line of the configuration: the local copy is `NAME`, its pointer `NAME.ptr`.
    pub fn line(&self, server: SocketAddr, remote: &str, name: &str) -> String {
        let (local, pointer) = (self.path(name), self.path(&format!("{name}.ptr")));
        let line = config::source(server, Path::new(remote), &local, &pointer, "");
        line.trim_end().to_owned()
    }

    /// Writes the configuration; a running collector reads it at HUP.
    pub fn configure(&self, lines: &[String]) {
        fs::write(self.path("conf"), lines.join("\n") + "\n").unwrap();
    }

    /// Starts a collector here with the usual options and some more.
    pub fn start(&self, options: &[&str]) -> Collector {
        Collector::spawn(&mut self.command(options))
    }

    /// The command that [`start`](Place::start) runs.
    pub fn command(&self, options: &[&str]) -> Command {
        let mut command = Command::new(FETCHLOGS);
        command
            .arg("fetch_logs")
            .args(USUAL_OPTIONS)
            .args(options)
            .arg(self.path("snmp"))
            .arg(self.path("conf"))
            .current_dir(self.dir.path());
        command
    }

    /// What is in a file; nothing if there is none.
    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_default()
    }

    /// Waits until a file holds exactly these bytes.
    pub fn wait_for(&self, name: &str, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let shown: String = text.chars().take(200).collect();
        eventually(&format!("{name} to hold {shown:?}"), || {
            (self.read(name) == bytes).then_some(())
        });
    }

    /// Waits until the status of a server is this.
    pub fn wait_for_status(&self, address: &str, status: &str) {
        self.wait_for(&format!("snmp/{address}"), status.as_bytes());
    }

    /// The first word of a pointer file.
    pub fn pointer(&self, name: &str) -> String {
        let text = String::from_utf8(self.read(name)).unwrap();
        text.split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned()
    }

    /// Every name in it.
    pub fn names(&self) -> BTreeSet<String> {
        let entries = fs::read_dir(self.dir.path()).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    /// The names that begin with `NAME.` and a stamp, oldest first.
    pub fn rotated(&self, name: &str) -> Vec<String> {
        let paths = Copies::at(self.path(name)).rotated();
        let names = paths.iter().map(|path| path.file_name().unwrap());
        names
            .map(|name| name.to_str().unwrap().to_owned())
            .collect()
    }
}

/// A running collector. It is killed when it goes out of scope; if a test is failing, what it said is shown.
pub struct Collector {
    process: Process,
    /// What it says on stdout.
    pub out: Printed,
    /// What it says on stderr.
    pub err: Printed,
}

impl Collector {
    /// Runs a command that becomes a collector.
    pub fn spawn(command: &mut Command) -> Collector {
        let process = Process::spawn(command);
        Collector {
            out: process.stdout.clone(),
            err: process.stderr.clone(),
            process,
        }
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Stops it, and waits until it does nothing more.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
        let stat = format!("/proc/{}/stat", self.pid());
        eventually("the collector to be stopped", || {
            let stat = fs::read_to_string(&stat).unwrap();
            stat.rsplit(") ").next()?.starts_with('T').then_some(())
        });
    }

    /// Kills it as a power cut would, but for the disk.
    pub fn kill(mut self) {
        self.process.kill();
    }

    /// Asks it to end and tells how it did.
    pub fn stop(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        self.process.wait_for_status()
    }

    /// Whether it runs.
    pub fn runs(&mut self) -> bool {
        !self.process.has_ended()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!(
                "stdout: {:#?}\nstderr: {:#?}",
                self.out.all(),
                self.err.all()
            );
        }
    }
}

/// Runs a collector that is expected to end by itself: its exit status, stdout and stderr.
pub fn run(args: impl IntoIterator<Item = impl AsRef<OsStr>>, dir: &Path) -> (i32, String, String) {
    let mut command = Command::new(FETCHLOGS);
    command.arg("fetch_logs").args(args).current_dir(dir);
    let ended = process::run(command);
    (ended.status.unwrap(), ended.stdout, ended.stderr)
}
