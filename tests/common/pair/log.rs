//! A log as a box writes and rotates it.

use std::fs::{self, File};
use std::io::Write;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// A log, and beside it its rotated files; without a memory of its own, so that any number of these may be about the
/// same files.
pub struct Log {
    path: PathBuf,
}

/// How rotated files are called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Names {
    /// `LOG.1` or `LOG.0` is the newest, higher numbers are older.
    From(usize),
    /// `LOG.1` is the oldest.
    Rising,
    /// `LOG-20260102` and so on.
    Dates,
    /// There is one, `LOG.old`.
    Old,
}

impl Log {
    /// The log at this path.
    pub fn at(path: PathBuf) -> Log {
        Log { path }
    }

    /// Where it stands.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A writer that keeps its descriptor. The log is created if need be.
    pub fn open(&self) -> File {
        let mut options = File::options();
        options.create(true).append(true).open(&self.path).unwrap()
    }

    /// A writer that opens the log for every line.
    pub fn append(&self, bytes: impl AsRef<[u8]>) {
        self.open().write_all(bytes.as_ref()).unwrap();
    }

    /// Renames every generation to the next higher number and creates an empty log.
    pub fn rotate(&self) {
        self.rotate_to(Names::From(1));
    }

    /// Makes room for the newest rotated file, renames the log to it and creates an empty one.
    pub fn rotate_to(&self, names: Names) {
        self.rename_to(names);
        File::create_new(&self.path).unwrap();
    }

    /// The first half of a rotation: nothing has the log's name afterwards.
    pub fn rename_all(&self) {
        self.rename_to(Names::From(1));
    }

    /// The same to other names.
    pub fn rename_to(&self, names: Names) {
        let first_free = |mut names: Box<dyn Iterator<Item = PathBuf> + '_>| {
            names.find(|path| !path.exists()).unwrap()
        };
        let newest = match names {
            Names::From(first) => self.make_room(first),
            Names::Rising => {
                // Only the times of their last writes tell that they rise, and those are as coarse as the kernel's
                // clock.
                thread::sleep(Duration::from_millis(20));
                first_free(Box::new((1..).map(|number| self.rotated(number))))
            }
            Names::Dates => first_free(Box::new((1..).map(|day| {
                let (month, day) = (1 + day / 28, 1 + day % 28);
                self.named(&format!("-2026{month:02}{day:02}"))
            }))),
            Names::Old => self.named(".old"),
        };
        fs::rename(&self.path, newest).unwrap();
    }

    /// The first half of what logrotate does for `copytruncate`: the newest rotated file is a copy of the log.
    pub fn copy(&self) {
        fs::copy(&self.path, self.make_room(1)).unwrap();
    }

    /// Both halves of that. What is written between them is lost by the box.
    pub fn copy_and_truncate(&self) {
        self.copy();
        self.open().set_len(0).unwrap();
    }

    /// The path of a rotated generation.
    pub fn rotated(&self, number: usize) -> PathBuf {
        self.named(&format!(".{number}"))
    }

    /// The file whose name has this behind the log's.
    pub fn named(&self, ending: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(ending);
        name.into()
    }

    /// How many rotated generations there are, those of the numbers from 1 on.
    pub fn rotated_count(&self) -> usize {
        self.count_from(1)
    }

    /// All generations, oldest first, the log itself last.
    pub fn paths(&self) -> Vec<PathBuf> {
        let rotated = (1..=self.rotated_count()).rev();
        rotated
            .map(|number| self.rotated(number))
            .chain([self.path.clone()])
            .collect()
    }

    /// What is in them.
    pub fn generations(&self) -> Vec<Vec<u8>> {
        let read = |path: &PathBuf| fs::read(path).unwrap();
        self.paths().iter().map(read).collect()
    }

    /// Renames every rotated generation to the next higher number. Returns the path that is free then.
    fn make_room(&self, first: usize) -> PathBuf {
        for number in (first..first + self.count_from(first)).rev() {
            fs::rename(self.rotated(number), self.rotated(number + 1)).unwrap();
        }
        self.rotated(first)
    }

    fn count_from(&self, first: usize) -> usize {
        let numbers = (first..).take_while(|&number| self.rotated(number).exists());
        numbers.count()
    }
}

/// A log of which is noted what was ever written into each generation, for boxes that do not keep all of it.
pub struct NotedLog {
    log: Log,
    /// What was written, oldest first, the live generation last.
    pub written: Vec<Vec<u8>>,
}

impl NotedLog {
    /// The log at this path, in which nothing is yet. It is created if need be.
    pub fn at(path: PathBuf) -> NotedLog {
        let log = Log::at(path);
        assert_eq!(log.open().metadata().unwrap().len(), 0);
        NotedLog {
            log,
            written: vec![Vec::new()],
        }
    }

    /// Opens the live file, writes and closes it.
    pub fn append(&mut self, bytes: impl AsRef<[u8]>) {
        self.log.append(&bytes);
        self.note(bytes);
    }

    /// Somebody else wrote this into the live generation.
    pub fn note(&mut self, bytes: impl AsRef<[u8]>) {
        let live = self.written.last_mut().unwrap();
        live.extend_from_slice(bytes.as_ref());
    }

    /// Renames every generation to the next higher number and creates an empty log.
    pub fn rotate(&mut self) {
        self.rotate_to(Names::From(1));
    }

    /// The same to other names.
    pub fn rotate_to(&mut self, names: Names) {
        self.log.rotate_to(names);
        self.begin();
    }

    /// The live file is another generation from here on, whatever somebody else did to it.
    pub fn begin(&mut self) {
        self.written.push(Vec::new());
    }
}

/// All that can be done to its files without a note.
impl Deref for NotedLog {
    type Target = Log;

    fn deref(&self) -> &Log {
        &self.log
    }
}
