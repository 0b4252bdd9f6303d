//! Rotation by renaming, while connected and while not, under every naming there is in the field.

use super::Pair;
use super::log::Style;

const STYLES: [Style; 3] = [Style::FromOne, Style::FromZero, Style::Date];

// While connected.

#[test]
fn a_rotation_is_followed_over_the_same_connection() {
    for style in STYLES {
        for hints in [true, false] {
            let mut pair = Pair::following();
            pair.set_hints(hints);
            pair.log.style = style;
            for _ in 0..3 {
                pair.log.rotate();
                pair.log.lines(4);
                pair.run_ms(30_000);
            }
            pair.settle();
            pair.check();
            assert_eq!(pair.kept().len(), 3);
            assert_eq!(pair.link.opened(), 1, "no reconnection is needed");
        }
    }
}

#[test]
fn rotations_faster_than_the_checks_lose_nothing() {
    for style in STYLES {
        for apart_ms in [0, 1, 700, 4_000] {
            let mut pair = Pair::following().without_hints();
            pair.log.style = style;
            for _ in 0..7 {
                pair.run_ms(apart_ms);
                pair.log.rotate();
                pair.log.lines(2);
            }
            pair.settle();
            pair.check();
            assert_eq!(pair.kept().len(), 7);
        }
    }
}

#[test]
fn late_lines_of_a_writer_that_keeps_its_descriptor_come_before_the_end() {
    for tells_writers in [true, false] {
        for hints in [true, false] {
            let mut pair = Pair::following();
            pair.set_hints(hints);
            pair.log.tells_writers = tells_writers;
            pair.log.rename();
            pair.log.create();
            for _ in 0..5 {
                pair.run_ms(3_000);
                pair.log.late_line();
            }
            assert_eq!(pair.kept().len(), 0, "the old file is not quiet yet");
            pair.log.lines(2);
            pair.log.reopen();
            pair.settle();
            pair.check();
            assert_eq!(pair.kept().len(), 1);
        }
    }
}

#[test]
fn between_two_names_the_old_file_is_still_followed() {
    let mut pair = Pair::following();
    pair.log.rename();
    pair.run_ms(300_000);
    pair.log.append_to(0, b"late\n");
    pair.run_ms(6_000);
    assert_eq!(pair.local(), pair.log.generations()[0].bytes);
    pair.log.create();
    pair.log.reopen();
    pair.log.lines(1);
    pair.settle();
    pair.check();
}

#[test]
fn empty_generations_in_a_row_are_no_trouble() {
    for away in [false, true] {
        let mut pair = Pair::following();
        if away {
            pair.go_away();
        }
        for _ in 0..9 {
            pair.run_ms(10);
            pair.log.rotate();
        }
        pair.log.lines(1);
        pair.reconnect();
        pair.settle();
        pair.check();
    }
}

#[test]
fn an_idle_log_may_be_rotated_for_ever() {
    let mut pair = Pair::following().without_hints();
    for _ in 0..100 {
        pair.run_ms(3_600_000);
        pair.log.rotate();
        pair.log.retain(4);
    }
    pair.log.lines(1);
    pair.settle();
    pair.check_bytes();
    assert!(!pair.says("connection given up"), "{}", pair.report());
    assert_eq!(pair.link.opened(), 1);
}

// While away.

#[test]
fn up_to_nine_rotations_during_an_outage() {
    for style in STYLES {
        for rotations in 0..=9 {
            for apart_ms in [0, 1_000] {
                let mut pair = Pair::following();
                pair.log.style = style;
                pair.go_away();
                pair.log.lines(3);
                for _ in 0..rotations {
                    pair.run_ms(apart_ms);
                    pair.log.rotate();
                    pair.log.lines(3);
                }
                pair.reconnect();
                pair.settle();
                pair.check();
                assert_eq!(pair.kept().len(), rotations);
            }
        }
    }
}

#[test]
fn numbers_that_rise() {
    for away in [false, true] {
        for copytruncate in [false, true] {
            let mut pair = Pair::following();
            pair.log.style = Style::Rising;
            for _ in 0..6 {
                if away {
                    pair.go_away();
                }
                pair.log.lines(3);
                match copytruncate {
                    true => pair.log.copytruncate(),
                    false => pair.log.rotate(),
                }
                pair.log.lines(2);
                pair.run_ms(30_000);
                if away {
                    pair.reconnect();
                }
            }
            pair.settle_without_loss();
            assert_eq!(pair.kept().len(), 6);
        }
    }
}

