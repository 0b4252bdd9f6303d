//! Identities of files: the numbers that protocol, pointer and catalog must never mix up.

use std::fmt;

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

/// What identifies a file on one host while it exists: its device and its inode.
///
/// Both, since a glob may lead to several file systems, each with an inode of the same number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FileId {
    /// `st_dev`.
    pub device: u64,
    /// `st_ino`.
    pub inode: Inode,
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.device, self.inode)
    }
}
