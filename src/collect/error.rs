//! The errors of a source.

use std::fmt;
use std::io;

use super::copy::FileError;
use crate::wire::crc32::Crc32;
use crate::wire::escape::Escaped;
use crate::wire::frame::{BadFrame, Frame};

/// The violation of a rule by a server of version 2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProtocolError {
    /// A frame that cannot be understood.
    Frame(BadFrame),
    /// A frame that does not belong here.
    Order,
    /// Data that do not begin where our copy ends.
    Offset,
    /// A generation that is said to be complete at another size than it was sent with.
    Size,
    /// A storm of generations, one after the other.
    Storm,
    /// An answer that promises what was not asked for.
    Terms,
    /// An archive, where none was asked for.
    Archive,
}

impl ProtocolError {
    fn number(self) -> i32 {
        match self {
            ProtocolError::Frame(_) => 0,
            ProtocolError::Order => 1,
            ProtocolError::Offset => 2,
            ProtocolError::Size => 3,
            ProtocolError::Storm => 4,
            ProtocolError::Terms => 5,
            ProtocolError::Archive => 6,
        }
    }
}

/// What a small frame means while the bytes that were asked for are on their way: an error where
/// it is no sign of life. PROTOCOL.md, "Questions".
pub fn beside_answer(frame: Frame<'_>) -> Result<(), SourceError> {
    match frame {
        // The server is still computing.
        Frame::Alive { .. } | Frame::File { .. } | Frame::Note(_) => Ok(()),
        Frame::Error { text, .. } => Err(SourceError::Refused(Escaped(text).to_string().into())),
        _ => Err(ProtocolError::Order.into()),
    }
}

impl From<ProtocolError> for SourceError {
    fn from(protocol: ProtocolError) -> SourceError {
        SourceError::Protocol(protocol)
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProtocolError::Frame(bad) => bad.fmt(f),
            ProtocolError::Order => f.write_str("the server sent a frame out of order"),
            ProtocolError::Offset => f.write_str("the server sent data that do not belong here"),
            ProtocolError::Size => {
                f.write_str("the server ended a file at a size it was not sent with")
            }
            ProtocolError::Storm => f.write_str("the server names one file after the other"),
            ProtocolError::Terms => f.write_str("the server answered something that was not asked"),
            ProtocolError::Archive => {
                f.write_str("the server tells of compressed files and was not asked to")
            }
        }
    }
}

/// What there is too little room for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shortage {
    /// What is free on the file system of the copies, in bytes, and what is to stay free there.
    Disk { free: u64, keep: u64 },
    /// The files that there may still be on the file system of the copies, and how many of them are
    /// to stay so.
    Files { free: u64, keep: u64 },
    /// What the source's own copies have, in bytes, and what they may have.
    Own { used: u64, max: u64 },
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Shortage::Disk { free, keep } => write!(
                f,
                "the file system of the local copy has {} free, and keep_free= keeps {}",
                Amount(free),
                Amount(keep)
            ),
            Shortage::Files { free, keep } => write!(
                f,
                "the file system of the local copy has room for {free} more files, and keep_free= keeps that for {keep}"
            ),
            Shortage::Own { used, max } => write!(
                f,
                "the local copy and the finished ones have {}, and max= is {}; move finished ones away",
                Amount(used),
                Amount(max)
            ),
        }
    }
}

/// A number of bytes for a person.
struct Amount(u64);

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
        let unit = units.iter().find(|(shift, _)| self.0 >> shift > 0);
        match unit {
            Some((shift, name)) => {
                let tenths = (self.0 >> (shift - 10)) * 10 / 1024;
                write!(f, "{}.{} {name}", tenths / 10, tenths % 10)
            }
            None => write!(f, "{} bytes", self.0),
        }
    }
}

/// The error that a source is in, or the reason why a connection ended.
#[derive(Debug)]
pub enum SourceError {
    /// The configured name has no address.
    NoAddress,
    /// The connection could not be made.
    NotConnected(io::Error),
    /// Nobody answered the connection in time.
    ConnectTimeout,
    /// The request could not be sent in time.
    SendTimeout,
    /// No answer line came in time.
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
    Protocol(ProtocolError),
    /// The source is to speak version 2 only, and the server does not.
    OnlyClassic,
    /// The answer shows that another question is the right one.
    AskAgain,
    /// Not even a keep-alive came for too long.
    Silence,
    /// The local files cannot be used.
    Files(FileError),
    /// A compressed file cannot be taken yet.
    #[cfg(feature = "gz")]
    Archive(Box<str>),
    /// Nothing is fetched until there is room again.
    NoRoom(Shortage),
}

/// The end of a connection, or why it did not come about.
#[derive(Debug)]
pub enum Closed {
    /// The server closed it in good order.
    ByServer,
    /// The server has no address to connect to.
    NoAddress,
    /// The connection could not be made.
    NotMade(io::Error),
    /// The connection broke.
    Broken(io::Error),
}

