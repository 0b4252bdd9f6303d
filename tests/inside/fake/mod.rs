//! A file system in memory for the unit tests of the machines: files, names, write times, and calls
//! that fail on demand.

#![allow(missing_docs)]

mod held;
mod tamper;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use self::held::Hold;
use self::tamper::id_of;
pub use self::tamper::{Veil, hear, on_device};
use crate::ids::{Born, FileId, Inode};
use crate::serve::find::journal::arrivals::Trail;
use crate::store::{Birth, Kind, Names, ReadStore, Room, Stat, WriteStore, Writers};

/// The file system; clones share it.
#[derive(Clone, Default)]
pub struct Fake(Rc<RefCell<Disk>>);

/// An open file: it stays readable when its names are gone.
pub struct Handle(u64);

#[derive(Default)]
struct Disk {
    names: BTreeMap<PathBuf, Node>,
    files: BTreeMap<u64, Content>,
    last_inode: u64,
    now_ns: u64,
    /// Calls of the write side so far.
    calls: u32,
    /// Error numbers for calls to come, by call number.
    failures: BTreeMap<u32, i32>,
    /// From this call on every one fails: the process is dead.
    dead_from: Option<u32>,
    /// Bytes that still fit.
    room: Option<usize>,
    /// Bytes that fit on it in all, where that is told.
    total: Option<u64>,
    /// The files that there may still be, and all.
    places: Option<(u64, u64)>,
    /// Looks at the room.
    looks: u32,
    locked_elsewhere: BTreeSet<u64>,
    no_rename_new: bool,
    /// A file can have one name only.
    no_link: bool,
    /// Blocks of zeros are holes.
    has_holes: bool,
    /// Calls that make something durable.
    syncs: u32,
    /// Those of the whole file system that failed.
    failed_syncs: u32,
    /// All bytes that were written over others, by inode.
    overwritten: BTreeMap<u64, Vec<u8>>,
    boot: u32,
    disguised: BTreeSet<u64>,
    /// What the read side sees in place of a file, or of a directory and all that is in it.
    veils: BTreeMap<PathBuf, Veil>,
    hollow: BTreeSet<u64>,
    done: Done,
    /// Files created so far.
    births: u32,
    /// Nothing is told of the birth of a file.
    hides_births: bool,
    /// What the kernel tells of the names beside each of those that somebody listens to.
    trails: BTreeMap<PathBuf, Trail>,
    /// Renames so far.
    moves: u32,
    /// Names so far of which those learned that listen to one beside it.
    told: u32,
    /// What is held open, so that it outlives its name.
    held: Vec<Hold>,
    /// What happens to it at a call of the read side to come, and at which.
    intruder: Option<(u32, Intruder)>,
}

/// Somebody who changes files while others look at them.
type Intruder = Box<dyn FnOnce(&Fake)>;

/// What the read side was asked for.
#[derive(Clone, Copy, Default)]
pub struct Done {
    /// Calls, and names in directories.
    pub steps: usize,
    /// Bytes read and written.
    pub bytes: usize,
}

#[derive(Clone, Copy)]
enum Node {
    File(u64),
    Other(Kind),
}

#[derive(Default)]
struct Content {
    bytes: Vec<u8>,
    mtime_ns: u64,
    links: u64,
    /// Nobody, where nothing else was said.
    writers: Option<Writers>,
    unreadable: bool,
    /// From here on it cannot be read: a bad sector.
    unsound_from: Option<u64>,
    /// Which of all files it is.
    birth: u32,
    born_ns: u64,
}

/// Bytes that a file system keeps, or does not keep, together.
const BLOCK: usize = 4_096;

impl Content {
    /// The end of the whole blocks of zeros from a place on.
    fn hole_end(&self, at: usize) -> usize {
        let rest = self.bytes.get(at..).unwrap_or_default();
        match rest.iter().position(|byte| *byte != 0) {
            Some(zeros) => at.max((at + zeros) / BLOCK * BLOCK),
            None => at.max(self.bytes.len()),
        }
    }
}

impl Fake {
    pub fn new() -> Fake {
        let fake = Fake::default();
        fake.0.borrow_mut().last_inode = 100;
        fake
    }

    /// Sets the time that the next writes leave on their files.
    pub fn at_ms(&self, ms: u64) {
        self.0.borrow_mut().now_ns = ms * 1_000_000;
    }

    /// The time set last.
    pub fn now_ms(&self) -> u64 {
        self.0.borrow().now_ns / 1_000_000
    }

