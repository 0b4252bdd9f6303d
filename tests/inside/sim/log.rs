//! One log of a box: its writer, its files, and the truth about every generation there ever was.

use std::collections::VecDeque;
use std::fmt::Write;
use std::path::Path;

use super::disk::Disk;
use super::rotator::{Naming, Rotator};
use super::unkind::habits::Habits;
use super::unkind::names::{WEEK, dashes};
use crate::inside::fake::Fake;
use crate::inside::gzip::gzip;
use crate::store::{ReadStore, Writers};
use crate::time::Civil;

pub struct Log {
    pub path: String,
    pub rotator: Rotator,
    /// A new file gets the inode of one that is gone, as ext4 and tmpfs do it.
    pub reuses_inodes: bool,
    /// What is unkind about it; nothing in the kind worlds.
    pub habits: Habits,
    /// The system can tell that nobody writes to a file any more.
    pub tells_writers: bool,
    /// Its collector can inflate.
    pub inflates: bool,
    /// The oldest that is still of interest, and all since.
    generations: VecDeque<Generation>,
    /// The number of the first of them.
    first: u64,
    live_exists: bool,
    /// The generation that the writer has open.
    writes_to: u64,
    /// The writer opened another file, or wrote, at this moment.
    touched_ms: u64,
    pub(super) rotated: Vec<Rotated>,
    lines: u64,
    /// All bytes that were ever written to it.
    pub written: u64,
    /// Generations of which files have vanished since somebody looked, and whether they will be
    /// missed.
    destroyed: Vec<(u64, bool)>,
    /// Something was destroyed that the collector may not have had: it may speak of a loss.
    pub may_lose: bool,
    /// The clock was set back and the generation held is gone: nobody can tell what came after it.
    pub unsure: bool,
    /// In classic nobody knows what comes next until the collector, which has finished so many
    /// copies, goes on.
    pub untracked: Option<usize>,
    pub(super) changed: bool,
    pub rotating: bool,
}

/// One life of the log.
#[derive(Clone, Debug, Default)]
pub struct Generation {
    pub inode: u64,
    /// When it began.
    pub born_ms: u64,
    /// Everything that was ever written to it.
    pub bytes: Vec<u8>,
    /// So much of it is, or was last, in a file.
    pub kept: usize,
    /// So much of it the collector has to have in the end.
    pub must: usize,
    /// So much of it the collector has to have, or to say that it was lost.
    pub traced: usize,
    /// The box has destroyed some of it.
    pub harmed: bool,
    /// The next one is what is left of this one.
    pub torn: bool,
    /// It is nowhere on the box but in the server's open descriptor.
    pub fragile: bool,
}

/// A file that is not live.
pub struct Rotated {
    pub name: String,
    pub generation: u64,
    /// What counts rotations.
    pub number: usize,
    pub compressed: bool,
}

/// A writer that holds on to a renamed file writes to it within this time, or never again.
const LATE_MS: u64 = 8_000;

impl Log {
    pub fn new(path: &str, rotator: Rotator) -> Log {
        Log {
            path: path.to_owned(),
            rotator,
            reuses_inodes: false,
            habits: Habits::default(),
            tells_writers: true,
            inflates: false,
            generations: VecDeque::new(),
            first: 0,
            live_exists: false,
            writes_to: 0,
            touched_ms: 0,
            rotated: Vec::new(),
            lines: 0,
            written: 0,
            destroyed: Vec::new(),
            may_lose: false,
            unsure: false,
            untracked: None,
            changed: false,
            rotating: false,
        }
    }

    pub fn generations(&self) -> impl Iterator<Item = &Generation> {
        self.generations.iter()
    }

    pub fn generation(&self, number: u64) -> Option<&Generation> {
        self.generations
            .get(number.checked_sub(self.first)? as usize)
    }

    pub fn generation_mut(&mut self, number: u64) -> Option<&mut Generation> {
        self.generations
            .get_mut(number.checked_sub(self.first)? as usize)
    }

    /// The numbers of the generations that are of interest.
    pub fn numbers(&self) -> impl Iterator<Item = u64> + use<> {
        self.first..self.first + self.generations.len() as u64
    }

    /// The number of the generation that has, or had last, the live name.
    pub fn newest(&self) -> u64 {
        self.first + self.generations.len() as u64 - 1
    }

    pub fn rotated_count(&self) -> usize {
        self.rotated.len()
    }

