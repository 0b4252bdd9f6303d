//! Truncation: how a stream leaves a file that no longer holds what was sent of it. Pure.

use std::io;
use std::ops::ControlFlow::{self, Break, Continue};

use super::V2Stream;
use crate::mutation::{self, Mutation};
use crate::serve::find::findings::Occasion;
use crate::serve::find::place::Place;
use crate::serve::find::query::Query;
use crate::serve::find::v2::next::{Duplicate, Left};
use crate::serve::send::context::Context;
use crate::serve::send::ending::Ending;
use crate::serve::send::follow::Follow;
use crate::store::ReadStore;
use crate::time::Wall;
use crate::wire::frame::Reason;

const NS_PER_MS: u64 = 1_000_000;

/// Whoever wrote no longer than this before a file was cut may have written once more.
const BUSY_NS: u64 = 200_000_000;

impl<F> V2Stream<F> {
    /// Whether what was sent last is still there.
    pub(super) fn is_sound<S: ReadStore<File = F>>(&mut self, store: &S) -> io::Result<bool> {
        let follow = &self.follow;
        let is_there = self
            .fingerprint
            .is_there(store, follow.file(), follow.offset())?
            || mutation::is_on(Mutation::TruncationIgnored);
        if is_there {
            self.sound_ns = self.follow.stat().mtime_ns;
            // A duplicate that goes on in the file's place may be shorter than what was seen.
            self.sound_size = self.sound_size.max(self.follow.known_size());
        }
        Ok(is_there)
    }

    /// The file no longer holds what was sent of it: goes on with the duplicate that was made of
    /// it, or closes the generation where it stands.
    pub(super) fn leave_truncated<S: ReadStore<File = F>>(
        &mut self,
        cx: &mut Context<'_, S>,
        query: &Query<'_, S>,
    ) -> ControlFlow<Ending> {
        if self.open.as_ref().is_some_and(|open| open.taken > 0) {
            // A part of a frame is on its way and the rest is gone. The client takes it back and
            // asks anew.
            return Break(Ending::Truncated);
        }
        // A frame that the client has seen nothing of is as if it had never been.
        self.open = None;
        self.proved = None;
        if self.follow.offset() == 0 {
            return self.start_over(cx, query);
        }
        let (offset, own) = (self.follow.offset(), self.follow.id());
        let seq = self.generation.seq;
        if self.follow.is_live() {
            self.tell_truncation(cx);
        }
        let fingerprint = self.fingerprint.clone();
        let sent = fingerprint.sent(offset, self.no_copy_until_ns(cx.now.wall));
        let ask = || query.duplicate_of(&sent, own, seq);
        match self.ask(Occasion::Truncated, query, ask) {
            // `copytruncate`: what was written between our last byte and the cut is in the
            // duplicate, if anywhere.
            Ok(Some(duplicate)) if duplicate.stat.size >= offset => {
                self.follow_duplicate(duplicate, offset, cx, query);
                Continue(())
            }
            Ok(duplicate) => self.close_truncated(duplicate, cx, query),
            Err(refusal) => self.wait_or_end(refusal, false, cx, query),
        }
    }

    /// Tells the journal what was seen of the generation, and that its file holds it no more.
    fn tell_truncation<S>(&self, cx: &Context<'_, S>) {
        let head = self.fingerprint.head();
        let (seq, size) = (self.generation.seq, self.sound_size);
        cx.journal
            .note_seen(self.index, seq, size, self.sound_ns, head);
        cx.journal.note_truncated(self.index, seq);
    }

    /// No duplicate of what was sent was written before that. A beginning that is still to come was
    /// told by a clock that was set back since; then it is the last write that was seen, which
    /// every duplicate came after.
    fn no_copy_until_ns(&self, now: Wall) -> u64 {
        let now_ns = now.ms().saturating_mul(NS_PER_MS);
        match self.floor_ns > now_ns {
            true => self.sound_ns.saturating_sub(1),
            false => self.floor_ns,
        }
    }

