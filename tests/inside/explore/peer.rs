//! The box: a small server that plays a script, in version 2 or classic, and the log it writes.

use crate::ids::Inode;
use crate::wire::classic;
use crate::wire::frame::{self, End, ErrorCode, Frame, Next, Reason, Role};
use crate::wire::md5::Md5;
use crate::wire::number::InodeWord;
use crate::wire::proof;
use crate::wire::reply::{Mark, Reply, Terms};
use crate::wire::request::{Extension, Op, Request};
use crate::wire::token::Token;

/// What happens on the boxes once the collector has everything.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// The log of one source grows.
    Write(usize, &'static [u8]),
    /// It is renamed and begins anew.
    Rotate(usize),
    /// It is copied and emptied.
    Copytruncate(usize),
    /// The connection is lost.
    HangUp(usize),
    /// The collector closes the files of a source and opens them again.
    Reopen(usize),
    /// Nothing, for so many milliseconds.
    Pause(u64),
    /// The logs of all sources are rotated in one moment.
    Midnight,
    /// What was rotated is deleted.
    Forget(usize),
    /// A power cut leaves so many bytes of the log.
    LoseEnd(usize, usize),
}

/// Which protocol the boxes speak.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dialect {
    V2,
    Classic,
}

/// The box of one source.
#[derive(Clone)]
pub struct Peer {
    dialect: Dialect,
    /// Everything that was ever written, oldest first; the last one is live.
    pub generations: Vec<Generation>,
    /// So many of them are deleted.
    forgotten: usize,
    boot: u32,
    /// It tells which file is which.
    pub gives_tokens: bool,
}

/// One life of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Generation {
    pub inode: u64,
    pub bytes: Vec<u8>,
    reason: Reason,
}

/// One connection.
pub struct Session {
    mode: Mode,
    /// The generation that is being sent.
    at: usize,
    sent: usize,
    /// The answer line, and what else is ready.
    ready: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Frames,
    Plain,
    /// Nothing but what is ready.
    Short,
}

/// What a connection brings.
pub enum Output {
    Bytes(Vec<u8>),
    Close,
    /// Nothing before the log grows.
    Idle,
}

/// The first boot of every box.
pub const BOOT: u32 = 1;

impl Peer {
    /// A box that has written nothing yet. Boxes differ by their inodes.
    pub fn new(dialect: Dialect, number: usize) -> Peer {
        Peer {
            dialect,
            generations: vec![Generation::new(7 + 100 * number as u64)],
            forgotten: 0,
            boot: BOOT,
            gives_tokens: false,
        }
    }

    pub fn write(&mut self, bytes: &[u8]) {
        if let Some(live) = self.generations.last_mut() {
            live.bytes.extend_from_slice(bytes);
        }
    }

    pub fn rotate(&mut self) {
        self.follow(Reason::Rotated, 1);
    }

    pub fn copytruncate(&mut self) {
        self.follow(Reason::Truncated, 0);
    }

    pub fn forget(&mut self) {
        self.forgotten = self.live();
    }

    pub fn lose_end(&mut self, left: usize) {
        self.boot += 1;
        if let Some(live) = self.generations.last_mut() {
            live.bytes.truncate(left);
        }
    }

    fn follow(&mut self, reason: Reason, inode_by: u64) {
        if let Some(last) = self.generations.last_mut() {
            last.reason = reason;
            let next = Generation::new(last.inode + inode_by);
            self.generations.push(next);
        }
    }

    /// Answers a request line.
    pub fn answer(&self, line: &[u8]) -> Session {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let Ok(request) = Request::parse(line) else {
            return Session::closed();
        };
        match &request.v2 {
            Some(v2) if self.dialect == Dialect::V2 => match v2.op {
                Op::Stream => self.answer_frames(&request, v2),
                Op::Range { start, len } => self.answer_range(&request, v2, start, len),
                Op::Digest => self.answer_digest(&request, v2),
                Op::Sums { .. } | Op::List => self.refuse(),
            },
            _ => self.answer_classic(&request),
        }
    }

