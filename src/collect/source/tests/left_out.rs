//! What a server tells that it leaves out.

use super::*;
use crate::collect::copy::HookNews;
use crate::wire::frame::note::{LeftOut, Note};

const ANSWER: &[u8] = b"O 7 v2 at=0 size=3 m=1 b=00000001\n";

fn note(name: &str, is_missing: bool) -> Vec<u8> {
    let note = Note {
        why: LeftOut::NotPermitted,
        is_missing,
        size: 9,
        name: name.as_bytes(),
    };
    Frame::Note(note).to_bytes().to_vec()
}

fn told(rig: &mut Rig) -> Vec<String> {
    let mut said = rig.said();
    said.retain(|text| text.starts_with("left out"));
    said
}

/// One that follows and was asked for by a client that knows notes.
fn following() -> Rig {
    let mut rig = Rig::offering();
    assert!(rig.connect().ends_with(" x=holes,notes\n"));
    rig.receive(ANSWER);
    rig.receive(&data_frame(0, b"abc"));
    assert!(!rig.source.in_error());
    rig
}

#[test]
fn what_may_be_missing_is_told_on_record_and_in_the_status() {
    let mut rig = following();
    rig.receive(&[note("m.1", true), note("m.1", true), data_frame(3, b"d")].concat());
    assert_eq!(rig.local(), b"abcd", "frames go on behind it");
    let text = "left out m.1, 9 bytes, which may be lost: the server has no permission to read it; give it that, and fetch what does not come by itself";
    assert_eq!(told(&mut rig), [text]);
    assert!(rig.source.in_error());
    let record = format!("20261122132956 /var/log/m {text}\n");
    assert_eq!(rig.disk.read("/l/m.gaps").unwrap(), record.as_bytes());
    // It comes again with every connection, and is told again; it is on record once.
    for _ in 0..3 {
        rig.close(Closed::ByServer);
        rig.connect();
        rig.receive(b"O 7 v2 at=4 size=4 m=1 b=00000001\n");
        rig.receive(&note("m.1", true));
        assert_eq!(told(&mut rig), [text]);
    }
    assert_eq!(rig.disk.read("/l/m.gaps").unwrap(), record.as_bytes());
    rig.disk.remove("/l/m.gaps");
    rig.with(|source, cx| source.reopen(cx));
    assert!(!rig.source.in_error(), "somebody has taken note of it");
}

#[test]
fn what_is_no_loss_is_an_event_and_no_more() {
    let mut rig = following();
    rig.receive(&note("m.1", false));
    assert_eq!(told(&mut rig).len(), 1);
    assert!(!rig.source.in_error());
    assert_eq!(rig.disk.read("/l/m.gaps"), None);
}

#[test]
fn a_server_that_tells_no_end_of_them_fills_nothing() {
    let mut rig = following();
    for n in 0..2_000 {
        rig.receive(&note(&format!("m.{n}"), true));
    }
    assert_eq!(told(&mut rig).len(), 17);
    let record = rig.disk.read("/l/m.gaps").unwrap();
    assert_eq!(record.iter().filter(|&&byte| byte == b'\n').count(), 17);
    assert!(rig.source.wants_connection());
}

#[test]
fn where_it_cannot_be_noted_it_is_told_and_asked_for_again() {
    let mut rig = following();
    rig.disk.fail_call(1, 28);
    rig.receive(&note("m.1", true));
    assert_eq!(told(&mut rig).len(), 1);
    assert!(rig.source.in_error());
    assert!(!rig.source.wants_connection());
    assert_eq!(rig.local(), b"abc");
}

/// One whose shell makes its changes and puts on record what comes for that, with a program to tell
/// or without.
fn sharing(has_program: bool) -> Rig {
    let mut rig = following();
    rig.source.share_barriers();
    rig.hooks = has_program.then(HookNews::default);
    rig.disk.forget_syncs();
    rig
}

const GAPS: &str = "/l/m.gaps";

