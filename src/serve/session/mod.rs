//! One client of the log server, from its connection to its end. Pure; the mio half is
//! [`super::shell`].
//!
//! The caller feeds what happens: [`Session::handle_input`], [`Session::handle_closed`],
//! [`Session::handle_timeout`], and [`Session::handle_hint`] when the files may have changed. After
//! each of them it asks, in this order: [`Session::ending`] (then the connection is closed),
//! [`Session::output`] as long as the socket takes bytes, each time followed by
//! [`Session::consume_output`], and [`Session::poll_timeout`]. While [`Session::has_work`] it calls
//! [`Session::work`] when nothing is more urgent. No call does more than read
//! [`CHUNK_LEN`](crate::limits::CHUNK_LEN) bytes and make some dozen small system calls.

mod request;

use std::io;
use std::net::IpAddr;
use std::ops::ControlFlow::{self, Break, Continue};

use self::request::Searching;
use super::config::Config;
use super::find::crowd::Reached;
use super::find::query::Query;
use super::find::refusal::is_about_the_file;
use super::send::classic::ClassicStream;
use super::send::context::Context;
use super::send::ending::Ending;
use super::send::list::List;
use super::send::op::OpReply;
use super::send::v2::V2Stream;
use crate::ids::Inode;
use crate::limits::{REQUEST_MAX_LEN, REQUEST_TIMEOUT_MS, TURNED_AWAY_TIMEOUT_MS};
use crate::mutation::{self, Mutation};
use crate::store::ReadStore;
use crate::time::Mono;
use crate::wire::line::{LineBuf, Progress};

/// One client's state.
pub struct Session<F> {
    peer: IpAddr,
    /// It takes none of the places for clients.
    is_extra: bool,
    /// The number of the configured log that it asked about, or [`NO_LOG`].
    log: u32,
    phase: Phase<F>,
}

/// No configuration has as many logs.
const NO_LOG: u32 = u32::MAX;

/// Where the session stands. What is large is on the heap, so that each phase takes only its own
/// room.
enum Phase<F> {
    /// The request line is not complete yet.
    Asking(Box<Asking>),
    /// Classic: a file is being sent, or watched for growth.
    Streaming(Box<ClassicStream<F>>),
    /// The request line is complete, and what it asks for is being searched for.
    Searching(Box<Searching>),
    /// Version 2: generation after generation is being sent.
    StreamingV2(Box<V2Stream<F>>),
    /// Version 2: one answer is being computed or sent.
    Answering(Box<OpReply<F>>),
    /// Version 2: the client is told which logs there are.
    Listing(Box<List>),
    /// Over; the connection is to be closed.
    Ended(Ending),
}

/// What a client is about, for who asks.
pub enum Doing {
    /// It is sent a file.
    Sending(Sent),
    /// Something else, as the end of a sentence about it.
    Other(&'static str),
}

/// The file that a client is sent, and how far it is.
pub struct Sent {
    /// The number of the configured log.
    pub index: u32,
    /// The inode of the file.
    pub inode: Inode,
    /// Whether it has the live name.
    pub is_live: bool,
    /// The next byte to be sent.
    pub offset: u64,
    /// Its size, as far as it is known.
    pub size: u64,
}

/// A request that is on its way.
struct Asking {
    line: LineBuf<REQUEST_MAX_LEN>,
    deadline: Mono,
    full: Option<Full>,
}

/// There is no place for the client.
struct Full {
    why: &'static str,
    /// Even so, what it asks about a copy is answered.
    may_question: bool,
}

impl<F> Session<F> {
    /// A client that has just been accepted.
    pub fn new(peer: IpAddr, now: Mono) -> Session<F> {
        Session {
            peer,
            is_extra: false,
            log: NO_LOG,
            phase: Phase::Asking(Box::new(Asking {
                line: LineBuf::new(),
                deadline: now.plus_ms(REQUEST_TIMEOUT_MS),
                full: None,
            })),
        }
    }

