//! Rotated files that cannot be had: what is left out is told, and the rest arrives. And backlogs
//! of any length.

use super::Pair;
use crate::limits::CANDIDATES_MAX;

/// A collector that was away while the log was rotated twice: `two` is in m.1, the file of the
/// second generation, and `three` in the live one.
fn away() -> (Pair, Vec<Vec<u8>>) {
    let mut pair = Pair::following();
    pair.go_away();
    for _ in 0..2 {
        pair.log.rotate();
        pair.log.lines(3);
    }
    let all = pair.log.generations().iter();
    let all = all.map(|generation| generation.bytes.clone()).collect();
    (pair, all)
}

fn record(pair: &Pair) -> String {
    let record = pair.host.read("/l/m.gaps").unwrap_or_default();
    String::from_utf8(record).unwrap()
}

#[test]
fn a_generation_that_may_not_be_read_is_told_and_the_rest_arrives() {
    for begins_anew in [false, true] {
        let (mut pair, all) = away();
        if begins_anew {
            let log = std::mem::replace(&mut pair.log, super::Log::new());
            pair = Pair::with("history=all");
            pair.log = log;
            pair.link.line = super::Line::Refused;
        }
        pair.log.disk.set_readable("/v/m.1", false);
        pair.reconnect();
        pair.settle();
        assert_eq!(pair.copies(), [&all[0][..], &all[2]], "{}", pair.report());
        assert!(pair.source.in_error());
        let text = "left out m.1, ";
        assert_eq!(record(&pair).matches(text).count(), 1, "{}", record(&pair));
        // However often it comes back, it is not told anew, and nothing comes twice or in a wrong
        // place.
        for readable in [false, true] {
            pair.log.disk.set_readable("/v/m.1", readable);
            pair.cut();
            pair.log.rotate();
            pair.log.lines(1);
            pair.log.disk.set_readable("/v/m.2", readable);
            pair.settle();
        }
        assert_eq!(pair.copies().len(), 4, "{}", pair.report());
        assert_eq!(
            record(&pair).lines().count(),
            1,
            "{begins_anew} {} {}",
            record(&pair),
            pair.report()
        );
    }
}

#[test]
fn the_rest_of_what_is_held_may_not_be_read() {
    let mut pair = Pair::following();
    pair.go_away();
    pair.log.lines(2);
    pair.log.rotate();
    pair.log.lines(3);
    pair.log.disk.set_readable("/v/m.1", false);
    pair.reconnect();
    pair.settle();
    assert_eq!(pair.local(), pair.log.live_bytes(), "{}", pair.report());
    assert!(pair.says("lost 101:"), "{}", pair.report());
    assert!(
        record(&pair).contains("left out m.1, "),
        "{}",
        record(&pair)
    );
}

#[test]
fn what_becomes_readable_before_it_is_its_turn_comes_in_its_turn() {
    let (mut pair, _) = away();
    pair.log.disk.set_readable("/v/m.1", false);
    pair.run_ms(10_000);
    pair.log.disk.set_readable("/v/m.1", true);
    pair.reconnect();
    pair.settle_without_loss();
}

#[test]
fn a_bad_sector_does_not_keep_the_others_away_for_ever() {
    let (mut pair, all) = away();
    pair.log.disk.set_sound("/v/m.1", false);
    pair.link.line = super::Line::Up;
    pair.run_ms(40_000);
    assert_eq!(pair.copies(), [&all[0][..]], "it may pass");
    pair.settle();
    pair.settle();
    assert_eq!(pair.copies(), [&all[0][..], &all[2]], "{}", pair.report());
    let text = "which may be lost: the server's disk cannot read it";
    assert!(record(&pair).contains(text), "{}", record(&pair));
    assert!(pair.source.in_error());
}

#[test]
fn a_bad_sector_in_the_middle_of_what_is_being_sent() {
    let (mut pair, all) = away();
    pair.log.disk.set_sound_up_to("/v/m.1", 4);
    pair.reconnect();
    pair.settle();
    pair.settle();
    let copies = pair.copies();
    assert_eq!(copies.first(), Some(&all[0]), "{}", pair.report());
    assert_eq!(copies.last(), Some(&all[2]), "{}", pair.report());
    assert!(
        record(&pair).contains("left out m.1, "),
        "{}",
        record(&pair)
    );
}

