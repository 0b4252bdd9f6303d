//! The walls around the collector, and how it goes on where they shut out what it needs.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::common::collector::{Place, REMOTE, Signal};
use super::common::scripted::Scripted;
use super::common::skipped::skipped;
use super::common::wait::until;
use super::common::walls;

#[test]
fn sources_in_other_directories_are_taken_up_by_a_successor() {
    let [old, new] = [5, 6].map(Scripted::numbered);
    let place = Place::new();
    let line = |server: &Scripted, name: &str| place.line(server.address(), REMOTE, name);
    place.configure(&[line(&old, "old")]);
    let mut collector = place.start(&[]);
    if !walls::are_there() {
        return skipped("this kernel has no Landlock");
    }
    let mut call = old.accept();
    call.send("O 7\nabc");
    place.wait_for("old", b"abc");
    walls::expect_around(collector.pid());

    fs::create_dir(place.path("other")).unwrap();
    place.configure(&[line(&old, "old"), line(&new, "other/new")]);
    collector.signal(Signal::HUP);
    call.wait_until_left();
    let mut call = old.accept();
    assert_eq!(call.asked(), format!("{REMOTE} 7 3"));
    call.send("O 7\ndef");
    let mut new_call = new.accept();
    new_call.send("O 8\nnew");
    place.wait_for("old", b"abcdef");
    place.wait_for("other/new", b"new");
    place.wait_for_status("127.0.0.6", "OK\n");
    let successor = walls::successor(collector.pid());
    walls::expect_around(successor);

    // Signals are passed on: what is configured now needs no other walls.
    place.configure(&[line(&old, "old")]);
    collector.signal(Signal::HUP);
    new_call.wait_until_left();
    until("one status less", || !place.path("snmp/127.0.0.6").exists());
    assert_eq!(walls::successor(collector.pid()), successor);
    collector.signal(Signal::TERM);
    assert!(collector.wait().success());
    walls::expect_gone(successor);
}

/// The helper knows only directories of copies, whichever process asks for a run.
#[test]
fn hooks_hear_of_copies_wherever_they_are_by_now() {
    let [old, new] = [5, 6].map(Scripted::numbered);
    let place = Place::new();
    let line = |server: &Scripted, name: &str| {
        let address = server.address();
        let (ip, port) = (address.ip(), address.port());
        format!("{ip} {port} {REMOTE} {name} {name}.ptr")
    };
    let (hook, told) = (place.path("hook"), place.path("told"));
    let note = format!(
        "#!/bin/sh\necho $FETCHLOGS_EVENT $FETCHLOGS_FILE >>{}\n",
        told.display()
    );
    fs::write(&hook, note).unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(place.path("one")).unwrap();
    place.configure(&[line(&old, "./one/../one/old")]);
    let mut collector = place.start(&["-x", hook.to_str().unwrap()]);
    let rotate = |server: &Scripted, name: &str| {
        server.accept().send("O 7\nabc");
        place.wait_for(name, b"abc");
        let mut call = server.accept();
        call.send("O 9\nnext");
        place.wait_for(name, b"next");
        let (dir, name) = name.rsplit_once('/').unwrap();
        until("what the hook is told", || {
            let told = fs::read_to_string(&told).unwrap_or_default();
            told.contains("rotated ") && told.contains(&format!("/{dir}/{name}."))
        });
        call
    };
    let _call = rotate(&old, "one/old");
    fs::create_dir(place.path("other")).unwrap();
    place.configure(&[line(&new, "other/new")]);
    collector.signal(Signal::HUP);
    let _call = rotate(&new, "other/new");
    collector.signal(Signal::TERM);
    assert!(collector.wait().success());
}

#[test]
fn a_successor_that_cannot_start_tells_why_and_tries_again() {
    let server = Scripted::numbered(5);
    let place = Place::new();
    place.configure(&[place.line(server.address(), REMOTE, "old")]);
    let mut collector = place.start(&[]);
    if !walls::are_there() {
        return skipped("this kernel has no Landlock");
    }
    let helper = walls::helper(collector.pid());
    server.accept().send("O 7\nabc");
    place.wait_for("old", b"abc");

    // Nobody can try that for a successor while there is somebody who has the lock.
    let (lock, away) = (place.path("snmp/.fetch_logs.lock"), place.path("away"));
    let break_it = || {
        fs::rename(&lock, &away).unwrap();
        fs::create_dir(&lock).unwrap();
    };
    let mend_it = || {
        fs::remove_dir(&lock).unwrap();
        fs::rename(&away, &lock).unwrap();
    };
    let succeed = |name: &str| {
        fs::create_dir(place.path(name)).unwrap();
        place.configure(&[place.line(server.address(), REMOTE, &format!("{name}/new"))]);
        collector.signal(Signal::HUP);
    };
    let tells = |times: usize| {
        until("why no process takes over", || {
            let text = collector.err.text();
            text.matches("no new process can take over").count() >= times
        });
    };
    // By itself, in time.
    break_it();
    succeed("first");
    tells(1);
    collector.err.wait_for("cannot lock ");
    mend_it();
    server.accept().send("O 8\ndef");
    place.wait_for("first/new", b"def");
    // At once, when it is told to.
    break_it();
    succeed("second");
    tells(2);
    collector.signal(Signal::HUP);
    tells(3);
    // And not for ever.
    collector.signal(Signal::TERM);
    assert!(collector.wait().success());
    walls::expect_gone(helper);
}

#[test]
fn the_end_of_a_successor_ends_the_daemon() {
    let server = Scripted::numbered(5);
    let place = Place::new();
    place.configure(&[place.line(server.address(), REMOTE, "old")]);
    let mut collector = place.start(&[]);
    if !walls::are_there() {
        return skipped("this kernel has no Landlock");
    }
    let helper = walls::helper(collector.pid());
    let _call = server.accept();
    fs::create_dir(place.path("other")).unwrap();
    place.configure(&[place.line(server.address(), REMOTE, "other/new")]);
    collector.signal(Signal::HUP);
    server.accept().send("O 7\nabc");
    place.wait_for("other/new", b"abc");
    walls::expect_end_together(walls::successor(collector.pid()), &[helper]);
    assert!(!collector.wait().success());
}
