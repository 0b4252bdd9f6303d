//! The listening socket: so many connections a turn, and a pause when descriptors run out.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener as StdListener};
use std::os::fd::OwnedFd;

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry};

use super::token::Token;
use crate::limits::{ACCEPT_PAUSE_MS, ACCEPTED_AT_ONCE, UNSENT_MAX};
use crate::sys::socket::{limit_unsent, listen, never_wait};
use crate::time::Mono;

/// A listening socket in the event loop.
pub struct Listener {
    /// `None` once it is closed.
    socket: Option<TcpListener>,
    is_ahead: bool,
    /// Connections accepted in a row.
    accepted: usize,
    /// Set while accepting waits for nothing but time.
    paused_until: Option<Mono>,
}

/// A socket that listens, not yet in the event loop.
pub struct Bound {
    socket: StdListener,
    /// Whether this host has not got its address; a network that comes up later brings it.
    is_ahead: bool,
}

impl Bound {
    /// Listens; if the host has not got the address yet, on Linux, ahead of it. Fails where the
    /// port is taken or not permitted.
    pub fn bind(address: SocketAddr) -> io::Result<Bound> {
        let has_none = |error: &io::Error| error.kind() == ErrorKind::AddrNotAvailable;
        let socket = listen(address, false);
        let is_ahead = socket.as_ref().is_err_and(has_none);
        let socket = match is_ahead {
            true => listen(address, true),
            false => socket,
        };
        Ok(Bound {
            socket: socket?,
            is_ahead,
        })
    }

    /// Takes over a socket of another process.
    pub fn adopt(socket: OwnedFd) -> Bound {
        Bound {
            socket: StdListener::from(socket),
            is_ahead: false,
        }
    }

    /// Whether none but this machine can connect to it.
    #[cfg(any(feature = "fetch_logs", test))]
    pub fn is_loopback(&self) -> bool {
        let found = self.socket.local_addr();
        found.is_ok_and(|found| found.ip().to_canonical().is_loopback())
    }

    /// Whether it listens at `address`. Port 0 is any.
    pub fn is_at(&self, address: SocketAddr) -> bool {
        self.socket.local_addr().is_ok_and(|found| {
            found.ip() == address.ip() && [0, found.port()].contains(&address.port())
        })
    }
}

impl Listener {
    /// Takes over a bound socket and has it told under `token` when somebody connects. Fails where
    /// the system has no memory for it.
    pub fn new(bound: Bound, token: Token, registry: &Registry) -> io::Result<Listener> {
        never_wait(&bound.socket)?;
        let mut socket = TcpListener::from_std(bound.socket);
        registry.register(&mut socket, token.pack(), Interest::READABLE)?;
        Ok(Listener {
            socket: Some(socket),
            is_ahead: bound.is_ahead,
            accepted: 0,
            paused_until: None,
        })
    }

    /// Where it listens, the port that the system chose included. Fails once it is closed.
    pub fn address(&self) -> io::Result<SocketAddr> {
        let socket = self.socket.as_ref().ok_or(ErrorKind::NotConnected)?;
        socket.local_addr()
    }

    /// Whether this host had not got its address when it began to listen.
    pub fn is_ahead(&self) -> bool {
        self.is_ahead
    }

    /// Listens no longer.
    pub fn close(&mut self, registry: &Registry) {
        if let Some(mut socket) = self.socket.take() {
            let _ = registry.deregister(&mut socket);
        }
    }

    /// The socket, for another process; `None` once it is closed.
    pub fn into_socket(self) -> Option<OwnedFd> {
        self.socket.map(OwnedFd::from)
    }

    /// Whether a pause is over: the caller accepts again, for perhaps no event comes.
    pub fn is_due(&self, now: Mono) -> bool {
        self.paused_until.is_some_and(|until| until <= now)
    }

