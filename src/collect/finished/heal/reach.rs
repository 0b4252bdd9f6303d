//! How many bytes a heal asks for at once. Pure.

/// A link that broke is trusted with so many times twice as much.
const DOUBLINGS_MAX: u32 = 20;

/// How far the questions of a heal reach: twice as far each time that all has come.
pub(super) struct Reach {
    most: u64,
    /// Up to here was asked for last.
    until: u64,
    /// How many times in a row all that was asked for has come, and how many of them count.
    streak: u32,
    streak_max: u32,
}

impl Reach {
    /// Without a limit, since no link is known.
    pub(super) fn new() -> Reach {
        Reach {
            most: u64::MAX,
            until: 0,
            streak: 0,
            streak_max: DOUBLINGS_MAX,
        }
    }

    /// The link bears so many bytes, and of `size` bytes the first `at` are here.
    pub(super) fn set(&mut self, most: u64, at: u64, size: u64) {
        if at > 0 && at == self.until {
            self.streak = (self.streak + 1).min(self.streak_max);
        }
        self.most = most.saturating_mul(1 << self.streak);
        self.until = at + self.len(at, size);
    }

    /// How many bytes to ask for.
    pub(super) fn len(&self, at: u64, size: u64) -> u64 {
        size.saturating_sub(at).min(self.most)
    }

    /// Not all that was asked for has come. Tells whether that may be because it was more than the
    /// link bears, so that less has to do.
    pub(super) fn shrink(&mut self, at: Option<u64>) -> bool {
        let is_grown = at != Some(self.until) && self.streak > 0;
        if is_grown {
            self.streak_max = self.streak - 1;
            self.streak = 0;
        }
        is_grown
    }
}
