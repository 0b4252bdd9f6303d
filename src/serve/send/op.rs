//! The one answer of version 2 to a client that wants no stream: a digest, block checksums, a
//! range, or a refusal. Pure.
//!
//! What takes long is computed in slices, one buffer full at a time, so that it delays nobody.

use std::io;
use std::ops::ControlFlow::{self, Break, Continue};

use super::digest::Digest;
use super::ending::Ending;
use super::outbox::Outbox;
use crate::limits::{RANGE_FRAME_LEN, REPLY_MAX_LEN};
use crate::serve::config::Config;
use crate::serve::find::refusal::Refusal;
use crate::store::{ReadStore, Stat};
use crate::time::Mono;
use crate::wire::crc32::Crc32;
use crate::wire::frame::{self, ErrorCode, Frame, HEADER_LEN, kind};
use crate::wire::number::InodeWord;
use crate::wire::reply::{Mark, Reply, Terms};
use crate::wire::request::{FrameMax, Op, Request};
use crate::wire::token::Token;

/// One answer in the making.
pub struct OpReply<F> {
    out: Outbox,
    task: Task<F>,
    /// The file's size when it was asked for.
    size: u64,
    ending: Option<Ending>,
}

/// What is still to be computed.
enum Task<F> {
    /// Nothing.
    Done,
    /// The MD5 of the first `size` bytes.
    Digest {
        file: F,
        stat: Stat,
        size: u64,
        digest: Box<Digest>,
    },
    /// Checksums of blocks, up to `end`.
    Sums {
        file: F,
        start: u64,
        at: u64,
        len: u64,
        end: u64,
        crc: Crc32,
        sums: Vec<u8>,
    },
    /// Bytes of the file, up to `end`.
    Range {
        file: F,
        at: u64,
        end: u64,
        /// The most of them in a frame.
        most: FrameMax,
    },
}

impl<F> OpReply<F> {
    /// Answers with a reason why nothing else is answered, after which the session ends as `ending`
    /// says. Archives are told before.
    pub fn refuse(code: ErrorCode, text: &str, ending: Ending, now: Mono) -> OpReply<F> {
        let inode = InodeWord::plain(crate::ids::Inode::NONE);
        let told = match &ending {
            Ending::Refused(Refusal::Compressed(told)) => Some(told),
            _ => None,
        };
        let terms = Terms {
            whole: told.is_some_and(|told| told.is_whole),
            lost: told.is_some_and(|told| told.is_lost),
            ..Terms::default()
        };
        let reply = Reply {
            mark: Mark::Refused,
            inode,
            v2: Some(terms),
        };
        let mut out = reply.to_line().to_vec();
        for archive in told.iter().flat_map(|told| &told.archives) {
            let frame = archive.archive().map(Frame::Archive);
            out.extend(frame.iter().flat_map(|frame| frame.to_bytes()));
        }
        out.extend_from_slice(
            &Frame::Error {
                code,
                text: text.as_bytes(),
            }
            .to_bytes(),
        );
        OpReply {
            out: Outbox::new(out, now),
            task: Task::Done,
            size: 0,
            ending: Some(ending),
        }
    }

    /// Answers what `op` asks of a file; `None` if it asks for the stream. `ids` are the boot and,
    /// if it is to be told, the token of the file.
    pub fn new(
        file: F,
        stat: Stat,
        request: &Request<'_>,
        op: Op,
        (boot, identity): (u32, Option<Token>),
        now: Mono,
    ) -> Option<OpReply<F>> {
        let task = match op {
            Op::Stream | Op::List => return None,
            Op::Digest => Task::Digest {
                file,
                stat,
                // The client reads from the size field of the answer what it is a digest of.
                size: request.offset.min(stat.size),
                digest: Box::default(),
            },
            Op::Sums { start, len, count } => Task::Sums {
                file,
                start,
                at: start,
                len,
                // The request was refused if this did not fit into 64 bits. What is written to the
                // file from now on is no part of the answer, or a log that grows fast would have no
                // end.
                end: (start + len * u64::from(count)).min(stat.size),
                crc: Crc32::new(),
                sums: Vec::with_capacity(usize::from(count) * 4),
            },
            Op::Range { start, len } => Task::Range {
                file,
                at: start,
                end: (start + len).min(stat.size),
                most: request
                    .v2
                    .as_ref()
                    .and_then(|v2| v2.frame_max)
                    .unwrap_or_default(),
            },
        };
        let terms = Terms {
            size: stat.size,
            mtime_ns: stat.mtime_ns,
            boot,
            identity,
            ..Terms::default()
        };
        let inode = InodeWord::plain(stat.id.inode);
        let reply = Reply {
            mark: Mark::Found,
            inode,
            v2: Some(terms),
        };
        // The line goes out at once, so that the client knows that it is understood and waits.
        let mut out = Vec::with_capacity(REPLY_MAX_LEN);
        out.extend_from_slice(&reply.to_line());
        Some(OpReply {
            out: Outbox::new(out, now),
            task,
            size: terms.size,
            ending: None,
        })
    }

