//! Processes of the tests: what they print is kept, every wait ends, and none outlives its test.
#![allow(dead_code)]

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};

/// After this a test has waited in vain.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Looks again and again until there is something to be had.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The same for what is only true or not.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    eventually(what, || is_so().then_some(()));
}

/// A started program; killed when dropped.
pub struct Process {
    child: Child,
    /// What it printed so far.
    pub stdout: Printed,
    /// What it complained of so far.
    pub stderr: Printed,
}

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit status; `None` if a signal ended it.
    pub status: Option<i32>,
    /// All it printed.
    pub stdout: String,
    /// All it complained of.
    pub stderr: String,
}

impl Process {
    /// Starts a program that has nothing to read.
    pub fn start(mut command: Command) -> Process {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Process {
            stdout: Printed::from(child.stdout.take().unwrap()),
            stderr: Printed::from(child.stderr.take().unwrap()),
            child,
        }
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        send(self.pid(), signal);
    }

    /// Whether it is over.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end, and until nobody is left who could print.
    pub fn wait(&mut self) -> Ended {
        let status: ExitStatus =
            eventually("the end of a program", || self.child.try_wait().unwrap());
        until("closed stdout and stderr", || {
            self.stdout.is_over() && self.stderr.is_over()
        });
        Ended {
            status: status.code(),
            stdout: self.stdout.text(),
            stderr: self.stderr.text(),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a program to its end.
pub fn run(command: Command) -> Ended {
    Process::start(command).wait()
}

/// Sends a signal to a process.
pub fn send(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// What comes out of a pipe, read as it comes.
pub struct Printed(Arc<Mutex<Output>>);

#[derive(Default)]
struct Output {
    bytes: Vec<u8>,
    is_over: bool,
}

impl Printed {
    fn from(mut pipe: impl Read + Send + 'static) -> Printed {
        let output = Arc::new(Mutex::new(Output::default()));
        let written = output.clone();
        thread::spawn(move || {
            let mut buf = [0; 4096];
            while let Ok(len @ 1..) = pipe.read(&mut buf) {
                written.lock().unwrap().bytes.extend(&buf[..len]);
            }
            written.lock().unwrap().is_over = true;
        });
        Printed(output)
    }

    /// Everything so far.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap().bytes).into_owned()
    }

    /// The first complete line so far with `words` in it.
    pub fn line(&self, words: &str) -> Option<String> {
        let text = self.text();
        text.split_inclusive('\n')
            .filter_map(|line| line.strip_suffix('\n'))
            .find(|line| line.contains(words))
            .map(str::to_owned)
    }

    /// Waits for a line with `words` in it.
    pub fn wait_for(&self, words: &str) -> String {
        eventually(&format!("a line with \"{words}\""), || self.line(words))
    }

    fn is_over(&self) -> bool {
        self.0.lock().unwrap().is_over
    }
}
