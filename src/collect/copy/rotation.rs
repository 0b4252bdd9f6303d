//! The steps of a rotation: the copy of the last generation gets a name of its own and the next one
//! begins. First contact is the same change without a last one.
//!
//! What has to be durable before the next step makes cuts the change into steps. One source alone
//! syncs what each step wrote. Where many sources change together, each step is done for all of
//! them and then one barrier, a sync of the whole file system, serves them all: three in all for a
//! rotation, whatever the number of sources.
//!
//! ```text
//! Prepare   the copy that ends is made durable
//! Announce  the pointer with the intention is written beside the old one
//! Commit    and takes its place: the commit point
//! Move      the copy gets its rotated name, the next pointer is written (Part: where that takes
//! two calls) Finish    an empty copy is created, the next pointer takes the last one's place ```

use std::io;
use std::path::PathBuf;

use super::error::{FileError, system};
use super::loss::Loss;
use super::pointer::{Pending, Pointer, RotatedSuffix};
use super::{Finished, Generation, LocalCopy, LocalFiles};
use crate::ids::MaybeOffset;
use crate::limits::SUFFIX_ATTEMPTS_MAX;
use crate::store::WriteStore;

/// The side that makes durable what a step wrote, before the next step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Syncs {
    /// The step itself.
    Own,
    /// The caller, by [`LocalFiles::barrier`].
    Barrier,
}

/// The progress of a change after a step.
#[derive(Debug)]
pub enum Progress {
    /// More is to be done: there is another step, after a barrier.
    More,
    /// The change is made.
    Made(Changed),
}

/// The result of a change.
#[derive(Debug)]
pub struct Changed {
    /// The name of the last generation's copy; `None` where there was no last one.
    pub kept: Option<PathBuf>,
    /// The last generation as the list of copies to be verified has it, under that name.
    pub finished: Option<Finished>,
}

/// A change under way.
pub(super) struct Change {
    stage: Stage,
    /// The plain pointer of the generation that begins, with which the change ends.
    next: Pointer,
    kept: Option<PathBuf>,
    finished: Option<Finished>,
    /// What is lost behind the last generation's copy, if that is not told yet.
    loss: Option<Loss>,
    /// The number of names that somebody else took meanwhile.
    taken: u16,
    /// What the copy before was called, if that is known.
    last: Option<RotatedSuffix>,
}

enum Stage {
    Prepare,
    Announce,
    Commit,
    Move,
    Part,
    Finish,
    FinishFirst,
}

impl<F> LocalCopy<F> {
    /// The decision on a change: `next` is the generation that begins. `finished` is what the list
    /// of copies that are to be verified has to say of the last one, but for its name. With a
    /// `loss` something behind the last one is lost and nothing but what the caller says of the
    /// change will tell that: should it not come to that, [`open`](Self::open) tells it. Nothing is
    /// done before [`step_change`](Self::step_change).
    pub fn start_change<S: WriteStore<File = F>>(
        &mut self,
        next: Generation,
        finished: Option<Finished>,
        loss: Option<Loss>,
        files: &LocalFiles<'_, S>,
    ) {
        self.change = Some(Box::new(Change {
            stage: Stage::Prepare,
            next: files.new_pointer(next),
            kept: None,
            finished,
            loss,
            taken: 0,
            last: None,
        }));
    }

    /// The copy before was called so: the name that a change gives is to sort behind it.
    pub fn name_behind(&mut self, last: Option<RotatedSuffix>) {
        if let Some(change) = &mut self.change {
            change.last = last;
        }
    }

