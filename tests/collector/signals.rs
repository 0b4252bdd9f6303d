//! HUP, USR1, TERM and INT.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;

use super::common::collector::{Place, REMOTE, Signal, run};
use super::common::process::send;
use super::common::scripted::{Call, Scripted};
use super::common::wait::eventually;

/// Accepts the next connection and answers it.
fn answer(server: &Scripted, text: &str) -> Call {
    let mut call = server.accept();
    call.send(format!("O 7\n{text}"));
    call
}

#[test]
fn hup_touches_only_what_changed() {
    let [kept, removed, changed, added] = [5, 6, 7, 8].map(Scripted::numbered);
    let place = Place::new();
    let line = |server: &Scripted, name: &str| place.line(server.address(), REMOTE, name);
    place.configure(&[
        line(&kept, "kept"),
        line(&removed, "removed"),
        line(&changed, "changed"),
    ]);
    let collector = place.start(&[]);
    let mut kept_call = answer(&kept, "kept");
    let mut removed_call = answer(&removed, "removed");
    let mut changed_call = answer(&changed, "changed");
    for (name, address) in [("kept", 5), ("removed", 6), ("changed", 7)] {
        place.wait_for(name, name.as_bytes());
        place.wait_for_status(&format!("127.0.0.{address}"), "OK\n");
    }

    let comment = "# The same source on another line is the same source.".to_owned();
    let other_remote = place.line(changed.address(), "/var/log/other", "changed");
    place.configure(&[
        comment,
        other_remote,
        line(&added, "added"),
        line(&kept, "kept"),
    ]);
    collector.signal(Signal::HUP);
    removed_call.wait_until_left();
    changed_call.wait_until_left();
    let mut call = changed.accept();
    assert_eq!(call.asked(), "/var/log/other 7 7");
    place.wait_for_status("127.0.0.7", "ERR\n");
    call.send("O 7\n");
    place.wait_for_status("127.0.0.7", "OK\n");
    let _added_call = answer(&added, "added");
    place.wait_for("added", b"added");
    place.wait_for_status("127.0.0.8", "OK\n");
    eventually("the removed server's status to go", || {
        (!place.path("snmp/127.0.0.6").exists()).then_some(())
    });
    assert_eq!(place.read("removed"), b"removed");
    kept_call.send(" and on");
    place.wait_for("kept", b"kept and on");
    kept.expect_no_call(50);
    removed.expect_no_call(1);
    assert_eq!(place.read("snmp/127.0.0.5"), b"OK\n");

    // What was removed may come back and goes on where it was.
    place.configure(&[line(&removed, "removed")]);
    collector.signal(Signal::HUP);
    removed.accept_asking(7, 7);
    kept_call.wait_until_left();
}

#[test]
fn a_source_can_change_its_server_and_keep_its_files() {
    let [old, new] = [9, 10].map(Scripted::numbered);
    let place = Place::following(old.address());
    let collector = place.start(&[]);
    let mut call = answer(&old, "abc");
    place.wait_for("log", b"abc");
    place.configure(&[place.line(new.address(), REMOTE, "log")]);
    collector.signal(Signal::HUP);
    call.wait_until_left();
    let mut call = new.accept_asking(7, 3);
    call.send("O 7\ndef");
    place.wait_for("log", b"abcdef");
    place.wait_for_status("127.0.0.10", "OK\n");
    assert!(!place.path("snmp/127.0.0.9").exists());
}

/// Two sources may trade their files in one go.
#[test]
fn sources_can_trade_their_files() {
    let [one, two] = [11, 12].map(Scripted::numbered);
    let place = Place::with(|place| {
        vec![
            place.line(one.address(), REMOTE, "a"),
            place.line(two.address(), REMOTE, "b"),
        ]
    });
    let collector = place.start(&[]);
    let mut call_one = answer(&one, "from one");
    let mut call_two = answer(&two, "two");
    place.wait_for("a", b"from one");
    place.wait_for("b", b"two");
    place.configure(&[
        place.line(one.address(), REMOTE, "b"),
        place.line(two.address(), REMOTE, "a"),
    ]);
    collector.signal(Signal::HUP);
    call_one.wait_until_left();
    call_two.wait_until_left();
    one.accept_asking(7, 3);
    two.accept_asking(7, 8);
}

