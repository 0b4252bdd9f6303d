//! The admission of clients: how many there may be, in all and from each address.

use std::net::IpAddr;

use crate::serve::config::Config;

/// The places for clients that are taken.
#[derive(Default)]
pub struct ClientCounts {
    taken: usize,
    /// In order.
    by_address: Vec<(IpAddr, usize)>,
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

    /// Those that are taken by one address.
    pub fn taken_by(&self, ip: IpAddr) -> usize {
        self.place_of(ip).map_or(0, |at| self.by_address[at].1)
    }

    /// One more is taken.
    pub fn take(&mut self, ip: IpAddr) {
        self.taken += 1;
        match self.place_of(ip) {
            Ok(at) => self.by_address[at].1 += 1,
            Err(at) => self.by_address.insert(at, (ip, 1)),
        }
    }

    /// One is free again.
    pub fn free(&mut self, ip: IpAddr) {
        let Ok(at) = self.place_of(ip) else {
            return;
        };
        self.taken -= 1;
        self.by_address[at].1 -= 1;
        if self.by_address[at].1 == 0 {
            self.by_address.remove(at);
        }
    }

    fn place_of(&self, ip: IpAddr) -> Result<usize, usize> {
        self.by_address
            .binary_search_by(|(known, _)| known.cmp(&ip))
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
        assert!(counts.by_address.is_empty());
    }
}
