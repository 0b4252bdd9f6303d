//! Faults put into the machines on purpose that only unkind worlds show: each is found by the seeds
//! of the table, and by the oracle.

use super::super::SEEDS;
use super::Dimension;
use super::table::failure;
use crate::mutation::{Mutation, with};

/// What the oracle says of the run of a seed in which this fault is planted, if it says nothing
/// where there is none. A machine that panics found itself out, which proves nothing of the oracle.
fn complaint(mutation: Mutation, world: Dimension, seed: u64) -> Option<String> {
    let (class, complaint) = with(mutation, || failure(seed, &[world]))?;
    let is_its_doing = class != "panic" && failure(seed, &[world]).is_none();
    is_its_doing.then_some(complaint)
}

/// Runs seeds of a world until one fails, and tells which.
fn find(mutation: Mutation, world: Dimension) {
    let complain = |seed| complaint(mutation, world, seed).map(|complaint| (seed, complaint));
    let Some((seed, complaint)) = (0..SEEDS).find_map(complain) else {
        panic!("{mutation:?} was not found by {SEEDS} seeds of {world:?}");
    };
    println!("{mutation:?}: found by seed {seed} of {world:?}: {complaint}");
}

macro_rules! mutations {
    ($($name:ident: $mutation:ident in $world:ident,)*) => {
        $(
            #[test]
            fn $name() {
                find(Mutation::$mutation, Dimension::$world);
            }
        )*
    };
}

mutations! {
    a_file_that_is_known_by_its_inode_alone: IncarnationIgnored in Header,
    a_copy_that_is_sent_as_a_generation: DuplicateSent in Copies,
    a_generation_that_is_given_twice: GivenIgnored in NeverReopens,
    an_order_that_was_seen_and_does_not_count: JournalIgnored in ClockStep,
    a_copy_of_a_stranger_that_is_taken_for_a_generation: SuspectBelieved in Copies,
    what_was_there_before_and_counts_as_new: EldersForgotten in Header,
    what_came_between_two_looks_and_is_not_counted: ArrivalsIgnored in EqualTimes,
    late_lines_that_nobody_looks_for: LateIgnored in NeverReopens,
    a_gap_that_is_not_told: GapNotTold in Header,
    a_doubt_that_is_not_told: DoubtNotTold in EqualTimes,
    a_ring_that_is_not_followed_around: TurnIgnored in Series,
    zeros_that_are_sent_before_they_are_written: ZerosSent in Preallocated,
}