    /// Appends to a file, creating it first if need be. Returns its inode.
    pub fn write(&self, path: &str, bytes: &[u8]) -> u64 {
        let mut disk = self.0.borrow_mut();
        let inode = match disk.names.get(Path::new(path)) {
            Some(Node::File(inode)) => *inode,
            _ => disk.create(Path::new(path)),
        };
        let now_ns = disk.now_ns;
        if let Some(content) = disk.files.get_mut(&inode) {
            content.bytes.extend_from_slice(bytes);
            content.mtime_ns = now_ns;
        }
        inode
    }

    /// Creates a file with an inode of the caller's choice.
    pub fn write_as(&self, path: &str, inode: u64, bytes: &[u8]) {
        let mut disk = self.0.borrow_mut();
        let content = Content {
            bytes: bytes.to_vec(),
            ..disk.newborn()
        };
        disk.files.insert(inode, content);
        disk.name(Path::new(path), Node::File(inode));
    }

    /// Appends to a file by its inode, as a writer does that did not notice a rotation.
    pub fn write_inode(&self, inode: u64, bytes: &[u8]) {
        let mut disk = self.0.borrow_mut();
        let now_ns = disk.now_ns;
        let content = disk.files.get_mut(&inode).unwrap();
        content.bytes.extend_from_slice(bytes);
        content.mtime_ns = now_ns;
    }

    /// Says who has the file open for writing.
    pub fn set_writers(&self, inode: u64, writers: Writers) {
        self.0.borrow_mut().files.get_mut(&inode).unwrap().writers = Some(writers);
    }

    /// Whether a file with this inode exists, under whatever name or none.
    pub fn has_inode(&self, inode: u64) -> bool {
        self.0.borrow().files.contains_key(&inode)
    }

    /// Inodes of files that have no name any more.
    pub fn free_inodes(&self) -> Vec<u64> {
        let disk = self.0.borrow();
        let free = disk.files.iter().filter(|(_, content)| content.links == 0);
        free.map(|(inode, _)| *inode).collect()
    }

    /// Lets a file without a name vanish, as a file system does once nobody has it open.
    pub fn forget(&self, inode: u64) {
        self.0.borrow_mut().files.remove(&inode);
    }

    /// The inode of the file that a path leads to.
    pub fn inode_of(&self, path: &str) -> u64 {
        match self.0.borrow().names.get(Path::new(path)) {
            Some(Node::File(inode)) => *inode,
            _ => panic!("{path} is not there"),
        }
    }

    /// Puts something that is no regular file at a path.
    pub fn put_other(&self, path: &str, kind: Kind) {
        let mut disk = self.0.borrow_mut();
        disk.name(Path::new(path), Node::Other(kind));
    }

    pub fn rename_now(&self, from: &str, to: &str) {
        self.0
            .borrow_mut()
            .rename(Path::new(from), Path::new(to))
            .unwrap();
    }

    pub fn remove(&self, path: &str) {
        self.0.borrow_mut().unlink(Path::new(path)).unwrap();
    }

    pub fn truncate_to(&self, path: &str, size: usize) {
        let mut disk = self.0.borrow_mut();
        let Some(Node::File(inode)) = disk.names.get(Path::new(path)).copied() else {
            panic!("{path} is not there");
        };
        let now_ns = disk.now_ns;
        let content = disk.files.get_mut(&inode).unwrap();
        content.bytes.truncate(size);
        content.mtime_ns = now_ns;
    }

    pub fn read(&self, path: &str) -> Option<Vec<u8>> {
        let disk = self.0.borrow();
        match disk.names.get(Path::new(path))? {
            Node::File(inode) => Some(disk.files.get(inode)?.bytes.clone()),
            Node::Other(_) => None,
        }
    }

    pub fn exists(&self, path: &str) -> bool {
        self.0.borrow().names.contains_key(Path::new(path))
    }

    /// All names, in order.
    pub fn names(&self) -> Vec<String> {
        self.0
            .borrow()
            .names
            .keys()
            .map(|path| path.display().to_string())
            .collect()
    }

    /// Calls of the write side so far.
    pub fn calls(&self) -> u32 {
        self.0.borrow().calls
    }

    /// Lets the `nth` call of the write side from now fail with this error number.
    pub fn fail_call(&self, nth: u32, errno: i32) {
        let mut disk = self.0.borrow_mut();
        let call = disk.calls + nth;
        disk.failures.insert(call, errno);
    }

