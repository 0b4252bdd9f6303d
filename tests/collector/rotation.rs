//! Rotation, loss and truncation, and the names that finished copies get.

use std::fs;

use fetchlogs::time::Civil;

use super::common::collector::{Collector, Place, REMOTE, Signal};
use super::common::scripted::{Scripted, Step};
use super::common::wait::eventually;
use super::is_event;

/// What is said of the rest of "abc".
const LOST_7: &str =
    "lost 7:3, unknown how many bytes: the server does not have what follows any more";

/// A collector that holds "abc" of generation 7 and has lost the connection.
fn holding_abc() -> (Scripted, Place, Collector) {
    let server = Scripted::new();
    let place = Place::following(server.address());
    let collector = place.start(&[]);
    server
        .accept_asking(0, 0)
        .play(&[Step::Send(b"O 7\nabc".to_vec())]);
    place.wait_for("log", b"abc");
    (server, place, collector)
}

/// The only finished copy.
fn only_rotated(place: &Place) -> String {
    eventually("one finished copy", || {
        let mut rotated = place.rotated("log");
        rotated.pop().filter(|_| rotated.is_empty())
    })
}

#[test]
fn another_inode_gives_the_finished_copy_a_name_of_its_own() {
    let (server, place, collector) = holding_abc();
    let mut call = server.accept_asking(7, 3);
    call.send("O 9\nnext");
    place.wait_for("log", b"next");
    let rotated = only_rotated(&place);
    assert_eq!(place.read(&rotated), b"abc");
    assert_eq!(place.pointer("log.ptr"), "9");
    let line = collector.out.wait_for("rotated to 9");
    let kept = place.path(&rotated);
    let text = format!("rotated to 9; 3 bytes kept as {}", kept.display());
    assert!(is_event(&line, "127.0.0.1", REMOTE, &text), "{line}");
    call.close();
    let _call = server.accept_asking(9, 4);
    // A rotation is no trouble: nothing else was said, and nothing on stderr.
    assert_eq!(collector.out.all().len(), 2);
    assert_eq!(collector.err.all().len(), 0);
}

#[test]
fn rotations_within_one_second_keep_every_copy() {
    const GENERATIONS: u64 = 8;
    let server = Scripted::new();
    let place = Place::following(server.address());
    let _collector = place.start(&[]);
    for inode in 1..=GENERATIONS {
        let answer = format!("O {inode}\ngeneration {inode}");
        server.accept().play(&[Step::Send(answer.into_bytes())]);
    }
    place.wait_for("log", format!("generation {GENERATIONS}").as_bytes());
    let rotated = place.rotated("log");
    let texts: Vec<Vec<u8>> = rotated.iter().map(|name| place.read(name)).collect();
    let expected: Vec<Vec<u8>> = (1..GENERATIONS)
        .map(|inode| format!("generation {inode}").into_bytes())
        .collect();
    assert_eq!(texts, expected, "{rotated:?}");
}

#[test]
fn a_name_that_is_taken_is_not_taken_over() {
    let server = Scripted::new();
    let place = Place::following(server.address());
    let _collector = Collector::spawn(place.command(&[]).env("TZ", "UTC0"));
    server.accept().play(&[Step::Send(b"O 7\nabc".to_vec())]);
    place.wait_for("log", b"abc");
    // Every name of the next minutes, as files, directories and links to nowhere.
    let taken: Vec<String> = (0..120).map(stamp_in).collect();
    for (number, stamp) in taken.iter().enumerate() {
        let path = place.path(&format!("log.{stamp}"));
        match number % 3 {
            0 => fs::create_dir(&path).unwrap(),
            1 => std::os::unix::fs::symlink("nowhere", &path).unwrap(),
            _ => fs::write(&path, "mine").unwrap(),
        }
    }
    let mut call = server.accept_asking(7, 3);
    call.send("O 9\nnext");
    place.wait_for("log", b"next");
    let second = |name: &String| name.ends_with(".1");
    let rotated: Vec<String> = place.rotated("log").into_iter().filter(second).collect();
    assert_eq!(rotated.len(), 1);
    assert_eq!(place.read(&rotated[0]), b"abc");
    for (number, stamp) in taken.iter().enumerate() {
        let path = place.path(&format!("log.{stamp}"));
        match number % 3 {
            0 => assert!(path.is_dir()),
            1 => assert!(path.is_symlink()),
            _ => assert_eq!(fs::read(&path).unwrap(), b"mine"),
        }
    }
    assert!(!place.path("nowhere").exists());
}

/// The stamp of a moment so many seconds from now, in universal time.
fn stamp_in(after_s: i64) -> String {
    let now = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap()
        .as_secs();
    let moment = i64::try_from(now).unwrap() + after_s;
    Civil::from_unix(moment).stamp().to_string()
}

#[test]
fn the_stamp_is_local_time() {
    let server = Scripted::new();
    let place = Place::following(server.address());
    let _collector = Collector::spawn(place.command(&[]).env("TZ", "XYZ-5:30"));
    for inode in [1, 2] {
        let answer = format!("O {inode}\n{inode}").into_bytes();
        server.accept().play(&[Step::Send(answer)]);
    }
    place.wait_for("log", b"2");
    let rotated = only_rotated(&place);
    let half_past_five = 5 * 3600 + 30 * 60;
    let recent = (-600..=0).map(|ago| format!("log.{}", stamp_in(half_past_five + ago)));
    assert!(recent.into_iter().any(|name| name == rotated), "{rotated}");
}

