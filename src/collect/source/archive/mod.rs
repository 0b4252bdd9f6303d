//! Compressed generations, as a source takes them: what the box has compressed is fetched as it is,
//! and inflated here. If it begins with what is held, it is the rest of that; else the next
//! generation.
//!
//! An archive is inflated twice: first to see whether all of it is right, and what it is, then into
//! the copy. So whatever happens meanwhile, nothing stands in a copy that was not found right.

mod join;
mod peek;

use std::collections::VecDeque;

use self::join::tell_duplicate;
use self::peek::{PEEK_LEN, begins_alike, take_head};
use super::link::{Asked, Phase, Purpose};
use super::{Context, Source};
use crate::collect::archive::Offered;
use crate::collect::archive::fetch::{Fetch, HEAD_LEN, clear_away, path_of};
use crate::collect::archive::inflate::{Bad, Inflater};
use crate::collect::copy::FileError;
use crate::collect::copy::given::Ledger;
use crate::collect::error::SourceError;
use crate::collect::event::Event;
use crate::ids::Inode;
use crate::limits::INFLATED_AT_ONCE;
use crate::store::WriteStore;
use crate::wire::frame::End;
use crate::wire::md5::Md5;
use crate::wire::receiver::Receiver;
use crate::wire::reply::Terms;
use crate::wire::request::{Extension, Op, SettledList};

/// Whether requests ask for archives.
pub(super) const ARE_ASKED_FOR: bool = true;

/// Archives of nothing are shorter, but for the name in them.
const EMPTY_MAX_LEN: u64 = 300;

/// What there is to do with archives, which most sources never have.
pub(super) struct Archives<F> {
    work: Option<Box<Work<F>>>,
    /// Those of which nothing more is wanted.
    settled: SettledList,
    /// The generation held is all of an archive.
    whole: Option<Whole>,
    /// Those that were told and could not be had.
    wanted: Vec<Offered>,
}

/// A generation of which all was inflated.
struct Whole {
    inode: Inode,
    size: u64,
    md5: Option<[u8; 16]>,
    mtime_ns: u64,
    /// What stands for the archive in a request; 0 if it was in none.
    sum: u32,
    /// It came from a file that may be a copy which somebody made of the rest.
    is_suspect: bool,
}

impl Whole {
    /// Whether it came from this archive.
    fn is_of(&self, offered: &Offered) -> bool {
        self.sum != 0 && (self.inode, self.mtime_ns) == (offered.inode, offered.mtime_ns)
    }
}

struct Work<F> {
    /// The archives, oldest first.
    list: VecDeque<Offered>,
    /// Which of them is looked at.
    at: usize,
    /// None of them begins with what is held.
    is_held_gone: bool,
    /// The server knows that all of the generation held is here.
    is_held_whole: bool,
    /// Something that came behind it is lost.
    is_behind_lost: bool,
    step: Step<F>,
}

enum Step<F> {
    /// One of the list is to be looked at.
    Next,
    /// The beginning of one of the list is on its way: whether it may be the generation held.
    Peek(Vec<u8>),
    /// It is on its way.
    Fetch(Fetch<F>),
    /// It is here.
    Unpack(Box<Unpack<F>>),
}

struct Unpack<F> {
    file: F,
    /// How much of the archive was taken.
    at: u64,
    inflater: Inflater,
    md5: Md5,
    goal: Goal,
    is_resumed: bool,
}

#[derive(Clone, Copy)]
enum Goal {
    /// To find out whether it is right, and whether it begins with what is held.
    Check { differs_at: Option<u64> },
    /// To append what is not held.
    Append { md5: [u8; 16] },
}

impl<F> Archives<F> {
    pub(super) fn new() -> Archives<F> {
        Archives {
            work: None,
            settled: SettledList::new(),
            whole: None,
            wanted: Vec::new(),
        }
    }

    /// Whether there is something to do that needs no server, once nothing else is done.
    pub(super) fn is_at_work(&self) -> bool {
        let work = self.work.as_ref();
        work.is_some_and(|work| matches!(work.step, Step::Unpack(_)))
    }

