//! Rotators that are not here, played call by call, each with the glob that finds its files.

use std::fs::{self, File};
use std::io::Write;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use super::writer::{Habit, rotate_under_watch, rotate_unwatched};
use crate::both_protocols;
use crate::common::outside_program;
use crate::common::pair::log::Log;
use crate::common::pair::{NOTHING, Options, Pair};

/// BusyBox's syslogd with `-b 5`, which writes and rotates.
fn busybox_syslogd(log: &Log) {
    shift(log);
    fs::rename(log.path(), log.rotated(0)).unwrap();
    log.open();
}

/// BusyBox's syslogd with `-b 0`.
fn busybox_syslogd_in_place(log: &Log) {
    log.open().set_len(0).unwrap();
}

/// BSD's newsyslog: it has the last word in the old file and the first in the new one, which is born with it. Nobody
/// ever finds the log missing.
fn newsyslog(log: &Log) {
    const WORD: &[u8] = b"newsyslog[1]: logfile turned over\n";
    log.append(WORD);
    shift(log);
    fs::hard_link(log.path(), log.rotated(0)).unwrap();
    let born = log.path().with_extension("new");
    File::create_new(&born).unwrap().write_all(WORD).unwrap();
    fs::rename(&born, log.path()).unwrap();
}

/// OpenWrt's logread with `-F` and `-S`: one old file.
fn logread(log: &Log) {
    fs::rename(log.path(), log.path().with_extension("old")).unwrap();
    log.open();
}

/// svlogd, s6-log and multilog: everything is on the disk before the file gets its stamp.
fn svlogd(log: &Log) {
    log.open().sync_all().unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let (secs, nanos) = ((1 << 62) + 10 + now.as_secs(), now.subsec_nanos());
    let stamped = format!("@{secs:016x}{nanos:08x}.s");
    fs::rename(log.path(), log.path().with_file_name(stamped)).unwrap();
    log.open();
}

/// Debian's savelog, the real one, where it is.
fn savelog(log: &Log) {
    let mut program = Command::new(outside_program("savelog").unwrap());
    let status = program.args(["-q", "-l", "-n"]).arg(log.path()).status();
    assert!(status.unwrap().success());
}

/// log4j with a fixed window: `app.log.1` is the newest. What would be the 13th falls out.
fn log4j_fixed_window(log: &Log) {
    for number in (1..12).rev().filter(|&number| log.rotated(number).exists()) {
        fs::rename(log.rotated(number), log.rotated(number + 1)).unwrap();
    }
    fs::rename(log.path(), log.rotated(1)).unwrap();
    log.open();
}

/// log4j with `fileIndex=max` and two files, of which `app-2.log` is the newer one. Then the first is deleted, and the
/// other renamed downwards.
fn log4j_greatest_index(log: &Log) {
    let file = |number: usize| log.path().with_file_name(format!("app-{number}.log"));
    if file(2).exists() {
        fs::remove_file(file(1)).unwrap();
        fs::rename(file(2), file(1)).unwrap();
    }
    let free = (1..).find(|&number| !file(number).exists()).unwrap();
    fs::rename(log.path(), file(free)).unwrap();
    log.open();
}

/// Python's TimedRotatingFileHandler, at midnight: `app.log.2026-11-01`, and the day after.
fn python_by_time(log: &Log) {
    let dated = |day: usize| log.named(&format!(".2026-11-{day:02}"));
    let day = (1..).find(|&day| !dated(day).exists()).unwrap();
    fs::rename(log.path(), dated(day)).unwrap();
    log.open();
}

/// Python's RotatingFileHandler with `backupCount=5`: what has the next name is removed first.
fn python_by_size(log: &Log) {
    for number in (0..5).rev() {
        let from = match number {
            0 => log.path().to_owned(),
            _ => log.rotated(number),
        };
        if from.exists() {
            let _ = fs::remove_file(log.rotated(number + 1));
            fs::rename(from, log.rotated(number + 1)).unwrap();
        }
    }
    log.open();
}

