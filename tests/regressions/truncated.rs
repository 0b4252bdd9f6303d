//! Item 3: a log that was truncated, or whose inode another file has now.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;

use super::old_server::OldServer;
use crate::common::pair::{Options, Pair};
use crate::common::process::Signal;
use crate::common::skipped;

#[test]
fn an_offset_behind_the_end_starts_over() {
    let mut pair = Pair::start(Options::told().classic());
    let log = pair.log("m");
    log.append("before the truncation\n");
    pair.expect_same("m");
    pair.kill_collector();
    log.open().set_len(0).unwrap();
    log.append("after it\n");
    pair.start_collector();
    pair.expect("m", &["before the truncation\n", "after it\n"]);
}

/// A server of 1.1 closes without a word, again and again. Asking for no generation at all shows why.
#[test]
fn an_offset_behind_the_end_of_an_old_server_starts_over() {
    let server = OldServer::start(77, "before the truncation\n");
    let mut pair = Pair::prepare(Options::default());
    pair.ask(server.address());
    pair.start_collector();
    pair.expect("m", &["before the truncation\n"]);
    server.put("after it\n");
    pair.expect("m", &["before the truncation\n", "after it\n"]);
}

/// Our server remembers whom it dropped because of a truncation, even if the client comes back late.
#[test]
fn a_log_that_outgrew_its_old_size_is_not_joined_in_the_middle() {
    let mut pair = Pair::start(Options {
        relayed: true,
        ..Options::told().classic()
    });
    let log = pair.log("m");
    log.append("before\n");
    pair.expect_same("m");
    let ended = pair.relay().ended();
    pair.collector().signal(Signal::STOP);
    log.open().set_len(0).unwrap();
    pair.until(|pair| match pair.relay().ended() {
        now if now > ended => Ok(()),
        _ => Err("the server has not noticed".into()),
    });
    log.append("longer than what was there before\n");
    pair.collector().signal(Signal::CONT);
    pair.expect("m", &["before\n", "longer than what was there before\n"]);
}

#[test]
fn an_inode_used_again_is_another_file() {
    let mut pair = Pair::start(Options::told().classic());
    let log = pair.log("m");
    log.append("the file that had the inode first\n");
    pair.expect_same("m");
    pair.kill_collector();
    if !delete_and_use_again(&mut pair) {
        return;
    }
    log.append("the second\n");
    pair.start_collector();
    pair.expect(
        "m",
        &["the file that had the inode first\n", "the second\n"],
    );
}

/// Deletes the log and creates files until one has the same inode, which becomes the log. Some file systems do not
/// give an inode twice.
pub fn delete_and_use_again(pair: &mut Pair) -> bool {
    let log = pair.log("m");
    // As long as the server has it open, its inode is not free.
    pair.until_server_lets_go_of(log.path());
    let inode = fs::metadata(log.path()).unwrap().ino();
    fs::remove_file(log.path()).unwrap();
    // Their names are not those of rotated files.
    for number in 0..200 {
        let path = log.path().with_extension(format!("try{number}x"));
        let created = File::create_new(&path).unwrap();
        if created.metadata().unwrap().ino() == inode {
            fs::rename(path, log.path()).unwrap();
            return true;
        }
    }
    skipped("the file system gives out no inode again");
    false
}