    /// A client for which there is no place. Only its request line tells whether it understands
    /// why, and whether it needs one: where it `may_question`, what is asked about a copy is
    /// answered, so that those who are served by all the places can be compared and mended.
    pub fn turned_away(
        peer: IpAddr,
        why: &'static str,
        may_question: bool,
        now: Mono,
    ) -> Session<F> {
        Session {
            peer,
            is_extra: true,
            log: NO_LOG,
            phase: Phase::Asking(Box::new(Asking {
                line: LineBuf::new(),
                deadline: now.plus_ms(TURNED_AWAY_TIMEOUT_MS),
                full: Some(Full { why, may_question }),
            })),
        }
    }

    /// Whether the client takes none of the places: it is told that there is none, or has a
    /// question answered.
    pub fn is_turned_away(&self) -> bool {
        self.is_extra
    }

    /// Whether the client has not asked for anything yet.
    pub fn is_silent(&self) -> bool {
        matches!(self.phase, Phase::Asking(_))
    }

    /// The client's address.
    pub fn peer(&self) -> IpAddr {
        self.peer
    }

    /// The number of the configured log being served, once that is known.
    pub fn file(&self) -> Option<u32> {
        match &self.phase {
            Phase::Streaming(stream) => Some(stream.index()),
            Phase::StreamingV2(stream) => Some(stream.index()),
            _ => None,
        }
    }

    /// The number of the configured log that the client asked about, as far as that is known: for a
    /// message about its end, too.
    pub fn log(&self) -> Option<u32> {
        Some(self.log).filter(|log| *log != NO_LOG)
    }

    /// What the client is about.
    pub fn doing(&self) -> Doing {
        let (index, follow) = match &self.phase {
            Phase::Streaming(stream) => (stream.index(), stream.follow()),
            Phase::StreamingV2(stream) => (stream.index(), stream.follow()),
            Phase::Asking(_) => return Doing::Other("has not asked for anything yet"),
            Phase::Searching(_) => return Doing::Other("waits for its log to be found"),
            Phase::Answering(_) => return Doing::Other("is answered about a copy"),
            Phase::Listing(_) => return Doing::Other("is told which logs there are"),
            Phase::Ended(_) => return Doing::Other("leaves"),
        };
        Doing::Sending(Sent {
            index,
            inode: follow.inode(),
            is_live: follow.is_live(),
            offset: follow.offset(),
            size: follow.offset().saturating_add(follow.ahead()),
        })
    }

    /// From now on [`handle_hint`](Self::handle_hint) will be called whenever the file or its name
    /// changes, or will not: where it will, looks at the file are only a safety net and come with
    /// the keep-alives.
    pub fn set_watched(&mut self, is_watched: bool) {
        match &mut self.phase {
            Phase::Streaming(stream) => stream.set_watched(is_watched),
            Phase::StreamingV2(stream) => stream.set_watched(is_watched),
            _ => {}
        }
    }

    /// Why the session is over, if it is.
    pub fn ending(&self) -> Option<&Ending> {
        match &self.phase {
            Phase::Ended(ending) => Some(ending),
            _ => None,
        }
    }

    /// What is wrong with the log that is being sent, once each time that it changes: for the
    /// server's own log.
    pub fn take_notice(&mut self, config: &Config) -> Option<String> {
        match &mut self.phase {
            Phase::StreamingV2(stream) => stream.take_notice(config),
            _ => None,
        }
    }

    /// Ends the session from outside.
    pub fn end(&mut self, ending: Ending) {
        self.phase = Phase::Ended(ending);
        self.check_invariants();
    }

    /// The configuration was replaced: its [`log`](Self::log) has this number there, if any.
    pub fn renumber_log(&mut self, log: Option<u32>) {
        self.log = log.unwrap_or(NO_LOG);
    }

