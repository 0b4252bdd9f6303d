//! A copy that fetchlogs 1.1 left, and what its server makes of the question about its end.

use super::*;
use crate::collect::copy::pointer::Pointer;

/// A copy of so many bytes with a pointer of 1.1, spelled like this.
fn left_by_1_1(pointer: &str, len: usize) -> (Rig, Vec<u8>) {
    let bytes: Vec<u8> = (0..len).map(|at| b'a' + (at % 23) as u8).collect();
    let rig = Rig::new();
    rig.disk.write("/l/m", &bytes);
    rig.disk.write("/p/m", pointer.as_bytes());
    (rig, bytes)
}

fn pointer(rig: &Rig) -> Pointer {
    Pointer::parse(&rig.disk.read("/p/m").unwrap()).unwrap()
}

#[test]
fn the_last_4096_bytes_are_asked_for_and_compared() {
    for spelled in ["7", "7\n", "07\n"] {
        let (mut rig, bytes) = left_by_1_1(spelled, 10_000);
        assert_eq!(rig.connect(), "/var/log/m 7 5904\n");
        rig.receive(b"O 7\n");
        rig.receive(&bytes[5_904..9_000]);
        assert!(rig.source.in_error());
        rig.receive(&bytes[9_000..]);
        assert!(!rig.source.in_error());
        rig.receive(b"\x07more");
        assert_eq!(rig.local(), [&bytes[..], b"more"].concat());
        let pointer = pointer(&rig);
        assert_eq!(
            (pointer.boot, pointer.checkpoint),
            (Some(rig.boot.clone()), 10_000)
        );
        assert_eq!(rig.said(), ["following 7 from 10000"]);
    }
}

#[test]
fn a_short_copy_is_compared_once_and_an_empty_one_not_at_all() {
    for (len, asked, answer) in [(0, "7 0", ""), (1, "7 0", "a"), (4_096, "7 0", "")] {
        let (mut rig, bytes) = left_by_1_1("7\n", len);
        assert_eq!(rig.connect(), format!("/var/log/m {asked}\n"));
        rig.receive(format!("O 7\n{answer}").as_bytes());
        if answer.is_empty() {
            rig.receive(&bytes);
        }
        assert!(!rig.source.in_error(), "{len}");
        rig.receive(b"more");
        assert_eq!(rig.local(), [&bytes[..], b"more"].concat());
    }
}

#[test]
fn what_settles_nothing_has_all_of_it_compared() {
    let answers: [&[u8]; 6] = [
        b"O 7\nx",
        b"O 7\n\x07",
        b"L 7\n",
        b"O 8\n",
        b"L 8\n",
        b"O 7\na\x07",
    ];
    for answer in answers {
        let (mut rig, bytes) = left_by_1_1("7\n", 10_000);
        rig.connect();
        rig.receive(answer);
        assert_eq!(rig.said(), [""; 0], "nothing is concluded yet");
        assert_eq!(rig.connect(), "/var/log/m 7 0\n");
        rig.receive(b"O 7\n");
        rig.receive(&bytes);
        rig.receive(b"more");
        assert_eq!(rig.local(), [&bytes[..], b"more"].concat());
    }
}

#[test]
fn zeros_near_the_end_are_no_proof() {
    for at in [9_999, 9_000, 3_000] {
        let (mut rig, mut bytes) = left_by_1_1("7\n", 10_000);
        let right = bytes.clone();
        let from = at - 1_100;
        bytes[from..at].fill(0);
        rig.disk.rewrite("/l/m", &bytes);
        rig.connect();
        rig.receive(b"O 7\n");
        rig.receive(&right[5_904..]);
        assert_eq!(rig.connect(), "/var/log/m 7 0\n");
        rig.receive(b"O 7\n");
        rig.receive(&right);
        assert_eq!(rig.local(), right, "{at}");
        let said = rig.said();
        assert!(
            said[0].starts_with("in the copy taken over from fetchlogs 1.1 "),
            "{said:?}"
        );
    }
}

#[test]
fn a_server_of_1_1_with_a_shorter_file_says_nothing_and_is_asked_for_all() {
    let (mut rig, bytes) = left_by_1_1("7\n", 10_000);
    for asked in ["7 5904", "7 5904", "0 0"] {
        assert_eq!(rig.connect(), format!("/var/log/m {asked}\n"));
        if asked != "0 0" {
            rig.close(Closed::ByServer);
        }
    }
    rig.receive(b"O 7\nnew\n");
    assert_eq!(rig.connect(), "/var/log/m 7 0\n");
    rig.receive(b"O 7\nnew\n");
    assert_eq!(rig.rotated(), bytes);
    assert_eq!(rig.connect(), "/var/log/m 7 0\n");
    rig.receive(b"O 7\nnew\n");
    assert_eq!(rig.local(), b"new\n");
    let said = rig.said().join("\n");
    assert!(
        said.contains("the copy was taken over from fetchlogs 1.1, "),
        "{said}"
    );
    assert!(!said.contains("started again"), "{said}");
}

#[test]
fn a_log_that_is_not_there_yet_has_nothing_sent_again() {
    let (mut rig, _) = left_by_1_1("7\n", 10_000);
    for asked in [
        "7 5904", "7 5904", "0 0", "7 5904", "7 5904", "0 0", "7 5904",
    ] {
        assert_eq!(rig.connect(), format!("/var/log/m {asked}\n"));
        rig.close(Closed::ByServer);
    }
}

#[test]
fn a_write_that_fails_is_another_reason() {
    let (mut rig, bytes) = left_by_1_1("7\n", 10_000);
    rig.connect();
    rig.receive(b"O 7\n");
    rig.disk.fail_call(1, 5);
    rig.receive(&bytes[5_904..]);
    rig.said();
    assert_eq!(rig.connect(), "/var/log/m 7 0\n");
    assert_eq!(pointer(&rig).boot, BootId::none_vouches());
}
