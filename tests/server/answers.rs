//! Every row of the table of answers.

use crate::common::classic::Client;
use crate::common::logs::Logs;
use crate::common::server::Server;

/// A log with two rotated files behind it, all of them quiet for long.
struct Rig {
    logs: Logs,
    server: Server,
}

const OLDEST: &str = "the oldest\n";
const MIDDLE: &str = "in the middle\n";
const LIVE: &str = "the live one\n";

impl Rig {
    fn new() -> Rig {
        let logs = Logs::new();
        for (name, text, age) in [
            ("messages.2", OLDEST, 300),
            ("messages.1", MIDDLE, 200),
            ("messages", LIVE, 100),
        ] {
            logs.write(name, text);
            logs.age(name, age);
        }
        let server = Server::start(&logs.served("messages", "messages.*[0-9]"));
        Rig { logs, server }
    }

    fn inode(&self, name: &str) -> u64 {
        self.logs.inode(name)
    }

    /// Asks for the log, with `rest` behind its path.
    fn ask(&self, rest: impl std::fmt::Display) -> Client {
        Client::ask(&self.server, &self.logs.request("messages", rest))
    }

    /// Asks, and compares answer line and data.
    fn check(&self, request: impl std::fmt::Display, reply: &str, data: &str) {
        let mut client = self.ask(&request);
        assert_eq!(client.reply(), reply, "answer to {request}");
        client.expect(data);
    }
}

#[test]
fn what_is_not_configured_is_closed_without_a_word() {
    let rig = Rig::new();
    for path in [
        rig.logs.path("other").display().to_string(),
        rig.logs.path("messages.1").display().to_string(),
        rig.logs.path("../messages").display().to_string(),
        rig.logs.dir().display().to_string(),
        format!("/{}", rig.logs.path("messages").display()),
        "/etc/passwd".into(),
        "messages".into(),
        "/".into(),
    ] {
        Client::ask(&rig.server, &format!("{path} 0 0")).expect_closed_without_a_word();
    }
    rig.server
        .wait_for("127.0.0.1: /etc/passwd is not in %files");
}

#[test]
fn a_file_that_does_not_exist_is_closed_without_a_word_and_served_once_it_does() {
    let rig = Rig::new();
    rig.logs.remove("messages");
    for rest in ["", "0 0", "1 5"] {
        rig.ask(rest).expect_closed_without_a_word();
    }
    rig.logs.write("messages", "new\n");
    rig.check("", &format!("O {}", rig.inode("messages")), "new\n");
}

#[test]
fn a_malformed_inode_or_offset_is_closed_without_a_word() {
    let rig = Rig::new();
    for word in [
        "abc",
        "-1",
        "+1",
        "1.5",
        "1x",
        "0x10",
        "1e3",
        "18446744073709551616",
        "\u{661}",
    ] {
        rig.ask(format!("{word} 0")).expect_closed_without_a_word();
        rig.ask(format!("0 {word}")).expect_closed_without_a_word();
    }
    rig.server.wait_for("whose second field is no inode number");
    rig.server.wait_for("whose third field is no offset");
}

#[test]
fn without_an_inode_the_live_file_comes_from_the_offset() {
    let rig = Rig::new();
    let found = format!("O {}", rig.inode("messages"));
    for request in ["", "0", "0 0", "00 0"] {
        rig.check(request, &found, LIVE);
    }
    rig.check("0 4", &found, &LIVE[4..]);
    let mut at_end = rig.ask(format!("0 {}", LIVE.len()));
    assert_eq!(at_end.reply(), found);
    at_end.expect_keep_alive();
}

#[test]
fn the_live_inode_goes_on_at_the_offset() {
    let rig = Rig::new();
    let inode = rig.inode("messages");
    for offset in [0, 1, LIVE.len() - 1] {
        let request = format!("{inode} {offset}");
        rig.check(request, &format!("O {inode}"), &LIVE[offset..]);
    }
    let mut at_end = rig.ask(format!("{inode} {}", LIVE.len()));
    assert_eq!(at_end.reply(), format!("O {inode}"));
    at_end.expect_keep_alive();
}

#[test]
fn the_same_generation_is_named_in_the_clients_own_words() {
    // Old collectors compare the words as text and rotate where they differ.
    let rig = Rig::new();
    for name in ["messages", "messages.2"] {
        for zeros in ["", "0", "000"] {
            let word = format!("{zeros}{}", rig.inode(name));
            let mut client = rig.ask(format!("{word} 3"));
            assert_eq!(client.reply(), format!("O {word}"));
        }
    }
}

#[test]
fn the_rest_of_a_rotated_file_comes_and_then_the_end() {
    let rig = Rig::new();
    for (name, text) in [("messages.2", OLDEST), ("messages.1", MIDDLE)] {
        let inode = rig.inode(name);
        for offset in [0, 5, text.len() - 1] {
            let mut client = rig.ask(format!("{inode} {offset}"));
            assert_eq!(client.reply(), format!("O {inode}"));
            client.expect_closed_after(&text[offset..]);
        }
    }
}

