//! The journal of a server: which generations each log had since the server began to look. Pure.
//!
//! What the server saw itself counts more than any inference from names, times or bytes. For each
//! configured log the journal has a record of each generation that was seen at the live path, in
//! their order, and remembers which rotated files were there before. So it knows of a file whether
//! it is a generation, which one, and whether it was never more than somebody's copy.
//!
//! Nothing of it is kept when the server ends: another journal has another [`Journal::epoch`].

pub mod arrivals;
mod glimpse;
mod log;
pub mod record;
pub mod survey;

use std::borrow::Cow;
use std::cell::{Ref, RefCell, RefMut};
use std::path::Path;

use self::arrivals::Arrival;
use self::log::Log;
use self::log::series::Series;
use self::record::{Head, Record, Seq, Standing};
use self::survey::Survey;
use crate::ids::{FileId, Identity, Inode};
use crate::serve::config::{Config, FileEntry};
use crate::serve::find::candidates::Candidate;
use crate::store::ReadStore;

/// What the server saw of the generations of all logs. It is shared by all sessions.
pub struct Journal {
    epoch: u32,
    logs: RefCell<Vec<Log>>,
    survey: RefCell<Option<Survey>>,
    /// Logs where a look met a file of which nobody has heard yet.
    behind: RefCell<Vec<u32>>,
    /// Series that were looked through: another file may be the live one.
    moved: RefCell<Vec<u32>>,
}

impl Journal {
    /// Nothing was seen yet. `epoch` tells one run of the server from another.
    pub fn new(epoch: u32) -> Journal {
        Journal {
            epoch,
            logs: RefCell::default(),
            survey: RefCell::default(),
            behind: RefCell::default(),
            moved: RefCell::default(),
        }
    }

    /// The number of this run of the server.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Takes up a configuration: logs that it keeps keep their records.
    pub fn take_up(&self, config: &Config) {
        let mut logs = self.logs.borrow_mut();
        let mut before = std::mem::take(&mut *logs);
        self.behind.take();
        self.moved.take();
        for entry in &config.files {
            let known = before.iter().position(|log| log.is_of(entry));
            let mut log = match known {
                Some(at) => before.swap_remove(at),
                None => Log::new(entry),
            };
            if let Some(series) = log.series_mut() {
                series.set_under_way(false);
                series.expect();
            }
            logs.push(log);
        }
        // The number of the log that was being looked through may be another's now.
        *self.survey.borrow_mut() = None;
    }

    /// Takes up one log that has this number now, and forgets what had it before.
    pub fn take_up_one(&self, index: u32, entry: &FileEntry) {
        let mut logs = self.logs.borrow_mut();
        match logs.get_mut(index as usize) {
            Some(log) => *log = Log::new(entry),
            None => logs.push(Log::new(entry)),
        }
        self.behind.borrow_mut().retain(|of| *of != index);
        self.moved.borrow_mut().retain(|of| *of != index);
        let mut survey = self.survey.borrow_mut();
        if survey
            .as_ref()
            .is_some_and(|survey| survey.index() == index)
        {
            *survey = None;
        }
    }

    /// Takes up a configuration, and looks all there is through at once, for whoever only wants to
    /// know what there is now.
    pub fn settle<S: ReadStore>(&self, config: &Config, store: &S) {
        self.take_up(config);
        for (index, entry) in (0..).zip(&config.files) {
            let _ = self.look(index, &entry.path, store);
        }
        while self.has_work() {
            self.work(config, store);
        }
    }

    /// Looks at what stands at the path of a log, or at the live file of a series. `false` where
    /// that is a file of which the system has told already, and nobody has listened: others may
    /// have come and gone before it. Then nothing is decided before
    /// [`note_arrivals`](Self::note_arrivals); in a series, before [`work`](Self::work) has looked
    /// through its files.
    #[must_use]
    #[inline(never)]
    pub fn look<S: ReadStore>(&self, index: u32, path: &Path, store: &S) -> bool {
        let mut logs = self.logs.borrow_mut();
        let Some(log) = logs.get_mut(index as usize) else {
            return true;
        };
        let is_abreast = log.look(path, store);
        let mut behind = self.behind.borrow_mut();
        if !is_abreast && log.is_settled() && !behind.contains(&index) {
            behind.push(index);
        }
        is_abreast
    }

    /// Whether each file of a log has a name of its own.
    pub fn is_series(&self, index: u32) -> bool {
        self.read(index, |log| log.own_live().is_some()) == Some(true)
    }

    /// Whether the live file of a log is known, as far as the system has told of changes.
    pub fn is_settled(&self, index: u32) -> bool {
        self.read(index, Log::is_settled).unwrap_or(true)
    }

