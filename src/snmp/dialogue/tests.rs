use std::net::IpAddr;

use super::*;
use crate::limits::{OID_PARTS_MAX, SNMP_VALUE_MAX_LEN};
use crate::snmp::status::Status;

const NOW: Wall = Wall::from_ms(1_000_000);
const STALE_MS: u64 = 120_000;

/// A directory in memory: name, text and age in milliseconds.
struct Files(Vec<(IpAddr, Vec<u8>, u64)>);

impl StatusDir for Files {
    fn read(&mut self, address: IpAddr, buf: &mut [u8]) -> Status {
        let Some((_, text, age_ms)) = self.0.iter().find(|file| file.0 == address) else {
            return Status::Missing;
        };
        let len = text.len().min(buf.len());
        buf[..len].copy_from_slice(&text[..len]);
        let written = Wall::from_ms(NOW.ms() - age_ms);
        Status::File { len, written }
    }

    fn list(&mut self, each: &mut dyn FnMut(IpAddr)) {
        self.0.iter().for_each(|file| each(file.0));
    }
}

fn files() -> Files {
    let file = |name: &str, text: &[u8], age_ms| (name.parse().unwrap(), text.to_vec(), age_ms);
    Files(vec![
        file("10.0.0.10", b"ERR\n", 0),
        file("10.0.0.2", b"OK\n", STALE_MS),
        file("10.0.0.3", b"OK\n", STALE_MS + 1),
        file("::1", b"OK\n", 0),
    ])
}

/// A conversation over the files above, from its very beginning.
struct Talk {
    dialogue: Dialogue,
    files: Files,
}

impl Talk {
    fn new() -> Talk {
        Talk::about(".1.3.6.1.4.99", files())
    }

    fn about(base: &str, files: Files) -> Talk {
        let base = Oid::parse(base.as_bytes()).unwrap();
        let dialogue = Dialogue::new(base, STALE_MS, Forms::Both);
        Talk { dialogue, files }
    }

    /// The answers to `input`, which arrives at once.
    fn hear(&mut self, mut input: &[u8]) -> String {
        let mut said = Vec::new();
        while !input.is_empty() {
            let taken = self.dialogue.handle_input(input, NOW, &mut self.files);
            assert!(taken > 0, "nothing is pending, so something is taken");
            input = &input[taken..];
            said.extend_from_slice(self.dialogue.output());
            // More than there is: whoever writes an answer in one piece need not count it.
            self.dialogue.consume_output(usize::MAX);
        }
        String::from_utf8(said).unwrap()
    }
}

/// Checks what is answered to `input`: at once, and in two parts split at every byte.
fn assert_answers(input: &str, expected: &str) {
    // A pipe hands over what it has, so a line may come in any two pieces.
    for at in 0..=input.len() {
        let (head, tail) = input.as_bytes().split_at(at);
        let mut talk = Talk::new();
        let said = talk.hear(head) + &talk.hear(tail);
        assert_eq!(said, expected, "{input:?} split at {at}");
    }
}

mod idle {
    use super::*;

    #[test]
    fn ping_is_answered() {
        assert_answers("PING\n", "PONG\n");
        assert_answers("PING\nPING\n", "PONG\nPONG\n");
    }

    #[test]
    fn junk_and_blank_lines_are_skipped() {
        assert_answers("\n\nhello\n.1.3.6\nPONG\nping\n \nPING\n", "PONG\n");
    }

    #[test]
    fn a_command_needs_no_ping() {
        let ask = "get\n.1.3.6.1.4.99.10.0.0.2\n";
        let answer = ".1.3.6.1.4.99.10.0.0.2\nstring\nOK\n";
        assert_answers(&ask.repeat(2), &answer.repeat(2));
    }

    #[test]
    fn junk_behind_an_answer_is_skipped() {
        assert_answers("get\n.1\n\nstring x\nPING\n", "NONE\nPONG\n");
    }

    #[test]
    fn an_unfinished_line_is_nothing_yet() {
        assert_answers("PING", "");
        assert_answers("PING\nget\n.1.3", "PONG\n");
    }
}

mod pinged {
    use super::*;