    /// The configuration was replaced: its [`file`](Self::file), if it has one, has another number
    /// there, or is no longer served.
    pub fn renumber(&mut self, file: Option<u32>) {
        match (&mut self.phase, file) {
            (Phase::Streaming(stream), Some(file)) => stream.renumber(file),
            (Phase::StreamingV2(stream), Some(file)) => stream.renumber(file),
            (Phase::Streaming(_) | Phase::StreamingV2(_), None) => self.end(Ending::Withdrawn),
            (Phase::Searching(searching), _) => searching.restart(),
            (Phase::Listing(list), _) => list.restart(),
            _ => {}
        }
        self.check_invariants();
    }

    /// The connection broke.
    pub fn handle_closed(&mut self) {
        if self.ending().is_none() {
            self.end(Ending::Left);
        }
    }

    /// The client closed its sending side. One of version 2 has left; another may be a person's
    /// `printf | nc`, which waits for what there is. Only sending tells whether it does.
    pub fn handle_half_closed(&mut self) {
        match &mut self.phase {
            Phase::Streaming(stream) => {
                let flow = stream.finish();
                self.settle(flow);
            }
            Phase::Searching(searching) if searching.is_classic() => searching.is_last = true,
            _ => self.handle_closed(),
        }
    }

    /// Bytes came from the client. All of them are consumed: there is one line to be had and
    /// anything behind it ends the session.
    pub fn handle_input<S: ReadStore<File = F>>(&mut self, input: &[u8], cx: &mut Context<'_, S>) {
        let Phase::Asking(asking) = &mut self.phase else {
            if !input.is_empty() && self.ending().is_none() {
                self.end(Ending::Chatter);
            }
            return;
        };
        match asking.line.push(input) {
            (_, Progress::Partial) => {}
            (_, Progress::TooLong) => self.end(Ending::TooLong),
            // A request is one line; who sends more speaks another protocol.
            (used, Progress::Complete) if used < input.len() => self.end(Ending::Chatter),
            (_, Progress::Complete) => {
                let line = std::mem::take(&mut asking.line);
                // Nothing is looked up for a client that is turned away.
                self.phase = match &asking.full {
                    Some(full) if !(full.may_question && request::is_question(line.line())) => {
                        request::turn_away(full.why, line.line(), cx.now.mono)
                    }
                    _ => {
                        let log = request::log_of(line.line(), cx.config);
                        self.log = log.unwrap_or(NO_LOG);
                        request::answer(self.peer, line, cx)
                    }
                };
            }
        }
        self.check_invariants();
    }

    /// Whether the client is told which logs there are.
    pub fn is_listing(&self) -> bool {
        matches!(self.phase, Phase::Listing(_))
    }

    /// Something may have happened to the file or its directory: look at once.
    pub fn handle_hint<S: ReadStore<File = F>>(&mut self, cx: &mut Context<'_, S>) {
        let flow = match &mut self.phase {
            Phase::Listing(list) => return list.note_change(),
            Phase::Streaming(stream) => stream.look(self.peer, cx),
            Phase::StreamingV2(stream) => with_query(stream.index(), self.peer, cx, |cx, query| {
                stream.look(cx, query)
            }),
            _ => return,
        };
        self.settle(flow);
    }

    /// The deadline given by [`poll_timeout`](Self::poll_timeout) has come; harmless before.
    pub fn handle_timeout<S: ReadStore<File = F>>(&mut self, cx: &mut Context<'_, S>) {
        let flow = match &mut self.phase {
            Phase::Asking(asking) if asking.deadline <= cx.now.mono => {
                // For one that was turned away the lack of a place is the reason, and not that it
                // is late.
                let full = asking.full.as_ref();
                Break(full.map_or(Ending::Late, |full| Ending::Full(full.why)))
            }
            Phase::Streaming(stream) => stream.handle_timeout(self.peer, cx),
            Phase::StreamingV2(stream) => with_query(stream.index(), self.peer, cx, |cx, query| {
                stream.handle_timeout(cx, query)
            }),
            Phase::Answering(reply) => reply.handle_timeout(cx.config, cx.now.mono),
            Phase::Listing(list) => list.handle_timeout(cx.config, cx.now.mono),
            _ => return,
        };
        self.settle(flow);
        // With a deadline that stays in the past, the daemon would do nothing but come back here.
        let next = self.poll_timeout(cx.config);
        debug_assert!(next.is_none_or(|at| at > cx.now.mono), "a busy loop");
    }

