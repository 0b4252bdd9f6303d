//! Writers that do not know of the rotation, and a rotation that does not know of the writer.

use std::fs;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::start;
use crate::common::pair::content::lines;
use crate::common::pair::log::NotedLog;
use crate::common::pair::{Options, Pair};

/// No writer is so slow that his file is complete before he has closed it.
pub fn waiting() -> Options {
    Options {
        grace_s: 3600.0,
        ..Options::brisk()
    }
}

#[test]
fn a_writer_that_keeps_its_descriptor_after_the_rename() {
    let (mut pair, mut log) = start(waiting());
    let mut late = log.open();
    late.write_all(&lines(0..10)).unwrap();
    log.note(lines(0..10));
    pair.expect_live("m", &log.written[0]);
    log.rotate();
    log.append(b"the next generation\n");
    for number in 10..13 {
        late.write_all(&lines(number..number + 1)).unwrap();
        log.written[0].extend(lines(number..number + 1));
        pair.expect_live("m", &log.written[0]);
    }
    drop(late);
    pair.expect_verified("m", &log.written);
    pair.assert_no_losses();
}

#[test]
fn a_writer_that_keeps_its_descriptor_while_nobody_collects() {
    let (mut pair, mut log) = start(waiting());
    let mut late = log.open();
    pair.kill_collector();
    late.write_all(b"before\n").unwrap();
    log.rotate();
    log.append(b"the next generation\n");
    pair.start_collector();
    late.write_all(b"behind\n").unwrap();
    drop(late);
    log.written[0] = b"before\nbehind\n".to_vec();
    pair.expect_verified("m", &log.written);
    pair.assert_no_losses();
}

#[test]
fn late_lines_before_an_empty_generation() {
    for away in [false, true] {
        let (mut pair, mut log) = start(waiting());
        log.append(lines(0..10));
        pair.expect_verified("m", &log.written);
        pair.change(&mut log, away, |log| {
            let mut late = log.open();
            log.rotate();
            // The next file is older than these lines, and nothing is ever written to it.
            thread::sleep(Duration::from_millis(20));
            late.write_all(&lines(10..12)).unwrap();
            log.written[0].extend(lines(10..12));
            drop(late);
            log.rotate();
            log.append(lines(20..30));
        });
        pair.expect_verified("m", &log.written);
        pair.assert_no_losses();
    }
}

/// So often the log is copied and truncated.
const ROUNDS: usize = 100;

/// So many of the box's copies may wait for the collector: no box keeps more, and the server looks at 64.
const BEHIND_MAX: usize = 30;

#[test]
fn copytruncate_at_full_speed() {
    let (mut pair, log) = start(Options::brisk());
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let writer = scope.spawn(|| write_lines(&log, &stop, Duration::ZERO));
        for round in 0..ROUNDS {
            thread::sleep(Duration::from_millis(5 + 7 * round as u64 % 20));
            pair.until(
                |pair| match pair.copies("m").rotated().len() + BEHIND_MAX > round {
                    true => Ok(()),
                    false => Err(format!("too few copies after {round} rounds")),
                },
            );
            log.copy_and_truncate();
        }
        stop.store(true, Ordering::Relaxed);
        writer.join().unwrap();
    });
    let kept = log.generations();
    let end = kept.last().unwrap().clone();
    pair.until(|pair| match pair.copies("m").live().ends_with(&end) {
        true => Ok(()),
        false => Err("the end has not come".into()),
    });
    assert_holds(&mut pair, &kept);
    // What the box destroyed between a copy and its truncation is told where it is known, and nothing else is.
    let told = pair.events().matches(" lost ").count();
    let destroyed = breaks_in(&pair);
    assert!(
        told <= destroyed,
        "{told} losses told, {destroyed} places where lines are missing\n{}",
        pair.everything_said()
    );
}

/// In how many places lines are missing between two that are held.
fn breaks_in(pair: &Pair) -> usize {
    let paths = pair.copies("m").paths();
    let mut numbers = Vec::new();
    for path in paths {
        let held = fs::read(path).unwrap();
        let whole = held.split_inclusive(|b| *b == b'\n');
        numbers.extend(
            whole
                .filter(|line| line.ends_with(b"\n"))
                .filter_map(number_of),
        );
    }
    numbers
        .windows(2)
        .filter(|pair| pair[0] + 1 != pair[1])
        .count()
}

/// Writes numbered lines, several at once, until it is told to stop.
pub fn write_lines(log: &NotedLog, stop: &AtomicBool, pause: Duration) {
    let mut file = log.open();
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        let count = 1 + number % 5;
        file.write_all(&lines(number..number + count)).unwrap();
        number += count;
        thread::sleep(pause);
    }
    file.write_all(&lines(number..number + 1)).unwrap();
}

/// Each generation the box kept is the start of one of ours, in order, and no line of ours came twice.
pub fn assert_holds(pair: &mut Pair, kept: &[Vec<u8>]) {
    let paths = pair.copies("m").paths();
    let held: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    let mut at = 0;
    for (number, generation) in kept.iter().enumerate().filter(|(_, kept)| !kept.is_empty()) {
        match held[at..]
            .iter()
            .position(|held| held.starts_with(generation))
        {
            Some(further) => at += further + 1,
            None => panic!(
                "generation {number} of {} bytes, {:?}; ours from {at} on: {:?}\n{}",
                generation.len(),
                runs_of(generation),
                held[at..]
                    .iter()
                    .take(3)
                    .map(|held| runs_of(held))
                    .collect::<Vec<_>>(),
                pair.everything_said()
            ),
        }
    }
    let mut last = None;
    for generation in &held {
        for line in generation.split_inclusive(|b| *b == b'\n') {
            let number = number_of(line).filter(|_| line.ends_with(b"\n"));
            assert!(
                number.is_none() || last < number,
                "{number:?} after {last:?}\n{}",
                pair.everything_said()
            );
            last = number.or(last);
        }
    }
}

/// The numbers of a generation's lines, as far as they are without a gap.
fn runs_of(generation: &[u8]) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for number in generation.split(|b| *b == b'\n').filter_map(number_of) {
        match runs.last_mut() {
            Some((_, end)) if *end + 1 == number => *end = number,
            _ => runs.push((number, number)),
        }
    }
    runs
}

fn number_of(line: &[u8]) -> Option<u64> {
    let number = str::from_utf8(line).ok()?.strip_prefix("line ")?.get(..8)?;
    number.parse().ok()
}
