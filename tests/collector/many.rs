//! Many sources: short lines, several files, names of boxes, and lines that make no sense.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::common::FETCHLOGS;
use super::common::collector::{Collector, Place, REMOTE, Signal, run};
use super::common::scripted::Scripted;
use super::common::wait::{eventually, for_a_while};

/// A collector of whose files one has the template, and another the boxes.
fn start_by_template(place: &Place, boxes: &str) -> Collector {
    let conf = place.path("conf");
    fs::write(&conf, "").unwrap();
    fs::remove_file(&conf).unwrap();
    fs::create_dir(&conf).unwrap();
    let template = format!("copies {}/%h/%p\n", place.path("copies").display());
    fs::write(conf.join("10-copies.conf"), template).unwrap();
    write_boxes(place, boxes);
    place.start(&[])
}

fn write_boxes(place: &Place, boxes: &str) {
    fs::write(place.path("conf/20-boxes.conf"), boxes).unwrap();
}

fn short_line(server: &Scripted, rest: &str) -> String {
    let address = server.address();
    format!("{} {} {REMOTE} {rest}\n", address.ip(), address.port())
}

#[test]
fn short_lines_are_whole_and_their_directories_are_made() {
    let [first, second] = [101, 102].map(Scripted::numbered);
    let place = Place::new();
    let collector = start_by_template(&place, &short_line(&first, ""));
    let mut first_call = first.accept_asking(0, 0);
    first_call.send("O 7\nabc");
    let dir = format!("copies/{}/var/log", first.address().ip());
    place.wait_for(&format!("{dir}/messages"), b"abc");
    assert!(place.path(&format!("{dir}/messages.pointer")).exists());
    let mode = fs::metadata(place.path(&dir)).unwrap().permissions().mode();
    assert_eq!(mode & 0o027, 0, "{mode:o}");

    // A directory that nobody has made, at HUP, behind walls or without. The others go on.
    write_boxes(
        &place,
        &(short_line(&first, "") + &short_line(&second, "name=new")),
    );
    collector.signal(Signal::HUP);
    let mut call = second.accept_asking(0, 0);
    call.send("O 8\ndef");
    place.wait_for("copies/new/var/log/messages", b"def");
    place.wait_for_status("new", "OK\n");
    assert!(first_call.is_held());
    assert!(collector.stop().success());
}

#[test]
fn two_names_tell_two_boxes_behind_one_address_apart() {
    let server = Scripted::numbered(103);
    let nobody = Scripted::numbered(103);
    let place = Place::new();
    let boxes = short_line(&server, "name=east") + &short_line(&nobody, "name=west");
    drop(nobody);
    let collector = start_by_template(&place, &boxes);
    let mut call = server.accept_asking(0, 0);
    call.send("O 7\nabc");
    place.wait_for_status("east", "OK\n");
    place.wait_for_status("west", "ERR\n");
    place.wait_for_status("127.0.0.103", "ERR\n");
    collector.out.wait_for(&format!("east {REMOTE} following"));
    collector.out.wait_for(&format!("west {REMOTE} "));
    let snmp = place.path("snmp");
    let (status, out, _) = run(["status", "-a", snmp.to_str().unwrap()], &snmp);
    assert_eq!(status, 2, "{out}");
    assert!(out.contains("2 sources on 2 servers"), "{out}");
    let (_, out, _) = run(["status", "-a", snmp.to_str().unwrap(), "east"], &snmp);
    assert!(out.contains("east") && !out.contains("west"), "{out}");
    // A name that is gone takes its status along.
    write_boxes(&place, &short_line(&server, "name=east"));
    collector.signal(Signal::HUP);
    place.wait_for_status("127.0.0.103", "OK\n");
    assert!(call.is_held() && place.path("snmp/east").exists());
    assert!(!place.path("snmp/west").exists());
}

#[test]
fn a_line_that_makes_no_sense_stops_only_itself() {
    let server = Scripted::numbered(104);
    let place = Place::following(server.address());
    let good = place.line(server.address(), REMOTE, "log");
    place.configure(&[format!("{good} # a router"), "127.0.0.1 19 /old".to_owned()]);
    let collector = place.start(&[]);
    let mut call = server.accept_asking(0, 0);
    call.send("O 7\nabc");
    place.wait_for("log", b"abc");
    collector.err.wait_for("2:18: LOCAL_FILE is missing");
    collector
        .err
        .wait_for("a comment behind the fields is passed over");

    // The fault is still there, and another line is new.
    place.configure(&[good.clone(), "x".to_owned()]);
    collector.signal(Signal::HUP);
    collector.err.wait_for("conf:2:2: PORT is missing");
    collector
        .err
        .wait_for("0 sources added, 0 removed, 1 unchanged");
    place.configure(std::slice::from_ref(&good));
    collector.signal(Signal::HUP);
    // Now it is right, and what is not does not replace it.
    place.configure(&[]);
    fs::write(place.path("conf"), "y\n").unwrap();
    collector.signal(Signal::HUP);
    collector
        .err
        .wait_for("the configuration stays as it was before");
    for_a_while(200, "the source goes on", || call.is_held());
}

