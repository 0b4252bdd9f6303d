//! Going on where an earlier run ended, however it ended.

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::common::FETCHLOGS;
use super::common::collector::{Collector, Place, Signal};
use super::common::scripted::{Call, Scripted};
use super::common::wait::eventually;

#[test]
fn a_killed_collector_goes_on_at_the_size_of_its_copy() {
    let server = Scripted::new();
    let place = Place::following(server.address());
    let collector = place.start(&[]);
    let mut call = server.accept_asking(0, 0);
    call.send("O 7\nabc");
    place.wait_for("log", b"abc");
    collector.kill();
    let _collector = place.start(&[]);
    let mut call = server.accept_asking(7, 3);
    call.send("O 7\ndef");
    place.wait_for("log", b"abcdef");
    assert_eq!(place.rotated("log").len(), 0);
}

#[test]
fn a_stopped_collector_goes_on_at_the_size_of_its_copy() {
    let server = Scripted::new();
    let place = Place::following(server.address());
    for (signal, offset) in [(Signal::TERM, 0), (Signal::INT, 3), (Signal::TERM, 6)] {
        let mut collector = place.start(&[]);
        let inode = if offset == 0 { 0 } else { 7 };
        let mut call = server.accept_asking(inode, offset);
        call.send("O 7\nabc");
        place.wait_for("log", "abc".repeat(offset as usize / 3 + 1).as_bytes());
        collector.signal(signal);
        assert_eq!(collector.wait().code(), Some(0));
        call.wait_until_left();
    }
    assert_eq!(place.names().len(), 4);
}

#[test]
fn a_pointer_of_fetchlogs_1_1_is_understood() {
    for pointer in ["4711", "4711\n"] {
        let server = Scripted::new();
        let place = Place::following(server.address());
        fs::write(place.path("log"), "old").unwrap();
        fs::write(place.path("log.ptr"), pointer).unwrap();
        let collector = place.start(&[]);
        // In which boot it was written is not known, so the copy is compared before it is believed.
        server.accept_asking(4711, 3).send("O 4711\n");
        let mut call = server.accept_asking(4711, 0);
        call.send("O 4711\noldnew");
        place.wait_for("log", b"oldnew");
        assert_eq!(place.pointer("log.ptr"), "4711");
        let told = collector.out.wait_for("following");
        assert!(told.ends_with("following 4711 from 6"), "{told}");
    }
}

/// What fetchlogs 1.1 leaves when it is killed between truncating and writing its pointer.
#[test]
fn an_empty_pointer_sets_the_copy_aside() {
    let server = Scripted::new();
    let place = Place::following(server.address());
    fs::write(place.path("log"), "unknown").unwrap();
    fs::write(place.path("log.ptr"), "").unwrap();
    let collector = place.start(&[]);
    let mut call = server.accept_asking(0, 0);
    call.send("O 9\nknown");
    place.wait_for("log", b"known");
    let rotated = place.rotated("log");
    assert_eq!(rotated.len(), 1);
    assert_eq!(place.read(&rotated[0]), b"unknown");
    assert!(collector.out.wait_for("set aside").contains(&rotated[0]));
    assert_eq!(place.pointer("log.ptr"), "9");
}

#[test]
fn a_missing_copy_is_fetched_again() {
    let server = Scripted::new();
    let place = Place::following(server.address());
    fs::write(place.path("log.ptr"), "9").unwrap();
    let collector = place.start(&[]);
    let mut call = server.accept_asking(9, 0);
    call.send("O 9\nall of it");
    place.wait_for("log", b"all of it");
    collector.out.wait_for("the local copy is missing");
    assert_eq!(place.rotated("log").len(), 0);
}

#[test]
fn a_second_collector_with_the_same_status_files_does_not_start() {
    let server = Scripted::new();
    let place = Place::following(server.address());
    let first = place.start(&[]);
    let mut call = server.accept_asking(0, 0);
    call.send("O 7\nabc");
    place.wait_for_status("127.0.0.1", "OK\n");
    let mut second = Collector::spawn(&mut place.command(&[]));
    assert_eq!(second.wait().code(), Some(1));
    let told = second.err.wait_for("another collector");
    let pid = first.pid();
    assert!(told.contains(&format!(", process {pid}, writes")), "{told}");
    place.wait_for_status("127.0.0.1", "OK\n");
    first.kill();
    let third = place.start(&[]);
    server.accept_asking(7, 3);
    third.stop();
}

