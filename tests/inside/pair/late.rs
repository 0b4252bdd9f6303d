//! A writer that never reopens, and what is written to a generation after it was given whole.

use super::Pair;
use super::link::End;
use crate::store::Writers;

/// A pair whose writer goes on with the renamed file. Whether the system tells so.
fn stubborn(tells_writers: bool) -> Pair {
    let mut pair = Pair::following();
    pair.log.tells_writers = tells_writers;
    if !tells_writers {
        let inode = pair.log.live_inode();
        pair.log.disk.set_writers(inode, Writers::Unknown);
    }
    pair.log.rename();
    pair.log.create();
    pair
}

/// A pair with two generations, the first of which is finished, and then was written to.
fn late() -> Pair {
    let mut pair = Pair::following();
    pair.log.rotate();
    pair.log.lines(3);
    pair.settle();
    assert_eq!(pair.kept().len(), 1);
    pair.log.append_to(0, b"late\n");
    pair.settle();
    pair
}

/// The log is rotated once more, and all that follows from that happens.
fn rotate_and_settle(pair: &mut Pair) {
    pair.log.rotate();
    pair.log.lines(2);
    pair.settle();
}

fn record(pair: &Pair) -> String {
    let record = pair.host.read("/l/m.gaps").unwrap_or_default();
    String::from_utf8(record).unwrap()
}

#[test]
fn a_writer_that_never_reopens_is_followed_while_nobody_writes_to_the_new_file() {
    for bits in 0..8 {
        let [tells_writers, breaks, starts_anew] = [1, 2, 4].map(|bit| bits & bit > 0);
        let mut pair = stubborn(tells_writers);
        for _ in 0..20 {
            pair.run_ms(60_000);
            pair.log.late_line();
        }
        // One more, to which nobody writes either.
        pair.log.rename();
        pair.log.create();
        for _ in 0..3 {
            pair.run_ms(700_000);
            pair.starts_server = starts_anew;
            if breaks {
                pair.cut();
            }
            pair.log.append_to(0, b"and on\n");
        }
        pair.run_ms(30_000);
        assert_eq!(pair.local(), pair.log.generations()[0].bytes);
        assert!(pair.kept().is_empty(), "{}", pair.report());
        pair.log.reopen();
        pair.log.lines(1);
        pair.settle_without_loss();
        assert_eq!(pair.kept().len(), 2, "{}", pair.report());
    }
}

#[test]
fn a_writer_that_never_reopens_does_not_keep_the_next_file_back() {
    for tells_writers in [true, false] {
        let mut pair = stubborn(tells_writers);
        pair.run_ms(30_000);
        pair.log.lines(1);
        pair.run_ms(30_000);
        assert_eq!(pair.local(), pair.log.live_bytes(), "{}", pair.report());
        assert_eq!(pair.kept().len(), 1);
    }
}

#[test]
fn a_file_that_was_filled_and_rotated_between_two_looks_is_not_kept_back() {
    let mut pair = stubborn(true);
    pair.run_ms(30_000);
    pair.log.lines(2);
    pair.log.rename();
    pair.log.create();
    pair.run_ms(90_000);
    assert_eq!(pair.copies()[1], pair.log.generations()[1].bytes);
}

#[test]
fn what_is_written_late_gets_into_the_copy_that_there_is() {
    let mut pair = late();
    for round in 0..4 {
        rotate_and_settle(&mut pair);
        pair.check();
        assert_eq!(pair.copies()[0], pair.log.generations()[0].bytes);
        assert!(pair.says("completed /l/m."), "{}", pair.report());
        assert_eq!(record(&pair), "");
        assert!(!pair.source.in_error());
        let mut files = pair.host.names();
        files.retain(|name| name.starts_with("/l/m."));
        assert_eq!(files.len(), pair.kept().len(), "{round}: {files:?}");
        pair.log.append_to(0, b"once more\n");
    }
    // A file that is written to all the time is fetched once a generation.
    let connections = pair.link.opened();
    pair.log.append_to(0, b"and on\n");
    pair.cut();
    for _ in 0..100 {
        pair.run_ms(100);
        pair.log.append_to(0, b"and on\n");
    }
    pair.settle();
    assert!(pair.link.opened() < connections + 3, "{}", pair.report());
    rotate_and_settle(&mut pair);
    pair.check();
    // Where nothing is new, nobody asks.
    rotate_and_settle(&mut pair);
    let connections = pair.link.opened();
    rotate_and_settle(&mut pair);
    assert_eq!(pair.link.opened(), connections, "{}", pair.report());
}

