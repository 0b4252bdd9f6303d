//! One generation: every byte arrives, at once and whatever it is.

use std::path::PathBuf;
use std::process::Command;

use fetchlogs::random::Random;

use crate::common::outside_program;
use crate::common::pair::relay::Fate;
use crate::common::pair::{Options, Pair};
use crate::every_way;

every_way!(a_growing_log_is_followed);
every_way!(cut_connections_cost_nothing);

fn a_growing_log_is_followed(options: Options) {
    let mut pair = Pair::start(options);
    let log = pair.log("m");
    for n in 0..8 {
        log.append(format!("line {n}\n"));
        pair.expect_same("m");
    }
}

fn cut_connections_cost_nothing(options: Options) {
    let relayed = true;
    let mut pair = Pair::start(Options { relayed, ..options });
    let log = pair.log("m");
    let mut random = Random::new(11);
    for n in 0..8 {
        // In the middle of the answer line, of the data, or while there is nothing to send.
        pair.relay()
            .decree([Fate::CutAfter(random.below(400) as usize)]);
        pair.relay().cut();
        log.append(format!("round {n}\n").repeat(random.below(20) as usize));
        if n % 3 == 2 {
            log.rotate();
        }
        log.append("and on\n");
        pair.until(|pair| match pair.relay().decrees_left() {
            0 => Ok(()),
            _ => Err("the connection that is to be cut does not come".into()),
        });
        pair.expect_same("m");
    }
}

#[test]
fn a_log_that_was_there_before_is_copied_whole() {
    let mut pair = Pair::prepare(Options::told());
    pair.log("m").append("written before anybody looked\n");
    pair.start_server();
    pair.start_collector();
    pair.expect_same("m");
    assert!(pair.copies("m").rotated().is_empty());
}

#[test]
fn bytes_are_bytes() {
    let mut pair = Pair::start(Options::told());
    let log = pair.log("m");
    let every_value: Vec<u8> = (0..=255).collect();
    let pieces = [
        &b"\0\0\0\n\0\n"[..],
        &every_value,
        b"\r\n\n\r\xff\xfe not UTF-8\n",
        &[b'x'; 300_000],
        b"\n",
        b"no newline at the end",
    ];
    for piece in pieces {
        log.append(piece);
        pair.expect_same("m");
    }
}

/// Classic cannot tell it from a keep-alive; the other bytes keep their places.
#[test]
fn in_classic_the_keep_alive_byte_arrives_as_ff() {
    let mut pair = Pair::start(Options::told().classic());
    let log = pair.log("m");
    log.append(b"a\x07b\x07\x07\n");
    pair.expect("m", &[b"a\xffb\xff\xff\n"]);
    // The offset counts them all the same.
    pair.kill_collector();
    log.append(b"\x07after\n");
    pair.start_collector();
    pair.expect("m", &[b"a\xffb\xff\xff\n\xffafter\n"]);
}

#[test]
fn a_backlog_of_50_mb_is_byte_exact() {
    let mut pair = Pair::prepare(Options {
        in_memory: true,
        ..Options::told()
    });
    let log = pair.log("m");
    log.append(noise(50 << 20));
    pair.start_server();
    pair.start_collector();
    pair.expect_same("m");
    log.append("and the next line\n");
    log.rotate();
    pair.expect_same("m");
    assert_same_md5(&pair);
}

/// What an administrator would do to convince himself.
fn assert_same_md5(pair: &Pair) {
    let Some(md5sum) = outside_program("md5sum") else {
        return;
    };
    let sums = |paths: Vec<PathBuf>| {
        let output = Command::new(&md5sum).args(paths).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let sums: Vec<String> = text.lines().map(|line| line[..32].to_owned()).collect();
        sums
    };
    let remote = sums(pair.log("m").paths());
    assert_eq!(remote.len(), 2);
    assert_eq!(sums(pair.copies("m").paths()), remote);
}

#[test]
fn one_rotating_log_does_not_disturb_the_others() {
    let logs = ["a", "b", "c"].map(|name| (name.to_owned(), format!("{name}.*[0-9]")));
    let logs = logs.to_vec();
    let mut pair = Pair::start(Options {
        logs,
        ..Options::told()
    });
    for round in 0..5 {
        for name in ["a", "b", "c"] {
            pair.log(name).append(format!("{name} in round {round}\n"));
        }
        pair.log("b").rotate();
        for name in ["a", "b", "c"] {
            pair.expect_same(name);
        }
    }
    assert_eq!(pair.copies("b").rotated().len(), 5);
    // The quiet ones have kept the connection they began with.
    for name in ["a", "c"] {
        let beginning = format!("{} following", pair.log(name).path().display());
        assert_eq!(pair.said().matches(&beginning).count(), 1);
    }
}

/// So many bytes with next to no pattern, none of which is the keep-alive.
fn noise(len: usize) -> Vec<u8> {
    let mut random = Random::new(50);
    let block: Vec<u8> = (0..1 << 16)
        .map(|_| random.below(256) as u8)
        .map(|byte| if byte == 7 { 8 } else { byte })
        .collect();
    let mut bytes = Vec::with_capacity(len + block.len());
    while bytes.len() < len {
        bytes.extend(format!("block {}\n", bytes.len()).bytes());
        bytes.extend(&block);
    }
    bytes.truncate(len);
    bytes
}
