//! A server, its logs and local copies of them, in a directory of their own that is gone when dropped.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStderr, ChildStdout, Command, Output, Stdio};

use fetchlogs::collect::copy::pointer::Pointer;
use fetchlogs::ids::Inode;

use super::common::FETCHLOGS;
use super::common::pair::content::md5_of;
use super::common::pair::daemon::{COLLECTOR, Daemon};
use super::common::pair::{Options, Pair, config};
use super::common::process::{Guarded, Signal};

/// The stamp of rotated copies that a test makes.
pub const STAMP: &str = "20261122132956";

/// The directory and what runs in it.
pub struct Place {
    pair: Pair,
    sources: String,
}

/// What `verify` said.
#[derive(Debug)]
pub struct Said {
    pub status: i32,
    /// The lines without address and remote file, and without the directory of the copies.
    pub lines: Vec<String>,
    /// The last line, behind these.
    pub summary: Option<String>,
    pub stderr: String,
}

impl Said {
    /// The verdict about a copy.
    pub fn of(&self, copy: &str) -> &str {
        let line = self.lines.iter().find_map(|line| {
            line.split_once(": ")
                .filter(|(name, _)| *name == copy)
                .map(|(_, verdict)| verdict)
        });
        line.unwrap_or_else(|| panic!("nothing is said of {copy}: {self:?}"))
    }
}

impl Place {
    /// A server that serves everything in `remote/` that is asked for in this test.
    pub fn new(logs: &[&str]) -> Place {
        Place::allowing("127.0.0.1", logs)
    }

    /// One that allows only this client.
    pub fn allowing(client: &'static str, logs: &[&str]) -> Place {
        let mut pair = Pair::prepare(Options {
            logs: Vec::new(),
            allow: client,
            check_s: 0.1,
            grace_s: 0.1,
            ..Options::default()
        });
        for name in logs {
            pair.serve(name, &format!("{name}.*[0-9]"));
        }
        pair.start_server();
        Place {
            pair,
            sources: String::new(),
        }
    }

    pub fn path(&self) -> &Path {
        self.pair.home()
    }

    pub fn remote(&self, name: &str) -> PathBuf {
        self.pair.log(name).path().to_owned()
    }

    pub fn local(&self, name: &str) -> PathBuf {
        self.pair.local(name)
    }

    /// Where the sources that are added next are asked.
    pub fn address(&self) -> SocketAddr {
        self.pair.address()
    }

    pub fn stop_server(&mut self) {
        self.pair.kill_server();
    }

    /// Sends all sources that are added from now on to another server.
    pub fn ask(&mut self, address: SocketAddr) {
        self.pair.ask(address);
    }

    /// Adds a source. There need not be any copy of it.
    pub fn source(&mut self, name: &str, fields: &str) {
        self.sources += &config::source(
            self.address(),
            &self.remote(name),
            &self.local(name),
            &self.pair.pointer(name),
            fields,
        );
    }

    /// Adds a source with a log and a live copy of it.
    pub fn copied(&mut self, name: &str, theirs: &[u8], ours: &[u8]) {
        self.source(name, "");
        fs::write(self.remote(name), theirs).unwrap();
        fs::write(self.local(name), ours).unwrap();
        self.point(name);
    }

    /// Lets the pointer say that the live copy is one of the log that is there now.
    pub fn point(&self, name: &str) {
        let inode = fs::metadata(self.remote(name)).unwrap().ino();
        let pointer = Pointer::of(Inode(inode)).write();
        fs::write(self.pair.pointer(name), pointer.as_bytes()).unwrap();
    }

    /// Adds a rotated log and the rotated copy of it.
    pub fn rotated(&self, name: &str, theirs: &[u8], ours: &[u8]) {
        fs::write(self.remote(&format!("{name}.1")), theirs).unwrap();
        fs::write(self.local(&format!("{name}.{STAMP}")), ours).unwrap();
    }

