//! The search for a file among the rotated ones of a log, in parts, so that nobody else waits for
//! it. Pure.
//!
//! First the globs are walked through, entry by entry, until two looks agree ([`Search::advance`]).
//! Then a [`Query`] with the [`Findings`] judges the files by what is in them, a few at a time:
//! where it has done enough for the moment it answers [`Refusal::Later`], and is asked again. What
//! it has found out by then is kept.

use super::findings::{Findings, Occasion};
use super::journal::record::Seq;
use super::query::Query;
use super::refusal::Refusal;
use super::scan::Scan;
use crate::limits::LOOKS_MAX;
use crate::store::ReadStore;

/// A search under way.
pub struct Search {
    occasion: Occasion,
    /// How often it began before.
    repeats: usize,
    /// The newest generation that the journal knew when it began.
    newest_seq: Seq,
    stage: Stage,
}

enum Stage {
    Walking(Box<Scan>),
    Judging(Box<Findings>),
}

impl Search {
    /// Begins. Whatever happens to the names from here on is noticed.
    pub fn new<S: ReadStore>(occasion: Occasion, query: &Query<'_, S>) -> Search {
        // Before the first look, so that a rotation in the middle of it shows as another live file.
        let live = query.live_id();
        let is_series = query.journal.is_series(query.index);
        let scan = Scan::new(&query.entry.patterns, live, is_series, query.reached);
        Search {
            occasion,
            repeats: 0,
            newest_seq: query.newest_seq(),
            stage: Stage::Walking(Box::new(scan)),
        }
    }

    /// Begins anew, because something was renamed since it was found; `None` if that happens all
    /// the time.
    pub fn again<S: ReadStore>(findings: &Findings, query: &Query<'_, S>) -> Option<Search> {
        let repeats = findings.repeats() + 1;
        (repeats < LOOKS_MAX).then(|| Search {
            repeats,
            ..Search::new(findings.occasion(), query)
        })
    }

    /// What it is for.
    pub fn occasion(&self) -> Occasion {
        self.occasion
    }

    /// Whether the journal has seen no other generation begin since: what was copied before that is
    /// not among what was found.
    pub fn is_up_to_date<S: ReadStore>(&self, query: &Query<'_, S>) -> bool {
        self.newest_seq == query.newest_seq()
    }

    /// How many files it has found.
    pub fn len(&self) -> usize {
        match &self.stage {
            Stage::Walking(_) => 0,
            Stage::Judging(findings) => findings.len(),
        }
    }

    /// What it has found, once the walk is over. Some more files may be judged.
    pub fn findings(&self) -> Option<&Findings> {
        match &self.stage {
            Stage::Walking(_) => None,
            Stage::Judging(findings) => {
                findings.resume();
                Some(findings)
            }
        }
    }

    /// Does a part of the walk, if that is not over, or lets the findings judge some more files.
    pub fn advance<S: ReadStore>(
        &mut self,
        query: &Query<'_, S>,
    ) -> Result<Option<&Findings>, Refusal> {
        if let Stage::Walking(scan) = &mut self.stage {
            let Some((live, mut rotated)) = scan.advance(query.entry, query.files, query.store)?
            else {
                return Ok(None);
            };
            query.take_in(&mut rotated);
            let findings = Findings::new(self.occasion, self.repeats, live, rotated);
            self.stage = Stage::Judging(Box::new(findings));
            // To judge a file takes as many calls as a part may make. What changes until the next
            // part is noticed there.
            return Ok(None);
        }
        Ok(self.findings())
    }
}
