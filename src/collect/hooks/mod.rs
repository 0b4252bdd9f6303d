//! Which event is handed to the operator's program next, and what follows from how that ended.
//! Pure; the programs run elsewhere, and the lists of what waits stand on the disk
//! ([`HookEvent`]).
//!
//! One at a time of each source, in their order, and few together, the last of them only for a box
//! of which none runs: where those of one box hang, others get on. One that ends badly is tried
//! again some time later, and what comes behind it waits; after [`HOOK_TRIES`] it is left.

mod telling;
mod unsettled;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use self::telling::Telling;
pub use self::unsettled::Unsettled;
use super::copy::HookEvent;
use crate::limits::{HOOK_SLOW_MS, HOOK_TRIES, HOOKS_TOGETHER_MAX};
use crate::time::Mono;

/// The wait for a place, where those of a process that was there before have them all.
const HOOK_AGAIN_MS: u64 = 1_000;

/// What waits to be handed over, and what is being.
pub struct Hooks {
    /// By the names of their pointer files, which outlive what else is known of a source.
    sources: BTreeMap<PathBuf, Waiting>,
    runs: [Option<Run>; HOOKS_TOGETHER_MAX],
    /// When one of those that wait may be due, while there is a place for it.
    next_at: Option<Mono>,
    retry_ms: u64,
    telling: Telling,
}

/// What of one source waits.
struct Waiting {
    index: u32,
    /// What the box is called.
    server: Rc<str>,
    /// Oldest first. What runs is the first.
    events: VecDeque<HookEvent>,
    /// How often the first was tried.
    tries: u8,
    at: Mono,
}

struct Run {
    pointer: PathBuf,
    server: Rc<str>,
    event: HookEvent,
    /// When it is told that it takes long; `None` once it was.
    slow_at: Option<Mono>,
}

/// A run that is to begin.
#[derive(PartialEq, Eq, Debug)]
pub struct Start {
    /// The place by which its end is told.
    pub place: u8,
    /// The source.
    pub index: u32,
    /// What happened to it.
    pub event: HookEvent,
}

/// The end of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RunEnd {
    /// With status 0.
    Well,
    /// There was no place for it: it did not begin.
    Postponed,
    /// In another way.
    Badly(Failure),
}

/// How a program failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// It ended with this status.
    Status(u8),
    /// This signal ended it.
    Signal(u8),
    /// It took too long.
    TooLong,
    /// It could not be run, for the reason with this number.
    NotRun(u8),
    /// It was not run: what has the name of the copy is no regular file.
    Odd,
}

/// An event that waits no longer.
#[derive(PartialEq, Eq, Debug)]
pub struct Settled {
    /// The source.
    pub index: u32,
    /// What happened to it.
    pub event: HookEvent,
    /// How the program failed, if it did so until the end.
    pub failure: Option<Failure>,
    /// Whether that failure is to be told, and is not one of very many.
    pub is_told: bool,
}

impl Hooks {
    /// Nothing waits. After a first failure the next try is so many milliseconds later, after a
    /// second six times as many.
    pub fn new(retry_ms: u64) -> Hooks {
        Hooks {
            sources: BTreeMap::new(),
            runs: [const { None }; HOOKS_TOGETHER_MAX],
            next_at: None,
            retry_ms,
            telling: Telling::default(),
        }
    }

    /// What waits of a source of this box, oldest first, as it stands on the disk.
    pub fn set(
        &mut self,
        pointer: &Path,
        (index, server): (u32, &str),
        list: Vec<HookEvent>,
        now: Mono,
    ) {
        if list.is_empty() {
            self.sources.remove(pointer);
            return;
        }
        let events = VecDeque::from(list);
        let known = self.sources.get_mut(pointer);
        let at = match known {
            Some(known) if known.events.front() == events.front() => {
                known.index = index;
                known.events = events;
                known.at
            }
            _ => {
                let waiting = Waiting {
                    index,
                    server: server.into(),
                    events,
                    tries: 0,
                    at: now,
                };
                self.sources.insert(pointer.to_path_buf(), waiting);
                now
            }
        };
        self.next_at = Some(self.next_at.map_or(at, |next| next.min(at)));
    }

    /// Nothing is handed over of this source any more. What stands on the disk stays there.
    pub fn forget(&mut self, pointer: &Path) {
        self.sources.remove(pointer);
    }

