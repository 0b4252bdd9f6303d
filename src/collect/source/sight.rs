//! What those who look are shown of a source.

use super::Source;
use super::link::Phase;
use crate::collect::error::SourceError;
use crate::store::WriteStore;
use crate::time::Mono;
use crate::wire::receiver::Receiver;
use crate::wire::table::State;

use super::Context;

impl<F> Source<F> {
    /// What it does, for those who look.
    pub fn shown_state(&self) -> State {
        match (self.health.error(), self.health.is_failing()) {
            (Some(_), _) => State::Error,
            (None, true) => State::Connecting,
            (None, false) => State::Following,
        }
    }

    /// What is wrong, if anything is.
    pub fn error(&self) -> Option<&SourceError> {
        self.health.error()
    }

    /// All bytes of the log that came, in this run.
    pub fn received(&self) -> u64 {
        self.disk.appended()
    }

    /// The size of the local copy; `None` while it is closed.
    pub fn held(&self) -> Option<u64> {
        self.disk.copy().map(|copy| copy.size())
    }

    /// How many bytes the box has that are not here, as far as it told.
    pub fn behind(&self) -> Option<u64> {
        let held = self.held()?;
        match self.link.phase() {
            Phase::Streaming { frames, .. } => frames.as_ref().map(|it| it.behind(held)),
            // What it told last, and there is no less now.
            _ => self
                .health
                .server_size()
                .checked_sub(held)
                .filter(|len| *len > 0),
        }
    }

    /// When the server is tried next, if that is waited for.
    pub fn next_try(&self) -> Option<Mono> {
        match self.link.phase() {
            Phase::Waiting { until } => Some(*until),
            _ => None,
        }
    }

    /// Counts the pieces of frames that came over the present connection, round and round.
    pub fn pieces(&self) -> u32 {
        self.link.receiver().map_or(0, Receiver::pieces)
    }

    /// Losses and differences on record.
    pub fn losses(&self) -> u32 {
        self.health.losses()
    }

    /// Finished copies that are still to be compared.
    pub fn unverified(&self) -> usize {
        self.finished.all().count()
    }

    /// Whether it waits for room on this machine, and is not in touch with the server meanwhile.
    pub fn is_paused(&self) -> bool {
        self.intake.is_paused()
    }

    /// Counts what is on record, if there may be more than was counted.
    pub fn count_losses<S: WriteStore<File = F>>(&mut self, cx: &mut Context<'_, S>) {
        if !self.health.is_uncounted() {
            return;
        }
        // A record that cannot be read is at least one.
        let counted = cx.files(&self.config, "").count_gaps().unwrap_or(1);
        self.health.set_losses(counted);
    }

    /// Looks whether the local copy is where it was. If somebody has moved it, or put another file
    /// in its place, the files are opened again, and what is found there is told.
    pub fn look_at_copy<S: WriteStore<File = F>>(&mut self, cx: &mut Context<'_, S>) {
        // A change is about to give the file another name.
        if self.is_changing() {
            return;
        }
        let Some(copy) = self.disk.copy() else {
            return;
        };
        // What cannot be looked at is found out by the next one who writes.
        if let Ok(false) = copy.is_in_place(&mut cx.files(&self.config, "")) {
            self.reopen(cx);
        }
    }

    /// Looks whether losses are on record still. An operator may have taken note of them.
    pub fn look_at_record<S: WriteStore<File = F>>(&mut self, cx: &mut Context<'_, S>) {
        // What could not be put there is not seen to by taking it away.
        if self.health.is_unrecorded() || !self.health.is_flawed() {
            return;
        }
        if let Ok(false) = cx.files(&self.config, "").has_gaps() {
            self.health.forget_flaws();
        } else {
            self.health.flaw();
        }
    }
}
