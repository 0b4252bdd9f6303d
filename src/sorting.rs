//! One routine that sorts lists of every type by every key. The library's own is made anew for each
//! type and key, and a router has to store every one of them. Pure.

use std::cmp::Ordering;

/// Brings a list into the order of a key, which is computed twice for each comparison. What has
/// equal keys stays in the order in which it was.
pub fn sort_by_key<T, K: Ord>(list: &mut [T], key: impl Fn(&T) -> K) {
    let len = list.len();
    sort(&mut Keyed { list, key }, len);
}

/// A list that can be sorted without knowing of what it is.
trait Sortable {
    /// How two of its elements stand to each other.
    fn compare(&self, one: usize, other: usize) -> Ordering;

    /// Exchanges two of its elements.
    fn swap(&mut self, one: usize, other: usize);
}

struct Keyed<'a, T, F> {
    list: &'a mut [T],
    key: F,
}

impl<T, K: Ord, F: Fn(&T) -> K> Sortable for Keyed<'_, T, F> {
    fn compare(&self, one: usize, other: usize) -> Ordering {
        (self.key)(&self.list[one]).cmp(&(self.key)(&self.list[other]))
    }

    fn swap(&mut self, one: usize, other: usize) {
        self.list.swap(one, other);
    }
}

/// Finds out where each of the `len` elements belongs, and moves them only then.
fn sort(list: &mut dyn Sortable, len: usize) {
    let mut order: Vec<usize> = (0..len).collect();
    order.sort_by(|&one, &other| list.compare(one, other));
    for start in 0..len {
        // Round by round: each place gets what belongs there, until the first one is reached again.
        let mut at = start;
        loop {
            let from = std::mem::replace(&mut order[at], at);
            if from == start {
                break;
            }
            list.swap(at, from);
            at = from;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn the_order_is_that_of_the_library() {
        let mut random = Random::new(7);
        for len in (0..40).chain([1000]) {
            for keys in [1, 2, 5, 1000] {
                let list: Vec<(u64, u64)> = (0..len).map(|n| (random.below(keys), n)).collect();
                let (mut ours, mut theirs) = (list.clone(), list);
                sort_by_key(&mut ours, |&(key, _)| key);
                theirs.sort_by_key(|&(key, _)| key);
                assert_eq!(ours, theirs);
            }
        }
    }
}
