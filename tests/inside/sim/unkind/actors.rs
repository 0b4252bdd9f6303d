//! Who else has to do with log files: somebody who copies, touches, restores, or takes a right
//! away; rotations that come in one moment; a clock that is set between two.

use std::path::{Path, PathBuf};

use super::Dimension;
use crate::inside::fake::{Fake, Veil};
use crate::inside::sim::chaos::{Act, Chaos, Planned, note_destroyed};
use crate::inside::sim::disk::Disk;
use crate::inside::sim::log::Log;
use crate::inside::sim::rotator::Naming;
use crate::inside::sim::world::World;
use crate::random::Random;
use crate::store::Kind;

const ENOENT: i32 = 2;
const EACCES: i32 = 13;

/// A day.
const DAY_NS: u64 = 86_400_000_000_000;

/// One of them, picked, if there is any.
fn some<T: Clone>(all: &[T], random: &mut Random) -> Option<T> {
    all.get(random.below(all.len() as u64) as usize).cloned()
}

/// Something happens to the files of a log that its writer and its rotator know nothing of. `index`
/// is the number of the log among all.
pub fn act(chaos: &mut Chaos, world: &mut World, site: usize, log: usize, index: usize) {
    if !world.sites[site].powered {
        return;
    }
    let Some(mut unkind) = world.unkind.take() else {
        return;
    };
    let random = &mut unkind.random;
    let actor = some(&world.sites[site].logs[log].habits.actors, random);
    if let Some(actor) = actor {
        world.trace.note(format!("{actor:?} {site} {log}"));
    }
    let certain = match actor {
        Some(Dimension::Restored) => certain_of_gone(world, site, log),
        _ => Vec::new(),
    };
    let site_ref = &mut world.sites[site];
    let log_ref = &mut site_ref.logs[log];
    match actor {
        Some(Dimension::Copies) => copy(log_ref, &site_ref.disk, random),
        Some(Dimension::Touched) => touch(log_ref, &site_ref.disk, random),
        Some(Dimension::Restored) => restore(log_ref, &site_ref.disk, &certain, random),
        Some(Dimension::Unreadable) => {
            if let Some(name) = some(&log_ref.plain_names(), random) {
                site_ref.disk.with(|fs| fs.set_readable(&name, false));
                let at_ms = world.now_ms + 1_000 + random.below(200_000);
                chaos.plan(at_ms, Planned::Once(Act::Permit, index));
            }
        }
        Some(Dimension::ClockStep) => {
            let by_ms = [-3_600_000, -40_000, -3_000, 3_000, 3_600_000];
            let is_fine = |log: &Log| matches!(log.naming(), Naming::Number(_));
            // Where names are stamps of a clock that was set back, nothing tells the order.
            if site_ref.logs.iter().all(is_fine) {
                let by_ms = some(&by_ms, random).unwrap_or_default();
                site_ref.wall_ms += by_ms;
                site_ref.set_back |= by_ms < 0;
                site_ref.tell_time();
            }
        }
        Some(Dimension::OddPath) => {
            let (path, veil) = odd(log_ref, random);
            site_ref.disk.with(|fs| fs.veil(&path, Some(veil)));
            log_ref.changed = true;
            let at_ms = world.now_ms + 1_000 + random.below(200_000);
            chaos.plan(at_ms, Planned::Once(Act::Permit, index));
        }
        Some(Dimension::EqualTimes) => burst(world, site, log, random),
        _ => {}
    }
    world.unkind = Some(unkind);
}

/// Something in place of the live file: a link, a directory, a FIFO; or in place of the directory
/// nothing, or what cannot be looked into.
fn odd(log: &Log, random: &mut Random) -> (PathBuf, Veil) {
    let path = Path::new(&log.path);
    let dir = path.parent().unwrap_or(path);
    let (path, veil) = match random.below(5) {
        0 => (path, Veil::Kind(Kind::Link)),
        1 => (path, Veil::Kind(Kind::Directory)),
        2 => (path, Veil::Kind(Kind::Special)),
        3 => (dir, Veil::Error(ENOENT)),
        _ => (dir, Veil::Error(EACCES)),
    };
    (path.into(), veil)
}

/// Lets everybody read all files of a log again.
pub fn permit(world: &mut World, site: usize, log: usize) {
    let site = &mut world.sites[site];
    for name in site.logs[log].plain_names() {
        site.disk.with(|fs| fs.set_readable(&name, true));
    }
    let path = PathBuf::from(&site.logs[log].path);
    for place in path.ancestors() {
        site.disk.with(|fs| fs.veil(place, None));
    }
    site.logs[log].changed = true;
}

/// `cp` and `cp -p`, of the live file or of a rotated one; now and then a copy is removed.
fn copy(log: &mut Log, disk: &Disk<Fake>, random: &mut Random) {
    if random.below(4) == 0 && !log.habits.extras.is_empty() {
        let old = log.habits.extras.remove(0);
        disk.with(|fs| fs.remove(&old));
        return;
    }
    let mut from = log.plain_names();
    if log.live_exists() {
        from.push(log.path.clone());
    }
    let Some(from) = some(&from, random) else {
        return;
    };
    let (bytes, mtime_ns) = disk.with(|fs| (fs.read(&from), fs.mtime_ns(&from)));
    let kept_ns = (random.below(2) == 0).then_some(mtime_ns);
    put_extra(log, disk, &bytes.unwrap_or_default(), kept_ns);
}

