//! The list of sessions with work left of which no event will tell.

use std::collections::VecDeque;

use crate::mutation::{self, Mutation};

/// Indices in the order in which they asked, each at most once: a session whose share of the turn
/// ended before its work did goes to the end of the line.
#[derive(Debug, Default)]
pub struct ReadyList {
    line: VecDeque<u32>,
    /// By index: whether it stands in the line.
    queued: Vec<bool>,
}

impl ReadyList {
    /// Nobody.
    pub fn new() -> ReadyList {
        ReadyList::default()
    }

    /// Puts `index` at the end of the line, unless it stands there already. Allocates only for an
    /// index higher than any before.
    pub fn push(&mut self, index: u32) {
        let place = index as usize;
        if place >= self.queued.len() {
            self.queued.resize(place + 1, false);
            self.line.reserve(self.queued.len() - self.line.len());
        }
        if !std::mem::replace(&mut self.queued[place], true) {
            self.line.push_back(index);
        }
    }

    /// Takes the first of the line.
    pub fn pop(&mut self) -> Option<u32> {
        let index = match mutation::is_on(Mutation::LineIgnored) {
            true => self.line.pop_back()?,
            false => self.line.pop_front()?,
        };
        self.queued[index as usize] = false;
        Some(index)
    }

    /// Whether `index` stands in the line.
    pub fn has(&self, index: u32) -> bool {
        self.queued.get(index as usize).is_some_and(|it| *it)
    }

    /// All in the line, the first first.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.line.iter().copied()
    }

    /// Takes `index` out of the line, wherever it stands: for a session that ends. Looks through
    /// the whole line.
    pub fn remove(&mut self, index: u32) {
        if let Some(queued @ true) = self.queued.get_mut(index as usize) {
            *queued = false;
            self.line.retain(|other| *other != index);
        }
    }

    /// How many stand in the line. Pop this many in one turn: who comes back meanwhile has to wait
    /// for the next.
    pub fn len(&self) -> usize {
        self.line.len()
    }

    /// True if nobody waits.
    pub fn is_empty(&self) -> bool {
        self.line.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drained(list: &mut ReadyList) -> Vec<u32> {
        std::iter::from_fn(|| list.pop()).collect()
    }

    #[test]
    fn first_come_first_served_and_each_once() {
        let mut list = ReadyList::new();
        for index in [7, 3, 7, 5, 3] {
            list.push(index);
        }
        assert_eq!((list.len(), list.is_empty()), (3, false));
        assert_eq!(list.pop(), Some(7));
        list.push(7);
        assert_eq!(drained(&mut list), [3, 5, 7]);
        assert!(list.is_empty());
    }

    #[test]
    fn who_is_removed_may_come_again() {
        let mut list = ReadyList::new();
        for index in [1, 2, 3] {
            list.push(index);
        }
        list.remove(2);
        list.remove(2);
        list.remove(100);
        list.push(2);
        assert_eq!(drained(&mut list), [1, 3, 2]);
    }

    #[test]
    fn nothing_is_allocated_for_indices_that_were_there() {
        let mut list = ReadyList::new();
        list.push(63);
        let capacity = list.line.capacity();
        for index in (0..64).chain(0..64) {
            list.push(index);
        }
        assert_eq!(list.len(), 64);
        assert_eq!(list.line.capacity(), capacity);
    }
}
