//! One source of the collector, from waiting to streaming and back, for ever. Pure; the mio half is [`super::shell`].
//!
//! The caller feeds what happens: [`Source::handle_connected`], [`Source::handle_input`], [`Source::handle_closed`],
//! [`Source::handle_timeout`]. After each of them it asks, in this order: [`Source::wants_connection`] (and opens or
//! closes the socket accordingly), [`Source::output`] with [`Source::consume_output`], [`Source::in_error`] for the
//! status, and [`Source::poll_timeout`].

mod answer;
mod ask;
mod change;
mod checkpoint;
mod data;
mod disk;
mod end;
pub mod end_check;
mod question;
pub mod v2;

use self::change::Afterwards;
use self::end::DoubtfulEnd;
use self::v2::Frames;
use super::config::SourceConfig;
use super::copy::loss::Loss;
use super::copy::pointer::BootId;
use super::copy::{FileError, Found, LocalCopy, LocalFiles, Paths};
use super::error::SourceError;
use super::event::{Event, State};
use super::finished::heal::{Heal, clear_away};
use super::finished::queue::Queue;
use crate::backoff::Backoff;
use crate::ids::Inode;
use crate::limits::{ANSWER_MAX_MS, REPLY_MAX_LEN, REQUEST_MAX_LEN};
use crate::mutation::{self, Mutation};
use crate::random::Random;
use crate::store::WriteStore;
use crate::time::{Mono, Now};
use crate::wire::line::{LineBuf, Progress};
use crate::wire::receiver::Receiver;
use crate::wire::reply::Reply;

/// One source's state.
pub struct Source<F> {
    config: SourceConfig,
    /// The local files; closed while something is wrong with them.
    copy: Option<LocalCopy<F>>,
    phase: Phase,
    doubt: Doubt,
    backoff: Backoff,
    /// Finished copies that are to be compared with the server's digest.
    queue: Queue<F>,
    /// A finished copy that turned out to differ.
    heal: Option<Box<Heal<F>>>,
    /// The server offered a file that is not the start of our copy: it is not to do that again.
    no_prefix: bool,
    /// The copy was received sound up to here; what follows came in a frame without an end and is still to be proved.
    unproved_from: Option<u64>,
    /// Changes of the local files wait for the caller.
    shares_barriers: bool,
    /// What follows the change that is under way.
    afterwards: Option<Box<Afterwards>>,
    /// When what came by classic is to be made durable.
    checkpoint_at: Option<Mono>,
    /// A write failed: what the copy seems to hold may not be on the disk.
    is_suspect: bool,
    /// The failed syncs of its file systems that it knows of.
    failed_syncs: u32,
    /// What is known of the copy's end, if it cannot be believed.
    end: DoubtfulEnd,
    /// The size of our generation that the server told last; 0 if it told none.
    server_size: u64,
    /// The loss that was put on record last.
    noted: Option<Box<Loss>>,
    /// Something was lost, or differs and cannot be healed. An operator has to take note.
    flawed: bool,
    /// A difference could not be put on record. So that it is not forgotten, the list of copies to be compared keeps all
    /// it has until it is read again.
    unrecorded: bool,
    /// What is wrong now, as it was reported; `None` while all is well.
    error: Option<Box<SourceError>>,
    /// Whether the status of the server has to say `ERR` because of this source.
    in_error: bool,
}

/// Where the source stands.
enum Phase {
    /// No connection until the moment comes.
    Waiting { until: Mono },
    /// The connection is being made.
    Connecting { deadline: Mono },
    /// The request line is being written. It is kept on the heap, so that a streaming source stays small.
    Asking {
        asked: Asked,
        line: Box<heapless::Vec<u8, REQUEST_MAX_LEN>>,
        sent: usize,
        deadline: Mono,
    },
    /// The answer line is not complete yet.
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
        /// The frames of version 2; `None` where the bytes come as they are.
        frames: Option<Box<Frames>>,
    },
    /// Something about a copy was asked, and the answer line has come.
    Inquiring {
        purpose: Purpose,
        heard_at: Mono,
        /// When something came last that was more than a keep-alive.
        moved_at: Mono,
        receiver: Box<Receiver>,
    },
}

