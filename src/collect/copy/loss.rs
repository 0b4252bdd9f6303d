//! The words for a loss, in its event and on record.

use std::fmt;

use crate::ids::Inode;

/// A loss: what will never be here. On record it has the same words as in the event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Loss {
    /// The inode of the last generation before the loss that we hold.
    pub inode: Inode,
    /// The number of bytes that we hold of that generation.
    pub offset: u64,
    /// The number of bytes that are missing at the least, where the server told.
    pub at_least: Option<u64>,
    /// The cause of the loss.
    pub cause: Cause,
}

/// The cause of a loss.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// The server does not have the rest of the generation any more, or not all that came after it.
    Gone,
    /// The server has a file of that inode, and that does not begin with what we hold: there or
    /// here somebody changed it.
    Changed,
    /// The file that came after the generation went while the server was sending it.
    Overtaken,
    /// A power cut or a failed write here left zeros in its place, and the server does not have the
    /// generation any more.
    Zeros,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lost {}:{}, ", self.inode, self.offset)?;
        match self.at_least {
            Some(len) => write!(f, "at least {len} bytes: ")?,
            None => f.write_str("unknown how many bytes: ")?,
        }
        f.write_str(match self.cause {
            Cause::Gone => "the server does not have what follows any more",
            Cause::Changed => {
                "the server's file of that inode does not begin with what is held: it was cut, written anew or is another one, or the copy here was changed"
            }
            Cause::Overtaken => "what follows went before the server could send it",
            Cause::Zeros => {
                "a power cut or a failure of the disk here left zeros in their place, and the server does not have them any more"
            }
        })
    }
}
