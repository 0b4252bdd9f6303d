//! What the collector shows of itself and of its sources: its files, its sockets and what they
//! need.

use std::fmt::Display;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use mio::Registry;

use super::control::Control;
use super::face_file::FaceFile;
use super::families::FamilySlot;
use super::journal::Journal;
use super::slot::Slot;
use super::{Held, Options};
use crate::collect::view::faces::{About, Face, Sources};
use crate::limits::STATUS_TOUCH_MS;
use crate::time::{Mono, Now, Wall};
use crate::wire::table::{Collector, Row};

/// The files and sockets through which somebody may look.
pub struct Shown {
    since: u64,
    is_faulty: bool,
    hooks_left: u32,
    table: FaceFile,
    metrics: Option<FaceFile>,
    /// The control socket, and the port.
    pub control: Control,
    /// Open for as long as this collector runs, and touched as its files are.
    lock: File,
    touch_at: Mono,
}

/// The sources as they are in this turn.
pub struct InThisTurn<'a> {
    /// Their places.
    pub slots: &'a [Option<Slot>],
    /// The lines that stand for many.
    pub families: &'a [FamilySlot],
    /// The time.
    pub now: Now,
}

impl Sources for InThisTurn<'_> {
    fn places(&self) -> usize {
        self.slots.len() + self.families.len()
    }

    fn show(&self, place: usize, see: &mut dyn FnMut(&Row<'_>)) {
        if let Some(slot) = self.slots.get(place).and_then(Option::as_ref) {
            slot.show(self.now, see);
        }
        let family = place.checked_sub(self.slots.len());
        if let Some(family) = family.and_then(|at| self.families.get(at)) {
            family.show(self.now, see);
        }
    }
}

impl Shown {
    /// Nothing is shown yet.
    pub fn new(
        options: &Options,
        held: Held,
        registry: &Registry,
        now: Now,
        journal: &mut Journal,
    ) -> Shown {
        let table = options.snmp_dir.join(held.seat.file("table"));
        let metrics = options.metrics.clone();
        let mut failed = |what: &dyn Display, error: io::Error| {
            journal.complain(&format_args!("cannot listen on {what}: {error}"));
        };
        Shown {
            since: now.wall.secs(),
            is_faulty: false,
            hooks_left: 0,
            table: FaceFile::new(table, Face::Table, "the table", true, now.mono),
            metrics: metrics
                .map(|path| FaceFile::new(path, Face::Metrics, "the metrics", false, now.mono)),
            control: Control::new(held.doors, registry, &mut failed),
            lock: held.lock,
            touch_at: now.mono,
        }
    }

    /// Something is worth showing at once.
    pub fn note_news(&mut self) {
        self.table.note_news();
    }

    /// The configuration has faults, or has none any more.
    pub fn note_faulty(&mut self, is_faulty: bool) {
        self.is_faulty = is_faulty;
        self.note_news();
    }

    /// So many events are left: the operator's program failed for them, or too many waited.
    pub fn note_hooks_left(&mut self, count: u32) {
        self.hooks_left = self.hooks_left.saturating_add(count);
        self.note_news();
    }

    /// When [`work`](Self::work) has something to do.
    pub fn poll_timeout(&self, now: Mono) -> Mono {
        let files = [Some(&self.table), self.metrics.as_ref()];
        let files = files.into_iter().flatten().map(FaceFile::poll_timeout);
        let times = files.chain(self.control.poll_timeout(now));
        times.fold(self.touch_at, Mono::min)
    }

    /// Writes a part of what is due and serves those who ask.
    pub fn work(
        &mut self,
        sources: &InThisTurn<'_>,
        servers: usize,
        buf: &mut [u8],
        journal: &mut Journal,
    ) {
        let now = sources.now;
        let about = self.about(servers, now.wall, false);
        self.table.work(sources, &about, now.mono, journal);
        if let Some(metrics) = &mut self.metrics {
            metrics.work(sources, &about, now.mono, journal);
        }
        if self.touch_at <= now.mono {
            self.touch_at = now.mono.plus_ms(STATUS_TOUCH_MS);
            // Through the descriptor that holds it: to close another one would give up the lock.
            let _ = self.lock.set_modified(std::time::SystemTime::now());
        }
        if self.control.has_clients() {
            self.control.work((sources, &about), buf, now.mono);
        }
    }

    /// Writes down that this is the end, and takes away what nobody would answer at.
    pub fn end(
        mut self,
        sources: &InThisTurn<'_>,
        servers: usize,
        is_end: bool,
    ) -> Option<OwnedFd> {
        if is_end {
            let about = self.about(servers, sources.now.wall, true);
            self.table.finish(sources, &about, sources.now.mono);
            if let Some(metrics) = &self.metrics {
                metrics.remove();
            }
        }
        self.control.close(is_end)
    }

    fn about(&self, servers: usize, now: Wall, is_end: bool) -> About<'static> {
        About {
            collector: Collector {
                since: self.since,
                until: is_end.then(|| now.secs()),
                version: env!("CARGO_PKG_VERSION").into(),
                is_faulty: self.is_faulty,
                hooks_left: self.hooks_left,
            },
            servers,
            now: now.secs(),
        }
    }
}
