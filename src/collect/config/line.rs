//! The reading of one line of the configuration, by itself.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::rc::Rc;

use super::faults::Faults;
use super::options::{self, Behind, Options};
use super::template::Template;
use super::word::{Spot, Word, Words, check_control, check_local, is_blank, unquoted};
use super::{
    Address, ConfigError, Draft, Field, History, KeepFree, LineNumber, Problem, Proto, SourceConfig,
};
use crate::ids::MaybeOffset;
use crate::limits;
use crate::wire::glob::{is_glob, plain};

/// What lines say for others.
#[derive(Default)]
pub(super) struct Scope {
    /// For all lines, wherever they stand.
    pub(super) defaults: Options,
    /// For the short lines behind it.
    pub(super) copies: Option<Rc<Template>>,
}

/// What a line is.
pub(super) enum Line {
    /// Empty, a comment, faulty, or it says something for others.
    Nothing,
    Source(Box<Draft>),
    /// `include NAME`, and where that stands.
    Include {
        name: PathBuf,
        spot: Spot,
    },
}

/// Reads a line. What it says for others is added to `scope`, what is wrong with it to `faults`.
pub(super) fn read(line: &[u8], at: LineNumber, scope: &mut Scope, faults: &mut Faults) -> Line {
    let mut words = Words::of(line, at);
    let Some(first) = words.clone().next() else {
        return Line::Nothing;
    };
    if first.bytes.starts_with(b"#") {
        return Line::Nothing;
    }
    if !DIRECTIVES.contains(&first.bytes) || is_source(words.clone()) {
        return source(words, at, scope, faults);
    }
    words.next();
    let before = faults.errors.len();
    let line = directive(first, words, scope, faults);
    faults.are_fatal |= faults.errors.len() > before;
    line
}

/// What a line begins with that says something for others. A host may be called so.
const DIRECTIVES: [&[u8]; 3] = [b"copies", b"defaults", b"include"];

fn directive(
    first: Word<'_>,
    mut words: Words<'_>,
    scope: &mut Scope,
    faults: &mut Faults,
) -> Line {
    if first.bytes == b"defaults" {
        options::read(words, Behind::Defaults, &mut scope.defaults, faults);
        return Line::Nothing;
    }
    let is_include = first.bytes == b"include";
    let (word, more) = (words.next(), words.next());
    let (Some(word), None) = (word, more) else {
        faults
            .errors
            .push(more.unwrap_or(first).error(Problem::OnePath));
        return Line::Nothing;
    };
    if is_include {
        let name = faults.keep(unquoted(word));
        return name.map_or(Line::Nothing, |name| Line::Include {
            name: OsStr::from_bytes(&name).into(),
            spot: word.spot,
        });
    }
    match scope.copies {
        Some(_) => faults.errors.push(first.error(Problem::RepeatedCopies)),
        None => scope.copies = faults.keep(Template::parse(word)).map(Rc::new),
    }
    Line::Nothing
}

/// What the text includes, so that it can be read before all is understood.
pub(super) fn includes(text: &[u8]) -> Vec<PathBuf> {
    let lines = text.split(|byte| *byte == b'\n');
    let name = |line| {
        let mut words = Words::of(line, LineNumber::default());
        if words.clone().next()?.bytes != b"include" || is_source(words.clone()) {
            return None;
        }
        let name = unquoted(words.nth(1)?).ok()?;
        Some(OsStr::from_bytes(&name).into())
    };
    lines.filter_map(name).collect()
}

