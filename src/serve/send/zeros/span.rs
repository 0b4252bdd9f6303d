//! What a stream knows of the zeros where the next bytes would stand. Pure.

use crate::time::Mono;

/// What is known of the zeros from the offset on. There only while the last byte of the file is a
/// zero, as far as anybody looked.
pub struct Zeros {
    /// From the offset up to here there were zeros only.
    pub to: u64,
    /// What they are for the client.
    pub state: State,
    /// Since when not all of them were read again although the file was written to.
    pub presumed_since: Option<Mono>,
    /// The file was written to while they were being read.
    pub is_outdated: bool,
}

/// The ways of zeros.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Something may have been written over them: what comes next has to be read.
    Unknown,
    /// They are being read, to find what stands behind them.
    Searching,
    /// Something else stands behind them.
    Within,
    /// They go on to the end of the file.
    Last,
    /// The same, and the file is complete: they are sent.
    Released,
}

impl Zeros {
    /// None are known yet behind the offset.
    pub fn from(offset: u64) -> Zeros {
        Zeros {
            to: offset,
            state: State::Unknown,
            presumed_since: None,
            is_outdated: false,
        }
    }

    /// They are searched from this place on.
    pub fn search_from(&mut self, place: u64) {
        self.to = place;
        self.state = State::Searching;
    }
}
