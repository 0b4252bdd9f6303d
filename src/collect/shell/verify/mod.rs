//! The mio half of `fetch_logs verify`: sockets, files and the clock around the checks.
//!
//! It owns a fixed number of places, each of which holds one check and its socket. What a check
//! does next is for [`crate::collect::verify`] to decide.

mod progress;
mod slot;

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;

use self::progress::Progress;
use self::slot::Slot;
use super::outcome::Outcome;
use super::resolver::look_up;
use crate::collect::config::{Config, SourceConfig};
use crate::collect::verify::{Check, Context, Copy, copies_of, gaps_of};
use crate::collect::view::amount::{Bytes, Span};
use crate::collect::view::json::Quoted;
use crate::limits::{CHUNK_LEN, VERIFY_PER_SERVER_MAX};
use crate::random::Random;
use crate::reactor::deadlines::Deadlines;
use crate::reactor::ready::ReadyList;
use crate::reactor::{self, Reactor};
use crate::store::ReadStore;
use crate::store::real::RealRead;
use crate::sys;
use crate::sys::clock;
use crate::sys::signals::Signal;
use crate::time::{Mono, Now};
use crate::wire::escape::{Escaped, OneLine};

type File = std::fs::File;

/// What the command line says.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Connections at the same time, at least one.
    pub connections: usize,
    /// The time for each of connecting, sending a request and receiving the answer line.
    pub wait_ms: u64,
    /// All rotated copies, and not the last one only.
    pub all: bool,
    /// Only what is not as it should be is told.
    pub quiet: bool,
    /// In JSON.
    pub json: bool,
}

/// All copies of a configuration being compared.
pub struct Verification {
    options: Options,
    reactor: Reactor,
    waiting: VecDeque<Waiting>,
    places: Vec<Slot>,
    deadlines: Deadlines,
    ready: ReadyList,
    store: RealRead,
    random: Random,
    progress: Progress,
    tally: Tally,
    buf: Box<[u8]>,
    now: Now,
}

/// A copy that is to be compared.
struct Waiting {
    source: Rc<SourceConfig>,
    copy: Copy,
    address: Option<SocketAddr>,
}

/// What a token's kind says; there is only one.
const PLACE: u8 = 0;

/// What happens to a check. It is called by reference, so that what follows from it is compiled
/// once.
type Act<'a> = dyn FnMut(&mut Slot, &mut Context<'_, RealRead>, &mut [u8]) + 'a;

impl Verification {
    /// Prepares the comparison. Host names are looked up, which may take a while.
    pub fn new(options: Options, reactor: Reactor) -> Verification {
        sys::rlimit::raise_descriptor_limit(options.connections as u64 * 2 + 64);
        Verification {
            options,
            reactor,
            waiting: VecDeque::new(),
            places: (0..options.connections).map(|_| Slot::new()).collect(),
            deadlines: Deadlines::new(),
            ready: ReadyList::new(),
            store: RealRead::new(),
            random: Random::new(sys::random_seed()),
            progress: Progress::new(options.quiet, clock::now().mono),
            tally: Tally::default(),
            buf: vec![0; CHUNK_LEN].into_boxed_slice(),
            now: clock::now(),
        }
    }

    /// Compares everything and prints a line for each copy on stdout, in the order in which they
    /// are done. Fails where the event loop does or nothing can be printed.
    pub fn run(mut self, config: Config) -> io::Result<Outcome> {
        for source in config.sources {
            self.list(source)?;
        }
        loop {
            self.fill_places()?;
            if self.places.iter().all(Slot::is_free) {
                self.progress.clear();
                return self.conclude();
            }
            self.progress.show(self.now.mono);
            self.now = self.reactor.wait(self.next_deadline())?;
            if self.is_interrupted() {
                self.progress.clear();
                return Ok(Outcome::Interrupted);
            }
            self.turn()?;
        }
    }

    /// One turn of the loop: deadlines, events, unfinished work.
    fn turn(&mut self) -> io::Result<()> {
        while let Some(index) = self.deadlines.pop_due(self.now.mono) {
            self.drive(index, &mut |place, cx, _| place.handle_timeout(cx))?;
        }
        for event in self.reactor.events() {
            self.handle_event(event)?;
        }
        for _ in 0..self.ready.len() {
            if let Some(index) = self.ready.pop() {
                self.drive(index, &mut |_, _, _| {})?;
            }
        }
        Ok(())
    }

    /// Puts the copies of a source in the line, and tells what is on record about it.
    fn list(&mut self, source: SourceConfig) -> io::Result<()> {
        let source = Rc::new(source);
        let address = look_up(&source).first().copied();
        match gaps_of(&self.store, &source) {
            Ok(text) => {
                for line in text.split(|&byte| byte == b'\n').filter(|l| !l.is_empty()) {
                    let line = format!("GAP {}", Escaped(line));
                    self.tally.losses += 1;
                    self.tell_bad(&source, &source.local, &line)?;
                }
            }
            Err(verdict) => {
                self.tally.bad += 1;
                self.tell_bad(&source, &source.local, &verdict.to_string())?;
            }
        }
        let (live, rotated) = copies_of(&self.store, &source, self.options.all);
        let rotated = match rotated {
            Ok(rotated) => rotated,
            Err(verdict) => {
                self.tally.bad += 1;
                self.tell_bad(&source, &source.local, &verdict.to_string())?;
                Vec::new()
            }
        };
        for copy in std::iter::once(live).chain(rotated) {
            let size = self.store.stat_path(&copy.path);
            self.progress.expect(size.map_or(0, |stat| stat.size));
            self.waiting.push_back(Waiting {
                source: source.clone(),
                copy,
                address,
            });
        }
        Ok(())
    }