#[test]
fn a_flood_of_them_waits_for_its_turn_and_is_written_at_once() {
    for has_program in [false, true] {
        let mut rig = sharing(has_program);
        for n in 0..10 {
            rig.receive(&note(&format!("m.{n}"), true));
        }
        assert_eq!((rig.disk.syncs(), told(&mut rig).len()), (0, 10));
        assert!(rig.source.owes_record() && rig.source.in_error());
        assert_eq!(rig.disk.read(GAPS), None);
        rig.with(|source, cx| source.put_unwritten_on_record(cx));
        let most = if has_program { 4 } else { 2 };
        assert!(rig.disk.syncs() <= most, "{} syncs", rig.disk.syncs());
        assert!(!rig.source.owes_record());
        rig.with(|source, cx| source.count_losses(cx));
        assert_eq!(
            rig.source.losses(),
            10,
            "what was counted before is counted again"
        );
    }
}

#[test]
fn however_many_connections_bring_them_there_is_an_end_to_what_waits() {
    let mut rig = sharing(false);
    let mut is_written = false;
    for n in 0..40 {
        for at in 0..16 {
            rig.receive(&note(&format!("m.{n}.{at}"), true));
        }
        is_written |= !rig.source.owes_record();
        rig.close(Closed::ByServer);
        rig.connect();
        rig.receive(b"O 7 v2 at=3 size=3 m=1 b=00000001\n");
    }
    assert!(is_written);
}

/// What an L brings of a loss, with notes before it.
fn lose(rig: &mut Rig) {
    rig.receive(&note("m.1", true));
    rig.close(Closed::ByServer);
    rig.connect();
    rig.receive(b"L 8 v2 at=0 size=2 m=1 b=00000001 lost=1\n");
}

/// The words of the record without their times.
fn record(rig: &Rig) -> String {
    let record = rig.disk.read(GAPS).unwrap_or_default();
    String::from_utf8(record).unwrap()
}

#[test]
fn a_loss_is_the_first_step_of_its_change_and_shares_its_barriers() {
    for has_program in [false, true] {
        let mut rig = sharing(has_program);
        lose(&mut rig);
        assert!(rig.source.may_change() && rig.source.owes_record());
        assert_eq!(rig.disk.read(GAPS), None);
        let mut barriers = 0;
        loop {
            rig.disk.forget_syncs();
            let mut is_last = false;
            rig.with(|source, cx| is_last = source.step_change(cx));
            assert!(
                rig.disk.syncs() <= 1,
                "a step of its own: {}",
                rig.disk.syncs()
            );
            if is_last {
                break;
            }
            if !rig.source.owes_record() && rig.disk.read(GAPS).is_none() {
                panic!("the change goes on without its record");
            }
            rig.with(|source, cx| assert!(source.barrier(cx)));
            barriers += 1;
        }
        assert!(barriers <= if has_program { 5 } else { 4 }, "{barriers}");
        let record = record(&rig);
        let lines: Vec<&str> = record.lines().collect();
        assert!(lines[0].contains("left out m.1"), "{record}");
        let is_named = lines[1].contains("lost 7:3") && lines[1].contains(" and is now ");
        assert!(is_named && lines.len() == 2, "{record}");
    }
}

#[test]
fn whoever_dies_in_a_change_has_its_loss_on_record_or_finds_it_again() {
    let mut is_known = [false; 2];
    for call in 1..60 {
        let mut rig = sharing(true);
        lose(&mut rig);
        rig.disk.die_at_call(call);
        rig.change_with_barriers();
        rig.disk.revive();
        let line = "10.0.0.1 19 /var/log/m /l/m /p/m";
        let mut next = Rig::configured(rig.disk, line);
        let asked = next.connect();
        let is_before = asked.starts_with("/var/log/m 7 3 ");
        let is_on_record = record(&next).contains("lost 7:3");
        assert!(is_before || is_on_record, "{call}: {asked}");
        is_known[usize::from(is_before)] = true;
    }
    assert_eq!(is_known, [true; 2], "both sides of the change were met");
}
