//! The same log in another file: who brings a whole copy each time, as rsync does, puts a new file
//! in the place of the old one. Pure.

use crate::serve::find::compare::Whole;
use crate::serve::find::journal::record::Seq;
use crate::serve::find::query::{Generation, Query};
use crate::store::{ReadStore, Stat};

/// The file in which a generation goes on.
pub struct Replacement<F> {
    /// The open file.
    pub file: F,
    /// What it is.
    pub stat: Stat,
    /// The generation in it, under its new number.
    pub generation: Generation,
}

impl<S: ReadStore> Query<'_, S> {
    /// The live file, if it was put in the place of the generation `seq` and holds the first `size`
    /// bytes of it, which are all that `own` has. Bytes that repeat themselves prove nothing, and a
    /// file that was written under the live name is another generation.
    pub fn replacement_of(
        &self,
        own: &S::File,
        size: u64,
        seq: Seq,
    ) -> Option<Replacement<S::File>> {
        let (file, stat) = self.open_live().ok()??;
        let identity = self.identity(&file, &stat);
        let now = self.seq_of(identity);
        let is_same = size > 0
            && stat.size >= size
            && self.journal.is_replaced(self.index, seq, now)
            && self.has_ends(own, &file, size, Whole::Telling);
        is_same.then_some(Replacement {
            generation: Generation { identity, seq: now },
            file,
            stat,
        })
    }
}