    /// Notes that the connection is over, or the work on what is here: that begins anew.
    pub(super) fn interrupt<S: WriteStore<File = F>>(&mut self, store: &mut S) {
        let Some(work) = &mut self.work else {
            return;
        };
        match &mut work.step {
            Step::Fetch(fetch) => fetch.abandon(store),
            Step::Unpack(_) => work.step = Step::Next,
            Step::Peek(head) => head.clear(),
            Step::Next => {}
        }
    }

    /// Does without the archives that were told.
    fn give_up(&mut self) {
        if let Some(work) = self.work.take() {
            self.wanted = work.list.into();
        }
    }

    fn settle(&mut self, offered: &Offered) {
        if self.settled.is_full() {
            self.settled.remove(0);
        }
        let _ = self.settled.push(offered.sum());
    }
}

impl<F> Source<F> {
    /// Adds to a request for the stream that archives are taken.
    pub(super) fn tell_archives(&self, request: &mut Extension) {
        request.gz = true;
        request.settled = self.archives.settled.clone();
    }

    /// Takes the archives that have to be looked at before anything else. Besides, whether the
    /// server knows that the generation held is whole, and that something behind it is lost; and
    /// its end, if that came, and whether that may be the end of a copy only.
    pub(super) fn take_archives(
        &mut self,
        list: Vec<Offered>,
        (is_held_whole, is_behind_lost): (bool, bool),
        ended: Option<(End, bool)>,
    ) {
        if let (Some((end, is_suspect)), Some(inode)) = (ended, self.disk.inode()) {
            self.archives.whole = Some(Whole {
                inode,
                size: end.size,
                md5: end.md5,
                mtime_ns: 0,
                sum: 0,
                is_suspect,
            });
        }
        // What was told and is told no more is gone, and came before all that is left.
        let is_told = |it: &Offered| list.iter().any(|other| other.is_same(it));
        let wanted = std::mem::take(&mut self.archives.wanted);
        let is_behind_lost = is_behind_lost || wanted.iter().any(|it| !is_told(it));
        self.archives.work = Some(Box::new(Work {
            list: list.into(),
            at: 0,
            is_held_gone: false,
            is_held_whole,
            is_behind_lost,
            step: Step::Next,
        }));
    }

    /// Looks what is to be done with archives before the server is asked. Tells whether that needs
    /// no server.
    pub(super) fn prepare_archive<S: WriteStore<File = F>>(
        &mut self,
        cx: &mut Context<'_, S>,
    ) -> Result<bool, FileError> {
        self.check_whole();
        let path = path_of(&self.config.local);
        let ledger = Ledger::read(&self.config, cx.store).unwrap_or_default();
        while let Some(work) = &mut self.archives.work {
            match &work.step {
                Step::Next => {}
                Step::Peek(_) => return Ok(false),
                Step::Fetch(fetch) if !fetch.is_whole() => return Ok(false),
                Step::Fetch(_) => {
                    if let Step::Fetch(fetch) = std::mem::replace(&mut work.step, Step::Next) {
                        work.step = Step::Unpack(Box::new(Unpack::new(fetch)));
                    }
                    return Ok(true);
                }
                Step::Unpack(_) => return Ok(true),
            }
            let Some(offered) = work.list.get(work.at) else {
                clear_away(&path, cx.store);
                self.archives.work = None;
                break;
            };
            let (crc, size) = offered.last;
            let is_empty = (crc, size) == (0, 0) && offered.size < EMPTY_MAX_LEN;
            // It was given before it was compressed.
            let is_given = ledger.has_content(crc, size);
            if is_given && self.archives.whole.is_some() {
                tell_duplicate(offered, &self.config, cx);
            }
            // The server may know it by another token now.
            let is_held = self
                .archives
                .whole
                .as_ref()
                .is_some_and(|it| it.is_of(offered));
            if is_empty || is_given || is_held {
                let offered = work.list.remove(work.at);
                offered.iter().for_each(|it| self.archives.settle(it));
                continue;
            }
            let fetch = Fetch::open(&path, offered, cx.store);
            work.step = Step::Fetch(fetch.map_err(|error| FileError::System {
                operation: "write",
                path: path.clone(),
                error,
            })?);
        }
        Ok(false)
    }

