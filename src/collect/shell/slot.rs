//! One source together with its socket.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;

use mio::net::TcpStream;
use mio::{Interest, Registry};

use super::statuses::Statuses;
use crate::collect::config::SourceConfig;
use crate::collect::source::{Closed, Context, Periods, Source};
use crate::collect::status::ServerIndex;
use crate::limits::TURN_BYTES_MAX;
use crate::reactor::token::Token;
use crate::store::real::{RealWrite, WriteFile};
use crate::time::Mono;

/// What a source is handed with every call.
pub type Cx<'a> = Context<'a, RealWrite>;

/// A source and what the system holds for it.
pub struct Slot {
    source: Source<WriteFile>,
    /// Where the server may be, one address after the other; `None` as long as that is not known.
    addresses: Option<Vec<SocketAddr>>,
    /// Which of them is used.
    place: usize,
    socket: Option<Socket>,
    /// Counts the sockets, so that an event of an old one is not taken for one of the new.
    generation: u16,
    server: Option<ServerIndex>,
    reported_error: bool,
}

/// A connection, or one that is being made.
struct Socket {
    stream: TcpStream,
    connected: bool,
}

/// What the addresses of a name mean for its source.
pub enum AddressChange {
    /// It goes on as before.
    None,
    /// It can make its first try, or tell that there is nowhere to try.
    Known,
    /// Its server is elsewhere now.
    Moved(Vec<SocketAddr>),
}

/// Whether a slot has had its share of the turn and is not through.
pub enum Rest {
    /// There may be more to read.
    More,
    /// The next event will tell.
    None,
}

impl Slot {
    /// A source that is due at once, or as soon as its addresses are known.
    pub fn new(config: SourceConfig, addresses: Option<Vec<SocketAddr>>, now: Mono) -> Slot {
        let mut source = Source::new(config, now);
        source.share_barriers();
        Slot {
            addresses,
            place: 0,
            source,
            socket: None,
            generation: 0,
            server: None,
            reported_error: true,
        }
    }

    /// Its line of the configuration.
    pub fn config(&self) -> &SourceConfig {
        self.source.config()
    }

    /// Hears which addresses its name has now.
    pub fn take_addresses(&mut self, found: Vec<SocketAddr>, now: Mono) -> AddressChange {
        match self.address() {
            Some(address) if found.is_empty() || found.contains(&address) => AddressChange::None,
            Some(_) => AddressChange::Moved(found),
            None if found.is_empty() && self.addresses.is_some() => AddressChange::None,
            None => {
                self.addresses = Some(found);
                self.source.retry_now(now);
                AddressChange::Known
            }
        }
    }

    fn address(&self) -> Option<SocketAddr> {
        self.addresses.as_ref()?.get(self.place).copied()
    }

    /// Closes the socket. Where no connection came about, the next one is tried at the next address.
    fn close(&mut self) {
        if self.socket.take().is_some_and(|socket| !socket.connected) {
            self.turn_to_next_address();
        }
    }

    fn turn_to_next_address(&mut self) {
        self.place = (self.place + 1)
            .checked_rem(self.addresses.as_ref().map_or(0, Vec::len))
            .unwrap_or(0);
    }

