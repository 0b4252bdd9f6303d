//! One source together with its connection.

mod owed;

use std::borrow::Cow;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::ops::ControlFlow::{Break, Continue};
use std::os::unix::ffi::OsStrExt;

use mio::Registry;

use super::addresses::Addresses;
use super::appetite::Appetite;
use super::statuses::Statuses;
use crate::collect::config::{Address, SourceConfig};
use crate::collect::error::Closed;
use crate::collect::source::siblings::Contact;
use crate::collect::source::{Context, Periods, Source};
use crate::collect::status::ServerIndex;
use crate::collect::view::record::{Change, Record, Sight, Tally};
use crate::limits::{ANEW_IDLE_MS, TURN_BYTES_MAX};
use crate::reactor::Rest;
use crate::reactor::connection::{Connection, Ended};
use crate::reactor::token::Token;
use crate::store::real::{RealWrite, Rights, WriteFile};
use crate::sys::error_saying;
use crate::time::{Mono, Now};
use crate::wire::escape::OneLine;
use crate::wire::table::{Row, State};

/// What a source is handed with every call.
pub type Cx<'a> = Context<'a, RealWrite>;

/// A source and what the system holds for it.
pub struct Slot {
    source: Source<WriteFile>,
    addresses: Addresses,
    connection: Option<Connection>,
    is_unreached: bool,
    /// Counts the connections, so that an event of an old one is not taken for one of the new.
    life: u16,
    server: Option<ServerIndex>,
    /// The status of its box, where that has a name.
    named: Option<ServerIndex>,
    reported_error: bool,
    record: Record,
    /// How many events wait for the operator's program.
    hooks_waiting: u8,
    appetite: Appetite,
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

impl Slot {
    /// A source that is due at once, or as soon as its addresses are known.
    pub fn new(config: SourceConfig, addresses: Option<Vec<SocketAddr>>, now: Now) -> Slot {
        let mut source = Source::new(config, now.mono);
        source.share_barriers();
        let addresses = addresses.as_deref();
        Slot {
            addresses: addresses.map_or(Addresses::Unknown, Addresses::of),
            source,
            connection: None,
            is_unreached: false,
            life: 0,
            server: None,
            named: None,
            reported_error: true,
            record: Record::new(now.wall),
            hooks_waiting: 0,
            appetite: Appetite::default(),
        }
    }

    /// The same source at another address of its server.
    pub fn moved(self, found: Vec<SocketAddr>, now: Now) -> Slot {
        let Slot { source, record, .. } = self;
        let config = source.config().clone();
        // The old one first: two that have the same files open would take each other's locks away.
        drop(source);
        let mut slot = Slot::new(config, Some(found), now);
        slot.record = record.begun_anew();
        slot
    }

    /// A box has brought it about, so that it is not one of those that write little.
    pub fn look_at_room_soon(&mut self) {
        self.source.look_at_room_soon();
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
            None if found.is_empty() && self.addresses.are_known() => AddressChange::None,
            None => {
                self.addresses = Addresses::of(&found);
                self.source.retry_now(now);
                AddressChange::Known
            }
        }
    }

    fn address(&self) -> Option<SocketAddr> {
        self.addresses.current()
    }

    /// Closes the connection. Where none came about, the next one is tried at the next address.
    fn close(&mut self) {
        if self.connection.take().is_some_and(|it| !it.is_made()) {
            self.leave_address();
        }
    }

    fn leave_address(&mut self) {
        self.addresses.turn();
        self.is_unreached = true;
    }

    /// Whether nobody could be reached at one of its addresses since the last call.
    pub fn take_unreached(&mut self) -> bool {
        std::mem::take(&mut self.is_unreached)
    }

