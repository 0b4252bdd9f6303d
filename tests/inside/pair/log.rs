//! The writer on the box and whoever rotates for it, as a model that knows every generation there
//! ever was.

use std::fmt::Write;
use std::path::Path;

use crate::inside::fake::Fake;
use crate::store::{ReadStore, Writers};

/// What is gone sooner than this may come and go between two looks of the server.
const LOOK_MS: u64 = 5_000;

/// The log of the box.
pub struct Log {
    pub disk: Fake,
    /// How rotated files are called.
    pub style: Style,
    /// Whether the system can tell that nobody writes to a file any more.
    pub tells_writers: bool,
    generations: Vec<Generation>,
    rotated: Vec<Rotated>,
    lines: u32,
    day: u32,
    risen: u32,
    changed: bool,
}

/// How rotated files are called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Style {
    /// `m.1` is the newest.
    FromOne,
    /// `m.0` is the newest.
    FromZero,
    /// `m-20261122`, counting upwards.
    Date,
    /// Only one, `m.old`.
    Old,
    /// `m.1` is the oldest.
    Rising,
}

/// One life of the log.
#[derive(Clone, Debug, Default)]
pub struct Generation {
    /// Everything that was ever written to it.
    pub bytes: Vec<u8>,
    /// How much of that the collector must have in the end: what the box has destroyed it need not
    /// have.
    pub must: usize,
    /// How much of that it must have or say that it was lost. What vanishes between two looks
    /// leaves no trace.
    pub traced: usize,
    /// That holds only for a collector that has some of it.
    pub traced_if_held: bool,
    pub inode: u64,
    /// The box has destroyed some of it, so that the collector may know of a loss.
    pub harmed: bool,
}

/// A file that is no longer live.
struct Rotated {
    name: String,
    generation: usize,
    since_ms: u64,
}

impl Log {
    pub fn new() -> Log {
        Log {
            disk: Fake::new(),
            style: Style::FromOne,
            tells_writers: true,
            generations: Vec::new(),
            rotated: Vec::new(),
            lines: 0,
            day: 20_261_122,
            risen: 0,
            changed: false,
        }
    }

    // Writing.

    /// Creates the live file: a new generation with an inode that no file ever had.
    pub fn create(&mut self) {
        let inode = self.disk.write("/v/m", b"");
        self.begin(inode);
    }

    /// Creates the live file with the inode of one that is gone.
    pub fn create_as(&mut self, inode: u64) {
        self.disk.write_as("/v/m", inode, b"");
        self.begin(inode);
    }

    fn begin(&mut self, inode: u64) {
        self.disk.set_writers(inode, Writers::Somebody);
        self.generations.push(Generation {
            inode,
            ..Generation::default()
        });
        self.changed = true;
    }

    /// Appends lines to the live file, each unlike any other.
    pub fn lines(&mut self, count: u32) {
        for _ in 0..count {
            let line = self.line();
            self.append(line.as_bytes());
        }
    }

    fn line(&mut self) -> String {
        self.lines += 1;
        let pad = (self.lines as usize * 7919) % 61;
        format!("line {:06} {}\n", self.lines, "x".repeat(pad))
    }

    /// Appends bytes to the live file.
    pub fn append(&mut self, bytes: &[u8]) {
        self.append_to(self.generations.len() - 1, bytes);
    }

    /// Writes at a place of the live file, which becomes as long as that takes.
    pub fn write_at(&mut self, at: usize, bytes: &[u8]) {
        self.write_at_of(self.generations.len() - 1, at, bytes);
    }

    /// The same in any generation.
    pub fn write_at_of(&mut self, number: usize, at: usize, bytes: &[u8]) {
        let generation = &mut self.generations[number];
        self.disk.write_at(generation.inode, at, bytes);
        let end = at + bytes.len();
        generation.bytes.resize(end.max(generation.bytes.len()), 0);
        generation.bytes[at..end].copy_from_slice(bytes);
        generation.must = generation.bytes.len();
        generation.traced = generation.must;
        self.changed = true;
    }

