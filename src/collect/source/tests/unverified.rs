//! Copies whose digest did not come with their end, and copies that were finished before the
//! collector stopped.

use super::*;
use crate::limits::ANSWER_MAX_MS;
use crate::store::Kind;
use crate::wire::frame::{End, ErrorCode, Next, Reason, SUMS_MAX};

const COPY: &str = "/l/m.20261122132956";
const FOLLOWS_8: &[u8] = b"O 8 v2 at=0 size=0 m=2 b=00000001\n";
const ANSWERS_7: &[u8] = b"O 7 v2 at=0 size=3 m=1 b=00000001\n";

impl Rig {
    /// One that was given a generation with these bytes, its end with or without a digest, and the
    /// next one.
    fn finished(bytes: &[u8], md5: Option<[u8; 16]>) -> Rig {
        let mut rig = Rig::offering();
        rig.connect();
        rig.finish(7, bytes, md5);
        assert_eq!(rig.rotated(), bytes);
        rig.said();
        rig
    }

    fn finish(&mut self, inode: u64, bytes: &[u8], md5: Option<[u8; 16]>) {
        let size = bytes.len() as u64;
        let answer = format!("O {inode} v2 at=0 size={size} m=1 b=00000001\n");
        self.receive(answer.as_bytes());
        self.receive(&data_frame(0, bytes));
        self.end(inode, size, md5);
    }

    pub(super) fn end(&mut self, inode: u64, size: u64, md5: Option<[u8; 16]>) {
        let reason = Reason::Rotated;
        self.receive(&Frame::End(End { size, reason, md5 }).to_bytes());
        let next = Next {
            inode: Inode(inode + 1),
            mtime_ns: 2,
            after_loss: false,
        };
        self.receive(&Frame::Next(next).to_bytes());
    }

    /// The collector is killed and started again on the same disk.
    pub(super) fn restart(&mut self) {
        let config = self.source.config().clone();
        self.disk.revive();
        self.source = Source::new(config, Mono::from_ms(self.now_ms));
    }

    /// The server is asked for the digest of the copy.
    fn asks(&mut self, size: usize) {
        let asked = self.connect();
        let start = format!("/var/log/m 0 {size} v2 p=");
        assert!(asked.starts_with(&start), "{asked}");
        assert!(asked.ends_with(" op=digest\n"), "{asked}");
    }

    fn answers(&mut self, size: u64, md5: Option<[u8; 16]>) {
        self.receive(ANSWERS_7);
        let inode = Inode(99);
        self.receive(&Frame::Digest(frame::Digest { inode, size, md5 }).to_bytes());
    }

    fn refuses(&mut self, code: ErrorCode) {
        self.receive(b"E 0 v2\n");
        let text = b"why not";
        self.receive(&Frame::Error { code, text }.to_bytes());
    }

    fn follows(&mut self) {
        let asked = self.connect();
        assert!(asked.starts_with("/var/log/m 8 0 v2"), "{asked}");
        assert!(!asked.contains("op="), "{asked}");
        self.receive(FOLLOWS_8);
    }

    /// Lets two minutes pass, with a server that has this file and answers whatever is asked.
    fn heal(&mut self, theirs: &[u8]) {
        let until_ms = self.now_ms + 2 * limits::HEAL_AGAIN_MS;
        while self.now_ms < until_ms {
            self.work();
            if self.source.wants_connection() {
                self.time_out();
                continue;
            }
            let asked = self.connect();
            if asked.contains(" op=sums:") {
                self.receive(ANSWERS_7);
                self.receive(&sums_of(theirs, 4096));
            } else if asked.contains(" op=range:0:") {
                self.receive(ANSWERS_7);
                self.receive(&data_frame(0, theirs));
            } else {
                self.receive(FOLLOWS_8);
            }
        }
    }

    fn is_on_list(&self) -> bool {
        self.disk.exists("/p/m.unverified")
    }
}

fn md5_of(bytes: &[u8]) -> Option<[u8; 16]> {
    Some(md5::Md5::new().update(bytes).finish())
}

