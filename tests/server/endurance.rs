//! What a server has to bear: crowds, leaks that would add up, and a system that has nothing left to give.

use std::fs;
use std::process::Command;
use std::time::Duration;

use super::kinds::unprivileged;
use crate::common::FETCHLOGS;
use crate::common::classic::Client;
use crate::common::descriptors;
use crate::common::logs::Logs;
use crate::common::process::{Signal, cpu_ticks};
use crate::common::server::Server;
use crate::common::wait::until;

const TEXT: &str = "one line\n";

/// A log with a rotated file behind it, both quiet for long.
fn log() -> Logs {
    let logs = Logs::new();
    for (name, age) in [("messages.2", 300), ("messages.1", 200), ("messages", 100)] {
        logs.write(name, TEXT);
        logs.age(name, age);
    }
    logs
}

fn settings(logs: &Logs) -> String {
    logs.served("messages", "messages.*[0-9]")
}

fn expect_service(server: &Server, logs: &Logs) {
    let mut client = Client::ask(server, &logs.request("messages", "0 0"));
    assert_eq!(client.reply(), format!("O {}", logs.inode("messages")));
    client.expect(TEXT);
}

#[test]
fn hundreds_of_clients_leave_no_descriptors_behind() {
    let logs = log();
    let crowd = "$max_clients = 600; $max_clients_per_ip = 600;";
    let server = Server::start(&(settings(&logs) + crowd));
    expect_service(&server, &logs);
    let idle = server.idle_descriptors();
    for number in 0..500 {
        let name = if number % 2 == 0 { "messages" } else { "other" };
        let mut client = Client::connect(server.address());
        match number % 5 {
            0 => {}
            1 => client.send("/half a line"),
            2 => client.send(logs.request(name, format!("{} 0\n", logs.inode("messages.1")))),
            3 => client.send("nonsense\nand more\n"),
            _ => client.send(logs.request(name, "0 0\n")),
        }
        match number % 3 {
            0 => client.reset(),
            1 => client.send_end(),
            _ => drop(client),
        }
    }
    expect_service(&server, &logs);
    assert_eq!(server.idle_descriptors(), idle);
}

#[test]
fn no_descriptor_would_be_inherited() {
    let logs = log();
    let server = Server::start(&settings(&logs));
    let mut client = Client::ask(&server, &logs.request("messages", "0 0"));
    client.reply();
    let numbers = server.descriptors().into_iter();
    let own: Vec<usize> = numbers
        .filter(|&number| !descriptors::is_handed_down(number))
        .collect();
    assert!(
        own.len() >= 5,
        "the loop, its watches, the listener, a client and its file: {own:?}"
    );
    for number in own {
        let target = descriptors::target(server.pid(), number);
        let inheritable = descriptors::is_inheritable(server.pid(), number);
        assert_eq!(inheritable, Some(false), "{number} is {target:?}");
    }
}

#[test]
fn a_crowd_is_served() {
    let logs = log();
    let crowd = "$max_clients = 300; $max_clients_per_ip = 300; $delay_check = 3600;";
    let server = Server::start(&(settings(&logs) + crowd));
    let request = logs.request("messages", "0 0");
    let mut clients: Vec<Client> = (0..300).map(|_| Client::ask(&server, &request)).collect();
    for client in &mut clients {
        client.reply();
        client.expect(TEXT);
    }
    logs.append("messages", "for everybody\n");
    for client in &mut clients {
        client.expect("for everybody\n");
    }
}

#[test]
fn a_restart_need_not_wait_for_old_connections_to_fade() {
    let logs = log();
    // An address of our own, so that nobody else takes the port in between.
    let settings = settings(&logs) + "$bind_addr = '127.62.0.1';";
    let mut server = Server::start(&settings);
    let port = server.address().port();
    // The server closes first, so that the waiting is on its side.
    Client::ask(&server, "/not/served").expect_closed_without_a_word();
    let mut client = Client::ask(&server, &logs.request("messages", "0 0"));
    client.reply();
    server.signal(Signal::TERM);
    assert_eq!(server.wait().status, Some(0));
    client.rest();
    for _ in 0..3 {
        let mut server = Server::start(&format!("{settings}$bind_port = {port};"));
        assert_eq!(server.address().port(), port);
        Client::ask(&server, "/not/served").expect_closed_without_a_word();
        server.signal(Signal::KILL);
        server.wait();
    }
}

