//! The stream of version 2: generation after generation as frames, each closed with its digest.
//! Pure.
//!
//! What a socket did not take of a frame is made again from the file: its length and checksum are
//! settled, so where the file has changed in between, the client notices and comes back.

mod astray;
mod fingerprint;
mod handover;
mod hole;
mod invariants;
mod journey;
mod open_frame;
mod pace;
mod plan;
mod replaced;
mod successor;
mod truncation;

use std::io;
use std::ops::ControlFlow::{self, Break, Continue};

use self::astray::Astray;
use self::fingerprint::Fingerprint;
use self::handover::start_of;
use self::journey::Journey;
use self::open_frame::{FRAME_START_LEN, OpenFrame};
use super::context::Context;
use super::digest::Digest;
use super::ending::Ending;
use super::follow::{Follow, Look};
use super::keepalive::{KeepAlive, Liveness};
use crate::ids::{FileId, Inode};
use crate::limits::{NOTES_MAX, REPLY_MAX_LEN, SESSION_GIVEN_MAX};
use crate::serve::config::Config;
use crate::serve::find::findings::{Begun, Occasion};
use crate::serve::find::place::Place;
use crate::serve::find::query::{Choice, Generation, Query};
use crate::serve::find::refusal::Refusal;
use crate::serve::find::search::Search;

use crate::store::ReadStore;
use crate::time::{Mono, Now};
use crate::wire::frame::{self, DATA_MAX, Frame, Reason, Role};
use crate::wire::given::SettledList;
use crate::wire::request::{Extension, FrameMax, Given};
use crate::wire::token::Token;

/// Bytes before a DATA frame, at most: an answer line or a few small frames, an ERROR, and all that
/// may be told as left out, each with a token.
const HEAD_MAX_LEN: usize = REPLY_MAX_LEN
    + (1 + 2 * NOTES_MAX) * (frame::HEADER_LEN + frame::SMALL_MAX)
    + NOTES_MAX * TOKEN_FRAME_LEN;

/// Bytes of a frame with a token, at most.
const TOKEN_FRAME_LEN: usize = frame::HEADER_LEN + 1 + Token::MAX_LEN;

/// A log on its way to a client of version 2.
pub struct V2Stream<F> {
    index: u32,
    follow: Follow<F>,
    /// The inode under which the client knows the generation.
    client_inode: Inode,
    /// What comes before the next DATA frame: the answer line, small frames.
    head: Vec<u8>,
    /// The DATA frame that the client has not taken whole.
    open: Option<OpenFrame>,
    fingerprint: Fingerprint,
    digest: Digest,
    /// Bytes of the file were changed, perhaps some that were sent already: its digest is that of
    /// what it is at its end, and not of what was sent.
    is_changed: bool,
    /// The client takes zeros by their number.
    knows_holes: bool,
    /// The client was told a size with zeros at the end that are not written yet.
    is_overstated: bool,
    /// The digest waits for the end of the generation: its start was sent over another connection,
    /// or cannot be read.
    digest_waits: bool,
    /// The digest of an earlier generation, which could not be had at its END.
    late: Option<Box<Late<F>>>,
    /// Why the file being sent is the last of its generation, if it is not for its name.
    reason: Option<Reason>,
    /// Some of it was sent of another file, of which this one is a duplicate.
    is_joined: bool,
    /// The bytes before the offset are no longer what was sent.
    rewritten: bool,
    /// Every generation older than this one was last written no later.
    floor_ns: u64,
    /// The file that was seen to come after it before it was its turn.
    then: Option<FileId>,
    /// Names and times contradict each other about what comes after it, and nothing was seen.
    is_in_doubt: bool,
    /// The generation being sent.
    generation: Generation,
    /// The client has another token for it, and nothing of it yet.
    token_due: bool,
    /// The generation went on in another file than the one the client was told of.
    is_elsewhere: bool,
    /// The last generations that the client was given.
    given: GivenBefore,
    /// The last write of the file when it certainly still held what was sent of it.
    sound_ns: u64,
    /// Its size then.
    sound_size: u64,
    /// Some of it went before it could be sent, and the next NEXT has to tell.
    has_loss: bool,
    /// The search for what has to be known about other files before this one can go on.
    search: Option<Box<Search>>,
    /// What concerns more than one generation, once one was named.
    journey: Option<Box<Journey>>,
    /// The file was rotated, and so was its successor since.
    is_old: bool,
    /// The client knows NOTE frames.
    knows_notes: bool,
    /// The client takes what is compressed.
    can_inflate: bool,
    /// The archives that it does not want, if there are any.
    settled: Option<Box<SettledList>>,
    /// The first bytes of the generation, which no other file comes before.
    proved: Option<Begun>,
    /// Everything was sent and nothing comes next.
    astray: Option<Box<Astray>>,
    keepalive: KeepAlive,
    /// The most bytes of the file in a DATA frame.
    most: FrameMax,
}

