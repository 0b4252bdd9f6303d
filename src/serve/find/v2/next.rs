//! Which generation comes after one that is over, and which file somebody copied it into. Pure.

use super::oldest::{floor_ns, then};
use crate::ids::Inode;
use crate::mutation::{self, Mutation};
use crate::serve::find::compare::Sent;
use crate::serve::find::findings::{Candidate, Candidates, Test, are_numbered};
use crate::serve::find::order::Age;
use crate::serve::find::place::{Place, candidate_of, place_of};
use crate::serve::find::query::Query;
use crate::serve::find::refusal::Refusal;
use crate::store::{ReadStore, Stat};

/// A generation to be sent from its start.
pub struct NextFile<F> {
    /// The open file.
    pub file: F,
    /// What it is.
    pub stat: Stat,
    /// Whether it is the live file or a rotated one.
    pub place: Place,
    /// Every older generation was last written no later.
    pub floor_ns: u64,
    /// The rotated file that comes after it, if there is one already.
    pub then: Option<Inode>,
    /// There was another before it, which is gone.
    pub after_loss: bool,
}

/// A duplicate that somebody made of a generation before truncating it.
pub struct Duplicate<F> {
    /// The open duplicate.
    pub file: F,
    /// What it is.
    pub stat: Stat,
}

/// A generation that is over.
pub struct Left {
    /// The file that holds it, or its duplicate; [`Inode::NONE`] if there is none.
    pub inode: Inode,
    /// Its last write, as far as that was seen.
    pub mtime_ns: u64,
    /// Every older generation was last written no later.
    pub floor_ns: u64,
    /// The file that was seen to come after it, which counts more than times do.
    pub then: Option<Inode>,
}

impl Left {
    /// Its place among the rotated files, or behind all that was written before it. Unless names
    /// tell, nothing that is older than it counts as newer because a clock was set back.
    fn age(&self, rotated: &Candidates) -> Age {
        let found = rotated.iter().find(|c| c.age.inode == self.inode);
        let is_counted = are_numbered(rotated);
        match found.map(|c| c.age) {
            Some(age) if age.mtime_ns() >= self.floor_ns || is_counted => age,
            _ => Age::floor(self.floor_ns.max(self.mtime_ns)),
        }
    }
}

/// Whether the order is not certain in which the client gets what `may` come next: the next one is
/// newer than its `own` by times only, or another one may have to come first.
fn is_doubtful_next(
    next: &Stat,
    own: Option<&Candidate>,
    rotated: &Candidates,
    may: &dyn Fn(&Candidate) -> bool,
) -> bool {
    candidate_of(next, rotated).is_some_and(|next| {
        let is_against_names =
            own.is_some_and(|own| next.age > own.age && next.may_come_before(own));
        let mut others = rotated.iter().filter(|c| may(c));
        is_against_names || others.any(|c| c.is_doubtful_beside(next))
    })
}

