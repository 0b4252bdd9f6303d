//! The mio half of `fetch_logs check`: one connection to each source, some at the same time.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::ops::ControlFlow::{Break, Continue};

use super::outcome::Outcome;
use super::resolver::look_up;
use crate::collect::config::{Config, SourceConfig};
use crate::collect::error::Closed;
use crate::collect::probe::{Finding, Probe};
use crate::collect::view::json::Quoted;
use crate::collect::view::summary::Count;
use crate::limits::{CHECK_CONNECTIONS, CHUNK_LEN, VERIFY_PER_SERVER_MAX};
use crate::reactor::connection::Connection;
use crate::reactor::token::Token;
use crate::reactor::{Event, Reactor};
use crate::sys::clock;
use crate::sys::signals::Signal;
use crate::time::Mono;
use crate::wire::escape::{Escaped, OneLine};

/// What the command line says.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The time for each of connecting, asking and the answer.
    pub wait_ms: u64,
    /// As JSON.
    pub json: bool,
}

/// All sources of a configuration being asked for.
pub struct Checking {
    options: Options,
    reactor: Reactor,
    waiting: VecDeque<Waiting>,
    places: Vec<Option<Place>>,
    life: u16,
    now: Mono,
    good: usize,
    bad: usize,
}

/// A source, the address of its server, and its glob if it stands for many.
type Waiting = (SourceConfig, Option<SocketAddr>, Option<Vec<u8>>);

struct Place {
    config: SourceConfig,
    address: Option<SocketAddr>,
    probe: Probe,
    connection: Option<Connection>,
    life: u16,
}

impl Checking {
    /// Nobody is asked yet.
    pub fn new(options: Options, reactor: Reactor) -> Checking {
        Checking {
            options,
            reactor,
            waiting: VecDeque::new(),
            places: (0..CHECK_CONNECTIONS).map(|_| None).collect(),
            life: 0,
            now: clock::now().mono,
            good: 0,
            bad: 0,
        }
    }

    /// Asks, and prints a line for each source in the order of the answers. Host names are looked
    /// up first, which may take a while.
    pub fn run(mut self, config: Config) -> io::Result<Outcome> {
        let sources = config.sources.into_iter().map(|source| (source, None));
        let families = config.families.into_iter().map(|family| {
            let asked = family.asked();
            (family.source, Some(asked))
        });
        for (source, glob) in sources.chain(families) {
            let address = look_up(&source).first().copied();
            self.waiting.push_back((source, address, glob));
        }
        let mut buf = vec![0; CHUNK_LEN];
        self.now = clock::now().mono;
        loop {
            self.fill()?;
            let deadlines = self.places.iter().flatten();
            let Some(until) = deadlines.map(|place| place.probe.deadline()).min() else {
                return self.conclude();
            };
            self.now = self.reactor.wait(Some(until))?.mono;
            let mut signals = self.reactor.signals();
            if signals.any(|signal| matches!(signal, Signal::Term | Signal::Int)) {
                return Ok(Outcome::Interrupted);
            }
            for event in self.reactor.events() {
                self.handle_event(event, &mut buf);
            }
            for place in self.places.iter_mut().flatten() {
                place.probe.handle_timeout(self.now);
            }
            self.settle()?;
        }
    }

    /// Begins as many as there are places for them, few for each server.
    fn fill(&mut self) -> io::Result<()> {
        while let Some(index) = self.places.iter().position(Option::is_none) {
            let is_free = |address: &Option<SocketAddr>| {
                let places = self.places.iter().flatten();
                let of_it = places.filter(|place| place.address == *address);
                address.is_none() || of_it.count() < VERIFY_PER_SERVER_MAX
            };
            let next = self
                .waiting
                .iter()
                .position(|(_, address, _)| is_free(address));
            let Some((config, address, glob)) = next.and_then(|at| self.waiting.remove(at)) else {
                break;
            };
            self.life = (self.life + 1) & Token::LIFE_MAX;
            let mut place = Place {
                probe: Probe::new(config.proto, self.now, self.options.wait_ms).for_logs(glob),
                config,
                address,
                connection: None,
                life: self.life,
            };
            place.connect(index as u32, &self.reactor);
            self.places[index] = Some(place);
        }
        self.settle()
    }

