//! The streaming half of a classic session: the answer line, the file's bytes, keep-alives. Pure.

use std::io;
use std::net::IpAddr;
use std::ops::ControlFlow::{self, Break, Continue};

use super::context::Context;
use super::ending::Ending;
use super::follow::{Follow, Look};
use super::keepalive::{KeepAlive, Liveness};
use crate::ids::FileId;
use crate::serve::config::Config;
use crate::serve::find::place::Place;
use crate::serve::find::query::Choice;
use crate::serve::find::refusal::Refusal;
use crate::store::ReadStore;
use crate::time::{Mono, Now};
use crate::wire::classic;

/// A file on its way to a client.
pub struct ClassicStream<F> {
    follow: Follow<F>,
    index: u32,
    /// The answer line, or what is left of it.
    head: Vec<u8>,
    /// A keep-alive is to be sent.
    alive_due: bool,
    /// A rotated file comes after it.
    is_older: bool,
    /// The client takes the bytes before this offset, and no more: as a rule all.
    end: u64,
    keepalive: KeepAlive,
}

impl<F> ClassicStream<F> {
    /// Starts sending what was chosen.
    pub fn new(index: u32, choice: Choice<F>, config: &Config, now: Now) -> ClassicStream<F> {
        let Choice {
            file,
            stat,
            offset,
            reply,
            place,
            ..
        } = choice;
        ClassicStream {
            follow: Follow::new(file, stat, offset, place, config.grace_ms, now),
            index,
            head: reply.to_line().to_vec(),
            // PROTOCOL.md, "Data": a keep-alive stands right behind the answer line if there are no
            // data.
            alive_due: offset == stat.size,
            is_older: place == Place::Older,
            end: u64::MAX,
            keepalive: KeepAlive::new(now.mono),
        }
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
    }

    /// The client takes what there is, and no more: what is to be done now, and after each
    /// [`consume_output`](Self::consume_output).
    pub fn finish(&mut self) -> ControlFlow<Ending> {
        self.end = self.follow.offset() + self.follow.ahead();
        self.check_end()
    }

    fn check_end(&self) -> ControlFlow<Ending> {
        match self.head.is_empty() && self.follow.offset() >= self.end {
            true => Break(Ending::Left),
            false => Continue(()),
        }
    }

    /// A look at the file and at its name. It ends the session where the client has to come back
    /// for another generation.
    pub fn look<S: ReadStore<File = F>>(
        &mut self,
        peer: IpAddr,
        cx: &mut Context<'_, S>,
    ) -> ControlFlow<Ending> {
        let Some(entry) = cx.config.files.get(self.index as usize) else {
            return Break(Ending::Withdrawn);
        };
        let sent = !self.has_output();
        let path = cx.journal.live_path(self.index, entry);
        match self.follow.look(&path, sent, self.is_older, cx) {
            // Nobody can write to it any more, and no other file is there to be waited for.
            Look::Same
                if sent && self.follow.is_deleted(&path, cx) && self.follow.is_complete(cx) =>
            {
                self.note_completed(peer, cx);
                return Break(Ending::Rotated);
            }
            Look::Same => {}
            Look::Truncated => {
                // The client comes back with this inode and offset. By then the file may have grown
                // beyond them, and only this tells that it is to begin anew.
                let (inode, offset) = (self.follow.inode(), self.follow.offset());
                cx.sightings.was_truncated(peer, self.index, inode, offset);
                return Break(Ending::Truncated);
            }
            Look::Quiet if !self.follow.is_complete(cx) => {}
            Look::Rotated | Look::Quiet => {
                self.note_completed(peer, cx);
                return Break(Ending::Rotated);
            }
            // While nothing has the live name and the file still has one, its writer has not moved
            // on.
            Look::Astray(Refusal::Missing) if self.follow.stat().links > 0 => {}
            // There is no other way to tell.
            Look::Astray(refusal) => {
                // As long as it grows, its lines are worth more than that.
                if self.follow.is_complete(cx) {
                    if !matches!(refusal, Refusal::Unreadable(_)) {
                        self.note_completed(peer, cx);
                    }
                    return Break(match refusal {
                        Refusal::Missing => Ending::Rotated,
                        other => Ending::Refused(other),
                    });
                }
            }
            Look::Unreadable(error) => return Break(Ending::Unreadable(error)),
        }
        // What is seen here tells later which of the rotated files are newer, should this one be
        // gone when a client asks for it.
        if self.follow.is_live() {
            let stat = self.follow.stat();
            cx.sightings
                .saw_live(self.index, stat.id.inode, stat.mtime_ns);
        }
        // The client had taken all there was; from now on it has something to take.
        if sent && self.has_output() {
            self.keepalive.moved(cx.now.mono);
        }
        Continue(())
    }

