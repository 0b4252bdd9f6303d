//! The request: the one line a client sends, `PATH INODE OFFSET\n`, or just `PATH\n` at first
//! contact.
//!
//! A classic server ignores what stands behind the third field. A fourth field `v2` asks for
//! version 2 and may be followed by `key=value` fields: see [`Extension`]. There a path that begins
//! with `%2F` is percent-encoded (RFC 3986, section 2.1), because it has blanks.

use std::borrow::Cow;
use std::fmt::{self, Write};

use super::frame::SUMS_MAX;
pub use super::frame_max::FrameMax;
pub use super::given::{GIVEN_MAX, Given, GivenList, SETTLED_MAX, SettledList, id_sum};
use super::given::{parse_settled, write_settled};
use super::line::words;
use super::number::{InodeWord, decimal};
use super::path;
use super::proof::{self, Proof};
use super::token::Token;
use crate::ids::Inode;
use crate::limits::REQUEST_MAX_LEN;

/// The request of a client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request<'a> {
    /// The live file's path: in what was read as the client wrote it, see [`Request::name`]. Only
    /// ever compared with configured paths, never opened.
    pub path: &'a [u8],
    /// The generation the client holds, or [`Inode::NONE`].
    pub inode: InodeWord,
    /// The number of its bytes that the client holds.
    pub offset: u64,
    /// The fields of version 2; `None` from a classic client.
    pub v2: Option<Extension>,
}

/// The fields of version 2, each as `key=value`; keys that are not known are ignored.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Extension {
    /// `p`: checksums of what the client holds.
    pub proof: Proof,
    /// `m`: every generation older than the client's was last written no later than this, in
    /// nanoseconds.
    pub mtime_ns: Option<u64>,
    /// `b`: the boot of the box during which the client last followed this generation.
    pub boot: Option<u32>,
    /// `c=1`: the copy was begun by the classic protocol, which sends 0xff for 0x07.
    pub mapped: bool,
    /// `prefix=0`: do not offer a file that is shorter than what the client holds; it was tried.
    pub no_prefix: bool,
    /// `history=all`: at first contact begin with the oldest rotated file.
    pub history: bool,
    /// `f`: the most bytes of the file that the client wants in one DATA frame, because its link
    /// breaks.
    pub frame_max: Option<FrameMax>,
    /// `x`, a list with `holes` in it: zeros may be told by their number, in HOLE frames.
    pub holes: bool,
    /// `x`, a list with `notes` in it: the client knows NOTE frames.
    pub notes: bool,
    /// `x`, a list with `gz` in it: the client can take ARCHIVE frames, and what is compressed.
    pub gz: bool,
    /// `z`: the [`archive_sum`](super::given::archive_sum) of archives that need not be told again.
    pub settled: SettledList,
    /// `op`: what to do with the generation.
    pub op: Op,
    /// `i`: the token of the generation that the client holds.
    pub identity: Option<Token>,
    /// `g`: the last generations that the client was given whole, newest first.
    pub given: GivenList,
}

/// The wish of a client of version 2 about a generation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Op {
    /// Its bytes from the offset on, and all that follow, for ever.
    #[default]
    Stream,
    /// `digest`: the MD5 of its first bytes, as many as the client holds or the server has.
    Digest,
    /// `sums:START:LEN:COUNT`: checksums of blocks, the last one possibly short.
    Sums {
        /// The place of the first block.
        start: u64,
        /// Bytes of a block.
        len: u64,
        /// The number of blocks, at most [`SUMS_MAX`].
        count: u16,
    },
    /// `range:START:LEN`: these bytes of it.
    Range {
        /// The first byte.
        start: u64,
        /// The number of bytes.
        len: u64,
    },
    /// `list`: which logs there are that the path finds, as a glob, and which come.
    List,
}

/// The reason why a line is no request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadRequest {
    /// Nothing but blanks.
    Empty,
    /// The second field is no inode number.
    Inode,
    /// The third field is no offset.
    Offset,
    /// A field of version 2 that is known has a value that makes no sense.
    Extension,
    /// The path is no glob, where one belongs.
    Glob,
}

