//! The next question of a source to its server: what to ask for, and what to prove.

use super::link::{Asked, Purpose};
use super::{Context, Source};
use crate::collect::config::{History, Proto};
use crate::collect::copy::Finished;
use crate::collect::error::SourceError;
use crate::ids::Inode;
use crate::limits::REQUEST_MAX_LEN;
use crate::mutation::{self, Mutation};
use crate::random::Random;
use crate::store::WriteStore;
use crate::wire::classic;
use crate::wire::number::InodeWord;
use crate::wire::proof::{self, BLOCK_LEN_MAX, BLOCKS_MAX, Block, Proof};
use crate::wire::request::{Extension, FrameMax, Op, Request};

/// The number of random places that a request proves besides the start and the end.
const RANDOM_PLACES: usize = 3;

type Line = heapless::Vec<u8, REQUEST_MAX_LEN>;

impl<F> Source<F> {
    /// The next question, and the line that asks it.
    pub(super) fn question<S: WriteStore<File = F>>(
        &mut self,
        cx: &mut Context<'_, S>,
    ) -> Result<(Asked, Line), SourceError> {
        self.find_zeros(cx)?;
        let asked = self.next_question();
        let v2 = match self.config.proto {
            Proto::Classic => None,
            // A server of version 2 would check the proof and send frames; what is wanted here is
            // the classic stream that is compared as it comes.
            _ if self.asks_again(asked) => None,
            Proto::Auto | Proto::V2 => Some(self.extension(asked, cx)?),
        };
        let request = Request {
            path: &self.config.remote,
            inode: InodeWord::plain(asked.inode),
            offset: asked.offset,
            v2,
        };
        // The configuration takes no path that would not fit.
        let line = request.to_line().ok_or(SourceError::NotALogServer)?;
        Ok((asked, line))
    }

    fn next_question(&mut self) -> Asked {
        // A copy that is wrong comes first: the box may rotate its file away any day. Then copies
        // without a digest, for the same reason, then the log.
        let (sums_max, range_max) = (
            self.link.breaks().sums_max(),
            self.link.breaks().range_max(),
        );
        if let Some(heal) = self.finished.heal_mut() {
            heal.ask_for(sums_max, range_max);
            return Asked {
                inode: match heal.finished() {
                    finished if finished.by_content => Inode::NONE,
                    finished => finished.inode,
                },
                offset: heal.finished().size,
                purpose: Purpose::Heal,
            };
        }
        if let Some(finished) = self.finished.queue().to_ask().filter(|_| self.may_ask()) {
            return Asked {
                // Only what is proved tells which file is meant.
                inode: Inode::NONE,
                offset: finished.size,
                purpose: Purpose::Digest,
            };
        }
        // What comes next may be there compressed only.
        if let Some(asked) = self.question_of_archive() {
            return asked;
        }
        let inode = self.disk.inode();
        match inode {
            Some(_) if self.link.is_doubtful() => Asked {
                inode: Inode::NONE,
                offset: 0,
                purpose: Purpose::Probe,
            },
            inode => self.question_of_end().unwrap_or_else(|| Asked {
                inode: inode.unwrap_or(Inode::NONE),
                offset: self.asked_size() + u64::from(mutation::is_on(Mutation::OffsetOffByOne)),
                purpose: Purpose::Follow,
            }),
        }
    }

    /// Whether the server may know what a digest is.
    fn may_ask(&self) -> bool {
        self.config.proto != Proto::Classic
    }

    /// The fields of version 2.
    fn extension<S: WriteStore<File = F>>(
        &mut self,
        asked: Asked,
        cx: &mut Context<'_, S>,
    ) -> Result<Extension, SourceError> {
        if let (Purpose::Heal, Some(heal)) = (asked.purpose, self.finished.heal()) {
            let op = heal.question().unwrap_or(Op::Digest);
            return Ok(Extension {
                frame_max: self.frame_max(op),
                identity: self.token_of_late(heal.finished(), cx),
                ..question_about(heal.finished(), op, cx)
            });
        }
        if let (Purpose::Digest, Some(finished)) = (asked.purpose, self.finished.queue().to_ask()) {
            return Ok(Extension {
                identity: self.token_of_late(finished, cx),
                ..question_about(finished, Op::Digest, cx)
            });
        }
        if let (Purpose::Archive, Some(request)) = (asked.purpose, self.extension_of_archive()) {
            return Ok(request);
        }
        let generation = self.disk.generation();
        // A probe is about the live log alone, whatever is held.
        let generation = generation.filter(|_| asked.purpose != Purpose::Probe);
        let origin = generation.and_then(|generation| generation.origin);
        let op = match asked.purpose {
            Purpose::EndCheck => self.end.op(),
            _ => Op::Stream,
        };
        // Where classic had a part, 0xff may stand for 0x07: both sides compute checksums of the
        // mapped form (PROTOCOL.md, "Proof").
        let mapped = generation.is_some_and(|held| held.classic || self.tries_mapped());
        let mut request = Extension {
            proof: match generation {
                Some(_) => self.prove(asked.offset, mapped, cx)?,
                None => Proof::new(),
            },
            mtime_ns: origin.map(|origin| origin.mtime_ns),
            boot: origin.map(|origin| origin.boot),
            mapped,
            no_prefix: self.link.no_prefix(),
            history: self.config.history == History::All,
            frame_max: self.frame_max(op),
            holes: true,
            notes: true,
            op,
            ..Extension::default()
        };
        if let (Purpose::Follow, Some(held)) = (asked.purpose, &generation) {
            self.tell_given(held, &mut request, cx);
        }
        if asked.purpose == Purpose::Follow {
            self.tell_archives(&mut request);
        }
        Ok(request)
    }

