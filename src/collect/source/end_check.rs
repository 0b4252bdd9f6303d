//! The comparison of the end of a local copy with a server of version 2, after a restart of the log
//! host. Pure.
//!
//! Block checksums find the first block that differs, and its bytes where. Of a copy that classic
//! had a part in, which no checksum of the server fits, all bytes are asked for.

use crate::collect::blocks::{Blocks, Comparison};
use crate::collect::copy::{LocalCopy, LocalFiles};
use crate::collect::error::{ProtocolError, SourceError};
use crate::store::WriteStore;
use crate::wire::classic;
use crate::wire::escape::Escaped;
use crate::wire::frame::{ErrorCode, Frame, SUMS_MAX};
use crate::wire::receiver::{Piece, Receiver};
use crate::wire::request::Op;

/// The comparison of an end, over as many connections as it takes.
pub struct EndCheck {
    /// The place up to which it is the same.
    from: u64,
    /// The end of the block that is known to differ, or of the copy.
    end: u64,
    /// The size of the copy.
    size: u64,
    /// The size of the server's file, as it answered last.
    their_size: u64,
    /// Whether classic had a part in the copy: 0xff may stand for 0x07.
    mapped: bool,
    /// Most checksums to ask for at once.
    sums_max: u16,
    /// Most bytes to ask for at once.
    range_max: u64,
    step: Step,
}

/// The next step.
enum Step {
    /// To ask.
    Ask,
    /// Bytes are coming and are the same so far, or were up to the first of two places; the second
    /// is how far they have come. Within a frame they are not all yet.
    Bytes {
        differ_at: Option<u64>,
        at: u64,
        in_frame: bool,
    },
    /// The server's checksums have come and are compared with the copy.
    Compare(Comparison),
    /// The finding is known, and nothing is to be done.
    Known(Finding),
}

/// The finding of a comparison.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Finding {
    /// Every byte is the server's.
    Same,
    /// The first byte that is not.
    Differs(u64),
    /// Every byte up to here is; there the server's file ends.
    Shorter(u64),
    /// The server does not have the generation.
    Gone,
}

impl Finding {
    /// Whether the byte at `place` is known to be the server's.
    pub fn is_beyond(self, place: u64) -> bool {
        match self {
            Finding::Same => true,
            Finding::Differs(at) | Finding::Shorter(at) => at > place,
            Finding::Gone => false,
        }
    }
}

impl EndCheck {
    /// Compares from `from` to the end of a copy of `size` bytes.
    pub fn new(from: u64, size: u64, mapped: bool) -> EndCheck {
        EndCheck {
            from,
            end: size,
            size,
            their_size: 0,
            mapped,
            sums_max: SUMS_MAX as u16,
            range_max: u64::MAX,
            step: Step::Ask,
        }
    }

    /// Asks from now on for no more than so many checksums, or bytes, at once. To be called between
    /// two connections.
    pub fn ask_for(&mut self, sums_max: u16, range_max: u64) {
        (self.sums_max, self.range_max) = (sums_max, range_max);
    }

    /// The question for the server.
    pub fn question(&self) -> Op {
        match self.blocks() {
            None => Op::Range {
                start: self.from,
                len: (self.end - self.from).min(self.range_max),
            },
            Some(blocks) => blocks.question(),
        }
    }

    /// Whether what was asked for has come.
    pub fn is_answered(&self) -> bool {
        matches!(self.step, Step::Compare(_) | Step::Known(_))
    }

    /// The finding, once it is known.
    pub fn finding(&self) -> Option<Finding> {
        match self.step {
            Step::Known(finding) => Some(finding),
            _ => None,
        }
    }

    /// Takes back what the connection did not bring whole: it has to be asked for again.
    pub fn abandon(&mut self) {
        if let Step::Bytes { .. } = self.step {
            self.step = Step::Ask;
        }
    }

