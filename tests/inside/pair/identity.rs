//! Which file is which, when inodes, sizes or contents mislead.

use super::Pair;
use super::link::End;

// The inode lies.

#[test]
fn an_inode_used_again_is_another_generation() {
    for lines in [1, 5, 50] {
        let mut pair = Pair::following();
        let inode = pair.log.live_inode();
        pair.go_away();
        pair.log.delete();
        pair.log.create_as(inode);
        pair.log.lines(lines);
        pair.reconnect();
        pair.settle();
        pair.check();
        assert_eq!(pair.copies()[0], pair.log.generations()[0].bytes);
        assert_eq!(pair.kept().len(), 1);
        // What it got after our last byte, if anything, nobody knows.
        assert!(pair.says("lost 101:205, unknown how many bytes"));
    }
}

#[test]
fn an_inode_used_again_before_all_was_fetched() {
    let mut pair = Pair::following();
    let inode = pair.log.live_inode();
    pair.go_away();
    pair.log.lines(1_000);
    let size = pair.log.live_bytes().len();
    pair.link.cut_after = Some((20_000, End::Reset));
    pair.away_after_cut = true;
    pair.reconnect();
    pair.log.delete();
    pair.log.create_as(inode);
    pair.log.lines(2_000);
    pair.away_after_cut = false;
    pair.reconnect();
    pair.settle();
    pair.check();
    let told = format!("lost 101:205, at least {} bytes", size - 205);
    assert!(pair.says(&told), "{}", pair.report());
}

#[test]
fn an_inode_used_again_behind_rotated_files_skips_none_of_them() {
    for held in [0, 5] {
        for (rotations, keep) in [(2, 1), (3, 2), (5, 4)] {
            let mut pair = Pair::new();
            pair.log.create();
            pair.log.lines(held);
            pair.run_ms(1_000);
            let inode = pair.log.live_inode();
            pair.go_away();
            for _ in 1..rotations {
                pair.run_ms(1_000);
                pair.log.lines(3);
                pair.log.rotate();
            }
            pair.log.lines(3);
            pair.log.rename();
            pair.log.retain(keep);
            pair.log.create_as(inode);
            pair.log.reopen();
            pair.log.lines(50);
            pair.reconnect();
            pair.settle();
            pair.check();
            assert!(pair.says("lost"), "{}", pair.report());
        }
    }
}

#[test]
fn a_rotated_file_may_have_the_inode_of_ours() {
    for lines in [1, 50] {
        let mut pair = Pair::following();
        let inode = pair.log.live_inode();
        pair.go_away();
        pair.log.delete();
        pair.run_ms(1_000);
        pair.log.create_as(inode);
        pair.log.lines(lines);
        pair.run_ms(1_000);
        pair.log.rotate();
        pair.log.lines(2);
        pair.reconnect();
        pair.settle();
        pair.check();
        assert!(pair.says("lost"), "{}", pair.report());
    }
}

// The name leads elsewhere.

#[test]
fn deleted_and_created_again() {
    for away in [false, true] {
        for hints in [true, false] {
            let mut pair = Pair::following();
            pair.set_hints(hints);
            if away {
                pair.go_away();
            }
            pair.log.delete();
            pair.run_ms(8_000);
            pair.log.create();
            pair.log.lines(2);
            pair.reconnect();
            pair.settle();
            pair.check();
            assert_eq!(pair.copies()[0], pair.log.generations()[0].bytes);
            let report = || pair.report();
            assert_eq!(pair.says("deleted, "), !away, "{}", report());
        }
    }
}

#[test]
fn bytes_that_are_changed_in_place_are_a_rewritten_file() {
    let mut pair = Pair::following();
    pair.log.lines(3);
    pair.settle();
    let held = pair.local();
    let at = held.len() - 40;
    pair.log.damage(at, 30);
    pair.log.lines(1);
    pair.settle();
    assert!(pair.says("rewritten; "), "{}", pair.report());
    assert_eq!(pair.copies()[0], held);
}

#[test]
fn lines_of_a_deleted_file_come_while_it_is_open() {
    let mut pair = Pair::following();
    pair.log.lines(2);
    pair.log.delete();
    pair.log.create();
    pair.log.late_line();
    pair.log.lines(1);
    pair.settle();
    pair.check();
    assert_eq!(pair.copies()[0], pair.log.generations()[0].bytes);
}

