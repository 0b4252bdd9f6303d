//! Numeric object identifiers: a bounded row of 32-bit numbers, ordered number by number.

use std::fmt;

use crate::limits::OID_PARTS_MAX;

/// An object identifier of at most [`OID_PARTS_MAX`] parts.
///
/// The order is SNMP's: part by part as numbers, and a beginning comes before everything that
/// continues it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Oid {
    parts: heapless::Vec<u32, OID_PARTS_MAX>,
}

/// The parts behind the base in the identifier of an instance.
pub type Suffix = heapless::Vec<u32, SUFFIX_PARTS_MAX>;

/// An IPv6 address and the part before it.
const SUFFIX_PARTS_MAX: usize = 17;

impl Oid {
    /// The identifier with these parts; more than fit do not compile.
    pub fn from_array<const COUNT: usize>(parts: [u32; COUNT]) -> Oid {
        let parts = heapless::Vec::from_array(parts);
        Oid { parts }
    }

    /// Reads `.1.3.6.1` or `1.3.6.1`. `None` for anything else: a name, an empty part, a part
    /// beyond 32 bits, or more parts than fit.
    pub fn parse(text: &[u8]) -> Option<Oid> {
        // The agent writes the dot; an operator who types `-o` may leave it out.
        let text = text.strip_prefix(b".").unwrap_or(text);
        let mut parts = heapless::Vec::new();
        for part in text.split(|&byte| byte == b'.') {
            parts.push(parse_part(part)?).ok()?;
        }
        Some(Oid { parts })
    }

    /// The parts in order.
    pub fn parts(&self) -> &[u32] {
        &self.parts
    }

    /// The parts of this identifier behind `base`: none for `base` itself, `None` outside of it.
    pub fn below(&self, base: &Oid) -> Option<&[u32]> {
        // Part by part: `.1.3.60` does not lie below `.1.3.6`, as it would by its text.
        self.parts.strip_prefix(base.parts())
    }

    /// This identifier continued by `suffix`; `None` where that is more than fits.
    pub fn child(&self, suffix: &[u32]) -> Option<Oid> {
        let mut child = self.clone();
        // A base so deep that no address fits below it has no instances, rather than wrong ones.
        child.parts.extend_from_slice(suffix).ok()?;
        Some(child)
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| write!(f, ".{part}"))
    }
}

fn parse_part(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u32, |value, &digit| {
        // Stricter than `parse`, which takes a `+`.
        let digit = char::from(digit).to_digit(10)?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::OID_TEXT_MAX_LEN;

    fn oid(text: &str) -> Oid {
        Oid::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn reads_with_and_without_the_leading_dot() {
        assert_eq!(oid(".1.3.6"), Oid::from_array([1, 3, 6]));
        assert_eq!(oid("1.3.6"), Oid::from_array([1, 3, 6]));
        assert_eq!(oid("0"), Oid::from_array([0]));
        assert_eq!(oid(".4294967295").parts(), [u32::MAX]);
    }

    #[test]
    fn refuses_everything_else() {
        for text in [
            "",
            ".",
            "..1",
            ".1.",
            ".1..2",
            ".1.-2",
            ".1.+2",
            ".1. 2",
            " .1",
            ".1\n",
            "iso.3",
            ".1.0x3",
            ".4294967296",
            ".99999999999999999999",
        ] {
            assert_eq!(Oid::parse(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(Oid::parse(b".1.\xff"), None);
    }

    #[test]
    fn holds_128_parts_and_not_one_more() {
        let longest = ".4294967295".repeat(OID_PARTS_MAX);
        assert_eq!(longest.len(), OID_TEXT_MAX_LEN);
        assert_eq!(oid(&longest).to_string(), longest);
        assert_eq!(Oid::parse(format!("{longest}.0").as_bytes()), None);
        assert_eq!(oid(&longest).child(&[0]), None);
    }

    #[test]
    fn is_written_with_a_leading_dot() {
        assert_eq!(oid("1.03.6").to_string(), ".1.3.6");
    }

    #[test]
    fn order_is_numeric_and_a_beginning_comes_first() {
        let rising = ["0.9", "1", "1.2", "1.2.0", "1.2.1", "1.10", "2"].map(oid);
        assert!(rising.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn below_and_child_are_each_others_reverse() {
        let base = oid("1.3.6");
        assert_eq!(base.below(&base), Some(&[][..]));
        assert_eq!(oid("1.3.6.7.8").below(&base), Some(&[7, 8][..]));
        assert_eq!(oid("1.3.60").below(&base), None);
        assert_eq!(oid("1.3").below(&base), None);
        assert_eq!(base.child(&[7, 8]), Some(oid("1.3.6.7.8")));
    }

    #[test]
    fn random_text_is_refused_or_read_back_the_same() {
        arbtest::arbtest(|u| {
            let count = u.int_in_range(0..=40)?;
            let mut text = Vec::new();
            for _ in 0..count {
                text.push(*u.choose(b"..0123456789a \xff")?);
            }
            if let Some(oid) = Oid::parse(&text) {
                assert_eq!(Oid::parse(oid.to_string().as_bytes()), Some(oid));
            }
            Ok(())
        })
        .budget_ms(100);
    }
}
