//! The file that a client means that asks something about a copy: for its digest, checksums, or a
//! part of it.
//!
//! Such a copy may be damaged, and whoever compares it wants to know where. So where no file fits
//! all that the client proves, the one that fits most of it is meant.

use std::cell::RefCell;

use super::candidates::{Candidate, Candidates};
use super::findings::Test;
use super::query::{Query, open_regular};
use super::refusal::Refusal;
use super::token::{Known, given_id};
use super::v2::recognise::Held;
use crate::ids::{Inode, Sameness};
use crate::store::{ReadStore, Stat};
use crate::wire::proof::Block;
use crate::wire::request::{Extension, Request, id_sum};
use crate::wire::token::Token;

impl<S: ReadStore> Query<'_, S> {
    /// The file of the generation that a client asks something about: the one it proves, else the
    /// one of which it proves most, else the one with its inode. With inode 0 only what is proved
    /// counts. But the file whose token the client has is the one.
    pub fn held(&self, request: &Request<'_>, v2: &Extension) -> Result<(S::File, Stat), Refusal> {
        // Kept open from here on: what is judged is what is answered from, whatever happens to its
        // name.
        let live = self.open_live()?;
        let rotated = self.candidates(live.as_ref().map(|(_, stat)| stat.id))?;
        let asked = request.inode.inode();
        let held = Held {
            offset: request.offset,
            proof: &v2.proof,
            mapped: v2.mapped,
            floor: None,
            given: None,
            known: v2.identity.as_ref().and_then(Known::of),
            same_boot: false,
            fits: RefCell::default(),
        };
        let token = v2.identity.as_ref();
        if let Some(opened) = self.of_token(token, &held, live.as_ref(), rotated)? {
            return Ok(opened);
        }
        // Steps 1 to 3 go by the inode; who names none wants to be found by content alone.
        let live = if asked == Inode::NONE {
            live
        } else {
            match self.find_whole(asked, &held, live, rotated)? {
                Ok(found) => return Ok(found),
                Err(live) => live,
            }
        };
        // Likeness needs the rotated files, so without a search there is nothing to compare yet.
        let findings = self.findings.ok_or(Refusal::Later)?;
        let of_live = |(file, stat): &(S::File, Stat)| self.likeness(file, stat, asked, &held);
        let mut most = live.as_ref().map_or(0, of_live);
        let mut best = None;
        for candidate in rotated.iter() {
            let id = candidate.age.id;
            let judge = || {
                let opened = self.open_rotated(id)?;
                Ok(opened.map_or(0, |(file, stat)| self.likeness(&file, &stat, asked, &held)))
            };
            let likeness = findings.score(Test::Likeness, id, judge)?;
            // Of two that are equally like it the first one stays: the live file, then as they were
            // found.
            if likeness > most {
                most = likeness;
                best = Some(id);
            }
        }
        let found = match best {
            Some(id) => self.open_rotated(id)?,
            None => live.filter(|_| most > 0),
        };
        found.ok_or(Refusal::Missing)
    }

    /// The file whose token the client has.
    fn of_token(
        &self,
        token: Option<&Token>,
        held: &Held<'_>,
        live: Option<&(S::File, Stat)>,
        rotated: &Candidates,
    ) -> Result<Option<(S::File, Stat)>, Refusal> {
        let is_it = |identity| held.compare(identity) == Sameness::Same;
        if let Some(own) = rotated.iter().find(|c| is_it(c.identity())) {
            return self.open_rotated(own.age.id);
        }
        let named = |c: &&Candidate| {
            let id = given_id(c.identity());
            id.is_some() && id == token.map(id_sum)
        };
        if let Some(archive) = rotated.archives().iter().find(named) {
            let opened = open_regular(self.store, archive.path()).ok();
            return Ok(opened.filter(|(_, stat)| stat.id == archive.age.id));
        }
        match live {
            Some((file, stat)) if is_it(self.identity(file, stat)) => self.open_live(),
            _ => Ok(None),
        }
    }

    /// How much a file is like a client's copy; 0 if nothing but its size and zeros may be. What
    /// comes first counts most: blocks of the proof that it has, the inode that the client names,
    /// the size of the copy, being no shorter than that.
    fn likeness(&self, file: &S::File, stat: &Stat, asked: Inode, held: &Held<'_>) -> u32 {
        let is_same =
            |block: &Block| block.end() <= stat.size && self.has_block(file, *block, held.mapped);
        let same = held.proof.iter().filter(|block| is_same(block));
        let (blocks, zeros) = same.fold((0, 0), |(blocks, zeros), block| {
            (blocks + 1, zeros + u32::from(block.is_zeros()))
        });
        // Files that are allocated ahead have zeros in common, and nothing else. Where there is
        // nothing but zeros, all of them tell.
        let is_all = blocks == held.proof.len() as u32 && stat.size == held.offset;
        let blocks = if is_all { blocks } else { blocks - zeros };
        // One number, so that findings can keep it: the number of blocks first, then these bits in
        // the order in which they count.
        let bits = [
            stat.id.inode == asked,
            stat.size == held.offset,
            stat.size >= held.offset,
        ];
        let likeness = bits.iter().fold(blocks, |n, &bit| n << 1 | u32::from(bit));
        // Size alone says nothing: many files have it by chance.
        match blocks > 0 || stat.id.inode == asked {
            true => likeness,
            false => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Identity;
    use crate::inside::fake::Fake;
    use crate::inside::search::{query_of, search};
    use crate::serve::config::Config;
    use crate::serve::find::journal::Journal;
    use crate::wire::number::InodeWord;
    use crate::wire::proof::{self, Proof};

    /// Three generations, the newest one live: 1 is m.2, 2 is m.1, 3 is m.
    fn disk() -> Fake {
        let disk = Fake::new();
        for (at_ms, path, inode, bytes) in [
            (1_000, "/v/m.2", 1, &b"one one one one "[..]),
            (2_000, "/v/m.1", 2, b"two two two two "),
            (3_000, "/v/m", 3, b"three three thr"),
        ] {
            disk.at_ms(at_ms);
            disk.write_as(path, inode, bytes);
        }
        disk
    }

    /// A copy proved in pieces of four bytes.
    fn proof_of(copy: &[u8]) -> Proof {
        let blocks = copy.chunks(4).zip((0..).step_by(4));
        let block = |(bytes, start): (&[u8], u64)| Block {
            start,
            len: bytes.len() as u16,
            crc: proof::checksum(&mut bytes.to_vec(), false),
        };
        blocks.map(block).collect()
    }

    /// The inode of the file that answers for a copy.
    fn found(disk: &Fake, inode: u64, copy: &[u8]) -> Option<u64> {
        found_by(disk, inode, copy.len() as u64, proof_of(copy))
    }

    fn found_by(disk: &Fake, inode: u64, offset: u64, proof: Proof) -> Option<u64> {
        let v2 = Extension {
            proof,
            ..Extension::default()
        };
        found_with(disk, inode, offset, v2)
    }

    fn found_with(disk: &Fake, inode: u64, offset: u64, v2: Extension) -> Option<u64> {
        let config = Config::parse(b"$files{'/v/m'} = '/v/m.*[0-9]';").unwrap();
        let journal = Journal::new(1);
        let query = query_of(disk, &config, &journal);
        let request = Request {
            path: b"/v/m",
            inode: InodeWord::plain(Inode(inode)),
            offset,
            v2: None,
        };
        search(&query, |query| query.held(&request, &v2))
            .ok()
            .map(|(_, stat)| stat.id.inode.0)
    }

    #[test]
    fn inode_0_with_a_proof_finds_by_content() {
        let disk = disk();
        assert_eq!(found(&disk, 0, b"one one one one "), Some(1));
        assert_eq!(found(&disk, 0, b"two two two two "), Some(2));
        assert_eq!(found(&disk, 0, b"three three "), Some(3));
        assert_eq!(found(&disk, 0, b"none none none n"), None);
    }

    #[test]
    fn zeros_that_two_files_have_in_common_make_them_no_more_alike() {
        let disk = Fake::new();
        let file = |start: &[u8]| [start, &[0; 4]].concat();
        for (at_ms, path, inode, start) in [
            (1_000, "/v/m.2", 1, &b"one one "[..]),
            (2_000, "/v/m.1", 2, &[0; 8]),
            (3_000, "/v/m", 3, b"two two "),
        ] {
            disk.at_ms(at_ms);
            disk.write_as(path, inode, &file(start));
        }
        assert_eq!(found(&disk, 0, &file(b"one one ")), Some(1));
        assert_eq!(found(&disk, 0, &file(b"one oXe ")), Some(1));
        assert_eq!(found(&disk, 0, &file(b"gonegone")), None);
        assert_eq!(found(&disk, 3, &file(b"gonegone")), Some(3));
        // Of a log of zeros nothing else can tell.
        assert_eq!(found(&disk, 0, &[0; 12]), Some(2));
        assert_eq!(found(&disk, 0, &[0; 8]), None);
    }

    #[test]
    fn inode_0_without_a_proof_finds_nothing() {
        assert_eq!(found(&disk(), 0, b""), None);
        assert_eq!(found_by(&disk(), 0, 16, Proof::new()), None);
    }

    #[test]
    fn a_damaged_copy_is_one_of_the_file_it_is_most_like() {
        let disk = disk();
        for inode in [0, 3, 77] {
            assert_eq!(found(&disk, inode, b"one oXe one one "), Some(1), "{inode}");
            assert_eq!(found(&disk, inode, b"two XXXXXXXXXXXX"), Some(2), "{inode}");
        }
        assert_eq!(found(&disk, 0, b"three tXree thr"), Some(3));
    }

    #[test]
    fn a_file_shorter_than_the_copy_is_its_start() {
        let disk = disk();
        assert_eq!(found(&disk, 0, b"two two two two more"), Some(2));
        assert_eq!(found(&disk, 3, b"two two two two more"), Some(2));
    }

    #[test]
    fn of_files_with_the_same_start_the_size_decides() {
        let disk = disk();
        disk.at_ms(1_500);
        disk.write_as("/v/m.3", 9, b"two two ");
        assert_eq!(found(&disk, 0, b"two two "), Some(9));
        assert_eq!(
            found(&disk, 2, b"two two "),
            Some(2),
            "the inode goes first"
        );
    }

    #[test]
    fn where_nothing_is_alike_the_inode_decides() {
        let disk = disk();
        assert_eq!(found(&disk, 3, b"another file"), Some(3));
        assert_eq!(found(&disk, 1, b"another file"), Some(1));
        assert_eq!(found_by(&disk, 2, 99, Proof::new()), Some(2));
        assert_eq!(found(&disk, 77, b"another file"), None);
    }

    #[test]
    fn the_file_of_a_token_is_meant_whatever_is_proved() {
        let disk = disk();
        let token = |path: &str| {
            let stat = disk.stat_path(path.as_ref()).unwrap();
            let born = disk.birth(path.as_ref(), stat.id.device).born;
            let (identity, epoch, seq) = (Identity { id: stat.id, born }, 9, 0);
            let known = Known {
                identity,
                epoch,
                seq,
            };
            known.token()
        };
        let found = |token, copy: &[u8]| {
            let v2 = Extension {
                proof: proof_of(copy),
                identity: token,
                ..Extension::default()
            };
            found_with(&disk, 0, copy.len() as u64, v2)
        };
        for (path, inode) in [("/v/m.2", 1), ("/v/m.1", 2), ("/v/m", 3)] {
            assert_eq!(found(token(path), b"two "), Some(inode));
            assert_eq!(found(token(path), b""), Some(inode));
        }
        let gone = token("/v/m.1");
        disk.remove("/v/m.1");
        assert_eq!(found(gone, b"one "), Some(1), "then what is proved counts");
        assert_eq!(found(gone, b"two "), None);
    }

    #[test]
    fn without_a_live_file_the_rotated_ones_still_answer() {
        let disk = disk();
        disk.remove("/v/m");
        assert_eq!(found(&disk, 0, b"two two two two "), Some(2));
        assert_eq!(found(&disk, 3, b"three three thr"), None);
    }
}
