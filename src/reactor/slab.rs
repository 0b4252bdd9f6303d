//! The sessions of one kind, each in a place of its own.

use super::token::Token;

/// Values in numbered places. A place that became free is used again, under the next life, so
/// that who still holds the old number finds nothing instead of a stranger. It grows when full and
/// never shrinks.
#[derive(Debug)]
pub struct Slab<T> {
    places: Vec<Place<T>>,
    first_free: Option<u32>,
    len: usize,
}

#[derive(Debug)]
struct Place<T> {
    life: u16,
    content: Content<T>,
}

#[derive(Debug)]
enum Content<T> {
    Taken(T),
    /// The next free place, if this one is free.
    Free(Option<u32>),
}

impl<T> Slab<T> {
    /// Most values: as many as a [`Token`] can tell apart, more than a process can have
    /// descriptors.
    pub const MAX: usize = Token::INDEX_MAX as usize + 1;

    /// No values yet, and room for `expected` before it has to grow.
    pub fn with_capacity(expected: usize) -> Slab<T> {
        Slab {
            places: Vec::with_capacity(expected),
            first_free: None,
            len: 0,
        }
    }

    /// Puts a value into a free place and tells its index and life. See
    /// [`is_full`](Slab::is_full).
    pub fn insert(&mut self, value: T) -> (u32, u16) {
        debug_assert!(!self.is_full());
        self.len += 1;
        let Some(index) = self.first_free else {
            let index = self.places.len() as u32;
            self.places.push(Place {
                life: 0,
                content: Content::Taken(value),
            });
            return (index, 0);
        };
        let place = &mut self.places[index as usize];
        if let Content::Free(next) = place.content {
            self.first_free = next;
        }
        place.content = Content::Taken(value);
        (index, place.life)
    }

    /// The value at a place, if it is still of that life.
    pub fn get(&self, index: u32, life: u16) -> Option<&T> {
        let place = self.places.get(index as usize)?;
        match &place.content {
            Content::Taken(value) if place.life == life => Some(value),
            _ => None,
        }
    }

    /// The value at a place, to be changed, if it is still of that life.
    pub fn get_mut(&mut self, index: u32, life: u16) -> Option<&mut T> {
        let place = self.places.get_mut(index as usize)?;
        match &mut place.content {
            Content::Taken(value) if place.life == life => Some(value),
            _ => None,
        }
    }

    /// The life of the value at a place: for a deadline or a ready list, which know only the
    /// index.
    pub fn life(&self, index: u32) -> Option<u16> {
        let place = self.places.get(index as usize)?;
        matches!(place.content, Content::Taken(_)).then_some(place.life)
    }

    /// Takes a value out and frees its place.
    pub fn remove(&mut self, index: u32, life: u16) -> Option<T> {
        self.get(index, life)?;
        let place = self.places.get_mut(index as usize)?;
        let content = std::mem::replace(&mut place.content, Content::Free(self.first_free));
        place.life = if life < Token::LIFE_MAX { life + 1 } else { 0 };
        self.first_free = Some(index);
        self.len -= 1;
        match content {
            Content::Taken(value) => Some(value),
            Content::Free(_) => None,
        }
    }

    /// One more than the highest index there ever was: for who visits all places and changes them
    /// on the way.
    pub fn bound(&self) -> u32 {
        self.places.len() as u32
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True if no further value may be inserted. Whoever keeps one descriptor for each value never
    /// gets here.
    pub fn is_full(&self) -> bool {
        self.len >= Slab::<T>::MAX
    }
}

impl<T> Default for Slab<T> {
    fn default() -> Slab<T> {
        Slab::with_capacity(0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_freed_place_is_used_again_under_another_generation() {
        let mut slab = Slab::default();
        let (first, second) = (slab.insert("a"), slab.insert("b"));
        assert_eq!((first, second), ((0, 0), (1, 0)));
        assert_eq!(slab.remove(0, 0), Some("a"));
        assert_eq!(slab.insert("c"), (0, 1));
        assert_eq!(slab.get(0, 0), None);
        assert_eq!(slab.get_mut(0, 0), None);
        assert_eq!(slab.remove(0, 0), None);
        assert_eq!(slab.get(0, 1), Some(&"c"));
        assert_eq!(slab.life(0), Some(1));
        assert_eq!(slab.len(), 2);
    }

    #[test]
    fn generations_start_again_after_the_last() {
        let mut slab = Slab::default();
        for life in (0..=Token::LIFE_MAX).chain([0, 1]) {
            assert_eq!(slab.insert(()), (0, life));
            assert_eq!(slab.remove(0, life), Some(()));
            assert_eq!(slab.life(0), None);
        }
    }

    #[test]
    fn numbers_nobody_gave_out_find_nothing() {
        let mut slab = Slab::default();
        slab.insert(1);
        assert_eq!(slab.get(1, 0), None);
        assert_eq!(slab.get(u32::MAX, 0), None);
        assert_eq!(slab.remove(0, 7), None);
        assert_eq!(slab.remove(9, 0), None);
        assert_eq!(slab.life(9), None);
        assert!(!slab.is_full());
    }

    #[test]
    fn it_behaves_like_a_table() {
        arbtest::arbtest(|u| {
            let mut slab = Slab::default();
            let mut model = BTreeMap::new();
            while !u.is_empty() {
                let value: u8 = u.arbitrary()?;
                if u.ratio(2, 3)? {
                    let (index, life) = slab.insert(value);
                    assert_eq!(model.insert(index, (life, value)), None);
                } else {
                    let index = u.int_in_range(0..=20)?;
                    let held = model.remove(&index);
                    let life = held.map_or(0, |(life, _)| life);
                    assert_eq!(slab.remove(index, life), held.map(|(_, value)| value));
                }
                for (&index, &(life, value)) in &model {
                    assert_eq!(slab.get(index, life), Some(&value));
                }
                let listed = (0..slab.bound()).filter(|&index| slab.life(index).is_some());
                assert_eq!((listed.count(), slab.len()), (model.len(), model.len()));
            }
            Ok(())
        })
        .budget_ms(100);
    }
}
