//! Figures of the real pair on this machine: `cargo bench --bench latency`.
//!
//! How long a line takes from the log into its copy, what 500 idle sources cost, and how much memory the two take. It
//! prints a table and judges nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use common::pair::{Options, Pair};

const LINES: usize = 1000;
const BETWEEN_LINES: Duration = Duration::from_millis(5);
const MANY: usize = 500;
const IDLE: Duration = Duration::from_secs(10);

fn main() {
    // `cargo test --all-targets` is content with a program that starts.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    let mut one = Pair::start(as_installed(1));
    let latencies = latencies(&one);
    let [one_server, one_collector] = usage(&mut one);
    drop(one);

    let mut many = Pair::start(as_installed(MANY));
    let [server_before, collector_before] = usage(&mut many);
    thread::sleep(IDLE);
    let [server, collector] = usage(&mut many);

    let us = |percent: usize| latencies[LINES * percent / 100 - 1].as_micros();
    let idle_s = IDLE.as_secs();
    println!("| figure | gen_numbers | fetch_logs |");
    println!("| --- | --- | --- |");
    println!(
        "| from append to copy, median of {LINES} lines | | {} us |",
        us(50)
    );
    println!("| from append to copy, 99 of 100 | | {} us |", us(99));
    println!(
        "| processor time in {idle_s} s, {MANY} idle sources | {:.1} ms | {:.1} ms |",
        server.cpu_ms - server_before.cpu_ms,
        collector.cpu_ms - collector_before.cpu_ms
    );
    println!(
        "| resident memory, 1 source | {} KiB | {} KiB |",
        one_server.rss_kib, one_collector.rss_kib
    );
    println!(
        "| resident memory, {MANY} sources | {} KiB | {} KiB |",
        server.rss_kib, collector.rss_kib
    );
}

/// So many logs, and the periods that both have without a configuration.
fn as_installed(logs: usize) -> Options {
    Options {
        logs: (0..logs)
            .map(|n| (format!("m{n}"), format!("m{n}.*[0-9]")))
            .collect(),
        check_s: 5.0,
        ..Options::default()
    }
}

/// Appends lines, 200 a second, and measures until each stands in the copy; sorted.
fn latencies(pair: &Pair) -> Vec<Duration> {
    let (log, copies) = (pair.log("m0"), pair.copies("m0"));
    let mut size = 0;
    let mut latencies: Vec<Duration> = (0..LINES)
        .map(|n| {
            let line = format!("Nov 22 13:29:56 router daemon[{n}]: a line of usual length\n");
            size += line.len() as u64;
            let start = Instant::now();
            log.append(line);
            while copies.live_size() < size {
                assert!(
                    start.elapsed() < Duration::from_secs(20),
                    "the line does not come"
                );
                thread::sleep(Duration::from_micros(20));
            }
            let taken = start.elapsed();
            thread::sleep(BETWEEN_LINES.saturating_sub(taken));
            taken
        })
        .collect();
    latencies.sort();
    latencies
}

/// What a process has used and holds.
struct Usage {
    cpu_ms: f64,
    rss_kib: u64,
}

/// Of the server and of the collector.
fn usage(pair: &mut Pair) -> [Usage; 2] {
    [pair.server().pid(), pair.collector().pid()].map(|pid| Usage {
        cpu_ms: cpu_ms(pid),
        rss_kib: rss_kib(pid),
    })
}

/// Processor time so far, as exact as the scheduler knows it: `/proc/PID/stat` counts in steps of 10 ms, which is more
/// than there is to be seen here.
fn cpu_ms(pid: u32) -> f64 {
    let times = fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap();
    let nanos: f64 = times.split_whitespace().next().unwrap().parse().unwrap();
    nanos / 1e6
}

fn rss_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap()
}
