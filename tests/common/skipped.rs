//! Which tests were skipped, and why: kept for the report at the end of `cargo test` (`tests/skipped/report.rs`).
//!
//! Nobody sees what a test prints that passes. So each skip is a line in a file, and the test program that cargo runs
//! last prints what they come to. There is one file for each run of cargo, which is the parent of all test programs:
//! it has the number and the start of that process in its name, so that neither another run at the same time nor one
//! that was broken off is counted.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Notes that the test that calls this is skipped, wholly or in part, and why.
pub fn skipped(why: &str) {
    println!("skipped: {why}");
    Notes::of_this_run().add(&own_name(), why);
}

/// The test program and the test, as the thread has it. Where threads have no such names, with `--test-threads=1`,
/// each skip counts as a test.
fn own_name() -> String {
    static NAMELESS: AtomicUsize = AtomicUsize::new(0);
    let program = env!("CARGO_CRATE_NAME");
    match std::thread::current().name() {
        Some(test) if test != "main" => format!("{program} {test}"),
        _ => format!("{program} {}", NAMELESS.fetch_add(1, Ordering::Relaxed)),
    }
}

/// What was noted in one run of cargo.
pub struct Notes {
    dir: PathBuf,
    run: u32,
}

/// For each reason the tests that were skipped for it.
pub type Reasons = BTreeMap<String, BTreeSet<String>>;

impl Notes {
    /// Those of the run that this test program belongs to.
    pub fn of_this_run() -> Notes {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("skipped");
        Notes::of(&dir, std::os::unix::process::parent_id())
    }

    /// Those of the run that is this process, kept in this directory.
    pub fn of(dir: &Path, run: u32) -> Notes {
        let dir = dir.to_owned();
        Notes { dir, run }
    }

    fn path(&self) -> PathBuf {
        self.dir.join(name_of(self.run))
    }

    /// Notes one skip. Several programs may do this at the same time.
    pub fn add(&self, test: &str, why: &str) {
        fs::create_dir_all(&self.dir).unwrap();
        let mut options = File::options();
        let mut file = options.create(true).append(true).open(self.path()).unwrap();
        // One call, so that lines of several programs do not mix.
        file.write_all(format!("{test}\t{why}\n").as_bytes())
            .unwrap();
    }

    /// Takes away what was noted, and what runs have left that are over.
    pub fn take(self) -> Reasons {
        let text = fs::read_to_string(self.path()).unwrap_or_default();
        let mut reasons = Reasons::new();
        for (test, why) in text.lines().filter_map(|line| line.split_once('\t')) {
            let tests = reasons.entry(why.to_owned()).or_default();
            tests.insert(test.to_owned());
        }
        let _ = fs::remove_file(self.path());
        for entry in fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let name = entry.file_name().into_string().unwrap_or_default();
            let run = name.split('-').next().and_then(|run| run.parse().ok());
            if run.is_none_or(|run| name != name_of(run)) {
                let _ = fs::remove_file(entry.path());
            }
        }
        reasons
    }
}

/// The number of a process with its start: no other process ever has the same, where the system tells the start.
fn name_of(run: u32) -> String {
    // The 22nd field; the second one is in parentheses and may have blanks in it.
    let stat = fs::read_to_string(format!("/proc/{run}/stat")).unwrap_or_default();
    let start = stat.rsplit(") ").next().unwrap_or_default();
    let start = start.split(' ').nth(19).unwrap_or_default();
    format!("{run}-{start}")
}

/// A line for each reason and one for all. `.ci/run` reads them.
pub fn report(reasons: &Reasons) -> String {
    let tests: BTreeSet<&String> = reasons.values().flatten().collect();
    if tests.is_empty() {
        return "nothing was skipped\n".to_owned();
    }
    let lines = reasons
        .iter()
        .map(|(why, tests)| format!("{why}: {} skipped\n", counted(tests.len())));
    let total = format!("{} skipped in all\n", counted(tests.len()));
    lines.chain([total]).collect()
}

fn counted(tests: usize) -> String {
    match tests {
        1 => "1 test".to_owned(),
        _ => format!("{tests} tests"),
    }
}
