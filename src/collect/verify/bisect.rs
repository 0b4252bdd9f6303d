//! The search for the place where two files that are known to differ begin to: by checksums of ever
//! smaller blocks, and then byte by byte. Pure.

use std::io;

use super::Verdict;
use super::exchange::broken;
use crate::collect::blocks::{Blocks, Comparison};
use crate::collect::error::ProtocolError;
use crate::limits::HEAL_BLOCK_LEN;
use crate::store::ReadStore;
use crate::wire::request::Op;

/// A search for the first difference.
pub struct Search {
    /// The place before which all that is compared stands: files may grow.
    size: u64,
    step: Step,
}

enum Step {
    /// The server is to be asked for the checksums of these blocks.
    AskSums(Blocks),
    /// They have come and are compared with our bytes.
    Compare(Comparison),
    /// The server is to be asked for these bytes.
    AskBytes { start: u64, len: u64 },
    /// They have come.
    CompareBytes { start: u64, theirs: Vec<u8> },
}

/// The outcome of a search.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Difference {
    /// The first byte that differs.
    At { at: u64, ours: u8, theirs: u8 },
    /// No byte differs any more.
    Nothing,
}

impl Search {
    /// A search in the first `size` bytes of both, at least one, which have different digests.
    pub fn new(size: u64) -> Search {
        Search {
            size,
            step: Step::AskSums(Blocks::of(0, size)),
        }
    }

    /// The place before which nothing differs.
    pub fn start(&self) -> u64 {
        match &self.step {
            Step::AskSums(blocks) => blocks.start(),
            Step::Compare(comparison) => comparison.block_start(),
            Step::AskBytes { start, .. } | Step::CompareBytes { start, .. } => *start,
        }
    }

    /// The question for the server; `None` while there is [`work`](Self::work) to do.
    pub fn question(&self) -> Option<Op> {
        match &self.step {
            Step::AskSums(blocks) => Some(blocks.question()),
            Step::AskBytes { start, len } => Some(Op::Range {
                start: *start,
                len: *len,
            }),
            Step::Compare(_) | Step::CompareBytes { .. } => None,
        }
    }

    /// Takes the payload of a SUMS frame.
    pub fn take_sums(&mut self, payload: Vec<u8>) -> Result<(), Verdict> {
        let Step::AskSums(blocks) = self.step else {
            return Err(broken(ProtocolError::Order));
        };
        let comparison = Comparison::new(blocks, payload);
        let comparison = comparison.map_err(|_| broken(ProtocolError::Terms))?;
        self.step = Step::Compare(comparison);
        Ok(())
    }

    /// Takes the bytes that were asked for.
    pub fn take_bytes(&mut self, theirs: Vec<u8>) -> Result<(), Verdict> {
        match self.step {
            Step::AskBytes { start, .. } => {
                self.step = Step::CompareBytes { start, theirs };
                Ok(())
            }
            _ => Err(broken(ProtocolError::Order)),
        }
    }

    /// Compares one more slice, with `buf` to read into. Tells how many bytes that were, and the
    /// outcome.
    pub fn work<S: ReadStore>(
        &mut self,
        buf: &mut [u8],
        store: &S,
        file: &S::File,
    ) -> io::Result<(usize, Option<Difference>)> {
        match &mut self.step {
            Step::AskSums(_) | Step::AskBytes { .. } => Ok((0, None)),
            Step::Compare(comparison) => {
                let at = comparison.at();
                // All blocks are the same, and yet the digests were not: the files have changed in
                // between.
                if at >= self.size.min(comparison.blocks().end()) {
                    return Ok((0, Some(Difference::Nothing)));
                }
                if comparison.block_end() > self.size {
                    // The server's checksum may be of bytes that we do not have yet; the difference
                    // is nowhere else.
                    let start = comparison.block_start();
                    self.narrow(start, self.size);
                    return Ok((0, None));
                }
                let wanted = usize::try_from(comparison.wanted()).unwrap_or(usize::MAX);
                let wanted = wanted.min(buf.len());
                let read = store.read_at(file, &mut buf[..wanted], at)?;
                // Our copy became shorter meanwhile.
                if read == 0 {
                    return Ok((0, Some(Difference::Nothing)));
                }
                if let Some(compared) = comparison.pass(&buf[..read])
                    && !compared.is_same
                {
                    self.narrow(compared.start, compared.end);
                }
                Ok((read, None))
            }
            Step::CompareBytes { start, theirs } => {
                let len = theirs.len().min(buf.len());
                let read = store.read_at(file, &mut buf[..len], *start)?;
                let pairs = (*start..).zip(buf[..read].iter().zip(&*theirs));
                let mut differing = pairs.filter(|(_, (ours, theirs))| ours != theirs);
                let found = match differing.next() {
                    Some((at, (&ours, &theirs))) => Some(Difference::At { at, ours, theirs }),
                    // The blocks differed and their bytes do not.
                    None if read == 0 || read == theirs.len() => Some(Difference::Nothing),
                    None => {
                        *start += read as u64;
                        theirs.drain(..read);
                        None
                    }
                };
                Ok((read, found))
            }
        }
    }

    /// Narrows the search: the first difference lies between these two.
    fn narrow(&mut self, start: u64, end: u64) {
        self.step = if end - start <= HEAL_BLOCK_LEN {
            Step::AskBytes {
                start,
                len: end - start,
            }
        } else {
            Step::AskSums(Blocks::of(start, end))
        };
    }
}
