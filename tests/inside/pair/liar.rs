//! The source alone, before a server that lies: every good byte stays, the source is in error with
//! a clear word, and nothing spins.

use super::Pair;
use crate::collect::error::Closed;
use crate::ids::Inode;
use crate::limits::GENERATIONS_PER_PERIOD_MAX;
use crate::wire::frame::{
    DATA_MAX, Digest, End, ErrorCode, Frame, HEADER_LEN, Next, OPTIONAL, Reason, kind, seal,
};
use crate::wire::md5::Md5;

const ANSWER: &[u8] = b"O 7 v2 at=0 size=3 m=5 b=00000001\n";
const GOOD: &[u8] = b"abc";

/// A source that has asked, and what is sent to it.
struct Victim {
    pair: Pair,
}

impl Victim {
    fn new() -> Victim {
        Victim { pair: Pair::new() }
    }

    /// One that has the answer line and three good bytes.
    fn streaming() -> Victim {
        let mut victim = Victim::new();
        victim.connect();
        victim.hear(ANSWER);
        victim.hear(&data(0, GOOD));
        assert_eq!(victim.pair.local(), GOOD);
        assert!(!victim.pair.source.in_error());
        victim
    }

    /// Waits for the next try and returns the request.
    fn connect(&mut self) -> String {
        let pair = &mut self.pair;
        for _ in 0..10 {
            while pair.source.has_work() {
                pair.with_source(|source, cx, buf| source.work(buf, cx));
            }
            if pair.source.wants_connection() {
                pair.with_source(|source, cx, _| source.handle_connected(cx));
                let line = pair.source.output().to_vec();
                pair.with_source(|source, cx, _| source.consume_output(line.len(), cx));
                return String::from_utf8(line).unwrap();
            }
            let next = pair.source.poll_timeout(&super::PERIODS).unwrap().ms();
            if next > pair.mono_ms {
                pair.advance_to(next);
            }
            pair.with_source(|source, cx, _| source.handle_timeout(cx));
        }
        panic!("it does not connect\n{}", pair.report());
    }

    fn hear(&mut self, bytes: &[u8]) {
        let mut bytes = bytes.to_vec();
        self.pair
            .with_source(|source, cx, _| source.handle_input(&mut bytes, cx));
        while self.pair.change_files() {}
    }

    fn close(&mut self) {
        self.pair
            .with_source(|source, cx, _| source.handle_closed(Closed::ByServer, cx));
    }

    /// The lie was noticed: the connection is given up with these words, and what was good is kept.
    fn gave_up(&self, words: &str) {
        let report = || self.pair.report();
        assert!(!self.pair.source.wants_connection(), "{}", report());
        assert!(self.pair.source.in_error(), "{}", report());
        assert!(self.pair.says(words), "{words}\n{}", report());
        assert_eq!(self.pair.local(), GOOD, "{}", report());
        let wait_ms =
            self.pair.source.poll_timeout(&super::PERIODS).unwrap().ms() - self.pair.mono_ms;
        assert!(wait_ms >= 3_000, "it is not hammered");
    }
}

fn data(offset: u64, bytes: &[u8]) -> Vec<u8> {
    let mut frame = [&[0; HEADER_LEN][..], &offset.to_be_bytes(), bytes].concat();
    seal(kind::DATA, &mut frame);
    frame
}

/// A frame of any kind with any flags.
fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = [&[0; HEADER_LEN][..], payload].concat();
    seal(kind, &mut frame);
    let mut crc = crate::wire::frame::Header::start_crc(kind, flags, payload.len() as u16);
    crc.update(payload);
    frame[1] = flags;
    frame[4..HEADER_LEN].copy_from_slice(&crc.finish().to_be_bytes());
    frame
}

fn end(size: u64, md5: Option<[u8; 16]>) -> Vec<u8> {
    let reason = Reason::Rotated;
    Frame::End(End { size, reason, md5 }).to_bytes().to_vec()
}

fn next(inode: u64) -> Vec<u8> {
    Frame::Next(Next {
        inode: Inode(inode),
        mtime_ns: 6,
        after_loss: false,
    })
    .to_bytes()
    .to_vec()
}

fn md5(bytes: &[u8]) -> [u8; 16] {
    let mut md5 = Md5::new();
    md5.update(bytes);
    md5.finish()
}

