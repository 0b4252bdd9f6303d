//! The source driven by hand through every state, in virtual time, over a file system in memory.

use std::cell::RefCell;
use std::io;

use super::*;
use crate::collect::config::Config;
use crate::ids::Inode;
use crate::inside::fake::{Fake, Handle};
use crate::limits;
use crate::time::Wall;
use crate::wire::crc32::Crc32;
use crate::wire::frame::{self, Frame};
use crate::wire::md5;

mod breaks;
mod crumbs;
mod files;
mod given;
mod heal_room;
mod hooks;
mod intake;
mod left_out;
mod pace;
mod rescue;
mod restart;
mod taken_over;
mod unverified;

const PERIODS: Periods = Periods {
    retry_ms: 5_000,
    wait_ms: 3_000,
    idle_ms: 120_000,
};

/// A source, its disk and a virtual clock.
pub(super) struct Rig {
    pub(super) source: Source<Handle>,
    pub(super) disk: Fake,
    random: Random,
    pub(super) now_ms: u64,
    pub(super) boot: BootId,
    said: RefCell<Vec<String>>,
    hooks: Option<HookNews>,
}

impl Rig {
    pub(super) fn new() -> Rig {
        Rig::on(Fake::new())
    }

    pub(super) fn on(disk: Fake) -> Rig {
        Rig::configured(disk, "10.0.0.1 19 /var/log/m /l/m /p/m proto=classic")
    }

    /// One that offers version 2.
    pub(super) fn offering() -> Rig {
        Rig::configured(Fake::new(), "10.0.0.1 19 /var/log/m /l/m /p/m")
    }

    pub(super) fn configured(disk: Fake, line: &str) -> Rig {
        let config = Config::parse(line.as_bytes()).unwrap();
        let config = config.sources.into_iter().next().unwrap();
        Rig {
            source: Source::new(config, Mono::from_ms(1_000)),
            disk,
            random: Random::new(1),
            now_ms: 1_000,
            boot: BootId::new("first").unwrap(),
            said: RefCell::default(),
            hooks: None,
        }
    }

