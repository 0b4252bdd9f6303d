//! The role of a rotated file: whether it is a generation, and which, or only a duplicate of one.
//! Pure.
//!
//! The strongest evidence decides. What the journal saw at the live path is a generation. What the
//! client was given whole is not given again. What came under the eyes of the server and was never
//! at the live path stands for a generation whose own file is gone or was truncated, or else it is
//! a duplicate of what is there or was given. Of what was there before, births, then bytes decide.

use super::compare::Whole;
use super::findings::{Candidate, Candidates, Findings, Test};
use super::journal::record::{Record, Seq, Standing, State};
use super::query::Query;
use super::refusal::Refusal;
use super::token::given_id;
use crate::ids::Born;
use crate::mutation::{self, Mutation};
use crate::store::{Birth, ReadStore, Stat};
use crate::wire::request::Given;

/// What a rotated file is in the history of its log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// The generation with this number; 0 is one from before the journal.
    Generation(Seq),
    /// A generation that nobody saw live, with the number of those that came and went in that time,
    /// or 0 if that is not known.
    Stray(Seq),
    /// The client was given all of it.
    Given,
    /// The client was given all of it, and then it was written to.
    Late,
    /// Somebody copied a generation that is there or was given.
    Duplicate,
}

impl Role {
    fn code(self) -> u32 {
        match self {
            Role::Duplicate => 0,
            Role::Given | Role::Late => 1,
            Role::Generation(seq) => seq.saturating_mul(2).saturating_add(2),
            Role::Stray(seq) => seq.saturating_mul(2).saturating_add(3),
        }
    }

    fn of_code(code: u32) -> Role {
        match code {
            0 => Role::Duplicate,
            1 => Role::Given,
            code if code % 2 == 0 => Role::Generation(code / 2 - 1),
            code => Role::Stray(code / 2 - 1),
        }
    }
}

