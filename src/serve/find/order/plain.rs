//! Whether a rotated file has a name as rotators give it. Pure.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Whether the name of a rotated file is that of the live one with a number, a date, a time or
/// `old` and nothing else, as rotators give it. Without a live name any is.
pub fn is_plain(path: &Path, live: &Path) -> bool {
    if live.as_os_str().is_empty() {
        return true;
    }
    let (Some(name), Some(live)) = (path.file_name(), live.file_name()) else {
        return false;
    };
    let (name, live) = (name.as_bytes(), live.as_bytes());
    let dot = live.iter().rposition(|byte| *byte == b'.');
    let (stem, ending) = live.split_at(dot.unwrap_or(live.len()));
    let within = || name.strip_prefix(stem)?.strip_suffix(ending);
    let added = [name.strip_prefix(live), name.strip_suffix(live), within()];
    is_label(name) || added.into_iter().flatten().any(is_plain_addition)
}

/// Whether that is all that a rotator adds to a name.
fn is_plain_addition(added: &[u8]) -> bool {
    let is_mark = |byte: &u8| b".-_:+@TZ".contains(byte);
    let is_number = |word: &[u8]| word.iter().all(u8::is_ascii_digit);
    let mut words = added.split(is_mark).filter(|word| !word.is_empty());
    // Digits right beside the name may belong to it.
    let is_apart = added.first().is_some_and(is_mark) || added.last().is_some_and(is_mark);
    let is_stamp = added.len() >= STAMP_LEN_MIN;
    (is_apart || is_stamp) && words.all(|word| is_number(word) || word == b"old")
}

/// Whether it is a label of daemontools, `@4000000068f0a1b21d8e3f2c.s`.
fn is_label(name: &[u8]) -> bool {
    let digits = name.strip_prefix(b"@").and_then(|label| label.get(..16));
    digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
}

/// Digits of a date, at least.
const STAMP_LEN_MIN: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_are_those_that_rotators_give() {
        for (name, live, expected) in [
            ("/v/m.1", "/v/m", true),
            ("/v/m.old", "/v/m", true),
            ("/old/m-20261122", "/v/m", true),
            ("/v/m-2026-11-22T13:29:56+0100", "/v/m", true),
            ("/v/20261122-m", "/v/m", true),
            ("/v/m.1.log", "/v/m.log", true),
            ("/v/m.log.1", "/v/m.log", true),
            ("/v/m-20261122.log", "/v/m.log", true),
            ("/v/@4000000068f0a1b21d8e3f2c.s", "/v/current", true),
            ("/v/m.bak1", "/v/m", false),
            ("/v/m.1.save", "/v/m", false),
            ("/v/m-copy", "/v/m", false),
            ("/v/m2.1", "/v/m", false),
            ("/v/@bak0.s", "/v/current", false),
            ("/v/n.1", "/v/m", false),
        ] {
            assert_eq!(
                is_plain(Path::new(name), Path::new(live)),
                expected,
                "{name}"
            );
        }
    }
}
