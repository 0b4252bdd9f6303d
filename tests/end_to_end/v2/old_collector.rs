//! The collector of fetchlogs 1.1 ran before this one, or for a while between two runs of it.

use std::fs;

use super::start;
use crate::common::pair::content::lines;
use crate::common::pair::{Options, Pair};

/// What is left when 1.1 was here: an inode and nothing else.
fn leave_bare_pointer(pair: &Pair) {
    let text = fs::read_to_string(pair.pointer("m")).unwrap();
    let inode = text.split(' ').next().unwrap();
    fs::write(pair.pointer("m"), format!("{inode}\n")).unwrap();
}

#[test]
fn a_copy_of_1_1_is_taken_over() {
    for fields in ["proto=auto", "proto=classic"] {
        for spoiled in [false, true] {
            let (mut pair, mut log) = start(Options {
                fields,
                ..Options::brisk()
            });
            log.append(lines(0..40_000));
            pair.expect("m", &log.written);
            pair.kill_collector();
            leave_bare_pointer(&pair);
            let mut copy = pair.copies("m").live();
            if spoiled {
                let from = copy.len() - 9_000;
                copy[from..].fill(0);
                fs::write(pair.local("m"), &copy).unwrap();
            }
            log.append(b"and on\n");
            pair.start_collector();
            pair.expect("m", &log.written);
            pair.expect_status("OK\n");
            assert!(pair.copies("m").rotated().is_empty());
            assert!(!pair.events().contains("started again"));
            assert_eq!(pair.events().contains("taken over from"), spoiled);
            pair.assert_no_losses();
        }
    }
}

#[test]
fn bells_that_1_1_fetched_are_no_loss() {
    for restarts in [false, true] {
        let (mut pair, mut log) = start(Options::brisk());
        log.append(b"begun by version 2 \x07\n".repeat(3_000));
        pair.expect_live("m", &log.written[0]);
        pair.kill_collector();
        let bells = b"fetched by 1.1 \x07\n".repeat(20);
        log.append(&bells);
        let masked = bells
            .iter()
            .map(|&byte| if byte == 7 { 0xff } else { byte });
        let copy = [pair.copies("m").live(), masked.collect()].concat();
        fs::write(pair.local("m"), &copy).unwrap();
        if restarts {
            pair.stop_server();
            pair.start_server();
        }
        log.append(b"by version 2 again \x07\n");
        pair.start_collector();
        pair.expect_live("m", &[&copy[..], b"by version 2 again \x07\n"].concat());
        pair.expect_status("OK\n");
        log.rotate();
        log.append(b"the next one\n");
        pair.expect_verified("m", &log.written);
        assert_eq!(pair.copies("m").beside(".damaged").len(), 1);
        assert!(pair.copies("m").beside(".rescued").is_empty());
        pair.assert_no_losses();
    }
}
