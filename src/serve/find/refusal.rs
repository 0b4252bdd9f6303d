//! Refusals: why nothing answers a request.

use std::fmt;
use std::io;

use crate::store::Kind;

/// Why nothing answers a request. In classic the client sees only that the connection closes.
#[derive(Debug)]
pub enum Refusal {
    /// There is no such file now, nor a rotated one that would do.
    Missing,
    /// The path holds something that is never served.
    NotRegular(Kind),
    /// The system would not let us.
    Unreadable(io::Error),
    /// The rotated files change their names all the time, so that one might be overlooked.
    Unsettled,
    /// That takes longer, and has to be asked again: see [`super::search`].
    Later,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Missing => f.write_str("there is no such file now"),
            Refusal::NotRegular(Kind::Link) => f.write_str(
                "it is a symbolic link; name the file it leads to (links among its directories are fine)",
            ),
            Refusal::NotRegular(Kind::Directory) => f.write_str("it is a directory"),
            Refusal::NotRegular(_) => f.write_str("it is not a regular file"),
            Refusal::Unreadable(error) => write!(f, "cannot read it: {error}"),
            Refusal::Unsettled => f.write_str("its rotated files are being renamed just now"),
            Refusal::Later => f.write_str("it is still being looked for"),
        }
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Refusal {
        match error.kind() {
            io::ErrorKind::NotFound => Refusal::Missing,
            _ => Refusal::Unreadable(error),
        }
    }
}
