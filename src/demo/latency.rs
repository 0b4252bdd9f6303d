//! The latency of lines: how long they took from the log into the copy.

use std::fmt::{self, Display};
use std::time::Duration;

/// Measured times, in the order in which they were measured.
#[derive(Default)]
pub struct Latencies(Vec<Duration>);

/// Shows a time in milliseconds.
#[derive(Clone, Copy)]
pub struct Ms(pub Duration);

impl Latencies {
    /// Adds one.
    pub fn add(&mut self, latency: Duration) {
        self.0.push(latency);
    }

    /// The last one.
    pub fn last(&self) -> Option<Duration> {
        self.0.last().copied()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The one that as many are above as below; of an even number the upper of the two in the
    /// middle.
    pub fn median(&self) -> Duration {
        // A copy, since the last one is asked for by its place.
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().unwrap_or_default()
    }

    /// The longest.
    pub fn slowest(&self) -> Duration {
        self.0.iter().max().copied().unwrap_or_default()
    }
}

impl Display for Ms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} ms", self.0.as_secs_f64() * 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(all: &[u64]) -> Latencies {
        Latencies(all.iter().copied().map(Duration::from_micros).collect())
    }

    #[test]
    fn the_median_does_not_mind_an_outlier() {
        let latencies = of(&[900_000, 300, 500, 400, 200]);
        assert_eq!(latencies.median(), Duration::from_micros(400));
        assert_eq!(latencies.slowest(), Duration::from_micros(900_000));
        assert_eq!(latencies.last(), Some(Duration::from_micros(200)));
        assert_eq!(latencies.count(), 5);
    }

    #[test]
    fn few_or_none_are_no_trouble() {
        assert_eq!(of(&[]).median(), Duration::ZERO);
        assert_eq!(of(&[7]).median(), Duration::from_micros(7));
        assert_eq!(of(&[9, 7]).median(), Duration::from_micros(9));
    }

    #[test]
    fn a_time_is_shown_in_milliseconds() {
        assert_eq!(Ms(Duration::from_micros(421)).to_string(), "0.42 ms");
        assert_eq!(Ms(Duration::from_secs(2)).to_string(), "2000.00 ms");
    }
}
