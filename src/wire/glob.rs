//! Globs, byte by byte: the match of one component of a pattern with one name.

/// Tells whether a name matches one component of a pattern.
///
/// Neither holds a slash. The time is at most the product of the two lengths, whatever the pattern.
pub fn matches(pattern: &[u8], name: &[u8]) -> bool {
    // As in every shell, hidden files are found only by who asks for them.
    if name.first() == Some(&b'.') && !begins_with_dot(pattern) {
        return false;
    }
    let (mut pattern, mut name) = (pattern, name);
    // What stands behind the last star, and the name from where that star has taken nothing more
    // yet. Only the last star ever needs to take more: whatever an earlier one could give up, the
    // later one can take.
    let mut retry = None;
    loop {
        match (token(pattern), name.split_first()) {
            (None, None) => return true,
            // At first a star takes nothing.
            (Some((Token::Star, behind)), _) => {
                retry = Some((behind, name));
                pattern = behind;
            }
            (Some((one, behind)), Some((&byte, tail))) if one.takes(byte) => {
                pattern = behind;
                name = tail;
            }
            // The name is used up, and what is left of the pattern wants a byte. No retry helps: a
            // star that takes more leaves even less.
            (Some(_), None) => return false,
            (_, Some(_)) => {
                // It does not fit from here: the last star takes one byte more, and all behind it
                // is tried again from there.
                let Some((behind, from)) = retry else {
                    return false;
                };
                let Some((&byte, tail)) = from.split_first() else {
                    return false;
                };
                if byte == b'/' {
                    return false;
                }
                retry = Some((behind, tail));
                pattern = behind;
                name = tail;
            }
        }
    }
}

/// A part of a pattern.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Token<'p> {
    /// This byte.
    Literal(u8),
    /// `?`
    One,
    /// `*`
    Star,
    /// `[...]`, without the brackets.
    Class {
        /// What stands between them.
        inside: &'p [u8],
        /// It stands for all others.
        negated: bool,
    },
}

impl Token<'_> {
    /// Tells whether the token, which is no star, stands for this byte.
    fn takes(self, byte: u8) -> bool {
        match self {
            Token::Literal(literal) => byte == literal,
            Token::One | Token::Star => byte != b'/',
            // Else `[!a]` would take the slash between two directories.
            Token::Class { inside, negated } => byte != b'/' && in_class(inside, byte) != negated,
        }
    }
}

/// The first token of a pattern and what stands behind it; `None` at the end. A `[` that nothing
/// closes and a backslash at the end are ordinary bytes.
pub fn token(pattern: &[u8]) -> Option<(Token<'_>, &[u8])> {
    let (&first, behind) = pattern.split_first()?;
    Some(match first {
        b'*' => (Token::Star, behind),
        b'?' => (Token::One, behind),
        b'[' => class(pattern).unwrap_or((Token::Literal(b'['), behind)),
        b'\\' => escaped(behind),
        _ => (Token::Literal(first), behind),
    })
}

/// The length of the class, brackets included, that a pattern begins with; `None` if it begins with
/// none.
///
/// A `]` right behind the opening is a member. A slash ends the component and so leaves the class
/// unclosed.
pub fn class_len(pattern: &[u8]) -> Option<usize> {
    let behind = pattern.strip_prefix(b"[")?;
    let behind = behind
        .strip_prefix(b"!")
        .or(behind.strip_prefix(b"^"))
        .unwrap_or(behind);
    let mut rest = behind.strip_prefix(b"]").unwrap_or(behind);
    loop {
        rest = match rest {
            [b']', rest @ ..] => return Some(pattern.len().saturating_sub(rest.len())),
            [b'/', ..] | [] => return None,
            // A `]` behind a backslash is a member, not the end.
            [b'\\', _, rest @ ..] | [_, rest @ ..] => rest,
        }
    }
}

