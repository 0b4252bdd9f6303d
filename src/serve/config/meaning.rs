//! The meaning of the settings: which values each one takes, and what an assignment makes of the
//! configuration.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::allow::{Hosts, Network};
use super::error::{ConfigError, Problem};
use super::family::Family;
use super::literal::{Literal, Value};
use super::name::{Hash, Scalar};
use super::text::Position;
use super::{Config, FileEntry};
use crate::limits::{CLIENTS_MAX, PATH_MAX_LEN, PERIOD_MAX_MS};
#[cfg(feature = "noise")]
use crate::noise::key::PublicKey;
use crate::serve::glob::Patterns;
use crate::wire::glob::{is_glob, plain};

/// The effect of one statement.
pub(super) enum Assignment {
    Scalar(Scalar, Literal),
    /// One key of a hash and its value.
    Element(Hash, Literal, Literal),
    /// A hash with these keys and values, in turn, and no others.
    Whole(Hash, Vec<Literal>),
}

impl Config {
    /// Does what an assignment says as far as it makes sense, and calls `note` with every error.
    pub(super) fn assign(&mut self, assignment: Assignment, note: &mut dyn FnMut(ConfigError)) {
        match assignment {
            Assignment::Scalar(scalar, Literal { position, value }) => {
                sound(self.set(scalar, &value), position, note);
            }
            Assignment::Element(hash, key, value) => self.put(hash, &key, &value, note),
            Assignment::Whole(hash, items) => {
                match hash {
                    // A whole hash replaces what was assigned before it, as in Perl.
                    Hash::HostsAllow => self.hosts = Hosts::default(),
                    Hash::Files => {
                        self.files.retain(|entry| entry.is_series);
                        self.families.clear();
                    }
                    Hash::Series => self.files.retain(|entry| !entry.is_series),
                    #[cfg(feature = "noise")]
                    Hash::KeysAllow => self.sealing.clear(),
                    #[cfg(not(feature = "noise"))]
                    Hash::KeysAllow => {}
                }
                // The grammar has refused a list of an odd length.
                for pair in items.chunks(2) {
                    if let [key, value] = pair {
                        self.put(hash, key, value, note);
                    }
                }
            }
        }
    }

    /// Gives one element of a hash its value.
    fn put(
        &mut self,
        hash: Hash,
        key: &Literal,
        value: &Literal,
        note: &mut dyn FnMut(ConfigError),
    ) {
        match hash {
            Hash::HostsAllow => {
                let network = Network::parse(key.value.bytes()).map_err(Problem::Network);
                let network = sound(network, key.position, note);
                let allowed = value.value.yes_or_no().ok_or(Problem::YesOrNo);
                let allowed = sound(allowed, value.position, note);
                if let (Some(network), Some(allowed)) = (network, allowed) {
                    self.hosts.set(network, allowed);
                }
            }
            Hash::KeysAllow => self.put_key(key, value, note),
            Hash::Files if is_glob(key.value.bytes()) => self.put_family(key, value, note),
            Hash::Files | Hash::Series => {
                let is_series = hash == Hash::Series;
                // Both are looked at before either is given up, so that one reading tells all the
                // errors.
                let path = sound(path(&plain(key.value.bytes())), key.position, note);
                let patterns = Patterns::parse(value.value.bytes()).map_err(Problem::Pattern);
                let patterns = sound(patterns, value.position, note);
                if let (Some(path), Some(patterns)) = (path, patterns) {
                    match value.value {
                        Value::Undef => self.leave(&path, is_series),
                        _ if is_series && patterns.is_empty() => {
                            note(value.position.error(Problem::SeriesEmpty));
                        }
                        _ => self.serve(FileEntry {
                            path,
                            patterns,
                            is_series,
                        }),
                    }
                }
            }
        }
    }

    /// Allows or refuses who has a key.
    #[cfg(feature = "noise")]
    fn put_key(&mut self, key: &Literal, value: &Literal, note: &mut dyn FnMut(ConfigError)) {
        let public = PublicKey::parse(key.value.bytes()).ok_or(Problem::Key);
        let public = sound(public, key.position, note);
        let allowed = value.value.yes_or_no().ok_or(Problem::YesOrNo);
        let allowed = sound(allowed, value.position, note);
        if let (Some(public), Some(allowed)) = (public, allowed) {
            self.sealing.set(public, allowed);
        }
    }

    /// A program without keys must not go on as if nobody had asked for them.
    #[cfg(not(feature = "noise"))]
    fn put_key(&mut self, key: &Literal, _: &Literal, note: &mut dyn FnMut(ConfigError)) {
        note(key.position.error(Problem::Key));
    }

    /// Gives a key that is a glob its value.
    fn put_family(&mut self, key: &Literal, value: &Literal, note: &mut dyn FnMut(ConfigError)) {
        let (text, said) = (key.value.bytes(), value.value.bytes());
        let logs = Family::of_key(text);
        let logs = sound(logs, key.position, note);
        let family =
            logs.and_then(|logs| sound(Family::new(text, logs, said), value.position, note));
        self.families.retain(|family| *family.key != *text);
        if let (Some(family), false) = (family, matches!(value.value, Value::Undef)) {
            let at = self.families.partition_point(|other| *other.key < *text);
            self.families.insert(at, family);
        }
    }