impl fmt::Display for BadRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BadRequest::Empty => "an empty request",
            BadRequest::Inode => "a request whose second field is no inode number",
            BadRequest::Offset => "a request whose third field is no offset",
            BadRequest::Extension => "a request with a malformed field of version 2",
            BadRequest::Glob => "a request whose path is not one glob",
        })
    }
}

impl<'a> Request<'a> {
    /// Reads a request from a line without its newline. An absent inode or offset is zero.
    pub fn parse(line: &'a [u8]) -> Result<Request<'a>, BadRequest> {
        let mut words = words(line);
        let path = words.next().ok_or(BadRequest::Empty)?;
        // Each field may be left out with all that follow: then the client holds nothing.
        let inode = match words.next() {
            Some(word) => InodeWord::parse(word).ok_or(BadRequest::Inode)?,
            None => InodeWord::plain(Inode::NONE),
        };
        let offset = match words.next() {
            Some(word) => decimal(word).ok_or(BadRequest::Offset)?,
            None => 0,
        };
        let v2 = match words.next() {
            // Only in fourth place, and any other word is no error: a classic server ignores what
            // stands there.
            Some(VERSION_2) => Some(Extension::parse(words)?),
            _ => None,
        };
        Ok(Request {
            path,
            inode,
            offset,
            v2,
        })
    }

    /// The live file's path in a request that was read.
    pub fn name(&self) -> Cow<'a, [u8]> {
        path::read(self.path, self.v2.is_some())
    }

    /// The line as it goes on the wire, newline included. `None` if the path is longer than
    /// [`crate::limits::PATH_MAX_LEN`] allows, or only version 2 can ask for it. Generations given
    /// for which there is no room are left out, the last first, and then the token.
    pub fn to_line(&self) -> Option<heapless::Vec<u8, REQUEST_MAX_LEN>> {
        let mut line = heapless::Vec::new();
        path::write(self.path, self.v2.is_some(), &mut line)?;
        write!(line, " {} {}", self.inode, self.offset).ok()?;
        if let Some(v2) = &self.v2 {
            v2.write(&mut line).ok()?;
            v2.write_identity(&mut line);
        }
        line.push(b'\n').ok()?;
        Some(line)
    }
}

/// The word in fourth place that asks for version 2.
const VERSION_2: &[u8] = b"v2";

/// Whether a line asks for version 2, be the rest of it sound or not.
pub fn asks_for_v2(line: &[u8]) -> bool {
    // Only a client of version 2 can be told why its request is bad; classic has no words for it.
    words(line).nth(3) == Some(VERSION_2)
}

