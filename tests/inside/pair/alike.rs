//! Generations that are equal, or begin alike: which is which the files tell, and where nothing
//! tells, that is said.

use super::Pair;

/// The lines that each generation begins with, so many of them.
fn steps(count: usize) -> Vec<u8> {
    let line = |n: usize| format!("step {n} of the run {}\n", "=".repeat(n * 31 % 80));
    (0..count).map(line).collect::<String>().into_bytes()
}

/// A pair that has finished a generation of these lines and holds so many of the next.
fn holding(held: usize) -> Pair {
    let mut pair = Pair::new();
    pair.log.create();
    pair.log.append(&steps(7));
    pair.run_ms(20_000);
    pair.log.copytruncate();
    pair.run_ms(20_000);
    pair.log.append(&steps(held));
    pair.run_ms(20_000);
    pair.go_away();
    pair
}

impl Pair {
    fn all(&self) -> Vec<Vec<u8>> {
        let generations = self.log.generations().iter();
        generations
            .map(|generation| generation.bytes.clone())
            .collect()
    }
}

/// The collector comes back: all arrives, or it is told what may be missing.
fn expect_all_or_told(pair: &mut Pair) {
    pair.reconnect();
    pair.settle();
    let is_told = pair.says("which may be lost") || pair.says("lost 1");
    assert!(is_told || pair.copies() == pair.all(), "{}", pair.report());
}

#[test]
fn what_is_equal_to_a_lost_generation_or_its_beginning_is_another_one() {
    for starts_server in [false, true] {
        for next in [2, 9, 20] {
            let mut pair = Pair::new();
            pair.log.create();
            pair.log.append(&steps(9));
            pair.run_ms(1_000);
            pair.go_away();
            pair.log.append(b"lost");
            pair.log.rotate();
            pair.run_ms(5_000);
            pair.log.append(&steps(next));
            pair.run_ms(5_000);
            pair.log.rotate();
            pair.log.append(b"live\n");
            pair.run_ms(5_000);
            pair.log.retain(1);
            pair.starts_server = starts_server;
            pair.reconnect();
            pair.settle();
            let expected = [steps(9), steps(next), b"live\n".to_vec()];
            assert_eq!(pair.copies(), expected, "{}", pair.report());
            assert!(pair.says("lost 101:"), "{}", pair.report());
        }
    }
}

#[test]
fn what_was_moved_to_another_place_is_the_same_generation() {
    for held in [2, 200] {
        let mut pair = Pair::new();
        pair.log.create();
        pair.log.append(&steps(held));
        pair.run_ms(1_000);
        pair.go_away();
        pair.log.append(&steps(3));
        let bytes = pair.log.live_bytes();
        let mtime_ns = pair.log.disk.mtime_ns("/v/m");
        pair.log.rotate();
        pair.log.append(b"live\n");
        pair.run_ms(5_000);
        // With its times, as `mv` to another file system does it.
        pair.log.disk.remove("/v/m.1");
        pair.log.disk.write("/v/m.1", &bytes);
        pair.log.disk.set_mtime_ns("/v/m.1", mtime_ns);
        pair.starts_server = true;
        pair.reconnect();
        pair.settle();
        assert_eq!(
            pair.copies(),
            [bytes, b"live\n".to_vec()],
            "{}",
            pair.report()
        );
    }
}

#[test]
fn equal_generations_that_were_copied_and_truncated_unseen_arrive_or_are_told() {
    for (hints, starts_server) in [(false, false), (false, true), (true, true)] {
        for (held, sizes) in [
            (3, [5, 20]),
            (5, [5, 20]),
            (3, [20, 30]),
            (8, [8, 3]),
            (3, [3, 40]),
        ] {
            let mut pair = holding(held);
            pair.set_hints(hints);
            let mut written = held;
            for size in sizes {
                pair.log
                    .append(&steps(written.max(size))[steps(written).len()..]);
                pair.run_ms(20_000);
                pair.log.copytruncate();
                pair.run_ms(20_000);
                written = 0;
            }
            pair.log.append(&steps(50));
            pair.run_ms(20_000);
            pair.starts_server = starts_server;
            expect_all_or_told(&mut pair);
        }
    }
}

#[test]
fn a_generation_that_has_nothing_but_the_common_header_is_one_or_is_told() {
    for hints in [false, true] {
        let mut pair = holding(4);
        pair.set_hints(hints);
        for size in [10, 1] {
            pair.log.append(&steps(size));
            pair.run_ms(20_000);
            pair.log.copytruncate();
            pair.run_ms(20_000);
        }
        pair.log.append(&steps(12));
        pair.run_ms(20_000);
        pair.starts_server = true;
        expect_all_or_told(&mut pair);
    }
}

#[test]
fn where_generations_do_not_begin_alike_a_copy_of_the_log_is_nothing_to_tell() {
    let mut pair = Pair::following();
    pair.log.rotate();
    pair.log.lines(9);
    pair.run_ms(20_000);
    pair.go_away();
    let copied = pair.log.live_bytes();
    pair.log.disk.write("/v/m-copy1", &copied);
    pair.log.lines(4);
    pair.run_ms(60_000);
    pair.starts_server = true;
    pair.reconnect();
    pair.settle_without_loss();
    pair.log.rotate();
    pair.log.lines(2);
    pair.settle_without_loss();
    assert!(!pair.says("left out"), "{}", pair.report());
    assert_eq!(pair.copies(), pair.all());
}

#[test]
fn a_copy_of_the_first_generation_is_a_copy_which_is_told() {
    for is_truncated_next in [false, true] {
        let mut pair = Pair::following();
        pair.log.lines(9);
        pair.run_ms(20_000);
        pair.go_away();
        let copied = pair.log.live_bytes();
        pair.log.disk.write("/v/m.20261129", &copied);
        pair.log.lines(4);
        pair.run_ms(60_000);
        pair.reconnect();
        pair.settle();
        assert!(pair.says("left out m.20261129"), "{}", pair.report());
        if is_truncated_next {
            // It was the rotator's, which was slow.
            let all = pair.log.live_bytes();
            pair.log.disk.write("/v/m.20261129", &all[copied.len()..]);
            pair.log.truncate();
            pair.log.lines(2);
            pair.settle();
        }
        assert!(pair.copies() == pair.all(), "{}", pair.report());
    }
}

#[test]
fn zeros_alone_are_generations_too() {
    for hints in [false, true] {
        let mut pair = Pair::new();
        pair.set_hints(hints);
        pair.log.create();
        pair.log.append(&[0; 300]);
        pair.run_ms(20_000);
        for size in [100, 900] {
            // Where nothing is told, it is longer than before when somebody looks.
            pair.log.copytruncate();
            pair.run_ms(if hints { 10 } else { 0 });
            pair.log.append(&vec![0; size]);
            pair.run_ms(100_000);
        }
        pair.log.rotate();
        pair.log.append(b"live\n");
        pair.settle_without_loss();
        assert_eq!(pair.copies(), pair.all(), "{}", pair.report());
    }
}
