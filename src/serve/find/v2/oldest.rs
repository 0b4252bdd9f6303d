//! The oldest rotated file that will do, and its neighbours in the order of generations. Pure.

use crate::ids::Inode;
use crate::limits::CANDIDATES_MAX;
use crate::serve::find::findings::{Candidate, Candidates, Test};
use crate::serve::find::order::{self, Age};
use crate::serve::find::place::candidate_of;
use crate::serve::find::query::Query;
use crate::serve::find::refusal::Refusal;
use crate::store::{ReadStore, Stat};

impl<S: ReadStore> Query<'_, S> {
    /// The oldest generation among the rotated files that `may` be it. A copy of the live file is
    /// none of its own.
    pub(super) fn find_generation(
        &self,
        rotated: &Candidates,
        live: Option<&(S::File, Stat)>,
        may: &dyn Fn(&Candidate) -> bool,
    ) -> Result<Option<(S::File, Stat)>, Refusal> {
        self.find_rotated(Test::Own, rotated, may, &|file, stat| {
            !self.is_start_of(file, stat.size, live)
        })
    }

    /// The oldest of the rotated files that `may` be it by what is known of them and `fits` by what
    /// is in them, which is what the question is about.
    pub(super) fn find_rotated(
        &self,
        question: Test,
        rotated: &Candidates,
        may: &dyn Fn(&Candidate) -> bool,
        fits: &dyn Fn(&S::File, &Stat) -> bool,
    ) -> Result<Option<(S::File, Stat)>, Refusal> {
        let findings = self.findings.ok_or(Refusal::Later)?;
        let some = rotated.iter().filter(|c| may(c)).map(|c| c.age);
        let mut ages: heapless::Vec<Age, CANDIDATES_MAX> = some.collect();
        ages.sort_unstable();
        for age in ages {
            let judge = || {
                let opened = self.open_rotated(age.inode)?;
                Ok(u32::from(
                    opened.is_some_and(|(file, stat)| fits(&file, &stat)),
                ))
            };
            if findings.score(question, age.inode, judge)? > 0 {
                return self.open_rotated(age.inode);
            }
        }
        Ok(None)
    }
}

/// A moment that no generation older than this one was written after; 0 if there is none.
pub(super) fn floor_ns(stat: &Stat, rotated: &Candidates) -> u64 {
    let own = candidate_of(stat, rotated).map(|own| own.age);
    let older = rotated.iter().map(|c| c.age);
    let older = older.filter(|age| own.is_none_or(|own| *age < own));
    older.map(Age::mtime_ns).max().unwrap_or(0)
}

/// The rotated file that comes after another one, as far as that is certain.
pub(super) fn then(stat: &Stat, rotated: &Candidates, floor_ns: u64) -> Option<Inode> {
    let own = candidate_of(stat, rotated)?;
    let others = rotated.iter().filter(|c| !c.is_at_floor(floor_ns));
    let next = order::next_newer(others.map(|c| c.age), own.age)?;
    let next = rotated.iter().find(|c| c.age == next)?;
    let is_doubtful = |c: &Candidate| c.is_doubtful_beside(own) || c.is_doubtful_beside(next);
    let mut newer = rotated.iter().filter(|c| c.written_ns > floor_ns);
    (!next.is_doubtful_beside(own) && !newer.any(is_doubtful)).then_some(next.age.inode)
}
