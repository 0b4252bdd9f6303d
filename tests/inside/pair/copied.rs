//! Somebody copies files to names under the glob.

use super::Pair;

/// `cp`, or `cp -p`.
fn copy(pair: &mut Pair, from: &str, to: &str, keeps_time: bool) {
    let disk = &pair.log.disk;
    let mtime_ns = disk.mtime_ns(from);
    disk.write(to, &disk.read(from).unwrap());
    if keeps_time {
        disk.set_mtime_ns(to, mtime_ns);
    }
}

/// A server that was started again, or not, and is told of changes, or not.
fn each_server(test: impl Fn(&mut Pair, bool)) {
    for hints in [true, false] {
        for is_new in [true, false] {
            let mut pair = Pair::following();
            pair.set_hints(hints);
            test(&mut pair, is_new);
        }
    }
}

/// Comes back, perhaps to a server that has seen nothing.
fn come_back(pair: &mut Pair, is_new: bool) {
    if is_new {
        pair.keep_journal(77);
    }
    pair.reconnect();
    pair.settle();
}

/// The bytes of a generation of so many lines that was given before the collector went away.
fn given_before_an_outage(pair: &mut Pair, lines: u32) -> Vec<u8> {
    pair.log.lines(lines);
    let bytes = pair.log.live_bytes();
    pair.log.rotate();
    pair.log.lines(1);
    pair.settle();
    pair.go_away();
    pair.run_ms(20_000);
    bytes
}

/// All is as it was written, in so many finished copies.
fn expect_kept(pair: &Pair, count: usize) {
    pair.check();
    assert_eq!(pair.kept().len(), count, "{}", pair.report());
}

#[test]
fn copies_of_live_and_rotated_files_are_not_sent() {
    for keeps_time in [true, false] {
        each_server(|pair, is_new| {
            pair.go_away();
            for round in 0..3 {
                pair.log.lines(3);
                pair.run_ms(20_000);
                let name = |what: &str| format!("/v/m.{what}{round}");
                copy(pair, "/v/m", &name("part"), keeps_time);
                pair.run_ms(20_000);
                pair.log.lines(4);
                pair.run_ms(20_000);
                copy(pair, "/v/m", &name("whole"), keeps_time);
                pair.run_ms(20_000);
                pair.log.rotate();
                pair.log.lines(2);
                pair.run_ms(20_000);
                copy(pair, "/v/m.1", &name("old"), keeps_time);
            }
            come_back(pair, is_new);
            expect_kept(pair, 3);
        });
    }
}

#[test]
fn of_a_truncated_log_the_copy_of_the_rotator_counts() {
    each_server(|pair, is_new| {
        pair.go_away();
        pair.log.lines(3);
        pair.run_ms(20_000);
        copy(pair, "/v/m", "/v/m.part", false);
        pair.run_ms(20_000);
        pair.log.lines(4);
        copy(pair, "/v/m", "/v/m.whole", false);
        pair.run_ms(20_000);
        pair.log.copytruncate();
        pair.log.lines(2);
        come_back(pair, is_new);
        expect_kept(pair, 1);
    });
}

#[test]
fn what_was_put_back_is_not_sent_again() {
    each_server(|pair, is_new| {
        let bytes = given_before_an_outage(pair, 5);
        pair.log.rotate();
        pair.log.lines(2);
        pair.log.retain(1);
        pair.log.disk.write("/v/m.restored", &bytes);
        pair.run_ms(20_000);
        pair.log.rotate();
        pair.log.lines(2);
        come_back(pair, is_new);
        expect_kept(pair, 3);
    });
}

#[test]
fn the_collector_knows_the_beginning_of_what_the_box_has_no_more() {
    each_server(|pair, is_new| {
        let bytes = given_before_an_outage(pair, 9);
        pair.log.disk.write("/v/m.part", &bytes[..bytes.len() / 2]);
        pair.run_ms(20_000);
        pair.log.rotate();
        pair.log.lines(2);
        pair.log.retain(1);
        pair.run_ms(20_000);
        pair.log.rotate();
        pair.log.lines(2);
        come_back(pair, is_new);
        expect_kept(pair, 3);
    });
}

#[test]
fn a_copy_of_a_part_is_no_end_of_what_is_gone() {
    let mut pair = Pair::following();
    pair.log.lines(9);
    pair.settle();
    let bytes = pair.local();
    pair.go_away();
    pair.run_ms(20_000);
    pair.log.disk.write("/v/m.part", &bytes[..bytes.len() / 2]);
    pair.log.lines(9);
    pair.run_ms(20_000);
    pair.log.rotate();
    pair.log.retain(0);
    pair.log.lines(2);
    come_back(&mut pair, true);
    pair.check();
    assert!(pair.says("lost "), "{}", pair.report());
    assert_eq!(pair.kept().len(), 1, "{}", pair.report());
}

/// Replaces a rotated file by a copy of itself, as `cp -p FILE COPY && mv COPY FILE` does.
const REPLACE: [fn(&mut Pair, &str); 2] = [
    |pair, name| copy(pair, name, "/v/m.copy", true),
    |pair, name| pair.log.disk.rename_now("/v/m.copy", name),
];

#[test]
fn what_was_replaced_by_its_copy_is_not_lost_however_often_the_server_looked() {
    let header = super::identity::noise(1_500, 7);
    for looks in 0..256 {
        for tick_ms in [0, 1, 3_000] {
            let mut pair = Pair::new();
            pair.log.create();
            pair.log.append(&header);
            pair.log.lines(20);
            pair.run_ms(1_000);
            pair.go_away();
            let mut step = 0;
            let mut act = |pair: &mut Pair, act: &dyn Fn(&mut Pair)| {
                act(pair);
                pair.advance_to(pair.mono_ms + tick_ms);
                if looks & (1 << step) > 0 {
                    pair.look();
                }
                step += 1;
            };
            pair.log.lines(5);
            act(&mut pair, &|pair| pair.log.rotate());
            act(&mut pair, &|pair| {
                pair.log.append(&header);
                pair.log.lines(100);
            });
            act(&mut pair, &|pair| pair.log.rotate());
            act(&mut pair, &|pair| {
                pair.log.append(&header);
                pair.log.lines(25);
            });
            for name in ["/v/m.1", "/v/m.2"] {
                for replace in REPLACE {
                    act(&mut pair, &|pair| replace(pair, name));
                }
            }
            pair.reconnect();
            pair.settle();
            assert!(!pair.says("lost"), "{looks:b} {tick_ms}: {}", pair.report());
            assert_eq!(
                pair.copies().len(),
                3,
                "{looks:b} {tick_ms}: {}",
                pair.report()
            );
            pair.check();
        }
    }
}
