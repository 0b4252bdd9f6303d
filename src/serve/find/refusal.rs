//! Refusals: why nothing answers a request.

use std::fmt;
use std::io;

use super::left_out::Told;
use crate::serve::glob::TooMuch;
use crate::store::Kind;
use crate::wire::frame::ErrorCode;

/// Why nothing answers a request. In classic the client sees only that the connection closes.
#[derive(Debug)]
pub enum Refusal {
    /// There is no such file now, nor a rotated one that would do.
    Missing,
    /// The path leads to a file that has no name any more, as where it alone is mounted and was
    /// deleted elsewhere.
    Unlinked,
    /// The path holds something that is never served.
    NotRegular(Kind),
    /// The system would not let us.
    // Boxed, so that what is handed on through many functions is small and has no gaps.
    Unreadable(Box<io::Error>),
    /// The rotated files change their names all the time, so that one might be overlooked.
    Unsettled,
    /// What comes next is compressed, and the client can take it.
    Compressed(Box<Told>),
    /// That takes longer, and has to be asked again: see [`super::search`].
    Later,
}

impl Refusal {
    /// The system would not let us, for this reason.
    #[inline(never)]
    pub fn unreadable(error: io::Error) -> Refusal {
        Refusal::Unreadable(Box::new(error))
    }

    /// Whether it is the same one for a person who has read the other.
    pub fn is_like(&self, other: &Refusal) -> bool {
        match (self, other) {
            (Refusal::NotRegular(kind), Refusal::NotRegular(before)) => kind == before,
            (Refusal::Unreadable(error), Refusal::Unreadable(before)) => {
                error.raw_os_error() == before.raw_os_error()
            }
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }

    /// Whether it stays as long as nobody changes a file.
    pub fn is_lasting(&self) -> bool {
        match self {
            Refusal::Missing | Refusal::Unlinked | Refusal::NotRegular(_) => true,
            Refusal::Unreadable(error) => is_lasting(error),
            Refusal::Unsettled | Refusal::Compressed(_) | Refusal::Later => false,
        }
    }

    /// What it is called in an ERROR frame.
    pub fn code(&self) -> ErrorCode {
        match self {
            Refusal::Missing | Refusal::Unlinked => ErrorCode::NoSuchFile,
            Refusal::NotRegular(_) | Refusal::Unreadable(_) => ErrorCode::NotReadable,
            Refusal::Unsettled | Refusal::Later => ErrorCode::Busy,
            Refusal::Compressed(_) => ErrorCode::Compressed,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Missing => f.write_str("there is no such file now"),
            Refusal::Unlinked => f.write_str(
                "it is a file that was deleted, mounted here alone; mount its directory",
            ),
            Refusal::NotRegular(Kind::Link) => f.write_str(
                "it is a symbolic link; name the file it leads to (links among its directories are fine), or with $series all that it may lead to",
            ),
            Refusal::NotRegular(Kind::Directory) => f.write_str("it is a directory"),
            Refusal::NotRegular(_) => f.write_str("it is not a regular file"),
            Refusal::Unreadable(error) => write!(f, "cannot read it: {error}"),
            Refusal::Unsettled => f.write_str("its rotated files are being renamed just now"),
            Refusal::Compressed(_) => f.write_str("what comes next is compressed"),
            Refusal::Later => f.write_str("it is still being looked for"),
        }
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Refusal {
        match error.kind() {
            io::ErrorKind::NotFound => Refusal::Missing,
            _ => Refusal::unreadable(error),
        }
    }
}

/// Whether an error will be the same at the next try: waiting for it to pass would be in vain.
pub(super) fn is_lasting(error: &io::Error) -> bool {
    // PROTOCOL.md, "Rotation": files that the server may not read are left out.
    error.kind() == io::ErrorKind::PermissionDenied
        || error.get_ref().is_some_and(|inner| inner.is::<TooMuch>())
}

/// Whether an error is about the file that was to be read, and not about something that is short
/// for a moment.
pub(in crate::serve) fn is_about_the_file(error: &io::Error) -> bool {
    // The standard library has no kinds for these. Linux and the BSDs give them the same numbers.
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    use io::ErrorKind::{Interrupted, OutOfMemory, WouldBlock};
    !matches!(error.kind(), OutOfMemory | Interrupted | WouldBlock)
        && !matches!(error.raw_os_error(), Some(ENFILE | EMFILE))
}
