//! The helper: a copy of a daemon that stays outside of the daemon's walls
//! ([`confine`](super::confine)) and does what the daemon no longer can.
//!
//! It reads the configuration file, removes the pid file, and, where the walls shut out what a
//! daemon needs by now, starts a successor, which builds walls of its own. Before that it can be
//! asked to rehearse: what would keep a successor from its work is better known while there still
//! is somebody who works. The process that the service manager knows stays; it then only passes
//! signals on and waits for the successor's end. A successor that ends before it is ready is
//! followed by another try. The helper's own end is neither's; the successor ends with the first
//! process. And it runs a program that the operator has named, for what happens ([`hooks`]).
//! Whoever takes over a daemon can ask for these things and for nothing else.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, ErrorKind, PipeReader, PipeWriter};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::confine::Confinement;
use super::hooks::{self, Hook, Hooks, Runner};
use super::line::{Line, Message, wait_for_any};
use super::pidfile::PidFile;
use super::process::{detach, set_process_name, wait_for};
use super::signals::{Signal, Signals};
use super::{cvt, error_saying, files, once_more, platform};
use crate::limits::{HELPER_FILE_MAX_LEN, HELPER_TIMEOUT_MS, SUCCESSOR_RETRY_MS, SUCCESSORS_MS};

/// The way to the helper. When the first process ends, the helper and every successor do.
pub struct Outside {
    line: Line,
    is_successor: bool,
    /// Questions without an answer so far.
    unanswered: Cell<u32>,
    hooks: Option<Hooks>,
    /// In the first process: when that ends, successors do. In a successor: the other end.
    _life: Life,
}

enum Life {
    Own { _end: PipeWriter },
    Others { _end: PipeReader },
}

/// A daemon's walls, and its way to what is outside of them.
pub struct Inside {
    /// The walls.
    pub walls: Confinement,
    /// The helper, where there are walls that it takes one for.
    pub outside: Option<Outside>,
}

impl Inside {
    /// Says that this process has begun to work: what can fail at a start has been tried.
    pub fn begun(&self) {
        if let Some(outside) = self.outside.as_ref().filter(|one| one.is_successor) {
            // Without a helper there is nobody who would try again.
            let _ = outside.line.send(READY, 0, None);
        }
    }

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

/// What became of a try of all that a successor does before it needs what its predecessor has:
/// what it would tell of, line by line, or why it could not begin.
pub type Rehearsal = Result<String, String>;

/// What the helper has to know.
pub struct Task<'a> {
    /// What it hands over when it is asked for the configuration.
    pub config: &'a dyn Fn() -> io::Result<File>,
    /// What it does when it is asked for a [`Rehearsal`].
    pub rehearse: &'a dyn Fn() -> Rehearsal,
    /// The file that it removes when it is asked.
    pub pid_file: Option<&'a PidFile>,
    /// Whether the daemon is on its way to the background. The helper, and every successor, lets go
    /// of the terminal at once: the first process has said by then all that is to be heard there.
    pub is_background: bool,
    /// The program that it runs when it is asked.
    pub hook: Option<&'a Hook>,
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
/// The answer has the text as a file, and the value says whether a successor could begin.
const REHEARSAL: u8 = b't';
/// To the helper: begin a successor, with what comes along or was there before.
const SUCCESSOR: u8 = b's';
const SIGNAL: u8 = b'k';
/// Of a successor.
const READY: u8 = b'r';
/// To the first process: there is a successor, and this is its descriptor.
const BEGUN: u8 = b'b';
/// To the first process: the successor has ended, with this status.
const ENDED: u8 = b'e';
/// To the first process: it has ended before it was ready.
const FAILED: u8 = b'f';

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
    let (others, own) = io::pipe()?;
    let first_pid = std::process::id();
    let mut runner = Runner::new(task.hook);
    let hooks = runner.new_line();
    // SAFETY: the caller has one thread, so the child is a whole copy of the program.
    if cvt(unsafe { libc::fork() })? != 0 {
        let first = Outside::new((inside, hooks), false, Life::Own { _end: own });
        return Ok((first, signals, Held::Kept(held)));
    }
    drop((inside, hooks, own, held, signals));
    set_process_name(NAME);
    if task.is_background {
        detach()?;
    }
    // A signal to all processes of the terminal is for the daemon. The helper catches it and does
    // nothing; a successor catches signals from its first moment on, and acts on them.
    let signals = once_more(|| Signals::install(Signals::ALL))?;
    let (lines, handed) = Helper::new(outside, first_pid, runner).run(task);
    platform::end_with(&others);
    let successor = Outside::new(lines, true, Life::Others { _end: others });
    Ok((successor, signals, Held::Handed(handed)))
}

