//! Files beyond the standard library: careful opens, renames that overwrite nothing, locks.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsRawFd, FromRawFd};
use std::path::{Path, PathBuf};

use super::{again, c_path, cvt, error_saying};

pub use super::platform::{Names, hole_end, somebody_writes, sync_fs};

/// The room on the file system that holds a directory.
pub struct Room {
    /// The bytes that we may still write. Where files run out before bytes do, so many as the files
    /// that there may still be are of all.
    pub free: u64,
    /// All bytes that it has room for.
    pub total: u64,
    /// The files that there may still be, and all, where they run out first.
    pub files: Option<(u64, u64)>,
}

/// The room on the file system that holds `dir`: statvfs(3).
pub fn room(dir: &Path) -> io::Result<Room> {
    let path = c_path(dir)?;
    // SAFETY: plain numbers, for which zeros are values.
    let mut told: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: the path ends with a NUL, and both it and what is written outlive the call.
    cvt(unsafe { libc::statvfs(path.as_ptr(), &raw mut told) })?;
    #[allow(clippy::unnecessary_cast, reason = "narrower on some targets")]
    let (unit, free, total, free_files, total_files) = (
        told.f_frsize as u64,
        told.f_bavail as u64,
        told.f_blocks as u64,
        told.f_favail as u64,
        told.f_files as u64,
    );
    let (free, total) = (free.saturating_mul(unit), total.saturating_mul(unit));
    // Some file systems make room for files as they come, and tell of none, or of as many as there
    // are numbers.
    let of_each = total.checked_div(total_files).unwrap_or(0);
    let of_files = of_each.saturating_mul(free_files);
    let is_scarcer = of_each > 0 && free_files <= total_files && of_files < free;
    Ok(Room {
        free: if is_scarcer { of_files } else { free },
        total,
        files: is_scarcer.then_some((free_files, total_files)),
    })
}

/// The path from the root on; the working directory is asked for where it does not begin there.
pub fn absolute(path: &Path) -> io::Result<PathBuf> {
    if path.as_os_str().is_empty() {
        return Err(error_saying(ErrorKind::InvalidInput, "the path is empty"));
    }
    if path.is_absolute() {
        return Ok(path.to_path_buf());
    }
    let below = path.strip_prefix(".").unwrap_or(path);
    Ok(std::env::current_dir()?.join(below))
}

/// All that a file has from where it stands; of a longer one `max_len` bytes. For small files: it
/// reads by the kilobyte.
pub fn read_small(mut file: &File, max_len: usize) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let mut buf = [0; 1024];
    while text.len() < max_len {
        let wanted = buf.len().min(max_len - text.len());
        match again(|| file.read(&mut buf[..wanted]))? {
            0 => break,
            read => text.extend_from_slice(&buf[..read]),
        }
    }
    Ok(text)
}

/// Whether this user may write there: access(2).
#[cfg(any(feature = "fetch_logs", test))]
pub fn is_writable(path: &Path) -> bool {
    let Ok(path) = c_path(path) else {
        return false;
    };
    // SAFETY: the path ends with a NUL and outlives the call.
    cvt(unsafe { libc::access(path.as_ptr(), libc::W_OK) }).is_ok()
}

/// Opens a file as these flags of open(2) say; no child keeps it. One that is created is for
/// everybody, as far as the umask lets.
///
/// The standard library would bring along how developers are shown texts, as it does with
/// [`error_saying`].
pub fn open(path: &Path, flags: libc::c_int) -> io::Result<File> {
    let (path, flags) = (c_path(path)?, flags | libc::O_CLOEXEC);
    let mode: libc::c_uint = 0o666;
    // SAFETY: the path ends with a NUL and outlives the call, which takes plain numbers besides.
    let fd = again(|| cvt(unsafe { libc::open(path.as_ptr(), flags, mode) }))?;
    // SAFETY: nobody else has the descriptor.
    Ok(unsafe { File::from_raw_fd(fd) })
}

/// Opens a file for reading, refusing a link in the last component, waiting for nobody at a FIFO
/// and taking no terminal as ours.
pub fn open_carefully(path: &Path) -> io::Result<File> {
    open(path, libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY)
}

/// The same where links are followed.
pub fn open_without_waiting(path: &Path) -> io::Result<File> {
    open(path, libc::O_NONBLOCK | libc::O_NOCTTY)
}

/// Lets `write` write to a file that was opened for appending, at any place: what is open for
/// appending has everything written at its end, whatever place is named.
pub fn without_append<R>(file: &File, write: impl FnOnce(&File) -> io::Result<R>) -> io::Result<R> {
    let fd = file.as_raw_fd();
    // SAFETY: the descriptor is open during the call, which takes nothing else.
    let flags = cvt(unsafe { libc::fcntl(fd, libc::F_GETFL) })?;
    // SAFETY: the descriptor is open during the call, which takes a plain number.
    let set = |flags: libc::c_int| cvt(unsafe { libc::fcntl(fd, libc::F_SETFL, flags) });
    set(flags & !libc::O_APPEND)?;
    let written = write(file);
    // Before the result is looked at: a copy must never be left open for writing anywhere.
    set(flags)?;
    written
}

