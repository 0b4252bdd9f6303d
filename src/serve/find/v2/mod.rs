//! The decision on a request of version 2: which file holds the generation that the client has, and
//! which comes after it. Pure.
//!
//! The inode is where the search begins; what the client proves of its copy decides. The steps in
//! the comments are those of PROTOCOL.md, "How the server decides".

mod moved;
pub mod next;
mod oldest;
pub mod recognise;
pub mod replaced;
mod round;

use std::cell::RefCell;
use std::cmp::Ordering;

use self::oldest::{After, Found, floor_ns, then};
use self::recognise::{Fit, Held, Located};
use super::alike::Own;
use super::candidates::{Candidate, Candidates};
use super::findings::Test;
use super::journal::record::{Seq, Standing, State};
use super::left_out::LeftOut;
use super::order::Age;
use super::place::{Place, place_of};
use super::query::{Choice, Generation, Query};
use super::refusal::Refusal;
use super::role::Role;
use super::token::Known;
use crate::ids::Inode;
use crate::store::{ReadStore, Stat};
use crate::wire::number::InodeWord;
use crate::wire::proof::Block;
use crate::wire::reply::{Mark, Reply, Terms};
use crate::wire::request::{Extension, Request};
use crate::wire::token::Token;

impl<S: ReadStore> Query<'_, S> {
    /// Answers a request of version 2.
    pub fn resume(
        &self,
        request: &Request<'_>,
        v2: &Extension,
    ) -> Result<Choice<S::File>, Refusal> {
        let live = self.open_live()?;
        let live_is_there = live.is_some();
        let rotated = self.candidates(live.as_ref().map(|(_, stat)| stat.id))?;
        let asked = request.inode.inode();
        // First contact: INODE 0 names no generation, so nothing has to be found again.
        if asked == Inode::NONE {
            let mut left_out = Vec::new();
            let oldest = match v2.history {
                true => {
                    let after = After {
                        seq: None,
                        is_before_journal: true,
                        own: None,
                        may: &|_| true,
                    };
                    self.find_generation(rotated, live.as_ref(), &after, &mut left_out)?
                }
                false => None,
            };
            let live = live.map(|(file, stat)| self.numbered(file, stat));
            let first = oldest.or(live).ok_or_else(|| self.no_live())?;
            return Ok(Choice {
                left_out,
                ..self.begin(first, rotated)
            });
        }
        // What is held says itself of which file it is.
        let given = match v2.mtime_ns {
            Some(ns) => match self.newest_given(ns, rotated) {
                None if request.offset == 0 => {
                    self.newest_copy_given(ns, rotated, live.as_ref())?
                }
                given => given,
            },
            None => None,
        };
        let held = Held {
            offset: request.offset,
            proof: &v2.proof,
            mapped: v2.mapped,
            floor: v2.mtime_ns.map(Age::floor),
            given,
            known: v2.identity.as_ref().and_then(Known::of),
            same_boot: v2.boot == Some(self.store.boot()),
            fits: RefCell::default(),
        };
        match self.locate(&held, live.as_ref(), rotated)? {
            Located::Here(file, stat) => {
                let choice = self.go_on(file, stat, &held, None, rotated)?;
                return self.refuse_the_end(choice, live_is_there);
            }
            Located::Likely(file, stat, doubt) => {
                let mut choice = self.go_on(file, stat, &held, None, rotated)?;
                choice.left_out.push(doubt);
                return self.refuse_the_end(choice, live_is_there);
            }
            Located::Part(file, stat) if !v2.no_prefix => {
                let block = self.last_block(&file, &stat, held.mapped);
                self.all_was_read()?;
                let prefix = block.map(|block| (block, true));
                return self.go_on(file, stat, &held, prefix, rotated);
            }
            Located::Changed(file, stat) => {
                let mut choice = self.lose(self.numbered(file, stat), rotated, &held, Vec::new());
                // However much the client holds, it is not that.
                if let Some(terms) = &mut choice.reply.v2 {
                    (terms.lost, terms.whole) = (true, false);
                }
                return Ok(choice);
            }
            Located::Part(..) | Located::Gone => {
                return self.lose_held(asked, &held, live, rotated);
            }
            Located::Unsure => {}
        }
        // Steps 1 to 5.
        let live = match self.find_whole(asked, &held, live, rotated)? {
            Ok((file, stat)) if self.is_sure(&stat, asked, &held, rotated)? => {
                let choice = self.go_on(file, stat, &held, None, rotated)?;
                return self.refuse_the_end(choice, live_is_there);
            }
            // Step 1 with `L`: where to go on is known, but perhaps not from where.
            Ok((file, stat)) if held.offset == 0 => {
                return Ok(self.lose(self.numbered(file, stat), rotated, &held, Vec::new()));
            }
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
        let is_prefix = |file: &S::File, stat: &Stat| self.fit(file, stat, held) == Fit::Prefix;
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
            let go_on = |(file, stat)| self.go_on(file, stat, held, Some((block, false)), rotated);
            return live.map(go_on).transpose();
        }
        if v2.no_prefix {
            return Ok(None);
        }
        // Step 7. What `cp` had missed when the log was truncated is missing in such a copy for
        // ever. In one that somebody made there may be as much as there was then.
        let is_newer = |age: Age| v2.mtime_ns.is_none_or(|floor| age.mtime_ns() > floor);
        // Of what begins alike, and is little, nothing tells that it is the client's.
        let is_shorter = |c: &Candidate| {
            let is_part = c.size < held.offset && c.size >= held.offset.div_ceil(2);
            is_part && is_newer(c.age) && !self.is_suspect(c, rotated, live)
        };
        if !self.is_there(asked, held, live, rotated) {
            return Ok(None);
        }
        let shorter = self.find_rotated(Test::Prefix, rotated, &is_shorter, &|file, stat| {
            Ok(is_prefix(file, stat))
        })?;
        let choice = shorter.and_then(|(file, stat)| {
            let block = self.last_block(&file, &stat, held.mapped)?;
            Some(self.go_on(file, stat, held, Some((block, true)), rotated))
        });
        self.all_was_read()?;
        choice.transpose()
    }

    /// Whether there is a file that may be the one that the client names.
    fn is_there(
        &self,
        asked: Inode,
        held: &Held<'_>,
        live: Option<&(S::File, Stat)>,
        rotated: &Candidates,
    ) -> bool {
        let is_live = live.is_some_and(|(file, stat)| {
            stat.id.inode == asked && held.may_be(self.identity(file, stat))
        });
        is_live || rotated.iter().any(|c| held.may_be_own(asked, c))
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
    ) -> Result<Choice<S::File>, Refusal> {
        let mut found = self.numbered(file, stat);
        // A duplicate has no number of its own.
        let is_own = |c: &&Candidate| c.age.id == stat.id && c.standing == Standing::Newcomer;
        if let Some(candidate) = rotated.iter().find(is_own) {
            let live = self.open_live()?;
            let role = self.role(candidate, rotated, live.as_ref())?;
            match role {
                Role::Generation(seq) => found.seq = seq,
                // When it came says nothing of what the journal does not know any more.
                Role::Stray(seq) if self.seq_held(held).is_some() => found.seq = seq,
                _ => {}
            }
        }
        let mut choice = self.begin(found, rotated);
        let late = rotated.iter().filter(|c| self.is_late(c));
        choice.left_out = late.map(LeftOut::written_later).collect();
        choice.offset = prefix.map_or(held.offset, |(block, _)| block.end());
        if let Some(terms) = &mut choice.reply.v2 {
            terms.at = choice.offset;
            terms.mtime_ns = terms.mtime_ns.max(held.floor.map_or(0, Age::mtime_ns));
            choice.then = then(&choice.stat, rotated, terms.mtime_ns);
            terms.prefix = prefix.map(|(block, _)| block);
            terms.ended = prefix.is_some_and(|(_, ended)| ended);
        }
        // Of what the journal saw, nothing came in between.
        if let Some(floor) = held.floor.filter(|_| !self.saw_begin(held)) {
            let own = Own::Open(&choice.file, &choice.stat);
            let passed = self.passed_over(own, floor, rotated)?;
            choice.left_out.extend(passed);
            if held.offset == 0 {
                // Where nothing is held, what cannot be read may have come first.
                let may = |c: &Candidate| held.is_newer(c) && !self.is_given(c);
                let unread = self.left_out(rotated, &may, Some(&choice.stat));
                choice.left_out.extend(unread);
                let set_back = self.set_back(&choice.stat, floor, rotated)?;
                choice.left_out.extend(set_back);
                let at_floor = self.passed_at_floor(&choice.stat, held, rotated)?;
                choice.left_out.extend(at_floor);
            }
        }
        Ok(choice)
    }

    /// The rotated files that were created after the client's generation had begun, and look older:
    /// somebody set their times, or put them back; or all that look older, where that moment is
    /// wrong. Where nothing is held, no byte tells which of them is the client's.
    fn set_back(
        &self,
        found: &Stat,
        floor: Age,
        rotated: &Candidates,
    ) -> Result<Vec<LeftOut>, Refusal> {
        let floor_ns = floor.mtime_ns();
        // What began after a moment was not last written before it.
        let is_wrong = found.size > 0 && found.mtime_ns < floor_ns;
        let is_at_once = |c: &&Candidate| c.written_ns == floor_ns && floor_ns > 0;
        // What came in one moment with what was given may be older or newer.
        let is_several = rotated.iter().filter(is_at_once).count() > 1 && !self.given.is_empty();
        // What comes after all that was given was not there before it, whatever its clock said.
        let last = self.last_given(rotated);
        let is_after_last =
            |c: &Candidate| last.is_some_and(|last| c.inferred_age() > last.inferred_age());
        let is_later = |c: &Candidate| match c.written_ns.cmp(&floor_ns) {
            Ordering::Less => is_wrong || c.birth.at_ns > Some(floor_ns) || is_after_last(c),
            Ordering::Equal => is_several,
            Ordering::Greater => false,
        };
        let may = |c: &&Candidate| c.age.id != found.id && is_later(c);
        self.lacking(rotated.iter().filter(may), rotated)
    }

    /// The rotated files that were last written when the client's generation began, and are newer
    /// than what it was given of that moment, but for their bytes, which were given: generations
    /// may be equal.
    fn passed_at_floor(
        &self,
        found: &Stat,
        held: &Held<'_>,
        rotated: &Candidates,
    ) -> Result<Vec<LeftOut>, Refusal> {
        let mut passed = Vec::new();
        let live = self.open_live()?;
        for candidate in rotated.iter().filter(|c| held.is_at_floor(c)) {
            if candidate.age.id != found.id
                && !self.is_suspect(candidate, rotated, live.as_ref())
                && self.is_one_more(candidate, rotated, live.as_ref())?
            {
                passed.push(LeftOut::duplicate(candidate));
            }
        }
        Ok(passed)
    }

    /// Refuses a client that has all there is, where something that is never served has the live
    /// name: nothing follows then, and it is to know that at once.
    fn refuse_the_end(
        &self,
        choice: Choice<S::File>,
        live_is_there: bool,
    ) -> Result<Choice<S::File>, Refusal> {
        let is_end = choice.place == Place::Latest && choice.offset == choice.stat.size;
        if !is_end || live_is_there {
            return Ok(choice);
        }
        match self.no_live() {
            odd @ Refusal::NotRegular(_) => Err(odd),
            _ => Ok(choice),
        }
    }

    /// Another generation in place of the client's, which is nowhere, be it that its file was
    /// truncated or deleted. What it got after the client's last byte, nobody has.
    fn lose(
        &self,
        found: Found<S::File>,
        rotated: &Candidates,
        held: &Held<'_>,
        left_out: Vec<LeftOut>,
    ) -> Choice<S::File> {
        let whole = self.is_whole(held)
            && self
                .record_held(held)
                .is_some_and(|record| !self.has_loss(record.seq, found.seq, &left_out));
        let mut choice = self.begin(found, rotated);
        choice.left_out = left_out;
        choice.reply.mark = Mark::Lost;
        if let Some(terms) = &mut choice.reply.v2 {
            // Whatever is lost then, was others after it.
            terms.lost = !whole;
            terms.whole = self.is_whole(held);
        }
        choice
    }

    /// Whether the client holds all of its generation, as the journal knows.
    fn is_whole(&self, held: &Held<'_>) -> bool {
        let record = self.record_held(held);
        record.is_some_and(|record| record.state == State::Complete(held.offset))
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
        let copies = self.copies_of_held(held, live.as_ref(), rotated)?;
        // What is the client's own, and does not have what it holds, is not left out.
        let before = |seq: Seq| seq - u32::from(!self.is_whole(held));
        let own_archive = held.known.as_ref().map(|known| known.identity);
        let behind = self.behind_archive(own_archive, rotated);
        let after = After {
            seq: self.seq_held(held).filter(|seq| *seq > 0).map(before),
            is_before_journal: held.is_before_journal(self.journal.epoch()),
            own: None,
            may: &|c| {
                let id = &c.age.id;
                (held.is_newer(c) || behind.contains(id)) && !copies.contains(id)
            },
        };
        let mut left_out = Vec::new();
        let newer = self.find_generation(rotated, live.as_ref(), &after, &mut left_out)?;
        // What the client holds the beginning of may be there and not to be had.
        let is_own = |c: &Candidate| held.may_be_own(asked, c);
        if !self.is_whole(held)
            && let Some(own) = rotated.iter().find(|c| is_own(c))
            && !left_out.iter().any(|it| it.id == Some(own.age.id))
        {
            left_out.extend(self.left_out_itself(own));
        }
        if let Some(found) = newer {
            return Ok(self.lose(found, rotated, held, left_out));
        }
        // Step 8, where none is newer: of a clock that was set back no file tells that it is. What
        // is left of the client's own is where to begin.
        let own = After {
            seq: None,
            is_before_journal: false,
            own: None,
            may: &is_own,
        };
        if let Some(found) = self.find_generation(rotated, live.as_ref(), &own, &mut Vec::new())? {
            return Ok(self.lose(found, rotated, held, left_out));
        }
        // Step 9.
        let (file, stat) = live.ok_or_else(|| self.no_live())?;
        Ok(self.lose(self.numbered(file, stat), rotated, held, left_out))
    }

    /// A file with the number that the journal has for it.
    fn numbered(&self, file: S::File, stat: Stat) -> Found<S::File> {
        let seq = self.seq_of(self.identity(&file, &stat));
        Found {
            file,
            stat,
            seq,
            is_doubtful: false,
        }
    }

    /// A generation from its start.
    fn begin(&self, found: Found<S::File>, rotated: &Candidates) -> Choice<S::File> {
        let Found {
            file, stat, seq, ..
        } = found;
        let identity = self.identity(&file, &stat);
        let floor_ns = floor_ns(&stat, rotated);
        let terms = Terms {
            size: stat.size,
            mtime_ns: floor_ns,
            boot: self.store.boot(),
            identity: self.token(Generation { identity, seq }),
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
            generation: Generation { identity, seq },
        }
    }

    /// What a client is to keep of a generation's identity.
    pub fn token(&self, generation: Generation) -> Option<Token> {
        let Generation { identity, seq } = generation;
        let epoch = self.journal.epoch();
        let known = Known {
            identity,
            epoch,
            seq,
        };
        known.token()
    }
}

#[cfg(test)]
mod tests;
