//! First contact, the bytes of an answer however they arrive, and the ways to name a server.

use std::fs;
use std::net::{TcpListener, ToSocketAddrs};
use std::process::Command;
use std::thread;
use std::time::Duration;

use super::common::collector::{Collector, Place, REMOTE, Signal, run};
use super::common::process::{send, try_send};
use super::common::scripted::{Scripted, Step};
use super::common::wait::{eventually, for_a_while};
use super::common::{FETCHLOGS, skipped};
use super::is_event;

#[test]
fn first_contact_asks_for_everything_and_leaves_two_files() {
    let server = Scripted::new();
    let place = Place::following(server.address());
    let collector = place.start(&[]);
    let mut call = server.accept_asking(0, 0);
    place.wait_for_status("127.0.0.1", "ERR\n");
    call.send("O 4711\nfirst\nsecond\n");
    place.wait_for_status("127.0.0.1", "OK\n");
    place.wait_for("log", b"first\nsecond\n");
    assert_eq!(place.pointer("log.ptr"), "4711");
    let names: Vec<String> = place.names().into_iter().collect();
    assert_eq!(names, ["conf", "log", "log.ptr", "snmp"]);
    let line = collector.out.wait_for("following");
    assert!(
        is_event(&line, "127.0.0.1", REMOTE, "following 4711 from 0"),
        "{line}"
    );
    assert!(call.is_held());
    assert!(collector.stop().success());
}

#[test]
fn bytes_come_as_they_were_sent() {
    let server = Scripted::new();
    let place = Place::following(server.address());
    let _collector = place.start(&[]);
    let all: Vec<u8> = (0..=255).filter(|byte| *byte != 7).collect();
    server.accept().play(&[
        Step::Trickle(b"O 12\n".to_vec()),
        Step::Trickle(all.clone()),
        Step::Send(all.clone()),
        Step::Close,
    ]);
    let expected = [all.clone(), all].concat();
    place.wait_for("log", &expected);
    server.accept_asking(12, expected.len() as u64);
}

/// One source for each place where the answer can be cut in two, keep-alives and the answer line included.
#[test]
fn an_answer_may_be_cut_anywhere() {
    const ANSWER: &[u8] = b"O 12\r\n\x07one\x07\ntwo\n\x07";
    let server = Scripted::new();
    let address = server.address();
    let name = |cut: usize| format!("log{cut}");
    let place = Place::with(|place| {
        let line = |cut| place.line(address, &format!("/{cut}"), &name(cut));
        (0..=ANSWER.len()).map(line).collect()
    });
    server.serve(|_, call| {
        let (path, _, _) = call.parts();
        let (head, tail) = ANSWER.split_at(path[1..].parse().unwrap());
        call.play(&[
            Step::Send(head.to_vec()),
            Step::Pause(50),
            Step::Send(tail.to_vec()),
            Step::Silence,
        ]);
    });
    let collector = place.start(&[]);
    for cut in 0..=ANSWER.len() {
        place.wait_for(&name(cut), b"one\ntwo\n");
    }
    place.wait_for_status("127.0.0.1", "OK\n");
    collector
        .out
        .wait_for_nth("following 12 from 0", ANSWER.len() + 1);
}

#[test]
fn keep_alives_are_neither_data_nor_counted() {
    let server = Scripted::new();
    let place = Place::following(server.address());
    let _collector = place.start(&[]);
    let mut call = server.accept();
    call.send(b"O 5\n\x07");
    call.send(b"\x07a\x07\x07b\x07");
    place.wait_for("log", b"ab");
    call.send(b"\x07");
    call.send(b"c\x07");
    place.wait_for("log", b"abc");
    call.close();
    server.accept_asking(5, 3);
}

#[test]
fn keep_alives_alone_keep_a_connection() {
    let server = Scripted::new();
    let place = Place::following(server.address());
    let collector = place.start(&["-i", "0.8"]);
    // Without them no connection would last so long. One that has them in time may take several tries.
    let mut call = eventually("a connection that is held by keep-alives", || {
        let mut call = server.accept();
        assert_eq!(call.parts().2, 0);
        call.send(b"O 5\n");
        let is_kept = (0..6).all(|_| {
            thread::sleep(Duration::from_millis(200));
            call.try_send(b"\x07")
        });
        (is_kept && call.is_held()).then_some(call)
    });
    call.wait_until_left();
    collector.out.wait_for("nothing was heard for too long");
    place.wait_for_status("127.0.0.1", "ERR\n");
    assert_eq!(place.read("log"), b"");
    server.serve(|_, mut call| {
        assert_eq!(call.asked(), format!("{REMOTE} 5 0"));
        call.try_send(b"O 5\n");
        call.keep_alive_until_left();
    });
    place.wait_for_status("127.0.0.1", "OK\n");
}

#[test]
fn an_address_may_be_ipv6() {
    let Ok(listener) = TcpListener::bind("[::1]:0") else {
        skipped("this machine has no IPv6");
        return;
    };
    let server = Scripted::from(listener);
    let place = Place::following(server.address());
    let collector = place.start(&[]);
    server.accept_asking(0, 0).send("O 5\nsix");
    place.wait_for("log", b"six");
    place.wait_for_status("::1", "OK\n");
    let line = collector.out.wait_for("following");
    assert!(
        is_event(&line, "::1", REMOTE, "following 5 from 0"),
        "{line}"
    );
}