    /// Whether what there is to do for [`work`](Self::work) is to search, so that something can be
    /// sent at all.
    pub fn is_searching(&self) -> bool {
        match &self.phase {
            Phase::Searching(_) => true,
            Phase::StreamingV2(stream) => stream.is_searching(),
            _ => false,
        }
    }

    /// What is kept of a search for generations to come: how many files it has, and when it served
    /// last.
    pub fn plan(&self) -> Option<(usize, Mono)> {
        match &self.phase {
            Phase::StreamingV2(stream) => stream.plan(),
            _ => None,
        }
    }

    /// Frees that. It is found again when it is needed.
    pub fn free_plan(&mut self) {
        if let Phase::StreamingV2(stream) = &mut self.phase {
            stream.free_plan();
        }
    }

    /// Whether [`work`](Self::work) has something to do: a part of what takes long.
    pub fn has_work(&self) -> bool {
        match &self.phase {
            Phase::Searching(_) => true,
            Phase::StreamingV2(stream) => stream.has_work(),
            Phase::Answering(reply) => reply.has_work(),
            Phase::Listing(list) => list.has_work(),
            _ => false,
        }
    }

    /// Does one part of what takes long, with `buf` to read into.
    pub fn work<S: ReadStore<File = F>>(&mut self, buf: &mut [u8], cx: &mut Context<'_, S>) {
        self.do_part(buf, cx);
        while mutation::is_on(Mutation::PartsIgnored) && self.has_work() {
            self.do_part(buf, cx);
        }
    }

    fn do_part<S: ReadStore<File = F>>(&mut self, buf: &mut [u8], cx: &mut Context<'_, S>) {
        let flow = match &mut self.phase {
            Phase::Searching(searching) => {
                let is_last = searching.is_last;
                if let Some(phase) = searching.work(self.peer, cx) {
                    self.phase = phase;
                }
                match &mut self.phase {
                    Phase::Streaming(stream) if is_last => stream.finish(),
                    _ => Continue(()),
                }
            }
            Phase::StreamingV2(stream) => with_query(stream.index(), self.peer, cx, |cx, query| {
                stream.work(buf, cx, query)
            }),
            Phase::Answering(reply) => reply.work(buf, cx.store),
            Phase::Listing(list) => return list.work(cx.config),
            _ => return,
        };
        self.settle(flow);
    }

    /// Fills `buf` with what is to be sent next and tells how much that is; 0 if there is nothing
    /// now. What the socket took is told by [`consume_output`](Self::consume_output); the rest
    /// comes again.
    pub fn output<S: ReadStore<File = F>>(
        &mut self,
        buf: &mut [u8],
        cx: &mut Context<'_, S>,
    ) -> usize {
        let result = match &mut self.phase {
            Phase::Streaming(stream) => stream.output(buf, cx.store),
            Phase::StreamingV2(stream) => query_about(stream.index(), self.peer, cx)
                .map_or(Ok(0), |query| stream.output(buf, &query)),
            Phase::Answering(reply) => Ok(reply.output(buf)),
            Phase::Listing(list) => Ok(list.output(buf)),
            _ => Ok(0),
        };
        let len = result.unwrap_or_else(|error| {
            self.note_unreadable(&error, cx);
            self.end(Ending::unreadable(error));
            0
        });
        self.check_invariants();
        len
    }

