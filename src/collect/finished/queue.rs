//! Finished copies compared with the server's digest, one slice after the other. Pure.
//!
//! The copy that is compared is what stands in the file system, not what passed through memory.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;

use crate::collect::copy::{Finished, is_shortage};
use crate::limits::{CHECK_AGAIN_MS, CHECKS_WAITING_MAX};
use crate::store::WriteStore;
use crate::time::Mono;
use crate::wire::frame;
use crate::wire::md5::Md5;

/// The copies of one source that are to be compared.
pub struct Queue<F> {
    /// There for as long as there are any, so that a source that only follows its log stays small.
    copies: Option<Box<Copies<F>>>,
    /// The server was asked in vain. The log is followed before that is tried again.
    asked_in_vain: bool,
}

/// How far each copy is.
struct Copies<F> {
    /// Those whose digest may still come over the present connection, oldest first.
    expecting: VecDeque<Finished>,
    /// Those whose digest will not come by itself: the server is to be asked.
    to_ask: VecDeque<Finished>,
    /// Those whose digest is known.
    waiting: VecDeque<Finished>,
    /// Those that could not be compared or healed for a reason that passes.
    later: VecDeque<Finished>,
    /// When those are tried again.
    again_at: Option<Mono>,
    running: Option<Check<F>>,
}

/// One comparison.
struct Check<F> {
    finished: Finished,
    file: F,
    md5: Md5,
    done: u64,
}

/// How a comparison ended.
pub enum Comparison {
    /// The copy has the digest.
    Same {
        /// Its name.
        path: PathBuf,
        /// The digest.
        md5: [u8; 16],
        /// How many bytes the digest is of, from the start of the copy.
        size: u64,
        /// How many the copy has.
        copy_size: u64,
    },
    /// It has not.
    Different(Finished),
    /// It could not be read.
    Unreadable(PathBuf, io::Error),
}

impl<F> Default for Queue<F> {
    fn default() -> Queue<F> {
        Queue {
            copies: None,
            asked_in_vain: false,
        }
    }
}

impl<F> Queue<F> {
    /// A copy is complete. Returns the one that is given up because too many wait.
    #[must_use]
    pub fn add(&mut self, finished: Finished) -> Option<Finished> {
        let copies = self.copies.get_or_insert_default();
        match finished.md5 {
            Some(_) => copies.waiting.push_back(finished),
            None => copies.expecting.push_back(finished),
        }
        copies.shed()
    }

    /// Takes in what an earlier run or an interrupted rotation left on the list. Returns what is given up because too
    /// many wait.
    pub fn restore(&mut self, list: Vec<Finished>) -> Vec<Finished> {
        let mut shed = Vec::new();
        for finished in list {
            if self.all().any(|known| known.path == finished.path) {
                continue;
            }
            let copies = self.copies.get_or_insert_default();
            match finished.md5 {
                Some(_) => copies.waiting.push_back(finished),
                None => copies.to_ask.push_back(finished),
            }
            shed.extend(copies.shed());
        }
        shed
    }

    /// The digest of a copy that was finished without one. Returns the copy if it is no digest to compare with.
    #[must_use]
    pub fn add_digest(&mut self, digest: frame::Digest) -> Option<Finished> {
        let is_it =
            |finished: &Finished| (finished.inode, finished.size) == (digest.inode, digest.size);
        let copies = self.copies.as_mut()?;
        let place = copies.expecting.iter().position(is_it)?;
        let finished = copies.expecting.remove(place)?;
        if digest.md5.is_none() {
            return Some(finished);
        }
        copies.waiting.push_back(Finished {
            md5: digest.md5,
            ..finished
        });
        None
    }

    /// A stream of version 2 is over, and with it the hope that digests come by themselves.
    pub fn stream_ended(&mut self) {
        if let Some(copies) = &mut self.copies {
            copies.to_ask.append(&mut copies.expecting);
        }
        self.asked_in_vain = false;
    }

    /// A copy is to be compared at `again_at`, or a bit earlier if another one is.
    pub fn postpone(&mut self, finished: Finished, again_at: Mono) {
        let copies = self.copies.get_or_insert_default();
        copies.postpone(finished, again_at);
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called, if at all.
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.copies.as_ref()?.again_at
    }

    /// The moment of [`poll_timeout`](Self::poll_timeout) has come; harmless before.
    pub fn handle_timeout(&mut self, now: Mono) {
        if let Some(copies) = &mut self.copies
            && copies.again_at.is_some_and(|at| at <= now)
        {
            copies.again_at = None;
            copies.waiting.append(&mut copies.later);
        }
    }

    /// The copy whose digest the server is to be asked for before the log is followed.
    pub fn to_ask(&self) -> Option<&Finished> {
        let copies = self.copies.as_ref().filter(|_| !self.asked_in_vain)?;
        copies.to_ask.front()
    }

    /// The server was asked for it and does not answer now.
    pub fn ask_later(&mut self) {
        self.asked_in_vain = true;
    }