    pub fn live_exists(&self) -> bool {
        self.live_exists
    }

    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    pub fn take_destroyed(&mut self) -> Vec<(u64, bool)> {
        std::mem::take(&mut self.destroyed)
    }

    /// The file of a generation was written over, which will be missed.
    pub(super) fn note_destroyed(&mut self, generation: Option<u64>) {
        self.destroyed.extend(generation.map(|it| (it, true)));
    }

    /// Nothing was written to the live generation yet.
    pub fn is_live_empty(&self) -> bool {
        let live = self.generations.back();
        live.is_some_and(|live| live.bytes.is_empty())
    }

    /// Everything before the live generation has been checked and is of no interest any more.
    pub fn forget_old(&mut self) {
        while self.generations.len() > 1 {
            self.generations.pop_front();
            self.first += 1;
        }
        if let Some(live) = self.generations.front_mut() {
            live.harmed = false;
            live.fragile = false;
        }
        self.may_lose = false;
        self.unsure = false;
        self.untracked = None;
    }

    /// The inode that the writer has open.
    pub fn held_inode(&self) -> Option<u64> {
        Some(self.generation(self.writes_to)?.inode)
    }

    /// The writer is still with the generation before the live one.
    pub fn is_late(&self) -> bool {
        self.writes_to != self.newest()
    }

    // Writing.

    /// Appends lines to what the writer has open, each unlike any other. A writer that was late for
    /// too long writes no more before it moves on.
    pub fn write(&mut self, disk: &Disk<Fake>, count: u32, pad: usize, now_ms: u64) {
        let is_long = now_ms.saturating_sub(self.touched_ms) > LATE_MS;
        let too_late = self.is_late() && is_long && !self.habits.is_stubborn;
        if too_late || self.generations.is_empty() {
            return;
        }
        // The other writer has its turn now and then.
        let number = match self.is_shared() && self.lines.is_multiple_of(3) {
            true => self.newest(),
            false => self.writes_to,
        };
        let mut text = Vec::new();
        for _ in 0..count {
            self.line(disk, number, &mut text, pad);
        }
        self.append(disk, number, &text, now_ms);
    }

    /// Beside the writer that never reopens there is one that does. What that one leaves behind
    /// while the box compresses the file of the other nobody can know.
    fn is_shared(&self) -> bool {
        let is_odd = self.path.ends_with(['1', '3', '5', '7', '9']);
        self.habits.is_stubborn && is_odd && self.rotator != Rotator::DelayCompress
    }

    fn line(&mut self, disk: &Disk<Fake>, number: u64, text: &mut Vec<u8>, pad: usize) {
        self.lines += 1;
        let pad = (self.lines as usize * 7919) % (pad + 1);
        let head = format!("{} {number} {:07} ", self.path, self.lines);
        let mut line = head.into_bytes();
        line.resize(line.len() + pad, b'x');
        line.push(b'\n');
        self.add(disk, number, &line, text);
    }

    fn append(&mut self, disk: &Disk<Fake>, number: u64, bytes: &[u8], now_ms: u64) {
        let Some(generation) = self.generation_mut(number) else {
            return;
        };
        let (inode, at) = (generation.inode, generation.bytes.len());
        generation.bytes.extend_from_slice(bytes);
        generation.kept += bytes.len();
        if !generation.harmed {
            generation.must = generation.bytes.len();
        }
        self.habits.content.put(disk, inode, at, bytes);
        self.written += bytes.len() as u64;
        self.touched_ms = now_ms;
        self.changed = true;
    }

    /// The writer opens the live name, which creates the file if it is missing.
    pub fn reopen(&mut self, disk: &Disk<Fake>, now_ms: u64) {
        if self.habits.is_stubborn && self.live_exists {
            let before = self.newest().checked_sub(1);
            if let Some(before) = before.filter(|it| self.is_shared() && *it != self.writes_to) {
                self.close(disk, before);
            }
            return;
        }
        if !self.live_exists {
            self.create(disk, now_ms);
        }
        let (old, new) = (self.writes_to, self.newest());
        self.writes_to = new;
        self.touched_ms = now_ms;
        self.changed = true;
        let of = |number| self.generation(number).map(|g| g.inode);
        if of(old) != of(new) {
            self.close(disk, old);
        }
        let is_new = self.generation(new).is_some_and(|g| g.bytes.is_empty());
        let opening = self.habits.content.opening();
        if is_new && !opening.is_empty() {
            self.append(disk, new, &opening, now_ms);
        }
    }

