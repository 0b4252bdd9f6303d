//! The memory of a server for classic clients: what it saw of generations between two of their
//! connections.
//!
//! A classic request names only an inode and an offset. Once that inode is gone, or the file was
//! truncated and has grown past the offset, the request alone no longer tells what the client
//! lacks. The server was there, though: it remembers when it last saw a generation written, and
//! whom it dropped because of a truncation. Both lists are bounded, the oldest entry goes first,
//! and what is forgotten is answered as fetchlogs 1.1 would have.

use std::net::IpAddr;

use heapless::Deque;

use super::troubles::Troubles;
use crate::ids::Inode;
use crate::limits::{SIGHTINGS_MAX, TRUNCATIONS_MAX};

/// Bounded memory of generations, one for a whole server.
#[derive(Default)]
pub struct Sightings {
    sightings: Deque<Sighting, SIGHTINGS_MAX>,
    truncations: Deque<Truncation, TRUNCATIONS_MAX>,
    /// The files that could not be given to clients.
    pub troubles: Troubles,
}

/// A generation as it was when it was last looked at while live.
struct Sighting {
    file: u32,
    inode: Inode,
    mtime_ns: u64,
    /// Its size once a client was sent all of it after its rotation.
    complete_at: Option<u64>,
    /// Its writer goes on behind that.
    left_behind: bool,
}

/// A client dropped because its generation was truncated.
#[derive(PartialEq, Eq)]
struct Truncation {
    peer: IpAddr,
    file: u32,
    inode: Inode,
    offset: u64,
}

impl Sightings {
    /// Nothing remembered.
    pub const fn new() -> Sightings {
        Sightings {
            sightings: Deque::new(),
            truncations: Deque::new(),
            troubles: Troubles::new(),
        }
    }

    /// Notes that `inode` is the live file of entry `file` and was last written at `mtime_ns`.
    pub fn saw_live(&mut self, file: u32, inode: Inode, mtime_ns: u64) {
        match self.sighting(file, inode) {
            Some(sighting) => {
                sighting.mtime_ns = mtime_ns;
                // It is live, so it goes on; or the inode was given to another file.
                sighting.complete_at = None;
            }
            None => self.add_sighting(file, inode, mtime_ns, None),
        }
    }

    /// Notes that a client was sent all `size` bytes of this generation of entry `file`, which is
    /// over.
    pub fn was_completed(&mut self, file: u32, inode: Inode, mtime_ns: u64, size: u64) {
        match self.sighting(file, inode) {
            Some(sighting) => sighting.complete_at = Some(size),
            None => self.add_sighting(file, inode, mtime_ns, Some(size)),
        }
    }

    /// Whether so many bytes were the whole of this generation. Its file may be gone since,
    /// compressed or deleted.
    pub fn is_complete(&self, file: u32, inode: Inode, size: u64) -> bool {
        let mut sightings = self.sightings.iter();
        // To the byte: with less the client lacks something, with more it holds another file.
        sightings.any(|s| s.file == file && s.inode == inode && s.complete_at == Some(size))
    }

    /// Notes that a client was sent `size` bytes of this generation, whose writer goes on and on:
    /// what it writes from there on is left to its own.
    pub fn was_left_behind(&mut self, file: u32, inode: Inode, mtime_ns: u64, size: u64) {
        self.was_completed(file, inode, mtime_ns, size);
        if let Some(sighting) = self.sighting(file, inode) {
            sighting.left_behind = true;
        }
    }

    /// Whether what this generation holds behind `offset` is left to its own.
    pub fn is_left_behind(&self, file: u32, inode: Inode, offset: u64) -> bool {
        let mut sightings = self.sightings.iter();
        sightings.any(|s| {
            // A client may hold more than that, from a connection on which the file was sent on for
            // longer.
            let is_behind = s.complete_at.is_some_and(|size| offset >= size);
            s.file == file && s.inode == inode && s.left_behind && is_behind
        })
    }

    /// When `inode` was last seen written while it was the live file of entry `file`. Every
    /// generation of that file written later is a newer one.
    pub fn last_written(&self, file: u32, inode: Inode) -> Option<u64> {
        self.sightings
            .iter()
            .find(|s| s.file == file && s.inode == inode)
            .map(|s| s.mtime_ns)
    }

