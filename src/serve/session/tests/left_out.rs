//! What a client is told of files that are left out, by what it knows.

use super::*;
use crate::limits::NOTES_MAX;
use crate::wire::frame::HEADER_LEN;

/// All that a client of the log is sent that holds "abc" of inode 7, of which the file is m.N now,
/// while others came after it that may not be read.
fn sent(others: u64, known: &str) -> (Rig, Vec<u8>) {
    let mut rig = Rig::new();
    rig.disk.at_ms(1_000);
    let name = |n: u64| format!("/v/m.{}", others + 1 - n);
    rig.disk.write_as(&name(0), 7, b"abc");
    for n in 1..=others {
        rig.disk.at_ms(1_000 + n);
        rig.disk.write_as(&name(n), 10 + n, b"secret");
        rig.disk.set_readable(&name(n), false);
    }
    rig.disk.at_ms(5_000);
    rig.disk.write_as("/v/m", 8, b"live");
    rig.now_ms = 1_000_000;
    rig.session = Session::new(PEER, Mono::from_ms(rig.now_ms));
    rig.input(format!("/v/m 7 3 v2 m=1{known}\n").as_bytes());
    let mut buf = vec![0; crate::limits::CHUNK_LEN];
    let mut all = Vec::new();
    for _ in 0..20 {
        rig.now_ms += 1_000;
        rig.with(|session, cx| session.handle_timeout(cx));
        let len = rig.with(|session, cx| session.output(&mut buf, cx));
        all.extend_from_slice(&buf[..len]);
        let now = Mono::from_ms(rig.now_ms);
        rig.session.consume_output(&buf, len, now);
    }
    (rig, all)
}

/// Whether the NEXT of a stream tells of a loss.
fn next_is_after_loss(sent: &[u8]) -> bool {
    let line = sent.iter().position(|&byte| byte == b'\n').unwrap();
    let mut rest = &sent[line + 1..];
    loop {
        let len = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
        if rest[0] == kind::NEXT {
            return len == 17;
        }
        rest = &rest[HEADER_LEN + len..];
    }
}

#[test]
fn a_client_that_knows_notes_is_told_the_name_and_no_loss_besides() {
    let (mut rig, sent) = sent(1, " x=holes,notes");
    let kinds = frame_kinds(&sent);
    let expected = [kind::ALIVE, kind::NOTE, kind::END, kind::NEXT];
    assert_eq!(kinds[..4], expected, "{kinds:?}");
    assert!(sent.windows(3).any(|name| name == b"m.1"));
    assert!(!next_is_after_loss(&sent));
    let lines = rig.sightings.troubles.take_lines();
    assert_eq!(lines, ["/v/m.1 is left out: no permission to read it"]);
}

#[test]
fn another_client_is_told_a_loss() {
    let (mut rig, sent) = sent(1, "");
    assert_eq!(
        frame_kinds(&sent)[..3],
        [kind::ALIVE, kind::END, kind::NEXT]
    );
    assert!(next_is_after_loss(&sent));
    assert_eq!(rig.sightings.troubles.take_lines().len(), 1);
}

#[test]
fn a_classic_client_is_told_a_loss() {
    let mut rig = Rig::new();
    rig.disk.write_as("/v/m.2", 7, b"abc");
    rig.disk.at_ms(2_000);
    rig.disk.write_as("/v/m.1", 9, b"secret");
    rig.disk.set_readable("/v/m.1", false);
    rig.disk.at_ms(3_000);
    rig.disk.write_as("/v/m", 8, b"live");
    rig.now_ms = 1_000_000;
    rig.input(b"/v/m 7 3\n");
    assert_eq!(rig.take(), b"L 8\nlive");
    assert_eq!(rig.sightings.troubles.take_lines().len(), 1);
}

#[test]
fn no_more_are_told_than_anybody_reads() {
    let (_, sent) = sent(100, " x=notes");
    let notes = frame_kinds(&sent).into_iter();
    let notes = notes.filter(|it| *it == kind::NOTE).count();
    assert_eq!(notes, NOTES_MAX);
    assert!(sent.ends_with(b"live"));
}
