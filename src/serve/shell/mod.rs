//! The mio half of the log server: sockets, files, clocks and signals around the clients' sessions.
//!
//! It owns the reactor, the listener, the clients, one buffer for all of them, and the watches that tell of changes.
//! What a client is sent is for [`super::session`] to decide.

mod admission;
mod followers;
mod listener;
mod rows;
mod watches;

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::path::PathBuf;

use mio::net::TcpStream;
use mio::{Interest, Registry};

use self::admission::ClientCounts;
use self::followers::Followers;
pub use self::listener::Bound;
use self::listener::Listener;
use self::watches::Watches;
use super::config::Config;
use super::find::sightings::Sightings;
use super::send::context::Context;
use super::send::ending::Ending;
use super::session::Session;
use crate::limits::{
    ACCEPTED_AT_ONCE, CHUNK_LEN, DEADLINES_MS, SEARCH_MS, SEND_MS, TURNED_AWAY_MAX, WORK_MS,
};
use crate::reactor::deadlines::Deadlines;
use crate::reactor::ready::ReadyList;
use crate::reactor::slab::Slab;
use crate::reactor::token::Token;
use crate::reactor::{Event, Reactor, Stopwatch};
use crate::report::Report;
use crate::store::config_file;
use crate::store::real::RealRead;
use crate::sys::clock;
use crate::sys::rlimit::raise_descriptor_limit;
use crate::sys::signals::Signal;
use crate::time::{Mono, Now};

/// What a token's kind says.
const CLIENT: u8 = 0;
const LISTENER: u8 = 1;
const WATCHES: u8 = 2;

/// The running server.
pub struct Server {
    config_path: PathBuf,
    reactor: Reactor,
    listener: Listener,
    watches: Option<Watches>,
    clients: Slab<Client>,
    counts: ClientCounts,
    followers: Followers,
    deadlines: Deadlines,
    /// Who takes more than one share of a turn.
    ready: ReadyList,
    /// Who waits for a file to be found; the first until it is.
    searching: ReadyList,
    /// Whose digests and checksums are being computed, in turn.
    computing: ReadyList,
    files: Files,
    report: Report,
    buf: Box<[u8]>,
    /// Whom a change of files concerns; kept for its room.
    concerned: Vec<u32>,
    now: Now,
}

/// What every session works on.
struct Files {
    store: RealRead,
    config: Config,
    sightings: Sightings,
}

/// A session and its socket.
struct Client {
    stream: TcpStream,
    session: Session<std::fs::File>,
    /// The socket took less than it was given: nothing is made for it before it has room again.
    is_full: bool,
}

/// What happens to a client. It is called by reference, so that what follows from it is compiled once.
type Act<'a> = dyn FnMut(&mut Client, &mut Context<'_, RealRead>, &mut [u8]) + 'a;

/// Whether a client has had its share of the turn and is not through.
#[derive(PartialEq, Eq)]
enum Rest {
    More,
    None,
}

/// Why a peer does not become a client.
#[derive(PartialEq, Eq)]
enum TurnedAway {
    NotAllowed,
    Full,
    FullForAddress,
}

impl TurnedAway {
    fn why(&self) -> &'static str {
        match self {
            TurnedAway::NotAllowed => "is not in %hosts_allow",
            TurnedAway::Full => "there are $max_clients clients already",
            TurnedAway::FullForAddress => "has $max_clients_per_ip connections already",
        }
    }
}

impl Server {
    /// Takes over a socket that [`bind`] made. `config_path` is read again at SIGHUP.
    pub fn new(
        config_path: PathBuf,
        config: Config,
        listener: Bound,
        reactor: Reactor,
        mut report: Report,
    ) -> io::Result<Server> {
        let watches = Watches::new(reactor.registry())
            .inspect_err(|error| {
                report.say(format_args!(
                    "changes are noticed only at every check, because this system cannot tell of them: {error}"
                ));
            })
            .ok();
        let listener = Listener::new(listener, reactor.registry())?;
        listener.announce(&mut report)?;
        let expected_clients = config.max_clients.min(64);
        let mut server = Server {
            config_path,
            reactor,
            listener,
            watches,
            clients: Slab::with_capacity(expected_clients),
            counts: ClientCounts::default(),
            followers: Followers::default(),
            deadlines: Deadlines::new(),
            ready: ReadyList::new(),
            searching: ReadyList::new(),
            computing: ReadyList::new(),
            files: Files {
                store: RealRead::new(),
                config,
                sightings: Sightings::new(),
            },
            report,
            buf: vec![0; CHUNK_LEN].into_boxed_slice(),
            concerned: Vec::new(),
            now: clock::now(),
        };
        server.check_config();
        Ok(server)
    }

