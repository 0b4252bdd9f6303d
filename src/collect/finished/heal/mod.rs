//! The heal of a finished copy that differs from the server's file: where it begins to differ is
//! found by block checksums, the rest is fetched again into a new file, and that is compared once
//! more. Pure.
//!
//! What the copy was before is never deleted: it keeps a name of its own.

mod files;
mod reach;

use std::io;
use std::path::{Path, PathBuf};

use self::files::{beginning_of, open, read, scratch, second_name};
use self::reach::Reach;
use crate::collect::blocks::{Blocks, Compared, Comparison};
use crate::collect::copy::{Finished, is_shortage};
use crate::collect::error::{ProtocolError, SourceError, beside_answer};
use crate::limits::{HEAL_ATTEMPTS_MAX, HEAL_BLOCK_LEN};
use crate::store::{Kind, WriteStore};
use crate::wire::md5::Md5;
use crate::wire::receiver::{Piece, Receiver};
use crate::wire::request::Op;

/// A copy that is being healed.
pub struct Heal<F> {
    finished: Finished,
    step: Step<F>,
    attempts: u8,
    /// Whether what was fetched could not be written for a reason that passes.
    is_short: bool,
    /// Whether the server's file is known to be the one that this is a copy of.
    is_recognised: bool,
    /// How far what was fetched has ever come.
    furthest: u64,
    reach: Reach,
}

/// The step that a heal is at.
enum Step<F> {
    /// The server is to be asked for the checksums of these blocks.
    AskSums(Blocks),
    /// The checksums have come and are compared with the copy.
    Compare {
        comparison: Comparison,
        file: F,
        tally: Tally,
    },
    /// The sound beginning of the copy goes into the new file.
    CopyStart {
        file: F,
        healed: F,
        from: u64,
        at: u64,
    },
    /// The server is to be asked for the rest.
    AskRange {
        healed: F,
        from: u64,
        at: u64,
        open_at: Option<u64>,
    },
    /// The new file is compared with the digest.
    Recheck {
        healed: F,
        from: u64,
        at: u64,
        md5: Md5,
    },
}

/// The result of the comparison of blocks so far.
#[derive(Default)]
struct Tally {
    /// The blocks behind the first difference that are the same, and not like the one before.
    same_behind: u64,
    different: u64,
    /// The start of the first block that differs.
    first: Option<u64>,
}

/// The outcome of a heal.
pub enum Outcome {
    /// The copy is right now.
    Healed {
        /// The copy.
        path: PathBuf,
        /// The place from which on it was wrong, or what follows was.
        from: u64,
        /// The name of what it was before.
        kept: PathBuf,
        /// The digest it has now, which is the server's.
        md5: [u8; 16],
    },
    /// The copy was the beginning of what it is now.
    Completed {
        /// The copy.
        path: PathBuf,
        /// Its size before.
        from: u64,
        /// The digest it has now, which is the server's.
        md5: [u8; 16],
    },
    /// The copy cannot be made right.
    Hopeless {
        /// The copy.
        path: PathBuf,
        /// The reason.
        why: &'static str,
    },
    /// The file that the server found by the copy's content is another one.
    Foreign(PathBuf),
    /// The copy is to be healed later: something is short on the log host that may be there again
    /// then.
    Postponed(Finished),
}

impl<F> Heal<F> {
    /// A heal that begins with the checksums of the whole copy.
    pub fn new(finished: Finished) -> Heal<F> {
        // A file found by content may be another that has some blocks in common. Small blocks tell
        // how many.
        let blocks = match finished.by_content {
            true => Blocks::fine(finished.size),
            false => Blocks::of(0, finished.size),
        };
        Heal {
            is_recognised: !finished.by_content,
            finished,
            step: Step::AskSums(blocks),
            attempts: 0,
            is_short: false,
            furthest: 0,
            reach: Reach::new(),
        }
    }

    /// Begins anew, because what was written so far may never reach the disk.
    pub fn restart(&mut self) {
        let (attempts, furthest) = (self.attempts, self.furthest);
        *self = Heal::new(self.finished.clone());
        // A disk that fails at every sync must not make a heal endless.
        (self.attempts, self.furthest) = (attempts, furthest);
    }

    /// Asks from now on for no more than so many checksums, or bytes, at once; for twice as many
    /// bytes each time that all have come. To be called between two connections.
    pub fn ask_for(&mut self, sums_max: u16, range_max: u64) {
        if let Step::AskRange { at, .. } = self.step {
            self.reach.set(range_max, at, self.finished.size);
        }
        if let Step::AskSums(blocks) = &mut self.step {
            *blocks = blocks.at_most(sums_max);
        }
    }

