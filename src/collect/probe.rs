//! `fetch_logs check`: one question to a server about one log, and what it answers. Pure.

use std::fmt;

use crate::collect::asking::Asking;
use crate::collect::config::{Proto, SourceConfig};
use crate::collect::error::{Closed, SourceError};
use crate::collect::family::Trouble;
use crate::ids::Inode;
use crate::limits::VERIFY_EXTRA_MAX_LEN;
use crate::time::Mono;
use crate::wire::escape::Escaped;
use crate::wire::frame::log::Log;
use crate::wire::frame::{ErrorCode, Frame};
use crate::wire::number::InodeWord;
use crate::wire::receiver::{Piece, Receiver};
use crate::wire::reply::{Mark, Reply};
use crate::wire::request::{Extension, Op, Request};

/// The question about one source, on its way.
pub struct Probe {
    phase: Phase,
    proto: Proto,
    /// The glob, where the question is which logs it finds.
    glob: Option<Vec<u8>>,
    wait_ms: u64,
    deadline: Mono,
    finding: Option<Finding>,
}

/// What came of it.
#[derive(Debug)]
pub enum Finding {
    /// The server serves the log by version 2, and has so many bytes of it now.
    Version2 {
        /// The size of its file.
        size: u64,
    },
    /// The server serves the log by the classic protocol.
    Classic,
    /// The server tells which logs there are.
    Listed {
        /// Their number.
        logs: usize,
    },
    /// The server does not, for this reason.
    Refused(String),
    /// There is no answer.
    Failed(SourceError),
}

enum Phase {
    Connecting,
    Asking(Asking),
    /// The reason for a refusal follows, or a list.
    Frames {
        receiver: Box<Receiver>,
        room: u64,
        is_refused: bool,
        logs: usize,
    },
}

impl Finding {
    /// Whether the log could be followed.
    pub fn is_good(&self) -> bool {
        matches!(
            self,
            Finding::Version2 { .. } | Finding::Classic | Finding::Listed { .. }
        )
    }

    /// Its word.
    pub fn word(&self) -> &'static str {
        match self {
            Finding::Version2 { .. } | Finding::Classic | Finding::Listed { .. } => "OK",
            Finding::Refused(_) => "REFUSED",
            Finding::Failed(_) => "UNREACHABLE",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::Version2 { size } => write!(f, "version 2, {size} bytes"),
            Finding::Classic => f.write_str("classic"),
            Finding::Listed { logs } => write!(f, "logs found: {logs}"),
            Finding::Refused(why) => f.write_str(why),
            // Nobody looks again here.
            Finding::Failed(SourceError::NoAddress) => f.write_str("its name has no address"),
            Finding::Failed(error) => error.fmt(f),
        }
    }
}

impl Probe {
    /// A question that needs a connection. Each step of it may take `wait_ms`.
    pub fn new(proto: Proto, now: Mono, wait_ms: u64) -> Probe {
        Probe {
            phase: Phase::Connecting,
            proto,
            glob: None,
            wait_ms,
            deadline: now.plus_ms(wait_ms),
            finding: None,
        }
    }

    /// The same, and the question is which logs this glob finds.
    pub fn for_logs(self, glob: Option<Vec<u8>>) -> Probe {
        Probe { glob, ..self }
    }

    /// What came of it, once it is over.
    pub fn finding(&self) -> Option<&Finding> {
        self.finding.as_ref()
    }

    /// The moment at which it is over, if nothing is heard before.
    pub fn deadline(&self) -> Mono {
        self.deadline
    }

    /// That moment may have come.
    pub fn handle_timeout(&mut self, now: Mono) {
        if self.deadline > now {
            return;
        }
        self.fail(match &self.phase {
            Phase::Connecting => SourceError::ConnectTimeout,
            Phase::Asking(asking) => asking.overdue(),
            Phase::Frames { .. } => SourceError::Silence,
        });
    }

    /// The connection stands.
    pub fn handle_connected(&mut self, config: &SourceConfig, now: Mono) {
        let extension = Extension {
            holes: true,
            notes: true,
            op: match self.glob {
                Some(_) => Op::List,
                None => Op::Stream,
            },
            ..Extension::default()
        };
        let request = Request {
            path: self.glob.as_deref().unwrap_or(&config.remote),
            inode: InodeWord::plain(Inode::NONE),
            offset: 0,
            v2: (self.proto != Proto::Classic).then_some(extension),
        };
        match request.to_line() {
            Some(line) => self.phase = Phase::Asking(Asking::new(line)),
            // The configuration takes no path that would not fit.
            None => self.fail(SourceError::NotALogServer),
        }
        self.deadline = now.plus_ms(self.wait_ms);
    }

