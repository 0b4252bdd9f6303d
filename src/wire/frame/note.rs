//! NOTE: what a server leaves out, and why. See PROTOCOL.md, "Frames".

use super::{BadFrame, Fields};

/// Longest name in a NOTE; a longer one is cut.
pub const NAME_MAX: usize = 240;

/// A file that the server leaves out, or gives in a way that is worth telling.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Note<'a> {
    /// The reason.
    pub why: LeftOut,
    /// Bytes may be missing for ever, or until somebody acts.
    pub is_missing: bool,
    /// The size of the file; 0 if it is not known.
    pub size: u64,
    /// The name of the file on the box, without its directory: not empty, of any bytes.
    pub name: &'a [u8],
}

/// Why a file was left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LeftOut {
    /// The server is not permitted to read it.
    NotPermitted,
    /// It cannot be read: an I/O error.
    Unreadable,
    /// There are more files than are looked at.
    TooMany,
    /// Its place among the others is not certain.
    OrderUncertain,
    /// It has the bytes of a generation that was given before, and is taken for a copy.
    Duplicate,
    /// It is compressed.
    Compressed,
    /// It was written to after it was complete.
    WrittenLater,
    /// A number that this version does not know.
    Other(u8),
}

impl LeftOut {
    fn number(self) -> u8 {
        match self {
            LeftOut::NotPermitted => 1,
            LeftOut::Unreadable => 2,
            LeftOut::TooMany => 3,
            LeftOut::OrderUncertain => 4,
            LeftOut::Duplicate => 5,
            LeftOut::Compressed => 6,
            LeftOut::WrittenLater => 7,
            LeftOut::Other(number) => number,
        }
    }

    fn from_number(number: u8) -> LeftOut {
        match number {
            1 => LeftOut::NotPermitted,
            2 => LeftOut::Unreadable,
            3 => LeftOut::TooMany,
            4 => LeftOut::OrderUncertain,
            5 => LeftOut::Duplicate,
            6 => LeftOut::Compressed,
            7 => LeftOut::WrittenLater,
            // A later version may know more. That something was left out can be told all the same.
            other => LeftOut::Other(other),
        }
    }
}

impl<'a> Note<'a> {
    /// Hands the payload to `put`, piece by piece.
    pub(super) fn write(&self, mut put: impl FnMut(&[u8])) {
        put(&[self.why.number(), u8::from(self.is_missing)]);
        put(&self.size.to_be_bytes());
        put(self.name.get(..NAME_MAX).unwrap_or(self.name));
    }

    pub(super) fn read(mut fields: Fields<'a>) -> Result<Note<'a>, BadFrame> {
        let why = LeftOut::from_number(fields.u8()?);
        let flags = fields.u8()?;
        let size = fields.u64()?;
        match fields.0 {
            [] => Err(BadFrame::Length),
            name if name.len() > NAME_MAX => Err(BadFrame::Length),
            name => Ok(Note {
                why,
                // Other bits may come to mean something later.
                is_missing: flags & 1 != 0,
                size,
                name,
            }),
        }
    }
}