#[test]
fn frames_that_do_not_belong() {
    let cases: [(Vec<u8>, &str); 17] = [
        (data(4, b"x"), "data that do not belong here"),
        (data(2, b"x"), "data that do not belong here"),
        (data(u64::MAX, b"x"), "data that do not belong here"),
        (end(2, None), "a size it was not sent with"),
        (end(4, None), "a size it was not sent with"),
        (next(8), "out of order"),
        (
            [end(3, None), end(3, None)].concat(),
            "a size it was not sent with",
        ),
        ([end(3, None), data(3, b"x")].concat(), "out of order"),
        (frame(77, 0, b"?"), "unknown frame, kind 77"),
        (frame(kind::SUMS, 0, &[0; 20]), "out of order"),
        (
            frame(kind::SUMS, 0, &[0; 16 + 4 * 1024 + 1]),
            "wrong length",
        ),
        (frame(kind::ALIVE, 0, &[0; 7]), "wrong length"),
        (frame(kind::ALIVE, 0, &[]), "wrong length"),
        (frame(kind::END, 0, &[0; 300]), "wrong length"),
        (frame(kind::DATA, 0, &[0; 7]), "wrong length"),
        (
            [end(3, None), frame(kind::NEXT, 0, &[0; 16])].concat(),
            "meaningless field",
        ),
        (
            frame(
                kind::END,
                0,
                &[[0; 7].as_slice(), &[3, 9], &[0; 17]].concat(),
            ),
            "meaningless field",
        ),
    ];
    for (frames, words) in cases {
        // Whole, and byte by byte.
        let mut victim = Victim::streaming();
        victim.hear(&frames);
        victim.gave_up(words);
        let mut victim = Victim::streaming();
        for byte in &frames {
            victim.hear(&[*byte]);
        }
        victim.gave_up(words);
        assert!(victim.pair.kept().is_empty());
        // It asks for the same again, and goes on if the server comes to its senses.
        assert!(victim.connect().starts_with("/v/m 7 3 v2 "));
        victim.hear(b"O 7 v2 at=3 size=6 m=5 b=00000001\n");
        victim.hear(&data(3, b"def"));
        assert_eq!(victim.pair.local(), b"abcdef");
        assert!(!victim.pair.source.in_error());
    }
}

#[test]
fn what_is_wrong_with_the_log_is_in_the_status_until_the_server_says_otherwise() {
    let error = |text: &str| {
        let text = text.as_bytes();
        let code = ErrorCode::NoSuchFile;
        Frame::Error { code, text }.to_bytes().to_vec()
    };
    let alive = Frame::Alive { size: 3 }.to_bytes().to_vec();
    let mut victim = Victim::streaming();
    let said = |victim: &Victim| victim.pair.report().matches("refuses: gone").count();
    victim.hear(&error("gone\n\x1b"));
    assert!(victim.pair.source.in_error());
    assert!(victim.pair.source.wants_connection(), "it is followed on");
    victim.hear(&error("gone\n\x1b"));
    victim.hear(&data(3, b"def"));
    assert_eq!(victim.pair.local(), b"abcdef");
    assert!(victim.pair.source.in_error(), "bytes do not end it");
    assert_eq!(said(&victim), 1, "{}", victim.pair.report());
    victim.hear(&alive);
    assert!(!victim.pair.source.in_error());
    // The next generation ends it, too, and what is told of that begins anew.
    victim.hear(&error("gone"));
    assert!(victim.pair.source.in_error());
    victim.hear(&[end(6, None), next(8)].concat());
    assert!(!victim.pair.source.in_error());
    victim.hear(&error("gone"));
    assert!(victim.pair.source.in_error());
    victim.hear(&data(0, b"x"));
    assert_eq!(victim.pair.local(), b"x");
    assert!(victim.pair.source.in_error());
    // The next connection has the last word.
    let mut victim = Victim::streaming();
    victim.hear(&error("gone"));
    victim.close();
    assert!(victim.connect().starts_with("/v/m 7 3 v2 "));
    assert!(victim.pair.source.in_error());
    victim.hear(b"O 7 v2 at=3 size=3 m=5 b=00000001\n");
    assert!(!victim.pair.source.in_error());
}

