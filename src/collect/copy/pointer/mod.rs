//! The pointer record: which generation a local copy holds, how far it is known to be good, and a
//! rotation that has been decided on. This module turns records into bytes and back; when they are
//! written is decided elsewhere.
//!
//! ```text
//! RECORD  = INODE " v1" *(" " KEY "=" VALUE) SEAL CRC32 LF           at most 256 bytes
//! SEAL    = " c=" / " d="                                           d: doubted since, whatever it says of a boot
//! b=BOOT  ck=OFFSET  g=TOKEN  m=MTIME  x=1                          known of every copy, each may be missing
//! li=DEVICE:INODE  n=SIZE  to=INODE  as=STAMP[.N]                   a pending rotation, all four or none
//! lo=1                                                              beside that: what follows is lost, and not told yet
//! rs=OFFSET:STAMP[.N]                                               an end that is being set aside
//! ```
//!
//! Numbers are decimal, TOKEN and CRC32 lower-case hexadecimal. The checksum covers everything
//! before SEAL. A key that is not known here is skipped, so that a later version may add some.
//!
//! The first word stays the bare remote inode, so that fetchlogs 1.1 can take over; and what 1.1
//! leaves, an inode and nothing else, is read as well. A record torn within its first word would
//! look like that. It cannot be told apart, so it must not happen: a record replaces the older one
//! by a rename, after an fsync.
//!
//! One letter alone is written over where it stands, the seal's, because that takes no room on the
//! disk and cannot be half there: the checksum does not cover it, and the record says the same but
//! for the doubt.

use std::fmt::{self, Write};
use std::path::Path;

use crate::ids::{FileId, Inode};
use crate::limits;
use crate::wire::crc32::Crc32;
use crate::wire::md5::Hex;

/// The content of a pointer file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pointer {
    /// The remote inode of the generation that the local copy holds.
    pub inode: Inode,
    /// The boot of the log host in which the end of the local copy was last known to be good.
    pub boot: Option<BootId>,
    /// The number of bytes of the local copy that are known to be durable; 0 where that is not
    /// known.
    pub checkpoint: u64,
    /// The server's own name for the generation, a hint that speeds its search.
    pub token: Option<Token>,
    /// The latest time at which any older generation was last written, in nanoseconds since 1970.
    pub mtime_ns: Option<u64>,
    /// The copy was begun under the classic protocol, where 0x07 became 0xff.
    pub classic: bool,
    /// The inode is all there is, as fetchlogs 1.1 leaves it: the copy is taken over, and nobody
    /// has noted what is known to be good of it.
    pub is_bare: bool,
    /// A rotation that is decided but may not be finished.
    pub pending: Option<Box<Pending>>,
    /// An end of the local copy that is being set aside. Never there together with a rotation.
    pub rescue: Option<Box<Rescue>>,
}

/// An end of the local copy that is not the server's, and moves to a file of its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rescue {
    /// The place where it begins.
    pub from: u64,
    /// The end of that file's name.
    pub suffix: RotatedSuffix,
}

/// A rotation of the local copy, as it was decided.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pending {
    /// The local copy that is to get the rotated name.
    pub local: FileId,
    /// The size of the copy: the whole generation.
    pub size: u64,
    /// The remote inode of the generation that follows.
    pub next: Inode,
    /// The part of the rotated name behind the local file's.
    pub suffix: RotatedSuffix,
    /// The server did not have what came behind the local copy any more. Nothing but the message of
    /// the rotation tells that, so it outlives here who dies before the message.
    pub is_lossy: bool,
}

/// The letter that is written over a record's seal to say that no boot vouches for the copy.
pub const DOUBT: u8 = b'd';

/// The length of a seal: a blank, the letter and the sign before the checksum.
const SEAL_LEN: usize = " c=".len();

/// The distance of a seal's letter from the end of its record.
const DOUBT_FROM_END: usize = "c=01234567\n".len();

/// A record as bytes, newline included.
pub type Record = heapless::String<{ limits::POINTER_MAX_LEN }>;

