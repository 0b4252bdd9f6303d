//! Lines whose REMOTE_FILE is a glob: what the box tells of is followed, and what it makes up is refused.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use fetchlogs::wire::frame::log::Log;
use fetchlogs::wire::frame::{ErrorCode, Frame};

use super::common::collector::{Collector, Place, Signal, run};
use super::common::scripted::{Call, Scripted};
use super::common::server::Server;
use super::common::wait::{eventually, for_a_while};

/// What a box answers that has these logs.
pub(super) fn listed(logs: &[&[u8]]) -> Vec<u8> {
    let mut answer = b"O 1 v2 at=0 size=0 m=0 b=00000000\n".to_vec();
    answer.extend(list(logs));
    answer
}

pub(super) fn list(logs: &[&[u8]]) -> Vec<u8> {
    let mut frames = Vec::new();
    Log::Begin.append_to(&mut frames);
    for log in logs {
        Log::Path(log).append_to(&mut frames);
    }
    frames.extend_from_slice(&Frame::Alive { size: 0 }.to_bytes());
    frames
}

/// Follows a stream of nothing.
pub(super) fn follow(mut call: Call) {
    call.send("O 7 v2 at=0 size=0 m=0 b=00000000\n");
    while call.try_send(Frame::Alive { size: 0 }.to_bytes()) {
        thread::sleep(Duration::from_millis(20));
    }
}

/// A box that tells of these logs, and serves what it is asked for.
pub(super) fn box_with(logs: Vec<Vec<u8>>) -> SocketAddr {
    Scripted::new().serve(move |_, mut call| {
        if call.request().contains("op=list") {
            let logs: Vec<&[u8]> = logs.iter().map(|log| &log[..]).collect();
            call.send(listed(&logs));
            call.wait_until_left();
        } else {
            follow(call);
        }
    })
}

pub(super) fn start(template: &str, server: SocketAddr, glob: &str) -> (Place, Collector) {
    let place = Place::with(|place| {
        let copies = place.path("copies").display().to_string();
        let (ip, port) = (server.ip(), server.port());
        vec![
            format!("copies {copies}/{template}"),
            format!("{ip} {port} {glob} name=box"),
        ]
    });
    let collector = place.start(&[]);
    (place, collector)
}

/// All files below a directory.
fn files(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_path_buf()];
    while let Some(at) = dirs.pop() {
        for entry in fs::read_dir(at).into_iter().flatten().flatten() {
            match entry.file_type().unwrap().is_dir() {
                true => dirs.push(entry.path()),
                false => {
                    let path = entry.path();
                    let path = path.strip_prefix(dir).unwrap().display().to_string();
                    found.push(path);
                }
            }
        }
    }
    found.sort();
    found
}

/// A column of each source in the table, by its log.
pub(super) fn column(place: &Place, name: &str) -> BTreeMap<String, String> {
    let text = String::from_utf8(place.read("snmp/.fetch_logs.table")).unwrap();
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    let header: Vec<&str> = lines.next().unwrap_or_default().split('\t').collect();
    let at = header.iter().position(|it| *it == name).unwrap_or(0);
    let cells = lines.map(|line| line.split('\t').collect::<Vec<_>>());
    cells
        .map(|cells| (cells[1].to_owned(), cells[at].to_owned()))
        .collect()
}

pub(super) fn wait_for_sources(place: &Place, count: usize) {
    eventually(&format!("{count} sources that are followed"), || {
        let states = column(place, "state");
        let is_all = states.len() == count && states.values().all(|it| it == "following");
        is_all.then_some(())
    });
}

#[test]
fn odd_names_are_refused_and_told_and_nothing_leaves_the_directory() {
    let long = [b"/v/".to_vec(), vec![b'a'; 201], b".log".to_vec()].concat();
    let odd: Vec<Vec<u8>> = [
        &b"/v/../../../etc/passwd"[..],
        b"/v/..",
        b"/v/.hidden.log",
        b"/v/sub/x.log",
        b"/etc/x.log",
        b"v/x.log",
        b"/v//x.log",
        b"/v/a\nb.log",
        b"/v/a\x1b[2J.log",
        b"/v/not-asked.txt",
        &long,
    ]
    .iter()
    .map(|name| name.to_vec())
    .collect();
    let mut logs = vec![b"/v/good.log".to_vec()];
    logs.extend(odd.iter().cloned());
    let (place, collector) = start("%h/%p", box_with(logs), "/v/*.log");
    collector
        .err
        .wait_for("/v/good.log is followed from now on");
    let said = collector.err.text();
    assert_eq!(said.matches("it is refused: ").count(), odd.len(), "{said}");
    assert!(!said.contains("once a minute"), "{said}");
    assert!(
        said.contains("tells of /v/a\\x0ab.log: it is refused"),
        "{said}"
    );
    let found = files(&place.path("copies"));
    assert!(
        found.iter().all(|name| name.starts_with("box/v/good.log")),
        "{found:?}"
    );
    assert_eq!(
        files(&place.path(""))
            .iter()
            .filter(|name| name.contains("passwd"))
            .count(),
        0
    );
}

