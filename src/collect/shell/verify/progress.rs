//! A line on the terminal that tells how far the comparison is. Where stderr is no terminal it
//! stays silent.

use std::io::{self, IsTerminal, Write};

use crate::time::Mono;

/// The line and what it says.
pub struct Progress {
    is_terminal: bool,
    total: usize,
    done: usize,
    bytes: u64,
    /// When it is drawn next; `None` while it is not on the screen.
    next: Option<Mono>,
}

/// How often the line is drawn.
const PERIOD_MS: u64 = 200;

impl Progress {
    /// Nothing to tell yet.
    pub fn new() -> Progress {
        Progress {
            is_terminal: io::stderr().is_terminal(),
            total: 0,
            done: 0,
            bytes: 0,
            next: None,
        }
    }

    /// There are so many copies.
    pub fn expect(&mut self, copies: usize) {
        self.total = copies;
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
        let _ = write!(io::stderr(), "\r{}{CLEAR_REST}", self.text());
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

    fn text(&self) -> String {
        let tenths = self.bytes / (MIB / 10);
        let (done, total) = (self.done, self.total);
        format!(
            "{done} of {total} copies, {}.{} MiB compared",
            tenths / 10,
            tenths % 10
        )
    }
}

const MIB: u64 = 1024 * 1024;

/// What a terminal takes for "clear from here to the end of the line".
const CLEAR_REST: &str = "\x1b[K";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_and_bytes_are_told() {
        let mut progress = Progress::new();
        progress.expect(12);
        assert_eq!(progress.text(), "0 of 12 copies, 0.0 MiB compared");
        progress.finish();
        progress.add(1_572_864);
        assert_eq!(progress.text(), "1 of 12 copies, 1.5 MiB compared");
    }

    #[test]
    fn without_a_terminal_nothing_is_due() {
        let mut progress = Progress::new();
        progress.is_terminal = false;
        progress.show(Mono::from_ms(1));
        assert_eq!(progress.poll_timeout(), None);
    }
}