    /// The part of the question that is still to be sent.
    pub fn output(&self) -> &[u8] {
        match &self.phase {
            Phase::Asking(asking) => asking.output(),
            _ => &[],
        }
    }

    /// The socket took the first `len` bytes of that.
    pub fn consume_output(&mut self, len: usize, now: Mono) {
        if let Phase::Asking(asking) = &mut self.phase
            && asking.consume_output(len)
        {
            self.deadline = now.plus_ms(self.wait_ms);
        }
    }

    /// The connection is gone, or could not be made.
    pub fn handle_closed(&mut self, closed: Closed) {
        self.fail(match &self.phase {
            Phase::Asking(asking) => asking.broken_off(closed),
            _ => closed.into(),
        });
    }

    /// Bytes came.
    pub fn handle_input(&mut self, mut input: &[u8]) {
        while self.finding.is_none() {
            let used = match &mut self.phase {
                Phase::Connecting => return,
                Phase::Asking(asking) => match asking.hear(input) {
                    Ok((_, None)) => return,
                    Ok((used, Some(reply))) => {
                        self.take_reply(reply);
                        used
                    }
                    Err(error) => return self.fail(error),
                },
                Phase::Frames {
                    receiver,
                    room,
                    is_refused,
                    logs,
                } => {
                    let is_end = input.is_empty();
                    let (used, piece) = receiver.next(input);
                    let is_whole = piece == Piece::Small;
                    let left = room.checked_sub(used as u64);
                    let is_odd = !matches!(piece, Piece::Nothing | Piece::Small);
                    let (Some(left), false) = (left, is_odd) else {
                        return self.fail(SourceError::NotALogServer);
                    };
                    *room = left;
                    if is_whole {
                        let is_list = self.glob.is_some();
                        let found = receiver.small(|frame| match frame {
                            Frame::Error { code, text } if *is_refused => {
                                Some(Finding::Refused(match code {
                                    ErrorCode::BadRequest if is_list => {
                                        Trouble::Unknown.to_string()
                                    }
                                    _ => Escaped(text).to_string(),
                                }))
                            }
                            Frame::Log(Log::Path(_)) => {
                                *logs += 1;
                                None
                            }
                            Frame::Alive { .. } if !*is_refused => {
                                Some(Finding::Listed { logs: *logs })
                            }
                            _ => None,
                        });
                        match found {
                            Ok(found) => self.finding = found,
                            Err(_) => return self.fail(SourceError::NotALogServer),
                        }
                    } else if used == 0 && is_end {
                        return;
                    }
                    used
                }
            };
            input = input.get(used..).unwrap_or_default();
        }
    }

    fn take_reply(&mut self, reply: Reply) {
        let is_list = self.glob.is_some();
        match (reply.mark, reply.v2) {
            (_, None) if is_list => {
                self.finding = Some(Finding::Refused(Trouble::Unknown.to_string()));
            }
            (mark, _) if mark == Mark::Refused || is_list => {
                self.phase = Phase::Frames {
                    receiver: Box::default(),
                    // A list of all that is told has room.
                    room: 4 * VERIFY_EXTRA_MAX_LEN,
                    is_refused: mark == Mark::Refused,
                    logs: 0,
                };
            }
            (_, Some(terms)) => self.finding = Some(Finding::Version2 { size: terms.size }),
            (_, None) if self.proto == Proto::V2 => self.fail(SourceError::OnlyClassic),
            (_, None) => self.finding = Some(Finding::Classic),
        }
    }