    #[test]
    fn an_unknown_command_is_answered_none_and_its_lines_are_skipped() {
        assert_answers("PING\ngetbulk\n.1.3\nget\n.1\nPING\n", "PONG\nNONE\nPONG\n");
        assert_answers("PING\nGET\n", "PONG\nNONE\n");
        assert_answers("PING\nget x\n", "PONG\nNONE\n");
    }

    #[test]
    fn blank_lines_are_no_command() {
        assert_answers("PING\n\n\r\nget\n.1\n", "PONG\nNONE\n");
    }

    #[test]
    fn a_line_that_is_too_long_is_an_unknown_command() {
        let long = "x".repeat(SNMP_LINE_MAX_LEN + 1);
        let mut talk = Talk::new();
        let said = talk.hear(format!("PING\n{long}\n{long}\nPING\n").as_bytes());
        assert_eq!(said, "PONG\nNONE\nPONG\n");
    }

    #[test]
    fn a_line_that_is_too_long_is_not_cut_to_something_known() {
        let blanks = " ".repeat(SNMP_LINE_MAX_LEN);
        let mut talk = Talk::new();
        assert_eq!(talk.hear(format!("PING{blanks}\n").as_bytes()), "");
        assert_eq!(talk.hear(b"PING\n"), "PONG\n");
    }
}

mod get {
    use super::*;

    fn assert_value(suffix: &str, value: &str) {
        let oid = format!(".1.3.6.1.4.99.{suffix}");
        assert_answers(
            &format!("PING\nget\n{oid}\n"),
            &format!("PONG\n{oid}\nstring\n{value}\n"),
        );
    }

    fn assert_none(oid: &str) {
        assert_answers(&format!("PING\nget\n{oid}\nPING\n"), "PONG\nNONE\nPONG\n");
    }

    #[test]
    fn both_forms_have_the_status_as_value() {
        assert_value("10.0.0.10", "ERR");
        assert_value("1.10.0.0.10", "ERR");
        assert_value("10.0.0.2", "OK");
        assert_value("0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1", "OK");
        assert_value("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1", "OK");
    }

    #[test]
    fn stale_and_missing_files_have_an_error_as_value() {
        assert_value("10.0.0.3", "ERR 10.0.0.3 is stale");
        assert_value("1.10.0.0.4", "ERR no status for 10.0.0.4");
    }

    #[test]
    fn what_is_no_address_below_the_base_is_none() {
        for oid in [
            ".1.3.6.1.4.99",
            ".1.3.6.1.4.99.1",
            ".1.3.6.1.4.99.10.0.0",
            ".1.3.6.1.4.99.10.0.0.256",
            ".1.3.6.1.4.99.2.10.0.0.2",
            ".1.3.6.1.4.99.10.0.0.2.0",
            ".1.3.6.1.4.98.10.0.0.2",
            ".1.3.6.1.4.990.10.0.0.2",
            ".1",
            "iso.3",
            "garbage",
            "get",
            "",
        ] {
            assert_none(oid);
        }
    }

    #[test]
    fn an_identifier_that_is_too_long_is_none() {
        assert_none(&".1.3.6.1.4.99".repeat(22));
        let mut talk = Talk::new();
        // Cut at the limit it would be the identifier of another server.
        let zeros = "0".repeat(SNMP_LINE_MAX_LEN);
        let said = talk.hear(format!("get\n.1.3.6.1.4.99.10.0.0.{zeros}2\nPING\n").as_bytes());
        assert_eq!(said, "NONE\nPONG\n");
    }

    #[test]
    fn ping_instead_of_the_identifier_begins_anew() {
        assert_answers("PING\nget\nPING\nget\n.1\n", "PONG\nPONG\nNONE\n");
    }

    #[test]
    fn carriage_returns_are_tolerated() {
        assert_answers(
            "PING\r\nget\r\n.1.3.6.1.4.99.10.0.0.2\r\n",
            "PONG\n.1.3.6.1.4.99.10.0.0.2\nstring\nOK\n",
        );
    }

