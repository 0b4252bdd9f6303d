//! What short copies prove, and calls of the file system that fail.

use std::cell::Cell;
use std::io;
use std::path::Path;

use super::next::Left;
use super::*;
use crate::ids::FileId;
use crate::inside::fake::{Fake, Handle};
use crate::inside::search::{query_of, search};
use crate::serve::config::Config;
use crate::serve::find::journal::Journal;
use crate::store::{Names, Writers};
use crate::wire::proof::Proof;

/// A file system of which one call fails.
struct Flaky {
    disk: Fake,
    /// How many calls there are before that one.
    left: Cell<u32>,
}

impl Flaky {
    fn call(&self) -> io::Result<()> {
        match self.left.replace(self.left.get().wrapping_sub(1)) {
            0 => Err(io::Error::from_raw_os_error(5)),
            _ => Ok(()),
        }
    }

    /// Whether that call has come.
    fn has_failed(&self) -> bool {
        self.left.get() > u32::MAX / 2
    }
}

impl ReadStore for Flaky {
    type File = Handle;

    fn open(&self, path: &Path) -> io::Result<Handle> {
        self.call()?;
        ReadStore::open(&self.disk, path)
    }

    fn stat(&self, file: &Handle) -> io::Result<Stat> {
        self.call()?;
        ReadStore::stat(&self.disk, file)
    }

    fn stat_path(&self, path: &Path) -> io::Result<Stat> {
        self.call()?;
        ReadStore::stat_path(&self.disk, path)
    }

    fn read_at(&self, file: &Handle, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.call()?;
        ReadStore::read_at(&self.disk, file, buf, offset)
    }

    fn hole_end(&self, file: &Handle, offset: u64) -> u64 {
        self.disk.hole_end(file, offset)
    }

    fn writers(&self, file: &Handle) -> Writers {
        self.disk.writers(file)
    }

    fn boot(&self) -> u32 {
        self.disk.boot()
    }

    fn names(&self, dir: &Path) -> io::Result<Names> {
        self.call()?;
        ReadStore::names(&self.disk, dir)
    }
}

/// Three generations that begin alike, and a copy of the start of the live one.
fn disk() -> Fake {
    let disk = Fake::new();
    for (at_ms, path, inode, bytes) in [
        (1_000, "/v/m.2", 1, &b"begin of the first one"[..]),
        (2_000, "/v/m.1", 2, b"begin of the second one"),
        (3_000, "/v/m.0", 9, b"begin of the third"),
        (3_000, "/v/m", 3, b"begin of the third one"),
    ] {
        disk.at_ms(at_ms);
        disk.write_as(path, inode, bytes);
    }
    disk
}

