//! The errors of a configuration, in words.

use std::fmt;

use crate::limits;

/// All errors of a configuration, in the order of lines and columns.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigErrors {
    /// At least one and at most [`limits::CONFIG_ERRORS_MAX`].
    pub(super) first: Vec<ConfigError>,
    /// The number of errors beyond these.
    pub(super) omitted: usize,
}

impl ConfigErrors {
    pub(super) fn new(mut found: Vec<ConfigError>) -> ConfigErrors {
        // Clashes are found behind all errors of single lines.
        found.sort_by_key(|error| (error.line, error.column));
        let omitted = found.len().saturating_sub(limits::CONFIG_ERRORS_MAX);
        found.truncate(limits::CONFIG_ERRORS_MAX);
        ConfigErrors {
            first: found,
            omitted,
        }
    }
}

impl fmt::Display for ConfigErrors {
    /// One error a line, without a newline at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.first.iter().enumerate() {
            let newline = if index > 0 { "\n" } else { "" };
            write!(f, "{newline}{error}")?;
        }
        if self.omitted > 0 {
            write!(f, "\n... and {} more", self.omitted)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// An error and its place. Shown as `LINE:COLUMN: text`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConfigError {
    /// The line, from 1 on.
    pub line: u32,
    /// The character in the line, from 1 on.
    pub column: u32,
    /// The problem there.
    pub problem: Problem,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.problem)
    }
}

/// The problem at one place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Problem {
    /// The line ends before this field.
    Missing(Field),
    /// ADDRESS looks like an IPv4 address but is none.
    BadIpv4,
    /// ADDRESS looks like an IPv6 address but is none.
    BadIpv6,
    /// ADDRESS cannot be a host name either.
    BadName,
    /// PORT is not a number, or not one that a server can have.
    BadPort,
    /// REMOTE_FILE does not start with a slash.
    RemoteNotAbsolute,
    /// The field holds this control byte.
    ControlByte(Field, u8),
    /// The field is longer than so many bytes.
    TooLong(Field, usize),
    /// The last part of the path in the field is longer than so many bytes.
    NameTooLong(Field, usize),
    /// The path in the field can only be that of a directory.
    NotAFile(Field),
    /// A text that begins with a quote does not end with one and a blank, or has another escape
    /// than those of quote and backslash.
    BadQuotes,
    /// The path has blanks, and the source is to ask by classic.
    ClassicBlank,
    /// An option stands in the field.
    OptionAsPath(Field),
    /// Something without `=` stands behind the five fields.
    NotAnOption,
    /// Something without `=` stands behind `defaults`.
    NotADefault,
    /// Behind a source stands an option that only `defaults` can have.
    OnlyADefault,
    /// An option that does not exist.
    UnknownOption,
    /// The option was set before, on this line or as a default.
    RepeatedOption,
    /// `proto=` and something that it cannot be.
    BadProto,
    /// `history=` and something that it cannot be.
    BadHistory,
    /// `max=` and something that it cannot be.
    BadMax,
    /// `keep_free=` and something that it cannot be.
    BadKeepFree,
    /// The source is fetched on the other line already.
    SameSource {
        /// The line that stands.
        other_line: u32,
    },
    /// The file would be used in two ways.
    SameFile {
        /// Its role here.
        role: FileRole,
        /// Its role there.
        other_role: FileRole,
        /// The other line; `None` is this very one.
        other_line: Option<u32>,
    },
}

/// The fields that every source has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Field {
    /// The server.
    Address,
    /// The server's port.
    Port,
    /// The file on the server.
    Remote,
    /// The local copy.
    Local,
    /// The pointer file.
    Pointer,
}

