//! One client of the log server, from its connection to its end. Pure; the mio half is [`super::shell`].
//!
//! The caller feeds what happens: [`Session::handle_input`], [`Session::handle_closed`], [`Session::handle_timeout`],
//! and [`Session::handle_hint`] when the files may have changed. After each of them it asks, in this order:
//! [`Session::ending`] (then the connection is closed), [`Session::output`] as long as the socket takes bytes, each
//! time followed by [`Session::consume_output`], and [`Session::poll_timeout`].

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::catalog::{Query, Refusal};
use super::config::Config;
use super::memory::Memory;
use super::stream::{Stream, Turn};
use crate::limits::{REQUEST_MAX_LEN, REQUEST_TIMEOUT_MS};
use crate::store::ReadStore;
use crate::time::{Mono, Now};
use crate::wire::line::{LineBuf, Progress};
use crate::wire::request::{BadRequest, Request};

/// One client's state.
pub struct Session<F> {
    peer: IpAddr,
    phase: Phase<F>,
}

/// Where the session stands.
enum Phase<F> {
    /// The request line is not complete yet. It is kept on the heap, so that a streaming session stays small.
    Request {
        line: Box<LineBuf<REQUEST_MAX_LEN>>,
        deadline: Mono,
    },
    /// A file is being sent, or watched for growth.
    Streaming(Stream<F>),
    /// Over; the connection is to be closed.
    Ended(Ending),
}

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
    NotServed,
    /// The path is configured, but nothing there can be served.
    Refused(Refusal),
    /// The client sent something after its request line.
    Chatter,
    /// The client went away.
    Left,
    /// The client took no byte for too long.
    Stalled,
    /// The generation is complete: it was rotated, or deleted, and is quiet. The client comes back for the next one.
    Rotated,
    /// The file became shorter than what was sent of it. The client comes back.
    Truncated,
    /// The open file cannot be read any more.
    Unreadable(io::Error),
    /// A changed configuration no longer allows it.
    Withdrawn,
}

impl Ending {
    /// Whether this is worth a line in the server's own log: clients come and go and files rotate all day.
    pub fn is_noteworthy(&self) -> bool {
        !matches!(
            self,
            Ending::Left | Ending::Rotated | Ending::Truncated | Ending::Refused(Refusal::Missing)
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
            Ending::NotServed => f.write_str("it is not in %files"),
            Ending::Refused(refusal) => refusal.fmt(f),
            Ending::Chatter => f.write_str("the client sent something after its request line"),
            Ending::Left => f.write_str("the client went away"),
            Ending::Stalled => f.write_str("the client takes no data"),
            Ending::Rotated => f.write_str("the file was rotated"),
            Ending::Truncated => f.write_str("the file was truncated"),
            Ending::Withdrawn => f.write_str("the configuration no longer allows it"),
            Ending::Unreadable(error) => write!(f, "cannot read it any more: {error}"),
        }
    }
}

/// What a session is handed with every call.
pub struct Context<'a, S> {
    /// The files.
    pub store: &'a S,
    /// What may be served, and the periods.
    pub config: &'a Config,
    /// What the server remembers of generations.
    pub memory: &'a mut Memory,
    /// This turn's time.
    pub now: Now,
}

impl<F> Session<F> {
    /// A client that has just been accepted.
    pub fn new(peer: IpAddr, now: Mono) -> Session<F> {
        Session {
            peer,
            phase: Phase::Request {
                line: Box::default(),
                deadline: now.plus_ms(REQUEST_TIMEOUT_MS),
            },
        }
    }

    /// The client's address.
    pub fn peer(&self) -> IpAddr {
        self.peer
    }

    /// The number of the configured log being served, once that is known.
    pub fn file(&self) -> Option<u32> {
        match &self.phase {
            Phase::Streaming(stream) => Some(stream.index()),
            _ => None,
        }
    }

    /// Why the session is over, if it is.
    pub fn ending(&self) -> Option<&Ending> {
        match &self.phase {
            Phase::Ended(ending) => Some(ending),
            _ => None,
        }
    }

    /// Ends the session from outside.
    pub fn end(&mut self, ending: Ending) {
        self.phase = Phase::Ended(ending);
    }

    /// The configuration was replaced: its file has another number there, or is no longer served.
    pub fn renumber(&mut self, file: Option<u32>) {
        match (&mut self.phase, file) {
            (Phase::Streaming(stream), Some(file)) => stream.renumber(file),
            (Phase::Streaming(_), None) => self.end(Ending::Withdrawn),
            _ => {}
        }
    }

