//! Zeros where the next bytes would stand. At the end of a file they may not be written yet: a log
//! that is allocated ahead ends in them, and lines take their place. So they are sent only once
//! something else stands behind them, or the file is complete. Pure.

pub(super) mod span;

use std::io;

use self::span::{State, Zeros};
use super::follow::Follow;
use crate::mutation::{self, Mutation};
use crate::store::{ReadStore, Stat};
use crate::time::Mono;

/// Bytes right behind the offset that are read at each look: what is written over zeros begins
/// there.
const PEEK_LEN: usize = 1024;

impl<F> Follow<F> {
    /// How many bytes there are to be sent now. Those behind the offset that are not among them are
    /// zeros, or are still to be looked at.
    pub fn to_send(&self) -> u64 {
        match self.zeros().map(|zeros| zeros.state) {
            Some(State::Searching | State::Last) => 0,
            _ => self.ahead(),
        }
    }

    /// The size of the file without zeros at its end, as far as anybody looked.
    pub fn known_size(&self) -> u64 {
        match self.zeros() {
            None => self.stat().size,
            Some(Zeros { to, state, .. }) if *state == State::Within => *to,
            Some(_) => self.offset(),
        }
    }

    /// Whether the file ends in zeros that are not written yet, or may do so.
    pub fn may_end_in_zeros(&self) -> bool {
        self.zeros().is_some()
    }

    /// Whether [`search_zeros`](Self::search_zeros) has something to do.
    pub fn is_searching_zeros(&self) -> bool {
        self.zeros()
            .is_some_and(|zeros| zeros.state == State::Searching)
    }

    /// Keeps back zeros at the end of the file from now on.
    pub fn keep_back_zeros<S: ReadStore<File = F>>(&mut self, store: &S) -> io::Result<()> {
        if mutation::is_on(Mutation::ZerosSent) {
            return Ok(());
        }
        self.keeps_back_zeros = true;
        self.look_at_end(store)
    }

    /// Looks at the last byte of the file, of which nothing is known.
    fn look_at_end<S: ReadStore<File = F>>(&mut self, store: &S) -> io::Result<()> {
        let size = self.stat().size;
        let mut last = [1];
        if self.ahead() > 0 {
            store.read_at(self.file(), &mut last, size - 1)?;
        }
        match last {
            // Whatever stands before it, zeros or not, will not change any more.
            [0] if self.zeros().is_none() => self.set_zeros(Some(Zeros::from(self.offset()))),
            [0] => {}
            _ => self.set_zeros(None),
        }
        Ok(())
    }

    /// Finds out what a look means for the zeros that are known: the file was `before` and is what
    /// it is now.
    pub(super) fn look_at_zeros<S: ReadStore<File = F>>(
        &mut self,
        before: &Stat,
        store: &S,
        now: Mono,
        settle_ms: u64,
    ) -> io::Result<()> {
        let (size, offset) = (self.stat().size, self.offset());
        if size != before.size {
            self.look_at_end(store)?;
        }
        let is_touched = self.stat().mtime_ns != before.mtime_ns;
        let mut peek = [0; PEEK_LEN];
        let len = self.ahead().min(PEEK_LEN as u64) as usize;
        let Some(zeros) = self.zeros_mut() else {
            return Ok(());
        };
        zeros.to = zeros.to.min(size);
        match zeros.state {
            State::Unknown | State::Within => return Ok(()),
            State::Searching => {
                zeros.is_outdated |= is_touched && size == before.size;
                return Ok(());
            }
            State::Last | State::Released => {}
        }
        // As long as they are not read.
        let state = std::mem::replace(&mut zeros.state, State::Unknown);
        // At each look, because what was written within one tick of the clock leaves the same time.
        let read = store.read_at(self.file(), &mut peek[..len], offset)?;
        let is_written = peek[..read].iter().any(|byte| *byte != 0);
        let Some(zeros) = self.zeros_mut() else {
            return Ok(());
        };
        let is_due = |since: Mono| now.since_ms(since) >= settle_ms;
        if is_written {
            zeros.presumed_since.get_or_insert(now);
        } else if size > before.size {
            zeros.search_from(zeros.to);
            zeros.presumed_since.get_or_insert(now);
        } else if is_touched || zeros.presumed_since.is_some_and(is_due) {
            zeros.presumed_since = None;
            zeros.search_from(offset);
        } else {
            zeros.state = state;
        }
        Ok(())
    }

