//! What is unkind about one log, drawn once, and the calls on its files that no rotator makes.

use super::content::{Content, Place};
use super::names::Names;
use super::series::Series;
use super::{Dimension, Unkind};
use crate::inside::fake::{Fake, on_device};
use crate::inside::sim::disk::Disk;
use crate::inside::sim::log::Log;
use crate::inside::sim::rotator::Rotator;

/// What is unkind about one log; by default nothing.
#[derive(Default)]
pub struct Habits {
    /// What its lines are like.
    pub content: Content,
    /// What its files are called.
    pub names: Names,
    /// So many rotated files are kept, if not as many as the rotator keeps in the kind worlds.
    pub keeps: Option<usize>,
    /// A name that is taken is left alone, and the log is not rotated then.
    pub leaves_taken: bool,
    /// Its writer does not open the new file, however long that is there.
    pub is_stubborn: bool,
    /// Its rotated files are on another device, which numbers its inodes by itself.
    pub other_device: bool,
    /// Each of its files has a name of its own.
    pub series: Option<Series>,
    /// What is done to its files besides.
    pub actors: Vec<Dimension>,
    /// Files that somebody made under its glob, and that are no generations.
    pub extras: Vec<String>,
    /// How many such files there ever were.
    pub extras_ever: u64,
}

/// Enough for whatever outage: the box destroys nothing then, and nothing need be told.
pub const KEEPS_ALL: usize = 30;

/// The number of the other device, beside 1.
const OTHER_DEVICE: u64 = 2;

impl Habits {
    /// Draws those of a log with this rotator.
    pub fn draw(unkind: &mut Unkind, rotator: Rotator) -> Habits {
        let mut contents = Vec::new();
        let random = &mut unkind.random;
        for dimension in &unkind.dimensions {
            contents.extend(match dimension {
                Dimension::Header => Some(Content::some_header(random)),
                Dimension::Repeated => Some(Content::Repeated),
                Dimension::Equal => Some(Content::Equal),
                Dimension::Zeros => Some(Content::Zeros),
                Dimension::Preallocated => Some(Content::some_preallocated(random)),
                _ => None,
            });
        }
        let content = match contents.len() as u64 {
            0 => Content::Unique,
            count => contents[random.below(count) as usize],
        };
        let mut habits = Habits {
            content,
            leaves_taken: true,
            ..Habits::default()
        };
        // Among several dimensions each concerns half of the logs.
        let share = if unkind.dimensions.len() > 1 { 2 } else { 1 };
        for dimension in unkind.dimensions.iter().copied() {
            if random.below(share) > 0 {
                continue;
            }
            match dimension {
                Dimension::Names => habits.names = Names::some(rotator, random),
                Dimension::NeverReopens => habits.is_stubborn = rotator.can_leave_writer(),
                Dimension::OtherDevice => habits.other_device = rotator.renames(),
                actor if actor.is_actor() => habits.actors.push(actor),
                _ => {}
            }
        }
        // What is removed once it is copied, nobody can go on writing to.
        habits.other_device &= !habits.is_stubborn;
        if rotator.keeps() > 1 && !habits.actors.contains(&Dimension::Restored) {
            habits.keeps = Some(KEEPS_ALL);
        }
        habits
    }
}

impl Rotator {
    /// It creates the new file itself, empty, and a writer may go on with the old one for ever.
    /// Where the rotator writes to the new one, nothing but a guess says that the old one is over.
    fn can_leave_writer(self) -> bool {
        matches!(
            self,
            Rotator::Create | Rotator::DateExt | Rotator::DelayCompress
        )
    }

    /// It renames the live file, which it may as well copy to another device and remove.
    fn renames(self) -> bool {
        matches!(
            self,
            Rotator::Create
                | Rotator::NoCreate
                | Rotator::DateExt
                | Rotator::Busybox
                | Rotator::OpenWrt
                | Rotator::DelayCompress
        )
    }
}

impl Content {
    /// Writes behind the first `at` bytes of a file.
    pub fn put(self, disk: &Disk<Fake>, inode: u64, at: usize, bytes: &[u8]) {
        disk.with(|fs| match self.chunk() {
            Some(chunk) => fs.write_ahead(inode, at, bytes, chunk),
            None => fs.write_inode(inode, bytes),
        });
    }
}

impl Log {
    /// Adds a line in the way of this log's content.
    pub fn add(&self, disk: &Disk<Fake>, number: u64, unique: &[u8], text: &mut Vec<u8>) {
        let before = self.generation(number).map_or(&b""[..], |g| &g.bytes);
        let place = Place {
            before,
            clock_s: disk.with(|fs| fs.now_ms()) / 1_000,
            unique,
        };
        self.habits.content.line(place, text);
    }

    /// `mv` to another device: a copy with the same times, and the file is removed.
    pub fn move_away(&mut self, disk: &Disk<Fake>, name: &str) {
        let path = self.path.clone();
        let inode = disk.with(|fs| {
            let (bytes, mtime_ns) = (fs.read(&path).unwrap_or_default(), fs.mtime_ns(&path));
            let free = (101..).map(|inode| on_device(OTHER_DEVICE, inode));
            let inode = free.clone().find(|inode| !fs.has_inode(*inode));
            let inode = inode.unwrap_or_default();
            if fs.exists(name) {
                fs.remove(name);
            }
            fs.write_as(name, inode, &bytes);
            fs.set_mtime_ns(name, mtime_ns);
            fs.remove(&path);
            inode
        });
        let number = self.newest();
        if let Some(generation) = self.generation_mut(number) {
            generation.inode = inode;
        }
    }
}