    fn live(&self) -> usize {
        self.generations.len() - 1
    }

    // Version 2.

    fn answer_frames(&self, request: &Request<'_>, v2: &Extension) -> Session {
        let found = match request.inode.inode() {
            Inode::NONE => Some(self.live()),
            _ => self.find(request, v2),
        };
        match found {
            Some(at) => self.frames(Mark::Found, at, request.offset as usize),
            None if self.has_lost_end(request, v2) => self.start_of_copy(),
            None => self.frames(Mark::Lost, self.next_after(v2), 0),
        }
    }

    /// Whether the live log may be the start of what the client holds.
    fn has_lost_end(&self, request: &Request<'_>, v2: &Extension) -> bool {
        let live = &self.generations[self.live()];
        let is_shorter = (live.bytes.len() as u64) < request.offset;
        let is_named = live.inode == request.inode.inode().0;
        let was_cut = v2.boot.is_some_and(|boot| boot != self.boot);
        is_shorter && is_named && was_cut && !v2.no_prefix
    }

    /// The live log, which ends before the client's copy; the client is to see whether it is the
    /// start of that.
    fn start_of_copy(&self) -> Session {
        let live = self.live();
        let bytes = &self.generations[live].bytes;
        let block = proof::Block {
            start: 0,
            len: bytes.len() as u16,
            crc: proof::checksum(&mut bytes.clone(), false),
        };
        let terms = Terms {
            prefix: Some(block),
            ..self.terms(live, bytes.len())
        };
        self.session(Mode::Frames, Mark::Found, live, bytes.len(), Some(terms))
    }

    fn frames(&self, mark: Mark, at: usize, sent: usize) -> Session {
        let terms = Terms {
            lost: mark == Mark::Lost,
            ..self.terms(at, sent)
        };
        self.session(Mode::Frames, mark, at, sent, Some(terms))
    }

    fn terms(&self, at: usize, sent: usize) -> Terms {
        Terms {
            at: sent as u64,
            size: self.generations[at].bytes.len() as u64,
            mtime_ns: mtime_ns(at),
            boot: self.boot,
            identity: self.token(at),
            ..Terms::default()
        }
    }

    fn answer_range(&self, request: &Request<'_>, v2: &Extension, start: u64, len: u64) -> Session {
        let Some(at) = self
            .find(request, v2)
            .or_else(|| self.find_alike(request, v2))
        else {
            return self.refuse();
        };
        let mut session = self.session(Mode::Short, Mark::Found, at, 0, Some(self.terms(at, 0)));
        let bytes = &self.generations[at].bytes;
        let start = start as usize;
        let end = (start + len as usize).min(bytes.len()).max(start);
        let bytes = bytes.get(start..end).unwrap_or_default();
        session.ready.extend(data(start, bytes));
        session
    }

    fn answer_digest(&self, request: &Request<'_>, v2: &Extension) -> Session {
        let Some(at) = self.find(request, v2) else {
            return self.refuse();
        };
        let generation = &self.generations[at];
        let mut session = self.session(Mode::Short, Mark::Found, at, 0, Some(self.terms(at, 0)));
        let digest = Frame::Digest(frame::Digest {
            inode: Inode(generation.inode),
            size: generation.bytes.len() as u64,
            md5: Some(generation.md5()),
        });
        session.ready.extend_from_slice(&digest.to_bytes());
        session
    }

    fn refuse(&self) -> Session {
        let reply = Reply {
            mark: Mark::Refused,
            inode: InodeWord::plain(Inode::NONE),
            v2: Some(Terms::default()),
        };
        let gone = Frame::Error {
            code: ErrorCode::Gone,
            text: b"gone",
        };
        let mut session = Session::closed();
        session.ready.extend_from_slice(&reply.to_line());
        session.ready.extend_from_slice(&gone.to_bytes());
        session
    }

