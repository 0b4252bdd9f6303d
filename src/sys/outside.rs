//! The helper: a copy of a daemon that stays outside of the daemon's walls
//! ([`confine`](super::confine)) and does what the daemon no longer can.
//!
//! It opens the configuration file, removes the pid file, and, where the walls shut out what a
//! daemon needs by now, starts a successor, which builds walls of its own. The process that the
//! service manager knows stays; it then only passes signals on and waits for the successor's end.
//! Whoever takes over a daemon can ask for these three things and for nothing else.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::confine::Confinement;
use super::line::{Line, Message, wait_for_any};
use super::pidfile::PidFile;
use super::process::{detach, set_process_name, wait_for};
use super::signals::{Signal, Signals};
use super::{cvt, error_saying, files, platform};
use crate::limits::SUCCESSORS_MS;

/// The way to the helper. When the last process that has one ends, the helper does.
pub struct Outside {
    line: Line,
    is_successor: bool,
}

/// A daemon's walls, and its way to what is outside of them.
pub struct Inside {
    /// The walls.
    pub walls: Confinement,
    /// The helper, where there are walls that it takes one for.
    pub outside: Option<Outside>,
}

impl Inside {
    /// How long a process works before it looks unasked whether its walls still fit. Whatever
    /// changes all the time, no more than one process a minute comes of it.
    pub fn patience_ms(&self, first_ms: u64) -> u64 {
        let is_successor = |outside: &Outside| outside.is_successor;
        match self.outside.as_ref().is_some_and(is_successor) {
            true => SUCCESSORS_MS,
            false => first_ms,
        }
    }
}

/// What the helper has to know.
pub struct Task<'a> {
    /// The file that it opens when it is asked.
    pub config: &'a Path,
    /// The file that it removes when it is asked.
    pub pid_file: Option<&'a PidFile>,
    /// Whether the daemon is on its way to the background. The helper, and every successor, lets go
    /// of the terminal at once: the first process has said by then all that is to be heard there.
    pub is_background: bool,
}

/// What a process has at its side after [`split`].
pub enum Held<T> {
    /// In the first process: what it had before.
    Kept(T),
    /// In a successor: what its predecessor handed over.
    Handed(Option<OwnedFd>),
}

// The messages. A question is answered by a message of the same kind.
const CONFIG: u8 = b'c';
const PID_FILE: u8 = b'p';
const SUCCESSOR: u8 = b's';
const SIGNAL: u8 = b'k';
const ENDED: u8 = b'e';

/// Forks the helper. Returns in the first process, and once more in each successor; the helper
/// itself never returns. What only one process may have is given in `held`; the helper lets it go,
/// and catches the signals by itself, which a successor goes on with.
///
/// For a program of one thread, before it builds its walls.
pub fn split<T>(
    task: &Task<'_>,
    signals: Signals,
    held: T,
) -> io::Result<(Outside, Signals, Held<T>)> {
    let (inside, outside) = Line::pair()?;
    let first_pid = std::process::id();
    // SAFETY: the caller has one thread, so the child is a whole copy of the program.
    if cvt(unsafe { libc::fork() })? != 0 {
        let line = inside;
        let first = Outside {
            line,
            is_successor: false,
        };
        return Ok((first, signals, Held::Kept(held)));
    }
    drop((inside, held, signals));
    set_process_name(NAME);
    if task.is_background {
        detach()?;
    }
    // A signal to all processes of the terminal is for the daemon. The helper catches it and does
    // nothing; a successor catches signals from its first moment on, and acts on them.
    let signals = Signals::install(Signals::ALL)?;
    let (line, handed) = Helper::new(outside, first_pid).run(task);
    let successor = Outside {
        line,
        is_successor: true,
    };
    Ok((successor, signals, Held::Handed(handed)))
}

const NAME: &str = "logs_helper";

/// The wait where the system has no room for a wait of another kind.
const PAUSE: Duration = Duration::from_millis(100);

impl Outside {
    /// The configuration file, opened anew.
    pub fn config(&self) -> io::Result<File> {
        let answer = self.ask(CONFIG)?;
        let failed = || io::Error::from_raw_os_error(answer.value.into());
        answer.fd.map(File::from).ok_or_else(failed)
    }

    /// Has the pid file removed, if it still is this daemon's.
    pub fn remove_pid_file(&self) {
        // It stays behind without harm: the next start looks whether its process runs.
        if !self.is_successor {
            let _ = self.ask(PID_FILE);
        }
    }

    /// Hands the work over to a successor, with an open socket perhaps, and gives the status to end
    /// with. In the first process that takes until the successor's own end.
    ///
    /// Let go of everything else before: the successor starts as if there was nobody else.
    pub fn hand_over(&self, socket: Option<OwnedFd>, mut signals: Signals) -> u8 {
        let sent = self
            .line
            .send(SUCCESSOR, 0, socket.as_ref().map(AsFd::as_fd));
        drop(socket);
        if sent.is_err() {
            return 1;
        }
        self.pass_on(&mut signals);
        match self.is_successor {
            true => 0,
            false => self.accompany(&mut signals),
        }
    }

    /// Leaves the signals that came to the successor.
    fn pass_on(&self, signals: &mut Signals) {
        for signal in signals.drain() {
            let _ = self.line.send(SIGNAL, signal as u8, None);
        }
    }

