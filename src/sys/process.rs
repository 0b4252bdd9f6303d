//! The process of a daemon: going to the background, and what else it changes about itself.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsRawFd;
use std::path::Path;

use super::{again, cvt, files, platform};

pub use super::pidfile::PidFile;
pub use super::platform::empty_bounding_set;
pub use super::privileges::drop_privileges;

/// Which of the two processes this is after [`Background::fork`].
pub enum Role {
    /// The one the operator started. Its work is done: it ends with `status`.
    Parent {
        /// 0 when the child said that it is ready, else what the child ended with, at least 1.
        status: u8,
    },
    /// The one that stays. It is in a session of its own and still has the operator's terminal for
    /// its messages.
    Child(Background),
}

/// A child on its way to the background: it has still to try everything that can fail, and then to
/// say so.
pub struct Background {
    ready: PipeWriter,
}

impl Background {
    /// Forks. The parent waits inside until the child is ready or has ended; the child goes on at
    /// once.
    ///
    /// For a program of one thread, before it takes record locks, which stay with the parent, and
    /// before it catches signals, which would wake both.
    pub fn fork() -> io::Result<Role> {
        let (waiting, ready) = io::pipe()?;
        // SAFETY: the caller has one thread, so the child is a whole copy of the program.
        let child = cvt(unsafe { libc::fork() })?;
        if child != 0 {
            // Only the child holds the writing end now, so that its death ends the wait.
            drop(ready);
            return Ok(Role::Parent {
                status: outcome(waiting, child),
            });
        }
        drop(waiting);
        // SAFETY: takes and touches nothing.
        cvt(unsafe { libc::setsid() })?;
        Ok(Role::Child(Background { ready }))
    }

    /// Lets go of the terminal and of the working directory, and the parent ends with status 0.
    ///
    /// From here on a relative path means something else: make them absolute before.
    pub fn ready(mut self) -> io::Result<()> {
        detach()?;
        self.ready.write_all(b"!")
    }
}

/// Lets go of the terminal and of the working directory.
pub(super) fn detach() -> io::Result<()> {
    // A daemon must not keep a file system from being unmounted.
    std::env::set_current_dir("/")?;
    let null = files::open(Path::new("/dev/null"), libc::O_RDWR)?;
    for standard in 0..=2 {
        // SAFETY: `null` is open; what the three numbers stood for, the standard library looks
        // up at each use.
        cvt(unsafe { libc::dup2(null.as_raw_fd(), standard) })?;
    }
    Ok(())
}

/// Sets the name that `ps` and `start-stop-daemon` see, cut to 15 bytes. Does nothing where there
/// is no such thing.
pub fn set_process_name(name: &str) {
    platform::set_process_name(name);
}

/// The exit status of the parent: waits for the child's word or its end.
fn outcome(mut waiting: PipeReader, child: libc::pid_t) -> u8 {
    match waiting.read_exact(&mut [0]) {
        Ok(()) => 0,
        Err(_) => wait_for(child).max(1),
    }
}

/// Waits for the end of a child: its exit status, or 1 if it got no chance to give one.
pub(super) fn wait_for(child: libc::pid_t) -> u8 {
    let mut status = 0;
    // SAFETY: `status` is our own and outlives the call.
    match again(|| cvt(unsafe { libc::waitpid(child, &mut status, 0) })) {
        Ok(_) if libc::WIFEXITED(status) => libc::WEXITSTATUS(status) as u8,
        Ok(_) | Err(_) => 1,
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::sys::testing::{exit_now, in_child};

    /// Forks in a child, so that it is not the test program that loses its terminal.
    fn started(child_half: impl FnOnce(Background) -> u8) -> u8 {
        let parent = in_child(|| match Background::fork().unwrap() {
            Role::Parent { status } => status,
            Role::Child(background) => exit_now(child_half(background)),
        });
        parent.wait()
    }

    fn is_null(file: &std::fs::File) -> bool {
        let null = std::fs::metadata("/dev/null").unwrap();
        file.metadata().unwrap().rdev() == null.rdev()
    }

    #[test]
    fn the_parent_ends_well_once_the_child_is_ready() {
        let (mut reader, mut writer) = io::pipe().unwrap();
        let status = started(|background| {
            background.ready().unwrap();
            // SAFETY: takes and touches nothing.
            let leads = unsafe { libc::getsid(0) == libc::getpid() };
            let at_root = std::env::current_dir().unwrap() == Path::new("/");
            let output = io::stdout().as_fd().try_clone_to_owned().unwrap();
            let silent = is_null(&std::fs::File::from(output));
            writer
                .write_all(&[leads.into(), at_root.into(), silent.into()])
                .unwrap();
            0
        });
        assert_eq!(status, 0);
        let mut seen = [0; 3];
        reader.read_exact(&mut seen).unwrap();
        assert_eq!(
            seen,
            [1, 1, 1],
            "session leader, at the root, output to /dev/null"
        );
    }

    #[test]
    fn the_parent_passes_on_why_the_child_gave_up() {
        assert_eq!(started(|_| 78), 78);
    }

    #[test]
    fn an_end_without_a_word_is_never_a_success() {
        assert_eq!(started(|_| 0), 1);
        assert_eq!(started(|_| panic!("a bug")), 1);
    }

    #[test]
    fn the_name_is_cut_and_never_a_fault() {
        let child = in_child(|| {
            set_process_name("gen_numbers_and_then_some");
            set_process_name("with\0nul");
            set_process_name("fetch_logs");
            let name = std::fs::read_to_string("/proc/self/comm");
            u8::from(name.is_ok_and(|name| name == "fetch_logs\n"))
        });
        assert_eq!(child.wait(), u8::from(cfg!(target_os = "linux")));
    }
}
