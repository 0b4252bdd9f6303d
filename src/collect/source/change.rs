//! The change of generations as a source goes through it: what its local files do, and what follows
//! when that is done.
//!
//! A source alone does it at once. Where [`Source::share_barriers`] was called, it waits with what
//! it was doing until the caller takes it through the steps together with others, by
//! [`Source::step_change`] and [`Source::barrier`].

use std::path::Path;

use super::digest::TOO_MANY;
use super::tokens::Tokens;
use super::{Context, Source};
use crate::collect::copy::loss::{Cause, Loss};
use crate::collect::copy::pointer::RotatedSuffix;
use crate::collect::copy::{
    Changed, FileError, Finished, Generation, LocalCopy, LocalFiles, Progress, Syncs,
};
use crate::collect::error::SourceError;
use crate::collect::event::Event;
use crate::ids::Inode;
use crate::limits::ROOM_OF_FILE_LEN;
use crate::mutation::{self, Mutation};
use crate::store::WriteStore;
use crate::wire::frame::Reason;

/// The rest of what was begun by a change, to be done when it is made.
pub(super) struct Afterwards {
    /// The generation that was left.
    pub held: Inode,
    /// The number of bytes that were held of the generation that was left.
    pub size: u64,
    /// The generation that begins.
    pub next: Inode,
    /// The reason for the end of the generation that was left.
    pub reason: Reason,
    /// The loss of what came behind the bytes that were held, if there is one.
    pub loss: Option<Loss>,
    /// Whether nobody could tell if the end of what was held is right.
    pub is_unchecked: bool,
    /// Whether what was held was taken over from fetchlogs 1.1, and not compared since.
    pub is_taken_over: bool,
    /// The size of the server's file of the generation that was left, if that ends before our copy.
    pub theirs: Option<u64>,
    /// The generation that was left, where there was one.
    pub left: Option<Generation>,
    /// Whether all of that is held.
    pub is_whole: bool,
    /// The tokens that came for both.
    pub tokens: Option<Box<Tokens>>,
    /// The bytes that came while the change was under way, which belong to the next generation.
    pub input: Vec<u8>,
}

impl<F> Source<F> {
    /// Lets changes of the local files wait for the caller.
    pub fn share_barriers(&mut self) {
        self.disk.share_barriers();
    }

    /// Whether a change waits for the caller. Until it is made nothing should be read from the
    /// socket.
    pub fn is_changing(&self) -> bool {
        self.disk.is_changing()
    }

    /// Whether a change waits for the caller that need not wait for its moment, as it has to where
    /// the box has named too many generations lately.
    pub fn may_change(&self) -> bool {
        self.is_changing() && self.disk.change_at().is_none()
    }

    /// Does the next step of a change; what it writes is made durable by
    /// [`barrier`](Self::barrier). Tells whether that was the last one, with which all that waited
    /// has been done, too.
    pub fn step_change<S: WriteStore<File = F>>(&mut self, cx: &mut Context<'_, S>) -> bool {
        self.step(Syncs::Barrier, cx)
    }

    /// The same without others: what it writes is durable by then.
    pub fn step_alone<S: WriteStore<File = F>>(&mut self, cx: &mut Context<'_, S>) -> bool {
        let mut is_last = self.step(Syncs::Own, cx);
        while mutation::is_on(Mutation::StepsIgnored) && !is_last {
            is_last = self.step(Syncs::Own, cx);
        }
        is_last
    }

    fn step<S: WriteStore<File = F>>(&mut self, syncs: Syncs, cx: &mut Context<'_, S>) -> bool {
        // The barrier of another source may have failed for what the last step wrote here.
        self.check_failed_syncs(cx);
        if !self.is_changing() {
            return true;
        }
        // What is to be on record is there before its last other sign goes.
        if self.owes_before_change() {
            if let Err(error) = self.step_unwritten(syncs, cx) {
                self.fail(error, cx);
            }
            self.check_invariants();
            return !self.is_changing();
        }
        let result = self.with_copy(cx, |copy, files| copy.step_change(syncs, files));
        let is_last = !matches!(result, Ok(Progress::More));
        match result {
            Ok(Progress::More) => {}
            Ok(Progress::Made(changed)) => self.end_change(changed, cx),
            Err(error) => self.fail(SourceError::Files(error), cx),
        }
        self.check_invariants();
        is_last
    }

