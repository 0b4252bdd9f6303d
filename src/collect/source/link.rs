//! The link of a source to its server: the phase of the connection, what to think of a server that
//! closes without a word, and how long to wait before the next try.

use super::breaks::Breaks;
use super::v2::Frames;
use super::{Periods, Source};
use crate::backoff::Backoff;
use crate::collect::error::SourceError;
use crate::ids::Inode;
use crate::limits::{ANSWER_MAX_MS, REPLY_MAX_LEN, REQUEST_MAX_LEN, SILENT_CLOSES_MAX};
use crate::random::Random;
use crate::time::Mono;
use crate::wire::line::LineBuf;
use crate::wire::receiver::Receiver;

/// The link to the server.
pub(super) struct Link {
    phase: Phase,
    doubt: Doubt,
    backoff: Backoff,
    /// Whether the server offered a file that is not the start of our copy: it is not to do that
    /// again.
    no_prefix: bool,
    breaks: Breaks,
    form: Form,
    /// Whether the server spoke version 2 when it answered last.
    speaks_v2: bool,
    /// The number of tries since then that it took and did not answer.
    unanswered: u8,
    /// The end of the time in which a server that came free is tried often, and about how often.
    hurry: Option<(Mono, u64)>,
    /// Whether there was an answer in that time.
    is_through: bool,
    /// Whether the wait is for the sake of others.
    is_paused: bool,
    /// Whether the clock of the box was far from ours when it was told last.
    is_clock_far: bool,
}

/// The form in which a copy is proved that version 2 alone made, as far as the pointer knows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As it is. Whether a block of the proof holds a byte that classic may have sent for another.
    Exact { has_masked: bool },
    /// Mapped, since the server does not know the copy as it is.
    Mapped,
    /// As it is, and what the server makes of that is believed: mapped it was not known either.
    Settled,
}

/// The phase that the source is in.
pub(super) enum Phase {
    /// No connection until the moment comes.
    Waiting { until: Mono },
    /// No connection while a copy is worked on here; the end of the work ends the wait.
    Working,
    /// The connection is being made.
    Connecting { deadline: Mono },
    /// The request line is being written. It is kept on the heap, so that a streaming source stays
    /// small.
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
        /// The moment when something came last that was more than a keep-alive.
        moved_at: Mono,
        /// Whether something came that need not be asked for again.
        brought_something: bool,
        receiver: Box<Receiver>,
    },
}

/// A question that was asked: the generation, the place in it, and why.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub(super) inode: Inode,
    pub(super) offset: u64,
    pub(super) purpose: Purpose,
}

/// The purpose of a question.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To go on where the copy ends.
    Follow,
    /// To see, with inode 0, why a server does not answer.
    Probe,
    /// To learn the digest of a finished copy.
    Digest,
    /// To heal a finished copy.
    Heal,
    /// To fetch what the box has compressed.
    Archive,
    /// To compare the end of our copy.
    EndCheck,
}

/// The doubt about a server that closes without a word.
///
/// A fetchlogs 1.1 server does so for ever when the offset lies behind the end of the file. Asking
/// with inode 0 tells which generation is live: where ours is refused again after that, it was
/// truncated if the inode is the same, and is lost if it is another.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Doubt {
    /// So many silent closes in a row.
    Silent(u8),
    /// A probe has shown that this generation is live now; it counts only if ours is refused once
    /// more.
    Probed { live: Inode, silent: u8 },
}

impl Link {
    /// A link that makes its first try at once.
    pub(super) fn new(now: Mono) -> Link {
        Link {
            phase: Phase::Waiting { until: now },
            doubt: Doubt::Silent(0),
            backoff: Backoff::default(),
            no_prefix: false,
            breaks: Breaks::default(),
            form: Form::Exact { has_masked: false },
            speaks_v2: false,
            unanswered: 0,
            hurry: None,
            is_through: false,
            is_paused: false,
            is_clock_far: false,
        }
    }

    /// The phase.
    pub(super) fn phase(&self) -> &Phase {
        &self.phase
    }

    /// The phase, to go on within it.
    pub(super) fn phase_mut(&mut self) -> &mut Phase {
        &mut self.phase
    }

    /// Enters another phase.
    pub(super) fn enter(&mut self, phase: Phase) {
        self.phase = phase;
    }

    /// Takes the phase apart. Whoever does this enters one before anything else happens; until then
    /// nothing is done.
    pub(super) fn take_phase(&mut self, now: Mono) -> Phase {
        std::mem::replace(&mut self.phase, Phase::Waiting { until: now })
    }

    /// Whether a socket has to be open now.
    pub(super) fn wants_connection(&self) -> bool {
        !matches!(self.phase, Phase::Waiting { .. } | Phase::Working)
    }

