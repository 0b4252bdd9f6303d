//! The order of generations: by what their names say, and by their last write, which renaming does
//! not change. Pure.
//!
//! [`arrange`] weighs both. Names of one series know better than a clock that was set or a file
//! that was touched; but numbers may count either way, and where times say that a rotator counts
//! upwards, or that numbers begin anew, they decide, unless the births of all files say that it
//! does not. Where that is no more than likely, files have a second place too: that which they have
//! if the other explanation is right.

mod name;
mod plain;
mod series;

use self::name::{Name, Says};
pub use self::plain::is_plain;
use crate::ids::{FileId, Inode};
use crate::sorting::sort_by_key;

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
    /// The age of a rotated file, as long as nothing is known but its last write.
    pub fn of(mtime_ns: u64, id: FileId) -> Age {
        Age {
            seq: 0,
            mtime_ns,
            rank: 0,
            id,
        }
    }

    /// The least age with this last write, for a generation whose name is not known: whatever else
    /// was written at that moment or later is newer.
    pub fn at(mtime_ns: u64, id: FileId) -> Age {
        Age {
            rank: i64::MIN,
            ..Age::of(mtime_ns, id)
        }
    }

    /// The greatest age with this last write: whatever was written by then is no newer.
    pub fn floor(mtime_ns: u64) -> Age {
        let id = FileId {
            device: u64::MAX,
            inode: Inode(u64::MAX),
        };
        Age {
            rank: i64::MAX,
            ..Age::of(mtime_ns, id)
        }
    }

    /// The same with this number in the journal.
    #[inline(never)]
    pub fn numbered(self, seq: u32) -> Age {
        Age { seq, ..self }
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
    /// When it was created, if that is known.
    pub born_ns: Option<u64>,
    /// Which file it is.
    pub id: FileId,
}

/// The place of a rotated file in the order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Placed {
    /// Its age.
    pub age: Age,
    /// What else its name and time say.
    pub beside: Beside,
}

/// What name and time of a rotated file say beside its age.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Beside {
    /// Its place by the other explanation, if there is one. See [`Placed::is_doubtful_beside`].
    second: u16,
    /// The kind of its name: a checksum of what stands around the number; `None` without one.
    pub kind: Option<u32>,
    /// The number comes from a clock.
    pub is_stamped: bool,
    /// The names of all files are numbers that say how many rotations ago, and decide.
    pub is_counted: bool,
}

impl Placed {
    /// Its place by what names say, be that likely or not; the newer one has the greater.
    pub fn by_names(&self) -> (u16, Age) {
        // Where numbers decide, the other explanation is that of the times.
        let second = if self.beside.is_counted {
            0
        } else {
            self.beside.second
        };
        (second, self.age)
    }

    /// Whether it is older than another file by the other explanation.
    pub fn may_come_before(&self, other: &Placed) -> bool {
        self.beside.second < other.beside.second
    }

    /// Whether it is not certain which of two files is newer.
    pub fn is_doubtful_beside(&self, other: &Placed) -> bool {
        let is_same_way = match self.age < other.age {
            true => self.may_come_before(other),
            false => other.may_come_before(self),
        };
        self.age.id != other.age.id && !is_same_way
    }
}

/// Places of files in some order, as numbers into a list of them.
type Order = Vec<u16>;

