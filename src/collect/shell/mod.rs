//! The mio half of the collector: sockets, files, clocks and signals around the sources' machines.
//!
//! It owns the reactor, the sources with their sockets, one buffer for all of them, and the status
//! files. What a source does next is for [`super::source`] to decide.

mod addresses;
mod appetite;
mod apply;
mod asked;
pub mod check;
mod clocks;
pub mod conf;
pub mod control;
pub mod face_file;
mod families;
mod group_commit;
pub mod handed;
mod hooks;
mod journal;
mod manager;
mod names;
pub mod outcome;
mod quotas;
mod reach;
mod resolver;
mod rights;
pub mod seats;
mod shown;
mod siblings;
mod slot;
mod statuses;
pub mod verify;
mod walls;

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;

use self::clocks::Clocks;
use self::control::Doors;
use self::families::FamilySlot;
use self::hooks::HookRuns;
pub use self::journal::Form;
use self::journal::Journal;
use self::manager::Manager;
use self::quotas::Quotas;
pub use self::reach::reaches;
use self::resolver::{Resolver, Retry};
use self::rights::FileRights;
use self::shown::{InThisTurn, Shown};
use self::slot::Slot;
use self::statuses::Statuses;
use super::config::Config;
use super::copy::HookNews;
use super::copy::pointer::BootId;
use super::event::Event;
use super::source::siblings::Relief;
use super::source::{Context, Periods};
use super::view::record::Tally;
use crate::limits::{CHUNK_LEN, DUE_MS, READ_MS, STATUS_TOUCH_MS, WALLS_CHECK_MS};
use crate::noise::key::Identity;
use crate::random::Random;
use crate::reactor::deadlines::Deadlines;
use crate::reactor::ready::ReadyList;
use crate::reactor::{self, EVENTS_MAX, End, Reactor, Rest};
use crate::store::real::RealWrite;
use crate::sys;
use crate::sys::clock;
use crate::sys::confine::Reaches;
use crate::sys::outside::{Inside, Outside};
use crate::sys::signals::{Signal, Signals};
use crate::time::{Mono, Now};
use crate::wire::seat::Seat;

/// What the command line says.
pub struct Options {
    /// Where the status files go.
    pub snmp_dir: PathBuf,
    /// The configuration, read again at SIGHUP.
    pub config_path: PathBuf,
    /// What relative paths in the configuration are relative to.
    pub base_dir: PathBuf,
    /// The periods of every source.
    pub periods: Periods,
    /// In which form events are told.
    pub form: Form,
    /// Where the metrics go, if anywhere.
    pub metrics: Option<PathBuf>,
    /// The program that is run for what happens.
    pub hook: Option<PathBuf>,
    /// The keys of this side, for sources with `key=`.
    pub own: Option<Rc<Identity>>,
    /// The boot of this host, which cannot be asked for behind the walls.
    pub boot: Option<BootId>,
}

/// What only one process may have, and nobody can make behind the walls.
pub struct Held {
    /// Its place in the directory of the status files.
    pub seat: Seat,
    /// The lock on that.
    pub lock: File,
    /// The sockets at which somebody may ask.
    pub doors: Doors,
}

/// The running collector.
pub struct Collector {
    options: Options,
    inside: Inside,
    /// Lines of the configuration were left out at the start, because something is wrong with them.
    /// A configuration that was right is not replaced by one that is not.
    is_faulty: bool,
    /// What the configuration names.
    reaches: Reaches,
    /// When the walls are looked at next.
    check_walls_at: Mono,
    is_shut_out: bool,
    reactor: Reactor,
    slots: Vec<Option<Slot>>,
    /// Lines that stand for all logs which a glob finds.
    families: Vec<FamilySlot>,
    family_deadlines: Deadlines,
    /// Those of which more is to be read.
    families_ready: ReadyList,
    deadlines: Deadlines,
    ready: ReadyList,
    /// Sources whose files change at the end of this turn.
    changing: ReadyList,
    /// Sources that get no answer, or got through because others made room.
    relieving: ReadyList,
    relief: Relief,
    resolver: Resolver,
    statuses: Statuses,
    /// How many boxes there are.
    boxes: usize,
    seat: Seat,
    shown: Shown,
    manager: Manager,
    /// The program that is run for what happens.
    hooks: Option<HookRuns>,
    /// Sources that have something for it which is not durable yet.
    owing: ReadyList,
    /// Sources of which something is still to be put on record.
    recording: ReadyList,
    /// When the local copies are looked at next, and which is the next.
    look_at: Mono,
    looked_at: u32,
    store: RealWrite,
    random: Random,
    boot: Option<BootId>,
    journal: Journal,
    clocks: Clocks,
    quotas: Quotas,
    /// Whether it is the operator who brings events about, and not the boxes.
    is_asked: bool,
    buf: Box<[u8]>,
    now: Now,
    /// Turns in a row that were full of events and left the deadlines alone.
    full_turns: usize,
    /// Syncs of whole file systems that failed, as far as all sources know of them.
    failed_syncs: u32,
    rights: FileRights,
}

