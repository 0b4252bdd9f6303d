//! The invariants of a version 2 stream: what must be true of it between two calls. Pure.

use super::open_frame::FRAME_START_LEN;
use super::{HEAD_MAX_LEN, V2Stream};
use crate::mutation::{self, Mutation};
use crate::serve::find::findings::Occasion;

impl<F> V2Stream<F> {
    /// Checks that the parts of the stream agree with each other; in release builds it does
    /// nothing. The session calls it at the end of whatever may have changed the stream and did not
    /// end it.
    pub fn check_invariants(&self) {
        let offset = self.follow.offset();
        self.follow.check_invariants();
        // This planted fault moves the offset back, under everything that was derived from it.
        if !mutation::is_on(Mutation::TruncationIgnored) {
            debug_assert!(
                self.fingerprint.is_within(offset),
                "bytes are remembered that were not sent"
            );
            debug_assert!(
                self.digest.done() <= offset,
                "the digest is ahead of the offset"
            );
            // Each frame is preceded by a look at what was sent before it, which knows the size.
            debug_assert!(
                offset <= self.sound_size,
                "more was sent than was ever seen"
            );
        }
        debug_assert!(self.head.len() <= HEAD_MAX_LEN, "small frames pile up");
        if self.reason.is_none() && !self.is_elsewhere {
            // Besides, only the duplicate of a truncated generation has another inode than the
            // generation.
            debug_assert!(self.client_inode == self.follow.inode());
        }
        if let Some(late) = &self.late {
            debug_assert!(late.digest.done() <= late.size);
        }
        self.check_open_frame();
        self.check_search();
    }

    fn check_open_frame(&self) {
        let Some(open) = &self.open else {
            return;
        };
        debug_assert!(open.len > 0, "a DATA frame without bytes");
        debug_assert!(
            open.taken < FRAME_START_LEN + open.len,
            "a frame is taken whole and still open"
        );
        debug_assert!(open.after.is_some() == (open.taken > 0));
        // Nothing may be put between the two parts of a frame.
        debug_assert!(open.taken == 0 || self.head.is_empty());
        debug_assert!(
            mutation::is_on(Mutation::TruncationIgnored) || open.len as u64 <= self.follow.ahead()
        );
    }

    fn check_search(&self) {
        let Some(search) = &self.search else {
            return;
        };
        match search.occasion() {
            // The question is which bytes come first, so none can be on their way.
            Occasion::Begun(_) => {
                debug_assert!(self.fingerprint.is_empty() && self.open.is_none());
            }
            Occasion::Emptied => debug_assert!(self.follow.offset() == 0),
            // Until the search is over nothing may be sent of the file, which holds something else.
            Occasion::Truncated => debug_assert!(self.rewritten),
            // It needs another file under the name that this one had.
            Occasion::Superseded => debug_assert!(self.follow.successor().is_some()),
            // The same, or a rotated file that may come next.
            Occasion::Rotated => debug_assert!(!self.follow.is_live()),
            Occasion::Request => debug_assert!(false, "the request was answered"),
        }
    }
}
