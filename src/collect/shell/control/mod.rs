//! The control socket, and the port of `-l`: their sockets around [`Exchange`].

mod stream;

use std::fmt::Display;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::{Path, PathBuf};

use mio::net::UnixListener;
use mio::{Interest, Registry};

use self::stream::Stream;
use super::{CLIENT, LISTENER};
use crate::collect::view::exchange::Exchange;
use crate::collect::view::faces::{About, Sources};
use crate::collect::view::http::{Asked, Terms};
use crate::limits::{
    ACCEPT_PAUSE_MS, CONTROL_CONNECTIONS_MAX, CONTROL_LOCAL_MIN, CONTROL_TURN_LEN,
    CONTROL_TURNED_AWAY,
};
use crate::reactor::listener::{Bound, Listener};
use crate::reactor::token::Token;
use crate::reactor::{Event, Rest};
use crate::time::Mono;

/// The sockets as they are before the walls are built, which leave no way to make them.
#[derive(Default)]
pub struct Doors {
    /// The control socket, or why there is none, and its path.
    pub local: Option<(io::Result<StdUnixListener>, PathBuf)>,
    /// The port of `-l`, with the name that was given to it, if it was one.
    pub port: Option<(Bound, Option<Box<str>>)>,
}

/// Everything between the sockets and the exchanges.
pub struct Control {
    local: Option<UnixListener>,
    path: Option<PathBuf>,
    port: Option<Listener>,
    terms: [Terms; 2],
    /// The last places are for those who are turned away.
    clients: [Option<Client>; CONTROL_CONNECTIONS_MAX + CONTROL_TURNED_AWAY],
    life: u16,
    /// Set while the control socket waits for descriptors or memory.
    paused_until: Option<Mono>,
}

/// Is told what cannot be listened at, and why.
pub type Failed<'a> = dyn FnMut(&dyn Display, io::Error) + 'a;

struct Client {
    exchange: Exchange,
    stream: Stream,
    life: u16,
    door: usize,
    /// Its turn ended before it was through.
    has_rest: bool,
    is_shut: bool,
}

/// The numbers of the doors, in tokens and terms.
const LOCAL: usize = 0;
const PORT: usize = 1;

impl Control {
    /// Registers the doors. What cannot be is an error, and the others work all the same.
    pub fn new(doors: Doors, registry: &Registry, failed: &mut Failed<'_>) -> Control {
        let (local, path) = doors.local.map_or((None, None), |(socket, path)| {
            let listener = socket.and_then(|socket| register(socket, registry));
            let listener = listener.map_err(|error| failed(&path.display(), error));
            (listener.ok(), Some(path))
        });
        let mut names = Vec::new();
        let port = doors.port.and_then(|(bound, name)| {
            names.extend(name);
            let listener = Listener::new(bound, token(LISTENER, PORT, 0), registry);
            listener
                .map_err(|error| failed(&"the port of -l", error))
                .ok()
        });
        let of_local = Terms {
            may_ack: true,
            names: None,
        };
        let of_port = Terms {
            may_ack: false,
            names: Some(names),
        };
        Control {
            local,
            path,
            port,
            terms: [of_local, of_port],
            clients: [const { None }; CONTROL_CONNECTIONS_MAX + CONTROL_TURNED_AWAY],
            life: 0,
            paused_until: None,
        }
    }

    /// Something is ready.
    pub fn handle_event(&mut self, event: Event, registry: &Registry, now: Mono) {
        if event.token.kind == LISTENER {
            return self.accept(registry, now);
        }
        let client = self.clients.get_mut(event.token.index as usize);
        if let Some(client) = client.and_then(Option::as_mut)
            && client.life == event.token.life
        {
            client.has_rest = true;
            if event.writable {
                client.stream.note_writable();
            }
        }
    }

