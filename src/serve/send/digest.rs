//! The MD5 of a file's first bytes: taken in passing while they are sent, or in slices afterwards.
//! Pure.

use std::io;

use crate::store::ReadStore;
use crate::wire::md5::Md5;

/// A digest in the making.
#[derive(Clone)]
pub struct Digest {
    md5: Md5,
    done: u64,
}

impl Digest {
    /// The digest of nothing yet.
    pub fn new() -> Digest {
        Digest {
            md5: Md5::new(),
            done: 0,
        }
    }

    /// How many bytes it is of, from the start of the file.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// Bytes that stand at `offset` pass by: they are taken in if they are the next ones.
    pub fn note(&mut self, offset: u64, bytes: &[u8]) {
        // Once bytes went by without it, the rest is of no use before those are read from the file.
        if offset == self.done {
            self.md5.update(bytes);
            self.done += bytes.len() as u64;
        }
    }

    /// The digest, if it is of exactly the first `size` bytes.
    pub fn finished(&self, size: u64) -> Option<[u8; 16]> {
        (self.done == size).then(|| self.md5.finish())
    }

    /// Takes in one buffer full of the file's first `size` bytes. Fails where the file cannot be
    /// read or ends before.
    pub fn advance<S: ReadStore>(
        &mut self,
        store: &S,
        file: &S::File,
        size: u64,
        buf: &mut [u8],
    ) -> io::Result<()> {
        let wanted = usize::try_from(size - self.done)
            .unwrap_or(usize::MAX)
            .min(buf.len());
        if wanted == 0 {
            return Ok(());
        }
        // A hole is not read: that would only drive what others need out of the memory.
        let hole_len = store.hole_end(file, self.done).saturating_sub(self.done);
        if hole_len >= wanted as u64 {
            buf[..wanted].fill(0);
            self.note(self.done, &buf[..wanted]);
            return Ok(());
        }
        let read = store.read_at(file, &mut buf[..wanted], self.done)?;
        if read == 0 {
            // Without this a file that became shorter would be read for ever.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.note(self.done, &buf[..read]);
        Ok(())
    }
}

impl Default for Digest {
    fn default() -> Digest {
        Digest::new()
    }
}
