//! The addresses of host names. Copies of this process ask for them, so that the loop waits for no
//! name server.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, SocketAddrV6, ToSocketAddrs};

use mio::unix::pipe::{self, Receiver, Sender};
use mio::{Interest, Registry};

use crate::backoff::Backoff;
use crate::collect::config::{Address, SourceConfig};
use crate::limits::{LOOKUP_DOUBT_MS, LOOKUP_NEWS_MS, LOOKUPS_MAX};
use crate::random::Random;
use crate::reactor::token::Token;
use crate::sys::fork::Worker;
use crate::time::Mono;

/// The host names of a configuration, and what is known of them.
#[derive(Default)]
pub struct Resolver {
    /// In order, each once.
    names: Vec<Name>,
    asking: Vec<Option<Lookups>>,
    /// Counts the rounds, so that an event of an old one is not taken for one of the new.
    round: u16,
    backoff: Backoff,
    again_at: Option<Mono>,
    news_at: Option<Mono>,
}

/// One host name.
struct Name {
    text: Box<str>,
    /// Empty if it has none; `None` while it is looked up for the first time.
    addresses: Option<Vec<SocketAddr>>,
    /// Nobody could be reached there: its addresses may be others by now.
    is_doubted: bool,
}

/// Which names are to be looked up.
#[derive(Clone, Copy)]
pub enum Wanted {
    /// Every one: it may have moved.
    All,
    /// Those without an address, and those that are doubted.
    Missing,
}

impl Wanted {
    fn is(self, name: &Name) -> bool {
        match self {
            Wanted::All => true,
            Wanted::Missing => name.is_doubted || name.addresses.as_ref().is_none_or(Vec::is_empty),
        }
    }
}

/// A copy of this process that looks names up.
struct Lookups {
    answers: Receiver,
    _aside: Worker,
}

impl Resolver {
    /// The names of these sources from now on. What is known of them stays known.
    pub fn keep<'a>(&mut self, sources: impl Iterator<Item = &'a SourceConfig>) {
        let mut before = std::mem::take(self);
        self.round = before.round;
        for source in sources {
            let Address::Name(text) = &source.address else {
                continue;
            };
            if let Err(at) = self.find(text) {
                let known = before.find(text).ok();
                let known = known.and_then(|old| before.names[old].addresses.take());
                let name = Name {
                    text: text.clone(),
                    addresses: known,
                    is_doubted: false,
                };
                self.names.insert(at, name);
            }
        }
    }

    /// Where the server of a source may be, one address after the other; `None` as long as its name
    /// is looked up for the first time.
    pub fn addresses_of(&self, source: &SourceConfig) -> Option<Vec<SocketAddr>> {
        let found = match &source.address {
            Address::Ip(ip) => &[SocketAddr::new(*ip, 0)][..],
            Address::Name(text) => self.names[self.find(text).ok()?].addresses.as_ref()?,
        };
        Some(at_port(found, source.port))
    }

    /// Nobody could be reached at an address of this source. If it has that by a name, it is looked
    /// up again soon: the box may have another by now.
    pub fn doubt(&mut self, source: &SourceConfig, now: Mono) {
        let Address::Name(text) = &source.address else {
            return;
        };
        if let Ok(at) = self.find(text) {
            self.names[at].is_doubted = true;
            if self.is_at_rest() {
                let soon = now.plus_ms(LOOKUP_DOUBT_MS);
                self.again_at = Some(self.again_at.map_or(soon, |at| at.min(soon)));
            }
        }
    }

    fn is_at_rest(&self) -> bool {
        self.asking.iter().all(Option::is_none)
    }

    /// When [`ask`](Self::ask) has something to do again.
    pub fn wants_to_ask(&self, now: Mono) -> bool {
        self.again_at.is_some_and(|at| at <= now)
    }

    /// Has all names looked up, or those without an address. They are spread over some copies of
    /// this process, so that one whose server does not answer holds up few others.
    pub fn ask(&mut self, wanted: Wanted, registry: &Registry, retry: Retry<'_>) -> io::Result<()> {
        self.again_at = None;
        self.asking.clear();
        self.round = (self.round + 1) & Token::LIFE_MAX;
        let count = self.names.iter().filter(|name| wanted.is(name)).count();
        let mut started = Ok(());
        for index in 0..count.min(LOOKUPS_MAX) {
            let token = Token {
                kind: super::NAMES,
                index: index as u32,
                life: self.round,
            };
            match Lookups::start(registry, token, &self.names, wanted) {
                Ok(asking) => self.asking.push(Some(asking)),
                Err(error) => started = Err(error),
            }
        }
        for name in self.names.iter_mut().filter(|name| wanted.is(name)) {
            name.is_doubted = false;
        }
        if count > 0 {
            self.settle(retry);
        }
        started
    }

    /// One of the copies has something to tell, or has ended.
    pub fn handle_readable(&mut self, token: Token, retry: Retry<'_>, buf: &mut [u8]) {
        let place = self.asking.get_mut(token.index as usize);
        let Some(place) = place.filter(|_| token.life == self.round) else {
            return;
        };
        let Some(asking) = place else { return };
        let goes_on = asking.read(&mut self.names, buf);
        if !goes_on {
            *place = None;
        }
        let soon = retry.now.plus_ms(LOOKUP_NEWS_MS);
        self.news_at = self.news_at.or(Some(soon));
        self.settle(retry);
    }

    /// After the last answer: what was not found now is not found, and is looked up again some time
    /// later.
    fn settle(&mut self, retry: Retry<'_>) {
        if !self.is_at_rest() {
            return;
        }
        self.news_at = Some(retry.now);
        let mut all = true;
        for name in &mut self.names {
            all &= !name.addresses.get_or_insert_default().is_empty() && !name.is_doubted;
        }
        if all {
            return self.backoff.reset();
        }
        let wait_ms = self.backoff.after_failure_ms(retry.retry_ms, retry.random);
        self.again_at = Some(retry.now.plus_ms(wait_ms));
    }

    /// When [`ask`](Self::ask) or [`take_news`](Self::take_news) has something to do.
    pub fn poll_timeout(&self) -> Option<Mono> {
        [self.again_at, self.news_at].into_iter().flatten().min()
    }

    /// Whether something has become known that nobody was told yet. Answers are gathered for a
    /// moment, so that not each one takes a walk over all sources.
    pub fn take_news(&mut self, now: Mono) -> bool {
        self.news_at.take_if(|at| *at <= now).is_some()
    }

    /// The place of a name among the others, or the one that it would have.
    fn find(&self, text: &str) -> Result<usize, usize> {
        self.names.binary_search_by(|name| (*name.text).cmp(text))
    }
}

