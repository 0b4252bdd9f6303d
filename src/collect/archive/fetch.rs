//! An archive on its way here: its bytes as they are, into a file of their own beside the local
//! copy. What has come stays, so that a link that breaks, or a run that is killed, need not begin
//! anew. Pure.
//!
//! ```text
//! "gz1" LF, id (4), size (8), last write (8), CRC-32 of these 24 bytes (4)      numbers big-endian
//! the bytes of the archive, as far as they have come
//! ```

use std::io;
use std::path::{Path, PathBuf};

use super::Offered;
use crate::collect::config::with_ending;
use crate::collect::error::{ProtocolError, SourceError, beside_answer};
use crate::store::{Kind, WriteStore};
use crate::wire::crc32::Crc32;
use crate::wire::receiver::{Piece, Receiver};
use crate::wire::request::{Op, id_sum};

/// Bytes before those of the archive.
pub const HEAD_LEN: u64 = 28;

/// An archive that is being fetched.
pub struct Fetch<F> {
    file: F,
    /// How much of it is here.
    at: u64,
    size: u64,
    open_at: Option<u64>,
    /// Some of it came before this run, or over another connection of it.
    is_resumed: bool,
}

/// The name of that file.
pub fn path_of(local: &Path) -> PathBuf {
    with_ending(local, ".inflating")
}

impl<F> Fetch<F> {
    /// Goes on with what is there of this archive, or begins anew.
    pub fn open<S: WriteStore<File = F>>(
        path: &Path,
        offered: &Offered,
        store: &mut S,
    ) -> io::Result<Fetch<F>> {
        let head = head_of(offered);
        if let Some(file) = store.open_append(path)? {
            let mut found = [0; HEAD_LEN as usize];
            let size = store.stat(&file)?.size;
            let is_it = store.read_at(&file, &mut found, 0)? == found.len() && found == head;
            if is_it && size - HEAD_LEN <= offered.size {
                return Ok(Fetch {
                    file,
                    at: size - HEAD_LEN,
                    size: offered.size,
                    open_at: None,
                    is_resumed: size > HEAD_LEN,
                });
            }
        }
        let file = store.create_scratch(path)?;
        store.append_all(&file, &head)?;
        Ok(Fetch {
            file,
            at: 0,
            size: offered.size,
            open_at: None,
            is_resumed: false,
        })
    }

    /// Whether all of it is here.
    pub fn is_whole(&self) -> bool {
        self.at >= self.size && self.open_at.is_none()
    }

    /// Whether some of it was here before.
    pub fn is_resumed(&self) -> bool {
        self.is_resumed
    }

    /// The question for the rest, for no more than so many bytes.
    pub fn question(&self, most: u64) -> Op {
        Op::Range {
            start: self.at,
            len: (self.size - self.at).min(most),
        }
    }

    /// The file, from [`HEAD_LEN`] on.
    pub fn into_file(self) -> F {
        self.file
    }

    /// Takes bytes of the answer from the front of `input` and tells how many. `path` is where the
    /// file is.
    pub fn take<S: WriteStore<File = F>>(
        &mut self,
        receiver: &mut Receiver,
        input: &[u8],
        path: &Path,
        store: &mut S,
    ) -> Result<usize, SourceError> {
        let (taken, piece) = receiver.next(input);
        match piece {
            Piece::Nothing => {}
            Piece::DataStart(offset) if offset == self.at => self.open_at = Some(offset),
            // Refused before it is written: a server that sends for ever must not fill the disk.
            Piece::Data(bytes) if bytes.len() as u64 > self.size - self.at => {
                return Err(ProtocolError::Size.into());
            }
            Piece::Data(bytes) => {
                let result = store.append_all(&self.file, bytes);
                result.map_err(|error| unusable(path, error))?;
                self.at += bytes.len() as u64;
            }
            Piece::DataEnd => self.open_at = None,
            Piece::Small => receiver
                .small(beside_answer)
                .unwrap_or_else(|bad| Err(ProtocolError::Frame(bad).into()))?,
            Piece::Bad(bad) => return Err(ProtocolError::Frame(bad).into()),
            _ => return Err(ProtocolError::Order.into()),
        }
        Ok(taken)
    }

    /// Takes back what came of an unfinished frame, as the connection is over.
    pub fn abandon<S: WriteStore<File = F>>(&mut self, store: &mut S) {
        if let Some(offset) = self.open_at.take()
            // Where that fails the bytes stay: the checksum of what is in the archive judges them.
            && store.truncate(&self.file, HEAD_LEN + offset).is_ok()
        {
            self.at = offset;
        }
        self.is_resumed = true;
    }
}

/// Removes what there is of an archive.
pub fn clear_away<S: WriteStore>(path: &Path, store: &mut S) {
    if let Ok(Some(left)) = store.stat_path(path)
        && left.kind == Kind::Regular
    {
        let _ = store.unlink(path);
    }
}

fn head_of(offered: &Offered) -> [u8; HEAD_LEN as usize] {
    let mut head = [0; HEAD_LEN as usize];
    let (told, crc) = head.split_at_mut(24);
    told[..4].copy_from_slice(b"gz1\n");
    told[4..8].copy_from_slice(&id_sum(&offered.token).to_be_bytes());
    told[8..16].copy_from_slice(&offered.size.to_be_bytes());
    told[16..].copy_from_slice(&offered.mtime_ns.to_be_bytes());
    crc.copy_from_slice(&Crc32::new().update(told).finish().to_be_bytes());
    head
}

fn unusable(path: &Path, error: io::Error) -> SourceError {
    SourceError::Files(crate::collect::copy::FileError::System {
        operation: "write",
        path: path.to_path_buf(),
        error,
    })
}
