//! Years of it: `cargo test --release --lib sim::long -- --ignored --nocapture`.
//!
//! Time jumps from event to event, keep-alives and looks at the files included; nothing is left out. Writes, rotations
//! and failures come about as often as in a bad year, and once a month all is checked.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use super::Sim;
use super::chaos::YEARS;

const DAY_MS: u64 = 86_400_000;

/// How long the machines run between two checks.
const MONTH_MS: u64 = 30 * DAY_MS;

/// One seed lives so long.
const MONTHS: u64 = 12;

/// What was simulated so far.
#[derive(Default)]
struct Tally {
    source_days: u64,
    rotations: u64,
    happened: u64,
    connections: u64,
    failed: Vec<u64>,
    next_seed: u64,
}

impl Sim {
    /// A month, and then the operator takes finished copies away and notes of losses.
    fn month(&mut self) {
        self.episode(MONTH_MS);
        let world = &mut self.world;
        for feed in &mut world.host.feeds {
            feed.said.clear();
            feed.rotten.clear();
            let live = [feed.local.as_str(), feed.pointer.as_str()];
            world.host.disk.with(|fs| {
                for name in fs.names() {
                    if name.starts_with(&format!("{}.", feed.local))
                        && !live.contains(&name.as_str())
                    {
                        fs.remove(&name);
                    }
                }
            });
            let site = &mut world.sites[feed.site];
            site.set_back = false;
            site.logs[feed.log].forget_old();
        }
        world.host.disk.forget_kept();
        for at in 0..world.host.feeds.len() {
            world.with_source(at, |source, cx, _| source.reopen(cx));
        }
    }
}

/// A number from the environment.
fn from_env(name: &str, default: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.map_or(default, |value| value.parse().unwrap())
}

/// Runs one seed for its time.
fn live(seed: u64, tally: &Mutex<Tally>) {
    let mut sim = Sim::new(seed, &YEARS, false);
    let run = catch_unwind(AssertUnwindSafe(|| {
        sim.first_contact();
        for _ in 0..MONTHS {
            sim.month();
        }
        sim.end();
    }));
    let mut tally = tally.lock().unwrap();
    let (world, days) = (&sim.world, sim.world.now_ms / DAY_MS);
    tally.source_days += days * world.host.feeds.len() as u64;
    tally.rotations += world
        .sites
        .iter()
        .flat_map(|site| &site.logs)
        .map(|log| log.newest())
        .sum::<u64>();
    tally.happened += sim.chaos.happened;
    tally.connections += u64::from(world.net.opened());
    if run.is_err() {
        eprintln!(
            "seed {seed} after {days} days; before that\n{}",
            sim.world.trace.show()
        );
        tally.failed.push(seed);
    }
}

#[test]
#[ignore = "takes as long as it is told to"]
fn years() {
    let years = from_env("FETCHLOGS_SIM_YEARS", 100);
    let first = from_env("FETCHLOGS_SIM_SEED", 1_000_000);
    let tally = Mutex::new(Tally {
        next_seed: first,
        ..Tally::default()
    });
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let run = || {
        loop {
            let seed = {
                let mut tally = tally.lock().unwrap();
                if tally.source_days >= 365 * years {
                    return;
                }
                tally.next_seed += 1;
                tally.next_seed - 1
            };
            live(seed, &tally);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(run);
        }
    });
    let tally = tally.into_inner().unwrap();
    println!(
        "{} source-years, {} generations, {} failures and interventions, {} connections; {} of {} seeds failed: {:?}",
        tally.source_days / 365,
        tally.rotations,
        tally.happened,
        tally.connections,
        tally.failed.len(),
        tally.next_seed - first,
        tally.failed
    );
    assert!(tally.failed.is_empty());
}
