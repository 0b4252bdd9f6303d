//! Sealed connections between the real programs: what is copied, what a stranger gets, and what stands on the link.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../common/mod.rs"]
mod common;

mod link;
mod strangers;

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::FETCHLOGS;
use common::collector::Place;
use common::logs::Logs;
use common::process::{Ended, Signal, run};
use common::server::{ConfigFile, Server, gen_numbers};
use common::wait::until;
use link::Link;

/// A directory with private keys.
pub struct Keys(tempfile::TempDir);

impl Keys {
    pub fn make() -> Keys {
        Keys(tempfile::tempdir().unwrap())
    }

    /// The file of a key, made at its first use.
    pub fn file(&self, name: &str) -> PathBuf {
        let path = self.0.path().join(name);
        if !path.exists() {
            let made = fetchlogs(&["genkey"]);
            assert_eq!(made.status, Some(0), "{made:?}");
            fs::write(&path, made.stdout).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        }
        path
    }

    /// The public key that goes with it.
    pub fn public(&self, name: &str) -> String {
        let key = fs::read(self.file(name)).unwrap();
        let (status, public) = pubkey(&key);
        assert!(status, "{public}");
        public.trim_end().to_owned()
    }

    /// What makes a server use one key and allow another.
    pub fn settings(&self, server: &str, client: &str) -> String {
        format!(
            "$private_key_file = '{}';\n$keys_allow{{'{}'}} = 1;\n",
            self.file(server).display(),
            self.public(client)
        )
    }
}

fn fetchlogs(args: &[&str]) -> Ended {
    let mut command = Command::new(FETCHLOGS);
    command.args(args);
    run(command)
}

/// What `fetchlogs pubkey` makes of this input.
fn pubkey(input: &[u8]) -> (bool, String) {
    let mut child = Command::new(FETCHLOGS)
        .arg("pubkey")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.success(), text)
}

/// A server with a log `m`, both keys, and a collector's place that follows it.
struct Sealed {
    keys: Keys,
    logs: Logs,
    server: Server,
}

impl Sealed {
    fn start(more: &str) -> Sealed {
        let (keys, logs) = (Keys::make(), Logs::new());
        logs.write("m", "");
        let settings = Sealed::settings(&keys, &logs, more);
        Sealed {
            server: Server::start(&settings),
            keys,
            logs,
        }
    }

    fn settings(keys: &Keys, logs: &Logs, more: &str) -> String {
        let served = logs.served("m", "m.*[0-9]");
        let keys = keys.settings("box", "host");
        format!("{served}{keys}$grace = 0.1;\n$delay_check = 0.1;\n{more}")
    }

    /// The line of a source, sealed for the server's key.
    fn line(&self, place: &Place, link: &Link) -> String {
        let remote = self.logs.path("m").display().to_string();
        let line = place.line(link.address(), &remote, "log");
        format!("{line} key={}", self.keys.public("box"))
    }

    fn place(&self, link: &Link) -> Place {
        Place::with(|place| vec![self.line(place, link)])
    }

    fn key_file(&self) -> String {
        self.keys.file("host").display().to_string()
    }
}

/// Words that may never stand on a link.
const SECRET: &str = "the secret of a log";

