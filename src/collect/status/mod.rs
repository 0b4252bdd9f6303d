//! The status files, one for each server: `OK` while none of its sources is in error, else `ERR`,
//! and touched often enough that a reader sees the collector live. This module only says what to
//! write and when; the shell writes.
//!
//! Each turn the shell tells what changed with [`Servers::set`], then takes actions from
//! [`Servers::poll`] and answers each with [`Servers::done`], and waits no longer than to
//! [`Servers::poll_timeout`]. It may leave actions for the next turn. Servers of which nothing
//! changed cost nothing until all of them are touched together.

use std::collections::VecDeque;
use std::num::NonZeroU32;

use crate::collect::config::Address;
use crate::limits;
use crate::time::Mono;

/// The status of every server.
#[derive(Debug)]
pub struct Servers {
    servers: Vec<Server>,
    /// Sorted by address.
    by_address: Vec<(Address, ServerIndex)>,
    /// The servers to be looked at now.
    changed: VecDeque<ServerIndex>,
    /// The servers to be looked at again at `retry_at`.
    failed: Vec<ServerIndex>,
    /// Some moment if and only if `failed` holds anything.
    retry_at: Option<Mono>,
    /// The moment at which all files are touched next.
    touch_at: Mono,
    /// The server whose turn it is in a round of touching, while one is under way.
    next_to_touch: Option<ServerIndex>,
}

/// The index of one server in one [`Servers`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ServerIndex(
    // One more than its place: each source has two of them, or none.
    NonZeroU32,
);

/// The action to take on a server's status file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Make this its whole content.
    Write(&'static str),
    /// Make its time of last write the present one.
    Touch,
}

/// The report that is worth a message after an action.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Report {
    /// The file cannot be written; it is tried again, and not reported again.
    Failing,
    /// The file could be written again.
    Recovered,
}

/// The name of a server's status file: the address as text, IPv4 as IPv4 even where it came as
/// IPv6; the host name where no address is known.
pub fn file_name(address: &Address) -> String {
    address.to_string()
}

impl Servers {
    /// No servers yet. The first touching is one period after `now`.
    pub fn new(now: Mono) -> Servers {
        Servers {
            servers: Vec::new(),
            by_address: Vec::new(),
            changed: VecDeque::new(),
            failed: Vec::new(),
            retry_at: None,
            touch_at: now.plus_ms(limits::STATUS_TOUCH_MS),
            next_to_touch: None,
        }
    }

    /// Takes in one more source of the server at `address`, in error until [`Servers::set`] says
    /// otherwise. For start-up: only this asks for memory. A server that two lines name in two ways
    /// has one file.
    pub fn add_source(&mut self, address: impl Into<Address>) -> ServerIndex {
        let address = address.into();
        let known = self.by_address.binary_search_by(|(a, _)| a.cmp(&address));
        let index = match known {
            Ok(at) => self.by_address[at].1,
            Err(at) => self.add_server(address, at),
        };
        if let Some(server) = self.server_mut(index) {
            server.in_error = server.in_error.saturating_add(1);
        }
        self.enqueue_if_changed(index);
        index
    }

    /// The server's address, which gives its [`file_name`]. `None` for an index of another
    /// [`Servers`].
    pub fn address(&self, index: ServerIndex) -> Option<&Address> {
        let server = self.servers.get(index.place())?;
        Some(&server.address)
    }

    /// A source of the server was or was not in error, and now is or is not.
    pub fn set(&mut self, index: ServerIndex, was_error: bool, is_error: bool) {
        let Some(server) = self.server_mut(index) else {
            return;
        };
        match (was_error, is_error) {
            (false, true) => server.in_error = server.in_error.saturating_add(1),
            (true, false) => server.in_error = server.in_error.saturating_sub(1),
            _ => return,
        }
        self.enqueue_if_changed(index);
    }

    /// The next thing to do, until there is nothing more to do at `now`.
    pub fn poll(&mut self, now: Mono) -> Option<(ServerIndex, Action)> {
        self.requeue_failed(now);
        // What changed comes first: a touch that is late by a turn harms nobody.
        self.next_write()
            .map(|(index, text)| (index, Action::Write(text)))
            .or_else(|| self.next_touch(now).map(|index| (index, Action::Touch)))
    }

