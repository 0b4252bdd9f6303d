//! What a client was given, as its requests tell it.

use std::fmt;

use super::crc32::Crc32;
use super::number::decimal;
use super::proof;
use super::token::Token;

/// The generations that a request tells of. On the heap, where they are as short-lived as the
/// request.
pub type GivenList = Box<heapless::Vec<Given, GIVEN_MAX>>;

/// Most generations that a request tells of.
pub const GIVEN_MAX: usize = 24;

/// The archives that a request calls settled, each by its [`archive_sum`].
pub type SettledList = heapless::Vec<u32, SETTLED_MAX>;

/// Most archives that a request calls settled.
pub const SETTLED_MAX: usize = 8;

/// A generation that the client was given whole, `SIZE:MD5HEX8:IDHEX8`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Given {
    /// The size of the copy, at least 1.
    pub size: u64,
    /// The first four bytes of the copy's MD5, if it is known.
    pub md5: Option<u32>,
    /// [`id_sum`] of its token, if it has one.
    pub id: Option<u32>,
}

/// The CRC-32 of the bytes of a token's ID, by which a request names it.
pub fn id_sum(token: &Token) -> u32 {
    Crc32::new().update(token.id().as_bytes()).finish()
}

/// Reads the list of `z`. `None` if it is none, or too long.
pub(super) fn parse_settled(text: &[u8]) -> Option<SettledList> {
    let mut list = SettledList::new();
    for id in text.split(|&b| b == b',') {
        list.push(proof::hex32(id)?).ok()?;
    }
    Some(list)
}

/// Writes the field `z`, if there is anything in it.
pub(super) fn write_settled(list: &SettledList, line: &mut impl fmt::Write) -> fmt::Result {
    let mut before = " z=";
    for id in list {
        write!(line, "{before}{id:08x}")?;
        before = ",";
    }
    Ok(())
}

/// The CRC-32 of the bytes of a token's ID, the size and the last write of the file, by which a
/// request names an archive as it is.
pub fn archive_sum(token: &Token, size: u64, mtime_ns: u64) -> u32 {
    let mut crc = Crc32::new();
    crc.update(token.id().as_bytes());
    crc.update(&size.to_be_bytes());
    crc.update(&mtime_ns.to_be_bytes()).finish()
}

impl Given {
    /// Reads a list of them. `None` if it is none, or too long.
    pub(super) fn parse_list(text: &[u8]) -> Option<GivenList> {
        let mut list = GivenList::default();
        for entry in text.split(|&b| b == b',') {
            list.push(Given::parse(entry)?).ok()?;
        }
        Some(list)
    }

    fn parse(text: &[u8]) -> Option<Given> {
        let mut parts = text.split(|&b| b == b':');
        let size = decimal(parts.next()?)?;
        let mut sum = || match parts.next()? {
            b"-" => Some(None),
            hex => proof::hex32(hex).map(Some),
        };
        let (md5, id) = (sum()?, sum()?);
        // Empty files are all alike, so they are not told of.
        (size > 0 && parts.next().is_none()).then_some(Given { size, md5, id })
    }
}

impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.size)?;
        for sum in [self.md5, self.id] {
            match sum {
                Some(sum) => write!(f, ":{sum:08x}")?,
                None => f.write_str(":-")?,
            }
        }
        Ok(())
    }
}
