//! One check together with its socket.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;

use mio::net::TcpStream;
use mio::{Interest, Registry};

use super::{File, PLACE};
use crate::collect::shell::slot::connection_made;
use crate::collect::source::Closed;
use crate::collect::verify::{Check, Context};
use crate::limits::TURN_BYTES_MAX;
use crate::reactor::token::Token;
use crate::store::real::RealRead;
use crate::time::Mono;

type Cx<'a> = Context<'a, RealRead>;

/// A place for a check, and what the system holds for it.
pub struct Slot {
    check: Option<Check<File>>,
    address: Option<SocketAddr>,
    socket: Option<Socket>,
    /// Counts the sockets, so that an event of an old one is not taken for one of the new.
    generation: u16,
    /// Its share of the turn ended before its input did.
    has_more: bool,
}

/// A connection, or one that is being made.
struct Socket {
    stream: TcpStream,
    connected: bool,
    /// Which of the check's connections it is.
    number: u32,
}

impl Slot {
    /// A free place.
    pub fn new() -> Slot {
        Slot {
            check: None,
            address: None,
            socket: None,
            generation: 0,
            has_more: false,
        }
    }

    /// Whether no check is here.
    pub fn is_free(&self) -> bool {
        self.check.is_none()
    }

    /// The server that the check here is about.
    pub fn server(&self) -> Option<SocketAddr> {
        self.check.as_ref()?;
        self.address
    }

    /// The generation of the present socket, as its token carries it.
    pub fn generation(&self) -> u16 {
        self.generation
    }

    /// Takes in a check that is due at once.
    pub fn take(&mut self, check: Check<File>, address: Option<SocketAddr>) {
        self.check = Some(check);
        self.address = address;
    }

    /// Gives the check back when it is over.
    pub fn take_finished(&mut self) -> Option<Check<File>> {
        self.check.as_ref()?.verdict()?;
        self.socket = None;
        self.has_more = false;
        self.check.take()
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called.
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.check.as_ref().and_then(Check::poll_timeout)
    }

    /// A deadline has come.
    pub fn handle_timeout(&mut self, cx: &mut Cx<'_>) {
        if let Some(check) = &mut self.check {
            check.handle_timeout(cx);
        }
    }

    /// The socket may have been connected, or takes bytes again.
    pub fn handle_writable(&mut self, cx: &mut Cx<'_>) {
        let (Some(check), Some(socket)) = (&mut self.check, &mut self.socket) else {
            return;
        };
        if !socket.connected {
            match connection_made(&socket.stream) {
                Ok(false) => {}
                Ok(true) => {
                    socket.connected = true;
                    check.handle_connected(cx.now);
                }
                Err(error) => check.handle_closed(Closed::NotMade(error), cx),
            }
        }
    }

    /// The socket has bytes, an end or an error.
    pub fn handle_readable(&mut self, cx: &mut Cx<'_>, buf: &mut [u8]) {
        self.has_more = false;
        let mut taken = 0;
        while let (Some(check), Some(socket)) = (&mut self.check, &mut self.socket) {
            if !socket.connected || check.connection() != Some(socket.number) {
                return;
            }
            if taken >= TURN_BYTES_MAX {
                self.has_more = true;
                return;
            }
            match socket.stream.read(buf) {
                Ok(0) => check.handle_closed(Closed::ByServer, cx),
                Ok(len) => {
                    taken += len;
                    check.handle_input(&buf[..len], cx);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => check.handle_closed(Closed::Broken(error), cx),
            }
        }
    }

    /// Whether [`work`](Self::work) has something to do.
    pub fn has_work(&self) -> bool {
        self.has_more || self.check.as_ref().is_some_and(Check::has_work)
    }

    /// Does a part of what takes long, if there is any, and tells how many bytes were compared.
    pub fn work(&mut self, cx: &mut Cx<'_>, buf: &mut [u8]) -> usize {
        if self.has_more {
            self.handle_readable(cx, buf);
        }
        match &mut self.check {
            Some(check) if check.has_work() => check.work(buf, cx),
            _ => 0,
        }
    }

    /// Brings the socket into line with what the check wants: opens, closes, sends.
    pub fn settle(&mut self, registry: &Registry, index: u32, cx: &mut Cx<'_>) {
        while let Some(check) = &mut self.check {
            let wanted = check.connection();
            if self.socket.as_ref().map(|socket| socket.number) == wanted {
                break;
            }
            self.socket = None;
            self.has_more = false;
            let Some(number) = wanted else {
                break;
            };
            let made = match self.address {
                None => Err(Closed::NoAddress),
                Some(address) => {
                    self.generation = (self.generation + 1) & Token::GENERATION_MAX;
                    let token = Token {
                        kind: PLACE,
                        index,
                        generation: self.generation,
                    };
                    connect(address, token, registry).map_err(Closed::NotMade)
                }
            };
            match made {
                Ok(stream) => {
                    self.socket = Some(Socket {
                        stream,
                        connected: false,
                        number,
                    });
                }
                Err(closed) => check.handle_closed(closed, cx),
            }
        }
        self.send(cx);
    }

    /// Sends what the check has to send, as far as the socket takes it.
    fn send(&mut self, cx: &mut Cx<'_>) {
        while let (Some(check), Some(socket)) = (&mut self.check, &mut self.socket) {
            let output = check.output();
            if output.is_empty() || !socket.connected {
                return;
            }
            match socket.stream.write(output) {
                Ok(sent) => check.consume_output(sent, cx.now),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    check.handle_closed(Closed::Broken(error), cx);
                    self.socket = None;
                }
            }
        }
    }
}

/// Starts to connect; the outcome is an event, unless it fails at once.
fn connect(address: SocketAddr, token: Token, registry: &Registry) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    registry.register(
        &mut stream,
        token.pack(),
        Interest::READABLE | Interest::WRITABLE,
    )?;
    Ok(stream)
}