impl Extension {
    fn parse<'a>(words: impl Iterator<Item = &'a [u8]>) -> Result<Extension, BadRequest> {
        let mut v2 = Extension::default();
        for word in words {
            v2.set(word).ok_or(BadRequest::Extension)?;
        }
        Ok(v2)
    }

    /// Takes one field. `None` if its key is known and its value makes no sense.
    fn set(&mut self, word: &[u8]) -> Option<()> {
        // PROTOCOL.md, "Negotiation": a word without `=` is a key with an empty value.
        let at = word.iter().position(|&b| b == b'=').unwrap_or(word.len());
        let (key, value) = (&word[..at], word.get(at + 1..).unwrap_or_default());
        match key {
            b"p" => self.proof = proof::parse(value)?,
            b"m" => self.mtime_ns = Some(decimal(value)?),
            b"b" => self.boot = Some(proof::hex32(value)?),
            // These four have one value that means something; any other is as if they were not
            // there.
            b"c" => self.mapped = value == b"1",
            b"prefix" => self.no_prefix = value == b"0",
            b"history" => self.history = value == b"all",
            // Too small or too large is no fault: the server knows better what it can do.
            b"f" => self.frame_max = Some(FrameMax::new(decimal(value)?)),
            b"x" => {
                // Words that are not known are those of later clients.
                let has = |known: &[u8]| value.split(|&b| b == b',').any(|word| word == known);
                self.holes = has(b"holes");
                self.notes = has(b"notes");
                self.gz = has(b"gz");
            }
            b"op" => self.op = Op::parse(value)?,
            b"i" => self.identity = Some(Token::parse(value)?),
            b"g" => self.given = Given::parse_list(value)?,
            b"z" => self.settled = parse_settled(value)?,
            _ => {}
        }
        Some(())
    }

    fn write(&self, line: &mut impl Write) -> fmt::Result {
        line.write_str(" v2")?;
        if !self.proof.is_empty() {
            line.write_str(" p=")?;
            proof::write(&self.proof, line)?;
        }
        if let Some(mtime_ns) = self.mtime_ns {
            write!(line, " m={mtime_ns}")?;
        }
        if let Some(boot) = self.boot {
            write!(line, " b={boot:08x}")?;
        }
        for (given, field) in [
            (self.mapped, " c=1"),
            (self.no_prefix, " prefix=0"),
            (self.history, " history=all"),
        ] {
            // The switches are written only where they are on: a server that does not know one
            // never sees it.
            if given {
                line.write_str(field)?;
            }
        }
        // What the client knows beyond the first version: a list.
        let mut before = " x=";
        for (known, word) in [
            (self.holes, "holes"),
            (self.notes, "notes"),
            (self.gz, "gz"),
        ] {
            if known {
                write!(line, "{before}{word}")?;
                before = ",";
            }
        }
        if let Some(most) = self.frame_max {
            write!(line, " f={}", most.bytes())?;
        }
        write_settled(&self.settled, line)?;
        match self.op {
            Op::Stream => Ok(()),
            Op::Digest => line.write_str(" op=digest"),
            Op::Sums { start, len, count } => write!(line, " op=sums:{start}:{len}:{count}"),
            Op::Range { start, len } => write!(line, " op=range:{start}:{len}"),
            Op::List => line.write_str(" op=list"),
        }
    }

    /// Appends what there is room for of the token and the generations given.
    fn write_identity(&self, line: &mut heapless::Vec<u8, REQUEST_MAX_LEN>) {
        if let Some(token) = &self.identity
            && !write_if_room(line, format_args!(" i={token}"))
        {
            return;
        }
        let mut before = " g=";
        for given in self.given.iter() {
            if !write_if_room(line, format_args!("{before}{given}")) {
                return;
            }
            before = ",";
        }
    }
}

/// Appends a part of a line, if there is room for all of it and a newline. Tells whether there was.
fn write_if_room(line: &mut heapless::Vec<u8, REQUEST_MAX_LEN>, part: fmt::Arguments<'_>) -> bool {
    let len = line.len();
    let is_whole = line.write_fmt(part).is_ok() && !line.is_full();
    if !is_whole {
        line.truncate(len);
    }
    is_whole
}

impl Op {
    fn parse(text: &[u8]) -> Option<Op> {
        let mut parts = text.split(|&b| b == b':');
        let name = parts.next()?;
        // Too few numbers make `None` here, too many at the end.
        let mut number = || decimal(parts.next()?);
        let op = match name {
            b"digest" => Op::Digest,
            b"list" => Op::List,
            b"sums" => {
                let (start, len, count) = (number()?, number()?, number()?);
                let count = u16::try_from(count).ok()?;
                // So that nobody who computes with these numbers has to think of an overflow.
                start.checked_add(len.checked_mul(u64::from(count))?)?;
                if len == 0 || count == 0 || usize::from(count) > SUMS_MAX {
                    return None;
                }
                Op::Sums { start, len, count }
            }
            b"range" => {
                let (start, len) = (number()?, number()?);
                start.checked_add(len)?;
                Op::Range { start, len }
            }
            _ => return None,
        };
        parts.next().is_none().then_some(op)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frame::DATA_MAX;

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
        for bad in [
            "p=1",
            "m=x",
            "b=123",
            "f",
            "f=",
            "f=-1",
            "f=1k",
            "f=18446744073709551616",
            "op=dance",
            "op=sums:0:0:1",
            "op=sums:0:1:1025",
            "op=range:1",
            "op=digest:1",
        ]
        .into_iter()
        .chain("i= i=/a i=a_b g= g=1:- g=1:-:-:- g=0:-:- g=1:-:-, g=1:123:- g=x:-:-".split(' '))
        {
            let line = format!("/m 1 1 v2 {bad}");
            assert_eq!(parse(line.as_bytes()), Err(BadRequest::Extension), "{bad}");
        }
        assert!(parse(b"/m 1 1 v2 future=1 odd").is_ok());
    }

