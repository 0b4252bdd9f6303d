//! The worker: a copy of this process for work that waits for others.

use std::io;
use std::os::fd::{AsRawFd, RawFd};

use super::process::wait_for;
use super::{cvt, platform, signals};

/// A copy of this process at work. Dropping it ends the copy, whatever it is at.
pub struct Worker {
    child: libc::pid_t,
}

impl Worker {
    /// Forks. The copy has nothing open but the standard three and `kept`, leaves signals to this
    /// process, does `work` and ends. For a program of one thread.
    pub fn start(kept: &impl AsRawFd, work: impl FnOnce()) -> io::Result<Worker> {
        // SAFETY: the caller has one thread, so the child is a whole copy of the program.
        let child = cvt(unsafe { libc::fork() })?;
        if child == 0 {
            // A panic must not leave this function in the copy either: there is a second one to
            // return to.
            let _end = End;
            // First of all: the pipe that the handler writes to is shared with the parent.
            signals::leave_to_parent();
            close_others(kept.as_raw_fd());
            work();
        }
        Ok(Worker { child })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // SAFETY: takes numbers. The child is ours, and nobody else waits for it, so the number is
        // still its own.
        unsafe { libc::kill(self.child, libc::SIGKILL) };
        wait_for(self.child);
    }
}

/// Ends the process when it goes out of scope, without what the program would do at its end.
struct End;

impl Drop for End {
    fn drop(&mut self) {
        // SAFETY: takes a number and does not return.
        unsafe { libc::_exit(0) }
    }
}

/// Closes all but the standard descriptors and `kept`: a connection ends for its peer only when
/// nobody has it open.
fn close_others(kept: RawFd) {
    const FIRST: RawFd = 3;
    platform::close_range(FIRST, kept.saturating_sub(1));
    platform::close_range((kept + 1).max(FIRST), RawFd::MAX);
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;
    use crate::sys::testing::alone;

    #[test]
    fn the_copy_works_and_ends() {
        let _alone = alone();
        let (mut reader, mut writer) = io::pipe().unwrap();
        let worker = Worker::start(&writer.as_raw_fd(), || writer.write_all(b"found").unwrap());
        let worker = worker.unwrap();
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "found");
        drop(worker);
    }

    #[test]
    fn what_else_was_open_is_closed_in_the_copy() {
        let _alone = alone();
        let (mut low, low_end) = io::pipe().unwrap();
        let (_reader, writer) = io::pipe().unwrap();
        let (mut high, high_end) = io::pipe().unwrap();
        let worker = Worker::start(&writer, || {
            // SAFETY: takes nothing and returns when a signal comes.
            unsafe { libc::pause() };
        });
        let worker = worker.unwrap();
        drop((low_end, high_end));
        assert_eq!(low.read(&mut [0]).unwrap(), 0);
        assert_eq!(high.read(&mut [0]).unwrap(), 0);
        drop(worker);
    }

    #[test]
    fn a_panic_ends_the_copy() {
        let _alone = alone();
        let (mut reader, mut writer) = io::pipe().unwrap();
        let worker = Worker::start(&writer.as_raw_fd(), || {
            // Without the message, for which another thread may hold a lock.
            std::panic::resume_unwind(Box::new(()))
        });
        writer.write_all(b"parent").unwrap();
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "parent");
        drop(worker.unwrap());
    }
}
