//! How long a client wants the frames at most that bring a file.

use super::frame::{DATA_MAX, DATA_MIN};

/// The most bytes of the file in a DATA frame, from [`DATA_MIN`] to [`DATA_MAX`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct FrameMax(u16);

impl FrameMax {
    /// So many bytes, or what comes next to that within the bounds.
    pub fn new(len: u64) -> FrameMax {
        FrameMax(len.clamp(DATA_MIN as u64, DATA_MAX as u64) as u16)
    }

    /// The number of bytes.
    pub fn bytes(self) -> usize {
        usize::from(self.0)
    }
}

impl Default for FrameMax {
    /// As much as a frame has room for.
    fn default() -> FrameMax {
        FrameMax(DATA_MAX as u16)
    }
}
