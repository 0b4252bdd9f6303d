//! The fingerprint of what was sent: its first and last bytes, to know it again. Pure.

use std::io;

use crate::limits::GUARD_LEN;
use crate::serve::find::compare::{Sent, is_there};
use crate::serve::find::journal::record::{Head, START_KEPT_LEN};
use crate::store::ReadStore;
use crate::wire::crc32::Crc32;
use crate::wire::proof::{self, Block, HEAD_LEN};

/// The start and the end of what was sent of a generation.
#[derive(Clone, Default)]
pub(super) struct Fingerprint {
    /// The first, at most [`GUARD_LEN`].
    start: heapless::Vec<u8, GUARD_LEN, u8>,
    /// The checksum of the first, at most [`HEAD_LEN`].
    head: Crc32,
    head_len: u16,
    /// The last, at most [`GUARD_LEN`].
    guard: heapless::Vec<u8, GUARD_LEN, u8>,
}

impl Fingerprint {
    /// What is to be remembered of the first `offset` bytes of a file.
    pub(super) fn of<S: ReadStore>(
        store: &S,
        file: &S::File,
        offset: u64,
    ) -> io::Result<Fingerprint> {
        // The client came back: what it got over another connection is read from the file.
        let mut buf = [0; HEAD_LEN];
        let head_len = usize::try_from(offset).unwrap_or(HEAD_LEN).min(HEAD_LEN);
        let read = store.read_at(file, &mut buf[..head_len], 0)?;
        let mut fingerprint = Fingerprint::default();
        fingerprint.extend(&buf[..read]);
        let guard_len = fingerprint.guard.len();
        let guard = &mut buf[..guard_len];
        let read = store.read_at(file, guard, offset - guard_len as u64)?;
        fingerprint.guard.clear();
        let _ = fingerprint.guard.extend_from_slice(&buf[..read]);
        Ok(fingerprint)
    }

    /// So many more bytes follow those that are remembered.
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        // The start takes what it has room for and stays; the end moves on.
        let room = (GUARD_LEN - self.start.len()).min(bytes.len());
        let _ = self.start.extend_from_slice(&bytes[..room]);
        let room = (HEAD_LEN - usize::from(self.head_len)).min(bytes.len());
        self.head.update(&bytes[..room]);
        self.head_len += room as u16;
        let last = &bytes[bytes.len().saturating_sub(GUARD_LEN)..];
        let kept = GUARD_LEN - last.len();
        let dropped = self.guard.len().saturating_sub(kept);
        self.guard.drain(..dropped);
        let _ = self.guard.extend_from_slice(last);
    }

    /// Whether all is remembered that there is to be of so many bytes.
    pub(super) fn is_whole(&self, offset: u64) -> bool {
        self.guard.len() as u64 == offset.min(GUARD_LEN as u64)
    }

    /// Whether nothing was sent.
    pub(super) fn is_empty(&self) -> bool {
        self.guard.is_empty()
    }

    /// Whether all that is remembered can have been sent with the first `offset` bytes. It is less
    /// than that where the file was truncated while it was read.
    pub(super) fn is_within(&self, offset: u64) -> bool {
        let (start_len, guard_len) = (self.start.len(), self.guard.len());
        let is_one_start = start_len == GUARD_LEN.min(usize::from(self.head_len));
        is_one_start && u64::from(self.head_len) <= offset && guard_len as u64 <= offset
    }

    /// Whether a file still has before `offset` what was sent last.
    pub(super) fn is_there<S: ReadStore>(
        &self,
        store: &S,
        file: &S::File,
        offset: u64,
    ) -> io::Result<bool> {
        let start = offset.saturating_sub(self.guard.len() as u64);
        // The end may stand there again in a file that was written anew: many programs end with the
        // same words.
        Ok(is_there(store, file, &self.guard, start)? && self.begins(store, file)?)
    }

    /// Whether a file begins with what was sent first.
    fn begins<S: ReadStore>(&self, store: &S, file: &S::File) -> io::Result<bool> {
        let mut buf = [0; HEAD_LEN];
        let head = &mut buf[..usize::from(self.head_len)];
        let read = store.read_at(file, head, 0)?;
        let is_whole = read == head.len();
        Ok(is_whole && proof::checksum(head, false) == self.head.finish())
    }

    /// What a duplicate is known by that somebody made of the generation.
    pub(super) fn sent(&self, offset: u64, floor_ns: u64) -> Sent<'_> {
        Sent {
            offset,
            start: &self.start,
            head: self.head_block(),
            guard: &self.guard,
            floor_ns,
        }
    }

    /// The first bytes, as the journal remembers them.
    pub(super) fn head(&self) -> Head {
        let mut start = [0; START_KEPT_LEN];
        let kept = self.start.len().min(START_KEPT_LEN);
        start[..kept].copy_from_slice(&self.start[..kept]);
        Head {
            len: self.head_len,
            crc: self.head.finish(),
            start_crc: Crc32::new().update(&self.start).finish(),
            start,
        }
    }

    fn head_block(&self) -> Option<Block> {
        (self.head_len > 0).then(|| Block {
            start: 0,
            len: self.head_len,
            crc: self.head.finish(),
        })
    }
}
