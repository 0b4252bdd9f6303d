//! The role of a rotated file: whether it is a generation, and which, or only a duplicate of one.
//! Pure.
//!
//! The strongest evidence decides. What the journal saw at the live path is a generation. What the
//! client was given whole is not given again. What came under the eyes of the server and was never
//! at the live path stands for a generation whose own file is gone or was truncated, or else it is
//! a duplicate of what is there or was given. Of what was there before, births, then bytes decide.

use super::candidates::{Candidate, Candidates};
use super::compare::Whole;
use super::findings::{Findings, Test};
use super::journal::record::{Record, Seq, Standing, State};
use super::query::Query;
use super::refusal::Refusal;
use super::seen::{COMPARED_AT_ONCE, Seen};
use super::stand_in::is_left;
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
        // A ring was written again from its start, whether anybody saw it or not.
        if self.has_turned(candidate) {
            return Ok(Role::Generation(candidate.age.seq));
        }
        match self.size_given(candidate) {
            Some(size) if size == candidate.size => return Ok(Role::Given),
            Some(size) if candidate.has_outgrown(size) => return Ok(Role::Late),
            // A duplicate of what was truncated lacks what was written while it was made.
            Some(_) if !matches!(candidate.standing, Standing::Generation(_)) => {
                return Ok(Role::Given);
            }
            _ => {}
        }
        if mutation::is_on(Mutation::DuplicateSent) {
            return Ok(Role::Generation(candidate.age.seq));
        }
        if let Standing::Generation(seq) = candidate.standing {
            return Ok(Role::Generation(seq));
        }
        let findings = self.findings.ok_or(Refusal::Later)?;
        if candidate.standing == Standing::Newcomer {
            self.survey(rotated)?;
        }
        let judge = || {
            let role = self.see(candidate, |seen| match candidate.standing {
                Standing::Newcomer => self.role_of_newcomer(seen, rotated, live),
                _ => self.role_of_elder(seen, rotated, live),
            })?;
            // What may not be read is told of where it is left out.
            let unreadable = || self.role_of_unreadable(candidate, rotated);
            Ok(role.unwrap_or_else(unreadable).code())
        };
        findings
            .score(Test::Role, candidate.age.id, judge)
            .map(Role::of_code)
    }

    /// Whether the client was given all that is in a rotated file.
    pub(super) fn was_given(
        &self,
        candidate: &Candidate,
        rotated: &Candidates,
        live: Option<&(S::File, Stat)>,
    ) -> Result<bool, Refusal> {
        if self.size_given(candidate) >= Some(candidate.size) {
            return Ok(true);
        }
        let findings = self.findings.ok_or(Refusal::Later)?;
        let judge = || {
            let is_it = self.see(candidate, |seen| self.has_given_bytes(seen, rotated, live))?;
            Ok(u32::from(is_it == Some(true)))
        };
        let was_given = findings.score(Test::Given, candidate.age.id, judge)?;
        Ok(was_given > 0)
    }

    /// Whether this very file was written to after the client was given all of it.
    pub(super) fn is_late(&self, candidate: &Candidate) -> bool {
        let size = self.size_given(candidate);
        size.is_some_and(|size| candidate.has_outgrown(size))
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

    /// The file that the client was given last, of those that are there still.
    pub(super) fn last_given<'c>(&self, rotated: &'c Candidates) -> Option<&'c Candidate> {
        let is_it = |c: &&Candidate, id| given_id(c.identity()) == Some(id) && self.is_given(c);
        let mut ids = self.given.iter().filter_map(|given| given.id);
        ids.find_map(|id| rotated.iter().find(|c| is_it(c, id)))
    }

    /// How long this very file was when the client was given all of it.
    fn size_given(&self, candidate: &Candidate) -> Option<u64> {
        if self.has_turned(candidate) {
            return None;
        }
        let mut sizes = self.all_given_of(candidate).map(|given| given.size);
        // What comes again in the same file is not what it was before. The newest stands first.
        match self.journal.is_series(self.index) {
            true => sizes.next(),
            false => sizes.max(),
        }
    }

    /// What the client was given of this very file, the newest first.
    pub(super) fn all_given_of(&self, candidate: &Candidate) -> impl Iterator<Item = &Given> {
        let id = given_id(candidate.identity());
        let id = id.filter(|_| !mutation::is_on(Mutation::GivenIgnored));
        // An inode alone may be another file's by now, unless it was seen that this one held what
        // was given.
        let seen = match candidate.standing {
            Standing::Generation(seq) => self.journal.record(self.index, seq),
            _ => None,
        };
        let is_born = candidate.birth.born != Born::Unknown;
        let is_sure = move |given: &Given| {
            let is_seen =
                |record: Record| matches!(record.state, State::Complete(all) if all <= given.size);
            is_born || seen.is_some_and(is_seen)
        };
        let is_it = move |given: &&Given| id.is_some() && given.id == id && is_sure(given);
        self.given.iter().filter(is_it)
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
        let is_suspect = self.is_suspect(seen.candidate, rotated, live);
        if is_suspect && self.is_of_given(seen)? {
            return Ok(Role::Duplicate);
        }
        if let Some(record) = self.stands_for(seen, rotated)?
            && !(is_suspect && self.has_better(seen, &record, rotated, live)?)
        {
            return Ok(Role::Generation(record.seq));
        }
        if self.is_within_another(seen, rotated, live)?
            || self.has_given_bytes(seen, rotated, live)?
        {
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

    /// Whether it was made during the life of a generation that the client was given, and begins
    /// like that.
    fn is_of_given(&self, seen: &Seen<'_, S>) -> Result<bool, Refusal> {
        let own = seen.candidate;
        for record in self.journal.records(self.index) {
            let State::Complete(size) = record.state else {
                continue;
            };
            let is_then = own.size <= size && record.was_when(own.birth.at_ns);
            let id = given_id(record.identity);
            let is_given =
                |given: &Given| given.size == size && given.id.is_some_and(|it| Some(it) == id);
            let may = is_then && self.given.iter().any(is_given);
            if may && record.head.len > 0 && self.begins_like(own, &record)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether there is a file that stands for the same generation, and is no copy that somebody
    /// made, or a longer one.
    fn has_better(
        &self,
        seen: &Seen<'_, S>,
        record: &Record,
        rotated: &Candidates,
        live: Option<&(S::File, Stat)>,
    ) -> Result<bool, Refusal> {
        let own = seen.candidate;
        let newcomers = rotated.iter().filter(|c| c.standing == Standing::Newcomer);
        for other in newcomers.filter(|c| c.age.id != own.age.id) {
            let is_better = !self.is_suspect(other, rotated, live) || other.is_fuller(own);
            let may = is_better && record.was_when(other.birth.at_ns);
            if may && self.can_stand_for(other, record)? {
                return Ok(true);
            }
        }
        Ok(false)
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
        let is_after_live = own.is_some() && its.is_some() && own >= its;
        let is_suspect = self.is_suspect(seen.candidate, rotated, live);
        let is_start = !is_before_live && self.has_start_of(seen.file, seen.stat.size, live);
        let is_copy = match is_suspect {
            _ if is_start => true,
            // A copy of an empty file has nothing that would be missed.
            true if seen.stat.size == 0 => true,
            true => {
                self.is_within_another(seen, rotated, live)?
                    || self.has_given_bytes(seen, rotated, live)?
            }
            false => {
                self.is_like_another(seen, rotated, live)?
                    || (is_after_live && self.has_given_bytes(seen, rotated, live)?)
            }
        };
        match is_copy {
            true => Ok(Role::Duplicate),
            false => Ok(Role::Generation(seen.candidate.age.seq)),
        }
    }

    /// Fails if bytes of one of two rotated files could not be read: of that one then, and of no
    /// other, it is noted.
    pub(super) fn were_read(&self, one: &Candidate, other: &Candidate) -> Result<(), Refusal> {
        let were_read = |findings: &Findings| findings.were_read(one.age.id, other.age.id);
        self.findings.map_or(Ok(()), were_read)
    }

    /// Whether a file has the bytes of a generation that was given, under whatever name. Where that
    /// is still in a file of its own, only a suspect is a copy of it: generations may be equal.
    fn has_given_bytes(
        &self,
        seen: &Seen<'_, S>,
        rotated: &Candidates,
        live: Option<&(S::File, Stat)>,
    ) -> Result<bool, Refusal> {
        let (own, size) = (seen.candidate, seen.stat.size);
        let is_suspect = self.is_suspect(own, rotated, live);
        let is_in = |id: u32, c: &Candidate| {
            c.age.id != own.age.id
                && given_id(c.identity()) == Some(id)
                && !self.is_suspect(c, rotated, live)
        };
        let is_there = |id: u32| rotated.iter().any(|c| is_in(id, c));
        let may_be_it = |given: &&Given| {
            let is_alike = given.size == size && given.md5.is_some();
            is_alike && (is_suspect || !given.id.is_some_and(is_there))
        };
        let alike: Vec<Option<u32>> = self.given.iter().filter(may_be_it).map(|g| g.md5).collect();
        if mutation::is_on(Mutation::GivenIgnored) || alike.is_empty() {
            return Ok(false);
        }
        let findings = self.findings.ok_or(Refusal::Later)?;
        let md5 = findings.start_of_md5(self.store, own.age.id, seen.file, size)?;
        Ok(md5.is_some() && alike.contains(&md5))
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
        let findings = self.findings.ok_or(Refusal::Later)?;
        let done = findings.compared(Test::Role, own.age.id);
        let is_within = done == 0 && self.is_within(seen, live);
        // An error of the live file is none of another rotated one.
        findings.was_read(own.age.id)?;
        if is_within {
            return Ok(true);
        }
        let is_suspect = |c: &Candidate| self.is_suspect(c, rotated, live);
        let is_own_suspect = is_suspect(own);
        let may_be_it = |other: &Candidate| match (is_own_suspect, is_suspect(other)) {
            (true, true) => other.is_fuller(own),
            (true, false) => true,
            // What has a sign of a generation is no copy of what has none.
            (false, true) => false,
            (false, false) if other.standing == Standing::Newcomer => other.is_made_before(own),
            (false, false) => true,
        };
        let may =
            |c: &Candidate| c.age.id != own.age.id && c.size >= seen.stat.size && may_be_it(c);
        let mut left = COMPARED_AT_ONCE;
        let others = rotated.iter().enumerate().skip(done);
        for (at, other) in others.filter(|(_, c)| may(c)) {
            if left == 0 {
                return Err(findings.pause_comparing(Test::Role, own.age.id, at));
            }
            left -= 1;
            let opened = self.open_rotated(other.age.id)?;
            let is_within = self.is_within(seen, opened.as_ref());
            self.were_read(own, other)?;
            if is_within {
                return Ok(true);
            }
        }
        // What is asked next may take several parts.
        findings.note_compared(Test::Role, own.age.id, rotated.len());
        Ok(false)
    }

    /// Whether all bytes of a file stand at the beginning of another.
    pub(super) fn is_within(&self, seen: &Seen<'_, S>, other: Option<&(S::File, Stat)>) -> bool {
        let size = seen.stat.size;
        let other = other.filter(|(_, other)| size > 0 && other.size >= size);
        other.is_some_and(|(other, _)| self.has_ends(seen.file, other, size, Whole::Repeated))
    }

    /// Whether a file from before is a duplicate of another such one: it has the same bytes and a
    /// name of another kind, and was created when that was complete.
    fn is_like_another(
        &self,
        seen: &Seen<'_, S>,
        rotated: &Candidates,
        live: Option<&(S::File, Stat)>,
    ) -> Result<bool, Refusal> {
        let own = seen.candidate;
        let findings = self.findings.ok_or(Refusal::Later)?;
        let done = findings.compared(Test::Role, own.age.id);
        let mut left = COMPARED_AT_ONCE;
        for (at, other) in rotated.iter().enumerate().skip(done) {
            let is_made_after = own.birth.at_ns.is_some_and(|at| at >= other.written_ns);
            let may = other.age.id != own.age.id
                && other.size == seen.stat.size
                && !other.is_of_series(own)
                && is_made_after
                && other.birth.at_ns < own.birth.at_ns
                && !self.is_suspect(other, rotated, live);
            if !may {
                continue;
            }
            if left == 0 {
                return Err(findings.pause_comparing(Test::Role, own.age.id, at));
            }
            left -= 1;
            if let Some(opened) = self.open_rotated(other.age.id)? {
                let is_within = self.is_within(seen, Some(&opened));
                self.were_read(own, other)?;
                if is_within {
                    return Ok(true);
                }
            }
        }
        // What is asked next may take several parts.
        findings.note_compared(Test::Role, own.age.id, rotated.len());
        Ok(false)
    }
}

impl Candidate {
    /// Whether it is longer than what was given of it.
    fn has_outgrown(&self, given: u64) -> bool {
        given < self.size && !mutation::is_on(Mutation::LateIgnored)
    }

    /// Whether it was created after its last write, as the times are that came with its bytes.
    pub(super) fn has_kept_time(&self) -> bool {
        self.birth.at_ns.is_some_and(|at| self.written_ns < at)
    }

    /// Whether it was created before another one.
    pub(super) fn is_made_before(&self, other: &Candidate) -> bool {
        (self.birth.at_ns, self.age) < (other.birth.at_ns, other.age)
    }

    /// Of two copies of one file: whether it has more than the other one, or the same and was made
    /// before.
    fn is_fuller(&self, other: &Candidate) -> bool {
        self.size > other.size || (self.size == other.size && self.is_made_before(other))
    }
}