#[test]
fn a_complete_rotated_file_is_followed_by_the_next_newer_one() {
    let rig = Rig::new();
    let complete = |name, text: &str| format!("{} {}", rig.inode(name), text.len());
    let mut client = rig.ask(complete("messages.2", OLDEST));
    assert_eq!(client.reply(), format!("O {}", rig.inode("messages.1")));
    client.expect_closed_after(MIDDLE);
    rig.check(
        complete("messages.1", MIDDLE),
        &format!("O {}", rig.inode("messages")),
        LIVE,
    );
}

#[test]
fn a_last_write_that_came_late_does_not_change_the_order_of_numbers() {
    let rig = Rig::new();
    rig.logs.age("messages.1", 400);
    let mut client = rig.ask(format!("{} {}", rig.inode("messages.2"), OLDEST.len()));
    assert_eq!(client.reply(), format!("O {}", rig.inode("messages.1")));
    client.expect_closed_after(MIDDLE);
}

#[test]
fn rotated_files_of_one_moment_are_ordered_by_their_numbers() {
    let rig = Rig::new();
    let moment = std::time::SystemTime::now() - std::time::Duration::from_secs(150);
    for name in ["messages.2", "messages.1"] {
        let file = std::fs::File::options()
            .append(true)
            .open(rig.logs.path(name));
        file.unwrap().set_modified(moment).unwrap();
    }
    let mut client = rig.ask(format!("{} {}", rig.inode("messages.2"), OLDEST.len()));
    assert_eq!(client.reply(), format!("O {}", rig.inode("messages.1")));
}

#[test]
fn an_inode_found_nowhere_is_lost() {
    let rig = Rig::new();
    let lost = format!("L {}", rig.inode("messages"));
    for rest in ["18446744073709551615 0", "18446744073709551615 7"] {
        rig.check(rest, &lost, LIVE);
    }
}

#[test]
fn after_a_lost_generation_that_the_server_saw_every_newer_one_comes() {
    let rig = Rig::new();
    let lost = rig.inode("messages");
    rig.check(format!("{lost} 0"), &format!("O {lost}"), LIVE);
    // As long as the server has it open, it is not lost.
    rig.server.idle_descriptors();
    // Two rotations while the client is away, and the generation it holds is thrown away.
    for name in ["messages.2", "messages.1"] {
        rig.logs.age(name, 500);
    }
    rig.logs.rename("messages", "lost");
    for (name, age) in [("messages.4", 90), ("messages.3", 80), ("messages", 70)] {
        rig.logs.write("messages", name);
        rig.logs.age("messages", age);
        if name != "messages" {
            rig.logs.rename("messages", name);
        }
    }
    rig.logs.remove("lost");

    let mut client = rig.ask(format!("{lost} {}", LIVE.len()));
    let next = rig.inode("messages.4");
    assert_eq!(client.reply(), format!("L {next}"));
    client.expect_closed_after("messages.4");
    let mut client = rig.ask(format!("{next} {}", "messages.4".len()));
    assert_eq!(client.reply(), format!("O {}", rig.inode("messages.3")));
}

#[test]
fn an_offset_behind_the_end_means_truncated_and_the_inode_is_spelt_differently() {
    let rig = Rig::new();
    let inode = rig.inode("messages");
    for (word, other) in [("", "0"), ("0", ""), ("00", "")] {
        for offset in [LIVE.len() as u64 + 1, u64::MAX] {
            let reply = format!("L {other}{inode}");
            rig.check(format!("{word}{inode} {offset}"), &reply, LIVE);
        }
    }
    // With the new spelling in its pointer the client goes on like any other.
    rig.check(format!("0{inode} 4"), &format!("O 0{inode}"), &LIVE[4..]);
}

#[test]
fn an_offset_behind_the_end_of_a_rotated_file_means_that_the_inode_was_used_again() {
    let rig = Rig::new();
    let request = format!("{} {}", rig.inode("messages.1"), MIDDLE.len() + 1);
    rig.check(request, &format!("L {}", rig.inode("messages")), LIVE);
}

#[test]
fn an_offset_behind_the_end_at_first_contact_starts_over() {
    let rig = Rig::new();
    let reply = format!("L {}", rig.inode("messages"));
    rig.check(format!("0 {}", LIVE.len() + 1), &reply, LIVE);
}

#[test]
fn further_fields_are_ignored() {
    let rig = Rig::new();
    let inode = rig.inode("messages");
    for more in ["x", "1 2 3", "\u{fffd} = \"", "-1"] {
        let request = format!("{inode} 4 {more}");
        rig.check(request, &format!("O {inode}"), &LIVE[4..]);
    }
}

#[test]
fn every_generation_comes_once_and_in_order() {
    let rig = Rig::new();
    let mut words = format!("{} 3", rig.inode("messages.2"));
    let mut received = OLDEST[..3].to_owned();
    for (name, rest) in [("messages.2", &OLDEST[3..]), ("messages.1", MIDDLE)] {
        let mut client = rig.ask(&words);
        assert_eq!(client.reply(), format!("O {}", rig.inode(name)));
        received += &String::from_utf8(client.rest()).unwrap();
        assert!(received.ends_with(rest));
        let len = std::fs::metadata(rig.logs.path(name)).unwrap().len();
        words = format!("{} {len}", rig.inode(name));
    }
    rig.check(&words, &format!("O {}", rig.inode("messages")), LIVE);
    assert_eq!(received, format!("{OLDEST}{MIDDLE}"));
}
