//! The record of a source: what only its past can tell.

use crate::collect::event::Event;
use crate::time::Wall;
use crate::wire::table::State;

/// What is remembered of one source for those who look. Everything else a face shows is asked of
/// the source when somebody looks.
#[derive(Clone, Default, Debug)]
pub struct Record {
    /// Seconds since 1970, as far as 32 bits go: there may be ten thousand of these.
    since: u32,
    last_byte: u32,
    last_contact: u32,
    /// As the source counts them, from its beginning on.
    bytes: u64,
    /// What those before it counted.
    carried: u64,
    rotations: u32,
    healed: u32,
    connections: u32,
    losses: u32,
    state: State,
}

/// What a source is like at the end of its turn.
#[derive(Clone, Copy, Default, Debug)]
pub struct Sight {
    /// Its state.
    pub state: State,
    /// Losses on record.
    pub losses: u32,
    /// All bytes of the log that came.
    pub bytes: u64,
}

/// What happened in one turn of a source that it does not remember itself.
#[derive(Clone, Copy, Default, Debug)]
pub struct Tally {
    rotations: u32,
    healed: u32,
    /// The state is told of with other words than before.
    has_news: bool,
}

/// What became different of one source, for sums over all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change {
    /// The state before.
    pub was: State,
    /// Whether losses were on record before.
    pub was_flawed: bool,
    /// The state now.
    pub is: State,
    /// Whether losses are on record now.
    pub is_flawed: bool,
}

impl Record {
    /// A record that begins now.
    pub fn new(now: Wall) -> Record {
        Record {
            since: secs(now),
            ..Record::default()
        }
    }

    /// The same for a source that begins to count anew.
    #[must_use]
    pub fn begun_anew(self) -> Record {
        Record {
            carried: self.carried.saturating_add(self.bytes),
            bytes: 0,
            ..self
        }
    }

    /// Something was heard of the server.
    pub fn note_contact(&mut self, now: Wall) {
        self.last_contact = secs(now);
    }

    /// A connection came about.
    pub fn note_connection(&mut self, now: Wall) {
        self.connections = self.connections.saturating_add(1);
        self.note_contact(now);
    }

    /// Takes what a turn of the source brought. Tells what is different now that a reader of the
    /// table should see at once.
    pub fn note(&mut self, sight: Sight, tally: Tally, now: Wall) -> Option<Change> {
        let change = Change {
            was: self.state,
            was_flawed: self.losses > 0,
            is: sight.state,
            is_flawed: sight.losses > 0,
        };
        if self.bytes != sight.bytes {
            self.bytes = sight.bytes;
            self.last_byte = secs(now);
        }
        if change.was != change.is {
            self.since = secs(now);
        }
        let is_new = change.was != change.is || self.losses != sight.losses || tally.is_some();
        self.state = sight.state;
        self.losses = sight.losses;
        self.rotations = self.rotations.saturating_add(tally.rotations);
        self.healed = self.healed.saturating_add(tally.healed);
        is_new.then_some(change)
    }

    /// The state.
    pub fn state(&self) -> State {
        self.state
    }

    /// Losses on record.
    pub fn losses(&self) -> u32 {
        self.losses
    }

    /// When it came into its state.
    pub fn since(&self) -> u64 {
        self.since.into()
    }

    /// When a byte of the log came last.
    pub fn last_byte(&self) -> Option<u64> {
        known(self.last_byte)
    }

    /// When anything was heard last.
    pub fn last_contact(&self) -> Option<u64> {
        known(self.last_contact)
    }

    /// For how many seconds no byte has come in the state that it is in.
    pub fn quiet_secs(&self, now: Wall) -> u64 {
        secs(now)
            .saturating_sub(self.since.max(self.last_byte))
            .into()
    }

    /// Bytes of the log that came.
    pub fn bytes(&self) -> u64 {
        self.carried.saturating_add(self.bytes)
    }

    /// Generations that were finished.
    pub fn rotations(&self) -> u32 {
        self.rotations
    }

    /// Copies that were healed.
    pub fn healed(&self) -> u32 {
        self.healed
    }

    /// Connections that came about.
    pub fn connections(&self) -> u32 {
        self.connections
    }
}

