//! The ledger of what a source was given: the token of the present generation, and the last
//! generations that were finished. It stands beside the pointer file, and nothing of it is kept in
//! memory.
//!
//! ```text
//! "v1" [ "b=" BOOT ] [ INODE M TOKEN [ INODE M TOKEN ] ] [ x ]
//!                                                  the boot of this host in which this was noted; the
//!                                                  present generation, M the `m` of its pointer; during
//!                                                  a rotation the next one, too, and with x the present
//!                                                  one is in a file that may be somebody's copy
//! SIZE CRC32|- MD5|- TOKEN|- STAMP[.N] [x]         a copy that was finished, the newest first; with
//!                                                  x one of a file that may be somebody's copy
//! "c=" CRC32                                       of the source's name and all lines before
//! ```
//!
//! Nothing depends on it: with less of it the server is told less, and that is all. So it is not
//! made durable, and whatever is no ledger of this source to its last byte counts as an empty one.

use std::fmt::{self, Write};
use std::io;
use std::path::{Path, PathBuf};

use super::error::is_shortage;
use super::pointer::{BootId, RotatedSuffix};
use super::{Finished, Generation, Origin};
use crate::collect::config::{SourceConfig, scratch_of, with_ending};
use crate::ids::Inode;
use crate::limits::GIVEN_KEPT_MAX;
use crate::store::WriteStore;
use crate::wire::crc32::Crc32;
use crate::wire::md5::{self, Hex};
use crate::wire::proof::hex32;
use crate::wire::token::Token;

/// The ledger of one source.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Ledger {
    /// The boot of this host in which the tokens were noted, where that is known.
    boot: Option<BootId>,
    /// The present generation; during a rotation the next one, too.
    begun: Vec<Begun>,
    /// During a rotation: the file of the generation that is left may be somebody's copy.
    left_is_suspect: bool,
    /// The newest first.
    entries: Vec<Entry>,
}

/// The token of a generation that was begun. Inode and `m` tell which one that is.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Begun {
    inode: Inode,
    mtime_ns: u64,
    token: Token,
}

/// A generation that was given whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The size of the copy.
    pub size: u64,
    /// Checksums of all of the copy, once it was compared.
    pub sums: Option<CopySums>,
    /// The token of the file that the server had all of it in.
    pub token: Option<Token>,
    /// The end of the copy's name.
    pub suffix: RotatedSuffix,
    /// That file may be a copy that somebody made of another generation.
    pub is_suspect: bool,
}

/// Checksums of all of a copy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CopySums {
    /// The CRC-32, if it was computed.
    pub crc: Option<u32>,
    /// The MD5.
    pub md5: [u8; 16],
}

impl Entry {
    /// The name of its copy.
    pub fn path(&self, config: &SourceConfig) -> PathBuf {
        with_ending(&config.local, &format!(".{}", self.suffix))
    }
}

impl Ledger {
    /// Reads the ledger of a source. What is none counts as empty. The error is a shortage here,
    /// with which nothing is known about what stands there.
    pub fn read<S: WriteStore>(config: &SourceConfig, store: &mut S) -> io::Result<Ledger> {
        let mut text = vec![0; LEDGER_MAX_LEN + 1];
        let len = match store.read_small(&path_of(config), &mut text) {
            Ok(len) => len.unwrap_or(0),
            Err(error) if is_shortage(&error) => return Err(error),
            // A link, a directory, somebody else's: the next rotation puts a ledger in its place,
            // if it can.
            Err(_) => 0,
        };
        let ledger = Ledger::parse(text.get(..len).unwrap_or_default(), config);
        Ok(ledger.unwrap_or_default())
    }

    /// Replaces the ledger of a source. What cannot be written is not remembered.
    pub fn write<S: WriteStore>(&self, config: &SourceConfig, store: &mut S) -> io::Result<()> {
        let path = path_of(config);
        if self.begun.is_empty() && self.entries.is_empty() {
            // A source with nothing to remember has one file less.
            return match store.stat_path(&path)? {
                Some(_) => store.unlink(&path),
                None => Ok(()),
            };
        }
        let scratch_path = scratch_of(&path);
        let scratch = store.create_scratch(&scratch_path)?;
        // No sync before the rename: a power cut may leave anything under the name, and then it is
        // seen to be no ledger.
        let written = store
            .append_all(&scratch, self.text(config).as_bytes())
            .and_then(|()| store.rename(&scratch_path, &path));
        if written.is_err() {
            // On a full disk others need the room.
            let _ = store.unlink(&scratch_path);
        }
        written
    }

