//! 1,000 sources rotate within a second.

use std::fs;
use std::time::Instant;

use super::figures::{Figures, head, row};
use super::measure::{cpu_s, size, until};
use super::stand::Stand;

const SOURCES: usize = 1_000;

/// How long it takes until all have the first line of the next generation, and what it costs.
pub fn run(figures: &mut Figures) {
    let mut stand = Stand::new(SOURCES);
    for n in 0..SOURCES {
        stand.append(n, b"of the day\n");
    }
    stand.start();
    for n in 0..SOURCES {
        stand.wait_for_size(n, 11);
    }
    let pids = [stand.server_pid(), stand.collector_pid()];
    let before: f64 = pids.map(cpu_s).iter().sum();
    let start = Instant::now();
    for n in 0..SOURCES {
        stand.rotate(n);
        stand.append(n, b"of the night, which is longer\n");
    }
    let rotated = start.elapsed().as_secs_f64();
    until("the next generation everywhere", || {
        (0..SOURCES).all(|n| size(&stand.copy(n)) == 30)
    });
    let all = start.elapsed().as_secs_f64();
    let cpu = pids.map(cpu_s).iter().sum::<f64>() - before;
    let dir_of_all = stand.copy(0).parent().unwrap().parent().unwrap().to_owned();
    let dirs = fs::read_dir(dir_of_all).unwrap();
    let copies: usize = dirs
        .map(|dir| fs::read_dir(dir.unwrap().path()).unwrap().count())
        .sum();
    assert_eq!(copies, 2 * SOURCES, "a rotated copy of each");

    head(&["midnight", "s"]);
    for (name, value) in [
        (format!("the box renames {SOURCES} logs"), rotated),
        (
            format!("all {SOURCES} copies are rotated and have the next line"),
            all,
        ),
        (format!("processor time of both sides ({SOURCES})"), cpu),
    ] {
        let cell = figures.cell(&name, value);
        row([name, cell]);
    }
}
