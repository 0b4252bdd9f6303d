//! The findings and the errors in the local files of a source.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::loss::Loss;
use super::pointer::PointerError;

/// A finding of [`LocalCopy::open`](super::LocalCopy::open) that it has put right; each is worth an
/// event line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Found {
    /// A local copy without a pointer was renamed to this name; the source starts as if new.
    SetAside(PathBuf),
    /// The local copy is missing, but there is a pointer: it is fetched again from the start.
    CopyMissing,
    /// The last run stopped in the middle of a rotation, which is now finished; the older copy has
    /// this name.
    RotationFinished(PathBuf),
    /// The last run stopped in the middle of a rotation, and the older copy has vanished since.
    RotatedMissing(PathBuf),
    /// The last run stopped in the middle of a rotation, behind which something is lost, and had
    /// not told that.
    Lost(Loss),
    /// The last run stopped while it set the end of the copy aside, which is now finished; this
    /// file has it.
    RescueFinished(PathBuf),
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Found::SetAside(kept) => write!(
                f,
                "a local copy without a pointer was set aside as {}",
                kept.display()
            ),
            Found::CopyMissing => {
                f.write_str("the local copy is missing; it is fetched again from the start")
            }
            Found::RotationFinished(kept) => write!(
                f,
                "finished an interrupted rotation; the older copy is {}",
                kept.display()
            ),
            Found::RotatedMissing(kept) => write!(
                f,
                "finished an interrupted rotation, but the older copy {} is missing",
                kept.display()
            ),
            Found::Lost(loss) => loss.fmt(f),
            Found::RescueFinished(kept) => write!(
                f,
                "finished setting aside the end of the local copy, which is not the server's: it is kept as {}",
                kept.display()
            ),
        }
    }
}

/// An error for which the local side of a source cannot go on.
#[derive(Debug)]
pub enum FileError {
    /// A system call failed.
    System {
        /// The operation, as in "cannot ...".
        operation: &'static str,
        /// The file or directory it was tried on.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// Bytes that were written to this file may never reach the disk. To try once more would prove
    /// nothing: the system has told it, and takes it for settled.
    NotDurable(PathBuf, io::Error),
    /// The pointer file cannot be trusted.
    Pointer(PathBuf, PointerError),
    /// Another process, by its pid, writes to this file.
    Locked(PathBuf, u32),
    /// Every name that the finished copy could have is taken.
    NoFreeName(PathBuf),
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileError::System {
                operation,
                path,
                error,
            } => write!(f, "cannot {operation} {}: {error}", path.display()),
            FileError::NotDurable(path, error) => write!(
                f,
                "cannot make durable {}: {error}; it is compared with the server's file and written again",
                path.display()
            ),
            FileError::Pointer(path, error) => write!(f, "{}: {error}", path.display()),
            FileError::Locked(path, pid) => write!(
                f,
                "{} is being written by another collector, process {pid}",
                path.display()
            ),
            FileError::NoFreeName(path) => write!(
                f,
                "every name for the rotated copy of {} is taken",
                path.display()
            ),
        }
    }
}

impl FileError {
    /// Whether bytes of the local copy that seem to be there may be lost with the next power cut.
    pub fn casts_doubt(&self) -> bool {
        match self {
            FileError::NotDurable(..) => true,
            // Not every such error is one of writing, but to compare once more does no harm.
            FileError::System { error, .. } => is_of_device(error),
            _ => false,
        }
    }
}

/// Whether a system call failed because something was short that may be there again later: room on
/// the disk, memory, descriptors.
pub fn is_shortage(error: &io::Error) -> bool {
    // The standard library has no kinds for these. Linux and the BSDs give them the same numbers.
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::OutOfMemory
    ) || matches!(error.raw_os_error(), Some(ENFILE | EMFILE))
}

/// Whether a system call failed because a device did, or the way to it.
pub fn is_of_device(error: &io::Error) -> bool {
    error.raw_os_error() == Some(EIO)
}

/// The error number by which every system says that a device failed.
const EIO: i32 = 5;

/// A failed system call.
pub(super) fn system(operation: &'static str, path: &Path, error: io::Error) -> FileError {
    FileError::System {
        operation,
        path: path.to_path_buf(),
        error,
    }
}
