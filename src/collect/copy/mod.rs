//! The local copy of one source: the file that grows, its pointer, and the steps by which one is
//! rotated.
//!
//! Pure: the file system is a [`WriteStore`]. The order of the steps makes a crash between any two
//! of them harmless: whatever a run leaves behind, [`LocalCopy::open`] brings to a state from which
//! the source goes on with nothing lost and nothing twice. A failed step is treated like a crash:
//! the caller drops the copy and opens it again later.

mod error;
mod files;
mod free_name;
mod gaps;
pub mod given;
mod hook_event;
mod hooks;
pub(crate) mod left_out;
pub(crate) mod loss;
pub mod pointer;
mod rescue;
mod rotation;
mod trust;
mod unverified;

use std::io;
use std::path::{Path, PathBuf};

use self::error::system;
pub use self::error::{FileError, Found, is_of_device, is_shortage};
pub use self::files::LocalFiles;
pub use self::gaps::Part;
pub use self::hook_event::{HookEvent, HookKind, HookNews};
use self::rescue::Moving;
use self::rotation::Change;
pub use self::rotation::{Changed, Progress, Syncs};
pub use self::trust::Dropped;
use self::trust::EndZeros;
pub use self::unverified::Finished;

use self::pointer::Pointer;
use super::config::{SourceConfig, scratch_of, with_ending};
use crate::ids::{FileId, Inode, MaybeOffset};
use crate::store::WriteStore;

/// The open local copy and what its pointer says.
pub struct LocalCopy<F> {
    pointer: Option<Pointer>,
    open: Option<OpenFile<F>>,
    /// The size of the file counts; else its end has to be compared first.
    is_believed: bool,
    /// It is known to count, and is being made so on the disk.
    is_confirming: bool,
    /// A write failed: what reads as it should from here on may not be on the disk, and has to be
    /// written again.
    unwritten_from: MaybeOffset,
    /// The bytes that were appended since it was opened.
    appended: u64,
    /// The change to another generation, while it is under way.
    change: Option<Box<Change>>,
    /// The end that is being set aside.
    moving: Option<Box<Moving<F>>>,
    /// The zeros at a doubtful end, as far as they were looked for.
    zeros: Option<Box<EndZeros>>,
}

/// The file of a copy while it is open.
struct OpenFile<F> {
    file: F,
    id: FileId,
    size: u64,
    /// The name is new: it was given in this run and may not be durable yet.
    new_name: bool,
}

/// A generation as its server names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Generation {
    /// The inode on the box.
    pub inode: Inode,
    /// The boot and the time of last writes, which only version 2 tells.
    pub origin: Option<Origin>,
    /// Whether classic has, or had, a part in it, which sends 0xff for 0x07.
    pub classic: bool,
}

/// The origin of a generation, as version 2 tells it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Origin {
    /// The latest time at which any older generation was last written, in nanoseconds since 1970.
    pub mtime_ns: u64,
    /// The boot of the box.
    pub boot: u32,
}

/// The names that belong to one source. Those that are rarely used are made when they are needed,
/// so that an idle source does not hold them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Paths<'a> {
    /// The log on the server.
    pub remote: &'a [u8],
    /// The local copy.
    pub local: &'a Path,
    /// The pointer file.
    pub pointer: &'a Path,
}

impl Generation {
    /// A generation that a classic server names.
    pub fn classic(inode: Inode) -> Generation {
        Generation {
            inode,
            origin: None,
            classic: true,
        }
    }
}

impl<'a> Paths<'a> {
    /// The names that a line of the configuration gives.
    pub fn of(config: &SourceConfig) -> Paths<'_> {
        Paths {
            remote: &config.remote,
            local: &config.local,
            pointer: &config.pointer,
        }
    }

    /// The directory that the local copy stands in.
    pub fn local_dir(self) -> &'a Path {
        directory_of(self.local)
    }

    /// The directory of the pointer file and its scratch file.
    pub fn pointer_dir(self) -> &'a Path {
        directory_of(self.pointer)
    }

    /// The scratch file: the next pointer is written there before it replaces the last.
    pub fn scratch(self) -> PathBuf {
        scratch_of(self.pointer)
    }

    /// The record of losses and differences, beside the local copy, until an operator takes it
    /// away.
    pub fn gaps(self) -> PathBuf {
        with_ending(self.local, ".gaps")
    }

    /// The record of finished copies that hold more than the server had, or were healed, beside the
    /// local copy.
    pub fn kept(self) -> PathBuf {
        with_ending(self.local, ".kept")
    }

    /// The list of finished copies that are still to be compared with the server's files: beside
    /// the pointer.
    pub fn unverified(self) -> PathBuf {
        with_ending(self.pointer, ".unverified")
    }

    /// The list of what was not handed to the operator's program yet: beside the pointer.
    pub fn hooks(self) -> PathBuf {
        with_ending(self.pointer, ".hooks")
    }
}

impl<F> LocalCopy<F> {
    /// A copy whose end is good.
    fn of(pointer: Option<Pointer>, open: Option<OpenFile<F>>) -> LocalCopy<F> {
        LocalCopy {
            pointer,
            open,
            is_believed: true,
            is_confirming: false,
            unwritten_from: MaybeOffset::NONE,
            appended: 0,
            change: None,
            moving: None,
            zeros: None,
        }
    }