/// An error for which a pointer file cannot be believed. The source has to stop: its files are kept
/// and nothing is guessed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PointerError {
    /// Nothing in it, as fetchlogs 1.1 leaves it when it is killed at the wrong moment.
    Empty,
    /// It ends like a record, but the checksum is that of other bytes.
    BadCrc,
    /// Neither a record of a version known here nor the bare inode of fetchlogs 1.1.
    Malformed,
    /// Longer than any record.
    TooLong,
}

impl Pointer {
    /// The pointer of a copy of which nothing but the generation is known.
    pub const fn of(inode: Inode) -> Pointer {
        Pointer {
            inode,
            boot: None,
            checkpoint: 0,
            token: None,
            mtime_ns: None,
            classic: false,
            is_bare: false,
            pending: None,
            rescue: None,
        }
    }

    /// Reads the whole content of a pointer file. The caller reads up to one byte more than
    /// [`limits::POINTER_MAX_LEN`], so that a longer file is seen as one.
    ///
    /// The bare inode of fetchlogs 1.1, blanks and a newline behind it or not, is a copy begun
    /// under classic of which nothing else is known.
    pub fn parse(bytes: &[u8]) -> Result<Pointer, PointerError> {
        if bytes.len() > limits::POINTER_MAX_LEN {
            return Err(PointerError::TooLong);
        }
        let text = str::from_utf8(bytes).map_err(|_| PointerError::Malformed)?;
        // An operator may have written the inode by hand, as the message about an empty file
        // proposes.
        let word = text.trim_end_matches([' ', '\t', '\r', '\n']);
        if word.is_empty() {
            return Err(PointerError::Empty);
        }
        if let Some(inode) = decimal(word) {
            return Ok(Pointer {
                classic: true,
                is_bare: true,
                ..Pointer::of(Inode(inode))
            });
        }
        let (covered, is_doubted) = checked(text)?;
        let pointer = parse_fields(covered).ok_or(PointerError::Malformed)?;
        Ok(match is_doubted {
            true => Pointer {
                boot: BootId::none_vouches(),
                ..pointer
            },
            false => pointer,
        })
    }

    /// The place at which [`DOUBT`] has to be written over a record so that it says that no boot
    /// vouches for the copy. `None` where that has been done, or these bytes are no record that
    /// could say so.
    pub fn place_of_doubt(bytes: &[u8]) -> Option<u64> {
        let place = bytes.len().checked_sub(DOUBT_FROM_END)?;
        let is_trusted = bytes.get(place) == Some(&b'c') && Pointer::parse(bytes).is_ok();
        is_trusted.then_some(place as u64)
    }

    /// The record. A token is left out where the line would grow too long with it, which only
    /// numbers that no file system has today can bring about, and only beside a pending rotation:
    /// that generation is complete and will not be searched for.
    pub fn write(&self) -> Record {
        self.render(self.token.as_ref())
            .or_else(|_| self.render(None))
            .unwrap_or_default()
    }

    fn render(&self, token: Option<&Token>) -> Result<Record, fmt::Error> {
        let mut line = Record::new();
        write!(line, "{} v1", self.inode)?;
        if let Some(boot) = &self.boot {
            write!(line, " b={boot}")?;
        }
        write!(line, " ck={}", self.checkpoint)?;
        if let Some(token) = token {
            write!(line, " g={token}")?;
        }
        if let Some(mtime_ns) = self.mtime_ns {
            write!(line, " m={mtime_ns}")?;
        }
        if self.classic {
            write!(line, " x=1")?;
        }
        if let Some(pending) = &self.pending {
            write!(line, "{pending}")?;
        }
        if let Some(rescue) = &self.rescue {
            let Rescue { from, suffix } = &**rescue;
            write!(line, " rs={from}:{suffix}")?;
        }
        let crc = crc_of(&line);
        writeln!(line, " c={crc:08x}")?;
        Ok(line)
    }
}