#[test]
fn what_was_written_long_after_is_told_by_a_server_that_was_started_again() {
    let mut pair = Pair::following();
    for _ in 0..12 {
        pair.log.rotate();
        pair.log.lines(3);
        pair.settle();
    }
    pair.go_away();
    pair.log.append_to(0, b"late\n");
    pair.run_ms(20_000);
    pair.starts_server = true;
    pair.reconnect();
    pair.settle();
    rotate_and_settle(&mut pair);
    let is_whole = pair.copies()[0] == pair.log.generations()[0].bytes;
    assert!(is_whole, "{}", pair.report());
    pair.check();
}

#[test]
fn a_copy_gets_what_was_written_late_whatever_breaks() {
    for kill in [false, true] {
        for after in 0..40 {
            let mut pair = late();
            pair.kill_at_cut = kill;
            pair.log.rotate();
            pair.log.lines(2);
            pair.link.cut_after = Some((after * 37, End::Reset));
            pair.settle();
            pair.kill_at_cut = false;
            rotate_and_settle(&mut pair);
            pair.check();
            assert_eq!(record(&pair), "");
        }
    }
}

#[test]
fn what_was_written_late_and_cannot_be_had_is_on_record() {
    // The server may not read it any more.
    let mut pair = late();
    pair.log.disk.set_readable("/v/m.1", false);
    rotate_and_settle(&mut pair);
    let text = record(&pair);
    assert!(text.contains(":205, at least 5 bytes: they were"), "{text}");
    assert!(pair.source.in_error());
    // The copy was taken away.
    let mut pair = late();
    let copy = pair.kept()[0].to_str().unwrap().to_owned();
    pair.host.remove(&copy);
    rotate_and_settle(&mut pair);
    let text = record(&pair);
    assert!(text.contains("left out m.2, 210 bytes, which"), "{text}");
    assert!(pair.source.in_error());
}

#[test]
fn a_copy_is_not_made_another_file_by_what_was_written_late() {
    let mut pair = late();
    let copy = pair.copies()[0].clone();
    let inode = pair.log.generations()[0].inode;
    pair.log.disk.write_at(inode, 10, b"changed");
    rotate_and_settle(&mut pair);
    assert_eq!(pair.copies()[0], copy, "{}", pair.report());
    let text = record(&pair);
    assert!(text.contains(":205, at least 5 bytes: they were"), "{text}");
    assert!(pair.source.in_error());
}

#[test]
fn where_nobody_can_ask_who_writes_the_server_says_so_once() {
    for tells_writers in [true, false] {
        let mut pair = stubborn(tells_writers);
        pair.log.lines(1);
        pair.settle();
        pair.log.rotate();
        pair.log.lines(1);
        pair.settle();
        let lines = pair.sightings.troubles.take_lines();
        let is_told = |line: &&String| line.contains("for want of CAP_LEASE");
        let told = lines.iter().filter(is_told).count();
        assert_eq!(told, usize::from(!tells_writers), "{lines:?}");
    }
}

#[test]
fn what_is_written_late_to_a_file_that_was_empty_is_on_record() {
    let mut pair = Pair::new();
    pair.log.create();
    pair.run_ms(1_000);
    pair.log.rename();
    pair.log.create();
    pair.log.lines(1);
    pair.run_ms(60_000);
    assert_eq!(pair.kept().len(), 1);
    pair.log.append_to(0, b"late\n");
    rotate_and_settle(&mut pair);
    let text = record(&pair);
    assert!(text.contains("left out m.2, 5 bytes, which"), "{text}");
}
