//! The errors of a configuration: what is wrong, where, and how to say so.

use std::fmt;

use super::allow::NetworkError;
use super::name::{Hash, Scalar};
use super::text::Position;
use crate::limits::{CLIENTS_MAX, PATH_MAX_LEN, PERIOD_MAX_MS};
use crate::serve::glob::PatternError;
use crate::sorting::sort_by_key;

/// Everything that is wrong with a configuration, in the order of the file; never empty. Only the
/// first [`CONFIG_ERRORS_MAX`](crate::limits::CONFIG_ERRORS_MAX) are told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigErrors {
    list: Vec<ConfigError>,
}

impl ConfigErrors {
    pub(super) fn new(mut list: Vec<ConfigError>) -> ConfigErrors {
        sort_by_key(&mut list, |error| (error.line, error.column));
        ConfigErrors { list }
    }

    /// The errors, first things first.
    pub fn iter(&self) -> std::slice::Iter<'_, ConfigError> {
        self.list.iter()
    }
}

impl<'f> IntoIterator for &'f ConfigErrors {
    type Item = &'f ConfigError;
    type IntoIter = std::slice::Iter<'f, ConfigError>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for ConfigErrors {
    type Item = ConfigError;
    type IntoIter = std::vec::IntoIter<ConfigError>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.list
            .iter()
            .try_for_each(|error| writeln!(f, "{error}"))
    }
}

/// One error with its place. Shown as `LINE:COLUMN: problem is wrong`; the caller puts `FILE:` in
/// front.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigError {
    /// The first line is 1.
    pub line: u32,
    /// In characters; the first is 1.
    pub column: u32,
    /// What is wrong.
    pub problem: Problem,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.problem)
    }
}

impl Position {
    /// Something is wrong here.
    pub(super) fn error(self, problem: Problem) -> ConfigError {
        ConfigError {
            line: self.line,
            column: self.column,
            problem,
        }
    }
}

/// The sorts of error.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Problem {
    /// No statement of the grammar begins so.
    NotUnderstood,
    /// A statement is not followed by `;`.
    SemicolonMissing,
    /// The `;` behind `use` or the like is missing.
    PragmaOpen,
    /// A string does not end on its line.
    QuoteOpen,
    /// `$` or `@` in double quotes.
    Interpolation,
    /// A backslash before a letter or digit that is no escape here.
    UnknownEscape,
    /// A number that is not decimal.
    BadNumber,
    /// A number that Perl reads as octal.
    Octal,
    /// An address without quotes.
    BareAddress,
    /// No variable where one must stand.
    VariableExpected,
    /// A variable that is no setting, with the start of its name.
    UnknownName(String),
    /// A hash is treated as a scalar.
    IsHash(Hash),
    /// A scalar is treated as a hash.
    IsScalar(Scalar),
    /// `my` or `our` in front of one element of a hash.
    DeclaredElement,
    /// Something else than `=`.
    EqualsExpected,
    /// Something else than a value.
    ValueExpected,
    /// A variable on the right.
    VariableAsValue,
    /// Something else than a key in braces.
    KeyExpected,
    /// The `}` behind a key is missing.
    BraceExpected,
    /// A hash is given something else than a list.
    ListExpected,
    /// Something else than `,`, `=>` or `)` in a list.
    SeparatorExpected,
    /// A list with a key that has no value.
    OddList,
    /// `$bind_addr` is no address.
    BindAddress,
    /// `$bind_port` is no port.
    Port,
    /// A time that is none, too short or too long.
    Period,
    /// The same where 0 is allowed.
    PeriodOrZero,
    /// Whether a host is allowed is neither 0 nor 1.
    YesOrNo,
    /// A number of bytes that is none.
    Size,
    /// A key of `%keys_allow` is none; or this program has no keys.
    Key,
    /// `$private_key_file` is no absolute path.
    #[cfg(feature = "noise")]
    KeyFile,
    /// A number of clients that is none, 0 or too large.
    Clients,
    /// A key of `%hosts_allow` is no address or network.
    Network(NetworkError),
    /// A key of `%files` does not begin with a slash.
    PathNotAbsolute,
    /// A key of `%files` ends in a slash.
    PathIsDirectory,
    /// A key of `%files` is too long for a request.
    PathTooLong,
    /// A key of `%files` holds a byte that no request can have.
    PathHasLineFeed,
    /// A series without a pattern has no file at all.
    SeriesEmpty,
    /// The logs of a key that is a glob would have the same rotated files, or no globs at all.
    FamilyAlike,
    /// A value of `%files` is no list of patterns.
    Pattern(PatternError),
}