    #[test]
    fn the_longest_answer_fits() {
        let base = ".4294967295".repeat(OID_PARTS_MAX - 16);
        let address = ".0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1";
        let text = "x".repeat(SNMP_VALUE_MAX_LEN);
        let file = ("::1".parse().unwrap(), text.clone().into_bytes(), 0);
        let mut talk = Talk::about(&base, Files(vec![file]));
        assert_eq!(
            talk.hear(format!("get\n{base}{address}\n").as_bytes()),
            format!("{base}{address}\nstring\n{text}\n")
        );
    }
}

mod getnext {
    use super::*;

    /// The instances of a walk from the base: identifiers below it and their values, and the end.
    ///
    /// In the order of SNMP, number by number: both forms of one server stand far from each other.
    const WALK: [(&str, &str); 9] = [
        ("0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1", "OK"),
        ("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1", "OK"),
        ("1.10.0.0.2", "OK"),
        ("1.10.0.0.3", "ERR 10.0.0.3 is stale"),
        ("1.10.0.0.10", "ERR"),
        ("10.0.0.2", "OK"),
        ("10.0.0.3", "ERR 10.0.0.3 is stale"),
        ("10.0.0.10", "ERR"),
        ("", ""),
    ];

    fn answer(suffix: &str, value: &str) -> String {
        match suffix {
            "" => "NONE\n".to_owned(),
            _ => format!(".1.3.6.1.4.99.{suffix}\nstring\n{value}\n"),
        }
    }

    #[test]
    fn a_walk_goes_through_all_instances_and_ends_with_none() {
        let mut at = ".1.3.6.1.4.99".to_owned();
        for (suffix, value) in WALK {
            let answer = answer(suffix, value);
            assert_answers(
                &format!("PING\ngetnext\n{at}\n"),
                &format!("PONG\n{answer}"),
            );
            at = format!(".1.3.6.1.4.99.{suffix}");
        }
    }

    #[test]
    fn before_the_base_stands_nothing() {
        let first = answer(WALK[0].0, WALK[0].1);
        for oid in [
            ".1",
            ".0.9",
            ".1.3.6.1.4",
            ".1.3.6.1.4.98.200",
            ".1.3.6.1.4.99",
        ] {
            assert_answers(&format!("getnext\n{oid}\n"), &first);
        }
    }

    #[test]
    fn behind_the_base_stands_nothing() {
        for oid in [".1.3.6.1.4.99.11", ".1.3.6.1.4.100", ".1.3.6.1.5", ".2"] {
            assert_answers(&format!("getnext\n{oid}\n"), "NONE\n");
        }
    }

    #[test]
    fn what_is_no_identifier_is_none() {
        for line in ["", "x", ".", ".1..3", ".1.3.6.1.4.99.-1"] {
            assert_answers(&format!("getnext\n{line}\nPING\n"), "NONE\nPONG\n");
        }
    }

    #[test]
    fn an_empty_directory_has_nothing() {
        let mut talk = Talk::about(".1.3.6.1.4.99", Files(Vec::new()));
        assert_eq!(talk.hear(b"getnext\n.1.3.6.1.4.99\n"), "NONE\n");
    }

    #[test]
    fn a_base_that_leaves_no_room_has_nothing_below() {
        let base = ".1".repeat(OID_PARTS_MAX - 3);
        let mut talk = Talk::about(&base, files());
        assert_eq!(talk.hear(format!("getnext\n{base}\n").as_bytes()), "NONE\n");
    }
}

mod set {
    use super::*;

    #[test]
    fn is_refused_as_soon_as_the_identifier_is_there() {
        assert_answers(
            "PING\nset\n.1.3.6.1.4.99.10.0.0.2\n",
            "PONG\nnot-writable\n",
        );
        assert_answers("PING\nset\n\n", "PONG\nnot-writable\n");
    }

    #[test]
    fn whatever_follows_is_never_answered_and_never_waited_for() {
        // What releases of net-snmp may send behind a `set`, and what could be mistaken for a
        // command.
        for value in [
            "",
            "\n",
            "\n\n",
            "string \"x\"\n",
            "string \"x\"\n\n",
            "integer 5\r\n\r\n",
            "get\n",
            "get\n.1.3.6.1.4.99.10.0.0.2\n",
            "set\nset\nset\n",
        ] {
            assert_answers(
                &format!("PING\nset\n.1.3.6.1.4.99.1\n{value}PING\nget\n.1\n"),
                "PONG\nnot-writable\nPONG\nNONE\n",
            );
        }
    }