fn source(mut words: Words<'_>, at: LineNumber, scope: &Scope, faults: &mut Faults) -> Line {
    let copies = scope.copies.as_ref().filter(|_| is_short(words.clone()));
    // All fields are read before any is missed, so that one reading tells all errors of the line.
    let mut fields = Fields {
        words: &mut words,
        faults,
        ended: false,
    };
    let address = fields.next(Field::Address, address);
    let has_port = copies.is_none() || !fields.is_next_a_path();
    let port = match has_port {
        true => fields.next(Field::Port, port),
        false => Some((0, DEFAULT_PORT)),
    };
    let mut remote_word = fields.words.clone();
    let remote = fields.next(Field::Remote, remote);
    let own = copies.is_none().then(|| {
        let local = fields.next(Field::Local, |word| local_path(word, Field::Local));
        let pointer = fields.next(Field::Pointer, |word| local_path(word, Field::Pointer));
        (local, pointer)
    });
    let behind = match copies {
        Some(_) => Behind::Short,
        None => Behind::Fields,
    };
    let mut said = Options::default();
    let is_sound = options::read(words, behind, &mut said, faults);
    let draft = || {
        let (address_column, address) = address?;
        let (_, port) = port?;
        let (_, remote) = remote?;
        let is_family = copies.is_some() && is_glob(&remote);
        let remote = match copies.is_some() && !is_family {
            true => plain(&remote).into(),
            false => remote,
        };
        let ((local_column, local), (pointer_column, pointer)) = match (own, copies) {
            (Some((local, pointer)), _) => (local?, pointer?),
            (None, Some(template)) => {
                let word = remote_word.next()?;
                let host = said
                    .name
                    .as_deref()
                    .map_or_else(|| address.to_string(), Into::into);
                let files = template.files(&host, &remote, word);
                let (local, pointer) = faults.keep(files)?;
                ((word.spot.column, local), (word.spot.column, pointer))
            }
            (None, None) => return None,
        };
        is_sound.then(|| Draft {
            source: SourceConfig {
                address,
                name: said.name.take(),
                port,
                remote,
                local: local.into(),
                pointer: pointer.into(),
                makes_dirs: copies.is_some(),
                proto: Proto::default(),
                history: History::default(),
                max: MaybeOffset::NONE,
                keep_free: KeepFree::default(),
                access: None,
                key: None,
                line: at,
            },
            options: said,
            family: copies.filter(|_| is_family).cloned(),
            address_column,
            local_column,
            pointer_column,
        })
    };
    draft().map_or(Line::Nothing, |draft| Line::Source(Box::new(draft)))
}

/// The port of a short line that names none: that of the server's default.
const DEFAULT_PORT: u16 = 19;

/// Whether a line has fewer than five fields before what looks like options, or a comment.
fn is_short(words: Words<'_>) -> bool {
    let is_field = |word: &Word<'_>| {
        let key = word.bytes.split(|byte| *byte == b'=').next();
        let key = key.filter(|key| key.len() < word.bytes.len());
        let is_key = |key: &[u8]| key.iter().all(|b| b.is_ascii_lowercase() || *b == b'_');
        !key.is_some_and(is_key) && !word.bytes.starts_with(b"#")
    };
    words.take_while(is_field).take(5).count() < 5
}

/// Takes the fields off the words and keeps the errors.
struct Fields<'w, 'a> {
    words: &'w mut Words<'a>,
    faults: &'w mut Faults,
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
            Some(word) => parse(word).map(|value| (word.spot.column, value)),
            None => {
                self.ended = true;
                let end = self.words.take_until(is_blank);
                Err(end.error(Problem::Missing(field)))
            }
        };
        self.faults.keep(parsed)
    }

    /// Whether the next field begins as a path on a server does, in quotes or without.
    fn is_next_a_path(&self) -> bool {
        let next = self.words.clone().next();
        next.is_some_and(|word| word.bytes.starts_with(b"/") || word.bytes.starts_with(b"\""))
    }
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
    // To fetchlogs 1.1 it was octal.
    if digits && word.bytes.len() > 1 && word.bytes.starts_with(b"0") {
        return Err(word.error(Problem::OctalPort));
    }
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
    if options::is_option(word) {
        return Err(word.error(Problem::OptionAsPath(field)));
    }
    let path = unquoted(word)?;
    check_control(word, field)?;
    check_local(word, &path, field)?;
    Ok(OsStr::from_bytes(&path).into())
}

/// Whether a line that begins with a directive has the five fields. None of these but the names can
/// have a `=`, and an option has one.
fn is_source(mut words: Words<'_>) -> bool {
    let has_port = words.nth(1).is_some_and(|word| !word.bytes.contains(&b'='));
    has_port && words.nth(2).is_some()
}
