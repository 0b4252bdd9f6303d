//! The server of a fuzzed source: it says what a script wants, and now and then the truth.

use super::{DEADLINES_MAX, MEMORY_HOLE_MAX, PERIODS, World};
use crate::collect::error::Closed;
use crate::ids::Inode;
use crate::inside::fuzz::script::Script;
use crate::limits::CHUNK_LEN;
use crate::wire::crc32::Crc32;
use crate::wire::frame::{
    self, DATA_MAX, Digest, End, ErrorCode, Frame, HEADER_LEN, Next, Reason, kind,
};
use crate::wire::md5::Md5;
use crate::wire::request::{Op, Request};

const REASONS: [Reason; 4] = [
    Reason::Rotated,
    Reason::Truncated,
    Reason::Deleted,
    Reason::Rewritten,
];

const CODES: [ErrorCode; 7] = [
    ErrorCode::BadRequest,
    ErrorCode::NotServed,
    ErrorCode::NoSuchFile,
    ErrorCode::NotReadable,
    ErrorCode::Busy,
    ErrorCode::Gone,
    ErrorCode::Other(77),
];

impl World {
    /// Goes on until a request is out, if that takes only time.
    pub(super) fn connect(&mut self) {
        for _ in 0..DEADLINES_MAX {
            self.work();
            if self.source.wants_connection() {
                break;
            }
            let Some(due) = self.source.poll_timeout(&PERIODS) else {
                break;
            };
            self.now_ms = self.now_ms.max(due.ms());
            self.with(|source, cx| source.handle_timeout(cx));
            self.settle();
        }
        if self.source.wants_connection() {
            self.with(|source, cx| source.handle_connected(cx));
            self.asked = self.source.output().to_vec();
            let len = self.asked.len();
            self.with(|source, cx| source.consume_output(len, cx));
        }
    }

    pub(super) fn receive(&mut self, bytes: &[u8]) {
        // No more is read of a socket at once.
        for part in bytes.chunks(CHUNK_LEN) {
            self.catch_up();
            if self.source.wants_connection() {
                let mut part = part.to_vec();
                self.with(|source, cx| source.handle_input(&mut part, cx));
            }
        }
    }

    /// An answer line, of either protocol.
    pub(super) fn answer(&mut self, script: &mut Script<'_>) {
        let (mark, inode) = (["O", "L", "E"][script.below(3)], script.number());
        let mut line = format!("{mark} {inode}");
        let fields = script.byte();
        if fields & 1 == 0 {
            let (at, size) = (script.number(), script.number());
            line += &format!(
                " v2 at={at} size={size} m={} b=0000000{}",
                at / 2,
                size % 10
            );
            line += ["", " lost=1", " whole=1", " end=1"][usize::from(fields >> 1 & 3)];
            if fields & 8 != 0 {
                line += &format!(" i={}", String::from_utf8_lossy(script.bytes()));
            }
            if fields & 16 != 0 {
                line += &self.prefix(script);
            }
        }
        self.receive(format!("{line}\n").as_bytes());
    }

    /// The last block of what the server has, as it is here or not.
    fn prefix(&self, script: &mut Script<'_>) -> String {
        let copy = self.disk.read("/l/m").unwrap_or_default();
        let end = script.below(copy.len() + 1);
        let len = end.min(1 + usize::from(script.byte()));
        let crc = Crc32::new().update(&copy[end - len..end]).finish();
        format!(" prefix={}:{len}:{crc:08x}", end - len)
    }

    /// Bytes of the file: as classic sends them, or in a frame at the place where they belong.
    pub(super) fn data(&mut self, script: &mut Script<'_>) {
        let how = script.byte();
        let mut bytes = script.content();
        bytes.truncate(DATA_MAX);
        if how & 1 == 1 {
            return self.receive(&bytes);
        }
        let size = self.disk.read("/l/m").map_or(0, |copy| copy.len() as u64);
        let offset = match how {
            0..240 => size,
            _ => script.number(),
        };
        let frame = data_frame(offset, &bytes);
        self.receive(&frame[..frame.len() - usize::from(how & 2)]);
    }

    /// A frame that says something, and with luck the truth.
    pub(super) fn frame(&mut self, script: &mut Script<'_>) {
        let copy = self.disk.read("/l/m").unwrap_or_default();
        let size = match script.byte() {
            0..200 => copy.len() as u64,
            _ => script.number(),
        };
        let digest = Md5::new().update(&copy).finish();
        let md5 = [Some(digest), Some([7; 16]), None][script.below(3)];
        let frame = match script.byte() % 8 {
            0 => Frame::Alive { size },
            1 | 2 => Frame::End(End {
                size,
                reason: REASONS[script.below(REASONS.len())],
                md5,
            }),
            3 | 4 => Frame::Next(Next {
                inode: Inode(script.number()),
                mtime_ns: script.number(),
                after_loss: script.flag(),
            }),
            5 => Frame::Digest(Digest {
                inode: Inode(script.number()),
                size,
                md5,
            }),
            6 => Frame::Hole {
                offset: size,
                len: 1 + script.number() % MEMORY_HOLE_MAX,
            },
            _ => Frame::Error {
                code: CODES[script.below(CODES.len())],
                text: script.bytes(),
            },
        };
        self.receive(&frame.to_bytes());
        if let Frame::End(_) = frame
            && script.flag()
        {
            let inode = Inode(1 + script.number() % 1_000);
            let next = Next {
                inode,
                mtime_ns: self.now_ms,
                after_loss: false,
            };
            self.receive(&Frame::Next(next).to_bytes());
        }
    }

