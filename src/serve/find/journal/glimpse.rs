//! What a look finds of a file: which one it is, and how it begins and ends. Pure.

use std::io;
use std::path::Path;

use super::record::Head;
use crate::ids::Identity;
use crate::store::{Kind, ReadStore, Stat};
use crate::wire::proof::{self, HEAD_LEN};

/// What a look finds at a path.
pub struct Glimpse {
    pub(super) stat: Stat,
    pub(super) identity: Identity,
    /// When it was made; `None` where that is not known.
    pub(super) begun_ns: Option<u64>,
    pub(super) begins: Begins,
}

impl Glimpse {
    /// Looks at a path.
    #[inline(never)]
    pub fn at<S: ReadStore>(path: &Path, store: &S) -> io::Result<Glimpse> {
        let stat = store.stat_path(path)?;
        let birth = store.birth(path, stat.id.device);
        Ok(Glimpse {
            stat,
            identity: Identity {
                id: stat.id,
                born: birth.born,
            },
            begun_ns: birth.at_ns,
            begins: match is_regular(&stat) {
                true => begins(path, &stat, Head::default(), store),
                false => Begins::Unread,
            },
        })
    }
}

/// Whether it is a file that may be a generation.
pub(super) fn is_regular(stat: &Stat) -> bool {
    stat.kind == Kind::Regular
}

/// How a file begins.
#[derive(PartialEq, Eq)]
pub(super) enum Begins {
    /// With what was seen before, and with these bytes.
    With(Head, Ends),
    /// With others.
    Otherwise,
    /// It could not be read.
    Unread,
}

// As wide as a word: what is handed on with it has no gaps, which are copied byte by byte.
/// How a file ends.
#[derive(PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Ends {
    /// In zeros, which may be there ahead of what is to be written in their place.
    InZeros,
    /// In bytes that were written.
    Written,
}

/// Compares the first bytes of a live file with those that were seen before, and tells as many as
/// there are now.
#[inline(never)]
pub(super) fn begins<S: ReadStore>(path: &Path, stat: &Stat, before: Head, store: &S) -> Begins {
    let wanted = usize::try_from(stat.size).unwrap_or(HEAD_LEN).min(HEAD_LEN);
    let mut buf = [0; HEAD_LEN];
    let mut last = [0; 1];
    let read = store.open(path).and_then(|file| {
        let is_it = store.stat(&file)?.id == stat.id;
        let read = store.read_at(&file, &mut buf[..wanted], 0)?;
        store.read_at(&file, &mut last, stat.size.saturating_sub(1))?;
        Ok(is_it.then_some(read))
    });
    let Ok(Some(len)) = read else {
        return Begins::Unread;
    };
    let seen = usize::from(before.len);
    let is_same = seen == 0
        || buf[..len]
            .get_mut(..seen)
            .is_some_and(|head| proof::checksum(head, false) == before.crc);
    if !is_same {
        return Begins::Otherwise;
    }
    let ends = match last == [0] && stat.size > 0 {
        true => Ends::InZeros,
        false => Ends::Written,
    };
    let zeros = buf[..len].iter().rev().take_while(|byte| **byte == 0);
    let len = len - zeros.count();
    Begins::With(Head::of(&mut buf[..len]), ends)
}