    pub(super) fn with<R>(
        &mut self,
        act: impl FnOnce(&mut Source<Handle>, &mut Context<'_, Fake>) -> R,
    ) -> R {
        let now = Now {
            mono: Mono::from_ms(self.now_ms),
            wall: Wall::from_ms(self.now_ms),
        };
        let said = &self.said;
        let mut store = self.disk.clone();
        let mut cx = Context {
            store: &mut store,
            now,
            stamp: &|_| "20261122132956".try_into().unwrap(),
            boot: Some(&self.boot),
            periods: &PERIODS,
            random: &mut self.random,
            hooks: self.hooks.as_ref(),
            events: &mut |_, event| said.borrow_mut().push(event.to_string()),
        };
        let result = act(&mut self.source, &mut cx);
        let next = self.source.link.deadline(&PERIODS);
        // The server cannot be silent while nobody reads what it says.
        let waits = self.source.is_changing();
        let is_past = next.is_some_and(|next| next.ms() < self.now_ms) && !waits;
        assert!(!is_past, "a deadline in the past");
        result
    }

    /// Jumps to the source's next deadline, past whatever else comes before.
    pub(super) fn wait(&mut self) {
        while self.source.poll_timeout(&PERIODS) < self.source.link.deadline(&PERIODS) {
            self.time_out();
        }
        self.time_out();
    }

    pub(super) fn time_out(&mut self) {
        self.now_ms = self
            .now_ms
            .max(self.source.poll_timeout(&PERIODS).unwrap().ms());
        self.with(|source, cx| source.handle_timeout(cx));
    }

    /// Waits for the next try and returns the request line.
    pub(super) fn connect(&mut self) -> String {
        assert!(!self.source.wants_connection());
        self.wait();
        assert!(self.source.wants_connection(), "{:?}", self.said());
        self.ask()
    }

    /// Returns the request line over the connection that is made.
    pub(super) fn ask(&mut self) -> String {
        self.with(|source, cx| source.handle_connected(cx));
        let line = self.source.output().to_vec();
        self.with(|source, cx| source.consume_output(line.len(), cx));
        // Who can inflate says so besides.
        String::from_utf8(line).unwrap().replace(",gz\n", "\n")
    }

    pub(super) fn receive(&mut self, bytes: &[u8]) {
        let mut bytes = bytes.to_vec();
        self.with(|source, cx| source.handle_input(&mut bytes, cx));
    }

    /// Takes a change that waits through its steps.
    fn change_with_barriers(&mut self) {
        while self.source.is_changing() && !self.with(|source, cx| source.step_change(cx)) {
            self.with(|source, cx| source.barrier(cx));
        }
    }

    pub(super) fn close(&mut self, closed: Closed) {
        self.with(|source, cx| source.handle_closed(closed, cx));
    }

    /// Does all that takes long.
    pub(super) fn work(&mut self) {
        while self.source.has_work() {
            self.with(|source, cx| source.work(&mut [0; 64], cx));
        }
    }

    pub(super) fn said(&self) -> Vec<String> {
        self.said.take()
    }

    pub(super) fn local(&self) -> Vec<u8> {
        self.disk.read("/l/m").unwrap_or_default()
    }

    pub(super) fn rotated(&self) -> Vec<u8> {
        self.disk.read("/l/m.20261122132956").unwrap_or_default()
    }

    /// A source that follows generation 7 and holds "abc" of it.
    pub(super) fn streaming() -> Rig {
        let mut rig = Rig::new();
        rig.connect();
        rig.receive(b"O 7\nabc");
        rig.said();
        rig
    }

    /// One that lost that connection and asked again.
    pub(super) fn asking_again() -> Rig {
        let mut rig = Rig::streaming();
        rig.close(Closed::ByServer);
        assert_eq!(rig.connect(), "/var/log/m 7 3\n");
        rig
    }
}

#[test]
fn a_record_that_cannot_be_the_servers_is_told_as_that() {
    let mut rig = Rig::offering();
    rig.connect();
    let error = io::Error::new(io::ErrorKind::InvalidData, "a record is not right");
    rig.close(Closed::Broken(error));
    let said = rig.said();
    assert!(said[0].contains("a record is not right"), "{said:?}");
    // What the network does says nothing of the kind.
    rig.connect();
    rig.close(Closed::Broken(io::Error::from_raw_os_error(104)));
    let said = rig.said();
    assert!(said[0].contains("closed without an answer"), "{said:?}");
}

// First contact.

#[test]
fn first_contact_asks_for_everything_and_creates_no_rotated_copy() {
    let mut rig = Rig::new();
    assert_eq!(rig.connect(), "/var/log/m 0 0\n");
    assert!(rig.source.in_error());
    rig.receive(b"O 7\nabc");
    assert!(!rig.source.in_error());
    assert_eq!(rig.local(), b"abc");
    assert_eq!(rig.disk.names(), ["/l/m", "/p/m"]);
    assert_eq!(rig.said(), ["following 7 from 0"]);
}

#[test]
fn answer_and_data_may_be_cut_anywhere() {
    let input = b"O 7\na\x07bc\x07";
    for cut in 0..=input.len() {
        let mut rig = Rig::new();
        rig.connect();
        rig.receive(&input[..cut]);
        rig.receive(&input[cut..]);
        assert_eq!(rig.local(), b"abc", "cut at {cut}");
    }
}

#[test]
fn the_request_may_be_sent_in_pieces() {
    let mut rig = Rig::new();
    rig.wait();
    rig.with(|source, cx| source.handle_connected(cx));
    let mut line = Vec::new();
    while let Some(byte) = rig.source.output().first().copied() {
        line.push(byte);
        rig.with(|source, cx| source.consume_output(1, cx));
    }
    assert_eq!(line, b"/var/log/m 0 0\n");
}

// Each deadline.

#[test]
fn every_silence_has_its_deadline_and_its_words() {
    let mut rig = Rig::new();
    rig.wait();
    let started = rig.now_ms;
    rig.wait();
    assert_eq!(
        (rig.now_ms - started, rig.said()),
        (3_000, vec!["cannot connect: no answer in time".into()])
    );

    let mut rig = Rig::new();
    rig.wait();
    rig.with(|source, cx| source.handle_connected(cx));
    rig.wait();
    assert_eq!(rig.said(), ["the request could not be sent in time"]);

    let mut rig = Rig::new();
    rig.connect();
    rig.receive(b"O ");
    rig.wait();
    assert_eq!(rig.said(), ["the server did not answer in time"]);

    let mut rig = Rig::streaming();
    let heard = rig.now_ms;
    rig.wait();
    assert_eq!(rig.now_ms - heard, 120_000);
    assert_eq!(
        rig.said(),
        ["connection lost: nothing was heard for too long"]
    );
    assert!(rig.source.in_error());
}

#[test]
fn a_keep_alive_is_life_but_not_data() {
    let mut rig = Rig::streaming();
    rig.now_ms += 100_000;
    rig.receive(b"\x07");
    rig.now_ms += 100_000;
    rig.with(|source, cx| source.handle_timeout(cx));
    assert!(rig.source.wants_connection());
    assert_eq!(rig.local(), b"abc");
    rig.close(Closed::ByServer);
    assert_eq!(rig.connect(), "/var/log/m 7 3\n");
}

// Failures.

#[test]
fn the_same_failure_is_told_once_and_tried_ever_more_rarely() {
    let mut rig = Rig::new();
    let mut waits = Vec::new();
    for _ in 0..6 {
        rig.wait();
        rig.close(Closed::NotMade(io::Error::from_raw_os_error(111)));
        let from = rig.now_ms;
        waits.push(rig.source.poll_timeout(&PERIODS).unwrap().ms() - from);
    }
    assert_eq!(rig.said().len(), 1);
    assert!(waits[0] >= 3_750 && waits[0] <= 6_250, "{waits:?}");
    assert!(waits[5] >= 45_000 && waits[5] <= 75_000, "{waits:?}");
    rig.wait();
    rig.close(Closed::NotMade(io::Error::from_raw_os_error(113)));
    assert_eq!(rig.said().len(), 1, "another failure is news");
}

#[test]
fn recovery_is_told() {
    let mut rig = Rig::asking_again();
    rig.close(Closed::Broken(io::Error::from_raw_os_error(104)));
    assert!(rig.source.in_error());
    rig.said();
    rig.connect();
    rig.receive(b"O 7\n");
    assert_eq!(rig.said(), ["following 7 from 3"]);
    assert!(!rig.source.in_error());
}

#[test]
fn garbage_is_given_up() {
    for garbage in [
        &b"HTTP/1.1 400 Bad Request\r\n"[..],
        b"O x\n",
        b"\n",
        &[b'O'; 300],
        &[0; 300],
    ] {
        let mut rig = Rig::asking_again();
        rig.receive(garbage);
        assert!(!rig.source.wants_connection());
        assert_eq!(rig.said(), ["what answered is not a log server"]);
        assert_eq!(rig.local(), b"abc");
    }
}

#[test]
fn a_server_that_talks_before_it_is_asked_is_no_log_server() {
    let mut rig = Rig::new();
    rig.wait();
    rig.with(|source, cx| source.handle_connected(cx));
    rig.receive(b"SSH-2.0-OpenSSH\r\n");
    assert_eq!(rig.said(), ["what answered is not a log server"]);
}

// What the answer may say.

#[test]
fn the_same_generation_goes_on() {
    let mut rig = Rig::asking_again();
    rig.receive(b"O 7\ndef");
    assert_eq!(rig.local(), b"abcdef");
    assert!(
        rig.said().is_empty(),
        "a reconnection that works is no event"
    );
}

#[test]
fn a_good_connection_that_ends_is_tried_again_at_once_and_is_no_error() {
    let mut rig = Rig::streaming();
    rig.close(Closed::ByServer);
    assert!(!rig.source.in_error());
    assert!(rig.source.poll_timeout(&PERIODS).unwrap().ms() - rig.now_ms < 200);
    assert!(rig.said().is_empty());
}

#[test]
fn a_server_that_answers_and_closes_at_once_is_not_hammered() {
    let mut rig = Rig::asking_again();
    rig.receive(b"O 7\n");
    rig.close(Closed::ByServer);
    assert!(rig.source.poll_timeout(&PERIODS).unwrap().ms() - rig.now_ms >= 3_750);
    assert!(rig.source.in_error());
}

#[test]
fn another_generation_rotates() {
    let mut rig = Rig::asking_again();
    rig.receive(b"O 8\nxyz");
    assert_eq!(
        (rig.rotated(), rig.local()),
        (b"abc".to_vec(), b"xyz".to_vec())
    );
    assert_eq!(
        rig.said(),
        ["rotated to 8; 3 bytes kept as /l/m.20261122132956"]
    );
}

#[test]
fn a_lost_generation_is_told_and_kept() {
    let mut rig = Rig::asking_again();
    rig.receive(b"L 8\nxyz");
    assert_eq!(
        (rig.rotated(), rig.local()),
        (b"abc".to_vec(), b"xyz".to_vec())
    );
    assert_eq!(
        rig.said()[0],
        "lost 7:3, unknown how many bytes: the server does not have what follows any more"
    );
}

/// What is told where something at the `nth` call after the server says that it lost ours ends the
/// first attempt.
fn told_in_spite_of(nth: u32, shares: bool, is_killed: bool) -> Vec<String> {
    const EIO: i32 = 5;
    let mut rig = Rig::asking_again();
    if shares {
        rig.source.share_barriers();
    }
    match is_killed {
        true => rig.disk.die_at_call(nth),
        false => rig.disk.fail_call(nth, EIO),
    }
    rig.receive(b"L 8\nxyz");
    rig.change_with_barriers();
    let mut told = rig.said();
    rig.disk.revive();
    let mut next = match is_killed {
        true => Rig::on(rig.disk),
        false => rig,
    };
    if !next.source.wants_connection() {
        let follows = match next.connect().starts_with("/var/log/m 7 ") {
            true => "L 8\nxyz",
            false => "O 8\nxyz",
        };
        next.receive(follows.as_bytes());
        next.change_with_barriers();
    }
    told.extend(next.said());
    assert_eq!(
        next.rotated(),
        b"abc",
        "{nth} {shares} {is_killed}: {told:?}"
    );
    told
}

#[test]
fn a_loss_is_told_once_by_whoever_finishes_the_rotation() {
    for (shares, is_killed) in [(false, true), (true, true), (false, false), (true, false)] {
        for nth in 1..30 {
            let told = told_in_spite_of(nth, shares, is_killed);
            let losses = told.iter().filter(|line| line.starts_with("lost 7:3, "));
            assert_eq!(losses.count(), 1, "{nth} {shares} {is_killed}: {told:?}");
        }
    }
}

#[test]
fn a_truncated_generation_starts_over_whichever_way_its_inode_is_written() {
    for answer in ["L 07\nxyz", "L 7\nxyz"] {
        let mut rig = Rig::asking_again();
        rig.receive(answer.as_bytes());
        assert_eq!(
            (rig.rotated(), rig.local()),
            (b"abc".to_vec(), b"xyz".to_vec())
        );
        assert_eq!(
            rig.said(),
            ["truncated; 3 bytes kept as /l/m.20261122132956"]
        );
        rig.close(Closed::ByServer);
        assert_eq!(rig.connect(), "/var/log/m 7 3\n");
    }
}

// A classic server that closes without a word.

#[test]
fn truncation_on_a_silent_server_is_found_out_by_asking_with_inode_0() {
    let mut rig = Rig::asking_again();
    rig.close(Closed::ByServer);
    assert_eq!(rig.connect(), "/var/log/m 7 3\n");
    rig.close(Closed::ByServer);
    assert_eq!(rig.connect(), "/var/log/m 0 0\n");
    rig.receive(b"O 7\nx");
    assert_eq!(rig.connect(), "/var/log/m 7 3\n");
    rig.close(Closed::ByServer);
    assert_eq!(rig.connect(), "/var/log/m 0 0\n");
    rig.receive(b"O 7\nx");
    assert_eq!(
        (rig.rotated(), rig.local()),
        (b"abc".to_vec(), b"x".to_vec())
    );
}

#[test]
fn a_reset_says_nothing_about_the_file() {
    let mut rig = Rig::asking_again();
    for _ in 0..5 {
        rig.close(Closed::Broken(io::Error::from_raw_os_error(104)));
        assert_eq!(rig.connect(), "/var/log/m 7 3\n");
    }
}

#[test]
fn a_tunnel_that_closes_for_a_while_is_no_truncation() {
    let mut rig = Rig::asking_again();
    rig.close(Closed::ByServer);
    rig.connect();
    rig.close(Closed::ByServer);
    assert_eq!(rig.connect(), "/var/log/m 0 0\n");
    rig.receive(b"O 7\nabcdef");
    assert_eq!(rig.connect(), "/var/log/m 7 3\n");
    rig.receive(b"O 7\ndef");
    assert_eq!(rig.local(), b"abcdef");
    assert_eq!(rig.disk.names(), ["/l/m", "/p/m"]);
}

#[test]
fn a_refusal_of_everything_changes_nothing() {
    let mut rig = Rig::asking_again();
    for _ in 0..12 {
        rig.close(Closed::ByServer);
        rig.connect();
    }
    assert_eq!(rig.local(), b"abc");
    assert_eq!(rig.disk.names(), ["/l/m", "/p/m"]);
    assert_eq!(rig.said().len(), 1);
}

#[test]
fn another_live_generation_counts_only_if_ours_is_refused_once_more() {
    let mut rig = Rig::asking_again();
    rig.close(Closed::ByServer);
    rig.connect();
    rig.close(Closed::ByServer);
    assert_eq!(rig.connect(), "/var/log/m 0 0\n");
    rig.receive(b"O 8\nnew");
    assert!(
        !rig.source.wants_connection(),
        "the data of the probe are not taken"
    );
    assert_eq!(rig.connect(), "/var/log/m 7 3\n");
    rig.close(Closed::ByServer);
    assert_eq!(rig.connect(), "/var/log/m 0 0\n");
    rig.said();
    rig.receive(b"O 8\nnew");
    assert_eq!(
        (rig.rotated(), rig.local()),
        (b"abc".to_vec(), b"new".to_vec())
    );
    assert_eq!(
        rig.said()[0],
        "lost 7:3, unknown how many bytes: the server does not have what follows any more"
    );
}

#[test]
fn a_generation_that_is_served_after_all_is_finished() {
    let mut rig = Rig::asking_again();
    rig.close(Closed::ByServer);
    rig.connect();
    rig.close(Closed::ByServer);
    rig.connect();
    rig.receive(b"O 8\nnew");
    rig.connect();
    rig.receive(b"O 7\ndef");
    assert_eq!(rig.local(), b"abcdef");
    rig.close(Closed::ByServer);
    assert_eq!(rig.connect(), "/var/log/m 7 6\n");
}

// The local side.

#[test]
fn a_full_disk_is_an_error_told_once_that_heals_by_itself() {
    let mut rig = Rig::streaming();
    rig.disk.set_room(Some(1));
    rig.receive(b"def");
    assert!(rig.source.in_error() && !rig.source.wants_connection());
    assert_eq!(rig.said().len(), 1);
    rig.disk.set_room(Some(0));
    for _ in 0..3 {
        assert_eq!(rig.connect(), "/var/log/m 7 4\n");
        rig.receive(b"O 7\n");
        assert!(rig.source.in_error(), "nothing was written yet");
        rig.receive(b"ef");
    }
    assert_eq!(rig.said().len(), 0);
    rig.disk.set_room(None);
    assert_eq!(rig.connect(), "/var/log/m 7 4\n");
    rig.receive(b"O 7\nef");
    assert_eq!(rig.local(), b"abcdef");
    assert!(!rig.source.in_error());
    assert_eq!(rig.said(), ["following 7 from 6"]);
}

#[test]
fn a_keep_alive_shows_that_nothing_is_left_to_write() {
    let mut rig = Rig::streaming();
    rig.disk.set_room(Some(3));
    rig.receive(b"defg");
    rig.disk.set_room(Some(0));
    assert_eq!(rig.connect(), "/var/log/m 7 6\n");
    rig.receive(b"O 7\n");
    assert!(rig.source.in_error());
    rig.receive(b"\x07");
    assert!(!rig.source.in_error());
}

#[test]
fn a_damaged_pointer_is_told_and_nothing_is_asked() {
    let disk = Fake::new();
    disk.write("/p/m", b"seven");
    disk.write("/l/m", b"abc");
    let mut rig = Rig::on(disk);
    rig.wait();
    assert!(!rig.source.wants_connection());
    assert!(rig.said()[0].contains("/p/m: the pointer file"));
    rig.disk.remove("/p/m");
    rig.disk.write("/p/m", b"7");
    assert_eq!(rig.connect(), "/var/log/m 7 0\n");
}

#[test]
fn reopening_unchanged_files_keeps_the_connection() {
    let mut rig = Rig::streaming();
    rig.with(|source, cx| source.reopen(cx));
    assert!(rig.source.wants_connection());
    rig.receive(b"def");
    assert_eq!(rig.local(), b"abcdef");
}

#[test]
fn reopening_a_file_that_was_taken_away_asks_again() {
    let mut rig = Rig::streaming();
    rig.disk.rename_now("/l/m", "/l/m.saved");
    rig.with(|source, cx| source.reopen(cx));
    assert!(!rig.source.wants_connection());
    assert_eq!(rig.connect(), "/var/log/m 7 0\n");
}

// Version 2.

fn data_frame(offset: u64, bytes: &[u8]) -> Vec<u8> {
    let mut frame = [&[0; frame::HEADER_LEN][..], &offset.to_be_bytes(), bytes].concat();
    frame::seal(frame::kind::DATA, &mut frame);
    frame
}

/// A HOLE frame.
fn hole_frame(offset: u64, len: u64) -> Vec<u8> {
    Frame::Hole { offset, len }.to_bytes().to_vec()
}

#[test]
fn a_hole_is_appended_as_bytes_are() {
    let mut rig = Rig::offering();
    rig.connect();
    rig.receive(b"O 7 v2 at=0 size=100008 m=1 b=00000001\n");
    rig.receive(&data_frame(0, b"ab"));
    rig.receive(&hole_frame(2, 100_000));
    rig.receive(&data_frame(100_002, b"behind"));
    let expected = [&b"ab"[..], &[0; 100_000], b"behind"].concat();
    assert!(rig.local() == expected);
    assert!(!rig.source.in_error());
    // Nowhere but at the end.
    rig.receive(&hole_frame(2, 100_000));
    assert!(rig.source.in_error());
    assert!(rig.local() == expected);
}

#[test]
fn a_copy_that_classic_had_a_part_in_is_proved_masked() {
    let mut rig = Rig::offering();
    rig.connect();
    rig.receive(b"O 7\nab\xff");
    rig.close(Closed::ByServer);
    rig.connect();
    rig.receive(b"O 7 v2 at=3 size=5 m=1 b=00000001\n");
    rig.receive(&data_frame(3, b"\x07c"));
    assert_eq!(rig.local(), b"ab\xff\x07c");
    rig.close(Closed::ByServer);
    let masked = Crc32::new().update(b"ab\xff\xffc").finish();
    let asked = rig.connect();
    let start = format!("/var/log/m 7 5 v2 p=0:5:{masked:08x}");
    assert!(asked.starts_with(&start), "{asked}");
    assert!(
        asked.ends_with(" m=1 b=00000001 c=1 x=holes,notes\n"),
        "{asked}"
    );
}

#[test]
fn a_copy_that_nobody_can_heal_does_not_hold_up_the_next_generation() {
    let mut rig = Rig::offering();
    rig.connect();
    rig.receive(b"O 7 v2 at=0 size=3 m=1 b=00000001\n");
    rig.receive(&data_frame(0, b"abc"));
    let end = frame::End {
        size: 3,
        reason: frame::Reason::Rotated,
        md5: Some([0; 16]),
    };
    let next = frame::Next {
        inode: Inode(8),
        mtime_ns: 2,
        after_loss: false,
    };
    rig.receive(&Frame::End(end).to_bytes());
    rig.receive(&Frame::Next(next).to_bytes());
    rig.work();
    let refusal = Frame::Error {
        code: frame::ErrorCode::Gone,
        text: b"gone",
    };
    for _ in 0..limits::HEAL_ATTEMPTS_MAX {
        let asked = rig.connect();
        assert!(asked.starts_with("/var/log/m 7 3 v2 p="), "{asked}");
        assert!(asked.ends_with(" op=sums:0:4096:1\n"), "{asked}");
        rig.receive(b"E 0 v2\n");
        rig.receive(&refusal.to_bytes());
    }
    let said = rig.said();
    assert!(said.iter().any(|text| text.contains("differs")), "{said:?}");
    assert!(rig.connect().starts_with("/var/log/m 8 0 v2"));
    rig.receive(b"O 8 v2 at=0 size=0 m=2 b=00000001\n");
    rig.receive(&data_frame(0, b"x"));
    assert_eq!(rig.local(), b"x");
    assert!(rig.source.in_error());
    assert_eq!(
        rig.disk.read("/l/m.gaps").unwrap(),
        b"20261122132956 /var/log/m /l/m.20261122132956 differs from the server's file: the server does not send it again\n"
    );
    rig.with(|source, cx| source.reopen(cx));
    assert!(rig.source.in_error(), "it stays on record");
    rig.disk.remove("/l/m.gaps");
    rig.with(|source, cx| source.reopen(cx));
    assert!(!rig.source.in_error(), "until that is taken away");
}

#[test]
fn a_late_digest_counts_only_for_the_generation_it_names() {
    let mut rig = Rig::offering();
    rig.connect();
    rig.receive(b"O 7 v2 at=0 size=3 m=1 b=00000001\n");
    rig.receive(&data_frame(0, b"abc"));
    let end = frame::End {
        size: 3,
        reason: frame::Reason::Rotated,
        md5: None,
    };
    let next = frame::Next {
        inode: Inode(8),
        mtime_ns: 2,
        after_loss: false,
    };
    rig.receive(&Frame::End(end).to_bytes());
    rig.receive(&Frame::Next(next).to_bytes());
    rig.said();
    for (inode, size) in [(6, 3), (7, 2), (7, 3)] {
        let mut of_abc = md5::Md5::new();
        of_abc.update(b"abc");
        let digest = Frame::Digest(frame::Digest {
            inode: Inode(inode),
            size,
            md5: Some(of_abc.finish()),
        });
        rig.receive(&digest.to_bytes());
        rig.work();
        let is_checked = rig.said().iter().any(|text| text.starts_with("verified"));
        assert_eq!(is_checked, (inode, size) == (7, 3));
    }
}

#[test]
fn generations_that_follow_each_other_too_fast_are_given_up_with_bytes_or_without() {
    for bytes in [&b""[..], b"x"] {
        let mut rig = Rig::offering();
        rig.connect();
        rig.receive(b"O 7 v2 at=0 size=0 m=1 b=00000001\n");
        let mut digest = md5::Md5::new();
        digest.update(bytes);
        let md5 = Some(digest.finish());
        let mut inode = 7;
        let mut rotate = |rig: &mut Rig| {
            inode += 1;
            let end = frame::End {
                size: bytes.len() as u64,
                reason: frame::Reason::Rotated,
                md5,
            };
            let next = frame::Next {
                inode: Inode(inode),
                mtime_ns: 2,
                after_loss: false,
            };
            rig.receive(&data_frame(0, bytes));
            rig.receive(&Frame::End(end).to_bytes());
            rig.receive(&Frame::Next(next).to_bytes());
            rig.work();
        };
        for _ in 0..2 {
            for _ in 0..limits::GENERATIONS_PER_PERIOD_MAX {
                rotate(&mut rig);
            }
            assert!(rig.source.wants_connection());
            rig.now_ms += limits::GENERATIONS_PERIOD_MS;
        }
        rotate(&mut rig);
        for _ in 0..limits::GENERATIONS_PER_PERIOD_MAX {
            assert!(rig.source.wants_connection());
            rotate(&mut rig);
        }
        assert!(!rig.source.wants_connection());
        let said = rig.said();
        assert!(
            said.iter()
                .any(|text| text.contains("one file after the other")),
            "{said:?}"
        );
    }
}

#[test]
fn a_loss_is_on_record_in_the_words_of_its_event() {
    for (told, words) in [
        (9, "at least 6 bytes"),
        (4, "at least 1 bytes"),
        (3, "unknown how many bytes"),
    ] {
        let mut rig = Rig::offering();
        rig.connect();
        rig.receive(b"O 7 v2 at=0 size=3 m=1 b=00000001\n");
        rig.receive(&data_frame(0, b"abc"));
        rig.receive(&Frame::Alive { size: told }.to_bytes());
        rig.close(Closed::ByServer);
        // A refusal in between says nothing about the file.
        rig.connect();
        rig.receive(b"E 0 v2\n");
        let code = frame::ErrorCode::Busy;
        rig.receive(&Frame::Error { code, text: b"" }.to_bytes());
        rig.connect();
        rig.said();
        rig.receive(b"L 9 v2 at=0 size=0 m=2 b=00000001 lost=1\n");
        let event = format!("lost 7:3, {words}: the server does not have what follows any more");
        assert_eq!(rig.said()[0], event);
        let record = rig.disk.read("/l/m.gaps").unwrap();
        let record = String::from_utf8(record).unwrap();
        assert_eq!(record, recorded(&event));
    }
}

/// The line on record of a loss with this event.
fn recorded(event: &str) -> String {
    format!(
        "20261122132956 /var/log/m {event}; what is held before it was last written at 20261122132956 and is now /l/m.20261122132956\n"
    )
}

#[test]
fn a_file_that_no_longer_begins_with_the_copy_is_told_as_that() {
    let mut rig = Rig::offering();
    rig.connect();
    rig.receive(b"O 7 v2 at=0 size=3 m=1 b=00000001\n");
    rig.receive(&data_frame(0, b"abc"));
    rig.close(Closed::ByServer);
    // Somebody writes to the copy.
    rig.disk.write("/l/m", b"xyz");
    rig.with(|source, cx| source.reopen(cx));
    rig.connect();
    rig.said();
    rig.receive(b"L 7 v2 at=0 size=9 m=1 b=00000001 lost=1\n");
    let said = rig.said();
    assert!(said[0].starts_with("lost 7:6, "), "{said:?}");
    assert!(
        said[0].ends_with("or the copy here was changed"),
        "{said:?}"
    );
    let record = rig.disk.read("/l/m.gaps").unwrap();
    let record = String::from_utf8(record).unwrap();
    assert_eq!(record, recorded(&said[0]));
    assert_eq!(rig.rotated(), b"abcxyz");
}

#[test]
fn what_goes_before_it_could_be_sent_is_on_record() {
    let mut rig = Rig::offering();
    rig.connect();
    rig.receive(b"O 7 v2 at=0 size=3 m=1 b=00000001\n");
    rig.receive(&data_frame(0, b"abc"));
    let end = frame::End {
        size: 3,
        reason: frame::Reason::Rotated,
        md5: None,
    };
    let next = frame::Next {
        inode: Inode(9),
        mtime_ns: 2,
        after_loss: true,
    };
    rig.said();
    rig.receive(&Frame::End(end).to_bytes());
    rig.receive(&Frame::Next(next).to_bytes());
    let event =
        "lost 7:3, unknown how many bytes: what follows went before the server could send it";
    assert_eq!(rig.said()[0], event);
    let record = rig.disk.read("/l/m.gaps").unwrap();
    let record = String::from_utf8(record).unwrap();
    assert_eq!(record, recorded(event));
    assert!(rig.source.in_error());
}

#[test]
fn a_loss_is_on_record_once_however_often_the_rotation_fails() {
    let mut rig = Rig::offering();
    rig.connect();
    rig.receive(b"O 7 v2 at=0 size=3 m=1 b=00000001\n");
    rig.receive(&data_frame(0, b"abc"));
    rig.close(Closed::ByServer);
    // Behind the calls that make the note, that which reads what was given, and those that make the
    // copy durable.
    for failing in [Some(12), Some(6), None] {
        rig.disk.revive();
        rig.connect();
        if let Some(nth) = failing {
            rig.disk.die_at_call(nth);
        }
        rig.receive(b"L 9 v2 at=0 size=0 m=2 b=00000001 lost=1\n");
    }
    assert_eq!(rig.rotated(), b"abc");
    let record = rig.disk.read("/l/m.gaps").unwrap();
    assert_eq!(record.iter().filter(|byte| **byte == b'\n').count(), 1);
}
