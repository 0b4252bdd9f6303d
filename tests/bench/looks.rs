//! What it costs when somebody looks: `cargo bench --bench looks`.
//!
//! A collector follows the logs of one server. One of them gets a line every few milliseconds, and it is measured how
//! long each takes to its copy: with nobody who looks, and with all that the control socket has fetched once a second.
//! It prints a table, and the memory of the collector for each source. It judges nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../common/mod.rs"]
mod common;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::collector::Place;
use common::logs::Logs;
use common::server::Server;

const SOURCES: usize = 5_000;
const MEASURED: Duration = Duration::from_secs(10);
const BETWEEN_LINES: Duration = Duration::from_millis(5);
const LINE: &[u8] = b"Nov 22 13:29:56 router daemon: a line of usual length for a log\n";
const FACES: [&str; 4] = ["/metrics", "/status.json", "/", "/status.tsv"];

fn main() {
    // `cargo test --all-targets` is content with a program that starts.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    println!("| who looks | lines | median | 99 of 100 | longest | fetched |");
    println!("| --- | --- | --- | --- | --- | --- |");
    let few = memory_with(8, false);
    let many = memory_with(SOURCES, true);
    let each = (many - few) as f64 / (SOURCES - 8) as f64;
    println!("{SOURCES} idle sources: {many} bytes, {each:.0} bytes for each");
}

/// The memory of a collector with so many sources, in bytes. The table is printed on the way.
fn memory_with(sources: usize, is_measured: bool) -> u64 {
    let logs = Logs::new();
    let mut settings = String::from("$max_clients = 20000; $max_clients_per_ip = 20000;\n");
    for n in 0..sources {
        let name = format!("m{n}");
        logs.write(&name, "");
        settings.push_str(&logs.served(&name, ""));
    }
    let server = Server::start(&settings);
    let place = Place::with(|place| {
        let line = |n: usize| {
            let remote = logs.path(&format!("m{n}"));
            place.line(server.address(), remote.to_str().unwrap(), &format!("m{n}"))
        };
        (0..sources).map(line).collect()
    });
    let collector = place.start(&[]);
    let socket = place.path("snmp/.fetch_logs.sock");
    let all = format!("\"following\":{sources},");
    while !fetch(&socket, "/status.json").contains(&all) {
        thread::sleep(Duration::from_millis(200));
    }
    if is_measured {
        for looks in [false, true] {
            measure(&logs, &place, &socket, looks);
        }
    }
    let status = fs::read_to_string(format!("/proc/{}/smaps_rollup", collector.pid())).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("Private_Dirty:"))
        .unwrap();
    let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes * 1024
}

/// Prints one line of the table.
fn measure(logs: &Logs, place: &Place, socket: &Path, looks: bool) {
    let is_over = Arc::new(AtomicBool::new(false));
    let fetched = Arc::new(AtomicUsize::new(0));
    let watcher = looks.then(|| {
        let (is_over, fetched, socket) = (is_over.clone(), fetched.clone(), socket.to_owned());
        thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                let begun = Instant::now();
                let all = FACES.map(|face| {
                    let (fetched, socket) = (fetched.clone(), socket.clone());
                    thread::spawn(move || {
                        fetched.fetch_add(fetch(&socket, face).len(), Ordering::Relaxed);
                    })
                });
                all.into_iter().for_each(|one| one.join().unwrap());
                thread::sleep(Duration::from_secs(1).saturating_sub(begun.elapsed()));
            }
        })
    });
    let (mut writer, copy) = (logs.writer("m7"), place.path("m7"));
    let mut len = fs::metadata(&copy).unwrap().len();
    let mut latencies = Vec::new();
    let end = Instant::now() + MEASURED;
    while Instant::now() < end {
        let start = Instant::now();
        writer.write(LINE);
        len += LINE.len() as u64;
        while fs::metadata(&copy).unwrap().len() < len {
            thread::sleep(Duration::from_micros(50));
        }
        latencies.push(start.elapsed());
        thread::sleep(BETWEEN_LINES);
    }
    is_over.store(true, Ordering::Relaxed);
    if let Some(watcher) = watcher {
        watcher.join().unwrap();
    }
    latencies.sort();
    let lines = latencies.len();
    let ms = |at: usize| latencies[at.max(1) - 1].as_secs_f64() * 1e3;
    let who = if looks {
        "everything, once a second"
    } else {
        "nobody"
    };
    let megabytes = fetched.load(Ordering::Relaxed) as f64 / 1e6;
    println!(
        "| {who} | {lines} | {:.2} ms | {:.2} ms | {:.2} ms | {megabytes:.0} MB |",
        ms(lines / 2),
        ms(lines * 99 / 100),
        ms(lines)
    );
}

fn fetch(socket: &Path, path: &str) -> String {
    let Ok(mut stream) = UnixStream::connect(socket) else {
        return String::new();
    };
    let mut text = String::new();
    let request = format!("GET {path} HTTP/1.0\r\n\r\n");
    let asked = stream.write_all(request.as_bytes());
    let _ = asked.and_then(|()| stream.read_to_string(&mut text));
    text
}
