//! The question for the digest of a finished copy that did not come by itself: it is asked over a
//! connection of its own, before the log is followed on.

use std::path::Path;

use super::link::{Phase, Purpose};
use super::{Context, Source};
use crate::collect::copy::Finished;
use crate::collect::copy::given::Ledger;
use crate::collect::error::{ProtocolError, SourceError};
use crate::collect::event::Event;
use crate::store::WriteStore;
use crate::wire::frame::{self, ErrorCode, Frame};
use crate::wire::receiver::{Piece, Receiver};

/// The part of an answer that has come.
enum Heard {
    /// Nothing that says anything.
    Nothing,
    /// The digest of so many bytes; `None` if it is of a kind that is not known here.
    Digest(u64, Option<[u8; 16]>),
    /// The server has no such file.
    Gone,
    /// It does not answer this now.
    Refused,
}

impl<F> Source<F> {
    /// Notes beside the local copy that a finished one was healed.
    pub(super) fn note_healed<S: WriteStore<File = F>>(
        &mut self,
        healed: &Event<'_>,
        cx: &mut Context<'_, S>,
    ) {
        let stamp = (cx.stamp)(cx.now.wall);
        if let Err(error) = cx.files(&self.config, &stamp).note_kept(healed) {
            // The copy is right all the same.
            (cx.events)(&self.config, Event::Error(&SourceError::Files(error)));
        }
    }

    /// Takes the answer about a digest. Whatever it is, the connection has served.
    pub(super) fn take_digest<S: WriteStore<File = F>>(
        &mut self,
        receiver: &mut Receiver,
        data: &[u8],
        cx: &mut Context<'_, S>,
    ) -> Result<(), SourceError> {
        let mut rest = data;
        loop {
            let (taken, heard) = hear(receiver, rest)?;
            let is_idle = taken == 0 && rest.is_empty();
            rest = rest.get(taken..).unwrap_or_default();
            match heard {
                Heard::Nothing if is_idle => return Ok(()),
                Heard::Nothing => continue,
                // The log matters more than a digest: it is followed first.
                Heard::Refused => self.finished.queue_mut().ask_later(),
                Heard::Gone => self.never_verified(GONE, cx),
                Heard::Digest(size, md5) => self.take_answer(size, md5, cx),
            }
            return Err(SourceError::AskAgain);
        }
    }

    fn take_answer<S: WriteStore<File = F>>(
        &mut self,
        size: u64,
        md5: Option<[u8; 16]>,
        cx: &mut Context<'_, S>,
    ) {
        let wanted = self
            .finished
            .queue()
            .to_ask()
            .map_or(0, |finished| finished.size);
        match md5 {
            None => self.never_verified(UNKNOWN_KIND, cx),
            // The digest is of all that the server has (PROTOCOL.md, "Questions"), so it says
            // nothing about our longer copy.
            Some(_) if size != wanted => {
                let why = format!("the server has only {size} of its {wanted} bytes now");
                self.never_verified(&why, cx);
            }
            Some(md5) => self.finished.queue_mut().answered(md5),
        }
    }

    /// The copy that was asked for will never be compared.
    fn never_verified<S: WriteStore<File = F>>(&mut self, why: &str, cx: &mut Context<'_, S>) {
        if let Some(finished) = self.finished.queue_mut().give_up() {
            self.tell_never_verified(&finished, why, cx);
        }
    }

    /// Gives up all copies that only the server can help with, which is to be asked no more.
    pub fn give_up_asking<S: WriteStore<File = F>>(&mut self, cx: &mut Context<'_, S>) {
        while let Some(finished) = self.finished.queue_mut().give_up() {
            self.tell_never_verified(&finished, GONE, cx);
        }
    }

    /// Tells that a copy is not compared and never will be.
    pub(super) fn tell_never_verified<S: WriteStore<File = F>>(
        &mut self,
        finished: &Finished,
        why: &str,
        cx: &mut Context<'_, S>,
    ) {
        self.tell_unverified(&finished.path, finished.size, why, cx);
        self.update_list(cx);
    }

    /// Tells the same of those that are given up because too many wait. However many these are, the
    /// ledger is read once and the list is written once.
    pub(super) fn tell_given_up<S: WriteStore<File = F>>(
        &mut self,
        all: &[Finished],
        cx: &mut Context<'_, S>,
    ) {
        if all.is_empty() {
            return;
        }
        let ledger = self.ledger(cx);
        for finished in all {
            let Finished { path, size, .. } = finished;
            self.tell_unverified_by(ledger.as_ref(), path, *size, TOO_MANY, cx);
        }
        self.update_list(cx);
    }

