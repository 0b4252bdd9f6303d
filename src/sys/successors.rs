//! What the helper and its successors need of Linux.

use std::fs::File;
use std::io::{self, PipeReader, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

use super::cvt;
use super::line::wait_for_any;

/// A file in memory with these bytes.
pub(super) fn file_in_memory(bytes: &[u8]) -> io::Result<File> {
    // SAFETY: the name ends in NUL and outlives the call.
    let fd = cvt(unsafe { libc::memfd_create(c"".as_ptr(), libc::MFD_CLOEXEC) })?;
    // SAFETY: the kernel just made it and nobody else knows it.
    let mut file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}

/// A descriptor of a process, whoever gets its number later: it can be read, in the sense of
/// poll(2), once the process has ended. There is no such thing before Linux 5.3.
pub(super) fn process(pid: libc::pid_t) -> io::Result<OwnedFd> {
    // SAFETY: takes numbers.
    let fd = cvt(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    // SAFETY: the kernel just made it and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Has descriptors from `first` on closed where another program takes the place of this one.
pub(super) fn close_on_exec(first: RawFd) {
    const CLOSE_RANGE_CLOEXEC: libc::c_uint = 4;
    let last = libc::c_uint::MAX;
    // SAFETY: takes numbers. Through `syscall`, because older C libraries lack it.
    let result =
        cvt(unsafe { libc::syscall(libc::SYS_close_range, first, last, CLOSE_RANGE_CLOEXEC) });
    // Before Linux 5.11.
    if result.is_err() {
        super::rlimit::close_each_on_exec(first);
    }
}

/// Has this process killed when nobody has the writing end of a pipe any more. Of processes that
/// share the reading end that is for the last one that asks for it.
///
/// That a parent ends (`PR_SET_PDEATHSIG`) is nothing to go by: the signal would come from the
/// parent, and one within walls sends none.
pub(super) fn end_with(other_end: &PipeReader) {
    let fd = other_end.as_raw_fd();
    let wishes = [
        // SAFETY: takes nothing and cannot fail.
        (libc::F_SETOWN, unsafe { libc::getpid() }),
        (F_SETSIG, libc::SIGKILL),
        (libc::F_SETFL, libc::O_ASYNC),
    ];
    for (what, value) in wishes {
        // SAFETY: the descriptor is open during the call, which takes numbers.
        unsafe { libc::fcntl(fd, what, value) };
    }
    if wait_for_any([Some(other_end.as_fd()), None], 0)[0] {
        // It ended in between.
        std::process::abort();
    }
}

/// fcntl(2): the same number on every processor.
const F_SETSIG: libc::c_int = 10;
