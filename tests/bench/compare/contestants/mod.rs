//! Who carries a log from one place to another: fetchlogs, what else is installed, and the machine's own limit.

mod ours;
mod probe;
mod rsync;
mod rsyslog;
mod tail;

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::common::process::Guarded;
use crate::measure::cpu_s;

/// One way to carry a log. Those that go on for ever can be measured line by line as well.
pub trait Contestant {
    /// What it is called in a table.
    fn name(&self) -> &str;

    /// How many times less than the fast ones it is given to carry.
    fn handicap(&self) -> u64 {
        1
    }

    /// Carries a whole file of so many bytes.
    fn backlog(&self, file: &Path, bytes: u64) -> Load;

    /// Follows a log that exists and is empty; `None` if it does not follow.
    fn follow(&self, log: &Path) -> Option<Follower>;
}

/// What it took.
pub struct Load {
    /// From the start until the last byte was in its place.
    pub seconds: f64,
    /// Processor time of all who took part.
    pub cpu_s: f64,
}

/// A log that is followed, until this is dropped.
pub struct Follower {
    /// Where the lines arrive.
    pub copy: PathBuf,
    /// What has to live on meanwhile.
    pub _alive: Box<dyn std::any::Any>,
}

/// Processes that make one copy in their directory; killed when dropped.
struct Running {
    processes: Vec<Guarded>,
    dir: TempDir,
}

impl Running {
    fn copy(&self) -> PathBuf {
        self.dir.path().join("copy")
    }

    /// Processor time of all of them so far, in seconds.
    fn cpu_s(&self) -> f64 {
        let pids = self.processes.iter().map(Guarded::pid);
        pids.map(cpu_s).sum()
    }
}

/// The machine's own limit, with which everything is compared.
pub const PROBE: &str = "sendfile to recv+write (probe)";

/// What most people would do, with which latency is compared.
pub const TAIL: &str = "tail -F \\| socat";

/// Those that can run here.
pub fn installed() -> Vec<Box<dyn Contestant>> {
    let mut all: Vec<Box<dyn Contestant>> = vec![
        Box::new(ours::Fetchlogs::v2()),
        Box::new(ours::Fetchlogs::classic()),
        Box::new(probe::Probe::copying()),
        Box::new(probe::Probe::splicing()),
    ];
    all.extend(tail::TailSocat::installed().map(|it| Box::new(it) as Box<dyn Contestant>));
    all.extend(rsync::Rsync::installed().map(|it| Box::new(it) as Box<dyn Contestant>));
    for relp in [false, true] {
        all.extend(rsyslog::Rsyslog::installed(relp).map(|it| Box::new(it) as Box<dyn Contestant>));
    }
    all
}

/// Looks for a program; tells when it is not there.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(name))
        .find(|program| program.is_file());
    if found.is_none() {
        eprintln!("left out: {name} is not installed");
    }
    found
}