    /// A frame of any kind with any payload.
    pub(super) fn sealed(&mut self, script: &mut Script<'_>) {
        let kind = script.byte();
        let mut frame = vec![0; HEADER_LEN];
        frame.extend_from_slice(script.bytes());
        // A file in memory has no holes.
        if let Some(Ok(Frame::Hole { len, .. })) = Frame::parse(kind, &frame[HEADER_LEN..])
            && len > MEMORY_HOLE_MAX
        {
            return;
        }
        frame::seal(kind, &mut frame);
        self.receive(&frame);
    }

    pub(super) fn close(&mut self, script: &mut Script<'_>) {
        if !self.source.wants_connection() {
            return;
        }
        let closed = match script.byte() % 4 {
            0 => Closed::NotMade(std::io::ErrorKind::ConnectionRefused.into()),
            1 => Closed::Broken(std::io::ErrorKind::ConnectionReset.into()),
            2 => Closed::NoAddress,
            _ => Closed::ByServer,
        };
        self.with(|source, cx| source.handle_closed(closed, cx));
    }

    /// Many generations at once, with a few bytes in each or none.
    pub(super) fn flood(&mut self, script: &mut Script<'_>) {
        let (pairs, bytes) = (script.byte(), script.bytes());
        let mut size = self.disk.read("/l/m").map_or(0, |copy| copy.len() as u64);
        let mut stream = Vec::new();
        for number in 0..u64::from(pairs) {
            let end = End {
                size,
                reason: Reason::Rotated,
                md5: None,
            };
            let next = Next {
                inode: Inode(1_000 + number),
                mtime_ns: number,
                after_loss: false,
            };
            stream.extend_from_slice(&Frame::End(end).to_bytes());
            stream.extend_from_slice(&Frame::Next(next).to_bytes());
            size = bytes.len() as u64;
            if !bytes.is_empty() {
                stream.extend_from_slice(&data_frame(0, bytes));
            }
        }
        self.receive(&stream);
        self.settle();
    }

    /// What was asked is answered as by a server whose file is like the copy here, but for a byte
    /// where the script wants another, and a little longer.
    pub(super) fn honest_answer(&mut self, script: &mut Script<'_>) {
        let asked = std::mem::take(&mut self.asked);
        let line = asked.strip_suffix(b"\n").unwrap_or(&asked);
        let Ok(request) = Request::parse(line) else {
            return;
        };
        let op = request.v2.as_ref().map(|v2| v2.op);
        let mut file = self.copy_asked_about(op, request.offset);
        let wrong = script.number() as usize;
        if let Some(byte) = file.get_mut(wrong) {
            *byte ^= 0x55;
        }
        file.extend_from_slice(script.bytes());
        let inode = Inode(match request.inode.inode() {
            Inode(0) => 7,
            Inode(held) => held,
        });
        let (at, size) = (request.offset.min(file.len() as u64), file.len());
        let mut answer = match op {
            None => format!("O {inode}\n"),
            Some(_) => format!("O {inode} v2 at={at} size={size} m=5 b=00000001\n"),
        }
        .into_bytes();
        match op {
            None => answer.extend_from_slice(&file[at as usize..]),
            Some(Op::Stream) => answer.extend(data_frame(at, first(&file[at as usize..]))),
            Some(Op::Digest) => {
                let digest = Digest {
                    inode,
                    size: at,
                    md5: Some(Md5::new().update(&file[..at as usize]).finish()),
                };
                answer.extend_from_slice(&Frame::Digest(digest).to_bytes());
            }
            Some(Op::Sums { start, len, count }) => answer.extend(sums(&file, start, len, count)),
            Some(Op::Range { start, len }) => {
                let start = start.min(size as u64);
                let end = start.saturating_add(len).min(size as u64);
                let bytes = first(&file[start as usize..end as usize]);
                answer.extend(data_frame(start, bytes));
            }
            Some(Op::List) => {}
        }
        self.receive(&answer);
        if script.flag() {
            self.settle();
            self.close_in_order();
        }
    }

    /// The live copy for a stream, and else the finished one of this size, if there is any.
    fn copy_asked_about(&self, op: Option<Op>, size: u64) -> Vec<u8> {
        let finished = self.disk.names().into_iter().rev().find_map(|name| {
            let bytes = self.disk.read(&name)?;
            (name.starts_with("/l/m.2") && bytes.len() as u64 == size).then_some(bytes)
        });
        let live = || self.disk.read("/l/m").unwrap_or_default();
        match op {
            None | Some(Op::Stream) => live(),
            Some(_) => finished.unwrap_or_else(live),
        }
    }

    fn close_in_order(&mut self) {
        if self.source.wants_connection() {
            self.with(|source, cx| source.handle_closed(Closed::ByServer, cx));
        }
    }
}

/// As much as one frame takes.
fn first(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(DATA_MAX)]
}

fn data_frame(offset: u64, bytes: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; HEADER_LEN];
    frame.extend_from_slice(&offset.to_be_bytes());
    frame.extend_from_slice(bytes);
    frame::seal(kind::DATA, &mut frame);
    frame
}

/// The checksums of blocks, as far as the file reaches.
fn sums(file: &[u8], start: u64, len: u64, count: u16) -> Vec<u8> {
    let asked = len.saturating_mul(u64::from(count));
    let end = start
        .saturating_add(asked)
        .min(file.len() as u64)
        .max(start);
    let mut frame = vec![0; HEADER_LEN];
    frame.extend_from_slice(&start.to_be_bytes());
    frame.extend_from_slice(&end.to_be_bytes());
    let bytes = file.get(start as usize..end as usize).unwrap_or_default();
    let len = usize::try_from(len.max(1)).unwrap_or(usize::MAX);
    for block in bytes.chunks(len) {
        let crc = Crc32::new().update(block).finish();
        frame.extend_from_slice(&crc.to_be_bytes());
    }
    frame::seal(kind::SUMS, &mut frame);
    frame
}
