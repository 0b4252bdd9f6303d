//! What classic cannot do and version 2 does: items 1, 2 and 3 where the inode and the offset tell too little.

use std::fs::{self, File};

use super::truncated::delete_and_use_again;
use crate::common::pair::{Options, Pair};

/// 1: the byte that classic keeps for itself.
#[test]
fn the_keep_alive_byte_is_data() {
    let mut pair = Pair::start(Options::told());
    let log = pair.log("m");
    log.append(b"a\x07b\x07\x07\n");
    pair.expect_same("m");
    pair.kill_collector();
    log.append(b"\x07after\n");
    pair.start_collector();
    pair.expect_same("m");
}

/// 2: the held generation is gone, and so is what the server remembered of it.
#[test]
fn what_is_still_there_comes_from_a_server_that_knows_nothing() {
    let mut pair = Pair::start(Options::told());
    let log = pair.log("m");
    log.append("held\n");
    pair.expect_same("m");
    pair.kill_collector();
    pair.kill_server();
    let _held = File::open(log.path()).unwrap();
    log.rotate();
    for generation in ["second\n", "third\n"] {
        log.append(generation);
        log.rotate();
    }
    log.append("live\n");
    fs::remove_file(log.rotated(3)).unwrap();
    pair.start_server();
    pair.start_collector();
    pair.expect("m", &["held\n", "second\n", "third\n", "live\n"]);
}

/// 3: nobody was there to see the truncation, and the size says nothing.
#[test]
fn a_log_that_outgrew_its_old_size_unseen_is_another() {
    let mut pair = Pair::start(Options::told());
    let log = pair.log("m");
    log.append("before\n");
    pair.expect_same("m");
    pair.kill_collector();
    log.open().set_len(0).unwrap();
    log.append("longer than what was there before\n");
    pair.start_collector();
    pair.expect("m", &["before\n", "longer than what was there before\n"]);
}

/// 3: the same between two looks of a server that follows it.
#[test]
fn a_log_that_outgrew_its_old_size_between_two_looks_is_another() {
    let mut pair = Pair::start(Options {
        check_s: 0.5,
        ..Options::by_checks().unwrap_or_default()
    });
    let log = pair.log("m");
    log.append("before\n");
    pair.expect_same("m");
    log.open().set_len(0).unwrap();
    log.append("longer than what was there before\n");
    pair.expect("m", &["before\n", "longer than what was there before\n"]);
}

/// 3: another file has the inode, and it is longer.
#[test]
fn a_longer_file_with_the_same_inode_is_another() {
    let mut pair = Pair::start(Options::told());
    let log = pair.log("m");
    log.append("the first\n");
    pair.expect_same("m");
    pair.kill_collector();
    if !delete_and_use_again(&mut pair) {
        return;
    }
    log.append("the second, which is longer\n");
    pair.start_collector();
    pair.expect("m", &["the first\n", "the second, which is longer\n"]);
}
