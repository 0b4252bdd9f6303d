//! The collector is away while the box rotates: what is still there when it comes back arrives, generation by
//! generation; what is not is put on record.

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use super::{prepare, start};
use crate::common::pair::content::lines;
use crate::common::pair::log::{Names, NotedLog};
use crate::common::pair::{Options, Pair};
use crate::common::process::Signal;

/// One outage after the other, each with one rotation more than the last.
fn outages_with_up_to(most: u64, names: Names, globs: &'static str) {
    let (mut pair, mut log) = start(Options {
        logs: vec![("m".into(), globs.into())],
        ..Options::brisk()
    });
    let mut numbers = (0..).map(|n| lines(n * 100..n * 100 + 100));
    let mut write = |log: &mut NotedLog| log.append(numbers.next().unwrap());
    for rotations in 0..=most {
        write(&mut log);
        pair.expect_verified("m", &log.written);
        pair.kill_collector();
        write(&mut log);
        for _ in 0..rotations {
            log.rotate_to(names);
            write(&mut log);
        }
        pair.start_collector();
        pair.expect_verified("m", &log.written);
    }
    pair.assert_no_losses();
}

#[test]
fn rotated_to_m_1() {
    outages_with_up_to(9, Names::From(1), "m.*[0-9]");
}

#[test]
fn rotated_to_m_0() {
    outages_with_up_to(9, Names::From(0), "m.*[0-9]");
}

#[test]
fn rotated_to_numbers_that_rise() {
    outages_with_up_to(4, Names::Rising, "m.*[0-9]");
}

#[test]
fn rotated_to_dates() {
    outages_with_up_to(9, Names::Dates, "m-*[0-9]");
}

/// Hourly rotations over a long weekend.
#[test]
fn a_hundred_rotations() {
    for names in [Names::From(1), Names::Dates] {
        let (mut pair, mut log) = start(Options {
            logs: vec![("m".into(), "m.*[0-9] m-*[0-9]".into())],
            ..Options::brisk()
        });
        log.append(lines(0..10));
        pair.expect_verified("m", &log.written);
        pair.kill_collector();
        for number in 1..=100 {
            log.rotate_to(names);
            log.append(lines(number * 100..number * 100 + 5));
        }
        pair.start_collector();
        pair.expect_verified("m", &log.written);
        pair.assert_no_losses();
    }
}

#[test]
fn rotated_to_one_old_file() {
    outages_with_up_to(1, Names::Old, "m.old");
}

/// Rotations during an outage, in the middle of which the clock of the box is set.
#[test]
fn rotated_while_the_clock_steps_by_ten_years() {
    let ten_years = Duration::from_secs(10 * 365 * 86_400);
    for is_forward in [false, true] {
        let (mut pair, mut log) = start(Options::brisk());
        log.append(lines(0..10));
        pair.expect_verified("m", &log.written);
        pair.kill_collector();
        for number in 1..=4 {
            log.append(lines(number * 100..number * 100 + 7));
            // The later ones, or the earlier ones if that is the way it went.
            if (number > 2) != is_forward {
                let past = SystemTime::now() - ten_years;
                File::open(log.path()).unwrap().set_modified(past).unwrap();
            }
            log.rotate();
        }
        log.append(lines(900..950));
        pair.start_collector();
        pair.expect_verified("m", &log.written);
        pair.assert_no_losses();
    }
}

/// Nothing of it has to be sent, so nothing that is sent leads to the next look.
#[test]
fn what_is_held_in_full_ends_without_a_check() {
    let (mut pair, mut log) = start(Options {
        check_s: 3600.0,
        ..Options::brisk()
    });
    log.append(lines(0..10));
    pair.expect_verified("m", &log.written);
    pair.kill_collector();
    pair.kill_server();
    for number in 1..=3 {
        log.rotate();
        log.append(lines(number * 100..number * 100 + 10));
    }
    pair.start_server();
    pair.start_collector();
    pair.expect_verified("m", &log.written);
    pair.assert_no_losses();
}

#[test]
fn what_was_deleted_meanwhile_is_on_record_and_the_rest_arrives() {
    let (mut pair, mut log) = start(Options::brisk());
    log.append(lines(0..10));
    pair.expect_verified("m", &log.written);
    let inode = inode_of(log.path());
    pair.kill_collector();
    for number in 1..=6 {
        log.append(lines(number * 100..number * 100 + 7));
        log.rotate();
    }
    log.append(lines(900..910));
    for number in 4..=6 {
        fs::remove_file(log.rotated(number)).unwrap();
    }
    pair.start_collector();
    let held = lines(0..10);
    let there = [vec![held], log.written.split_off(3)].concat();
    pair.until(
        |pair| match pair.copies("m").rotated().len() == there.len() - 1 {
            true => Ok(()),
            false => Err("not everything has come".into()),
        },
    );
    let loss = format!(
        "/m lost {inode}:{}, unknown how many bytes: the server does not have what follows any more",
        there[0].len()
    );
    pair.expect_event(&loss);
    // An event is told on stdout first.
    pair.until(|pair| match pair.complaints().contains(&loss) {
        true => Ok(()),
        false => Err("the loss is not on stderr".into()),
    });
    pair.expect_live("m", there.last().unwrap());
    for (path, bytes) in pair.copies("m").rotated().iter().zip(&there) {
        assert!(fs::read(path).unwrap() == *bytes, "{}", path.display());
    }
    let [gaps] = &pair.copies("m").beside("m.gaps")[..] else {
        panic!("the loss is not on record");
    };
    let text = fs::read_to_string(gaps).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    // Its period, and the copy before the hole.
    let last = pair.copies("m").rotated();
    let rest = text.split_once(&*loss).map(|(_, rest)| rest).unwrap_or("");
    let rest = rest.strip_prefix("; what is held before it was last written at ");
    let (stamp, name) = rest.unwrap().split_once(" and is now ").unwrap();
    assert!(
        stamp.len() == 14 && stamp.bytes().all(|it| it.is_ascii_digit()),
        "{text}"
    );
    assert!(
        last.iter()
            .any(|path| name == format!("{}\n", path.display())),
        "{text}"
    );

    pair.expect_status("ERR\n");
    pair.kill_collector();
    let on_record = |pair: &Pair| {
        let events = pair.events();
        events
            .matches("with losses or differences on record")
            .count()
    };
    let before = on_record(&pair);
    pair.start_collector();
    pair.until(|pair| match on_record(pair) > before {
        true => Ok(()),
        false => Err("the new collector does not say it again".into()),
    });
    pair.expect_status("ERR\n");
    fs::remove_file(gaps).unwrap();
    pair.collector().signal(Signal::USR1);
    pair.expect_status("OK\n");
}

#[test]
fn the_whole_history_if_asked_for() {
    for (fields, wanted) in [("history=all", 0), ("history=live", 3), ("", 3)] {
        let (mut pair, mut log) = prepare(Options {
            fields,
            ..Options::brisk()
        });
        for number in 0..3 {
            log.append(lines(number * 100..number * 100 + 50));
            log.rotate();
        }
        log.append(lines(900..910));
        pair.start_server();
        pair.start_collector();
        pair.expect_verified("m", &log.written[wanted..]);
        pair.assert_no_losses();
    }
}

fn inode_of(path: &std::path::Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).unwrap().ino()
}
