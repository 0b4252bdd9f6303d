//! Which file is the generation that a client of version 2 holds, and which comes after it. Pure.
//!
//! The inode is where the search begins; what the client proves of its copy decides. See the README, "Protocol,
//! version 2".

mod held;

use super::catalog::{Candidate, Candidates, Choice, Query, Refusal};
use super::order::{self, Age};
use crate::ids::Inode;
use crate::store::{ReadStore, Stat};
use crate::wire::number::InodeWord;
use crate::wire::proof::{self, BLOCK_LEN_MAX, Block, Proof};
use crate::wire::reply::{Mark, Reply, Terms};
use crate::wire::request::{Extension, Request};

/// A generation to be sent from its start.
pub struct NextFile<F> {
    /// The open file.
    pub file: F,
    /// What it is.
    pub stat: Stat,
    /// Whether it is the live file.
    pub live: bool,
    /// Every older generation was last written no later.
    pub floor_ns: u64,
}

/// The generation that was being sent, as far as it is known without its file.
pub struct Sent<'a> {
    /// How much of it was sent.
    pub offset: u64,
    /// The first bytes of that, at most [`GUARD_LEN`].
    pub start: &'a [u8],
    /// The first of that, as a block; `None` if nothing was sent.
    pub head: Option<Block>,
    /// The last bytes of that, at most [`GUARD_LEN`].
    pub guard: &'a [u8],
    /// When it was last seen written.
    pub mtime_ns: u64,
}

