//! How the file is recognised that holds what a client proves of its copy. Pure.

use std::cell::RefCell;
use std::cmp::Ordering;

use crate::ids::{FileId, Identity, Inode, Sameness};
use crate::mutation::{self, Mutation};
use crate::serve::find::candidates::{Candidate, Candidates};
use crate::serve::find::findings::{Findings, Test};
use crate::serve::find::journal::record::{Record, Seq, Standing, State};
use crate::serve::find::left_out::LeftOut;
use crate::serve::find::order::Age;
use crate::serve::find::place::candidate_of;
use crate::serve::find::query::Query;
use crate::serve::find::refusal::Refusal;
use crate::serve::find::role::Role;
use crate::serve::find::token::Known;
use crate::sorting::sort_by_key;
use crate::store::{ReadStore, Stat};
use crate::wire::proof::{Block, Proof, START_LEN};

/// How well a file fits what a client holds.
#[derive(PartialEq, Eq)]
pub(super) enum Fit {
    /// It holds all that the client proves, and at least as much.
    Whole,
    /// It is shorter than the client's copy, and nothing says that it is not its start.
    Prefix,
    /// It is another file.
    No,
}

/// The file that a client's copy was made of; else the live file, unused.
pub(in crate::serve::find) type WholeOrLive<F> = Result<(F, Stat), Option<(F, Stat)>>;

/// What a client holds.
pub(in crate::serve::find) struct Held<'a> {
    pub(in crate::serve::find) offset: u64,
    pub(in crate::serve::find) proof: &'a Proof,
    pub(in crate::serve::find) mapped: bool,
    /// What is older than the client's generation was last written no later.
    pub(in crate::serve::find) floor: Option<Age>,
    /// The newest of the files that were last written at that moment and that it was given.
    pub(in crate::serve::find) given: Option<&'a Candidate>,
    /// What the client keeps of the identity of its generation.
    pub(in crate::serve::find) known: Option<Known>,
    /// The box was not started again since that was told.
    pub(in crate::serve::find) same_boot: bool,
    /// The files that were compared with it in this call, with their sizes.
    pub(in crate::serve::find) fits: RefCell<Fits>,
}

/// Files, their sizes, and whether they have all of a proof that they can have.
pub(in crate::serve::find) type Fits = heapless::Vec<(FileId, u64, bool), 4>;

impl Held<'_> {
    /// Whether a rotated file was written after the client's generation had begun.
    pub(super) fn is_newer(&self, rotated: &Candidate) -> bool {
        self.floor.is_some_and(|floor| {
            rotated.inferred_age() > floor && !rotated.is_at_floor(floor.mtime_ns())
        }) || self.is_of_floor(rotated)
    }

    /// Whether a rotated file was last written at the very moment up to which all is older, or
    /// before that by a clock that was set back, and is newer by its name than what was given of
    /// that moment: it may be either.
    fn is_of_floor(&self, rotated: &Candidate) -> bool {
        let is_then = |floor: Age| match floor.mtime_ns().cmp(&rotated.written_ns) {
            Ordering::Less => false,
            Ordering::Equal => true,
            // Where nothing is held it may be what came right before that.
            Ordering::Greater => self.offset > 0,
        };
        let is_newer = |given: &Candidate| {
            rotated.inferred_age() > given.inferred_age() && rotated.is_of_series(given)
        };
        self.floor.is_some_and(is_then) && self.given.is_some_and(is_newer)
    }

    /// Whether a rotated file was last written at that very moment, and may be newer.
    pub(super) fn is_at_floor(&self, rotated: &Candidate) -> bool {
        let is_then = |floor: Age| floor.mtime_ns() == rotated.written_ns;
        self.floor.is_some_and(is_then) && rotated.size > 0 && self.is_of_floor(rotated)
    }

    /// Whether no generation after the client's has been deleted to make room: one older than that
    /// is still there, or there never was one.
    pub(super) fn none_after_is_gone(&self, rotated: &Candidates) -> bool {
        self.floor.is_some_and(|floor| {
            floor.mtime_ns() == 0 || rotated.iter().any(|c| c.inferred_age() <= floor)
        })
    }
}

