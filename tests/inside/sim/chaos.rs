//! What happens to the machines, the logs and the network, when, and how often.

use std::collections::{BTreeMap, VecDeque};

use super::net::{End, Line};
use super::rotator::Step;
use super::unkind::actors;
use super::world::World;
use super::{Pace, machines};
use crate::random::Random;

/// Something that happens again and again, to a site, a log of it, or a source.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Act {
    Write,
    Rotate,
    Delete,
    Cut,
    CutSoon,
    Refuse,
    Darken,
    /// Nobody fetches from a box for a while in which all its logs are rotated several times.
    Outage,
    Shape,
    KillServer,
    ReloadServer,
    FailReads,
    PowerBox,
    BoxClock,
    Hints,
    KillCollector,
    ReplaceSource,
    Usr1,
    PowerHost,
    /// The kernel writes what it has kept back.
    Flush,
    FillDisk,
    FailWrites,
    HostClock,
    Spoil,
    /// Somebody has to do with the files of a log, in an unkind world.
    Foreign,
    /// All of them can be read again.
    Permit,
}

/// How often it happens: the mean time between two, in seconds.
pub struct Rates {
    pub acts: &'static [(Act, u64)],
    /// Power that is gone, lines that are dark: for so long at most, in seconds.
    pub away_s: u64,
}

/// Far more than any box ever sees: for short runs.
pub const DENSE: Rates = Rates {
    acts: &[
        (Act::Write, 25),
        (Act::Rotate, 500),
        (Act::Delete, 9_000),
        (Act::Cut, 900),
        (Act::CutSoon, 700),
        (Act::Refuse, 1_500),
        (Act::Darken, 1_500),
        (Act::Outage, 2_000),
        (Act::Shape, 900),
        (Act::KillServer, 2_400),
        (Act::ReloadServer, 2_400),
        (Act::FailReads, 3_000),
        (Act::PowerBox, 4_000),
        (Act::BoxClock, 4_000),
        (Act::Hints, 3_000),
        (Act::KillCollector, 1_200),
        (Act::ReplaceSource, 2_400),
        (Act::Usr1, 2_400),
        (Act::PowerHost, 2_400),
        (Act::Flush, 120),
        (Act::FillDisk, 3_600),
        (Act::FailWrites, 2_400),
        (Act::HostClock, 3_600),
        (Act::Spoil, 4_000),
    ],
    away_s: 400,
};

/// About what a bad year brings: for runs of many years.
pub const YEARS: Rates = Rates {
    acts: &[
        (Act::Write, 30 * MINUTE),
        (Act::Rotate, DAY / 2),
        (Act::Delete, 60 * DAY),
        (Act::Cut, 2 * DAY),
        (Act::CutSoon, 2 * DAY),
        (Act::Refuse, 3 * DAY),
        (Act::Darken, 3 * DAY),
        (Act::Outage, 5 * DAY),
        (Act::Shape, DAY),
        (Act::KillServer, 10 * DAY),
        (Act::ReloadServer, 10 * DAY),
        (Act::FailReads, 10 * DAY),
        (Act::PowerBox, 10 * DAY),
        (Act::BoxClock, 30 * DAY),
        (Act::Hints, 5 * DAY),
        (Act::KillCollector, 5 * DAY),
        (Act::ReplaceSource, 10 * DAY),
        (Act::Usr1, 10 * DAY),
        (Act::PowerHost, 15 * DAY),
        (Act::Flush, 5 * MINUTE),
        (Act::FillDisk, 15 * DAY),
        (Act::FailWrites, 10 * DAY),
        (Act::HostClock, 30 * DAY),
        (Act::Spoil, 30 * DAY),
    ],
    away_s: DAY / 4,
};

const MINUTE: u64 = 60;
const DAY: u64 = 86_400;

