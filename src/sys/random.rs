//! The random seed: a number that nobody can guess, for jitter and for the blocks that a proof is
//! made of.

use std::io::{self, Read};
use std::path::Path;

#[cfg(feature = "noise")]
use super::{again, cvt};
use super::{clock, files};

/// A fresh seed. Where the system has no randomness to give, the process's number and the clocks
/// must do.
pub fn random_seed() -> u64 {
    from_system().unwrap_or_else(|_| from_circumstances())
}

/// Bytes for a key, by getrandom(2), and by nothing else: it waits until the system has gathered
/// enough randomness to give.
#[cfg(feature = "noise")]
pub fn secret() -> io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    let mut filled = 0;
    while filled < bytes.len() {
        let rest = &mut bytes[filled..];
        let (place, len) = (rest.as_mut_ptr().cast(), rest.len());
        // SAFETY: the call writes at most so many bytes, and the place for them outlives it.
        let got = again(|| cvt(unsafe { libc::getrandom(place, len, 0) }))?;
        filled += got as usize;
    }
    Ok(bytes)
}

fn from_system() -> io::Result<u64> {
    let mut bytes = [0; 8];
    // Not getrandom(2), which waits on a box that has just started and has gathered no randomness
    // yet.
    let mut device = files::open(Path::new("/dev/urandom"), libc::O_RDONLY)?;
    device.read_exact(&mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}

fn from_circumstances() -> u64 {
    let now = clock::now();
    let pid = u64::from(std::process::id());
    // Rotations keep the quickly changing low bits of the three apart.
    now.wall.ms() ^ now.mono.ms().rotate_left(24) ^ pid.rotate_left(48)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_seeds_are_alike() {
        assert_ne!(random_seed(), random_seed());
        assert_ne!(from_system().unwrap(), from_system().unwrap());
    }

    #[test]
    fn circumstances_give_a_seed_too() {
        assert_ne!(from_circumstances(), 0);
        assert_ne!(from_circumstances() >> 48, 0);
    }
}
