//! From the append of a line until it stands in the copy, at 100 lines a second.

use std::fs::File;
use std::io::Write;
use std::num::NonZeroU64;
use std::thread;
use std::time::{Duration, Instant};

use super::contestants::{self, TAIL};
use super::figures::{Figures, head, percentile, row};
use super::measure::size;

const ROUNDS: usize = 5;
const LINES: usize = 100;
const BETWEEN_LINES: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_secs(20);

/// Compares all that follow.
pub fn run(figures: &mut Figures) {
    head(&[
        "append to copy, 100 lines a second",
        "p50 ms",
        "of tail",
        "p99 ms",
        "of tail",
    ]);
    // What looks for the line shall not look late.
    rustix::thread::set_current_timer_slack(NonZeroU64::new(1)).unwrap();
    let contestants = contestants::installed();
    let mut taken = vec![Vec::new(); contestants.len()];
    for _ in 0..ROUNDS {
        for (contestant, taken) in contestants.iter().zip(&mut taken) {
            let dir = tempfile::tempdir_in(super::stand::memory()).unwrap();
            let log = dir.path().join("log");
            File::create(&log).unwrap();
            if let Some(follower) = contestant.follow(&log) {
                taken.extend(latencies_ms(&log, &follower.copy));
            }
        }
    }
    let at = |n: usize, percent| percentile(&mut taken[n].clone(), percent);
    let tail = contestants.iter().position(|it| it.name() == TAIL);
    for (n, contestant) in contestants.iter().enumerate() {
        if taken[n].is_empty() {
            continue;
        }
        let mut cells = vec![contestant.name().to_owned()];
        for percent in [50, 99] {
            let ms = at(n, percent);
            let of_tail = tail.map_or(f64::NAN, |tail| ms / at(tail, percent));
            let name = format!("latency p{percent} {}", contestant.name());
            cells.push(figures.cell(&name, ms));
            cells.push(figures.cell(&format!("{name} of tail"), of_tail));
        }
        row(cells);
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
