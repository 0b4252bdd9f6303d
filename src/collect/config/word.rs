//! The words of a line, and paths among them.

use std::borrow::Cow;
use std::cell::Cell;

use super::{ConfigError, Field, LineNumber, Problem};
use crate::limits;

/// A place, at which something may be wrong.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    /// The line.
    pub(super) line: LineNumber,
    /// The character in the line, from 1 on.
    pub(super) column: u32,
}

impl Spot {
    pub(super) fn error(self, problem: Problem) -> ConfigError {
        let Spot { line, column } = self;
        ConfigError {
            line,
            column,
            problem,
        }
    }
}

/// A word of a line, and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Word<'a> {
    pub(super) spot: Spot,
    pub(super) bytes: &'a [u8],
}

impl<'a> Word<'a> {
    /// The two halves of a word, cut so many bytes into it; all and nothing if it is shorter.
    pub(super) fn split_at(&self, offset: usize) -> (Word<'a>, Word<'a>) {
        let (head, tail) = self
            .bytes
            .split_at_checked(offset)
            .unwrap_or((self.bytes, b""));
        let Spot { line, column } = self.spot;
        let part = |column, bytes| Word {
            spot: Spot { line, column },
            bytes,
        };
        let behind = column.saturating_add(characters(head));
        (part(column, head), part(behind, tail))
    }

    pub(super) fn error(&self, problem: Problem) -> ConfigError {
        self.spot.error(problem)
    }
}

/// The words of a line, left to right.
#[derive(Clone)]
pub(super) struct Words<'a> {
    spot: Spot,
    rest: &'a [u8],
}

impl<'a> Words<'a> {
    pub(super) fn of(line: &'a [u8], at: LineNumber) -> Words<'a> {
        Words {
            spot: Spot {
                line: at,
                column: 1,
            },
            rest: line.strip_suffix(b"\r").unwrap_or(line),
        }
    }

    /// Everything before the first byte that fits, or all that is left.
    pub(super) fn take_until(&mut self, fits: impl Fn(u8) -> bool) -> Word<'a> {
        let end = self.rest.iter().position(|byte| fits(*byte));
        let (bytes, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        let word = Word {
            spot: self.spot,
            bytes,
        };
        self.rest = rest;
        self.spot.column = self.spot.column.saturating_add(characters(bytes));
        word
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = Word<'a>;

    fn next(&mut self) -> Option<Word<'a>> {
        self.take_until(|byte| !is_blank(byte));
        let quoted = quoted_len(self.rest);
        let word = match quoted {
            0 => self.take_until(is_blank),
            _ => {
                let at = Cell::new(0);
                self.take_until(|byte| {
                    at.set(at.get() + 1);
                    at.get() > quoted && is_blank(byte)
                })
            }
        };
        (!word.bytes.is_empty()).then_some(word)
    }
}

/// The length of the text in quotes at the start of a line; 0 if there is none that ends.
fn quoted_len(rest: &[u8]) -> usize {
    if !rest.starts_with(b"\"") {
        return 0;
    }
    let mut at = 1;
    while let Some(byte) = rest.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    0
}

/// A path as it is meant: without the quotes around it, and what protects quotes within.
pub(super) fn unquoted(word: Word<'_>) -> Result<Cow<'_, [u8]>, ConfigError> {
    let Some(inner) = word.bytes.strip_prefix(b"\"") else {
        return Ok(Cow::Borrowed(word.bytes));
    };
    let bad = || word.error(Problem::BadQuotes);
    let inner = inner.strip_suffix(b"\"").ok_or_else(bad)?;
    let mut path = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter().copied();
    while let Some(byte) = bytes.next() {
        path.push(match byte {
            b'"' => return Err(bad()),
            b'\\' => bytes
                .next()
                .filter(|it| b"\"\\".contains(it))
                .ok_or_else(bad)?,
            byte => byte,
        });
    }
    Ok(Cow::Owned(path))
}

/// Whether a path, for which `word` stands, can be that of a file of ours.
pub(super) fn check_local(word: Word<'_>, path: &[u8], field: Field) -> Result<(), ConfigError> {
    if path.len() > limits::LOCAL_PATH_MAX_LEN {
        return Err(word.error(Problem::TooLong(field, limits::LOCAL_PATH_MAX_LEN)));
    }
    let name = path.rsplit(|byte| *byte == b'/').next();
    match name.unwrap_or_default() {
        b"" | b"." | b".." => Err(word.error(Problem::NotAFile(field))),
        name if name.len() > limits::LOCAL_NAME_MAX_LEN => {
            Err(word.error(Problem::NameTooLong(field, limits::LOCAL_NAME_MAX_LEN)))
        }
        _ => Ok(()),
    }
}

pub(super) fn check_control(word: Word<'_>, field: Field) -> Result<(), ConfigError> {
    // They would break the lines of events and records that name the file.
    let control = word.bytes.iter().position(u8::is_ascii_control);
    let (_, rest) = word.split_at(control.unwrap_or(word.bytes.len()));
    match rest.bytes {
        [byte, ..] => Err(rest.error(Problem::ControlByte(field, *byte))),
        [] => Ok(()),
    }
}

pub(super) fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// The number of characters that a reader sees, so that columns are those of an editor: in UTF-8
/// only the first byte of a character counts.
fn characters(bytes: &[u8]) -> u32 {
    let starts = bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count();
    starts.try_into().unwrap_or(u32::MAX)
}
