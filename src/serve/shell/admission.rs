//! How many clients there are, in all and from each address.

use std::net::IpAddr;

/// The places for clients that are taken.
#[derive(Default)]
pub struct ClientCounts {
    taken: usize,
    /// In order.
    by_address: Vec<(IpAddr, usize)>,
}

impl ClientCounts {
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
