//! Rotations while one of the two is not there.

use crate::common::pair::{NOTHING, Options, Pair};
use crate::common::process::Signal;
use crate::every_way;

every_way!(no_generation_is_skipped_while_the_collector_is_away);

fn no_generation_is_skipped_while_the_collector_is_away(options: Options) {
    let mut pair = Pair::start(options);
    let log = pair.log("m");
    for rotations in 0..=5 {
        log.append("seen\n");
        pair.expect_same("m");
        pair.kill_collector();
        for generation in 0..rotations {
            log.append(format!("{generation} of {rotations} while nobody looked\n"));
            log.rotate();
        }
        log.append(format!("after {rotations} rotations\n"));
        // The server's memory of what it has seen is no condition.
        if rotations % 2 == 1 {
            pair.kill_server();
            pair.start_server();
        }
        pair.start_collector();
        pair.expect_same("m");
    }
    assert_eq!(pair.losses(), NOTHING);
}

#[test]
fn the_server_is_away_during_rotations() {
    let mut pair = Pair::start(Options::told());
    let log = pair.log("m");
    for rotations in 0..=3 {
        log.append("seen\n");
        pair.expect_same("m");
        pair.kill_server();
        for generation in 0..rotations {
            log.append(format!("{generation} of {rotations} without a server\n"));
            log.rotate();
        }
        log.append("live\n");
        pair.start_server();
        pair.expect_same("m");
    }
    assert_eq!(pair.losses(), NOTHING);
}

#[test]
fn a_log_that_is_not_there_yet_is_waited_for() {
    let mut pair = Pair::prepare(Options::told());
    std::fs::remove_file(pair.log("m").path()).unwrap();
    pair.start_server();
    pair.start_collector();
    pair.expect_event("there is no such file");
    pair.log("m").append("here it is\n");
    pair.expect_same("m");
}

#[test]
fn the_status_tells_whether_the_server_is_there() {
    let mut pair = Pair::start(Options::told());
    pair.expect_status("OK\n");
    pair.kill_server();
    pair.expect_status("ERR\n");
    pair.start_server();
    pair.expect_status("OK\n");
}

/// For however short a time.
#[test]
fn a_rotation_in_good_order_is_no_error() {
    let mut pair = Pair::start(Options::told());
    pair.log("m").append("one\n");
    pair.expect_same("m");
    pair.log("m").rotate();
    pair.expect_same("m");
    assert!(!pair.said().contains("connection lost"), "{}", pair.said());
    pair.expect_status("OK\n");
}

/// Both stop as they are told to, and go on where they stopped.
#[test]
fn a_stop_in_good_order_is_no_end() {
    let mut pair = Pair::start(Options::told());
    let log = pair.log("m");
    log.append("one\n");
    pair.expect_same("m");
    pair.collector().signal(Signal::TERM);
    assert!(!pair.collector_was_killed());
    log.rotate();
    log.append("two\n");
    pair.start_collector();
    pair.expect_same("m");
}
