//! The DATA frame that the client has not taken whole. Pure.

use super::V2Stream;
use super::fingerprint::Fingerprint;
use crate::limits::DIGESTED_AT_ONCE_LEN;
use crate::serve::send::digest::Digest;
use crate::wire::frame::{self, DATA_OFFSET_LEN, HEADER_LEN, kind};

/// A DATA frame that was begun. Its length and its checksum are settled; its bytes are read anew
/// for each part that the socket takes.
pub(super) struct OpenFrame {
    /// Bytes of the file in it.
    pub(super) len: usize,
    /// Bytes of the whole frame that the client has taken.
    pub(super) taken: usize,
    crc: u32,
    /// Where the client has taken a part of it: fingerprint and digest as they are once it has the
    /// rest.
    pub(super) after: Option<Box<(Fingerprint, Digest)>>,
}

/// Bytes of a DATA frame before those of the file.
pub(super) const FRAME_START_LEN: usize = HEADER_LEN + DATA_OFFSET_LEN;

impl<F> V2Stream<F> {
    /// The socket took `len` more bytes of the open frame, the first of `output`.
    pub(super) fn consume_frame(&mut self, output: &[u8], len: usize) {
        let Some(mut open) = self.open.take() else {
            return;
        };
        open.taken += len;
        let is_whole = open.taken >= FRAME_START_LEN + open.len;
        // Until a part of it is taken, all of it stands in the output.
        let body = output
            .get(FRAME_START_LEN..FRAME_START_LEN + open.len)
            .unwrap_or_default();
        // The fingerprint and the digest are of whole frames only: should the file change under
        // this one, the client takes back what it has of it.
        match open.after.take() {
            Some(after) if is_whole => (self.fingerprint, self.digest) = *after,
            Some(after) => open.after = Some(after),
            None if is_whole => self.pass(body),
            None => {
                // Later only the rest of the frame will stand in the output, so both are brought up
                // to its end now and put aside.
                let (fingerprint, digest) = (self.fingerprint.clone(), self.digest.clone());
                self.pass(body);
                let fingerprint = std::mem::replace(&mut self.fingerprint, fingerprint);
                let digest = std::mem::replace(&mut self.digest, digest);
                open.after = Some(Box::new((fingerprint, digest)));
            }
        }
        match is_whole {
            true => self.follow.advance(open.len as u64),
            false => self.open = Some(open),
        }
    }

    /// Whether the file ends within the open frame now, and the client has a part of that. A frame
    /// that nobody has seen anything of is given up.
    pub(super) fn is_frame_cut(&mut self) -> bool {
        let ahead = self.follow.ahead();
        let is_cut = |open: &OpenFrame| open.len as u64 > ahead;
        self.open.take_if(|open| is_cut(open) && open.taken == 0);
        self.open.as_ref().is_some_and(is_cut)
    }

    /// Bytes at the offset are sent.
    fn pass(&mut self, body: &[u8]) {
        self.fingerprint.extend(body);
        // Of a large backlog the digest comes later, when there is nothing to send: it costs more
        // time than all the rest, and the client may lag because the box is slow.
        if self.follow.ahead() <= DIGESTED_AT_ONCE_LEN {
            self.digest.note(self.follow.offset(), body);
        }
    }

    /// Completes a frame whose file bytes stand in place, and moves what the client lacks of it to
    /// the front.
    pub(super) fn make_frame(&mut self, whole: &mut [u8], len: usize) -> usize {
        let offset = self.follow.offset();
        whole[HEADER_LEN..FRAME_START_LEN].copy_from_slice(&offset.to_be_bytes());
        frame::seal(kind::DATA, whole);
        let crc = u32::from_be_bytes([whole[4], whole[5], whole[6], whole[7]]);
        match &self.open {
            None => {
                self.open = Some(OpenFrame {
                    len,
                    taken: 0,
                    crc,
                    after: None,
                });
                whole.len()
            }
            Some(open) => {
                if open.crc != crc {
                    // The rest of the frame is gone. The client takes back what it has of it.
                    self.rewritten = true;
                    self.follow.look_soon();
                    return 0;
                }
                let taken = open.taken.min(whole.len());
                whole.copy_within(taken.., 0);
                whole.len() - taken
            }
        }
    }
}
