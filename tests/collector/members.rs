//! Logs of lines whose REMOTE_FILE is a glob: what is not here is seen, and what goes leaves nothing undone.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};

use super::common::collector::{Place, Signal, run};
use super::common::scripted::Scripted;
use super::common::server::Server;
use super::common::wait::{eventually, for_a_while};
use super::patterns::{box_with, column, follow, list, listed, start, wait_for_sources};

/// A box that tells these logs, and others whenever it is told so.
fn box_that_changes(
    first: Vec<&'static [u8]>,
) -> (Sender<Vec<&'static [u8]>>, std::net::SocketAddr) {
    let (tell, told) = channel::<Vec<&'static [u8]>>();
    let told = Arc::new(Mutex::new(told));
    let server = Scripted::new().serve(move |_, mut call| {
        if !call.request().contains("op=list") {
            return follow(call);
        }
        call.send(listed(&first));
        while let Ok(logs) = told.lock().unwrap().recv() {
            call.send(list(&logs));
        }
        call.wait_until_left();
    });
    (tell, server)
}

fn status_of(place: &Place) -> (i32, String) {
    let snmp = place.path("snmp");
    let (status, out, _) = run(["status", "-a", snmp.to_str().unwrap()], &snmp);
    (status, out)
}

#[test]
fn what_was_asked_for_and_is_refused_is_an_error_and_what_was_not_asked_for_is_none() {
    let (tell, server) = box_that_changes(vec![b"/v/a.log", b"/v/bad\x01.log", b"/etc/passwd"]);
    let (place, collector) = start("%h/%f", server, "/v/*.log");
    place.wait_for_status("box", "ERR\n");
    eventually("the line itself", || {
        let (status, out) = status_of(&place);
        let words =
            ": the box tells of /v/bad\\x01.log: it is refused: no copy can have such a name";
        let is_said = out.contains("box /v/*.log error for ") && out.contains(words);
        (status == 2 && is_said).then_some(())
    });
    tell.send(vec![b"/v/a.log", b"/etc/passwd"]).unwrap();
    place.wait_for_status("box", "OK\n");
    wait_for_sources(&place, 1);
    assert_eq!(status_of(&place).0, 0);
    assert!(collector.stop().success());
}

#[test]
fn a_name_that_becomes_free_is_given_to_who_was_refused_it() {
    let (tell, server) = box_that_changes(vec![b"/v/a/m.log", b"/v/b/m.log"]);
    let (place, collector) = start("%h/%f", server, "/v/*/m.log");
    collector.err.wait_for("/v/a/m.log is followed from now on");
    place.wait_for_status("box", "ERR\n");
    tell.send(vec![b"/v/b/m.log"]).unwrap();
    collector
        .err
        .wait_for("/v/a/m.log is gone on the box, and not followed any more");
    collector.err.wait_for("/v/b/m.log is followed from now on");
    place.wait_for_status("box", "OK\n");
    wait_for_sources(&place, 1);
    assert!(collector.stop().success());
}

#[test]
fn an_odd_name_with_a_line_of_its_own_is_nothing_to_tell_of() {
    let server = box_with(vec![b"/v/a.log".to_vec(), b"/v/b.gaps".to_vec()]);
    let place = Place::with(|place| {
        let copies = place.path("copies").display().to_string();
        let (ip, port) = (server.ip(), server.port());
        vec![
            format!("copies {copies}/%h/%f"),
            format!("{ip} {port} /v/* name=box"),
            place.line(server, "/v/b.gaps", "mine") + " name=box",
        ]
    });
    let collector = place.start(&[]);
    wait_for_sources(&place, 2);
    place.wait_for_status("box", "OK\n");
    assert!(!collector.err.text().contains("refused"));
    // Without that line it lacks, and with one for the other log the glob has nothing to do with it.
    let mut lines: Vec<String> = String::from_utf8(place.read("conf"))
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    lines.pop();
    lines.push(place.line(server, "/v/a.log", "mine") + " name=box");
    place.configure(&lines);
    collector.signal(Signal::HUP);
    place.wait_for_status("box", "ERR\n");
    collector.err.wait_for("tells of /v/b.gaps: it is refused");
    lines.pop();
    place.configure(&lines);
    collector.signal(Signal::HUP);
    collector.err.wait_for("/v/a.log is followed from now on");
    eventually("the copy of the glob", || {
        column(&place, "local_file")
            .get("/v/a.log")?
            .ends_with("/copies/box/a.log")
            .then_some(())
    });
    assert!(collector.stop().success());
}

#[test]
fn a_line_that_finds_nothing_is_seen() {
    let (tell, server) = box_that_changes(vec![]);
    let (place, collector) = start("%h/%f", server, "/v/*.log");
    place.wait_for_status("box", "OK\n");
    eventually("since when", || {
        let since = column(&place, "since");
        since.get("/v/*.log")?.parse::<u64>().ok()
    });
    eventually("a line for the line", || {
        status_of(&place)
            .1
            .starts_with("box /v/*.log following for ")
            .then_some(())
    });
    tell.send(vec![b"/v/a.log"]).unwrap();
    eventually("the log in its place", || {
        let logs: Vec<String> = column(&place, "state").into_keys().collect();
        (logs == ["/v/a.log"]).then_some(())
    });
    assert!(collector.stop().success());
}

