//! The two traits.

use std::io;
use std::path::Path;

use super::call::{Call, Op, Verdict};
use super::content::Content;
use super::disk::{Disk, Key, Node};
use super::{Handle, Model, Shared};
use crate::store::{Names, ReadStore, Room, Stat, WriteStore, Writers};

impl ReadStore for Model {
    type File = Handle;

    fn open(&self, path: &Path) -> io::Result<Handle> {
        let key = self.shared.borrow().to_open(path)?;
        Ok(self.handle(path, key.ok_or(io::ErrorKind::NotFound)?))
    }

    fn stat(&self, file: &Handle) -> io::Result<Stat> {
        let shared = self.shared.borrow();
        shared.living(file)?;
        shared.disk.stat_file(file.key)
    }

    fn stat_path(&self, path: &Path) -> io::Result<Stat> {
        self.disk().stat(path)
    }

    fn read_at(&self, file: &Handle, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let shared = self.shared.borrow();
        shared.living(file)?;
        Ok(shared.disk.read_at(file.key, buf, offset))
    }

    fn hole_end(&self, _: &Handle, offset: u64) -> u64 {
        offset
    }

    fn writers(&self, file: &Handle) -> Writers {
        match self.disk().file(file.key).map(|content| content.writers) {
            Some(0) => Writers::Nobody,
            Some(_) => Writers::Somebody,
            None => Writers::Unknown,
        }
    }

    fn boot(&self) -> u32 {
        self.disk().boot()
    }

    fn names(&self, dir: &Path) -> io::Result<Names> {
        let disk = self.disk();
        let inside = disk.names().filter(|path| path.parent() == Some(dir));
        let names = inside.filter_map(|path| path.file_name());
        let names: Vec<_> = names.map(|name| Ok(name.to_owned())).collect();
        Ok(Box::new(names.into_iter()))
    }
}

impl WriteStore for Model {
    type File = Handle;

    fn open_append(&mut self, path: &Path) -> io::Result<Option<Handle>> {
        self.call(Op::OpenAppend, path)?;
        self.refuse_locked(path)?;
        let key = self.shared.borrow().to_open(path)?;
        Ok(key.map(|key| self.handle(path, key)))
    }

    fn create_new(&mut self, path: &Path) -> io::Result<Handle> {
        self.call(Op::CreateNew, path)?;
        let mut shared = self.shared.borrow_mut();
        shared.refuse_taken(path)?;
        let key = shared.create(path, None);
        drop(shared);
        Ok(self.handle(path, key))
    }

    fn create_scratch(&mut self, path: &Path) -> io::Result<Handle> {
        self.call(Op::CreateScratch, path)?;
        self.refuse_locked(path)?;
        let mut shared = self.shared.borrow_mut();
        let mut found = shared.to_open(path)?;
        let has_others = |key: Key| shared.disk.file(key).is_some_and(|file| file.links > 1);
        if found.is_some_and(has_others) {
            shared.unlink(path)?;
            found = None;
        }
        let key = found.unwrap_or_else(|| shared.create(path, None));
        shared.truncate(key, 0);
        drop(shared);
        Ok(self.handle(path, key))
    }

    fn lock(&mut self, file: &Handle) -> io::Result<Option<u32>> {
        self.call_on(Op::Lock, file)?;
        let mut shared = self.shared.borrow_mut();
        let own = (self.pid, Some(file.id));
        let holder = shared.locks.get(&file.key).map(|(pid, _)| *pid);
        if holder.is_none_or(|pid| pid == self.pid) {
            shared.locks.insert(file.key, own);
            return Ok(None);
        }
        Ok(holder)
    }

    fn stat(&mut self, file: &Handle) -> io::Result<Stat> {
        self.call_on(Op::Stat, file)?;
        self.disk().stat_file(file.key)
    }

    fn stat_path(&mut self, path: &Path) -> io::Result<Option<Stat>> {
        self.call(Op::StatPath, path)?;
        Ok(self.disk().stat(path).ok())
    }

