//! The three standard descriptors.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsRawFd;

/// Points standard error at `/dev/null`, for this process and for good.
///
/// On failure standard error is what it was: whoever must not print a byte stops there.
pub fn silence_stderr() -> io::Result<()> {
    let null = OpenOptions::new().write(true).open("/dev/null")?;
    // SAFETY: `dup2` takes two numbers and no memory; `null` is open until the end of this function, and no owned
    // descriptor of the program is ever number 2, so nothing is closed under its owner.
    match unsafe { libc::dup2(null.as_raw_fd(), libc::STDERR_FILENO) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
