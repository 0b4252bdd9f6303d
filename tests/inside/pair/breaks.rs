//! A link that breaks again and again, after few bytes or many: everything gets on, and little is
//! sent twice.

use super::Pair;
use super::link::Quota;
use super::reboot::boot;
use crate::random::Random;

/// Bytes of which no part is like another.
fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    (0..len).map(|_| random.below(256) as u8).collect()
}

/// A pair whose link breaks like this, and a log of so many bytes that the collector has nothing
/// of.
fn breaking(quota: Quota, len: usize) -> Pair {
    let mut pair = Pair::new();
    pair.link.quota = quota;
    pair.log.create();
    pair.log.append(&noise(len, 1));
    pair
}

impl Pair {
    /// Waits until the copy is what the log is, and tells how many bytes came for each of its own,
    /// in hundredths.
    fn fetch(&mut self, ms: u64) -> usize {
        let until = self.mono_ms + ms;
        while self.local() != self.log.live_bytes() {
            assert!(
                self.mono_ms < until,
                "it does not get on\n{}",
                self.report()
            );
            self.run_ms(100);
        }
        self.link.carried * 100 / self.log.live_bytes().len()
    }

    /// Nothing was ever said to be wrong.
    fn was_always_well(&self) -> bool {
        let said = self.said.borrow();
        let words = ["following", "rotated", "truncated", "verified"];
        said.iter()
            .all(|line| words.iter().any(|word| line.starts_with(word)))
    }
}

#[test]
fn little_is_sent_twice_over_a_link_that_breaks() {
    for (quota, len, most) in [
        (40_000, 800_000, 105),
        (100_000, 2_000_000, 105),
        (300_000, 6_000_000, 110),
        (10_000, 300_000, 108),
        (2_000, 100_000, 120),
        (800, 100_000, 140),
        (300, 30_000, 200),
    ] {
        let mut pair = breaking(Quota::Always(quota), len);
        let sent = pair.fetch(200_000);
        println!("breaks each {quota} bytes: {sent} % of the file sent");
        assert!(sent <= most, "{quota}: {sent}");
        assert!(pair.was_always_well(), "{}", pair.report());
        pair.check();
    }
}

#[test]
fn a_server_that_does_not_know_shorter_frames_sends_less_twice_than_it_did() {
    for (quota, len, most) in [
        (100_000, 800_000, 160),
        (40_000, 800_000, 180),
        (10_000, 200_000, 180),
    ] {
        let mut pair = breaking(Quota::Always(quota), len);
        pair.link.knows_no_f = true;
        let sent = pair.fetch(100_000);
        println!("breaks each {quota} bytes, 2.0.0: {sent} % of the file sent");
        assert!(sent <= most, "{quota}: {sent}");
    }
    for quota in [800, 400] {
        let mut pair = breaking(Quota::Always(quota), 60_000);
        pair.link.knows_no_f = true;
        let sent = pair.fetch(200_000);
        println!("breaks each {quota} bytes, 2.0.0: {sent} % of the file sent");
        assert!(pair.was_always_well(), "{}", pair.report());
    }
}

#[test]
fn a_healthy_link_is_asked_for_nothing_and_one_that_was_mended_for_nothing_any_more() {
    let mut pair = breaking(Quota::Always(800), 20_000);
    pair.fetch(100_000);
    pair.link.quota = Quota::None;
    pair.link.cut_after = None;
    pair.cut();
    let opened = pair.link.opened();
    pair.log.append(&noise(5_000_000, 2));
    pair.run_ms(10_000);
    assert_eq!(pair.local(), pair.log.live_bytes());
    assert!(pair.link.opened() - opened <= 4);
    let opened = pair.link.opened();
    pair.log.append(&noise(5_000_000, 3));
    pair.run_ms(10_000);
    assert_eq!(
        pair.link.opened(),
        opened,
        "no connection is given up any more"
    );
    assert!(pair.was_always_well(), "{}", pair.report());
    pair.check();
}

