//! Rotation by copying and truncating: the inode stays, the content goes.

use super::Pair;
use super::log::Style;
use crate::random::Random;

// While connected.

#[test]
fn a_truncation_after_a_copy_is_followed() {
    for hints in [true, false] {
        let mut pair = Pair::following();
        pair.set_hints(hints);
        for _ in 0..3 {
            pair.log.lines(3);
            pair.log.copytruncate();
            pair.run_ms(20_000);
            pair.log.lines(4);
            pair.run_ms(20_000);
        }
        pair.settle();
        pair.check();
        assert_eq!(pair.kept().len(), 3);
        assert_eq!(pair.link.opened(), 1);
    }
}

#[test]
fn lines_that_only_the_copy_has_are_taken_from_it() {
    let mut pair = Pair::following().without_hints();
    pair.log.lines(100);
    pair.log.copytruncate();
    pair.log.lines(1);
    pair.settle();
    pair.check();
    assert_eq!(pair.kept().len(), 1);
}

#[test]
fn lines_between_copy_and_truncation_are_kept_if_they_came() {
    let mut pair = Pair::following();
    pair.log.copy();
    pair.log.lines(2);
    pair.run_ms(1_000);
    pair.log.truncate();
    pair.log.lines(1);
    pair.settle();
    pair.check();
    assert_eq!(pair.copies()[0], pair.log.generations()[0].bytes);
}

#[test]
fn a_resumed_generation_is_verified_at_its_truncation_too() {
    for unsent in [0, 3] {
        let mut pair = Pair::following();
        pair.cut();
        pair.reconnect();
        pair.set_hints(false);
        pair.log.lines(unsent);
        pair.log.copytruncate();
        pair.log.lines(1);
        pair.settle();
        pair.check();
    }
}

#[test]
fn a_truncation_without_a_copy_keeps_what_we_have() {
    for (hints, lines) in [(true, 1), (false, 1), (false, 5), (false, 9)] {
        let mut pair = Pair::following();
        pair.set_hints(hints);
        pair.log.truncate();
        pair.log.lines(lines);
        pair.settle();
        pair.check();
        assert_eq!(pair.copies()[0], pair.log.generations()[0].bytes);
    }
}

#[test]
fn a_truncation_without_a_copy_under_a_busy_writer_is_told_as_a_loss() {
    // How long before the cut the last line was seen.
    for (quiet_ms, is_told) in [(10, true), (100, true), (3_000, false)] {
        for is_copied in [false, true] {
            let mut pair = Pair::following();
            pair.log.lines(1);
            pair.run_ms(quiet_ms);
            let seen = pair.log.live_bytes();
            // Nobody ever saw this one, unless it was copied.
            pair.log.lines(1);
            match is_copied {
                true => pair.log.copytruncate(),
                false => pair.log.truncate(),
            }
            pair.log.lines(1);
            pair.settle();
            pair.check_bytes();
            assert!(pair.copies()[0].starts_with(&seen), "{}", pair.report());
            let is_told = is_told && !is_copied;
            assert_eq!(pair.says("lost"), is_told, "{}", pair.report());
        }
    }
}

#[test]
fn truncated_and_grown_to_the_same_length_between_two_looks() {
    let mut pair = Pair::following().without_hints();
    let len = pair.log.live_bytes().len();
    pair.log.copytruncate();
    pair.log.append(&vec![b'z'; len]);
    pair.run_ms(20_000);
    pair.log.lines(2);
    pair.settle();
    pair.check();
}

/// A hundred truncations in the middle of the writing, wherever they fall.
fn at_full_speed(seed: u64, hints: bool, window: usize) {
    let mut pair = Pair::following();
    pair.set_hints(hints);
    pair.link.window = window;
    let mut random = Random::new(seed);
    let mut truncations = 0;
    while truncations < 100 {
        match random.below(12) {
            0 => {
                pair.log.copy();
                pair.log.lines(random.below(3) as u32);
                if random.below(2) == 0 {
                    pair.run_ms(random.below(20));
                }
                pair.log.truncate();
                pair.log.retain(6);
                truncations += 1;
            }
            1..=7 => pair.log.lines(random.below(9) as u32),
            _ => pair.run_ms(random.below(3_000)),
        }
        if pair.log.rotated_count() > 4 {
            // What was not fetched when retention takes it is no fault.
            pair.run_ms(16_000);
        }
    }
    pair.log.lines(1);
    pair.settle();
    pair.settle();
    pair.check_bytes();
    pair.check_status();
    assert!(!pair.says("lost"), "seed {seed}\n{}", pair.report());
}

