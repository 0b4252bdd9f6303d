//! The queue of finished copies that are compared with the server's digest, one slice after the
//! other. Pure.
//!
//! The copy that is compared is what stands in the file system, not what passed through memory.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use crate::collect::copy::{Finished, is_of_device, is_shortage};
use crate::limits::{CHECK_AGAIN_MS, CHECK_TRIES, CHECKS_WAITING_MAX};
use crate::store::WriteStore;
use crate::time::Mono;
use crate::wire::crc32::Crc32;
use crate::wire::frame;
use crate::wire::md5::Md5;

/// The queue of one source.
pub struct Queue<F> {
    /// The copies. There for as long as there are any, so that a source that only follows its log
    /// stays small.
    copies: Option<Box<Copies<F>>>,
    /// Whether the server was asked in vain. The log is followed before that is tried again.
    asked_in_vain: bool,
}

/// The copies by how far each of them is.
struct Copies<F> {
    /// The copies whose digest may still come over the present connection, oldest first.
    expecting: VecDeque<Finished>,
    /// The copies whose digest will not come by itself: the server is to be asked.
    to_ask: VecDeque<Finished>,
    /// The copies whose digest is known.
    waiting: VecDeque<Finished>,
    /// The copies that could not be compared or healed for a reason that passes.
    later: VecDeque<Finished>,
    /// The copies that are read at once, without a digest to compare with, so that it is known what
    /// they were when they were received. They are among the others as well.
    unread: VecDeque<Finished>,
    /// The moment at which the postponed copies are tried again.
    again_at: Option<Mono>,
    /// The copies that the disk could not read, and how often.
    unreadable: Vec<(PathBuf, u8)>,
    running: Option<Check<F>>,
}

/// The comparison that is under way.
struct Check<F> {
    finished: Finished,
    file: F,
    md5: Md5,
    crc: Crc32,
    done: u64,
}

/// The result of a comparison.
pub enum Checked {
    /// The copy has the digest.
    Same {
        /// The copy.
        finished: Finished,
        /// The digest, and the CRC-32 of as many bytes.
        md5: [u8; 16],
        crc: u32,
        /// The number of bytes that the copy has.
        copy_size: u64,
    },
    /// The copy was read, and there is nothing to compare it with yet.
    Read {
        /// The copy.
        finished: Finished,
        /// Its MD5.
        md5: [u8; 16],
        /// Its CRC-32.
        crc: u32,
    },
    /// The copy has another digest: this, if there are as many bytes.
    Different(Finished, Option<[u8; 16]>),
    /// The copy could not be read.
    Unreadable(Finished, io::Error),
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
    /// Adds a copy that is complete. Returns the one that is given up because too many wait.
    #[must_use]
    pub fn add(&mut self, finished: Finished) -> Option<Finished> {
        let copies = self.copies.get_or_insert_default();
        match finished.md5 {
            Some(_) => copies.waiting.push_back(finished),
            None => {
                copies.unread.push_back(finished.clone());
                copies.expecting.push_back(finished);
            }
        }
        copies.shed()
    }

    /// Adds what an earlier run or an interrupted rotation left on the list. Returns what is given
    /// up because too many wait.
    pub fn restore(&mut self, list: Vec<Finished>) -> Vec<Finished> {
        let mut shed = Vec::new();
        // The files are opened more than once in the life of a source, and the list has what is
        // here already. What is given up below is not to come again with its own line.
        let is_new = |it: &Finished| !self.all().any(|known| known.path == it.path);
        let list: Vec<Finished> = list.into_iter().filter(is_new).collect();
        for finished in list {
            let copies = self.copies.get_or_insert_default();
            match finished.md5 {
                Some(_) => copies.waiting.push_back(finished),
                // The connection on which its digest could come is gone.
                None => copies.to_ask.push_back(finished),
            }
            shed.extend(copies.shed());
        }
        shed
    }

    /// Adds a copy of which the server has more now: it is to be asked for the digest of all of
    /// that, not before [`ask_for_late`](Self::ask_for_late). Returns the copy that is given up
    /// because too many wait.
    #[must_use]
    pub fn add_late(&mut self, finished: Finished) -> Option<Finished> {
        let copies = self.copies.get_or_insert_default();
        let is_older = |old: &Finished| old.is_late() && old.path == finished.path;
        copies.to_ask.retain(|old| !is_older(old));
        copies.to_ask.push_back(finished);
        // Who writes to the file may go on and on. The log is followed first.
        self.asked_in_vain = true;
        copies.shed()
    }