    /// Makes durable what the last step wrote. Tells whether the change goes on: if that failed, it
    /// is given up.
    pub fn barrier<S: WriteStore<File = F>>(&mut self, cx: &mut Context<'_, S>) -> bool {
        let result = self.with_copy(cx, |_, files| files.barrier());
        match result {
            // It went well here and may have failed on the same file system for another source,
            // which was told first.
            Ok(()) => self.check_failed_syncs(cx),
            Err(error) => self.fail(SourceError::Files(error), cx),
        }
        if self.is_changing() {
            self.end_barrier();
        }
        self.check_invariants();
        self.is_changing()
    }

    /// Makes a change that waits, without others. Another may be waiting then that came behind it.
    pub fn make_change<S: WriteStore<File = F>>(&mut self, cx: &mut Context<'_, S>) {
        if self.is_changing() {
            // Steps that were made durable by barriers are built upon here.
            self.check_failed_syncs(cx);
        }
        if self.is_changing() {
            let made = self.write_unwritten(cx).and_then(|()| {
                let made = self.with_copy(cx, LocalCopy::make_change);
                made.map_err(SourceError::Files)
            });
            match made {
                Ok(changed) => self.end_change(changed, cx),
                Err(error) => self.fail(error, cx),
            }
        }
        self.check_invariants();
    }

    /// Begins a change to the next generation; its events are told once it is made.
    pub(super) fn change<S: WriteStore<File = F>>(
        &mut self,
        next: Generation,
        finished: Option<Finished>,
        mut afterwards: Afterwards,
        cx: &mut Context<'_, S>,
    ) -> Result<(), SourceError> {
        // All other losses are on record by now. Those by classic are noted in the pointer alone
        // (FILES.md, "Pointer file": `lo`), until they are told.
        let untold =
            (afterwards.loss).filter(|loss| loss.cause == Cause::Gone && !self.is_noted(loss));
        let last = self.announce_token(&next, &afterwards, cx);
        let given = self.disk.last_name();
        let started = self.with_copy(cx, |copy, files| {
            copy.start_change(next, finished, untold, files);
            copy.name_behind(last.or(given));
            Ok(())
        });
        started.map_err(SourceError::Files)?;
        afterwards.left = self.disk.generation();
        let at = self.pace.free_at(cx.now.mono);
        self.pace.spend(cx.now.mono);
        let shares_barriers = self.disk.shares_barriers();
        self.disk
            .begin_change(afterwards, at.filter(|_| shares_barriers));
        match shares_barriers {
            true => Ok(()),
            false => self.finish_change(cx),
        }
    }

    /// Makes a change that has begun, if there is one, and tells of it.
    pub(super) fn finish_change<S: WriteStore<File = F>>(
        &mut self,
        cx: &mut Context<'_, S>,
    ) -> Result<(), SourceError> {
        if !self.is_changing() {
            return Ok(());
        }
        self.write_unwritten(cx)?;
        let changed = self
            .with_copy(cx, LocalCopy::make_change)
            .map_err(SourceError::Files)?;
        self.tell_change(changed, cx).map(drop)
    }

    /// The files are changed: goes on with what waited for it.
    fn end_change<S: WriteStore<File = F>>(&mut self, changed: Changed, cx: &mut Context<'_, S>) {
        let mut input = match self.tell_change(changed, cx) {
            Ok(input) => input,
            Err(error) => return self.fail(error, cx),
        };
        // The answer line left this to whoever makes the change.
        if !self.health.is_in_trouble_with_files() {
            self.recover(cx);
        }
        // It takes a file even if there is nothing in it.
        self.note_written(ROOM_OF_FILE_LEN, cx);
        self.handle_data(&mut input, cx);
    }