/// What decides when a failed lookup is tried again.
pub struct Retry<'a> {
    /// The time of this turn.
    pub now: Mono,
    /// The wait after a first failure; it grows with further ones.
    pub retry_ms: u64,
    /// What spreads the waits.
    pub random: &'a mut Random,
}

/// The addresses of a source, found now, which may take a while.
pub fn look_up(source: &SourceConfig) -> Vec<SocketAddr> {
    match &source.address {
        Address::Ip(ip) => vec![SocketAddr::new(*ip, source.port)],
        Address::Name(text) => at_port(&ask_for(text), source.port),
    }
}

impl Lookups {
    fn start(
        registry: &Registry,
        token: Token,
        names: &[Name],
        wanted: Wanted,
    ) -> io::Result<Lookups> {
        let (mut sender, mut answers) = pipe::new()?;
        registry.register(&mut answers, token.pack(), Interest::READABLE)?;
        let fd = std::os::fd::AsRawFd::as_raw_fd(&sender);
        let aside = Worker::start(&fd, || {
            // Whoever does not want to hear it has ended; then there is nobody to tell that to.
            let _ = tell(&mut sender, names, wanted, token.index as usize);
        });
        Ok(Lookups {
            answers,
            _aside: aside?,
        })
    }

    /// Reads and learns what has come. Tells whether there will be more.
    fn read(&mut self, names: &mut [Name], buf: &mut [u8]) -> bool {
        // Answers are written as a whole, so none is ever cut where whole ones have room.
        let room = buf.len() - buf.len() % Answer::LEN;
        loop {
            match self.answers.read(&mut buf[..room]) {
                Ok(0) => return false,
                Ok(len) => {
                    for bytes in buf[..len].as_chunks().0 {
                        Answer::unpack(bytes).teach(names);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
    }
}

/// One address of a name, or that it has none.
struct Answer {
    /// The name's place among all.
    at: u32,
    is_first: bool,
    /// Without a port. An address with a zone has its number.
    found: Option<SocketAddr>,
}

impl Answer {
    /// Bytes between the two processes.
    const LEN: usize = 26;

    fn pack(&self) -> [u8; Answer::LEN] {
        let mut bytes = [0; Answer::LEN];
        bytes[..4].copy_from_slice(&self.at.to_ne_bytes());
        bytes[4] = self.is_first.into();
        if let Some(found) = self.found {
            bytes[5] = 1;
            let (ip, zone) = match found {
                SocketAddr::V4(found) => (found.ip().to_ipv6_mapped(), 0),
                SocketAddr::V6(found) => (*found.ip(), found.scope_id()),
            };
            bytes[6..22].copy_from_slice(&ip.octets());
            bytes[22..].copy_from_slice(&zone.to_ne_bytes());
        }
        bytes
    }

    fn unpack(bytes: &[u8; Answer::LEN]) -> Answer {
        let [a, b, c, d, is_first, has_one, rest @ ..] = *bytes;
        let (ip, zone) = (rest.first_chunk::<16>(), rest.last_chunk::<4>());
        let found = ip.zip(zone).filter(|_| has_one != 0);
        Answer {
            at: u32::from_ne_bytes([a, b, c, d]),
            is_first: is_first != 0,
            found: found.map(|(ip, zone)| {
                let zone = u32::from_ne_bytes(*zone);
                canonical(SocketAddrV6::new((*ip).into(), 0, 0, zone).into())
            }),
        }
    }

    fn teach(&self, names: &mut [Name]) {
        let Some(name) = names.get_mut(self.at as usize) else {
            return;
        };
        let addresses = name.addresses.get_or_insert_default();
        // One that had an address may be looked up in vain for a while; it keeps what it had.
        let Some(found) = self.found else { return };
        if self.is_first {
            addresses.clear();
        }
        addresses.push(found);
    }
}

/// Looks one share of the names up and writes what is found, or that nothing is.
fn tell(sender: &mut Sender, names: &[Name], wanted: Wanted, share: usize) -> io::Result<()> {
    sender.set_nonblocking(false)?;
    let names = (0..).zip(names).filter(|(_, name)| wanted.is(name));
    for (at, name) in names.skip(share).step_by(LOOKUPS_MAX) {
        let mut answer = Answer {
            at,
            is_first: true,
            found: None,
        };
        for found in ask_for(&name.text) {
            answer.found = Some(found);
            sender.write_all(&answer.pack())?;
            answer.is_first = false;
        }
        if answer.found.is_none() {
            sender.write_all(&answer.pack())?;
        }
    }
    Ok(())
}

fn ask_for(text: &str) -> Vec<SocketAddr> {
    let found = (text, 0).to_socket_addrs();
    found.map_or_else(|_| Vec::new(), |found| found.map(canonical).collect())
}

/// The same, as IPv4 if it is that in the clothes of IPv6.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V6(it) if it.scope_id() == 0 => {
            SocketAddr::new(it.ip().to_canonical(), it.port())
        }
        other => other,
    }
}

fn at_port(found: &[SocketAddr], port: u16) -> Vec<SocketAddr> {
    let mut found = found.to_vec();
    found.iter_mut().for_each(|address| address.set_port(port));
    found
}

#[cfg(test)]
mod tests {
    use mio::Poll;

