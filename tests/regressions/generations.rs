//! Items 2, 5 and 7: no generation is skipped, overwritten or cut short.

use std::fs::{self, File};
use std::io::Write;

use crate::common::pair::{NOTHING, Options, Pair};

/// 2: rotations while the collector is away.
#[test]
fn the_generations_between_are_not_skipped() {
    let mut pair = Pair::start(Options::told().classic());
    let log = pair.log("m");
    log.append("held\n");
    pair.expect_same("m");
    pair.kill_collector();
    for generation in ["", "second\n", "third\n"] {
        log.append(generation);
        log.rotate();
    }
    log.append("live\n");
    pair.start_collector();
    pair.expect("m", &["held\n", "second\n", "third\n", "live\n"]);
    assert_eq!(pair.losses(), NOTHING);
}

/// 2: the generation that the collector holds is gone from the box. That is told, and the others arrive.
#[test]
fn what_is_still_there_comes_after_what_is_gone() {
    let mut pair = Pair::start(Options::told().classic());
    let log = pair.log("m");
    log.append("held\n");
    pair.expect_same("m");
    pair.kill_collector();
    // As long as it is open, its inode is not used again.
    let _held = File::open(log.path()).unwrap();
    log.append("never seen\n");
    log.rotate();
    for generation in ["second\n", "third\n"] {
        log.append(generation);
        log.rotate();
    }
    log.append("live\n");
    fs::remove_file(log.rotated(3)).unwrap();
    pair.start_collector();
    pair.expect("m", &["held\n", "second\n", "third\n", "live\n"]);
    assert_eq!(pair.losses().len(), 1);
}

/// 5: each of several rotations within a second has a copy of its own.
#[test]
fn copies_of_the_same_second_have_names_of_their_own() {
    let mut pair = Pair::start(Options::told().classic());
    let log = pair.log("m");
    for generation in 0..4 {
        log.append(format!("generation {generation}\n"));
        pair.expect_same("m");
        log.rotate();
    }
    pair.expect_same("m");
    assert_eq!(pair.copies("m").rotated().len(), 4);
}

/// 7: lines that a writer adds to a file which was rotated long before the collector came back for it.
#[test]
fn late_lines_are_waited_for() {
    let mut pair = Pair::start(Options {
        grace_s: 3600.0,
        ..Options::default().classic()
    });
    let log = pair.log("m");
    let mut writer = log.open();
    writer.write_all(b"in time\n").unwrap();
    pair.expect_same("m");
    pair.kill_collector();
    log.rotate();
    log.append("live\n");
    pair.start_collector();
    writer.write_all(b"late\n").unwrap();
    pair.expect("m", &["in time\nlate\n"]);
    writer.write_all(b"later\n").unwrap();
    drop(writer);
    pair.expect("m", &["in time\nlate\nlater\n", "live\n"]);
}