    #[test]
    fn a_frame_that_is_too_small_or_too_large_is_made_to_fit() {
        for (asked, len) in [
            ("0", 64),
            ("64", 64),
            ("5000", 5_000),
            ("65520", 65_520),
            ("18446744073709551615", 65_520),
        ] {
            let line = format!("/m 1 1 v2 f={asked}");
            let v2 = Request::parse(line.as_bytes()).unwrap().v2.unwrap();
            assert_eq!(v2.frame_max.map(FrameMax::bytes), Some(len), "{asked}");
        }
        assert_eq!(FrameMax::default().bytes(), DATA_MAX);
    }

    #[test]
    fn what_a_client_knows_is_a_set_of_words() {
        for (field, holes, notes) in [
            ("x=notes", false, true),
            ("x=holes,notes", true, true),
            ("x=notes,holes", true, true),
            ("x=notes,what-comes-later", false, true),
            ("x=", false, false),
            ("x", false, false),
            ("x=holes", true, false),
            ("x=notesx", false, false),
            ("x=notes x=holes", true, false),
        ] {
            let line = format!("/m 1 1 v2 {field}");
            let v2 = Request::parse(line.as_bytes()).unwrap().v2.unwrap();
            assert_eq!((v2.holes, v2.notes), (holes, notes), "{field}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        arbtest::arbtest(|u| {
            let path = b"/var/log/messages";
            let inode = InodeWord::plain(Inode(u.arbitrary()?));
            let proof = (0..u.int_in_range(0..=proof::BLOCKS_MAX)?)
                .map(|_| {
                    let (len, crc) = (u.int_in_range(1..=4096)?, u.arbitrary()?);
                    Ok(proof::Block {
                        start: u.arbitrary::<u64>()? / 2,
                        len,
                        crc,
                    })
                })
                .collect::<Result<_, _>>()?;
            let op = match u.int_in_range(0..=4)? {
                0 => Op::Stream,
                1 => Op::Digest,
                4 => Op::List,
                2 => Op::Sums {
                    start: u.arbitrary::<u32>()?.into(),
                    len: 4096,
                    count: u.int_in_range(1..=1024)?,
                },
                _ => Op::Range {
                    start: u.arbitrary::<u64>()? / 2,
                    len: u.arbitrary::<u64>()? / 2,
                },
            };
            let extension = Extension {
                proof,
                mtime_ns: u.arbitrary()?,
                boot: u.arbitrary()?,
                mapped: u.arbitrary()?,
                no_prefix: u.arbitrary()?,
                history: u.arbitrary()?,
                frame_max: u.arbitrary::<Option<u64>>()?.map(FrameMax::new),
                holes: u.arbitrary()?,
                notes: u.arbitrary()?,
                gz: u.arbitrary()?,
                settled: (0..u.int_in_range(0..=SETTLED_MAX)?)
                    .map(|_| u.arbitrary())
                    .collect::<Result<_, _>>()?,
                op,
                identity: u
                    .arbitrary::<bool>()?
                    .then(|| Token::parse(b"8:3/17").unwrap()),
                given: (0..u.int_in_range(0..=5)?)
                    .map(|_| {
                        Ok(Given {
                            size: u.int_in_range(1..=u64::MAX)?,
                            md5: u.arbitrary()?,
                            id: u.arbitrary()?,
                        })
                    })
                    .collect::<Result<heapless::Vec<_, _>, _>>()?
                    .into(),
            };
            let v2 = u.arbitrary::<bool>()?.then_some(extension);
            let request = Request {
                path,
                inode,
                offset: u.arbitrary()?,
                v2,
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
        // Whatever path a configuration allows, there must be room for the whole proof behind it.
        let path = [b'a'; crate::limits::PATH_MAX_LEN];
        let block = proof::Block {
            start: u64::MAX / 2,
            len: 4096,
            crc: u32::MAX,
        };
        let longest = Extension {
            proof: [block; proof::BLOCKS_MAX].into_iter().collect(),
            mtime_ns: Some(u64::MAX),
            boot: Some(u32::MAX),
            mapped: true,
            no_prefix: true,
            history: true,
            frame_max: Some(FrameMax::default()),
            holes: true,
            notes: true,
            op: Op::Sums {
                start: u64::MAX / 2,
                len: u64::MAX / 4096,
                count: 1024,
            },
            ..Extension::default()
        };
        let mut request = Request {
            path: &path,
            inode: InodeWord::plain(Inode(u64::MAX)),
            offset: u64::MAX,
            v2: Some(longest),
        };
        assert!(request.to_line().is_some());
        let path = [b'a'; REQUEST_MAX_LEN];
        request.path = &path;
        assert!(request.to_line().is_none());
    }

    fn given(size: u64) -> Given {
        Given {
            size,
            md5: Some(0xa0b),
            id: None,
        }
    }

    #[test]
    fn a_client_tells_what_it_holds_and_what_it_was_given() {
        let request = Request {
            path: b"/m",
            inode: InodeWord::plain(Inode(1)),
            offset: 2,
            v2: Some(Extension {
                identity: Token::parse(b"8:3/17"),
                given: Box::new([given(5), given(6)].into_iter().collect()),
                ..Extension::default()
            }),
        };
        assert_eq!(
            request.to_line().unwrap(),
            b"/m 1 2 v2 i=8:3/17 g=5:00000a0b:-,6:00000a0b:-\n"
        );
        let many = ["1:-:-"; GIVEN_MAX + 1].join(",");
        let line = format!("/m 1 1 v2 g={many}");
        assert_eq!(parse(line.as_bytes()), Err(BadRequest::Extension));
        let line = &line[..line.len() - ",1:-:-".len()];
        let v2 = Request::parse(line.as_bytes()).unwrap().v2.unwrap();
        assert_eq!(v2.given.len(), GIVEN_MAX);
    }

    #[test]
    fn what_has_no_room_is_left_out_from_behind() {
        let token = Token::parse(&[b'a'; Token::MAX_LEN]).unwrap();
        let v2 = Extension {
            identity: Some(token),
            given: Box::new([given(1 << 60); GIVEN_MAX].into_iter().collect()),
            ..Extension::default()
        };
        let mut fewer = [GIVEN_MAX, 1];
        for len in 0..REQUEST_MAX_LEN {
            let path = vec![b'a'; len + 1];
            let request = Request {
                path: &path,
                inode: InodeWord::plain(Inode(1)),
                offset: 2,
                v2: Some(v2.clone()),
            };
            let Some(line) = request.to_line() else {
                assert!(len > REQUEST_MAX_LEN - 20, "{len}");
                break;
            };
            let read = Request::parse(&line[..line.len() - 1]).unwrap().v2.unwrap();
            let now = [read.given.len(), usize::from(read.identity.is_some())];
            assert!(v2.given.starts_with(&read.given));
            assert!(now[0] <= fewer[0] && now[1] <= fewer[1], "{len}");
            assert!(now[0] == 0 || now[1] == 1, "the token goes last");
            fewer = now;
        }
        assert_eq!(fewer, [0, 0]);
    }
}
