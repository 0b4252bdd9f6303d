//! The verdict on one copy: what its comparison came to.

use std::fmt;
use std::io;

use super::Which;
use crate::collect::copy::FileError;
use crate::collect::error::SourceError;
use crate::wire::md5::Hex;

/// The outcome of the comparison of one copy.
#[derive(Debug)]
pub enum Verdict {
    /// Both have the same bytes, and the same number of them.
    Identical {
        /// The MD5 of both.
        md5: [u8; 16],
        /// The number of their bytes.
        size: u64,
    },
    /// The copy and the file are the same as far as both go, and one has more.
    Prefix(More),
    /// The copy and the file are the same as far as both go, and we hold so much more, of which the
    /// collector knew.
    Kept(u64),
    /// The copy and the file differ.
    Diverged {
        /// The first byte that does.
        at: u64,
        /// Whether it is that byte, and not one behind it.
        exact: bool,
    },
    /// The server does not have that generation any more.
    Gone,
    /// The server speaks classic, or is to be spoken to in classic.
    Classic,
    /// The first difference is one that the classic protocol makes: it sends 0xff for 0x07.
    ClassicByte {
        /// The place of the byte.
        at: u64,
    },
    /// The copy and the file differ, and then they do not: somebody writes where nobody should.
    Unsteady,
    /// The server could not be asked.
    Unreachable(SourceError),
    /// The configured name has no address.
    NoAddress,
    /// The server does not answer this.
    Refused {
        /// The server's reason.
        why: Box<str>,
        /// Whether it may answer in a moment.
        for_now: bool,
    },
    /// There is no local copy.
    Missing,
    /// The local files cannot be used.
    Unreadable(FileError),
}

/// The side that has more, and how much.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum More {
    /// The server.
    Theirs(u64),
    /// We.
    Ours(u64),
}

impl Verdict {
    /// Whether the copy is as it should be. A live log grows, or has lost its end in a power cut,
    /// which the collector sees to; a rotated file does neither, but does not stay on the server
    /// for ever.
    pub fn is_good(&self, which: Which) -> bool {
        match self {
            Verdict::Identical { .. } | Verdict::Kept(_) => true,
            Verdict::Prefix(_) => which == Which::Live,
            Verdict::Gone => which == Which::Rotated,
            _ => false,
        }
    }

    /// Whether it says something about the bytes of both, or only that there was no answer.
    pub(super) fn is_about_bytes(&self) -> bool {
        match self {
            Verdict::Identical { .. }
            | Verdict::Prefix(_)
            | Verdict::Kept(_)
            | Verdict::Diverged { .. }
            | Verdict::ClassicByte { .. }
            | Verdict::Unsteady
            | Verdict::Missing
            | Verdict::Unreadable(_) => true,
            Verdict::Gone
            | Verdict::Classic
            | Verdict::Unreachable(_)
            | Verdict::NoAddress
            | Verdict::Refused { .. } => false,
        }
    }

    /// A system call on a local file failed.
    pub(super) fn unreadable(
        operation: &'static str,
        path: &std::path::Path,
        error: io::Error,
    ) -> Verdict {
        Verdict::Unreadable(FileError::System {
            operation,
            path: path.to_path_buf(),
            error,
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Identical { md5, size } => {
                write!(f, "IDENTICAL md5={} {size} bytes", Hex(md5))
            }
            Verdict::Prefix(More::Theirs(by)) => write!(f, "PREFIX the box has {by} bytes more"),
            Verdict::Prefix(More::Ours(by)) => write!(f, "PREFIX we hold {by} bytes more"),
            Verdict::Kept(by) => write!(f, "PREFIX we hold {by} bytes more, which is on record"),
            Verdict::Diverged { at, exact: true } => write!(f, "DIVERGED at {at}"),
            Verdict::Diverged { at, exact: false } => write!(f, "DIVERGED at or after {at}"),
            Verdict::Gone => f.write_str("GONE the box has no such generation any more"),
            Verdict::Classic => f.write_str("CLASSIC the server cannot verify"),
            Verdict::ClassicByte { at } => write!(
                f,
                "UNVERIFIABLE begun by classic, which sends 0xff for 0x07, as at {at}"
            ),
            Verdict::Unsteady => {
                f.write_str("UNVERIFIABLE the files changed while they were compared")
            }
            Verdict::Unreachable(error) => write!(f, "UNREACHABLE {error}"),
            Verdict::NoAddress => f.write_str("UNREACHABLE its name has no address"),
            Verdict::Refused { why, .. } => write!(f, "REFUSED {why}"),
            Verdict::Missing => f.write_str("MISSING there is no local copy"),
            Verdict::Unreadable(error) => write!(f, "UNREADABLE {error}"),
        }
    }
}
