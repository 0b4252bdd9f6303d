//! The collector's configuration, `fetch_logs.conf`: which logs to fetch, from where, into which
//! files.
//!
//! ```text
//! FILE    = [BOM] *( LINE ( LF | CRLF ) ) [ LINE ]
//! LINE    = *BLANK [ COMMENT | SOURCE *BLANK | SHORT *BLANK | DEFAULTS | COPIES | INCLUDE ]
//! COMMENT = "#" and anything
//! SOURCE  = ADDRESS 1*BLANK PORT 1*BLANK REMOTE_FILE 1*BLANK LOCAL_FILE 1*BLANK POINTER_FILE *( 1*BLANK OPTION ) [ REST ]
//! SHORT   = ADDRESS [ 1*BLANK PORT ] 1*BLANK REMOTE_FILE *( 1*BLANK OPTION ) [ 1*BLANK COMMENT ]
//! ADDRESS = an IPv4 address | IPV6 | "[" IPV6 "]" | a host name
//! IPV6    = an IPv6 address [ "%" the name or number of an interface ]
//! OPTION  = "proto=" ( "auto" | "classic" | "v2" ) | "history=" ( "live" | "all" ) | "max=" SIZE | "name=" NAME
//!         | "mode=" 3*4OCTAL | "group=" a name or number
//! NAME    = 1 to 63 letters, digits, "-", "_" and ".", not "." in front
//! DEFAULTS = "defaults" *( 1*BLANK ( OPTION but name | "keep_free=" ( SIZE | PERCENT ) ) )
//! COPIES  = "copies" 1*BLANK TEMPLATE
//! INCLUDE = "include" 1*BLANK ( a file | a directory, of which all *.conf )
//! SIZE    = 1*DIGIT [ "K" | "M" | "G" | "T" ]
//! PERCENT = 1*DIGIT "%"
//! BLANK   = space | tab
//! REST    = a comment, or a word without "=" and anything: told, and passed over
//! ```
//!
//! A line that begins with `defaults`, `copies` or `include` is one of a host with that name if it
//! has the five fields. In a short line `*`, `?` and `[` make a glob of REMOTE_FILE, and a
//! backslash takes that from them. What defaults say goes for all sources, wherever they stand,
//! that do not say otherwise. `copies` goes for the short lines behind it, and stands once.
//!
//! A `#` within a field is an ordinary character. A path with blanks stands in quotes:
//!
//! ```text
//! QUOTED  = %x22 *( any byte but %x22 and "\" | "\" %x22 | "\\" ) %x22
//! ```

mod access;
mod clash;
mod error;
pub mod family;
mod faults;
mod line;
mod options;
mod reading;
mod template;
mod texts;
mod word;

use std::ffi::OsString;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use self::family::FamilyConfig;
use self::options::Options;
use self::reading::Reading;
use self::template::Template;
use crate::ids::MaybeOffset;
use crate::noise::key::{Identity, ServerKey};
use crate::wire::path::has_blanks;

pub use access::Access;
pub use error::{ConfigError, ConfigErrors, Field, FileRole, Problem};
pub use texts::{Found, Texts};

/// A configuration, as far as it can be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// The sources, in the order of their lines.
    pub sources: Vec<SourceConfig>,
    /// The lines that stand for all logs that a glob finds, in their order.
    pub families: Vec<FamilyConfig>,
    /// What is wrong with lines that are left out. It concerns no other line.
    pub faults: Option<ConfigErrors>,
    /// What is passed over, and may not be meant.
    pub warnings: Option<ConfigErrors>,
    /// The directory below which copies get directories of their own, if there is one.
    pub root: Option<PathBuf>,
    /// The files that it was read from, by their numbers.
    files: Box<[PathBuf]>,
}

/// A line of a configuration.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub struct LineNumber {
    /// The number of the file, in the order of reading.
    pub file: u16,
    /// The line, from 1 on.
    pub line: u32,
}

/// A source: one log to fetch. Two are equal if they ask for the same, on whichever line they
/// stand.
#[derive(Clone, Debug)]
pub struct SourceConfig {
    /// The server's address.
    pub address: Address,
    /// What the box is called, where that is not its address.
    pub name: Option<Box<str>>,
    /// The server's port, never 0.
    pub port: u16,
    /// The file's path on the server, absolute, without NUL and line feed. Bytes, so that nobody
    /// takes it for a path on the log host.
    pub remote: Box<[u8]>,
    /// The local copy.
    pub local: Box<Path>,
    /// The pointer file.
    pub pointer: Box<Path>,
    /// Whether the directory of the local copy is made where it is missing.
    pub makes_dirs: bool,
    /// The protocol to speak with the server.
    pub proto: Proto,
    /// The part of the log to fetch at first contact.
    pub history: History,
    /// How many bytes the local copy and the finished ones may have together, if there is such a
    /// limit.
    pub max: MaybeOffset,
    /// What is to stay free on the file system of the local copy.
    pub keep_free: KeepFree,
    /// Who else may read the files, where that is said.
    pub access: Option<Rc<Access>>,
    /// The key that the server has to have, where one is said: then its connections are sealed.
    pub key: Option<ServerKey>,
    /// The line that the source stands on.
    pub line: LineNumber,
}

