//! Every crash that can befall the collector's local files: its own machines run over a disk that is a model, and each
//! run is crashed before each of its calls, in every way and with every outcome there is; then it is started again,
//! crashed again, and so on. At the end of each branch the copies have to be what was written.
//!
//! [`world`] is one life of a collector, [`peer`] the boxes it talks to, [`oracle`] what must hold, [`search`] the
//! order in which all of it is tried.

mod oracle;
mod peer;
mod search;
mod world;

use self::peer::{Dialect, Step};
use self::search::{Limits, Seen, explore};
use self::world::Scenario;
use crate::collect::pointer::{BootId, Pointer};
use crate::ids::Inode;

const LIMITS: Limits = Limits {
    crashes: 3,
    faults_after: None,
};

fn scenario(name: &'static str, dialect: Dialect, steps: &[Step]) -> Scenario {
    Scenario {
        name,
        dialect,
        sources: 1,
        steps: steps.to_vec(),
        rename_new: true,
        prepare: |_| (),
        begun: 0,
        aside: &[],
        loses: false,
        away: 0,
    }
}

use Step::*;

fn scenarios(dialect: Dialect) -> Vec<Scenario> {
    let new = |name, steps: &[Step]| scenario(name, dialect, steps);
    let rotation = [Write(0, b"first line\n"), Rotate(0), Write(0, b"second\n")];
    let two = [Write(0, b"first\n"), Rotate(0), Write(0, b"two\n"), Rotate(0), Write(0, b"3\n")];
    let first = Write(0, b"first line\n");
    vec![
        new("first contact", &[first, Write(0, b"second\n")]),
        new("broken connection", &[first, HangUp(0), Write(0, b"second\n")]),
        new("rotation", &rotation),
        Scenario { rename_new: false, ..new("rotation by link", &rotation) },
        new("two rotations", &two),
        new("empty generations", &[Rotate(0), Rotate(0), first]),
        Scenario { away: 2, ..new("rotations in absence", &two[..4]) },
        new("truncation", &[first, Pause(61_000), Copytruncate(0), Write(0, b"again\n")]),
        new("pause", &[first, Pause(61_000), Write(0, b"second\n")]),
        Scenario {
            begun: 1,
            prepare: |store| {
                store.write("/p/m0", b"7\n");
                store.write("/l/m0", b"first");
            },
            ..new("after fetchlogs 1.1", &rotation)
        },
        Scenario {
            begun: 1,
            prepare: |store| drop(store.write("/l/m0", b"not ours\n")),
            aside: &[b"not ours\n"],
            ..new("a copy without a pointer", &rotation)
        },
        Scenario {
            begun: 1,
            prepare: |store| {
                store.write("/p/m0", &pointer(7, 11));
            },
            ..new("a pointer without a copy", &rotation)
        },
        Scenario {
            loses: true,
            away: 2,
            ..new("a box that deletes", &[first, Write(0, b"second\n"), Rotate(0), Forget(0)])
        },
    ]
}

fn pointer(inode: u64, checkpoint: u64) -> Vec<u8> {
    let pointer = Pointer {
        checkpoint,
        boot: BootId::new("boot-0"),
        ..Pointer::of(Inode(inode))
    };
    pointer.write().into_bytes().to_vec()
}

fn tell(scenario: &Scenario, limits: Limits) -> Seen {
    let began = std::time::Instant::now();
    match explore(scenario, limits, None) {
        Ok(seen) => {
            println!(
                "{:?} {}: {} runs, {} moments, {} crashes, {} ms",
                scenario.dialect,
                scenario.name,
                seen.runs,
                seen.moments,
                seen.crashes,
                began.elapsed().as_millis()
            );
            seen
        }
        Err(violation) => { println!("{:?} {violation}", scenario.dialect); Seen::default() }
    }
}

#[test]
fn explored() {
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse().ok());
    for dialect in [Dialect::V2, Dialect::Classic] {
        for scenario in scenarios(dialect) {
            for crashes in 0..=number("CRASHES").unwrap_or(2) {
                tell(&scenario, Limits { crashes, faults_after: number("FAULTS"), ..LIMITS });
            }
        }
    }
}
