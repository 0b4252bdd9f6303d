//! How fast archives come, and what memory that takes: `cargo bench --features gz --bench inflate`.
//!
//! The collector was away while its log was rotated and compressed. It is measured how long it takes from its start until
//! the copy has all of it, and right after that how long `gzip -dc ARCHIVE | cat >FILE` takes. All files are in memory
//! and were read before. It prints each pair, and the memory while many sources inflate, and judges nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../common/mod.rs"]
mod common;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use common::pair::{Options, Pair};

const ROUNDS: usize = 9;
const LOG_LEN: usize = 128 << 20;
const SOURCES: usize = 64;
const SMALL_LEN: usize = 8 << 20;
const PATIENCE: Duration = Duration::from_secs(120);

fn main() {
    // `cargo test --all-targets` is content with a program that starts.
    if !std::env::args().any(|arg| arg == "--bench") || !cfg!(feature = "gz") {
        return;
    }
    println!("| pair | collector MB/s | gzip to cat MB/s | ratio |");
    println!("| --- | --- | --- | --- |");
    let log = lines(LOG_LEN);
    let mut ratios: Vec<f64> = (1..=ROUNDS).map(|round| pair_of(round, &log)).collect();
    ratios.sort_by(f64::total_cmp);
    let (least, most) = (ratios[0], ratios[ROUNDS - 1]);
    println!(
        "| median | | | {:.2} ({least:.2} to {most:.2}) |\n",
        ratios[ROUNDS / 2]
    );
    memory(&lines(SMALL_LEN));
}

/// Lines as a busy daemon writes them.
fn lines(len: usize) -> Vec<u8> {
    let mut text = String::with_capacity(len + 200);
    let mut random = 88_172_645_463_325_252u64;
    let mut line = 0;
    while text.len() < len {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let (second, minute) = (line / 40 % 60, line / 2_400 % 60);
        let (host, port) = (random % 250, 1_024 + (random >> 20) % 60_000);
        writeln!(
            text,
            "Nov 29 12:{minute:02}:{second:02} router dropbear[{}]: connection {line} from 192.0.2.{host}:{port} took {} ms",
            600 + (random >> 40) % 32,
            (random >> 50) % 1_000,
        )
        .unwrap();
        line += 1;
    }
    text.into_bytes()
}

/// A pair whose logs were rotated and compressed while the collector was away.
fn compressed(logs: usize, bytes: &[u8]) -> Pair {
    let names: Vec<String> = (0..logs).map(|n| format!("m{n}")).collect();
    let globs = |name: &String| (name.clone(), format!("{name}.[0-9]"));
    let mut pair = Pair::start(Options {
        logs: names.iter().map(globs).collect(),
        retry_s: 0.2,
        in_memory: true,
        ..Options::default()
    });
    let begin = bytes.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    for name in &names {
        pair.log(name).append(&bytes[..begin]);
    }
    let is_begun = |pair: &Pair| {
        let len = |name: &String| fs::metadata(pair.local(name)).map_or(0, |it| it.len());
        names.iter().all(|name| len(name) == begin as u64)
    };
    until(|| is_begun(&pair));
    pair.kill_collector();
    for name in &names {
        let log = pair.log(name);
        log.append(&bytes[begin..]);
        log.rotate();
        let status = Command::new("gzip").arg(log.rotated(1)).status();
        assert!(status.unwrap().success());
    }
    pair
}

/// Measures both, one after the other, and tells the ratio of their speeds.
fn pair_of(round: usize, bytes: &[u8]) -> f64 {
    let mut pair = compressed(1, bytes);
    let archive = pair.log("m0").named(".1.gz");
    // Both read from memory, and write to new pages.
    fs::read(&archive).unwrap();
    let ours = collect(&mut pair, &["m0"], bytes.len() as u64);
    let copy = pair.home().join("gunzipped");
    let began = Instant::now();
    let script = r#"gzip -dc "$1" | cat >"$2""#;
    let status = Command::new("sh")
        .args(["-c", script, "sh"])
        .args([&archive, &copy])
        .status();
    let theirs = began.elapsed();
    assert!(status.unwrap().success());
    assert_eq!(fs::metadata(&copy).unwrap().len(), bytes.len() as u64);
    let speed = |time: Duration| bytes.len() as f64 / 1e6 / time.as_secs_f64();
    let ratio = speed(ours) / speed(theirs);
    println!(
        "| {round} | {:.0} | {:.0} | {ratio:.2} |",
        speed(ours),
        speed(theirs)
    );
    ratio
}

/// Starts the collector, and waits until all of the copies have so many bytes.
fn collect(pair: &mut Pair, names: &[&str], len: u64) -> Duration {
    let began = Instant::now();
    pair.start_collector();
    until(|| names.iter().all(|name| longest(&pair.local(name)) >= len));
    began.elapsed()
}

/// The size of the largest copy of a log.
fn longest(copy: &Path) -> u64 {
    let name = copy.file_name().unwrap().to_str().unwrap();
    let files = fs::read_dir(copy.parent().unwrap()).unwrap().flatten();
    let is_copy = |path: &Path| {
        let other = path.file_name().unwrap().to_str().unwrap();
        other == name
            || other
                .strip_prefix(name)
                .is_some_and(|end| end.starts_with(".20"))
    };
    let copies = files.map(|file| file.path()).filter(|path| is_copy(path));
    copies
        .map(|path| fs::metadata(path).map_or(0, |it| it.len()))
        .max()
        .unwrap_or(0)
}

/// The memory of a collector while many sources inflate, and when they are done.
fn memory(bytes: &[u8]) {
    let mut pair = compressed(SOURCES, bytes);
    let names: Vec<String> = (0..SOURCES).map(|n| format!("m{n}")).collect();
    pair.start_collector();
    let pid = pair.collector().pid();
    let mut most = 0;
    let is_done = |name: &String| longest(&pair.local(name)) >= bytes.len() as u64;
    until(|| {
        most = most.max(private_bytes(pid));
        names.iter().all(is_done)
    });
    // What follows a rotation needs some, too.
    thread::sleep(Duration::from_secs(3));
    let after = private_bytes(pid);
    pair.kill_collector();
    pair.start_collector();
    thread::sleep(Duration::from_secs(3));
    let idle = private_bytes(pair.collector().pid());
    let each = most.saturating_sub(idle) / SOURCES as u64;
    println!(
        "{SOURCES} sources at once: {most} bytes at most, {after} after it, {idle} of one that never inflated: at most {each} bytes for each"
    );
}

/// Memory of a process that is its own.
fn private_bytes(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text
        .lines()
        .find_map(|it| it.strip_prefix("Private_Dirty:"));
    let number = line.and_then(|it| it.trim().trim_end_matches(" kB").parse::<u64>().ok());
    number.unwrap_or(0) * 1_024
}

fn until(mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "it takes too long");
        thread::sleep(Duration::from_micros(500));
    }
}