    /// The question for an archive, if one is to be fetched.
    pub(super) fn question_of_archive(&self) -> Option<Asked> {
        let work = self.archives.work.as_ref()?;
        matches!(work.step, Step::Fetch(_) | Step::Peek(_)).then_some(Asked {
            inode: Inode::NONE,
            offset: 0,
            purpose: Purpose::Archive,
        })
    }

    /// The fields of that question.
    pub(super) fn extension_of_archive(&self) -> Option<Extension> {
        let work = self.archives.work.as_ref()?;
        let offered = work.offered()?;
        let op = match &work.step {
            Step::Fetch(fetch) => fetch.question(self.link.breaks().range_max()),
            Step::Peek(_) => Op::Range {
                start: 0,
                len: offered.size.min(PEEK_LEN),
            },
            _ => return None,
        };
        Some(Extension {
            op,
            identity: Some(offered.token),
            frame_max: self.frame_max(op),
            ..Extension::default()
        })
    }

    /// Whether the file that the server answers with is the archive, as it was told.
    pub(super) fn is_archive(&self, terms: &Terms) -> bool {
        let work = self.archives.work.as_ref();
        let offered = work.and_then(|work| work.offered());
        offered.is_some_and(|offered| {
            let is_it = terms
                .identity
                .is_some_and(|it| it.id() == offered.token.id());
            is_it && (terms.size, terms.mtime_ns) == (offered.size, offered.mtime_ns)
        })
    }

    /// Does without the archives that were told: they are not there any more.
    pub(super) fn give_up_archives(&mut self) {
        self.archives.give_up();
    }

    /// Takes bytes of an archive. Tells besides whether there were any.
    pub(super) fn take_archive<S: WriteStore<File = F>>(
        &mut self,
        receiver: &mut Receiver,
        data: &[u8],
        cx: &mut Context<'_, S>,
    ) -> (bool, Result<(), SourceError>) {
        let path = path_of(&self.config.local);
        let mut rest = data;
        if let Some(work) = &mut self.archives.work
            && let Step::Peek(head) = &mut work.step
        {
            let result = take_head(head, receiver, data);
            return (!data.is_empty(), result);
        }
        while let Some(work) = &mut self.archives.work
            && let Step::Fetch(fetch) = &mut work.step
            && !fetch.is_whole()
        {
            match fetch.take(receiver, rest, &path, cx.store) {
                Ok(0) if rest.is_empty() => break,
                Ok(taken) => rest = rest.get(taken..).unwrap_or_default(),
                Err(error) => {
                    if matches!(error, SourceError::Refused(_)) {
                        self.archives.give_up();
                    }
                    return (false, Err(error));
                }
            }
        }
        (!data.is_empty(), Ok(()))
    }

    /// Goes over to what is to be done when all of an archive is here.
    pub(super) fn turn_to_archive<S: WriteStore<File = F>>(&mut self, cx: &mut Context<'_, S>) {
        // Zeros that a power cut left are nobody's.
        let sound = self.asked_size();
        let Some(work) = &mut self.archives.work else {
            return;
        };
        let len = work.offered().map_or(0, |offered| offered.size);
        match &work.step {
            Step::Fetch(fetch) if fetch.is_whole() => {}
            Step::Peek(head) if head.len() as u64 >= len.min(PEEK_LEN) => {
                let is_it = self.disk.copy().is_some_and(|copy| {
                    let mut files = cx.files(&self.config, "");
                    let mut read = |ours: &mut [u8]| copy.read_at(ours, 0, &mut files);
                    begins_alike(head, sound, |ours| read(ours).unwrap_or(0))
                });
                match is_it {
                    true => work.step = Step::Next,
                    false => work.peek_at_next(),
                }
            }
            _ => return,
        }
        self.link.enter(Phase::Waiting { until: cx.now.mono });
    }