    /// Closes a truncated generation where it stands. `duplicate` has the start of it.
    fn close_truncated<S: ReadStore<File = F>>(
        &mut self,
        duplicate: Option<Duplicate<F>>,
        cx: &mut Context<'_, S>,
        query: &Query<'_, S>,
    ) -> ControlFlow<Ending> {
        // Bytes that were changed in a file that is no shorter may have been changed in place.
        let now = cx.store.stat(self.follow.file());
        let is_shorter = now
            .as_ref()
            .map_or(true, |stat| stat.size < self.follow.offset());
        // What was written between the last look and the cut is nowhere.
        let cut_ns = now.map_or(u64::MAX, |stat| stat.mtime_ns);
        let is_busy = cut_ns.saturating_sub(self.sound_ns) < BUSY_NS;
        self.has_loss |= is_shorter && is_busy && duplicate.is_none();
        let reason = match is_shorter || duplicate.is_some() {
            true => Reason::Truncated,
            false => Reason::Rewritten,
        };
        let duplicate = duplicate.map(|duplicate| (duplicate.stat.id, duplicate.stat.mtime_ns));
        // The duplicate stands for the generation among the rotated files; without one, all that is
        // known of its place there is when it was last seen whole.
        let (id, mtime_ns) = duplicate.map_or((None, self.sound_ns), |(id, ns)| (Some(id), ns));
        let left = Left {
            id,
            mtime_ns,
            floor_ns: self.floor_ns,
            // The file itself holds the next generation, whatever its name is now.
            then: Some(self.follow.id()),
            seq: self.generation.seq,
        };
        self.close(reason, &left, false, cx, query)
    }

    /// Nothing was sent of the file: the generation is what was copied first since it began. Where
    /// nothing is known to have been there, nothing ends: it is what the file holds now.
    fn start_over<S: ReadStore<File = F>>(
        &mut self,
        cx: &mut Context<'_, S>,
        query: &Query<'_, S>,
    ) -> ControlFlow<Ending> {
        match self.first_duplicate(Occasion::Truncated, query) {
            Ok(Some(duplicate)) => self.follow_duplicate(duplicate, 0, cx, query),
            // Bytes were seen and are gone before any was sent: the client is told END of an empty
            // generation with the size that was seen, which it reports as a loss.
            Ok(None) if self.sound_size > 0 && self.head.is_empty() => {
                return self.close_truncated(None, cx, query);
            }
            Ok(None) => match cx.store.stat(self.follow.file()) {
                Ok(stat) => {
                    self.follow.start_over(stat);
                    self.renumber_live(query);
                    self.keep_back_zeros(cx.store).ok();
                    self.has_loss |= self.sound_size > 0;
                    self.sound_size = 0;
                }
                Err(error) => return Break(Ending::unreadable(error)),
            },
            Err(refusal) => return self.wait_or_end(refusal, false, cx, query),
        }
        Continue(())
    }

    /// Goes on with the duplicate that was made of the generation.
    pub(super) fn follow_duplicate<S: ReadStore<File = F>>(
        &mut self,
        duplicate: Duplicate<F>,
        offset: u64,
        cx: &Context<'_, S>,
        query: &Query<'_, S>,
    ) {
        self.generation.identity = query.identity(&duplicate.file, &duplicate.stat);
        let grace_ms = cx.config.grace_ms;
        // The file that was copied has the next generation.
        self.then = Some(self.follow.id());
        self.follow = Follow::new(
            duplicate.file,
            duplicate.stat,
            offset,
            Place::Older,
            grace_ms,
            cx.now,
        );
        self.keep_back_zeros(cx.store).ok();
        // It may be complete already, and then nothing else would ask for a look.
        self.follow.look_soon();
        self.reason = Some(Reason::Truncated);
        self.is_joined = offset > 0;
    }
}
