//! The event loop's tools. With the shells the only user of mio, and the only place that reads the
//! clock: once a turn, and with a [`Stopwatch`].
//!
//! A turn of a loop built from these, in this order:
//!
//! 1. [`Reactor::wait`] until the earliest of the [`Deadlines`](deadlines::Deadlines), or not at
//!    all while the [`ReadyList`](ready::ReadyList) is not empty;
//! 2. every deadline that is due ([`pop_due`](deadlines::Deadlines::pop_due)); the collector, whose
//!    own disk may have held it up, leaves them to the end of the turn;
//! 3. every signal ([`Reactor::signals`]);
//! 4. every event ([`Reactor::events`]), its session found by the [`Token`] in a
//!    [`Slab`](slab::Slab), its bytes moved by a [`Connection`](connection::Connection), or a new
//!    one given by a [`Listener`](listener::Listener);
//! 5. as many entries of the ready list as it held at the start of this step;
//! 6. what takes long and can wait, in small parts, for as long as a [`Stopwatch`] allows.
//!
//! Readiness is edge-triggered and may be spurious: read or write until `WouldBlock`, or, when a
//! session has had its share of the turn, put it on the ready list. Files are never ready; their
//! growth is found by deadline.

pub mod connection;
pub mod deadlines;
pub mod listener;
pub mod ready;
pub mod slab;
pub mod token;

use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::time::Duration;

use heapless::Vec;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry};

use crate::sys::clock;
use crate::sys::signals::{Signal, Signals};
use crate::time::{Mono, Now};

use self::token::Token;

/// Most events of one turn. What does not fit comes in the next.
pub const EVENTS_MAX: usize = 128;

/// Longest wait at once: a deadline further away is looked at again, and an hour fits every
/// kernel's idea of a timeout.
const WAIT_MAX_MS: u64 = 3_600_000;

/// One registered thing that is ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    /// What it was registered with.
    pub token: Token,
    /// Reading will not block: there is data, an end, an error or, rarely, nothing.
    pub readable: bool,
    /// Writing will not block: there is room or an error, or a connection was made or refused.
    pub writable: bool,
    /// The peer closed at least its half, or there is an error. What it sent before can still be
    /// read.
    pub closed: bool,
}

/// Whether something has had its share of the turn and is not through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rest {
    /// There may be more, and no event will tell: it goes on the ready list.
    More,
    /// The next event will tell.
    None,
}

/// Why the loop of a daemon came to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// It was told to stop.
    Stopped,
    /// What it needs by now lies outside of its walls: a successor is to go on.
    ShutOut,
}

/// Waits for descriptors, signals and time.
pub struct Reactor {
    poll: Poll,
    events: Events,
    signals: Signals,
}

impl Reactor {
    /// A reactor that wakes up for `signals` too.
    pub fn new(signals: Signals) -> io::Result<Reactor> {
        let poll = Poll::new()?;
        let source = signals.as_raw_fd();
        poll.registry()
            .register(&mut SourceFd(&source), Token::SIGNALS, Interest::READABLE)?;
        Ok(Reactor {
            poll,
            events: Events::with_capacity(EVENTS_MAX),
            signals,
        })
    }

    /// Lets go of everything but the signals.
    pub fn into_signals(self) -> Signals {
        self.signals
    }

    /// Where sockets are registered, with a [`Token`] packed for mio.
    pub fn registry(&self) -> &Registry {
        self.poll.registry()
    }

    /// Waits for an event, a signal or the moment `until`, and reads the clocks afterwards. Returns
    /// at once if that moment has passed, never before it by rounding, and now and then without any
    /// reason.
    pub fn wait(&mut self, until: Option<Mono>) -> io::Result<Now> {
        loop {
            let timeout = until.map_or(WAIT_MAX_MS, |until| until.since_ms(clock::now().mono));
            let timeout = Duration::from_millis(timeout.min(WAIT_MAX_MS));
            match self.poll.poll(&mut self.events, Some(timeout)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => return result.map(|()| clock::now()),
            }
        }
    }

    /// What the last wait found, signals left out. Values, so that the caller can change itself
    /// while it walks.
    pub fn events(&self) -> Vec<Event, EVENTS_MAX> {
        let events = self
            .events
            .iter()
            .filter(|event| event.token() != Token::SIGNALS);
        // There are never more than were asked for.
        events.map(event_of).take(EVENTS_MAX).collect()
    }

    /// The signals that came since the last call, each once. Cheap enough to ask every turn.
    pub fn signals(&mut self) -> impl Iterator<Item = Signal> + use<> {
        self.signals.drain()
    }
}

/// Tells how long something took.
pub struct Stopwatch(Mono);

impl Stopwatch {
    /// Starts now.
    pub fn start() -> Stopwatch {
        Stopwatch(clock::now().mono)
    }

    /// Milliseconds since then; one that has only begun counts, too, now and then.
    pub fn ms(&self) -> u64 {
        clock::now().mono.since_ms(self.0)
    }
}

fn event_of(event: &mio::event::Event) -> Event {
    let failed = event.is_error();
    let closed = failed || event.is_read_closed() || event.is_write_closed();
    Event {
        token: Token::unpack(event.token()),
        readable: event.is_readable() || closed,
        writable: event.is_writable() || event.is_write_closed() || failed,
        closed,
    }
}

#[cfg(test)]
mod tests;
