//! A directory of log files, and what writers and rotators do to them.
#![allow(dead_code)]

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use super::pair::config;
use super::pair::log::Log;

/// The directory; gone when dropped. Everybody may read it, so that a server without privileges can.
pub struct Logs(TempDir);

impl Logs {
    /// Without any file.
    pub fn new() -> Logs {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        Logs(dir)
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        self.0.path()
    }

    /// The path of a file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    /// One of the files, as a log.
    pub fn log(&self, name: &str) -> Log {
        Log::at(self.path(name))
    }

    /// A piece of configuration: the file is served, and its rotated files have names like this.
    pub fn served(&self, name: &str, globs: &str) -> String {
        config::served(self.dir(), name, globs)
    }

    /// A request line without its newline: the file's path and `rest`.
    pub fn request(&self, name: &str, rest: impl std::fmt::Display) -> String {
        format!("{} {rest}", self.path(name).display())
    }

    /// Creates a file, or truncates it, and writes.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Opens a file to append to it, creating it if need be.
    pub fn writer(&self, name: &str) -> Writer {
        Writer(self.log(name).open())
    }

    /// Creates a file that takes no room on the disk, with its name for an end.
    pub fn write_sparse(&self, name: &str, len: u64) {
        let file = File::create(self.path(name)).unwrap();
        file.write_all_at(name.as_bytes(), len - name.len() as u64)
            .unwrap();
    }

    /// Appends and closes the file again.
    pub fn append(&self, name: &str, text: impl AsRef<[u8]>) {
        self.log(name).append(text);
    }

    /// Renames a file.
    pub fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    /// Deletes a file.
    pub fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    /// A file's inode number.
    pub fn inode(&self, name: &str) -> u64 {
        fs::metadata(self.path(name)).unwrap().ino()
    }

    /// Makes a file's last write lie so many seconds in the past.
    pub fn age(&self, name: &str, seconds: u64) {
        let then = SystemTime::now() - Duration::from_secs(seconds);
        let file = File::options().append(true).open(self.path(name));
        file.unwrap().set_modified(then).unwrap();
    }
}

/// A program that has a log open.
pub struct Writer(File);

impl Writer {
    /// Appends.
    pub fn write(&mut self, text: impl AsRef<[u8]>) {
        self.0.write_all(text.as_ref()).unwrap();
    }
}
