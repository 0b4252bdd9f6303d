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

use super::catalog::{Query, Refusal, Unread};
use super::chain::Chain;
use super::config::Config;
use super::job::Job;
use super::memory::Memory;
use super::stream::{Stream, Turn};
use crate::limits::{REQUEST_MAX_LEN, REQUEST_TIMEOUT_MS};
use crate::store::ReadStore;
use crate::time::{Mono, Now};
use crate::wire::escape::Escaped;
use crate::wire::frame::ErrorCode;
use crate::wire::line::{LineBuf, Progress};
use crate::wire::request::{BadRequest, Op, Request, asks_for_v2};

/// One client's state.
pub struct Session<F> {
    peer: IpAddr,
    phase: Phase<F>,
}

/// Where the session stands. Classic streaming is the largest and the one that lasts.
#[allow(clippy::large_enum_variant)]
enum Phase<F> {
    /// The request line is not complete yet. It is kept on the heap, so that a streaming session stays small.
    Request {
        line: Box<LineBuf<REQUEST_MAX_LEN>>,
        deadline: Mono,
    },
    /// Classic: a file is being sent, or watched for growth.
    Streaming(Stream<F>),
    /// Version 2: generation after generation is being sent. On the heap, because it remembers more.
    Chained(Box<Chain<F>>),
    /// Version 2: one answer is being computed or sent.
    Working(Box<Job<F>>),
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
    /// What was asked for was answered; there is no more to come.
    Answered,
}

