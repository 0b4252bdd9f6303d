//! The frames of version 2: everything a server sends after its answer line. See the PROTOCOL.md,
//! "Frames".
//!
//! A frame is eight bytes of header and up to [`PAYLOAD_MAX`] bytes of payload, numbers big-endian:
//! kind (1), flags (1), payload length (2), CRC-32 over those four bytes and the payload (4).

pub mod archive;
pub mod log;
pub mod note;

use crate::ids::Inode;

use self::archive::Archive;
use self::log::Log;
use self::note::Note;
use super::crc32::Crc32;
use super::token::Token;

/// Bytes before the payload.
pub const HEADER_LEN: usize = 8;

/// Longest payload: what its length field can say.
pub const PAYLOAD_MAX: usize = u16::MAX as usize;

/// Bytes of the offset that begins the payload of a DATA frame.
pub const DATA_OFFSET_LEN: usize = 8;

/// Most file bytes in one DATA frame: with header and offset they fill one chunk.
///
/// So one buffer of that size is all that a server needs to make a frame, and one write to send it.
pub const DATA_MAX: usize = crate::limits::CHUNK_LEN - HEADER_LEN - DATA_OFFSET_LEN;

/// Fewest file bytes that a client can make a server bound its DATA frames to.
///
/// With fewer most of what goes over the wire would be headers.
pub const DATA_MIN: usize = 64;
/// Fewest zeros in one HOLE frame of our server: fewer take hardly longer as DATA.
pub const HOLE_MIN: u64 = 64 << 10;

/// Most zeros in one HOLE frame.
///
/// A disk that cannot do without them takes a while to write them, for which all sources wait.
pub const HOLE_MAX: u64 = 64 << 20;

/// Longest payload of any frame but DATA, SUMS and LOG.
///
/// The receiver keeps such a payload whole, so this bounds what a hostile server can make it hold.
pub const SMALL_MAX: usize = 256;

/// Most block checksums in one SUMS frame.
pub const SUMS_MAX: usize = 1024;

/// The flag of a frame that is skipped by whoever does not know its kind; without it such a frame
/// is an error.
pub const OPTIONAL: u8 = 1;

/// The kinds of frame.
pub mod kind {
    /// Bytes of the file, with their offset.
    pub const DATA: u8 = 1;
    /// Nothing new; the file has this size now.
    pub const ALIVE: u8 = 2;
    /// The generation is complete.
    pub const END: u8 = 3;
    /// Another generation follows.
    pub const NEXT: u8 = 4;
    /// The digest of a generation, if END came without.
    pub const DIGEST: u8 = 5;
    /// Why the server is about to close.
    pub const ERROR: u8 = 6;
    /// Checksums of blocks.
    pub const SUMS: u8 = 7;
    /// The identity of a generation. Optional.
    pub const FILE: u8 = 8;
    /// What the server leaves out. Optional.
    pub const NOTE: u8 = 9;
    /// Zeros of the file, with their offset: only to a client that asked for them.
    pub const HOLE: u8 = 10;
    /// A compressed file: only to a client that asked for them. Optional.
    pub const ARCHIVE: u8 = 11;
    /// A log that there is: only to who asked for a list.
    pub const LOG: u8 = 12;
}

/// A frame that is small enough to be had whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Frame<'a> {
    /// See [`kind::ALIVE`].
    Alive {
        /// The size of the file on the server now.
        size: u64,
    },
    /// See [`kind::END`].
    End(End),
    /// See [`kind::NEXT`].
    Next(Next),
    /// See [`kind::DIGEST`].
    Digest(Digest),
    /// See [`kind::HOLE`].
    Hole {
        /// The place of the first of them.
        offset: u64,
        /// Their number, from 1 to [`HOLE_MAX`]. Together with `offset` it fits into 63 bits, as
        /// every size of a file does.
        len: u64,
    },
    /// See [`kind::ERROR`].
    Error {
        /// The sort of error.
        code: ErrorCode,
        /// The reason, for a person.
        text: &'a [u8],
    },
    /// See [`kind::FILE`].
    File {
        /// The generation that is meant.
        role: Role,
        /// Its token.
        token: Token,
    },
    /// See [`kind::NOTE`].
    Note(Note<'a>),
    /// See [`kind::ARCHIVE`].
    Archive(Archive<'a>),
    /// See [`kind::LOG`].
    Log(Log<'a>),
}

/// The generation that an identity token is told of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// The one that the NEXT which follows begins.
    Begins,
    /// The one that the END which follows, or has just come, closes: its bytes, or what a
    /// truncation left of them, are in this file now.
    Ended,
    /// The present one, of which nothing was sent yet: its file holds another than when it began.
    Present,
    /// Like [`Role::Ended`], and the file may be a copy of another generation, which somebody made.
    EndedInCopy,
    /// One that was given before, of which the NOTE that follows tells that it was written to
    /// since.
    Late,
}

/// The digest of a generation, told by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Digest {
    /// The generation.
    pub inode: Inode,
    /// The number of its bytes, from its start, that the digest is of.
    pub size: u64,
    /// Their MD5; `None` if it is a digest of another kind, or none.
    pub md5: Option<[u8; 16]>,
}

