//! Items 4 and 7: whatever moment a collector ends at, it goes on from there.

use std::fs;
use std::path::PathBuf;

use crate::both_protocols;
use crate::common::pair::strace::{self, Strace};
use crate::common::pair::{NOTHING, Options, Pair};
use crate::common::wait::attempt;

/// What changes files, or makes a change durable. Machines differ in which of those with a `?` they have.
const CALLS: [&str; 8] = [
    "openat",
    "write",
    "?rename,?renameat",
    "renameat2",
    "?link,linkat,?unlink,unlinkat",
    "fsync",
    "fdatasync",
    "syncfs",
];

both_protocols!(kill_9_between_any_two_steps_of_a_rotation);

/// 4: SIGKILL before each of the calls by which a rotation is done.
fn kill_9_between_any_two_steps_of_a_rotation(options: Options) {
    if strace::program().is_none() {
        return;
    }
    let mut pair = Pair::start(options);
    let kills: usize = CALLS.iter().map(|call| kill_before(call, &mut pair)).sum();
    assert!(kills > 15, "a rotation takes more than {kills} calls");
    assert_eq!(pair.losses(), NOTHING);
}

/// Kills the collector before the first such call in a rotation, before the second and so on. Returns how many there
/// are.
fn kill_before(call: &str, pair: &mut Pair) -> usize {
    let log = pair.log("m");
    for number in 1.. {
        pair.expect_same("m");
        pair.kill_collector();
        log.append(format!("to be killed before {call} {number}\n"));
        log.rotate();
        log.append("the next\n");
        let killer = Strace::new(call)
            .on(&local_paths(pair))
            .killing_before(number);
        pair.start_collector_as(killer.command());
        if !is_killed_before_it_is_through(pair) {
            return number - 1;
        }
        assert!(pair.collector_was_killed());
        pair.start_collector();
    }
    unreachable!()
}

fn is_killed_before_it_is_through(pair: &mut Pair) -> bool {
    let generations = pair.log("m").generations();
    let outcome = attempt(|| {
        if !pair.collector().is_running() {
            return Ok(true);
        }
        pair.copies("m").compare(&generations).map(|()| false)
    });
    outcome.unwrap()
}

/// 4: an empty pointer, as 1.1 leaves it, says nothing; what the copy holds is not thrown away.
#[test]
fn an_empty_pointer_is_none() {
    let mut pair = Pair::prepare(Options::told().classic());
    fs::write(pair.pointer("m"), "").unwrap();
    fs::write(pair.local("m"), "of an older run\n").unwrap();
    pair.log("m").append("live\n");
    pair.start_server();
    pair.start_collector();
    pair.expect("m", &["of an older run\n", "live\n"]);
    pair.expect_event("set aside");
}

/// 7: the rotated copy is durable before the pointer says so, and its new name before the next generation begins.
#[test]
fn a_rotation_is_made_durable_step_by_step() {
    if strace::program().is_none() {
        return;
    }
    let mut pair = Pair::start(Options::told().classic());
    let log = pair.log("m");
    log.append("held\n");
    pair.expect_same("m");
    pair.kill_collector();
    log.rotate();
    let trace = pair.home().join("trace");
    let tracer = Strace::new(&CALLS.join(","))
        .on(&local_paths(&pair))
        .into_trace(&trace);
    pair.start_collector_as(tracer.command());
    log.append("live\n");
    pair.expect_same("m");

    let outcome = attempt(|| {
        let text = fs::read_to_string(&trace).unwrap();
        let steps: Vec<String> = text.lines().filter_map(step).collect();
        first_missing(&steps, &DURABLE_STEPS).map_or(Ok(()), |step| {
            Err(format!("{step:?} is missing or too early:\n{text}"))
        })
    });
    outcome.unwrap();
}

/// The calls that make a rotation durable, among others, in this order. The directory is called `local`.
const DURABLE_STEPS: [&str; 8] = [
    "fdatasync m",
    "fdatasync m.pointer.tmp",
    "rename m.pointer.tmp",
    "fsync local",
    "rename m",
    "fsync local",
    "openat m",
    "write m",
];

/// The first of `expected` that does not come behind the one before it.
fn first_missing<'a>(steps: &[String], expected: &[&'a str]) -> Option<&'a str> {
    let mut steps = steps.iter();
    let is_missing = |step: &&&str| !steps.any(|seen| seen == **step);
    expected.iter().find(is_missing).copied()
}

/// The call in a line of a trace, and the name of the file that it is about.
fn step(line: &str) -> Option<String> {
    let (call, arguments) = line.split_once(' ')?.1.trim().split_once('(')?;
    // A name in an open directory, or else a descriptor, of which the trace has the path.
    let is_named = call.starts_with("open") || call.starts_with("rename") || call.contains("link");
    let quotes = match is_named {
        true => ['"', '"'],
        false => ['<', '>'],
    };
    let path = arguments.split_once(quotes[0])?.1.split_once(quotes[1])?.0;
    let call = if call.starts_with("rename") {
        "rename"
    } else {
        call
    };
    Some(format!("{call} {}", path.rsplit('/').next()?))
}

/// All paths that a rotation has to do with.
fn local_paths(pair: &Pair) -> Vec<PathBuf> {
    let local = pair.local("m");
    let dir = local.parent().unwrap().to_owned();
    vec![dir, local, pair.pointer("m"), pair.local("m.pointer.tmp")]
}