    /// Notes that `peer`, which holds `offset` bytes of this generation, is being dropped because
    /// of a truncation, or because the file was deleted: what has this inode next is another
    /// generation.
    pub fn was_truncated(&mut self, peer: IpAddr, file: u32, inode: Inode, offset: u64) {
        push_out(
            &mut self.truncations,
            Truncation {
                peer,
                file,
                inode,
                offset,
            },
        );
    }

    /// Whether this request comes from a client that was dropped because of a truncation; it is
    /// forgotten thereby.
    pub fn take_truncation(&mut self, peer: IpAddr, file: u32, inode: Inode, offset: u64) -> bool {
        let asked = Truncation {
            peer,
            file,
            inode,
            offset,
        };
        // Once around the ring: what does not match is put back in the same order.
        let before = self.truncations.len();
        for _ in 0..before {
            // Several connections of one collector may have been dropped at one offset: all are
            // forgotten together.
            if let Some(kept) = self.truncations.pop_front().filter(|t| *t != asked) {
                let _ = self.truncations.push_back(kept);
            }
        }
        self.truncations.len() < before
    }

    fn sighting(&mut self, file: u32, inode: Inode) -> Option<&mut Sighting> {
        self.sightings
            .iter_mut()
            .find(|s| s.file == file && s.inode == inode)
    }

    fn add_sighting(&mut self, file: u32, inode: Inode, mtime_ns: u64, complete_at: Option<u64>) {
        let sighting = Sighting {
            file,
            inode,
            mtime_ns,
            complete_at,
            left_behind: false,
        };
        push_out(&mut self.sightings, sighting);
    }
}

/// Appends, dropping the oldest entry where the list is full.
fn push_out<T, const N: usize>(list: &mut Deque<T, N>, item: T) {
    if list.is_full() {
        list.pop_front();
    }
    let _ = list.push_back(item);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn the_last_sighting_counts() {
        let mut sightings = Sightings::new();
        sightings.saw_live(0, Inode(7), 100);
        sightings.saw_live(0, Inode(7), 200);
        assert_eq!(sightings.last_written(0, Inode(7)), Some(200));
        assert_eq!(sightings.last_written(1, Inode(7)), None);
        assert_eq!(sightings.last_written(0, Inode(8)), None);
    }

    #[test]
    fn the_oldest_sighting_goes_first() {
        let mut sightings = Sightings::new();
        for n in 0..=SIGHTINGS_MAX as u64 {
            sightings.saw_live(0, Inode(n + 1), n);
        }
        assert_eq!(sightings.last_written(0, Inode(1)), None);
        assert_eq!(sightings.last_written(0, Inode(2)), Some(1));
    }

    #[test]
    fn completeness_ends_where_the_inode_is_used_again() {
        let mut sightings = Sightings::new();
        sightings.was_completed(0, Inode(7), 100, 5);
        assert!(sightings.is_complete(0, Inode(7), 5));
        assert!(!sightings.is_complete(0, Inode(7), 4));
        assert!(!sightings.is_complete(1, Inode(7), 5));
        sightings.saw_live(0, Inode(7), 200);
        assert!(!sightings.is_complete(0, Inode(7), 5));
        sightings.was_completed(0, Inode(7), 300, 5);
        assert!(sightings.is_complete(0, Inode(7), 5));
        assert_eq!(sightings.last_written(0, Inode(7)), Some(200));
    }

    #[test]
    fn a_truncation_is_answered_once_and_only_to_the_one_it_met() {
        let mut sightings = Sightings::new();
        sightings.was_truncated(PEER, 0, Inode(7), 100);
        sightings.was_truncated(PEER, 0, Inode(7), 200);
        assert!(!sightings.take_truncation(PEER, 0, Inode(7), 101));
        assert!(!sightings.take_truncation(PEER, 1, Inode(7), 100));
        assert!(sightings.take_truncation(PEER, 0, Inode(7), 100));
        assert!(!sightings.take_truncation(PEER, 0, Inode(7), 100));
        assert!(sightings.take_truncation(PEER, 0, Inode(7), 200));
    }

    #[test]
    fn a_full_list_of_truncations_keeps_the_newest() {
        let mut sightings = Sightings::new();
        for n in 0..=TRUNCATIONS_MAX as u64 {
            sightings.was_truncated(PEER, 0, Inode(1), n);
        }
        assert!(!sightings.take_truncation(PEER, 0, Inode(1), 0));
        assert!(sightings.take_truncation(PEER, 0, Inode(1), TRUNCATIONS_MAX as u64));
    }
}
