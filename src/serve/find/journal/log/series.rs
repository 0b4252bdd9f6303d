//! The journal of a series: of a log whose files each have a name of their own and keep it. Pure.
//!
//! Nobody renames anything, so the live file is the newest of those that the globs find, and it
//! stays that until a newer one comes. What was there already begins no generation, whatever its
//! times say: somebody touched it, or a writer was late. But a ring of names is written again in
//! turn: a file that has lost what it had, and was written since, begins one.

use std::cmp::Reverse;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::{Log, Wanted, is_of};
use crate::ids::{FileId, Identity};
use crate::limits::{RING_MAX, SERIES_NAMES_MAX};
use crate::mutation::{self, Mutation};
use crate::serve::find::candidates::{Candidate, Candidates};
use crate::serve::find::journal::glimpse::{Begins, Glimpse, begins};
use crate::serve::find::journal::record::{Head, Record, Seq, State};
use crate::serve::find::journal::trace_of;
use crate::sorting::sort_by_key;
use crate::store::{Kind, ReadStore, Stat};

/// What is known of the files of a series.
#[derive(Default)]
pub struct Series {
    /// Where the live file is; empty where there is none.
    live: PathBuf,
    /// All files that were found last.
    known: Vec<u32>,
    /// Those of them that may be written again in turn.
    ring: Vec<Turn>,
    /// Names that came since, and were not seen yet.
    names: Vec<Vec<u8>>,
    /// One of them went again.
    has_missed: bool,
    /// Something may have changed since that began.
    is_due: bool,
    /// The files are being looked through.
    is_under_way: bool,
    was_found: bool,
    /// Size and last write of the live file when they were looked through last.
    live_then: Option<(u64, u64)>,
    /// The generation that somebody has seen to be cut, and for which they were looked through.
    doubted: Seq,
}

/// A file that may be written again from its start.
#[derive(Clone, Copy)]
struct Turn {
    trace: u32,
    size: u64,
    written_ns: u64,
    head_len: u16,
    head_crc: u32,
}

/// How a file comes to be a generation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Came {
    /// It is new.
    New,
    /// It has lost what it had, and was written again.
    Again,
}

/// The live file.
#[derive(Clone, Copy)]
struct Current {
    /// Its place among all.
    at: usize,
    /// Its last write, before it was written again.
    written_ns: u64,
    /// It was emptied or written again.
    is_anew: bool,
}

impl Current {
    fn of<S: ReadStore>(at: usize, candidate: &Candidate, record: &Record, store: &S) -> Current {
        let is_anew =
            candidate.size < record.size || head_of(candidate, record.head, store).is_none();
        let written_ns = match is_anew {
            true => record.written_ns,
            false => candidate.written_ns,
        };
        Current {
            at,
            written_ns,
            is_anew,
        }
    }
}

impl Series {
    /// Nothing was looked through yet.
    pub fn new() -> Series {
        Series {
            is_due: true,
            ..Series::default()
        }
    }

    /// Where the live file is; an empty path where there is none.
    pub fn live(&self) -> &Path {
        &self.live
    }

    /// Whether the files are to be looked through.
    pub fn is_due(&self) -> bool {
        self.is_due
    }

    /// Whether that was done since anything may have changed.
    pub fn is_settled(&self) -> bool {
        !self.is_due && !self.is_under_way
    }

    /// Whether a file was there when they were looked through last, and was no copy of another.
    /// What was emptied since has its turn before it, and is nothing until then.
    pub(in crate::serve::find::journal) fn has_met(&self, candidate: &Candidate) -> bool {
        let is_known = || self.known.contains(&trace_of(candidate.identity()));
        let had_bytes = || self.turn_of(candidate).is_some_and(|turn| turn.size > 0);
        !self.was_found || is_known() && (candidate.size > 0 || !had_bytes())
    }

    /// Something may have changed.
    pub fn expect(&mut self) {
        self.is_due = true;
    }

    /// The live file was written again: the files are to be looked through, unless that was done
    /// since, or it is in no ring. Tells whether they are.
    pub fn expect_turn(&mut self, identity: Identity, stat: &Stat) -> bool {
        let trace = trace_of(identity);
        let is_in_ring = self.ring.iter().any(|turn| turn.trace == trace);
        let is_news = self.live_then != Some((stat.size, stat.mtime_ns));
        self.is_due |= is_in_ring && is_news;
        is_in_ring && is_news
    }

    /// Somebody has seen that a generation was cut. Tells whether the files were looked through
    /// since that was said first; if not, they are to be.
    pub fn has_looked_since_cut(&mut self, seq: Seq) -> bool {
        if self.doubted == seq {
            return self.is_settled();
        }
        (self.doubted, self.is_due) = (seq, true);
        false
    }

    /// The files are being looked through from now on, or no longer are.
    pub fn set_under_way(&mut self, is_under_way: bool) {
        self.is_due &= !is_under_way;
        self.is_under_way = is_under_way;
    }

