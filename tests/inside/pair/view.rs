//! What a test looks at, and what its failure shows.

use std::path::PathBuf;

use super::{Pair, SHOWN_MAX, log};

impl Pair {
    pub fn local(&self) -> Vec<u8> {
        self.host.read("/l/m").unwrap_or_default()
    }

    pub fn kept(&self) -> Vec<PathBuf> {
        let mut kept: Vec<PathBuf> = Vec::new();
        for path in self.kept.borrow().iter() {
            // The name of a copy that was not kept is given once more.
            kept.retain(|known| known != path);
            kept.push(path.clone());
        }
        kept
    }

    /// What the finished copies hold, oldest first, and then the live copy.
    pub fn copies(&self) -> Vec<Vec<u8>> {
        let kept = self.kept();
        let names = kept.iter().map(|path| path.to_str().unwrap());
        names
            .chain(["/l/m"])
            .map(|name| self.host.read(name).unwrap_or_default())
            .collect()
    }

    pub fn says(&self, text: &str) -> bool {
        self.said.borrow().iter().any(|line| line.contains(text))
    }

    /// Everything there is to know, for the message of a failure.
    pub fn report(&self) -> String {
        let mut report = format!(
            "at {} ms, status in error: {}\n",
            self.mono_ms,
            self.source.in_error()
        );
        let (said, at_ms) = (self.said.borrow(), self.said_at_ms.borrow());
        let hidden = said.len().saturating_sub(4 * SHOWN_MAX);
        for (line, at_ms) in said.iter().zip(at_ms.iter()).skip(hidden) {
            report += &format!("  said at {at_ms}: {line}\n");
        }
        report += &self.log.report();
        for path in last(&self.kept.borrow()) {
            report += &log::describe("kept", path, &self.host);
        }
        report += &log::describe("live", "/l/m".as_ref(), &self.host);
        let pointer = self.host.read("/p/m").unwrap_or_default();
        report += &format!("  pointer: {}\n", String::from_utf8_lossy(&pointer));
        report += &format!("  state: {:?}\n", self.source.state());
        report
    }
}

/// The last of many, for a report that can be read.
fn last<T>(all: &[T]) -> &[T] {
    &all[all.len().saturating_sub(SHOWN_MAX)..]
}
