//! Everything in any order: seeded walks through what can happen to a log, a line and two programs.

use std::fmt::Write;

use super::Pair;
use super::link::{End, Line};
use super::log::Style;
use crate::random::Random;
use crate::wire::proof::START_LEN;

const SEEDS: u64 = 200;

/// Walks that found something.
const FINDERS: [u64; 11] = [
    349, 1322, 2059, 2415, 12204, 13247, 18353, 18872, 20752, 23576, 24028,
];
const STEPS: u32 = 300;

/// How many rotated files the box keeps.
const KEEP: usize = 5;

/// A writer that holds on to a renamed file writes to it again within this time, or never.
const LATE_MS: u64 = 8_000;

/// How far apart two write times have to be to differ.
const TICK_MS: u64 = 10;

/// What can happen, and how often.
const ACTIONS: [(u64, Action); 13] = [
    (30, Action::Write),
    (30, Action::Wait),
    (6, Action::Rotate),
    (3, Action::Rename),
    (6, Action::LateWrite),
    (3, Action::Reopen),
    (1, Action::Delete),
    (4, Action::Cut),
    (2, Action::CutSoon),
    (3, Action::GoAway),
    (4, Action::ComeBack),
    (1, Action::Darken),
    (1, Action::RestartCollector),
];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Action {
    Write,
    Wait,
    Rotate,
    Rename,
    LateWrite,
    Reopen,
    Delete,
    Cut,
    CutSoon,
    GoAway,
    ComeBack,
    Darken,
    RestartCollector,
}

/// How the log of one walk is rotated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rotator {
    Rename,
    CopyTruncate,
    Mixed,
}

/// One walk.
struct Walk {
    seed: u64,
    step: u32,
    random: Random,
    rotator: Rotator,
    pair: Pair,
    /// The writer still holds the generation before the live one, which was last written or renamed
    /// at this time.
    held_since: Option<u64>,
    trace: String,
}

impl Walk {
    fn new(seed: u64) -> Walk {
        let mut random = Random::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut pair = Pair::following();
        pair.seed(seed + 1);
        let rotators = [Rotator::Rename, Rotator::CopyTruncate, Rotator::Mixed];
        let rotator = pick(&rotators, &mut random);
        pair.set_hints(random.below(3) > 0);
        pair.log.tells_writers = random.below(3) > 0;
        pair.log.style = pick(&[Style::FromOne, Style::FromZero, Style::Date], &mut random);
        pair.link.window = pick(&[50, 1_000, 256 * 1024, 256 * 1024], &mut random);
        pair.link.step = pick(&[7, 300, usize::MAX, usize::MAX], &mut random);
        pair.link.delay_ms = pick(&[0, 0, 1, 900], &mut random);
        let trace = format!(
            "{rotator:?} {:?} hints {} window {} step {} delay {}\n",
            pair.log.style, pair.hints, pair.link.window, pair.link.step, pair.link.delay_ms
        );
        Walk {
            seed,
            step: 0,
            random,
            rotator,
            pair,
            held_since: None,
            trace,
        }
    }

    /// Goes all the way. Looking after every step takes long; it shows where a walk went wrong.
    fn run(mut self, look: bool) -> Pair {
        for step in 0..STEPS {
            self.step = step;
            let action = self.choose();
            let _ = write!(self.trace, "{step} {action:?} at {}; ", self.pair.mono_ms);
            self.act(action);
            if look {
                self.pair.check_so_far();
            }
        }
        self.step = STEPS;
        self.pair.log.reopen();
        self.pair.link.cut_after = None;
        self.pair.link.line = Line::Up;
        for _ in 0..3 {
            self.pair.settle();
        }
        self.pair.check_bytes();
        self.pair.check_losses();
        self.pair.check_status();
        std::mem::replace(&mut self.pair, Pair::new())
    }

    fn choose(&mut self) -> Action {
        let total = ACTIONS.iter().map(|(weight, _)| weight).sum();
        let mut ticket = self.random.below(total);
        for (weight, action) in ACTIONS {
            if ticket < weight {
                return action;
            }
            ticket -= weight;
        }
        Action::Wait
    }

