//! The peers that may connect: addresses and networks, each allowed or not. Pure: an address in, an
//! answer out.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The peers that are served. An empty set serves nobody.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Hosts {
    rules: Vec<Rule>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Rule {
    network: Network,
    allowed: bool,
}

impl Hosts {
    /// Allows or refuses a network, in place of what was said of this very network before.
    pub fn set(&mut self, network: Network, allowed: bool) {
        // As in a hash of Perl: a key that is assigned again has the last value.
        match self.rules.iter_mut().find(|rule| rule.network == network) {
            Some(rule) => rule.allowed = allowed,
            None => self.rules.push(Rule { network, allowed }),
        }
    }

    /// Tells whether `peer` is served: the smallest network that holds it decides, and without one
    /// the answer is no.
    ///
    /// An IPv4 address that arrives in IPv6 clothes (`::ffff:10.0.0.1`) counts as IPv4.
    pub fn allows(&self, peer: &IpAddr) -> bool {
        // A socket that listens on `::` sees IPv4 peers so.
        let peer = peer.to_canonical();
        self.rules
            .iter()
            .filter(|rule| rule.network.holds(peer))
            // Two networks of one length that both hold the peer would be the same one, and that is
            // there once.
            .max_by_key(|rule| rule.network.prefix)
            .is_some_and(|rule| rule.allowed)
    }

    /// The networks that were named by one of their addresses.
    pub fn loose(&self) -> impl Iterator<Item = &Network> {
        let networks = self.rules.iter().map(|rule| &rule.network);
        networks.filter(|network| network.is_loose)
    }

    /// Tells whether nobody at all can be served.
    pub fn is_empty(&self) -> bool {
        !self.rules.iter().any(|rule| rule.allowed)
    }
}

/// One address, or all that share its first bits.
#[derive(Clone, Copy, Debug)]
pub struct Network {
    /// With the bits behind the prefix zero, and never an IPv4 address in IPv6 clothes.
    base: IpAddr,
    prefix: u8,
    /// It was named with bits behind the prefix that were not zero.
    is_loose: bool,
}

impl PartialEq for Network {
    fn eq(&self, other: &Network) -> bool {
        (self.base, self.prefix) == (other.base, other.prefix)
    }
}

impl Eq for Network {}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

impl Network {
    /// Reads `10.4.3.5`, `10.4.0.0/16`, `::1` or `2001:db8::/32`.
    ///
    /// Bits behind the prefix are ignored: `10.4.3.5/16` is `10.4.0.0/16`. IPv6 networks hold IPv6
    /// peers only, except those below `::ffff:0:0/96`, which are IPv4 networks.
    pub fn parse(text: &[u8]) -> Result<Network, NetworkError> {
        // Names are refused below with the rest: a server that waits for a name server at start
        // would serve nobody meanwhile.
        let text = str::from_utf8(text).map_err(|_| NetworkError::NotAnAddress)?;
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError::NotAnAddress)?;
        let prefix = match prefix {
            Some(digits) => prefix_len(digits, width(address)).ok_or(NetworkError::BadPrefix)?,
            None => width(address),
        };
        Ok(Network::new(address, prefix))
    }

    fn new(address: IpAddr, prefix: u8) -> Network {
        // Rules are kept in the form that peers are compared in; of the 128 bits the first 96 are
        // the clothes. A shorter prefix holds other IPv6 networks too and stays one of IPv6.
        let (address, prefix) = match (address.to_canonical(), prefix.checked_sub(96)) {
            (IpAddr::V4(inner), Some(shorter)) if address.is_ipv6() => (IpAddr::V4(inner), shorter),
            _ => (address, prefix),
        };
        let base = masked(address, prefix);
        Network {
            base,
            prefix,
            is_loose: base != address,
        }
    }

    fn holds(&self, peer: IpAddr) -> bool {
        // The family first: a prefix of 0 would else hold the peers of the other one, too.
        peer.is_ipv4() == self.base.is_ipv4() && masked(peer, self.prefix) == self.base
    }
}

/// The reason why a text names no network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NetworkError {
    /// The part before the slash is no IPv4 or IPv6 address.
    NotAnAddress,
    /// The part behind the slash is no number of bits of such an address.
    BadPrefix,
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NetworkError::NotAnAddress => {
                "an address is needed, such as 10.4.3.5, 10.4.0.0/16, ::1 or 2001:db8::/32; names are not looked up"
            }
            NetworkError::BadPrefix => {
                "behind the / stands a number of bits, at most 32 for IPv4 and 128 for IPv6"
            }
        })
    }
}

