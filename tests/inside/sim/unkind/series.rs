//! Logs whose files each have a name of their own: one for each moment, or a ring of names that are
//! written again in turn. Nobody renames anything.

use super::habits::KEEPS_ALL;
use super::names::dashes;
use super::{Dimension, Unkind};
use crate::inside::fake::Fake;
use crate::inside::sim::START_MS;
use crate::inside::sim::disk::Disk;
use crate::inside::sim::log::{Log, Rotated};
use crate::inside::sim::rotator::Rotator;
use crate::random::Random;

/// How the files of such a log are called.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Series {
    /// What clients ask for; no file has this name.
    pub key: String,
    /// So many names come again and again, if they do.
    pub ring: Option<u64>,
    /// What was left is compressed one turn later.
    pub compresses: bool,
    /// Names that were given and taken, which the kernel tells of.
    pub told: Vec<(String, bool)>,
}

impl Series {
    /// One of those with this name.
    pub fn some(key: &str, random: &mut Random) -> Series {
        let ring = (random.below(2) == 0).then(|| 3 + random.below(4));
        let compresses = random.below(2) == 0;
        Series {
            key: key.to_owned(),
            ring,
            compresses: compresses && ring.is_none() && cfg!(feature = "gz"),
            told: Vec::new(),
        }
    }

    /// The name of the file of the generation with this number that begins now.
    fn name(&self, number: u64, wall_ms: u64) -> String {
        match self.ring {
            Some(names) => format!("{}.{}", self.key, number % names),
            None => format!("{}.log", dashes(&self.key, wall_ms)),
        }
    }

    /// The name of the first one.
    pub fn first_name(&self) -> String {
        self.name(0, START_MS as u64)
    }

    /// What finds all of them.
    pub fn glob(&self) -> String {
        match self.ring {
            Some(_) => format!("{}.[0-9]", self.key),
            None => format!("{}-*.log", self.key),
        }
    }
}

impl Unkind {
    /// Makes a series of the log with this number, if that is the world for it.
    pub fn make_series(&mut self, log: &mut Log, number: usize) {
        if self.dimensions.contains(&Dimension::Series) {
            let key = Rotator::Create.path(number);
            let series = Series::some(&key, &mut self.random);
            log.path = series.first_name();
            log.rotator = Rotator::Create;
            log.habits.keeps = Some(KEEPS_ALL);
            log.habits.series = Some(series);
        }
    }
}

impl Log {
    /// What clients ask for.
    pub fn key(&self) -> &str {
        let series = self.habits.series.as_ref();
        series.map_or(&self.path, |series| &series.key)
    }

    /// What the kernel has told of names since this was asked last.
    pub fn take_told(&mut self) -> Vec<(String, bool)> {
        let series = self.habits.series.as_mut();
        series.map_or(Vec::new(), |series| std::mem::take(&mut series.told))
    }

    pub(in crate::inside::sim) fn tell_name(&mut self, path: &str, is_there: bool) {
        if let Some(series) = &mut self.habits.series {
            let name = path.rsplit('/').next().unwrap_or_default();
            series.told.push((name.to_owned(), is_there));
        }
    }

    /// The program goes on in the next file. What the ring had in that is gone.
    pub fn turn(&mut self, disk: &Disk<Fake>, wall_ms: u64, now_ms: u64) {
        let Some(series) = &self.habits.series else {
            return;
        };
        let name = series.name(self.newest() + 1, wall_ms);
        let is_ring = series.ring.is_some();
        let is_there = disk.with(|fs| fs.exists(&name));
        // Two within one second have one name.
        if name == self.path || is_there && !is_ring {
            return;
        }
        let before = std::mem::replace(&mut self.path, name.clone());
        self.rotated.push(Rotated {
            name: before,
            generation: self.newest(),
            number: 0,
            compressed: false,
        });
        let inode = match is_there {
            true => {
                let place = self.rotated.iter().position(|old| old.name == name);
                let old = place.map(|place| self.rotated.remove(place));
                self.note_destroyed(old.map(|old| old.generation));
                disk.with(|fs| {
                    fs.truncate_to(&name, 0);
                    fs.inode_of(&name)
                })
            }
            false => {
                self.tell_name(&name, true);
                self.create_file(disk, &name, b"")
            }
        };
        self.begin(disk, inode, now_ms);
    }
}
