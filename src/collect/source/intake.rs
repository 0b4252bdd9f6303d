//! What a source takes of the disk, and when it pauses because there is too little room.
//!
//! One box must not fill the disk for all. Where less is free than `keep_free=` says, the sources
//! that write much pause, and those that write little go on from what is left: how much that is
//! depends on how little is left. A source whose copies have reached its `max=` pauses, too. A
//! pause is a connection that is given up and made again later: the log goes on where the copy
//! ends, as after any other.

use std::path::Path;

use super::link::{Phase, Purpose};
use super::{Context, Source};
use crate::collect::copy::directory_of;
use crate::collect::error::{Shortage, SourceError};
use crate::collect::finished::heal;
use crate::ids::{Inode, MaybeOffset};
use crate::limits::{
    HEAL_ROOM_MS, ROOM_BLOCK_LEN, ROOM_LOOK_LEN, ROOM_LOOK_LEN_MAX, ROOM_LOOK_MS, ROOM_SCAN_FILES,
    ROOM_SCAN_MS, ROOM_SCAN_NAMES, ROOM_SPARED_MS, ZEROS_LEN,
};
use crate::store::{Kind, Names, Room, WriteStore};
use crate::time::Mono;

/// What a source took, as far as it counts for its room.
pub(super) struct Intake {
    /// What was written since the last look at the room, and when that was.
    written: u64,
    looked_at: Mono,
    /// How much may be written before the next look.
    look_len: u64,
    /// What the copies have, at most, as far as it is known: what they had when they were counted,
    /// and all that was written since.
    used: MaybeOffset,
    scan: Option<Box<Scan>>,
    pause: Option<Pause>,
    /// Zeros that came as holes and are not counted yet, in bytes.
    zeros: u32,
}

/// What a source pauses for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pause {
    Disk,
    Own,
}

/// The copies of a source while they are counted.
struct Scan {
    names: Names,
    used: u64,
}

impl Intake {
    pub(super) fn new(now: Mono) -> Intake {
        Intake {
            written: 0,
            looked_at: now,
            look_len: ROOM_LOOK_LEN,
            used: MaybeOffset::NONE,
            scan: None,
            pause: None,
            zeros: 0,
        }
    }

    /// Takes zeros that came as a hole. Tells how often they count with those that came before.
    pub(super) fn count_zeros(&mut self, len: u64) -> u64 {
        let len = len.saturating_add(self.zeros.into());
        self.zeros = (len % ZEROS_LEN) as u32;
        len / ZEROS_LEN
    }

    /// Whether the source pauses until there is room.
    pub(super) fn is_paused(&self) -> bool {
        self.pause.is_some()
    }

    /// Whether its copies are being counted.
    pub(super) fn is_scanning(&self) -> bool {
        self.scan.is_some()
    }

    /// Notes that so much was written. Tells whether it is time to look at the room, or at the
    /// copies, which may have no more than `max`.
    fn note(&mut self, len: u64, max: Option<u64>) -> bool {
        self.add(len);
        let is_near = max.is_some_and(|max| self.may_have(max));
        self.written >= self.look_len || (is_near && self.written >= ROOM_LOOK_LEN)
    }

    /// Notes that so much was written, for the next look.
    pub(super) fn add(&mut self, len: u64) {
        self.written = self.written.saturating_add(len);
        let used = self.used.get();
        self.used = used.map(|used| used.saturating_add(len)).into();
    }

    /// Takes a look at the room of which so much is to be kept free. Tells whether it is short, and
    /// the source one of those that write much.
    fn look(&mut self, room: Room, keep: u64, now: Mono) -> bool {
        let spent_ms = now.since_ms(self.looked_at);
        // Half of what was to be kept is left: then half as much is little.
        let product = |a: u64, b: u64, c: u64| u128::from(a) * u128::from(b) * u128::from(c);
        let is_much = product(self.written >> 10, ROOM_SPARED_MS, keep >> 10)
            > product(ROOM_LOOK_LEN >> 10, spent_ms, room.free >> 10);
        self.end_look(room.free.saturating_sub(keep), now);
        room.free < keep && is_much
    }

    fn end_look(&mut self, spare: u64, now: Mono) {
        self.written = 0;
        self.looked_at = now;
        // A thousand sources may do the same before they look again.
        self.look_len = (spare / 1024).clamp(ROOM_LOOK_LEN, ROOM_LOOK_LEN_MAX);
    }

    /// Whether the copies may have so much, as far as it is known.
    fn may_have(&self, max: u64) -> bool {
        self.used.get().is_none_or(|used| used >= max)
    }
}

