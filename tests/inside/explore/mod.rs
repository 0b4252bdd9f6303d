//! Every crash that can befall the collector's local files: its own machines run over a disk that
//! is a model, and each run is crashed before each of its calls, in every way and with every
//! outcome there is; then it is started again, crashed again, and so on. At the end of each branch
//! the copies have to be what was written.
//!
//! [`scenarios`] says what is explored, [`world`] is one life of a collector, [`peer`] the boxes it
//! talks to, [`oracle`] what must hold, [`search`] the order in which all of it is tried.
//! [`mutations`] leaves out one rule after the other, each of which has to be missed.

mod mutations;
mod oracle;
mod peer;
mod scenarios;
mod search;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use self::peer::Dialect;
use self::search::{Limits, Seen, explore};
use self::world::{Fails, Scenario};

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

/// What a test that everybody runs has the time for: in small scenarios three crashes in a row, in
/// a rotation two, in others one; and where few steps are made, one before or after a call that
/// fails. `FETCHLOGS_EXPLORE_CRASHES` asks for so many crashes everywhere, and for failing calls in
/// all scenarios. `FETCHLOGS_EXPLORE_ONLY` names the scenarios, by a part of the name.
fn tasks() -> Vec<(Scenario, Limits)> {
    let asked = std::env::var("FETCHLOGS_EXPLORE_CRASHES");
    let asked = asked.ok().map(|number| number.parse().unwrap());
    let both = [Dialect::V2, Dialect::Classic];
    let only = std::env::var("FETCHLOGS_EXPLORE_ONLY").unwrap_or_default();
    let is_meant = move |scenario: &Scenario| scenario.name.contains(&only);
    let scenarios = both.into_iter().flat_map(scenarios::all).filter(is_meant);
    let limits = |scenario: Scenario| {
        let sound = Limits {
            crashes: asked.unwrap_or(scenario.crashes),
            faults_after: None,
            then_full: false,
            is_narrow: asked.is_some(),
        };
        let failing = Limits {
            crashes: asked.unwrap_or(1),
            faults_after: Some(0),
            then_full: false,
            is_narrow: asked.is_some(),
        };
        // A crash shows what was believed, and another what of that was true.
        let full = Limits {
            crashes: 2,
            then_full: true,
            ..failing
        };
        let is_whole = asked.is_some();
        // The run in which no call fails is among those in which one may.
        let limits = match scenario.fails {
            Fails::Nothing => vec![sound],
            Fails::Each if !is_whole && !scenario.is_short() => vec![sound],
            Fails::Each if scenario.is_short() && (is_whole || sound.crashes > 2) => {
                vec![sound, failing, full]
            }
            _ if sound.crashes <= failing.crashes => vec![failing],
            _ => vec![sound, failing],
        };
        let task = move |limits| (scenario.clone(), limits);
        limits.into_iter().map(task)
    };
    scenarios.flat_map(limits).collect()
}

#[test]
fn no_crash_loses_or_repeats_anything() {
    let seen = explore_all(&tasks()).unwrap();
    println!("together: {seen}");
    assert!(seen.states > 1_000_000, "{seen}");
}
