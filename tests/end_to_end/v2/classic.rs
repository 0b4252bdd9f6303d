//! Version 2 beside the classic protocol: copies that were begun with it, servers that know nothing else.

use std::fs;
use std::sync::{Arc, Mutex};

use super::scripted::Scripted;
use super::start;
use crate::common::pair::Options;
use crate::common::pair::content::{lines, noise};

#[test]
fn every_byte_there_is() {
    let (mut pair, mut log) = start(Options::brisk());
    let all: Vec<u8> = (0..=255).collect();
    log.append(all.repeat(300));
    log.append([0, 7].repeat(100_000));
    pair.expect_verified("m", &log.written);
    log.rotate();
    log.append([0, 7, 7, 0xff, 7]);
    pair.expect_verified("m", &log.written);
    pair.assert_no_losses();
}

#[test]
fn a_copy_begun_with_classic_is_healed() {
    begun_with_classic(&[&noise(1, 70_000)[..], b"a\x07b\0c\n"].concat());
}

#[test]
fn a_copy_begun_with_classic_is_verified() {
    begun_with_classic(&lines(0..4_000));
}

fn begun_with_classic(bytes: &[u8]) {
    let (mut pair, mut log) = start(Options {
        fields: "proto=classic",
        ..Options::brisk()
    });
    log.append(bytes);
    let masked: Vec<u8> = bytes
        .iter()
        .map(|byte| if *byte == 7 { 0xff } else { *byte })
        .collect();
    pair.expect_live("m", &masked);
    pair.reconfigure_collector("proto=auto");
    pair.expect_event(&format!(" from {}", bytes.len()));
    log.append(b"and the rest\x07\n");
    pair.expect_live("m", &[&masked, &b"and the rest\x07\n"[..]].concat());
    log.rotate();
    log.append(b"the next one\n");
    pair.expect_verified("m", &log.written);
    let is_healed = masked != bytes;
    assert_eq!(pair.events().contains(" healed "), is_healed);
    assert_eq!(
        pair.copies("m").beside(".damaged").len(),
        usize::from(is_healed)
    );
    pair.assert_no_losses();
}

#[test]
fn who_wants_version_2_only_takes_nothing_from_a_classic_server() {
    let server = Scripted::start(|mut call| {
        call.send(b"O 5\nclassic\n");
        call.hold();
    });
    let mut pair = server.pair(Options {
        fields: "proto=v2",
        ..Options::brisk()
    });
    pair.expect_event("the server speaks only the classic protocol, and proto=v2 is configured");
    pair.expect_status("ERR\n");
    assert!(!pair.local("m").exists() || pair.copies("m").live().is_empty());
}

#[test]
fn a_server_that_goes_back_to_classic_is_told_of() {
    let said = "the server speaks only the classic protocol now";
    for answer in ["O INODE\n", "O 99\n", "L 99\n"] {
        let (mut pair, mut log) = start(Options::brisk());
        log.append(lines(0..10));
        pair.expect_verified("m", &log.written);
        pair.kill_server();
        let _server = Scripted::start_at(pair.address(), move |mut call| {
            let (inode, _) = call.place();
            let line = answer.replace("INODE", &inode.to_string());
            call.send(line.as_bytes());
            call.send(b"\x07classic\n");
            call.hold();
        });
        pair.until(
            |pair| match pair.copies("m").live().ends_with(b"classic\n") {
                true => Ok(()),
                false => Err("what the classic server sends is not taken".into()),
            },
        );
        pair.expect_event(said);
        assert_eq!(pair.events().matches(said).count(), 1);
    }
}

#[test]
fn a_classic_server_is_asked_in_a_way_it_understands() {
    // It reads three words and ignores the rest.
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    let server = Scripted::start(move |mut call| {
        seen.lock().unwrap().push(call.place());
        call.send(b"O 5\n\x07classic\n");
        if call.number > 0 {
            call.hold();
        }
    });
    let mut pair = server.pair(Options::brisk());
    pair.expect_live("m", b"classic\nclassic\n");
    assert_eq!(asked.lock().unwrap()[..2], [(0, 0), (5, 8)]);
    assert!(
        !pair.events().contains("now: copies"),
        "it never spoke anything else"
    );
    let text = fs::read_to_string(pair.pointer("m")).unwrap();
    assert!(text.starts_with("5 ") && text.contains(" x=1 "), "{text}");
}
