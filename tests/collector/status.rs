//! The status files that the SNMP helper shows, and the lines that operators read.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::SystemTime;

use super::common::collector::{Collector, Place, REMOTE, run};
use super::common::scripted::Scripted;
use super::common::wait::{eventually, for_a_while};
use super::is_event;

/// A reader in a tight loop never sees anything but a whole status, while it changes all the time.
#[test]
fn a_reader_never_sees_half_a_status() {
    let server = Scripted::new();
    let place = Place::following(server.address());
    let _collector = place.start(&["-r", "0.001", "-i", "0.02"]);
    let status = place.path("snmp/127.0.0.1");
    let mut call = server.accept();
    let first = eventually("a status", || fs::metadata(&status).ok());
    let done = Arc::new(AtomicBool::new(false));
    let changes = Arc::new(AtomicUsize::new(0));
    let reader = thread::spawn({
        let (status, done, changes) = (status.clone(), done.clone(), changes.clone());
        move || read_until(&done, &status, &changes)
    });
    // The reader need not see each of them.
    while changes.load(Ordering::Relaxed) < 12 {
        call.send("O 7\n");
        call.wait_until_left();
        place.wait_for_status("127.0.0.1", "ERR\n");
        // One that brings something, so that the next try comes at once.
        call = server.accept();
        call.try_send("O 7\nx");
        call.close();
        call = server.accept();
    }
    done.store(true, Ordering::Relaxed);
    assert!(reader.join().unwrap() > 100);
    let last = fs::metadata(&status).unwrap();
    assert_ne!(first.ino(), last.ino(), "replaced, not written over");
    assert_eq!(
        names_in(&place.path("snmp")),
        [
            ".fetch_logs.lock",
            ".fetch_logs.sock",
            ".fetch_logs.table",
            "127.0.0.1"
        ]
    );
}

/// The names in a directory, in order, without one that is just being written.
pub fn names_in(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| !name.ends_with(".tmp")).collect();
    names.sort();
    names
}

/// Reads the status over and over; counts how often it changed and returns how often it was read.
fn read_until(done: &AtomicBool, status: &Path, changes: &AtomicUsize) -> usize {
    let mut before = String::from("ERR\n");
    let mut reads = 0;
    while !done.load(Ordering::Relaxed) {
        let text = fs::read_to_string(status).unwrap();
        assert!(text == "OK\n" || text == "ERR\n", "{text:?}");
        if text != before {
            changes.fetch_add(1, Ordering::Relaxed);
        }
        before = text;
        reads += 1;
    }
    reads
}

#[test]
fn a_server_is_ok_when_all_of_its_sources_are() {
    let servers: Vec<Scripted> = (0..3).map(|_| Scripted::numbered(3)).collect();
    let other = Scripted::numbered(4);
    let place = Place::with(|place| {
        let lines = servers.iter().enumerate();
        lines
            .map(|(at, server)| place.line(server.address(), REMOTE, &format!("log{at}")))
            .chain([place.line(other.address(), REMOTE, "other")])
            .collect()
    });
    let _collector = place.start(&[]);
    let mut calls: Vec<_> = servers.iter().map(Scripted::accept).collect();
    let _other = {
        let mut call = other.accept();
        call.send("O 1\n");
        call
    };
    place.wait_for_status("127.0.0.4", "OK\n");
    for call in &mut calls[..2] {
        call.send("O 1\n");
    }
    place.wait_for_status("127.0.0.3", "ERR\n");
    for_a_while(100, "one is missing", || {
        place.read("snmp/127.0.0.3") == b"ERR\n"
    });
    calls[2].send("O 1\n");
    place.wait_for_status("127.0.0.3", "OK\n");
    calls.remove(1).close();
    servers[1].accept().close();
    place.wait_for_status("127.0.0.3", "ERR\n");
    assert_eq!(place.read("snmp/127.0.0.4"), b"OK\n");
    let mut call = servers[1].accept();
    call.send("O 1\n");
    place.wait_for_status("127.0.0.3", "OK\n");
}

/// A status left by an earlier run says nothing about this one.
#[test]
fn a_status_starts_as_an_error() {
    let server = Scripted::new();
    let place = Place::following(server.address());
    fs::write(place.path("snmp/127.0.0.1"), "OK\n").unwrap();
    let _collector = place.start(&[]);
    let _call = server.accept();
    place.wait_for_status("127.0.0.1", "ERR\n");
}

#[test]
fn the_directory_of_statuses_is_made_and_made_again() {
    let server = Scripted::new();
    let place = Place::following(server.address());
    fs::remove_dir(place.path("snmp")).unwrap();
    let collector = place.start(&["-r", "0.1"]);
    let mut call = server.accept();
    place.wait_for_status("127.0.0.1", "ERR\n");
    fs::remove_dir_all(place.path("snmp")).unwrap();
    call.send("O 7\n");
    let told = collector.err.wait_for("cannot write the status file");
    assert!(told.contains("snmp/127.0.0.1"), "{told}");
    call.send("goes on");
    place.wait_for("log", b"goes on");
    fs::create_dir(place.path("snmp")).unwrap();
    place.wait_for_status("127.0.0.1", "OK\n");
    collector
        .err
        .wait_for("snmp/127.0.0.1 can be written again");
    // The table is told of, too, if it was due while there was no directory.
    let mut told = collector.err.all();
    told.retain(|line| !line.contains("/.fetch_logs.table"));
    assert_eq!(told.len(), 2, "{told:?}");
}