    /// Passes signals on until the successor has ended.
    fn accompany(&self, signals: &mut Signals) -> u8 {
        loop {
            self.pass_on(signals);
            match wait_for_any([Some(self.line.as_fd()), Some(signals.as_fd())]) {
                Ok([false, _]) => {}
                Ok([true, _]) => break,
                Err(_) => thread::sleep(PAUSE),
            }
        }
        match self.line.receive() {
            Ok(Some(ended)) if ended.kind == ENDED => ended.value,
            _ => 1,
        }
    }

    fn ask(&self, kind: u8) -> io::Result<Message> {
        let answer = self
            .line
            .send(kind, 0, None)
            .and_then(|()| self.line.receive());
        let text = "the helper process is gone, only a new start brings it back";
        let gone = || error_saying(ErrorKind::BrokenPipe, text);
        answer.ok().flatten().ok_or_else(gone)
    }
}

/// The state of the helper process.
struct Helper {
    /// To the first process.
    first: Line,
    first_pid: u32,
    successor: Option<Successor>,
    /// Signals that came while there was nobody to act on them.
    owed: heapless::Vec<Signal, { Signals::ALL.len() }>,
}

struct Successor {
    line: Line,
    pid: libc::pid_t,
    /// What it handed over, once it has done so.
    handed: Option<Option<OwnedFd>>,
}

impl Helper {
    fn new(first: Line, first_pid: u32) -> Helper {
        Helper {
            first,
            first_pid,
            successor: None,
            owed: heapless::Vec::new(),
        }
    }

    /// Serves until the first process has ended, and then ends itself. Returns only in a successor,
    /// with what that needs.
    fn run(mut self, task: &Task<'_>) -> (Line, Option<OwnedFd>) {
        loop {
            let successor = self.successor.as_ref().map(|one| one.line.as_fd());
            let Ok(ready) = wait_for_any([Some(self.first.as_fd()), successor]) else {
                // For want of memory: there will be some again.
                thread::sleep(PAUSE);
                continue;
            };
            let begun = match ready {
                [true, _] => self.hear_first(task),
                [false, _] => self.hear_successor(task),
            };
            if let Some(begun) = begun {
                return begun;
            }
        }
    }

    fn hear_first(&mut self, task: &Task<'_>) -> Option<(Line, Option<OwnedFd>)> {
        let Ok(Some(message)) = self.first.receive() else {
            self.end();
        };
        match message.kind {
            CONFIG => send_config(&self.first, task),
            PID_FILE => {
                if let Some(file) = task.pid_file {
                    file.remove_for(self.first_pid);
                }
                let _ = self.first.send(PID_FILE, 0, None);
            }
            SIGNAL => self.pass_on(message.value),
            SUCCESSOR if self.successor.is_none() => return self.begin(message.fd),
            _ => {}
        }
        None
    }

    fn hear_successor(&mut self, task: &Task<'_>) -> Option<(Line, Option<OwnedFd>)> {
        let successor = self.successor.as_mut()?;
        match successor.line.receive() {
            Ok(Some(message)) => {
                match message.kind {
                    CONFIG => send_config(&successor.line, task),
                    SUCCESSOR => successor.handed = Some(message.fd),
                    SIGNAL => self.pass_on(message.value),
                    _ => {}
                }
                None
            }
            Ok(None) | Err(_) => {
                let status = wait_for(successor.pid);
                match self.successor.take()?.handed {
                    Some(handed) => self.begin(handed),
                    None => {
                        let _ = self.first.send(ENDED, status, None);
                        None
                    }
                }
            }
        }
    }

    /// Starts a successor; returns in it with what it needs.
    fn begin(&mut self, handed: Option<OwnedFd>) -> Option<(Line, Option<OwnedFd>)> {
        let helper = std::process::id();
        let Ok((inside, outside)) = Line::pair() else {
            self.end();
        };
        // SAFETY: the helper has one thread, so the child is a whole copy of it.
        match cvt(unsafe { libc::fork() }) {
            Ok(0) => {
                platform::end_with_parent(helper);
                Some((inside, handed))
            }
            Ok(pid) => {
                self.successor = Some(Successor {
                    line: outside,
                    pid,
                    handed: None,
                });
                for signal in std::mem::take(&mut self.owed) {
                    self.pass_on(signal as u8);
                }
                None
            }
            Err(_) => self.end(),
        }
    }

    /// Sends a signal to the successor; to the next one, if that has handed over already.
    fn pass_on(&mut self, number: u8) {
        let wanted = |signal: &&Signal| **signal as u8 == number;
        let Some(signal) = Signals::ALL.iter().find(wanted) else {
            return;
        };
        match &self.successor {
            Some(successor) if successor.handed.is_none() => {
                // SAFETY: takes numbers. The successor is our child, and nobody has waited for it,
                // so the number is still its own.
                unsafe { libc::kill(successor.pid, signal.number()) };
            }
            _ if self.owed.contains(signal) => {}
            _ => _ = self.owed.push(*signal),
        }
    }

    /// Ends the helper, and a successor with it.
    fn end(&self) -> ! {
        if let Some(successor) = &self.successor {
            // SAFETY: as above.
            unsafe { libc::kill(successor.pid, libc::SIGKILL) };
        }
        // SAFETY: takes a number and does not return. What the program would do at its end is for
        // the first process to do.
        unsafe { libc::_exit(0) }
    }
}

fn send_config(line: &Line, task: &Task<'_>) {
    let opened = files::open_without_waiting(task.config);
    let _ = match &opened {
        Ok(file) => line.send(CONFIG, 0, Some(file.as_fd())),
        Err(error) => {
            let number = error.raw_os_error().unwrap_or(libc::EIO);
            line.send(
                CONFIG,
                u8::try_from(number).unwrap_or(libc::EIO as u8),
                None,
            )
        }
    };
}
