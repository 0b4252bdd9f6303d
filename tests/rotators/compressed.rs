//! Rotators that compress, while the collector is away: it takes what they made of the generations that it lacks.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::logrotate::Logrotate;
use super::writer::{Habit, Writer};
use crate::common::outside_program;
use crate::common::pair::log::Log;
use crate::common::pair::{NOTHING, Options, Pair};

/// Rotates so often while the collector is away, and compares all that was written. Each copy is verified.
fn rotate_away(options: Options, name: &str, rotations: usize, rotate: impl Fn(&Pair, &Log)) {
    let mut pair = Pair::start(options);
    let log = pair.log(name);
    let mut writer = Writer::new(&log, Habit::Keeps);
    writer.write("seen\n");
    pair.expect_all(name, &writer.written());
    pair.kill_collector();
    for round in 1..=rotations {
        for line in 0..500 {
            writer.write(&format!("line {line} before rotation {round}\n"));
        }
        rotate(&pair, &log);
        writer.told();
    }
    writer.write("live\n");
    pair.start_collector();
    pair.expect_all(name, &writer.written());
    pair.until(|pair| pair.copies(name).all_verified(&pair.events()));
    assert_eq!(pair.copies(name).rotated().len(), rotations);
    assert_eq!(pair.losses(), NOTHING);
    pair.until(|pair| match pair.status() {
        status if status.starts_with("OK") => Ok(()),
        other => Err(other),
    });
    let left = fs::read_dir(pair.local(name).parent().unwrap()).unwrap();
    let left = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let left: Vec<String> = left.filter(|name| name.ends_with(".inflating")).collect();
    assert_eq!(left, NOTHING);
}

fn by_logrotate(name: &str, globs: &str, directives: &str) {
    let options = Options::of(name, globs);
    if let Some(logrotate) = Logrotate::beside(&Pair::prepare(options.clone())) {
        drop(logrotate);
        rotate_away(options, name, 5, |pair, log| {
            let logrotate = Logrotate::beside(pair).unwrap();
            logrotate.rotate(log, directives);
        });
    }
}

#[test]
fn logrotate_compresses_at_once() {
    by_logrotate("m", "m.*[0-9]", "create\ncompress");
}

#[test]
fn logrotate_compresses_one_period_later() {
    by_logrotate("m", "m.*[0-9]", "create\ncompress\ndelaycompress");
}

#[test]
fn logrotate_moves_to_another_directory() {
    let directives = "create\ncompress\nolddir old\ncreateolddir 0755";
    by_logrotate("m", "old/m.*[0-9]", directives);
}

#[test]
fn logrotate_gives_dates() {
    // One more at each rotation: two of one second are one file.
    let options = Options::of("m", "m-*[0-9]");
    let days = std::cell::Cell::new(10);
    if Logrotate::beside(&Pair::prepare(options.clone())).is_some() {
        rotate_away(options, "m", 5, |pair, log| {
            days.set(days.get() + 1);
            let stamp = format!("-202611{}", days.get());
            let directives = format!("create\ncompress\ndateext\ndateformat {stamp}");
            Logrotate::beside(pair).unwrap().rotate(log, &directives);
        });
    }
}

/// Compresses a file by this program, which takes the other away.
fn compress(path: &Path, program: &[&str]) {
    let (name, options) = program.split_first().unwrap();
    let status = Command::new(outside_program(name).unwrap())
        .args(options)
        .arg(path)
        .status();
    assert!(status.unwrap().success());
}

/// Renames `LOG.n` and `LOG.n.gz` to those with the next number, so that `LOG.first` is free.
fn shift(log: &Log, first: usize) {
    for number in (first..20).rev() {
        for ending in ["", ".gz"] {
            let name = |number| format!("{}.{number}{ending}", log.path().display());
            if Path::new(&name(number)).exists() {
                fs::rename(name(number), name(number + 1)).unwrap();
            }
        }
    }
}