    /// The oldest generation since the client's began that has all that the client proves; without
    /// a proof, its inode.
    fn find(&self, request: &Request<'_>, v2: &Extension) -> Option<usize> {
        let inode = request.inode.inode().0;
        let generations = self.generations.iter().enumerate().skip(self.forgotten);
        let mut since =
            generations.filter(|(at, _)| v2.mtime_ns.is_none_or(|m| mtime_ns(*at) >= m));
        let is_it = |(_, generation): &(usize, &Generation)| {
            let has_room = generation.bytes.len() as u64 >= request.offset;
            let is_named = generation.inode == inode || !v2.proof.is_empty();
            has_room && is_named && v2.proof.iter().all(|block| generation.has(block))
        };
        since.find(is_it).map(|(at, _)| at)
    }

    /// The generation that has most of what the client proves, or else the client's inode.
    fn find_alike(&self, request: &Request<'_>, v2: &Extension) -> Option<usize> {
        let likeness = |at: usize| {
            let generation = &self.generations[at];
            let blocks = v2
                .proof
                .iter()
                .filter(|block| generation.has(block))
                .count();
            let is_named = generation.inode == request.inode.inode().0;
            (
                blocks,
                is_named,
                generation.bytes.len() as u64 == request.offset,
            )
        };
        let found = (self.forgotten..self.generations.len()).max_by_key(|at| likeness(*at))?;
        let (blocks, is_named, _) = likeness(found);
        (blocks > 0 || is_named).then_some(found)
    }

    /// The oldest generation since the client's began.
    fn next_after(&self, v2: &Extension) -> usize {
        let own = v2.mtime_ns.unwrap_or(0);
        let mut places = self.forgotten..self.generations.len();
        places
            .find(|at| mtime_ns(*at) >= own)
            .unwrap_or(self.live())
    }

    // Classic.

    fn answer_classic(&self, request: &Request<'_>) -> Session {
        let inode = request.inode.inode();
        let offset = request.offset as usize;
        let of_inode = |generation: &Generation| generation.inode == inode.0;
        if inode == Inode::NONE {
            return self.plain(Mark::Found, self.live(), 0);
        }
        let found = self.generations.iter().rposition(of_inode);
        let Some(at) = found.filter(|at| *at >= self.forgotten) else {
            return self.plain(Mark::Lost, self.live(), 0);
        };
        let size = self.generations[at].bytes.len();
        match at == self.live() {
            true if offset <= size => self.plain(Mark::Found, at, offset),
            true => {
                let mut session = self.plain(Mark::Lost, at, 0);
                let respelled = InodeWord::plain(inode).respelled();
                session.ready = Reply::classic(Mark::Lost, respelled).to_line().to_vec();
                session
            }
            false if offset < size => self.plain(Mark::Found, at, offset),
            false if offset == size => self.plain(Mark::Found, at + 1, 0),
            false => Session::closed(),
        }
    }

    fn plain(&self, mark: Mark, at: usize, sent: usize) -> Session {
        self.session(Mode::Plain, mark, at, sent, None)
    }

    fn session(
        &self,
        mode: Mode,
        mark: Mark,
        at: usize,
        sent: usize,
        v2: Option<Terms>,
    ) -> Session {
        let inode = InodeWord::plain(Inode(self.generations[at].inode));
        let mut ready = Reply { mark, inode, v2 }.to_line().to_vec();
        let size = self.generations[at].bytes.len();
        if mode == Mode::Plain && sent == size {
            ready.push(classic::KEEP_ALIVE);
        }
        Session {
            mode,
            at,
            sent,
            ready,
        }
    }

    // Sending.