    /// Does the next step of a change. After an error the copy has to be dropped and opened again,
    /// which finishes the change if it was past its commit point.
    pub fn step_change<S: WriteStore<File = F>>(
        &mut self,
        syncs: Syncs,
        files: &mut LocalFiles<'_, S>,
    ) -> Result<Progress, FileError> {
        let Some(mut change) = self.change.take() else {
            return Ok(Progress::Made(Changed {
                kept: None,
                finished: None,
            }));
        };
        change.stage = match change.stage {
            Stage::Prepare => self.prepare(&mut change, syncs, files)?,
            Stage::Announce => self.announce(&mut change, syncs, files)?,
            // From here on a start finishes the rotation; before, it knows nothing of it. The
            // record has to be durable before the copy moves: a copy that is missing under an older
            // record would be fetched again.
            Stage::Commit => {
                files.replace_pointer()?;
                files.sync_pointer_dir(syncs)?;
                match change.kept {
                    Some(_) => Stage::Move,
                    None => Stage::FinishFirst,
                }
            }
            Stage::Move => match self.move_local(&mut change, syncs, files)? {
                Some(stage) => stage,
                // The name that was announced is taken, so a new intention has to be committed
                // first.
                None => self.prepare(&mut change, syncs, files)?,
            },
            // Both names are durable by now, so the old one may go.
            Stage::Part => {
                files.take_local_name()?;
                files.sync_local_dir(syncs)?;
                change.write_next(self.size(), syncs, files)?
            }
            Stage::Finish => return self.finish(*change, files),
            Stage::FinishFirst => return self.finish_first(*change, files),
        };
        self.change = Some(change);
        Ok(Progress::More)
    }

    /// Makes a change that was decided on, whatever it takes.
    pub fn make_change<S: WriteStore<File = F>>(
        &mut self,
        files: &mut LocalFiles<'_, S>,
    ) -> Result<Changed, FileError> {
        loop {
            if let Progress::Made(changed) = self.step_change(Syncs::Own, files)? {
                return Ok(changed);
            }
        }
    }

    /// Whether a change was decided on and is not made yet.
    pub fn is_changing(&self) -> bool {
        self.change.is_some()
    }

    fn prepare<S: WriteStore<File = F>>(
        &mut self,
        change: &mut Change,
        syncs: Syncs,
        files: &mut LocalFiles<'_, S>,
    ) -> Result<Stage, FileError> {
        // The end of a finished copy is never looked at again. What a failed write may have kept
        // from the disk is written once more while that is still known.
        if !self.write_part_again(files)? {
            return Ok(Stage::Prepare);
        }
        // The server is not asked for this generation any more once the pointer names the next one,
        // so all of it is made durable before that; where sources change together, by their
        // barrier. Others have their turn between these syncs and those of the announcement.
        match (&mut self.open, &self.pointer) {
            (Some(open), Some(_)) if syncs == Syncs::Own => {
                files.sync_local(open)?;
                Ok(Stage::Announce)
            }
            _ => self.announce(change, syncs, files),
        }
    }

    fn announce<S: WriteStore<File = F>>(
        &self,
        change: &mut Change,
        syncs: Syncs,
        files: &mut LocalFiles<'_, S>,
    ) -> Result<Stage, FileError> {
        let (Some(open), Some(pointer)) = (&self.open, &self.pointer) else {
            // First contact: nothing gets a name, and the pointer alone has to be there before the
            // first byte.
            files.write_beside(&change.next, syncs)?;
            return Ok(Stage::Commit);
        };
        let (suffix, kept) = files.free_name_behind(change.last.as_ref())?;
        // The list comes before the commit. A line whose rotation never happens is dropped at the
        // next start; a rotated copy without its line would never be verified.
        if let Some(finished) = &mut change.finished {
            finished.path.clone_from(&kept);
            files.put_on_list(finished, syncs)?;
        }
        // FILES.md, "Pointer file": beside a pending rotation the inode and `ck` are those of the
        // copy that ends, but `g`, `m` and `x` those of the generation that begins.
        let intention = Pointer {
            inode: pointer.inode,
            checkpoint: open.size,
            pending: Some(Box::new(Pending {
                local: open.id,
                size: open.size,
                next: change.next.inode,
                suffix,
                is_lossy: change.loss.is_some(),
            })),
            ..change.next.clone()
        };
        change.kept = Some(kept);
        files.write_beside(&intention, syncs)?;
        Ok(Stage::Commit)
    }