/// A moment, unless it is the one that stands for none.
fn known(secs: u32) -> Option<u64> {
    Some(secs.into()).filter(|secs| *secs > 0)
}

fn secs(now: Wall) -> u32 {
    u32::try_from(now.secs()).unwrap_or(u32::MAX)
}

impl Tally {
    /// Counts an event.
    pub fn count(&mut self, event: &Event<'_>) {
        match event {
            Event::Rotated { .. } | Event::Truncated { .. } => self.rotations += 1,
            Event::Healed { .. } => self.healed += 1,
            Event::Error(_) | Event::Verified { .. } => {}
            _ => return,
        }
        self.has_news = true;
    }

    fn is_some(&self) -> bool {
        self.has_news
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::collect::error::SourceError;
    use crate::ids::Inode;
    use crate::wire::frame::Reason;

    const NOW: Wall = Wall::from_ms(1_700_000_000_000);

    fn at(secs: u64) -> Wall {
        Wall::from_ms(NOW.ms() + secs * 1000)
    }

    fn following(bytes: u64) -> Sight {
        Sight {
            state: State::Following,
            losses: 0,
            bytes,
        }
    }

    #[test]
    fn it_is_small() {
        assert!(size_of::<Record>() <= 48);
    }

    #[test]
    fn a_state_keeps_the_moment_in_which_it_began() {
        let mut record = Record::new(NOW);
        assert_eq!(
            (record.state(), record.since()),
            (State::Connecting, NOW.secs())
        );
        assert!(record.note(following(0), Tally::default(), at(5)).is_some());
        for secs in [6, 60, 600] {
            assert_eq!(
                record.note(following(secs), Tally::default(), at(secs)),
                None
            );
            assert_eq!(record.since(), at(5).secs());
            assert_eq!(record.last_byte(), Some(at(secs).secs()));
        }
        record.note(following(600), Tally::default(), at(700));
        assert_eq!(record.last_byte(), Some(at(600).secs()), "no byte came");
        let error = Sight {
            state: State::Error,
            ..following(600)
        };
        let change = record.note(error, Tally::default(), at(701)).unwrap();
        assert_eq!((change.was, change.is), (State::Following, State::Error));
        assert_eq!(record.since(), at(701).secs());
    }

    #[test]
    fn a_loss_and_another_one_are_changes() {
        let mut record = Record::new(NOW);
        let with = |losses| Sight {
            losses,
            ..Sight::default()
        };
        let changes = [0, 1, 2, 2, 0].map(|losses| {
            let change = record.note(with(losses), Tally::default(), NOW);
            change.map(|change| (change.was_flawed, change.is_flawed))
        });
        let expected = [
            None,
            Some((false, true)),
            Some((true, true)),
            None,
            Some((true, false)),
        ];
        assert_eq!(changes, expected);
    }

    #[test]
    fn what_came_before_counts_as_well() {
        let mut record = Record::new(NOW);
        record.note(following(7), Tally::default(), NOW);
        let mut record = record.begun_anew();
        record.note(following(3), Tally::default(), NOW);
        assert_eq!(record.bytes(), 10);
    }

    #[test]
    fn what_happens_is_counted() {
        let mut tally = Tally::default();
        tally.count(&Event::Rotated {
            next: Inode(8),
            reason: Reason::Rotated,
            size: 3,
            kept: Path::new("/l/m.1"),
        });
        tally.count(&Event::Healed {
            path: Path::new("/l/m.1"),
            from: 2,
            kept: Path::new("/l/m.1.damaged"),
        });
        let mut record = Record::new(NOW);
        assert!(record.note(Sight::default(), tally, NOW).is_some());
        assert_eq!((record.rotations(), record.healed()), (1, 1));
        let mut tally = Tally::default();
        tally.count(&Event::Error(&SourceError::Silence));
        assert!(
            record.note(Sight::default(), tally, NOW).is_some(),
            "other words"
        );
        let mut tally = Tally::default();
        tally.count(&Event::Downgraded);
        assert_eq!(record.note(Sight::default(), tally, NOW), None);
        record.note_connection(at(1));
        assert_eq!(record.connections(), 1);
        assert_eq!(record.last_contact(), Some(at(1).secs()));
    }
}
