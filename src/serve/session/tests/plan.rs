//! A backlog that is sent by what one search has found, while the log goes on.

use super::*;
use crate::wire::frame::HEADER_LEN;

/// Files of a backlog.
const FILES: u64 = 8;

/// The bytes of all DATA frames that a client gets that asks for all there is, where something
/// `happens` after some generations were named.
fn bytes_where(happens: &dyn Fn(&Fake), after: usize) -> String {
    let mut rig = Rig::new();
    for n in 0..FILES {
        rig.disk.at_ms(2_000 + n);
        let path = format!("/v/m.{}", 20_260_101 + n);
        rig.disk.write_as(&path, 20 + n, format!("{n} ").as_bytes());
    }
    rig.disk.at_ms(5_000);
    rig.disk.write_as("/v/m", 8, b"what is live ");
    rig.journal.take_up(&rig.config);
    rig.journal.set_attended(0, Some(false));
    rig.disk.take_trail("/v/m");
    rig.disk.tell_journal(0, "/v/m", &rig.journal, false);
    while rig.journal.has_work() {
        rig.journal.work(&rig.config, &rig.disk);
    }
    rig.now_ms = 1_000_000;
    rig.disk.at_ms(rig.now_ms);
    rig.session = Session::new(PEER, Mono::from_ms(rig.now_ms));
    rig.input(b"/v/m 0 0 v2 history=all x=notes\n");
    let mut sent = Vec::new();
    let mut happened = false;
    let mut buf = vec![0; crate::limits::CHUNK_LEN];
    for _ in 0..100 {
        rig.now_ms += 1_000;
        if !rig.journal.take_behind().is_empty() {
            rig.disk.tell_journal(0, "/v/m", &rig.journal, false);
        }
        rig.with(|session, cx| session.handle_timeout(cx));
        let len = rig.with(|session, cx| session.output(&mut buf, cx));
        sent.extend_from_slice(&buf[..len]);
        let now = Mono::from_ms(rig.now_ms);
        rig.session.consume_output(&buf, len, now);
        let named = frame_kinds(&sent)
            .into_iter()
            .filter(|it| *it == kind::NEXT);
        if named.count() >= after && !happened {
            happened = true;
            rig.disk.at_ms(rig.now_ms);
            happens(&rig.disk);
        }
    }
    assert!(happened);
    String::from_utf8(data(&sent)).unwrap()
}

fn data(sent: &[u8]) -> Vec<u8> {
    let line = sent.iter().position(|&byte| byte == b'\n').unwrap();
    let mut rest = &sent[line + 1..];
    let mut data = Vec::new();
    while let [kind, _, high, low, ..] = *rest {
        let (frame, behind) =
            rest.split_at(HEADER_LEN + usize::from(u16::from_be_bytes([high, low])));
        if kind == kind::DATA {
            data.extend_from_slice(&frame[HEADER_LEN + 8..]);
        }
        rest = behind;
    }
    data
}

#[test]
fn a_log_that_is_rotated_or_truncated_meanwhile_arrives_in_order() {
    let rotate = |disk: &Fake| {
        disk.rename_now("/v/m", "/v/m.20260109");
        disk.write_as("/v/m", 9, b"anew");
    };
    let truncate = |disk: &Fake| {
        disk.write_as("/v/m.20260109", 9, b"what is live ");
        disk.rewrite("/v/m", b"anew");
    };
    let expected = "0 1 2 3 4 5 6 7 what is live anew";
    for after in 1..=FILES as usize {
        assert_eq!(bytes_where(&rotate, after), expected, "after {after}");
        assert_eq!(bytes_where(&truncate, after), expected, "after {after}");
    }
}

#[test]
fn what_was_given_does_not_come_again_as_a_copy() {
    let copy = |disk: &Fake| {
        disk.write_as("/v/m.20260110", 9, b"0 ");
    };
    for after in 1..FILES as usize {
        let expected = "0 1 2 3 4 5 6 7 what is live ";
        assert_eq!(bytes_where(&copy, after), expected, "after {after}");
    }
}

#[test]
fn what_may_not_be_read_any_more_is_left_out() {
    let hide = |disk: &Fake| disk.set_readable("/v/m.20260107", false);
    for after in 1..=5 {
        let expected = "0 1 2 3 4 5 7 what is live ";
        assert_eq!(bytes_where(&hide, after), expected, "after {after}");
    }
}