    fn fail(&mut self, error: SourceError) {
        if self.finding.is_none() {
            self.finding = Some(Finding::Failed(error));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::config::Config;

    fn config(options: &str) -> SourceConfig {
        let text = format!("10.0.0.1 19 /var/log/m /l/m /p/m {options}");
        let config = Config::parse(text.as_bytes()).unwrap();
        config.sources.into_iter().next().unwrap()
    }

    fn asked(options: &str) -> (Probe, String) {
        let config = config(options);
        let mut probe = Probe::new(config.proto, Mono::default(), 3000);
        probe.handle_connected(&config, Mono::default());
        let line = String::from_utf8(probe.output().to_vec()).unwrap();
        let len = line.len();
        probe.consume_output(1, Mono::default());
        probe.consume_output(len - 1, Mono::default());
        assert!(probe.output().is_empty());
        (probe, line)
    }

    /// What comes of an answer, in one piece and byte by byte.
    fn found(options: &str, answer: &[u8]) -> Option<String> {
        let text = |probe: &Probe| {
            let finding = probe.finding()?;
            Some(format!("{} {finding}", finding.word()))
        };
        let (mut whole, _) = asked(options);
        whole.handle_input(answer);
        let (mut bytewise, _) = asked(options);
        answer
            .chunks(1)
            .for_each(|byte| bytewise.handle_input(byte));
        assert_eq!(text(&whole), text(&bytewise));
        text(&whole)
    }

    #[test]
    fn a_question_asks_for_the_log_from_its_beginning() {
        assert!(asked("").1.starts_with("/var/log/m 0 0 v2"));
        assert_eq!(asked("proto=classic").1, "/var/log/m 0 0\n");
    }

    #[test]
    fn an_answer_says_whether_the_log_is_served() {
        let v2 = b"O 7 v2 at=0 size=12 m=5 b=00000009\nframes follow";
        assert_eq!(found("", v2).as_deref(), Some("OK version 2, 12 bytes"));
        assert_eq!(found("", b"O 7\nbytes").as_deref(), Some("OK classic"));
        assert_eq!(found("", b"O 7"), None);
        let only = found("proto=v2", b"O 7\n").unwrap();
        assert!(
            only.starts_with("UNREACHABLE the server speaks only the classic"),
            "{only}"
        );
        let other = found("", b"SSH-2.0-dropbear\r\n").unwrap();
        assert_eq!(other, "UNREACHABLE what answered is not a log server");
    }

    #[test]
    fn a_refusal_has_the_reason_of_the_server() {
        let mut answer = b"E 0 v2\n".to_vec();
        let frame = Frame::Error {
            code: ErrorCode::NoSuchFile,
            text: b"not in %files\x1b",
        };
        answer.extend_from_slice(&frame.to_bytes());
        let text = found("", &answer).unwrap();
        assert_eq!(text, "REFUSED not in %files\\x1b");
    }

    #[test]
    fn a_list_is_counted_and_a_server_that_knows_none_is_told_of() {
        let found = |answer: &[u8]| {
            let config = config("");
            let mut probe = Probe::new(config.proto, Mono::default(), 3000);
            probe = probe.for_logs(Some(b"/v/*".to_vec()));
            probe.handle_connected(&config, Mono::default());
            assert_eq!(probe.output(), b"/v/* 0 0 v2 x=holes,notes op=list\n");
            probe.consume_output(probe.output().len(), Mono::default());
            answer.chunks(1).for_each(|byte| probe.handle_input(byte));
            let finding = probe.finding().unwrap();
            format!("{} {finding}", finding.word())
        };
        let mut answer = b"O 1 v2 at=0 size=0 m=0 b=00000000\n".to_vec();
        Log::Begin.append_to(&mut answer);
        Log::Path(b"/v/a").append_to(&mut answer);
        answer.extend_from_slice(&Frame::Alive { size: 0 }.to_bytes());
        assert_eq!(found(&answer), "OK logs found: 1");
        let mut answer = b"E 0 v2\n".to_vec();
        let (code, text) = (ErrorCode::BadRequest, &b"what?"[..]);
        answer.extend_from_slice(&Frame::Error { code, text }.to_bytes());
        for answer in [&answer[..], b"O 7\n"] {
            let told = found(answer);
            assert!(told.starts_with("REFUSED the server cannot tell"), "{told}");
        }
    }

    #[test]
    fn silence_and_an_end_are_findings() {
        let (mut probe, _) = asked("");
        probe.handle_timeout(Mono::from_ms(2_999));
        assert!(probe.finding().is_none());
        probe.handle_timeout(Mono::from_ms(3_000));
        let finding = probe.finding().unwrap();
        assert!(matches!(
            finding,
            Finding::Failed(SourceError::AnswerTimeout)
        ));
        let (mut probe, _) = asked("");
        probe.handle_closed(Closed::ByServer);
        let finding = probe.finding().unwrap();
        assert!(matches!(
            finding,
            Finding::Failed(SourceError::ClosedSilently)
        ));
    }
}
