//! Which runs there are: the calls of each program in each scenario are counted, and something is done at each of them.

use std::collections::BTreeMap;
use std::path::Path;

use super::common::skipped;
use super::fault::{FAULTS, Fault, Point, Program, is_meant};
use super::pool;
use super::scenarios::{SCENARIOS, Scenario};
use super::stage::{Findings, Stage};
use super::trace::{Calls, Order};

/// How often a scenario is watched before anything is done to it: how many calls a program makes varies.
pub const COUNTINGS: usize = 5;

/// One program in one scenario.
pub struct Subject {
    /// What happens.
    pub scenario: &'static Scenario,
    /// Who is watched.
    pub program: Program,
    /// Its calls, the most and the least of each name that were counted.
    pub calls: BTreeMap<String, (usize, usize)>,
}

impl Subject {
    /// How many calls it has, the most of each name together.
    pub fn len(&self) -> usize {
        self.calls.values().map(|(most, _)| most).sum()
    }

    /// Every run.
    pub fn points(&self) -> Vec<Point> {
        let mut points = Vec::new();
        for (call, (most, _)) in &self.calls {
            // Only the helper outside of the walls makes these. Whoever kills that has a daemon that goes on, and
            // needs a new start for another configuration (gen_numbers(8), CONFINEMENT).
            let is_of_helper = ["poll", "ppoll", "memfd_create"].contains(&call.as_str());
            // Linux has closed a descriptor whatever close(2) returns, and strace, which leaves out the call, has not: a
            // program that still holds the other end of its own pipes is none that could be.
            let is_close = call == "close";
            let may = |fault: &Fault| match fault {
                Fault::Kill => !is_of_helper,
                _ => !is_close,
            };
            for number in 1..=*most {
                let faults = FAULTS.into_iter().filter(may);
                points.extend(faults.map(|fault| Point {
                    scenario: self.scenario.name,
                    program: self.program,
                    call: call.clone(),
                    number,
                    fault,
                }));
            }
        }
        points
    }

    /// Whether the number of calls of this name is not always the same, so that there may be more than were counted.
    pub fn varies(&self, call: &str) -> bool {
        self.calls
            .get(call)
            .is_some_and(|(most, least)| most > least)
    }
}

/// Counts all calls of both programs in all scenarios, or in those that are meant.
pub fn subjects(strace: &Path, countings: usize, jobs: usize, only: &str) -> Vec<Subject> {
    let pairs = SCENARIOS.iter().flat_map(|scenario| {
        [Program::Server, Program::Collector].map(|program| (scenario, program))
    });
    let pairs: Vec<_> = pairs
        .filter(|(scenario, program)| is_meant(&format!("{}/{program}", scenario.name), only))
        .collect();
    let runs: Vec<_> = pairs
        .iter()
        .copied()
        .flat_map(|pair| vec![pair; countings])
        .collect();
    let counted = pool::map(runs, jobs, |(scenario, program)| {
        count(strace, scenario, program)
    });
    let mut subjects = Vec::new();
    for ((scenario, program), counted) in pairs.into_iter().zip(counted.chunks(countings)) {
        let counted: Vec<&Calls> = counted.iter().flatten().collect();
        if counted.is_empty() {
            skipped(&format!("{} cannot be played here", scenario.name));
            continue;
        }
        let mut calls = BTreeMap::new();
        for name in counted.iter().flat_map(|calls| calls.keys()) {
            let of_each = counted
                .iter()
                .map(|calls| calls.get(name).copied().unwrap_or(0));
            let (most, least) = (of_each.clone().max(), of_each.min());
            calls.insert(name.clone(), (most.unwrap_or(0), least.unwrap_or(0)));
        }
        subjects.push(Subject {
            scenario,
            program,
            calls,
        });
    }
    subjects
}

fn count(strace: &Path, scenario: &Scenario, program: Program) -> Option<Calls> {
    let (done, findings) = play(strace, scenario, program, Order::Count);
    let name = scenario.name;
    match done {
        Err(why) if why.starts_with("skipped: ") => {
            println!("{name}: {why}");
            return None;
        }
        Err(why) => panic!("{name}/{program}: {why}\n{}", findings.said),
        Ok(()) => {}
    }
    assert!(
        findings.faults.is_empty(),
        "{name}/{program}: {:?}\n{}",
        findings.faults,
        findings.said
    );
    Some(findings.calls)
}

/// One run of a scenario, and what came of it.
pub fn play(
    strace: &Path,
    scenario: &Scenario,
    program: Program,
    order: Order<'_>,
) -> (Result<(), String>, Findings) {
    let mut stage = Stage::new(strace, program, order);
    let done = (scenario.script)(&mut stage);
    (done, stage.finish())
}
