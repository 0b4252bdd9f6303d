//! The addresses of host names. Copies of this process ask for them, so that the loop waits for no name server.

use std::fmt::Write as _;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use mio::unix::pipe::{self, Receiver, Sender};
use mio::{Interest, Registry};

use crate::collect::backoff::{Backoff, Random};
use crate::collect::config::{Address, SourceConfig};
use crate::limits::{LOOKUP_NEWS_MS, LOOKUPS_MAX};
use crate::reactor::token::Token;
use crate::sys::aside::Aside;
use crate::time::Mono;

/// The host names of a configuration, and what is known of them.
#[derive(Default)]
pub struct Names {
    /// In order, each once.
    names: Vec<Name>,
    asking: Vec<Option<Asking>>,
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
    addresses: Option<Vec<IpAddr>>,
}

/// A copy of this process that looks names up.
struct Asking {
    answers: Receiver,
    /// The start of a line whose end has not come yet.
    text: Vec<u8>,
    _aside: Aside,
}

impl Names {
    /// The names of these sources from now on. What is known of them stays known.
    pub fn keep(&mut self, sources: &[SourceConfig]) {
        let mut texts: Vec<&str> = sources.iter().filter_map(name_of).collect();
        texts.sort_unstable();
        texts.dedup();
        let names = texts.into_iter().map(|text| Name {
            text: text.into(),
            addresses: self.get(text).and_then(|name| name.addresses.clone()),
        });
        self.names = names.collect();
        self.asking.clear();
    }

    /// Where the server of a source may be, one address after the other; `None` as long as its name is looked up for
    /// the first time.
    pub fn addresses_of(&self, source: &SourceConfig) -> Option<Vec<SocketAddr>> {
        let found = match &source.address {
            Address::Ip(ip) => &[*ip][..],
            Address::Name(text) => self.get(text)?.addresses.as_ref()?,
        };
        Some(at_port(found, source.port))
    }

    /// Has all names looked up.
    pub fn ask_for_all(&mut self, registry: &Registry, pace: Pace<'_>) -> io::Result<()> {
        self.backoff.reset();
        self.ask(registry, pace, |_| true)
    }

    /// Has those looked up again that have no address, if it is time to.
    pub fn ask_again(&mut self, registry: &Registry, pace: Pace<'_>) -> io::Result<()> {
        match self.again_at.is_some_and(|at| at <= pace.now) {
            true => self.ask(registry, pace, |name| {
                name.addresses.as_ref().is_none_or(Vec::is_empty)
            }),
            false => Ok(()),
        }
    }

    /// Spreads the names over some copies, so that one whose server does not answer holds up few others.
    fn ask(
        &mut self,
        registry: &Registry,
        pace: Pace<'_>,
        wanted: impl Fn(&Name) -> bool,
    ) -> io::Result<()> {
        self.again_at = None;
        self.asking.clear();
        self.round = (self.round + 1) & Token::GENERATION_MAX;
        let all = (0..self.names.len()).filter(|&at| wanted(&self.names[at]));
        let all: Vec<usize> = all.collect();
        let mut started = Ok(());
        for index in 0..all.len().min(LOOKUPS_MAX) {
            let token = Token {
                kind: super::NAMES,
                index: index as u32,
                generation: self.round,
            };
            let share = all.iter().skip(index).step_by(LOOKUPS_MAX);
            match Asking::start(registry, token, &self.names, share.copied()) {
                Ok(asking) => self.asking.push(Some(asking)),
                Err(error) => started = Err(error),
            }
        }
        if !all.is_empty() {
            self.settle(pace);
        }
        started
    }

    /// One of the copies has something to tell, or has ended.
    pub fn handle_readable(&mut self, token: Token, pace: Pace<'_>, buf: &mut [u8]) {
        let place = self.asking.get_mut(token.index as usize);
        let Some(place) = place.filter(|_| token.generation == self.round) else {
            return;
        };
        let Some(asking) = place else { return };
        let goes_on = asking.read(&mut self.names, buf);
        if !goes_on {
            *place = None;
        }
        let soon = pace.now.plus_ms(LOOKUP_NEWS_MS);
        self.news_at = self.news_at.or(Some(soon));
        self.settle(pace);
    }

