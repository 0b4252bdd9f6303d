//! A copy that is not what the box has is made so, and what it was before is kept.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;

use super::start;
use crate::common::pair::content::{lines, noise};
use crate::common::pair::log::NotedLog;
use crate::common::pair::{Options, Pair};

/// A pair that has fetched 200 kB.
fn started() -> (Pair, NotedLog) {
    let (mut pair, mut log) = start(Options::brisk());
    log.append(noise(3, 200_000));
    pair.expect_verified("m", &log.written);
    (pair, log)
}

/// As a disk or a hand might do.
fn damage(pair: &Pair, place: u64) {
    let file = File::options()
        .read(true)
        .write(true)
        .open(pair.local("m"))
        .unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, place).unwrap();
    file.write_all_at(&[byte[0] ^ 1], place).unwrap();
}

/// The finished copy was healed from this place on, and what it was is kept.
fn expect_healed(pair: &mut Pair, log: &NotedLog, from: u64, before: &[u8]) {
    pair.expect_verified("m", &log.written);
    let path = pair.copies("m").rotated()[0].display().to_string();
    pair.expect_event(&format!(
        " healed {path} from {from}; what it was before is kept as {path}.damaged\n"
    ));
    let kept = fs::read(format!("{path}.damaged")).unwrap();
    assert!(
        kept == before,
        "{} {}\n{}",
        kept.len(),
        before.len(),
        pair.everything_said()
    );
    assert!(pair.copies("m").beside(".healing").is_empty());
    pair.expect_status("OK\n");
    pair.assert_no_losses();
}

#[test]
fn one_bit_of_the_live_copy() {
    let (mut pair, mut log) = started();
    damage(&pair, 150_000);
    let before = pair.copies("m").live();
    log.rotate();
    log.append(b"the next one\n");
    expect_healed(&mut pair, &log, 150_000 / 4096 * 4096, &before);
}

#[test]
fn the_first_and_the_last_byte() {
    for place in [0, 199_999] {
        let (mut pair, mut log) = started();
        damage(&pair, place);
        let before = pair.copies("m").live();
        log.rotate();
        expect_healed(&mut pair, &log, place / 4096 * 4096, &before);
    }
}

#[test]
fn bytes_of_somebody_else_in_the_middle() {
    let (mut pair, mut log) = started();
    let mut file = File::options().append(true).open(pair.local("m")).unwrap();
    file.write_all(b"not of the log\n").unwrap();
    log.append(b"from the box\n");
    pair.until(
        |pair| match pair.copies("m").live().ends_with(b"from the box\n") {
            true => Ok(()),
            false => Err("the line has not come".into()),
        },
    );
    let before = pair.copies("m").live();
    log.rotate();
    expect_healed(&mut pair, &log, 200_000 / 4096 * 4096, &before);
}

#[test]
fn a_generation_that_was_copied_and_truncated() {
    let (mut pair, mut log) = started();
    damage(&pair, 150_000);
    let before = pair.copies("m").live();
    log.copy_and_truncate();
    log.begin();
    log.append(lines(0..100));
    expect_healed(&mut pair, &log, 150_000 / 4096 * 4096, &before);
}

#[test]
fn a_generation_that_the_box_no_longer_has() {
    let (mut pair, mut log) = started();
    damage(&pair, 150_000);
    let before = pair.copies("m").live();
    // The server still has it open for us; whoever asks anew does not find it.
    pair.in_one_moment(&mut log, |log| {
        log.rotate();
        log.append(b"the next one\n");
        fs::remove_file(log.rotated(1)).unwrap();
    });
    pair.expect_event(" differs from the server's file: ");
    pair.expect("m", &[&before[..], b"the next one\n"]);
    log.append(b"goes on\n");
    pair.expect("m", &[&before[..], b"the next one\ngoes on\n"]);
    pair.expect_status("ERR\n");
}