fn class(pattern: &[u8]) -> Option<(Token<'_>, &[u8])> {
    let (class, behind) = pattern.split_at_checked(class_len(pattern)?)?;
    let inside = class.strip_prefix(b"[")?.strip_suffix(b"]")?;
    let (inside, negated) = match inside {
        [b'!' | b'^', inside @ ..] => (inside, true),
        inside => (inside, false),
    };
    Some((Token::Class { inside, negated }, behind))
}

fn in_class(mut inside: &[u8], byte: u8) -> bool {
    while let Some((low, behind)) = member(inside) {
        inside = behind;
        let mut high = low;
        // A `-` at the end of the class has nothing behind it and stands for itself.
        if let [b'-', end @ ..] = behind
            && let Some((end, behind)) = member(end)
        {
            inside = behind;
            high = end;
        }
        // By value of the bytes, whatever the locale; a range that runs backwards holds nothing.
        if (low..=high).contains(&byte) {
            return true;
        }
    }
    false
}

/// The first byte of what stands in a class, freed of its backslash.
fn member(inside: &[u8]) -> Option<(u8, &[u8])> {
    match inside {
        [b'\\', byte, behind @ ..] | [byte, behind @ ..] => Some((*byte, behind)),
        [] => None,
    }
}

fn escaped(behind: &[u8]) -> (Token<'_>, &[u8]) {
    match behind.split_first() {
        Some((&byte, behind)) => (Token::Literal(byte), behind),
        None => (Token::Literal(b'\\'), behind),
    }
}

fn begins_with_dot(pattern: &[u8]) -> bool {
    // Neither `?` nor `[.]` asks for a hidden file, only a dot that is written out.
    matches!(token(pattern), Some((Token::Literal(b'.'), _)))
}

/// Whether a text has a wildcard in it that no backslash protects.
pub fn is_glob(text: &[u8]) -> bool {
    let mut rest = text;
    while let Some((one, behind)) = token(rest) {
        if !matches!(one, Token::Literal(_))
            || (rest.first(), one) == (Some(&b'['), Token::Literal(b'['))
        {
            return true;
        }
        rest = behind;
    }
    false
}

/// A text that is no glob, as the path that it means: without the backslashes in front of
/// wildcards.
pub fn plain(text: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(text.len());
    for (at, &byte) in text.iter().enumerate() {
        let is_shield = byte == b'\\' && matches!(text.get(at + 1), Some(b'*' | b'?' | b'['));
        if !is_shield {
            path.push(byte);
        }
    }
    path
}

/// Whether a glob of one pattern, without braces and quotes, finds a path. Both begin with a slash.
pub fn finds(glob: &[u8], path: &[u8]) -> bool {
    let mut names = path.split(|byte| *byte == b'/');
    let is_slash = |byte: &u8| *byte == b'/';
    glob.split(is_slash)
        .all(|pattern| names.next().is_some_and(|name| matches(pattern, name)))
        && names.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_has_a_wildcard_that_nothing_protects() {
        for glob in ["/v/*", "/v/?", "/v/[ab]", "/v/[", "/v/\\\\*"] {
            assert!(is_glob(glob.as_bytes()), "{glob}");
        }
        for (text, path) in [
            ("/v/m", "/v/m"),
            ("/v/\\*\\?\\[", "/v/*?["),
            ("/v/a\\b", "/v/a\\b"),
        ] {
            assert!(!is_glob(text.as_bytes()), "{text}");
            assert_eq!(plain(text.as_bytes()), path.as_bytes());
        }
    }

    #[test]
    fn a_glob_finds_paths_part_by_part() {
        for (glob, path, is_found) in [
            ("/v/*.log", "/v/a.log", true),
            ("/v/*.log", "/v/b/a.log", false),
            ("/v/*/m", "/v/b/m", true),
            ("/v/*/m", "/v/.b/m", false),
            ("/v/*", "/v/", true),
            ("/v/*", "/v", false),
            ("/v", "/v/a", false),
            ("/v/a*", "/v/a/", false),
            ("/v/\\*", "/v/*", true),
            ("/v/\\*", "/v/a", false),
        ] {
            assert_eq!(
                finds(glob.as_bytes(), path.as_bytes()),
                is_found,
                "{glob} {path}"
            );
        }
    }
}
