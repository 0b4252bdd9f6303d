//! The order of generations: by their last write, which renaming does not change; ties by what
//! their names say. Names of one series know better than a clock that was set.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::ids::{FileId, Inode};
use crate::store::Stat;
use crate::wire::crc32::Crc32;

/// The age of a generation: the newer one is the greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Age {
    /// Its number in the journal, which counts more than anything else; 0 for what was there before
    /// the journal began.
    pub seq: u32,
    mtime_ns: u64,
    rank: i64,
    /// The file; last, so that it only keeps two of them apart.
    pub id: FileId,
}

impl Age {
    /// The age of a rotated file.
    pub fn of(path: &Path, stat: &Stat) -> Age {
        // The name alone: a number in the name of a directory is the same for all files in it.
        let name = path.file_name().map_or(&b""[..], OsStrExt::as_bytes);
        Age {
            seq: 0,
            mtime_ns: stat.mtime_ns,
            rank: rank(name),
            id: stat.id,
        }
    }

    /// The least age with this last write, for a generation whose name is not known: whatever else
    /// was written at that moment or later is newer.
    pub fn at(mtime_ns: u64, id: FileId) -> Age {
        Age {
            seq: 0,
            mtime_ns,
            rank: i64::MIN,
            id,
        }
    }

    /// The greatest age with this last write: whatever was written by then is no newer.
    pub fn floor(mtime_ns: u64) -> Age {
        Age {
            seq: 0,
            mtime_ns,
            rank: i64::MAX,
            id: FileId {
                device: u64::MAX,
                inode: Inode(u64::MAX),
            },
        }
    }

    /// The same with this number in the journal.
    pub fn numbered(self, seq: u32) -> Age {
        Age { seq, ..self }
    }

    /// The last write.
    pub fn mtime_ns(self) -> u64 {
        self.mtime_ns
    }
}

/// Rotated files whose names differ in one number only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Series {
    /// A checksum of what stands around the number.
    words: u32,
    /// The number counts rotations, like that of `m.3`, and does not come from a clock, like that
    /// of `m-20261122`.
    pub counts: bool,
}

/// The series that a name belongs to.
pub fn series(path: &Path) -> Option<Series> {
    let name = path.file_name()?.as_bytes();
    // The runs of digits, each with its place in the name.
    let runs = name
        .chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit())
        .scan(0, |end, run| {
            *end += run.len();
            Some((*end - run.len()..*end, run))
        })
        .filter(|(_, run)| run.first().is_some_and(u8::is_ascii_digit))
        .map(|(place, _)| place);
    // A stamp is the number wherever it stands, `m-20261122.1` too; without one it is the last
    // number, as in `app2.log.3`, where the 2 belongs to the words.
    let stamp = match tai64n_nanos(name) {
        Some(_) => Some(1..TAI64N_LEN.min(name.len())),
        None => runs.clone().find(|place| place.len() >= STAMP_LEN_MIN),
    };
    let counts = stamp.is_none();
    let number = stamp.or_else(|| runs.last())?;
    let mut crc = Crc32::new();
    crc.update(name.get(..number.start)?);
    // Keeps `a1.b` and `1a.b` apart, whose words without the number would be the same bytes.
    crc.update(b"#");
    crc.update(name.get(number.end..)?);
    Some(Series {
        words: crc.finish(),
        counts,
    })
}

/// Brings the ages of the files of one series into the order of their names, where the times of
/// their last writes say otherwise: clocks are set, and who writes to a rotated file does not
/// rotate it anew. No age becomes less. Where names say nothing, as [`names_decide`] tells, the
/// ages stay.
pub fn follow_names(ages: &mut [&mut Age]) {
    if !names_decide(ages) {
        return;
    }
    // Oldest first by name; whoever was written "before" an older one is lifted to that one's time,
    // and the rank decides between them.
    let mut newest_ns = 0;
    for age in ages {
        newest_ns = age.mtime_ns.max(newest_ns);
        age.mtime_ns = newest_ns;
    }
}

/// Whether names know better than times which of the files of one series is newer. Brings them into
/// that order.
pub fn names_decide(ages: &mut [&mut Age]) -> bool {
    // The inode only keeps the result the same from one look to the next.
    ages.sort_unstable_by_key(|age| (age.rank, age.id));
    // `m.1` beside `m.01`: names that say the same do not tell which is newer.
    let is_ambiguous = ages.windows(2).any(|pair| pair[0].rank == pair[1].rank);
    !is_ambiguous && may_count_since(ages) && !counts_upwards(ages)
}

