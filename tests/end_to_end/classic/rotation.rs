//! Rotations while both are running.

use std::io::Write;

use crate::common::pair::{NOTHING, Options, Pair};
use crate::every_way;

every_way!(each_generation_becomes_a_file);
every_way!(late_lines_arrive_before_the_copy_is_rotated);
every_way!(a_log_without_its_name_is_followed);

fn each_generation_becomes_a_file(options: Options) {
    let mut pair = Pair::start(options);
    let log = pair.log("m");
    for generation in 0..6 {
        log.append(format!("generation {generation}\n").repeat(generation));
        pair.expect_same("m");
        log.rotate();
        log.append("first line\n");
        pair.expect_same("m");
    }
    assert_eq!(pair.losses(), NOTHING);
}

/// A writer that was not told yet goes on with the file it has open.
fn late_lines_arrive_before_the_copy_is_rotated(options: Options) {
    let mut pair = Pair::start(Options {
        check_s: 0.2,
        grace_s: 3600.0,
        ..options
    });
    let log = pair.log("m");
    let mut writer = log.open();
    writer.write_all(b"in time\n").unwrap();
    pair.expect_same("m");
    log.rotate();
    log.append("to the new one\n");
    let mut old = b"in time\n".to_vec();
    for n in 0..5 {
        let late = format!("late {n}\n");
        writer.write_all(late.as_bytes()).unwrap();
        old.extend(late.bytes());
        pair.expect("m", &[&old]);
    }
    drop(writer);
    pair.expect_same("m");
}

/// Its writer creates the new file only with its next line, or when it is told to.
fn a_log_without_its_name_is_followed(options: Options) {
    let mut pair = Pair::start(options);
    let log = pair.log("m");
    let mut writer = log.open();
    writer.write_all(b"before\n").unwrap();
    pair.expect_same("m");
    log.rename_all();
    writer.write_all(b"under the other name\n").unwrap();
    pair.expect("m", &[b"before\nunder the other name\n"]);
    writer = log.open();
    writer.write_all(b"after\n").unwrap();
    pair.expect_same("m");
}

#[test]
fn rotations_in_quick_succession_keep_their_order() {
    let mut pair = Pair::start(Options::told());
    let log = pair.log("m");
    for generation in 0..12 {
        log.append(format!("generation {generation}\n"));
        log.rotate();
    }
    log.append("the last\n");
    pair.expect_same("m");
}

#[test]
fn an_empty_generation_is_a_generation() {
    let mut pair = Pair::start(Options::told());
    let log = pair.log("m");
    log.append("one\n");
    pair.expect_same("m");
    log.rotate();
    pair.expect_same("m");
    log.rotate();
    pair.expect_same("m");
    log.append("three\n");
    pair.expect_same("m");
}

/// `/var/log` may lead to somewhere else.
#[test]
fn a_directory_may_be_a_link() {
    let name = "link/m";
    let mut pair = Pair::prepare(Options {
        logs: Vec::new(),
        ..Options::told()
    });
    let remote = pair.log("real").path().to_owned();
    std::fs::create_dir(&remote).unwrap();
    std::os::unix::fs::symlink(&remote, pair.log("link").path()).unwrap();
    std::fs::create_dir(pair.local("link")).unwrap();
    pair.serve(name, "link/m.*[0-9]");
    pair.start_server();
    pair.start_collector();
    let log = pair.log(name);
    log.append("one\n");
    pair.expect_same(name);
    log.rotate();
    log.append("two\n");
    pair.expect_same(name);
}
