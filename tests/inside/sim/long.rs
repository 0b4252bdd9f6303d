//! Years of it: `cargo test --release --lib sim::long -- --ignored --nocapture`.
//!
//! Time jumps from event to event, keep-alives and looks at the files included. Every source is
//! written to, and rotated twice a day, failures come about as often as in a bad year, and in every
//! month there is an hour like those of the short runs; after it all is checked. A source-year is
//! one source in one virtual year of that.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::Instant;

use super::chaos::{Act, DENSE, YEARS};
use super::oracle::Violation;
use super::{PROMPT, Pace, STORM_MS, Sim, from_env};

const DAY_MS: u64 = 86_400_000;

/// How long the machines run between two checks.
const MONTH_MS: u64 = 30 * DAY_MS;

/// One seed lives so long.
const MONTHS: u64 = 12;

/// The machines wake up rarely, so that quiet time goes by quickly.
const PATIENT: Pace = Pace {
    delay_checks_ms: &[600_000],
    alive_s: 600,
    idle_ms: 1_300_000,
    catch_up_ms: 4_200_000,
};

/// One seed of so many has the pace of every day.
const PROMPT_EVERY: u64 = 16;

/// Who waits is told after so many source-years.
const TOLD_EVERY: u64 = 100;

/// What was simulated so far.
#[derive(Default)]
struct Tally {
    source_days: u64,
    box_days: u64,
    bytes: u64,
    generations: u64,
    connections: u64,
    counts: BTreeMap<Act, u64>,
    failed: Vec<u64>,
    next_seed: u64,
}

impl Tally {
    fn years(&self) -> u64 {
        self.source_days / 365
    }

    fn add(&mut self, sim: &Sim) {
        let (world, days) = (&sim.world, sim.world.now_ms / DAY_MS);
        self.source_days += days * world.host.feeds.len() as u64;
        self.box_days += days * world.sites.len() as u64;
        for log in world.sites.iter().flat_map(|site| &site.logs) {
            self.generations += log.newest();
            self.bytes += log.written;
        }
        self.connections += u64::from(world.net.opened());
        for (act, count) in &sim.chaos.counts {
            *self.counts.entry(*act).or_default() += count;
        }
    }

    fn count(&self, acts: &[Act]) -> u64 {
        acts.iter().filter_map(|act| self.counts.get(act)).sum()
    }

    fn report(&self, first: u64, took_s: f64) -> String {
        let years = self.source_days as f64 / 365.0;
        format!(
            "{years:.0} source-years ({:.0} of boxes) in {took_s:.0} s, {:.2} a second: {} generations, {} MB in {} writes, \
             {} connections\n{} outages, {} boxes and {} log hosts without power, {} servers and {} collectors killed, \
             {} failures of disks, {} clocks set, {} other interventions\n{} of {} seeds failed: {:?}",
            self.box_days as f64 / 365.0,
            years / took_s,
            self.generations,
            self.bytes / 1_000_000,
            self.count(&[Act::Write]),
            self.connections,
            self.count(&[
                Act::Cut,
                Act::CutSoon,
                Act::Refuse,
                Act::Darken,
                Act::Outage
            ]),
            self.count(&[Act::PowerBox]),
            self.count(&[Act::PowerHost]),
            self.count(&[Act::KillServer]),
            self.count(&[Act::KillCollector]),
            self.count(&[Act::FailReads, Act::FailWrites, Act::FillDisk, Act::Spoil]),
            self.count(&[Act::BoxClock, Act::HostClock]),
            self.count(&[
                Act::Delete,
                Act::Shape,
                Act::ReloadServer,
                Act::Hints,
                Act::ReplaceSource,
                Act::Usr1
            ]),
            self.failed.len(),
            self.next_seed - first,
            self.failed
        )
    }
}

impl Sim {
    /// A month with a bad hour in it, and then the operator takes finished copies away and notes of
    /// losses.
    fn month(&mut self) {
        self.world.wakes_to_touch = false;
        let before_ms = self.chaos.random.below(MONTH_MS);
        for (rates, storm_ms) in [
            (&YEARS, before_ms),
            (&DENSE, STORM_MS),
            (&YEARS, MONTH_MS - before_ms),
        ] {
            self.chaos.begin(&self.world, rates);
            self.storm(storm_ms);
        }
        self.world.wakes_to_touch = true;
        self.settle();
        let world = &mut self.world;
        for feed in &mut world.host.feeds {
            // While there is nothing in the live generation, the one before is followed, and is not
            // over yet.
            if world.sites[feed.site].logs[feed.log].is_live_empty() {
                continue;
            }
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
            world.host.disk.forget_kept(&feed.local);
        }
        for at in 0..world.host.feeds.len() {
            world.with_source(at, |source, cx, _| source.reopen(cx));
        }
    }
}

/// Runs one seed for its time.
fn live(seed: u64, tally: &Mutex<Tally>) {
    let pace = match seed % PROMPT_EVERY {
        0 => &PROMPT,
        _ => &PATIENT,
    };
    let mut sim = Sim::new(seed, pace, std::env::var("FETCHLOGS_SIM_TRACE").is_ok());
    let run = catch_unwind(AssertUnwindSafe(|| {
        sim.first_contact();
        for _ in 0..MONTHS {
            sim.month();
        }
        sim.end();
    }));
    let mut tally = tally.lock().unwrap();
    let before = tally.years();
    tally.add(&sim);
    if before / TOLD_EVERY < tally.years() / TOLD_EVERY {
        eprintln!("{} source-years so far", tally.years());
    }
    if let Err(panic) = run {
        let why = panic.downcast_ref::<Violation>();
        eprintln!(
            "seed {seed} after {} days: {}\nbefore that\n{}",
            sim.world.now_ms / DAY_MS,
            why.map_or("a panic", |violation| &violation.0),
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
    let started = Instant::now();
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
    println!("{}", tally.report(first, started.elapsed().as_secs_f64()));
    assert!(tally.failed.is_empty());
}