#[test]
fn a_server_that_has_nothing_to_do_does_nothing() {
    let logs = log();
    fs::File::create(logs.path("big"))
        .unwrap()
        .set_len(1 << 28)
        .unwrap();
    let rarely = "$delay_check = 3600; $alive_interval = 3600; $grace = 0;";
    let settings = settings(&logs) + &logs.served("big", "") + rarely;
    let server = Server::start(&settings);
    let ask = |name, rest: &str| Client::ask(&server, &logs.request(name, rest));
    let mut at_the_end = ask("messages", "0 9");
    at_the_end.reply();
    at_the_end.expect_keep_alive();
    let mut takes_nothing = ask("big", "0 0");
    takes_nothing.reply();
    let silent = Client::connect(server.address());
    let mut rotated = ask("messages", "0 0");
    rotated.reply();
    // Without a new file the rotated one stays open, however long it has been quiet.
    logs.rename("messages", "messages.0");
    expect_idle(&server);
    drop((at_the_end, takes_nothing, silent, rotated));
    server.idle_descriptors();
    expect_idle(&server);
    server.reload(&settings);
    expect_idle(&server);
}

/// A loop that spins would use every moment of this time, again and again. What is left to do may take a while.
fn expect_idle(server: &Server) {
    until("less than 5 hundredths of a second of 40", || {
        let before = cpu_ticks(server.pid());
        std::thread::sleep(Duration::from_millis(400));
        cpu_ticks(server.pid()) - before <= 5
    });
}

/// A server that may have so many descriptors open, and a crowd in front of it.
struct Poor {
    logs: Logs,
    server: Server,
}

const DESCRIPTORS: usize = 24;

impl Poor {
    fn new() -> Poor {
        let logs = log();
        let settings = settings(&logs) + "$max_clients_per_ip = 64;";
        let server = Server::start_as(&settings, |config| {
            let mut command = Command::new("sh");
            let script = format!("ulimit -n {DESCRIPTORS}; exec \"$@\"");
            command.args(["-c", &script, "sh", FETCHLOGS, "gen_numbers"]);
            command.args(unprivileged(config));
            command
        });
        Poor { logs, server }
    }

    /// How many descriptors it could still open.
    fn left(&self) -> usize {
        let numbers = self.server.descriptors();
        // The limit is one of numbers, and one that was inherited may lie beyond.
        DESCRIPTORS
            - numbers
                .iter()
                .filter(|&&number| number < DESCRIPTORS)
                .count()
    }

    /// Connects silent clients until this number of descriptors is left.
    fn leave(&self, left: usize) -> Vec<Client> {
        let silent = (left..self.left()).map(|_| Client::connect(self.server.address()));
        let silent = silent.collect();
        until("clients that were accepted", || self.left() == left);
        silent
    }
}

#[test]
fn without_descriptors_it_waits_and_then_serves_again() {
    let poor = Poor::new();
    let crowd: Vec<Client> = (0..40)
        .map(|_| Client::connect(poor.server.address()))
        .collect();
    poor.server.wait_for("cannot accept a connection: ");
    expect_idle(&poor.server);
    drop(crowd);
    expect_service(&poor.server, &poor.logs);
}

#[test]
fn without_descriptors_nothing_is_called_lost_and_nothing_is_skipped() {
    let poor = Poor::new();
    let inode = |name| poor.logs.inode(name);
    // The client's connection takes one; then the live file or the rotated one beside it cannot be opened.
    for left in [1, 2] {
        let silent = poor.leave(left);
        for offset in [0, TEXT.len()] {
            let request = format!("{} {offset}", inode("messages.2"));
            let mut client = Client::ask(&poor.server, &poor.logs.request("messages", request));
            client.expect_closed_without_a_word();
        }
        drop(silent);
        poor.server.idle_descriptors();
    }
    poor.server.wait_for("cannot read it: Too many open files");
    let request = format!("{} 0", inode("messages.2"));
    let mut client = Client::ask(&poor.server, &poor.logs.request("messages", request));
    assert_eq!(client.reply(), format!("O {}", inode("messages.2")));
}