impl<F> Source<F> {
    /// Has the room be looked at with the first bytes that are written, as if as many had been
    /// written as are much.
    pub fn look_at_room_soon(&mut self) {
        self.intake.add(ROOM_LOOK_LEN);
    }

    /// Notes what came of a stream, where the copy was `before`: another look at the room, or at
    /// the copies, may be due, and may end it.
    pub(super) fn note_intake<S: WriteStore<File = F>>(
        &mut self,
        before: (Option<Inode>, u64),
        len: usize,
        cx: &mut Context<'_, S>,
    ) {
        // A change belongs to the connection that would be given up; what came with it counts when
        // it is made.
        if self.is_changing() {
            self.intake.add(len as u64);
            return;
        }
        let grown = match self.link.phase() {
            // Of a hole nothing is written, and of what is sent again nothing is kept.
            Phase::Streaming { .. } if self.disk.inode() == before.0 => {
                self.disk.size().saturating_sub(before.1)
            }
            Phase::Streaming { .. } => u64::MAX,
            // Of an answer to a heal all that is much is written.
            Phase::Inquiring {
                purpose: Purpose::Heal,
                ..
            } => u64::MAX,
            _ => return,
        };
        self.note_written(grown.min(len as u64), cx);
    }

    /// Notes that so much was written to the log's copy or to one that is healed.
    pub(super) fn note_written<S: WriteStore<File = F>>(
        &mut self,
        len: u64,
        cx: &mut Context<'_, S>,
    ) {
        if len == 0 || !self.intake.note(len, self.config.max.get()) {
            return;
        }
        let now = cx.now.mono;
        let shortage = match self.room(cx) {
            None => {
                self.intake.end_look(u64::MAX, now);
                None
            }
            Some((room, keep)) => {
                let is_short = self.intake.look(room, keep, now);
                is_short.then(|| shortage_of(room, keep))
            }
        };
        if let Some(shortage) = shortage {
            self.fail(SourceError::NoRoom(shortage), cx);
            return self.pause(shortage, cx);
        }
        if self
            .config
            .max
            .get()
            .is_some_and(|max| self.intake.may_have(max))
        {
            self.begin_scan(cx);
        }
    }

    /// The room on the file system of the local copy, and how much of it is to be kept; `None`
    /// where nothing is to be kept, or the room is not known.
    fn room<S: WriteStore>(&self, cx: &mut Context<'_, S>) -> Option<(Room, u64)> {
        let keep_free = self.config.keep_free;
        let room = cx.store.room(directory_of(&self.config.local)).ok()?;
        let keep = keep_free.of(room.total);
        (room.total > 0 && keep > 0).then_some((room, keep))
    }

    /// Whether the connection has to wait, since there is no room yet or the copies are still to be
    /// counted.
    pub(super) fn waits_for_room<S: WriteStore<File = F>>(
        &mut self,
        cx: &mut Context<'_, S>,
    ) -> bool {
        let until = cx.now.mono.plus_ms(ROOM_SCAN_MS);
        if self.intake.is_scanning() {
            self.link.enter(Phase::Waiting { until });
            return true;
        }
        match self.intake.pause {
            None => false,
            Some(Pause::Own) => {
                self.begin_scan(cx);
                true
            }
            Some(Pause::Disk) => {
                // Somewhat more than is to be kept, or the next bytes would be a reason to pause.
                let short = self
                    .room(cx)
                    .filter(|(room, keep)| room.free / 5 < keep / 4);
                if let Some((room, keep)) = short {
                    self.tell_pause(shortage_of(room, keep), cx);
                }
                self.intake.pause = self.intake.pause.filter(|_| short.is_some());
                short.is_some()
            }
        }
    }

    /// Tells why the source pauses, unless that is known, and does so.
    fn tell_pause<S: WriteStore<File = F>>(&mut self, shortage: Shortage, cx: &mut Context<'_, S>) {
        let config = &self.config;
        self.health.fail(SourceError::NoRoom(shortage), |error| {
            (cx.events)(config, super::Event::Error(error));
        });
        self.pause(shortage, cx);
    }

