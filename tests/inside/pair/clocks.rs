//! Wall clocks that jump. Deadlines are of the monotonic clock; what hangs on the wall is the order
//! of files and stamps.

use super::Pair;

const TEN_YEARS_MS: i64 = 10 * 365 * 24 * 3_600_000;

/// Every way in which one or both clocks can jump.
const STEPS: [(i64, i64); 6] = [
    (TEN_YEARS_MS, 0),
    (-TEN_YEARS_MS, 0),
    (0, TEN_YEARS_MS),
    (0, -TEN_YEARS_MS),
    (TEN_YEARS_MS, -TEN_YEARS_MS),
    (-TEN_YEARS_MS, TEN_YEARS_MS),
];

/// What rotates a log.
const ROTATIONS: [fn(&mut super::log::Log); 2] =
    [super::log::Log::rotate, super::log::Log::copytruncate];

#[test]
fn a_jump_while_connected() {
    for (of_box, of_host) in STEPS {
        for rotate in ROTATIONS {
            for hints in [true, false] {
                let mut pair = Pair::following();
                pair.set_hints(hints);
                pair.log.lines(2);
                rotate(&mut pair.log);
                pair.log.lines(2);
                pair.run_ms(15_000);
                pair.step_clocks(of_box, of_host);
                for _ in 0..3 {
                    pair.log.lines(2);
                    rotate(&mut pair.log);
                    pair.log.lines(2);
                    pair.run_ms(15_000);
                }
                pair.settle();
                pair.check();
                assert_eq!(pair.link.opened(), 1);
            }
        }
    }
}

#[test]
fn a_copy_found_late_by_a_clock_that_was_ahead_when_its_generation_began() {
    let mut pair = Pair::following().without_hints();
    pair.step_clocks(TEN_YEARS_MS, 0);
    pair.log.lines(2);
    pair.log.copytruncate();
    pair.log.lines(2);
    pair.run_ms(15_000);
    pair.step_clocks(-TEN_YEARS_MS, 0);
    pair.log.retain(0);
    pair.log.lines(2);
    pair.run_ms(15_000);
    pair.log.lines(1);
    pair.log.copytruncate();
    // Then the copy is older than any late writer could have made it.
    pair.step_clocks(60_000, 0);
    pair.log.lines(1);
    pair.settle();
    pair.check();
    assert_eq!(pair.link.opened(), 1);
}

#[test]
fn a_jump_before_the_first_of_several_rotations_during_an_outage() {
    jump_away(0);
}

#[test]
fn a_jump_between_rotations_during_an_outage() {
    jump_away(2);
}

fn jump_away(before: usize) {
    for (of_box, of_host) in STEPS {
        for rotate in ROTATIONS {
            let mut pair = Pair::following();
            for _ in 0..2 {
                rotate(&mut pair.log);
                pair.log.lines(2);
                pair.run_ms(15_000);
            }
            pair.go_away();
            for number in 0..4 {
                if number == before {
                    pair.step_clocks(of_box, of_host);
                }
                pair.log.lines(2);
                pair.run_ms(1_000);
                rotate(&mut pair.log);
                pair.log.lines(2);
            }
            pair.reconnect();
            pair.settle_without_loss();
        }
    }
}

#[test]
fn stamps_of_a_clock_that_went_back_overwrite_nothing() {
    let mut pair = Pair::following();
    for _ in 0..4 {
        pair.log.rotate();
        pair.log.lines(1);
        pair.run_ms(2_000);
        pair.step_clocks(0, -2_000);
    }
    pair.settle();
    pair.check();
    assert_eq!(pair.kept().len(), 4);
}

#[test]
fn the_names_of_copies_sort_as_their_generations_do_whatever_the_clock_does_on_one_day() {
    const HOUR_MS: i64 = 3_600_000;
    for is_new in [false, true] {
        let mut pair = Pair::following();
        for step_ms in [0, 0, -HOUR_MS, 0, -1_000, HOUR_MS, HOUR_MS] {
            pair.step_clocks(0, step_ms);
            if is_new {
                pair.restart_collector();
            }
            pair.log.lines(2);
            pair.log.rotate();
            pair.log.lines(2);
            pair.settle();
        }
        pair.check();
        let kept = pair.kept();
        let order = |path: &std::path::PathBuf| {
            let name = path.to_str().unwrap().strip_prefix("/l/m.").unwrap();
            let (stamp, number) = name.split_once('.').unwrap_or((name, "0"));
            (stamp.to_owned(), number.parse::<u32>().unwrap())
        };
        assert_eq!(kept.len(), 7);
        assert!(kept.is_sorted_by_key(order), "{}", pair.report());
    }
}
