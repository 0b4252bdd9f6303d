//! The text of a glob, taken apart: into words, each word into one word per choice of its braces,
//! each of these into components.

use super::{Pattern, PatternError, Step};
use crate::limits::{GLOB_PATTERNS_MAX, GLOB_TEXT_MAX_LEN};
use crate::wire::glob::{Token, class_len, token};

/// All patterns of a text; see [`Patterns::parse`](super::Patterns::parse).
pub(super) fn patterns(text: &[u8]) -> Result<Box<[Pattern]>, PatternError> {
    if text.len() > GLOB_TEXT_MAX_LEN {
        return Err(PatternError::TooLong);
    }
    // No name holds one, and every search would fail with an error that says less than this one.
    if text.contains(&0) {
        return Err(PatternError::Nul);
    }
    let mut open = words(text)?;
    // A stack, so that the patterns come out in the order in which they are written.
    open.reverse();
    let mut done = Vec::new();
    while let Some(word) = open.pop() {
        match braces(&word)? {
            // One pair of braces at a time; what its choices still hold is found when they are
            // taken up.
            Some(braces) => open.extend(braces.choices(&word).rev()),
            None => done.push(pattern(&word)?),
        }
        // Every open word becomes at least one pattern, so it is too late already.
        if open.len().saturating_add(done.len()) > GLOB_PATTERNS_MAX {
            return Err(PatternError::TooMany);
        }
    }
    Ok(done.into())
}

/// Splits at blanks outside quotes and takes the quotes away. Backslashes stay, with what they
/// protect.
fn words(text: &[u8]) -> Result<Vec<Vec<u8>>, PatternError> {
    let mut words = Vec::new();
    // None while between words, so that blanks in a row make no empty word.
    let mut word: Option<Vec<u8>> = None;
    let mut quote = None;
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        if quote.is_none() && is_blank(byte) {
            words.extend(word.take());
            continue;
        }
        // Quotes begin a word even if nothing stands between them: '' is one empty word, which is
        // refused as not absolute, and not nothing.
        let word = word.get_or_insert_default();
        match byte {
            b'\'' | b'"' if quote == Some(byte) => quote = None,
            b'\'' | b'"' if quote.is_none() => quote = Some(byte),
            b'\\' => {
                word.push(byte);
                // Whatever the backslash protects, a quote or a blank, ends nothing.
                word.extend(bytes.next());
            }
            _ => word.push(byte),
        }
    }
    if quote.is_some() {
        return Err(PatternError::QuoteOpen);
    }
    words.extend(word);
    Ok(words)
}

/// Whether Perl's `isSPACE` takes a byte for a blank.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// Where the first braces of a word and the commas between their choices stand.
struct Braces {
    /// The opening brace, the commas, the closing brace: a choice stands between each two
    /// neighbours.
    marks: Vec<usize>,
}

impl Braces {
    /// The word once for each choice.
    fn choices(&self, word: &[u8]) -> impl DoubleEndedIterator<Item = Vec<u8>> {
        let part = |from: usize, to: usize| word.get(from..to).unwrap_or_default();
        // What stands around the braces comes with each choice, unexpanded as it is.
        let before = part(0, self.marks.first().copied().unwrap_or_default());
        let last = self.marks.last().copied().unwrap_or(word.len());
        let behind = part(last.saturating_add(1), word.len());
        self.marks.windows(2).map(move |pair| {
            let choice = match pair {
                [left, right] => part(left.saturating_add(1), *right),
                _ => &[],
            };
            [before, choice, behind].concat()
        })
    }
}

/// Finds the first braces of a word. A `}` on its own is an ordinary byte, and so is everything
/// within brackets.
fn braces(word: &[u8]) -> Result<Option<Braces>, PatternError> {
    let mut marks = Vec::new();
    let mut depth: u32 = 0;
    let mut at: usize = 0;
    while let Some(rest) = word.get(at..)
        && let Some(&byte) = rest.first()
    {
        match (byte, depth) {
            (b'{', _) => {
                if depth == 0 {
                    marks.push(at);
                }
                depth = depth.saturating_add(1);
            }
            (b'}', 1) => {
                marks.push(at);
                return Ok(Some(Braces { marks }));
            }
            (b'}', _) => depth = depth.saturating_sub(1),
            // A comma deeper down belongs to braces within, one outside of all braces is an
            // ordinary byte.
            (b',', 1) => marks.push(at),
            _ => {}
        }
        at = at.saturating_add(unit_len(byte, rest));
    }
    if depth == 0 {
        Ok(None)
    } else {
        Err(PatternError::BraceOpen)
    }
}

/// How many bytes belong together at the start of `rest`: a byte with its backslash, a class with
/// its brackets.
fn unit_len(first: u8, rest: &[u8]) -> usize {
    match first {
        b'\\' => 2,
        // Nothing within brackets is a brace, a comma or a slash.
        b'[' => class_len(rest).unwrap_or(1),
        _ => 1,
    }
}

/// One pattern without braces, cut into steps; neighbours without wildcards are joined.
fn pattern(word: &[u8]) -> Result<Pattern, PatternError> {
    if !word.starts_with(b"/") {
        return Err(PatternError::NotAbsolute);
    }
    if word.ends_with(b"/") {
        return Err(PatternError::Directory);
    }
    let mut steps: Vec<Step> = Vec::new();
    // Slashes in a row make empty components, and mean one slash.
    for component in components(word)
        .into_iter()
        .filter(|component| !component.is_empty())
    {
        match (step(component)?, steps.last_mut()) {
            // One system call for a stretch without wildcards, however deep it leads.
            (Step::Literal(name), Some(Step::Literal(path))) => {
                path.push(b'/');
                path.extend(name);
            }
            (step, _) => steps.push(step),
        }
    }
    Ok(Pattern {
        steps: steps.into(),
    })
}

/// The pieces between slashes; a backslash in front of a slash changes nothing.
fn components(word: &[u8]) -> Vec<&[u8]> {
    let mut components = Vec::new();
    let (mut start, mut at): (usize, usize) = (0, 0);
    while let Some(rest) = word.get(at..)
        && let Some(&byte) = rest.first()
    {
        let len = unit_len(byte, rest);
        let next = at.saturating_add(len);
        if byte == b'/' || rest.starts_with(b"\\/") {
            components.extend(word.get(start..at));
            start = next;
        }
        at = next;
    }
    components.extend(word.get(start..));
    components
}

fn step(component: &[u8]) -> Result<Step, PatternError> {
    let mut name = Vec::with_capacity(component.len());
    let mut is_wild = false;
    let mut rest = component;
    while let Some((token, behind)) = token(rest) {
        match token {
            // `token` makes an ordinary byte of a bracket that nothing closes. In a configuration
            // that is taken for a slip.
            Token::Literal(b'[') if rest.starts_with(b"[") => {
                return Err(PatternError::BracketOpen);
            }
            Token::Literal(byte) => name.push(byte),
            Token::One | Token::Star | Token::Class { .. } => is_wild = true,
        }
        rest = behind;
    }
    Ok(if is_wild {
        // With its backslashes, which the match understands; a literal step is a name as it is on
        // the disk.
        Step::Wild(component.to_vec())
    } else {
        Step::Literal(name)
    })
}
