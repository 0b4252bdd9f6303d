//! The data behind the answer line, as a source takes them, and the work on finished copies.

use std::path::Path;

use super::change::Afterwards;
use super::digest::{GONE, OTHER, TAKEN, UNKNOWN_KIND};
use super::link::{Phase, Purpose};
use super::v2::{Frames, Received};
use super::{Context, Source};
use crate::collect::copy::given::CopySums;
use crate::collect::copy::{FileError, HookKind};
use crate::collect::error::SourceError;
use crate::collect::event::Event;
use crate::collect::finished::heal::{self, Heal};
use crate::collect::finished::queue::Checked;
use crate::limits::HEAL_AGAIN_MS;
use crate::mutation::{self, Mutation};
use crate::store::WriteStore;
use crate::wire::classic;
use crate::wire::proof::BLOCK_LEN_MAX;
use crate::wire::receiver::Receiver;

impl<F> Source<F> {
    /// Takes what the server sent after its answer line.
    pub(super) fn handle_data<S: WriteStore<File = F>>(
        &mut self,
        data: &mut [u8],
        cx: &mut Context<'_, S>,
    ) {
        let now = cx.now.mono;
        let is_stream = matches!(self.link.phase(), Phase::Streaming { .. });
        let before = (self.disk.inode(), self.disk.size());
        // The phase is taken apart for as long as its parts and the rest of the source are both
        // needed.
        let result = match self.link.take_phase(now) {
            Phase::Streaming {
                since,
                brought_something,
                frames,
                ..
            } => {
                let (frames, result) = match frames {
                    None => (None, self.take_plain(data, cx)),
                    Some(mut frames) => {
                        let result = self.take_frames(&mut frames, data, cx);
                        (Some(frames), result)
                    }
                };
                let grew = *result.as_ref().unwrap_or(&false);
                self.link.enter(Phase::Streaming {
                    since,
                    heard_at: now,
                    brought_something: brought_something || grew,
                    frames,
                });
                result.map(drop)
            }
            Phase::Inquiring {
                purpose,
                moved_at,
                brought_something,
                mut receiver,
                ..
            } => {
                let asked = self.end.op();
                let (has_moved, result) = self.take_answer_to(purpose, &mut receiver, data, cx);
                let is_nearer = purpose == Purpose::EndCheck && self.end.op() != asked;
                self.link.enter(Phase::Inquiring {
                    purpose,
                    heard_at: now,
                    moved_at: if has_moved { now } else { moved_at },
                    brought_something: brought_something || has_moved || is_nearer,
                    receiver,
                });
                // All that was asked for has come, and the connection has served. It is closed, so
                // that nothing can come while the copy is read.
                if self.end.has_work() {
                    self.link.enter(Phase::Working);
                }
                self.turn_to_archive(cx);
                result
            }
            other => {
                self.link.enter(other);
                Ok(())
            }
        };
        if let Err(error) = result {
            return self.fail(error, cx);
        }
        if self.is_outgrown() {
            return self.fail(SourceError::AskAgain, cx);
        }
        // Until what we hold is compared, and a full disk has taken something, nothing is well.
        let is_well = is_stream && self.end.again_at.get().is_none() && !data.is_empty();
        if is_well && self.health.is_failing() && !self.is_changing() {
            self.recover(cx);
        }
        self.note_intake(before, data.len(), cx);
        // A heal may have all of its answer, or have waited for a change that is made now.
        self.turn_to_heal(cx);
        self.turn_to_late(cx);
    }

    /// Takes what answers a question about a copy. Tells besides whether that moves on, which gives
    /// it more time.
    fn take_answer_to<S: WriteStore<File = F>>(
        &mut self,
        purpose: Purpose,
        receiver: &mut Receiver,
        data: &[u8],
        cx: &mut Context<'_, S>,
    ) -> (bool, Result<(), SourceError>) {
        // A digest comes in one frame, and a check keeps what it has compared for its next
        // connection. A heal has few attempts, so it has time for as long as it moves.
        match purpose {
            Purpose::Digest => (false, self.take_digest(receiver, data, cx)),
            Purpose::EndCheck => (false, self.take_end_check(receiver, data, cx)),
            Purpose::Archive => self.take_archive(receiver, data, cx),
            _ => self.take_heal(receiver, data, cx),
        }
    }

