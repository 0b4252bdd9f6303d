//! The real file system, behind the two traits.

use std::cell::RefCell;
use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::ids::{FileId, Inode};
use crate::sys::trusted::{self, Place, Untrusted};
use crate::sys::{clock, error_saying, files};
use crate::wire::crc32::Crc32;

use super::{Birth, HoldStore, Kind, Nameless, Names, ReadStore, Room, Stat, WriteStore, Writers};

mod births;
pub mod held;

/// The server's side of the real file system.
#[derive(Debug, Default)]
pub struct RealRead {
    boot: u32,
    births: births::Births,
    opener: trusted::Opener,
    refused: RefCell<Refused>,
    held: held::Held,
}

/// What was not opened, because it may be anybody's.
#[derive(Debug, Default)]
struct Refused {
    known: Vec<Untrusted>,
    told: usize,
}

/// Whoever may write to a directory may give it as many names as he likes. More are not told.
const REFUSED_MAX: usize = 16;

impl RealRead {
    /// The file system as it is, and this host's boot.
    pub fn new() -> RealRead {
        let boot =
            // PROTOCOL.md, "Negotiation": `b` is the CRC-32 of the 36 characters.
            crate::sys::boot_id().map_or(0, |id| Crc32::new().update(id.as_bytes()).finish());
        RealRead {
            boot,
            ..RealRead::default()
        }
    }

    /// The files that are held open.
    pub fn held(&self) -> &held::Held {
        &self.held
    }

    /// What was not opened since this was asked before, because it may be anybody's; each is told
    /// once.
    pub fn refused(&self) -> Vec<Untrusted> {
        let Refused { known, told } = &mut *self.refused.borrow_mut();
        let before = std::mem::replace(told, known.len());
        known.get(before..).unwrap_or_default().to_vec()
    }

    /// Forgets what was told, so that it is told again.
    pub fn forget_refused(&self) {
        self.refused.take();
    }

    fn note<T>(&self, opened: io::Result<T>) -> io::Result<T> {
        if let Some(why) = opened.as_ref().err().and_then(Untrusted::of) {
            let known = &mut self.refused.borrow_mut().known;
            if known.len() < REFUSED_MAX && !known.contains(why) {
                known.push(why.clone());
            }
        }
        opened
    }
}

impl ReadStore for RealRead {
    type File = File;

    fn open(&self, path: &Path) -> io::Result<File> {
        match self.held.open(path) {
            Some(opened) => opened,
            None => self.note(self.opener.open(path)),
        }
    }

    fn stat(&self, file: &File) -> io::Result<Stat> {
        Ok(stat_of(&file.metadata()?))
    }

    fn stat_path(&self, path: &Path) -> io::Result<Stat> {
        if let Some(stat) = self.held.stat(path) {
            return stat;
        }
        let metadata = self.note(self.opener.metadata(path))?;
        Ok(stat_of(&metadata))
    }

    fn target_of(&self, path: &Path) -> Option<FileId> {
        Some(stat_of(&fs::metadata(path).ok()?).id)
    }

    fn held_paths(&self, log: &Path) -> Vec<PathBuf> {
        self.held.paths(log)
    }

    fn is_mounted(&self, path: &Path) -> bool {
        births::Births::is_mounted(path)
    }

    fn birth(&self, path: &Path, device: u64) -> Birth {
        let held = self
            .held
            .with(path, |file| Ok(self.births.of_file(file, device)));
        match held {
            Some(birth) => birth.unwrap_or_default(),
            None => self.births.of_path(path, device),
        }
    }

    fn birth_of(&self, file: &File, device: u64) -> Birth {
        self.births.of_file(file, device)
    }

    fn read_at(&self, file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        read_fully_at(file, buf, offset)
    }

    fn hole_end(&self, file: &File, offset: u64) -> u64 {
        files::hole_end(file, offset)
    }

    fn writers(&self, file: &File) -> Writers {
        match files::somebody_writes(file) {
            Some(true) => Writers::Somebody,
            Some(false) => Writers::Nobody,
            None => Writers::Unknown,
        }
    }

    fn boot(&self) -> u32 {
        self.boot
    }

    fn names(&self, dir: &Path) -> io::Result<Names> {
        Ok(Box::new(self.note(files::Names::of(dir))?))
    }
}

impl HoldStore for RealRead {
    fn hold(&self, log: &Path, path: &Path, id: FileId, file: File) {
        self.held.hold(log, path, id, file);
    }

    fn is_held(&self, log: &Path, path: &Path, id: FileId) -> bool {
        self.held.has(log, path, id)
    }