/// Whether the numbers can be those of a rotator that begins with 0 or 1 and leaves out none; one
/// may be missing while it renames. Stamps can always be what they say.
fn may_count_since(ages: &[&mut Age]) -> bool {
    // Ranks of numbers are negative, so the first has the greatest number, which is the oldest.
    let (Some(greatest), Some(least)) = (ages.first(), ages.last()) else {
        return false;
    };
    let is_stamp = least.rank > 0;
    // How many names there are from the first that the rotator gives up to the greatest one.
    let places = greatest.rank.unsigned_abs() + u64::from(least.rank == 0);
    is_stamp || places <= ages.len() as u64 + 1
}

/// Whether the times say of every single file that a greater number is newer. Two files count
/// upwards only if both numbers are 2 or more, since a rotator that counts the other way begins
/// with 0 or 1. From five files on the numbers may have begun anew once, like those of weekdays.
///
/// Stamps come in here the other way round, the least one first. For three or more it is true if
/// the times contradict the stamps at every step; then those are no dates, and the times decide.
fn counts_upwards(ages: &[&mut Age]) -> bool {
    let [first, .., last] = ages else {
        return false;
    };
    let pairs = ages.len() - 1;
    // From the greatest number down to the least (from the least stamp up to the greatest): each
    // step at which the time goes back.
    let falls = ages
        .windows(2)
        .filter(|pair| pair[1].mtime_ns < pair[0].mtime_ns)
        .count();
    // Steps at which the time does not go back. None: a greater number is newer throughout. One:
    // the place where the numbers began anew, if all of the low ones are newer than all of the high
    // ones.
    match pairs - falls {
        0 => pairs > 1 || last.rank < -1,
        1 => pairs > 3 && last.rank <= 0 && last.mtime_ns > first.mtime_ns,
        _ => false,
    }
}

/// The oldest of those that are newer than `after`.
pub fn next_newer(ages: impl Iterator<Item = Age>, after: Age) -> Option<Age> {
    // The file itself may have been written to since, and would else come after itself.
    ages.filter(|age| *age > after && age.id != after.id).min()
}

/// Whether the name of a rotated file is that of the live one with a number, a date, a time or `old`
/// and nothing else, as rotators give it.
pub fn is_plain(path: &Path, live: &Path) -> bool {
    let (Some(name), Some(live)) = (path.file_name(), live.file_name()) else {
        return false;
    };
    let (name, live) = (name.as_bytes(), live.as_bytes());
    let dot = live.iter().rposition(|byte| *byte == b'.');
    let (stem, ending) = live.split_at(dot.unwrap_or(live.len()));
    let within = || name.strip_prefix(stem)?.strip_suffix(ending);
    let added = [name.strip_prefix(live), name.strip_suffix(live), within()];
    tai64n_nanos(name).is_some() || added.into_iter().flatten().any(is_plain_addition)
}

/// Whether that is all that a rotator adds to a name.
fn is_plain_addition(added: &[u8]) -> bool {
    let is_mark = |byte: &u8| b".-_:+@TZ".contains(byte);
    let is_number = |word: &[u8]| word.iter().all(u8::is_ascii_digit);
    let mut words = added.split(is_mark).filter(|word| !word.is_empty());
    // Digits right beside the name may belong to it.
    let is_apart = added.first().is_some_and(is_mark) || added.last().is_some_and(is_mark);
    let is_stamp = added.len() >= STAMP_LEN_MIN;
    (is_apart || is_stamp) && words.all(|word| is_number(word) || word == b"old")
}

/// Whether a name says that the file is compressed, and so not a plain log any more.
pub fn is_compressed(path: &Path) -> bool {
    const ENDINGS: [&str; 6] = ["gz", "bz2", "xz", "zst", "lz4", "Z"];
    // By the name alone: to look at the first bytes of each would take two more system calls a
    // file.
    path.extension()
        .is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known))
}

/// Digits of a date, at least; shorter numbers count rotations.
const STAMP_LEN_MIN: usize = 8;

/// Bytes of `@` and the label in the names that svlogd, s6-log and multilog give.
const TAI64N_LEN: usize = 25;

