//! The endings of a session. Each of its parts answers what happens with `ControlFlow<Ending>`: it
//! goes on, or this is why it does not. Pure.

use std::fmt;
use std::io;

use crate::limits::{REQUEST_MAX_LEN, REQUEST_TIMEOUT_MS};
use crate::serve::find::refusal::Refusal;
use crate::wire::escape::Escaped;
use crate::wire::request::BadRequest;

/// Why a session is over.
#[derive(Debug)]
pub enum Ending {
    /// The request line grew too long.
    TooLong,
    /// The request line did not come in time.
    Late,
    /// The request line makes no sense.
    BadRequest(BadRequest),
    /// The path is not configured.
    NotServed(Box<[u8]>),
    /// The path is configured, but nothing there can be served.
    Refused(Refusal),
    /// A client of version 2 asks something about a generation that is nowhere.
    Gone,
    /// There are too many clients.
    Full(&'static str),
    /// It asked for nothing while others had no place.
    MadeRoom,
    /// It was served, and closed for an address with fewer clients.
    GaveWay,
    /// The client sent something after its request line.
    Chatter,
    /// The client went away.
    Left,
    /// The client took no byte for too long.
    Stalled,
    /// The generation is complete: it was rotated, or deleted, and is quiet. The client comes back
    /// for the next one.
    Rotated,
    /// The file became shorter than what was sent of it. The client comes back.
    Truncated,
    /// The open file cannot be read any more.
    Unreadable(Box<io::Error>),
    /// A changed configuration no longer allows it.
    Withdrawn,
    /// The connection is to be sealed, and what the client sent does not make it so.
    #[cfg(feature = "noise")]
    Unsealed(&'static str),
    /// What was asked for was answered; there is no more to come.
    Answered,
}

impl Ending {
    /// The open file cannot be read any more, for this reason.
    #[inline(never)]
    pub fn unreadable(error: io::Error) -> Ending {
        Ending::Unreadable(Box::new(error))
    }

    /// Whether this is worth a line in the server's own log: clients come and go and files rotate
    /// all day.
    pub fn is_noteworthy(&self) -> bool {
        !matches!(
            self,
            Ending::Left
                | Ending::Rotated
                | Ending::Truncated
                | Ending::Answered
                | Ending::Gone
                | Ending::Refused(Refusal::Missing | Refusal::Compressed(_))
        )
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::TooLong => write!(f, "sent a request line longer than {REQUEST_MAX_LEN} bytes"),
            Ending::Late => write!(
                f,
                "sent no complete request line within {} s",
                REQUEST_TIMEOUT_MS / 1000
            ),
            Ending::BadRequest(bad) => write!(f, "sent {bad}"),
            Ending::NotServed(path) => {
                let start = path.get(..SHOWN_PATH_LEN);
                let dots = start.map_or("", |_| "...");
                write!(
                    f,
                    "{}{dots} is not in %files",
                    Escaped(start.unwrap_or(path))
                )
            }
            Ending::Refused(refusal) => refusal.fmt(f),
            Ending::Gone => f.write_str("there is no such file any more"),
            Ending::Full(why) => f.write_str(why),
            Ending::MadeRoom => f.write_str("asked for nothing, and made room for others"),
            Ending::GaveWay => f.write_str("made room for an address with fewer clients"),
            Ending::Chatter => f.write_str("the client sent something after its request line"),
            Ending::Left => f.write_str("the client went away"),
            Ending::Stalled => f.write_str("the client takes no data"),
            Ending::Rotated => f.write_str("the file was rotated"),
            Ending::Truncated => f.write_str("the file was truncated"),
            Ending::Answered => f.write_str("it was answered"),
            Ending::Withdrawn => f.write_str(
                "the new configuration does not allow this host, or does not name this log",
            ),
            #[cfg(feature = "noise")]
            Ending::Unsealed(why) => f.write_str(why),
            Ending::Unreadable(error) => write!(f, "cannot read it any more: {error}"),
        }
    }
}

/// Bytes of a path that a client made up which are worth showing.
const SHOWN_PATH_LEN: usize = 100;