/// What is going to happen.
pub struct Chaos {
    agenda: BTreeMap<(u64, u64), Planned>,
    count: u64,
    pub random: Random,
    rates: &'static Rates,
    pace: &'static Pace,
    /// How often what happened.
    pub counts: BTreeMap<Act, u64>,
}

#[derive(Clone, Debug)]
pub enum Planned {
    /// `Act` for the site, log or source with this number.
    Again(Act, usize),
    /// The same, once.
    Once(Act, usize),
    Steps {
        site: usize,
        log: usize,
        epoch: u32,
        steps: VecDeque<(u64, Step)>,
    },
    LineUp(usize),
    StartServer(usize, u32),
    BootBox(usize),
    StartCollector(u32),
    BootHost,
    EmptyDisk,
}

impl Chaos {
    pub fn new(seed: u64, pace: &'static Pace) -> Chaos {
        Chaos {
            agenda: BTreeMap::new(),
            count: 0,
            random: Random::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            rates: &DENSE,
            pace,
            counts: BTreeMap::new(),
        }
    }

    pub fn plan(&mut self, at_ms: u64, planned: Planned) {
        self.count += 1;
        self.agenda.insert((at_ms, self.count), planned);
    }

    /// The time to the next of something that comes every so many seconds in the mean.
    fn interval(&mut self, mean_s: u64) -> u64 {
        // Twice the mean at most, with short ones more frequent.
        let a = self.random.below(2_000 * mean_s + 1);
        let b = self.random.below(2_000 * mean_s + 1);
        a.min(b) + self.random.below(700 * mean_s) + 1
    }

    pub fn away_ms(&mut self) -> u64 {
        let most = self.rates.away_s * 1_000;
        match self.random.below(3) {
            0 => 1 + self.random.below(5_000),
            _ => 1 + self.random.below(most),
        }
    }

