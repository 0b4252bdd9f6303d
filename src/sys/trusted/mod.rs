//! Files below directories that others may write to.
//!
//! Whoever may write to a directory of a path can put a link in place of the next one, and have
//! root read or write any file. So a directory that is a link is followed only where root or we own
//! the link, as Linux has it for sticky directories: proc_sys_fs(5), `protected_symlinks`. What has
//! a second name may be anybody's file as well, put there by whoever may write to the directory:
//! see [`Untrusted::SecondName`].

use std::cell::RefCell;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{error, fmt};

use super::platform::open_without_links;
use super::{again, c_path, cvt};

pub use place::Place;
pub use place::make_dirs;

mod place;

/// Why something is neither read nor written. It travels inside an [`io::Error`].
#[derive(Clone, PartialEq, Eq)]
pub enum Untrusted {
    /// This directory is a link, which belongs to this user.
    Link(PathBuf, u32),
    /// This file has another name somewhere. Its directory belongs to somebody who is neither root,
    /// nor we, nor the file's owner, or such a one may write to it.
    SecondName(PathBuf),
}

impl Untrusted {
    /// What an error says of this, if it does.
    pub fn of(error: &io::Error) -> Option<&Untrusted> {
        error.get_ref()?.downcast_ref()
    }
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Untrusted::Link(path, uid) => write!(
                f,
                "{} is a link of user {uid}, which could lead to anybody's files: it is not followed; if it is right, chown -h root makes it trusted",
                path.display()
            ),
            Untrusted::SecondName(path) => write!(
                f,
                "{} has a second name, and others than its owner may write to its directory: it may be anybody's file and is left alone",
                path.display()
            ),
        }
    }
}

/// The text: how developers are shown paths is larger than all of this.
impl fmt::Debug for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl error::Error for Untrusted {}

/// Opens a file for reading, waiting for nobody and following no link in the last component.
pub fn open(path: &Path) -> io::Result<File> {
    if let Some(opened) = open_alone(path) {
        return opened;
    }
    Place::of(path)?.open(READ, 0)
}

/// Opens files as [`open`] does, with fewer system calls where there is a link on the way to many
/// of one directory, as from /var to /tmp.
#[derive(Debug, Default)]
pub struct Opener {
    /// A directory, and a path without links that led there.
    last: RefCell<(PathBuf, PathBuf)>,
}

impl Opener {
    /// See [`open`].
    pub fn open(&self, path: &Path) -> io::Result<File> {
        match self.open_quickly(path, open_alone) {
            Some(opened) => opened,
            None => self.place_of(path)?.open(READ, 0),
        }
    }

    /// What is at a path, where that is reached as [`open`] reaches it. Of a link it is the link's
    /// own.
    pub fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        match self.open_quickly(path, place_alone) {
            Some(opened) => opened?.metadata(),
            None => self.place_of(path)?.metadata(),
        }
    }

    fn open_quickly(&self, path: &Path, open: OpenAlone) -> Option<io::Result<File>> {
        match self.open_as_before(path, open) {
            Some(file) => Some(Ok(file)),
            None => open(path),
        }
    }

    fn place_of(&self, path: &Path) -> io::Result<Place> {
        let place = Place::of(path)?;
        let dir = path.parent().unwrap_or(path);
        self.last.replace((dir.into(), place.real_dir().into()));
        Ok(place)
    }

    fn open_as_before(&self, path: &Path, open: OpenAlone) -> Option<File> {
        let last = self.last.borrow();
        if Some(&*last.0) != path.parent() || last.0.as_os_str().is_empty() {
            return None;
        }
        let file = open(&last.1.join(path.file_name()?))?.ok()?;
        // A link may have been turned elsewhere since. Whosever it is, what is open was found
        // without any.
        let (opened, named) = (file.metadata().ok()?, fs::symlink_metadata(path).ok()?);
        let is_it = opened.dev() == named.dev() && opened.ino() == named.ino();
        is_it.then_some(file)
    }
}

/// Opens what no link leads to; `None` where it has to be looked at closely.
type OpenAlone = fn(&Path) -> Option<io::Result<File>>;

/// Opens a place to which no link leads, for nothing but to look what it is.
fn place_alone(path: &Path) -> Option<io::Result<File>> {
    open_without_links(&c_path(path).ok()?, PLACE)
}

/// Opens a file to which no link leads and which has one name: one system call, and one to look at
/// what was got. `None` where it has to be looked at closely.
fn open_alone(path: &Path) -> Option<io::Result<File>> {
    let opened = c_path(path).ok()?;
    let file = match open_without_links(&opened, READ)? {
        Ok(file) => file,
        Err(error) => return Some(Err(error)),
    };
    match file.metadata() {
        Ok(metadata) if has_second_name(&metadata) => None,
        Ok(_) => Some(Ok(file)),
        Err(error) => Some(Err(error)),
    }
}

/// Opens a directory, whose names can be read and which can be synced.
pub fn open_dir(path: &Path) -> io::Result<File> {
    let flags = libc::O_RDONLY | libc::O_DIRECTORY;
    match open_without_links(&c_path(path)?, flags) {
        Some(opened) => opened,
        // What was opened only as a place on a way is opened for reading by itself.
        None => open_at(&walk(path)?.0, c".", flags, 0),
    }
}

const READ: libc::c_int = libc::O_RDONLY | CAREFUL;
const CAREFUL: libc::c_int = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;

fn has_second_name(metadata: &Metadata) -> bool {
    metadata.is_file() && metadata.nlink() > 1
}