#[test]
fn replaced_by_a_shorter_or_a_longer_file() {
    for away in [false, true] {
        for len in [0, 10, 1_000, 5_000] {
            let mut pair = Pair::following();
            if away {
                pair.go_away();
            }
            let other: Vec<u8> = (0..len).map(|n| b'a' + (n % 23) as u8).collect();
            pair.log.replace(&other);
            pair.run_ms(1_000);
            pair.log.lines(3);
            pair.reconnect();
            pair.settle();
            pair.check();
            assert_eq!(pair.copies()[0], pair.log.generations()[0].bytes);
            assert_eq!(pair.says("lost"), away, "{}", pair.report());
        }
    }
}

#[test]
fn replaced_by_a_longer_file_that_begins_with_all_we_hold() {
    let mut pair = Pair::following();
    pair.go_away();
    let longer = [pair.log.live_bytes(), noise(9_000, 3)].concat();
    pair.log.replace(&longer);
    pair.log.excuse(0);
    pair.reconnect();
    pair.log.lines(3);
    pair.settle();
    pair.check();
    assert_eq!(pair.local(), pair.log.live_bytes());
    assert_eq!(pair.kept().len(), 0);
    assert!(!pair.says("lost"), "{}", pair.report());
}

#[test]
fn brought_whole_again_and_again() {
    let mut pair = Pair::following();
    for round in 1..8 {
        let more: String = (0..200).map(|n| format!("{round} and {n}\n")).collect();
        let longer = [pair.log.live_bytes(), more.into_bytes()].concat();
        pair.log.replace(&longer);
        pair.log.excuse(pair.log.generations().len() - 2);
        pair.run_ms(3_000);
        assert!(pair.local() == longer, "round {round}: {}", pair.report());
        if round == 4 {
            pair.reconnect();
        }
    }
    pair.log.lines(3);
    pair.log.rotate();
    pair.log.lines(2);
    pair.settle();
    pair.check();
    assert_eq!(pair.kept().len(), 1);
    assert!(!pair.says("lost"), "{}", pair.report());
}

#[test]
fn brought_whole_with_another_middle() {
    let mut pair = Pair::following();
    pair.log.append(&noise(9_000, 1));
    pair.run_ms(1_000);
    let mut other = [pair.log.live_bytes(), noise(3_000, 2)].concat();
    other[3_000] ^= 1;
    pair.log.replace(&other);
    pair.log.excuse(0);
    pair.run_ms(3_000);
    assert_eq!(pair.local().len(), other.len());
    pair.log.rotate();
    pair.log.lines(2);
    pair.settle();
    pair.check();
    assert!(pair.copies()[0] == other, "{}", pair.report());
}

#[test]
fn replaced_by_a_longer_file_of_which_little_is_different() {
    // Of what we hold: the start, the end, and the place where the first kilobyte ends.
    for place in [0, 1_000, 8_999] {
        let mut pair = Pair::following();
        pair.log.append(&noise(8_795, 3));
        pair.run_ms(1_000);
        assert_eq!(pair.local().len(), 9_000);
        pair.go_away();
        let mut longer = [pair.log.live_bytes(), noise(9_000, 5)].concat();
        longer[place] ^= 1;
        pair.log.replace(&longer);
        pair.reconnect();
        pair.settle();
        pair.check();
        assert_eq!(pair.kept().len(), 1);
        assert!(pair.says("lost 101:9000"), "{}", pair.report());
    }
}

#[test]
fn restored_from_a_backup() {
    for away in [false, true] {
        for kept in [100, 205] {
            let mut pair = Pair::following();
            let backup = pair.log.live_bytes()[..kept].to_vec();
            if away {
                pair.go_away();
            }
            pair.log.replace(&backup);
            pair.log.lines(3);
            pair.reconnect();
            pair.settle();
            pair.check_bytes();
        }
    }
}

// The content misleads.

/// So many bytes that never repeat.
pub fn noise(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    (0..len).map(|_| next()).collect()
}

