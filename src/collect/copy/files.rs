//! The steps on the local files of a source, each a system call or a few, that bring them from one
//! state to the next; and how a start finishes those that a run has begun.

use std::io;
use std::path::{Path, PathBuf};

use super::error::{FileError, Found, system};
use super::hook_event::{HookEvent, HookKind, HookNews};
use super::loss::{Cause, Loss};
use super::pointer::{BootId, Pending, Pointer, PointerError, RotatedSuffix, Token};
use super::rotation::Syncs;
use super::{Generation, LocalCopy, OpenFile, Paths};
use crate::collect::config::scratch_of;
use crate::ids::Inode;
use crate::limits::{POINTER_MAX_LEN, SUFFIX_ATTEMPTS_MAX};
use crate::store::{Stat, WriteStore};

/// The surroundings of a step: the store, the names, the boot and the time.
pub struct LocalFiles<'a, S> {
    /// The files.
    pub store: &'a mut S,
    /// The names.
    pub paths: Paths<'a>,
    /// The log host's boot, for the pointer.
    pub boot: Option<&'a BootId>,
    /// The local time as `YYYYmmddHHMMSS`.
    pub stamp: &'a str,
    /// Where it is said that the operator's program has something to hear; `None` without one.
    pub hooks: Option<&'a HookNews>,
}

