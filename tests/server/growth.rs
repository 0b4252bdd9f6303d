//! What a client gets while nobody rotates: all bytes, each as soon as it is there, and keep-alives between them.

use std::fs::File;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::common::classic::{Client, KEEP_ALIVE};
use crate::common::logs::Logs;
use crate::common::process::run;
use crate::common::server::Server;
use crate::common::wait::until;
use crate::common::{FETCHLOGS, outside_program, skipped};

/// Nothing periodic happens during a test.
const RARELY: &str = "$delay_check = 3600; $alive_interval = 3600;";

/// A log, its server, and a client that has the answer line behind it.
struct Rig {
    logs: Logs,
    server: Server,
}

impl Rig {
    fn new(text: impl AsRef<[u8]>, settings: &str) -> Rig {
        let logs = Logs::new();
        logs.write("messages", text);
        let server = Server::start(&format!("{}{settings}", logs.served("messages", "")));
        Rig { logs, server }
    }

    fn client(&self) -> Client {
        let mut client = Client::ask(&self.server, &self.logs.request("messages", "0 0"));
        client.reply();
        client
    }
}

/// Bytes without a pattern that an error could hide in, and without keep-alives.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    std::iter::repeat_with(&mut next)
        .filter(|&byte| byte != KEEP_ALIVE)
        .take(len)
        .collect()
}

#[test]
fn an_empty_file_is_answered_with_a_sign_of_life() {
    let rig = Rig::new("", RARELY);
    let mut client = rig.client();
    client.expect_keep_alive();
    rig.logs.append("messages", "the first line\n");
    client.expect("the first line\n");
}

#[test]
fn at_the_end_of_the_file_a_sign_of_life_comes_at_once() {
    let rig = Rig::new("text\n", RARELY);
    let mut client = Client::ask(&rig.server, &rig.logs.request("messages", "0 5"));
    assert_eq!(client.reply(), format!("O {}", rig.logs.inode("messages")));
    client.expect_keep_alive();
    rig.logs.append("messages", "more\n");
    client.expect("more\n");
}

#[test]
fn signs_of_life_come_periodically_and_not_more_often() {
    let rig = Rig::new("", "$alive_interval = 0.1;");
    // From before the first is sent: how long each waits in the socket does not matter.
    let start = Instant::now();
    let mut client = rig.client();
    for _ in 0..7 {
        client.expect_keep_alive();
    }
    // The server counts whole milliseconds.
    assert!(start.elapsed() > Duration::from_millis(6 * 98));
}

#[test]
fn data_postpone_the_next_sign_of_life() {
    let rig = Rig::new("", "$alive_interval = 0.2;");
    let mut client = rig.client();
    client.expect_keep_alive();
    let start = Instant::now();
    let mut last = start;
    while start.elapsed() < Duration::from_millis(500) {
        // From before it is sent: how long it waits in the socket does not matter.
        last = Instant::now();
        rig.logs.append("messages", "x");
        assert_eq!(client.data(1), b"x");
    }
    client.expect_keep_alive();
    // The server counts whole milliseconds.
    assert!(last.elapsed() >= Duration::from_millis(198));
}

#[test]
fn a_keep_alive_in_the_file_is_masked() {
    let all: Vec<u8> = (0..=255).collect();
    let rig = Rig::new(&all, RARELY);
    let masked = |bytes: &[u8]| -> Vec<u8> {
        let mask = |&byte: &u8| if byte == KEEP_ALIVE { 0xff } else { byte };
        bytes.iter().map(mask).collect()
    };
    let mut client = rig.client();
    client.expect(masked(&all));
    rig.logs.append("messages", b"\x07\x07a\x07\n");
    client.expect(b"\xff\xffa\xff\n");
    // A masked byte counts like any other.
    let mut client = Client::ask(&rig.server, &rig.logs.request("messages", "0 7"));
    client.reply();
    client.expect(masked(&all[7..]));
}

/// Nothing else than the line itself can bring it: no check and no keep-alive is due within the hour.
#[test]
fn a_new_line_arrives_at_once() {
    let rig = Rig::new("", RARELY);
    let mut client = rig.client();
    let mut writer = rig.logs.writer("messages");
    for number in 0..50 {
        let line = format!("line {number}\n");
        writer.write(&line);
        client.expect(&line);
    }
}

#[test]
fn every_client_of_a_log_gets_every_line() {
    let rig = Rig::new("", RARELY);
    let mut clients: Vec<Client> = (0..8).map(|_| rig.client()).collect();
    for number in 0..20 {
        let line = format!("line {number}\n");
        rig.logs.append("messages", &line);
        for client in &mut clients {
            client.expect(&line);
        }
    }
}

