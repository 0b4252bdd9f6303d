//! Files that are held open, so that they outlive their names.

use std::cell::RefCell;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::stat_of;
use crate::ids::FileId;
use crate::store::{Nameless, Stat};

/// The files that are held, in the order in which that was asked for.
#[derive(Debug, Default)]
pub struct Held {
    files: RefCell<Vec<Hold>>,
    /// How many were held ever.
    count: RefCell<u64>,
}

#[derive(Debug)]
struct Hold {
    /// The log that it is of.
    log: PathBuf,
    /// Where it is found once it has no name any more.
    path: PathBuf,
    id: FileId,
    file: File,
}

impl Held {
    /// Holds an open file of a log, which is at this path now.
    pub fn hold(&self, log: &Path, path: &Path, id: FileId, file: File) {
        let mut count = self.count.borrow_mut();
        *count += 1;
        let mut files = self.files.borrow_mut();
        files.push(Hold {
            log: log.to_path_buf(),
            path: behind_names(*count, path),
            id,
            file,
        });
    }

    /// Whether a file of a log is held; it is at this path now.
    pub fn has(&self, log: &Path, path: &Path, id: FileId) -> bool {
        let mut files = self.files.borrow_mut();
        let hold = files
            .iter_mut()
            .find(|hold| hold.id == id && hold.log == log);
        let Some(hold) = hold else { return false };
        // It is known by the name that it had last.
        if !is_behind_names(path) && name_of(&hold.path) != path {
            let mut count = self.count.borrow_mut();
            *count += 1;
            hold.path = behind_names(*count, path);
        }
        true
    }

    /// Holds only these files of a log from now on.
    pub fn keep(&self, log: &Path, is_kept: &dyn Fn(FileId) -> bool) {
        let mut files = self.files.borrow_mut();
        files.retain(|hold| hold.log != log || is_kept(hold.id));
    }

    /// Holds only files of these logs from now on.
    pub fn keep_logs(&self, is_kept: &dyn Fn(&Path) -> bool) {
        self.files.borrow_mut().retain(|hold| is_kept(&hold.log));
    }

    /// Where those of a log are found that have no name any more.
    pub fn paths(&self, log: &Path) -> Vec<PathBuf> {
        let files = self.files.borrow();
        let is_it = |hold: &&Hold| hold.log == log && nameless(hold).is_some();
        files
            .iter()
            .filter(is_it)
            .map(|hold| hold.path.clone())
            .collect()
    }

    /// All that have no name any more.
    pub fn nameless(&self) -> Vec<Nameless> {
        self.files.borrow().iter().filter_map(nameless).collect()
    }

    /// The file that is found at a path behind all names.
    pub fn open(&self, path: &Path) -> Option<io::Result<File>> {
        self.with(path, File::try_clone)
    }

    /// What it is.
    pub fn stat(&self, path: &Path) -> Option<io::Result<Stat>> {
        self.with(path, |file| Ok(stat_of(&file.metadata()?)))
    }

    /// Does something with it.
    pub fn with<T>(
        &self,
        path: &Path,
        act: impl FnOnce(&File) -> io::Result<T>,
    ) -> Option<io::Result<T>> {
        is_behind_names(path).then(|| {
            let files = self.files.borrow();
            let hold = files.iter().find(|hold| hold.path == path);
            hold.map_or(Err(io::ErrorKind::NotFound.into()), |hold| act(&hold.file))
        })
    }
}

fn nameless(hold: &Hold) -> Option<Nameless> {
    let seen = hold.file.metadata().ok().filter(|seen| seen.nlink() == 0)?;
    let stat = stat_of(&seen);
    Some(Nameless {
        path: name_of(&hold.path),
        id: hold.id,
        size: stat.size,
        mtime_ns: stat.mtime_ns,
    })
}

/// What no path of the system begins with, since no name has a NUL.
const BEHIND: &[u8] = b"/\0";

/// A path that is no other file's, with the same last component.
fn behind_names(count: u64, path: &Path) -> PathBuf {
    let count = count.to_string();
    let bytes = [BEHIND, count.as_bytes(), path.as_os_str().as_bytes()].concat();
    OsString::from_vec(bytes).into()
}

fn is_behind_names(path: &Path) -> bool {
    path.as_os_str().as_bytes().starts_with(BEHIND)
}

fn name_of(path: &Path) -> PathBuf {
    let bytes = path.as_os_str().as_bytes();
    let rest = bytes.get(BEHIND.len()..).unwrap_or_default();
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    OsString::from_vec(rest[digits..].to_vec()).into()
}
