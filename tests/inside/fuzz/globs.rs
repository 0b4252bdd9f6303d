//! Globs: their text, one component against one name, and the walk through directories.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::script::Script;
use crate::inside::fake::Fake;
use crate::serve::glob::{Patterns, Progress, Walk, matches, uncompressed};

/// Steps of one walk. The directories here hold a dozen names, and a pattern goes no deeper than
/// its text; twice as many patterns as there may be would come nowhere near.
const STEPS_MAX: usize = 100_000;

/// What one step may ask of the file system.
const CALLS_PER_STEP: usize = 2;

/// A pattern, and a name or paths for it.
pub fn globs(input: &[u8]) {
    let mut script = Script::new(input);
    let text = script.bytes();
    let names = script.rest();
    component(text, names);
    let Ok(patterns) = Patterns::parse(text) else {
        return;
    };
    assert_eq!(Patterns::parse(text).as_ref(), Ok(&patterns));
    walk(&patterns, &disk(names));
}

/// A component matches a name as a plain reading of its rules says.
fn component(pattern: &[u8], name: &[u8]) {
    if pattern.len() > 24 || name.len() > 24 || pattern.contains(&b'/') || name.contains(&b'/') {
        return;
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let expected = !is_hidden_from(pattern, name) && reference(pattern, name);
    let found = matches(pattern, name);
    assert_eq!(found, expected, "{} {}", text(pattern), text(name));
}

/// A name that begins with a dot is found only by a pattern that does.
fn is_hidden_from(pattern: &[u8], name: &[u8]) -> bool {
    let asks = pattern.starts_with(b".") || pattern.starts_with(b"\\.");
    name.starts_with(b".") && !asks
}

fn reference(pattern: &[u8], name: &[u8]) -> bool {
    let Some((first, rest)) = pattern.split_first() else {
        return name.is_empty();
    };
    let one = |is_it: bool, rest: &[u8]| is_it && reference(rest, &name[1..]);
    match (first, name.first()) {
        (b'*', _) => (0..=name.len()).any(|skipped| reference(rest, &name[skipped..])),
        (_, None) => false,
        (b'?', Some(_)) => one(true, rest),
        (b'\\', Some(byte)) => match rest.split_first() {
            Some((literal, rest)) => one(literal == byte, rest),
            None => one(*byte == b'\\', rest),
        },
        (b'[', Some(byte)) => match class(rest, *byte) {
            Some((is_member, rest)) => one(is_member, rest),
            None => one(*byte == b'[', rest),
        },
        (literal, Some(byte)) => one(literal == byte, rest),
    }
}

/// Whether a byte is in the class whose text begins here, and what stands behind it; `None` if it
/// is not closed.
fn class(text: &[u8], byte: u8) -> Option<(bool, &[u8])> {
    let is_negated = matches!(text.first(), Some(b'!' | b'^'));
    let mut rest = &text[usize::from(is_negated)..];
    let mut is_member = false;
    let mut is_first = true;
    loop {
        if rest.first()? == &b']' && !is_first {
            return Some((is_member != is_negated, &rest[1..]));
        }
        is_first = false;
        let low = member(&mut rest)?;
        let mut behind = rest;
        let is_range = behind.first() == Some(&b'-') && !matches!(behind.get(1), None | Some(b']'));
        let high = match is_range {
            true => {
                behind = &behind[1..];
                let high = member(&mut behind)?;
                rest = behind;
                high
            }
            false => low,
        };
        is_member |= (low..=high).contains(&byte);
    }
}

fn member(rest: &mut &[u8]) -> Option<u8> {
    let is_escaped = rest.first() == Some(&b'\\') && rest.len() > 1;
    let at = usize::from(is_escaped);
    let byte = *rest.get(at)?;
    *rest = &rest[at + 1..];
    Some(byte)
}

/// The names, with blanks between them, below the root and two directories.
fn disk(names: &[u8]) -> Fake {
    let fake = Fake::new();
    for dir in ["/", "/v/", "/v/log/"] {
        for name in names.split(|byte| *byte == b' ').take(8) {
            let name = String::from_utf8_lossy(name);
            let is_one = !matches!(&*name, "" | "." | "..") && !name.contains(['/', '\0']);
            if is_one {
                fake.write(&format!("{dir}{name}"), b"x");
            }
        }
        fake.write(&format!("{dir}m.1"), b"x");
    }
    fake
}

/// A walk takes small steps, comes to an end, and finds only what is there.
fn walk(patterns: &Patterns, disk: &Fake) {
    let mut walk = Walk::new(patterns);
    let (first, names) = (found(&mut walk, disk), disk.names());
    walk.restart();
    assert_eq!(found(&mut walk, disk), first);
    let finds = patterns.finder();
    for path in &first {
        // The names of what was compressed are found by what stands before their ending.
        let bytes = path.as_os_str().as_encoded_bytes();
        let before = uncompressed(bytes).unwrap_or(bytes);
        assert!(finds(bytes) || finds(before), "{}", path.display());
        let text = path.display().to_string();
        let is_above = |name: &String| Path::new(name).starts_with(path);
        let is_there = names.iter().any(is_above) || text.contains(['.', '\u{fffd}']);
        assert!(is_there, "{text} is not there");
    }
}

fn found(walk: &mut Walk, disk: &Fake) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for _ in 0..STEPS_MAX {
        disk.take_done();
        let progress = walk.advance(disk);
        assert!(disk.take_done().steps <= CALLS_PER_STEP);
        match progress {
            Progress::Over => {
                let _ = walk.end();
                return found;
            }
            Progress::Found => {
                found.insert(walk.found().to_owned());
            }
            Progress::On => {}
        }
    }
    panic!("a walk without an end");
}