#[test]
fn a_hundred_truncations_at_full_write_speed() {
    for seed in 0..4 {
        at_full_speed(seed, true, 256 * 1024);
    }
}

#[test]
fn a_hundred_truncations_seen_only_at_the_checks() {
    for seed in 0..4 {
        at_full_speed(seed, false, 256 * 1024);
    }
}

#[test]
fn a_hundred_truncations_with_a_narrow_window() {
    for seed in 0..4 {
        at_full_speed(seed, true, 100);
    }
}

#[test]
fn truncated_again_and_again_before_a_reader_that_stands_still() {
    for (window, hints) in [(0, true), (0, false), (30, true), (100, true)] {
        let mut pair = Pair::following();
        pair.set_hints(hints);
        pair.link.window = window;
        pair.link.delay_ms = 50_000;
        for _ in 0..12 {
            pair.log.truncate();
            pair.log.lines(1);
            pair.run_ms(4_000);
        }
        pair.link.window = 256 * 1024;
        pair.link.delay_ms = 0;
        pair.settle();
        pair.settle();
        pair.check_bytes();
        pair.check_status();
        assert_eq!(pair.local(), pair.log.live_bytes());
    }
}

#[test]
fn truncated_while_there_is_more_to_send_and_then_deleted() {
    // Between two names nothing can follow, and nothing spins.
    for hints in [true, false] {
        let mut pair = Pair::following();
        pair.link.window = 0;
        pair.log.lines(30);
        pair.set_hints(hints);
        pair.run_ms(6_000);
        pair.log.truncate();
        pair.log.lines(40);
        pair.log.delete();
        pair.link.window = 256 * 1024;
        pair.run_ms(30_000);
        pair.log.create();
        pair.log.lines(1);
        pair.settle();
        pair.check_bytes();
        assert_eq!(pair.local(), pair.log.live_bytes());
    }
}

// While away.

#[test]
fn truncations_during_an_outage() {
    for style in [Style::FromOne, Style::FromZero, Style::Date] {
        for truncations in 1..=4 {
            for lines in [0, 1, 40] {
                let mut pair = Pair::following();
                pair.log.style = style;
                pair.go_away();
                pair.log.lines(3);
                for _ in 0..truncations {
                    pair.run_ms(1_000);
                    pair.log.copytruncate();
                    pair.log.lines(lines);
                }
                pair.reconnect();
                pair.settle_without_loss();
            }
        }
    }
}

#[test]
fn a_copy_shorter_than_ours_is_recognised_after_an_outage() {
    for truncations in 1..=4 {
        for lines in [1, 4, 40] {
            let mut pair = Pair::following();
            pair.log.copy();
            pair.log.lines(2);
            pair.run_ms(1_000);
            pair.go_away();
            pair.log.truncate();
            for _ in 1..truncations {
                pair.run_ms(1_000);
                pair.log.lines(lines);
                pair.log.copytruncate();
            }
            pair.log.lines(lines);
            pair.reconnect();
            pair.settle();
            pair.check();
            assert_eq!(pair.copies()[0], pair.log.generations()[0].bytes);
            assert!(!pair.says("lost"), "{}", pair.report());
        }
    }
}

#[test]
fn an_empty_live_copy_before_truncations_during_an_outage() {
    for truncations in 1..=3 {
        let mut pair = Pair::following();
        pair.log.copytruncate();
        pair.run_ms(20_000);
        assert_eq!(pair.local(), b"");
        pair.go_away();
        for _ in 0..truncations {
            pair.run_ms(1_000);
            pair.log.lines(3);
            pair.log.copytruncate();
        }
        pair.log.lines(1);
        pair.reconnect();
        pair.settle_without_loss();
    }
}

#[test]
fn the_very_first_truncations_while_nobody_holds_a_byte_lose_nothing() {
    for style in [Style::FromOne, Style::FromZero, Style::Date] {
        for truncations in 1..=4 {
            let mut pair = Pair::new();
            pair.log.style = style;
            pair.log.create();
            pair.run_ms(20_000);
            assert!(pair.host.exists("/p/m"));
            pair.go_away();
            for _ in 0..truncations {
                pair.run_ms(1_000);
                pair.log.lines(3);
                pair.log.copytruncate();
            }
            pair.log.lines(1);
            pair.reconnect();
            pair.settle_without_loss();
        }
    }
}