    pub fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.random.below(all.len() as u64) as usize]
    }

    /// From now on everything that may happen happens so often.
    pub fn begin(&mut self, world: &World, rates: &'static Rates) {
        self.rates = rates;
        self.agenda
            .retain(|_, planned| !matches!(planned, Planned::Again(..)));
        for (act, mean_s) in self.rates.acts {
            for number in 0..scope(*act, world) {
                let at_ms = world.now_ms + self.interval(*mean_s);
                self.plan(at_ms, Planned::Again(*act, number));
            }
        }
    }

    /// Lets it happen until then.
    pub fn storm(&mut self, world: &mut World, until_ms: u64) {
        while let Some(((at_ms, _), planned)) = self.agenda.pop_first() {
            if at_ms > until_ms {
                self.plan(at_ms, planned);
                break;
            }
            world.run_until(at_ms);
            self.happen(world, planned);
        }
        world.run_until(until_ms);
    }

    /// One more blow, after which lines are written and nothing else happens: what it leaves has to
    /// heal by itself, and is not hidden by the next failure.
    pub fn last_blow(&mut self, world: &mut World) {
        const BLOWS: [Act; 8] = [
            Act::Outage,
            Act::Outage,
            Act::Outage,
            Act::PowerBox,
            Act::PowerBox,
            Act::Darken,
            Act::PowerHost,
            Act::KillCollector,
        ];
        self.agenda.retain(|_, planned| match planned {
            Planned::Again(act, _) => matches!(act, Act::Write | Act::Flush),
            _ => true,
        });
        let act = self.pick(&BLOWS);
        let number = self.random.below(scope(act, world) as u64);
        self.act(world, act, number as usize);
    }

    /// Nothing bad happens any more; what is under way ends.
    pub fn calm(&mut self, world: &mut World) {
        world.trace.note("calm".to_owned());
        let planned = std::mem::take(&mut self.agenda);
        for site in 0..world.sites.len() {
            self.line_up(world, site);
            if !world.sites[site].powered {
                self.boot_box(world, site);
            }
            world.sites[site].disk.revive();
            world.sites[site].disk.fail(0);
            if world.sites[site].server.is_none() {
                world.sites[site].start_server();
            }
        }
        world.host.disk.revive();
        world.host.disk.set_full(false);
        world.host.disk.fail(0);
        if !world.host.powered {
            machines::boot_host(world);
        }
        if world.host.collector.is_none() {
            machines::start_collector(world);
        }
        for planned in planned.into_values() {
            if let Planned::Steps { .. } = planned {
                self.plan(world.now_ms, planned);
            }
        }
        for at in 0..world.host.feeds.len() {
            // What a disk has spoilt is noticed at the end of the generation.
            if !world.host.feeds[at].rotten.is_empty() {
                let (site, log) = (world.host.feeds[at].site, world.host.feeds[at].log);
                let index = log_index(world, site, log);
                self.plan(
                    world.now_ms + self.pace.catch_up_ms,
                    Planned::Once(Act::Rotate, index),
                );
            }
        }
        let mut last_ms = world.now_ms;
        while let Some(((at_ms, _), planned)) = self.agenda.pop_first() {
            world.run_until(at_ms.max(world.now_ms));
            self.happen(world, planned);
            last_ms = world.now_ms;
        }
        world.run_until(last_ms);
        for (at, feed) in world.host.feeds.iter().enumerate() {
            let site = &mut world.sites[feed.site];
            site.logs[feed.log].reopen(&site.disk, world.now_ms);
            let _ = at;
        }
    }

    fn happen(&mut self, world: &mut World, planned: Planned) {
        match planned {
            Planned::Once(act, number) => self.act(world, act, number),
            Planned::Again(act, number) => {
                self.act(world, act, number);
                let mean_s = self.rates.acts.iter().find(|(known, _)| *known == act);
                let at_ms = world.now_ms + self.interval(mean_s.map_or(1, |(_, mean_s)| *mean_s));
                self.plan(at_ms, Planned::Again(act, number));
            }
            Planned::Steps {
                site,
                log,
                epoch,
                mut steps,
            } => {
                if world.sites[site].epoch != epoch {
                    return;
                }
                let Some((_, step)) = steps.pop_front() else {
                    return;
                };
                world.trace.note(format!("box {site}: log {log}: {step:?}"));
                step_log(world, site, log, step);
                if let Some((delay_ms, _)) = steps.front() {
                    let at_ms = world.now_ms + delay_ms;
                    self.plan(
                        at_ms,
                        Planned::Steps {
                            site,
                            log,
                            epoch,
                            steps,
                        },
                    );
                }
            }
            Planned::LineUp(site) => self.line_up(world, site),
            Planned::StartServer(site, epoch) => {
                let site = &mut world.sites[site];
                if site.epoch == epoch && site.powered && site.server.is_none() {
                    site.start_server();
                }
            }
            Planned::BootBox(site) => self.boot_box(world, site),
            Planned::StartCollector(epoch) => {
                let host = &world.host;
                if host.epoch == epoch && host.powered && host.collector.is_none() {
                    machines::start_collector(world);
                }
            }
            Planned::BootHost => machines::boot_host(world),
            Planned::EmptyDisk => world.host.disk.set_full(false),
        }
    }

    fn act(&mut self, world: &mut World, act: Act, number: usize) {
        *self.counts.entry(act).or_default() += 1;
        if !matches!(act, Act::Write | Act::Flush) {
            world.trace.note(format!("{act:?} {number}"));
        }
        match act {
            Act::Write => {
                let (site, log) = log_of(world, number);
                self.write(world, site, log);
            }
            Act::Rotate => {
                let (site, log) = log_of(world, number);
                self.rotate(world, site, log);
            }
            Act::Delete => {
                let (site, log) = log_of(world, number);
                self.delete(world, site, log);
            }
            Act::Cut => self.cut(world, number),
            Act::CutSoon => {
                let after = 1 + self.random.below(600) as usize;
                world.net.links[number].cut_after = Some(after);
            }
            Act::Refuse | Act::Darken => {
                let until_ms = world.now_ms + self.away_ms();
                let line = match act {
                    Act::Refuse => Line::Refused,
                    _ => Line::Dark,
                };
                self.take_line(world, number, line, until_ms);
            }
            Act::Outage => self.outage(world, number),
            Act::Shape => self.shape(world, number),
            Act::KillServer => self.kill_server(world, number),
            Act::ReloadServer => world.sites[number].reload(),
            Act::FailReads => {
                let count = 1 + self.random.below(3) as u32;
                world.sites[number].disk.fail(count);
            }
            Act::PowerBox => self.power_box(world, number),
            Act::BoxClock => self.box_clock(world, number),
            Act::Hints => {
                let site = &mut world.sites[number];
                site.hints = !site.hints;
                site.keep_journal();
            }
            Act::KillCollector => self.kill_collector(world),
            Act::ReplaceSource => self.replace_source(world, number),
            Act::Usr1 => {
                for at in 0..world.host.feeds.len() {
                    world.with_source(at, |source, cx, _| source.reopen(cx));
                }
            }
            Act::PowerHost => self.power_host(world),
            Act::Flush => world.host.disk.with(|fs| fs.flush()),
            Act::FillDisk => {
                world.host.disk.set_full(true);
                let at_ms = world.now_ms + self.away_ms();
                self.plan(at_ms, Planned::EmptyDisk);
            }
            Act::FailWrites => {
                let count = 1 + self.random.below(3) as u32;
                world.host.disk.fail(count);
            }
            Act::HostClock => world.host.wall_ms = machines::jumped(world.host.wall_ms, self),
            Act::Spoil => self.spoil(world, number),
            Act::Foreign => {
                let (site, log) = log_of(world, number);
                actors::act(self, world, site, log, number);
            }
            Act::Permit => {
                let (site, log) = log_of(world, number);
                actors::permit(world, site, log);
            }
        }
        world.pump();
    }

    // Logs.

    fn write(&mut self, world: &mut World, site: usize, log: usize) {
        let (count, pad) = match self.random.below(60) {
            0 => (200, 300),
            1..=9 => (20, 120),
            _ => (1 + self.random.below(5) as u32, 60),
        };
        let site = &mut world.sites[site];
        if site.powered {
            site.logs[log].write(&site.disk, count, pad, world.now_ms);
        }
    }

    fn rotate(&mut self, world: &mut World, site: usize, log: usize) {
        let epoch = world.sites[site].epoch;
        let at_ms = world.now_ms;
        let is_powered = world.sites[site].powered;
        let log_ref = &mut world.sites[site].logs[log];
        if !is_powered || log_ref.rotating || !log_ref.live_exists() {
            return;
        }
        log_ref.rotating = true;
        let mut plan = log_ref.rotator.plan(log_ref, &mut self.random);
        // A writer that was told to move on does so before the next rotation.
        plan.insert(0, (0, Step::Reopen));
        self.plan(
            at_ms,
            Planned::Steps {
                site,
                log,
                epoch,
                steps: plan.into(),
            },
        );
    }

    fn delete(&mut self, world: &mut World, site: usize, log: usize) {
        let now_ms = world.now_ms;
        let site_ref = &mut world.sites[site];
        if site_ref.powered && !site_ref.classic && !site_ref.logs[log].rotating {
            site_ref.logs[log].reopen(&site_ref.disk, now_ms);
            site_ref.logs[log].delete(&site_ref.disk, now_ms);
            note_destroyed(world, site, log);
        }
    }

    // The network.

    fn cut(&mut self, world: &mut World, site: usize) {
        let now_ms = world.now_ms;
        let end = self.pick(&[End::Reset, End::Reset, End::Fin]);
        for conn in world
            .net
            .conns
            .values_mut()
            .filter(|conn| conn.site == site)
        {
            conn.down.finish(now_ms, end);
            conn.up.finish(now_ms, End::Reset);
        }
    }

    fn take_line(&mut self, world: &mut World, site: usize, line: Line, until_ms: u64) {
        if line == Line::Refused {
            self.cut(world, site);
        }
        world.net.links[site].line = line;
        self.plan(until_ms, Planned::LineUp(site));
    }

    /// The server, the collector or the line is away; and meanwhile the logs go on.
    fn outage(&mut self, world: &mut World, site: usize) {
        let mut at_ms = world.now_ms;
        for _ in 0..1 + self.random.below(4) {
            at_ms += 20_000 + self.random.below(20_000);
            for log in 0..world.sites[site].logs.len() {
                let index = log_index(world, site, log);
                self.plan(at_ms, Planned::Once(Act::Rotate, index));
                let written_ms = at_ms + 1 + self.random.below(20_000);
                self.plan(written_ms, Planned::Once(Act::Write, index));
            }
        }
        at_ms += 1 + self.random.below(30_000);
        match self.random.below(3) {
            0 if world.sites[site].server.is_some() => {
                world.kill_server(site);
                let epoch = world.sites[site].epoch;
                self.plan(at_ms, Planned::StartServer(site, epoch));
            }
            1 if world.host.collector.is_some() => {
                world.kill_collector();
                self.plan(at_ms, Planned::StartCollector(world.host.epoch));
            }
            _ => {
                let line = self.pick(&[Line::Refused, Line::Dark]);
                self.take_line(world, site, line, at_ms);
            }
        }
    }

    fn line_up(&mut self, world: &mut World, site: usize) {
        let link = &mut world.net.links[site];
        link.line = Line::Up;
        link.cut_after = None;
    }

    fn shape(&mut self, world: &mut World, site: usize) {
        let link = &mut world.net.links[site];
        link.delay_ms = self.pick(&[0, 1, 30, 900]);
        link.step = self.pick(&[7, 300, 1_460, usize::MAX, usize::MAX]);
        link.window = self.pick(&[3_000, 16 * 1024, 128 * 1024, 128 * 1024]);
    }
}