    /// The token of this generation, if it is the present one and its token is known.
    pub fn token_of(&self, generation: &Generation) -> Option<Token> {
        let is_it = |begun: &&Begun| (begun.inode, Some(begun.mtime_ns)) == key_of(generation);
        self.begun.iter().find(is_it).map(|begun| begun.token)
    }

    /// Notes in this boot the token of the present generation; `None` where it has none.
    pub fn set_token(
        &mut self,
        generation: &Generation,
        token: Option<Token>,
        boot: Option<&BootId>,
    ) {
        self.forget_tokens();
        self.announce(generation, token, false, boot);
    }

    /// Notes in this boot the token of the generation that will be the present one after a
    /// rotation, before that begins: whoever is killed in it has the token all the same, and knows
    /// whether the file of the generation that is left is a suspect.
    pub fn announce(
        &mut self,
        next: &Generation,
        token: Option<Token>,
        left_is_suspect: bool,
        boot: Option<&BootId>,
    ) {
        let (inode, mtime_ns) = key_of(next);
        self.begun.truncate(1);
        self.begun
            .extend(mtime_ns.zip(token).map(|(mtime_ns, token)| Begun {
                inode,
                mtime_ns,
                token,
            }));
        self.left_is_suspect = left_is_suspect;
        self.boot = boot.cloned();
    }

    /// Forgets the tokens of the present generation and the next.
    pub fn forget_tokens(&mut self) {
        self.begun.clear();
        self.left_is_suspect = false;
    }

    /// Whether its tokens were noted in this boot: no power cut came between.
    pub fn is_of(&self, boot: Option<&BootId>) -> bool {
        boot.is_some() && self.boot.as_ref() == boot
    }

    /// The generations that were given, the newest first.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry of a copy.
    pub fn entry_of(&self, copy: &Path, config: &SourceConfig) -> Option<&Entry> {
        let suffix = RotatedSuffix::of(copy, &config.local)?;
        self.entries.iter().find(|entry| entry.suffix == suffix)
    }

    /// The copy of a file that the server has sent before: size, MD5 and the token's ID are the
    /// same, and known. The oldest, if there are several.
    pub fn double_of(&self, copy: &Path, config: &SourceConfig) -> Option<PathBuf> {
        let new = self.entry_of(copy, config)?;
        let what_of = |entry: &Entry| {
            let token = entry.token.as_ref()?;
            Some((entry.size, entry.sums?.md5, token.id().to_owned()))
        };
        let what = what_of(new)?;
        let is_double =
            |old: &&Entry| old.suffix != new.suffix && what_of(old).as_ref() == Some(&what);
        let old = self.entries.iter().rfind(is_double)?;
        Some(old.path(config))
    }

    /// The copies before this one that are no shorter, the newest of them last.
    pub fn longer_before(&self, copy: &Path, config: &SourceConfig) -> Vec<PathBuf> {
        let Some(new) = self.entry_of(copy, config) else {
            return Vec::new();
        };
        let older = self.entries.iter().rev();
        let older = older.take_while(|old| old.suffix != new.suffix);
        let may = older.filter(|old| old.size >= new.size);
        may.map(|old| old.path(config)).collect()
    }

    /// The longest copy of the file with a token.
    pub fn entry_of_token(&self, token: &Token) -> Option<&Entry> {
        let is_it = |entry: &&Entry| entry.token.is_some_and(|own| own.id() == token.id());
        self.entries
            .iter()
            .filter(is_it)
            .max_by_key(|entry| entry.size)
    }

    /// Adds a generation that was given. The oldest goes where there are too many. Empty ones are
    /// all alike, and are not worth an entry.
    pub fn add(&mut self, entry: Entry) {
        if entry.size == 0 {
            return;
        }
        // A name that comes again has another copy now.
        self.entries.retain(|older| older.suffix != entry.suffix);
        self.entries.insert(0, entry);
        self.entries.truncate(GIVEN_KEPT_MAX);
    }