fn prefix_len(digits: &str, width: u8) -> Option<u8> {
    // `parse` alone would take a `+` in front.
    let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    let prefix = digits.parse().ok()?;
    (all_digits && prefix <= width).then_some(prefix)
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The address with all bits behind the first `prefix` zero.
fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    let behind = u32::from(width(address).saturating_sub(prefix));
    match address {
        IpAddr::V4(address) => {
            // A shift by the whole width, for the prefix 0, is no shift in Rust.
            let mask = u32::MAX.checked_shl(behind).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(behind).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(rules: &[(&str, bool)]) -> Hosts {
        let mut hosts = Hosts::default();
        for (network, allowed) in rules {
            hosts.set(Network::parse(network.as_bytes()).unwrap(), *allowed);
        }
        hosts
    }

    fn allowed(hosts: &Hosts, peer: &str) -> bool {
        hosts.allows(&peer.parse().unwrap())
    }

    #[test]
    fn an_address_allows_itself_only() {
        let set = hosts(&[("10.4.3.5", true), ("::1", true)]);
        assert!(allowed(&set, "10.4.3.5"));
        assert!(allowed(&set, "::1"));
        assert!(!allowed(&set, "10.4.3.4"));
        assert!(!allowed(&set, "::2"));
        assert!(!allowed(&Hosts::default(), "127.0.0.1"));
    }

    #[test]
    fn a_network_ends_at_its_bits() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.255.255", "11.0.0.0"),
            ("10.1.2.3/8", "10.0.0.0", "9.255.255.255"),
            ("192.168.1.128/25", "192.168.1.129", "192.168.1.127"),
            ("10.4.3.4/31", "10.4.3.5", "10.4.3.6"),
            ("10.4.3.4/32", "10.4.3.4", "10.4.3.5"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("fe80::/10", "febf::1", "fec0::1"),
            ("2001:db8::1/128", "2001:db8::1", "2001:db8::2"),
            ("0.0.0.0/0", "203.0.113.9", "::1"),
            ("::/0", "2001:db8::1", "10.0.0.1"),
        ] {
            let set = hosts(&[(network, true)]);
            assert!(allowed(&set, inside), "{network} {inside}");
            assert!(!allowed(&set, outside), "{network} {outside}");
        }
    }

    #[test]
    fn the_longest_prefix_wins_in_any_order() {
        let rules = [
            ("10.0.0.0/8", true),
            ("10.4.0.0/16", false),
            ("10.4.3.0/24", true),
            ("10.4.3.5", false),
        ];
        let mut backwards = rules;
        backwards.reverse();
        for set in [hosts(&rules), hosts(&backwards)] {
            assert!(allowed(&set, "10.1.1.1"));
            assert!(!allowed(&set, "10.4.1.1"));
            assert!(allowed(&set, "10.4.3.4"));
            assert!(!allowed(&set, "10.4.3.5"));
        }
    }

    #[test]
    fn the_later_word_on_one_network_counts() {
        let set = hosts(&[("10.1.0.0/8", true), ("10.0.0.0/8", false)]);
        assert!(!allowed(&set, "10.0.0.1"));
        assert!(set.is_empty());
        let set = hosts(&[("::1", false), ("0:0::1", true)]);
        assert!(allowed(&set, "::1"));
    }

    #[test]
    fn ipv4_in_ipv6_clothes_is_ipv4_on_both_sides() {
        let set = hosts(&[("10.4.3.5", true)]);
        assert!(allowed(&set, "::ffff:10.4.3.5"));
        assert!(!allowed(&set, "::ffff:10.4.3.6"));
        let set = hosts(&[("::ffff:10.4.0.0/112", true)]);
        assert!(allowed(&set, "10.4.3.5"));
        assert!(allowed(&set, "::ffff:10.4.3.5"));
        assert!(!allowed(&set, "10.5.0.0"));
        let set = hosts(&[("::/0", true)]);
        assert!(!allowed(&set, "::ffff:10.4.3.5"));
        let set = hosts(&[("::ffff:0:0/95", true)]);
        assert!(!allowed(&set, "10.4.3.5"));
    }

    #[test]
    fn empty_means_that_nobody_is_allowed() {
        assert!(Hosts::default().is_empty());
        assert!(hosts(&[("10.0.0.1", false)]).is_empty());
        assert!(!hosts(&[("10.0.0.1", false), ("::1", true)]).is_empty());
    }

    #[test]
    fn what_is_no_network_is_named() {
        for text in [
            "",
            "localhost",
            "10.4.3",
            "10.4.3.256",
            "010.0.0.1",
            "::1%lo",
            " ::1",
            "/8",
        ] {
            let error = Network::parse(text.as_bytes());
            assert_eq!(error, Err(NetworkError::NotAnAddress), "{text}");
        }
        for text in [
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0.0/-1",
            "10.0.0.0/8/8",
            "10.0.0.0/255.0.0.0",
            "::/129",
            "::/999999",
        ] {
            let error = Network::parse(text.as_bytes());
            assert_eq!(error, Err(NetworkError::BadPrefix), "{text}");
        }
        assert_eq!(Network::parse(b"\xff"), Err(NetworkError::NotAnAddress));
    }

    #[test]
    fn random_bytes_never_panic() {
        arbtest::arbtest(|u| {
            let text: Vec<u8> = u.arbitrary()?;
            let _ = Network::parse(&text);
            Ok(())
        })
        .budget_ms(50);
    }
}
