//! A file system on which a process can be killed at any call, a call can fail, room can end and
//! descriptors are counted.

use std::cell::{Cell, Ref, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::inside::fair::Turn;
use crate::inside::fake::on_device;
use crate::inside::model::{Handle, Model};
use crate::store::{Birth, Names, ReadStore, Room, Stat, WriteStore, Writers};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// So many calls all sources need to note that a sync has failed. A process that is killed before
/// that has told nobody.
const NOTING_CALLS: u64 = 300;

/// The file system `S` as one process sees it; clones are the same.
pub struct Disk<S>(Rc<Inner<S>>);

struct Inner<S> {
    fs: RefCell<S>,
    calls: Cell<u64>,
    syncs: Cell<u64>,
    /// Before this call the process is killed.
    kill_at: Cell<u64>,
    dead: Cell<bool>,
    full: Cell<bool>,
    /// This many calls from now on fail.
    errors: Cell<u32>,
    /// Looks that were taken here at what was opened, which nobody asked for.
    own_looks: Cell<usize>,
    open: Rc<Descriptors>,
    /// The names that local copies were given, in that order.
    kept: RefCell<Vec<PathBuf>>,
}

/// How often each inode is open.
#[derive(Default)]
struct Descriptors {
    of_inode: RefCell<BTreeMap<u64, u32>>,
    now: Cell<usize>,
}

/// An open file, counted as long as it lives.
pub struct Open<F> {
    file: F,
    inode: u64,
    counted_by: Rc<Descriptors>,
}

impl<F> Drop for Open<F> {
    fn drop(&mut self) {
        let open = &self.counted_by;
        open.now.set(open.now.get() - 1);
        let mut of_inode = open.of_inode.borrow_mut();
        let count = of_inode.entry(self.inode).or_default();
        *count -= 1;
        if *count == 0 {
            of_inode.remove(&self.inode);
        }
    }
}

impl<S> Clone for Disk<S> {
    fn clone(&self) -> Disk<S> {
        Disk(Rc::clone(&self.0))
    }
}

impl<S> Disk<S> {
    pub fn new(fs: S) -> Disk<S> {
        Disk(Rc::new(Inner {
            fs: RefCell::new(fs),
            calls: Cell::new(0),
            syncs: Cell::new(0),
            kill_at: Cell::new(u64::MAX),
            dead: Cell::new(false),
            full: Cell::new(false),
            own_looks: Cell::new(0),
            errors: Cell::new(0),
            open: Rc::default(),
            kept: RefCell::default(),
        }))
    }

    /// What is behind it, for everybody but the process.
    pub fn with<R>(&self, act: impl FnOnce(&mut S) -> R) -> R {
        act(&mut self.0.fs.borrow_mut())
    }

    /// Kills the process before the `nth` call from now.
    pub fn kill_at(&self, nth: u64) {
        self.0.kill_at.set(self.0.calls.get() + nth);
    }

    pub fn is_dead(&self) -> bool {
        self.0.dead.get()
    }

    /// A new process.
    pub fn revive(&self) {
        self.0.dead.set(false);
        self.0.kill_at.set(u64::MAX);
    }

    pub fn set_full(&self, full: bool) {
        self.0.full.set(full);
    }

    /// Lets so many calls fail.
    pub fn fail(&self, count: u32) {
        self.0.errors.set(count);
    }

    /// What was asked of it so far, but for the bytes.
    pub fn asked(&self) -> Turn {
        Turn {
            syncs: self.0.syncs.get(),
            calls: self.0.calls.get(),
            bytes: 0,
        }
    }

    /// The looks that were taken here at what was opened, since this was asked last.
    pub fn take_own_looks(&self) -> usize {
        self.0.own_looks.take()
    }

    pub fn open_now(&self) -> usize {
        self.0.open.now.get()
    }

    pub fn is_open(&self, inode: u64) -> bool {
        self.0.open.of_inode.borrow().contains_key(&inode)
    }

    /// The names that were given by renaming without overwriting, in that order.
    pub fn kept(&self) -> Ref<'_, Vec<PathBuf>> {
        self.0.kept.borrow()
    }

    /// Somebody has taken the finished copies of this one away.
    pub fn forget_kept(&self, local: &str) {
        let is_other = |path: &PathBuf| path.to_str().is_none_or(|name| !is_copy_of(local, name));
        self.0.kept.borrow_mut().retain(is_other);
    }

    fn keep(&self, path: &Path) {
        let mut kept = self.0.kept.borrow_mut();
        kept.retain(|known| known != path);
        kept.push(path.to_path_buf());
    }

    fn count(&self) -> io::Result<()> {
        let inner = &self.0;
        let call = inner.calls.get() + 1;
        inner.calls.set(call);
        if call >= inner.kill_at.get() {
            inner.dead.set(true);
        }
        match inner.dead.get() {
            true => Err(io::Error::other("the process is dead")),
            false => Ok(()),
        }
    }

    /// Whether this is one of the calls that fail.
    fn takes_error(&self) -> bool {
        let errors = self.0.errors.get();
        self.0.errors.set(errors.saturating_sub(1));
        errors > 0
    }

    /// A call that may fail.
    fn call(&self) -> io::Result<()> {
        self.count()?;
        match self.takes_error() {
            true => Err(io::Error::from_raw_os_error(EIO)),
            false => Ok(()),
        }
    }

    /// A call that needs room.
    fn call_for_room(&self) -> io::Result<()> {
        match self.0.full.get() {
            true => Err(io::Error::from_raw_os_error(ENOSPC)),
            false => Ok(()),
        }
    }

    fn opened<F>(&self, file: F, inode: u64) -> Open<F> {
        let open = &self.0.open;
        open.now.set(open.now.get() + 1);
        *open.of_inode.borrow_mut().entry(inode).or_default() += 1;
        Open {
            file,
            inode,
            counted_by: Rc::clone(open),
        }
    }
}

