//! The check of one copy, from its first question to its verdict. Pure.
//!
//! The caller feeds what happens: [`Check::handle_connected`], [`Check::handle_input`],
//! [`Check::handle_closed`], [`Check::handle_timeout`], and calls [`Check::work`] while
//! [`Check::has_work`]. After each of them it asks, in this order: [`Check::verdict`],
//! [`Check::connection`] (and opens or closes the socket accordingly), [`Check::output`] with
//! [`Check::consume_output`], and [`Check::poll_timeout`].
//!
//! Both sides compute at the same time: our bytes are hashed while the server hashes its own.

use std::io;
use std::rc::Rc;

use super::bisect::{Difference, Search};
use super::copies::{Held, is_kept, may_appear};
use super::exchange::{Exchange, Heard, broken};
use super::verdict::More;
use super::{Copy, Verdict};
use crate::collect::config::{Proto, SourceConfig};
use crate::collect::error::{Closed, ProtocolError, SourceError};
use crate::ids::Inode;
use crate::limits::{VERIFY_ATTEMPTS_MAX, VERIFY_RETRY_MS};
use crate::random::Random;
use crate::store::ReadStore;
use crate::time::Mono;
use crate::wire::classic::{KEEP_ALIVE, MASKED};
use crate::wire::md5::Md5;
use crate::wire::number::InodeWord;
use crate::wire::request::{Extension, Op, Request};

/// A check of one copy.
pub struct Check<F> {
    config: Rc<SourceConfig>,
    copy: Copy,
    attempts: u8,
    connections: u32,
    step: Step<F>,
}

enum Step<F> {
    /// It is to be begun at that moment.
    Waiting { until: Mono },
    /// The copy is open.
    Running(Box<Running<F>>),
    /// It is over.
    Done(Verdict),
}

struct Running<F> {
    held: Held<F>,
    /// The question on its way, if there is one.
    exchange: Option<Exchange>,
    task: Task,
}

/// The task that a check is at.
enum Task {
    /// To ask whether both begin alike. Nothing of the answer has come.
    Ask,
    /// To compare the digests; the server has named its file.
    Digests(Digests),
    /// To search for the place where they differ.
    Search { inode: Inode, search: Search },
}

/// The digest of the first `len` bytes on both sides.
struct Digests {
    inode: Inode,
    /// The number of bytes that the server has.
    size: u64,
    len: u64,
    theirs: Option<[u8; 16]>,
    ours: Md5,
    done: u64,
}

/// The surroundings of a check, handed to it with every call.
pub struct Context<'a, S> {
    /// The files.
    pub store: &'a S,
    /// This turn's time.
    pub now: Mono,
    /// The time for each of connecting, sending the request and receiving the answer line.
    pub wait_ms: u64,
    /// For the places that are proved.
    pub random: &'a mut Random,
}

/// The result of a step of the task: an error is the verdict, with which the task ends.
type Outcome = Result<(), Verdict>;

impl<F> Check<F> {
    /// A check that begins at once.
    pub fn new(config: Rc<SourceConfig>, copy: Copy, now: Mono) -> Check<F> {
        Check {
            config,
            copy,
            attempts: 0,
            connections: 0,
            step: Step::Waiting { until: now },
        }
    }

    /// The source.
    pub fn config(&self) -> &SourceConfig {
        &self.config
    }

    /// The copy.
    pub fn copy(&self) -> &Copy {
        &self.copy
    }

    /// The outcome, once there is one.
    pub fn verdict(&self) -> Option<&Verdict> {
        match &self.step {
            Step::Done(verdict) => Some(verdict),
            _ => None,
        }
    }

    /// The number of the connection that has to be open; another number than before means another
    /// connection.
    pub fn connection(&self) -> Option<u32> {
        self.exchange().map(|_| self.connections)
    }

    /// The moment at which [`handle_timeout`](Self::handle_timeout) wants to be called.
    pub fn poll_timeout(&self) -> Option<Mono> {
        match &self.step {
            Step::Waiting { until } => Some(*until),
            Step::Running(running) => running.exchange.as_ref().map(Exchange::deadline),
            Step::Done(_) => None,
        }
    }

