//! The plan of a stream with a backlog: what a search has found among the rotated files serves for
//! the generations after the next one, too, as long as they are there as they were. Pure.

use super::V2Stream;
use crate::serve::find::findings::Occasion;
use crate::serve::find::place::Place;
use crate::serve::find::query::Query;
use crate::serve::find::search::Search;
use crate::serve::find::v2::next::{Left, NextFile};
use crate::store::ReadStore;
use crate::time::Mono;

/// What a search has found, for generations to come.
#[derive(Default)]
pub(super) struct Plan {
    search: Option<Box<Search>>,
    /// How many generations it is still good for.
    uses: u8,
    /// The present search goes by it.
    is_in_use: bool,
    /// When it served last.
    served: Mono,
    /// What the present search has found was right: a generation was named by it.
    pub is_proved: bool,
}

/// A search serves for so many generations: what is written late to those before them, or put among
/// them, is noticed then.
const USES: u8 = 32;

impl Plan {
    /// Nothing is planned any more.
    pub(super) fn drop(&mut self) {
        *self = Plan::default();
    }
}

impl<F> V2Stream<F> {
    /// What was found for another generation, where that may answer for this one.
    pub(super) fn take_plan<S: ReadStore<File = F>>(
        &mut self,
        occasion: Occasion,
        query: &Query<'_, S>,
    ) -> Option<Box<Search>> {
        let plan = &mut self.journey.as_mut()?.plan;
        let search = match occasion {
            Occasion::Rotated => plan.search.take(),
            _ => None,
        };
        let search = search.filter(|search| search.is_up_to_date(query));
        plan.is_in_use = search.is_some();
        search
    }

    /// What is kept of a search for other generations, or searched with: how many files it has, and
    /// when it served last.
    pub fn plan(&self) -> Option<(usize, Mono)> {
        let plan = &self.journey.as_ref()?.plan;
        let in_use = self.search.as_ref().filter(|_| plan.is_in_use);
        let search = plan.search.as_ref().or(in_use)?;
        Some((search.len(), plan.served))
    }

    /// Frees what is kept, unless it is searched with: the next one is searched for anew.
    pub fn free_plan(&mut self) {
        if let Some(journey) = &mut self.journey
            && journey.plan.search.is_some()
        {
            journey.plan.drop();
        }
    }

    /// What was found does not do for other generations.
    pub(super) fn drop_plan(&mut self) {
        if let Some(journey) = &mut self.journey {
            journey.plan.drop();
        }
    }

    /// Whether the present search goes by what was found for another generation, and the journal
    /// has seen one begin since.
    pub(super) fn is_plan_outdated<S: ReadStore<File = F>>(
        &self,
        search: &Search,
        query: &Query<'_, S>,
    ) -> bool {
        let journey = self.journey.as_ref();
        journey.is_some_and(|journey| journey.plan.is_in_use) && !search.is_up_to_date(query)
    }

    /// Whether what was found for another generation does not do for this one: somebody has moved
    /// or written to one of the two files since, or there is no more behind the next.
    pub(super) fn is_plan_wrong<S: ReadStore<File = F>>(
        &mut self,
        left: &Left,
        next: &NextFile<F>,
        query: &Query<'_, S>,
    ) -> bool {
        let Some(journey) = self.journey.as_mut().filter(|it| it.plan.is_in_use) else {
            return false;
        };
        let is_as_found = |id, mtime_ns| {
            let findings = query.findings;
            findings.is_some_and(|findings| findings.is_as_found(id, mtime_ns))
        };
        let is_right = next.place == Place::Older
            && left.id.is_some_and(|id| is_as_found(id, left.mtime_ns))
            && is_as_found(next.stat.id, next.stat.mtime_ns);
        if !is_right {
            journey.plan.drop();
        }
        !is_right
    }

    /// Keeps what a search has found for the generations to come, if there are more.
    pub(super) fn keep_plan(&mut self, search: Box<Search>, now: Mono) {
        let is_old = self.is_old;
        let Some(journey) = &mut self.journey else {
            return;
        };
        // What names have overtaken would lead nowhere, again and again.
        let is_proved = std::mem::take(&mut journey.plan.is_proved);
        let uses = match journey.plan.is_in_use {
            true => journey.plan.uses.checked_sub(1),
            false => Some(USES),
        };
        journey.plan = match uses.filter(|_| is_old && is_proved) {
            Some(uses) => Plan {
                search: Some(search),
                uses,
                served: now,
                ..Plan::default()
            },
            None => Plan::default(),
        };
    }
}
