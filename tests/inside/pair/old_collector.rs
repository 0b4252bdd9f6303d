//! The collector of fetchlogs 1.1 was here: it left a copy and nothing but an inode, or it went on
//! for a while with a copy of version 2.

use super::Pair;
use super::reboot::Spoiled::{Hole, Nothing, Short};
use super::reboot::{everywhere, pairs};

/// A line that has a keep-alive of classic in it.
const BELL: &[u8] = b"a bell \x07 rings\n";

impl Pair {
    /// All that the pointer file tells is an inode, spelled like this.
    fn leave_bare(&mut self, pointer: &str) {
        self.host.rewrite("/p/m", pointer.as_bytes());
        self.restart_collector();
    }

    /// 1.1 fetches these bytes, which are written meanwhile, and does not touch the pointer file.
    fn fetch_by_1_1(&mut self, bytes: &[u8]) {
        self.log.append(bytes);
        let masked = bytes.iter().map(|&b| if b == 7 { 0xff } else { b });
        let copy = [self.local(), masked.collect()].concat();
        self.host.rewrite("/l/m", &copy);
        self.restart_collector();
    }

    fn count(&self, text: &str) -> usize {
        let said = self.said.borrow();
        said.iter().filter(|line| line.contains(text)).count()
    }
}

// It left a copy and an inode.

#[test]
fn a_copy_that_is_taken_over_is_made_what_the_server_has() {
    everywhere(|pair, spoiled, len| {
        let inode = pair.pointer().inode;
        pair.reboot_host(2, spoiled, len);
        pair.leave_bare(&inode.to_string());
        pair.log.lines(3);
        pair.reconnect();
        assert_eq!(pair.local(), pair.log.live_bytes(), "{}", pair.report());
        assert!(pair.kept().is_empty(), "{}", pair.report());
        assert!(!pair.says("started again"), "{}", pair.report());
        let is_cut = !matches!(spoiled, Nothing | Short);
        assert_eq!(pair.says("taken over"), is_cut, "{}", pair.report());
        assert!(!pair.says("lost"), "{}", pair.report());
        pair.log.rotate();
        pair.log.lines(2);
        pair.settle();
        pair.check_bytes();
        pair.check_status();
    });
}

#[test]
fn only_the_end_of_what_is_taken_over_is_sent_again() {
    for (lines, most) in [(3_000, 4_096 + 1_000), (5, 1_000), (0, 1_000)] {
        for spelling in ["", "0"] {
            for mut pair in pairs() {
                pair.log.create();
                pair.log.lines(lines);
                pair.run_ms(2_000);
                pair.go_away();
                let inode = pair.pointer().inode;
                pair.leave_bare(&format!("{spelling}{inode}\n"));
                let before = pair.link.carried;
                pair.reconnect();
                let brought = pair.link.carried - before;
                assert!(brought < most, "{brought} of {lines} lines");
                assert_eq!(pair.local(), pair.log.live_bytes());
                pair.log.lines(1);
                pair.log.rotate();
                pair.log.lines(1);
                pair.settle();
                pair.check_bytes();
                pair.check_status();
            }
        }
    }
}

#[test]
fn another_file_in_its_place_is_no_restart_of_this_machine() {
    for lines in [0, 1, 200, 1_000] {
        for mut pair in pairs() {
            pair.log.create();
            pair.log.lines(300);
            pair.run_ms(2_000);
            pair.go_away();
            let (inode, held) = (pair.pointer().inode, pair.local());
            pair.log.truncate();
            pair.log.lines(lines);
            pair.leave_bare(&inode.to_string());
            pair.reconnect();
            assert_eq!(pair.local(), pair.log.live_bytes(), "{}", pair.report());
            let kept = pair.kept()[0].display().to_string();
            assert_eq!(pair.host.read(&kept), Some(held));
            assert!(!pair.says("started again"), "{}", pair.report());
            assert!(pair.says("taken over"), "{}", pair.report());
        }
    }
}

#[test]
fn a_rotation_before_it_is_taken_over() {
    for mut pair in pairs() {
        pair.log.create();
        pair.log.lines(300);
        pair.run_ms(2_000);
        pair.go_away();
        let inode = pair.pointer().inode;
        pair.log.lines(3);
        pair.run_ms(20_000);
        pair.log.rotate();
        pair.log.lines(3);
        pair.leave_bare(&inode.to_string());
        pair.reconnect();
        pair.settle();
        pair.check_bytes();
        pair.check_status();
        assert_eq!(pair.kept().len(), 1);
    }
}

