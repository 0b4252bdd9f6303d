//! Who is let in, and how many.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use fetchlogs::limits::{PEER_LINES_MAX, PEERS_HEARD_MAX, QUESTIONS_MAX, TURNED_AWAY_MAX};
use fetchlogs::wire::frame::{ErrorCode, Frame};

use crate::common::classic::Client;
use crate::common::logs::Logs;
use crate::common::process::Signal;
use crate::common::server::Server;
use crate::common::skipped;
use crate::common::wait::until;

const TEXT: &str = "one line\n";

fn served_log(settings: &str) -> (Logs, Server) {
    let logs = Logs::new();
    logs.write("messages", TEXT);
    let server = Server::start(&(logs.served("messages", "") + settings));
    (logs, server)
}

fn local(last: [u8; 3]) -> Ipv4Addr {
    Ipv4Addr::new(127, last[0], last[1], last[2])
}

/// Comes from an address of this machine.
fn client_from(server: &Server, last: [u8; 3]) -> Client {
    Client::connect_from(local(last), server.address())
}

fn expect_service(client: &mut Client, logs: &Logs) {
    client.send(logs.request("messages", "0 0\n"));
    assert_eq!(client.reply(), format!("O {}", logs.inode("messages")));
    client.expect(TEXT);
}

/// A client of version 2 is told why there is no place, one of classic is not.
fn expect_turned_away(server: &Server, from: [u8; 3], why: &str, logs: &Logs) {
    let mut client = client_from(server, from);
    client.send(logs.request("messages", "0 0 v2\n"));
    let (code, text) = (ErrorCode::Busy, why.as_bytes());
    let error = Frame::Error { code, text }.to_bytes();
    client.expect_closed_after([b"E 0 v2\n", &error[..]].concat());
    let mut client = client_from(server, from);
    client.send(logs.request("messages", "0 0\n"));
    client.expect_closed_without_a_word();
}

#[test]
fn who_is_not_named_is_closed_at_once_and_without_a_word() {
    let settings = "$hosts_allow{'127.0.0.1'} = 0; $hosts_allow{'127.0.0.2'} = 1;";
    let (logs, server) = served_log(settings);
    // Before anything was asked.
    client_from(&server, [0, 0, 1]).expect_closed_without_a_word();
    client_from(&server, [0, 0, 3]).expect_closed_without_a_word();
    server.wait_for("127.0.0.1: is not in %hosts_allow");
    server.wait_for("127.0.0.3: is not in %hosts_allow");

    let mut hasty = client_from(&server, [0, 0, 1]);
    hasty.send(logs.request("messages", "0 0\n"));
    hasty.expect_closed_without_a_word();
    expect_service(&mut client_from(&server, [0, 0, 2]), &logs);
}

#[test]
fn networks_are_allowed_and_single_hosts_taken_out_of_them() {
    let settings = "$hosts_allow{'127.8.0.0/16'} = 1; $hosts_allow{'127.8.3.0/24'} = 0;
        $hosts_allow{'127.8.3.9'} = 1;";
    let (logs, server) = served_log(settings);
    for allowed in [[0, 0, 1], [8, 0, 1], [8, 255, 254], [8, 3, 9]] {
        expect_service(&mut client_from(&server, allowed), &logs);
    }
    for refused in [[0, 0, 2], [7, 0, 1], [9, 0, 1], [8, 3, 1], [8, 3, 10]] {
        client_from(&server, refused).expect_closed_without_a_word();
    }
}

#[test]
fn nobody_named_is_nobody_served_and_said_so() {
    let (_logs, server) = served_log("%hosts_allow = ();");
    server.wait_for("%hosts_allow is empty: nobody is served");
    client_from(&server, [0, 0, 1]).expect_closed_without_a_word();
}

#[test]
fn ipv6_is_spoken_too() {
    if TcpListener::bind("[::1]:0").is_err() {
        skipped("this machine has no IPv6");
        return;
    }
    let (logs, server) = served_log("$bind_addr = '::1'; $hosts_allow{'::1'} = 1;");
    expect_service(&mut Client::connect(server.address()), &logs);

    let (_logs, server) = served_log("$bind_addr = '::1'; $hosts_allow{'2001:db8::/32'} = 1;");
    Client::connect(server.address()).expect_closed_without_a_word();
    server.wait_for("::1: is not in %hosts_allow");
}

#[test]
fn an_address_for_both_protocols_knows_the_hosts_of_either() {
    if TcpListener::bind("[::]:0").is_err() {
        skipped("this machine has no IPv6");
        return;
    }
    let (logs, server) = served_log("$bind_addr = '::'; $hosts_allow{'::1'} = 1;");
    let port = server.address().port();
    for address in ["127.0.0.1", "::1"] {
        let address = SocketAddr::new(address.parse().unwrap(), port);
        expect_service(&mut Client::connect(address), &logs);
    }
    let address = SocketAddr::new([127, 0, 0, 1].into(), port);
    Client::connect_from(local([0, 0, 2]), address).expect_closed_without_a_word();
    server.wait_for("127.0.0.2: is not in %hosts_allow");
}