    /// Opens what earlier runs left, finishing a rotation they may have begun. What is put right is
    /// told to `found`.
    ///
    /// Everything is made durable before it is believed: what a killed run wrote may not be on the
    /// disk yet.
    pub fn open<S: WriteStore<File = F>>(
        files: &mut LocalFiles<'_, S>,
        found: &mut dyn FnMut(Found),
    ) -> Result<LocalCopy<F>, FileError> {
        files.barrier()?;
        // The pointer alone decides: what else stands on the disk may be from before or after any
        // step.
        match files.read_pointer()? {
            None => files.open_without_pointer(found),
            Some(mut pointer) => match pointer.pending.take() {
                None => files.open_plain(pointer, found),
                Some(pending) => files.finish_rotation(pointer, pending, found),
            },
        }
    }

    /// The inode of the generation that is copied; `None` before the first contact.
    pub fn inode(&self) -> Option<Inode> {
        self.pointer.as_ref().map(|pointer| pointer.inode)
    }

    /// The generation that is copied; `None` before the first contact.
    pub fn generation(&self) -> Option<Generation> {
        let pointer = self.pointer.as_ref()?;
        let boot = pointer
            .token
            .as_ref()
            .map(|token| token.as_bytes().try_into());
        Some(Generation {
            inode: pointer.inode,
            origin: pointer.mtime_ns.map(|mtime_ns| Origin {
                mtime_ns,
                // A token of another length is none that version 2 gave. 0 says that the boot is
                // not known.
                boot: boot.and_then(Result::ok).map_or(0, u32::from_be_bytes),
            }),
            classic: pointer.classic,
        })
    }

    /// The size of the copy, which is the offset to go on from.
    pub fn size(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.size)
    }

    /// Whether the file that is open still has its name. Somebody may have moved it, or put another
    /// one in its place.
    pub fn is_in_place<S: WriteStore<File = F>>(
        &self,
        files: &mut LocalFiles<'_, S>,
    ) -> Result<bool, FileError> {
        let Some(open) = &self.open else {
            return Ok(true);
        };
        let found = files.stat_path(files.paths.local)?;
        Ok(found.is_some_and(|found| found.id == open.id))
    }

    /// The bytes that were appended since it was opened.
    pub fn appended(&self) -> u64 {
        self.appended
    }

    /// Appends bytes of the current generation. After an error some of them may be in the file; its
    /// size tells.
    pub fn append<S: WriteStore<File = F>>(
        &mut self,
        mut bytes: &[u8],
        files: &mut LocalFiles<'_, S>,
    ) -> Result<(), FileError> {
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        while !bytes.is_empty() {
            let written = files
                .store
                .append(&open.file, bytes)
                .map_err(|error| system("append to", files.paths.local, error))?;
            // A write that takes nothing and is no error would be tried for ever.
            if written == 0 {
                let error = io::Error::from(io::ErrorKind::WriteZero);
                return Err(system("append to", files.paths.local, error));
            }
            // After each call, not at the end: on a full disk the next one fails, and what fitted
            // stays.
            open.size += written as u64;
            self.appended += written as u64;
            bytes = bytes.get(written..).unwrap_or_default();
        }
        Ok(())
    }

    /// Appends so many zeros, as [`append`](Self::append) appends bytes, without writing them where
    /// the disk can do without.
    pub fn append_zeros<S: WriteStore<File = F>>(
        &mut self,
        len: u64,
        files: &mut LocalFiles<'_, S>,
    ) -> Result<(), FileError> {
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        files
            .store
            .append_zeros(&open.file, len)
            .map_err(|error| system("append to", files.paths.local, error))?;
        open.size += len;
        self.appended += len;
        Ok(())
    }

    /// The server knows the same generation under another name now, or tells it in another way:
    /// only the pointer changes.
    pub fn rename_generation<S: WriteStore<File = F>>(
        &mut self,
        generation: Generation,
        files: &mut LocalFiles<'_, S>,
    ) -> Result<(), FileError> {
        let Some(held) = &self.pointer else {
            return Ok(());
        };
        // The new pointer would call the copy's end good in this boot. What the server calls the
        // generation says nothing about that.
        let pointer = Pointer {
            checkpoint: held.checkpoint,
            boot: held.boot.clone(),
            // The record that is written has more, but still nobody has noted what is good.
            is_bare: held.is_bare,
            ..files.new_pointer(generation)
        };
        files.commit_pointer(&pointer)?;
        self.pointer = Some(pointer);
        Ok(())
    }

    /// Reads from the copy; fewer bytes than asked for only at its end.
    pub fn read_at<S: WriteStore<File = F>>(
        &self,
        buf: &mut [u8],
        offset: u64,
        files: &mut LocalFiles<'_, S>,
    ) -> Result<usize, FileError> {
        let Some(open) = &self.open else {
            return Ok(0);
        };
        files
            .store
            .read_at(&open.file, buf, offset)
            .map_err(|error| system("read", files.paths.local, error))
    }

    /// Cuts off the last bytes, which were never part of the generation.
    pub fn cut<S: WriteStore<File = F>>(
        &mut self,
        size: u64,
        files: &mut LocalFiles<'_, S>,
    ) -> Result<(), FileError> {
        if self.size() <= size {
            return Ok(());
        }
        // The checkpoint comes first. If a crash came between, the next run would append in the
        // place of what was cut, and after a power cut the pointer would vouch for these bytes.
        self.lower_checkpoint(size, files)?;
        let Some(open) = self.open.as_mut() else {
            return Ok(());
        };
        files
            .store
            .truncate(&open.file, size)
            .map_err(|error| system("shorten", files.paths.local, error))?;
        open.size = size;
        Ok(())
    }
}

/// The bytes moved at once when a part of a copy is set aside.
const COPY_LEN: usize = 4096;

/// What compressors put behind the name of a finished copy.
pub const PACKED_ENDINGS: [&str; 4] = [".gz", ".xz", ".zst", ".bz2"];

/// The directory that a file's name stands in.
pub fn directory_of(file: &Path) -> &Path {
    match file.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests;
