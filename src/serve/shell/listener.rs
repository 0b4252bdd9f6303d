//! The listening socket, and what to do when descriptors run out.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry};

use super::LISTENER;
use crate::limits::{ACCEPT_PAUSE_MS, UNSENT_MAX};
use crate::reactor::token::Token;
use crate::report::Report;
use crate::sys::socket::{limit_unsent, listen};
use crate::time::Mono;

/// The listening socket.
pub struct Listener {
    /// `None` once it is closed.
    socket: Option<TcpListener>,
    is_ahead: bool,
    /// Set while accepting makes no sense, because nothing but time can help.
    paused_until: Option<Mono>,
}

/// A socket that listens, not yet in the event loop.
pub struct Bound {
    socket: StdListener,
    /// Whether its address is none of this machine's; a network that comes up later brings it.
    is_ahead: bool,
}

/// Listens; if the machine has not got the address yet, on Linux, ahead of it.
pub fn bind(address: SocketAddr) -> io::Result<Bound> {
    let has_none = |error: &io::Error| error.kind() == io::ErrorKind::AddrNotAvailable;
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

impl Listener {
    /// Registers a bound socket.
    pub fn new(bound: Bound, registry: &Registry) -> io::Result<Listener> {
        bound.socket.set_nonblocking(true)?;
        let mut socket = TcpListener::from_std(bound.socket);
        let token = Token {
            kind: LISTENER,
            index: 0,
            generation: 0,
        };
        registry.register(&mut socket, token.pack(), Interest::READABLE)?;
        Ok(Listener {
            socket: Some(socket),
            is_ahead: bound.is_ahead,
            paused_until: None,
        })
    }

    /// Where it listens, the port that the system chose included.
    pub fn address(&self) -> io::Result<SocketAddr> {
        let socket = self.socket.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        socket.local_addr()
    }

    /// Says where it listens.
    pub fn announce(&self, report: &mut Report) -> io::Result<()> {
        let address = self.address()?;
        let yet = match self.is_ahead {
            true => ", which this machine has not got yet",
            false => "",
        };
        report.say(format_args!("listening on {address}{yet}"));
        Ok(())
    }

    /// Listens no longer.
    pub fn close(&mut self, registry: &Registry) {
        if let Some(mut socket) = self.socket.take() {
            let _ = registry.deregister(&mut socket);
        }
    }

    /// Enough for this turn: more may be waiting.
    pub fn pause(&mut self, until: Mono) {
        self.paused_until = Some(until);
    }

    /// Whether a pause is over.
    pub fn is_due(&self, now: Mono) -> bool {
        self.paused_until.is_some_and(|until| until <= now)
    }

    /// When a pause is over.
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.paused_until
    }

    /// The next connection that waits. One that was broken off before its turn is skipped; where the system has no
    /// descriptor or memory left, the others wait in its queue for a moment.
    pub fn accept(&mut self, now: Mono, report: &mut Report) -> Option<(TcpStream, SocketAddr)> {
        self.paused_until = None;
        loop {
            match self.socket.as_ref()?.accept() {
                Ok((stream, peer)) => {
                    // Both only make things quicker.
                    let _ = stream.set_nodelay(true);
                    let _ = limit_unsent(&stream, UNSENT_MAX);
                    return Some((
                        stream,
                        SocketAddr::new(peer.ip().to_canonical(), peer.port()),
                    ));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error) if is_about_the_peer(&error) => {}
                Err(error) => {
                    report.say(format_args!("cannot accept a connection: {error}"));
                    self.paused_until = Some(now.plus_ms(ACCEPT_PAUSE_MS));
                    return None;
                }
            }
        }
    }
}

/// Whether only this one connection is affected; accept(2) passes on errors of the network too.
fn is_about_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionAborted
            | Kind::ConnectionReset
            | Kind::Interrupted
            | Kind::PermissionDenied
            | Kind::HostUnreachable
            | Kind::NetworkUnreachable
            | Kind::NetworkDown
            | Kind::TimedOut
    )
}