    /// Lets every call from the `nth` from now fail, as if the process had been killed before it.
    pub fn die_at_call(&self, nth: u32) {
        let mut disk = self.0.borrow_mut();
        disk.dead_from = Some(disk.calls + nth);
    }

    /// A new process on the same disk.
    pub fn revive(&self) {
        let mut disk = self.0.borrow_mut();
        disk.dead_from = None;
        disk.failures.clear();
    }

    /// Lets something happen at the `nth` call of the read side from now, before it.
    pub fn at_look(&self, nth: u32, act: impl FnOnce(&Fake) + 'static) {
        self.0.borrow_mut().intruder = Some((nth, Box::new(act)));
    }

    /// Whether it has not happened yet.
    pub fn expects_intruder(&self) -> bool {
        self.0.borrow().intruder.is_some()
    }

    /// Lets it happen no more. Tells whether it has not happened yet.
    pub fn forget_intruder(&self) -> bool {
        self.0.borrow_mut().intruder.take().is_some()
    }

    /// Calls so far that made something durable.
    pub fn syncs(&self) -> u32 {
        self.0.borrow().syncs
    }

    /// Begins to count them anew.
    pub fn forget_syncs(&self) {
        self.0.borrow_mut().syncs = 0;
    }

    /// All bytes that were written over others in a file, in the order in which they came.
    pub fn overwritten(&self, path: &str) -> Vec<u8> {
        let inode = self.inode_of(path);
        let disk = self.0.borrow();
        disk.overwritten.get(&inode).cloned().unwrap_or_default()
    }

    /// The machine starts anew.
    pub fn reboot(&self) {
        self.0.borrow_mut().boot += 1;
    }

    /// Replaces what a file holds, keeping its inode.
    pub fn rewrite(&self, path: &str, bytes: &[u8]) {
        self.truncate_to(path, 0);
        self.write(path, bytes);
    }

    /// Limits the bytes that can still be written; `None` lifts that.
    pub fn set_room(&self, room: Option<usize>) {
        self.0.borrow_mut().room = room;
    }

    /// Tells how many bytes fit on it in all, of which those that can still be written are free.
    pub fn set_total(&self, total: u64) {
        self.0.borrow_mut().total = Some(total);
    }

    /// Tells of so many files that there may still be, of so many, and that they run out first.
    pub fn set_files(&self, free: u64, total: u64) {
        self.0.borrow_mut().places = Some((free, total));
    }

    /// How often somebody looked at the room.
    pub fn looks(&self) -> u32 {
        self.0.borrow().looks
    }

    pub fn lock_elsewhere(&self, inode: u64) {
        self.0.borrow_mut().locked_elsewhere.insert(inode);
    }

    /// Makes the one-step rename to a new name unsupported.
    pub fn forbid_rename_new(&self) {
        self.0.borrow_mut().no_rename_new = true;
    }

    /// Makes second names unsupported as well, as a file system without hard links.
    pub fn forbid_link(&self) {
        self.forbid_rename_new();
        self.0.borrow_mut().no_link = true;
    }

    /// Tells from now on where blocks of zeros are, as a file system that does not keep them.
    pub fn tell_holes(&self) {
        self.0.borrow_mut().has_holes = true;
    }

    /// What the read side was asked for since the last time.
    pub fn take_done(&self) -> Done {
        std::mem::take(&mut self.0.borrow_mut().done)
    }

    fn step(&self, bytes: usize) {
        let intruder = {
            let mut disk = self.0.borrow_mut();
            disk.done.steps += 1;
            disk.done.bytes += bytes;
            if let Some((calls, _)) = &mut disk.intruder {
                *calls -= 1;
            }
            disk.intruder.take_if(|(calls, _)| *calls == 0)
        };
        if let Some((_, act)) = intruder {
            act(self);
        }
    }

    /// Counts a call of the write side, which fails if that was asked for.
    fn call(&self) -> io::Result<()> {
        let mut disk = self.0.borrow_mut();
        disk.calls += 1;
        let call = disk.calls;
        if disk.dead_from.is_some_and(|from| call >= from) {
            return Err(io::Error::other("the process is dead"));
        }
        match disk.failures.remove(&call) {
            Some(errno) => Err(io::Error::from_raw_os_error(errno)),
            None => Ok(()),
        }
    }