/// Where the client's generation is.
pub(super) enum Located<F> {
    /// In this file.
    Here(F, Stat),
    /// What is left of it is in this file, which is shorter than what is held.
    Part(F, Stat),
    /// In this file, whose bytes are not those that the client proves: one of the two was changed.
    Changed(F, Stat),
    /// Most likely in this file; but it has another one's identity, and that may be a generation
    /// with the same bytes. What is not certain is to be told.
    Likely(F, Stat, LeftOut),
    /// Nowhere.
    Gone,
    /// No evidence but bytes, times and names tells.
    Unsure,
}

impl Held<'_> {
    /// The same file as the client's, as far as its token tells.
    pub(in crate::serve::find) fn compare(&self, identity: Identity) -> Sameness {
        match self.known {
            _ if mutation::is_on(Mutation::IncarnationIgnored) => Sameness::Unknown,
            Some(known) => {
                let is_device_known = self.same_boot && !mutation::is_on(Mutation::DeviceIgnored);
                known.identity.compare(identity, is_device_known)
            }
            None => Sameness::Unknown,
        }
    }

    /// Whether the client's generation, of which the journal has no record, is older than all of
    /// which it has one. `epoch` is that of the journal.
    pub(super) fn is_before_journal(&self, epoch: u32) -> bool {
        self.known
            .is_some_and(|known| known.epoch != epoch || known.seq > 0)
    }

    /// Whether nothing says that a file with the client's inode is another one.
    pub(super) fn may_be(&self, identity: Identity) -> bool {
        self.compare(identity) != Sameness::Other
    }

    /// Whether a rotated file has the inode that the client asks for, and may be the client's.
    pub(super) fn may_be_own(&self, asked: Inode, rotated: &Candidate) -> bool {
        rotated.age.id.inode == asked && self.may_be(rotated.identity())
    }
}

