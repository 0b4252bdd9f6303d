//! The decision on a request of version 2: which file holds the generation that the client has, and
//! which comes after it. Pure.
//!
//! The inode is where the search begins; what the client proves of its copy decides. The steps in
//! the comments are those of the README, "How the server decides".

pub mod next;
mod oldest;
pub mod recognise;

use self::oldest::{floor_ns, then};
use self::recognise::{Fit, Held};
use super::findings::{Candidate, Candidates, Test};
use super::order::Age;
use super::place::place_of;
use super::query::{Choice, Query};
use super::refusal::Refusal;
use crate::ids::Inode;
use crate::store::{ReadStore, Stat};
use crate::wire::number::InodeWord;
use crate::wire::proof::Block;
use crate::wire::reply::{Mark, Reply, Terms};
use crate::wire::request::{Extension, Request};

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
            let may = |_: &Candidate| v2.history;
            let oldest = self.find_generation(rotated, live.as_ref(), &may)?;
            let left_out = match v2.history {
                true => self.left_out(rotated, &may, oldest.as_ref().map(|(_, stat)| stat)),
                false => Vec::new(),
            };
            let (file, stat) = oldest.or(live).ok_or(Refusal::Missing)?;
            return Ok(Choice {
                left_out,
                ..self.begin(file, stat, rotated)
            });
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
        // Step 6. A box that was started again may have forgotten writes that it had already
        // sent.
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
        let shorter = self.find_rotated(Test::Prefix, rotated, &is_shorter, &is_prefix)?;
        let choice = shorter.and_then(|(file, stat)| {
            let block = self.last_block(&file, &stat, held.mapped)?;
            Some(self.go_on(file, stat, held, Some((block, true)), rotated))
        });
        self.all_was_read().map(|()| choice)
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
        let newer = self.find_generation(rotated, live.as_ref(), &is_newer)?;
        let mut left_out = self.left_out(rotated, &is_newer, newer.as_ref().map(|(_, stat)| stat));
        // What the client holds the beginning of may be there and not to be had.
        if !left_out.iter().any(|it| it.inode == asked) {
            left_out.extend(self.left_out_itself(rotated, asked));
        }
        let lose = |file, stat| Choice {
            left_out,
            ..self.lose(file, stat, rotated)
        };
        if let Some((file, stat)) = newer {
            return Ok(lose(file, stat));
        }
        // Step 8, where none is newer: of a clock that was set back no file tells that it is. What
        // is left of the client's own is where to begin.
        let is_own = |c: &Candidate| c.age.inode == asked;
        if let Some((file, stat)) = self.find_generation(rotated, live.as_ref(), &is_own)? {
            return Ok(lose(file, stat));
        }
        // Step 9.
        let (file, stat) = live.ok_or(Refusal::Missing)?;
        Ok(lose(file, stat))
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
            left_out: Vec::new(),
            stat,
        }
    }
}

#[cfg(test)]
mod tests;