/// Generations that a client was given, the newest first.
type GivenBefore = heapless::Vec<Given, SESSION_GIVEN_MAX>;

/// A generation whose digest is still being computed.
struct Late<F> {
    file: F,
    inode: Inode,
    size: u64,
    digest: Digest,
}

impl<F> V2Stream<F> {
    /// Starts sending what the search found, as the client wants it. What is left out is told by
    /// [`tell_left_out`](Self::tell_left_out). Fails where the file cannot be read, or was
    /// truncated since it was found: then the client asks anew.
    pub fn new<S: ReadStore<File = F>>(
        index: u32,
        choice: Choice<F>,
        v2: &Extension,
        store: &S,
        config: &Config,
        now: Now,
    ) -> Result<V2Stream<F>, Ending> {
        let Choice {
            file,
            stat,
            offset,
            mut reply,
            place,
            then,
            generation,
            ..
        } = choice;
        if let Some(terms) = &mut reply.v2 {
            terms.clock_s = now.wall.secs().try_into().unwrap_or(0);
        }
        let floor_ns = reply.v2.map_or(0, |terms| terms.mtime_ns);
        // What was sent over another connection is remembered from the file, as if it had been sent
        // over this one.
        let fingerprint = Fingerprint::of(store, &file, offset).map_err(Ending::unreadable)?;
        if !fingerprint.is_whole(offset) {
            return Err(Ending::Truncated);
        }
        let mut stream = V2Stream {
            index,
            follow: Follow::new(file, stat, offset, place, config.grace_ms, now),
            client_inode: stat.id.inode,
            head: reply.to_line().to_vec(),
            open: None,
            fingerprint,
            digest: Digest::new(),
            is_changed: false,
            knows_holes: v2.holes,
            is_overstated: false,
            digest_waits: offset > 0,
            late: None,
            reason: None,
            is_joined: false,
            rewritten: false,
            floor_ns,
            then,
            is_in_doubt: false,
            generation,
            token_due: false,
            is_elsewhere: false,
            given: v2.given.iter().take(SESSION_GIVEN_MAX).copied().collect(),
            sound_ns: stat.mtime_ns,
            sound_size: offset,
            has_loss: false,
            search: None,
            journey: None,
            knows_notes: v2.notes,
            can_inflate: v2.gz,
            settled: (!v2.settled.is_empty()).then(|| Box::new(v2.settled.clone())),
            is_old: place == Place::Older,
            proved: None,
            astray: None,
            keepalive: KeepAlive::new(now.mono),
            most: v2.frame_max.unwrap_or_default(),
        };
        stream.keep_back_zeros(store).map_err(Ending::unreadable)?;
        // PROTOCOL.md, "The stream": ALIVE follows the answer if there is nothing to send.
        if stream.follow.ahead() == 0 {
            stream.say(Frame::Alive { size: stat.size });
        }
        stream.check_invariants();
        Ok(stream)
    }

    /// The number of the configured log being served.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// The file that is being sent, and how far.
    pub fn follow(&self) -> &Follow<F> {
        &self.follow
    }

