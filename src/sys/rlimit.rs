//! The limit on open descriptors.

use std::io;
use std::os::fd::RawFd;

use super::{cvt, platform};

/// Makes room for `wanted` open descriptors, as far as the system lets us, and returns how many are
/// allowed now.
///
/// The soft limit goes up to the hard one; root raises that too. Neither is ever lowered.
pub fn raise_descriptor_limit(wanted: u64) -> u64 {
    let Ok(old) = read() else {
        return wanted;
    };
    if old.soft < wanted {
        let both = Limit {
            soft: wanted,
            hard: old.hard.max(wanted),
        };
        let soft = Limit {
            soft: wanted.min(old.hard),
            hard: old.hard,
        };
        // Raising the hard limit fails for all but root and above what the kernel knows.
        let _ = write(&both).or_else(|_| write(&soft));
    }
    read().map_or(old.soft, |new| new.soft)
}

/// Closes the descriptors from `first` to `last`, one by one, as far as there may be any.
pub(super) fn close_each(first: RawFd, last: RawFd) {
    let allowed = read().map_or(CLOSED_MAX, |limit| limit.soft.min(CLOSED_MAX));
    for fd in first..=last.min(allowed as RawFd - 1) {
        // SAFETY: for a process that uses none of them any more; of one that is not open nothing
        // comes.
        unsafe { libc::close(fd) };
    }
}

/// Has descriptors from `first` on closed where another program takes the place of this one.
pub(super) fn close_each_on_exec(first: RawFd) {
    let allowed = read().map_or(CLOSED_MAX, |limit| limit.soft.min(CLOSED_MAX));
    for fd in first..allowed as RawFd {
        // SAFETY: takes numbers; of one that is not open nothing comes.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}

/// More than any process of ours has open.
const CLOSED_MAX: u64 = 1 << 20;

struct Limit {
    soft: u64,
    hard: u64,
}

fn read() -> io::Result<Limit> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is our own and outlives the call.
    cvt(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) })?;
    #[allow(
        clippy::unnecessary_cast,
        reason = "signed or narrower on some targets"
    )]
    Ok(Limit {
        soft: limit.rlim_cur as u64,
        hard: limit.rlim_max as u64,
    })
}

fn write(limit: &Limit) -> io::Result<()> {
    let limit = libc::rlimit {
        rlim_cur: limit.soft as libc::rlim_t,
        rlim_max: limit.hard as libc::rlim_t,
    };
    platform::set_descriptor_limit(&limit)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;
    use crate::sys::testing;

    #[test]
    fn the_soft_limit_rises_to_what_is_wanted() {
        let child = testing::in_child(|| {
            let hard = read().unwrap().hard;
            write(&Limit { soft: 64, hard }).unwrap();
            let answer = raise_descriptor_limit(100);
            u8::from(answer == 100 && read().unwrap().soft == 100)
        });
        assert_eq!(child.wait(), 1);
    }

    #[test]
    fn every_descriptor_from_one_on_can_be_closed() {
        let child = testing::in_child(|| {
            let (_reader, writer) = io::pipe().unwrap();
            let (low, high) = (writer.as_raw_fd(), writer.as_raw_fd() + 1);
            // SAFETY: makes a copy of a descriptor that is open, under a number that nobody has in
            // a child.
            let copied = unsafe { libc::dup2(low, high) } == high;
            close_each(high, RawFd::MAX);
            // SAFETY: takes numbers.
            let is_open = |fd| unsafe { libc::fcntl(fd, libc::F_GETFD) } != -1;
            u8::from(copied && is_open(low) && !is_open(high))
        });
        assert_eq!(child.wait(), 1);
    }

    #[test]
    fn nothing_is_lowered() {
        let before = read().unwrap();
        assert_eq!(raise_descriptor_limit(1), before.soft);
        assert_eq!(read().unwrap().hard, before.hard);
    }

    #[test]
    fn the_answer_is_what_is_in_force() {
        let child = testing::in_child(|| {
            let answer = raise_descriptor_limit(u64::MAX);
            u8::from(answer == read().unwrap().soft && answer >= 64)
        });
        assert_eq!(child.wait(), 1);
    }
}
