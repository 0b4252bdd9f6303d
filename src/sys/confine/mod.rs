//! Confinement: what a daemon can still do once it has started, whoever speaks through it.
//!
//! Five walls, each of its own: no new privileges and no look into the process (prctl(2)), of
//! root's privileges only those that are used (capabilities(7)), files and network by Landlock
//! (landlock(7)), system calls by a filter (seccomp(2)). None of them can be taken down again, and
//! every child has them too. What a kernel does not have is left out; [`Abilities`] tells.

#[cfg(target_os = "linux")]
mod capabilities;
#[cfg(target_os = "linux")]
mod filter;
#[cfg(target_os = "linux")]
mod landlock;
#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod platform;
#[cfg(not(target_os = "linux"))]
#[path = "other.rs"]
mod platform;

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What may be done with the files below a directory, or with one file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Right {
    /// Files are read and directories are listed.
    Read,
    /// That, and regular files are made, written, renamed within their directory and removed.
    Write,
    /// That, and directories are made.
    Grow,
}

/// A directory or a file that a daemon works with.
pub struct Reach {
    /// Absolute. Links in it are followed, once, when the walls are built. It need not be there.
    pub path: PathBuf,
    /// What may be done below it.
    pub right: Right,
}

impl Reach {
    /// The order of their names as bytes.
    fn key(&self) -> (&OsStr, Right) {
        (self.path.as_os_str(), self.right)
    }
}

/// All that a daemon works with, each once and in order.
#[derive(Default)]
pub struct Reaches(Vec<Reach>);

impl Reaches {
    /// Files below `path`, or `path` itself, are read.
    pub fn read(&mut self, path: &Path) {
        self.add(path, Right::Read);
    }

    /// Files below `path`, or `path` itself, are written.
    pub fn write(&mut self, path: &Path) {
        self.add(path, Right::Write);
    }

    /// Files below `path` are written, and directories made.
    pub fn grow(&mut self, path: &Path) {
        self.add(path, Right::Grow);
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Reach> {
        self.0.iter()
    }

    fn add(&mut self, path: &Path, right: Right) {
        if let Err(place) = self.find((path.as_os_str(), right)) {
            let path = path.to_path_buf();
            self.0.insert(place, Reach { path, right });
        }
    }

    fn find(&self, key: (&OsStr, Right)) -> Result<usize, usize> {
        self.0.binary_search_by(|reach| reach.key().cmp(&key))
    }
}

/// Which half of TCP a daemon keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Network {
    /// It is connected to, and connects to nobody.
    Accepts,
    /// It connects, and nobody connects to it.
    Connects,
}

/// Which walls this kernel has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Abilities {
    /// The version of Landlock's interface; 0 where there is none. From 4 on the network is
    /// confined too, from 6 on the sending of signals.
    pub landlock: u32,
    /// Whether system calls can be filtered.
    pub filter: bool,
}

impl fmt::Display for Abilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.landlock {
            0 => f.write_str("files: not confined, this kernel has no Landlock; ")?,
            version => write!(f, "files: confined by Landlock {version}; ")?,
        }
        f.write_str(match self.landlock {
            0..4 => "connections: not confined; ",
            4.. => "connections: confined by Landlock; ",
        })?;
        f.write_str(match self.filter {
            true => "system calls: filtered by seccomp",
            false => "system calls: not filtered, this kernel has no seccomp",
        })
    }
}

/// Asks the kernel, and changes nothing.
pub fn abilities() -> Abilities {
    platform::abilities()
}

/// The walls around this process.
pub struct Confinement {
    reaches: Reaches,
    /// Which file each of them stood for; nothing if files are not confined.
    laid: Option<Vec<Option<FileId>>>,
}

/// Device and number of a file.
type FileId = (u64, u64);

impl Confinement {
    /// Builds the walls, as far as this kernel has them. From here on only what `reaches` name can
    /// be opened, by this process and its children, for good; a directory that is missing now, or
    /// is replaced later, is not among it ([`fits`](Self::fits)).
    ///
    /// An error may leave the process half confined: end it. For a program of one thread.
    pub fn build(reaches: Reaches, network: Network) -> io::Result<Confinement> {
        let laid = platform::confine(&reaches.0, network)?;
        Ok(Confinement { reaches, laid })
    }

    /// Whether all of `wanted` that is there can be reached. A directory that was made, replaced or
    /// mounted since cannot: only a process that is confined anew can do that. Costs a system call
    /// for each of them.
    pub fn fits(&self, wanted: &Reaches) -> bool {
        let Some(laid) = &self.laid else { return true };
        wanted.iter().all(|reach| {
            let found = file_id(&reach.path);
            let place = self.reaches.find(reach.key());
            found.is_none() || place.is_ok_and(|at| laid[at] == found)
        })
    }
}

fn file_id(path: &Path) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt;
    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;
