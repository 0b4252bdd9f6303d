//! The journal of one log. Pure.

pub mod series;

use std::path::{Path, PathBuf};

use self::series::Series;
use super::arrivals::Arrival;
use super::glimpse::{Begins, Ends, Glimpse, begins, is_regular};
use super::record::{Head, Record, Seq, Standing, State};
use super::trace_of;
use crate::ids::{FileId, Identity, Inode, Sameness};
use crate::limits::{ELDERS_MAX, RECORDS_MAX};
use crate::mutation::{self, Mutation};
use crate::serve::config::FileEntry;
use crate::serve::find::candidates::Candidates;
use crate::sorting::sort_by_key;
use crate::store::{ReadStore, Stat};

/// What was seen of the generations of one log.
pub struct Log {
    path: PathBuf,
    /// Each of its files has a name of its own. That is configured, or a link stands at the path
    /// that leads to one of them: it is never followed.
    series: Option<Box<Series>>,
    /// What a link at the path leads to, and no glob finds.
    elsewhere: Option<FileId>,
    is_configured_series: bool,
    has_globs: bool,
    /// Oldest first; what is live stands last.
    records: Vec<Record>,
    last_seq: Seq,
    /// What was there before the records, in order; `None` where that is not known.
    elders: Option<Vec<u32>>,
    /// The elders are to be found out, or were asked for in vain.
    survey: Wanted,
    /// Each change of the directory is told.
    is_watched: bool,
    /// Something may have come between the last record and the next.
    has_gap: bool,
    /// What the system told of what has the name now, where no look could see it yet.
    announced: Option<Announced>,
    /// Another had the live name before the next, and nobody saw it.
    is_unseen: bool,
    /// The same before the generation with this number; 0 if there was none.
    unseen_before: Seq,
    /// There was a look since changes are told.
    has_looked: bool,
    /// What the last look saw: file, size, last write.
    seen: Option<(FileId, u64, u64)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Announced {
    /// Something that is no regular file.
    Odd,
    /// It cannot be looked at.
    Hidden,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Yes,
    No,
}

impl Log {
    /// Nothing was seen yet.
    pub fn new(entry: &FileEntry) -> Log {
        Log {
            path: entry.path.clone(),
            series: entry.is_series.then(Series::new).map(Box::new),
            elsewhere: None,
            is_configured_series: entry.is_series,
            has_globs: !entry.patterns.is_empty(),
            records: Vec::new(),
            last_seq: 0,
            elders: None,
            survey: Wanted::Yes,
            is_watched: false,
            // What came before the first is not known.
            has_gap: true,
            announced: None,
            is_unseen: false,
            unseen_before: 0,
            has_looked: false,
            seen: None,
        }
    }

    /// Whether it is that of a configured log.
    pub fn is_of(&self, entry: &FileEntry) -> bool {
        self.path == entry.path
            && self.is_configured_series == entry.is_series
            && self.has_globs != entry.patterns.is_empty()
    }

    /// Where its live file is, if that is not its path; an empty path where there is none.
    pub fn own_live(&self) -> Option<&Path> {
        self.series.as_ref().map(|series| series.live())
    }

    /// What is known of its files, if each has a name of its own.
    pub fn series(&self) -> Option<&Series> {
        self.series.as_deref()
    }

    /// The same, to change it.
    pub fn series_mut(&mut self) -> Option<&mut Series> {
        self.series.as_deref_mut()
    }

    /// Whether the files of a series were looked through since anything may have changed.
    pub fn is_settled(&self) -> bool {
        self.series
            .as_ref()
            .is_none_or(|series| series.is_settled())
    }

    /// Looks at the live path: another file there is another generation, a shorter one too. See
    /// [`super::Journal::look`].
    pub fn look<S: ReadStore>(&mut self, path: &Path, store: &S) -> bool {
        self.note_link(path, store);
        if !self.is_settled() {
            return false;
        }
        match self
            .series
            .as_ref()
            .map(|series| series.live().to_path_buf())
        {
            Some(live) => self.look_at(&live, store),
            None => self.look_at(path, store),
        }
    }

