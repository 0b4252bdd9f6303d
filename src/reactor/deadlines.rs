//! The deadlines of many sessions: a heap whose entries can be moved.

use crate::limits::{DEADLINES_EXACT_MS, DEADLINES_GRID_MS};
use crate::time::Mono;

/// At most one deadline for each key, where a key is a small number such as an index into a slab.
///
/// A binary heap that knows where each key stands, so that a deadline can be moved without a trace
/// of the old one. Setting, moving and removing take O(log n) and allocate only for a key higher
/// than any before.
#[derive(Debug, Default)]
pub struct Deadlines {
    /// Keys with a deadline, no parent later than its children.
    heap: Vec<u32>,
    /// By key.
    slots: Vec<Slot>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    at: Mono,
    /// Where in the heap the key stands; `None` while it has no deadline.
    place: Option<u32>,
}

impl Deadlines {
    /// No deadlines.
    pub fn new() -> Deadlines {
        Deadlines::default()
    }

    /// Sets, moves or, with `None`, removes the deadline of `key`.
    pub fn set(&mut self, key: u32, at: Option<Mono>) {
        match at {
            Some(at) => self.insert(key, at),
            None => self.remove(key),
        }
        self.check();
    }

    /// Sets the deadline of `key`, which may come somewhat late unless it is near: so those of many
    /// that wait for long come together, and wake the process once.
    pub fn set_about(&mut self, key: u32, at: Option<Mono>, now: Mono) {
        let rounded = at.map(|at| match at.since_ms(now) > DEADLINES_EXACT_MS {
            true => Mono::from_ms(
                at.ms()
                    .checked_next_multiple_of(DEADLINES_GRID_MS)
                    .unwrap_or(u64::MAX),
            ),
            false => at,
        });
        self.set(key, rounded);
    }

    /// The earliest deadline.
    pub fn next(&self) -> Option<Mono> {
        self.heap.first().map(|key| self.slot(*key).at)
    }

    /// Takes the earliest deadline away if it is not later than `now`, and tells whose it was.
    /// Equal ones come in the order of their keys.
    pub fn pop_due(&mut self, now: Mono) -> Option<u32> {
        let key = *self.heap.first()?;
        if self.slot(key).at > now {
            return None;
        }
        self.set(key, None);
        Some(key)
    }

    fn insert(&mut self, key: u32, at: Mono) {
        let key_index = key as usize;
        if key_index >= self.slots.len() {
            self.slots.resize(key_index + 1, Slot::default());
            // No more keys can ever stand in the heap, so that it never grows later.
            self.heap.reserve(self.slots.len() - self.heap.len());
        }
        self.slots[key_index].at = at;
        let place = match self.slots[key_index].place {
            Some(place) => place as usize,
            None => {
                self.heap.push(key);
                self.heap.len() - 1
            }
        };
        self.settle(place);
    }

    fn remove(&mut self, key: u32) {
        let Some(place) = self
            .slots
            .get_mut(key as usize)
            .and_then(|slot| slot.place.take())
        else {
            return;
        };
        self.heap.swap_remove(place as usize);
        if (place as usize) < self.heap.len() {
            self.settle(place as usize);
        }
    }

    /// Moves the key at `place` up or down to where it belongs.
    fn settle(&mut self, place: usize) {
        let place = self.rise(place);
        self.sink(place);
    }

    fn rise(&mut self, mut place: usize) -> usize {
        while place > 0 {
            let parent = (place - 1) / 2;
            if !self.is_before(place, parent) {
                break;
            }
            self.swap(place, parent);
            place = parent;
        }
        place
    }

    fn sink(&mut self, mut place: usize) {
        loop {
            let children = 2 * place + 1..(2 * place + 3).min(self.heap.len());
            let Some(child) = children.min_by_key(|child| self.order(*child)) else {
                break;
            };
            if !self.is_before(child, place) {
                break;
            }
            self.swap(place, child);
            place = child;
        }
        self.note_place(place);
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        self.note_place(a);
        self.note_place(b);
    }

    fn note_place(&mut self, place: usize) {
        let key = self.heap[place];
        // A place is below the number of keys, and those are u32.
        self.slots[key as usize].place = Some(place as u32);
    }

    fn is_before(&self, a: usize, b: usize) -> bool {
        self.order(a) < self.order(b)
    }

    fn order(&self, place: usize) -> (Mono, u32) {
        let key = self.heap[place];
        (self.slot(key).at, key)
    }

