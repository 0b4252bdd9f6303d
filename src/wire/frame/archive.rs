//! ARCHIVE: a compressed file that may hold what the client lacks. See PROTOCOL.md, "Archives".

use super::{BadFrame, Fields};
use crate::ids::Inode;
use crate::wire::token::Token;

/// Longest name in an ARCHIVE; a longer one is cut.
pub const NAME_MAX: usize = 160;

/// A compressed rotated file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Archive<'a> {
    /// Somebody may still write to it.
    pub is_fresh: bool,
    /// Its inode.
    pub inode: Inode,
    /// Its size.
    pub size: u64,
    /// Its last write, in nanoseconds since 1970.
    pub mtime_ns: u64,
    /// Its last eight bytes: of gzip's last member the CRC-32 and the size, as they stand there.
    pub last: [u8; 8],
    /// The token by which it is asked for.
    pub token: Token,
    /// Its name on the box, without its directory: not empty, of any bytes.
    pub name: &'a [u8],
}

impl<'a> Archive<'a> {
    /// Hands the payload to `put`, piece by piece.
    pub(super) fn write(&self, mut put: impl FnMut(&[u8])) {
        put(&[u8::from(self.is_fresh)]);
        put(&self.inode.0.to_be_bytes());
        put(&self.size.to_be_bytes());
        put(&self.mtime_ns.to_be_bytes());
        put(&self.last);
        let token = self.token.as_bytes();
        // A token has at most 60.
        put(&[token.len() as u8]);
        put(token);
        put(self.name.get(..NAME_MAX).unwrap_or(self.name));
    }

    pub(super) fn read(mut fields: Fields<'a>) -> Result<Archive<'a>, BadFrame> {
        // Other bits may come to mean something later.
        let is_fresh = fields.u8()? & 1 != 0;
        let inode = fields.inode()?;
        let (size, mtime_ns) = (fields.u64()?, fields.u64()?);
        let last = fields.take()?;
        let len = usize::from(fields.u8()?);
        let (token, name) = fields.0.split_at_checked(len).ok_or(BadFrame::Length)?;
        if name.is_empty() || name.len() > NAME_MAX {
            return Err(BadFrame::Length);
        }
        Ok(Archive {
            is_fresh,
            inode,
            size,
            mtime_ns,
            last,
            token: Token::parse(token).ok_or(BadFrame::Field)?,
            name,
        })
    }
}