#[test]
fn an_error_between_two_generations_outlasts_the_change() {
    let mut victim = Victim::streaming();
    let error = Frame::Error {
        code: ErrorCode::NoSuchFile,
        text: b"gone",
    };
    victim.hear(&[end(3, None), next(8), error.to_bytes().to_vec()].concat());
    assert!(victim.pair.source.in_error());
    assert!(victim.pair.source.wants_connection());
}

#[test]
fn bytes_of_a_damaged_frame_are_taken_back() {
    let good = data(3, &[b'x'; 2_000]);
    for at in [0, 1, 2, 3, 4, 7, 8, 15, 16, 900, 2_015] {
        for step in [1, 7, 1_000, 5_000] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            bad.extend_from_slice(&[0; 70_000]);
            let mut victim = Victim::streaming();
            for piece in bad.chunks(step) {
                if victim.pair.source.wants_connection() {
                    victim.hear(piece);
                }
            }
            victim.gave_up("connection given up");
        }
    }
}

#[test]
fn bytes_of_an_unfinished_frame_are_taken_back() {
    let frame = data(3, b"defghi");
    for len in 1..frame.len() {
        let mut victim = Victim::streaming();
        victim.hear(&frame[..len]);
        victim.close();
        assert_eq!(victim.pair.local(), GOOD);
        assert!(victim.connect().starts_with("/v/m 7 3 v2 "));
    }
}

#[test]
fn an_unknown_frame_that_is_optional_is_skipped() {
    let mut victim = Victim::streaming();
    victim.hear(&frame(77, OPTIONAL, &[9; 65_000]));
    victim.hear(&data(3, b"def"));
    assert_eq!(victim.pair.local(), b"abcdef");
    victim.hear(&frame(200, OPTIONAL, b""));
    victim.hear(&data(6, b"g"));
    assert_eq!(victim.pair.local(), b"abcdefg");
}

#[test]
fn the_longest_frame_is_taken() {
    let mut victim = Victim::streaming();
    let bytes = vec![b'z'; DATA_MAX];
    victim.hear(&data(3, &bytes));
    assert_eq!(victim.pair.local().len(), 3 + DATA_MAX);
}

#[test]
fn a_storm_of_generations_is_stopped() {
    let mut victim = Victim::streaming();
    let mut storm = Vec::new();
    for number in 0..200 {
        storm.extend(end(if number == 0 { 3 } else { 0 }, Some(md5(b""))));
        storm.extend(next(8 + number));
    }
    victim.hear(&storm);
    assert!(victim.pair.source.in_error());
    assert!(
        victim.pair.says("one file after the other"),
        "{}",
        victim.pair.report()
    );
    assert_eq!(
        victim.pair.kept().len(),
        usize::from(GENERATIONS_PER_PERIOD_MAX)
    );
    assert_eq!(
        victim
            .pair
            .host
            .read(victim.pair.kept()[0].to_str().unwrap()),
        Some(GOOD.to_vec())
    );
}

/// Generations that come in one piece.
const AT_ONCE: usize = 64;

#[test]
fn many_small_generations_at_once_are_all_verified() {
    let mut victim = Victim::streaming();
    let mut all = Vec::new();
    for number in 0..=AT_ONCE as u64 {
        let bytes = [b'a' + (number % 26) as u8];
        let held: &[u8] = if number == 0 { GOOD } else { &bytes };
        if number > 0 {
            all.extend(data(0, held));
        }
        all.extend(end(held.len() as u64, Some(md5(held))));
        all.extend(next(8 + number));
    }
    for piece in all.chunks(65_536) {
        victim.hear(piece);
    }
    while victim.pair.source.has_work() {
        victim
            .pair
            .with_source(|source, cx, buf| source.work(buf, cx));
    }
    assert_eq!(
        victim.pair.kept().len(),
        AT_ONCE + 1,
        "{}",
        victim.pair.report()
    );
    assert!(!victim.pair.source.in_error());
    let said = victim.pair.said.borrow();
    assert_eq!(
        said.iter()
            .filter(|line| line.starts_with("verified"))
            .count(),
        AT_ONCE + 1
    );
}

