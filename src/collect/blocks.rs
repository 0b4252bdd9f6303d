//! The comparison of a file here with the server's by checksums of blocks: which blocks to ask for,
//! and what our bytes say to the answer. Pure.
//!
//! Whoever compares reads the file in its own way, and decides what a block that differs means:
//! [`source`](super::source) for the end of a copy, [`finished`](super::finished) for a copy to be
//! healed, [`verify`](super::verify) for an operator.

use super::error::{ProtocolError, SourceError};
use crate::limits::HEAL_BLOCK_LEN;
use crate::wire::crc32::Crc32;
use crate::wire::frame::SUMS_MAX;
use crate::wire::request::Op;
use crate::wire::sums::{BadSums, Sums};

/// Blocks of one length, side by side from `start` to `end`; the last may be shorter. There is at
/// least one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Blocks {
    start: u64,
    len: u64,
    end: u64,
}

impl Blocks {
    /// Blocks over a part of the file, as few and as small as one answer allows.
    pub fn of(start: u64, end: u64) -> Blocks {
        let len = smallest(end - start, HEAL_BLOCK_LEN);
        Blocks { start, len, end }
    }

    /// Blocks over the whole file, as many and as small as tell whether two files are related.
    pub fn fine(size: u64) -> Blocks {
        Blocks {
            start: 0,
            len: smallest(size, FINE_BLOCK_LEN),
            end: size,
        }
    }

    /// At most `most` blocks that are whole only, so that the server's file may go on behind the
    /// last; `None` where there is room for one of the smallest at the most.
    pub fn whole(start: u64, end: u64, most: u16) -> Option<Blocks> {
        let left = end - start;
        let len = left.div_ceil(most.max(1).into()).max(HEAL_BLOCK_LEN);
        (left > HEAL_BLOCK_LEN).then(|| Blocks {
            start,
            len,
            end: end - left % len,
        })
    }

    /// The same part in at most `most` blocks, longer ones if need be.
    pub fn at_most(self, most: u16) -> Blocks {
        let len = (self.end - self.start).div_ceil(most.max(1).into());
        Blocks {
            len: self.len.max(len),
            ..self
        }
    }

    /// The start of the first block.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// The length of each block, but perhaps the last.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// The end of the last block.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// The question for the server.
    pub fn question(&self) -> Op {
        Op::Sums {
            start: self.start,
            len: self.len,
            count: self.count(),
        }
    }

    fn count(&self) -> u16 {
        let count = (self.end - self.start).div_ceil(self.len);
        // Of an empty part one block is asked for: a question for none would be a bad request.
        count.clamp(1, SUMS_MAX as u64) as u16
    }
}

/// The smallest length of a fine block: a shorter one may be the same in any two logs.
const FINE_BLOCK_LEN: u64 = 32;

/// The smallest length, but no less than `least`, of which one answer has room for enough blocks.
fn smallest(len: u64, least: u64) -> u64 {
    len.div_ceil(SUMS_MAX as u64).max(least)
}

/// The comparison of our bytes with the server's checksums, while they pass.
pub struct Comparison {
    blocks: Blocks,
    sums: Sums,
    /// The place before which everything stands that is compared.
    end: u64,
    at: u64,
    crc: Crc32,
    /// The checksum of our block before.
    last: Option<u32>,
}

/// A block that our bytes have passed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Compared {
    /// The start of the block.
    pub start: u64,
    /// The end of the block, or of our bytes.
    pub end: u64,
    /// Whether the server's has the same checksum.
    pub is_same: bool,
    /// Whether our block before has the same checksum, as in zeros or a pattern that is repeated.
    pub is_repeated: bool,
}

impl Comparison {
    /// Begins with the payload of a SUMS frame that answers the question for these blocks. What
    /// answers another question is an error: the connection is not to be believed.
    pub fn new(blocks: Blocks, payload: Vec<u8>) -> Result<Comparison, BadSums> {
        let sums = Sums::parse(payload, blocks.start, blocks.len, blocks.count())?;
        // The last block is taken for a whole one: the server's checksum of it may be of bytes that
        // ours should have.
        let all = blocks.len.saturating_mul(u64::from(blocks.count()));
        Ok(Comparison {
            end: blocks.start.saturating_add(all),
            at: blocks.start,
            crc: Crc32::new(),
            last: None,
            blocks,
            sums,
        })
    }

