//! What rotators, writers and administrators do to a log while a client follows it.

use std::fs;
use std::os::unix::fs::symlink;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::classic::Client;
use crate::common::logs::Logs;
use crate::common::server::Server;

const GRACE: Duration = Duration::from_millis(400);

/// Changes are noticed by word from the system, or else by a quick check; complete is what was quiet for [`GRACE`].
const QUICK: &str = "$delay_check = 0.1; $grace = 0.4; $alive_interval = 0.1;";

/// No writer is so slow that his file is complete before he has closed it.
const PATIENT: &str = "$grace = 3600;";

fn settings(logs: &Logs) -> String {
    logs.served("messages", "messages.*[0-9]") + QUICK
}

struct Rig {
    logs: Logs,
    server: Server,
}

impl Rig {
    /// A log of one line, "one\n".
    fn new() -> Rig {
        let logs = Logs::new();
        logs.write("messages", "one\n");
        let server = Server::start(&settings(&logs));
        Rig { logs, server }
    }

    /// The same with a server that waits for a writer as long as he has a rotated file open.
    fn patient() -> Rig {
        let logs = Logs::new();
        logs.write("messages", "one\n");
        let server = Server::start(&(settings(&logs) + PATIENT));
        Rig { logs, server }
    }

    fn ask(&self, rest: impl std::fmt::Display) -> Client {
        Client::ask(&self.server, &self.logs.request("messages", rest))
    }

    /// A client that has the whole log.
    fn streaming(&self) -> Client {
        let mut client = self.ask("0 0");
        client.reply();
        client.expect("one\n");
        client
    }

    fn inode(&self, name: &str) -> u64 {
        self.logs.inode(name)
    }
}

#[test]
fn after_a_rotation_the_client_is_sent_for_the_new_file() {
    let rig = Rig::new();
    let mut client = rig.streaming();
    let old = rig.inode("messages");
    rig.logs.rename("messages", "messages.1");
    rig.logs.write("messages", "two\n");
    assert!(client.rest().is_empty());

    let mut client = rig.ask(format!("{old} 4"));
    assert_eq!(client.reply(), format!("O {}", rig.inode("messages")));
    client.expect("two\n");
    rig.logs.append("messages", "three\n");
    client.expect("three\n");
}

#[test]
fn late_lines_of_a_writer_that_has_not_noticed_still_come() {
    let rig = Rig::patient();
    let mut writer = rig.logs.writer("messages");
    let mut client = rig.streaming();
    rig.logs.rename("messages", "messages.1");
    rig.logs.write("messages", "two\n");
    for number in 0..3 {
        let line = format!("late {number}\n");
        writer.write(&line);
        client.expect(&line);
    }
    // From here on the server waits no longer than this after each line.
    rig.server.reload(&settings(&rig.logs));
    let last = Instant::now();
    writer.write("the last\n");
    client.expect_closed_after("the last\n");
    // The server counts whole milliseconds.
    let early = GRACE.saturating_sub(last.elapsed());
    assert!(
        early < Duration::from_millis(2),
        "a writer might have gone on"
    );
}

#[test]
fn a_rotated_file_that_nobody_writes_to_needs_no_grace() {
    let logs = Logs::new();
    logs.write("messages", "one\n");
    let settings = logs.served("messages", "messages.1") + "$delay_check = 0.1; $grace = 3600;";
    let server = Server::start(&settings);
    let mut client = Client::ask(&server, &logs.request("messages", "0 0"));
    client.reply();
    client.expect("one\n");
    logs.rename("messages", "messages.1");
    logs.write("messages", "two\n");
    assert!(client.rest().is_empty());
}

#[test]
fn lines_that_come_after_the_grace_are_fetched_from_the_rotated_file() {
    let rig = Rig::new();
    let mut writer = rig.logs.writer("messages");
    let mut client = rig.streaming();
    let old = rig.inode("messages");
    rig.logs.rename("messages", "messages.1");
    rig.logs.write("messages", "two\n");
    assert!(client.rest().is_empty());
    writer.write("very late\n");
    let mut client = rig.ask(format!("{old} 4"));
    assert_eq!(client.reply(), format!("O {old}"));
    client.expect_closed_after("very late\n");
}

#[test]
fn without_a_new_file_the_rotated_one_stays_open() {
    let rig = Rig::new();
    let mut client = rig.streaming();
    let old = rig.inode("messages");
    rig.logs.rename("messages", "messages.1");
    let renamed = Instant::now();
    while renamed.elapsed() < 2 * GRACE {
        client.expect_keep_alive();
    }
    rig.logs.append("messages.1", "late\n");
    client.expect("late\n");

    // Neither is a client that comes now told that it is complete, nor one that has nothing yet served.
    let mut another = rig.ask(format!("{old} 9"));
    assert_eq!(another.reply(), format!("O {old}"));
    another.expect_keep_alive();
    rig.ask("0 0").expect_closed_without_a_word();

    rig.logs.write("messages", "two\n");
    assert!(client.rest().is_empty());
    assert!(another.rest().is_empty());
    let mut client = rig.ask(format!("{old} 9"));
    assert_eq!(client.reply(), format!("O {}", rig.inode("messages")));
    client.expect("two\n");
}