#[test]
fn an_answer_that_promises_what_was_not_asked() {
    for answer in [
        &b"O 7 v2 at=1 size=3 m=5 b=00000001\n"[..],
        b"O 7 v2 at=99 size=3 m=5 b=00000001\n",
        b"L 8 v2 at=1 size=3 m=5 b=00000001\n",
        b"O 7 v2 at=2 size=3 m=5 b=00000001 prefix=0:1:00000000\n",
        b"O 7 v2 at=4 size=3 m=5 b=00000001 prefix=3:1:00000000\n",
    ] {
        let mut victim = Victim::streaming();
        victim.close();
        victim.connect();
        victim.hear(answer);
        victim.gave_up("something that was not asked");
    }
}

#[test]
fn a_prefix_that_is_none_is_not_believed() {
    let mut victim = Victim::streaming();
    victim.close();
    for _ in 0..3 {
        let line = victim.connect();
        victim.hear(b"O 7 v2 at=2 size=2 m=5 b=00000002 prefix=0:2:00000000\n");
        assert!(!victim.pair.source.wants_connection());
        assert_eq!(victim.pair.local(), GOOD);
        assert!(line.starts_with("/v/m 7 3 v2 "), "{line}");
    }
    assert!(victim.connect().contains("prefix=0"));
}

// Digests.

/// A victim that holds a finished copy which does not have the digest it should have; it asks about
/// that.
fn with_wrong_digest() -> Victim {
    let mut victim = Victim::streaming();
    victim.hear(&end(3, Some([1; 16])));
    victim.hear(&next(8));
    assert_eq!(victim.pair.kept().len(), 1);
    let line = victim.connect();
    assert!(line.starts_with("/v/m 7 3 v2 p=0:3:"), "{line}");
    assert!(line.ends_with(" op=sums:0:4096:1\n"), "{line}");
    victim
}

/// It gave the copy up, says so, keeps it, and follows the log again.
fn is_hopeless(mut victim: Victim) {
    if victim.pair.source.wants_connection() {
        victim.close();
    }
    for _ in 0..20 {
        let line = victim.connect();
        if !line.contains("op=") {
            assert!(
                line.starts_with("/v/m 8 0 v2"),
                "{line}{}",
                victim.pair.report()
            );
            assert!(
                victim.pair.says("differs from the server's file"),
                "{}",
                victim.pair.report()
            );
            let kept = victim.pair.kept()[0].clone();
            assert_eq!(
                victim.pair.host.read(kept.to_str().unwrap()),
                Some(GOOD.to_vec())
            );
            victim.hear(b"O 8 v2 at=0 size=1 m=5 b=00000001\n");
            victim.hear(&data(0, b"n"));
            assert_eq!(victim.pair.local(), b"n");
            assert!(victim.pair.source.in_error());
            return;
        }
        victim.close();
    }
    panic!("it never gives up\n{}", victim.pair.report());
}

fn sums_of(bytes: &[u8], start: u64) -> Vec<u8> {
    let crc = crate::wire::crc32::Crc32::new().update(bytes).finish();
    let end = start + bytes.len() as u64;
    let payload = [
        &start.to_be_bytes()[..],
        &end.to_be_bytes(),
        &crc.to_be_bytes(),
    ]
    .concat();
    frame(kind::SUMS, 0, &payload)
}

/// Checksums of the first block.
fn sums_payload(end: u64, sums: &[u32]) -> Vec<u8> {
    let mut payload = [0_u64.to_be_bytes(), end.to_be_bytes()].concat();
    payload.extend(sums.iter().flat_map(|sum| sum.to_be_bytes()));
    payload
}

#[test]
fn a_wrong_digest_with_the_right_sums_is_hopeless() {
    let mut victim = with_wrong_digest();
    victim.hear(ANSWER);
    victim.hear(&sums_of(GOOD, 0));
    is_hopeless(victim);
}

#[test]
fn a_server_that_never_answers_about_a_copy_is_hopeless() {
    is_hopeless(with_wrong_digest());
}

#[test]
fn a_range_that_has_the_wrong_digest_too_is_hopeless() {
    let mut victim = with_wrong_digest();
    victim.hear(ANSWER);
    victim.hear(&sums_of(b"xyz", 0));
    let line = victim.connect();
    assert!(line.contains("op=range:0:3"), "{line}");
    victim.hear(ANSWER);
    victim.hear(&data(0, b"xyz"));
    is_hopeless(victim);
}

