//! What a source puts on record, where it outlives the collector; and local files that it gives up.

use super::end::DoubtfulEnd;
use super::{Context, Source, hooks};
use crate::collect::copy::FileError;
use crate::collect::error::SourceError;
use crate::collect::event::Event;
use crate::store::WriteStore;

impl<F> Source<F> {
    /// Notes what is wrong with a finished copy, and stays so: the status has to show that.
    pub(super) fn note_flaw<S: WriteStore<File = F>>(
        &mut self,
        flaw: Event<'_>,
        cx: &mut Context<'_, S>,
    ) {
        let result = self.put_on_record(&flaw, cx);
        (cx.events)(&self.config, flaw);
        self.health.flaw();
        if let Err(error) = result {
            (cx.events)(&self.config, Event::Error(&SourceError::Files(error)));
            // The status says so for as long as this process lives; then the list has the next one
            // compare the copy once more.
            self.health.set_unrecorded(true);
        }
    }

    /// Notes what an operator has to know beside the local copy, where it outlives the collector.
    /// What could not be noted is found out again, or is no longer so.
    pub(super) fn put_on_record<S: WriteStore<File = F>>(
        &mut self,
        what: &Event<'_>,
        cx: &mut Context<'_, S>,
    ) -> Result<(), FileError> {
        let stamp = (cx.stamp)(cx.now.wall);
        let event = hooks::of_gap(what, &self.config);
        cx.files(&self.config, &stamp).note_gap(what, event)?;
        self.health.flaw();
        Ok(())
    }

    /// Gives up the local files, with which something is wrong: what they hold now is found out
    /// anew.
    pub(super) fn give_up_files<S: WriteStore<File = F>>(
        &mut self,
        error: &FileError,
        cx: &mut Context<'_, S>,
    ) {
        // First, so that syncs that failed meanwhile are part of the doubt that is noted here.
        self.note_failed_syncs(cx);
        let was_open = self.disk.close().is_some();
        self.end = DoubtfulEnd::default();
        if error.casts_doubt() {
            self.disk.set_suspect(true);
        }
        if self.disk.is_suspect() {
            self.note_doubt(was_open, cx);
        }
    }
}