#[test]
fn growth_is_found_by_the_periodic_check_where_the_system_does_not_tell() {
    let Some(unshare) = outside_program("unshare") else {
        return;
    };
    // In a user namespace of its own a process can be left without any inotify instance.
    let blind = |program: &[&std::ffi::OsStr]| {
        let script = "echo 0 >/proc/sys/user/max_inotify_instances && exec \"$@\"";
        let mut command = Command::new(&unshare);
        command.args(["-U", "-r", "sh", "-c", script, "sh"]);
        command.args(program);
        command
    };
    if run(blind(&["true".as_ref()])).status != Some(0) {
        skipped("this system lets nobody have a user namespace");
        return;
    }
    let logs = Logs::new();
    logs.write("messages", "");
    let settings = logs.served("messages", "") + "$delay_check = 0.05; $grace = 0.1;";
    let server = Server::start_as(&settings, |config| {
        blind(&[
            FETCHLOGS.as_ref(),
            "gen_numbers".as_ref(),
            "-c".as_ref(),
            config,
        ])
    });
    server.wait_for("changes are noticed only at every check");
    let mut client = Client::ask(&server, &logs.request("messages", "0 0"));
    client.reply();
    for number in 0..5 {
        let line = format!("line {number}\n");
        logs.append("messages", &line);
        client.expect(&line);
    }
    logs.rename("messages", "messages.1");
    logs.write("messages", "new\n");
    assert!(client.rest().is_empty());
}

#[test]
fn many_small_writes_arrive_whole() {
    let rig = Rig::new("", RARELY);
    let mut client = rig.client();
    let text = noise(200_000);
    let mut writer = rig.logs.writer("messages");
    let pieces = text.clone();
    let writing = std::thread::spawn(move || {
        let mut rest = &pieces[..];
        for len in (1..400).cycle() {
            let (piece, later) = rest.split_at(len.min(rest.len()));
            writer.write(piece);
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
    });
    client.expect(&text);
    writing.join().unwrap();
}

#[test]
fn files_around_the_size_of_the_buffer_arrive_whole() {
    for len in [65_535, 65_536, 65_537, 131_072, 262_144, 262_145] {
        let text = noise(len);
        let rig = Rig::new(&text, RARELY);
        let mut client = rig.client();
        client.expect(&text);
        rig.logs.append("messages", "more\n");
        client.expect("more\n");
    }
}

#[test]
fn a_slow_reader_gets_some_megabytes_byte_by_byte() {
    let text = noise(12_000_000);
    let rig = Rig::new(&text, RARELY);
    let mut client = Client::connect(rig.server.address());
    client.receive_little(200_000);
    client.send(rig.logs.request("messages", "0 0\n"));
    client.reply();
    for piece in text.chunks(200_000) {
        client.expect(piece);
        // So that the server finds a full socket most of the time.
        std::thread::sleep(Duration::from_millis(5));
    }
    rig.logs.append("messages", "more\n");
    client.expect("more\n");
}

#[test]
fn a_client_that_takes_nothing_is_dropped_and_disturbs_nobody() {
    let logs = Logs::new();
    logs.write("messages", "");
    // Far more than sockets buffer, and no disk is needed for it.
    File::create(logs.path("big"))
        .unwrap()
        .set_len(1 << 28)
        .unwrap();
    let files = logs.served("messages", "") + &logs.served("big", "");
    let server = Server::start(&format!("{files}{RARELY}$timeout_write = 3600;"));
    let ask = |name| {
        let mut client = Client::ask(&server, &logs.request(name, "0 0"));
        client.reply();
        client
    };
    let mut good = ask("messages");
    good.expect_keep_alive();
    let mut number = 0;
    let mut expect_a_line = || {
        let line = format!("line {number}\n");
        number += 1;
        logs.append("messages", &line);
        good.expect(&line);
    };

    // As long as nobody is dropped, the good client does not wait for the idle ones.
    let descriptors = server.descriptors().len();
    let are_gone = || server.descriptors().len() == descriptors;
    let idle: Vec<Client> = (0..3).map(|_| ask("big")).collect();
    for _ in 0..20 {
        expect_a_line();
    }
    drop(idle);
    until("the idle ones to be gone", are_gone);

    server.reload(&format!("{files}{RARELY}$timeout_write = 0.5;"));
    let started = Instant::now();
    let mut idle: Vec<Client> = (0..3).map(|_| ask("big")).collect();
    server.wait_for("takes no data");
    until("all idle ones to be dropped", || {
        expect_a_line();
        are_gone()
    });
    assert!(started.elapsed() >= Duration::from_millis(500));
    for idle in &mut idle {
        assert!(idle.rest().len() < 1 << 28);
    }
    expect_a_line();
}
