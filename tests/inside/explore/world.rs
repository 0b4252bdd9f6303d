//! One life of the collector: its machines over a disk, its boxes, and what happens until all is
//! quiet or it dies.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

use super::peer::{Dialect, Output, Peer, Session, Step};
use crate::collect::config::{Config, SourceConfig};
use crate::collect::copy::pointer::BootId;
use crate::collect::copy::{HookNews, Syncs};
use crate::collect::error::Closed;
use crate::collect::event::Event;
use crate::collect::source::{Context, Periods, Source};
use crate::inside::model::{Disk, Handle, Hook, Model};
use crate::random::Random;
use crate::time::{Mono, Now, Wall};

/// What is explored: some sources, what their boxes do, and the disk that everything begins with.
#[derive(Clone)]
pub struct Scenario {
    pub name: &'static str,
    pub dialect: Dialect,
    pub sources: usize,
    pub steps: Vec<Step>,
    /// The file system renames to a new name in one step.
    pub rename_new: bool,
    /// Puts on the disk what earlier programs left there.
    pub prepare: fn(&Model),
    /// Steps that the boxes have done before the collector is started for the first time.
    pub begun: usize,
    /// What a local copy held that was there before the first contact.
    pub aside: &'static [&'static [u8]],
    /// The ends of copies that are set aside because the box has lost them.
    pub rescued: &'static [&'static [u8]],
    /// A box deletes what the collector may not have yet.
    pub loses: bool,
    /// Steps that the boxes may be ahead when the collector comes back.
    pub away: usize,
    /// The boxes tell which file is which.
    pub gives_tokens: bool,
    /// Sources that rotate in one moment share their barriers.
    pub shares_barriers: bool,
    /// An operator's program is to hear of everything, and never comes to it.
    pub hears: bool,
    /// Crashes in a row that a test has the time for.
    pub crashes: u32,
    /// Which calls fail, one in a run.
    pub fails: Fails,
}

/// Which calls fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fails {
    /// Every one.
    Each,
    /// Those that sync a whole file system.
    WholeSyncs,
    /// None: what has two sources has more outcomes than there is time for.
    Nothing,
}

/// A collector that runs.
pub struct World<'a> {
    scenario: &'a Scenario,
    store: Model,
    boot: BootId,
    lines: Vec<Line>,
    /// Steps of the script that are done.
    pos: Rc<Cell<usize>>,
    now_ms: u64,
    random: Random,
    faults: RefCell<Vec<String>>,
    /// Syncs that failed, as far as all sources know of them.
    failed_syncs: u32,
    /// What is said of the lists for the operator's program.
    news: HookNews,
    /// The connections were ended once more after the last step.
    is_ended: bool,
    buf: Vec<u8>,
}

/// A source, its box, and the connection between them.
struct Line {
    source: Source<Handle>,
    peer: Peer,
    session: Option<Session>,
    is_idle: bool,
}

const PERIODS: Periods = Periods {
    retry_ms: 5_000,
    wait_ms: 3_000,
    idle_ms: 120_000,
};

/// After so long what a classic server sent is durable.
const CHECKPOINT_MS: u64 = 61_000;

const START_MS: u64 = 1_000;

/// Every rotated copy gets this stamp, and a number behind it.
pub const STAMP: &str = "20261122132956";

/// Waits after which a collector that is not through yet never will be.
const WAITS_MAX: u32 = 60;

/// Pieces that move in one moment after which the machines are said to spin.
const MOVES_MAX: u32 = 2_000;

/// Frames and lines are cut in two behind so many bytes, so that something is always unfinished.
const PIECE_LEN: usize = 21;

impl Scenario {
    /// The disk before the collector is started for the first time.
    pub fn first_disk(&self) -> Disk {
        let store = Model::new();
        store.reuse_inodes();
        (self.prepare)(&store);
        store.flush();
        store.disk().clone()
    }

    /// The collector's configuration.
    pub fn configs(&self) -> Vec<SourceConfig> {
        let proto = match self.dialect {
            Dialect::V2 => "v2",
            Dialect::Classic => "classic",
        };
        let line =
            |number| format!("10.0.0.1 19 /v/m{number} /l/m{number} /p/m{number} proto={proto}\n");
        let text: String = (0..self.sources).map(line).collect();
        Config::parse(text.as_bytes()).unwrap().sources
    }