    /// Whether nothing but work here is waited for.
    pub(super) fn is_working(&self) -> bool {
        matches!(self.phase, Phase::Working)
    }

    /// The moment when the phase is over, whatever happens; `None` while only work can end it.
    pub(super) fn deadline(&self, periods: &Periods) -> Option<Mono> {
        Some(match &self.phase {
            Phase::Working => return None,
            Phase::Waiting { until } => *until,
            Phase::Connecting { deadline }
            | Phase::Asking { deadline, .. }
            | Phase::Answering { deadline, .. } => *deadline,
            // Keep-alives count, so that a log to which nothing is written keeps its connection.
            Phase::Streaming { heard_at, .. } => heard_at.plus_ms(periods.idle_ms),
            Phase::Inquiring {
                heard_at, moved_at, ..
            } => {
                // Here they are not enough: the log is not followed meanwhile, and a server that
                // never comes to an end with its answer must not keep it away.
                let silent_at = heard_at.plus_ms(periods.idle_ms);
                silent_at.min(moved_at.plus_ms(ANSWER_MAX_MS))
            }
        })
    }

    /// The part of the request that is still to be sent.
    pub(super) fn output(&self) -> &[u8] {
        match &self.phase {
            Phase::Asking { line, sent, .. } => line.get(*sent..).unwrap_or_default(),
            _ => &[],
        }
    }

