//! The local copy of one source: the file that grows, its pointer, and the steps by which one is rotated.
//!
//! Pure: the file system is a [`WriteStore`]. The order of the steps makes a crash between any two of them harmless:
//! whatever a run leaves behind, [`LocalCopy::open`] brings to a state from which the source goes on with nothing
//! lost and nothing twice. A failed step is treated like a crash: the caller drops the copy and opens it again later.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::config::SourceConfig;
use super::pointer::{BootId, Pending, Pointer, PointerFault, RotatedSuffix, Token};
use crate::ids::{FileId, Inode};
use crate::limits::{POINTER_MAX_LEN, SUFFIX_ATTEMPTS_MAX};
use crate::store::{Stat, WriteStore};

/// The open local copy and what its pointer says.
pub struct LocalCopy<F> {
    pointer: Option<Pointer>,
    live: Option<Live<F>>,
}

/// The open file.
struct Live<F> {
    file: F,
    id: FileId,
    size: u64,
    /// The name was given in this run and may not be durable yet.
    new_name: bool,
}

/// A generation as its server names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Generation {
    /// Its inode there.
    pub inode: Inode,
    /// What only version 2 tells.
    pub origin: Option<Origin>,
    /// It comes, or came in part, by the classic protocol, which sends 0xff for 0x07.
    pub classic: bool,
}

/// What version 2 tells of a generation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Origin {
    /// Every older generation was last written no later, in nanoseconds since 1970.
    pub mtime_ns: u64,
    /// The boot of the server's machine.
    pub boot: u32,
}

/// The names that belong to one source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Paths {
    /// The local copy.
    pub local: PathBuf,
    /// The directory it stands in.
    pub local_dir: PathBuf,
    /// The pointer file.
    pub pointer: PathBuf,
    /// Where the next pointer is written before it replaces the last.
    pub scratch: PathBuf,
    /// The directory of both.
    pub pointer_dir: PathBuf,
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

impl Paths {
    /// Where losses are noted, for ever: a file beside the local copy.
    pub fn gaps(&self) -> PathBuf {
        let mut name = self.local.clone().into_os_string();
        name.push(".gaps");
        PathBuf::from(name)
    }

    /// The names that a line of the configuration gives.
    pub fn of(config: &SourceConfig) -> Paths {
        Paths {
            local: config.local.clone(),
            local_dir: directory_of(&config.local),
            pointer: config.pointer.clone(),
            scratch: config.scratch(),
            pointer_dir: directory_of(&config.pointer),
        }
    }
}

/// What [`LocalCopy::open`] found and put right; each is worth an event line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Found {
    /// A local copy without a pointer was renamed to this name; the source starts as if new.
    SetAside(PathBuf),
    /// There is a pointer but no local copy: it is fetched again from the start.
    CopyMissing,
    /// The last run stopped in the middle of a rotation, which is now finished; the older copy has this name.
    RotationFinished(PathBuf),
    /// The last run stopped in the middle of a rotation, and the older copy has vanished since.
    RotatedMissing(PathBuf),
}

/// Why the local side of a source cannot go on.
#[derive(Debug)]
pub enum Fault {
    /// A system call failed.
    System {
        /// What was tried, as in "cannot ...".
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The pointer file cannot be trusted.
    Pointer(PathBuf, PointerFault),
    /// Another process, by its pid, writes to this file.
    Locked(PathBuf, u32),
    /// Every name that the rotated copy could have is taken.
    NoFreeName(PathBuf),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::System {
                operation,
                path,
                error,
            } => write!(f, "cannot {operation} {}: {error}", path.display()),
            Fault::Pointer(path, fault) => write!(f, "{}: {fault}", path.display()),
            Fault::Locked(path, pid) => write!(
                f,
                "{} is being written by another collector, process {pid}",
                path.display()
            ),
            Fault::NoFreeName(path) => write!(
                f,
                "every name for the rotated copy of {} is taken",
                path.display()
            ),
        }
    }
}

/// What the steps need besides the files.
pub struct Means<'a, S> {
    /// The files.
    pub store: &'a mut S,
    /// The names.
    pub paths: &'a Paths,
    /// This machine's boot, for the pointer.
    pub boot: Option<&'a BootId>,
    /// The local time as `YYYYmmddHHMMSS`.
    pub stamp: &'a str,
}

