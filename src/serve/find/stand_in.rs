//! The generations that newcomers stand for: files that came under our eyes and were never live,
//! each of which may be a copy of what was truncated, or of what was moved away. Pure.

use super::candidates::{Candidate, Candidates};
use super::compare::Whole;
use super::findings::Test;
use super::journal::record::{Record, Seq, Standing, State};
use super::query::Query;
use super::refusal::Refusal;
use super::seen::{COMPARED_AT_ONCE, Seen};
use crate::limits::RECORDS_MAX;
use crate::sorting::sort_by_key;
use crate::store::ReadStore;

impl<S: ReadStore> Query<'_, S> {
    /// Finds out of all newcomers, a little at a time, what the role of each depends on: which
    /// generations they begin like, and of which they were made.
    pub(super) fn survey(&self, rotated: &Candidates) -> Result<(), Refusal> {
        let findings = self.findings.ok_or(Refusal::Later)?;
        let newest = self.newest_seq();
        let done = findings.surveyed(newest);
        let records = self.journal.records(self.index);
        let twice = rotated.iter().chain(rotated.iter());
        for (at, candidate) in twice.enumerate().skip(done) {
            match candidate.standing {
                // To compare two of them, it has to be known what each begins like.
                Standing::Newcomer if at < rotated.len() => {
                    let left = records.iter().filter(|record| is_left(record, rotated));
                    for record in left.filter(|_| candidate.size > 0) {
                        self.can_stand_for(candidate, record)?;
                    }
                }
                Standing::Newcomer => _ = self.made_of(candidate, rotated)?,
                _ => {}
            }
            findings.note_surveyed(newest, at + 1);
        }
        Ok(())
    }

    /// The generation that a newcomer stands for: one that was truncated in its file after it was
    /// copied, or one whose file is gone, having been moved or copied here.
    pub(super) fn stands_for(
        &self,
        seen: &Seen<'_, S>,
        rotated: &Candidates,
    ) -> Result<Option<Record>, Refusal> {
        // The time at which it was made tells which one it was made of.
        if let Some(seq) = self.made_of(seen.candidate, rotated)? {
            return Ok(self.journal.record(self.index, seq));
        }
        let own = seen.candidate.age.id;
        let mut taken: heapless::Vec<Seq, RECORDS_MAX> = heapless::Vec::new();
        let mut newcomers: Vec<&Candidate> = Vec::new();
        for candidate in rotated.iter().filter(|c| c.standing == Standing::Newcomer) {
            match self.made_of(candidate, rotated)? {
                Some(seq) => _ = taken.push(seq),
                None => newcomers.push(candidate),
            }
        }
        sort_by_key(&mut newcomers, |c| c.copy_order());
        let mut records = self.journal.records(self.index);
        records.retain(|record| is_left(record, rotated));
        let left = || records.iter();
        // So does its last write, if it came with the time of that: the newest one's first, and
        // what nothing else stands for before what something does.
        let mut others: Vec<&Candidate> = Vec::new();
        for candidate in newcomers.into_iter().rev() {
            let free = left().rev().filter(|record| !taken.contains(&record.seq));
            let written = match self.written_as(candidate, free)? {
                None => self.written_as(candidate, left().rev())?,
                free => free,
            };
            match written {
                found @ Some(_) if candidate.age.id == own => return Ok(found),
                Some(record) => _ = taken.push(record.seq),
                None => others.push(candidate),
            }
        }
        // Otherwise they were made in the order of the generations.
        for candidate in others.into_iter().rev() {
            let mut fits = None;
            let may = |record: &&Record| record.size > 0 && !taken.contains(&record.seq);
            for record in left().filter(may) {
                if candidate.size > 0 && self.can_stand_for(candidate, record)? {
                    fits = Some(*record);
                    break;
                }
            }
            if candidate.age.id == own {
                return Ok(fits);
            }
            if let Some(record) = fits {
                let _ = taken.push(record.seq);
            }
        }
        Ok(None)
    }

    /// The generation that a newcomer may have been made of, by the time at which it was made: but
    /// of several that came at the very moment at which that was over, it is only one.
    fn record_when(&self, candidate: &Candidate, rotated: &Candidates) -> Option<Record> {
        let at_ns = candidate.birth.at_ns;
        let is_it = |record: &&Record| is_left(record, rotated) && record.was_when(at_ns);
        let records = self.journal.records(self.index);
        let record = *records.iter().find(is_it)?;
        let is_then = |c: &&Candidate| {
            c.standing == Standing::Newcomer && c.birth.at_ns == at_ns && c.size > 0
        };
        let is_end = record.over_ns == at_ns && record.state != State::Truncated;
        let is_one_of_several = is_end && rotated.iter().filter(is_then).count() > 1;
        (candidate.size > 0 && !is_one_of_several).then_some(record)
    }

    /// The number of the generation that a newcomer was made of, by the time at which it was.
    fn made_of(&self, candidate: &Candidate, rotated: &Candidates) -> Result<Option<Seq>, Refusal> {
        let findings = self.findings.ok_or(Refusal::Later)?;
        let judge = || {
            // Only where there is one it has to be opened.
            let Some(record) = self.record_when(candidate, rotated) else {
                return Ok(0);
            };
            let is_it = self.see(candidate, |seen| self.is_made_of(seen, &record, rotated))?;
            Ok(if is_it == Some(true) { record.seq } else { 0 })
        };
        let seq = findings.score(Test::MadeOf, candidate.age.id, judge)?;
        Ok((seq > 0).then_some(seq))
    }

    /// Whether it has the bytes of that, and no other newcomer has them with more right.
    fn is_made_of(
        &self,
        seen: &Seen<'_, S>,
        record: &Record,
        rotated: &Candidates,
    ) -> Result<bool, Refusal> {
        let own = seen.candidate;
        if !self.can_stand_for(own, record)? {
            return Ok(false);
        }
        let findings = self.findings.ok_or(Refusal::Later)?;
        let done = findings.compared(Test::MadeOf, own.age.id);
        let mut left = COMPARED_AT_ONCE;
        for (at, other) in rotated.iter().enumerate().skip(done) {
            let (is_whole, is_earlier) = (own.lacks(other, record), own.is_after(other, record));
            let may = other.standing == Standing::Newcomer
                && (is_whole || is_earlier)
                && record.was_when(other.birth.at_ns);
            if !may || !self.can_stand_for(other, record)? {
                continue;
            }
            if left == 0 {
                return Err(findings.pause_comparing(Test::MadeOf, own.age.id, at));
            }
            left -= 1;
            let Some((file, stat)) = self.open_rotated(other.age.id)? else {
                continue;
            };
            // Of two the shorter one may be a part.
            let size = seen.stat.size.min(stat.size);
            let is_part = self.has_ends(seen.file, &file, size, Whole::Repeated);
            self.were_read(own, other)?;
            // What is no part of one that has all that was seen begins alike and came later, and so
            // is what was made after another one.
            let is_part_of_whole =
                is_part && own.is_made_before(other) && stat.size >= seen.stat.size;
            if (is_whole && !is_part_of_whole) || (is_earlier && !is_part) {
                return Ok(false);
            }
        }
        findings.note_compared(Test::MadeOf, own.age.id, rotated.len());
        Ok(true)
    }

    /// The first of some generations that a newcomer was written as.
    fn written_as<'r>(
        &self,
        candidate: &Candidate,
        records: impl Iterator<Item = &'r Record>,
    ) -> Result<Option<Record>, Refusal> {
        for record in records.filter(|record| candidate.was_written_as(record)) {
            if self.can_stand_for(candidate, record)? {
                return Ok(Some(*record));
            }
        }
        Ok(None)
    }

    /// Whether a newcomer begins like a generation and has what was seen of it.
    pub(super) fn can_stand_for(
        &self,
        candidate: &Candidate,
        record: &Record,
    ) -> Result<bool, Refusal> {
        // What a copy lacks at its end was written while it was made.
        let is_moved = !matches!(record.state, State::Truncated);
        // Of one that begins with zeros nothing is remembered but how long it was.
        if (is_moved || record.head.len == 0) && candidate.size < record.size {
            return Ok(false);
        }
        self.begins_like(candidate, record)
    }

    /// Whether a file begins like a generation, as far as it goes.
    pub(super) fn begins_like(
        &self,
        candidate: &Candidate,
        record: &Record,
    ) -> Result<bool, Refusal> {
        let findings = self.findings.ok_or(Refusal::Later)?;
        let key = (Test::BeginsLike, candidate.age.id, record.seq);
        let begins = findings.score_of(key, || {
            let Some((file, stat)) = self.open_rotated(candidate.age.id)? else {
                return Ok(0);
            };
            let fits = match record.head.len {
                0 => self.has_bytes(&file, &[0], 0),
                _ => self.has_block(&file, record.head.within(stat.size), false),
            };
            self.were_read(candidate, candidate)?;
            Ok(u32::from(fits))
        })?;
        Ok(begins > 0)
    }
}

impl Candidate {
    /// Whether it has less of a generation than was seen, and another one all of that.
    fn lacks(&self, other: &Candidate, record: &Record) -> bool {
        self.size < record.size && other.size >= record.size && self.age.id != other.age.id
    }

    /// Whether it was made after another one that has no less of a generation than was seen.
    fn is_after(&self, other: &Candidate, record: &Record) -> bool {
        // What lacks something that was seen is no copy of the whole.
        let least = self.size.min(record.size).max(1);
        other.size >= least && other.is_made_before(self)
    }

    /// Whether it came with the time of a last write that was one to this generation.
    fn was_written_as(&self, record: &Record) -> bool {
        let written_ns = self.written_ns;
        let is_before_over = record.over_ns.is_some_and(|over| written_ns <= over);
        self.has_kept_time() && written_ns >= record.written_ns && is_before_over
    }
}

/// Whether a generation is over and in none of the files that were seen live.
pub(super) fn is_left(record: &Record, rotated: &Candidates) -> bool {
    let is_it = |c: &Candidate| c.standing == Standing::Generation(record.seq);
    match record.state {
        State::Live => false,
        State::Truncated => true,
        State::Rotated | State::Complete(_) => !rotated.iter().any(is_it),
    }
}