    /// The socket took the first `len` bytes of the last [`output`](Self::output), which still
    /// stands in `output`.
    pub fn consume_output(&mut self, output: &[u8], len: usize, now: Mono) {
        match &mut self.phase {
            Phase::Streaming(stream) => {
                let flow = stream.consume_output(len, now);
                self.settle(flow);
            }
            Phase::StreamingV2(stream) => stream.consume_output(output, len, now),
            Phase::Answering(reply) => {
                let flow = reply.consume_output(len, now);
                self.settle(flow);
            }
            Phase::Listing(list) => list.consume_output(len, now),
            _ => {}
        }
        self.check_invariants();
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called, at the latest.
    pub fn poll_timeout(&self, config: &Config) -> Option<Mono> {
        match &self.phase {
            Phase::Asking(asking) => Some(asking.deadline),
            Phase::Streaming(stream) => Some(stream.poll_timeout(config)),
            Phase::StreamingV2(stream) => Some(stream.poll_timeout(config)),
            Phase::Answering(reply) => Some(reply.poll_timeout(config)),
            Phase::Listing(list) => Some(list.poll_timeout(config)),
            // There is always something to do until that is over.
            Phase::Searching(_) | Phase::Ended(_) => None,
        }
    }

    /// A rotated file that cannot be read must not keep those after it away for ever.
    fn note_unreadable<S: ReadStore<File = F>>(&self, error: &io::Error, cx: &mut Context<'_, S>) {
        let rotated = match &self.phase {
            Phase::Streaming(stream) => stream.rotated(),
            Phase::StreamingV2(stream) => stream.rotated(),
            _ => None,
        };
        if let (Some(id), Some(file)) = (rotated, self.file())
            && is_about_the_file(error)
        {
            let troubles = &mut cx.sightings.troubles;
            troubles.could_not_read(file, id, cx.now.mono);
        }
    }

    fn settle(&mut self, flow: ControlFlow<Ending>) {
        if let Break(ending) = flow {
            self.end(ending);
        }
        self.check_invariants();
    }

    /// Checks that the parts agree with each other; in release builds it does nothing.
    fn check_invariants(&self) {
        match &self.phase {
            // Only a request line tells whether the client understands why there is no place.
            Phase::Asking(asking) => debug_assert!(asking.full.is_some() == self.is_extra),
            Phase::Searching(_) => {}
            Phase::Streaming(stream) => {
                debug_assert!(!self.is_extra);
                stream.check_invariants();
            }
            Phase::StreamingV2(stream) => {
                debug_assert!(!self.is_extra);
                stream.check_invariants();
            }
            Phase::Answering(reply) => reply.check_invariants(),
            Phase::Listing(_) => debug_assert!(!self.is_extra),
            Phase::Ended(_) => {}
        }
        // The caller drops who is over, so there must be nothing left to come back for.
        debug_assert!(self.ending().is_none() || !self.has_work());
        debug_assert!(self.has_work() || !self.is_searching());
    }
}

/// Hands a query about the configured log `index` to `act`; the session is over if there is no such
/// log.
fn with_query<S: ReadStore>(
    index: u32,
    peer: IpAddr,
    cx: &mut Context<'_, S>,
    act: impl FnOnce(&mut Context<'_, S>, &Query<'_, S>) -> ControlFlow<Ending>,
) -> ControlFlow<Ending> {
    match query_about(index, peer, cx) {
        Some(query) => act(cx, &query),
        None => Break(Ending::Withdrawn),
    }
}

/// A query about the configured log `index`.
fn query_about<'a, S>(index: u32, peer: IpAddr, cx: &Context<'a, S>) -> Option<Query<'a, S>> {
    let (store, config) = (cx.store, cx.config);
    Some(Query {
        store,
        entry: config.files.get(index as usize)?,
        files: &config.files,
        index,
        journal: cx.journal,
        given: &[],
        peer,
        quiet_since_ns: quiet_since_ns(cx),
        reached: Reached::default(),
        findings: None,
    })
}

/// A rotated file that was last written before this moment is complete.
fn quiet_since_ns<S>(cx: &Context<'_, S>) -> u64 {
    // By the wall clock, because files know no other.
    let ms = cx.now.wall.ms().saturating_sub(cx.config.grace_ms);
    ms.saturating_mul(1_000_000)
}

#[cfg(test)]
mod tests;