    /// Writes the configuration and tells its name.
    pub fn config(&self) -> PathBuf {
        let path = self.path().join("collector.conf");
        fs::write(&path, &self.sources).unwrap();
        path
    }

    /// The command that compares everything.
    pub fn command(&self, options: &[&str]) -> Command {
        let mut command = Command::new(FETCHLOGS);
        command
            .args(["fetch_logs", "verify"])
            .args(options)
            .arg(self.path().join("status"))
            .arg(self.config());
        command
    }

    /// Compares everything.
    pub fn verify(&self) -> Said {
        self.verify_with(&[])
    }

    pub fn verify_with(&self, options: &[&str]) -> Said {
        self.said(self.command(options).output().unwrap())
    }

    fn said(&self, output: Output) -> Said {
        let local = format!("{}/", self.path().join("local").display());
        let remote = format!("{}/", self.path().join("remote").display());
        let stdout = String::from_utf8(output.stdout).unwrap();
        let is_summary = |line: &&str| line.contains(" compared in ");
        let summary = stdout.lines().last().filter(is_summary);
        let count = stdout.lines().count() - usize::from(summary.is_some());
        let lines = stdout.lines().take(count).map(|line| {
            let mut words = line.splitn(3, ' ');
            assert!(
                words
                    .next()
                    .is_some_and(|word| word.parse::<std::net::IpAddr>().is_ok())
            );
            assert!(words.next().is_some_and(|word| word.starts_with(&remote)));
            let rest = words.next().unwrap().strip_prefix(&local);
            rest.unwrap_or_else(|| panic!("{line}")).to_owned()
        });
        Said {
            status: output.status.code().unwrap_or(-1),
            lines: lines.collect(),
            summary: summary.map(str::to_owned),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Starts a collector of all sources.
    pub fn collect(&self) -> Daemon {
        let mut command = Command::new(FETCHLOGS);
        command
            .args(["fetch_logs", "-r", "0.1"])
            .arg(self.path().join("status"))
            .arg(self.config());
        Daemon::start(command, self.path(), COLLECTOR)
    }

    /// What the collector has said.
    pub fn events(&self) -> String {
        self.pair.events()
    }

    /// Every name in the directory of the copies, with size and times.
    pub fn snapshot(&self) -> Vec<(PathBuf, u64, i64, i64)> {
        let entries = fs::read_dir(self.path().join("local")).unwrap();
        let mut all: Vec<_> = entries
            .map(|entry| {
                let entry = entry.unwrap();
                let stat = entry.metadata().unwrap();
                (
                    entry.path(),
                    stat.len(),
                    stat.mtime_nsec(),
                    stat.ctime_nsec(),
                )
            })
            .collect();
        all.sort();
        all
    }
}

/// A comparison under way.
pub struct Running {
    process: Guarded,
    stdout: BufReader<ChildStdout>,
    stderr: ChildStderr,
}

impl Running {
    pub fn start(place: &Place, options: &[&str]) -> Running {
        let mut command = place.command(options);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Guarded::start(&mut command);
        let (stdout, stderr) = process.take_pipes();
        Running {
            process,
            stdout: BufReader::new(stdout),
            stderr,
        }
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The next line, newline included.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }

    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Waits for its end and tells the status and what it said on stderr.
    pub fn wait(mut self) -> (Option<i32>, String) {
        let status = self.process.wait().code();
        let mut stderr = String::new();
        self.stderr.read_to_string(&mut stderr).unwrap();
        (status, stderr)
    }
}

/// `IDENTICAL`, as it is said of these bytes.
pub fn identical(bytes: &[u8]) -> String {
    let md5 = md5_of(bytes);
    format!("IDENTICAL md5={md5} {} bytes", bytes.len())
}

/// A log with lines that are all different.
pub fn log(lines: usize) -> Vec<u8> {
    (0..lines)
        .flat_map(|number| format!("Nov 22 13:29:56 box daemon[1]: line {number}\n").into_bytes())
        .collect()
}