    fn stat_inode(&self, inode: u64) -> io::Result<Stat> {
        let disk = self.0.borrow();
        let content = disk.files.get(&inode).ok_or(io::ErrorKind::NotFound)?;
        Ok(Stat {
            id: id_of(inode),
            size: content.bytes.len() as u64,
            mtime_ns: content.mtime_ns,
            links: content.links as u32,
            kind: Kind::Regular,
        })
    }

    fn stat_name(&self, path: &Path) -> io::Result<Stat> {
        let node = self.0.borrow().node(path);
        match node.ok_or(io::ErrorKind::NotFound)? {
            Node::File(inode) => self.stat_inode(inode),
            Node::Other(kind) => Ok(stat_of_other(kind)),
        }
    }

    fn read_inode(&self, inode: u64, buf: &mut [u8], offset: u64) -> usize {
        let disk = self.0.borrow();
        let bytes = disk
            .files
            .get(&inode)
            .map_or(&[][..], |content| &content.bytes);
        let rest = bytes.get(offset as usize..).unwrap_or_default();
        let len = rest.len().min(buf.len());
        buf[..len].copy_from_slice(&rest[..len]);
        len
    }
}

/// Adds to a trail what happened to a name: the trail, the name that it is about, and that to which
/// it happened.
type Told<'a> = dyn FnMut(&mut Trail, &[u8], &[u8]) + 'a;

/// What is no regular file.
fn stat_of_other(kind: Kind) -> Stat {
    Stat {
        id: FileId {
            device: 1,
            inode: Inode(1),
        },
        size: 0,
        mtime_ns: 0,
        links: 1,
        kind,
    }
}

impl Disk {
    fn newborn(&mut self) -> Content {
        self.births += 1;
        Content {
            mtime_ns: self.now_ns,
            links: 1,
            birth: self.births,
            born_ns: self.now_ns,
            ..Content::default()
        }
    }

    fn name(&mut self, path: &Path, node: Node) {
        self.names.insert(path.into(), node);
        self.tell(path, &mut |trail, live, name| trail.arrived(live, name, 0));
    }

    /// Lets those who listen to a name in the same directory know of this one.
    fn tell(&mut self, path: &Path, each: &mut Told<'_>) {
        self.told += 1;
        let name = path.file_name().unwrap_or_default().as_bytes();
        for (live, trail) in &mut self.trails {
            if live.parent() == path.parent() {
                let live = live.file_name().unwrap_or_default().as_bytes();
                each(trail, live, name);
            }
        }
    }

    fn birth(&self, inode: u64) -> Birth {
        match self.files.get(&inode) {
            Some(content) if !self.hides_births => Birth {
                born: Born::Handle(content.birth),
                at_ns: Some(content.born_ns),
            },
            _ => Birth::default(),
        }
    }

    fn create(&mut self, path: &Path) -> u64 {
        self.last_inode += 1;
        let content = self.newborn();
        self.files.insert(self.last_inode, content);
        self.name(path, Node::File(self.last_inode));
        self.last_inode
    }

    fn unlink(&mut self, path: &Path) -> io::Result<()> {
        let node = self.names.remove(path).ok_or(io::ErrorKind::NotFound)?;
        self.tell(path, &mut |trail, live, name| trail.departed(live, name, 0));
        self.forget_link(node);
        Ok(())
    }

    fn forget_link(&mut self, node: Node) {
        if let Node::File(inode) = node
            && let Some(content) = self.files.get_mut(&inode)
        {
            content.links -= 1;
        }
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let node = *self.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        // That something is overwritten is not told.
        if let Some(before) = self.names.remove(to) {
            self.forget_link(before);
        }
        self.names.remove(from);
        self.names.insert(to.into(), node);
        self.moves += 1;
        let cookie = self.moves;
        self.tell(from, &mut |trail, live, name| {
            trail.departed(live, name, cookie)
        });
        self.tell(to, &mut |trail, live, name| {
            trail.arrived(live, name, cookie)
        });
        Ok(())
    }
}

impl ReadStore for Fake {
    type File = Handle;

