//! The answer line, and what a source makes of it.

use super::change::Afterwards;
use super::link::{Asked, Form, Phase, Purpose};
use super::tokens::Tokens;
use super::v2::Frames;
use super::{Context, Source};
use crate::collect::config::Proto;
use crate::collect::copy::loss::{Cause, Loss};
use crate::collect::copy::{Generation, Origin};
use crate::collect::error::{ProtocolError, SourceError};
use crate::collect::event::Event;
use crate::ids::{Inode, MaybeOffset};
use crate::store::WriteStore;
use crate::wire::frame::Reason;
use crate::wire::receiver::Receiver;
use crate::wire::reply::{Mark, Reply, Terms};
use crate::wire::token::Token;

/// What an answer says of a generation that is left, and of the next one.
#[derive(Default)]
pub(super) struct Left {
    /// All of it is held, though its file is gone.
    pub(super) is_whole: bool,
    /// The token of the next one.
    pub(super) next_token: Option<Token>,
}

impl<F> Source<F> {
    /// Does what the answer line says. Afterwards what follows it belongs at the end of the local
    /// copy.
    pub(super) fn handle_reply<S: WriteStore<File = F>>(
        &mut self,
        asked: Asked,
        reply: Reply,
        cx: &mut Context<'_, S>,
    ) -> Result<(), SourceError> {
        let inode = reply.inode.inode();
        if reply.v2.is_none()
            && asked.purpose == Purpose::Follow
            && let Some(sound) = self.disk.take_unproved()
        {
            // Classic proves nothing.
            self.take_back(sound, cx)?;
            return Err(SourceError::AskAgain);
        }
        self.link.note_answer(reply.v2.is_some());
        match reply.v2 {
            None if self.config.proto == Proto::V2 => Err(SourceError::OnlyClassic),
            // What would follow is the log and no answer. The heal counts an attempt that failed.
            None if matches!(asked.purpose, Purpose::Heal | Purpose::Archive) => {
                Err(SourceError::ClosedByServer)
            }
            // It may be a server of version 2 again after the next stream.
            None if asked.purpose == Purpose::Digest => {
                self.finished.queue_mut().ask_later();
                Err(SourceError::AskAgain)
            }
            None if asked.purpose == Purpose::EndCheck
                || self.is_look_of_v2(asked)
                || self.left_out_zeros(asked) =>
            {
                Err(self.compare_in_classic())
            }
            None => self.handle_classic(asked, reply.mark, inode, cx),
            // Version 2 was not offered in these questions.
            Some(_) if self.config.proto == Proto::Classic || self.asks_again(asked) => {
                Err(ProtocolError::Terms.into())
            }
            // The frames behind the line say why it is a refusal, if it is one.
            Some(terms)
                if matches!(
                    asked.purpose,
                    Purpose::EndCheck | Purpose::Digest | Purpose::Heal | Purpose::Archive
                ) =>
            {
                // The frames tell why.
                let is_refused = reply.mark == Mark::Refused;
                if asked.purpose == Purpose::Archive && !is_refused && !self.is_archive(&terms) {
                    self.give_up_archives();
                    return Err(SourceError::ClosedByServer);
                }
                let is_other = asked.purpose == Purpose::EndCheck
                    && self.is_other_than_held(inode, terms.identity, cx);
                self.end.take_file(terms.size, is_other);
                if asked.purpose == Purpose::Heal && self.is_other_file(terms.identity, cx) {
                    self.give_up_heal(cx);
                    return Err(SourceError::AskAgain);
                }
                self.link.enter(Phase::Inquiring {
                    purpose: asked.purpose,
                    heard_at: cx.now.mono,
                    moved_at: cx.now.mono,
                    brought_something: false,
                    receiver: Box::new(Receiver::new()),
                });
                Ok(())
            }
            Some(_) if reply.mark == Mark::Refused => {
                let terms = reply.v2.unwrap_or_default();
                self.stream(Some(Frames::refused(terms.whole, terms.lost)), false, cx);
                Ok(())
            }
            Some(terms) => self.handle_terms(asked, reply.mark, inode, terms, cx),
        }
    }

