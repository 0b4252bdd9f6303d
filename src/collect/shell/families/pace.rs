//! How often something may happen that a box can bring about.

use crate::time::Mono;

/// So many at once, and then one after the other.
#[derive(Clone, Copy)]
pub struct Pace {
    most: usize,
    each_ms: u64,
    left: usize,
    /// Up to when those that came back were counted.
    counted_at: Mono,
}

impl Pace {
    /// All at once, at first.
    pub fn new(most: usize, each_ms: u64, now: Mono) -> Pace {
        Pace {
            most,
            each_ms,
            left: most,
            counted_at: now,
        }
    }

    /// Takes one, if there is one. Tells how many are left.
    pub fn take(&mut self, now: Mono) -> Option<usize> {
        let more = now.since_ms(self.counted_at) / self.each_ms;
        self.counted_at = self.counted_at.plus_ms(more * self.each_ms);
        let more = usize::try_from(more).unwrap_or(usize::MAX);
        self.left = self.left.saturating_add(more).min(self.most);
        self.left = self.left.checked_sub(1)?;
        Some(self.left)
    }

    /// When there is one more.
    pub fn next(&self) -> Mono {
        self.counted_at.plus_ms(self.each_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_at_once_and_then_one_by_one() {
        let now = Mono::from_ms(1_000);
        let mut pace = Pace::new(2, 100, now);
        assert_eq!(
            [pace.take(now), pace.take(now), pace.take(now)],
            [Some(1), Some(0), None]
        );
        assert_eq!(pace.next(), now.plus_ms(100));
        assert_eq!(pace.take(now.plus_ms(99)), None);
        assert_eq!(pace.take(now.plus_ms(150)), Some(0));
        assert_eq!(pace.take(now.plus_ms(199)), None);
        let later = now.plus_ms(1_000_000);
        assert_eq!(
            [pace.take(later), pace.take(later), pace.take(later)],
            [Some(1), Some(0), None]
        );
    }
}
