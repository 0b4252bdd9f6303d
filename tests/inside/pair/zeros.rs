//! Holes, logs that are allocated ahead, and logs of zeros.

use super::Pair;
use super::link::End;

/// A log that was allocated ahead, and of which so much is written.
struct Ahead {
    pair: Pair,
    written: usize,
}

/// Bytes allocated ahead: more than one DATA frame has.
const ROOM: usize = 200_000;

impl Ahead {
    fn new(hints: bool) -> Ahead {
        let mut pair = Pair::new();
        pair.hints = hints;
        pair.log.create();
        pair.log.write_at(ROOM - 1, &[0]);
        pair.run_ms(10_000);
        assert_eq!(pair.local(), b"");
        Ahead { pair, written: 0 }
    }

    fn line(&mut self, text: &str) {
        self.pair.log.write_at(self.written, text.as_bytes());
        self.written += text.len();
    }

    /// So many lines, each of which has to arrive at once.
    fn lines(&mut self, count: u32) {
        for number in 0..count {
            self.line(&format!(
                "line {number} of a log that was allocated first\n"
            ));
            self.pair.run_ms(6_000);
            self.check_live();
        }
    }

    fn check_live(&self) {
        let (pair, written) = (&self.pair, self.written);
        let live = pair.log.live_bytes();
        assert_eq!(pair.local(), live[..written], "{}", pair.report());
    }

    /// After a rotation the copy is the file, with all its zeros.
    fn rotate(mut self, size: usize) {
        self.pair.log.rotate();
        self.pair.settle();
        let pair = self.pair;
        pair.check();
        let sizes: Vec<usize> = pair.copies().iter().map(Vec::len).collect();
        assert_eq!(sizes, [size, 0], "{}", pair.report());
        assert!(!pair.says("lost"), "{}", pair.report());
        assert!(!pair.says("healed"), "{}", pair.report());
        assert!(!pair.says("truncated"), "{}", pair.report());
    }
}

/// With hints and without.
fn both(test: impl Fn(Ahead)) {
    for hints in [true, false] {
        test(Ahead::new(hints));
    }
}

#[test]
fn zeros_at_the_end_are_not_written_yet() {
    both(|mut log| {
        log.lines(20);
        log.rotate(ROOM);
    });
}

#[test]
fn what_was_not_written_is_not_missed_when_it_is_cut_off() {
    both(|mut log| {
        log.lines(3);
        log.pair.log.cut_zeros(log.written);
        log.pair.run_ms(10_000);
        log.check_live();
        let size = log.written;
        log.rotate(size);
    });
    // The last line comes with the cut.
    both(|mut log| {
        log.lines(3);
        log.line("the last one\n");
        log.pair.log.cut_zeros(log.written + 7);
        log.pair.run_ms(10_000);
        log.check_live();
        let size = log.written + 7;
        log.rotate(size);
    });
}

#[test]
fn more_is_allocated_when_that_is_used_up() {
    both(|mut log| {
        log.lines(3);
        log.pair.log.write_at(2 * ROOM - 1, &[0]);
        log.lines(3);
        log.line(&"a long line ".repeat(ROOM / 12));
        log.pair.run_ms(10_000);
        log.check_live();
        log.rotate(2 * ROOM);
    });
}

#[test]
fn lines_that_come_within_one_tick_of_the_clock_arrive() {
    let mut log = Ahead::new(true);
    for number in 0..10 {
        log.line(&format!("line {number}\n"));
        log.pair.pump();
        log.check_live();
    }
    log.rotate(ROOM);
}

#[test]
fn a_late_writer_fills_what_is_renamed_already() {
    both(|mut log| {
        log.lines(3);
        log.pair.log.rename();
        log.pair.log.create();
        for _ in 0..4 {
            log.pair.log.write_at_of(0, log.written, b"late\n");
            log.written += 5;
            log.pair.run_ms(6_000);
        }
        log.pair.log.reopen();
        log.pair.settle();
        log.pair.check();
        assert_eq!(log.pair.copies()[0].len(), ROOM, "{}", log.pair.report());
        assert!(!log.pair.says("healed"), "{}", log.pair.report());
    });
}

#[test]
fn during_an_outage_too() {
    both(|mut log| {
        log.lines(3);
        log.pair.go_away();
        log.line("while nobody was there\n");
        log.pair.run_ms(5_000);
        log.pair.reconnect();
        log.pair.run_ms(90_000);
        log.check_live();
        log.lines(3);
        log.pair.go_away();
        log.line("and before it was renamed\n");
        log.pair.log.rotate();
        log.pair.run_ms(5_000);
        log.pair.reconnect();
        log.pair.settle();
        log.pair.check();
        assert_eq!(log.pair.kept().len(), 1);
        assert!(!log.pair.says("lost"), "{}", log.pair.report());
    });
}

#[test]
fn what_is_written_behind_a_gap_of_zeros_arrives() {
    both(|mut log| {
        log.lines(2);
        log.pair.log.write_at(150_000, b"behind\n");
        log.written = 150_007;
        // Where nobody tells, that is not looked for at every look.
        log.pair.run_ms(70_000);
        log.check_live();
        log.line("next\n");
        log.pair.log.write_at(180_000, b"and behind that\n");
        log.written = 180_016;
        log.pair.run_ms(130_000);
        log.check_live();
        log.rotate(ROOM);
    });
}

