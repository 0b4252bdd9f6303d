//! Looking for a file among the rotated ones of a log, in parts, so that nobody else waits for it. Pure.
//!
//! First the globs are walked through, entry by entry, until two looks agree ([`Research::advance`]). Then a [`Query`]
//! with the [`Findings`] judges the files by what is in them, a few at a time: where it has done enough for the moment
//! it answers [`Refusal::Later`], and is asked again. What it has found out by then is kept.

use std::cell::{Cell, RefCell};
use std::io;
use std::path::{Path, PathBuf};

use super::catalog::{Query, Refusal};
use super::glob::{Progress, TooMuch, Walk};
use super::order::{self, Age, Series};
use crate::ids::Inode;
use crate::limits::{CANDIDATES_MAX, JUDGED_AT_ONCE, LOOKS_MAX, WALKED_AT_ONCE};
use crate::store::{Kind, ReadStore, Stat};

/// A search under way.
pub struct Research {
    occasion: Occasion,
    /// How often it began before.
    repeats: usize,
    stage: Stage,
}

/// Why somebody searches. What was found on one occasion is too old for the next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Occasion {
    /// A client asks for the log.
    Request,
    /// The first bytes of a generation were read.
    Begun(Begun),
    /// A file of which nothing was sent may have been emptied.
    Emptied,
    /// A file no longer holds what was sent of it.
    Truncated,
    /// Another file has the name of one that is still being sent.
    Superseded,
    /// A file has been replaced by another.
    Rotated,
}

/// The first bytes of a generation, as far as they were read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Begun {
    /// How many.
    pub len: usize,
    /// Their checksum.
    pub crc: u32,
}

enum Stage {
    Walking(Box<Survey>),
    Judging(Box<Findings>),
}

impl Research {
    /// Begins. Whatever happens to the names from here on is noticed.
    pub fn new<S: ReadStore>(occasion: Occasion, query: &Query<'_, S>) -> Research {
        Research {
            occasion,
            repeats: 0,
            stage: Stage::Walking(Box::new(Survey::new(query))),
        }
    }

    /// Begins anew, because something was renamed since it was found; `None` if that happens all the time.
    pub fn again<S: ReadStore>(findings: &Findings, query: &Query<'_, S>) -> Option<Research> {
        let repeats = findings.repeats + 1;
        (repeats < LOOKS_MAX).then(|| Research {
            repeats,
            ..Research::new(findings.occasion, query)
        })
    }

    /// What it is for.
    pub fn occasion(&self) -> Occasion {
        self.occasion
    }

    /// Does a part of the walk, if that is not over, or lets the findings judge some more files.
    pub fn advance<S: ReadStore>(&mut self, store: &S) -> Result<Option<&Findings>, Refusal> {
        if let Stage::Walking(survey) = &mut self.stage {
            let Some((live, rotated)) = survey.advance(store)? else {
                return Ok(None);
            };
            let findings = Findings {
                repeats: self.repeats,
                ..Findings::new(self.occasion, live, rotated)
            };
            self.stage = Stage::Judging(Box::new(findings));
        }
        Ok(match &self.stage {
            Stage::Walking(_) => None,
            Stage::Judging(findings) => {
                findings.credit.set(JUDGED_AT_ONCE);
                findings.is_paused.set(false);
                Some(findings)
            }
        })
    }
}

/// What a search has found out so far.
pub struct Findings {
    occasion: Occasion,
    repeats: usize,
    /// The live file when the first look began.
    live: Option<Inode>,
    rotated: Candidates,
    verdicts: RefCell<Vec<Verdict>>,
    /// Files that may still be judged in this part.
    credit: Cell<usize>,
    is_paused: Cell<bool>,
    /// Why the bytes of a file could not be compared.
    unread: Cell<Option<io::Error>>,
}

/// What is asked of one rotated file after another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Question {
    /// Whether it is a generation of its own, and no copy of the live file.
    Own,
    /// Whether it is a copy of what was sent.
    Copy,
    /// Whether it holds what the client proves and was written since.
    Since,
    /// Whether it holds what the client proves.
    Whole,
    /// Whether it is the start of what the client holds.
    Prefix,
    /// How much it is like what the client holds.
    Likeness,
}

struct Verdict {
    question: Question,
    inode: Inode,
    score: u32,
}

impl Findings {
    fn new(occasion: Occasion, live: Option<Inode>, rotated: Candidates) -> Findings {
        Findings {
            occasion,
            repeats: 0,
            live,
            rotated,
            verdicts: RefCell::default(),
            credit: Cell::new(JUDGED_AT_ONCE),
            is_paused: Cell::new(false),
            unread: Cell::default(),
        }
    }

    /// What they are for.
    pub fn occasion(&self) -> Occasion {
        self.occasion
    }

    /// Whether the last query stopped for no other reason than that it had done enough for the moment.
    pub fn is_paused(&self) -> bool {
        self.is_paused.get()
    }

    /// The rotated files, while `live` is the live one. If it is another now, they may have changed their names since.
    pub(super) fn rotated(&self, live: Option<Inode>) -> Result<&Candidates, Refusal> {
        match self.live == live {
            true => Ok(&self.rotated),
            false => Err(Refusal::Unsettled),
        }
    }

    /// Where a rotated file is.
    pub(super) fn path_of(&self, inode: Inode) -> Option<&Path> {
        let found = self.rotated.iter().find(|c| c.age.inode == inode);
        found.map(|c| c.path.as_path())
    }

    /// The bytes of a file could not be read: for once, perhaps, so that nothing may be concluded.
    pub(super) fn note_unread(&self, error: io::Error) {
        self.unread.set(Some(error));
    }