    /// Takes bytes of the answer from the front of `input` and tells how many.
    pub fn take<F, S: WriteStore<File = F>>(
        &mut self,
        receiver: &mut Receiver,
        input: &[u8],
        copy: &mut LocalCopy<F>,
        files: &mut LocalFiles<'_, S>,
    ) -> Result<usize, SourceError> {
        let (taken, piece) = receiver.next(input);
        match (piece, &mut self.step) {
            (Piece::Nothing, _) => {}
            (Piece::Sums, Step::Ask) => {
                let payload = receiver.sums();
                self.start_comparing(payload)?;
            }
            (Piece::DataStart(offset), Step::Ask) if offset == self.from => {
                self.step = Step::Bytes {
                    differ_at: None,
                    at: offset,
                    in_frame: true,
                };
            }
            (Piece::DataStart(offset), Step::Bytes { at, in_frame, .. }) if offset == *at => {
                *in_frame = true;
            }
            (Piece::Data(bytes), Step::Bytes { differ_at, at, .. }) => {
                // More than was asked for would be compared with nothing.
                if bytes.len() as u64 > self.end - *at {
                    return Err(ProtocolError::Size.into());
                }
                // Behind the first difference nothing is compared, but the frame has to end with
                // the right checksum before that counts.
                if differ_at.is_none() {
                    let same = equal_bytes(bytes, *at, self.mapped, copy, files)?;
                    *differ_at = Some(*at + same).filter(|_| same < bytes.len() as u64);
                }
                *at += bytes.len() as u64;
            }
            (Piece::DataEnd, Step::Bytes { .. }) => self.end_frame(),
            (Piece::Small, _) => receiver
                .small(refusal)
                .unwrap_or_else(|bad| Err(ProtocolError::Frame(bad).into()))?
                .into_iter()
                .for_each(|finding| self.step = Step::Known(finding)),
            (Piece::Bad(bad), _) => return Err(ProtocolError::Frame(bad).into()),
            _ => return Err(ProtocolError::Order.into()),
        }
        Ok(taken)
    }

    /// The server answers, and its file has this size.
    pub fn take_size(&mut self, size: u64) {
        self.their_size = size;
    }

    /// The server has closed. Tells whether it has sent all it has: one that is killed closes too.
    pub fn take_end(&mut self) -> bool {
        let Step::Bytes { at, in_frame, .. } = self.step else {
            return false;
        };
        // PROTOCOL.md, "Questions": a range has as many bytes as there are. With fewer than the
        // answer line promised it is the connection that ended.
        if in_frame || at < self.their_size.min(self.end) {
            return false;
        }
        self.step = Step::Known(Finding::Shorter(at));
        true
    }

    /// Compares one slice of the copy with the checksums, with `buf` to read into.
    pub fn work<F, S: WriteStore<File = F>>(
        &mut self,
        buf: &mut [u8],
        copy: &mut LocalCopy<F>,
        files: &mut LocalFiles<'_, S>,
    ) -> Result<(), SourceError> {
        let Step::Compare(comparison) = &mut self.step else {
            return Ok(());
        };
        let at = comparison.at();
        let wanted = usize::try_from(comparison.wanted()).unwrap_or(usize::MAX);
        let wanted = wanted.min(buf.len());
        let read = copy
            .read_at(&mut buf[..wanted], at, files)
            .map_err(SourceError::Files)?;
        if read < wanted {
            // Somebody made it shorter meanwhile: whoever opens it again will see that.
            return Err(SourceError::AskAgain);
        }
        let compared = comparison.pass(&buf[..read]);
        let is_over = comparison.wanted() == 0;
        // Before it is known whether the block is the same: to write once more what was just read
        // changes nothing that anybody can read.
        copy.found_good(&buf[..read], at, files)
            .map_err(SourceError::Files)?;
        match compared {
            Some(compared) if !compared.is_same => {
                // The next question looks into this block, with smaller ones, until its bytes are
                // asked for.
                self.from = compared.start;
                self.end = compared.end;
                self.step = Step::Ask;
            }
            _ if is_over => self.end_sums(),
            _ => {}
        }
        Ok(())
    }