    /// Compares nothing that stands behind `end`. Without this the last block is as long as the
    /// others, as the server's is where its file goes on.
    pub fn until(self, end: u64) -> Comparison {
        Comparison {
            end: end.clamp(self.blocks.start, self.end),
            ..self
        }
    }

    /// The blocks.
    pub fn blocks(&self) -> Blocks {
        self.blocks
    }

    /// The end of the server's file, or of the last block.
    pub fn their_end(&self) -> u64 {
        self.sums.end()
    }

    /// The place of the next of our bytes to be passed.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// The start of the block that this byte is in.
    pub fn block_start(&self) -> u64 {
        self.at - (self.at - self.blocks.start) % self.blocks.len
    }

    /// The end of that block, if it is as long as the others.
    pub fn block_end(&self) -> u64 {
        self.block_start().saturating_add(self.blocks.len)
    }

    /// The number of our bytes that the block lacks; 0 once all are compared.
    pub fn wanted(&self) -> u64 {
        self.block_end().min(self.end) - self.at
    }

    /// Passes our next bytes, at most as many as are [`wanted`](Self::wanted). Tells of the block
    /// that ends with them.
    pub fn pass(&mut self, bytes: &[u8]) -> Option<Compared> {
        self.crc.update(bytes);
        let start = self.block_start();
        self.at += bytes.len() as u64;
        let is_end = self.at == self.end || self.block_start() != start;
        (is_end && !bytes.is_empty()).then(|| self.end_block(start))
    }

    /// Ends the comparison where our file ends, in the middle of a block or where one would begin.
    pub fn end_early(&mut self) -> Compared {
        self.end_block(self.block_start())
    }

    fn end_block(&mut self, start: u64) -> Compared {
        let number = (start - self.blocks.start) / self.blocks.len;
        let ours = std::mem::take(&mut self.crc).finish();
        let last = self.last.replace(ours);
        Compared {
            start,
            end: self.at,
            // Behind the end of the server's file there is no checksum, and so nothing that is the
            // same.
            is_same: self.sums.get(number) == Some(ours),
            is_repeated: last == Some(ours),
        }
    }
}