    /// The moment of [`poll_timeout`](Self::poll_timeout) has come; harmless before.
    pub fn handle_timeout<S: ReadStore<File = F>>(&mut self, cx: &mut Context<'_, S>) {
        if self.poll_timeout().is_none_or(|at| at > cx.now) {
            return;
        }
        match &self.step {
            Step::Waiting { .. } => self.begin(cx),
            Step::Running(_) => {
                if let Some(verdict) = self.exchange().map(Exchange::late) {
                    self.conclude(verdict, cx);
                }
            }
            Step::Done(_) => {}
        }
    }

    /// The connection stands: the question is ready in [`output`](Self::output).
    pub fn handle_connected(&mut self, now: Mono) {
        if let Some(exchange) = self.exchange_mut() {
            exchange.handle_connected(now);
        }
    }

    /// The part of the question that is still to be sent.
    pub fn output(&self) -> &[u8] {
        self.exchange().map_or(&[], Exchange::output)
    }

    /// The socket took the first `len` bytes of the last output.
    pub fn consume_output(&mut self, len: usize, now: Mono) {
        if let Some(exchange) = self.exchange_mut() {
            exchange.consume_output(len, now);
        }
    }

    /// Bytes came from the server; all of them are consumed.
    pub fn handle_input<S: ReadStore<File = F>>(&mut self, input: &[u8], cx: &mut Context<'_, S>) {
        let connection = self.connections;
        let mut rest = input;
        while let Some(exchange) = self.exchange_mut() {
            let (taken, heard) = match exchange.take(rest, cx.now) {
                Ok(heard) => heard,
                Err(verdict) => return self.conclude(verdict, cx),
            };
            let is_through = taken == 0 && rest.is_empty();
            rest = rest.get(taken..).unwrap_or_default();
            if heard != Heard::Nothing {
                self.hear(heard, cx);
            }
            // Once more with nothing left, since a frame that ends with the input is heard then.
            // Behind an answer that led to another question the rest belongs to nobody.
            if is_through || self.connections != connection {
                return;
            }
        }
    }

    /// The connection is gone, or could not be made.
    pub fn handle_closed<S: ReadStore<File = F>>(
        &mut self,
        closed: Closed,
        cx: &mut Context<'_, S>,
    ) {
        if let Some(verdict) = self.exchange().map(|exchange| exchange.closed(closed)) {
            self.conclude(verdict, cx);
        }
    }

    /// Whether [`work`](Self::work) has something to do: a part of what takes long.
    pub fn has_work(&self) -> bool {
        match &self.step {
            Step::Running(running) => match &running.task {
                Task::Ask => false,
                Task::Digests(digests) => digests.done < digests.len,
                Task::Search { search, .. } => search.question().is_none(),
            },
            _ => false,
        }
    }

    /// Compares one slice of at most `buf`, and tells how many bytes that were.
    pub fn work<S: ReadStore<File = F>>(
        &mut self,
        buf: &mut [u8],
        cx: &mut Context<'_, S>,
    ) -> usize {
        let Step::Running(running) = &mut self.step else {
            return 0;
        };
        let (len, outcome) = match running.slice(buf, cx.store) {
            Ok((len, outcome)) => (len, outcome),
            Err(error) => {
                let verdict = Verdict::unreadable("read", &self.copy.path, error);
                (0, Err(verdict))
            }
        };
        self.go_on(outcome, cx);
        len
    }

    fn exchange(&self) -> Option<&Exchange> {
        match &self.step {
            Step::Running(running) => running.exchange.as_ref(),
            _ => None,
        }
    }

    fn exchange_mut(&mut self) -> Option<&mut Exchange> {
        match &mut self.step {
            Step::Running(running) => running.exchange.as_mut(),
            _ => None,
        }
    }

    /// Opens the copy and asks the first question.
    fn begin<S: ReadStore<File = F>>(&mut self, cx: &mut Context<'_, S>) {
        self.attempts += 1;
        let held = Held::open(cx.store, &self.config, &self.copy, cx.random);
        // The copy is looked at first: what is wrong with it is told whatever the server speaks.
        let held = held.and_then(|held| match self.config.proto {
            Proto::Classic => Err(Verdict::Classic),
            Proto::Auto | Proto::V2 => Ok(held),
        });
        match held {
            Ok(held) => {
                self.step = Step::Running(Box::new(Running {
                    held,
                    exchange: None,
                    task: Task::Ask,
                }));
                self.go_on(Ok(()), cx);
            }
            Err(verdict) => self.conclude(verdict, cx),
        }
    }

