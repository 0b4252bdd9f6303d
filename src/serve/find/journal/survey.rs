//! The survey with which the journal of a log begins: which rotated files are there already. Pure.

use crate::serve::config::{Config, FileEntry};
use crate::serve::find::candidates::Candidates;
use crate::serve::find::crowd::Reached;
use crate::serve::find::scan::Scan;
use crate::store::ReadStore;

/// A survey under way.
pub struct Survey {
    index: u32,
    scan: Box<Scan>,
}

/// What a survey finds; `None` where no two looks agree, or something could not be looked at.
pub(super) type Found = Option<Candidates>;

impl Survey {
    /// Begins to look through the rotated files of a log, or through all files of a series.
    pub fn new<S: ReadStore>(
        index: u32,
        is_series: bool,
        config: &Config,
        store: &S,
    ) -> Option<Survey> {
        let entry = config.files.get(index as usize)?;
        let live = || store.stat_path(&entry.path).ok().map(|stat| stat.id);
        let live = if is_series { None } else { live() };
        Some(Survey {
            index,
            scan: Box::new(Scan::new(
                &entry.patterns,
                live,
                is_series,
                Reached::default(),
            )),
        })
    }

    /// The number of the log.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Does a part. Tells what it has found once that is over.
    pub(super) fn advance<S: ReadStore>(
        &mut self,
        entry: &FileEntry,
        config: &Config,
        store: &S,
    ) -> Option<Found> {
        match self.scan.advance(entry, &config.files, store) {
            Ok(None) => None,
            Ok(Some((_, rotated))) => Some(Some(rotated)),
            Err(_) => Some(None),
        }
    }
}
