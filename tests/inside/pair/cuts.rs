//! A whole dialogue, cut at every single byte.

use super::Pair;
use super::link::End;

/// A dialogue of two generations and a part of a third, seen to its end.
pub(super) fn dialogue(prepare: impl FnOnce(&mut Pair)) -> Pair {
    let mut pair = Pair::following();
    pair.restart_collector();
    pair.log.lines(2);
    pair.link.carried = 0;
    prepare(&mut pair);
    pair.run_ms(7_000);
    pair.log.lines(1);
    pair.log.rotate();
    pair.log.lines(2);
    pair.run_ms(7_000);
    pair.log.copytruncate();
    pair.log.lines(1);
    pair.settle();
    pair
}

fn length() -> usize {
    dialogue(|_| {}).link.carried
}

#[test]
fn cut_at_every_byte_it_goes_on_with_nothing_lost_and_nothing_twice() {
    let length = length();
    assert!(length > 500);
    for end in [End::Reset, End::Fin] {
        for at in 1..=length {
            let pair = dialogue(|pair| pair.link.cut_after = Some((at, end)));
            pair.check_bytes();
            pair.check_status();
        }
    }
}

#[test]
fn the_collector_killed_at_every_byte_goes_on() {
    for at in (1..=length()).step_by(3) {
        let pair = dialogue(|pair| {
            pair.link.cut_after = Some((at, End::Reset));
            pair.kill_at_cut = true;
        });
        pair.check_bytes();
        pair.check_status();
    }
}

#[test]
fn cut_at_every_byte_with_a_rotation_before_the_next_connection() {
    let length = length();
    for rotate in [super::log::Log::rotate, super::log::Log::copytruncate] {
        for at in (1..=length).step_by(2) {
            let mut pair = dialogue(|pair| {
                pair.link.cut_after = Some((at, End::Reset));
                pair.away_after_cut = true;
            });
            pair.log.lines(1);
            rotate(&mut pair.log);
            pair.log.lines(3);
            pair.run_ms(1_000);
            rotate(&mut pair.log);
            pair.log.lines(1);
            pair.reconnect();
            pair.settle();
            pair.check_bytes();
            pair.check_status();
        }
    }
}