/// A rotator that numbers from `first` on and compresses what is not among the `spare` newest.
fn by_numbers(globs: &str, first: usize, spare: usize, program: &'static [&str]) {
    if outside_program(program[0]).is_none() {
        return;
    }
    rotate_away(Options::of("m", globs), "m", 5, |_, log| {
        shift(log, first);
        fs::rename(log.path(), log.rotated(first)).unwrap();
        log.open();
        let old = log.rotated(first + spare);
        if old.exists() {
            compress(&old, program);
        }
    });
}

#[test]
fn every_gzip_and_every_level() {
    by_numbers("m.*[0-9]", 1, 0, &["gzip", "-1"]);
    by_numbers("m.*[0-9]", 0, 0, &["gzip", "-9"]);
    by_numbers("m.*", 1, 1, &["gzip", "-n"]);
    by_numbers("m.[0-9]", 1, 0, &["busybox", "gzip"]);
    by_numbers("m.[0-9]*", 1, 1, &["busybox", "gzip"]);
    by_numbers("m.*[0-9]", 1, 2, &["gzip"]);
    // Each of them named.
    by_numbers("m.{1,2,3,4,5,6}", 1, 1, &["gzip"]);
}

/// It writes blocks that were compressed apart from each other.
#[test]
fn pigz_is_gzip() {
    by_numbers("m.*[0-9]", 1, 0, &["pigz", "-p", "2", "-b", "128"]);
    by_numbers("m.*[0-9]", 0, 1, &["pigz", "-11", "-p", "1"]);
}

/// BSD's newsyslog with `Z` and `B`: it renames over the live name, and nobody ever finds that missing.
#[test]
fn newsyslog_compresses_at_once() {
    rotate_away(Options::of("m", "m.*[0-9]"), "m", 5, |_, log| {
        shift(log, 0);
        fs::hard_link(log.path(), log.rotated(0)).unwrap();
        let born = log.named(".new");
        fs::File::create_new(&born).unwrap();
        fs::rename(&born, log.path()).unwrap();
        compress(&log.rotated(0), &["gzip", "-f"]);
    });
}

#[test]
fn savelog_compresses_one_period_later() {
    if outside_program("savelog").is_none() {
        return;
    }
    rotate_away(Options::of("m", "m.*[0-9]"), "m", 5, |_, log| {
        compress(log.path(), &["savelog", "-q", "-n"]);
        log.open();
    });
}

/// The kubelet renames to a stamp, and compresses all but the newest. It writes beside and renames.
#[test]
fn the_kubelet_has_stamps_behind_the_name() {
    let stamp = std::cell::Cell::new(0);
    let name = "0.log";
    rotate_away(Options::of(name, "0.log.*[0-9]"), name, 5, |_, log| {
        let path = |stamp: u32| log.named(&format!(".20261129-12000{stamp}"));
        let now = stamp.replace(stamp.get() + 1);
        fs::rename(log.path(), path(now)).unwrap();
        log.open();
        if let Some(before) = now.checked_sub(1) {
            let old = path(before);
            compress(&old, &["gzip", "-k", "-S", ".tmp"]);
            let made = format!("{}.tmp", old.display());
            fs::rename(made, format!("{}.gz", old.display())).unwrap();
            fs::remove_file(old).unwrap();
        }
    });
}

/// A pair whose collector was killed when it had "seen", after which two files were compressed.
fn two_compressed_away() -> (Pair, Log) {
    let mut pair = Pair::start(Options {
        grace_s: 0.3,
        ..Options::default()
    });
    let log = pair.log("m");
    log.append("seen\n");
    pair.expect_same("m");
    pair.kill_collector();
    for text in ["second\n", "third\n"] {
        shift(&log, 1);
        fs::rename(log.path(), log.rotated(1)).unwrap();
        compress(&log.rotated(1), &["gzip"]);
        log.append(text);
    }
    (pair, log)
}

