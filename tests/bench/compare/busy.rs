//! Does one disturb another? 50 busy and 5,000 idle sources, and a reader that takes nothing.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::figures::{Figures, head, percentile, row};
use super::measure::{size, until};
use super::stand::Stand;

const BUSY: usize = 50;
const IDLE: usize = 5_000;
const SAMPLES: usize = 300;
const LARGE_LEN: usize = 64 << 20;
const PATIENCE: Duration = Duration::from_secs(20);

/// How long an idle source's next line takes while the others are quiet, while 50 are busy, and while a client of the
/// server takes nothing of a large log.
pub fn run(figures: &mut Figures) {
    let mut stand = Stand::new(BUSY + IDLE);
    stand.start();
    head(&["next line of an idle source", "p50 ms", "p99 ms"]);
    let mut tell = |name: &str, mut latencies: Vec<f64>| {
        row([
            name.to_owned(),
            figures.cell(&format!("{name} p50"), percentile(&mut latencies, 50)),
            figures.cell(&format!("{name} p99"), percentile(&mut latencies, 99)),
        ]);
    };
    tell(
        &format!("{} sources, all quiet", BUSY + IDLE),
        next_lines_ms(&stand, 0),
    );

    let stop = Arc::new(AtomicBool::new(false));
    let writer = {
        let stop = Arc::clone(&stop);
        let logs: Vec<_> = (0..BUSY).map(|n| stand.log(n)).collect();
        thread::spawn(move || write_to_all(&logs, &stop))
    };
    tell(
        &format!("{BUSY} busy, {IDLE} idle"),
        next_lines_ms(&stand, 1),
    );

    let slow = slow_reader(&stand);
    tell(
        &format!("{BUSY} busy, {IDLE} idle, a reader that takes nothing"),
        next_lines_ms(&stand, 2),
    );
    drop(slow);
    stop.store(true, Ordering::Relaxed);
    writer.join().unwrap();
}

/// Lines to each of the busy logs, 2,000 a second in all.
fn write_to_all(logs: &[std::path::PathBuf], stop: &AtomicBool) {
    let mut logs: Vec<_> = logs
        .iter()
        .map(|log| std::fs::File::options().append(true).open(log).unwrap())
        .collect();
    let line = [b'x'; 200];
    while !stop.load(Ordering::Relaxed) {
        for log in &mut logs {
            log.write_all(&line).unwrap();
        }
        thread::sleep(Duration::from_millis(25));
    }
}

/// A line to one idle source after the other; `turn` tells how many each had before.
fn next_lines_ms(stand: &Stand, turn: u64) -> Vec<f64> {
    (0..SAMPLES)
        .map(|sample| {
            let n = BUSY + sample * (IDLE / SAMPLES);
            let copy = stand.copy(n);
            let start = Instant::now();
            stand.append(n, b"the next line\n");
            while size(&copy) < (turn + 1) * 14 {
                assert!(start.elapsed() < PATIENCE, "the line does not come");
                thread::sleep(Duration::from_micros(20));
            }
            let taken = start.elapsed();
            thread::sleep(Duration::from_millis(3));
            taken.as_secs_f64() * 1e3
        })
        .collect()
}

/// A client that asks for a large log, which the collector has already, and does not read.
fn slow_reader(stand: &Stand) -> TcpStream {
    stand.append(0, &vec![b'y'; LARGE_LEN]);
    until("the copy of the large log", || {
        size(&stand.copy(0)) >= LARGE_LEN as u64
    });
    let mut client = TcpStream::connect(stand.address()).unwrap();
    writeln!(client, "{} 0 0", stand.log(0).display()).unwrap();
    client
}