    /// Appends classic bytes, keep-alives left out. Tells whether there were any.
    fn take_plain<S: WriteStore<File = F>>(
        &mut self,
        data: &mut [u8],
        cx: &mut Context<'_, S>,
    ) -> Result<bool, SourceError> {
        // A server that has nothing to send says so.
        let is_end = data.last() == Some(&classic::KEEP_ALIVE);
        let len = match mutation::is_on(Mutation::KeepAliveCounts) {
            true => data.len(),
            false => classic::strip(data),
        };
        // While the end of the copy is in doubt, the server sends again what we hold: only the rest
        // is new.
        let known = self.take_again(&data[..len], is_end, cx)?;
        let Some(copy) = self.disk.copy_mut().filter(|_| len > known) else {
            return Ok(len > 0);
        };
        let mut files = cx.files(&self.config, "");
        copy.append(&data[known..len], &mut files)
            .map_err(SourceError::Files)?;
        self.note_growth(cx);
        Ok(true)
    }

    /// Takes frames. Tells whether they brought anything.
    fn take_frames<S: WriteStore<File = F>>(
        &mut self,
        frames: &mut Frames,
        data: &[u8],
        cx: &mut Context<'_, S>,
    ) -> Result<bool, SourceError> {
        let result = self.take_each_frame(frames, data, cx);
        self.end_unwritten(cx)?;
        result
    }

    fn take_each_frame<S: WriteStore<File = F>>(
        &mut self,
        frames: &mut Frames,
        data: &[u8],
        cx: &mut Context<'_, S>,
    ) -> Result<bool, SourceError> {
        frames.tick(cx.now.mono);
        let stamp = (cx.stamp)(cx.now.wall);
        let mut rest = data;
        let mut grew = false;
        loop {
            let Some(copy) = self.disk.copy_mut() else {
                return Ok(grew);
            };
            let (mut files, events) = cx.files_and_events(&self.config, &stamp);
            let config = &self.config;
            let size = copy.size();
            let (taken, outcome) =
                frames.take(rest, copy, &mut files, &mut |event| events(config, event))?;
            let is_idle = taken == 0 && rest.is_empty();
            rest = rest.get(taken..).unwrap_or_default();
            match outcome {
                Received::On => {}
                Received::Grew => {
                    grew = true;
                    let grown = copy.size().saturating_sub(size);
                    self.pay_for_zeros(grown.saturating_sub(taken as u64), cx.now.mono)?;
                }
                // What is wrong with our own files is the graver error, and stays.
                Received::Trouble(_) if self.health.is_in_trouble_with_files() => {}
                Received::Trouble(reason) => {
                    let error = SourceError::Refused(reason);
                    self.health
                        .fail(error, |error| events(config, Event::Error(error)));
                    self.pay(cx.now.mono)?;
                }
                Received::Missing(note) => {
                    self.owe_missing(note);
                    self.pay(cx.now.mono)?;
                }
                Received::Late(late) => {
                    self.pay(cx.now.mono)?;
                    self.take_or_tell_late(*late, frames, cx);
                }
                // The copy gets its name and the next one begins, before the bytes behind NEXT are
                // looked at.
                Received::Finished {
                    finished,
                    reason,
                    theirs,
                    next,
                    tokens,
                    loss,
                } => {
                    grew = true;
                    self.finished.queue_mut().ask_for_late();
                    let size = copy.size();
                    // On record before the rotation: after that a crash would leave no sign of it.
                    if let Some(loss) = loss {
                        self.note_loss(loss, cx)?;
                    }
                    let afterwards = Afterwards {
                        held: finished.inode,
                        size,
                        reason,
                        loss,
                        theirs,
                        is_whole: true,
                        tokens,
                        ..Afterwards::of_first(next.inode)
                    };
                    // A power cut must not leave the next generation alone: what is to be on
                    // record is there before the change is made.
                    self.end_unwritten(cx)?;
                    self.change(next, Some(finished), afterwards, cx)?;
                    // Sources that rotate together share their syncs. What has come already waits
                    // with the change.
                    if self.is_changing() {
                        self.disk.keep_for_later(rest);
                        return Ok(grew);
                    }
                }
                Received::Archives {
                    list,
                    is_whole,
                    is_lost,
                    ended,
                } => {
                    self.take_archives(list, (is_whole, is_lost), ended);
                    return Err(SourceError::AskAgain);
                }
                Received::Token(token) => {
                    self.note_token(Some(token), cx);
                    self.pay(cx.now.mono)?;
                }
                Received::Digest(digest) => {
                    if let Some(finished) = self.finished.queue_mut().add_digest(digest) {
                        self.tell_never_verified(&finished, UNKNOWN_KIND, cx);
                    }
                }
            }
            // Once more with nothing left: a frame whose last byte was the last of the input is
            // acted on then.
            if is_idle {
                return Ok(grew);
            }
        }
    }

