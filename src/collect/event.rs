//! What happens to a source, in the words of the event lines.

use std::fmt;
use std::path::Path;

use super::copy::Found;
use super::trouble::Trouble;
use crate::ids::Inode;

/// One event of one source. Its text is what follows time, address and remote file in an event line.
#[derive(Debug)]
pub enum Event<'a> {
    /// The generation is complete and its copy has a name of its own now.
    Rotated {
        /// The next generation.
        next: Inode,
        /// The size of the complete copy.
        size: u64,
        /// Its name.
        kept: &'a Path,
    },
    /// The live file was truncated: what was held of it is kept under a name of its own.
    Truncated {
        /// The size of what was held.
        size: u64,
        /// Its name.
        kept: &'a Path,
    },
    /// The server no longer has the generation we held; what it had beyond `offset`, and what came after it, is lost.
    Lost {
        /// The generation.
        inode: Inode,
        /// What we hold of it.
        offset: u64,
    },
    /// The local files were found in a state worth telling.
    Found(&'a Found),
    /// Something is wrong.
    Trouble(&'a Trouble),
    /// What the source is doing, because that changed for the better or somebody asked.
    State(State<'a>),
}

/// What a source is doing.
#[derive(Debug)]
pub enum State<'a> {
    /// It is about to connect or to be answered.
    Connecting,
    /// It follows this generation and holds so many bytes of it.
    Following {
        /// The generation.
        inode: Option<Inode>,
        /// The size of the local copy.
        size: u64,
    },
    /// Something is wrong.
    Trouble(&'a Trouble),
}

impl Event<'_> {
    /// Whether it belongs on stderr: a loss is what an operator must not overlook.
    pub fn is_grave(&self) -> bool {
        matches!(self, Event::Lost { .. })
    }
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Rotated { next, size, kept } => {
                write!(
                    f,
                    "rotated to {next}; {size} bytes kept as {}",
                    kept.display()
                )
            }
            Event::Truncated { size, kept } => {
                write!(f, "truncated; {size} bytes kept as {}", kept.display())
            }
            Event::Lost { inode, offset } => write!(f, "lost {inode}:{offset}"),
            Event::Found(found) => found.fmt(f),
            Event::Trouble(trouble) => trouble.fmt(f),
            Event::State(state) => state.fmt(f),
        }
    }
}

impl fmt::Display for State<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            State::Connecting => f.write_str("connecting"),
            State::Following {
                inode: Some(inode),
                size,
            } => write!(f, "following {inode} from {size}"),
            State::Following { inode: None, .. } => f.write_str("following"),
            State::Trouble(trouble) => trouble.fmt(f),
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Found::SetAside(kept) => write!(
                f,
                "a local copy without a pointer was set aside as {}",
                kept.display()
            ),
            Found::CopyMissing => {
                f.write_str("the local copy is missing; it is fetched again from the start")
            }
            Found::RotationFinished(kept) => write!(
                f,
                "finished an interrupted rotation; the older copy is {}",
                kept.display()
            ),
            Found::RotatedMissing(kept) => write!(
                f,
                "finished an interrupted rotation, but the older copy {} is missing",
                kept.display()
            ),
        }
    }
}