impl<F> LocalCopy<F> {
    /// Opens what earlier runs left, finishing a rotation they may have begun. What is put right is told to `found`.
    ///
    /// Everything is made durable before it is believed: what a killed run wrote may not be on the disk yet.
    pub fn open<S: WriteStore<File = F>>(
        means: &mut Means<'_, S>,
        found: &mut dyn FnMut(Found),
    ) -> Result<LocalCopy<F>, Fault> {
        means.barrier()?;
        match means.read_pointer()? {
            None => means.open_without_pointer(found),
            Some(mut pointer) => match pointer.pending.take() {
                None => means.open_plain(pointer, found),
                Some(pending) => means.finish_rotation(pointer, pending, found),
            },
        }
    }

    /// The generation it is a copy of; `None` before the first contact.
    pub fn inode(&self) -> Option<Inode> {
        self.pointer.as_ref().map(|pointer| pointer.inode)
    }

    /// The generation it is a copy of; `None` before the first contact.
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
                boot: boot.and_then(Result::ok).map_or(0, u32::from_be_bytes),
            }),
            classic: pointer.classic,
        })
    }

    /// Its size, which is the offset to go on from.
    pub fn size(&self) -> u64 {
        self.live.as_ref().map_or(0, |live| live.size)
    }

    /// First contact: makes the pointer durable and then opens an empty local copy.
    pub fn begin<S: WriteStore<File = F>>(
        &mut self,
        generation: Generation,
        means: &mut Means<'_, S>,
    ) -> Result<(), Fault> {
        let pointer = means.new_pointer(generation);
        means.write_pointer(&pointer)?;
        means.sync_dir(&means.paths.pointer_dir)?;
        if self.live.is_none() {
            self.live = Some(means.create_live()?);
        }
        self.pointer = Some(pointer);
        Ok(())
    }

    /// Appends bytes of the current generation. After an error some of them may be in the file; its size tells.
    pub fn append<S: WriteStore<File = F>>(
        &mut self,
        mut bytes: &[u8],
        means: &mut Means<'_, S>,
    ) -> Result<(), Fault> {
        let Some(live) = &mut self.live else {
            return Ok(());
        };
        while !bytes.is_empty() {
            let written = means
                .store
                .append(&live.file, bytes)
                .map_err(|error| system("append to", &means.paths.local, error))?;
            if written == 0 {
                let error = io::Error::from(io::ErrorKind::WriteZero);
                return Err(system("append to", &means.paths.local, error));
            }
            live.size += written as u64;
            bytes = bytes.get(written..).unwrap_or_default();
        }
        Ok(())
    }

    /// The current generation is complete: gives its copy a name of its own and starts an empty one for `next`.
    /// Returns the name.
    pub fn rotate<S: WriteStore<File = F>>(
        &mut self,
        next: Generation,
        means: &mut Means<'_, S>,
    ) -> Result<PathBuf, Fault> {
        let (Some(live), Some(pointer)) = (self.live.take(), self.pointer.take()) else {
            self.begin(next, means)?;
            return Ok(means.paths.local.clone());
        };
        means
            .store
            .sync_file(&live.file)
            .map_err(|error| system("make durable", &means.paths.local, error))?;
        if live.new_name {
            means.sync_dir(&means.paths.local_dir)?;
        }
        let next = means.new_pointer(next);
        let rotated = means.move_away(pointer.inode, live.id, live.size, &next)?;
        drop(live);
        let (live, pointer) = means.start_next(next)?;
        self.live = Some(live);
        self.pointer = Some(pointer);
        Ok(rotated)
    }

    /// The server knows the same generation under another name now, or tells it in another way: only the pointer
    /// changes.
    pub fn rename_generation<S: WriteStore<File = F>>(
        &mut self,
        generation: Generation,
        means: &mut Means<'_, S>,
    ) -> Result<(), Fault> {
        let checkpoint = self.pointer.as_ref().map_or(0, |p| p.checkpoint);
        let pointer = Pointer {
            checkpoint,
            ..means.new_pointer(generation)
        };
        means.write_pointer(&pointer)?;
        means.sync_dir(&means.paths.pointer_dir)?;
        self.pointer = Some(pointer);
        Ok(())
    }

    /// Reads from the copy; fewer bytes than asked for only at its end.
    pub fn read_at<S: WriteStore<File = F>>(
        &self,
        buf: &mut [u8],
        offset: u64,
        means: &mut Means<'_, S>,
    ) -> Result<usize, Fault> {
        let Some(live) = &self.live else {
            return Ok(0);
        };
        means
            .store
            .read_at(&live.file, buf, offset)
            .map_err(|error| system("read", &means.paths.local, error))
    }

    /// Takes back the last bytes, which were never part of the generation.
    pub fn cut<S: WriteStore<File = F>>(
        &mut self,
        size: u64,
        means: &mut Means<'_, S>,
    ) -> Result<(), Fault> {
        let Some(live) = self.live.as_mut().filter(|live| live.size > size) else {
            return Ok(());
        };
        means
            .store
            .truncate(&live.file, size)
            .map_err(|error| system("shorten", &means.paths.local, error))?;
        live.size = size;
        Ok(())
    }

    /// Notes a loss where an operator, and `verify`, will find it.
    pub fn note_gap<S: WriteStore<File = F>>(
        text: &str,
        means: &mut Means<'_, S>,
    ) -> Result<(), Fault> {
        let path = means.paths.gaps();
        let failed = |error| system("write", &path, error);
        let file = match means.store.open_append(&path).map_err(failed)? {
            Some(file) => file,
            None => means.store.create_new(&path).map_err(failed)?,
        };
        means.append_all(&file, text.as_bytes()).map_err(failed)?;
        means.store.sync_file(&file).map_err(failed)
    }

    /// The server has forgotten all behind `size`: moves our bytes from there on to a file of their own, durably, and
    /// cuts the copy. Returns that file's name.
    pub fn rescue<S: WriteStore<File = F>>(
        &mut self,
        size: u64,
        means: &mut Means<'_, S>,
    ) -> Result<PathBuf, Fault> {
        let path = means.free_name_after("rescued.")?.1;
        let failed = |error| system("write", &path, error);
        let rescued = means.store.create_new(&path).map_err(failed)?;
        let mut buf = [0; COPY_LEN];
        let mut at = size;
        loop {
            let read = self.read_at(&mut buf, at, means)?;
            if read == 0 {
                break;
            }
            means.append_all(&rescued, &buf[..read]).map_err(failed)?;
            at += read as u64;
        }
        means.store.sync_file(&rescued).map_err(failed)?;
        means.sync_dir(&means.paths.local_dir)?;
        self.cut(size, means)?;
        Ok(path)
    }
}

