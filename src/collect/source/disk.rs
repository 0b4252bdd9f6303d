//! The disk of a source: its local files, and what is under way there.

use super::change::Afterwards;
use crate::collect::copy::pointer::RotatedSuffix;
use crate::collect::copy::{Generation, LocalCopy};
use crate::ids::{Inode, MaybeOffset};
use crate::time::Mono;

/// The local files of one source.
pub(super) struct Disk<F> {
    /// The open copy; closed while something is wrong with the files.
    copy: Option<LocalCopy<F>>,
    /// The bytes that were appended to copies that are closed.
    appended_before: u64,
    /// Whether a write failed and that is not noted yet: what the copy seems to hold may not be on
    /// the disk.
    is_suspect: bool,
    /// The number of failed syncs of its file systems that the source knows of.
    failed_syncs: u32,
    /// The end of what was received sound; what follows came in a frame without an end and is still
    /// to be proved.
    unproved_from: MaybeOffset,
    /// The moment at which what came by classic is to be made durable.
    checkpoint_at: Option<Mono>,
    /// The rest of what was begun by the change that is under way.
    afterwards: Option<Box<Afterwards>>,
    /// The moment before which that change is not made, if there were many.
    change_at: Option<Mono>,
    /// What the name of the copy that was finished last has behind the local copy's. It may be
    /// elsewhere by now.
    last_name: Option<RotatedSuffix>,
    /// Whether changes wait for the caller, who takes several sources through them together.
    shares_barriers: bool,
}

impl<F> Disk<F> {
    /// A disk of which nothing is open yet.
    pub(super) fn new() -> Disk<F> {
        Disk {
            copy: None,
            appended_before: 0,
            is_suspect: false,
            failed_syncs: 0,
            unproved_from: MaybeOffset::NONE,
            checkpoint_at: None,
            afterwards: None,
            change_at: None,
            last_name: None,
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

    /// Takes in the files that were opened.
    pub(super) fn open(&mut self, copy: LocalCopy<F>) {
        self.copy = Some(copy);
    }

    /// Closes the files. Returns what was open. Whoever opens them again finds out anew what they
    /// hold.
    pub(super) fn close(&mut self) -> Option<LocalCopy<F>> {
        self.checkpoint_at = None;
        self.appended_before = self.appended();
        self.copy.take()
    }

    /// All bytes of the log that were appended in this run.
    pub(super) fn appended(&self) -> u64 {
        let now = self.copy().map_or(0, LocalCopy::appended);
        self.appended_before.saturating_add(now)
    }

    /// The generation that is held; `None` before the first contact and while the files are closed.
    pub(super) fn generation(&self) -> Option<Generation> {
        self.copy().and_then(LocalCopy::generation)
    }

    /// The inode of the generation that is held.
    pub(super) fn inode(&self) -> Option<Inode> {
        self.copy().and_then(LocalCopy::inode)
    }

    /// The number of bytes that are held of the generation.
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

    /// Sets whether a write failed and that is not noted yet.
    pub(super) fn set_suspect(&mut self, is_suspect: bool) {
        self.is_suspect = is_suspect;
    }

    /// Notes how many syncs have failed on its file systems. Tells whether that is news.
    pub(super) fn note_failed_syncs(&mut self, failed: u32) -> bool {
        std::mem::replace(&mut self.failed_syncs, failed) != failed
    }

    /// Sets the place behind which the copy is still to be proved.
    pub(super) fn set_unproved(&mut self, from: u64) {
        self.unproved_from = MaybeOffset::some(from);
    }

    /// The number of bytes at the end of the copy that are still to be proved.
    pub(super) fn unproved_len(&self) -> u64 {
        let from = self.unproved_from.get().unwrap_or(u64::MAX);
        self.size().saturating_sub(from)
    }

    /// The place where what is still to be proved begins. It counts as settled from now on.
    pub(super) fn take_unproved(&mut self) -> Option<u64> {
        self.unproved_from.take()
    }

    /// The moment of the next checkpoint, if one is due.
    pub(super) fn checkpoint_at(&self) -> Option<Mono> {
        self.checkpoint_at
    }

    /// Sets the moment of the next checkpoint; with `None` there is none.
    pub(super) fn set_checkpoint(&mut self, at: Option<Mono>) {
        self.checkpoint_at = at;
    }

    /// Whether another generation is about to begin.
    pub(super) fn is_changing(&self) -> bool {
        self.afterwards.is_some()
    }

    /// Begins a change, which is made at that moment or as soon as may be; `afterwards` follows
    /// then.
    pub(super) fn begin_change(&mut self, afterwards: Afterwards, at: Option<Mono>) {
        self.afterwards = Some(Box::new(afterwards));
        self.change_at = at;
    }

    /// The moment for which the change that is under way waits, if it does.
    pub(super) fn change_at(&self) -> Option<Mono> {
        self.change_at
    }

    /// Lets the change be made for which it is time.
    pub(super) fn let_change(&mut self, now: Mono) {
        self.change_at = self.change_at.filter(|at| *at > now);
    }

    /// Ends the change, which is made or given up. Returns what follows it.
    pub(super) fn end_change(&mut self) -> Option<Box<Afterwards>> {
        self.change_at = None;
        self.afterwards.take()
    }

    /// Keeps what came behind the place where the change has to be made first.
    pub(super) fn keep_for_later(&mut self, input: &[u8]) {
        if let Some(afterwards) = &mut self.afterwards {
            afterwards.input.extend_from_slice(input);
        }
    }

    /// Forgets what came behind the place where the change has to be made first. Tells whether
    /// there was anything.
    pub(super) fn forget_later(&mut self) -> bool {
        let afterwards = self.afterwards.as_mut();
        afterwards.is_some_and(|afterwards| !std::mem::take(&mut afterwards.input).is_empty())
    }

    /// The name that a copy got last.
    pub(super) fn last_name(&self) -> Option<RotatedSuffix> {
        self.last_name.clone()
    }

    /// Notes the name that a copy got.
    pub(super) fn note_name(&mut self, name: Option<RotatedSuffix>) {
        self.last_name = name.or(self.last_name.take());
    }

    /// Whether changes wait for the caller.
    pub(super) fn shares_barriers(&self) -> bool {
        self.shares_barriers
    }

    /// Lets changes wait for the caller from now on.
    pub(super) fn share_barriers(&mut self) {
        self.shares_barriers = true;
    }

    /// The invariants, which hold whenever the caller of the source has its turn.
    pub(super) fn check_invariants(&self) {
        debug_assert!(
            self.copy.is_some() || self.checkpoint_at.is_none(),
            "a checkpoint of nothing"
        );
        debug_assert!(
            self.shares_barriers || self.afterwards.is_none(),
            "a change that nobody will make"
        );
        debug_assert!(
            self.afterwards.is_some() || self.change_at.is_none(),
            "a moment for nothing"
        );
    }
}