    /// Nobody has a generation open for writing any more.
    fn close(&self, disk: &Disk<Fake>, number: u64) {
        let Some(inode) = self.generation(number).map(|g| g.inode) else {
            return;
        };
        if self.tells_writers {
            disk.with(|fs| {
                if fs.has_inode(inode) {
                    fs.set_writers(inode, Writers::Nobody);
                }
            });
        }
    }

    // Rotating.

    /// Creates the live file, empty: a new generation.
    pub fn create(&mut self, disk: &Disk<Fake>, now_ms: u64) {
        if self.live_exists {
            return;
        }
        let path = self.path.clone();
        self.tell_name(&path, true);
        let inode = self.create_file(disk, &path, b"");
        self.begin(disk, inode, now_ms);
    }

    pub(super) fn create_file(&self, disk: &Disk<Fake>, path: &str, bytes: &[u8]) -> u64 {
        disk.with(|fs| {
            let free = (101..).find(|inode| !fs.has_inode(*inode)).unwrap_or(101);
            match self.reuses_inodes {
                true => {
                    fs.write_as(path, free, bytes);
                    free
                }
                false => fs.write(path, bytes),
            }
        })
    }

    pub(super) fn begin(&mut self, disk: &Disk<Fake>, inode: u64, now_ms: u64) {
        let writers = match self.tells_writers {
            true => Writers::Somebody,
            false => Writers::Unknown,
        };
        disk.with(|fs| fs.set_writers(inode, writers));
        if self.habits.content.chunk().is_some() {
            self.habits.content.put(disk, inode, 0, b"");
        }
        self.generations.push_back(Generation {
            inode,
            born_ms: now_ms,
            ..Generation::default()
        });
        self.live_exists = true;
        self.changed = true;
        if self.generations.len() == 1 {
            self.writes_to = self.first;
        }
        self.touched_ms = now_ms;
    }

    /// The file with this place among the rotated ones, oldest first, gets the next greater number.
    pub fn shift(&mut self, disk: &Disk<Fake>, place: usize) {
        let Naming::Number(_) = self.naming() else {
            return;
        };
        let stem = self.stem();
        let Some(rotated) = self.rotated.get_mut(place) else {
            return;
        };
        let ending = if rotated.compressed { ".gz" } else { "" };
        let name = format!("{stem}.{}{ending}", rotated.number + 1);
        disk.with(|fs| fs.rename_now(&rotated.name, &name));
        rotated.name = name;
        rotated.number += 1;
        self.changed = true;
    }

    /// Renames the live file; its writer keeps it open.
    pub fn rename(&mut self, disk: &Disk<Fake>, wall_ms: u64, now_ms: u64) {
        let name = self.rotated_name(disk, wall_ms);
        let is_taken = self.habits.leaves_taken && self.is_taken(disk, &name);
        if !self.live_exists || is_taken {
            return;
        }
        if let Some(place) = self.rotated.iter().position(|old| old.name == name) {
            let old = self.rotated.remove(place);
            self.destroyed.push((old.generation, true));
        }
        match self.habits.other_device {
            true => self.move_away(disk, &name),
            false => disk.with(|fs| fs.rename_now(&self.path, &name)),
        }
        self.add_rotated(name, self.newest());
        self.live_exists = false;
        self.touched_ms = now_ms;
    }

    fn add_rotated(&mut self, name: String, generation: u64) {
        let number = match self.naming() {
            Naming::Number(first) => first,
            _ => 0,
        };
        self.rotated.push(Rotated {
            name,
            generation,
            number,
            compressed: false,
        });
        self.changed = true;
    }

    fn rotated_name(&self, disk: &Disk<Fake>, wall_ms: u64) -> String {
        let stem = self.stem();
        match self.naming() {
            Naming::Number(first) => format!("{stem}.{first}"),
            Naming::Old => format!("{stem}.old"),
            Naming::Date => {
                let stamp = Civil::from_unix((wall_ms / 1000) as i64).stamp();
                let name = format!("{stem}-{stamp}");
                match !self.habits.leaves_taken && disk.with(|fs| fs.exists(&name)) {
                    true => format!("{stem}-{stamp}{:02}", self.lines % 100),
                    false => name,
                }
            }
            Naming::Dashes => dashes(&stem, wall_ms),
            Naming::Weekday => format!("{stem}.{}", self.newest() % WEEK),
            Naming::Tai64n => {
                let dir = self.path.rsplit_once('/').map_or("", |(dir, _)| dir);
                let secs = (1u64 << 62) + wall_ms / 1000;
                let nanos = wall_ms % 1000 * 1_000_000 + self.newest() % 1_000_000;
                format!("{dir}/@{secs:016x}{nanos:08x}.s")
            }
        }
    }