#[test]
fn it_is_written_anew_while_nothing_is_to_be_sent() {
    let mut log = Ahead::new(true);
    log.lines(5);
    log.pair.log.copytruncate();
    log.pair.log.write_at(ROOM - 1, &[0]);
    log.pair.log.write_at(0, b"short\n");
    log.pair.settle();
    log.pair.check();
    let sizes: Vec<usize> = log.pair.copies().iter().map(Vec::len).collect();
    assert_eq!(sizes, [ROOM, 6], "{}", log.pair.report());
}

#[test]
fn a_log_of_zeros_arrives_when_it_is_over() {
    for hints in [true, false] {
        let mut pair = Pair::new();
        pair.hints = hints;
        pair.log.create();
        for _ in 0..30 {
            pair.log.append(&[0; 3_000]);
            pair.run_ms(2_000);
        }
        assert_eq!(pair.local(), b"");
        // Not all that was seen before again and again.
        let read = pair.log.disk.take_done().bytes;
        assert!(read < 500_000, "{read}");
        pair.run_ms(600_000);
        let read = pair.log.disk.take_done().bytes;
        assert!(read < 300_000, "{read}");
        pair.log.rotate();
        pair.settle();
        pair.check();
        assert_eq!(pair.copies()[0], [0; 90_000]);
    }
}

#[test]
fn holes_wherever_they_are() {
    for (hints, tells_holes) in [(true, true), (false, true), (true, false)] {
        for places in [
            &[0][..],
            &[300_000],
            &[5, 300_000],
            &[70_000, 400_000, 2_000_000],
        ] {
            let mut pair = Pair::new();
            pair.hints = hints;
            if tells_holes {
                pair.log.disk.tell_holes();
            }
            pair.log.create();
            for at in places {
                pair.log.write_at(*at, b"between holes\n");
                pair.run_ms(6_000);
                assert_eq!(pair.local(), pair.log.live_bytes(), "{}", pair.report());
            }
            // The last one is at the end, and the file is over.
            let size = pair.log.live_bytes().len() + 500_000;
            pair.log.write_at(size - 1, &[0]);
            pair.run_ms(6_000);
            pair.log.rotate();
            pair.settle();
            pair.check();
            assert_eq!(pair.copies()[0].len(), size);
            assert!(!pair.says("healed"), "{}", pair.report());
        }
    }
}

#[test]
fn nothing_but_a_hole() {
    for len in [1, 70_000, 500_000] {
        let mut pair = Pair::new();
        pair.log.disk.tell_holes();
        pair.log.create();
        pair.log.write_at(len - 1, &[0]);
        pair.run_ms(6_000);
        assert_eq!(pair.local(), b"");
        pair.log.rotate();
        pair.settle();
        pair.check();
        assert_eq!(pair.copies()[0].len(), len);
    }
}

#[test]
fn a_writer_without_append_goes_on_behind_the_truncation() {
    for hints in [true, false] {
        for lines in [5, 3_000] {
            let mut pair = Pair::new();
            pair.hints = hints;
            pair.log.disk.tell_holes();
            pair.log.create();
            pair.log.lines(lines);
            pair.run_ms(10_000);
            let at = pair.log.live_bytes().len();
            pair.log.copytruncate();
            pair.run_ms(10_000);
            pair.log.write_at(at, b"behind a hole of the old size\n");
            pair.run_ms(10_000);
            pair.settle();
            pair.check();
            assert_eq!(pair.local(), pair.log.live_bytes(), "{}", pair.report());
            pair.log.rotate();
            pair.settle();
            pair.check();
        }
    }
}

#[test]
fn a_hole_that_is_punched_into_what_was_sent_is_healed() {
    for len in [10, 100_000] {
        let mut pair = Pair::new();
        pair.log.disk.tell_holes();
        pair.log.create();
        pair.log.lines(5_000);
        pair.run_ms(10_000);
        pair.log.write_at(30_000, &vec![0; len]);
        pair.run_ms(10_000);
        pair.log.rotate();
        pair.settle();
        pair.check();
        assert_eq!(pair.kept().len(), 1);
        assert!(pair.says("healed"), "{}", pair.report());
    }
}

#[test]
fn holes_and_a_link_that_breaks() {
    let dialogue = |cut: Option<usize>| {
        let mut pair = Pair::new();
        pair.log.disk.tell_holes();
        pair.log.create();
        pair.log.write_at(0, b"first\n");
        pair.log.write_at(500_000, b"last\n");
        pair.link.carried = 0;
        pair.link.cut_after = cut.map(|at| (at, End::Reset));
        pair.settle();
        assert_eq!(pair.local(), pair.log.live_bytes(), "{}", pair.report());
        pair.check();
        pair.link.carried
    };
    let len = dialogue(None);
    // Far fewer bytes than the file has: a frame of them, and the number of the others.
    assert!(len < 70_000, "{len}");
    for cut in (1..len).step_by(7_919).chain(len - 60..len) {
        dialogue(Some(cut));
    }
}
