//! What a machine may ask of the disk in one call, for all others wait for it.

use crate::limits::CHUNK_LEN;

/// What was asked of the disk in one call of a machine.
#[derive(Clone, Copy, Default, Debug)]
pub struct Turn {
    /// Calls that wait for the disk.
    pub syncs: u64,
    /// All calls, and names in directories.
    pub calls: u64,
    /// Bytes that were read and written.
    pub bytes: u64,
}

impl Turn {
    /// What one step of a change of generations may cost that is made alone.
    pub const OF_STEP: Turn = Turn {
        syncs: 3,
        ..Turn::OF_SOURCE
    };

    /// Syncs that all others may have to wait for in one turn of the loop because of one box, where
    /// two of its logs need what is dearest.
    pub const SYNCS_OF_BOX: u64 = 2 * Turn::OF_SOURCE.syncs;

    /// What one call of a session may cost, however many files there are and whatever they are
    /// like; a chunk, and what is read besides to know it again.
    pub const OF_SESSION: Turn = Turn {
        syncs: 0,
        calls: 64,
        bytes: CHUNK_LEN as u64 + 4096,
    };

    /// The same where there are but a few files.
    pub const OF_SMALL_SESSION: Turn = Turn {
        calls: 52,
        ..Turn::OF_SESSION
    };

    /// What one call of a source may cost, whatever the server says.
    pub const OF_SOURCE: Turn = Turn {
        syncs: 16,
        calls: 320,
        bytes: 256 << 10,
    };

    /// Says so if this is more than that.
    pub fn complaint(self, most: Turn) -> Option<String> {
        let is_dear = self.syncs > most.syncs || self.calls > most.calls || self.bytes > most.bytes;
        is_dear.then(|| format!("others wait too long for one: {self:?}, and not {most:?}"))
    }
}
