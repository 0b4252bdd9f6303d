//! What the breaks of a link teach: frames of which it brings only a part are too large for it. So
//! a link that breaks again and again gets on, with little sent twice, and one that does not is
//! asked for nothing.

use crate::limits::{FRAME_MIN_LEN, FRAMES_BEFORE_MORE, GROWTH_MIN_LEN, SUMS_MIN};
use crate::wire::frame::{DATA_MAX, DATA_OFFSET_LEN, SUMS_MAX};
use crate::wire::request::FrameMax;

/// What is known of how much one link brings before it breaks.
#[derive(Clone, Copy, Default)]
pub(super) struct Breaks {
    /// The longest frames to ask for; `None` while it need not be said.
    frame_max: Option<FrameMax>,
    /// The bytes that the last connection brought that broke in the middle of a frame; 0 if it was
    /// so many that frames of any length are right.
    brought: u32,
}

impl Breaks {
    /// The longest frames to ask for, where a server need not be left its own choice.
    pub(super) fn frame_max(&self) -> Option<FrameMax> {
        self.frame_max
    }

    /// The most checksums of blocks to ask for at once. They make a frame as long as those of data.
    pub(super) fn sums_max(&self) -> u16 {
        let len = self.frame_max.unwrap_or_default().bytes();
        let count = len.saturating_sub(2 * DATA_OFFSET_LEN) / 4;
        count.clamp(SUMS_MIN, SUMS_MAX) as u16
    }

    /// The most bytes to ask for at once of what comes in one answer: also a server that makes one
    /// frame of them gets them through.
    pub(super) fn range_max(&self) -> u64 {
        let len = |most: FrameMax| most.bytes() as u64 * FRAMES_OF_RANGE;
        self.frame_max.map_or(u64::MAX, len)
    }

    /// Whether the link is known to bring so little that a request should be short, too.
    pub(super) fn is_poor(&self) -> bool {
        self.frame_max.is_some_and(|most| {
            most.bytes() < GROWTH_MIN_LEN as usize / FRAMES_BEFORE_MORE as usize
        })
    }

    /// A connection broke in the middle of a long frame after it had brought so many bytes. Tells
    /// whether shorter frames are asked for from now on.
    pub(super) fn note_break(&mut self, brought: u32) -> bool {
        // The better one of two: the length of a connection has much to do with chance.
        let usual = brought.max(self.brought);
        let right = right_len(usual);
        let is_less = right < self.len();
        self.brought = match brought / PARTS >= DATA_MAX as u32 {
            true => 0,
            false => brought,
        };
        match is_less {
            true => self.set(right),
            false => self.note_end(usual),
        }
        is_less
    }

    /// A connection ended in good order, or between two frames, after it had brought so many bytes.
    pub(super) fn note_end(&mut self, brought: u32) {
        let twice = self.len().saturating_mul(2);
        if self.frame_max.is_some() && right_len(brought) >= twice {
            self.set(twice);
        }
    }

    /// Whether a connection that has brought so many bytes has shown that much longer frames are
    /// right. Notes it: a new connection can ask for them.
    pub(super) fn is_outgrown(&mut self, brought: u32) -> bool {
        let enough = self.len().saturating_mul(FRAMES_BEFORE_MORE);
        let is_outgrown = self.frame_max.is_some() && brought >= enough.max(GROWTH_MIN_LEN);
        if is_outgrown {
            self.set(right_len(brought));
        }
        is_outgrown
    }

    fn len(&self) -> u32 {
        self.frame_max.unwrap_or_default().bytes() as u32
    }

    fn set(&mut self, len: u32) {
        let most = FrameMax::new(len.into());
        self.frame_max = Some(most).filter(|most| *most < FrameMax::default());
    }
}

/// A frame is to be no larger than such a part of what a connection brings.
const PARTS: u32 = 8;

/// So many frames come through before a connection breaks, also as one: there is never room for
/// fewer than four.
const FRAMES_OF_RANGE: u64 = 3;

/// The length of frame for a link that brings so many bytes.
fn right_len(brought: u32) -> u32 {
    // Of very short ones the headers would be more than what is sent twice: then a quarter.
    (brought / PARTS).max(FRAME_MIN_LEN.min(brought / 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(breaks: &Breaks) -> Option<usize> {
        breaks.frame_max().map(FrameMax::bytes)
    }

    #[test]
    fn frames_are_a_small_part_of_what_a_connection_brings() {
        for (brought, len) in [
            (0, Some(64)),
            (100, Some(64)),
            (400, Some(100)),
            (700, Some(128)),
            (40_000, Some(5_000)),
            (500_000, Some(62_500)),
            (600_000, None),
            (u32::MAX, None),
        ] {
            let mut breaks = Breaks::default();
            assert_eq!(breaks.note_break(brought), len.is_some(), "{brought}");
            assert_eq!(asked(&breaks), len, "{brought}");
        }
    }

    #[test]
    fn one_short_connection_after_a_long_one_says_little_but_two_do() {
        let mut breaks = Breaks::default();
        breaks.note_break(40_000);
        assert!(!breaks.note_break(800));
        assert_eq!(asked(&breaks), Some(5_000));
        assert!(breaks.note_break(800));
        assert_eq!(asked(&breaks), Some(128));
        // After a connection that brought more than enough the next one counts at once.
        breaks.note_break(u32::MAX);
        breaks.note_break(800);
        assert_eq!(asked(&breaks), Some(128));
    }

    #[test]
    fn they_grow_step_by_step_where_connections_bring_more() {
        let mut breaks = Breaks::default();
        breaks.note_break(800);
        let mut lens = Vec::new();
        for _ in 0..6 {
            breaks.note_break(40_000);
            lens.push(asked(&breaks).unwrap());
        }
        assert_eq!(lens, [256, 512, 1_024, 2_048, 4_096, 4_096]);
        for _ in 0..4 {
            breaks.note_end(10_000_000);
        }
        assert_eq!(asked(&breaks), None);
        // Little was brought because there was little.
        breaks.note_break(40_000);
        breaks.note_end(100);
        assert_eq!(asked(&breaks), Some(5_000));
    }

    #[test]
    fn a_connection_that_goes_on_and_on_is_worth_another_one() {
        let mut breaks = Breaks::default();
        assert!(!breaks.is_outgrown(u32::MAX));
        breaks.note_break(800);
        let mut changes = Vec::new();
        let mut brought = 0;
        while brought < 10_000_000 {
            brought += 1_000;
            if breaks.is_outgrown(brought) {
                changes.push((brought, asked(&breaks)));
                brought = 0;
            }
        }
        let expected = [
            (66_000, Some(8_250)),
            (264_000, Some(33_000)),
            (1_056_000, None),
        ];
        assert_eq!(changes, expected);
    }

    #[test]
    fn checksums_are_asked_for_by_the_same_measure() {
        let mut breaks = Breaks::default();
        assert_eq!(usize::from(breaks.sums_max()), SUMS_MAX);
        breaks.note_break(40_000);
        assert_eq!(usize::from(breaks.sums_max()), SUMS_MAX);
        breaks.note_break(800);
        breaks.note_break(800);
        assert_eq!(breaks.sums_max(), 28);
        breaks.note_break(100);
        breaks.note_break(100);
        assert_eq!(breaks.sums_max(), 12);
    }
}
