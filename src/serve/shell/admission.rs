//! The admission of clients: how many there may be, in all and from each address, and whose turn it
//! is where something takes long.

use std::cmp::Reverse;
use std::net::{IpAddr, Ipv6Addr};

use crate::mutation::{self, Mutation};
use crate::reactor::ready::ReadyList;
use crate::serve::config::Config;

/// The places for clients that are taken.
#[derive(Default)]
pub struct ClientCounts {
    taken: usize,
    /// In order of addresses.
    homes: Vec<Home>,
    /// Counts the parts of what takes long.
    turn: u32,
}

/// An address, or a network, that has clients.
struct Home {
    ip: IpAddr,
    taken: usize,
    /// When something was done for one of them last.
    turn: u32,
}

/// Why a peer does not become a client.
#[derive(PartialEq, Eq, Debug)]
pub enum TurnedAway {
    /// The configuration does not name it.
    NotAllowed,
    /// There are as many clients as there may be.
    Full,
    /// From its address there are as many as there may be.
    FullForAddress,
}

impl ClientCounts {
    /// Whether a peer may become a client. `no_room`: not one more can be kept, whatever the
    /// configuration allows.
    pub fn admit(&self, ip: IpAddr, config: &Config, no_room: bool) -> Result<(), TurnedAway> {
        if !config.hosts.allows(&ip) {
            return Err(TurnedAway::NotAllowed);
        }
        if no_room || self.taken() >= config.max_clients {
            return Err(TurnedAway::Full);
        }
        if self.taken_by(ip) >= config.max_clients_per_ip {
            return Err(TurnedAway::FullForAddress);
        }
        Ok(())
    }

    /// All that are taken.
    pub fn taken(&self) -> usize {
        self.taken
    }

    /// Those that are taken by one address, with those near it that are one's own to choose.
    pub fn taken_by(&self, ip: IpAddr) -> usize {
        self.home_of(ip).map_or(0, |home| home.taken)
    }

    /// One more is taken.
    pub fn take(&mut self, ip: IpAddr) {
        self.taken += 1;
        match self.place_of(ip) {
            Ok(at) => self.homes[at].taken += 1,
            // Its turn comes after those who wait already, or who came back would always be first.
            Err(at) => self.homes.insert(
                at,
                Home {
                    ip: home(ip),
                    taken: 1,
                    turn: self.turn,
                },
            ),
        }
    }

    /// One is free again.
    pub fn free(&mut self, ip: IpAddr) {
        let Ok(at) = self.place_of(ip) else {
            return;
        };
        self.taken -= 1;
        self.homes[at].taken -= 1;
        if self.homes[at].taken == 0 {
            self.homes.remove(at);
        }
    }

    /// Whose turn it is of those who stand in a line: of the address that has waited longest, the
    /// first who `comes_first` among its own, or else the first. However many clients an address
    /// has, and whatever they ask, no other waits for more than one part of that.
    pub fn next_of(
        &mut self,
        line: &ReadyList,
        peer_of: &dyn Fn(u32) -> Option<IpAddr>,
        comes_first: &dyn Fn(u32) -> bool,
    ) -> Option<u32> {
        let waited = |index: &u32| {
            let home = peer_of(*index).and_then(|ip| self.home_of(ip));
            // How long ago, so that it does not matter when the count begins anew. An address that
            // has no place, but a question, comes last.
            let waited = home.map_or(0, |home| self.turn.wrapping_sub(home.turn));
            (waited, comes_first(*index))
        };
        let next = match mutation::is_on(Mutation::AddressesIgnored) {
            true => line.iter().next()?,
            // Of those who have waited equally long the first in the line.
            false => line.iter().min_by_key(|index| Reverse(waited(index)))?,
        };
        if let Some(ip) = peer_of(next) {
            self.begin_turn(ip);
        }
        Some(next)
    }

    fn begin_turn(&mut self, ip: IpAddr) {
        self.turn = self.turn.wrapping_add(1);
        if let Ok(at) = self.place_of(ip) {
            self.homes[at].turn = self.turn;
        }
    }

    fn home_of(&self, ip: IpAddr) -> Option<&Home> {
        self.place_of(ip).ok().and_then(|at| self.homes.get(at))
    }

    fn place_of(&self, ip: IpAddr) -> Result<usize, usize> {
        let ip = home(ip);
        self.homes.binary_search_by(|home| home.ip.cmp(&ip))
    }
}

/// What an address counts as: whoever has one of IPv6 has the 2^64 of its network (RFC 4291,
/// 2.5.1) as well.
#[inline(never)]
pub fn home(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
    }
}

