//! The machine of one source, from waiting to streaming and back, for ever. Pure; the mio half is
//! [`super::shell`].
//!
//! The caller feeds what happens: [`Source::handle_connected`], [`Source::handle_input`],
//! [`Source::handle_closed`], [`Source::handle_timeout`]. After each of them it asks, in this
//! order: [`Source::wants_connection`] (and opens or closes the socket accordingly),
//! [`Source::output`] with [`Source::consume_output`], [`Source::in_error`] for the status, and
//! [`Source::poll_timeout`].

mod answer;
#[cfg(feature = "gz")]
mod archive;
#[cfg(not(feature = "gz"))]
#[path = "archive_none.rs"]
mod archive;
mod aside;
mod breaks;
mod change;
mod checkpoint;
mod clock;
mod data;
mod digest;
mod disk;
mod end;
pub mod end_check;
mod failed_syncs;
mod given;
mod health;
mod hooks;
mod intake;
mod late;
mod link;
mod mapped;
mod pace;
mod question;
mod record;
pub mod siblings;
mod sight;
pub mod tokens;
mod unwritten;
mod v2;

use self::archive::Archives;
use self::disk::Disk;
use self::end::DoubtfulEnd;
use self::health::Health;
use self::intake::Intake;
pub use self::intake::shortage_of;
use self::link::{Form, Link, Phase};
use self::pace::Pace;
use self::unwritten::Unwritten;
use self::v2::Frames;
use super::config::SourceConfig;
use super::copy::pointer::BootId;
use super::copy::{FileError, Found, HookNews, LocalCopy, LocalFiles, Paths};
use super::error::{Closed, SourceError};
use super::event::{Event, State};
use super::finished::FinishedCopies;
use super::finished::heal::clear_away;
use crate::ids::Inode;
use crate::mutation::{self, Mutation};
use crate::random::Random;
use crate::store::WriteStore;
use crate::time::{Mono, Now, Wall};
use crate::wire::line::Progress;
use crate::wire::reply::Reply;

/// A source: one log of one box as the collector follows it.
pub struct Source<F> {
    config: SourceConfig,
    disk: Disk<F>,
    /// The comparison of the copy's end, where that cannot be believed.
    end: DoubtfulEnd,
    finished: FinishedCopies<F>,
    archives: Archives<F>,
    link: Link,
    pace: Pace,
    intake: Intake,
    unwritten: Option<Box<Unwritten>>,
    health: Health,
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

/// The surroundings of a source, handed to it with every call.
pub struct Context<'a, S> {
    /// The files.
    pub store: &'a mut S,
    /// This turn's time.
    pub now: Now,
    /// Tells a moment in local time as `YYYYmmddHHMMSS`.
    pub stamp: &'a dyn Fn(Wall) -> heapless::String<14>,
    /// The log host's boot.
    pub boot: Option<&'a BootId>,
    /// The periods.
    pub periods: &'a Periods,
    /// For the jitter.
    pub random: &'a mut Random,
    /// The sink of events.
    pub events: &'a mut dyn FnMut(&SourceConfig, Event<'_>),
    /// Where it is said that the operator's program has something to hear; `None` without one.
    pub hooks: Option<&'a HookNews>,
}

/// The sink of the events of a source.
type EventSink<'a> = &'a mut dyn FnMut(&SourceConfig, Event<'_>);

impl<S> Context<'_, S> {
    /// The surroundings of the steps on the files of a source. The stamp may be empty where nothing
    /// gets a new name.
    fn files<'b>(&'b mut self, config: &'b SourceConfig, stamp: &'b str) -> LocalFiles<'b, S> {
        self.files_and_events(config, stamp).0
    }

    /// The surroundings of the steps on the files, and where to tell of events meanwhile.
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
            hooks: self.hooks,
        };
        (files, &mut *self.events)
    }
}

impl<F> Source<F> {
    /// A source that makes its first try at once.
    pub fn new(config: SourceConfig, now: Mono) -> Source<F> {
        Source {
            config,
            disk: Disk::new(),
            end: DoubtfulEnd::default(),
            finished: FinishedCopies::new(),
            archives: Archives::new(),
            link: Link::new(now),
            pace: Pace::default(),
            intake: Intake::new(now),
            unwritten: None,
            health: Health::new(),
        }
    }

    /// The source's line of the configuration.
    pub fn config(&self) -> &SourceConfig {
        &self.config
    }

    /// Whether a socket has to be open now. From `false` to `true` a new one is to be made.
    pub fn wants_connection(&self) -> bool {
        self.link.wants_connection()
    }

    /// Whether the source is in error, as its server's status has to say.
    pub fn in_error(&self) -> bool {
        (self.health.is_failing() || self.health.is_flawed())
            && !mutation::is_on(Mutation::AlwaysOk)
    }

