//! Status files: one for every log server, kept by the collector; and the value that the agent is
//! given for one.
//!
//! Pure: the directory is a trait and the time is an argument. The real directory is in `shell`.

use std::fmt::Write;
use std::net::IpAddr;

use super::numbers::Numbers;
use super::value::{Value, printable};
use crate::limits::SNMP_VALUE_MAX_LEN;
use crate::time::Wall;

/// The directory with one status file for every log server.
pub trait StatusDir {
    /// Reads the start of the status file of `address` into the start of `buf`, without ever
    /// waiting.
    fn read(&mut self, address: IpAddr, buf: &mut [u8]) -> Status;

    /// Calls `each` once for every file whose name is an address, in any order. An address written
    /// in two ways may come twice. A directory that cannot be read is an empty one.
    fn list(&mut self, each: &mut dyn FnMut(IpAddr));

    /// The numbers of the collector's table; `None` where there is none.
    fn numbers(&mut self) -> Option<&Numbers> {
        None
    }
}

/// The state of the place of a status file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// A file that could be read.
    File {
        /// Bytes of it that now stand in the buffer.
        len: usize,
        /// Its last write or touch.
        written: Wall,
    },
    /// No file of that name.
    Missing,
    /// A link, directory, FIFO, socket or device: never a status file.
    NotRegular,
    /// A file, but opening or reading it failed.
    Unreadable,
}

/// The value of `address`: the first line of its status file, or `ERR` and the reason why there is
/// none.
///
/// A file whose last write lies more than `stale_ms` before `now` tells nothing about now and so
/// becomes an `ERR`; one from the future is fresh, because a clock was set back.
pub fn value(dir: &mut dyn StatusDir, address: IpAddr, now: Wall, stale_ms: u64) -> Value {
    let mut buf = [0; SNMP_VALUE_MAX_LEN];
    match dir.read(address, &mut buf) {
        // The age decides before the text: a collector that died leaves `OK` behind for ever.
        Status::File { written, .. } if age_ms(written, now) > stale_ms => {
            error(format_args!("{address} is stale"))
        }
        Status::File { len, .. } => {
            let text = first_line(buf.get(..len).unwrap_or(&buf));
            // An empty value would look like no news to whoever watches, and a full disk makes such
            // files.
            if text.is_empty() {
                error(format_args!("{address} is empty"))
            } else {
                printable(text)
            }
        }
        Status::Missing => error(format_args!("no status for {address}")),
        Status::NotRegular => error(format_args!("{address} is not a regular file")),
        Status::Unreadable => error(format_args!("{address} cannot be read")),
    }
}

fn age_ms(written: Wall, now: Wall) -> u64 {
    now.ms().saturating_sub(written.ms())
}

/// The text up to the first newline, without the blanks at its end (a carriage return is one).
fn first_line(text: &[u8]) -> &[u8] {
    // Without a line end all of it counts: the line may be longer than the buffer.
    let end = text.iter().position(|&byte| byte == b'\n');
    text.get(..end.unwrap_or(text.len()))
        .unwrap_or(text)
        .trim_ascii_end()
}

/// `ERR` and a reason; the reasons of this module are far shorter than a value may be.
fn error(reason: std::fmt::Arguments<'_>) -> Value {
    let mut value = Value::new();
    let _ = write!(value, "ERR {reason}");
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Wall = Wall::from_ms(1_000_000);
    const STALE_MS: u64 = 120_000;

    /// A directory that answers every address with one and the same file.
    struct One(Status, Vec<u8>);

    impl StatusDir for One {
        fn read(&mut self, _: IpAddr, buf: &mut [u8]) -> Status {
            let len = self.1.len().min(buf.len());
            buf[..len].copy_from_slice(&self.1[..len]);
            self.0
        }

        fn list(&mut self, _: &mut dyn FnMut(IpAddr)) {}
    }

    fn value_of(status: Status, text: &[u8]) -> String {
        let address = IpAddr::from([10, 0, 0, 2]);
        let value = value(&mut One(status, text.to_vec()), address, NOW, STALE_MS);
        String::from_utf8(value.to_vec()).unwrap()
    }

    fn value_of_text(text: &[u8]) -> String {
        let len = text.len().min(SNMP_VALUE_MAX_LEN);
        value_of(Status::File { len, written: NOW }, text)
    }

    fn value_written_at(ms: u64) -> String {
        let written = Wall::from_ms(ms);
        value_of(Status::File { len: 3, written }, b"OK\n")
    }

    #[test]
    fn the_first_line_is_the_value() {
        assert_eq!(value_of_text(b"OK\n"), "OK");
        assert_eq!(value_of_text(b"OK"), "OK");
        assert_eq!(value_of_text(b"OK\r\n"), "OK");
        assert_eq!(value_of_text(b"ERR a b \nOK\n"), "ERR a b");
    }

    #[test]
    fn what_cannot_be_printed_becomes_a_question_mark() {
        assert_eq!(value_of_text(b"a\0b\x07c\x7fd\xc3\xa4\te\n"), "a?b?c?d???e");
    }

    #[test]
    fn a_long_line_is_cut_to_what_the_agent_takes() {
        let text = "x".repeat(10_000);
        assert_eq!(value_of_text(text.as_bytes()), "x".repeat(4094));
    }

    #[test]
    fn no_text_is_an_error_and_not_an_empty_value() {
        for text in [&b""[..], b"\n", b"\nOK\n", b" \r\n"] {
            assert_eq!(value_of_text(text), "ERR 10.0.0.2 is empty", "{text:?}");
        }
    }

    #[test]
    fn stale_begins_one_millisecond_after_the_limit() {
        assert_eq!(value_written_at(1_000_000 - STALE_MS), "OK");
        assert_eq!(
            value_written_at(1_000_000 - STALE_MS - 1),
            "ERR 10.0.0.2 is stale"
        );
        assert_eq!(value_written_at(0), "ERR 10.0.0.2 is stale");
    }

    #[test]
    fn a_file_from_the_future_is_fresh() {
        assert_eq!(value_written_at(u64::MAX), "OK");
    }

    #[test]
    fn every_other_outcome_has_its_own_reason() {
        assert_eq!(value_of(Status::Missing, b""), "ERR no status for 10.0.0.2");
        assert_eq!(
            value_of(Status::NotRegular, b""),
            "ERR 10.0.0.2 is not a regular file"
        );
        assert_eq!(
            value_of(Status::Unreadable, b""),
            "ERR 10.0.0.2 cannot be read"
        );
    }

    #[test]
    fn any_text_becomes_a_value_the_agent_takes() {
        arbtest::arbtest(|u| {
            let text: Vec<u8> = u.arbitrary()?;
            let value = value_of_text(&text);
            assert!((1..=4094).contains(&value.len()));
            assert!(value.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            Ok(())
        })
        .budget_ms(100);
    }
}
