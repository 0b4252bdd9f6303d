//! Where copies are, and what a sync costs there.

use std::fmt;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::common::memory;

const SYNCS: usize = 100;

/// What a sync takes more where they are slow.
const SYNC_MS: u64 = 8;

/// A directory for copies.
pub struct Volume {
    name: &'static str,
    path: PathBuf,
    /// What is loaded into the collector, so that each of its syncs takes that much longer.
    slower: Option<PathBuf>,
}

impl Volume {
    /// One in memory.
    pub fn memory() -> Volume {
        Volume {
            name: "in memory",
            path: memory(),
            slower: None,
        }
    }

    /// One in memory whose syncs take [`SYNC_MS`] longer, as on a disk that is none of the quickest; `None` without a
    /// compiler of C.
    pub fn slow() -> Option<Volume> {
        let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("slow_syncs.so");
        let source = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/bench/attacks/slow_syncs.c"
        );
        let built = Command::new("cc")
            .args([
                "-shared",
                "-fPIC",
                "-O",
                &format!("-DSYNC_MS={SYNC_MS}"),
                "-o",
            ])
            .args([out.as_os_str(), source.as_ref(), "-ldl".as_ref()])
            .status();
        built.is_ok_and(|status| status.success()).then(|| Volume {
            name: "in memory, where each sync of the collector takes 8 ms longer",
            path: memory(),
            slower: Some(out),
        })
    }

    /// Makes the syncs of a program as slow as they are here.
    pub fn slow_down(&self, command: &mut Command) {
        if let Some(slower) = &self.slower {
            command.env("LD_PRELOAD", slower);
        }
    }

    /// One on the disk that the environment names.
    pub fn disk() -> Option<Volume> {
        let named = std::env::var_os("FETCHLOGS_BENCH_DISK").map(PathBuf::from);
        named.map(|path| Volume {
            name: "on a disk",
            path,
            slower: None,
        })
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
