//! One source of the collector, from waiting to streaming and back, for ever. Pure; the mio half is [`super::shell`].
//!
//! The caller feeds what happens: [`Source::handle_connected`], [`Source::handle_input`], [`Source::handle_closed`],
//! [`Source::handle_timeout`]. After each of them it asks, in this order: [`Source::wants_connection`] (and opens or
//! closes the socket accordingly), [`Source::output`] with [`Source::consume_output`], [`Source::in_error`] for the
//! status, and [`Source::poll_timeout`].

use super::backoff::{Backoff, Random};
use super::config::SourceConfig;
use super::copy::{Fault, Found, LocalCopy, Means, Paths};
use super::event::{Event, State};
use super::pointer::BootId;
use super::trouble::Trouble;
use crate::ids::Inode;
use crate::limits::{REPLY_MAX_LEN, REQUEST_MAX_LEN, SILENT_CLOSES_MAX};
use crate::store::WriteStore;
use crate::time::{Mono, Now};
use crate::wire::classic;
use crate::wire::line::{LineBuf, Progress};
use crate::wire::number::InodeWord;
use crate::wire::reply::{Mark, Reply};
use crate::wire::request::Request;

/// One source's state.
pub struct Source<F> {
    config: SourceConfig,
    paths: Paths,
    /// The local files; closed while something is wrong with them.
    copy: Option<LocalCopy<F>>,
    phase: Phase,
    doubt: Doubt,
    backoff: Backoff,
    /// What is wrong now, as it was reported; `None` while all is well.
    trouble: Option<Trouble>,
    /// Whether the status of the server has to say `ERR` because of this source.
    in_error: bool,
}

/// Where the source stands.
enum Phase {
    /// No connection until the moment comes.
    Waiting { until: Mono },
    /// The connection is being made.
    Connecting { deadline: Mono },
    /// The request line is being written.
    Asking {
        asked: Asked,
        sent: usize,
        deadline: Mono,
    },
    /// The answer line is not complete yet. It is kept on the heap, so that a streaming source stays small.
    Answering {
        asked: Asked,
        line: Box<LineBuf<REPLY_MAX_LEN>>,
        deadline: Mono,
    },
    /// Bytes of the log go into the local copy.
    Streaming {
        since: Mono,
        heard_at: Mono,
        brought_something: bool,
    },
}

/// What was asked for.
#[derive(Clone, Copy)]
struct Asked {
    inode: Inode,
    offset: u64,
    /// The question with inode 0 that shows why a server does not answer.
    probe: bool,
}

/// What to think of a server that closes without a word.
///
/// A fetchlogs 1.1 server does so for ever when the offset lies behind the end of the file. Asking with inode 0 tells
/// whether the inode is still the same: then the file was truncated.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Doubt {
    /// So many silent closes in a row.
    Silent(u8),
    /// A probe has shown that this other generation is live now; it counts only if ours is refused once more.
    Other { live: Inode, silent: u8 },
}

/// How a connection ended, or failed to begin.
#[derive(Debug)]
pub enum Closed {
    /// The server closed it in good order.
    ByServer,
    /// There is no address to connect to.
    NoAddress,
    /// It could not be made.
    NotMade(std::io::Error),
    /// It broke.
    Broken(std::io::Error),
}

/// The periods of the command line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Periods {
    /// The wait after a first failure, in milliseconds.
    pub retry_ms: u64,
    /// The time for each of connecting, sending the request and receiving the answer.
    pub wait_ms: u64,
    /// Without a byte for so long, keep-alives included, the connection is dead.
    pub idle_ms: u64,
}

/// What a source is handed with every call.
pub struct Context<'a, S> {
    /// The files.
    pub store: &'a mut S,
    /// This turn's time.
    pub now: Now,
    /// Tells the local time as `YYYYmmddHHMMSS`.
    pub stamp: &'a dyn Fn() -> heapless::String<14>,
    /// This machine's boot.
    pub boot: Option<&'a BootId>,
    /// The periods.
    pub periods: &'a Periods,
    /// For the jitter.
    pub random: &'a mut Random,
    /// Where events go.
    pub events: &'a mut dyn FnMut(&SourceConfig, Event<'_>),
}

impl<F> Source<F> {
    /// A source that makes its first try at once.
    pub fn new(config: SourceConfig, now: Mono) -> Source<F> {
        Source {
            paths: Paths::of(&config),
            config,
            copy: None,
            phase: Phase::Waiting { until: now },
            doubt: Doubt::Silent(0),
            backoff: Backoff::default(),
            trouble: None,
            in_error: true,
        }
    }