/// What was asked for.
#[derive(Clone, Copy)]
struct Asked {
    inode: Inode,
    offset: u64,
    purpose: Purpose,
}

/// Why it was asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// To go on where the copy ends.
    Follow,
    /// To see, with inode 0, why a server does not answer.
    Probe,
    /// To learn the digest of a finished copy.
    Digest,
    /// To heal a finished copy.
    Heal,
    /// To compare the end of our copy.
    Check,
}

/// What to think of a server that closes without a word.
///
/// A fetchlogs 1.1 server does so for ever when the offset lies behind the end of the file. Asking with inode 0 tells
/// which generation is live: where ours is refused again after that, it was truncated if the inode is the same, and is
/// lost if it is another.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Doubt {
    /// So many silent closes in a row.
    Silent(u8),
    /// A probe has shown that this generation is live now; it counts only if ours is refused once more.
    Probed { live: Inode, silent: u8 },
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

/// Where events of a source go.
type EventSink<'a> = &'a mut dyn FnMut(&SourceConfig, Event<'_>);

impl<S> Context<'_, S> {
    /// What the steps on the files of a source need. The stamp may be empty where nothing gets a new name.
    fn files<'b>(&'b mut self, config: &'b SourceConfig, stamp: &'b str) -> LocalFiles<'b, S> {
        self.files_and_events(config, stamp).0
    }

    /// The same for steps of which events are told meanwhile.
    fn files_and_events<'b>(
        &'b mut self,
        config: &'b SourceConfig,
        stamp: &'b str,
    ) -> (LocalFiles<'b, S>, EventSink<'b>) {
        let files = LocalFiles {
            store: &mut *self.store,
            paths: Paths::of(config),
            boot: self.boot,
            stamp,
        };
        (files, &mut *self.events)
    }
}

