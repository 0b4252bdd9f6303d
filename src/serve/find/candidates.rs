//! The rotated files of a log that may answer: what is known of each, and their order. Pure.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::journal::record::{Seq, Standing};
use super::order::{self, Age, Beside, Evidence, Placed};
use crate::ids::{FileId, Identity};
use crate::limits::CANDIDATES_MAX;
use crate::sorting::sort_by_key;
use crate::store::{Birth, Stat};

/// The rotated files that may answer.
#[derive(Clone, Default)]
pub(super) struct Candidates {
    list: Vec<Candidate>,
    archives: Vec<Candidate>,
    is_cut: bool,
    lacks_unsent: bool,
    lacks_any: bool,
    is_overtaken: bool,
}

impl std::ops::DerefMut for Candidates {
    fn deref_mut(&mut self) -> &mut [Candidate] {
        &mut self.list
    }
}

impl std::ops::Deref for Candidates {
    type Target = [Candidate];

    fn deref(&self) -> &[Candidate] {
        &self.list
    }
}

impl Candidates {
    /// Takes one in.
    pub fn push(&mut self, candidate: Candidate) {
        self.list.push(candidate);
    }

    /// Takes a compressed one in, unless there are too many: then the newest are left.
    pub fn push_archive(&mut self, candidate: Candidate) {
        self.archives.push(candidate);
        if self.archives.len() > CANDIDATES_MAX {
            sort_by_key(&mut self.archives, |c| c.written_ns);
            self.archives.pop();
        }
    }

    /// The compressed ones.
    pub fn archives(&self) -> &[Candidate] {
        &self.archives
    }

    /// Gives one up, which may have still to be sent: there are more than are looked at.
    pub fn give_up(&mut self, id: FileId, is_unsent: bool) {
        self.list.retain(|c| c.age.id != id);
        self.is_cut = true;
        self.lacks_unsent |= is_unsent;
    }

    /// Forgets all others, which are none of the log's rotated files.
    pub fn keep_only(&mut self, is_one: &dyn Fn(&Candidate) -> bool) {
        self.list.retain(is_one);
    }

    /// Notes that the globs find more than is looked at.
    pub fn note_too_much(&mut self) {
        self.is_cut = true;
        self.lacks_any = true;
    }

    /// Whether files that may have still to be sent were given up. They come into sight when the
    /// others are sent.
    pub fn lacks_unsent(&self) -> bool {
        self.lacks_unsent
    }

    /// Whether any files may be missing among them.
    pub fn lacks_any(&self) -> bool {
        self.lacks_any
    }

    /// Notes that one of them is the live file by now, as the journal will see.
    pub fn note_overtaken(&mut self) {
        self.is_overtaken = true;
    }

    /// Whether one of them is the live file by now.
    pub fn is_overtaken(&self) -> bool {
        self.is_overtaken
    }

    /// Whether these are not all that there are.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }
}

/// A rotated file that may answer.
#[derive(Clone)]
pub(super) struct Candidate {
    /// Its place among the others.
    pub age: Age,
    /// Its last write, whatever its name says.
    pub written_ns: u64,
    /// Its size.
    pub size: u64,
    /// Its birth.
    pub birth: Birth,
    /// What the journal knows of it.
    pub standing: Standing,
    /// What its name says of it beside its age.
    beside: Beside,
    path: PathBuf,
}

/// Whether the rotated files are numbered, and their order is that of the numbers, whatever their
/// times say.
pub(super) fn are_numbered(rotated: &Candidates) -> bool {
    rotated.first().is_some_and(|first| first.beside.is_counted)
}

/// Brings the rotated files of the log at `live` into order, beside the live one of a series, which
/// is the newest: without its name those of a ring would seem to have a gap.
pub(super) fn arrange_beside(live_found: Option<Candidate>, live: &Path, rotated: &mut Candidates) {
    let live_id = live_found.as_ref().map(|live| live.age.id);
    if let Some(mut newest) = live_found {
        let others = rotated.iter().map(|c| c.written_ns).max();
        newest.written_ns = newest.written_ns.max(others.unwrap_or(0));
        rotated.push(newest);
    }
    arrange(live, rotated);
    rotated.keep_only(&|c| Some(c.age.id) != live_id);
}

/// Brings the rotated files of the log at `live` into order. Only when all are there: whether names
/// decide depends on each of them. Names that no rotator gives say nothing where others are there:
/// what somebody copied moves no generation.
fn arrange(live: &Path, rotated: &mut Candidates) {
    let is_cut = rotated.is_cut();
    let is_plain = |c: &&mut Candidate| order::is_plain(c.path(), live);
    let (mut plain, mut odd): (Vec<_>, Vec<_>) = rotated.iter_mut().partition(is_plain);
    let is_mixed = !plain.is_empty() && !odd.is_empty();
    arrange_alike(live, &mut plain, is_cut);
    arrange_alike(live, &mut odd, is_cut || is_mixed);
    for candidate in rotated.iter_mut().filter(|_| is_mixed) {
        candidate.beside.is_counted = false;
    }
}