impl Closed {
    /// Whether what came over a sealed connection cannot be from the server. That says more than
    /// that no answer came.
    pub fn is_rejection(&self) -> bool {
        matches!(self, Closed::Broken(error) if error.kind() == io::ErrorKind::InvalidData)
    }
}

impl From<Closed> for SourceError {
    fn from(closed: Closed) -> SourceError {
        match closed {
            Closed::ByServer => SourceError::ClosedByServer,
            Closed::NoAddress => SourceError::NoAddress,
            Closed::NotMade(error) => SourceError::NotConnected(error),
            Closed::Broken(error) => SourceError::ConnectionLost(error),
        }
    }
}

impl SourceError {
    /// Whether a connection that ends like this may have been a good one.
    pub fn is_ordinary(&self) -> bool {
        // Classic servers close after each rotation, and links break: the next try tells whether it
        // matters.
        matches!(
            self,
            SourceError::ClosedByServer | SourceError::ConnectionLost(_)
        )
    }

    /// Whether telling this one after the other would tell a person nothing new.
    pub fn is_like(&self, other: &SourceError) -> bool {
        self.key() == other.key()
    }

    /// The kind and, where the system is involved, its error number. The kinds' numbers are only
    /// compared with each other: neither their order nor a gap among them means anything.
    fn key(&self) -> (u8, i32) {
        let number = |error: &io::Error| error.raw_os_error().unwrap_or(-1);
        match self {
            SourceError::NoAddress => (0, 0),
            SourceError::NotConnected(error) => (1, number(error)),
            SourceError::ConnectTimeout => (2, 0),
            SourceError::SendTimeout => (3, 0),
            SourceError::AnswerTimeout => (4, 0),
            SourceError::NotALogServer => (5, 0),
            SourceError::ClosedSilently => (6, 0),
            SourceError::ClosedByServer => (7, 0),
            SourceError::ConnectionLost(error) => (8, number(error)),
            SourceError::Silence => (9, 0),
            // Two refusals are alike if their reasons are.
            SourceError::Refused(text) => {
                (14, Crc32::new().update(text.as_bytes()).finish() as i32)
            }
            SourceError::Protocol(protocol) => (15, protocol.number()),
            SourceError::OnlyClassic => (16, 0),
            SourceError::AskAgain => (17, 0),
            SourceError::Files(FileError::System { error, .. }) => (10, number(error)),
            SourceError::Files(FileError::NotDurable(_, error)) => (19, number(error)),
            SourceError::Files(FileError::Pointer(..)) => (11, 0),
            SourceError::Files(FileError::Locked(..)) => (12, 0),
            SourceError::Files(FileError::NoFreeName(_)) => (13, 0),
            #[cfg(feature = "gz")]
            SourceError::Archive(text) => {
                (21, Crc32::new().update(text.as_bytes()).finish() as i32)
            }
            SourceError::NoRoom(Shortage::Disk { .. }) => (20, 0),
            SourceError::NoRoom(Shortage::Own { .. }) => (20, 1),
            SourceError::NoRoom(Shortage::Files { .. }) => (20, 2),
        }
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SourceError::NoAddress => {
                f.write_str("its name has no address; it is looked up again")
            }
            SourceError::NotConnected(error) => write!(f, "cannot connect: {error}"),
            SourceError::ConnectTimeout => f.write_str("cannot connect: no answer in time"),
            SourceError::SendTimeout => f.write_str("the request could not be sent in time"),
            SourceError::AnswerTimeout => f.write_str("the server did not answer in time"),
            SourceError::NotALogServer => f.write_str("what answered is not a log server"),
            SourceError::ClosedSilently => f.write_str(
                "the server closed without an answer: it does not serve this file, or not to us, or the file does not exist",
            ),
            SourceError::ClosedByServer => f.write_str("connection lost: closed by the server"),
            SourceError::ConnectionLost(error) => write!(f, "connection lost: {error}"),
            SourceError::Refused(text) => write!(f, "the server refuses: {text}"),
            SourceError::Protocol(protocol) => write!(f, "connection given up: {protocol}"),
            SourceError::OnlyClassic => {
                f.write_str("the server speaks only the classic protocol, and proto=v2 is configured")
            }
            SourceError::AskAgain => f.write_str("the server is asked in another way"),
            SourceError::Silence => f.write_str("connection lost: nothing was heard for too long"),
            SourceError::Files(error) => error.fmt(f),
            #[cfg(feature = "gz")]
            SourceError::Archive(text) => write!(f, "what is compressed on the box cannot be taken yet: {text}"),
            SourceError::NoRoom(shortage) => {
                write!(f, "paused: {shortage}; the log goes on by itself when there is room")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_for_a_person() {
        let cases = [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            ((1 << 20) - 1, "1023.9 KiB"),
            (1 << 20, "1.0 MiB"),
            (5 << 29, "2.5 GiB"),
            (u64::MAX, "17179869183.9 GiB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(Amount(bytes).to_string(), text);
        }
    }
}