/// The address of a server.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Address {
    /// A number; never an IPv4 address in IPv6 clothes.
    Ip(IpAddr),
    /// A host name in lower case, or an IPv6 address with a zone, to be looked up at start.
    Name(Box<str>),
}

/// The protocol to speak with a server.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Proto {
    /// Offer version 2 and take what the server understands.
    #[default]
    Auto,
    /// Never offer version 2.
    Classic,
    /// Be content with version 2 only.
    V2,
}

/// The part of a log to fetch at first contact.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum History {
    /// The live file from its start.
    #[default]
    Live,
    /// Every rotated file that the server still has, then the live file.
    All,
}

/// What is to stay free on a file system.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum KeepFree {
    /// A twentieth of it, and a gibibyte at most.
    #[default]
    Auto,
    /// So many bytes; 0 for nothing.
    Bytes(u64),
    /// So many hundredths of it, less than 100.
    Percent(u8),
}

impl KeepFree {
    /// The bytes that are to stay free of so many.
    pub fn of(self, total: u64) -> u64 {
        match self {
            KeepFree::Auto => (total / 20).min(1 << 30),
            KeepFree::Bytes(bytes) => bytes,
            KeepFree::Percent(percent) => total / 100 * u64::from(percent),
        }
    }
}

impl Config {
    /// Reads a whole configuration in which relative paths start from `dir`. A line that makes no
    /// sense stops only itself, as in fetchlogs 1.1: see [`Config::faults`]. Fails where something
    /// is wrong that concerns other lines, or no line is right.
    pub fn read(dir: &Path, texts: &Texts) -> Result<Config, ConfigErrors> {
        let Reading {
            scope,
            mut drafts,
            mut faults,
            ..
        } = Reading::of(dir, texts);
        drafts
            .iter_mut()
            .for_each(|draft| draft.settle(&scope.defaults));
        for draft in &drafts {
            let source = &draft.source;
            if source.proto == Proto::Classic && draft.family.is_some() {
                faults.errors.push(ConfigError {
                    line: source.line,
                    column: draft.address_column,
                    problem: Problem::ClassicPattern,
                });
            } else if source.proto == Proto::Classic && has_blanks(&source.remote) {
                faults.errors.push(ConfigError {
                    line: source.line,
                    column: draft.address_column,
                    problem: Problem::ClassicBlank,
                });
            }
        }
        let root = scope.copies.as_ref().map(|copies| dir.join(copies.root()));
        let root = root.filter(|root| root.parent().is_some());
        for draft in drafts
            .iter()
            .filter(|draft| draft.family.is_some() && root.is_none())
        {
            faults.errors.push(ConfigError {
                line: draft.source.line,
                column: draft.local_column,
                problem: Problem::PatternWithoutRoot,
            });
        }
        // Even if some lines are bad: one reading tells all that is wrong.
        clash::find(&drafts, &mut faults.errors);

        let is_faulty = !faults.errors.is_empty();
        let mut bad: Vec<LineNumber> = faults.errors.iter().map(|error| error.line).collect();
        bad.sort_unstable();
        drafts.retain(|draft| bad.binary_search(&draft.source.line).is_err());
        let errors = ConfigErrors::new(faults.errors, texts);
        if is_faulty && (faults.are_fatal || drafts.is_empty()) {
            return Err(errors);
        }
        let has_warnings = !faults.warnings.is_empty();
        let warnings = ConfigErrors::new(faults.warnings, texts);
        let (mut sources, mut families) = (Vec::new(), Vec::new());
        for Draft { source, family, .. } in drafts {
            match family {
                None => sources.push(source),
                Some(template) => families.push(FamilyConfig {
                    source,
                    template,
                    dir: dir.to_path_buf(),
                }),
            }
        }
        Ok(Config {
            root,
            sources,
            families,
            faults: is_faulty.then_some(errors),
            warnings: has_warnings.then_some(warnings),
            files: texts.all.iter().map(|text| text.path.clone()).collect(),
        })
    }

