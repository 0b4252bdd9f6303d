//! The network: connections as two queues of bytes that may be narrow, slow, chopped, cut, stalled
//! or half gone.

use std::collections::{BTreeMap, VecDeque};

/// The ways between the boxes and the log host.
pub struct Net {
    pub links: Vec<Link>,
    /// The log host has power.
    pub host_up: bool,
    pub conns: BTreeMap<u32, Conn>,
    opened: u32,
}

/// The way to one box.
pub struct Link {
    pub line: Line,
    pub delay_ms: u64,
    /// Most bytes that arrive at once.
    pub step: usize,
    /// Bytes that the sockets hold.
    pub window: usize,
    /// After so many more bytes the connection that carries them breaks.
    pub cut_after: Option<usize>,
    /// The box has power.
    pub box_up: bool,
}

/// What becomes of what is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Line {
    Up,
    /// Connections are refused; those that stand are not concerned.
    Refused,
    /// Nothing comes through and nobody is told.
    Dark,
}

/// One connection, of which each side may know or not.
pub struct Conn {
    pub site: usize,
    pub source: usize,
    pub stage: Stage,
    /// The kernel of this side still knows it.
    pub at_host: bool,
    pub at_box: bool,
    /// Towards the box.
    pub up: Pipe,
    /// Towards the log host.
    pub down: Pipe,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It is being made, and is answered at this moment.
    Calling(u64),
    Made,
}

/// One direction.
#[derive(Default)]
pub struct Pipe {
    queue: VecDeque<(u64, Vec<u8>)>,
    queued: usize,
    /// How and when it ends, once everything before has arrived.
    end: Option<(u64, End)>,
    /// The end has arrived.
    ended: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    Fin,
    Reset,
}

/// What arrives.
#[derive(Debug)]
pub enum Arrival {
    Bytes(Vec<u8>),
    End(End),
}

/// After so long without an acknowledgement a kernel gives a connection up.
const GIVE_UP_MS: u64 = 900_000;

impl Link {
    pub fn new() -> Link {
        Link {
            line: Line::Up,
            delay_ms: 1,
            step: usize::MAX,
            window: 128 * 1024,
            cut_after: None,
            box_up: true,
        }
    }
}

impl Net {
    pub fn new() -> Net {
        Net {
            links: Vec::new(),
            host_up: true,
            conns: BTreeMap::new(),
            opened: 0,
        }
    }

    /// Starts to make a connection.
    pub fn open(&mut self, site: usize, source: usize, now_ms: u64) -> u32 {
        self.opened += 1;
        let conn = Conn {
            site,
            source,
            stage: Stage::Calling(now_ms + 2 * self.links[site].delay_ms),
            at_host: true,
            at_box: false,
            up: Pipe::default(),
            down: Pipe::default(),
        };
        self.conns.insert(self.opened, conn);
        self.opened
    }

    /// How many connections there were.
    pub fn opened(&self) -> u32 {
        self.opened
    }

    /// When the next thing arrives, or is given up. Nobody reads what comes for these sources.
    pub fn next_moment(&self, is_deaf: &dyn Fn(usize) -> bool) -> Option<u64> {
        self.conns
            .values()
            .filter_map(|conn| self.moment(conn, conn.at_host && is_deaf(conn.source)))
            .min()
    }

    fn moment(&self, conn: &Conn, is_unread: bool) -> Option<u64> {
        let link = &self.links[conn.site];
        let call = match conn.stage {
            Stage::Calling(at) if link.line != Line::Dark => Some(at),
            _ => None,
        };
        let of = |pipe: &Pipe, sender: bool, passes: bool| {
            let at = pipe.next_moment()?;
            match (passes && link.line != Line::Dark, sender) {
                (true, _) => Some(at),
                (false, true) if pipe.has_bytes() => Some(at + GIVE_UP_MS),
                _ => None,
            }
        };
        let up = of(&conn.up, conn.at_host, link.box_up);
        let down = of(&conn.down, conn.at_box, self.host_up);
        let down = down.filter(|_| !(is_unread && self.host_up && link.line != Line::Dark));
        [call, up, down].into_iter().flatten().min()
    }

    /// Forgets connections that neither side knows.
    pub fn sweep(&mut self) {
        self.conns.retain(|_, conn| conn.at_host || conn.at_box);
    }
}

impl Pipe {
    pub fn room(&self, window: usize) -> usize {
        window.saturating_sub(self.queued)
    }

    pub fn push(&mut self, at_ms: u64, bytes: &[u8]) {
        // What is sent into a broken connection goes nowhere.
        if self.end.is_none() && !self.ended {
            self.queued += bytes.len();
            self.queue.push_back((at_ms, bytes.to_vec()));
        }
    }

    pub fn finish(&mut self, at_ms: u64, end: End) {
        if self.ended {
            return;
        }
        if end == End::Reset {
            self.drop_all();
            self.end = Some((at_ms, end));
        }
        self.end.get_or_insert((at_ms, end));
    }

    pub fn drop_all(&mut self) {
        self.queue.clear();
        self.queued = 0;
    }

    pub fn next_moment(&self) -> Option<u64> {
        let front = self.queue.front().map(|(at, _)| *at);
        front.or(self.end.map(|(at, _)| at))
    }

    pub fn has_bytes(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Whether the oldest bytes have been on the way for too long.
    pub fn is_given_up(&self, now_ms: u64) -> bool {
        let front = self.queue.front().map(|(at, _)| *at);
        front.is_some_and(|at| at + GIVE_UP_MS <= now_ms)
    }

    /// What arrives now, at most `most` bytes of it.
    pub fn take(&mut self, now_ms: u64, most: usize) -> Option<Arrival> {
        let Some((at, bytes)) = self.queue.front_mut() else {
            let (_, end) = self.end.take_if(|(at, _)| *at <= now_ms)?;
            self.ended = true;
            return Some(Arrival::End(end));
        };
        if *at > now_ms {
            return None;
        }
        let taken: Vec<u8> = bytes.drain(..bytes.len().min(most)).collect();
        if bytes.is_empty() {
            self.queue.pop_front();
        }
        self.queued -= taken.len();
        Some(Arrival::Bytes(taken))
    }
}