    /// The client closed its side or the connection broke.
    pub fn handle_closed(&mut self) {
        if self.ending().is_none() {
            self.end(Ending::Left);
        }
    }

    /// Bytes came from the client. All of them are consumed: there is one line to be had and anything behind it ends
    /// the session.
    pub fn handle_input<S: ReadStore<File = F>>(&mut self, input: &[u8], cx: &mut Context<'_, S>) {
        let Phase::Request { line, .. } = &mut self.phase else {
            if !input.is_empty() && self.ending().is_none() {
                self.end(Ending::Chatter);
            }
            return;
        };
        match line.push(input) {
            (_, Progress::Partial) => {}
            (_, Progress::TooLong) => self.end(Ending::TooLong),
            (used, Progress::Complete) if used < input.len() => self.end(Ending::Chatter),
            (_, Progress::Complete) => {
                self.phase = match answer(self.peer, line.line(), cx) {
                    Ok(stream) => Phase::Streaming(stream),
                    Err(ending) => Phase::Ended(ending),
                };
            }
        }
    }

    /// Something may have happened to the file or its directory: look at once.
    pub fn handle_hint<S: ReadStore<File = F>>(&mut self, cx: &mut Context<'_, S>) {
        if let Phase::Streaming(stream) = &mut self.phase
            && let Turn::Over(ending) = stream.look(self.peer, cx)
        {
            self.end(ending);
        }
    }

    /// The deadline given by [`poll_timeout`](Self::poll_timeout) has come; harmless before.
    pub fn handle_timeout<S: ReadStore<File = F>>(&mut self, cx: &mut Context<'_, S>) {
        match &mut self.phase {
            Phase::Request { deadline, .. } if *deadline <= cx.now.mono => self.end(Ending::Late),
            Phase::Streaming(stream) => {
                if let Turn::Over(ending) = stream.handle_timeout(self.peer, cx) {
                    self.end(ending);
                }
            }
            _ => {}
        }
    }

    /// Fills `buf` with what is to be sent next and tells how much that is; 0 if there is nothing now. What the
    /// socket took is told by [`consume_output`](Self::consume_output); the rest comes again.
    pub fn output<S: ReadStore<File = F>>(
        &mut self,
        buf: &mut [u8],
        cx: &mut Context<'_, S>,
    ) -> usize {
        let Phase::Streaming(stream) = &mut self.phase else {
            return 0;
        };
        match stream.output(buf, cx.store) {
            Ok(len) => len,
            Err(error) => {
                self.end(Ending::Unreadable(error));
                0
            }
        }
    }

    /// The socket took the first `len` bytes of the last [`output`](Self::output).
    pub fn consume_output(&mut self, len: usize, now: Mono) {
        if let Phase::Streaming(stream) = &mut self.phase {
            stream.consume_output(len, now);
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called, at the latest.
    pub fn poll_timeout(&self, config: &Config) -> Option<Mono> {
        match &self.phase {
            Phase::Request { deadline, .. } => Some(*deadline),
            Phase::Streaming(stream) => Some(stream.poll_timeout(config)),
            Phase::Ended(_) => None,
        }
    }
}

/// Finds the file that answers a complete request line.
fn answer<S: ReadStore>(
    peer: IpAddr,
    line: &[u8],
    cx: &mut Context<'_, S>,
) -> Result<Stream<S::File>, Ending> {
    let request = Request::parse(line).map_err(Ending::BadRequest)?;
    let path = Path::new(OsStr::from_bytes(request.path));
    let served = cx.config.index_of(path).ok_or(Ending::NotServed)?;
    let entry = cx
        .config
        .files
        .get(served as usize)
        .ok_or(Ending::NotServed)?;
    let query = Query {
        store: cx.store,
        entry,
        index: served,
        peer,
        quiet_since_ns: quiet_since_ns(cx),
    };
    let choice = query.choose(&request, cx.memory).map_err(Ending::Refused)?;
    Ok(Stream::new(served, choice, cx.config, cx.now))
}

/// A rotated file that was last written before this moment is complete.
fn quiet_since_ns<S>(cx: &Context<'_, S>) -> u64 {
    let ms = cx.now.wall.ms().saturating_sub(cx.config.grace_ms);
    ms.saturating_mul(1_000_000)
}

#[cfg(test)]
mod tests;