    /// Whether there is the time to try much with it.
    pub fn is_short(&self) -> bool {
        self.sources == 1 && self.steps.len() <= 3
    }

    fn source(&self, config: &SourceConfig) -> Source<Handle> {
        let mut source = Source::new(config.clone(), Mono::from_ms(START_MS));
        if self.shares_barriers {
            source.share_barriers();
        }
        source
    }

    /// The boxes after some steps.
    pub fn peers(&self, pos: usize) -> Vec<Peer> {
        let new = |number| {
            let mut peer = Peer::new(self.dialect, number);
            peer.gives_tokens = self.gives_tokens;
            peer
        };
        let mut peers: Vec<Peer> = (0..self.sources).map(new).collect();
        for step in &self.steps[..pos] {
            play(*step, &mut peers);
        }
        peers
    }
}

/// What a step does to the logs.
fn play(step: Step, peers: &mut [Peer]) {
    match step {
        Step::Write(at, bytes) => peers[at].write(bytes),
        Step::Rotate(at) => peers[at].rotate(),
        Step::Copytruncate(at) => peers[at].copytruncate(),
        Step::Forget(at) => peers[at].forget(),
        Step::LoseEnd(at, left) => peers[at].lose_end(left),
        Step::Midnight => peers.iter_mut().for_each(Peer::rotate),
        Step::HangUp(_) | Step::Reopen(_) | Step::Pause(_) => {}
    }
}

