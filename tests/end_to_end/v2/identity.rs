//! An inode is no identity and a size is no place: whatever is put in the log's place, the collector's copies are what
//! the box had, one generation each.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use super::{start, with_log};
use crate::common::pair::content::{lines, noise};
use crate::common::pair::log::NotedLog;
use crate::common::pair::pointer::pretend_another_boot;
use crate::common::pair::{Options, Pair};
use crate::common::skipped;

/// The same with the collector connected and away.
fn connected_and_away(test: fn(bool)) {
    for away in [false, true] {
        test(away);
    }
}

/// A pair that has fetched a first generation.
fn started_with(bytes: &[u8]) -> (Pair, NotedLog) {
    let (mut pair, mut log) = start(Options::brisk());
    log.append(bytes);
    pair.expect_verified("m", &log.written);
    (pair, log)
}

/// What stood in the live file is gone from it; something else stands there now.
fn write_anew(log: &mut NotedLog, bytes: &[u8]) {
    log.begin();
    log.append(bytes);
}

/// What a file got before it was cut without a copy is known if we were there; else it may have been something.
fn expect_loss_if_away(pair: &mut Pair, away: bool) {
    match away {
        true => pair.expect_event(" lost "),
        false => pair.assert_no_losses(),
    }
}

#[test]
fn truncated_and_grown_beyond_our_offset() {
    connected_and_away(|away| {
        let (mut pair, mut log) = started_with(&lines(0..40));
        pair.change(&mut log, away, |log| {
            File::create(log.path()).unwrap();
            write_anew(log, &lines(500..600));
        });
        pair.expect("m", &log.written);
        pair.until(|pair| {
            // All that the connected server may have seen is that other bytes stand there.
            let words = match away {
                true => &["truncated; 1000 bytes kept as"][..],
                false => &[
                    "truncated; 1000 bytes kept as",
                    "rewritten; 1000 bytes kept as",
                ],
            };
            match words.iter().any(|words| pair.events().contains(words)) {
                true => Ok(()),
                false => Err("it does not say what became of the file".into()),
            }
        });
        expect_loss_if_away(&mut pair, away);
    });
}

#[test]
fn written_over_at_the_same_size() {
    connected_and_away(|away| {
        let (mut pair, mut log) = started_with(&lines(0..40));
        pair.change(&mut log, away, |log| {
            log.begin();
            log.note(lines(500..540));
            let file = File::options().write(true).open(log.path()).unwrap();
            file.write_all_at(&lines(500..540), 0).unwrap();
        });
        pair.expect("m", &log.written);
        log.append(b"and more\n");
        pair.expect("m", &log.written);
        expect_loss_if_away(&mut pair, away);
    });
}

#[test]
fn truncated_to_a_part_that_stays() {
    connected_and_away(|away| {
        let (mut pair, mut log) = started_with(&lines(0..40));
        pair.change(&mut log, away, |log| {
            log.open().set_len(500).unwrap();
            log.begin();
            log.note(lines(0..20));
            log.append(lines(500..600));
        });
        pair.expect("m", &log.written);
        expect_loss_if_away(&mut pair, away);
    });
}

#[test]
fn an_inode_that_is_given_out_again() {
    let dirs = [&std::env::temp_dir(), Path::new("/dev/shm")];
    let done = dirs.map(|dir| dir.is_dir() && reuse_inode_in(dir));
    if done == [false, false] {
        skipped("the file system gives out no inode again");
    }
}

/// Whether the file system there gives out an inode again; if so, all is as it should be.
fn reuse_inode_in(dir: &Path) -> bool {
    let (mut pair, mut log) = with_log(Pair::prepare_in(dir, Options::brisk()));
    pair.start_server();
    pair.start_collector();
    log.append(lines(0..40));
    pair.expect_verified("m", &log.written);
    pair.kill_collector();
    // A running server would keep the inode in use for a moment longer.
    pair.kill_server();
    let before = inode_of(log.path());
    let is_same = (0..200).any(|_| {
        fs::remove_file(log.path()).unwrap();
        File::create_new(log.path()).unwrap();
        inode_of(log.path()) == before
    });
    if !is_same {
        return false;
    }
    write_anew(&mut log, &lines(500..600));
    pair.start_server();
    pair.start_collector();
    pair.expect("m", &log.written);
    pair.expect_event(&format!(" lost {before}:1000, unknown how many bytes"));
    pair.expect_status("ERR\n");
    true
}

fn inode_of(path: &Path) -> u64 {
    fs::metadata(path).unwrap().ino()
}

#[test]
fn the_same_head_and_tail_around_another_middle() {
    let (mut pair, mut log) = started_with(&with_middle(1));
    pair.change(&mut log, true, |log| {
        let file = File::options().write(true).open(log.path()).unwrap();
        file.write_all_at(&with_middle(2), 0).unwrap();
        log.begin();
        log.note(with_middle(2));
    });
    pair.expect("m", &log.written);
}

fn with_middle(seed: u64) -> Vec<u8> {
    [noise(0, 2_000), noise(seed, 300_000), noise(9, 6_000)].concat()
}

#[test]
fn two_files_with_the_same_first_kilobyte() {
    let header = noise(0, 1_500);
    let (mut pair, mut log) = started_with(&[header.clone(), lines(0..40)].concat());
    pair.change(&mut log, true, |log| {
        log.append(lines(40..50));
        log.rotate();
        log.append(&header);
        log.append(lines(500..700));
        log.rotate();
        log.append(&header);
        log.append(lines(900..950));
        // Only its content tells which one it is.
        for number in [1, 2] {
            give_another_inode(&log.rotated(number));
        }
    });
    pair.expect_verified("m", &log.written);
    pair.assert_no_losses();
}

