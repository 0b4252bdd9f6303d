//! One source over a file system that knows what is durable, and a server that may say anything: no
//! call costs more than so many syncs, calls and bytes, nothing spins, no handle is lost.

mod server;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::script::Script;
use crate::collect::config::Config;
use crate::collect::copy::pointer::BootId;
use crate::collect::error::Closed;
use crate::collect::source::{Context, Periods, Source};
use crate::inside::fair::Turn;
use crate::inside::model::{Call, Handle, Model, Op, PowerCut, Verdict};
use crate::random::Random;
use crate::time::{Civil, Mono, Now, Wall};

const LINES: [&[u8]; 4] = [
    b"10.0.0.1 19 /var/log/m /l/m /p/m",
    b"10.0.0.1 19 /var/log/m /l/m /p/m proto=classic",
    b"10.0.0.1 19 /var/log/m /l/m /p/m proto=v2",
    b"10.0.0.1 19 /var/log/m /l/m /p/m history=all",
];

const PERIODS: Periods = Periods {
    retry_ms: 5_000,
    wait_ms: 3_000,
    idle_ms: 120_000,
};

/// Steps of one change of the files.
const CHANGE_STEPS_MAX: u32 = 16;

/// Changes that one input may ask for.
const CHANGES_MAX: usize = 2_000;

/// Longest hole that is told of.
const MEMORY_HOLE_MAX: u64 = 256 << 10;

/// Parts of work in a row: the copies here are small.
const WORK_MAX: usize = 5_000;

/// Deadlines in a row that come within one second.
const DEADLINES_MAX: usize = 20;

const EVENTS_MAX: usize = 200;

/// A script: what the server says, what becomes of the connection, the disk and the power.
pub fn source(input: &[u8]) {
    let mut script = Script::new(input);
    let line = LINES[script.below(LINES.len())];
    let mut world = World::new(line);
    for _ in 0..EVENTS_MAX {
        let Some(event) = script.next() else { break };
        world.happen(event, &mut script);
    }
    world.go_on_alone();
}

struct World {
    config: &'static [u8],
    source: Source<Handle>,
    disk: Model,
    cost: Rc<Cell<Turn>>,
    /// What the next call that changes something comes to.
    verdict: Rc<Cell<Verdict>>,
    random: Random,
    now_ms: u64,
    boot: BootId,
    said: RefCell<Vec<String>>,
    /// The last request.
    asked: Vec<u8>,
}

impl World {
    fn new(config: &'static [u8]) -> World {
        let disk = Model::new();
        let mut world = World {
            config,
            source: source_of(config, 1_000),
            disk,
            cost: Rc::default(),
            verdict: Rc::new(Cell::new(Verdict::Make)),
            random: Random::new(1),
            now_ms: 1_000,
            boot: BootId::new("first").unwrap(),
            said: RefCell::default(),
            asked: Vec::new(),
        };
        world.watch_the_disk();
        world
    }

