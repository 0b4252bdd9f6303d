//! Holes stay holes, and zeros at the end of a live log are not written yet.

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use super::start;
use crate::common::pair::Options;

/// Kilobytes that a file takes on the disk.
fn kib_of(path: &Path) -> u64 {
    fs::metadata(path).unwrap().blocks() / 2
}

#[test]
fn a_hole_stays_one() {
    let (mut pair, mut log) = start(Options::brisk());
    let hole = 50_000_000;
    fs::OpenOptions::new()
        .write(true)
        .open(log.path())
        .unwrap()
        .write_all_at(b"a line behind the hole\n", hole as u64)
        .unwrap();
    log.note([vec![0; hole], b"a line behind the hole\n".to_vec()].concat());
    pair.expect("m", &log.written);
    let kept_of_log = kib_of(log.path());
    log.rotate();
    pair.expect_verified("m", &log.written);
    // Some file systems keep zeros.
    if kept_of_log < 1_000 {
        let copy = pair.copies("m").rotated().remove(0);
        assert!(kib_of(&copy) < 1_000, "{} KiB", kib_of(&copy));
    }
}

#[test]
fn a_log_that_is_allocated_ahead() {
    let (mut pair, mut log) = start(Options::brisk());
    let room = 1_000_000;
    let file = fs::OpenOptions::new().write(true).open(log.path()).unwrap();
    file.set_len(room).unwrap();
    let mut written = Vec::new();
    for number in 0..20 {
        let line = format!("line {number} of a log that was allocated first\n");
        file.write_all_at(line.as_bytes(), written.len() as u64)
            .unwrap();
        written.extend_from_slice(line.as_bytes());
        pair.expect_live("m", &written);
    }
    written.resize(room as usize, 0);
    log.note(&written);
    drop(file);
    log.rotate();
    pair.expect_verified("m", &log.written);
    pair.assert_no_losses();
}