    /// Its line of the configuration.
    pub fn config(&self) -> &SourceConfig {
        &self.config
    }

    /// Whether a socket has to be open now. From `false` to `true` a new one is to be made.
    pub fn wants_connection(&self) -> bool {
        !matches!(self.phase, Phase::Waiting { .. })
    }

    /// Whether the source is in error, as its server's status has to say.
    pub fn in_error(&self) -> bool {
        self.in_error
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called, at the latest.
    pub fn poll_timeout(&self, periods: &Periods) -> Mono {
        match &self.phase {
            Phase::Waiting { until } => *until,
            Phase::Connecting { deadline }
            | Phase::Asking { deadline, .. }
            | Phase::Answering { deadline, .. } => *deadline,
            Phase::Streaming { heard_at, .. } => heard_at.plus_ms(periods.idle_ms),
        }
    }

    /// What it is doing, for a person.
    pub fn state(&self) -> State<'_> {
        let inode = self.copy.as_ref().and_then(LocalCopy::inode);
        let size = self.copy.as_ref().map_or(0, LocalCopy::size);
        match (&self.phase, &self.trouble) {
            (Phase::Streaming { .. }, _) => State::Following { inode, size },
            (_, Some(trouble)) => State::Trouble(trouble),
            (_, None) => State::Connecting,
        }
    }

    /// The moment of [`poll_timeout`](Self::poll_timeout) has come; harmless before.
    pub fn handle_timeout<S: WriteStore<File = F>>(&mut self, cx: &mut Context<'_, S>) {
        if self.poll_timeout(cx.periods) > cx.now.mono {
            return;
        }
        match &self.phase {
            Phase::Waiting { .. } => self.start(cx),
            Phase::Connecting { .. } => self.fail(Trouble::ConnectTimeout, cx),
            Phase::Asking { .. } => self.fail(Trouble::SendTimeout, cx),
            Phase::Answering { .. } => self.fail(Trouble::AnswerTimeout, cx),
            Phase::Streaming { .. } => self.fail(Trouble::Silence, cx),
        }
    }

    /// The connection stands: the request is ready in [`output`](Self::output).
    pub fn handle_connected<S>(&mut self, cx: &mut Context<'_, S>) {
        if let Phase::Connecting { .. } = self.phase {
            self.phase = Phase::Asking {
                asked: self.question(),
                sent: 0,
                deadline: cx.now.mono.plus_ms(cx.periods.wait_ms),
            };
        }
    }

    /// Copies what is still to be sent into `buf` and tells how much that is.
    pub fn output(&self, buf: &mut [u8; REQUEST_MAX_LEN]) -> usize {
        let Phase::Asking { asked, sent, .. } = &self.phase else {
            return 0;
        };
        let request = Request {
            path: &self.config.remote,
            inode: InodeWord::plain(asked.inode),
            offset: asked.offset,
        };
        let Some(line) = request.to_line() else {
            return 0;
        };
        let rest = line.get(*sent..).unwrap_or_default();
        buf[..rest.len()].copy_from_slice(rest);
        rest.len()
    }

    /// The socket took the first `len` bytes of the last output, which had `of` bytes.
    pub fn consume_output<S>(&mut self, len: usize, of: usize, cx: &mut Context<'_, S>) {
        let Phase::Asking { asked, sent, .. } = &mut self.phase else {
            return;
        };
        *sent += len;
        if len >= of {
            self.phase = Phase::Answering {
                asked: *asked,
                line: Box::default(),
                deadline: cx.now.mono.plus_ms(cx.periods.wait_ms),
            };
        }
    }

    /// Bytes came from the server; all of them are consumed, and changed on the way.
    pub fn handle_input<S: WriteStore<File = F>>(
        &mut self,
        input: &mut [u8],
        cx: &mut Context<'_, S>,
    ) {
        let data = match &mut self.phase {
            Phase::Waiting { .. } | Phase::Connecting { .. } => return,
            Phase::Asking { .. } => return self.fail(Trouble::NotALogServer, cx),
            Phase::Streaming { .. } => input,
            Phase::Answering { asked, line, .. } => match line.push(input) {
                (_, Progress::Partial) => return,
                (_, Progress::TooLong) => return self.fail(Trouble::NotALogServer, cx),
                (used, Progress::Complete) => {
                    let (asked, reply) = (*asked, Reply::parse(line.line()));
                    let Ok(reply) = reply else {
                        return self.fail(Trouble::NotALogServer, cx);
                    };
                    if let Err(trouble) = self.handle_reply(asked, reply, cx) {
                        return self.fail(trouble, cx);
                    }
                    &mut input[used..]
                }
            },
        };
        self.handle_data(data, cx);
    }

