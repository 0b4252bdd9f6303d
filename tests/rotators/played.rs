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