    fn slot(&self, key: u32) -> &Slot {
        &self.slots[key as usize]
    }

    /// The whole structure, in debug builds.
    fn check(&self) {
        if cfg!(debug_assertions) {
            for (place, key) in self.heap.iter().enumerate() {
                assert_eq!(self.slot(*key).place, Some(place as u32));
                assert!(place == 0 || !self.is_before(place, (place - 1) / 2));
            }
            let set = self.slots.iter().filter(|slot| slot.place.is_some());
            assert_eq!(set.count(), self.heap.len());
            assert!(self.heap.capacity() >= self.slots.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn at(ms: u64) -> Option<Mono> {
        Some(Mono::from_ms(ms))
    }

    fn due(deadlines: &mut Deadlines, ms: u64) -> Vec<u32> {
        std::iter::from_fn(|| deadlines.pop_due(Mono::from_ms(ms))).collect()
    }

    #[test]
    fn they_come_in_order_of_time_then_key() {
        let mut deadlines = Deadlines::new();
        for (key, ms) in [(5, 30), (2, 10), (9, 20), (0, 20)] {
            deadlines.set(key, at(ms));
        }
        assert_eq!(deadlines.next(), at(10));
        assert_eq!(due(&mut deadlines, 9), []);
        assert_eq!(due(&mut deadlines, 20), [2, 0, 9]);
        assert_eq!(deadlines.next(), at(30));
        assert_eq!(due(&mut deadlines, u64::MAX), [5]);
        assert_eq!(deadlines.next(), None);
    }

    #[test]
    fn far_ones_come_together() {
        let mut deadlines = Deadlines::new();
        let now = Mono::from_ms(123);
        for (key, ms) in [(0, 5_123), (1, 5_124), (2, 6_000), (3, u64::MAX)] {
            deadlines.set_about(key, at(ms), now);
        }
        assert_eq!(due(&mut deadlines, 5_123), [0]);
        assert_eq!(due(&mut deadlines, 5_999), []);
        assert_eq!(due(&mut deadlines, 6_000), [1, 2]);
        deadlines.set_about(3, None, now);
        assert_eq!(deadlines.next(), None);
    }

    #[test]
    fn a_moved_or_removed_deadline_leaves_no_trace() {
        let mut deadlines = Deadlines::new();
        deadlines.set(1, at(10));
        deadlines.set(2, at(20));
        deadlines.set(1, at(30));
        assert_eq!(deadlines.next(), at(20));
        deadlines.set(2, None);
        deadlines.set(2, None);
        deadlines.set(77, None);
        assert_eq!(due(&mut deadlines, 29), []);
        assert_eq!(due(&mut deadlines, 30), [1]);
        assert_eq!(due(&mut deadlines, u64::MAX), []);
    }

    #[test]
    fn nothing_is_allocated_for_keys_that_were_there() {
        let mut deadlines = Deadlines::new();
        deadlines.set(99, at(1));
        let (heap, slots) = (deadlines.heap.as_ptr(), deadlines.slots.as_ptr());
        for key in 0..100 {
            deadlines.set(key, at(1000 - u64::from(key)));
        }
        assert_eq!(
            (heap, slots),
            (deadlines.heap.as_ptr(), deadlines.slots.as_ptr())
        );
        assert_eq!(due(&mut deadlines, 1000).len(), 100);
    }

    #[test]
    fn they_behave_like_a_sorted_table() {
        arbtest::arbtest(|u| {
            let mut deadlines = Deadlines::new();
            let mut model = BTreeMap::new();
            while !u.is_empty() {
                let key = u.int_in_range(0..=40)?;
                let ms = u.int_in_range(0..=60)?;
                match u.int_in_range(0..=3)? {
                    0 => {
                        deadlines.set(key, None);
                        model.remove(&key);
                    }
                    1 => {
                        let first = model.iter().map(|(key, ms)| (*ms, *key)).min();
                        let expected = first.filter(|(first_ms, _)| *first_ms <= ms);
                        assert_eq!(
                            deadlines.pop_due(Mono::from_ms(ms)),
                            expected.map(|(_, key)| key)
                        );
                        expected.map(|(_, key)| model.remove(&key));
                    }
                    _ => {
                        deadlines.set(key, at(ms));
                        model.insert(key, ms);
                    }
                }
                assert_eq!(deadlines.next(), model.values().min().copied().and_then(at));
            }
            Ok(())
        })
        .budget_ms(100);
    }
}
