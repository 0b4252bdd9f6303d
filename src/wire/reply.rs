//! The one line a server answers before the data: `S INODE\n`, S being `O` or `L`.

use std::fmt::{self, Write};

use super::line::words;
use super::number::InodeWord;

/// Whether the client's generation was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mark {
    /// `O`: found, or there was nothing to find. Data from the offset asked for if the inode is the one asked for,
    /// else from 0.
    Found,
    /// `L`: it is nowhere, or no longer what it was. Data from 0 of the generation named.
    Lost,
}

/// A server's answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reply {
    /// Whether the generation asked for was found.
    pub mark: Mark,
    /// The generation whose data follow.
    pub inode: InodeWord,
}

/// The line is no answer of a log server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadReply;

impl fmt::Display for BadReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answer is not that of a log server")
    }
}

impl Reply {
    /// Reads an answer from a line without its newline. Fields behind the second are ignored.
    pub fn parse(line: &[u8]) -> Result<Reply, BadReply> {
        let mut words = words(line);
        let mark = match words.next() {
            Some(b"O") => Mark::Found,
            Some(b"L") => Mark::Lost,
            _ => return Err(BadReply),
        };
        let inode = words.next().and_then(InodeWord::parse).ok_or(BadReply)?;
        if inode.inode() == crate::ids::Inode::NONE {
            return Err(BadReply);
        }
        Ok(Reply { mark, inode })
    }

    /// The line as it goes on the wire, newline included.
    pub fn to_line(self) -> heapless::Vec<u8, 48> {
        let mut line = heapless::Vec::new();
        let mark = match self.mark {
            Mark::Found => 'O',
            Mark::Lost => 'L',
        };
        // 2 + 16 zeros + 20 digits + newline always fit.
        let _ = writeln!(line, "{mark} {}", self.inode);
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Inode;

    #[test]
    fn both_marks_read_back() {
        for mark in [Mark::Found, Mark::Lost] {
            for inode in [1, 4711, u64::MAX] {
                let reply = Reply {
                    mark,
                    inode: InodeWord::plain(Inode(inode)),
                };
                let line = reply.to_line();
                assert_eq!(Reply::parse(&line[..line.len() - 1]), Ok(reply));
            }
        }
    }

    #[test]
    fn the_longest_answer_is_written_whole() {
        let longest = InodeWord::parse(b"000000000000000018446744073709551615").unwrap();
        let line = Reply {
            mark: Mark::Lost,
            inode: longest,
        }
        .to_line();
        assert_eq!(&line[..], b"L 000000000000000018446744073709551615\n");
    }

    #[test]
    fn later_fields_are_ignored_and_anything_else_is_refused() {
        assert!(Reply::parse(b"O 12 v2 x=1").is_ok());
        for bad in [
            &b""[..],
            b"O",
            b"X 12",
            b"OK 12",
            b"O twelve",
            b"O 0",
            b"HTTP/1.0 400 Bad Request",
        ] {
            assert_eq!(Reply::parse(bad), Err(BadReply));
        }
    }

    #[test]
    fn random_bytes_never_panic() {
        arbtest::arbtest(|u| {
            let line: Vec<u8> = u.arbitrary()?;
            let _ = Reply::parse(&line);
            Ok(())
        })
        .budget_ms(100);
    }
}