/// What a rotated file's name tells of its place: the newer one has the greater rank. A number says
/// how many rotations ago (`m.1` is newer than `m.2`), a date or a stamp of eight and more digits
/// counts upwards.
fn rank(name: &[u8]) -> i64 {
    if let Some(stamp) = tai64n_nanos(name) {
        return stamp;
    }
    let mut digits = name
        .split(|b| !b.is_ascii_digit())
        .filter(|run| !run.is_empty());
    // The first of the long ones: behind a date there may be a time of day or a process, as long.
    let long = digits.clone().find(|run| run.len() >= STAMP_LEN_MIN);
    match long {
        Some(run) => number(run),
        // Negative, since a number says how many rotations ago: 1 is newer than 2. Newest of all
        // are 0 and no number, which have the same rank.
        None => digits.next_back().map_or(0, |run| -number(run)),
    }
}

/// The moment in a name like `@4000000068f0a1b21d8e3f2c.s`, as svlogd, s6-log and multilog write
/// it: seconds since 1970 and 2^62, then nanoseconds. They may rotate several times in a second.
fn tai64n_nanos(name: &[u8]) -> Option<i64> {
    let digits = name.strip_prefix(b"@")?;
    // The label counts TAI, some seconds ahead of UTC. All labels do, so their order is the same.
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

    fn id(inode: u64) -> FileId {
        let inode = Inode(inode);
        FileId { device: 1, inode }
    }

    fn age(name: &str, mtime_ns: u64, inode: u64) -> Age {
        let stat = Stat {
            id: id(inode),
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
        ] {
            assert!(age(older, 5, 1) < age(newer, 5, 2), "{older} {newer}");
            assert!(age(older, 5, 2) < age(newer, 5, 1), "{older} {newer}");
        }
    }

    /// The numbers of `m.1`, `m.2` ... with these write times, oldest first.
    fn ordered(mtimes: &[u64]) -> Vec<u64> {
        let named = |(n, &mtime): (u64, &u64)| age(&format!("/v/m.{n}"), mtime, n);
        let mut ages: Vec<Age> = (1..).zip(mtimes).map(named).collect();
        follow_names(&mut ages.iter_mut().collect::<Vec<_>>());
        ages.sort_unstable();
        ages.iter().map(|age| age.id.inode.0).collect()
    }

    #[test]
    fn numbers_know_better_than_a_clock_that_was_set() {
        assert_eq!(ordered(&[30, 20, 10]), [3, 2, 1]);
        assert_eq!(ordered(&[30, 5, 20, 10]), [4, 3, 2, 1]);
        assert_eq!(ordered(&[3, 2, 40, 30]), [4, 3, 2, 1]);
        assert_eq!(ordered(&[1, 2]), [2, 1]);
        assert_eq!(ordered(&[1, 1]), [2, 1]);
        assert_eq!(ordered(&[]), [0; 0]);
    }

    #[test]
    fn numbers_may_count_upwards_if_all_files_agree() {
        assert_eq!(ordered(&[10, 20, 30]), [1, 2, 3]);
        let mut ages = [age("/v/m.7", 10, 7), age("/v/m.8", 20, 8)];
        follow_names(&mut ages.iter_mut().collect::<Vec<_>>());
        assert!(ages[0] < ages[1]);
    }

    /// The numbers of `m.N` with these write times, oldest first.
    fn ordered_numbers(files: &[(u64, u64)]) -> Vec<u64> {
        let named = |&(n, mtime): &(u64, u64)| age(&format!("/v/m.{n:02}"), mtime, n);
        let mut ages: Vec<Age> = files.iter().map(named).collect();
        follow_names(&mut ages.iter_mut().collect::<Vec<_>>());
        ages.sort_unstable();
        ages.iter().map(|age| age.id.inode.0).collect()
    }

    #[test]
    fn weekdays_begin_anew() {
        let week = |first: u64| (0..7).map(move |day| ((first + day) % 7, 100 + day));
        for first in 0..7 {
            for days in 2..=7 {
                let files: Vec<_> = week(first).take(days).collect();
                let expected: Vec<_> = files.iter().map(|file| file.0).collect();
                let greatest = expected.iter().copied().max().unwrap_or(0);
                // Numbers like these may as well say how many rotations ago, with a clock that was
                // set once.
                if days < 5 && greatest <= days as u64 + 1 && first != 6 {
                    continue;
                }
                assert_eq!(ordered_numbers(&files), expected, "{files:?}");
            }
        }
    }

    #[test]
    fn numbers_that_leave_many_out_do_not_count_rotations() {
        // Every third hour, month and day at new year, the time of day, process numbers, and
        // numbers that rise for ever over a clock set.
        let names: [&[u64]; 6] = [
            &[0, 3],
            &[0, 1, 4],
            &[1230, 1231, 101, 102],
            &[120000, 180000, 0, 60000],
            &[713, 99, 4021],
            &[1041, 1042],
        ];
        for names in names {
            let files: Vec<_> = names.iter().copied().zip(1..).collect();
            assert_eq!(ordered_numbers(&files), names);
        }
    }

    #[test]
    fn one_number_may_be_missing_while_it_is_renamed() {
        assert_eq!(ordered_numbers(&[(1, 10), (2, 20), (4, 5)]), [4, 2, 1]);
        assert_eq!(ordered_numbers(&[(2, 10), (3, 5), (4, 20)]), [4, 3, 2]);
        assert_eq!(ordered_numbers(&[(0, 9), (1, 5), (2, 20)]), [2, 1, 0]);
    }

    #[test]
    fn the_same_number_twice_says_nothing() {
        let mut ages = [age("/v/m.1", 9, 1), age("/v/m.01", 8, 2)];
        follow_names(&mut ages.iter_mut().collect::<Vec<_>>());
        assert!(ages[1] < ages[0]);
    }

    #[test]
    fn names_with_the_same_words_are_a_series() {
        let of = |name: &str| series(Path::new(name));
        assert_eq!(of("/v/m.1"), of("/v/m.10"));
        assert_eq!(of("/v/log4.1.txt"), of("/v/log4.2.txt"));
        assert_ne!(of("/v/m.1"), of("/v/n.1"));
        assert_ne!(of("/v/m.1"), of("/v/m.1.txt"));
        assert_eq!(of("/v/m-20261122"), of("/v/m-20261123"));
        assert_ne!(of("/v/m-20261122"), of("/v/m-20261122.1"));
        assert_ne!(of("/v/m-20261122-13"), of("/v/m-20261122-14"));
        assert_eq!(
            of("/v/@4000000068f0a1b21d8e3f2c.s"),
            of("/v/@4000000068f0a1b31d8e3f2c.s")
        );
        assert!(of("/v/m.1").is_some_and(|series| series.counts));
        assert!(of("/v/m-20261122").is_some_and(|series| !series.counts));
        for name in ["/v/m", "/v/m.old", "/", "/v/@"] {
            assert_eq!(of(name), None, "{name}");
        }
    }

    #[test]
    fn next_newer_steps_through_all_of_them() {
        let all = [
            age("/v/m.3", 1, 30),
            age("/v/m.2", 1, 20),
            age("/v/m.1", 7, 10),
        ];
        let mut at = Age::at(0, id(99));
        let mut seen = Vec::new();
        while let Some(next) = next_newer(all.iter().copied(), at) {
            seen.push(next.id.inode.0);
            at = next;
        }
        assert_eq!(seen, [30, 20, 10]);
    }

    #[test]
    fn a_remembered_generation_is_not_its_own_successor() {
        let all = [age("/v/m.1", 7, 10)];
        assert_eq!(next_newer(all.into_iter(), Age::at(7, id(10))), None);
        assert_eq!(
            next_newer(all.into_iter(), Age::at(7, id(11))),
            Some(all[0])
        );
    }

    #[test]
    fn plain_names_are_those_that_rotators_give() {
        for (name, live, expected) in [
            ("/v/m.1", "/v/m", true),
            ("/v/m.old", "/v/m", true),
            ("/old/m-20261122", "/v/m", true),
            ("/v/m-2026-11-22T13:29:56+0100", "/v/m", true),
            ("/v/20261122-m", "/v/m", true),
            ("/v/m.1.log", "/v/m.log", true),
            ("/v/m.log.1", "/v/m.log", true),
            ("/v/m-20261122.log", "/v/m.log", true),
            ("/v/@4000000068f0a1b21d8e3f2c.s", "/v/current", true),
            ("/v/m.bak1", "/v/m", false),
            ("/v/m.1.save", "/v/m", false),
            ("/v/m-copy", "/v/m", false),
            ("/v/m2.1", "/v/m", false),
            ("/v/@bak0.s", "/v/current", false),
            ("/v/n.1", "/v/m", false),
        ] {
            assert_eq!(
                is_plain(Path::new(name), Path::new(live)),
                expected,
                "{name}"
            );
        }
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
