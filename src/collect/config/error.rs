//! The errors of a configuration, in words.

use std::fmt;
use std::path::{Path, PathBuf};

use super::LineNumber;
use super::options::NAME_MAX_LEN;
use super::texts::{Found, Text, Texts};
use crate::limits;

/// Errors of a configuration, in the order of files, lines and columns.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigErrors {
    /// At least one and at most [`limits::CONFIG_ERRORS_MAX`].
    pub(super) first: Vec<ConfigError>,
    /// The number of errors beyond these.
    pub(super) omitted: usize,
    /// The files, by their numbers, and why one cannot be read.
    files: Box<[(PathBuf, Option<Box<str>>)]>,
}

impl ConfigErrors {
    pub(super) fn new(mut found: Vec<ConfigError>, texts: &Texts) -> ConfigErrors {
        // Clashes are found behind all errors of single lines.
        found.sort_by_key(|error| (error.line, error.column));
        let omitted = found.len().saturating_sub(limits::CONFIG_ERRORS_MAX);
        found.truncate(limits::CONFIG_ERRORS_MAX);
        let file = |text: &Text| {
            let why = match &text.found {
                Found::Failed(why) => Some(why.as_str().into()),
                _ => None,
            };
            (text.path.clone(), why)
        };
        let files = match found.is_empty() {
            true => Box::default(),
            false => texts.all.iter().map(file).collect(),
        };
        ConfigErrors {
            first: found,
            omitted,
            files,
        }
    }

    /// Each on a line of its own, with the name of its file in front, and `word` behind that.
    pub fn lines(&self, word: &str) -> String {
        let mut lines = String::new();
        for error in &self.first {
            let ConfigError { line, problem, .. } = error;
            let path = self.path(line.file);
            if !path.as_os_str().is_empty() {
                lines += &format!("{}:", path.display());
            }
            lines += &format!("{}:{}: {word}{problem}", line.line, error.column);
            match problem {
                Problem::Unreadable { file } => {
                    let why = self.files.get(usize::from(*file));
                    let why = why.and_then(|(_, why)| why.as_deref()).unwrap_or_default();
                    lines += &format!(": {}: {why}", self.path(*file).display());
                }
                Problem::SameSource { other }
                | Problem::SameName { other }
                | Problem::SameFile {
                    other: Some(other), ..
                } if other.file != line.file => {
                    lines += &format!(" (it stands in {})", self.path(other.file).display());
                }
                _ => {}
            }
            lines.push('\n');
        }
        match self.omitted {
            0 => _ = lines.pop(),
            omitted => lines += &format!("... and {omitted} more"),
        }
        lines
    }

    fn path(&self, file: u16) -> &Path {
        let file = self.files.get(usize::from(file));
        file.map_or(Path::new(""), |(path, _)| path)
    }
}

impl fmt::Display for ConfigErrors {
    /// One error a line, without a newline at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines(""))
    }
}

impl std::error::Error for ConfigErrors {}

