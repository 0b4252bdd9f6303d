//! The findings of a search among the rotated files of a log: what was asked of each, and what the
//! answer was. Pure.

use std::cell::{Cell, OnceCell, RefCell};
use std::io;
use std::path::Path;

use super::candidates::Candidates;
use super::journal::record::Seq;
use super::left_out::Tail;
use super::refusal::{Refusal, is_about_the_file};
use crate::ids::FileId;
use crate::store::ReadStore;
use crate::wire::frame::note::LeftOut;
use crate::wire::md5::Md5;

/// The findings of a search so far.
pub struct Findings {
    occasion: Occasion,
    repeats: usize,
    /// The live file when the first look began.
    live: Option<FileId>,
    rotated: Candidates,
    /// In the order of questions and inodes.
    judgements: RefCell<Vec<Judgement>>,
    /// Files that may still be judged in this part.
    credit: Cell<usize>,
    /// Compressed files whose ends may still be looked at in it.
    tails_credit: Cell<usize>,
    /// The ends of those that were looked at, by their identities; `None` where one cannot be had.
    tails: RefCell<Vec<(FileId, Option<Tail>)>>,
    /// Files that may still be found in it not to be readable.
    shut: Cell<usize>,
    is_paused: Cell<bool>,
    /// A question of this part could not be answered, and may be at another time.
    has_failed: Cell<bool>,
    /// Why the bytes of a file could not be compared.
    unread: Cell<Option<io::Error>>,
    /// The bytes were those of the other one of two files that were compared.
    is_other_unread: Cell<bool>,
    /// The rotated file that could not be read.
    failed: Cell<Option<FileId>>,
    /// The files that nobody waits for any more.
    given_up: RefCell<Vec<FileId>>,
    /// The files that were left out.
    left_out: RefCell<Vec<(FileId, LeftOut)>>,
    /// The digest that is being computed of a file, and how far it is.
    md5: RefCell<Option<(FileId, u64, Box<Md5>)>>,
    /// The file that is being compared with all others for this question, and with how many it was.
    compared: Cell<Option<(Test, FileId, usize)>>,
    /// A file is being judged: what else has to be asked for that belongs to it.
    is_judging: Cell<bool>,
    /// How many of the newcomers were looked at for all of them, and the newest generation that the
    /// journal knew then.
    surveyed: Cell<(Seq, usize)>,
    /// The files that may be copies which somebody made, once that was asked.
    suspects: OnceCell<Vec<FileId>>,
}

/// A question that is asked of one rotated file after another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Test {
    /// What it is: see [`super::role`].
    Role,
    /// Whether it begins like a generation of the journal.
    BeginsLike,
    /// The generation of which it was made, by the time at which it was.
    MadeOf,
    /// Whether its bytes were given.
    Given,
    /// Whether a file of a ring has other bytes than were given of it.
    Turned,
    /// The beginning of the MD5 of its bytes.
    Digest,
    /// Whether what the client holds begins with it.
    Held,
    /// Whether it is a duplicate of what was sent.
    Duplicate,
    /// Whether it holds what the client proves and was written since.
    Since,
    /// Whether it holds what the client proves.
    Whole,
    /// Whether it holds that in bytes that are most unlikely to be another's.
    Sure,
    /// Whether it holds that, and nothing that the live file has not.
    Within,
    /// Whether it begins with the same bytes.
    Alike,
    /// The checksum of its first bytes.
    Start,
    /// Whether it begins with some bytes, which are fewer than those.
    ShortStart,
    /// Whether the live file begins with all of it.
    StartOfLive,
    /// Whether it is the start of what the client holds.
    Prefix,
    /// How much it is like what the client holds.
    Likeness,
}

struct Judgement {
    key: Key,
    score: u32,
}

/// The question, the file, and what it is asked about, if there are several.
type Key = (Test, FileId, u32);

