//! What an operator sees: the table, the control socket, the port of `-l`, the metrics of `-m`, and the words of
//! `status` and `ack`.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::common::collector::{Place, REMOTE, Signal, run};
use super::common::scripted::{Call, Scripted};
use super::common::skipped::skipped;
use super::common::wait::{PATIENCE, eventually, until};
use super::common::walls;

pub const TABLE: &str = "snmp/.fetch_logs.table";
const SOCKET: &str = "snmp/.fetch_logs.sock";

/// A place with one source that is followed and one that nobody answers.
pub struct Two {
    pub place: Place,
    pub call: Call,
    pub server: Scripted,
}

impl Two {
    /// The first is on 127.0.0.1, the other on 127.0.0.2, where nobody listens.
    pub fn at(place: Place, options: &[&str]) -> (Two, super::common::collector::Collector) {
        let server = Scripted::new();
        let nobody = TcpListener::bind("127.0.0.2:0")
            .unwrap()
            .local_addr()
            .unwrap();
        place.configure(&[
            place.line(server.address(), REMOTE, "log"),
            place.line(nobody, "/var/log/<script>&\"", "none"),
        ]);
        let collector = place.start(options);
        let mut call = server.accept();
        call.send("O 7\nhello\n");
        place.wait_for("log", b"hello\n");
        place.wait_for_status("127.0.0.1", "OK\n");
        let two = Two {
            place,
            call,
            server,
        };
        (two, collector)
    }
}

pub fn connect(place: &Place) -> UnixStream {
    let stream = eventually("the control socket", || {
        UnixStream::connect(place.path(SOCKET)).ok()
    });
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// What is answered to a request, to the end of the connection.
fn answer(mut stream: impl Read + Write, request: &str) -> String {
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

pub fn get(place: &Place, path: &str) -> String {
    let text = answer(connect(place), &format!("GET {path} HTTP/1.0\r\n\r\n"));
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    body.to_owned()
}

#[test]
fn what_has_the_names_of_socket_and_table_changes_no_truth() {
    let (two, collector) = Two::at(Place::new(), &[]);
    let place = &two.place;
    until("the table to tell of both", || {
        fs::read_to_string(place.path(TABLE)).is_ok_and(|text| text.contains("cannot connect"))
    });
    fs::remove_file(place.path(SOCKET)).unwrap();
    fs::write(place.path(SOCKET), "precious").unwrap();
    let (status, text, errors) = mode(place, &["status", "snmp"]);
    assert_eq!((status, &*errors), (2, ""), "{text}");
    assert!(!text.contains("no collector runs"), "{text}");
    assert!(collector.stop().success());
    let (status, text, _) = mode(place, &["status", "snmp"]);
    assert_eq!(status, 3);
    assert!(text.contains("no collector runs: it stopped "), "{text}");
    assert_eq!(fs::read(place.path(SOCKET)).unwrap(), b"precious");
    // A FIFO waits for nobody.
    fs::remove_file(place.path(TABLE)).unwrap();
    let made = Command::new("mkfifo").arg(place.path(TABLE)).status();
    assert!(made.unwrap().success());
    let (status, _, errors) = mode(place, &["status", "snmp"]);
    assert_eq!(status, 3);
    assert!(
        errors.contains("cannot read the table in snmp: it is not a regular file"),
        "{errors}"
    );
}

/// Runs `fetch_logs MODE ARGS` there.
pub fn mode(place: &Place, words: &[&str]) -> (i32, String, String) {
    run(words, place.path(".").as_path())
}

#[test]
fn every_face_tells_the_same() {
    let (two, collector) = Two::at(Place::new(), &[]);
    let place = &two.place;
    let table = eventually("the table to tell of the error", || {
        let text = fs::read_to_string(place.path(TABLE)).ok()?;
        text.contains("cannot connect").then_some(text)
    });
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("box\tremote_file\tlocal_file\tstate\tsince\theld\tbehind\tlast_byte\tlast_contact\tnext_try\tlosses\tunverified\twhy\t"));
    let log = place.path("log");
    let first = format!("127.0.0.1\t{REMOTE}\t{}\tfollowing\t", log.display());
    assert!(lines[1].starts_with(&first), "{table}");
    assert_eq!(lines[1].split('\t').nth(5), Some("6"));
    assert!(
        lines[2].starts_with("127.0.0.2\t/var/log/<script>&\"\t") && lines[2].contains("\terror\t"),
        "{table}"
    );
    assert!(
        lines[3].starts_with("#collector\t") && lines[3].contains("\t-\t"),
        "{table}"
    );
    let found = fs::metadata(place.path(TABLE)).unwrap();
    assert_eq!(found.permissions().mode() & 0o777, 0o644);
    let found = fs::symlink_metadata(place.path(SOCKET)).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o777, 0o600);

    let json = get(place, "/status.json");
    assert!(
        json.contains("\"remote_file\":\"/var/log/\\u003cscript\\u003e\\u0026\\\"\""),
        "{json}"
    );
    assert!(json.contains("\"summary\":{\"servers\":2,\"sources\":2,\"following\":1,\"error\":1,"));
    let metrics = get(place, "/metrics");
    let held = format!(
        "fetchlogs_source_held_bytes{{box=\"127.0.0.1\",log=\"{REMOTE}\",copy=\"{}\"}} 6\n",
        log.display()
    );
    assert!(metrics.contains(&held), "{metrics}");
    assert!(metrics.contains("log=\"/var/log/<script>&\\\"\""));
    assert!(get(place, "/").starts_with("<!doctype html>"));

    assert!(collector.stop().success());
    let table = place.read(TABLE);
    let last = String::from_utf8(table).unwrap();
    let last = last.lines().last().unwrap();
    assert!(!last.contains("\t-\t"), "it says until when: {last}");
    assert!(!place.path(SOCKET).exists());
}

