//! The reading of one line of the configuration, by itself.

use std::borrow::Cow;
use std::cell::Cell;
use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::{
    Address, ConfigError, Draft, Field, History, KeepFree, Options, Problem, Proto, SourceConfig,
};
use crate::limits;

/// The source on a line. `None` for an empty line, a comment, defaults, which are added to those
/// that there are, and a faulty line, whose errors are added to `errors`.
pub(super) fn read(
    line: &[u8],
    number: u32,
    defaults: &mut Options,
    errors: &mut Vec<ConfigError>,
) -> Option<Draft> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut words = Words {
        line: number,
        column: 1,
        rest: line,
    };
    let first = words.clone().next()?;
    if first.bytes.starts_with(b"#") {
        return None;
    }
    if first.bytes == b"defaults" && !is_source(words.clone()) {
        words.next();
        options(words, Behind::Defaults, defaults, errors);
        return None;
    }

    // All fields are read before any is missed, so that one reading tells all errors of the line.
    let mut fields = Fields {
        words: &mut words,
        errors,
        ended: false,
    };
    let address = fields.next(Field::Address, address);
    let port = fields.next(Field::Port, port);
    let remote = fields.next(Field::Remote, remote);
    let local = fields.next(Field::Local, |word| local_path(word, Field::Local));
    let pointer = fields.next(Field::Pointer, |word| local_path(word, Field::Pointer));
    let mut said = Options::default();
    let is_sound = options(words, Behind::Source, &mut said, errors);

    let (address_column, address) = address?;
    let (_, port) = port?;
    let (_, remote) = remote?;
    let (local_column, local) = local?;
    let (pointer_column, pointer) = pointer?;
    is_sound.then_some(Draft {
        source: SourceConfig {
            address,
            port,
            remote,
            local,
            pointer,
            proto: Proto::default(),
            history: History::default(),
            max: None,
            keep_free: KeepFree::default(),
            line: number,
        },
        options: said,
        address_column,
        local_column,
        pointer_column,
    })
}

/// A word of a line, and where it stands.
#[derive(Clone, Copy)]
struct Word<'a> {
    line: u32,
    column: u32,
    bytes: &'a [u8],
}

impl<'a> Word<'a> {
    /// The two halves of a word, cut so many bytes into it; all and nothing if it is shorter.
    fn split_at(&self, offset: usize) -> (Word<'a>, Word<'a>) {
        let (head, tail) = self
            .bytes
            .split_at_checked(offset)
            .unwrap_or((self.bytes, b""));
        let column = self.column.saturating_add(characters(head));
        let part = |column, bytes| Word {
            line: self.line,
            column,
            bytes,
        };
        (part(self.column, head), part(column, tail))
    }

    fn error(&self, problem: Problem) -> ConfigError {
        ConfigError {
            line: self.line,
            column: self.column,
            problem,
        }
    }
}

/// The words of a line, left to right.
#[derive(Clone)]
struct Words<'a> {
    line: u32,
    column: u32,
    rest: &'a [u8],
}