    /// The life of the present connection, as its token carries it.
    pub fn life(&self) -> u16 {
        self.life
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called; not before its addresses
    /// are known.
    pub fn poll_timeout(&self, periods: &Periods) -> Option<Mono> {
        let are_known = self.addresses.are_known();
        self.source.poll_timeout(periods).filter(|_| are_known)
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

    /// The address of its server, and its contact with it.
    pub fn contact(&self) -> Option<(SocketAddr, Contact)> {
        Some((self.address()?, self.source.contact()))
    }

    /// The address of its server, if that takes connections and answers none.
    pub fn unanswered_by(&self) -> Option<SocketAddr> {
        self.address().filter(|_| self.source.is_unanswered())
    }

    /// The address of its server, if that answers again for which others have made room.
    pub fn take_through(&mut self) -> Option<SocketAddr> {
        let is_through = self.source.take_through();
        self.address().filter(|_| is_through)
    }

    /// The address of its server, if it has no answer from that.
    pub fn wanted_of(&self) -> Option<SocketAddr> {
        self.address().filter(|_| self.source.is_wanting())
    }

    /// Whether others make room for it.
    pub fn is_hurried(&self, now: Mono) -> bool {
        self.source.is_hurried(now)
    }

    /// SIGHUP or SIGUSR1: makes a connection by classic anew.
    pub fn connect_anew(&mut self, spread_ms: u64, cx: &mut Cx<'_>) -> Rest {
        self.source.connect_anew(spread_ms, cx);
        Rest::None
    }

    /// Makes room for others of its server, or hurries.
    pub fn make_room(&mut self, spread_ms: u64, cx: &mut Cx<'_>) -> Rest {
        self.source.make_room(spread_ms, cx);
        Rest::None
    }

    /// Comes back if it has made room for others.
    pub fn come_back(&mut self, spread_ms: u64, cx: &mut Cx<'_>) -> Rest {
        self.source.come_back(spread_ms, cx);
        Rest::None
    }

    /// The connection may have been made, or takes bytes again.
    pub fn handle_writable(&mut self, cx: &mut Cx<'_>) -> Rest {
        if let Some(connection) = &mut self.connection {
            match connection.handle_writable() {
                Ok(false) => {}
                Ok(true) => {
                    self.record.note_connection(cx.now.wall);
                    self.source.handle_connected(cx);
                }
                Err(ended) => self.source.handle_closed(ended.into(), cx),
            }
        }
        Rest::None
    }

    /// The connection has bytes, an end or an error.
    pub fn handle_readable(&mut self, cx: &mut Cx<'_>, buf: &mut [u8]) -> Rest {
        let Some(connection) = self.connection.as_mut().filter(|it| it.is_made()) else {
            return Rest::None;
        };
        // Whoever makes the change has it read on.
        if self.source.is_changing() {
            return Rest::None;
        }
        let (source, record, appetite) = (&mut self.source, &mut self.record, &mut self.appetite);
        let room = appetite.room(connection.least_room()).min(buf.len());
        let mut share = TURN_BYTES_MAX;
        let read = connection.read(&mut buf[..room], TURN_BYTES_MAX, &mut |input| {
            record.note_contact(cx.now.wall);
            let (len, before) = (input.len(), source.pieces());
            source.handle_input(input, cx);
            let pieces = source.pieces().saturating_sub(before);
            share = share.saturating_sub(appetite.took(len, pieces));
            match share > 0 && source.wants_connection() && !source.is_changing() {
                true => Continue(()),
                false => Break(()),
            }
        });
        let rest = read.unwrap_or_else(|ended| {
            self.source.handle_closed(ended.into(), cx);
            Rest::None
        });
        if self.source.wants_connection() {
            return rest;
        }
        self.connection = None;
        Rest::None
    }

    /// Brings the connection into line with what the source wants: opens, closes, sends.
    pub fn settle(&mut self, registry: &Registry, index: u32, cx: &mut Cx<'_>) {
        if !self.source.wants_connection() {
            self.close();
            return;
        }
        if self.connection.is_none() {
            self.connect(registry, index, cx);
        }
        self.send(cx);
        if !self.source.wants_connection() {
            self.connection = None;
        }
    }

    /// Starts to connect; the outcome is an event, unless it fails at once.
    fn connect(&mut self, registry: &Registry, index: u32, cx: &mut Cx<'_>) {
        let Some(address) = self.address() else {
            return self.source.handle_closed(Closed::NoAddress, cx);
        };
        self.life = (self.life + 1) & Token::LIFE_MAX;
        let token = Token {
            kind: super::SOURCE,
            index,
            life: self.life,
        };
        let key = self.source.config().key.as_ref();
        match Connection::connect_to(address, key, token, registry) {
            Ok(connection) => self.connection = Some(connection),
            Err(ended) => {
                self.leave_address();
                self.source.handle_closed(ended.into(), cx);
            }
        }
    }

    /// Sends what the source has to send, as far as the connection takes it.
    fn send(&mut self, cx: &mut Cx<'_>) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        let sent = connection.send(&mut self.source, Source::output, |source, len| {
            source.consume_output(len, cx);
        });
        if let Err(ended) = sent {
            self.source.handle_closed(ended.into(), cx);
        }
    }

