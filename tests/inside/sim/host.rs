//! The log host: its disk, its clock, and the collector's process as its shell drives it.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use super::disk::{Disk, Open, is_copy_of};
use crate::collect::config::{Config, SourceConfig};
use crate::collect::copy::pointer::BootId;
use crate::collect::event::{Event, State};
use crate::collect::source::{Context, Periods, Source};
use crate::collect::status::{Action, ServerIndex, Servers};
use crate::inside::model::{Handle, Model};
use crate::random::Random;
use crate::time::{Civil, Mono, Now, Wall};

pub struct Host {
    pub disk: Disk<Model>,
    pub feeds: Vec<Feed>,
    /// The process, while it runs.
    pub collector: Option<Collector>,
    pub wall_ms: i64,
    pub powered: bool,
    pub epoch: u32,
    pub random: Random,
    pub periods: Periods,
    said: RefCell<Vec<(usize, String)>>,
}

/// One line of the collector's configuration, and what there is to know about its source from
/// outside.
pub struct Feed {
    pub site: usize,
    pub log: usize,
    pub remote: String,
    pub local: String,
    pub pointer: String,
    pub proto: &'static str,
    /// What it said since the last check.
    pub said: Vec<String>,
    /// Inodes of copies that the disk has spoilt.
    pub rotten: BTreeSet<u64>,
}

/// The collector's process.
pub struct Collector {
    pub slots: Vec<Slot>,
    statuses: Servers,
    /// What the status file of each box says, and when it was written or touched.
    pub status: Vec<(String, u64)>,
    boot: Option<BootId>,
    /// Syncs of the whole disk that failed, as far as all sources know of them.
    pub failed_syncs: u32,
}

/// A source and its socket.
pub struct Slot {
    pub source: Source<Open<Handle>>,
    pub conn: Option<u32>,
    server: ServerIndex,
    reported_error: bool,
    /// Tries in a row that brought no stream.
    pub failures: u32,
    streaming_since: Option<Mono>,
}

impl Host {
    pub fn new(seed: u64, idle_ms: u64) -> Host {
        Host {
            disk: Disk::new(Model::new()),
            feeds: Vec::new(),
            collector: None,
            wall_ms: 0,
            powered: true,
            epoch: 0,
            random: Random::new(seed),
            periods: Periods {
                retry_ms: 5_000,
                wait_ms: 3_000,
                idle_ms,
            },
            said: RefCell::default(),
        }
    }

    pub fn start_collector(&mut self, now: Mono, sites: usize) {
        self.disk.revive();
        self.disk.with(|fs| fs.forget_failed_syncs());
        let mut statuses = Servers::new(now);
        let mut slots = Vec::new();
        for feed in &self.feeds {
            slots.push(Slot {
                source: new_source(feed.config(), now),
                conn: None,
                server: statuses.add_source(address_of(feed.site)),
                reported_error: true,
                failures: 0,
                streaming_since: None,
            });
        }
        self.collector = Some(Collector {
            slots,
            statuses,
            status: vec![("".to_owned(), now.ms()); sites],
            boot: BootId::new(&format!("boot-{}", self.epoch)),
            failed_syncs: 0,
        });
    }

    /// SIGHUP with another line for this source: it starts anew.
    pub fn replace(&mut self, at: usize, now: Mono) {
        let config = self.feeds[at].config();
        if let Some(collector) = &mut self.collector {
            let slot = &mut collector.slots[at];
            slot.source = new_source(config, now);
        }
    }

    pub fn tell_time(&self) {
        self.disk.with(|fs| fs.at_ms(self.wall_ms as u64));
    }

    /// Whether the files of a source are to change, until when nobody reads what comes for it.
    pub fn is_changing(&self, at: usize) -> bool {
        let collector = self.collector.as_ref();
        collector.is_some_and(|collector| collector.slots[at].source.is_changing())
    }

    /// Whether a source has, or wants, a connection.
    pub fn wants_connection(&self, at: usize) -> bool {
        let collector = self.collector.as_ref();
        collector.is_some_and(|collector| collector.slots[at].source.wants_connection())
    }

    /// Whether that may be now.
    pub fn may_change(&self, at: usize) -> bool {
        let collector = self.collector.as_ref();
        collector.is_some_and(|collector| collector.slots[at].source.may_change())
    }

