//! A ring of names that has come to a client's file once more. Pure.

use super::recognise::Held;
use crate::ids::Sameness;
use crate::mutation::{self, Mutation};
use crate::serve::find::candidates::{Candidate, Candidates};
use crate::serve::find::query::Query;
use crate::serve::find::refusal::Refusal;
use crate::serve::find::role::Role;
use crate::store::{ReadStore, Stat};

impl<S: ReadStore> Query<'_, S> {
    /// Whether a ring has come to the client's file once more, of which nothing is held: others
    /// were written before it, and after the client's generation began.
    pub(super) fn has_gone_round(
        &self,
        held: &Held<'_>,
        live: Option<&(S::File, Stat)>,
        rotated: &Candidates,
    ) -> Result<bool, Refusal> {
        let is_possible = held.offset == 0 && self.journal.is_series(self.index);
        if !is_possible || self.seq_held(held).is_some() || mutation::is_on(Mutation::TurnIgnored) {
            return Ok(false);
        }
        let is_own = |identity| held.compare(identity) == Sameness::Same;
        let is_live = live.is_some_and(|(file, stat)| is_own(self.identity(file, stat)));
        let own = rotated.iter().find(|c| is_own(c.identity()));
        let is_before = |c: &Candidate| match own {
            Some(own) => c.inferred_age() < own.inferred_age(),
            None => is_live,
        };
        let may = |c: &&Candidate| !c.is_stamped() && held.is_newer(c) && is_before(c);
        for candidate in rotated.iter().filter(may) {
            let role = self.role(candidate, rotated, live)?;
            if matches!(role, Role::Generation(_)) && candidate.size > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
