//! logrotate itself.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::writer::{Habit, rotate_under_watch, rotate_unwatched};
use crate::both_protocols;
use crate::common::outside_program;
use crate::common::pair::daemon::Daemon;
use crate::common::pair::log::Log;
use crate::common::pair::{NOTHING, Options, Pair};
use crate::common::process::Signal;

/// logrotate with a configuration and a state file of its own. `None` where it is not installed.
pub struct Logrotate {
    program: PathBuf,
    home: PathBuf,
}

impl Logrotate {
    /// One for this pair.
    pub fn beside(pair: &Pair) -> Option<Logrotate> {
        outside_program("gzip")?;
        Some(Logrotate {
            program: outside_program("logrotate")?,
            home: pair.home().to_owned(),
        })
    }

    /// Rotates, whether it is time or not.
    pub fn rotate(&self, log: &Log, directives: &str) {
        let config = self.home.join("logrotate.conf");
        let path = log.path().display();
        let text = format!("\"{path}\" {{\nsize 1\nrotate 20\n{directives}\n}}\n");
        fs::write(&config, text).unwrap();
        let output = Command::new(&self.program)
            .args(["-f", "-s"])
            .arg(self.home.join("logrotate.state"))
            .arg(config)
            .env("TZ", "UTC0")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{said}");
    }
}

/// Rotates in every way: with a writer of each habit, in each version of the protocol.
fn under_watch(directives: &str) {
    for habit in [Habit::Reopens, Habit::Keeps] {
        for options in Options::default().in_both_protocols() {
            let mut pair = Pair::start(options);
            let Some(logrotate) = Logrotate::beside(&pair) else {
                return;
            };
            rotate_under_watch(&mut pair, "m", habit, |log| {
                logrotate.rotate(log, directives)
            });
        }
    }
}

#[test]
fn create() {
    under_watch("create");
}

#[test]
fn nocreate() {
    under_watch("nocreate");
}

/// The live file keeps its inode; what the collector held of it becomes the rotated copy.
#[test]
fn copytruncate() {
    under_watch("copytruncate");
}

/// The rotated file is gone as soon as its writer lets go of it; until then the server holds on to it.
#[test]
fn compress() {
    under_watch("create\ncompress");
}

#[test]
fn delaycompress() {
    under_watch("create\ncompress\ndelaycompress");
}

both_protocols!(several_while_the_collector_is_away);
both_protocols!(a_file_a_day);
both_protocols!(a_generation_compressed_while_the_collector_is_away);
both_protocols!(a_daemon_that_is_told_by_a_signal);

fn several_while_the_collector_is_away(options: Options) {
    let mut pair = Pair::start(options);
    if let Some(logrotate) = Logrotate::beside(&pair) {
        rotate_unwatched(&mut pair, "m", 4, |log| logrotate.rotate(log, "create"));
        pair.expect_same("m");
    }
}

/// `dateext`: this is yesterday's and today's.
fn a_file_a_day(options: Options) {
    let logs = vec![("m".into(), "m-*[0-9]".into())];
    let mut pair = Pair::start(Options { logs, ..options });
    let Some(logrotate) = Logrotate::beside(&pair) else {
        return;
    };
    let log = pair.log("m");
    let written = b"the day before\nyesterday\ntoday\n";
    log.append(&written[..15]);
    pair.expect_all("m", &written[..15]);
    pair.kill_collector();
    logrotate.rotate(&log, "dateext\ndateyesterday\ncreate");
    log.append(&written[15..25]);
    logrotate.rotate(&log, "dateext\ncreate");
    log.append(&written[25..]);
    pair.start_collector();
    pair.expect("m", &[&written[..15], &written[15..25], &written[25..]]);
    assert_eq!(pair.losses(), NOTHING);
}

/// The generation that the collector holds was compressed: what the box still has as plain files arrives, and the
/// loss is told, unless the collector can inflate.
fn a_generation_compressed_while_the_collector_is_away(options: Options) {
    let can_inflate = cfg!(feature = "gz") && options.fields != "proto=classic";
    let mut pair = Pair::start(options);
    let Some(logrotate) = Logrotate::beside(&pair) else {
        return;
    };
    let log = pair.log("m");
    log.append("seen\n");
    pair.expect_same("m");
    pair.kill_collector();
    // Its number must not be given to another file while this test looks at other things.
    let _held = File::open(log.path()).unwrap();
    for generation in ["second\n", "third\n"] {
        logrotate.rotate(&log, "create\ncompress\ndelaycompress");
        log.append(generation);
    }
    pair.start_collector();
    pair.expect("m", &["seen\n", "second\n", "third\n"]);
    assert_eq!(pair.losses().len(), usize::from(!can_inflate));
}

/// What was written between the last line that the collector saw and the truncation is in the copy that logrotate
/// made. Version 2 finds it there; in classic what was streamed before is kept and the rest is not found.
#[test]
fn copytruncate_while_the_collector_is_away() {
    let [newest, classic] = Options::default().in_both_protocols();
    for (options, first) in [
        (newest, "seen before the truncation\nnot seen\n"),
        (classic, "seen before the truncation\n"),
    ] {
        let mut pair = Pair::start(options);
        let Some(logrotate) = Logrotate::beside(&pair) else {
            return;
        };
        let log = pair.log("m");
        log.append("seen before the truncation\n");
        pair.expect_same("m");
        pair.kill_collector();
        log.append("not seen\n");
        logrotate.rotate(&log, "copytruncate");
        log.append("new\n");
        pair.start_collector();
        pair.expect("m", &[first, "new\n"]);
    }
}

/// A program that writes all the time and is told by a signal, as `postrotate` is for. The signal is not HUP, because a
/// shell that is started under `nohup` cannot catch that.
fn a_daemon_that_is_told_by_a_signal(options: Options) {
    let check_s = 0.2;
    let mut pair = Pair::start(Options { check_s, ..options });
    let Some(logrotate) = Logrotate::beside(&pair) else {
        return;
    };
    let log = pair.log("m");
    let mut program = Command::new("sh");
    program.stdin(Stdio::null()).arg("-c").arg(format!(
        "exec >>'{log}'; trap \"exec >>'{log}'\" USR1; trap 'exit 0' TERM; n=0
         while :; do n=$((n + 1)); echo line $n; sleep 0.005; done",
        log = log.path().display()
    ));
    let program = Daemon::start(program, pair.home(), "program");
    let told = format!(
        "create\npostrotate\nkill -USR1 {}\nendscript",
        program.pid()
    );
    for rotated in 1..=5 {
        pair.until(|pair| match pair.copies("m").live_size() {
            0..100 => Err("the program has written little".into()),
            _ => Ok(()),
        });
        logrotate.rotate(&log, &told);
        pair.until(|pair| match pair.copies("m").rotated().len() {
            n if n == rotated => Ok(()),
            n => Err(format!("{n} rotated copies instead of {rotated}")),
        });
    }
    program.signal(Signal::TERM);
    assert!(!program.was_killed());
    pair.expect_same("m");
    assert_eq!(pair.losses(), NOTHING);
}