#[test]
fn two_files_that_begin_alike_are_told_apart() {
    let banner = noise(1_024, 7);
    for held in [500, 1_024, 3_000, 9_000] {
        for copytruncate in [false, true] {
            for between in [0, 9_000] {
                let mut pair = Pair::new();
                let first = [banner.clone(), noise(8_000, 1)].concat();
                pair.log.create();
                pair.log.append(&first[..held.min(first.len())]);
                pair.run_ms(1_000);
                pair.go_away();
                pair.log.append(&first[held.min(first.len())..]);
                pair.run_ms(1_000);
                match copytruncate {
                    true => pair.log.copytruncate(),
                    false => pair.log.rotate(),
                }
                pair.log.append(&banner);
                pair.log.append(&noise(between, 2));
                pair.reconnect();
                pair.settle();
                pair.check();
            }
        }
    }
}

/// The box changes the middle of a file under the collector's eyes, from `at` on so many bytes, and
/// rotates.
fn other_middle(seed: u64, at: usize, len: usize) -> Pair {
    let mut pair = Pair::new();
    pair.seed(seed);
    pair.log.create();
    pair.log.append(&noise(20_000, 5));
    pair.run_ms(1_000);
    pair.go_away();
    pair.log.damage(at, len);
    pair.log.append(b"more\n");
    pair.reconnect();
    pair
}

#[test]
fn a_middle_that_is_different_altogether_is_noticed_by_the_proof() {
    let noticed = (0..40).filter(|&seed| {
        let pair = other_middle(seed, 1_100, 14_800);
        assert!(pair.kept().is_empty() || pair.local() == pair.log.live_bytes());
        !pair.kept().is_empty()
    });
    assert!(noticed.count() >= 36);
}

#[test]
fn one_changed_byte_is_found_at_the_end_and_healed() {
    for at in [1_100, 4_095, 4_096, 9_999, 15_900] {
        // A seed whose random blocks all miss the byte.
        let mut pair = (0..)
            .map(|seed| other_middle(seed, at, 1))
            .find(|pair| pair.kept().is_empty())
            .unwrap();
        let before = pair.local();
        pair.log.rotate();
        pair.log.lines(2);
        pair.settle();
        pair.check_bytes();
        assert!(pair.says("healed"), "{}", pair.report());
        assert!(!pair.source.in_error(), "{}", pair.report());
        let kept = pair.kept()[0].display().to_string();
        assert_eq!(
            pair.host.read(&kept),
            Some(pair.log.generations()[0].bytes.clone())
        );
        assert_eq!(pair.host.read(&format!("{kept}.damaged")), Some(before));
    }
}

#[test]
fn a_hole_where_lines_were_is_another_generation() {
    // A writer that does not append goes on at its old place after a truncation.
    for hints in [true, false] {
        for away in [true, false] {
            let mut pair = Pair::following();
            pair.set_hints(hints);
            if away {
                pair.go_away();
            }
            let len = pair.log.live_bytes().len();
            pair.log.copytruncate();
            pair.log.append(&vec![0; len]);
            pair.log.lines(2);
            pair.reconnect();
            pair.settle();
            pair.check();
            assert_eq!(pair.kept().len(), 1);
        }
    }
}

#[test]
fn periodic_content_with_rotations_and_outages() {
    for beat in [&b"beat\n"[..], &[0; 5], &[7; 5]] {
        for away in [true, false] {
            let mut pair = Pair::new();
            pair.log.create();
            pair.log.append(&beat.repeat(10));
            pair.run_ms(1_000);
            if away {
                pair.go_away();
            }
            for count in [3, 0, 25, 4] {
                pair.log.append(&beat.repeat(count));
                pair.run_ms(1_000);
                pair.log.rotate();
                pair.run_ms(1_000);
            }
            pair.log.append(&beat.repeat(11));
            pair.reconnect();
            pair.settle();
            let sizes = |pair: &Pair| pair.copies().iter().map(Vec::len).collect::<Vec<_>>();
            // Zeros at the end of a live file are not written yet.
            let live = if beat[0] == 0 { 0 } else { 55 };
            assert_eq!(sizes(&pair), [65, 0, 125, 20, live], "{}", pair.report());
            pair.check();
            pair.log.rotate();
            pair.settle();
            assert_eq!(sizes(&pair), [65, 0, 125, 20, 55, 0], "{}", pair.report());
            pair.check();
        }
    }
}
