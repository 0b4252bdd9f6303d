//! The pid file of a daemon.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Seek, Write};
use std::path::{Path, PathBuf};
use std::process;

use super::{error_saying, files};

/// A file that holds the number of this process, locked, for as long as this value lives.
pub struct PidFile {
    path: PathBuf,
    file: File,
}

impl PidFile {
    /// Writes our number to `path` in one step, and locks the file. Refused with `AlreadyExists`
    /// while another process has it locked. Without a lock a number tells nothing: after a power
    /// cut, or in a new container, any process may have it.
    pub fn create(path: &Path) -> io::Result<PidFile> {
        let path = files::absolute(path)?;
        if let Some(pid) = owner_of(&path) {
            return Err(in_use(&path, pid));
        }
        // Written beside it and renamed, so that nobody ever reads half a number.
        let scratch = scratch_beside(&path);
        let _ = fs::remove_file(&scratch);
        let written =
            write_new(&scratch).and_then(|file| fs::rename(&scratch, &path).map(|()| file));
        if written.is_err() {
            let _ = fs::remove_file(&scratch);
        }
        Ok(PidFile {
            file: written?,
            path,
        })
    }

    /// Removes it in the name of process `pid`, whose number it holds; another one may have
    /// replaced it since, and it is theirs.
    pub(super) fn remove_for(&self, pid: u32) {
        let is_removed = pid_in(&self.path) == Some(pid) && fs::remove_file(&self.path).is_ok();
        if !is_removed && number_in(&self.file) == Some(pid) {
            // Without root's rights, or behind walls, the directory may be closed to us, but not
            // the file that we still hold.
            let _ = self.file.set_len(0);
        }
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        self.remove_for(process::id());
    }
}

fn write_new(path: &Path) -> io::Result<File> {
    let mut file = files::open(path, libc::O_RDWR | libc::O_CREAT | libc::O_EXCL)?;
    writeln!(file, "{}", process::id())?;
    // Where the file system has no locks, the port or the lock on SNMP_DIR keeps a second one away.
    let _ = files::try_lock(&file);
    Ok(file)
}

fn scratch_beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", process::id()));
    PathBuf::from(name)
}

/// The number in a file that its process has locked.
fn owner_of(path: &Path) -> Option<u32> {
    let file = files::open_carefully(path).ok()?;
    files::locked_by(&file).and_then(|_| number_in(&file))
}

/// The number in the file; `None` if there is none that a process can have.
fn pid_in(path: &Path) -> Option<u32> {
    number_in(&files::open_carefully(path).ok()?)
}

fn number_in(mut file: &File) -> Option<u32> {
    // It may have been written a moment ago.
    file.rewind().ok()?;
    let text = files::read_small(file, 32).ok()?;
    let text = std::str::from_utf8(text.trim_ascii()).ok()?;
    text.parse().ok().filter(|pid| *pid > 0)
}

fn in_use(path: &Path, pid: u32) -> io::Error {
    let path = path.display();
    let text = format!("{path} belongs to process {pid}, which is running: stop that one first");
    error_saying(ErrorKind::AlreadyExists, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::testing::in_child;

    fn dir_and_path() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("daemon.pid");
        (dir, path)
    }

    #[test]
    fn it_holds_our_number_and_goes_with_the_value() {
        let (dir, path) = dir_and_path();
        let held = PidFile::create(&path).unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            format!("{}\n", process::id())
        );
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            1,
            "scratch left behind"
        );
        drop(held);
        assert!(!path.exists());
    }

    #[test]
    fn a_process_that_has_it_is_not_pushed_aside() {
        let (_dir, path) = dir_and_path();
        let _held = PidFile::create(&path).unwrap();
        let child = in_child(|| match PidFile::create(&path).map(drop) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => 1,
            _ => 0,
        });
        assert_eq!(child.wait(), 1);
        assert_eq!(pid_in(&path), Some(process::id()));
        let error = in_use(&path, process::id()).to_string();
        assert!(error.contains(&format!("process {},", process::id())));
    }

    #[test]
    fn a_number_that_something_else_has_by_now_is_no_obstacle() {
        let (_dir, path) = dir_and_path();
        for pid in [1, std::os::unix::process::parent_id()] {
            fs::write(&path, format!("{pid}\n")).unwrap();
            let held = PidFile::create(&path).unwrap();
            assert_eq!(pid_in(&path), Some(process::id()));
            drop(held);
        }
    }

    #[test]
    fn what_a_dead_process_or_a_power_cut_left_is_replaced() {
        let (_dir, path) = dir_and_path();
        for left in [
            "",
            "nonsense",
            "-1\n",
            "0\n",
            "4294967295\n",
            "99999999999999999999",
            "2147483647\n",
        ] {
            fs::write(&path, left).unwrap();
            drop(PidFile::create(&path).unwrap());
            assert!(!path.exists(), "after {left}");
        }
    }

    #[test]
    fn a_file_that_someone_else_took_over_stays() {
        let (_dir, path) = dir_and_path();
        let held = PidFile::create(&path).unwrap();
        fs::write(&path, "1\n").unwrap();
        drop(held);
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\n");
    }

    #[test]
    fn a_missing_directory_is_an_error() {
        let (dir, _) = dir_and_path();
        let error = PidFile::create(&dir.path().join("none/daemon.pid"))
            .map(drop)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_fifo_in_its_place_does_not_make_us_wait() {
        let (_dir, path) = dir_and_path();
        crate::sys::testing::make_fifo(&path);
        assert!(PidFile::create(&path).is_ok());
    }
}
