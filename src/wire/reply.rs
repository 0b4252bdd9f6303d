//! The answer line: the one line a server sends before the data, `S INODE\n`, S being `O` or `L`.
//!
//! To a client that asked for version 2 the line goes on with ` v2` and `key=value` fields, see
//! [`Terms`]; then `E 0 v2` announces an ERROR frame.

use std::fmt::{self, Write};

use super::line::words;
use super::number::{InodeWord, decimal};
use super::proof::{self, Block};
use super::token::Token;
use crate::ids::Inode;
use crate::limits::REPLY_MAX_LEN;

/// Whether the client's generation was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mark {
    /// `O`: found, or there was nothing to find. Data from the offset asked for if the inode is the
    /// one asked for, else from 0.
    Found,
    /// `L`: it is nowhere, or no longer what it was. Data from 0 of the generation named.
    Lost,
    /// `E`: nothing follows but an ERROR frame. Only in version 2.
    Refused,
}

/// The fields in which a server of version 2 tells of the generation that it names; keys that are
/// not known are ignored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Terms {
    /// `at`: where the data start. Less than what was asked for only together with `prefix`.
    pub at: u64,
    /// `size`: the file's size now.
    pub size: u64,
    /// `m`: every generation older than this one was last written no later, in nanoseconds since
    /// 1970.
    pub mtime_ns: u64,
    /// `b`: the boot of the box.
    pub boot: u32,
    /// `prefix`: the file ends before what the client holds. If this block, its last, is in the
    /// client's copy too, the file is the start of that copy.
    pub prefix: Option<Block>,
    /// `end=1`: with `prefix`, the file is complete as it is: the client keeps what it holds
    /// beyond.
    pub ended: bool,
    /// `lost=1`: with [`Mark::Lost`], the client's generation was not merely truncated: what the
    /// client lacks of it, and maybe some that came after it, cannot be had any more.
    pub lost: bool,
    /// `whole=1`: with [`Mark::Lost`], the client holds all of its generation although the file is
    /// gone: nothing of it is lost.
    pub whole: bool,
    /// `t`: the wall clock of the box, in seconds since 1970; 0 where it is not told, as with
    /// `prefix`.
    pub clock_s: u32,
    /// `i`: the token of the generation named.
    pub identity: Option<Token>,
}

/// A server's answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reply {
    /// Whether the generation asked for was found.
    pub mark: Mark,
    /// The generation whose data follow; 0 only with [`Mark::Refused`].
    pub inode: InodeWord,
    /// The fields of version 2; `None` from a classic server.
    pub v2: Option<Terms>,
}

/// The error of a line that is no answer of a log server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadReply;

impl fmt::Display for BadReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answer is not that of a log server")
    }
}

impl Reply {
    /// An answer as a classic server gives it.
    pub fn classic(mark: Mark, inode: InodeWord) -> Reply {
        Reply {
            mark,
            inode,
            v2: None,
        }
    }

    /// Reads an answer from a line without its newline. What is not known of it is ignored.
    pub fn parse(line: &[u8]) -> Result<Reply, BadReply> {
        let mut words = words(line);
        let mark = words.next().ok_or(BadReply)?;
        let inode = words.next().and_then(InodeWord::parse).ok_or(BadReply)?;
        // A third word that is not `v2` is ignored: PROTOCOL.md lets a later server say more.
        let v2 = match words.next() {
            Some(b"v2") => Some(Terms::parse(words).ok_or(BadReply)?),
            _ => None,
        };
        // Inode 0 is "no generation" in a pointer, so it must never come to stand there.
        let is_none = inode.inode() == Inode::NONE;
        let mark = match mark {
            b"O" if !is_none => Mark::Found,
            b"L" if !is_none => Mark::Lost,
            // Classic knows no such letter. Without `v2` no frame follows that could say why.
            b"E" if v2.is_some() => Mark::Refused,
            _ => return Err(BadReply),
        };
        Ok(Reply { mark, inode, v2 })
    }

    /// The line as it goes on the wire, newline included.
    pub fn to_line(self) -> heapless::Vec<u8, REPLY_MAX_LEN> {
        let mut line = heapless::Vec::new();
        // The longest line there can be fits; a test holds that.
        let _ = self.write(&mut line);
        line
    }

    fn write(self, line: &mut impl Write) -> fmt::Result {
        let mark = match self.mark {
            Mark::Found => 'O',
            Mark::Lost => 'L',
            Mark::Refused => 'E',
        };
        write!(line, "{mark} {}", self.inode)?;
        match &self.v2 {
            // There is no file whose size or offset could be told.
            Some(terms) if self.mark == Mark::Refused => {
                line.write_str(" v2")?;
                if terms.lost {
                    line.write_str(" lost=1")?;
                }
                if terms.whole {
                    line.write_str(" whole=1")?;
                }
            }
            Some(terms) => terms.write(line)?,
            None => {}
        }
        line.write_char('\n')
    }
}