#[test]
fn one_rotation_to_old_during_an_outage() {
    for rotations in 0..=3 {
        let mut pair = Pair::following();
        pair.log.style = Style::Old;
        pair.go_away();
        for _ in 0..rotations {
            pair.run_ms(1_000);
            pair.log.lines(3);
            pair.log.rotate();
            pair.log.lines(3);
        }
        pair.reconnect();
        pair.settle();
        pair.check();
        assert_eq!(pair.says("lost 101:"), rotations > 1, "{}", pair.report());
    }
}

#[test]
fn what_retention_deletes_is_reported_and_the_rest_is_complete() {
    for style in STYLES {
        for keep in 1..=5 {
            let mut pair = Pair::following();
            pair.log.style = style;
            pair.go_away();
            pair.log.lines(3);
            for _ in 0..7 {
                pair.run_ms(1_000);
                pair.log.rotate();
                pair.log.retain(keep);
                pair.log.lines(3);
            }
            pair.reconnect();
            pair.settle();
            pair.check();
            assert!(pair.says("lost 101:"), "{}", pair.report());
            assert!(pair.host.exists("/l/m.gaps"));
            assert_eq!(pair.kept().len(), 1 + keep);
        }
    }
}

#[test]
fn a_loss_is_forgotten_when_its_note_is_taken_away() {
    let mut pair = Pair::following();
    pair.go_away();
    for _ in 0..3 {
        pair.run_ms(1_000);
        pair.log.rotate();
        pair.log.lines(3);
    }
    pair.log.retain(1);
    pair.reconnect();
    assert!(pair.source.in_error());
    pair.with_source(|source, cx, _| source.reopen(cx));
    assert!(pair.source.in_error(), "the note is still there");
    pair.host.remove("/l/m.gaps");
    pair.with_source(|source, cx, _| source.reopen(cx));
    pair.settle();
    assert!(!pair.source.in_error());
}

#[test]
fn an_empty_live_copy_is_found_again_after_any_number_of_rotations() {
    for rotations in 0..4 {
        let mut pair = Pair::following();
        pair.log.rotate();
        pair.run_ms(20_000);
        assert_eq!(pair.local(), b"");
        pair.go_away();
        for _ in 0..rotations {
            pair.run_ms(1_000);
            pair.log.lines(3);
            pair.log.rotate();
        }
        pair.log.lines(1);
        pair.reconnect();
        pair.settle_without_loss();
    }
}

// First contact.

#[test]
fn all_of_the_history_comes_at_first_contact_if_asked_for() {
    for style in STYLES {
        let mut pair = Pair::with("history=all");
        pair.log.style = style;
        pair.log.create();
        for _ in 0..3 {
            pair.log.lines(4);
            pair.run_ms(500);
            pair.go_away();
            pair.log.rotate();
        }
        pair.log.lines(2);
        pair.host = crate::inside::fake::Fake::new();
        pair.kept.borrow_mut().clear();
        pair.said.borrow_mut().clear();
        pair.restart_collector();
        pair.reconnect();
        pair.settle();
        pair.check();
        assert_eq!(pair.kept().len(), 3);
    }
}

#[test]
fn without_history_the_first_contact_begins_with_the_live_file() {
    let mut pair = Pair::new();
    pair.go_away();
    pair.log.create();
    pair.log.lines(4);
    pair.log.rotate();
    pair.log.excuse(0);
    pair.log.lines(2);
    pair.reconnect();
    pair.settle();
    pair.check();
    assert_eq!(pair.local(), pair.log.live_bytes());
    assert!(pair.kept().is_empty());
}

#[test]
fn a_collector_may_come_before_the_log_does() {
    let mut pair = Pair::new();
    pair.run_ms(50_000);
    assert!(pair.says("there is no such file now"), "{}", pair.report());
    pair.log.create();
    pair.log.lines(2);
    pair.settle();
    pair.check_bytes();
    assert!(!pair.source.in_error());
}