#[test]
fn a_faulty_configuration_changes_nothing() {
    let server = Scripted::new();
    let place = Place::following(server.address());
    let collector = place.start(&[]);
    let mut call = answer(&server, "abc");
    place.wait_for("log", b"abc");
    let good = fs::read(place.path("conf")).unwrap();
    place.configure(&[
        "# a comment".to_owned(),
        "127.0.0.1 70000 /var/log/messages a b".to_owned(),
        "127.0.0.1 19 relative a".to_owned(),
    ]);
    collector.signal(Signal::HUP);
    collector.err.wait_for("the configuration stays as it was");
    let conf = place.path("conf");
    for place_in_file in ["2:11", "3:14", "3:24"] {
        let prefix = format!("fetch_logs: {}:{place_in_file}: ", conf.display());
        let told = collector.err.wait_for(&prefix);
        assert!(told.starts_with(&prefix), "{told}");
    }
    assert_eq!(collector.err.all().len(), 4);
    fs::remove_file(&conf).unwrap();
    collector.signal(Signal::HUP);
    let told = collector.err.wait_for("cannot read");
    assert!(told.contains(conf.to_str().unwrap()), "{told}");
    collector
        .err
        .wait_for_nth("the configuration stays as it was", 2);
    call.send("def");
    place.wait_for("log", b"abcdef");
    fs::write(&conf, good).unwrap();
    collector.signal(Signal::HUP);
    call.send("ghi");
    place.wait_for("log", b"abcdefghi");
    server.expect_no_call(50);
    assert_eq!(place.read("snmp/127.0.0.1"), b"OK\n");
}

#[test]
fn a_configuration_without_sources_is_no_fault() {
    let server = Scripted::new();
    let place = Place::new();
    place.configure(&["# nobody".to_owned()]);
    let collector = place.start(&[]);
    eventually("the start", || {
        place.path("snmp/.fetch_logs.sock").exists().then_some(())
    });
    collector.signal(Signal::HUP);
    let told = "0 sources added, 0 removed, 0 unchanged";
    collector.err.wait_for(told);
    place.configure(&[place.line(server.address(), REMOTE, "log")]);
    collector.signal(Signal::HUP);
    server.accept_asking(0, 0);
}

#[test]
fn usr1_reopens_the_files_and_tells_the_states() {
    let [good, bad] = [13, 14].map(Scripted::numbered);
    let place = Place::with(|place| {
        vec![
            place.line(good.address(), REMOTE, "log"),
            place.line(bad.address(), REMOTE, "dir"),
        ]
    });
    fs::create_dir(place.path("dir")).unwrap();
    let collector = place.start(&[]);
    let mut call = answer(&good, "abc");
    place.wait_for("log", b"abc");
    collector.out.wait_for("cannot open");
    for round in 1..=3 {
        collector.signal(Signal::USR1);
        collector.out.wait_for_nth("127.0.0.13", round + 1);
        let line = collector.out.wait_for_nth("127.0.0.14", round + 1);
        assert!(line.contains("cannot open"), "{line}");
    }
    let told = collector.out.wait_for_nth("127.0.0.13", 4);
    assert!(told.ends_with("following 7 from 3"), "{told}");
    call.send("def");
    place.wait_for("log", b"abcdef");
    good.expect_no_call(50);
    fs::remove_dir(place.path("dir")).unwrap();
    collector.signal(Signal::USR1);
    bad.accept_asking(0, 0);
}

#[test]
fn usr1_notices_files_that_were_replaced() {
    let server = Scripted::new();
    let place = Place::following(server.address());
    let collector = place.start(&[]);
    let mut call = answer(&server, "abcdef");
    place.wait_for("log", b"abcdef");
    // An operator restores an older copy together with its pointer.
    fs::write(place.path("older"), "abc").unwrap();
    fs::rename(place.path("older"), place.path("log")).unwrap();
    collector.signal(Signal::USR1);
    call.wait_until_left();
    let mut call = server.accept_asking(7, 3);
    call.send("O 7\ndefghi");
    place.wait_for("log", b"abcdefghi");
}

/// A file of the same size is not the same file: bytes must not go on into the one that has no name any more.
#[test]
fn usr1_notices_a_file_replaced_by_one_of_its_size() {
    let server = Scripted::new();
    let place = Place::following(server.address());
    let collector = place.start(&[]);
    let mut call = answer(&server, "abc");
    place.wait_for("log", b"abc");
    fs::write(place.path("twin"), "xyz").unwrap();
    fs::rename(place.path("twin"), place.path("log")).unwrap();
    collector.signal(Signal::USR1);
    collector.out.wait_for_nth("following", 2);
    call.send("def");
    place.wait_for("log", b"xyzdef");
}