    /// The blocks to ask for; `None` where so little is left that its bytes are asked for.
    fn blocks(&self) -> Option<Blocks> {
        // The server computes no checksums of the mapped form but in a proof.
        Blocks::whole(self.from, self.end, self.sums_max).filter(|_| !self.mapped)
    }

    fn start_comparing(&mut self, payload: Vec<u8>) -> Result<(), SourceError> {
        let blocks = self.blocks().ok_or(ProtocolError::Order)?;
        let comparison = Comparison::new(blocks, payload)?;
        // The last block of a shorter file is compared as far as it goes.
        let their_end = comparison.their_end();
        let comparison = comparison.until(their_end);
        let is_over = comparison.wanted() == 0;
        self.step = Step::Compare(comparison);
        if is_over {
            self.end_sums();
        }
        Ok(())
    }

    /// All the server's checksums fit.
    fn end_sums(&mut self) {
        let Step::Compare(comparison) = &self.step else {
            return;
        };
        let their_end = comparison.their_end();
        self.from = their_end;
        // Fewer blocks than were asked for: the server's file ends in the middle of our copy.
        self.step = match their_end < comparison.blocks().end() {
            true => Step::Known(Finding::Shorter(their_end)),
            false => self.go_on(),
        };
    }

    /// A frame of bytes is whole.
    fn end_frame(&mut self) {
        let Step::Bytes {
            differ_at,
            at,
            in_frame,
        } = &mut self.step
        else {
            return;
        };
        *in_frame = false;
        let (differ_at, at) = (*differ_at, *at);
        if let Some(differ_at) = differ_at {
            self.step = Step::Known(Finding::Differs(differ_at));
        } else {
            self.from = at;
            if at >= self.end {
                self.step = self.go_on();
            }
        }
    }

    /// All up to `from` is the same.
    fn go_on(&mut self) -> Step {
        // What differed a moment ago does so no more, where the server's file was being written.
        self.end = self.size;
        match self.from < self.size {
            true => Step::Ask,
            false => Step::Known(Finding::Same),
        }
    }
}

/// The meaning of a small frame: a keep-alive says nothing, an error that there is nothing to
/// compare with.
fn refusal(frame: Frame<'_>) -> Result<Option<Finding>, SourceError> {
    match frame {
        Frame::Alive { .. } | Frame::File { .. } | Frame::Note(_) => Ok(None),
        Frame::Error {
            code: ErrorCode::NoSuchFile | ErrorCode::Gone,
            ..
        } => Ok(Some(Finding::Gone)),
        Frame::Error { text, .. } => Err(SourceError::Refused(Escaped(text).to_string().into())),
        _ => Err(ProtocolError::Order.into()),
    }
}

/// The number of bytes at the front of `theirs` that stand in the copy from `at` on; as classic
/// would send both, if `mapped`.
pub fn equal_bytes<F, S: WriteStore<File = F>>(
    theirs: &[u8],
    at: u64,
    mapped: bool,
    copy: &mut LocalCopy<F>,
    files: &mut LocalFiles<'_, S>,
) -> Result<u64, SourceError> {
    let mut buf = [0; 4096];
    let mut equal = 0;
    for theirs in theirs.chunks(buf.len()) {
        let ours = &mut buf[..theirs.len()];
        let read = copy
            .read_at(ours, at + equal, files)
            .map_err(SourceError::Files)?;
        // The copy has 0xff wherever classic brought it, and 0x07 where version 2 did since.
        let form = |byte: u8| match byte {
            classic::KEEP_ALIVE if mapped => classic::MASKED,
            byte => byte,
        };
        let pairs = ours[..read].iter().zip(theirs);
        let same = pairs
            .take_while(|(ours, theirs)| form(**ours) == form(**theirs))
            .count();
        copy.found_good(&ours[..same], at + equal, files)
            .map_err(SourceError::Files)?;
        equal += same as u64;
        if same < theirs.len() {
            break;
        }
    }
    Ok(equal)
}
