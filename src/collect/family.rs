//! The question to a server which logs there are that a glob finds, and the list that comes for as
//! long as the connection stands. Pure.
//!
//! Nothing that a server says makes the list longer than [`MEMBERS_MAX`]. What its names are good
//! for, [`FamilyConfig::member`](super::config::family::FamilyConfig::member) decides.

use std::fmt;

use super::asking::Asking;
use super::error::{Closed, ProtocolError, SourceError};
use crate::backoff::Backoff;
use crate::ids::Inode;
use crate::limits::{LIST_RARELY_MS, MEMBERS_MAX, PATH_MAX_LEN};
use crate::random::Random;
use crate::time::Mono;
use crate::wire::escape::Escaped;
use crate::wire::frame::log::Log;
use crate::wire::frame::{ErrorCode, Frame};
use crate::wire::number::InodeWord;
use crate::wire::receiver::{Piece, Receiver};
use crate::wire::reply::Mark;
use crate::wire::request::{Extension, Op, Request};

/// Asks again and again, and has what was told last.
pub struct Family {
    phase: Phase,
    deadline: Mono,
    backoff: Backoff,
    /// What the server tells, as far as it is complete.
    logs: Logs,
    /// It is another list than the one that was taken last.
    is_new: bool,
    trouble: Option<Trouble>,
}

/// Paths on the box, in order.
#[derive(Clone, Default)]
pub struct Logs {
    /// Each once, at most [`MEMBERS_MAX`].
    pub paths: Vec<Box<[u8]>>,
    /// There are more.
    pub is_cut: bool,
}

/// Why there is no list now.
#[derive(Debug)]
pub enum Trouble {
    /// The connection, or what came over it.
    Source(SourceError),
    /// The server does not know the question.
    Unknown,
}

/// How long to wait.
#[derive(Clone, Copy)]
pub struct Waits {
    /// After a first failure.
    pub retry_ms: u64,
    /// For each of connecting, asking and the answer.
    pub wait_ms: u64,
    /// Without a byte for so long the connection is dead.
    pub idle_ms: u64,
}

enum Phase {
    Waiting,
    Connecting,
    Asking(Asking),
    Listening(Box<Listening>),
}

/// What comes behind the answer line.
struct Listening {
    receiver: Receiver,
    is_refused: bool,
    /// The list in the making.
    logs: Logs,
    has_begun: bool,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Source(SourceError::ClosedSilently) => f.write_str(
                "the server closed without an answer: it does not allow this host, or is one of fetchlogs 1.1, which cannot tell which logs there are",
            ),
            Trouble::Source(error) => error.fmt(f),
            Trouble::Unknown => f.write_str(
                "the server cannot tell which logs there are: it is older than this question; name each log, or bring the server up to date",
            ),
        }
    }
}

impl Family {
    /// Asks as soon as it can.
    pub fn new(now: Mono) -> Family {
        Family {
            phase: Phase::Waiting,
            deadline: now,
            backoff: Backoff::default(),
            logs: Logs::default(),
            is_new: false,
            trouble: None,
        }
    }

    /// Why there is no list now.
    pub fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    /// Whether a list was told over the present connection.
    pub fn is_listening(&self) -> bool {
        matches!(&self.phase, Phase::Listening(listening) if !listening.has_begun)
    }

    /// The list that is known.
    pub fn logs(&self) -> &Logs {
        &self.logs
    }

    /// Whether the list is another one than at the last call of [`take_logs`](Self::take_logs).
    pub fn has_news(&self) -> bool {
        self.is_new
    }

    /// The list, which is no news then.
    pub fn take_logs(&mut self) -> Logs {
        self.is_new = false;
        self.logs.clone()
    }