    /// Takes the answer to a heal. Tells besides whether it brought anything.
    fn take_heal<S: WriteStore<File = F>>(
        &mut self,
        receiver: &mut Receiver,
        data: &[u8],
        cx: &mut Context<'_, S>,
    ) -> (bool, Result<(), SourceError>) {
        let mut rest = data;
        let mut has_moved = false;
        while let Some(heal) = self.finished.heal_mut().filter(|heal| !heal.is_answered()) {
            let before = heal.question();
            let taken = match heal.take(receiver, rest, cx.store) {
                Ok(taken) => taken,
                Err(error) => return (has_moved, Err(error)),
            };
            has_moved |= heal.question() != before;
            if taken == 0 && rest.is_empty() {
                break;
            }
            rest = rest.get(taken..).unwrap_or_default();
        }
        (has_moved, Ok(()))
    }

    /// Whether [`work`](Self::work) has something to do: a part of what takes long.
    pub fn has_work(&self) -> bool {
        self.has_end_work()
            || self.intake.is_scanning()
            || self.finished.has_work()
            || self.is_inflating()
    }

    /// Whether an archive is worked on, and nothing else is waited for.
    fn is_inflating(&self) -> bool {
        self.link.is_working() && self.archives.is_at_work()
    }

    /// Compares or heals finished copies, one slice of at most `buf` at a time.
    pub fn work<S: WriteStore<File = F>>(&mut self, buf: &mut [u8], cx: &mut Context<'_, S>) {
        self.work_on_copies(buf, cx);
        self.check_invariants();
    }

