//! Faults put into the machines on purpose: each is found by the seeds of every `cargo test`, and
//! by the oracle.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::oracle::Violation;
use super::{PROMPT, SEEDS, Sim};
use crate::mutation::{Mutation, with};

/// What the oracle says of the run of a seed in which this fault is planted. A machine that panics
/// found itself out, which proves nothing of the oracle.
fn complaint(mutation: Mutation, seed: u64) -> Option<String> {
    let mut sim = Sim::new(seed, &PROMPT, false);
    let run = || with(mutation, || sim.run());
    let panic = catch_unwind(AssertUnwindSafe(run)).err()?;
    let violation = panic.downcast::<Violation>().ok()?;
    Some(violation.0)
}

/// Runs seeds until one fails, and tells which.
fn find(mutation: Mutation) {
    let complain = |seed| complaint(mutation, seed).map(|complaint| (seed, complaint));
    let found = (0..SEEDS).find_map(complain);
    let Some((seed, complaint)) = found else {
        panic!("{mutation:?} was not found by {SEEDS} seeds");
    };
    let first = complaint.lines().next().unwrap_or_default();
    println!("{mutation:?}: found by seed {seed}: {first}");
}

macro_rules! mutations {
    ($($name:ident: $mutation:ident,)*) => {
        $(
            #[test]
            fn $name() {
                find(Mutation::$mutation);
            }
        )*
    };
}

mutations! {
    an_offset_that_is_off_by_one: OffsetOffByOne,
    a_keep_alive_that_counts: KeepAliveCounts,
    a_next_that_is_ignored: NextIgnored,
    no_grace_for_late_writers: NoGrace,
    a_proof_that_is_not_checked: ProofNotChecked,
    a_generation_in_the_middle_that_is_skipped: MiddleSkipped,
    a_silence_that_is_ignored: SilenceIgnored,
    a_wait_that_never_becomes_short_again: BackoffKept,
    an_end_that_is_believed_after_a_power_cut: EndBelieved,
    a_status_that_is_always_ok: AlwaysOk,
    a_truncation_that_is_ignored: TruncationIgnored,
    a_session_that_does_all_in_one_go: PartsIgnored,
    a_change_that_is_made_in_one_go: StepsIgnored,
    a_source_that_waits_for_all_others: LineIgnored,
}
