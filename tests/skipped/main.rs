//! That no skipped test is forgotten, and that the report is the last thing that `cargo test` says.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, dead_code)]

#[path = "../common/skipped.rs"]
mod skipped;

use std::fs;
use std::path::Path;

use skipped::{Notes, report};

const REPORT: &str = "what_was_skipped";

#[test]
fn a_test_counts_once_for_each_reason_and_once_in_all() {
    let dir = tempfile::tempdir().unwrap();
    let notes = || Notes::of(dir.path(), std::process::id());
    for (test, why) in [
        ("server a", "perl is not installed"),
        ("server a", "perl is not installed"),
        ("server a", "gzip is not installed"),
        ("snmp a", "perl is not installed"),
    ] {
        notes().add(test, why);
    }
    assert_eq!(
        report(&notes().take()),
        "gzip is not installed: 1 test skipped\n\
         perl is not installed: 2 tests skipped\n\
         2 tests skipped in all\n"
    );
    assert_eq!(report(&notes().take()), "nothing was skipped\n");
}

#[test]
fn programs_note_at_the_same_time() {
    let dir = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for program in 0..8 {
            let notes = Notes::of(dir.path(), std::process::id());
            scope.spawn(move || {
                for test in 0..100 {
                    notes.add(&format!("{program} {test}"), "why not");
                }
            });
        }
    });
    let said = report(&Notes::of(dir.path(), std::process::id()).take());
    assert!(said.ends_with("800 tests skipped in all\n"), "{said}");
}

/// Another run that still runs keeps what it has noted; one that is over leaves nothing.
#[test]
fn other_runs_are_not_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (own, other) = (std::process::id(), std::os::unix::process::parent_id());
    // This process's number, and another start.
    let left = dir.path().join(format!("{own}-1"));
    fs::write(&left, "a test\tnot this time\n").unwrap();
    Notes::of(dir.path(), other).add("a test", "another run");
    let taken = Notes::of(dir.path(), own).take();
    assert_eq!(report(&taken), "nothing was skipped\n");
    assert!(!left.exists());
    assert_eq!(Notes::of(dir.path(), other).take().len(), 1);
}

#[test]
fn the_report_is_the_last_test_program() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = fs::read_to_string(home.join("Cargo.toml")).unwrap();
    let name = |rest: &str| rest.split('"').nth(1).unwrap().to_owned();
    let declared: Vec<String> = manifest.split("[[test]]").skip(1).map(name).collect();
    assert!(declared.iter().any(|name| name == REPORT), "{declared:?}");
    let found = fs::read_dir(home.join("tests")).unwrap();
    let stem = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let found = found.map(|entry| stem(&entry.unwrap().path()));
    for name in found.chain(declared).filter(|name| name != REPORT) {
        assert!(*name < *REPORT, "cargo runs {name} after the report");
    }
}
