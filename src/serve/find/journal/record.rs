//! The records of the journal. Pure.

use crate::ids::Identity;
use crate::limits::GUARD_LEN;
use crate::wire::proof::{self, Block};

/// The number of a generation in the journal: the newer one has the greater number. 0 stands for
/// all that was there before. Records have even numbers. The odd number below is that of whatever
/// came and went during the life of a record and left only a duplicate.
pub type Seq = u32;

/// Whether a number is that of generations without a record.
pub fn is_stray(seq: Seq) -> bool {
    seq % 2 == 1
}

/// A generation that was seen at the live path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record {
    /// Its number.
    pub seq: Seq,
    /// The file that held it.
    pub identity: Identity,
    /// The most bytes that it was seen to have.
    pub size: u64,
    /// The last write of its file when the first of its bytes were seen, or it had none.
    pub begun_ns: u64,
    /// The same of the generation after it; `None` while there is none.
    pub over_ns: Option<u64>,
    /// Its last write, as far as that was seen.
    pub written_ns: u64,
    /// Its first bytes.
    pub head: Head,
    /// What became of it.
    pub state: State,
    /// There were zeros in it, which may have been there ahead of what was to be written: they are
    /// no part of its size.
    pub has_zeros: bool,
    /// Nothing can have come between the generation before and this one and gone unseen.
    pub is_next: bool,
    /// Its file was seen after it was over: it has no more than was seen.
    pub is_end_seen: bool,
    /// Its file was put in the place of the one before, which had no other name.
    pub replaces: bool,
}

impl Record {
    /// Whether it was live at a moment, by the clock of the files.
    pub fn was_when(&self, at_ns: Option<u64>) -> bool {
        let is_over = |at: u64| self.over_ns.is_some_and(|over| at > over);
        at_ns.is_some_and(|at| at >= self.begun_ns && !is_over(at))
    }
}

/// The first bytes of a generation, as far as they were seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Head {
    /// How many.
    pub len: u16,
    /// Their checksum.
    pub crc: u32,
    /// The checksum of the first [`GUARD_LEN`] of them, or of all if they are fewer.
    pub start_crc: u32,
    /// The first of them, and zeros if they are fewer.
    pub start: [u8; START_KEPT_LEN],
}

/// First bytes of a generation that are kept as they are: a file that is shorter than what there
/// are checksums of is known by them.
pub const START_KEPT_LEN: usize = 16;

impl Head {
    /// That of these bytes.
    pub fn of(bytes: &mut [u8]) -> Head {
        let start_len = bytes.len().min(GUARD_LEN);
        let mut start = [0; START_KEPT_LEN];
        let kept = bytes.len().min(START_KEPT_LEN);
        start[..kept].copy_from_slice(&bytes[..kept]);
        Head {
            len: bytes.len() as u16,
            crc: proof::checksum(bytes, false),
            start_crc: proof::checksum(&mut bytes[..start_len], false),
            start,
        }
    }

    /// The part of it that a file of `size` bytes can have, as a block.
    pub fn within(&self, size: u64) -> Block {
        let block = |len, crc| Block { start: 0, len, crc };
        let start_len = self.len.min(GUARD_LEN as u16);
        match size {
            size if size >= u64::from(self.len) => block(self.len, self.crc),
            size if size >= u64::from(start_len) => block(start_len, self.start_crc),
            size => {
                let mut start = self.start;
                let len = start
                    .len()
                    .min(usize::try_from(size).unwrap_or(start.len()));
                block(len as u16, proof::checksum(&mut start[..len], false))
            }
        }
    }
}

/// What became of a generation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// It has the live name.
    Live,
    /// Another file has the live name.
    Rotated,
    /// Its file holds another generation.
    Truncated,
    /// It is over, and somebody was sent all of it: so many bytes.
    Complete(u64),
}

/// What the journal knows of a rotated file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It holds the generation with this number.
    Generation(Seq),
    /// It was there before the journal began, as a generation or as a copy.
    Elder,
    /// It came under the eyes of the server and was never at the live path: somebody copied it,
    /// unpacked it or moved it here from elsewhere.
    Newcomer,
    /// The server was not told of all that happened.
    Unknown,
}
