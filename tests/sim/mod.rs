//! The whole system under one virtual clock: the product's own server sessions and collector sources, many of each, on
//! several boxes and one log host, with every rotator, every kind of failure, and an oracle that knows the truth.
//!
//! A run is a seed. `FETCHLOGS_SIM_SEED=n cargo test --lib sim::a_seed -- --nocapture` replays one and prints what
//! happens in it.

mod carry;
mod chaos;
mod disk;
mod host;
mod log;
mod long;
mod machines;
mod net;
mod oracle;
mod planted;
mod rotator;
mod site;
mod trace;
mod world;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use self::chaos::{Chaos, DENSE, Rates};
use self::disk::Disk;
use self::host::{Feed, Host};
use self::log::Log;
use self::net::Link;
use self::rotator::Rotator;
use self::site::Site;
use self::trace::Trace;
use self::world::World;
use crate::collect::backoff::Random;
use crate::store::fake::Fake;

/// Seeds of every `cargo test`, over all tests that share them.
const SEEDS: u64 = 200;

/// How long everything goes wrong, in one run.
const STORM_MS: u64 = 2_400_000;

/// Once faults stop, so much later everything has caught up and every status is right.
const CATCH_UP_MS: u64 = 420_000;

/// 2026-11-22T13:29:56Z.
const START_MS: i64 = 1_795_354_196_000;

/// One run.
struct Sim {
    seed: u64,
    world: World,
    chaos: Chaos,
}

impl Sim {
    fn new(seed: u64, rates: &'static Rates, print: bool) -> Sim {
        let mut chaos = Chaos::new(seed, rates);
        let mut world = World::new(Host::new(seed + 1), Trace::new(print));
        let random = &mut chaos.random;
        world.host.wall_ms = START_MS;
        for number in 0..1 + random.below(3) as usize {
            add_site(&mut world, number, rates, random);
        }
        Sim { seed, world, chaos }
    }

    /// All of it; tells what happened as a number.
    fn run(&mut self) -> u64 {
        self.first_contact();
        self.episode(STORM_MS);
        self.end();
        self.world.trace.hash()
    }

    /// Everything goes wrong for a while; then it catches up and is checked.
    fn episode(&mut self, storm_ms: u64) {
        let until = self.world.now_ms + storm_ms;
        self.chaos.storm(&mut self.world, until);
        self.chaos.calm(&mut self.world);
        let until = self.world.now_ms + CATCH_UP_MS;
        self.world.run_until(until);
        self.check();
    }

    /// Both programs end, and leave nothing open.
    fn end(&mut self) {
        self.world.stop_collector(None);
        assert_eq!(self.world.host.disk.open_now(), 0);
        for site in &mut self.world.sites {
            site.server = None;
            assert_eq!(site.disk.open_now(), 0);
        }
    }

    fn first_contact(&mut self) {
        let world = &mut self.world;
        for site in &mut world.sites {
            site.tell_time();
            site.start_server();
            for log in &mut site.logs {
                log.create(&site.disk, world.now_ms);
            }
        }
        let (now, sites) = (world.mono(), world.sites.len());
        world.host.start_collector(now, sites);
        world.run_until(world.now_ms + 10_000);
    }

    fn check(&self) {
        for at in 0..self.world.host.feeds.len() {
            if let Err(why) = self.world.check_feed(at) {
                panic!("{why}\n{}", self.world.report(at));
            }
        }
        let open = self.world.host.disk.open_now();
        assert!(
            open <= 2 * self.world.host.feeds.len(),
            "{open} descriptors are open"
        );
    }
}

fn add_site(world: &mut World, number: usize, rates: &Rates, random: &mut Random) {
    let classic = random.below(5) == 0;
    let tmpfs = !classic && random.below(4) == 0;
    let reuses_inodes = !classic && (tmpfs || random.below(2) == 0);
    // Classic goes by the last write alone where the system cannot tell.
    let tells_writers = classic || random.below(3) > 0;
    let mut site = Site {
        disk: Disk::new(Fake::new()),
        logs: Vec::new(),
        server: None,
        wall_ms: START_MS,
        set_back: false,
        powered: true,
        epoch: 0,
        hints: random.below(3) > 0,
        tmpfs,
        classic,
        old_server: classic && random.below(2) == 0,
        delay_check_ms: rates.delay_checks_ms
            [random.below(rates.delay_checks_ms.len() as u64) as usize],
        reversed: false,
    };
    for log in 0..1 + random.below(3) as usize {
        let rotator = rotator_for(classic, random);
        let path = rotator.path(log);
        let mut known = Log::new(&path, rotator);
        known.reuses_inodes = reuses_inodes;
        known.tells_writers = tells_writers;
        site.logs.push(known);
        world.host.feeds.push(Feed {
            site: number,
            log,
            remote: path,
            local: format!("/c/b{number}m{log}"),
            pointer: format!("/p/b{number}m{log}"),
            proto: if classic && !site.old_server {
                "classic"
            } else {
                "auto"
            },
            said: Vec::new(),
            rotten: BTreeSet::new(),
        });
    }
    world.trace.note(format!(
        "box {number}: classic {classic}, tmpfs {tmpfs}, inodes again {reuses_inodes}, hints {}, look every {} ms, {:?}",
        site.hints,
        site.delay_check_ms,
        site.logs.iter().map(|log| log.rotator).collect::<Vec<_>>()
    ));
    world.sites.push(site);
    world.net.links.push(Link::new());
}

fn rotator_for(classic: bool, random: &mut Random) -> Rotator {
    loop {
        let rotator = rotator::ALL[random.below(rotator::ALL.len() as u64) as usize];
        if !classic || rotator.is_plain() {
            return rotator;
        }
    }
}

/// Runs one seed. A failure tells the seed, the step, and how to see more.
fn run_seed(seed: u64, print: bool) -> u64 {
    let mut sim = Sim::new(seed, &DENSE, print);
    match catch_unwind(AssertUnwindSafe(|| sim.run())) {
        Ok(hash) => hash,
        Err(panic) => {
            eprintln!(
                "seed {} step {}; again with FETCHLOGS_SIM_SEED={} cargo test --lib sim::a_seed -- --nocapture; before that\n{}",
                sim.seed,
                sim.world.trace.steps(),
                sim.seed,
                sim.world.trace.show()
            );
            resume_unwind(panic);
        }
    }
}

/// The seeds of one of so many tests that share them.
fn run_share(share: u64, of: u64) {
    for seed in (share..SEEDS).step_by(of as usize) {
        run_seed(seed, false);
    }
}

#[test]
fn seeds_lose_nothing_and_repeat_nothing_first_half() {
    run_share(0, 2);
}

#[test]
fn seeds_lose_nothing_and_repeat_nothing_second_half() {
    run_share(1, 2);
}

#[test]
fn two_runs_of_a_seed_are_the_same() {
    for seed in [3, 4] {
        assert_eq!(run_seed(seed, false), run_seed(seed, false));
    }
}

#[test]
fn a_seed_that_was_asked_for() {
    if let Ok(seed) = std::env::var("FETCHLOGS_SIM_SEED") {
        let print = std::env::var("FETCHLOGS_SIM_TRACE").is_ok();
        run_seed(seed.parse().unwrap(), print);
    }
}