#[test]
fn an_address_may_be_a_name() {
    let found = ("localhost", 0).to_socket_addrs().unwrap().next().unwrap();
    let server = Scripted::on(found.ip());
    let port = server.address().port();
    let place = Place::with(|place| {
        let line = place.line(server.address(), REMOTE, "log");
        let (_, rest) = line.split_once(' ').unwrap();
        vec![format!("LocalHost {rest}")]
    });
    let collector = place.start(&[]);
    server.accept_asking(0, 0).send("O 5\nnamed");
    place.wait_for("log", b"named");
    place.wait_for_status(&found.ip().to_string(), "OK\n");
    let line = collector.out.wait_for("following");
    assert!(
        is_event(&line, "localhost", REMOTE, "following 5 from 0"),
        "{port}: {line}"
    );
}

#[test]
fn a_name_without_address_is_told_once_and_disturbs_nobody() {
    let server = Scripted::new();
    // No name of a host has a part of more than 63 characters, so this one is unknown without asking the network.
    let nowhere = "x".repeat(64);
    let place = Place::with(|place| {
        let good = place.line(server.address(), REMOTE, "log");
        let local = place.path("nowhere");
        let local = local.display();
        vec![format!("{nowhere} 19 {REMOTE} {local} {local}.ptr"), good]
    });
    let collector = place.start(&[]);
    server.accept_asking(0, 0).send("O 5\ngood");
    place.wait_for("log", b"good");
    place.wait_for_status("127.0.0.1", "OK\n");
    collector.out.wait_for("has no address");
    for_a_while(300, "told once", || {
        collector.out.with("has no address").len() == 1
    });
    place.wait_for_status(&nowhere, "ERR\n");
}

/// The configuration and the directory of status files may be relative, too, also when it is read again.
#[test]
fn relative_paths_start_where_the_collector_was_started() {
    let server = Scripted::new();
    let place = Place::new();
    let port = server.address().port();
    let line = |name: &str| format!("127.0.0.1 {port} /{name} {name} ./{name}.ptr");
    place.configure(&[line("one")]);
    let mut command = Command::new(FETCHLOGS);
    command
        .args(["fetch_logs", "snmp", "conf"])
        .current_dir(place.path("."));
    let collector = Collector::spawn(&mut command);
    let mut call = server.accept();
    call.send("O 1\none");
    place.wait_for("one", b"one");
    assert_eq!(place.pointer("one.ptr"), "1");
    place.wait_for_status("127.0.0.1", "OK\n");
    place.configure(&[line("one"), line("two")]);
    collector.signal(Signal::HUP);
    server.accept().send("O 2\ntwo");
    place.wait_for("two", b"two");
    assert!(call.is_held());
}

#[test]
fn in_the_background_relative_paths_mean_the_same() {
    let server = Scripted::new();
    let place = Place::new();
    let port = server.address().port();
    place.configure(&[format!("127.0.0.1 {port} {REMOTE} log ptr")]);
    let args = ["-b", "-P", "pid", "-r", "0.02", "snmp", "conf"];
    let background = Background::start(&args, &place);
    let mut call = server.accept_asking(0, 0);
    call.send("O 5\nfar away");
    place.wait_for("log", b"far away");
    place.wait_for_status("127.0.0.1", "OK\n");
    send(background.pid, Signal::TERM);
    call.wait_until_left();
    eventually("the pid file to go", || {
        (!place.path("pid").exists()).then_some(())
    });
}

#[test]
fn what_can_fail_fails_before_the_background() {
    let place = Place::following(Scripted::new().address());
    let run = |args: &[&str]| run(args, &place.path("."));
    fs::write(place.path("file"), "").unwrap();
    let (code, _, stderr) = run(&["-b", "file/snmp", "conf"]);
    assert!(code == 1 && stderr.contains("file/snmp"), "{code} {stderr}");
    let (code, _, stderr) = run(&["-b", "-P", "none/pid", "snmp", "conf"]);
    assert!(code == 1 && stderr.contains("none/pid"), "{code} {stderr}");
    fs::write(place.path("conf"), "127.0.0.1 19 /a b\n").unwrap();
    let (code, _, stderr) = run(&["-b", "snmp", "conf"]);
    assert!(code == 78 && stderr.contains("conf:1:"), "{code} {stderr}");
}

/// A collector in the background, which nobody waits for.
struct Background {
    pid: u32,
}

impl Background {
    /// Starts one that writes its process number into `pid`.
    fn start(args: &[&str], place: &Place) -> Background {
        let (code, stdout, stderr) = run(args, &place.path("."));
        assert_eq!((code, stdout.as_str(), stderr.as_str()), (0, "", ""));
        let pid = fs::read_to_string(place.path("pid")).unwrap();
        Background {
            pid: pid.trim().parse().unwrap(),
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = try_send(self.pid, Signal::KILL);
    }
}