    /// Lets something happen to one source.
    pub fn with_source<R>(
        &mut self,
        at: usize,
        mono_ms: u64,
        buf: &mut [u8],
        act: impl FnOnce(&mut Source<Open<Handle>>, &mut Context<'_, Disk<Model>>, &mut [u8]) -> R,
    ) -> Option<R> {
        let collector = self.collector.as_mut()?;
        let slot = &mut collector.slots[at];
        let wall_ms = self.wall_ms as u64;
        let mut store = self.disk.clone();
        let (disk, said) = (&self.disk, &self.said);
        let mut cx = Context {
            store: &mut store,
            now: Now {
                mono: Mono::from_ms(mono_ms),
                wall: Wall::from_ms(wall_ms),
            },
            stamp: &|wall| Civil::from_unix(wall.secs() as i64).stamp(),
            boot: collector.boot.as_ref(),
            periods: &self.periods,
            random: &mut self.random,
            hooks: None,
            events: &mut |_, event: Event<'_>| {
                // The dead say nothing.
                if !disk.is_dead() {
                    said.borrow_mut().push((at, event.to_string()));
                }
            },
        };
        let result = act(&mut slot.source, &mut cx, buf);
        let is_streaming = matches!(slot.source.state(), State::Following { .. });
        slot.streaming_since = match is_streaming {
            true => slot.streaming_since.or(Some(Mono::from_ms(mono_ms))),
            false => None,
        };
        Some(result)
    }

    /// Whether the source has had a stream for longer than a failure takes.
    pub fn is_streaming_well(&self, at: usize, now: Mono) -> bool {
        let since = self
            .collector
            .as_ref()
            .and_then(|collector| collector.slots[at].streaming_since);
        since.is_some_and(|since| now.since_ms(since) >= self.periods.retry_ms)
    }

    /// What the sources have said since the last call.
    pub fn take_said(&mut self) -> Vec<(usize, String)> {
        std::mem::take(&mut *self.said.borrow_mut())
    }

    /// Tells the status of a source's box, and writes what is due.
    pub fn tell_status(&mut self, at: usize, now: Mono) {
        let Some(collector) = &mut self.collector else {
            return;
        };
        let slot = &mut collector.slots[at];
        let in_error = slot.source.in_error();
        if in_error != slot.reported_error {
            collector
                .statuses
                .set(slot.server, slot.reported_error, in_error);
            slot.reported_error = in_error;
        }
        self.write_statuses(now);
    }

    pub fn write_statuses(&mut self, now: Mono) {
        let Some(collector) = &mut self.collector else {
            return;
        };
        while let Some((server, action)) = collector.statuses.poll(now) {
            let address = collector.statuses.address(server).cloned();
            let site = (0..).zip(&mut collector.status);
            for (site, status) in site {
                if address == Some(address_of(site).into()) {
                    if let Action::Write(text) = action {
                        status.0 = text.to_owned();
                    }
                    status.1 = now.ms();
                }
            }
            collector.statuses.done(server, true, now);
        }
    }

    pub fn status_deadline(&self) -> Option<u64> {
        let collector = self.collector.as_ref()?;
        collector.statuses.poll_timeout().map(Mono::ms)
    }

    /// Shows the finished copies of a source, oldest first, and then the live one: inode and bytes.
    pub fn each_copy(&self, at: usize, mut show: impl FnMut(&Path, u64, &[u8])) {
        let local = &self.feeds[at].local;
        let is_rotated = |path: &Path| is_copy_of(local, path.to_str().unwrap());
        let kept = self.disk.kept();
        let live = PathBuf::from(local);
        for path in kept.iter().filter(|path| is_rotated(path)).chain([&live]) {
            let name = path.to_str().unwrap();
            self.disk.with(|fs| {
                if let Some(bytes) = fs.disk().read(name) {
                    show(path, fs.inode_of(name), bytes);
                }
            });
        }
    }
}

impl Feed {
    pub fn config(&self) -> SourceConfig {
        let Feed {
            site,
            remote,
            local,
            pointer,
            proto,
            ..
        } = self;
        let address = address_of(*site);
        let line = format!("{address} 19 {remote} {local} {pointer} proto={proto}");
        let config = Config::parse(line.as_bytes()).unwrap();
        config.sources.into_iter().next().unwrap()
    }

    pub fn says(&self, text: &str) -> bool {
        self.said.iter().any(|line| line.contains(text))
    }
}

pub fn address_of(site: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1 + site as u8))
}

/// A source whose files change step by step, as under the shell.
fn new_source(config: SourceConfig, now: Mono) -> Source<Open<Handle>> {
    let mut source = Source::new(config, now);
    source.share_barriers();
    source
}