    /// A generation came to its end, which is the time to ask for what the server has more of
    /// others.
    pub fn ask_for_late(&mut self) {
        let copies = self.copies.as_ref();
        if copies.is_some_and(|copies| copies.to_ask.iter().any(Finished::is_late)) {
            self.asked_in_vain = false;
        }
    }

    /// Adds the digest of a copy that was finished without one. Returns the copy if it is no digest
    /// to compare with.
    #[must_use]
    pub fn add_digest(&mut self, digest: frame::Digest) -> Option<Finished> {
        // The frame names no copy: inode and size have to do, and an unknown one is ignored
        // (PROTOCOL.md, "Order").
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

    /// Gives up the hope that digests come by themselves, since a stream of version 2 is over.
    pub fn stream_ended(&mut self) {
        if let Some(copies) = &mut self.copies {
            copies.to_ask.append(&mut copies.expecting);
        }
        // The log was followed meanwhile, so it is the turn of the question again.
        self.asked_in_vain = false;
    }

    /// Postpones a copy until `again_at`, or a bit earlier if another one is due then.
    pub fn postpone(&mut self, finished: Finished, again_at: Mono) {
        let copies = self.copies.get_or_insert_default();
        copies.postpone(finished, again_at);
    }

    /// The moment at which [`handle_timeout`](Self::handle_timeout) wants to be called, if at all.
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

    /// Notes that the server was asked for a digest and does not answer now.
    pub fn ask_later(&mut self) {
        self.asked_in_vain = true;
    }

    /// Adds the digest that the server was asked for, which is that of the file that it has found.
    pub fn answered(&mut self, md5: [u8; 16]) {
        if let Some(copies) = &mut self.copies
            && let Some(finished) = copies.to_ask.pop_front()
        {
            copies.waiting.push_back(Finished {
                md5: Some(md5),
                // The server found it by the proof of the copy. Should the digests differ, it may
                // be another file.
                by_content: true,
                ..finished
            });
        }
    }

    /// Gives up the copy that the server was asked for and of which it will never tell. Returns it.
    pub fn give_up(&mut self) -> Option<Finished> {
        self.copies.as_mut()?.to_ask.pop_front()
    }

    /// The copies that are not compared yet.
    pub fn all(&self) -> impl Iterator<Item = &Finished> {
        self.copies.iter().flat_map(|copies| copies.all())
    }

    /// Whether [`work`](Self::work) has something to do.
    pub fn has_work(&self) -> bool {
        let copies = self.copies.as_ref();
        copies.is_some_and(|copies| {
            copies.running.is_some() || !copies.waiting.is_empty() || !copies.unread.is_empty()
        })
    }

    /// Compares one more slice, with `buf` to read into.
    pub fn work<S: WriteStore<File = F>>(
        &mut self,
        buf: &mut [u8],
        store: &mut S,
        now: Mono,
    ) -> Option<Checked> {
        let copies = self.copies.as_mut()?;
        let verdict = copies.work(buf, store, now);
        if copies.all().next().is_none() && copies.unread.is_empty() && copies.running.is_none() {
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
            unread: VecDeque::new(),
            again_at: None,
            unreadable: Vec::new(),
            running: None,
        }
    }
}

impl<F> Copies<F> {
    fn all(&self) -> impl Iterator<Item = &Finished> {
        self.to_ask
            .iter()
            .chain(&self.expecting)
            .chain(self.running.iter().filter_map(Check::compared))
            .chain(&self.waiting)
            .chain(&self.later)
    }

    /// Gives up the oldest copy where too many wait, first of those that only the server can help
    /// with.
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
    ) -> Option<Checked> {
        let check = match self.running.take() {
            Some(check) => check,
            None => {
                let next = self.waiting.pop_front();
                let finished = next.or_else(|| self.unread.pop_front())?;
                match open(&finished, store) {
                    Ok(file) => Check {
                        finished,
                        file,
                        md5: Md5::new(),
                        crc: Crc32::new(),
                        done: 0,
                    },
                    // It will be read when it is compared.
                    Err(_) if finished.md5.is_none() => return None,
                    Err(error) => return self.fail(finished, error, now),
                }
            }
        };
        match check.slice(buf, store) {
            Ok(check) => {
                self.running = Some(check);
                None
            }
            Err(Checked::Unreadable(finished, error)) => self.fail(finished, error, now),
            Err(verdict) => {
                if let Checked::Same { finished, .. } | Checked::Different(finished, _) = &verdict {
                    self.unreadable.retain(|(path, _)| *path != finished.path);
                }
                Some(verdict)
            }
        }
    }

