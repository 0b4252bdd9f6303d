//! Connections that break in the middle of frames: what is kept, what is proved, and what is asked
//! for next.

use super::*;
use crate::wire::proof::{self, COVERED_MAX};
use crate::wire::request::{FrameMax, Request};

/// Bytes of which no block is like another.
fn noise(len: usize) -> Vec<u8> {
    let mut random = Random::new(7);
    (0..len).map(|_| random.below(256) as u8).collect()
}

fn answer(at: usize) -> String {
    format!("O 7 v2 at={at} size=100000 m=1 b=00000001\n")
}

/// A source whose connection broke when so many bytes of a frame had come, behind `held` that are
/// sound.
fn broken(held: usize, came: usize) -> Rig {
    let bytes = noise(held + 60_000);
    let mut rig = Rig::offering();
    rig.connect();
    rig.receive(answer(0).as_bytes());
    if held > 0 {
        rig.receive(&data_frame(0, &bytes[..held]));
    }
    let frame = data_frame(held as u64, &bytes[held..]);
    rig.receive(&frame[..frame::HEADER_LEN + 8 + came]);
    rig.said();
    rig.close(Closed::Broken(io::Error::from_raw_os_error(104)));
    rig
}

/// The next question: its offset, whether its proof has every byte behind `from`, and the frames
/// it asks for.
fn asked(rig: &mut Rig, from: usize) -> (usize, bool, Option<usize>) {
    let line = rig.connect();
    let request = Request::parse(line.trim_end().as_bytes()).unwrap();
    let v2 = request.v2.unwrap();
    let ours = rig.local();
    let is_right = |block: &proof::Block| {
        let bytes = &ours[block.start as usize..block.end() as usize];
        block.crc == Crc32::new().update(bytes).finish()
    };
    assert!(v2.proof.iter().all(is_right));
    let has = |byte: usize| {
        let mut blocks = v2.proof.iter();
        blocks.any(|block| (block.start..block.end()).contains(&(byte as u64)))
    };
    let is_proved = (from..ours.len()).all(has);
    let frame_max = v2.frame_max.map(FrameMax::bytes);
    (request.offset as usize, is_proved, frame_max)
}

#[test]
fn what_came_of_a_frame_stays_as_far_as_the_next_proof_covers_it() {
    let most = COVERED_MAX as usize;
    for (held, came, kept) in [
        (0, 1_023, 0),
        (0, 1_024, 1_024),
        (0, 30_000, most),
        (500, 523, 0),
        (500, 524, 524),
        (5_000, 1, 1),
        (5_000, 4_096, 4_096),
        (5_000, 4_097, 4_097),
        (5_000, most, most),
        (5_000, most + 1, most),
        (5_000, 59_999, most),
    ] {
        let mut rig = broken(held, came);
        assert_eq!(rig.local(), noise(held + kept), "{held} {came}");
        assert!(!rig.source.in_error());
        let (offset, is_proved, frame_max) = asked(&mut rig, held);
        assert_eq!((offset, is_proved), (held + kept, true), "{held} {came}");
        assert!(frame_max.is_some_and(|len| len <= 10_000), "{frame_max:?}");
        assert_eq!(rig.said(), [""; 0]);
    }
}

#[test]
fn unless_the_server_has_these_bytes_they_are_taken_back() {
    for answer in [
        "O 7 v2 at=5000 size=9 m=1 b=00000001 prefix=904:4096:00000000\n",
        "L 7 v2 at=0 size=9 m=1 b=00000001 lost=1\n",
        "L 8 v2 at=0 size=9 m=1 b=00000001 lost=1\n",
        // Classic proves nothing, whatever it answers.
        "O 7\n",
        "L 8\n",
    ] {
        let mut rig = broken(5_000, 20_000);
        assert_eq!(asked(&mut rig, 5_000).0, 25_000);
        rig.receive(answer.as_bytes());
        assert_eq!(rig.local(), noise(5_000), "{answer}");
        assert_eq!(asked(&mut rig, 5_000).0, 5_000, "{answer}");
        assert_eq!(rig.said(), [""; 0]);
    }
    let mut rig = broken(5_000, 20_000);
    asked(&mut rig, 5_000);
    rig.receive(answer(25_000).as_bytes());
    rig.receive(&data_frame(25_000, b"x"));
    assert_eq!(rig.local(), [&noise(25_000)[..], b"x"].concat());
}

#[test]
fn a_server_that_cannot_tell_yet_proves_nothing() {
    let mut rig = broken(5_000, 3_000);
    asked(&mut rig, 5_000);
    let busy = Frame::Error {
        code: frame::ErrorCode::Busy,
        text: b"later",
    };
    rig.receive(b"E 0 v2\n");
    rig.receive(&busy.to_bytes());
    assert_eq!(asked(&mut rig, 5_000).0, 8_000);
    rig.receive(b"L 7 v2 at=0 size=9 m=1 b=00000001 lost=1\n");
    assert_eq!(asked(&mut rig, 5_000).0, 5_000);
}

#[test]
fn while_there_is_no_answer_no_more_is_kept_than_every_proof_covers() {
    let mut rig = broken(5_000, 20_000);
    rig.wait();
    rig.close(Closed::NotMade(io::Error::from_raw_os_error(111)));
    assert_eq!(rig.local(), noise(5_000 + 4_096));
    let mut rig = Rig::configured(rig.disk, "10.0.0.1 19 /var/log/m /l/m /p/m");
    let (offset, is_proved, _) = asked(&mut rig, 5_000);
    assert_eq!((offset, is_proved), (9_096, true));
}

#[test]
fn bytes_under_a_wrong_checksum_are_all_taken_back() {
    let mut rig = broken(5_000, 100);
    asked(&mut rig, 5_000);
    rig.receive(answer(5_100).as_bytes());
    let mut frame = data_frame(5_100, &noise(2_000));
    *frame.last_mut().unwrap() ^= 1;
    rig.receive(&frame);
    assert_eq!(rig.local(), noise(5_100));
    assert!(rig.source.in_error());
}

#[test]
fn a_connection_without_a_whole_frame_is_a_failure_unless_shorter_ones_are_asked_for() {
    let mut rig = broken(0, 700);
    assert!(!rig.source.in_error(), "shorter ones are asked for now");
    assert_eq!(asked(&mut rig, 0), (0, true, Some(128)));
    // The server does not know the field. What can be proved at all is kept now.
    for (came, kept) in [(63, 0), (700, 700)] {
        rig.receive(answer(0).as_bytes());
        rig.receive(&data_frame(0, &noise(60_000))[..16 + came]);
        rig.close(Closed::ByServer);
        assert_eq!(rig.local().len(), kept);
        assert_eq!(rig.source.in_error(), kept == 0);
        assert_eq!(asked(&mut rig, 0).0, kept);
    }
}

#[test]
fn a_link_that_is_mended_gets_frames_of_any_length_again() {
    let bytes = noise(6_000_000);
    let mut rig = broken(0, 700);
    let mut seen = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let (offset, _, frame_max) = asked(&mut rig, at);
        assert_eq!(offset, at);
        seen.push(frame_max);
        rig.receive(answer(at).as_bytes());
        while rig.source.wants_connection() && at < bytes.len() {
            let end = (at + 1_000).min(bytes.len());
            rig.receive(&data_frame(at as u64, &bytes[at..end]));
            at = end;
        }
    }
    assert_eq!(seen.len(), 4, "{seen:?}");
    assert_eq!((seen[0], seen[3]), (Some(128), None));
    assert!(!rig.source.in_error());
    assert!(rig.source.wants_connection());
    assert_eq!(rig.local(), bytes);
}
