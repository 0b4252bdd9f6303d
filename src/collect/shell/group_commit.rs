//! The changes of the sources' files, one step in a turn of the loop. Those of many sources, as at
//! midnight, go through the steps together, so that one barrier after each step serves them all.

use super::Collector;
use super::slot::{Cx, Slot};
use crate::reactor::Rest;

/// So many changes cost more syncs one by one than the barriers, which wait for whatever else the
/// disk has to write.
const TOGETHER_MIN: usize = 4;

/// More wait for the next turn, so that everybody else is heard in between.
const TOGETHER_MAX: usize = 256;

impl Collector {
    /// Makes the changes that wait, one step in a turn: everybody else is heard in between. Where
    /// there are few, it is a step of the one that waits longest. What they bring about in their
    /// turn waits for the next, be it another change of the same source.
    pub(super) fn make_changes(&mut self) {
        let mut waiting = Vec::new();
        while waiting.len() < TOGETHER_MAX
            && let Some(index) = self.changing.pop()
        {
            let slot = self.slots.get(index as usize).and_then(Option::as_ref);
            if slot.is_some_and(Slot::may_change) {
                waiting.push(index);
            }
        }
        if waiting.len() < TOGETHER_MIN {
            if let Some((first, others)) = waiting.split_first() {
                others.iter().for_each(|index| self.changing.push(*index));
                self.is_left(*first, &mut |slot, cx| !slot.step_alone(cx));
            }
            return;
        }
        waiting.retain(|index| self.is_left(*index, &mut |slot, cx| !slot.step_change(cx)));
        self.store.batch(true);
        waiting.retain(|index| self.is_left(*index, &mut |slot, cx| slot.barrier(cx)));
        self.store.batch(false);
    }

    /// Lets a source take part, and tells whether it has more to do with the others.
    fn is_left(&mut self, index: u32, act: &mut dyn FnMut(&mut Slot, &mut Cx<'_>) -> bool) -> bool {
        let mut is_left = false;
        self.drive(index, &mut |slot, cx, _| {
            is_left = act(slot, cx);
            match is_left {
                true => Rest::None,
                // There may be more to read by now.
                false => Rest::More,
            }
        });
        is_left
    }
}
