//! How the file is recognised that holds what a client proves of its copy. Pure.

use crate::ids::Inode;
use crate::mutation::{self, Mutation};
use crate::serve::find::findings::{Candidate, Candidates, Test};
use crate::serve::find::order::Age;
use crate::serve::find::place::candidate_of;
use crate::serve::find::query::Query;
use crate::serve::find::refusal::Refusal;
use crate::store::{ReadStore, Stat};
use crate::wire::proof::{Block, Proof, START_LEN};

/// How well a file fits what a client holds.
#[derive(PartialEq, Eq)]
pub(super) enum Fit {
    /// It holds all that the client proves, and at least as much.
    Whole,
    /// It is shorter than the client's copy, and nothing says that it is not its start.
    Prefix,
    /// It is another file.
    No,
}

/// The file that a client's copy was made of; else the live file, unused.
pub(in crate::serve::find) type WholeOrLive<F> = Result<(F, Stat), Option<(F, Stat)>>;

/// What a client holds.
pub(in crate::serve::find) struct Held<'a> {
    pub(in crate::serve::find) offset: u64,
    pub(in crate::serve::find) proof: &'a Proof,
    pub(in crate::serve::find) mapped: bool,
    /// What is older than the client's generation was last written no later.
    pub(in crate::serve::find) floor: Option<Age>,
}

impl Held<'_> {
    /// Whether a rotated file was written after the client's generation had begun.
    pub(super) fn is_newer(&self, rotated: &Candidate) -> bool {
        self.floor
            .is_some_and(|floor| rotated.age > floor && !rotated.is_at_floor(floor.mtime_ns()))
    }

    /// Whether no generation after the client's has been deleted to make room: one older than that
    /// is still there, or there never was one.
    pub(super) fn none_after_is_gone(&self, rotated: &Candidates) -> bool {
        self.floor
            .is_some_and(|floor| floor.mtime_ns() == 0 || rotated.iter().any(|c| c.age <= floor))
    }
}

impl<S: ReadStore> Query<'_, S> {
    /// Finds the file that holds what the client proves.
    ///
    /// The inode alone does not tell: the live file keeps it where it is truncated after a copy was
    /// made, and a new file may have it. But the client's generation is the first that was written
    /// since it began, so of the files that have what the client proves, the oldest of that time is
    /// it.
    pub(in crate::serve::find) fn find_whole(
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
            if let Some((file, stat)) = self.find_rotated(Test::Since, rotated, &may, &is_it)? {
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
        let older = self.find_rotated(Test::Whole, rotated, &may, &fits)?;
        Ok(older.ok_or(live))
    }

    /// Whether a file that has what the client holds is the client's, and not a later one: it has
    /// the inode, or none was deleted, or the client holds much, or what no other file begins with.
    /// Logs may all begin with the same line.
    pub(super) fn is_sure(
        &self,
        found: &Stat,
        asked: Inode,
        held: &Held<'_>,
        rotated: &Candidates,
    ) -> Result<bool, Refusal> {
        let own = rotated.iter().find(|c| c.age.inode == asked);
        let is_doubtful = own
            .zip(candidate_of(found, rotated))
            .is_some_and(|(own, found)| own.is_doubtful_beside(found));
        // Nothing but the order says that one of which nothing is held came first.
        if held.offset == 0 && is_doubtful {
            return Ok(false);
        }
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
        let other = self.find_rotated(Test::Whole, rotated, &may, &fits)?;
        self.all_was_read()?;
        Ok(!is_live && other.is_none())
    }

    /// The last block of what the client holds before which the file is the same, as far as that is
    /// proved; `None` if that is less than half: a log that begins anew with every start of the
    /// box often begins alike.
    pub(super) fn last_common(&self, file: &S::File, held: &Held<'_>) -> Option<Block> {
        let mut blocks = held.proof.clone();
        blocks.sort_unstable_by_key(|block| block.end());
        let same = |block: &&Block| self.has_block(file, **block, held.mapped);
        let last = blocks.iter().take_while(same).last()?;
        (last.end() >= held.offset / 2).then_some(*last)
    }

    /// Compares a file with what the client proves.
    pub(super) fn fit(&self, file: &S::File, size: u64, held: &Held<'_>) -> Fit {
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
}
