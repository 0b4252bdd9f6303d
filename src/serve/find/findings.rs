//! The findings of a search among the rotated files of a log: which files there are, and what is
//! known of each so far. Pure.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::order::{self, Age, Evidence, Placed};
use super::refusal::Refusal;
use crate::ids::Inode;
use crate::limits::{CANDIDATES_MAX, JUDGED_AT_ONCE};
use crate::serve::glob::TooMuch;
use crate::store::Stat;

/// The findings of a search so far.
pub struct Findings {
    occasion: Occasion,
    repeats: usize,
    /// The live file when the first look began.
    live: Option<Inode>,
    rotated: Candidates,
    judgements: RefCell<Vec<Judgement>>,
    /// Files that may still be judged in this part.
    credit: Cell<usize>,
    is_paused: Cell<bool>,
    /// Why the bytes of a file could not be compared.
    unread: Cell<Option<io::Error>>,
}

/// A question that is asked of one rotated file after another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Test {
    /// Whether it is a generation of its own, and no duplicate of the live file.
    Own,
    /// Whether it is a duplicate of what was sent.
    Duplicate,
    /// Whether it holds what the client proves and was written since.
    Since,
    /// Whether it holds what the client proves.
    Whole,
    /// Whether it is the start of what the client holds.
    Prefix,
    /// How much it is like what the client holds.
    Likeness,
}

struct Judgement {
    question: Test,
    inode: Inode,
    score: u32,
}

impl Findings {
    /// Nothing is found out yet but which files there are. `repeats` tells how often the search
    /// began before.
    pub(super) fn new(
        occasion: Occasion,
        repeats: usize,
        live: Option<Inode>,
        rotated: Candidates,
    ) -> Findings {
        Findings {
            occasion,
            repeats,
            live,
            rotated,
            judgements: RefCell::default(),
            credit: Cell::new(JUDGED_AT_ONCE),
            is_paused: Cell::new(false),
            unread: Cell::default(),
        }
    }

    /// What they are for.
    pub fn occasion(&self) -> Occasion {
        self.occasion
    }

    /// How often the search began before.
    pub(super) fn repeats(&self) -> usize {
        self.repeats
    }

    /// From here on some more files may be judged.
    pub(super) fn resume(&self) {
        self.credit.set(JUDGED_AT_ONCE);
        self.is_paused.set(false);
    }

    /// Whether the last query stopped for no other reason than that it had done enough for the
    /// moment.
    pub fn is_paused(&self) -> bool {
        self.is_paused.get()
    }

    /// The rotated files, while `live` is the live one. If it is another now, they may have changed
    /// their names since.
    pub(super) fn rotated(&self, live: Option<Inode>) -> Result<&Candidates, Refusal> {
        // While the log rotates a file may be missed, having no longer its old name and not yet its
        // new one.
        match self.live == live {
            true => Ok(&self.rotated),
            false => Err(Refusal::Unsettled),
        }
    }

    /// Where a rotated file is.
    pub(super) fn path_of(&self, inode: Inode) -> Option<&Path> {
        let found = self.rotated.iter().find(|c| c.age.inode == inode);
        found.map(|c| c.path.as_path())
    }

    /// The bytes of a file could not be read: for once, perhaps, so that nothing may be concluded.
    pub(super) fn note_unread(&self, error: io::Error) {
        // The last one only: what is told about it is the same for all.
        self.unread.set(Some(error));
    }

    /// Fails if that happened since this was asked last.
    pub(super) fn all_was_read(&self) -> Result<(), Refusal> {
        match self.unread.take() {
            Some(error) => Err(Refusal::Unreadable(error)),
            None => Ok(()),
        }
    }

    /// The answer to a question about one file, which `judge` finds at most once.
    pub(super) fn score(
        &self,
        question: Test,
        inode: Inode,
        judge: impl FnOnce() -> Result<u32, Refusal>,
    ) -> Result<u32, Refusal> {
        let is_it =
            |judgement: &&Judgement| judgement.question == question && judgement.inode == inode;
        if let Some(known) = self.judgements.borrow().iter().find(is_it) {
            return Ok(known.score);
        }
        // Each judgement reads from a file, and the other clients wait for it. The query gives up
        // here and is asked again in a later turn; all it learned is kept, so it comes one step
        // farther each time.
        let Some(credit) = self.credit.get().checked_sub(1) else {
            self.is_paused.set(true);
            return Err(Refusal::Later);
        };
        self.credit.set(credit);
        let score = judge()?;
        // A file that could not be read scored as one that does not fit, and that must not be kept.
        // For the likeness of a damaged copy a block that cannot be read is no more than one that
        // differs.
        if question != Test::Likeness {
            self.all_was_read()?;
        }
        self.judgements.borrow_mut().push(Judgement {
            question,
            inode,
            score,
        });
        Ok(score)
    }
}

