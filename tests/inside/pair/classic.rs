//! One side, or both, know only the classic protocol; and copies that were begun by it.

use super::Pair;

/// A collector that never offers version 2, and one whose server does not know it.
fn classic_pairs() -> [Pair; 2] {
    let mut old_server = Pair::new();
    old_server.link.classic = true;
    [Pair::with("proto=classic"), old_server]
}

#[test]
fn lines_rotations_and_outages() {
    for mut pair in classic_pairs() {
        pair.log.create();
        for _ in 0..4 {
            pair.log.lines(3);
            pair.run_ms(2_000);
            pair.cut();
            pair.log.lines(1);
            pair.run_ms(2_000);
            pair.log.rotate();
            pair.log.lines(1);
            pair.run_ms(30_000);
        }
        pair.settle();
        pair.check_bytes();
        pair.check_status();
        assert_eq!(pair.kept().len(), 4);
    }
}

#[test]
fn several_rotations_during_an_outage() {
    for mut pair in classic_pairs() {
        pair.log.create();
        pair.log.lines(3);
        pair.run_ms(2_000);
        pair.go_away();
        for _ in 0..4 {
            pair.log.lines(2);
            pair.run_ms(1_000);
            pair.log.rotate();
        }
        pair.log.lines(1);
        pair.reconnect();
        pair.settle();
        pair.check_bytes();
        pair.check_status();
        assert_eq!(pair.kept().len(), 4);
    }
}

#[test]
fn a_truncation() {
    for mut pair in classic_pairs() {
        pair.log.create();
        pair.log.lines(3);
        pair.run_ms(2_000);
        pair.log.copytruncate();
        pair.log.lines(1);
        pair.settle();
        pair.check_bytes();
        pair.check_status();
        assert_eq!(pair.kept().len(), 1);
    }
}

#[test]
fn a_rotation_is_not_held_up_by_a_clock_that_is_set_back() {
    const HOUR_MS: i64 = 3_600_000;
    for mut pair in classic_pairs() {
        pair.log.tells_writers = false;
        pair.log.create();
        pair.log.lines(3);
        pair.run_ms(2_000);
        pair.log.rotate();
        pair.log.lines(3);
        pair.step_clocks(-HOUR_MS, 0);
        pair.run_ms(60_000);
        assert_eq!(pair.kept().len(), 1);
        assert_eq!(pair.local(), pair.log.live_bytes());
    }
}

#[test]
fn a_slow_reader() {
    for mut pair in classic_pairs() {
        pair.link.step = 1;
        pair.link.window = 3;
        pair.log.create();
        pair.log.lines(30);
        pair.run_ms(2_000);
        pair.log.rotate();
        pair.log.lines(3);
        pair.settle();
        pair.check_bytes();
    }
}

// Changing sides.

/// What a rotated copy becomes if classic began it and version 2 goes on.
fn continued_by_v2(first: &[u8], second: &[u8]) -> Pair {
    let mut pair = Pair::with("proto=classic");
    pair.log.create();
    pair.log.append(first);
    pair.run_ms(2_000);
    pair.reconfigure("");
    pair.log.append(second);
    pair.run_ms(10_000);
    pair.log.rotate();
    pair.log.lines(2);
    pair.settle();
    pair
}

#[test]
fn a_copy_begun_by_classic_is_continued() {
    let pair = continued_by_v2(b"plain\n", b"and plain\n");
    pair.check();
    assert!(!pair.says("healed"));
}

#[test]
fn bells_that_classic_could_not_carry_are_healed_at_the_end() {
    let bells = [&b"a bell \x07\n".repeat(900)[..], b"none\n"].concat();
    for first in [&bells[..], &bells[..100], b"\x07"] {
        let pair = continued_by_v2(first, b"another \x07\n");
        pair.check_bytes();
        pair.check_status();
        assert!(pair.says("healed"), "{}", pair.report());
        let kept = pair.kept()[0].display().to_string();
        let damaged = pair.host.read(&format!("{kept}.damaged")).unwrap();
        assert!(
            damaged.starts_with(
                &first
                    .iter()
                    .map(|&b| if b == 7 { 0xff } else { b })
                    .collect::<Vec<_>>()
            )
        );
    }
}

#[test]
fn bells_of_a_copytruncated_log_are_healed_too() {
    for lines_after in [0, 300] {
        let mut pair = Pair::with("proto=classic");
        pair.log.create();
        pair.log.append(b"a bell \x07\n");
        pair.run_ms(2_000);
        pair.reconfigure("");
        pair.log.lines(2);
        pair.run_ms(2_000);
        pair.log.copytruncate();
        pair.log.lines(lines_after);
        pair.settle();
        pair.check_bytes();
        pair.check_status();
        assert!(pair.says("healed"), "{}", pair.report());
    }
}

#[test]
fn a_rotation_during_the_change_of_protocol() {
    for bells in [false, true] {
        for copytruncate in [false, true] {
            let mut pair = Pair::with("proto=classic");
            pair.log.create();
            pair.log
                .append(if bells { b"\x07\x07\n" } else { b"abc\n" });
            pair.log.lines(5);
            pair.run_ms(2_000);
            pair.go_away();
            for _ in 0..3 {
                pair.log.lines(2);
                pair.run_ms(1_000);
                match copytruncate {
                    true => pair.log.copytruncate(),
                    false => pair.log.rotate(),
                }
            }
            pair.log.lines(1);
            pair.reconfigure("");
            pair.reconnect();
            pair.settle();
            pair.check_bytes();
            pair.check_status();
            assert_eq!(pair.says("healed"), bells, "{}", pair.report());
        }
    }
}

#[test]
fn a_server_that_is_replaced_by_an_older_one_and_back() {
    let mut pair = Pair::following();
    for round in 0..6 {
        pair.link.classic = round % 2 == 0;
        pair.cut();
        pair.log.lines(2);
        pair.run_ms(10_000);
        pair.log.rotate();
        pair.log.lines(2);
        pair.run_ms(30_000);
    }
    pair.settle();
    pair.check_bytes();
    pair.check_status();
    assert!(pair.says("only the classic protocol now"));
}

#[test]
fn who_configures_classic_is_not_told_that_the_server_speaks_nothing_else() {
    let mut pair = Pair::following();
    pair.reconfigure("proto=classic");
    pair.log.lines(2);
    pair.settle();
    pair.log.rotate();
    pair.log.lines(2);
    pair.settle();
    pair.check_bytes();
    assert!(!pair.says("only the classic protocol now"));
}

#[test]
fn version_2_only_takes_no_classic_server() {
    let mut pair = Pair::with("proto=v2");
    pair.link.classic = true;
    pair.log.create();
    pair.log.lines(2);
    pair.settle();
    assert!(pair.source.in_error());
    assert_eq!(pair.local(), b"");
    pair.link.classic = false;
    pair.settle();
    pair.check();
}
