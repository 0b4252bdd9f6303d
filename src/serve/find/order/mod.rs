//! The order of generations: by what their names say, and by their last write, which renaming does
//! not change. Pure.
//!
//! [`arrange`] weighs both. Names of one series know better than a clock that was set or a file
//! that was touched; but numbers may count either way, and where times say that a rotator counts
//! upwards, or that numbers begin anew, they decide. Where that is no more than likely, files have
//! a second place too: that which they have if the other explanation is right.

mod name;
mod series;
mod sure;

use std::path::Path;

use self::name::{Name, Says};
use crate::ids::Inode;
use crate::limits::CANDIDATES_MAX;

/// The age of a generation: the newer one is the greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Age {
    mtime_ns: u64,
    rank: i64,
    /// The file; last, so that it only keeps two of them apart.
    pub inode: Inode,
}

impl Age {
    /// The age of a rotated file, as long as nothing is known but its last write.
    pub fn of(mtime_ns: u64, inode: Inode) -> Age {
        Age {
            mtime_ns,
            rank: 0,
            inode,
        }
    }

    /// The least age with this last write, for a generation whose name is not known: whatever else
    /// was written at that moment or later is newer.
    pub fn at(mtime_ns: u64, inode: Inode) -> Age {
        Age {
            mtime_ns,
            rank: i64::MIN,
            inode,
        }
    }

    /// The greatest age with this last write: whatever was written by then is no newer.
    pub fn floor(mtime_ns: u64) -> Age {
        Age {
            mtime_ns,
            rank: i64::MAX,
            inode: Inode(u64::MAX),
        }
    }

    /// The last write, or what it must have been by the order of the files.
    pub fn mtime_ns(self) -> u64 {
        self.mtime_ns
    }
}

/// What is known of a rotated file.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// Its name, without the directory.
    pub name: &'a [u8],
    /// Its last write.
    pub mtime_ns: u64,
    /// Which file it is.
    pub inode: Inode,
}

/// The place of a rotated file in the order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Placed {
    /// Its age.
    pub age: Age,
    /// Its place by the other explanation, if there is one. See [`Placed::is_doubtful_beside`].
    second: u8,
    /// The names of all files are numbers that say how many rotations ago, and decide.
    pub is_counted: bool,
}

impl Placed {
    /// That of a file with no other beside it.
    pub fn alone(age: Age) -> Placed {
        Placed {
            age,
            second: 0,
            is_counted: false,
        }
    }

    /// Its place by what names say, be that likely or not; the newer one has the greater.
    pub fn by_names(&self) -> (u8, Age) {
        // Where numbers decide, the other explanation is that of the times.
        let second = if self.is_counted { 0 } else { self.second };
        (second, self.age)
    }

    /// Whether it is older than another file by the other explanation.
    pub fn may_come_before(&self, other: &Placed) -> bool {
        self.second < other.second
    }

    /// Whether it is not certain which of two files is newer.
    pub fn is_doubtful_beside(&self, other: &Placed) -> bool {
        let is_same_way = match self.age < other.age {
            true => self.second < other.second,
            false => self.second > other.second,
        };
        self.age.inode != other.age.inode && !is_same_way
    }
}

/// Places of files in some order, as numbers into a list of them.
type Order = heapless::Vec<u8, CANDIDATES_MAX>;