#[test]
fn rotations_go_on_over_a_link_that_breaks_anywhere() {
    for seed in 0..24 {
        let quota = match seed % 4 {
            0 => Quota::Any(1_000, 100_000, Random::new(seed)),
            1 => Quota::Any(200, 3_000, Random::new(seed)),
            2 => Quota::Any(130, 400, Random::new(seed)),
            _ => Quota::Always(800),
        };
        let size = if seed % 4 == 0 { 60_000 } else { 4_000 };
        let mut pair = breaking(quota, 2_000);
        pair.seed(seed);
        for number in 0..6 {
            pair.log.append(&noise(size, seed * 10 + number));
            pair.log.lines(3);
            pair.run_ms(700);
            match (number + seed) % 3 {
                0 => pair.log.copytruncate(),
                _ => pair.log.rotate(),
            }
            pair.log.lines(3);
        }
        pair.settle();
        pair.link.quota = Quota::None;
        pair.settle();
        pair.check_bytes();
        pair.check_status();
        assert!(!pair.says("differs"), "{}", pair.report());
    }
}

#[test]
fn breaks_within_the_end_of_a_generation_do_no_harm() {
    for quota in (110..330).step_by(3) {
        let mut pair = breaking(Quota::Always(quota), 300);
        pair.run_ms(3_000);
        pair.log.rotate();
        pair.log.lines(3);
        pair.run_ms(30_000);
        pair.log.rotate();
        pair.log.lines(1);
        pair.settle();
        pair.link.quota = Quota::None;
        pair.settle();
        pair.check_bytes();
        pair.check_status();
    }
}

#[test]
fn a_log_that_grows_faster_than_the_link_carries_is_had_in_the_end() {
    let mut pair = breaking(Quota::Always(800), 5_000);
    for number in 0..60 {
        pair.log.append(&noise(4_000, number));
        if number % 10 == 9 {
            pair.log.rotate();
        }
        pair.run_ms(200);
    }
    let kept = pair.kept().len();
    assert!(
        (1..4).contains(&kept),
        "{kept} of 6: it gets on, and is far behind"
    );
    pair.settle();
    assert_eq!(pair.kept().len(), 6);
    assert!(pair.was_always_well(), "{}", pair.report());
    pair.check();
}

#[test]
fn a_copy_is_healed_over_a_link_that_breaks() {
    for (quota, len, bad) in [
        (40_000, 600_000, 100_000),
        (40_000, 8_000_000, 7_800_000),
        (800, 40_000, 20_000),
        (300, 12_000, 8_000),
    ] {
        for knows_no_f in [false, true] {
            let mut pair = breaking(Quota::None, len);
            pair.fetch(1_000);
            let mut spoiled = pair.local();
            spoiled[bad] ^= 1;
            pair.host.rewrite("/l/m", &spoiled);
            pair.link.quota = Quota::Always(quota);
            pair.link.knows_no_f = knows_no_f;
            pair.log.rotate();
            pair.log.lines(2);
            pair.settle();
            assert!(
                pair.says("healed"),
                "{quota} {knows_no_f}\n{}",
                pair.report()
            );
            pair.check();
        }
    }
}

#[test]
fn the_end_of_a_copy_is_compared_over_a_link_that_breaks() {
    for (quota, len, bad) in [
        (40_000, 3_000_000, 2_990_000),
        (800, 100_000, 60_000),
        (300, 30_000, 20_000),
    ] {
        for is_classic in [false, true] {
            let mut pair = breaking(Quota::None, len);
            if is_classic {
                pair.reconfigure("proto=classic");
            }
            pair.run_ms(2_000);
            pair.reconfigure("");
            pair.host_boot = boot(2);
            let mut spoiled = pair.local();
            spoiled[bad..].fill(0);
            pair.host.rewrite("/l/m", &spoiled);
            pair.link.quota = Quota::Always(quota);
            pair.restart_collector();
            pair.log.lines(2);
            for _ in 0..2 {
                pair.settle();
            }
            let theirs = pair.log.live_bytes();
            let ours = pair.local();
            // Classic sends 0xff for 0x07.
            let same = ours.iter().zip(&theirs);
            let same =
                same.filter(|(ours, theirs)| ours == theirs || (**ours, **theirs) == (255, 7));
            assert_eq!(
                same.count(),
                theirs.len(),
                "{quota} {is_classic}\n{}",
                pair.report()
            );
            assert_eq!(ours.len(), theirs.len());
            pair.check_status();
        }
    }
}

#[test]
fn classic_sends_nothing_twice() {
    for quota in [40_000, 800] {
        let mut pair = Pair::with("proto=classic");
        pair.link.quota = Quota::Always(quota);
        pair.log.create();
        pair.log.lines(2_000);
        let sent = pair.fetch(100_000);
        println!("breaks each {quota} bytes, classic: {sent} % of the file sent");
        assert!(sent <= 102, "{quota}: {sent}");
        assert!(pair.was_always_well(), "{}", pair.report());
    }
}
