//! The helpers of this crate's tests that touch the system; the program has no use for them.

use std::ffi::CString;
use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::cvt;
use super::process::wait_for;

/// A forked copy of the test program.
pub(crate) struct Child {
    pid: libc::pid_t,
    _alone: MutexGuard<'static, ()>,
}

impl Child {
    /// Waits for its end and gives the number it ended with; 1 if a signal or a panic ended it.
    pub(crate) fn wait(self) -> u8 {
        wait_for(self.pid)
    }
}

static FORKING: Mutex<()> = Mutex::new(());

/// Keeps other tests from forking meanwhile, because a copy holds all descriptors open, so that a
/// close goes unnoticed; and from catching signals, which the process can do only once.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    FORKING.lock().unwrap_or_else(PoisonError::into_inner)
}

const CHILD_TIMEOUT_S: libc::c_uint = 20;

/// Runs `work` in a forked copy of the test program; what it returns becomes the exit status.
///
/// The copy has one thread, and locks other threads held stay locked in it: `work` must not print.
pub(crate) fn in_child(work: impl FnOnce() -> u8) -> Child {
    let alone = alone();
    // SAFETY: the copy runs only `work`, which keeps away from what other threads may have locked,
    // and `_exit`.
    let pid = loop {
        match cvt(unsafe { libc::fork() }) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => break result.unwrap(),
        }
    };
    if pid == 0 {
        // SAFETY: takes a number. A copy that waits for a lock whose holder was not copied ends
        // this way.
        unsafe { libc::alarm(CHILD_TIMEOUT_S) };
        let status = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or(1);
        exit_now(status);
    }
    Child { pid, _alone: alone }
}

/// Ends this process without running what the test program would do at its end.
pub(crate) fn exit_now(status: u8) -> ! {
    // SAFETY: takes a number and does not return.
    unsafe { libc::_exit(status.into()) }
}

/// Sets the local zone. Only for use in a child.
pub(crate) fn set_zone(zone: &str) {
    let zone = CString::new(zone).unwrap();
    // SAFETY: both strings end in NUL and outlive the call; a child has no other thread that reads
    // the environment.
    cvt(unsafe { libc::setenv(c"TZ".as_ptr(), zone.as_ptr(), 1) }).unwrap();
    // SAFETY: so POSIX declares it.
    unsafe extern "C" {
        fn tzset();
    }
    // SAFETY: reads the environment, which no other thread of a child changes.
    unsafe { tzset() };
}

/// Sends a signal to this very thread; its handler has run when this returns.
pub(crate) fn raise(signal: libc::c_int) {
    // SAFETY: takes a number; the handler is the one that `signals` installed and its tests count
    // on.
    cvt(unsafe { libc::raise(signal) }).unwrap();
}

/// Leaves a socket as little room for what it sends as the system lets it.
pub(crate) fn limit_room(socket: &impl AsRawFd) {
    let value: libc::c_int = 1;
    let value_at = (&raw const value).cast();
    let len = size_of::<libc::c_int>() as libc::socklen_t;
    let (fd, level) = (socket.as_raw_fd(), libc::SOL_SOCKET);
    // SAFETY: the descriptor is open during the call, and the kernel reads exactly the integer that
    // `value` is.
    cvt(unsafe { libc::setsockopt(fd, level, libc::SO_SNDBUF, value_at, len) }).unwrap();
}

/// Makes a FIFO.
pub(crate) fn make_fifo(path: &std::path::Path) {
    use std::os::unix::ffi::OsStrExt;
    let path = CString::new(path.as_os_str().as_bytes()).unwrap();
    // SAFETY: the path ends in NUL and outlives the call.
    cvt(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }).unwrap();
}

/// Makes every write to stderr fail. Only for use in a child.
pub(crate) fn break_stderr() {
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    // SAFETY: `full` is open, and a child prints nothing meanwhile.
    cvt(unsafe { libc::dup2(full.as_raw_fd(), 2) }).unwrap();
}
