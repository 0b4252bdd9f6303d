//! What stands at the path of a file that is being sent, and what follows from it. Pure.

use std::io;

use crate::ids::FileId;
use crate::serve::find::refusal::Refusal;
use crate::store::{Kind, Stat};

/// What stands at the configured path now.
#[derive(Debug)]
pub enum AtPath {
    /// The file that is being sent.
    Same,
    /// The same, and yet it has no name: it was deleted where it was mounted from. Whoever writes
    /// the log has another file.
    Ghost,
    /// Another regular file.
    Other(FileId),
    /// Something that is never served.
    Odd(Kind),
    /// Nothing.
    Nothing,
    /// That cannot be told: the system does not let us look.
    Unknown(io::Error),
}

/// What is known of the file that is being sent.
#[derive(Clone, Copy)]
pub struct Own {
    /// It has a name still.
    pub has_name: bool,
    /// A file that comes after it is known, whatever stands at the path.
    pub has_next: bool,
    /// The client has all of it.
    pub is_sent: bool,
    /// For `$grace` neither it nor another regular file was seen at the path.
    pub is_astray: bool,
}

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// It is the live file: follow it on.
    Follow,
    /// Follow it on, and wait for what becomes of it.
    Wait,
    /// It is over, and what comes next can be told.
    End,
    /// It has a name still, though not that one. If it is one of the rotated files, its writer has
    /// not moved on and all is well; else tell.
    Seek,
    /// Tell the client that what is served is not there.
    Tell,
}

impl AtPath {
    /// What a look at the path has shown, while the file `own` is being sent.
    pub fn of(looked: io::Result<Stat>, own: FileId) -> AtPath {
        match looked {
            Ok(named) if named.id == own && named.links == 0 => AtPath::Ghost,
            Ok(named) if named.id == own => AtPath::Same,
            Ok(named) if named.kind == Kind::Regular => AtPath::Other(named.id),
            Ok(named) => AtPath::Odd(named.kind),
            Err(error) if error.kind() == io::ErrorKind::NotFound => AtPath::Nothing,
            Err(error) => AtPath::Unknown(error),
        }
    }

    /// Decides from the evidence. `is_quiet` finds out whether the file grows no more; it is asked
    /// only where that matters.
    pub fn step(&self, own: Own, is_quiet: impl FnOnce() -> bool) -> Step {
        match self {
            AtPath::Same => Step::Follow,
            // Whatever else is true, first the client is to have everything.
            _ if !own.is_sent => Step::Wait,
            // The writer may not have noticed yet.
            AtPath::Other(_) => match is_quiet() {
                true => Step::End,
                false => Step::Wait,
            },
            _ if own.has_next && is_quiet() => Step::End,
            // A rotator has its moment without a live file.
            _ if !own.is_astray => Step::Wait,
            AtPath::Nothing if own.has_name => Step::Seek,
            _ => Step::Tell,
        }
    }

    /// Why there is nothing at the path that could be served.
    pub fn into_refusal(self) -> Refusal {
        match self {
            AtPath::Odd(kind) => Refusal::NotRegular(kind),
            AtPath::Unknown(error) => Refusal::unreadable(error),
            AtPath::Ghost => Refusal::Unlinked,
            AtPath::Same | AtPath::Other(_) | AtPath::Nothing => Refusal::Missing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Inode;

    const EACCES: i32 = 13;
    const EIO: i32 = 5;
    const ENOENT: i32 = 2;
    const ENOTDIR: i32 = 20;
    const ELOOP: i32 = 40;

    fn stat(inode: u64, kind: Kind, links: u32) -> io::Result<Stat> {
        let id = FileId {
            device: 1,
            inode: Inode(inode),
        };
        Ok(Stat {
            id,
            size: 0,
            mtime_ns: 0,
            links,
            kind,
        })
    }

    fn seen(looked: io::Result<Stat>) -> AtPath {
        let own = FileId {
            device: 1,
            inode: Inode(1),
        };
        AtPath::of(looked, own)
    }

    /// All that a look may show, in a word each.
    fn looks() -> [(&'static str, AtPath); 12] {
        let fail = |errno| seen(Err(io::Error::from_raw_os_error(errno)));
        [
            ("same", seen(stat(1, Kind::Regular, 1))),
            ("ghost", seen(stat(1, Kind::Regular, 0))),
            ("other", seen(stat(2, Kind::Regular, 1))),
            ("link", seen(stat(2, Kind::Link, 1))),
            ("directory", seen(stat(2, Kind::Directory, 2))),
            ("special", seen(stat(2, Kind::Special, 1))),
            ("nothing", fail(ENOENT)),
            ("not permitted", fail(EACCES)),
            ("i/o", fail(EIO)),
            ("loop", fail(ELOOP)),
            ("no directory", fail(ENOTDIR)),
            ("gone above", fail(ENOENT)),
        ]
    }

    #[test]
    fn every_evidence_has_its_step() {
        for (what, at) in looks() {
            for bits in 0..32u8 {
                let [has_name, has_next, is_sent, is_astray, is_quiet] =
                    [1, 2, 4, 8, 16].map(|bit| bits & bit != 0);
                let own = Own {
                    has_name,
                    has_next,
                    is_sent,
                    is_astray,
                };
                let expected = match (what, is_sent, is_quiet) {
                    ("same", ..) => Step::Follow,
                    (_, false, _) => Step::Wait,
                    ("other", _, true) => Step::End,
                    ("other", _, false) => Step::Wait,
                    (_, _, true) if has_next => Step::End,
                    _ if !is_astray => Step::Wait,
                    ("nothing" | "gone above", ..) if has_name => Step::Seek,
                    _ => Step::Tell,
                };
                assert_eq!(at.step(own, || is_quiet), expected, "{what} {bits:05b}");
            }
        }
    }

    #[test]
    fn what_is_no_live_file_says_why() {
        for (what, at) in looks() {
            let refusal = at.into_refusal();
            let is_right = match what {
                "ghost" => matches!(refusal, Refusal::Unlinked),
                "same" | "other" | "nothing" | "gone above" => matches!(refusal, Refusal::Missing),
                "link" | "directory" | "special" => matches!(refusal, Refusal::NotRegular(_)),
                _ => matches!(refusal, Refusal::Unreadable(_)),
            };
            assert!(is_right, "{what}: {refusal:?}");
        }
    }
}
