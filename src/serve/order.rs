//! The order of generations: by what their names say where all of them are of one family, such as `m.1`, `m.2`; else
//! by their last write, which renaming does not change.
//!
//! A name is the rotator's own word. A last write can be late: a writer that did not notice the rotation, or a `touch`,
//! makes an old file look young.

use std::cmp::Ordering;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::ids::Inode;
use crate::store::Stat;
use crate::wire::crc32::Crc32;

/// How old a generation is: the newer one is the greater.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Age {
    mtime_ns: u64,
    rank: i64,
    /// What the name has besides digits.
    family: u32,
    /// All that it is compared with are of one family.
    by_name: bool,
    /// The file.
    pub inode: Inode,
}

impl Ord for Age {
    fn cmp(&self, other: &Age) -> Ordering {
        let written = self.mtime_ns.cmp(&other.mtime_ns);
        let named = self.rank.cmp(&other.rank);
        let order = match self.by_name && other.by_name {
            true => named.then(written),
            false => written.then(named),
        };
        order.then(self.inode.cmp(&other.inode))
    }
}

impl PartialOrd for Age {
    fn partial_cmp(&self, other: &Age) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Age {
    /// The age of a rotated file.
    pub fn of(path: &Path, stat: &Stat) -> Age {
        let name = path.file_name().map_or(&b""[..], OsStrExt::as_bytes);
        Age {
            mtime_ns: stat.mtime_ns,
            rank: rank(name),
            family: family(name),
            by_name: false,
            inode: stat.id.inode,
        }
    }

    /// Whether the names of both differ in nothing but digits.
    pub fn is_of_family(&self, other: &Age) -> bool {
        self.family == other.family
    }

    /// From here on the name decides, where the other's does too.
    pub fn go_by_name(&mut self) {
        self.by_name = true;
    }

    /// The age of a generation of which only its last write is known: older than all that were written at the same
    /// moment or later.
    pub fn at(mtime_ns: u64, inode: Inode) -> Age {
        Age {
            mtime_ns,
            rank: i64::MIN,
            family: 0,
            by_name: false,
            inode,
        }
    }

    /// Whether both tell of the same file under a name of the same meaning; it may have been written to in between.
    pub fn is_same_place(&self, other: &Age) -> bool {
        (self.rank, self.inode) == (other.rank, other.inode)
    }
}

impl Age {
    /// The age of a generation that everything written no later than this moment is older than, or as old as.
    pub fn floor(mtime_ns: u64) -> Age {
        Age {
            mtime_ns,
            rank: i64::MAX,
            family: 0,
            by_name: false,
            inode: Inode(u64::MAX),
        }
    }

    /// The last write.
    pub fn mtime_ns(self) -> u64 {
        self.mtime_ns
    }
}

/// The oldest of those that are newer than `after`.
pub fn next_newer(ages: impl Iterator<Item = Age>, after: Age) -> Option<Age> {
    ages.filter(|age| *age > after && age.inode != after.inode)
        .min()
}

/// Whether a name says that the file is compressed, and so not a plain log any more.
pub fn is_compressed(path: &Path) -> bool {
    const ENDINGS: [&str; 6] = ["gz", "bz2", "xz", "zst", "lz4", "Z"];
    path.extension()
        .is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known))
}

/// The name without its digits, as a checksum.
fn family(name: &[u8]) -> u32 {
    let is_stamp = tai64n_nanos(name).is_some();
    let mut crc = Crc32::new();
    for run in name.split(|b| b.is_ascii_digit() || (is_stamp && b.is_ascii_hexdigit())) {
        if !run.is_empty() {
            crc.update(run).update(b"0");
        }
    }
    crc.finish()
}

/// What a rotated file's name tells of its place: the newer one has the greater rank. A number counts rotations since
/// (`m.1` is newer than `m.2`), a date or a stamp of eight and more digits counts upwards.
fn rank(name: &[u8]) -> i64 {
    if let Some(stamp) = tai64n_nanos(name) {
        return stamp;
    }
    let mut digits = name
        .split(|b| !b.is_ascii_digit())
        .filter(|run| !run.is_empty());
    let long = digits.clone().find(|run| run.len() >= 8);
    match long {
        Some(run) => number(run),
        None => digits.next_back().map_or(0, |run| -number(run)),
    }
}

/// The moment in a name like `@4000000068f0a1b21d8e3f2c.s`, as svlogd, s6-log and multilog write it: seconds since 1970
/// and 2^62, then nanoseconds. They may rotate several times in a second.
fn tai64n_nanos(name: &[u8]) -> Option<i64> {
    let digits = name.strip_prefix(b"@")?;
    let secs = hexadecimal(digits.get(..16)?)?.saturating_sub(1 << 62);
    let nanos = digits.get(16..24).and_then(hexadecimal).unwrap_or(0);
    let moment = secs.saturating_mul(1_000_000_000).saturating_add(nanos);
    Some(i64::try_from(moment).unwrap_or(i64::MAX))
}

