//! Files of a ring of names, each of which is written again from its start when its turn comes:
//! whether one still has what the client was given of it. Pure.
//!
//! What the journal saw begin anew has a number of its own. Of what happened while no server ran,
//! the bytes tell, which are read only where the file was written to since.

use super::candidates::{Candidate, Candidates};
use super::findings::Test;
use super::journal::record::{Standing, State};
use super::query::Query;
use super::refusal::Refusal;
use crate::mutation::{self, Mutation};
use crate::store::ReadStore;
use crate::wire::request::Given;

impl<S: ReadStore> Query<'_, S> {
    /// Finds out, a little at a time, which files of a ring have something else than what the
    /// client was given of them.
    pub(super) fn survey_ring(&self, rotated: &Candidates) -> Result<(), Refusal> {
        if !self.journal.is_series(self.index) || mutation::is_on(Mutation::TurnIgnored) {
            return Ok(());
        }
        let findings = self.findings.ok_or(Refusal::Later)?;
        for candidate in rotated.iter() {
            if let Some((given, md5)) = self.to_be_compared(candidate) {
                findings.score(Test::Turned, candidate.age.id, || {
                    let Some((file, _)) = self.open_rotated(candidate.age.id)? else {
                        return Ok(0);
                    };
                    let own = findings.start_of_md5(self.store, candidate.age.id, &file, given)?;
                    Ok(u32::from(own != Some(md5)))
                })?;
            }
        }
        Ok(())
    }

    /// Whether a file of a ring has something else than what the client was given of it last.
    pub(super) fn has_turned(&self, candidate: &Candidate) -> bool {
        if !self.journal.is_series(self.index) {
            return false;
        }
        let Some(given) = self.last_given_of(candidate) else {
            return false;
        };
        let known = || self.findings?.known((Test::Turned, candidate.age.id, 0));
        candidate.size < given.size || known().is_some_and(|score| score > 0)
    }

    /// How much of a file is to be compared with what was given of it, and the digest of that.
    fn to_be_compared(&self, candidate: &Candidate) -> Option<(u64, u32)> {
        let given = self.last_given_of(candidate)?;
        let is_longer = candidate.size >= given.size;
        let is_written = (self.reached.floor_ns).is_none_or(|floor| candidate.written_ns > floor);
        let may_turn = !candidate.is_stamped() && !self.was_seen_whole(candidate);
        let md5 = given.md5?;
        (is_longer && is_written && may_turn).then_some((given.size, md5))
    }

    /// Whether what the journal knows of a file was sent to its end.
    fn was_seen_whole(&self, candidate: &Candidate) -> bool {
        let record = match candidate.standing {
            Standing::Generation(seq) => self.journal.record(self.index, seq),
            _ => None,
        };
        record.is_some_and(|record| matches!(record.state, State::Complete(_)))
    }

    /// What the client was given of this very file last.
    fn last_given_of(&self, candidate: &Candidate) -> Option<&Given> {
        // The newest stands first.
        self.all_given_of(candidate).next()
    }
}
