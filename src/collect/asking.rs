//! A question of one line on its way to a server, and the answer line that comes back. Pure.

use super::error::{Closed, SourceError};
use crate::limits::{REPLY_MAX_LEN, REQUEST_MAX_LEN};
use crate::wire::line::{LineBuf, Progress};
use crate::wire::reply::Reply;

/// How far it is.
pub(super) enum Asking {
    /// The question is being sent.
    Sending {
        line: Box<heapless::Vec<u8, REQUEST_MAX_LEN>>,
        sent: usize,
    },
    /// The answer line is not complete yet.
    Hearing(Box<LineBuf<REPLY_MAX_LEN>>),
}

impl Asking {
    /// A question over a connection that stands.
    pub(super) fn new(line: heapless::Vec<u8, REQUEST_MAX_LEN>) -> Asking {
        let line = Box::new(line);
        Asking::Sending { line, sent: 0 }
    }

    /// The part of the question that is still to be sent.
    pub(super) fn output(&self) -> &[u8] {
        match self {
            Asking::Sending { line, sent } => line.get(*sent..).unwrap_or_default(),
            Asking::Hearing(_) => &[],
        }
    }

    /// The socket took the first `len` bytes of that. Tells whether the question is out with them:
    /// the answer may take its own time.
    pub(super) fn consume_output(&mut self, len: usize) -> bool {
        let Asking::Sending { line, sent } = self else {
            return false;
        };
        *sent += len;
        let is_out = *sent >= line.len();
        if is_out {
            *self = Asking::Hearing(Box::default());
        }
        is_out
    }

    /// Takes bytes from the front of `input`, and tells how many, and the answer, if it is complete
    /// with them.
    pub(super) fn hear(&mut self, input: &[u8]) -> Result<(usize, Option<Reply>), SourceError> {
        let line = match self {
            Asking::Sending { .. } if input.is_empty() => return Ok((0, None)),
            Asking::Sending { .. } => return Err(SourceError::NotALogServer),
            Asking::Hearing(line) => line,
        };
        match line.push(input) {
            (used, Progress::Partial) => Ok((used, None)),
            (_, Progress::TooLong) => Err(SourceError::NotALogServer),
            (used, Progress::Complete) => match Reply::parse(line.line()) {
                Ok(reply) => Ok((used, Some(reply))),
                Err(_) => Err(SourceError::NotALogServer),
            },
        }
    }

    /// Why it is given up where it takes too long.
    pub(super) fn overdue(&self) -> SourceError {
        match self {
            Asking::Sending { .. } => SourceError::SendTimeout,
            Asking::Hearing(_) => SourceError::AnswerTimeout,
        }
    }

    /// Why it is given up where the connection is gone.
    pub(super) fn broken_off(&self, closed: Closed) -> SourceError {
        match (self, closed) {
            (_, closed @ (Closed::NoAddress | Closed::NotMade(_))) => closed.into(),
            (_, closed) if closed.is_rejection() => closed.into(),
            (Asking::Hearing(line), _) if line.line().is_empty() => SourceError::ClosedSilently,
            (Asking::Sending { .. }, Closed::ByServer) => SourceError::ClosedSilently,
            (_, closed) => closed.into(),
        }
    }
}
