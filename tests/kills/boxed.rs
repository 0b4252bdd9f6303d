//! A log as the box writes it, with everything that was ever in each of its generations.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The log at a path, rotated to `PATH.1`, `PATH.2` and so on, the higher the older.
pub struct Boxed {
    path: PathBuf,
    generations: Vec<Vec<u8>>,
    lines: usize,
}

impl Boxed {
    /// An empty log.
    pub fn create(path: PathBuf) -> Boxed {
        File::create_new(&path).unwrap();
        Boxed {
            path,
            generations: vec![Vec::new()],
            lines: 0,
        }
    }

    /// The live file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What has to be held of it: each generation, oldest first, the live one last.
    pub fn generations(&self) -> &[Vec<u8>] {
        &self.generations
    }

    /// Writes so many lines, each unlike all others, and returns them.
    pub fn append(&mut self, lines: usize) -> Vec<u8> {
        let mut text = Vec::new();
        for _ in 0..lines {
            self.lines += 1;
            writeln!(text, "line {} of the log", self.lines).unwrap();
        }
        let mut options = File::options();
        let mut file = options.append(true).open(&self.path).unwrap();
        file.write_all(&text).unwrap();
        self.generations.last_mut().unwrap().extend(&text);
        text
    }

    /// Renames the live file and creates the next.
    pub fn rotate(&mut self) {
        self.make_room();
        fs::rename(&self.path, self.numbered(1)).unwrap();
        File::create_new(&self.path).unwrap();
        self.generations.push(Vec::new());
    }

    /// Copies the live file and empties it.
    pub fn copy_and_truncate(&mut self) {
        self.make_room();
        fs::copy(&self.path, self.numbered(1)).unwrap();
        let file = File::options().write(true).open(&self.path).unwrap();
        file.set_len(0).unwrap();
        self.generations.push(Vec::new());
    }

    /// Deletes the live file and creates the next, after so many lines that nobody will ever see.
    pub fn delete(&mut self, lines: usize) {
        let held = self.generations.last().unwrap().clone();
        self.append(lines);
        *self.generations.last_mut().unwrap() = held;
        // The next one is created first: it must not be given the inode.
        let next = self.path.with_extension("next");
        File::create_new(&next).unwrap();
        fs::rename(next, &self.path).unwrap();
        self.generations.push(Vec::new());
    }

    /// Takes back the last bytes of the live file, so that so many are left, and returns them.
    pub fn forget_behind(&mut self, len: usize) -> Vec<u8> {
        let file = File::options().write(true).open(&self.path).unwrap();
        file.set_len(len as u64).unwrap();
        self.generations.last_mut().unwrap().split_off(len)
    }

    /// A copy of something that was there before stands first.
    pub fn begin_with(&mut self, bytes: &[u8]) {
        self.generations.insert(0, bytes.into());
    }

    fn make_room(&self) {
        let rotated = (1..).take_while(|number| self.numbered(*number).exists());
        for number in (1..=rotated.count()).rev() {
            fs::rename(self.numbered(number), self.numbered(number + 1)).unwrap();
        }
    }

    fn numbered(&self, number: usize) -> PathBuf {
        PathBuf::from(format!("{}.{number}", self.path.display()))
    }
}