    /// Counts every call, and lets one fail where a script wants that.
    fn watch_the_disk(&mut self) {
        let (cost, verdict) = (self.cost.clone(), self.verdict.clone());
        self.disk.set_hook(Some(Rc::new(move |call: &Call<'_>, _| {
            let mut sum = cost.get();
            sum.calls += 1;
            let is_sync = matches!(call.op, Op::SyncFile | Op::SyncDir | Op::SyncAll);
            sum.syncs += u64::from(is_sync);
            cost.set(sum);
            match call.op.changes() {
                true => verdict.replace(Verdict::Make),
                false => Verdict::Make,
            }
        })));
    }

    fn happen(&mut self, event: u8, script: &mut Script<'_>) {
        match event & 0x3f {
            0..=7 => self.connect(),
            8 => self.receive(script.bytes()),
            9..=15 => self.answer(script),
            16..=23 => self.data(script),
            24..=31 => self.frame(script),
            32 => self.sealed(script),
            33..=35 => self.close(script),
            36..=39 => self.wait(script.below(200_000) as u64),
            40 => self.fail_next(script),
            41 => self.kill(),
            42 => self.cut_power(script),
            43 => self.tamper(script),
            44 => self.with(|source, cx| source.reopen(cx)),
            45 => self.signals(script),
            46 => self.flood(script),
            48..=53 => self.honest_answer(script),
            47 => self.now_ms += script.number() % 100_000_000,
            _ => self.work(),
        }
        self.settle();
    }

    // Time.

    fn wait(&mut self, ms: u64) {
        let until = self.now_ms + ms;
        let (mut second, mut count) = (0, 0);
        while let Some(due) = self.source.poll_timeout(&PERIODS) {
            if due.ms() > until {
                break;
            }
            self.now_ms = self.now_ms.max(due.ms());
            self.with(|source, cx| source.handle_timeout(cx));
            self.settle();
            self.work();
            count = if self.now_ms / 1_000 == second {
                count + 1
            } else {
                0
            };
            second = self.now_ms / 1_000;
            assert!(count <= DEADLINES_MAX, "deadline after deadline");
        }
        self.now_ms = until;
    }

    fn work(&mut self) {
        for _ in 0..WORK_MAX {
            if !self.source.has_work() {
                return;
            }
            self.with(|source, cx| source.work(&mut [0; 4096], cx));
        }
        panic!("work without an end");
    }

    /// What the shell does at the end of a turn.
    fn settle(&mut self) {
        self.change();
        if self.source.owes_record() {
            self.with(|source, cx| source.put_unwritten_on_record(cx));
        }
        let _ = (self.source.in_error(), self.source.contact());
        let text = self.source.state().to_string();
        assert!(!text.is_empty() && !text.contains(['\n', '\x1b']));
        for event in self.said.take() {
            assert!(!event.contains(['\x1b', '\0']), "{event:?}");
        }
    }

    /// One change a turn, each at its time: nobody reads on before.
    fn catch_up(&mut self) {
        for _ in 0..CHANGES_MAX {
            if !self.source.is_changing() {
                return;
            }
            if let Some(due) = self.source.poll_timeout(&PERIODS) {
                self.now_ms = self.now_ms.max(due.ms());
                self.with(|source, cx| source.handle_timeout(cx));
            }
            self.change();
        }
        panic!("changes without an end");
    }

    /// A change of the files that waits for others: with barriers, or alone.
    fn change(&mut self) {
        let now = Mono::from_ms(self.now_ms);
        let waits = |due: Mono| due > now;
        if !self.source.is_changing() || self.source.poll_timeout(&PERIODS).is_some_and(waits) {
            return;
        }
        for _ in 0..CHANGE_STEPS_MAX {
            let mut is_last = false;
            if self.now_ms & 1 == 0 {
                self.with(|source, cx| is_last = source.step_alone(cx));
                if is_last || !self.source.is_changing() {
                    return;
                }
                continue;
            }
            self.with(|source, cx| is_last = source.step_change(cx));
            if is_last || !self.source.is_changing() {
                return;
            }
            self.disk.batch(true);
            self.with(|source, cx| _ = source.barrier(cx));
            self.disk.batch(false);
            if !self.source.is_changing() {
                return;
            }
        }
        panic!("a change without an end");
    }

    /// In the end the server is away, and the source only tries again.
    fn go_on_alone(&mut self) {
        self.verdict.set(Verdict::Make);
        for _ in 0..10 {
            self.wait(70_000);
            if self.source.wants_connection() {
                let error = std::io::ErrorKind::ConnectionRefused.into();
                self.with(|source, cx| source.handle_closed(Closed::NotMade(error), cx));
            }
            self.settle();
        }
        assert!(
            self.disk.open_handles() <= 3,
            "{}",
            self.disk.open_handles()
        );
    }

    // The log host.

    fn fail_next(&mut self, script: &mut Script<'_>) {
        self.verdict.set(match script.byte() % 6 {
            0 => Verdict::Fail(28),
            1 => Verdict::Fail(5),
            2 => Verdict::Fail(13),
            3 => Verdict::Fail(122),
            4 => Verdict::Fail(24),
            _ => Verdict::Short(script.below(200)),
        });
    }

    /// The collector is killed and starts anew.
    fn kill(&mut self) {
        self.disk.kill();
        self.start();
    }

    fn cut_power(&mut self, script: &mut Script<'_>) {
        let cut = [PowerCut::Ordered, PowerCut::Unordered][script.below(2)];
        let mut choices: Vec<usize> = script.bytes().iter().map(|byte| (*byte).into()).collect();
        let mut pick = |options: usize| choices.pop().unwrap_or(0) % options;
        self.disk.cut_power(cut, &mut pick);
        self.boot = match self.boot == BootId::new("first").unwrap() {
            true => BootId::new("second").unwrap(),
            false => BootId::new("first").unwrap(),
        };
        self.disk.forget_failed_syncs();
        self.start();
    }

    fn start(&mut self) {
        self.verdict.set(Verdict::Make);
        self.source = source_of(self.config, self.now_ms);
        self.watch_the_disk();
    }

    /// Somebody changes the collector's files behind its back.
    fn tamper(&mut self, script: &mut Script<'_>) {
        const FILES: [&str; 5] = ["/l/m", "/p/m", "/p/m.given", "/p/m.unverified", "/p/m.gaps"];
        let path = FILES[script.below(FILES.len())];
        let Some(bytes) = self.disk.read(path) else {
            self.disk.write(path, script.bytes());
            return;
        };
        match script.byte() % 4 {
            0 => self.disk.remove(path),
            1 => self.disk.truncate_to(path, script.below(bytes.len() + 1)),
            2 => self.disk.rewrite(path, script.bytes()),
            _ => drop(self.disk.write(path, script.bytes())),
        }
    }

    fn signals(&mut self, script: &mut Script<'_>) {
        let spread_ms = script.number() % 100_000;
        match script.byte() % 5 {
            0 => self.with(|source, cx| source.connect_anew(spread_ms, cx)),
            1 => self.with(|source, cx| source.make_room(spread_ms, cx)),
            2 => self.with(|source, cx| source.come_back(spread_ms, cx)),
            3 => self.with(|source, cx| source.tell_state(cx)),
            _ => self.source.retry_now(Mono::from_ms(self.now_ms)),
        }
    }

    /// Something happens to the source, and it is measured what that costs.
    fn with(&mut self, act: impl FnOnce(&mut Source<Handle>, &mut Context<'_, Model>)) {
        self.cost.set(Turn::default());
        let wall_ms = self.now_ms + 1_700_000_000_000;
        self.disk.at_ms(wall_ms);
        self.disk.take_moved();
        let said = &self.said;
        let mut store = self.disk.clone();
        let mut cx = Context {
            store: &mut store,
            now: Now {
                mono: Mono::from_ms(self.now_ms),
                wall: Wall::from_ms(wall_ms),
            },
            stamp: &|wall| Civil::from_unix(wall.secs() as i64).stamp(),
            boot: Some(&self.boot),
            periods: &PERIODS,
            random: &mut self.random,
            hooks: None,
            events: &mut |_, event| said.borrow_mut().push(event.to_string()),
        };
        act(&mut self.source, &mut cx);
        let moved = self.disk.take_moved();
        let cost = Turn {
            bytes: moved.read + moved.written,
            ..self.cost.get()
        };
        assert_eq!(cost.complaint(Turn::OF_SOURCE), None);
    }
}

fn source_of(line: &[u8], now_ms: u64) -> Source<Handle> {
    let config = Config::parse(line).unwrap();
    let config = config.sources.into_iter().next().unwrap();
    let mut source = Source::new(config, Mono::from_ms(now_ms));
    source.share_barriers();
    source
}
