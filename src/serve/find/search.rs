//! The search for a file among the rotated ones of a log, in parts, so that nobody else waits for
//! it. Pure.
//!
//! First the globs are walked through, entry by entry, until two looks agree ([`Search::advance`]).
//! Then a [`Query`] with the [`Findings`] judges the files by what is in them, a few at a time:
//! where it has done enough for the moment it answers [`Refusal::Later`], and is asked again. What
//! it has found out by then is kept.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::candidates::{Candidate, Candidates, arrange, is_same};
use super::crowd::Reached;
use super::findings::{Findings, Occasion, is_lasting};
use super::journal::record::Seq;
use super::query::Query;
use super::refusal::Refusal;
use crate::ids::FileId;
use crate::limits::{LOOKS_MAX, WALKED_AT_ONCE};
use crate::serve::config::FileEntry;
use crate::serve::glob::{Patterns, Progress, Walk, uncompressed};
use crate::store::{Kind, ReadStore};

/// A search under way.
pub struct Search {
    occasion: Occasion,
    /// How often it began before.
    repeats: usize,
    /// The newest generation that the journal knew when it began.
    newest_seq: Seq,
    stage: Stage,
}

enum Stage {
    Walking(Box<Scan>),
    Judging(Box<Findings>),
}

impl Search {
    /// Begins. Whatever happens to the names from here on is noticed.
    pub fn new<S: ReadStore>(occasion: Occasion, query: &Query<'_, S>) -> Search {
        // Before the first look, so that a rotation in the middle of it shows as another live file.
        let live = query.live_id();
        let is_series = query.journal.is_series(query.index);
        let scan = Scan::new(&query.entry.patterns, live, is_series, query.reached);
        Search {
            occasion,
            repeats: 0,
            newest_seq: query.newest_seq(),
            stage: Stage::Walking(Box::new(scan)),
        }
    }

    /// Begins anew, because something was renamed since it was found; `None` if that happens all
    /// the time.
    pub fn again<S: ReadStore>(findings: &Findings, query: &Query<'_, S>) -> Option<Search> {
        let repeats = findings.repeats() + 1;
        (repeats < LOOKS_MAX).then(|| Search {
            repeats,
            ..Search::new(findings.occasion(), query)
        })
    }

    /// What it is for.
    pub fn occasion(&self) -> Occasion {
        self.occasion
    }

    /// Whether the journal has seen no other generation begin since: what was copied before that is
    /// not among what was found.
    pub fn is_up_to_date<S: ReadStore>(&self, query: &Query<'_, S>) -> bool {
        self.newest_seq == query.newest_seq()
    }

    /// What it has found, once the walk is over. Some more files may be judged.
    pub fn findings(&self) -> Option<&Findings> {
        match &self.stage {
            Stage::Walking(_) => None,
            Stage::Judging(findings) => {
                findings.resume();
                Some(findings)
            }
        }
    }

    /// Does a part of the walk, if that is not over, or lets the findings judge some more files.
    pub fn advance<S: ReadStore>(
        &mut self,
        query: &Query<'_, S>,
    ) -> Result<Option<&Findings>, Refusal> {
        if let Stage::Walking(scan) = &mut self.stage {
            let Some((live, mut rotated)) = scan.advance(query.entry, query.files, query.store)?
            else {
                return Ok(None);
            };
            query.take_in(&mut rotated);
            let findings = Findings::new(self.occasion, self.repeats, live, rotated);
            self.stage = Stage::Judging(Box::new(findings));
            // To judge a file takes as many calls as a part may make. What changes until the next
            // part is noticed there.
            return Ok(None);
        }
        Ok(self.findings())
    }
}

/// Finds the rotated files. One that is renamed while they are looked at can be missed, so two
/// looks have to agree: what is overlooked here would never reach the client.
pub(super) struct Scan {
    live: Option<FileId>,
    /// Each file has a name of its own.
    is_series: bool,
    reached: Reached,
    walk: Walk,
    found: Candidates,
    /// What the look before this one found.
    before: Option<Candidates>,
    looks: usize,
}