    /// The generation of the present socket, as its token carries it.
    pub fn generation(&self) -> u16 {
        self.generation
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called; not before its addresses are known.
    pub fn poll_timeout(&self, periods: &Periods) -> Option<Mono> {
        self.addresses.as_ref()?;
        self.source.poll_timeout(periods)
    }

    /// A deadline has come.
    pub fn handle_timeout(&mut self, cx: &mut Cx<'_>) -> Rest {
        self.source.handle_timeout(cx);
        Rest::None
    }

    /// SIGUSR1.
    pub fn reopen(&mut self, cx: &mut Cx<'_>) -> Rest {
        self.source.reopen(cx);
        self.source.tell_state(cx);
        Rest::None
    }

    /// The socket may have been connected, or takes bytes again.
    pub fn handle_writable(&mut self, cx: &mut Cx<'_>) -> Rest {
        let Some(socket) = &mut self.socket else {
            return Rest::None;
        };
        if !socket.connected {
            match connection_made(&socket.stream) {
                Ok(false) => return Rest::None,
                Ok(true) => {
                    socket.connected = true;
                    self.source.handle_connected(cx);
                }
                Err(error) => self.source.handle_closed(Closed::NotMade(error), cx),
            }
        }
        Rest::None
    }

    /// The socket has bytes, an end or an error.
    pub fn handle_readable(&mut self, cx: &mut Cx<'_>, buf: &mut [u8]) -> Rest {
        let mut taken = 0;
        while let Some(socket) = self.socket.as_mut().filter(|socket| socket.connected) {
            if taken >= TURN_BYTES_MAX || self.source.is_changing() {
                return Rest::More;
            }
            match socket.stream.read(buf) {
                Ok(0) => self.source.handle_closed(Closed::ByServer, cx),
                Ok(len) => {
                    taken += len;
                    self.source.handle_input(&mut buf[..len], cx);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => self.source.handle_closed(Closed::Broken(error), cx),
            }
            if !self.source.wants_connection() {
                self.socket = None;
            }
        }
        Rest::None
    }

    /// Brings the socket into line with what the source wants: opens, closes, sends.
    pub fn settle(&mut self, registry: &Registry, index: u32, cx: &mut Cx<'_>) {
        if !self.source.wants_connection() {
            self.close();
            return;
        }
        if self.socket.is_none() {
            self.connect(registry, index, cx);
        }
        self.send(cx);
        if !self.source.wants_connection() {
            self.socket = None;
        }
    }

    /// Starts to connect; the outcome is an event, unless it fails at once.
    fn connect(&mut self, registry: &Registry, index: u32, cx: &mut Cx<'_>) {
        let Some(address) = self.address() else {
            return self.source.handle_closed(Closed::NoAddress, cx);
        };
        self.generation = (self.generation + 1) & Token::GENERATION_MAX;
        let token = Token {
            kind: super::SOURCE,
            index,
            generation: self.generation,
        };
        let stream = TcpStream::connect(address).and_then(|mut stream| {
            let interest = Interest::READABLE | Interest::WRITABLE;
            registry.register(&mut stream, token.pack(), interest)?;
            Ok(stream)
        });
        match stream {
            Ok(stream) => {
                self.socket = Some(Socket {
                    stream,
                    connected: false,
                });
            }
            Err(error) => {
                self.turn_to_next_address();
                self.source.handle_closed(Closed::NotMade(error), cx);
            }
        }
    }

    /// Sends what the source has to send, as far as the socket takes it.
    fn send(&mut self, cx: &mut Cx<'_>) {
        while let Some(socket) = self.socket.as_mut().filter(|socket| socket.connected) {
            let output = self.source.output();
            if output.is_empty() {
                break;
            }
            match socket.stream.write(output) {
                Ok(sent) => self.source.consume_output(sent, cx),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return self.source.handle_closed(Closed::Broken(error), cx),
            }
        }
    }

    /// Syncs of whole file systems have failed, maybe for others.
    pub fn check_failed_syncs(&mut self, cx: &mut Cx<'_>) -> Rest {
        self.source.check_failed_syncs(cx);
        Rest::None
    }

    /// Whether the source waits for a change of its files.
    pub fn is_changing(&self) -> bool {
        self.source.is_changing()
    }

    /// Makes the change, without others.
    pub fn make_change(&mut self, cx: &mut Cx<'_>) -> Rest {
        self.source.make_change(cx);
        Rest::More
    }

    /// Does one step of the change, for which [`barrier`](Self::barrier) has to follow. Tells whether it was the last.
    pub fn step_change(&mut self, cx: &mut Cx<'_>) -> bool {
        self.source.step_change(cx)
    }

    /// Makes durable what the step wrote. Tells whether the change goes on.
    pub fn barrier(&mut self, cx: &mut Cx<'_>) -> bool {
        self.source.barrier(cx)
    }

    /// Does a part of what takes long, if there is any, and tells whether there is more.
    pub fn work(&mut self, cx: &mut Cx<'_>, buf: &mut [u8]) -> Rest {
        if self.source.has_work() {
            self.source.work(buf, cx);
        }
        match self.source.has_work() {
            true => Rest::More,
            false => Rest::None,
        }
    }

    /// Takes a place among the sources of its server, whose status begins anew.
    pub fn join_status(&mut self, statuses: &mut Statuses) {
        self.server = self
            .addresses
            .as_ref()
            .and_then(|addresses| addresses.first())
            .map(|address| statuses.add_source(address.ip()));
        self.reported_error = true;
        self.tell_status(statuses);
    }

    /// Tells the server's status whether this source is in error, if that has changed.
    pub fn tell_status(&mut self, statuses: &mut Statuses) {
        let in_error = self.source.in_error();
        if let Some(server) = self.server
            && in_error != self.reported_error
        {
            statuses.set(server, self.reported_error, in_error);
            self.reported_error = in_error;
        }
    }
}

/// Whether the connection stands; `false` while that is still open.
pub(super) fn connection_made(stream: &TcpStream) -> std::io::Result<bool> {
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    match stream.peer_addr() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::config::Config;

    /// A socket as it is before, or after, the connection stands.
    fn socket(connected: bool) -> Option<Socket> {
        let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
        let stream = TcpStream::connect(nobody).unwrap();
        Some(Socket { stream, connected })
    }

    #[test]
    fn an_address_without_a_connection_is_followed_by_the_next() {
        let config = Config::parse(b"10.0.0.1 19 /var/log/m /l/m /p/m").unwrap();
        let config = config.sources.into_iter().next().unwrap();
        let mut slot = Slot::new(config, None, Mono::default());
        let found = [1, 2, 3].map(|last| SocketAddr::from(([10, 0, 0, last], 19)));
        slot.addresses = Some(found.to_vec());
        for (connected, next) in [(false, 1), (true, 1), (false, 2), (false, 0), (true, 0)] {
            slot.socket = socket(connected);
            slot.close();
            slot.close();
            assert_eq!(slot.address(), Some(found[next]));
        }
        slot.addresses = Some(Vec::new());
        slot.socket = socket(false);
        slot.close();
        assert_eq!(slot.address(), None);
    }
}