    /// Begins as many checks as there are places for them.
    fn fill_places(&mut self) -> io::Result<()> {
        while let Some(index) = self.places.iter().position(Slot::is_free) {
            let next = self
                .waiting
                .iter()
                .position(|waiting| self.may_begin(waiting));
            let Some(waiting) = next.and_then(|at| self.waiting.remove(at)) else {
                return Ok(());
            };
            let check = Check::new(waiting.source, waiting.copy, self.now.mono);
            if let Some(place) = self.places.get_mut(index) {
                place.take(check, waiting.address);
            }
            self.drive(index as u32, &mut |place, cx, _| place.handle_timeout(cx))?;
        }
        Ok(())
    }

    /// Whether its server has a place left for us.
    fn may_begin(&self, waiting: &Waiting) -> bool {
        let Some(address) = waiting.address else {
            return true;
        };
        let places = self.places.iter().filter_map(Slot::server);
        places.filter(|server| *server == address).count() < VERIFY_PER_SERVER_MAX
    }

    fn next_deadline(&self) -> Option<Mono> {
        if !self.ready.is_empty() {
            return Some(self.now.mono);
        }
        [self.deadlines.next(), self.progress.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    fn is_interrupted(&mut self) -> bool {
        let mut signals = self.reactor.signals();
        signals.any(|signal| matches!(signal, Signal::Term | Signal::Int))
    }

    fn handle_event(&mut self, event: reactor::Event) -> io::Result<()> {
        let index = event.token.index;
        let place = self.places.get(index as usize);
        if place.is_none_or(|place| place.life() != event.token.life) {
            return Ok(());
        }
        if event.writable {
            self.drive(index, &mut |place, cx, _| place.handle_writable(cx))?;
        }
        if event.readable {
            self.drive(index, &mut |place, cx, buf| place.handle_readable(cx, buf))?;
        }
        Ok(())
    }

    /// Lets something happen to one check and does all that follows from it: work, socket,
    /// deadline, verdict.
    fn drive(&mut self, index: u32, act: &mut Act<'_>) -> io::Result<()> {
        let Some(place) = self.places.get_mut(index as usize) else {
            return Ok(());
        };
        let mut cx = Context {
            store: &self.store,
            now: self.now.mono,
            wait_ms: self.options.wait_ms,
            random: &mut self.random,
        };
        act(place, &mut cx, &mut self.buf);
        self.progress.add(place.work(&mut cx, &mut self.buf));
        place.settle(self.reactor.registry(), index, &mut cx);
        if place.has_work() {
            self.ready.push(index);
        }
        self.deadlines.set(index, place.poll_timeout());
        match place.take_finished() {
            Some(check) => self.tell(&check),
            None => Ok(()),
        }
    }

    /// A check is over.
    fn tell(&mut self, check: &Check<File>) -> io::Result<()> {
        let Some(verdict) = check.verdict() else {
            return Ok(());
        };
        let copy = check.copy();
        self.progress.finish();
        let is_good = verdict.is_good(copy.which);
        match is_good {
            true => self.tally.good += 1,
            false => self.tally.bad += 1,
        }
        let text = verdict.to_string();
        self.print(check.config(), &copy.path, &text, is_good)
    }

    fn tell_bad(&mut self, source: &SourceConfig, path: &Path, what: &str) -> io::Result<()> {
        self.print(source, path, what, false)
    }

    fn print(
        &mut self,
        source: &SourceConfig,
        path: &Path,
        what: &str,
        is_good: bool,
    ) -> io::Result<()> {
        if self.options.quiet && is_good {
            return Ok(());
        }
        self.progress.clear();
        let mut out = io::stdout();
        if self.options.json {
            let (word, text) = what.split_once(' ').unwrap_or((what, ""));
            return writeln!(
                out,
                "{{\"box\":{},\"remote_file\":{},\"local_file\":{},\"verdict\":\"{word}\",\"good\":{is_good},\"text\":{}}}",
                Quoted(source.server()),
                Quoted(Escaped(&source.remote)),
                Quoted(Escaped(path.as_os_str().as_bytes())),
                Quoted(OneLine(text)),
            );
        }
        let remote = Escaped(&source.remote);
        let line = format!("{} {remote} {}: {what}", source.server(), path.display());
        writeln!(out, "{}", OneLine(&line))
    }

    /// Says what it all came to.
    fn conclude(&self) -> io::Result<Outcome> {
        let Tally { good, bad, losses } = self.tally;
        let bytes = self.progress.bytes();
        let mut out = io::stdout();
        if self.options.json {
            writeln!(
                out,
                "{{\"copies\":{},\"good\":{good},\"bad\":{bad},\"losses\":{losses},\"bytes\":{bytes}}}",
                good + bad
            )?;
        } else if !self.options.quiet {
            let copies = Plural(good + bad, "copy", "copies");
            write!(out, "{copies}: {good} as they should be, {bad} not")?;
            if losses > 0 {
                let losses = Plural(losses, "loss", "losses");
                write!(out, "; {losses} on record")?;
            }
            let span = Span(clock::now().mono.since_ms(self.progress.begun_at()) / 1000);
            writeln!(out, "; {} compared in {span}", Bytes(bytes))?;
        }
        Ok(match bad + losses {
            0 => Outcome::Good,
            _ => Outcome::Bad,
        })
    }
}

/// What the verdicts came to.
#[derive(Clone, Copy, Default)]
struct Tally {
    good: usize,
    bad: usize,
    /// Losses on record.
    losses: usize,
}

/// A number of things, with their word in singular and plural.
struct Plural(usize, &'static str, &'static str);

impl fmt::Display for Plural {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plural(count, one, many) = self;
        write!(f, "{count} {}", if *count == 1 { one } else { many })
    }
}