const NAME: &str = "logs_helper";

impl Outside {
    fn new((line, hooks): Lines, is_successor: bool, life: Life) -> Outside {
        Outside {
            line,
            is_successor,
            unanswered: Cell::new(0),
            hooks,
            _life: life,
        }
    }

    /// The way to have a program run, where the operator has named one. It is given once.
    pub fn take_hooks(&mut self) -> Option<Hooks> {
        self.hooks.take()
    }

    /// The configuration as it is now, as [`Task::config`] gives it. Fails with `TimedOut` where
    /// the helper has no answer in time, because it was stopped, or waits for a disk.
    pub fn config(&self) -> io::Result<File> {
        let answer = self.ask(CONFIG)?;
        let failed = || io::Error::from_raw_os_error(answer.value.into());
        answer.fd.map(File::from).ok_or_else(failed)
    }

    /// Has the helper do now what would be done first for a successor. Fails as
    /// [`config`](Self::config) does.
    pub fn rehearse(&self) -> io::Result<Rehearsal> {
        let answer = self.ask(REHEARSAL)?;
        let fd = answer.fd.ok_or(ErrorKind::OutOfMemory)?;
        let text = files::read_small(&File::from(fd), REHEARSAL_MAX_LEN)?;
        let text = String::from_utf8_lossy(&text).into_owned();
        Ok(match answer.value {
            0 => Ok(text),
            _ => Err(text),
        })
    }

    /// Has the pid file removed, if it still is this daemon's. Where it is not, [`PidFile`] empties
    /// it in the end.
    pub fn remove_pid_file(&self) {
        if !self.is_successor {
            let _ = self.ask(PID_FILE);
        }
    }

    /// Hands the work over to a successor, with an open socket perhaps, and gives the status to end
    /// with. In the first process that takes until the end of the last successor.
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
        match self.is_successor {
            true => {
                self.pass_on(&mut signals);
                0
            }
            false => self.accompany(&mut signals),
        }
    }

    /// Leaves the signals that came to the successor. Tells whether one of them is to end the
    /// daemon.
    fn pass_on(&self, signals: &mut Signals) -> bool {
        let mut ends = false;
        for signal in signals.drain() {
            ends |= signal.is_to_end();
            let _ = self.line.send(SIGNAL, signal as u8, None);
        }
        ends
    }

    /// Passes signals on until a successor that was ready has ended.
    fn accompany(&self, signals: &mut Signals) -> u8 {
        let mut successor = None;
        let mut is_ending = false;
        loop {
            is_ending |= self.pass_on(signals);
            if !wait_for_any([Some(self.line.as_fd()), Some(signals.as_fd())], -1)[0] {
                continue;
            }
            let Ok(Some(message)) = self.line.receive() else {
                return accompany_alone(successor, signals);
            };
            match message.kind {
                BEGUN => successor = message.fd,
                FAILED => {
                    if !is_ending {
                        // Whatever comes meanwhile, it is reason to try at once, or to end.
                        wait_for_any([Some(signals.as_fd()), None], SUCCESSOR_RETRY_MS as _);
                    }
                    if is_ending || signals.drain().any(Signal::is_to_end) {
                        return 0;
                    }
                    let _ = self.line.send(SUCCESSOR, 0, None);
                }
                _ => return message.value,
            }
        }
    }

    fn ask(&self, kind: u8) -> io::Result<Message> {
        let gone = |error: io::Error| match error.kind() {
            ErrorKind::WouldBlock => silent(),
            _ => error_saying(
                ErrorKind::BrokenPipe,
                "the helper process is gone, only a new start brings it back",
            ),
        };
        self.line.send(kind, 0, None).map_err(gone)?;
        self.unanswered.set(self.unanswered.get() + 1);
        loop {
            if !wait_for_any([Some(self.line.as_fd()), None], HELPER_TIMEOUT_MS as _)[0] {
                return Err(silent());
            }
            let answer = self
                .line
                .receive()
                .and_then(|answer| answer.ok_or(ErrorKind::BrokenPipe.into()))
                .map_err(gone)?;
            // An answer to an earlier question may be long out of date.
            self.unanswered.set(self.unanswered.get() - 1);
            if self.unanswered.get() == 0 {
                return Ok(answer);
            }
        }
    }
}