    /// Adds a copy that was finished, unless it is here: then the token is still that of its
    /// generation. `held` is the inode of the present one.
    pub fn catch_up(&mut self, finished: &Finished, held: Inode, config: &SourceConfig) {
        let Some(suffix) = RotatedSuffix::of(&finished.path, &config.local) else {
            return;
        };
        if finished.size == 0 || self.entry_of(&finished.path, config).is_some() {
            return;
        }
        // A file that was truncated has another generation by now.
        let is_its = |begun: &Begun| begun.inode == finished.inode && begun.inode != held;
        let begun = self.begun.iter().find(|begun| is_its(begun)).cloned();
        // What is not that of the present one now is that of none.
        self.begun
            .retain(|begun| begun.inode == held && begun.inode != finished.inode);
        let is_suspect = begun.is_some() && std::mem::take(&mut self.left_is_suspect);
        self.add(Entry {
            size: finished.size,
            sums: None,
            is_suspect,
            token: begun.map(|begun| begun.token),
            suffix,
        });
    }

    /// Whether a generation with this CRC-32 and this size, modulo 2^32, was given whole.
    pub fn has_content(&self, crc: u32, size: u32) -> bool {
        let mut crcs = self
            .entries
            .iter()
            .filter(|entry| entry.size as u32 == size)
            .map(|entry| entry.sums.and_then(|sums| sums.crc));
        crcs.any(|known| known == Some(crc))
    }

    /// Notes the checksums of a copy of `size` bytes. One that is not here gets an entry: whoever
    /// rotated it was killed before this was noted.
    pub fn set_sums(&mut self, copy: &Path, size: u64, sums: CopySums, config: &SourceConfig) {
        let Some(suffix) = RotatedSuffix::of(copy, &config.local) else {
            return;
        };
        let place = self.entries.iter().position(|entry| entry.suffix == suffix);
        match place.map(|place| (place, self.entries[place].size)) {
            Some((place, known)) if known == size => self.entries[place].sums = Some(sums),
            // It got what the server had of it later. That may go on, so it is the first to be told
            // of again.
            Some((place, known)) if known < size => {
                let mut entry = self.entries.remove(place);
                (entry.size, entry.sums) = (size, Some(sums));
                self.entries.insert(0, entry);
            }
            // They are of a part of it.
            Some(_) => {}
            None => self.add(Entry {
                size,
                sums: Some(sums),
                token: None,
                suffix,
                is_suspect: false,
            }),
        }
    }

    /// Forgets a copy.
    pub fn forget(&mut self, copy: &Path, config: &SourceConfig) {
        if let Some(suffix) = RotatedSuffix::of(copy, &config.local) {
            self.entries.retain(|entry| entry.suffix != suffix);
        }
    }

    /// Reads the text of a ledger. `None` if it is none of this source.
    pub(crate) fn parse(text: &[u8], config: &SourceConfig) -> Option<Ledger> {
        let (lines, seal) = str::from_utf8(text).ok()?.split_at_checked(
            // The last line has one length.
            text.len().checked_sub(SEAL_LEN)?,
        )?;
        let sum = hex32(seal.strip_prefix("c=")?.strip_suffix('\n')?.as_bytes())?;
        if sum != sum_of(lines, config) {
            return None;
        }
        let mut lines = lines.lines();
        let head = lines.next()?.strip_prefix("v1")?;
        let (head, left_is_suspect) = match head.strip_suffix(" x") {
            Some(head) => (head, true),
            None => (head, false),
        };
        let (boot, begun) = match head.strip_prefix(" b=") {
            None => (None, head),
            Some(rest) => {
                let end = rest.find(' ').unwrap_or(rest.len());
                let (boot, begun) = rest.split_at(end);
                (Some(BootId::new(boot)?), begun)
            }
        };
        let begun = Begun::parse_all(begun)?;
        let entries: Option<Vec<Entry>> = lines.map(Entry::parse).collect();
        let entries = entries.filter(|entries| entries.len() <= GIVEN_KEPT_MAX)?;
        Some(Ledger {
            boot,
            begun,
            left_is_suspect,
            entries,
        })
    }

    fn text(&self, config: &SourceConfig) -> String {
        let mut text = String::from("v1");
        // A string takes whatever there is memory for.
        let _ = self.write_lines(&mut text);
        let sum = sum_of(&text, config);
        let _ = writeln!(text, "c={sum:08x}");
        text
    }