fn verified(bytes: &[u8]) -> String {
    let md5 = md5_of(bytes).unwrap_or_default();
    format!("verified md5={} {COPY}", md5::Hex(&md5))
}

#[test]
fn a_digest_that_the_connection_took_with_it_is_asked_for() {
    let mut rig = Rig::finished(b"abc", None);
    rig.close(Closed::ByServer);
    rig.asks(3);
    rig.answers(3, md5_of(b"abc"));
    rig.work();
    assert_eq!(rig.said(), [verified(b"abc")]);
    assert!(!rig.is_on_list());
    rig.follows();
    rig.close(Closed::ByServer);
    rig.follows();
    assert!(!rig.source.in_error());
}

#[test]
fn a_copy_that_no_descriptor_was_left_for_is_opened_again_soon() {
    const EMFILE: i32 = 24;
    let mut rig = Rig::finished(b"abc", md5_of(b"abc"));
    let finished_at_ms = rig.now_ms;
    for _ in 0..3 {
        rig.disk.fail_call(1, EMFILE);
        rig.work();
        assert_eq!(rig.said(), [""; 0]);
        assert!(rig.is_on_list() && rig.source.wants_connection());
        rig.time_out();
    }
    rig.work();
    assert_eq!(rig.said(), [verified(b"abc")]);
    assert!(!rig.is_on_list() && rig.source.wants_connection());
    let waited_ms = rig.now_ms - finished_at_ms;
    assert_eq!(waited_ms, 3 * limits::CHECK_AGAIN_MS);
}

#[test]
fn a_copy_that_the_disk_cannot_read_is_tried_again_before_that_is_told() {
    const EIO: i32 = 5;
    // The opening fails, or the reading.
    for nth in [1, 2] {
        for failures in [1, limits::CHECK_TRIES - 1, limits::CHECK_TRIES] {
            let mut rig = Rig::finished(b"abc", md5_of(b"abc"));
            for _ in 1..failures {
                rig.disk.fail_call(nth, EIO);
                rig.work();
                assert_eq!(rig.said(), [""; 0]);
                assert!(rig.is_on_list() && rig.source.wants_connection());
                rig.time_out();
            }
            rig.disk.fail_call(nth, EIO);
            rig.work();
            let said = rig.said();
            if failures == limits::CHECK_TRIES {
                assert!(said[0].contains("it cannot be read"), "{said:?}");
                assert!(rig.source.in_error() && !rig.is_on_list());
                continue;
            }
            assert_eq!(said, [""; 0]);
            rig.time_out();
            rig.work();
            assert_eq!(rig.said(), [verified(b"abc")]);
            assert!(!rig.source.in_error());
        }
    }
}

#[test]
fn it_is_asked_for_after_a_restart() {
    let mut rig = Rig::finished(b"abc", None);
    rig.restart();
    rig.asks(3);
    // A kill at this moment changes nothing.
    rig.restart();
    rig.asks(3);
    rig.answers(3, md5_of(b"abc"));
    rig.restart();
    rig.asks(3);
    rig.answers(3, md5_of(b"abc"));
    rig.work();
    assert_eq!(rig.said(), [verified(b"abc")]);
    rig.restart();
    rig.follows();
}

#[test]
fn a_digest_that_came_needs_no_server() {
    let mut rig = Rig::finished(b"abc", md5_of(b"abc"));
    rig.restart();
    rig.follows();
    rig.work();
    assert!(rig.said().contains(&verified(b"abc")));
    assert!(!rig.is_on_list());
}

#[test]
fn wherever_a_rotation_is_cut_off_its_copy_is_verified_once() {
    for nth in 1.. {
        let mut rig = Rig::offering();
        rig.connect();
        rig.receive(ANSWERS_7);
        rig.receive(&data_frame(0, b"abc"));
        rig.disk.die_at_call(nth);
        rig.end(7, 3, md5_of(b"abc"));
        rig.work();
        let was_through = rig.said().contains(&verified(b"abc"));
        rig.restart();
        let asked = rig.connect();
        if asked.starts_with("/var/log/m 7 3 ") {
            rig.receive(b"O 7 v2 at=3 size=3 m=1 b=00000001\n");
            rig.end(7, 3, md5_of(b"abc"));
        } else {
            assert!(asked.starts_with("/var/log/m 8 0 "), "{asked}");
        }
        rig.work();
        assert_eq!(rig.rotated(), b"abc", "{nth}");
        let is_said = rig.said().contains(&verified(b"abc"));
        assert!(was_through || is_said, "{nth}");
        assert!(!rig.is_on_list(), "{nth}");
        if was_through && !is_said {
            return;
        }
    }
}