/// Waits for the end of a successor without a helper, and so without a way to pass signals on: one
/// that is to end the daemon ends this process, and the kernel the other one.
fn accompany_alone(successor: Option<OwnedFd>, signals: &mut Signals) -> u8 {
    while let Some(successor) = &successor {
        if signals.drain().any(Signal::is_to_end) {
            return 0;
        }
        if wait_for_any([Some(successor.as_fd()), Some(signals.as_fd())], -1)[0] {
            break;
        }
    }
    1
}

/// More than some twenty lines with the longest paths.
const REHEARSAL_MAX_LEN: usize = 256 * 1024;

fn silent() -> io::Error {
    error_saying(ErrorKind::TimedOut, "the helper process does not answer")
}

/// The two lines to a helper.
type Lines = (Line, Option<Hooks>);

/// The state of the helper process.
struct Helper<'a> {
    /// To the first process.
    first: Line,
    first_pid: u32,
    successor: Option<Successor>,
    /// For whoever takes over next, and for his next try, until he is ready.
    handed: Option<OwnedFd>,
    /// Signals that came while there was nobody to act on them.
    owed: heapless::Vec<Signal, { Signals::ALL.len() }>,
    runner: Runner<'a>,
}

struct Successor {
    line: Line,
    pid: libc::pid_t,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Starting,
    Ready,
    HandedOver,
    /// It was stopped before it was known to be ready.
    Stopped,
}