    /// A name that a glob may find was given to something, or taken from it.
    pub fn note_name(&mut self, name: &[u8], is_there: bool) {
        self.is_due = true;
        let at = self.names.iter().position(|known| known == name);
        match (at, is_there) {
            (None, true) if self.names.len() < SERIES_NAMES_MAX => self.names.push(name.to_vec()),
            (None, true) => self.has_missed = true,
            (Some(at), false) => {
                self.names.remove(at);
                self.has_missed = true;
            }
            _ => {}
        }
    }
}

impl Log {
    /// A link in place of a log that was never there makes a series of it, until a file is there.
    pub(super) fn note_link<S: ReadStore>(&mut self, path: &Path, store: &S) {
        let may_be_linked = self.last_seq == 0 || self.series.is_some();
        if self.is_configured_series || !self.has_globs || !may_be_linked {
            return;
        }
        let kind = store.stat_path(path).ok().map(|stat| stat.kind);
        match (kind, &self.series) {
            (Some(Kind::Link), None) => {
                let target = store.target_of(path);
                if target.is_some() && target != self.elsewhere {
                    self.elsewhere = target;
                    self.series = Some(Box::new(Series::new()));
                }
            }
            (Some(Kind::Regular), Some(_)) => self.series = None,
            _ => {}
        }
    }

    /// Whether it is a series, or a link leads to one of its files, now that these are known.
    pub(super) fn is_series_of(&self, found: Option<&Candidates>) -> bool {
        let is_in = |files: &Candidates| files.iter().any(|c| Some(c.age.id) == self.elsewhere);
        self.is_configured_series || self.last_seq > 0 || found.is_some_and(is_in)
    }

    /// Whether a file that is not the live one has begun anew since they were looked through.
    pub(in crate::serve::find::journal) fn has_turned_since<S: ReadStore>(
        &self,
        candidate: &Candidate,
        store: &S,
    ) -> bool {
        let Some(series) = self.series.as_ref().filter(|series| series.was_found) else {
            return false;
        };
        let live = self.live();
        let is_live = live.is_some_and(|live| is_of(live.identity, candidate.identity()));
        let is_later = live.is_none_or(|live| candidate.written_ns >= live.written_ns);
        !is_live && is_later && series.is_written_again(candidate, store)
    }

    /// The files of the series were looked through: the newest is the live one. `None` where that
    /// was in vain.
    pub(super) fn settle<S: ReadStore>(&mut self, found: Option<&Candidates>, store: &S) {
        let Some(mut series) = self.series.take() else {
            return;
        };
        series.is_under_way = false;
        if let Some(found) = found {
            self.take_in_series(&mut series, found, store);
        }
        self.series = Some(series);
    }

    fn take_in_series<S: ReadStore>(&mut self, series: &mut Series, found: &Candidates, store: &S) {
        let mut order: Vec<&Candidate> = found.iter().collect();
        sort_by_key(&mut order, |c| c.inferred_age());
        let record = self.live();
        let place = |live: &Record| {
            order
                .iter()
                .position(|c| is_of(live.identity, c.identity()))
        };
        let live = record.as_ref().and_then(place);
        series.live_then = live.map(|at| (order[at].size, order[at].written_ns));
        let mut doubtful = Vec::new();
        let begun = match series.was_found {
            true => {
                let live = live
                    .zip(record)
                    .map(|(at, record)| Current::of(at, order[at], &record, store));
                series.begun(&order, live, &mut doubtful, store)
            }
            // Which of those that are there already is the newest, only their names and times tell.
            false => order.last().map(|c| (*c, Came::New)).into_iter().collect(),
        };
        match live {
            Some(live) => series.live = order[live].path().to_path_buf(),
            None => {
                self.leave_live();
                series.live = PathBuf::new();
            }
        }
        if !begun.is_empty() && std::mem::take(&mut series.has_missed) {
            (self.has_gap, self.is_unseen) = (true, true);
        }
        for (candidate, came) in begun {
            let Ok(glimpse) = Glimpse::at(candidate.path(), store) else {
                continue;
            };
            if came == Came::Again {
                let holds = |record: &Record| is_of(record.identity, candidate.identity());
                for record in self.records.iter_mut().filter(|record| holds(record)) {
                    record.state = State::Truncated;
                }
            }
            self.take_in(&glimpse, false);
            series.live = candidate.path().to_path_buf();
        }
        series.remember(&order, &doubtful, store);
        if self.elders.is_none() || self.survey == Wanted::Yes {
            let known = order.iter().map(|c| c.identity());
            let known = known.filter(|identity| series.known.contains(&trace_of(*identity)));
            self.note_survey(Some(known.collect()));
        }
        self.has_gap &= !self.is_watched;
    }
}

