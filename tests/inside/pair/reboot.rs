//! The collector's machine loses its power, and with it what was not on its disk yet: the copy ends
//! where it did before, or earlier, or in bytes that nobody wrote.

use super::Pair;
use crate::collect::copy::pointer::{BootId, Pointer};
use crate::mutation::{self, Mutation};

/// What a file system makes of the last bytes of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Spoiled {
    Nothing,
    Short,
    Zeros,
    Hole,
    Garbage,
}

use Spoiled::{Garbage, Hole, Nothing, Short, Zeros};

/// One boot of the collector's machine.
pub fn boot(number: u32) -> BootId {
    BootId::new(&format!("boot-{number}")).unwrap()
}

impl Pair {
    /// The collector's machine is started again, and the last `len` bytes of the copy are not what
    /// was written.
    pub fn reboot_host(&mut self, number: u32, spoiled: Spoiled, len: usize) {
        self.host_boot = boot(number);
        self.restart_collector();
        let mut bytes = self.local();
        let from = bytes.len().saturating_sub(len);
        match spoiled {
            Nothing => return,
            Short => bytes.truncate(from),
            Zeros => bytes[from..].fill(0),
            Hole => {
                let middle = from + len / 2;
                bytes[from..middle].fill(0);
            }
            Garbage => bytes[from..].fill(b'#'),
        }
        self.host.rewrite("/l/m", &bytes);
    }

    /// That the end of a copy could not be compared is told, and on record where it is zeros.
    fn check_word(&self, spoiled: Spoiled, len: usize) {
        assert!(self.says("stays as it is"), "{}", self.report());
        let record = self.host.read("/l/m.gaps").unwrap_or_default();
        let record = String::from_utf8(record).unwrap();
        let at_least = format!("at least {len} bytes");
        let is_told = record.contains(" lost ") && record.contains(&at_least);
        let is_gone = record.contains("does not have");
        assert!(
            is_told && is_gone || spoiled != Zeros,
            "{record}, {}",
            self.report()
        );
        assert_eq!(
            self.source.in_error(),
            !record.is_empty(),
            "{}",
            self.report()
        );
    }

    pub fn pointer(&self) -> Pointer {
        Pointer::parse(&self.host.read("/p/m").unwrap()).unwrap()
    }

    pub fn rescued(&self) -> Option<Vec<u8>> {
        let names = self.host.names();
        let name = names.iter().find(|name| name.contains("rescued"))?;
        self.host.read(name)
    }
}

/// Version 2, and the two ways of speaking classic.
pub fn pairs() -> [Pair; 3] {
    let mut old_server = Pair::new();
    old_server.link.classic = true;
    [Pair::new(), Pair::with("proto=classic"), old_server]
}

/// Every protocol, log and damage that `run` is to try.
pub fn everywhere(run: impl Fn(&mut Pair, Spoiled, usize)) {
    for spoiled in [Nothing, Short, Zeros, Hole, Garbage] {
        for (lines, len) in [(5, 4), (5, 60), (300, 60), (300, 9_000)] {
            for mut pair in pairs() {
                pair.log.create();
                pair.log.lines(lines);
                pair.run_ms(1_000);
                assert_eq!(pair.local(), pair.log.live_bytes());
                pair.go_away();
                run(&mut pair, spoiled, len);
            }
        }
    }
}

#[test]
fn the_end_of_the_copy_is_made_what_the_server_has() {
    everywhere(|pair, spoiled, len| {
        pair.reboot_host(2, spoiled, len);
        pair.log.lines(3);
        pair.reconnect();
        assert_eq!(pair.local(), pair.log.live_bytes(), "{}", pair.report());
        assert_eq!(pair.pointer().boot, Some(boot(2)), "{}", pair.report());
        assert!(pair.kept().is_empty(), "{}", pair.report());
        let is_kept = matches!(spoiled, Hole | Garbage);
        assert_eq!(pair.rescued().is_some(), is_kept, "{}", pair.report());
        pair.log.rotate();
        pair.log.lines(2);
        pair.settle();
        pair.check_bytes();
        pair.check_status();
    });
}