    /// When a pause is over.
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.paused_until
    }

    /// The next connection that waits, and whose it is; to be called until there is none. One that
    /// was broken off before its turn is skipped. None is given after as many as a turn allows;
    /// then a pause is over in the next. Fails where the system has no descriptor or memory left;
    /// then the others wait in its queue until a pause is over.
    pub fn accept(&mut self, now: Mono) -> io::Result<Option<(TcpStream, SocketAddr)>> {
        self.paused_until = None;
        if self.accepted >= ACCEPTED_AT_ONCE {
            self.accepted = 0;
            self.paused_until = Some(now);
            return Ok(None);
        }
        let next = self.next();
        match next {
            Ok(Some(_)) => self.accepted += 1,
            Ok(None) => self.accepted = 0,
            Err(_) => {
                self.accepted = 0;
                self.paused_until = Some(now.plus_ms(ACCEPT_PAUSE_MS));
            }
        }
        next
    }

    fn next(&self) -> io::Result<Option<(TcpStream, SocketAddr)>> {
        let Some(socket) = &self.socket else {
            return Ok(None);
        };
        loop {
            match socket.accept() {
                Ok((stream, peer)) => {
                    // Both only make things quicker.
                    let _ = stream.set_nodelay(true);
                    let _ = limit_unsent(&stream, UNSENT_MAX);
                    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
                    return Ok(Some((stream, peer)));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if is_about_the_peer(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Whether only this one connection is affected; accept(2) passes on errors of the network too.
fn is_about_the_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::Interrupted
            | ErrorKind::PermissionDenied
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::NetworkDown
            | ErrorKind::TimedOut
    )
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream as StdStream;

    use super::*;
    use crate::reactor::Reactor;
    use crate::sys::signals::Signals;

    const TOKEN: Token = Token {
        kind: 1,
        index: 0,
        life: 0,
    };

    fn listener() -> (Reactor, Listener) {
        let reactor = Reactor::new(Signals::install(&[]).unwrap()).unwrap();
        let bound = Bound::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = Listener::new(bound, TOKEN, reactor.registry()).unwrap();
        (reactor, listener)
    }

    /// Accepts until there is none.
    fn accept_all(listener: &mut Listener, now: Mono) -> Vec<SocketAddr> {
        std::iter::from_fn(|| listener.accept(now).unwrap())
            .map(|(_, peer)| peer)
            .collect()
    }

    #[test]
    fn a_turn_accepts_so_many_and_the_next_goes_on() {
        let (_reactor, mut listener) = listener();
        let address = listener.address().unwrap();
        let clients: Vec<StdStream> = (0..=ACCEPTED_AT_ONCE)
            .map(|_| StdStream::connect(address).unwrap())
            .collect();
        let peers: Vec<SocketAddr> = clients.iter().map(|it| it.local_addr().unwrap()).collect();
        let now = Mono::from_ms(7);
        let first = accept_all(&mut listener, now);
        assert_eq!(first, peers[..ACCEPTED_AT_ONCE]);
        assert!(listener.is_due(now) && listener.poll_timeout() == Some(now));
        assert_eq!(accept_all(&mut listener, now), peers[ACCEPTED_AT_ONCE..]);
        assert!(!listener.is_due(now) && listener.poll_timeout().is_none());
    }

    #[test]
    fn a_closed_one_accepts_nobody_and_its_port_is_free() {
        let (reactor, mut listener) = listener();
        let address = listener.address().unwrap();
        listener.close(reactor.registry());
        assert!(listener.accept(Mono::from_ms(0)).unwrap().is_none());
        assert!(listener.address().is_err());
        assert_eq!(
            Bound::bind(address).unwrap().socket.local_addr().unwrap(),
            address
        );
    }

    #[test]
    fn errors_of_one_connection_are_told_from_those_of_the_machine() {
        let is_about = |error| is_about_the_peer(&io::Error::from_raw_os_error(error));
        assert!(is_about(libc::ECONNABORTED) && is_about(libc::EPERM));
        assert!(!is_about(libc::EMFILE) && !is_about(libc::ENFILE) && !is_about(libc::ENOMEM));
    }
}