    fn look_at<S: ReadStore>(&mut self, path: &Path, store: &S) -> bool {
        let had_looked = std::mem::replace(&mut self.has_looked, true);
        let Some(stat) = store.stat_path(path).ok().filter(is_regular) else {
            self.leave_live();
            return true;
        };
        if self.is_unchanged(&stat) {
            self.has_gap = false;
            return true;
        }
        let identity = Identity {
            id: stat.id,
            born: store.birth(path, stat.id.device).born,
        };
        // What had nothing but zeros has no size that counts, and was emptied all the same.
        let is_emptied = stat.size == 0
            && self
                .seen
                .is_some_and(|(id, size, _)| id == stat.id && size > 0);
        // The system has told of whatever is new.
        let must_be_told =
            self.is_watched && had_looked && !self.has_gap && self.announced.is_none();
        let is_same = |live: &&mut Record| is_of(live.identity, identity);
        match self.records.last_mut().filter(is_same) {
            // It may have been away for a moment, with a rotator that failed half-way.
            Some(live) if matches!(live.state, State::Live | State::Rotated) => {
                live.state = State::Live;
                // What was missed came before it.
                self.has_gap = false;
                // Whatever its size is now, it was written anew if it begins with other bytes.
                let begins = begins(path, &stat, live.head, store);
                match is_emptied || stat.size < live.size || begins == Begins::Otherwise {
                    // In a ring others may have had their turn before it.
                    true if self
                        .series
                        .as_mut()
                        .is_some_and(|series| series.expect_turn(identity, &stat)) =>
                    {
                        return false;
                    }
                    true => self.begin_in_place(&stat),
                    false => {
                        // Others may have come and gone in it before its first bytes were seen.
                        // What has nothing but zeros has begun with them.
                        let is_zeros = live.has_zeros && live.head.len == 0;
                        if live.size == 0 && !is_zeros {
                            live.begun_ns = stat.mtime_ns;
                        }
                        live.written_ns = stat.mtime_ns;
                        // Zeros at the end may be cut off again.
                        if !matches!(begins, Begins::With(_, Ends::InZeros)) {
                            live.size = stat.size;
                        }
                    }
                }
            }
            // The system has told of it, and of what came before it.
            None if must_be_told => return false,
            _ => self.begin(identity, &stat, false),
        }
        self.end_before_last();
        if let Some(live) = self.records.last_mut() {
            live.take_head(&begins(path, &stat, live.head, store));
        }
        self.seen = Some((stat.id, stat.size, stat.mtime_ns));
        true
    }

    /// See [`super::Journal::note_arrivals`].
    pub fn note_arrivals(&mut self, arrivals: &[Arrival], is_vacant: bool) {
        let last = self.records.last().map(|record| record.identity);
        let is_last = |arrival: &Arrival| {
            let glimpse = arrival.glimpse.as_ref();
            glimpse.is_some_and(|it| last.is_some_and(|last| is_of(it.identity, last)))
        };
        // What came before the last that a look has met already, it has not missed: it was the
        // first look, or one in doubt.
        let mut met = arrivals.iter().rposition(is_last).map_or(0, |at| at + 1);
        if mutation::is_on(Mutation::ArrivalsIgnored) {
            met = met.max(arrivals.len().saturating_sub(1));
        }
        if !arrivals.is_empty() || is_vacant {
            // Whatever it was, it is gone from there.
            let announced = self.announced.take();
            self.has_gap |= announced.is_some();
            self.is_unseen |= announced == Some(Announced::Hidden);
        }
        for (at, arrival) in arrivals.iter().enumerate().skip(met) {
            let is_there = at + 1 == arrivals.len() && !is_vacant;
            match &arrival.glimpse {
                Some(glimpse) if is_regular(&glimpse.stat) => {
                    self.take_in(glimpse, arrival.overwrites);
                }
                glimpse => {
                    self.leave_live();
                    let what = match glimpse {
                        Some(_) => Announced::Odd,
                        None => Announced::Hidden,
                    };
                    // What has the name still, a look will see some day.
                    self.announced = is_there.then_some(what);
                    let is_missed = what == Announced::Hidden && !is_there;
                    self.has_gap |= is_missed;
                    self.is_unseen |= is_missed;
                }
            }
        }
        if is_vacant {
            self.leave_live();
        }
    }