    /// Runs until TERM or INT.
    pub fn run(&mut self) -> io::Result<()> {
        loop {
            self.now = self.reactor.wait(self.next_deadline())?;
            self.report.tick(self.now.mono);
            self.handle_deadlines();
            if self.handle_signals().is_break() {
                return Ok(());
            }
            for event in self.reactor.events() {
                self.handle_event(event);
            }
            if self.listener.is_due(self.now.mono) {
                self.accept();
            }
            self.send_more();
            self.work();
        }
    }

    /// Does what is due, for no longer than a line of another log may wait.
    fn handle_deadlines(&mut self) {
        let watch = Stopwatch::start();
        while let Some(index) = self.deadlines.pop_due(self.now.mono) {
            self.drive(index, &mut |client, cx, _| {
                client.session.handle_timeout(cx)
            });
            if watch.ms() >= DEADLINES_MS {
                return;
            }
        }
    }

    /// Sends to clients that take as much as they are given, each its share in turn, to all together no longer than a
    /// line of another log may wait.
    fn send_more(&mut self) {
        let watch = Stopwatch::start();
        while let Some(index) = self.ready.pop() {
            self.drive(index, &mut |_, _, _| {});
            if watch.ms() >= SEND_MS {
                return;
            }
        }
    }

    /// Does some of what takes long, for all clients together no longer than a line of another log may wait. A search
    /// is finished before the next begins, because its client gives up after some seconds.
    fn work(&mut self) {
        let watch = Stopwatch::start();
        while let Some(index) = self.searching.first()
            && watch.ms() < SEARCH_MS
        {
            self.drive(index, &mut |client, cx, buf| client.session.work(buf, cx));
        }
        while let Some(index) = self.computing.pop() {
            self.drive(index, &mut |client, cx, buf| client.session.work(buf, cx));
            if watch.ms() >= WORK_MS {
                break;
            }
        }
    }