    fn hold_only(&self, log: &Path, is_held: &dyn Fn(FileId) -> bool) {
        self.held.keep(log, is_held);
    }

    fn nameless(&self) -> Vec<Nameless> {
        self.held.nameless()
    }

    fn room_at(&self, dir: &Path) -> io::Result<Room> {
        room(dir)
    }
}

fn room(dir: &Path) -> io::Result<Room> {
    let files::Room { free, total, files } = files::room(dir)?;
    Ok(Room { free, total, files })
}

/// The collector's side of the real file system.
#[derive(Debug, Default)]
pub struct RealWrite {
    /// The devices synced since a batch began, and the error numbers of those that could not be;
    /// `None` outside of one.
    synced: Option<heapless::Vec<(u64, Option<i32>), BATCH_DEVICES_MAX>>,
    /// The devices of which a sync failed, and how often.
    failed: Vec<(u64, u32)>,
    locked: LockedFiles,
    rights: Rights,
    /// Why the last file that was made did not get them.
    ungiven: Option<io::Error>,
}

/// What new files get besides what the system gives them.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Rights {
    /// The mode, whatever the umask is.
    pub mode: Option<u32>,
    /// The group.
    pub gid: Option<u32>,
}

/// Local copies are spread over fewer file systems than this. Any beyond are synced each time.
const BATCH_DEVICES_MAX: usize = 16;

impl RealWrite {
    /// From now on new files get these rights.
    pub fn set_rights(&mut self, rights: Rights) {
        self.rights = rights;
    }

    /// Why a file did not get its rights since this was asked last. It has less than it was to
    /// have, and is used as it is.
    pub fn take_ungiven(&mut self) -> Option<io::Error> {
        self.ungiven.take()
    }

    /// The mode with which a file is made, before it gets its rights.
    fn first_mode(&self) -> u32 {
        FILE_MODE & self.rights.mode.unwrap_or(FILE_MODE)
    }

    fn give_rights(&mut self, file: &File) {
        let Rights { mode, gid } = self.rights;
        // The group first: what it may do is not for the one before.
        let grouped = gid.map_or(Ok(()), |gid| fchown(file, None, Some(gid)));
        let given = grouped.and_then(|()| {
            let mode = mode.map(Permissions::from_mode);
            mode.map_or(Ok(()), |mode| file.set_permissions(mode))
        });
        self.ungiven = given.err().or(self.ungiven.take());
    }

    /// Begins or ends a batch: in one, [`sync_all`](WriteStore::sync_all) syncs each file system
    /// only the first time. So whatever is to be durable must have been written before the batch
    /// begins.
    ///
    /// A failure is everybody's: the system tells it once, and takes what it could not write for
    /// written.
    pub fn batch(&mut self, on: bool) {
        self.synced = on.then(heapless::Vec::new);
    }

    /// The result of the sync of a device in this batch, if there was one.
    fn synced(&self, device: u64) -> Option<io::Result<()>> {
        // By error number, because an `io::Error` cannot be copied, and each of many sources wants
        // its own.
        let mut devices = self.synced.iter().flatten();
        let (_, errno) = devices.find(|(synced, _)| *synced == device)?;
        Some(match errno {
            Some(errno) => Err(io::Error::from_raw_os_error(*errno)),
            None => Ok(()),
        })
    }

    /// The number of syncs of whole file systems that have failed so far.
    pub fn all_failed_syncs(&self) -> u32 {
        self.failed.iter().map(|(_, times)| times).sum()
    }

    fn note_failed(&mut self, device: u64) {
        match self.failed.iter_mut().find(|(failed, _)| *failed == device) {
            // A number and not a flag: each source remembers the number that it has seen, and so
            // notices the second failure as well as the first.
            Some((_, times)) => *times += 1,
            None => self.failed.push((device, 1)),
        }
    }

    fn note_synced(&mut self, device: u64, result: &io::Result<()>) {
        let errno = result.as_ref().err().and_then(io::Error::raw_os_error);
        // Outside of a batch, too: what this sync could not write may be bytes of any source on the
        // device.
        if result.is_err() {
            self.note_failed(device);
        }
        let Some(devices) = &mut self.synced else {
            return;
        };
        let is_full = devices.push((device, errno)).is_err();
        // To forget a device that was synced costs a sync, to forget a failure costs data.
        if let Some(synced) = devices.iter_mut().find(|(_, errno)| errno.is_none())
            && is_full
            && errno.is_some()
        {
            *synced = (device, errno);
        }
    }
}

/// A file of the collector's side. Closing it gives up its lock.
#[derive(Debug)]
pub struct WriteFile {
    file: File,
    id: FileId,
    locked: LockedFiles,
}

