//! What stands behind a source or behind `defaults`: `key=value`, comments, and what is neither.

use super::access::{group_of, mode_of};
use super::faults::Faults;
use super::word::{Word, Words};
use super::{ConfigError, History, KeepFree, Problem, Proto};

/// What was said behind a source, or behind `defaults`.
#[derive(Default)]
pub(super) struct Options {
    pub(super) proto: Option<Proto>,
    pub(super) history: Option<History>,
    pub(super) max: Option<u64>,
    pub(super) keep_free: Option<KeepFree>,
    pub(super) name: Option<Box<str>>,
    pub(super) mode: Option<u32>,
    pub(super) group: Option<Box<str>>,
}

/// What options stand behind.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Behind {
    /// The five fields: fetchlogs 1.1 passed over whatever followed them.
    Fields,
    /// A short line.
    Short,
    Defaults,
}

/// What an option begins with.
const KEYS: [&str; 7] = [
    "proto=",
    "history=",
    "max=",
    "keep_free=",
    "name=",
    "mode=",
    "group=",
];

/// Whether a word is one of the options that there are.
pub(super) fn is_option(word: Word<'_>) -> bool {
    KEYS.iter()
        .any(|key| word.bytes.starts_with(key.as_bytes()))
}

/// Adds the options to those that were `said`. Tells whether nothing is wrong with them.
pub(super) fn read(
    words: Words<'_>,
    behind: Behind,
    said: &mut Options,
    faults: &mut Faults,
) -> bool {
    let mut is_sound = true;
    for word in words {
        if word.bytes.starts_with(b"#") && behind != Behind::Defaults {
            faults.warnings.push(word.error(Problem::Comment));
            return is_sound;
        }
        let Some(equals) = word.bytes.iter().position(|byte| *byte == b'=') else {
            // What follows is more of it, and nothing of its own.
            match behind {
                Behind::Fields => {
                    faults.warnings.push(word.error(Problem::NotAnOption));
                    return is_sound;
                }
                Behind::Short => faults.errors.push(word.error(Problem::NotAnOption)),
                Behind::Defaults => faults.errors.push(word.error(Problem::NotADefault)),
            }
            return false;
        };
        let taken = option(word, equals, behind, said);
        is_sound &= faults.keep(taken).is_some();
    }
    is_sound
}

fn option(
    word: Word<'_>,
    equals: usize,
    behind: Behind,
    said: &mut Options,
) -> Result<(), ConfigError> {
    let (key, value) = word.split_at(equals + 1);
    match (key.bytes, behind) {
        (b"proto=", _) => fill(&mut said.proto, word, proto_of(value)),
        (b"history=", _) => fill(&mut said.history, word, history_of(value)),
        (b"max=", _) => fill(&mut said.max, word, max_of(value)),
        (b"keep_free=", Behind::Defaults) => fill(&mut said.keep_free, word, keep_free_of(value)),
        (b"keep_free=", _) => Err(word.error(Problem::OnlyADefault)),
        (b"name=", Behind::Defaults) => Err(word.error(Problem::OnlyOfASource)),
        (b"name=", _) => fill(&mut said.name, word, name_of(value)),
        (b"mode=", _) => {
            let mode = mode_of(value.bytes);
            let mode = mode.ok_or_else(|| value.error(Problem::BadMode));
            fill(&mut said.mode, word, mode)
        }
        (b"group=", _) => {
            let group = group_of(value.bytes);
            let group = group.ok_or_else(|| value.error(Problem::BadGroup));
            fill(&mut said.group, word, group)
        }
        _ => Err(word.error(Problem::UnknownOption)),
    }
}

fn fill<T>(
    slot: &mut Option<T>,
    word: Word<'_>,
    value: Result<T, ConfigError>,
) -> Result<(), ConfigError> {
    if slot.is_some() {
        return Err(word.error(Problem::RepeatedOption));
    }
    *slot = Some(value?);
    Ok(())
}

fn proto_of(value: Word<'_>) -> Result<Proto, ConfigError> {
    match value.bytes {
        b"auto" => Ok(Proto::Auto),
        b"classic" => Ok(Proto::Classic),
        b"v2" => Ok(Proto::V2),
        _ => Err(value.error(Problem::BadProto)),
    }
}

fn history_of(value: Word<'_>) -> Result<History, ConfigError> {
    match value.bytes {
        b"live" => Ok(History::Live),
        b"all" => Ok(History::All),
        _ => Err(value.error(Problem::BadHistory)),
    }
}

fn max_of(value: Word<'_>) -> Result<u64, ConfigError> {
    size_of(value.bytes).ok_or_else(|| value.error(Problem::BadMax))
}

fn keep_free_of(value: Word<'_>) -> Result<KeepFree, ConfigError> {
    let kept = match value.bytes.strip_suffix(b"%") {
        Some(digits) => number(digits)
            .and_then(|percent| u8::try_from(percent).ok())
            .filter(|percent| *percent < 100)
            .map(KeepFree::Percent),
        None => size_of(value.bytes).map(KeepFree::Bytes),
    };
    kept.ok_or_else(|| value.error(Problem::BadKeepFree))
}

/// The name of a box, which becomes that of a file.
fn name_of(value: Word<'_>) -> Result<Box<str>, ConfigError> {
    let is_sound = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    let fits = (1..=NAME_MAX_LEN).contains(&value.bytes.len())
        && value.bytes.iter().all(is_sound)
        && !value.bytes.starts_with(b".");
    str::from_utf8(value.bytes)
        .ok()
        .filter(|_| fits)
        .map(Into::into)
        .ok_or_else(|| value.error(Problem::BadBoxName))
}

/// As long as one part of a host name (RFC 1035, section 2.3.4).
pub(super) const NAME_MAX_LEN: usize = 63;

/// A number of bytes, with the letters of journald.conf(5): to the base of 1024.
fn size_of(text: &[u8]) -> Option<u64> {
    let (digits, shift) = match text {
        [digits @ .., b'K'] => (digits, 10),
        [digits @ .., b'M'] => (digits, 20),
        [digits @ .., b'G'] => (digits, 30),
        [digits @ .., b'T'] => (digits, 40),
        digits => (digits, 0),
    };
    number(digits)?.checked_mul(1 << shift)
}

/// `parse` alone would take a `+` in front.
fn number(digits: &[u8]) -> Option<u64> {
    let text = str::from_utf8(digits).ok()?;
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}