/// Asks with every call failing in turn: either the answer is what it is without that, or it is
/// that something cannot be read.
fn never_wrong<T: PartialEq + std::fmt::Debug>(
    ask: impl Fn(&Query<'_, Flaky>) -> Result<T, Refusal>,
) {
    let config = Config::parse(b"$files{'/v/m'} = '/v/m.*[0-9]';").unwrap();
    let mut expected = None;
    for left in (0..200).rev() {
        let store = Flaky {
            disk: disk(),
            left: Cell::new(left),
        };
        let journal = Journal::new(1);
        let query = query_of(&store, &config, &journal);
        match (search(&query, |query| ask(query)), &expected) {
            (Ok(answer), None) if !store.has_failed() => expected = Some(answer),
            (Ok(answer), Some(expected)) => assert_eq!(answer, *expected, "call {left}"),
            (Err(Refusal::Unreadable(_)), _) if store.has_failed() => {}
            (Err(refusal), _) => panic!("call {left}: {refusal}"),
            (Ok(_), None) => panic!("too many calls"),
        }
    }
}

/// A copy, proved as a whole.
fn proof_of(copy: &[u8]) -> Proof {
    let block = Block {
        start: 0,
        len: copy.len() as u16,
        crc: crate::wire::proof::checksum(&mut copy.to_vec(), false),
    };
    Proof::from_iter([block])
}

#[test]
fn what_cannot_be_read_for_once_is_not_taken_for_another_file() {
    for (inode, copy) in [
        (1, &b"begin of"[..]),
        (2, b"begin of the second"),
        (3, b"begin of the third o"),
        (3, b"begin of the"),
        (77, b"begin of the second"),
        (77, b"begin of the"),
    ] {
        let request = Request {
            path: b"/v/m",
            inode: InodeWord::plain(Inode(inode)),
            offset: copy.len() as u64,
            v2: None,
        };
        let v2 = Extension {
            proof: proof_of(copy),
            mtime_ns: Some(500_000_000),
            ..Extension::default()
        };
        never_wrong(|query| {
            let choice = query.resume(&request, &v2)?;
            Ok((choice.stat.id, choice.offset, choice.reply))
        });
    }
}

#[test]
fn nor_overlooked_as_the_next_one() {
    let left = Left {
        id: Some(FileId {
            device: 1,
            inode: Inode(1),
        }),
        mtime_ns: 1_000_000_000,
        floor_ns: 500_000_000,
        then: None,
        seq: 0,
    };
    never_wrong(|query| {
        let next = query.next_after(&left)?;
        Ok((next.stat.id, next.then, next.after_loss))
    });
    never_wrong(|query| {
        let (_, own) = query.open_live()?.ok_or(Refusal::Missing)?;
        let copy = query.first_duplicate(own, None, 2_500_000_000, 0)?;
        Ok(copy.map(|copy| copy.stat.id))
    });
}

/// Which file somebody goes on with who holds so much of the file with inode 77, where, and whether
/// that is told as lost.
fn resumed(store: &Fake, copy: &[u8], floor_ns: u64) -> (u64, u64, Option<bool>) {
    let config = Config::parse(b"$files{'/v/m'} = '/v/m.*[0-9]';").unwrap();
    let journal = Journal::new(1);
    let query = query_of(store, &config, &journal);
    let request = Request {
        path: b"/v/m",
        inode: InodeWord::plain(Inode(77)),
        offset: copy.len() as u64,
        v2: None,
    };
    let v2 = Extension {
        proof: proof_of(copy),
        mtime_ns: Some(floor_ns),
        ..Extension::default()
    };
    let choice = search(&query, |query| query.resume(&request, &v2)).unwrap();
    let is_lost = choice.reply.v2.map(|terms| terms.lost);
    (choice.stat.id.inode.0, choice.offset, is_lost)
}

#[test]
fn a_later_file_that_begins_like_the_lost_one_is_not_taken_for_it() {
    let copy = b"begin of the";
    assert_eq!(resumed(&disk(), copy, 500_000_000), (1, 0, Some(true)));
    // What was deleted was older than that.
    assert_eq!(resumed(&disk(), copy, 1_000_000_000), (2, 12, Some(false)));
    assert_eq!(resumed(&disk(), copy, 0), (1, 12, Some(false)));
}

#[test]
fn a_short_copy_of_what_only_one_file_begins_with_is_known_again() {
    let copy = b"begin of the second";
    assert_eq!(resumed(&disk(), copy, 500_000_000), (2, 19, Some(false)));
}

#[test]
fn of_what_came_after_a_short_lost_copy_nothing_is_passed_over() {
    let disk = disk();
    disk.at_ms(900);
    disk.write_as("/v/m.3", 8, b"another beginning");
    let copy = b"begin of the";
    assert_eq!(resumed(&disk, copy, 500_000_000), (8, 0, Some(true)));
}

/// The file with this inode.
fn id(inode: u64) -> FileId {
    let inode = Inode(inode);
    FileId { device: 1, inode }
}

/// What comes after a generation in a file with this inode, and whether a loss is told.
fn next_of(store: &Fake, inode: u64, floor_ms: u64, then: Option<u64>) -> (u64, bool) {
    let config = Config::parse(b"$files{'/v/m'} = '/v/m.*';").unwrap();
    let journal = Journal::new(1);
    let query = query_of(store, &config, &journal);
    let left = Left {
        id: Some(id(inode)),
        mtime_ns: 0,
        floor_ns: floor_ms * 1_000_000,
        then: then.map(id),
        seq: 0,
    };
    let next = search(&query, |query| query.next_after(&left)).unwrap();
    (next.stat.id.inode.0, next.after_loss)
}

/// Rotated files with inodes from 1 on, and a live one with inode 9.
fn rotated(files: &[(&str, u64)]) -> Fake {
    let disk = Fake::new();
    for (inode, (path, at_ms)) in (1..).zip(files) {
        disk.at_ms(*at_ms);
        disk.write_as(path, inode, path.as_bytes());
    }
    disk.at_ms(9_000);
    disk.write_as("/v/m", 9, b"another line");
    disk
}

#[test]
fn two_numbers_that_times_contradict_are_a_doubt_that_is_told() {
    let disk = rotated(&[("/v/m.1", 1_000), ("/v/m.2", 2_000)]);
    // It may be the older one, that somebody touched.
    assert_eq!(next_of(&disk, 1, 500, None), (2, true));
    // It was there when that began.
    assert_eq!(next_of(&disk, 1, 2_000, None), (9, false));
    // It was seen that another one came next.
    assert_eq!(next_of(&disk, 1, 500, Some(9)), (9, false));
    // All is sent, and nothing is told once more.
    assert_eq!(next_of(&disk, 2, 1_000, None), (9, false));
    // Numbers and the time at which it began say the same.
    assert_eq!(next_of(&disk, 2, 500, None), (1, false));
}

#[test]
fn of_equal_times_without_a_name_that_tells_a_doubt_is_told() {
    let disk = rotated(&[("/v/m.a", 1_000), ("/v/m.b", 2_000), ("/v/m.c", 2_000)]);
    assert_eq!(next_of(&disk, 1, 500, None), (2, true));
    // What was not there when the last one began comes after it.
    assert_eq!(next_of(&disk, 2, 1_000, None), (3, false));
    assert_eq!(next_of(&disk, 3, 2_000, None), (9, false));
}

#[test]
fn where_names_and_times_agree_nothing_is_told() {
    let disk = rotated(&[("/v/m.2", 1_000), ("/v/m.1", 2_000)]);
    assert_eq!(next_of(&disk, 1, 500, None), (2, false));
    assert_eq!(next_of(&disk, 2, 1_000, None), (9, false));
}