    /// Acts on a classic answer: the inode and the mark are all there is to go by.
    fn handle_classic<S: WriteStore<File = F>>(
        &mut self,
        asked: Asked,
        mark: Mark,
        next: Inode,
        cx: &mut Context<'_, S>,
    ) -> Result<(), SourceError> {
        let Some(held) = self.disk.generation() else {
            return self.begin(Generation::classic(next), None, None, cx);
        };
        let found = mark == Mark::Found;
        let is_probe = asked.purpose == Purpose::Probe;
        if self.is_baffled(asked, next == held.inode && found && !is_probe) {
            return Err(self.look_closer());
        }
        // Told once: from the first classic byte on the pointer says that classic had a part in the
        // copy.
        let is_downgraded =
            self.config.proto != Proto::Classic && held.origin.is_some() && !held.classic;
        // The generation goes on. That classic has a part in it is in the pointer before the first
        // byte is in the copy.
        if next == held.inode && found && !is_probe {
            if is_downgraded {
                (cx.events)(&self.config, Event::Downgraded);
            }
            let mixed = Generation {
                classic: true,
                ..held
            };
            self.know_as(held, mixed, cx)?;
            // We asked from before the end of a copy that is not believed; what comes is compared
            // first.
            if self.asks_again(asked) {
                self.end.again_at = MaybeOffset::some(asked.offset);
            }
            return self.follow(None, false, cx);
        }
        if is_probe && !self.link.note_probe(next) {
            // Whoever closes may have had another reason, such as a tunnel that was down: ours is
            // asked for once more.
            return Err(SourceError::ClosedSilently);
        }
        if is_downgraded {
            (cx.events)(&self.config, Event::Downgraded);
        }
        // From here on the generation is over: `O` says complete, `L` with our inode truncated, `L`
        // with another one gone. A probe has no offset, so its `O` says nothing of ours.
        let is_lost = next != held.inode && (!found || is_probe);
        let loss = match is_lost {
            true => Some(self.loss(cx)?),
            false => None,
        };
        self.leave(Generation::classic(next), loss, Left::default(), cx)?;
        // One empty generation after the other is nothing to be in a hurry about.
        self.follow(None, asked.offset > 0, cx)
    }

    /// Acts on an answer of version 2.
    fn handle_terms<S: WriteStore<File = F>>(
        &mut self,
        asked: Asked,
        mark: Mark,
        inode: Inode,
        terms: Terms,
        cx: &mut Context<'_, S>,
    ) -> Result<(), SourceError> {
        let origin = Origin {
            mtime_ns: terms.mtime_ns,
            boot: terms.boot,
        };
        let next = Generation {
            inode,
            origin: Some(origin),
            classic: false,
        };
        self.compare_clocks(terms.clock_s, cx);
        let frames = Frames::new(terms.boot, terms.size, None);
        let Some(held) = self.disk.generation() else {
            // PROTOCOL.md, "Negotiation": at first contact and with `L` a generation begins at 0.
            if terms.at != 0 {
                return Err(ProtocolError::Terms.into());
            }
            return self.begin(next, terms.identity, Some(frames), cx);
        };
        if asked.purpose == Purpose::Probe {
            // Whoever speaks version 2 says why it refuses; there is nothing to find out.
            self.link.settle_doubt();
            return Err(SourceError::AskAgain);
        }
        if mark == Mark::Lost && terms.at != 0 {
            return Err(ProtocolError::Terms.into());
        }
        // Whatever the answer is now, the next question may be answered with a prefix again.
        self.link.set_no_prefix(false);
        let goes_on = mark == Mark::Found && terms.at == asked.offset;
        if let Some(sound) = self.disk.take_unproved().filter(|_| !goes_on) {
            // It is not the generation that changed, but what came last that was never part of it.
            self.take_back(sound, cx)?;
            return Err(SourceError::AskAgain);
        }
        if let Some(other) = self.asks_otherwise(held, asked, goes_on, cx)? {
            return Err(other);
        }
        if mark == Mark::Lost {
            return self.handle_lost(held, next, asked, terms, frames, cx);
        }
        // The generation goes on, perhaps under another inode. Its `m` stays: PROTOCOL.md, "What a
        // client stores".
        let same = Generation {
            inode,
            origin: held
                .origin
                .map(|held| Origin {
                    boot: terms.boot,
                    ..held
                })
                .or(next.origin),
            classic: held.classic || self.tries_mapped(),
        };
        if terms.at == asked.offset {
            self.drop_zeros(cx)?;
            self.know_as(held, same, cx)?;
            self.note_token(terms.identity, cx);
            return self.follow(Some(frames), false, cx);
        }
        self.handle_prefix(held, same, asked, terms, cx)
    }