impl<F, S: WriteStore<File = F>> LocalFiles<'_, S> {
    /// Makes durable what is visible on the file systems of both directories.
    pub fn barrier(&mut self) -> Result<(), FileError> {
        let paths = self.paths;
        for dir in [paths.local_dir(), paths.pointer_dir()] {
            self.store
                .sync_all(dir)
                .map_err(|error| match error.kind() {
                    // Such a directory holds nothing of ours that could be lost. Any other failure
                    // may be of what was written long ago, and the system tells it only once.
                    io::ErrorKind::NotFound
                    | io::ErrorKind::NotADirectory
                    | io::ErrorKind::PermissionDenied => system("use the directory", dir, error),
                    _ => FileError::NotDurable(dir.to_path_buf(), error),
                })?;
            if paths.local_dir() == paths.pointer_dir() {
                break;
            }
        }
        Ok(())
    }

    /// Reads the pointer. An empty file is what fetchlogs 1.1 leaves when it is killed before the
    /// first byte: it says nothing, like a missing one.
    pub(super) fn read_pointer(&mut self) -> Result<Option<Pointer>, FileError> {
        // One byte more than a record has, so that a longer file is seen as none.
        let mut buf = [0; POINTER_MAX_LEN + 1];
        let path = self.paths.pointer;
        let len = self
            .store
            .read_small(path, &mut buf)
            .map_err(|error| system("read the pointer file", path, error))?;
        let Some(text) = len.and_then(|len| buf.get(..len)) else {
            return Ok(None);
        };
        match Pointer::parse(text) {
            Ok(pointer) => Ok(Some(pointer)),
            Err(PointerError::Empty) => Ok(None),
            // Nothing is guessed: with the wrong generation the copy would be joined to another
            // log.
            Err(error) => Err(FileError::Pointer(path.to_path_buf(), error)),
        }
    }

    /// Refuses to go on where the pointer is not what it was when it was read, before the lock was
    /// taken. Another collector may have rotated in between and have ended: its lock is free then,
    /// and what was read is out of date.
    fn expect_pointer(&mut self, pointer: Option<&Pointer>) -> Result<(), FileError> {
        if self.read_pointer()?.as_ref() == pointer {
            return Ok(());
        }
        let busy = io::Error::new(
            io::ErrorKind::ResourceBusy,
            "another collector has just written it",
        );
        Err(system("go by the pointer file", self.paths.pointer, busy))
    }

    /// Opens files without a pointer: a local copy that holds anything is not ours to continue and
    /// is set aside.
    pub(super) fn open_without_pointer(
        &mut self,
        found: &mut dyn FnMut(Found),
    ) -> Result<LocalCopy<F>, FileError> {
        let mut open = self.open_local()?;
        self.expect_pointer(None)?;
        // An empty copy has nothing to keep, and is used as it is.
        if open.as_ref().is_some_and(|open| open.size > 0) {
            let (_, rotated) = self.free_name()?;
            self.rename_local(&rotated)?;
            found(Found::SetAside(rotated));
            open = None;
        }
        Ok(LocalCopy::of(None, open))
    }

    /// Opens files with a pointer and no rotation under way: the local copy goes on where it ends.
    pub(super) fn open_plain(
        &mut self,
        pointer: Pointer,
        found: &mut dyn FnMut(Found),
    ) -> Result<LocalCopy<F>, FileError> {
        let held = self.open_local()?;
        self.expect_pointer(Some(&pointer))?;
        let open = match held {
            Some(open) => open,
            // Somebody took the copy away. The pointer still names the generation, so it is fetched
            // again.
            None => {
                found(Found::CopyMissing);
                self.create_local()?
            }
        };
        // An earlier run met a failed write. The system holds such bytes for written: as long as it
        // runs they can be read back, and with it they are gone.
        let is_unwritten = pointer.boot.is_some() && pointer.boot == BootId::none_vouches();
        let is_believed = self.believes(&pointer);
        let pointer = self.understood(pointer, open.size)?;
        let mut copy = LocalCopy {
            is_believed,
            unwritten_from: is_unwritten.then_some(pointer.checkpoint).into(),
            ..LocalCopy::of(Some(pointer), Some(open))
        };
        // The end that is being set aside does not count for anything else.
        copy.resume_rescue(self, found)?;
        Ok(copy)
    }

    /// Opens files with a pointer that announces a rotation: finds out how far that came and does
    /// the rest.
    pub(super) fn finish_rotation(
        &mut self,
        pointer: Pointer,
        pending: Box<Pending>,
        found: &mut dyn FnMut(Found),
    ) -> Result<LocalCopy<F>, FileError> {
        // The record as it has to stand in the file still, once the lock is ours.
        let announced = Pointer {
            pending: Some(pending.clone()),
            ..pointer.clone()
        };
        // Beside a pending rotation, what is said of a generation is said of the next one.
        let mut next = Pointer {
            inode: pending.next,
            checkpoint: 0,
            ..pointer.clone()
        };
        let rotated = self.rotated_name(&pending.suffix);
        let (size, lost_event) = (pending.size, HookEvent::of(HookKind::Lost));
        // The run that began the rotation may have died before it told of the loss.
        let lost = pending.is_lossy.then_some(Loss {
            inode: pointer.inode,
            offset: pending.size,
            at_least: None,
            cause: Cause::Gone,
        });
        // Both names are in one directory, so the inode alone identifies; device numbers may change
        // with a reboot.
        let old = pending.local.inode;
        let is_old = |stat: &Stat| stat.id.inode == old;
        let local = self.stat_path(self.paths.local)?;
        let kept = self.stat_path(&rotated)?;
        let kept_is_old = kept.as_ref().is_some_and(is_old);
        // Whoever rotates keeps the lock of the old copy, whatever its name, until the next one has
        // its own.
        let locked = match local {
            None if kept_is_old => self.open_locked(&rotated)?,
            _ => self.open_local()?,
        };
        self.expect_pointer(Some(&announced))?;
        // Each arm is a moment at which a rotation can be cut off, here the last two calls of a
        // rename that the system cannot do in one.
        let rotated = match local {
            Some(local) if is_old(&local) && kept_is_old => {
                // The run may have died before the new name was durable. With the old one gone
                // first, a power cut could leave the copy without any.
                self.sync_dir(self.paths.local_dir())?;
                self.unlink_local()?;
                Some(rotated)
            }
            // Cut off right behind the announcement: the copy still has its old name.
            Some(local) if is_old(&local) => {
                Some(match kept {
                    None => {
                        self.rename_local(&rotated)?;
                        rotated
                    }
                    // Somebody else's file has the announced name. Nothing is overwritten, so
                    // another is announced.
                    Some(_) => {
                        let again = Pending {
                            local: local.id,
                            size: local.size,
                            ..*pending
                        };
                        self.move_away(pointer.inode, again, &next)?
                    }
                })
            }
            // Cut off before the last pointer, or a power cut took that: the next copy is there,
            // and may have grown.
            Some(_) => {
                self.put_rotated(&rotated, size, lost, Syncs::Own)?;
                // What came after the rotation is as old as the rotation, and so is the boot that
                // is known of it.
                self.write_pointer(&next)?;
                tell(lost, found);
                // It is opened again, and to close one descriptor of a file gives up the lock of
                // any other (fcntl(2)).
                drop(locked);
                return self.open_plain(next, found);
            }
            // Cut off behind the rename, before the next copy was created.
            None if kept_is_old => Some(rotated),
            None => {
                // Before anything says that the rotation is over: whoever took it has taken what
                // may be nowhere else.
                let missing = Found::RotatedMissing(rotated);
                self.note_gap(&missing, lost_event.with_bytes(Some(size)))?;
                found(missing);
                None
            }
        };
        if let Some(rotated) = rotated {
            self.put_rotated(&rotated, size, lost, Syncs::Own)?;
            found(Found::RotationFinished(rotated));
        }
        // The next copy is empty, and there is no end to doubt.
        next.boot = self.boot.cloned();
        let (open, pointer) = self.start_next(next)?;
        tell(lost, found);
        Ok(LocalCopy::of(Some(pointer), Some(open)))
    }

    /// Announces the rotation in the pointer under another name, which is its commit point, and
    /// renames the local copy.
    pub(super) fn move_away(
        &mut self,
        inode: Inode,
        decided: Pending,
        next: &Pointer,
    ) -> Result<PathBuf, FileError> {
        for _ in 0..SUFFIX_ATTEMPTS_MAX {
            let (suffix, rotated) = self.free_name()?;
            let pointer = Pointer {
                inode,
                checkpoint: decided.size,
                pending: Some(Box::new(Pending {
                    suffix,
                    ..decided.clone()
                })),
                ..next.clone()
            };
            self.commit_pointer(&pointer)?;
            match self.rename_local(&rotated) {
                // Somebody took the name between our look and the rename. Only a name that the
                // pointer announces may be given, so the next one needs an announcement of its own.
                Err(FileError::System { error, .. })
                    if error.kind() == io::ErrorKind::AlreadyExists => {}
                other => return other.map(|()| rotated),
            }
        }
        Err(FileError::NoFreeName(self.paths.local.to_path_buf()))
    }

    /// Starts the empty copy of the next generation and lets the pointer say so.
    pub(super) fn start_next(
        &mut self,
        next: Pointer,
    ) -> Result<(OpenFile<F>, Pointer), FileError> {
        let open = self.create_local()?;
        // The directory need not be durable here: an older pointer only has this rotation finished
        // once more.
        self.write_pointer(&next)?;
        Ok((open, next))
    }

    /// Renames the local copy to a name that nothing has, durably.
    pub(super) fn rename_local(&mut self, rotated: &Path) -> Result<(), FileError> {
        let has_both = self
            .name_local(rotated)
            .map_err(|error| system("rename the local copy to", rotated, error))?;
        // Both names are durable before the old one goes.
        self.sync_dir(self.paths.local_dir())?;
        match has_both {
            true => self.unlink_local(),
            false => Ok(()),
        }
    }

    /// Gives the local copy a name that nothing has: `AlreadyExists` otherwise. Tells whether the
    /// old one is still there and has to go, once both are durable.
    pub(super) fn name_local(&mut self, rotated: &Path) -> io::Result<bool> {
        let local = self.paths.local;
        match self.store.rename_new(local, rotated) {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {}
            done => return done.map(|()| false),
        }
        // A plain rename would overwrite a file that came to have the name.
        match self.store.link(local, rotated) {
            Err(error) if knows_no_links(&error) => {}
            done => return done.map(|()| true),
        }
        // Such a file system leaves no way but to look. Only what takes the name in this moment is
        // overwritten, and to stand still would lose more.
        match self.store.stat_path(rotated)? {
            Some(_) => Err(io::ErrorKind::AlreadyExists.into()),
            None => self.store.rename(local, rotated).map(|()| false),
        }
    }

    pub(super) fn unlink_local(&mut self) -> Result<(), FileError> {
        let paths = self.paths;
        self.store
            .unlink(paths.local)
            .map_err(|error| system("take the old name from", paths.local, error))?;
        self.sync_dir(paths.local_dir())
    }

    pub(super) fn rotated_name(&self, suffix: &RotatedSuffix) -> PathBuf {
        self.name_with("", suffix)
    }

    pub(super) fn name_with(&self, mark: &str, suffix: &RotatedSuffix) -> PathBuf {
        let mut name = self.paths.local.to_path_buf().into_os_string();
        name.push(".");
        name.push(mark);
        name.push(suffix.as_str());
        PathBuf::from(name)
    }

    /// Opens and locks the local copy if it exists.
    pub(super) fn open_local(&mut self) -> Result<Option<OpenFile<F>>, FileError> {
        self.open_locked(self.paths.local)
    }

    fn open_locked(&mut self, path: &Path) -> Result<Option<OpenFile<F>>, FileError> {
        let file = self
            .store
            .open_append(path)
            .map_err(|error| system("open", path, error))?;
        file.map(|file| self.lock(file, path, false)).transpose()
    }

    /// Creates and locks an empty local copy.
    pub(super) fn create_local(&mut self) -> Result<OpenFile<F>, FileError> {
        let path = self.paths.local;
        let file = self
            .store
            .create_new(path)
            .map_err(|error| system("create", path, error))?;
        self.lock(file, path, true)
    }

    fn lock(&mut self, file: F, path: &Path, new_name: bool) -> Result<OpenFile<F>, FileError> {
        let holder = self
            .store
            .lock(&file)
            .map_err(|error| system("lock", path, error))?;
        if let Some(pid) = holder {
            return Err(FileError::Locked(path.to_path_buf(), pid));
        }
        // Behind the lock: as long as somebody else may append, the size means nothing.
        let stat = self
            .store
            .stat(&file)
            .map_err(|error| system("look at", path, error))?;
        Ok(OpenFile {
            file,
            id: stat.id,
            size: stat.size,
            new_name,
        })
    }

    pub(super) fn stat_path(&mut self, path: &Path) -> Result<Option<Stat>, FileError> {
        self.store
            .stat_path(path)
            .map_err(|error| system("look at", path, error))
    }

    /// Makes the local copy durable, and its name where that is new.
    pub(super) fn sync_local(&mut self, open: &mut OpenFile<F>) -> Result<(), FileError> {
        let paths = self.paths;
        self.store
            .sync_file(&open.file)
            // To try again would succeed and prove nothing: after a failed write the system takes
            // the pages for clean.
            .map_err(|error| FileError::NotDurable(paths.local.to_path_buf(), error))?;
        // That a file is durable does not make its name so (fsync(2)).
        if open.new_name {
            self.sync_dir(paths.local_dir())?;
            open.new_name = false;
        }
        Ok(())
    }

    pub(super) fn sync_dir(&mut self, dir: &Path) -> Result<(), FileError> {
        self.store
            .sync_dir(dir)
            .map_err(|error| system("make durable the directory", dir, error))
    }

    pub(super) fn new_pointer(&self, generation: Generation) -> Pointer {
        let origin = generation.origin;
        Pointer {
            boot: self.boot.cloned(),
            mtime_ns: origin.map(|origin| origin.mtime_ns),
            token: origin.and_then(|origin| Token::new(&origin.boot.to_be_bytes())),
            classic: generation.classic,
            ..Pointer::of(generation.inode)
        }
    }

    /// Replaces the pointer, and makes the new one durable.
    pub(super) fn commit_pointer(&mut self, pointer: &Pointer) -> Result<(), FileError> {
        self.write_pointer(pointer)?;
        self.sync_dir(self.paths.pointer_dir())
    }

    /// Replaces the pointer as a whole, by a rename. Making the directory durable is left to the
    /// caller.
    pub(super) fn write_pointer(&mut self, pointer: &Pointer) -> Result<(), FileError> {
        let paths = self.paths;
        // Durable before the rename: otherwise a power cut could leave the name with an empty file
        // behind it, which says that there was no first contact.
        self.write_scratch(pointer.write().as_bytes(), Syncs::Own)
            .and_then(|()| self.store.rename(&paths.scratch(), paths.pointer))
            .map_err(|error| system("write the pointer file", paths.pointer, error))
    }

    /// Opens a list to put a line on it; one that is not there is made.
    pub(super) fn open_list(&mut self, path: &Path) -> Result<F, FileError> {
        let failed = |error| system("write", path, error);
        match self.store.open_append(path).map_err(failed)? {
            Some(file) => Ok(file),
            None => self.store.create_new(path).map_err(failed),
        }
    }

    /// Replaces a list. Its text is durable before it has the name. The directory is for the caller
    /// to sync, where the older list must not come back.
    pub(super) fn replace_list(&mut self, path: &Path, text: &str) -> Result<(), FileError> {
        let failed = |error| system("write", path, error);
        let scratch_path = scratch_of(path);
        let scratch = self.store.create_scratch(&scratch_path).map_err(failed)?;
        self.store
            .append_all(&scratch, text.as_bytes())
            .and_then(|()| self.store.sync_file(&scratch))
            .and_then(|()| self.store.rename(&scratch_path, path))
            .map_err(failed)
    }

    pub(super) fn write_scratch(&mut self, text: &[u8], syncs: Syncs) -> io::Result<()> {
        let scratch = self.store.create_scratch(&self.paths.scratch())?;
        self.store.append_all(&scratch, text)?;
        match syncs {
            Syncs::Own => self.store.sync_file(&scratch),
            Syncs::Barrier => Ok(()),
        }
    }
}

/// Whether a link may have failed because the file system has none. Other reasons for the same
/// errors keep a rename from being done, too.
fn knows_no_links(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Unsupported
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::TooManyLinks
            | io::ErrorKind::InvalidInput
    )
}

/// Tells of a loss. Only when the rotation is finished: a step that fails again and again does not
/// tell it again and again.
fn tell(lost: Option<Loss>, found: &mut dyn FnMut(Found)) {
    if let Some(loss) = lost {
        found(Found::Lost(loss));
    }
}
