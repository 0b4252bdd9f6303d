//! Keys that are globs, and who asks which logs there are.

use std::io::{Read, Write};
use std::net::TcpStream;

use fetchlogs::wire::frame::Frame;
use fetchlogs::wire::frame::log::Log;
use fetchlogs::wire::receiver::{Piece, Receiver};

use crate::common::classic::Client;
use crate::common::logs::Logs;
use crate::common::server::Server;
use crate::common::wait::until;

const QUICK: &str = "$delay_check = 0.1; $grace = 0.1; $alive_interval = 30;";

fn settings(logs: &Logs, key: &str, value: &str) -> String {
    let key = logs.path(key);
    format!("$files{{'{}'}} = '{value}';\n{QUICK}", key.display())
}

/// Somebody who asked which logs there are.
struct Asked {
    stream: TcpStream,
    receiver: Receiver,
    input: Vec<u8>,
    /// A refusal.
    error: Option<String>,
}

impl Asked {
    fn new(server: &Server, glob: &str) -> Asked {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        let request = format!("{glob} 0 0 v2 op=list\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut reply = String::new();
        let mut byte = [0];
        while !reply.ends_with('\n') {
            stream.read_exact(&mut byte).unwrap();
            reply.push(byte[0].into());
        }
        assert!(
            reply.starts_with("O 1 v2 ") || reply == "E 0 v2\n",
            "{reply}"
        );
        Asked {
            stream,
            receiver: Receiver::new(),
            input: Vec::new(),
            error: None,
        }
    }

    /// What is told until it is complete: names, `BEGIN` and `MORE`.
    fn told(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        loop {
            let input = std::mem::take(&mut self.input);
            let (used, piece) = self.receiver.next(&input);
            self.input = input[used..].to_vec();
            match piece {
                Piece::Nothing if self.input.is_empty() => {
                    let mut data = [0; 4096];
                    match self.stream.read(&mut data).unwrap() {
                        0 => return told,
                        len => self.input = data[..len].to_vec(),
                    }
                }
                Piece::Nothing => {}
                Piece::Small => {
                    let is_end = self.receiver.small(|frame| match frame {
                        Frame::Log(Log::Path(path)) => {
                            let path = String::from_utf8_lossy(path).into_owned();
                            told.push(path.rsplit('/').next().unwrap().to_owned());
                            false
                        }
                        Frame::Log(Log::Begin) => {
                            told.push("BEGIN".to_owned());
                            false
                        }
                        Frame::Log(_) => {
                            told.push("MORE".to_owned());
                            false
                        }
                        Frame::Error { text, .. } => {
                            self.error = Some(String::from_utf8_lossy(text).into_owned());
                            true
                        }
                        _ => true,
                    });
                    if is_end.unwrap() {
                        return told;
                    }
                }
                piece => panic!("{piece:?}"),
            }
        }
    }
}

#[test]
fn a_client_is_told_which_logs_there_are_and_which_come_and_go() {
    let logs = Logs::new();
    for name in ["a.log", "a.log.1", "b.log", "c.txt", "d.log.gz"] {
        logs.write(name, "x\n");
    }
    let config = settings(&logs, "*", "%p.*[0-9]")
        + &format!("$files{{'{}'}} = '';", logs.path("not-there.log").display());
    let server = Server::start(&config);
    let mut asked = Asked::new(&server, &logs.path("*.log").display().to_string());
    assert_eq!(asked.told(), ["BEGIN", "not-there.log", "a.log", "b.log"]);
    let mut all = Asked::new(&server, &logs.path("*").display().to_string());
    assert_eq!(all.told().len(), 5);

    logs.write("new.log", "x\n");
    assert_eq!(asked.told(), ["new.log"]);
    // A rotation is no change.
    logs.rename("a.log", "a.log.2");
    logs.write("a.log", "y\n");
    logs.remove("b.log");
    assert_eq!(asked.told(), ["BEGIN", "not-there.log", "a.log", "new.log"]);
    logs.write("b.log", "x\n");
    assert_eq!(asked.told(), ["b.log"]);
}

#[test]
fn what_is_no_glob_is_refused() {
    let logs = Logs::new();
    let server = Server::start(&settings(&logs, "*", "%p.1"));
    let many = format!("/v/{}", "*a".repeat(300));
    for glob in ["/v/[", "v/*", "/v/{a", "/v/", "/v/{a,b}*", &many] {
        let mut asked = Asked::new(&server, glob);
        assert!(asked.told().is_empty());
        assert!(asked.error.is_some(), "{glob}");
    }
    // Nobody is told who is not allowed.
    server.reload(&format!(
        "{}\n$hosts_allow{{'127.0.0.1'}} = 0;",
        settings(&logs, "*", "%p.1")
    ));
    Client::ask(&server, "/v/* 0 0 v2 op=list").expect_closed_without_a_word();
}

#[test]
fn a_log_that_a_key_finds_is_served_to_everybody_and_keeps_its_connection() {
    let logs = Logs::new();
    logs.write("a.log", "one\n");
    let config = settings(&logs, "*.log", "%p.*[0-9]");
    let server = Server::start(&config);
    let mut client = Client::ask(&server, &logs.request("a.log", "0 0"));
    assert_eq!(client.reply(), format!("O {}", logs.inode("a.log")));
    client.expect("one\n");
    // Others come and go, and the configuration is read again.
    logs.write("b.log", "");
    logs.write("c.log", "");
    server.reload(&config);
    logs.append("a.log", "two\n");
    client.expect("two\n");
    until("c.log to be served", || {
        let mut other = Client::ask(&server, &logs.request("c.log", "0 0"));
        other.try_reply().is_some()
    });
    logs.rename("a.log", "a.log.1");
    logs.write("a.log", "three\n");
    client.rest();
    // With another key it goes.
    let mut client = Client::ask(&server, &logs.request("a.log", "0 0"));
    client.reply();
    client.expect("three\n");
    server.reload(&settings(&logs, "*.txt", "%p.1"));
    client.rest();
    Client::ask(&server, &logs.request("a.log", "0 0")).expect_closed_without_a_word();
}

#[test]
fn directories_that_come_later_are_looked_through() {
    let logs = Logs::new();
    let server = Server::start(&settings(&logs, "apps/*/log", "%p.1"));
    let glob = logs.path("apps/*/log").display().to_string();
    let mut asked = Asked::new(&server, &glob);
    assert_eq!(asked.told(), ["BEGIN"]);
    std::fs::create_dir(logs.path("apps")).unwrap();
    std::fs::create_dir(logs.path("apps/one")).unwrap();
    logs.write("apps/one/log", "x");
    assert_eq!(asked.told(), ["log"]);
    std::fs::create_dir(logs.path("apps/two")).unwrap();
    logs.write("apps/two/log", "x");
    assert_eq!(asked.told(), ["log"]);
}

#[test]
fn there_is_an_end_to_what_is_told() {
    let logs = Logs::new();
    let mut config = QUICK.to_owned();
    for n in 0..300 {
        config += &format!("$files{{'/v/{n:03}'}} = '';");
    }
    for n in 0..300 {
        logs.write(&format!("{n:03}"), "");
    }
    config += &settings(&logs, "*", "%p.1");
    let server = Server::start(&config);
    let mut asked = Asked::new(&server, "/v/*");
    let told = asked.told();
    assert_eq!((told.len(), &*told[257]), (258, "MORE"));
    // What the server itself leaves out is told as well, to whom it concerns.
    let mut asked = Asked::new(&server, &logs.path("*").display().to_string());
    let told = asked.told();
    assert_eq!((told.len(), &*told[257]), (258, "MORE"));
    let mut asked = Asked::new(&server, &logs.path("*/none").display().to_string());
    assert_eq!(asked.told(), ["BEGIN"]);
    // One that goes makes room for one of these.
    std::fs::remove_file(logs.path("000")).unwrap();
    assert!(
        server
            .said()
            .contains("finds more than 256 logs: the others are not served")
    );
}