    /// Whether it asks for nothing.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty() && self.families.is_empty()
    }

    /// Makes the keys of this side known to all sources whose connections are sealed. Fails with
    /// the first of them if there are none.
    pub fn set_own(&mut self, own: Option<&Rc<Identity>>) -> Result<(), NoOwnKey> {
        let families = self.families.iter_mut().map(|family| &mut family.source);
        let mut keyless = None;
        for source in self.sources.iter_mut().chain(families) {
            match (&mut source.key, own) {
                (Some(key), Some(own)) => key.set_own(own),
                (Some(_), None) => keyless = keyless.or(Some(source.line)),
                (None, _) => {}
            }
        }
        match keyless {
            Some(line) => Err(NoOwnKey(self.place_at(line))),
            None => Ok(()),
        }
    }

    /// Where a source stands, for a person.
    pub fn place_of(&self, source: &SourceConfig) -> String {
        self.place_at(source.line)
    }

    fn place_at(&self, line: LineNumber) -> String {
        let file = self.files.get(usize::from(line.file));
        let file = file.map(PathBuf::as_path).unwrap_or(Path::new(""));
        format!("{}:{}", file.display(), line.line)
    }
}

/// The source at this place has `key=`, and there is no key of our own.
#[derive(Debug)]
pub struct NoOwnKey(String);

impl fmt::Display for NoOwnKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: key= needs a private key of our own: -k FILE",
            self.0
        )
    }
}

impl SourceConfig {
    /// What the box is called: by its name, or else by its address.
    pub fn server(&self) -> Server<'_> {
        Server(self)
    }
}

/// What a box is called. See [`SourceConfig::server`].
#[derive(Clone, Copy)]
pub struct Server<'a>(&'a SourceConfig);

impl Server<'_> {
    /// Whether somebody means this box: by its name, or by its address.
    pub fn is_called(self, text: &str) -> bool {
        let SourceConfig { name, address, .. } = self.0;
        let is_name = name
            .as_deref()
            .is_some_and(|name| name.eq_ignore_ascii_case(text));
        is_name
            || match address {
                Address::Name(name) => name.eq_ignore_ascii_case(text),
                address => address.to_string() == text,
            }
    }
}

impl fmt::Display for Server<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.name {
            Some(name) => f.write_str(name),
            None => self.0.address.fmt(f),
        }
    }
}

impl PartialEq for SourceConfig {
    fn eq(&self, other: &SourceConfig) -> bool {
        // Taken apart, so that no new field is forgotten. The line's number does not count: at HUP
        // a source that merely moved in the file keeps its connection.
        let SourceConfig {
            address,
            name,
            port,
            remote,
            local,
            pointer,
            makes_dirs: _,
            proto,
            history,
            max,
            keep_free,
            access,
            key,
            line: _,
        } = self;
        *address == other.address
            && *name == other.name
            && *port == other.port
            && *remote == other.remote
            && *local == other.local
            && *pointer == other.pointer
            && *proto == other.proto
            && *history == other.history
            && *max == other.max
            && *keep_free == other.keep_free
            && *access == other.access
            && *key == other.key
    }
}

impl Eq for SourceConfig {}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Ip(ip) => ip.fmt(f),
            Address::Name(name) => name.fmt(f),
        }
    }
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Address {
        Address::Ip(ip.to_canonical())
    }
}

/// A sound line whose names have not been compared with those of other lines, and the columns of
/// three of them.
struct Draft {
    source: SourceConfig,
    options: Options,
    /// It stands for all logs that its REMOTE_FILE finds.
    family: Option<Rc<Template>>,
    address_column: u32,
    local_column: u32,
    pointer_column: u32,
}

impl Draft {
    /// Gives the source what the defaults say and its line does not.
    fn settle(&mut self, defaults: &Options) {
        let (own, source) = (&self.options, &mut self.source);
        source.proto = own.proto.or(defaults.proto).unwrap_or_default();
        source.history = own.history.or(defaults.history).unwrap_or_default();
        source.max = own.max.or(defaults.max).filter(|max| *max > 0).into();
        source.keep_free = defaults.keep_free.unwrap_or_default();
        source.key = own.key.clone();
        source.access = Access::new(
            own.mode.or(defaults.mode),
            own.group.as_deref().or(defaults.group.as_deref()),
        );
    }

    fn starting_from(mut self, dir: &Path) -> Draft {
        self.source.local = dir.join(&self.source.local).into();
        self.source.pointer = dir.join(&self.source.pointer).into();
        self
    }
}

/// The scratch file beside a pointer file or a list, through which it is replaced.
pub fn scratch_of(path: &Path) -> PathBuf {
    with_ending(path, ".tmp")
}

/// The name of a file beside another: that one's with `ending` behind it, whatever it ends in.
pub fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}

#[cfg(any(test, fuzzing))]
mod testing;
#[cfg(test)]
mod tests;