#[test]
fn a_disk_that_recovers_within_a_minute_costs_nothing() {
    let (mut pair, _) = away();
    pair.log.disk.set_sound("/v/m.1", false);
    pair.link.line = super::Line::Up;
    pair.run_ms(40_000);
    pair.log.disk.set_sound("/v/m.1", true);
    pair.settle();
    pair.check();
    assert_eq!(record(&pair), "");
}

/// Without a word of a server that names too many at once.
/// However many there are, others wait for the one record of them only.
#[test]
fn many_that_may_not_be_read_are_told_at_once() {
    let mut pair = Pair::following();
    pair.go_away();
    for _ in 0..50 {
        pair.log.rotate();
        pair.log.lines(2);
    }
    for n in 1..=49 {
        pair.log.disk.set_readable(&format!("/v/m.{n}"), false);
    }
    pair.reconnect();
    pair.settle();
    assert_eq!(record(&pair).lines().count(), 17, "{}", record(&pair));
    assert!(
        record(&pair).contains("more files than are told one by one"),
        "{}",
        record(&pair)
    );
    assert_eq!(pair.copies().len(), 2, "{}", pair.report());
}

fn arrives(pair: &mut Pair, generations: usize) {
    pair.reconnect();
    pair.settle();
    pair.check();
    assert_eq!(pair.kept().len(), generations, "{}", pair.report());
    assert_eq!(record(pair), "");
    assert!(!pair.says("connection given up"), "{}", pair.report());
}

#[test]
fn a_long_backlog_arrives() {
    let mut pair = Pair::following();
    pair.go_away();
    for _ in 0..300 {
        pair.log.rotate();
        pair.log.lines(1);
    }
    arrives(&mut pair, 300);
}

#[test]
fn a_backlog_longer_than_what_is_looked_at_arrives() {
    let mut pair = Pair::following();
    pair.log.style = super::log::Style::Date;
    pair.go_away();
    let generations = CANDIDATES_MAX + 150;
    for _ in 0..generations {
        pair.run_ms(1);
        pair.log.rotate();
        pair.log.lines(1);
    }
    arrives(&mut pair, generations);
}

/// A collector that was away while the log was copied and truncated three times, which the server
/// saw: the second of these generations is in m.2.
fn away_from_copies() -> (Pair, Vec<Vec<u8>>) {
    let mut pair = Pair::following();
    pair.go_away();
    for _ in 0..3 {
        pair.run_ms(10_000);
        pair.log.copytruncate();
        pair.run_ms(10_000);
        pair.log.lines(3);
    }
    pair.run_ms(10_000);
    let all = pair.log.generations().iter();
    let all = all.map(|generation| generation.bytes.clone()).collect();
    (pair, all)
}

#[test]
fn a_copy_that_cannot_be_had_does_not_keep_the_others_away() {
    for may_be_read in [false, true] {
        let (mut pair, all) = away_from_copies();
        match may_be_read {
            false => pair.log.disk.set_readable("/v/m.2", false),
            true => pair.log.disk.set_sound("/v/m.2", false),
        }
        pair.link.line = super::Line::Up;
        for _ in 0..3 {
            pair.settle();
        }
        let copies = pair.copies();
        assert_eq!(copies, [&all[0][..], &all[2], &all[3]], "{}", pair.report());
        let text = record(&pair);
        assert!(text.contains("left out m.2, "), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
}

#[test]
fn a_generation_that_was_seen_and_cannot_be_had_is_told_once() {
    for may_be_read in [false, true] {
        let mut pair = Pair::following();
        pair.go_away();
        for _ in 0..3 {
            pair.run_ms(10_000);
            pair.log.rotate();
            pair.log.lines(3);
        }
        match may_be_read {
            false => pair.log.disk.set_readable("/v/m.2", false),
            true => pair.log.disk.set_sound("/v/m.2", false),
        }
        pair.link.line = super::Line::Up;
        for _ in 0..3 {
            pair.settle();
        }
        assert_eq!(pair.copies().len(), 3, "{}", pair.report());
        let text = record(&pair);
        assert!(text.contains("left out m.2, "), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
}

#[test]
fn what_was_given_is_not_told_as_left_out() {
    let mut pair = Pair::following();
    for _ in 0..3 {
        pair.log.rotate();
        pair.log.lines(3);
        pair.settle();
    }
    for name in ["/v/m.1", "/v/m.2", "/v/m.3"] {
        pair.log.disk.set_readable(name, false);
    }
    pair.go_away();
    pair.log.rotate();
    pair.log.lines(3);
    pair.reconnect();
    pair.settle();
    pair.check();
    assert_eq!(record(&pair), "");
}
