//! Request lines as they come: in pieces, too long, too many, and from clients that mean something else.

use crate::common::classic::Client;
use crate::common::logs::Logs;
use crate::common::process::Signal;
use crate::common::server::Server;

const TEXT: &str = "one line\n";

fn served_log() -> (Logs, Server) {
    let logs = Logs::new();
    logs.write("messages", TEXT);
    let server = Server::start(&logs.served("messages", ""));
    (logs, server)
}

fn line_of(logs: &Logs) -> String {
    logs.request("messages", format!("{} 0\n", logs.inode("messages")))
}

fn expect_answer(client: &mut Client, logs: &Logs) {
    assert_eq!(client.reply(), format!("O {}", logs.inode("messages")));
    client.expect(TEXT);
}

/// Whatever else happened, a good client has to be served.
fn expect_service(server: &Server, logs: &Logs) {
    let mut client = Client::ask(server, line_of(logs).trim_end());
    expect_answer(&mut client, logs);
}

#[test]
fn a_request_may_be_cut_anywhere() {
    let (logs, server) = served_log();
    let line = line_of(&logs);
    for cut in 1..line.len() {
        let (first, second) = line.as_bytes().split_at(cut);
        let mut client = Client::connect(server.address());
        client.send(first);
        // Another client's whole dialogue, so that the server has seen the first piece alone.
        expect_service(&server, &logs);
        client.send(second);
        expect_answer(&mut client, &logs);
    }
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let (logs, server) = served_log();
    let mut client = Client::connect(server.address());
    for byte in line_of(&logs).bytes() {
        client.send([byte]);
    }
    expect_answer(&mut client, &logs);
}

#[test]
fn blanks_tabs_and_a_carriage_return_make_no_difference() {
    let (logs, server) = served_log();
    let (path, inode) = (logs.path("messages"), logs.inode("messages"));
    let path = path.display();
    for line in [
        format!("{path}\t{inode}\t0\n"),
        format!("{path}   {inode} \t 0  \n"),
        format!("  {path} {inode} 0\n"),
        format!("{path} {inode} 0\r\n"),
        format!("{path} {inode}\r\n"),
    ] {
        let mut client = Client::connect(server.address());
        client.send(&line);
        expect_answer(&mut client, &logs);
    }
}

#[test]
fn a_path_may_hold_what_is_no_blank() {
    let logs = Logs::new();
    let name = "größe\u{1f98a}'#{}[]*?~^&;.log";
    logs.write(name, TEXT);
    // The helper writes it in double quotes, where all of these stand for themselves but for
    // backslashes; wildcards need one, or the key would stand for many logs.
    let key = ['[', '*', '?']
        .iter()
        .fold(logs.served(name, ""), |text, wildcard| {
            text.replace(*wildcard, &format!("\\\\{wildcard}"))
        });
    let server = Server::start(&key);
    let mut client = Client::ask(&server, &logs.request(name, "0 0"));
    assert_eq!(client.reply(), format!("O {}", logs.inode(name)));
    client.expect(TEXT);
}

#[test]
fn a_client_that_sends_anything_behind_its_line_is_dropped() {
    let (logs, server) = served_log();
    let line = line_of(&logs);
    for chatter in ["x", "\n", "\0", line.as_str()] {
        let mut at_once = Client::connect(server.address());
        at_once.send(format!("{line}{chatter}"));
        at_once.rest();

        let mut later = Client::connect(server.address());
        later.send(&line);
        expect_answer(&mut later, &logs);
        later.send(chatter);
        later.rest();
    }
    let log = logs.path("messages");
    let log = log.display();
    server.wait_for(&format!(
        "127.0.0.1: {log}: the client sent something after its request line"
    ));
    expect_service(&server, &logs);
}