/// A generation is complete.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct End {
    /// Its size.
    pub size: u64,
    /// Why it ended.
    pub reason: Reason,
    /// The MD5 of all of it. Without one, a DIGEST may follow later.
    pub md5: Option<[u8; 16]>,
}

/// Why a generation ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// It got another name.
    Rotated,
    /// The file was made shorter and goes on as another generation.
    Truncated,
    /// It lost its last name.
    Deleted,
    /// Its bytes were changed after they had been sent.
    Rewritten,
}

/// Another generation follows, from its first byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Next {
    /// Its inode.
    pub inode: Inode,
    /// Every generation older than this one was last written no later, in nanoseconds since 1970.
    pub mtime_ns: u64,
    /// There was another between the last one and this, which went before it could be sent. One
    /// more byte of payload says so.
    pub after_loss: bool,
}

/// The sorts of error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorCode {
    /// The request makes no sense.
    BadRequest,
    /// The path is not configured.
    NotServed,
    /// There is no such file now.
    NoSuchFile,
    /// The system does not let the server read it, or it is no regular file.
    NotReadable,
    /// The server has too much to do.
    Busy,
    /// The generation asked for is not to be found.
    Gone,
    /// What comes next is compressed: the archives were told.
    Compressed,
    /// A number this version does not know.
    Other(u8),
}

/// The error of a frame that makes no sense.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadFrame {
    /// The checksum does not fit.
    Checksum,
    /// A kind that is neither known nor marked as optional.
    Unknown(u8),
    /// The length does not fit the kind.
    Length,
    /// A field has a value that means nothing.
    Field,
}

impl std::fmt::Display for BadFrame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            BadFrame::Checksum => f.write_str("a frame was damaged on the way"),
            BadFrame::Unknown(kind) => write!(f, "the server sent an unknown frame, kind {kind}"),
            BadFrame::Length => f.write_str("the server sent a frame of a wrong length"),
            BadFrame::Field => f.write_str("the server sent a frame with a meaningless field"),
        }
    }
}

/// A frame's header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// One of [`kind`].
    pub kind: u8,
    /// [`OPTIONAL`] or 0.
    pub flags: u8,
    /// The payload's length.
    pub len: u16,
    /// The checksum.
    pub crc: u32,
}

impl Header {
    /// Reads a header.
    pub fn parse(bytes: &[u8; HEADER_LEN]) -> Header {
        // Nothing is checked here: until the checksum over the payload was right, all of it is
        // hearsay.
        let [kind, flags, len @ .., a, b, c, d] = *bytes;
        Header {
            kind,
            flags,
            len: u16::from_be_bytes(len),
            crc: u32::from_be_bytes([a, b, c, d]),
        }
    }

    /// A checksum that has taken in what a header says before it.
    pub fn start_crc(kind: u8, flags: u8, len: u16) -> Crc32 {
        let [high, low] = len.to_be_bytes();
        let mut crc = Crc32::new();
        crc.update(&[kind, flags, high, low]);
        crc
    }
}

/// Writes the header of a frame whose payload stands in `frame` behind it already.
///
/// # Panics
/// In debug builds, if `frame` is no longer than a header or longer than the longest frame: a bug
/// of the caller.
pub fn seal(kind: u8, frame: &mut [u8]) {
    // The payload is in place before the header because only then its length and checksum are
    // known.
    let Some((header, payload)) = frame.split_at_mut_checked(HEADER_LEN) else {
        return debug_assert!(false, "no room for a header");
    };
    debug_assert!(payload.len() <= PAYLOAD_MAX);
    let len = payload.len() as u16;
    let flags = flags(kind);
    let mut crc = Header::start_crc(kind, flags, len);
    crc.update(payload);
    let [high, low] = len.to_be_bytes();
    header[..4].copy_from_slice(&[kind, flags, high, low]);
    header[4..].copy_from_slice(&crc.finish().to_be_bytes());
}

/// The flags with which a kind is sent.
fn flags(kind: u8) -> u8 {
    match kind {
        // They came later than the first clients, which can do without.
        kind::FILE | kind::NOTE | kind::ARCHIVE => OPTIONAL,
        _ => 0,
    }
}