    /// Tells of a change that is made, and returns what came meanwhile.
    fn tell_change<S: WriteStore<File = F>>(
        &mut self,
        changed: Changed,
        cx: &mut Context<'_, S>,
    ) -> Result<Vec<u8>, SourceError> {
        let Some(afterwards) = self.disk.end_change() else {
            return Ok(Vec::new());
        };
        self.note_change(&afterwards, changed.kept.as_deref(), cx);
        // The events of the generation that is over come before anything of the next one.
        if let Some(kept) = &changed.kept {
            let name = RotatedSuffix::of(kept, &self.config.local);
            self.disk.note_name(name);
            self.tell_left(&afterwards, kept, cx)?;
        }
        if let Some(finished) = changed.finished
            && let Some(given_up) = self.finished.queue_mut().add(finished)
        {
            self.tell_never_verified(&given_up, TOO_MANY, cx);
        }
        Ok(afterwards.input)
    }

    /// Tells what there is to tell of the last generation, whose copy is called `kept` now.
    fn tell_left<S: WriteStore<File = F>>(
        &mut self,
        left: &Afterwards,
        kept: &Path,
        cx: &mut Context<'_, S>,
    ) -> Result<(), SourceError> {
        let size = left.size;
        if let Some(loss) = left.loss {
            if self.health.is_noted(&loss) {
                cx.files(&self.config, "").name_before_hole(&loss, kept);
            }
            (cx.events)(&self.config, Event::Lost(loss));
        }
        // With the same inode the file itself was cut or written anew.
        let event = match left.next == left.held {
            true => Event::Truncated {
                reason: left.reason,
                size,
                kept,
            },
            false => Event::Rotated {
                next: left.next,
                reason: left.reason,
                size,
                kept,
            },
        };
        (cx.events)(&self.config, event);
        if left.is_unchecked {
            let unchecked = Event::Unchecked {
                is_taken_over: left.is_taken_over,
                kept,
            };
            (cx.events)(&self.config, unchecked);
        }
        let Some(theirs) = left.theirs else {
            return Ok(());
        };
        let more = Event::KeptMore {
            ours: size,
            theirs,
            kept,
        };
        let stamp = (cx.stamp)(cx.now.wall);
        // Told even where it cannot be noted: the error alone would not say what it was about.
        let noted = cx.files(&self.config, &stamp).note_kept(&more);
        (cx.events)(&self.config, more);
        noted.map_err(SourceError::Files)
    }

    fn with_copy<S: WriteStore<File = F>, R>(
        &mut self,
        cx: &mut Context<'_, S>,
        act: impl FnOnce(&mut LocalCopy<F>, &mut LocalFiles<'_, S>) -> Result<R, FileError>,
    ) -> Result<R, FileError> {
        let stamp = (cx.stamp)(cx.now.wall);
        let mut files = cx.files(&self.config, &stamp);
        match self.disk.copy_mut() {
            Some(copy) => act(copy, &mut files),
            // Cannot be: a change begins with open files, and whoever closes them has made it or
            // given it up before. As an error it would at least be told.
            None => Err(FileError::System {
                operation: "change",
                path: self.config.local.to_path_buf(),
                error: std::io::ErrorKind::NotFound.into(),
            }),
        }
    }
}

impl Afterwards {
    /// The rest of a first contact, before which nothing was held.
    pub fn of_first(next: Inode) -> Afterwards {
        Afterwards {
            held: Inode::NONE,
            size: 0,
            next,
            reason: Reason::Rotated,
            loss: None,
            is_unchecked: false,
            is_taken_over: false,
            theirs: None,
            left: None,
            is_whole: false,
            tokens: None,
            input: Vec::new(),
        }
    }
}