impl From<BadSums> for SourceError {
    fn from(BadSums: BadSums) -> SourceError {
        ProtocolError::Terms.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a server with this file answers.
    fn answer(blocks: Blocks, file: &[u8]) -> Vec<u8> {
        let Op::Sums { start, len, count } = blocks.question() else {
            panic!("no question for checksums");
        };
        let most = start + len * u64::from(count);
        let end = most.min(file.len() as u64).max(start);
        let part = file.get(start as usize..end as usize).unwrap_or_default();
        let mut payload = [start.to_be_bytes(), end.to_be_bytes()].concat();
        for block in part.chunks(len as usize) {
            payload.extend_from_slice(&Crc32::new().update(block).finish().to_be_bytes());
        }
        payload
    }

    /// The blocks of our file that are passed, in pieces of so many bytes.
    fn passed(blocks: Blocks, ours: &[u8], theirs: &[u8], piece: usize) -> Vec<Compared> {
        let comparison = Comparison::new(blocks, answer(blocks, theirs)).unwrap();
        let mut comparison = comparison.until(blocks.end());
        let mut all = Vec::new();
        while comparison.wanted() > 0 {
            let at = comparison.at() as usize;
            let len = piece.min(comparison.wanted() as usize);
            match ours.get(at..ours.len().min(at + len)) {
                Some(bytes) if !bytes.is_empty() => all.extend(comparison.pass(bytes)),
                _ => {
                    all.push(comparison.end_early());
                    break;
                }
            }
        }
        all
    }

    fn block(start: u64, end: u64, is_same: bool) -> Compared {
        Compared {
            start,
            end,
            is_same,
            is_repeated: false,
        }
    }

    #[test]
    fn our_bytes_may_come_in_any_pieces() {
        let theirs: Vec<u8> = (0..100).collect();
        let mut ours = theirs.clone();
        ours[40] ^= 1;
        let expected = [
            block(0, 32, true),
            block(32, 64, false),
            block(64, 96, true),
            block(96, 100, true),
        ];
        for piece in 1..=100 {
            assert_eq!(passed(Blocks::fine(100), &ours, &theirs, piece), expected);
        }
    }

    #[test]
    fn a_shorter_file_on_either_side_differs_in_its_last_block() {
        let long: Vec<u8> = (0..100).collect();
        let short = &long[..70];
        for piece in [1, 7, 32, 100] {
            let ours_ends = passed(Blocks::fine(100), short, &long, piece);
            assert_eq!(ours_ends.last(), Some(&block(64, 70, false)));
            let theirs_ends = passed(Blocks::fine(100), &long, short, piece);
            assert_eq!(
                theirs_ends[2..],
                [block(64, 96, false), block(96, 100, false)]
            );
        }
    }

    #[test]
    fn a_file_that_ends_with_a_block_lacks_the_next() {
        let long: Vec<u8> = (0..100).collect();
        let expected = [
            block(0, 32, true),
            block(32, 64, true),
            block(64, 64, false),
        ];
        assert_eq!(passed(Blocks::fine(100), &long[..64], &long, 9), expected);
    }

    #[test]
    fn the_last_block_goes_as_far_as_the_server_read() {
        let file: Vec<u8> = (0..100).collect();
        let mut comparison =
            Comparison::new(Blocks::fine(70), answer(Blocks::fine(70), &file)).unwrap();
        assert_eq!(comparison.their_end(), 96);
        let mut at = 0;
        while comparison.wanted() > 0 {
            let end = at + comparison.wanted() as usize;
            let compared = comparison.pass(&file[at..end]).unwrap();
            assert!(compared.is_same, "{compared:?}");
            at = end;
        }
        assert_eq!(at, 96);
    }

    #[test]
    fn as_many_blocks_are_asked_for_as_one_answer_has_room_for() {
        const MIB: u64 = 1024 * 1024;
        for (blocks, len, count) in [
            (Blocks::of(0, 0), 4096, 1),
            (Blocks::of(10, 11), 4096, 1),
            (Blocks::of(0, 4096), 4096, 1),
            (Blocks::of(0, 4097), 4096, 2),
            (Blocks::of(0, 4 * MIB), 4096, 1024),
            (Blocks::of(0, 4 * MIB + 1), 4097, 1024),
            (Blocks::fine(100), 32, 4),
            (Blocks::fine(1024 * 32 + 1), 33, 993),
        ] {
            let Op::Sums {
                len: l, count: c, ..
            } = blocks.question()
            else {
                panic!("no question for checksums");
            };
            assert_eq!((l, c), (len, count), "{blocks:?}");
        }
    }

    #[test]
    fn whole_blocks_leave_the_rest_to_the_next_question() {
        assert_eq!(Blocks::whole(5, 5, 1024), None);
        assert_eq!(Blocks::whole(5, 4096 + 5, 1024), None);
        for size in [4097, 8191, 8192, 8193, 5 * 1024 * 1024 + 17, 1 << 40] {
            let blocks = Blocks::whole(7, size + 7, 1024).unwrap();
            let Op::Sums { start, len, count } = blocks.question() else {
                panic!("no question for checksums");
            };
            assert_eq!(start + len * u64::from(count), blocks.end());
            assert!(blocks.end() <= size + 7 && size + 7 - blocks.end() < len);
        }
    }

    #[test]
    fn an_answer_to_another_question_is_bad() {
        let file = [0; 8192];
        let asked = Blocks::of(4096, 8192);
        assert!(Comparison::new(asked, answer(Blocks::of(0, 8192), &file)).is_err());
        assert!(Comparison::new(asked, Vec::new()).is_err());
        assert!(Comparison::new(asked, answer(asked, &file)).is_ok());
    }
}