/// The role of a local file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileRole {
    /// LOCAL_FILE.
    Local,
    /// POINTER_FILE.
    Pointer,
    /// POINTER_FILE with `.tmp` behind it.
    Scratch,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Missing(field) => write!(
                f,
                "{field} is missing; a source is ADDRESS PORT REMOTE_FILE LOCAL_FILE POINTER_FILE [key=value ...]"
            ),
            Problem::BadIpv4 => {
                f.write_str("ADDRESS is not an IPv4 address; it has four numbers from 0 to 255")
            }
            Problem::BadIpv6 => {
                f.write_str("ADDRESS is not an IPv6 address; the port is a field of its own")
            }
            Problem::BadName => write!(
                f,
                "ADDRESS is neither an IP address nor a host name of letters, digits, '-', '_' and single '.', at most {} of them",
                limits::HOST_NAME_MAX_LEN
            ),
            Problem::BadPort => f.write_str("PORT is not a number from 1 to 65535"),
            Problem::RemoteNotAbsolute => f.write_str(
                "REMOTE_FILE does not start with '/'; it is the path that the server's configuration names",
            ),
            Problem::ControlByte(field, byte) => {
                write!(f, "{field} holds a control character (byte 0x{byte:02x})")
            }
            Problem::TooLong(field, max) => write!(f, "{field} is longer than {max} bytes"),
            Problem::NameTooLong(field, max) => write!(
                f,
                "the file name in {field} is longer than {max} bytes; stamps are put behind it"
            ),
            Problem::NotAFile(field) => {
                write!(f, "{field} names a directory; it has to name a file")
            }
            Problem::BadQuotes => f.write_str(
                r#"a path in quotes ends with a quote; within it write \" for a quote and \\ for a backslash"#,
            ),
            Problem::ClassicBlank => f.write_str(
                "only version 2 can ask for a REMOTE_FILE with blanks; leave proto=classic out",
            ),
            Problem::OptionAsPath(field) => write!(
                f,
                "an option stands where {field} belongs, so a field before it is missing; a file of that name is written with ./ in front of it"
            ),
            Problem::NotAnOption => f.write_str(
                "only key=value can stand behind POINTER_FILE; names with blanks need quotes, and a comment needs a line of its own",
            ),
            Problem::NotADefault => f.write_str(
                "only key=value can stand behind defaults; a source of a host with that name needs all five fields",
            ),
            Problem::OnlyADefault => {
                f.write_str("keep_free= goes for a whole file system: it can only stand behind defaults")
            }
            Problem::UnknownOption => f.write_str(
                "no such option; there are proto=, history= and max=, and behind defaults keep_free=",
            ),
            Problem::RepeatedOption => f.write_str("this option is set twice"),
            Problem::BadProto => f.write_str("proto= can be auto, classic or v2"),
            Problem::BadHistory => f.write_str("history= can be live or all"),
            Problem::BadMax => {
                f.write_str("max= is a number of bytes, such as 512M or 2G, or 0 for no limit")
            }
            Problem::BadKeepFree => f.write_str(
                "keep_free= is a number of bytes, such as 512M or 2G, a part of the file system, such as 10%, or 0 for nothing",
            ),
            Problem::SameSource { other_line } => write!(
                f,
                "the same REMOTE_FILE of the same server is fetched by line {other_line} already"
            ),
            Problem::SameFile {
                role,
                other_role,
                other_line,
            } => {
                write!(f, "{role} is the {other_role} of ")?;
                match other_line {
                    Some(line) => write!(f, "line {line} as well")?,
                    None => f.write_str("this line as well")?,
                }
                f.write_str("; each needs a file of its own")
            }
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Field::Address => "ADDRESS",
            Field::Port => "PORT",
            Field::Remote => "REMOTE_FILE",
            Field::Local => "LOCAL_FILE",
            Field::Pointer => "POINTER_FILE",
        })
    }
}

impl fmt::Display for FileRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FileRole::Local => "LOCAL_FILE",
            FileRole::Pointer => "POINTER_FILE",
            FileRole::Scratch => "scratch file POINTER_FILE.tmp",
        })
    }
}
