//! The connection between the two: a queue of bytes that may be narrow, slow, cut at any byte or
//! gone.

use std::collections::VecDeque;

use crate::random::Random;

/// The way between box and log host.
pub struct Link {
    pub line: Line,
    pub conn: Option<Conn>,
    /// Most bytes that move at once.
    pub step: usize,
    /// Bytes that the sockets hold.
    pub window: usize,
    pub delay_ms: u64,
    /// After so many more bytes towards the collector the connection breaks.
    pub cut_after: Option<(usize, End)>,
    /// After so many more bytes towards the collector a bit of the next one is flipped.
    pub flip_after: Option<usize>,
    /// After so many more bytes the next two pieces change places.
    pub swap_after: Option<usize>,
    /// How many bytes a connection brings before it breaks.
    pub quota: Quota,
    /// The server is one that does not know the field `f`.
    pub knows_no_f: bool,
    /// The server is one that knows only the classic protocol: it does not read behind the third
    /// word.
    pub classic: bool,
    /// Bytes that have come to the collector, over all connections.
    pub carried: usize,
    opened: u32,
}

/// Whether a connection can be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Line {
    Up,
    Refused,
    /// Nothing comes through and nobody is told.
    Dark,
}

/// How many bytes a connection brings before it breaks.
pub enum Quota {
    None,
    Always(usize),
    /// Anything from the first to the second.
    Any(usize, usize, Random),
}

impl Quota {
    fn next(&mut self) -> Option<usize> {
        match self {
            Quota::None => None,
            Quota::Always(len) => Some(*len),
            Quota::Any(from, to, random) => {
                Some(*from + random.below((*to - *from + 1) as u64) as usize)
            }
        }
    }
}

/// One connection.
pub struct Conn {
    pub number: u32,
    on_the_way: VecDeque<(u64, Vec<u8>)>,
    queued: usize,
    /// How it ends once everything has arrived.
    pub end: Option<End>,
}

/// How a connection ends, as the collector sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    Fin,
    Reset,
}

/// What comes to the collector.
pub enum Arrival {
    Bytes(Vec<u8>),
    End(End),
}

impl Link {
    pub fn new() -> Link {
        Link {
            line: Line::Up,
            conn: None,
            step: usize::MAX,
            window: 256 * 1024,
            delay_ms: 0,
            cut_after: None,
            flip_after: None,
            swap_after: None,
            quota: Quota::None,
            knows_no_f: false,
            classic: false,
            carried: 0,
            opened: 0,
        }
    }

    /// How many connections there were.
    pub fn opened(&self) -> u32 {
        self.opened
    }

    pub fn open(&mut self) -> u32 {
        self.opened += 1;
        if let Some(len) = self.quota.next() {
            let end = match self.opened % 2 {
                0 => End::Fin,
                _ => End::Reset,
            };
            self.cut_after = Some((len, end));
        }
        self.conn = Some(Conn {
            number: self.opened,
            on_the_way: VecDeque::new(),
            queued: 0,
            end: None,
        });
        self.opened
    }

    /// What the server hears of a request.
    pub fn up(&self, bytes: &[u8]) -> Vec<u8> {
        match (self.classic, find(bytes, b" v2")) {
            (true, Some(at)) => [&bytes[..at], b"\n"].concat(),
            (false, Some(_)) if self.knows_no_f => {
                let line = String::from_utf8_lossy(bytes);
                line.replace(" f=", " later=").into_bytes()
            }
            _ => bytes.to_vec(),
        }
    }

    /// How many bytes the server's socket takes now.
    pub fn room(&self) -> usize {
        match (&self.conn, self.line) {
            (Some(conn), Line::Up) => self.window.saturating_sub(conn.queued).min(self.step),
            (Some(conn), _) => self.window.saturating_sub(conn.queued),
            (None, _) => 0,
        }
    }

    pub fn down(&mut self, bytes: &[u8], now_ms: u64) {
        let arrives_ms = now_ms + self.delay_ms;
        // What is sent into a broken connection goes nowhere.
        if let Some(conn) = self.conn.as_mut().filter(|conn| conn.end.is_none()) {
            conn.queued += bytes.len();
            conn.on_the_way.push_back((arrives_ms, bytes.to_vec()));
        }
    }

    pub fn next_arrival(&self) -> Option<u64> {
        let conn = self.conn.as_ref().filter(|_| self.line == Line::Up)?;
        conn.on_the_way.front().map(|(at_ms, _)| *at_ms)
    }

    /// What arrives now; at most one step.
    pub fn arrive(&mut self, now_ms: u64) -> Option<Arrival> {
        let conn = self.conn.as_mut().filter(|_| self.line != Line::Dark)?;
        if self.swap_after == Some(0) && conn.on_the_way.len() > 1 {
            conn.on_the_way.swap(0, 1);
            self.swap_after = None;
        }
        let Some((at_ms, bytes)) = conn.on_the_way.front_mut() else {
            return conn.end.map(Arrival::End);
        };
        if *at_ms > now_ms {
            return None;
        }
        let left = self.cut_after.map_or(usize::MAX, |(left, _)| left);
        let taken = bytes.len().min(self.step).min(left);
        let mut arrived: Vec<u8> = bytes.drain(..taken).collect();
        if let Some(left) = self.flip_after {
            if let Some(byte) = arrived.get_mut(left) {
                *byte ^= 0x10;
            }
            self.flip_after = left.checked_sub(taken);
        }
        self.swap_after = self.swap_after.map(|left| left.saturating_sub(taken));
        if bytes.is_empty() {
            conn.on_the_way.pop_front();
        }
        conn.queued -= taken;
        self.carried += taken;
        if let Some((left, end)) = &mut self.cut_after {
            *left -= taken;
            if *left == 0 {
                let end = *end;
                conn.cut(end);
                self.cut_after = None;
            }
        }
        Some(Arrival::Bytes(arrived))
    }
}

impl Conn {
    /// What is on the way is lost.
    pub fn cut(&mut self, end: End) {
        self.on_the_way.clear();
        self.queued = 0;
        self.end = Some(end);
    }
}

fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    text.windows(word.len()).position(|at| at == word)
}
