//! What a stream keeps beyond the generation that it sends. Most streams send one for a day, and
//! have none of it. Pure.

use super::V2Stream;
use super::pace::Pace;
use super::plan::Plan;
use crate::ids::Inode;
use crate::time::Mono;

/// What concerns more than one generation.
#[derive(Default)]
pub(super) struct Journey {
    /// The file of the generation before.
    pub before: Option<Inode>,
    pub pace: Pace,
    /// What a search has found, for the generations after the next one.
    pub plan: Option<Plan>,
}

impl<F> V2Stream<F> {
    pub(super) fn journey_mut(&mut self) -> &mut Journey {
        self.journey.get_or_insert_default()
    }

    /// Whether the next generation may be named now.
    pub(super) fn may_name(&mut self, now: Mono) -> bool {
        let Some(journey) = &mut self.journey else {
            return true;
        };
        let may = journey.pace.allows(now);
        if !may {
            // What was found is too old by then.
            journey.plan = None;
        }
        may
    }

    /// The stream looks anew at what there is to do.
    pub(super) fn looked(&mut self) {
        if let Some(journey) = &mut self.journey {
            journey.pace.looked();
        }
    }

    /// When the next generation may be named, if one waits for that.
    pub(super) fn waits_until(&self) -> Option<Mono> {
        let journey = self.journey.as_ref()?;
        journey.pace.waits_until()
    }
}