    /// Takes the result of the action that [`Servers::poll`] gave last for this server. What failed
    /// is tried again later, by writing the file anew: after a failure nobody knows what is in it.
    pub fn done(&mut self, index: ServerIndex, ok: bool, now: Mono) -> Option<Report> {
        let server = self.server_mut(index)?;
        let was_failing = std::mem::replace(&mut server.failing, !ok);
        if ok {
            return was_failing.then_some(Report::Recovered);
        }
        server.written = None;
        // It counts as queued while it waits, so that it is neither touched nor queued twice.
        if !std::mem::replace(&mut server.queued, true) {
            self.failed.push(index);
            // The first that failed sets the time for all that fail until then.
            self.retry_at
                .get_or_insert(now.plus_ms(limits::STATUS_RETRY_MS));
        }
        (!was_failing).then_some(Report::Failing)
    }

    /// The moment at which to call [`Servers::poll`] again: the clock's start if it has something
    /// now, `None` if there are no servers.
    pub fn poll_timeout(&self) -> Option<Mono> {
        if self.servers.is_empty() {
            return None;
        }
        if !self.changed.is_empty() || self.next_to_touch.is_some() {
            return Some(Mono::default());
        }
        let retry_at = self.retry_at.unwrap_or(self.touch_at);
        Some(retry_at.min(self.touch_at))
    }

    /// Adds a server; `at` is its place among the addresses.
    fn add_server(&mut self, address: Address, at: usize) -> ServerIndex {
        let index = ServerIndex::at(self.servers.len());
        self.servers.push(Server::new(address.clone()));
        self.by_address.insert(at, (address, index));
        // A server is in one queue at most, so neither will ever need more room than this.
        self.changed.reserve(self.servers.len());
        self.failed.reserve(self.servers.len());
        index
    }

    /// The server behind `index`, if that is not the last one.
    fn after(&self, index: ServerIndex) -> Option<ServerIndex> {
        let next = index.place() + 1;
        (next < self.servers.len()).then(|| ServerIndex::at(next))
    }

    fn server_mut(&mut self, index: ServerIndex) -> Option<&mut Server> {
        self.servers.get_mut(index.place())
    }

    fn enqueue_if_changed(&mut self, index: ServerIndex) {
        let Some(server) = self.server_mut(index) else {
            return;
        };
        if !server.queued && server.to_write().is_some() {
            server.queued = true;
            self.changed.push_back(index);
        }
    }

    fn requeue_failed(&mut self, now: Mono) {
        if self.retry_at.is_some_and(|retry_at| retry_at <= now) {
            self.retry_at = None;
            self.changed.extend(self.failed.drain(..));
        }
    }

    /// The first server in the queue whose file still says something else, if there is one.
    fn next_write(&mut self) -> Option<(ServerIndex, &'static str)> {
        while let Some(index) = self.changed.pop_front() {
            let Some(server) = self.server_mut(index) else {
                continue;
            };
            server.queued = false;
            if let Some(text) = server.to_write() {
                server.written = Some(text);
                return Some((index, text));
            }
        }
        None
    }

    /// The next server in the round of touching, which starts when it is time. Who waits to be
    /// written is left out.
    fn next_touch(&mut self, now: Mono) -> Option<ServerIndex> {
        // From now on and not from when it was due: a log host that slept has one round to make up
        // for, not many.
        if self.touch_at <= now {
            self.touch_at = now.plus_ms(limits::STATUS_TOUCH_MS);
            self.next_to_touch = Some(ServerIndex::at(0));
        }
        loop {
            let index = self.next_to_touch.take()?;
            self.next_to_touch = self.after(index);
            let server = self.servers.get(index.place())?;
            if !server.queued {
                return Some(index);
            }
        }
    }
}

#[derive(Debug)]
struct Server {
    address: Address,
    /// Sources of this server that are in error.
    in_error: u32,
    /// The content of the file, if that is known.
    written: Option<&'static str>,
    /// Whether it is in `changed` or `failed`.
    queued: bool,
    /// Whether the last action failed, which is reported once.
    failing: bool,
}

impl Server {
    fn new(address: Address) -> Server {
        Server {
            address,
            in_error: 0,
            written: None,
            queued: false,
            failing: false,
        }
    }

    /// The text that the file should have, unless it has it.
    fn to_write(&self) -> Option<&'static str> {
        let text = if self.in_error == 0 { "OK\n" } else { "ERR\n" };
        (self.written != Some(text)).then_some(text)
    }
}

impl ServerIndex {
    fn at(place: usize) -> ServerIndex {
        ServerIndex(NonZeroU32::MIN.saturating_add(place.try_into().unwrap_or(u32::MAX)))
    }

    fn place(self) -> usize {
        self.0.get() as usize - 1
    }
}

#[cfg(test)]
mod tests;
