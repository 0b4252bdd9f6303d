//! System calls as safe functions over owned or borrowed descriptors. The only folder with unsafe
//! code.
//!
//! One file per concern. What only Linux has is in `linux.rs`, and `other.rs` says how to live
//! without it. Where the standard library makes the call safely, its functions are used. Nothing
//! here keeps state but the signal pipe, which a handler has to find without being handed it.
#![allow(unsafe_code)]

#[cfg(target_os = "linux")]
pub mod birth;
pub mod clock;
pub mod confine;
pub mod cpu;
pub mod entry;
pub mod env;
pub mod files;
pub mod fork;
pub mod hooks;
pub mod inotify;
mod line;
pub mod local_socket;
#[cfg(target_env = "musl")]
mod memory;
pub mod notify;
pub mod outside;
mod pidfile;
mod privileges;
pub mod process;
mod program;
mod random;
pub mod rlimit;
pub mod signals;
pub mod socket;
pub mod stdio;
#[cfg(target_os = "linux")]
mod successors;
pub mod syslog;
#[cfg(any(feature = "fetch_logs", test))]
pub mod terminal;
pub mod trusted;

#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod platform;
#[cfg(not(target_os = "linux"))]
#[path = "other.rs"]
mod platform;

#[cfg(test)]
pub(crate) mod testing;

pub use platform::boot_id;
pub use random::random_seed;
#[cfg(feature = "noise")]
pub use random::secret;

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::{error, fmt, io};

/// What an error of our own says. The standard library would take the text as it is, and bring
/// along how developers are shown texts, which is larger than all of the errors here.
#[derive(Debug)]
struct Message(String);

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl error::Error for Message {}

/// The error of this kind that says `text`.
pub fn error_saying(kind: io::ErrorKind, text: impl Into<String>) -> io::Error {
    io::Error::new(kind, Message(text.into()))
}

/// Turns the -1 with which a system call fails into the error that `errno` names.
fn cvt<T: From<i8> + PartialEq>(result: T) -> io::Result<T> {
    if result == T::from(-1) {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// A path as the system wants it; one with a NUL inside cannot exist.
fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| io::ErrorKind::InvalidInput.into())
}

/// Makes a call once more if it fails: an error that passes is not to cost what is there for good,
/// such as a helper.
fn once_more<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    call().or_else(|_| call())
}

/// Makes a call anew as long as a signal breaks it off.
fn again<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