#[test]
fn answers_about_a_copy_that_do_not_belong() {
    for frames in [
        sums_of(GOOD, 1),
        frame(kind::SUMS, 0, &[0; 3]),
        // An end outside of the block, no checksum for it, one too many.
        frame(kind::SUMS, 0, &sums_payload(4097, &[1])),
        frame(kind::SUMS, 0, &sums_payload(3, &[])),
        frame(kind::SUMS, 0, &sums_payload(3, &[1, 2])),
        data(0, b"xyz"),
        end(3, None),
        frame(77, 0, b"?"),
        Frame::Error {
            code: ErrorCode::Gone,
            text: b"gone",
        }
        .to_bytes()
        .to_vec(),
        sums_of(GOOD, 0)[..10].to_vec(),
    ] {
        let mut victim = with_wrong_digest();
        victim.hear(ANSWER);
        victim.hear(&frames);
        if victim.pair.source.wants_connection() {
            victim.close();
        }
        is_hopeless(victim);
    }
}

#[test]
fn ranges_that_do_not_belong() {
    for frames in [
        data(1, b"yz"),
        data(0, b"xyzw"),
        data(0, b""),
        sums_of(b"xyz", 0),
        data(0, b"xyz")[..18].to_vec(),
        [data(0, b"x"), data(2, b"z")].concat(),
    ] {
        let mut victim = with_wrong_digest();
        victim.hear(ANSWER);
        victim.hear(&sums_of(b"xyz", 0));
        assert!(victim.connect().contains("op=range:0:3"));
        victim.hear(ANSWER);
        victim.hear(&frames);
        if victim.pair.source.wants_connection() {
            victim.close();
        }
        is_hopeless(victim);
    }
}

#[test]
fn a_digest_belongs_to_the_generation_it_names() {
    for (inode, size, is_ours) in [(7, 3, true), (8, 3, false), (7, 4, false)] {
        let mut victim = Victim::streaming();
        victim.hear(&end(3, None));
        victim.hear(&next(8));
        let digest = Frame::Digest(Digest {
            inode: Inode(inode),
            size,
            md5: Some(md5(GOOD)),
        });
        victim.hear(&digest.to_bytes());
        while victim.pair.source.has_work() {
            victim
                .pair
                .with_source(|source, cx, buf| source.work(buf, cx));
        }
        assert_eq!(victim.pair.says("verified"), is_ours);
        assert!(!victim.pair.source.in_error());
    }
}

#[test]
fn digests_may_come_late_and_in_any_order() {
    let mut victim = Victim::streaming();
    victim.hear(&end(3, None));
    victim.hear(&next(8));
    victim.hear(&data(0, b"xy"));
    victim.hear(&end(2, None));
    victim.hear(&next(7));
    for (inode, bytes) in [(7, GOOD), (8, b"xy")] {
        let digest = Frame::Digest(Digest {
            inode: Inode(inode),
            size: bytes.len() as u64,
            md5: Some(md5(bytes)),
        });
        victim.hear(&digest.to_bytes());
    }
    while victim.pair.source.has_work() {
        victim
            .pair
            .with_source(|source, cx, buf| source.work(buf, cx));
    }
    let said = victim.pair.said.borrow();
    assert_eq!(
        said.iter()
            .filter(|line| line.starts_with("verified"))
            .count(),
        2
    );
}

#[test]
fn random_frames_never_end_in_a_panic_or_a_lost_byte() {
    arbtest::arbtest(|u| {
        let mut victim = Victim::streaming();
        for _ in 0..u.int_in_range(1..=8)? {
            let payload: Vec<u8> = u.arbitrary()?;
            let bytes = match u.int_in_range(0..=6)? {
                0 => data(u.int_in_range(0..=6)?, &payload),
                1 => end(u.int_in_range(0..=6)?, None),
                2 => next(u.int_in_range(0..=9)?),
                3 => frame(u.arbitrary()?, u.arbitrary()?, &payload),
                4 => payload,
                5 => data(3, b"def"),
                _ => end(3, Some(md5(GOOD))),
            };
            if victim.pair.source.wants_connection() {
                victim.hear(&bytes);
            }
        }
        let copies = victim.pair.copies().concat();
        assert!(copies.starts_with(GOOD));
        Ok(())
    })
    .budget_ms(300);
}
