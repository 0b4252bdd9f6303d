//! What a server tells that it leaves out.

use super::*;
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