#[test]
fn a_second_collector_on_the_same_files_waits_for_the_first() {
    let server = Scripted::new();
    let place = Place::following(server.address());
    let first = place.start(&[]);
    let mut call = server.accept_asking(0, 0);
    call.send("O 7\nabc");
    place.wait_for("log", b"abc");
    let mut command = Command::new(FETCHLOGS);
    command
        .args(["fetch_logs", "-r", "0.1"])
        .args([place.path("snmp2"), place.path("conf")]);
    let second = Collector::spawn(&mut command);
    let told = second.out.wait_for("another collector");
    assert!(
        told.ends_with(&format!("process {}", first.pid())),
        "{told}"
    );
    place.wait_for("snmp2/127.0.0.1", b"ERR\n");
    server.expect_no_call(300);
    assert_eq!(second.out.all().len(), 1);
    call.send("def");
    place.wait_for("log", b"abcdef");
    first.kill();
    let mut call = server.accept_asking(7, 6);
    call.send("O 7\nghi");
    place.wait_for("log", b"abcdefghi");
    place.wait_for("snmp2/127.0.0.1", b"OK\n");
}

/// A log with several generations, served as fetchlogs 1.1 does, a little at a time so that kills fall into it.
#[derive(Clone)]
struct History(Arc<Vec<Vec<u8>>>);

impl History {
    const FIRST_INODE: u64 = 100;

    /// Generations that differ in every line.
    fn new(generations: usize, lines: usize) -> History {
        let line = |at: usize, line: usize| format!("generation {at}, line {line}\n").into_bytes();
        let generation = |at| (0..lines).flat_map(|number| line(at, number)).collect();
        History(Arc::new((0..generations).map(generation).collect()))
    }

    /// Answers one request and closes at the end of every generation but the last.
    fn answer(&self, mut call: Call) {
        let (_, inode, offset) = call.parts();
        let offset = usize::try_from(offset).unwrap();
        let held = inode.checked_sub(Self::FIRST_INODE);
        let (at, from) = match held.map(|at| usize::try_from(at).unwrap()) {
            Some(at) if offset < self.0[at].len() || at + 1 == self.0.len() => (at, offset),
            Some(at) => (at + 1, 0),
            None => (0, 0),
        };
        let mut sent = call.try_send(format!("O {}\n", Self::FIRST_INODE + at as u64));
        for piece in self.0[at][from..].chunks(997) {
            sent = sent && call.try_send(piece);
            thread::sleep(Duration::from_millis(1));
        }
        if at + 1 == self.0.len() {
            call.wait_until_left();
        }
    }

    fn last(&self) -> &[u8] {
        self.0.last().unwrap()
    }
}

/// The regression test for a fault of fetchlogs 1.1: a kill between the steps of a rotation made it fetch a
/// generation twice.
#[test]
fn kills_at_any_moment_lose_nothing_and_double_nothing() {
    const GENERATIONS: usize = 16;
    let history = History::new(GENERATIONS, 300);
    let served = history.clone();
    let server = Scripted::new();
    let place = Place::following(server.address());
    server.serve(move |_, call| served.answer(call));
    let mut kills = 0;
    let mut run_ms = 7;
    // Where nothing arrives before the kill, the next run may take longer, until something does.
    let mut more_ms = 0;
    let held = || {
        let names = place.rotated("log").into_iter().chain(["log".to_owned()]);
        names.map(|name| place.read(&name).len()).sum::<usize>()
    };
    while place.rotated("log").len() + 1 < GENERATIONS {
        let before = held();
        let collector = place.start(&["-r", "0.01"]);
        thread::sleep(Duration::from_millis(run_ms + more_ms));
        collector.kill();
        more_ms = if held() > before { 0 } else { more_ms + 50 };
        kills += 1;
        // Spread over the period in which a generation is fetched.
        run_ms = 7 + run_ms * 31 % 223;
    }
    let _collector = place.start(&[]);
    place.wait_for("log", history.last());
    eventually("nothing but copies, pointer, statuses and conf", || {
        (place.names().len() == GENERATIONS + 3).then_some(())
    });
    let rotated = place.rotated("log");
    assert_eq!(rotated.len() + 1, GENERATIONS, "after {kills} kills");
    for (name, expected) in rotated.iter().zip(history.0.iter()) {
        assert!(place.read(name) == *expected, "{name} after {kills} kills");
    }
}
