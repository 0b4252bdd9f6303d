//! Files that are equal and were last written at the same moment: how many of them the client was
//! given. Pure.

use std::cmp::Reverse;

use super::candidates::{Candidate, Candidates};
use super::findings::Test;
use super::query::Query;
use super::refusal::Refusal;
use crate::sorting::sort_by_key;
use crate::store::{ReadStore, Stat};
use crate::wire::request::Given;

impl<S: ReadStore> Query<'_, S> {
    /// The newest of the files that were last written at this moment and whose bytes the client was
    /// given from others, which were emptied since.
    pub(super) fn newest_copy_given<'c>(
        &self,
        mtime_ns: u64,
        rotated: &'c Candidates,
        live: Option<&(S::File, Stat)>,
    ) -> Result<Option<&'c Candidate>, Refusal> {
        let may = |c: &&Candidate| c.written_ns == mtime_ns && c.size > 0;
        let mut copies: Vec<&Candidate> = rotated.iter().filter(may).collect();
        sort_by_key(&mut copies, |c| Reverse(c.inferred_age()));
        for copy in copies {
            if !self.is_suspect(copy, rotated, live)
                && self.was_given(copy, rotated, live)?
                && !self.is_one_more(copy, rotated, live)?
            {
                return Ok(Some(copy));
            }
        }
        Ok(None)
    }

    /// Whether a file has bytes that were given, and is one more than were given of those that were
    /// last written at the same moment: it is not certain that it is no other generation.
    pub(super) fn is_one_more(
        &self,
        candidate: &Candidate,
        rotated: &Candidates,
        live: Option<&(S::File, Stat)>,
    ) -> Result<bool, Refusal> {
        let (size, written_ns) = (candidate.size, candidate.written_ns);
        if !self.given.iter().any(|given| given.size == size) {
            return Ok(false);
        }
        let md5 = self.digest_of(candidate)?;
        let is_alike = |given: &&Given| given.size == size && given.md5.is_none_or(|it| it == md5);
        let count = self.given.iter().filter(is_alike).count();
        let may = |c: &&Candidate| {
            c.size == size
                && c.written_ns == written_ns
                && c.inferred_age() < candidate.inferred_age()
                && !self.is_suspect(c, rotated, live)
        };
        let mut older = 0;
        for other in rotated.iter().filter(may) {
            older += usize::from(self.digest_of(other)? == md5);
        }
        Ok(count > 0 && older >= count)
    }

    /// The first four bytes of the MD5 of a rotated file.
    fn digest_of(&self, candidate: &Candidate) -> Result<u32, Refusal> {
        let findings = self.findings.ok_or(Refusal::Later)?;
        let (id, size) = (candidate.age.id, candidate.size);
        findings.score(Test::Digest, id, || {
            let Some((file, _)) = self.open_rotated(id)? else {
                return Ok(0);
            };
            let md5 = findings.start_of_md5(self.store, id, &file, size)?;
            Ok(md5.unwrap_or(0))
        })
    }
}
