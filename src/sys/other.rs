//! The stand-ins, on other systems, for what only Linux has. The functions are those of `linux.rs`.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, ErrorKind, PipeReader};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::SocketAddr as LocalAddr;
use std::path::Path;

use heapless::String;

use super::clock::Reading;
use super::cvt;
use super::inotify::{Event, Watch, WatchId};

/// Always `Unsupported`: link, sync and unlink instead.
pub(super) fn rename_noreplace(_from: (&File, &CStr), _to: (&File, &CStr)) -> io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}

/// Nobody can tell in one step.
pub(super) fn open_without_links(_path: &CStr, _flags: libc::c_int) -> Option<io::Result<File>> {
    None
}

/// Always `Unsupported`: every socket has a file.
pub(super) fn abstract_address(_name: &[u8]) -> io::Result<LocalAddr> {
    Err(ErrorKind::Unsupported.into())
}

/// Makes everything visible durable, on all file systems.
pub fn sync_fs(_dir: &File) -> io::Result<()> {
    // SAFETY: takes and touches nothing and cannot fail.
    unsafe { libc::sync() };
    Ok(())
}

/// The names in a directory, without `.` and `..`.
pub struct Names(std::fs::ReadDir);

impl Names {
    /// Opens a directory.
    pub fn of(dir: &Path) -> io::Result<Names> {
        // What is opened here is told by its names alone, and each file is opened with care again.
        super::trusted::open_dir(dir)?;
        std::fs::read_dir(dir).map(Names)
    }
}

impl Iterator for Names {
    type Item = io::Result<std::ffi::OsString>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.0.next()?;
        Some(entry.map(|entry| entry.file_name()))
    }
}

/// Nobody can tell.
pub fn somebody_writes(_file: &File) -> Option<bool> {
    None
}

/// Nobody can tell.
pub fn hole_end(_file: &File, offset: u64) -> u64 {
    offset
}

/// Does nothing: a socket counts as writable when a good part of its buffer is free.
pub fn limit_unsent(_socket: &impl AsFd, _bytes: u32) -> io::Result<()> {
    Ok(())
}

/// Listens; never `ahead`: start again when the address is there.
pub fn listen(address: SocketAddr, _ahead: bool) -> io::Result<TcpListener> {
    TcpListener::bind(address)
}

/// Does nothing: privileges are not kept apart.
pub fn empty_bounding_set() {}

/// Closes the descriptors from `first` to `last`.
pub(super) fn close_range(first: RawFd, last: RawFd) {
    super::rlimit::close_each(first, last);
}

/// Nothing tells one start of the host from the next.
pub fn boot_id() -> Option<String<36>> {
    None
}

/// The name stays that of the file.
pub(super) fn set_process_name(_name: &str) {}

/// Always `Unsupported`.
pub(super) fn file_in_memory(_bytes: &[u8]) -> io::Result<File> {
    Err(ErrorKind::Unsupported.into())
}

/// Always `Unsupported`.
pub(super) fn process(_pid: libc::pid_t) -> io::Result<OwnedFd> {
    Err(ErrorKind::Unsupported.into())
}

/// Has descriptors from `first` on closed where another program takes the place of this one.
pub(super) fn close_on_exec(first: RawFd) {
    super::rlimit::close_each_on_exec(first);
}

/// It may outlive whoever has the other end.
pub(super) fn end_with(_other_end: &PipeReader) {}

/// Sets the limits on open descriptors.
pub(super) fn set_descriptor_limit(limit: &libc::rlimit) -> io::Result<()> {
    // SAFETY: `limit` outlives the call, which only reads it.
    cvt(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, limit) })?;
    Ok(())
}

/// Leaves every group but the process's own.
pub(super) fn leave_groups() -> io::Result<()> {
    // SAFETY: a list of no groups, so the pointer is never followed.
    cvt(unsafe { libc::setgroups(0, std::ptr::null()) })?;
    Ok(())
}

/// Gives this process another group for good, if it may be anybody.
pub(super) fn set_gid(gid: u32) -> io::Result<()> {
    // SAFETY: takes a number.
    cvt(unsafe { libc::setgid(gid) })?;
    Ok(())
}

/// The same for its user.
pub(super) fn set_uid(uid: u32) -> io::Result<()> {
    // SAFETY: takes a number.
    cvt(unsafe { libc::setuid(uid) })?;
    Ok(())
}

#[cfg(any(target_os = "freebsd", target_os = "dragonfly", target_os = "macos"))]
pub(super) fn errno_place() -> *mut libc::c_int {
    // SAFETY: takes nothing; the result is this thread's errno.
    unsafe { libc::__error() }
}

#[cfg(any(target_os = "netbsd", target_os = "openbsd"))]
pub(super) fn errno_place() -> *mut libc::c_int {
    // SAFETY: takes nothing; the result is this thread's errno.
    unsafe { libc::__errno() }
}

/// The C library's own clock is wide enough.
pub(super) fn read_wide_clock(_clock: libc::clockid_t) -> Option<Reading> {
    None
}

/// Never exists here: growth is found by looking.
pub struct Inotify {
    never: std::convert::Infallible,
}

impl Inotify {
    /// Always `Unsupported`.
    pub fn new() -> io::Result<Inotify> {
        Err(ErrorKind::Unsupported.into())
    }

    /// Cannot be called, for want of a value.
    pub fn watch(&self, _path: &Path, _what: Watch) -> io::Result<WatchId> {
        match self.never {}
    }

    /// Cannot be called, for want of a value.
    pub fn unwatch(&self, _id: WatchId) -> io::Result<()> {
        match self.never {}
    }

    /// Cannot be called, for want of a value.
    pub fn read_events(
        &mut self,
        _buf: &mut [u8],
        _each: &mut dyn FnMut(Event<'_>),
    ) -> io::Result<()> {
        match self.never {}
    }
}

impl AsRawFd for Inotify {
    fn as_raw_fd(&self) -> RawFd {
        match self.never {}
    }
}
