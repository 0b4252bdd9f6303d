//! Sealed connections: the server's own key, and how often an address may try in vain.

use std::net::IpAddr;
use std::rc::Rc;

use super::admission::home;
use crate::limits::{HANDSHAKE_ADDRESSES_MAX, HANDSHAKES_IN_VAIN_MAX, HANDSHAKES_MS};
use crate::noise::channel::{Channel, Terms};
use crate::noise::key::{Identity, PublicKey};
use crate::reactor::connection::new_key;
use crate::serve::config::Config;
use crate::time::Mono;

/// What the connections of all clients are sealed with.
#[derive(Default)]
pub struct Sealing {
    own: Option<Rc<Identity>>,
    /// Oldest first.
    in_vain: Vec<InVain>,
}

/// Handshakes of an address that came to nothing.
struct InVain {
    home: IpAddr,
    count: u8,
    /// When the first of them was.
    since: Mono,
}

impl Sealing {
    /// Nobody has tried anything.
    pub fn new(own: Option<Rc<Identity>>) -> Sealing {
        Sealing {
            own,
            in_vain: Vec::new(),
        }
    }

    /// The channel to a client that just came.
    pub fn channel(&self, config: &Config) -> Channel {
        match (&self.own, config.sealing.is_required) {
            (None, false) => Channel::plain(),
            (None, true) => Channel::refusing(),
            (Some(own), true) => Channel::listening(own.clone(), Terms::OnlySealed),
            (Some(own), false) => Channel::listening(own.clone(), Terms::Both),
        }
    }

    /// Answers a first message, if its sender is allowed and its address has not tried in vain too
    /// often. Fails with the reason why the client goes.
    pub fn answer(
        &mut self,
        channel: &mut Channel,
        peer: IpAddr,
        is_allowed: &dyn Fn(&PublicKey) -> bool,
        now: Mono,
    ) -> Result<(), &'static str> {
        if !self.may_try(peer, now) {
            return Err(TOO_OFTEN);
        }
        let key = new_key().map_err(|_| NO_RANDOMNESS);
        let answered = key.and_then(|key| channel.answer(is_allowed, &key));
        answered.inspect_err(|_| self.note_in_vain(peer, now))
    }

    fn may_try(&mut self, peer: IpAddr, now: Mono) -> bool {
        self.in_vain
            .retain(|it| now < it.since.plus_ms(HANDSHAKES_MS));
        let home = home(peer);
        let mut found = self.in_vain.iter().filter(|it| it.home == home);
        found.all(|it| it.count < HANDSHAKES_IN_VAIN_MAX)
    }

    /// A handshake that was computed came to nothing.
    pub fn note_in_vain(&mut self, peer: IpAddr, now: Mono) {
        let home = home(peer);
        if let Some(it) = self.in_vain.iter_mut().find(|it| it.home == home) {
            it.count = it.count.saturating_add(1);
            return;
        }
        if self.in_vain.len() >= HANDSHAKE_ADDRESSES_MAX {
            self.in_vain.remove(0);
        }
        self.in_vain.push(InVain {
            home,
            count: 1,
            since: now,
        });
    }
}

const TOO_OFTEN: &str = "has tried handshakes in vain too often, and is not heard for a minute";
const NO_RANDOMNESS: &str = "cannot be answered: the system gives no randomness";

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;
    use crate::noise::key::PrivateKey;

    const MINUTE: u64 = HANDSHAKES_MS;

    fn ip(n: u32) -> IpAddr {
        Ipv4Addr::from_bits(n).into()
    }

    #[test]
    fn an_address_that_tries_in_vain_waits_and_no_other() {
        let at = Mono::from_ms;
        let mut sealing = Sealing::default();
        for _ in 0..HANDSHAKES_IN_VAIN_MAX {
            assert!(sealing.may_try(ip(1), at(5)));
            sealing.note_in_vain(ip(1), at(5));
        }
        assert!(!sealing.may_try(ip(1), at(4 + MINUTE)));
        assert!(sealing.may_try(ip(2), at(6)));
        assert!(sealing.may_try(ip(1), at(5 + MINUTE)));
        // A network of IPv6 is one address.
        for n in 0..u16::from(HANDSHAKES_IN_VAIN_MAX) {
            let ip = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n);
            sealing.note_in_vain(ip.into(), at(5));
        }
        let other = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 9, 9, 9, 9);
        assert!(!sealing.may_try(other.into(), at(6)));
    }

    #[test]
    fn however_many_addresses_try_the_memory_is_small() {
        let mut sealing = Sealing::default();
        for n in 0..1000 {
            sealing.note_in_vain(ip(n), Mono::from_ms(5));
        }
        assert_eq!(sealing.in_vain.len(), HANDSHAKE_ADDRESSES_MAX);
    }

    #[test]
    fn who_is_not_answered_costs_no_curve() {
        let own = Rc::new(Identity::new(PrivateKey::new([1; 32])));
        let mut sealing = Sealing::new(Some(own.clone()));
        for _ in 0..HANDSHAKES_IN_VAIN_MAX {
            sealing.note_in_vain(ip(1), Mono::from_ms(5));
        }
        let mut channel = Channel::listening(own, Terms::Both);
        let nobody = |_: &PublicKey| panic!("somebody was looked up");
        let refused = sealing.answer(&mut channel, ip(1), &nobody, Mono::from_ms(6));
        assert_eq!(refused, Err(TOO_OFTEN));
    }
}
