//! Finished copies compared with the server's digest, one slice after the other. Pure.
//!
//! The copy that is compared is what stands in the file system, not what passed through memory.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;

use super::framed::{Finished, LateDigest};
use crate::limits::CHECKS_WAITING_MAX;
use crate::store::WriteStore;
use crate::wire::md5::Md5;

/// The copies of one source that are to be compared.
pub struct Audit<F> {
    /// The last one, whose digest has not come yet.
    without_digest: Option<Finished>,
    waiting: VecDeque<Finished>,
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
pub enum Verdict {
    /// The copy has the digest.
    Same(PathBuf, [u8; 16]),
    /// It has not.
    Different(Finished),
    /// It could not be read.
    Unreadable(PathBuf, io::Error),
}

impl<F> Default for Audit<F> {
    fn default() -> Audit<F> {
        Audit {
            without_digest: None,
            waiting: VecDeque::new(),
            running: None,
        }
    }
}

impl<F> Audit<F> {
    /// A copy is complete. `false` if too many wait already: it is not compared.
    pub fn add(&mut self, finished: Finished) -> bool {
        if finished.md5.is_none() {
            self.without_digest = Some(finished);
            return true;
        }
        if self.waiting.len() >= CHECKS_WAITING_MAX {
            return false;
        }
        self.waiting.push_back(finished);
        true
    }

    /// The digest of the copy that was finished last without one; that of any other is of no use. Not every server
    /// ever sends it.
    pub fn add_digest(&mut self, digest: LateDigest) -> bool {
        let is_its_own = |finished: &mut Finished| {
            (finished.inode, finished.size) == (digest.inode, digest.size)
        };
        match self.without_digest.take_if(is_its_own) {
            Some(finished) => self.add(Finished {
                md5: Some(digest.md5),
                ..finished
            }),
            None => true,
        }
    }

    /// The connection is gone, and with it the hope for a digest.
    pub fn forget_digest(&mut self) {
        self.without_digest = None;
    }

    /// Whether [`work`](Self::work) has something to do.
    pub fn has_work(&self) -> bool {
        self.running.is_some() || !self.waiting.is_empty()
    }

    /// Compares one more slice, with `buf` to read into.
    pub fn work<S: WriteStore<File = F>>(
        &mut self,
        buf: &mut [u8],
        store: &mut S,
    ) -> Option<Verdict> {
        let check = match self.running.take() {
            Some(check) => check,
            None => match Check::open(self.waiting.pop_front()?, store) {
                Ok(check) => check,
                Err(verdict) => return Some(verdict),
            },
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
    fn open<S: WriteStore<File = F>>(
        finished: Finished,
        store: &mut S,
    ) -> Result<Check<F>, Verdict> {
        let opened = store
            .open_append(&finished.path)
            .and_then(|file| file.ok_or_else(|| io::ErrorKind::NotFound.into()));
        match opened {
            Ok(file) => Ok(Check {
                finished,
                file,
                md5: Md5::new(),
                done: 0,
            }),
            Err(error) => Err(Verdict::Unreadable(finished.path, error)),
        }
    }

    /// Takes in one buffer full; the verdict once all was seen.
    fn slice<S: WriteStore<File = F>>(
        mut self,
        buf: &mut [u8],
        store: &mut S,
    ) -> Result<Check<F>, Verdict> {
        let left = self.finished.size - self.done;
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
        let slice = &mut buf[..wanted];
        let read = match store.read_at(&self.file, slice, self.done) {
            Ok(read) => read,
            Err(error) => return Err(Verdict::Unreadable(self.finished.path, error)),
        };
        self.md5.update(&slice[..read]);
        self.done += read as u64;
        if self.done < self.finished.size && read > 0 {
            return Ok(self);
        }
        let md5 = self.md5.finish();
        if self.done == self.finished.size && self.finished.md5 == Some(md5) {
            Err(Verdict::Same(self.finished.path, md5))
        } else {
            Err(Verdict::Different(self.finished))
        }
    }
}
