//! Where a client's generation is that is no longer in its own file, or may not be: in a copy that
//! somebody made of it before that was emptied, deleted or moved to another file system. Pure.

use super::recognise::{Fit, Held, Located};
use crate::ids::FileId;
use crate::serve::find::candidates::{Candidate, Candidates};
use crate::serve::find::compare::Whole;
use crate::serve::find::findings::Test;
use crate::serve::find::journal::record::Standing;
use crate::serve::find::left_out::LeftOut;
use crate::serve::find::place::candidate_of;
use crate::serve::find::query::Query;
use crate::serve::find::refusal::Refusal;
use crate::serve::find::token::Known;
use crate::store::{ReadStore, Stat};
use crate::wire::proof::BLOCK_LEN_MAX;

/// To copy a log takes no longer than this, mostly.
const COPY_NS_MAX: u64 = 1_000_000_000;

impl Held<'_> {
    /// Whether a generation that is older than the client's is still there. Rotators delete the
    /// oldest first.
    fn has_older(&self, rotated: &Candidates) -> bool {
        self.floor.is_some_and(|floor| {
            let mut rotated = rotated.iter();
            rotated.any(|c| c.inferred_age() <= floor)
        })
    }

    /// Whether a file shows that it was copied, as a move to another file system does: it was
    /// created after its last write, or is on another device than the client's file.
    fn was_moved_to(&self, candidate: &Candidate) -> bool {
        let is_elsewhere =
            |known: Known| self.same_boot && known.identity.id.device != candidate.age.id.device;
        candidate.is_copied() || self.known.is_some_and(is_elsewhere)
    }
}

/// What the other files of a log tell of how its generations begin.
enum Others {
    /// There are none.
    None,
    /// None of them begins like what the client holds.
    Unlike,
    /// One of them may.
    Alike,
}

