//! The operator's program and its runs, which the helper outside begins: what happened to a source
//! is read from its list, and taken off that when it was handed over.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use mio::unix::SourceFd;
use mio::{Interest, Registry};

use super::handed::VARIABLES;
use super::journal::Journal;
use super::slot::{Cx, Slot};
use super::{Collector, HOOKS};
use crate::collect::config::SourceConfig;
use crate::collect::copy::{HookNews, Syncs};
use crate::collect::error::SourceError;
use crate::collect::event::Event;
use crate::collect::hooks::{Failure, Hooks, RunEnd, Settled, Start, Unsettled};
use crate::reactor::Rest;
use crate::reactor::token::Token;
use crate::sys::hooks::{self, Ended};
use crate::time::Mono;

/// So many lists cost more syncs one by one than a barrier.
const TOGETHER_MIN: usize = 4;

/// The operator's program and what waits for it.
pub(super) struct HookRuns {
    program: PathBuf,
    hooks: Hooks,
    /// The way to the helper; `None` once that is gone.
    line: Option<hooks::Hooks>,
    /// What was handed over while the list could not be written.
    unsettled: Unsettled,
}

impl HookRuns {
    /// The runs of a program. Without a way to the helper there will be none.
    pub(super) fn new(
        program: &Path,
        line: Option<hooks::Hooks>,
        retry_ms: u64,
        registry: &Registry,
        journal: &mut Journal,
    ) -> HookRuns {
        let line = line.filter(|line| {
            let token = Token {
                kind: HOOKS,
                index: 0,
                life: 0,
            };
            let fd = line.as_raw_fd();
            let mut source = SourceFd(&fd);
            registry
                .register(&mut source, token.pack(), Interest::READABLE)
                .is_ok()
        });
        let mut runs = HookRuns {
            program: program.to_path_buf(),
            hooks: Hooks::new(retry_ms),
            line: None,
            unsettled: Unsettled::default(),
        };
        match line {
            Some(line) => runs.line = Some(line),
            None => runs.give_up(journal),
        }
        runs
    }

    /// When [`Collector::turn_over_hooks`] has something to do.
    pub(super) fn poll_timeout(&self) -> Option<Mono> {
        self.line.as_ref()?;
        let at = [self.hooks.poll_timeout(), self.unsettled.poll_timeout()];
        at.into_iter().flatten().min()
    }

    /// Whether the program is run at all.
    pub(super) fn has_helper(&self) -> bool {
        self.line.is_some()
    }

    /// Nothing is handed over of this source any more.
    pub(super) fn forget(&mut self, config: &SourceConfig) {
        self.hooks.forget(&config.pointer);
        self.unsettled.forget(&config.pointer);
    }

    /// Takes note of what has come onto the list of a source. Tells whether another number of
    /// events waits now.
    pub(super) fn take_news(
        &mut self,
        index: u32,
        slot: &mut Slot,
        news: &HookNews,
        cx: &mut Cx<'_>,
    ) -> bool {
        if !news.is_new.get() {
            return false;
        }
        let config = slot.config();
        let mut trouble = None;
        let mut left = Vec::new();
        for event in self.unsettled.events(&config.pointer) {
            match slot.remove_hook(event, cx) {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => trouble = Some(error),
            }
            left.push(event.clone());
        }
        let mut is_unread = false;
        let mut count = None;
        match slot.waiting_hooks(cx) {
            Ok(mut list) => {
                list.retain(|event| !left.contains(event));
                count = Some(list.len());
                let server = config.server().to_string();
                (self.hooks).set(&config.pointer, (index, &server), list, cx.now.mono);
            }
            Err(error) => (trouble, is_unread) = (Some(error), true),
        }
        let left = (left, is_unread);
        let is_first = (self.unsettled).set(&config.pointer, index, left, cx.now.mono);
        if let Some(error) = trouble.filter(|_| is_first) {
            (cx.events)(config, Event::Error(&SourceError::Files(error)));
        }
        let dropped = news.dropped.get();
        if dropped > 0 && self.hooks.may_tell(dropped, cx.now.mono) {
            let (program, count) = (&self.program, dropped);
            (cx.events)(config, Event::HooksDropped { program, count });
        }
        count.is_some_and(|count| slot.note_hooks(count))
    }

    fn give_up(&mut self, journal: &mut Journal) {
        self.line = None;
        let program = self.program.display();
        journal.complain(&format_args!(
            "the helper process is gone: the hook {program} is not run before a new start"
        ));
    }

    /// Begins a run. Returns its event if that waits no longer, since there will be no run.
    fn begin(&mut self, start: &Start, slot: &Slot, now: Mono) -> Result<Option<Settled>, Gone> {
        let Some(line) = &self.line else {
            return Err(Gone);
        };
        let (config, event) = (slot.config(), &start.event);
        let file = event.path(&config.local).unwrap_or_default();
        if !may_be_handed_over(&file) {
            let odd = RunEnd::Badly(Failure::Odd);
            return Ok(self.hooks.ended(start.place, odd, now));
        }
        let server = config.server().to_string();
        let bytes = event.bytes.map(|bytes| bytes.to_string());
        let md5 = event.md5_text();
        let values = [
            OsStr::new(event.kind.word()),
            OsStr::new(&server),
            OsStr::from_bytes(&config.remote),
            file.as_os_str(),
            OsStr::new(bytes.as_deref().unwrap_or_default()),
            OsStr::new(&md5),
        ];
        let variables: [_; VARIABLES.len()] = std::array::from_fn(|at| (VARIABLES[at], values[at]));
        match line.start(start.place, &variables) {
            Ok(()) => Ok(None),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Gone),
            // It may be stopped, or there is no memory.
            Err(_) => Ok(self.hooks.ended(start.place, RunEnd::Postponed, now)),
        }
    }
}

