//! One daemon as a child process. What it says goes into files beside the others of its pair.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use super::super::process::{Guarded, Signal};
use super::super::wait::attempt;

/// A running daemon, killed when dropped.
pub struct Daemon {
    child: Guarded,
    errors: PathBuf,
    /// How much earlier runs have written to `errors`.
    said_before: usize,
}

impl Daemon {
    /// Starts it. Its words are added to those of earlier runs under the same name.
    pub fn start(mut command: Command, home: &Path, name: &str) -> Daemon {
        let errors = home.join(format!("{name}.err"));
        let said_before = text_of(&errors).len();
        command
            .env("TZ", "UTC0")
            .stdout(append_to(&home.join(format!("{name}.out"))))
            .stderr(append_to(&errors));
        Daemon {
            child: Guarded::start(&mut command),
            errors,
            said_before,
        }
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// How much memory it has, in KiB.
    pub fn memory_kib(&self) -> u64 {
        let status = text_of(Path::new(&format!("/proc/{}/status", self.pid())));
        let (_, rest) = status.split_once("VmRSS:").unwrap();
        rest.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// What it has complained of, without the runs before it.
    pub fn complaints(&self) -> String {
        let text = text_of(&self.errors);
        text.get(self.said_before..).unwrap_or_default().to_owned()
    }

    /// Waits until a server says where it listens.
    pub fn listening_address(&self) -> SocketAddr {
        attempt(|| {
            let said = self.complaints();
            let complete_lines = said.split_inclusive('\n').filter(|l| l.ends_with('\n'));
            complete_lines
                .filter_map(|line| line.split_once("listening on "))
                .find_map(|(_, address)| address.trim().parse().ok())
                .ok_or_else(|| format!("the server does not listen: {said}"))
        })
        .unwrap()
    }

    /// How it ended; `None` as long as it has not.
    pub fn end(&mut self) -> Option<ExitStatus> {
        self.child.end()
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        self.child.is_running()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        self.child.signal(signal);
    }

    /// SIGKILL, and waits for its end.
    pub fn kill(mut self) {
        self.child.kill();
    }

    /// Waits for its end and tells whether a signal caused it.
    pub fn was_killed(mut self) -> bool {
        self.child.wait().signal().is_some()
    }
}

/// The name of every server here.
pub const SERVER: &str = "server";

/// The name of every collector here.
pub const COLLECTOR: &str = "collector";

/// Everything the daemons of this name have said, in all runs, complaints last.
pub fn said(home: &Path, name: &str) -> String {
    told(home, name) + &complaints(home, name)
}

/// What they have written to their standard output.
pub fn told(home: &Path, name: &str) -> String {
    text_of(&home.join(format!("{name}.out")))
}

/// What they have complained of.
pub fn complaints(home: &Path, name: &str) -> String {
    text_of(&home.join(format!("{name}.err")))
}

fn append_to(path: &Path) -> File {
    let mut options = File::options();
    options.create(true).append(true).open(path).unwrap()
}

/// What is in a file that may not be there yet.
pub fn text_of(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}
