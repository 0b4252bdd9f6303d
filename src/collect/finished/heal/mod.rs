//! A finished copy that differs from the server's file is made the same: where it begins to differ is found by block
//! checksums, the rest is fetched again into a new file, and that is compared once more. Pure.
//!
//! What the copy was before is never deleted: it keeps a name of its own.

use std::io;
use std::path::{Path, PathBuf};

use crate::collect::blocks::{Blocks, Compared, Comparison};
use crate::collect::config::with_ending;
use crate::collect::copy::{Finished, is_shortage};
use crate::collect::error::{ProtocolError, SourceError};
use crate::limits::{HEAL_ATTEMPTS_MAX, HEAL_BLOCK_LEN};
use crate::store::{Kind, WriteStore};
use crate::wire::escape::Escaped;
use crate::wire::frame::Frame;
use crate::wire::md5::Md5;
use crate::wire::receiver::{Piece, Receiver};
use crate::wire::request::Op;

/// One copy being healed.
pub struct Heal<F> {
    finished: Finished,
    step: Step<F>,
    attempts: u8,
    /// What was fetched could not be written for a reason that passes.
    is_short: bool,
    /// The server's file is known to be the one that this is a copy of.
    is_recognised: bool,
}

/// How far it is.
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

/// What the comparison of blocks has shown so far.
#[derive(Default)]
struct Tally {
    same: u64,
    different: u64,
    /// Where the first block that differs begins.
    first: Option<u64>,
}

/// How a heal ended.
pub enum Outcome {
    /// The copy is right now.
    Healed {
        /// The copy.
        path: PathBuf,
        /// Where it was wrong, or what follows was.
        from: u64,
        /// What it was before.
        kept: PathBuf,
        /// The digest it has now, which is the server's.
        md5: [u8; 16],
    },
    /// It cannot be made right.
    Hopeless {
        /// The copy.
        path: PathBuf,
        /// Why not.
        why: &'static str,
    },
    /// The file that the server found by the copy's content is another one.
    Foreign(PathBuf),
    /// Something is short on this machine that may be there again later: this copy is to be healed then.
    Postponed(Finished),
}

