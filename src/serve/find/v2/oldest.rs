//! The oldest rotated file that will do, and its neighbours in the order of generations. Pure.

use crate::ids::FileId;
use crate::serve::find::candidates::{Candidate, Candidates};
use crate::serve::find::findings::Test;
use crate::serve::find::journal::record::{Seq, Standing};
use crate::serve::find::left_out::LeftOut;
use crate::serve::find::order::{self, Age};
use crate::serve::find::place::candidate_of;
use crate::serve::find::query::Query;
use crate::serve::find::refusal::Refusal;
use crate::serve::find::role::Role;
use crate::sorting::sort_by_key;
use crate::store::{ReadStore, Stat};

/// Whether a file fits by what is in it.
pub(super) type Fits<'a, F> = &'a dyn Fn(&F, &Stat) -> Result<bool, Refusal>;

/// The generation that others are to come after.
pub(super) struct After<'a> {
    /// Its number in the journal, if it has one: then what has a greater number is newer.
    pub seq: Option<Seq>,
    /// It is known which file it was in, and the journal has none of it: it is older than whatever
    /// has a number.
    pub is_before_journal: bool,
    /// The file that holds it, which does not come after itself.
    pub own: Option<FileId>,
    /// Whether a file is newer than it as far as names and times tell.
    pub may: &'a dyn Fn(&Candidate) -> bool,
}

/// The record during whose life a generation came.
fn record_of(seq: Seq) -> Seq {
    seq + seq % 2
}

/// A generation that was found.
pub(super) struct Found<F> {
    /// The open file.
    pub file: F,
    /// What it is.
    pub stat: Stat,
    /// Its number in the journal; 0 for none.
    pub seq: Seq,
    /// Another one of those that were found may have to come first.
    pub is_doubtful: bool,
}

impl After<'_> {
    /// Whether a file comes after it that has this number.
    pub(super) fn is_before(&self, role: Role, candidate: &Candidate) -> bool {
        if Some(candidate.age.id) == self.own {
            return false;
        }
        // What was copied during the life of one record is in the order of the copies.
        let is_copy = candidate.standing == Standing::Newcomer;
        match (self.seq, role) {
            (_, Role::Given | Role::Late | Role::Duplicate) => false,
            (Some(own), Role::Generation(seq)) if is_copy && record_of(own) == seq => {
                own != seq && (self.may)(candidate)
            }
            (Some(own), Role::Generation(seq)) => seq > own,
            (Some(own), Role::Stray(seq)) if seq > 0 && record_of(seq) != record_of(own) => {
                seq > own
            }
            (None, Role::Generation(seq) | Role::Stray(seq)) if seq > 0 => {
                self.is_before_journal || (self.may)(candidate)
            }
            _ => (self.may)(candidate),
        }
    }
}

