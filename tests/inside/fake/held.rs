//! Files that are held open, so that they outlive their names.

use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::tamper::id_of;
use super::{Disk, Fake, Handle, Node};
use crate::ids::FileId;
use crate::store::{HoldStore, Nameless, Room};

/// What is held.
pub(super) struct Hold {
    /// The log that it is of.
    log: PathBuf,
    /// Where it was found last.
    path: PathBuf,
    inode: u64,
}

/// What no path of a file begins with.
const BEHIND: &[u8] = b"/\0";

impl Hold {
    /// Where it is found once it has no name any more, with the same last component.
    fn path_behind(&self) -> PathBuf {
        let number = self.inode.to_string();
        let path = self.path.as_os_str().as_bytes();
        let bytes = [BEHIND, number.as_bytes(), path].concat();
        std::ffi::OsString::from_vec(bytes).into()
    }
}

impl Disk {
    /// What a path leads to, be it the name of a file or where one is found that has none any more.
    pub(super) fn node(&self, path: &Path) -> Option<Node> {
        let named = self.names.get(path).copied();
        named.or_else(|| {
            let hold = self.held.iter().find(|hold| hold.path_behind() == path);
            hold.map(|hold| Node::File(hold.inode))
        })
    }

    fn has_name(&self, inode: u64) -> bool {
        self.files.get(&inode).is_some_and(|file| file.links > 0)
    }
}

impl Fake {
    /// Where those of a log are found that have no name any more.
    pub(super) fn paths_of_held(&self, log: &Path) -> Vec<PathBuf> {
        let disk = self.0.borrow();
        let of_log = disk.held.iter().filter(|hold| hold.log == log);
        let nameless = of_log.filter(|hold| !disk.has_name(hold.inode));
        nameless.map(Hold::path_behind).collect()
    }

    /// The process that holds them is gone.
    pub fn let_all_go(&self) {
        self.0.borrow_mut().held.clear();
    }

    /// How many files are held.
    pub fn held_count(&self) -> usize {
        self.0.borrow().held.len()
    }
}

impl HoldStore for Fake {
    fn hold(&self, log: &Path, path: &Path, _: FileId, file: Handle) {
        self.0.borrow_mut().held.push(Hold {
            log: log.into(),
            path: path.into(),
            inode: file.0,
        });
    }

    fn is_held(&self, log: &Path, path: &Path, id: FileId) -> bool {
        let mut disk = self.0.borrow_mut();
        let is_it = |hold: &&mut Hold| hold.log == log && id_of(hold.inode) == id;
        let Some(hold) = disk.held.iter_mut().find(is_it) else {
            return false;
        };
        if !path.as_os_str().as_bytes().starts_with(BEHIND) {
            hold.path = path.into();
        }
        true
    }

    fn hold_only(&self, log: &Path, is_held: &dyn Fn(FileId) -> bool) {
        let mut disk = self.0.borrow_mut();
        disk.held
            .retain(|hold| hold.log != log || is_held(id_of(hold.inode)));
    }

    fn nameless(&self) -> Vec<Nameless> {
        let disk = self.0.borrow();
        let nameless = disk.held.iter().filter(|hold| !disk.has_name(hold.inode));
        let told = nameless.filter_map(|hold| {
            let file = disk.files.get(&hold.inode)?;
            Some(Nameless {
                path: hold.path.clone(),
                id: id_of(hold.inode),
                size: file.bytes.len() as u64,
                mtime_ns: file.mtime_ns,
            })
        });
        told.collect()
    }

    fn room_at(&self, _: &Path) -> io::Result<Room> {
        let disk = self.0.borrow();
        Ok(Room {
            free: disk.room.map_or(u64::MAX, |room| room as u64),
            total: disk.total.unwrap_or(0),
            files: None,
        })
    }
}
