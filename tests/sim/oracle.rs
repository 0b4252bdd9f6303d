//! What the collector must hold, compared with what it holds; and what must be true at any moment.

use std::fmt::Write;
use std::path::PathBuf;

use super::host::Feed;
use super::log::{Generation, ends};
use super::world::World;
use crate::collect::pointer::Pointer;
use crate::wire::frame::DATA_MAX;

/// A copy as it stands on the disk of the log host.
type Copy = (PathBuf, u64, Vec<u8>);

/// So many bytes a disk may spoil in a copy.
const ROTTEN_MAX: usize = 16;

impl World {
    /// The whole promise, for a source that has had the time to catch up.
    pub fn check_feed(&self, at: usize) -> Result<(), String> {
        self.check_bytes(at)?;
        self.check_verified(at)?;
        self.check_losses(at)?;
        self.check_status(at)?;
        self.check_pointer(at)
    }

    /// Every byte that the box has not destroyed is there, in order, once.
    fn check_bytes(&self, at: usize) -> Result<(), String> {
        let feed = &self.host.feeds[at];
        let log = &self.sites[feed.site].logs[feed.log];
        let generations: Vec<&Generation> = log.generations().collect();
        let (mut rotten, mut copies) = (Vec::new(), Vec::new());
        let is_start = |bytes: &[u8]| generations.iter().any(|g| g.bytes.starts_with(bytes));
        for mut copy in self.host.copies(at) {
            // After a power cut here, what the box has destroyed may end in zeros for ever.
            if self.host.epoch > 0 && !is_start(&copy.2) {
                let zeros = copy.2.iter().rev().take_while(|byte| **byte == 0);
                copy.2.truncate(copy.2.len() - zeros.count());
            }
            match feed.rotten.contains(&copy.1) && !is_start(&copy.2) {
                true => rotten.push(copy),
                false => copies.push(copy),
            }
        }
        let is_set_back = self.sites[feed.site].set_back;
        let is_unsure = log.unsure || (is_set_back && !rotten.is_empty());
        let is_excused = |n: usize| {
            let generation = generations[n];
            // Where the box lost the end and wrote nothing more, our longer copy is the whole of it.
            let is_torn = n > 0 && generations[n - 1].torn;
            let is_within = |copy: &Copy| copy.2.starts_with(&generation.bytes);
            let is_last = n + 1 == generations.len();
            generation.must == 0
                || (is_unsure && !is_last)
                || rotten.iter().any(|copy| is_spoilt(copy, generation))
                || (is_torn && copies.iter().any(is_within))
        };
        let mut held = vec![0; generations.len()];
        let mut next = 0;
        for (path, _, bytes) in copies.iter().filter(|copy| !copy.2.is_empty()) {
            let is_copy = |g: &&Generation| bytes.len() >= g.must && g.bytes.starts_with(bytes);
            let Some(place) = generations[next..].iter().position(is_copy) else {
                return Err(format!(
                    "{} ({}) is no generation from {next} on, or not whole; it is like {}",
                    path.display(),
                    ends(bytes),
                    nearest(bytes, &generations)
                ));
            };
            let mut found = next + place;
            while generations[found].torn && generations.get(found + 1).is_some_and(is_copy) {
                found += 1;
            }
            if let Some(skipped) = (next..found).find(|&n| !is_excused(n)) {
                return Err(format!("generation {skipped} was skipped"));
            }
            held[found] = bytes.len();
            next = found + 1;
        }
        if let Some(left) = (next..generations.len()).find(|&n| !is_excused(n)) {
            return Err(format!("generation {left} was not fetched"));
        }
        let last = held.iter().rposition(|held| *held > 0).unwrap_or_default();
        let is_told = feed.says("lost ") || feed.says("truncated") || feed.says("forgotten");
        let is_missing = |n: usize| {
            let is_torn = n > 0 && generations[n - 1].torn;
            held[n] < generations[n].traced && rotten.is_empty() && !is_torn
        };
        let untold = (0..last).find(|&n| is_missing(n));
        match untold.filter(|_| !is_told) {
            Some(n) => Err(format!(
                "only {} bytes of generation {n} are held and that is not told",
                held[n]
            )),
            None => Ok(()),
        }
    }

