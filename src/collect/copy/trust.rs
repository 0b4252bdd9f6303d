//! The trust in the end of a local copy: whether it is what was written there, and what becomes of
//! it where it is not.
//!
//! After a power cut a file may be shorter than it was, or end in zeros that nobody wrote. So its
//! size is believed only in the boot in which the pointer says that it was good; in any other the
//! end, from the last checkpoint on, has to be compared with the server's file first.

use std::io;
use std::path::PathBuf;

use super::error::{FileError, system};
use super::pointer::{self, BootId, Pointer};
use super::{COPY_LEN, LocalCopy, LocalFiles};
use crate::ids::MaybeOffset;
use crate::limits::{NEAR_END_LEN, POINTER_MAX_LEN};
use crate::mutation::{self, Mutation};
use crate::store::WriteStore;

/// The bytes of a block of zeros that is no part of a log: no file system cuts finer.
const ZEROS_LEN: usize = 512;

/// How many times [`COPY_LEN`] bytes of a doubtful end are read in one part.
const LOOKS_AT_ONCE: usize = 16;

/// What became of an end that the server's file has not.
pub enum Dropped {
    /// It was zeros, which are gone.
    Zeros,
    /// It has a file of its own.
    Kept(PathBuf),
    /// It is on its way to a file of its own: [`LocalCopy::rescue_part`] brings it there.
    Moving,
}

/// The zeros at a doubtful end, as far as they were looked for.
#[derive(Clone, Copy)]
pub(super) struct EndZeros {
    /// The size of the copy, and how much of it is known to be good.
    size: u64,
    good: u64,
    /// From here on there are only zeros.
    from: u64,
    /// Nothing more has to be read.
    is_over: bool,
}

impl<F> LocalCopy<F> {
    /// The place from which on the copy has to be compared with the server's file before its size
    /// counts; `None` if all of it can be believed.
    pub fn doubtful_from(&self) -> Option<u64> {
        let pointer = self.pointer.as_ref().filter(|_| !self.is_believed)?;
        // In an empty copy there is nothing to compare.
        (self.size() > 0).then_some(pointer.checkpoint)
    }

    /// Whether fetchlogs 1.1 left the copy, and nothing was compared since. Nobody has noted what
    /// is known to be good of it, and nothing says that anything happened to it either.
    pub fn is_taken_over(&self) -> bool {
        let pointer = self.pointer.as_ref().filter(|_| !self.is_believed);
        pointer.is_some_and(|pointer| pointer.is_bare)
    }

    /// Whether the size of the copy counts.
    pub fn is_believed(&self) -> bool {
        self.is_believed
    }

    /// The copy is what the server has, up to its end: makes that durable and notes it in the
    /// pointer. Nothing is done where it was known before; where much has to be written again,
    /// [`settle_part`](Self::settle_part) does the rest.
    pub fn confirm<S: WriteStore<File = F>>(
        &mut self,
        files: &mut LocalFiles<'_, S>,
    ) -> Result<(), FileError> {
        if self.is_believed {
            return Ok(());
        }
        // The comparison has written again what the server has; here follows what it could not be
        // asked about.
        self.is_confirming = !self.write_part_again(files)?;
        if self.is_confirming {
            return Ok(());
        }
        self.checkpoint(files)?;
        self.is_believed = true;
        Ok(())
    }

    /// The number of bytes that were appended since the pointer was last told how many are durable.
    pub fn since_checkpoint(&self) -> u64 {
        let checkpoint = self
            .pointer
            .as_ref()
            .map_or(0, |pointer| pointer.checkpoint);
        self.size().saturating_sub(checkpoint)
    }

    /// Notes in the pointer, durably, that no boot vouches for what stands behind the checkpoint: a
    /// write failed in this copy's earlier life.
    pub fn distrust<S: WriteStore<File = F>>(
        &mut self,
        files: &mut LocalFiles<'_, S>,
    ) -> Result<(), FileError> {
        let Some(pointer) = &mut self.pointer else {
            return Ok(());
        };
        pointer.boot = BootId::none_vouches();
        pointer.is_bare = false;
        // Durable before anything else is done: a collector that is killed now leaves its doubt to
        // the next.
        files.commit_pointer(pointer)?;
        self.is_believed = false;
        self.is_confirming = false;
        self.unwritten_from = MaybeOffset::some(pointer.checkpoint);
        Ok(())
    }

    /// Bytes of the copy were found to be what the server has: where a write failed they are
    /// written again, because they may be anywhere but on the disk.
    pub fn found_good<S: WriteStore<File = F>>(
        &mut self,
        bytes: &[u8],
        offset: u64,
        files: &mut LocalFiles<'_, S>,
    ) -> Result<(), FileError> {
        let (Some(open), Some(from)) = (&self.open, self.unwritten_from.get()) else {
            return Ok(());
        };
        files
            .store
            .overwrite(&open.file, bytes, offset)
            .map_err(|error| system("write again to", files.paths.local, error))?;
        // Only what joins the part that is written already counts, so that no gap is taken for
        // written.
        if offset <= from {
            self.unwritten_from = MaybeOffset::some(from.max(offset + bytes.len() as u64));
        }
        Ok(())
    }

