//! The instances: which identifiers exist below the base, and in which order. Pure.
//!
//! Every log server with a status file has two: `BASE.IP`, as the documentation of fetchlogs always
//! said, and `BASE.1.IP`, as its script was shipped. An IPv4 address is 4 parts, an IPv6 address
//! 16, one for each byte. So the count alone (4, 5, 16 or 17) tells the form, and no two instances
//! are the same.

use std::net::IpAddr;

use super::oid::Suffix;
use super::status::StatusDir;

/// The part before the address in the longer form.
const COLUMN: u32 = 1;

/// The address that `suffix` names in either form, whether or not it has a status file.
pub fn address(suffix: &[u32]) -> Option<IpAddr> {
    match suffix {
        // Five or seventeen parts; with four or sixteen a 1 in front is the first byte of the
        // address.
        [COLUMN, address @ ..] if matches!(address.len(), 4 | 16) => bytes_of(address),
        address => bytes_of(address),
    }
}

/// The instances that a walk shows. Each can be asked for by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Forms {
    /// `BASE.IP`, so that each server comes once.
    Short,
    /// `BASE.1.IP` besides.
    Both,
}

/// The first instance behind `after`, and its address.
///
/// One pass over the directory that keeps only the best so far: nothing grows with the number of
/// files.
pub fn next(after: &[u32], forms: Forms, dir: &mut dyn StatusDir) -> Option<(Suffix, IpAddr)> {
    let mut best: Option<(Suffix, IpAddr)> = None;
    dir.list(&mut |address| {
        // Both forms of each, since they lie apart in the order: `.1.IP` comes before most `.IP`.
        let long = (forms == Forms::Both).then(|| long_form(address));
        for suffix in [Some(short_form(address)), long].into_iter().flatten() {
            // Directories are in no order, and the agent wants the very next.
            let is_better = best.as_ref().is_none_or(|(best, _)| suffix < *best);
            if is_better && suffix.as_slice() > after {
                best = Some((suffix, address));
            }
        }
    });
    best
}

fn bytes_of(parts: &[u32]) -> Option<IpAddr> {
    // An IPv4 address in IPv6 form has sixteen parts and stays an IPv6 address, as its file is
    // named.
    match parts.len() {
        4 => Some(IpAddr::from(byte_array::<4>(parts)?)),
        16 => Some(IpAddr::from(byte_array::<16>(parts)?)),
        _ => None,
    }
}

/// The parts as bytes; `None` if one of them is no byte.
fn byte_array<const LEN: usize>(parts: &[u32]) -> Option<[u8; LEN]> {
    let mut bytes = [0; LEN];
    for (byte, &part) in bytes.iter_mut().zip(parts) {
        *byte = u8::try_from(part).ok()?;
    }
    Some(bytes)
}

/// `IP`
fn short_form(address: IpAddr) -> Suffix {
    match address {
        IpAddr::V4(address) => address.octets().into_iter().map(u32::from).collect(),
        IpAddr::V6(address) => address.octets().into_iter().map(u32::from).collect(),
    }
}