#[test]
fn a_place_where_no_status_can_be_written_is_no_start() {
    let place = Place::following(Scripted::new().address());
    fs::write(place.path("file"), "").unwrap();
    let (code, _, stderr) = run(["file", "conf"], &place.path("."));
    assert_eq!(code, 1);
    assert!(
        stderr.starts_with("fetch_logs: cannot write status files to"),
        "{stderr}"
    );
    assert_eq!(stderr.lines().count(), 1);
}

/// Names are the operator's own, but lines of the log end up on many terminals.
#[test]
fn names_cannot_steer_a_terminal() {
    let server = Scripted::new();
    // What UTF-8 offers besides control characters: a mark that turns the order of what follows, and broken bytes.
    let remote = "/var/log/\u{202e}evil\u{9b}x";
    let place = Place::with(|place| vec![place.line(server.address(), remote, "l\u{202e}og")]);
    let collector = place.start(&[]);
    for answer in ["O 1\none", "L 2\ntwo"] {
        let mut call = server.accept();
        call.send(answer);
        place.wait_for("l\u{202e}og", &answer.as_bytes()[4..]);
        call.close();
    }
    collector.err.wait_for("lost 1:3");
    collector.out.wait_for("rotated to 2");
    let lines = [collector.out.all(), collector.err.all()].concat();
    assert!(lines.len() >= 4);
    for line in lines {
        assert!(
            line.contains("/var/log/\\xe2\\x80\\xaeevil\\xc2\\x9bx"),
            "{line}"
        );
        assert!(
            line.chars().all(|c| c.is_ascii() && !c.is_control()),
            "{line:?}"
        );
    }
}

/// Control bytes in a name are a fault of the configuration, and the message about them has none.
#[test]
fn control_bytes_in_the_configuration_do_not_reach_the_terminal() {
    let place = Place::new();
    let lines = [
        "127.0.0.1 19 /a\x1b[2J /l/1 /p/1",
        "127.0.0.1 19 /b /l/\x072 /p/2",
        "ho\x1bst 19 /c /l/3 /p/3",
        "127.0.0.1 19 /d /l/4 /p/4 \x1b[31m=\x08",
    ];
    place.configure(&lines.map(String::from));
    let (code, stdout, stderr) = run(["-t", "snmp", "conf"], &place.path("."));
    assert_eq!((code, stdout.as_str()), (78, ""));
    assert!(stderr.lines().count() >= lines.len(), "{stderr}");
    assert!(
        stderr.chars().all(|c| c == '\n' || !c.is_control()),
        "{stderr:?}"
    );
}

/// What a server sends instead of an answer is not quoted at all.
#[test]
fn what_a_server_sends_does_not_reach_the_terminal() {
    let server = Scripted::new();
    let place = Place::following(server.address());
    let collector = place.start(&[]);
    let mut call = server.accept();
    call.send("\x1b[2JO 7\n");
    let text = "what answered is not a log server";
    let line = collector.out.wait_for("answered");
    assert!(is_event(&line, "127.0.0.1", REMOTE, text), "{line:?}");
}

/// Nobody reads the events any more: the files go on.
#[test]
fn a_closed_stdout_is_nothing_to_die_of() {
    let server = Scripted::new();
    let place = Place::following(server.address());
    let collector = place.command(&[]);
    let mut command = Command::new("sh");
    command
        .args(["-c", "exec \"$@\" >&- 2>&-", "sh"])
        .arg(collector.get_program())
        .args(collector.get_args());
    let mut collector = Collector::spawn(&mut command);
    for (inode, answer) in [(0, "O 1\none"), (1, "L 2\ntwo"), (2, "L 3\nthree")] {
        let mut call = server.accept();
        assert_eq!(call.parts().1, inode);
        call.send(answer);
        place.wait_for("log", &answer.as_bytes()[4..]);
    }
    assert!(collector.runs());
    assert_eq!(place.rotated("log").len(), 2);
}

/// Every event carries the present time of this machine.
#[test]
fn events_carry_the_present_time() {
    let now = || SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let server = Scripted::new();
    let place = Place::following(server.address());
    let mut command = place.command(&[]);
    command.env("TZ", "UTC0");
    let began = now();
    let collector = Collector::spawn(&mut command);
    server.accept().send("O 7\n");
    let line = collector.out.wait_for("following");
    let recent = (began..=now()).any(|then| {
        let then = fetchlogs::time::Civil::from_unix(i64::try_from(then).unwrap());
        line.starts_with(&then.to_string())
    });
    assert!(recent, "{line}");
}
