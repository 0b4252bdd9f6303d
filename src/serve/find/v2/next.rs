//! Which generation comes after one that is over, and which file somebody copied it into. Pure.

use std::cmp::Reverse;

use super::oldest::{After, Found, floor_ns, then};
use crate::ids::{FileId, Identity};
use crate::mutation::{self, Mutation};
use crate::serve::find::alike::Own;
use crate::serve::find::candidates::{Candidate, Candidates, are_numbered};
use crate::serve::find::compare::Sent;
use crate::serve::find::findings::Test;
use crate::serve::find::journal::record::{Record, Seq, Standing, State, is_stray};
use crate::serve::find::left_out::LeftOut;
use crate::serve::find::order::Age;
use crate::serve::find::place::{Place, candidate_of, place_of};
use crate::serve::find::query::{Generation, Query};
use crate::serve::find::refusal::Refusal;
use crate::serve::find::role::Role;
use crate::serve::find::token::given_id;
use crate::sorting::sort_by_key;
use crate::store::{ReadStore, Stat};

/// A generation to be sent from its start.
pub struct NextFile<F> {
    /// The open file.
    pub file: F,
    /// What it is.
    pub stat: Stat,
    /// Whether it is the live file or a rotated one.
    pub place: Place,
    /// Every older generation was last written no later.
    pub floor_ns: u64,
    /// The rotated file that comes after it, if there is one already.
    pub then: Option<FileId>,
    /// There was another before it, which is gone.
    pub after_loss: bool,
    /// The one before it is in a file that somebody may have copied of another one.
    pub left_is_suspect: bool,
    /// The rotated file of the one before it.
    pub left_in: Option<Identity>,
    /// The generation in it.
    pub generation: Generation,
    /// Files that would have come before it and are left out.
    pub left_out: Vec<LeftOut>,
}

/// What comes right after a generation.
pub enum Following {
    /// The one in this rotated file.
    Rotated(FileId),
    /// None that is rotated.
    Live,
    /// That is not certain.
    Doubtful,
}

/// A duplicate that somebody made of a generation before truncating it.
pub struct Duplicate<F> {
    /// The open duplicate.
    pub file: F,
    /// What it is.
    pub stat: Stat,
}

/// A generation that is over.
pub struct Left {
    /// The file that holds it, or its duplicate; `None` if there is none.
    pub id: Option<FileId>,
    /// Its last write, as far as that was seen.
    pub mtime_ns: u64,
    /// Every older generation was last written no later.
    pub floor_ns: u64,
    /// The file that was seen to come after it, which counts more than times do.
    pub then: Option<FileId>,
    /// The number of the generation in the journal; 0 for none.
    pub seq: Seq,
}

impl Left {
    /// Its place among the rotated files, or behind all that was written before it. Unless names
    /// tell, nothing that is older than it counts as newer because a clock was set back.
    fn age(&self, rotated: &Candidates) -> Age {
        let found = rotated.iter().find(|c| Some(c.age.id) == self.id);
        let is_counted = are_numbered(rotated);
        match found.map(Candidate::inferred_age) {
            Some(age) if age.mtime_ns() >= self.floor_ns || is_counted => age,
            _ => Age::floor(self.floor_ns.max(self.mtime_ns)),
        }
    }

    /// Whether a file comes after it as far as names and times tell, `age` being its place and
    /// `own` its file, if that is rotated.
    fn is_before(&self, candidate: &Candidate, age: Age, own: Option<&Candidate>) -> bool {
        let is_doubtful = own.is_some_and(|own| own.is_doubtful_beside(candidate));
        // What was seen counts more.
        let may_be = self.then.is_none() || !is_doubtful;
        may_be && is_after(candidate, age, own, self.floor_ns)
            || Some(candidate.age.id) == self.then
    }

    /// Whether neither time nor name tells that a file is older: its last write is of the same
    /// moment, as that is kept, and the file `own` that was there is gone; or it is later, and
    /// looks older only because the generation seems to have begun after its own last write.
    fn may_be_at_once(&self, candidate: &Candidate, own: Option<&Candidate>) -> bool {
        let is_gone = self.id.is_some() && own.is_none();
        let is_then = match self.mtime_ns < self.floor_ns {
            true => candidate.written_ns >= self.mtime_ns,
            false => candidate.written_ns == self.mtime_ns,
        };
        is_gone && candidate.size > 0 && is_then
    }
}