#[test]
fn the_longest_line_is_read_and_a_longer_one_is_not() {
    let (logs, server) = served_log();
    let line = |len: usize| {
        let start = logs.request("messages", "0 0 ");
        format!("{start}{}\n", "x".repeat(len - start.len()))
    };
    let mut longest = Client::connect(server.address());
    longest.send(line(2560));
    expect_answer(&mut longest, &logs);
    let mut longer = Client::connect(server.address());
    longer.send(line(2561));
    longer.expect_closed_without_a_word();
    server.wait_for("sent a request line longer than 2560 bytes");
}

#[test]
fn a_line_without_end_is_not_waited_for() {
    let (logs, server) = served_log();
    let mut client = Client::connect(server.address());
    client.send(vec![b'x'; 1 << 20]);
    client.expect_closed_without_a_word();
    expect_service(&server, &logs);
}

#[test]
fn garbage_is_closed_without_a_word() {
    let (logs, server) = served_log();
    let path = logs.path("messages").display().to_string();
    for garbage in [
        &b"\n"[..],
        b"\r\n",
        b" \t \n",
        b"\0\n",
        b"\0\0\0\0\0\0\0\0\n",
        b"\x07\x07\x07\n",
        b"\xff\xfe\xfd 1 2\n",
        b"GET / HTTP/1.0\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n",
        b"/etc/passwd\0 0 0\n",
        b"\x1b[2J 0 0\n",
        format!("{path}\0 0 0\n").as_bytes(),
        format!("{path} \0 0\n").as_bytes(),
        format!("{path} 0 0\0\n").as_bytes(),
    ] {
        let mut client = Client::connect(server.address());
        client.send(garbage);
        client.expect_closed_without_a_word();
    }
    expect_service(&server, &logs);
    let said = server.said();
    let is_plain = |c: char| c == '\n' || !c.is_control();
    assert!(said.chars().all(is_plain), "{said:?}");
}

#[test]
fn a_client_that_closes_its_half_is_dropped() {
    let (logs, server) = served_log();
    let mut early = Client::connect(server.address());
    early.send(&line_of(&logs)[..5]);
    early.send_end();
    early.expect_closed_without_a_word();

    let mut late = Client::connect(server.address());
    late.send(line_of(&logs));
    expect_answer(&mut late, &logs);
    late.send_end();
    assert!(late.rest().is_empty());
    expect_service(&server, &logs);
}

#[test]
fn a_person_whose_half_is_closed_is_sent_what_there_is() {
    let logs = Logs::new();
    let text = "a line of the log\n".repeat(400_000);
    logs.write("messages", &text);
    let server = Server::start(&logs.served("messages", ""));
    // As `printf ... | nc` does. Other than a collector it does not say what it holds.
    let mut client = Client::connect(server.address());
    client.send(logs.request("messages", "\n"));
    client.send_end();
    assert_eq!(client.reply(), format!("O {}", logs.inode("messages")));
    client.expect_closed_after(&text);
    drop(server);
}

#[test]
fn version_2_never_closes_its_half_only() {
    let (logs, server) = served_log();
    let mut client = Client::connect(server.address());
    client.send(logs.request("messages", "0 0 v2\n"));
    client.send_end();
    client.expect_closed_without_a_word();
    expect_service(&server, &logs);
}

#[test]
fn connections_that_are_reset_before_they_are_accepted_do_no_harm() {
    let (logs, server) = served_log();
    // The connections of one pause are all accepted before the first of them is seen to be dead.
    server.reload(&(logs.served("messages", "") + "$max_clients_per_ip = 60;"));
    for _ in 0..3 {
        server.signal(Signal::STOP);
        for n in 0..40 {
            let mut client = Client::connect(server.address());
            if n % 2 == 0 {
                client.send(line_of(&logs));
            }
            client.reset();
        }
        server.signal(Signal::CONT);
        expect_service(&server, &logs);
    }
}

#[test]
fn connections_that_are_reset_at_any_later_time_do_no_harm() {
    let (logs, server) = served_log();
    for n in 0..60 {
        let mut client = Client::connect(server.address());
        client.send(line_of(&logs));
        if n % 3 == 0 {
            client.reply();
        }
        client.reset();
    }
    expect_service(&server, &logs);
}
