//! What happened, as a number that two runs can be compared by, and the last of it as text.

use std::collections::VecDeque;
use std::fmt::Write;

/// How many events the message of a failure shows.
const SHOWN_MAX: usize = 60;

/// All that happened so far.
pub struct Trace {
    hash: u64,
    steps: u64,
    now_ms: u64,
    last: VecDeque<String>,
    print: bool,
}

impl Trace {
    /// With `print` every event goes to stderr at once.
    pub fn new(print: bool) -> Trace {
        Trace {
            hash: 0xcbf2_9ce4_8422_2325,
            steps: 0,
            now_ms: 0,
            last: VecDeque::new(),
            print,
        }
    }

    pub fn at(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
    }

    /// Something that happens all the time: it counts, and is shown only where everything is
    /// printed.
    pub fn tick(&mut self, what: &'static str, a: u64, b: u64) {
        self.mix(what.as_bytes());
        self.mix(&a.to_le_bytes());
        self.mix(&b.to_le_bytes());
        if self.print {
            eprintln!("{:>12} {what} {a} {b}", self.now_ms);
        }
    }

    /// Bytes that come along, shown where everything is printed: the first line, or the first
    /// frame.
    pub fn bytes(&mut self, what: &'static str, conn: u32, bytes: &[u8]) {
        self.tick(what, u64::from(conn), bytes.len() as u64);
        if self.print {
            eprintln!(
                "{:>12}   {}",
                self.now_ms,
                bytes[..bytes.len().min(160)].escape_ascii()
            );
        }
    }

    /// Something that somebody who looks for a fault has to know.
    pub fn note(&mut self, what: String) {
        self.steps += 1;
        self.mix(what.as_bytes());
        if self.print {
            eprintln!("{:>12} {} {what}", self.now_ms, self.steps);
        }
        if self.last.len() == SHOWN_MAX {
            self.last.pop_front();
        }
        self.last
            .push_back(format!("{} at {}: {what}", self.steps, self.now_ms));
    }

    /// How many events were noted.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    pub fn hash(&self) -> u64 {
        self.hash
    }

    pub fn show(&self) -> String {
        let mut text = String::new();
        for line in &self.last {
            let _ = writeln!(text, "  {line}");
        }
        text
    }

    fn mix(&mut self, bytes: &[u8]) {
        for byte in self.now_ms.to_le_bytes().iter().chain(bytes) {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
