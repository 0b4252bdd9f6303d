//! A finished copy whose digest did not come is verified later, whoever was killed meanwhile.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fetchlogs::ids::Inode;
use fetchlogs::wire::frame::{Digest, Frame};
use fetchlogs::wire::md5::Md5;

use super::scripted::{FIRST, Scripted, data, end, found, next};
use super::start;
use crate::common::pair::content::lines;
use crate::common::pair::{Options, Pair};

/// A collector that holds a finished copy of which the server, or whoever plays it, never told the digest.
#[test]
fn a_collector_that_was_killed_asks_for_it() {
    let may_answer = Arc::new(AtomicBool::new(false));
    let answers = may_answer.clone();
    let server = Scripted::start(move |mut call| match call.place() {
        _ if call.request.ends_with(" op=digest") => {
            call.send(&found(FIRST, 0));
            if answers.load(Ordering::SeqCst) {
                let md5 = Some(Md5::new().update(b"good\n").finish());
                let (inode, size) = (Inode(FIRST), 5);
                call.send(&Frame::Digest(Digest { inode, size, md5 }).to_bytes());
            } else {
                call.hold();
            }
        }
        (0, 0) => {
            let frames = [data(0, b"good\n"), end(5, None), next(6)];
            call.send(&[found(FIRST, 0), frames.concat()].concat());
            call.hold();
        }
        _ => call.go_on(b"more\n"),
    });
    let mut pair = server.pair(Options::brisk());
    pair.expect("m", &["good\n", ""]);
    // Once before it has asked, once in the middle of that.
    for asked in [2, 3] {
        pair.kill_collector();
        assert!(!pair.events().contains("verified"));
        pair.start_collector();
        pair.until(|_| match server.asked().len() >= asked {
            true => Ok(()),
            false => Err("it does not ask".into()),
        });
    }
    may_answer.store(true, Ordering::SeqCst);
    pair.kill_collector();
    pair.start_collector();
    pair.expect_verified("m", &["good\n", "more\n"]);
    pair.assert_no_losses();
    assert!(!list_of(&pair).exists());
}

#[test]
fn the_real_server_tells_it() {
    let (mut pair, mut log) = start(Options::brisk());
    log.append(lines(0..5_000));
    log.rotate();
    log.append(b"the next one\n");
    pair.expect_verified("m", &log.written);
    pair.kill_collector();
    let copy = pair.copies("m").rotated().remove(0);
    let size = fs::metadata(&copy).unwrap().len();
    let name = copy.file_name().unwrap().to_str().unwrap();
    let line = format!("{} 1 {size} -\n", name.strip_prefix("m.").unwrap());
    // As if the collector had been killed before it knew.
    fs::write(list_of(&pair), &line).unwrap();
    pair.start_collector();
    pair.until(
        |pair| match pair.events().matches("verified md5=").count() {
            2 => Ok(()),
            times => Err(format!("verified {times} times")),
        },
    );
    pair.until(|pair| match list_of(pair).exists() {
        false => Ok(()),
        true => Err("it stays on the list".into()),
    });

    pair.kill_collector();
    fs::write(list_of(&pair), &line).unwrap();
    fs::remove_file(log.rotated(1)).unwrap();
    pair.start_collector();
    let told = format!(
        "not verified {}: the server no longer has it\n",
        copy.display()
    );
    pair.expect_event(&told);
    log.append(b"goes on\n");
    pair.expect_live("m", log.written.last().unwrap());
    pair.expect_status("OK\n");
    assert!(!list_of(&pair).exists());
    pair.assert_no_losses();
}

fn list_of(pair: &Pair) -> std::path::PathBuf {
    pair.path("pointer/m.unverified")
}