/// Brings rotated files into order: the place of each, as they stand in the list. `live` is the
/// name of the log, without its directory. Only the first [`CANDIDATES_MAX`] files are placed.
pub fn arrange(live: &[u8], files: &[Evidence<'_>]) -> heapless::Vec<Placed, CANDIDATES_MAX> {
    let files = &files[..files.len().min(CANDIDATES_MAX)];
    let names: heapless::Vec<Name, CANDIDATES_MAX> = files
        .iter()
        .map(|file| Name::read(live, file.name))
        .collect();
    let all = All {
        files,
        names: &names,
    };
    let mut by_time: Order = (0..files.len() as u8).collect();
    // The inode only keeps the result the same from one look to the next.
    by_time.sort_unstable_by_key(|&at| (all.time(at), all.file(at).inode));
    let (mut first, mut second) = (by_time.clone(), by_time.clone());
    let mut series = 0;
    let mut is_counted = false;
    // Files of one series change only places among each other, where there are others.
    for at in by_time.iter().map(|&at| usize::from(at)) {
        let is_same = |other: u8| all.name(other).words == names[at].words;
        let members: Order = by_time
            .iter()
            .copied()
            .filter(|&other| is_same(other))
            .collect();
        if members.first().map(|&first| usize::from(first)) != Some(at) {
            continue;
        }
        series += 1;
        let verdict = series::judge(&all, &members);
        is_counted = verdict.is_counted;
        let places = (0..by_time.len()).filter(|&place| is_same(by_time[place]));
        for (n, place) in places.enumerate() {
            first[place] = verdict.first[n];
            second[place] = verdict.second[n];
        }
    }
    // Names that tell nothing of each other do not know better than times.
    if series > 1 && first != by_time {
        second = by_time;
    }
    all.place(&first, &second, is_counted && series == 1)
}

/// All rotated files of a log.
struct All<'a> {
    files: &'a [Evidence<'a>],
    names: &'a [Name],
}

impl All<'_> {
    fn file(&self, at: u8) -> &Evidence<'_> {
        &self.files[usize::from(at)]
    }

    fn name(&self, at: u8) -> &Name {
        &self.names[usize::from(at)]
    }

    fn time(&self, at: u8) -> u64 {
        self.file(at).mtime_ns
    }

    fn times(&self, order: &[u8]) -> heapless::Vec<u64, CANDIDATES_MAX> {
        order.iter().map(|&at| self.time(at)).collect()
    }

    /// Whether nothing tells which of two files is newer.
    fn is_unknown(&self, a: u8, b: u8) -> bool {
        let (one, other) = (self.name(a), self.name(b));
        let is_told = one.words == other.words
            && one.says != Says::Nothing
            && one.number != other.number
            && (one.says == Says::Stamp || series::may_count_since(self, one.words));
        self.time(a) == self.time(b) && !is_told
    }

    /// The ages of all files, and their second places.
    fn place(
        &self,
        first: &Order,
        second: &Order,
        is_counted: bool,
    ) -> heapless::Vec<Placed, CANDIDATES_MAX> {
        let mut placed: heapless::Vec<Placed, CANDIDATES_MAX> = self
            .files
            .iter()
            .map(|file| Placed {
                is_counted,
                ..Placed::alone(Age::of(file.mtime_ns, file.inode))
            })
            .collect();
        // Whoever was written "before" an older one is lifted to that one's time.
        let mut newest_ns = 0;
        for (place, &at) in first.iter().enumerate() {
            let age = &mut placed[usize::from(at)].age;
            newest_ns = age.mtime_ns.max(newest_ns);
            age.mtime_ns = newest_ns;
            age.rank = place as i64;
        }
        let mut rank = 0;
        for (place, &at) in second.iter().enumerate() {
            let before = place.checked_sub(1).map(|before| second[before]);
            rank += u8::from(before.is_some_and(|before| !self.is_unknown(before, at)));
            placed[usize::from(at)].second = rank;
        }
        placed
    }
}

/// The oldest of those that are newer than `after`.
pub fn next_newer(ages: impl Iterator<Item = Age>, after: Age) -> Option<Age> {
    // The file itself may have been written to since, and would else come after itself.
    ages.filter(|age| *age > after && age.inode != after.inode)
        .min()
}

/// Whether a name says that the file is compressed, and so not a plain log any more.
pub fn is_compressed(path: &Path) -> bool {
    const ENDINGS: [&str; 6] = ["gz", "bz2", "xz", "zst", "lz4", "Z"];
    // By the name alone: to look at the first bytes of each would take two more system calls a
    // file.
    path.extension()
        .is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known))
}

#[cfg(test)]
mod tests;
