//! Rotated files that the box has compressed: what the server tells of them, how they come here,
//! and what is in them. Pure.
//!
//! In reading order: [`Offered`] is one of them, `fetch` brings its bytes, and `inflate` has
//! what was compressed. Nothing of an archive is believed before all of it was found right.

#[cfg(feature = "gz")]
pub mod fetch;
#[cfg(feature = "gz")]
pub mod inflate;

use crate::ids::Inode;
use crate::wire::escape::Escaped;
use crate::wire::frame::archive::Archive;
#[cfg(feature = "gz")]
use crate::wire::given::archive_sum;
use crate::wire::token::Token;

/// A compressed file that may hold what is lacking.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Offered {
    /// Somebody may still write to it.
    pub is_fresh: bool,
    /// Its inode.
    pub inode: Inode,
    /// Its size.
    pub size: u64,
    /// Its last write.
    pub mtime_ns: u64,
    /// The CRC-32 and the size, modulo 2^32, of the last member's content, if its end is one of
    /// gzip.
    pub last: (u32, u32),
    /// The token by which it is asked for.
    pub token: Token,
    /// Its name on the box, escaped.
    pub name: Box<str>,
}

impl Offered {
    /// What stands for it, as it is, in a request that calls it settled.
    #[cfg(feature = "gz")]
    pub fn sum(&self) -> u32 {
        archive_sum(&self.token, self.size, self.mtime_ns)
    }

    /// Whether it is another one in the same file, as it was: by its token, or by all that is told
    /// of it else. Where the box cannot tell births for a moment, the token is another one.
    #[cfg(feature = "gz")]
    pub fn is_same(&self, other: &Offered) -> bool {
        let is_like = (self.inode, self.size, self.mtime_ns, self.last)
            == (other.inode, other.size, other.mtime_ns, other.last);
        is_like || self.token.id() == other.token.id()
    }

    /// What a frame tells.
    pub fn of(archive: &Archive<'_>) -> Offered {
        let [a, b, c, d, e, f, g, h] = archive.last;
        Offered {
            is_fresh: archive.is_fresh,
            inode: archive.inode,
            size: archive.size,
            mtime_ns: archive.mtime_ns,
            last: (
                u32::from_le_bytes([a, b, c, d]),
                u32::from_le_bytes([e, f, g, h]),
            ),
            token: archive.token,
            name: Escaped(archive.name).to_string().into(),
        }
    }
}
