//! The handover from one generation to the next: END, NEXT and what is told with them. Pure.

use std::ops::ControlFlow::{self, Continue};

use super::fingerprint::Fingerprint;
use super::{GivenBefore, Late, V2Stream, journey};
use crate::ids::Identity;
use crate::serve::find::findings::Occasion;
use crate::serve::find::place::Place;
use crate::serve::find::query::{Generation, Query};
use crate::serve::find::refusal::Refusal;
use crate::serve::find::search::Search;
use crate::serve::find::token::given_id;
use crate::serve::find::v2::next::{Left, NextFile};
use crate::serve::send::context::Context;
use crate::serve::send::digest::Digest;
use crate::serve::send::ending::Ending;
use crate::serve::send::follow::Follow;
use crate::store::ReadStore;
use crate::wire::frame::{End, Frame, Next, Reason, Role};
use crate::wire::request::Given;

impl<F> V2Stream<F> {
    /// The generation is complete and all of it was sent.
    pub(super) fn finish<S: ReadStore<File = F>>(
        &mut self,
        cx: &mut Context<'_, S>,
        query: &Query<'_, S>,
    ) -> ControlFlow<Ending> {
        let has_digest = self.digest.done() == self.follow.offset() && !self.is_changed;
        if !has_digest && self.late.is_some() {
            // One digest at a time; this generation waits for the one before it.
            return Continue(());
        }
        // What happens to the live file waits for nobody: it may be gone by then.
        if self.is_old && !self.may_name(cx.now.mono) {
            return Continue(());
        }
        if self.follow.offset() == 0 {
            // An empty file may have been emptied.
            match self.first_duplicate(Occasion::Rotated, query) {
                Ok(None) => {}
                Ok(Some(duplicate)) => {
                    self.follow_duplicate(duplicate, 0, cx, query);
                    return Continue(());
                }
                Err(refusal) => return self.wait_or_end(refusal, true, cx, query),
            }
        }
        if self.follow.is_unaskable() && self.reason.is_none() {
            cx.sightings.troubles.note_unaskable(&query.entry.path);
        }
        let by_name = match self.follow.stat().links {
            0 => Reason::Deleted,
            _ => Reason::Rotated,
        };
        let reason = self.reason.unwrap_or(by_name);
        self.close(reason, &self.left(), true, cx, query)
    }

    /// The generation being sent, as one that is over, in its file still.
    pub(super) fn left(&self) -> Left {
        let stat = self.follow.stat();
        let seen = self.follow.successor().filter(|_| !self.is_in_doubt);
        Left {
            id: Some(stat.id),
            mtime_ns: stat.mtime_ns,
            floor_ns: self.floor_ns,
            then: self.then.or(seen),
            seq: self.generation.seq,
        }
    }

    /// Tells END and NEXT and goes on with the next generation, if it can be opened. `intact` says
    /// that the file still being open holds all of the one being left.
    pub(super) fn close<S: ReadStore<File = F>>(
        &mut self,
        reason: Reason,
        left: &Left,
        intact: bool,
        cx: &mut Context<'_, S>,
        query: &Query<'_, S>,
    ) -> ControlFlow<Ending> {
        // Others may have come before what is there now: the system has told, and is heard first.
        if !cx.journal.look(self.index, &query.entry.path, cx.store) {
            return self.wait_or_end(Refusal::Later, intact, cx, query);
        }
        let occasion = match intact {
            true => Occasion::Rotated,
            false => Occasion::Truncated,
        };
        // What is sent next is no copy of this generation either.
        let mut given = self.given.clone();
        if self.follow.offset() > 0 {
            push_given(
                &mut given,
                self.given_now(intact, intact.then_some(self.generation.identity)),
            );
        }
        let query = &Query {
            given: &given,
            ..*query
        };
        let (settled, can_inflate) = (self.settled.clone(), self.can_inflate);
        let settled = settled.as_deref().map_or(&[][..], |settled| settled);
        let find = || journey::next_after(left, settled, can_inflate, query);
        let (next, between) = match self.ask(occasion, query, find) {
            Ok(found) => found,
            Err(refusal) => return self.wait_or_end(refusal, intact, cx, query),
        };
        if self.is_plan_wrong(left, &next, query) {
            let search = Search::new(occasion, &self.query_from_here(query));
            self.search = Some(Box::new(search));
            return self.wait_or_end(Refusal::Later, intact, cx, query);
        }
        if intact && self.needs_digest_before(&next) {
            return Continue(());
        }
        let journey = self.journey_mut();
        journey.pace.named(cx.now.mono);
        journey.plan.is_proved = true;
        let (archives, has_more) = self.tell_archives(&between);
        let is_lossy = self.tell_left_out(&next.left_out, cx);
        let size = self.follow.offset();
        let md5 = self.md5_now(intact);
        // More was seen than could be sent: the client needs the size to record what is missing.
        if self.sound_size > size {
            self.has_loss = true;
            self.say(Frame::Alive {
                size: self.sound_size,
            });
        }
        self.note_unseen(query);
        let is_covered =
            archives > 0 && query.may_cover(self.generation.seq, next.generation.seq, archives);
        let is_lossy = is_lossy || has_more || next.after_loss && !is_covered;
        let after_loss = std::mem::take(&mut self.has_loss) || is_lossy;
        self.tell_journal(size, intact, cx);
        // What was truncated is in that file no more, and at most the beginning of it in another.
        let kept_in = match intact {
            true => Some(self.generation.identity),
            false => next.left_in.filter(|_| !next.left_is_suspect),
        };
        if let Some(identity) = kept_in {
            // What was begun in another file is a copy of that.
            let role = match next.left_is_suspect && !self.is_joined {
                true => Role::EndedInCopy,
                false => Role::Ended,
            };
            let seq = self.generation.seq;
            self.say_file(role, Generation { identity, seq }, query);
        }
        self.say(Frame::End(End { size, reason, md5 }));
        // Of nothing there is nothing to be sent twice, but somebody may write to it yet.
        if size > 0 || intact && !self.follow.is_at_rest(cx.store) {
            let given = self.given_now(intact, kept_in);
            push_given(&mut self.given, given);
        }
        self.say_file(Role::Begins, next.generation, query);
        self.say(Frame::Next(Next {
            inode: next.stat.id.inode,
            mtime_ns: next.floor_ns,
            after_loss,
        }));
        self.begin(next, intact && md5.is_none(), cx);
        // A duplicate stands for it.
        if let Some(id) = left.id {
            self.journey_mut().before = Some(id);
        }
        Continue(())
    }