impl<'a> Frame<'a> {
    /// Reads the payload of a frame whose checksum was right. `None` for a kind that is not known
    /// here.
    pub fn parse(kind: u8, payload: &'a [u8]) -> Option<Result<Frame<'a>, BadFrame>> {
        let fields = Fields(payload);
        // DATA and SUMS are not among these: they are too long to be kept, and the receiver hands
        // on their bytes by itself.
        Some(match kind {
            kind::ALIVE => fields.alive(),
            kind::END => fields.end(),
            kind::NEXT => fields.next(),
            kind::DIGEST => fields.digest(),
            kind::ERROR => fields.error(),
            kind::FILE => fields.file(),
            kind::NOTE => Note::read(fields).map(Frame::Note),
            kind::HOLE => fields.hole(),
            kind::ARCHIVE => Archive::read(fields).map(Frame::Archive),
            kind::LOG => Log::read(fields).map(Frame::Log),
            _ => return None,
        })
    }

    /// The frame as it goes on the wire.
    pub fn to_bytes(self) -> heapless::Vec<u8, { HEADER_LEN + SMALL_MAX }> {
        let mut bytes = heapless::Vec::new();
        // Everything but an error's text is far shorter than the buffer, and that text is cut.
        let _ = bytes.extend_from_slice(&[0; HEADER_LEN]);
        let kind = self.write_payload(&mut bytes);
        seal(kind, &mut bytes);
        bytes
    }

    fn write_payload<const N: usize>(self, out: &mut heapless::Vec<u8, N>) -> u8 {
        let mut put = |bytes: &[u8]| drop(out.extend_from_slice(bytes));
        match self {
            Frame::Alive { size } => {
                put(&size.to_be_bytes());
                kind::ALIVE
            }
            Frame::End(end) => {
                put(&end.size.to_be_bytes());
                // Algorithm 1 is MD5, 0 is none. The sixteen bytes stand there either way, so that
                // the length of the frame does not depend on it.
                put(&[end.reason.number(), u8::from(end.md5.is_some())]);
                put(&end.md5.unwrap_or_default());
                kind::END
            }
            Frame::Next(next) => {
                put(&next.inode.0.to_be_bytes());
                put(&next.mtime_ns.to_be_bytes());
                // Written only where it says something: a client that knows 16 bytes alone
                // understands the rest.
                if next.after_loss {
                    put(&[1]);
                }
                kind::NEXT
            }
            Frame::Digest(digest) => {
                put(&digest.inode.0.to_be_bytes());
                put(&digest.size.to_be_bytes());
                put(&[u8::from(digest.md5.is_some())]);
                put(&digest.md5.unwrap_or_default());
                kind::DIGEST
            }
            Frame::Hole { offset, len } => {
                put(&offset.to_be_bytes());
                put(&len.to_be_bytes());
                kind::HOLE
            }
            Frame::Error { code, text } => {
                put(&[code.number()]);
                // A text for a person may as well lack its end.
                put(text.get(..SMALL_MAX - 1).unwrap_or(text));
                kind::ERROR
            }
            Frame::File { role, token } => {
                put(&[role.number()]);
                put(token.as_bytes());
                kind::FILE
            }
            Frame::Note(note) => {
                note.write(put);
                kind::NOTE
            }
            Frame::Archive(archive) => {
                archive.write(put);
                kind::ARCHIVE
            }
            // It may be longer: see [`Log::append_to`].
            Frame::Log(log) => {
                log.write(put);
                kind::LOG
            }
        }
    }
}

impl Reason {
    fn number(self) -> u8 {
        match self {
            Reason::Rotated => 1,
            Reason::Truncated => 2,
            Reason::Deleted => 3,
            Reason::Rewritten => 4,
        }
    }

    fn from_number(number: u8) -> Option<Reason> {
        Some(match number {
            1 => Reason::Rotated,
            2 => Reason::Truncated,
            3 => Reason::Deleted,
            4 => Reason::Rewritten,
            _ => return None,
        })
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Reason::Rotated => "rotated",
            Reason::Truncated => "truncated",
            Reason::Deleted => "deleted",
            Reason::Rewritten => "rewritten",
        })
    }
}

impl Role {
    fn number(self) -> u8 {
        match self {
            Role::Begins => 0,
            Role::Ended => 1,
            Role::Present => 2,
            Role::EndedInCopy => 3,
            Role::Late => 4,
        }
    }