    /// Whether [`work`](Self::work) has something to do now.
    pub fn has_work(&self) -> bool {
        // A range may be gigabytes: the next frame is read when the last one is taken. A digest and
        // checksums are computed meanwhile, for they are sent as one small frame.
        let is_room = self.out.is_taken() || !matches!(self.task, Task::Range { .. });
        is_room && !matches!(self.task, Task::Done)
    }

    /// Computes one slice, with `buf` to read into.
    pub fn work<S: ReadStore<File = F>>(
        &mut self,
        buf: &mut [u8],
        store: &S,
    ) -> ControlFlow<Ending> {
        match self.slice(buf, store) {
            Ok(true) => self.task = Task::Done,
            Ok(false) => {}
            Err(error) => return Break(Ending::unreadable(error)),
        }
        Continue(())
    }

    /// Fills `buf` with what is to be sent.
    pub fn output(&mut self, buf: &mut [u8]) -> usize {
        self.out.output(buf)
    }

    /// The socket took the first `len` bytes of the last output. Tells whether that was all there
    /// will ever be.
    pub fn consume_output(&mut self, len: usize, now: Mono) -> ControlFlow<Ending> {
        self.out.consume_output(len, now);
        if !self.out.is_taken() {
            return Continue(());
        }
        match &self.task {
            Task::Done => Break(self.ending.take().unwrap_or(Ending::Answered)),
            _ => Continue(()),
        }
    }