    /// Whether there has to be a connection.
    pub fn wants_connection(&self) -> bool {
        !matches!(self.phase, Phase::Waiting)
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do; before the next try, when
    /// that is.
    pub fn poll_timeout(&self) -> Mono {
        self.deadline
    }

    /// When the box is asked next, if that is waited for.
    pub fn next_try(&self) -> Option<Mono> {
        (!self.wants_connection()).then_some(self.deadline)
    }

    /// Asks at once, where it waits.
    pub fn try_at_once(&mut self, now: Mono) {
        if !self.wants_connection() {
            self.deadline = now;
        }
    }

    /// That moment has come.
    pub fn handle_timeout(&mut self, waits: Waits, now: Mono, random: &mut Random) {
        if self.deadline > now {
            return;
        }
        let error = match &self.phase {
            Phase::Waiting => {
                self.phase = Phase::Connecting;
                self.deadline = now.plus_ms(waits.wait_ms);
                return;
            }
            Phase::Connecting => SourceError::ConnectTimeout,
            Phase::Asking(asking) => asking.overdue(),
            Phase::Listening(_) => SourceError::Silence,
        };
        self.fail(Trouble::Source(error), waits, now, random);
    }

    /// The connection stands: what is to be asked is known.
    pub fn handle_connected(&mut self, glob: &[u8], waits: Waits, now: Mono) {
        let request = Request {
            path: glob,
            inode: InodeWord::plain(Inode::NONE),
            offset: 0,
            v2: Some(Extension {
                op: Op::List,
                ..Extension::default()
            }),
        };
        // The configuration takes no glob for which there is no room.
        let line = request.to_line().unwrap_or_default();
        self.phase = Phase::Asking(Asking::new(line));
        self.deadline = now.plus_ms(waits.wait_ms);
    }

    /// The part of the question that is still to be sent.
    pub fn output(&self) -> &[u8] {
        match &self.phase {
            Phase::Asking(asking) => asking.output(),
            _ => &[],
        }
    }

    /// The socket took the first `len` bytes of that.
    pub fn consume_output(&mut self, len: usize, waits: Waits, now: Mono) {
        if let Phase::Asking(asking) = &mut self.phase
            && asking.consume_output(len)
        {
            self.deadline = now.plus_ms(waits.wait_ms);
        }
    }

    /// The connection is gone, or could not be made.
    pub fn handle_closed(&mut self, closed: Closed, waits: Waits, now: Mono, random: &mut Random) {
        let error = match (&self.phase, closed) {
            (Phase::Waiting, _) => return,
            (Phase::Asking(asking), closed) => asking.broken_off(closed),
            (_, closed) => closed.into(),
        };
        // Who was told something comes back at once, as a source does.
        if self.is_listening() && error.is_ordinary() {
            self.phase = Phase::Waiting;
            self.deadline = now.plus_ms(self.backoff.after_success_ms(random));
            return;
        }
        self.fail(Trouble::Source(error), waits, now, random);
    }

    fn fail(&mut self, trouble: Trouble, waits: Waits, now: Mono, random: &mut Random) {
        let wait_ms = match trouble {
            Trouble::Unknown => LIST_RARELY_MS,
            Trouble::Source(_) => self.backoff.after_failure_ms(waits.retry_ms, random),
        };
        self.phase = Phase::Waiting;
        self.deadline = now.plus_ms(wait_ms);
        self.trouble = Some(trouble);
    }

    /// Bytes came.
    pub fn handle_input(&mut self, mut input: &[u8], waits: Waits, now: Mono, random: &mut Random) {
        loop {
            let used = match self.take(input, waits, now) {
                Ok(used) => used,
                Err(trouble) => return self.fail(trouble, waits, now, random),
            };
            match used {
                0 if input.is_empty() => return,
                _ => input = &input[used..],
            }
        }
    }

    /// Takes bytes from the front of `input`, and tells how many.
    fn take(&mut self, input: &[u8], waits: Waits, now: Mono) -> Result<usize, Trouble> {
        match &mut self.phase {
            Phase::Waiting | Phase::Connecting => Ok(input.len()),
            Phase::Asking(asking) => {
                let (used, reply) = asking.hear(input)?;
                let Some(reply) = reply else {
                    return Ok(used);
                };
                // Classic: a log has this very name there.
                if reply.v2.is_none() {
                    return Err(Trouble::Unknown);
                }
                self.phase = Phase::Listening(Box::new(Listening {
                    receiver: Receiver::new(),
                    is_refused: reply.mark == Mark::Refused,
                    logs: Logs::default(),
                    has_begun: true,
                }));
                self.deadline = now.plus_ms(waits.idle_ms);
                Ok(used)
            }
            Phase::Listening(listening) => {
                let (used, piece) = listening.receiver.next(input);
                match piece {
                    Piece::Nothing => {}
                    Piece::Small => {
                        // Half a frame is no sign of life: it may be the same half for ever.
                        self.deadline = now.plus_ms(waits.idle_ms);
                        if listening.hear()? {
                            self.logs = listening.logs.clone();
                            self.is_new = true;
                            self.trouble = None;
                            self.backoff.reset();
                        }
                    }
                    Piece::Bad(bad) => {
                        return Err(SourceError::from(ProtocolError::Frame(bad)).into());
                    }
                    _ => return Err(SourceError::from(ProtocolError::Order).into()),
                }
                Ok(used)
            }
        }
    }
}

impl Listening {
    /// Takes a frame. Tells whether a list is complete with it.
    fn hear(&mut self) -> Result<bool, Trouble> {
        let Listening {
            receiver,
            is_refused,
            logs,
            has_begun,
        } = self;
        let heard = receiver.small(|frame| match frame {
            Frame::Error {
                code: ErrorCode::BadRequest,
                ..
            } if *is_refused => Err(Trouble::Unknown),
            Frame::Error { text, .. } => {
                let text = Escaped(text).to_string();
                Err(SourceError::Refused(text.into()).into())
            }
            _ if *is_refused => Err(SourceError::from(ProtocolError::Order).into()),
            Frame::Log(Log::Begin) => {
                *logs = Logs::default();
                *has_begun = true;
                Ok(false)
            }
            // What changes nothing is no new list, however often it comes.
            Frame::Log(Log::Path(path)) => {
                *has_begun |= logs.add(path);
                Ok(false)
            }
            Frame::Log(Log::More) => {
                *has_begun |= !std::mem::replace(&mut logs.is_cut, true);
                Ok(false)
            }
            Frame::Log(Log::Other(_)) | Frame::Note(_) | Frame::File { .. } => Ok(false),
            Frame::Alive { .. } => Ok(std::mem::take(has_begun)),
            _ => Err(SourceError::from(ProtocolError::Order).into()),
        });
        heard.unwrap_or_else(|bad| Err(SourceError::from(ProtocolError::Frame(bad)).into()))
    }
}

impl Logs {
    /// Tells whether that is something new.
    fn add(&mut self, path: &[u8]) -> bool {
        let Err(at) = self.paths.binary_search_by(|known| (**known).cmp(path)) else {
            return false;
        };
        if self.paths.len() >= MEMBERS_MAX || path.len() > PATH_MAX_LEN {
            return !std::mem::replace(&mut self.is_cut, true);
        }
        self.paths.insert(at, path.into());
        true
    }
}

impl From<SourceError> for Trouble {
    fn from(error: SourceError) -> Trouble {
        Trouble::Source(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAITS: Waits = Waits {
        retry_ms: 100,
        wait_ms: 1_000,
        idle_ms: 5_000,
    };

    struct Rig {
        family: Family,
        random: Random,
        now: Mono,
    }

    impl Rig {
        /// One that has asked.
        fn asked() -> Rig {
            let now = Mono::from_ms(1_000);
            let mut rig = Rig {
                family: Family::new(now),
                random: Random::new(1),
                now,
            };
            rig.ask();
            rig
        }

        fn ask(&mut self) {
            self.turn(0);
            assert!(self.family.wants_connection());
            self.family.handle_connected(b"/v/*", WAITS, self.now);
            assert_eq!(self.family.output(), b"/v/* 0 0 v2 op=list\n");
            let len = self.family.output().len();
            self.family.consume_output(len, WAITS, self.now);
        }

        fn turn(&mut self, after_ms: u64) {
            self.now = self.now.plus_ms(after_ms);
            self.family
                .handle_timeout(WAITS, self.now, &mut self.random);
        }

        fn hear(&mut self, bytes: &[u8]) {
            let (family, random) = (&mut self.family, &mut self.random);
            family.handle_input(bytes, WAITS, self.now, random);
        }

        fn hear_list(&mut self, logs: &[Log<'_>]) {
            let mut bytes = Vec::new();
            logs.iter().for_each(|log| log.append_to(&mut bytes));
            bytes.extend_from_slice(&Frame::Alive { size: 0 }.to_bytes());
            bytes.chunks(1).for_each(|byte| self.hear(byte));
        }

        fn paths(&mut self) -> Option<Vec<String>> {
            let logs = self.family.has_news().then(|| self.family.take_logs())?;
            let text = |path: &[u8]| String::from_utf8_lossy(path).into_owned();
            Some(logs.paths.iter().map(|path| text(path)).collect())
        }
    }

    const ANSWER: &[u8] = b"O 1 v2 at=0 size=0 m=0 b=00000000\n";

    #[test]
    fn a_list_counts_once_it_is_complete_and_grows_until_it_begins_anew() {
        let mut rig = Rig::asked();
        rig.hear(ANSWER);
        let mut half = Vec::new();
        Log::Begin.append_to(&mut half);
        Log::Path(b"/v/b").append_to(&mut half);
        rig.hear(&half);
        assert!(rig.paths().is_none() && !rig.family.is_listening());
        rig.hear_list(&[Log::Path(b"/v/a"), Log::Path(b"/v/b"), Log::Other(3)]);
        assert!(rig.family.is_listening());
        assert_eq!(rig.paths().unwrap(), ["/v/a", "/v/b"]);
        rig.hear_list(&[]);
        assert!(rig.paths().is_none(), "a sign of life is no list");
        rig.hear_list(&[Log::Path(b"/v/c")]);
        assert_eq!(rig.paths().unwrap(), ["/v/a", "/v/b", "/v/c"]);
        rig.hear_list(&[Log::Begin, Log::Path(b"/v/c")]);
        assert_eq!(rig.paths().unwrap(), ["/v/c"]);
    }

    #[test]
    fn no_server_makes_the_list_longer_than_it_may_be() {
        let mut rig = Rig::asked();
        rig.hear(ANSWER);
        let names: Vec<Vec<u8>> = (0..1000).map(|n| format!("/v/{n}").into_bytes()).collect();
        let logs: Vec<Log<'_>> = names.iter().map(|name| Log::Path(name)).collect();
        rig.hear_list(&logs);
        assert!(rig.family.has_news());
        let logs = rig.family.take_logs();
        assert_eq!((logs.paths.len(), logs.is_cut), (MEMBERS_MAX, true));
    }

    #[test]
    fn who_does_not_know_the_question_is_asked_rarely() {
        let mut refusal = b"E 0 v2\n".to_vec();
        let (code, text) = (ErrorCode::BadRequest, &b"what?"[..]);
        refusal.extend_from_slice(&Frame::Error { code, text }.to_bytes());
        for answer in [&refusal[..], b"O 7\nbytes"] {
            let mut rig = Rig::asked();
            rig.hear(answer);
            assert!(matches!(rig.family.trouble(), Some(Trouble::Unknown)));
            rig.turn(LIST_RARELY_MS - 1);
            assert!(!rig.family.wants_connection());
            rig.ask_after(1);
            rig.hear(ANSWER);
            rig.hear_list(&[Log::Begin]);
            assert!(rig.family.trouble().is_none());
        }
    }

    impl Rig {
        fn ask_after(&mut self, ms: u64) {
            self.now = self.now.plus_ms(ms);
            self.ask();
        }
    }

    #[test]
    fn what_breaks_the_rules_and_silence_end_it() {
        for odd in [
            &b"SSH-2.0\r\n"[..],
            b"O 1 v2 at=0\n\x01\x00\x00\x08\x00\x00\x00\x00",
            b"O 1 v2 at=0\nxxxxxxxxxxxxxxxx",
        ] {
            let mut rig = Rig::asked();
            rig.hear(odd);
            rig.hear(&[0; 8]);
            assert!(rig.family.trouble().is_some(), "{odd:?}");
            assert!(!rig.family.wants_connection());
        }
        let mut rig = Rig::asked();
        rig.hear(ANSWER);
        rig.hear_list(&[Log::Begin]);
        rig.turn(WAITS.idle_ms - 1);
        assert!(rig.family.trouble().is_none());
        // Half a frame is no sign of life.
        rig.hear(&[2]);
        rig.turn(1);
        assert!(rig.family.trouble().is_some());
    }

    #[test]
    fn any_bytes_are_borne() {
        arbtest::arbtest(|u| {
            let mut rig = Rig::asked();
            if u.arbitrary()? {
                rig.hear(ANSWER);
            }
            while !u.is_empty() {
                let bytes: Vec<u8> = u.arbitrary()?;
                rig.hear(&bytes);
                rig.turn(u64::from(u.arbitrary::<u8>()?));
            }
            assert!(rig.family.logs.paths.len() <= MEMBERS_MAX);
            Ok(())
        })
        .budget_ms(200);
    }
}