    /// Gives a setting its value, or tells what is wrong with that value.
    fn set(&mut self, scalar: Scalar, value: &Value) -> Result<(), Problem> {
        match scalar {
            Scalar::BindAddr => self.bind.set_ip(address(value)?),
            Scalar::BindPort => self.bind.set_port(port(value)?),
            Scalar::DelayCheck => self.delay_check_ms = period(value)?,
            Scalar::TimeoutWrite => self.timeout_write_ms = period(value)?,
            Scalar::AliveInterval => self.alive_interval_ms = period(value)?,
            Scalar::Grace => self.grace_ms = period_or_zero(value)?,
            Scalar::MaxClients => self.max_clients = clients(value)?,
            Scalar::MaxClientsPerIp => self.max_clients_per_ip = clients(value)?,
            Scalar::KeepDeleted => self.keep_deleted = size(value)?,
            #[cfg(feature = "noise")]
            Scalar::PrivateKeyFile => self.sealing.private_key_file = key_file(value)?,
            #[cfg(feature = "noise")]
            Scalar::RequireKey => {
                self.sealing.is_required = value.yes_or_no().ok_or(Problem::YesOrNo)?;
            }
            #[cfg(not(feature = "noise"))]
            Scalar::PrivateKeyFile | Scalar::RequireKey => return Err(Problem::Key),
        }
        Ok(())
    }

    /// Does not serve a file, whatever was said of it before in this hash.
    fn leave(&mut self, path: &Path, is_series: bool) {
        if let Ok(at) = self.place_of(path)
            && self.files[at].is_series == is_series
        {
            self.files.remove(at);
        }
    }

    /// Serves a file or a series, with this instead of anything said of it before.
    fn serve(&mut self, entry: FileEntry) {
        match self.place_of(&entry.path) {
            // A key that is assigned again: the last value counts, in one entry.
            Ok(at) => self.files[at] = entry,
            Err(at) => self.files.insert(at, entry),
        }
    }
}

/// The value if it was found sound; an error is noted instead.
fn sound<T>(
    checked: Result<T, Problem>,
    position: Position,
    note: &mut dyn FnMut(ConfigError),
) -> Option<T> {
    checked
        .map_err(|problem| note(position.error(problem)))
        .ok()
}

/// A file that a request line can ask for.
fn path(bytes: &[u8]) -> Result<PathBuf, Problem> {
    if !bytes.starts_with(b"/") {
        return Err(Problem::PathNotAbsolute);
    }
    if bytes.ends_with(b"/") {
        return Err(Problem::PathIsDirectory);
    }
    // What cannot be asked for would be served to nobody, and nobody would know why.
    if bytes.len() > PATH_MAX_LEN {
        return Err(Problem::PathTooLong);
    }
    // All else a request can have: PROTOCOL.md, "Negotiation".
    if bytes.iter().any(|byte| matches!(byte, 0 | b'\n')) {
        return Err(Problem::PathHasLineFeed);
    }
    Ok(PathBuf::from(OsString::from_vec(bytes.to_vec())))
}

/// The file of the server's own key; none for undef or the empty text.
#[cfg(feature = "noise")]
fn key_file(value: &Value) -> Result<Option<PathBuf>, Problem> {
    match value.bytes() {
        b"" => Ok(None),
        bytes if bytes.starts_with(b"/") && !bytes.contains(&0) => {
            Ok(Some(PathBuf::from(OsString::from_vec(bytes.to_vec()))))
        }
        _ => Err(Problem::KeyFile),
    }
}

fn address(value: &Value) -> Result<IpAddr, Problem> {
    // The default of fetchlogs 1.1, which inet_aton(3) took for all IPv4 addresses.
    if value.bytes() == b"0" {
        return Ok(Ipv4Addr::UNSPECIFIED.into());
    }
    str::from_utf8(value.bytes())
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or(Problem::BindAddress)
}

fn port(value: &Value) -> Result<u16, Problem> {
    value
        .whole()
        .and_then(|port| u16::try_from(port).ok())
        .ok_or(Problem::Port)
}

fn period(value: &Value) -> Result<u64, Problem> {
    value
        .thousandths()
        .filter(|ms| (1..=PERIOD_MAX_MS).contains(ms))
        .ok_or(Problem::Period)
}

fn period_or_zero(value: &Value) -> Result<u64, Problem> {
    value
        .thousandths()
        .filter(|&ms| ms <= PERIOD_MAX_MS)
        .ok_or(Problem::PeriodOrZero)
}

fn clients(value: &Value) -> Result<usize, Problem> {
    value
        .whole()
        .and_then(|clients| usize::try_from(clients).ok())
        .filter(|clients| (1..=CLIENTS_MAX).contains(clients))
        .ok_or(Problem::Clients)
}

/// Bytes, with the letters of journald.conf(5): to the base of 1024.
fn size(value: &Value) -> Result<u64, Problem> {
    let (digits, shift) = match value.bytes() {
        [digits @ .., b'K'] => (digits, 10),
        [digits @ .., b'M'] => (digits, 20),
        [digits @ .., b'G'] => (digits, 30),
        digits => (digits, 0),
    };
    let number = Value::Text(digits.to_vec()).whole();
    let bytes = number.and_then(|number| number.checked_mul(1 << shift));
    bytes.ok_or(Problem::Size)
}
