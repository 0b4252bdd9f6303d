//! The dialogue of PROTOCOL.md's section on version 2, held with the real server: what is written there is what it
//! sends.
//!
//! PROTOCOL.md is the script. `$` lines happen to the log, `>` lines are sent on a new connection, `<` lines have to
//! come back. What stands in brackets differs from run to run: it is matched by its place, remembered, and put into the
//! requests that follow.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../common/mod.rs"]
mod common;
mod notation;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use common::server::Server;
use common::wait::{PATIENCE, eventually};
use notation::{Frame, Step, crc32, dialogue};

const ALIVE: u8 = 2;

#[test]
fn the_dialogue_is_what_the_server_sends() {
    let mut scene = Scene::new();
    for (number, step) in dialogue() {
        match step {
            Step::Happens(command) => scene.happens(&command),
            Step::Asks(line) => scene.ask(&line),
            Step::Answers(line) => scene.expect_line(number, &line),
            Step::Sends(frame) => scene.expect_frame(number, &frame),
        }
    }
    let live = scene.logs.path().join("messages").metadata().unwrap();
    let told = scene
        .known
        .values()
        .any(|value| *value == live.ino().to_string());
    assert!(told, "the live file's inode was told: {:?}", scene.known);
}

#[test]
fn the_frames_of_the_readme_are_sound_in_themselves() {
    let mut kinds = Vec::new();
    for (number, step) in dialogue() {
        let Step::Sends(frame) = step else { continue };
        let bytes = frame.bytes();
        let (header, payload) = bytes.split_at(8);
        let len = u16::from_be_bytes([header[2], header[3]]);
        assert_eq!(
            usize::from(len),
            payload.len(),
            "PROTOCOL.md:{number}: length"
        );
        let crc = crc32(&[&header[..4], payload].concat());
        assert_eq!(
            header[4..],
            crc.to_be_bytes(),
            "PROTOCOL.md:{number}: {crc:08x}"
        );
        kinds.push(header[0]);
    }
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds, [1, 2, 3, 4, 5, 6, 7, 8], "every kind is shown");
}

#[test]
fn the_checksum_is_the_one_described() {
    assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
}

/// A server with one log, and the client's side of the dialogue.
struct Scene {
    logs: tempfile::TempDir,
    server: Server,
    connection: Option<BufReader<TcpStream>>,
    /// What stands for PROTOCOL.md's values of what differs.
    known: BTreeMap<String, String>,
}

impl Scene {
    fn new() -> Scene {
        let logs = tempfile::tempdir().unwrap();
        let log = logs.path().join("messages");
        std::fs::write(&log, "").unwrap();
        let log = log.display();
        let settings = format!(
            "$files{{\"{log}\"}} = \"{log}.*[0-9]\"; $alive_interval = 0.3; $grace = 0.1; $delay_check = 0.1;"
        );
        Scene {
            server: Server::start(&settings),
            connection: None,
            known: BTreeMap::new(),
            logs,
        }
    }

    /// Something happens to the log.
    fn happens(&self, command: &str) {
        let status = Command::new("sh")
            .args(["-e", "-c", command])
            .current_dir(self.logs.path())
            .status();
        assert!(status.unwrap().success(), "{command}");
    }

    /// Sends a request on a new connection, with the values of this run in its brackets.
    fn ask(&mut self, line: &notation::Line) {
        let connection = TcpStream::connect(self.server.address()).unwrap();
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        let line = line.filled(|told| match told.strip_prefix("/var/log/") {
            Some(name) => self.logs.path().join(name).display().to_string(),
            None => self.known[told].clone(),
        });
        (&connection)
            .write_all(format!("{line}\n").as_bytes())
            .unwrap();
        self.connection = Some(BufReader::new(connection));
    }

    fn expect_line(&mut self, number: usize, expected: &notation::Line) {
        let mut line = String::new();
        let connection = self.connection.as_mut().unwrap();
        connection.read_line(&mut line).unwrap();
        let line = line.strip_suffix('\n').expect("a whole line");
        let values = expected.values_in(line);
        let values = values.unwrap_or_else(|| panic!("PROTOCOL.md:{number}: it sent {line}"));
        self.known.extend(values);
    }

    /// A frame like that has to come next. Signs of life may come at any time, and are passed over where none is due.
    fn expect_frame(&mut self, number: usize, expected: &Frame) {
        let frame = eventually(&format!("the frame of PROTOCOL.md:{number}"), || {
            let frame = self.read_frame();
            (frame[0] != ALIVE || expected.kind() == ALIVE).then_some(frame)
        });
        let (header, payload) = frame.split_at(8);
        let crc = crc32(&[&header[..4], payload].concat());
        assert_eq!(
            header[4..],
            crc.to_be_bytes(),
            "PROTOCOL.md:{number}: checksum"
        );
        let values = expected.values_in(&frame);
        let values = values.unwrap_or_else(|| panic!("PROTOCOL.md:{number}: it sent {frame:02x?}"));
        self.known.extend(values);
    }

    fn read_frame(&mut self) -> Vec<u8> {
        let connection = self.connection.as_mut().unwrap();
        let mut frame = vec![0; 8];
        connection.read_exact(&mut frame).unwrap();
        let len = u16::from_be_bytes([frame[2], frame[3]]);
        frame.resize(8 + usize::from(len), 0);
        connection.read_exact(&mut frame[8..]).unwrap();
        frame
    }
}