    fn append(&mut self, file: &Handle, bytes: &[u8]) -> io::Result<usize> {
        let verdict = self.call_on(Op::Append, file)?;
        let mut shared = self.shared.borrow_mut();
        let len = match verdict {
            Verdict::Short(most) => bytes.len().min(most),
            _ => bytes.len(),
        };
        shared.moved.written += len as u64;
        shared.append(file.key, &bytes[..len]);
        Ok(len)
    }

    fn append_zeros(&mut self, file: &Handle, len: u64) -> io::Result<()> {
        self.call_on(Op::AppendZeros, file)?;
        let mut shared = self.shared.borrow_mut();
        shared.append(file.key, &vec![0; len as usize]);
        Ok(())
    }

    fn read_at(&mut self, file: &Handle, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.call_on(Op::ReadAt, file)?;
        let len = self.disk().read_at(file.key, buf, offset);
        self.shared.borrow_mut().moved.read += len as u64;
        Ok(len)
    }

    fn overwrite(&mut self, file: &Handle, bytes: &[u8], offset: u64) -> io::Result<()> {
        if self.call_on(Op::Overwrite, file)? != Verdict::Swallow {
            let mut shared = self.shared.borrow_mut();
            shared.moved.written += bytes.len() as u64;
            if let Some(content) = shared.disk.file_mut(file.key) {
                content.overwrite(offset as usize, bytes);
            }
        }
        Ok(())
    }

    fn truncate(&mut self, file: &Handle, size: u64) -> io::Result<()> {
        if self.call_on(Op::Truncate, file)? != Verdict::Swallow {
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            self.shared.borrow_mut().truncate(file.key, size);
        }
        Ok(())
    }

    fn read_small(&mut self, path: &Path, buf: &mut [u8]) -> io::Result<Option<usize>> {
        self.call(Op::ReadSmall, path)?;
        self.refuse_locked(path)?;
        let mut shared = self.shared.borrow_mut();
        let key = shared.to_open(path)?;
        let len = key.map(|key| shared.disk.read_at(key, buf, 0));
        shared.moved.read += len.unwrap_or(0) as u64;
        Ok(len)
    }

    fn sync_file(&mut self, file: &Handle) -> io::Result<()> {
        let verdict = self.call_on(Op::SyncFile, file);
        let mut shared = self.shared.borrow_mut();
        if let Some(content) = shared.disk.file_mut(file.key) {
            match &verdict {
                Err(_) => content.spoil(),
                Ok(Verdict::Swallow) => {}
                Ok(_) => content.sync(),
            }
        }
        verdict.map(drop)
    }

    fn sync_dir(&mut self, dir: &Path) -> io::Result<()> {
        if self.call(Op::SyncDir, dir)? != Verdict::Swallow {
            self.shared.borrow_mut().disk.sync_dir(dir);
        }
        Ok(())
    }

    fn sync_all(&mut self, dir: &Path) -> io::Result<()> {
        let device = self.disk().device_at(dir);
        let shared = self.shared.borrow();
        let synced = shared.synced.as_ref();
        match synced.and_then(|synced| synced.get(&device)) {
            Some(Some(errno)) => return Err(io::Error::from_raw_os_error(*errno)),
            Some(None) => return Ok(()),
            None => drop(shared),
        }
        let verdict = self.call(Op::SyncAll, dir);
        let mut shared = self.shared.borrow_mut();
        if let Some(synced) = &mut shared.synced {
            let errno = verdict.as_ref().err().map(io::Error::raw_os_error);
            synced.insert(device, errno.flatten());
        }
        if verdict.is_err() {
            *shared.failed_syncs.entry(device).or_default() += 1;
        }
        let disk = &mut shared.disk;
        match &verdict {
            Err(_) => disk.spoil_device(dir),
            Ok(Verdict::Swallow) => {}
            Ok(_) => disk.sync_device(dir),
        }
        verdict.map(drop)
    }

    fn failed_syncs(&mut self, dir: &Path) -> u32 {
        let device = self.disk().device_at(dir);
        let shared = self.shared.borrow();
        shared.failed_syncs.get(&device).copied().unwrap_or(0)
    }

    fn room(&mut self, _: &Path) -> io::Result<Room> {
        let (free, total) = (u64::MAX, 0);
        Ok(Room {
            free,
            total,
            files: None,
        })
    }