    /// Inflates one more slice.
    pub(super) fn work_on_archive<S: WriteStore<File = F>>(
        &mut self,
        buf: &mut [u8],
        cx: &mut Context<'_, S>,
    ) {
        let before = self.disk.size();
        if let Err(error) = self.unpack_slice(buf, cx) {
            return self.fail(error, cx);
        }
        let grown = self.disk.size().saturating_sub(before);
        if !self.archives.is_at_work() {
            self.link.end_work(cx.now.mono);
        }
        self.note_written(grown, cx);
    }

    fn unpack_slice<S: WriteStore<File = F>>(
        &mut self,
        buf: &mut [u8],
        cx: &mut Context<'_, S>,
    ) -> Result<(), SourceError> {
        let Some(work) = &mut self.archives.work else {
            return Ok(());
        };
        let Some(offered) = work.offered().cloned() else {
            self.archives.give_up();
            return Ok(());
        };
        let Step::Unpack(unpack) = &mut work.step else {
            return Ok(());
        };
        let (input, ours) = buf.split_at_mut(buf.len() / 2);
        let wanted = (offered.size - unpack.at).min(input.len() as u64) as usize;
        let read = cx
            .store
            .read_at(&unpack.file, &mut input[..wanted], HEAD_LEN + unpack.at);
        let read = read.map_err(|error| {
            SourceError::Files(FileError::System {
                operation: "read",
                path: path_of(&self.config.local),
                error,
            })
        })?;
        let Some(copy) = self.disk.copy_mut() else {
            self.archives.give_up();
            return Ok(());
        };
        let mut files = cx.files(&self.config, "");
        let mut rest = &input[..read];
        let mut given = 0;
        let outcome = loop {
            let at = unpack.inflater.given();
            let (taken, bytes) = match unpack.inflater.step(rest) {
                Ok(step) => step,
                Err(bad) => break Some(Err(bad)),
            };
            rest = &rest[taken..];
            unpack.at += taken as u64;
            given += bytes.len();
            match &mut unpack.goal {
                Goal::Check { differs_at } => {
                    unpack.md5.update(bytes);
                    let held = copy.size();
                    let len = held.saturating_sub(at).min(bytes.len() as u64) as usize;
                    if differs_at.is_none() && len > 0 {
                        let ours = &mut ours[..len];
                        let read = copy.read_at(ours, at, &mut files);
                        let read = read.map_err(SourceError::Files)?;
                        let both = ours[..read].iter().zip(bytes);
                        let same = both.take_while(|(ours, theirs)| ours == theirs).count();
                        *differs_at = (same < len).then_some(at + same as u64);
                    }
                }
                Goal::Append { .. } => {
                    let held = copy.size().saturating_sub(at).min(bytes.len() as u64) as usize;
                    copy.append(&bytes[held..], &mut files)
                        .map_err(SourceError::Files)?;
                }
            }
            if taken == 0 && bytes.is_empty() {
                let is_over = unpack.at >= offered.size || read == 0;
                break is_over.then(|| unpack.inflater.end());
            }
            if given >= INFLATED_AT_ONCE {
                break None;
            }
        };
        match outcome {
            None => Ok(()),
            Some(Err(bad)) => self.archive_is_bad(&offered, bad, cx),
            Some(Ok(())) => self.archive_is_through(&offered, cx),
        }
    }

    /// An archive cannot be trusted.
    fn archive_is_bad<S: WriteStore<File = F>>(
        &mut self,
        offered: &Offered,
        bad: Bad,
        cx: &mut Context<'_, S>,
    ) -> Result<(), SourceError> {
        let Some(work) = &mut self.archives.work else {
            return Ok(());
        };
        let is_resumed = matches!(&work.step, Step::Unpack(unpack) if unpack.is_resumed);
        clear_away(&path_of(&self.config.local), cx.store);
        work.step = Step::Next;
        // What came over another connection, or in another run, may have suffered here.
        if is_resumed {
            return Ok(());
        }
        let why = bad.to_string();
        if offered.is_fresh {
            self.archives.give_up();
            return Err(SourceError::Archive(
                format!("{} is not complete yet: {why}", offered.name).into(),
            ));
        }
        work.list.remove(work.at);
        self.archives.settle(offered);
        let name = &offered.name;
        self.note_flaw(Event::BadArchive { name, why: &why }, cx);
        Ok(())
    }

