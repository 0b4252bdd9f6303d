//! What the operator's program is told of a source, as far as it is not put on the list together
//! with what else remembers it: that a copy is right, or was made so.
//!
//! Such a copy leaves the list of those that are still to be compared, but not before what is to be
//! told is durable. Where many are compared in one turn, as after midnight, the caller sees to that
//! for all of them together, by [`Source::settle_hooks`].

use std::path::Path;

use super::{Context, Source};
use crate::collect::config::SourceConfig;
use crate::collect::copy::{FileError, HookEvent, HookKind, Syncs};
use crate::collect::error::SourceError;
use crate::collect::event::Event;
use crate::store::WriteStore;

impl<F> Source<F> {
    /// What the operator's program was not told yet, oldest first; nothing while the files are
    /// closed, for they may be another collector's.
    pub fn waiting_hooks<S: WriteStore<File = F>>(
        &self,
        cx: &mut Context<'_, S>,
    ) -> Result<Vec<HookEvent>, FileError> {
        match self.disk.copy() {
            Some(_) => cx.files(&self.config, "").read_hooks(),
            None => Ok(Vec::new()),
        }
    }

    /// The operator's program was told, or will not be. Tells whether it is off the list; while the
    /// files are closed it is not.
    pub fn remove_hook<S: WriteStore<File = F>>(
        &self,
        event: &HookEvent,
        cx: &mut Context<'_, S>,
    ) -> Result<bool, FileError> {
        let is_open = self.disk.copy().is_some();
        if is_open {
            cx.files(&self.config, "").remove_hook(event)?;
        }
        Ok(is_open)
    }

    /// Whether something that is to be told waits for [`settle_hooks`](Self::settle_hooks).
    pub fn owes_hooks(&self) -> bool {
        self.finished.owes_hooks()
    }

    /// Makes durable what is to be told. With a barrier all must have been written before.
    pub fn settle_hooks<S: WriteStore<File = F>>(&mut self, syncs: Syncs, cx: &mut Context<'_, S>) {
        if !self.finished.settle_hooks() {
            return;
        }
        let mut files = cx.files(&self.config, "");
        let result = match syncs {
            Syncs::Own => files.sync_hooks(),
            Syncs::Barrier => files.barrier(),
        };
        self.end_hook(result, cx);
        self.update_list(cx);
    }

    /// A copy is right, or was made so: the operator's program is to be told.
    pub(super) fn note_hook<S: WriteStore<File = F>>(
        &mut self,
        kind: HookKind,
        (copy, bytes, md5): (&Path, u64, [u8; 16]),
        cx: &mut Context<'_, S>,
    ) {
        if cx.hooks.is_none() {
            return;
        }
        let event = HookEvent::of(kind)
            .about(copy, &self.config.local)
            .with_bytes(Some(bytes))
            .with_md5(md5);
        let syncs = match self.disk.shares_barriers() {
            true => Syncs::Barrier,
            false => Syncs::Own,
        };
        let result = cx.files(&self.config, "").put_hooks(&[event], syncs);
        if result.is_ok() && syncs == Syncs::Barrier {
            self.finished.owe_hooks();
        }
        self.end_hook(result, cx);
    }

    fn end_hook<S: WriteStore<File = F>>(
        &mut self,
        result: Result<(), FileError>,
        cx: &mut Context<'_, S>,
    ) {
        if let Err(error) = result {
            (cx.events)(&self.config, Event::Error(&SourceError::Files(error)));
            // The copy stays on the list of those to be compared, and the next time that is read it
            // is told once more.
            self.health.set_unrecorded(true);
        }
    }
}

/// What the operator's program is told of what is put on record.
pub(super) fn of_gap(event: &Event<'_>, config: &SourceConfig) -> HookEvent {
    let (kind, path, bytes) = match event {
        Event::Differs { path, .. } => (HookKind::Differs, Some(*path), None),
        Event::LostLate { path, from, size } => (
            HookKind::Lost,
            Some(*path),
            Some(size.saturating_sub(*from)),
        ),
        Event::Remains(path) => (HookKind::Lost, Some(*path), None),
        _ => (HookKind::Lost, None, None),
    };
    let hook = HookEvent::of(kind).with_bytes(bytes);
    match path {
        Some(path) => hook.about(path, &config.local),
        None => hook,
    }
}
