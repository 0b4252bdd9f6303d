//! The comparison of two files by some of their bytes. Pure.

use std::io;

use super::findings::{Findings, TIMES_GRAIN_NS};
use super::query::Query;
use super::refusal::Refusal;
use crate::limits::GUARD_LEN;
use crate::store::{ReadStore, Stat};
use crate::wire::proof::{self, BLOCK_LEN_MAX, Block, HEAD_LEN};

/// The generation that was being sent, as far as it is known without its file.
pub struct Sent<'a> {
    /// How much of it was sent.
    pub offset: u64,
    /// The first bytes of that, at most [`GUARD_LEN`].
    pub start: &'a [u8],
    /// The first of that, as a block; `None` if nothing was sent.
    pub head: Option<Block>,
    /// The last bytes of that, at most [`GUARD_LEN`].
    pub guard: &'a [u8],
    /// Every older generation was last written no later.
    pub floor_ns: u64,
}

/// Whether bytes that repeat themselves say that two files are the same.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Whole {
    /// They say nothing: in a log of equal lines every part looks like every other.
    Telling,
    /// It is known already that one of the two was copied, and the question is of what.
    Repeated,
}

impl<S: ReadStore> Query<'_, S> {
    /// Whether a file is a duplicate of what was sent, as far as it goes.
    pub(super) fn is_duplicate_of_sent(&self, file: &S::File, size: u64, sent: &Sent<'_>) -> bool {
        // The duplicate may be shorter than the first bytes that are known: as far as it goes, it
        // has to agree.
        let start_len = sent
            .start
            .len()
            .min(usize::try_from(size).unwrap_or(usize::MAX));
        let Some(start) = sent
            .start
            .get(..start_len)
            .filter(|start| !start.is_empty())
        else {
            return false;
        };
        // A block that reaches beyond the duplicate proves nothing about it.
        let head = sent.head.filter(|head| head.end() <= size);
        if !self.has_bytes(file, start, 0)
            || !head.is_none_or(|head| self.has_block(file, head, false))
        {
            return false;
        }
        // The bytes right before the place where sending would go on in the duplicate.
        let guard_start = sent.offset.saturating_sub(sent.guard.len() as u64);
        // A shorter one was cut before the guard: then its start has to do.
        size < sent.offset || self.has_bytes(file, sent.guard, guard_start)
    }

    /// Whether a rotated file is a duplicate of the start of the live one: somebody has copied it,
    /// and may be about to truncate it. What is older than the live file was never copied from it.
    pub(super) fn is_start_of(
        &self,
        file: &S::File,
        stat: &Stat,
        live: Option<&(S::File, Stat)>,
    ) -> bool {
        let is_from_before = |(live, live_stat): &(S::File, Stat)| {
            self.is_from_before((file, stat), (live, live_stat))
        };
        self.has_start_of(file, stat.size, live) && !live.is_some_and(is_from_before)
    }

    /// Whether the live file begins with all bytes of a rotated one. Content that repeats itself
    /// proves nothing.
    pub(super) fn has_start_of(
        &self,
        file: &S::File,
        size: u64,
        live: Option<&(S::File, Stat)>,
    ) -> bool {
        // An empty file is a generation without lines, and no duplicate of anything.
        let Some((live, _)) = live.filter(|(_, stat)| size > 0 && stat.size >= size) else {
            return false;
        };
        self.has_ends(file, live, size, Whole::Telling)
    }

    /// Whether a file was created before another one; where that is not told, whether it was last
    /// written before.
    fn is_from_before(&self, one: (&S::File, &Stat), other: (&S::File, &Stat)) -> bool {
        let birth = |(file, stat): (&S::File, &Stat)| self.store.birth_of(file, stat.id.device);
        let (own, its) = (birth(one).at_ns, birth(other).at_ns);
        its.is_some_and(|its| own.unwrap_or(one.1.mtime_ns.saturating_add(TIMES_GRAIN_NS)) < its)
    }

    /// Whether another file has the first `size` bytes of this one, which are all it has, as far as
    /// its first 1024 and its last 4096 bytes tell.
    pub(super) fn has_ends(
        &self,
        file: &S::File,
        other: &S::File,
        size: u64,
        whole: Whole,
    ) -> bool {
        // PROTOCOL.md, "How the server decides": these decide.
        let head_len = size.min(HEAD_LEN as u64) as u16;
        let end_len = size.min(BLOCK_LEN_MAX as u64);
        self.is_same(file, other, 0, head_len)
            && match whole {
                Whole::Telling => self.is_same_end(file, other, size),
                Whole::Repeated => self.is_same(file, other, size - end_len, end_len as u16),
            }
    }

    /// Whether the last bytes before a place, at most 4096, do not repeat themselves.
    pub(super) fn is_telling(&self, file: &S::File, offset: u64) -> bool {
        self.is_same_end(file, file, offset)
    }

    /// Whether two files have the same bytes at the same place.
    fn is_same(&self, file: &S::File, other: &S::File, start: u64, len: u16) -> bool {
        let Some(sum) = self.checksum(file, start, len, false) else {
            return false;
        };
        let other = self.checksum(other, start, len, false);
        if other.is_none() {
            // The other one is no shorter, so it is not for want of bytes.
            self.findings.map(Findings::note_other_unread);
        }
        other == Some(sum)
    }

    /// Whether another file has the last bytes of this one at their place, and they stand nowhere
    /// before it.
    fn is_same_end(&self, file: &S::File, other: &S::File, size: u64) -> bool {
        let len = size.min(BLOCK_LEN_MAX as u64) as usize;
        let mut buf = [0; BLOCK_LEN_MAX];
        let end = &mut buf[..len];
        if self.read(file, end, size - len as u64) != Some(len)
            || !self.is_same(file, other, size - len as u64, len as u16)
        {
            return false;
        }
        // In a log of equal lines every part looks like every other.
        let tail_len = GUARD_LEN.min(len / 2);
        let tail = &end[len - tail_len..];
        // All but the last byte, so that the tail is not found where it stands itself.
        let before = &end[..len - 1];
        !before.windows(tail_len.max(1)).any(|window| window == tail)
    }

    /// Whether a file has at most [`GUARD_LEN`] bytes at their place.
    pub(super) fn has_bytes(&self, file: &S::File, bytes: &[u8], start: u64) -> bool {
        self.noted(is_there(self.store, file, bytes, start)) == Some(true)
    }

    /// Whether a file has a block at its place.
    pub(super) fn has_block(&self, file: &S::File, block: Block, mapped: bool) -> bool {
        self.checksum(file, block.start, block.len, mapped) == Some(block.crc)
    }

    fn checksum(&self, file: &S::File, start: u64, len: u16, mapped: bool) -> Option<u32> {
        let mut buf = [0; BLOCK_LEN_MAX];
        let bytes = buf.get_mut(..usize::from(len))?;
        let read = self.read(file, bytes, start)?;
        // A block that the file does not have whole is no block of it.
        (read == bytes.len()).then(|| proof::checksum(bytes, mapped))
    }

    fn read(&self, file: &S::File, buf: &mut [u8], start: u64) -> Option<usize> {
        self.noted(self.store.read_at(file, buf, start))
    }

    /// A file that cannot be read is like no other; but see [`all_was_read`](Self::all_was_read).
    fn noted<T>(&self, result: io::Result<T>) -> Option<T> {
        let noted = result.map_err(|error| self.findings.map(|f| f.note_unread(error)));
        noted.ok()
    }

    /// Fails if a file could not be read so far.
    pub(super) fn all_was_read(&self) -> Result<(), Refusal> {
        self.findings.map_or(Ok(()), Findings::all_was_read)
    }

    /// The last block of a file that is not empty.
    pub(super) fn last_block(&self, file: &S::File, stat: &Stat, mapped: bool) -> Option<Block> {
        let len = stat.size.min(BLOCK_LEN_MAX as u64) as u16;
        let start = stat.size - u64::from(len);
        let crc = self.checksum(file, start, len, mapped)?;
        Some(Block { start, len, crc })
    }
}

/// Whether a file has these bytes, at most [`GUARD_LEN`], at their place.
pub(in crate::serve) fn is_there<S: ReadStore>(
    store: &S,
    file: &S::File,
    bytes: &[u8],
    start: u64,
) -> io::Result<bool> {
    let mut buf = [0; GUARD_LEN];
    // Nobody keeps more than that of what was sent.
    let Some(found) = buf.get_mut(..bytes.len()) else {
        return Ok(false);
    };
    let read = store.read_at(file, found, start)?;
    Ok(read == bytes.len() && found == bytes)
}
