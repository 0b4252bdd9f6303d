//! How often a source may do what all others wait for. Pure.
//!
//! Each generation, note and connection costs syncs, lines in the log host's log and names in its
//! directories, and it is the box that decides how many there are. So the measure is the source's
//! and outlives its connections. A backlog is brought in one go; a box that never comes to an end
//! with it waits more and more, and keeps nobody else waiting.

use super::{Source, SourceError};
use crate::limits::{PACE_BURST, PACE_LASTING, PACE_LASTING_MS, PACE_MS};
use crate::time::Mono;

/// What a source has used up of what it may do.
#[derive(Default)]
pub(super) struct Pace {
    burst: Bucket,
    lasting: Bucket,
}

impl<F> Source<F> {
    /// Counts what writes a line or a file here at the server's will. Where that is more than a
    /// source may do, the rest is asked for again later.
    pub(super) fn pay(&mut self, now: Mono) -> Result<(), SourceError> {
        self.pace.spend(now);
        match self.pace.free_at(now) {
            None => Ok(()),
            Some(_) => Err(SourceError::AskAgain),
        }
    }

    /// The same for zeros that came as holes: they cost the box nothing, and us the time of their
    /// digest.
    pub(super) fn pay_for_zeros(&mut self, len: u64, now: Mono) -> Result<(), SourceError> {
        let times = self.intake.count_zeros(len);
        for _ in 0..times.min(PACE_BURST) {
            self.pay(now)?;
        }
        Ok(())
    }
}

/// The moment at which all is paid that was done, if each costs the same time.
#[derive(Default)]
struct Bucket {
    paid_at: Mono,
}

impl Pace {
    /// Notes that something is done.
    pub(super) fn spend(&mut self, now: Mono) {
        self.burst.spend(PACE_MS, now);
        self.lasting.spend(PACE_LASTING_MS, now);
    }

    /// The moment at which the next thing may be done; `None` if that is now.
    pub(super) fn free_at(&self, now: Mono) -> Option<Mono> {
        let burst = self.burst.free_at(PACE_MS, PACE_BURST);
        let lasting = self.lasting.free_at(PACE_LASTING_MS, PACE_LASTING);
        Some(burst.max(lasting)).filter(|at| *at > now)
    }
}

impl Bucket {
    fn spend(&mut self, cost_ms: u64, now: Mono) {
        self.paid_at = self.paid_at.max(now).plus_ms(cost_ms);
    }

    /// The moment from which less than `most` are unpaid.
    fn free_at(&self, cost_ms: u64, most: u64) -> Mono {
        let credit_ms = (most - 1) * cost_ms;
        Mono::from_ms(self.paid_at.ms().saturating_sub(credit_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many things are done from one moment to another by a source that does all it may.
    fn done(pace: &mut Pace, from: u64, to: u64) -> u64 {
        let mut now = Mono::from_ms(from);
        let mut done = 0;
        loop {
            match pace.free_at(now) {
                Some(at) if at.ms() >= to => return done,
                Some(at) => now = at,
                None => {
                    pace.spend(now);
                    done += 1;
                }
            }
        }
    }

    #[test]
    fn a_backlog_comes_in_one_go_and_what_follows_keeps_to_the_pace() {
        let mut pace = Pace::default();
        assert_eq!(done(&mut pace, 5_000, 5_001), PACE_BURST);
        assert_eq!(done(&mut pace, 5_001, 5_000 + 100 * PACE_MS), 99);
        let idle = 5_000 + 1_000 * PACE_MS;
        assert_eq!(done(&mut pace, idle, idle + 1), PACE_BURST);
    }

    #[test]
    fn a_box_that_never_ends_is_slowed_down_for_good() {
        let mut pace = Pace::default();
        let day_ms = 24 * 60 * 60 * 1_000;
        let a_day = done(&mut pace, 0, day_ms);
        assert_eq!(a_day, PACE_LASTING - 1 + day_ms / PACE_LASTING_MS);
        // A quiet night, and a backlog is welcome again.
        let later = day_ms + PACE_LASTING * PACE_LASTING_MS;
        assert_eq!(done(&mut pace, later, later + 1), PACE_BURST);
    }
}