/// Takes the record lock for writing on the whole file, without waiting. `None` when it is ours
/// now, else the process that has it (0 if that cannot be told, as for one on another host).
///
/// A lock for reading does not count: whoever can read the file can take one, and so keep us from
/// writing to it. Then it is ours without a lock.
///
/// Such a lock belongs to the process: it ends when the process closes **any** descriptor of the
/// file, and a forked child does not have it.
pub fn try_lock(file: &File) -> io::Result<Option<u32>> {
    for _ in 0..LOCK_ATTEMPTS {
        match set_lock(file) {
            Ok(()) => return Ok(None),
            Err(error) if is_held_by_other(&error) => {}
            Err(error) => return Err(error),
        }
        match lock_holder(file)? {
            // It was given up between the two calls.
            None => {}
            // Beside it nobody can have one for writing.
            Some(Holder::Reader) => return Ok(None),
            Some(Holder::Writer(pid)) => return Ok(Some(pid)),
        }
    }
    Err(ErrorKind::WouldBlock.into())
}

/// The other process that has the record lock for writing on a file, as far as that can be told (0
/// where its number cannot).
pub fn locked_by(file: &File) -> Option<u32> {
    match lock_holder(file) {
        Ok(Some(Holder::Writer(pid))) => Some(pid),
        _ => None,
    }
}

/// More often than this nobody gives up a lock just when we look who has it.
const LOCK_ATTEMPTS: usize = 10;

fn is_held_by_other(error: &io::Error) -> bool {
    // fcntl(2): either may come, and POSIX leaves open which.
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES))
}

fn set_lock(file: &File) -> io::Result<()> {
    let lock = whole_file();
    // SAFETY: `lock` is our own and outlives the call, which only reads it.
    cvt(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &raw const lock) })?;
    Ok(())
}

/// Who has a lock.
enum Holder {
    Reader,
    Writer(u32),
}

fn lock_holder(file: &File) -> io::Result<Option<Holder>> {
    let mut lock = whole_file();
    // SAFETY: `lock` is our own and outlives the call, which overwrites it with another lock.
    cvt(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETLK, &raw mut lock) })?;
    if i64::from(lock.l_type) == i64::from(libc::F_UNLCK) {
        return Ok(None);
    }
    if i64::from(lock.l_type) == i64::from(libc::F_RDLCK) {
        return Ok(Some(Holder::Reader));
    }
    Ok(Some(Holder::Writer(u32::try_from(lock.l_pid).unwrap_or(0))))
}

/// A lock for writing from the start to wherever the end will be.
fn whole_file() -> libc::flock {
    // SAFETY: a flock is numbers only, for which zero bytes are a value: from the start, without
    // end.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_WRLCK as _;
    lock.l_whence = libc::SEEK_SET as _;
    lock
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};

    use super::*;
    use crate::sys::testing::{in_child, make_fifo};

    #[test]
    fn a_lock_is_told_by_its_holder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let file = File::create(&path).unwrap();
        assert_eq!(try_lock(&file).unwrap(), None);
        assert_eq!(try_lock(&file).unwrap(), None, "ours already");
        let me = std::process::id();
        let child = in_child(|| {
            let same = OpenOptions::new().write(true).open(&path).unwrap();
            u8::from(try_lock(&same).unwrap() == Some(me))
        });
        assert_eq!(child.wait(), 1);
        drop(file);
        let child = in_child(|| {
            let same = OpenOptions::new().write(true).open(&path).unwrap();
            u8::from(try_lock(&same).unwrap().is_none())
        });
        assert_eq!(child.wait(), 1);
    }

    #[test]
    fn a_lock_for_reading_stops_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        fs::write(&path, "x").unwrap();
        let reader = File::open(&path).unwrap();
        let mut lock = whole_file();
        lock.l_type = libc::F_RDLCK as _;
        // SAFETY: `lock` is our own and outlives the call, which only reads it.
        cvt(unsafe { libc::fcntl(reader.as_raw_fd(), libc::F_SETLK, &raw const lock) }).unwrap();
        let child = in_child(|| {
            let same = OpenOptions::new().write(true).open(&path).unwrap();
            u8::from(set_lock(&same).is_err() && try_lock(&same).unwrap().is_none())
        });
        assert_eq!(child.wait(), 1);
    }

    #[test]
    fn a_file_open_for_reading_cannot_be_locked() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        fs::write(&path, "x").unwrap();
        assert!(try_lock(&File::open(&path).unwrap()).is_err());
    }

    #[test]
    fn a_file_open_for_appending_can_be_overwritten() {
        use std::io::Write;
        use std::os::unix::fs::FileExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        fs::write(&path, "abcdef").unwrap();
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        without_append(&file, |file| file.write_all_at(b"XY", 2)).unwrap();
        file.write_all(b"ghi").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"abXYefghi");
    }

    #[test]
    fn a_careful_open_neither_waits_nor_follows() {
        let dir = tempfile::tempdir().unwrap();
        let (fifo, link) = (dir.path().join("fifo"), dir.path().join("link"));
        make_fifo(&fifo);
        std::os::unix::fs::symlink(&fifo, &link).unwrap();
        open_carefully(&fifo).unwrap();
        let error = open_carefully(&link).unwrap_err();
        assert!(
            matches!(error.raw_os_error(), Some(libc::ELOOP | libc::EMLINK)),
            "{error}"
        );
    }

    #[test]
    fn every_name_in_a_large_directory_is_told_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut expected: Vec<String> = (0..300).map(|n| format!("{n}{:a<50}", "")).collect();
        for name in &expected {
            File::create(dir.path().join(name)).unwrap();
        }
        expected.sort();
        let names = Names::of(dir.path()).unwrap();
        let mut found: Vec<String> = names
            .map(|name| name.unwrap().into_string().unwrap())
            .collect();
        found.sort();
        assert_eq!(found, expected);
        let error = Names::of(&dir.path().join("none")).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}
