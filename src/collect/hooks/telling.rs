//! How often it is told that an event was left: a program that always fails must not fill the log.

use crate::time::Mono;

/// Events that are told at once; after that one more in each period, and a number.
pub(super) const HOOKS_TOLD_MAX: u8 = 10;

const HOOKS_TOLD_AGAIN_MS: u64 = 6_000;

/// What may be told, and what was not.
#[derive(Default)]
pub(super) struct Telling {
    /// How many more may be told than come again with time.
    spent: u8,
    /// When one more may be told.
    again_at: Option<Mono>,
    untold: u32,
}

impl Telling {
    /// Whether something may be told of so many events. If not, they are counted.
    pub(super) fn may_tell(&mut self, count: u32, now: Mono) -> bool {
        self.recover(now);
        if self.spent >= HOOKS_TOLD_MAX {
            self.untold = self.untold.saturating_add(count);
            return false;
        }
        self.spent += 1;
        let again_at = now.plus_ms(HOOKS_TOLD_AGAIN_MS);
        self.again_at.get_or_insert(again_at);
        true
    }

    /// How many were not told, if that may be told now.
    pub(super) fn take_untold(&mut self, now: Mono) -> Option<u32> {
        self.recover(now);
        let is_due = self.untold > 0 && self.spent < HOOKS_TOLD_MAX;
        is_due.then(|| {
            self.spent += 1;
            std::mem::take(&mut self.untold)
        })
    }

    pub(super) fn poll_timeout(&self) -> Option<Mono> {
        self.again_at.filter(|_| self.untold > 0)
    }

    fn recover(&mut self, now: Mono) {
        while let Some(at) = self.again_at.filter(|at| *at <= now) {
            self.spent = self.spent.saturating_sub(1);
            self.again_at = (self.spent > 0).then(|| at.plus_ms(HOOKS_TOLD_AGAIN_MS));
        }
    }
}