    #[test]
    fn a_ping_behind_an_identifier_without_an_end_is_answered() {
        // A type that net-snmp up to 5.4 does not know.
        assert_answers(
            "PING\nset\n.1.3.6.1.4.99.1\n.1.3.6.1.4.99.1PING\nget\n.1\n",
            "PONG\nnot-writable\nPONG\nNONE\n",
        );
        for value in [
            "string \"PING\"",
            "string .1PING",
            "octet PING",
            ".1 PING",
            "xPING",
        ] {
            assert_answers(&format!("set\n.1.3\n{value}\n"), "not-writable\n");
        }
        // Elsewhere it is nothing.
        assert_answers(".1.3PING\n", "");
    }

    #[test]
    fn a_value_that_is_too_long_is_skipped_whole() {
        let value = format!("octet \"{}\"", "ab ".repeat(2000));
        let mut talk = Talk::new();
        let said = talk.hear(format!("set\n.1.3\n{value}\nPING\n").as_bytes());
        assert_eq!(said, "not-writable\nPONG\n");
    }
}

mod output {
    use super::*;

    #[test]
    fn nothing_is_taken_while_an_answer_is_pending() {
        let mut talk = Talk::new();
        let dialogue = &mut talk.dialogue;
        assert_eq!(
            dialogue.handle_input(b"PING\nPING\n", NOW, &mut talk.files),
            5
        );
        assert_eq!(dialogue.handle_input(b"PING\n", NOW, &mut talk.files), 0);
        dialogue.consume_output(2);
        assert_eq!(dialogue.output(), b"NG\n");
        assert_eq!(dialogue.handle_input(b"PING\n", NOW, &mut talk.files), 0);
        dialogue.consume_output(3);
        assert_eq!(dialogue.output(), b"");
        assert_eq!(dialogue.handle_input(b"PING\n", NOW, &mut talk.files), 5);
        assert_eq!(dialogue.output(), b"PONG\n");
    }
}

mod random {
    use super::*;

    // Bytes at random would hardly ever make a command.
    const PIECES: [&[u8]; 16] = [
        b"PING",
        b"get",
        b"getnext",
        b"set",
        b".1.3.6.1.4.99",
        b".10.0.0.2",
        b".1",
        b".4294967296",
        b"\n",
        b"\n",
        b"\n",
        b"\r\n",
        b"string \"x\"",
        b" ",
        b"\0\xff",
        &[b'x'; SNMP_LINE_MAX_LEN],
    ];

    fn bytes(u: &mut arbtest::arbitrary::Unstructured<'_>) -> arbtest::arbitrary::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for _ in 0..u.int_in_range(0..=30)? {
            if u.ratio(1, 8)? {
                bytes.push(u.arbitrary()?);
            } else {
                bytes.extend_from_slice(u.choose(&PIECES)?);
            }
        }
        Ok(bytes)
    }

    #[test]
    fn pieces_of_any_size_are_answered_like_the_whole() {
        arbtest::arbtest(|u| {
            let input = bytes(u)?;
            let mut pieces = Talk::new();
            let mut said = String::new();
            let mut rest = &input[..];
            while !rest.is_empty() {
                let (head, tail) = rest.split_at(u.int_in_range(1..=rest.len())?);
                said += &pieces.hear(head);
                rest = tail;
            }
            assert_eq!(said, Talk::new().hear(&input));
            Ok(())
        })
        .budget_ms(100);
    }

    #[test]
    fn whatever_was_said_the_next_ping_has_one_answer() {
        arbtest::arbtest(|u| {
            let mut talk = Talk::new();
            talk.hear(&bytes(u)?);
            // An unfinished line would swallow the PING.
            talk.hear(b"\n");
            assert_eq!(talk.hear(b"PING\nget\n.1\n"), "PONG\nNONE\n");
            Ok(())
        })
        .budget_ms(100);
    }
}