    /// What a connection brings next.
    pub fn output(&self, session: &mut Session) -> Output {
        if !session.ready.is_empty() {
            return Output::Bytes(std::mem::take(&mut session.ready));
        }
        let generation = &self.generations[session.at];
        let rest = &generation.bytes[session.sent.min(generation.bytes.len())..];
        let is_live = session.at == self.live();
        match session.mode {
            Mode::Short => Output::Close,
            Mode::Frames if !rest.is_empty() => {
                let (frame, len) = next_frame(session.sent, rest);
                session.sent += len;
                Output::Bytes(frame)
            }
            Mode::Plain if !rest.is_empty() => {
                session.sent += rest.len();
                Output::Bytes(rest.to_vec())
            }
            _ if is_live => Output::Idle,
            Mode::Plain => Output::Close,
            Mode::Frames => {
                session.at += 1;
                session.sent = 0;
                Output::Bytes(self.turn(session.at - 1))
            }
        }
    }

    /// The end of a generation and the name of the next.
    fn turn(&self, at: usize) -> Vec<u8> {
        let (old, next) = (&self.generations[at], &self.generations[at + 1]);
        let end = Frame::End(End {
            size: old.bytes.len() as u64,
            reason: old.reason,
            md5: Some(old.md5()),
        });
        let next = Frame::Next(Next {
            inode: Inode(next.inode),
            mtime_ns: mtime_ns(at + 1),
            after_loss: false,
        });
        let file = self.token(at + 1).map(|token| {
            let role = Role::Begins;
            Frame::File { role, token }.to_bytes()
        });
        let file = file.unwrap_or_default();
        [&end.to_bytes()[..], &file, &next.to_bytes()].concat()
    }

    /// What it calls the `at`-th generation.
    pub fn token(&self, at: usize) -> Option<Token> {
        let inode = self.generations.get(at)?.inode;
        let token = Token::parse(format!("{inode}.{at}/x").as_bytes());
        token.filter(|_| self.gives_tokens)
    }

    /// What an idle connection brings now and then.
    pub fn sign_of_life(&self, session: &Session) -> Vec<u8> {
        match session.mode {
            Mode::Frames => {
                let size = self.generations[session.at].bytes.len() as u64;
                Frame::Alive { size }.to_bytes().to_vec()
            }
            _ => vec![classic::KEEP_ALIVE],
        }
    }
}

impl Generation {
    fn new(inode: u64) -> Generation {
        Generation {
            inode,
            bytes: Vec::new(),
            reason: Reason::Rotated,
        }
    }

    pub fn md5(&self) -> [u8; 16] {
        let mut md5 = Md5::new();
        md5.update(&self.bytes);
        md5.finish()
    }

    fn has(&self, block: &proof::Block) -> bool {
        let bytes = self.bytes.get(block.start as usize..block.end() as usize);
        bytes.is_some_and(|bytes| proof::checksum(&mut bytes.to_vec(), false) == block.crc)
    }
}

impl Session {
    fn closed() -> Session {
        Session {
            mode: Mode::Short,
            at: 0,
            sent: 0,
            ready: Vec::new(),
        }
    }
}

fn mtime_ns(at: usize) -> u64 {
    1_000 + at as u64
}

/// The next frame of what there is from a place on, and how much is in it: a few zeros are a hole.
fn next_frame(at: usize, rest: &[u8]) -> (Vec<u8>, usize) {
    let zeros = rest.iter().take_while(|byte| **byte == 0).count();
    if zeros >= HOLE {
        let (offset, len) = (at as u64, zeros as u64);
        return (Frame::Hole { offset, len }.to_bytes().to_vec(), zeros);
    }
    let hole = rest.windows(HOLE).position(|bytes| bytes == [0; HOLE]);
    let len = hole.unwrap_or(rest.len());
    (data(at, &rest[..len]), len)
}

/// The fewest zeros that are told by their number.
const HOLE: usize = 4;

fn data(offset: usize, bytes: &[u8]) -> Vec<u8> {
    let offset = (offset as u64).to_be_bytes();
    let mut frame = [&[0; frame::HEADER_LEN][..], &offset, bytes].concat();
    frame::seal(frame::kind::DATA, &mut frame);
    frame
}