/// `1.IP`
fn long_form(address: IpAddr) -> Suffix {
    [COLUMN].into_iter().chain(short_form(address)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snmp::status::Status;

    /// A directory that has only names.
    struct Names(Vec<IpAddr>);

    impl StatusDir for Names {
        fn read(&mut self, _: IpAddr, _: &mut [u8]) -> Status {
            Status::Missing
        }

        fn list(&mut self, each: &mut dyn FnMut(IpAddr)) {
            self.0.iter().copied().for_each(each);
        }
    }

    fn names(texts: &[&str]) -> Names {
        Names(texts.iter().map(|text| text.parse().unwrap()).collect())
    }

    /// The whole walk, from the base to the end.
    fn walk(dir: &mut Names) -> Vec<Vec<u32>> {
        let mut found = Vec::new();
        let mut at = Suffix::new();
        while let Some((suffix, _)) = next(&at, Forms::Both, dir) {
            assert!(suffix > at, "the walk must rise");
            found.push(suffix.to_vec());
            at = suffix;
        }
        found
    }

    /// The same by the simplest means: all instances, sorted.
    fn model(dir: &Names) -> Vec<Vec<u32>> {
        let mut all: Vec<_> = dir
            .0
            .iter()
            .flat_map(|&address| [short_form(address).to_vec(), long_form(address).to_vec()])
            .collect();
        all.sort();
        all.dedup();
        all
    }

    #[test]
    fn both_forms_lead_to_the_address() {
        for text in [
            "10.0.0.2",
            "1.1.1.1",
            "::1",
            "2001:db8::ff",
            "::ffff:1.2.3.4",
        ] {
            let ip: IpAddr = text.parse().unwrap();
            assert_eq!(address(&short_form(ip)), Some(ip), "{text}");
            assert_eq!(address(&long_form(ip)), Some(ip), "{text}");
        }
    }

    #[test]
    fn what_is_not_an_address_has_none() {
        let long = [0; 18];
        for suffix in [
            &[][..],
            &[1],
            &[1, 2, 3],
            &[1, 2, 3, 256],
            &[1, 2, 3, u32::MAX],
            &[2, 10, 0, 0, 1],
            &[1, 10, 0, 0, 256],
            &[10, 0, 0, 2, 0],
            &long[..15],
            &long[..17],
            &long,
        ] {
            assert_eq!(address(suffix), None, "{suffix:?}");
        }
    }

    #[test]
    fn four_parts_are_an_address_even_if_the_first_is_1() {
        assert_eq!(address(&[1, 2, 3, 4]), Some(IpAddr::from([1, 2, 3, 4])));
    }

    #[test]
    fn a_walk_of_the_short_form_shows_each_once() {
        let mut dir = names(&["10.0.0.2", "1.0.0.1"]);
        let mut found = Vec::new();
        let mut at = Suffix::new();
        while let Some((suffix, _)) = next(&at, Forms::Short, &mut dir) {
            found.push(suffix.to_vec());
            at = suffix;
        }
        assert_eq!(found, [[1, 0, 0, 1], [10, 0, 0, 2]]);
    }

    #[test]
    fn order_is_numeric_not_alphabetic() {
        let mut dir = names(&["10.0.0.10", "10.0.0.2", "9.255.0.1"]);
        assert_eq!(
            walk(&mut dir),
            [
                vec![1, 9, 255, 0, 1],
                vec![1, 10, 0, 0, 2],
                vec![1, 10, 0, 0, 10],
                vec![9, 255, 0, 1],
                vec![10, 0, 0, 2],
                vec![10, 0, 0, 10],
            ]
        );
    }

    #[test]
    fn the_two_forms_interleave_where_the_numbers_say_so() {
        let mut dir = names(&["0.0.0.0", "1.9.9.9", "10.0.0.1"]);
        assert_eq!(
            walk(&mut dir),
            [
                vec![0, 0, 0, 0],
                vec![1, 0, 0, 0, 0],
                vec![1, 1, 9, 9, 9],
                vec![1, 9, 9, 9],
                vec![1, 10, 0, 0, 1],
                vec![10, 0, 0, 1],
            ]
        );
    }

    #[test]
    fn an_ipv6_address_comes_after_the_ipv4_address_that_begins_it() {
        let mut dir = names(&["2001:db8::1", "32.1.13.184", "10.0.0.10"]);
        let counts: Vec<_> = walk(&mut dir).iter().map(Vec::len).collect();
        assert_eq!(counts, [5, 5, 17, 4, 4, 16]);
    }

    #[test]
    fn an_address_listed_twice_is_met_once() {
        assert_eq!(walk(&mut names(&["::1", "0:0::1"])).len(), 2);
    }

    #[test]
    fn the_asked_place_need_not_exist() {
        let mut dir = names(&["10.0.0.2", "10.0.0.10"]);
        for (after, expected) in [
            (&[][..], Some(&[1, 10, 0, 0, 2][..])),
            (&[0], Some(&[1, 10, 0, 0, 2])),
            (&[1, 10, 0, 0], Some(&[1, 10, 0, 0, 2])),
            (&[1, 10, 0, 0, 2, 7], Some(&[1, 10, 0, 0, 10])),
            (&[1, 10, 0, 0, 10], Some(&[10, 0, 0, 2])),
            (&[10, 0, 0, 9, 9, 9], Some(&[10, 0, 0, 10])),
            (&[10, 0, 0, 10], None),
            (&[11], None),
            (&[u32::MAX], None),
        ] {
            let found = next(after, Forms::Both, &mut dir).map(|(suffix, _)| suffix);
            assert_eq!(found.as_deref(), expected, "{after:?}");
        }
    }

    #[test]
    fn a_walk_over_any_set_is_the_sorted_set() {
        arbtest::arbtest(|u| {
            let mut dir = Names(Vec::new());
            for _ in 0..u.int_in_range(0..=12)? {
                // Few different bytes, so that addresses begin alike and the two forms meet.
                let mut bytes = [0; 16];
                for byte in &mut bytes {
                    *byte = *u.choose(&[0, 1, 2, 10, 255])?;
                }
                let [a, b, c, d, ..] = bytes;
                let is_v4 = u.arbitrary()?;
                dir.0.push(if is_v4 {
                    IpAddr::from([a, b, c, d])
                } else {
                    IpAddr::from(bytes)
                });
            }
            assert_eq!(walk(&mut dir), model(&dir));
            Ok(())
        })
        .budget_ms(100);
    }
}