impl Drop for WriteFile {
    fn drop(&mut self) {
        // The descriptor is closed right after this, and the kernel gives up the lock with it.
        self.locked.0.borrow_mut().retain(|id| *id != self.id);
    }
}

/// The files that are locked now.
///
/// The lock on a file is the process's and ends when *any* descriptor of that file is closed:
/// nothing in the process may open a locked file a second time, not even to read it. So the lock
/// cannot keep two sources of one process apart whose paths lead to the same file, and this has to.
#[derive(Clone, Debug, Default)]
struct LockedFiles(Rc<RefCell<Vec<FileId>>>);

impl LockedFiles {
    /// Refuses a path that leads to a locked file.
    fn refuse(&self, path: &Path) -> io::Result<()> {
        // Asked of the path and before it is opened: by fcntl(2) the lock ends as soon as any
        // descriptor of the file is closed, so one that was opened by mistake could not be closed
        // again.
        let is_locked = fs::symlink_metadata(path)
            .is_ok_and(|metadata| self.0.borrow().contains(&stat_of(&metadata).id));
        if is_locked {
            return Err(error_saying(
                ErrorKind::ResourceBusy,
                "another source writes to it",
            ));
        }
        Ok(())
    }

    fn file(&self, file: File) -> io::Result<WriteFile> {
        let id = stat_of(&file.metadata()?).id;
        let locked = self.clone();
        Ok(WriteFile { file, id, locked })
    }
}

impl WriteStore for RealWrite {
    type File = WriteFile;

    fn open_append(&mut self, path: &Path) -> io::Result<Option<WriteFile>> {
        // Opening and closing it once more would give up the lock of the source that has it.
        self.locked.refuse(path)?;
        let file = Place::of(path).and_then(|place| place.open_append());
        let file = absent_is_none(file.and_then(regular_only))?;
        file.map(|file| self.locked.file(file)).transpose()
    }

    fn create_new(&mut self, path: &Path) -> io::Result<WriteFile> {
        // `O_EXCL` refuses a dangling link too, so a name that is taken in any way stays as it is.
        let file = Place::of(path)?.create_new(self.first_mode())?;
        self.give_rights(&file);
        self.locked.file(file)
    }

    fn create_scratch(&mut self, path: &Path) -> io::Result<WriteFile> {
        self.locked.refuse(path)?;
        let place = Place::of(path)?;
        // What is no regular file is somebody's and left alone; this tells how it is called.
        if place.metadata().is_ok_and(|metadata| !metadata.is_file()) {
            regular_only(place.open_append()?)?;
        }
        // What a killed run has left goes, and what has a second name keeps that.
        let file = place.create_scratch(self.first_mode())?;
        self.give_rights(&file);
        self.locked.file(file)
    }

    fn lock(&mut self, file: &WriteFile) -> io::Result<Option<u32>> {
        // Only a lock that was taken counts: one that another process holds is not given up by a
        // close here.
        let holder = files::try_lock(&file.file)?;
        if holder.is_none() {
            self.locked.0.borrow_mut().push(file.id);
        }
        Ok(holder)
    }

    fn stat(&mut self, file: &WriteFile) -> io::Result<Stat> {
        Ok(stat_of(&file.file.metadata()?))
    }

    fn stat_path(&mut self, path: &Path) -> io::Result<Option<Stat>> {
        let metadata = Place::of(path).and_then(|place| place.metadata());
        absent_is_none(metadata.map(|metadata| stat_of(&metadata)))
    }

    fn append(&mut self, file: &WriteFile, bytes: &[u8]) -> io::Result<usize> {
        again_if_interrupted(|| (&file.file).write(bytes))
    }

    fn append_zeros(&mut self, file: &WriteFile, len: u64) -> io::Result<()> {
        let size = file.file.metadata()?.size();
        let size = size.checked_add(len).ok_or(ErrorKind::FileTooLarge)?;
        file.file.set_len(size)
    }

    fn read_at(&mut self, file: &WriteFile, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        read_fully_at(&file.file, buf, offset)
    }

    fn overwrite(&mut self, file: &WriteFile, bytes: &[u8], offset: u64) -> io::Result<()> {
        // pwrite(2), BUGS: with `O_APPEND` Linux writes at the end, whatever the offset says.
        files::without_append(&file.file, |file| file.write_all_at(bytes, offset))
    }

    fn truncate(&mut self, file: &WriteFile, size: u64) -> io::Result<()> {
        file.file.set_len(size)
    }