/// Whether a rotated file comes after the generation of this `age`, which is in the file `own` and
/// began after `floor_ns`, as far as names and times tell.
fn is_after(candidate: &Candidate, age: Age, own: Option<&Candidate>, floor_ns: u64) -> bool {
    let is_likely = candidate.inferred_age() > age && !candidate.is_at_floor(floor_ns);
    let is_doubtful = own.is_some_and(|own| own.is_doubtful_beside(candidate));
    // Better once more than never.
    is_likely || is_doubtful && candidate.written_ns > floor_ns
}

/// Whether the next one is newer than the client's `own` by times only, and names say otherwise.
fn is_against_names(own: Option<&Candidate>, next: &Stat, rotated: &Candidates) -> bool {
    let next = candidate_of(next, rotated);
    own.zip(next).is_some_and(|(own, next)| {
        let is_newer = next.inferred_age() > own.inferred_age();
        is_newer && next.is_doubtful_beside(own) && next.may_come_before(own)
    })
}

impl<S: ReadStore> Query<'_, S> {
    /// What comes after a generation that is over.
    pub fn next_after(&self, left: &Left) -> Result<NextFile<S::File>, Refusal> {
        let live = self.open_live()?;
        let rotated = self.candidates(live.as_ref().map(|(_, stat)| stat.id))?;
        let age = left.age(rotated);
        let own = rotated.iter().find(|c| Some(c.age.id) == left.id);
        let is_doubtful = |c: &Candidate| own.is_some_and(|own| own.is_doubtful_beside(c));
        // What was there before the journal is older only than what that knows.
        let is_known = self.known_seq(left.seq).is_some();
        let may_be_at_once = |c: &&Candidate| {
            let is_seen = matches!(c.standing, Standing::Generation(_));
            let may = !is_seen && (!is_known || c.standing == Standing::Unknown);
            may && left.may_be_at_once(c, own)
        };
        let at_once = self.lacking(rotated.iter().filter(may_be_at_once), rotated)?;
        // Better once more than never.
        let is_at_once = |id: FileId| at_once.iter().any(|it| it.id == Some(id));
        let is_next = |c: &Candidate| left.is_before(c, age, own) || is_at_once(c.age.id);
        let after = self.after(left, own, &is_next);
        let saw_begin = after.seq.is_some_and(|seq| self.knows_begin(seq));
        let mut left_out = match own.filter(|_| !saw_begin) {
            Some(own) => {
                let floor = Age::floor(left.floor_ns);
                self.passed_over(Own::Rotated(own), floor, rotated)?
            }
            None => Vec::new(),
        };
        let found = match mutation::is_on(Mutation::MiddleSkipped) {
            true => None,
            false => self.find_generation(rotated, live.as_ref(), &after, &mut left_out)?,
        };
        let live_id = live.as_ref().map(|(_, stat)| stat.id);
        let left_is_suspect = self.is_copied(left.id, rotated, live.as_ref())?;
        let found = match (found, live) {
            (Some(found), _) => found,
            (None, Some((file, stat))) => self.numbered(file, stat),
            (None, None) => return Err(self.no_live()),
        };
        let after_loss = match (after.seq, found.seq) {
            (Some(before), next) if next > before => self.has_loss(before, next, &left_out),
            _ if mutation::is_on(Mutation::DoubtNotTold) => false,
            (_, next) => {
                let is_gone = |id| Some(id) != live_id && !rotated.iter().any(|c| c.age.id == id);
                is_at_once(found.stat.id)
                    || left.then.is_some_and(is_gone)
                    || self.journal.has_missed(self.index, left.seq, next)
                    || left.then.is_none()
                        && (found.is_doubtful || is_against_names(own, &found.stat, rotated))
            }
        };
        let Found {
            file, stat, seq, ..
        } = found;
        let place = place_of(&stat, rotated);
        // What is taken for older in doubt is not to be taken for newer the next time.
        let is_before = |c: &&Candidate| is_doubtful(c) && !is_next(c) && c.age.id != stat.id;
        let before = rotated.iter().filter(is_before).map(|c| c.written_ns);
        let before_ns = before.max().unwrap_or(0).max(age.mtime_ns());
        // Nor is it to be passed over unsaid, or what is older only because of what its clock said.
        if after.seq.is_none() {
            let is_later =
                |c: &Candidate| own.is_some_and(|own| c.inferred_age() > own.inferred_age());
            let is_seen = |c: &Candidate| matches!(c.standing, Standing::Generation(_));
            let may = |c: &&Candidate| {
                let is_other = c.age.id != stat.id && !is_seen(c);
                (is_doubtful(c) || is_later(c)) && !is_next(c) && is_other
            };
            left_out.extend(self.lacking(rotated.iter().filter(may), rotated)?);
        }
        let floor_ns = match place {
            // What is newer than the generation being left is a duplicate of this one, and not
            // older than it.
            Place::Live => before_ns,
            Place::Latest | Place::Older => floor_ns(&stat, rotated).max(before_ns),
        };
        Ok(NextFile {
            then: then(&stat, rotated, floor_ns),
            after_loss,
            left_is_suspect,
            left_in: own.map(Candidate::identity),
            left_out,
            generation: Generation {
                identity: self.identity(&file, &stat),
                seq,
            },
            floor_ns,
            place,
            file,
            stat,
        })
    }

    /// Of these files, those that may be generations which the client lacks.
    pub(super) fn lacking<'c>(
        &self,
        doubtful: impl Iterator<Item = &'c Candidate>,
        rotated: &Candidates,
    ) -> Result<Vec<LeftOut>, Refusal> {
        let mut doubtful = doubtful.filter(|c| c.size > 0).peekable();
        let mut left_out = Vec::new();
        if doubtful.peek().is_none() {
            return Ok(left_out);
        }
        let live = self.open_live()?;
        // Of the last one the digest may be still to come.
        let last = self.given.first().filter(|given| given.md5.is_none());
        for candidate in doubtful {
            let is_given = last.is_some_and(|last| last.size == candidate.size)
                || self.was_given(candidate, rotated, live.as_ref())?;
            if !is_given && !self.is_suspect(candidate, rotated, live.as_ref()) {
                left_out.push(LeftOut::doubtful(candidate));
            }
        }
        Ok(left_out)
    }

    /// Whether the file of a generation that is over may be a copy that somebody made of another
    /// one. What was seen to be truncated is in no other.
    fn is_copied(
        &self,
        id: Option<FileId>,
        rotated: &Candidates,
        live: Option<&(S::File, Stat)>,
    ) -> Result<bool, Refusal> {
        let is_it = |c: &&Candidate| Some(c.age.id) == id && self.is_suspect(c, rotated, live);
        let Some(own) = rotated.iter().find(is_it) else {
            return Ok(false);
        };
        let role = self.role(own, rotated, live)?;
        Ok(!matches!(role, Role::Generation(seq) if seq > 0))
    }

    /// Whether there is a generation after one that is over for all that is seen, and nothing was
    /// written to any.
    pub fn is_empty_after(&self, left: &Left) -> Result<bool, Refusal> {
        let live = self.open_live()?;
        let rotated = self.candidates(live.as_ref().map(|(_, stat)| stat.id))?;
        if live.as_ref().is_some_and(|(_, stat)| stat.size > 0) {
            return Ok(false);
        }
        let age = left.age(rotated);
        let own = rotated.iter().find(|c| Some(c.age.id) == left.id);
        let is_next = |c: &Candidate| left.is_before(c, age, own);
        let after = self.after(left, own, &is_next);
        let mut is_any = live.is_some();
        for candidate in rotated.iter() {
            let role = self.role(candidate, rotated, live.as_ref())?;
            if after.is_before(role, candidate) {
                is_any = true;
                if candidate.size > 0 {
                    return Ok(false);
                }
            }
        }
        Ok(is_any)
    }

    /// The generation that others are to come after, which is in the rotated file `own`, if it is
    /// in one. Names and times tell of which files it `may` be.
    fn after<'b>(
        &self,
        left: &Left,
        own: Option<&Candidate>,
        may: &'b dyn Fn(&Candidate) -> bool,
    ) -> After<'b> {
        After {
            seq: self.known_seq(left.seq),
            is_before_journal: own.is_some_and(Candidate::is_elder),
            own: left.id,
            may,
        }
    }

    /// Whether one that came between two generations of the journal is gone, or may have come. What
    /// is told as left out is none of these.
    pub(super) fn has_loss(&self, before: Seq, next: Seq, left_out: &[LeftOut]) -> bool {
        !mutation::is_on(Mutation::GapNotTold)
            && (self.missed(before, next, left_out) > 0
                || !self.journal.is_gapless(self.index, before, next))
    }

    /// Whether nothing can have come between two generations that the journal did not see.
    pub fn has_seen_all(&self, before: Seq, next: Seq) -> bool {
        let is_known = self.known_seq(before).is_some() && next > before;
        is_known && self.journal.is_gapless(self.index, before, next)
    }

    /// Whether so many archives may be all that came between two generations of the journal and is
    /// not there any more.
    pub fn may_cover(&self, before: Seq, next: Seq, archives: usize) -> bool {
        self.missed(before, next, &[]) <= archives
            && self.journal.is_gapless(self.index, before, next)
    }

    /// How many that came between two generations of the journal are gone, or may have come.
    fn missed(&self, before: Seq, next: Seq, left_out: &[LeftOut]) -> usize {
        let between = |seq: Seq| before < seq && seq < next;
        let records = self.journal.records(self.index);
        let is_told = |record: &Record| left_out.iter().any(|it| it.seq == record.seq);
        let skipped = records
            .iter()
            .filter(|record| between(record.seq) && !is_told(record));
        // One that was empty to its end leaves nothing to miss; nor does one that the client was
        // given already. Whether it was empty is not known where nobody saw it after its end: while
        // nobody is connected nobody looks at what is written. What has no record may be that one.
        let has_stray = is_stray(before) || is_stray(next);
        let is_missed = |record: &Record| {
            let id = given_id(record.identity);
            let is_given = |all: u64| {
                let mut given = self.given.iter();
                given.any(|given| given.size == all && given.id.is_some() && given.id == id)
            };
            let had_bytes = record.size > 0 || record.has_zeros;
            match record.state {
                State::Complete(all) => had_bytes && !is_given(all),
                _ => had_bytes || !(record.is_end_seen || has_stray),
            }
        };
        skipped.filter(|record| is_missed(record)).count()
    }

    /// What comes right after the generation in the file `own`, which began after `floor_ns`.
    pub fn first_after(&self, own: FileId, floor_ns: u64) -> Result<Following, Refusal> {
        let live = self.open_live()?;
        let rotated = self.candidates(live.as_ref().map(|(_, stat)| stat.id))?;
        let Some(own) = rotated.iter().find(|c| c.age.id == own) else {
            return Ok(Following::Live);
        };
        let after = After {
            seq: self.known_seq(own.age.seq),
            is_before_journal: own.is_elder(),
            own: Some(own.age.id),
            may: &|c| is_after(c, own.inferred_age(), Some(own), floor_ns),
        };
        // It is told when its turn comes.
        let found = self.find_generation(rotated, live.as_ref(), &after, &mut Vec::new())?;
        let is_beside =
            |stat| candidate_of(stat, rotated).is_some_and(|c| c.is_doubtful_beside(own));
        Ok(match found {
            None => Following::Live,
            Some(found) if found.is_doubtful || is_beside(&found.stat) => Following::Doubtful,
            Some(found) => Following::Rotated(found.stat.id),
        })
    }

    /// A duplicate of the generation that began in the open file `own` after `floor_ns`, if there
    /// is one: of what was written and truncated before anybody looked. `before` is the file of the
    /// generation before, to which its writer may have come back.
    pub fn first_duplicate(
        &self,
        own: Stat,
        before: Option<FileId>,
        floor_ns: u64,
        seq: Seq,
    ) -> Result<Option<Duplicate<S::File>>, Refusal> {
        let live = self.open_live()?;
        let rotated = self.candidates(live.as_ref().map(|(_, stat)| stat.id))?;
        let after = Left {
            id: before,
            mtime_ns: 0,
            floor_ns,
            then: None,
            seq: 0,
        };
        let floor = after.age(rotated);
        let is_live = live.as_ref().is_some_and(|(_, stat)| stat.id == own.id);
        let own_rotated = rotated.iter().find(|c| c.age.id == own.id);
        // Of two that were copied the first one comes first, and not each before the other.
        let is_copied_first = |c: &Candidate| {
            let copied = own_rotated.filter(|own| own.standing == Standing::Newcomer);
            copied.is_none_or(|own| c.copy_order() < own.copy_order())
        };
        let limit = match own_rotated {
            Some(own) => Some(own.inferred_age()),
            None if is_live => None,
            // It has no name any more. What was written later is in other files because that is
            // where it belongs.
            None => Some(Age::floor(own.mtime_ns)),
        };
        let before_seq = seq.saturating_sub(2);
        let record = self.journal.record(self.index, before_seq);
        let written_ns = record.map_or(u64::MAX, |record| record.written_ns);
        let knows_begin = self.knows_begin(seq);
        let may = |c: &Candidate| match c.standing {
            // It was live itself, and holds what it held then.
            Standing::Generation(_) => false,
            Standing::Newcomer => c.size > 0 && c.age.id != own.id && is_copied_first(c),
            // A generation that began under our eyes is in none that was there before. What was
            // copied since may have been there when that was looked up.
            Standing::Elder if knows_begin && c.birth.at_ns < Some(written_ns) => false,
            Standing::Elder | Standing::Unknown => {
                let comes_first = limit.is_none_or(|limit| c.inferred_age() < limit);
                comes_first && c.inferred_age() > floor && c.size > 0 && Some(c.age.id) != before
            }
        };
        let mut candidates: Vec<&Candidate> = rotated.iter().filter(|c| may(c)).collect();
        // The oldest of those that were copied under our eyes.
        sort_by_key(&mut candidates, |c| c.copy_order());
        for candidate in candidates {
            let role = self.role(candidate, rotated, live.as_ref())?;
            let is_it = match role {
                Role::Generation(of) if candidate.standing == Standing::Newcomer => of == seq,
                Role::Generation(_) => true,
                Role::Stray(of) => {
                    is_live && (of + 1 == seq || of == 0) && candidate.inferred_age() > floor
                }
                Role::Given | Role::Late | Role::Duplicate => false,
            };
            if is_it && let Some((file, stat)) = self.open_rotated(candidate.age.id)? {
                return Ok(Some(Duplicate { file, stat }));
            }
        }
        Ok(None)
    }

    /// The duplicate that was made of a generation before it was truncated.
    ///
    /// A duplicate at least as long as what was sent must have the same end there. A shorter one
    /// lacks what was written while it was made: it must have the same start. Content that repeats
    /// itself is told apart by its time. `own` is the file that was truncated.
    pub fn duplicate_of(
        &self,
        sent: &Sent<'_>,
        own: FileId,
        seq: Seq,
    ) -> Result<Option<Duplicate<S::File>>, Refusal> {
        let live = self.open_live()?;
        let rotated = self.candidates(live.as_ref().map(|(_, stat)| stat.id))?;
        // A clock that was set back since must not hide the duplicate, nor may a truncation that
        // came long after it.
        let is_since = |mtime_ns| mtime_ns > sent.floor_ns || mtime_ns >= self.quiet_since_ns;
        let mut is_sure = false;
        for candidate in rotated.iter().filter(|c| c.standing == Standing::Newcomer) {
            let role = self.role(candidate, rotated, live.as_ref())?;
            is_sure |= role == Role::Generation(seq) && seq > 0;
        }
        let may = |c: &Candidate| {
            let may_be = match c.standing {
                Standing::Generation(_) => false,
                Standing::Newcomer => true,
                // Whoever sets the time of a file does not change its birth.
                Standing::Elder | Standing::Unknown => {
                    let is_born_since = c.birth.at_ns.is_some_and(is_since);
                    !is_sure && (is_since(c.age.mtime_ns()) || is_born_since)
                }
            };
            may_be && c.age.id != own && c.size > 0
        };
        let is_duplicate = |candidate: &Candidate, file: &S::File, stat: &Stat| {
            let is_of_another = match candidate.standing {
                Standing::Newcomer => {
                    let role = self.role(candidate, rotated, live.as_ref())?;
                    match role {
                        Role::Generation(of) => is_sure && of != seq,
                        Role::Stray(_) => is_sure,
                        Role::Given | Role::Late => true,
                        // Bytes that were given before may have been written again.
                        Role::Duplicate => is_sure,
                    }
                }
                _ => false,
            };
            Ok(!is_of_another && self.is_duplicate_of_sent(file, stat.size, sent))
        };
        let record = self.journal.record(self.index, seq);
        // That of the rotator before those of others, of which the fullest is the last; what was
        // made while this generation was live before what was not; and one that is as long as what
        // was sent.
        let rank = |c: &&Candidate| {
            let is_suspect = self.is_suspect(c, rotated, live.as_ref());
            let is_then = record.is_some_and(|record| record.was_when(c.birth.at_ns));
            let size = if is_suspect {
                c.size
            } else {
                c.size.min(sent.offset)
            };
            (is_suspect, !is_then, Reverse(size), c.age)
        };
        // Little of what was sent may be the beginning of any generation.
        let is_much = |c: &Candidate| is_sure || c.size >= sent.offset.div_ceil(2);
        let mut candidates: Vec<&Candidate> =
            rotated.iter().filter(|c| may(c) && is_much(c)).collect();
        sort_by_key(&mut candidates, rank);
        for candidate in candidates {
            let is_it = |c: &Candidate| c.age.id == candidate.age.id;
            let found = self.find_rotated(Test::Duplicate, rotated, &is_it, &|file, stat| {
                is_duplicate(candidate, file, stat)
            })?;
            if let Some((file, stat)) = found {
                return Ok(Some(Duplicate { file, stat }));
            }
        }
        Ok(None)
    }
}