#[test]
fn a_copy_comes_through_rotations_and_restarts_and_nothing_of_it_is_readable() {
    let mut sealed = Sealed::start("$require_key = 1;\n");
    let link = Link::to(sealed.server.address());
    let place = sealed.place(&link);
    let key = sealed.key_file();
    let mut collector = place.start(&["-k", &key]);
    let mut whole = Vec::new();
    for round in 0..6 {
        let text = format!("{SECRET} {round}\n").repeat(3000);
        sealed.logs.append("m", &text);
        place.wait_for("log", text.as_bytes());
        whole.push(text);
        if round == 2 {
            assert!(collector.stop().success());
            collector = place.start(&["-k", &key]);
        }
        sealed.logs.log("m").rotate();
        until("the copy is finished", || {
            place.rotated("log").len() == round + 1
        });
        if round == 3 {
            // The same server once more, at another port.
            let settings = Sealed::settings(&sealed.keys, &sealed.logs, "$require_key = 1;\n");
            sealed.server = Server::start(&settings);
            link.redirect(sealed.server.address());
        }
    }
    for (name, text) in place.rotated("log").iter().zip(&whole) {
        assert_eq!(place.read(name), text.as_bytes());
    }
    // With the key the copies are compared over sealed connections, too.
    let mut verify = Command::new(FETCHLOGS);
    verify.args(["fetch_logs", "verify", "-a", "-k", &key]);
    verify.args([place.path("snmp"), place.path("conf")]);
    let verified = run(verify);
    assert_eq!(verified.status, Some(0), "{verified:?}");
    let check = |key: &[&str]| {
        let mut check = Command::new(FETCHLOGS);
        check.args(["fetch_logs", "check"]).args(key);
        check.args([place.path("snmp"), place.path("conf")]);
        run(check)
    };
    let checked = check(&["-k", &key]);
    assert_eq!(checked.status, Some(0), "{checked:?}");
    let refused = check(&[]);
    assert_eq!(refused.status, Some(78), "{refused:?}");
    drop(collector);

    let seen = link.seen();
    assert!(seen.len() > 200_000, "only {} bytes went by", seen.len());
    for words in [SECRET, "v2", "O 1", "/m", "p=0:"] {
        let is_there = seen.windows(words.len()).any(|it| it == words.as_bytes());
        let is_chance = words.len() < 5;
        assert!(!is_there || is_chance, "{words:?} was to be seen");
    }
    let dir = sealed.logs.dir().display().to_string();
    assert!(!seen.windows(dir.len()).any(|it| it == dir.as_bytes()));
}

#[test]
fn one_port_serves_both_and_a_source_with_a_key_is_never_plain() {
    let sealed = Sealed::start("");
    let link = Link::to(sealed.server.address());
    let place = sealed.place(&link);
    let remote = sealed.logs.path("m").display().to_string();
    let plain = Place::with(|place| vec![place.line(sealed.server.address(), &remote, "log")]);
    let _collectors = (place.start(&["-k", &sealed.key_file()]), plain.start(&[]));
    sealed.logs.append("m", SECRET);
    place.wait_for("log", SECRET.as_bytes());
    plain.wait_for("log", SECRET.as_bytes());
    // The server has no keys any more, and would serve everybody.
    let settings = format!("{}$grace = 0.1;\n", sealed.logs.served("m", ""));
    let keyless = Server::start(&settings);
    link.redirect(keyless.address());
    place.wait_for_status("127.0.0.1", "ERR\n");
    sealed.logs.append("m", SECRET);
    plain.wait_for("log", SECRET.repeat(2).as_bytes());
    assert_eq!(place.read("log"), SECRET.as_bytes());
    let seen = link.seen();
    assert!(!seen.windows(SECRET.len()).any(|it| it == SECRET.as_bytes()));
}

#[test]
fn a_key_is_replaced_and_withdrawn_without_a_restart() {
    let sealed = Sealed::start("$require_key = 1;\n");
    let link = Link::to(sealed.server.address());
    let place = sealed.place(&link);
    let mut collector = place.start(&["-k", &sealed.key_file()]);
    sealed.logs.append("m", "one\n");
    place.wait_for("log", b"one\n");
    // Both keys are allowed, then the collector takes the new one, then the old one goes.
    let both = Sealed::settings(&sealed.keys, &sealed.logs, "$require_key = 1;\n");
    let new = format!("$keys_allow{{'{}'}} = 1;\n", sealed.keys.public("new"));
    sealed.server.reload(&format!("{both}{new}"));
    sealed.logs.append("m", "two\n");
    place.wait_for("log", b"one\ntwo\n");
    assert!(collector.stop().success());
    let file = sealed.keys.file("new").display().to_string();
    collector = place.start(&["-k", &file]);
    place.wait_for_status("127.0.0.1", "OK\n");
    let old = format!("$keys_allow{{'{}'}} = 0;\n", sealed.keys.public("host"));
    sealed.server.configure(&format!("{both}{new}{old}"));
    sealed.server.signal(Signal::HUP);
    sealed.logs.append("m", "three\n");
    place.wait_for("log", b"one\ntwo\nthree\n");
    // Who is connected goes at once when its key is withdrawn.
    let neither = format!("{both}{old}");
    sealed.server.configure(&neither);
    sealed.server.signal(Signal::HUP);
    sealed
        .server
        .wait_for("the new configuration does not allow this host");
    sealed
        .server
        .wait_for("has a key that is not in %keys_allow");
    place.wait_for_status("127.0.0.1", "ERR\n");
    let said = collector.out.wait_for("closed during the handshake");
    assert!(said.contains("key= is not its key"), "{said}");
}

