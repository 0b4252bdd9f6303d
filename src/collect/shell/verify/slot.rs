//! One check together with its connection.

use std::net::SocketAddr;
use std::ops::ControlFlow::{Break, Continue};

use mio::Registry;

use super::{File, PLACE};
use crate::collect::error::Closed;
use crate::collect::verify::{Check, Context};
use crate::limits::TURN_BYTES_MAX;
use crate::reactor::Rest;
use crate::reactor::connection::Connection;
use crate::reactor::token::Token;
use crate::store::real::RealRead;
use crate::time::Mono;

type Cx<'a> = Context<'a, RealRead>;

/// A place for a check, and what the system holds for it.
pub struct Slot {
    check: Option<Check<File>>,
    address: Option<SocketAddr>,
    connection: Option<Connection>,
    /// Which of the check's connections it is.
    number: u32,
    /// Counts the connections, so that an event of an old one is not taken for one of the new.
    life: u16,
    /// Its share of the turn ended before its input did.
    has_more: bool,
}

impl Slot {
    /// A free place.
    pub fn new() -> Slot {
        Slot {
            check: None,
            address: None,
            connection: None,
            number: 0,
            life: 0,
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

    /// The life of the present connection, as its token carries it.
    pub fn life(&self) -> u16 {
        self.life
    }

    /// Takes in a check that is due at once.
    pub fn take(&mut self, check: Check<File>, address: Option<SocketAddr>) {
        self.check = Some(check);
        self.address = address;
    }

    /// Gives the check back when it is over.
    pub fn take_finished(&mut self) -> Option<Check<File>> {
        self.check.as_ref()?.verdict()?;
        self.close();
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

    /// The connection may have been made, or takes bytes again.
    pub fn handle_writable(&mut self, cx: &mut Cx<'_>) {
        let (Some(check), Some(connection)) = (&mut self.check, &mut self.connection) else {
            return;
        };
        match connection.handle_writable() {
            Ok(false) => {}
            Ok(true) => check.handle_connected(cx.now),
            Err(ended) => check.handle_closed(ended.into(), cx),
        }
    }

    /// The connection has bytes, an end or an error.
    pub fn handle_readable(&mut self, cx: &mut Cx<'_>, buf: &mut [u8]) {
        self.has_more = false;
        let (Some(check), Some(connection)) = (&mut self.check, &mut self.connection) else {
            return;
        };
        let number = Some(self.number);
        if check.connection() != number {
            return;
        }
        let read = connection.read(buf, TURN_BYTES_MAX, &mut |input| {
            check.handle_input(input, cx);
            match check.connection() == number {
                true => Continue(()),
                false => Break(()),
            }
        });
        match read {
            Ok(rest) => self.has_more = rest == Rest::More && check.connection() == number,
            Err(ended) => check.handle_closed(ended.into(), cx),
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

    /// Brings the connection into line with what the check wants: opens, closes, sends.
    pub fn settle(&mut self, registry: &Registry, index: u32, cx: &mut Cx<'_>) {
        while let Some(wanted) = self.check.as_ref().map(Check::connection) {
            let present = self.connection.as_ref().map(|_| self.number);
            if present == wanted {
                break;
            }
            self.close();
            let Some(number) = wanted else {
                break;
            };
            self.number = number;
            self.connect(registry, index, cx);
        }
        self.send(cx);
    }

    fn close(&mut self) {
        self.connection = None;
        self.has_more = false;
    }

    /// Starts to connect; the outcome is an event, unless it fails at once.
    fn connect(&mut self, registry: &Registry, index: u32, cx: &mut Cx<'_>) {
        let made = match self.address {
            None => Err(Closed::NoAddress),
            Some(address) => {
                self.life = (self.life + 1) & Token::LIFE_MAX;
                let token = Token {
                    kind: PLACE,
                    index,
                    life: self.life,
                };
                let key = self.check.as_ref().and_then(|it| it.config().key.as_ref());
                Connection::connect_to(address, key, token, registry).map_err(Closed::from)
            }
        };
        match (made, &mut self.check) {
            (Ok(connection), _) => self.connection = Some(connection),
            (Err(closed), Some(check)) => check.handle_closed(closed, cx),
            (Err(_), None) => {}
        }
    }

    /// Sends what the check has to send, as far as the connection takes it.
    fn send(&mut self, cx: &mut Cx<'_>) {
        let (Some(check), Some(connection)) = (&mut self.check, &mut self.connection) else {
            return;
        };
        let sent = connection.send(check, Check::output, |check, len| {
            check.consume_output(len, cx.now);
        });
        if let Err(ended) = sent {
            check.handle_closed(ended.into(), cx);
            self.connection = None;
        }
    }
}