/// A copy that somebody made of a generation before truncating it.
pub struct CopyOf<F> {
    /// The open copy.
    pub file: F,
    /// What it is.
    pub stat: Stat,
    /// Its place among the rotated files.
    pub age: Age,
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

/// The file that a client's copy was made of, and whether it is the live one; else the live file, unused.
type Found<F> = Result<(F, Stat, bool), Option<(F, Stat)>>;

/// What a client holds.
struct Held<'a> {
    offset: u64,
    proof: &'a Proof,
    mapped: bool,
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
        if asked == Inode::NONE {
            let oldest = rotated.iter().map(|c| c.age).min().filter(|_| v2.history);
            let oldest = oldest.map(|age| self.open_rotated(age.inode)).transpose()?;
            let oldest = oldest.flatten();
            return match (oldest, live) {
                (Some((file, stat)), _) => Ok(self.begin(file, stat, false, Mark::Found, &rotated)),
                (None, Some((file, stat))) => {
                    Ok(self.begin(file, stat, true, Mark::Found, &rotated))
                }
                (None, None) => Err(Refusal::Missing),
            };
        }
        let held = Held {
            offset: request.offset,
            proof: &v2.proof,
            mapped: v2.mapped,
        };
        let live = match self.find_whole(asked, &held, live, &rotated)? {
            Ok((file, stat, is_live)) => {
                return Ok(self.go_on(file, stat, is_live, request.offset, None, &rotated));
            }
            Err(live) => live,
        };
        if !v2.no_prefix
            && let Some(choice) = self.offer_prefix(&held, v2, live.as_ref(), &rotated)?
        {
            return Ok(choice);
        }
        let after = v2.mtime_ns.map(Age::floor);
        let next = after.map(|after| self.open_newer(&rotated, after));
        if let Some((file, stat)) = next.transpose()?.flatten() {
            return Ok(self.begin(file, stat, false, Mark::Lost, &rotated));
        }
        let (file, stat) = live.ok_or(Refusal::Missing)?;
        Ok(self.begin(file, stat, true, Mark::Lost, &rotated))
    }

    /// What comes after a generation of this age. `successor` is the file that was seen to take over its name, which
    /// counts more than times do.
    pub fn next_after(
        &self,
        after: Age,
        successor: Option<Inode>,
    ) -> Result<NextFile<S::File>, Refusal> {
        let live = self.open_live()?;
        let live_inode = live.as_ref().map(|(_, stat)| stat.id.inode);
        let rotated = self.candidates(live_inode)?;
        let ages = || {
            rotated
                .iter()
                .map(|c| c.age)
                .filter(|age| age.inode != after.inode)
        };
        let seen = ages().find(|age| Some(age.inode) == successor);
        let next = order::next_newer(ages(), after)
            .into_iter()
            .chain(seen)
            .min();
        let next = next.map(|next| self.open_rotated(next.inode));
        if let Some((file, stat)) = next.transpose()?.flatten() {
            let floor_ns = floor_ns(&stat, false, &rotated).max(after.mtime_ns());
            return Ok(NextFile {
                file,
                stat,
                live: false,
                floor_ns,
            });
        }
        let (file, stat) = live.ok_or(Refusal::Missing)?;
        let floor_ns = floor_ns(&stat, true, &rotated).max(after.mtime_ns());
        Ok(NextFile {
            file,
            stat,
            live: true,
            floor_ns,
        })
    }

    /// The place of a generation among the rotated files, or behind all that was written before it.
    pub fn age_of(&self, stat: &Stat) -> Result<Age, Refusal> {
        let rotated = self.candidates(None)?;
        let found = rotated.iter().find(|c| c.age.inode == stat.id.inode);
        Ok(found.map_or(Age::floor(stat.mtime_ns), |c| c.age))
    }

    /// The copy that was made of a generation before it was truncated.
    ///
    /// A copy at least as long as what was sent must have the same end there. A shorter one lacks what was written
    /// while it was made: it must have the same start and be no older than the last write that was seen.
    pub fn copy_of(
        &self,
        sent: &Sent<'_>,
        live: Inode,
    ) -> Result<Option<CopyOf<S::File>>, Refusal> {
        let rotated = self.candidates(Some(live))?;
        let mut ages: heapless::Vec<Age, { crate::limits::CANDIDATES_MAX }> = rotated
            .iter()
            .filter(|c| c.size > 0 && c.age.mtime_ns() >= sent.mtime_ns)
            .map(|c| c.age)
            .collect();
        ages.sort_unstable();
        for age in ages {
            if let Some((file, stat)) = self.open_rotated(age.inode)?
                && self.is_copy(&file, stat.size, sent)
            {
                return Ok(Some(CopyOf { file, stat, age }));
            }
        }
        Ok(None)
    }

    fn is_copy(&self, file: &S::File, size: u64, sent: &Sent<'_>) -> bool {
        let start_len = sent
            .start
            .len()
            .min(usize::try_from(size).unwrap_or(usize::MAX));
        let Some(start) = sent
            .start
            .get(..start_len)
            .filter(|start| !start.is_empty())
        else {
            return false;
        };
        let head = sent.head.filter(|head| head.end() <= size);
        if !self.has_bytes(file, start, 0)
            || !head.is_none_or(|head| self.has_block(file, head, false))
        {
            return false;
        }
        let guard_start = sent.offset.saturating_sub(sent.guard.len() as u64);
        size < sent.offset || self.has_bytes(file, sent.guard, guard_start)
    }

    /// Whether a file has at most [`GUARD_LEN`] bytes at their place.
    fn has_bytes(&self, file: &S::File, bytes: &[u8], start: u64) -> bool {
        let mut buf = [0; GUARD_LEN];
        let Some(found) = buf.get_mut(..bytes.len()) else {
            return false;
        };
        let read = self.store.read_at(file, found, start);
        read.is_ok_and(|len| len == bytes.len()) && found == bytes
    }

    /// Finds the file that holds what the client proves.
    fn find_whole(
        &self,
        asked: Inode,
        held: &Held<'_>,
        live: Option<(S::File, Stat)>,
        rotated: &Candidates,
    ) -> Result<Found<S::File>, Refusal> {
        let fits = |file: &S::File, stat: &Stat| self.fit(file, stat.size, held) == Fit::Whole;
        let live = match live {
            Some((file, stat)) if stat.id.inode == asked && fits(&file, &stat) => {
                return Ok(Ok((file, stat, true)));
            }
            live => live,
        };
        if let Some((file, stat)) = self.open_if_rotated(asked, rotated)?
            && fits(&file, &stat)
        {
            return Ok(Ok((file, stat, false)));
        }
        if held.offset == 0 || held.proof.is_empty() {
            return Ok(Err(live));
        }
        let live = match live {
            Some((file, stat)) if fits(&file, &stat) => return Ok(Ok((file, stat, true))),
            live => live,
        };
        for long_enough in rotated.iter().filter(|c| c.size >= held.offset) {
            if let Some((file, stat)) = self.open_rotated(long_enough.age.inode)?
                && fits(&file, &stat)
            {
                return Ok(Ok((file, stat, false)));
            }
        }
        Ok(Err(live))
    }

    /// Opens the file of this inode, if it is one of the rotated ones and we are permitted to read it.
    fn open_if_rotated(
        &self,
        inode: Inode,
        rotated: &Candidates,
    ) -> Result<Option<(S::File, Stat)>, Refusal> {
        match rotated.iter().any(|c| c.age.inode == inode) {
            true => self.open_rotated(inode),
            false => Ok(None),
        }
    }

    /// Finds a file that may be the start of what the client holds: a rotated one that was cut short while it was
    /// copied, or the live one of a machine that lost its last writes.
    fn offer_prefix(
        &self,
        held: &Held<'_>,
        v2: &Extension,
        live: Option<&(S::File, Stat)>,
        rotated: &Candidates,
    ) -> Result<Option<Choice<S::File>>, Refusal> {
        let is_prefix =
            |file: &S::File, stat: &Stat| self.fit(file, stat.size, held) == Fit::Prefix;
        let offer = |file: S::File, stat: Stat, live: bool| {
            let block = self.last_block(&file, &stat, held.mapped)?;
            let terms = Some((block, !live));
            Some(self.go_on(file, stat, live, stat.size, terms, rotated))
        };
        let other_boot = v2.boot.is_some_and(|boot| boot != self.store.boot());
        if other_boot && live.is_some_and(|(file, stat)| is_prefix(file, stat)) {
            let live = self.open_live()?;
            return Ok(live.and_then(|(file, stat)| offer(file, stat, true)));
        }
        let not_older = |age: Age| v2.mtime_ns.is_none_or(|floor| age.mtime_ns() >= floor);
        let is_shorter = |c: &&Candidate| c.size > 0 && c.size < held.offset && not_older(c.age);
        for shorter in rotated.iter().filter(is_shorter) {
            if let Some((file, stat)) = self.open_rotated(shorter.age.inode)?
                && is_prefix(&file, &stat)
            {
                return Ok(offer(file, stat, false));
            }
        }
        Ok(None)
    }

    /// Compares a file with what the client proves.
    fn fit(&self, file: &S::File, size: u64, held: &Held<'_>) -> Fit {
        if held.offset > 0 && size == 0 {
            return Fit::No;
        }
        let mut within = held.proof.iter().filter(|block| block.end() <= size);
        if !within.all(|block| self.has_block(file, *block, held.mapped)) {
            return Fit::No;
        }
        if size >= held.offset {
            Fit::Whole
        } else {
            Fit::Prefix
        }
    }

    /// Whether a file has a block at its place.
    fn has_block(&self, file: &S::File, block: Block, mapped: bool) -> bool {
        self.checksum(file, block.start, block.len, mapped) == Some(block.crc)
    }

    fn checksum(&self, file: &S::File, start: u64, len: u16, mapped: bool) -> Option<u32> {
        let mut buf = [0; BLOCK_LEN_MAX];
        let bytes = buf.get_mut(..usize::from(len))?;
        let read = self.store.read_at(file, bytes, start).ok()?;
        (read == bytes.len()).then(|| proof::checksum(bytes, mapped))
    }

    /// The last block of a file that is not empty.
    fn last_block(&self, file: &S::File, stat: &Stat, mapped: bool) -> Option<Block> {
        let len = stat.size.min(BLOCK_LEN_MAX as u64) as u16;
        let start = stat.size - u64::from(len);
        let crc = self.checksum(file, start, len, mapped)?;
        Some(Block { start, len, crc })
    }

    /// The client's own generation, from where it stands.
    fn go_on(
        &self,
        file: S::File,
        stat: Stat,
        live: bool,
        at: u64,
        prefix: Option<(Block, bool)>,
        rotated: &Candidates,
    ) -> Choice<S::File> {
        let terms = Terms {
            at,
            size: stat.size,
            mtime_ns: floor_ns(&stat, live, rotated),
            boot: self.store.boot(),
            prefix: prefix.map(|(block, _)| block),
            ended: prefix.is_some_and(|(_, ended)| ended),
        };
        Choice {
            file,
            stat,
            offset: at,
            reply: Reply {
                mark: Mark::Found,
                inode: InodeWord::plain(stat.id.inode),
                v2: Some(terms),
            },
            live,
        }
    }

    /// A generation that is new to the client, from its start.
    fn begin(
        &self,
        file: S::File,
        stat: Stat,
        live: bool,
        mark: Mark,
        rotated: &Candidates,
    ) -> Choice<S::File> {
        let mut choice = self.go_on(file, stat, live, 0, None, rotated);
        choice.reply.mark = mark;
        choice
    }
}

/// Bytes before the offset that are read again with new ones.
pub const GUARD_LEN: usize = 64;

/// A moment that no generation older than this one was written after.
fn floor_ns(stat: &Stat, live: bool, rotated: &Candidates) -> u64 {
    let own = rotated.iter().find(|c| c.age.inode == stat.id.inode);
    let older = rotated
        .iter()
        .filter(|c| live || own.is_some_and(|own| c.age < own.age));
    let written = older.map(|c| c.age.mtime_ns());
    written.chain([stat.mtime_ns]).max().unwrap_or(0)
}
