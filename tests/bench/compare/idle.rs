//! What sources cost to which nothing happens: memory, processor time and system calls, from 10 to 10,000.

use std::thread;
use std::time::Duration;

use super::figures::{Figures, head, row};
use super::measure::{calls_per_s, cpu_s, private_kib};
use super::stand::Stand;

const COUNTS: [usize; 4] = [10, 100, 1_000, 10_000];
/// Twice the time between two keep-alives.
const TIME: Duration = Duration::from_secs(120);
const TRACED: Duration = Duration::from_secs(120);

/// What a process has open besides.
const DESCRIPTORS_BESIDES: usize = 100;

/// One row for each count.
pub fn run(figures: &mut Figures) {
    head(&[
        "idle sources",
        "server KiB",
        "bytes a client more",
        "collector KiB",
        "bytes a source more",
        "server CPU %",
        "collector CPU %",
        "server calls/s",
        "collector calls/s",
    ]);
    let mut first: Option<(usize, f64, f64)> = None;
    for count in COUNTS {
        // Each source takes two descriptors, and not everybody may have as many as that.
        let count = count.min(descriptors().saturating_sub(DESCRIPTORS_BESIDES) / 2);
        let mut stand = Stand::new(count);
        stand.start();
        let pids = [stand.server_pid(), stand.collector_pid()];
        // What the start left to do.
        thread::sleep(Duration::from_secs(2));
        let before = pids.map(cpu_s);
        thread::sleep(TIME);
        let [server_cpu, collector_cpu] =
            [0, 1].map(|n| (cpu_s(pids[n]) - before[n]) / TIME.as_secs_f64() * 100.0);
        let [server_kib, collector_kib] = pids.map(private_kib);
        let [server_calls, collector_calls] =
            pids.map(|pid| calls_per_s(pid, TRACED).unwrap_or(f64::NAN));
        let (least, server_least, collector_least) =
            *first.get_or_insert((count, server_kib, collector_kib));
        let more =
            |kib: f64, least_kib: f64| (kib - least_kib) * 1024.0 / (count - least).max(1) as f64;
        row([
            count.to_string(),
            figures.cell(&format!("idle {count} server KiB"), server_kib),
            figures.cell(
                &format!("idle {count} server bytes"),
                more(server_kib, server_least),
            ),
            figures.cell(&format!("idle {count} collector KiB"), collector_kib),
            figures.cell(
                &format!("idle {count} collector bytes"),
                more(collector_kib, collector_least),
            ),
            figures.cell(&format!("idle {count} server cpu"), server_cpu),
            figures.cell(&format!("idle {count} collector cpu"), collector_cpu),
            figures.cell(&format!("idle {count} server calls"), server_calls),
            figures.cell(&format!("idle {count} collector calls"), collector_calls),
        ]);
    }
}

/// How many a process may have open; root may have as many as it likes, unless that is forbidden too.
fn descriptors() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    usize::try_from(most).unwrap_or(usize::MAX)
}