impl TurnedAway {
    /// The reason, as it is told to the peer and in the server's own log.
    pub fn why(&self) -> &'static str {
        match self {
            TurnedAway::NotAllowed => "is not in %hosts_allow",
            TurnedAway::Full => "there are $max_clients clients already",
            TurnedAway::FullForAddress => "has $max_clients_per_ip connections already",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::net::Ipv4Addr;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::mutation::with;

    #[test]
    fn places_are_counted_by_address_and_nothing_stays() {
        let [a, b] = [1, 2].map(|n| IpAddr::V4(Ipv4Addr::new(10, 0, 0, n)));
        let mut counts = ClientCounts::default();
        for ip in [a, b, a] {
            counts.take(ip);
        }
        assert_eq!(
            (counts.taken(), counts.taken_by(a), counts.taken_by(b)),
            (3, 2, 1)
        );
        for ip in [a, a, a, b] {
            counts.free(ip);
        }
        assert_eq!((counts.taken(), counts.taken_by(a)), (0, 0));
        assert!(counts.homes.is_empty());
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_address() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let mut counts = ClientCounts::default();
        for n in 0..9 {
            counts.take(ip(&format!("2001:db8:0:1:{n}::{n}")));
        }
        assert_eq!(counts.taken_by(ip("2001:db8:0:1::ffff")), 9);
        assert_eq!(counts.taken_by(ip("2001:db8:0:2::")), 0);
        counts.free(ip("2001:db8:0:1::"));
        assert_eq!(counts.taken_by(ip("2001:db8:0:1::")), 8);
    }

    /// Addresses with clients, each of which has so many parts to be done.
    struct Waiting {
        counts: ClientCounts,
        line: ReadyList,
        /// By client: its address, and the parts left.
        clients: Vec<(IpAddr, u32)>,
        /// By address: how many parts others had since it waits.
        waited: BTreeMap<IpAddr, usize>,
    }

    impl Waiting {
        fn new(parts: &[(u8, u32)]) -> Waiting {
            let ip = |n: u8| IpAddr::V4(Ipv4Addr::new(10, 0, 0, n));
            let clients: Vec<_> = parts.iter().map(|(n, parts)| (ip(*n), *parts)).collect();
            let mut counts = ClientCounts::default();
            let mut line = ReadyList::new();
            for (index, (ip, _)) in (0..).zip(&clients) {
                counts.take(*ip);
                line.push(index);
            }
            Waiting {
                counts,
                line,
                clients,
                waited: BTreeMap::new(),
            }
        }

        /// One part, of whoever is next. Asserts that no address waits for more than one part of
        /// each other.
        fn part(&mut self, takes_turns: bool) -> bool {
            let clients = &self.clients;
            let peer_of = |index: u32| clients.get(index as usize).map(|client| client.0);
            let waiting: BTreeSet<IpAddr> = self.line.iter().filter_map(peer_of).collect();
            let Some(index) = self.counts.next_of(&self.line, &peer_of, &|_| false) else {
                return false;
            };
            let ip = peer_of(index).unwrap();
            for other in &waiting {
                let waited = self.waited.entry(*other).or_default();
                *waited = if *other == ip { 0 } else { *waited + 1 };
                let most = self.counts.homes.len();
                assert!(*waited < most, "{other} waits for {waited} parts");
            }
            let left = &mut self.clients[index as usize].1;
            *left -= 1;
            if takes_turns || *left == 0 {
                self.line.remove(index);
            }
            if *left > 0 {
                self.line.push(index);
            }
            true
        }
    }

    /// One that asks for little, two that ask for much, and one with 31 clients.
    fn crowd() -> Waiting {
        let mut parts = vec![(1, 40), (2, 500), (3, 500)];
        parts.extend([(4, 1_000); 31]);
        parts.reverse();
        Waiting::new(&parts)
    }

    #[test]
    fn no_address_waits_for_more_than_a_part_of_each_other() {
        for takes_turns in [true, false] {
            let mut crowd = crowd();
            // The count begins anew in between.
            crowd.counts.turn = u32::MAX - 100;
            for home in &mut crowd.counts.homes {
                home.turn = u32::MAX - 100;
            }
            let mut parts = 0;
            while crowd.part(takes_turns) {
                parts += 1;
            }
            assert_eq!(parts, 40 + 500 + 500 + 31_000);
        }
    }

    #[test]
    fn that_one_address_has_all_turns_is_found() {
        let play = || {
            let mut crowd = crowd();
            while crowd.part(true) {}
        };
        let planted = || with(Mutation::AddressesIgnored, play);
        let panic = catch_unwind(AssertUnwindSafe(planted)).expect_err("a complaint");
        let complaint = panic.downcast::<String>().unwrap();
        assert!(complaint.contains("waits for"), "{complaint}");
    }

    #[test]
    fn who_comes_back_again_and_again_is_not_always_first() {
        let [a, b] = [1, 2].map(|n| IpAddr::V4(Ipv4Addr::new(10, 0, 0, n)));
        let mut counts = ClientCounts::default();
        counts.take(b);
        let mut line = ReadyList::new();
        line.push(0);
        line.push(1);
        let peer_of = |index: u32| Some([a, b][index as usize]);
        for _ in 0..3 {
            counts.take(a);
            counts.begin_turn(a);
            counts.free(a);
            counts.take(a);
            let again = counts.homes.iter().map(|home| (home.ip, home.turn));
            let again: Vec<_> = again.collect();
            assert_eq!(
                counts.next_of(&line, &peer_of, &|_| false),
                Some(1),
                "{again:?}"
            );
            counts.begin_turn(a);
            counts.free(a);
        }
    }
}