    /// All of an archive was inflated.
    fn archive_is_through<S: WriteStore<File = F>>(
        &mut self,
        offered: &Offered,
        cx: &mut Context<'_, S>,
    ) -> Result<(), SourceError> {
        self.check_whole();
        let Some(work) = &mut self.archives.work else {
            return Ok(());
        };
        let (is_held_whole, is_behind_lost) = (work.is_held_whole, work.is_behind_lost);
        let Step::Unpack(unpack) = std::mem::replace(&mut work.step, Step::Next) else {
            return Ok(());
        };
        let size = unpack.inflater.given();
        match unpack.goal {
            Goal::Check { differs_at } => {
                let md5 = unpack.md5.finish();
                let held = self.disk.generation().is_some();
                let is_sure = |whole: &Whole| !whole.is_suspect;
                let is_whole = self.archives.whole.as_ref().is_some_and(is_sure);
                let differs_at = differs_at.or((size < self.disk.size()).then_some(size));
                if is_whole && differs_at.is_none() && size == self.disk.size() {
                    self.pass_over_own(offered, cx);
                    return Ok(());
                }
                // Any archive goes on with nothing: others may have come and gone before it, unless
                // the server knows better.
                let is_next = is_held_whole && !is_behind_lost || self.has_begun(offered, cx);
                let is_shown = held && (self.disk.size() > 0 || is_next);
                let goes_on = is_shown && !is_whole && self.cut_doubtful(differs_at, cx)?;
                if goes_on && let Some(work) = &mut self.archives.work {
                    work.is_behind_lost = false;
                    // What is older is not wanted.
                    let older = work.list.drain(..std::mem::take(&mut work.at));
                    let older: Vec<Offered> = older.collect();
                    older.iter().for_each(|it| self.archives.settle(it));
                }
                let may_be_later = is_shown && !is_whole && !is_held_whole;
                if !goes_on
                    && may_be_later
                    && let Some(work) = &mut self.archives.work
                    && !std::mem::replace(&mut work.is_held_gone, work.list.len() < 2)
                    && work.list.len() > 1
                {
                    work.peek_at_next();
                    return Ok(());
                }
                if !goes_on {
                    let is_lost = self
                        .archives
                        .work
                        .as_ref()
                        .is_some_and(|it| it.is_behind_lost);
                    self.begin_archive(offered, (is_held_whole, is_lost), cx)?;
                }
                if let Some(work) = &mut self.archives.work {
                    (work.is_held_whole, work.is_behind_lost) = (false, false);
                    work.step = Step::Unpack(Box::new(Unpack {
                        at: 0,
                        inflater: Inflater::new(),
                        md5: Md5::new(),
                        goal: Goal::Append { md5 },
                        ..*unpack
                    }));
                }
                Ok(())
            }
            Goal::Append { md5 } => {
                // Where that fails, it is still the one to look at.
                self.hold_archive(offered, size, md5, cx)?;
                if let Some(work) = &mut self.archives.work {
                    work.list.remove(work.at);
                    work.is_held_gone = false;
                }
                Ok(())
            }
        }
    }
}

impl<F> Work<F> {
    /// The archive that is looked at.
    fn offered(&self) -> Option<&Offered> {
        self.list.get(self.at)
    }

    /// Looks at the beginning of the next one. After the last one nothing is left to look at: the
    /// generation held is in none.
    fn peek_at_next(&mut self) {
        self.at += 1;
        self.step = Step::Peek(Vec::new());
        if self.at >= self.list.len() {
            (self.at, self.step, self.is_held_gone) = (0, Step::Next, true);
        }
    }
}

impl<F> Unpack<F> {
    fn new(fetch: Fetch<F>) -> Unpack<F> {
        Unpack {
            is_resumed: fetch.is_resumed(),
            file: fetch.into_file(),
            at: 0,
            inflater: Inflater::new(),
            md5: Md5::new(),
            goal: Goal::Check { differs_at: None },
        }
    }
}
