//! The scratch of the demo, which must not outlive it: its directory and its processes.

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use crate::sys::random_seed;

/// A fresh directory and the processes that work in it. Dropping it ends and reaps the processes
/// and removes the directory; [`clear_on_panic`](Scratch::clear_on_panic) does so where a panic
/// drops nothing.
pub struct Scratch {
    dir: PathBuf,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    dir: Option<PathBuf>,
    children: Vec<Child>,
}

/// Names tried for the directory before giving up; with 64 random bits a second try is a rarity.
const NAMES_MAX: u32 = 16;

impl Scratch {
    /// Creates the directory, for this user only, in `parent`.
    pub fn new(parent: &Path) -> io::Result<Scratch> {
        let dir = create_dir(&std::path::absolute(parent)?)?;
        let shared = Shared {
            dir: Some(dir.clone()),
            children: Vec::new(),
        };
        Ok(Scratch {
            dir,
            shared: Arc::new(Mutex::new(shared)),
        })
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Starts a process, lets `take` have its pipes, and keeps it. The number stands for it from
    /// now on.
    pub fn spawn(&self, command: &mut Command, take: impl FnOnce(&mut Child)) -> io::Result<usize> {
        let mut shared = lock(&self.shared);
        // Under the lock, so that a panic in between finds the process in the list.
        let child = command.spawn()?;
        shared.children.push(child);
        let number = shared.children.len() - 1;
        if let Some(child) = shared.children.last_mut() {
            take(child);
        }
        Ok(number)
    }

    /// How a process ended, if it did.
    pub fn ended(&self, number: usize) -> Option<ExitStatus> {
        let mut shared = lock(&self.shared);
        let child = shared.children.get_mut(number)?;
        child.try_wait().ok().flatten()
    }

    /// Ends and reaps the processes and removes the directory; harmless when that has been done.
    pub fn clear(&self) -> io::Result<()> {
        lock(&self.shared).clear()
    }

    /// Clears up in the panic hook too: where panics abort, nothing is dropped.
    pub fn clear_on_panic(&self) {
        let shared = Arc::clone(&self.shared);
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            // The message first, for clearing up may fail.
            before(info);
            let mut shared = match shared.try_lock() {
                Ok(shared) => shared,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                // The thread that panics holds it itself.
                Err(TryLockError::WouldBlock) => return,
            };
            let _ = shared.clear();
        }));
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // There is nobody left to tell.
        let _ = self.clear();
    }
}

impl Shared {
    fn clear(&mut self) -> io::Result<()> {
        for child in &mut self.children {
            // Fails only for one that has ended and was reaped.
            let _ = child.kill();
        }
        for mut child in self.children.drain(..) {
            // All are told to end before the first is waited for. Reaped, so that none is left as a
            // zombie of whoever started the demo.
            let _ = child.wait();
        }
        match self.dir.take().map(fs::remove_dir_all) {
            Some(Err(error)) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// A thread that panicked leaves nothing half done here.
fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn create_dir(parent: &Path) -> io::Result<PathBuf> {
    let mut attempt = 1;
    loop {
        // Not to be guessed: in a directory that all may write to somebody could have put a link
        // there.
        let dir = parent.join(format!("fetchlogs-demo-{:08x}", random_seed() as u32));
        // mkdir(2) follows no link and takes no name that is taken, which makes the directory ours.
        match DirBuilder::new().mode(0o700).create(&dir) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && attempt < NAMES_MAX => {
                attempt += 1;
            }
            other => return other.map(|()| dir),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::process::Stdio;
    use std::time::{Duration, Instant};

    use super::*;

    fn sleeper() -> Command {
        let mut command = Command::new("sleep");
        command.arg("60").stdin(Stdio::null());
        command
    }

    #[test]
    fn directories_are_private_and_never_the_same() {
        let parent = tempfile::tempdir().unwrap();
        let one = Scratch::new(parent.path()).unwrap();
        let other = Scratch::new(parent.path()).unwrap();
        assert_ne!(one.dir(), other.dir());
        let mode = one.dir().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o700);
        assert!(Scratch::new(Path::new("/nonexistent")).is_err());
    }

    #[test]
    fn a_panic_leaves_neither_process_nor_directory() {
        let parent = tempfile::tempdir().unwrap();
        let mut pid = 0;
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let scratch = Scratch::new(parent.path()).unwrap();
            fs::create_dir(scratch.dir().join("a")).unwrap();
            fs::write(scratch.dir().join("a/b"), "x").unwrap();
            let number = scratch.spawn(&mut sleeper(), |child| pid = child.id());
            assert!(scratch.ended(number.unwrap()).is_none());
            panic!("a bug");
        }));
        assert!(panicked.is_err());
        assert_eq!(parent.path().read_dir().unwrap().count(), 0);
        assert!(pid > 0 && !Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn a_process_that_ends_by_itself_is_noticed() {
        let parent = tempfile::tempdir().unwrap();
        let scratch = Scratch::new(parent.path()).unwrap();
        let number = scratch.spawn(&mut Command::new("false"), |_| {});
        let number = number.unwrap();
        let began = Instant::now();
        while scratch.ended(number).is_none() {
            assert!(began.elapsed() < Duration::from_secs(20));
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(scratch.ended(number).unwrap().code(), Some(1));
        scratch.clear().unwrap();
        scratch.clear().unwrap();
    }
}
