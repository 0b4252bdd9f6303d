//! A name in a directory, for whatever is done with it.

use std::ffi::CString;
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::{CAREFUL, PLACE, Untrusted, has_second_name, is_open_to_others, open_at, refuse, walk};
use crate::sys::{cvt, platform};

/// A name in a directory that is held open: whatever becomes of the way there, this stays the same
/// place. There need not be anything of that name.
pub struct Place {
    dir: File,
    name: CString,
    path: PathBuf,
    real_dir: PathBuf,
}

impl Place {
    /// Goes to the directory of a path, as [`Untrusted`] says.
    pub fn of(path: &Path) -> io::Result<Place> {
        let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(ErrorKind::InvalidInput.into());
        };
        // A path without a slash is in the directory where we are.
        let dir = if dir.as_os_str().is_empty() {
            Path::new(".")
        } else {
            dir
        };
        let (dir, real_dir) = walk(dir)?;
        Ok(Place {
            dir,
            real_dir,
            name: CString::new(name.as_bytes())?,
            path: path.to_path_buf(),
        })
    }

    /// A path without links that led to the directory.
    pub(super) fn real_dir(&self) -> &Path {
        &self.real_dir
    }

    /// Opens what is there, with these flags of open(2), waiting for nobody and following no link.
    pub(super) fn open(&self, flags: libc::c_int, mode: u32) -> io::Result<File> {
        let file = open_at(&self.dir, &self.name, flags | CAREFUL, mode)?;
        let metadata = file.metadata()?;
        if has_second_name(&metadata) && is_open_to_others(&self.dir.metadata()?, &metadata) {
            return Err(refuse(Untrusted::SecondName(self.path.clone())));
        }
        Ok(file)
    }

    /// Opens a file for reading and appending.
    pub fn open_append(&self) -> io::Result<File> {
        self.open(libc::O_RDWR | libc::O_APPEND, 0)
    }

    /// Opens a file for writing.
    pub fn open_write(&self) -> io::Result<File> {
        self.open(libc::O_WRONLY, 0)
    }

    /// Creates a file for reading and appending; `AlreadyExists` if anything has that name.
    pub fn create_new(&self, mode: u32) -> io::Result<File> {
        let flags = libc::O_RDWR | libc::O_APPEND | libc::O_CREAT | libc::O_EXCL;
        self.open(flags, mode)
    }

    /// Creates a file for reading and appending in place of whatever has that name, which is taken
    /// away and neither opened nor written to.
    pub fn create_scratch(&self, mode: u32) -> io::Result<File> {
        for _ in 0..SCRATCH_ATTEMPTS {
            match self.create_new(mode) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                result => return result,
            }
            match self.unlink() {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Err(ErrorKind::AlreadyExists.into())
    }

    /// What is there.
    pub fn metadata(&self) -> io::Result<Metadata> {
        open_at(&self.dir, &self.name, PLACE, 0)?.metadata()
    }

    /// Renames to a place over whatever is there.
    pub fn rename(&self, to: &Place) -> io::Result<()> {
        // SAFETY: both names end in NUL and outlive the call, and both descriptors are open.
        let renamed = cvt(unsafe {
            libc::renameat(
                self.dir.as_raw_fd(),
                self.name.as_ptr(),
                to.dir.as_raw_fd(),
                to.name.as_ptr(),
            )
        });
        match renamed {
            // Behind walls that let no directory be taken away, the right to do so is asked first.
            Err(error)
                if error.kind() == ErrorKind::PermissionDenied
                    && to.metadata().is_ok_and(|found| found.is_dir()) =>
            {
                Err(io::Error::from_raw_os_error(libc::EISDIR))
            }
            renamed => renamed.map(drop),
        }
    }

    /// Renames to a place where nothing is: `AlreadyExists` otherwise, `Unsupported` where kernel
    /// or file system cannot do that in one step.
    pub fn rename_new(&self, to: &Place) -> io::Result<()> {
        platform::rename_noreplace((&self.dir, &self.name), (&to.dir, &to.name))
    }

    /// Gives what is here a second name; `AlreadyExists` if that is taken.
    pub fn link(&self, to: &Place) -> io::Result<()> {
        // SAFETY: both names end in NUL and outlive the call, and both descriptors are open.
        cvt(unsafe {
            libc::linkat(
                self.dir.as_raw_fd(),
                self.name.as_ptr(),
                to.dir.as_raw_fd(),
                to.name.as_ptr(),
                0,
            )
        })?;
        Ok(())
    }

    /// Takes the name away.
    pub fn unlink(&self) -> io::Result<()> {
        // SAFETY: the name ends in NUL and outlives the call, and the descriptor is open.
        cvt(unsafe { libc::unlinkat(self.dir.as_raw_fd(), self.name.as_ptr(), 0) })?;
        Ok(())
    }

    /// Makes a directory there, with these rights as far as the umask leaves them.
    pub fn make_dir(&self, mode: u32) -> io::Result<()> {
        // SAFETY: the name ends in NUL and outlives the call, and the descriptor is open.
        cvt(unsafe {
            libc::mkdirat(
                self.dir.as_raw_fd(),
                self.name.as_ptr(),
                mode as libc::mode_t,
            )
        })?;
        Ok(())
    }
}

/// Whoever makes it again more often than this means to stop us.
const SCRATCH_ATTEMPTS: usize = 16;

/// Makes a directory, and those on the way to it that are missing.
pub fn make_dirs(path: &Path, mode: u32) -> io::Result<()> {
    match super::open_dir(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        result => return result.map(drop),
    }
    if let Some(parent) = path.parent() {
        make_dirs(parent, mode)?;
    }
    match Place::of(path)?.make_dir(mode) {
        // Somebody was quicker.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => super::open_dir(path).map(drop),
        result => result,
    }
}
