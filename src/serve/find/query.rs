//! A question to the files of one log, and how they are opened to answer it.
//!
//! Pure: files are seen only through [`ReadStore`]. Rotated files are looked for when somebody
//! asks, never kept; that is [`super::search`]'s.

use std::borrow::Cow;
use std::net::IpAddr;
use std::path::Path;

use super::candidates::{Candidate, Candidates};
use super::crowd::Reached;
use super::findings::Findings;
use super::journal::Journal;
use super::journal::record::{Head, Seq, Standing, is_stray};
use super::left_out::LeftOut;
use super::place::{Place, candidate_of};
use super::refusal::{Refusal, is_lasting};
use crate::ids::{Born, FileId, Identity};
use crate::mutation::{self, Mutation};
use crate::serve::config::FileEntry;
use crate::store::{Kind, ReadStore, Stat};
use crate::wire::reply::Reply;
use crate::wire::request::Given;

/// A file that answers a request.
pub struct Choice<F> {
    /// The open file.
    pub file: F,
    /// What it was when it was opened; always a regular file.
    pub stat: Stat,
    /// Where the data start; never behind the end of the file.
    pub offset: u64,
    /// What to tell the client.
    pub reply: Reply,
    /// Whether it is the live file or a rotated one.
    pub place: Place,
    /// The rotated file that comes after it, as far as somebody wants to know.
    pub then: Option<FileId>,
    /// The generation in it.
    pub generation: Generation,
    /// Files that would have come before it, or that are the client's own, and are left out.
    pub left_out: Vec<LeftOut>,
}

/// A generation: the file that holds it, and its number in the journal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Generation {
    /// What identifies the file.
    pub identity: Identity,
    /// Its number; 0 for none.
    pub seq: Seq,
}

impl Generation {
    /// One of which only its file is known, for a classic client, which is told nothing of it.
    pub(super) fn unnumbered(stat: &Stat) -> Generation {
        let (id, born) = (stat.id, Born::Unknown);
        Generation {
            identity: Identity { id, born },
            seq: 0,
        }
    }
}

/// One question to the files of a log.
pub struct Query<'a, S> {
    /// The files.
    pub store: &'a S,
    /// The configured log that the request's path names.
    pub entry: &'a FileEntry,
    /// All configured logs.
    pub files: &'a [FileEntry],
    /// The number of that entry among them, under which journal and sightings know it.
    pub index: u32,
    /// What the server saw of the generations.
    pub journal: &'a Journal,
    /// What the client was given before.
    pub given: &'a [Given],
    /// Who asks.
    pub peer: IpAddr,
    /// How long a rotated file must have been quiet to count as complete, ending now, as
    /// nanoseconds since 1970: a rotated file written later than this may still be written to.
    pub quiet_since_ns: u64,
    /// How far the client has come, which decides which files are looked at where there are too
    /// many.
    pub reached: Reached,
    /// The rotated files. Without them, what cannot be told without them is [`Refusal::Later`].
    pub findings: Option<&'a Findings>,
}

impl<'a, S: ReadStore> Query<'a, S> {
    /// Opens the live file; `None` if there is none at the moment, and [`no_live`](Self::no_live)
    /// tells why. It is the one that the rotated files were found beside: an answer that opens it
    /// more than once must not get a second one.
    pub(super) fn open_live(&self) -> Result<Option<(S::File, Stat)>, Refusal> {
        let live = match open_regular(self.store, &self.live_path()) {
            Ok(opened) => Some(opened),
            // The rotated files can be served nevertheless.
            Err(Refusal::Missing | Refusal::NotRegular(_)) => None,
            Err(other) => return Err(other),
        };
        if let Some(findings) = self.findings {
            findings.rotated(live.as_ref().map(|(_, stat)| stat.id))?;
        }
        Ok(live)
    }