/// Renames `LOG.n` to `LOG.n+1` for the lowest four, so that `LOG.0` is free. The oldest falls out.
fn shift(log: &Log) {
    for number in (0..4).rev().filter(|&number| log.rotated(number).exists()) {
        fs::rename(log.rotated(number), log.rotated(number + 1)).unwrap();
    }
}

/// Rotates while the collector looks on and while it is away, in each version of the protocol.
fn rotate(name: &str, globs: &str, habit: Habit, unwatched: usize, rotate: fn(&Log)) {
    for options in Options::of(name, globs).in_both_protocols() {
        let mut pair = Pair::start(options.clone());
        rotate_under_watch(&mut pair, name, habit, rotate);
        if unwatched > 0 {
            let mut pair = Pair::start(options);
            rotate_unwatched(&mut pair, name, unwatched, rotate);
        }
    }
}

#[test]
fn busybox_syslogd_renames() {
    rotate("m", "m.[0-9]*", Habit::Reopens, 4, busybox_syslogd);
}

#[test]
fn busybox_syslogd_starts_over_in_place() {
    rotate("m", "", Habit::Keeps, 0, busybox_syslogd_in_place);
}

#[test]
fn logread_keeps_one_old_file() {
    rotate("m", "m.old", Habit::Reopens, 1, logread);
}

#[test]
fn svlogd_stamps() {
    rotate("current", "@*.[su]", Habit::Reopens, 4, svlogd);
}

#[test]
fn savelog_numbers() {
    if outside_program("savelog").is_some() {
        rotate("m", "m.[0-9]*", Habit::Keeps, 4, savelog);
    }
}

/// What the manual page says of programs that rename their logs themselves: the patterns, how many rotations there are
/// while the collector is away, and what they do.
type Recipe = (&'static str, usize, fn(&Log));

const RECIPES: [Recipe; 4] = [
    ("app.log.[0-9]*", 11, log4j_fixed_window),
    ("app-*.log", 2, log4j_greatest_index),
    ("app.log.*", 5, python_by_time),
    ("app.log.[0-9]", 5, python_by_size),
];

#[test]
fn programs_that_rename_their_own_logs() {
    let page = include_str!("../../conf/man/gen_numbers.pl.locals.5");
    for (globs, unwatched, program) in RECIPES {
        let row = format!(" Ta Pa /var/log/app.log Ta Pa /var/log/{globs}\n");
        assert!(page.contains(&row), "{globs}");
        rotate("app.log", globs, Habit::Keeps, unwatched, program);
    }
}

both_protocols!(newsyslog_links_and_renames);

fn newsyslog_links_and_renames(options: Options) {
    let logs = vec![("m".into(), "m.[0-9]*".into())];
    let mut pair = Pair::start(Options { logs, ..options });
    let log = pair.log("m");
    let generations = |rotated: usize| -> Vec<Vec<u8>> {
        let paths = (0..rotated).rev().map(|number| log.rotated(number));
        let paths = paths.chain([log.path().to_owned()]);
        paths.map(|path| fs::read(path).unwrap()).collect()
    };
    for rotations in 1..=2 {
        log.append(format!("before rotation {rotations}\n"));
        newsyslog(&log);
        log.append(format!("after rotation {rotations}\n"));
        pair.expect("m", &generations(rotations));
    }
    pair.kill_collector();
    for _ in 3..=4 {
        log.append("unwatched\n");
        newsyslog(&log);
    }
    let expected = generations(4);
    // The glob finds this one too, but it is no log any more.
    fs::remove_file(log.rotated(3)).unwrap();
    fs::write(log.path().with_extension("3.bz2"), "BZh91AY&SY").unwrap();
    pair.start_collector();
    pair.expect("m", &expected);
    assert_eq!(pair.losses(), NOTHING);
}