    /// Whether a file was there when the files of a series were looked through last; of any other
    /// log each was.
    pub(super) fn has_met(&self, index: u32, candidate: &Candidate) -> bool {
        let ask = |log: &Log| log.series().is_none_or(|series| series.has_met(candidate));
        self.read(index, ask).unwrap_or(true)
    }

    /// Whether a file of a ring has begun anew since the files were looked through last.
    pub(super) fn has_turned_since<S: ReadStore>(
        &self,
        index: u32,
        candidate: &Candidate,
        store: &S,
    ) -> bool {
        self.read(index, |log| log.has_turned_since(candidate, store)) == Some(true)
    }

    /// The files of a series are to be looked through: something has changed.
    pub fn expect(&self, index: u32) {
        self.with_series(index, Series::expect);
    }

    /// Where the live file of a log is; an empty path where a series has none.
    #[inline(never)]
    pub fn live_path<'a>(&self, index: u32, entry: &'a FileEntry) -> Cow<'a, Path> {
        let own = self.read(index, |log| log.own_live().map(Path::to_path_buf));
        own.flatten().map_or(Cow::Borrowed(&entry.path), Cow::Owned)
    }

    /// The system told that a name which a glob of this series may find was given to something, or
    /// taken from it.
    pub fn note_name(&self, index: u32, name: &[u8], is_there: bool) {
        self.with_series(index, |series| series.note_name(name, is_there));
    }

    /// The series whose files were looked through since this was asked last.
    pub fn take_moved(&self) -> Vec<u32> {
        self.moved.take()
    }

    /// The system told of all files that were given the name of a log since it told last, oldest
    /// first, and whether the name is free now. A look follows.
    pub fn note_arrivals(&self, index: u32, arrivals: &[Arrival], is_vacant: bool) {
        self.with(index, |log| log.note_arrivals(arrivals, is_vacant));
    }

    /// Whether a look met a file of which nobody has heard yet, or a series may have moved on.
    pub fn is_behind(&self) -> bool {
        !self.behind.borrow().is_empty() || !self.moved.borrow().is_empty()
    }

    /// The logs of which that is so: what the system has told is to be heard before anything is
    /// decided. Each is told once.
    pub fn take_behind(&self) -> Vec<u32> {
        self.behind.take()
    }

    /// Whether the system told that a file came and went between two generations that no look has
    /// seen.
    pub fn has_missed(&self, index: u32, after: Seq, until: Seq) -> bool {
        self.read(index, |log| log.has_missed(after, until))
            .unwrap_or(false)
    }

    /// Whether the file of each generation from the one after `after` up to `until` was put in the
    /// place of the one before it, as by rsync: then it may be the same log in another file.
    pub fn is_replaced(&self, index: u32, after: Seq, until: Seq) -> bool {
        self.read(index, |log| log.is_replaced(after, until))
            .unwrap_or(false)
    }

    /// Something may have happened to a log that nobody was told of.
    pub fn lose_sight(&self, index: u32) {
        self.with(index, Log::lose_sight);
    }

    /// Whether each change of a log's directory was told since this was said last, and will be:
    /// `Some(false)` where it will be from now on only, `None` where it will not.
    pub fn set_attended(&self, index: u32, is_attended: Option<bool>) {
        self.with(index, |log| log.set_attended(is_attended));
    }

    /// The bytes of a generation are gone from its file, which holds the next one now. Who notices
    /// it second changes nothing. In a series others may have begun before that one: its files are
    /// looked through first, and this is to be said again.
    pub fn note_truncated(&self, index: u32, seq: Seq) {
        self.with(index, |log| {
            let series = log.series_mut();
            if series.is_none_or(|series| series.has_looked_since_cut(seq)) {
                log.note_truncated(seq);
            }
        });
    }

    /// So much was seen of a generation by who sends it.
    pub fn note_seen(&self, index: u32, seq: Seq, size: u64, written_ns: u64, head: Head) {
        self.with(index, |log| log.note_seen(seq, size, written_ns, head));
    }

    /// All of a generation was sent to somebody, so many bytes.
    pub fn note_complete(&self, index: u32, seq: Seq, size: u64) {
        self.with(index, |log| log.note_complete(seq, size));
    }

    /// Whether [`work`](Self::work) has something to do.
    pub fn has_work(&self) -> bool {
        self.survey.borrow().is_some() || self.logs.borrow().iter().any(Log::wants_survey)
    }

    /// Does a part of the survey of which rotated files are there already.
    #[inline(never)]
    pub fn work<S: ReadStore>(&self, config: &Config, store: &S) {
        let mut survey = self.survey.borrow_mut();
        if survey.is_none() {
            let wanting = self.logs.borrow().iter().position(Log::wants_survey);
            *survey = wanting.and_then(|index| {
                let index = index as u32;
                let is_series = self.is_series(index);
                self.with_series(index, |series| series.set_under_way(true));
                Survey::new(index, is_series, config, store)
            });
        }
        let Some(under_way) = &mut *survey else {
            return;
        };
        let index = under_way.index();
        let Some(entry) = config.files.get(index as usize) else {
            *survey = None;
            return;
        };
        if let Some(found) = under_way.advance(entry, config, store) {
            self.with(index, |log| log.take_survey(found.as_ref(), store));
            *survey = None;
            // Whoever follows the one before looks at once.
            if self.is_series(index) {
                self.moved.borrow_mut().push(index);
            }
        }
    }

    /// The record of the generation that a file holds now, if it was ever seen at the live path.
    pub fn record_of(&self, index: u32, identity: Identity) -> Option<Record> {
        self.read(index, |log| log.record_of(identity)).flatten()
    }

    /// The newest record with this inode, whatever else its identity is.
    pub fn record_of_inode(&self, index: u32, inode: Inode) -> Option<Record> {
        self.read(index, |log| log.record_of_inode(inode)).flatten()
    }

    /// A record by its number, unless it was forgotten.
    pub fn record(&self, index: u32, seq: Seq) -> Option<Record> {
        self.read(index, |log| log.record(seq)).flatten()
    }

    /// Whether the order of a log's records is that of its generations, none of which is left out.
    pub fn knows_order(&self, index: u32) -> bool {
        self.read(index, Log::knows_order).unwrap_or(false)
    }

    /// All records of a log, oldest first.
    pub fn records(&self, index: u32) -> Vec<Record> {
        self.read(index, |log| log.records().to_vec())
            .unwrap_or_default()
    }

    /// How many rotated files of a log were there before any was seen, as far as that is known.
    pub fn elders(&self, index: u32) -> usize {
        self.read(index, Log::elders).unwrap_or(0)
    }

    /// What the journal knows of a rotated file.
    pub fn standing(&self, index: u32, identity: Identity) -> Standing {
        self.read(index, |log| log.standing(identity))
            .unwrap_or(Standing::Unknown)
    }

    /// Whether nothing can have come between two records and gone unseen.
    pub fn is_gapless(&self, index: u32, after: Seq, until: Seq) -> bool {
        self.read(index, |log| log.is_gapless(after, until))
            .unwrap_or(false)
    }

    /// Of the rotated files that the journal remembers, only these are there.
    pub fn forget_all_but(&self, index: u32, present: &mut dyn Iterator<Item = Identity>) {
        self.with(index, |log| log.forget_all_but(present));
    }

    fn with(&self, index: u32, act: impl FnOnce(&mut Log)) {
        if let Some(mut log) = self.log_mut(index) {
            act(&mut log);
        }
    }

    fn with_series(&self, index: u32, act: impl FnOnce(&mut Series)) {
        self.with(index, |log| {
            if let Some(series) = log.series_mut() {
                act(series);
            }
        });
    }

    fn read<T>(&self, index: u32, ask: impl FnOnce(&Log) -> T) -> Option<T> {
        self.log(index).map(|log| ask(&log))
    }

    // Both out of line, because they are used in so many places.
    #[inline(never)]
    fn log(&self, index: u32) -> Option<Ref<'_, Log>> {
        Ref::filter_map(self.logs.borrow(), |logs| logs.get(index as usize)).ok()
    }

    #[inline(never)]
    fn log_mut(&self, index: u32) -> Option<RefMut<'_, Log>> {
        RefMut::filter_map(self.logs.borrow_mut(), |logs| logs.get_mut(index as usize)).ok()
    }
}

/// A file as the journal remembers it where it keeps no record.
fn trace_of(identity: Identity) -> u32 {
    use crate::ids::Born;
    use crate::wire::crc32::Crc32;
    let FileId { device, inode } = identity.id;
    let (kind, born) = match identity.born {
        Born::Unknown => (0, 0),
        Born::Handle(born) => (1, born),
        Born::Time(born) => (2, born),
        Born::Faint(born) => (3, born),
    };
    let mut crc = Crc32::new();
    crc.update(&device.to_be_bytes());
    crc.update(&inode.0.to_be_bytes());
    crc.update(&[kind]);
    crc.update(&u32::to_be_bytes(born)).finish()
}

#[cfg(test)]
mod tests;