    /// The live file is cut behind what was written to it.
    pub fn cut_zeros(&mut self, size: usize) {
        self.disk.truncate_to("/v/m", size);
        let generation = self.generations.last_mut().unwrap();
        generation.bytes.truncate(size);
        generation.must = size;
        generation.traced = size;
        self.changed = true;
    }

    /// Appends a line to the generation before the live one, as a writer does that has not noticed.
    pub fn late_line(&mut self) {
        let line = self.line();
        self.append_to(self.generations.len() - 2, line.as_bytes());
    }

    pub fn append_to(&mut self, number: usize, bytes: &[u8]) {
        let generation = &mut self.generations[number];
        self.disk.write_inode(generation.inode, bytes);
        generation.bytes.extend_from_slice(bytes);
        generation.must = generation.bytes.len();
        generation.traced = generation.must;
        self.changed = true;
    }

    // Rotating.

    /// Renames the live file and creates a new one; its writer goes with it at once.
    pub fn rotate(&mut self) {
        self.rename();
        self.create();
        self.reopen();
    }

    /// Renames the live file; its writer keeps it open.
    pub fn rename(&mut self) {
        let number = self.generations.len() - 1;
        let name = self.make_room();
        self.disk.rename_now("/v/m", &name);
        self.rotated.push(Rotated {
            name,
            generation: number,
            since_ms: self.disk.now_ms(),
        });
        self.changed = true;
    }

    /// The writer closes every file but the live one.
    pub fn reopen(&mut self) {
        let writers = match self.tells_writers {
            true => Writers::Nobody,
            false => Writers::Unknown,
        };
        let last = self.generations.len() - 1;
        for generation in &self.generations[..last] {
            if self.disk.has_inode(generation.inode)
                && generation.inode != self.generations[last].inode
            {
                self.disk.set_writers(generation.inode, writers);
            }
        }
        self.changed = true;
    }

    /// First half of copytruncate: the copy.
    pub fn copy(&mut self) {
        let name = self.make_room();
        let number = self.generations.len() - 1;
        let bytes = self.disk.read("/v/m").unwrap();
        self.disk.write(&name, &bytes);
        self.rotated.push(Rotated {
            name,
            generation: number,
            since_ms: self.disk.now_ms(),
        });
        self.changed = true;
    }

    /// Second half: what was written since the copy was made the box has lost.
    pub fn truncate(&mut self) {
        let copied = self
            .rotated
            .last()
            .filter(|rotated| rotated.generation == self.generations.len() - 1)
            .map_or(0, |rotated| self.disk.read(&rotated.name).unwrap().len());
        self.disk.truncate_to("/v/m", 0);
        let generation = self.generations.last_mut().unwrap();
        generation.harmed = copied < generation.bytes.len();
        generation.must = copied;
        generation.traced = copied;
        let inode = generation.inode;
        self.begin(inode);
    }

    pub fn copytruncate(&mut self) {
        self.copy();
        self.truncate();
    }

    /// Takes the live file away.
    pub fn delete(&mut self) {
        self.disk.remove("/v/m");
        self.note_deleted();
    }

    fn note_deleted(&mut self) {
        let generation = self.generations.last_mut().unwrap();
        generation.must = 0;
        generation.traced = 0;
        generation.harmed = true;
        self.changed = true;
    }

    /// Deletes the oldest rotated files, so that `keep` remain.
    pub fn retain(&mut self, keep: usize) {
        while self.rotated.len() > keep {
            let oldest = self.rotated.remove(0);
            self.disk.remove(&oldest.name);
            let next = self.generations.get(oldest.generation + 1);
            let next_inode = next.map(|next| next.inode);
            let generation = &mut self.generations[oldest.generation];
            generation.must = 0;
            generation.harmed = true;
            if self.disk.now_ms() < oldest.since_ms + LOOK_MS {
                generation.traced = 0;
            }
            if Some(generation.inode) == next_inode {
                // Its file lives on. Who had nothing of it cannot know that there was anything.
                generation.traced_if_held = true;
            }
            self.changed = true;
        }
    }

