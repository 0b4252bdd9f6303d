//! One TCP connection, from either side: the only place that reads from sockets and writes to them.
//!
//! The caller owns the machine and one buffer for all connections. It hands on what an event says:
//! [`Connection::handle_writable`], then [`Connection::read`]; and after everything that happened
//! to the machine it sends, with [`Connection::send`] or, where the output is made for the
//! occasion, with [`Connection::has_room`] and [`Connection::write`]. Once a call has failed, the
//! connection is to be dropped, which closes it.

#[cfg(feature = "noise")]
mod sealed;
mod transform;

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::ops::ControlFlow;

use mio::net::TcpStream;
use mio::{Interest, Registry};

#[cfg(feature = "noise")]
pub use self::sealed::new_key;
#[cfg(any(not(feature = "noise"), test))]
pub use self::transform::Plain;
pub use self::transform::Transform;
use super::Rest;
use super::token::Token;
use crate::limits::CHUNK_LEN;
#[cfg(feature = "noise")]
use crate::noise::channel::Channel;
use crate::noise::key::ServerKey;

/// What stands between the sockets and the machines of the programs.
#[cfg(feature = "noise")]
pub type Link = Channel;

/// What stands between the sockets and the machines of the programs.
#[cfg(not(feature = "noise"))]
pub type Link = Plain;

/// A connection, or one that is being made.
pub struct Connection<T = Link> {
    stream: TcpStream,
    is_made: bool,
    /// The socket took less than it was given, and no event has told of room since.
    is_full: bool,
    transform: T,
}

/// How a connection ended, or failed to begin.
#[derive(Debug)]
pub enum Ended {
    /// The peer closed it, or its half of it, in good order.
    ByPeer,
    /// It could not be made.
    NotMade(io::Error),
    /// It broke.
    Broken(io::Error),
    /// The transform says why what came cannot be from the peer.
    Rejected(&'static str),
}

impl Connection {
    /// Starts to connect as [`connect`](Self::connect) does, to a server that proves to have its
    /// key, if there is one.
    pub fn connect_to(
        address: SocketAddr,
        key: Option<&ServerKey>,
        token: Token,
        registry: &Registry,
    ) -> Result<Connection, Ended> {
        #[cfg(feature = "noise")]
        let link = sealed::link_to(key)?;
        #[cfg(not(feature = "noise"))]
        let link = match key {
            None => Plain,
            Some(key) => match *key {},
        };
        Connection::connect(address, link, token, registry)
    }
}

impl<T: Transform> Connection<T> {
    /// Starts to connect, registered under `token`. [`handle_writable`](Self::handle_writable)
    /// tells the outcome, unless it fails at once: [`Ended::NotMade`].
    pub fn connect(
        address: SocketAddr,
        transform: T,
        token: Token,
        registry: &Registry,
    ) -> Result<Connection<T>, Ended> {
        let start = || {
            let mut connection = Connection {
                stream: TcpStream::connect(address)?,
                is_made: false,
                is_full: false,
                transform,
            };
            connection.register(token, registry)?;
            Ok(connection)
        };
        start().map_err(Ended::NotMade)
    }

    /// A connection that was accepted. It is still to be [registered](Self::register).
    pub fn accepted(stream: TcpStream, transform: T) -> Connection<T> {
        Connection {
            stream,
            is_made: true,
            is_full: false,
            transform,
        }
    }

    /// Has events told under `token`, of both directions: they come once for each change, so that
    /// one whose news is not wanted just now costs nothing. Fails where the system has no memory
    /// for it.
    pub fn register(&mut self, token: Token, registry: &Registry) -> io::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        registry.register(&mut self.stream, token.pack(), interest)
    }

    /// What stands between the socket and the machine.
    #[cfg(feature = "noise")]
    pub fn transform(&mut self) -> &mut T {
        &mut self.transform
    }

    /// Whether the connection stands.
    pub fn is_made(&self) -> bool {
        self.is_made
    }

    /// An event says that there is room, or that the attempt to connect is over. True if the
    /// connection was made just now. Fails with [`Ended::NotMade`].
    pub fn handle_writable(&mut self) -> Result<bool, Ended> {
        self.is_full = false;
        if self.is_made {
            return Ok(false);
        }
        self.is_made = has_peer(&self.stream).map_err(Ended::NotMade)?;
        Ok(self.is_made)
    }

