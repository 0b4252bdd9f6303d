//! Globs in the manner of Perl and csh, which find the rotated files of a log. Pure: directories
//! come through [`ReadStore`](crate::store::ReadStore).
//!
//! `expand` takes the text apart, `walk` goes through the directories; one name is matched by
//! `wire::glob`.

mod expand;
mod walk;

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::limits::{GLOB_PATTERNS_MAX, GLOB_TEXT_MAX_LEN, PATH_MAX_LEN};

pub use crate::wire::glob::matches;
pub use walk::{Progress, TooMuch, Walk};

/// The endings of compressed files.
const ENDINGS: [&[u8]; 6] = [b".gz", b".bz2", b".xz", b".zst", b".lz4", b".Z"];

/// What a file was called before it was compressed; `None` if its name does not say that it is.
pub fn uncompressed(name: &[u8]) -> Option<&[u8]> {
    // By the name alone: to look at the first bytes of each would take two more system calls a
    // file.
    let mut before = ENDINGS
        .iter()
        .filter_map(|ending| name.strip_suffix(*ending));
    before.next().filter(|before| !before.is_empty())
}

/// The globs of one log, found sound. None at all, the default, is a log without rotated files.
///
/// They are kept as text, which is shorter, and taken apart for each walk.
#[derive(Clone, Debug, Default)]
pub struct Patterns {
    text: Box<[u8]>,
}

/// One absolute pattern: what to do from the root downwards.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Pattern {
    steps: Box<[Step]>,
}

/// A stretch of a pattern.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Step {
    /// One component or several joined by slashes, to be taken as they are.
    Literal(Vec<u8>),
    /// One component that has to be compared with every name in its directory.
    Wild(Vec<u8>),
}

impl Patterns {
    /// Reads the text of `$files{...}`.
    ///
    /// - Blanks separate patterns; quotes, single or double, keep blanks and disappear.
    /// - `{a,b}` stands for one pattern with `a` and one with `b`; it nests and may hold slashes.
    /// - `*` is any number of bytes, `?` is one, `[a-z]` one of these, `[!a-z]` or `[^a-z]` one of
    ///   the others.
    /// - None of them takes a slash, nor the dot that a hidden name begins with.
    /// - A backslash makes the next byte an ordinary one.
    ///
    /// Every pattern must be absolute. Text of blanks only is legal and finds nothing.
    pub fn parse(text: &[u8]) -> Result<Patterns, PatternError> {
        // Blanks only are no glob at all; kept as no text, so that nobody walks for them.
        let text = match expand::patterns(text)?.is_empty() {
            true => Box::default(),
            false => text.into(),
        };
        Ok(Patterns { text })
    }

    /// Reads the glob of a client: one pattern, which costs little to compare with. Who asks is not
    /// the operator.
    pub fn parse_one(text: &[u8]) -> Result<Patterns, PatternError> {
        if text.len() > PATH_MAX_LEN {
            return Err(PatternError::TooLong);
        }
        match expand::patterns(text)?.len() {
            1 => Ok(Patterns { text: text.into() }),
            _ => Err(PatternError::TooMany),
        }
    }

    /// Tells whether nothing can ever be found.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The directories below which everything lies that can be found.
    pub fn roots(&self) -> Vec<PathBuf> {
        self.list().iter().map(Pattern::root).collect()
    }

    /// Whether something with this name may be found, or be a directory on the way to it.
    pub fn may_find(&self, name: &[u8]) -> bool {
        let is_it = |step: &Step| match step {
            Step::Literal(names) => names.split(|byte| *byte == b'/').any(|it| it == name),
            Step::Wild(pattern) => matches(pattern, name),
        };
        self.list()
            .iter()
            .any(|pattern| pattern.steps.iter().any(is_it))
    }

    /// What tells whether one of them finds a path.
    pub fn finder(&self) -> impl Fn(&[u8]) -> bool + use<> {
        let list = self.list();
        move |path| list.iter().any(|pattern| pattern.finds(path))
    }

    /// Each on its own, as it is without braces and quotes, and the walk that goes through it.
    pub fn walks(&self) -> Vec<(Vec<u8>, Walk)> {
        let walk = |pattern: Pattern| (pattern.text(), Walk::through([pattern].into()));
        self.list().into_iter().map(walk).collect()
    }

    /// Each on its own, taken apart.
    fn list(&self) -> Box<[Pattern]> {
        // `parse` has taken this text apart once without an error.
        expand::patterns(&self.text).unwrap_or_default()
    }
}

impl Pattern {
    fn finds(&self, path: &[u8]) -> bool {
        let mut rest = path;
        for step in &self.steps {
            let Some(behind) = rest.strip_prefix(b"/") else {
                return false;
            };
            let len = match step {
                Step::Literal(names) => match behind.starts_with(names) {
                    true => names.len(),
                    false => return false,
                },
                Step::Wild(pattern) => {
                    let end = behind.iter().position(|byte| *byte == b'/');
                    let end = end.unwrap_or(behind.len());
                    match matches(pattern, &behind[..end]) {
                        true => end,
                        false => return false,
                    }
                }
            };
            rest = &behind[len..];
        }
        rest.is_empty()
    }

    fn text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        for step in &self.steps {
            let (Step::Literal(names) | Step::Wild(names)) = step;
            text.push(b'/');
            text.extend_from_slice(names);
        }
        text
    }

    /// The deepest directory that the pattern names without a wildcard.
    fn root(&self) -> PathBuf {
        let Some(Step::Literal(names)) = self.steps.first() else {
            return PathBuf::from("/");
        };
        let path = Path::new("/").join(OsStr::from_bytes(names));
        match (self.steps.len(), path.parent()) {
            (1, Some(dir)) => dir.to_path_buf(),
            _ => path,
        }
    }
}

/// Equality by meaning: those are the same that look for the same, however they are written.
impl PartialEq for Patterns {
    fn eq(&self, other: &Patterns) -> bool {
        self.list() == other.list()
    }
}

impl Eq for Patterns {}

/// The reason why a text is no list of patterns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PatternError {
    /// A pattern does not begin with a slash.
    NotAbsolute,
    /// A pattern ends in a slash.
    Directory,
    /// A `{` without its `}`.
    BraceOpen,
    /// A `[` without its `]` in the same component.
    BracketOpen,
    /// A quote without its partner.
    QuoteOpen,
    /// A NUL byte, which no name can hold.
    Nul,
    /// More text than is looked at.
    TooLong,
    /// More patterns than are looked at.
    TooMany,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PatternError::NotAbsolute => f.write_str(
                "each pattern must begin with /; write '' if the log has no rotated files",
            ),
            PatternError::Directory => {
                f.write_str("a pattern that ends in / finds directories, never files")
            }
            PatternError::BraceOpen => {
                f.write_str("a { in the pattern has no }; write [{] if the name holds one")
            }
            PatternError::BracketOpen => {
                f.write_str("a [ in the pattern has no ]; write [[] if the name holds one")
            }
            PatternError::QuoteOpen => {
                f.write_str("a quote in the pattern has no partner; write ? if the name holds one")
            }
            PatternError::Nul => f.write_str("the pattern holds a NUL byte, which no name can"),
            PatternError::TooLong => {
                write!(f, "the patterns are longer than {GLOB_TEXT_MAX_LEN} bytes")
            }
            PatternError::TooMany => {
                write!(
                    f,
                    "these are more than {GLOB_PATTERNS_MAX} patterns; use * or ? for some of them"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests;