impl<S: ReadStore> Query<'_, S> {
    /// Where that is which the client holds of the live file: there, or in a duplicate that was
    /// made of it before it was emptied and grew again. Such a one was created later than the live
    /// file, and is no duplicate of what that holds now; but generations that begin alike leave a
    /// doubt.
    pub(super) fn life_held(
        &self,
        held: &Held<'_>,
        live: (S::File, Stat),
        rotated: &Candidates,
    ) -> Result<Located<S::File>, Refusal> {
        let (file, stat) = live;
        let born_ns = self.store.birth_of(&file, stat.id.device).at_ns;
        let may = |c: &Candidate| {
            let is_later = c.birth.at_ns.is_some_and(|at| Some(at) > born_ns);
            let is_generation = matches!(c.standing, Standing::Generation(_));
            // What was given before is no copy of what is held now.
            let is_other = is_generation || self.is_given(c);
            is_later && !is_other && c.size >= held.offset && held.is_newer(c)
        };
        if held.offset == 0 || born_ns.is_none() {
            return Ok(Located::Here(file, stat));
        }
        let fits = |other: &S::File, other_stat: &Stat, is_within: bool| {
            let within = other_stat.size <= stat.size
                && self.has_ends(other, &file, other_stat.size, Whole::Repeated);
            Ok(within == is_within && self.fit(other, other_stat, held) == Fit::Whole)
        };
        let before = self.find_rotated(Test::Since, rotated, &may, &|other, other_stat| {
            fits(other, other_stat, false)
        })?;
        let within = self.find_rotated(Test::Within, rotated, &may, &|other, other_stat| {
            fits(other, other_stat, true)
        })?;
        let age_of = |stat: &Stat| candidate_of(stat, rotated).map(|c| c.age);
        let before_age = before.as_ref().and_then(|(_, stat)| age_of(stat));
        if let Some((start, start_stat)) = within
            && before_age.is_none_or(|before| age_of(&start_stat).is_some_and(|own| own < before))
            // It may be about to be emptied.
            && start_stat.mtime_ns < self.quiet_since_ns
        {
            let before_id = before.as_ref().map_or(stat.id, |(_, stat)| stat.id);
            let same = [stat.id, start_stat.id, before_id];
            let others = self.others(&same, held, None, rotated)?;
            let start_candidate = candidate_of(&start_stat, rotated);
            match (others, start_candidate) {
                (Others::Unlike, _) => {}
                // To copy a log is more usual than to write the same twice.
                (Others::None, Some(start)) if before.is_none() => {
                    return Ok(Located::Likely(file, stat, LeftOut::duplicate(start)));
                }
                _ => {
                    let is_copied = start_candidate.is_some_and(Candidate::is_copied);
                    let start = Some((start, start_stat)).filter(|_| !is_copied);
                    let (file, stat) = start.or(before).unwrap_or((file, stat));
                    return Ok(self.likely(file, stat, rotated));
                }
            }
        }
        self.all_was_read()?;
        let (file, stat) = before.unwrap_or((file, stat));
        Ok(Located::Here(file, stat))
    }

    /// The client's file is gone. What it held may have been moved to another file system, or put
    /// back: then the file has to look like a copy, or the bytes have to be sure. Where the files
    /// of the log begin alike, neither is, and that is said.
    pub(super) fn find_moved(
        &self,
        held: &Held<'_>,
        live: Option<&(S::File, Stat)>,
        rotated: &Candidates,
    ) -> Result<Located<S::File>, Refusal> {
        let duplicates = self.duplicates(rotated, live)?;
        let is_sure = |file: &S::File, stat: &Stat| {
            held.offset >= BLOCK_LEN_MAX as u64
                && self.fit(file, stat, held) == Fit::Whole
                && self.is_telling(file, held.offset)
        };
        let may = |c: &Candidate| {
            let is_copy = duplicates.contains(&c.age.id);
            !is_copy && c.size >= held.offset && self.is_open_to(c, held)
        };
        // The first that was written since the client's generation began is that, if it is there.
        // Of what the journal saw, it knows into which file it was moved.
        let has_record = self.seq_held(held).is_some();
        let is_copy = |c: &Candidate| held.was_moved_to(c) || !self.has_grown(c);
        let may_be_copy = |c: &Candidate| {
            held.offset > 0 && !has_record && may(c) && held.is_newer(c) && is_copy(c)
        };
        let copy = self.find_rotated(Test::Since, rotated, &may_be_copy, &|file, stat| {
            Ok(self.fit(file, stat, held) == Fit::Whole)
        })?;
        if let Some((file, stat)) = copy {
            let is_moved = candidate_of(&stat, rotated).is_some_and(|c| held.was_moved_to(c));
            return match is_moved && held.has_older(rotated) {
                true => Ok(Located::Here(file, stat)),
                false => self.here_if_alone(file, stat, held, live, rotated),
            };
        }
        let alike = self.find_rotated(Test::Sure, rotated, &may, &|file, stat| {
            Ok(is_sure(file, stat))
        })?;
        if let Some((file, stat)) = alike {
            return self.here_if_alone(file, stat, held, live, rotated);
        }
        let may_be_live = |file: &S::File, stat: &Stat| {
            let seq = self.seq_of(self.identity(file, stat));
            self.seq_held(held).is_none_or(|own| seq == 0 || seq == own)
        };
        let is_live =
            live.is_some_and(|(file, stat)| may_be_live(file, stat) && is_sure(file, stat));
        self.all_was_read()?;
        match self.open_live()? {
            Some((file, stat)) if is_live => self.here_if_alone(file, stat, held, live, rotated),
            _ => Ok(Located::Gone),
        }
    }

    /// A file that has what the client holds; it is the client's for certain only if no other one
    /// begins alike.
    fn here_if_alone(
        &self,
        file: S::File,
        stat: Stat,
        held: &Held<'_>,
        live: Option<&(S::File, Stat)>,
        rotated: &Candidates,
    ) -> Result<Located<S::File>, Refusal> {
        Ok(match self.others(&[stat.id], held, live, rotated)? {
            Others::Unlike => Located::Here(file, stat),
            Others::None | Others::Alike => self.likely(file, stat, rotated),
        })
    }

    fn likely(&self, file: S::File, stat: Stat, rotated: &Candidates) -> Located<S::File> {
        let doubt = LeftOut::uncertain(&stat, rotated, &self.entry.path);
        Located::Likely(file, stat, doubt)
    }

    /// What the files besides some tell. If none of them is like what the client holds as far as it
    /// goes, the generations of this log do not begin alike, or the client holds more than what
    /// they have in common.
    fn others(
        &self,
        some: &[FileId],
        held: &Held<'_>,
        live: Option<&(S::File, Stat)>,
        rotated: &Candidates,
    ) -> Result<Others, Refusal> {
        let starts = held.proof.iter().filter(|block| block.start == 0);
        let Some(start) = starts.min_by_key(|block| block.len) else {
            return Ok(Others::Alike);
        };
        let is_other = |id: FileId, size: u64| !some.contains(&id) && size >= start.end();
        // What they have in common ends within what is held, if they differ from that.
        let is_alike = |file: &S::File, stat: &Stat| {
            self.has_block(file, *start, held.mapped) && self.fit(file, stat, held) != Fit::No
        };
        let live = live.filter(|(_, stat)| is_other(stat.id, stat.size));
        if live.is_some_and(|(file, stat)| is_alike(file, stat)) {
            return Ok(Others::Alike);
        }
        let may = |c: &Candidate| is_other(c.age.id, c.size);
        let alike = self.find_rotated(Test::Alike, rotated, &may, &|file, stat| {
            Ok(is_alike(file, stat))
        })?;
        self.all_was_read()?;
        Ok(match alike {
            Some(_) => Others::Alike,
            None if live.is_some() || rotated.iter().any(may) => Others::Unlike,
            None => Others::None,
        })
    }

    /// Whether a file was written to for longer than it takes to make a copy: then it is a
    /// generation of its own.
    fn has_grown(&self, candidate: &Candidate) -> bool {
        let born_ns = candidate.birth.at_ns;
        born_ns.is_some_and(|born_ns| candidate.written_ns.saturating_sub(born_ns) > COPY_NS_MAX)
    }
}