/// What `cp -p FILE COPY && mv COPY FILE` does.
fn give_another_inode(path: &Path) {
    let copy = path.with_extension("copy");
    fs::copy(path, &copy).unwrap();
    let written = fs::metadata(path).unwrap().modified().unwrap();
    let file = File::options().write(true).open(&copy).unwrap();
    file.set_modified(written).unwrap();
    fs::rename(copy, path).unwrap();
}

#[test]
fn content_that_repeats_itself() {
    connected_and_away(|away| {
        let (mut pair, mut log) = started_with(&b"tick\n".repeat(1_000));
        for content in [&b"tick\n"[..], &[0], &[0], b"tick\n"] {
            pair.change(&mut log, away, |log| {
                log.append(content.repeat(3_000));
                log.rotate();
                log.append(content.repeat(5_000));
                // Zeros at the end of a live log are not written yet.
                log.append("\n");
            });
            pair.expect_verified("m", &log.written);
        }
        pair.assert_no_losses();
    });
}

#[test]
fn a_hole() {
    connected_and_away(|away| {
        let (mut pair, mut log) = started_with(b"before\n");
        pair.change(&mut log, away, |log| {
            log.open().set_len(1_000_000).unwrap();
            log.note(vec![0; 1_000_000 - b"before\n".len()]);
            log.append("behind\n");
        });
        pair.expect_verified("m", &log.written);
        // As a writer without O_APPEND leaves it when the file is truncated behind its back.
        pair.change(&mut log, away, |log| {
            let mut file = File::create(log.path()).unwrap();
            file.seek(SeekFrom::Start(300_000)).unwrap();
            file.write_all(b"behind\n").unwrap();
            log.begin();
            log.note([vec![0; 300_000], b"behind\n".to_vec()].concat());
        });
        pair.expect("m", &log.written);
        log.rotate();
        pair.expect("m", &log.written);
        expect_loss_if_away(&mut pair, away);
    });
}

#[test]
fn an_older_state_comes_back_from_a_backup() {
    connected_and_away(|away| {
        let (mut pair, mut log) = started_with(&lines(0..20));
        let backup = log.named(".backup");
        fs::copy(log.path(), &backup).unwrap();
        let long_ago = std::time::SystemTime::UNIX_EPOCH;
        File::open(&backup).unwrap().set_modified(long_ago).unwrap();
        log.append(lines(20..40));
        pair.expect_verified("m", &log.written);
        replace(&mut pair, &mut log, away, &backup);
        log.append(lines(500..600));
        pair.expect("m", &log.written);
    });
}

#[test]
fn replaced_by_a_shorter_and_by_a_longer_file() {
    connected_and_away(|away| {
        for numbers in [500..505, 500..600] {
            let (mut pair, mut log) = started_with(&lines(0..40));
            let other = log.named(".other");
            fs::write(&other, lines(numbers)).unwrap();
            replace(&mut pair, &mut log, away, &other);
        }
    });
}

/// Renames a file over the live one. What the old one had is complete if we were there; else that cannot be known, and
/// is on record as a loss.
fn replace(pair: &mut Pair, log: &mut NotedLog, away: bool, by: &Path) {
    pair.change(log, away, |log| {
        log.begin();
        log.note(fs::read(by).unwrap());
        fs::rename(by, log.path()).unwrap();
    });
    pair.expect("m", &log.written);
    if away {
        pair.expect_event(" lost ");
        pair.expect_status("ERR\n");
    } else {
        pair.expect_all_verified("m");
        pair.assert_no_losses();
    }
}

#[test]
fn replaced_by_a_file_that_goes_on_where_it_ended() {
    let (mut pair, mut log) = started_with(&lines(0..40));
    pair.change(&mut log, true, |log| {
        let other = log.named(".other");
        fs::write(&other, lines(0..60)).unwrap();
        fs::rename(other, log.path()).unwrap();
        log.note(lines(40..60));
    });
    pair.expect_verified("m", &log.written);
    pair.assert_no_losses();
}

#[test]
fn deleted_and_created() {
    connected_and_away(|away| {
        let (mut pair, mut log) = started_with(&lines(0..40));
        for start in [500, 600, 700] {
            pair.change(&mut log, away, |log| {
                fs::remove_file(log.path()).unwrap();
                write_anew(log, &lines(start..start + 30));
            });
            pair.expect("m", &log.written);
        }
        if !away {
            pair.expect_all_verified("m");
            pair.assert_no_losses();
        }
    });
}

#[test]
fn empty_generations() {
    connected_and_away(|away| {
        let (mut pair, mut log) = started_with(&lines(0..40));
        pair.change(&mut log, away, |log| {
            for _ in 0..4 {
                log.rotate();
            }
        });
        pair.expect_verified("m", &log.written);
        log.append(b"something at last\n");
        log.rotate();
        pair.expect_verified("m", &log.written);
        pair.assert_no_losses();
    });
}

#[test]
fn a_box_that_lost_its_last_writes() {
    let (mut pair, mut log) = started_with(&lines(0..400));
    pair.kill_collector();
    pair.kill_server();
    pretend_another_boot(&pair.pointer("m"));
    log.open().set_len(2_500).unwrap();
    log.written[0].truncate(2_500);
    pair.start_server();
    pair.start_collector();
    pair.expect("m", &log.written);
    pair.expect_event("the server has forgotten all behind 2500;");
    let [rescued] = &pair.copies("m").beside("m.rescued.")[..] else {
        panic!("the bytes that the box lost are not kept");
    };
    assert!(fs::read(rescued).unwrap() == lines(100..400));
    log.append(lines(900..950));
    log.rotate();
    pair.expect_verified("m", &log.written);
    pair.assert_no_losses();
}