/// An error and its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConfigError {
    /// The line.
    pub line: LineNumber,
    /// The character in the line, from 1 on.
    pub column: u32,
    /// The problem there.
    pub problem: Problem,
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
    /// REMOTE_FILE is a glob, and the source is to ask by classic.
    ClassicPattern,
    /// REMOTE_FILE is a glob, and the copies have no directory of their own.
    PatternWithoutRoot,
    /// An option stands in the field.
    OptionAsPath(Field),
    /// PORT begins with a zero.
    OctalPort,
    /// Something without `=` stands behind the fields.
    NotAnOption,
    /// A comment stands behind the fields.
    Comment,
    /// Behind `defaults` stands an option that only a source can have.
    OnlyOfASource,
    /// `name=` and something that it cannot be.
    BadBoxName,
    /// `copies` stands there a second time.
    RepeatedCopies,
    /// Behind `copies` or `include` stands nothing, or more than one path.
    OnePath,
    /// Behind `copies` stands what cannot be a template.
    BadTemplate,
    /// The template leads out of the directory that a box gets in it.
    TemplateClimbs,
    /// The parts of the path on the server are no names of directories of ours.
    LeavesTemplate,
    /// What is included, or a file of the directory, cannot be read.
    Unreadable {
        /// The number of the file.
        file: u16,
    },
    /// A file that is included includes this one.
    IncludesItself,
    /// There are more files than a configuration can have.
    TooManyFiles,
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
    /// `mode=` and something that it cannot be.
    BadMode,
    /// `group=` and something that it cannot be.
    BadGroup,
    /// `key=` and something that it cannot be, or that this program cannot do.
    BadKey,
    /// `keep_free=` and something that it cannot be.
    BadKeepFree,
    /// The source is fetched on the other line already.
    SameSource {
        /// The line that stands.
        other: LineNumber,
    },
    /// Another box has this name, or has it for its address.
    SameName {
        /// The line of that.
        other: LineNumber,
    },
    /// The file would be used in two ways.
    SameFile {
        /// Its role here.
        role: FileRole,
        /// Its role there.
        other_role: FileRole,
        /// The other line; `None` is this very one.
        other: Option<LineNumber>,
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
    /// What is kept beside one of the two, by its name.
    Record(&'static str),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Missing(field) => write!(
                f,
                "{field} is missing; a source is ADDRESS PORT REMOTE_FILE LOCAL_FILE POINTER_FILE [key=value ...], or, behind a line with copies, ADDRESS [PORT] REMOTE_FILE [key=value ...]"
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
            Problem::ClassicPattern => f.write_str(
                "only version 2 can ask which logs a REMOTE_FILE with * finds; leave proto=classic out",
            ),
            Problem::PatternWithoutRoot => f.write_str(
                "where REMOTE_FILE has a *, the template of copies must begin with a directory, such as /var/log/fetchlogs/%h/%f",
            ),
            Problem::OptionAsPath(field) => write!(
                f,
                "an option stands where {field} belongs, so a field before it is missing; a file of that name is written with ./ in front of it"
            ),
            Problem::OctalPort => f.write_str(
                "PORT begins with a zero: fetchlogs 1.1 took it for octal; write it without",
            ),
            Problem::NotAnOption => f.write_str(
                "only key=value can stand behind the fields; names with blanks need quotes",
            ),
            Problem::Comment => f.write_str(
                "a comment behind the fields is passed over; it better has a line of its own",
            ),
            Problem::OnlyOfASource => {
                f.write_str("name= and key= are those of one box: they can only stand behind a source")
            }
            Problem::BadBoxName => write!(
                f,
                "name= is 1 to {NAME_MAX_LEN} letters, digits, '-', '_' and '.', and does not begin with '.'"
            ),
            Problem::RepeatedCopies => f.write_str("copies can stand once only"),
            Problem::OnePath => f.write_str(
                "here stands one path, in quotes if it has blanks, and nothing behind it",
            ),
            Problem::BadTemplate => f.write_str(
                "copies takes a path with %h for the box and %f or %p for the log, such as /var/log/fetchlogs/%h/%f; a % is written %%",
            ),
            Problem::TemplateClimbs => f.write_str(
                "copies has .. behind a placeholder: copies would leave their directory",
            ),
            Problem::LeavesTemplate => f.write_str(
                "REMOTE_FILE has a part that is empty, . or ..: it needs its own LOCAL_FILE and POINTER_FILE",
            ),
            Problem::Unreadable { .. } => f.write_str("cannot read what belongs to it"),
            Problem::IncludesItself => f.write_str("what is included includes this file again"),
            Problem::TooManyFiles => write!(
                f,
                "a configuration has at most {} files, and {} that include one another",
                limits::CONFIG_FILES_MAX,
                limits::CONFIG_DEPTH_MAX
            ),
            Problem::NotADefault => f.write_str(
                "only key=value can stand behind defaults; a source of a host with that name needs all five fields",
            ),
            Problem::OnlyADefault => {
                f.write_str("keep_free= goes for a whole file system: it can only stand behind defaults")
            }
            Problem::UnknownOption => f.write_str(
                "no such option; there are proto=, history=, max=, mode=, group=, name= and key=, and behind defaults keep_free=",
            ),
            Problem::RepeatedOption => f.write_str("this option is set twice"),
            Problem::BadProto => f.write_str("proto= can be auto, classic or v2"),
            Problem::BadHistory => f.write_str("history= can be live or all"),
            Problem::BadMax => {
                f.write_str("max= is a number of bytes, such as 512M or 2G, or 0 for no limit")
            }
            Problem::BadMode => f.write_str(
                "mode= is an octal number such as 0640 or 0644: the collector has to read and write, nobody may execute, and others may not write",
            ),
            Problem::BadGroup => f.write_str("group= is the name of a group, or its number"),
            Problem::BadKey => f.write_str(BAD_KEY),
            Problem::BadKeepFree => f.write_str(
                "keep_free= is a number of bytes, such as 512M or 2G, a part of the file system, such as 10%, or 0 for nothing",
            ),
            Problem::SameSource { other } => write!(
                f,
                "the same REMOTE_FILE of the same server is fetched by line {} already",
                other.line
            ),
            Problem::SameName { other } => write!(
                f,
                "the name is that of another address in line {}; each box needs its own",
                other.line
            ),
            Problem::SameFile {
                role,
                other_role,
                other,
            } => {
                write!(f, "{role} is the {other_role} of ")?;
                match other {
                    Some(other) => write!(f, "line {} as well", other.line)?,
                    None => f.write_str("this line as well")?,
                }
                f.write_str("; each needs a file of its own")
            }
        }
    }
}

#[cfg(feature = "noise")]
const BAD_KEY: &str = "key= is the public key of the server, 44 characters that end in =, as `fetchlogs pubkey` prints them";

#[cfg(not(feature = "noise"))]
const BAD_KEY: &str = crate::noise::ABSENT;

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
            FileRole::Record(name) => name,
        })
    }
}
