//! Files that the box deletes while a client has still to get them.

use crate::common::classic::Client;
use crate::common::logs::Logs;
use crate::common::server::Server;
use crate::common::skipped::skipped;
use crate::common::wait::until;

const QUICK: &str = "$delay_check = 0.1; $grace = 0.2; $alive_interval = 0.2;";

/// A client that was here and went, a rotation, and the rotated file deleted. The server, the old inode.
fn scene(settings: &str) -> (Logs, Server, u64) {
    let logs = Logs::new();
    logs.write("messages", "one\n");
    let settings = logs.served("messages", "messages.*[0-9]") + QUICK + settings;
    let server = Server::start(&settings);
    let old = logs.inode("messages");
    let mut client = Client::ask(&server, &logs.request("messages", "0 0"));
    client.reply();
    client.expect("one\n");
    // It is noted at the next look.
    let is_held = || opened(&server, old) > 1;
    if settings.contains("keep_deleted") {
        until("it is held, and not only sent", is_held);
    }
    drop(client);
    logs.append("messages", "two\n");
    logs.rename("messages", "messages.1");
    logs.write("messages", "three\n");
    logs.remove("messages.1");
    (logs, server, old)
}

/// How often the server has a file open.
fn opened(server: &Server, inode: u64) -> usize {
    use std::os::unix::fs::MetadataExt;
    let dir = format!("/proc/{}/fd", server.pid());
    let Ok(open) = std::fs::read_dir(dir) else {
        return 0;
    };
    open.flatten()
        .filter_map(|entry| std::fs::metadata(entry.path()).ok())
        .filter(|seen| seen.ino() == inode)
        .count()
}

/// Whether files are given up here because too little is free.
fn is_nearly_full() -> bool {
    let told = rustix::fs::statvfs(std::env::temp_dir()).unwrap();
    let is_full = told.f_bavail < told.f_blocks / 9;
    if is_full {
        skipped("the file system is nearly full");
    }
    is_full
}

#[test]
fn a_client_gets_what_was_deleted_meanwhile() {
    if is_nearly_full() {
        return;
    }
    let (logs, server, old) = scene("$keep_deleted = '1M';");
    let mut client = Client::ask(&server, &logs.request("messages", format_args!("{old} 4")));
    assert_eq!(client.reply(), format!("O {old}"));
    client.expect("two\n");
    assert!(client.rest().is_empty());
    let new = logs.inode("messages");
    let mut client = Client::ask(&server, &logs.request("messages", format_args!("{old} 8")));
    assert_eq!(client.reply(), format!("O {new}"));
    client.expect("three\n");
    // Nobody needs it any more.
    until("it is held no more", || opened(&server, old) == 0);
}

#[test]
fn what_is_too_much_is_given_up() {
    let (_logs, server, old) = scene("$keep_deleted = 7;");
    server.wait_for(
        " was deleted, and is given up though a client lacks it: $keep_deleted is reached",
    );
    until("it is held no more", || opened(&server, old) == 0);
}

#[test]
fn nothing_is_held_unasked() {
    let (logs, server, old) = scene("");
    let mut client = Client::ask(&server, &logs.request("messages", format_args!("{old} 4")));
    assert_eq!(client.reply(), format!("L {}", logs.inode("messages")));
    client.expect("three\n");
}