    fn list(&mut self, dir: &Path) -> io::Result<Names> {
        ReadStore::names(self, dir)
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        if self.call_to(Op::Rename, from, to)? != Verdict::Swallow {
            self.shared.borrow_mut().rename(from, to)?;
        }
        Ok(())
    }

    fn rename_new(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let verdict = self.call_to(Op::RenameNew, from, to)?;
        let mut shared = self.shared.borrow_mut();
        if shared.no_rename_new {
            return Err(io::ErrorKind::Unsupported.into());
        }
        shared.refuse_taken(to)?;
        match verdict {
            Verdict::Swallow => Ok(()),
            _ => shared.rename(from, to),
        }
    }

    fn link(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        if self.call_to(Op::Link, from, to)? != Verdict::Swallow {
            self.shared.borrow_mut().disk.link(from, to)?;
        }
        Ok(())
    }

    fn unlink(&mut self, path: &Path) -> io::Result<()> {
        if self.call(Op::Unlink, path)? != Verdict::Swallow {
            self.shared.borrow_mut().unlink(path)?;
        }
        Ok(())
    }
}

impl Model {
    fn call(&self, op: Op, path: &Path) -> io::Result<Verdict> {
        self.decide(op, path, None)
    }

    fn call_to(&self, op: Op, path: &Path, to: &Path) -> io::Result<Verdict> {
        self.decide(op, path, Some(to))
    }

    fn call_on(&self, op: Op, file: &Handle) -> io::Result<Verdict> {
        self.shared.borrow().living(file)?;
        self.decide(op, &file.path, None)
    }

    /// Counts a call of the write side and finds out what becomes of it.
    fn decide(&self, op: Op, path: &Path, to: Option<&Path>) -> io::Result<Verdict> {
        let mut shared = self.shared.borrow_mut();
        let number = shared.calls;
        shared.calls += 1;
        let verdict = shared.hook.as_ref().map(|hook| {
            let call = Call {
                op,
                path,
                to,
                number,
            };
            hook(&call, &shared.disk)
        });
        if let Some(errno) = shared.failures.remove(&(number + 1)) {
            return Err(io::Error::from_raw_os_error(errno));
        }
        match verdict {
            Some(Verdict::Fail(errno)) => Err(io::Error::from_raw_os_error(errno)),
            verdict => Ok(verdict.unwrap_or(Verdict::Make)),
        }
    }

    /// Refuses a path that leads to a file this process has locked: the lock would end with the
    /// second handle.
    fn refuse_locked(&self, path: &Path) -> io::Result<()> {
        let shared = self.shared.borrow();
        let holder = (shared.disk.file_at(path)).and_then(|(key, _)| shared.locks.get(&key));
        match holder {
            Some((pid, _)) if *pid == self.pid => Err(io::ErrorKind::ResourceBusy.into()),
            _ => Ok(()),
        }
    }
}

impl Shared {
    fn living(&self, file: &Handle) -> io::Result<()> {
        match self.handles.contains_key(&file.id) {
            true => Ok(()),
            false => Err(io::Error::other("the process was killed")),
        }
    }

    fn to_open(&self, path: &Path) -> io::Result<Option<Key>> {
        match self.disk.node(path) {
            Some(Node::File(key)) => Ok(Some(key)),
            Some(Node::Other(_)) => Err(io::ErrorKind::PermissionDenied.into()),
            None => Ok(None),
        }
    }

    fn refuse_taken(&self, path: &Path) -> io::Result<()> {
        match self.disk.node(path) {
            Some(_) => Err(io::ErrorKind::AlreadyExists.into()),
            None => Ok(()),
        }
    }

    fn truncate(&mut self, key: Key, size: usize) {
        let now_ns = self.now_ns;
        if let Some(content) = self.disk.file_mut(key) {
            content.truncate(size);
            content.mtime_ns = now_ns;
        }
    }
}

impl Disk {
    fn read_at(&self, key: Key, buf: &mut [u8], offset: u64) -> usize {
        let bytes = self.file(key).map_or(&[][..], Content::bytes);
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = bytes.get(start..).unwrap_or_default();
        let len = rest.len().min(buf.len());
        buf[..len].copy_from_slice(&rest[..len]);
        len
    }
}