#[test]
fn who_asks_for_nothing_makes_room_for_an_address_that_has_fewer() {
    let settings = "$max_clients = 6; $hosts_allow{'127.0.0.0/8'} = 1;";
    let (logs, server) = served_log(settings);
    let mut busy = client_from(&server, [0, 0, 4]);
    expect_service(&mut busy, &logs);
    let mut first = client_from(&server, [0, 0, 2]);
    let mut silent: Vec<Client> = (0..2).map(|_| client_from(&server, [0, 0, 2])).collect();
    silent.extend((0..2).map(|_| client_from(&server, [0, 0, 3])));
    for client in &mut silent {
        client.send("/");
    }
    let mut good = client_from(&server, [0, 0, 1]);
    expect_service(&mut good, &logs);
    // Of those from the address with the most, the one that was there first.
    first.expect_closed_without_a_word();
    server.wait_for("127.0.0.2: asked for nothing, and made room for others");
    let mut second = client_from(&server, [0, 0, 1]);
    // It has as many as the others by now: they keep what they have, and so do all who were served.
    expect_turned_away(
        &server,
        [0, 0, 3],
        "there are $max_clients clients already",
        &logs,
    );
    logs.append("messages", "more\n");
    busy.expect("more\n");
    good.expect("more\n");
    second.expect_closed_without_a_word();
}

#[test]
fn addresses_share_what_places_there_are() {
    let settings = "$max_clients = 6; $hosts_allow{'127.0.0.0/8'} = 1;";
    let (logs, server) = served_log(settings);
    let mut served = |last: u8| {
        let mut client = client_from(&server, [0, 0, last]);
        expect_service(&mut client, &logs);
        client
    };
    let mut greedy: Vec<Client> = [2, 2, 2, 3, 3, 3].map(&mut served).into();
    // One of theirs goes for each of these.
    let mut good = [served(1), served(1)];
    for _ in 0..2 {
        server.wait_for("made room for an address with fewer clients");
    }
    // All have as many as the others by now.
    expect_turned_away(
        &server,
        [0, 0, 1],
        "there are $max_clients clients already",
        &logs,
    );
    logs.append("messages", "more\n");
    good.iter_mut().for_each(|client| client.expect("more\n"));
    let follows = |client: &mut Client| client.some_data().is_some();
    let left = greedy.iter_mut().map(follows).filter(|it| *it).count();
    assert_eq!(left, 4);
}

#[test]
fn clients_beyond_the_number_that_is_allowed_are_closed_without_a_word() {
    let settings = "$max_clients = 3; $hosts_allow{'127.0.0.0/8'} = 1;";
    let (logs, server) = served_log(settings);
    let mut clients: Vec<Client> = (1..4).map(|n| client_from(&server, [0, 0, n])).collect();
    for client in &mut clients {
        expect_service(client, &logs);
    }
    // Who asks for version 2 is told; who does not, or asks for nothing, is closed.
    client_from(&server, [0, 0, 4]).expect_closed_without_a_word();
    server.wait_for("127.0.0.4: there are $max_clients clients already");
    expect_turned_away(
        &server,
        [0, 0, 4],
        "there are $max_clients clients already",
        &logs,
    );
    // Nobody is disturbed, and a place that becomes free is given away again.
    logs.append("messages", "more\n");
    for client in &mut clients {
        client.expect("more\n");
    }
    clients.pop();
    until("a free place", || {
        let mut client = client_from(&server, [0, 0, 5]);
        client.send(logs.request("messages", "0 0\n"));
        client.some_data().is_some()
    });
}

#[test]
fn one_address_cannot_take_all_places() {
    let settings = "$max_clients_per_ip = 2; $hosts_allow{'127.0.0.0/8'} = 1;";
    let (logs, server) = served_log(settings);
    let mut first = [
        client_from(&server, [0, 0, 1]),
        client_from(&server, [0, 0, 1]),
    ];
    for client in &mut first {
        expect_service(client, &logs);
    }
    client_from(&server, [0, 0, 1]).expect_closed_without_a_word();
    server.wait_for("127.0.0.1: has $max_clients_per_ip connections already");
    let why = "has $max_clients_per_ip connections already";
    expect_turned_away(&server, [0, 0, 1], why, &logs);
    expect_service(&mut client_from(&server, [0, 0, 2]), &logs);
}

/// What a collector asks about a copy that it has, and how far it is answered.
fn digest_over(client: &mut Client, logs: &Logs) -> String {
    client.send(logs.request(
        "messages",
        format!("{} 6 v2 op=digest\n", logs.inode("messages")),
    ));
    client.reply()
}

