//! A program that runs, alone or under strace.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::common::FETCHLOGS;
use crate::common::pair::daemon::Daemon;
use crate::common::process::{Signal, try_send};

/// A running program, killed when dropped.
pub struct Running {
    /// The program, or strace in front of it.
    daemon: Daemon,
    traced: bool,
}

/// How a program has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// With this status.
    Status(i32),
    /// By this signal.
    Signal(i32),
}

/// How to run it.
pub enum How<'a> {
    /// As it is.
    Plain,
    /// Under strace, with these of its options.
    Traced(&'a Path, &'a [String]),
}

impl Running {
    /// Starts the program with these arguments. What it says is added to `NAME.out` and `NAME.err` in `home`.
    pub fn start(how: &How<'_>, home: &Path, name: &str, arguments: &[String]) -> Running {
        let (mut command, traced) = match how {
            How::Plain => (Command::new(FETCHLOGS), false),
            How::Traced(strace, options) => {
                let mut command = Command::new(strace);
                command.args(*options).arg(FETCHLOGS);
                (command, true)
            }
        };
        command.args(arguments).env_remove("LD_LIBRARY_PATH");
        Running {
            daemon: Daemon::start(command, home, name),
            traced,
        }
    }

    /// How it has ended, if it has. strace ends as what it traces does.
    pub fn end(&mut self) -> Option<End> {
        let status = self.daemon.end()?;
        Some(match (status.code(), status.signal()) {
            (Some(code), _) => End::Status(code),
            (None, signal) => End::Signal(signal.unwrap_or(0)),
        })
    }

    /// What it has complained of, without the runs before it.
    pub fn complaints(&self) -> String {
        self.daemon.complaints()
    }

    /// Sends a signal, once the program has got so far as to catch it. Tells whether it was sent.
    pub fn signal(&self, signal: Signal) -> bool {
        self.pids().into_iter().any(|pid| {
            let is_it = fs::read_link(format!("/proc/{pid}/exe"))
                .is_ok_and(|exe| exe == Path::new(FETCHLOGS));
            is_it && catches(pid, signal) && try_send(pid, signal).is_ok()
        })
    }

    /// Whether it executes nothing more, although it has not ended for whoever started it.
    pub fn is_ending(&self) -> bool {
        self.pids().into_iter().any(is_exiting)
    }

    /// SIGKILL, and waits for its end.
    pub fn kill(mut self) {
        self.put_to_death();
    }

    fn put_to_death(&mut self) {
        while self.end().is_none() {
            for pid in self.pids_left() {
                // It may have ended by itself.
                let _ = try_send(pid, Signal::KILL);
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// The program itself; while strace starts, perhaps helpers of strace's own.
    fn pids(&self) -> Vec<u32> {
        let pid = self.daemon.pid();
        if !self.traced {
            return vec![pid];
        }
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let children = children.unwrap_or_default();
        let numbers = children.split_whitespace().map(str::parse);
        numbers.filter_map(Result::ok).collect()
    }

    /// The program, or else the helper that has outlived it, for whose end strace waits.
    fn pids_left(&self) -> Vec<u32> {
        match self.pids() {
            pids if pids.is_empty() && self.traced => traced_by(self.daemon.pid()),
            pids => pids,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.put_to_death();
    }
}

/// The processes that this one traces, whoever their parent is now.
fn traced_by(tracer: u32) -> Vec<u32> {
    let line = format!("TracerPid:\t{tracer}");
    let is_traced = |pid: &u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.lines().any(|of| of == line)
    };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(is_traced).collect()
}

/// Whether the kernel is taking a process apart, or has done so and nobody has asked for its status: the flag
/// `PF_EXITING` in proc_pid_stat(5).
fn is_exiting(pid: u32) -> bool {
    const EXITING: u32 = 4;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name may have anything in it. Behind it come the state, five numbers and the flags.
    let behind = stat.rsplit_once(") ").map_or("", |(_, behind)| behind);
    let flags = behind.split(' ').nth(6).map(str::parse::<u32>);
    matches!(flags, Some(Ok(flags)) if flags & EXITING != 0)
}

fn catches(pid: u32, signal: Signal) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    caught.is_some_and(|mask| mask & 1 << (signal.as_raw() - 1) != 0)
}

#[test]
fn who_was_killed_is_exiting_until_somebody_asks() {
    let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
    let pid = child.id();
    assert!(!is_exiting(pid));
    child.kill().unwrap();
    while !is_exiting(pid) {
        thread::yield_now();
    }
    child.wait().unwrap();
    assert!(!is_exiting(pid));
}
