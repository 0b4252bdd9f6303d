//! A session driven by hand through every state, in virtual time, over a file system in memory.

mod astray;
mod left_out;
mod plan;
mod steps;

use std::net::Ipv4Addr;

use super::*;
use crate::inside::fake::{Fake, Handle};
use crate::limits::DRAIN_MAX_MS;
use crate::serve::find::journal::Journal;
use crate::serve::find::refusal::Refusal;
use crate::serve::find::sightings::Sightings;
use crate::store::{Kind, Writers};
use crate::time::{Now, Wall};
use crate::wire::classic;
use crate::wire::frame::{ErrorCode, Frame, kind};
use crate::wire::request::BadRequest;

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const CONFIG: &[u8] = b"$files{'/v/m'} = '/v/m.*[0-9]'; $delay_check = 5; $alive_interval = 60; \
                        $timeout_write = 50; $grace = 10;";

/// A session, its disk and a virtual clock.
struct Rig {
    session: Session<Handle>,
    disk: Fake,
    config: Config,
    journal: Journal,
    sightings: Sightings,
    now_ms: u64,
    work_buf: Vec<u8>,
}

impl Rig {
    fn new() -> Rig {
        let disk = Fake::new();
        disk.at_ms(1_000);
        Rig {
            session: Session::new(PEER, Mono::from_ms(1_000)),
            disk,
            config: Config::parse(CONFIG).unwrap(),
            journal: Journal::new(1),
            sightings: Sightings::new(),
            now_ms: 1_000,
            work_buf: vec![0; 64],
        }
    }

    /// A session that is sent "abc" of inode 7 and has taken all of it.
    fn streaming() -> Rig {
        let mut rig = Rig::new();
        rig.disk.write_as("/v/m", 7, b"abc");
        rig.disk.set_writers(7, Writers::Somebody);
        rig.input(b"/v/m 0 0\n");
        assert_eq!(rig.take(), b"O 7\nabc");
        rig
    }

