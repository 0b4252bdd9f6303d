//! The file system as the two programs need it: a read side for the server, a write side for the
//! collector.
//!
//! The machines in `serve` and `collect` name only these traits. The real file system stands in
//! [`real`]; a test or a simulator brings its own. Each function is one system call or a fixed
//! handful, so that a fault can be put before, between and after any two of them.

pub mod config_file;
#[cfg(feature = "noise")]
pub mod key_file;
pub mod real;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::ids::{Born, FileId};

/// The facts that `stat` tells of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stat {
    /// Device and inode.
    pub id: FileId,
    /// Bytes.
    pub size: u64,
    /// Last write, in nanoseconds since 1970.
    pub mtime_ns: u64,
    /// Names that lead to it, as far as they can be counted in this; 0 once it is deleted.
    pub links: u32,
    /// The sort of file.
    pub kind: Kind,
}

/// What the system tells of the birth of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Birth {
    /// What tells it from other files with the same inode number.
    pub born: Born,
    /// When it was created, in nanoseconds since 1970; `None` where that is not known.
    pub at_ns: Option<u64>,
}

// As wide as a word: of a `Stat` that is handed on, gaps would be copied byte by byte.
/// The sorts of file that make a difference here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Kind {
    /// The only sort that is ever served or written.
    Regular,
    /// A symbolic link (as `lstat` sees it).
    Link,
    /// A directory.
    Directory,
    /// A FIFO, socket or device.
    Special,
}

/// The server's side: opens and reads logs, never writes. It keeps no state of its own, so
/// everybody may share it.
pub trait ReadStore {
    /// An open log. Dropping it closes it.
    type File;

    /// Opens for reading without following a link in the last component and without waiting for a
    /// writer of a FIFO. The caller must [`stat`](ReadStore::stat) what it got and trust only that.
    fn open(&self, path: &Path) -> io::Result<Self::File>;

    /// Tells what the open file is now.
    fn stat(&self, file: &Self::File) -> io::Result<Stat>;

    /// Tells what stands at `path` now, not following a link in the last component.
    fn stat_path(&self, path: &Path) -> io::Result<Stat>;

    /// Which file a link at `path` leads to. `None` where that cannot be told, or nothing is there.
    fn target_of(&self, _path: &Path) -> Option<FileId> {
        None
    }

    /// Where those files of the log at `log` are found that are held and have no name any more:
    /// paths that no other file has, whose last component is the last one that it had.
    fn held_paths(&self, _log: &Path) -> Vec<PathBuf> {
        Vec::new()
    }

    /// Whether something is mounted at `path` itself, as far as that is known.
    fn is_mounted(&self, _path: &Path) -> bool {
        false
    }

    /// Tells of the birth of what stands at `path` now, which is on `device`, not following a link
    /// in the last component. What cannot be told is unknown.
    fn birth(&self, _path: &Path, _device: u64) -> Birth {
        Birth::default()
    }

    /// Tells of the birth of an open file, which is on `device`.
    fn birth_of(&self, _file: &Self::File, _device: u64) -> Birth {
        Birth::default()
    }

    /// Reads at `offset` into `buf`; fewer bytes than asked for only at the end of the file, 0
    /// behind it.
    fn read_at(&self, file: &Self::File, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// The end of the hole that begins at `offset`, or within which it lies: where the file system
    /// keeps something again, or else the end of the file. `offset` itself where there is none, and
    /// where that cannot be told.
    fn hole_end(&self, file: &Self::File, offset: u64) -> u64;

    /// Who has the file open for writing.
    fn writers(&self, file: &Self::File) -> Writers;

    /// Whether it is certain that nobody has the file open for writing any more: a rotated file of
    /// which that is true is complete.
    fn at_rest(&self, file: &Self::File) -> bool {
        self.writers(file) == Writers::Nobody
    }

    /// A number that differs from one start of this host to the next; 0 where that cannot be
    /// told.
    fn boot(&self) -> u32;

    /// Opens `dir` and gives the names of its entries but `.` and `..`, one by one, so that a large
    /// directory can be read in parts.
    fn names(&self, dir: &Path) -> io::Result<Names>;
}

/// A read side that can hold open files, so that they outlive their names: see
/// [`ReadStore::held_paths`].
pub trait HoldStore: ReadStore {
    /// Holds an open file of the log at `log`, which is at `path` now.
    fn hold(&self, log: &Path, path: &Path, id: FileId, file: Self::File);

    /// Whether a file of a log is held; it is at `path` now, and is known by that from now on.
    fn is_held(&self, log: &Path, path: &Path, id: FileId) -> bool;

    /// Holds only these files of a log from now on.
    fn hold_only(&self, log: &Path, is_held: &dyn Fn(FileId) -> bool);

    /// All that are held and have no name any more.
    fn nameless(&self) -> Vec<Nameless>;

