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
//!
//! The end may be long, and all other sources wait meanwhile: it moves in parts.

use std::io;
use std::path::{Path, PathBuf};

use super::error::{FileError, Found, system};
use super::pointer::{Pointer, Rescue};
use super::{COPY_LEN, LocalCopy, LocalFiles, OpenFile};
use crate::limits::SUFFIX_ATTEMPTS_MAX;
use crate::mutation::{self, Mutation};
use crate::store::{Kind, WriteStore};

/// An end that is on its way to a file of its own.
pub(super) struct Moving<F> {
    path: PathBuf,
    file: F,
    /// How many of its bytes have been written, or compared.
    done: u64,
    stage: Stage,
}

/// What is being done with the file that the end moves to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// An earlier run has left it, or somebody has put it there: it is compared with the end.
    /// `is_zero` says that only zeros may follow, since that is where the disk got no further.
    Old { is_zero: bool },
    /// The end is written to it.
    Ours,
}

/// What a step has come to.
enum Step {
    /// There is more to do.
    More,
    /// All of it is done.
    Over,
    /// What stands there is somebody else's.
    Theirs,
}

/// The part of a rescued file's name between the copy's name and the stamp.
const MARK: &str = "rescued.";

/// How many times [`COPY_LEN`] bytes are moved in one part.
const STEPS_AT_ONCE: usize = 16;

impl<F> LocalCopy<F> {
    /// Moves our bytes from `size` on to a file of their own and cuts the copy. Returns that file's
    /// name; `None` if [`rescue_part`](Self::rescue_part) has to be called for the rest.
    pub fn rescue<S: WriteStore<File = F>>(
        &mut self,
        size: u64,
        files: &mut LocalFiles<'_, S>,
    ) -> Result<Option<PathBuf>, FileError> {
        let (Some(open), Some(pointer)) = (&mut self.open, &mut self.pointer) else {
            return Err(FileError::NoFreeName(files.paths.local.to_path_buf()));
        };
        files.sync_local(open)?;
        self.moving = Some(Box::new(files.begin_rescue(size, pointer)?));
        self.rescue_part(files)
    }

    /// Whether a part of the copy is being moved to a file of its own: until that is over, nothing
    /// but [`rescue_part`](Self::rescue_part) may change the copy.
    pub fn is_rescuing(&self) -> bool {
        self.moving.is_some()
    }

    /// Moves a part of what [`rescue`](Self::rescue) began with, or an earlier run. Returns the
    /// file's name with the last one.
    pub fn rescue_part<S: WriteStore<File = F>>(
        &mut self,
        files: &mut LocalFiles<'_, S>,
    ) -> Result<Option<PathBuf>, FileError> {
        let (Some(open), Some(pointer)) = (&mut self.open, &mut self.pointer) else {
            return Ok(None);
        };
        let from = pointer.rescue.as_ref().map(|rescue| rescue.from);
        let (Some(moving), Some(from)) = (&mut self.moving, from) else {
            return Ok(None);
        };
        for _ in 0..STEPS_AT_ONCE {
            match (files.step_rescue(moving, from, open)?, moving.stage) {
                (Step::More, _) => {}
                // Emptied: a part of the end may be there, and zeros behind it after a power cut.
                (Step::Over, Stage::Old { .. }) => **moving = files.write_anew(&moving.path)?,
                // The copy still has its end, and what stands under the announced name is
                // somebody's: the end goes to a file of another name.
                (Step::Theirs, _) => **moving = files.begin_rescue(from, pointer)?,
                (Step::Over, Stage::Ours) => {
                    files.end_move(from, moving, open)?;
                    files.end_rescue(pointer)?;
                    return Ok(self.moving.take().map(|moving| moving.path));
                }
            }
        }
        Ok(None)
    }

    /// Begins with what an earlier run has left to do of a rescue, if there was one.
    pub(super) fn resume_rescue<S: WriteStore<File = F>>(
        &mut self,
        files: &mut LocalFiles<'_, S>,
        found: &mut dyn FnMut(Found),
    ) -> Result<(), FileError> {
        let (Some(open), Some(pointer)) = (&mut self.open, &mut self.pointer) else {
            return Ok(());
        };
        let Some(rescue) = pointer.rescue.clone() else {
            return Ok(());
        };
        let Rescue { from, suffix } = *rescue;
        if mutation::is_on(Mutation::RescueNotAnnounced) {
            pointer.rescue = None;
            return Ok(());
        }
        let path = files.name_with(MARK, &suffix);
        // Where the copy is cut, the file is whole.
        if open.size <= from {
            files.end_rescue(pointer)?;
            found(Found::RescueFinished(path));
            return Ok(());
        }
        let moving = match files.leftover(&path, from, open)? {
            Some(moving) => moving,
            None => files.begin_rescue(from, pointer)?,
        };
        self.moving = Some(Box::new(moving));
        if let Some(path) = self.rescue_part(files)? {
            found(Found::RescueFinished(path));
        }
        Ok(())
    }
}

