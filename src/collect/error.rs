//! What can be wrong with a source.

use std::fmt;
use std::io;

use super::copy::Fault;
use crate::wire::crc32::Crc32;
use crate::wire::frame::BadFrame;

/// What a server of version 2 does that no such server may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// A frame that cannot be understood.
    Frame(BadFrame),
    /// A frame that does not belong here.
    Order,
    /// Data that do not begin where our copy ends.
    Offset,
    /// A generation that is said to be complete at another size than it was sent with.
    Size,
    /// One empty generation after the other.
    Storm,
    /// An answer that promises what was not asked for.
    Terms,
}

impl Protocol {
    fn number(self) -> i32 {
        match self {
            Protocol::Frame(_) => 0,
            Protocol::Order => 1,
            Protocol::Offset => 2,
            Protocol::Size => 3,
            Protocol::Storm => 4,
            Protocol::Terms => 5,
        }
    }
}

impl From<Protocol> for Trouble {
    fn from(protocol: Protocol) -> Trouble {
        Trouble::Protocol(protocol)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Protocol::Frame(bad) => bad.fmt(f),
            Protocol::Order => f.write_str("the server sent a frame out of order"),
            Protocol::Offset => f.write_str("the server sent data that do not belong here"),
            Protocol::Size => f.write_str("the server ended a file at a size it was not sent with"),
            Protocol::Storm => f.write_str("the server names one file after the other"),
            Protocol::Terms => f.write_str("the server answered something that was not asked"),
        }
    }
}

/// Why a source is in error, or why a connection ended.
#[derive(Debug)]
pub enum Trouble {
    /// The configured name has no address.
    NoAddress,
    /// The connection could not be made.
    NotConnected(io::Error),
    /// Nobody answered the connection in time.
    ConnectTimeout,
    /// The request could not be sent in time.
    SendTimeout,
    /// There was no answer line in time.
    AnswerTimeout,
    /// What came is no answer line, or too long for one, or came before the question.
    NotALogServer,
    /// The server closed before it answered: classic's way to refuse.
    ClosedSilently,
    /// The server closed the stream, as it does when the file was rotated.
    ClosedByServer,
    /// The connection broke.
    ConnectionLost(io::Error),
    /// A server of version 2 gave this reason for refusing.
    Refused(Box<str>),
    /// A server of version 2 breaks its rules.
    Protocol(Protocol),
    /// The source is to speak version 2 only, and the server does not.
    OnlyClassic,
    /// The answer shows that another question is the right one.
    AskAgain,
    /// Not even a keep-alive came for too long.
    Silence,
    /// The local files.
    Files(Fault),
}

impl Trouble {
    /// Whether a connection that ends like this may have been a good one.
    pub fn is_ordinary(&self) -> bool {
        matches!(self, Trouble::ClosedByServer | Trouble::ConnectionLost(_))
    }

    /// Whether telling this one after the other would tell a person nothing new.
    pub fn is_like(&self, other: &Trouble) -> bool {
        self.key() == other.key()
    }

    /// The kind and, where the system is involved, its error number.
    fn key(&self) -> (u8, i32) {
        let number = |error: &io::Error| error.raw_os_error().unwrap_or(-1);
        match self {
            Trouble::NoAddress => (0, 0),
            Trouble::NotConnected(error) => (1, number(error)),
            Trouble::ConnectTimeout => (2, 0),
            Trouble::SendTimeout => (3, 0),
            Trouble::AnswerTimeout => (4, 0),
            Trouble::NotALogServer => (5, 0),
            Trouble::ClosedSilently => (6, 0),
            Trouble::ClosedByServer => (7, 0),
            Trouble::ConnectionLost(error) => (8, number(error)),
            Trouble::Silence => (9, 0),
            Trouble::Refused(text) => (14, Crc32::new().update(text.as_bytes()).finish() as i32),
            Trouble::Protocol(protocol) => (15, protocol.number()),
            Trouble::OnlyClassic => (16, 0),
            Trouble::AskAgain => (17, 0),
            Trouble::Files(Fault::System { error, .. }) => (10, number(error)),
            Trouble::Files(Fault::NotDurable(_, error)) => (19, number(error)),
            Trouble::Files(Fault::Pointer(..)) => (11, 0),
            Trouble::Files(Fault::Locked(..)) => (12, 0),
            Trouble::Files(Fault::NoFreeName(_)) => (13, 0),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::NoAddress => {
                f.write_str("its name has no address; it is looked up again")
            }
            Trouble::NotConnected(error) => write!(f, "cannot connect: {error}"),
            Trouble::ConnectTimeout => f.write_str("cannot connect: no answer in time"),
            Trouble::SendTimeout => f.write_str("the request could not be sent in time"),
            Trouble::AnswerTimeout => f.write_str("the server did not answer in time"),
            Trouble::NotALogServer => f.write_str("what answered is not a log server"),
            Trouble::ClosedSilently => f.write_str(
                "the server closed without an answer: it does not serve this file, or not to us, or the file does not exist",
            ),
            Trouble::ClosedByServer => f.write_str("connection lost: closed by the server"),
            Trouble::ConnectionLost(error) => write!(f, "connection lost: {error}"),
            Trouble::Refused(text) => write!(f, "the server refuses: {text}"),
            Trouble::Protocol(protocol) => write!(f, "connection given up: {protocol}"),
            Trouble::OnlyClassic => {
                f.write_str("the server speaks only the classic protocol, and proto=v2 is configured")
            }
            Trouble::AskAgain => f.write_str("the server is asked in another way"),
            Trouble::Silence => f.write_str("connection lost: nothing was heard for too long"),
            Trouble::Files(fault) => fault.fmt(f),
        }
    }
}
