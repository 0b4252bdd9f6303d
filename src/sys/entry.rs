//! The start of the process, as the C library calls it. The standard library's own would prepare
//! for stacks that overflow and for output that waits in buffers, which costs a router as much as a
//! parser and does nothing for programs that end by themselves at every fault.

use std::ffi::{CStr, OsStr, OsString, c_char, c_int};
use std::os::unix::ffi::OsStrExt;

/// Makes `$run` what a binary does: a function that takes the words of the command line, the
/// program's name among them, and returns the exit status. The binary says `#![no_main]`.
#[macro_export]
macro_rules! entry {
    ($run:path) => {
        /// What the C library calls.
        // SAFETY: this is the one function of that name, and it has the form that C demands.
        #[unsafe(no_mangle)]
        extern "C" fn main(
            count: std::ffi::c_int,
            words: *const *const std::ffi::c_char,
        ) -> std::ffi::c_int {
            // SAFETY: they come from the C library.
            unsafe { $crate::entry::start(count, words, $run) }
        }
    };
}

/// Prepares the process and runs the program in it; returns its exit status.
///
/// # Safety
///
/// `words` has to be a list of `count` texts that end with a NUL, all of which stay as they are.
// SAFETY: what is unsafe in it rests on that and on nothing else.
pub unsafe fn start(
    count: c_int,
    words: *const *const c_char,
    run: fn(Vec<OsString>) -> u8,
) -> c_int {
    occupy_standard_descriptors();
    super::signals::ignore_broken_pipes();
    let word = |at| {
        // SAFETY: as the caller promises.
        let word = unsafe { CStr::from_ptr(*words.add(at)) };
        OsStr::from_bytes(word.to_bytes()).to_os_string()
    };
    let count = usize::try_from(count).unwrap_or(0);
    run((0..count).map(word).collect()).into()
}

/// Opens `/dev/null` in place of each standard descriptor that is closed: otherwise a log or a
/// connection would get its number, and messages with it.
fn occupy_standard_descriptors() {
    for fd in [libc::STDIN_FILENO, libc::STDOUT_FILENO, libc::STDERR_FILENO] {
        // SAFETY: asks for a number; of a descriptor that is closed it only says so.
        if unsafe { libc::fcntl(fd, libc::F_GETFD) } != -1 {
            continue;
        }
        // SAFETY: the path ends with a NUL. POSIX gives the lowest number that is free: this one.
        if unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) } != fd {
            std::process::abort();
        }
    }
}
