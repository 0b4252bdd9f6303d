//! A box that keeps its log in memory and is started again.

use super::*;
use crate::limits::RESTART_MAX_MS;

/// One that has all of a generation that the server told of, but for so many bytes, and whose
/// connection has ended.
fn left(behind: u64) -> Rig {
    let mut rig = Rig::offering();
    rig.connect();
    let size = 3 + behind;
    rig.receive(format!("O 7 v2 at=0 size={size} m=1 b=00000001\n").as_bytes());
    rig.receive(&data_frame(0, b"abc"));
    rig.close(Closed::ByServer);
    rig.said();
    rig
}

/// Lets so long pass and has the server answer that it has another log.
fn answered(rig: &mut Rig, quiet_ms: u64, answer: &str) -> Vec<String> {
    rig.now_ms += quiet_ms;
    rig.connect();
    rig.receive(answer.as_bytes());
    rig.receive(&data_frame(0, b"new"));
    assert_eq!(rig.local(), b"new");
    assert_eq!(rig.rotated(), b"abc");
    rig.said()
}

/// The answers of a box that was started again, be its new log called by the same number or not.
const ANEW: [&str; 2] = [
    "L 8 v2 at=0 size=3 m=1 b=00000002 lost=1\n",
    "L 7 v2 at=0 size=3 m=1 b=00000002 lost=1\n",
];

#[test]
fn where_all_it_told_of_is_here_a_restart_is_told_and_no_loss() {
    for answer in ANEW {
        let mut rig = left(0);
        let said = answered(&mut rig, 40_000, answer);
        let is_told = |text: &String| text.starts_with("the box was started again");
        assert_eq!(said.iter().filter(|it| is_told(it)).count(), 1, "{said:?}");
        assert!(said[0].contains("in the 4"), "{said:?}");
        assert!(
            said.iter().all(|text| !text.starts_with("lost")),
            "{said:?}"
        );
        assert!(!rig.source.in_error());
        assert_eq!(rig.disk.read("/l/m.gaps"), None);
    }
}

#[test]
fn what_it_told_of_and_is_not_here_is_a_loss() {
    for answer in ANEW {
        let mut rig = left(5);
        let said = answered(&mut rig, 40_000, answer);
        assert!(
            said[0].starts_with("lost 7:3, at least 5 bytes"),
            "{said:?}"
        );
        assert!(rig.source.in_error());
    }
}

#[test]
fn after_a_long_silence_or_without_a_restart_it_is_a_loss() {
    let [answer, _] = ANEW;
    let said = answered(&mut left(0), RESTART_MAX_MS + 1, answer);
    assert!(said[0].starts_with("lost 7:3"), "{said:?}");
    let same_boot = "L 8 v2 at=0 size=3 m=1 b=00000001 lost=1\n";
    let said = answered(&mut left(0), 40_000, same_boot);
    assert!(said[0].starts_with("lost 7:3"), "{said:?}");
    // Whoever was started anew does not know when it had all.
    let mut rig = Rig::configured(left(0).disk, "10.0.0.1 19 /var/log/m /l/m /p/m");
    let said = answered(&mut rig, 0, answer);
    assert!(said[0].starts_with("lost 7:3"), "{said:?}");
}