    fn next_deadline(&self) -> Option<Mono> {
        let lists = [&self.ready, &self.searching, &self.computing];
        if lists.iter().any(|list| !list.is_empty()) {
            return Some(self.now.mono);
        }
        let deadlines = [
            self.deadlines.next(),
            self.listener.poll_timeout(),
            self.report.poll_timeout(),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// Breaks when the daemon is to stop.
    fn handle_signals(&mut self) -> ControlFlow<()> {
        for signal in self.reactor.signals() {
            match signal {
                Signal::Term | Signal::Int => return ControlFlow::Break(()),
                Signal::Hup => self.reload(),
                Signal::Usr1 => {}
            }
        }
        ControlFlow::Continue(())
    }

    fn handle_event(&mut self, event: Event) {
        match event.token.kind {
            LISTENER => self.accept(),
            WATCHES => self.handle_changes(),
            _ if self.clients.generation(event.token.index) == Some(event.token.generation) => {
                if event.writable
                    && let Some(client) = self
                        .clients
                        .get_mut(event.token.index, event.token.generation)
                {
                    client.is_full = false;
                }
                if event.readable {
                    self.drive(event.token.index, &mut |client, cx, buf| {
                        client.read(cx, buf)
                    });
                } else {
                    self.ready.push(event.token.index);
                }
            }
            _ => {}
        }
    }

    /// Lets something happen to one client and does all that follows from it: sends, closes, sets the deadline.
    fn drive(&mut self, index: u32, act: &mut Act<'_>) {
        let Some(generation) = self.clients.generation(index) else {
            return;
        };
        let Some(client) = self.clients.get_mut(index, generation) else {
            return;
        };
        let mut cx = self.files.context(self.now);
        let watched = client.session.file();
        act(client, &mut cx, &mut self.buf);
        if let Some(file) = client.session.file().filter(|_| watched.is_none())
            && let Some(watches) = &mut self.watches
        {
            let is_new = watches.add(file, &cx.config.files, &mut self.report);
            client.session.set_watched(watches.tells(file));
            if is_new {
                // What happened between opening the file and watching it was not told.
                client.session.handle_hint(&mut cx);
            }
        }
        if client.send(&mut cx, &mut self.buf) == Rest::More {
            self.ready.push(index);
        }
        match client.session.is_searching() {
            true => self.searching.push(index),
            false => self.searching.remove(index),
        }
        if client.session.has_work() && !client.session.is_searching() {
            self.computing.push(index);
        }
        self.followers.turn(index, watched, client.session.file());
        let Some(ending) = client.session.ending() else {
            let at = client.session.poll_timeout(&self.files.config);
            return self.deadlines.set_about(index, at, self.now.mono);
        };
        if ending.is_noteworthy() {
            self.report
                .say_of_peer(format_args!("{}: {ending}", client.session.peer()));
        }
        self.deadlines.set(index, None);
        for list in [&mut self.ready, &mut self.searching, &mut self.computing] {
            list.remove(index);
        }
        self.remove(index, generation);
    }

    fn remove(&mut self, index: u32, generation: u16) {
        if let Some(client) = self.clients.remove(index, generation)
            && !client.session.is_turned_away()
        {
            self.counts.free(client.session.peer());
        }
    }

    /// Files or directories have changed: whoever follows one of them looks at once.
    fn handle_changes(&mut self) {
        let Some(watches) = &mut self.watches else {
            return;
        };
        let changed = watches.drain(&self.files.config.files, &mut self.report, &mut self.buf);
        let mut concerned = std::mem::take(&mut self.concerned);
        for file in changed {
            concerned.extend(self.followers.of(*file));
        }
        for index in concerned.drain(..) {
            self.note_whether_told(index);
            self.drive(index, &mut |client, cx, _| client.session.handle_hint(cx));
        }
        self.concerned = concerned;
    }

    /// What a client is served may have become one that cannot be watched, or that can.
    fn note_whether_told(&mut self, index: u32) {
        let generation = self.clients.generation(index);
        let client = generation.and_then(|generation| self.clients.get_mut(index, generation));
        if let Some(client) = client
            && let Some(file) = client.session.file()
            && let Some(watches) = &self.watches
        {
            client.session.set_watched(watches.tells(file));
        }
    }

    /// Accepts who waits, as far as they may be served and the turn allows.
    fn accept(&mut self) {
        for _ in 0..ACCEPTED_AT_ONCE {
            let accepted = self.listener.accept(self.now.mono, &mut self.report);
            let Some((stream, peer)) = accepted else {
                return;
            };
            let session = match self.admit(&peer) {
                Ok(()) => Session::new(peer.ip(), self.now.mono),
                Err(turned_away) => {
                    let why = turned_away.why();
                    self.report
                        .say_of_peer(format_args!("{}: {why}", peer.ip()));
                    if !self.may_tell(&turned_away) {
                        continue;
                    }
                    Session::turned_away(peer.ip(), why, self.now.mono)
                }
            };
            let client = Client {
                stream,
                session,
                is_full: false,
            };
            if !client.session.is_turned_away() {
                self.counts.take(peer.ip());
            }
            let (index, generation) = self.clients.insert(client);
            let registered = self
                .clients
                .get_mut(index, generation)
                .map(|client| client.register(self.reactor.registry(), index, generation));
            if let Some(Err(error)) = registered {
                self.report
                    .say_of_peer(format_args!("{}: cannot be served: {error}", peer.ip()));
                self.remove(index, generation);
                continue;
            }
            self.drive(index, &mut |_, _, _| {});
        }
        self.listener.pause(self.now.mono);
    }

    /// Whether a peer may become a client.
    fn admit(&self, peer: &SocketAddr) -> Result<(), TurnedAway> {
        let config = &self.files.config;
        let ip = peer.ip();
        if !config.hosts.allows(&ip) {
            return Err(TurnedAway::NotAllowed);
        }
        if self.clients.is_full() || self.counts.taken() >= config.max_clients {
            return Err(TurnedAway::Full);
        }
        if self.counts.taken_by(ip) >= config.max_clients_per_ip {
            return Err(TurnedAway::FullForAddress);
        }
        Ok(())
    }

    /// Whether there is room to tell a peer why it is turned away.
    fn may_tell(&self, turned_away: &TurnedAway) -> bool {
        let extra = self.clients.len() - self.counts.taken();
        *turned_away != TurnedAway::NotAllowed && extra < TURNED_AWAY_MAX && !self.clients.is_full()
    }

    /// SIGHUP: takes up a changed configuration. Clients that it still allows keep their connection; a faulty file
    /// changes nothing.
    fn reload(&mut self) {
        let config = match config_file::read(&self.config_path, Config::parse) {
            Ok(config) => config,
            Err(unusable) => {
                for line in unusable.to_string().lines() {
                    self.report.say(format_args!("{line}"));
                }
                return self
                    .report
                    .say(format_args!("the configuration stays as it was before"));
            }
        };
        if config.bind != self.files.config.bind {
            self.listen_on(config.bind);
        }
        let before = std::mem::replace(&mut self.files.config, config);
        self.files.sightings = Sightings::new();
        if let Some(watches) = &mut self.watches {
            watches.clear();
        }
        for index in 0..self.clients.bound() {
            self.drive(index, &mut |client, cx, _| {
                let path = client
                    .session
                    .file()
                    .and_then(|file| before.files.get(file as usize))
                    .map(|entry| &entry.path);
                let file = path.and_then(|path| cx.config.index_of(path));
                if !cx.config.hosts.allows(&client.session.peer()) {
                    client.session.end(Ending::Withdrawn);
                } else {
                    client.session.renumber(file);
                }
            });
        }
        if let Some(watches) = &mut self.watches {
            for file in self.followers.files() {
                watches.add(file, &self.files.config.files, &mut self.report);
            }
        }
        for index in 0..self.clients.bound() {
            self.note_whether_told(index);
        }
        self.check_config();
        self.report
            .say(format_args!("read the configuration again"));
    }

    /// Moves the listening socket. The old one is closed first, for both may want the same port; where the new place is
    /// not to be had, the old one is taken again.
    fn listen_on(&mut self, wanted: SocketAddr) {
        let before = self.listener.address();
        self.listener.close(self.reactor.registry());
        let mut listen = |address| {
            listener::bind(address)
                .and_then(|socket| Listener::new(socket, self.reactor.registry()))
        };
        let replaced = listen(wanted).or_else(|error| {
            let report = &mut self.report;
            report.say(format_args!("cannot listen on {wanted}: {error}"));
            before.and_then(&mut listen)
        });
        match replaced {
            Ok(listener) => {
                self.listener = listener;
                let _ = self.listener.announce(&mut self.report);
            }
            Err(error) => self
                .report
                .say(format_args!("nobody can connect any more: {error}")),
        }
    }

    /// Makes room for as many clients as are configured, and says what makes a configuration useless.
    fn check_config(&mut self) {
        raise_descriptor_limit(self.files.config.max_clients as u64 * 2 + 64);
        if self.files.config.hosts.is_empty() {
            self.report
                .say(format_args!("%hosts_allow is empty: nobody is served"));
        }
        if self.files.config.files.is_empty() {
            self.report
                .say(format_args!("%files is empty: nothing is served"));
        }
    }
}

impl Files {
    fn context(&mut self, now: Now) -> Context<'_, RealRead> {
        Context {
            store: &self.store,
            config: &self.config,
            sightings: &mut self.sightings,
            now,
        }
    }
}

impl Client {
    fn register(&mut self, registry: &Registry, index: u32, generation: u16) -> io::Result<()> {
        let token = Token {
            kind: CLIENT,
            index,
            generation,
        };
        let interest = Interest::READABLE | Interest::WRITABLE;
        registry.register(&mut self.stream, token.pack(), interest)
    }

