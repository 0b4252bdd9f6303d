//! The logs of families: looked for when names come or go, and entered.

use super::Server;
use crate::limits::FAMILY_BETWEEN_MS;
use crate::reactor::Stopwatch;
use crate::serve::find::families::Change;
use crate::serve::session::Doing;
use crate::time::Mono;

impl Server {
    /// Finds all there are before anybody is served: a client that asks for one must not hear that
    /// there is no such log.
    pub(super) fn find_members(&mut self) {
        let now = self.shared.now.mono;
        let files = &mut self.shared.files;
        if files.config.families.is_empty() {
            return;
        }
        let change = files.families.settle(&mut files.config, &files.store, now);
        self.attend_families();
        self.tell(&change);
    }

    /// Does a part of a look for logs, and takes up what has come of it.
    pub(super) fn work_on_families(&mut self) {
        let now = self.shared.now.mono;
        if self.shared.files.config.families.is_empty() {
            return;
        }
        let watches = self.shared.watches.as_mut();
        let files = &mut self.shared.files;
        if watches.is_some_and(|watches| watches.take_family_told()) {
            files.families.note_change(now);
        }
        let watch = Stopwatch::start();
        while files.families.poll_timeout().is_some_and(|at| at <= now) {
            if files.families.work(&files.config, &files.store, now) {
                return self.enter_members(now);
            }
            if watch.ms() > 0 {
                return;
            }
        }
    }

    fn enter_members(&mut self, now: Mono) {
        let sending: Vec<u32> = (self.clients.iter())
            .filter_map(|client| match client.session.doing() {
                Doing::Sending(sent) if sent.offset < sent.size => Some(sent.index),
                _ => None,
            })
            .collect();
        let files = &mut self.shared.files;
        let is_busy = |index| sending.contains(&index);
        let change = files.families.enter(&mut files.config, now, &is_busy);
        self.attend_families();
        self.tell(&change);
        self.take_up_members(&change);
    }

    /// The logs that are the same keep all that is known of them.
    fn take_up_members(&mut self, change: &Change) {
        if change.added.is_empty() && change.removed.is_empty() && !change.is_told {
            return;
        }
        let shared = &mut self.shared;
        let files = &mut shared.files;
        if !change.removed.is_empty() {
            // What is remembered of them goes by numbers, which others will have.
            files.sightings = super::Sightings::new();
            shared.kept_for.clear();
        }
        self.clients.handle_logs(&change.removed, shared);
        let files = &mut shared.files;
        for &index in change.removed.iter().chain(&change.added) {
            if let Some(watches) = &mut shared.watches {
                watches.leave(index);
            }
            if let Some(entry) = files.config.files.get(index as usize) {
                files.journal.take_up_one(index, entry);
            }
        }
        for &index in &change.added {
            self.look_at_one(index);
        }
    }

    /// Watches the directories from which logs come, and looks again in a while, whatever is told.
    fn attend_families(&mut self) {
        let shared = &mut self.shared;
        let families = &mut shared.files.families;
        let watches = shared.watches.as_mut();
        let are_told = watches.is_some_and(|watches| watches.attend_families(families.dirs()));
        let config = &shared.files.config;
        let has_listeners = self
            .clients
            .iter()
            .any(|client| client.session.is_listing());
        let wait_ms = match are_told || !has_listeners {
            true => config.alive_interval_ms,
            false => config.delay_check_ms.min(config.alive_interval_ms),
        };
        families.look_at(shared.now.mono.plus_ms(wait_ms.max(FAMILY_BETWEEN_MS)));
    }

    fn tell(&mut self, change: &Change) {
        for trouble in &change.troubles {
            self.shared.report.say(format_args!("{trouble}"));
        }
    }
}