/// What a token's kind says.
const SOURCE: u8 = 0;
const NAMES: u8 = 1;
const LISTENER: u8 = 2;
const CLIENT: u8 = 3;
const HOOKS: u8 = 4;
const FAMILIES: u8 = 5;

/// From so many events on there may be more than fit: one place may have gone to a signal.
const TURN_IS_FULL: usize = EVENTS_MAX - 1;

/// What happens to a source. It is called by reference, so that what follows from it is compiled
/// once.
type Act<'a> = dyn FnMut(&mut Slot, &mut Context<'_, RealWrite>, &mut [u8]) -> Rest + 'a;

impl Collector {
    /// A collector of these sources, which all make their first try in the first turn. The walls of
    /// `inside` leave room for what they [`reaches`].
    pub fn new(
        options: Options,
        config: Config,
        reactor: Reactor,
        mut inside: Inside,
        held: Held,
    ) -> Collector {
        let now = clock::now();
        let mut journal = Journal::new(options.form);
        let seat = held.seat;
        let shown = Shown::new(&options, held, reactor.registry(), now, &mut journal);
        let registry = reactor.registry();
        let hooks = options.hook.as_deref().map(|program| {
            let line = inside.outside.as_mut().and_then(Outside::take_hooks);
            HookRuns::new(
                program,
                line,
                options.periods.retry_ms,
                registry,
                &mut journal,
            )
        });
        let check_walls_at = now.mono.plus_ms(inside.patience_ms(WALLS_CHECK_MS));
        let mut collector = Collector {
            statuses: Statuses::new(options.snmp_dir.clone(), seat, now.mono),
            seat,
            boxes: 0,
            journal,
            clocks: Clocks::default(),
            quotas: Quotas::default(),
            is_asked: false,
            shown,
            manager: Manager::new(now.mono),
            hooks,
            owing: ReadyList::new(),
            recording: ReadyList::new(),
            look_at: now.mono.plus_ms(STATUS_TOUCH_MS),
            looked_at: 0,
            inside,
            is_faulty: config.faults.is_some(),
            reaches: reaches(&options, &config),
            check_walls_at,
            is_shut_out: false,
            reactor,
            slots: Vec::new(),
            families: Vec::new(),
            family_deadlines: Deadlines::new(),
            families_ready: ReadyList::new(),
            deadlines: Deadlines::new(),
            resolver: Resolver::default(),
            ready: ReadyList::new(),
            changing: ReadyList::new(),
            relieving: ReadyList::new(),
            relief: Relief::default(),
            store: RealWrite::default(),
            random: Random::new(sys::random_seed()),
            boot: options.boot.clone(),
            options,
            buf: vec![0; CHUNK_LEN].into_boxed_slice(),
            now,
            full_turns: 0,
            failed_syncs: 0,
            rights: FileRights::default(),
        };
        collector.shown.note_faulty(collector.is_faulty);
        // Before its table is written over.
        let snmp_dir = &collector.options.snmp_dir;
        let outdated = seats::outdated(snmp_dir, seat, &config);
        let remembered = seats::remembered(snmp_dir, seat, &config);
        seats::clear_up(snmp_dir, seat, &config);
        collector.statuses.leave(seats::claimed(snmp_dir, seat));
        collector.statuses.inherit(outdated);
        collector.apply(config, &remembered);
        collector
    }

    /// Runs until TERM or INT, or until the walls shut out what is configured; then
    /// [`let_go`](Self::let_go).
    pub fn run(&mut self) -> io::Result<End> {
        self.inside.begun();
        // All first tries fall into the first turn: one barrier serves all files of a file system.
        self.store.batch(true);
        self.turn_over_deadlines(self.now.mono, None);
        self.store.batch(false);
        self.check_failed_syncs();
        while !self.is_shut_out {
            self.write_statuses();
            self.show();
            self.look_at_copies();
            let looked_at = self.now.mono;
            self.now = self.reactor.wait(self.next_deadline())?;
            self.journal.tick(self.now.mono);
            self.tell_untold(Some(self.now.mono));
            if self.handle_signals().is_break() {
                return Ok(End::Stopped);
            }
            let events = self.reactor.events();
            let heard = events.len();
            for event in events {
                self.handle_event(event);
            }
            self.turn_over_ready();
            self.turn_over_names();
            if self.all_were_heard(heard) {
                let until = clock::now().mono.plus_ms(DUE_MS);
                self.turn_over_deadlines(looked_at, Some(until));
                self.turn_over_families(looked_at);
            }
            self.make_changes();
            let until = clock::now().mono.plus_ms(DUE_MS);
            self.put_on_record(Some(until));
            self.settle_hooks();
            self.turn_over_hooks();
            self.relieve();
            self.check_failed_syncs();
            if self.check_walls_at <= self.now.mono {
                self.check_walls();
            }
        }
        Ok(End::ShutOut)
    }

