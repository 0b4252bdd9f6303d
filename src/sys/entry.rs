//! The start of the process, as the C library calls it. The standard library's own would prepare
//! for stacks that overflow and for output that waits in buffers, which costs a router as much as a
//! parser and does nothing for programs that end by themselves at every fault.

use std::ffi::{CStr, OsStr, OsString, c_int};
use std::os::unix::ffi::OsStrExt;

use super::cvt;

/// Makes `$run` what a binary does: a function that takes the words of the command line, the
/// program's name among them, and returns the exit status. `$start` is [`start`], and the binary
/// says `#![no_main]`.
#[macro_export]
macro_rules! entry {
    ($start:path, $run:path) => {
        /// What the C library calls.
        // SAFETY: this is the one function of that name, and it has the form that C demands.
        #[unsafe(no_mangle)]
        extern "C" fn main(
            count: std::ffi::c_int,
            words: *const *const std::ffi::c_char,
        ) -> std::ffi::c_int {
            let word = |at: std::ffi::c_int| {
                // SAFETY: C has `count` texts there that end with a NUL and stay as they are.
                unsafe { std::ffi::CStr::from_ptr(*words.add(at as usize)) }
            };
            $start((0..count).map(word), $run)
        }
    };
}

/// Prepares the process and runs the program in it; returns its exit status.
pub fn start<'w>(words: impl Iterator<Item = &'w CStr>, run: fn(Vec<OsString>) -> u8) -> c_int {
    occupy_standard_descriptors();
    super::signals::ignore_broken_pipes();
    let word = |word: &CStr| OsStr::from_bytes(word.to_bytes()).to_os_string();
    run(words.map(word).collect()).into()
}

/// Opens `/dev/null` in place of each standard descriptor that is closed: otherwise a log or a
/// connection would get its number, and messages with it.
fn occupy_standard_descriptors() {
    for fd in [libc::STDIN_FILENO, libc::STDOUT_FILENO, libc::STDERR_FILENO] {
        // SAFETY: asks for a number; of a descriptor that is closed it only says so.
        let asked = cvt(unsafe { libc::fcntl(fd, libc::F_GETFD) });
        if !asked.is_err_and(|error| error.raw_os_error() == Some(libc::EBADF)) {
            continue;
        }
        // SAFETY: the path ends with a NUL. POSIX gives the lowest number that is free: this one.
        if unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) } != fd {
            std::process::abort();
        }
    }
}
