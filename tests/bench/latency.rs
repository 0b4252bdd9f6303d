//! From the append of a line until it stands in the copy, at 100 lines a second.

use std::fs::File;
use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use super::contestants;
use super::figures::{Figures, head, percentile, row};
use super::measure::size;

const LINES: usize = 500;
const BETWEEN_LINES: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_secs(20);

/// Compares all that follow.
pub fn run(figures: &mut Figures) {
    head(&["append to copy, 100 lines a second", "p50 ms", "p99 ms"]);
    for contestant in contestants::installed() {
        let dir = tempfile::tempdir_in(super::stand::memory()).unwrap();
        let log = dir.path().join("log");
        File::create(&log).unwrap();
        let Some(follower) = contestant.follow(&log) else {
            continue;
        };
        let mut latencies = latencies_ms(&log, &follower.copy);
        let name = contestant.name();
        row([
            name.to_owned(),
            figures.cell(
                &format!("latency p50 {name}"),
                percentile(&mut latencies, 50),
            ),
            figures.cell(
                &format!("latency p99 {name}"),
                percentile(&mut latencies, 99),
            ),
        ]);
    }
}

fn latencies_ms(log: &std::path::Path, copy: &std::path::Path) -> Vec<f64> {
    let mut log = File::options().append(true).open(log).unwrap();
    let mut taken = Vec::new();
    for n in 0..LINES + 1 {
        let line = format!("Nov 22 13:29:56 router daemon[{n}]: a line of usual length\n");
        let before = size(copy);
        let start = Instant::now();
        log.write_all(line.as_bytes()).unwrap();
        while size(copy) <= before {
            assert!(start.elapsed() < PATIENCE, "the line does not come");
            thread::sleep(Duration::from_micros(20));
        }
        let this = start.elapsed();
        thread::sleep(BETWEEN_LINES.saturating_sub(this));
        // The first one is the start of everything.
        if n > 0 {
            taken.push(this.as_secs_f64() * 1e3);
        }
    }
    taken
}
