//! What stands at a configured path need not be a log: nothing but a regular file is ever served, and nothing is
//! waited for.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::geteuid;

use crate::common::classic::Client;
use crate::common::logs::Logs;
use crate::common::server::{Server, gen_numbers};

const TEXT: &str = "one line\n";

fn make_fifo(logs: &Logs, name: &str) {
    let mode = Mode::from_raw_mode(0o644);
    mknodat(CWD, logs.path(name), FileType::Fifo, mode, 0).unwrap();
}

/// A log in good order beside whatever else there is.
fn good_log() -> (Logs, String) {
    let logs = Logs::new();
    logs.write("good", TEXT);
    let settings = logs.served("good", "");
    (logs, settings)
}

fn expect_service(server: &Server, logs: &Logs) {
    let mut client = Client::ask(server, &logs.request("good", "0 0"));
    assert_eq!(client.reply(), format!("O {}", logs.inode("good")));
    client.expect(TEXT);
}

#[test]
fn what_is_no_regular_file_is_never_served_and_never_waited_for() {
    let (logs, mut settings) = good_log();
    make_fifo(&logs, "fifo");
    fs::create_dir(logs.path("directory")).unwrap();
    symlink("good", logs.path("link")).unwrap();
    symlink("nowhere", logs.path("dangling")).unwrap();
    symlink("loop", logs.path("loop")).unwrap();
    let _socket = UnixListener::bind(logs.path("socket")).unwrap();
    for name in ["fifo", "directory", "link", "dangling", "loop", "socket"] {
        settings += &logs.served(name, "");
    }
    for device in ["/dev/zero", "/dev/null", "/dev/tty"] {
        settings += &format!("$files{{'{device}'}} = '';\n");
    }
    let server = Server::start(&settings);
    for name in ["fifo", "directory", "link", "dangling", "loop", "socket"] {
        for rest in ["0 0", "1 1"] {
            Client::ask(&server, &logs.request(name, rest)).expect_closed_without_a_word();
            expect_service(&server, &logs);
        }
    }
    for device in ["/dev/zero", "/dev/null", "/dev/tty"] {
        Client::ask(&server, &format!("{device} 0 0")).expect_closed_without_a_word();
    }
    for (name, reason) in [
        ("link", "it is a symbolic link; name the file it leads to"),
        ("directory", "it is a directory"),
        ("fifo", "it is not a regular file"),
    ] {
        let path = logs.path(name);
        server.wait_for(&format!("127.0.0.1: {}: {reason}", path.display()));
    }
    expect_service(&server, &logs);
}

#[test]
fn rotated_files_are_regular_and_plain() {
    let (logs, settings) = good_log();
    let settings = settings + &logs.served("messages", "messages.*");
    logs.write("messages", "live\n");
    make_fifo(&logs, "messages.1");
    fs::create_dir(logs.path("messages.2")).unwrap();
    symlink("good", logs.path("messages.3")).unwrap();
    let compressed = ["gz", "bz2", "xz", "zst", "lz4", "Z"].map(|end| format!("messages.4.{end}"));
    for name in &compressed {
        logs.write(name, "not plain\n");
    }
    let server = Server::start(&settings);
    let names = ["messages.1", "messages.2", "good"].into_iter();
    for name in names.chain(compressed.iter().map(String::as_str)) {
        let request = logs.request("messages", format!("{} 0", logs.inode(name)));
        let mut client = Client::ask(&server, &request);
        assert_eq!(client.reply(), format!("L {}", logs.inode("messages")));
        client.expect("live\n");
    }
}

#[test]
fn a_log_that_becomes_something_else_is_not_followed_there() {
    let (logs, settings) = good_log();
    let settings = settings + &logs.served("messages", "") + "$grace = 0.1; $delay_check = 0.1;";
    let server = Server::start(&settings);
    for turn_into in [
        |logs: &Logs| make_fifo(logs, "messages"),
        |logs: &Logs| fs::create_dir(logs.path("messages")).unwrap(),
        |logs: &Logs| symlink("good", logs.path("messages")).unwrap(),
    ] {
        logs.write("messages", "one\n");
        let mut client = Client::ask(&server, &logs.request("messages", "0 0"));
        client.reply();
        client.expect("one\n");
        logs.remove("messages");
        turn_into(&logs);
        assert!(client.rest().is_empty());
        Client::ask(&server, &logs.request("messages", "0 0")).expect_closed_without_a_word();
        expect_service(&server, &logs);
        let path = logs.path("messages");
        fs::remove_file(&path)
            .or_else(|_| fs::remove_dir(&path))
            .unwrap();
    }
}

#[test]
fn a_file_that_cannot_be_read_is_said_and_served_as_soon_as_it_can() {
    let (logs, settings) = good_log();
    logs.write("messages", TEXT);
    let settings = settings + &logs.served("messages", "");
    let permit = |mode| {
        let permissions = Permissions::from_mode(mode);
        fs::set_permissions(logs.path("messages"), permissions).unwrap();
    };
    permit(0o000);
    let server = Server::start_as(&settings, |config| gen_numbers(unprivileged(config)));
    let request = logs.request("messages", "0 0");
    for _ in 0..3 {
        Client::ask(&server, &request).expect_closed_without_a_word();
    }
    server.wait_for("cannot read it: Permission denied");
    expect_service(&server, &logs);
    permit(0o444);
    let mut client = Client::ask(&server, &request);
    assert_eq!(client.reply(), format!("O {}", logs.inode("messages")));
    client.expect(TEXT);
}

/// Arguments for a server to which permissions mean something.
pub fn unprivileged(config: &OsStr) -> Vec<&OsStr> {
    let mut args = vec![OsStr::new("-c"), config];
    if geteuid().is_root() {
        args.extend(["-u", "65534:65534"].map(OsStr::new));
    }
    args
}