/// Over how many things an act is spread.
fn scope(act: Act, world: &World) -> usize {
    match act {
        Act::Write | Act::Rotate | Act::Delete | Act::Foreign | Act::Permit => {
            world.sites.iter().map(|site| site.logs.len()).sum()
        }
        Act::ReplaceSource | Act::Spoil => world.host.feeds.len(),
        Act::KillCollector
        | Act::Usr1
        | Act::PowerHost
        | Act::Flush
        | Act::FillDisk
        | Act::FailWrites
        | Act::HostClock => 1,
        _ => world.sites.len(),
    }
}

/// The site and the log with this number among all of them.
fn log_of(world: &World, mut number: usize) -> (usize, usize) {
    for (site, known) in world.sites.iter().enumerate() {
        if number < known.logs.len() {
            return (site, number);
        }
        number -= known.logs.len();
    }
    (0, 0)
}

fn log_index(world: &World, site: usize, log: usize) -> usize {
    let before = &world.sites[..site];
    before.iter().map(|site| site.logs.len()).sum::<usize>() + log
}

fn step_log(world: &mut World, site: usize, log: usize, step: Step) {
    let now_ms = world.now_ms;
    let site_ref = &mut world.sites[site];
    let wall_ms = site_ref.wall_ms as u64;
    step.apply(&mut site_ref.logs[log], &site_ref.disk, wall_ms, now_ms);
    note_destroyed(world, site, log);
    world.pump();
}

pub fn note_destroyed(world: &mut World, site: usize, log: usize) {
    let feeds = &world.host.feeds;
    let at = feeds
        .iter()
        .position(|feed| (feed.site, feed.log) == (site, log));
    if let Some(at) = at {
        world.note_destroyed(at);
    }
}