    /// The latest moment at which [`handle_timeout`](Self::handle_timeout) wants to be called;
    /// `None` while only [`work`](Self::work) goes on.
    pub fn poll_timeout(&self, periods: &Periods) -> Option<Mono> {
        // The server cannot be silent while nobody reads what it says.
        if self.is_changing() {
            return self.disk.change_at();
        }
        let deadlines = [
            self.link.deadline(periods),
            self.disk.checkpoint_at(),
            self.finished.queue().poll_timeout(),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// The state of the source, for a person.
    pub fn state(&self) -> State<'_> {
        let (inode, size) = (self.disk.inode(), self.disk.size());
        match (self.link.phase(), self.health.error()) {
            (Phase::Streaming { frames, .. }, _) => State::Following {
                inode,
                size,
                behind: frames.as_ref().map(|frames| frames.behind(size)),
                flawed: self.health.is_flawed(),
            },
            (_, Some(error)) => State::Error(error),
            (_, None) => State::Connecting,
        }
    }

    /// The moment of [`poll_timeout`](Self::poll_timeout) has come; harmless before.
    pub fn handle_timeout<S: WriteStore<File = F>>(&mut self, cx: &mut Context<'_, S>) {
        self.time_out(cx);
        self.check_invariants();
    }

    fn time_out<S: WriteStore<File = F>>(&mut self, cx: &mut Context<'_, S>) {
        // What follows may build on bytes that a failed sync has lost, and a change has to be made
        // before the connection it came from is given up.
        self.check_failed_syncs(cx);
        if self.is_changing() {
            return self.disk.let_change(cx.now.mono);
        }
        self.handle_checkpoint(cx);
        self.finished.queue_mut().handle_timeout(cx.now.mono);
        let deadline = self.link.deadline(cx.periods);
        if deadline.is_none_or(|deadline| deadline > cx.now.mono) {
            return;
        }
        match self.link.phase_mut() {
            Phase::Streaming { heard_at, .. } if mutation::is_on(Mutation::SilenceIgnored) => {
                *heard_at = cx.now.mono;
            }
            Phase::Working => {}
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
        let Phase::Connecting { .. } = self.link.phase() else {
            return;
        };
        match self.question(cx) {
            Ok((asked, line)) => {
                self.link.enter(Phase::Asking {
                    asked,
                    line: Box::new(line),
                    sent: 0,
                    deadline: cx.now.mono.plus_ms(cx.periods.wait_ms),
                });
            }
            Err(error) => self.fail(error, cx),
        }
        self.check_invariants();
    }

    /// The part of the request that is still to be sent.
    pub fn output(&self) -> &[u8] {
        self.link.output()
    }

    /// The socket took the first `len` bytes of the last output.
    pub fn consume_output<S>(&mut self, len: usize, cx: &mut Context<'_, S>) {
        let deadline = cx.now.mono.plus_ms(cx.periods.wait_ms);
        self.link.consume_output(len, deadline);
    }

    /// Bytes came from the server; all of them are consumed, and changed on the way.
    pub fn handle_input<S: WriteStore<File = F>>(
        &mut self,
        input: &mut [u8],
        cx: &mut Context<'_, S>,
    ) {
        self.take_input(input, cx);
        self.check_invariants();
    }

    fn take_input<S: WriteStore<File = F>>(&mut self, input: &mut [u8], cx: &mut Context<'_, S>) {
        self.check_failed_syncs(cx);
        self.make_change(cx);
        if self.is_changing() {
            return self.disk.keep_for_later(input);
        }
        let data = match self.link.phase_mut() {
            Phase::Waiting { .. } | Phase::Working | Phase::Connecting { .. } => return,
            // No server of either protocol speaks before it has read the line.
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
                    // The new generation is not begun yet, as its files wait for others. What has
                    // come is its data.
                    if self.is_changing() {
                        return self.disk.keep_for_later(&input[used..]);
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
        self.take_close(closed, cx);
        self.check_invariants();
    }

    fn take_close<S: WriteStore<File = F>>(&mut self, closed: Closed, cx: &mut Context<'_, S>) {
        // What came behind it would be one change after the other; the next connection brings it
        // again.
        self.disk.forget_later();
        self.make_change(cx);
        let is_in_order = matches!(closed, Closed::ByServer);
        let error = match (self.link.phase(), closed) {
            (Phase::Waiting { .. } | Phase::Working, _) => return,
            // A range that reaches beyond the server's file ends with the connection and nothing
            // else.
            (Phase::Inquiring { .. }, _) if is_in_order && self.end.take_end() => {
                return self.link.enter(Phase::Working);
            }
            (
                Phase::Answering { asked, line, .. },
                closed @ (Closed::ByServer | Closed::Broken(_)),
            ) if line.line().is_empty() && !closed.is_rejection() => {
                // A reset is the network's doing or that of a server that did not even read the
                // question.
                if let Closed::ByServer = closed {
                    let asked = *asked;
                    self.link.note_silent_close(asked);
                }
                SourceError::ClosedSilently
            }
            (_, closed) => closed.into(),
        };
        self.fail(error, cx);
    }

    /// Closes the local files and opens them again. Where they are not what they were, the
    /// connection starts anew. What was noted as lost counts no longer if its note has been taken
    /// away.
    pub fn reopen<S: WriteStore<File = F>>(&mut self, cx: &mut Context<'_, S>) {
        self.open_again(cx);
        self.check_invariants();
    }

    fn open_again<S: WriteStore<File = F>>(&mut self, cx: &mut Context<'_, S>) {
        // What came behind a change would be one after the other; a new connection brings it again.
        let is_short = self.disk.forget_later();
        self.make_change(cx);
        // USR1 is how an operator tells that the record of losses was read and moved away
        // (FILES.md, "Losses on record").
        self.health.forget_flaws();
        let Some(old) = self.disk.close() else {
            // In trouble with the files: try again now rather than later.
            self.link.retry_now(cx.now.mono);
            return;
        };
        let before = (old.inode(), old.size());
        // Closed first: a process that opens a file it holds a lock on loses that lock with either
        // descriptor.
        drop(old);
        match self.open_copy(cx) {
            Ok(copy) => {
                let same = (copy.inode(), copy.size()) == before && copy.doubtful_from().is_none();
                self.disk.open(copy);
                if (is_short || !same) && self.wants_connection() {
                    self.link.enter(Phase::Waiting { until: cx.now.mono });
                }
                // What was found out about the end of the copy was about the one that was closed.
                self.end_idle_work(cx.now.mono);
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
        self.link.retry_now(now);
    }

    /// Opens the local files if need be and asks for a connection, unless there were too many.
    fn start<S: WriteStore<File = F>>(&mut self, cx: &mut Context<'_, S>) {
        if self.waits_for_room(cx) {
            return;
        }
        if let Some(until) = self.pace.free_at(cx.now.mono) {
            return self.link.enter(Phase::Waiting { until });
        }
        if self.disk.copy().is_none() {
            match self.open_copy(cx) {
                Ok(copy) => self.disk.open(copy),
                Err(error) => return self.fail(SourceError::Files(error), cx),
            }
        }
        // What is not known of the end of the copy, the server cannot be asked about.
        if self.is_end_unsettled() {
            return self.link.enter(Phase::Working);
        }
        match self.prepare_archive(cx) {
            Ok(false) => self.link.enter(Phase::Connecting {
                deadline: cx.now.mono.plus_ms(cx.periods.wait_ms),
            }),
            Ok(true) => self.link.enter(Phase::Working),
            Err(error) => self.fail(SourceError::Files(error), cx),
        }
    }

    fn open_copy<S: WriteStore<File = F>>(
        &mut self,
        cx: &mut Context<'_, S>,
    ) -> Result<LocalCopy<F>, FileError> {
        let stamp = (cx.stamp)(cx.now.wall);
        let (mut files, events) = cx.files_and_events(&self.config, &stamp);
        let config = &self.config;
        let mut copy = LocalCopy::open(&mut files, &mut |found: Found| {
            events(config, Event::Found(&found));
        })?;
        if files.has_gaps()? {
            self.health.flaw();
        }
        // Syncs that failed before this source had its files open are its business as well: they
        // are told to one process once.
        self.note_failed_syncs(cx);
        let (mut files, _) = cx.files_and_events(&self.config, &stamp);
        if self.disk.is_suspect() {
            copy.distrust(&mut files)?;
            self.disk.set_suspect(false);
        }
        // One part is enough for most.
        if copy.is_unsettled() && !copy.is_rescuing() {
            copy.settle_part(&mut files)?;
        }
        let mut list = files.read_list()?;
        // It is on the list, too, and begins anew.
        self.finished.end_double();
        self.health.set_unrecorded(false);
        // The list has the copy that is being healed, too, and what was fetched for it is still
        // wanted. What a killed run left of other heals is not.
        match self.finished.heal() {
            Some(heal) => list.retain(|finished| finished.path != heal.finished().path),
            None => (list.iter()).for_each(|finished| clear_away(&finished.path, cx.store)),
        }
        let held = copy.generation().map_or(Inode::NONE, |held| held.inode);
        self.note_unnoted(&list, held, cx);
        // Where nothing is held, no bytes tell whose token the ledger has.
        if copy.generation().is_some() && copy.size() == 0 && !copy.is_believed() {
            self.doubt_token(cx);
        }
        let given_up = self.finished.queue_mut().restore(list);
        self.tell_given_up(&given_up, cx);
        if let Some(hooks) = cx.hooks {
            // What an earlier run left is to be told now.
            hooks.is_new.set(true);
        }
        // It was found out of files that may not be the same any more.
        self.end = DoubtfulEnd::default();
        self.link.set_form(Form::Exact { has_masked: false });
        Ok(copy)
    }

    /// The invariants, which hold whenever the caller has its turn. They cost nothing in a release
    /// build.
    fn check_invariants(&self) {
        self.health.check_invariants();
        self.disk.check_invariants();
        let phase = self.link.phase();
        debug_assert!(
            !self.link.is_working() || self.is_kept_from_the_server(),
            "nothing will end the wait"
        );
        debug_assert!(
            self.disk.copy().is_some() || !matches!(phase, Phase::Streaming { .. }),
            "bytes have nowhere to go"
        );
        debug_assert!(
            !self.is_changing() || matches!(phase, Phase::Streaming { .. }),
            "a change that outlived its connection"
        );
    }

    /// Ends a wait for work of which nothing is left.
    fn end_idle_work(&mut self, now: Mono) {
        if self.link.is_working() && !self.is_kept_from_the_server() {
            self.link.end_work(now);
        }
    }

    /// Ends the connection, reports why unless that is known already, and decides when to try
    /// again.
    ///
    /// A server that closes after it brought something has most likely rotated: that is no error
    /// until the next try fails.
    fn fail<S: WriteStore<File = F>>(&mut self, error: SourceError, cx: &mut Context<'_, S>) {
        self.pace.spend(cx.now.mono);
        // All of this looks at the phase, which is left below.
        let is_less = self.note_end_of_connection(&error);
        if !matches!(error, SourceError::AskAgain) {
            self.note_unanswered();
        }
        self.disk.end_change();
        // To take something back may fail as well, and then that is the graver error.
        let error = self.abandon(cx).err().map_or(error, SourceError::Files);
        let good = self.was_good(&error, is_less, cx);
        self.link.note_failure(&error);
        let now = cx.now.mono;
        self.link
            .wait_after(good, cx.periods.retry_ms, cx.random, now);
        // The next try is a matter of milliseconds; it has the last word on whether anything is
        // wrong.
        if good {
            return;
        }
        let error = (self.shed_unproved(cx).err()).map_or(error, SourceError::Files);
        if let SourceError::Files(error) = &error {
            self.give_up_files(error, cx);
        }
        let config = &self.config;
        self.health
            .fail(error, |error| (cx.events)(config, Event::Error(error)));
    }

    /// Takes what the end of a connection by this error teaches of the link. Tells whether it is a
    /// reason to ask for shorter frames.
    fn note_end_of_connection(&mut self, error: &SourceError) -> bool {
        if let Phase::Streaming {
            heard_at, frames, ..
        } = self.link.phase()
        {
            let size = self.disk.size();
            let is_current = |frames: &Frames| frames.server_size().is_some_and(|all| all <= size);
            let heard_at = frames
                .as_ref()
                .filter(|it| is_current(it))
                .map(|_| *heard_at);
            self.health.set_current_at(heard_at);
        }
        let Some(receiver) = self.link.receiver() else {
            return false;
        };
        let (brought, is_within) = (receiver.taken(), receiver.is_within_long());
        // A link that falls silent has as much broken as one that is reset.
        let is_broken = error.is_ordinary() || matches!(error, SourceError::Silence);
        match (is_broken, is_within) {
            (true, true) => return self.link.breaks_mut().note_break(brought),
            (true, false) => self.link.breaks_mut().note_end(brought),
            (false, _) => {}
        }
        false
    }

    /// Whether the connection that ends with this error served its purpose, so that the next one
    /// need not wait. `is_less` says that the next one is asked for shorter frames, which is
    /// another question than the one that did not come through.
    fn was_good<S>(&mut self, error: &SourceError, is_less: bool, cx: &Context<'_, S>) -> bool {
        if matches!(error, SourceError::AskAgain) {
            return true;
        }
        let (since, brought_something) = match *self.link.phase() {
            Phase::Streaming {
                since,
                brought_something,
                ..
            } => (since, brought_something),
            Phase::Inquiring {
                brought_something, ..
            } => return error.is_ordinary() && (brought_something || is_less),
            _ => return false,
        };
        // A server that answers and closes at once is not to be asked ten times a second.
        let lasted = cx.now.mono.since_ms(since) >= cx.periods.retry_ms;
        if lasted {
            self.link.reset_backoff();
        }
        error.is_ordinary() && (brought_something || is_less || lasted)
    }
}

#[cfg(test)]
mod tests;
