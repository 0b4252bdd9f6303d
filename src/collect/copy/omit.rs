//! Rules that a test leaves out, to see that their absence is noticed. Those of single calls are left out beyond the
//! file system trait; these cannot be.

use std::cell::Cell;

/// A rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// A copy whose end may not be what was written is compared with the server's file.
    TailCheck,
    /// The pointer keeps the boot in which the copy was last known to be good until that is known again.
    BootInPointer,
    /// A checkpoint behind the end of the copy counts as its end.
    ClampedCheckpoint,
    /// A sync of a whole file system that fails concerns every source that has files there.
    FailedSyncHeeded,
    /// That a write failed is marked in the pointer as it stands, before it is noted in another.
    DoubtMarked,
    /// An end that is being set aside is announced in the pointer.
    RescueAnnounced,
}

thread_local! {
    static OMITTED: Cell<Option<Rule>> = const { Cell::new(None) };
}

/// Leaves out a rule in this thread from now on, or none.
pub fn omit(rule: Option<Rule>) {
    OMITTED.set(rule);
}

/// Whether a rule is left out.
pub fn is_omitted(rule: Rule) -> bool {
    OMITTED.get() == Some(rule)
}
