//! The operator's program and its runs, which the helper outside begins: what happened to a source
//! is read from its list, and taken off that when it was handed over.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use mio::unix::SourceFd;
use mio::{Interest, Registry};

use super::journal::Journal;
use super::slot::{Cx, Slot};
use super::{Collector, HOOKS};
use crate::collect::config::SourceConfig;
use crate::collect::copy::{HookEvent, HookNews, Syncs};
use crate::collect::event::Event;
use crate::collect::hooks::{Failure, Hooks, RunEnd, Settled, Start};
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
    settled: BTreeMap<PathBuf, Vec<HookEvent>>,
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
            settled: BTreeMap::new(),
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
        self.hooks.poll_timeout()
    }

    /// Nothing is handed over of this source any more.
    pub(super) fn forget(&mut self, config: &SourceConfig) {
        self.hooks.forget(&config.pointer);
        self.settled.remove(&config.pointer);
    }

    /// Takes note of what has come onto the list of a source.
    pub(super) fn take_news(&mut self, index: u32, slot: &Slot, news: &HookNews, cx: &mut Cx<'_>) {
        if !news.is_new.get() {
            return;
        }
        let config = slot.config();
        if let Some(settled) = self.settled.remove(&config.pointer) {
            for event in settled {
                if !slot.remove_hook(&event, cx) {
                    self.keep_settled(config, event);
                }
            }
        }
        let list = slot.waiting_hooks(cx);
        self.hooks.set(&config.pointer, index, list, cx.now.mono);
        let count = news.dropped.get();
        if count > 0 && self.hooks.may_tell(count, cx.now.mono) {
            let program = &self.program;
            (cx.events)(config, Event::HooksDropped { program, count });
        }
    }

    fn keep_settled(&mut self, config: &SourceConfig, event: HookEvent) {
        let pointer = config.pointer.clone();
        self.settled.entry(pointer).or_default().push(event);
    }

    fn give_up(&mut self, journal: &mut Journal) {
        self.line = None;
        let program = self.program.display();
        journal.complain(&format_args!(
            "the helper process is gone: the hook {program} is not run before a new start"
        ));
    }

    fn begin(&mut self, start: &Start, slot: &Slot, now: Mono) -> Result<(), Gone> {
        let Some(line) = &self.line else {
            return Err(Gone);
        };
        let (config, event) = (slot.config(), &start.event);
        let server = config.server().to_string();
        let file = event.path(&config.local).unwrap_or_default();
        let bytes = event.bytes.map(|bytes| bytes.to_string());
        let md5 = event.md5_text();
        let variables = [
            ("FETCHLOGS_EVENT", OsStr::new(event.kind.word())),
            ("FETCHLOGS_SERVER", OsStr::new(&server)),
            ("FETCHLOGS_LOG", OsStr::from_bytes(&config.remote)),
            ("FETCHLOGS_FILE", file.as_os_str()),
            (
                "FETCHLOGS_BYTES",
                OsStr::new(bytes.as_deref().unwrap_or_default()),
            ),
            ("FETCHLOGS_MD5", OsStr::new(&md5)),
        ];
        match line.start(start.place, &variables) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Gone),
            // It may be stopped, or there is no memory.
            Err(_) => {
                self.hooks.ended(start.place, RunEnd::Postponed, now);
                Ok(())
            }
        }
    }
}

/// There is no helper any more.
struct Gone;

impl Collector {
    /// Begins the runs that are due.
    pub(super) fn turn_over_hooks(&mut self) {
        let now = self.now.mono;
        let Some(runs) = self.hooks.as_mut().filter(|runs| runs.line.is_some()) else {
            return;
        };
        while let Some(start) = runs.hooks.start(now) {
            let slot = self
                .slots
                .get(start.index as usize)
                .and_then(Option::as_ref);
            let Some(slot) = slot else {
                // Cannot be: who is removed is forgotten.
                runs.hooks.ended(start.place, RunEnd::Postponed, now);
                continue;
            };
            if let Err(Gone) = runs.begin(&start, slot, now) {
                return runs.give_up(&mut self.journal);
            }
        }
        if let Some(count) = runs.hooks.take_untold(now) {
            let program = runs.program.display();
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
        let program = runs.program.clone();
        let mut is_off = true;
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
            is_off = slot.remove_hook(&event, cx);
            Rest::None
        });
        let slot = self.slots.get(index as usize).and_then(Option::as_ref);
        if let Some(runs) = self.hooks.as_mut().filter(|_| !is_off)
            && let Some(slot) = slot
        {
            runs.keep_settled(slot.config(), event);
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
