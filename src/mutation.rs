//! Faults that tests put into the machines on purpose, to prove that they would be found.
//!
//! A machine asks [`is_on`] at the place where the fault would be. Outside of tests the answer is
//! known to the compiler, and nothing of it is in the program. Single calls of the file system are
//! left out beyond its trait, not here: see `Omission` in `tests/inside/explore`.

/// A fault, named after what is wrong then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mutation {
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
    /// The status is `OK`, whatever is the matter.
    AlwaysOk,
    /// A file that became shorter is the same file.
    TruncationIgnored,
    /// The end of a copy is believed after a restart of the log host.
    EndBelieved,
    /// The pointer no longer knows in which boot the end of the copy was known to be good.
    BootForgotten,
    /// A checkpoint behind the end of the copy stays there.
    CheckpointNotClamped,
    /// A sync of a whole file system that fails concerns only the source that asked for it.
    FailedSyncIgnored,
    /// That a write failed is not marked in the pointer as it stands.
    DoubtNotMarked,
    /// A file is known by its inode number alone, whatever its device and its birth are.
    IncarnationIgnored,
    /// What somebody copied on the box is sent as a generation.
    DuplicateSent,
    /// What the client was given is given again.
    GivenIgnored,
    /// The order that the server saw does not count.
    JournalIgnored,
    /// The device says nothing about a file.
    DeviceIgnored,
    /// A file that somebody may have copied is taken for a generation.
    SuspectBelieved,
    /// What was there before the server began to look counts as new.
    EldersForgotten,
    /// Files that had the live name between two looks are not counted.
    ArrivalsIgnored,
    /// What was written to a rotated file after it was sent is not looked for.
    LateIgnored,
    /// A generation that the journal knows to be gone is not missed.
    GapNotTold,
    /// A file of a ring that is written again begins no generation.
    TurnIgnored,
    /// A doubt about what comes next is not told.
    DoubtNotTold,
    /// Zeros at the end of a file that is written to are sent.
    ZerosSent,
    /// An end that is being set aside is not announced in the pointer.
    RescueNotAnnounced,
    /// What takes long a session does in one go.
    PartsIgnored,
    /// Whoever stands first in a line has his turn, whatever address he comes from.
    AddressesIgnored,
    /// Whoever came into a line last has his turn.
    LineIgnored,
    /// A change of generations is made in one go.
    StepsIgnored,
}

/// Whether this fault is planted.
#[cfg(not(test))]
pub(crate) const fn is_on(_: Mutation) -> bool {
    false
}

#[cfg(test)]
pub(crate) use self::planted::{is_on, with};

#[cfg(test)]
mod planted {
    use super::Mutation;
    use std::cell::Cell;

    thread_local! {
        static PLANTED: Cell<Option<Mutation>> = const { Cell::new(None) };
    }

    /// Whether this fault is planted.
    pub(crate) fn is_on(mutation: Mutation) -> bool {
        PLANTED.get() == Some(mutation)
    }

    /// Takes the fault away, after a panic too.
    struct Unplant;

    impl Drop for Unplant {
        fn drop(&mut self) {
            PLANTED.set(None);
        }
    }

    /// Does something with this fault planted, in this thread.
    pub(crate) fn with<R>(mutation: Mutation, act: impl FnOnce() -> R) -> R {
        PLANTED.set(Some(mutation));
        let _unplant = Unplant;
        act()
    }
}
