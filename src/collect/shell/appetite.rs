//! How much is read of a box at a time. What it sends costs by its bytes, or by the pieces that its
//! frames make, whichever is more: each piece may take a system call. Pure.

use crate::limits::{CHUNK_LEN, PIECE_COST_LEN, READ_HALVED_MAX, TURN_BYTES_MAX};

/// How often the room for what is read is halved: what came last had so many pieces.
#[derive(Clone, Copy, Default)]
pub struct Appetite(u8);

impl Appetite {
    /// The room for the next read, in bytes, of which one connection has to be offered so many at
    /// `least`.
    pub fn room(self, least: usize) -> usize {
        (CHUNK_LEN >> self.0).max(least)
    }

    /// Takes note of what a read brought, and tells what that costs in a share of a turn, which is
    /// [`TURN_BYTES_MAX`].
    pub fn took(&mut self, len: usize, pieces: u32) -> usize {
        let cost = PIECE_COST_LEN.saturating_mul(pieces as usize);
        if cost > TURN_BYTES_MAX {
            // At once, since all others wait for each such read.
            self.0 = READ_HALVED_MAX;
        } else if cost < 2 * len {
            self.0 = self.0.saturating_sub(1);
        }
        cost.max(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_sends_tiny_frames_is_read_in_small_parts() {
        let mut appetite = Appetite::default();
        assert_eq!(appetite.room(1), CHUNK_LEN);
        // A DATA frame of one byte takes 17 on the wire and makes three pieces.
        let pieces = |len: usize| (len / 17 * 3) as u32;
        assert!(appetite.took(CHUNK_LEN, pieces(CHUNK_LEN)) > TURN_BYTES_MAX);
        for _ in 0..10 {
            let room = appetite.room(1);
            assert!(pieces(room) < 400, "{room}");
            assert!(appetite.took(room, pieces(room)) <= 2 * TURN_BYTES_MAX);
        }
        // Sealed records are opened whole.
        assert_eq!(appetite.room(CHUNK_LEN), CHUNK_LEN);
        // With large frames it is as before.
        for _ in 0..READ_HALVED_MAX {
            let room = appetite.room(1);
            assert!(room < CHUNK_LEN);
            appetite.took(room, 3);
        }
        assert_eq!(appetite.room(1), CHUNK_LEN);
    }

    #[test]
    fn lines_as_they_come_are_nothing_dear() {
        let mut appetite = Appetite::default();
        for _ in 0..100 {
            assert!(appetite.took(120, 3) < TURN_BYTES_MAX / 8);
            assert_eq!(appetite.room(1), CHUNK_LEN);
        }
    }
}
