//! What few worlds do to files: other devices and inodes, files that are allocated ahead, times
//! that are set, permissions that are taken.

use std::io;
use std::path::Path;

use super::Fake;
use crate::ids::{FileId, Inode};
use crate::limits::LISTENS_MAX;
use crate::serve::find::journal::Journal;
use crate::serve::find::journal::arrivals::Trail;
use crate::store::{Kind, ReadStore};

/// Inodes of other devices than the first are numbered from here on, device by device.
const DEVICE_SHIFT: u32 = 40;

/// What a file with this inode on this device is called here, where one number says both.
pub fn on_device(device: u64, inode: u64) -> u64 {
    (device - 1) << DEVICE_SHIFT | inode
}

/// Device and inode of a file that is called so here.
pub(super) fn id_of(number: u64) -> FileId {
    FileId {
        device: 1 + (number >> DEVICE_SHIFT),
        inode: Inode(number & ((1 << DEVICE_SHIFT) - 1)),
    }
}

/// What the read side sees in place of a file or directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Veil {
    /// Something that is no regular file.
    Kind(Kind),
    /// Nothing, for this reason.
    Error(i32),
}

impl Veil {
    /// Why it cannot be opened.
    pub(super) fn error(self) -> io::Error {
        match self {
            Veil::Kind(_) => io::ErrorKind::PermissionDenied.into(),
            Veil::Error(errno) => io::Error::from_raw_os_error(errno),
        }
    }
}

/// Lets a journal hear what the kernel told of a log, and look.
pub fn hear<S: ReadStore>(trail: &Trail, index: u32, path: &Path, journal: &Journal, store: &S) {
    let arrivals = trail.arrivals(path, store);
    journal.note_arrivals(index, &arrivals, trail.is_vacant());
    assert!(journal.look(index, path, store), "behind at once");
}

impl Fake {
    /// Writes at a place of a file that is allocated ahead: it reaches on in zeros up to the next
    /// multiple of `chunk`.
    pub fn write_ahead(&self, inode: u64, at: usize, bytes: &[u8], chunk: usize) {
        let mut disk = self.0.borrow_mut();
        let now_ns = disk.now_ns;
        let content = disk.files.get_mut(&inode).unwrap();
        let end = at + bytes.len();
        let size = (end / chunk + 1) * chunk;
        content.bytes.resize(size.max(content.bytes.len()), 0);
        content.bytes[at..end].copy_from_slice(bytes);
        content.mtime_ns = now_ns;
    }

    /// Writes at a place of a file, which becomes as long as that takes.
    pub fn write_at(&self, inode: u64, at: usize, bytes: &[u8]) {
        let mut disk = self.0.borrow_mut();
        let now_ns = disk.now_ns;
        let content = disk.files.get_mut(&inode).unwrap();
        let end = at + bytes.len();
        content.bytes.resize(end.max(content.bytes.len()), 0);
        content.bytes[at..end].copy_from_slice(bytes);
        content.mtime_ns = now_ns;
    }

    /// The last write of a file, as it says itself.
    pub fn mtime_ns(&self, path: &str) -> u64 {
        let inode = self.inode_of(path);
        self.0.borrow().files[&inode].mtime_ns
    }

    /// Lets a file say that it was written last at this time.
    pub fn set_mtime_ns(&self, path: &str, mtime_ns: u64) {
        let inode = self.inode_of(path);
        let mut disk = self.0.borrow_mut();
        disk.files.get_mut(&inode).unwrap().mtime_ns = mtime_ns;
    }

    /// Lets a file be opened, or not: its permissions are changed.
    pub fn set_readable(&self, path: &str, on: bool) {
        let inode = self.inode_of(path);
        let mut disk = self.0.borrow_mut();
        disk.files.get_mut(&inode).unwrap().unreadable = !on;
    }

    /// What the kernel tells of a name and those beside it since this was asked last; nothing the
    /// first time.
    pub fn take_trail(&self, path: &str) -> Trail {
        let trails = &mut self.0.borrow_mut().trails;
        std::mem::take(trails.entry(path.into()).or_default())
    }