impl Disk<Model> {
    /// A call that makes durable: where it fails, the file system itself has to know.
    fn sync_call(&self) -> io::Result<()> {
        self.0.syncs.set(self.0.syncs.get() + 1);
        self.count()?;
        if self.takes_error() {
            self.0.fs.borrow().fail_call(1, EIO);
            let (calls, kill_at) = (&self.0.calls, &self.0.kill_at);
            kill_at.set(kill_at.get().max(calls.get() + NOTING_CALLS));
        }
        Ok(())
    }
}

impl<S: ReadStore> ReadStore for Disk<S> {
    type File = Open<S::File>;

    fn open(&self, path: &Path) -> io::Result<Self::File> {
        self.call()?;
        let fs = self.0.fs.borrow();
        let file = fs.open(path)?;
        let id = fs.stat(&file)?.id;
        self.0.own_looks.set(self.0.own_looks.get() + 1);
        let inode = on_device(id.device, id.inode.0);
        Ok(self.opened(file, inode))
    }

    fn stat(&self, file: &Self::File) -> io::Result<Stat> {
        self.call()?;
        self.0.fs.borrow().stat(&file.file)
    }

    fn stat_path(&self, path: &Path) -> io::Result<Stat> {
        self.call()?;
        self.0.fs.borrow().stat_path(path)
    }

    fn birth(&self, path: &Path, device: u64) -> Birth {
        match self.call() {
            Ok(()) => self.0.fs.borrow().birth(path, device),
            Err(_) => Birth::default(),
        }
    }

    fn birth_of(&self, file: &Self::File, device: u64) -> Birth {
        match self.call() {
            Ok(()) => self.0.fs.borrow().birth_of(&file.file, device),
            Err(_) => Birth::default(),
        }
    }

    fn read_at(&self, file: &Self::File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.call()?;
        self.0.fs.borrow().read_at(&file.file, buf, offset)
    }

    fn hole_end(&self, file: &Self::File, offset: u64) -> u64 {
        match self.call() {
            Ok(()) => self.0.fs.borrow().hole_end(&file.file, offset),
            Err(_) => offset,
        }
    }

    fn writers(&self, file: &Self::File) -> Writers {
        match self.call() {
            Ok(_) => self.0.fs.borrow().writers(&file.file),
            Err(_) => Writers::Unknown,
        }
    }

    fn boot(&self) -> u32 {
        self.0.fs.borrow().boot()
    }

    fn names(&self, dir: &Path) -> io::Result<Names> {
        self.call()?;
        self.0.fs.borrow().names(dir)
    }
}

impl WriteStore for Disk<Model> {
    type File = Open<Handle>;

    fn open_append(&mut self, path: &Path) -> io::Result<Option<Self::File>> {
        self.call()?;
        let mut fs = self.0.fs.borrow_mut();
        let Some(file) = fs.open_append(path)? else {
            return Ok(None);
        };
        let inode = WriteStore::stat(&mut *fs, &file)?.id.inode.0;
        Ok(Some(self.opened(file, inode)))
    }

    fn create_new(&mut self, path: &Path) -> io::Result<Self::File> {
        self.call_for_room()?;
        let mut fs = self.0.fs.borrow_mut();
        let file = fs.create_new(path)?;
        let inode = WriteStore::stat(&mut *fs, &file)?.id.inode.0;
        Ok(self.opened(file, inode))
    }