    /// A deadline has come. While something is being computed the client waits for us, not we for
    /// it; what takes long is accompanied by keep-alives.
    pub fn handle_timeout(&mut self, config: &Config, now: Mono) -> ControlFlow<Ending> {
        // The log may be many gigabytes, and the client takes IDLE without a byte for a dead
        // connection.
        self.out.handle_timeout(self.size, config, now)
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do next.
    pub fn poll_timeout(&self, config: &Config) -> Mono {
        self.out.poll_timeout(config)
    }

    /// Checks that the parts agree with each other; in release builds it does nothing.
    pub fn check_invariants(&self) {
        self.out.check_invariants();
        if let Task::Digest { size, digest, .. } = &self.task {
            debug_assert!(digest.done() <= *size);
        }
        // Who is refused is told so at once.
        debug_assert!(self.ending.is_none() || matches!(self.task, Task::Done));
    }

    /// One slice of the task. Tells whether that was the last.
    fn slice<S: ReadStore<File = F>>(&mut self, buf: &mut [u8], store: &S) -> io::Result<bool> {
        match &mut self.task {
            Task::Done => Ok(true),
            Task::Digest {
                file,
                stat,
                size,
                digest,
            } => {
                digest.advance(store, file, *size, buf)?;
                let Some(md5) = digest.finished(*size) else {
                    return Ok(false);
                };
                let frame = Frame::Digest(frame::Digest {
                    inode: stat.id.inode,
                    size: *size,
                    md5: Some(md5),
                });
                self.out.end().extend_from_slice(&frame.to_bytes());
                Ok(true)
            }
            Task::Sums {
                file,
                start,
                at,
                len,
                end,
                crc,
                sums,
            } => {
                // Blocks may be longer than the buffer and are then read in several slices; a slice
                // never goes beyond the end of its block, where the checksum begins anew.
                let left_in_block = *len - (*at - *start) % *len;
                let wanted = clip(left_in_block.min(end.saturating_sub(*at)), buf.len());
                let read = store.read_at(file, &mut buf[..wanted], *at)?;
                crc.update(&buf[..read]);
                *at += read as u64;
                // Nothing is read where the file became shorter since; then it ends here.
                let at_end = read == 0 || *at >= *end;
                // A block is over when it is full, or short at the end. Where the end falls on a
                // full block that was told already, there is none more.
                if (at_end && (*at - *start) % *len != 0)
                    || (read > 0 && (*at - *start) % *len == 0)
                {
                    sums.extend_from_slice(&crc.finish().to_be_bytes());
                    *crc = Crc32::new();
                }
                if at_end {
                    let mut frame = vec![0; HEADER_LEN];
                    frame.extend_from_slice(&start.to_be_bytes());
                    frame.extend_from_slice(&at.to_be_bytes());
                    frame.extend_from_slice(sums);
                    frame::seal(kind::SUMS, &mut frame);
                    self.out.end().extend_from_slice(&frame);
                }
                Ok(at_end)
            }
            Task::Range {
                file,
                at,
                end,
                most,
            } => {
                // The range may begin behind the end of the file; then one frame without bytes says
                // so.
                let most = buf.len().min(most.bytes()).min(RANGE_FRAME_LEN);
                let wanted = clip(end.saturating_sub(*at), most);
                let read = store.read_at(file, &mut buf[..wanted], *at)?;
                let mut frame = Vec::with_capacity(HEADER_LEN + 8 + read);
                frame.resize(HEADER_LEN, 0);
                frame.extend_from_slice(&at.to_be_bytes());
                frame.extend_from_slice(&buf[..read]);
                frame::seal(kind::DATA, &mut frame);
                // Nearly always there is nothing before it, and no second buffer is needed.
                let out = self.out.end();
                match out.is_empty() {
                    true => *out = frame,
                    false => out.extend_from_slice(&frame),
                }
                *at += read as u64;
                Ok(read == 0 || *at >= *end)
            }
        }
    }
}

/// A length that fits a buffer.
fn clip(wanted: u64, room: usize) -> usize {
    usize::try_from(wanted).unwrap_or(usize::MAX).min(room)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::inside::fake::{Fake, Handle};
    use crate::wire::request::Extension;

    /// All that is to be sent now, and what that leads to.
    fn take(reply: &mut OpReply<Handle>, now: Mono) -> (Vec<u8>, ControlFlow<Ending>) {
        let mut buf = [0; 512];
        let len = reply.output(&mut buf);
        (buf[..len].to_vec(), reply.consume_output(len, now))
    }

    #[test]
    fn a_client_that_takes_nothing_of_a_range_costs_little_memory() {
        let disk = Fake::new();
        disk.write("/v/m", &[b'x'; 100_000]);
        let file = disk.open(Path::new("/v/m")).unwrap();
        let stat = ReadStore::stat(&disk, &file).unwrap();
        let request = Request {
            path: b"/v/m",
            inode: InodeWord::plain(stat.id.inode),
            offset: 100_000,
            v2: Some(Extension::default()),
        };
        let op = Op::Range {
            start: 0,
            len: 100_000,
        };
        let now = Mono::from_ms(1_000);
        let mut reply = OpReply::new(file, stat, &request, op, (0, None), now).unwrap();
        let (mut sent, mut turn) = (0, Continue(()));
        while turn.is_continue() {
            while reply.has_work() {
                assert!(reply.work(&mut [0; 70_000], &disk).is_continue());
            }
            assert!(reply.out.end().capacity() <= RANGE_FRAME_LEN + 512);
            let (bytes, next) = take(&mut reply, now);
            (sent, turn) = (sent + bytes.len(), next);
        }
        assert!(sent > 100_000);
    }

    #[test]
    fn what_takes_long_is_accompanied_by_signs_of_life() {
        let disk = Fake::new();
        disk.write("/v/m", &[b'x'; 300]);
        let file = disk.open(Path::new("/v/m")).unwrap();
        let stat = ReadStore::stat(&disk, &file).unwrap();
        let config = Config::parse(b"$alive_interval = 60;").unwrap();
        let request = Request {
            path: b"/v/m",
            inode: InodeWord::plain(stat.id.inode),
            offset: 300,
            v2: Some(Extension::default()),
        };
        let mut now = Mono::from_ms(1_000);
        let mut reply = OpReply::new(file, stat, &request, Op::Digest, (0, None), now).unwrap();
        assert_eq!(take(&mut reply, now).0.last(), Some(&b'\n'));
        for _ in 0..3 {
            assert!(reply.work(&mut [0; 64], &disk).is_continue());
            let before = now;
            now = reply.poll_timeout(&config);
            assert_eq!(now.since_ms(before), 60_000);
            assert!(matches!(reply.handle_timeout(&config, now), Continue(())));
            let alive = Frame::Alive { size: 300 }.to_bytes();
            assert_eq!(take(&mut reply, now).0, alive[..]);
        }
        while reply.has_work() {
            assert!(reply.work(&mut [0; 64], &disk).is_continue());
        }
        let (digest, turn) = take(&mut reply, now);
        assert_eq!(digest.first(), Some(&kind::DIGEST));
        assert!(matches!(turn, Break(Ending::Answered)));
    }
}