    use super::*;
    use crate::collect::config::Config;
    use crate::sys::testing::alone;

    fn sources(names: &[&str]) -> Vec<SourceConfig> {
        let line = |name: &&str| format!("{name} 19 /m /l/{name} /p/{name}\n");
        let text: String = names.iter().map(line).collect();
        Config::parse(text.as_bytes()).unwrap().sources
    }

    /// Names with addresses, and one round of lookups in a loop of its own.
    struct Rig {
        poll: Poll,
        random: Random,
        names: Resolver,
    }

    impl Rig {
        fn of(sources: &[SourceConfig]) -> Rig {
            let mut names = Resolver::default();
            names.keep(sources.iter());
            Rig {
                poll: Poll::new().unwrap(),
                random: Random::new(1),
                names,
            }
        }

        /// The answers that a copy would have given.
        fn hear(&mut self, answers: &[(u32, &[&str])]) {
            let (mut sender, receiver) = pipe::new().unwrap();
            for (at, found) in answers {
                let at_no_port = |ip: &&str| SocketAddr::new(ip.parse().unwrap(), 0);
                let found: Vec<_> = found.iter().map(at_no_port).map(Some).collect();
                let found = if found.is_empty() { vec![None] } else { found };
                for (place, found) in found.into_iter().enumerate() {
                    let answer = Answer {
                        at: *at,
                        is_first: place == 0,
                        found,
                    };
                    sender.write_all(&answer.pack()).unwrap();
                }
            }
            drop(sender);
            let mut asking = Lookups {
                answers: receiver,
                _aside: Worker::start(&-1, || ()).unwrap(),
            };
            assert!(!asking.read(&mut self.names.names, &mut [0; 30]));
            self.names.settle(retry(5, &mut self.random));
        }
    }