#[test]
fn wrong_requests_have_an_answer_and_hold_nobody_up() {
    let mut two = Two::new_running();
    let long = "x".repeat(10_000);
    let cases = [
        ("GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), "404"),
        (
            "DELETE /metrics HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
            "405",
        ),
        ("GET /ack HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), "405"),
        ("nonsense\r\n\r\n".to_owned(), "400"),
        (
            "POST /ack HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n".to_owned(),
            "413",
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: x\r\nX: {long}\r\n\r\n"),
            "431",
        ),
        (format!("GET /{long}"), "431"),
    ];
    for (request, status) in cases {
        let text = answer(connect(&two.0.place), &request);
        assert!(
            text.starts_with(&format!("HTTP/1.1 {status} ")),
            "{request:.40}: {text}"
        );
    }
    // Those who ask nothing, and one who never reads.
    let idle: Vec<UnixStream> = (0..15).map(|_| connect(&two.0.place)).collect();
    let mut deaf = connect(&two.0.place);
    deaf.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    until("there is no room for more", || {
        let mut text = String::new();
        let _ = connect(&two.0.place).read_to_string(&mut text);
        text.starts_with("HTTP/1.1 503 ")
    });
    two.0.call.send("more\n");
    two.0.place.wait_for("log", b"hello\nmore\n");
    // Each of them is told that it was too slow, and then there is room again.
    for mut stream in idle {
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert!(text.starts_with("HTTP/1.1 408 "), "{text}");
    }
    assert!(get(&two.0.place, "/metrics").contains("fetchlogs_build_info"));
}

#[test]
fn who_sends_without_end_is_answered_and_closed() {
    let two = Two::new_running();
    let mut stream = connect(&two.0.place);
    let begun = Instant::now();
    let block = [b'x'; 4096];
    // Until the other side has had enough; what it said comes through if it was read in time.
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let error = loop {
        if let Err(error) = stream.write_all(&block) {
            break error;
        }
        assert!(begun.elapsed() < PATIENCE);
    };
    assert!(matches!(
        error.kind(),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
    ));
    assert!(get(&two.0.place, "/metrics").contains("fetchlogs_build_info"));
}

#[test]
fn status_tells_a_person_and_a_script() {
    let (two, collector) = Two::at(Place::new(), &[]);
    let place = &two.place;
    until("the error is known", || {
        get(place, "/status.tsv").contains("cannot connect")
    });
    let (status, out, err) = mode(place, &["status", "snmp"]);
    assert_eq!((status, err.as_str()), (2, ""));
    let lines: Vec<&str> = out.lines().collect();
    assert!(
        lines[0].starts_with("127.0.0.2 /var/log/<script>&\" error for "),
        "{out}"
    );
    assert!(
        lines[0].contains(": cannot connect: Connection refused"),
        "{out}"
    );
    assert_eq!(
        lines[1],
        "2 sources on 2 servers: 1 followed, 1 in error; nothing behind"
    );
    let (status, out, _) = mode(place, &["status", "-a", "snmp"]);
    assert_eq!((status, out.lines().count()), (2, 3));
    let (status, out, _) = mode(place, &["status", "snmp", "127.0.0.1"]);
    assert_eq!(
        (status, out.as_str()),
        (0, "1 source on 1 server: 1 followed; nothing behind\n")
    );
    let (status, out, _) = mode(place, &["status", "-j", "snmp", "127.0.0.1"]);
    assert_eq!(status, 0);
    assert!(
        out.starts_with("{\"sources\":[\n{\"box\":\"127.0.0.1\",") && out.ends_with("}}\n"),
        "{out}"
    );
    // What starts a collector again asks only whether one runs.
    let silent = (0, String::new(), String::new());
    assert_eq!(mode(place, &["status", "-r", "snmp"]), silent);
    let (status, _, err) = mode(place, &["status", "snmp", "127.0.0.9"]);
    assert_eq!(status, 2);
    assert!(err.contains("there is no box 127.0.0.9"), "{err}");
    // Whoever may not use the socket reads the table, which is written once a second at most.
    until("the table to tell of the error", || {
        String::from_utf8_lossy(&place.read(TABLE)).contains("cannot connect")
    });
    fs::rename(place.path(SOCKET), place.path("elsewhere")).unwrap();
    let (status, out, _) = mode(place, &["status", "snmp"]);
    assert_eq!(status, 2);
    assert!(out.contains("cannot connect"), "{out}");
    fs::rename(place.path("elsewhere"), place.path(SOCKET)).unwrap();

    collector.kill();
    let (status, out, _) = mode(place, &["status", "snmp"]);
    assert_eq!(status, 3);
    assert!(
        out.ends_with(" ago\n") && out.contains("no collector runs: its last sign of life was "),
        "{out}"
    );
    let (status, _, err) = mode(place, &["status", "-r", "snmp"]);
    assert_eq!(status, 3);
    assert!(err.starts_with("no collector runs: its last "), "{err}");
    let (status, _, err) = mode(place, &["status", "."]);
    assert_eq!(status, 3);
    assert!(err.contains("no collector runs"), "{err}");
    for words in [&["status"][..], &["status", "-x", "snmp"], &["ack", "snmp"]] {
        assert_eq!(mode(place, words).0, 2, "{words:?}");
    }
}

#[test]
fn status_goes_on_in_a_pipe() {
    let two = Two::new_running();
    let mut command = Command::new(super::common::FETCHLOGS);
    command
        .args(["fetch_logs", "status", "-w"])
        .arg(two.0.place.path("snmp"))
        .stdout(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    for _ in 0..2 {
        let mut line = String::new();
        while !line.contains("2 sources on 2 servers: 1 followed") {
            line.clear();
            assert!(std::io::BufRead::read_line(&mut out, &mut line).unwrap() > 0);
            assert!(!line.contains('\u{1b}'));
        }
    }
    drop(out);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_loss_is_taken_note_of() {
    let server = Scripted::new();
    let place = Place::following(server.address());
    fs::write(
        place.path("log.gaps"),
        "20261122132956 /var/log/messages lost 7:3\n20261122132957 /var/log/messages lost 7:9\n",
    )
    .unwrap();
    let collector = place.start(&[]);
    let mut call = server.accept();
    call.send("O 7\n");
    collector
        .out
        .wait_for("with losses or differences on record");
    place.wait_for_status("127.0.0.1", "ERR\n");
    let (status, out, _) = mode(&place, &["status", "snmp"]);
    assert_eq!(status, 1);
    let gaps = place.path("log.gaps");
    assert!(
        out.contains(&format!("; 2 losses on record in {}", gaps.display())),
        "{out}"
    );
    assert!(
        out.ends_with("1 source on 1 server: 1 followed, 1 with losses; nothing behind\n"),
        "{out}"
    );

    for (words, told) in [
        (&["127.0.0.2"][..], "there is no box 127.0.0.2 in "),
        (&["127.0.0.1", "/var/log/other"], "there is no such log"),
    ] {
        let (status, _, err) = mode(&place, &[&["ack", "snmp"], words].concat());
        assert_eq!(status, 1);
        assert!(err.contains(told), "{err}");
    }
    assert!(gaps.exists());
    let (status, out, _) = mode(&place, &["ack", "snmp", "127.0.0.1", REMOTE]);
    assert_eq!(status, 0);
    assert!(
        out.starts_with(&format!("127.0.0.1 {REMOTE}: the record of losses is ")),
        "{out}"
    );
    let kept = out.trim_end().rsplit_once(" is ").unwrap().1;
    let kept = PathBuf::from(kept.strip_suffix(" now").unwrap());
    assert!(!gaps.exists() && fs::read_to_string(&kept).unwrap().lines().count() == 2);
    let stamp = kept.to_str().unwrap().rsplit('.').next().unwrap();
    assert!(
        stamp.len() == 14 && stamp.bytes().all(|it| it.is_ascii_digit()),
        "{stamp}"
    );
    place.wait_for_status("127.0.0.1", "OK\n");
    let (status, out, _) = mode(&place, &["ack", "snmp", "127.0.0.1"]);
    assert_eq!(
        (status, out.as_str()),
        (0, "127.0.0.1: nothing is on record as lost\n")
    );
    assert_eq!(mode(&place, &["status", "snmp"]).0, 0);

    fs::write(&gaps, "x\n").unwrap();
    collector.kill();
    let (status, _, err) = mode(&place, &["ack", "snmp", "127.0.0.1"]);
    assert_eq!(status, 1);
    assert!(err.contains("no collector runs"), "{err}");
    assert!(gaps.exists());
}

#[test]
fn a_long_way_to_the_socket_is_no_obstacle() {
    let server = Scripted::new();
    let place = Place::following(server.address());
    let dir = Path::new("snmp").join("d".repeat(120)).join("e".repeat(60));
    let conf = place.path("conf");
    let mut command = Command::new(super::common::FETCHLOGS);
    command
        .arg("fetch_logs")
        .arg(&dir)
        .arg(conf)
        .current_dir(place.path("."));
    let _collector = super::common::collector::Collector::spawn(&mut command);
    let mut call = server.accept();
    call.send("O 7\n");
    let dir = dir.to_str().unwrap();
    until("all is well", || mode(&place, &["status", dir]).0 == 0);
    let found = fs::symlink_metadata(place.path(dir).join(".fetch_logs.sock")).unwrap();
    assert!(found.file_type().is_socket());
}

#[test]
fn check_says_what_every_server_answers() {
    let server = Scripted::new();
    let nobody = TcpListener::bind("127.0.0.2:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let nowhere = "x".repeat(64);
    let place = Place::with(|place| {
        vec![
            place.line(server.address(), REMOTE, "log"),
            place.line(nobody, REMOTE, "none"),
            format!("{nowhere} 19 {REMOTE} /tmp/no /tmp/no.ptr"),
        ]
    });
    let answering = std::thread::spawn(move || {
        for _ in 0..2 {
            let mut call = server.accept();
            assert_eq!(call.asked(), format!("{REMOTE} 0 0"));
            call.send("O 7\nbytes");
            call.wait_until_left();
        }
    });
    let (status, out, err) = mode(&place, &["check", "snmp", "conf"]);
    assert_eq!((status, err.as_str()), (1, ""));
    let mut lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.pop(), Some("3 sources: 1 could be followed, 2 not"));
    lines.sort_unstable();
    assert_eq!(lines[0], format!("127.0.0.1 {REMOTE} OK classic"));
    assert!(
        lines[1].starts_with(&format!("127.0.0.2 {REMOTE} UNREACHABLE cannot connect: ")),
        "{out}"
    );
    assert_eq!(
        lines[2],
        format!("{nowhere} {REMOTE} UNREACHABLE its name has no address")
    );
    let (_, out, _) = mode(&place, &["check", "-j", "snmp", "conf"]);
    let json = format!(",\"remote_file\":\"{REMOTE}\",\"answer\":\"OK\",\"text\":\"classic\"}}\n");
    assert!(out.contains(&json), "{out}");
    answering.join().unwrap();
    assert!(fs::read_dir(place.path("snmp")).unwrap().next().is_none());
}

/// A port that nobody has.
pub fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

#[test]
fn a_port_serves_those_who_may_not_change_anything() {
    let port = free_port();
    let (two, collector) = Two::at(Place::new(), &["-l", &port.to_string()]);
    let ask = |request: &str| {
        let stream = TcpStream::connect(port).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        answer(stream, request)
    };
    let metrics = ask(&format!("GET /metrics HTTP/1.1\r\nHost: {port}\r\n\r\n"));
    assert!(
        metrics.contains("\r\nTransfer-Encoding: chunked\r\n")
            && metrics.ends_with("\r\n0\r\n\r\n")
    );
    let page = ask("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(
        page.contains("\r\nContent-Security-Policy: default-src 'none';"),
        "{page}"
    );
    assert!(ask("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n").starts_with("HTTP/1.1 400 "));
    let ack = "POST /ack HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n127.0.0.1";
    assert!(ask(ack).starts_with("HTTP/1.1 404 "));

    // A successor has the port and the socket, too.
    if !walls::are_there() {
        return skipped("this kernel has no Landlock");
    }
    fs::create_dir(two.place.path("other")).unwrap();
    let conf = fs::read_to_string(two.place.path("conf")).unwrap();
    let more = two.place.line(
        "127.0.0.2:9".parse().unwrap(),
        "/var/log/more",
        "other/more",
    );
    fs::write(two.place.path("conf"), format!("{conf}{more}\n")).unwrap();
    collector.signal(Signal::HUP);
    walls::successor(collector.pid());
    until("the successor to answer at the socket", || {
        UnixStream::connect(two.place.path(SOCKET)).is_ok()
            && get(&two.place, "/status.json").contains("\"sources\":3")
    });
    let metrics = ask(&format!("GET /metrics HTTP/1.1\r\nHost: {port}\r\n\r\n"));
    assert!(metrics.contains("other/more"), "{metrics}");
}

#[test]
fn who_fills_the_port_does_not_keep_the_operator_out() {
    let port = free_port();
    let (two, _collector) = Two::at(Place::new(), &["-l", &port.to_string()]);
    let connect = || {
        let stream = TcpStream::connect(port).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    };
    let idle: Vec<TcpStream> = (0..12).map(|_| connect()).collect();
    // Whoever comes then is told, also if it has asked already.
    let text = answer(
        connect(),
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
    );
    assert!(text.starts_with("HTTP/1.1 503 "), "{text}");
    assert!(get(&two.place, "/metrics").contains("fetchlogs_build_info"));
    drop(idle);
}

#[test]
fn an_open_port_and_a_strange_file_for_metrics_are_said_at_start() {
    let place = Place::new();
    place.configure(&[]);
    let collector = place.start(&["-l", "0.0.0.0:0"]);
    collector
        .err
        .wait_for("the port of -l is no loopback: whoever reaches it can see");
    drop(collector);
    let collector = place.start(&["-l", "[::1]:0"]);
    until("it to run", || place.path(SOCKET).exists());
    assert!(collector.err.with("loopback").is_empty());
    let (status, _, errors) = run(["-m", "log", "snmp", "conf"], &place.path("."));
    assert_eq!(status, 2);
    assert!(
        errors.contains("option -m takes a file whose name ends in .prom"),
        "{errors}"
    );
}

#[test]
fn a_port_that_is_taken_or_no_port_is_said_at_once() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().to_string();
    let place = Place::following(taken.local_addr().unwrap());
    let (status, _, err) = mode(&place, &["-l", &port, "snmp", "conf"]);
    assert_eq!(status, 1);
    assert!(err.contains(&format!("cannot listen on {port}: ")), "{err}");
    for port in ["9119", "nowhere:", "127.0.0.1:99999"] {
        assert_eq!(mode(&place, &["-l", port, "snmp", "conf"]).0, 2, "{port}");
    }
    let (status, _, err) = mode(&place, &["-g", "no such group", "snmp", "conf"]);
    assert_eq!(status, 1);
    assert!(err.contains("there is no group"), "{err}");
}

#[test]
fn metrics_are_written_for_others_and_go_with_the_collector() {
    let place = Place::new();
    let file = place.path("fetchlogs.prom");
    let (two, collector) = Two::at(place, &["-m", "fetchlogs.prom"]);
    let text = eventually("the metrics", || fs::read_to_string(&file).ok());
    assert!(
        text.contains("\nfetchlogs_sources{state=\"following\"} 1\n"),
        "{text}"
    );
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o644
    );
    assert!(collector.stop().success());
    assert!(!file.exists());
    drop(two);
}

#[test]
fn what_cannot_be_shown_is_said_once_and_copies_go_on() {
    let place = Place::new();
    fs::write(place.path(SOCKET), "precious").unwrap();
    fs::create_dir(place.path(TABLE)).unwrap();
    let (mut two, collector) = Two::at(place, &["-m", "missing/fetchlogs.prom"]);
    for what in [
        "cannot listen on ",
        ".fetch_logs.table: Is a directory",
        "cannot write the metrics ",
    ] {
        collector.err.wait_for(what);
    }
    two.call.send("more\n");
    two.place.wait_for("log", b"hello\nmore\n");
    fs::remove_dir(two.place.path(TABLE)).unwrap();
    collector
        .err
        .wait_for(".fetch_logs.table can be written again");
    for what in [
        "cannot listen on ",
        "cannot write the table ",
        "cannot write the metrics ",
    ] {
        assert_eq!(collector.err.with(what).len(), 1, "{what}");
    }
    assert_eq!(two.place.read(SOCKET), b"precious");
    assert!(collector.stop().success());
    assert_eq!(two.place.read(SOCKET), b"precious");
}

/// The table and the lock are as young as the status files, for whoever looks at the ages of all files there.
#[test]
fn a_wrong_age_of_a_file_does_not_last() {
    let two = Two::new_running();
    let old = std::time::SystemTime::now() - Duration::from_secs(3600);
    for name in [TABLE, "snmp/.fetch_logs.lock"] {
        let found = fs::metadata(two.0.place.path(name)).unwrap();
        assert!(found.modified().unwrap() > old, "{name}");
    }
}

/// [`Two`] with the collector that follows them.
struct Running(Two, #[allow(dead_code)] super::common::collector::Collector);

impl Two {
    fn new_running() -> Running {
        let (two, collector) = Two::at(Place::new(), &[]);
        Running(two, collector)
    }
}
