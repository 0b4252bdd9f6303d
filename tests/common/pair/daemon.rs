//! One daemon as a child process. What it says goes into files beside the others of its pair.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::wait::eventually;

/// A running daemon, killed when dropped.
pub struct Daemon {
    child: Child,
    errors: PathBuf,
    /// How much earlier runs have written to `errors`.
    said_before: usize,
}

impl Daemon {
    /// Starts it. Its words are added to those of earlier runs under the same name.
    pub fn start(mut command: Command, home: &Path, name: &str) -> Daemon {
        let errors = home.join(format!("{name}.err"));
        let said_before = text_of(&errors).len();
        let child = command
            .env("TZ", "UTC0")
            .stdin(Stdio::null())
            .stdout(append_to(&home.join(format!("{name}.out"))))
            .stderr(append_to(&errors))
            .spawn()
            .unwrap();
        Daemon {
            child,
            errors,
            said_before,
        }
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until a server says where it listens.
    pub fn listening_address(&self) -> SocketAddr {
        eventually(|| {
            let text = text_of(&self.errors);
            let said = text.get(self.said_before..).unwrap_or_default();
            let complete_lines = said.split_inclusive('\n').filter(|l| l.ends_with('\n'));
            complete_lines
                .filter_map(|line| line.split_once("listening on "))
                .find_map(|(_, address)| address.trim().parse().ok())
                .ok_or_else(|| format!("the server does not listen: {said}"))
        })
        .unwrap()
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Sends a signal by its name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.pid());
        let status = Command::new("sh").args(["-c", &kill]).status().unwrap();
        assert!(status.success());
    }

    /// SIGKILL, and waits for its end.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end and tells whether a signal caused it.
    pub fn was_killed(mut self) -> bool {
        let status = eventually(|| {
            let status = self.child.try_wait().unwrap();
            status.ok_or_else(|| "the daemon does not end".to_owned())
        });
        status.unwrap().signal().is_some()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Everything the daemons of this name have said, in all runs, complaints last.
pub fn said(home: &Path, name: &str) -> String {
    told(home, name) + &text_of(&home.join(format!("{name}.err")))
}

/// What they have written to their standard output.
pub fn told(home: &Path, name: &str) -> String {
    text_of(&home.join(format!("{name}.out")))
}

fn append_to(path: &Path) -> File {
    let mut options = File::options();
    options.create(true).append(true).open(path).unwrap()
}

fn text_of(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}