    fn create_scratch(&mut self, path: &Path) -> io::Result<Self::File> {
        self.call_for_room()?;
        let mut fs = self.0.fs.borrow_mut();
        let file = fs.create_scratch(path)?;
        let inode = WriteStore::stat(&mut *fs, &file)?.id.inode.0;
        Ok(self.opened(file, inode))
    }

    fn lock(&mut self, file: &Self::File) -> io::Result<Option<u32>> {
        self.call()?;
        self.0.fs.borrow_mut().lock(&file.file)
    }

    fn stat(&mut self, file: &Self::File) -> io::Result<Stat> {
        self.call()?;
        WriteStore::stat(&mut *self.0.fs.borrow_mut(), &file.file)
    }

    fn stat_path(&mut self, path: &Path) -> io::Result<Option<Stat>> {
        self.call()?;
        WriteStore::stat_path(&mut *self.0.fs.borrow_mut(), path)
    }

    fn append(&mut self, file: &Self::File, bytes: &[u8]) -> io::Result<usize> {
        let was_dead = self.is_dead();
        let result = self.call_for_room();
        let mut fs = self.0.fs.borrow_mut();
        match result {
            // Killed or out of room in the middle of it.
            Err(error) if !was_dead && bytes.len() > 1 => {
                let written = fs.append(&file.file, &bytes[..bytes.len() / 2])?;
                match self.is_dead() || error.raw_os_error() != Some(ENOSPC) {
                    true => Err(error),
                    false => Ok(written),
                }
            }
            Err(error) => Err(error),
            Ok(()) => fs.append(&file.file, bytes),
        }
    }

    fn append_zeros(&mut self, file: &Self::File, len: u64) -> io::Result<()> {
        self.call_for_room()?;
        self.0.fs.borrow_mut().append_zeros(&file.file, len)
    }

    fn read_at(&mut self, file: &Self::File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.call()?;
        WriteStore::read_at(&mut *self.0.fs.borrow_mut(), &file.file, buf, offset)
    }

    fn overwrite(&mut self, file: &Self::File, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.call()?;
        let mut fs = self.0.fs.borrow_mut();
        fs.overwrite(&file.file, bytes, offset)
    }

    fn truncate(&mut self, file: &Self::File, size: u64) -> io::Result<()> {
        self.call()?;
        self.0.fs.borrow_mut().truncate(&file.file, size)
    }

    fn read_small(&mut self, path: &Path, buf: &mut [u8]) -> io::Result<Option<usize>> {
        self.call()?;
        self.0.fs.borrow_mut().read_small(path, buf)
    }

    fn sync_file(&mut self, file: &Self::File) -> io::Result<()> {
        self.sync_call()?;
        self.0.fs.borrow_mut().sync_file(&file.file)
    }

    fn sync_dir(&mut self, dir: &Path) -> io::Result<()> {
        self.sync_call()?;
        self.0.fs.borrow_mut().sync_dir(dir)
    }

    fn sync_all(&mut self, dir: &Path) -> io::Result<()> {
        self.sync_call()?;
        self.0.fs.borrow_mut().sync_all(dir)
    }

    fn failed_syncs(&mut self, dir: &Path) -> u32 {
        self.0.fs.borrow_mut().failed_syncs(dir)
    }

    fn room(&mut self, dir: &Path) -> io::Result<Room> {
        self.call()?;
        match self.0.full.get() {
            true => Ok(Room {
                free: 0,
                total: 1 << 30,
                files: None,
            }),
            false => self.0.fs.borrow_mut().room(dir),
        }
    }

    fn list(&mut self, dir: &Path) -> io::Result<Names> {
        self.0.fs.borrow_mut().list(dir)
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.call()?;
        self.0.fs.borrow_mut().rename(from, to)
    }

    fn rename_new(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.call()?;
        self.0.fs.borrow_mut().rename_new(from, to)?;
        self.keep(to);
        Ok(())
    }

    fn link(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.call()?;
        self.0.fs.borrow_mut().link(from, to)?;
        self.keep(to);
        Ok(())
    }

    fn unlink(&mut self, path: &Path) -> io::Result<()> {
        self.call()?;
        self.0.fs.borrow_mut().unlink(path)
    }
}

/// Whether a name is that of a finished copy of the log whose live copy is `local`.
pub fn is_copy_of(local: &str, name: &str) -> bool {
    let rest = name
        .strip_prefix(local)
        .and_then(|rest| rest.strip_prefix('.'));
    rest.is_some_and(|stamp| stamp.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
}
