//! Amounts and times as people read them.

use std::fmt;

/// A number of bytes, in units of a thousand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bytes(pub u64);

/// A span of so many seconds, in the largest unit of which there are two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut unit = 1u64;
        for name in ["kB", "MB", "GB", "TB", "PB", "EB"] {
            let Some(next) = unit.checked_mul(1000).filter(|next| self.0 >= *next) else {
                break;
            };
            unit = next;
            // What is less than ten of a unit has a digit behind the point.
            let tenths = self.0 / (unit / 10);
            let is_last = self.0 / unit < 1000 || name == "EB";
            match tenths {
                ..100 if is_last => return write!(f, "{}.{} {name}", tenths / 10, tenths % 10),
                _ if is_last => return write!(f, "{} {name}", self.0 / unit),
                _ => {}
            }
        }
        match self.0 {
            1 => f.write_str("1 byte"),
            bytes => write!(f, "{bytes} bytes"),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(86_400, "days"), (3_600, "h"), (60, "min")];
        let unit = units.iter().find(|(len, _)| self.0 >= 2 * len);
        match unit {
            Some((len, name)) => write!(f, "{} {name}", self.0 / len),
            None => write!(f, "{} s", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_for_a_person() {
        let cases = [
            (0, "0 bytes"),
            (1, "1 byte"),
            (999, "999 bytes"),
            (1_000, "1.0 kB"),
            (9_999, "9.9 kB"),
            (10_000, "10 kB"),
            (155_432, "155 kB"),
            (999_999, "999 kB"),
            (1_000_000, "1.0 MB"),
            (2_500_000_000, "2.5 GB"),
            (u64::MAX, "18 EB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
    }

    #[test]
    fn spans_are_for_a_person() {
        let cases = [
            (0, "0 s"),
            (119, "119 s"),
            (120, "2 min"),
            (7_199, "119 min"),
            (7_200, "2 h"),
            (172_799, "47 h"),
            (172_800, "2 days"),
        ];
        for (secs, text) in cases {
            assert_eq!(Span(secs).to_string(), text);
        }
    }
}
