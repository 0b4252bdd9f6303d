//! Landlock: which files and which half of TCP a process can reach. The numbers are those of
//! `linux/landlock.h`, which landlock(7) explains.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{FileId, Network, Reach, Right};
use crate::sys::{cvt, env, files, once_more};

const EXECUTE: u64 = 1 << 0;
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
const REMOVE_FILE: u64 = 1 << 5;
const MAKE_DIR: u64 = 1 << 7;
const MAKE_REG: u64 = 1 << 8;
/// From version 3 on; before it truncation cannot be forbidden.
const TRUNCATE: u64 = 1 << 14;
const IOCTL_DEV: u64 = 1 << 15;

const WRITE: u64 = READ_FILE | READ_DIR | WRITE_FILE | MAKE_REG | REMOVE_FILE | TRUNCATE;

/// What can be said of a file that is no directory.
const OF_FILES: u64 = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV;

const BIND_TCP: u64 = 1 << 0;
const CONNECT_TCP: u64 = 1 << 1;

/// Sockets without a file are connected to only behind the same walls.
const SCOPE_ABSTRACT: u64 = 1 << 0;
/// Signals reach only processes behind the same walls.
const SCOPE_SIGNAL: u64 = 1 << 1;

const CREATE_RULESET_VERSION: u32 = 1;
const RULE_PATH_BENEATH: u32 = 1;

/// `struct landlock_ruleset_attr`. Older versions know only its first fields.
#[repr(C)]
#[derive(Default)]
struct Handled {
    files: u64,
    network: u64,
    scoped: u64,
}

/// `struct landlock_path_beneath_attr`.
#[repr(C, packed)]
struct Beneath {
    allowed: u64,
    parent: i32,
}

/// The version of the interface; 0 if the kernel has none or it is switched off.
pub fn version() -> u32 {
    let nothing = std::ptr::null::<Handled>();
    let ask = || {
        // SAFETY: without an attribute the call only tells the version.
        cvt(unsafe {
            libc::syscall(
                libc::SYS_landlock_create_ruleset,
                nothing,
                0usize,
                CREATE_RULESET_VERSION,
            )
        })
    };
    // It is asked for more than once in the life of a process. An error that passes must not leave
    // a confined one without a helper.
    once_more(ask).map_or(0, |version| u32::try_from(version).unwrap_or(0))
}

/// Leaves only `reaches` and one half of TCP to this thread and its children, by an interface of
/// this version. Tells of each reach which file it stands for, `None` where there is none. The
/// process has to have no way to new privileges already.
pub fn restrict(
    version: u32,
    reaches: &[Reach],
    network: Network,
) -> io::Result<Vec<Option<FileId>>> {
    let ruleset = create(version, network)?;
    let allow = |reach: &Reach| allow(&ruleset, version, reach).transpose();
    let laid = reaches.iter().map(|reach| allow(reach).transpose());
    let laid = laid.collect::<io::Result<Vec<_>>>()?;
    // SAFETY: takes numbers.
    cvt(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0u32) })?;
    Ok(laid)
}

fn create(version: u32, network: Network) -> io::Result<OwnedFd> {
    let handled = handled(version, network);
    let len = match version {
        0..4 => 8,
        4..6 => 16,
        6.. => size_of::<Handled>(),
    };
    // SAFETY: the kernel reads `len` bytes of the structure, which has no fewer.
    let ruleset = cvt(unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            &raw const handled,
            len,
            0u32,
        )
    })?;
    // SAFETY: the descriptor is new and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(ruleset as i32) })
}

fn handled(version: u32, network: Network) -> Handled {
    let bits = match version {
        0 | 1 => 13,
        2 => 14,
        3 | 4 => 15,
        5.. => 16,
    };
    let mut handled = Handled {
        files: (1 << bits) - 1,
        ..Handled::default()
    };
    if version >= 4 {
        handled.network = match network {
            Network::Accepts => CONNECT_TCP,
            Network::Connects => BIND_TCP,
        };
    }
    if version >= 6 {
        handled.scoped = SCOPE_SIGNAL;
        // A service manager may listen at such a one.
        let manager = env::variable(c"NOTIFY_SOCKET");
        if !manager.is_some_and(|name| name.as_encoded_bytes().starts_with(b"@")) {
            handled.scoped |= SCOPE_ABSTRACT;
        }
    }
    handled
}

fn allow(ruleset: &OwnedFd, version: u32, reach: &Reach) -> io::Result<Option<FileId>> {
    let Some(parent) = open(&reach.path) else {
        return Ok(None);
    };
    let found = parent.metadata()?;
    let mut allowed = match reach.right {
        Right::Read => READ_FILE | READ_DIR,
        Right::Write => WRITE,
        Right::Grow => WRITE | MAKE_DIR,
    };
    allowed &= handled(version, Network::Accepts).files;
    if !found.is_dir() {
        allowed &= OF_FILES;
    }
    let rule = Beneath {
        allowed,
        parent: parent.as_raw_fd(),
    };
    // SAFETY: the kernel reads the structure, whose form belongs to this kind of rule, and the
    // descriptor in it is open during the call.
    cvt(unsafe {
        libc::syscall(
            libc::SYS_landlock_add_rule,
            ruleset.as_raw_fd(),
            RULE_PATH_BENEATH,
            &raw const rule,
            0u32,
        )
    })?;
    Ok(Some((found.dev(), found.ino())))
}

/// A file by name only, with no right to it; `None` if it cannot be reached anyway.
fn open(path: &Path) -> Option<File> {
    // What fails for a moment, for want of memory or descriptors, would be shut out until somebody
    // notices.
    once_more(|| files::open(path, libc::O_PATH)).ok()
}