    /// Syncs of whole file systems have failed, maybe for others.
    pub fn check_failed_syncs(&mut self, cx: &mut Cx<'_>) -> Rest {
        self.source.check_failed_syncs(cx);
        Rest::None
    }

    /// Whether the source waits for a change of its files that may be made now.
    pub fn may_change(&self) -> bool {
        self.source.may_change()
    }

    /// The rights of new files of the source.
    pub fn rights(&self) -> Rights {
        let access = self.config().access.as_ref();
        access.map_or(Rights::default(), |access| Rights {
            mode: access.mode,
            gid: access.gid.get(),
        })
    }

    /// Does one step of the change, without others. Tells whether it was the last.
    pub fn step_alone(&mut self, cx: &mut Cx<'_>) -> bool {
        self.source.step_alone(cx)
    }

    /// Does one step of the change, for which [`barrier`](Self::barrier) has to follow. Tells
    /// whether it was the last.
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

    /// The address whose status file has its state.
    fn status_address(&self) -> Address {
        match self.addresses.first() {
            // Several zones may have the same addresses.
            Some(SocketAddr::V6(address)) if address.scope_id() != 0 => {
                self.config().address.clone()
            }
            Some(address) => address.ip().into(),
            // Until its name has an address, and for ever if it never has.
            None => self.config().address.clone(),
        }
    }

    /// Takes a place among the sources of its server, whose status begins anew.
    pub fn join_status(&mut self, statuses: &mut Statuses) {
        let address = self.status_address();
        let name = self.config().name.clone();
        self.server = statuses.add_source(address);
        // No box has an address that is the name of another one.
        self.named = name.and_then(|name| statuses.add_source(Address::Name(name)));
        self.reported_error = true;
        self.tell_status(statuses);
    }

    /// Brings the record up to date at the end of a turn. Tells what is different now and worth to
    /// be shown at once.
    pub fn note_sight(&mut self, tally: Tally, cx: &mut Cx<'_>) -> Option<Change> {
        self.source.count_losses(cx);
        let sight = Sight {
            state: self.source.shown_state(),
            losses: self.source.losses(),
            bytes: self.source.received(),
        };
        self.record.note(sight, tally, cx.now.wall)
    }

    /// Its state, as it was at the end of its last turn.
    pub fn state(&self) -> State {
        self.record.state()
    }

    /// Has its next try now, if it waits for that and not for others.
    pub fn try_at_once(&mut self, cx: &mut Cx<'_>) -> Rest {
        self.source.try_at_once(cx.now.mono);
        Rest::None
    }

    /// Whether it follows its log by classic, and nothing has come for so long that a new
    /// connection is the way to see whether that is right.
    pub fn is_idle(&self, now: Now) -> bool {
        let quiet_ms = self.record.quiet_secs(now.wall).saturating_mul(1000);
        self.source.contact() == Contact::Idle && quiet_ms >= ANEW_IDLE_MS
    }

    /// Looks whether the local copy is where it was.
    pub fn look_at_copy(&mut self, cx: &mut Cx<'_>) -> Rest {
        self.source.look_at_copy(cx);
        Rest::None
    }

    /// Looks whether losses are on record still.
    pub fn look_at_record(&mut self, cx: &mut Cx<'_>) -> Rest {
        self.source.look_at_record(cx);
        Rest::None
    }