/// There is no helper any more.
struct Gone;

impl Collector {
    /// Begins the runs that are due, and tells of those that take long.
    pub(super) fn turn_over_hooks(&mut self) {
        if !self.hooks.as_ref().is_some_and(HookRuns::has_helper) {
            return;
        }
        self.look_at_lists_again();
        while let Some(settled) = self.begin_hooks() {
            self.settle_hook(settled);
        }
        self.tell_of_hooks();
    }

    /// Begins what is due, up to an event that waits no longer.
    fn begin_hooks(&mut self) -> Option<Settled> {
        let (runs, now) = (self.hooks.as_mut()?, self.now.mono);
        while let Some(start) = runs.hooks.start(now) {
            let slot = self.slots.get(start.index as usize);
            let Some(slot) = slot.and_then(Option::as_ref) else {
                // Cannot be: who is removed is forgotten.
                runs.hooks.ended(start.place, RunEnd::Postponed, now);
                continue;
            };
            match runs.begin(&start, slot, now) {
                Ok(None) => {}
                Ok(settled) => return settled,
                Err(Gone) => {
                    runs.give_up(&mut self.journal);
                    return None;
                }
            }
        }
        None
    }

    /// Those lists that could not be written or read.
    fn look_at_lists_again(&mut self) {
        let Some(runs) = &mut self.hooks else { return };
        for index in runs.unsettled.take_due(self.now.mono) {
            self.drive(index, &mut |_, cx, _| {
                if let Some(news) = cx.hooks {
                    news.is_new.set(true);
                }
                Rest::None
            });
        }
    }

    fn tell_of_hooks(&mut self) {
        let Some(runs) = &mut self.hooks else { return };
        let (program, now) = (&runs.program, self.now);
        while let Some((index, event)) = runs.hooks.take_slow(now.mono) {
            let slot = self.slots.get(index as usize).and_then(Option::as_ref);
            let Some(slot) = slot else { continue };
            let path = event.path(&slot.config().local);
            let slow = Event::HookSlow {
                program,
                kind: event.kind.word(),
                path: path.as_deref(),
            };
            self.journal.event(now.wall, slot.config(), &slow);
        }
        if let Some(count) = runs.hooks.take_untold(now.mono) {
            let program = program.display();
            self.journal.complain(&format_args!(
                "the hook {program} failed for more events, which are left: {count}"
            ));
        }
    }

    /// Takes note of the runs that have ended.
    pub(super) fn hear_hooks(&mut self) {
        while let Some(runs) = &mut self.hooks
            && let Some(line) = &runs.line
        {
            let (place, ended) = match line.ended() {
                Ok(Some(ended)) => ended,
                Ok(None) => return,
                Err(_) => return runs.give_up(&mut self.journal),
            };
            if let Some(settled) = runs.hooks.ended(place, end_of(ended), self.now.mono) {
                self.settle_hook(settled);
            }
        }
    }

    fn settle_hook(&mut self, settled: Settled) {
        let Settled {
            index,
            event,
            failure,
            is_told,
        } = settled;
        let Some(runs) = &self.hooks else { return };
        if failure.is_some() {
            self.shown.note_hooks_left(1);
        }
        let program = runs.program.clone();
        let mut outcome = Ok(true);
        self.drive(index, &mut |slot, cx, _| {
            if let Some(failure) = failure.filter(|_| is_told) {
                let (path, why) = (event.path(&slot.config().local), failure.to_string());
                let failed = Event::HookFailed {
                    program: &program,
                    kind: event.kind.word(),
                    path: path.as_deref(),
                    why: &why,
                };
                (cx.events)(slot.config(), failed);
            }
            outcome = slot.remove_hook(&event, cx);
            Rest::None
        });
        let slot = self.slots.get(index as usize).and_then(Option::as_ref);
        let (Some(runs), Some(slot)) = (&mut self.hooks, slot) else {
            return;
        };
        let (config, now) = (slot.config(), self.now);
        if matches!(outcome, Ok(true)) {
            return;
        }
        let is_first = (runs.unsettled).add(&config.pointer, index, event, now.mono);
        if let Err(error) = outcome
            && is_first
        {
            let error = SourceError::Files(error);
            (self.journal).event(now.wall, config, &Event::Error(&error));
        }
    }

    /// Makes durable what is to be handed over, of all sources to which something happened in this
    /// turn together.
    pub(super) fn settle_hooks(&mut self) {
        let count = self.owing.len();
        if count == 0 {
            return;
        }
        let syncs = match count < TOGETHER_MIN {
            true => Syncs::Own,
            false => Syncs::Barrier,
        };
        self.store.batch(syncs == Syncs::Barrier);
        for _ in 0..count {
            if let Some(index) = self.owing.pop() {
                self.drive(index, &mut |slot, cx, _| slot.settle_hooks(syncs, cx));
            }
        }
        self.store.batch(false);
    }
}

/// Whether the operator's program may hear of a copy by this name: of one that is gone, too, but
/// not of what somebody else has put in its place, such as a link to what only we may read.
fn may_be_handed_over(file: &Path) -> bool {
    fs::symlink_metadata(file).map_or(true, |metadata| metadata.is_file())
}

fn end_of(ended: Ended) -> RunEnd {
    RunEnd::Badly(match ended {
        Ended::Status(0) => return RunEnd::Well,
        Ended::Busy => return RunEnd::Postponed,
        Ended::Status(status) => Failure::Status(status),
        Ended::Signal(signal) => Failure::Signal(signal),
        Ended::TooLong => Failure::TooLong,
        Ended::NotRun(number) => Failure::NotRun(number),
    })
}
