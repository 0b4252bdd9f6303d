//! The search for a file among the rotated ones of a log, in parts, so that nobody else waits for
//! it. Pure.
//!
//! First the globs are walked through, entry by entry, until two looks agree ([`Search::advance`]).
//! Then a [`Query`] with the [`Findings`] judges the files by what is in them, a few at a time:
//! where it has done enough for the moment it answers [`Refusal::Later`], and is asked again. What
//! it has found out by then is kept.

use std::path::PathBuf;

use super::findings::{Candidate, Candidates, Findings, Occasion, arrange, is_lasting, is_same};
use super::order;
use super::query::Query;
use super::refusal::Refusal;
use crate::ids::Inode;
use crate::limits::{LOOKS_MAX, WALKED_AT_ONCE};
use crate::serve::glob::{Progress, Walk};
use crate::store::{Kind, ReadStore};

/// A search under way.
pub struct Search {
    occasion: Occasion,
    /// How often it began before.
    repeats: usize,
    stage: Stage,
}

enum Stage {
    Walking(Box<Scan>),
    Judging(Box<Findings>),
}

impl Search {
    /// Begins. Whatever happens to the names from here on is noticed.
    pub fn new<S: ReadStore>(occasion: Occasion, query: &Query<'_, S>) -> Search {
        Search {
            occasion,
            repeats: 0,
            stage: Stage::Walking(Box::new(Scan::new(query))),
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

    /// Does a part of the walk, if that is not over, or lets the findings judge some more files.
    pub fn advance<S: ReadStore>(&mut self, store: &S) -> Result<Option<&Findings>, Refusal> {
        if let Stage::Walking(scan) = &mut self.stage {
            let Some((live, rotated)) = scan.advance(store)? else {
                return Ok(None);
            };
            let findings = Findings::new(self.occasion, self.repeats, live, rotated);
            // No pause between the two: the sooner the files are judged, the less has changed
            // since.
            self.stage = Stage::Judging(Box::new(findings));
        }
        Ok(match &self.stage {
            Stage::Walking(_) => None,
            Stage::Judging(findings) => {
                findings.resume();
                Some(findings)
            }
        })
    }
}

/// Finds the rotated files. One that is renamed while they are looked at can be missed, so two
/// looks have to agree: what is overlooked here would never reach the client.
struct Scan {
    live: Option<Inode>,
    /// Where the live file is.
    path: PathBuf,
    walk: Walk,
    found: Candidates,
    /// What the look before this one found.
    before: Option<Candidates>,
    looks: usize,
}

impl Scan {
    fn new<S: ReadStore>(query: &Query<'_, S>) -> Scan {
        Scan {
            // Before the first look, so that a rotation in the middle of it shows as another live
            // file.
            live: query.live_inode(),
            path: query.entry.path.clone(),
            walk: Walk::new(&query.entry.patterns),
            found: Candidates::new(),
            before: None,
            looks: 0,
        }
    }

    /// Takes some steps. Tells the live file's inode and the rotated files once that is settled.
    #[allow(clippy::type_complexity)]
    fn advance<S: ReadStore>(
        &mut self,
        store: &S,
    ) -> Result<Option<(Option<Inode>, Candidates)>, Refusal> {
        for _ in 0..WALKED_AT_ONCE {
            match self.walk.advance(store) {
                Progress::On => {}
                Progress::Found => self.consider(store),
                Progress::Over => {
                    let agreed = self.end_look()?;
                    return Ok(agreed.map(|rotated| (self.live, rotated)));
                }
            }
        }
        Ok(None)
    }

    /// Takes in what the walk has found, if it is a regular, uncompressed file and was not found
    /// before. Where there are more than [`crate::limits::CANDIDATES_MAX`], the newest are kept.
    fn consider<S: ReadStore>(&mut self, store: &S) {
        let path = self.walk.found();
        // It is no log any more; what was in it cannot be compared or sent.
        if order::is_compressed(path) {
            return;
        }
        let stat = match store.stat_path(path) {
            Ok(stat) => stat,
            Err(error) => {
                self.walk.note(error);
                return;
            }
        };
        let inode = stat.id.inode;
        // Several patterns, or a hard link, may lead to the same file.
        let is_known = || self.found.iter().any(|c| c.age.inode == inode);
        // A glob such as `/var/log/messages*` finds the live file as well.
        if stat.kind != Kind::Regular || Some(inode) == self.live || is_known() {
            return;
        }
        let candidate = Candidate::new(path, &stat);
        if let Err(candidate) = self.found.push(candidate)
            && let Some(oldest) = self.found.iter_mut().min_by_key(|c| c.age)
            && oldest.age < candidate.age
        {
            *oldest = candidate;
        }
    }

    /// One look is over: tells what it found if the one before has found the same.
    fn end_look(&mut self) -> Result<Option<Candidates>, Refusal> {
        match self.walk.end() {
            // For lack of descriptors or memory, say, which passes: nothing may be concluded from
            // half of the files.
            Err(error) if !is_lasting(&error) => return Err(Refusal::Unreadable(error)),
            _ => {}
        }
        let mut found = std::mem::take(&mut self.found);
        arrange(&self.path, &mut found);
        self.looks += 1;
        if self
            .before
            .as_ref()
            .is_some_and(|before| is_same(before, &found))
        {
            return Ok(Some(found));
        }
        // A directory that never comes to rest must not hold the client for ever; it asks again.
        if self.looks >= LOOKS_MAX {
            return Err(Refusal::Unsettled);
        }
        self.before = Some(found);
        self.walk.restart();
        Ok(None)
    }
}
