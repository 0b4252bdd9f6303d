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

const LIMITS: Limits = Limits {
    crashes: 3,
    faults_after: None,
    away: 0,
};

fn first_contact(dialect: Dialect) -> Scenario {
    Scenario {
        name: "first contact",
        dialect,
        sources: 1,
        steps: vec![Step::Write(0, b"first line\n"), Step::Write(0, b"second\n")],
        rename_new: true,
        prepare: |_| (),
        aside: &[],
    }
}

fn rotation(dialect: Dialect) -> Scenario {
    Scenario {
        name: "rotation",
        dialect,
        sources: 1,
        steps: vec![
            Step::Write(0, b"first line\n"),
            Step::Rotate(0),
            Step::Write(0, b"second\n"),
        ],
        rename_new: true,
        prepare: |_| (),
        aside: &[],
    }
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
        Err(violation) => panic!("{violation}"),
    }
}

#[test]
fn explored() {
    for dialect in [Dialect::V2, Dialect::Classic] {
        for make in [first_contact, rotation] {
            for crashes in 0..=3 {
                tell(&make(dialect), Limits { crashes, ..LIMITS });
            }
        }
    }
}
