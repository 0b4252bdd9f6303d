//! The server's configuration, `gen_numbers.pl.locals`: bytes in, a checked [`Config`] or every
//! error with its place out. Pure: whoever calls has read the file.
//!
//! The file is a piece of Perl, and no Perl is at hand. `text` knows lines and columns, `literal`
//! reads strings and numbers, `name` has the settings, `statement` knows the grammar, `meaning`
//! decides what a value is good for.

pub mod allow;
mod error;
pub mod family;
mod literal;
mod meaning;
mod name;
#[cfg(feature = "noise")]
pub mod sealing;
mod statement;
mod text;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use self::allow::Hosts;
use self::family::{Family, Members};
use super::glob::Patterns;
use crate::limits::{CLIENTS_LEAST, CLIENTS_MAX, CLIENTS_PER_IP_LEAST, MEMBERS_MAX};

pub use error::{ConfigError, ConfigErrors, Problem};
pub use name::{Hash, Scalar};

/// The configuration. Everything in it has been checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// `$bind_addr` and `$bind_port`: where to listen; port 0 leaves the choice to the system.
    pub bind: SocketAddr,
    /// `%hosts_allow`: who is served.
    pub hosts: Hosts,
    /// `%files` and `%series`: what is served, each path once, in the order of their bytes. Behind
    /// these the logs of families, in the order in which they were found.
    pub files: Vec<FileEntry>,
    /// The keys of `%files` that are globs, in the order of their bytes.
    pub families: Vec<Family>,
    /// What is known of the logs of families.
    pub members: Members,
    /// `$delay_check`: how often a streamed file is looked at.
    pub delay_check_ms: u64,
    /// `$timeout_write`: how long a peer may take nothing before it is dropped.
    pub timeout_write_ms: u64,
    /// `$alive_interval`: how long a stream may be silent before a keep-alive goes out.
    pub alive_interval_ms: u64,
    /// `$grace`: how long a rotated file must have been quiet before it is complete; may be 0.
    pub grace_ms: u64,
    /// `$max_clients`: most peers served at the same time; at least 1.
    pub max_clients: usize,
    /// `$max_clients_per_ip`: most of them from one address; at least 1, and not necessarily below
    /// `max_clients`.
    pub max_clients_per_ip: usize,
    /// `$keep_deleted`: how many bytes of files without a name are held for clients.
    pub keep_deleted: u64,
    /// Who is known by a key.
    #[cfg(feature = "noise")]
    pub sealing: sealing::Sealing,
}

/// One served log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileEntry {
    /// The live file, or the name of a series: absolute, and short enough for a request line.
    pub path: PathBuf,
    /// Where its rotated files are; of a series, all its files.
    pub patterns: Patterns,
    /// Each of its files has a name of its own, which it keeps: the newest is the live one.
    pub is_series: bool,
}

impl FileEntry {
    /// Whether it is a log, and not a place that one left.
    pub fn is_any(&self) -> bool {
        !self.path.as_os_str().is_empty()
    }
}

impl Config {
    /// Reads a whole file. An empty one is legal and gives the defaults, with nobody allowed and
    /// nothing served.
    pub fn parse(text: &[u8]) -> Result<Config, ConfigErrors> {
        statement::parse(text)
    }

    /// What may not be meant, although it is legal, a text for each.
    pub fn doubts(&self) -> impl Iterator<Item = String> {
        let bare = (self.files.iter())
            .filter(|entry| entry.patterns.is_empty())
            .map(|entry| {
            format!(
                "{} is served without rotated files: what nobody has fetched when it is rotated is lost (to fetchlogs 1.1 the empty text meant not to serve it; that is undef now)",
                entry.path.display()
            )
        });
        let empty = [
            (self.hosts.is_empty(), "%hosts_allow allows nobody"),
            (self.serves_nothing(), "%files names no log"),
        ];
        let empty = empty.into_iter().filter(|(is, _)| *is);
        let loose = self.hosts.loose().map(|network| {
            format!(
                "%hosts_allow has {network} with an address of it in front of the /: all of the network is meant"
            )
        });
        // Each log takes a place, and a client that only compares takes one more.
        let few = self.max_clients_per_ip.min(self.max_clients) < self.files.len();
        let few = few.then_some(
            "there are more logs than one address may have connections: see $max_clients_per_ip",
        );
        let texts = empty.map(|(_, text)| text);
        let texts = texts.chain(self.local_doubt()).chain(few);
        #[cfg(feature = "noise")]
        let texts = texts.chain(self.sealing.doubt());
        texts.map(str::to_owned).chain(loose).chain(bare)
    }

    /// Gives what was not said, which is 0, its value: so many that a collector can have all logs,
    /// and others can ask beside it.
    fn settle(&mut self) {
        let logs = self.files.len() + self.families.len() * MEMBERS_MAX;
        let settle = |limit: &mut usize, least: usize, each: usize| {
            if *limit == 0 {
                *limit = least.max(logs * each).min(CLIENTS_MAX);
            }
        };
        settle(&mut self.max_clients, CLIENTS_LEAST, 4);
        settle(&mut self.max_clients_per_ip, CLIENTS_PER_IP_LEAST, 2);
    }

    /// The same of whoever is on this machine.
    pub fn local_doubt(&self) -> Option<&'static str> {
        let local = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        let is_local = local.iter().any(|local| self.hosts.allows(local));
        (is_local && !self.serves_nothing()).then_some(
            "%hosts_allow has this machine itself: every local user can read all that is served",
        )
    }

    /// Whether there is no log that anybody could have.
    pub fn serves_nothing(&self) -> bool {
        self.files.is_empty() && self.families.is_empty()
    }

    /// The place in [`files`](Self::files) of the log with exactly this path.
    pub fn index_of(&self, path: &Path) -> Option<u32> {
        let found = || {
            let exact = self.exact();
            let at = self.files[exact..].iter().position(|it| it.path == path)?;
            Some(exact + at)
        };
        let at = self.place_of(path).ok().or_else(found)?;
        u32::try_from(at)
            .ok()
            .filter(|_| !path.as_os_str().is_empty())
    }

    /// The place of the log with exactly this path, or the one where it would have to stand.
    fn place_of(&self, path: &Path) -> Result<usize, usize> {
        let wanted = path.as_os_str();
        // `files` is sorted by bytes, which is not the order of paths by components.
        self.files[..self.exact()].binary_search_by(|entry| entry.path.as_os_str().cmp(wanted))
    }
}

impl Default for Config {
    fn default() -> Config {
        Config {
            bind: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 19),
            hosts: Hosts::default(),
            files: Vec::new(),
            families: Vec::new(),
            members: Members::default(),
            delay_check_ms: 5_000,
            timeout_write_ms: 60_000,
            alive_interval_ms: 60_000,
            grace_ms: 10_000,
            max_clients: CLIENTS_LEAST,
            max_clients_per_ip: CLIENTS_PER_IP_LEAST,
            keep_deleted: 0,
            #[cfg(feature = "noise")]
            sealing: sealing::Sealing::default(),
        }
    }
}

#[cfg(test)]
mod names;
#[cfg(test)]
mod tests;
