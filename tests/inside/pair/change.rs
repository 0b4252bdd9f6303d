//! What the source's files go through, step by step, and the pair at its simplest.

use super::Pair;

impl Pair {
    /// Takes the source through a change of its files, as its shell does where many change
    /// together.
    pub fn change_files(&mut self) -> bool {
        if !self.source.is_changing() {
            return false;
        }
        let is_over = self.with_source(|source, cx, _| source.step_change(cx));
        if !is_over {
            self.with_source(|source, cx, _| source.barrier(cx));
        }
        true
    }
}

#[test]
fn the_pair_brings_lines_and_says_ok() {
    let mut pair = Pair::following();
    pair.log.lines(3);
    pair.run_ms(0);
    assert_eq!(pair.local(), pair.log.live_bytes());
    pair.settle();
    pair.check();
    assert_eq!(
        *pair.said.borrow(),
        ["following 101 from 0, 205 bytes behind"]
    );
}

#[test]
fn two_runs_are_the_same() {
    let run = || {
        let mut pair = Pair::following();
        pair.log.rotate();
        pair.go_away();
        pair.log.lines(3);
        pair.reconnect();
        pair.report()
    };
    assert_eq!(run(), run());
}