    /// What is said to be the same is the same.
    fn check_verified(&self, at: usize) -> Result<(), String> {
        let feed = &self.host.feeds[at];
        let log = &self.sites[feed.site].logs[feed.log];
        for (path, _, bytes) in self.host.copies(at) {
            let ending = format!(" {}", path.display());
            let is_verified =
                |line: &String| line.starts_with("verified ") && line.ends_with(&ending);
            let is_true = || log.generations().any(|g| g.bytes.starts_with(&bytes));
            if feed.said.iter().any(is_verified) && !is_true() {
                return Err(format!(
                    "{} is said to be verified: {}",
                    path.display(),
                    ends(&bytes)
                ));
            }
        }
        Ok(())
    }

    /// Nothing is said to be lost while all is there.
    fn check_losses(&self, at: usize) -> Result<(), String> {
        let feed = &self.host.feeds[at];
        let log = &self.sites[feed.site].logs[feed.log];
        let may = log.may_lose || !feed.rotten.is_empty();
        match (feed.says("lost ") || self.is_on_record(feed)) && !may {
            true => Err("a false alarm".to_owned()),
            false => Ok(()),
        }
    }

    /// In error only if something is on record; and the box's status file says so.
    fn check_status(&self, at: usize) -> Result<(), String> {
        let feed = &self.host.feeds[at];
        let Some(collector) = &self.host.collector else {
            return Err("the collector does not run".to_owned());
        };
        let in_error = collector.slots[at].source.in_error();
        let on_record = self.is_on_record(feed);
        if in_error != on_record {
            return Err(format!(
                "in error: {in_error}; something on record: {on_record}"
            ));
        }
        let of_site = (0..)
            .zip(&self.host.feeds)
            .filter(|(_, other)| other.site == feed.site);
        let mut of_site = of_site.map(|(at, _)| collector.slots[at].source.in_error());
        let expected = if of_site.any(|in_error| in_error) {
            "ERR\n"
        } else {
            "OK\n"
        };
        let (text, touched_ms) = &collector.status[feed.site];
        if text != expected {
            return Err(format!("the status says {text:?}, not {expected:?}"));
        }
        match self.now_ms - touched_ms > 50_000 {
            true => Err("the status file was not touched".to_owned()),
            false => Ok(()),
        }
    }

    fn is_on_record(&self, feed: &Feed) -> bool {
        let path = format!("{}.gaps", feed.local);
        self.host.disk.with(|fs| fs.exists(&path))
    }

    /// No pointer is ahead of the data.
    pub fn check_pointers(&self) {
        for at in 0..self.host.feeds.len() {
            if let Err(why) = self.check_pointer(at) {
                panic!("{}: {why}", self.host.feeds[at].local);
            }
        }
    }

    fn check_pointer(&self, at: usize) -> Result<(), String> {
        let feed = &self.host.feeds[at];
        let read = |path: &str| self.host.disk.with(|fs| fs.read(path));
        let Some(text) = read(&feed.pointer) else {
            return Ok(());
        };
        let pointer = Pointer::parse(&text).map_err(|fault| fault.to_string())?;
        let live = read(&feed.local).map_or(0, |bytes| bytes.len() as u64);
        match &pointer.pending {
            None if pointer.checkpoint > live => Err(format!(
                "the pointer counts on {} bytes, and there are {live}",
                pointer.checkpoint
            )),
            None => Ok(()),
            Some(pending) => {
                let suffix = pending.suffix.as_str();
                let kept =
                    read(&format!("{}.{suffix}", feed.local)).map(|bytes| bytes.len() as u64);
                match live >= pending.size || kept.is_some_and(|kept| kept >= pending.size) {
                    true => Ok(()),
                    false => Err(format!(
                        "{} bytes are to be renamed, and there are {live}",
                        pending.size
                    )),
                }
            }
        }
    }

