//! Faults put into the machines on purpose that only unkind worlds show: each is found by the seeds
//! of every `cargo test`, and by the oracle.

use super::Dimension;
use super::table::failure;
use crate::mutation::{Mutation, with};

/// So many seeds of a world have to find a fault.
const SEEDS: u64 = 200;

#[test]
#[ignore]
fn scan() {
    use Mutation::*;
    for mutation in [
        IncarnationIgnored,
        DeviceIgnored,
        LeftOutNotTold,
        ArrivalsIgnored,
        DoubtNotTold,
    ] {
        let text: Vec<String> = Dimension::ALL
            .iter()
            .map(|(name, dimension)| {
                let bad = |seed: &u64| {
                    let is_bad =
                        |f: Option<(&str, String)>| f.is_some_and(|(class, _)| class != "panic");
                    is_bad(with(mutation, || failure(*seed, &[*dimension])))
                        && failure(*seed, &[*dimension]).is_none()
                };
                let found = (0..200u64).find(bad);
                format!("{name} {found:?}")
            })
            .collect();
        println!("{mutation:?}: {}", text.join(", "));
    }
}
