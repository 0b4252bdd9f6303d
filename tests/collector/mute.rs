//! What `status` and `ack` say where the collector does not answer, or somebody may not.

use std::fs::{self, Permissions};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::thread;

use super::common::FETCHLOGS;
use super::common::collector::{Place, REMOTE};
use super::common::process::Signal;
use super::common::scripted::{Call, Scripted};
use super::common::wait::until;
use super::others::is_root;
use super::view::{TABLE, connect, mode};

/// A collector with a source that has a loss on record, and with a table that tells so.
fn lossy() -> (Place, super::common::collector::Collector, Call) {
    let server = Scripted::new();
    let place = Place::following(server.address());
    fs::write(place.path("log.gaps"), "20261122132956 /m lost 7:3\n").unwrap();
    let collector = place.start(&[]);
    let mut call = server.accept();
    call.send("O 7\n");
    place.wait_for_status("127.0.0.1", "ERR\n");
    until("the table to tell of it", || {
        let table = String::from_utf8_lossy(&place.read(TABLE)).into_owned();
        table.contains("\tfollowing\t")
    });
    (place, collector, call)
}

#[test]
fn a_collector_that_hangs_is_told() {
    let (place, collector, _call) = lossy();
    collector.signal(Signal::STOP);
    let [shown, running, noted] = [
        &["status", "snmp"][..],
        &["status", "-r", "snmp"],
        &["ack", "snmp", "127.0.0.1"],
    ]
    .map(|words| {
        let dir = place.path(".");
        thread::spawn(move || super::common::collector::run(words, &dir))
    })
    .map(|it| it.join().unwrap());
    collector.signal(Signal::CONT);
    let mute = "the collector does not answer; this is from its table of ";
    let (status, out, _) = shown;
    assert!(out.lines().last().unwrap().starts_with(mute), "{out}");
    assert_eq!(status, 3);
    let (status, _, err) = running;
    assert!(err.starts_with(mute), "{err}");
    assert_eq!(status, 3);
    // The new name is told, whatever follows.
    let (status, out, err) = noted;
    assert!(out.contains(": the record of losses is "), "{out}");
    assert_eq!(
        err,
        "fetch_logs: the collector cannot be told, and sees it at USR1: it does not answer\n"
    );
    assert_eq!(status, 1);
    assert!(!place.path("log.gaps").exists());
}

#[test]
fn a_collector_with_too_many_visitors_is_heard() {
    let (place, _collector, _call) = lossy();
    let _idle: Vec<_> = (0..16).map(|_| connect(&place)).collect();
    let mut busy = String::new();
    until("there is no room for more", || {
        busy.clear();
        let _ = connect(&place).read_to_string(&mut busy);
        busy.starts_with("HTTP/1.1 503 ")
    });
    let (status, out, err) = mode(&place, &["ack", "snmp", "127.0.0.1"]);
    assert_eq!(status, 1);
    assert!(out.contains(": the record of losses is "), "{out}");
    let told = busy.split_once("\r\n\r\n").unwrap().1.trim();
    assert!(!told.is_empty() && err.trim_end().ends_with(told), "{err}");
}

#[test]
fn who_may_not_rename_is_told_that() {
    if !is_root() {
        return;
    }
    let (place, _collector, _call) = lossy();
    fs::set_permissions(place.path("."), Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(place.path("snmp"), Permissions::from_mode(0o755)).unwrap();
    // He may read neither where the program lies.
    let program = place.path("fetchlogs");
    fs::copy(Path::new(FETCHLOGS), &program).unwrap();
    let output = Command::new(program)
        .args(["fetch_logs", "ack", "snmp", "127.0.0.1", REMOTE])
        .current_dir(place.path("."))
        .uid(12345)
        .gid(12345)
        .output()
        .unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{err}");
    let gaps = place.path("log.gaps");
    let renamed = format!(
        "fetch_logs: 127.0.0.1 {REMOTE}: cannot rename {}: Permission denied",
        gaps.display()
    );
    assert!(err.starts_with(&renamed), "{err}");
    assert!(gaps.exists() && output.stdout.is_empty());
}
