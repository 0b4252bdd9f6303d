//! Everybody at once: 2,000 sources start, and the server of 2,000 clients starts again.

use std::time::{Duration, Instant};

use super::figures::{Figures, head, row};
use super::measure::{cpu_s, until};
use super::stand::Stand;

const SOURCES: usize = 2_000;

/// One row for each storm.
pub fn run(figures: &mut Figures) {
    let mut stand = Stand::new(SOURCES);
    stand.start_server();
    let start = Instant::now();
    stand.start_collector();
    stand.wait_until_all_is_well();
    let first = start.elapsed();
    let cpu = cpu_s(stand.server_pid()) + cpu_s(stand.collector_pid());

    stand.stop_server();
    stand.start_server();
    let start = Instant::now();
    for n in 0..SOURCES {
        stand.append(n, b"after the restart\n");
    }
    let last = until("the copies after the restart", || {
        (0..SOURCES).all(|n| super::measure::size(&stand.copy(n)) > 0)
    });
    let again: Duration = start.elapsed().max(last);

    head(&["storm", "s"]);
    for (name, value) in [
        (
            format!("first contact of {SOURCES} sources"),
            first.as_secs_f64(),
        ),
        (
            format!("processor time for that, both sides ({SOURCES})"),
            cpu,
        ),
        (
            format!("server started again: a line of each of {SOURCES} logs in its copy"),
            again.as_secs_f64(),
        ),
    ] {
        let cell = figures.cell(&name, value);
        row([name, cell]);
    }
}