#[test]
fn what_was_lost_of_a_log_that_goes_is_an_error_until_somebody_takes_note() {
    let (tell, server) = box_that_changes(vec![b"/v/a.log", b"/v/b.log"]);
    let place = Place::with(|place| {
        let copies = place.path("copies").display().to_string();
        let (ip, port) = (server.ip(), server.port());
        fs::create_dir_all(place.path("copies/box")).unwrap();
        fs::write(place.path("copies/box/a.log.gaps"), "something is lost\n").unwrap();
        vec![
            format!("copies {copies}/%h/%f"),
            format!("{ip} {port} /v/*.log name=box"),
        ]
    });
    let collector = place.start(&[]);
    wait_for_sources(&place, 2);
    place.wait_for_status("box", "ERR\n");
    tell.send(vec![b"/v/b.log"]).unwrap();
    for_a_while(4_500, "it is not forgotten", || {
        column(&place, "losses").contains_key("/v/a.log")
    });
    assert_eq!(place.read("snmp/box"), b"ERR\n");
    let snmp = place.path("snmp");
    let (status, out, err) = run(["ack", snmp.to_str().unwrap(), "box"], &snmp);
    assert_eq!(status, 0, "{out}{err}");
    collector
        .err
        .wait_for("/v/a.log is gone on the box, and not followed any more");
    place.wait_for_status("box", "OK\n");
    assert!(collector.stop().success());
}

#[test]
fn the_row_of_a_line_is_none_of_its_logs_after_a_start() {
    let (_tell, server) = box_that_changes(vec![]);
    let (place, collector) = start("%h/%f", server, "/v/*.log");
    wait_for_sources(&place, 1);
    assert!(collector.stop().success());
    let collector = place.start(&[]);
    for_a_while(1_500, "one line of status", || {
        status_of(&place).1.matches("/v/*.log").count() <= 1
    });
    place.wait_for_status("box", "OK\n");
    assert_eq!(status_of(&place).1.matches("/v/*.log").count(), 1);
    assert_eq!(collector.err.text(), "");
    assert!(collector.stop().success());
}

#[test]
fn a_new_configuration_counts_the_patterns_too() {
    let server = box_with(vec![b"/v/a.log".to_vec()]);
    let (place, collector) = start("%h/%p", server, "/v/*.log");
    wait_for_sources(&place, 1);
    collector.signal(Signal::HUP);
    collector.err.wait_for(
        "0 sources added, 0 removed, 1 unchanged; patterns: 0 added, 0 removed, 1 unchanged",
    );
    let text = String::from_utf8(place.read("conf")).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.push(lines[1].replace("/v/*.log", "/w/*.log"));
    place.configure(&lines);
    collector.signal(Signal::HUP);
    collector
        .err
        .wait_for("; patterns: 1 added, 0 removed, 1 unchanged");
    lines.remove(1);
    place.configure(&lines);
    collector.signal(Signal::HUP);
    collector
        .err
        .wait_for("; patterns: 0 added, 1 removed, 1 unchanged");
    assert!(collector.stop().success());
}

/// A real server with a log that a glob finds, and a collector with a hook that notes what it is told and waits for a
/// file before it ends.
fn with_hook() -> (Place, Server, super::common::collector::Collector) {
    let place = Place::new();
    fs::create_dir(place.path("logs")).unwrap();
    for log in ["x.log", "y.log"] {
        fs::write(place.path("logs").join(log), "one\n").unwrap();
    }
    let glob = place.path("logs/*.log").display().to_string();
    let settings =
        format!("$alive_interval = 1; $grace = 0.2; $files{{'{glob}'}} = '%p.*[0-9]';\n");
    let server = Server::start(&settings);
    let (ip, port) = (server.address().ip(), server.address().port());
    let copies = place.path("copies").display().to_string();
    place.configure(&[
        format!("copies {copies}/%f-%h"),
        format!("{ip} {port} {glob} name=box"),
    ]);
    let hook = place.path("hook");
    let dir = place.path("").display().to_string();
    let text = format!(
        "#!/bin/sh\ncd '{dir}'\nwhile ! test -e go; do sleep 0.05; done\necho $FETCHLOGS_EVENT ${{FETCHLOGS_FILE##*/}} >>told\n"
    );
    fs::write(&hook, text).unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    let collector = place.start(&["-x", hook.to_str().unwrap()]);
    wait_for_sources(&place, 2);
    (place, server, collector)
}

fn rotate(log: &Path) {
    let mut rotated = log.as_os_str().to_owned();
    rotated.push(".1");
    fs::rename(log, rotated).unwrap();
    fs::write(log, "two\n").unwrap();
}

#[test]
fn no_hook_is_forgotten_when_a_log_goes() {
    let (place, _server, collector) = with_hook();
    let log = place.path("logs/x.log");
    rotate(&log);
    collector.out.wait_for(" verified md5=");
    place.wait_for("copies/x.log-box", b"two\n");
    fs::remove_file(&log).unwrap();
    fs::remove_file(place.path("logs/x.log.1")).unwrap();
    collector.out.wait_for("there is no such file now");
    for_a_while(4_000, "it is not forgotten", || {
        column(&place, "state").contains_key(log.to_str().unwrap())
    });
    assert_eq!(place.read("told"), b"");
    fs::write(place.path("go"), "").unwrap();
    collector
        .err
        .wait_for("/x.log is gone on the box, and not followed any more");
    let told = String::from_utf8(place.read("told")).unwrap();
    let words: Vec<&str> = told
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(words, ["rotated", "verified"], "{told}");
    assert_eq!(place.read("copies/x.log-box.pointer.hooks"), b"");
    // All of it was here, and nobody doubts that.
    assert!(!collector.err.text().contains("is not known"));
    assert!(collector.stop().success());
}