    /// Shows it as it is at `now`.
    pub fn show(&self, now: Now, see: &mut dyn FnMut(&Row<'_>)) {
        let (source, record) = (&self.source, &self.record);
        let config = source.config();
        let why = source
            .error()
            .map(|error| OneLine(&error.to_string()).to_string());
        let server = match (&config.name, &config.address) {
            (Some(name), _) | (None, Address::Name(name)) => Cow::Borrowed(&**name),
            (None, address) => Cow::Owned(address.to_string()),
        };
        let next_try = source.next_try().filter(|_| self.addresses.are_known());
        see(&Row {
            server,
            remote: Cow::Borrowed(&config.remote),
            local: Cow::Borrowed(config.local.as_os_str().as_bytes()),
            state: record.state(),
            since: Some(record.since()),
            held: source.held().unwrap_or(0),
            behind: source.behind(),
            last_byte: record.last_byte(),
            last_contact: record.last_contact(),
            next_try: next_try.map(|at| now.secs_at(at)),
            losses: record.losses(),
            unverified: source.unverified().try_into().unwrap_or(u32::MAX),
            hooks_waiting: self.hooks_waiting.into(),
            is_paused: source.is_paused(),
            why: why.unwrap_or_default().into(),
            rotations: record.rotations(),
            healed: record.healed(),
            connections: record.connections(),
            bytes: record.bytes(),
            address: self.status_address().to_string().into(),
        });
    }

    /// Tells the server's status whether this source is in error, if that has changed.
    pub fn tell_status(&mut self, statuses: &mut Statuses) {
        let in_error = self.source.in_error();
        if in_error != self.reported_error {
            for server in [self.server, self.named].into_iter().flatten() {
                statuses.set(server, self.reported_error, in_error);
            }
            self.reported_error = in_error;
        }
    }

    /// Gives up its place among the sources of its server.
    pub fn leave_status(&mut self, statuses: &mut Statuses) {
        for server in [self.server, self.named].into_iter().flatten() {
            statuses.set(server, self.reported_error, false);
        }
    }

    /// What is still to be done where its log is gone on the box.
    pub fn left_to_do(&self) -> LeftToDo {
        let behind = self.source.behind();
        LeftToDo {
            is_behind: self.state() == State::Following && behind.is_some_and(|bytes| bytes > 0),
            is_known_whole: behind == Some(0),
            is_unverified: self.source.unverified() > 0,
            has_losses: self.source.losses() > 0,
            has_hooks: self.hooks_waiting > 0 || self.source.owes_hooks(),
            owes_record: self.source.owes_record(),
        }
    }

    /// Asks for no digest of a finished copy any more.
    pub fn give_up_asking(&mut self, cx: &mut Cx<'_>) -> Rest {
        self.source.give_up_asking(cx);
        Rest::None
    }

    /// Which box it is of, among all.
    pub fn server_index(&self) -> Option<ServerIndex> {
        self.named.or(self.server)
    }
}

/// What keeps the source of a log that is gone on the box.
pub struct LeftToDo {
    /// The box has more of it, and it comes.
    pub is_behind: bool,
    /// The box has told that all of it is here.
    pub is_known_whole: bool,
    /// Finished copies are still to be compared.
    pub is_unverified: bool,
    /// A loss is on record that nobody has taken note of.
    pub has_losses: bool,
    /// The operator's program, if there is one, is still to be told something.
    pub has_hooks: bool,
    /// Something is still to be put on record.
    pub owes_record: bool,
}

impl From<Ended> for Closed {
    fn from(ended: Ended) -> Closed {
        match ended {
            Ended::ByPeer => Closed::ByServer,
            Ended::NotMade(error) => Closed::NotMade(error),
            Ended::Broken(error) => Closed::Broken(error),
            Ended::Rejected(why) => Closed::Broken(error_saying(ErrorKind::InvalidData, why)),
        }
    }
}

#[cfg(test)]
mod tests {
    use mio::Poll;
    use mio::net::TcpStream;

    use super::*;
    use crate::collect::config::Config;
    use crate::reactor::connection::Link;

    /// A connection as it is before, or after, it stands.
    fn connection(is_made: bool) -> Option<Connection> {
        let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
        if is_made {
            return Some(Connection::accepted(
                TcpStream::connect(nobody).unwrap(),
                link(),
            ));
        }
        let token = Token {
            kind: 0,
            index: 0,
            life: 0,
        };
        let poll = Poll::new().unwrap();
        Some(Connection::connect_to(nobody, None, token, poll.registry()).unwrap())
    }

    #[cfg(feature = "noise")]
    fn link() -> Link {
        Link::plain()
    }

    #[cfg(not(feature = "noise"))]
    fn link() -> Link {
        crate::reactor::connection::Plain
    }

    #[test]
    fn an_address_without_a_connection_is_followed_by_the_next() {
        let config = Config::parse(b"10.0.0.1 19 /var/log/m /l/m /p/m").unwrap();
        let config = config.sources.into_iter().next().unwrap();
        let mut slot = Slot::new(config, None, Now::default());
        let found = [1, 2, 3].map(|last| SocketAddr::from(([10, 0, 0, last], 19)));
        slot.addresses = Addresses::of(&found);
        for (is_made, next) in [(false, 1), (true, 1), (false, 2), (false, 0), (true, 0)] {
            slot.connection = connection(is_made);
            slot.close();
            slot.close();
            assert_eq!(slot.address(), Some(found[next]));
        }
        slot.addresses = Addresses::of(&[]);
        slot.connection = connection(false);
        slot.close();
        assert_eq!(slot.address(), None);
    }
}
