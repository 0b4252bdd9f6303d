//! Lines that are cut, closed, reset, refused, dark, slow or narrow, and machines that start anew.

use super::link::{End, Line};
use super::{Pair, SETTLE_MS};

#[test]
fn a_connection_that_breaks_is_made_again_at_once() {
    let mut pair = Pair::following();
    for _ in 0..5 {
        pair.cut();
        pair.log.lines(2);
        pair.run_ms(1_000);
        assert_eq!(pair.local(), pair.log.live_bytes());
    }
    pair.settle();
    pair.check();
}

#[test]
fn a_refused_connection_is_an_error_until_it_is_made() {
    let mut pair = Pair::following();
    pair.go_away();
    pair.run_ms(30_000);
    assert!(pair.source.in_error());
    pair.log.lines(2);
    pair.reconnect();
    pair.check();
}

#[test]
fn a_dark_line_is_noticed_on_both_sides() {
    for minutes in [1, 3, 10] {
        let mut pair = Pair::following();
        pair.link.line = Line::Dark;
        pair.log.lines(2);
        pair.log.rotate();
        pair.log.lines(2);
        pair.run_ms(minutes * 60_000);
        assert_eq!(pair.source.in_error(), minutes > 2);
        pair.link.line = Line::Up;
        pair.settle();
        pair.check();
        assert_eq!(pair.sessions.len(), 1, "the old session is gone");
    }
}

#[test]
fn rotations_and_outages_in_turn() {
    let mut pair = Pair::following();
    for round in 0..12 {
        match round % 3 {
            0 => pair.cut(),
            1 => pair.go_away(),
            _ => pair.link.line = Line::Up,
        }
        pair.log.lines(2);
        pair.log.rotate();
        pair.run_ms(4_000);
    }
    pair.reconnect();
    pair.settle();
    pair.check_bytes();
    pair.check_status();
}

#[test]
fn an_end_in_good_order_in_the_middle_of_a_frame() {
    let mut pair = Pair::following();
    pair.link.cut_after = Some((20, End::Fin));
    pair.log.lines(3);
    pair.run_ms(10_000);
    assert_eq!(pair.local(), pair.log.live_bytes());
    pair.settle();
    pair.check();
}

// Slow and narrow lines.

#[test]
fn a_reader_of_one_byte_a_step() {
    for window in [1, 7, 100_000] {
        let mut pair = Pair::new();
        pair.link.step = 1;
        pair.link.window = window;
        pair.log.create();
        pair.log.lines(5);
        pair.run_ms(1_000);
        pair.log.rotate();
        pair.log.lines(5);
        pair.run_ms(20_000);
        pair.log.copytruncate();
        pair.log.lines(1);
        pair.settle();
        pair.check();
        assert_eq!(pair.link.opened(), 1);
    }
}

#[test]
fn a_late_line() {
    for delay_ms in [1, 300, 2_900] {
        let mut pair = Pair::new();
        pair.link.delay_ms = delay_ms;
        pair.log.create();
        for _ in 0..5 {
            pair.log.lines(3);
            pair.run_ms(2_000);
            pair.log.rotate();
            pair.run_ms(2_000);
            pair.log.copytruncate();
        }
        pair.log.lines(1);
        pair.settle();
        pair.check();
        assert_eq!(pair.link.opened(), 1);
    }
}

#[test]
fn a_reader_that_stands_still_for_a_while_gets_what_was_rotated_meanwhile() {
    // Shorter and longer than the server's patience.
    for seconds in [30, 90] {
        for copytruncate in [false, true] {
            for window in [0, 40, 300] {
                let mut pair = Pair::following();
                pair.log.lines(20);
                pair.link.window = window;
                // Nothing arrives, as if the collector's machine were busy.
                pair.link.delay_ms = seconds * 1_000;
                for _ in 0..6 {
                    pair.run_ms(seconds * 1_000 / 6);
                    match copytruncate {
                        true => pair.log.copytruncate(),
                        false => pair.log.rotate(),
                    }
                    pair.log.lines(4);
                }
                pair.link.window = 256 * 1024;
                pair.link.delay_ms = 0;
                pair.settle();
                pair.settle();
                pair.check_bytes();
                pair.check_status();
            }
        }
    }
}

#[test]
fn what_is_deleted_before_a_slow_reader_came_to_it_is_told() {
    let mut pair = Pair::following();
    pair.log.lines(200);
    pair.link.window = 40;
    pair.link.delay_ms = 500;
    for _ in 0..6 {
        pair.run_ms(5_000);
        pair.log.rotate();
        pair.log.lines(200);
        pair.log.retain(2);
    }
    pair.link.window = 256 * 1024;
    pair.link.delay_ms = 0;
    pair.settle();
    pair.check();
    assert!(pair.says("lost 101:"), "{}", pair.report());
    assert!(pair.host.exists("/l/m.gaps"));
    assert_eq!(pair.link.opened(), 1);
}

#[test]
fn a_large_generation_needs_many_frames() {
    let mut pair = Pair::new();
    pair.log.create();
    let line = [b'y'; 99_991];
    for _ in 0..3 {
        pair.log.append(&line);
        pair.log.lines(1);
    }
    pair.run_ms(100);
    pair.cut();
    pair.log.append(&line);
    pair.log.rotate();
    pair.log.lines(1);
    pair.settle();
    pair.check();
}

// Processes that start anew.

#[test]
fn a_collector_started_anew_goes_on() {
    let mut pair = Pair::following();
    for _ in 0..4 {
        pair.log.lines(2);
        pair.run_ms(1_000);
        pair.restart_collector();
        pair.log.lines(1);
        pair.log.rotate();
        pair.log.lines(2);
        pair.run_ms(30_000);
    }
    pair.settle();
    pair.check();
}

#[test]
fn a_server_started_anew_goes_on() {
    let mut pair = Pair::following();
    for _ in 0..4 {
        pair.log.lines(2);
        pair.run_ms(1_000);
        pair.cut();
        pair.sightings = crate::serve::find::sightings::Sightings::new();
        pair.keep_journal(pair.mono_ms as u32);
        pair.log.lines(1);
        pair.log.rotate();
        pair.log.lines(2);
        pair.run_ms(30_000);
    }
    pair.settle();
    pair.check();
}

#[test]
fn an_idle_pair_stays_connected_and_well() {
    let mut pair = Pair::following();
    for _ in 0..50 {
        pair.run_ms(SETTLE_MS);
        assert!(!pair.source.in_error());
    }
    assert_eq!(pair.link.opened(), 1);
    pair.check();
}

#[test]
fn what_was_written_while_nobody_looked_and_is_gone_is_told() {
    let mut pair = Pair::following();
    pair.go_away();
    // The server sees an empty file come; nobody is connected for whom it would look at it again.
    pair.log.rotate();
    pair.pump();
    pair.log.lines(3);
    pair.log.take_changed();
    pair.log.rotate();
    pair.log.lines(2);
    pair.log.disk.remove("/v/m.1");
    pair.run_ms(1_000);
    pair.reconnect();
    pair.settle();
    assert!(pair.says("lost"), "{}", pair.report());
}

#[test]
fn an_empty_generation_that_the_server_saw_to_its_end_is_not_missed() {
    let mut pair = Pair::following();
    pair.log.rotate();
    pair.settle();
    pair.log.rotate();
    pair.log.lines(2);
    pair.settle();
    pair.log.disk.remove("/v/m.1");
    pair.reconnect();
    pair.settle();
    assert!(!pair.says("lost"), "{}", pair.report());
}