/// More links than these are a circle, as for the system.
const LINKS_MAX: usize = 40;

/// Opens a directory as a place on a way: it need not be readable. Tells a path without links, too.
fn walk(path: &Path) -> io::Result<(File, PathBuf)> {
    let flags = libc::O_PATH | libc::O_DIRECTORY;
    if let Some(opened) = open_without_links(&c_path(path)?, flags) {
        return opened.map(|dir| (dir, path.into()));
    }
    // The root has an empty path here, so that a slash can be put before every name.
    let mut here = Vec::new();
    let mut rest = path.as_os_str().as_bytes().to_vec();
    let mut dir = start(&rest)?;
    let mut links_left = LINKS_MAX;
    loop {
        let begin = rest.iter().position(|byte| *byte != b'/');
        rest.drain(..begin.unwrap_or(rest.len()));
        if rest.is_empty() {
            let real = if here.is_empty() { vec![b'/'] } else { here };
            return Ok((dir, OsString::from_vec(real).into()));
        }
        let end = rest.iter().position(|byte| *byte == b'/');
        let name: Vec<u8> = rest.drain(..end.unwrap_or(rest.len())).collect();
        here.push(b'/');
        here.extend_from_slice(&name);
        let name = CString::new(name)?;
        match open_at(&dir, &name, ON_THE_WAY, 0) {
            Ok(next) => dir = next,
            Err(error) if is_no_directory(&error) => {
                let link = open_at(&dir, &name, PLACE, 0)?;
                links_left = links_left.checked_sub(1).ok_or(error)?;
                let mut target = target_of(&link, &dir, &here)?;
                if target.starts_with(b"/") {
                    dir = start(&target)?;
                    here.clear();
                } else {
                    let parent = here.iter().rposition(|byte| *byte == b'/');
                    here.truncate(parent.unwrap_or(0));
                }
                target.append(&mut rest);
                rest = target;
            }
            Err(error) => return Err(error),
        }
    }
}

const PLACE: libc::c_int = libc::O_PATH | libc::O_NOFOLLOW;
const ON_THE_WAY: libc::c_int = PLACE | libc::O_DIRECTORY;

/// Where a path begins.
fn start(path: &[u8]) -> io::Result<File> {
    let dir = if path.starts_with(b"/") { c"/" } else { c"." };
    open_in(libc::AT_FDCWD, dir, ON_THE_WAY, 0)
}

fn is_no_directory(error: &io::Error) -> bool {
    // open(2): which of them comes for a link differs from one system to the next.
    let errno = error.raw_os_error();
    matches!(errno, Some(libc::ENOTDIR | libc::ELOOP | libc::EMLINK))
}

/// Where a link in `dir` leads, which is open as a place, if it may be followed. `path` is its own.
fn target_of(link: &File, dir: &File, path: &[u8]) -> io::Result<Vec<u8>> {
    let metadata = link.metadata()?;
    if !metadata.is_symlink() {
        return Err(ErrorKind::NotADirectory.into());
    }
    let is_planted = metadata.nlink() > 1 && is_open_to_others(&dir.metadata()?, &metadata);
    if is_planted || !is_root_or_us(metadata.uid()) {
        let path = OsStr::from_bytes(path).into();
        return Err(refuse(Untrusted::Link(path, metadata.uid())));
    }
    let mut target = vec![0; libc::PATH_MAX as usize];
    // SAFETY: the path is empty, which means the link itself, and ends in NUL; the buffer has the
    // room that is told.
    let len = cvt(unsafe {
        let (fd, room) = (link.as_raw_fd(), target.len());
        libc::readlinkat(fd, c"".as_ptr(), target.as_mut_ptr().cast(), room)
    })?;
    target.truncate(usize::try_from(len).unwrap_or(0));
    Ok(target)
}

fn refuse(why: Untrusted) -> io::Error {
    io::Error::new(ErrorKind::PermissionDenied, why)
}

fn is_root_or_us(uid: u32) -> bool {
    // SAFETY: takes and touches nothing and never fails.
    uid == 0 || uid == unsafe { libc::geteuid() }
}

/// Whether a directory belongs to somebody who is neither root, nor we, nor the owner of what is in
/// it, or such a one may write to it. Of a group nobody knows who is in it; that of the file may be
/// its owner's. With an ACL, as on a directory of root's, the mode of the group is what others have
/// (acl(5)).
fn is_open_to_others(dir: &Metadata, within: &Metadata) -> bool {
    let is_known = |uid| is_root_or_us(uid) || uid == within.uid();
    let is_others_group = dir.gid() == 0 || dir.gid() != within.gid();
    !is_known(dir.uid()) || dir.mode() & 0o002 != 0 || (dir.mode() & 0o020 != 0 && is_others_group)
}

fn open_at(dir: &File, name: &CStr, flags: libc::c_int, mode: u32) -> io::Result<File> {
    open_in(dir.as_raw_fd(), name, flags, mode)
}

fn open_in(dir: libc::c_int, name: &CStr, flags: libc::c_int, mode: u32) -> io::Result<File> {
    let (flags, mode) = (flags | libc::O_CLOEXEC, mode as libc::c_uint);
    // SAFETY: the name ends in NUL and outlives the call, which takes plain numbers besides.
    let fd = again(|| cvt(unsafe { libc::openat(dir, name.as_ptr(), flags, mode) }))?;
    // SAFETY: nobody else has the descriptor.
    Ok(unsafe { File::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests;
