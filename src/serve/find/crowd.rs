//! Which rotated files are kept where there are more than are looked at. Pure.
//!
//! What the client has still to be sent matters most, the oldest of it first: the rest comes into
//! sight once that is sent, so a backlog of any length arrives.

use super::candidates::{Candidate, Candidates};
use crate::ids::Inode;
use crate::limits::CANDIDATES_MAX;

/// How far a client has come, as far as that is known before the files are searched.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Reached {
    /// The file of the generation that it holds. A client names no device: whatever has that inode
    /// is kept.
    pub own: Option<Inode>,
    /// Generations that were last written no later need not be sent. Without it none is known to
    /// have still to be sent, and the newest are kept.
    pub floor_ns: Option<u64>,
}

impl Reached {
    /// Whether a file may still have to be sent.
    fn is_unsent(&self, candidate: &Candidate) -> bool {
        let floor_ns = self.floor_ns;
        floor_ns.is_some_and(|floor_ns| candidate.written_ns > floor_ns)
    }

    /// Takes a file in, and gives up another one if there are too many.
    pub(super) fn keep(&self, found: &mut Candidates, candidate: Candidate) {
        found.push(candidate);
        if found.len() <= CANDIDATES_MAX {
            return;
        }
        let others = || found.iter().filter(|c| Some(c.age.id.inode) != self.own);
        let sent = || others().filter(|c| !self.is_unsent(c)).map(|c| c.age);
        // One that was sent stays, as a sign that those after it were not deleted to make room.
        let is_unsent = sent().count() < 2;
        let given_up = match is_unsent {
            true => others().filter(|c| self.is_unsent(c)).map(|c| c.age).max(),
            false => sent().min(),
        };
        if let Some(age) = given_up {
            found.give_up(age.id, is_unsent);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::ids::FileId;
    use crate::store::{Birth, Kind, Stat};

    const MAX: u64 = CANDIDATES_MAX as u64;

    /// The files that are kept of so many, written one after the other from 1 on.
    fn kept(reached: Reached, files: u64) -> Vec<u64> {
        let mut found = Candidates::default();
        // In no order that helps.
        for n in (1..=files).map(|n| n * 7 % files + 1) {
            let stat = Stat {
                id: FileId {
                    device: 1,
                    inode: Inode(n),
                },
                size: 1,
                mtime_ns: n,
                links: 1,
                kind: Kind::Regular,
            };
            reached.keep(
                &mut found,
                Candidate::new(Path::new("/v/m"), &stat, Birth::default()),
            );
        }
        assert_eq!(found.is_cut(), files > MAX);
        let mut inodes: Vec<u64> = found.iter().map(|c| c.age.id.inode.0).collect();
        inodes.sort_unstable();
        inodes
    }

    #[test]
    fn the_oldest_of_what_has_still_to_be_sent_is_kept() {
        let reached = |own: u64, floor_ns| Reached {
            own: Some(Inode(own)),
            floor_ns,
        };
        let range = |from: u64, to: u64| (from..=to).collect::<Vec<_>>();
        assert_eq!(kept(reached(5, None), MAX), range(1, MAX));
        // Nothing was sent.
        assert_eq!(
            kept(
                Reached {
                    own: None,
                    floor_ns: Some(0)
                },
                2_500
            ),
            range(1, MAX)
        );
        // 700 were, of which the last is kept, and the one that is held.
        assert_eq!(kept(reached(701, Some(700)), 2_500), range(700, 699 + MAX));
        // All but a few were: those that were sent last fill the list.
        assert_eq!(
            kept(reached(2_400, Some(2_399)), 2_500),
            range(2_501 - MAX, 2_500)
        );
        // Nothing is known but which one is held.
        let mut newest = range(2_502 - MAX, 2_500);
        newest.insert(0, 3);
        assert_eq!(kept(reached(3, None), 2_500), newest);
    }
}