#[test]
fn truncations_of_which_the_first_copy_is_gone_are_told_by_who_holds_no_byte() {
    for keep in [2, 4] {
        let mut pair = Pair::following();
        pair.log.copytruncate();
        pair.run_ms(20_000);
        assert_eq!(pair.local(), b"");
        pair.go_away();
        for _ in 0..6 {
            pair.run_ms(10_000);
            pair.log.lines(3);
            pair.log.copytruncate();
            pair.log.retain(keep);
        }
        pair.reconnect();
        pair.settle();
        pair.check_bytes();
        pair.check_losses();
        pair.check_status();
        assert!(pair.says("lost 101:0"), "{}", pair.report());
    }
}

#[test]
fn lines_known_and_gone_before_a_slow_reader_took_them_are_told() {
    let mut pair = Pair::following();
    pair.link.window = 0;
    pair.log.lines(100);
    pair.run_ms(5_000);
    pair.log.truncate();
    pair.log.lines(2);
    pair.run_ms(5_000);
    pair.link.window = 256 * 1024;
    pair.settle();
    pair.check();
    let held = pair.copies()[0].len();
    let missing = pair.log.generations()[0].bytes.len() - held;
    let told = format!("lost 101:{held}, at least {missing} bytes");
    assert!(pair.says(&told), "{}", pair.report());
    assert_eq!(pair.link.opened(), 1);
}

#[test]
fn lines_known_and_gone_behind_the_end_of_a_duplicate_are_told() {
    // The box copies, goes on writing, and truncates, while the reader stands still.
    for lines in [0, 40] {
        let mut pair = Pair::following();
        pair.link.window = 0;
        pair.log.lines(lines);
        pair.log.copy();
        pair.log.lines(60);
        pair.run_ms(5_000);
        pair.log.truncate();
        pair.log.lines(2);
        pair.run_ms(5_000);
        pair.link.window = 256 * 1024;
        pair.settle();
        pair.check();
        let held = pair.copies()[0].len();
        let missing = pair.log.generations()[0].bytes.len() - held;
        assert!(missing > 0);
        let told = format!("lost 101:{held}, at least {missing} bytes");
        assert!(pair.says(&told), "{lines}: {}", pair.report());
    }
}

#[test]
fn a_live_file_that_outgrew_our_copy_is_not_joined_to_it() {
    for copy in [true, false] {
        let mut pair = Pair::following();
        pair.go_away();
        if copy {
            pair.log.copy();
        }
        pair.log.truncate();
        pair.log.lines(50);
        pair.reconnect();
        pair.settle();
        pair.check();
    }
}

// Periodic content: nothing in the bytes tells one generation from the other.

#[test]
fn a_heartbeat_is_told_apart_by_size_while_connected() {
    for hints in [true, false] {
        let mut pair = Pair::following();
        pair.set_hints(hints);
        for _ in 0..5 {
            for _ in 0..20 {
                pair.log.append(b"beat\n");
                pair.run_ms(1_000);
            }
            pair.log.copytruncate();
            pair.run_ms(6_000);
        }
        pair.settle();
        let sizes: Vec<usize> = pair.copies().iter().map(Vec::len).collect();
        let expected: Vec<usize> = pair
            .log
            .generations()
            .iter()
            .map(|g| g.bytes.len())
            .collect();
        assert_eq!(sizes, expected, "{}", pair.report());
    }
}

#[test]
fn a_heartbeat_truncated_during_an_outage() {
    for (before, between, after) in [(4, 0, 3), (4, 6, 3), (4, 6, 20), (4, 0, 20), (20, 3, 50)] {
        for nul in [false, true] {
            let beat: &[u8] = if nul { &[0; 5] } else { b"beat\n" };
            let mut pair = Pair::new();
            pair.log.create();
            pair.log.append(&beat.repeat(before));
            pair.run_ms(2_000);
            pair.go_away();
            pair.log.append(&beat.repeat(between));
            pair.run_ms(2_000);
            pair.log.copytruncate();
            pair.run_ms(2_000);
            pair.log.append(&beat.repeat(after));
            pair.reconnect();
            pair.settle();
            let sizes = |pair: &Pair| pair.copies().iter().map(Vec::len).collect::<Vec<_>>();
            // Zeros at the end of a live file are not written yet.
            let live = if nul { 0 } else { after * 5 };
            let expected = [(before + between) * 5, live];
            assert_eq!(sizes(&pair), expected, "{}", pair.report());
            pair.check();
            pair.log.rotate();
            pair.settle();
            let expected = [(before + between) * 5, after * 5, 0];
            assert_eq!(sizes(&pair), expected, "{}", pair.report());
            pair.check();
        }
    }
}