/// Brings rotated files into order: the place of each, as they stand in the list. `live` is the
/// name of the log, without its directory; it is empty where each file has a name of its own and
/// keeps it: then no number counts how many rotations ago.
pub fn arrange(live: &[u8], files: &[Evidence<'_>]) -> Vec<Placed> {
    let all = All::new(live, files);
    let mut by_time: Order = (0..files.len() as u16).collect();
    // The file only keeps the result the same from one look to the next.
    sort_by_key(&mut by_time, |&at| (all.time(at), all.file(at).id));
    let mut place_of = vec![0; files.len()];
    for (place, &at) in by_time.iter().enumerate() {
        place_of[usize::from(at)] = place;
    }
    // Each series together, in the order of the times.
    let mut grouped = by_time.clone();
    sort_by_key(&mut grouped, |&at| all.name(at).words);
    let (mut first, mut second) = (by_time.clone(), by_time.clone());
    let mut tells = vec![false; files.len()];
    let mut is_counted = false;
    let mut series = 0;
    for members in grouped.chunk_by(|&a, &b| all.name(a).words == all.name(b).words) {
        series += 1;
        let verdict = series::judge(&all, members);
        is_counted = verdict.is_counted;
        // They change places only among each other.
        for (n, &at) in members.iter().enumerate() {
            let place = place_of[usize::from(at)];
            first[place] = verdict.first[n];
            second[place] = verdict.second[n];
            tells[usize::from(at)] = verdict.tells;
        }
    }
    // Names that tell nothing of each other do not know better than times.
    if series > 1 && first != by_time {
        second = by_time;
    }
    all.place(&first, &second, &tells, is_counted && series == 1)
}

/// The same by times, where these are not all files there are: names decide only where they are
/// equal.
pub fn arrange_some(live: &[u8], files: &[Evidence<'_>]) -> Vec<Placed> {
    let all = All::new(live, files);
    let mut order: Order = (0..files.len() as u16).collect();
    sort_by_key(&mut order, |&at| {
        let name = all.name(at);
        let number = match name.says {
            Says::Count => name.number.map(|part| u64::MAX - part),
            Says::Stamp | Says::Nothing => name.number,
        };
        (all.time(at), number, all.file(at).id)
    });
    let tells: Vec<bool> = all
        .names
        .iter()
        .map(|name| name.says != Says::Nothing)
        .collect();
    all.place(&order, &order, &tells, false)
}

/// All rotated files of a log.
struct All<'a> {
    files: &'a [Evidence<'a>],
    names: Vec<Name>,
    /// Files are never renamed.
    are_names_kept: bool,
}

impl<'a> All<'a> {
    fn new(live: &[u8], files: &'a [Evidence<'a>]) -> All<'a> {
        let names = files.iter().map(|file| Name::read(live, file.name));
        All {
            names: names.collect(),
            files,
            are_names_kept: live.is_empty(),
        }
    }

    #[inline(never)]
    fn file(&self, at: u16) -> &Evidence<'_> {
        &self.files[usize::from(at)]
    }

    #[inline(never)]
    fn name(&self, at: u16) -> &Name {
        &self.names[usize::from(at)]
    }

    #[inline(never)]
    fn time(&self, at: u16) -> u64 {
        self.file(at).mtime_ns
    }

    /// Whether each of these files is known to have been created after the one before it.
    fn are_born_in(&self, order: &[u16]) -> bool {
        let born_ns = |at: u16| self.file(at).born_ns;
        let is_after = |pair: &[u16]| {
            let births = born_ns(pair[0]).zip(born_ns(pair[1]));
            births.is_some_and(|(before, after)| before < after)
        };
        order.len() > 1 && order.windows(2).all(is_after)
    }

    /// The same where some of them were created in one moment, as that is kept, but not all.
    fn seem_born_in(&self, order: &[u16]) -> bool {
        let born_ns = |at: &u16| self.file(*at).born_ns;
        let is_any_later = order.first().and_then(born_ns) < order.last().and_then(born_ns);
        is_any_later
            && order.iter().all(|at| born_ns(at).is_some())
            && order.is_sorted_by_key(born_ns)
    }

    /// Whether nothing tells which of two files is newer.
    fn is_unknown(&self, a: u16, b: u16, tells: &[bool]) -> bool {
        let (one, other) = (self.name(a), self.name(b));
        let is_told =
            one.words == other.words && one.number != other.number && tells[usize::from(a)];
        self.time(a) == self.time(b) && !is_told
    }

    /// The ages of all files, and their second places. `tells` has for each whether its number
    /// tells where its time does not.
    fn place(
        &self,
        first: &[u16],
        second: &[u16],
        tells: &[bool],
        is_counted: bool,
    ) -> Vec<Placed> {
        let placed = |(file, name): (&Evidence<'_>, &Name)| Placed {
            age: Age::of(file.mtime_ns, file.id),
            beside: Beside {
                second: 0,
                kind: (name.says != Says::Nothing).then_some(name.words),
                is_stamped: name.says == Says::Stamp,
                is_counted,
            },
        };
        let mut placed: Vec<Placed> = self.files.iter().zip(&self.names).map(placed).collect();
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
            let is_known = |before| !self.is_unknown(before, at, tells);
            rank += u16::from(before.is_some_and(is_known));
            placed[usize::from(at)].beside.second = rank;
        }
        placed
    }
}

/// The oldest of those that are newer than `after`.
pub fn next_newer(ages: impl Iterator<Item = Age>, after: Age) -> Option<Age> {
    // The file itself may have been written to since, and would else come after itself.
    ages.filter(|age| *age > after && age.id != after.id).min()
}

#[cfg(test)]
mod tests;
