//! What a session makes of a file that no longer holds what was sent of it. Pure.

use std::io;

use super::Chain;
use crate::ids::Inode;
use crate::serve::catalog::{Query, Refusal};
use crate::serve::follow::{Follow, Place};
use crate::serve::likeness::{GUARD_LEN, is_there};
use crate::serve::search::{CopyOf, Left};
use crate::serve::session::{Context, Ending};
use crate::serve::stream::Turn;
use crate::store::ReadStore;
use crate::wire::frame::Reason;

impl<F> Chain<F> {
    /// Whether bytes that were just read belong to the generation being sent. Only what is read after them can show it:
    /// at any moment before, the file may have been truncated and have grown again.
    pub(super) fn is_continuation<S: ReadStore<File = F>>(
        &mut self,
        bytes: &[u8],
        query: &Query<'_, S>,
    ) -> io::Result<bool> {
        if !self.mark.is_empty() {
            return self.is_sound(query.store);
        }
        let start = &bytes[..bytes.len().min(GUARD_LEN)];
        if !is_there(query.store, self.follow.file(), start, 0)? {
            return Ok(false);
        }
        // Nothing was sent, so any bytes would do. If there is a copy from the time since the generation began, these
        // are not its first: others were written, copied and truncated before anybody looked.
        let is_first = matches!(self.first_copy(query), Ok(None));
        if is_first {
            self.sound_size = self.follow.stat().size;
        }
        Ok(is_first)
    }

    /// A copy of what was written first since the generation began, if it was truncated before anybody looked.
    pub(super) fn first_copy<S: ReadStore<File = F>>(
        &self,
        query: &Query<'_, S>,
    ) -> Result<Option<CopyOf<F>>, Refusal> {
        query.first_copy(self.follow.file(), self.before, self.floor_ns)
    }

    /// Whether what was sent last is still there.
    fn is_sound<S: ReadStore<File = F>>(&mut self, store: &S) -> io::Result<bool> {
        let follow = &self.follow;
        let is_there = self.mark.is_there(store, follow.file(), follow.offset())?;
        if is_there {
            self.sound_ns = self.follow.stat().mtime_ns;
            self.sound_size = self.follow.stat().size;
        }
        Ok(is_there)
    }

    /// Whether a file that was written to, and yet is no longer than what was sent, holds something else now.
    pub(super) fn is_written_over<S: ReadStore<File = F>>(&mut self, query: &Query<'_, S>) -> bool {
        if self.follow.stat().mtime_ns == self.sound_ns || self.follow.ahead() > 0 {
            return false;
        }
        let is_same = match self.follow.offset() {
            0 => self.first_copy(query).map(|copy| copy.is_none()).ok(),
            _ => self.is_sound(query.store).ok(),
        };
        is_same == Some(false)
    }

    /// The file no longer holds what was sent of it: goes on with the copy that was made of it, or closes the
    /// generation where it stands.
    pub(super) fn leave_truncated<S: ReadStore<File = F>>(
        &mut self,
        cx: &mut Context<'_, S>,
        query: &Query<'_, S>,
    ) -> Turn {
        if self.open.as_ref().is_some_and(|open| open.taken > 0) {
            return Turn::Over(Ending::Truncated);
        }
        self.open = None;
        if self.follow.offset() == 0 {
            return self.start_over(cx, query);
        }
        let sent = self.mark.sent(self.follow.offset(), self.floor_ns);
        match query.copy_of(&sent, self.follow.inode()) {
            Ok(Some(copy)) if copy.stat.size >= sent.offset => {
                let offset = sent.offset;
                self.follow_copy(copy, offset, cx);
                Turn::On
            }
            Ok(copy) => self.close_truncated(copy, cx, query),
            Err(refusal) => self.wait_or_end(refusal, false),
        }
    }

    /// Closes a truncated generation where it stands. `copy` has the start of it.
    fn close_truncated<S: ReadStore<File = F>>(
        &mut self,
        copy: Option<CopyOf<F>>,
        cx: &mut Context<'_, S>,
        query: &Query<'_, S>,
    ) -> Turn {
        let copy = copy.map(|copy| (copy.stat.id.inode, copy.stat.mtime_ns));
        let (inode, mtime_ns) = copy.unwrap_or((Inode::NONE, self.sound_ns));
        let left = Left {
            inode,
            mtime_ns,
            floor_ns: self.floor_ns,
            // The file itself holds the next generation, whatever its name is now.
            then: Some(self.follow.inode()),
        };
        self.close(Reason::Truncated, &left, false, cx, query)
    }

    /// Nothing was sent of the file: the generation is what was copied first since it began. Where nothing is known to
    /// have been there, nothing ends: it is what the file holds now.
    fn start_over<S: ReadStore<File = F>>(
        &mut self,
        cx: &mut Context<'_, S>,
        query: &Query<'_, S>,
    ) -> Turn {
        match self.first_copy(query) {
            Ok(Some(copy)) => self.follow_copy(copy, 0, cx),
            Ok(None) if self.sound_size > 0 && self.head.is_empty() => {
                return self.close_truncated(None, cx, query);
            }
            Ok(None) => match cx.store.stat(self.follow.file()) {
                Ok(stat) => {
                    self.follow.start_over(stat);
                    self.has_gap |= self.sound_size > 0;
                    self.sound_size = 0;
                }
                Err(error) => return Turn::Over(Ending::Unreadable(error)),
            },
            Err(refusal) => return self.wait_or_end(refusal, false),
        }
        Turn::On
    }

    /// Goes on with the copy that was made of the generation.
    pub(super) fn follow_copy<S>(&mut self, copy: CopyOf<F>, offset: u64, cx: &Context<'_, S>) {
        let grace_ms = cx.config.grace_ms;
        // The file that was copied has the next generation.
        self.then = Some(self.follow.inode());
        self.follow = Follow::new(copy.file, copy.stat, offset, Place::Older, grace_ms, cx.now);
        self.follow.look_soon();
        self.reason = Some(Reason::Truncated);
    }
}
