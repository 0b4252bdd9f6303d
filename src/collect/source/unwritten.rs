//! What a box brought to be put on record and is not there yet. Each time costs syncs for which
//! others wait: all that comes until the caller's next moment for it is written in one go. Before a
//! change of generations it is the first of its steps.

use super::{Context, Source};
use crate::collect::copy::left_out::LeftOut;
use crate::collect::copy::loss::Loss;
use crate::collect::copy::{FileError, Part, Syncs};
use crate::collect::error::SourceError;
use crate::store::WriteStore;
use crate::time::Wall;

/// What is still to be put on record. Until it is, it is known to this process alone; the server
/// says it again on the next connection.
#[derive(Default)]
pub(super) struct Unwritten {
    /// What the server leaves out.
    missing: Vec<LeftOut>,
    /// A loss, which is the last line of the record then.
    loss: Option<Loss>,
    /// The list of copies to verify has grown.
    is_late: bool,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Stage {
    #[default]
    New,
    /// That it is to be told is durable, or is to be made so by a barrier.
    Told,
    /// It is on record, and is to be made durable by a barrier.
    Written,
}

/// So many at the most wait, of connections that follow each other before the caller's next moment.
const MISSING_MAX: usize = 64;

impl<F> Source<F> {
    /// Whether something waits for [`put_unwritten_on_record`](Self::put_unwritten_on_record),
    /// which the caller calls in one of its next turns, and before it lets the source go.
    pub fn owes_record(&self) -> bool {
        self.unwritten.is_some()
    }

    /// Whether something is to be on record before a change is made.
    pub(super) fn owes_before_change(&self) -> bool {
        let is_owed = |it: &Unwritten| !it.missing.is_empty() || it.loss.is_some();
        self.unwritten.as_deref().is_some_and(is_owed)
    }

    /// Puts on record, durably, what waits for that; the list of copies to verify by itself, so
    /// that [`owes_record`](Self::owes_record) may be true once more.
    pub fn put_unwritten_on_record<S: WriteStore<File = F>>(&mut self, cx: &mut Context<'_, S>) {
        let is_more = self.owes_before_change();
        let waiting = self.unwritten.as_mut().filter(|_| is_more);
        let is_late = waiting.is_some_and(|it| std::mem::take(&mut it.is_late));
        if let Err(error) = self.write_unwritten(cx) {
            self.fail(error, cx);
        }
        if is_late {
            self.owe_list();
        }
        self.check_invariants();
    }

    /// Has the record wait for the caller, or writes it where there is nobody to wait for.
    pub(super) fn end_unwritten<S: WriteStore<File = F>>(
        &mut self,
        cx: &mut Context<'_, S>,
    ) -> Result<(), SourceError> {
        let waiting = self.unwritten.as_ref().map_or(0, |it| it.missing.len());
        match self.disk.shares_barriers() && waiting < MISSING_MAX {
            true => Ok(()),
            false => self.write_unwritten(cx),
        }
    }

    /// Writes what waits, whoever waits for that.
    pub(super) fn write_unwritten<S: WriteStore<File = F>>(
        &mut self,
        cx: &mut Context<'_, S>,
    ) -> Result<(), SourceError> {
        // Here and not behind it: what cannot be written is found out again, or is no longer so.
        let Some(unwritten) = self.unwritten.take() else {
            return Ok(());
        };
        if unwritten.is_late {
            self.write_list(cx);
        }
        self.write_part(&unwritten, Part::All, cx)
            .map_err(SourceError::Files)?;
        self.note_recorded(*unwritten);
        Ok(())
    }

    /// Does the next step of writing what waits, before those of a change. After one with a barrier
    /// the caller makes it, and then calls [`end_barrier`](Self::end_barrier).
    pub(super) fn step_unwritten<S: WriteStore<File = F>>(
        &mut self,
        syncs: Syncs,
        cx: &mut Context<'_, S>,
    ) -> Result<(), SourceError> {
        if syncs == Syncs::Own {
            return self.write_unwritten(cx);
        }
        let Some(mut unwritten) = self.unwritten.take() else {
            return Ok(());
        };
        let (part, stage) = match (unwritten.stage, cx.hooks) {
            (Stage::New, Some(_)) => (Part::Telling, Stage::Told),
            _ => (Part::Writing, Stage::Written),
        };
        self.write_part(&unwritten, part, cx)
            .map_err(SourceError::Files)?;
        unwritten.stage = stage;
        self.unwritten = Some(unwritten);
        Ok(())
    }

    /// What the last step wrote is durable.
    pub(super) fn end_barrier(&mut self) {
        let written = |unwritten: &mut Box<Unwritten>| unwritten.stage == Stage::Written;
        if let Some(unwritten) = self.unwritten.take_if(written) {
            // The list is written by itself: it can wait, and costs a sync of its own.
            if unwritten.is_late {
                self.owe_list();
            }
            self.note_recorded(*unwritten);
        }
    }

    fn write_part<S: WriteStore<File = F>>(
        &mut self,
        unwritten: &Unwritten,
        part: Part,
        cx: &mut Context<'_, S>,
    ) -> Result<(), FileError> {
        let stamp = (cx.stamp)(cx.now.wall);
        cx.files(&self.config, &stamp)
            .note_left_out(&unwritten.missing, part)?;
        let Some(loss) = &unwritten.loss else {
            return Ok(());
        };
        let held = cx.store.stat_path(&self.config.local).ok().flatten();
        let held_until = held.map(|held| (cx.stamp)(Wall::from_ms(held.mtime_ns / 1_000_000)));
        cx.files(&self.config, &stamp)
            .note_loss(loss, held_until.as_deref(), part)
    }

    fn note_recorded(&mut self, unwritten: Unwritten) {
        if !unwritten.missing.is_empty() || unwritten.loss.is_some() {
            // There is more to count now.
            self.health.flaw();
        }
        if let Some(loss) = unwritten.loss {
            self.health.note(loss);
        }
    }

    /// The server leaves something out for which its words are to be on record.
    pub(super) fn owe_missing(&mut self, note: LeftOut) {
        self.health.flaw();
        let unwritten = self.unwritten.get_or_insert_default();
        unwritten.missing.push(note);
    }

    /// The list of copies to verify has grown.
    pub(super) fn owe_list(&mut self) {
        self.unwritten.get_or_insert_default().is_late = true;
    }

    /// A loss is to be on record, unless it is there, before the change that follows: what comes
    /// then may fail and be tried again.
    pub(super) fn note_loss<S: WriteStore<File = F>>(
        &mut self,
        loss: Loss,
        cx: &mut Context<'_, S>,
    ) -> Result<(), SourceError> {
        if self.is_noted(&loss) {
            return Ok(());
        }
        // Each loss is the last line of the record, for a while.
        if self.unwritten.as_ref().is_some_and(|it| it.loss.is_some()) {
            self.write_unwritten(cx)?;
        }
        self.unwritten.get_or_insert_default().loss = Some(loss);
        self.end_unwritten(cx)
    }

    /// Whether this loss is the last one that was put on record, or is to be put there before
    /// anything else is done.
    pub(super) fn is_noted(&self, loss: &Loss) -> bool {
        let waiting = self.unwritten.as_ref().and_then(|it| it.loss.as_ref());
        waiting == Some(loss) || self.health.is_noted(loss)
    }
}