impl<S: ReadStore> Query<'_, S> {
    /// What comes after a generation that is over.
    pub fn next_after(&self, left: &Left) -> Result<NextFile<S::File>, Refusal> {
        let live = self.open_live()?;
        let rotated = self.candidates(live.as_ref().map(|(_, stat)| stat.id.inode))?;
        let after = left.age(rotated);
        let own = rotated.iter().find(|c| c.age.inode == left.inode);
        let is_next = |c: &Candidate| {
            let is_newer = match own.is_some_and(|own| own.is_doubtful_beside(c)) {
                // What was seen counts more.
                true => left.then.is_none() && c.written_ns > left.floor_ns,
                false => c.age > after && !c.is_at_floor(left.floor_ns),
            };
            (is_newer || Some(c.age.inode) == left.then) && c.age.inode != left.inode
        };
        let found = match mutation::is_on(Mutation::MiddleSkipped) {
            true => None,
            false => self.find_generation(rotated, live.as_ref(), &is_next)?,
        };
        let live_inode = live.as_ref().map(|(_, stat)| stat.id.inode);
        let (file, stat) = found.or(live).ok_or(Refusal::Missing)?;
        let is_there = |inode: Inode| {
            Some(inode) == live_inode || rotated.iter().any(|c| c.age.inode == inode)
        };
        let place = place_of(&stat, rotated);
        // Whatever does not come after it was there before.
        let is_before = |c: &&Candidate| !is_next(c) && c.age.inode != stat.id.inode;
        let before = rotated.iter().filter(is_before).map(|c| c.written_ns);
        let before_ns = before.max().unwrap_or(0).max(after.mtime_ns());
        let floor_ns = match place {
            // What is newer than the generation being left is a duplicate of this one, and not
            // older than it.
            Place::Live => before_ns,
            Place::Latest | Place::Older => floor_ns(&stat, rotated).max(before_ns),
        };
        Ok(NextFile {
            then: then(&stat, rotated, floor_ns),
            after_loss: left.then.is_some_and(|inode| !is_there(inode))
                || left.then.is_none() && is_doubtful_next(&stat, own, rotated, &is_next),
            floor_ns,
            place,
            file,
            stat,
        })
    }

    /// The rotated generation that comes right after that in the file `own`, which began after
    /// `floor_ns`, if that is rotated and not the newest.
    pub fn first_after(&self, own: Inode, floor_ns: u64) -> Result<Option<Inode>, Refusal> {
        let live = self.open_live()?;
        let rotated = self.candidates(live.as_ref().map(|(_, stat)| stat.id.inode))?;
        let Some(own) = rotated.iter().find(|c| c.age.inode == own) else {
            return Ok(None);
        };
        let is_newer = |c: &Candidate| {
            c.age > own.age && !c.is_at_floor(floor_ns) && !c.is_doubtful_beside(own)
        };
        let found = self.find_generation(rotated, live.as_ref(), &is_newer)?;
        Ok(found.map(|(_, stat)| stat.id.inode))
    }

    /// A duplicate of the generation that began in the open file `own` after `floor_ns`, if there
    /// is one: of what was written and truncated before anybody looked. `before` is the file of the
    /// generation before, to which its writer may have come back.
    pub fn first_duplicate(
        &self,
        own: Stat,
        before: Option<Inode>,
        floor_ns: u64,
    ) -> Result<Option<Duplicate<S::File>>, Refusal> {
        let live = self.open_live()?;
        let rotated = self.candidates(live.as_ref().map(|(_, stat)| stat.id.inode))?;
        let floor = Age::floor(floor_ns);
        let is_live = live
            .as_ref()
            .is_some_and(|(_, stat)| stat.id.inode == own.id.inode);
        let limit = match rotated.iter().find(|c| c.age.inode == own.id.inode) {
            Some(own) => Some(own.age),
            None if is_live => None,
            // It has no name any more. What was written later is in other files because that is
            // where it belongs.
            None => Some(Age::floor(own.mtime_ns)),
        };
        let may = |c: &Candidate| {
            let comes_first = limit.is_none_or(|limit| c.age < limit);
            comes_first && c.age > floor && c.size > 0 && Some(c.age.inode) != before
        };
        let is_duplicate =
            |file: &S::File, stat: &Stat| !self.is_start_of(file, stat.size, live.as_ref());
        let found = self.find_rotated(Test::Own, rotated, &may, &is_duplicate)?;
        Ok(found.map(|(file, stat)| Duplicate { file, stat }))
    }

    /// The duplicate that was made of a generation before it was truncated.
    ///
    /// A duplicate at least as long as what was sent must have the same end there. A shorter one
    /// lacks what was written while it was made: it must have the same start. Content that repeats
    /// itself is told apart by its time. `own` is the file that was truncated.
    pub fn duplicate_of(
        &self,
        sent: &Sent<'_>,
        own: Inode,
    ) -> Result<Option<Duplicate<S::File>>, Refusal> {
        let rotated = self.candidates(self.live_inode())?;
        // A clock that was set back since must not hide the duplicate, nor may a truncation that
        // came long after it.
        let is_since = |mtime_ns| mtime_ns > sent.floor_ns || mtime_ns >= self.quiet_since_ns;
        let may = |c: &Candidate| c.age.inode != own && c.size > 0 && is_since(c.age.mtime_ns());
        let is_duplicate =
            |file: &S::File, stat: &Stat| self.is_duplicate_of_sent(file, stat.size, sent);
        let found = self.find_rotated(Test::Duplicate, rotated, &may, &is_duplicate)?;
        Ok(found.map(|(file, stat)| Duplicate { file, stat }))
    }
}
