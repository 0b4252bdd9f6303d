//! The kits of `conf/monitoring` with the real monitoring systems, and with a real collector that has something to tell.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../common/mod.rs"]
mod common;

mod fleet;
mod names;
mod plugin;
mod prometheus;
mod snmp;
mod zabbix;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::process::{Guarded, run};

/// A file of the kits.
fn kit(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("conf/monitoring").join(name)
}

/// Its text.
fn text_of(name: &str) -> String {
    fs::read_to_string(kit(name)).unwrap()
}

/// A port of 127.0.0.1 that nobody had a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// What somebody answers over HTTP, the head left out; nothing as long as nobody does.
fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    Some(body.to_owned())
}

/// Text as it stands in a query of an address.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte.is_ascii_alphanumeric() {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

/// A daemon of somebody else, which says nothing here.
fn daemon(command: &mut Command) -> Guarded {
    Guarded::start(command.stdout(Stdio::null()).stderr(Stdio::null()))
}

/// Whether a text is JSON, by Perl's reader.
fn assert_json(text: &str) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("json");
    fs::write(&path, text).unwrap();
    let mut command = Command::new("perl");
    command.args(["-MJSON::PP", "-e", "local $/; decode_json(<>)"]);
    command.arg(path);
    let ended = run(command);
    assert_eq!(ended.status, Some(0), "{}\n{text}", ended.stderr);
}
