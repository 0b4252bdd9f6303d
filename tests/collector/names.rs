//! Host names in place of addresses. The tests take root, for they have name tables of their own.

use std::fs;
use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;

use super::common::collector::{Collector, Place, REMOTE, Signal};
use super::common::scripted::{Call, Scripted};
use super::common::skipped;
use super::common::wait::{eventually, for_a_while};
use super::patterns::listed;

/// Where no name server is, which a question is told at once.
const NOWHERE: &str = "127.0.0.77";
/// Where a name server is that never answers.
const SILENT: &str = "127.0.0.78";

/// A collector that has got "abc" from a box, whose name can be given to another address.
struct Moving {
    place: Place,
    collector: Collector,
    old: Scripted,
    new: Scripted,
    call: Call,
}

/// The box is at the first of two addresses. `None` where that cannot be had here.
fn about_to_move(addresses: [u8; 2]) -> Option<Moving> {
    let [old, new] = addresses.map(Scripted::numbered);
    let port = old.address().port();
    let ip = new.address().ip();
    // The same port at both addresses, because a line has one.
    drop(new);
    let Ok(listener) = std::net::TcpListener::bind((ip, port)) else {
        skipped("a port is taken at another address");
        return None;
    };
    let new = Scripted::from(listener);
    let place = Place::new();
    place.configure(&[named(&place, port)]);
    let hosts = format!("{} logbox.test\n", old.address().ip());
    let collector = start(&place, NOWHERE, &hosts)?;
    let mut call = old.accept();
    call.send("O 7\nabc");
    place.wait_for("log", b"abc");
    Some(Moving {
        place,
        collector,
        old,
        new,
        call,
    })
}

/// A name is looked up again at HUP: the server may have moved.
#[test]
fn hup_looks_names_up_again() {
    let Some(mut moving) = about_to_move([15, 16]) else {
        return;
    };
    let (place, collector, call) = (&moving.place, &moving.collector, &mut moving.call);
    place.wait_for_status("127.0.0.15", "OK\n");
    collector.signal(Signal::HUP);
    for_a_while(100, "nothing has moved", || call.is_held());
    tell_hosts(place, "127.0.0.16 logbox.test\n");
    collector.signal(Signal::HUP);
    call.wait_until_left();
    let mut call = moving.new.accept_asking(7, 3);
    call.send("O 7\ndef");
    place.wait_for("log", b"abcdef");
    place.wait_for_status("127.0.0.16", "OK\n");
    assert!(!place.path("snmp/127.0.0.15").exists());
}

/// A box with a dynamic name has another address, and nothing answers at the old one any more.
#[test]
fn a_name_is_looked_up_again_where_nobody_answers() {
    let Some(moving) = about_to_move([18, 19]) else {
        return;
    };
    let place = &moving.place;
    tell_hosts(place, "127.0.0.19 logbox.test\n");
    drop((moving.call, moving.old));
    let mut call = moving.new.accept_asking(7, 3);
    call.send("O 7\ndef");
    place.wait_for("log", b"abcdef");
    place.wait_for_status("127.0.0.19", "OK\n");
}

/// The same for a line that finds logs, as long as it has found none.
#[test]
fn a_name_is_looked_up_again_where_nobody_tells_which_logs_there_are() {
    let [old, new] = [20, 21].map(Scripted::numbered);
    let (port, ip) = (old.address().port(), new.address().ip());
    drop(new);
    let Ok(listener) = std::net::TcpListener::bind((ip, port)) else {
        skipped("a port is taken at another address");
        return;
    };
    let new = Scripted::from(listener);
    let place = Place::with(|place| {
        let copies = place.path("copies").display().to_string();
        vec![
            format!("copies {copies}/%h/%f"),
            format!("logbox.test {port} /v/*.log name=box"),
        ]
    });
    let Some(collector) = start(&place, NOWHERE, "127.0.0.20 logbox.test\n") else {
        return;
    };
    let mut call = old.accept();
    call.send(listed(&[]));
    place.wait_for_status("box", "OK\n");
    drop(old);
    tell_hosts(&place, "127.0.0.21 logbox.test\n");
    drop(call);
    let mut call = new.accept();
    assert_eq!(call.request(), "/v/*.log 0 0 v2 op=list");
    call.send(listed(&[]));
    place.wait_for_status("box", "OK\n");
    assert!(collector.stop().success());
}

