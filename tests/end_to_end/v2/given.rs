//! What the collector remembers of what it was given: a file that comes twice, a copy that is right, and what somebody
//! puts in the place of its memory.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use fetchlogs::wire::frame::{Frame, Role};
use fetchlogs::wire::md5::Md5;
use fetchlogs::wire::token::Token;

use super::scripted::{FIRST, Scripted, data, end, found, next};
use super::start;
use crate::common::pair::{Options, Pair};

fn file(role: Role, token: &str) -> Vec<u8> {
    let token = Token::parse(token.as_bytes()).unwrap();
    Frame::File { role, token }.to_bytes().to_vec()
}

fn md5_of(bytes: &[u8]) -> Option<[u8; 16]> {
    Some(Md5::new().update(bytes).finish())
}

fn memory_of(pair: &Pair) -> PathBuf {
    pair.path("pointer/m.given")
}

#[test]
fn a_file_that_is_sent_twice_is_kept_once() {
    let server = Scripted::start(|mut call| match call.place() {
        (0, 0) => {
            let answer = String::from_utf8(found(FIRST, 0)).unwrap();
            let answer = answer.replace('\n', " i=8:5/1\n").into_bytes();
            let generation = |bytes: &[u8], token, inode| {
                let end = end(bytes.len() as u64, md5_of(bytes));
                [data(0, bytes), file(Role::Begins, token), end, next(inode)].concat()
            };
            let one = generation(b"one\n", "8:6/1", 6);
            let two = generation(b"two\n", "8:5/2", 5);
            let again = generation(b"one\n", "8:7/1", 7);
            call.send(&[answer, one, two, again].concat());
        }
        _ => call.go_on(b"more\n"),
    });
    let mut pair = server.pair(Options::brisk());
    pair.expect("m", &["one\n", "two\n", "more\n"]);
    pair.expect_event("given twice: ");
    pair.expect_event(" and is not kept\n");
    pair.assert_no_losses();
    let asked = server.asked();
    assert!(asked[1].contains(" i=8:7/1 g=4:"), "{asked:?}");
}

/// As it is after a kill in the moment in which the digest has not come yet; then the box deletes its file.
#[test]
fn a_right_copy_is_not_healed_into_another_that_begins_alike() {
    for is_remembered in [true, false] {
        let (mut pair, mut log) = start(Options::brisk());
        let header = "time,temperature,humidity,pressure,wind,rain,uv,battery,signal,comment,operator,station\n";
        log.append(format!("{header}1,20\n"));
        pair.expect_live("m", log.written.last().unwrap());
        log.rotate();
        log.append(format!("{header}2,21,55,1013\n3,22\n"));
        pair.expect_verified("m", &log.written);
        pair.kill_collector();
        let copy = pair.copies("m").rotated().remove(0);
        let name = copy.file_name().unwrap().to_str().unwrap();
        let stamp = name.strip_prefix("m.").unwrap();
        let size = fs::metadata(&copy).unwrap().len();
        let line = format!("{stamp} 1 {size} -\n");
        fs::write(pair.path("pointer/m.unverified"), line).unwrap();
        if !is_remembered {
            fs::remove_file(memory_of(&pair)).unwrap();
        }
        fs::remove_file(log.rotated(1)).unwrap();
        pair.start_collector();
        pair.expect_event(&format!("not verified {}: the server ", copy.display()));
        pair.expect("m", &log.written);
        assert!(!pair.events().contains("healed"));
        pair.expect_status("OK\n");
        pair.assert_no_losses();
    }
}

#[test]
fn whatever_stands_in_the_place_of_the_memory_the_log_is_followed() {
    let (mut pair, mut log) = start(Options::brisk());
    let memory = memory_of(&pair);
    let target = pair.path("somebody's");
    fs::write(&target, "precious\n").unwrap();
    let puts: [&dyn Fn(); 5] = [
        &|| symlink(&target, &memory).unwrap(),
        &|| fs::write(&memory, vec![b'\n'; 1 << 20]).unwrap(),
        &|| fs::write(&memory, "v1\nc=00000000\n").unwrap(),
        &|| fs::hard_link(&target, &memory).unwrap(),
        &|| fs::create_dir(&memory).unwrap(),
    ];
    for put in puts {
        pair.kill_collector();
        let _ = fs::remove_file(&memory);
        put();
        pair.start_collector();
        log.append(b"line\n");
        pair.expect_live("m", log.written.last().unwrap());
        log.rotate();
        pair.expect_verified("m", &log.written);
    }
    pair.expect_status("OK\n");
    assert_eq!(fs::read(&target).unwrap(), b"precious\n");
    assert!(memory.is_dir() && !pair.path("pointer/m.given.tmp").exists());
    pair.assert_no_losses();
}
