//! The signals of the process, as one more readable descriptor.
//!
//! The handler notes the signal in a set of bits and writes one byte into a pipe. The pipe only
//! wakes the loop: a full pipe loses nothing, and a signal that comes ten times before the loop
//! looks counts once.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use super::{cvt, error_saying, platform};

/// The signals a daemon acts on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// Stop.
    Term,
    /// Stop, from the keyboard.
    Int,
    /// Read the configuration again.
    Hup,
    /// Reopen files and say how things are.
    Usr1,
}

impl Signal {
    const ALL: [Signal; 4] = [Signal::Term, Signal::Int, Signal::Hup, Signal::Usr1];

    pub(super) const fn number(self) -> libc::c_int {
        match self {
            Signal::Term => libc::SIGTERM,
            Signal::Int => libc::SIGINT,
            Signal::Hup => libc::SIGHUP,
            Signal::Usr1 => libc::SIGUSR1,
        }
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// The signals of this process, caught. Dropping it gives each back the effect it had before.
///
/// Register it for reading (it is edge-triggered like everything else) and
/// [`drain`](Signals::drain) it when it is.
pub struct Signals {
    wakeups: File,
    wake: OwnedFd,
    replaced: heapless::Vec<(Signal, libc::sigaction), { Signal::ALL.len() }>,
}

/// Signals that came and were not drained yet.
static PENDING: AtomicU32 = AtomicU32::new(0);
/// The descriptor to which the handler writes; below 0 while nobody wants to know.
static WAKE: AtomicI32 = AtomicI32::new(-1);

impl Signals {
    /// What a daemon catches.
    pub const ALL: &[Signal] = &Signal::ALL;

    /// Catches `wanted` from now on. The process has one set of signals: `AlreadyExists` while
    /// another `Signals` catches any. With an empty list nothing is caught and any number may
    /// exist, which is what tests want.
    pub fn install(wanted: &[Signal]) -> io::Result<Signals> {
        let (read_end, write_end) = nonblocking_pipe()?;
        let mut signals = Signals {
            wakeups: File::from(read_end),
            wake: write_end,
            replaced: heapless::Vec::new(),
        };
        if !wanted.is_empty() {
            claim(signals.wake.as_raw_fd())?;
        }
        for signal in wanted {
            signals.catch(*signal)?;
        }
        Ok(signals)
    }

    /// The signals that came since the last call, each once, in the order of the enum.
    pub fn drain(&mut self) -> impl Iterator<Item = Signal> + use<> {
        self.empty_pipe();
        // Only after the pipe: a signal between the two then leaves a byte too many, not a bit
        // nobody looks for.
        let came = if self.replaced.is_empty() {
            0
        } else {
            PENDING.swap(0, Ordering::SeqCst)
        };
        Signal::ALL
            .into_iter()
            .filter(move |signal| came & signal.bit() != 0)
    }

    fn catch(&mut self, signal: Signal) -> io::Result<()> {
        if self.replaced.iter().any(|(caught, _)| *caught == signal) {
            return Ok(());
        }
        let before = set_action(
            signal,
            &action_of(handle as *const () as libc::sighandler_t),
        )?;
        // There is room for every signal once.
        let _ = self.replaced.push((signal, before));
        Ok(())
    }

    fn empty_pipe(&mut self) {
        let mut bytes = [0; 64];
        loop {
            match self.wakeups.read(&mut bytes) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }
}

/// For a copy of this process: the signals that it gets are for the other one, and are not passed
/// on.
pub(super) fn leave_to_parent() {
    WAKE.store(-1, Ordering::SeqCst);
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wakeups.as_fd()
    }
}

impl AsRawFd for Signals {
    fn as_raw_fd(&self) -> RawFd {
        self.wakeups.as_raw_fd()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for (signal, before) in &self.replaced {
            // It was in force before, so it is valid; there is nobody to tell if it is not.
            let _ = set_action(*signal, before);
        }
        let ours = self.wake.as_raw_fd();
        // Only a `Signals` that catches something has its descriptor there; the empty ones of tests
        // leave it alone.
        if WAKE
            .compare_exchange(ours, -1, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
        {
            PENDING.store(0, Ordering::SeqCst);
        }
    }
}

/// Ignores what would end a daemon for no good reason: SIGPIPE, so that a write to a connection
/// that the peer closed is an error instead, SIGXFSZ, so that a file that may not become larger is
/// one (setrlimit(2)), and SIGIO, which the kernel sends when somebody wants a file we hold a lease
/// on.
pub fn ignore_stray_signals() {
    for signal in [libc::SIGPIPE, libc::SIGXFSZ, libc::SIGIO] {
        // SAFETY: ignoring a signal runs no code of ours.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// Makes whoever writes to a pipe or a socket that nobody reads any more be told so, and not end.
pub(super) fn ignore_broken_pipes() {
    // SAFETY: ignoring a signal runs no code of ours.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}

/// Runs between any two instructions of the program: it may touch nothing but atomics and what
/// POSIX names async-signal-safe, and leaves `errno` as it was.
extern "C" fn handle(number: libc::c_int) {
    // SAFETY: the pointer is this thread's errno, valid as long as the thread runs.
    let errno = unsafe { *platform::errno_place() };
    for signal in Signal::ALL {
        if signal.number() == number {
            PENDING.fetch_or(signal.bit(), Ordering::SeqCst);
        }
    }
    let wake = WAKE.load(Ordering::SeqCst);
    if wake >= 0 {
        // SAFETY: one byte from a constant that lives for ever, into a descriptor that stays open
        // while it is in `WAKE`. A full pipe wakes just as well, so the result does not matter.
        unsafe { libc::write(wake, [0u8].as_ptr().cast(), 1) };
    }
    // SAFETY: as above.
    unsafe { *platform::errno_place() = errno };
}

fn claim(wake: RawFd) -> io::Result<()> {
    WAKE.compare_exchange(-1, wake, Ordering::SeqCst, Ordering::SeqCst)
        .map(drop)
        .map_err(|_| {
            error_saying(
                ErrorKind::AlreadyExists,
                "this process catches signals already",
            )
        })
}

fn action_of(handler: libc::sighandler_t) -> libc::sigaction {
    // SAFETY: a sigaction is numbers, a set of bits and nullable pointers, for all of which zero
    // bytes are a value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler;
    action.sa_flags = libc::SA_RESTART;
    action
}

fn set_action(signal: Signal, action: &libc::sigaction) -> io::Result<libc::sigaction> {
    let mut before = action_of(libc::SIG_DFL);
    // SAFETY: both point to actions that outlive the call, and the only handler ever named is
    // `handle`, which is async-signal-safe, or the one that was there before us.
    cvt(unsafe { libc::sigaction(signal.number(), action, &mut before) })?;
    Ok(before)
}

fn nonblocking_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [-1; 2];
    // SAFETY: `ends` has room for the two descriptors and outlives the call.
    cvt(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) })?;
    // SAFETY: the kernel just made both and nobody else knows them.
    Ok(unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::testing::{alone, raise};

    #[test]
    fn the_life_of_the_caught_signals() {
        let _alone = alone();
        let mut signals = Signals::install(&[Signal::Usr1, Signal::Hup, Signal::Usr1]).unwrap();
        assert_eq!(signals.drain().count(), 0);

        raise(libc::SIGUSR1);
        raise(libc::SIGHUP);
        raise(libc::SIGUSR1);
        let came: Vec<Signal> = signals.drain().collect();
        assert_eq!(came, [Signal::Hup, Signal::Usr1]);
        assert_eq!(signals.drain().count(), 0);

        for _ in 0..70_000 {
            raise(libc::SIGUSR1);
        }
        raise(libc::SIGHUP);
        let came: Vec<Signal> = signals.drain().collect();
        assert_eq!(
            came,
            [Signal::Hup, Signal::Usr1],
            "a full pipe lost a signal"
        );

        // SAFETY: the place of this thread's errno.
        unsafe { *platform::errno_place() = libc::E2BIG };
        raise(libc::SIGUSR1);
        assert_eq!(io::Error::last_os_error().raw_os_error(), Some(libc::E2BIG));

        let second = Signals::install(&[Signal::Term]).map(drop);
        assert_eq!(second.unwrap_err().kind(), ErrorKind::AlreadyExists);
        let mut idle = Signals::install(&[]).unwrap();
        assert_eq!(
            idle.drain().count(),
            0,
            "only the owner of the handlers may take signals"
        );
        drop(idle);
        assert_eq!(signals.drain().count(), 1);

        drop(signals);
        let before = set_action(Signal::Usr1, &action_of(libc::SIG_DFL)).unwrap();
        assert_eq!(before.sa_sigaction, libc::SIG_DFL);

        let mut again = Signals::install(&Signal::ALL).unwrap();
        raise(libc::SIGTERM);
        assert_eq!(again.drain().collect::<Vec<_>>(), [Signal::Term]);
    }

    #[test]
    fn a_broken_pipe_is_an_error_and_not_the_end() {
        let _alone = alone();
        ignore_stray_signals();
        let (reader, mut writer) = io::pipe().unwrap();
        drop(reader);
        let error = io::Write::write(&mut writer, b"x").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_file_that_may_not_become_larger_is_an_error_and_not_the_end() {
        let child = crate::sys::testing::in_child(|| {
            ignore_stray_signals();
            let limit = libc::rlimit {
                rlim_cur: 4,
                rlim_max: 4,
            };
            // SAFETY: the limit is our own, and the call reads it.
            unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &limit) };
            let mut file = tempfile::tempfile().unwrap();
            let first = io::Write::write(&mut file, b"abcdef").unwrap();
            let error = io::Write::write(&mut file, b"x").unwrap_err();
            match first == 4 && error.kind() == ErrorKind::FileTooLarge {
                true => 7,
                false => 8,
            }
        });
        assert_eq!(child.wait(), 7);
    }
}
