//! All sources in one line.

use std::fmt;

use super::amount::Bytes;
use crate::wire::table::{Row, State};

/// Sums over all sources.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Summary {
    /// The servers they are on.
    pub servers: usize,
    /// All of them.
    pub sources: usize,
    /// Those that are followed.
    pub following: usize,
    /// Those in error.
    pub errors: usize,
    /// Those with losses or differences on record, in whatever state.
    pub flawed: usize,
    /// Those with an answer that have not got all yet.
    pub late: usize,
    /// Bytes that the boxes have and that are not here, as far as they told.
    pub behind: u64,
}

impl Summary {
    /// Adds a source. Its server is for the caller to count.
    pub fn add(&mut self, row: &Row<'_>) {
        self.sources += 1;
        match row.state {
            State::Following => self.following += 1,
            State::Error => self.errors += 1,
            State::Connecting => {}
        }
        self.flawed += usize::from(row.losses > 0);
        let behind = row.behind.unwrap_or(0);
        self.late += usize::from(behind > 0);
        self.behind = self.behind.saturating_add(behind);
    }

    /// Those that have no answer yet.
    pub fn connecting(&self) -> usize {
        self.sources.saturating_sub(self.following + self.errors)
    }

    /// The exit status of `fetch_logs status`: 0 if all is well, 1 for losses or what is still to
    /// come, 2 for an error.
    pub fn exit_status(&self) -> u8 {
        match self {
            Summary { errors: 1.., .. } => 2,
            Summary { flawed: 1.., .. } | Summary { late: 1.., .. } => 1,
            summary if summary.connecting() > 0 => 1,
            _ => 0,
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} on {}: {} followed",
            Count(self.sources, "source"),
            Count(self.servers, "server"),
            self.following
        )?;
        let others = [
            (self.errors, "in error"),
            (self.connecting(), "without an answer yet"),
            (self.flawed, "with losses"),
        ];
        for (count, what) in others.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, ", {count} {what}")?;
        }
        match self.behind {
            0 => f.write_str("; nothing behind"),
            behind => write!(f, "; {} behind", Bytes(behind)),
        }
    }
}

/// So many of something, in the plural where that is right.
pub struct Count(pub usize, pub &'static str);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = if self.0 == 1 { "" } else { "s" };
        write!(f, "{} {}{end}", self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(sources: usize, following: usize, errors: usize, flawed: usize) -> Summary {
        Summary {
            servers: sources.div_ceil(3),
            sources,
            following,
            errors,
            flawed,
            late: 0,
            behind: 0,
        }
    }

    #[test]
    fn it_is_a_sentence() {
        let mut all = summary(120, 113, 6, 3);
        (all.behind, all.late) = (155_000, 2);
        let cases = [
            (
                all,
                "120 sources on 40 servers: 113 followed, 6 in error, 1 without an answer yet, 3 with losses; 155 kB behind",
            ),
            (
                summary(1, 1, 0, 0),
                "1 source on 1 server: 1 followed; nothing behind",
            ),
            (
                summary(0, 0, 0, 0),
                "0 sources on 0 servers: 0 followed; nothing behind",
            ),
        ];
        for (summary, text) in cases {
            assert_eq!(summary.to_string(), text);
        }
    }

    #[test]
    fn the_worst_makes_the_exit_status() {
        let late = Summary {
            late: 1,
            behind: 5,
            ..summary(2, 2, 0, 0)
        };
        let cases = [
            (summary(2, 2, 0, 0), 0),
            (summary(2, 2, 0, 1), 1),
            (summary(2, 1, 0, 0), 1),
            (late, 1),
            (summary(2, 1, 1, 1), 2),
        ];
        for (summary, status) in cases {
            assert_eq!(summary.exit_status(), status, "{summary}");
        }
    }
}
