//! The line for the service manager: how many sources are followed.

use std::ffi::OsString;

use crate::collect::view::record::Change;
use crate::limits::NOTIFY_MS;
use crate::sys::notify;
use crate::time::Mono;
use crate::wire::table::State;

/// Counts the sources that are followed, and tells a service manager, if there is one.
pub struct Manager {
    socket: Option<OsString>,
    following: usize,
    sources: usize,
    /// What was told last.
    told: Option<(usize, usize)>,
    free_at: Mono,
}

impl Manager {
    /// Nothing is told yet.
    pub fn new(now: Mono) -> Manager {
        Manager {
            socket: std::env::var_os("NOTIFY_SOCKET"),
            following: 0,
            sources: 0,
            told: None,
            free_at: now,
        }
    }

    /// The state of a source is another one.
    pub fn note(&mut self, change: Change) {
        match (
            change.was == State::Following,
            change.is == State::Following,
        ) {
            (false, true) => self.following += 1,
            (true, false) => self.following = self.following.saturating_sub(1),
            _ => {}
        }
    }

    /// The sources are others now: this is the state of each.
    pub fn recount(&mut self, states: impl Iterator<Item = State>) {
        (self.sources, self.following) = (0, 0);
        for state in states {
            self.sources += 1;
            self.following += usize::from(state == State::Following);
        }
    }

    /// When [`tell`](Self::tell) has something to say.
    pub fn poll_timeout(&self) -> Option<Mono> {
        let has_news = self.told != Some((self.following, self.sources));
        (has_news && self.socket.is_some()).then_some(self.free_at)
    }

    /// Tells what is new, if it is time.
    pub fn tell(&mut self, now: Mono) {
        if self.poll_timeout().is_none_or(|at| at > now) {
            return;
        }
        self.told = Some((self.following, self.sources));
        self.free_at = now.plus_ms(NOTIFY_MS);
        if let Some(socket) = &self.socket {
            // A manager that cannot be told hears it the next time.
            let text = format!("{} of {} followed", self.following, self.sources);
            let _ = notify::status(socket, &text);
        }
    }
}
