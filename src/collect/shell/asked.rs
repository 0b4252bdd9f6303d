//! Those who look, and what they ask to have done.

use super::Collector;
use super::shown::InThisTurn;
use crate::collect::config::SourceConfig;
use crate::collect::view::http::Asked;
use crate::collect::view::summary::Count;
use crate::limits::STATUS_TOUCH_MS;

/// Copies that are looked at in one turn: a system call for each.
const COPIES_AT_ONCE: u32 = 32;

impl Collector {
    /// Writes what there is to see, serves those who look, and does what they ask.
    pub(super) fn show(&mut self) {
        let now = self.now.mono;
        self.manager.tell(now);
        if self.shown.poll_timeout(now) > now {
            return;
        }
        (self.shown.control).handle_timeout(self.reactor.registry(), now);
        let sources = InThisTurn {
            slots: &self.slots,
            families: &self.families,
            now: self.now,
        };
        let servers = self.boxes;
        (self.shown).work(&sources, servers, &mut self.buf, &mut self.journal);
        while let Some((client, asked)) = self.shown.control.take_asked() {
            let text = self.act(&asked);
            self.shown.control.answer(client, &text, now);
        }
    }

    /// Looks now and then whether all local copies are where they were, some in each turn.
    pub(super) fn look_at_copies(&mut self) {
        let now = self.now.mono;
        if self.look_at > now {
            return;
        }
        let first = self.looked_at;
        let end = (first + COPIES_AT_ONCE).min(self.slots.len() as u32);
        for index in first..end {
            self.drive(index, &mut |slot, cx, _| slot.look_at_copy(cx));
        }
        let is_over = end >= self.slots.len() as u32;
        self.looked_at = if is_over { 0 } else { end };
        if is_over {
            self.look_at = now.plus_ms(STATUS_TOUCH_MS);
        }
    }

    /// Does what somebody asked for. Returns what he is told.
    fn act(&mut self, asked: &Asked) -> String {
        let Asked::Ack { server, remote } = asked else {
            return String::new();
        };
        let is_meant = |config: &SourceConfig| {
            config.server().is_called(server)
                && remote
                    .as_ref()
                    .is_none_or(|remote| *remote == config.remote)
        };
        let mut looked_at = 0;
        for index in 0..self.slots.len() as u32 {
            let slot = self.slots.get(index as usize).and_then(Option::as_ref);
            if slot.is_some_and(|slot| is_meant(slot.config())) {
                looked_at += 1;
                self.drive(index, &mut |slot, cx, _| slot.look_at_record(cx));
            }
        }
        self.write_statuses();
        format!("looked at {}\n", Count(looked_at, "source"))
    }
}
