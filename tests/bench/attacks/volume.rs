//! Where copies are, and what a sync costs there.

use std::fmt;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::common::memory;

const SYNCS: usize = 100;

/// A directory for copies.
pub struct Volume {
    name: &'static str,
    path: PathBuf,
}

impl Volume {
    /// One in memory.
    pub fn memory() -> Volume {
        Volume {
            name: "in memory",
            path: memory(),
        }
    }

    /// One on a disk.
    pub fn disk() -> Volume {
        let named = std::env::var_os("FETCHLOGS_BENCH_DISK").map(PathBuf::from);
        Volume {
            name: "on a disk",
            path: named.unwrap_or_else(|| env!("CARGO_TARGET_TMPDIR").into()),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How long it takes to make a line durable, sorted.
    fn syncs(&self) -> Vec<Duration> {
        let dir = tempfile::tempdir_in(&self.path).unwrap();
        let mut file = File::create(dir.path().join("synced")).unwrap();
        let mut syncs: Vec<Duration> = (0..SYNCS)
            .map(|_| {
                file.write_all(&[b'x'; 65]).unwrap();
                let start = Instant::now();
                file.sync_data().unwrap();
                start.elapsed()
            })
            .collect();
        syncs.sort();
        syncs
    }
}

impl fmt::Display for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let syncs = self.syncs();
        let ms = |at: usize| syncs[at].as_secs_f64() * 1e3;
        let (half, most) = (ms(SYNCS / 2), ms(SYNCS * 99 / 100));
        let path = self.path.display();
        write!(
            f,
            "Copies {} ({path}); one sync now: p50 {half:.2} ms, p99 {most:.2} ms",
            self.name
        )
    }
}