impl<'a> Helper<'a> {
    fn new(first: Line, first_pid: u32, runner: Runner<'a>) -> Helper<'a> {
        Helper {
            first,
            first_pid,
            successor: None,
            handed: None,
            owed: heapless::Vec::new(),
            runner,
        }
    }

    /// Serves until the first process has ended, and then ends itself. Returns only in a successor,
    /// with what that needs.
    fn run(mut self, task: &Task<'_>) -> (Lines, Option<OwnedFd>) {
        loop {
            let begun = match wait_for_any(self.ends(), self.runner.wait_ms()) {
                [true, ..] => self.hear_first(task),
                [_, true, ..] => self.hear_successor(task),
                _ => None,
            };
            if let Some(lines) = begun {
                return (lines, self.handed);
            }
            self.runner.turn();
        }
    }

    /// What is to be waited for.
    fn ends(&self) -> [Option<BorrowedFd<'_>>; 2 + hooks::ENDS] {
        let mut ends = [None; 2 + hooks::ENDS];
        ends[0] = Some(self.first.as_fd());
        ends[1] = self.successor.as_ref().map(|one| one.line.as_fd());
        ends[2..].copy_from_slice(&self.runner.ends());
        ends
    }

    fn hear_first(&mut self, task: &Task<'_>) -> Option<Lines> {
        let Ok(Some(message)) = self.first.receive() else {
            self.runner.end();
            // A successor is ended by the kernel.
            // SAFETY: takes a number and does not return. What the program would do at its end is
            // for the first process to do.
            unsafe { libc::_exit(0) }
        };
        match message.kind {
            CONFIG => send_config(&self.first, task),
            REHEARSAL => send_rehearsal(&self.first, task),
            PID_FILE => {
                if let Some(file) = task.pid_file {
                    file.remove_for(self.first_pid);
                }
                let _ = self.first.send(PID_FILE, 0, None);
            }
            SIGNAL => self.pass_on(message.value),
            SUCCESSOR if self.successor.is_none() => {
                self.handed = message.fd.or(self.handed.take());
                return self.begin();
            }
            _ => {}
        }
        None
    }

    fn hear_successor(&mut self, task: &Task<'_>) -> Option<Lines> {
        let successor = self.successor.as_mut()?;
        let Ok(Some(message)) = successor.line.receive() else {
            let (status, stage) = (wait_for(successor.pid), successor.stage);
            self.successor = None;
            let (kind, value) = match stage {
                Stage::Starting | Stage::Stopped => (FAILED, 0),
                Stage::Ready => (ENDED, status),
                Stage::HandedOver => return self.begin(),
            };
            let _ = self.first.send(kind, value, None);
            return None;
        };
        match message.kind {
            CONFIG => send_config(&successor.line, task),
            REHEARSAL => send_rehearsal(&successor.line, task),
            READY if successor.stage == Stage::Starting => {
                successor.stage = Stage::Ready;
                self.handed = None;
            }
            SUCCESSOR => {
                successor.stage = Stage::HandedOver;
                self.handed = message.fd;
            }
            SIGNAL => self.pass_on(message.value),
            _ => {}
        }
        None
    }

    /// Starts a successor; returns in it with its lines.
    fn begin(&mut self) -> Option<Lines> {
        let hooks = self.runner.new_line();
        // SAFETY: the helper has one thread, so the child is a whole copy of it.
        let fork = || cvt(unsafe { libc::fork() });
        let begun = Line::pair().and_then(|(inside, outside)| Ok((inside, outside, fork()?)));
        match begun {
            Ok((inside, _, 0)) => return Some((inside, hooks)),
            Ok((_, line, pid)) => {
                let process = platform::process(pid).ok();
                let process = process.as_ref().map(AsFd::as_fd);
                let _ = self.first.send(BEGUN, 0, process);
                self.successor = Some(Successor {
                    line,
                    pid,
                    stage: Stage::Starting,
                });
                for signal in std::mem::take(&mut self.owed) {
                    self.send_signal(signal.number());
                }
            }
            Err(_) => _ = self.first.send(FAILED, 0, None),
        }
        None
    }

    fn send_signal(&self, number: libc::c_int) {
        if let Some(successor) = &self.successor {
            // SAFETY: takes numbers. The successor is our child, and nobody has waited for it, so
            // the number is still its own.
            unsafe { libc::kill(successor.pid, number) };
        }
    }

    /// Sends a signal to the successor; to the next one, if that has handed over already.
    fn pass_on(&mut self, number: u8) {
        let wanted = |signal: &&Signal| **signal as u8 == number;
        let Some(signal) = Signals::ALL.iter().find(wanted) else {
            return;
        };
        match self
            .successor
            .as_mut()
            .map(|successor| &mut successor.stage)
        {
            // One that has not begun has nothing to finish, and may wait for a disk. The first
            // process will not want another one.
            Some(stage @ Stage::Starting) if signal.is_to_end() => {
                *stage = Stage::Stopped;
                self.send_signal(libc::SIGKILL);
            }
            Some(Stage::Starting | Stage::Ready) => self.send_signal(signal.number()),
            _ if self.owed.contains(signal) => {}
            _ => _ = self.owed.push(*signal),
        }
    }
}

fn send_config(line: &Line, task: &Task<'_>) {
    let opened = (task.config)().and_then(in_memory);
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

fn send_rehearsal(line: &Line, task: &Task<'_>) {
    let rehearsal = (task.rehearse)();
    let (Ok(text) | Err(text)) = &rehearsal;
    let text = platform::file_in_memory(text.as_bytes()).ok();
    let text = text.as_ref().map(AsFd::as_fd);
    let _ = line.send(REHEARSAL, u8::from(rehearsal.is_err()), text);
}

/// A file without a name that holds these bytes.
pub fn file_of(bytes: &[u8]) -> io::Result<File> {
    platform::file_in_memory(bytes)
}

/// What is in a regular file, read here: a daemon must not wait for a disk that is far away. It is
/// for the daemon to refuse any other file.
fn in_memory(file: File) -> io::Result<File> {
    if !file.metadata()?.is_file() {
        return Ok(file);
    }
    platform::file_in_memory(&files::read_small(&file, HELPER_FILE_MAX_LEN)?)
}