impl Ending {
    /// Whether this is worth a line in the server's own log: clients come and go and files rotate all day.
    pub fn is_noteworthy(&self) -> bool {
        !matches!(
            self,
            Ending::Left
                | Ending::Rotated
                | Ending::Truncated
                | Ending::Answered
                | Ending::Refused(Refusal::Missing)
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
            Ending::Answered => f.write_str("it was answered"),
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
            Phase::Chained(chain) => Some(chain.index()),
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
            (Phase::Chained(chain), Some(file)) => chain.renumber(file),
            (Phase::Streaming(_) | Phase::Chained(_), None) => self.end(Ending::Withdrawn),
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
                self.phase = answer(self.peer, line.line(), cx);
            }
        }
    }

    /// Something may have happened to the file or its directory: look at once.
    pub fn handle_hint<S: ReadStore<File = F>>(&mut self, cx: &mut Context<'_, S>) {
        let turn = match &mut self.phase {
            Phase::Streaming(stream) => stream.look(self.peer, cx),
            Phase::Chained(chain) => with_query(chain.index(), self.peer, cx, |cx, query| {
                chain.look(cx, query)
            }),
            _ => return,
        };
        self.follow(turn);
    }

    /// The deadline given by [`poll_timeout`](Self::poll_timeout) has come; harmless before.
    pub fn handle_timeout<S: ReadStore<File = F>>(&mut self, cx: &mut Context<'_, S>) {
        let turn = match &mut self.phase {
            Phase::Request { deadline, .. } if *deadline <= cx.now.mono => Turn::Over(Ending::Late),
            Phase::Streaming(stream) => stream.handle_timeout(self.peer, cx),
            Phase::Chained(chain) => with_query(chain.index(), self.peer, cx, |cx, query| {
                chain.handle_timeout(cx, query)
            }),
            Phase::Working(job) => job.handle_timeout(cx.config, cx.now.mono),
            _ => return,
        };
        self.follow(turn);
    }

    /// Whether [`work`](Self::work) has something to do: a part of what takes long.
    pub fn has_work(&self) -> bool {
        match &self.phase {
            Phase::Chained(chain) => chain.has_work(),
            Phase::Working(job) => job.has_work(),
            _ => false,
        }
    }

    /// Does one part of what takes long, with `buf` to read into.
    pub fn work<S: ReadStore<File = F>>(&mut self, buf: &mut [u8], cx: &mut Context<'_, S>) {
        match &mut self.phase {
            Phase::Chained(chain) => chain.work(buf, cx.store),
            Phase::Working(job) => {
                let turn = job.work(buf, cx.store);
                self.follow(turn);
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
        let result = match &mut self.phase {
            Phase::Streaming(stream) => stream.output(buf, cx.store),
            Phase::Chained(chain) => query_about(chain.index(), self.peer, cx)
                .map_or(Ok(0), |query| chain.output(buf, &query)),
            Phase::Working(job) => Ok(job.output(buf)),
            _ => Ok(0),
        };
        result.unwrap_or_else(|error| {
            self.end(Ending::Unreadable(error));
            0
        })
    }

    /// The socket took the first `len` bytes of the last [`output`](Self::output).
    pub fn consume_output(&mut self, len: usize, now: Mono) {
        match &mut self.phase {
            Phase::Streaming(stream) => stream.consume_output(len, now),
            Phase::Chained(chain) => chain.consume_output(len, now),
            Phase::Working(job) => {
                let turn = job.consume_output(len, now);
                self.follow(turn);
            }
            _ => {}
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called, at the latest.
    pub fn poll_timeout(&self, config: &Config) -> Option<Mono> {
        match &self.phase {
            Phase::Request { deadline, .. } => Some(*deadline),
            Phase::Streaming(stream) => Some(stream.poll_timeout(config)),
            Phase::Chained(chain) => Some(chain.poll_timeout(config)),
            Phase::Working(job) => Some(job.poll_timeout(config)),
            Phase::Ended(_) => None,
        }
    }

    fn follow(&mut self, turn: Turn) {
        if let Turn::Over(ending) = turn {
            self.end(ending);
        }
    }
}

/// Hands a query about the configured log `index` to `act`; the session is over if there is no such log.
fn with_query<S: ReadStore>(
    index: u32,
    peer: IpAddr,
    cx: &mut Context<'_, S>,
    act: impl FnOnce(&mut Context<'_, S>, &Query<'_, S>) -> Turn,
) -> Turn {
    match query_about(index, peer, cx) {
        Some(query) => act(cx, &query),
        None => Turn::Over(Ending::NotServed),
    }
}

/// A query about the configured log `index`.
fn query_about<'a, S>(index: u32, peer: IpAddr, cx: &Context<'a, S>) -> Option<Query<'a, S>> {
    let (store, config) = (cx.store, cx.config);
    Some(Query {
        store,
        entry: config.files.get(index as usize)?,
        index,
        peer,
        quiet_since_ns: quiet_since_ns(cx),
        unread: Unread::default(),
    })
}

/// Answers a complete request line. Who asked for version 2 is told why there is nothing to be had.
fn answer<S: ReadStore>(peer: IpAddr, line: &[u8], cx: &mut Context<'_, S>) -> Phase<S::File> {
    let request = match Request::parse(line) {
        Ok(request) => request,
        Err(bad) if asks_for_v2(line) => {
            let text = bad.to_string();
            return refusal(&text, Ending::BadRequest(bad), cx.now.mono);
        }
        Err(bad) => return Phase::Ended(Ending::BadRequest(bad)),
    };
    find(peer, &request, cx).unwrap_or_else(|ending| {
        if request.v2.is_none() {
            return Phase::Ended(ending);
        }
        let text = reason(peer, &request, &ending);
        refusal(&text, ending, cx.now.mono)
    })
}

/// Tells why nothing is served, and then ends as `ending` says.
fn refusal<F>(text: &str, ending: Ending, now: Mono) -> Phase<F> {
    let job = Job::refuse(code_of(&ending), text, ending, now);
    Phase::Working(Box::new(job))
}

/// Finds what a request asks for.
fn find<S: ReadStore>(
    peer: IpAddr,
    request: &Request<'_>,
    cx: &mut Context<'_, S>,
) -> Result<Phase<S::File>, Ending> {
    let path = Path::new(OsStr::from_bytes(request.path));
    let (store, config, now) = (cx.store, cx.config, cx.now);
    let index = config.index_of(path).ok_or(Ending::NotServed)?;
    let query = query_about(index, peer, cx).ok_or(Ending::NotServed)?;
    let Some(v2) = &request.v2 else {
        let choice = query.choose(request, cx.memory).map_err(Ending::Refused)?;
        return Ok(Phase::Streaming(Stream::new(index, choice, config, now)));
    };
    if v2.op == Op::Stream {
        let choice = query.resume(request, v2).map_err(Ending::Refused)?;
        let chain = Chain::new(index, choice, store, config, now).map_err(Ending::Unreadable)?;
        return Ok(Phase::Chained(Box::new(chain)));
    }
    let (file, stat) = query.held(request, v2).map_err(Ending::Refused)?;
    let job = Job::new(file, stat, request, v2.op, store.boot(), now.mono);
    job.map(|job| Phase::Working(Box::new(job)))
        .ok_or(Ending::BadRequest(BadRequest::Extension))
}

/// The reason for a person, as an ERROR frame carries it.
fn reason(peer: IpAddr, request: &Request<'_>, ending: &Ending) -> String {
    let path = Escaped(request.path);
    match ending {
        Ending::NotServed => format!("{peer} may not read {path}: not in %files"),
        other => format!("{path}: {other}"),
    }
}

fn code_of(ending: &Ending) -> ErrorCode {
    match ending {
        Ending::NotServed => ErrorCode::NotServed,
        Ending::Refused(Refusal::Missing) => ErrorCode::NoSuchFile,
        Ending::Refused(Refusal::Unsettled) => ErrorCode::Busy,
        Ending::Refused(_) | Ending::Unreadable(_) => ErrorCode::NotReadable,
        _ => ErrorCode::BadRequest,
    }
}

/// A rotated file that was last written before this moment is complete.
fn quiet_since_ns<S>(cx: &Context<'_, S>) -> u64 {
    let ms = cx.now.wall.ms().saturating_sub(cx.config.grace_ms);
    ms.saturating_mul(1_000_000)
}

#[cfg(test)]
mod tests;