impl<S: ReadStore> Query<'_, S> {
    /// The role of a rotated file, `live` being the live one.
    pub(super) fn role(
        &self,
        candidate: &Candidate,
        rotated: &Candidates,
        live: Option<&(S::File, Stat)>,
    ) -> Result<Role, Refusal> {
        match self.size_given(candidate) {
            Some(size) if size == candidate.size => return Ok(Role::Given),
            Some(size) if size < candidate.size => return Ok(Role::Late),
            _ => {}
        }
        if mutation::is_on(Mutation::DuplicateSent) {
            return Ok(Role::Generation(candidate.age.seq));
        }
        if let Standing::Generation(seq) = candidate.standing {
            return Ok(Role::Generation(seq));
        }
        let findings = self.findings.ok_or(Refusal::Later)?;
        let judge = || {
            let Some((file, stat)) = self.open_rotated(candidate.age.id)? else {
                // What may not be read is told of where it is left out.
                return Ok(self.role_of_unreadable(candidate, rotated).code());
            };
            let seen = Seen {
                candidate,
                file: &file,
                stat: &stat,
            };
            let role = match candidate.standing {
                Standing::Newcomer => self.role_of_newcomer(&seen, rotated, live)?,
                _ => self.role_of_elder(&seen, rotated, live)?,
            };
            Ok(role.code())
        };
        findings
            .score(Test::Role, candidate.age.id, judge)
            .map(Role::of_code)
    }

    /// Whether this very file was written to after the client was given all of it.
    pub(super) fn is_late(&self, candidate: &Candidate) -> bool {
        let size = self.size_given(candidate);
        size.is_some_and(|size| size < candidate.size)
    }

    /// Whether the client was given this very file whole, whatever was written to it since.
    pub(super) fn is_given(&self, candidate: &Candidate) -> bool {
        self.size_given(candidate).is_some()
    }

    /// The newest of the files that were last written at this moment and that the client was given:
    /// of several of one moment it tells which are older.
    pub(super) fn newest_given<'c>(
        &self,
        mtime_ns: u64,
        rotated: &'c Candidates,
    ) -> Option<&'c Candidate> {
        let is_it = |c: &&Candidate| c.written_ns == mtime_ns && self.is_given(c);
        let given = rotated.iter().filter(is_it);
        given.max_by_key(|c| c.inferred_age())
    }

    /// How long this very file was when the client was given all of it.
    fn size_given(&self, candidate: &Candidate) -> Option<u64> {
        if mutation::is_on(Mutation::GivenIgnored) {
            return None;
        }
        let id = given_id(candidate.identity())?;
        // An inode alone may be another file's by now, unless it was seen that this one held what
        // was given.
        let seen = match candidate.standing {
            Standing::Generation(seq) => self.journal.record(self.index, seq),
            _ => None,
        };
        let is_sure = |given: &Given| {
            let is_seen =
                |record: Record| matches!(record.state, State::Complete(all) if all <= given.size);
            candidate.birth.born != Born::Unknown || seen.is_some_and(is_seen)
        };
        let is_it = |given: &&Given| given.id == Some(id) && is_sure(given);
        self.given
            .iter()
            .filter(is_it)
            .map(|given| given.size)
            .max()
    }

    /// What came under our eyes and was never live.
    fn role_of_newcomer(
        &self,
        seen: &Seen<'_, S>,
        rotated: &Candidates,
        live: Option<&(S::File, Stat)>,
    ) -> Result<Role, Refusal> {
        // A copy of an empty file has nothing that would be missed.
        if seen.stat.size == 0 {
            return Ok(Role::Duplicate);
        }
        if let Some(record) = self.stands_for(seen, rotated)? {
            return Ok(Role::Generation(record.seq));
        }
        if self.has_given_bytes(seen)? || self.is_within_another(seen, rotated, live)? {
            return Ok(Role::Duplicate);
        }
        // Nothing else has these bytes: they are of a generation that came and went between two
        // looks, or of one from elsewhere.
        let (records, at) = (self.journal.records(self.index), seen.candidate.birth.at_ns);
        let then = records.iter().find(|record| record.was_when(at));
        let seq = then.map_or(0, |record| {
            // Once bytes of that one were seen, other bytes are of what came after it.
            let is_after =
                record.state != State::Live && record.size > 0 && at > Some(record.begun_ns);
            match is_after {
                true => record.seq + 1,
                false => record.seq - 1,
            }
        });
        Ok(Role::Stray(seq))
    }

    /// What cannot be read may be anything. The time at which it was made tells whose bytes it may
    /// have, and else times and names alone where it belongs.
    fn role_of_unreadable(&self, candidate: &Candidate, rotated: &Candidates) -> Role {
        if candidate.standing != Standing::Newcomer {
            return Role::Generation(candidate.age.seq);
        }
        let records = self.journal.records(self.index);
        let mut left = records.iter().filter(|record| is_left(record, rotated));
        let made_of = left.find(|record| record.was_when(candidate.birth.at_ns));
        made_of.map_or(Role::Stray(0), |record| Role::Generation(record.seq))
    }

    /// What was there before, or came when nobody looked.
    fn role_of_elder(
        &self,
        seen: &Seen<'_, S>,
        rotated: &Candidates,
        live: Option<&(S::File, Stat)>,
    ) -> Result<Role, Refusal> {
        let live_birth = live.map_or(Birth::default(), |(file, stat)| {
            self.store.birth_of(file, stat.id.device)
        });
        let (own, its) = (seen.candidate.birth.at_ns, live_birth.at_ns);
        // What was created before the live file is no copy of that. What was created after it is no
        // file that had its name before: it was copied, or a generation of the live file's was
        // copied into it before that was truncated.
        let is_before_live = matches!((own, its), (Some(own), Some(its)) if own < its);
        let is_after_live = matches!((own, its), (Some(own), Some(its)) if own > its);
        let is_start = !is_before_live && self.is_start_of(seen.file, seen.stat.size, live);
        let is_known = is_after_live && self.has_given_bytes(seen)?;
        match is_start || is_known || self.is_like_another(seen, rotated)? {
            true => Ok(Role::Duplicate),
            false => Ok(Role::Generation(seen.candidate.age.seq)),
        }
    }

    /// The generation that a newcomer stands for: one that was truncated in its file after it was
    /// copied, or one whose file is gone, having been moved or copied here.
    fn stands_for(
        &self,
        seen: &Seen<'_, S>,
        rotated: &Candidates,
    ) -> Result<Option<Record>, Refusal> {
        let records = self.journal.records(self.index);
        let left = || records.iter().filter(|record| is_left(record, rotated));
        // The time at which it was made tells which one it was made of.
        if let Some(record) = left().find(|record| record.was_when(seen.candidate.birth.at_ns))
            && seen.candidate.size > 0
            && self.can_stand_for(seen.candidate, record)?
        {
            return Ok(Some(*record));
        }
        // Otherwise they were made in the order of the generations.
        let mut taken: heapless::Vec<Seq, { crate::limits::RECORDS_MAX }> = heapless::Vec::new();
        let newcomers = rotated.iter().filter(|c| c.standing == Standing::Newcomer);
        let mut newcomers: Vec<&Candidate> = newcomers.collect();
        newcomers.sort_unstable_by_key(|c| (c.birth.at_ns, c.inferred_age()));
        for candidate in newcomers {
            let mut fits = None;
            let may = |record: &&Record| record.size > 0 && !taken.contains(&record.seq);
            for record in left().filter(may) {
                if candidate.size > 0 && self.can_stand_for(candidate, record)? {
                    fits = Some(*record);
                    break;
                }
            }
            if candidate.age.id == seen.candidate.age.id {
                return Ok(fits);
            }
            if let Some(record) = fits {
                let _ = taken.push(record.seq);
            }
        }
        Ok(None)
    }

    /// Whether a newcomer begins like a generation and has what was seen of it.
    fn can_stand_for(&self, candidate: &Candidate, record: &Record) -> Result<bool, Refusal> {
        // What a copy lacks at its end was written while it was made.
        let is_moved = !matches!(record.state, State::Truncated);
        // Of one that begins with zeros nothing is remembered but how long it was.
        if (is_moved || record.head.len == 0) && candidate.size < record.size {
            return Ok(false);
        }
        let Some((file, stat)) = self.open_rotated(candidate.age.id)? else {
            return Ok(false);
        };
        let fits = match record.head.len {
            0 => self.has_bytes(&file, &[0], 0),
            _ => self.has_block(&file, record.head.within(stat.size), false),
        };
        self.were_read(candidate, candidate)?;
        Ok(fits)
    }

    /// Fails if bytes of one of two rotated files could not be read: of that one then, and of no
    /// other, it is noted.
    fn were_read(&self, one: &Candidate, other: &Candidate) -> Result<(), Refusal> {
        let were_read = |findings: &Findings| findings.were_read(one.age.id, other.age.id);
        self.findings.map_or(Ok(()), were_read)
    }

    /// Whether a file has the bytes of a generation that was given, under whatever name.
    fn has_given_bytes(&self, seen: &Seen<'_, S>) -> Result<bool, Refusal> {
        let size = seen.stat.size;
        let mut alike = self.given.iter().filter(|given| given.size == size);
        if mutation::is_on(Mutation::GivenIgnored) || alike.clone().all(|given| given.md5.is_none())
        {
            return Ok(false);
        }
        let findings = self.findings.ok_or(Refusal::Later)?;
        let md5 = findings.start_of_md5(self.store, seen.candidate.age.id, seen.file, size)?;
        Ok(alike.any(|given| given.md5.is_some() && given.md5 == md5))
    }

    /// Whether all bytes of a file stand at the beginning of the live file or of another rotated
    /// one: somebody copied that.
    fn is_within_another(
        &self,
        seen: &Seen<'_, S>,
        rotated: &Candidates,
        live: Option<&(S::File, Stat)>,
    ) -> Result<bool, Refusal> {
        let own = seen.candidate;
        let is_within = self.is_within(seen, live);
        // An error of the live file is none of another rotated one.
        self.findings
            .map_or(Ok(()), |findings| findings.was_read(own.age.id))?;
        if is_within {
            return Ok(true);
        }
        for other in rotated.iter() {
            let is_made_before = match other.standing {
                Standing::Newcomer => (other.birth.at_ns, other.age) < (own.birth.at_ns, own.age),
                _ => true,
            };
            if other.age.id == own.age.id || other.size < seen.stat.size || !is_made_before {
                continue;
            }
            let opened = self.open_rotated(other.age.id)?;
            let is_within = self.is_within(seen, opened.as_ref());
            self.were_read(own, other)?;
            if is_within {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether all bytes of a file stand at the beginning of another.
    fn is_within(&self, seen: &Seen<'_, S>, other: Option<&(S::File, Stat)>) -> bool {
        let size = seen.stat.size;
        let other = other.filter(|(_, other)| size > 0 && other.size >= size);
        other.is_some_and(|(other, _)| self.has_ends(seen.file, other, size, Whole::Repeated))
    }

    /// Whether a file from before is a duplicate of another such one: it has the same bytes and a
    /// name of another kind, and was created when that was complete.
    fn is_like_another(&self, seen: &Seen<'_, S>, rotated: &Candidates) -> Result<bool, Refusal> {
        let own = seen.candidate;
        for other in rotated.iter() {
            let is_made_after = own.birth.at_ns.is_some_and(|at| at >= other.written_ns);
            let may = other.age.id != own.age.id
                && other.size == seen.stat.size
                && !other.is_of_series(own)
                && is_made_after
                && other.birth.at_ns < own.birth.at_ns;
            if may && let Some(opened) = self.open_rotated(other.age.id)? {
                let is_within = self.is_within(seen, Some(&opened));
                self.were_read(own, other)?;
                if is_within {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

/// Whether a generation is over and in none of the files that were seen live.
fn is_left(record: &Record, rotated: &Candidates) -> bool {
    let is_it = |c: &Candidate| c.standing == Standing::Generation(record.seq);
    match record.state {
        State::Live => false,
        State::Truncated => true,
        State::Rotated | State::Complete(_) => !rotated.iter().any(is_it),
    }
}

/// A rotated file that is being judged.
struct Seen<'a, S: ReadStore> {
    candidate: &'a Candidate,
    file: &'a S::File,
    stat: &'a Stat,
}