    /// Lets a journal hear what the kernel tells of a log, and look, as the shell does:
    /// `serve/shell/listening.rs`. `is_behind` tells whether the journal asked for it.
    pub fn tell_journal(&self, index: u32, path: &str, journal: &Journal, is_behind: bool) {
        let live = Path::new(path);
        let told = || {
            let disk = self.0.borrow();
            let trail = disk.trails.get(live).cloned().unwrap_or_default();
            (trail, disk.told)
        };
        let (mut trail, mut count) = told();
        let mut arrivals = trail.arrivals(live, self);
        let mut is_quiet = arrivals.is_empty() && !trail.is_vacant();
        for _ in 0..LISTENS_MAX {
            let (next, next_count) = told();
            if is_quiet || next_count == count {
                is_quiet = true;
                break;
            }
            (trail, count) = (next, next_count);
            arrivals = trail.arrivals(live, self);
        }
        let is_told = !arrivals.is_empty() || trail.is_vacant();
        self.take_trail(path);
        match is_told {
            true if is_quiet => journal.note_arrivals(index, &arrivals, trail.is_vacant()),
            false if !is_behind => {}
            _ => journal.lose_sight(index),
        }
        // Where it is behind again, it asks for it again.
        let _ = journal.look(index, live, self);
    }

    /// Nothing is told of the birth of a file from now on.
    pub fn hide_births(&self) {
        self.0.borrow_mut().hides_births = true;
    }

    /// Lets the read side see something else in place of a file, or of a directory and all that is
    /// in it; or what there is again.
    pub fn veil(&self, path: &Path, veil: Option<Veil>) {
        let veils = &mut self.0.borrow_mut().veils;
        match veil {
            Some(veil) => veils.insert(path.into(), veil),
            None => veils.remove(path),
        };
    }

    pub(super) fn veil_of(&self, path: &Path) -> Option<Veil> {
        let disk = self.0.borrow();
        let mut veils = path.ancestors().filter_map(|path| disk.veils.get(path));
        veils.next().copied()
    }

    /// Lets a file have fewer bytes than its size says: none.
    pub fn hollow(&self, inode: u64, on: bool) {
        let hollow = &mut self.0.borrow_mut().hollow;
        match on {
            true => hollow.insert(inode),
            false => hollow.remove(&inode),
        };
    }

    /// Lets a file have no name any more, and yet stand at its path, as where it alone is mounted;
    /// or its name again.
    pub fn unlink_elsewhere(&self, path: &str, on: bool) {
        let inode = self.inode_of(path);
        let mut disk = self.0.borrow_mut();
        disk.files.get_mut(&inode).unwrap().links = u64::from(!on);
    }

    /// Lets a file be read, or not: its sectors are bad.
    pub fn set_sound(&self, path: &str, on: bool) {
        let inode = self.inode_of(path);
        let mut disk = self.0.borrow_mut();
        let unsound_from = (!on).then_some(0);
        disk.files.get_mut(&inode).unwrap().unsound_from = unsound_from;
    }

    /// Lets a file be read so far and no further.
    pub fn set_sound_up_to(&self, path: &str, len: u64) {
        let inode = self.inode_of(path);
        let mut disk = self.0.borrow_mut();
        disk.files.get_mut(&inode).unwrap().unsound_from = Some(len);
    }

    /// Whether so many bytes of a file can be read.
    pub(super) fn is_sound(&self, inode: u64, len: u64) -> bool {
        let disk = self.0.borrow();
        let unsound_from = disk.files.get(&inode).and_then(|file| file.unsound_from);
        unsound_from.is_none_or(|from| len <= from && from > 0)
    }

    /// Lets a file have another inode once it is open, as on a file system made of several; or no
    /// more.
    pub fn disguise(&self, inode: u64, on: bool) {
        let disguised = &mut self.0.borrow_mut().disguised;
        match on {
            true => disguised.insert(inode),
            false => disguised.remove(&inode),
        };
    }
}

#[test]
fn two_devices_number_their_inodes_by_themselves() {
    let (here, there) = (id_of(101), id_of(on_device(2, 101)));
    assert_eq!(on_device(1, 101), 101);
    assert_eq!((here.device, here.inode), (1, Inode(101)));
    assert_eq!((there.device, there.inode), (2, Inode(101)));
}

#[test]
fn what_is_allocated_ahead_is_overwritten() {
    let fake = Fake::new();
    let inode = fake.write("/v/m", b"");
    fake.write_ahead(inode, 0, b"ab", 4);
    assert_eq!(fake.read("/v/m"), Some(b"ab\0\0".to_vec()));
    fake.write_ahead(inode, 2, b"cd", 4);
    assert_eq!(fake.read("/v/m"), Some(b"abcd\0\0\0\0".to_vec()));
}