impl<F, S: WriteStore<File = F>> Means<'_, S> {
    /// Makes what is visible durable, on the file systems of both directories.
    fn barrier(&mut self) -> Result<(), Fault> {
        let paths = self.paths;
        for dir in [&paths.local_dir, &paths.pointer_dir] {
            self.store
                .sync_all(dir)
                .map_err(|error| system("use the directory", dir, error))?;
            if paths.local_dir == paths.pointer_dir {
                break;
            }
        }
        Ok(())
    }

    /// Whether losses are on record beside the local copy.
    pub fn has_gaps(&mut self) -> Result<bool, Fault> {
        let path = self.paths.gaps();
        Ok(self.stat_path(&path)?.is_some())
    }

    /// Reads the pointer. An empty file is what fetchlogs 1.1 leaves when it is killed before the first byte: it says
    /// nothing, like a missing one.
    fn read_pointer(&mut self) -> Result<Option<Pointer>, Fault> {
        let mut buf = [0; POINTER_MAX_LEN + 1];
        let path = &self.paths.pointer;
        let len = self
            .store
            .read_small(path, &mut buf)
            .map_err(|error| system("read the pointer file", path, error))?;
        let Some(text) = len.and_then(|len| buf.get(..len)) else {
            return Ok(None);
        };
        match Pointer::parse(text) {
            Ok(pointer) => Ok(Some(pointer)),
            Err(PointerFault::Empty) => Ok(None),
            Err(fault) => Err(Fault::Pointer(path.clone(), fault)),
        }
    }

    /// No pointer: a local copy that holds anything is not ours to continue and is set aside.
    fn open_without_pointer(
        &mut self,
        found: &mut dyn FnMut(Found),
    ) -> Result<LocalCopy<F>, Fault> {
        let mut live = self.open_live()?;
        if live.as_ref().is_some_and(|live| live.size > 0) {
            let (_, rotated) = self.free_name()?;
            self.rename_live(&rotated)?;
            found(Found::SetAside(rotated));
            live = None;
        }
        Ok(LocalCopy {
            pointer: None,
            live,
        })
    }

    /// A pointer without a rotation under way: the local copy goes on where it ends.
    fn open_plain(
        &mut self,
        pointer: Pointer,
        found: &mut dyn FnMut(Found),
    ) -> Result<LocalCopy<F>, Fault> {
        let live = match self.open_live()? {
            Some(live) => live,
            None => {
                found(Found::CopyMissing);
                self.create_live()?
            }
        };
        Ok(LocalCopy {
            pointer: Some(pointer),
            live: Some(live),
        })
    }

    /// A pointer that announces a rotation: finds out how far it came and does the rest.
    fn finish_rotation(
        &mut self,
        pointer: Pointer,
        pending: Pending,
        found: &mut dyn FnMut(Found),
    ) -> Result<LocalCopy<F>, Fault> {
        // Beside a pending rotation, what is said of a generation is said of the next one.
        let next = Pointer {
            inode: pending.next,
            boot: self.boot.cloned(),
            checkpoint: 0,
            ..pointer.clone()
        };
        let rotated = self.rotated_name(&pending.suffix);
        // Both names are in one directory, so the inode alone identifies; device numbers may change with a reboot.
        let old = pending.local.inode;
        let is_old = |stat: &Stat| stat.id.inode == old;
        let local = self.stat_path(&self.paths.local)?;
        let kept = self.stat_path(&rotated)?;
        let kept_is_old = kept.as_ref().is_some_and(is_old);
        match local {
            Some(local) if is_old(&local) && kept_is_old => {
                self.sync_dir(&self.paths.local_dir)?;
                self.unlink_live()?;
                found(Found::RotationFinished(rotated));
            }
            Some(local) if is_old(&local) => {
                let rotated = match kept {
                    None => {
                        self.rename_live(&rotated)?;
                        rotated
                    }
                    Some(_) => self.move_away(pointer.inode, local.id, local.size, &next)?,
                };
                found(Found::RotationFinished(rotated));
            }
            Some(_) => {
                self.write_pointer(&next)?;
                return self.open_plain(next, found);
            }
            None if kept_is_old => found(Found::RotationFinished(rotated)),
            None => found(Found::RotatedMissing(rotated)),
        }
        let (live, pointer) = self.start_next(next)?;
        Ok(LocalCopy {
            pointer: Some(pointer),
            live: Some(live),
        })
    }

    /// Announces the rotation in the pointer, which is its commit point, and renames the local copy.
    fn move_away(
        &mut self,
        inode: Inode,
        local: FileId,
        size: u64,
        next: &Pointer,
    ) -> Result<PathBuf, Fault> {
        for _ in 0..SUFFIX_ATTEMPTS_MAX {
            let (suffix, rotated) = self.free_name()?;
            let pending = Pending {
                local,
                size,
                next: next.inode,
                suffix,
            };
            let pointer = Pointer {
                inode,
                checkpoint: size,
                pending: Some(pending),
                ..next.clone()
            };
            self.write_pointer(&pointer)?;
            self.sync_dir(&self.paths.pointer_dir)?;
            match self.rename_live(&rotated) {
                Err(Fault::System { error, .. })
                    if error.kind() == io::ErrorKind::AlreadyExists => {}
                other => return other.map(|()| rotated),
            }
        }
        Err(Fault::NoFreeName(self.paths.local.clone()))
    }

    /// Starts the empty copy of the next generation and lets the pointer say so.
    fn start_next(&mut self, next: Pointer) -> Result<(Live<F>, Pointer), Fault> {
        let live = self.create_live()?;
        // The directory need not be durable here: an older pointer only has this rotation finished once more.
        self.write_pointer(&next)?;
        Ok((live, next))
    }

    /// Renames the local copy to a name that nothing has, durably.
    fn rename_live(&mut self, rotated: &Path) -> Result<(), Fault> {
        let paths = self.paths;
        match self.store.rename_new(&paths.local, rotated) {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                self.store
                    .link(&paths.local, rotated)
                    .map_err(|error| system("link the local copy to", rotated, error))?;
                self.sync_dir(&paths.local_dir)?;
                self.unlink_live()
            }
            Err(error) => Err(system("rename the local copy to", rotated, error)),
            Ok(()) => self.sync_dir(&paths.local_dir),
        }
    }

    fn unlink_live(&mut self) -> Result<(), Fault> {
        let paths = self.paths;
        self.store
            .unlink(&paths.local)
            .map_err(|error| system("take the old name from", &paths.local, error))?;
        self.sync_dir(&paths.local_dir)
    }

    /// The first name for a rotated copy that nothing has.
    fn free_name(&mut self) -> Result<(RotatedSuffix, PathBuf), Fault> {
        self.free_name_after("")
    }

    /// The first name that nothing has, with `mark` between the local copy's name and the stamp.
    fn free_name_after(&mut self, mark: &str) -> Result<(RotatedSuffix, PathBuf), Fault> {
        for attempt in 0..SUFFIX_ATTEMPTS_MAX {
            let Some(suffix) = RotatedSuffix::new(self.stamp, attempt) else {
                break;
            };
            let path = self.name_with(mark, &suffix);
            if self.stat_path(&path)?.is_none() {
                return Ok((suffix, path));
            }
        }
        Err(Fault::NoFreeName(self.paths.local.clone()))
    }

    fn rotated_name(&self, suffix: &RotatedSuffix) -> PathBuf {
        self.name_with("", suffix)
    }

    fn name_with(&self, mark: &str, suffix: &RotatedSuffix) -> PathBuf {
        let mut name = self.paths.local.clone().into_os_string();
        name.push(".");
        name.push(mark);
        name.push(suffix.as_str());
        PathBuf::from(name)
    }

    /// Opens and locks the local copy if it exists.
    fn open_live(&mut self) -> Result<Option<Live<F>>, Fault> {
        let path = &self.paths.local;
        let file = self
            .store
            .open_append(path)
            .map_err(|error| system("open", path, error))?;
        file.map(|file| self.lock(file, false)).transpose()
    }

    /// Creates and locks an empty local copy.
    fn create_live(&mut self) -> Result<Live<F>, Fault> {
        let path = &self.paths.local;
        let file = self
            .store
            .create_new(path)
            .map_err(|error| system("create", path, error))?;
        self.lock(file, true)
    }

    fn lock(&mut self, file: F, new_name: bool) -> Result<Live<F>, Fault> {
        let path = &self.paths.local;
        let holder = self
            .store
            .lock(&file)
            .map_err(|error| system("lock", path, error))?;
        if let Some(pid) = holder {
            return Err(Fault::Locked(path.clone(), pid));
        }
        let stat = self
            .store
            .stat(&file)
            .map_err(|error| system("look at", path, error))?;
        Ok(Live {
            file,
            id: stat.id,
            size: stat.size,
            new_name,
        })
    }

    fn stat_path(&mut self, path: &Path) -> Result<Option<Stat>, Fault> {
        self.store
            .stat_path(path)
            .map_err(|error| system("look at", path, error))
    }

    fn sync_dir(&mut self, dir: &Path) -> Result<(), Fault> {
        self.store
            .sync_dir(dir)
            .map_err(|error| system("make durable the directory", dir, error))
    }

    fn new_pointer(&self, generation: Generation) -> Pointer {
        let origin = generation.origin;
        Pointer {
            boot: self.boot.cloned(),
            mtime_ns: origin.map(|origin| origin.mtime_ns),
            token: origin.and_then(|origin| Token::new(&origin.boot.to_be_bytes())),
            classic: generation.classic,
            ..Pointer::of(generation.inode)
        }
    }

    /// Replaces the pointer as a whole: scratch file, made durable, renamed over it. The directory is the caller's.
    fn write_pointer(&mut self, pointer: &Pointer) -> Result<(), Fault> {
        let paths = self.paths;
        self.write_scratch(pointer.write().as_bytes())
            .and_then(|()| self.store.rename(&paths.scratch, &paths.pointer))
            .map_err(|error| system("write the pointer file", &paths.pointer, error))
    }

    fn write_scratch(&mut self, text: &[u8]) -> io::Result<()> {
        let scratch = self.store.create_scratch(&self.paths.scratch)?;
        self.append_all(&scratch, text)?;
        self.store.sync_file(&scratch)
    }

    fn append_all(&mut self, file: &F, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.store.append(file, bytes)? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => bytes = bytes.get(written..).unwrap_or_default(),
            }
        }
        Ok(())
    }
}

/// Bytes moved at once when a part of a copy is set aside.
const COPY_LEN: usize = 4096;

/// The directory that a file's name stands in.
fn directory_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

fn system(operation: &'static str, path: &Path, error: io::Error) -> Fault {
    Fault::System {
        operation,
        path: path.to_path_buf(),
        error,
    }
}

#[cfg(test)]
mod tests;