    /// The copy and the generation it is about.
    pub fn finished(&self) -> &Finished {
        &self.finished
    }

    /// How much of the sound beginning of the copy is in the new file, while it is being copied.
    pub fn copied(&self) -> u64 {
        match self.step {
            Step::CopyStart { at, .. } | Step::AskRange { at, .. } => at,
            _ => 0,
        }
    }

    /// The question for the server; `None` while there is [`work`](Self::work) to do.
    pub fn question(&self) -> Option<Op> {
        match &self.step {
            Step::AskSums(blocks) => Some(blocks.question()),
            Step::AskRange { at, .. } => Some(Op::Range {
                start: *at,
                len: self.reach.len(*at, self.finished.size),
            }),
            _ => None,
        }
    }

    /// Notes that a connection for the heal did not bring what was asked. Tells whether to give up.
    pub fn has_failed(&mut self) -> Option<Outcome> {
        if self.is_short {
            return Some(Outcome::Postponed(self.finished.clone()));
        }
        let at = match self.step {
            Step::AskRange { at, .. } => Some(at),
            _ => None,
        };
        // A link that breaks again and again gets on nevertheless.
        if self.reach.shrink(at) {
            return None;
        }
        if let Some(at) = at.filter(|at| *at > self.furthest) {
            self.furthest = at;
            return None;
        }
        self.attempts += 1;
        (self.attempts >= HEAL_ATTEMPTS_MAX)
            .then(|| self.hopeless("the server does not send it again"))
    }

    /// The server's file is known to be the one that this is a copy of.
    pub fn recognise(&mut self) {
        self.is_recognised = true;
    }

    /// The outcome where the server has only another file.
    pub fn without_file(&self) -> Outcome {
        match self.finished.by_content {
            // The digest that differs is that of the other file.
            true => Outcome::Foreign(self.finished.path.clone()),
            false => self.hopeless("the server no longer has its file"),
        }
    }

    /// Whether everything that was asked for has come.
    pub fn is_answered(&self) -> bool {
        self.question().is_none()
    }

    /// Takes bytes of the answer from the front of `input` and tells how many.
    pub fn take<S: WriteStore<File = F>>(
        &mut self,
        receiver: &mut Receiver,
        input: &[u8],
        store: &mut S,
    ) -> Result<usize, SourceError> {
        let (taken, piece) = receiver.next(input);
        match (piece, &mut self.step) {
            (Piece::Nothing, _) => {}
            (Piece::Sums, Step::AskSums(blocks)) => {
                let blocks = *blocks;
                let sums = receiver.sums();
                self.compare(blocks, sums, store)?;
            }
            (Piece::DataStart(offset), Step::AskRange { at, open_at, .. }) if offset == *at => {
                *open_at = Some(offset);
            }
            // Refused before it is written: a server that sends for ever must not fill the disk.
            (Piece::Data(bytes), Step::AskRange { at, .. })
                if bytes.len() as u64 > self.finished.size - *at =>
            {
                return Err(ProtocolError::Size.into());
            }
            (Piece::Data(bytes), Step::AskRange { healed, .. }) => {
                let result = store.append_all(healed, bytes);
                result.map_err(|error| self.unusable(error))?;
                if let Step::AskRange { at: place, .. } = &mut self.step {
                    *place += bytes.len() as u64;
                }
            }
            (Piece::DataEnd, Step::AskRange { open_at, .. }) => {
                *open_at = None;
                self.finish_range();
            }
            (Piece::Small, _) => receiver
                .small(beside_answer)
                .unwrap_or_else(|bad| Err(ProtocolError::Frame(bad).into()))?,
            (Piece::Bad(bad), _) => return Err(ProtocolError::Frame(bad).into()),
            _ => return Err(ProtocolError::Order.into()),
        }
        Ok(taken)
    }

    /// Takes back what came of an unfinished frame, as the connection is over.
    pub fn abandon<S: WriteStore<File = F>>(&mut self, store: &mut S) {
        if let Step::AskRange {
            healed,
            at,
            open_at,
            ..
        } = &mut self.step
            && let Some(offset) = open_at.take()
            // Where that fails the bytes stay, unproved: the digest of all of it will judge them.
            && store.truncate(healed, offset).is_ok()
        {
            *at = offset;
        }
    }

    /// Does one slice of what needs no server, with `buf` to read into. After an error this heal
    /// cannot go on, but [another one](Outcome::Postponed) can.
    pub fn work<S: WriteStore<File = F>>(
        &mut self,
        buf: &mut [u8],
        store: &mut S,
    ) -> Result<Option<Outcome>, SourceError> {
        self.slice(buf, store).or_else(|error| {
            if is_shortage(&error) {
                return Err(self.unusable(error));
            }
            Ok(Some(self.hopeless("it cannot be read or written")))
        })
    }

