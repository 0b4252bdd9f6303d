//! What a source owes: to the operator's program, and to the record. It is made durable when it is
//! its turn, for others wait for that.

use super::{Cx, Slot};
use crate::collect::copy::{FileError, HookEvent, Syncs};
use crate::reactor::Rest;

impl Slot {
    /// What the operator's program was not told yet.
    pub fn waiting_hooks(&self, cx: &mut Cx<'_>) -> Result<Vec<HookEvent>, FileError> {
        self.source.waiting_hooks(cx)
    }

    /// The operator's program was told, or will not be. Tells whether it is off the list.
    pub fn remove_hook(&self, event: &HookEvent, cx: &mut Cx<'_>) -> Result<bool, FileError> {
        self.source.remove_hook(event, cx)
    }

    /// Notes how many events wait for the operator's program; tells whether that is another number.
    pub fn note_hooks(&mut self, count: usize) -> bool {
        let count = u8::try_from(count).unwrap_or(u8::MAX);
        std::mem::replace(&mut self.hooks_waiting, count) != count
    }

    /// Whether something that is to be told waits for [`settle_hooks`](Self::settle_hooks).
    pub fn owes_hooks(&self) -> bool {
        self.source.owes_hooks()
    }

    /// Makes durable what is to be told.
    pub fn settle_hooks(&mut self, syncs: Syncs, cx: &mut Cx<'_>) -> Rest {
        self.source.settle_hooks(syncs, cx);
        Rest::None
    }

    /// Whether something waits for [`put_on_record`](Self::put_on_record). What belongs to a change
    /// is put there with that.
    pub fn owes_record(&self) -> bool {
        self.source.owes_record() && !self.source.may_change()
    }

    /// Puts on record what waits for that.
    pub fn put_on_record(&mut self, cx: &mut Cx<'_>) -> Rest {
        self.source.put_unwritten_on_record(cx);
        Rest::None
    }
}
