//! A generation that goes on in another file. Pure.

use super::V2Stream;
use crate::serve::find::place::Place;
use crate::serve::find::query::Query;
use crate::serve::find::v2::replaced::Replacement;
use crate::serve::send::context::Context;
use crate::serve::send::follow::Follow;
use crate::store::ReadStore;

impl<F> V2Stream<F> {
    /// Goes on in the file that was put in the place of the one being left, if that holds all that
    /// was sent. Tells whether it did.
    pub(super) fn take_replacement<S: ReadStore<File = F>>(
        &mut self,
        cx: &Context<'_, S>,
        query: &Query<'_, S>,
    ) -> bool {
        // The duplicate of a truncated generation ends where it ends.
        if self.follow.stat().links > 0 || self.reason.is_some() {
            return false;
        }
        if !cx.journal.look(self.index, &query.entry.path, cx.store) {
            return false;
        }
        let (own, offset) = (self.follow.file(), self.follow.offset());
        let Some(found) = query.replacement_of(own, offset, self.generation.seq) else {
            return false;
        };
        let Replacement {
            file,
            stat,
            generation,
        } = found;
        let grace_ms = cx.config.grace_ms;
        self.follow = Follow::new(file, stat, offset, Place::Live, grace_ms, cx.now);
        self.generation = generation;
        // Who comes back asks for the new file.
        self.token_due = true;
        self.then = None;
        self.is_in_doubt = false;
        self.is_old = false;
        self.sound_ns = stat.mtime_ns;
        // Only the ends were compared.
        self.is_changed = true;
        self.is_elsewhere = true;
        true
    }
}