/// An archive that was torn was told as lost. What it becomes later would come out of order: it stays told.
#[test]
fn what_becomes_whole_later_stays_told() {
    let (mut pair, log) = two_compressed_away();
    let path = log.named(".1.gz");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 3]).unwrap();
    pair.start_collector();
    pair.expect("m", &["seen\n", "third\n"]);
    fs::write(&path, &whole).unwrap();
    log.append("fourth\n");
    pair.kill_collector();
    pair.start_collector();
    pair.expect("m", &["seen\n", "third\nfourth\n"]);
    let said = "lost m.1.gz, a compressed file of the box: it ends too early";
    assert!(pair.events().contains(said), "{}", pair.events());
    assert!(pair.status().starts_with("ERR"), "{}", pair.status());
}

/// Docker's `json-file` with `compress`.
#[test]
fn docker_numbers_and_compresses() {
    let name = "x-json.log";
    rotate_away(Options::of(name, "x-json.log.*"), name, 5, |_, log| {
        shift(log, 1);
        fs::rename(log.path(), log.rotated(1)).unwrap();
        log.open();
        compress(&log.rotated(1), &["gzip"]);
    });
}

/// One that was compressed in two goes has two members.
#[test]
fn an_archive_of_several_members() {
    rotate_away(Options::default(), "m", 3, |pair, log| {
        shift(log, 1);
        let all = fs::read(log.path()).unwrap();
        let (one, other) = all.split_at(all.len() / 3);
        let mut joined = Vec::new();
        for part in [one, other] {
            let path = pair.home().join("part");
            fs::write(&path, part).unwrap();
            compress(&path, &["gzip"]);
            joined.extend(fs::read(path.with_extension("gz")).unwrap());
            fs::remove_file(path.with_extension("gz")).unwrap();
        }
        fs::write(log.named(".1.gz"), joined).unwrap();
        fs::remove_file(log.path()).unwrap();
        log.open();
    });
}

/// The oldest is the first.
#[test]
fn history_begins_with_what_is_compressed() {
    let mut pair = Pair::prepare(Options {
        fields: "history=all",
        ..Options::default()
    });
    let log = pair.log("m");
    for text in ["first\n", "second\n", "third\n"] {
        log.append(text);
        shift(&log, 1);
        fs::rename(log.path(), log.rotated(1)).unwrap();
        if text != "third\n" {
            compress(&log.rotated(1), &["gzip"]);
        }
    }
    log.append("live\n");
    pair.start_server();
    pair.start_collector();
    pair.expect("m", &["first\n", "second\n", "third\n", "live\n"]);
    pair.until(|pair| pair.copies("m").all_verified(&pair.events()));
    assert_eq!(pair.losses(), NOTHING);
}

/// What is spoilt is told by name and nothing of it is taken; what else there is arrives.
#[test]
fn archives_that_cannot_be_trusted_are_told() {
    type Damage = fn(&mut Vec<u8>);
    let damages: [(&str, Damage); 4] = [
        ("it ends too early", |all| all.truncate(all.len() - 3)),
        ("there is something else behind it", |all| all.push(b'x')),
        ("what is in it has not its checksum", |all| {
            let at = all.len() - 8;
            all[at] ^= 1;
        }),
        ("it is none of gzip's", |all| all[0] = b'x'),
    ];
    for (why, damage) in damages {
        let (mut pair, log) = two_compressed_away();
        let path = log.named(".1.gz");
        let mut archive = fs::read(&path).unwrap();
        damage(&mut archive);
        fs::write(&path, archive).unwrap();
        pair.start_collector();
        pair.expect("m", &["seen\n", "third\n"]);
        let said =
            format!("lost m.1.gz, a compressed file of the box: {why}; nothing of it is taken");
        pair.until(|pair| match pair.events().contains(&said) {
            true => Ok(()),
            false => Err(pair.events()),
        });
    }
}
