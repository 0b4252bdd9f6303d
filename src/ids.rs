//! Identities of files: the numbers that protocol, pointer and catalog must never mix up.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// A file's inode number as the protocol carries it. Zero means "none": no file system gives it
/// out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Inode(pub u64);

impl Inode {
    /// "I hold no generation yet" in a request.
    pub const NONE: Inode = Inode(0);
}

impl fmt::Display for Inode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A size or an offset that there need not be, in the room of one: a source has many, and most of
/// them are seldom there. The largest number counts as the one before it, which no file reaches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MaybeOffset(u64);

impl MaybeOffset {
    /// There is none.
    pub const NONE: MaybeOffset = MaybeOffset(u64::MAX);

    /// This one.
    pub fn some(offset: u64) -> MaybeOffset {
        MaybeOffset(offset.min(u64::MAX - 1))
    }

    /// The offset, if there is one.
    pub fn get(self) -> Option<u64> {
        (self != MaybeOffset::NONE).then_some(self.0)
    }

    /// The offset, if there is one, and leaves none.
    pub fn take(&mut self) -> Option<u64> {
        std::mem::take(self).get()
    }
}

impl Default for MaybeOffset {
    fn default() -> MaybeOffset {
        MaybeOffset::NONE
    }
}

impl From<Option<u64>> for MaybeOffset {
    fn from(offset: Option<u64>) -> MaybeOffset {
        offset.map_or(MaybeOffset::NONE, MaybeOffset::some)
    }
}

/// What identifies a file on one host while it exists: its device and its inode.
///
/// Both, since a glob may lead to several file systems, each with an inode of the same number.
#[derive(Clone, Copy, Eq, Debug)]
pub struct FileId {
    /// `st_dev`.
    pub device: u64,
    /// `st_ino`.
    pub inode: Inode,
}

// Files are compared everywhere, and a router stores each place; out of line they are a third.
impl PartialEq for FileId {
    #[inline(never)]
    fn eq(&self, other: &FileId) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

impl PartialOrd for FileId {
    fn partial_cmp(&self, other: &FileId) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for FileId {
    #[inline(never)]
    fn cmp(&self, other: &FileId) -> Ordering {
        (self.device, self.inode).cmp(&(other.device, other.inode))
    }
}

impl Hash for FileId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.device, self.inode).hash(state);
    }
}

/// The birth of a file: what tells it from an earlier or later file that has the same inode number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Born {
    /// The system does not tell.
    #[default]
    Unknown,
    /// The CRC-32 of its handle, on a file system whose handles last: name_to_handle_at(2).
    Handle(u32),
    /// The CRC-32 of its birth time, on such a file system that gives no handles: statx(2).
    Time(u32),
    /// The same where neither is known to last: that it is equal says something, that it differs
    /// says nothing.
    Faint(u32),
}

/// Whether two files are one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sameness {
    /// They are.
    Same,
    /// They are not.
    Other,
    /// They have the same inode number, and nothing else is known.
    Unknown,
}

/// What identifies a file for good, as far as the system tells.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Identity {
    /// Device and inode.
    pub id: FileId,
    /// Its birth.
    pub born: Born,
}

impl Identity {
    /// Whether it is the same file as another. Devices are numbered anew with each boot of the box,
    /// so they count only where `same_boot`.
    pub fn compare(self, other: Identity, same_boot: bool) -> Sameness {
        if self.id.inode != other.id.inode || (same_boot && self.id.device != other.id.device) {
            return Sameness::Other;
        }
        match (self.born, other.born) {
            (Born::Handle(a), Born::Handle(b)) | (Born::Time(a), Born::Time(b)) if a != b => {
                Sameness::Other
            }
            (Born::Handle(_), Born::Handle(_)) | (Born::Time(_), Born::Time(_)) => Sameness::Same,
            (Born::Faint(a), Born::Faint(b)) if a == b => Sameness::Same,
            // One kind says nothing about another: a file may be seen once with a handle and once
            // without.
            _ => Sameness::Unknown,
        }
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.device, self.inode)
    }
}
