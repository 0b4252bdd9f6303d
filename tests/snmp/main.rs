//! The SNMP helper as a process: over plain pipes, and under a real agent.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../common/mod.rs"]
mod common;

mod agent;
mod pipes;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

const BASE: &str = ".1.3.6.1.4.99";

/// A directory of status files, as a collector would keep it.
struct StatusFiles(TempDir);

impl StatusFiles {
    fn new(files: &[(&str, &str)]) -> StatusFiles {
        let status = StatusFiles(tempfile::tempdir().unwrap());
        for (name, text) in files {
            status.write(name, text);
        }
        status
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.file(name), text).unwrap();
    }

    /// Makes the file's last write lie so far in the past.
    fn age(&self, name: &str, age: Duration) {
        let file = File::options().append(true).open(self.file(name)).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    }
}
