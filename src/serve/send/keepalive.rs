//! The deadlines of one connection: when its client counts as dead, and when it is to be sent a
//! keep-alive. Pure.

use crate::serve::config::Config;
use crate::time::Mono;

/// The silence on one connection.
pub struct KeepAlive {
    /// When the client last took a byte, or first had one to take after it had taken all.
    moved_at: Mono,
}

/// What a deadline means.
#[derive(PartialEq, Eq)]
pub enum Liveness {
    /// Nothing yet.
    Fine,
    /// There is something to take, and the client took nothing for too long.
    Stalled,
    /// There was nothing to take for so long that a keep-alive is due.
    Silent,
}

impl KeepAlive {
    /// A connection that starts now.
    pub fn new(now: Mono) -> KeepAlive {
        KeepAlive { moved_at: now }
    }

    /// The client took something, or has something to take again.
    pub fn moved(&mut self, now: Mono) {
        self.moved_at = now;
    }

    /// What the silence so far means. After `Silent` the time begins anew.
    pub fn check(&mut self, has_output: bool, config: &Config, now: Mono) -> Liveness {
        if self.deadline(has_output, config) > now {
            return Liveness::Fine;
        }
        // Only a client that has something to take can be blamed for taking nothing.
        if has_output {
            return Liveness::Stalled;
        }
        self.moved_at = now;
        Liveness::Silent
    }

    /// When [`check`](Self::check) will have something to say.
    pub fn deadline(&self, has_output: bool, config: &Config) -> Mono {
        self.moved_at.plus_ms(if has_output {
            config.timeout_write_ms
        } else {
            config.alive_interval_ms
        })
    }
}