impl<'a> World<'a> {
    /// A collector that starts on this disk, when the boxes have done so many steps.
    pub fn new(
        scenario: &'a Scenario,
        configs: &[SourceConfig],
        disk: Disk,
        pos: Rc<Cell<usize>>,
        hook: Hook,
    ) -> World<'a> {
        let boot = BootId::new(&boot_name(disk.boot())).unwrap();
        let store = Model::on(disk);
        if !scenario.rename_new {
            store.forbid_rename_new();
        }
        store.set_hook(Some(hook));
        let peers = scenario.peers(pos.get()).into_iter();
        let lines = peers.zip(configs).map(|(peer, config)| Line {
            source: scenario.source(config),
            peer,
            session: None,
            is_idle: false,
        });
        World {
            lines: lines.collect(),
            scenario,
            store,
            boot,
            pos,
            now_ms: START_MS,
            random: Random::new(1),
            news: HookNews::default(),
            faults: RefCell::default(),
            failed_syncs: 0,
            is_ended: false,
            buf: vec![0; 4096],
        }
    }

    /// The disk as it is.
    pub fn disk(&self) -> Disk {
        self.store.disk().clone()
    }

    /// Lets the collector run until the script is through and everything is fetched. The error says
    /// what went wrong.
    pub fn run(&mut self) -> Result<(), String> {
        let mut waits = 0;
        loop {
            self.settle()?;
            if let Some(fault) = self.faults.borrow().first() {
                return Err(fault.clone());
            }
            if self.lines.iter().all(Line::has_everything) {
                waits = 0;
                if !self.step() && !self.end_connections() {
                    return Ok(());
                }
                continue;
            }
            waits += 1;
            if waits > WAITS_MAX {
                return Err(format!("it never gets through: {}", self.states()));
            }
            let next = self.lines.iter().filter(|line| !line.has_everything());
            let deadlines =
                next.filter_map(|line| line.source.poll_timeout(&PERIODS).map(Mono::ms));
            self.pass_until(deadlines.min().unwrap_or(self.now_ms));
        }
    }

    fn states(&self) -> String {
        let states = self
            .lines
            .iter()
            .map(|line| format!("{:?}", line.source.state()));
        states.collect::<Vec<_>>().join(", ")
    }

    /// The boxes do what comes next in the script; `false` after the last.
    fn step(&mut self) -> bool {
        let Some(step) = self.scenario.steps.get(self.pos.get()).copied() else {
            return false;
        };
        if let Step::Copytruncate(_) = step {
            // What a classic server truncates is lost unless it was durable, which is so after a
            // minute.
            self.pause(CHECKPOINT_MS);
            if !self.lines.iter().all(Line::has_everything) {
                return true;
            }
        }
        self.pos.set(self.pos.get() + 1);
        let mut peers: Vec<Peer> = self.lines.iter().map(|line| line.peer.clone()).collect();
        play(step, &mut peers);
        for (line, peer) in self.lines.iter_mut().zip(peers) {
            line.peer = peer;
            line.is_idle = false;
        }
        match step {
            Step::Pause(ms) => self.pause(ms),
            Step::HangUp(at) => self.hang_up(at),
            Step::Reopen(at) => self.with(at, |source, cx, _| source.reopen(cx)),
            // A truncated file is noticed by whoever reads it.
            Step::Copytruncate(at) if self.scenario.dialect == Dialect::Classic => self.hang_up(at),
            _ => {}
        }
        true
    }

    /// A copy that could not be compared waits for the end of its connection, which comes some day.
    /// Tells whether that was so.
    fn end_connections(&mut self) -> bool {
        let names = self.store.names();
        let is_waiting = names.iter().any(|name| name.ends_with(".unverified"));
        if self.is_ended || !is_waiting {
            return false;
        }
        self.is_ended = true;
        (0..self.lines.len()).for_each(|at| self.hang_up(at));
        true
    }

    fn hang_up(&mut self, at: usize) {
        self.lines[at].session = None;
        self.with(at, |source, cx, _| {
            source.handle_closed(Closed::ByServer, cx);
        });
    }

    /// Lets time pass while the boxes show that they live.
    fn pause(&mut self, ms: u64) {
        let until = self.now_ms + ms;
        loop {
            let deadlines = self
                .lines
                .iter()
                .filter_map(|line| line.source.poll_timeout(&PERIODS));
            let next = deadlines.map(Mono::ms).min().unwrap_or(until);
            if next > until {
                break;
            }
            self.pass_until(next);
        }
        self.now_ms = until;
        for at in 0..self.lines.len() {
            let line = &self.lines[at];
            let Some(mut alive) = line
                .session
                .as_ref()
                .map(|session| line.peer.sign_of_life(session))
            else {
                continue;
            };
            self.with(at, |source, cx, _| source.handle_input(&mut alive, cx));
        }
    }

    fn pass_until(&mut self, ms: u64) {
        self.now_ms = self.now_ms.max(ms);
        for at in 0..self.lines.len() {
            self.with(at, |source, cx, _| source.handle_timeout(cx));
        }
    }

    /// Moves everything that can move at this moment.
    fn settle(&mut self) -> Result<(), String> {
        let now_ms = self.now_ms;
        for at in 0..self.lines.len() {
            let deadline = self.lines[at].source.poll_timeout(&PERIODS);
            if deadline.is_some_and(|deadline| deadline.ms() <= now_ms) {
                self.with(at, |source, cx, _| source.handle_timeout(cx));
            }
        }
        let mut moves = 0;
        loop {
            self.check_failed_syncs();
            let mut has_moved = false;
            for at in 0..self.lines.len() {
                has_moved |= self.move_line(at);
            }
            if !has_moved && !self.change_together() {
                return Ok(());
            }
            moves += 1;
            if moves > MOVES_MAX {
                return Err(format!("no end of moving: {}", self.states()));
            }
        }
    }

    /// Lets all sources know of syncs that failed for one.
    fn check_failed_syncs(&mut self) {
        while self.failed_syncs != self.store.all_failed_syncs() {
            self.failed_syncs = self.store.all_failed_syncs();
            for at in 0..self.lines.len() {
                self.with(at, |source, cx, _| source.check_failed_syncs(cx));
            }
        }
    }

    /// One part of what there is to do for one source. Tells whether there was any.
    fn move_line(&mut self, at: usize) -> bool {
        if self.lines[at].source.is_changing() {
            return false;
        }
        if self.lines[at].source.owes_record() {
            self.with(at, |source, cx, _| source.put_unwritten_on_record(cx));
            return true;
        }
        if self.lines[at].source.owes_hooks() {
            let syncs = Syncs::Barrier;
            self.with(at, |source, cx, _| source.settle_hooks(syncs, cx));
            return true;
        }
        if self.lines[at].source.has_work() {
            self.with(at, |source, cx, buf| source.work(buf, cx));
            return true;
        }
        if !self.lines[at].source.wants_connection() {
            self.lines[at].session = None;
            return false;
        }
        if self.lines[at].session.is_none() {
            self.connect(at);
            return true;
        }
        self.receive(at)
    }

    /// Takes the sources that wait for a change of their files through its steps. Tells whether
    /// there were any.
    fn change_together(&mut self) -> bool {
        let is_changing = |at: &usize| self.lines[*at].source.is_changing();
        let mut waiting: Vec<usize> = (0..self.lines.len()).filter(is_changing).collect();
        let were_any = !waiting.is_empty();
        while !waiting.is_empty() {
            let mut is_left = true;
            waiting.retain(|at| {
                self.with(*at, |source, cx, _| is_left = !source.step_change(cx));
                is_left
            });
            self.store.batch(true);
            waiting.retain(|at| {
                self.with(*at, |source, cx, _| is_left = source.barrier(cx));
                is_left
            });
            self.store.batch(false);
        }
        were_any
    }

    fn connect(&mut self, at: usize) {
        self.with(at, |source, cx, _| source.handle_connected(cx));
        let line = self.lines[at].source.output().to_vec();
        if line.is_empty() {
            return;
        }
        self.with(at, |source, cx, _| source.consume_output(line.len(), cx));
        let session = self.lines[at].peer.answer(&line);
        self.lines[at].session = Some(session);
        self.lines[at].is_idle = false;
    }

    fn receive(&mut self, at: usize) -> bool {
        let line = &mut self.lines[at];
        let Some(session) = line.session.as_mut().filter(|_| !line.is_idle) else {
            return false;
        };
        match line.peer.output(session) {
            Output::Idle => line.is_idle = true,
            Output::Close => {
                line.session = None;
                self.with(at, |source, cx, _| {
                    source.handle_closed(Closed::ByServer, cx)
                });
            }
            Output::Bytes(mut bytes) => {
                let middle = bytes.len().min(PIECE_LEN);
                let (first, second) = bytes.split_at_mut(middle);
                for piece in [first, second] {
                    if !piece.is_empty() && self.lines[at].source.wants_connection() {
                        self.with(at, |source, cx, _| source.handle_input(piece, cx));
                    }
                }
            }
        }
        true
    }

    fn with(
        &mut self,
        at: usize,
        act: impl FnOnce(&mut Source<Handle>, &mut Context<'_, Model>, &mut [u8]),
    ) {
        let (faults, scenario) = (&self.faults, self.scenario);
        let mut store = self.store.clone();
        let mut cx = Context {
            store: &mut store,
            now: Now {
                mono: Mono::from_ms(self.now_ms),
                wall: Wall::from_ms(self.now_ms),
            },
            stamp: &|_| heapless::String::try_from(STAMP).unwrap(),
            boot: Some(&self.boot),
            periods: &PERIODS,
            random: &mut self.random,
            hooks: scenario.hears.then_some(&self.news),
            events: &mut |_, event| {
                let is_known = match event {
                    Event::Lost { .. } => scenario.loses,
                    Event::Rescued { .. } => !scenario.rescued.is_empty(),
                    _ => false,
                };
                if is_fault(&event) && !is_known {
                    faults.borrow_mut().push(format!("it says: {event}"));
                }
            },
        };
        act(&mut self.lines[at].source, &mut cx, &mut self.buf);
    }
}

impl Line {
    /// Whether the collector follows the live log and has all of it.
    fn has_everything(&self) -> bool {
        let is_connected = self.session.is_some() && self.source.wants_connection();
        let is_busy = self.source.has_work() || self.source.is_changing();
        is_connected && self.is_idle && !is_busy
    }
}

/// What a collector never has to say on a box that forgets nothing.
fn is_fault(event: &Event<'_>) -> bool {
    matches!(
        event,
        Event::Lost { .. }
            | Event::Differs { .. }
            | Event::Healed { .. }
            | Event::Rescued { .. }
            | Event::KeptMore { .. }
            | Event::Downgraded
            | Event::ClockFar(_)
            | Event::ClockRight
    )
}

/// How the machine's boots are called.
pub fn boot_name(boot: u32) -> String {
    format!("boot-{boot}")
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, {}", self.dialect, self.name)
    }
}