    /// The connection is gone, or could not be made.
    pub fn handle_closed<S: WriteStore<File = F>>(
        &mut self,
        closed: Closed,
        cx: &mut Context<'_, S>,
    ) {
        let trouble = match (&self.phase, closed) {
            (Phase::Waiting { .. }, _) => return,
            (
                Phase::Answering { asked, line, .. },
                closed @ (Closed::ByServer | Closed::Broken(_)),
            ) if line.line().is_empty() => {
                // A reset is the network's doing or that of a server that did not even read the question.
                if let Closed::ByServer = closed {
                    self.note_silent_close(*asked);
                }
                Trouble::ClosedSilently
            }
            (_, Closed::NoAddress) => Trouble::NoAddress,
            (_, Closed::ByServer) => Trouble::ClosedByServer,
            (_, Closed::NotMade(error)) => Trouble::NotConnected(error),
            (_, Closed::Broken(error)) => Trouble::ConnectionLost(error),
        };
        self.fail(trouble, cx);
    }

    /// Closes the local files and opens them again. Where they are not what they were, the connection starts anew.
    pub fn reopen<S: WriteStore<File = F>>(&mut self, cx: &mut Context<'_, S>) {
        let Some(old) = self.copy.take() else {
            // In trouble with the files: try again now rather than later.
            self.retry_now(cx.now.mono);
            return;
        };
        let before = (old.inode(), old.size());
        // Closed first: a process that opens a file it holds a lock on loses that lock with either descriptor.
        drop(old);
        match self.open_copy(cx) {
            Ok(copy) => {
                let same = (copy.inode(), copy.size()) == before;
                self.copy = Some(copy);
                if !same && self.wants_connection() {
                    self.phase = Phase::Waiting { until: cx.now.mono };
                }
            }
            Err(fault) => self.fail(Trouble::Files(fault), cx),
        }
    }

    /// Tells as an event what the source is doing.
    pub fn tell_state<S>(&self, cx: &mut Context<'_, S>) {
        (cx.events)(&self.config, Event::State(self.state()));
    }

    /// Makes a waiting source try at once.
    pub fn retry_now(&mut self, now: Mono) {
        if let Phase::Waiting { until } = &mut self.phase {
            *until = now;
        }
    }

    /// Opens the local files if need be and asks for a connection.
    fn start<S: WriteStore<File = F>>(&mut self, cx: &mut Context<'_, S>) {
        if self.copy.is_none() {
            match self.open_copy(cx) {
                Ok(copy) => self.copy = Some(copy),
                Err(fault) => return self.fail(Trouble::Files(fault), cx),
            }
        }
        self.phase = Phase::Connecting {
            deadline: cx.now.mono.plus_ms(cx.periods.wait_ms),
        };
    }

    fn open_copy<S: WriteStore<File = F>>(
        &mut self,
        cx: &mut Context<'_, S>,
    ) -> Result<LocalCopy<F>, Fault> {
        let (events, config) = (&mut cx.events, &self.config);
        let stamp = (cx.stamp)();
        let mut means = Means {
            store: &mut *cx.store,
            paths: &self.paths,
            boot: cx.boot,
            stamp: &stamp,
        };
        LocalCopy::open(&mut means, &mut |found: Found| {
            events(config, Event::Found(&found));
        })
    }

    /// What to ask for next.
    fn question(&self) -> Asked {
        let probe = Asked {
            inode: Inode::NONE,
            offset: 0,
            probe: true,
        };
        let Some(copy) = &self.copy else {
            return probe;
        };
        match (copy.inode(), self.doubt) {
            (Some(_), Doubt::Silent(n)) if n >= SILENT_CLOSES_MAX => probe,
            (Some(_), Doubt::Other { silent, .. }) if silent > 0 => probe,
            (inode, _) => Asked {
                inode: inode.unwrap_or(Inode::NONE),
                offset: copy.size(),
                probe: false,
            },
        }
    }

    /// The server closed without a word. Only a question that named a place in a generation can be wrong about it.
    fn note_silent_close(&mut self, asked: Asked) {
        if asked.probe || asked.offset == 0 {
            self.doubt = Doubt::Silent(0);
            return;
        }
        match &mut self.doubt {
            Doubt::Silent(n) | Doubt::Other { silent: n, .. } => *n = n.saturating_add(1),
        }
    }

