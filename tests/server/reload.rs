//! Signals: another configuration, and the end.

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use crate::common::classic::Client;
use crate::common::logs::Logs;
use crate::common::process::Signal;
use crate::common::server::Server;
use crate::common::wait::until;

/// Two logs, "one" and "two", each holding its name as a line.
fn two_logs() -> Logs {
    let logs = Logs::new();
    logs.write("one", "one\n");
    logs.write("two", "two\n");
    logs
}

fn streaming(server: &Server, logs: &Logs, name: &str) -> Client {
    expect_stream(Client::connect(server.address()), logs, name)
}

fn streaming_from(from: [u8; 4], server: &Server, logs: &Logs, name: &str) -> Client {
    let client = Client::connect_from(from.into(), server.address());
    expect_stream(client, logs, name)
}

fn expect_stream(mut client: Client, logs: &Logs, name: &str) -> Client {
    client.send(logs.request(name, "0 0\n"));
    assert_eq!(client.reply(), format!("O {}", logs.inode(name)));
    client.expect(format!("{name}\n"));
    client
}

/// The stream goes on: what is written arrives.
fn expect_alive(client: &mut Client, logs: &Logs, name: &str) {
    logs.append(name, "more\n");
    client.expect("more\n");
}

#[test]
fn a_file_that_is_added_is_served_and_streams_go_on() {
    let logs = two_logs();
    let server = Server::start(&logs.served("two", ""));
    let mut client = streaming(&server, &logs, "two");
    Client::ask(&server, &logs.request("one", "0 0")).expect_closed_without_a_word();
    // The new file comes first, so that the other one has another number now.
    server.reload(&(logs.served("one", "") + &logs.served("two", "")));
    let mut added = streaming(&server, &logs, "one");
    expect_alive(&mut client, &logs, "two");
    expect_alive(&mut added, &logs, "one");
}

#[test]
fn a_fifo_in_place_of_the_configuration_stops_nothing() {
    let logs = two_logs();
    let server = Server::start(&logs.served("one", ""));
    let mut client = streaming(&server, &logs, "one");
    fs::remove_file(server.config()).unwrap();
    let made = Command::new("mkfifo").arg(server.config()).status();
    assert!(made.unwrap().success());
    server.signal(Signal::HUP);
    server.wait_for("it is not a regular file");
    server.wait_for("the configuration stays as it was before");
    expect_alive(&mut client, &logs, "one");
}

#[test]
fn a_configuration_that_was_emptied_stops_nothing() {
    let logs = two_logs();
    let server = Server::start(&logs.served("one", ""));
    let mut client = streaming(&server, &logs, "one");
    for text in ["", "$hosts_allow{'127.0.0.1'} = 1;\n"] {
        fs::write(server.config(), text).unwrap();
        server.signal(Signal::HUP);
        server.wait_for("names no log any more");
        server.wait_for("the configuration stays as it was before");
        expect_alive(&mut client, &logs, "one");
    }
}

#[test]
fn a_file_that_is_withdrawn_ends_its_streams_and_no_other() {
    let logs = two_logs();
    let server = Server::start(&(logs.served("one", "") + &logs.served("two", "")));
    let mut one = streaming(&server, &logs, "one");
    let mut two = streaming(&server, &logs, "two");
    server.reload(&logs.served("two", ""));
    assert!(one.rest().is_empty());
    server.wait_for("does not allow this host, or does not name this log");
    Client::ask(&server, &logs.request("one", "0 0")).expect_closed_without_a_word();
    expect_alive(&mut two, &logs, "two");
}

#[test]
fn a_host_that_is_withdrawn_loses_its_connections_and_nobody_else() {
    let logs = two_logs();
    let settings = logs.served("one", "");
    let both = format!("{settings}$hosts_allow{{'127.0.0.2'}} = 1;");
    let server = Server::start(&both);
    let mut silent = Client::connect_from([127, 0, 0, 2].into(), server.address());
    let mut withdrawn = streaming_from([127, 0, 0, 2], &server, &logs, "one");
    let mut stays = streaming(&server, &logs, "one");
    server.reload(&settings);
    assert!(withdrawn.rest().is_empty());
    silent.expect_closed_without_a_word();
    Client::connect_from([127, 0, 0, 2].into(), server.address()).expect_closed_without_a_word();
    expect_alive(&mut stays, &logs, "one");

    logs.write("one", "one\n");
    server.reload(&both);
    streaming_from([127, 0, 0, 2], &server, &logs, "one");
}

#[test]
fn periods_and_limits_change_for_streams_that_are_there() {
    let logs = two_logs();
    let settings = logs.served("one", "");
    let server = Server::start(&(settings.clone() + "$alive_interval = 3600;"));
    let mut client = streaming(&server, &logs, "one");
    server.reload(&(settings + "$alive_interval = 0.05; $max_clients = 1;"));
    client.expect_keep_alive();
    client.expect_keep_alive();
    Client::connect(server.address()).expect_closed_without_a_word();
}

#[test]
fn a_request_may_be_cut_by_a_new_configuration() {
    let logs = two_logs();
    let server = Server::start(&logs.served("one", ""));
    let line = logs.request("two", "0 0\n");
    let mut client = Client::connect(server.address());
    client.send(&line[..line.len() / 2]);
    server.reload(&logs.served("two", ""));
    client.send(&line[line.len() / 2..]);
    assert_eq!(client.reply(), format!("O {}", logs.inode("two")));
}