    /// The room on the file system that holds `dir`, for whoever writes there.
    fn room_at(&self, dir: &Path) -> io::Result<Room>;
}

/// A held file without a name.
pub struct Nameless {
    /// Where it was.
    pub path: PathBuf,
    /// Which one it is.
    pub id: FileId,
    /// Its bytes.
    pub size: u64,
    /// Its last write.
    pub mtime_ns: u64,
}

/// The room on a file system, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Room {
    /// What we may still write. Where files run out before bytes do, the same part of `total` as
    /// the files that there may still be are of all.
    pub free: u64,
    /// All of it; 0 where the file system does not tell.
    pub total: u64,
    /// The files that there may still be, and all, where they run out first.
    pub files: Option<(u64, u64)>,
}

/// Who has a file open for writing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Writers {
    /// Nobody.
    Nobody,
    /// Somebody.
    Somebody,
    /// The system does not say: we may not ask, or it cannot tell.
    Unknown,
}

/// The names in a directory that is being read. Dropping it closes the directory.
pub type Names = Box<dyn Iterator<Item = io::Result<OsString>>>;

/// The collector's side: appends, renames, makes durable.
///
/// A missing file is `Ok(None)` where that is an expected state and `NotFound` where it is not.
pub trait WriteStore {
    /// An open local copy or scratch file. Dropping it closes it and gives up its lock.
    type File;

    /// Opens an existing regular file for reading and appending; never follows a link in the last
    /// component. Anything but a regular file is an error.
    fn open_append(&mut self, path: &Path) -> io::Result<Option<Self::File>>;

    /// Creates a file for reading and appending; `AlreadyExists` if anything has that name.
    fn create_new(&mut self, path: &Path) -> io::Result<Self::File>;

    /// Opens a scratch file for reading and appending, emptied, created if need be.
    fn create_scratch(&mut self, path: &Path) -> io::Result<Self::File>;

    /// Takes the lock that keeps a second collector off the file. `Some(pid)` tells who holds it
    /// instead.
    fn lock(&mut self, file: &Self::File) -> io::Result<Option<u32>>;

    /// Tells what the open file is now.
    fn stat(&mut self, file: &Self::File) -> io::Result<Stat>;

    /// Tells what stands at `path`, not following a link.
    fn stat_path(&mut self, path: &Path) -> io::Result<Option<Stat>>;

    /// Writes at the end of the file; may write less than asked.
    fn append(&mut self, file: &Self::File, bytes: &[u8]) -> io::Result<usize>;

    /// Writes all of it. After an error some of it may be in the file; its size tells.
    fn append_all(&mut self, file: &Self::File, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.append(file, bytes)? {
                // POSIX lets a write take nothing without an error; to try again for ever would
                // stop all sources.
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => bytes = bytes.get(written..).unwrap_or_default(),
            }
        }
        Ok(())
    }

    /// Makes the file longer by so many zeros, for which nothing is written where the file system
    /// can do without. After an error none or some of them may be there; the size tells.
    fn append_zeros(&mut self, file: &Self::File, len: u64) -> io::Result<()>;

    /// Reads at `offset`; fewer bytes than asked for only at the end of the file.
    fn read_at(&mut self, file: &Self::File, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes over bytes that the file has, all of them.
    fn overwrite(&mut self, file: &Self::File, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes the file shorter.
    fn truncate(&mut self, file: &Self::File, size: u64) -> io::Result<()>;

    /// Reads the start of a small file into `buf` and tells how much that was.
    fn read_small(&mut self, path: &Path, buf: &mut [u8]) -> io::Result<Option<usize>>;

    /// Makes the file's bytes and size durable (`fdatasync`).
    fn sync_file(&mut self, file: &Self::File) -> io::Result<()>;

    /// Makes the names in a directory durable (`fsync` of the directory).
    fn sync_dir(&mut self, dir: &Path) -> io::Result<()>;

    /// Makes everything visible on the file system that holds `dir` durable (`syncfs` or its like).
    fn sync_all(&mut self, dir: &Path) -> io::Result<()>;

    /// How many syncs of the file system that holds `dir` have failed so far. The system tells a
    /// failure once, and takes what it could not write for written: it is the business of everybody
    /// who has written there.
    fn failed_syncs(&mut self, dir: &Path) -> u32;

    /// The room on the file system that holds `dir`.
    fn room(&mut self, dir: &Path) -> io::Result<Room>;

    /// Opens `dir` and gives the names of its entries, as [`ReadStore::names`] does.
    fn list(&mut self, dir: &Path) -> io::Result<Names>;

    /// Renames over whatever has the new name.
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()>;

    /// Renames to a name that nothing has: `AlreadyExists` otherwise. `Unsupported` where the
    /// system cannot do that in one step; the caller then links, makes the directory durable, and
    /// unlinks; or, where there are no links either, looks that the name is free and renames.
    fn rename_new(&mut self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file a second name; `AlreadyExists` if it is taken. Where the file system knows no
    /// links the error is `Unsupported`, `PermissionDenied`, `TooManyLinks` or `InvalidInput`.
    fn link(&mut self, from: &Path, to: &Path) -> io::Result<()>;

    /// Takes a name away.
    fn unlink(&mut self, path: &Path) -> io::Result<()>;
}
