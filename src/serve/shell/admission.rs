//! The admission of clients: how many there may be, in all and from each address, and whose turn it
//! is to be searched for.

use std::net::{IpAddr, Ipv6Addr};

use crate::serve::config::Config;

/// The places for clients that are taken.
#[derive(Default)]
pub struct ClientCounts {
    taken: usize,
    /// In order of addresses.
    homes: Vec<Home>,
    /// Counts the parts of searches.
    turn: u32,
}

/// An address, or a network, that has clients.
struct Home {
    ip: IpAddr,
    taken: usize,
    /// When something was searched for one of them last.
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

    /// When something was searched for an address last: who has the smallest number is next.
    pub fn turn_of(&self, ip: IpAddr) -> u32 {
        self.home_of(ip).map_or(0, |home| home.turn)
    }

    /// Something is searched for an address.
    pub fn begin_turn(&mut self, ip: IpAddr) {
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
    use std::net::Ipv4Addr;

    use super::*;

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

    #[test]
    fn who_comes_back_again_and_again_is_not_always_first() {
        let [a, b] = [1, 2].map(|n| IpAddr::V4(Ipv4Addr::new(10, 0, 0, n)));
        let mut counts = ClientCounts::default();
        counts.take(b);
        for _ in 0..3 {
            counts.take(a);
            counts.begin_turn(a);
            counts.free(a);
            counts.take(a);
            assert!(counts.turn_of(b) < counts.turn_of(a));
            counts.free(a);
        }
    }
}
