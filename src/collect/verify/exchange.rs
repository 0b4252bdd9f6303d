//! The exchange of one question to a server and its answer, over a connection of their own. Pure.
//!
//! Whatever goes wrong ends an exchange with a verdict. Nothing of an answer is believed that was
//! not asked for, and no server can make it last for ever: silence has deadlines, and what is sent
//! without being an answer is counted.

use super::Verdict;
use crate::collect::error::{Closed, ProtocolError, SourceError};
use crate::ids::Inode;
use crate::limits::{REPLY_MAX_LEN, REQUEST_MAX_LEN, VERIFY_EXTRA_MAX_LEN, VERIFY_IDLE_MS};
use crate::time::Mono;
use crate::wire::escape::Escaped;
use crate::wire::frame::{self, BadFrame, ErrorCode, Frame};
use crate::wire::line::{LineBuf, Progress};
use crate::wire::receiver::{Piece, Receiver};
use crate::wire::reply::{Mark, Reply};
use crate::wire::request::Op;

/// A request line, newline included.
pub type Line = heapless::Vec<u8, REQUEST_MAX_LEN>;

/// A question on its way, and its answer.
pub struct Exchange {
    op: Op,
    wait_ms: u64,
    deadline: Mono,
    state: State,
}

enum State {
    /// The connection is being made.
    Connecting { line: Box<Line> },
    /// The request line is being written.
    Asking { line: Box<Line>, sent: usize },
    /// The answer line is not complete yet.
    Answering { line: Box<LineBuf<REPLY_MAX_LEN>> },
    /// The frames behind it.
    Receiving(Box<Receiving>),
}

struct Receiving {
    receiver: Receiver,
    /// Whether the answer line announced nothing but a reason.
    refused: bool,
    /// The number of bytes that may still come.
    room: u64,
    /// The part of the file that was asked for, as far as it has come.
    bytes: Vec<u8>,
}

/// A part of the answer.
#[derive(PartialEq, Eq, Debug)]
pub enum Heard {
    /// Nothing yet.
    Nothing,
    /// The file that the server means, and its size there now.
    Reply { inode: Inode, size: u64 },
    /// The MD5 of so many of its first bytes.
    Digest {
        inode: Inode,
        size: u64,
        md5: [u8; 16],
    },
    /// The payload of a SUMS frame.
    Sums(Vec<u8>),
    /// The part of the file that was asked for.
    Bytes(Vec<u8>),
}

impl Exchange {
    /// An exchange that needs a connection. Each of making it, sending the line and receiving the
    /// answer line may take `wait_ms`.
    pub fn new(line: Line, op: Op, now: Mono, wait_ms: u64) -> Exchange {
        Exchange {
            op,
            wait_ms,
            deadline: now.plus_ms(wait_ms),
            state: State::Connecting {
                line: Box::new(line),
            },
        }
    }

    /// The moment at which the exchange is over, if nothing is heard before.
    pub fn deadline(&self) -> Mono {
        self.deadline
    }

    /// The verdict if the exchange is over at its deadline.
    pub fn late(&self) -> Verdict {
        Verdict::Unreachable(match &self.state {
            State::Connecting { .. } => SourceError::ConnectTimeout,
            State::Asking { .. } => SourceError::SendTimeout,
            State::Answering { .. } => SourceError::AnswerTimeout,
            State::Receiving(_) => SourceError::Silence,
        })
    }

    /// The connection stands.
    pub fn handle_connected(&mut self, now: Mono) {
        if let State::Connecting { line } = &mut self.state {
            let line = std::mem::take(line);
            self.state = State::Asking { line, sent: 0 };
            self.deadline = now.plus_ms(self.wait_ms);
        }
    }

    /// The part of the question that is still to be sent.
    pub fn output(&self) -> &[u8] {
        match &self.state {
            State::Asking { line, sent } => line.get(*sent..).unwrap_or_default(),
            _ => &[],
        }
    }

    /// The socket took the first `len` bytes of the last output.
    pub fn consume_output(&mut self, len: usize, now: Mono) {
        let State::Asking { line, sent } = &mut self.state else {
            return;
        };
        *sent += len;
        if *sent >= line.len() {
            self.state = State::Answering {
                line: Box::default(),
            };
            self.deadline = now.plus_ms(self.wait_ms);
        }
    }

    /// The connection is gone, or could not be made.
    pub fn closed(&self, closed: Closed) -> Verdict {
        let error = match (&self.state, closed) {
            (_, Closed::NoAddress) => return Verdict::NoAddress,
            (_, closed @ Closed::NotMade(_)) => closed.into(),
            (_, closed) if closed.is_rejection() => closed.into(),
            // Too many clients, or an address that is not allowed: such a server closes without
            // reading the line.
            (State::Asking { .. }, _) => return refused_silently(),
            (State::Answering { line }, _) if line.line().is_empty() => return refused_silently(),
            (_, closed) => closed.into(),
        };
        Verdict::Unreachable(error)
    }

