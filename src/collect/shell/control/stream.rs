//! The socket of one client, of either kind.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;

use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};

/// A socket that never waits.
pub struct Stream {
    kind: Kind,
    /// It took less than it was given: an event tells when it takes more.
    is_full: bool,
}

enum Kind {
    Local(UnixStream),
    Tcp(TcpStream),
}

impl Stream {
    /// One of the control socket.
    pub fn local(stream: UnixStream) -> Stream {
        Stream {
            kind: Kind::Local(stream),
            is_full: false,
        }
    }

    /// One of the port.
    pub fn tcp(stream: TcpStream) -> Stream {
        Stream {
            kind: Kind::Tcp(stream),
            is_full: false,
        }
    }

    /// Has its events told.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        match &mut self.kind {
            Kind::Local(stream) => registry.register(stream, token, interest),
            Kind::Tcp(stream) => registry.register(stream, token, interest),
        }
    }

    /// Whether it takes no more for now.
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    /// It may take more.
    pub fn note_writable(&mut self) {
        self.is_full = false;
    }

    /// Closes our half: the other side hears that all is said.
    pub fn shut(&mut self) {
        // Who is gone hears nothing.
        let _ = match &self.kind {
            Kind::Local(stream) => stream.shutdown(Shutdown::Write),
            Kind::Tcp(stream) => stream.shutdown(Shutdown::Write),
        };
    }

    /// Reads what is there.
    pub fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match &mut self.kind {
            Kind::Local(stream) => stream.read(buf),
            Kind::Tcp(stream) => stream.read(buf),
        }
    }

    /// Writes what it takes.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match &mut self.kind {
            Kind::Local(stream) => stream.write(bytes),
            Kind::Tcp(stream) => stream.write(bytes),
        };
        self.is_full = match &written {
            Ok(len) => *len < bytes.len(),
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        };
        written
    }
}
