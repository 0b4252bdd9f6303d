//! The plan of a stream with a backlog: what a search has found among the rotated files serves for
//! the generations after the next one, too, as long as they are there as they were. Pure.

use super::V2Stream;
use crate::serve::find::place::Place;
use crate::serve::find::query::Query;
use crate::serve::find::search::Search;
use crate::serve::find::v2::next::{Left, NextFile};
use crate::store::ReadStore;

/// What a search has found, for generations to come.
pub(super) struct Plan {
    search: Box<Search>,
    /// How many generations it is still good for.
    uses: u8,
}

/// A search serves for so many generations: what is written late to those before them, or put among
/// them, is noticed then.
const USES: u8 = 32;

impl<F> V2Stream<F> {
    /// What comes after a generation, by the plan. Only what somebody has moved, written to or
    /// rotated since is another than the plan says; then there is none.
    pub(super) fn planned<S: ReadStore<File = F>>(
        &mut self,
        left: &Left,
        query: &Query<'_, S>,
    ) -> Option<NextFile<F>> {
        let Plan { search, uses } = self.journey.as_mut()?.plan.take()?;
        let next = {
            let findings = search.findings()?;
            let query = Query {
                findings: Some(findings),
                ..*query
            };
            let next = query.next_after(left).ok()?;
            let is_as_found = findings.is_as_found(left.inode, left.mtime_ns)
                && findings.is_as_found(next.stat.id.inode, next.stat.mtime_ns);
            (is_as_found && next.place == Place::Older).then_some(next)?
        };
        if let Some(uses) = uses.checked_sub(1) {
            self.journey_mut().plan = Some(Plan { search, uses });
        }
        Some(next)
    }

    /// Keeps what a search has found for the generations to come, if there are more.
    pub(super) fn keep_plan(&mut self, search: Box<Search>) {
        if self.is_old {
            self.journey_mut().plan = Some(Plan { search, uses: USES });
        }
    }
}
