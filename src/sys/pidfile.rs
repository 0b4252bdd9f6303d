//! The pid file of a daemon.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Seek, Write};
use std::path::{Path, PathBuf};
use std::process;

use super::{cvt, error_saying, files};

/// A file that holds the number of this process for as long as this value lives.
pub struct PidFile {
    path: PathBuf,
    file: File,
}

impl PidFile {
    /// Writes our number to `path` in one step. Refused with `AlreadyExists` while the file names
    /// another process that runs; a number left behind by one that is gone is replaced.
    pub fn create(path: &Path) -> io::Result<PidFile> {
        let path = files::absolute(path)?;
        match pid_in(&path) {
            // After a restart of the box the number in an old file may be our own.
            Some(pid) if pid != process::id() && is_alive(pid) && !has_ended(pid) => {
                return Err(in_use(&path, pid));
            }
            _ => {}
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
    Ok(file)
}

fn scratch_beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", process::id()));
    PathBuf::from(name)
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

fn is_alive(pid: u32) -> bool {
    let Ok(pid) = libc::pid_t::try_from(pid) else {
        return false;
    };
    // SAFETY: signal 0 asks whether the process is there and does nothing to it.
    match cvt(unsafe { libc::kill(pid, 0) }) {
        Ok(_) => true,
        // kill(2): it is there, but not ours.
        Err(error) => error.kind() == ErrorKind::PermissionDenied,
    }
}

/// Whether a process is there only because nobody has waited for it (proc(5): its state is Z), as
/// in a container whose first process does not do so. Where there is no `/proc`, it has not.
fn has_ended(pid: u32) -> bool {
    let path = format!("/proc/{pid}/stat");
    let stat = files::open_without_waiting(Path::new(&path))
        .and_then(|file| files::read_small(&file, STAT_LEN));
    // Its name stands before that in brackets, and may hold any byte.
    let state = |stat: Vec<u8>| {
        stat.rsplit(|c| *c == b')')
            .next()
            .is_some_and(|rest| rest.starts_with(b" Z"))
    };
    stat.is_ok_and(state)
}

/// The line has 52 numbers.
const STAT_LEN: usize = 2048;

fn in_use(path: &Path, pid: u32) -> io::Error {
    let path = path.display();
    let text = format!("{path} belongs to process {pid}, which is running: stop that one first");
    error_saying(ErrorKind::AlreadyExists, text)
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_running_process_is_not_pushed_aside() {
        let (_dir, path) = dir_and_path();
        fs::write(&path, "1\n").unwrap();
        let error = PidFile::create(&path).map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert!(error.to_string().contains("process 1,"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\n");
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

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_that_nobody_has_waited_for_is_no_obstacle() {
        let (_dir, path) = dir_and_path();
        let mut child = process::Command::new("cat")
            .stdin(process::Stdio::piped())
            .spawn()
            .unwrap();
        fs::write(&path, child.id().to_string()).unwrap();
        assert!(PidFile::create(&path).is_err(), "it runs");
        drop(child.stdin.take());
        while !has_ended(child.id()) {
            std::thread::yield_now();
        }
        assert!(PidFile::create(&path).is_ok());
        child.wait().unwrap();
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
        super::super::testing::make_fifo(&path);
        assert!(PidFile::create(&path).is_ok());
    }
}
