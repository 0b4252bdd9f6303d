//! Logs whose files each have a name of their own.

use std::os::unix::fs::symlink;

use crate::common::classic::Client;
use crate::common::logs::Logs;
use crate::common::server::Server;

const QUICK: &str = "$delay_check = 0.1; $grace = 0.3; $alive_interval = 0.2;";

fn served(logs: &Logs, glob: &str) -> Server {
    let glob = logs.path(glob);
    let settings = format!("$series{{'/app'}} = '{}';\n{QUICK}", glob.display());
    Server::start(&settings)
}

fn expect(server: &Server, request: &str, reply: &str, text: &str) -> Client {
    let mut client = Client::ask(server, request);
    assert_eq!(client.reply(), reply);
    client.expect(text);
    client
}

#[test]
fn the_newest_file_is_live_until_a_newer_one_comes() {
    let logs = Logs::new();
    logs.write("app-2026-11-28.log", "saturday\n");
    logs.write("app-2026-11-27.log", "friday, touched\n");
    let server = served(&logs, "app-*.log");
    let old = logs.inode("app-2026-11-28.log");
    let mut client = expect(&server, "/app 0 0", &format!("O {old}"), "saturday\n");
    logs.append("app-2026-11-27.log", "late\n");
    logs.append("app-2026-11-28.log", "more\n");
    client.expect("more\n");
    logs.write("app-2026-11-29.log", "sunday\n");
    assert!(client.rest().is_empty());
    let new = logs.inode("app-2026-11-29.log");
    let mut client = expect(
        &server,
        &format!("/app {old} 14"),
        &format!("O {new}"),
        "sunday\n",
    );
    logs.append("app-2026-11-29.log", "more\n");
    client.expect("more\n");
}

#[test]
fn directories_by_date_are_looked_through() {
    let logs = Logs::new();
    let make = |day: &str, text: &str| {
        std::fs::create_dir_all(logs.path(&format!("2026/11/{day}"))).unwrap();
        logs.write(&format!("2026/11/{day}/access.log"), text);
        logs.inode(&format!("2026/11/{day}/access.log"))
    };
    let old = make("28", "saturday\n");
    let server = served(&logs, "*/*/*/access.log");
    let mut client = expect(&server, "/app 0 0", &format!("O {old}"), "saturday\n");
    let new = make("29", "sunday\n");
    assert!(client.rest().is_empty());
    expect(
        &server,
        &format!("/app {old} 9"),
        &format!("O {new}"),
        "sunday\n",
    );
}

#[test]
fn a_ring_is_followed_around() {
    let logs = Logs::new();
    logs.write("pg-Mon.log", "monday of last week\n");
    logs.write("pg-Tue.log", "tuesday\n");
    let server = served(&logs, "pg-*.log");
    let old = logs.inode("pg-Tue.log");
    let mut client = expect(&server, "/app 0 0", &format!("O {old}"), "tuesday\n");
    // Written from its start.
    logs.write("pg-Mon.log", "monday\n");
    assert!(client.rest().is_empty());
    let new = logs.inode("pg-Mon.log");
    expect(
        &server,
        &format!("/app {old} 8"),
        &format!("O {new}"),
        "monday\n",
    );
}

#[test]
fn a_log_that_is_a_link_is_the_newest_of_what_its_globs_find() {
    let logs = Logs::new();
    logs.write("app-2026-11-28.log", "saturday\n");
    symlink("app-2026-11-28.log", logs.path("latest.log")).unwrap();
    let server = Server::start(&(logs.served("latest.log", "app-*.log") + QUICK));
    let old = logs.inode("app-2026-11-28.log");
    let request = logs.request("latest.log", "0 0");
    let mut client = expect(&server, &request, &format!("O {old}"), "saturday\n");
    logs.write("app-2026-11-29.log", "sunday\n");
    assert!(client.rest().is_empty());
    let request = logs.request("latest.log", format_args!("{old} 9"));
    let new = logs.inode("app-2026-11-29.log");
    expect(&server, &request, &format!("O {new}"), "sunday\n");
}

#[test]
fn a_link_that_leads_elsewhere_makes_no_series() {
    let logs = Logs::new();
    logs.write("data", "moved\n");
    logs.write("messages.1", "rotated\n");
    symlink("data", logs.path("messages")).unwrap();
    let server = Server::start(&(logs.served("messages", "messages.*[0-9]") + QUICK));
    Client::ask(&server, &logs.request("messages", "0 0")).expect_closed_without_a_word();
    server.wait_for("it is a symbolic link");
}