    fn write_lines(&self, text: &mut String) -> fmt::Result {
        if let Some(boot) = &self.boot {
            write!(text, " b={boot}")?;
        }
        for begun in &self.begun {
            let Begun {
                inode,
                mtime_ns,
                token,
            } = begun;
            write!(text, " {inode} {mtime_ns} {token}")?;
        }
        text.push_str(if self.left_is_suspect { " x\n" } else { "\n" });
        for entry in &self.entries {
            writeln!(text, "{entry}")?;
        }
        Ok(())
    }
}

impl Begun {
    /// Reads all that stand behind the version. `None` is an error.
    fn parse_all(text: &str) -> Option<Vec<Begun>> {
        if text.is_empty() {
            return Some(Vec::new());
        }
        let words: Vec<&str> = text.strip_prefix(' ')?.split(' ').collect();
        let begun: Option<Vec<Begun>> = words.chunks(3).map(Begun::parse).collect();
        begun.filter(|begun| begun.len() <= 2)
    }

    fn parse(words: &[&str]) -> Option<Begun> {
        let [inode, mtime_ns, token] = words else {
            return None;
        };
        Some(Begun {
            inode: Inode(inode.parse().ok()?),
            mtime_ns: mtime_ns.parse().ok()?,
            token: Token::parse(token.as_bytes())?,
        })
    }
}

impl Entry {
    fn parse(line: &str) -> Option<Entry> {
        let mut words = line.split(' ');
        let size = words.next()?.parse().ok()?;
        let crc = known(words.next()?, |text| hex32(text.as_bytes()))?;
        let md5 = known(words.next()?, md5::read_hex)?;
        let entry = Entry {
            size,
            sums: md5.map(|md5| CopySums { crc, md5 }),
            token: known(words.next()?, |text| Token::parse(text.as_bytes()))?,
            suffix: RotatedSuffix::parse(words.next()?)?,
            is_suspect: match words.next() {
                None => false,
                Some("x") => true,
                Some(_) => return None,
            },
        };
        words.next().is_none().then_some(entry)
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.size)?;
        match self.sums.and_then(|sums| sums.crc) {
            Some(crc) => write!(f, "{crc:08x} ")?,
            None => f.write_str("- ")?,
        }
        match self.sums {
            Some(sums) => write!(f, "{} ", Hex(&sums.md5))?,
            None => f.write_str("- ")?,
        }
        match &self.token {
            Some(token) => write!(f, "{token}")?,
            None => f.write_str("-")?,
        }
        write!(f, " {}", self.suffix)?;
        f.write_str(if self.is_suspect { " x" } else { "" })
    }
}

/// Reads a word that is `-` where something is not known. The outer `None` is an error.
fn known<T>(word: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<Option<T>> {
    match word {
        "-" => Some(None),
        word => parse(word).map(Some),
    }
}

/// What tells a generation from others of the source.
fn key_of(generation: &Generation) -> (Inode, Option<u64>) {
    let mtime_ns = generation.origin.map(|Origin { mtime_ns, .. }| mtime_ns);
    (generation.inode, mtime_ns)
}

/// The checksum of the lines in the ledger of this source: that of another source is none.
fn sum_of(lines: &str, config: &SourceConfig) -> u32 {
    let mut crc = Crc32::new();
    let server = format!("{} {} ", config.address, config.port);
    for part in [server.as_bytes(), &config.remote, b"\n", lines.as_bytes()] {
        crc.update(part);
    }
    crc.finish()
}

fn path_of(config: &SourceConfig) -> PathBuf {
    with_ending(&config.pointer, ".given")
}

/// Bytes of the last line.
const SEAL_LEN: usize = "c=01234567\n".len();

/// Digits of the largest number.
const NUMBER_LEN: usize = 20;

/// Longest line: that of a copy, which is longer than the first.
const LINE_MAX_LEN: usize =
    NUMBER_LEN + 1 + 8 + 1 + 32 + 1 + Token::MAX_LEN + 1 + RotatedSuffix::MAX_LEN + 2 + 1;

/// Longest ledger.
const LEDGER_MAX_LEN: usize = (GIVEN_KEPT_MAX + 3) * LINE_MAX_LEN + SEAL_LEN;

const _: () = assert!("v1".len() + 3 + 2 * NUMBER_LEN + Token::MAX_LEN < LINE_MAX_LEN);

#[cfg(test)]
mod tests;