impl<F, S: WriteStore<File = F>> LocalFiles<'_, S> {
    /// Announces that the end of the copy, which is durable, moves to a file whose name nothing
    /// has, and makes that file.
    fn begin_rescue(&mut self, from: u64, pointer: &mut Pointer) -> Result<Moving<F>, FileError> {
        for _ in 0..SUFFIX_ATTEMPTS_MAX {
            let (suffix, path) = self.free_name_after(MARK)?;
            // What comes behind the cut is not durable because the end was.
            pointer.checkpoint = pointer.checkpoint.min(from);
            pointer.rescue = Some(Box::new(Rescue { from, suffix }));
            // Announced before the file is there: otherwise a crash could leave a second file with
            // the same bytes, or a part of them, that nobody completes.
            self.commit_pointer(pointer)?;
            match self.store.create_new(&path) {
                Ok(file) => return Ok(Moving::to(path, file, Stage::Ours)),
                // Somebody took the name since we looked: another one is announced.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(system("create", &path, error)),
            }
        }
        Err(FileError::NoFreeName(self.paths.local.to_path_buf()))
    }

    /// What stands at `path`, where an earlier run was to move the end to: nothing, or what may be
    /// that run's and has to be compared first. `None` if it is somebody's.
    fn leftover(
        &mut self,
        path: &Path,
        from: u64,
        open: &OpenFile<F>,
    ) -> Result<Option<Moving<F>>, FileError> {
        let Some(stat) = self.stat_path(path)? else {
            return self.write_anew(path).map(Some);
        };
        // What is longer than our end is not a part of it.
        let fits = from.saturating_add(stat.size) <= open.size;
        if stat.kind != Kind::Regular || stat.links > 1 || !fits {
            return Ok(None);
        }
        let file = self.store.open_append(path);
        match file.map_err(|error| system("read", path, error))? {
            Some(file) => {
                let stage = Stage::Old { is_zero: false };
                Ok(Some(Moving::to(path.to_path_buf(), file, stage)))
            }
            None => self.write_anew(path).map(Some),
        }
    }

    /// Begins with the file at `path`, in which nothing is worth keeping.
    fn write_anew(&mut self, path: &Path) -> Result<Moving<F>, FileError> {
        let file = self.store.create_scratch(path);
        let file = file.map_err(|error| system("create", path, error))?;
        Ok(Moving::to(path.to_path_buf(), file, Stage::Ours))
    }

    /// Compares or moves a few bytes.
    fn step_rescue(
        &mut self,
        moving: &mut Moving<F>,
        from: u64,
        open: &OpenFile<F>,
    ) -> Result<Step, FileError> {
        let local = self.paths.local;
        let read = |error| system("read", &moving.path, error);
        let (mut there, mut ours) = ([0; COPY_LEN], [0; COPY_LEN]);
        let wanted = match moving.stage {
            Stage::Ours => COPY_LEN,
            Stage::Old { .. } => {
                let len = self.store.read_at(&moving.file, &mut there, moving.done);
                len.map_err(read)?
            }
        };
        let held = &mut ours[..wanted];
        let at = from.saturating_add(moving.done);
        let len = self.store.read_at(&open.file, held, at);
        let len = len.map_err(|error| system("read", local, error))?;
        let held = &ours[..len];
        match &mut moving.stage {
            _ if wanted == 0 => return Ok(Step::Over),
            Stage::Old { .. } if len < wanted => return Ok(Step::Theirs),
            // The first bytes of the end, and then zeros: anything else somebody has put there.
            Stage::Old { is_zero } => {
                for (theirs, ours) in there.iter().zip(held) {
                    *is_zero |= theirs != ours;
                    if *is_zero && *theirs != 0 {
                        return Ok(Step::Theirs);
                    }
                }
            }
            Stage::Ours if len == 0 => return Ok(Step::Over),
            Stage::Ours => (self.store.append_all(&moving.file, held))
                .map_err(|error| system("write", &moving.path, error))?,
        }
        moving.done += len as u64;
        Ok(Step::More)
    }

    /// Cuts the copy once all of its end is in the file.
    fn end_move(
        &mut self,
        from: u64,
        moving: &Moving<F>,
        open: &mut OpenFile<F>,
    ) -> Result<(), FileError> {
        // The file and its name are durable before the copy loses the bytes.
        self.store
            .sync_file(&moving.file)
            .map_err(|error| system("write", &moving.path, error))?;
        self.sync_dir(self.paths.local_dir())?;
        self.store
            .truncate(&open.file, from)
            .map_err(|error| system("shorten", self.paths.local, error))?;
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

impl<F> Moving<F> {
    fn to(path: PathBuf, file: F, stage: Stage) -> Moving<F> {
        Moving {
            path,
            file,
            done: 0,
            stage,
        }
    }
}