impl Problem {
    /// A name is shown only as far as it helps.
    pub(super) fn unknown_name(word: &[u8]) -> Problem {
        // A file that is no configuration at all, a binary say, can have a word of any length.
        let start = word.get(..40).unwrap_or(word);
        Problem::UnknownName(String::from_utf8_lossy(start).into_owned())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Problem::NotUnderstood => "only assignments such as $bind_port = 19; are understood",
            Problem::SemicolonMissing => "a ; is missing here, or this is more Perl than is understood",
            Problem::PragmaOpen => "no ; ends this statement",
            Problem::QuoteOpen => "the quote that begins here is not closed on this line",
            Problem::Interpolation => {
                "Perl puts a variable's value here: use single quotes, or a backslash in front"
            }
            Problem::UnknownEscape => {
                "this escape is not understood: there are \\t, \\n, \\r, \\xNN and a backslash before punctuation; in \
                 single quotes a backslash is a backslash"
            }
            Problem::BadNumber => "only decimal numbers such as 5 or 0.2 are understood",
            Problem::Octal => "Perl reads a number with a leading 0 as octal: leave the 0 out",
            // Perl reads bare numbers with dots as a v-string (perldata), four bytes that are no
            // address.
            Problem::BareAddress => "an address must stand in quotes",
            Problem::VariableExpected => "the name of a setting is missing, such as $bind_port or %files",
            Problem::UnknownName(name) => return unknown_name(f, name),
            Problem::IsHash(hash) => return is_hash(f, *hash),
            Problem::IsScalar(scalar) => {
                let name = scalar.name();
                return write!(f, "{name} has one value: write ${name} = ...;");
            }
            Problem::DeclaredElement => "Perl declares no single element of a hash: leave my or our out",
            Problem::EqualsExpected => "a = is missing here",
            Problem::ValueExpected => {
                "a number or a text in quotes is needed; nothing else of Perl is understood"
            }
            Problem::VariableAsValue => "variables have no value here: write the value itself",
            Problem::KeyExpected => "a key in quotes is needed here",
            Problem::BraceExpected => "a } is missing here, or quotes around the key",
            Problem::ListExpected => "a list in parentheses is needed: (\"key\" => \"value\", ...)",
            Problem::SeparatorExpected => "a comma, => or ) is missing here",
            Problem::OddList => "a key in this list has no value",
            Problem::BindAddress => {
                "the address to listen on is needed, such as \"10.4.3.5\" or \"::\"; names are not looked up"
            }
            Problem::Port => "a port is a whole number from 0 to 65535",
            Problem::Period => return period(f, "0.001"),
            Problem::PeriodOrZero => return period(f, "0"),
            Problem::Clients => {
                return write!(f, "a whole number is needed, from 1 to {CLIENTS_MAX}");
            }
            Problem::Size => "a number of bytes is needed, such as 64M, or 0",
            Problem::YesOrNo => "1 means yes and 0 means no; nothing else does",
            #[cfg(feature = "noise")]
            Problem::Key => "a public key has 44 characters and ends in =, as `fetchlogs pubkey` prints it",
            #[cfg(not(feature = "noise"))]
            Problem::Key => crate::noise::ABSENT,
            #[cfg(feature = "noise")]
            Problem::KeyFile => "the path of a key file must begin with /",
            Problem::Network(error) => return error.fmt(f),
            Problem::PathNotAbsolute => "the path of a log must begin with /",
            Problem::PathIsDirectory => "the path of a log must not end in /",
            Problem::PathTooLong => {
                return write!(f, "a request has room for a path of at most {PATH_MAX_LEN} bytes");
            }
            Problem::PathHasLineFeed => "a path with a NUL byte or a line feed cannot be requested",
            Problem::SeriesEmpty => {
                "a series is the files that its patterns find: write at least one, such as \"/var/log/app/app-*.log\""
            }
            Problem::FamilyAlike => {
                "the key finds many logs: write %p in the patterns where the path of each is meant, such as \"%p.*[0-9]\""
            }
            Problem::Pattern(error) => return error.fmt(f),
        })
    }
}

fn unknown_name(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    write!(f, "{name} is no setting; there are")?;
    // All of them, since such a name is mostly one of these with a slip in it.
    for hash in Hash::ALL {
        write!(f, " %{}", hash.name())?;
    }
    for scalar in Scalar::ALL {
        write!(f, " ${}", scalar.name())?;
    }
    Ok(())
}

fn is_hash(f: &mut fmt::Formatter<'_>, hash: Hash) -> fmt::Result {
    let name = hash.name();
    let key = match hash {
        Hash::HostsAllow => "127.0.0.1",
        Hash::Files => "/var/log/messages",
        Hash::Series => "/var/log/app",
        Hash::KeysAllow => "BASE64",
    };
    write!(
        f,
        "{name} is a hash: write ${name}{{\"{key}\"}} = ...; or %{name} = (...);"
    )
}

fn period(f: &mut fmt::Formatter<'_>, least: &str) -> fmt::Result {
    let most = PERIOD_MAX_MS / 1000;
    write!(f, "a number of seconds is needed, from {least} to {most}")
}