    /// First half of copytruncate: the copy.
    pub fn copy(&mut self, disk: &Disk<Fake>, wall_ms: u64) {
        if !self.live_exists {
            return;
        }
        let name = self.rotated_name(disk, wall_ms);
        let bytes = disk.with(|fs| fs.read(&self.path)).unwrap_or_default();
        self.create_file(disk, &name, &bytes);
        self.add_rotated(name, self.newest());
    }

    /// Second half, or all that a rotator without rotated files does: what is in no copy the box
    /// has lost.
    pub fn truncate(&mut self, disk: &Disk<Fake>, now_ms: u64) {
        if !self.live_exists {
            return;
        }
        let number = self.newest();
        let copy = self.rotated.last().filter(|last| last.generation == number);
        let copied = copy
            .and_then(|copy| disk.with(|fs| fs.read(&copy.name)))
            .map_or(0, |bytes| self.habits.content.written(&bytes).len());
        disk.with(|fs| fs.truncate_to(&self.path, 0));
        let path = self.path.clone();
        let Some(generation) = self.generation_mut(number) else {
            return;
        };
        generation.kept = copied;
        if copied < generation.bytes.len() {
            generation.harmed = true;
            generation.must = copied;
            self.destroyed.push((number, false));
        }
        let inode = disk.with(|fs| fs.inode_of(&path));
        self.begin(disk, inode, now_ms);
        self.writes_to = self.newest();
    }

    /// newsyslog: a last line in the old file, which then has both names until a new one is renamed
    /// over it.
    pub fn turn_over(&mut self, disk: &Disk<Fake>, wall_ms: u64, now_ms: u64) {
        if !self.live_exists {
            return;
        }
        let text = format!("{} logfile turned over {}\n", self.path, self.newest());
        let mut line = Vec::new();
        self.add(disk, self.newest(), text.as_bytes(), &mut line);
        self.append(disk, self.newest(), &line, now_ms);
        let name = self.rotated_name(disk, wall_ms);
        let new = format!("{}.new", self.path);
        let inode = self.create_file(disk, &new, b"");
        disk.with(|fs| {
            fs.rename_now(&self.path, &name);
            fs.rename_now(&new, &self.path);
        });
        self.add_rotated(name, self.newest());
        self.begin(disk, inode, now_ms);
        let text = format!("{} logfile turned over, now {}\n", self.path, self.newest());
        let mut line = Vec::new();
        self.add(disk, self.newest(), text.as_bytes(), &mut line);
        self.append(disk, self.newest(), &line, now_ms);
    }

    /// Deletes the oldest rotated files, so that `keep` remain.
    pub fn retain(&mut self, disk: &Disk<Fake>, keep: usize) {
        while self.rotated.len() > keep {
            let oldest = self.rotated.remove(0);
            disk.with(|fs| fs.remove(&oldest.name));
            self.tell_name(&oldest.name, false);
            if !oldest.compressed || self.inflates {
                self.destroyed.push((oldest.generation, true));
            }
            self.changed = true;
        }
    }

    /// Compresses the newest rotated file but `spare`: a new file, and the old one is gone.
    pub fn compress(&mut self, disk: &Disk<Fake>, spare: usize) {
        let Some(place) = self.rotated.len().checked_sub(1 + spare) else {
            return;
        };
        if self.rotated[place].compressed {
            return;
        }
        let name = format!("{}.gz", self.rotated[place].name);
        let plain = self.rotated[place].name.clone();
        let bytes = disk.with(|fs| fs.read(&plain)).unwrap_or_default();
        self.create_file(disk, &name, &gzip(&bytes, 1));
        let rotated = &mut self.rotated[place];
        disk.with(|fs| {
            let stat = ReadStore::stat_path(fs, Path::new(&rotated.name));
            // gzip keeps the last write.
            if let Ok(stat) = stat {
                fs.set_mtime_ns(&name, stat.mtime_ns);
            }
            fs.remove(&rotated.name);
        });
        rotated.name = name.clone();
        rotated.compressed = true;
        let generation = rotated.generation;
        self.tell_name(&name, true);
        self.tell_name(&plain, false);
        // What a writer still writes to it goes nowhere.
        if !self.inflates || self.writes_to == generation {
            self.destroyed.push((generation, true));
        }
        self.changed = true;
    }