    /// What of bytes that were just read at the offset is to be sent now: those behind are zeros
    /// that may not be written yet.
    pub(super) fn without_zeros(&mut self, read: &[u8]) -> usize {
        let (size, offset) = (self.stat().size, self.offset());
        let Some(zeros) = self.zeros_mut() else {
            return read.len();
        };
        let settled = match zeros.state {
            State::Within | State::Released => zeros.to.saturating_sub(offset),
            _ => 0,
        };
        let settled = read
            .len()
            .min(usize::try_from(settled).unwrap_or(usize::MAX));
        let written = read.iter().rposition(|byte| *byte != 0);
        let len = settled.max(written.map_or(0, |last| last + 1));
        if len == 0 {
            // What was read as zeros before is read again only now and then.
            zeros.search_from(zeros.to.max(offset + read.len() as u64));
            self.end_search(size);
        }
        len
    }

    /// How many bytes from the offset on are a hole that can be sent as one.
    pub(super) fn hole_len<S: ReadStore<File = F>>(&self, store: &S) -> u64 {
        let settled = match self.zeros() {
            None => self.stat().size,
            Some(zeros) => match zeros.state {
                State::Within | State::Released => zeros.to,
                _ => return 0,
            },
        };
        let offset = self.offset();
        // Asked now: what was one when it was looked at may have been written to since.
        let end = store.hole_end(self.file(), offset).min(settled);
        end.saturating_sub(offset)
    }

    /// Reads the next zeros, with `buf` to read into; a hole is not read.
    pub(super) fn search_zeros<S: ReadStore<File = F>>(
        &mut self,
        store: &S,
        buf: &mut [u8],
    ) -> io::Result<()> {
        let size = self.stat().size;
        let Some(zeros) = self.zeros() else {
            return Ok(());
        };
        let at = store.hole_end(self.file(), zeros.to).min(size);
        let len = usize::try_from(size - at).unwrap_or(usize::MAX);
        let len = len.min(buf.len());
        let read = store.read_at(self.file(), &mut buf[..len], at)?;
        let found = buf[..read].iter().position(|byte| *byte != 0);
        if read < len && found.is_none() {
            // It has become shorter; a look shows the rest.
            self.look_soon();
        }
        let Some(zeros) = self.zeros_mut() else {
            return Ok(());
        };
        zeros.to = at + found.unwrap_or(len) as u64;
        if found.is_some() {
            zeros.state = State::Within;
            zeros.is_outdated = false;
            self.note_to_send();
        }
        self.end_search(size);
        Ok(())
    }

    /// The file is complete, so the zeros at its end are as good as any other byte. Tells whether
    /// there are any.
    pub(super) fn release_zeros(&mut self) -> bool {
        match self.zeros_mut() {
            Some(zeros) if zeros.state == State::Last => {
                zeros.state = State::Released;
                true
            }
            _ => false,
        }
    }

    /// The offset has moved on.
    pub(super) fn pass_zeros(&mut self) {
        let (offset, is_all) = (self.offset(), self.ahead() == 0);
        let Some(zeros) = self.zeros_mut() else {
            return;
        };
        if is_all {
            return self.set_zeros(None);
        }
        if zeros.state == State::Within && zeros.to <= offset {
            *zeros = Zeros::from(offset);
        }
        zeros.to = zeros.to.max(offset);
    }

    /// Ends the search where it has come to the end of the file.
    fn end_search(&mut self, size: u64) {
        let offset = self.offset();
        let Some(zeros) = self.zeros_mut() else {
            return;
        };
        if zeros.state != State::Searching || zeros.to < size {
            return;
        }
        match std::mem::take(&mut zeros.is_outdated) {
            true => zeros.search_from(offset),
            false => {
                zeros.state = State::Last;
                self.note_all_sent();
            }
        }
    }

    pub(super) fn check_zeros(&self) {
        if let Some(zeros) = self.zeros() {
            debug_assert!(self.ahead() > 0, "zeros behind the end of the file");
            debug_assert!(zeros.to <= self.stat().size);
            debug_assert!(zeros.state != State::Last || zeros.to == self.stat().size);
        }
    }
}