    /// The next generation is one that may be rotated already.
    #[inline(never)]
    fn take_in(&mut self, glimpse: &Glimpse, overwrites: bool) {
        let Glimpse { stat, identity, .. } = glimpse;
        // It was written to before anybody looked.
        let begun_ns = glimpse.begun_ns.map(|begun_ns| {
            let before = self.records.last().map_or(0, |before| before.written_ns);
            begun_ns.max(before).min(stat.mtime_ns)
        });
        self.begin(*identity, stat, overwrites);
        if let Some(live) = self.records.last_mut() {
            live.begun_ns = begun_ns.unwrap_or(live.begun_ns);
            live.take_head(&glimpse.begins);
        }
        self.end_before_last();
        self.seen = Some((stat.id, stat.size, stat.mtime_ns));
    }

    /// Something may have happened that was not seen: what is there now and has no record may be
    /// anything.
    pub fn lose_sight(&mut self) {
        self.has_gap = true;
        self.elders = None;
        self.survey = Wanted::Yes;
        if let Some(series) = &mut self.series {
            series.expect();
        }
        // What came between the records cannot be told, so their order says nothing about what has
        // none. Only the live file is still the newest.
        self.records.retain(|record| record.state == State::Live);
        if let Some(live) = self.records.last_mut() {
            live.is_next = false;
        }
    }

    /// See [`super::Journal::set_attended`].
    pub fn set_attended(&mut self, is_attended: Option<bool>) {
        if is_attended != Some(true) {
            self.lose_sight();
            self.has_looked = false;
        }
        // Nobody tells of a file that is written again.
        if let Some(series) = &mut self.series {
            series.expect();
        }
        self.is_watched = is_attended.is_some();
    }

    /// See [`super::Journal::note_truncated`].
    pub fn note_truncated(&mut self, seq: Seq) {
        let Some(at) = self.records.iter().position(|record| record.seq == seq) else {
            return;
        };
        // Whoever came first has begun the next one.
        if self.records[at].state == State::Truncated {
            return;
        }
        self.records[at].state = State::Truncated;
        if at + 1 == self.records.len() {
            // The next look must not find the same once more.
            self.seen = None;
            let (identity, written_ns) = {
                let record = &self.records[at];
                (record.identity, record.written_ns)
            };
            self.push(Record {
                seq: 0,
                identity,
                size: 0,
                begun_ns: written_ns,
                over_ns: None,
                written_ns,
                head: Head::default(),
                state: State::Live,
                has_zeros: false,
                is_next: true,
                is_end_seen: false,
                replaces: false,
            });
        }
    }

    /// See [`super::Journal::note_seen`].
    pub fn note_seen(&mut self, seq: Seq, size: u64, written_ns: u64, head: Head) {
        if let Some(record) = self.records.iter_mut().find(|record| record.seq == seq) {
            record.is_end_seen |= record.state != State::Live;
            record.size = record.size.max(size);
            record.written_ns = record.written_ns.max(written_ns);
            if head.len > record.head.len {
                record.head = head;
            }
        }
    }

    /// See [`super::Journal::note_complete`].
    pub fn note_complete(&mut self, seq: Seq, size: u64) {
        let record = self.records.iter_mut().find(|record| record.seq == seq);
        if let Some(record) = record.filter(|record| record.state == State::Rotated) {
            record.state = State::Complete(size);
        }
    }

