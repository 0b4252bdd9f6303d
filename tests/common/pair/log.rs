//! A log as a box writes it, and the plainest way of rotating it.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A log, and beside it the rotated ones as `LOG.1`, `LOG.2` and so on, the higher the older.
pub struct Log {
    path: PathBuf,
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
        self.rename_all();
        File::create_new(&self.path).unwrap();
    }

    /// The first half of a rotation: nothing has the log's name afterwards.
    pub fn rename_all(&self) {
        for number in (1..=self.rotated_count()).rev() {
            fs::rename(self.rotated(number), self.rotated(number + 1)).unwrap();
        }
        fs::rename(&self.path, self.rotated(1)).unwrap();
    }

    /// The path of a rotated generation.
    pub fn rotated(&self, number: usize) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }

    /// How many rotated generations there are.
    pub fn rotated_count(&self) -> usize {
        let numbers = (1..).take_while(|&number| self.rotated(number).exists());
        numbers.count()
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
}
