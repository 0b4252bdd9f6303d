//! The rescue of the end of a copy that is not the server's, such as one that the server has
//! forgotten: it moves to a file of its own.
//!
//! ```text
//! the copy is made durable: its end may be nowhere else
//! the pointer tells where the end begins and how the file is called: from here on a start does what is left
//! the file is written and made durable
//! the copy is cut, durably
//! the pointer tells of it no more, durably: what comes behind the cut is never taken for the end
//! ```

use std::io;
use std::path::{Path, PathBuf};

use super::error::{FileError, Found, system};
use super::pointer::{Pointer, Rescue};
use super::{COPY_LEN, LocalCopy, LocalFiles, OpenFile};
use crate::limits::SUFFIX_ATTEMPTS_MAX;
use crate::mutation::{self, Mutation};
use crate::store::{Kind, WriteStore};

/// The part of a rescued file's name between the copy's name and the stamp.
const MARK: &str = "rescued.";

impl<F> LocalCopy<F> {
    /// Moves our bytes from `size` on to a file of their own and cuts the copy. Returns that file's
    /// name.
    pub fn rescue<S: WriteStore<File = F>>(
        &mut self,
        size: u64,
        files: &mut LocalFiles<'_, S>,
    ) -> Result<PathBuf, FileError> {
        let (Some(open), Some(pointer)) = (&mut self.open, &mut self.pointer) else {
            return Err(FileError::NoFreeName(files.paths.local.to_path_buf()));
        };
        files.sync_local(open)?;
        files.rescue_end(size, pointer, open)
    }
}

impl<F, S: WriteStore<File = F>> LocalFiles<'_, S> {
    /// Moves the end of the copy, which is durable, to a file whose name nothing has, and cuts the
    /// copy.
    fn rescue_end(
        &mut self,
        from: u64,
        pointer: &mut Pointer,
        open: &mut OpenFile<F>,
    ) -> Result<PathBuf, FileError> {
        for _ in 0..SUFFIX_ATTEMPTS_MAX {
            let (suffix, path) = self.free_name_after(MARK)?;
            // What comes behind the cut is not durable because the end was.
            pointer.checkpoint = pointer.checkpoint.min(from);
            pointer.rescue = Some(Box::new(Rescue { from, suffix }));
            // Announced before the file is there: otherwise a crash could leave a second file with
            // the same bytes, or a part of them, that nobody completes.
            self.commit_pointer(pointer)?;
            match self.store.create_new(&path) {
                Ok(file) => {
                    self.move_end(from, &path, &file, open)?;
                    self.end_rescue(pointer)?;
                    return Ok(path);
                }
                // Somebody took the name since we looked: another one is announced.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(system("create", &path, error)),
            }
        }
        Err(FileError::NoFreeName(self.paths.local.to_path_buf()))
    }

    /// Does what an earlier run has left to do of a rescue, if there was one.
    pub(super) fn finish_rescue(
        &mut self,
        pointer: &mut Pointer,
        open: &mut OpenFile<F>,
        found: &mut dyn FnMut(Found),
    ) -> Result<(), FileError> {
        let Some(rescue) = pointer.rescue.clone() else {
            return Ok(());
        };
        let Rescue { from, suffix } = *rescue;
        if mutation::is_on(Mutation::RescueNotAnnounced) {
            pointer.rescue = None;
            return Ok(());
        }
        let path = self.name_with(MARK, &suffix);
        // The copy still has its end, and what stands under the announced name is somebody's: the
        // end goes to a file of another name.
        if open.size > from && !self.is_free_or_ours(&path, from, open)? {
            let path = self.rescue_end(from, pointer, open)?;
            found(Found::RescueFinished(path));
            return Ok(());
        }
        // Where the copy is cut, the file is whole.
        if open.size > from {
            // Emptied: a part of the end may be there, and zeros behind it after a power cut.
            let file = self
                .store
                .create_scratch(&path)
                .map_err(|error| system("create", &path, error))?;
            self.move_end(from, &path, &file, open)?;
        }
        self.end_rescue(pointer)?;
        found(Found::RescueFinished(path));
        Ok(())
    }

    /// Whether nothing stands at `path`, or nothing but what a run that was cut off, or a power
    /// cut, may have left of the copy's end: the first bytes of it, and then zeros. Anything else
    /// somebody has put there meanwhile.
    fn is_free_or_ours(
        &mut self,
        path: &Path,
        from: u64,
        open: &OpenFile<F>,
    ) -> Result<bool, FileError> {
        let Some(stat) = self.stat_path(path)? else {
            return Ok(true);
        };
        // What is longer than our end is not a part of it.
        let fits = from.saturating_add(stat.size) <= open.size;
        if stat.kind != Kind::Regular || stat.links > 1 || !fits {
            return Ok(false);
        }
        let read = |error| system("read", path, error);
        let Some(file) = self.store.open_append(path).map_err(read)? else {
            return Ok(true);
        };
        let (mut there, mut ours) = ([0; COPY_LEN], [0; COPY_LEN]);
        // Once a byte differs, only zeros may follow: that is where the disk got no further.
        let (mut at, mut is_zero) = (0, false);
        loop {
            let len = self.store.read_at(&file, &mut there, at).map_err(read)?;
            if len == 0 {
                return Ok(true);
            }
            let held = &mut ours[..len];
            let held_len = self.store.read_at(&open.file, held, from + at);
            if held_len.map_err(|error| system("read", self.paths.local, error))? < len {
                return Ok(false);
            }
            for (theirs, ours) in there[..len].iter().zip(&*held) {
                is_zero |= theirs != ours;
                if is_zero && *theirs != 0 {
                    return Ok(false);
                }
            }
            at += len as u64;
        }
    }

    fn move_end(
        &mut self,
        from: u64,
        path: &Path,
        file: &F,
        open: &mut OpenFile<F>,
    ) -> Result<(), FileError> {
        let local = self.paths.local;
        let mut buf = [0; COPY_LEN];
        let mut at = from;
        loop {
            let read = self
                .store
                .read_at(&open.file, &mut buf, at)
                .map_err(|error| system("read", local, error))?;
            if read == 0 {
                break;
            }
            self.store
                .append_all(file, &buf[..read])
                .map_err(|error| system("write", path, error))?;
            at += read as u64;
        }
        // The file and its name are durable before the copy loses the bytes.
        self.store
            .sync_file(file)
            .map_err(|error| system("write", path, error))?;
        self.sync_dir(self.paths.local_dir())?;
        self.store
            .truncate(&open.file, from)
            .map_err(|error| system("shorten", local, error))?;
        open.size = from;
        // The cut has to be durable before the record forgets the rescue. Else a power cut could
        // bring the end back, and it would be taken for the server's.
        self.sync_local(open)
    }

    fn end_rescue(&mut self, pointer: &mut Pointer) -> Result<(), FileError> {
        pointer.rescue = None;
        self.commit_pointer(pointer)
    }
}
