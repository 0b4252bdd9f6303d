//! The box loses its power, and with it what was not on its disk yet.

use super::Pair;

/// The rescued bytes, if there are any.
fn rescued(pair: &Pair) -> Vec<u8> {
    let names = pair.host.names();
    let name = names.iter().find(|name| name.contains("rescued"));
    name.and_then(|name| pair.host.read(name))
        .unwrap_or_default()
}

#[test]
fn a_forgotten_tail_is_rescued() {
    for lost in [1, 50, 204] {
        let mut pair = Pair::following();
        let before = pair.local();
        pair.reboot_box();
        pair.log.lose_tail(lost);
        pair.run_ms(10_000);
        assert_eq!(
            rescued(&pair),
            before[before.len() - lost..],
            "{}",
            pair.report()
        );
        pair.log.lines(2);
        pair.settle();
        pair.check();
        assert_eq!(pair.local(), pair.log.live_bytes());
    }
}

#[test]
fn a_forgotten_tail_in_whose_place_other_lines_came_is_rescued() {
    for before in [0, 100, 1_000] {
        for lost in [10, 100] {
            for lines in [1, 5, 60] {
                let mut pair = Pair::following();
                pair.log.lines(before);
                pair.run_ms(1_000);
                let ours = pair.local();
                pair.go_away();
                pair.reboot_box();
                pair.log.lose_tail(lost);
                pair.log.lines(lines);
                pair.reconnect();
                pair.settle();
                pair.check();
                assert_eq!(pair.local(), pair.log.live_bytes());
                let rescued = rescued(&pair);
                assert!(ours.ends_with(&rescued), "{}", pair.report());
                assert!(rescued.len() >= lost, "{}", pair.report());
                assert!(pair.kept().is_empty(), "{}", pair.report());
            }
        }
    }
}

#[test]
fn a_rescued_generation_is_verified_at_its_end() {
    let mut pair = Pair::following();
    pair.log.lines(200);
    pair.run_ms(1_000);
    pair.go_away();
    pair.reboot_box();
    pair.log.lose_tail(500);
    pair.log.lines(50);
    pair.reconnect();
    pair.log.lines(2);
    pair.log.rotate();
    pair.log.lines(1);
    pair.settle();
    pair.check();
    assert_eq!(pair.copies()[0], pair.log.generations()[0].bytes);
}

#[test]
fn a_file_of_which_nothing_is_left_becomes_another_generation() {
    let mut pair = Pair::following();
    pair.go_away();
    pair.reboot_box();
    pair.log.truncate();
    pair.log.lines(3);
    pair.reconnect();
    pair.settle();
    pair.check();
    assert_eq!(pair.copies()[0], pair.log.generations()[0].bytes);
}

#[test]
fn logs_in_memory_are_gone_and_their_inodes_come_back() {
    for (inode, lines) in [(101, 1), (101, 60), (55, 1), (55, 60)] {
        let mut pair = Pair::following();
        pair.log.rotate();
        pair.log.lines(4);
        pair.run_ms(20_000);
        pair.go_away();
        pair.reboot_box();
        pair.log.delete();
        pair.log.retain(0);
        pair.log.create_as(inode);
        pair.log.lines(lines);
        pair.reconnect();
        pair.settle();
        pair.check();
        assert_eq!(pair.copies()[0], pair.log.generations()[0].bytes);
        assert_eq!(pair.copies()[1], pair.log.generations()[1].bytes);
    }
}

#[test]
fn a_reboot_that_loses_nothing_is_no_event() {
    let mut pair = Pair::following();
    pair.go_away();
    pair.reboot_box();
    pair.log.lines(3);
    pair.reconnect();
    pair.settle();
    pair.check();
    assert!(pair.kept().is_empty());
    assert!(!pair.says("forgotten"));
}

#[test]
fn a_rotation_and_a_reboot_during_one_outage() {
    for lost in [0, 30] {
        let mut pair = Pair::following();
        pair.go_away();
        pair.log.lines(3);
        pair.run_ms(1_000);
        pair.log.rotate();
        pair.log.lines(4);
        pair.reboot_box();
        pair.log.lose_tail(lost);
        pair.log.lines(2);
        pair.reconnect();
        pair.settle();
        pair.check();
        assert_eq!(pair.kept().len(), 1);
    }
}

#[test]
fn what_is_left_of_a_generation_is_fetched_whatever_the_clock_says() {
    for lost in [0, 100] {
        let mut pair = Pair::following();
        pair.log.rotate();
        pair.log.lines(5);
        pair.run_ms(15_000);
        pair.go_away();
        pair.step_clocks(-3_600_000, 0);
        pair.reboot_box();
        pair.log.lose_tail(lost);
        pair.log.lines(3);
        pair.log.rotate();
        pair.log.lines(2);
        // Of the older ones whose times are right, none is left.
        pair.log.retain(1);
        pair.reconnect();
        pair.settle();
        pair.check_status();
        let whole = pair.log.generations()[1].bytes.clone();
        assert!(pair.copies().contains(&whole), "{}", pair.report());
        assert_eq!(pair.local(), pair.log.live_bytes());
    }
}