    /// Acts on `L`: our generation, or what follows our part of it, is nowhere on the server.
    fn handle_lost<S: WriteStore<File = F>>(
        &mut self,
        held: Generation,
        next: Generation,
        asked: Asked,
        terms: Terms,
        frames: Frames,
        cx: &mut Context<'_, S>,
    ) -> Result<(), SourceError> {
        // PROTOCOL.md, "Negotiation": `lost` and another inode are a loss, and so is a size that
        // was told beyond what we hold.
        let was_longer = self.health.server_size() > asked.offset;
        // Whatever else is `lost` then, was others after it.
        let is_whole = terms.whole && !was_longer;
        let is_gone = next.inode != held.inode && !is_whole;
        let is_lost = terms.lost || was_longer || is_gone;
        let loss = match is_lost {
            true => Some(Loss {
                // A copy whose end is in doubt need not be what the server sent, so a proof
                // that does not fit says nothing about changes.
                cause: match next.inode == held.inode && self.disk.is_believed() {
                    true => Cause::Changed,
                    false => Cause::Gone,
                },
                ..self.loss(cx)?
            }),
            false => None,
        };
        // On record before the pointer names the next generation, with which the last sign of
        // it goes.
        if let Some(loss) = loss {
            self.note_loss(loss, cx)?;
        }
        let left = Left {
            is_whole,
            next_token: terms.identity,
        };
        self.leave(next, loss, left, cx)?;
        self.follow(Some(frames), asked.offset > 0, cx)
    }

    /// Acts on a `prefix`: the server's file ends before our copy, and is its start or another file
    /// altogether.
    fn handle_prefix<S: WriteStore<File = F>>(
        &mut self,
        held: Generation,
        same: Generation,
        asked: Asked,
        terms: Terms,
        cx: &mut Context<'_, S>,
    ) -> Result<(), SourceError> {
        let Some(theirs) = terms
            .prefix
            .filter(|block| terms.at < asked.offset && block.end() == terms.at)
        else {
            return Err(ProtocolError::Terms.into());
        };
        // PROTOCOL.md, "A part of the copy": the server has judged by the few blocks of the proof,
        // and we have all the bytes.
        if self.block(theirs.start, theirs.len, held.classic, cx)? != Some(theirs) {
            self.link.set_no_prefix(true);
            return Err(SourceError::AskAgain);
        }
        // With `end=1` the box's file is a copy, made before a truncation, that lacks what was
        // written meanwhile: ours is the better one, and stays whole. Else the box has forgotten
        // these bytes, and others will stand in their place.
        let box_size = terms.ended.then_some(terms.at);
        if box_size.is_none() {
            self.set_aside(terms.at, cx)?;
        }
        // Only now: that the box was in another boot is what makes it a loss and no truncation,
        // should this be asked once more.
        self.know_as(held, same, cx)?;
        self.note_token(terms.identity, cx);
        let frames = Frames::new(terms.boot, terms.size, box_size);
        self.follow(Some(frames), true, cx)
    }

    /// Takes back what came in no whole frame.
    fn take_back<S: WriteStore<File = F>>(
        &mut self,
        sound: u64,
        cx: &mut Context<'_, S>,
    ) -> Result<(), SourceError> {
        let Some(copy) = self.disk.copy_mut() else {
            return Ok(());
        };
        let mut files = cx.files(&self.config, "");
        copy.cut(sound, &mut files).map_err(SourceError::Files)
    }

    /// Begins the first generation.
    fn begin<S: WriteStore<File = F>>(
        &mut self,
        generation: Generation,
        token: Option<Token>,
        frames: Option<Frames>,
        cx: &mut Context<'_, S>,
    ) -> Result<(), SourceError> {
        let afterwards = Afterwards {
            tokens: Tokens::of_next(token),
            ..Afterwards::of_first(generation.inode)
        };
        self.change(generation, None, afterwards, cx)?;
        self.follow(frames, false, cx)
    }

    /// Leaves the generation that we hold: it is over, as far as the answer line can tell, and
    /// another one begins.
    pub(super) fn leave<S: WriteStore<File = F>>(
        &mut self,
        next: Generation,
        loss: Option<Loss>,
        left: Left,
        cx: &mut Context<'_, S>,
    ) -> Result<(), SourceError> {
        // The last chance to tell of them: in a rotated copy nobody will know these zeros from the
        // box's.
        let loss = match self.doubtful_zeros(cx)? {
            0 => loss,
            _ => Some(self.note_zeros(loss, cx)?),
        };
        let Some(copy) = self.disk.copy() else {
            return Ok(());
        };
        let held = copy.inode().unwrap_or(Inode::NONE);
        let afterwards = Afterwards {
            held,
            reason: match next.inode == held && !left.is_whole {
                true => Reason::Truncated,
                false => Reason::Rotated,
            },
            // What could not be compared after a restart is not known to be all of it.
            is_whole: left.is_whole && copy.doubtful_from().is_none(),
            tokens: Tokens::of_next(left.next_token),
            size: copy.size(),
            loss,
            is_unchecked: copy.doubtful_from().is_some(),
            is_taken_over: copy.is_taken_over(),
            ..Afterwards::of_first(next.inode)
        };
        // What was told is about the generation that is left.
        self.health.set_server_size(0);
        // Unless it was inflated, nobody told its digest, so it does not go on the list of copies
        // to be verified.
        let finished = self.inflated();
        self.change(next, finished, afterwards, cx)
    }