impl Series {
    /// The generations that have begun since the files were looked through last, oldest first;
    /// `order` has all files, oldest first, and the live one.
    fn begun<'a, S: ReadStore>(
        &self,
        order: &[&'a Candidate],
        current: Option<Current>,
        doubtful: &mut Vec<FileId>,
        store: &S,
    ) -> Vec<(&'a Candidate, Came)> {
        let mut begun = Vec::new();
        let mut is_turned = false;
        let live = current.map(|live| live.at);
        for (at, &candidate) in order.iter().enumerate() {
            let is_known = self.known.contains(&trace_of(candidate.identity()));
            let is_after = live.is_none_or(|live| at > live);
            let kin = live.is_none_or(|live| candidate.is_of_series(order[live]));
            let may_be = kin || live.is_none_or(|live| !order[live].is_named());
            if !is_known && is_after && may_be {
                // What may be a copy is judged anew.
                match self.is_copy(candidate, kin, store) {
                    true => doubtful.push(candidate.age.id),
                    false => begun.push((candidate, Came::New)),
                }
            } else if is_known
                && match current {
                    Some(live) if live.at == at => live.is_anew && candidate.size > 0,
                    Some(live) if candidate.written_ns < live.written_ns => false,
                    _ => self.is_written_again(candidate, store),
                }
            {
                is_turned = true;
                begun.push((candidate, Came::Again));
            }
        }
        if is_turned {
            sort_by_key(&mut begun, |(c, _)| c.written_ns);
        }
        begun
    }

    fn turn_of(&self, candidate: &Candidate) -> Option<&Turn> {
        let trace = trace_of(candidate.identity());
        self.ring.iter().find(|turn| turn.trace == trace)
    }

    /// Whether a file has lost what it had, and was written since.
    fn is_written_again<S: ReadStore>(&self, candidate: &Candidate, store: &S) -> bool {
        let Some(turn) = self.turn_of(candidate) else {
            return false;
        };
        if mutation::is_on(Mutation::TurnIgnored) {
            return false;
        }
        let is_changed = turn.written_ns != candidate.written_ns && candidate.size > 0;
        let is_other = || head_of(candidate, turn.head(), store).is_none();
        is_changed && (turn.size == 0 || candidate.size < turn.size || is_other())
    }

    /// Whether a new file may be a copy that somebody makes of another: its name says nothing, and
    /// it has nothing else than that begins with. It is looked at again.
    fn is_copy<S: ReadStore>(&self, candidate: &Candidate, is_kin: bool, store: &S) -> bool {
        if candidate.is_named() && is_kin || candidate.size == 0 {
            return false;
        }
        let Some(head) = head_of(candidate, Head::default(), store) else {
            return false;
        };
        self.ring.iter().any(|turn| {
            turn.size >= candidate.size && (turn.head_len, turn.head_crc) == (head.len, head.crc)
        })
    }

    /// Remembers what is there now.
    fn remember<S: ReadStore>(&mut self, order: &[&Candidate], doubtful: &[FileId], store: &S) {
        let is_copy = |c: &&&Candidate| doubtful.contains(&c.age.id);
        let known = order.iter().filter(|c| !is_copy(c));
        self.known = known.map(|c| trace_of(c.identity())).collect();
        let may_turn = |c: &&&Candidate| !c.is_stamped();
        let mut ring: Vec<&Candidate> = order.iter().filter(may_turn).copied().collect();
        sort_by_key(&mut ring, |c| Reverse(c.written_ns));
        ring.truncate(RING_MAX);
        self.ring = ring.iter().map(|c| self.turn(c, store)).collect();
        // Of what came while the files were looked through some may not have been found.
        let is_found = |name: &[u8]| order.iter().any(|c| has_name(c.path(), name));
        let is_due = self.is_due;
        self.names.retain(|name| is_due && !is_found(name));
        self.was_found = true;
    }

    /// What is remembered of a file.
    fn turn<S: ReadStore>(&self, candidate: &Candidate, store: &S) -> Turn {
        let fresh = Turn {
            trace: trace_of(candidate.identity()),
            size: candidate.size,
            written_ns: candidate.written_ns,
            head_len: 0,
            head_crc: 0,
        };
        let before = self.turn_of(candidate);
        match before {
            // It was emptied, and its turn is about to come: what it had tells that it has another.
            Some(before) if candidate.size == 0 => *before,
            Some(before) if before.written_ns == candidate.written_ns => *before,
            _ => {
                let head = head_of(candidate, Head::default(), store).unwrap_or_default();
                Turn {
                    head_len: head.len,
                    head_crc: head.crc,
                    ..fresh
                }
            }
        }
    }
}

impl Turn {
    fn head(&self) -> Head {
        Head {
            len: self.head_len,
            crc: self.head_crc,
            ..Head::default()
        }
    }
}

fn has_name(path: &Path, name: &[u8]) -> bool {
    path.file_name().map(OsStrExt::as_bytes) == Some(name)
}

/// The first bytes of a file, if it still begins with those that were seen before.
fn head_of<S: ReadStore>(candidate: &Candidate, before: Head, store: &S) -> Option<Head> {
    let stat = Stat {
        id: candidate.age.id,
        size: candidate.size,
        mtime_ns: candidate.written_ns,
        links: 1,
        kind: Kind::Regular,
    };
    match begins(candidate.path(), &stat, before, store) {
        Begins::With(head, _) => Some(head),
        // What cannot be read is not known to be another.
        Begins::Unread => Some(before),
        Begins::Otherwise => None,
    }
}