    /// A deadline has come: look if it is time to, notice a client that stands still, have a
    /// keep-alive sent.
    pub fn handle_timeout<S: ReadStore<File = F>>(
        &mut self,
        peer: IpAddr,
        cx: &mut Context<'_, S>,
    ) -> ControlFlow<Ending> {
        let now = cx.now.mono;
        if self.next_look(cx.config) <= now {
            let size = self.follow.stat().size;
            self.look(peer, cx)?;
            // Only for this look nobody had told of a change.
            self.follow.note_missed_growth(size);
        }
        match self.keepalive.check(self.has_output(), cx.config, now) {
            Liveness::Fine => {}
            Liveness::Stalled => return Break(Ending::Stalled),
            Liveness::Silent => self.alive_due = true,
        }
        Continue(())
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do next.
    pub fn poll_timeout(&self, config: &Config) -> Mono {
        let deadline = self.keepalive.deadline(self.has_output(), config);
        self.next_look(config).min(deadline)
    }

    /// Fills `buf` with the answer line, file bytes or a keep-alive.
    pub fn output<S: ReadStore<File = F>>(
        &mut self,
        buf: &mut [u8],
        store: &S,
    ) -> io::Result<usize> {
        let head_len = self.head.len();
        // The answer line and the first bytes of the file go out in one packet.
        let Some((head, rest)) = buf.split_at_mut_checked(head_len) else {
            return Ok(0);
        };
        head.copy_from_slice(&self.head);
        if self.follow.ahead() == 0 {
            let Some(first) = rest.first_mut().filter(|_| self.alive_due) else {
                return Ok(head_len);
            };
            *first = classic::KEEP_ALIVE;
            return Ok(head_len + 1);
        }
        let wanted = usize::try_from(self.follow.ahead()).unwrap_or(usize::MAX);
        let wanted = wanted.min(rest.len());
        let body = &mut rest[..wanted];
        // A file that has become shorter gives fewer bytes or none. The next look sees why.
        let read = store.read_at(self.follow.file(), body, self.follow.offset())?;
        classic::mask(&mut body[..read]);
        Ok(head_len + read)
    }

    /// The socket took the first `len` bytes of the last output.
    pub fn consume_output(&mut self, len: usize, now: Mono) -> ControlFlow<Ending> {
        if len == 0 {
            return Continue(());
        }
        self.keepalive.moved(now);
        let from_head = len.min(self.head.len());
        self.head.drain(..from_head);
        // A stream lives for months and has no more use for the room of its answer line.
        self.head.shrink_to_fit();
        if len > from_head {
            self.follow.advance((len - from_head) as u64);
            self.alive_due = false;
        }
        self.check_end()
    }

    /// Checks that the parts agree with each other; in release builds it does nothing.
    pub fn check_invariants(&self) {
        self.follow.check_invariants();
    }

    /// Whether there is something the client has not taken yet.
    fn has_output(&self) -> bool {
        !self.head.is_empty() || self.follow.ahead() > 0 || self.alive_due
    }

    /// The client comes back with all of the file and must be given the next generation, even where
    /// this one is still written to, or is gone.
    fn note_completed<S>(&self, peer: IpAddr, cx: &mut Context<'_, S>) {
        let (stat, size) = (*self.follow.stat(), self.follow.offset());
        let inode = stat.id.inode;
        if self.follow.is_left_behind(cx.now.mono) {
            cx.sightings
                .was_left_behind(self.index, inode, stat.mtime_ns, size);
        } else {
            cx.sightings
                .was_completed(self.index, inode, stat.mtime_ns, size);
        }
        if stat.links == 0 {
            // Once we close it, the next file may be given its inode, and must not be taken for the
            // same.
            cx.sightings.was_truncated(peer, self.index, inode, size);
        }
    }

    fn next_look(&self, config: &Config) -> Mono {
        self.follow.next_look(!self.has_output(), config)
    }
}