    /// Where the live file is; an empty path where there is none.
    pub fn live_path(&self) -> Cow<'a, Path> {
        self.journal.live_path(self.index, self.entry)
    }

    /// The path from which those of the rotated files come; an empty one where each has a name of
    /// its own.
    pub(super) fn stem(&self) -> &'a Path {
        match self.journal.is_series(self.index) {
            true => Path::new(""),
            false => &self.entry.path,
        }
    }

    /// Gives the rotated files that were found what the journal knows of them.
    pub(super) fn take_in(&self, rotated: &mut Candidates) {
        if mutation::is_on(Mutation::JournalIgnored) {
            return;
        }
        for candidate in rotated.iter_mut() {
            candidate.standing = self.journal.standing(self.index, candidate.identity());
            if let Standing::Generation(seq) = candidate.standing {
                candidate.age.seq = seq;
                let (size, written_ns) = (candidate.size, candidate.written_ns);
                self.journal
                    .note_seen(self.index, seq, size, written_ns, Head::default());
            }
        }
        // What was not looked at may be there.
        if !rotated.is_cut() {
            let mut present = rotated.iter().map(|c| c.identity());
            self.journal.forget_all_but(self.index, &mut present);
        }
        // One of these may be the live file by now: nothing comes before the next look at a series.
        rotated.keep_only(&|c| self.journal.has_met(self.index, c));
        if rotated
            .iter()
            .any(|c| self.journal.has_turned_since(self.index, c, self.store))
        {
            self.journal.expect(self.index);
            rotated.note_overtaken();
        }
    }

    /// What identifies an open file.
    pub fn identity(&self, file: &S::File, stat: &Stat) -> Identity {
        Identity {
            id: stat.id,
            born: self.store.birth_of(file, stat.id.device).born,
        }
    }

    /// The number of the generation that a file holds; 0 if it has none.
    pub fn seq_of(&self, identity: Identity) -> Seq {
        let record = self.journal.record_of(self.index, identity);
        record.map_or(0, |record| record.seq)
    }

    /// The number of the newest generation that the journal knows; 0 if it knows none.
    pub(super) fn newest_seq(&self) -> Seq {
        let records = self.journal.records(self.index);
        records.last().map_or(0, |record| record.seq)
    }

    /// The number of a generation, if the journal still has it: then it knows what came after.
    pub fn known_seq(&self, seq: Seq) -> Option<Seq> {
        let record = if is_stray(seq) { seq + 1 } else { seq };
        let is_known = seq > 0
            && self.journal.knows_order(self.index)
            && self.journal.record(self.index, record).is_some();
        (is_known && !mutation::is_on(Mutation::JournalIgnored)).then_some(seq)
    }

    /// Whether nothing can have come between the generation with this number and the one before,
    /// nor anything of its own have gone, that nobody saw.
    pub(super) fn knows_begin(&self, seq: Seq) -> bool {
        let record = self.journal.record(self.index, seq);
        record.is_some_and(|record| record.is_next)
    }

    /// Whether there is a live file that can be served.
    pub fn has_live(&self) -> bool {
        matches!(self.open_live(), Ok(Some(_)))
    }

    /// Why there is no live file.
    pub(super) fn no_live(&self) -> Refusal {
        let seen = self.store.stat_path(&self.live_path());
        match seen.map(|stat| stat.kind) {
            Ok(kind) if kind != Kind::Regular => Refusal::NotRegular(kind),
            // One that came this moment is found when the client asks again.
            _ => Refusal::Missing,
        }
    }

    /// Whether a file is one of the rotated ones, as far as there are findings.
    pub fn is_rotated(&self, id: FileId) -> bool {
        let path = self.findings.and_then(|findings| findings.path_of(id));
        path.is_some()
    }

    /// The live file, if there is one.
    pub fn live_id(&self) -> Option<FileId> {
        let stat = self.store.stat_path(&self.live_path()).ok()?;
        (stat.kind == Kind::Regular).then_some(stat.id)
    }

    /// The rotated files, without the live one.
    pub(super) fn candidates(&self, live: Option<FileId>) -> Result<&'a Candidates, Refusal> {
        let rotated = self.findings.ok_or(Refusal::Later)?.rotated(live)?;
        self.survey_ring(rotated)?;
        Ok(rotated)
    }

    /// Opens this rotated file, one of the [`candidates`](Self::candidates); `None` if we are not
    /// permitted to read it, or have tried it often enough: then it is noted as left out.
    pub(super) fn open_rotated(&self, id: FileId) -> Result<Option<(S::File, Stat)>, Refusal> {
        let findings = self.findings.ok_or(Refusal::Unsettled)?;
        let path = findings.path_of(id).ok_or(Refusal::Unsettled)?;
        self.open_found(id, path, findings)
    }

    /// The same for a file of the search that may be compressed.
    pub(super) fn open_found(
        &self,
        id: FileId,
        path: &Path,
        findings: &Findings,
    ) -> Result<Option<(S::File, Stat)>, Refusal> {
        if findings.is_given_up(id) || findings.why_left_out(id).is_some() {
            return Ok(None);
        }
        findings.may_open()?;
        match open_regular(self.store, path) {
            Ok((file, stat)) if stat.id == id => Ok(Some((file, stat))),
            Err(Refusal::Unreadable(error)) if is_lasting(&error) => {
                findings.note_shut(id);
                Ok(None)
            }
            Err(Refusal::Unreadable(error)) => {
                findings.note_failed(id, &error);
                Err(Refusal::Unreadable(error))
            }
            // It was renamed since it was seen.
            Ok(_) | Err(_) => Err(Refusal::Unsettled),
        }
    }

    /// Opens the oldest of the rotated files that are newer than `after` in an order and that we
    /// are permitted to read.
    pub(super) fn open_newer<T: Ord + Copy>(
        &self,
        rotated: &Candidates,
        order: impl Fn(&Candidate) -> T,
        after: T,
    ) -> Result<Option<(S::File, Stat)>, Refusal> {
        let mut after = after;
        loop {
            let newer = rotated.iter().filter(|c| order(c) > after);
            let Some(next) = newer.min_by_key(|c| order(c)) else {
                return Ok(None);
            };
            let opened = self.open_rotated(next.age.id)?;
            if opened.is_some() {
                return Ok(opened);
            }
            after = order(next);
        }
    }

    /// The files that were left out on the way to the one that was found, among those that `may`
    /// be it. `None` stands for the live file, which comes after all of them.
    pub(super) fn left_out(
        &self,
        rotated: &Candidates,
        may: &dyn Fn(&Candidate) -> bool,
        found: Option<&Stat>,
    ) -> Vec<LeftOut> {
        let Some(findings) = self.findings else {
            return Vec::new();
        };
        let found = found.and_then(|stat| candidate_of(stat, rotated));
        let passed = rotated.iter().filter(|c| may(c));
        let passed = passed.filter(|c| found.is_none_or(|found| c.age < found.age));
        let why = |c: &Candidate| findings.why_left_out(c.age.id);
        let mut left_out: Vec<LeftOut> = passed
            .filter_map(|c| Some(LeftOut::new(c, why(c)?)))
            .collect();
        left_out.extend(self.unseen(rotated, found.is_some()));
        left_out
    }

    /// What was not even looked at and would have come before what was found, if anything was.
    pub(super) fn unseen(&self, rotated: &Candidates, is_found: bool) -> Option<LeftOut> {
        let is_lacking = rotated.lacks_any() || (!is_found && rotated.lacks_unsent());
        is_lacking.then(|| LeftOut::too_many(&self.entry.path))
    }

    /// The same for one rotated file.
    pub(super) fn left_out_itself(&self, candidate: &Candidate) -> Option<LeftOut> {
        let why = self.findings?.why_left_out(candidate.age.id)?;
        Some(LeftOut::new(candidate, why))
    }
}

/// Opens a path and makes sure of what it got. What stands there is looked at first only for the
/// message's sake.
#[inline(never)]
pub fn open_regular<S: ReadStore>(store: &S, path: &Path) -> Result<(S::File, Stat), Refusal> {
    // Opening a FIFO or a device could block or have an effect.
    let seen = store.stat_path(path)?;
    if seen.kind != Kind::Regular {
        return Err(Refusal::NotRegular(seen.kind));
    }
    // The name may lead elsewhere by now, so what counts is the file that is open.
    let file = store.open(path)?;
    let stat = store.stat(&file)?;
    match stat.kind {
        Kind::Regular => Ok((file, stat)),
        other => Err(Refusal::NotRegular(other)),
    }
}
