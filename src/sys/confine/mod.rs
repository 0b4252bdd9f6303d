//! Confinement: what a daemon can still do once it has started, whoever speaks through it.
//!
//! Four walls, each of its own: no new privileges and no look into the process (prctl(2)), files
//! and network by Landlock (landlock(7)), system calls by a filter (seccomp(2)). None of them can
//! be taken down again, and every child has them too. What a kernel does not have is left out;
//! [`Abilities`] tells.

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
}

/// A directory or a file that a daemon works with.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Reach {
    /// Absolute. Links in it are followed, once, when the walls are built. It need not be there.
    pub path: PathBuf,
    /// What may be done below it.
    pub right: Right,
}

impl Reach {
    /// Files below `path` are read.
    pub fn read(path: impl Into<PathBuf>) -> Reach {
        Reach {
            path: path.into(),
            right: Right::Read,
        }
    }

    /// Files below `path` are written.
    pub fn write(path: impl Into<PathBuf>) -> Reach {
        Reach {
            path: path.into(),
            right: Right::Write,
        }
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
    /// In the order of their paths.
    laid: Vec<(Reach, FileId)>,
    are_files_confined: bool,
}

/// Device and number of a file.
type FileId = (u64, u64);

impl Confinement {
    /// Builds the walls, as far as this kernel has them. From here on only what `reaches` name can
    /// be opened, by this process and its children, for good; a directory that is missing now, or
    /// is replaced later, is not among it ([`fits`](Self::fits)).
    ///
    /// An error may leave the process half confined: end it. For a program of one thread.
    pub fn build(mut reaches: Vec<Reach>, network: Network) -> io::Result<Confinement> {
        reaches.sort_unstable();
        reaches.dedup();
        let laid = platform::confine(&reaches, network)?;
        let are_files_confined = laid.is_some();
        let found = laid.unwrap_or_default();
        let laid = reaches.into_iter().zip(found);
        Ok(Confinement {
            laid: laid.filter_map(|(reach, id)| Some((reach, id?))).collect(),
            are_files_confined,
        })
    }

    /// Whether all of `wanted` that is there can be reached. A directory that was made, replaced or
    /// mounted since cannot: only a process that is confined anew can do that. Costs a system call
    /// for each of them.
    pub fn fits(&self, wanted: &[Reach]) -> bool {
        !self.are_files_confined || wanted.iter().all(|reach| self.has(reach))
    }

    fn has(&self, wanted: &Reach) -> bool {
        let Some(id) = file_id(&wanted.path) else {
            return true;
        };
        let place = self.laid.binary_search_by(|(laid, _)| laid.cmp(wanted));
        place.is_ok_and(|at| self.laid[at].1 == id)
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
