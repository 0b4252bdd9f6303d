//! The walk through the globs of a log, in parts, until two looks have found the same. Pure.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::candidates::{Candidate, Candidates, arrange_beside, is_same};
use super::crowd::Reached;
use super::refusal::{Refusal, is_lasting};
use crate::ids::FileId;
use crate::limits::{LOOKS_MAX, WALKED_AT_ONCE};
use crate::serve::config::FileEntry;
use crate::serve::glob::{Patterns, Progress, Walk, uncompressed};
use crate::store::{Kind, ReadStore};

/// Finds the rotated files. One that is renamed while they are looked at can be missed, so two
/// looks have to agree: what is overlooked here would never reach the client.
pub(super) struct Scan {
    live: Option<FileId>,
    /// Each file has a name of its own.
    is_series: bool,
    reached: Reached,
    walk: Walk,
    found: Candidates,
    /// The live file of a series, as one of those whose names tell their order.
    live_found: Option<Candidate>,
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
            live_found: None,
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
        if stat.kind != Kind::Regular || is_known() {
            return;
        }
        let candidate = || Candidate::new(path, &stat, store.birth(path, stat.id.device));
        // A glob such as `/var/log/messages*` finds the live file as well.
        if Some(stat.id) == self.live {
            self.live_found = self.is_series.then(candidate);
            return;
        }
        let candidate = candidate();
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
            Err(error) if !is_lasting(&error) => {
                return Err(Refusal::unreadable(error));
            }
            Err(_) => found.note_too_much(),
            Ok(()) => {}
        }
        let live = match self.is_series {
            true => Path::new(""),
            false => &entry.path,
        };
        let live_found = self.live_found.take();
        arrange_beside(live_found, live, &mut found);
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
