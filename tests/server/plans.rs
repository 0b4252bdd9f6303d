//! What is kept of searches for clients that ask for all there is of a log with many rotated files.

use std::fs;
use std::net::Ipv4Addr;

use crate::common::classic::Client;
use crate::common::logs::Logs;
use crate::common::server::Server;

/// Rotated files, of which each of the searches keeps some 250 bytes.
const FILES: usize = 950;

/// Clients of each of two addresses.
const CLIENTS: usize = 10;

/// What they may take together, in KiB: two plans and a search under way for either address, with
/// what the allocator holds between them; and their sessions. All plans would take 4,000.
const MOST_KIB: u64 = 2_600;

/// The most memory that the server ever had, in KiB.
fn most_memory(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let number = line.unwrap().split_whitespace().nth(1);
    number.unwrap().parse().unwrap()
}

#[test]
fn many_backlogs_of_an_address_take_no_more_memory_than_a_few_and_all_come_on() {
    let logs = Logs::new();
    for n in 1..=FILES {
        logs.write(&format!("log.{n}"), format!("<{n}>"));
        logs.age(&format!("log.{n}"), 1_000 + n as u64 * 10);
    }
    // Who does not read stays here, with what was found.
    logs.write(&format!("log.{}", FILES - 2), "x".repeat(1 << 20));
    logs.age(
        &format!("log.{}", FILES - 2),
        1_000 + (FILES - 2) as u64 * 10,
    );
    logs.write("log", "live");
    let homes = [2, 3].map(|n| Ipv4Addr::new(127, 0, 0, n));
    let settings = logs.served("log", "log.*[0-9]")
        + "$hosts_allow{'127.0.0.0/8'} = 1; $max_clients_per_ip = 64;";
    let server = Server::start(&settings);
    let before = most_memory(&server);
    let clients = homes.iter().flat_map(|home| [home; CLIENTS]);
    let mut clients: Vec<Client> = clients
        .map(|home| {
            let mut client = Client::connect_from(*home, server.address());
            client.receive_little(4_096);
            client.send(logs.request("log", "0 0 v2 history=all\n"));
            client
        })
        .collect();
    // The oldest come first, and nobody waits for all that the others want.
    let wanted = [FILES, FILES - 1].map(|n| format!("<{n}>"));
    for client in &mut clients {
        let mut had = Vec::new();
        for text in &wanted {
            while !had.windows(text.len()).any(|it| it == text.as_bytes()) {
                had.extend(client.some_data().unwrap());
            }
        }
    }
    let grown = most_memory(&server) - before;
    println!("{CLIENTS} clients of either address: {grown} KiB");
    assert!(grown < MOST_KIB, "{grown} KiB for what was found");
}