    /// The file that is being sent, if it is rotated.
    pub fn rotated(&self) -> Option<FileId> {
        (!self.follow.is_live()).then(|| self.follow.id())
    }

    /// Changes of the log are told from now on, or are not: see
    /// [`Session::set_watched`](crate::serve::session::Session::set_watched).
    pub fn set_watched(&mut self, is_watched: bool) {
        self.follow.set_watched(is_watched);
    }

    /// The configured log has another number now.
    pub fn renumber(&mut self, index: u32) {
        self.index = index;
        self.drop_plan();
        if self.search.take().is_some() {
            // Its rotated files may be others now.
            self.follow.look_soon();
        }
    }

    /// A look at the file and at its name. It tells END and NEXT where the generation is over, and
    /// begins the searches that this takes.
    pub fn look<S: ReadStore<File = F>>(
        &mut self,
        cx: &mut Context<'_, S>,
        query: &Query<'_, S>,
    ) -> ControlFlow<Ending> {
        let given = self.given.clone();
        let query = &Query {
            given: &given,
            ..*query
        };
        let sent = !self.has_output();
        let before = *self.follow.stat();
        self.looked();
        // What was found rewritten while a frame was made need not be found again, and the file may
        // have its old size.
        let look = match std::mem::take(&mut self.rewritten) {
            true => {
                self.follow.looked(cx.now.mono);
                Look::Truncated
            }
            false => {
                let has_next = self.then.is_some() || self.is_in_doubt;
                self.follow.look(&query.live_path(), sent, has_next, cx)
            }
        };
        // It got its name back, and nothing comes next.
        if self.follow.is_live() && self.is_searching_on(|present| present == Occasion::Rotated) {
            self.search = None;
        }
        if !self.follow.is_live() && !cx.journal.look(self.index, &query.entry.path, cx.store) {
            self.rewritten = matches!(look, Look::Truncated);
            return Continue(());
        }
        self.note_change(&before);
        let look = match look {
            // What was written over zeros may be cut off with them.
            _ if self.is_frame_cut() => Look::Truncated,
            Look::Quiet => match self.look_at_quiet(cx, query) {
                Ok(look) => look,
                Err(refusal) => return self.wait_or_end(refusal, true, cx, query),
            },
            look => look,
        };
        let turn = match look {
            look if self.is_still_astray(&look, cx, query) => Continue(()),
            Look::Same | Look::Rotated if sent && self.take_replacement(cx, query) => Continue(()),
            // First which file comes next, while it is still there; the search leads back here.
            Look::Same | Look::Rotated if !self.knows_successor(query) => Continue(()),
            // A file that was emptied and written anew to its old length looks the same; only its
            // last write is another.
            Look::Same if sent && self.is_written_over(Occasion::Emptied, query) => {
                self.rewritten = false;
                self.leave_truncated(cx, query)
            }
            Look::Rotated | Look::Astray(Refusal::Missing | Refusal::NotRegular(_))
                if sent && self.is_written_over(Occasion::Rotated, query) =>
            {
                self.rewritten = false;
                self.leave_truncated(cx, query)
            }
            Look::Same | Look::Quiet => Continue(()),
            Look::Truncated => self.leave_truncated(cx, query),
            Look::Rotated => self.finish(cx, query),
            Look::Astray(refusal) => self.stray(refusal, cx, query),
            Look::Unreadable(error) => Break(Ending::Unreadable(error)),
        };
        if sent && self.has_output() {
            self.keepalive.moved(cx.now.mono);
        }
        turn
    }

