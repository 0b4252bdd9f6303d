//! What can be wrong with a source.

use std::fmt;
use std::io;

use super::copy::Fault;

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
            Trouble::Files(Fault::System { error, .. }) => (10, number(error)),
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
                f.write_str("its name has no address; it is looked up again at SIGHUP")
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
            Trouble::Silence => f.write_str("connection lost: nothing was heard for too long"),
            Trouble::Files(fault) => fault.fmt(f),
        }
    }
}