    /// When [`start`](Self::start), [`take_slow`](Self::take_slow) or
    /// [`take_untold`](Self::take_untold) has something to do.
    pub fn poll_timeout(&self) -> Option<Mono> {
        let has_place = self.runs.iter().any(Option::is_none);
        let next_at = self.next_at.filter(|_| has_place);
        let slow_at = self.runs.iter().flatten().filter_map(|run| run.slow_at);
        [next_at, self.telling.poll_timeout(), slow_at.min()]
            .into_iter()
            .flatten()
            .min()
    }

    /// The source and the event of a run that takes long, once each.
    pub fn take_slow(&mut self, now: Mono) -> Option<(u32, HookEvent)> {
        let mut runs = self.runs.iter_mut().flatten();
        let run = runs.find_map(|run| {
            let is_slow = run.slow_at.take_if(|at| *at <= now).is_some();
            is_slow.then_some(run)
        })?;
        let waiting = self.sources.get(&run.pointer)?;
        Some((waiting.index, run.event.clone()))
    }

    /// The next run, which begins now.
    pub fn start(&mut self, now: Mono) -> Option<Start> {
        let place = self.runs.iter().position(Option::is_none)?;
        if self.next_at.is_none_or(|at| at > now) {
            return None;
        }
        let running = || self.runs.iter().flatten();
        let is_last_place = running().count() + 1 == self.runs.len();
        let may_run = |pointer: &Path, waiting: &Waiting| {
            let is_like =
                |run: &Run| run.pointer == pointer || is_last_place && run.server == waiting.server;
            !running().any(is_like)
        };
        let free = self
            .sources
            .iter()
            .filter(|(pointer, waiting)| may_run(pointer, waiting));
        let next = free.min_by_key(|(_, waiting)| waiting.at);
        self.next_at = next.map(|(_, waiting)| waiting.at);
        let (pointer, waiting) = next.filter(|(_, waiting)| waiting.at <= now)?;
        let event = waiting.events.front()?.clone();
        let run = Run {
            pointer: pointer.clone(),
            server: waiting.server.clone(),
            event: event.clone(),
            slow_at: Some(now.plus_ms(HOOK_SLOW_MS)),
        };
        let index = waiting.index;
        *self.runs.get_mut(place)? = Some(run);
        Some(Start {
            place: place as u8,
            index,
            event,
        })
    }

    /// A run has ended. Returns its event if that waits no longer; then
    /// [`set`](Self::set) is to follow.
    pub fn ended(&mut self, place: u8, end: RunEnd, now: Mono) -> Option<Settled> {
        let run = self.runs.get_mut(usize::from(place))?.take()?;
        // Others may have waited for the place.
        self.next_at = Some(now);
        let waiting = self.sources.get_mut(&run.pointer)?;
        let is_first = waiting.events.front() == Some(&run.event);
        let failure = match end {
            RunEnd::Well => None,
            RunEnd::Postponed => {
                waiting.at = now.plus_ms(HOOK_AGAIN_MS);
                return None;
            }
            // It was taken off the list meanwhile, as one too many.
            RunEnd::Badly(_) if !is_first => return None,
            RunEnd::Badly(failure) => {
                waiting.tries += 1;
                if waiting.tries < HOOK_TRIES {
                    let times = if waiting.tries == 1 { 1 } else { 6 };
                    waiting.at = now.plus_ms(self.retry_ms.saturating_mul(times));
                    return None;
                }
                Some(failure)
            }
        };
        if is_first {
            waiting.events.pop_front();
        }
        // Behind all that waits already.
        (waiting.tries, waiting.at) = (0, now);
        let index = waiting.index;
        if waiting.events.is_empty() {
            self.sources.remove(&run.pointer);
        }
        Some(Settled {
            index,
            event: run.event,
            failure,
            is_told: failure.is_some() && self.telling.may_tell(1, now),
        })
    }

    /// Whether it may be told that so many events were left, and they are not too many.
    pub fn may_tell(&mut self, count: u32, now: Mono) -> bool {
        self.telling.may_tell(count, now)
    }

    /// How many were left and not told, if that may be told now.
    pub fn take_untold(&mut self, now: Mono) -> Option<u32> {
        self.telling.take_untold(now)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Status(status) => write!(f, "it ended with status {status}"),
            Failure::Signal(signal) => write!(f, "it was ended by signal {signal}"),
            Failure::TooLong => f.write_str("it took more than ten minutes and was killed"),
            Failure::NotRun(number) => {
                let error = io::Error::from_raw_os_error((*number).into());
                write!(f, "it cannot be run: {error}")
            }
            Failure::Odd => f.write_str("it is not run for what is no regular file"),
        }
    }
}

#[cfg(test)]
mod tests;