    /// How much of a generation the collector holds in one copy for certain: the last frame may not be whole yet, and
    /// is taken back where its end does not come.
    pub fn held(&self, at: usize, generation: &Generation) -> usize {
        let local = &self.host.feeds[at].local;
        let held = |(path, _, bytes): &Copy| match generation.bytes.starts_with(bytes) {
            true if path.to_str() == Some(local) => bytes.len().saturating_sub(DATA_MAX),
            true => bytes.len(),
            false => 0,
        };
        self.host
            .copies(at)
            .iter()
            .map(held)
            .max()
            .unwrap_or_default()
    }

    // What the box destroys.

    /// Whether the server holds the file of a generation open for a source that is connected.
    fn is_followed(&self, at: usize, inode: u64) -> bool {
        let feed = &self.host.feeds[at];
        let site = &self.sites[feed.site];
        let conn = self.host.collector.as_ref().and_then(|c| c.slots[at].conn);
        let stands = conn
            .and_then(|conn| self.net.conns.get(&conn))
            .is_some_and(|conn| conn.at_host && conn.at_box);
        let Some(server) = site.server.as_ref().filter(|_| stands) else {
            return false;
        };
        let index = server.config.index_of(feed.remote.as_ref());
        let of_log = server
            .sessions
            .iter()
            .filter(|served| served.session.file() == index);
        site.disk.is_open(inode) && of_log.count() == 1
    }

    /// Settles what the collector must still have of what the box has just destroyed.
    pub fn note_destroyed(&mut self, at: usize) {
        let (site, log) = (self.host.feeds[at].site, self.host.feeds[at].log);
        let classic = self.sites[site].classic;
        let set_back = self.sites[site].set_back;
        for (number, missed) in self.sites[site].logs[log].take_destroyed() {
            let log_ref = &self.sites[site].logs[log];
            let Some(generation) = log_ref.generation(number) else {
                continue;
            };
            let held = self.held(at, generation);
            let on_disk = log_ref.is_on_disk(number);
            let followed = !on_disk && self.is_followed(at, generation.inode);
            let log = &mut self.sites[site].logs[log];
            let Some(generation) = log.generation_mut(number) else {
                continue;
            };
            if followed && !generation.harmed {
                generation.fragile = true;
                continue;
            }
            if missed {
                generation.traced = generation.bytes.len();
            }
            let generation_is_short = held < generation.bytes.len();
            generation.must = if on_disk {
                generation.must.max(held)
            } else {
                held
            };
            generation.harmed = true;
            log.may_lose = true;
            log.unsure |= set_back && generation_is_short;
            if classic {
                self.excuse_old(at);
            }
        }
    }

    /// A connection is gone, and with it the descriptors that were the last to lead to a file.
    pub fn was_disconnected(&mut self, at: usize) {
        let (site, log) = (self.host.feeds[at].site, self.host.feeds[at].log);
        let fragile = |world: &World| {
            let log = &world.sites[site].logs[log];
            log.numbers()
                .filter(|n| log.generation(*n).is_some_and(|g| g.fragile))
                .collect::<Vec<u64>>()
        };
        for number in fragile(self) {
            let held = self.sites[site].logs[log]
                .generation(number)
                .map_or(0, |generation| self.held(at, generation));
            let set_back = self.sites[site].set_back;
            let log = &mut self.sites[site].logs[log];
            log.may_lose = true;
            log.unsure |= set_back;
            if let Some(generation) = log.generation_mut(number) {
                generation.fragile = false;
                generation.harmed = true;
                generation.must = held;
            }
            if self.sites[site].classic {
                self.excuse_old(at);
            }
        }
    }

