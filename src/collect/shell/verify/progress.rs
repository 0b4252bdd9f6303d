//! A line on the terminal that tells how far the comparison is. Where stderr is no terminal it
//! stays silent.

use std::io::{self, IsTerminal, Write};

use crate::collect::view::amount::Span;
use crate::time::Mono;

/// The line and what it says.
pub struct Progress {
    is_terminal: bool,
    total: usize,
    done: usize,
    bytes: u64,
    total_bytes: u64,
    begun_at: Mono,
    /// When it is drawn next; `None` while it is not on the screen.
    next: Option<Mono>,
}

/// How often the line is drawn.
const PERIOD_MS: u64 = 200;

impl Progress {
    /// Nothing to tell yet; if it is quiet, not later either.
    pub fn new(quiet: bool, now: Mono) -> Progress {
        Progress {
            is_terminal: !quiet && io::stderr().is_terminal(),
            total: 0,
            done: 0,
            bytes: 0,
            total_bytes: 0,
            begun_at: now,
            next: None,
        }
    }

    /// There is one more copy, of so many bytes.
    pub fn expect(&mut self, bytes: u64) {
        self.total += 1;
        self.total_bytes = self.total_bytes.saturating_add(bytes);
    }

    /// So many bytes were compared.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// When it began.
    pub fn begun_at(&self) -> Mono {
        self.begun_at
    }

    /// So many bytes more were compared.
    pub fn add(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }

    /// A copy is done.
    pub fn finish(&mut self) {
        self.done += 1;
    }

    /// Draws the line, unless that was just done.
    pub fn show(&mut self, now: Mono) {
        if !self.is_terminal || self.next.is_some_and(|next| next > now) {
            return;
        }
        self.next = Some(now.plus_ms(PERIOD_MS));
        let _ = write!(io::stderr(), "\r{}{CLEAR_REST}", self.text(now));
    }

    /// Takes the line off the screen, so that another may stand there.
    pub fn clear(&mut self) {
        if self.next.take().is_some() {
            let _ = write!(io::stderr(), "\r{CLEAR_REST}");
        }
    }

    /// When [`show`](Self::show) has something to draw.
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.next
    }

    fn text(&self, now: Mono) -> String {
        let mib = |bytes: u64| {
            let tenths = bytes / (MIB / 10);
            format!("{}.{}", tenths / 10, tenths % 10)
        };
        let (done, total) = (self.done, self.total);
        // Copies grow, and some are compared more than once.
        let total_bytes = self.total_bytes.max(self.bytes);
        let (compared, all) = (mib(self.bytes), mib(total_bytes));
        let text = format!("{done} of {total} copies, {compared} of {all} MiB compared");
        match self.left_secs(now, total_bytes) {
            Some(left) => format!("{text}, {} left", Span(left)),
            None => text,
        }
    }

    /// How long it will take at the pace so far; `None` where that says nothing yet.
    fn left_secs(&self, now: Mono, total_bytes: u64) -> Option<u64> {
        let ms = now.since_ms(self.begun_at);
        let is_known = ms >= KNOWN_FROM_MS && self.bytes > 0;
        let left = u128::from(total_bytes - self.bytes) * u128::from(ms);
        let secs = left / u128::from(self.bytes.max(1)) / 1000;
        is_known.then(|| u64::try_from(secs).unwrap_or(u64::MAX))
    }
}

/// How long the pace is watched before it is believed.
const KNOWN_FROM_MS: u64 = 2_000;

const MIB: u64 = 1024 * 1024;

/// What a terminal takes for "clear from here to the end of the line".
const CLEAR_REST: &str = "\x1b[K";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_bytes_and_time_are_told() {
        let at = Mono::from_ms;
        let mut progress = Progress::new(false, at(1_000));
        (0..12).for_each(|_| progress.expect(262_144));
        let text = progress.text(at(9_000));
        assert_eq!(text, "0 of 12 copies, 0.0 of 3.0 MiB compared");
        progress.finish();
        progress.add(1_572_864);
        let text = progress.text(at(2_000));
        assert_eq!(text, "1 of 12 copies, 1.5 of 3.0 MiB compared");
        let text = progress.text(at(61_000));
        assert_eq!(text, "1 of 12 copies, 1.5 of 3.0 MiB compared, 60 s left");
        progress.add(3_145_728);
        let text = progress.text(at(61_000));
        assert_eq!(text, "1 of 12 copies, 4.5 of 4.5 MiB compared, 0 s left");
    }

    #[test]
    fn without_a_terminal_nothing_is_due() {
        let mut progress = Progress::new(true, Mono::default());
        progress.is_terminal = false;
        progress.show(Mono::from_ms(1));
        assert_eq!(progress.poll_timeout(), None);
    }
}