    /// Tells the journal what was seen of a generation that is over.
    pub(super) fn tell_journal<S>(&self, size: u64, intact: bool, cx: &Context<'_, S>) {
        let (index, seq) = (self.index, self.generation.seq);
        if intact && self.reason.is_none() {
            let head = self.fingerprint.head();
            let written_ns = self.follow.stat().mtime_ns;
            cx.journal.note_seen(index, seq, size, written_ns, head);
            cx.journal.note_complete(index, seq, size);
        }
    }

    /// Tells the client which file a generation is in.
    pub(super) fn say_file<S: ReadStore>(
        &mut self,
        role: Role,
        generation: Generation,
        query: &Query<'_, S>,
    ) {
        if let Some(token) = query.token(generation) {
            self.say(Frame::File { role, token });
        }
    }

    /// The digest of what was sent, if it went along with the bytes; else DIGEST follows. Of bytes
    /// that are there no more, none but what was sent can be told.
    fn md5_now(&self, intact: bool) -> Option<[u8; 16]> {
        let is_of_file = !self.is_changed || !intact;
        let md5 = self.digest.finished(self.follow.offset());
        md5.filter(|_| is_of_file)
    }

    /// Whether the digest of what was sent is to be computed before the next one is named, which
    /// may be the same file, moved to another file system: nothing else tells that it was given.
    fn needs_digest_before(&mut self, next: &NextFile<F>) -> bool {
        let size = self.follow.offset();
        let may_be_same = next.place != Place::Live && next.stat.size == size;
        if !may_be_same || self.follow.stat().links > 0 || self.digest.done() == size {
            return false;
        }
        // Once: whatever it takes in fails where the file cannot be read.
        let is_due = std::mem::replace(&mut self.journey_mut().has_digest_due, true);
        self.digest_waits &= is_due;
        !self.digest_waits
    }

    /// The generation of which all is sent, as one that the client has, with the file it is in.
    fn given_now(&self, intact: bool, kept_in: Option<Identity>) -> Given {
        Given {
            size: self.follow.offset(),
            md5: self.md5_now(intact).map(start_of),
            id: kept_in.and_then(given_id),
        }
    }

    /// Follows the next generation from its start. The one before may still need its digest.
    pub(super) fn begin<S: ReadStore<File = F>>(
        &mut self,
        next: NextFile<F>,
        late: bool,
        cx: &Context<'_, S>,
    ) {
        let NextFile {
            file,
            stat,
            place,
            floor_ns,
            then,
            generation,
            ..
        } = next;
        self.generation = generation;
        self.token_due = false;
        self.is_elsewhere = false;
        self.floor_ns = floor_ns;
        self.then = then;
        self.is_in_doubt = false;
        self.is_old = place == Place::Older;
        self.sound_ns = stat.mtime_ns;
        self.sound_size = 0;
        let follow = Follow::new(file, stat, 0, place, cx.config.grace_ms, cx.now);
        // The file before stays open only while its digest is computed. Its inode is kept, because
        // a late writer makes that file look like a duplicate of what comes next.
        let before = std::mem::replace(&mut self.follow, follow);
        let journey = self.journey_mut();
        (journey.before, journey.has_digest_due) = (Some(before.id()), false);
        self.keep_back_zeros(cx.store).ok();
        self.is_overstated = false;
        let mut digest = std::mem::take(&mut self.digest);
        if std::mem::take(&mut self.is_changed) {
            digest = Digest::new();
        }
        self.digest_waits = false;
        // DIGEST names the generation as NEXT or the answer did, even if its end came from a
        // duplicate.
        let client_inode = std::mem::replace(&mut self.client_inode, self.follow.inode());
        if late {
            let size = before.offset();
            self.late = Some(Box::new(Late {
                file: before.into_file(),
                inode: client_inode,
                size,
                digest,
            }));
        }
        self.fingerprint = Fingerprint::default();
        self.proved = None;
        (self.reason, self.is_joined) = (None, false);
        // NEXT says that all is well.
        self.astray = None;
    }
}

/// Notes that the client has all of a generation.
fn push_given(all: &mut GivenBefore, given: Given) {
    if all.is_full() {
        // The client names the newest first, and what is given here is newer.
        all.pop();
    }
    let _ = all.insert(0, given);
}

/// The part of a digest by which a generation that was given is known.
pub(super) fn start_of([a, b, c, d, ..]: [u8; 16]) -> u32 {
    u32::from_be_bytes([a, b, c, d])
}
