//! Configurations that cannot take the place of the one before: nothing of what is copied stops for them.

use std::fs;
use std::process::Command;

use super::common::FETCHLOGS;
use super::common::collector::{Collector, Place, REMOTE, Signal, run};
use super::common::scripted::{Call, Scripted};
use super::common::skipped::skipped;
use super::common::wait::until;
use super::common::walls;
use super::view;

const STAYS: &str = "the configuration stays as it was before";

/// A collector whose only source has got `abc`.
fn one_source(server: &Scripted) -> (Place, Collector, Call) {
    let place = Place::following(server.address());
    let collector = place.start(&[]);
    let mut call = server.accept();
    call.send("O 7\nabc");
    place.wait_for("log", b"abc");
    (place, collector, call)
}

/// The source still has its connection, and its process is the first one.
fn goes_on(place: &Place, call: &mut Call) {
    assert!(call.is_held());
    call.send("def");
    place.wait_for("log", b"abcdef");
}

fn short_line(server: &Scripted) -> String {
    let address = server.address();
    format!("{} {} {REMOTE}", address.ip(), address.port())
}

fn template(place: &Place, root: &str) -> String {
    format!("copies {}/%h/%f", place.path(root).display())
}

/// A line that is left out has no source in whose state anybody could see it.
#[test]
fn a_configuration_that_is_not_all_in_force_is_told_to_whoever_looks() {
    let server = Scripted::numbered(13);
    let place = Place::new();
    let good = place.line(server.address(), REMOTE, "log");
    let bad = "127.0.0.9 router 5".to_owned();
    place.configure(&[good.clone(), bad.clone()]);
    let collector = place.start(&[]);
    let mut call = server.accept();
    call.send("O 7\nabc");
    place.wait_for("log", b"abc");
    let expect = |is_faulty: bool| {
        let number = u8::from(is_faulty);
        until("the table", || {
            let table = String::from_utf8(place.read("snmp/.fetch_logs.table")).unwrap();
            table.ends_with(&format!("\t{number}\t0\n"))
        });
        let metrics = view::get(&place, "/metrics");
        assert!(metrics.contains(&format!("\nfetchlogs_configuration_faulty {number}\n")));
        let dir = place.path("");
        let (status, text, _) = run(["status", "snmp"], &dir);
        let words =
            "the configuration has faults: not all of it is in force; fetch_logs -t tells them\n";
        let said = (status, text.contains(words));
        assert_eq!(said, (number.into(), is_faulty), "{text}");
        let (_, text, _) = run(["status", "-j", "snmp"], &dir);
        let members = format!(",\"faulty\":{is_faulty},\"hooks_left\":0}}");
        assert!(text.contains(&members), "{text}");
    };
    expect(true);
    for (lines, is_faulty) in [
        (vec![good.clone()], false),
        (vec![good.clone(), bad], true),
        (vec![good], false),
    ] {
        place.configure(&lines);
        collector.signal(Signal::HUP);
        expect(is_faulty);
    }
    goes_on(&place, &mut call);
}

/// The directory of all copies is new: the one below which this process may make directories is another.
#[test]
fn another_directory_for_all_copies_is_made_at_hup() {
    let server = Scripted::numbered(7);
    let place = Place::new();
    place.configure(&[template(&place, "old"), short_line(&server)]);
    let collector = place.start(&[]);
    let mut call = server.accept();
    call.send("O 7\nabc");
    place.wait_for("old/127.0.0.7/messages", b"abc");
    place.configure(&[template(&place, "deep/new"), short_line(&server)]);
    collector.signal(Signal::HUP);
    server.accept_asking(0, 0).send("O 7\nabcdef");
    place.wait_for("deep/new/127.0.0.7/messages", b"abcdef");
    assert!(collector.err.with("cannot make").is_empty());
    assert!(collector.stop().success());
}

