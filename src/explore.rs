//! Every crash that can befall the collector's local files: its own machines run over a disk that is a model, and each
//! run is crashed before each of its calls, in every way and with every outcome there is; then it is started again,
//! crashed again, and so on. At the end of each branch the copies have to be what was written.
//!
//! [`scenarios`] says what is explored, [`world`] is one life of a collector, [`peer`] the boxes it talks to, [`oracle`]
//! what must hold, [`search`] the order in which all of it is tried. [`omissions`] leaves out one rule after the other,
//! each of which has to be missed.

mod omissions;
mod oracle;
mod peer;
mod scenarios;
mod search;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use self::peer::Dialect;
use self::search::{Limits, Seen, explore};
use self::world::Scenario;

/// Threads that explore at the same time.
const WORKERS: usize = 2;

/// Explores scenarios, tells of each how much was seen, and returns how much that was together.
fn explore_all(tasks: &[(Scenario, Limits)]) -> Result<Seen, String> {
    let next = AtomicUsize::new(0);
    let total = Mutex::new(Ok(Seen::default()));
    std::thread::scope(|scope| {
        for _ in 0..WORKERS.min(tasks.len()) {
            scope.spawn(|| {
                while let Some((scenario, limits)) = tasks.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    let seen = explore(scenario, *limits, None);
                    match &seen {
                        Ok(seen) => println!("{scenario}, {limits}: {seen}"),
                        Err(violation) => println!("{scenario}, {limits}: {violation}"),
                    }
                    let mut total = total.lock().unwrap();
                    match (&mut *total, seen) {
                        (Ok(total), Ok(seen)) => total.add(seen),
                        (Ok(_), Err(violation)) => *total = Err(format!("{scenario}: {violation}")),
                        (Err(_), _) => {}
                    }
                }
            });
        }
    });
    total.into_inner().unwrap()
}

#[test]
fn no_crash_loses_or_repeats_anything() {
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse().ok());
    let limits = Limits {
        crashes: number("CRASHES").unwrap_or(2),
        faults_after: number("FAULTS"),
    };
    let both = [Dialect::V2, Dialect::Classic];
    let tasks: Vec<_> = both
        .into_iter()
        .flat_map(scenarios::all)
        .map(|scenario| (scenario, limits))
        .collect();
    let seen = explore_all(&tasks).unwrap();
    println!("{seen}");
    assert!(seen.states > 1_000_000);
}