    fn slice<S: WriteStore<File = F>>(
        &mut self,
        buf: &mut [u8],
        store: &mut S,
    ) -> io::Result<Option<Outcome>> {
        match &self.step {
            Step::AskSums(_) | Step::AskRange { .. } => Ok(None),
            Step::Compare { .. } => self.compare_slice(buf, store),
            Step::CopyStart { .. } => self.copy_slice(buf, store),
            Step::Recheck { .. } => self.recheck_slice(buf, store),
        }
    }

    /// Compares one slice of the copy with the checksums.
    fn compare_slice<S: WriteStore<File = F>>(
        &mut self,
        buf: &mut [u8],
        store: &mut S,
    ) -> io::Result<Option<Outcome>> {
        let Step::Compare {
            comparison,
            file,
            tally,
        } = &mut self.step
        else {
            return Ok(None);
        };
        let read = read(store, file, buf, comparison.at(), comparison.wanted())?;
        // The copy may be shorter than the generation, which is one way to differ.
        let compared = match read {
            0 => Some(comparison.end_early()),
            read => comparison.pass(&buf[..read]),
        };
        let Some(compared) = compared else {
            return Ok(None);
        };
        tally.note(compared);
        let at_end = read == 0 || comparison.wanted() == 0;
        // Where the file is known, the first difference is all that is wanted; else all
        // blocks are counted.
        if !at_end && (tally.first.is_none() || !self.is_recognised) {
            return Ok(None);
        }
        // Logs begin alike, with a header that may be most of them. What is the same before the
        // first difference therefore says nothing.
        if !self.is_recognised && tally.same_behind < tally.different {
            return Ok(Some(self.without_file()));
        }
        self.is_recognised = true;
        let len = comparison.blocks().len();
        match tally.first {
            Some(start) => self.narrow(start, len, store),
            // A CRC-32 is no digest. To fetch all of it on this ground alone is not worth
            // it.
            None => {
                let why = "all its blocks are the same, but not the digest";
                Ok(Some(self.hopeless(why)))
            }
        }
    }

    /// Copies one slice of the sound beginning into the new file.
    fn copy_slice<S: WriteStore<File = F>>(
        &mut self,
        buf: &mut [u8],
        store: &mut S,
    ) -> io::Result<Option<Outcome>> {
        let Step::CopyStart {
            file,
            healed,
            from,
            at,
        } = &mut self.step
        else {
            return Ok(None);
        };
        let read = read(store, file, buf, *at, *from - *at)?;
        store.append_all(healed, &buf[..read])?;
        *at += read as u64;
        // A copy that became shorter meanwhile: the rest is fetched from where it ends.
        if *at >= *from || read == 0 {
            self.ask_range();
        }
        Ok(None)
    }

    /// Digests one slice of the new file; with the last one it takes the copy's place.
    fn recheck_slice<S: WriteStore<File = F>>(
        &mut self,
        buf: &mut [u8],
        store: &mut S,
    ) -> io::Result<Option<Outcome>> {
        let Step::Recheck {
            healed,
            from,
            at,
            md5,
        } = &mut self.step
        else {
            return Ok(None);
        };
        let read = read(store, healed, buf, *at, self.finished.size - *at)?;
        md5.update(&buf[..read]);
        *at += read as u64;
        if *at < self.finished.size && read > 0 {
            return Ok(None);
        }
        let md5 = md5.finish();
        // The blocks before the first that differs may have been wrong with the right
        // checksum, or the server has sent something else than it announced.
        if self.finished.md5 != Some(md5) {
            return Ok(Some(
                self.hopeless("what the server sends again has another digest too"),
            ));
        }
        let from = *from;
        // Before the new file gets the copy's name: with the other order a power cut could
        // leave the name with half a file.
        store.sync_file(healed)?;
        match beginning_of(&self.finished.path, healed, from, buf, store)? {
            Some(len) if len < self.finished.size => self.complete(len, md5, store).map(Some),
            // What was written later stands behind what was there.
            _ if self.finished.is_late() => Ok(Some(Outcome::Foreign(self.finished.path.clone()))),
            _ => self.replace(from, md5, store).map(Some),
        }
    }

