//! Both programs killed and connections cut at moments nobody chose, while a box writes and rotates.

use std::fs;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use fetchlogs::random::Random;

use super::writers::{assert_holds, waiting, write_lines};
use super::{prepare, start};
use crate::common::pair::content::{lines, noise};
use crate::common::pair::log::NotedLog;
use crate::common::pair::relay::Fate;
use crate::common::pair::{Options, Pair};

/// Another one with each run where `V2_SEED` is set to `random`, or the one it is set to.
fn seed() -> u64 {
    let text = std::env::var("V2_SEED").unwrap_or_default();
    let seed = match text.parse() {
        Ok(seed) => seed,
        Err(_) if text.is_empty() => 1,
        Err(_) => u64::from(std::process::id()),
    };
    println!("V2_SEED={seed}");
    seed
}

const ROUNDS: u64 = 10;

#[test]
fn killed_while_a_box_writes_and_rotates() {
    let (mut pair, mut log) = start(waiting());
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let writer = scope.spawn(|| write_and_rotate(&mut log, &stop, seed()));
        kill_at_random(&mut pair, seed());
        stop.store(true, Ordering::Relaxed);
        writer.join().unwrap();
    });
    pair.expect("m", &log.written);
    pair.assert_no_losses();
}

/// Writes lines and rotates now and then; some late lines go into the old file.
fn write_and_rotate(log: &mut NotedLog, stop: &AtomicBool, seed: u64) {
    let mut random = Random::new(seed);
    let mut file = log.open();
    let mut number = 0;
    let mut write = |log: &mut NotedLog, file: &mut fs::File, back: usize, count: u64| {
        let text = lines(number..number + count);
        number += count;
        file.write_all(&text).unwrap();
        let generation = log.written.len() - 1 - back;
        log.written[generation].extend(text);
    };
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..random.below(40) {
            write(log, &mut file, 0, 1 + random.below(60));
            thread::sleep(Duration::from_millis(random.below(4)));
        }
        if log.written.len() < 40 {
            log.rotate();
            let late = random.below(3);
            for _ in 0..late {
                write(log, &mut file, 1, 1 + random.below(3));
                thread::sleep(Duration::from_millis(random.below(20)));
            }
            file = log.open();
        }
    }
}

fn kill_at_random(pair: &mut Pair, seed: u64) {
    let mut random = Random::new(seed + 1);
    let mut pause = |most: u64| {
        let wait_ms = random.below(most);
        thread::sleep(Duration::from_millis(wait_ms));
        wait_ms
    };
    for _ in 0..ROUNDS {
        let which = pause(150) % 3;
        if which != 0 {
            pair.kill_server();
        }
        if which != 1 {
            pair.kill_collector();
        }
        pause(100);
        if which != 0 {
            pair.start_server();
        }
        if which != 1 {
            pair.start_collector();
        }
    }
}

#[test]
fn killed_while_a_box_copies_and_truncates() {
    let (mut pair, mut log) = start(Options::brisk());
    // Only where there is something older, a copy made meanwhile is known to be the first.
    log.append(b"the first one\n");
    pair.expect_verified("m", &log.written);
    log.copy_and_truncate();
    pair.expect_verified("m", &[&b"the first one\n"[..], b""]);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let writer = scope.spawn(|| write_lines(&log, &stop, Duration::from_millis(1)));
        let rotator = scope.spawn(|| {
            let mut random = Random::new(seed());
            while !stop.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(20 + random.below(150)));
                log.copy_and_truncate();
            }
        });
        kill_at_random(&mut pair, seed() + 2);
        stop.store(true, Ordering::Relaxed);
        rotator.join().unwrap();
        writer.join().unwrap();
    });
    // What nobody copies is lost between the two steps; the last line is not among that.
    let end = lines(99_999_999..100_000_000);
    log.open().write_all(&end).unwrap();
    let kept = log.generations();
    pair.until(|pair| match pair.copies("m").live().ends_with(&end) {
        true => Ok(()),
        false => Err("the end has not come".into()),
    });
    assert_holds(&mut pair, &kept);
    pair.assert_no_losses();
}

#[test]
fn cut_in_the_middle_of_frames() {
    let (mut pair, mut log) = prepare(Options {
        relayed: true,
        ..Options::brisk()
    });
    pair.start_server();
    let mut random = Random::new(seed());
    pair.relay()
        .set_usual(move || Some(Fate::CutAfter(200 + random.below(200_000) as usize)));
    pair.start_collector();
    pair.expect_status("OK\n");
    for round in 0..6 {
        log.append(noise(round, 300_000));
        log.append(lines(round * 100..round * 100 + 100));
        if round % 2 == 1 {
            log.rotate();
        }
    }
    pair.expect("m", &log.written);
    let cuts = pair.relay().ended();
    assert!(cuts > 5, "{cuts} cuts");
    pair.relay().set_usual(|| None);
    log.append(b"one more\n");
    log.rotate();
    pair.expect("m", &log.written);
    pair.assert_no_losses();
    let held = [" differs ", " damaged "].map(|word| pair.events().contains(word));
    assert_eq!(held, [false; 2]);
}

/// What a link that breaks each so many bytes has brought of a file of so many, in hundredths of it.
fn sent_over(fields: &'static str, quota: usize, len: usize) -> usize {
    let (mut pair, mut log) = prepare(Options {
        relayed: true,
        fields,
        ..Options::brisk()
    });
    // Without 0x07, so that classic brings the same.
    log.append(lines(0..len as u64 / 25));
    let size = log.written[0].len();
    pair.start_server();
    pair.relay().set_usual(move || Some(Fate::CutAfter(quota)));
    pair.start_collector();
    pair.expect("m", &log.written);
    pair.expect_status("OK\n");
    pair.relay().cut();
    pair.until(|pair| match pair.relay().brought() >= size {
        true => Ok(()),
        false => Err("the last connection has not ended".into()),
    });
    assert!(!pair.events().contains("connection"), "{}", pair.events());
    pair.relay().brought() * 100 / size
}

/// The table in PROTOCOL.md, "Connections that break".
#[test]
fn what_is_sent_over_a_link_that_breaks_each_so_many_bytes() {
    for (quota, len, most) in [
        (100_000, 800_000, 115),
        (40_000, 800_000, 115),
        (10_000, 200_000, 115),
        (800, 50_000, 140),
    ] {
        let sent = sent_over("", quota, len);
        let classic = sent_over("proto=classic", quota, len);
        println!("breaks each {quota} bytes: {sent} % of the file sent, classic {classic} %");
        assert!(sent <= most && classic <= 105, "{quota}: {sent} {classic}");
    }
}
