//! Compressed rotated files: which of them may hold what a client lacks. Pure.
//!
//! The box never inflates. Who can is told of each, and finds out; others are told that there is
//! something.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::candidates::{Candidate, Candidates, name_of};
use super::left_out::{LeftOut, Tail, token_of};
use super::order::{self, Evidence};
use super::query::{Query, open_regular};
use super::refusal::Refusal;
use super::token::given_id;
use crate::ids::Born;
use crate::limits::ARCHIVES_MAX;
use crate::serve::glob::uncompressed;
use crate::sorting::sort_by_key;
use crate::store::{ReadStore, Stat};
use crate::wire::given::archive_sum;
use crate::wire::request::{Extension, Given, Request, id_sum};

/// A second in nanoseconds.
const SECOND_NS: u64 = 1_000_000_000;

/// What a client lacks, as far as it told.
pub struct Lacking<'a> {
    /// All that is older was last written no later.
    pub floor_ns: u64,
    /// The sum of the token of what it holds.
    pub own: Option<u32>,
    /// How much it holds of that.
    pub offset: u64,
    /// The archives that it does not want.
    pub settled: &'a [u32],
    /// It can take them.
    pub can_inflate: bool,
}

impl<'a> Lacking<'a> {
    /// What a request tells.
    pub fn of(request: &Request<'_>, v2: &'a Extension) -> Lacking<'a> {
        Lacking {
            floor_ns: v2.mtime_ns.unwrap_or(0),
            own: v2.identity.as_ref().map(id_sum),
            offset: request.offset,
            settled: &v2.settled,
            can_inflate: v2.gz,
        }
    }
}

impl<S: ReadStore> Query<'_, S> {
    /// The compressed files that may hold something of the generation which a client asks for, or
    /// that came between that and what was `chosen`, oldest first. Tells besides whether one is
    /// there of which the client holds all.
    pub fn archives(
        &self,
        lacking: &Lacking<'_>,
        chosen: &Stat,
    ) -> Result<(Vec<LeftOut>, bool), Refusal> {
        let rotated = self.candidates(self.live_id())?;
        let floor_ns = lacking.floor_ns;
        let mut is_own_there = false;
        let mut archives: Vec<&Candidate> = rotated.archives().iter().collect();
        let ages = self.ages(&archives, chosen, rotated);
        let mut numbers: Vec<usize> = (0..archives.len()).collect();
        sort_by_key(&mut numbers, |&at| ages[at].0);
        archives = numbers.iter().map(|&at| archives[at]).collect();
        let mut found = Vec::new();
        for (archive, at) in archives.into_iter().zip(numbers) {
            // What is there uncompressed counts, and the other one is in the making.
            let before = uncompressed(archive.path().as_os_str().as_bytes()).map(OsStr::from_bytes);
            let is_beside = |c: &Candidate| Some(c.path().as_os_str()) == before;
            let id = given_id(archive.identity());
            // Some compressors keep the second alone.
            let may_be_ns = match archive.written_ns % SECOND_NS {
                0 => archive.written_ns + (SECOND_NS - 1),
                _ => archive.written_ns,
            };
            if may_be_ns < floor_ns || !ages[at].1 || rotated.iter().any(is_beside) {
                continue;
            }
            let Ok((file, stat)) = open_regular(self.store, archive.path()) else {
                continue;
            };
            let identity = archive.identity();
            let sum = token_of(identity).map(|token| archive_sum(&token, stat.size, stat.mtime_ns));
            let is_settled = sum.is_some_and(|sum| lacking.settled.contains(&sum));
            let tail = Tail {
                written_ns: stat.mtime_ns,
                is_fresh: stat.mtime_ns > self.quiet_since_ns,
                last: self.last_of(&file, &stat),
                is_gzip: archive.path().extension() == Some(OsStr::new("gz")),
            };
            let size = u32::from_le_bytes([tail.last[4], tail.last[5], tail.last[6], tail.last[7]]);
            let has_size = |all: u64| tail.is_gzip && all as u32 == size;
            let is_own = lacking.own == id && id.is_some();
            if is_own && (is_settled || has_size(lacking.offset)) {
                is_own_there = true;
                // What is older was given, or is not wanted.
                found.clear();
                continue;
            }
            let is_given = |given: &Given| {
                let is_older = archive.written_ns <= floor_ns || !lacking.can_inflate;
                // Without a birth the inode may be another file's by now.
                let is_it = given.id == id && id.is_some() && identity.born != Born::Unknown;
                is_it || (given.id == id || is_older) && has_size(given.size)
            };
            if is_settled || !is_own && self.given.iter().any(is_given) {
                continue;
            }
            if found.len() < ARCHIVES_MAX {
                found.push(LeftOut::compressed(archive, stat.size, tail));
            }
        }
        Ok((found, is_own_there))
    }

    /// The places of archives in the order of generations, and whether they may come before what
    /// was chosen.
    fn ages(
        &self,
        archives: &[&Candidate],
        chosen: &Stat,
        rotated: &Candidates,
    ) -> Vec<(order::Age, bool)> {
        fn evidence(c: &Candidate) -> Evidence<'_> {
            let name = name_of(c.path());
            Evidence {
                name: uncompressed(name).unwrap_or(name),
                mtime_ns: c.written_ns,
                born_ns: c.birth.at_ns,
                id: c.age.id,
            }
        }
        let chosen = rotated.iter().find(|c| c.age.id == chosen.id);
        let all = archives.iter().copied().chain(chosen);
        let all: Vec<Evidence<'_>> = all.map(evidence).collect();
        let mut placed = order::arrange(name_of(&self.entry.path), &all);
        let chosen = chosen.and_then(|_| placed.pop());
        let is_before = |placed: &order::Placed| {
            chosen
                .is_none_or(|chosen| placed.age < chosen.age || placed.is_doubtful_beside(&chosen))
        };
        placed
            .iter()
            .map(|placed| (placed.age, is_before(placed)))
            .collect()
    }

    /// The last bytes of a file; zeros where there are not so many, or where they cannot be read.
    fn last_of(&self, file: &S::File, stat: &Stat) -> [u8; 8] {
        let mut last = [0; 8];
        let from = stat.size.checked_sub(last.len() as u64);
        match from.map(|from| self.store.read_at(file, &mut last, from)) {
            Some(Ok(8)) => last,
            _ => [0; 8],
        }
    }
}