    /// Tells that a copy could not be read, unless that may pass.
    fn fail(&mut self, finished: Finished, error: io::Error, now: Mono) -> Option<Checked> {
        // Without a free descriptor nothing is known of the copy, and one may be free in a moment.
        // A cable or a path to a disk that fails may be back in a moment, too.
        let passes = is_shortage(&error)
            || (is_of_device(&error) && self.count_try(&finished.path) < CHECK_TRIES);
        if passes {
            self.postpone(finished, now.plus_ms(CHECK_AGAIN_MS));
            return None;
        }
        self.unreadable.retain(|(path, _)| *path != finished.path);
        Some(Checked::Unreadable(finished, error))
    }

    /// The number of times that the disk could not read a copy, with this one.
    fn count_try(&mut self, path: &Path) -> u8 {
        let place = self.unreadable.iter().position(|(known, _)| known == path);
        let at = place.unwrap_or_else(|| {
            self.unreadable.push((path.to_path_buf(), 0));
            self.unreadable.len() - 1
        });
        let tries = self.unreadable.get_mut(at).map(|(_, tries)| tries);
        tries.map_or(u8::MAX, |tries| {
            *tries = tries.saturating_add(1);
            *tries
        })
    }
}

impl<F> Check<F> {
    /// The copy, if it is compared and not merely read.
    fn compared(&self) -> Option<&Finished> {
        Some(&self.finished).filter(|finished| finished.md5.is_some())
    }

    /// Takes in one buffer full. Tells the result once all was seen.
    fn slice<S: WriteStore<File = F>>(
        mut self,
        buf: &mut [u8],
        store: &mut S,
    ) -> Result<Check<F>, Checked> {
        let left = self.finished.size - self.done;
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
        let slice = &mut buf[..wanted];
        let read = match store.read_at(&self.file, slice, self.done) {
            Ok(read) => read,
            // Whoever compares it will tell.
            Err(_) if self.compared().is_none() => {
                return Err(Checked::Different(self.finished, None));
            }
            Err(error) => return Err(Checked::Unreadable(self.finished, error)),
        };
        self.md5.update(&slice[..read]);
        self.crc.update(&slice[..read]);
        self.done += read as u64;
        // The end of a copy that is shorter than it should be ends the comparison, too.
        if self.done < self.finished.size && read > 0 {
            return Ok(self);
        }
        let md5 = self.md5.finish();
        let is_long_enough = self.done == self.finished.size;
        if self.finished.md5.is_none() && is_long_enough {
            return Err(Checked::Read {
                crc: self.crc.finish(),
                finished: self.finished,
                md5,
            });
        }
        if !is_long_enough || self.finished.md5 != Some(md5) {
            let md5 = is_long_enough.then_some(md5);
            return Err(Checked::Different(self.finished, md5));
        }
        // A copy may be longer than what the digest is of: the box's own copy lacked some bytes
        // (PROTOCOL.md, "A part of the copy").
        Err(match store.stat(&self.file) {
            Ok(stat) => Checked::Same {
                finished: self.finished,
                md5,
                crc: self.crc.finish(),
                copy_size: stat.size,
            },
            Err(error) => Checked::Unreadable(self.finished, error),
        })
    }
}

fn open<S: WriteStore>(finished: &Finished, store: &mut S) -> io::Result<S::File> {
    store
        .open_append(&finished.path)
        .and_then(|file| file.ok_or_else(|| io::ErrorKind::NotFound.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Inode;
    use crate::inside::fake::Handle;

    #[test]
    fn what_is_given_up_does_not_push_out_all_others() {
        let copy = |number: usize| Finished {
            path: format!("/l/m.{number}").into(),
            inode: Inode(number as u64),
            size: 1,
            md5: None,
            by_content: false,
            classic: false,
        };
        // The list still has one that was given up, and the files are opened again and again.
        let list: Vec<Finished> = (0..=CHECKS_WAITING_MAX).map(copy).collect();
        let mut queue = Queue::<Handle>::default();
        assert_eq!(queue.restore(list[1..].to_vec()), []);
        for _ in 0..3 {
            assert_eq!(queue.restore(list.clone()).len(), 1);
            assert_eq!(queue.all().count(), CHECKS_WAITING_MAX);
        }
    }
}