    /// Moves the older rotated files up, where that is the style, and tells the name for the next.
    fn make_room(&mut self) -> String {
        let first = match self.style {
            Style::FromOne => 1,
            Style::FromZero => 0,
            Style::Date => {
                self.day += 1;
                return format!("/v/m-{}", self.day);
            }
            Style::Rising => {
                self.risen += 1;
                return format!("/v/m.{}", self.risen);
            }
            Style::Old => {
                self.retain(0);
                return "/v/m.old".to_owned();
            }
        };
        let count = self.rotated.len();
        for (place, rotated) in self.rotated.iter_mut().enumerate() {
            let name = format!("/v/m.{}", first + count - place);
            self.disk.rename_now(&rotated.name, &name);
            rotated.name = name;
        }
        format!("/v/m.{first}")
    }

    // Accidents.

    /// The live file loses its end, and the lines in it are none that the collector must have.
    pub fn lose_tail(&mut self, len: usize) {
        let generation = self.generations.last_mut().unwrap();
        let left = generation.bytes.len() - len;
        self.disk.truncate_to("/v/m", left);
        generation.bytes.truncate(left);
        generation.must = left;
        self.changed = true;
    }

    /// Bytes in the middle of the live file change.
    pub fn damage(&mut self, at: usize, len: usize) {
        let generation = self.generations.last_mut().unwrap();
        for byte in &mut generation.bytes[at..at + len] {
            *byte ^= 0x55;
        }
        self.disk.rewrite("/v/m", &generation.bytes);
        self.changed = true;
    }

    /// Another file takes the place of the live one, as `rename` does it.
    pub fn replace(&mut self, bytes: &[u8]) {
        self.disk.write("/v/new", bytes);
        self.note_deleted();
        self.disk.rename_now("/v/new", "/v/m");
        let inode = self.disk.inode_of("/v/m");
        self.begin(inode);
        let generation = self.generations.last_mut().unwrap();
        generation.bytes = bytes.to_vec();
        generation.must = bytes.len();
    }

    /// The collector need not have this one whole any more.
    pub fn excuse(&mut self, number: usize) {
        self.generations[number].must = 0;
        self.generations[number].traced = 0;
        self.generations[number].harmed = true;
    }

    // What there is.

    pub fn generations(&self) -> &[Generation] {
        &self.generations
    }

    pub fn live_bytes(&self) -> Vec<u8> {
        self.disk.read("/v/m").unwrap_or_default()
    }

    pub fn live_inode(&self) -> u64 {
        self.generations.last().unwrap().inode
    }

    pub fn rotated_count(&self) -> usize {
        self.rotated.len()
    }

    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    pub fn report(&self) -> String {
        let mut report = String::new();
        let hidden = self.generations.len().saturating_sub(super::SHOWN_MAX);
        for (number, generation) in self.generations.iter().enumerate().skip(hidden) {
            let _ = write!(report, "  {number}: {}", generation.describe());
        }
        for name in self.disk.names() {
            let stat = self.disk.stat_path(Path::new(&name)).unwrap();
            let _ = writeln!(
                report,
                "  on the box: {name} inode {} size {} written {}",
                stat.id.inode,
                stat.size,
                stat.mtime_ns / 1_000_000
            );
        }
        report
    }
}

impl Generation {
    pub fn describe(&self) -> String {
        let Generation {
            bytes,
            must,
            inode,
            harmed,
            ..
        } = self;
        let harmed = if *harmed { ", harmed" } else { "" };
        format!("  inode {inode}, must {must}{harmed}: {}\n", ends(bytes))
    }
}

/// One file for the message of a failure.
pub fn describe(what: &str, path: &Path, disk: &Fake) -> String {
    let bytes = disk.read(path.to_str().unwrap()).unwrap_or_default();
    format!("  {what} {}: {}\n", path.display(), ends(&bytes))
}

/// The length, the first and the last bytes.
pub fn ends(bytes: &[u8]) -> String {
    let first = &bytes[..bytes.len().min(12)];
    let last = bytes[..bytes.len().saturating_sub(1)]
        .rsplit(|&byte| byte == b'\n')
        .next()
        .unwrap_or_default();
    let last = &last[..last.len().min(12)];
    let (first, last) = (
        String::from_utf8_lossy(first),
        String::from_utf8_lossy(last),
    );
    format!("{} bytes, {first:?} ... {last:?}", bytes.len())
}