/// At most 16 hexadecimal digits as a number.
fn hexadecimal(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0u64, |value, &byte| {
        let digit = (byte as char).to_digit(16)?;
        Some(value << 4 | u64::from(digit))
    })
}

/// A run of digits as a number; the largest there is if it does not fit.
fn number(run: &[u8]) -> i64 {
    run.iter().fold(0i64, |value, &byte| {
        value
            .saturating_mul(10)
            .saturating_add(i64::from(byte - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::FileId;
    use crate::store::Kind;

    fn age(name: &str, mtime_ns: u64, inode: u64) -> Age {
        let id = FileId {
            device: 1,
            inode: Inode(inode),
        };
        let stat = Stat {
            id,
            size: 0,
            mtime_ns,
            links: 1,
            kind: Kind::Regular,
        };
        Age::of(Path::new(name), &stat)
    }

    #[test]
    fn the_last_write_decides() {
        assert!(age("/v/m.1", 10, 1) < age("/v/m.2", 11, 2));
    }

    #[test]
    fn names_break_ties() {
        for (older, newer) in [
            ("/v/m.2", "/v/m.1"),
            ("/v/m.10", "/v/m.9"),
            ("/v/m.1", "/v/m.0"),
            ("/v/m-20261121", "/v/m-20261122"),
            ("/v/log4.2", "/v/log4.1"),
            (
                "/v/@4000000068f0a1b21d8e3f2c.s",
                "/v/@4000000068f0a1b31d8e3f2c.s",
            ),
            (
                "/v/@4000000068f0a1b21d8e3f2c.s",
                "/v/@4000000068f0a1b21d8e3f2d.u",
            ),
        ] {
            assert!(age(older, 5, 1) < age(newer, 5, 2), "{older} {newer}");
            assert!(age(older, 5, 2) < age(newer, 5, 1), "{older} {newer}");
        }
    }

    #[test]
    fn where_all_are_of_one_family_the_names_decide() {
        for (older, newer) in [
            ("/v/m.2", "/v/m.1"),
            ("/v/m.10", "/v/m.9"),
            ("/v/m-20261121", "/v/m-20261122"),
            (
                "/v/@4000000068f0a1b21d8e3f2c.s",
                "/v/@4000000068f0a1b21d8e3f2d.s",
            ),
        ] {
            let (mut older, mut newer) = (age(older, 99, 1), age(newer, 5, 2));
            assert!(older.is_of_family(&newer));
            older.go_by_name();
            assert!(older > newer, "one of them still goes by its last write");
            newer.go_by_name();
            assert!(older < newer);
        }
        assert!(!age("/v/m.1", 1, 1).is_of_family(&age("/v/m-20261122", 1, 2)));
        assert!(!age("/v/m.1", 1, 1).is_of_family(&age("/v/n.1", 1, 2)));
    }

    #[test]
    fn next_newer_steps_through_all_of_them() {
        let all = [
            age("/v/m.3", 1, 30),
            age("/v/m.2", 1, 20),
            age("/v/m.1", 7, 10),
        ];
        let mut at = Age::at(0, Inode(99));
        let mut seen = Vec::new();
        while let Some(next) = next_newer(all.iter().copied(), at) {
            seen.push(next.inode.0);
            at = next;
        }
        assert_eq!(seen, [30, 20, 10]);
    }

    #[test]
    fn a_remembered_generation_is_not_its_own_successor() {
        let all = [age("/v/m.1", 7, 10)];
        assert_eq!(next_newer(all.into_iter(), Age::at(7, Inode(10))), None);
        assert_eq!(
            next_newer(all.into_iter(), Age::at(7, Inode(11))),
            Some(all[0])
        );
    }

    #[test]
    fn compressed_names_are_recognised() {
        for name in ["m.1.gz", "m.0.bz2", "m.xz", "m.1.zst", "m.lz4", "m.Z"] {
            assert!(is_compressed(Path::new(name)), "{name}");
        }
        for name in ["m.1", "gz", "m.gzip", "m.z", "m-20261122", ".gz"] {
            assert!(!is_compressed(Path::new(name)), "{name}");
        }
    }

    #[test]
    fn odd_names_have_a_rank_too() {
        for name in [
            "",
            "@",
            "@zz",
            "99999999999999999999999",
            "a",
            "@ffffffffffffffffffffffff",
        ] {
            let _ = rank(name.as_bytes());
        }
    }
}
