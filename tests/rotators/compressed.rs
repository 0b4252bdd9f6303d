//! Rotators that compress, while the collector is away: it takes what they made of the generations that it lacks.

use std::fs;

use super::logrotate::Logrotate;
use super::writer::{Habit, Writer};
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