#[test]
fn a_truncation_starts_the_client_over_even_if_the_file_has_outgrown_it() {
    for after in ["x", "new\n", "far longer than before\n"] {
        let rig = Rig::new();
        let mut client = rig.streaming();
        let inode = rig.inode("messages");
        rig.logs.write("messages", "");
        assert!(client.rest().is_empty());
        rig.logs.append("messages", after);

        let mut client = rig.ask(format!("{inode} 4"));
        assert_eq!(client.reply(), format!("L 0{inode}"));
        client.expect(after);
        let mut client = rig.ask(format!("0{inode} 1"));
        assert_eq!(client.reply(), format!("O 0{inode}"));
        client.expect(&after[1..]);
    }
}

#[test]
fn copytruncate_starts_the_client_over() {
    let rig = Rig::new();
    let mut writer = rig.logs.writer("messages");
    let mut client = rig.streaming();
    let inode = rig.inode("messages");
    fs::copy(rig.logs.path("messages"), rig.logs.path("messages.1")).unwrap();
    rig.logs.write("messages", "");
    assert!(client.rest().is_empty());
    writer.write("two\n");
    let mut client = rig.ask(format!("{inode} 4"));
    assert_eq!(client.reply(), format!("L 0{inode}"));
    client.expect("two\n");
}

#[test]
fn a_deleted_file_is_drained_and_then_closed() {
    let rig = Rig::patient();
    let mut writer = rig.logs.writer("messages");
    let mut client = rig.streaming();
    rig.logs.remove("messages");
    writer.write("late\n");
    drop(writer);
    client.expect_closed_after("late\n");
    rig.ask("0 0").expect_closed_without_a_word();
    rig.logs.write("messages", "two\n");
    let mut client = rig.ask("0 0");
    assert_eq!(client.reply(), format!("O {}", rig.inode("messages")));
    client.expect("two\n");
}

#[test]
fn a_new_file_that_was_given_the_inode_of_a_deleted_one_is_a_new_generation() {
    let rig = Rig::new();
    let mut reused = 0;
    for text in ["x", "new\n", "longer than the one before\n"] {
        rig.logs.write("messages", "one\n");
        let mut client = rig.streaming();
        let old = rig.inode("messages");
        rig.logs.remove("messages");
        assert!(client.rest().is_empty());
        rig.logs.write("messages", text);
        let new = rig.inode("messages");
        let mut client = rig.ask(format!("{old} 4"));
        // The one before was sent whole, so nothing is lost; but the same number must not look like the same file.
        let mark = if new == old { "L 0" } else { "O " };
        assert_eq!(client.reply(), format!("{mark}{new}"));
        client.expect(text);
        reused += u32::from(new == old);
        rig.logs.remove("messages");
    }
    println!("{reused} of 3 were given the same inode");
}

#[test]
fn a_replaced_file_is_a_new_generation() {
    let rig = Rig::new();
    let mut client = rig.streaming();
    let old = rig.inode("messages");
    rig.logs.write("scratch", "two\n");
    rig.logs.rename("scratch", "messages");
    assert!(client.rest().is_empty());
    let mut client = rig.ask(format!("{old} 4"));
    assert_eq!(client.reply(), format!("O {}", rig.inode("messages")));
    client.expect("two\n");
}

#[test]
fn a_rename_that_is_taken_back_changes_nothing() {
    let rig = Rig::new();
    let mut client = rig.streaming();
    rig.logs.rename("messages", "messages.1");
    client.expect_keep_alive();
    rig.logs.rename("messages.1", "messages");
    let back = Instant::now();
    while back.elapsed() < 2 * GRACE {
        client.expect_keep_alive();
    }
    rig.logs.append("messages", "two\n");
    client.expect("two\n");
}

#[test]
fn files_are_found_through_directories_that_are_links() {
    let logs = Logs::new();
    for day in ["monday", "tuesday"] {
        fs::create_dir(logs.path(day)).unwrap();
        logs.write(&format!("{day}/messages"), format!("{day}\n"));
    }
    symlink("monday", logs.path("today")).unwrap();
    let settings = logs.served("today/messages", "monday/messages") + QUICK;
    let server = Server::start(&settings);
    let mut client = Client::ask(&server, &logs.request("today/messages", "0 0"));
    let old = logs.inode("monday/messages");
    assert_eq!(client.reply(), format!("O {old}"));
    client.expect("monday\n");

    // No system call tells of this one: the periodic check finds it.
    fs::remove_file(logs.path("today")).unwrap();
    symlink("tuesday", logs.path("today")).unwrap();
    assert!(client.rest().is_empty());
    let request = logs.request("today/messages", format!("{old} 7"));
    let mut client = Client::ask(&server, &request);
    let new = logs.inode("tuesday/messages");
    assert_eq!(client.reply(), format!("O {new}"));
    client.expect("tuesday\n");
}