impl Findings {
    /// Nothing is found out yet but which files there are. `repeats` tells how often the search
    /// began before.
    pub(super) fn new(
        occasion: Occasion,
        repeats: usize,
        live: Option<FileId>,
        rotated: Candidates,
    ) -> Findings {
        Findings {
            occasion,
            repeats,
            live,
            rotated,
            judgements: RefCell::default(),
            credit: Cell::new(JUDGED_AT_ONCE),
            tails_credit: Cell::new(TAILS_AT_ONCE),
            tails: RefCell::default(),
            shut: Cell::new(SHUT_AT_ONCE),
            is_paused: Cell::new(false),
            has_failed: Cell::new(false),
            unread: Cell::default(),
            is_other_unread: Cell::default(),
            failed: Cell::default(),
            given_up: RefCell::default(),
            left_out: RefCell::default(),
            md5: RefCell::default(),
            compared: Cell::default(),
            is_judging: Cell::default(),
            surveyed: Cell::default(),
            suspects: OnceCell::new(),
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
        self.tails_credit.set(TAILS_AT_ONCE);
        self.shut.set(SHUT_AT_ONCE);
        self.is_paused.set(false);
        self.has_failed.set(false);
    }

    /// Notes that a question of this part could not be answered, and may be at another time.
    pub fn note_unanswered(&self) {
        self.has_failed.set(true);
    }

    /// Whether there was such a question in this part.
    pub fn has_failed(&self) -> bool {
        self.has_failed.get()
    }

    /// Whether the last query stopped for no other reason than that it had done enough for the
    /// moment.
    pub fn is_paused(&self) -> bool {
        self.is_paused.get()
    }

    /// The rotated files, while `live` is the live one. If it is another now, they may have changed
    /// their names since.
    pub(super) fn rotated(&self, live: Option<FileId>) -> Result<&Candidates, Refusal> {
        // While the log rotates a file may be missed, having no longer its old name and not yet its
        // new one.
        match self.live == live && !self.rotated.is_overtaken() {
            true => Ok(&self.rotated),
            false => Err(Refusal::Unsettled),
        }
    }

    /// How many rotated files there are.
    pub(super) fn len(&self) -> usize {
        self.rotated.len() + self.rotated.archives().len()
    }

    /// Where a rotated file is.
    pub(super) fn path_of(&self, id: FileId) -> Option<&Path> {
        let found = self.rotated.iter().find(|c| c.age.id == id);
        found.map(|c| c.path())
    }

    /// Whether a rotated file was last written at this moment when it was found.
    pub fn is_as_found(&self, id: FileId, mtime_ns: u64) -> bool {
        let found = self.rotated.iter().find(|c| c.age.id == id);
        found.is_some_and(|c| c.written_ns == mtime_ns)
    }

    /// Whether a rotated file was last written at this moment.
    pub fn has_written_at(&self, mtime_ns: u64) -> bool {
        self.rotated.iter().any(|c| c.written_ns == mtime_ns)
    }

    /// The first four bytes of the MD5 of a file's first `size` bytes, a part at a time; `None` if
    /// it has fewer.
    pub(super) fn start_of_md5<S: ReadStore>(
        &self,
        store: &S,
        id: FileId,
        file: &S::File,
        size: u64,
    ) -> Result<Option<u32>, Refusal> {
        let mut kept = self.md5.borrow_mut();
        let (_, done, md5) = match &mut *kept {
            Some(digest) if digest.0 == id => digest,
            other => other.insert((id, 0, Box::new(Md5::new()))),
        };
        let mut buf = [0; DIGESTED_LEN];
        for _ in 0..DIGESTED_AT_ONCE {
            let wanted = usize::try_from(size - *done)
                .unwrap_or(buf.len())
                .min(buf.len());
            if wanted == 0 {
                let [a, b, c, d, ..] = md5.finish();
                *kept = None;
                return Ok(Some(u32::from_be_bytes([a, b, c, d])));
            }
            let read = store.read_at(file, &mut buf[..wanted], *done);
            let read = read.inspect_err(|error| self.note_failed(id, error))?;
            if read == 0 {
                *kept = None;
                return Ok(None);
            }
            md5.update(&buf[..read]);
            *done += read as u64;
        }
        self.is_paused.set(true);
        Err(Refusal::Later)
    }

    /// The files that may be copies which somebody made, in the order of their identities, found
    /// out once.
    pub(super) fn suspects(&self, all: impl FnOnce() -> Vec<FileId>) -> &[FileId] {
        self.suspects.get_or_init(all)
    }

    /// With how many of the other files this one was compared before for a question.
    pub(super) fn compared(&self, question: Test, id: FileId) -> usize {
        let compared = self.compared.get();
        let compared = compared.filter(|(asked, own, _)| (*asked, *own) == (question, id));
        compared.map_or(0, |(_, _, count)| count)
    }

    /// Notes with how many of the others a file was compared.
    pub(super) fn note_compared(&self, question: Test, id: FileId, count: usize) {
        self.compared.set(Some((question, id, count)));
    }

    /// The same, and that this is enough for the moment.
    pub(super) fn pause_comparing(&self, question: Test, id: FileId, count: usize) -> Refusal {
        self.note_compared(question, id, count);
        self.pause()
    }

    /// Enough was done for the moment.
    pub(super) fn pause(&self) -> Refusal {
        self.is_paused.set(true);
        Refusal::Later
    }

    /// How many steps were made of what is to be known of all newcomers, while this is the newest
    /// generation of the journal.
    pub(super) fn surveyed(&self, newest: Seq) -> usize {
        let (then, count) = self.surveyed.get();
        if then == newest { count } else { 0 }
    }

    /// Notes how many of them were made.
    pub(super) fn note_surveyed(&self, newest: Seq, count: usize) {
        self.surveyed.set((newest, count));
    }

    /// The bytes of a file could not be read: for once, perhaps, so that nothing may be concluded.
    pub(super) fn note_unread(&self, error: io::Error) {
        // The last one only: what is told about it is the same for all.
        self.unread.set(Some(error));
    }

    /// The bytes were those of the other one of two files that were compared.
    pub(super) fn note_other_unread(&self) {
        // It may have had fewer bytes than were wanted, and no error.
        let error = self.unread.take();
        self.is_other_unread.set(error.is_some());
        self.unread.set(error);
    }

    /// From here on nobody waits for these files.
    pub fn give_up(&self, files: Vec<FileId>) {
        self.given_up.replace(files);
    }

    /// Whether nobody waits for a file any more, which is left out then.
    pub(super) fn is_given_up(&self, id: FileId) -> bool {
        let is_it = self.given_up.borrow().contains(&id);
        if is_it {
            self.leave_out(id, LeftOut::Unreadable);
        }
        is_it
    }

    /// Whether a file may be opened in this part: however many we are not permitted to read, the
    /// others do not wait for all of them.
    pub(super) fn may_open(&self) -> Result<(), Refusal> {
        match self.shut.get() > 0 || self.is_judging.get() {
            true => Ok(()),
            false => Err(self.pause()),
        }
    }

    /// Notes that we are not permitted to read a file, which is left out in all of this search.
    pub(super) fn note_shut(&self, id: FileId) {
        self.shut.set(self.shut.get().saturating_sub(1));
        self.leave_out(id, LeftOut::NotPermitted);
    }

    /// Notes that a file is left out.
    fn leave_out(&self, id: FileId, why: LeftOut) {
        if self.why_left_out(id).is_none() {
            self.left_out.borrow_mut().push((id, why));
        }
    }

    /// Why a file is left out, if it is.
    pub(super) fn why_left_out(&self, id: FileId) -> Option<LeftOut> {
        let left_out = self.left_out.borrow();
        left_out.iter().find(|(it, _)| *it == id).map(|it| it.1)
    }

    /// A rotated file could not be opened or read, if the error is about it.
    pub(super) fn note_failed(&self, id: FileId, error: &io::Error) {
        if is_about_the_file(error) && !self.is_other_unread.take() {
            self.failed.set(Some(id));
        }
    }

    /// The rotated file that could not be read since this was asked last.
    pub fn take_failed(&self) -> Option<FileId> {
        self.failed.take()
    }

    /// Fails if bytes could not be read since this was asked last: those of this rotated file.
    pub(super) fn was_read(&self, id: FileId) -> Result<(), Refusal> {
        let read = self.all_was_read();
        if let Err(Refusal::Unreadable(error)) = &read {
            self.note_failed(id, error);
        }
        read
    }

    /// The same where this rotated file was compared with another one.
    pub(super) fn were_read(&self, id: FileId, other: FileId) -> Result<(), Refusal> {
        let failed = match self.is_other_unread.take() {
            true => other,
            false => id,
        };
        self.was_read(failed)
    }

    /// Fails if that happened since this was asked last.
    #[inline(never)]
    pub(super) fn all_was_read(&self) -> Result<(), Refusal> {
        match self.unread.take() {
            Some(error) => Err(Refusal::unreadable(error)),
            None => Ok(()),
        }
    }

    /// The end of a compressed file, which `look` reads once, or once more where somebody may have
    /// been writing then, and it is quiet since a moment in the past.
    pub(super) fn tail(
        &self,
        id: FileId,
        quiet_since_ns: u64,
        look: impl FnOnce() -> Result<Option<Tail>, Refusal>,
    ) -> Result<Option<Tail>, Refusal> {
        let place = |tails: &[(FileId, _)]| tails.binary_search_by_key(&id, |it| it.0);
        let known = {
            let tails = self.tails.borrow();
            place(&tails).ok().map(|at| tails[at].1)
        };
        let is_done = |tail: &Tail| tail.is_fresh && tail.written_ns <= quiet_since_ns;
        if let Some(known) = known.filter(|tail| !tail.as_ref().is_some_and(is_done)) {
            return Ok(known);
        }
        let credit = self.tails_credit.get().checked_sub(1);
        self.tails_credit.set(credit.ok_or_else(|| self.pause())?);
        let tail = look()?;
        let mut tails = self.tails.borrow_mut();
        match place(&tails) {
            Ok(at) => tails[at].1 = tail,
            Err(at) => tails.insert(at, (id, tail)),
        }
        Ok(tail)
    }

    /// The answer to a question about one file, which `judge` finds at most once.
    pub(super) fn score(
        &self,
        question: Test,
        id: FileId,
        judge: impl FnOnce() -> Result<u32, Refusal>,
    ) -> Result<u32, Refusal> {
        self.score_of((question, id, 0), judge)
    }

    /// The same of a question that is asked about several things.
    pub(super) fn score_of(
        &self,
        key: Key,
        judge: impl FnOnce() -> Result<u32, Refusal>,
    ) -> Result<u32, Refusal> {
        if let Some(score) = self.judged(key)? {
            return Ok(score);
        }
        let is_part = self.is_judging.replace(true);
        let score = judge();
        self.is_judging.set(is_part);
        let score = score?;
        self.keep(key, score)?;
        Ok(score)
    }

    /// The answer to a question about one file, if it was found before.
    pub(super) fn known(&self, key: Key) -> Option<u32> {
        let judgements = self.judgements.borrow();
        let place = judgements.binary_search_by_key(&key, |it| it.key);
        place.ok().map(|at| judgements[at].score)
    }

    /// The answer to a question about one file, if it was found; else one file more may be judged.
    fn judged(&self, key: Key) -> Result<Option<u32>, Refusal> {
        let known = self.known(key);
        // What belongs to another judgement would never be come to if that waited for it.
        if known.is_some() || self.is_judging.get() {
            return Ok(known);
        }
        // Each judgement reads from a file, and the other clients wait for it. The query gives up
        // here and is asked again in a later turn; all it learned is kept, so it comes one step
        // farther each time.
        let Some(credit) = self.credit.get().checked_sub(1) else {
            self.is_paused.set(true);
            return Err(Refusal::Later);
        };
        self.credit.set(credit);
        // That is enough for this part.
        self.tails_credit.set(0);
        Ok(None)
    }

    /// Keeps the answer to a question about one file, if that file could be read.
    fn keep(&self, key: Key, score: u32) -> Result<(), Refusal> {
        let (question, id, _) = key;
        // A file that could not be read scored as one that does not fit, and that must not be kept.
        // For the likeness of a damaged copy a block that cannot be read is no more than one that
        // differs.
        if question != Test::Likeness {
            self.was_read(id)?;
        }
        // Only now: to judge it, another question may have been asked.
        let mut judgements = self.judgements.borrow_mut();
        if let Err(place) = judgements.binary_search_by_key(&key, |it| it.key) {
            judgements.insert(place, Judgement { key, score });
        }
        Ok(())
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
    pub len: u32,
    /// Their checksum.
    pub crc: u32,
}

/// Files that we are not permitted to read, and come upon in one part, each two system calls.
const SHUT_AT_ONCE: usize = 8;

/// Rotated files whose content is looked at in one part, each some twenty system calls.
const JUDGED_AT_ONCE: usize = 1;

/// Compressed files whose ends are looked at in one part, each four system calls.
const TAILS_AT_ONCE: usize = 2;

/// File systems keep the time of the last write in units of no more than this.
pub(super) const TIMES_GRAIN_NS: u64 = 2_000_000_000;

/// Bytes that are read at once for a digest, and how often in one part.
const DIGESTED_LEN: usize = 4096;
const DIGESTED_AT_ONCE: usize = 14;
