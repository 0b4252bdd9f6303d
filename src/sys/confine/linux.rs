//! The walls that Linux has.

use std::io;

use super::{Abilities, FileId, Network, Reach, capabilities, filter, landlock};
use crate::sys::cvt;

/// What [`super::abilities`] tells.
pub fn abilities() -> Abilities {
    Abilities {
        landlock: landlock::version(),
        filter: filter::is_there(),
    }
}

/// Builds all of them. Tells which file each reach stands for, or nothing if files are not
/// confined.
pub fn confine(reaches: &[Reach], network: Network) -> io::Result<Option<Vec<Option<FileId>>>> {
    let abilities = abilities();
    set(libc::PR_SET_NO_NEW_PRIVS, 1)?;
    // SAFETY: takes and touches nothing and cannot fail.
    if unsafe { libc::geteuid() } == 0 {
        // Nobody reads this one's memory or traces it but whoever may trace all. setuid(2) has the
        // same effect; for a user without privileges there is nothing to win by it.
        set(libc::PR_SET_DUMPABLE, 0)?;
    }
    capabilities::keep(capabilities::of(network));
    let laid = match abilities.landlock {
        0 => None,
        version => Some(landlock::restrict(version, reaches, network)?),
    };
    if abilities.filter {
        filter::install(network)?;
    }
    Ok(laid)
}

fn set(option: libc::c_int, value: libc::c_ulong) -> io::Result<()> {
    const UNUSED: libc::c_ulong = 0;
    // SAFETY: takes numbers.
    cvt(unsafe { libc::prctl(option, value, UNUSED, UNUSED, UNUSED) }).map(drop)
}