    fn with<R>(
        &mut self,
        act: impl FnOnce(&mut Session<Handle>, &mut Context<'_, Fake>) -> R,
    ) -> R {
        let mut cx = Context {
            store: &self.disk,
            config: &self.config,
            journal: &self.journal,
            sightings: &mut self.sightings,
            now: Now {
                mono: Mono::from_ms(self.now_ms),
                wall: Wall::from_ms(self.now_ms),
            },
        };
        let result = act(&mut self.session, &mut cx);
        while self.session.has_work() {
            self.session.work(&mut self.work_buf, &mut cx);
        }
        result
    }

    fn input(&mut self, bytes: &[u8]) {
        self.with(|session, cx| session.handle_input(bytes, cx));
    }

    fn hint(&mut self) {
        self.with(|session, cx| session.handle_hint(cx));
    }

    /// Everything the session wants to send, taken `step` bytes at a time.
    fn take_by(&mut self, step: usize) -> Vec<u8> {
        self.take_with(256, step)
    }

    /// The same, the session having a buffer of so many bytes.
    fn take_with(&mut self, room: usize, step: usize) -> Vec<u8> {
        let mut all = Vec::new();
        let mut buf = vec![0; room];
        loop {
            // An answer goes on to be computed when what was there of it is taken.
            self.with(|_, _| ());
            let len = self
                .with(|session, cx| session.output(&mut buf, cx))
                .min(step);
            if len == 0 {
                return all;
            }
            all.extend_from_slice(&buf[..len]);
            let now = Mono::from_ms(self.now_ms);
            self.session.consume_output(&buf, len, now);
        }
    }

    fn take(&mut self) -> Vec<u8> {
        self.take_by(64)
    }

    /// Jumps to the session's next deadline.
    fn wait(&mut self) {
        let next = self.session.poll_timeout(&self.config).unwrap().ms();
        self.now_ms = self.now_ms.max(next);
        self.disk.at_ms(self.now_ms);
        self.with(|session, cx| session.handle_timeout(cx));
        if let Some(next) = self.session.poll_timeout(&self.config) {
            assert!(next.ms() > self.now_ms, "the next deadline lies after now");
        }
    }

    /// Lets time pass, deadline by deadline, until the session ends or `ms` have gone by.
    fn wait_ms(&mut self, ms: u64) {
        let until = self.now_ms + ms;
        while self.session.ending().is_none() {
            match self.session.poll_timeout(&self.config) {
                Some(next) if next.ms() <= until => self.wait(),
                _ => break,
            }
        }
        if self.session.ending().is_none() {
            self.now_ms = until;
            self.disk.at_ms(until);
        }
    }

    /// The same with a client that takes everything at once; returns what that was, keep-alives
    /// left out.
    fn listen_ms(&mut self, ms: u64) -> Vec<u8> {
        let until = self.now_ms + ms;
        let mut all = self.take();
        while self.session.ending().is_none() && self.now_ms < until {
            self.wait_ms(1_000);
            all.extend(self.take());
        }
        all.retain(|&byte| byte != classic::KEEP_ALIVE);
        all
    }

    fn ending(&self) -> &Ending {
        self.session.ending().expect("the session goes on")
    }
}

// The request line.

#[test]
fn the_request_may_come_in_any_pieces() {
    let line = b"/v/m 0 0\n";
    for cut in 0..line.len() {
        let mut rig = Rig::new();
        rig.disk.write_as("/v/m", 7, b"abc");
        rig.input(&line[..cut]);
        rig.input(&line[cut..]);
        assert_eq!(rig.take(), b"O 7\nabc", "cut at {cut}");
    }
}

#[test]
fn every_bad_request_has_its_ending() {
    type Check = fn(&Ending) -> bool;
    let cases: [(&[u8], Check); 7] = [
        (b"\n", |e| {
            matches!(e, Ending::BadRequest(BadRequest::Empty))
        }),
        (b"/v/m x 0\n", |e| {
            matches!(e, Ending::BadRequest(BadRequest::Inode))
        }),
        (b"/v/m 1 x\n", |e| {
            matches!(e, Ending::BadRequest(BadRequest::Offset))
        }),
        (b"/etc/passwd 0 0\n", |e| matches!(e, Ending::NotServed(_))),
        (b"/v/../v/m 0 0\n", |e| matches!(e, Ending::NotServed(_))),
        (b"/v/m 0 0\n\n", |e| matches!(e, Ending::Chatter)),
        (&[b'x'; REQUEST_MAX_LEN + 1], |e| {
            matches!(e, Ending::TooLong)
        }),
    ];
    for (line, is_right) in cases {
        let mut rig = Rig::new();
        rig.disk.write_as("/v/m", 7, b"abc");
        rig.input(line);
        assert!(
            is_right(rig.ending()),
            "{}: {}",
            String::from_utf8_lossy(line),
            rig.ending()
        );
        assert_eq!(rig.take(), b"");
        assert!(rig.session.poll_timeout(&rig.config).is_none());
    }
}

#[test]
fn a_bad_request_of_version_2_is_told_why() {
    for line in ["/v/m x 0 v2\n", "/v/m 1 x v2\n", "/v/m 1 1 v2 op=dance\n"] {
        let mut rig = Rig::new();
        rig.input(line.as_bytes());
        let answer = String::from_utf8_lossy(&rig.take()).into_owned();
        let (first, frame) = answer.split_once('\n').unwrap();
        assert!(first == "E 0 v2", "{line}: {answer}");
        assert!(frame.contains("\u{1}a request "), "{line}: {answer}");
        assert!(matches!(rig.ending(), Ending::BadRequest(_)));
    }
}

#[test]
fn a_question_about_a_generation_that_is_nowhere_is_told_that_it_is_gone() {
    let mut rig = Rig::new();
    rig.disk.write_as("/v/m", 7, b"abc");
    rig.input(b"/v/m 0 3 v2 p=0:3:00000000 op=digest\n");
    let text = b"/v/m: there is no such file any more".as_slice();
    let code = ErrorCode::Gone;
    let error = Frame::Error { code, text }.to_bytes();
    assert_eq!(rig.take(), [b"E 0 v2\n", &error[..]].concat());
    assert!(matches!(rig.ending(), Ending::Gone));
}

#[test]
fn random_bytes_end_in_an_ending_or_wait_for_more() {
    arbtest::arbtest(|u| {
        let mut rig = Rig::new();
        rig.disk.write_as("/v/m", 7, b"abc");
        let pieces: Vec<Vec<u8>> = u.arbitrary()?;
        for piece in pieces {
            rig.input(&piece);
        }
        assert_eq!(rig.take(), b"");
        Ok(())
    })
    .budget_ms(100);
}

#[test]
fn a_client_that_sends_no_line_is_late() {
    let mut rig = Rig::new();
    rig.input(b"/v/m");
    rig.wait();
    assert!(matches!(rig.ending(), Ending::Late));
    assert_eq!(rig.now_ms, 1_000 + REQUEST_TIMEOUT_MS);
}

#[test]
fn a_missing_file_closes_without_a_word() {
    let mut rig = Rig::new();
    rig.input(b"/v/m 0 0\n");
    assert!(matches!(rig.ending(), Ending::Refused(Refusal::Missing)));
    assert!(!rig.ending().is_noteworthy());
    assert_eq!(rig.take(), b"");
}

#[test]
fn a_fifo_is_never_served() {
    let mut rig = Rig::new();
    rig.disk.put_other("/v/m", Kind::Special);
    rig.input(b"/v/m 0 0\n");
    assert!(matches!(
        rig.ending(),
        Ending::Refused(Refusal::NotRegular(Kind::Special))
    ));
}

// Streaming.

#[test]
fn output_taken_in_any_pieces_is_the_same() {
    for step in 1..20 {
        let mut rig = Rig::new();
        rig.disk.write_as("/v/m", 7, b"a\x07b\0c\xffdefghijklmnop");
        rig.input(b"/v/m 7 1\n");
        assert_eq!(
            rig.take_by(step),
            b"O 7\n\xffb\0c\xffdefghijklmnop",
            "by {step}"
        );
    }
}

#[test]
fn at_the_end_of_the_file_a_sign_of_life_follows_the_answer() {
    let mut rig = Rig::new();
    rig.disk.write_as("/v/m", 7, b"abc");
    rig.input(b"/v/m 7 3\n");
    assert_eq!(rig.take(), b"O 7\n\x07");
    assert_eq!(rig.take(), b"");
}

#[test]
fn growth_is_sent_at_once_on_a_hint_and_at_the_check_without() {
    let mut rig = Rig::streaming();
    rig.disk.write("/v/m", b"def");
    rig.hint();
    assert_eq!(rig.take(), b"def");
    rig.disk.write("/v/m", b"ghi");
    rig.wait();
    assert_eq!(rig.take(), b"ghi");
    assert_eq!(rig.now_ms, 6_000);
}

#[test]
fn where_changes_are_told_a_look_comes_with_the_keep_alive() {
    let mut rig = Rig::streaming();
    rig.session.set_watched(true);
    assert_eq!(
        rig.session.poll_timeout(&rig.config),
        Some(Mono::from_ms(61_000))
    );
    rig.disk.write("/v/m", b"x");
    rig.hint();
    assert_eq!(rig.take(), b"x");
    assert_eq!(
        rig.session.poll_timeout(&rig.config),
        Some(Mono::from_ms(61_000))
    );
}

#[test]
fn a_change_that_was_not_told_makes_looks_come_at_every_check() {
    let mut rig = Rig::streaming();
    rig.session.set_watched(true);
    rig.disk.write("/v/m", b"x");
    rig.wait();
    assert_eq!(rig.take(), b"x");
    let checked_at = rig.now_ms;
    assert_eq!(
        rig.session.poll_timeout(&rig.config),
        Some(Mono::from_ms(checked_at + 5_000))
    );
}

#[test]
fn an_idle_client_gets_a_keep_alive_every_interval() {
    let mut rig = Rig::streaming();
    let mut beats = Vec::new();
    for _ in 0..40 {
        rig.wait();
        if rig.take() == b"\x07" {
            beats.push(rig.now_ms);
        }
    }
    assert_eq!(beats[..3], [61_000, 121_000, 181_000]);
}

#[test]
fn data_put_the_keep_alive_off() {
    let mut rig = Rig::streaming();
    rig.wait_ms(55_000);
    rig.disk.write("/v/m", b"d");
    rig.hint();
    assert_eq!(rig.take(), b"d");
    rig.wait_ms(59_000);
    assert_eq!(rig.take(), b"");
    rig.wait_ms(1_500);
    assert_eq!(rig.take(), b"\x07");
}

#[test]
fn a_client_that_takes_nothing_is_dropped() {
    let mut rig = Rig::streaming();
    rig.wait_ms(20_000);
    rig.disk.write("/v/m", b"def");
    rig.hint();
    rig.wait_ms(49_000);
    rig.wait_ms(2_000);
    assert!(matches!(rig.ending(), Ending::Stalled));
}

#[test]
fn a_client_that_takes_little_is_not_dropped() {
    let mut rig = Rig::streaming();
    rig.disk.write("/v/m", &[b'x'; 100]);
    rig.hint();
    let mut buf = [0; 64];
    for _ in 0..50 {
        rig.wait_ms(40_000);
        assert!(rig.with(|session, cx| session.output(&mut buf, cx)) > 0);
        let now = Mono::from_ms(rig.now_ms);
        rig.session.consume_output(&buf, 1, now);
    }
    assert!(rig.session.ending().is_none());
}

#[test]
fn a_client_that_talks_is_dropped() {
    let mut rig = Rig::streaming();
    rig.input(b"x");
    assert!(matches!(rig.ending(), Ending::Chatter));
}

#[test]
fn a_client_that_leaves_has_left() {
    let mut rig = Rig::streaming();
    rig.session.handle_closed();
    assert!(matches!(rig.ending(), Ending::Left));
}

#[test]
fn a_truncated_file_ends_the_stream_and_is_remembered() {
    let mut rig = Rig::streaming();
    rig.disk.truncate_to("/v/m", 0);
    rig.hint();
    assert!(matches!(rig.ending(), Ending::Truncated));
    rig.disk.write("/v/m", b"xyz and more");
    rig.session = Session::new(PEER, Mono::from_ms(rig.now_ms));
    rig.input(b"/v/m 7 3\n");
    assert_eq!(rig.take(), b"L 07\nxyz and more");
}

#[test]
fn a_truncation_is_noticed_while_there_is_still_something_to_send() {
    let mut rig = Rig::streaming();
    rig.disk.write("/v/m", b"defghi");
    rig.hint();
    rig.disk.truncate_to("/v/m", 4);
    rig.wait();
    assert!(matches!(rig.ending(), Ending::Truncated));
}

// Rotation.

#[test]
fn a_rotated_file_is_drained_until_it_was_quiet_for_the_grace_time() {
    let mut rig = Rig::streaming();
    rig.disk.rename_now("/v/m", "/v/m.1");
    rig.disk.write_as("/v/m", 8, b"");
    rig.hint();
    rig.wait_ms(8_000);
    rig.disk.write_inode(7, b"late");
    rig.hint();
    assert_eq!(rig.take(), b"late");
    let written_ms = rig.now_ms;
    rig.wait_ms(60_000);
    assert!(matches!(rig.ending(), Ending::Rotated));
    assert_eq!(rig.now_ms, written_ms + 10_000);
}

#[test]
fn a_writer_that_never_moves_on_is_left_behind_in_the_end() {
    let mut rig = Rig::streaming();
    rig.disk.rename_now("/v/m", "/v/m.1");
    rig.disk.write_as("/v/m", 8, b"");
    rig.hint();
    let rotated_ms = rig.now_ms;
    while rig.session.ending().is_none() && rig.now_ms < 2 * DRAIN_MAX_MS {
        rig.disk.write_inode(7, b"x");
        rig.listen_ms(3_000);
    }
    assert!(matches!(rig.ending(), Ending::Rotated));
    assert!(rig.now_ms - rotated_ms >= DRAIN_MAX_MS);
    rig.disk.write_inode(7, b"x");
    let size = rig.disk.read("/v/m.1").unwrap().len() - 1;
    rig.session = Session::new(PEER, Mono::from_ms(rig.now_ms));
    rig.input(format!("/v/m 7 {size}\n").as_bytes());
    assert!(
        rig.take().starts_with(b"O 8\n"),
        "the next generation at last"
    );
}

#[test]
fn a_rotated_file_that_nobody_writes_to_ends_at_once() {
    let mut rig = Rig::streaming();
    rig.disk.write("/v/m", b"def");
    rig.disk.rename_now("/v/m", "/v/m.1");
    rig.disk.write_as("/v/m", 8, b"");
    rig.disk.set_writers(7, Writers::Nobody);
    rig.hint();
    assert_eq!(rig.take(), b"def", "what is there is sent first");
    rig.wait();
    assert!(matches!(rig.ending(), Ending::Rotated));
    assert_eq!(rig.now_ms, 1_000);
}

#[test]
fn without_a_new_live_file_the_old_one_stays_open() {
    let mut rig = Rig::streaming();
    rig.disk.rename_now("/v/m", "/v/m.1");
    rig.hint();
    assert_eq!(rig.listen_ms(600_000), b"");
    assert!(rig.session.ending().is_none());
    rig.disk.write_inode(7, b"def");
    assert_eq!(rig.listen_ms(6_000), b"def");
    rig.disk.write_as("/v/m", 8, b"");
    rig.wait_ms(60_000);
    assert!(matches!(rig.ending(), Ending::Rotated));
}

#[test]
fn a_deleted_file_is_drained_and_then_over() {
    let mut rig = Rig::streaming();
    rig.disk.remove("/v/m");
    rig.disk.write_inode(7, b"def");
    rig.hint();
    assert_eq!(rig.take(), b"def");
    rig.wait_ms(60_000);
    assert!(matches!(rig.ending(), Ending::Rotated));
}

#[test]
fn a_name_that_comes_back_makes_the_file_live_again() {
    let mut rig = Rig::streaming();
    rig.disk.rename_now("/v/m", "/v/m.1");
    rig.hint();
    rig.disk.rename_now("/v/m.1", "/v/m");
    rig.listen_ms(600_000);
    assert!(rig.session.ending().is_none());
}

#[test]
fn a_rotated_file_asked_for_later_ends_when_it_is_sent() {
    let mut rig = Rig::new();
    rig.disk.write_as("/v/m.1", 7, b"abc");
    rig.disk.at_ms(2_000);
    rig.disk.write_as("/v/m", 8, b"def");
    rig.now_ms = 100_000;
    rig.input(b"/v/m 7 1\n");
    assert_eq!(rig.take(), b"O 7\nbc");
    rig.wait();
    assert!(matches!(rig.ending(), Ending::Rotated));
    assert_eq!(rig.now_ms, 100_000);
}

#[test]
fn a_file_that_was_quiet_when_it_was_renamed_is_waited_for() {
    for held in 0..=3 {
        let mut rig = Rig::new();
        rig.disk.write_as("/v/m", 7, b"abc");
        rig.disk.set_writers(7, Writers::Somebody);
        rig.now_ms = 100_000;
        rig.disk.at_ms(rig.now_ms);
        rig.disk.rename_now("/v/m", "/v/m.1");
        rig.disk.write_as("/v/m", 8, b"next");
        rig.input(format!("/v/m 7 {held}\n").as_bytes());
        let answer = [b"O 7\n", &b"abc"[held..]].concat();
        assert!(rig.take().starts_with(&answer));
        assert_eq!(rig.listen_ms(5_000), b"");
        rig.disk.write_inode(7, b"late");
        assert_eq!(rig.listen_ms(60_000), b"late");
        assert!(matches!(rig.ending(), Ending::Rotated));
        assert_eq!(rig.now_ms, 120_000, "the check that sees it, and $grace");
        rig.session = Session::new(PEER, Mono::from_ms(rig.now_ms));
        rig.input(b"/v/m 7 7\n");
        assert_eq!(rig.take(), b"O 8\nnext");
    }
}

#[test]
fn a_write_between_the_last_look_and_the_end_is_not_lost() {
    let mut rig = Rig::streaming();
    rig.disk.rename_now("/v/m", "/v/m.1");
    rig.disk.write_as("/v/m", 8, b"");
    rig.hint();
    rig.disk.write_inode(7, b"late");
    rig.disk.set_writers(7, Writers::Nobody);
    rig.wait();
    assert!(rig.session.ending().is_none());
    assert_eq!(rig.take(), b"late");
    rig.wait();
    assert!(matches!(rig.ending(), Ending::Rotated));
}

#[test]
fn a_hint_before_the_answer_is_taken_does_not_put_the_end_off() {
    let mut rig = Rig::new();
    rig.disk.write_as("/v/m.1", 7, b"abc");
    rig.disk.write_as("/v/m", 8, b"def");
    rig.input(b"/v/m 7 3 v2\n");
    rig.hint();
    let answer = rig.take();
    assert!(answer.starts_with(b"O 7 v2 at=3 "));
    assert_eq!(frame_kinds(&answer), [kind::ALIVE]);
    rig.wait();
    assert_eq!(rig.now_ms, 1_000);
    let next = rig.take();
    assert_eq!(
        frame_kinds(&next),
        [kind::END, kind::NEXT, kind::DATA, kind::DIGEST]
    );
}

/// The lengths of the DATA frames behind the answer line, but for their offset.
fn data_lens(sent: &[u8]) -> Vec<usize> {
    let line = sent.iter().position(|&byte| byte == b'\n').unwrap();
    let mut rest = &sent[line + 1..];
    let mut lens = Vec::new();
    while let [kind, _, high, low, ..] = *rest {
        let len = usize::from(u16::from_be_bytes([high, low]));
        if kind == kind::DATA {
            lens.push(len - 8);
        }
        rest = &rest[8 + len..];
    }
    lens
}

#[test]
fn data_frames_are_no_longer_than_the_client_wants_them() {
    for (asked, lens) in [
        ("", vec![1_000]),
        (" f=400", vec![400, 400, 200]),
        (" f=1", vec![64; 15].into_iter().chain([40]).collect()),
        (" f=70000", vec![1_000]),
        (" f=400 op=range:0:900", vec![400, 400, 100]),
        (" f=0 op=range:10:100", vec![64, 36]),
        (" op=range:0:900", vec![900]),
        (" f=400 f=600", vec![600, 400]),
    ] {
        for step in [10, 4_096] {
            let mut rig = Rig::new();
            rig.disk.write_as("/v/m", 7, &[b'x'; 1_000]);
            rig.disk.set_writers(7, Writers::Somebody);
            rig.work_buf = vec![0; 4_096];
            rig.input(format!("/v/m 7 0 v2{asked}\n").as_bytes());
            assert_eq!(data_lens(&rig.take_with(4_096, step)), lens, "{asked}");
        }
    }
}

#[test]
fn a_length_of_frames_that_is_none_is_a_bad_request() {
    for bad in ["f", "f=", "f=x", "f=-1", "f=0x10"] {
        let mut rig = Rig::new();
        rig.disk.write_as("/v/m", 7, b"abc");
        rig.input(format!("/v/m 7 0 v2 {bad}\n").as_bytes());
        let sent = rig.take();
        assert!(sent.starts_with(b"E 0 v2\n"), "{bad}");
        assert_eq!(frame_kinds(&sent[7..]), [kind::ERROR], "{bad}");
    }
}

#[test]
fn a_hole_is_told_by_its_length_to_whoever_asks() {
    let hole = 150_000;
    let log = [&b"abc"[..], &vec![0; hole], b"behind"].concat();
    for (field, tells_holes, has_hole) in [
        (" x=holes", true, true),
        (" x=holes", false, false),
        ("", true, false),
        (" x=other", true, false),
    ] {
        let mut rig = Rig::new();
        rig.disk.write_as("/v/m", 7, &log);
        if tells_holes {
            rig.disk.tell_holes();
        }
        rig.input(format!("/v/m 0 0 v2{field}\n").as_bytes());
        let kinds = frame_kinds(&rig.take());
        assert_eq!(kinds.contains(&kind::HOLE), has_hole, "{field}");
        assert_eq!(kinds.len() < 500, has_hole, "{field}: {}", kinds.len());
    }
}

#[test]
fn zeros_at_the_end_wait_until_the_file_is_over() {
    let mut rig = Rig::new();
    rig.disk.write_as("/v/m", 7, b"abc\0\0\0\0\0\0\0\0\0");
    rig.disk.set_writers(7, Writers::Somebody);
    rig.input(b"/v/m 0 0 v2\n");
    let answer = rig.take();
    assert_eq!(frame_kinds(&answer), [kind::DATA, kind::ALIVE]);
    // The answer told 12.
    assert!(answer.ends_with(&Frame::Alive { size: 3 }.to_bytes()));
    rig.disk.at_ms(1_001);
    rig.disk.write_at(7, 3, b"de");
    rig.hint();
    let mut data = [&[0; 8][..], &3_u64.to_be_bytes(), b"de"].concat();
    crate::wire::frame::seal(kind::DATA, &mut data);
    assert_eq!(rig.take(), data);
    rig.hint();
    assert_eq!(rig.take(), b"");
    rig.wait_ms(60_000);
    assert_eq!(rig.take(), Frame::Alive { size: 5 }.to_bytes().to_vec());
    rig.disk.rename_now("/v/m", "/v/m.1");
    rig.disk.write_as("/v/m", 8, b"");
    rig.hint();
    assert_eq!(rig.take(), b"");
    rig.wait_ms(11_000);
    // The zeros come, and the writer, who keeps nothing back, has more time.
    assert_eq!(frame_kinds(&rig.take()), [kind::DATA]);
    rig.wait_ms(30_000);
    assert_eq!(rig.take(), b"");
    rig.disk.set_writers(7, Writers::Nobody);
    rig.wait_ms(5_000);
    let rest = rig.take();
    rig.wait_ms(1);
    let end = [rest, rig.take()].concat();
    // It was written to without becoming longer, so the digest is of the file as it is.
    assert_eq!(frame_kinds(&end), [kind::END, kind::NEXT, kind::DIGEST]);
    let mut md5 = crate::wire::md5::Md5::new();
    md5.update(b"abcde\0\0\0\0\0\0\0");
    assert!(end.ends_with(&md5.finish()));
}

#[test]
fn a_client_takes_little_memory() {
    use std::fs::File;
    assert!(size_of::<Session<File>>() <= 48);
    assert!(size_of::<V2Stream<File>>() <= 800);
    assert!(size_of::<ClassicStream<File>>() <= 176);
}

/// The kinds of the frames behind the answer line, or from the start if there is none.
fn frame_kinds(sent: &[u8]) -> Vec<u8> {
    let line = sent.iter().position(|&byte| byte == b'\n');
    let mut rest = match sent.first() {
        Some(b'O' | b'L') => &sent[line.unwrap() + 1..],
        _ => sent,
    };
    let mut kinds = Vec::new();
    while let [kind, _, high, low, ..] = *rest {
        // Where a generation is, is told besides.
        if kind != kind::FILE {
            kinds.push(kind);
        }
        rest = &rest[8 + usize::from(u16::from_be_bytes([high, low]))..];
    }
    kinds
}