#[test]
fn so_it_is_where_the_log_was_rotated_meanwhile() {
    everywhere(|pair, spoiled, len| {
        pair.log.lines(2);
        pair.log.rotate();
        pair.log.lines(3);
        pair.run_ms(20_000);
        pair.log.rotate();
        pair.log.lines(1);
        pair.reboot_host(2, spoiled, len);
        pair.reconnect();
        pair.settle();
        pair.check_bytes();
        pair.check_status();
    });
}

#[test]
fn a_copy_whose_generation_is_gone_stays_as_it_is() {
    everywhere(|pair, spoiled, len| {
        pair.reboot_host(2, spoiled, len);
        let held = pair.local();
        pair.log.rotate();
        pair.log.lines(3);
        pair.run_ms(20_000);
        pair.log.retain(0);
        pair.reconnect();
        pair.settle();
        assert_eq!(pair.copies(), [held, pair.log.live_bytes()]);
        pair.check_word(spoiled, len);
    });
}

#[test]
fn a_log_that_was_truncated_meanwhile_is_another_one() {
    everywhere(|pair, spoiled, len| {
        pair.reboot_host(2, spoiled, len);
        let held = pair.local();
        pair.log.truncate();
        pair.log.lines(3);
        pair.reconnect();
        pair.settle();
        let copies = pair.copies();
        assert_eq!(copies, [held, pair.log.live_bytes()], "{}", pair.report());
        pair.check_word(spoiled, len);
    });
}

#[test]
fn another_generation_with_the_same_header_takes_nothing_from_the_copy() {
    for spoiled in [Nothing, Zeros, Garbage] {
        let header = "time,temperature,humidity,pressure,wind,rain,uv,battery,signal,comment\n";
        let mut pair = Pair::new();
        pair.log.create();
        pair.log.append(header.as_bytes());
        pair.log.lines(5);
        pair.run_ms(1_000);
        pair.go_away();
        pair.reboot_host(2, spoiled, 60);
        let held = pair.local();
        pair.log.lines(1);
        pair.log.rotate();
        pair.log.append(header.as_bytes());
        pair.log.lines(20);
        pair.run_ms(20_000);
        // It was compressed, or is deleted.
        pair.log.retain(0);
        pair.reconnect();
        pair.settle();
        let copies = pair.copies();
        assert_eq!(copies, [held, pair.log.live_bytes()], "{}", pair.report());
        assert_eq!(pair.rescued(), None, "{}", pair.report());
        let record = pair.host.read("/l/m.gaps").unwrap_or_default();
        let record = String::from_utf8(record).unwrap();
        assert!(record.contains(" lost "), "{record}, {}", pair.report());
    }
}

#[test]
fn the_end_is_compared_with_a_duplicate_of_the_truncated_log() {
    for (lines, spoiled) in [(5, Nothing), (5, Zeros), (300, Zeros), (300, Garbage)] {
        let mut pair = Pair::new();
        pair.log.create();
        pair.log.lines(lines);
        pair.run_ms(1_000);
        pair.go_away();
        pair.reboot_host(2, spoiled, 60);
        pair.log.lines(2);
        pair.log.copytruncate();
        pair.log.lines(3);
        pair.reconnect();
        pair.settle();
        pair.check_bytes();
        pair.check_status();
    }
}

#[test]
fn zeros_that_a_power_cut_left_prove_no_file_that_has_zeros() {
    for start in [&b""[..], b"time,temperature,humidity\n"] {
        for meanwhile in [0, 3] {
            let mut pair = Pair::new();
            pair.log.create();
            // The box had a power cut, too.
            pair.log.append(start);
            pair.log.append(&[0; 5_000]);
            pair.log.lines(2);
            pair.run_ms(1_000);
            pair.log.rotate();
            pair.log.append(start);
            pair.log.lines(6);
            pair.run_ms(20_000);
            let len = pair.log.live_bytes().len() - start.len();
            pair.go_away();
            pair.reboot_host(2, Zeros, len);
            pair.log.lines(meanwhile);
            pair.reconnect();
            assert_eq!(pair.local(), pair.log.live_bytes(), "{}", pair.report());
            assert_eq!(pair.kept().len(), 1, "{}", pair.report());
            pair.log.rotate();
            pair.log.lines(1);
            pair.settle();
            pair.check_bytes();
            pair.check_status();
        }
    }
}