    /// Puts zeros on record at the end of the generation being left, where that end could not be
    /// compared: they are a loss by themselves.
    fn note_zeros<S: WriteStore<File = F>>(
        &mut self,
        loss: Option<Loss>,
        cx: &mut Context<'_, S>,
    ) -> Result<Loss, SourceError> {
        let loss = match loss {
            Some(loss) => loss,
            None => Loss {
                cause: Cause::Zeros,
                ..self.loss(cx)?
            },
        };
        self.note_loss(loss, cx)?;
        Ok(loss)
    }

    /// The loss if nothing behind our copy can be had any more, put on record.
    #[cfg(feature = "gz")]
    pub(super) fn loss_of_held<S: WriteStore<File = F>>(
        &mut self,
        cx: &mut Context<'_, S>,
    ) -> Result<Loss, SourceError> {
        let loss = self.loss(cx)?;
        self.note_loss(loss, cx)?;
        Ok(loss)
    }

    /// The loss if nothing behind our copy can be had any more.
    fn loss<S: WriteStore<File = F>>(
        &mut self,
        cx: &mut Context<'_, S>,
    ) -> Result<Loss, SourceError> {
        let zeros = self.doubtful_zeros(cx)?;
        let size = self.disk.size() - zeros;
        // After a restart no size of the server's file is known, but the zeros stand for as many
        // bytes as they are.
        let missing = self.health.server_size().saturating_sub(size).max(zeros);
        Ok(Loss {
            inode: self.disk.inode().unwrap_or(Inode::NONE),
            offset: size,
            at_least: (missing > 0).then_some(missing),
            cause: Cause::Gone,
        })
    }

    /// Notes in the pointer that the same generation has another name, or comes in another way.
    pub(super) fn know_as<S: WriteStore<File = F>>(
        &mut self,
        held: Generation,
        now: Generation,
        cx: &mut Context<'_, S>,
    ) -> Result<(), SourceError> {
        // Most answers change nothing, and a pointer costs two syncs.
        let Some(copy) = self.disk.copy_mut().filter(|_| held != now) else {
            return Ok(());
        };
        let mut files = cx.files(&self.config, "");
        copy.rename_generation(now, &mut files)
            .map_err(SourceError::Files)
    }

    /// Begins to stream: the server answered, and what follows belongs at the end of the local
    /// copy.
    fn follow<S: WriteStore<File = F>>(
        &mut self,
        frames: Option<Frames>,
        brought_something: bool,
        cx: &mut Context<'_, S>,
    ) -> Result<(), SourceError> {
        self.link.settle_doubt();
        self.link.note_stream();
        self.link.set_form(Form::Exact { has_masked: false });
        self.stream(frames, brought_something, cx);
        // The end of the copy is not compared yet, or the copy of the next generation is not there
        // yet.
        if self.end.again_at.get().is_some() || self.is_changing() {
            return Ok(());
        }
        self.confirm_end(cx)?;
        // Whether a full disk has room again shows only in writing what comes next.
        if !self.health.is_in_trouble_with_files() {
            self.recover(cx);
        }
        Ok(())
    }

    /// Notes that all is well, which is told if it was not so before. A server that sends on while
    /// something is wrong with its log says itself when that is over.
    pub(super) fn recover<S>(&mut self, cx: &mut Context<'_, S>) {
        if let Phase::Streaming { frames, .. } = self.link.phase()
            && frames.as_ref().is_some_and(|frames| frames.is_troubled())
        {
            return;
        }
        if self.health.is_failing() {
            self.tell_state(cx);
        }
        self.health.recover();
    }

    fn stream<S>(
        &mut self,
        mut frames: Option<Frames>,
        brought_something: bool,
        cx: &Context<'_, S>,
    ) {
        if let Some(frames) = frames.as_mut().filter(|_| self.link.breaks().is_poor()) {
            frames.keep_few();
        }
        self.link.enter(Phase::Streaming {
            since: cx.now.mono,
            heard_at: cx.now.mono,
            brought_something,
            frames: frames.map(Box::new),
        });
    }
}
