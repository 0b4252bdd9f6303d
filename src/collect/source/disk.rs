//! What a source has on the disk, and what is under way there.

use super::change::Afterwards;
use crate::collect::copy::{Generation, LocalCopy};
use crate::ids::Inode;
use crate::time::Mono;

/// The local files of one source.
pub(super) struct Disk<F> {
    /// Closed while something is wrong with them.
    copy: Option<LocalCopy<F>>,
    /// A write failed: what the copy seems to hold may not be on the disk.
    is_suspect: bool,
    /// The failed syncs of its file systems that the source knows of.
    failed_syncs: u32,
    /// The copy was received sound up to here; what follows came in a frame without an end and is still to be proved.
    unproved_from: Option<u64>,
    /// When what came by classic is to be made durable.
    checkpoint_at: Option<Mono>,
    /// What follows the change that is under way.
    afterwards: Option<Box<Afterwards>>,
    /// Changes wait for the caller, who takes several sources through them together.
    shares_barriers: bool,
}

impl<F> Disk<F> {
    /// Nothing is open yet.
    pub(super) fn new() -> Disk<F> {
        Disk {
            copy: None,
            is_suspect: false,
            failed_syncs: 0,
            unproved_from: None,
            checkpoint_at: None,
            afterwards: None,
            shares_barriers: false,
        }
    }

    /// The open copy.
    pub(super) fn copy(&self) -> Option<&LocalCopy<F>> {
        self.copy.as_ref()
    }

    /// The open copy, to be changed.
    pub(super) fn copy_mut(&mut self) -> Option<&mut LocalCopy<F>> {
        self.copy.as_mut()
    }

    /// The files are open.
    pub(super) fn open(&mut self, copy: LocalCopy<F>) {
        self.copy = Some(copy);
    }

    /// Closes the files. Returns what was open. Whoever opens them again finds out anew what they hold.
    pub(super) fn close(&mut self) -> Option<LocalCopy<F>> {
        self.checkpoint_at = None;
        self.copy.take()
    }

    /// The generation that is held; `None` before the first contact and while the files are closed.
    pub(super) fn generation(&self) -> Option<Generation> {
        self.copy().and_then(LocalCopy::generation)
    }

    /// Its inode.
    pub(super) fn inode(&self) -> Option<Inode> {
        self.copy().and_then(LocalCopy::inode)
    }

    /// How many bytes of it are held.
    pub(super) fn size(&self) -> u64 {
        self.copy().map_or(0, LocalCopy::size)
    }

    /// Whether what is held is what came, unless somebody changed it.
    pub(super) fn is_believed(&self) -> bool {
        self.copy().is_some_and(LocalCopy::is_believed)
    }

    /// Whether a write failed, and that is not noted yet where it outlives this process.
    pub(super) fn is_suspect(&self) -> bool {
        self.is_suspect
    }

    /// A write failed, or that is noted now.
    pub(super) fn set_suspect(&mut self, is_suspect: bool) {
        self.is_suspect = is_suspect;
    }

    /// So many syncs have failed on its file systems. Tells whether that is news.
    pub(super) fn note_failed_syncs(&mut self, failed: u32) -> bool {
        std::mem::replace(&mut self.failed_syncs, failed) != failed
    }

    /// What stands behind this place is still to be proved, or nothing is.
    pub(super) fn set_unproved(&mut self, from: Option<u64>) {
        self.unproved_from = from;
    }

    /// Where what is still to be proved begins. It counts as settled from now on.
    pub(super) fn take_unproved(&mut self) -> Option<u64> {
        self.unproved_from.take()
    }

    /// When the next checkpoint is due.
    pub(super) fn checkpoint_at(&self) -> Option<Mono> {
        self.checkpoint_at
    }

    /// A checkpoint is due then, or none is.
    pub(super) fn set_checkpoint(&mut self, at: Option<Mono>) {
        self.checkpoint_at = at;
    }

    /// Whether another generation is about to begin.
    pub(super) fn is_changing(&self) -> bool {
        self.afterwards.is_some()
    }

    /// A change has begun; this follows when it is made.
    pub(super) fn begin_change(&mut self, afterwards: Afterwards) {
        self.afterwards = Some(Box::new(afterwards));
    }

    /// The change is made or given up. Returns what follows it.
    pub(super) fn end_change(&mut self) -> Option<Box<Afterwards>> {
        self.afterwards.take()
    }

    /// Keeps what came behind the place where the change has to be made first.
    pub(super) fn keep_for_later(&mut self, input: &[u8]) {
        if let Some(afterwards) = &mut self.afterwards {
            afterwards.input.extend_from_slice(input);
        }
    }

    /// Whether changes wait for the caller.
    pub(super) fn shares_barriers(&self) -> bool {
        self.shares_barriers
    }

    /// Changes wait for the caller from now on.
    pub(super) fn share_barriers(&mut self) {
        self.shares_barriers = true;
    }

    /// What holds whenever the caller of the source has its turn.
    pub(super) fn check_invariants(&self) {
        debug_assert!(
            self.copy.is_some() || self.checkpoint_at.is_none(),
            "a checkpoint of nothing"
        );
        debug_assert!(
            self.shares_barriers || self.afterwards.is_none(),
            "a change that nobody will make"
        );
    }
}
