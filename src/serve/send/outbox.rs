//! What is ready to be sent of an answer that is made bit by bit, and the deadlines of whoever
//! takes it. Pure.

use std::ops::ControlFlow::{self, Break, Continue};

use super::ending::Ending;
use super::keepalive::{KeepAlive, Liveness};
use crate::serve::config::Config;
use crate::time::Mono;
use crate::wire::frame::Frame;

/// Bytes on their way to a client of version 2.
pub struct Outbox {
    /// Whole frames, and the answer line before them.
    bytes: Vec<u8>,
    /// How much of that the client has taken.
    taken: usize,
    keepalive: KeepAlive,
}

impl Outbox {
    /// These bytes, for a client that has time from now on.
    pub fn new(bytes: Vec<u8>, now: Mono) -> Outbox {
        Outbox {
            bytes,
            taken: 0,
            keepalive: KeepAlive::new(now),
        }
    }

    /// For what comes behind it all, to be appended.
    pub fn end(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Whether the client has taken all there is.
    pub fn is_taken(&self) -> bool {
        self.taken == self.bytes.len()
    }

    /// Fills `buf` with what is to be sent.
    pub fn output(&self, buf: &mut [u8]) -> usize {
        let rest = self.bytes.get(self.taken..).unwrap_or_default();
        let len = rest.len().min(buf.len());
        buf[..len].copy_from_slice(&rest[..len]);
        len
    }

    /// The socket took the first `len` bytes of the last output.
    pub fn consume_output(&mut self, len: usize, now: Mono) {
        self.taken += len;
        if len > 0 {
            self.keepalive.moved(now);
        }
        if self.taken >= self.bytes.len() {
            // The buffer is used again for the next frame.
            self.bytes.clear();
            self.taken = 0;
        }
    }

    /// A deadline has come: who takes nothing is given up, and who has nothing to take is sent a
    /// keep-alive with this size.
    pub fn handle_timeout(&mut self, size: u64, config: &Config, now: Mono) -> ControlFlow<Ending> {
        match self.keepalive.check(!self.is_taken(), config, now) {
            Liveness::Stalled => return Break(Ending::Stalled),
            Liveness::Fine => {}
            Liveness::Silent => {
                let alive = Frame::Alive { size };
                self.bytes.extend_from_slice(&alive.to_bytes());
            }
        }
        Continue(())
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do next.
    pub fn poll_timeout(&self, config: &Config) -> Mono {
        self.keepalive.deadline(!self.is_taken(), config)
    }

    /// Checks that the parts agree with each other; in release builds it does nothing.
    pub fn check_invariants(&self) {
        debug_assert!(self.taken <= self.bytes.len());
    }
}