    fn read_small(&mut self, path: &Path, buf: &mut [u8]) -> io::Result<Option<usize>> {
        self.locked.refuse(path)?;
        let file = absent_is_none(trusted::open(path).and_then(regular_only))?;
        file.map(|file| read_fully_at(&file, buf, 0)).transpose()
    }

    fn sync_file(&mut self, file: &WriteFile) -> io::Result<()> {
        // fdatasync(2) writes the size as well, since no byte behind the old one could be read
        // without it.
        file.file.sync_data()
    }

    fn sync_dir(&mut self, dir: &Path) -> io::Result<()> {
        match trusted::open_dir(dir)?.sync_all() {
            // How a file system says that its directories need no such thing.
            Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(()),
            result => result,
        }
    }

    fn sync_all(&mut self, dir: &Path) -> io::Result<()> {
        // Thousands of copies share a few file systems: one sync serves them all.
        let device = fs::metadata(dir)?.dev();
        if let Some(result) = self.synced(device) {
            return result;
        }
        // Where there is no way to it nothing is synced, and nothing fails that concerns anybody
        // else.
        let dir = trusted::open_dir(dir)?;
        let result = files::sync_fs(&dir);
        self.note_synced(device, &result);
        result
    }

    fn failed_syncs(&mut self, dir: &Path) -> u32 {
        // Nearly always so, and asked by every source again and again: no system call for that.
        if self.failed.is_empty() {
            return 0;
        }
        // A directory that is gone is on no device. Its sources have their own errors to tell.
        let device = fs::metadata(dir).map(|metadata| metadata.dev());
        let times = |device| {
            let found = self.failed.iter().find(|(failed, _)| *failed == device);
            found.map(|(_, times)| *times)
        };
        device.ok().and_then(times).unwrap_or(0)
    }

    fn room(&mut self, dir: &Path) -> io::Result<Room> {
        room(dir)
    }

    fn list(&mut self, dir: &Path) -> io::Result<Names> {
        Ok(Box::new(files::Names::of(dir)?))
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        Place::of(from)?.rename(&Place::of(to)?)
    }

    fn rename_new(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        // renameat2(2): not every file system can do it, and then the error says so.
        Place::of(from)?.rename_new(&Place::of(to)?)
    }

    fn link(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        Place::of(from)?.link(&Place::of(to)?)
    }

    fn unlink(&mut self, path: &Path) -> io::Result<()> {
        Place::of(path)?.unlink()
    }
}

/// Logs are for some and not for all: copies and what is recorded of them are for their owner and
/// the group of their directory, as far as the umask lets.
const FILE_MODE: u32 = 0o640;

fn regular_only(file: File) -> io::Result<File> {
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(error_saying(ErrorKind::InvalidInput, "not a regular file"))
    }
}

fn absent_is_none<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        // Only the last name may be missing. A directory on the way that is none is an error of its
        // own.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        result => result.map(Some),
    }
}

/// Reads until `buf` is full or the file ends.
fn read_fully_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut len = 0;
    while let Some(rest) = buf.get_mut(len..).filter(|rest| !rest.is_empty()) {
        // Behind the last offset there is nothing.
        let Some(at) = offset.checked_add(len as u64) else {
            break;
        };
        match again_if_interrupted(|| file.read_at(rest, at))? {
            // read(2) may return less than asked for in the middle of a file as well, on a network
            // file system or after a signal: only 0 is the end.
            0 => break,
            more => len += more,
        }
    }
    Ok(len)
}

fn again_if_interrupted(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

fn stat_of(metadata: &Metadata) -> Stat {
    Stat {
        id: FileId {
            device: metadata.dev(),
            inode: Inode(metadata.ino()),
        },
        size: metadata.size(),
        mtime_ns: mtime_ns(metadata.mtime(), metadata.mtime_nsec()),
        links: u32::try_from(metadata.nlink()).unwrap_or(u32::MAX),
        kind: kind_of(metadata),
    }
}

fn kind_of(metadata: &Metadata) -> Kind {
    let file_type = metadata.file_type();
    if file_type.is_file() {
        Kind::Regular
    } else if file_type.is_symlink() {
        Kind::Link
    } else if file_type.is_dir() {
        Kind::Directory
    } else {
        Kind::Special
    }
}

fn mtime_ns(secs: i64, nanos: i64) -> u64 {
    let nanos = u64::try_from(nanos).unwrap_or(0);
    match clock::unwrapped_secs(secs) {
        // A file from before 1970 is the oldest there is; its nanoseconds would make it newer than
        // that.
        0 if secs < 0 => 0,
        secs => secs.saturating_mul(1_000_000_000).saturating_add(nanos),
    }
}

#[cfg(test)]
mod tests;