impl Terms {
    fn parse<'a>(words: impl Iterator<Item = &'a [u8]>) -> Option<Terms> {
        let mut terms = Terms::default();
        for word in words {
            let at = word.iter().position(|&b| b == b'=').unwrap_or(word.len());
            let (key, value) = (&word[..at], word.get(at + 1..).unwrap_or_default());
            match key {
                b"at" => terms.at = decimal(value)?,
                b"size" => terms.size = decimal(value)?,
                b"m" => terms.mtime_ns = decimal(value)?,
                b"b" => terms.boot = proof::hex32(value)?,
                b"prefix" => terms.prefix = Some(Block::parse(value)?),
                b"t" => terms.clock_s = decimal(value)?.try_into().unwrap_or(0),
                b"i" => terms.identity = Some(Token::parse(value)?),
                // Another value of these three is as if they were not there (PROTOCOL.md,
                // "Negotiation").
                b"end" => terms.ended = value == b"1",
                b"lost" => terms.lost = value == b"1",
                b"whole" => terms.whole = value == b"1",
                _ => {}
            }
        }
        Some(terms)
    }

    fn write(&self, line: &mut impl Write) -> fmt::Result {
        let Terms {
            at,
            size,
            mtime_ns,
            boot,
            ..
        } = self;
        // These four come always, even where they are 0, and the others only where they say
        // something.
        write!(line, " v2 at={at} size={size} m={mtime_ns} b={boot:08x}")?;
        match &self.prefix {
            Some(block) => write!(line, " prefix={block}")?,
            // Both do not fit into the longest line; and who gets a prefix asks once more.
            None if self.clock_s != 0 => write!(line, " t={}", self.clock_s)?,
            None => {}
        }
        if self.ended {
            line.write_str(" end=1")?;
        }
        if self.lost {
            line.write_str(" lost=1")?;
        }
        if self.whole {
            line.write_str(" whole=1")?;
        }
        if let Some(token) = &self.identity {
            write!(line, " i={token}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_marks_read_back() {
        for mark in [Mark::Found, Mark::Lost] {
            for inode in [1, 4711, u64::MAX] {
                let reply = Reply::classic(mark, InodeWord::plain(Inode(inode)));
                let line = reply.to_line();
                assert_eq!(Reply::parse(&line[..line.len() - 1]), Ok(reply));
            }
        }
    }

    #[test]
    fn the_longest_answer_is_written_whole() {
        // All the leading zeros that are allowed, before the largest number.
        let longest = InodeWord::parse(b"000000000000000018446744073709551615").unwrap();
        let line = Reply::classic(Mark::Lost, longest).to_line();
        assert_eq!(&line[..], b"L 000000000000000018446744073709551615\n");
    }

    #[test]
    fn terms_read_back() {
        let block = Block {
            start: u64::MAX / 2,
            len: 4096,
            crc: u32::MAX,
        };
        for prefix in [None, Some(block)] {
            let most = u64::MAX;
            let terms = Terms {
                at: most,
                size: most,
                mtime_ns: most,
                boot: 0xabc,
                clock_s: if prefix.is_none() { u32::MAX } else { 0 },
                prefix,
                ended: prefix.is_some(),
                lost: prefix.is_some(),
                whole: prefix.is_some(),
                identity: prefix.and(Token::parse(&[b'Z'; Token::MAX_LEN])),
            };
            let inode = InodeWord::parse(b"000000000000000018446744073709551615").unwrap();
            let reply = Reply {
                mark: Mark::Found,
                inode,
                v2: Some(terms),
            };
            let line = reply.to_line();
            assert_eq!(line.last(), Some(&b'\n'), "the longest answer fits");
            assert_eq!(Reply::parse(&line[..line.len() - 1]), Ok(reply));
        }
        let refused = Reply::parse(b"E 0 v2").unwrap();
        assert_eq!(refused.mark, Mark::Refused);
        for bad in [
            &b"E 0"[..],
            b"O 0 v2",
            b"O 1 v2 at=x",
            b"O 1 v2 b=1",
            b"O 1 v2 prefix=1:2",
            b"O 1 v2 i=",
            b"O 1 v2 i=/a",
        ] {
            assert_eq!(Reply::parse(bad), Err(BadReply));
        }
    }

    #[test]
    fn later_fields_are_ignored_and_anything_else_is_refused() {
        assert!(Reply::parse(b"O 12 v3 x=1").is_ok());
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