#[test]
fn a_log_behind_a_link_that_was_turned_elsewhere_is_followed_at_once() {
    let logs = Logs::new();
    for day in ["monday", "tuesday"] {
        fs::create_dir(logs.path(day)).unwrap();
        logs.write(&format!("{day}/messages"), "");
    }
    symlink("monday", logs.path("today")).unwrap();
    let settings = logs.served("today/messages", "") + "$delay_check = 3600;";
    let server = Server::start(&settings);
    let first = Client::ask(&server, &logs.request("today/messages", "0 0")).reply();
    assert_eq!(first, format!("O {}", logs.inode("monday/messages")));

    fs::remove_file(logs.path("today")).unwrap();
    symlink("tuesday", logs.path("today")).unwrap();
    let mut client = Client::ask(&server, &logs.request("today/messages", "0 0"));
    let second = client.reply();
    assert_eq!(second, format!("O {}", logs.inode("tuesday/messages")));
    client.expect_keep_alive();
    logs.append("today/messages", "a line\n");
    client.expect("a line\n");
    logs.rename("today/messages", "today/messages.1");
    logs.write("today/messages", "");
    assert!(client.rest().is_empty());
}

#[test]
fn a_directory_that_was_replaced_is_followed_at_once() {
    let logs = Logs::new();
    fs::create_dir(logs.path("log")).unwrap();
    logs.write("log/messages", "");
    let settings = logs.served("log/messages", "old/messages") + "$delay_check = 3600;";
    let server = Server::start(&settings);
    Client::ask(&server, &logs.request("log/messages", "0 0")).reply();

    logs.rename("log", "old");
    fs::create_dir(logs.path("log")).unwrap();
    logs.write("log/messages", "");
    let mut client = Client::ask(&server, &logs.request("log/messages", "0 0"));
    client.reply();
    client.expect_keep_alive();
    logs.append("log/messages", "a line\n");
    client.expect("a line\n");
}

/// A collector in small: asks with what it has, keeps what it gets, and comes back when it is sent away.
#[derive(Default)]
struct Follower {
    inode: String,
    offset: usize,
    received: Vec<u8>,
}

impl Follower {
    /// Follows until this line has come.
    fn follow(&mut self, rig: &Rig, last_line: &str) {
        while !self.received.ends_with(last_line.as_bytes()) {
            let inode = if self.inode.is_empty() {
                "0"
            } else {
                &self.inode
            };
            let mut client = rig.ask(format!("{inode} {}", self.offset));
            let reply = client.reply();
            let (mark, inode) = reply.split_once(' ').unwrap();
            assert_eq!(mark, "O", "nothing here is ever lost");
            if inode != self.inode {
                self.inode = inode.into();
                self.offset = 0;
            }
            self.take(&mut client, last_line);
        }
    }

    fn take(&mut self, client: &mut Client, last_line: &str) {
        while let Some(bytes) = client.some_data() {
            self.offset += bytes.len();
            self.received.extend(bytes);
            if self.received.ends_with(last_line.as_bytes()) {
                return;
            }
        }
    }
}

#[test]
fn followers_get_every_line_of_many_rotations_once_and_in_order() {
    let rig = Rig::patient();
    rig.logs.write("messages", "");
    let last_line = "the last line\n";
    let mut expected = Vec::new();
    thread::scope(|scope| {
        let followers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut follower = Follower::default();
                    follower.follow(&rig, last_line);
                    follower.received
                })
            })
            .collect();
        for generation in 0..12 {
            let mut writer = rig.logs.writer("messages");
            for number in 0..50 {
                let line = format!("generation {generation} line {number}\n");
                writer.write(&line);
                expected.extend(line.bytes());
            }
            // Every generation needs a last write of its own, which some file systems round.
            thread::sleep(Duration::from_millis(20));
            for older in (1..generation + 1).rev() {
                rig.logs.rename(
                    &format!("messages.{older}"),
                    &format!("messages.{}", older + 1),
                );
            }
            rig.logs.rename("messages", "messages.1");
            if generation % 3 == 0 {
                let line = "a late line\n";
                writer.write(line);
                expected.extend(line.bytes());
            }
        }
        rig.logs.write("messages", last_line);
        expected.extend(last_line.bytes());
        for follower in followers {
            let received = follower.join().unwrap();
            assert_eq!(received.len(), expected.len());
            assert!(received == expected);
        }
    });
}

#[test]
fn descriptors_of_rotated_files_are_given_back() {
    let rig = Rig::new();
    drop(rig.streaming());
    let idle = rig.server.idle_descriptors();
    for number in 0..10 {
        let mut client = rig.ask("0 0");
        client.reply();
        rig.logs.rename("messages", &format!("messages.{number}"));
        rig.logs.write("messages", "one\n");
        client.rest();
    }
    assert_eq!(rig.server.idle_descriptors(), idle);
}