    /// Writes a part of the rest of the copy again after a failed write, as it reads, including
    /// what the server could not be asked about. Tells whether that was the last.
    pub(super) fn write_part_again<S: WriteStore<File = F>>(
        &mut self,
        files: &mut LocalFiles<'_, S>,
    ) -> Result<bool, FileError> {
        let mut buf = [0; COPY_LEN];
        for _ in 0..LOOKS_AT_ONCE {
            let Some(from) = self.unwritten_from.get() else {
                break;
            };
            let read = self.read_at(&mut buf, from, files)?;
            match read {
                // The copy ends here.
                0 => self.unwritten_from = MaybeOffset::NONE,
                read => self.found_good(&buf[..read], from, files)?,
            }
        }
        Ok(self.unwritten_from.get().is_none())
    }

    /// Makes the copy durable and then the pointer, which says so.
    pub fn checkpoint<S: WriteStore<File = F>>(
        &mut self,
        files: &mut LocalFiles<'_, S>,
    ) -> Result<(), FileError> {
        let (Some(open), Some(pointer)) = (&mut self.open, &mut self.pointer) else {
            return Ok(());
        };
        // The copy first: a pointer that became durable alone would vouch for bytes that a power
        // cut can still take.
        files.sync_local(open)?;
        let next = Pointer {
            boot: files.boot.cloned(),
            checkpoint: open.size,
            is_bare: false,
            ..pointer.clone()
        };
        files.commit_pointer(&next)?;
        *pointer = next;
        Ok(())
    }

    /// Lowers the checkpoint before the copy is cut to `size`: bytes written there later are not
    /// durable just because the old ones were.
    pub(super) fn lower_checkpoint<S: WriteStore<File = F>>(
        &mut self,
        size: u64,
        files: &mut LocalFiles<'_, S>,
    ) -> Result<(), FileError> {
        let Some(pointer) = self.pointer.as_mut().filter(|p| p.checkpoint > size) else {
            return Ok(());
        };
        pointer.checkpoint = size;
        files.commit_pointer(pointer)
    }

    /// Takes away what the copy has from `offset` on and the server's file has not. Zeros go, for
    /// it is a power cut that leaves those; anything else keeps a name of its own.
    pub fn drop_end<S: WriteStore<File = F>>(
        &mut self,
        offset: u64,
        files: &mut LocalFiles<'_, S>,
    ) -> Result<Dropped, FileError> {
        // Nobody misses zeros that the file system put there, and if the box wrote them they are
        // fetched again.
        if self.has_only_zeros_from(offset) {
            return self.cut(offset, files).map(|()| Dropped::Zeros);
        }
        let kept = self.rescue(offset, files)?;
        Ok(kept.map_or(Dropped::Moving, Dropped::Kept))
    }

    /// Whether something has to be done, in parts, before anybody asks about the end of the copy:
    /// see [`settle_part`](Self::settle_part).
    pub fn is_unsettled(&self) -> bool {
        self.is_rescuing() || self.is_confirming || self.doubtful_zeros().is_none()
    }

    /// Does a part of that: sets aside what an earlier call or run has begun with, goes on to
    /// [`confirm`](Self::confirm), and looks for zeros. Returns the name of what was set aside with
    /// the last part of it.
    pub fn settle_part<S: WriteStore<File = F>>(
        &mut self,
        files: &mut LocalFiles<'_, S>,
    ) -> Result<Option<PathBuf>, FileError> {
        if self.is_rescuing() {
            return self.rescue_part(files);
        }
        match self.is_confirming {
            true => self.confirm(files)?,
            false => self.look_for_zeros(files)?,
        }
        Ok(None)
    }

    /// The number of zeros at the end of the copy that are not known to be good, as a power cut
    /// leaves them; `None` if they have to be looked for first.
    pub fn doubtful_zeros(&self) -> Option<u64> {
        let Some(good) = self.doubtful_from() else {
            return Some(0);
        };
        let zeros = self.zeros.as_deref();
        let zeros = zeros.filter(|zeros| zeros.is_of(self.size(), good));
        let known = zeros.filter(|zeros| zeros.is_over);
        known.map(|zeros| zeros.size - zeros.from)
    }

