//! What stands behind a source or behind `defaults`: `key=value`, comments, and what is neither.

use super::access::{group_of, mode_of};
use super::faults::Faults;
use super::word::{Word, Words};
use super::{ConfigError, History, KeepFree, Problem, Proto};
#[cfg(feature = "noise")]
use crate::noise::key::PublicKey;
use crate::noise::key::ServerKey;

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
    pub(super) key: Option<ServerKey>,
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
const KEYS: [&str; 8] = [
    "proto=",
    "history=",
    "max=",
    "keep_free=",
    "name=",
    "mode=",
    "group=",
    "key=",
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
        (b"key=", Behind::Defaults) => Err(word.error(Problem::OnlyOfASource)),
        (b"key=", _) => fill(&mut said.key, word, key_of(value)),
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

#[cfg(feature = "noise")]
fn key_of(value: Word<'_>) -> Result<ServerKey, ConfigError> {
    let key = PublicKey::parse(value.bytes).map(ServerKey::new);
    key.ok_or_else(|| value.error(Problem::BadKey))
}

/// A program without keys must not go on as if nobody had asked for them.
#[cfg(not(feature = "noise"))]
fn key_of(value: Word<'_>) -> Result<ServerKey, ConfigError> {
    Err(value.error(Problem::BadKey))
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

#[cfg(test)]
mod tests {
    use crate::collect::config::Config;

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn read(key: &str) -> Result<Config, String> {
        let line = format!("10.0.0.1 19 /r /l /p {key}\n");
        Config::parse(line.as_bytes()).map_err(|errors| errors.to_string())
    }

    #[test]
    #[cfg(feature = "noise")]
    fn a_source_has_a_key_which_needs_one_of_our_own() {
        use crate::noise::key::{Identity, PrivateKey};
        use std::rc::Rc;
        let mut config = read(&format!("key={KEY}")).unwrap();
        let shown = |config: &Config| config.sources[0].key.as_ref().unwrap().server.to_string();
        assert_eq!(shown(&config), KEY);
        let missing = config.set_own(None).unwrap_err().to_string();
        assert!(missing.ends_with(":1: key= needs a private key of our own: -k FILE"));
        let own = Rc::new(Identity::new(PrivateKey::new([1; 32])));
        config.set_own(Some(&own)).unwrap();
        assert!(config.sources[0].key.as_ref().unwrap().own.is_some());
        // With another key it is another source.
        let other = read(&format!("key={}", KEY.replace('E', "F"))).unwrap();
        assert_ne!(config.sources, other.sources);
        assert_ne!(config.sources, read("").unwrap().sources);
        for bad in [
            "key=",
            "key=x",
            &format!("key={}", KEY.trim_end_matches('=')),
        ] {
            assert!(
                read(bad).unwrap_err().contains("key= is the public key"),
                "{bad}"
            );
        }
    }

    #[test]
    #[cfg(not(feature = "noise"))]
    fn whoever_asks_for_keys_without_the_feature_is_told() {
        let told = read(&format!("key={KEY}")).unwrap_err();
        assert!(told.contains("built without the feature noise"), "{told}");
    }
}
