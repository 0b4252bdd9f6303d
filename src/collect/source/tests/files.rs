//! Files that fail while something else is under way.

use super::*;
use crate::wire::table::State;

const EIO: i32 = 5;

/// One that held these bytes when the log host was started anew, and asks a server of version 2
/// about them.
fn comparing(bytes: &[u8]) -> Rig {
    let mut rig = Rig::offering();
    rig.connect();
    let size = bytes.len();
    rig.receive(format!("O 7 v2 at=0 size={size} m=1 b=00000001\n").as_bytes());
    rig.receive(&data_frame(0, bytes));
    let config = rig.source.config().clone();
    rig.source = Source::new(config, Mono::from_ms(rig.now_ms));
    rig.boot = BootId::new("second").unwrap();
    let asked = rig.connect();
    assert!(asked.ends_with(" op=sums:0:4096:1\n"), "{asked}");
    rig.receive(b"O 7 v2 at=0 size=5000 m=1 b=00000001\n");
    let mut sums = [&[0; frame::HEADER_LEN + 8][..], &4096u64.to_be_bytes()].concat();
    let sum = Crc32::new().update(&bytes[..4096]).finish();
    sums.extend(sum.to_be_bytes());
    frame::seal(frame::kind::SUMS, &mut sums);
    rig.receive(&sums);
    rig
}

#[test]
fn a_copy_that_can_no_longer_be_opened_is_not_compared() {
    for failing in 1..10 {
        let mut rig = comparing(&[b'x'; 5000]);
        assert!(rig.source.has_work());
        (1..=failing).for_each(|nth| rig.disk.fail_call(nth, EIO));
        rig.with(|source, cx| source.work(&mut [0; 64], cx));
        assert!(!rig.source.has_work(), "{failing}");
        assert!(rig.source.in_error());
    }
}

#[test]
fn where_a_write_failed_what_the_server_does_not_have_is_written_again_too() {
    let mut rig = Rig::streaming();
    rig.disk.fail_call(1, EIO);
    rig.receive(b"def");
    assert_eq!(rig.connect(), "/var/log/m 7 0\n");
    // Its file ends there.
    rig.receive(b"O 7\nab\x07");
    assert_eq!(rig.rotated(), b"abc");
    let kept = "/l/m.20261122132956";
    assert_eq!(rig.disk.overwritten(kept), b"abc");
}

#[test]
fn a_loss_that_could_not_be_noted_and_is_none_any_more_is_no_error() {
    let mut rig = Rig::offering();
    rig.connect();
    rig.receive(b"O 7 v2 at=0 size=3 m=1 b=00000001\n");
    rig.receive(&data_frame(0, b"abc"));
    rig.close(Closed::ByServer);
    rig.connect();
    rig.disk.set_room(Some(0));
    rig.said();
    rig.receive(b"L 7 v2 at=0 size=2 m=1 b=00000001 lost=1\n");
    assert!(rig.said()[0].starts_with("cannot write /l/m.gaps"));
    assert!(rig.source.in_error());
    rig.disk.set_room(None);
    rig.connect();
    rig.receive(b"O 7 v2 at=3 size=3 m=1 b=00000001\n");
    rig.receive(&data_frame(3, b"d"));
    assert!(!rig.source.in_error(), "{:?}", rig.said());
    // An empty file is all that is left of it.
    rig.with(|source, cx| source.reopen(cx));
    assert!(!rig.source.in_error());
}

#[test]
fn a_comparison_that_is_interrupted_by_a_reopen_begins_anew_at_once() {
    let mut rig = comparing(&[b'x'; 5000]);
    assert!(rig.source.has_work() && !rig.source.wants_connection());
    rig.with(|source, cx| source.reopen(cx));
    let began = rig.now_ms;
    let asked = rig.connect();
    assert!(asked.ends_with(" op=sums:0:4096:1\n"), "{asked}");
    assert!(rig.now_ms - began < 1_000, "it waited for nothing");
}

#[test]
fn while_a_copy_is_worked_on_no_connection_is_made() {
    let mut rig = comparing(&[b'x'; 5000]);
    rig.source.retry_now(Mono::from_ms(rig.now_ms));
    assert_eq!(rig.source.poll_timeout(&PERIODS), None);
    rig.now_ms += 7_200_000;
    rig.with(|source, cx| source.handle_timeout(cx));
    assert!(rig.source.has_work() && !rig.source.wants_connection());
    rig.work();
    assert!(rig.connect().ends_with(" op=range:4096:904\n"));
}

#[test]
fn a_copy_that_was_moved_away_is_noticed_though_nothing_comes() {
    let mut rig = Rig::streaming();
    rig.with(|source, cx| source.look_at_copy(cx));
    assert!(rig.source.wants_connection() && rig.said().is_empty());
    rig.disk.remove("/l/m");
    rig.with(|source, cx| source.look_at_copy(cx));
    let said = rig.said().join("\n");
    assert!(said.contains("the local copy is missing"), "{said}");
    assert_eq!(rig.connect(), "/var/log/m 7 0\n");
}

#[test]
fn who_takes_note_of_losses_has_the_source_well_again() {
    let mut rig = Rig::offering();
    rig.disk.write(
        "/l/m.gaps",
        b"20261122132956 /var/log/m lost 7:3\n20261122132957 x\n",
    );
    rig.connect();
    rig.receive(b"O 7 v2 at=0 size=3 m=1 b=00000001\n");
    rig.receive(&data_frame(0, b"abc"));
    rig.with(|source, cx| source.count_losses(cx));
    assert_eq!((rig.source.losses(), rig.source.in_error()), (2, true));
    rig.with(|source, cx| source.look_at_record(cx));
    assert!(rig.source.in_error());
    rig.disk.remove("/l/m.gaps");
    rig.with(|source, cx| source.look_at_record(cx));
    rig.with(|source, cx| source.count_losses(cx));
    assert_eq!((rig.source.losses(), rig.source.in_error()), (0, false));
    assert_eq!(rig.source.shown_state(), State::Following);
    assert_eq!((rig.source.held(), rig.source.behind()), (Some(3), Some(0)));
    assert_eq!(rig.source.received(), 3);
}
