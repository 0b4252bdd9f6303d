//! The box: its log, and what else may happen to that.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::common::pair::log::NotedLog;

/// The log at a path, rotated to `PATH.1`, `PATH.2` and so on, the higher the older. Its lines are numbered.
pub struct Boxed {
    log: NotedLog,
    lines: usize,
}

impl Boxed {
    /// An empty log.
    pub fn create(path: PathBuf) -> Boxed {
        Boxed {
            log: NotedLog::at(path),
            lines: 0,
        }
    }

    /// The live file.
    pub fn path(&self) -> &Path {
        self.log.path()
    }

    /// What has to be held of it: each generation, oldest first, the live one last.
    pub fn generations(&self) -> &[Vec<u8>] {
        &self.log.written
    }

    /// Writes so many lines, each unlike all others, and returns them.
    pub fn append(&mut self, lines: usize) -> Vec<u8> {
        let mut text = Vec::new();
        for _ in 0..lines {
            self.lines += 1;
            writeln!(text, "line {} of the log", self.lines).unwrap();
        }
        self.log.append(&text);
        text
    }

    /// Renames the live file and creates the next.
    pub fn rotate(&mut self) {
        self.log.rotate();
    }

    /// The same with a rotator that compresses at once.
    #[cfg(feature = "gz")]
    pub fn rotate_and_compress(&mut self) {
        let archive = |number: usize| self.path().with_extension(format!("{number}.gz"));
        let mut numbers: Vec<usize> = (1..).take_while(|&it| archive(it).exists()).collect();
        while let Some(number) = numbers.pop() {
            fs::rename(archive(number), archive(number + 1)).unwrap();
        }
        self.log.rotate();
        let rotated = self.path().with_extension("1");
        let status = std::process::Command::new("gzip").arg(rotated).status();
        assert!(status.unwrap().success());
    }

    /// Copies the live file and empties it.
    pub fn copy_and_truncate(&mut self) {
        self.log.copy_and_truncate();
        self.log.begin();
    }

    /// Deletes the live file and creates the next, after so many lines that nobody will ever see.
    pub fn delete(&mut self, lines: usize) {
        let held = self.generations().to_vec();
        self.append(lines);
        self.log.written = held;
        // The next one is created first: it must not be given the inode.
        let next = self.path().with_extension("next");
        File::create_new(&next).unwrap();
        fs::rename(next, self.path()).unwrap();
        self.log.begin();
    }

    /// Takes back the last bytes of the live file, so that so many are left, and returns them.
    pub fn forget_behind(&mut self, len: usize) -> Vec<u8> {
        self.log.open().set_len(len as u64).unwrap();
        self.log.written.last_mut().unwrap().split_off(len)
    }

    /// A copy of something that was there before stands first.
    pub fn begin_with(&mut self, bytes: &[u8]) {
        self.log.written.insert(0, bytes.into());
    }
}