// It went on with a copy of version 2.

/// Lets 1.1 have a part in a copy of version 2; `meanwhile` happens before the new program is back.
fn continued_by_1_1(before: u32, part: &[u8], meanwhile: impl Fn(&mut Pair)) -> Pair {
    let mut pair = Pair::new();
    pair.log.create();
    pair.log.lines(before);
    pair.log.append(BELL);
    pair.run_ms(2_000);
    pair.go_away();
    pair.fetch_by_1_1(part);
    meanwhile(&mut pair);
    pair.log.append(BELL);
    pair.reconnect();
    assert!(!pair.says("lost"), "{}", pair.report());
    assert!(pair.rescued().is_none(), "{}", pair.report());
    pair.log.lines(2);
    pair.run_ms(20_000);
    pair.log.rotate();
    pair.log.lines(1);
    pair.settle();
    pair.check_bytes();
    pair.check_status();
    assert!(!pair.says("lost"), "{}", pair.report());
    pair
}

type Meanwhile = (&'static str, fn(&mut Pair));

const MEANWHILE: [Meanwhile; 5] = [
    ("nothing", |_| {}),
    ("the box is started again", |pair| pair.reboot_box()),
    ("a rotation", |pair| {
        pair.log.lines(1);
        pair.run_ms(20_000);
        pair.log.rotate();
    }),
    ("this machine is started again", |pair| {
        pair.reboot_host(2, Nothing, 0);
    }),
    ("both", |pair| {
        pair.reboot_box();
        pair.reboot_host(2, Nothing, 0);
    }),
];

#[test]
fn bells_that_1_1_fetched_are_no_loss_and_are_healed_at_the_end() {
    for (what, meanwhile) in MEANWHILE {
        for before in [0, 5, 300] {
            let hidden = [BELL, &b"no bell\n".repeat(3_000)].concat();
            for part in [BELL, &BELL.repeat(20), &BELL.repeat(2_000), &hidden] {
                let pair = continued_by_1_1(before, part, meanwhile);
                let report = format!("{what}, {before}, {}: {}", part.len(), pair.report());
                assert_eq!(pair.count("healed"), 1, "{report}");
                assert_eq!(
                    pair.kept().len(),
                    pair.log.generations().len() - 1,
                    "{report}"
                );
            }
        }
    }
}

#[test]
fn without_bells_nothing_is_healed() {
    for (_, meanwhile) in MEANWHILE {
        let pair = continued_by_1_1(5, &b"an ordinary line\n".repeat(20), meanwhile);
        assert!(!pair.says("healed"), "{}", pair.report());
    }
}

#[test]
fn a_loss_is_told_once_though_it_might_have_been_bells() {
    for (end, connections) in [(&b"\xff\n"[..], 3), (b"x\n", 1)] {
        let mut pair = Pair::following();
        pair.log.append(end);
        pair.run_ms(2_000);
        pair.go_away();
        pair.log.truncate();
        pair.log.lines(9);
        let before = pair.link.opened();
        pair.reconnect();
        assert_eq!(pair.count("lost"), 1, "{}", pair.report());
        assert_eq!(pair.link.opened() - before, connections);
        assert_eq!(pair.local(), pair.log.live_bytes());
        assert!(!pair.pointer().classic);
    }
}

#[test]
fn a_spoiled_end_behind_bells_that_1_1_fetched_is_cut_where_it_is_spoiled() {
    let mut pair = Pair::following();
    pair.go_away();
    pair.fetch_by_1_1(&BELL.repeat(20));
    pair.reboot_host(2, Hole, 40);
    pair.reconnect();
    let live = pair.log.live_bytes();
    assert_eq!(pair.local()[live.len() - 40..], live[live.len() - 40..]);
    assert_eq!(pair.rescued().unwrap().len(), 40, "{}", pair.report());
    pair.log.rotate();
    pair.log.lines(1);
    pair.settle();
    pair.check_bytes();
    pair.check_status();
    assert_eq!(pair.count("healed"), 1, "{}", pair.report());
}