    /// The longest DATA frames to ask for, if there will be any and the link cannot do with all.
    pub(super) fn frame_max(&self, op: Op) -> Option<FrameMax> {
        match op {
            Op::Stream | Op::Range { .. } => self.link.breaks().frame_max(),
            Op::Digest | Op::Sums { .. } | Op::List => None,
        }
    }

    /// Checksums of some places of the copy; of their masked form if classic had a part in it.
    /// Whether that may be so is noted.
    fn prove<S: WriteStore<File = F>>(
        &mut self,
        size: u64,
        mapped: bool,
        cx: &mut Context<'_, S>,
    ) -> Result<Proof, SourceError> {
        let mut proof = Proof::new();
        // Where every byte counts, what is not needed to know the file again is left out.
        let random_places = match self.link.breaks().is_poor() {
            true => 1,
            false => RANDOM_PLACES,
        };
        let covered = self.disk.unproved_len();
        let mut has_masked = false;
        for (start, len) in places(size, covered, random_places, cx.random) {
            let mut buf = [0; BLOCK_LEN_MAX];
            if let Some(bytes) = self.bytes_of_block(&mut buf, start, len, cx)? {
                has_masked |= bytes.contains(&classic::MASKED);
                let crc = proof::checksum(bytes, mapped);
                // `places` has no more of them than a proof has room for.
                let _ = proof.push(Block { start, len, crc });
            }
        }
        self.link.note_proof(has_masked && !mapped);
        Ok(proof)
    }

    /// One block of the copy; `None` where it does not reach so far.
    pub(super) fn block<S: WriteStore<File = F>>(
        &self,
        start: u64,
        len: u16,
        mapped: bool,
        cx: &mut Context<'_, S>,
    ) -> Result<Option<Block>, SourceError> {
        let mut buf = [0; BLOCK_LEN_MAX];
        let bytes = self.bytes_of_block(&mut buf, start, len, cx)?;
        Ok(bytes.map(|bytes| Block {
            start,
            len,
            crc: proof::checksum(bytes, mapped),
        }))
    }

    /// The bytes of a block of the copy; `None` where it does not reach so far.
    fn bytes_of_block<'b, S: WriteStore<File = F>>(
        &self,
        buf: &'b mut [u8; BLOCK_LEN_MAX],
        start: u64,
        len: u16,
        cx: &mut Context<'_, S>,
    ) -> Result<Option<&'b mut [u8]>, SourceError> {
        let Some(copy) = self.disk.copy() else {
            return Ok(None);
        };
        let mut files = cx.files(&self.config, "");
        let bytes = &mut buf[..usize::from(len).min(BLOCK_LEN_MAX)];
        let read = copy
            .read_at(bytes, start, &mut files)
            .map_err(SourceError::Files)?;
        Ok((read == bytes.len()).then_some(bytes))
    }
}

/// The fields that name a finished copy and tell what to do with it. What can be proved of it tells
/// generations of the same inode apart.
fn question_about<S: WriteStore>(
    finished: &Finished,
    op: Op,
    cx: &mut Context<'_, S>,
) -> Extension {
    let file = cx.store.open_append(&finished.path).ok().flatten();
    let mut proof = Proof::new();
    // The server may have more of it by now.
    let held = file.as_ref().and_then(|file| cx.store.stat(file).ok());
    let held = held.map_or(finished.size, |stat| stat.size.min(finished.size));
    for (start, len) in places(held, 0, RANDOM_PLACES, cx.random) {
        let mut buf = [0; BLOCK_LEN_MAX];
        let bytes = &mut buf[..usize::from(len).min(BLOCK_LEN_MAX)];
        let read = file
            .as_ref()
            .map(|file| cx.store.read_at(file, bytes, start));
        // What cannot be read is not proved; whoever compares the copy will tell.
        if matches!(read, Some(Ok(read)) if read == bytes.len()) {
            let crc = proof::checksum(bytes, finished.classic);
            let _ = proof.push(Block { start, len, crc });
        }
    }
    Extension {
        proof,
        mapped: finished.classic,
        op,
        ..Extension::default()
    }
}

/// The places to prove of so many bytes, among them all of the last `covered` and some at random.
fn places(
    size: u64,
    covered: u64,
    random_places: usize,
    random: &mut Random,
) -> heapless::Vec<(u64, u16), BLOCKS_MAX> {
    let mut numbers = [0; RANDOM_PLACES];
    for number in &mut numbers {
        *number = random.below(1 << 32) << 20 | random.below(1 << 20);
    }
    proof::places(size, covered, &numbers[..random_places.min(RANDOM_PLACES)])
}