    /// Takes a part of an answer.
    fn hear<S: ReadStore<File = F>>(&mut self, heard: Heard, cx: &mut Context<'_, S>) {
        let Step::Running(running) = &mut self.step else {
            return;
        };
        let outcome = running.hear(heard);
        self.go_on(outcome, cx);
    }

    /// A step is done: ends, or sees to it that the next question is on its way.
    fn go_on<S: ReadStore<File = F>>(&mut self, outcome: Outcome, cx: &mut Context<'_, S>) {
        if let Err(verdict) = outcome {
            return self.conclude(verdict, cx);
        }
        let Step::Running(running) = &mut self.step else {
            return;
        };
        let Some(op) = running.question().filter(|_| running.exchange.is_none()) else {
            return;
        };
        // The configuration takes no path that would not fit.
        let Some(line) = running.request(&self.config.remote, op).to_line() else {
            return self.conclude(broken(ProtocolError::Terms), cx);
        };
        running.exchange = Some(Exchange::new(line, op, cx.now, cx.wait_ms));
        // A server answers one question and closes (PROTOCOL.md, "Questions").
        self.connections = self.connections.wrapping_add(1);
    }

    /// The verdict, unless it may come from a collector that was just changing the files. Once it
    /// is known that the two differ, a question without an answer does not make that forgotten.
    fn conclude<S: ReadStore<File = F>>(&mut self, verdict: Verdict, cx: &mut Context<'_, S>) {
        let verdict = match self.differs_from() {
            Some(at) if !verdict.is_about_bytes() => Verdict::Diverged { at, exact: false },
            _ => self.explained(verdict, cx.store),
        };
        // A good verdict needs no second look, and a bad one only where something may have changed
        // under it.
        let is_final = self.attempts >= VERIFY_ATTEMPTS_MAX
            || verdict.is_good(self.copy.which)
            || !self.is_doubtful(&verdict, cx.store);
        self.step = if is_final {
            Step::Done(verdict)
        } else {
            Step::Waiting {
                until: cx.now.plus_ms(VERIFY_RETRY_MS),
            }
        };
    }

    /// Explains a verdict by what the collector has on record, which need not worry anybody.
    fn explained<S: ReadStore<File = F>>(&self, verdict: Verdict, store: &S) -> Verdict {
        match (&verdict, &self.step) {
            (Verdict::Prefix(More::Ours(by)), Step::Running(running))
                if is_kept(store, &self.config, &self.copy, running.held.size, *by) =>
            {
                Verdict::Kept(*by)
            }
            _ => verdict,
        }
    }

    /// The first place at which the two may differ, once it is known that they do.
    fn differs_from(&self) -> Option<u64> {
        match &self.step {
            Step::Running(running) => match &running.task {
                Task::Search { search, .. } => Some(search.start()),
                _ => None,
            },
            _ => None,
        }
    }

    fn is_doubtful<S: ReadStore<File = F>>(&self, verdict: &Verdict, store: &S) -> bool {
        match (verdict, &self.step) {
            // A file that is truncated while the server reads it makes it close.
            (Verdict::Unsteady | Verdict::Unreachable(SourceError::ClosedByServer), _)
            | (Verdict::Diverged { exact: false, .. }, _)
            | (Verdict::Refused { for_now: true, .. }, _) => true,
            (Verdict::Missing, _) => may_appear(store, &self.config, &self.copy),
            (_, Step::Running(running)) => {
                running.held.has_changed(store, &self.config, &self.copy)
            }
            _ => false,
        }
    }
}

impl<F> Running<F> {
    /// The next question; `None` while there is nothing to ask.
    fn question(&self) -> Option<Op> {
        match &self.task {
            Task::Ask => Some(Op::Digest),
            Task::Digests(_) => None,
            Task::Search { search, .. } => search.question(),
        }
    }

