//! Rotation by copying and truncating, step by step.

use std::fs;
use std::thread;
use std::time::Duration;

use super::start;
use crate::common::pair::content::lines;
use crate::common::pair::log::NotedLog;
use crate::common::pair::{Options, Pair};

/// What the box does is seen as it happens, all at once, or long afterwards.
fn seen_in_each_way(before: &[u8], act: fn(&mut NotedLog)) {
    for way in ["as it happens", "at once", "afterwards"] {
        println!("{way}");
        let (mut pair, mut log) = started_with(before);
        match way {
            "as it happens" => act(&mut log),
            "at once" => pair.in_one_moment(&mut log, act),
            _ => pair.change(&mut log, true, act),
        }
        pair.expect("m", &log.written);
        log.append(b"goes on\n");
        pair.expect("m", &log.written);
        pair.assert_no_losses();
    }
}

/// A pair that has fetched one generation and what was to be written into the next.
fn started_with(bytes: &[u8]) -> (Pair, NotedLog) {
    let (mut pair, mut log) = start(Options::brisk());
    log.append(b"the first one\n");
    pair.expect_verified("m", &log.written);
    rotate(&mut log);
    pair.expect_verified("m", &log.written);
    if !bytes.is_empty() {
        log.append(bytes);
        pair.expect_verified("m", &log.written);
    }
    (pair, log)
}

/// A whole rotation. No two of them fall into one tick of the clock that file times come from.
fn rotate(log: &mut NotedLog) {
    log.copy_and_truncate();
    log.begin();
    thread::sleep(Duration::from_millis(20));
}

#[test]
fn what_was_written_before_the_copy_is_had() {
    seen_in_each_way(&lines(0..40), |log| {
        log.append(lines(40..80));
        rotate(log);
        log.append(lines(100..300));
    });
}

#[test]
fn nothing_was_written_behind() {
    seen_in_each_way(&lines(0..40), |log| {
        log.append(lines(40..80));
        rotate(log);
    });
}

#[test]
fn our_copy_was_empty() {
    seen_in_each_way(b"", |log| {
        log.append(lines(40..80));
        rotate(log);
        log.append(lines(100..300));
    });
}

#[test]
fn several_times() {
    for before in [lines(0..40), Vec::new()] {
        seen_in_each_way(&before, |log| {
            for number in 1..4 {
                log.append(lines(number * 100..number * 110));
                rotate(log);
            }
            log.append(lines(500..900));
        });
    }
}

#[test]
fn lines_between_copy_and_truncation_are_lost_by_the_box() {
    for before in [lines(0..40), Vec::new()] {
        let (mut pair, mut log) = started_with(&before);
        pair.in_one_moment(&mut log, |log| {
            log.append(lines(40..80));
            log.copy();
            let kept = log.written.clone();
            log.append(lines(80..85));
            log.open().set_len(0).unwrap();
            log.written = kept;
            log.begin();
            log.append(lines(100..300));
        });
        pair.expect("m", &log.written);
        pair.assert_no_losses();
    }
}

#[test]
fn lines_between_copy_and_truncation_that_we_hold_are_kept() {
    for away in [false, true] {
        let (mut pair, mut log) = started_with(&lines(0..40));
        log.copy();
        log.append(lines(40..80));
        pair.expect("m", &log.written);
        pair.change(&mut log, away, |log| {
            log.open().set_len(0).unwrap();
            log.begin();
            // Too short to show by itself that it is another one.
            for number in 100..103 {
                log.append(lines(number..number + 2));
                rotate(log);
            }
            log.append(lines(200..300));
        });
        pair.expect("m", &log.written);
        pair.assert_no_losses();
    }
}

#[test]
fn a_copy_that_is_older_than_the_truncation() {
    let (mut pair, mut log) = started_with(&lines(0..40));
    pair.kill_collector();
    log.append(lines(40..80));
    log.copy();
    pair.start_collector();
    pair.expect("m", &log.written);
    log.open().set_len(0).unwrap();
    log.begin();
    log.append(lines(100..300));
    pair.expect("m", &log.written);
    pair.assert_no_losses();
}

#[test]
fn a_copy_of_the_live_file_is_not_the_next_generation() {
    // Behind one generation, the collector comes to the copy before the live file is truncated.
    for quiet_ms in [0, 700] {
        let (mut pair, mut log) = started_with(&lines(0..40));
        pair.kill_collector();
        log.rotate();
        log.append(lines(100..200));
        log.copy();
        thread::sleep(Duration::from_millis(quiet_ms));
        pair.start_collector();
        pair.until(|pair| match pair.copies("m").rotated().len() {
            0 | 1 => Err("the generation is not finished".into()),
            _ => Ok(()),
        });
        log.append(lines(200..210));
        log.open().set_len(0).unwrap();
        log.begin();
        log.append(lines(300..400));
        pair.until(|pair| match pair.copies("m").live() == lines(300..400) {
            true => Ok(()),
            false => Err("the last generation has not come".into()),
        });
        // Whether the lines behind the copy were seen is a matter of time.
        let mut generations = log.written.clone();
        if fs::read(&pair.copies("m").rotated()[2]).unwrap() == lines(100..200) {
            generations[2] = lines(100..200);
        }
        pair.expect("m", &generations);
        pair.assert_no_losses();
    }
}