#[test]
fn directories_that_nobody_can_make_change_nothing() {
    let server = Scripted::numbered(8);
    let (place, collector, mut call) = one_source(&server);
    let line = place.line(server.address(), REMOTE, "log");
    let other = "127.0.0.9 19 /other".to_owned();
    let copies = template(&place, "conf");
    place.configure(&[line.clone(), copies.clone(), other.clone()]);
    collector.signal(Signal::HUP);
    collector.err.wait_for(STAYS);
    let told = collector.err.wait_for("/conf/127.0.0.9: ");
    assert!(told.contains("cannot make the directory "), "{told}");
    goes_on(&place, &mut call);
    drop((collector, call));

    // With such a source from the start others still come and go.
    let collector = place.start(&[]);
    let mut call = server.accept();
    call.send("O 7\n");
    place.configure(&[line, copies, other, "127.0.0.9 19 /more".to_owned()]);
    collector.signal(Signal::HUP);
    collector
        .err
        .wait_for("1 source added, 0 removed, 2 unchanged");
    assert!(call.is_held());
}

#[test]
fn a_copy_of_another_collector_changes_nothing() {
    let [first, second] = [10, 11].map(Scripted::numbered);
    let (place, one, mut first_call) = one_source(&first);
    let line = place.line(second.address(), REMOTE, "own");
    let configure = |lines: &[&str]| fs::write(place.path("two"), lines.join("\n")).unwrap();
    configure(&[&line]);
    let mut command = Command::new(FETCHLOGS);
    command.args(["fetch_logs", "-r", "0.05"]);
    command.args([place.path("snmp"), place.path("two")]);
    let two = Collector::spawn(&mut command);
    let mut call = second.accept();
    call.send("O 7\nabc");
    place.wait_for("own", b"abc");
    place.wait_for_status("127.0.0.10", "OK\n");

    // In a directory that this process does not reach, and beside a copy of its own.
    fs::create_dir(place.path("dir")).unwrap();
    let taken = place.line(first.address(), REMOTE, "log");
    let new = place.line(first.address(), "/other", "dir/new");
    let rival = format!(
        "two:2: another collector, process {}, has the copy ",
        one.pid()
    );
    for (lines, times) in [(vec![&*line, &*taken], 1), (vec![&line, &taken, &new], 2)] {
        configure(&lines);
        two.signal(Signal::HUP);
        two.err.wait_for_nth(&rival, times);
        two.err.wait_for_nth(STAYS, times);
    }
    assert!(call.is_held());
    call.send("def");
    place.wait_for("own", b"abcdef");
    goes_on(&place, &mut first_call);

    // What is left over is the other one's, in whatever order.
    one.stop();
    two.signal(Signal::HUP);
    let asked = [(); 2].map(|()| first.accept().asked());
    assert!(asked.contains(&format!("{REMOTE} 7 6")), "{asked:?}");
}

#[test]
fn what_a_successor_could_not_begin_with_changes_nothing() {
    let server = Scripted::numbered(12);
    let (place, collector, mut call) = one_source(&server);
    if !walls::are_there() {
        return skipped("this kernel has no Landlock");
    }
    let (snmp, away) = (place.path("snmp"), place.path("away"));
    fs::rename(&snmp, &away).unwrap();
    fs::write(&snmp, "").unwrap();
    fs::create_dir(place.path("other")).unwrap();
    let line = place.line(server.address(), REMOTE, "log");
    place.configure(&[line, place.line(server.address(), "/other", "other/new")]);
    collector.signal(Signal::HUP);
    collector.err.wait_for(STAYS);
    collector
        .err
        .wait_for("no new process could take over: fetch_logs: cannot write status files to ");
    goes_on(&place, &mut call);
    fs::remove_file(&snmp).unwrap();
    fs::rename(&away, &snmp).unwrap();
    collector.signal(Signal::HUP);
    let calls = [(); 2].map(|()| server.accept());
    let asked = calls.each_ref().map(Call::asked);
    assert!(asked.contains(&format!("{REMOTE} 7 6")), "{asked:?}");
}

#[test]
fn a_configuration_that_was_emptied_changes_nothing() {
    let server = Scripted::numbered(13);
    let (place, collector, mut call) = one_source(&server);
    fs::write(place.path("conf"), "# nothing yet\n").unwrap();
    collector.signal(Signal::HUP);
    collector.err.wait_for("conf names no log any more");
    collector.err.wait_for(STAYS);
    goes_on(&place, &mut call);
}