#[test]
fn what_the_server_no_longer_has_is_told_once() {
    for code in [ErrorCode::NoSuchFile, ErrorCode::Gone] {
        let mut rig = Rig::finished(b"abc", None);
        rig.close(Closed::ByServer);
        rig.asks(3);
        rig.refuses(code);
        let told = format!("not verified {COPY}: the server no longer has it");
        assert_eq!(rig.said(), [told]);
        rig.follows();
        rig.restart();
        rig.follows();
        assert_eq!(rig.said().len(), 1, "only that it follows");
    }
}

/// A box that does not have the log any more refuses without a word about its copies.
#[test]
fn who_is_asked_no_more_is_given_up_and_that_is_told() {
    let mut rig = Rig::finished(b"abc", None);
    rig.close(Closed::ByServer);
    rig.asks(3);
    rig.refuses(ErrorCode::NotServed);
    assert!(rig.is_on_list());
    rig.with(|source, cx| source.give_up_asking(cx));
    let told = format!("not verified {COPY}: the server no longer has it");
    assert_eq!(rig.said(), [told]);
    assert!(!rig.is_on_list());
}

#[test]
fn what_the_server_has_less_of_is_told() {
    let mut rig = Rig::finished(b"abc", None);
    rig.close(Closed::ByServer);
    rig.asks(3);
    rig.answers(2, md5_of(b"ab"));
    let told = format!("not verified {COPY}: the server has only 2 of its 3 bytes now");
    assert_eq!(rig.said(), [told]);
    rig.follows();
}

#[test]
fn a_digest_of_an_unknown_kind_is_told_once_and_no_fault() {
    let told =
        format!("not verified {COPY}: the server's digest is of a kind that is not known here");
    let mut rig = Rig::finished(b"abc", None);
    rig.close(Closed::ByServer);
    rig.asks(3);
    rig.answers(3, None);
    assert_eq!(rig.said(), std::slice::from_ref(&told));
    rig.follows();

    let mut rig = Rig::finished(b"abc", None);
    let late = Frame::Digest(frame::Digest {
        inode: Inode(7),
        size: 3,
        md5: None,
    });
    rig.receive(&late.to_bytes());
    rig.receive(&data_frame(0, b"x"));
    assert_eq!(rig.local(), b"x");
    assert_eq!(rig.said(), [told]);
    assert!(!rig.is_on_list());
    rig.close(Closed::ByServer);
    assert!(rig.connect().starts_with("/var/log/m 8 1 v2"));
}

#[test]
fn a_server_that_does_not_answer_now_is_asked_again_after_the_next_stream() {
    let mut rig = Rig::finished(b"abc", None);
    rig.close(Closed::ByServer);
    type Answer = fn(&mut Rig);
    let answers: [Answer; 5] = [
        |rig| rig.refuses(ErrorCode::Busy),
        |rig| rig.close(Closed::ByServer),
        |rig| {
            rig.receive(ANSWERS_7);
            rig.close(Closed::ByServer);
        },
        |rig| rig.receive(&[ANSWERS_7, &data_frame(0, b"abc")[..]].concat()),
        |rig| {
            rig.receive(ANSWERS_7);
            let began = rig.now_ms;
            while rig.source.wants_connection() {
                rig.now_ms += 60_000;
                rig.receive(&Frame::Alive { size: 3 }.to_bytes());
                rig.with(|source, cx| source.handle_timeout(cx));
            }
            assert!(rig.now_ms - began <= ANSWER_MAX_MS);
        },
    ];
    for answer in answers {
        rig.asks(3);
        answer(&mut rig);
        rig.follows();
        rig.close(Closed::ByServer);
    }
    rig.asks(3);
    rig.answers(3, md5_of(b"abc"));
    rig.work();
    assert!(rig.said().contains(&verified(b"abc")));
}