    /// Takes bytes from the front of `input` and tells how many and what they say. To be called
    /// again with the rest, and once more with nothing left.
    pub fn take(&mut self, input: &[u8], now: Mono) -> Result<(usize, Heard), Verdict> {
        match &mut self.state {
            State::Connecting { .. } => Ok((input.len(), Heard::Nothing)),
            State::Asking { .. } if input.is_empty() => Ok((0, Heard::Nothing)),
            // No server of either protocol speaks before it has read the line.
            State::Asking { .. } => Err(Verdict::Unreachable(SourceError::NotALogServer)),
            State::Answering { line } => match line.push(input) {
                (used, Progress::Partial) => Ok((used, Heard::Nothing)),
                (_, Progress::TooLong) => Err(Verdict::Unreachable(SourceError::NotALogServer)),
                (used, Progress::Complete) => {
                    let reply = Reply::parse(line.line())
                        .map_err(|_| Verdict::Unreachable(SourceError::NotALogServer))?;
                    self.reply(reply, now).map(|heard| (used, heard))
                }
            },
            State::Receiving(receiving) => {
                let (used, heard, is_whole) = receiving.take(input, self.op)?;
                // Half a frame is no keep-alive: it may be the same half for ever.
                if is_whole {
                    self.deadline = now.plus_ms(VERIFY_IDLE_MS);
                }
                Ok((used, heard))
            }
        }
    }

    fn reply(&mut self, reply: Reply, now: Mono) -> Result<Heard, Verdict> {
        let Some(terms) = reply.v2 else {
            return Err(Verdict::Classic);
        };
        // A question has no `L` for an answer (PROTOCOL.md, "Questions").
        if reply.mark == Mark::Lost {
            return Err(broken(ProtocolError::Terms));
        }
        let refused = reply.mark == Mark::Refused;
        self.state = State::Receiving(Box::new(Receiving {
            receiver: Receiver::new(),
            refused,
            room: VERIFY_EXTRA_MAX_LEN,
            bytes: Vec::new(),
        }));
        // From here on the server may have to read all of a large file, and says ALIVE meanwhile.
        self.deadline = now.plus_ms(VERIFY_IDLE_MS);
        Ok(match refused {
            true => Heard::Nothing,
            false => Heard::Reply {
                inode: reply.inode.inode(),
                size: terms.size,
            },
        })
    }
}

impl Receiving {
    /// Takes bytes of a frame. Tells besides whether one is whole now.
    fn take(&mut self, input: &[u8], op: Op) -> Result<(usize, Heard, bool), Verdict> {
        let (used, piece) = self.receiver.next(input);
        // Keep-alives and frames that may be skipped cost room, so a server that sends nothing else
        // is stopped at some point.
        self.room = self
            .room
            .checked_sub(used as u64)
            .ok_or(broken(ProtocolError::Order))?;
        let (heard, is_whole) = match (piece, op) {
            (Piece::Nothing, _) => (Heard::Nothing, false),
            (Piece::Small, _) => (self.small(op)?, true),
            (Piece::Sums, Op::Sums { .. }) if !self.refused => {
                (Heard::Sums(self.receiver.sums()), true)
            }
            (Piece::DataStart(at), Op::Range { start, .. })
                if !self.refused && at == start + self.bytes.len() as u64 =>
            {
                (Heard::Nothing, false)
            }
            (Piece::Data(bytes), Op::Range { .. }) => {
                self.bytes.extend_from_slice(bytes);
                (Heard::Nothing, false)
            }
            // A range may come in several frames; it is looked at when all of it is there.
            (Piece::DataEnd, Op::Range { len, .. }) => match self.bytes.len() as u64 {
                got if got < len => (Heard::Nothing, true),
                got if got > len => return Err(broken(ProtocolError::Order)),
                _ => (Heard::Bytes(std::mem::take(&mut self.bytes)), true),
            },
            (Piece::Bad(bad), _) => return Err(bad_frame(bad)),
            _ => return Err(broken(ProtocolError::Order)),
        };
        Ok((used, heard, is_whole))
    }

    fn small(&mut self, op: Op) -> Result<Heard, Verdict> {
        let refused = self.refused;
        let heard = self.receiver.small(|frame| match frame {
            Frame::Error { code, text } => Err(refusal(code, text)),
            _ if refused => Err(broken(ProtocolError::Order)),
            Frame::Alive { .. } | Frame::File { .. } | Frame::Note(_) => Ok(Heard::Nothing),
            Frame::Digest(frame::Digest { inode, size, md5 }) if op == Op::Digest => {
                // PROTOCOL.md, "Frames": any algorithm but MD5 means that there is no digest to
                // compare with.
                let md5 = md5.ok_or(Verdict::Refused {
                    why: "its digests are of a kind that is not known here".into(),
                    for_now: false,
                })?;
                Ok(Heard::Digest { inode, size, md5 })
            }
            _ => Err(broken(ProtocolError::Order)),
        });
        heard.unwrap_or_else(|bad| Err(bad_frame(bad)))
    }
}

/// The server breaks its rules.
pub fn broken(protocol: ProtocolError) -> Verdict {
    Verdict::Unreachable(protocol.into())
}

fn bad_frame(bad: BadFrame) -> Verdict {
    broken(ProtocolError::Frame(bad))
}

/// Nobody knows why. A file that is truncated while the server reads it is one reason, too many
/// clients another.
fn refused_silently() -> Verdict {
    Verdict::Refused {
        why: SourceError::ClosedSilently.to_string().into(),
        for_now: true,
    }
}

fn refusal(code: ErrorCode, text: &[u8]) -> Verdict {
    match code {
        ErrorCode::NoSuchFile | ErrorCode::Gone => Verdict::Gone,
        _ => Verdict::Refused {
            why: Escaped(text).to_string().into(),
            // PROTOCOL.md, "Frames": ERROR 5 is the one that asks to be asked again.
            for_now: code == ErrorCode::Busy,
        },
    }
}
