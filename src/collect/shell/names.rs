//! The names of boxes as sources hear of them: when they are looked up, and what follows.

use super::resolver::Wanted;
use super::slot::AddressChange;
use super::{Collector, retry};

impl Collector {
    /// Has names looked up again that were not found, and hands on what has become known.
    pub(super) fn turn_over_names(&mut self) {
        if self.resolver.wants_to_ask(self.now.mono) {
            self.ask_for_names(Wanted::Missing);
        }
        if !self.resolver.take_news(self.now.mono) {
            return;
        }
        // Whoever is elsewhere now begins anew.
        self.put_on_record(None);
        let mut known = Vec::new();
        let mut some_moved = false;
        for (index, place) in (0..).zip(&mut self.slots) {
            let Some(slot) = place else { continue };
            let Some(found) = self.resolver.addresses_of(slot.config()) else {
                continue;
            };
            match slot.take_addresses(found, self.now.mono) {
                AddressChange::None => continue,
                // Its status had the name of the server.
                AddressChange::Known => some_moved = true,
                AddressChange::Moved(found) => {
                    some_moved = true;
                    *place = place.take().map(|slot| slot.moved(found, self.now));
                }
            }
            known.push(index);
        }
        if some_moved {
            self.join_statuses();
        }
        self.tell_families_of_names();
        self.store.batch(true);
        for index in known {
            self.drive(index, &mut |slot, cx, _| slot.handle_timeout(cx));
        }
        self.store.batch(false);
    }

    /// Has names looked up.
    pub(super) fn ask_for_names(&mut self, wanted: Wanted) {
        let retry = retry(self.now.mono, &self.options, &mut self.random);
        let registry = self.reactor.registry();
        if let Err(error) = self.resolver.ask(wanted, registry, retry) {
            self.journal
                .complain(&format_args!("cannot look names up: {error}"));
        }
    }
}
