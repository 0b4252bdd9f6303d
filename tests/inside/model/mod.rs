//! A file system in memory that knows what is durable and what is only seen: for tests of the
//! machines, the explorer of crashes, and the simulator.
//!
//! [`Model`] is what a process has of it, a [`ReadStore`](crate::store::ReadStore) and a
//! [`WriteStore`](crate::store::WriteStore); clones share it. [`Disk`] is its content as a value,
//! cheap to copy and to compare.
//!
//! Written bytes are seen at once and durable after a sync of the file; names are seen at once and
//! durable after a sync of their directory. It promises nothing more: where a real file system
//! makes names and bytes durable in some order, this one may lose either. [`Disk::after_power_cut`]
//! gives everything that a power cut may leave, and [`Model::kill`] ends a process: its handles and
//! locks are gone, and nothing else.
//!
//! Calls of the write side fail on demand: by [`Model::fail_call`] and its like, or by a
//! [`Model::set_hook`] that sees every call before it is made. A sync that fails leaves what it was
//! to write marked as written, as Linux does: the next sync succeeds, and does not write it either.
//! Names survive such a failure and wait for the next sync.

#![allow(missing_docs)]

mod call;
mod content;
mod crash;
mod disk;
mod mix;
mod stores;

use std::cell::{Ref, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::rc::Rc;

pub use self::call::{Call, Op, Verdict};
pub use self::crash::PowerCut;
pub use self::disk::Disk;
pub use self::mix::Mix;

use self::disk::Key;
use crate::store::Kind;

/// The file system as one process has it; clones share it and are the same process.
#[derive(Clone)]
pub struct Model {
    shared: Rc<RefCell<Shared>>,
    pid: u32,
}

/// Sees every call of the write side before it is made, and decides what becomes of it.
pub type Hook = Rc<dyn Fn(&Call<'_>, &Disk) -> Verdict>;

/// An open file: it stays readable when its names are gone. Once its process is killed every call
/// with it fails.
pub struct Handle {
    shared: Rc<RefCell<Shared>>,
    id: u64,
    key: Key,
    path: Rc<Path>,
}

struct Shared {
    disk: Disk,
    now_ns: u64,
    /// Which process has which handle, and of what.
    handles: BTreeMap<u64, (u32, Key)>,
    last_handle: u64,
    /// Who locks what, and by which handle.
    locks: BTreeMap<Key, (u32, Option<u64>)>,
    /// Every inode number that was ever given out.
    inodes: BTreeSet<u64>,
    /// Calls of the write side so far.
    calls: u32,
    /// Error numbers for calls to come, by call number.
    failures: BTreeMap<u32, i32>,
    no_rename_new: bool,
    /// The devices synced since a batch began, and the error numbers of those that could not be;
    /// `None` outside of one.
    synced: Option<BTreeMap<u64, Option<i32>>>,
    /// The devices of which a sync failed, and how often.
    failed_syncs: BTreeMap<u64, u32>,
    hook: Option<Hook>,
    moved: Moved,
}

/// Bytes that were moved between files and a process; holes are none.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Moved {
    pub read: u64,
    pub written: u64,
}

/// The process that a model is made for.
const FIRST_PID: u32 = 1;

impl Default for Model {
    fn default() -> Model {
        Model::new()
    }
}

impl Model {
    /// An empty file system. Every directory exists.
    pub fn new() -> Model {
        Model::on(Disk::new())
    }

    /// A process on a disk as it was found.
    pub fn on(disk: Disk) -> Model {
        let shared = Shared {
            now_ns: 0,
            handles: BTreeMap::new(),
            last_handle: 0,
            locks: BTreeMap::new(),
            inodes: disk.inodes().collect(),
            disk,
            calls: 0,
            failures: BTreeMap::new(),
            no_rename_new: false,
            synced: None,
            failed_syncs: BTreeMap::new(),
            hook: None,
            moved: Moved::default(),
        };
        Model {
            shared: Rc::new(RefCell::new(shared)),
            pid: FIRST_PID,
        }
    }

    /// Another process on the same file system.
    pub fn process(&self, pid: u32) -> Model {
        let shared = self.shared.clone();
        Model { shared, pid }
    }

    /// The content as it is now.
    pub fn disk(&self) -> Ref<'_, Disk> {
        Ref::map(self.shared.borrow(), |shared| &shared.disk)
    }

    /// Begins or ends a batch, in which every device is synced only the first time, well or in
    /// vain.
    pub fn batch(&self, on: bool) {
        self.shared.borrow_mut().synced = on.then(BTreeMap::new);
    }

    /// How many syncs of whole devices have failed so far.
    pub fn all_failed_syncs(&self) -> u32 {
        self.shared.borrow().failed_syncs.values().sum()
    }

    /// A new process does not know which syncs failed before.
    pub fn forget_failed_syncs(&self) {
        self.shared.borrow_mut().failed_syncs.clear();
    }

    // Crashes.

    /// This process is killed.
    pub fn kill(&self) {
        let mut shared = self.shared.borrow_mut();
        let handles = shared.handles.iter();
        let own = handles.filter(|(_, (pid, _))| *pid == self.pid);
        for id in own.map(|(id, _)| *id).collect::<Vec<_>>() {
            shared.close(id);
        }
    }

    /// The power is cut and comes back: all processes are gone. Each decision of what is left is
    /// put to `pick`, with the number of its options.
    pub fn cut_power(&self, cut: PowerCut, pick: &mut dyn FnMut(usize) -> usize) {
        let left = self.disk().after_power_cut(cut, pick);
        let mut shared = self.shared.borrow_mut();
        shared.handles.clear();
        shared.locks.clear();
        shared.disk = left;
    }

    /// What was read and written since the last time.
    pub fn take_moved(&self) -> Moved {
        std::mem::take(&mut self.shared.borrow_mut().moved)
    }

    /// Makes everything durable, as the system does by itself after a while.
    pub fn flush(&self) {
        self.shared.borrow_mut().disk.sync_everything();
    }

    // Failures.

    /// Shows every call of the write side to a hook from now on; `None` takes it away.
    pub fn set_hook(&self, hook: Option<Hook>) {
        self.shared.borrow_mut().hook = hook;
    }

    /// Lets the `nth` call of the write side from now fail with this error number.
    pub fn fail_call(&self, nth: u32, errno: i32) {
        let mut shared = self.shared.borrow_mut();
        let call = shared.calls + nth;
        shared.failures.insert(call, errno);
    }

    /// A new process on the same disk: the failures that were still to come do not.
    pub fn revive(&self) {
        self.shared.borrow_mut().failures.clear();
    }

    // The kind of file system it is.

    /// Makes the one-step rename to a new name unsupported.
    pub fn forbid_rename_new(&self) {
        self.shared.borrow_mut().no_rename_new = true;
    }

    /// Lets freed inode numbers be given out again at once, as ext4 does.
    pub fn reuse_inodes(&self) {
        self.shared.borrow_mut().disk.reuse_inodes();
    }

    /// Puts a directory on a device of its own; without that, it is on device 1.
    pub fn mount(&self, dir: &str, device: u64) {
        let mut shared = self.shared.borrow_mut();
        shared.disk.mount(Path::new(dir), device);
    }

    // The outside world: writers, rotators and onlookers. What they do is no call, and cannot fail.

    /// Sets the time that the next writes leave on their files.
    pub fn at_ms(&self, ms: u64) {
        self.shared.borrow_mut().now_ns = ms * 1_000_000;
    }

    /// Appends to a file, creating it first if need be. Returns its inode.
    pub fn write(&self, path: &str, bytes: &[u8]) -> u64 {
        let mut shared = self.shared.borrow_mut();
        let found = shared.disk.file_at(Path::new(path)).map(|(key, _)| key);
        let key = found.unwrap_or_else(|| shared.create(Path::new(path), None));
        shared.append(key, bytes);
        shared.disk.file(key).unwrap().inode
    }

    /// Replaces what a file holds, keeping its inode.
    pub fn rewrite(&self, path: &str, bytes: &[u8]) {
        self.truncate_to(path, 0);
        self.write(path, bytes);
    }

    pub fn truncate_to(&self, path: &str, size: usize) {
        let mut shared = self.shared.borrow_mut();
        let Some((key, _)) = shared.disk.file_at(Path::new(path)) else {
            panic!("{path} is not there");
        };
        let now_ns = shared.now_ns;
        let content = shared.disk.file_mut(key).unwrap();
        content.truncate(size);
        content.mtime_ns = now_ns;
    }

    pub fn remove(&self, path: &str) {
        self.shared.borrow_mut().unlink(Path::new(path)).unwrap();
    }

    /// Puts something that is no regular file at a path.
    pub fn put_other(&self, path: &str, kind: Kind) {
        self.shared.borrow_mut().disk.put(Path::new(path), kind);
    }

    pub fn read(&self, path: &str) -> Option<Vec<u8>> {
        self.disk().read(path).map(<[u8]>::to_vec)
    }

    pub fn exists(&self, path: &str) -> bool {
        self.disk().node(Path::new(path)).is_some()
    }

    /// All names, in order.
    pub fn names(&self) -> Vec<String> {
        let disk = self.disk();
        disk.names()
            .map(|path| path.display().to_string())
            .collect()
    }

    /// The inode of the file that a path leads to.
    pub fn inode_of(&self, path: &str) -> u64 {
        match self.disk().file_at(Path::new(path)) {
            Some((_, content)) => content.inode,
            None => panic!("{path} is not there"),
        }
    }

    /// Whether a file with this inode exists: one that has a name, or is open.
    pub fn has_inode(&self, inode: u64) -> bool {
        let disk = self.disk();
        let key = disk.key_of_inode(inode);
        key.and_then(|key| disk.file(key))
            .is_some_and(|content| !content.is_gone())
    }

    /// Handles that are open, of all processes.
    pub fn open_handles(&self) -> usize {
        self.shared.borrow().handles.len()
    }

    fn handle(&self, path: &Path, key: Key) -> Handle {
        let mut shared = self.shared.borrow_mut();
        shared.last_handle += 1;
        let id = shared.last_handle;
        shared.handles.insert(id, (self.pid, key));
        if let Some(content) = shared.disk.file_mut(key) {
            content.opens += 1;
        }
        Handle {
            shared: self.shared.clone(),
            id,
            key,
            path: path.into(),
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.borrow_mut().close(self.id);
    }
}

impl Shared {
    /// Closes a handle, unless its process is gone.
    fn close(&mut self, id: u64) {
        let Some((_, key)) = self.handles.remove(&id) else {
            return;
        };
        self.locks.retain(|_, (_, by)| *by != Some(id));
        if let Some(content) = self.disk.file_mut(key) {
            content.opens -= 1;
        }
        self.disk.forget(key);
    }

    fn create(&mut self, path: &Path, inode: Option<u64>) -> Key {
        let key = self.disk.create(path, inode, self.now_ns);
        self.inodes
            .extend(self.disk.file(key).map(|content| content.inode));
        key
    }

    fn append(&mut self, key: Key, bytes: &[u8]) {
        let now_ns = self.now_ns;
        if let Some(content) = self.disk.file_mut(key) {
            content.append(bytes);
            content.mtime_ns = now_ns;
        }
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let replaced = self.disk.rename(from, to)?;
        if let Some(key) = replaced {
            self.disk.forget(key);
        }
        Ok(())
    }

    fn unlink(&mut self, path: &Path) -> io::Result<()> {
        if let Some(key) = self.disk.unlink(path)? {
            self.disk.forget(key);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
