//! The connections of one server that are closed for a moment, so that it comes free.

use std::net::SocketAddr;

use super::Collector;
use super::slot::Slot;
use crate::collect::source::siblings::{Contact, spread_ms};

impl Collector {
    /// SIGHUP and SIGUSR1: connections by classic are made anew where another source of the same
    /// server gets no answer, which frees that, and where nothing has come for long: classic does
    /// not tell whether that is right.
    pub(super) fn connect_anew(&mut self) {
        let mut wanting: Vec<SocketAddr> = (self.slots.iter().flatten())
            .filter_map(Slot::wanted_of)
            .collect();
        wanting.sort_unstable();
        wanting.dedup();
        let is_wanting = |slot: &Slot| {
            let contact = slot.contact();
            contact.is_some_and(|(server, _)| wanting.binary_search(&server).is_ok())
        };
        let all: Vec<u32> = (0..)
            .zip(&self.slots)
            .filter(|(_, slot)| {
                let is_idle = |slot: &Slot| slot.is_idle(self.now);
                let of = |what: &dyn Fn(&Slot) -> bool| slot.as_ref().is_some_and(what);
                of(&is_wanting) || of(&is_idle)
            })
            .map(|(index, _)| index)
            .collect();
        self.drive_these(all, &mut |slot, spread_ms, cx| {
            slot.connect_anew(spread_ms, cx);
        });
    }

    /// Looks whether a source that had its turn gets no answer, or has got through.
    pub(super) fn look_for_relief(&mut self, index: u32) {
        let Some(slot) = self.slots.get_mut(index as usize).and_then(Option::as_mut) else {
            return;
        };
        if slot.unanswered_by().is_some() || slot.take_through().is_some() {
            self.relieving.push(index);
        }
    }

    /// Frees servers that answer nobody new, and lets those come back who made room for that.
    pub(super) fn relieve(&mut self) {
        while let Some(index) = self.relieving.pop() {
            let slot = self.slots.get(index as usize).and_then(Option::as_ref);
            let Some((server, _)) = slot.and_then(Slot::contact) else {
                continue;
            };
            let is_stuck = slot.is_some_and(|slot| slot.unanswered_by().is_some());
            match is_stuck {
                true => self.free(server),
                false => self.let_back(server),
            }
        }
    }

    fn free(&mut self, server: SocketAddr) {
        let theirs = contacts(&self.slots, server).map(|(_, contact)| contact);
        if self.relief.grant(server, self.now.mono, theirs) {
            let all = contacts(&self.slots, server).map(|(at, _)| at).collect();
            self.drive_these(all, &mut |slot, spread_ms, cx| {
                slot.make_room(spread_ms, cx);
            });
        }
    }

    fn let_back(&mut self, server: SocketAddr) {
        let (now, slots) = (self.now.mono, self.slots.iter().flatten());
        let mut of_server = slots.filter(|slot| is_of(slot, server));
        if !of_server.any(|slot| slot.is_hurried(now)) {
            let all = contacts(&self.slots, server).map(|(at, _)| at).collect();
            self.drive_these(all, &mut |slot, spread_ms, cx| {
                slot.come_back(spread_ms, cx);
            });
        }
    }

    fn drive_these(
        &mut self,
        these: Vec<u32>,
        act: &mut dyn FnMut(&mut Slot, u64, &mut super::slot::Cx<'_>),
    ) {
        let spread_ms = spread_ms(these.len());
        for index in these {
            self.drive(index, &mut |slot, cx, _| {
                act(slot, spread_ms, cx);
                crate::reactor::Rest::None
            });
        }
    }
}

/// The sources of a server, and what contact they have.
fn contacts(slots: &[Option<Slot>], server: SocketAddr) -> impl Iterator<Item = (u32, Contact)> {
    let slots = (0..).zip(slots);
    let slots = slots.filter_map(|(at, slot)| Some((at, slot.as_ref()?)));
    let slots = slots.filter(move |(_, slot)| is_of(slot, server));
    slots.filter_map(|(at, slot)| Some((at, slot.contact()?.1)))
}

fn is_of(slot: &Slot, server: SocketAddr) -> bool {
    slot.contact().is_some_and(|(address, _)| address == server)
}
