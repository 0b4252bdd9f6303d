//! Many sources: short lines, several files, names of boxes, and lines that make no sense.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::common::collector::{Collector, Place, REMOTE, Signal, run};
use super::common::scripted::Scripted;
use super::common::wait::for_a_while;

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
    let mut call = first.accept_asking(0, 0);
    call.send("O 7\nabc");
    let dir = format!("copies/{}/var/log", first.address().ip());
    place.wait_for(&format!("{dir}/messages"), b"abc");
    assert!(place.path(&format!("{dir}/messages.pointer")).exists());
    let mode = fs::metadata(place.path(&dir)).unwrap().permissions().mode();
    assert_eq!(mode & 0o027, 0, "{mode:o}");

    // A directory that nobody has made, at HUP, behind walls or without.
    write_boxes(
        &place,
        &(short_line(&first, "") + &short_line(&second, "name=new")),
    );
    collector.signal(Signal::HUP);
    let mut call = second.accept_asking(0, 0);
    call.send("O 8\ndef");
    place.wait_for("copies/new/var/log/messages", b"def");
    place.wait_for_status("new", "OK\n");
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
