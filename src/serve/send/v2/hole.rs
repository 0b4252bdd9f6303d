//! Zeros in a version 2 stream: holes told by their number, zeros at the end of the file kept back.
//! Pure.

use std::io;
use std::ops::ControlFlow::{self, Break, Continue};

use super::V2Stream;
use crate::serve::send::ending::Ending;
use crate::store::{ReadStore, Stat};
use crate::wire::frame::{Frame, HOLE_MAX, HOLE_MIN};
use crate::wire::proof::HEAD_LEN;

impl<F> V2Stream<F> {
    /// Keeps back zeros at the end of the file that is followed since just now.
    pub(super) fn keep_back_zeros<S: ReadStore<File = F>>(&mut self, store: &S) -> io::Result<()> {
        self.follow.keep_back_zeros(store)?;
        // The answer told the whole size.
        self.is_overstated = self.follow.may_end_in_zeros();
        Ok(())
    }

    /// Reads on in zeros, to find what stands behind them.
    pub(super) fn search_zeros<S: ReadStore<File = F>>(
        &mut self,
        store: &S,
        buf: &mut [u8],
    ) -> ControlFlow<Ending> {
        if let Err(error) = self.follow.search_zeros(store, buf) {
            return Break(Ending::unreadable(error));
        }
        self.correct_size();
        Continue(())
    }

    /// Tells a size without the zeros that are kept back, where the client was told another.
    pub(super) fn correct_size(&mut self) {
        let is_known = self.follow.to_send() == 0 && !self.follow.is_searching_zeros();
        if self.is_overstated && is_known {
            self.is_overstated = false;
            self.say(Frame::Alive {
                size: self.follow.known_size(),
            });
        }
    }

    /// Notes what a look shows of a file that was `before`: it was written to without becoming
    /// longer, so that bytes may have been changed that were sent.
    pub(super) fn note_change(&mut self, before: &Stat) {
        let stat = self.follow.stat();
        let is_touched = stat.mtime_ns != before.mtime_ns && stat.size <= before.size;
        self.is_changed |= is_touched && self.follow.offset() > 0;
    }

    /// Says that a hole begins at the offset, where `read`, which was just read there, is within
    /// one. Tells whether it did.
    pub(super) fn say_hole<S: ReadStore<File = F>>(&mut self, read: &[u8], store: &S) -> bool {
        // The first bytes of a generation are proved to be that before anything is told of it, and
        // small frames must not pile up.
        let may_say = self.knows_holes && !self.fingerprint.is_empty() && self.head.is_empty();
        if !may_say || read.iter().any(|byte| *byte != 0) {
            return false;
        }
        let len = self.follow.hole_len(store).min(HOLE_MAX);
        if len < HOLE_MIN {
            return false;
        }
        let offset = self.follow.offset();
        self.say(Frame::Hole { offset, len });
        // Nothing longer is remembered of it.
        self.fingerprint.extend(&[0; HEAD_LEN]);
        self.follow.advance(len);
        self.sound_size = self.sound_size.max(offset + len);
        true
    }

    /// Puts what comes before the next DATA frame into `buf`.
    pub(super) fn output_head(&self, buf: &mut [u8]) -> usize {
        let len = self.head.len().min(buf.len());
        buf[..len].copy_from_slice(&self.head[..len]);
        len
    }
}

const _: () = assert!(HOLE_MIN >= HEAD_LEN as u64);