#[test]
fn no_copy_is_taken_for_a_file_beside_another() {
    let names = [
        "a",
        "a.pointer",
        "a.pointer.given",
        "a.gaps",
        "a.kept",
        "a.20261130120000",
        "a.20261130120000.1",
        "a.rescued.20261130120000",
        "a.20261130120000.damaged",
        "a.healing",
        "a.inflating",
        "a.20261130120000.gz",
        "a.20261130120000.1.zst",
        "a.20261130120000.gz.part",
        "a.20261130120000.gz.7.part",
        "pointer",
        "a.gaps.log",
        "a.20261130120000.log",
        "a.gz",
    ];
    let logs = names.map(|name| format!("/v/{name}").into_bytes()).to_vec();
    let (place, collector) = start("%h/%f", box_with(logs), "/v/*");
    collector.err.wait_for("5 logs more followed from now on");
    let said = collector.err.text();
    assert_eq!(said.matches("it ends like the files").count(), 14, "{said}");
    let all = [
        "/v/a",
        "/v/a.20261130120000.log",
        "/v/a.gaps.log",
        "/v/a.gz",
        "/v/pointer",
    ];
    eventually("these and no others", || {
        let mut followed: Vec<String> = column(&place, "state").into_keys().collect();
        // That not all are there is told besides, in the name of the line.
        followed.retain(|log| log != "/v/*");
        (followed == all).then_some(())
    });
}

#[test]
fn of_two_names_for_one_file_the_second_is_refused() {
    let logs = vec![b"/v/a/m.log".to_vec(), b"/v/b/m.log".to_vec()];
    let (place, collector) = start("%h/%f", box_with(logs), "/v/*/m.log");
    collector.err.wait_for("/v/a/m.log is followed from now on");
    assert!(
        collector
            .err
            .text()
            .contains("tells of /v/b/m.log: it is refused: ")
    );
    assert!(collector.err.text().contains("is the file of another log"));
    eventually("the one that lacks", || {
        let states = column(&place, "state");
        (states.into_iter().collect::<Vec<_>>()
            == [
                ("/v/*/m.log".to_owned(), "error".to_owned()),
                ("/v/a/m.log".to_owned(), "following".to_owned()),
            ])
        .then_some(())
    });
}

#[test]
fn a_box_with_too_many_logs_is_told_and_256_are_followed() {
    let logs = (0..300)
        .map(|n| format!("/v/{n:03}.log").into_bytes())
        .collect();
    let (place, collector) = start("%h/%f", box_with(logs), "/v/*.log");
    let words = "the box has more than 256 logs: the others are not fetched";
    collector.err.wait_for(words);
    // It is seen for as long as it is so.
    eventually("256 logs and the line itself", || {
        let states = column(&place, "state");
        let following = states.values().filter(|it| *it == "following").count();
        (following == 256 && states["/v/*.log"] == "error").then_some(())
    });
    assert_eq!(column(&place, "why")["/v/*.log"], words);
    place.wait_for_status("box", "ERR\n");
}

#[test]
fn an_exact_line_goes_before_a_pattern() {
    let server = box_with(vec![b"/v/a.log".to_vec(), b"/v/b.log".to_vec()]);
    let place = Place::with(|place| {
        let copies = place.path("copies").display().to_string();
        let (ip, port) = (server.ip(), server.port());
        vec![
            format!("copies {copies}/%h/%f"),
            format!("{ip} {port} /v/*.log name=box"),
            place.line(server, "/v/a.log", "mine"),
        ]
    });
    let _collector = place.start(&[]);
    wait_for_sources(&place, 2);
    let locals = column(&place, "local_file");
    assert!(locals["/v/a.log"].ends_with("/mine"), "{locals:?}");
    assert!(
        locals["/v/b.log"].ends_with("/copies/box/b.log"),
        "{locals:?}"
    );
}