#[test]
fn a_classic_server_is_not_asked_again_and_again() {
    let mut rig = Rig::finished(b"abc", None);
    rig.close(Closed::ByServer);
    rig.asks(3);
    rig.receive(b"O 8\n");
    for _ in 0..3 {
        let asked = rig.connect();
        assert!(asked.starts_with("/var/log/m 8 0 v2"), "{asked}");
        rig.receive(b"O 8\n");
        rig.close(Closed::ByServer);
    }
    assert!(rig.is_on_list(), "there may be another server some day");
}

#[test]
fn a_copy_that_differs_from_the_file_found_by_content_is_healed() {
    let theirs: Vec<u8> = (0..200u8).collect();
    let mut ours = theirs.clone();
    ours[70] ^= 1;
    let mut rig = Rig::finished(&ours, None);
    rig.close(Closed::ByServer);
    rig.asks(200);
    rig.answers(200, md5_of(&theirs));
    rig.work();
    let asked = rig.connect();
    assert!(asked.starts_with("/var/log/m 0 200 v2 "), "{asked}");
    assert!(asked.ends_with(" op=sums:0:32:7\n"), "{asked}");
    rig.receive(ANSWERS_7);
    rig.receive(&sums(&theirs));
    rig.work();
    let asked = rig.connect();
    assert!(asked.ends_with(" op=range:64:136\n"), "{asked}");
    rig.receive(ANSWERS_7);
    rig.receive(&data_frame(64, &theirs[64..]));
    rig.work();
    assert_eq!(rig.rotated(), theirs);
    assert!(rig.said().contains(&verified(&theirs)));
    assert!(!rig.is_on_list());
    rig.follows();
}

#[test]
fn what_there_is_no_room_to_heal_is_healed_later() {
    let theirs: Vec<u8> = (0..200u8).collect();
    let mut ours = theirs.clone();
    ours[70] ^= 1;
    for room in [0, 1, 100, 199] {
        let mut rig = Rig::finished(&ours, md5_of(&theirs));
        rig.disk.set_room(Some(room));
        rig.heal(&theirs);
        assert_eq!(rig.rotated(), ours);
        assert!(rig.is_on_list());
        assert!(!rig.disk.exists(&format!("{COPY}.healing")));
        assert!(rig.said().iter().any(|text| text.contains("cannot heal")));

        rig.disk.set_room(None);
        rig.heal(&theirs);
        assert_eq!(rig.rotated(), theirs, "{room}");
        assert!(rig.said().contains(&verified(&theirs)));
        assert!(!rig.disk.exists("/l/m.gaps") && !rig.is_on_list());
        if !rig.source.wants_connection() {
            rig.follows();
        }
        assert!(!rig.source.in_error(), "{room}");
    }
}

#[test]
fn what_a_killed_run_has_begun_to_heal_is_taken_away() {
    let theirs: Vec<u8> = (0..200u8).collect();
    let mut ours = theirs.clone();
    ours[70] ^= 1;
    let mut rig = Rig::finished(&ours, md5_of(&theirs));
    rig.work();
    let healing = format!("{COPY}.healing");
    rig.disk.write(&healing, b"begun");
    rig.disk.write("/l/m.other.healing", b"somebody's");
    rig.restart();
    rig.connect();
    assert!(!rig.disk.exists(&healing));
    assert!(rig.disk.exists("/l/m.other.healing"));

    rig.disk.put_other(&healing, Kind::Link);
    rig.restart();
    rig.connect();
    assert!(rig.disk.exists(&healing), "it is not ours");
}