    fn retry(now_ms: u64, random: &mut Random) -> Retry<'_> {
        Retry {
            now: Mono::from_ms(now_ms),
            retry_ms: 1000,
            random,
        }
    }

    fn at(ip: [u8; 4]) -> SocketAddr {
        SocketAddr::from((ip, 19))
    }

    #[test]
    fn numbers_are_known_and_names_only_after_an_answer() {
        let _alone = alone();
        let sources = sources(&["10.0.0.1", "b.test", "a.test", "b.test."]);
        let mut rig = Rig::of(&sources);
        let known = |names: &Resolver| -> Vec<_> {
            let known = sources.iter().map(|source| names.addresses_of(source));
            known.collect()
        };
        assert_eq!(
            known(&rig.names),
            [Some(vec![at([10, 0, 0, 1])]), None, None, None]
        );
        assert!(!rig.names.take_news(Mono::from_ms(5)));
        rig.hear(&[(1, &["10.0.0.2", "::1"]), (0, &[]), (7, &["10.0.0.9"])]);
        assert!(rig.names.take_news(Mono::from_ms(5)));
        assert!(!rig.names.take_news(Mono::from_ms(5)));
        let both = vec![at([10, 0, 0, 2]), "[::1]:19".parse().unwrap()];
        // No answer counts as one that there is none.
        assert_eq!(
            known(&rig.names)[1..],
            [Some(both), Some(vec![]), Some(vec![])]
        );
    }

    #[test]
    fn what_is_known_stays_known_in_a_new_configuration_and_after_a_vain_lookup() {
        let _alone = alone();
        let mut rig = Rig::of(&sources(&["a.test", "b.test"]));
        rig.hear(&[(0, &["10.0.0.1"]), (1, &["10.0.0.2"])]);
        assert_eq!(rig.names.poll_timeout(), Some(Mono::from_ms(5)));
        let later = sources(&["b.test", "c.test"]);
        rig.names.keep(later.iter());
        assert_eq!(
            rig.names.addresses_of(&later[0]),
            Some(vec![at([10, 0, 0, 2])])
        );
        assert_eq!(rig.names.addresses_of(&later[1]), None);
        rig.hear(&[(0, &[]), (1, &["10.0.0.3"])]);
        assert_eq!(
            rig.names.addresses_of(&later[0]),
            Some(vec![at([10, 0, 0, 2])])
        );
        assert_eq!(
            rig.names.addresses_of(&later[1]),
            Some(vec![at([10, 0, 0, 3])])
        );
    }

    #[test]
    fn what_was_not_found_is_looked_up_again_ever_more_seldom() {
        let _alone = alone();
        let mut rig = Rig::of(&sources(&["localhost"]));
        let registry = rig.poll.registry().try_clone().unwrap();
        rig.hear(&[(0, &[])]);
        assert!(rig.names.take_news(Mono::from_ms(5)));
        let first = rig.names.poll_timeout().unwrap();
        assert!((755..=1255).contains(&first.ms()), "{first:?}");
        assert!(!rig.names.wants_to_ask(Mono::from_ms(first.ms() - 1)));
        assert!(rig.names.wants_to_ask(first));
        let at_first = retry(first.ms(), &mut rig.random);
        let asked = rig.names.ask(Wanted::Missing, &registry, at_first);
        asked.unwrap();
        assert_eq!(rig.names.asking.len(), 1);
        assert_eq!(rig.names.poll_timeout(), None);
        rig.names.asking.clear();
        rig.hear(&[(0, &[])]);
        assert!(rig.names.take_news(Mono::from_ms(5)));
        let second = rig.names.poll_timeout().unwrap();
        assert!((1505..=2505).contains(&second.ms()), "{second:?}");
    }

    #[test]
    fn a_zone_is_told_with_its_address() {
        for (address, zone) in [("fe80::1", 3), ("::ffff:10.0.0.1", 0), ("2001:db8::1", 0)] {
            let found = SocketAddrV6::new(address.parse().unwrap(), 0, 0, zone);
            let answer = Answer {
                at: 7,
                is_first: true,
                found: Some(canonical(found.into())),
            };
            let read = Answer::unpack(&answer.pack());
            assert_eq!((read.at, read.found), (7, answer.found));
        }
        // Every system has that interface.
        let found = ask_for("fe80::1%lo");
        let is_zoned = |it: &SocketAddr| matches!(it, SocketAddr::V6(it) if it.scope_id() > 0);
        assert!(found.iter().all(is_zoned), "{found:?}");
    }
}
