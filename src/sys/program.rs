//! Another program, run as a child of this process.
//!
//! Not by the standard library, which takes the whole process down where it cannot hear how the
//! start went, and brings along far more than is wanted here.

use std::ffi::{CString, OsString};
use std::io::{self, PipeReader, Read};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::ptr;

use super::{again, c_path, cvt, files, platform, signals};

/// What to run, and how.
pub(super) struct Program<'a> {
    /// Its path, absolute.
    pub path: &'a Path,
    /// `NAME=VALUE`, each followed by a NUL: set besides what this process was started with, and
    /// in place of it.
    pub variables: &'a [u8],
    /// The name of a variable that it does not get.
    pub without: &'a str,
    /// Whether what it prints goes to stderr only.
    pub spares_stdout: bool,
}

/// A program that runs. Whoever drops it leaves it to itself.
pub(super) struct Child {
    pid: libc::pid_t,
}

/// How a program ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Exit {
    /// By itself, with this status.
    Status(u8),
    /// By this signal.
    Signal(u8),
}

impl Program<'_> {
    /// Starts it in a session of its own, in the root directory, with nothing to read and nothing
    /// open of ours but stdout and stderr. For a program of one thread. Fails where the system
    /// refuses to run it.
    pub(super) fn start(&self) -> io::Result<Child> {
        let path = c_path(self.path)?;
        let environment = self.environment();
        let environment = pointers(&environment);
        let arguments = [path.as_ptr(), ptr::null()];
        let null = files::open(Path::new("/dev/null"), libc::O_RDONLY)?;
        let (told, tell) = io::pipe()?;
        // SAFETY: this process has one thread, so the child is a whole copy of it.
        let pid = cvt(unsafe { libc::fork() })?;
        if pid == 0 {
            let ready = self.be_nobodys(null.as_raw_fd());
            let error = ready.err().unwrap_or_else(|| {
                // SAFETY: the three are as execve(2) wants them, and outlive the call: lists of
                // texts that end with a NUL, themselves ended by a null pointer.
                unsafe { libc::execve(path.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
                io::Error::last_os_error()
            });
            let number = error.raw_os_error().unwrap_or(libc::EIO) as u8;
            // SAFETY: one byte of our own is read. _exit(2) does not return: what the copy would do
            // at its end is not its business.
            unsafe {
                libc::write(tell.as_raw_fd(), ptr::from_ref(&number).cast(), 1);
                libc::_exit(NOT_RUN)
            }
        }
        drop(tell);
        let child = Child { pid };
        match refusal(told) {
            None => Ok(child),
            Some(number) => {
                super::process::wait_for(pid);
                Err(io::Error::from_raw_os_error(number.into()))
            }
        }
    }

    /// The variables that it gets.
    fn environment(&self) -> Vec<CString> {
        let own = self.variables.split(|byte| *byte == 0);
        let own: Vec<&[u8]> = own.filter(|text| !text.is_empty()).collect();
        let is_replaced = |name: &[u8]| {
            let is_it = |text: &&[u8]| {
                text.strip_prefix(name)
                    .is_some_and(|it| it[..].starts_with(b"="))
            };
            name == self.without.as_bytes() || own.iter().any(is_it)
        };
        let kept = std::env::vars_os().filter(|(name, _)| !is_replaced(name.as_encoded_bytes()));
        let kept = kept.map(|(name, value)| assignment(name, value));
        let own = own.iter().map(|text| text.to_vec());
        // None has a NUL: both were cut at those.
        kept.chain(own)
            .filter_map(|text| CString::new(text).ok())
            .collect()
    }

    /// Leaves the copy of this process as a program expects to find itself. It makes system calls
    /// and nothing else.
    fn be_nobodys(&self, null: RawFd) -> io::Result<()> {
        // The pipe that the handler writes to is shared with the parent.
        signals::leave_to_parent();
        // SAFETY: takes and touches nothing.
        cvt(unsafe { libc::setsid() })?;
        for signal in 1..=SIGNALS {
            // What is ignored stays so in another program. Of those that cannot be set nothing
            // comes.
            // SAFETY: the usual effect of a signal runs no code of ours.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
        // SAFETY: both numbers are open descriptors or yield an error.
        cvt(unsafe { libc::dup2(null, libc::STDIN_FILENO) })?;
        if self.spares_stdout {
            // SAFETY: as before.
            cvt(unsafe { libc::dup2(libc::STDERR_FILENO, libc::STDOUT_FILENO) })?;
        }
        // SAFETY: the text ends with a NUL.
        cvt(unsafe { libc::chdir(c"/".as_ptr()) })?;
        platform::close_on_exec(FIRST);
        Ok(())
    }
}

impl Child {
    /// How it ended, if it has. Does not wait. Fails where somebody else has waited for it.
    pub(super) fn try_wait(&self) -> io::Result<Option<Exit>> {
        let mut status = 0;
        // SAFETY: `status` is our own and outlives the call.
        let ended = again(|| cvt(unsafe { libc::waitpid(self.pid, &mut status, libc::WNOHANG) }))?;
        Ok(match ended {
            0 => None,
            _ if libc::WIFEXITED(status) => Some(Exit::Status(libc::WEXITSTATUS(status) as u8)),
            _ => Some(Exit::Signal(libc::WTERMSIG(status) as u8)),
        })
    }

    /// What can be read once it has ended. Fails where there is no such thing.
    pub(super) fn end(&self) -> io::Result<OwnedFd> {
        platform::process(self.pid)
    }

    /// Sends a signal to it and to all that it has started and that did not go away from it. Only
    /// before it was waited for: until then the number is its own.
    pub(super) fn signal(&self, signal: libc::c_int) {
        // SAFETY: takes numbers.
        unsafe { libc::kill(-self.pid, signal) };
    }
}

/// The status of a copy that could not become the program.
const NOT_RUN: libc::c_int = 127;

/// The first descriptor behind the standard ones.
const FIRST: RawFd = 3;

/// The highest number of a signal on any system.
const SIGNALS: libc::c_int = 64;

/// The number of the error that kept the copy from becoming the program. Whoever cannot hear of it
/// sees the status that the copy ends with.
fn refusal(mut told: PipeReader) -> Option<u8> {
    let mut number = [0];
    match again(|| told.read(&mut number)) {
        Ok(1) => Some(number[0]),
        Ok(_) | Err(_) => None,
    }
}

fn assignment(name: OsString, value: OsString) -> Vec<u8> {
    let mut text = name.into_vec();
    text.push(b'=');
    text.append(&mut value.into_vec());
    text
}

/// The list as system calls want it. It is valid as long as the texts are.
fn pointers(texts: &[CString]) -> Vec<*const libc::c_char> {
    let texts = texts.iter().map(|text| text.as_ptr());
    texts.chain([ptr::null()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::testing::alone;

    fn program<'a>(path: &'a str, variables: &'a [u8]) -> Program<'a> {
        Program {
            path: Path::new(path),
            variables,
            without: "HOME",
            spares_stdout: false,
        }
    }

    fn end_of(child: &Child) -> Exit {
        loop {
            if let Some(exit) = child.try_wait().unwrap() {
                return exit;
            }
            std::thread::yield_now();
        }
    }

    #[test]
    fn what_was_set_before_stays_unless_it_is_replaced_or_left_out() {
        let environment = program("/bin/true", b"PATH=/x\0NEW=a=b\0").environment();
        let texts: Vec<&[u8]> = environment.iter().map(|text| text.as_bytes()).collect();
        let named = |name: &[u8]| texts.iter().filter(|text| text.starts_with(name)).count();
        assert_eq!(named(b"PATH="), 1);
        assert!(texts.contains(&&b"PATH=/x"[..]) && texts.contains(&&b"NEW=a=b"[..]));
        assert_eq!(named(b"HOME="), 0);
        assert!(named(b"CARGO") > 0, "what cargo sets for its tests is kept");
    }

    #[test]
    fn a_program_that_runs_tells_how_it_ends() {
        let _alone = alone();
        let child = program("/bin/false", b"").start().unwrap();
        assert_eq!(end_of(&child), Exit::Status(1));
        assert!(child.try_wait().is_err(), "once only");
    }

    #[test]
    fn one_that_cannot_be_run_is_no_child() {
        let _alone = alone();
        let refused = |path| program(path, b"").start().err().unwrap().raw_os_error();
        assert_eq!(refused("/nowhere"), Some(libc::ENOENT));
        assert_eq!(refused("/"), Some(libc::EACCES));
        assert_eq!(refused("/nul\0inside"), None);
    }
}