    /// Notes that the socket took so many bytes of the request. With the last of them the answer is
    /// waited for until `deadline`.
    pub(super) fn consume_output(&mut self, len: usize, deadline: Mono) {
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
                deadline,
            };
        }
    }

    /// Makes a waiting source try at once. One that works here is not disturbed.
    pub(super) fn retry_now(&mut self, now: Mono) {
        if let Phase::Waiting { until } = &mut self.phase {
            *until = now;
        }
    }

    /// Ends the work here, which is done or came to nothing: the server is tried at once.
    pub(super) fn end_work(&mut self, now: Mono) {
        if let Phase::Waiting { .. } | Phase::Working = self.phase {
            self.phase = Phase::Waiting { until: now };
        }
    }

    /// Waits after a connection for as long as is right after one that was good, or was not.
    pub(super) fn wait_after(&mut self, good: bool, retry_ms: u64, random: &mut Random, now: Mono) {
        let wait_ms = match (good, self.hurry.filter(|(until, _)| *until > now)) {
            (true, _) => self.backoff.after_success_ms(random),
            (false, Some((_, wait_ms))) => wait_ms / 2 + random.below(wait_ms),
            (false, None) => self.backoff.after_failure_ms(retry_ms, random),
        };
        self.phase = Phase::Waiting {
            until: now.plus_ms(wait_ms),
        };
    }

    /// Makes the next failure count as the first, because the connection lasted.
    pub(super) fn reset_backoff(&mut self) {
        self.backoff.reset();
    }

    /// What the breaks of the link have taught.
    pub(super) fn breaks(&self) -> &Breaks {
        &self.breaks
    }

    /// What the breaks of the link have taught, to learn more.
    pub(super) fn breaks_mut(&mut self) -> &mut Breaks {
        &mut self.breaks
    }

    /// The receiver of the frames that come, if any do.
    pub(super) fn receiver(&self) -> Option<&Receiver> {
        match &self.phase {
            Phase::Streaming { frames, .. } => frames.as_ref().map(|frames| frames.receiver()),
            Phase::Inquiring { receiver, .. } => Some(receiver),
            _ => None,
        }
    }

    /// Whether the server is not to offer the start of our copy.
    pub(super) fn no_prefix(&self) -> bool {
        self.no_prefix
    }

    /// Sets whether the server is not to offer the start of our copy.
    pub(super) fn set_no_prefix(&mut self, no_prefix: bool) {
        self.no_prefix = no_prefix;
    }

    /// Notes that the server answers, and how.
    pub(super) fn note_answer(&mut self, speaks_v2: bool) {
        self.speaks_v2 = speaks_v2;
        self.unanswered = 0;
    }

    /// Notes how a try ended that came to nothing.
    pub(super) fn note_failure(&mut self, error: &SourceError) {
        match error {
            // A server of version 2 has nobody wait for others.
            SourceError::AnswerTimeout if !self.speaks_v2 => {
                self.unanswered = self.unanswered.saturating_add(1);
            }
            // Where others wait for an answer this long, there may be no room among them.
            SourceError::AnswerTimeout | SourceError::ConnectTimeout => {}
            // The server is not busy, it is not there.
            SourceError::NotConnected(_) | SourceError::NoAddress => {
                self.unanswered = 0;
                self.end_hurry();
            }
            _ => self.unanswered = 0,
        }
    }

    /// Notes whether the clock of the box is far from ours; tells whether that is new.
    pub(super) fn note_clock(&mut self, is_far: bool) -> bool {
        std::mem::replace(&mut self.is_clock_far, is_far) != is_far
    }

    /// Whether the server spoke version 2 when it answered last.
    pub(super) fn speaks_v2(&self) -> bool {
        self.speaks_v2
    }

    /// The number of tries in a row that the server took and did not answer.
    pub(super) fn unanswered(&self) -> u8 {
        self.unanswered
    }

    /// Closes the connection, with which all is well, until the moment comes.
    pub(super) fn pause(&mut self, until: Mono) {
        self.backoff.reset();
        self.is_paused = true;
        self.phase = Phase::Waiting { until };
    }

    /// Comes back at `at` the latest, if the connection was closed for the sake of others.
    pub(super) fn end_pause(&mut self, at: Mono) {
        if let (true, Phase::Waiting { until }) = (self.is_paused, &mut self.phase) {
            *until = at.min(*until);
        }
    }

    /// Has the server tried soon, and about every `wait_ms` until the moment comes.
    pub(super) fn hurry(&mut self, until: Mono, wait_ms: u64, random: &mut Random, now: Mono) {
        self.hurry = Some((until, wait_ms));
        if let Phase::Waiting { until } = &mut self.phase {
            let at = now.plus_ms(wait_ms / 2 + random.below(wait_ms));
            *until = at.min(*until);
        }
    }

    /// Whether the server is tried often now.
    pub(super) fn is_hurried(&self, now: Mono) -> bool {
        self.hurry.is_some_and(|(until, _)| until > now)
    }

    /// Notes that the log is followed.
    pub(super) fn note_stream(&mut self) {
        self.end_hurry();
        self.is_paused = false;
    }

    fn end_hurry(&mut self) {
        self.is_through |= self.hurry.take().is_some();
    }

    /// Whether a server that was tried often has said all it has to say since this was asked last.
    pub(super) fn take_through(&mut self) -> bool {
        std::mem::take(&mut self.is_through)
    }

    /// The form in which the copy is proved.
    pub(super) fn form(&self) -> Form {
        self.form
    }

    /// Sets the form in which the copy is proved from now on.
    pub(super) fn set_form(&mut self, form: Form) {
        self.form = form;
    }

    /// Notes whether a block of the proof, as it is, holds a byte that classic may have sent.
    pub(super) fn note_proof(&mut self, has_masked: bool) {
        if let Form::Exact { .. } = self.form {
            self.form = Form::Exact { has_masked };
        }
    }

    /// Notes that the server closed without a word. Only a question that named a place in a
    /// generation can be wrong about it.
    pub(super) fn note_silent_close(&mut self, asked: Asked) {
        let names_a_place = matches!(asked.purpose, Purpose::Follow | Purpose::EndCheck);
        // PROTOCOL.md, "The probe": at offset 0 nothing can lie behind the end of a file, so the
        // silence has other reasons.
        if !names_a_place || asked.offset == 0 {
            // Nor is there more to find out in a hurry.
            self.end_hurry();
            return self.settle_doubt();
        }
        match &mut self.doubt {
            Doubt::Silent(n) | Doubt::Probed { silent: n, .. } => *n = n.saturating_add(1),
        }
    }

    /// Whether a server that closes without a word is to be asked with inode 0.
    pub(super) fn is_doubtful(&self) -> bool {
        match self.doubt {
            Doubt::Silent(n) => n >= SILENT_CLOSES_MAX,
            // The probe was answered, so the next question is our own again; its silence asks for
            // another probe.
            Doubt::Probed { silent, .. } => silent > 0,
        }
    }

    /// Notes the live generation that a probe has shown. Tells whether an earlier one had shown the
    /// same.
    pub(super) fn note_probe(&mut self, live: Inode) -> bool {
        let is_confirmed = matches!(self.doubt, Doubt::Probed { live: seen, .. } if seen == live);
        // Another live generation than last time: only two probes that agree count, as the file may
        // have been rotated between them.
        if !is_confirmed {
            self.doubt = Doubt::Probed { live, silent: 0 };
        }
        is_confirmed
    }

    /// Forgets the doubt, since the server answers.
    pub(super) fn settle_doubt(&mut self) {
        self.doubt = Doubt::Silent(0);
    }
}

impl<F> Source<F> {
    /// Whether the stream brought so much more than the breaks of the link had let expect that it
    /// is given up, between two frames, for one of longer frames. Tells it once.
    pub(super) fn is_outgrown(&mut self) -> bool {
        let Phase::Streaming {
            frames: Some(frames),
            ..
        } = self.link.phase()
        else {
            return false;
        };
        let is_between = frames.is_between() && !self.is_changing();
        let brought = frames.receiver().taken();
        is_between && self.link.breaks_mut().is_outgrown(brought)
    }
}
