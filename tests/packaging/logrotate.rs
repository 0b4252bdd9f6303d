//! The example for logrotate, with the real one.

use std::fs::{self, File};
use std::process::Command;
use std::time::{Duration, SystemTime};

use super::{Place, shipped, succeeds};
use crate::common::outside_program;

const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn finished_copies_are_compressed_and_the_others_left_alone() {
    let (Some(logrotate), Some(_)) = (outside_program("logrotate"), outside_program("gzip")) else {
        return;
    };
    let place = Place::new();
    let dir = place.path("logs");
    let example = fs::read_to_string(shipped("logrotate/fetchlogs")).unwrap();
    assert!(example.contains("/var/log/fetchlogs/"));
    let example = example.replace("/var/log/fetchlogs", dir.to_str().unwrap());
    let config = place.write("config", &example);
    let now = SystemTime::now();
    for (name, age) in [
        ("a", 9 * DAY),
        ("a.pointer", 9 * DAY),
        ("a.gaps", 9 * DAY),
        ("a.20261101000000", 9 * DAY),
        ("a.20261121000000", Duration::ZERO),
        ("a.20251101000000.1.gz", 400 * DAY),
        ("a.20261001000000.1.gz", 30 * DAY),
    ] {
        let path = place.write(&format!("logs/{name}"), name);
        let file = File::options().append(true).open(path).unwrap();
        file.set_modified(now - age).unwrap();
    }
    let state = |day: &str| {
        format!(
            "logrotate state -- version 2\n\"{}\" {day}\n",
            dir.join("a.20261101000000").display()
        )
    };
    let state = place.write("state", &state("2026-11-1-0:0:0"));
    let mut command = Command::new(logrotate);
    command.arg("-s").arg(state).arg(config);
    succeeds(command);
    let mut names: Vec<String> = fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "a",
            "a.20261001000000.1.gz",
            "a.20261101000000.1.gz",
            "a.20261121000000",
            "a.gaps",
            "a.pointer",
        ]
    );
}
