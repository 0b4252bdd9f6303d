//! Capabilities: the parts of what root may do. The numbers are those of `linux/capability.h`,
//! which capabilities(7) explains.

use super::Network;

/// A set of capabilities, by their numbers.
pub type Set = u64;

const CHOWN: Set = 1 << 0;
const DAC_OVERRIDE: Set = 1 << 1;
const DAC_READ_SEARCH: Set = 1 << 2;
const FOWNER: Set = 1 << 3;
const NET_BIND_SERVICE: Set = 1 << 10;
const SYS_RESOURCE: Set = 1 << 24;
const LEASE: Set = 1 << 28;

/// What a daemon makes use of, if it has it.
pub fn of(daemon: Network) -> Set {
    match daemon {
        // It reads what is anybody's, listens anew at SIGHUP, and takes more descriptors.
        Network::Accepts => DAC_READ_SEARCH | NET_BIND_SERVICE | LEASE | SYS_RESOURCE,
        // It writes in directories of others, whose files keep their mode and group.
        Network::Connects => CHOWN | DAC_OVERRIDE | DAC_READ_SEARCH | FOWNER,
    }
}

/// Gives up all but `kept` for good. Nobody needs a privilege for that; where the system refuses it
/// all the same, nothing happens.
pub fn keep(kept: Set) {
    if let Some(sets) = held() {
        change(sets.map(|set| set & kept));
    }
}

/// The effective, permitted and inheritable capabilities of this thread.
pub(super) fn held() -> Option<[Set; 3]> {
    let (mut header, mut words) = (Header::OURS, [[0; 3]; 2]);
    // SAFETY: the kernel writes, if anything, the version it knows to the header, and two times
    // three words, as this version has them. Both outlive the call.
    let result = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, words.as_mut_ptr()) };
    let [low, high] = words.map(|words: [u32; 3]| words.map(Set::from));
    (result == 0).then(|| std::array::from_fn(|at| low[at] | high[at] << 32))
}

fn change(sets: [Set; 3]) {
    let mut header = Header::OURS;
    let words = [
        sets.map(|set| set as u32),
        sets.map(|set| (set >> 32) as u32),
    ];
    // SAFETY: the kernel reads two times three words, as this version has them, and may write the
    // version it knows to the header.
    unsafe { libc::syscall(libc::SYS_capset, &raw mut header, words.as_ptr()) };
}

/// `struct __user_cap_header_struct`.
#[repr(C)]
struct Header {
    version: u32,
    pid: libc::c_int,
}

impl Header {
    /// The version with 64 bits, of this thread.
    const OURS: Header = Header {
        version: 0x2008_0522,
        pid: 0,
    };
}