    /// After the last answer: what was not found now is not found, and is looked up again some time later.
    fn settle(&mut self, pace: Pace<'_>) {
        if self.asking.iter().any(Option::is_some) {
            return;
        }
        self.news_at = Some(pace.now);
        let mut all = true;
        for name in &mut self.names {
            all &= !name.addresses.get_or_insert_default().is_empty();
        }
        if all {
            return self.backoff.reset();
        }
        let wait_ms = self.backoff.after_failure_ms(pace.retry_ms, pace.random);
        self.again_at = Some(pace.now.plus_ms(wait_ms));
    }

    /// When [`ask_again`](Self::ask_again) or [`take_news`](Self::take_news) has something to do.
    pub fn poll_timeout(&self) -> Option<Mono> {
        [self.again_at, self.news_at].into_iter().flatten().min()
    }

    /// Whether something has become known that nobody was told yet. Answers are gathered for a moment, so that not each
    /// one takes a walk over all sources.
    pub fn take_news(&mut self, now: Mono) -> bool {
        self.news_at.take_if(|at| *at <= now).is_some()
    }

    fn get(&self, text: &str) -> Option<&Name> {
        let found = self.names.binary_search_by(|name| (*name.text).cmp(text));
        found.ok().and_then(|at| self.names.get(at))
    }
}

/// What decides when a failed lookup is tried again.
pub struct Pace<'a> {
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
        Address::Ip(ip) => at_port(&[*ip], source.port),
        Address::Name(text) => at_port(&ask_for(text), source.port),
    }
}

impl Asking {
    fn start(
        registry: &Registry,
        token: Token,
        names: &[Name],
        share: impl Iterator<Item = usize>,
    ) -> io::Result<Asking> {
        let (mut sender, mut answers) = pipe::new()?;
        registry.register(&mut answers, token.pack(), Interest::READABLE)?;
        let fd = std::os::fd::AsRawFd::as_raw_fd(&sender);
        let aside = Aside::start(&fd, || {
            // Whoever does not want to hear it has ended; then there is nobody to tell that to.
            let _ = tell(&mut sender, names, share);
        });
        Ok(Asking {
            answers,
            text: Vec::new(),
            _aside: aside?,
        })
    }