    /// Renames the copy. `None` if somebody has its new name now, and another has to be found.
    fn move_local<S: WriteStore<File = F>>(
        &mut self,
        change: &mut Change,
        syncs: Syncs,
        files: &mut LocalFiles<'_, S>,
    ) -> Result<Option<Stage>, FileError> {
        let Some(kept) = &change.kept else {
            // Only a change without an older copy has no name to give.
            return Ok(Some(Stage::Finish));
        };
        let local = files.paths.local;
        // With both names it waits until the directory is durable.
        let has_both = match files.name_local(kept) {
            Ok(has_both) => has_both,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // Bounded, so that somebody who takes every name in turn cannot keep us here.
                change.taken += 1;
                return match change.taken < SUFFIX_ATTEMPTS_MAX {
                    true => Ok(None),
                    false => Err(FileError::NoFreeName(local.to_path_buf())),
                };
            }
            Err(error) => return Err(system("rename the local copy to", kept, error)),
        };
        files.sync_local_dir(syncs)?;
        // The next pointer is written here and not in the last step, so that the same barrier
        // serves it and the new name.
        match has_both {
            true => Ok(Some(Stage::Part)),
            false => change.write_next(self.size(), syncs, files).map(Some),
        }
    }

    /// The last step of a rotation. Its own names may become durable later: until then a start does
    /// it once more.
    fn finish<S: WriteStore<File = F>>(
        &mut self,
        change: Change,
        files: &mut LocalFiles<'_, S>,
    ) -> Result<Progress, FileError> {
        // In this order: a plain pointer without a copy would look as if somebody had taken the
        // copy away.
        let next = files.create_local()?;
        files.replace_pointer()?;
        // Only now may the old copy's lock go: without one of the two anybody might finish the
        // rotation.
        self.open = Some(next);
        Ok(self.made(change))
    }

    /// The last step of a first contact: the pointer is durable, so the copy may have bytes.
    fn finish_first<S: WriteStore<File = F>>(
        &mut self,
        change: Change,
        files: &mut LocalFiles<'_, S>,
    ) -> Result<Progress, FileError> {
        // An empty copy that stood here without a pointer is used as it is.
        if self.open.is_none() {
            self.open = Some(files.create_local()?);
        }
        Ok(self.made(change))
    }

    fn made(&mut self, change: Change) -> Progress {
        self.pointer = Some(change.next);
        // A copy that is empty, or whose end was just made durable, has nothing to doubt.
        self.is_believed = true;
        self.is_confirming = false;
        self.unwritten_from = MaybeOffset::NONE;
        Progress::Made(Changed {
            kept: change.kept,
            finished: change.finished,
        })
    }
}

impl Change {
    /// The copy, of so many bytes, has its new name: what follows is written, and not believed
    /// before the next step.
    fn write_next<S: WriteStore>(
        &self,
        size: u64,
        syncs: Syncs,
        files: &mut LocalFiles<'_, S>,
    ) -> Result<Stage, FileError> {
        if let Some(kept) = &self.kept {
            files.put_rotated(kept, size, self.loss, syncs)?;
        }
        files.write_beside(&self.next, syncs)?;
        Ok(Stage::Finish)
    }
}

impl<S: WriteStore> LocalFiles<'_, S> {
    /// Writes a pointer beside the present one.
    fn write_beside(&mut self, pointer: &Pointer, syncs: Syncs) -> Result<(), FileError> {
        let path = self.paths.pointer;
        self.write_scratch(pointer.write().as_bytes(), syncs)
            .map_err(|error| system("write the pointer file", path, error))
    }

    /// Puts the pointer that was written beside the present one in its place.
    fn replace_pointer(&mut self) -> Result<(), FileError> {
        let paths = self.paths;
        self.store
            .rename(&paths.scratch(), paths.pointer)
            .map_err(|error| system("write the pointer file", paths.pointer, error))
    }

    fn take_local_name(&mut self) -> Result<(), FileError> {
        let path = self.paths.local;
        self.store
            .unlink(path)
            .map_err(|error| system("take the old name from", path, error))
    }

    fn sync_pointer_dir(&mut self, syncs: Syncs) -> Result<(), FileError> {
        match syncs {
            Syncs::Own => self.sync_dir(self.paths.pointer_dir()),
            Syncs::Barrier => Ok(()),
        }
    }

    fn sync_local_dir(&mut self, syncs: Syncs) -> Result<(), FileError> {
        match syncs {
            Syncs::Own => self.sync_dir(self.paths.local_dir()),
            Syncs::Barrier => Ok(()),
        }
    }
}