#[test]
fn who_goes_on_behind_other_walls_has_the_key_that_was_there() {
    let sealed = Sealed::start("$require_key = 1;\n");
    let link = Link::to(sealed.server.address());
    let place = sealed.place(&link);
    let _collector = place.start(&["-k", &sealed.key_file()]);
    sealed.logs.append("m", "one\n");
    place.wait_for("log", b"one\n");
    // A directory that nobody knew of, so that another process takes over, and a key that nobody can read.
    let elsewhere = Logs::new();
    elsewhere.write("other", "there\n");
    let settings = Sealed::settings(&sealed.keys, &sealed.logs, "$require_key = 1;\n");
    let key = format!(
        "$private_key_file = '{}';\n",
        elsewhere.path("none").display()
    );
    let (other, before) = (elsewhere.served("other", ""), sealed.server.said().len());
    sealed.server.reload(&format!("{settings}{key}{other}"));
    assert!(sealed.server.said()[before..].contains("counts from the next start on"));
    sealed.logs.append("m", "two\n");
    place.wait_for("log", b"one\ntwo\n");
    place.wait_for_status("127.0.0.1", "OK\n");
    let said = sealed.server.said();
    assert!(!said.contains("cannot"), "{said}");
}

#[test]
fn keys_have_one_form_and_files_of_their_own() {
    let keys = Keys::make();
    let text = fs::read_to_string(keys.file("a")).unwrap();
    assert_eq!((text.len(), text.ends_with("=\n")), (45, true));
    assert_ne!(text, fs::read_to_string(keys.file("b")).unwrap());
    assert_eq!(keys.public("a").len(), 44);
    assert_eq!(pubkey(text.trim().as_bytes()), pubkey(text.as_bytes()));
    for bad in ["", "\n", &text[1..], &text.replace('=', "A")] {
        assert!(!pubkey(bad.as_bytes()).0, "{bad:?}");
    }
    assert_eq!(fetchlogs(&["genkey", "x"]).status, Some(2));
}

#[test]
fn a_key_file_for_others_is_refused_by_both_programs() {
    let sealed = Sealed::start("");
    let link = Link::to(sealed.server.address());
    let place = sealed.place(&link);
    let open = |name: &str| {
        fs::set_permissions(sealed.keys.file(name), Permissions::from_mode(0o640)).unwrap();
    };
    open("host");
    let refused = run(place.command(&["-k", &sealed.key_file()]));
    assert_eq!(refused.status, Some(78), "{refused:?}");
    assert!(refused.stderr.contains("it needs chmod 600"));
    open("box");
    let config = ConfigFile::new(&Sealed::settings(&sealed.keys, &sealed.logs, ""));
    let check = |path: &Path| {
        run(gen_numbers([
            "-t".as_ref(),
            "-c".as_ref(),
            path.as_os_str(),
        ]))
    };
    let refused = check(&config.path());
    assert_eq!(refused.status, Some(78), "{refused:?}");
    assert!(refused.stderr.contains("it needs chmod 600"));
    let lame = ConfigFile::new("$require_key = 1;\n");
    let refused = check(&lame.path());
    assert_eq!(refused.status, Some(78), "{refused:?}");
    assert!(
        refused
            .stderr
            .contains("$require_key needs $private_key_file")
    );
}