    /// Closes everything, and leaves what a successor needs: the port, the signals and the way
    /// outside.
    pub fn let_go(mut self) -> (Option<OwnedFd>, Signals, Option<Outside>) {
        self.put_on_record(None);
        self.tell_untold(None);
        let servers = self.boxes;
        let sources = InThisTurn {
            slots: &self.slots,
            families: &self.families,
            now: clock::now(),
        };
        let port = self.shown.end(&sources, servers, !self.is_shut_out);
        (port, self.reactor.into_signals(), self.inside.outside)
    }

    /// Whether every source of which something had come before this turn's look was heard by now.
    /// Only then may deadlines judge, and only those that were over before that look: it may have
    /// been the log host or its disk that was late, and not the server.
    ///
    /// A full turn means that others may be waiting. They are heard in order, so there is an end to
    /// their number.
    fn all_were_heard(&mut self, events: usize) -> bool {
        let turns = self.slots.len() / TURN_IS_FULL;
        if events >= TURN_IS_FULL && self.full_turns < turns {
            self.full_turns += 1;
            return false;
        }
        self.full_turns = 0;
        true
    }

    fn next_deadline(&self) -> Option<Mono> {
        if !self.ready.is_empty()
            || !self.families_ready.is_empty()
            || !self.changing.is_empty()
            || !self.owing.is_empty()
            || !self.recording.is_empty()
        {
            return Some(self.now.mono);
        }
        let deadlines = [
            self.deadlines.next(),
            self.family_deadlines.next(),
            self.resolver.poll_timeout(),
            self.statuses.poll_timeout(),
            self.journal.poll_timeout(),
            self.quotas.poll_timeout(),
            Some(self.check_walls_at),
            Some(self.shown.poll_timeout(self.now.mono)),
            self.manager.poll_timeout(),
            self.hooks.as_ref().and_then(HookRuns::poll_timeout),
            Some(self.look_at),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// Lets those read on that had more than their share of a turn, one after the other, for a
    /// while: however many of them there are, and however dear what they bring, whoever has little
    /// is heard in between.
    fn turn_over_ready(&mut self) {
        let until = clock::now().mono.plus_ms(READ_MS);
        for _ in 0..self.ready.len() {
            if let Some(index) = self.ready.pop() {
                self.drive(index, &mut |slot, cx, buf| slot.handle_readable(cx, buf));
            }
            if clock::now().mono >= until {
                return;
            }
        }
    }

    /// Does what is due, as far as it comes until that moment: whoever has news is heard in
    /// between.
    fn turn_over_deadlines(&mut self, due: Mono, until: Option<Mono>) {
        while let Some(index) = self.deadlines.pop_due(due) {
            // What waits for its turn to be read has come in time.
            if self.ready.has(index) {
                self.drive(index, &mut |slot, cx, buf| slot.handle_readable(cx, buf));
            }
            self.drive(index, &mut |slot, cx, _| slot.handle_timeout(cx));
            if until.is_some_and(|until| clock::now().mono >= until) {
                return;
            }
        }
    }

    /// Puts on record what boxes have brought for that, as far as it comes until that moment.
    fn put_on_record(&mut self, until: Option<Mono>) {
        for _ in 0..self.recording.len() {
            if let Some(index) = self.recording.pop() {
                self.drive(index, &mut |slot, cx, _| slot.put_on_record(cx));
            }
            if until.is_some_and(|until| clock::now().mono >= until) {
                return;
            }
        }
    }

    /// Tells of how many events of boxes nothing was told in the minute that is over by then.
    fn tell_untold(&mut self, now: Option<Mono>) {
        for (source, count) in self.quotas.take_left_out(now) {
            let event = Event::Untold(count);
            self.journal.event(self.now.wall, &source, &event);
        }
    }

    /// Breaks when the daemon is to stop.
    fn handle_signals(&mut self) -> ControlFlow<()> {
        for signal in self.reactor.signals() {
            match signal {
                Signal::Term | Signal::Int => return ControlFlow::Break(()),
                Signal::Hup => self.reload(),
                Signal::Usr1 => self.reopen_all(),
            }
        }
        ControlFlow::Continue(())
    }

    fn handle_event(&mut self, event: reactor::Event) {
        if let LISTENER | CLIENT = event.token.kind {
            let registry = self.reactor.registry();
            return (self.shown.control).handle_event(event, registry, self.now.mono);
        }
        if event.token.kind == HOOKS {
            return self.hear_hooks();
        }
        if event.token.kind == FAMILIES {
            return self.handle_family_event(event);
        }
        if event.token.kind == NAMES {
            let retry = retry(self.now.mono, &self.options, &mut self.random);
            return self
                .resolver
                .handle_readable(event.token, retry, &mut self.buf);
        }
        let index = event.token.index;
        let is_current = self
            .slots
            .get(index as usize)
            .and_then(Option::as_ref)
            .is_some_and(|slot| slot.life() == event.token.life);
        if !is_current {
            return;
        }
        if event.writable {
            self.drive(index, &mut |slot, cx, _| slot.handle_writable(cx));
        }
        // Whoever waits for his turn has it then.
        if event.readable && !self.ready.has(index) {
            self.drive(index, &mut |slot, cx, buf| slot.handle_readable(cx, buf));
        }
    }

    /// Lets something happen to one source and does everything that follows from it: socket,
    /// status, deadline.
    fn drive(&mut self, index: u32, act: &mut Act<'_>) {
        let Some(slot) = self.slots.get_mut(index as usize).and_then(Option::as_mut) else {
            return;
        };
        let (journal, clocks, quotas) = (&mut self.journal, &mut self.clocks, &mut self.quotas);
        let (now, is_asked) = (self.now, self.is_asked);
        let tally = Cell::new(Tally::default());
        let news = HookNews::default();
        let mut cx = Context {
            store: &mut self.store,
            now: self.now,
            stamp: &|wall| clock::local_time(wall).stamp(),
            boot: self.boot.as_ref(),
            periods: &self.options.periods,
            random: &mut self.random,
            events: &mut |config, event| {
                let mut counted = tally.get();
                counted.count(&event);
                tally.set(counted);
                let is_news = clocks.is_news(config, &event);
                if is_news && (is_asked || quotas.may_tell((index, config), &event, now.mono)) {
                    journal.event(now.wall, config, &event);
                }
            },
            hooks: self.hooks.is_some().then_some(&news),
        };
        cx.store.set_rights(slot.rights());
        let rest = act(slot, &mut cx, &mut self.buf);
        let work = slot.work(&mut cx, &mut self.buf);
        if rest == Rest::More || work == Rest::More {
            self.ready.push(index);
        }
        if slot.may_change() {
            self.changing.push(index);
        }
        slot.settle(self.reactor.registry(), index, &mut cx);
        if let Some(hooks) = &mut self.hooks {
            let is_other = hooks.take_news(index, slot, &news, &mut cx);
            is_other.then(|| self.shown.note_news());
            if news.dropped.get() > 0 {
                self.shown.note_hooks_left(news.dropped.get());
            }
        }
        if slot.owes_hooks() {
            self.owing.push(index);
        }
        if slot.owes_record() {
            self.recording.push(index);
        }
        slot.tell_status(&mut self.statuses);
        if slot.take_unreached() {
            self.resolver.doubt(slot.config(), self.now.mono);
        }
        if let Some(change) = slot.note_sight(tally.get(), &mut cx) {
            self.shown.note_news();
            self.manager.note(change);
        }
        let at = slot.poll_timeout(&self.options.periods);
        self.deadlines.set_about(index, at, self.now.mono);
        if let Some(error) = self.store.take_ungiven() {
            self.rights.tell_ungiven(slot, &error, &mut self.journal);
        }
        self.look_for_relief(index);
    }

    /// A sync of a whole file system that failed concerns all sources that have files there, those
    /// too that have nothing to do.
    fn check_failed_syncs(&mut self) {
        while self.failed_syncs != self.store.all_failed_syncs() {
            self.failed_syncs = self.store.all_failed_syncs();
            self.store.batch(true);
            for index in 0..self.slots.len() as u32 {
                self.drive(index, &mut |slot, cx, _| slot.check_failed_syncs(cx));
            }
            self.store.batch(false);
        }
    }

    fn write_statuses(&mut self) {
        let journal = &mut self.journal;
        self.statuses.write_due(self.now, journal);
    }

    /// SIGUSR1: every source closes and opens its files and tells how it is.
    fn reopen_all(&mut self) {
        self.is_asked = true;
        for index in 0..self.slots.len() as u32 {
            self.drive(index, &mut |slot, cx, _| slot.reopen(cx));
        }
        self.is_asked = false;
        self.try_at_once();
        self.connect_anew();
    }

    /// Sources that wait for their next try have it now.
    fn try_at_once(&mut self) {
        self.ask_families_at_once();
        for index in 0..self.slots.len() as u32 {
            self.drive(index, &mut |slot, cx, _| slot.try_at_once(cx));
        }
    }
}

fn retry<'a>(now: Mono, options: &Options, random: &'a mut Random) -> Retry<'a> {
    Retry {
        now,
        retry_ms: options.periods.retry_ms,
        random,
    }
}
