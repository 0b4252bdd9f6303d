//! The decision on a request of version 2: which file holds the generation that the client has, and
//! which comes after it. Pure.
//!
//! The inode is where the search begins; what the client proves of its copy decides. The steps in
//! the comments are those of the README, "How the server decides".

use super::findings::{Candidate, Candidates, Question, are_numbered};
use super::fingerprint::Sent;
use super::order::{self, Age};
use super::place::{Place, candidate_of, place_of};
use super::query::{Choice, Query};
use super::refusal::Refusal;
use crate::ids::Inode;
use crate::limits::CANDIDATES_MAX;
use crate::mutation::{self, Mutation};
use crate::store::{ReadStore, Stat};
use crate::wire::number::InodeWord;
use crate::wire::proof::{Block, Proof, START_LEN};
use crate::wire::reply::{Mark, Reply, Terms};
use crate::wire::request::{Extension, Request};

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
    pub after_gap: bool,
}

/// A copy that somebody made of a generation before truncating it.
pub struct CopyOf<F> {
    /// The open copy.
    pub file: F,
    /// What it is.
    pub stat: Stat,
}

/// A generation that is over.
pub struct Left {
    /// The file that holds it, or its copy; [`Inode::NONE`] if there is none.
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

/// How well a file fits what a client holds.
#[derive(PartialEq, Eq)]
enum Fit {
    /// It holds all that the client proves, and at least as much.
    Whole,
    /// It is shorter than the client's copy, and nothing says that it is not its start.
    Prefix,
    /// It is another file.
    No,
}

/// The file that a client's copy was made of; else the live file, unused.
type WholeOrLive<F> = Result<(F, Stat), Option<(F, Stat)>>;

/// What a client holds.
pub(super) struct Held<'a> {
    pub(super) offset: u64,
    pub(super) proof: &'a Proof,
    pub(super) mapped: bool,
    /// What is older than the client's generation was last written no later.
    pub(super) floor: Option<Age>,
}

impl Held<'_> {
    /// Whether a rotated file was written after the client's generation had begun.
    fn is_newer(&self, rotated: &Candidate) -> bool {
        self.floor
            .is_some_and(|floor| rotated.age > floor && !rotated.is_at_floor(floor.mtime_ns()))
    }

    /// Whether no generation after the client's has been deleted to make room: one older than that
    /// is still there, or there never was one.
    fn none_after_is_gone(&self, rotated: &Candidates) -> bool {
        self.floor
            .is_some_and(|floor| floor.mtime_ns() == 0 || rotated.iter().any(|c| c.age <= floor))
    }
}

