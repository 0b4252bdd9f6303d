//! The pace of generations: a client gives up a server that names too many at once, since each
//! costs it some syncs. Pure.

use crate::limits::{GENERATIONS_PER_PERIOD_MAX, GENERATIONS_PERIOD_MS};
use crate::time::Mono;

/// The generations that were named of late.
#[derive(Default)]
pub(super) struct Pace {
    since: Mono,
    named: u16,
    /// The next may be named then, and not before.
    waits_until: Option<Mono>,
}

/// The client's clock begins with the first bytes that it gets: the network must not bring what was
/// sent in two periods within one of its own.
const PERIOD_MS: u64 = GENERATIONS_PERIOD_MS + 1_000;

impl Pace {
    /// Whether the next generation may be named now.
    pub(super) fn allows(&mut self, now: Mono) -> bool {
        self.tick(now);
        let is_allowed = self.named < GENERATIONS_PER_PERIOD_MAX;
        self.waits_until = (!is_allowed).then(|| self.since.plus_ms(PERIOD_MS));
        is_allowed
    }

    /// One was named.
    pub(super) fn named(&mut self, now: Mono) {
        self.tick(now);
        self.named += 1;
    }

    fn tick(&mut self, now: Mono) {
        if now.since_ms(self.since) >= PERIOD_MS {
            self.since = now;
            self.named = 0;
        }
    }

    /// When the next may be named, if one waits.
    pub(super) fn waits_until(&self) -> Option<Mono> {
        self.waits_until
    }

    /// The stream looks anew at what there is to do.
    pub(super) fn looked(&mut self) {
        self.waits_until = None;
    }
}