impl<S: ReadStore> Query<'_, S> {
    /// The oldest generation among the rotated files that comes after another one and was not given
    /// before. What comes between the two and cannot be had is `left_out`.
    pub(super) fn find_generation(
        &self,
        rotated: &Candidates,
        live: Option<&(S::File, Stat)>,
        after: &After<'_>,
        left_out: &mut Vec<LeftOut>,
    ) -> Result<Option<Found<S::File>>, Refusal> {
        let mut roles: Vec<(&Candidate, Role)> = Vec::with_capacity(rotated.len());
        for candidate in rotated.iter() {
            let role = match candidate.standing {
                Standing::Newcomer => self.role(candidate, rotated, live)?,
                _ if self.is_late(candidate) => Role::Late,
                _ => Role::Generation(candidate.age.seq),
            };
            roles.push((candidate, role));
        }
        follow_copies(&mut roles);
        let mut ages: Vec<(Age, Seq)> = Vec::new();
        for (candidate, role) in roles {
            if role == Role::Late {
                left_out.push(LeftOut::written_later(candidate));
            }
            // Generations that came and went in one moment may be equal.
            let is_passed = role == Role::Duplicate && candidate.size > 0;
            if is_passed
                && Some(candidate.age.id) != after.own
                && (after.may)(candidate)
                && !self.is_suspect(candidate, rotated, live)
                && self.is_one_more(candidate, rotated, live)?
            {
                left_out.push(LeftOut::duplicate(candidate));
            }
            if after.is_before(role, candidate)
                && let Role::Generation(seq) | Role::Stray(seq) = role
            {
                ages.push((candidate.age.numbered(record_of(seq)), seq));
            }
        }
        sort_by_key(&mut ages, |it| *it);
        for (place, &(age, seq)) in ages.iter().enumerate() {
            let Some(candidate) = rotated.iter().find(|c| c.age.id == age.id) else {
                continue;
            };
            let role = self.role(candidate, rotated, live)?;
            if !matches!(role, Role::Generation(_) | Role::Stray(_)) {
                left_out.extend(self.doubt_of_duplicate(
                    candidate,
                    role,
                    (rotated, live),
                    after.may,
                )?);
                continue;
            }
            match self.open_rotated(age.id)? {
                Some((file, stat)) => {
                    left_out.extend(self.unseen(rotated, true));
                    let later = ages.get(place + 1..).unwrap_or(&[]);
                    return Ok(Some(Found {
                        file,
                        stat,
                        seq,
                        is_doubtful: self.is_doubtful(candidate, later, rotated, live)?,
                    }));
                }
                None => {
                    let itself = self.left_out_itself(candidate);
                    left_out.extend(itself.map(|itself| itself.numbered(seq)));
                }
            }
        }
        left_out.extend(self.unseen(rotated, false));
        Ok(None)
    }

    /// The rotated files that somebody copied of others, or of what was given.
    pub(super) fn duplicates(
        &self,
        rotated: &Candidates,
        live: Option<&(S::File, Stat)>,
    ) -> Result<Vec<FileId>, Refusal> {
        let mut duplicates = Vec::new();
        for candidate in rotated.iter().filter(|c| self.is_suspect(c, rotated, live)) {
            if self.role(candidate, rotated, live)? == Role::Duplicate {
                duplicates.push(candidate.age.id);
            }
        }
        Ok(duplicates)
    }

    /// Whether a rotated file is a generation that the client was not given before.
    fn is_generation(
        &self,
        candidate: &Candidate,
        rotated: &Candidates,
        live: Option<&(S::File, Stat)>,
    ) -> Result<bool, Refusal> {
        let role = self.role(candidate, rotated, live)?;
        Ok(matches!(role, Role::Generation(_) | Role::Stray(_)))
    }

    /// Whether it is not certain that a generation comes before all of the later ones.
    fn is_doubtful(
        &self,
        first: &Candidate,
        later: &[(Age, Seq)],
        rotated: &Candidates,
        live: Option<&(S::File, Stat)>,
    ) -> Result<bool, Refusal> {
        for other in rotated.iter().filter(|c| c.is_doubtful_beside(first)) {
            let is_later = later.iter().any(|(age, _)| age.id == other.age.id);
            if is_later && self.is_generation(other, rotated, live)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The oldest of the rotated files that `may` be it by what is known of them and `fits` by what
    /// is in them, which is what the question is about.
    pub(super) fn find_rotated(
        &self,
        question: Test,
        rotated: &Candidates,
        may: &dyn Fn(&Candidate) -> bool,
        fits: Fits<'_, S::File>,
    ) -> Result<Option<(S::File, Stat)>, Refusal> {
        let findings = self.findings.ok_or(Refusal::Later)?;
        let some = rotated.iter().filter(|c| may(c)).map(|c| c.age);
        let mut ages: Vec<Age> = some.collect();
        sort_by_key(&mut ages, |it| *it);
        for age in ages {
            let judge = || {
                let Some((file, stat)) = self.open_rotated(age.id)? else {
                    return Ok(0);
                };
                fits(&file, &stat).map(u32::from)
            };
            if findings.score(question, age.id, judge)? > 0 {
                return self.open_rotated(age.id);
            }
        }
        Ok(None)
    }
}

/// Brings strays into the order in which they were copied, where the moment of that is that of
/// several generations: what was copied before one was is no newer.
fn follow_copies(roles: &mut [(&Candidate, Role)]) {
    let is_copy =
        |(candidate, _): &&mut (&Candidate, Role)| candidate.standing == Standing::Newcomer;
    let mut copies: Vec<&mut (&Candidate, Role)> = roles.iter_mut().filter(is_copy).collect();
    sort_by_key(&mut copies, |(candidate, _)| candidate.copy_order());
    let mut limit = (Seq::MAX, u64::MAX);
    for (candidate, role) in copies.into_iter().rev() {
        // What came with its times may have been copied in any order.
        let is_later = candidate.has_kept_time() && candidate.written_ns > limit.1;
        match role {
            Role::Generation(seq) => limit = limit.min((*seq, candidate.written_ns)),
            Role::Stray(seq) if *seq > limit.0 && !is_later => *seq = limit.0.saturating_sub(1),
            _ => {}
        }
    }
}

/// A moment that no generation older than this one was written after; 0 if there is none.
pub(super) fn floor_ns(stat: &Stat, rotated: &Candidates) -> u64 {
    let own = candidate_of(stat, rotated).map(|own| own.age);
    let older = rotated.iter().map(|c| c.age);
    let older = older.filter(|age| own.is_none_or(|own| *age < own));
    // Compressors keep the time of the last write. The live file is the newest, even if the one
    // before it was written to for longer.
    let archives = rotated.archives().iter().map(|c| c.written_ns);
    let archives = archives.filter(|&ns| own.is_none() || ns < stat.mtime_ns);
    older.map(Age::mtime_ns).chain(archives).max().unwrap_or(0)
}

/// The rotated file that comes after another one, as far as that is certain.
pub(super) fn then(stat: &Stat, rotated: &Candidates, floor_ns: u64) -> Option<FileId> {
    let own = candidate_of(stat, rotated)?;
    let others = rotated.iter().filter(|c| !c.is_at_floor(floor_ns));
    let next = order::next_newer(others.map(|c| c.age), own.age)?;
    let next = rotated.iter().find(|c| c.age == next)?;
    let is_doubtful = |c: &Candidate| c.is_doubtful_beside(own) || c.is_doubtful_beside(next);
    let mut newer = rotated.iter().filter(|c| c.written_ns > floor_ns);
    (!next.is_doubtful_beside(own) && !newer.any(is_doubtful)).then_some(next.age.id)
}