    fn handle_event(&mut self, event: Event, buf: &mut [u8]) {
        let place = self.places.get_mut(event.token.index as usize);
        if let Some(place) = place.and_then(Option::as_mut)
            && place.life == event.token.life
        {
            place.handle_event(event, buf, self.now);
        }
    }

    /// Sends what is to be sent, and tells what is found out.
    fn settle(&mut self) -> io::Result<()> {
        for index in 0..self.places.len() {
            let Some(place) = self.places[index].as_mut() else {
                continue;
            };
            place.send(self.now);
            if place.probe.finding().is_none() {
                continue;
            }
            if let Some(place) = self.places[index].take()
                && let Some(finding) = place.probe.finding()
            {
                self.tell(&place.config, finding)?;
            }
        }
        Ok(())
    }

    fn tell(&mut self, config: &SourceConfig, finding: &Finding) -> io::Result<()> {
        match finding.is_good() {
            true => self.good += 1,
            false => self.bad += 1,
        }
        let (server, word) = (config.server(), finding.word());
        let (remote, text) = (Escaped(&config.remote), finding.to_string());
        let text = OneLine(&text);
        let mut out = io::stdout();
        if !self.options.json {
            return writeln!(out, "{server} {remote} {word} {text}");
        }
        let (server, port) = (Quoted(server), config.port);
        let (remote, text) = (Quoted(remote), Quoted(text));
        write!(
            out,
            "{{\"box\":{server},\"port\":{port},\"remote_file\":{remote},\"answer\":\"{word}\",\"text\":{text}"
        )?;
        if let Finding::Version2 { size } = finding {
            write!(out, ",\"size\":{size}")?;
        }
        writeln!(out, "}}")
    }

    fn conclude(&self) -> io::Result<Outcome> {
        if !self.options.json {
            let all = Count(self.good + self.bad, "source");
            writeln!(
                io::stdout(),
                "{all}: {} could be followed, {} not",
                self.good,
                self.bad
            )?;
        }
        Ok(match self.bad {
            0 => Outcome::Good,
            _ => Outcome::Bad,
        })
    }
}

impl Place {
    /// Starts to connect; the outcome is an event, unless it fails at once.
    fn connect(&mut self, index: u32, reactor: &Reactor) {
        let token = Token {
            kind: 0,
            index,
            life: self.life,
        };
        let made = match self.address {
            None => Err(Closed::NoAddress),
            Some(address) => {
                let key = self.config.key.as_ref();
                let made = Connection::connect_to(address, key, token, reactor.registry());
                made.map_err(Closed::from)
            }
        };
        match made {
            Ok(connection) => self.connection = Some(connection),
            Err(closed) => self.probe.handle_closed(closed),
        }
    }

    fn handle_event(&mut self, event: Event, buf: &mut [u8], now: Mono) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        if event.writable {
            match connection.handle_writable() {
                Ok(false) => {}
                Ok(true) => self.probe.handle_connected(&self.config, now),
                Err(ended) => return self.probe.handle_closed(ended.into()),
            }
        }
        if !event.readable || !connection.is_made() {
            return;
        }
        let probe = &mut self.probe;
        // A server that says more than a refusal is not read to the end.
        let read = connection.read(buf, usize::MAX, &mut |input| {
            probe.handle_input(input);
            match probe.finding() {
                None => Continue(()),
                Some(_) => Break(()),
            }
        });
        if let Err(ended) = read {
            self.probe.handle_closed(ended.into());
        }
    }

    fn send(&mut self, now: Mono) {
        let Some(connection) = self.connection.as_mut().filter(|it| it.is_made()) else {
            return;
        };
        let sent = connection.send(&mut self.probe, Probe::output, |probe, len| {
            probe.consume_output(len, now);
        });
        if let Err(ended) = sent {
            self.probe.handle_closed(ended.into());
        }
    }
}