    /// Puts the new file in the copy's place, which is the beginning of it.
    fn complete<S: WriteStore<File = F>>(
        &mut self,
        from: u64,
        md5: [u8; 16],
        store: &mut S,
    ) -> io::Result<Outcome> {
        let path = self.finished.path.clone();
        store.rename(&scratch(&path), &path)?;
        store.sync_dir(path.parent().unwrap_or(Path::new(".")))?;
        Ok(Outcome::Completed { path, from, md5 })
    }

    /// Begins to compare the copy with the checksums that have come.
    fn compare<S: WriteStore<File = F>>(
        &mut self,
        blocks: Blocks,
        payload: Vec<u8>,
        store: &mut S,
    ) -> Result<(), SourceError> {
        let comparison = Comparison::new(blocks, payload)?.until(blocks.end());
        let file = open(store, &self.finished.path).map_err(|error| self.unusable(error))?;
        self.step = Step::Compare {
            comparison,
            file,
            tally: Tally::default(),
        };
        Ok(())
    }

    /// Narrows the search, now that the first block that differs is known, and how long its like
    /// are: looks into it, or fetches everything from there on.
    fn narrow<S: WriteStore<File = F>>(
        &mut self,
        start: u64,
        len: u64,
        store: &mut S,
    ) -> io::Result<Option<Outcome>> {
        if len > HEAL_BLOCK_LEN {
            let end = (start + len).min(self.finished.size);
            self.step = Step::AskSums(Blocks::of(start, end));
            return Ok(None);
        }
        // Within so small a block the first byte need not be known: all of it is fetched again.
        let file = open(store, &self.finished.path)?;
        let healed = store.create_scratch(&scratch(&self.finished.path))?;
        self.step = Step::CopyStart {
            file,
            healed,
            from: start,
            at: 0,
        };
        Ok(None)
    }

    fn ask_range(&mut self) {
        let before = std::mem::replace(&mut self.step, Step::AskSums(Blocks::of(0, 0)));
        self.step = match before {
            Step::CopyStart {
                healed, from, at, ..
            } => Step::AskRange {
                healed,
                from,
                at,
                open_at: None,
            },
            other => other,
        };
        self.finish_range();
    }

    /// Turns to the last comparison once everything has come again.
    fn finish_range(&mut self) {
        let is_whole = matches!(&self.step, Step::AskRange { at, .. } if *at >= self.finished.size);
        if !is_whole {
            return;
        }
        let before = std::mem::replace(&mut self.step, Step::AskSums(Blocks::of(0, 0)));
        self.step = match before {
            Step::AskRange { healed, from, .. } => Step::Recheck {
                healed,
                from,
                at: 0,
                md5: Md5::new(),
            },
            other => other,
        };
    }

    /// Puts the healed file in the copy's place; what stood there keeps a name of its own. At no
    /// moment is the name without a file.
    fn replace<S: WriteStore<File = F>>(
        &mut self,
        from: u64,
        md5: [u8; 16],
        store: &mut S,
    ) -> io::Result<Outcome> {
        let path = self.finished.path.clone();
        let dir = path.parent().unwrap_or(Path::new(".")).to_path_buf();
        // The present file gets its second name first, durably. Then a rename puts the healed one
        // in its place, so that a crash leaves one or the other under the name.
        let kept = second_name(store, &path)?;
        store.sync_dir(&dir)?;
        store.rename(&scratch(&path), &path)?;
        store.sync_dir(&dir)?;
        Ok(Outcome::Healed {
            path,
            from,
            kept,
            md5,
        })
    }

    fn hopeless(&self, why: &'static str) -> Outcome {
        Outcome::Hopeless {
            path: self.finished.path.clone(),
            why,
        }
    }

    fn unusable(&mut self, error: io::Error) -> SourceError {
        self.is_short = is_shortage(&error);
        SourceError::Files(crate::collect::copy::FileError::System {
            operation: "heal",
            path: self.finished.path.clone(),
            error,
        })
    }
}

/// Removes what a heal without success, or an earlier run's, may have left beside a copy.
pub fn clear_away<S: WriteStore>(path: &Path, store: &mut S) {
    let scratch = scratch(path);
    // Most often there is nothing, and what stays is overwritten by the next heal.
    if let Ok(Some(left)) = store.stat_path(&scratch)
        && left.kind == Kind::Regular
    {
        let _ = store.unlink(&scratch);
    }
}

impl Tally {
    fn note(&mut self, compared: Compared) {
        match compared.is_same {
            // Zeros and patterns that repeat themselves are in many files, and in a file often.
            true if compared.is_repeated => {}
            true => self.same_behind += u64::from(self.first.is_some()),
            false => {
                self.different += 1;
                self.first.get_or_insert(compared.start);
            }
        }
    }
}

#[cfg(test)]
mod tests;