impl<F> Heal<F> {
    /// Begins with the checksums of the whole copy.
    pub fn new(finished: Finished) -> Heal<F> {
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
        }
    }

    /// What was written so far may never reach the disk: begins anew.
    pub fn restart(&mut self) {
        let attempts = self.attempts;
        *self = Heal::new(self.finished.clone());
        self.attempts = attempts;
    }

    /// The copy and the generation it is about.
    pub fn finished(&self) -> &Finished {
        &self.finished
    }

    /// What to ask the server; `None` while there is [`work`](Self::work) to do.
    pub fn question(&self) -> Option<Op> {
        match &self.step {
            Step::AskSums(blocks) => Some(blocks.question()),
            Step::AskRange { at, .. } => Some(Op::Range {
                start: *at,
                len: self.finished.size - at,
            }),
            _ => None,
        }
    }

    /// A connection for it did not bring what was asked. Tells whether to give up.
    pub fn has_failed(&mut self) -> Option<Outcome> {
        if self.is_short {
            return Some(Outcome::Postponed(self.finished.clone()));
        }
        self.attempts += 1;
        (self.attempts >= HEAL_ATTEMPTS_MAX)
            .then(|| self.hopeless("the server does not send it again"))
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
                .small(|frame| match frame {
                    // The server is still computing.
                    Frame::Alive { .. } => Ok(()),
                    Frame::Error { text, .. } => {
                        Err(SourceError::Refused(Escaped(text).to_string().into()))
                    }
                    _ => Err(ProtocolError::Order.into()),
                })
                .unwrap_or_else(|bad| Err(ProtocolError::Frame(bad).into()))?,
            (Piece::Bad(bad), _) => return Err(ProtocolError::Frame(bad).into()),
            _ => return Err(ProtocolError::Order.into()),
        }
        Ok(taken)
    }

    /// The connection is over: takes back what came of an unfinished frame.
    pub fn abandon<S: WriteStore<File = F>>(&mut self, store: &mut S) {
        if let Step::AskRange {
            healed,
            at,
            open_at,
            ..
        } = &mut self.step
            && let Some(offset) = open_at.take()
            && store.truncate(healed, offset).is_ok()
        {
            *at = offset;
        }
    }

    /// Does one slice of what needs no server, with `buf` to read into. After an error this heal cannot go on, but
    /// [another one](Outcome::Postponed) can.
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
        match &mut self.step {
            Step::AskSums(_) | Step::AskRange { .. } => Ok(None),
            Step::Compare {
                comparison,
                file,
                tally,
            } => {
                let read = read(store, file, buf, comparison.at(), comparison.wanted())?;
                let compared = match read {
                    0 => Some(comparison.end_early()),
                    read => comparison.pass(&buf[..read]),
                };
                let Some(compared) = compared else {
                    return Ok(None);
                };
                tally.note(compared);
                let at_end = read == 0 || comparison.wanted() == 0;
                if !at_end && (tally.first.is_none() || !self.is_recognised) {
                    return Ok(None);
                }
                // Files that are not related may have a few lines in common, such as a header.
                if !self.is_recognised && tally.same < tally.different {
                    return Ok(Some(Outcome::Foreign(self.finished.path.clone())));
                }
                self.is_recognised = true;
                let len = comparison.blocks().len();
                match tally.first {
                    Some(start) => self.narrow(start, len, store),
                    None => {
                        let why = "all its blocks are the same, but not the digest";
                        Ok(Some(self.hopeless(why)))
                    }
                }
            }
            Step::CopyStart {
                file,
                healed,
                from,
                at,
            } => {
                let read = read(store, file, buf, *at, *from - *at)?;
                store.append_all(healed, &buf[..read])?;
                *at += read as u64;
                if *at >= *from || read == 0 {
                    self.ask_range();
                }
                Ok(None)
            }
            Step::Recheck {
                healed,
                from,
                at,
                md5,
            } => {
                let read = read(store, healed, buf, *at, self.finished.size - *at)?;
                md5.update(&buf[..read]);
                *at += read as u64;
                if *at < self.finished.size && read > 0 {
                    return Ok(None);
                }
                let md5 = md5.finish();
                if self.finished.md5 != Some(md5) {
                    return Ok(Some(
                        self.hopeless("what the server sends again has another digest too"),
                    ));
                }
                let from = *from;
                store.sync_file(healed)?;
                self.replace(from, md5, store).map(Some)
            }
        }
    }

    /// Checksums have come: they are compared with the copy.
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

    /// The first block that differs is known, and how long its like are: looks into it, or fetches everything from there
    /// on.
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

    /// When everything has come again, it is compared once more.
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

    /// Puts the healed file in the copy's place; what stood there keeps a name of its own. At no moment is the name
    /// without a file.
    fn replace<S: WriteStore<File = F>>(
        &mut self,
        from: u64,
        md5: [u8; 16],
        store: &mut S,
    ) -> io::Result<Outcome> {
        let path = self.finished.path.clone();
        let dir = path.parent().unwrap_or(Path::new(".")).to_path_buf();
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

/// Takes away what a heal without success, or an earlier run's, may have left beside a copy.
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
            true => self.same += 1,
            false => {
                self.different += 1;
                self.first.get_or_insert(compared.start);
            }
        }
    }
}

fn open<S: WriteStore>(store: &mut S, path: &Path) -> io::Result<S::File> {
    store
        .open_append(path)?
        .ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn read<S: WriteStore>(
    store: &mut S,
    file: &S::File,
    buf: &mut [u8],
    at: u64,
    wanted: u64,
) -> io::Result<usize> {
    let wanted = usize::try_from(wanted).unwrap_or(usize::MAX).min(buf.len());
    store.read_at(file, &mut buf[..wanted], at)
}

/// Gives what a copy was before a name of its own. A run that was killed right after that has left it one already.
fn second_name<S: WriteStore>(store: &mut S, path: &Path) -> io::Result<PathBuf> {
    let id = store.stat_path(path)?.map(|stat| stat.id);
    for attempt in 0..100 {
        let ending = match attempt {
            0 => ".damaged".to_owned(),
            n => format!(".damaged.{n}"),
        };
        let name = with_ending(path, &ending);
        match store.stat_path(&name)? {
            None => return store.link(path, &name).map(|()| name),
            Some(stat) if Some(stat.id) == id => return Ok(name),
            Some(_) => {}
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Where the healed copy grows.
fn scratch(path: &Path) -> PathBuf {
    with_ending(path, ".healing")
}

#[cfg(test)]
mod tests;
