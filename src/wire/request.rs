//! The one line a client sends: `PATH INODE OFFSET\n`, or just `PATH\n` at first contact.
//!
//! Fields behind the third are for later versions; a classic server ignores them.

use std::fmt::{self, Write};

use super::line::words;
use super::number::{InodeWord, decimal};
use crate::ids::Inode;
use crate::limits::REQUEST_MAX_LEN;

/// What a client asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request<'a> {
    /// The live file's path as the client wrote it. Only ever compared with configured paths, never opened.
    pub path: &'a [u8],
    /// The generation the client holds, or [`Inode::NONE`].
    pub inode: InodeWord,
    /// How many bytes of it the client holds.
    pub offset: u64,
}

/// Why a line is no request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadRequest {
    /// Nothing but blanks.
    Empty,
    /// The second field is no inode number.
    Inode,
    /// The third field is no offset.
    Offset,
}

impl fmt::Display for BadRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BadRequest::Empty => "an empty request",
            BadRequest::Inode => "a request whose second field is no inode number",
            BadRequest::Offset => "a request whose third field is no offset",
        })
    }
}

impl<'a> Request<'a> {
    /// Reads a request from a line without its newline. An absent inode or offset is zero.
    pub fn parse(line: &'a [u8]) -> Result<Request<'a>, BadRequest> {
        let mut words = words(line);
        let path = words.next().ok_or(BadRequest::Empty)?;
        let inode = match words.next() {
            Some(word) => InodeWord::parse(word).ok_or(BadRequest::Inode)?,
            None => InodeWord::plain(Inode::NONE),
        };
        let offset = match words.next() {
            Some(word) => decimal(word).ok_or(BadRequest::Offset)?,
            None => 0,
        };
        Ok(Request {
            path,
            inode,
            offset,
        })
    }

    /// The line as it goes on the wire, newline included. `None` if the path is longer than
    /// [`crate::limits::PATH_MAX_LEN`] allows.
    pub fn to_line(&self) -> Option<heapless::Vec<u8, REQUEST_MAX_LEN>> {
        let mut line = heapless::Vec::new();
        line.extend_from_slice(self.path).ok()?;
        writeln!(line, " {} {}", self.inode, self.offset).ok()?;
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &[u8]) -> Result<(&[u8], String, u64), BadRequest> {
        Request::parse(line).map(|r| (r.path, r.inode.to_string(), r.offset))
    }

    #[test]
    fn every_form_a_client_sends() {
        assert_eq!(parse(b"/m 12 34"), Ok((&b"/m"[..], "12".into(), 34)));
        assert_eq!(parse(b"/m"), Ok((&b"/m"[..], "0".into(), 0)));
        assert_eq!(parse(b"/m 12"), Ok((&b"/m"[..], "12".into(), 0)));
        assert_eq!(
            parse(b" /m \t 012  34 v2 x=1"),
            Ok((&b"/m"[..], "012".into(), 34))
        );
    }

    #[test]
    fn every_fault_has_its_name() {
        assert_eq!(parse(b""), Err(BadRequest::Empty));
        assert_eq!(parse(b"  "), Err(BadRequest::Empty));
        assert_eq!(parse(b"/m -1 0"), Err(BadRequest::Inode));
        assert_eq!(parse(b"/m 0x10 0"), Err(BadRequest::Inode));
        assert_eq!(parse(b"/m 1 1e3"), Err(BadRequest::Offset));
    }

    #[test]
    fn what_is_written_reads_back() {
        arbtest::arbtest(|u| {
            let path = b"/var/log/messages";
            let inode = InodeWord::plain(Inode(u.arbitrary()?));
            let request = Request {
                path,
                inode,
                offset: u.arbitrary()?,
            };
            let line = request.to_line().unwrap();
            assert_eq!(line.last(), Some(&b'\n'));
            assert_eq!(Request::parse(&line[..line.len() - 1]), Ok(request));
            Ok(())
        })
        .budget_ms(100);
    }

    #[test]
    fn random_bytes_never_panic() {
        arbtest::arbtest(|u| {
            let line: Vec<u8> = u.arbitrary()?;
            let _ = Request::parse(&line);
            Ok(())
        })
        .budget_ms(100);
    }

    #[test]
    fn the_longest_path_fits_and_a_longer_line_is_refused() {
        let path = [b'a'; crate::limits::PATH_MAX_LEN];
        let mut request = Request {
            path: &path,
            inode: InodeWord::plain(Inode(u64::MAX)),
            offset: u64::MAX,
        };
        assert!(request.to_line().is_some());
        let path = [b'a'; REQUEST_MAX_LEN];
        request.path = &path;
        assert!(request.to_line().is_none());
    }
}