#[test]
fn a_generation_that_was_over_before_the_server_was_started_again_comes_first() {
    for (held, lines) in [(0, 1), (0, 9), (1, 1), (1, 9)] {
        for rotate in [super::log::Log::copytruncate, super::log::Log::rotate] {
            let mut pair = Pair::following();
            pair.log.copytruncate();
            pair.log.lines(held);
            pair.settle();
            pair.go_away();
            pair.log.lines(lines);
            pair.run_ms(2_000);
            rotate(&mut pair.log);
            pair.run_ms(2_000);
            pair.keep_journal(77);
            pair.log.lines(2);
            pair.run_ms(2_000);
            pair.log.copytruncate();
            pair.run_ms(2_000);
            pair.log.lines(3);
            pair.run_ms(20_000);
            pair.reconnect();
            pair.settle_without_loss();
            pair.check();
        }
    }
}

#[test]
fn what_came_and_went_unseen_before_anything_was_held_comes_first() {
    for is_new in [true, false] {
        for lines in [0, 1, 9] {
            let mut pair = Pair::following();
            pair.log.copytruncate();
            pair.settle();
            pair.go_away();
            pair.run_ms(2_000);
            if is_new {
                pair.keep_journal(77);
            }
            // Nobody looks in between.
            pair.log.lines(lines);
            pair.log.copytruncate();
            pair.log.lines(5);
            pair.run_ms(20_000);
            pair.log.copytruncate();
            pair.run_ms(20_000);
            pair.log.lines(3);
            pair.run_ms(20_000);
            pair.reconnect();
            pair.settle();
            if !pair.says("lost") && lines > 0 {
                pair.check();
                let all: Vec<_> = (pair.log.generations().iter())
                    .map(|generation| generation.bytes.clone())
                    .collect();
                assert!(pair.copies() == all, "{}", pair.report());
            }
        }
    }
}

#[test]
fn generations_with_one_header_that_come_and_go_in_one_moment_arrive_or_are_told() {
    const HEADER: [u8; 91] = [b'h'; 91];
    for hints in [true, false] {
        for is_away in [false, true] {
            let mut pair = Pair::new();
            pair.set_hints(hints);
            pair.log.create();
            pair.log.append(&HEADER);
            pair.log.lines(7);
            pair.settle();
            if is_away {
                pair.go_away();
            }
            for lines in [2, 1, 2, 3] {
                pair.log.copytruncate();
                pair.log.append(&HEADER);
                pair.log.lines(lines);
            }
            if is_away {
                pair.run_ms(20_000);
                pair.reconnect();
            }
            pair.settle();
            let all: Vec<_> = (pair.log.generations().iter())
                .map(|generation| generation.bytes.clone())
                .collect();
            let is_told = pair.says("may be lost") || pair.says("lost 1");
            assert!(is_told || pair.copies() == all, "{}", pair.report());
        }
    }
}

#[test]
fn of_two_that_have_the_header_which_is_held_the_first_comes_first() {
    const HEADER: [u8; 91] = [b'h'; 91];
    for (is_new, is_late, looks) in [
        (true, false, false),
        (true, false, true),
        (true, true, false),
        (false, false, false),
    ] {
        let mut pair = Pair::following();
        pair.log.copytruncate();
        pair.log.append(&HEADER);
        pair.settle();
        pair.go_away();
        pair.run_ms(2_000);
        if is_new && !is_late {
            pair.keep_journal(77);
        }
        pair.log.lines(5);
        if looks {
            pair.run_ms(2_000);
        }
        pair.log.copytruncate();
        if is_late {
            pair.run_ms(2_000);
            pair.keep_journal(77);
        }
        pair.log.append(&HEADER);
        pair.run_ms(2_000);
        pair.log.copytruncate();
        pair.run_ms(2_000);
        pair.log.append(&HEADER);
        pair.log.lines(3);
        pair.run_ms(20_000);
        pair.reconnect();
        pair.settle();
        let is_told = pair.says("may be lost") || pair.says("lost 1");
        let first = &pair.log.generations()[1].bytes;
        let is_there = pair.copies().contains(first);
        assert!(is_told || is_there, "{}", pair.report());
    }
}