#[test]
fn a_faulty_configuration_changes_nothing_and_its_faults_are_told_with_their_places() {
    let logs = two_logs();
    let settings = logs.served("one", "");
    let server = Server::start(&settings);
    let mut client = streaming(&server, &logs, "one");
    server.reload_in_vain("$delay_check = 1;\n  $nonsense = 1;\n$bind_port = 99999;\n");
    let config = server.config();
    // The file's first line is not ours.
    let fault = server.wait_for(&format!("{}:3:3: ", config.display()));
    assert!(fault.contains("nonsense"), "{fault}");
    server.wait_for(&format!("{}:4:14: ", config.display()));
    expect_alive(&mut client, &logs, "one");
    logs.write("one", "one\n");
    streaming(&server, &logs, "one");
}

#[test]
fn a_configuration_that_cannot_be_read_changes_nothing() {
    let logs = two_logs();
    let server = Server::start(&logs.served("one", ""));
    let mut client = streaming(&server, &logs, "one");
    fs::remove_file(server.config()).unwrap();
    server.signal(Signal::HUP);
    server.wait_for("cannot read ");
    server.wait_for("the configuration stays as it was before");
    expect_alive(&mut client, &logs, "one");
    // A later one is taken up.
    server.reload(&logs.served("two", ""));
    streaming(&server, &logs, "two");
}

#[test]
fn another_address_to_listen_on_is_taken_up_and_clients_stay() {
    let logs = two_logs();
    let settings = logs.served("one", "");
    let server = Server::start(&(settings.clone() + "$bind_addr = '127.61.0.1';"));
    let mut client = streaming(&server, &logs, "one");
    let port = server.address().port();
    let moved = format!("{settings}$bind_addr = '127.61.0.2'; $bind_port = {port};");
    server.reload(&moved);
    let new_address = ([127, 61, 0, 2], port).into();
    let mut newcomer = Client::connect(new_address);
    newcomer.send(logs.request("one", "0 0\n"));
    newcomer.expect(format!("O {}\none\n", logs.inode("one")));
    assert!(std::net::TcpStream::connect(server.address()).is_err());
    expect_alive(&mut client, &logs, "one");
}

#[test]
fn an_address_that_is_taken_leaves_the_server_where_it_is() {
    let logs = two_logs();
    let settings = logs.served("one", "");
    let server = Server::start(&settings);
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port();
    server.reload(&format!("{settings}$bind_port = {port};"));
    server.wait_for(&format!("cannot listen on 127.0.0.1:{port}: "));
    server.wait_for("read the configuration again");
    streaming(&server, &logs, "one");
}

#[test]
fn many_reloads_leave_no_descriptors_behind() {
    let logs = two_logs();
    let settings = logs.served("one", "") + &logs.served("two", "");
    let server = Server::start(&settings);
    let mut client = streaming(&server, &logs, "one");
    let before = server.descriptors().len();
    for _ in 0..10 {
        server.reload_in_vain("nonsense");
        server.reload(&settings);
    }
    assert_eq!(server.descriptors().len(), before);
    expect_alive(&mut client, &logs, "one");
}

#[test]
fn the_signals_to_stop_end_it_well() {
    for signal in [Signal::TERM, Signal::INT] {
        let logs = two_logs();
        let mut server = Server::start(&logs.served("one", ""));
        let mut clients = [
            streaming(&server, &logs, "one"),
            Client::connect(server.address()),
        ];
        server.signal(signal);
        assert_eq!(server.wait().status, Some(0));
        for client in &mut clients {
            client.expect_closed_without_a_word();
        }
    }
}

#[test]
fn usr1_has_clients_logs_and_generations_told() {
    let logs = two_logs();
    logs.write("two.1", "before\n");
    let settings = logs.served("one", "one.1") + &logs.served("two", "two.1");
    let server = Server::start(&settings);
    // Who has the rotated file open may go on with it, so it is sent on.
    let _writer = logs.writer("one");
    let _client = streaming(&server, &logs, "one");
    let first = logs.inode("one");
    logs.rename("one", "one.1");
    logs.write("one", "");
    let _silent = Client::connect(server.address());
    let (one, two) = (logs.path("one"), logs.path("two"));
    let (one, two) = (one.display(), two.display());
    let wanted = [
        format!("{one} has inode {first} with 4 bytes, rotated"),
        format!("{one} has inode {} with 0 bytes, live", logs.inode("one")),
        format!("{two} has rotated files from before: 1"),
        format!("{two} has inode {} with 4 bytes, live", logs.inode("two")),
        format!("127.0.0.1 gets {one}, inode {first}, rotated, and has 4 of 4 bytes"),
        "127.0.0.1 has not asked for anything yet".to_owned(),
        "logs served: 2, clients: 2".to_owned(),
    ];
    until("all of it to be told", || {
        server.signal(Signal::USR1);
        let said = server.said();
        wanted.iter().all(|line| said.contains(&**line))
    });
}

#[test]
fn other_signals_do_no_harm() {
    let logs = two_logs();
    let server = Server::start(&logs.served("one", ""));
    let mut client = streaming(&server, &logs, "one");
    for signal in [Signal::USR1, Signal::PIPE, Signal::IO] {
        server.signal(signal);
        expect_alive(&mut client, &logs, "one");
    }
}
