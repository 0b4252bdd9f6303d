//! A server of 1.1 with a child for each connection, which answers nobody new from the end of one child until all are
//! gone.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::common::collector::{Collector, Place, Signal};
use super::common::scripted::{Call, Scripted};
use super::common::wait::{for_a_while, until};

/// The server. Its threads end with the test program.
struct OldServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Inode and content of each log.
    logs: HashMap<String, (u64, Vec<u8>)>,
    children: usize,
    /// One child has ended, and others have not.
    waits: bool,
    /// What was asked, connection by connection.
    asked: Vec<String>,
}

impl OldServer {
    fn start(logs: &[&str]) -> OldServer {
        let scripted = Scripted::new();
        let server = OldServer {
            address: scripted.address(),
            state: Arc::default(),
        };
        for (inode, log) in (1..).zip(logs) {
            server.put(log, inode, &format!("{log} 1\n"));
        }
        let state = server.state.clone();
        thread::spawn(move || {
            loop {
                thread::sleep(Duration::from_millis(2));
                let mut locked = state.lock().unwrap();
                if locked.waits {
                    continue;
                }
                let Some(call) = scripted.try_call() else {
                    continue;
                };
                locked.children += 1;
                drop(locked);
                let state = state.clone();
                thread::spawn(move || {
                    follow(call, &state);
                    let mut state = state.lock().unwrap();
                    state.children -= 1;
                    state.waits = state.children > 0;
                });
            }
        });
        server
    }

    fn put(&self, log: &str, inode: u64, text: &str) {
        let mut state = self.state.lock().unwrap();
        state.logs.insert(log.to_owned(), (inode, text.into()));
    }

    fn remove(&self, log: &str) {
        self.state.lock().unwrap().logs.remove(log);
    }

    fn asked(&self) -> Vec<String> {
        self.state.lock().unwrap().asked.clone()
    }

    /// A collector of all its logs, each in a copy of its name, that has all of them.
    fn collector(&self, place: &Place, options: &[&str]) -> Collector {
        let logs = self.state.lock().unwrap().logs.clone();
        let line = |log: &String| place.line(self.address, log, &log[1..]);
        place.configure(&logs.keys().map(line).collect::<Vec<_>>());
        let collector = place.start(options);
        for (log, (_, text)) in &logs {
            place.wait_for(&log[1..], text);
        }
        collector
    }
}

/// A child, from the request to its end.
fn follow(mut call: Call, state: &Mutex<State>) {
    if !call.try_read_request() {
        return;
    }
    let asked = call.asked();
    let (log, inode, offset) = call.parts();
    let log = log.to_owned();
    let mut locked = state.lock().unwrap();
    locked.asked.push(asked);
    let Some((live, text)) = locked.logs.get(&log).cloned() else {
        return;
    };
    drop(locked);
    let offset = match [0, live].contains(&inode) {
        true => offset as usize,
        false => 0,
    };
    let Some(rest) = text.get(offset..) else {
        return;
    };
    let mut answer = format!("O {live}\n").into_bytes();
    answer.extend(if rest.is_empty() { &[7] } else { rest });
    let mut goes_on = call.try_send(answer);
    while goes_on && call.is_held() {
        thread::sleep(Duration::from_millis(5));
        let state = state.lock().unwrap();
        let now = state.logs.get(&log);
        goes_on = now.is_some_and(|(inode, now)| *inode == live && now.len() >= text.len());
    }
}

/// Gives up on an answer soon, as far as it matters here.
const IMPATIENT: [&str; 4] = ["-r", "0.1", "-w", "0.3"];

#[test]
fn a_log_that_was_rotated_beside_another_is_followed() {
    let (server, place) = (OldServer::start(&["/a", "/b"]), Place::new());
    let _collector = server.collector(&place, &IMPATIENT);
    // A child of this server looks for new lines only once.
    server.put("/b", 2, "/b 1\nand on\n");
    server.put("/a", 11, "/a 2\n");
    place.wait_for("a", b"/a 2\n");
    place.wait_for("b", b"/b 1\nand on\n");
    place.wait_for_status("127.0.0.1", "OK\n");
    assert_eq!(place.rotated("a").len(), 1);
    assert_eq!(place.rotated("b").len(), 0);
}

#[test]
fn a_log_that_was_truncated_beside_another_is_kept_and_begun_anew() {
    let (server, place) = (OldServer::start(&["/a", "/b", "/c"]), Place::new());
    let _collector = server.collector(&place, &IMPATIENT);
    server.put("/a", 1, "x\n");
    place.wait_for("a", b"x\n");
    place.wait_for_status("127.0.0.1", "OK\n");
    assert_eq!(place.rotated("a").len(), 1);
    assert_eq!(place.rotated("b").len(), 0);
}

#[test]
fn a_log_that_is_refused_for_ever_disturbs_the_others_once_in_a_while() {
    let (server, place) = (OldServer::start(&["/a", "/b"]), Place::new());
    let collector = server.collector(&place, &IMPATIENT);
    server.remove("/a");
    let of_b = || {
        let asked = server.asked();
        asked.iter().filter(|line| line.starts_with("/b ")).count()
    };
    collector
        .out
        .wait_for("/a the server did not answer in time");
    until("the other to come back", || of_b() == 2);
    for_a_while(1_500, "the other stays", || of_b() == 2);
}

#[test]
fn hup_and_usr1_free_it() {
    for signal in [Signal::HUP, Signal::USR1] {
        let (server, place) = (OldServer::start(&["/a", "/b"]), Place::new());
        // One that waits for its answer for longer than this test takes.
        let collector = server.collector(&place, &[]);
        server.put("/a", 11, "/a 2\n");
        for_a_while(200, "nobody is answered", || place.read("a") == b"/a 1\n");
        collector.signal(signal);
        place.wait_for("a", b"/a 2\n");
        assert_eq!(place.rotated("a").len(), 1);
    }
}

#[test]
fn many_come_back_one_after_the_other_and_where_they_were() {
    let names: Vec<String> = (0..40).map(|number| format!("/log{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (server, place) = (OldServer::start(&names), Place::new());
    let collector = server.collector(&place, &[]);
    assert_eq!(server.asked().len(), 40);
    server.put("/log0", 99, "");
    for_a_while(200, "nobody is answered", || server.asked().len() == 40);
    collector.signal(Signal::HUP);
    until("all to come back", || server.asked().len() == 80);
    let again = &server.asked()[40..];
    for name in &names[1..] {
        let held = place.read(&name[1..]).len();
        let line = format!("{name} ");
        let asked = again.iter().find(|asked| asked.starts_with(&line)).unwrap();
        assert!(asked.ends_with(&format!(" {held}")), "{asked}");
    }
    assert_eq!(place.read("snmp/127.0.0.1"), b"OK\n");
}

#[test]
fn where_nobody_waits_the_connections_stay() {
    for signal in [Signal::HUP, Signal::USR1] {
        let (server, place) = (OldServer::start(&["/a", "/b"]), Place::new());
        let collector = server.collector(&place, &[]);
        collector.signal(signal);
        for_a_while(3_500, "nobody comes anew", || server.asked().len() == 2);
    }
}