    fn open(&self, path: &Path) -> io::Result<Handle> {
        self.step(0);
        if let Some(veil) = self.veil_of(path) {
            return Err(veil.error());
        }
        let disk = self.0.borrow();
        let is_unreadable = |inode| disk.files.get(inode).is_some_and(|file| file.unreadable);
        match disk.node(path) {
            Some(Node::File(inode)) if is_unreadable(&inode) => {
                Err(io::ErrorKind::PermissionDenied.into())
            }
            Some(Node::File(inode)) => Ok(Handle(inode)),
            Some(Node::Other(_)) => Err(io::ErrorKind::PermissionDenied.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn stat(&self, file: &Handle) -> io::Result<Stat> {
        self.step(0);
        let mut stat = self.stat_inode(file.0)?;
        if self.0.borrow().disguised.contains(&file.0) {
            stat.id.inode = Inode(u64::MAX - file.0);
        }
        Ok(stat)
    }

    fn stat_path(&self, path: &Path) -> io::Result<Stat> {
        self.step(0);
        match self.veil_of(path) {
            Some(Veil::Kind(kind)) => Ok(stat_of_other(kind)),
            Some(Veil::Error(errno)) => Err(io::Error::from_raw_os_error(errno)),
            None => self.stat_name(path),
        }
    }

    fn held_paths(&self, log: &Path) -> Vec<PathBuf> {
        self.paths_of_held(log)
    }

    fn birth(&self, path: &Path, _: u64) -> Birth {
        self.step(0);
        let disk = self.0.borrow();
        match disk.node(path) {
            Some(Node::File(inode)) => disk.birth(inode),
            _ => Birth::default(),
        }
    }

    fn birth_of(&self, file: &Handle, _: u64) -> Birth {
        self.step(0);
        self.0.borrow().birth(file.0)
    }

    fn read_at(&self, file: &Handle, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = match self.0.borrow().hollow.contains(&file.0) {
            true => 0,
            false => self.read_inode(file.0, buf, offset),
        };
        self.step(read);
        match self.is_sound(file.0, offset + read as u64) {
            true => Ok(read),
            false => Err(io::Error::from_raw_os_error(5)),
        }
    }

    fn hole_end(&self, file: &Handle, offset: u64) -> u64 {
        self.step(0);
        let disk = self.0.borrow();
        let content = disk.files.get(&file.0).filter(|_| disk.has_holes);
        content.map_or(offset, |content| content.hole_end(offset as usize) as u64)
    }

    fn writers(&self, file: &Handle) -> Writers {
        self.step(0);
        match self.0.borrow().files.get(&file.0) {
            Some(content) => content.writers.unwrap_or(Writers::Nobody),
            None => Writers::Unknown,
        }
    }

    fn boot(&self) -> u32 {
        self.0.borrow().boot
    }

    fn names(&self, dir: &Path) -> io::Result<Names> {
        if let Some(veil) = self.veil_of(dir) {
            return Err(veil.error());
        }
        let disk = self.0.borrow();
        let inside = disk
            .names
            .keys()
            .filter_map(|path| path.strip_prefix(dir).ok());
        let names = inside.filter_map(|path| path.components().next());
        let mut names: Vec<_> = names.map(|name| name.as_os_str().to_owned()).collect();
        names.dedup();
        let names: Vec<_> = names.into_iter().map(Ok).collect();
        let fake = self.clone();
        Ok(Box::new(names.into_iter().inspect(move |_| fake.step(0))))
    }
}

impl WriteStore for Fake {
    type File = Handle;

    fn open_append(&mut self, path: &Path) -> io::Result<Option<Handle>> {
        self.call()?;
        match ReadStore::open(self, path) {
            Ok(handle) => Ok(Some(handle)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn create_new(&mut self, path: &Path) -> io::Result<Handle> {
        self.call()?;
        if self.exists(&path.display().to_string()) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        Ok(Handle(self.0.borrow_mut().create(path)))
    }

    fn create_scratch(&mut self, path: &Path) -> io::Result<Handle> {
        self.call()?;
        let mut disk = self.0.borrow_mut();
        let inode = match disk.names.get(path).copied() {
            Some(Node::File(inode)) => inode,
            _ => disk.create(path),
        };
        if let Some(content) = disk.files.get_mut(&inode) {
            content.bytes.clear();
        }
        Ok(Handle(inode))
    }

    fn lock(&mut self, file: &Handle) -> io::Result<Option<u32>> {
        self.call()?;
        Ok(self
            .0
            .borrow()
            .locked_elsewhere
            .contains(&file.0)
            .then_some(4711))
    }

    fn stat(&mut self, file: &Handle) -> io::Result<Stat> {
        self.call()?;
        self.stat_inode(file.0)
    }

    fn stat_path(&mut self, path: &Path) -> io::Result<Option<Stat>> {
        self.call()?;
        Ok(self.stat_name(path).ok())
    }

    fn append(&mut self, file: &Handle, bytes: &[u8]) -> io::Result<usize> {
        self.call()?;
        let mut disk = self.0.borrow_mut();
        let len = disk.room.map_or(bytes.len(), |room| room.min(bytes.len()));
        if len == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        disk.room = disk.room.map(|room| room - len);
        disk.done.bytes += len;
        let content = disk.files.get_mut(&file.0).ok_or(io::ErrorKind::NotFound)?;
        content.bytes.extend_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn append_zeros(&mut self, file: &Handle, len: u64) -> io::Result<()> {
        self.call()?;
        let mut disk = self.0.borrow_mut();
        let content = disk.files.get_mut(&file.0).ok_or(io::ErrorKind::NotFound)?;
        let size = content.bytes.len() + len as usize;
        content.bytes.resize(size, 0);
        Ok(())
    }

    fn read_at(&mut self, file: &Handle, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.call()?;
        let read = self.read_inode(file.0, buf, offset);
        self.0.borrow_mut().done.bytes += read;
        Ok(read)
    }

    fn overwrite(&mut self, file: &Handle, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.call()?;
        let mut disk = self.0.borrow_mut();
        disk.done.bytes += bytes.len();
        let content = disk.files.get_mut(&file.0).ok_or(io::ErrorKind::NotFound)?;
        content.bytes[offset as usize..][..bytes.len()].copy_from_slice(bytes);
        let overwritten = disk.overwritten.entry(file.0).or_default();
        overwritten.extend_from_slice(bytes);
        Ok(())
    }

    fn truncate(&mut self, file: &Handle, size: u64) -> io::Result<()> {
        self.call()?;
        let mut disk = self.0.borrow_mut();
        let content = disk.files.get_mut(&file.0).ok_or(io::ErrorKind::NotFound)?;
        content.bytes.truncate(size as usize);
        Ok(())
    }

    fn read_small(&mut self, path: &Path, buf: &mut [u8]) -> io::Result<Option<usize>> {
        self.call()?;
        match ReadStore::open(self, path) {
            Ok(handle) => Ok(Some(self.read_inode(handle.0, buf, 0))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn sync_file(&mut self, _: &Handle) -> io::Result<()> {
        self.0.borrow_mut().syncs += 1;
        self.call()
    }

    fn sync_dir(&mut self, _: &Path) -> io::Result<()> {
        self.0.borrow_mut().syncs += 1;
        self.call()
    }

    fn sync_all(&mut self, _: &Path) -> io::Result<()> {
        self.0.borrow_mut().syncs += 1;
        let result = self.call();
        // Nobody hears of what befalls a dead process.
        let has_failed = matches!(&result, Err(error) if error.raw_os_error().is_some());
        self.0.borrow_mut().failed_syncs += u32::from(has_failed);
        result
    }

    fn failed_syncs(&mut self, _: &Path) -> u32 {
        self.0.borrow().failed_syncs
    }

    fn room(&mut self, _: &Path) -> io::Result<Room> {
        self.call()?;
        let mut disk = self.0.borrow_mut();
        disk.looks += 1;
        let free = disk.room.map_or(u64::MAX, |room| room as u64);
        let total = disk.total.unwrap_or(0);
        let files = disk.places;
        let Some((free_files, of)) = files else {
            return Ok(Room { free, total, files });
        };
        let free = total / of * free_files;
        Ok(Room { free, total, files })
    }

    fn list(&mut self, dir: &Path) -> io::Result<Names> {
        self.call()?;
        ReadStore::names(self, dir)
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.call()?;
        self.0.borrow_mut().rename(from, to)
    }

    fn rename_new(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.call()?;
        let mut disk = self.0.borrow_mut();
        if disk.no_rename_new {
            return Err(io::ErrorKind::Unsupported.into());
        }
        if disk.names.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        disk.rename(from, to)
    }

    fn link(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.call()?;
        let mut disk = self.0.borrow_mut();
        if disk.no_link {
            // link(2): EPERM.
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        if disk.names.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let node = *disk.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        if let Node::File(inode) = node
            && let Some(content) = disk.files.get_mut(&inode)
        {
            content.links += 1;
        }
        disk.names.insert(to.into(), node);
        Ok(())
    }

    fn unlink(&mut self, path: &Path) -> io::Result<()> {
        self.call()?;
        self.0.borrow_mut().unlink(path)
    }
}