    fn work_on_copies<S: WriteStore<File = F>>(&mut self, buf: &mut [u8], cx: &mut Context<'_, S>) {
        self.check_failed_syncs(cx);
        // The end of the live copy goes first: until it is known, the log cannot be followed.
        if self.has_end_work() {
            return self.work_on_end(buf, cx);
        }
        if self.intake.is_scanning() {
            return self.scan_part(cx);
        }
        if self.is_inflating() {
            return self.work_on_archive(buf, cx);
        }
        if let Some(heal) = self.finished.heal_mut() {
            let copied = heal.copied();
            let result = heal.work(buf, cx.store);
            let copied = heal.copied().saturating_sub(copied);
            match result {
                Ok(Some(outcome)) => self.end_heal(outcome, cx),
                // It knows what to ask next.
                Ok(None) if !heal.is_answered() => self.link.end_work(cx.now.mono),
                Ok(None) => {}
                // Something is short here. The log goes on, as far as it can, and the heal is tried
                // again later.
                Err(error) => {
                    let finished = heal.finished().clone();
                    self.end_heal(heal::Outcome::Postponed(finished), cx);
                    self.fail(error, cx);
                }
            }
            return self.note_written(copied, cx);
        }
        if self.finished.double_mut().is_some() {
            return self.work_on_double(buf, cx);
        }
        match self.finished.queue_mut().work(buf, cx.store, cx.now.mono) {
            None => {}
            Some(Checked::Same {
                finished,
                md5,
                crc,
                copy_size,
            }) => {
                let (path, size) = (&finished.path, finished.size);
                let verified = Event::Verified {
                    path,
                    md5,
                    part: (size < copy_size).then_some((size, copy_size)),
                };
                (cx.events)(&self.config, verified);
                self.note_hook(HookKind::Verified, (path, size, md5), cx);
                // Of a longer copy only a part was read.
                if size == copy_size {
                    let crc = Some(crc);
                    self.note_sums(path, size, CopySums { crc, md5 }, cx);
                    self.suspect_double(finished, cx);
                }
                self.update_list(cx);
            }
            Some(Checked::Read { finished, md5, crc }) => {
                let crc = Some(crc);
                self.note_sums(&finished.path, finished.size, CopySums { crc, md5 }, cx);
            }
            // It is no copy to be compared, and is shorter than it should be.
            Some(Checked::Different(finished, _)) if finished.md5.is_none() => {}
            Some(Checked::Different(finished, md5)) if self.is_as_received(&finished, md5, cx) => {
                self.tell_never_verified(&finished, GONE, cx);
            }
            Some(Checked::Different(finished, _)) => {
                self.finished.begin_heal(finished);
                self.turn_to_heal(cx);
            }
            Some(Checked::Unreadable(finished, _)) if self.was_taken(&finished.path, cx) => {
                self.tell_never_verified(&finished, TAKEN, cx);
            }
            Some(Checked::Unreadable(finished, error)) => {
                let why = format!("it cannot be read: {error}");
                self.note_flaw(
                    Event::Differs {
                        path: &finished.path,
                        why: &why,
                    },
                    cx,
                );
                self.update_list(cx);
            }
        }
    }