impl fmt::Display for Pending {
    /// The pending rotation's part of the record.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Pending {
            local,
            size,
            next,
            suffix,
            is_lossy,
        } = self;
        write!(f, " li={local} n={size} to={next} as={suffix}")?;
        match is_lossy {
            true => f.write_str(" lo=1"),
            false => Ok(()),
        }
    }
}

impl fmt::Display for PointerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PointerError::Empty => {
                "the pointer file is empty; write the remote inode of the local copy into it, or remove it to set the local copy aside and begin anew"
            }
            PointerError::BadCrc => {
                "the pointer file is damaged (its checksum is wrong); restore it, or remove it to set the local copy aside and begin anew"
            }
            PointerError::Malformed => {
                "the pointer file is not one that this version knows; restore it, or remove it to set the local copy aside and begin anew"
            }
            PointerError::TooLong => {
                "the pointer file is too long to be one; is it another file's name in the configuration?"
            }
        })
    }
}

impl std::error::Error for PointerError {}

/// One boot of the log host, as the kernel names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BootId(heapless::String<{ BootId::MAX_LEN }, u8>);

impl BootId {
    /// The length of a UUID with its dashes.
    pub const MAX_LEN: usize = 36;

    /// Stands in the place of a boot where a write failed: no boot vouches for the copy.
    pub fn none_vouches() -> Option<BootId> {
        // No kernel names a boot so: boot ids are UUIDs.
        BootId::new("write-error")
    }

    /// Takes letters, digits and dashes, at least one and at most [`BootId::MAX_LEN`]; blanks and
    /// newlines around them have to be off already.
    pub fn new(text: &str) -> Option<BootId> {
        let sound = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if text.is_empty() || !text.bytes().all(sound) {
            return None;
        }
        heapless::String::try_from(text).ok().map(BootId)
    }
}

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A server's name for a generation: bytes that mean something to the server only. Shown in
/// hexadecimal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Token(heapless::Vec<u8, { Token::MAX_LEN }, u8>);

impl Token {
    /// Room for the file handles of the file systems that logs live on.
    pub const MAX_LEN: usize = 24;

    /// Takes at least one and at most [`Token::MAX_LEN`] bytes.
    pub fn new(bytes: &[u8]) -> Option<Token> {
        if bytes.is_empty() {
            return None;
        }
        heapless::Vec::try_from(bytes).ok().map(Token)
    }

    /// Reads what [`Display`](fmt::Display) shows: two lower-case digits a byte.
    pub fn from_hex(text: &str) -> Option<Token> {
        let (pairs, []) = text.as_bytes().as_chunks() else {
            return None;
        };
        let mut bytes = heapless::Vec::new();
        for [high, low] in pairs {
            bytes.push(nibble(*high)? << 4 | nibble(*low)?).ok()?;
        }
        (!bytes.is_empty()).then_some(Token(bytes))
    }

    /// The bytes themselves.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(&self.0).fmt(f)
    }
}

/// Digits of a stamp that tell the day.
const DAY_LEN: usize = 8;

/// The ending of a rotated copy's name behind the local file's and a dot: `STAMP`, and `STAMP.1`,
/// `STAMP.2` ... where that is taken. Nothing else can be in it, so it is safe as a part of a path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RotatedSuffix(heapless::String<{ RotatedSuffix::MAX_LEN }, u8>);

impl RotatedSuffix {
    /// The longest suffix, dot and number included.
    pub const MAX_LEN: usize = 24;

    /// Digits of a stamp: year to second.
    const STAMP_LEN: usize = 14;

    /// The suffix of the `attempt`-th name that is tried, from 0 on. `None` if `stamp` is not
    /// fourteen digits.
    pub fn new(stamp: &str, attempt: u16) -> Option<RotatedSuffix> {
        let digits = stamp.bytes().all(|byte| byte.is_ascii_digit());
        if stamp.len() != RotatedSuffix::STAMP_LEN || !digits {
            return None;
        }
        let mut suffix = heapless::String::try_from(stamp).ok()?;
        if attempt > 0 {
            write!(suffix, ".{attempt}").ok()?;
        }
        Some(RotatedSuffix(suffix))
    }