    /// Whether the files that are there already are still to be found out.
    pub fn wants_survey(&self) -> bool {
        match &self.series {
            Some(series) => series.is_due(),
            None => self.is_watched && self.survey == Wanted::Yes,
        }
    }

    /// What was found by looking through the files; `None` where that was in vain.
    pub fn take_survey<S: ReadStore>(&mut self, found: Option<&Candidates>, store: &S) {
        match self.series.is_some() {
            true if !self.is_series_of(found) => self.series = None,
            true => self.settle(found, store),
            false => self.note_survey(found.map(|it| it.iter().map(|c| c.identity()).collect())),
        }
    }

    /// What was found is there already.
    fn note_survey(&mut self, found: Option<Vec<Identity>>) {
        self.survey = Wanted::No;
        self.elders = found.and_then(|found| {
            let is_old = |identity: &Identity| self.record_of(*identity).is_none();
            let mut elders: Vec<u32> = found.into_iter().filter(is_old).map(trace_of).collect();
            sort_by_key(&mut elders, |it| *it);
            elders.shrink_to_fit();
            (elders.len() <= ELDERS_MAX).then_some(elders)
        });
    }

    /// The record of the generation that a file holds now.
    pub fn record_of(&self, identity: Identity) -> Option<Record> {
        let mut records = self.records.iter().rev();
        records
            .find(|record| is_of(record.identity, identity))
            .copied()
    }

    /// The newest record with this inode.
    pub fn record_of_inode(&self, inode: Inode) -> Option<Record> {
        let mut records = self.records.iter().rev();
        records
            .find(|record| record.identity.id.inode == inode)
            .copied()
    }

    /// See [`super::Journal::has_missed`].
    pub fn has_missed(&self, after: Seq, until: Seq) -> bool {
        after > 0 && after < self.unseen_before && self.unseen_before <= until
    }

    /// Whether what came after a generation is known, as far as it has a record.
    pub fn knows_order(&self) -> bool {
        self.is_watched && !self.is_blind()
    }

    /// Whether what had the live name last is gone from there, and others may have come since and
    /// gone unseen: what has no record may be newer than what has one.
    fn is_blind(&self) -> bool {
        (self.has_gap || !self.is_watched) && self.live().is_none()
    }

    /// A record by its number.
    pub fn record(&self, seq: Seq) -> Option<Record> {
        self.records
            .iter()
            .find(|record| record.seq == seq)
            .copied()
    }

    /// All records, oldest first.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// What is known of a rotated file.
    pub fn standing(&self, identity: Identity) -> Standing {
        if let Some(record) = self.record_of(identity) {
            return match self.is_blind() {
                true => Standing::Unknown,
                false => Standing::Generation(record.seq),
            };
        }
        match &self.elders {
            _ if !self.is_watched => Standing::Unknown,
            None => Standing::Unknown,
            Some(_) if mutation::is_on(Mutation::EldersForgotten) => Standing::Newcomer,
            Some(elders) if elders.binary_search(&trace_of(identity)).is_ok() => Standing::Elder,
            Some(_) => Standing::Newcomer,
        }
    }

    /// Whether nothing can have come between two records unseen.
    pub fn is_gapless(&self, after: Seq, until: Seq) -> bool {
        let between = self
            .records
            .iter()
            .filter(|record| after < record.seq && record.seq <= until);
        between.clone().count() as u32 == (until / 2).saturating_sub(after / 2)
            // A stray came when the record after it had begun.
            && between
                .clone()
                .all(|record| record.is_next || record.seq == after + 1)
    }

    /// See [`super::Journal::is_replaced`].
    pub fn is_replaced(&self, after: Seq, until: Seq) -> bool {
        let mut between = self
            .records
            .iter()
            .filter(|record| after < record.seq && record.seq <= until);
        until > after && self.is_gapless(after, until) && between.all(|record| record.replaces)
    }