    fn pause<S: WriteStore<File = F>>(&mut self, shortage: Shortage, cx: &mut Context<'_, S>) {
        // What it has written is taken away, and the log is not to wait for it.
        self.postpone_heal(cx);
        // What is wrong with the files is the graver error.
        if !matches!(self.health.error(), Some(SourceError::NoRoom(_))) {
            return;
        }
        let (pause, wait_ms) = match shortage {
            Shortage::Disk { .. } | Shortage::Files { .. } => (Pause::Disk, ROOM_LOOK_MS),
            Shortage::Own { .. } => (Pause::Own, ROOM_SCAN_MS),
        };
        self.intake.pause = Some(pause);
        // The server is well, and is not to be waited for once there is room.
        self.link.reset_backoff();
        self.link.enter(Phase::Waiting {
            until: cx.now.mono.plus_ms(wait_ms),
        });
    }

    /// Ends a heal for which there is too little room, for longer than where the disk is full: what
    /// it writes until that is noticed is written again each time.
    fn postpone_heal<S: WriteStore<File = F>>(&mut self, cx: &mut Context<'_, S>) {
        let Some(heal) = self.finished.heal() else {
            return;
        };
        let finished = heal.finished().clone();
        self.finished.end_heal();
        heal::clear_away(&finished.path, cx.store);
        let again_at = cx.now.mono.plus_ms(HEAL_ROOM_MS);
        self.finished.queue_mut().postpone(finished, again_at);
        self.update_list(cx);
    }

    /// Begins to count the copies. Nothing is fetched meanwhile.
    fn begin_scan<S: WriteStore<File = F>>(&mut self, cx: &mut Context<'_, S>) {
        if let Err(error) = self.leave_stream(cx) {
            return self.fail(SourceError::Files(error), cx);
        }
        self.link.enter(Phase::Waiting {
            until: cx.now.mono.plus_ms(ROOM_SCAN_MS),
        });
        let local = &self.config.local;
        let used = cx.store.stat_path(local).ok().flatten();
        let used = used.map_or(0, |stat| stat.size);
        match cx.store.list(directory_of(local)) {
            Ok(names) => self.intake.scan = Some(Box::new(Scan { names, used })),
            // The local copy is known at least.
            Err(_) => self.end_scan(used, cx),
        }
    }

    /// Counts some of the copies.
    pub(super) fn scan_part<S: WriteStore<File = F>>(&mut self, cx: &mut Context<'_, S>) {
        let Some(scan) = &mut self.intake.scan else {
            return;
        };
        let mut files = 0;
        for _ in 0..ROOM_SCAN_NAMES {
            if files >= ROOM_SCAN_FILES {
                return;
            }
            let Some(Ok(name)) = scan.names.next() else {
                let used = scan.used;
                self.intake.scan = None;
                return self.end_scan(used, cx);
            };
            if !is_copy(&self.config.local, name.as_encoded_bytes()) {
                continue;
            }
            files += 1;
            let stat = cx.store.stat_path(&self.config.local.with_file_name(name));
            if let Ok(Some(stat)) = stat
                && stat.kind == Kind::Regular
            {
                // The disk gives no file less than a block.
                scan.used = scan.used.saturating_add(stat.size.max(ROOM_BLOCK_LEN));
            }
        }
    }

    fn end_scan<S: WriteStore<File = F>>(&mut self, used: u64, cx: &mut Context<'_, S>) {
        self.intake.used = MaybeOffset::some(used);
        let max = self.config.max.get().unwrap_or(u64::MAX);
        // Who pauses needs somewhat more room than none.
        let limit = match self.intake.pause {
            Some(Pause::Own) => max - max / 16,
            _ => max,
        };
        if used >= limit {
            return self.tell_pause(Shortage::Own { used, max }, cx);
        }
        self.intake.pause = None;
        self.link.end_work(cx.now.mono);
    }
}

/// What is short: bytes, or files.
pub fn shortage_of(room: Room, keep: u64) -> Shortage {
    match room.files {
        None => Shortage::Disk {
            free: room.free,
            keep,
        },
        Some((free, total)) => {
            let of_each = room.total.checked_div(total).unwrap_or(0);
            let keep = keep.checked_div(of_each).unwrap_or(0);
            Shortage::Files { free, keep }
        }
    }
}

/// Whether a name beside the local copy is that of a finished one, or of what was set aside of it:
/// the copy's, and a stamp of fourteen digits.
fn is_copy(local: &Path, name: &[u8]) -> bool {
    let own = local.file_name().unwrap_or_default().as_encoded_bytes();
    let stamp = name
        .strip_prefix(own)
        .and_then(|rest| rest.strip_prefix(b"."));
    let stamp = stamp.and_then(|stamp| stamp.get(..14));
    stamp.is_some_and(|stamp| stamp.iter().all(u8::is_ascii_digit))
}
