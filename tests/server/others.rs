//! Directories that belong to other users, who put links and second names there to read what is root's.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};

use rustix::process::geteuid;

use crate::common::classic::Client;
use crate::common::logs::Logs;
use crate::common::server::Server;
use crate::common::skipped::skipped;
use crate::common::wait::until;

const OTHER: u32 = 65_533;

/// A log `app/site/log` with rotated files in `app/old`, all of a user, and the same names in `root`. `None` if this
/// is not root.
fn scene() -> Option<Logs> {
    if !geteuid().is_root() {
        skipped("root alone can give files to others");
        return None;
    }
    let logs = Logs::new();
    for dir in ["root", "app", "app/site", "app/old"] {
        fs::create_dir(logs.path(dir)).unwrap();
    }
    fs::set_permissions(logs.path("root"), Permissions::from_mode(0o700)).unwrap();
    logs.write("root/log", "secret\n");
    logs.write("root/log.1", "secret\n");
    logs.write("app/site/log", "live\n");
    for name in ["app", "app/site", "app/old", "app/site/log"] {
        chown(logs.path(name), Some(OTHER), Some(OTHER)).unwrap();
    }
    Some(logs)
}

/// The user puts a link to root's directory in the place of one of his own.
fn turn(logs: &Logs, dir: &str) {
    logs.rename(dir, "moved");
    symlink(logs.path("root"), logs.path(dir)).unwrap();
    lchown(logs.path(dir), Some(OTHER), Some(OTHER)).unwrap();
}

fn turn_back(logs: &Logs, dir: &str) {
    logs.remove(dir);
    logs.rename("moved", dir);
}

fn expect_live(server: &Server, logs: &Logs) {
    let mut client = Client::ask(server, &logs.request("app/site/log", "0 0"));
    assert_eq!(client.reply(), format!("O {}", logs.inode("app/site/log")));
    client.expect("live\n");
}

#[test]
fn a_directory_of_a_log_that_becomes_a_link_of_its_owners_leads_nowhere() {
    let Some(logs) = scene() else { return };
    let settings = logs.served("app/site/log", "");
    let server = Server::start(&settings);
    expect_live(&server, &logs);
    for (dir, above) in [("app/site", "root"), ("app", "root")] {
        if dir == "app" {
            fs::create_dir(logs.path("root/site")).unwrap();
            logs.write("root/site/log", "secret\n");
        }
        assert!(logs.path(above).is_dir());
        turn(&logs, dir);
        for _ in 0..3 {
            Client::ask(&server, &logs.request("app/site/log", "0 0"))
                .expect_closed_without_a_word();
        }
        let link = format!("{} is a link of user {OTHER}", logs.path(dir).display());
        server.wait_for(&link);
        // Once as what was refused; and as the reason of the clients, which are counted instead of told.
        let starts = format!("gen_numbers: {link}");
        let told = server
            .said()
            .lines()
            .filter(|line| line.starts_with(&starts))
            .count();
        assert_eq!(told, 1, "{}", server.said());
        turn_back(&logs, dir);
        expect_live(&server, &logs);
    }
}

#[test]
fn a_directory_of_a_glob_that_becomes_a_link_of_its_owners_is_not_looked_into() {
    let Some(logs) = scene() else { return };
    // Where the walls shut out what is followed from now on is looked at as often as logs are.
    let often = "$alive_interval = 1;";
    let settings = often.to_owned() + &logs.served("app/site/log", "app/old/log.[0-9]");
    let inode = logs.inode("root/log.1");
    turn(&logs, "app/old");
    let server = Server::start(&settings);
    let request = logs.request("app/site/log", format!("{inode} 0"));
    let mut client = Client::ask(&server, &request);
    assert_eq!(client.reply(), format!("L {}", logs.inode("app/site/log")));
    client.expect("live\n");
    server.wait_for(&format!(
        "{} is a link of user {OTHER}",
        logs.path("app/old").display()
    ));
    // Root's own link is right.
    lchown(logs.path("app/old"), Some(0), Some(0)).unwrap();
    until("the log behind root's link", || {
        let mut client = Client::ask(&server, &request);
        let is_found = client.try_reply() == Some(format!("O {inode}"));
        if is_found {
            client.expect("secret\n");
        }
        is_found
    });
}

#[test]
fn a_second_name_of_a_file_of_roots_is_not_served() {
    let Some(logs) = scene() else { return };
    // The system may forbid users to make such a name; then this is what was before it did.
    logs.remove("app/site/log");
    fs::hard_link(logs.path("root/log"), logs.path("app/site/log")).unwrap();
    let server = Server::start(&logs.served("app/site/log", ""));
    let request = logs.request("app/site/log", "0 0");
    Client::ask(&server, &request).expect_closed_without_a_word();
    let path = logs.path("app/site/log");
    server.wait_for(&format!("{} has a second name", path.display()));
    // A backup of the user's own log is none of it.
    chown(&path, Some(OTHER), None).unwrap();
    let mut client = Client::ask(&server, &request);
    client.reply();
    client.expect("secret\n");
}

#[test]
fn whoever_allows_this_machine_itself_is_told_who_that_is() {
    let logs = Logs::new();
    logs.write("log", "live\n");
    let settings = logs.served("log", "");
    let server = Server::start(&settings);
    server.wait_for("every local user can read all that is served");
}