    /// The suffix of a rotated copy of `local`; `None` if it has no name that such a copy gets.
    pub fn of(copy: &Path, local: &Path) -> Option<RotatedSuffix> {
        let suffix = copy
            .as_os_str()
            .as_encoded_bytes()
            .strip_prefix(local.as_os_str().as_encoded_bytes())?
            .strip_prefix(b".")?;
        RotatedSuffix::parse(str::from_utf8(suffix).ok()?)
    }

    /// Reads a suffix exactly as [`RotatedSuffix::new`] makes them.
    pub fn parse(text: &str) -> Option<RotatedSuffix> {
        let (stamp, attempt) = match text.split_once('.') {
            Some((stamp, number)) => (stamp, decimal(number)?.try_into().ok()?),
            None => (text, 0),
        };
        RotatedSuffix::new(stamp, attempt).filter(|suffix| suffix.as_str() == text)
    }

    /// The suffix, without the dot before it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The stamp.
    pub fn stamp(&self) -> &str {
        self.0.get(..RotatedSuffix::STAMP_LEN).unwrap_or_default()
    }

    /// The number behind the stamp; 0 where there is none.
    pub fn attempt(&self) -> u16 {
        let number = self.0.get(RotatedSuffix::STAMP_LEN + 1..);
        number.and_then(|it| it.parse().ok()).unwrap_or(0)
    }

    /// Whether it is of this moment or a later one of the same day. Such a moment was when the
    /// clock was set back since, as at the end of summer time.
    pub fn is_ahead_of(&self, stamp: &str) -> bool {
        self.stamp().get(..DAY_LEN) == stamp.get(..DAY_LEN) && self.stamp() >= stamp
    }
}

impl fmt::Display for RotatedSuffix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The part of a record that the checksum covers, once that is found right, and whether the record
/// is doubted.
fn checked(text: &str) -> Result<(&str, bool), PointerError> {
    let line = text.strip_suffix('\n').ok_or(PointerError::Malformed)?;
    // From the end: a value may come to hold the same letters. The checksum itself holds no blank.
    let last = |mark: &[u8]| {
        line.as_bytes()
            .windows(mark.len())
            .rposition(|at| at == mark)
    };
    let (trusted, doubted) = (last(b" c="), last(b" d="));
    let place = trusted.max(doubted).ok_or(PointerError::Malformed)?;
    let (covered, crc) = (&line[..place], &line[place + SEAL_LEN..]);
    let mut right = heapless::String::<8>::new();
    let written = write!(right, "{:08x}", crc_of(covered));
    if written.is_err() || crc != right {
        return Err(PointerError::BadCrc);
    }
    Ok((covered, doubted > trusted))
}

fn crc_of(text: &str) -> u32 {
    Crc32::new().update(text.as_bytes()).finish()
}

fn parse_fields(covered: &str) -> Option<Pointer> {
    let mut words = covered.split(' ');
    let inode = Inode(decimal(words.next()?)?);
    // A later version may mean something else by the same keys; it says so here.
    if words.next()? != "v1" {
        return None;
    }
    let mut fields = Fields::default();
    for word in words {
        let (key, value) = word.split_once('=')?;
        fields.take(key, value)?;
    }
    fields.into_pointer(inode)
}

/// The fields of a record as they are found.
#[derive(Default)]
struct Fields {
    boot: Option<BootId>,
    checkpoint: Option<u64>,
    token: Option<Token>,
    mtime_ns: Option<u64>,
    classic: Option<bool>,
    local: Option<FileId>,
    size: Option<u64>,
    next: Option<u64>,
    suffix: Option<RotatedSuffix>,
    is_lossy: Option<bool>,
    rescue: Option<Rescue>,
}