    /// Reads into `buf` and hands on to `take` what the transform made of it, until the socket has
    /// no more, or `take` breaks, or `most` bytes were received. After [`Rest::More`] perhaps no
    /// event comes for what is left: the caller calls again. Reads nothing before the connection
    /// stands.
    pub fn read(
        &mut self,
        buf: &mut [u8],
        most: usize,
        take: &mut dyn FnMut(&mut [u8]) -> ControlFlow<()>,
    ) -> Result<Rest, Ended> {
        if !self.is_made {
            return Ok(Rest::None);
        }
        let mut received = 0;
        while received < most {
            let held = self.transform.restore(buf);
            debug_assert!(held < buf.len());
            let len = match attempt(|| self.stream.read(&mut buf[held..]))? {
                None => return Ok(Rest::None),
                Some(0) => {
                    let early = self.transform.early_end();
                    return Err(early.map_or(Ended::ByPeer, Ended::Rejected));
                }
                Some(len) => len,
            };
            received += len;
            let opened = self.transform.open(buf, held + len);
            let plain = opened.map_err(Ended::Rejected)?;
            if plain > 0 && take(&mut buf[..plain]).is_break() {
                break;
            }
        }
        Ok(Rest::More)
    }

    /// Sends what a machine has to send, given by `output`, as far as the socket takes it;
    /// `consume` is told how much that was each time. What is left waits for the next call, after
    /// an event at the latest.
    pub fn send<M>(
        &mut self,
        machine: &mut M,
        output: impl Fn(&M) -> &[u8],
        mut consume: impl FnMut(&mut M, usize),
    ) -> Result<(), Ended> {
        while self.flush()? {
            let plain = output(machine);
            if plain.is_empty() {
                break;
            }
            match self.write(plain)? {
                0 => break,
                taken => consume(machine, taken),
            }
        }
        Ok(())
    }

    /// Room that a caller of [`read`](Self::read) has to offer at least. Records are opened whole.
    pub fn least_room(&self) -> usize {
        match self.transform.is_identity() {
            true => 1,
            false => CHUNK_LEN,
        }
    }

    /// Whether it is worthwhile to prepare something for [`write`](Self::write). If not, an event
    /// will tell. Writes what is left of a record first.
    pub fn has_room(&mut self) -> Result<bool, Ended> {
        Ok(!self.is_full && self.flush()?)
    }

    /// Writes the first bytes of `plain` and tells how many; they need not be offered again, though
    /// a record of them may still have to be [flushed](Self::flush). 0 means none for now, and an
    /// event will tell when to go on. To be called once the connection stands.
    pub fn write(&mut self, plain: &[u8]) -> Result<usize, Ended> {
        if self.transform.is_identity() {
            let taken = write_to(&mut self.stream, plain)?;
            self.is_full = taken < plain.len();
            return Ok(taken);
        }
        let mut taken = 0;
        while self.flush()? && taken < plain.len() {
            match self.transform.seal(&plain[taken..]) {
                0 => break,
                sealed => taken += sealed,
            }
        }
        Ok(taken)
    }

    /// Writes what the transform holds for the socket, and tells whether none of it is left.
    /// Whoever wants everything to arrive closes only then. Writes nothing before the connection
    /// stands.
    pub fn flush(&mut self) -> Result<bool, Ended> {
        while self.is_made && !self.transform.pending().is_empty() {
            let pending = self.transform.pending();
            let taken = write_to(&mut self.stream, pending)?;
            self.is_full = taken < pending.len();
            self.transform.consume_pending(taken);
            if self.is_full {
                return Ok(false);
            }
        }
        Ok(self.is_made)
    }
}

/// Whether the connection stands; `false` while that is still open.
fn has_peer(stream: &TcpStream) -> io::Result<bool> {
    // The event may have come while the attempt is still under way. Only the error tells why one
    // has failed; without an error, only the peer's address tells whether it is over.
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    match stream.peer_addr() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}

/// How many bytes a socket takes now.
fn write_to(stream: &mut TcpStream, bytes: &[u8]) -> Result<usize, Ended> {
    let taken = attempt(|| stream.write(bytes))?;
    Ok(taken.unwrap_or(0))
}

/// What a system call on a socket comes to; `None` where it would block.
fn attempt(mut call: impl FnMut() -> io::Result<usize>) -> Result<Option<usize>, Ended> {
    loop {
        return match call() {
            Ok(len) => Ok(Some(len)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => Err(Ended::Broken(error)),
        };
    }
}

#[cfg(test)]
mod tests;