    /// Does what the answer line says. Afterwards the data that follow belong at the end of the local copy.
    fn handle_reply<S: WriteStore<File = F>>(
        &mut self,
        asked: Asked,
        reply: Reply,
        cx: &mut Context<'_, S>,
    ) -> Result<(), Trouble> {
        let next = reply.inode.inode();
        let Some(copy) = &mut self.copy else {
            return Err(Trouble::ClosedByServer);
        };
        let stamp = (cx.stamp)();
        let mut means = Means {
            store: &mut *cx.store,
            paths: &self.paths,
            boot: cx.boot,
            stamp: &stamp,
        };
        let size = copy.size();
        let Some(held) = copy.inode() else {
            copy.begin(next, &mut means).map_err(Trouble::Files)?;
            self.follow(false, cx);
            return Ok(());
        };
        let found = reply.mark == Mark::Found;
        if next == held && found && !asked.probe {
            self.follow(false, cx);
            return Ok(());
        }
        if next != held && asked.probe && !self.doubt.confirms(next) {
            self.doubt = Doubt::Other {
                live: next,
                silent: 0,
            };
            return Err(Trouble::ClosedSilently);
        }
        let kept = copy.rotate(next, &mut means).map_err(Trouble::Files)?;
        let event = if next == held {
            Event::Truncated { size, kept: &kept }
        } else {
            if !found || asked.probe {
                (cx.events)(
                    &self.config,
                    Event::Lost {
                        inode: held,
                        offset: size,
                    },
                );
            }
            Event::Rotated {
                next,
                size,
                kept: &kept,
            }
        };
        (cx.events)(&self.config, event);
        self.follow(true, cx);
        Ok(())
    }

    /// The server answered and its data belong at the end of the local copy.
    fn follow<S>(&mut self, brought_something: bool, cx: &mut Context<'_, S>) {
        self.doubt = Doubt::Silent(0);
        self.phase = Phase::Streaming {
            since: cx.now.mono,
            heard_at: cx.now.mono,
            brought_something,
        };
        // Whether a full disk has room again shows only in writing what comes next.
        if !matches!(self.trouble, Some(Trouble::Files(_))) {
            self.recover(cx);
        }
    }

    /// All is well, which is told if it was not so before.
    fn recover<S>(&mut self, cx: &mut Context<'_, S>) {
        if self.in_error {
            self.tell_state(cx);
        }
        self.trouble = None;
        self.in_error = false;
    }

    /// Appends what the server sent, keep-alives left out.
    fn handle_data<S: WriteStore<File = F>>(&mut self, data: &mut [u8], cx: &mut Context<'_, S>) {
        let Phase::Streaming {
            heard_at,
            brought_something,
            ..
        } = &mut self.phase
        else {
            return;
        };
        if data.is_empty() {
            return;
        }
        *heard_at = cx.now.mono;
        let len = classic::strip(data);
        *brought_something |= len > 0;
        if let Some(copy) = &mut self.copy {
            let mut means = Means {
                store: &mut *cx.store,
                paths: &self.paths,
                boot: cx.boot,
                stamp: "",
            };
            if let Err(fault) = copy.append(&data[..len], &mut means) {
                return self.fail(Trouble::Files(fault), cx);
            }
        }
        if self.in_error {
            self.recover(cx);
        }
    }

    /// Ends the connection, reports why unless that is known already, and decides when to try again.
    ///
    /// A server that closes after it brought something has most likely rotated: that is no error until the next try
    /// fails.
    fn fail<S>(&mut self, trouble: Trouble, cx: &mut Context<'_, S>) {
        let good = match self.phase {
            Phase::Streaming {
                since,
                brought_something,
                ..
            } => {
                trouble.is_ordinary()
                    && (brought_something || cx.now.mono.since_ms(since) >= cx.periods.retry_ms)
            }
            _ => false,
        };
        let wait_ms = if good {
            self.backoff.after_success_ms(cx.random)
        } else {
            self.backoff
                .after_failure_ms(cx.periods.retry_ms, cx.random)
        };
        self.phase = Phase::Waiting {
            until: cx.now.mono.plus_ms(wait_ms),
        };
        if good {
            return;
        }
        if let Trouble::Files(_) = trouble {
            // What the files hold now is found out anew.
            self.copy = None;
        }
        self.in_error = true;
        let known = self
            .trouble
            .as_ref()
            .is_some_and(|old| old.is_like(&trouble));
        if !known {
            (cx.events)(&self.config, Event::Trouble(&trouble));
        }
        self.trouble = Some(trouble);
    }
}

impl Doubt {
    /// Whether an earlier probe showed the same live generation.
    fn confirms(self, live: Inode) -> bool {
        matches!(self, Doubt::Other { live: seen, .. } if seen == live)
    }
}

#[cfg(test)]
mod tests;