/// The file found by content heals nothing: it is another one.
fn is_foreign(ours: &[u8], theirs: &[u8]) {
    let mut rig = Rig::finished(ours, None);
    let size = ours.len();
    rig.close(Closed::ByServer);
    rig.asks(size);
    rig.answers(size as u64, md5_of(theirs));
    rig.work();
    rig.connect();
    rig.receive(ANSWERS_7);
    rig.receive(&sums(theirs));
    rig.work();
    let told = format!("not verified {COPY}: the server has only another file that begins alike");
    assert!(rig.said().contains(&told), "{:?}", rig.said());
    assert_eq!(rig.rotated(), ours);
    assert!(!rig.is_on_list());
    rig.follows();
    assert!(!rig.source.in_error());
}

#[test]
fn a_file_that_merely_begins_alike_heals_nothing() {
    let ours: Vec<u8> = (0..200u8).collect();
    let mut theirs = ours.clone();
    theirs[70..].fill(0);
    is_foreign(&ours, &theirs);
}

#[test]
fn a_file_that_merely_ends_in_as_many_zeros_heals_nothing() {
    let preallocated = |first: u8| {
        let bytes = (first..first + 100).chain(std::iter::repeat(0));
        bytes.take(600).collect::<Vec<u8>>()
    };
    is_foreign(&preallocated(1), &preallocated(101));
}

/// While a rotation is cut short, its copy stands on the list alone. Another copy that is verified
/// meanwhile is no reason to write the list anew.
#[test]
fn what_is_verified_while_a_rotation_is_cut_short_leaves_its_copy_on_the_list() {
    const EMFILE: i32 = 24;
    // The calls of the rotation behind the one that makes the copy durable: where that fails, it is
    // compared first.
    for nth in 3..25 {
        let mut rig = Rig::finished(b"abc", md5_of(b"abc"));
        rig.receive(&data_frame(0, b"xyz"));
        rig.disk.fail_call(nth, EMFILE);
        rig.end(8, 3, md5_of(b"xyz"));
        rig.work();
        rig.disk.revive();
        rig.close(Closed::ByServer);
        let mut said = rig.said();
        for _ in 0..6 {
            let asked = rig.connect();
            if asked.contains(" op=") {
                let ours: &[u8] = match asked.contains("352441c2") {
                    true => b"abc",
                    false => b"xyz",
                };
                rig.answers(3, md5_of(ours));
            } else if let Some(rest) = asked.strip_prefix("/var/log/m 8 ") {
                let at: usize = rest.split(' ').next().unwrap().parse().unwrap();
                let answer = format!("O 8 v2 at={at} size=3 m=2 b=00000001\n");
                rig.receive(answer.as_bytes());
                if at < 3 {
                    rig.receive(&data_frame(at as u64, &b"xyz"[at..]));
                }
                rig.end(8, 3, md5_of(b"xyz"));
            } else {
                rig.receive(b"O 9 v2 at=0 size=0 m=2 b=00000001\n");
            }
            rig.work();
            rig.close(Closed::ByServer);
            said.extend(rig.said());
        }
        let verified = said.iter().filter(|text| text.starts_with("verified "));
        let copies: std::collections::BTreeSet<&str> = verified
            .map(|text| text.rsplit(' ').next().unwrap())
            .collect();
        assert_eq!(copies.len(), 2, "{nth}: {said:?}");
    }
}

#[test]
fn there_is_a_limit_to_what_waits() {
    let mut rig = Rig::finished(b"abc", None);
    for inode in 8..8 + limits::CHECKS_WAITING_MAX as u64 {
        rig.now_ms += limits::GENERATIONS_PERIOD_MS;
        rig.end(inode, 0, None);
    }
    let told = format!("not verified {COPY}: too many finished copies wait");
    let said = rig.said();
    assert_eq!(said.iter().filter(|text| **text == told).count(), 1);
    let others = said.iter().filter(|text| text.starts_with("not verified"));
    assert_eq!(others.count(), 1);
    let list = rig.disk.read("/p/m.unverified").unwrap();
    let lines = list.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(lines, limits::CHECKS_WAITING_MAX);
    rig.restart();
    rig.connect();
    assert_eq!(
        rig.source.finished.queue().all().count(),
        limits::CHECKS_WAITING_MAX
    );
}

