//! The calls of the write side, as a hook sees them.

use std::path::Path;

/// One call that is about to be made.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Which.
    pub op: Op,
    /// The file, or the name that its handle was opened by.
    pub path: &'a Path,
    /// The new name, where there is one.
    pub to: Option<&'a Path>,
    /// Calls of the write side before it.
    pub number: u32,
}

/// The functions of [`WriteStore`](crate::store::WriteStore).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Op {
    OpenAppend,
    CreateNew,
    CreateScratch,
    Lock,
    Stat,
    StatPath,
    Append,
    AppendZeros,
    ReadAt,
    Overwrite,
    Truncate,
    ReadSmall,
    SyncFile,
    SyncDir,
    SyncAll,
    Rename,
    RenameNew,
    Link,
    Unlink,
}

/// What becomes of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is made.
    Make,
    /// It fails with this error number and does nothing, but for a sync: what that was to make
    /// durable counts as durable from then on, and is not.
    Fail(i32),
    /// At most so many bytes are written.
    Short(usize),
    /// It succeeds and does nothing. For the calls that have no result: syncs, renames, unlinks,
    /// truncations.
    Swallow,
}

impl Op {
    /// Whether the call can change what is on the disk or seen of it.
    pub fn changes(self) -> bool {
        !matches!(
            self,
            Op::OpenAppend | Op::Lock | Op::Stat | Op::StatPath | Op::ReadAt | Op::ReadSmall
        )
    }
}