    /// Serves all clients that have something to do. Clients that a turn leaves with more have
    /// their next part in the next one.
    pub fn work(&mut self, view: (&dyn Sources, &About<'_>), buf: &mut [u8], now: Mono) {
        let terms = &self.terms;
        for place in &mut self.clients {
            let Some(client) = place else { continue };
            client.exchange.handle_timeout(now);
            if client.has_rest || client.may_send() {
                let terms = &terms[client.door];
                client.has_rest = client.serve(view, terms, buf, now) == Rest::More;
            }
            if client.exchange.is_over() {
                *place = None;
            }
        }
    }

    /// What somebody asks to have done, and who: each once. [`answer`](Self::answer) follows.
    pub fn take_asked(&mut self) -> Option<(usize, Asked)> {
        let mut places = self.clients.iter_mut().enumerate();
        places.find_map(|(at, place)| Some((at, place.as_mut()?.exchange.take_asked()?)))
    }

    /// Tells a client what came of that.
    pub fn answer(&mut self, client: usize, text: &str, now: Mono) {
        if let Some(client) = self.clients.get_mut(client).and_then(Option::as_mut) {
            client.exchange.answer(text, now);
            client.has_rest = true;
        }
    }

    /// Accepts who came while the doors paused.
    pub fn handle_timeout(&mut self, registry: &Registry, now: Mono) {
        let is_over = self.paused_until.is_some_and(|until| until <= now);
        if is_over || self.port.as_ref().is_some_and(|port| port.is_due(now)) {
            self.accept(registry, now);
        }
    }

    /// When [`work`](Self::work) or [`handle_timeout`](Self::handle_timeout) has something to do.
    pub fn poll_timeout(&self, now: Mono) -> Option<Mono> {
        let of_client = |client: &Client| match client.has_rest {
            true => Some(now),
            false => client.exchange.poll_timeout(),
        };
        let clients = self.clients.iter().flatten().filter_map(of_client);
        let port = self.port.as_ref().and_then(Listener::poll_timeout);
        clients.chain(port).chain(self.paused_until).min()
    }

    /// Whether anybody is connected.
    pub fn has_clients(&self) -> bool {
        self.clients.iter().any(Option::is_some)
    }

    /// The socket of the port, for a successor. The control socket's name is taken away if this is
    /// the end.
    pub fn close(self, is_end: bool) -> Option<OwnedFd> {
        if let Some(path) = self.path.filter(|_| is_end && self.local.is_some()) {
            remove(&path);
        }
        self.port.and_then(Listener::into_socket)
    }

    fn accept(&mut self, registry: &Registry, now: Mono) {
        self.paused_until = None;
        loop {
            match self.local.as_ref().map(UnixListener::accept) {
                Some(Ok((stream, _))) => self.admit(Stream::local(stream), LOCAL, registry, now),
                Some(Err(error)) if error.kind() == ErrorKind::Interrupted => {}
                Some(Err(error)) if error.kind() != ErrorKind::WouldBlock => {
                    self.paused_until = Some(now.plus_ms(ACCEPT_PAUSE_MS));
                    break;
                }
                _ => break,
            }
        }
        while let Some(Ok(Some((stream, _)))) = self.port.as_mut().map(|port| port.accept(now)) {
            self.admit(Stream::tcp(stream), PORT, registry, now);
        }
    }

    fn admit(&mut self, mut stream: Stream, door: usize, registry: &Registry, now: Mono) {
        let Some(index) = self.place_for(door) else {
            return;
        };
        let exchange = match index < CONTROL_CONNECTIONS_MAX {
            true => Exchange::new(now),
            false => Exchange::turned_away(now),
        };
        self.life = (self.life + 1) & Token::LIFE_MAX;
        let token = token(CLIENT, index, self.life);
        if stream.register(registry, token.pack()).is_ok() {
            self.clients[index] = Some(Client {
                exchange,
                stream,
                life: self.life,
                door,
                has_rest: true,
                is_shut: false,
            });
        }
    }

    /// A free place for who comes through this door, perhaps one of those who are turned away.
    fn place_for(&self, door: usize) -> Option<usize> {
        let kept = match door {
            PORT => CONTROL_LOCAL_MIN,
            _ => 0,
        };
        let served = 0..CONTROL_CONNECTIONS_MAX - kept;
        let turned_away = CONTROL_CONNECTIONS_MAX..self.clients.len();
        let is_free = |index: &usize| self.clients.get(*index).is_some_and(Option::is_none);
        served.chain(turned_away).find(is_free)
    }
}

impl Client {
    /// Takes what it says and sends what it is to hear, for its share of a turn.
    fn serve(
        &mut self,
        (sources, about): (&dyn Sources, &About<'_>),
        terms: &Terms,
        buf: &mut [u8],
        now: Mono,
    ) -> Rest {
        let mut left = CONTROL_TURN_LEN;
        while self.exchange.wants_input() && left > 0 {
            let len = left.min(buf.len());
            match self.stream.read(&mut buf[..len]) {
                Ok(0) => self.exchange.handle_end(now),
                Ok(len) => {
                    left -= len;
                    self.exchange.handle_input(&buf[..len], terms, now);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.exchange.give_up(),
            }
        }
        self.send((sources, about), now);
        if self.exchange.is_over() {
            return Rest::None;
        }
        let may_read = self.exchange.wants_input() && left == 0;
        match may_read || self.may_send() {
            true => Rest::More,
            false => Rest::None,
        }
    }

    fn may_send(&self) -> bool {
        self.exchange.has_output() && !self.stream.is_full()
    }

    /// Makes and sends a part.
    fn send(&mut self, (sources, about): (&dyn Sources, &About<'_>), now: Mono) {
        if !self.exchange.has_output() {
            return;
        }
        let output = self.exchange.output(sources, about);
        let sent = match output.is_empty() {
            true => Ok(0),
            false => self.stream.write(output),
        };
        match sent {
            Ok(len) => {
                if self.exchange.consume_output(len, now) && !self.is_shut {
                    self.is_shut = true;
                    self.stream.shut();
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => self.exchange.give_up(),
        }
    }
}

/// Takes the name of a socket away, and of nothing else that may have it by now.
fn remove(path: &Path) {
    let found = std::fs::symlink_metadata(path);
    if found.is_ok_and(|found| found.file_type().is_socket()) {
        // Who is shut out of the directory leaves a socket that nobody answers.
        let _ = std::fs::remove_file(path);
    }
}

fn register(socket: StdUnixListener, registry: &Registry) -> io::Result<UnixListener> {
    socket.set_nonblocking(true)?;
    let mut listener = UnixListener::from_std(socket);
    registry.register(
        &mut listener,
        token(LISTENER, LOCAL, 0).pack(),
        Interest::READABLE,
    )?;
    Ok(listener)
}

fn token(kind: u8, index: usize, life: u16) -> Token {
    Token {
        kind,
        index: index as u32,
        life,
    }
}

/// Where `-l` listens, and the name it was given: `ADDRESS:PORT`, `[ADDRESS]:PORT`, `NAME:PORT`.
pub fn address_of(text: &str) -> Option<(Vec<SocketAddr>, Option<Box<str>>)> {
    use std::net::ToSocketAddrs;
    if let Ok(address) = text.parse() {
        return Some((vec![address], None));
    }
    let (name, _) = text.rsplit_once(':')?;
    let found: Vec<SocketAddr> = text.to_socket_addrs().ok()?.collect();
    (!found.is_empty()).then(|| (found, Some(name.into())))
}
