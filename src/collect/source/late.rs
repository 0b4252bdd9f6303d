//! Generations that were written to after they had been given whole: the rest of each is fetched
//! into the copy that there is, as if that had been cut short. Where that cannot be, it is told and
//! on record. Pure.

use std::path::Path;

use super::digest::TOO_MANY;
use super::link::Phase;
use super::v2::{Frames, Received};
use super::{Context, Source};
use crate::collect::copy::Finished;
use crate::collect::copy::given::Ledger;
use crate::collect::copy::left_out::LeftOut;
use crate::collect::error::SourceError;
use crate::collect::event::Event;
use crate::ids::Inode;
use crate::store::{Kind, WriteStore};
use crate::wire::token::Token;

impl<F> Source<F> {
    /// The server has more of the file with this token than it gave: its copy is to get the rest,
    /// or else that is told.
    pub(super) fn take_or_tell_late<S: WriteStore<File = F>>(
        &mut self,
        (note, token): (LeftOut, Token),
        frames: &mut Frames,
        cx: &mut Context<'_, S>,
    ) {
        if self.take_late(&note, &token, cx) {
            return self.owe_list();
        }
        let tell = &mut |event: Event<'_>| (cx.events)(&self.config, event);
        if let Received::Missing(note) = frames.tell_left_out(note, tell) {
            self.owe_missing(note);
        }
    }

    /// Tells whether the copy of the file with this token is to get the rest; then the caller
    /// brings the list of copies to verify into line.
    fn take_late<S: WriteStore<File = F>>(
        &mut self,
        note: &LeftOut,
        token: &Token,
        cx: &mut Context<'_, S>,
    ) -> bool {
        let size = note.late_size().unwrap_or(0);
        let Some(finished) = self.copy_to_complete(token, size, cx) else {
            return false;
        };
        if let Some(given_up) = self.finished.queue_mut().add_late(finished) {
            self.tell_never_verified(&given_up, TOO_MANY, cx);
        }
        true
    }

    /// The copy of the file with this token, if it is here as it was finished.
    fn copy_to_complete<S: WriteStore<File = F>>(
        &self,
        token: &Token,
        size: u64,
        cx: &mut Context<'_, S>,
    ) -> Option<Finished> {
        let ledger = self.ledger(cx)?;
        let entry = ledger.entry_of_token(token)?;
        let path = entry.path(&self.config);
        let stat = cx.store.stat_path(&path).ok()??;
        // It may have got the rest, of which a killed process could note nothing.
        let is_it = stat.kind == Kind::Regular && stat.size >= entry.size && entry.size < size;
        is_it.then_some(Finished {
            path,
            // Its token tells which file is meant.
            inode: Inode::NONE,
            size,
            md5: None,
            by_content: true,
            classic: false,
        })
    }

    /// Leaves the stream for the question about a copy that is to get the rest.
    pub(super) fn turn_to_late<S: WriteStore<File = F>>(&mut self, cx: &mut Context<'_, S>) {
        // Only such a copy comes to be asked for while the log is followed, by the end of a
        // generation.
        let is_due = matches!(self.link.phase(), Phase::Streaming { .. })
            && self.finished.queue().to_ask().is_some();
        if !is_due || self.is_changing() || !self.wants_connection() {
            return;
        }
        if let Err(error) = self.leave_stream(cx) {
            return self.fail(SourceError::Files(error), cx);
        }
        self.link.enter(Phase::Waiting { until: cx.now.mono });
    }

    /// The token of the file of a copy that is to get the rest.
    pub(super) fn token_of_late<S: WriteStore<File = F>>(
        &self,
        finished: &Finished,
        cx: &mut Context<'_, S>,
    ) -> Option<Token> {
        if !finished.is_late() {
            return None;
        }
        let ledger = self.ledger(cx)?;
        ledger.entry_of(&finished.path, &self.config)?.token
    }

    /// Tells and puts on record that a copy does not get the rest, if it was to get that.
    pub(super) fn tell_if_late<S: WriteStore<File = F>>(
        &mut self,
        path: &Path,
        size: u64,
        ledger: Option<&Ledger>,
        cx: &mut Context<'_, S>,
    ) {
        let entry = ledger.and_then(|ledger| ledger.entry_of(path, &self.config));
        let Some(from) = entry.map(|entry| entry.size).filter(|from| *from < size) else {
            return;
        };
        let lost = Event::LostLate { path, from, size };
        let result = self.put_on_record(&lost, cx);
        (cx.events)(&self.config, lost);
        if let Err(error) = result {
            (cx.events)(&self.config, Event::Error(&SourceError::Files(error)));
            self.health.set_unrecorded(true);
        }
    }
}