    fn act(&mut self, action: Action) {
        let pair = &mut self.pair;
        let now_ms = pair.mono_ms;
        match action {
            Action::Write => pair.log.lines(1 + self.random.below(5) as u32),
            Action::Wait => pair.run_ms(pick(&[0, 30, 2_000, 6_000, 40_000], &mut self.random)),
            Action::Rotate => self.rotate(),
            Action::Rename if self.rotator != Rotator::CopyTruncate => {
                self.reopen();
                self.pair.run_ms(TICK_MS);
                self.pair.log.rename();
                self.create();
                self.held_since = Some(self.pair.mono_ms);
            }
            Action::LateWrite => {
                if self
                    .held_since
                    .is_some_and(|since| now_ms - since < LATE_MS)
                {
                    pair.run_ms(TICK_MS);
                    pair.log.late_line();
                    self.held_since = Some(pair.mono_ms);
                    pair.run_ms(TICK_MS);
                }
            }
            Action::Reopen => self.reopen(),
            Action::Delete => {
                self.reopen();
                self.pair.run_ms(TICK_MS);
                self.pair.log.delete();
                self.create();
                self.pair.log.reopen();
            }
            Action::Cut => pair.cut(),
            Action::CutSoon => {
                let at = 1 + self.random.below(300) as usize;
                pair.link.cut_after = Some((at, pick(&[End::Fin, End::Reset], &mut self.random)));
            }
            Action::GoAway => pair.go_away(),
            Action::ComeBack => pair.link.line = Line::Up,
            Action::Darken => pair.link.line = Line::Dark,
            Action::RestartCollector => pair.restart_collector(),
            Action::Rename => {}
        }
    }

    fn reopen(&mut self) {
        self.pair.log.reopen();
        self.held_since = None;
    }

    fn rotate(&mut self) {
        self.reopen();
        // Write times have the kernel's tick; nothing rotates twice in one.
        self.pair.run_ms(TICK_MS);
        let copies = match self.rotator {
            Rotator::Rename => false,
            Rotator::CopyTruncate => true,
            Rotator::Mixed => self.random.below(2) == 0,
        };
        if copies {
            self.pair.log.copy();
            if self.random.below(3) == 0 {
                self.pair.log.lines(1);
                self.pair.run_ms(self.random.below(40));
            }
            self.pair.log.truncate();
            self.pair.log.retain(KEEP);
        } else {
            self.pair.log.rename();
            self.pair.log.retain(KEEP);
            self.create();
            self.pair.log.reopen();
        }
    }

    /// Creates the live file, sometimes with the inode of one that is gone. Nobody may have that
    /// one open, and of the one that the collector follows it must hold enough to tell it from
    /// others: of nothing there is no proof.
    fn create(&mut self) {
        let mut free = self.pair.log.disk.free_inodes();
        if self.pair.local().len() < START_LEN {
            let pointer = self.pair.host.read("/p/m").unwrap_or_default();
            let followed = format!("{} ", String::from_utf8_lossy(&pointer));
            free.retain(|inode| !followed.starts_with(&format!("{inode} ")));
        }
        let is_open = !self.pair.sessions.is_empty();
        match free
            .first()
            .filter(|_| !is_open && self.random.below(2) == 0)
        {
            Some(inode) => self.pair.log.create_as(*inode),
            None => self.pair.log.create(),
        }
    }
}

/// Tells which walk failed, where in it, and what came before.
impl Drop for Walk {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (first, steps) = self.trace.split_once('\n').unwrap_or_default();
            let before: Vec<&str> = steps.rsplit("; ").take(40).collect();
            eprintln!(
                "seed {} step {}, {first}, last step first: {}",
                self.seed,
                self.step,
                before.join("; ")
            );
        }
    }
}

fn pick<T: Copy>(all: &[T], random: &mut Random) -> T {
    all[random.below(all.len() as u64) as usize]
}

/// The usual ones, or others where `WALKS` is set to something like `200..20000`.
fn seeds() -> Vec<u64> {
    let text = std::env::var("WALKS").unwrap_or_default();
    match text.split_once("..") {
        Some((from, to)) => (from.parse().unwrap()..to.parse().unwrap()).collect(),
        None => (0..SEEDS).chain(FINDERS).collect(),
    }
}

#[test]
fn random_walks_lose_nothing_and_repeat_nothing() {
    for seed in seeds() {
        let walk = || drop(Walk::new(seed).run(false));
        if let Err(panic) = std::panic::catch_unwind(walk) {
            Walk::new(seed).run(true);
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn the_same_walk_twice_is_the_same() {
    let report = || Walk::new(7).run(false).report();
    assert_eq!(report(), report());
}