impl<S: ReadStore> Query<'_, S> {
    /// Answers a request of version 2.
    pub fn resume(
        &self,
        request: &Request<'_>,
        v2: &Extension,
    ) -> Result<Choice<S::File>, Refusal> {
        let live = self.open_live()?;
        let rotated = self.candidates(live.as_ref().map(|(_, stat)| stat.id.inode))?;
        let asked = request.inode.inode();
        // First contact: INODE 0 names no generation, so nothing has to be found again.
        if asked == Inode::NONE {
            let oldest = self.find_generation(rotated, live.as_ref(), &|_| v2.history)?;
            return match (oldest, live) {
                (Some((file, stat)), _) => Ok(self.begin(file, stat, rotated)),
                (None, Some((file, stat))) => Ok(self.begin(file, stat, rotated)),
                (None, None) => Err(Refusal::Missing),
            };
        }
        let held = Held {
            offset: request.offset,
            proof: &v2.proof,
            mapped: v2.mapped,
            floor: v2.mtime_ns.map(Age::floor),
        };
        // Steps 1 to 5.
        let live = match self.find_whole(asked, &held, live, rotated)? {
            Ok((file, stat)) if self.is_sure(&stat, asked, &held, rotated)? => {
                return Ok(self.go_on(file, stat, &held, None, rotated));
            }
            // Step 1 with `L`: where to go on is known, but perhaps not from where.
            Ok((file, stat)) if held.offset == 0 => return Ok(self.lose(file, stat, rotated)),
            // Step 3, "but step 8 at once": neither is it known which of the newer ones came first.
            Ok(_) => return self.lose_held(asked, &held, self.open_live()?, rotated),
            Err(live) => live,
        };
        // Steps 6 and 7, then 8 and 9.
        match self.offer_prefix(asked, &held, v2, live.as_ref(), rotated)? {
            Some(choice) => Ok(choice),
            None => self.lose_held(asked, &held, live, rotated),
        }
    }

    /// What comes after a generation that is over.
    pub fn next_after(&self, left: &Left) -> Result<NextFile<S::File>, Refusal> {
        let live = self.open_live()?;
        let rotated = self.candidates(live.as_ref().map(|(_, stat)| stat.id.inode))?;
        let after = left.age(rotated);
        let is_next = |c: &Candidate| {
            let is_newer = c.age > after && !c.is_at_floor(left.floor_ns);
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
        let floor_ns = match place {
            // What is newer than the generation being left is a copy of this one, and not older
            // than it.
            Place::Live => after.mtime_ns(),
            Place::Latest | Place::Older => floor_ns(&stat, rotated).max(after.mtime_ns()),
        };
        Ok(NextFile {
            then: then(&stat, rotated, floor_ns),
            after_gap: left.then.is_some_and(|inode| !is_there(inode)),
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
        let is_newer = |c: &Candidate| c.age > own.age && !c.is_at_floor(floor_ns);
        let found = self.find_generation(rotated, live.as_ref(), &is_newer)?;
        Ok(found.map(|(_, stat)| stat.id.inode))
    }

    /// A copy of the generation that began in the open file `own` after `floor_ns`, if there is
    /// one: of what was written and truncated before anybody looked. `before` is the file of the
    /// generation before, to which its writer may have come back.
    pub fn first_copy(
        &self,
        own: Stat,
        before: Option<Inode>,
        floor_ns: u64,
    ) -> Result<Option<CopyOf<S::File>>, Refusal> {
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
        let is_copy =
            |file: &S::File, stat: &Stat| !self.is_start_of(file, stat.size, live.as_ref());
        let found = self.find_rotated(Question::Own, rotated, &may, &is_copy)?;
        Ok(found.map(|(file, stat)| CopyOf { file, stat }))
    }

    /// The copy that was made of a generation before it was truncated.
    ///
    /// A copy at least as long as what was sent must have the same end there. A shorter one lacks
    /// what was written while it was made: it must have the same start. Content that repeats itself
    /// is told apart by its time. `own` is the file that was truncated.
    pub fn copy_of(&self, sent: &Sent<'_>, own: Inode) -> Result<Option<CopyOf<S::File>>, Refusal> {
        let rotated = self.candidates(self.live_inode())?;
        // A clock that was set back since must not hide the copy, nor may a truncation that came
        // long after it.
        let is_since = |mtime_ns| mtime_ns > sent.floor_ns || mtime_ns >= self.quiet_since_ns;
        let may = |c: &Candidate| c.age.inode != own && c.size > 0 && is_since(c.age.mtime_ns());
        let is_copy = |file: &S::File, stat: &Stat| self.is_copy_of_sent(file, stat.size, sent);
        let found = self.find_rotated(Question::Copy, rotated, &may, &is_copy)?;
        Ok(found.map(|(file, stat)| CopyOf { file, stat }))
    }

    /// Finds the file that holds what the client proves.
    ///
    /// The inode alone does not tell: the live file keeps it where it is truncated after a copy was
    /// made, and a new file may have it. But the client's generation is the first that was written
    /// since it began, so of the files that have what the client proves, the oldest of that time is
    /// it.
    pub(super) fn find_whole(
        &self,
        asked: Inode,
        held: &Held<'_>,
        live: Option<(S::File, Stat)>,
        rotated: &Candidates,
    ) -> Result<WholeOrLive<S::File>, Refusal> {
        let fits = |file: &S::File, stat: &Stat| self.fit(file, stat.size, held) == Fit::Whole;
        let is_live = live
            .as_ref()
            .is_some_and(|(_, stat)| stat.id.inode == asked);
        let own = rotated.iter().find(|c| c.age.inode == asked);
        let is_proved = held.offset > 0 && !held.proof.is_empty();
        // Many logs begin with the same few bytes.
        let is_strong = is_proved && held.offset >= START_LEN as u64;
        // Step 1 without a proof, step 3 with one: the same search, up to the file with this inode
        // if that is rotated.
        if is_proved || (held.offset == 0 && (is_live || own.is_some())) {
            // Where nothing is held, nothing is proved, but what comes first is known. While
            // nothing is written to the client's file and nobody rotates it, its writer may still
            // write to the one before.
            let has_moved_on = live.as_ref().is_some_and(|(_, stat)| stat.size > 0)
                || rotated.iter().filter(|c| held.is_newer(c)).count() > 1;
            let is_over = |file: &S::File| {
                is_proved || own.is_some() || has_moved_on || self.store.at_rest(file)
            };
            let is_it = |file: &S::File, stat: &Stat| {
                fits(file, stat)
                    && (stat.id.inode == asked
                        || is_over(file) && !self.is_start_of(file, stat.size, live.as_ref()))
            };
            let may = |c: &Candidate| {
                let comes_first = own.is_none_or(|own| c.age <= own.age);
                held.is_newer(c) && c.size >= held.offset && comes_first
            };
            if let Some((file, stat)) = self.find_rotated(Question::Since, rotated, &may, &is_it)? {
                return Ok(Ok((file, stat)));
            }
        }
        // Step 2.
        if own.is_some()
            && let Some((file, stat)) = self.open_rotated(asked)?
            && fits(&file, &stat)
        {
            return Ok(Ok((file, stat)));
        }
        // Step 4. What is short is taken for the live file's only where the inode says so too: many
        // logs begin with the same few bytes.
        let live = match live {
            Some((file, stat)) if (is_strong || stat.id.inode == asked) && fits(&file, &stat) => {
                return Ok(Ok((file, stat)));
            }
            live => live,
        };
        self.all_was_read()?;
        if !is_strong {
            return Ok(Err(live));
        }
        // Step 5. The client's own file can look no newer than its `m` after a clock was set back.
        let may = |c: &Candidate| !held.is_newer(c) && c.size >= held.offset;
        let older = self.find_rotated(Question::Whole, rotated, &may, &fits)?;
        Ok(older.ok_or(live))
    }

    /// Whether a file that has what the client holds is the client's, and not a later one: it has
    /// the inode, or none was deleted, or the client holds much, or what no other file begins with.
    /// Logs may all begin with the same line.
    fn is_sure(
        &self,
        found: &Stat,
        asked: Inode,
        held: &Held<'_>,
        rotated: &Candidates,
    ) -> Result<bool, Refusal> {
        if found.id.inode == asked || held.none_after_is_gone(rotated) {
            return Ok(true);
        }
        match held.offset {
            0 => Ok(false),
            offset if offset >= START_LEN as u64 => Ok(true),
            _ => self.is_unlike_others(found, held, rotated),
        }
    }

    /// Whether no file but the one that was found has what the client holds.
    fn is_unlike_others(
        &self,
        found: &Stat,
        held: &Held<'_>,
        rotated: &Candidates,
    ) -> Result<bool, Refusal> {
        let fits = |file: &S::File, stat: &Stat| {
            stat.id.inode != found.id.inode && self.fit(file, stat.size, held) == Fit::Whole
        };
        let live = self.open_live()?;
        let is_live = live.is_some_and(|(file, stat)| fits(&file, &stat));
        let may = |c: &Candidate| c.age.inode != found.id.inode && c.size >= held.offset;
        let other = self.find_rotated(Question::Whole, rotated, &may, &fits)?;
        self.all_was_read()?;
        Ok(!is_live && other.is_none())
    }

    /// The oldest generation among the rotated files that `may` be it. A copy of the live file is
    /// none of its own.
    fn find_generation(
        &self,
        rotated: &Candidates,
        live: Option<&(S::File, Stat)>,
        may: &dyn Fn(&Candidate) -> bool,
    ) -> Result<Option<(S::File, Stat)>, Refusal> {
        self.find_rotated(Question::Own, rotated, may, &|file, stat| {
            !self.is_start_of(file, stat.size, live)
        })
    }

    /// The oldest of the rotated files that `may` be it by what is known of them and `fits` by what
    /// is in them, which is what the question is about.
    fn find_rotated(
        &self,
        question: Question,
        rotated: &Candidates,
        may: &dyn Fn(&Candidate) -> bool,
        fits: &dyn Fn(&S::File, &Stat) -> bool,
    ) -> Result<Option<(S::File, Stat)>, Refusal> {
        let findings = self.findings.ok_or(Refusal::Later)?;
        let some = rotated.iter().filter(|c| may(c)).map(|c| c.age);
        let mut ages: heapless::Vec<Age, CANDIDATES_MAX> = some.collect();
        ages.sort_unstable();
        for age in ages {
            let judge = || {
                let opened = self.open_rotated(age.inode)?;
                Ok(u32::from(
                    opened.is_some_and(|(file, stat)| fits(&file, &stat)),
                ))
            };
            if findings.score(question, age.inode, judge)? > 0 {
                return self.open_rotated(age.inode);
            }
        }
        Ok(None)
    }

    /// Finds a file that may be the start of what the client holds: a rotated one that was cut
    /// short while it was copied, or the live one of a box that lost its last writes.
    fn offer_prefix(
        &self,
        asked: Inode,
        held: &Held<'_>,
        v2: &Extension,
        live: Option<&(S::File, Stat)>,
        rotated: &Candidates,
    ) -> Result<Option<Choice<S::File>>, Refusal> {
        let is_prefix =
            |file: &S::File, stat: &Stat| self.fit(file, stat.size, held) == Fit::Prefix;
        // Step 6. A box that was started again may have forgotten writes that it had already sent.
        let other_boot = v2.boot.is_some_and(|boot| boot != self.store.boot());
        let left =
            live.filter(|_| other_boot)
                .and_then(|(file, stat)| match is_prefix(file, stat) {
                    true if !v2.no_prefix => self.last_block(file, stat, held.mapped),
                    _ if stat.id.inode == asked => self.last_common(file, held),
                    _ => None,
                });
        self.all_was_read()?;
        if let Some(block) = left {
            let live = self.open_live()?;
            return Ok(live
                .map(|(file, stat)| self.go_on(file, stat, held, Some((block, false)), rotated)));
        }
        if v2.no_prefix {
            return Ok(None);
        }
        // Step 7. What `cp` had missed when the log was truncated is missing in such a copy for
        // ever.
        let is_newer = |age: Age| v2.mtime_ns.is_none_or(|floor| age.mtime_ns() > floor);
        let is_shorter = |c: &Candidate| c.size > 0 && c.size < held.offset && is_newer(c.age);
        let shorter = self.find_rotated(Question::Prefix, rotated, &is_shorter, &is_prefix)?;
        let choice = shorter.and_then(|(file, stat)| {
            let block = self.last_block(&file, &stat, held.mapped)?;
            Some(self.go_on(file, stat, held, Some((block, true)), rotated))
        });
        self.all_was_read().map(|()| choice)
    }

    /// The last block of what the client holds before which the file is the same, as far as that is
    /// proved; `None` if that is less than half: a log that begins anew with every start of the box
    /// often begins alike.
    fn last_common(&self, file: &S::File, held: &Held<'_>) -> Option<Block> {
        let mut blocks = held.proof.clone();
        blocks.sort_unstable_by_key(|block| block.end());
        let same = |block: &&Block| self.has_block(file, **block, held.mapped);
        let last = blocks.iter().take_while(same).last()?;
        (last.end() >= held.offset / 2).then_some(*last)
    }

    /// Compares a file with what the client proves.
    fn fit(&self, file: &S::File, size: u64, held: &Held<'_>) -> Fit {
        if held.offset > 0 && size == 0 {
            return Fit::No;
        }
        let mut within = held.proof.iter().filter(|block| block.end() <= size);
        let fits = within.all(|block| self.has_block(file, *block, held.mapped));
        if !fits && !mutation::is_on(Mutation::ProofNotChecked) {
            return Fit::No;
        }
        if size >= held.offset {
            Fit::Whole
        } else {
            Fit::Prefix
        }
    }

    /// The client's own generation, from where it stands, or from where a `prefix` of what it holds
    /// ends.
    fn go_on(
        &self,
        file: S::File,
        stat: Stat,
        held: &Held<'_>,
        prefix: Option<(Block, bool)>,
        rotated: &Candidates,
    ) -> Choice<S::File> {
        let mut choice = self.begin(file, stat, rotated);
        choice.offset = prefix.map_or(held.offset, |(block, _)| block.end());
        if let Some(terms) = &mut choice.reply.v2 {
            terms.at = choice.offset;
            terms.mtime_ns = terms.mtime_ns.max(held.floor.map_or(0, Age::mtime_ns));
            choice.then = then(&choice.stat, rotated, terms.mtime_ns);
            terms.prefix = prefix.map(|(block, _)| block);
            terms.ended = prefix.is_some_and(|(_, ended)| ended);
        }
        choice
    }

    /// Another generation in place of the client's, which is nowhere, be it that its file was
    /// truncated or deleted. What it got after the client's last byte, nobody has.
    fn lose(&self, file: S::File, stat: Stat, rotated: &Candidates) -> Choice<S::File> {
        let mut choice = self.begin(file, stat, rotated);
        choice.reply.mark = Mark::Lost;
        if let Some(terms) = &mut choice.reply.v2 {
            terms.lost = true;
        }
        choice
    }

    /// The first generation after the client's, which is nowhere.
    fn lose_held(
        &self,
        asked: Inode,
        held: &Held<'_>,
        live: Option<(S::File, Stat)>,
        rotated: &Candidates,
    ) -> Result<Choice<S::File>, Refusal> {
        // Step 8: what is left that was written later.
        let is_newer = |c: &Candidate| held.is_newer(c);
        if let Some((file, stat)) = self.find_generation(rotated, live.as_ref(), &is_newer)? {
            return Ok(self.lose(file, stat, rotated));
        }
        // Step 8, where none is newer: of a clock that was set back no file tells that it is. What
        // is left of the client's own is where to begin.
        let is_own = |c: &Candidate| c.age.inode == asked;
        if let Some((file, stat)) = self.find_generation(rotated, live.as_ref(), &is_own)? {
            return Ok(self.lose(file, stat, rotated));
        }
        // Step 9.
        let (file, stat) = live.ok_or(Refusal::Missing)?;
        Ok(self.lose(file, stat, rotated))
    }

    /// A generation from its start.
    fn begin(&self, file: S::File, stat: Stat, rotated: &Candidates) -> Choice<S::File> {
        let floor_ns = floor_ns(&stat, rotated);
        let terms = Terms {
            size: stat.size,
            mtime_ns: floor_ns,
            boot: self.store.boot(),
            ..Terms::default()
        };
        let inode = InodeWord::plain(stat.id.inode);
        Choice {
            file,
            offset: 0,
            reply: Reply {
                mark: Mark::Found,
                inode,
                v2: Some(terms),
            },
            place: place_of(&stat, rotated),
            then: then(&stat, rotated, floor_ns),
            stat,
        }
    }
}

/// A moment that no generation older than this one was written after; 0 if there is none.
fn floor_ns(stat: &Stat, rotated: &Candidates) -> u64 {
    let own = candidate_of(stat, rotated).map(|own| own.age);
    let older = rotated.iter().map(|c| c.age);
    let older = older.filter(|age| own.is_none_or(|own| *age < own));
    older.map(Age::mtime_ns).max().unwrap_or(0)
}

/// The rotated file that comes after another one.
fn then(stat: &Stat, rotated: &Candidates, floor_ns: u64) -> Option<Inode> {
    let own = candidate_of(stat, rotated)?.age;
    let others = rotated.iter().filter(|c| !c.is_at_floor(floor_ns));
    order::next_newer(others.map(|c| c.age), own).map(|age| age.inode)
}

#[cfg(test)]
mod tests;
