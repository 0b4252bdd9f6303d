//! What the collector must hold, compared with what it holds; and what must be true at any moment.

use std::fmt::Write;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};

use super::host::Feed;
use super::log::{Generation, Log, ends};
use super::world::World;
use crate::collect::copy::pointer::Pointer;
use crate::wire::frame::DATA_MAX;

/// A copy as it stands on the disk of the log host.
type Copy = (PathBuf, u64, Vec<u8>);

/// Fewer bytes than these may be the start of several generations.
const TELLING_MIN: usize = 64;

/// So many bytes a disk may spoil in a copy.
const ROTTEN_MAX: usize = 16;

/// What the oracle ends a run with: whatever else ends one is a panic of the product.
pub struct Violation(pub String);

/// Ends the run.
pub fn violated(why: String) -> ! {
    resume_unwind(Box::new(Violation(why)))
}

impl World {
    /// The whole promise, for a source that has had the time to catch up.
    pub fn check_feed(&self, at: usize) -> Result<(), String> {
        match self.unkind {
            Some(_) => self.check_unkind(at)?,
            None => self.check_bytes(at)?,
        }
        self.check_verified(at)?;
        // A doubt is told as a loss, and in the unkind worlds there are doubts.
        if self.unkind.is_none() {
            self.check_losses(at)?;
        }
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
        for mut copy in self.copies(at) {
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
        // Zeros at the end of a generation that is not over are not written yet.
        let must = |n: usize| match n + 1 == generations.len() {
            true => written_len(&generations[n].bytes).min(generations[n].must),
            false => generations[n].must,
        };
        let is_set_back = self.sites[feed.site].set_back;
        let is_unsure = log.unsure || (is_set_back && !rotten.is_empty());
        let is_excused = |n: usize| {
            let generation = generations[n];
            // Where the box lost the end and wrote nothing more, our longer copy is the whole of
            // it.
            let is_torn = n > 0 && generations[n - 1].torn;
            let is_within = |copy: &Copy| copy.2.starts_with(&generation.bytes[..generation.kept]);
            let is_last = n + 1 == generations.len();
            must(n) == 0
                || (is_unsure && !is_last)
                || rotten.iter().any(|copy| is_spoilt(copy, generation))
                || (is_torn && copies.iter().any(is_within))
        };
        let mut held = vec![0; generations.len()];
        let mut next = 0;
        for (path, _, bytes) in copies.iter().filter(|copy| !copy.2.is_empty()) {
            let is_copy = |n: &usize| {
                let generation = generations.get(*n).filter(|_| bytes.len() >= must(*n));
                generation.is_some_and(|generation| generation.bytes.starts_with(bytes))
            };
            let Some(mut found) = (next..generations.len()).find(is_copy) else {
                return Err(format!(
                    "{} ({}) is no generation from {next} on, or not whole; it is like {}",
                    path.display(),
                    ends(bytes),
                    nearest(bytes, &generations)
                ));
            };
            while generations[found].torn && is_copy(&(found + 1)) {
                found += 1;
            }
            if let Some(skipped) = (next..found).find(|&n| !is_excused(n)) {
                let like = ends(&generations[skipped].bytes);
                return Err(format!("generation {skipped} ({like}) was skipped"));
            }
            held[found] = bytes.len();
            next = found + 1;
        }
        if let Some(left) = (next..generations.len()).find(|&n| !is_excused(n)) {
            return Err(format!("generation {left} was not fetched"));
        }
        let last = held.iter().rposition(|held| *held > 0).unwrap_or_default();
        let says = ["lost ", "truncated", "forgotten"];
        let is_told = self.is_on_record(feed) || says.iter().any(|text| feed.says(text));
        let is_missing = |n: usize| {
            let is_torn = n > 0 && generations[n - 1].torn;
            held[n] < generations[n].traced && rotten.is_empty() && !is_torn
        };
        // Of a generation of which nothing is held only the inode is known: a later one with the
        // same is taken for it.
        let is_taken_for = |n: usize, later: usize| {
            let is_same = generations[n].inode == generations[later].inode;
            is_same && held[n] == 0 && held[later] > 0
        };
        let is_before_another =
            |n: usize| (0..=n).any(|first| (n + 1..=last).any(|later| is_taken_for(first, later)));
        // In classic a server that sent the whole of what is gone does not know whether anything
        // came after it.
        let is_classic = self.sites[feed.site].classic;
        let is_after_whole = |n: usize| {
            let before = (0..n).rfind(|&before| held[before] > 0);
            before.is_none_or(|before| held[before] >= generations[before].kept)
        };
        let is_hushed = |n: usize| is_classic && is_after_whole(n);
        let is_untold = |&n: &usize| is_missing(n) && !is_before_another(n) && !is_hushed(n);
        let untold = (0..last).find(is_untold);
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
        let mut wrong = Ok(());
        self.host.each_copy(at, |path, _, bytes| {
            let ending = format!(" {}", path.display());
            let is_verified =
                |line: &String| line.starts_with("verified ") && line.ends_with(&ending);
            let bytes = log.habits.content.written(bytes);
            let is_true = || log.generations().any(|g| g.bytes.starts_with(bytes));
            if feed.said.iter().any(is_verified) && !is_true() {
                let (path, ends) = (path.display(), ends(bytes));
                wrong = Err(format!("{path} is said to be verified: {ends}"));
            }
        });
        wrong
    }

    fn copies(&self, at: usize) -> Vec<Copy> {
        let mut copies = Vec::new();
        self.host.each_copy(at, |path, inode, bytes| {
            copies.push((path.to_path_buf(), inode, bytes.to_vec()));
        });
        copies
    }

    /// Nothing is said to be lost while all is there.
    fn check_losses(&self, at: usize) -> Result<(), String> {
        let feed = &self.host.feeds[at];
        let log = &self.sites[feed.site].logs[feed.log];
        // Where nobody can know which generation is held, that is to be said.
        let may = log.may_lose || log.unsure || !feed.rotten.is_empty();
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

    /// Whether losses or differences are noted beside the copies of a source.
    pub fn is_on_record(&self, feed: &Feed) -> bool {
        let path = format!("{}.gaps", feed.local);
        // Whoever was killed right after it was created has noted nothing.
        let record = self.host.disk.with(|fs| fs.read(&path));
        record.is_some_and(|record| !record.is_empty())
    }

    /// No pointer is ahead of the data.
    pub fn check_pointers(&self) {
        for at in 0..self.host.feeds.len() {
            if let Err(why) = self.check_pointer(at) {
                violated(format!("{}: {why}", self.host.feeds[at].local));
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

    /// How much of a generation the collector holds in one copy for certain: the last frame may not
    /// be whole yet, and is taken back where its end does not come.
    pub fn held(&self, at: usize, number: u64) -> usize {
        let feed = &self.host.feeds[at];
        let log = &self.sites[feed.site].logs[feed.log];
        let Some(generation) = log.generation(number) else {
            return 0;
        };
        if self.unkind.is_some() {
            return self.held_for_certain(at, number);
        }
        let local = Path::new(&feed.local);
        let mut most = 0;
        self.host.each_copy(at, |path, _, bytes| {
            let held = held_in(bytes, path == local, generation);
            if held > most && tells_which(bytes, log) {
                most = held;
            }
        });
        most
    }

    /// The same of all generations that are of interest.
    fn held_of_all(&self, at: usize) -> Vec<usize> {
        let feed = &self.host.feeds[at];
        let log = &self.sites[feed.site].logs[feed.log];
        let mut held = vec![0; log.generations().count()];
        let local = Path::new(&feed.local);
        self.host.each_copy(at, |path, _, bytes| {
            if !tells_which(bytes, log) {
                return;
            }
            let is_live = path == local;
            for (most, generation) in held.iter_mut().zip(log.generations()) {
                *most = held_in(bytes, is_live, generation).max(*most);
            }
        });
        held
    }

    // What the box destroys.

    /// Whether the server holds the file of a generation open for a source that is connected.
    fn is_followed(&self, at: usize, inode: u64) -> bool {
        let feed = &self.host.feeds[at];
        self.sites[feed.site].disk.is_open(inode) && self.sessions_of(at) == 1
    }

    /// The sessions that serve the log of a source that is connected.
    fn sessions_of(&self, at: usize) -> usize {
        let feed = &self.host.feeds[at];
        let site = &self.sites[feed.site];
        let stands = self.is_connected(at);
        let Some(server) = site.server.as_ref().filter(|_| stands) else {
            return 0;
        };
        let index = server.config.index_of(feed.remote.as_ref());
        let of_log = server
            .sessions
            .iter()
            .filter(|served| served.session.file() == index);
        of_log.count()
    }

    fn is_connected(&self, at: usize) -> bool {
        let conn = self.host.collector.as_ref().and_then(|c| c.slots[at].conn);
        conn.and_then(|conn| self.net.conns.get(&conn))
            .is_some_and(|conn| conn.at_host && conn.at_box)
    }

    /// Whether what is gone has left a trace. With a server that looks, the kernel told of it, or
    /// else it was there for longer than the time between two looks. Without one an older
    /// generation that is still there hides the gap.
    fn is_traced(&self, at: usize, number: u64, generation: &Generation) -> bool {
        let feed = &self.host.feeds[at];
        let site = &self.sites[feed.site];
        let log = &site.logs[feed.log];
        if self.unkind.is_some() && self.now_ms == generation.born_ms {
            // Between two looks, and between two messages of the kernel.
            return false;
        }
        match self.sessions_of(at) > 0 {
            true => site.hints || self.now_ms - generation.born_ms > site.delay_check_ms,
            false => !log.numbers().any(|n| n < number && log.is_on_disk(n)),
        }
    }

    /// Settles what the collector must still have of what the box has just destroyed.
    pub fn note_destroyed(&mut self, at: usize) {
        let (site, log) = (self.host.feeds[at].site, self.host.feeds[at].log);
        let classic = self.sites[site].classic;
        let set_back = self.sites[site].set_back;
        if let Some(kept) = self.sites[site].logs[log].untracked {
            match kept == self.kept_of(at) {
                true => self.excuse_old(at),
                false => self.sites[site].logs[log].untracked = None,
            }
        }
        for (number, missed) in self.sites[site].logs[log].take_destroyed() {
            let log_ref = &self.sites[site].logs[log];
            let Some(generation) = log_ref.generation(number) else {
                continue;
            };
            let held = self.held(at, number);
            let on_disk = log_ref.is_on_disk(number);
            // What is in a file after it was truncated is looked for under its name only.
            let before = number.checked_sub(1).and_then(|n| log_ref.generation(n));
            let is_second = before.is_some_and(|before| before.inode == generation.inode);
            let is_series = log_ref.habits.series.is_some();
            // A ring has written over it.
            let is_second = is_second || is_series;
            let followed = !on_disk && !is_second && self.is_followed(at, generation.inode);
            let is_traced = self.is_traced(at, number, generation);
            let log = &mut self.sites[site].logs[log];
            let Some(generation) = log.generation_mut(number) else {
                continue;
            };
            if followed && !generation.harmed {
                generation.fragile = true;
                continue;
            }
            // Of a series nobody misses what he has nothing of.
            if missed && is_traced && (held > 0 || !is_series) {
                generation.traced = generation.kept;
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
            let held = self.held(at, number);
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

    /// The log host lost its power, and with it what was not on its disk: of what the box has
    /// destroyed, nobody has that any more.
    pub fn note_lost_copies(&mut self) {
        for at in 0..self.host.feeds.len() {
            let (site, log) = (self.host.feeds[at].site, self.host.feeds[at].log);
            let set_back = self.sites[site].set_back;
            let local = &self.host.feeds[at].local;
            let live = self.host.disk.with(|fs| fs.read(local)).unwrap_or_default();
            self.sites[site].logs[log].unsure |= set_back && live.is_empty();
            for number in self.sites[site].logs[log].numbers() {
                let log_ref = &self.sites[site].logs[log];
                let Some(generation) = log_ref.generation(number) else {
                    continue;
                };
                let held = self.held(at, number);
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

    /// How many copies a source has finished, as far as it said so.
    fn kept_of(&self, at: usize) -> usize {
        let said = &self.host.feeds[at].said;
        said.iter()
            .filter(|line| line.contains(" kept as "))
            .count()
    }

    /// In classic a server that has not seen what is gone cannot tell what comes after it, until
    /// the collector has gone on to another generation.
    fn excuse_old(&mut self, at: usize) {
        let (site, log) = (self.host.feeds[at].site, self.host.feeds[at].log);
        self.sites[site].logs[log].untracked = Some(self.kept_of(at));
        let newest = self.sites[site].logs[log].newest();
        let numbers = self.sites[site].logs[log].numbers();
        let held = self.held_of_all(at);
        for (number, held) in numbers.zip(held) {
            if let Some(generation) = self.sites[site].logs[log].generation_mut(number)
                && number != newest
            {
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
        for (path, inode, bytes) in self.copies(at) {
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

/// How much of a generation a copy holds for certain.
fn held_in(copy: &[u8], is_live: bool, generation: &Generation) -> usize {
    match (generation.bytes.starts_with(copy), is_live) {
        (true, true) => copy.len().saturating_sub(DATA_MAX),
        (true, false) => copy.len(),
        (false, _) => 0,
    }
}

/// Whether a copy is of one generation only, by its bytes.
fn tells_which(copy: &[u8], log: &Log) -> bool {
    let begins = |g: &&Generation| g.bytes.starts_with(copy);
    copy.len() >= TELLING_MIN || log.generations().filter(begins).count() < 2
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

/// How many bytes there are but for zeros at the end.
pub(super) fn written_len(bytes: &[u8]) -> usize {
    let last = bytes.iter().rposition(|byte| *byte != 0);
    last.map_or(0, |last| last + 1)
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