    /// The server was asked for it: this is the digest of the file that it has.
    pub fn answered(&mut self, md5: [u8; 16]) {
        if let Some(copies) = &mut self.copies
            && let Some(finished) = copies.to_ask.pop_front()
        {
            copies.waiting.push_back(Finished {
                md5: Some(md5),
                by_content: true,
                ..finished
            });
        }
    }

    /// The server was asked for it and will never tell. Returns it.
    pub fn give_up(&mut self) -> Option<Finished> {
        self.copies.as_mut()?.to_ask.pop_front()
    }

    /// All that are not compared yet.
    pub fn all(&self) -> impl Iterator<Item = &Finished> {
        self.copies.iter().flat_map(|copies| copies.all())
    }

    /// Whether [`work`](Self::work) has something to do.
    pub fn has_work(&self) -> bool {
        let copies = self.copies.as_ref();
        copies.is_some_and(|copies| copies.running.is_some() || !copies.waiting.is_empty())
    }

    /// Compares one more slice, with `buf` to read into.
    pub fn work<S: WriteStore<File = F>>(
        &mut self,
        buf: &mut [u8],
        store: &mut S,
        now: Mono,
    ) -> Option<Comparison> {
        let copies = self.copies.as_mut()?;
        let verdict = copies.work(buf, store, now);
        if copies.all().next().is_none() {
            self.copies = None;
        }
        verdict
    }
}

impl<F> Default for Copies<F> {
    fn default() -> Copies<F> {
        Copies {
            expecting: VecDeque::new(),
            to_ask: VecDeque::new(),
            waiting: VecDeque::new(),
            later: VecDeque::new(),
            again_at: None,
            running: None,
        }
    }
}

impl<F> Copies<F> {
    fn all(&self) -> impl Iterator<Item = &Finished> {
        self.to_ask
            .iter()
            .chain(&self.expecting)
            .chain(self.running.iter().map(|check| &check.finished))
            .chain(&self.waiting)
            .chain(&self.later)
    }

    /// Gives up the oldest where too many wait, first of those that only the server can help with.
    fn shed(&mut self) -> Option<Finished> {
        if self.all().count() <= CHECKS_WAITING_MAX {
            return None;
        }
        self.to_ask
            .pop_front()
            .or_else(|| self.expecting.pop_front())
            .or_else(|| self.waiting.pop_front())
            .or_else(|| self.later.pop_front())
    }

    fn postpone(&mut self, finished: Finished, again_at: Mono) {
        self.later.push_back(finished);
        self.again_at = Some(self.again_at.map_or(again_at, |at| at.min(again_at)));
    }

    fn work<S: WriteStore<File = F>>(
        &mut self,
        buf: &mut [u8],
        store: &mut S,
        now: Mono,
    ) -> Option<Comparison> {
        let check = match self.running.take() {
            Some(check) => check,
            None => {
                let finished = self.waiting.pop_front()?;
                match open(&finished, store) {
                    Ok(file) => Check {
                        finished,
                        file,
                        md5: Md5::new(),
                        done: 0,
                    },
                    Err(error) if is_shortage(&error) => {
                        self.postpone(finished, now.plus_ms(CHECK_AGAIN_MS));
                        return None;
                    }
                    Err(error) => return Some(Comparison::Unreadable(finished.path, error)),
                }
            }
        };
        match check.slice(buf, store) {
            Ok(check) => {
                self.running = Some(check);
                None
            }
            Err(verdict) => Some(verdict),
        }
    }
}

impl<F> Check<F> {
    /// Takes in one buffer full; the verdict once all was seen.
    fn slice<S: WriteStore<File = F>>(
        mut self,
        buf: &mut [u8],
        store: &mut S,
    ) -> Result<Check<F>, Comparison> {
        let left = self.finished.size - self.done;
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
        let slice = &mut buf[..wanted];
        let read = match store.read_at(&self.file, slice, self.done) {
            Ok(read) => read,
            Err(error) => return Err(Comparison::Unreadable(self.finished.path, error)),
        };
        self.md5.update(&slice[..read]);
        self.done += read as u64;
        if self.done < self.finished.size && read > 0 {
            return Ok(self);
        }
        let md5 = self.md5.finish();
        if self.done != self.finished.size || self.finished.md5 != Some(md5) {
            return Err(Comparison::Different(self.finished));
        }
        Err(match store.stat(&self.file) {
            Ok(stat) => Comparison::Same {
                path: self.finished.path,
                md5,
                size: self.finished.size,
                copy_size: stat.size,
            },
            Err(error) => Comparison::Unreadable(self.finished.path, error),
        })
    }
}

fn open<S: WriteStore>(finished: &Finished, store: &mut S) -> io::Result<S::File> {
    store
        .open_append(&finished.path)
        .and_then(|file| file.ok_or_else(|| io::ErrorKind::NotFound.into()))
}