#[test]
fn what_is_verified_of_a_longer_copy_is_told() {
    let mut rig = Rig::offering();
    rig.connect();
    rig.receive(ANSWERS_7);
    rig.receive(&data_frame(0, b"abc"));
    rig.close(Closed::ByServer);
    rig.connect();
    let crc = Crc32::new().update(b"ab").finish();
    let answer = format!("O 7 v2 at=2 size=2 m=1 b=00000001 prefix=0:2:{crc:08x} end=1\n");
    rig.receive(answer.as_bytes());
    rig.end(7, 2, md5_of(b"ab"));
    rig.work();
    assert_eq!(rig.rotated(), b"abc");
    let md5 = md5_of(b"ab").unwrap_or_default();
    let md5 = md5::Hex(&md5);
    let told = format!("verified md5={md5} of the first 2 of 3 bytes of {COPY}");
    let said = rig.said();
    assert!(said.contains(&told), "{said:?}");
    let record = rig.disk.read("/l/m.kept").unwrap();
    let record = String::from_utf8(record).unwrap();
    let words = format!("the server kept 2 of 3 bytes; ours are all in {COPY}");
    assert_eq!(record, format!("20261122132956 /var/log/m {words}\n"));
    assert!(said.contains(&words), "{said:?}");
}

#[test]
fn a_finished_copy_that_waits_keeps_no_interrupted_end_check_from_the_server() {
    let live = [b'x'; 5000];
    for (md5, next) in [
        (md5_of(b"abc"), "/var/log/m 8 5000 "),
        (Some([0; 16]), "/var/log/m 7 3 "),
    ] {
        let mut rig = Rig::finished(b"abc", md5);
        rig.receive(&data_frame(0, &live));
        rig.restart();
        rig.boot = BootId::new("second").unwrap();
        let asked = rig.connect();
        assert!(asked.ends_with(" op=sums:0:4096:1\n"), "{asked}");
        rig.receive(b"O 8 v2 at=0 size=5000 m=1 b=00000001\n");
        rig.receive(&sums_of(&live[..4096], 4096));
        assert!(rig.source.has_work() && !rig.source.wants_connection());
        rig.with(|source, cx| source.reopen(cx));
        rig.work();
        let began = rig.now_ms;
        let asked = rig.connect();
        assert!(asked.starts_with(next), "{asked}");
        assert!(rig.now_ms - began < 1_000, "it waited for nothing");
    }
}

/// Checksums of blocks of 32 bytes.
fn sums(bytes: &[u8]) -> Vec<u8> {
    sums_of(bytes, 32)
}

fn sums_of(bytes: &[u8], block_len: usize) -> Vec<u8> {
    let sums = bytes
        .chunks(block_len)
        .map(|block| Crc32::new().update(block).finish());
    assert!(bytes.len() <= block_len * SUMS_MAX);
    let end = bytes.len() as u64;
    let mut frame = [&[0; frame::HEADER_LEN + 8][..], &end.to_be_bytes()].concat();
    sums.for_each(|sum| frame.extend(sum.to_be_bytes()));
    frame::seal(frame::kind::SUMS, &mut frame);
    frame
}

#[test]
fn a_difference_that_cannot_be_put_on_record_is_looked_for_again() {
    let mut failures = 0;
    for nth in 1..10 {
        let mut rig = Rig::finished(b"abc", Some([0; 16]));
        rig.work();
        for attempt in 1..=limits::HEAL_ATTEMPTS_MAX {
            assert!(rig.connect().ends_with(" op=sums:0:4096:1\n"));
            if attempt == limits::HEAL_ATTEMPTS_MAX {
                rig.disk.fail_call(nth, 28);
            }
            rig.refuses(ErrorCode::Gone);
        }
        if rig
            .disk
            .read("/l/m.gaps")
            .is_some_and(|text| !text.is_empty())
        {
            continue;
        }
        failures += 1;
        assert!(rig.is_on_list(), "call {nth}");
        rig.restart();
        rig.follows();
        rig.work();
        assert!(rig.connect().ends_with(" op=sums:0:4096:1\n"));
    }
    assert!(failures > 0);
}