#[test]
fn term_and_int_end_well() {
    for signal in [Signal::TERM, Signal::INT] {
        let server = Scripted::new();
        let place = Place::following(server.address());
        let pid_file = place.path("pid");
        let mut collector = place.start(&["-P", pid_file.to_str().unwrap()]);
        let _call = answer(&server, "abc");
        place.wait_for("log", b"abc");
        assert_eq!(
            place.read("pid"),
            format!("{}\n", collector.pid()).as_bytes()
        );
        collector.signal(signal);
        assert_eq!(collector.wait().code(), Some(0), "{signal:?}");
        assert!(!pid_file.exists());
    }
}

#[test]
fn a_storm_of_signals_is_weathered() {
    let server = Scripted::new();
    let place = Place::following(server.address());
    let mut collector = place.start(&[]);
    let mut call = answer(&server, "abc");
    place.wait_for("log", b"abc");
    for _ in 0..200 {
        for signal in [Signal::HUP, Signal::USR1, Signal::PIPE] {
            collector.signal(signal);
        }
    }
    assert!(collector.runs());
    call.send("def");
    place.wait_for("log", b"abcdef");
    server.expect_no_call(50);
    assert_eq!(collector.stop().code(), Some(0));
}

/// More lines than a pipe holds.
#[test]
fn nobody_who_stops_reading_stops_the_collector() {
    const SOURCES: usize = 100;
    let server = Scripted::new();
    let place = Place::with(|place| {
        let refused = "127.0.0.77:1".parse().unwrap();
        let line = |n| place.line(refused, &format!("{REMOTE}{n}"), &format!("log{n}"));
        let lines = (0..SOURCES).map(line);
        lines
            .chain([place.line(server.address(), REMOTE, "log")])
            .collect()
    });
    let mut command = place.command(&[]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut call = answer(&server, "abc");
    place.wait_for("log", b"abc");
    for round in 0..30 {
        send(child.id(), Signal::USR1);
        call.send("def");
        place.wait_for("log", ["abc", &"def".repeat(round + 1)].concat().as_bytes());
    }
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let (heard, notice) = mpsc::channel();
    thread::spawn(move || {
        for line in stdout.lines().map_while(Result::ok) {
            let _ = heard.send(line);
        }
    });
    eventually("the number of lines that were left out", || {
        send(child.id(), Signal::USR1);
        let words = "lines left out because nobody read them: ";
        notice.try_iter().find(|line| line.contains(words))
    });
    send(child.id(), Signal::TERM);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_faulty_start_tells_why_and_where() {
    let place = Place::new();
    let dir = place.path(".");
    let (code, _, stderr) = run(["snmp"], &dir);
    assert!(code == 2 && stderr.contains("usage:"), "{code} {stderr}");
    let (code, _, stderr) = run(["-r", "soon", "snmp", "conf"], &dir);
    assert!(code == 2 && stderr.contains("-r"), "{code} {stderr}");
    let (code, _, stderr) = run(["snmp", "none"], &dir);
    assert!(code == 78 && stderr.contains("none"), "{code} {stderr}");
    place.configure(&[
        "127.0.0.1 19 /a /b /b".into(),
        "127.0.0.1 19 /d /b /e".into(),
    ]);
    let conf = place.path("conf");
    let start = format!("{}:2:17: ", conf.display());
    for options in [vec!["-t"], vec![]] {
        let args = options.into_iter().chain(["snmp", "conf"]);
        let (code, stdout, stderr) = run(args, &place.path(""));
        assert_eq!((code, stdout.as_str()), (78, ""));
        assert!(stderr.contains(&start), "{stderr} is not at {start}");
    }
    place.configure(&["127.0.0.1 19 /a /b /c".into()]);
    let (code, stdout, stderr) = run(["-t", "snmp", "conf"], &dir);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(stdout.ends_with("\nok: 1 source on 1 server\n"), "{stdout}");
}

/// Two spellings of one file, of which only the directory of start tells that they are one.
#[test]
fn a_relative_and_a_full_path_of_one_file_are_a_fault() {
    let place = Place::with(|place| {
        let full = place.path("log");
        vec![
            format!("127.0.0.1 19 /a {} a.ptr", full.display()),
            "127.0.0.1 19 /b log b.ptr".into(),
        ]
    });
    let (code, _, stderr) = run(["-t", "snmp", "conf"], &place.path("."));
    assert!(code == 78 && stderr.contains("conf:2:"), "{code} {stderr}");
}