impl Fields {
    /// `None` if the value cannot be read or the key stood there before.
    fn take(&mut self, key: &str, value: &str) -> Option<()> {
        match key {
            "b" => fill(&mut self.boot, BootId::new(value)),
            "ck" => fill(&mut self.checkpoint, decimal(value)),
            "g" => fill(&mut self.token, Token::from_hex(value)),
            "m" => fill(&mut self.mtime_ns, decimal(value)),
            "x" => fill(&mut self.classic, (value == "1").then_some(true)),
            "li" => fill(&mut self.local, file_id(value)),
            "n" => fill(&mut self.size, decimal(value)),
            "to" => fill(&mut self.next, decimal(value)),
            "as" => fill(&mut self.suffix, RotatedSuffix::parse(value)),
            "lo" => fill(&mut self.is_lossy, (value == "1").then_some(true)),
            "rs" => fill(&mut self.rescue, rescue(value)),
            // The key of a later version, which this one can do without: what it could not would be
            // a new record version.
            _ => Some(()),
        }
    }

    /// `None` if only a part of a pending rotation is there.
    fn into_pointer(self, inode: Inode) -> Option<Pointer> {
        let pending = match (self.local, self.size, self.next, self.suffix) {
            (Some(local), Some(size), Some(next), Some(suffix)) => Some(Box::new(Pending {
                local,
                size,
                next: Inode(next),
                suffix,
                is_lossy: self.is_lossy.unwrap_or(false),
            })),
            (None, None, None, None) if self.is_lossy.is_none() => None,
            // A part of a rotation tells neither what to rename nor what comes next.
            _ => return None,
        };
        Some(Pointer {
            inode,
            boot: self.boot,
            checkpoint: self.checkpoint.unwrap_or(0),
            token: self.token,
            mtime_ns: self.mtime_ns,
            classic: self.classic.unwrap_or(false),
            is_bare: false,
            pending,
            rescue: self.rescue.map(Box::new),
        })
    }
}

fn fill<T>(slot: &mut Option<T>, value: Option<T>) -> Option<()> {
    // No collector writes a key twice, and which of the two to believe is anybody's guess.
    if slot.is_some() {
        return None;
    }
    *slot = Some(value?);
    Some(())
}

fn file_id(text: &str) -> Option<FileId> {
    let (device, inode) = text.split_once(':')?;
    Some(FileId {
        device: decimal(device)?,
        inode: Inode(decimal(inode)?),
    })
}

fn rescue(text: &str) -> Option<Rescue> {
    let (from, suffix) = text.split_once(':')?;
    Some(Rescue {
        from: decimal(from)?,
        suffix: RotatedSuffix::parse(suffix)?,
    })
}

/// Digits only; the standard's parser would take a sign too.
fn decimal(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// Digits of the largest number.
const NUMBER_LEN: usize = 20;

/// The longest record without a token and a pending rotation.
const PLAIN_MAX_LEN: usize = NUMBER_LEN
    + " v1 b=".len()
    + BootId::MAX_LEN
    + " ck=".len()
    + NUMBER_LEN
    + " m=".len()
    + NUMBER_LEN
    + " x=1 c=01234567\n".len();

/// The most that a pending rotation adds.
const PENDING_MAX_LEN: usize = " li=:".len()
    + 2 * NUMBER_LEN
    + " n=".len()
    + NUMBER_LEN
    + " to=".len()
    + NUMBER_LEN
    + " as=".len()
    + RotatedSuffix::MAX_LEN
    + " lo=1".len();

/// The most that a token adds.
const TOKEN_MAX_LEN: usize = " g=".len() + 2 * Token::MAX_LEN;

/// The most that an end that is being set aside adds.
const RESCUE_MAX_LEN: usize = " rs=:".len() + NUMBER_LEN + RotatedSuffix::MAX_LEN;

// This is why `write` cannot fail, and why a plain record never loses its token.
const _: () = assert!(PLAIN_MAX_LEN + PENDING_MAX_LEN <= limits::POINTER_MAX_LEN);
const _: () = assert!(PLAIN_MAX_LEN + TOKEN_MAX_LEN + RESCUE_MAX_LEN <= limits::POINTER_MAX_LEN);
// A stamp, a dot and the digits of the last attempt.
const _: () = assert!(RotatedSuffix::STAMP_LEN + 1 + 5 <= RotatedSuffix::MAX_LEN);

#[cfg(test)]
mod tests;