/// Makes a file under the log's glob that is no generation.
fn put_extra(log: &mut Log, disk: &Disk<Fake>, bytes: &[u8], mtime_ns: Option<u64>) {
    let Some(name) = log.extra_name() else {
        return;
    };
    log.habits.extras_ever += 1;
    log.create_file(disk, &name, bytes);
    if let Some(mtime_ns) = mtime_ns {
        disk.with(|fs| fs.set_mtime_ns(&name, mtime_ns));
    }
    log.habits.extras.push(name);
    log.changed = true;
}

/// `touch`: a rotated file seems to be written now, long ago, tomorrow, or with another one.
fn touch(log: &mut Log, disk: &Disk<Fake>, random: &mut Random) {
    let names = log.plain_names();
    let (Some(name), Some(other)) = (some(&names, random), some(&names, random)) else {
        return;
    };
    disk.with(|fs| {
        let (now_ns, own_ns) = (fs.now_ms() * 1_000_000, fs.mtime_ns(&name));
        let mtime_ns = match random.below(4) {
            0 => now_ns,
            1 => own_ns.saturating_sub(DAY_NS),
            2 => now_ns + DAY_NS,
            _ => fs.mtime_ns(&other),
        };
        fs.set_mtime_ns(&name, mtime_ns);
    });
}

/// The generations that are nowhere on the box any more, and of which all is held for certain.
fn certain_of_gone(world: &World, site: usize, log: usize) -> Vec<u64> {
    let log_ref = &world.sites[site].logs[log];
    let feeds = &world.host.feeds;
    let at = feeds.iter().position(|f| (f.site, f.log) == (site, log));
    let gone = log_ref.numbers().filter(|n| !log_ref.is_on_disk(*n));
    let is_held = |number: &u64| {
        let generation = log_ref.generation(*number);
        let (Some(generation), Some(at)) = (generation, at) else {
            return false;
        };
        let len = generation.bytes.len();
        len > 0 && world.held(at, *number) == len
    };
    gone.filter(is_held).collect()
}

/// Puts back an old generation that the box had removed, and that was fetched before.
fn restore(log: &mut Log, disk: &Disk<Fake>, gone: &[u64], random: &mut Random) {
    let Some(number) = some(gone, random) else {
        return;
    };
    let generation = log.generation(number).cloned().unwrap_or_default();
    let kept_ns = disk.with(|fs| fs.now_ms()) * 1_000_000;
    let kept_ns = (random.below(2) == 0).then(|| kept_ns.saturating_sub(DAY_NS / 24));
    put_extra(log, disk, &generation.bytes, kept_ns);
}

/// Several rotations within one moment, each of something that was written.
fn burst(world: &mut World, site: usize, log: usize, random: &mut Random) {
    let (now_ms, is_seen) = (world.now_ms, random.below(2) == 0);
    for _ in 0..2 + random.below(3) {
        let site_ref = &mut world.sites[site];
        let log_ref = &mut site_ref.logs[log];
        if log_ref.rotating || !log_ref.live_exists() {
            return;
        }
        log_ref.reopen(&site_ref.disk, now_ms);
        log_ref.write(&site_ref.disk, 2, 60, now_ms);
        for (_, step) in log_ref.rotator.plan(log_ref, random) {
            let site_ref = &mut world.sites[site];
            let wall_ms = site_ref.wall_ms as u64;
            step.apply(&mut site_ref.logs[log], &site_ref.disk, wall_ms, now_ms);
            note_destroyed(world, site, log);
            // Whether the server gets its turn between two calls.
            if is_seen {
                world.pump();
            }
        }
    }
}

impl World {
    /// Everything that somebody did to files is undone but for what it led to: all can be read, and
    /// writers open the live file. Returns the numbers of the logs whose writers did not before.
    pub fn unmake_stubborn(&mut self) -> Vec<usize> {
        let (mut index, mut stubborn) = (0, Vec::new());
        for site in 0..self.sites.len() {
            for log in 0..self.sites[site].logs.len() {
                permit(self, site, log);
                let site_ref = &mut self.sites[site];
                let log_ref = &mut site_ref.logs[log];
                if std::mem::take(&mut log_ref.habits.is_stubborn) {
                    log_ref.reopen(&site_ref.disk, self.now_ms);
                    stubborn.push(index);
                }
                index += 1;
            }
        }
        stubborn
    }
}

impl Log {
    /// The rotated files that are not compressed.
    fn plain_names(&self) -> Vec<String> {
        let plain = self.rotated.iter().filter(|file| !file.compressed);
        plain.map(|file| file.name.clone()).collect()
    }

    /// The name of the next file that somebody makes under the log's glob, if he can.
    fn extra_name(&self) -> Option<String> {
        let (stem, n) = (self.stem(), self.habits.extras_ever);
        Some(match self.naming() {
            Naming::Number(_) | Naming::Weekday => format!("{stem}.bak{n}"),
            Naming::Date | Naming::Dashes => format!("{stem}-bak{n}"),
            Naming::Tai64n => stem.replace("current", &format!("@bak{n}.s")),
            Naming::Old => return None,
        })
    }
}