impl<F> Source<F> {
    /// A source that makes its first try at once.
    pub fn new(config: SourceConfig, now: Mono) -> Source<F> {
        Source {
            config,
            copy: None,
            phase: Phase::Waiting { until: now },
            doubt: Doubt::Silent(0),
            backoff: Backoff::default(),
            queue: Queue::default(),
            heal: None,
            no_prefix: false,
            unproved_from: None,
            shares_barriers: false,
            afterwards: None,
            checkpoint_at: None,
            is_suspect: false,
            failed_syncs: 0,
            end: DoubtfulEnd::default(),
            server_size: 0,
            noted: None,
            flawed: false,
            unrecorded: false,
            error: None,
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
        (self.in_error || self.flawed) && !mutation::is_on(Mutation::AlwaysOk)
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called, at the latest.
    pub fn poll_timeout(&self, periods: &Periods) -> Mono {
        let others = [self.checkpoint_at, self.queue.poll_timeout()];
        let deadline = self.deadline(periods);
        others.into_iter().flatten().fold(deadline, Mono::min)
    }

    /// The deadline of the phase.
    fn deadline(&self, periods: &Periods) -> Mono {
        match &self.phase {
            Phase::Waiting { until } => *until,
            Phase::Connecting { deadline }
            | Phase::Asking { deadline, .. }
            | Phase::Answering { deadline, .. } => *deadline,
            Phase::Streaming { heard_at, .. } => heard_at.plus_ms(periods.idle_ms),
            Phase::Inquiring {
                heard_at, moved_at, ..
            } => {
                let silent_at = heard_at.plus_ms(periods.idle_ms);
                silent_at.min(moved_at.plus_ms(ANSWER_MAX_MS))
            }
        }
    }

    /// What it is doing, for a person.
    pub fn state(&self) -> State<'_> {
        let inode = self.copy.as_ref().and_then(LocalCopy::inode);
        let size = self.copy.as_ref().map_or(0, LocalCopy::size);
        match (&self.phase, &self.error) {
            (Phase::Streaming { frames, .. }, _) => State::Following {
                inode,
                size,
                behind: frames.as_ref().map(|frames| frames.behind(size)),
                flawed: self.flawed,
            },
            (_, Some(error)) => State::Error(error),
            (_, None) => State::Connecting,
        }
    }

    /// The moment of [`poll_timeout`](Self::poll_timeout) has come; harmless before.
    pub fn handle_timeout<S: WriteStore<File = F>>(&mut self, cx: &mut Context<'_, S>) {
        self.check_failed_syncs(cx);
        self.make_change(cx);
        self.handle_checkpoint(cx);
        self.queue.handle_timeout(cx.now.mono);
        if self.deadline(cx.periods) > cx.now.mono {
            return;
        }
        match &mut self.phase {
            Phase::Streaming { heard_at, .. } if mutation::is_on(Mutation::SilenceIgnored) => {
                *heard_at = cx.now.mono;
            }
            Phase::Waiting { .. } => self.start(cx),
            Phase::Connecting { .. } => self.fail(SourceError::ConnectTimeout, cx),
            Phase::Asking { .. } => self.fail(SourceError::SendTimeout, cx),
            Phase::Answering { .. } => self.fail(SourceError::AnswerTimeout, cx),
            Phase::Streaming { .. } | Phase::Inquiring { .. } => {
                self.fail(SourceError::Silence, cx)
            }
        }
    }

    /// The connection stands: the request is ready in [`output`](Self::output).
    pub fn handle_connected<S: WriteStore<File = F>>(&mut self, cx: &mut Context<'_, S>) {
        let Phase::Connecting { .. } = self.phase else {
            return;
        };
        match self.question(cx) {
            Ok((asked, line)) => {
                self.phase = Phase::Asking {
                    asked,
                    line: Box::new(line),
                    sent: 0,
                    deadline: cx.now.mono.plus_ms(cx.periods.wait_ms),
                };
            }
            Err(error) => self.fail(error, cx),
        }
    }

    /// What is still to be sent.
    pub fn output(&self) -> &[u8] {
        match &self.phase {
            Phase::Asking { line, sent, .. } => line.get(*sent..).unwrap_or_default(),
            _ => &[],
        }
    }

    /// The socket took the first `len` bytes of the last output.
    pub fn consume_output<S>(&mut self, len: usize, cx: &mut Context<'_, S>) {
        let Phase::Asking {
            asked, line, sent, ..
        } = &mut self.phase
        else {
            return;
        };
        *sent += len;
        if *sent >= line.len() {
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
        self.check_failed_syncs(cx);
        self.make_change(cx);
        let data = match &mut self.phase {
            Phase::Waiting { .. } | Phase::Connecting { .. } => return,
            Phase::Asking { .. } => return self.fail(SourceError::NotALogServer, cx),
            Phase::Streaming { .. } | Phase::Inquiring { .. } => input,
            Phase::Answering { asked, line, .. } => match line.push(input) {
                (_, Progress::Partial) => return,
                (_, Progress::TooLong) => return self.fail(SourceError::NotALogServer, cx),
                (used, Progress::Complete) => {
                    let (asked, reply) = (*asked, Reply::parse(line.line()));
                    let Ok(reply) = reply else {
                        return self.fail(SourceError::NotALogServer, cx);
                    };
                    if let Err(error) = self.handle_reply(asked, reply, cx) {
                        return self.fail(error, cx);
                    }
                    if self.is_changing() {
                        return self.keep_for_later(&input[used..]);
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
        self.make_change(cx);
        let is_in_order = matches!(closed, Closed::ByServer);
        let error = match (&self.phase, closed) {
            (Phase::Waiting { .. }, _) => return,
            (Phase::Inquiring { .. }, _) if is_in_order && self.end.take_end() => {
                return self.wait_for_work(cx.now.mono);
            }
            (
                Phase::Answering { asked, line, .. },
                closed @ (Closed::ByServer | Closed::Broken(_)),
            ) if line.line().is_empty() => {
                // A reset is the network's doing or that of a server that did not even read the question.
                if let Closed::ByServer = closed {
                    self.note_silent_close(*asked);
                }
                SourceError::ClosedSilently
            }
            (_, Closed::NoAddress) => SourceError::NoAddress,
            (_, Closed::ByServer) => SourceError::ClosedByServer,
            (_, Closed::NotMade(error)) => SourceError::NotConnected(error),
            (_, Closed::Broken(error)) => SourceError::ConnectionLost(error),
        };
        self.fail(error, cx);
    }

    /// Closes the local files and opens them again. Where they are not what they were, the connection starts anew.
    /// What was noted as lost counts no longer if its note has been taken away.
    pub fn reopen<S: WriteStore<File = F>>(&mut self, cx: &mut Context<'_, S>) {
        self.make_change(cx);
        self.flawed = false;
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
                let same = (copy.inode(), copy.size()) == before && copy.doubtful_from().is_none();
                self.copy = Some(copy);
                if !same && self.wants_connection() {
                    self.phase = Phase::Waiting { until: cx.now.mono };
                }
            }
            Err(error) => self.fail(SourceError::Files(error), cx),
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
                Err(error) => return self.fail(SourceError::Files(error), cx),
            }
        }
        self.phase = Phase::Connecting {
            deadline: cx.now.mono.plus_ms(cx.periods.wait_ms),
        };
    }

    fn open_copy<S: WriteStore<File = F>>(
        &mut self,
        cx: &mut Context<'_, S>,
    ) -> Result<LocalCopy<F>, FileError> {
        let stamp = (cx.stamp)();
        let (mut files, events) = cx.files_and_events(&self.config, &stamp);
        let config = &self.config;
        let mut copy = LocalCopy::open(&mut files, &mut |found: Found| {
            events(config, Event::Found(&found));
        })?;
        self.flawed |= files.has_gaps()?;
        self.note_failed_syncs(cx);
        let (mut files, _) = cx.files_and_events(&self.config, &stamp);
        if self.is_suspect {
            copy.distrust(&mut files)?;
            self.is_suspect = false;
        }
        let mut list = files.read_list()?;
        self.unrecorded = false;
        match &self.heal {
            Some(heal) => list.retain(|finished| finished.path != heal.finished().path),
            None => (list.iter()).for_each(|finished| clear_away(&finished.path, cx.store)),
        }
        for finished in self.queue.restore(list) {
            self.tell_unverified(&finished, ask::TOO_MANY, cx);
        }
        self.end = DoubtfulEnd::default();
        self.checkpoint_at = None;
        Ok(copy)
    }

    /// The server closed without a word. Only a question that named a place in a generation can be wrong about it.
    fn note_silent_close(&mut self, asked: Asked) {
        let names_a_place = matches!(asked.purpose, Purpose::Follow | Purpose::Check);
        if !names_a_place || asked.offset == 0 {
            self.doubt = Doubt::Silent(0);
            return;
        }
        match &mut self.doubt {
            Doubt::Silent(n) | Doubt::Probed { silent: n, .. } => *n = n.saturating_add(1),
        }
    }

    /// Ends the connection, reports why unless that is known already, and decides when to try again.
    ///
    /// A server that closes after it brought something has most likely rotated: that is no error until the next try
    /// fails.
    fn fail<S: WriteStore<File = F>>(&mut self, error: SourceError, cx: &mut Context<'_, S>) {
        if !matches!(error, SourceError::AskAgain) {
            self.note_unanswered();
        }
        self.afterwards = None;
        let error = self.abandon(cx).err().map_or(error, SourceError::Files);
        let good = match self.phase {
            _ if matches!(error, SourceError::AskAgain) => true,
            Phase::Streaming {
                since,
                brought_something,
                ..
            } => {
                let lasted = cx.now.mono.since_ms(since) >= cx.periods.retry_ms;
                if lasted {
                    self.backoff.reset();
                }
                error.is_ordinary() && (brought_something || lasted)
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
        if let SourceError::Files(error) = &error {
            self.note_failed_syncs(cx);
            // What the files hold now is found out anew.
            let was_open = self.copy.take().is_some();
            self.end = DoubtfulEnd::default();
            self.checkpoint_at = None;
            self.is_suspect |= error.casts_doubt();
            if self.is_suspect {
                self.note_doubt(was_open, cx);
            }
        }
        self.in_error = true;
        let known = self.error.as_ref().is_some_and(|old| old.is_like(&error));
        if !known {
            (cx.events)(&self.config, Event::Error(&error));
        }
        self.error = Some(Box::new(error));
    }
}

#[cfg(test)]
mod tests;
