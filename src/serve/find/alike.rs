//! Generations of one log that begin alike, and the doubt that follows: a file that has the bytes
//! of another one is a duplicate of it, mostly. Where the generations of a log have the same header
//! or are equal from run to run, it may as well be one that the client lacks, and is told. Pure.

use super::candidates::{Candidate, Candidates};
use super::compare::Whole;
use super::findings::Test;
use super::journal::record::Standing;
use super::left_out::LeftOut;
use super::order::{self, Age};
use super::query::Query;
use super::refusal::Refusal;
use super::role::Role;
use crate::limits::GUARD_LEN;
use crate::store::{ReadStore, Stat};
use crate::wire::proof;

/// The first bytes of an open file, at most [`GUARD_LEN`].
pub(super) type Start = heapless::Vec<u8, GUARD_LEN, u8>;

/// The file that holds a generation.
pub(super) enum Own<'a, S: ReadStore> {
    /// It is open.
    Open(&'a S::File, &'a Stat),
    /// It is a rotated one.
    Rotated(&'a Candidate),
}

impl<S: ReadStore> Query<'_, S> {
    /// The rotated file that is passed over as a duplicate of the live one or of one that was
    /// given, if it may be a generation. `is_next` says which files come after what the client
    /// holds.
    pub(super) fn doubt_of_duplicate(
        &self,
        candidate: &Candidate,
        role: Role,
        (rotated, live): (&Candidates, Option<&(S::File, Stat)>),
        is_next: &dyn Fn(&Candidate) -> bool,
    ) -> Result<Option<LeftOut>, Refusal> {
        let is_doubtful = role == Role::Duplicate && self.may_be_generation(candidate);
        if !is_doubtful || self.is_suspect(candidate, rotated, live) {
            return Ok(None);
        }
        if self.is_one_more(candidate, rotated, live)? {
            return Ok(Some(LeftOut::duplicate(candidate)));
        }
        let Some((file, _)) = self.open_rotated(candidate.age.id)? else {
            return Ok(None);
        };
        let start = self.start_of(&file)?;
        // What has the same size may be the other duplicate, or what both were made of.
        for other in rotated.iter().filter(|c| c.size != candidate.size) {
            // What begins alike, and is none that somebody may have copied from the live file.
            if self.begins_with(other, &start)?
                && (!is_next(other) || !self.is_within_live(other, live)?)
            {
                return Ok(Some(LeftOut::duplicate(candidate)));
            }
        }
        Ok(None)
    }

    /// The rotated files that are newer than `floor` and older than `own`, which the client has a
    /// part of: they may be duplicates of it. Where others begin alike, they may be generations, of
    /// which nobody has seen that they came first.
    pub(super) fn passed_over(
        &self,
        own: Own<'_, S>,
        floor: Age,
        rotated: &Candidates,
    ) -> Result<Vec<LeftOut>, Refusal> {
        let own_id = match own {
            Own::Open(_, stat) => stat.id,
            Own::Rotated(own) => own.age.id,
        };
        let own_age = rotated.iter().find(|c| c.age.id == own_id);
        let own_age = own_age.map(Candidate::inferred_age);
        let is_between = |c: &Candidate| {
            c.age.id != own_id
                && c.inferred_age() > floor
                && own_age.is_none_or(|own| c.inferred_age() < own)
                && !c.is_at_floor(floor.mtime_ns())
        };
        let may = |c: &Candidate| is_between(c) && self.may_be_generation(c);
        if !rotated.iter().any(may) {
            return Ok(Vec::new());
        }
        let live = self.open_live()?;
        let may = |c: &Candidate| may(c) && !self.is_suspect(c, rotated, live.as_ref());
        let mut start = match own {
            Own::Open(file, _) => self.start_of(file)?,
            Own::Rotated(own) => match self.open_rotated(own.age.id)? {
                Some((file, _)) => self.start_of(&file)?,
                None => return Ok(Vec::new()),
            },
        };
        // Before an empty one duplicates of the live file are passed over.
        if let Some((live, _)) = live.as_ref().filter(|_| start.is_empty()) {
            start = self.start_of(live)?;
        }
        let other_live = live.as_ref();
        let mut is_common = match other_live.filter(|(_, live)| live.id != own_id && live.size > 0)
        {
            Some((live, _)) => is_like(&self.start_of(live)?, &start),
            None => false,
        };
        let is_other = |c: &&Candidate| c.age.id != own_id && !is_between(c);
        for other in rotated.iter().filter(is_other) {
            is_common = is_common || self.begins_with(other, &start)?;
        }
        let mut left_out = Vec::new();
        for candidate in rotated.iter().filter(|c| is_common && may(c)) {
            if self.begins_with(candidate, &start)? {
                left_out.push(LeftOut::duplicate(candidate));
            }
        }
        Ok(left_out)
    }

    /// Whether nothing but its bytes says what a file is. One that was just written may be about to
    /// become one.
    fn may_be_generation(&self, candidate: &Candidate) -> bool {
        let is_known = matches!(
            candidate.standing,
            Standing::Newcomer | Standing::Generation(_)
        );
        // Rotators move files to another file system, too.
        let is_moved = order::is_plain(candidate.path(), self.stem())
            && candidate.birth.at_ns < Some(self.quiet_since_ns);
        candidate.size > 0
            && !is_known
            && (!candidate.is_copied() || is_moved)
            && !self.is_given(candidate)
            && candidate.written_ns < self.quiet_since_ns
    }

    fn start_of(&self, file: &S::File) -> Result<Start, Refusal> {
        let mut buf = [0; GUARD_LEN];
        let read = self.store.read_at(file, &mut buf, 0);
        let read = read.map_err(Refusal::unreadable)?;
        Ok(buf[..read].iter().copied().collect())
    }

    /// Whether a rotated file and another one begin with the same bytes, as far as the shorter one
    /// goes.
    fn begins_with(&self, candidate: &Candidate, start: &[u8]) -> Result<bool, Refusal> {
        let len = start
            .len()
            .min(usize::try_from(candidate.size).unwrap_or(GUARD_LEN));
        if len == 0 {
            return Ok(false);
        }
        let findings = self.findings.ok_or(Refusal::Later)?;
        let id = candidate.age.id;
        // A longer one is compared as far as the other one goes.
        if len == start.len() && len < GUARD_LEN && candidate.size > len as u64 {
            let begins = findings.score_of((Test::ShortStart, id, sum_of(start)), || {
                let opened = self.open_rotated(id)?;
                let own = opened.map(|(file, _)| self.start_of(&file)).transpose()?;
                Ok(u32::from(own.is_some_and(|own| is_like(&own, start))))
            })?;
            return Ok(begins > 0);
        }
        let sum = findings.score(Test::Start, id, || {
            Ok(match self.open_rotated(id)? {
                Some((file, _)) => sum_of(&self.start_of(&file)?),
                None => 0,
            })
        })?;
        Ok(sum == sum_of(&start[..len]))
    }

    fn is_within_live(
        &self,
        candidate: &Candidate,
        live: Option<&(S::File, Stat)>,
    ) -> Result<bool, Refusal> {
        let Some((live, live_stat)) = live else {
            return Ok(false);
        };
        let findings = self.findings.ok_or(Refusal::Later)?;
        let id = candidate.age.id;
        let is_within = findings.score(Test::StartOfLive, id, || {
            let opened = self
                .open_rotated(id)?
                .filter(|(_, stat)| stat.size <= live_stat.size);
            let is_within = opened
                .is_some_and(|(file, stat)| self.has_ends(&file, live, stat.size, Whole::Repeated));
            Ok(u32::from(is_within))
        })?;
        Ok(is_within > 0)
    }
}

/// Whether two files begin alike, as far as both go.
fn is_like(one: &[u8], other: &[u8]) -> bool {
    let len = one.len().min(other.len());
    len > 0 && one[..len] == other[..len]
}

fn sum_of(start: &[u8]) -> u32 {
    let mut buf = [0; GUARD_LEN];
    let buf = &mut buf[..start.len().min(GUARD_LEN)];
    buf.copy_from_slice(&start[..buf.len()]);
    proof::checksum(buf, false)
}
