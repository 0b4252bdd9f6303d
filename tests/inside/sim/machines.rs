//! What happens to the machines: killed, without power, with a clock that is set, with a disk that
//! spoils.

use super::chaos::{Chaos, Planned, note_destroyed};
use super::net::End;
use super::rotator::{Naming, Rotator};
use super::world::World;
use crate::inside::model::PowerCut;

impl Chaos {
    // The boxes.

    pub fn kill_server(&mut self, world: &mut World, site: usize) {
        match self.random.below(2) {
            0 if world.sites[site].server.is_some() => world.kill_server(site),
            _ => {
                let calls = 1 + self.random.below(60);
                world.sites[site].disk.kill_at(calls);
            }
        }
        let epoch = world.sites[site].epoch;
        for delay_ms in [5_000, 120_000] {
            let at_ms = world.now_ms + self.random.below(delay_ms);
            self.plan(at_ms, Planned::StartServer(site, epoch));
        }
    }

    pub fn power_box(&mut self, world: &mut World, site: usize) {
        if !world.sites[site].powered {
            return;
        }
        let server = world.sites[site].server.take();
        for served in server.into_iter().flat_map(|server| server.sessions) {
            world.hang_up_box(served.conn, None);
        }
        world.net.links[site].box_up = false;
        let now_ms = world.now_ms;
        let site_ref = &mut world.sites[site];
        site_ref.powered = false;
        site_ref.epoch += 1;
        site_ref.disk.revive();
        site_ref.disk.with(|fs| fs.reboot());
        let (tmpfs, classic) = (site_ref.tmpfs, site_ref.classic);
        for log in 0..world.sites[site].logs.len() {
            let site_ref = &mut world.sites[site];
            let log_ref = &mut site_ref.logs[log];
            log_ref.rotating = false;
            if tmpfs {
                log_ref.vanish(&site_ref.disk);
            } else if !classic && self.random.below(2) == 0 {
                let lost = self.random.below(2_000) as usize;
                let zeroed = self.random.below(3) == 0;
                log_ref.lose_tail(&site_ref.disk, lost, zeroed, now_ms);
            }
            note_destroyed(world, site, log);
        }
        let at_ms = world.now_ms + self.away_ms();
        self.plan(at_ms, Planned::BootBox(site));
    }

    pub fn boot_box(&mut self, world: &mut World, site: usize) {
        let now_ms = world.now_ms;
        world.net.links[site].box_up = true;
        let site_ref = &mut world.sites[site];
        site_ref.powered = true;
        for log in &mut site_ref.logs {
            log.reopen(&site_ref.disk, now_ms);
        }
        site_ref.start_server();
    }

    /// Names that count rotations know better than a clock that is set; others do not.
    pub fn box_clock(&mut self, world: &mut World, site: usize) {
        let counts = |rotator: Rotator| matches!(rotator.naming(), Naming::Number(_));
        let site = &mut world.sites[site];
        if site.logs.iter().all(|log| counts(log.rotator)) {
            let before_ms = site.wall_ms;
            site.wall_ms = jumped(before_ms, self);
            site.set_back |= site.wall_ms < before_ms;
            site.tell_time();
        }
    }

    // The log host.

    pub fn kill_collector(&mut self, world: &mut World) {
        match self.random.below(4) {
            0 if world.host.collector.is_some() => world.kill_collector(),
            _ => {
                let calls = 1 + self.random.below(80);
                world.host.disk.kill_at(calls);
            }
        }
        let epoch = world.host.epoch;
        for delay_ms in [5_000, 60_000, 120_000] {
            let at_ms = world.now_ms + self.random.below(delay_ms);
            self.plan(at_ms, Planned::StartCollector(epoch));
        }
    }

    pub fn replace_source(&mut self, world: &mut World, at: usize) {
        let feed = &mut world.host.feeds[at];
        let site = &world.sites[feed.site];
        let others: &[&'static str] = match (site.old_server, site.classic) {
            (true, _) => &["auto", "classic"],
            (false, true) => &["classic"],
            (false, false) => &["auto", "v2"],
        };
        feed.proto = self.pick(others);
        let now = world.mono();
        let conn = world
            .host
            .collector
            .as_mut()
            .and_then(|c| c.slots[at].conn.take());
        if let Some(conn) = conn {
            world.hang_up_host(conn, Some(End::Fin));
        }
        world.host.replace(at, now);
    }

    pub fn power_host(&mut self, world: &mut World) {
        if !world.host.powered {
            return;
        }
        world.stop_collector(None);
        world.host.powered = false;
        world.host.epoch += 1;
        world.host.disk.revive();
        world.net.host_up = false;
        let cut = self.pick(&[PowerCut::Ordered, PowerCut::Unordered]);
        let random = &mut self.random;
        let mut pick = |options: usize| random.below(options as u64) as usize;
        world.host.disk.with(|fs| fs.cut_power(cut, &mut pick));
        world.note_lost_copies();
        world.note_files();
        world.check_pointers();
        let at_ms = world.now_ms + self.away_ms();
        self.plan(at_ms, Planned::BootHost);
    }

    /// The disk spoils bytes in the middle of a live copy.
    pub fn spoil(&mut self, world: &mut World, at: usize) {
        let feed = &mut world.host.feeds[at];
        let path = feed.local.clone();
        let classic = world.sites[feed.site].classic;
        let Some(mut bytes) = world.host.disk.with(|fs| fs.read(&path)) else {
            return;
        };
        if classic || bytes.len() < 5_000 || !feed.rotten.is_empty() {
            return;
        }
        let place = self.random.below(bytes.len() as u64 - 10) as usize;
        for byte in &mut bytes[place..place + 4] {
            *byte ^= 0x55;
        }
        // It is the disk that spoils them, not what is on the way to it.
        world.host.disk.with(|fs| {
            fs.flush();
            fs.rewrite(&path, &bytes);
            fs.flush();
        });
        let inode = world.host.disk.with(|fs| fs.inode_of(&path));
        world.host.feeds[at].rotten.insert(inode);
    }
}

pub fn start_collector(world: &mut World) {
    let (now, sites) = (world.mono(), world.sites.len());
    world.trace.note("collector starts".to_owned());
    world.host.start_collector(now, sites);
}

pub fn boot_host(world: &mut World) {
    world.host.powered = true;
    world.net.host_up = true;
    start_collector(world);
}

/// A wall clock that is set, by seconds or by years, to a time that there was or will be.
pub fn jumped(wall_ms: i64, chaos: &mut Chaos) -> i64 {
    const YEAR_MS: i64 = 365 * 24 * 3_600_000;
    let by = chaos.pick(&[
        -3_000,
        3_000,
        -3_600_000,
        3_600_000,
        -YEAR_MS,
        YEAR_MS,
        10 * YEAR_MS,
    ]);
    (wall_ms + by).clamp(YEAR_MS, 100 * YEAR_MS)
}