    /// The log host lost its power, and with it what was not on its disk: of what the box has destroyed, nobody has
    /// that any more.
    pub fn note_lost_copies(&mut self) {
        for at in 0..self.host.feeds.len() {
            let (site, log) = (self.host.feeds[at].site, self.host.feeds[at].log);
            for number in self.sites[site].logs[log].numbers() {
                let log_ref = &self.sites[site].logs[log];
                let Some(generation) = log_ref.generation(number) else {
                    continue;
                };
                let held = self.held(at, generation);
                if log_ref.is_on_disk(number) && !generation.harmed || held >= generation.must {
                    continue;
                }
                let on_disk = log_ref.is_on_disk(number);
                let log = &mut self.sites[site].logs[log];
                log.may_lose = true;
                if let Some(generation) = log.generation_mut(number) {
                    generation.harmed = true;
                    generation.must = if on_disk { generation.must } else { held };
                }
            }
        }
    }

    /// In classic a server that has not seen what is gone cannot tell what comes after it.
    fn excuse_old(&mut self, at: usize) {
        let (site, log) = (self.host.feeds[at].site, self.host.feeds[at].log);
        let newest = self.sites[site].logs[log].newest();
        let numbers = self.sites[site].logs[log].numbers();
        for number in numbers.filter(|number| *number != newest) {
            let held = self.sites[site].logs[log]
                .generation(number)
                .map_or(0, |generation| self.held(at, generation));
            if let Some(generation) = self.sites[site].logs[log].generation_mut(number) {
                generation.must = generation.must.min(held);
            }
        }
    }

    // For people.

    pub fn report(&self, at: usize) -> String {
        let feed = &self.host.feeds[at];
        let site = &self.sites[feed.site];
        let mut report = format!(
            "{} of box {} at {} ms\n",
            feed.local, feed.site, self.now_ms
        );
        report += &site.logs[feed.log].report(&site.disk);
        for (path, inode, bytes) in self.host.copies(at) {
            let rotten = if feed.rotten.contains(&inode) {
                " rotten"
            } else {
                ""
            };
            let _ = writeln!(
                report,
                "  copy {}{rotten}: {}",
                path.display(),
                ends(&bytes)
            );
        }
        let pointer = self
            .host
            .disk
            .with(|fs| fs.read(&feed.pointer))
            .unwrap_or_default();
        let _ = writeln!(
            report,
            "  pointer {}",
            String::from_utf8_lossy(&pointer).trim()
        );
        if let Some(collector) = &self.host.collector {
            let _ = writeln!(report, "  state {:?}", collector.slots[at].source.state());
        }
        for line in feed.said.iter().rev().take(25).rev() {
            let _ = writeln!(report, "  said: {line}");
        }
        report
    }
}

/// The generation that begins most like a copy, and where they part.
fn nearest(bytes: &[u8], generations: &[&Generation]) -> String {
    let common = |g: &Generation| {
        bytes
            .iter()
            .zip(&g.bytes)
            .take_while(|(a, b)| a == b)
            .count()
    };
    let nearest = (0..generations.len()).max_by_key(|n| common(generations[*n]));
    let Some(n) = nearest else {
        return "none".to_owned();
    };
    let at = common(generations[n]);
    let part = |bytes: &[u8]| {
        let part = bytes.get(at.saturating_sub(8)..).unwrap_or_default();
        part[..part.len().min(40)].escape_ascii().to_string()
    };
    let (ours, theirs) = (part(bytes), part(&generations[n].bytes));
    format!(
        "{n} up to {at} of {}: {ours:?}, not {theirs:?}",
        generations[n].bytes.len()
    )
}

/// Whether a copy is one of this generation but for some bytes that the disk has spoilt.
fn is_spoilt(copy: &Copy, generation: &Generation) -> bool {
    let bytes = &copy.2;
    if bytes.len() < generation.must || bytes.len() > generation.bytes.len() {
        return false;
    }
    let differing = bytes.iter().zip(&generation.bytes).filter(|(a, b)| a != b);
    differing.take(ROTTEN_MAX + 1).count() <= ROTTEN_MAX
}