    /// Takes back what came of something unfinished, as the connection is over.
    pub(super) fn abandon<S: WriteStore<File = F>>(
        &mut self,
        cx: &mut Context<'_, S>,
    ) -> Result<(), FileError> {
        // Digests that did not come on this connection will have to be asked for.
        if let Phase::Streaming {
            frames: Some(_), ..
        } = self.link.phase()
        {
            self.finished.queue_mut().stream_ended();
        }
        self.end.abandon();
        self.archives.interrupt(cx.store);
        match self.link.phase_mut() {
            Phase::Streaming {
                frames: Some(frames),
                brought_something,
                ..
            } => {
                let Some(copy) = self.disk.copy_mut() else {
                    return Ok(());
                };
                // Should the generation be gone when we come back, this tells how much is lost.
                if let Some(size) = frames.server_size() {
                    self.health.set_server_size(size);
                }
                let mut files = cx.files(&self.config, "");
                // What an earlier connection left is proved by now, or was refused unseen.
                if let Some(from) = frames.abandon(copy, &mut files)? {
                    self.disk.set_unproved(from);
                    *brought_something = true;
                }
                Ok(())
            }
            // A heal that has its whole answer left the connection by itself: this one has failed.
            Phase::Asking { .. } | Phase::Answering { .. } | Phase::Inquiring { .. } => {
                let failed = self.finished.heal_mut().and_then(|heal| {
                    heal.abandon(cx.store);
                    heal.has_failed()
                });
                if let Some(outcome) = failed {
                    self.end_heal(outcome, cx);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Takes back what came in no whole frame, but for as much as every proof covers, since the
    /// next answer may be long in coming: another process would believe it.
    pub(super) fn shed_unproved<S: WriteStore<File = F>>(
        &mut self,
        cx: &mut Context<'_, S>,
    ) -> Result<(), FileError> {
        let (Some(len), Some(copy)) = (
            self.disk
                .unproved_len()
                .checked_sub(BLOCK_LEN_MAX as u64)
                .filter(|len| *len > 0),
            self.disk.copy_mut(),
        ) else {
            return Ok(());
        };
        let mut files = cx.files(&self.config, "");
        copy.cut(copy.size() - len, &mut files)
    }

    /// Turns to a copy that has to be healed: the connection is given up for one that serves the
    /// heal, or for the work in between.
    fn turn_to_heal<S: WriteStore<File = F>>(&mut self, cx: &mut Context<'_, S>) {
        // A change has to be made first: it belongs to the connection that would be given up.
        let Some(heal) = self.finished.heal().filter(|_| !self.is_changing()) else {
            return;
        };
        let is_working = heal.is_answered();
        let is_busy = match self.link.phase() {
            Phase::Inquiring {
                purpose: Purpose::Heal,
                ..
            } => !is_working,
            // The log cannot be followed before this is answered, and checksums do not take long.
            Phase::Inquiring {
                purpose: Purpose::EndCheck,
                ..
            } => true,
            _ => false,
        };
        if is_busy || !self.wants_connection() {
            return;
        }
        if let Err(error) = self.leave_stream(cx) {
            return self.fail(SourceError::Files(error), cx);
        }
        self.link.enter(match is_working {
            true => Phase::Working,
            false => Phase::Waiting { until: cx.now.mono },
        });
    }

    /// Leaves the stream: takes back what came of an unfinished frame.
    pub(super) fn leave_stream<S: WriteStore<File = F>>(
        &mut self,
        cx: &mut Context<'_, S>,
    ) -> Result<(), FileError> {
        match self.link.phase() {
            Phase::Streaming { .. } => self.abandon(cx),
            _ => Ok(()),
        }
    }

    /// Ends a heal for which the server no longer has the file.
    pub(super) fn give_up_heal<S: WriteStore<File = F>>(&mut self, cx: &mut Context<'_, S>) {
        if let Some(outcome) = self.finished.heal().map(Heal::without_file) {
            self.end_heal(outcome, cx);
        }
    }

    fn end_heal<S: WriteStore<File = F>>(
        &mut self,
        outcome: heal::Outcome,
        cx: &mut Context<'_, S>,
    ) {
        let size = self.finished.heal().map_or(0, |heal| heal.finished().size);
        self.finished.end_heal();
        self.link.end_work(cx.now.mono);
        match outcome {
            heal::Outcome::Healed {
                path,
                from,
                kept,
                md5,
            } => {
                let healed = Event::Healed {
                    path: &path,
                    from,
                    kept: &kept,
                };
                self.note_healed(&healed, cx);
                (cx.events)(&self.config, healed);
                self.note_hook(HookKind::Healed, (&path, size, md5), cx);
                self.tell_whole(&path, size, md5, cx);
            }
            heal::Outcome::Completed { path, from, md5 } => {
                let completed = Event::Completed {
                    path: &path,
                    from,
                    size,
                };
                (cx.events)(&self.config, completed);
                self.tell_whole(&path, size, md5, cx);
            }
            heal::Outcome::Hopeless { path, .. } if self.was_taken(&path, cx) => {
                heal::clear_away(&path, cx.store);
                self.tell_unverified(&path, size, TAKEN, cx);
            }
            heal::Outcome::Hopeless { path, why } => {
                heal::clear_away(&path, cx.store);
                self.note_flaw(Event::Differs { path: &path, why }, cx);
            }
            // Room that the half of a healed copy takes may be just what is missing.
            heal::Outcome::Postponed(finished) => {
                heal::clear_away(&finished.path, cx.store);
                let again_at = cx.now.mono.plus_ms(HEAL_AGAIN_MS);
                self.finished.queue_mut().postpone(finished, again_at);
            }
            // The file that our copy is of is gone, and this is another: nothing here is wrong.
            heal::Outcome::Foreign(path) => {
                self.tell_unverified(&path, size, OTHER, cx);
            }
        }
        self.update_list(cx);
    }

    /// Tells of a copy that was made whole, and notes its digest.
    fn tell_whole<S: WriteStore<File = F>>(
        &mut self,
        path: &Path,
        size: u64,
        md5: [u8; 16],
        cx: &mut Context<'_, S>,
    ) {
        // There is room again, if that was missing.
        if self.health.is_in_trouble_with_files() {
            self.health.forget_error();
        }
        let part = None;
        (cx.events)(&self.config, Event::Verified { path, md5, part });
        self.note_hook(HookKind::Verified, (path, size, md5), cx);
        self.note_sums(path, size, CopySums { crc: None, md5 }, cx);
    }
}
