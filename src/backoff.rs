//! The wait before the next try: longer after each failure, and never in step with the others.

use crate::limits::{RETRY_AT_ONCE_MS, RETRY_MAX_MS};
use crate::mutation::{self, Mutation};
use crate::random::Random;

/// The waiting time of one source.
#[derive(Default, Debug)]
pub struct Backoff {
    failures: u8,
}

impl Backoff {
    /// The time to wait after a try that brought nothing: `retry_ms` at first, doubled with every
    /// further failure up to a minute, give or take a quarter.
    pub fn after_failure_ms(&mut self, retry_ms: u64, random: &mut Random) -> u64 {
        // Long before sixteen doublings the maximum is reached; the bound keeps the shift within
        // its type.
        let grown = retry_ms.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        // An operator who asked for more than the maximum with `-r` gets what he asked for, all the
        // time.
        let base = grown.min(RETRY_MAX_MS.max(retry_ms));
        // Spread over half of itself: after a power cut of a switch all sources fail in the same
        // moment, and must not all come back in the same one.
        base - base / 4 + random.below(base / 2 + 1)
    }

    /// The time to wait after a connection that brought something: next to none.
    pub fn after_success_ms(&mut self, random: &mut Random) -> u64 {
        self.reset();
        // A classic server closes at each rotation, and at midnight all logs rotate: not all at
        // once here, too.
        RETRY_AT_ONCE_MS + random.below(RETRY_AT_ONCE_MS)
    }

    /// All was well for a while: the next failure counts as the first.
    pub fn reset(&mut self) {
        if mutation::is_on(Mutation::BackoffKept) {
            return;
        }
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_double_the_wait_up_to_a_minute() {
        for seed in 0..50 {
            let (mut backoff, mut random) = (Backoff::default(), Random::new(seed));
            for expected in [5_000, 10_000, 20_000, 40_000, 60_000, 60_000] {
                let wait = backoff.after_failure_ms(5_000, &mut random);
                assert!(
                    wait >= expected * 3 / 4 && wait <= expected * 5 / 4,
                    "{wait}"
                );
            }
        }
    }

    #[test]
    fn success_forgets_the_failures() {
        let (mut backoff, mut random) = (Backoff::default(), Random::new(1));
        for _ in 0..300 {
            backoff.after_failure_ms(5_000, &mut random);
        }
        assert!(backoff.after_success_ms(&mut random) < 2 * RETRY_AT_ONCE_MS);
        assert!(backoff.after_failure_ms(5_000, &mut random) <= 6_250);
    }

    #[test]
    fn a_retry_time_above_the_maximum_is_kept() {
        let (mut backoff, mut random) = (Backoff::default(), Random::new(1));
        backoff.after_failure_ms(100_000, &mut random);
        assert!(backoff.after_failure_ms(100_000, &mut random) >= 75_000);
    }

    #[test]
    fn waits_are_spread() {
        let mut random = Random::new(42);
        let all: std::collections::BTreeSet<u64> = (0..100)
            .map(|_| Backoff::default().after_failure_ms(5_000, &mut random))
            .collect();
        assert!(all.len() > 90);
    }
}