impl<S: ReadStore> Query<'_, S> {
    /// The journal's record of the client's generation.
    pub(super) fn record_held(&self, held: &Held<'_>) -> Option<Record> {
        if mutation::is_on(Mutation::JournalIgnored) {
            return None;
        }
        let known = held.known?;
        if known.epoch == self.journal.epoch() && known.seq > 0 {
            return self.journal.record(self.index, known.seq);
        }
        // Another run of the server gave it. If this one has met its file, then as the first of
        // those that it saw in it, or it was over by then.
        let records = self.journal.records(self.index);
        let is_same = |record: &Record| held.compare(record.identity) == Sameness::Same;
        records.into_iter().find(is_same)
    }

    /// The number of the client's generation, as far as the journal still knows what came after it.
    pub(super) fn seq_held(&self, held: &Held<'_>) -> Option<Seq> {
        let is_own = |known: &Known| known.epoch == self.journal.epoch();
        self.known_seq(held.known.filter(is_own)?.seq)
    }

    /// Whether the server saw the client's generation begin, and knows what came after it.
    pub(super) fn saw_begin(&self, held: &Held<'_>) -> bool {
        self.seq_held(held).is_some_and(|seq| self.knows_begin(seq))
    }

    /// Finds the client's generation by what the server saw and by the identity of its file.
    pub(super) fn locate(
        &self,
        held: &Held<'_>,
        live: Option<&(S::File, Stat)>,
        rotated: &Candidates,
    ) -> Result<Located<S::File>, Refusal> {
        if self.has_gone_round(held, live, rotated)? {
            return Ok(Located::Gone);
        }
        let record = self.record_held(held);
        // Its own file.
        let is_live = live.is_some_and(|(file, stat)| {
            let identity = self.identity(file, stat);
            match record {
                Some(record) => self.seq_of(identity) == record.seq,
                None => held.compare(identity) == Sameness::Same,
            }
        });
        if is_live && let Some((file, stat)) = self.open_live()? {
            // Where nothing is held, nothing is proved: what was copied first comes first.
            let is_known = match (held.offset, record.filter(|_| self.saw_begin(held))) {
                (0, Some(record)) => !self.has_stray(record.seq, live, rotated)?,
                (0, None) => false,
                _ => self.fit(&file, &stat, held) == Fit::Whole,
            };
            self.all_was_read()?;
            if !is_known {
                return Ok(Located::Unsure);
            }
            // It may have been emptied and written anew while nobody looked.
            return self.life_held(held, (file, stat), rotated);
        }
        let is_own = |c: &&Candidate| match record {
            Some(record) => c.standing == Standing::Generation(record.seq),
            None => held.compare(c.identity()) == Sameness::Same,
        };
        if let Some(own) = rotated.iter().find(is_own) {
            return match self.open_rotated(own.age.id)? {
                Some((file, stat)) => match self.fit_of(own, &file, &stat, held)? {
                    Fit::Whole => Ok(Located::Here(file, stat)),
                    // Nothing was seen to be cut.
                    Fit::No if self.seq_held(held).is_some() => Ok(Located::Changed(file, stat)),
                    _ => Ok(Located::Unsure),
                },
                None => Ok(Located::Unsure),
            };
        }
        // What stands for it since it was moved or truncated.
        if let Some(record) = record
            && !self.may_precede(held, record.seq, live, rotated)?
        {
            let newcomers = rotated.iter().filter(|c| c.standing == Standing::Newcomer);
            let mut newcomers: Vec<&Candidate> = newcomers.collect();
            // Of several the first: the others may have come and gone after it.
            sort_by_key(&mut newcomers, |c| c.copy_order());
            for candidate in newcomers {
                let role = self.role(candidate, rotated, live)?;
                if role != Role::Generation(record.seq) {
                    continue;
                }
                if let Some((file, stat)) = self.open_rotated(candidate.age.id)? {
                    match self.fit_of(candidate, &file, &stat, held)? {
                        Fit::Whole => return Ok(Located::Here(file, stat)),
                        // What a copy lacks of a file that was cut after it is nowhere.
                        Fit::Prefix if record.state == State::Truncated => {
                            return Ok(Located::Part(file, stat));
                        }
                        Fit::Prefix | Fit::No => {}
                    }
                }
            }
        }
        // The file may have been replaced by one that holds all of it, and more.
        if let Some(record) = record
            && let Some((file, stat)) = live
            && held.offset > 0
            && self.journal.is_replaced(
                self.index,
                record.seq,
                self.seq_of(self.identity(file, stat)),
            )
            && self.fit(file, stat, held) == Fit::Whole
            && let Some((file, stat)) = self.open_live()?
        {
            return Ok(Located::Here(file, stat));
        }
        self.all_was_read()?;
        // Where not all was seen, any rotated file may be the duplicate of what was truncated; but
        // not of what is in no file any more.
        match self.seq_held(held) {
            Some(_) => self.find_moved(held, live, rotated),
            None if self.is_nowhere(held, live, rotated) => self.find_moved(held, live, rotated),
            None => Ok(Located::Unsure),
        }
    }

    /// Whether the client's generation may have been over before that of its file with the number
    /// `seq`: a file that has what is held, be it nothing, has come since, and was there before the
    /// records, if it was another run of the server that gave it, or came and went unseen.
    fn may_precede(
        &self,
        held: &Held<'_>,
        seq: Seq,
        live: Option<&(S::File, Stat)>,
        rotated: &Candidates,
    ) -> Result<bool, Refusal> {
        let saw_begin = self.saw_begin(held);
        if held.offset > 0 && saw_begin {
            return Ok(false);
        }
        let may = |c: &&Candidate| held.is_newer(c) && c.size >= held.offset && !self.is_given(c);
        for candidate in rotated.iter().filter(may) {
            let is_before = match candidate.standing {
                Standing::Elder | Standing::Unknown => !saw_begin,
                Standing::Newcomer => match self.role(candidate, rotated, live)? {
                    Role::Stray(stray) if saw_begin => stray == seq - 1,
                    Role::Stray(stray) => stray < seq,
                    _ => false,
                },
                Standing::Generation(_) => false,
            };
            if is_before && self.has_what_is_held(candidate, held)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn has_what_is_held(&self, candidate: &Candidate, held: &Held<'_>) -> Result<bool, Refusal> {
        if held.offset == 0 {
            return Ok(true);
        }
        let findings = self.findings.ok_or(Refusal::Later)?;
        let judge = || {
            let opened = self.open_rotated(candidate.age.id)?;
            let is_whole =
                |(file, stat): (S::File, Stat)| self.fit(&file, &stat, held) == Fit::Whole;
            Ok(u32::from(opened.is_some_and(is_whole)))
        };
        Ok(findings.score(Test::Whole, candidate.age.id, judge)? > 0)
    }

    /// Whether none of the files is the client's, as their identities tell.
    fn is_nowhere(
        &self,
        held: &Held<'_>,
        live: Option<&(S::File, Stat)>,
        rotated: &Candidates,
    ) -> bool {
        let is_other = |identity| held.compare(identity) == Sameness::Other;
        held.known.is_some()
            && !rotated.is_cut()
            && live.is_none_or(|(file, stat)| is_other(self.identity(file, stat)))
            && rotated.iter().all(|c| is_other(c.identity()))
    }

    /// Whether a generation came and went during the life of a record, unseen but for the duplicate
    /// that somebody made of it.
    fn has_stray(
        &self,
        seq: Seq,
        live: Option<&(S::File, Stat)>,
        rotated: &Candidates,
    ) -> Result<bool, Refusal> {
        for candidate in rotated.iter().filter(|c| c.standing == Standing::Newcomer) {
            if self.role(candidate, rotated, live)? == Role::Stray(seq - 1) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a rotated file may hold the client's generation, as far as the journal knows: one
    /// that it saw live holds its own.
    pub(super) fn is_open_to(&self, candidate: &Candidate, held: &Held<'_>) -> bool {
        match (candidate.standing, self.record_held(held)) {
            (Standing::Generation(seq), Some(record)) => seq == record.seq,
            (Standing::Generation(_), None) => held.known.is_none(),
            _ => true,
        }
    }

    /// Finds the file that holds what the client proves.
    ///
    /// The inode alone does not tell: the live file keeps it where it is truncated after a copy was
    /// made, and a new file may have it. But the client's generation is the first that was written
    /// since it began, so of the files that have what the client proves, the oldest of that time is
    /// it.
    pub(in crate::serve::find) fn find_whole(
        &self,
        asked: Inode,
        held: &Held<'_>,
        live: Option<(S::File, Stat)>,
        rotated: &Candidates,
    ) -> Result<WholeOrLive<S::File>, Refusal> {
        let fits = |file: &S::File, stat: &Stat| self.fit(file, stat, held) == Fit::Whole;
        let is_live = live
            .as_ref()
            .is_some_and(|(_, stat)| stat.id.inode == asked);
        // What others have whole, or was given whole, is continued nowhere but in those.
        let duplicates = self.duplicates(rotated, live.as_ref())?;
        let is_copy = |c: &Candidate| duplicates.contains(&c.age.id);
        let of_inode = rotated.iter().find(|c| held.may_be_own(asked, c));
        let own = self.unless_given(of_inode, held, live.as_ref(), rotated)?;
        let is_proved = held.offset > 0 && !held.proof.is_empty();
        // Many logs begin with the same few bytes.
        let is_strong = is_proved && held.offset >= START_LEN as u64;
        // Step 1 without a proof, step 3 with one: the same search, up to the file with this inode
        // if that is rotated.
        if is_proved || (held.offset == 0 && (is_live || of_inode.is_some())) {
            // Where nothing is held, nothing is proved, but what comes first is known. While
            // nothing is written to the client's file and nobody rotates it, its writer may still
            // write to the one before.
            let has_moved_on = live.as_ref().is_some_and(|(_, stat)| stat.size > 0)
                || rotated.iter().filter(|c| held.is_newer(c)).count() > 1;
            let is_over = |file: &S::File| {
                is_proved || own.is_some() || has_moved_on || self.store.at_rest(file)
            };
            let may = |c: &Candidate| {
                let comes_first = own.is_none_or(|own| c.inferred_age() <= own.inferred_age());
                // Of what was given, something is held.
                let is_other = is_copy(c) || !is_proved && self.is_given(c);
                let is_open = !is_other && self.is_open_to(c, held);
                held.is_newer(c) && c.size >= held.offset && comes_first && is_open
            };
            // Where nothing is held, nothing but its role tells that a file is another one's.
            let mut others = Vec::new();
            for candidate in rotated.iter().filter(|c| held.offset == 0 && may(c)) {
                let may_be = match self.role(candidate, rotated, live.as_ref())? {
                    Role::Generation(seq) => {
                        seq == 0 || self.seq_held(held).is_none_or(|own| seq >= own)
                    }
                    Role::Stray(_) => true,
                    Role::Given | Role::Late | Role::Duplicate => false,
                };
                if !may_be {
                    others.push(candidate.age.id);
                }
            }
            let is_it = |file: &S::File, stat: &Stat| {
                let is_own = stat.id.inode == asked;
                let is_other = match held.offset {
                    0 => others.contains(&stat.id),
                    _ => self.is_start_of(file, stat, live.as_ref()),
                };
                Ok(fits(file, stat) && (is_own || is_over(file) && !is_other))
            };
            if let Some((file, stat)) = self.find_rotated(Test::Since, rotated, &may, &is_it)? {
                return Ok(Ok((file, stat)));
            }
        }
        // Step 2.
        if let Some(own) = own
            && let Some((file, stat)) = self.open_rotated(own.age.id)?
            && self.fit_of(own, &file, &stat, held)? == Fit::Whole
        {
            return Ok(Ok((file, stat)));
        }
        // Step 4. What is short is taken for the live file's only where the inode says so too: many
        // logs begin with the same few bytes.
        let live = match live {
            Some((file, stat)) if (is_strong || stat.id.inode == asked) && fits(&file, &stat) => {
                return Ok(Ok((file, stat)));
            }
            live => live,
        };
        self.all_was_read()?;
        if !is_strong {
            return Ok(Err(live));
        }
        // Step 5. The client's own file can look no newer than its `m` after a clock was set back.
        let may = |c: &Candidate| {
            let is_open = !is_copy(c) && self.is_open_to(c, held);
            !held.is_newer(c) && c.size >= held.offset && is_open
        };
        let older = self.find_rotated(Test::Whole, rotated, &may, &|file, stat| {
            Ok(fits(file, stat))
        })?;
        Ok(older.ok_or(live))
    }

    /// The rotated file with the client's inode. Where nothing is held of it, one that was written
    /// before the client's generation began, and that the client was given, has that number on
    /// another device, or by chance.
    fn unless_given<'c>(
        &self,
        own: Option<&'c Candidate>,
        held: &Held<'_>,
        live: Option<&(S::File, Stat)>,
        rotated: &Candidates,
    ) -> Result<Option<&'c Candidate>, Refusal> {
        let may_be_given = |own: &&Candidate| held.offset == 0 && !held.is_newer(own);
        let is_given = match own.filter(may_be_given) {
            Some(own) => self.was_given(own, rotated, live)?,
            None => false,
        };
        Ok(own.filter(|_| !is_given))
    }

    /// Whether a file that has what the client holds is the client's, and not a later one: it has
    /// the inode, or none was deleted, or the client holds much, or what no other file begins with.
    /// Logs may all begin with the same line.
    pub(super) fn is_sure(
        &self,
        found: &Stat,
        asked: Inode,
        held: &Held<'_>,
        rotated: &Candidates,
    ) -> Result<bool, Refusal> {
        let own = rotated.iter().find(|c| c.age.id.inode == asked);
        let is_doubtful = candidate_of(found, rotated).is_some_and(|found| {
            own.is_some_and(|own| own.is_doubtful_beside(found)) || held.is_of_floor(found)
        });
        // Nothing but the order says that one of which nothing is held came first.
        if held.offset == 0 && is_doubtful {
            return Ok(false);
        }
        if found.id.inode == asked || held.none_after_is_gone(rotated) {
            return Ok(true);
        }
        match held.offset {
            0 => Ok(false),
            offset if offset >= START_LEN as u64 => Ok(true),
            _ => self.is_unlike_others(found, held, rotated),
        }
    }

    /// Whether no file but the one that was found has what the client holds.
    fn is_unlike_others(
        &self,
        found: &Stat,
        held: &Held<'_>,
        rotated: &Candidates,
    ) -> Result<bool, Refusal> {
        let fits = |file: &S::File, stat: &Stat| {
            stat.id != found.id && self.fit(file, stat, held) == Fit::Whole
        };
        let live = self.open_live()?;
        let is_live = live.is_some_and(|(file, stat)| fits(&file, &stat));
        let may = |c: &Candidate| c.age.id != found.id && c.size >= held.offset;
        let other = self.find_rotated(Test::Whole, rotated, &may, &|file, stat| {
            Ok(fits(file, stat))
        })?;
        self.all_was_read()?;
        Ok(!is_live && other.is_none())
    }

    /// The files that somebody copied of what the client holds, when there was less of it.
    pub(super) fn copies_of_held(
        &self,
        held: &Held<'_>,
        live: Option<&(S::File, Stat)>,
        rotated: &Candidates,
    ) -> Result<Vec<FileId>, Refusal> {
        let findings = self.findings.ok_or(Refusal::Later)?;
        let may = |c: &Candidate| {
            let is_part = c.size > 0 && c.size <= held.offset;
            is_part && held.is_newer(c) && self.is_suspect(c, rotated, live)
        };
        let mut copies = Vec::new();
        for candidate in rotated.iter().filter(|c| may(c)) {
            let judge = || {
                let Some((file, stat)) = self.open_rotated(candidate.age.id)? else {
                    return Ok(0);
                };
                Ok(u32::from(self.fit(&file, &stat, held) != Fit::No))
            };
            if findings.score(Test::Held, candidate.age.id, judge)? > 0 {
                copies.push(candidate.age.id);
            }
        }
        Ok(copies)
    }

    /// The last block of what the client holds before which the file is the same, as far as that is
    /// proved; `None` if that is less than half: a log that begins anew with every start of the
    /// box often begins alike.
    pub(super) fn last_common(&self, file: &S::File, held: &Held<'_>) -> Option<Block> {
        let mut blocks = held.proof.clone();
        sort_by_key(&mut blocks, |block| block.end());
        let same = |block: &&Block| self.has_block(file, **block, held.mapped);
        let last = blocks.iter().take_while(same).last()?;
        (last.end() >= held.offset / 2).then_some(*last)
    }

    /// Compares a rotated file with what the client proves. That it cannot be read is noted of it,
    /// and of no other.
    fn fit_of(
        &self,
        candidate: &Candidate,
        file: &S::File,
        stat: &Stat,
        held: &Held<'_>,
    ) -> Result<Fit, Refusal> {
        let fit = self.fit(file, stat, held);
        let was_read = |findings: &Findings| findings.was_read(candidate.age.id);
        self.findings.map_or(Ok(()), was_read)?;
        Ok(fit)
    }

    /// Compares a file with what the client proves.
    pub(super) fn fit(&self, file: &S::File, stat: &Stat, held: &Held<'_>) -> Fit {
        let size = stat.size;
        if held.offset > 0 && size == 0 {
            return Fit::No;
        }
        let mut kept = held.fits.borrow_mut();
        let known = (kept.iter()).find(|(id, seen, _)| (*id, *seen) == (stat.id, size));
        let fits = match known {
            Some((_, _, fits)) => *fits,
            None => {
                let mut within = held.proof.iter().filter(|block| block.end() <= size);
                let fits = within.all(|block| self.has_block(file, *block, held.mapped));
                // The first ones are those that are asked about again.
                let _ = kept.push((stat.id, size, fits));
                fits
            }
        };
        if !fits && !mutation::is_on(Mutation::ProofNotChecked) {
            return Fit::No;
        }
        if size >= held.offset {
            Fit::Whole
        } else {
            Fit::Prefix
        }
    }
}