#[test]
fn a_server_that_cannot_tell_is_told_of_in_one_line() {
    let mut refusal = b"E 0 v2\n".to_vec();
    let frame = Frame::Error {
        code: ErrorCode::BadRequest,
        text: b"a request with a malformed field of version 2",
    };
    refusal.extend_from_slice(&frame.to_bytes());
    for (answer, words, is_rare) in [
        (refusal, "the server cannot tell which logs there are", true),
        (
            b"O 7\n".to_vec(),
            "the server cannot tell which logs there are",
            true,
        ),
        (Vec::new(), "or is one of fetchlogs 1.1", false),
    ] {
        let server = Scripted::new();
        let (place, collector) = start("%h/%f", server.address(), "/v/*.log");
        let mut call = server.accept();
        assert_eq!(call.request(), "/v/*.log 0 0 v2 op=list");
        call.send(&answer);
        drop(call);
        collector.err.wait_for(words);
        place.wait_for_status("box", "ERR\n");
        let snmp = place.path("snmp");
        let status = || run(["status", snmp.to_str().unwrap()], &snmp).1;
        eventually("a line of its own", || {
            status().contains("box /v/*.log error").then_some(())
        });
        match is_rare {
            true => server.expect_no_call(1_500),
            false => drop(server.accept()),
        }
        assert_eq!(collector.err.text().matches(words).count(), 1);
        // At once if the operator says that it is another one now.
        collector.signal(Signal::HUP);
        let mut call = server.accept();
        call.send(listed(&[b"/v/a.log"]));
        assert_eq!(server.accept().asked(), "/v/a.log 0 0");
    }
}