    /// Reads what the client sent, to the end: there is little that it may send.
    fn read(&mut self, cx: &mut Context<'_, RealRead>, buf: &mut [u8]) {
        while self.session.ending().is_none() {
            match self.stream.read(buf) {
                Ok(0) => self.session.handle_closed(),
                Ok(len) => self.session.handle_input(&buf[..len], cx),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.session.handle_closed(),
            }
        }
    }

    /// Sends what there is until the socket is full or the client has had its share of the turn.
    fn send(&mut self, cx: &mut Context<'_, RealRead>, buf: &mut [u8]) -> Rest {
        let mut sent = 0;
        while sent < CHUNK_LEN && !self.is_full {
            let len = self.session.output(buf, cx);
            if len == 0 {
                return Rest::None;
            }
            match self.stream.write(&buf[..len]) {
                Ok(taken) => {
                    sent += taken;
                    self.is_full = taken < len;
                    self.session.consume_output(&buf[..len], taken, cx.now.mono);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.is_full = true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => {
                    self.session.handle_closed();
                    return Rest::None;
                }
            }
        }
        match self.is_full {
            true => Rest::None,
            false => Rest::More,
        }
    }
}

/// Binds the listening socket; privileges may be dropped afterwards. Fails where the port is taken or not permitted.
/// On Linux the machine need not have the address yet.
pub fn bind(config: &Config) -> io::Result<Bound> {
    listener::bind(config.bind)
}
