//! Processes of the tests: what they print is kept, every wait ends, and none outlives its test.
#![allow(dead_code)]

use std::io::Read;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};

use super::outside_program;
use super::wait::{eventually, until};

/// A started program, whoever hears what it says; killed when dropped.
pub struct Guarded(Child);

impl Guarded {
    /// Starts a program that has nothing to read.
    pub fn start(command: &mut Command) -> Guarded {
        Guarded::start_reading(command, Stdio::null())
    }

    /// Starts a program that reads from here.
    pub fn start_reading(command: &mut Command, stdin: impl Into<Stdio>) -> Guarded {
        let child = command.stdin(stdin).spawn();
        Guarded(child.unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        send(self.pid(), signal);
    }

    /// How it ended; `None` as long as it has not.
    pub fn end(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().unwrap()
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        self.end().is_none()
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        eventually("the end of a program", || self.end())
    }

    /// SIGKILL, at whatever it is doing, and waits for its end.
    pub fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// Its standard output and its complaints, for whoever started it with pipes. They can be taken once.
    pub fn take_pipes(&mut self) -> (ChildStdout, ChildStderr) {
        (self.take_stdout(), self.0.stderr.take().unwrap())
    }

    /// Its standard output alone.
    pub fn take_stdout(&mut self) -> ChildStdout {
        self.0.stdout.take().unwrap()
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A started program whose words are kept; killed when dropped.
pub struct Process {
    child: Guarded,
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
        Process::spawn(&mut command)
    }

    /// The same by a command that somebody else has.
    pub fn spawn(command: &mut Command) -> Process {
        let mut child = Guarded::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
        let (stdout, stderr) = child.take_pipes();
        Process {
            stdout: Printed::from(stdout),
            stderr: Printed::from(stderr),
            child,
        }
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        self.child.signal(signal);
    }

    /// Whether it is over.
    pub fn has_ended(&mut self) -> bool {
        !self.child.is_running()
    }

    /// SIGKILL, at whatever it is doing, and waits for its end.
    pub fn kill(&mut self) {
        self.child.kill();
    }

    /// Waits for its end, and until nobody is left who could print.
    pub fn wait(&mut self) -> Ended {
        let status = self.wait_for_status();
        until("closed stdout and stderr", || {
            self.stdout.is_over() && self.stderr.is_over()
        });
        Ended {
            status: status.code(),
            stdout: self.stdout.text(),
            stderr: self.stderr.text(),
        }
    }

    /// Waits for its end, whoever may still print in its name.
    pub fn wait_for_status(&mut self) -> ExitStatus {
        self.child.wait()
    }
}

/// Runs a program to its end.
pub fn run(command: Command) -> Ended {
    Process::start(command).wait()
}

/// Runs a shell's script to its end by each shell that routers and servers have and that is here: all say the same.
/// What is the script, and what it is given, is added by the caller.
pub fn same_by_shells(add_script: impl Fn(&mut Command)) -> Ended {
    let mut said: Vec<Ended> = Vec::new();
    for shell in [&["dash"][..], &["busybox", "sh"]] {
        let Some(program) = outside_program(shell[0]) else {
            continue;
        };
        let mut command = Command::new(program);
        command.args(&shell[1..]);
        add_script(&mut command);
        said.push(run(command));
    }
    let last = said.pop().unwrap();
    for other in said {
        assert_eq!(other.status, last.status);
        assert_eq!(other.stdout, last.stdout);
    }
    last
}

/// Sends a signal to a process.
pub fn send(pid: u32, signal: Signal) {
    try_send(pid, signal).unwrap();
}

/// Sends a signal to a process that may be gone; that is an error.
pub fn try_send(pid: u32, signal: Signal) -> rustix::io::Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    kill_process(pid.unwrap(), signal)
}

/// What comes out of a pipe, read as it comes.
#[derive(Clone)]
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

    /// All complete lines so far; at the end of everything also what has no newline.
    pub fn all(&self) -> Vec<String> {
        let is_over = self.is_over();
        let text = self.text();
        let lines = text.split_inclusive('\n');
        lines
            .filter(|line| is_over || line.ends_with('\n'))
            .map(|line| line.strip_suffix('\n').unwrap_or(line).to_owned())
            .collect()
    }

    /// Those of them that contain a text.
    pub fn with(&self, text: &str) -> Vec<String> {
        let mut lines = self.all();
        lines.retain(|line| line.contains(text));
        lines
    }

    /// The first complete line so far with `words` in it.
    pub fn line(&self, words: &str) -> Option<String> {
        let text = self.text();
        text.split_inclusive('\n')
            .filter_map(|line| line.strip_suffix('\n'))
            .find(|line| line.contains(words))
            .map(str::to_owned)
    }

    /// Waits for a line with `words` in it and returns the first of them.
    pub fn wait_for(&self, words: &str) -> String {
        self.wait_for_nth(words, 1)
    }

    /// Waits until so many lines have `words` in them and returns the last of these.
    pub fn wait_for_nth(&self, words: &str, count: usize) -> String {
        eventually(&format!("line {count} with {words:?}"), || {
            self.with(words).into_iter().nth(count - 1)
        })
    }

    fn is_over(&self) -> bool {
        self.0.lock().unwrap().is_over
    }
}

/// The processor time that a process has used, in hundredths of a second.
pub fn cpu_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, words) = stat.rsplit_once(") ").unwrap();
    let numbers = words.split(' ').skip(11).take(2);
    numbers.map(|number| number.parse::<u64>().unwrap()).sum()
}