    /// A deadline has come: look if it is time to, notice a client that stands still, tell one that
    /// waits the size.
    pub fn handle_timeout<S: ReadStore<File = F>>(
        &mut self,
        cx: &mut Context<'_, S>,
        query: &Query<'_, S>,
    ) -> ControlFlow<Ending> {
        let now = cx.now.mono;
        if self.next_look(cx.config) <= now {
            let size = self.follow.stat().size;
            self.look(cx, query)?;
            // It may have found that the zeros which were to be sent are gone. Then all is sent,
            // and the look that waits for that is due.
            if self.next_look(cx.config) <= now {
                self.look(cx, query)?;
            }
            self.follow.note_missed_growth(size);
        }
        match self.keepalive.check(self.has_output(), cx.config, now) {
            Liveness::Fine => {}
            Liveness::Stalled => return Break(Ending::Stalled),
            Liveness::Silent => self.say_alive(query.entry),
        }
        Continue(())
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do next.
    pub fn poll_timeout(&self, config: &Config) -> Mono {
        let deadline = self.keepalive.deadline(self.has_output(), config);
        self.next_look(config).min(deadline)
    }

    /// Whether it cannot go on before something is found.
    pub fn is_searching(&self) -> bool {
        self.search.is_some()
    }

    /// Whether [`work`](Self::work) has something to do.
    pub fn has_work(&self) -> bool {
        let late = self.late.as_ref();
        self.search.is_some()
            || self.follow.is_searching_zeros()
            || late.is_some_and(|late| late.digest.done() < late.size)
            || self.is_digest_behind()
    }

    /// Does a part of what takes long, with `buf` to read into. The next generation comes before
    /// the digest of the last.
    pub fn work<S: ReadStore<File = F>>(
        &mut self,
        buf: &mut [u8],
        cx: &mut Context<'_, S>,
        query: &Query<'_, S>,
    ) -> ControlFlow<Ending> {
        if let Some(search) = self.search.take() {
            let given = self.given.clone();
            let query = &Query {
                given: &given,
                ..*query
            };
            return self.search_on(search, cx, query);
        }
        if self.follow.is_searching_zeros() {
            return self.search_zeros(cx.store, buf);
        }
        // The digest of the last generation, then that of this one: the client waits for the first.
        if let Some(late) = &mut self.late
            && late
                .digest
                .advance(cx.store, &late.file, late.size, buf)
                .is_err()
        {
            // Without the bytes there is no digest; the client has been told END and waits for
            // nothing.
            self.late = None;
        }
        // It may be ready already, and have waited for a frame to be over.
        self.tell_late_digest();
        if self.is_digest_behind() {
            let (file, size) = (self.follow.file(), self.follow.offset());
            // Where the file cannot be read now, the rest waits for the end of the generation.
            self.digest_waits = self.digest.advance(cx.store, file, size, buf).is_err();
        }
        Continue(())
    }

    /// Whether bytes were sent that the digest is to take in now, because there is nothing to send.
    fn is_digest_behind(&self) -> bool {
        let is_idle = self.late.is_none() && !self.has_output() && !self.rewritten;
        is_idle && !self.digest_waits && self.digest.done() < self.follow.offset()
    }

    /// Fills `buf` with frames. See [`crate::serve::session::Session::output`].
    pub fn output<S: ReadStore<File = F>>(
        &mut self,
        buf: &mut [u8],
        query: &Query<'_, S>,
    ) -> io::Result<usize> {
        let store = query.store;
        // Before the first byte, so that who comes back with it names the right generation.
        if self.token_due && self.head.len() + TOKEN_FRAME_LEN <= HEAD_MAX_LEN {
            self.token_due = false;
            self.say_file(Role::Present, self.generation, query);
        }
        let head_len = self.head.len();
        let Some((head, rest)) = buf.split_at_mut_checked(head_len) else {
            return Ok(0);
        };
        head.copy_from_slice(&self.head);
        if self.open.as_ref().is_some_and(|open| open.taken == 0) {
            // Nobody has seen anything of it, and the file may have changed since.
            self.open = None;
        }
        // Nothing to send; or what there is may be of another generation, which a look or a search
        // will tell.
        let is_waiting = || self.is_searching_on(|present| matches!(present, Occasion::Begun(_)));
        if self.open.is_none() && (self.follow.to_send() == 0 || self.rewritten || is_waiting()) {
            return Ok(head_len);
        }
        // The first frame has what was proved to come first.
        let begun = self.proved.filter(|_| self.fingerprint.is_empty());
        // An open frame is made again exactly as it was. A new one has what there is, and no more
        // than fits beside the answer line.
        let wanted = match &self.open {
            Some(open) => open.len,
            None => usize::try_from(self.follow.ahead())
                .unwrap_or(usize::MAX)
                .min(self.most.bytes())
                .min(begun.map_or(DATA_MAX, |begun| begun.len as usize))
                .min(rest.len().saturating_sub(FRAME_START_LEN)),
        };
        let Some(whole) = rest.get_mut(..FRAME_START_LEN + wanted) else {
            // The answer line comes first and takes its room.
            return Ok(head_len);
        };
        let body = &mut whole[FRAME_START_LEN..];
        let read = store.read_at(self.follow.file(), body, self.follow.offset())?;
        if read == 0 || (self.open.is_some() && read < wanted) {
            // It has become shorter; a look shows the rest.
            self.follow.look_soon();
            return Ok(head_len);
        }
        let mut len = read;
        if self.open.is_none() {
            len = self.follow.without_zeros(&body[..read]);
            if len == 0 {
                self.correct_size();
                return Ok(self.output_head(buf));
            }
            // The bytes are in the buffer, so what is checked now was true when they were read. The
            // other way round, the file could be truncated and grow again in between.
            match self.is_continuation(&body[..len], query)? {
                Some(true) if self.say_hole(&body[..len], store) => {
                    return Ok(self.output_head(buf));
                }
                Some(true) => {
                    let end = self.follow.offset() + len as u64;
                    self.sound_size = self.sound_size.max(end);
                }
                Some(false) => {
                    self.rewritten = true;
                    self.follow.look_soon();
                    return Ok(head_len);
                }
                None => return Ok(head_len),
            }
        }
        let whole = &mut whole[..FRAME_START_LEN + len];
        Ok(head_len + self.make_frame(whole, len))
    }

    /// The socket took the first `len` bytes of the last output.
    pub fn consume_output(&mut self, output: &[u8], len: usize, now: Mono) {
        if len == 0 {
            return;
        }
        self.keepalive.moved(now);
        let from_head = len.min(self.head.len());
        self.head.drain(..from_head);
        self.head.shrink_to_fit();
        // The head went out in front of the frame, in the same output.
        if len > from_head {
            self.consume_frame(&output[from_head..], len - from_head);
        }
        self.tell_late_digest();
    }

    /// Sends the digest of an earlier generation once it is there and no frame is in the way.
    fn tell_late_digest(&mut self) {
        let Some(md5) = self
            .late
            .as_ref()
            .and_then(|late| late.digest.finished(late.size))
        else {
            return;
        };
        // A small frame must not come into the middle of another one.
        let is_between = self.open.as_ref().is_none_or(|open| open.taken == 0);
        if is_between
            && self.head.is_empty()
            && let Some(late) = self.late.take()
        {
            if let Some(given) = self.given.iter_mut().find(|given| given.size == late.size) {
                given.md5.get_or_insert(start_of(md5));
            }
            self.say(Frame::Digest(frame::Digest {
                inode: late.inode,
                size: late.size,
                md5: Some(md5),
            }));
        }
    }

    /// Puts a small frame before the next DATA frame, of which nothing may have been sent yet.
    fn say(&mut self, frame: Frame<'_>) {
        self.head.extend_from_slice(&frame.to_bytes());
        debug_assert!(self.head.len() <= HEAD_MAX_LEN, "small frames pile up");
    }

    /// Whether there is something the client has not taken yet.
    fn has_output(&self) -> bool {
        !self.head.is_empty() || self.open.is_some() || self.follow.to_send() > 0
    }

    fn next_look(&self, config: &Config) -> Mono {
        let next = self.follow.next_look(!self.has_output(), config);
        self.waits_until().map_or(next, |at| at.min(next))
    }
}
