//! Faults put into the machines on purpose: each is found by the seeds of every `cargo test`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::chaos::DENSE;
use super::{SEEDS, Sim};
use crate::planted::{Fault, with};

/// Runs seeds until one fails, and tells which.
fn find(fault: Fault) {
    let fails = |seed: &u64| {
        let mut sim = Sim::new(*seed, &DENSE, false);
        let run = || with(fault, || sim.run());
        catch_unwind(AssertUnwindSafe(run)).is_err()
    };
    let found = (0..SEEDS).find(fails);
    println!("{fault:?}: found by seed {found:?}");
    assert!(found.is_some(), "{fault:?} was not found by {SEEDS} seeds");
}

macro_rules! planted {
    ($($name:ident: $fault:ident,)*) => {
        $(
            #[test]
            fn $name() {
                find(Fault::$fault);
            }
        )*
    };
}

planted! {
    an_offset_that_is_off_by_one: OffsetOffByOne,
    a_keep_alive_that_counts: KeepAliveCounts,
    a_next_that_is_ignored: NextIgnored,
    no_grace_for_late_writers: NoGrace,
    a_proof_that_is_not_checked: ProofNotChecked,
    a_generation_in_the_middle_that_is_skipped: MiddleSkipped,
    a_silence_that_is_ignored: SilenceIgnored,
    a_wait_that_never_becomes_short_again: BackoffKept,
    an_end_that_is_believed_after_a_power_cut: TailBelieved,
    a_status_that_is_always_ok: AlwaysOk,
    a_truncation_that_is_ignored: TruncationIgnored,
}