#[test]
fn a_lost_generation_is_told_on_stderr_and_kept() {
    let (server, place, collector) = holding_abc();
    let mut call = server.accept_asking(7, 3);
    call.send("L 9\nnext");
    place.wait_for("log", b"next");
    assert_eq!(place.read(&only_rotated(&place)), b"abc");
    for lines in [&collector.err, &collector.out] {
        let line = lines.wait_for("lost");
        assert!(is_event(&line, "127.0.0.1", REMOTE, LOST_7), "{line}");
    }
    collector.out.wait_for("rotated to 9");
    assert_eq!(place.pointer("log.ptr"), "9");
}

/// How our server tells a truncation to collectors of 1.1, and what a server may do that has no such subtlety.
#[test]
fn the_same_inode_marked_lost_is_a_truncation() {
    for answer in ["L 07\nxy", "L 7\nxy"] {
        let (server, place, collector) = holding_abc();
        let mut call = server.accept_asking(7, 3);
        call.send(answer);
        place.wait_for("log", b"xy");
        assert_eq!(place.read(&only_rotated(&place)), b"abc");
        collector.out.wait_for("truncated; 3 bytes kept as");
        assert_eq!(collector.out.with("lost").len(), 0);
        call.close();
        server.accept_asking(7, 2);
    }
}

/// A server of 1.1 closes without a word, for ever, when the offset lies behind the end.
#[test]
fn a_truncation_on_a_silent_server_is_found_by_asking_with_inode_0() {
    let (server, place, collector) = holding_abc();
    refuse_until_probed(&server, (7, 3), "O 7\nxy");
    place.wait_for_status("127.0.0.1", "ERR\n");
    server.accept_asking(7, 3).close();
    let mut call = server.accept_asking(0, 0);
    call.send("O 7\nxy");
    place.wait_for("log", b"xy");
    place.wait_for_status("127.0.0.1", "OK\n");
    assert_eq!(place.read(&only_rotated(&place)), b"abc");
    collector.out.wait_for("truncated; 3 bytes kept as");
    let refused = collector.out.with("closed without an answer");
    assert_eq!(refused.len(), 1);
    call.close();
    server.accept_asking(7, 2);
}

/// Refuses the generation held twice, without a word, and answers the question with inode 0 that follows.
fn refuse_until_probed(server: &Scripted, (inode, offset): (u64, u64), answer: &str) {
    server.accept_asking(inode, offset).close();
    server.accept_asking(inode, offset).close();
    let steps = [Step::Send(answer.as_bytes().to_vec()), Step::Silence];
    server.accept_asking(0, 0).play(&steps);
}

/// Resets come from the network and from servers that did not read the question: no reason to doubt the file.
#[test]
fn resets_are_no_sign_of_a_truncation() {
    let (server, place, _collector) = holding_abc();
    for _ in 0..4 {
        server.accept_asking(7, 3).reset();
    }
    let mut call = server.accept_asking(7, 3);
    call.send("O 7\ndef");
    place.wait_for("log", b"abcdef");
    assert!(place.rotated("log").is_empty());
}

/// Whoever closes may have had another reason: the generation is asked for once more before it is given up.
#[test]
fn an_answer_to_inode_0_does_not_give_up_a_generation() {
    for live in [7, 9] {
        let (server, place, collector) = holding_abc();
        refuse_until_probed(&server, (7, 3), &format!("O {live}\nabcdef"));
        let mut call = server.accept_asking(7, 3);
        assert_eq!(place.pointer("log.ptr"), "7");
        call.send("O 7\ndef");
        place.wait_for("log", b"abcdef");
        assert!(place.rotated("log").is_empty());
        assert_eq!(collector.err.all().len(), 0);
    }
}

#[test]
fn a_generation_that_is_refused_for_good_is_lost() {
    let (server, place, collector) = holding_abc();
    refuse_until_probed(&server, (7, 3), "O 9\nnext");
    server.accept_asking(7, 3).close();
    let mut call = server.accept_asking(0, 0);
    call.send("O 9\nnext");
    place.wait_for("log", b"next");
    assert_eq!(place.read(&only_rotated(&place)), b"abc");
    let line = collector.err.wait_for("lost");
    assert!(is_event(&line, "127.0.0.1", REMOTE, LOST_7), "{line}");
}

/// Rotating the collector's own copies by hand: what is moved away stays, and the box is asked again from the start.
#[test]
fn a_copy_that_was_moved_away_stays_where_it_is() {
    let (server, place, collector) = holding_abc();
    let mut call = server.accept_asking(7, 3);
    call.send("O 7\ndef");
    place.wait_for("log", b"abcdef");
    fs::rename(place.path("log"), place.path("saved")).unwrap();
    collector.signal(Signal::USR1);
    call.wait_until_left();
    let mut call = server.accept_asking(7, 0);
    call.send("O 7\nabcdefghi");
    place.wait_for("log", b"abcdefghi");
    assert_eq!(place.read("saved"), b"abcdef");
}