#[test]
fn a_name_that_is_known_later_takes_no_signal() {
    let server = Scripted::numbered(17);
    let place = Place::new();
    place.configure(&[named(&place, server.address().port())]);
    let Some(collector) = start(&place, NOWHERE, "") else {
        return;
    };
    collector
        .out
        .wait_for("logbox.test /var/log/messages its name has no address");
    tell_hosts(&place, "127.0.0.17 logbox.test\n");
    server.accept().send("O 7\nabc");
    place.wait_for("log", b"abc");
    place.wait_for_status("127.0.0.17", "OK\n");
}

#[test]
fn a_name_server_that_does_not_answer_delays_nobody_else() {
    let Ok(silent) = UdpSocket::bind((SILENT, 53)) else {
        skipped("no port for a name server here");
        return;
    };
    let patience = Some(Duration::from_secs(60));
    silent.set_read_timeout(patience).unwrap();
    let server = Scripted::numbered(18);
    let place = Place::new();
    let port = server.address().port();
    let other = place.line(server.address(), REMOTE, "other");
    place.configure(&[named(&place, port), other]);
    let Some(collector) = start(&place, SILENT, "") else {
        return;
    };
    silent.recv(&mut [0; 512]).unwrap();
    let mut call = server.accept();
    call.send("O 7\nabc");
    place.wait_for("other", b"abc");
    collector.signal(Signal::HUP);
    call.send("def");
    place.wait_for("other", b"abcdef");
    assert!(collector.out.with("no address").is_empty());
    let children = format!("/proc/{0}/task/{0}/children", collector.pid());
    if !fs::exists(&children).unwrap() {
        return skipped("this kernel does not tell who is whose child");
    }
    let child = eventually("one process that looks the name up", || {
        let children = fs::read_to_string(&children).unwrap();
        let mut children = children
            .split_whitespace()
            .filter(|child| !is_helper(child));
        let child = children.next()?.to_owned();
        children.next().is_none().then_some(child)
    });
    assert!(collector.stop().success());
    assert!(!fs::exists(format!("/proc/{child}")).unwrap());
}

fn is_helper(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "logs_helper\n")
}

/// The line of a source whose server is `logbox.test`.
fn named(place: &Place, port: u16) -> String {
    let local = place.path("log");
    let local = local.display();
    format!("logbox.test {port} {REMOTE} {local} {local}.ptr")
}

fn tell_hosts(place: &Place, hosts: &str) {
    fs::write(place.path("hosts"), hosts).unwrap();
}

/// Starts a collector to which `hosts`, as the place has it, is `/etc/hosts` and that has one name server to ask. `None`, with a word, for who is not root.
fn start(place: &Place, name_server: &str, hosts: &str) -> Option<Collector> {
    let can = Command::new("unshare").args(["-m", "true"]).output();
    if !can.is_ok_and(|output| output.status.success()) {
        skipped("no mount namespace of our own here");
        return None;
    }
    tell_hosts(place, hosts);
    fs::write(
        place.path("resolv.conf"),
        // Nobody gives up during a test.
        format!("nameserver {name_server}\noptions timeout:30 attempts:5\n"),
    )
    .unwrap();
    let collector = place.command(&[]);
    let mut command = Command::new("unshare");
    command
        .args(["-m", "sh", "-e", "-c"])
        .arg("for name in hosts resolv.conf; do mount --bind $name /etc/$name; done; exec \"$@\"")
        .arg("sh")
        .arg(collector.get_program())
        .args(collector.get_args())
        .current_dir(place.path("."));
    Some(Collector::spawn(&mut command))
}