    /// Tells that a copy of this size cannot be compared with anything, which has left the queue.
    pub(super) fn tell_unverified<S: WriteStore<File = F>>(
        &mut self,
        path: &Path,
        size: u64,
        why: &str,
        cx: &mut Context<'_, S>,
    ) {
        let ledger = self.ledger(cx);
        self.tell_unverified_by(ledger.as_ref(), path, size, why, cx);
    }

    fn tell_unverified_by<S: WriteStore<File = F>>(
        &mut self,
        ledger: Option<&Ledger>,
        path: &Path,
        size: u64,
        why: &str,
        cx: &mut Context<'_, S>,
    ) {
        self.tell_if_late(path, size, ledger, cx);
        (cx.events)(&self.config, Event::NeverVerified { path, why });
    }

    /// Whether somebody has moved a finished copy away, which is his to do. Where the live copy is
    /// not there either it is its disk that is missing.
    pub(super) fn was_taken<S: WriteStore<File = F>>(
        &self,
        path: &Path,
        cx: &mut Context<'_, S>,
    ) -> bool {
        let mut found = |path| cx.store.stat_path(path).map(|stat| stat.is_some());
        matches!(found(path), Ok(false)) && matches!(found(&self.config.local), Ok(true))
    }

    /// Brings the list of copies that wait into line after one has left it. Where that fails, a
    /// copy is compared once more after the next start.
    pub(super) fn update_list<S: WriteStore<File = F>>(&mut self, cx: &mut Context<'_, S>) {
        // With the older one a copy is compared once more: that may wait for its turn.
        match self.disk.shares_barriers() {
            true => self.owe_list(),
            false => self.write_list(cx),
        }
    }

    /// Writes the list, whoever waits for that.
    pub(super) fn write_list<S: WriteStore<File = F>>(&mut self, cx: &mut Context<'_, S>) {
        // The copy whose difference is on no record is in no queue any more; on the list it is
        // found again.
        if self.health.is_unrecorded() {
            return;
        }
        // A rotation that was cut short has a line that only the list knows, until the files are
        // opened again. And what is to be told of a copy must not be forgotten.
        if self.disk.copy().is_none() || self.finished.owes_hooks() {
            return;
        }
        let list = self.finished.all();
        let _ = cx.files(&self.config, "").write_list(list);
    }

    /// Notes that a connection ended or was given up. If it was to ask for a digest, the log is
    /// followed before the next try.
    pub(super) fn note_unanswered(&mut self) {
        let purpose = match self.link.phase() {
            Phase::Asking { asked, .. } | Phase::Answering { asked, .. } => asked.purpose,
            Phase::Inquiring { purpose, .. } => *purpose,
            _ => return,
        };
        if purpose == Purpose::Digest {
            self.finished.queue_mut().ask_later();
        }
    }
}

/// The reason for a copy that nothing can be compared with any more.
pub(super) const GONE: &str = "the server no longer has it";

/// The reason for a copy that was there and is not any more.
pub(super) const TAKEN: &str = "somebody has moved it away";

/// The reason for a copy that is like a file of the server's in too little.
pub(super) const OTHER: &str = "the server has only another file that begins alike";

/// The reason for a digest that cannot be compared with.
pub(super) const UNKNOWN_KIND: &str = "the server's digest is of a kind that is not known here";

/// The reason for a copy that had to make room.
pub(super) const TOO_MANY: &str = "too many finished copies wait";

/// Takes bytes of an answer from the front of `input` and tells how many.
fn hear(receiver: &mut Receiver, input: &[u8]) -> Result<(usize, Heard), SourceError> {
    let (taken, piece) = receiver.next(input);
    let heard = match piece {
        Piece::Nothing => Heard::Nothing,
        Piece::Small => receiver
            .small(|frame| match frame {
                // The server is still computing.
                Frame::Alive { .. } | Frame::File { .. } | Frame::Note(_) => Ok(Heard::Nothing),
                Frame::Digest(frame::Digest { size, md5, .. }) => Ok(Heard::Digest(size, md5)),
                Frame::Error { code, .. } => Ok(match code {
                    // Only these say that it will never be different: ERROR 3 and 6 (PROTOCOL.md,
                    // "What a client stores").
                    ErrorCode::NoSuchFile | ErrorCode::Gone => Heard::Gone,
                    _ => Heard::Refused,
                }),
                _ => Err(ProtocolError::Order),
            })
            .unwrap_or_else(|bad| Err(ProtocolError::Frame(bad)))?,
        Piece::Bad(bad) => return Err(ProtocolError::Frame(bad).into()),
        _ => return Err(ProtocolError::Order.into()),
    };
    Ok((taken, heard))
}