    /// Reads and learns what has come. Tells whether there will be more.
    fn read(&mut self, names: &mut [Name], buf: &mut [u8]) -> bool {
        loop {
            match self.answers.read(buf) {
                Ok(0) => return false,
                Ok(len) => {
                    self.text.extend_from_slice(&buf[..len]);
                    self.learn(names);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
    }

    fn learn(&mut self, names: &mut [Name]) {
        let Some(last) = self.text.iter().rposition(|byte| *byte == b'\n') else {
            return;
        };
        let lines = String::from_utf8_lossy(&self.text[..last]);
        for (at, found) in lines.lines().filter_map(parse_answer) {
            if let Some(name) = names.get_mut(at) {
                let old = name.addresses.get_or_insert_default();
                // One that had an address may be looked up in vain for a while; it keeps what it had.
                if !found.is_empty() {
                    *old = found;
                }
            }
        }
        self.text.drain(..=last);
    }
}

/// Looks names up and writes a line for each: its place among all names and its addresses, a blank between two.
fn tell(sender: &mut Sender, names: &[Name], share: impl Iterator<Item = usize>) -> io::Result<()> {
    sender.set_nonblocking(false)?;
    for at in share {
        let mut line = at.to_string();
        for ip in ask_for(&names[at].text) {
            let _ = write!(line, " {ip}");
        }
        line.push('\n');
        sender.write_all(line.as_bytes())?;
    }
    Ok(())
}

fn parse_answer(line: &str) -> Option<(usize, Vec<IpAddr>)> {
    let mut words = line.split(' ');
    let at = words.next()?.parse().ok()?;
    Some((at, words.filter_map(|word| word.parse().ok()).collect()))
}

fn ask_for(text: &str) -> Vec<IpAddr> {
    let found = (text, 0).to_socket_addrs();
    found.map_or_else(
        |_| Vec::new(),
        |found| found.map(|address| address.ip().to_canonical()).collect(),
    )
}

fn at_port(found: &[IpAddr], port: u16) -> Vec<SocketAddr> {
    found.iter().map(|ip| SocketAddr::new(*ip, port)).collect()
}

fn name_of(source: &SourceConfig) -> Option<&str> {
    match &source.address {
        Address::Ip(_) => None,
        Address::Name(text) => Some(text),
    }
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
        names: Names,
    }

    impl Rig {
        fn of(sources: &[SourceConfig]) -> Rig {
            let mut names = Names::default();
            names.keep(sources);
            Rig {
                poll: Poll::new().unwrap(),
                random: Random::new(1),
                names,
            }
        }

        /// The answers that a copy would have given.
        fn hear(&mut self, answers: &str) {
            let (mut sender, receiver) = pipe::new().unwrap();
            sender.write_all(answers.as_bytes()).unwrap();
            drop(sender);
            let mut asking = Asking {
                answers: receiver,
                text: Vec::new(),
                _aside: Aside::start(&-1, || ()).unwrap(),
            };
            assert!(!asking.read(&mut self.names.names, &mut [0; 7]));
            self.names.settle(pace(5, &mut self.random));
        }
    }

    fn pace(now_ms: u64, random: &mut Random) -> Pace<'_> {
        Pace {
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
        let known = |names: &Names| -> Vec<_> {
            let known = sources.iter().map(|source| names.addresses_of(source));
            known.collect()
        };
        assert_eq!(
            known(&rig.names),
            [Some(vec![at([10, 0, 0, 1])]), None, None, None]
        );
        assert!(!rig.names.take_news(Mono::from_ms(5)));
        rig.hear("1 10.0.0.2 ::1\n0\nx 10.0.0.9\n7 10.0.0.9\n2 10.0.0.3");
        assert!(rig.names.take_news(Mono::from_ms(5)));
        assert!(!rig.names.take_news(Mono::from_ms(5)));
        let both = vec![at([10, 0, 0, 2]), "[::1]:19".parse().unwrap()];
        // An answer that was cut off counts as none.
        assert_eq!(
            known(&rig.names)[1..],
            [Some(both), Some(vec![]), Some(vec![])]
        );
    }

    #[test]
    fn what_is_known_stays_known_in_a_new_configuration_and_after_a_vain_lookup() {
        let _alone = alone();
        let mut rig = Rig::of(&sources(&["a.test", "b.test"]));
        rig.hear("0 10.0.0.1\n1 10.0.0.2\n");
        assert_eq!(rig.names.poll_timeout(), Some(Mono::from_ms(5)));
        let later = sources(&["b.test", "c.test"]);
        rig.names.keep(&later);
        assert_eq!(
            rig.names.addresses_of(&later[0]),
            Some(vec![at([10, 0, 0, 2])])
        );
        assert_eq!(rig.names.addresses_of(&later[1]), None);
        rig.hear("0\n1 10.0.0.3\n");
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
        rig.hear("0\n");
        assert!(rig.names.take_news(Mono::from_ms(5)));
        let first = rig.names.poll_timeout().unwrap();
        assert!((755..=1255).contains(&first.ms()), "{first:?}");
        let mut ask_at = |names: &mut Names, now_ms| {
            names
                .ask_again(&registry, pace(now_ms, &mut rig.random))
                .unwrap();
        };
        ask_at(&mut rig.names, first.ms() - 1);
        assert!(rig.names.asking.is_empty());
        ask_at(&mut rig.names, first.ms());
        assert_eq!(rig.names.asking.len(), 1);
        assert_eq!(rig.names.poll_timeout(), None);
        rig.names.asking.clear();
        rig.hear("0\n");
        assert!(rig.names.take_news(Mono::from_ms(5)));
        let second = rig.names.poll_timeout().unwrap();
        assert!((1505..=2505).contains(&second.ms()), "{second:?}");
    }
}