/// The occasion of a search. What was found on one is too old for the next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Occasion {
    /// A client asks for the log.
    Request,
    /// The first bytes of a generation were read.
    Begun(Begun),
    /// A file of which nothing was sent may have been emptied.
    Emptied,
    /// A file no longer holds what was sent of it.
    Truncated,
    /// Another file has the name of one that is still being sent.
    Superseded,
    /// A file has been replaced by another.
    Rotated,
}

/// The first bytes of a generation, as far as they were read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Begun {
    /// How many.
    pub len: usize,
    /// Their checksum.
    pub crc: u32,
}

/// The rotated files that may answer.
pub(super) type Candidates = heapless::Vec<Candidate, CANDIDATES_MAX>;

/// A rotated file that may answer.
#[derive(Clone)]
pub(super) struct Candidate {
    /// Its place among the others.
    pub age: Age,
    /// Its last write, whatever its name says.
    pub written_ns: u64,
    /// Its size.
    pub size: u64,
    /// How certain that place is.
    placed: Placed,
    path: PathBuf,
}

/// Whether the rotated files are numbered, and their order is that of the numbers, whatever their
/// times say.
pub(super) fn are_numbered(rotated: &Candidates) -> bool {
    rotated.first().is_some_and(|first| first.placed.is_counted)
}

/// The file that comes after another one for whoever can neither say when that began nor be told of
/// a doubt: what names say counts then.
pub(super) fn next_by_names<'a>(rotated: &'a Candidates, own: &Candidate) -> Option<&'a Candidate> {
    let key = |c: &Candidate| c.placed.by_names();
    let newer = rotated.iter().filter(|c| key(c) > key(own));
    newer.min_by_key(|c| key(c))
}

/// Brings the rotated files of the log at `live` into order. Only when all are there: whether names
/// decide depends on each of them.
pub(super) fn arrange(live: &Path, rotated: &mut Candidates) {
    let placed = {
        let all: heapless::Vec<Evidence<'_>, CANDIDATES_MAX> =
            rotated.iter().map(Candidate::evidence).collect();
        order::arrange(name_of(live), &all)
    };
    for (candidate, placed) in rotated.iter_mut().zip(placed) {
        candidate.age = placed.age;
        candidate.placed = placed;
    }
}

/// A file's name alone: a number in the name of a directory is the same for all files in it.
fn name_of(path: &Path) -> &[u8] {
    path.file_name().map_or(&b""[..], OsStrExt::as_bytes)
}

impl Candidate {
    /// Whether it counts as newer than `floor_ns` for its name only, and is the very file whose
    /// last write that is: then its name misleads.
    pub fn is_at_floor(&self, floor_ns: u64) -> bool {
        self.written_ns == floor_ns && self.age.mtime_ns() > floor_ns
    }

    /// Whether it is not certain which of two files is newer: names and times contradict each
    /// other, or say nothing.
    pub fn is_doubtful_beside(&self, other: &Candidate) -> bool {
        self.placed.is_doubtful_beside(&other.placed)
    }

    /// Whether it is older than another file if the likely order is not the right one.
    pub fn may_come_before(&self, other: &Candidate) -> bool {
        self.placed.may_come_before(&other.placed)
    }

    /// What tells its place.
    fn evidence(&self) -> Evidence<'_> {
        Evidence {
            name: name_of(&self.path),
            mtime_ns: self.written_ns,
            inode: self.age.inode,
        }
    }

    pub(super) fn new(path: &Path, stat: &Stat) -> Candidate {
        let age = Age::of(stat.mtime_ns, stat.id.inode);
        Candidate {
            age,
            written_ns: stat.mtime_ns,
            size: stat.size,
            placed: Placed::alone(age),
            path: path.to_path_buf(),
        }
    }
}

/// Whether an error will be the same at the next try, so that waiting for it to pass would be for
/// ever.
pub(super) fn is_lasting(error: &io::Error) -> bool {
    // README, "Rotation": files that the server may not read do not count.
    error.kind() == io::ErrorKind::PermissionDenied
        || error.get_ref().is_some_and(|inner| inner.is::<TooMuch>())
}

/// Whether two looks have seen the same files under the same names; they may have been written to
/// in between.
pub(super) fn is_same(before: &Candidates, now: &Candidates) -> bool {
    // Both: a rotation moves the names on, and an inode may have gone to another file.
    let is_same = |(a, b): (&Candidate, &Candidate)| a.age.inode == b.age.inode && a.path == b.path;
    before.len() == now.len() && before.iter().zip(now).all(is_same)
}
