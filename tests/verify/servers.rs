//! Servers that refuse, are down, or are none.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::common::process::Signal;
use super::common::wait::until;
use super::place::{Place, Running, identical, log};

/// Somebody who answers every connection with these bytes once a line has come, and then waits for its end.
fn somebody(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            thread::spawn(move || {
                let mut buf = [0; 2_000];
                let _ = stream.read(&mut buf);
                let _ = stream.write_all(answer);
                while stream.read(&mut buf).is_ok_and(|len| len > 0) {}
            });
        }
    });
    address
}

fn said_of_somebody(answer: &'static [u8]) -> String {
    let mut place = Place::new(&[]);
    place.ask(somebody(answer));
    place.copied("m", b"abc", b"abc");
    // Only who says nothing is not waited for.
    let patience_s = if answer.is_empty() { "0.5" } else { "60" };
    let said = place.verify_with(&["-w", patience_s]);
    assert_eq!(said.status, 1);
    said.of("m").to_owned()
}

#[test]
fn a_server_that_is_down_is_unreachable() {
    let mut place = Place::new(&["m"]);
    place.copied("m", b"abc", b"abc");
    place.rotated("m", &log(9), &log(9));
    place.stop_server();
    let said = place.verify();
    for line in &said.lines {
        assert!(line.contains(": UNREACHABLE cannot connect: "), "{line}");
    }
    assert_eq!((said.lines.len(), said.status), (2, 1));
}

#[test]
fn a_path_that_is_not_served_is_refused_with_the_reason() {
    let mut place = Place::new(&["other"]);
    place.copied("m", b"abc", b"abc");
    let said = place.verify();
    let remote = place.remote("m");
    assert_eq!(
        said.of("m"),
        format!(
            "REFUSED 127.0.0.1 may not read {}: not in %files",
            remote.display()
        )
    );
    assert_eq!(said.status, 1);
}

#[test]
fn an_address_that_is_not_allowed_is_refused_without_a_word() {
    let mut place = Place::allowing("10.255.255.1", &["m"]);
    place.copied("m", b"abc", b"abc");
    let said = place.verify();
    assert!(
        said.of("m")
            .starts_with("REFUSED the server closed without an answer")
    );
    assert_eq!(said.status, 1);
}

#[test]
fn a_name_without_an_address_is_unreachable() {
    let mut place = Place::new(&["m"]);
    place.copied("m", b"abc", b"abc");
    let config = std::fs::read_to_string(place.config()).unwrap();
    let ip = place.address().ip().to_string();
    let config = config.replacen(&ip, "no-such-host.invalid", 1);
    let path = place.path().join("other.conf");
    std::fs::write(&path, config).unwrap();
    let output = std::process::Command::new(super::common::FETCHLOGS)
        .args(["fetch_logs", "verify", "status"])
        .arg(path)
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(
        stdout.contains(": UNREACHABLE its name has no address\n"),
        "{stdout}"
    );
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_classic_server_cannot_verify() {
    let verdict = said_of_somebody(b"O 7\nlines and lines and lines");
    assert_eq!(verdict, "CLASSIC the server cannot verify");
}

#[test]
fn a_source_that_is_to_be_asked_in_classic_is_not_asked() {
    let mut place = Place::new(&["m"]);
    place.copied("other", b"abc", b"abc");
    place.source("m", "proto=classic");
    std::fs::write(place.local("m"), "abc").unwrap();
    let said = place.verify();
    assert_eq!(said.of("m"), "CLASSIC the server cannot verify");
    assert_eq!(said.status, 1);
}

#[test]
fn whoever_is_no_log_server_or_says_nothing_is_unreachable() {
    let verdict = said_of_somebody(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    assert_eq!(verdict, "UNREACHABLE what answered is not a log server");
    let verdict = said_of_somebody(b"");
    assert_eq!(verdict, "UNREACHABLE the server did not answer in time");
    let verdict = said_of_somebody(b"O 7 v2 at=0 size=3\n<html><body>");
    assert!(
        verdict.starts_with("UNREACHABLE connection given up: "),
        "{verdict}"
    );
}

#[test]
fn a_server_that_is_slow_with_many_logs_does_not_hold_up_another() {
    let mut place = Place::new(&["good"]);
    let good = place.address();
    let (slow, accepted) = silent_and_counting();
    place.ask(slow);
    for number in 0..10 {
        place.copied(&format!("slow{number}"), b"abc", b"abc");
    }
    place.ask(good);
    place.copied("good", b"abc", b"abc");
    let mut running = Running::start(&place, &["-w", "60"]);
    let line = running.line();
    assert!(
        line.ends_with(&format!("good: {}\n", identical(b"abc"))),
        "{line}"
    );
    until("all are asked that may be asked", || {
        accepted.load(Ordering::SeqCst) >= 4
    });
    assert_eq!(accepted.load(Ordering::SeqCst), 4);
}

/// A server that takes connections and says nothing, and how many it took.
fn silent_and_counting() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    let result = accepted.clone();
    thread::spawn(move || {
        let mut open = Vec::new();
        while let Ok((stream, _)) = listener.accept() {
            open.push(stream);
            accepted.fetch_add(1, Ordering::SeqCst);
        }
    });
    (address, result)
}

#[test]
fn an_interrupted_comparison_ends_at_once() {
    let mut place = Place::new(&[]);
    place.ask(somebody(b""));
    place.copied("m", b"abc", b"abc");
    place.copied("none", b"", b"");
    std::fs::remove_file(place.local("none")).unwrap();
    let running = Running::start(&place, &["-w", "600"]);
    let pid = running.pid();
    // It catches signals before it opens a socket.
    until("it asks", || {
        let fds = std::fs::read_dir(format!("/proc/{pid}/fd"))
            .unwrap()
            .flatten();
        let mut links = fds.filter_map(|fd| std::fs::read_link(fd.path()).ok());
        links.any(|link| link.display().to_string().starts_with("socket:"))
    });
    running.signal(Signal::INT);
    let (status, stderr) = running.wait();
    assert_eq!(status, Some(1));
    assert_eq!(stderr, "fetch_logs: interrupted\n");
}
