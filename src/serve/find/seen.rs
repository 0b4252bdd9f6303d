//! A rotated file that was opened to be judged by what is in it. Pure.

use super::candidates::Candidate;
use super::query::Query;
use super::refusal::Refusal;
use crate::store::{ReadStore, Stat};

/// A rotated file that is being judged.
pub(super) struct Seen<'a, S: ReadStore> {
    pub candidate: &'a Candidate,
    pub file: &'a S::File,
    pub stat: &'a Stat,
}

/// Other files that one is compared with in one part, each some ten system calls.
pub(super) const COMPARED_AT_ONCE: usize = 2;

impl<S: ReadStore> Query<'_, S> {
    /// Judges a rotated file, opened; `None` where it cannot be had.
    pub(super) fn see<T>(
        &self,
        candidate: &Candidate,
        judge: impl FnOnce(&Seen<'_, S>) -> Result<T, Refusal>,
    ) -> Result<Option<T>, Refusal> {
        let opened = self.open_rotated(candidate.age.id)?;
        let judge = |(file, stat): (S::File, Stat)| {
            judge(&Seen {
                candidate,
                file: &file,
                stat: &stat,
            })
        };
        opened.map(judge).transpose()
    }
}
