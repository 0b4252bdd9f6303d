//! Keys of `%files` that are globs: each stands for all logs that it finds. Pure.

use std::path::{Path, PathBuf};

use std::os::unix::ffi::OsStrExt;

use super::error::Problem;
use super::{Config, FileEntry};
use crate::limits::PATH_MAX_LEN;
use crate::serve::glob::Patterns;
use crate::time::Mono;

/// The logs of one key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Family {
    /// The key as it was written.
    pub key: Box<[u8]>,
    /// What finds its logs.
    pub logs: Patterns,
    /// Where their rotated files are, with `%p` for the path of the log.
    value: Box<[u8]>,
}

/// What is known of the logs of all families. Their entries stand behind all others of a
/// configuration, in the same order. One that went leaves its place empty for the next one, so that
/// the numbers of the others stay.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Members {
    /// One for each entry.
    pub list: Vec<Member>,
    /// Counts the changes of the list.
    pub version: u32,
    /// The change that took something away last.
    pub removed: u32,
    /// Some of the logs that are not served, because a key finds too many.
    pub left_out: Vec<PathBuf>,
    /// There are more of these, or not all files were looked at.
    pub is_cut: bool,
}

/// A log of a family.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Member {
    /// The number of the family.
    pub family: u32,
    /// The change with which it came.
    pub since: u32,
    /// When it was first found to be gone.
    pub gone_at: Option<Mono>,
    /// It is not told any more, and goes soon.
    pub is_leaving: bool,
}

impl Family {
    pub(super) fn of_key(key: &[u8]) -> Result<Patterns, Problem> {
        Patterns::parse(key).map_err(Problem::Pattern)
    }

    pub(super) fn new(key: &[u8], logs: Patterns, value: &[u8]) -> Result<Family, Problem> {
        let family = Family {
            key: key.into(),
            logs,
            value: value.into(),
        };
        let example = family.patterns(b"/a");
        let example = example.ok_or(Problem::FamilyAlike)?;
        // Or all logs had the same rotated files.
        match example.is_empty() || family.patterns(b"/b") != Some(example) {
            true => Ok(family),
            false => Err(Problem::FamilyAlike),
        }
    }

    /// The log with this path; `None` if nobody could ask for it.
    pub fn entry(&self, path: &Path) -> Option<FileEntry> {
        let bytes = path.as_os_str().as_bytes();
        let is_sound = bytes.len() <= PATH_MAX_LEN && !bytes.contains(&b'\n');
        let patterns = self.patterns(bytes).filter(|_| is_sound)?;
        Some(FileEntry {
            path: path.to_path_buf(),
            patterns,
            is_series: false,
        })
    }

    /// The patterns of the rotated files of a log.
    fn patterns(&self, path: &[u8]) -> Option<Patterns> {
        let mut text = Vec::new();
        let mut bytes = self.value.iter();
        while let Some(&byte) = bytes.next() {
            match (byte, bytes.as_slice().first()) {
                (b'%', Some(b'p')) => {
                    bytes.next();
                    for &byte in path {
                        let is_plain = byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
                        if !is_plain && byte.is_ascii() {
                            text.push(b'\\');
                        }
                        text.push(byte);
                    }
                }
                _ => text.push(byte),
            }
        }
        Patterns::parse(&text).ok()
    }

    /// The directories below which all its logs are, and their rotated files.
    pub fn roots(&self) -> Vec<PathBuf> {
        let mut roots = self.logs.roots();
        let near = roots.first().map(|root| root.join("x"));
        let rotated = near.and_then(|path| self.patterns(path.as_os_str().as_bytes()));
        roots.extend(rotated.iter().flat_map(Patterns::roots));
        roots
    }
}

impl Config {
    /// How many entries are those of keys that name one log.
    pub fn exact(&self) -> usize {
        self.files.len() - self.members.list.len()
    }

    /// How many logs of a family there are.
    pub fn count_of(&self, family: u32) -> usize {
        let members = self.members.list.iter().zip(&self.files[self.exact()..]);
        members
            .filter(|(member, entry)| member.family == family && entry.is_any())
            .count()
    }

    /// A log of a family was found.
    pub fn add_member(&mut self, entry: FileEntry, family: u32) -> u32 {
        let exact = self.exact();
        let members = &mut self.members;
        members.version += 1;
        let member = Member {
            family,
            since: members.version,
            gone_at: None,
            is_leaving: false,
        };
        match self.files[exact..].iter().position(|it| !it.is_any()) {
            Some(at) => {
                members.list[at] = member;
                self.files[exact + at] = entry;
                (exact + at) as u32
            }
            None => {
                members.list.push(member);
                self.files.push(entry);
                self.files.len() as u32 - 1
            }
        }
    }

    /// One of them is gone: who asks which logs there are is not told it any more.
    pub fn let_leave(&mut self, at: usize) {
        self.members.version += 1;
        self.members.removed = self.members.version;
        self.members.list[at].is_leaving = true;
    }

    /// One of them that was gone is there again.
    pub fn let_stay(&mut self, at: usize) {
        let member = &mut self.members.list[at];
        member.gone_at = None;
        if std::mem::take(&mut member.is_leaving) {
            self.members.version += 1;
            member.since = self.members.version;
        }
    }

    /// Notes which logs are not served, because there are too many. Tells whether that is news:
    /// then everybody is told all logs anew.
    pub fn leave_out(&mut self, left_out: Vec<PathBuf>, is_cut: bool) -> bool {
        let members = &mut self.members;
        if (&members.left_out, members.is_cut) == (&left_out, is_cut) {
            return false;
        }
        (members.left_out, members.is_cut) = (left_out, is_cut);
        members.version += 1;
        members.removed = members.version;
        true
    }

    /// One of them is none any more, and its place is empty.
    pub fn remove_member(&mut self, index: u32) {
        self.files[index as usize] = FileEntry {
            path: PathBuf::new(),
            patterns: Patterns::default(),
            is_series: false,
        };
    }

    /// Takes over the logs that were found for the same keys before.
    pub fn inherit(&mut self, before: &Config) {
        let version = before.members.version + 1;
        self.members.version = version;
        self.members.removed = version;
        for (member, entry) in before
            .members
            .list
            .iter()
            .zip(&before.files[before.exact()..])
        {
            let was = &before.families[member.family as usize];
            let is_it = |it: &Family| it.key == was.key && it.value == was.value;
            let is = self.families.iter().position(is_it);
            let is_new = self.index_of(&entry.path).is_none();
            if let Some(family) = is.filter(|_| is_new && entry.is_any()) {
                self.add_member(entry.clone(), family as u32);
            }
        }
    }
}