#[test]
fn two_collectors_share_the_directory_of_the_status_files() {
    let [first, second] = [105, 106].map(Scripted::numbered);
    let place = Place::new();
    let conf = |name: &str, lines: &[String]| {
        fs::write(place.path(name), lines.join("\n") + "\n").unwrap();
    };
    let start = |name: &str| {
        let mut command = Command::new(FETCHLOGS);
        command.args(["fetch_logs", "-r", "0.05"]);
        command.args([place.path("snmp"), place.path(name)]);
        Collector::spawn(command.current_dir(place.path(".")))
    };
    let line = |server: &Scripted, name: &str| place.line(server.address(), REMOTE, name);
    conf("one", &[line(&first, "a")]);
    conf("two", &[line(&second, "b")]);
    let one = start("one");
    let mut call = first.accept_asking(0, 0);
    call.send("O 7\nabc");
    place.wait_for_status("127.0.0.105", "OK\n");
    let two = start("two");
    let mut other_call = second.accept_asking(0, 0);
    other_call.send("O 7\nabc");
    place.wait_for_status("127.0.0.106", "OK\n");
    let snmp = place.path("snmp").display().to_string();
    let status = || run(["status", "-a", &snmp], &place.path("."));
    let both = eventually("the state of both", || {
        let (code, out, _) = status();
        (code == 0).then_some(out)
    });
    assert!(both.contains("2 sources on 2 servers"), "{both}");
    let (code, out, _) = run(["ack", &snmp, "127.0.0.106"], &place.path("."));
    assert!(code == 0 && out.contains("nothing is on record"), "{out}");

    // Whoever fetches the same is refused, and says who has it.
    let (code, _, stderr) = run([&snmp, "two"], &place.path("."));
    assert_eq!(code, 1);
    let told = format!(
        "another collector, process {}, writes status files",
        two.pid()
    );
    assert!(stderr.contains(&told), "{stderr}");

    // What the first has is left to it.
    let mut port = first.address();
    port.set_port(1);
    let third = place.line(port, REMOTE, "c");
    conf("two", &[line(&second, "b"), third]);
    two.signal(Signal::HUP);
    two.err
        .wait_for("the status file 127.0.0.105 is another collector's, and left to it");
    place.wait_for_status("127.0.0.105", "OK\n");

    // The first one takes all over, and what the second has left goes.
    conf("one", &[line(&first, "a"), line(&second, "b")]);
    conf("two", &[line(&second, "b")]);
    two.signal(Signal::HUP);
    two.err.wait_for("0 sources added, 1 removed");
    two.stop();
    one.stop();
    let _one = start("one");
    first.accept_asking(7, 3).send("O 7\n");
    eventually("one table", || {
        let table = place.path("snmp/.fetch_logs.2.table");
        (!table.exists()).then_some(())
    });
    drop((call, other_call));
}

/// A box that is no more configured takes its status along, over a restart too.
#[test]
fn the_status_of_a_box_that_is_gone_goes_at_the_next_start() {
    let [first, second] = [107, 108].map(Scripted::numbered);
    let place = Place::new();
    let line = |server: &Scripted, name: &str| place.line(server.address(), REMOTE, name);
    place.configure(&[line(&first, "a"), line(&second, "b")]);
    let collector = place.start(&[]);
    first.accept().send("O 7\nabc");
    place.wait_for_status("127.0.0.107", "OK\n");
    place.wait_for_status("127.0.0.108", "ERR\n");
    fs::write(place.path("snmp/10.9.9.9"), "OK\n").unwrap();
    collector.stop();
    place.configure(&[line(&first, "a")]);
    let _collector = place.start(&[]);
    eventually("the status of the box that is gone", || {
        (!place.path("snmp/127.0.0.108").exists()).then_some(())
    });
    assert!(place.path("snmp/127.0.0.107").exists());
    // Nobody knows whose that is.
    assert!(place.path("snmp/10.9.9.9").exists());
}