#[test]
fn a_copy_of_nothing_but_zeros_whose_generation_is_gone_stays_as_it_is() {
    let mut pair = Pair::new();
    pair.log.create();
    pair.log.lines(6);
    pair.run_ms(1_000);
    let len = pair.log.live_bytes().len();
    pair.go_away();
    pair.reboot_host(2, Zeros, len);
    pair.log.rotate();
    pair.log.lines(3);
    pair.run_ms(20_000);
    pair.log.retain(0);
    pair.reconnect();
    pair.settle();
    let copies = pair.copies();
    assert_eq!(copies, [vec![0; len], pair.log.live_bytes()]);
    pair.check_word(Zeros, len);
}

#[test]
fn a_second_power_cut_before_the_comparison_makes_no_difference() {
    everywhere(|pair, spoiled, len| {
        pair.reboot_host(2, spoiled, len);
        // The collector starts and reads its pointer; then the power goes again.
        pair.run_ms(10_000);
        pair.reboot_host(3, Nothing, 0);
        pair.run_ms(10_000);
        pair.restart_collector();
        pair.log.lines(3);
        pair.reconnect();
        assert_eq!(pair.local(), pair.log.live_bytes(), "{}", pair.report());
    });
}

#[test]
fn without_a_power_cut_nothing_is_compared() {
    for mut pair in pairs() {
        pair.log.create();
        pair.log.lines(5);
        pair.run_ms(1_000);
        let before = pair.pointer();
        pair.restart_collector();
        pair.log.lines(1);
        pair.run_ms(1_000);
        assert_eq!(pair.local(), pair.log.live_bytes());
        assert_eq!(pair.pointer(), before);
    }
}

#[test]
fn bytes_that_classic_replaced_are_no_difference() {
    for mut pair in pairs() {
        pair.log.create();
        pair.log.append(b"a bell \x07 and a byte \xff\n");
        pair.log.lines(300);
        pair.run_ms(1_000);
        let held = pair.local();
        pair.reboot_host(2, Zeros, 100);
        pair.reconfigure("");
        pair.reconnect();
        pair.settle();
        assert_eq!(pair.local(), held, "{}", pair.report());
        assert!(pair.kept().is_empty(), "{}", pair.report());
    }
}

#[test]
fn one_bad_block_in_a_large_copy_is_found_and_the_rest_fetched_again() {
    for bad in [4_096, 4_999_999] {
        let mut pair = Pair::new();
        // The end of a copy is set aside in one go, and here that is all of it.
        pair.source_max.calls = 4_000;
        pair.log.create();
        let line = |number: u32| format!("{number:>9}\n");
        let bytes: String = (0..500_000).map(line).collect();
        pair.log.append(bytes.as_bytes());
        pair.run_ms(10_000);
        assert_eq!(pair.local(), pair.log.live_bytes());
        pair.reboot_host(2, Nothing, 0);
        let mut spoiled = pair.local();
        spoiled[bad] = b'#';
        pair.host.rewrite("/l/m", &spoiled);
        pair.run_ms(30_000);
        assert_eq!(pair.local(), pair.log.live_bytes());
        assert_eq!(pair.rescued().unwrap(), spoiled[bad..]);
    }
}

#[test]
fn a_checkpoint_is_lowered_before_the_copy_is_cut_below_it() {
    let mut pair = Pair::following();
    pair.reboot_host(2, Nothing, 0);
    pair.run_ms(1_000);
    assert_eq!(pair.pointer().checkpoint, 205);
    pair.go_away();
    pair.reboot_box();
    pair.log.lose_tail(50);
    pair.reconnect();
    assert_eq!(pair.pointer().checkpoint, 155);
}

#[test]
fn what_the_comparison_is_good_for() {
    for mutation in [Mutation::EndBelieved, Mutation::BootForgotten] {
        mutation::with(mutation, || {
            let mut pair = Pair::with("proto=classic");
            pair.log.create();
            pair.log.lines(5);
            pair.run_ms(1_000);
            pair.go_away();
            pair.reboot_host(2, Zeros, 60);
            pair.run_ms(10_000);
            pair.restart_collector();
            pair.log.lines(3);
            pair.reconnect();
            assert_ne!(pair.local(), pair.log.live_bytes(), "{mutation:?}");
        });
    }
}
