//! The survey with which the journal of a log begins: which rotated files are there already. Pure.

use crate::ids::Identity;
use crate::serve::config::{Config, FileEntry};
use crate::serve::find::crowd::Reached;
use crate::serve::find::search::Scan;
use crate::store::ReadStore;

/// A survey under way.
pub struct Survey {
    index: u32,
    scan: Box<Scan>,
}

/// What a survey finds; `None` where no two looks agree, or something could not be looked at.
pub type Found = Option<Vec<Identity>>;

impl Survey {
    /// Begins to look through the rotated files of a log.
    pub fn new<S: ReadStore>(index: u32, config: &Config, store: &S) -> Option<Survey> {
        let entry = config.files.get(index as usize)?;
        let live = store.stat_path(&entry.path).ok().map(|stat| stat.id);
        Some(Survey {
            index,
            scan: Box::new(Scan::new(&entry.patterns, live, Reached::default())),
        })
    }

    /// The number of the log.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Does a part. Tells what it has found once that is over.
    pub fn advance<S: ReadStore>(
        &mut self,
        entry: &FileEntry,
        config: &Config,
        store: &S,
    ) -> Option<Found> {
        match self.scan.advance(entry, &config.files, store) {
            Ok(None) => None,
            Ok(Some((_, rotated))) => Some(Some(rotated.iter().map(|c| c.identity()).collect())),
            Err(_) => Some(None),
        }
    }
}
