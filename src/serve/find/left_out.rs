//! Files that are left out of an answer although a client may lack what is in them. Pure.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::candidates::{Candidate, Candidates};
use super::journal::record::Seq;
use super::place::candidate_of;
use super::token::Known;
use crate::ids::{FileId, Identity};
use crate::store::Stat;
use crate::wire::frame::archive::Archive;
use crate::wire::frame::note::{LeftOut as Why, Note};
use crate::wire::token::Token;

/// A file that is left out, so that its bytes may be missing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeftOut {
    /// The file; `None` if it is not known which.
    pub id: Option<FileId>,
    /// The reason.
    pub why: Why,
    /// The number of the generation in it, as far as that is known; else 0.
    pub(super) seq: Seq,
    size: u64,
    path: PathBuf,
    /// The identity of the file, if the client was given what it had before.
    given: Option<Identity>,
    /// What else is known of it, if it is compressed, and what identifies it.
    tail: Option<Box<(Identity, Tail)>>,
}

/// What a client is told that has to look at archives first.
#[derive(Debug)]
pub struct Told {
    /// The archives, oldest first.
    pub archives: Vec<LeftOut>,
    /// It holds all of its generation.
    pub is_whole: bool,
    /// Something that came behind that is gone, or may be.
    pub is_lost: bool,
}

/// What is told of a compressed file besides its size and name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tail {
    /// Its size.
    pub size: u64,
    /// Its last write.
    pub written_ns: u64,
    /// Somebody may still write to it.
    pub is_fresh: bool,
    /// Its last bytes.
    pub last: [u8; 8],
    /// It is called like one of gzip.
    pub is_gzip: bool,
}

impl Tail {
    /// Whether its last member has so many bytes, modulo 2^32.
    pub(super) fn has_size(&self, all: u64) -> bool {
        let [_, _, _, _, a, b, c, d] = self.last;
        self.is_gzip && u32::from_le_bytes([a, b, c, d]) == all as u32
    }
}

impl LeftOut {
    /// For this reason.
    pub(super) fn new(candidate: &Candidate, why: Why) -> LeftOut {
        LeftOut {
            id: Some(candidate.age.id),
            seq: candidate.age.seq,
            size: candidate.size,
            ..LeftOut::unknown(candidate.path(), why)
        }
    }

    /// Of which nothing is known but a path.
    fn unknown(path: &Path, why: Why) -> LeftOut {
        LeftOut {
            id: None,
            why,
            seq: 0,
            size: 0,
            path: path.to_path_buf(),
            given: None,
            tail: None,
        }
    }

    /// It is compressed, and may hold what the client lacks.
    pub(super) fn compressed(candidate: &Candidate, tail: Tail) -> LeftOut {
        LeftOut {
            size: tail.size,
            tail: Some(Box::new((candidate.identity(), tail))),
            ..LeftOut::new(candidate, Why::Compressed)
        }
    }

    /// It is compressed, and cannot be looked at.
    pub(super) fn unreadable(candidate: &Candidate) -> LeftOut {
        LeftOut::new(candidate, Why::Unreadable)
    }

    /// Whether its last member has so many bytes, modulo 2^32.
    pub fn has_size(&self, all: u64) -> bool {
        let tail = self.tail.as_ref();
        tail.is_some_and(|tail| tail.1.has_size(all))
    }

    /// Whether whoever can inflate may have it.
    pub fn is_gzip(&self) -> bool {
        self.tail.as_ref().is_some_and(|tail| tail.1.is_gzip)
    }

    /// What a client is told of it that can inflate.
    pub fn archive(&self) -> Option<Archive<'_>> {
        let (identity, tail) = **self.tail.as_ref()?;
        Some(Archive {
            is_fresh: tail.is_fresh,
            inode: identity.id.inode,
            size: self.size,
            mtime_ns: tail.written_ns,
            last: tail.last,
            token: token_of(identity)?,
            name: self.note().name,
        })
    }

    /// It was written to after it had been given whole.
    pub(super) fn written_later(candidate: &Candidate) -> LeftOut {
        LeftOut {
            given: Some(candidate.identity()),
            ..LeftOut::new(candidate, Why::WrittenLater)
        }
    }

    /// The token by which the client knows the copy that it was given of the file.
    pub fn token(&self) -> Option<Token> {
        token_of(self.given?)
    }

    /// The same with the number of the generation in it.
    pub(super) fn numbered(self, seq: Seq) -> LeftOut {
        LeftOut { seq, ..self }
    }

    /// It is taken for a duplicate, where nothing but its bytes says so: generations may be equal,
    /// or begin alike.
    pub(super) fn duplicate(candidate: &Candidate) -> LeftOut {
        LeftOut::new(candidate, Why::Duplicate)
    }

    /// It is taken for older than the client's generation, and may be that, or a newer one.
    pub(super) fn doubtful(candidate: &Candidate) -> LeftOut {
        LeftOut::new(candidate, Why::OrderUncertain)
    }

    /// It is taken for the client's generation, or for the next, and may be neither. `log` is the
    /// path of the live one.
    pub(super) fn uncertain(stat: &Stat, rotated: &Candidates, log: &Path) -> LeftOut {
        let path = candidate_of(stat, rotated).map_or(log, Candidate::path);
        LeftOut {
            id: Some(stat.id),
            size: stat.size,
            ..LeftOut::unknown(path, Why::OrderUncertain)
        }
    }

    /// There are files of this log that were not even looked at.
    pub(super) fn too_many(log: &Path) -> LeftOut {
        LeftOut::unknown(log, Why::TooMany)
    }

    /// What a client is told of it.
    pub fn note(&self) -> Note<'_> {
        // A path of the configuration or of a glob always has a last part.
        let name = self.path.file_name().unwrap_or(OsStr::new("?"));
        Note {
            why: self.why,
            is_missing: true,
            size: self.size,
            name: name.as_bytes(),
        }
    }
}

/// The token of a file of which no generation is known.
pub(super) fn token_of(identity: Identity) -> Option<Token> {
    let (epoch, seq) = (0, 0);
    let known = Known {
        identity,
        epoch,
        seq,
    };
    known.token()
}

/// The words of the server's own log.
impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        f.write_str(match self.why {
            Why::NotPermitted => " is left out: no permission to read it",
            Why::Unreadable => " is left out: it could not be read again and again",
            Why::WrittenLater => " was written to after it was complete",
            Why::Duplicate => " is left out: it is taken for a copy of another one",
            Why::OrderUncertain => " is left out or in its place: that is not certain",
            Why::TooMany => " is left out in part: its globs find more than is looked at",
            Why::Compressed => " is left out: it is compressed",
            _ => " is left out",
        })
    }
}