    /// Reads a part of a doubtful end, from behind, since a spoiled end is short and the copy may
    /// be long. Zeros before the checkpoint came from the server.
    fn look_for_zeros<S: WriteStore<File = F>>(
        &mut self,
        files: &mut LocalFiles<'_, S>,
    ) -> Result<(), FileError> {
        let Some(good) = self.doubtful_from() else {
            return Ok(());
        };
        let size = self.size();
        let known = self.zeros.as_deref().copied();
        let known = known.filter(|zeros| zeros.is_of(size, good));
        let mut zeros = known.unwrap_or(EndZeros::new(size, good));
        let mut buf = [0; COPY_LEN];
        for _ in 0..LOOKS_AT_ONCE {
            if zeros.is_over {
                break;
            }
            let start = zeros.from.saturating_sub(COPY_LEN as u64).max(good);
            let wanted = usize::try_from(zeros.from - start).unwrap_or(COPY_LEN);
            let read = self.read_at(&mut buf[..wanted], start, files)?;
            let last = buf[..read].iter().rposition(|byte| *byte != 0);
            // What somebody cut off meanwhile is none of ours to judge.
            zeros.from = start + last.map_or(0, |last| last as u64 + 1);
            zeros.is_over = last.is_some() || start == good;
        }
        self.zeros = Some(Box::new(zeros));
        Ok(())
    }

    /// Whether a block of nothing but zeros stands near the end, as a power cut leaves them where
    /// something was appended since.
    pub fn has_zeros_near_end<S: WriteStore<File = F>>(
        &self,
        files: &mut LocalFiles<'_, S>,
    ) -> Result<bool, FileError> {
        let mut buf = [0; COPY_LEN];
        let from = self.size().saturating_sub(NEAR_END_LEN);
        let mut at = from - from % COPY_LEN as u64;
        loop {
            let read = self.read_at(&mut buf, at, files)?;
            if read == 0 {
                return Ok(false);
            }
            let mut blocks = buf[..read].chunks(ZEROS_LEN);
            if blocks.any(|block| block.iter().all(|&byte| byte == 0)) {
                return Ok(true);
            }
            at += read as u64;
        }
    }

    /// Whether nothing but zeros stands from `offset` on, which is not before what is known to be
    /// good, as far as that was looked for.
    pub fn has_only_zeros_from(&self, offset: u64) -> bool {
        let zeros = self.doubtful_zeros();
        zeros.is_some_and(|zeros| offset >= self.size() - zeros)
    }
}

impl EndZeros {
    fn new(size: u64, good: u64) -> EndZeros {
        EndZeros {
            size,
            good,
            from: size,
            is_over: size <= good,
        }
    }

    /// Whether they are those of a copy of this size that is known to be good up to there.
    fn is_of(self, size: u64, good: u64) -> bool {
        (self.size, self.good) == (size, good)
    }
}

impl<S: WriteStore> LocalFiles<'_, S> {
    /// Marks in the present pointer file that no boot vouches for the copy. One letter is written
    /// over another, which takes no room on a full disk and cannot be half there. It need not be
    /// durable: after a power cut the boot is another one.
    pub fn mark_doubt(&mut self) -> io::Result<()> {
        let Some(file) = self.store.open_append(self.paths.pointer)? else {
            return Ok(());
        };
        // Another name may lead to it, too: then it is not only ours.
        if self.store.stat(&file)?.links > 1 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut buf = [0; POINTER_MAX_LEN + 1];
        let len = self.store.read_at(&file, &mut buf, 0)?;
        let record = buf.get(..len).unwrap_or_default();
        let doubt = match mutation::is_on(Mutation::DoubtNotMarked) {
            // The seal's own letter, which changes nothing.
            true => *b"c",
            false => [pointer::DOUBT],
        };
        match Pointer::place_of_doubt(record) {
            Some(place) => self.store.overwrite(&file, &doubt, place),
            None => Ok(()),
        }
    }

    /// Whether the end of a copy with this pointer can be believed.
    pub(super) fn believes(&self, pointer: &Pointer) -> bool {
        // A system without boot ids never says that it is the same boot. Then every start compares
        // the end.
        let is_same_boot = self.boot.is_some() && pointer.boot.as_ref() == self.boot;
        is_same_boot || mutation::is_on(Mutation::EndBelieved)
    }

    /// The pointer of a copy of `size` bytes, as it is to be understood: a file that a power cut
    /// left short has no good byte behind its end. It keeps the boot in which that end was last
    /// known to be good.
    pub(super) fn understood(&mut self, pointer: Pointer, size: u64) -> Result<Pointer, FileError> {
        let checkpoint = match mutation::is_on(Mutation::CheckpointNotClamped) {
            true => pointer.checkpoint,
            false => pointer.checkpoint.min(size),
        };
        let mut pointer = Pointer {
            checkpoint,
            ..pointer
        };
        if mutation::is_on(Mutation::BootForgotten) {
            pointer.boot = self.boot.cloned();
            self.commit_pointer(&pointer)?;
        }
        Ok(pointer)
    }
}