#[test]
fn a_box_that_makes_up_names_again_and_again_fills_no_disk_and_no_log() {
    let server = Scripted::new().serve(move |_, mut call| {
        if !call.request().contains("op=list") {
            return follow(call);
        }
        call.send(listed(&[]));
        for round in 0..40 {
            let names = |end: &'static str| {
                let name = move |n| format!("/v/{round}-{n}{end}").into_bytes();
                (0..100).map(name).collect::<Vec<_>>()
            };
            let all = [names(".log"), names(".gaps.20261130120000.log/x")].concat();
            let all: Vec<&[u8]> = all.iter().map(|name| &name[..]).collect();
            if !call.try_send(list(&all)) {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
        call.wait_until_left();
    });
    let (place, collector) = start("%h/%f", server, "/v/*.log");
    collector
        .err
        .wait_for("what follows of that kind is told once a minute");
    thread::sleep(Duration::from_secs(6));
    let copies = files(&place.path("copies"));
    let copies = copies.iter().filter(|name| name.ends_with(".log")).count();
    assert!((200..=280).contains(&copies), "{copies}");
    let said = collector.err.text();
    assert!(said.matches("it is refused").count() <= 17, "{said}");
}

#[test]
fn what_is_gone_on_the_box_is_followed_no_more_and_its_copy_stays() {
    let (tell, told) = std::sync::mpsc::channel::<()>();
    let told = std::sync::Arc::new(std::sync::Mutex::new(told));
    let server = Scripted::new().serve(move |_, mut call| {
        if !call.request().contains("op=list") {
            return follow(call);
        }
        call.send(listed(&[b"/v/a.log", b"/v/b.log"]));
        let _ = told.lock().unwrap().recv();
        call.send(list(&[b"/v/b.log", b"/v/c.log"]));
        call.wait_until_left();
    });
    let (place, collector) = start("%h/%f", server, "/v/*.log");
    wait_for_sources(&place, 2);
    let since = column(&place, "since")["/v/b.log"].clone();
    tell.send(()).unwrap();
    collector.err.wait_for("/v/c.log is followed from now on");
    collector
        .err
        .wait_for("/v/a.log is gone on the box, and not followed any more");
    eventually("a.log to be none", || {
        let keys: Vec<String> = column(&place, "state").into_keys().collect();
        (keys == ["/v/b.log", "/v/c.log"]).then_some(())
    });
    assert_eq!(column(&place, "since")["/v/b.log"], since);
    assert_eq!(column(&place, "connections")["/v/b.log"], "1");
    assert!(place.path("copies/box/a.log").exists());
    place.wait_for_status("box", "OK\n");
}

#[test]
fn who_starts_anew_knows_the_logs_before_the_box_is_there() {
    let server = box_with(vec![b"/v/a.log".to_vec()]);
    let (place, collector) = start("%h/%f", server, "/v/*.log");
    wait_for_sources(&place, 1);
    assert!(collector.stop().success());
    let nobody = {
        let address = Scripted::new().address();
        let conf = String::from_utf8(place.read("conf")).unwrap();
        let before = format!(" {} /v", server.port());
        conf.replace(&before, &format!(" {} /v", address.port()))
    };
    fs::write(place.path("conf"), nobody).unwrap();
    let collector = place.start(&[]);
    eventually("the log of before", || {
        column(&place, "state")
            .contains_key("/v/a.log")
            .then_some(())
    });
    let snmp = place.path("snmp");
    let conf = place.path("conf");
    let (_, out, _) = run(
        [
            "verify",
            "-w",
            "1",
            snmp.to_str().unwrap(),
            conf.to_str().unwrap(),
        ],
        &snmp,
    );
    assert!(out.contains("/v/a.log"), "{out}");
    assert!(collector.stop().success());
}

#[test]
fn retention_hears_of_all_copies_that_are_there() {
    let place = Place::with(|place| {
        let copies = place.path("copies").display().to_string();
        vec![
            format!("copies {copies}/%h/%p"),
            "10.0.0.1 /var/log/*.log name=box".to_owned(),
        ]
    });
    let dir = place.path("copies/box/var/log");
    fs::create_dir_all(&dir).unwrap();
    for name in [
        "a.log",
        "a.log.20261122132956",
        "b.txt",
        "b.txt.20261122132956",
    ] {
        fs::write(dir.join(name), "x").unwrap();
        fs::write(dir.join(format!("{name}.pointer")), "7 v1\n").unwrap();
    }
    let conf = place.path("conf");
    let (status, out, err) = run(["list", conf.to_str().unwrap()], &place.path(""));
    assert_eq!((status, &*err), (0, ""));
    let expected = format!("settled\t1\t{}/a.log.20261122132956\n", dir.display());
    assert_eq!(out, expected);
}

#[test]
fn a_thousand_sources_in_ten_lines_and_a_change_costs_the_others_nothing() {
    let place = Place::new();
    let mut settings = String::from("$alive_interval = 10; $grace = 1;\n");
    for dir in 0..10 {
        let dir = place.path(&format!("logs/{dir}"));
        fs::create_dir_all(&dir).unwrap();
        settings += &format!("$files{{'{}/*.log'}} = '%p.*[0-9]';\n", dir.display());
    }
    let exact = place.path("logs/exact");
    settings += &format!("$files{{'{}/*'}} = '%p.*[0-9]';\n", exact.display());
    fs::create_dir_all(&exact).unwrap();
    for n in 0..8 {
        fs::write(exact.join(format!("m{n}")), "exact\n").unwrap();
    }
    for n in 0..995 {
        let path = place.path(&format!("logs/{}/{}.log", n % 10, n / 10));
        fs::write(path, format!("{n}\n")).unwrap();
        // Rotated files are no logs.
        if n % 100 == 0 {
            let path = place.path(&format!("logs/{}/{}.log.1", n % 10, n / 10));
            fs::write(path, "before\n").unwrap();
        }
    }
    let server = Server::start(&settings);
    let conf = |exact: std::ops::Range<usize>| {
        let (ip, port) = (server.address().ip(), server.address().port());
        let mut lines = vec![format!("copies {}/%h/%p", place.path("copies").display())];
        for dir in 0..10 {
            let glob = place.path(&format!("logs/{dir}/*.log"));
            lines.push(format!("{ip} {port} {} name=box", glob.display()));
        }
        for n in exact {
            let path = place.path(&format!("logs/exact/m{n}"));
            lines.push(format!("{ip} {port} {} name=box", path.display()));
        }
        place.configure(&lines);
    };
    conf(0..5);
    let collector = place.start(&[]);
    let start = Instant::now();
    wait_for_sources(&place, 1000);
    place.wait_for_status("box", "OK\n");
    println!("1000 sources are followed after {:?}", start.elapsed());

    // A new log on the box. Other tests have this processor too: the quickest of three counts.
    let took = [3, 4, 5].map(|dir| {
        let new = place.path(&format!("logs/{dir}/new.log"));
        let start = Instant::now();
        fs::write(&new, "new\n").unwrap();
        let copy = format!("copies/box{}", new.display());
        place.wait_for(&copy, b"new\n");
        start.elapsed()
    });
    println!("new logs are there after {took:?}");
    assert!(
        took.iter().min() < Some(&Duration::from_secs(2)),
        "{took:?}"
    );
    wait_for_sources(&place, 1003);

    let before = column(&place, "since");
    conf(2..8);
    collector.signal(Signal::HUP);
    collector
        .err
        .wait_for("3 sources added, 2 removed, 1001 unchanged");
    wait_for_sources(&place, 1004);
    let (since, connections) = (column(&place, "since"), column(&place, "connections"));
    let kept = before.iter().filter(|(log, _)| since.contains_key(*log));
    assert_eq!(kept.clone().count(), 1001);
    for (log, was) in kept {
        assert_eq!((&since[log], &*connections[log]), (was, "1"), "{log}");
    }
    for_a_while(300, "all is well", || place.read("snmp/box") == b"OK\n");
    assert!(collector.stop().success());
}