/// The same for some of them, whose names decide if these are all.
fn arrange_alike(live: &Path, rotated: &mut [&mut Candidate], are_some: bool) {
    let is_series = live.as_os_str().is_empty();
    let dir = rotated.first().and_then(|c| c.path.parent());
    let are_apart = rotated.iter().any(|c| c.path.parent() != dir);
    let evidence = rotated.iter().map(|c| c.evidence(is_series && are_apart));
    let evidence: Vec<Evidence<'_>> = evidence.collect();
    let placed = match are_some {
        true => order::arrange_some(name_of(live), &evidence),
        false => order::arrange(name_of(live), &evidence),
    };
    for (candidate, placed) in rotated.iter_mut().zip(placed) {
        (candidate.age, candidate.beside) = (placed.age, placed.beside);
    }
}

/// A file's name alone: a number in the name of a directory is the same for all files in it.
pub(super) fn name_of(path: &Path) -> &[u8] {
    path.file_name().map_or(&b""[..], OsStrExt::as_bytes)
}

impl Candidate {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it counts as newer than `floor_ns` for its name only, and is the very file whose
    /// last write that is: then its name misleads.
    pub fn is_at_floor(&self, floor_ns: u64) -> bool {
        self.written_ns == floor_ns && self.age.mtime_ns() > floor_ns
    }

    /// Whether it was there before the journal began.
    pub fn is_elder(&self) -> bool {
        self.standing == Standing::Elder
    }

    /// Its place among the others by what its times and its name say alone, for comparison with
    /// what has no number.
    #[inline(never)]
    pub fn inferred_age(&self) -> Age {
        self.age.numbered(0)
    }

    /// Its place among copies that were made under our eyes, the first one being the least. Numbers
    /// that say how many rotations ago tell more than when it was made: whoever replaces rotated
    /// files by copies may begin with any of them.
    pub fn copy_order(&self) -> (Option<u64>, Age) {
        let made_ns = self.birth.at_ns.filter(|_| !self.beside.is_counted);
        (made_ns, self.inferred_age())
    }

    /// Whether the names of both are of one kind.
    pub fn is_of_series(&self, other: &Candidate) -> bool {
        self.beside.kind == other.beside.kind
    }

    /// Its place for whoever can neither say when a generation began nor be told of a doubt: what
    /// names say counts then, unless the journal knows. The newer one has the greater.
    pub fn by_names(&self) -> (Seq, u16, Age) {
        let (second, age) = self.placed().by_names();
        (self.age.seq, second, age)
    }

    /// Whether it is not certain which of two files is newer: names and times contradict each
    /// other, or say nothing, and the journal does not know.
    pub fn is_doubtful_beside(&self, other: &Candidate) -> bool {
        let is_told = match (self.standing, other.standing) {
            (Standing::Generation(one), Standing::Generation(two)) => one != two,
            (Standing::Generation(_), Standing::Elder) => true,
            (Standing::Elder, Standing::Generation(_)) => true,
            _ => false,
        };
        !is_told && self.placed().is_doubtful_beside(&other.placed())
    }

    /// Whether it is older than another file if the likely order is not the right one.
    pub fn may_come_before(&self, other: &Candidate) -> bool {
        self.placed().may_come_before(&other.placed())
    }

    /// Its place by what names and times say alone.
    fn placed(&self) -> Placed {
        Placed {
            age: self.inferred_age(),
            beside: self.beside,
        }
    }

    /// What tells that place: the name, or if nothing in it can, all of the path, which may have
    /// directories that are called by the date.
    fn evidence(&self, has_paths: bool) -> Evidence<'_> {
        let name = name_of(&self.path);
        let is_mute = !name.iter().any(u8::is_ascii_digit);
        let path = self.path.as_os_str().as_bytes();
        Evidence {
            name: if has_paths && is_mute { path } else { name },
            mtime_ns: self.written_ns,
            born_ns: self.birth.at_ns,
            id: self.age.id,
        }
    }

    /// Whether both names are of one series, and are not without any number.
    pub fn is_called_like(&self, other: &Candidate) -> bool {
        self.beside.kind.is_some() && self.beside.kind == other.beside.kind
    }

    /// Whether its name has a number.
    pub fn is_named(&self) -> bool {
        self.beside.kind.is_some()
    }

    /// Whether its name has a date or a time, which no other file will have.
    pub fn is_stamped(&self) -> bool {
        self.beside.is_stamped
    }

    /// What identifies the file.
    #[inline(never)]
    pub fn identity(&self) -> Identity {
        Identity {
            id: self.age.id,
            born: self.birth.born,
        }
    }

    pub(super) fn new(path: &Path, stat: &Stat, birth: Birth) -> Candidate {
        Candidate {
            age: Age::of(stat.mtime_ns, stat.id),
            written_ns: stat.mtime_ns,
            size: stat.size,
            birth,
            standing: Standing::Unknown,
            beside: Beside::default(),
            path: path.to_path_buf(),
        }
    }
}

/// Whether two looks have seen the same files under the same names; they may have been written to
/// in between.
pub(super) fn is_same(before: &Candidates, now: &Candidates) -> bool {
    // Both: a rotation moves the names on, and an inode may have gone to another file.
    let is_same = |(a, b): (&Candidate, &Candidate)| a.age.id == b.age.id && a.path == b.path;
    let are_same = |before: &[Candidate], now: &[Candidate]| {
        before.len() == now.len() && before.iter().zip(now).all(is_same)
    };
    are_same(before, now) && are_same(&before.archives, &now.archives)
}