impl Scan {
    /// Begins, while `live` is the live file, for a client that has come so far.
    pub(super) fn new(
        patterns: &Patterns,
        live: Option<FileId>,
        is_series: bool,
        reached: Reached,
    ) -> Scan {
        Scan {
            live,
            is_series,
            reached,
            walk: Walk::new(patterns),
            found: Candidates::default(),
            before: None,
            looks: 0,
        }
    }

    /// Takes some steps. Tells the live file and the rotated files once that is settled.
    #[allow(clippy::type_complexity)]
    #[inline(never)]
    pub(super) fn advance<S: ReadStore>(
        &mut self,
        entry: &FileEntry,
        files: &[FileEntry],
        store: &S,
    ) -> Result<Option<(Option<FileId>, Candidates)>, Refusal> {
        for _ in 0..WALKED_AT_ONCE {
            match self.walk.advance(store) {
                Progress::On => {}
                Progress::Found => {
                    let path = self.walk.found().to_path_buf();
                    self.consider(&path, entry, files, store);
                }
                Progress::Over => {
                    for path in store.held_paths(&entry.path) {
                        self.consider(&path, entry, files, store);
                    }
                    let agreed = self.end_look(entry)?;
                    return Ok(agreed.map(|rotated| (self.live, rotated)));
                }
            }
        }
        Ok(None)
    }

    /// Takes in what the walk has found, if it is a regular file and was not found before, and is
    /// kept if there are too many.
    #[inline(never)]
    fn consider<S: ReadStore>(
        &mut self,
        path: &Path,
        entry: &FileEntry,
        files: &[FileEntry],
        store: &S,
    ) {
        // What another log is written to is none of this one, whatever the glob finds.
        if files
            .iter()
            .any(|other| other.path == path && other.path != entry.path)
        {
            return;
        }
        let stat = match store.stat_path(path) {
            Ok(stat) => stat,
            Err(error) => {
                self.walk.note(error);
                return;
            }
        };
        // Several patterns, or a hard link, may lead to the same file.
        let is_known = || {
            let mut all = self.found.iter().chain(self.found.archives());
            all.any(|c| c.age.id == stat.id)
        };
        // A glob such as `/var/log/messages*` finds the live file as well.
        if stat.kind != Kind::Regular || Some(stat.id) == self.live || is_known() {
            return;
        }
        let candidate = Candidate::new(path, &stat, store.birth(path, stat.id.device));
        // It is no log any more; what was in it cannot be compared.
        match uncompressed(path.as_os_str().as_bytes()) {
            Some(_) => self.found.push_archive(candidate),
            None => self.reached.keep(&mut self.found, candidate),
        }
    }

    /// One look is over: tells what it found if the one before has found the same.
    fn end_look(&mut self, entry: &FileEntry) -> Result<Option<Candidates>, Refusal> {
        let mut found = std::mem::take(&mut self.found);
        match self.walk.end() {
            // For lack of descriptors or memory, say, which passes: nothing may be concluded from
            // half of the files.
            Err(error) if !is_lasting(&error) => return Err(Refusal::Unreadable(error)),
            Err(_) => found.note_too_much(),
            Ok(()) => {}
        }
        let live = match self.is_series {
            true => Path::new(""),
            false => &entry.path,
        };
        arrange(live, &mut found);
        self.looks += 1;
        // Of a client that told no more than its inode the file tells what it has still to be
        // sent. What was kept without knowing that may be too new.
        if let Some(own) = self.reached.own
            && self.reached.floor_ns.is_none()
            && found.is_cut()
            && let Some(own) = found.iter().find(|c| c.age.id.inode == own)
        {
            self.reached.floor_ns = Some(own.written_ns);
            self.walk.restart();
            return Ok(None);
        }
        if self
            .before
            .as_ref()
            .is_some_and(|before| is_same(before, &found))
        {
            return Ok(Some(found));
        }
        // A directory that never comes to rest must not hold the client for ever; it asks again.
        if self.looks >= LOOKS_MAX {
            return Err(Refusal::Unsettled);
        }
        self.before = Some(found);
        self.walk.restart();
        Ok(None)
    }
}