    /// Fails if that happened since this was asked last.
    pub(super) fn all_was_read(&self) -> Result<(), Refusal> {
        match self.unread.take() {
            Some(error) => Err(Refusal::Unreadable(error)),
            None => Ok(()),
        }
    }

    /// The answer to a question about one file, which `judge` finds at most once.
    pub(super) fn score(
        &self,
        question: Question,
        inode: Inode,
        judge: impl FnOnce() -> Result<u32, Refusal>,
    ) -> Result<u32, Refusal> {
        let is_it = |verdict: &&Verdict| verdict.question == question && verdict.inode == inode;
        if let Some(known) = self.verdicts.borrow().iter().find(is_it) {
            return Ok(known.score);
        }
        let Some(credit) = self.credit.get().checked_sub(1) else {
            self.is_paused.set(true);
            return Err(Refusal::Later);
        };
        self.credit.set(credit);
        let score = judge()?;
        if question != Question::Likeness {
            self.all_was_read()?;
        }
        self.verdicts.borrow_mut().push(Verdict {
            question,
            inode,
            score,
        });
        Ok(score)
    }
}

/// The rotated files that may answer.
pub(super) type Candidates = heapless::Vec<Candidate, CANDIDATES_MAX>;

/// A rotated file that may answer.
#[derive(Clone)]
pub(super) struct Candidate {
    /// Its place among the others.
    pub age: Age,
    /// Its last write, whatever its name says.
    pub written_ns: u64,
    /// Its size.
    pub size: u64,
    /// See [`order::series`].
    series: Option<Series>,
    path: PathBuf,
}

/// Whether the rotated files are numbered, and their order is that of the numbers, whatever their times say.
pub(super) fn are_numbered(rotated: &Candidates) -> bool {
    let mut ages: heapless::Vec<Age, CANDIDATES_MAX> = rotated.iter().map(|c| c.age).collect();
    let mut ages: heapless::Vec<&mut Age, CANDIDATES_MAX> = ages.iter_mut().collect();
    series_of(rotated).is_some_and(|series| series.counts) && order::names_decide(&mut ages)
}

/// The series that all rotated files belong to, if it is one.
fn series_of(rotated: &Candidates) -> Option<Series> {
    let series = rotated.first().and_then(|first| first.series);
    series.filter(|_| rotated.iter().all(|c| c.series == series))
}

/// Finds the rotated files. One that is renamed while they are looked at can be missed, so two looks have to agree:
/// what is overlooked here would never reach the client.
struct Survey {
    live: Option<Inode>,
    walk: Walk,
    found: Candidates,
    /// What the look before this one found.
    before: Option<Candidates>,
    looks: usize,
}

impl Survey {
    fn new<S: ReadStore>(query: &Query<'_, S>) -> Survey {
        Survey {
            live: query.live_inode(),
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

    /// Takes in what the walk has found, if it is a regular, uncompressed file and was not found before. Where there
    /// are more than [`CANDIDATES_MAX`], the newest are kept.
    fn consider<S: ReadStore>(&mut self, store: &S) {
        let path = self.walk.found();
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
        let is_known = || self.found.iter().any(|c| c.age.inode == inode);
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
            // For lack of descriptors or memory, say, which passes: nothing may be concluded from half of the files.
            Err(error) if !is_lasting(&error) => return Err(Refusal::Unreadable(error)),
            _ => {}
        }
        let mut found = std::mem::take(&mut self.found);
        if series_of(&found).is_some() {
            let mut ages: heapless::Vec<&mut Age, CANDIDATES_MAX> =
                found.iter_mut().map(|c| &mut c.age).collect();
            order::follow_names(&mut ages);
        }
        self.looks += 1;
        if self
            .before
            .as_ref()
            .is_some_and(|before| is_same(before, &found))
        {
            return Ok(Some(found));
        }
        if self.looks >= LOOKS_MAX {
            return Err(Refusal::Unsettled);
        }
        self.before = Some(found);
        self.walk.restart();
        Ok(None)
    }
}

impl Candidate {
    /// Whether it counts as newer than `floor_ns` for its name only, and is the very file whose last write that is: then
    /// its name misleads.
    pub fn is_at_floor(&self, floor_ns: u64) -> bool {
        self.written_ns == floor_ns && self.age.mtime_ns() > floor_ns
    }

    fn new(path: &Path, stat: &Stat) -> Candidate {
        Candidate {
            age: Age::of(path, stat),
            written_ns: stat.mtime_ns,
            size: stat.size,
            series: order::series(path),
            path: path.to_path_buf(),
        }
    }
}

/// Whether two looks have seen the same files under the same names; they may have been written to in between.
fn is_same(before: &Candidates, now: &Candidates) -> bool {
    let is_same = |(a, b): (&Candidate, &Candidate)| a.age.inode == b.age.inode && a.path == b.path;
    before.len() == now.len() && before.iter().zip(now).all(is_same)
}

/// Whether an error will be the same at the next try, so that waiting for it to pass would be for ever.
pub(super) fn is_lasting(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
        || error.get_ref().is_some_and(|inner| inner.is::<TooMuch>())
}

/// Asks until there is an answer, as a session does.
#[cfg(test)]
pub(crate) fn search<S: ReadStore, T>(
    query: &Query<'_, S>,
    mut ask: impl FnMut(&Query<'_, S>) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    let mut research = Research::new(Occasion::Request, query);
    let mut tries = 1;
    loop {
        let Some(findings) = research.advance(query.store)? else {
            continue;
        };
        let query = Query {
            findings: Some(findings),
            ..*query
        };
        match ask(&query) {
            Err(Refusal::Later) => assert!(findings.is_paused()),
            Err(Refusal::Unsettled) if tries < LOOKS_MAX => {
                tries += 1;
                research = Research::new(Occasion::Request, &query);
            }
            result => return result,
        }
    }
}