    /// The live file as it was seen last.
    fn live(&self) -> Option<Record> {
        let live = self.records.last();
        live.filter(|record| record.state == State::Live).copied()
    }

    /// How many of them there are, as far as that is known.
    pub fn elders(&self) -> usize {
        self.elders.as_ref().map_or(0, Vec::len)
    }

    /// Forgets elders that are gone.
    pub fn forget_all_but(&mut self, present: &mut dyn Iterator<Item = Identity>) {
        let Some(elders) = self.elders.as_mut().filter(|elders| !elders.is_empty()) else {
            return;
        };
        let mut left: Vec<u32> = present.map(trace_of).collect();
        sort_by_key(&mut left, |it| *it);
        elders.retain(|elder| left.binary_search(elder).is_ok());
    }

    fn is_unchanged(&self, stat: &Stat) -> bool {
        self.live().is_some() && self.seen == Some((stat.id, stat.size, stat.mtime_ns))
    }

    /// Nothing has the live name now.
    fn leave_live(&mut self) {
        if let Some(live) = self.records.last_mut()
            && live.state == State::Live
        {
            live.state = State::Rotated;
        }
    }

    /// Another file has the live name.
    fn begin(&mut self, identity: Identity, stat: &Stat, overwrites: bool) {
        let replaces = overwrites && self.live().is_some();
        self.announced = None;
        self.leave_live();
        if !self.is_watched || self.has_gap {
            // Others may have had the name since the last look.
            self.lose_sight();
        }
        let is_next = !std::mem::take(&mut self.has_gap);
        self.push(Record {
            seq: 0,
            identity,
            size: stat.size,
            begun_ns: stat.mtime_ns,
            over_ns: None,
            written_ns: stat.mtime_ns,
            head: Head::default(),
            state: State::Live,
            has_zeros: false,
            is_next,
            is_end_seen: false,
            replaces,
        });
        if std::mem::take(&mut self.is_unseen) {
            self.unseen_before = self.last_seq;
        }
    }

    /// The live file became shorter.
    fn begin_in_place(&mut self, stat: &Stat) {
        if let Some(live) = self.records.last().copied() {
            self.note_truncated(live.seq);
        }
        if let Some(live) = self.records.last_mut() {
            (live.size, live.written_ns) = (stat.size, stat.mtime_ns);
            live.begun_ns = stat.mtime_ns;
        }
        self.end_before_last();
    }

    /// Says when the one before the last was over.
    fn end_before_last(&mut self) {
        if let [.., before, last] = self.records.as_mut_slice() {
            before.over_ns = Some(last.begun_ns);
        }
    }

    fn push(&mut self, record: Record) {
        if self.records.len() >= RECORDS_MAX {
            let oldest = self.records.remove(0);
            // What is forgotten is remembered to be no newcomer.
            if let Some(elders) = &mut self.elders {
                let trace = trace_of(oldest.identity);
                if let Err(at) = elders.binary_search(&trace) {
                    elders.insert(at, trace);
                }
                if elders.len() > ELDERS_MAX {
                    self.elders = None;
                    self.survey = Wanted::Yes;
                }
            }
        }
        self.last_seq += 2;
        self.records.push(Record {
            seq: self.last_seq,
            ..record
        });
        self.end_before_last();
    }
}

/// Whether it may be the same file.
fn is_of(identity: Identity, other: Identity) -> bool {
    if mutation::is_on(Mutation::IncarnationIgnored) {
        return identity.id == other.id;
    }
    let is_device_known = !mutation::is_on(Mutation::DeviceIgnored);
    identity.compare(other, is_device_known) != Sameness::Other
}

impl Record {
    fn take_head(&mut self, begins: &Begins) {
        if let Begins::With(head, ends) = begins {
            self.has_zeros |= *ends == Ends::InZeros;
            if self.head.len == 0 && *ends == Ends::InZeros {
                self.size = self.size.min(u64::from(head.len));
            }
            self.head = *head;
        }
    }
}
