//! Where the server of a source may be.

use std::net::{SocketAddr, SocketAddrV4};

/// The addresses of a server, one after the other. Most have one, and there may be thousands of
/// these.
pub enum Addresses {
    /// They are not known yet.
    Unknown,
    /// There is one, of version 4.
    One(SocketAddrV4),
    /// There are others to turn to, or none.
    Many {
        /// All of them.
        all: Box<[SocketAddr]>,
        /// Which of them is used.
        place: u32,
    },
}

impl Addresses {
    /// These, of which the first is used.
    pub fn of(found: &[SocketAddr]) -> Addresses {
        match found {
            [SocketAddr::V4(one)] => Addresses::One(*one),
            all => Addresses::Many {
                all: all.into(),
                place: 0,
            },
        }
    }

    /// Whether it is known which there are.
    pub fn are_known(&self) -> bool {
        !matches!(self, Addresses::Unknown)
    }

    /// The one that is used.
    pub fn current(&self) -> Option<SocketAddr> {
        match self {
            Addresses::Unknown => None,
            Addresses::One(one) => Some(SocketAddr::V4(*one)),
            Addresses::Many { all, place } => all.get(*place as usize).copied(),
        }
    }

    /// The first of them.
    pub fn first(&self) -> Option<SocketAddr> {
        match self {
            Addresses::Many { all, .. } => all.first().copied(),
            one => one.current(),
        }
    }

    /// Uses the next one, after the last the first again.
    pub fn turn(&mut self) {
        if let Addresses::Many { all, place } = self {
            *place = (*place + 1).checked_rem(all.len() as u32).unwrap_or(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_turn() {
        let [a, b] = [1, 2].map(|n| SocketAddr::from(([10, 0, 0, n], 19)));
        assert!(!Addresses::Unknown.are_known());
        let turns = |mut addresses: Addresses| {
            assert!(addresses.are_known());
            [(); 3].map(|()| {
                let current = addresses.current();
                addresses.turn();
                (current, addresses.first())
            })
        };
        let of = |current, first| (Some(current), Some(first));
        assert_eq!(turns(Addresses::of(&[])), [(None, None); 3]);
        assert_eq!(turns(Addresses::of(&[a])), [of(a, a); 3]);
        let both = [of(a, a), of(b, a), of(a, a)];
        assert_eq!(turns(Addresses::of(&[a, b])), both);
    }

    #[test]
    fn one_takes_no_more_room_than_a_list_would() {
        assert!(size_of::<Addresses>() <= 24);
    }
}
