//! A large log from its start: bytes a second, and processor time for each GB on both sides together.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use super::contestants::{self, Contestant, Load};
use super::figures::{Figures, head, median, row, short};

/// How often each has its turn.
const ROUNDS: usize = 9;

/// What the fast ones carry; the slow ones carry as much less as they are slower.
const BYTES: u64 = 1 << 30;

/// Compares all that are there.
pub fn run(figures: &mut Figures) {
    let dir = tempfile::tempdir_in(super::stand::memory()).unwrap();
    let contestants: Vec<Box<dyn Contestant>> = contestants::installed();
    let mut results: Vec<(Vec<f64>, Vec<f64>)> = vec![Default::default(); contestants.len()];
    for round in 0..ROUNDS {
        for (contestant, (rates, costs)) in contestants.iter().zip(&mut results) {
            let bytes = BYTES / contestant.handicap();
            let file = dir.path().join(format!("log.{bytes}"));
            if !file.exists() {
                write_log(&file, bytes);
            }
            let Load { seconds, cpu_s } = contestant.backlog(&file, bytes);
            let gb = bytes as f64 / 1e9;
            rates.push(gb * 1e3 / seconds);
            costs.push(cpu_s / gb);
            eprintln!(
                "{round} {}: {} MB/s",
                contestant.name(),
                short(gb * 1e3 / seconds)
            );
        }
    }
    let middle: Vec<(f64, f64)> = results
        .iter_mut()
        .map(|(rates, costs)| (median(rates), median(costs)))
        .collect();
    let probe = contestants
        .iter()
        .position(|c| c.name() == contestants::PROBE)
        .unwrap();
    let (probe_rate, probe_cost) = middle[probe];
    head(&[
        "backlog",
        "MB/s",
        "of the probe",
        "CPU s/GB",
        "of the probe",
    ]);
    for (contestant, (rate, cost)) in contestants.iter().zip(middle) {
        let name = contestant.name();
        row([
            name.to_owned(),
            figures.cell(&format!("backlog rate {name}"), rate),
            figures.cell(&format!("backlog rate ratio {name}"), rate / probe_rate),
            figures.cell(&format!("backlog cpu {name}"), cost),
            figures.cell(&format!("backlog cpu ratio {name}"), cost / probe_cost),
        ]);
    }
}

/// Lines of usual length.
fn write_log(path: &Path, bytes: u64) {
    let mut text = Vec::new();
    while text.len() < 1 << 20 {
        let n = text.len();
        writeln!(
            text,
            "Nov 22 13:29:56 router daemon[{n}]: a line of usual length that says nothing much"
        )
        .unwrap();
    }
    text.truncate((1 << 20) - 1);
    text.push(b'\n');
    let mut file = File::create(path).unwrap();
    for _ in 0..bytes / text.len() as u64 {
        file.write_all(&text).unwrap();
    }
}