#[test]
fn an_address_that_has_all_its_places_can_have_its_copies_compared() {
    let settings = "$max_clients = 2; $max_clients_per_ip = 1; $hosts_allow{'127.0.0.0/8'} = 1;";
    let (logs, server) = served_log(settings);
    let mut first = client_from(&server, [0, 0, 1]);
    expect_service(&mut first, &logs);
    for _ in 0..2 * QUESTIONS_MAX {
        let mut client = client_from(&server, [0, 0, 1]);
        assert!(digest_over(&mut client, &logs).starts_with("O "));
    }
    assert!(!server.said().contains("has $max_clients_per_ip"));
    // Nothing else is to be had so, and no more than some at the same time.
    let why = "has $max_clients_per_ip connections already";
    expect_turned_away(&server, [0, 0, 1], why, &logs);
    server.wait_for(why);
    server.signal(Signal::STOP);
    let _silent: Vec<Client> = (0..QUESTIONS_MAX)
        .map(|_| client_from(&server, [0, 0, 1]))
        .collect();
    let mut next = client_from(&server, [0, 0, 1]);
    server.signal(Signal::CONT);
    assert!(digest_over(&mut next, &logs).starts_with("E "));
    // Nor are there more when the server as a whole is full.
    let mut second = client_from(&server, [0, 0, 2]);
    expect_service(&mut second, &logs);
    logs.append("messages", "more\n");
    first.expect("more\n");
    second.expect("more\n");
}

#[test]
fn whoever_is_refused_again_and_again_does_not_fill_the_servers_own_log() {
    let (logs, server) =
        served_log("$hosts_allow{'127.0.0.0/8'} = 1; $hosts_allow{'127.0.9.0/24'} = 0;");
    for n in 0..40 {
        let mut client = client_from(&server, [0, 0, 1 + n]);
        client.send(format!("/not/here/{n} 0 0\n"));
        client.expect_closed_without_a_word();
        client_from(&server, [0, 9, 1 + n]).expect_closed_without_a_word();
    }
    expect_service(&mut client_from(&server, [0, 0, 1]), &logs);
    server.wait_for("127.0.0.1: /not/here/0 is not in %files");
    server.wait_for("127.0.9.1: is not in %hosts_allow");
    let said = server.said().matches(" is not in %").count();
    // Each of the first addresses is spoken of, and of all others together no more than of one.
    assert_eq!(said, PEERS_HEARD_MAX + PEER_LINES_MAX as usize);
}

#[test]
fn whoever_is_refused_again_and_again_hides_nobody_else() {
    let (logs, server) =
        served_log("$hosts_allow{'127.0.0.0/8'} = 1; $hosts_allow{'127.0.9.0/24'} = 0;");
    for n in 0..60 {
        let mut client = client_from(&server, [0, 0, 1]);
        client.send(format!("/not/here/{n} 0 0\n"));
        client.expect_closed_without_a_word();
    }
    client_from(&server, [0, 9, 1]).expect_closed_without_a_word();
    server.wait_for("127.0.9.1: is not in %hosts_allow");
    expect_service(&mut client_from(&server, [0, 0, 1]), &logs);
    let said = server.said().matches(" is not in %files").count();
    assert_eq!(said, PEER_LINES_MAX as usize);
}

#[test]
fn silent_connections_count_too() {
    let (_logs, server) = served_log("$max_clients = 2;");
    let _silent = [
        Client::connect(server.address()),
        Client::connect(server.address()),
    ];
    Client::connect(server.address()).expect_closed_without_a_word();
}

#[test]
fn there_is_an_end_to_those_who_are_told_that_there_is_no_place() {
    let (logs, server) = served_log("$max_clients = 1; $hosts_allow{'127.0.0.0/8'} = 1;");
    let mut first = client_from(&server, [0, 0, 1]);
    expect_service(&mut first, &logs);
    // Silent ones take all the room for a moment; whoever comes then is closed at once, whatever he asks. The server is
    // stopped meanwhile, so that the moment is not over before all are there.
    server.signal(Signal::STOP);
    let silent: Vec<Client> = (0..TURNED_AWAY_MAX)
        .map(|_| client_from(&server, [0, 0, 2]))
        .collect();
    let mut next = client_from(&server, [0, 0, 3]);
    next.send(logs.request("messages", "0 0 v2\n"));
    server.signal(Signal::CONT);
    next.expect_closed_without_a_word();
    for mut client in silent {
        client.expect_closed_without_a_word();
    }
    let why = "there are $max_clients clients already";
    expect_turned_away(&server, [0, 0, 3], why, &logs);
    logs.append("messages", "more\n");
    first.expect("more\n");
}