impl<'a> Words<'a> {
    /// Everything before the first byte that fits, or all that is left.
    fn take_until(&mut self, fits: impl Fn(u8) -> bool) -> Word<'a> {
        let end = self.rest.iter().position(|byte| fits(*byte));
        let (bytes, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        let word = Word {
            line: self.line,
            column: self.column,
            bytes,
        };
        self.rest = rest;
        self.column = self.column.saturating_add(characters(bytes));
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
fn unquoted(word: Word<'_>) -> Result<Cow<'_, [u8]>, ConfigError> {
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

/// Takes the five fields off the words and keeps the errors.
struct Fields<'w, 'a> {
    words: &'w mut Words<'a>,
    errors: &'w mut Vec<ConfigError>,
    ended: bool,
}

impl<'a> Fields<'_, 'a> {
    /// The column and the value of the next field. Only the first missing one is an error.
    fn next<T>(
        &mut self,
        field: Field,
        parse: impl Fn(Word<'a>) -> Result<T, ConfigError>,
    ) -> Option<(u32, T)> {
        if self.ended {
            return None;
        }
        let parsed = match self.words.next() {
            Some(word) => parse(word).map(|value| (word.column, value)),
            None => {
                self.ended = true;
                let end = self.words.take_until(is_blank);
                Err(end.error(Problem::Missing(field)))
            }
        };
        keep(parsed, self.errors)
    }
}

fn keep<T>(parsed: Result<T, ConfigError>, errors: &mut Vec<ConfigError>) -> Option<T> {
    parsed.map_err(|error| errors.push(error)).ok()
}

fn address(word: Word<'_>) -> Result<Address, ConfigError> {
    let text = str::from_utf8(word.bytes).map_err(|_| word.error(Problem::BadName))?;
    if let Some(zoned) = zoned(text) {
        return Ok(zoned);
    }
    if text.contains([':', '[']) {
        // With a bracket before it there has to be one behind it.
        let bare = text
            .strip_prefix('[')
            .map_or(Some(text), |inner| inner.strip_suffix(']'));
        let ip = bare.and_then(|bare| bare.parse::<Ipv6Addr>().ok());
        let ip = ip.ok_or_else(|| word.error(Problem::BadIpv6))?;
        // The same server as its IPv4 address: one status file and one group of sources.
        return Ok(Address::Ip(ip.to_canonical()));
    }
    // getaddrinfo(3) would take more, in older spellings: `10.1` for 10.0.0.1, and 8 for `010`.
    // That is hardly ever what is meant.
    if text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.')
    {
        let ip = text.parse::<Ipv4Addr>();
        let ip = ip.map_err(|_| word.error(Problem::BadIpv4))?;
        return Ok(Address::Ip(IpAddr::V4(ip)));
    }
    if !is_host_name(text) {
        return Err(word.error(Problem::BadName));
    }
    Ok(Address::Name(text.to_ascii_lowercase().into()))
}

/// An IPv6 address with a zone (RFC 4007, section 11), which is looked up as names are: an
/// interface may come and go.
fn zoned(text: &str) -> Option<Address> {
    let bare = text
        .strip_prefix('[')
        .map_or(Some(text), |inner| inner.strip_suffix(']'));
    let (ip, zone) = bare?.split_once('%')?;
    let ip: Ipv6Addr = ip.parse().ok()?;
    let is_sound = |byte: u8| byte.is_ascii_graphic() && !b"/%[]\"\\".contains(&byte);
    let is_zone = (1..=ZONE_MAX_LEN).contains(&zone.len()) && zone.bytes().all(is_sound);
    is_zone.then(|| Address::Name(format!("{ip}%{zone}").into()))
}

/// Linux has no longer name of an interface.
const ZONE_MAX_LEN: usize = 15;

/// Whether a text can be a host name: only characters that host names in the field have, no empty
/// part but behind the last dot, and nothing that starts like a command line option.
fn is_host_name(text: &str) -> bool {
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let mut parts = text.strip_suffix('.').unwrap_or(text).split('.');
    text.len() <= limits::HOST_NAME_MAX_LEN
        && text.bytes().all(sound)
        && !text.starts_with('-')
        && parts.all(|part| !part.is_empty())
}

fn port(word: Word<'_>) -> Result<u16, ConfigError> {
    // `parse` alone would take a `+` in front.
    let digits = word.bytes.iter().all(u8::is_ascii_digit);
    str::from_utf8(word.bytes)
        .ok()
        .filter(|_| digits)
        .and_then(|text| text.parse().ok())
        .filter(|port| *port > 0)
        .ok_or_else(|| word.error(Problem::BadPort))
}

fn remote(word: Word<'_>) -> Result<Box<[u8]>, ConfigError> {
    let path = unquoted(word)?;
    if !path.starts_with(b"/") {
        return Err(word.error(Problem::RemoteNotAbsolute));
    }
    if path.len() > limits::PATH_MAX_LEN {
        return Err(word.error(Problem::TooLong(Field::Remote, limits::PATH_MAX_LEN)));
    }
    // In quotes any may be meant, as far as a request can have it.
    match &path {
        Cow::Borrowed(_) => check_control(word, Field::Remote)?,
        Cow::Owned(path) if path.contains(&0) => {
            return Err(word.error(Problem::ControlByte(Field::Remote, 0)));
        }
        Cow::Owned(_) => {}
    }
    Ok(path.into())
}

fn local_path(word: Word<'_>, field: Field) -> Result<PathBuf, ConfigError> {
    if KEYS
        .iter()
        .any(|key| word.bytes.starts_with(key.as_bytes()))
    {
        return Err(word.error(Problem::OptionAsPath(field)));
    }
    let path = unquoted(word)?;
    if path.len() > limits::LOCAL_PATH_MAX_LEN {
        return Err(word.error(Problem::TooLong(field, limits::LOCAL_PATH_MAX_LEN)));
    }
    check_control(word, field)?;
    let name = path.rsplit(|byte| *byte == b'/').next();
    match name.unwrap_or_default() {
        b"" | b"." | b".." => Err(word.error(Problem::NotAFile(field))),
        name if name.len() > limits::LOCAL_NAME_MAX_LEN => {
            Err(word.error(Problem::NameTooLong(field, limits::LOCAL_NAME_MAX_LEN)))
        }
        _ => Ok(OsStr::from_bytes(&path).into()),
    }
}

fn check_control(word: Word<'_>, field: Field) -> Result<(), ConfigError> {
    // They would break the lines of events and records that name the file.
    let control = word.bytes.iter().position(u8::is_ascii_control);
    let (_, rest) = word.split_at(control.unwrap_or(word.bytes.len()));
    match rest.bytes {
        [byte, ..] => Err(rest.error(Problem::ControlByte(field, *byte))),
        [] => Ok(()),
    }
}

/// Whether a line that begins with `defaults` has the five fields. None of these but the names can
/// have a `=`, and an option has one.
fn is_source(mut words: Words<'_>) -> bool {
    let has_port = words.nth(1).is_some_and(|word| !word.bytes.contains(&b'='));
    has_port && words.nth(2).is_some()
}

/// What an option of a source begins with.
const KEYS: [&str; 4] = ["proto=", "history=", "max=", "keep_free="];

/// What options stand behind.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Behind {
    Source,
    Defaults,
}

/// Adds the options to those that were `said`. Tells whether nothing is wrong with them.
fn options(
    words: Words<'_>,
    behind: Behind,
    said: &mut Options,
    errors: &mut Vec<ConfigError>,
) -> bool {
    let mut sound = true;
    for word in words {
        let Some(equals) = word.bytes.iter().position(|byte| *byte == b'=') else {
            // A comment or a name with blanks: what follows is more of it, and no error of its own.
            errors.push(word.error(match behind {
                Behind::Source => Problem::NotAnOption,
                Behind::Defaults => Problem::NotADefault,
            }));
            return false;
        };
        let (key, value) = word.split_at(equals + 1);
        let taken = match (key.bytes, behind) {
            (b"proto=", _) => fill(&mut said.proto, word, proto_of(value)),
            (b"history=", _) => fill(&mut said.history, word, history_of(value)),
            (b"max=", _) => fill(&mut said.max, word, max_of(value)),
            (b"keep_free=", Behind::Defaults) => {
                fill(&mut said.keep_free, word, keep_free_of(value))
            }
            (b"keep_free=", Behind::Source) => Err(word.error(Problem::OnlyADefault)),
            _ => Err(word.error(Problem::UnknownOption)),
        };
        sound &= keep(taken, errors).is_some();
    }
    sound
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

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// The number of characters that a reader sees, so that columns are those of an editor: in UTF-8
/// only the first byte of a character counts.
fn characters(bytes: &[u8]) -> u32 {
    let starts = bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count();
    starts.try_into().unwrap_or(u32::MAX)
}