    fn from_number(number: u8) -> Option<Role> {
        Some(match number {
            0 => Role::Begins,
            1 => Role::Ended,
            2 => Role::Present,
            3 => Role::EndedInCopy,
            4 => Role::Late,
            _ => return None,
        })
    }
}

impl ErrorCode {
    fn number(self) -> u8 {
        match self {
            ErrorCode::BadRequest => 1,
            ErrorCode::NotServed => 2,
            ErrorCode::NoSuchFile => 3,
            ErrorCode::NotReadable => 4,
            ErrorCode::Busy => 5,
            ErrorCode::Gone => 6,
            ErrorCode::Compressed => 7,
            ErrorCode::Other(number) => number,
        }
    }

    fn from_number(number: u8) -> ErrorCode {
        match number {
            1 => ErrorCode::BadRequest,
            2 => ErrorCode::NotServed,
            3 => ErrorCode::NoSuchFile,
            4 => ErrorCode::NotReadable,
            5 => ErrorCode::Busy,
            6 => ErrorCode::Gone,
            7 => ErrorCode::Compressed,
            // A later version may have further codes. The client treats all alike, so none is a
            // violation.
            other => ErrorCode::Other(other),
        }
    }
}

/// A payload being read from the front.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], BadFrame> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(BadFrame::Length)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn u64(&mut self) -> Result<u64, BadFrame> {
        self.take().map(u64::from_be_bytes)
    }

    fn u8(&mut self) -> Result<u8, BadFrame> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn inode(&mut self) -> Result<Inode, BadFrame> {
        match self.u64()? {
            // It would stand for "no generation" in the pointer of the client.
            0 => Err(BadFrame::Field),
            number => Ok(Inode(number)),
        }
    }

    /// The algorithm's number and, if that is 1, an MD5. Any other algorithm counts as none.
    fn md5(&mut self) -> Result<Option<[u8; 16]>, BadFrame> {
        let algorithm = self.u8()?;
        let digest = self.take()?;
        // PROTOCOL.md, "Frames": a later algorithm may come, and then there is nothing to compare
        // with.
        Ok((algorithm == 1).then_some(digest))
    }

    /// The end of the payload: nothing may follow.
    fn finish<T>(self, value: T) -> Result<T, BadFrame> {
        // A longer payload is no extension of a known kind but a peer that cannot count.
        if self.0.is_empty() {
            Ok(value)
        } else {
            Err(BadFrame::Length)
        }
    }

    fn alive(mut self) -> Result<Frame<'a>, BadFrame> {
        let size = self.u64()?;
        self.finish(Frame::Alive { size })
    }

    fn end(mut self) -> Result<Frame<'a>, BadFrame> {
        let size = self.u64()?;
        let reason = Reason::from_number(self.u8()?).ok_or(BadFrame::Field)?;
        let md5 = self.md5()?;
        self.finish(Frame::End(End { size, reason, md5 }))
    }

    fn next(mut self) -> Result<Frame<'a>, BadFrame> {
        let inode = self.inode()?;
        let mtime_ns = self.u64()?;
        // Anything else behind the fields is left, and then the length is wrong.
        let after_loss = self.0 == [1];
        if after_loss {
            self.0 = &[];
        }
        self.finish(Frame::Next(Next {
            inode,
            mtime_ns,
            after_loss,
        }))
    }

    fn digest(mut self) -> Result<Frame<'a>, BadFrame> {
        let inode = self.inode()?;
        let size = self.u64()?;
        let md5 = self.md5()?;
        self.finish(Frame::Digest(Digest { inode, size, md5 }))
    }

    fn hole(mut self) -> Result<Frame<'a>, BadFrame> {
        let (offset, len) = (self.u64()?, self.u64()?);
        let fits = offset
            .checked_add(len)
            .is_some_and(|end| i64::try_from(end).is_ok());
        match fits && (1..=HOLE_MAX).contains(&len) {
            true => self.finish(Frame::Hole { offset, len }),
            false => Err(BadFrame::Field),
        }
    }

    fn error(mut self) -> Result<Frame<'a>, BadFrame> {
        let code = ErrorCode::from_number(self.u8()?);
        // The text is kept as it came; whoever shows it escapes it.
        Ok(Frame::Error { code, text: self.0 })
    }

    fn file(mut self) -> Result<Frame<'a>, BadFrame> {
        let role = Role::from_number(self.u8()?).ok_or(BadFrame::Field)?;
        if !(1..=Token::MAX_LEN).contains(&self.0.len()) {
            return Err(BadFrame::Length);
        }
        let token = Token::parse(self.0).ok_or(BadFrame::Field)?;
        Ok(Frame::File { role, token })
    }
}

#[cfg(test)]
mod tests;
