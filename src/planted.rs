//! Faults that tests put into the machines on purpose, to prove that they would be found.
//!
//! A machine asks [`is`] at the place where the fault would be. Outside of tests the answer is known to the compiler.

/// A fault, named after what is wrong then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// The collector asks for one byte too many or too few.
    OffsetOffByOne,
    /// Classic keep-alives count as data.
    KeepAliveCounts,
    /// NEXT begins no new copy.
    NextIgnored,
    /// A rotated file is complete at once, whoever still writes to it.
    NoGrace,
    /// Whatever a client proves fits every file.
    ProofNotChecked,
    /// The live file comes after every other.
    MiddleSkipped,
    /// A connection on which nothing is heard any more is kept.
    SilenceIgnored,
    /// The wait between two tries never becomes short again.
    BackoffKept,
    /// The end of a copy is believed after a restart of the machine.
    TailBelieved,
    /// The status is `OK`, whatever is the matter.
    AlwaysOk,
    /// A file that became shorter is the same file.
    TruncationIgnored,
}

/// Whether this fault is planted.
#[cfg(not(test))]
pub(crate) const fn is(_: Fault) -> bool {
    false
}

#[cfg(test)]
pub(crate) use self::chosen::{is, with};

#[cfg(test)]
mod chosen {
    use super::Fault;
    use std::cell::Cell;

    thread_local! {
        static PLANTED: Cell<Option<Fault>> = const { Cell::new(None) };
    }

    /// Whether this fault is planted.
    pub(crate) fn is(fault: Fault) -> bool {
        PLANTED.get() == Some(fault)
    }

    /// Takes the fault away, after a panic too.
    struct Unplant;

    impl Drop for Unplant {
        fn drop(&mut self) {
            PLANTED.set(None);
        }
    }

    /// Does something with this fault planted, in this thread.
    pub(crate) fn with<R>(fault: Fault, act: impl FnOnce() -> R) -> R {
        PLANTED.set(Some(fault));
        let _unplant = Unplant;
        act()
    }
}