    /// Takes the live file away; its writer notices at once.
    pub fn delete(&mut self, disk: &Disk<Fake>, now_ms: u64) {
        if !self.live_exists {
            return;
        }
        disk.with(|fs| fs.remove(&self.path));
        self.live_exists = false;
        self.destroyed.push((self.newest(), false));
        self.create(disk, now_ms);
        self.reopen(disk, now_ms);
    }

    // Accidents.

    /// The machine lost its power and with it the last `lost` bytes of the live file, or zeros are
    /// in their place.
    pub fn lose_tail(&mut self, disk: &Disk<Fake>, lost: usize, zeroed: bool, now_ms: u64) {
        if !self.live_exists {
            return;
        }
        let number = self.newest();
        let mut bytes = disk.with(|fs| fs.read(&self.path)).unwrap_or_default();
        let lost = lost.min(bytes.len());
        let left = bytes.len() - lost;
        if lost == 0 {
            return;
        }
        self.may_lose = true;
        bytes.truncate(left);
        if zeroed {
            bytes.resize(left + lost, 0);
        }
        disk.with(|fs| fs.rewrite(&self.path, &bytes));
        if let Some(generation) = self.generation_mut(number) {
            generation.harmed = true;
            generation.torn = true;
            generation.must = 0;
        }
        // What is left may be fetched once more, as a generation of its own.
        let inode = disk.with(|fs| fs.inode_of(&self.path));
        self.begin(disk, inode, now_ms);
        if let Some(generation) = self.generations.back_mut() {
            generation.must = bytes.len();
            generation.kept = bytes.len();
            generation.bytes = bytes;
        }
        self.writes_to = self.newest();
    }

    /// Everything was in memory, and the machine starts anew.
    pub fn vanish(&mut self, disk: &Disk<Fake>) {
        disk.with(|fs| {
            if self.live_exists {
                fs.remove(&self.path);
            }
            for rotated in &self.rotated {
                fs.remove(&rotated.name);
            }
        });
        let gone = self
            .rotated
            .drain(..)
            .map(|rotated| (rotated.generation, false));
        self.destroyed.extend(gone);
        if self.live_exists {
            self.destroyed.push((self.newest(), false));
        }
        self.live_exists = false;
    }

    /// Whether the generation is still in a file of the box that can be had.
    pub fn is_on_disk(&self, number: u64) -> bool {
        let is_live = self.live_exists && number == self.newest();
        let mut rotated = self.rotated.iter();
        let is_there = |file: &Rotated| !file.compressed || self.inflates;
        is_live || rotated.any(|file| file.generation == number && is_there(file))
    }

    // For people.

    pub fn report(&self, disk: &Disk<Fake>) -> String {
        let mut report = format!("log {} {:?}\n", self.path, self.rotator);
        let hidden = self.generations.len().saturating_sub(12);
        for (place, generation) in self.generations.iter().enumerate().skip(hidden) {
            let number = self.first + place as u64;
            let _ = writeln!(report, "  {number}: {}", generation.describe());
        }
        let files = self
            .rotated
            .iter()
            .map(|file| (&file.name, file.generation));
        for (name, generation) in files.chain([(&self.path, self.newest())]) {
            if let Ok(stat) = disk.with(|fs| ReadStore::stat_path(fs, Path::new(name))) {
                let _ = writeln!(
                    report,
                    "  {name} is {generation}, inode {} size {} written {}",
                    stat.id.inode,
                    stat.size,
                    stat.mtime_ns / 1_000_000
                );
            }
        }
        report
    }
}

impl Generation {
    pub fn describe(&self) -> String {
        let Generation {
            inode,
            must,
            harmed,
            fragile,
            bytes,
            ..
        } = self;
        let marks = match (harmed, fragile) {
            (false, false) => "",
            (true, false) => " harmed",
            (_, true) => " fragile",
        };
        format!("inode {inode} must {must}{marks}, {}", ends(bytes))
    }
}

/// The length, the first and the last bytes.
pub fn ends(bytes: &[u8]) -> String {
    let first = &bytes[..bytes.len().min(28)];
    let last = bytes[..bytes.len().saturating_sub(1)]
        .rsplit(|&byte| byte == b'\n')
        .next()
        .unwrap_or_default();
    let last = &last[..last.len().min(28)];
    let (first, last) = (
        String::from_utf8_lossy(first),
        String::from_utf8_lossy(last),
    );
    format!("{} bytes, {first:?} ... {last:?}", bytes.len())
}
