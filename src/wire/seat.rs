//! Which of several collectors with one SNMP_DIR: the names of its own files there.

use std::fmt;

/// The number of a collector among those that share a directory.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Seat(u8);

/// As many as there can be.
const SEATS_MAX: u8 = 8;

impl Seat {
    /// That of a collector which is alone.
    pub const FIRST: Seat = Seat(1);

    /// All of them, in the order in which they are taken.
    pub fn all() -> impl Iterator<Item = Seat> {
        (1..=SEATS_MAX).map(Seat)
    }

    /// The name of its file with this ending: `lock`, `sock`, `table` or `tmp`.
    pub fn file(self, ending: &str) -> String {
        match self {
            Seat::FIRST => format!(".fetch_logs.{ending}"),
            Seat(number) => format!(".fetch_logs.{number}.{ending}"),
        }
    }
}

impl fmt::Display for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_has_the_names_that_there_always_were() {
        let names: Vec<String> = Seat::all().map(|seat| seat.file("lock")).collect();
        assert_eq!(names.len(), 8);
        assert_eq!(names[..2], [".fetch_logs.lock", ".fetch_logs.2.lock"]);
        assert_eq!(Seat::all().next(), Some(Seat::FIRST));
    }
}