    /// The first question proves the copy; the others name the file that the server answered with.
    fn request<'a>(&self, path: &'a [u8], op: Op) -> Request<'a> {
        let (inode, v2) = match &self.task {
            // Without a proof the inode alone names the file (PROTOCOL.md, "Questions"). The proof
            // might fit another one, as the copy is known to differ.
            Task::Search { inode, .. } => (*inode, Extension::default()),
            _ => (
                self.held.inode,
                Extension {
                    proof: self.held.proof.clone(),
                    mapped: self.held.mapped,
                    ..Extension::default()
                },
            ),
        };
        Request {
            path,
            inode: InodeWord::plain(inode),
            offset: self.held.size,
            v2: Some(Extension { op, ..v2 }),
        }
    }

    fn hear(&mut self, heard: Heard) -> Outcome {
        match (heard, &mut self.task) {
            (Heard::Nothing, _) => Ok(()),
            (Heard::Reply { inode, size }, Task::Ask) => {
                let len = size.min(self.held.size);
                if len == 0 && self.held.size > 0 {
                    // An empty file is the start of everything; that proves nothing.
                    return Err(Verdict::Gone);
                }
                self.task = Task::Digests(Digests::new(inode, size, len));
                Ok(())
            }
            (Heard::Reply { inode: now, .. }, Task::Search { inode, .. }) if now == *inode => {
                Ok(())
            }
            // Another file has the inode, or the file the name, since the digests were compared.
            (Heard::Reply { .. }, Task::Search { .. }) => Err(Verdict::Unsteady),
            // The server's file may have grown since its answer line; the digest is of what was
            // asked.
            (Heard::Digest { inode, size, md5 }, Task::Digests(digests))
                if inode == digests.inode && size == digests.len =>
            {
                digests.theirs = Some(md5);
                self.exchange = None;
                self.compare()
            }
            (Heard::Sums(payload), Task::Search { search, .. }) => {
                self.exchange = None;
                search.take_sums(payload)
            }
            (Heard::Bytes(theirs), Task::Search { search, .. }) => {
                self.exchange = None;
                search.take_bytes(theirs)
            }
            _ => Err(broken(ProtocolError::Terms)),
        }
    }

    /// Does one slice of the task. Tells how many bytes it took, and where it leads.
    fn slice<S: ReadStore<File = F>>(
        &mut self,
        buf: &mut [u8],
        store: &S,
    ) -> io::Result<(usize, Outcome)> {
        match &mut self.task {
            Task::Ask => Ok((0, Ok(()))),
            Task::Digests(digests) => {
                let left = usize::try_from(digests.len - digests.done).unwrap_or(usize::MAX);
                let room = buf.len();
                let slice = &mut buf[..left.min(room)];
                let read = store.read_at(&self.held.file, slice, digests.done)?;
                // Our copy became shorter: a rescue, or somebody else.
                if read < slice.len() {
                    return Ok((read, Err(Verdict::Unsteady)));
                }
                digests.ours.update(slice);
                digests.done += read as u64;
                Ok((read, self.compare()))
            }
            Task::Search { search, .. } => {
                let (len, found) = search.work(buf, store, &self.held.file)?;
                Ok((len, found.map_or(Ok(()), |found| Err(self.judge(found)))))
            }
        }
    }
    /// Compares the digests, once both are there.
    fn compare(&mut self) -> Outcome {
        let Task::Digests(digests) = &self.task else {
            return Ok(());
        };
        let Some(theirs) = digests.theirs.filter(|_| digests.done == digests.len) else {
            return Ok(());
        };
        if digests.ours.finish() == theirs {
            return Err(digests.same(theirs, self.held.size));
        }
        self.task = Task::Search {
            inode: digests.inode,
            search: Search::new(digests.len),
        };
        Ok(())
    }

    fn judge(&self, found: Difference) -> Verdict {
        match found {
            // A classic part of the copy has 0xff for every 0x07, so this proves nothing about the
            // bytes behind.
            Difference::At { at, ours, theirs }
                if self.held.may_be_mapped && (ours, theirs) == (MASKED, KEEP_ALIVE) =>
            {
                Verdict::ClassicByte { at }
            }
            Difference::At { at, .. } => Verdict::Diverged { at, exact: true },
            Difference::Nothing => Verdict::Unsteady,
        }
    }
}

impl Digests {
    fn new(inode: Inode, size: u64, len: u64) -> Digests {
        Digests {
            inode,
            size,
            len,
            theirs: None,
            ours: Md5::new(),
            done: 0,
        }
    }

    /// The verdict where both begin alike and we hold `ours` bytes.
    fn same(&self, md5: [u8; 16], ours: u64) -> Verdict {
        match self.size {
            theirs if theirs > ours => Verdict::Prefix(More::Theirs(theirs - ours)),
            theirs if theirs < ours => Verdict::Prefix(More::Ours(ours - theirs)),
            size => Verdict::Identical { md5, size },
        }
    }
}

#[cfg(test)]
mod tests;
