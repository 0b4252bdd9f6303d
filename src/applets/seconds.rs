//! Times on the command line: seconds, which may be fractions.

use super::options::{self, Parsed};

/// The time that an option gives in seconds, in milliseconds; `default_ms` without the option.
pub fn option(parsed: &Parsed, letter: char, default_ms: u64) -> Result<u64, String> {
    match options::value(parsed, letter) {
        None => Ok(default_ms),
        Some(text) => text.to_str().and_then(to_ms).ok_or_else(|| {
            format!("option -{letter} takes seconds, such as 5 or 0.2, up to ten days")
        }),
    }
}

/// Reads `5`, `0.2` or `.25` as milliseconds. `None` for anything else, for less than a millisecond
/// and for more than [`MAX_MS`].
pub fn to_ms(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    // A lone dot is no number.
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    // Not by way of floating point: 0.2 has to be 200 to the millisecond.
    let whole_ms = match whole {
        "" => 0,
        _ => whole.parse::<u64>().ok()?.checked_mul(1000)?,
    };
    let fraction_ms = fraction
        .bytes()
        .chain(std::iter::repeat(b'0'))
        // What is finer than a millisecond is left out, not rounded.
        .take(3)
        .fold(0, |ms, digit| ms * 10 + u64::from(digit - b'0'));
    let ms = whole_ms.checked_add(fraction_ms)?;
    (1..=MAX_MS).contains(&ms).then_some(ms)
}

/// Ten days: nobody waits longer for anything here.
pub const MAX_MS: u64 = 10 * 86_400 * 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_are_milliseconds() {
        for (text, ms) in [
            ("5", 5_000),
            ("0.2", 200),
            (".25", 250),
            ("1.", 1_000),
            ("1.0019", 1_001),
        ] {
            assert_eq!(to_ms(text), Some(ms), "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            ".",
            "0",
            "0.0001",
            "-1",
            "1e3",
            "5s",
            " 5",
            "1.2.3",
            "99999999999999999999",
            "864001",
        ] {
            assert_eq!(to_ms(text), None, "{text}");
        }
    }
}
