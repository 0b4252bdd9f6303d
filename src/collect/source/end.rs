//! The doubtful end of a copy, after a restart of the log host or a failed write: it is compared
//! with the server's file before anything is asked for that its size would decide.
//!
//! A server of version 2 is asked for checksums, on connections of their own. A classic one is
//! asked for the file from a little before the last checkpoint on: what it sends is compared as
//! long as we hold something, then appended.

use super::answer::Left;
use super::aside::Aside;
use super::end_check::{EndCheck, Finding, equal_bytes};
use super::link::{Asked, Purpose};
use super::{Context, Source};
use crate::collect::config::Proto;
use crate::collect::copy::{Generation, LocalCopy};
use crate::collect::error::SourceError;
use crate::ids::{Inode, MaybeOffset};
use crate::limits::END_OVERLAP_LEN;
use crate::store::WriteStore;
use crate::wire::classic;
use crate::wire::proof::START_LEN;
use crate::wire::receiver::Receiver;
use crate::wire::request::Op;

/// The comparison of an end that cannot be believed, as far as it is.
#[derive(Default)]
pub(super) struct DoubtfulEnd {
    /// The comparison with a server of version 2.
    check: Option<Box<EndCheck>>,
    /// The place up to which the bytes that a classic server sends again have been compared.
    pub(super) again_at: MaybeOffset,
    /// Whether the server speaks classic.
    pub(super) is_classic: bool,
    /// Whether the file that the server compares with need not be that of the generation held.
    is_other: bool,
    /// The end of what is asked with: behind it are zeros that a power cut may have left. `None`
    /// where all of the copy counts.
    sound: MaybeOffset,
    /// Whether comparing brought nothing to act upon: what the server makes of our proof decides.
    is_examined: bool,
    /// Whether a look at the end of a copy that fetchlogs 1.1 left has settled nothing: all of it
    /// is compared.
    has_looked: bool,
    /// The place of the first difference, where it may be that classic had a part in the copy and
    /// the pointer does not know: from there on the mapped form is compared.
    mapped_from: MaybeOffset,
    /// Why an end is being set aside in parts; `None` where an earlier run began with that.
    pub(super) aside: Option<Box<Aside>>,
}

impl DoubtfulEnd {
    /// The question for a server of version 2.
    pub(super) fn op(&self) -> Op {
        self.check
            .as_ref()
            .map_or(Op::Digest, |check| check.question())
    }

    /// Whether the mapped form is compared, of a copy that need not have one.
    pub(super) fn is_mapped(&self) -> bool {
        self.mapped_from.get().is_some()
    }

    /// Whether an answer is to be compared.
    pub(super) fn has_work(&self) -> bool {
        self.check.as_ref().is_some_and(|check| check.is_answered())
    }

    /// Takes the size of the server's file, which comes with the answer, and whether that is
    /// another file than the one of the generation held.
    pub(super) fn take_file(&mut self, size: u64, is_other: bool) {
        self.is_other = is_other;
        if let Some(check) = &mut self.check {
            check.take_size(size);
        }
    }

    /// Takes the close of a server in good order while it was answering. Tells whether the answer
    /// is complete with that.
    pub(super) fn take_end(&mut self) -> bool {
        self.check.as_mut().is_some_and(|check| check.take_end())
    }

    /// Takes back what the connection that is over did not bring whole.
    pub(super) fn abandon(&mut self) {
        // A classic server begins anew with the next answer. What was found the same is compared
        // once more.
        self.again_at = MaybeOffset::NONE;
        if let Some(check) = &mut self.check {
            check.abandon();
        }
    }
}

impl<F> Source<F> {
    /// Whether there is something to do about the end of the copy that needs no server.
    pub(super) fn has_end_work(&self) -> bool {
        self.end.has_work() || self.is_end_unsettled()
    }

    /// Finds the zeros that stand behind the checkpoint and are not known to be good. Before that
    /// is settled they are not held: they would prove any file of the box that has zeros there.
    pub(super) fn find_zeros<S: WriteStore<File = F>>(
        &mut self,
        cx: &mut Context<'_, S>,
    ) -> Result<(), SourceError> {
        // In classic they are compared with what comes, and a copy of fetchlogs 1.1 is not known to
        // be spoiled before the look at its end.
        let counts = self.end.is_classic || self.config.proto == Proto::Classic;
        let zeros = match counts || self.looks_at_end() {
            true => 0,
            false => self.doubtful_zeros(cx)?,
        };
        self.end.sound = (zeros > 0).then(|| self.disk.size() - zeros).into();
        Ok(())
    }

    /// The size of the copy as the server is told it.
    pub(super) fn asked_size(&self) -> u64 {
        self.end.sound.get().unwrap_or_else(|| self.disk.size())
    }

    /// Whether this question left out zeros at the end of the copy.
    pub(super) fn left_out_zeros(&self, asked: Asked) -> bool {
        asked.purpose == Purpose::Follow && self.end.sound.get().is_some()
    }

    /// Cuts off the zeros that the question left out, since the server goes on before them.
    pub(super) fn drop_zeros<S: WriteStore<File = F>>(
        &mut self,
        cx: &mut Context<'_, S>,
    ) -> Result<(), SourceError> {
        match self.end.sound.take() {
            Some(sound) => self.cut_end(sound, cx),
            None => Ok(()),
        }
    }

    /// The server speaks classic: the comparison starts over, with what that can be asked for.
    pub(super) fn compare_in_classic(&mut self) -> SourceError {
        self.end.is_classic = true;
        self.end.is_examined &= self.end.sound.get().is_none();
        SourceError::AskAgain
    }

    /// The question to ask first where the end of the copy cannot be believed.
    pub(super) fn question_of_end(&mut self) -> Option<Asked> {
        let from = self.compared_from().filter(|_| !self.end.is_examined)?;
        let copy = self.disk.copy()?;
        let (inode, size) = (copy.inode().unwrap_or(Inode::NONE), copy.size());
        if self.end.is_classic || self.config.proto == Proto::Classic {
            return Some(Asked {
                inode,
                offset: from,
                purpose: Purpose::Follow,
            });
        }
        // The proof that goes with the question for what follows is such a look.
        if self.looks_at_end() {
            return None;
        }
        let is_mapped = copy.generation().is_some_and(|held| held.classic);
        let new = || Box::new(EndCheck::new(from, size, is_mapped));
        let breaks = self.link.breaks();
        let check = self.end.check.get_or_insert_with(new);
        check.ask_for(breaks.sums_max(), breaks.range_max());
        Some(Asked {
            inode,
            // The server finds the file by most of the blocks of the proof (PROTOCOL.md,
            // "Questions"), so those of a spoiled end do no harm. Zeros would, where another file
            // has them.
            offset: self.asked_size(),
            purpose: Purpose::EndCheck,
        })
    }

    /// The place from which on the copy is compared, if it has to be.
    fn compared_from(&self) -> Option<u64> {
        let copy = self.disk.copy()?;
        let good = copy.doubtful_from()?;
        let good = match self.looks_at_end() {
            true => copy.size(),
            false => good,
        };
        // Some bytes that are known to be good are compared, too: another file is known by them.
        Some(good.saturating_sub(END_OVERLAP_LEN).min(copy.size()))
    }

    /// Whether a look at the end is to settle whether the copy can be believed: nothing is known of
    /// it, good or bad, as fetchlogs 1.1 left it. What a power cut spoils is always the end.
    pub(super) fn looks_at_end(&self) -> bool {
        let copy = self.disk.copy().filter(|copy| copy.is_taken_over());
        copy.is_some_and(|copy| copy.size() > 0) && !self.end.has_looked
    }

    /// Whether more of the copy can be compared than a look at its end did, or is going to.
    fn may_look_closer(&self) -> bool {
        self.looks_at_end() && self.compared_from().is_some_and(|from| from > 0)
    }

    /// Whether the server answers a look at the end in a way that settles nothing.
    pub(super) fn is_baffled(&self, asked: Asked, goes_on: bool) -> bool {
        let is_about_it = matches!(asked.purpose, Purpose::Follow | Purpose::Probe);
        let is_empty_handed = asked.purpose == Purpose::Follow && asked.offset == 0;
        !goes_on && is_about_it && !is_empty_handed && self.looks_at_end()
    }

    /// Whether a server of version 2 was to look at the end, and this one speaks classic.
    pub(super) fn is_look_of_v2(&self, asked: Asked) -> bool {
        let is_about_it = asked.purpose == Purpose::Follow && asked.offset > 0;
        let speaks_classic = self.end.is_classic || self.config.proto == Proto::Classic;
        is_about_it && !speaks_classic && self.looks_at_end()
    }

    /// Has all of the copy compared next, as the look at its end has settled nothing.
    pub(super) fn look_closer(&mut self) -> SourceError {
        self.end.has_looked = true;
        self.link.settle_doubt();
        SourceError::AskAgain
    }

    /// Whether the copy may be spoiled although a look at its end has found that to be the same: a
    /// power cut leaves zeros, and what was appended since hides them.
    pub(super) fn may_be_spoiled<S: WriteStore<File = F>>(
        &self,
        cx: &mut Context<'_, S>,
    ) -> Result<bool, SourceError> {
        let Some(copy) = self.disk.copy().filter(|_| self.looks_at_end()) else {
            return Ok(false);
        };
        let mut files = cx.files(&self.config, "");
        copy.has_zeros_near_end(&mut files)
            .map_err(SourceError::Files)
    }

    /// Whether this question makes a classic server send again what we hold.
    pub(super) fn asks_again(&self, asked: Asked) -> bool {
        asked.purpose == Purpose::Follow && asked.offset < self.asked_size()
    }

    /// Takes the answer of a server of version 2.
    pub(super) fn take_end_check<S: WriteStore<File = F>>(
        &mut self,
        receiver: &mut Receiver,
        data: &[u8],
        cx: &mut Context<'_, S>,
    ) -> Result<(), SourceError> {
        let mut rest = data;
        let (Some(check), Some(copy)) = (&mut self.end.check, self.disk.copy_mut()) else {
            return Ok(());
        };
        let mut files = cx.files(&self.config, "");
        while !check.is_answered() {
            let taken = check.take(receiver, rest, copy, &mut files)?;
            if taken == 0 && rest.is_empty() {
                break;
            }
            rest = rest.get(taken..).unwrap_or_default();
        }
        Ok(())
    }

    /// Compares a part of the copy with what a server of version 2 told.
    pub(super) fn work_on_end<S: WriteStore<File = F>>(
        &mut self,
        buf: &mut [u8],
        cx: &mut Context<'_, S>,
    ) {
        if self.is_end_unsettled() {
            match self.settle_end(cx) {
                Ok(()) => self.end_idle_work(cx.now.mono),
                Err(error) => self.fail(error, cx),
            }
            return;
        }
        let result = match self.end.check.as_ref().and_then(|check| check.finding()) {
            Some(finding) => self.act_on_finding(finding, cx),
            None => self.compare(buf, cx),
        };
        if let Err(error) = result {
            self.fail(error, cx);
        } else if !self.has_end_work() {
            // The next question, or the log itself.
            self.link.end_work(cx.now.mono);
        }
    }

    fn compare<S: WriteStore<File = F>>(
        &mut self,
        buf: &mut [u8],
        cx: &mut Context<'_, S>,
    ) -> Result<(), SourceError> {
        let (Some(check), Some(copy)) = (&mut self.end.check, self.disk.copy_mut()) else {
            return Ok(());
        };
        let mut files = cx.files(&self.config, "");
        check.work(buf, copy, &mut files)
    }

    /// Acts upon what the comparison with a server of version 2 has found.
    fn act_on_finding<S: WriteStore<File = F>>(
        &mut self,
        finding: Finding,
        cx: &mut Context<'_, S>,
    ) -> Result<(), SourceError> {
        self.end.check = None;
        let mapped_from = self.end.mapped_from.take();
        // Two generations may begin with the same header, and the server answers from the file that
        // is most like the copy. Whether that is ours it tells when it is asked for what follows.
        let is_sure = match finding {
            // Where another file has zeros, too, that does not make them ours.
            Finding::Same => self
                .end
                .sound
                .get()
                .is_none_or(|sound| sound > END_OVERLAP_LEN),
            finding => finding.is_beyond(END_OVERLAP_LEN),
        };
        if self.end.is_other && !is_sure {
            self.end.is_examined = true;
            return Ok(());
        }
        if mapped_from.is_none() && self.compare_mapped(finding, cx)? {
            return Ok(());
        }
        if mapped_from.is_some_and(|from| finding.is_beyond(from)) {
            self.know_as_classic(cx)?;
        }
        let is_settled = match finding {
            Finding::Same => true,
            Finding::Differs(at) => self.cut_different(at, cx)?,
            Finding::Shorter(at) => self.cut_zeros(at, cx)?,
            // Nothing to compare with does not make the end wrong. The server's answer to our proof
            // tells whether a loss goes with it.
            Finding::Gone => false,
        };
        match is_settled {
            true => self.confirm_end(cx)?,
            false => self.end.is_examined = true,
        }
        Ok(())
    }

    /// Has the mapped form compared from the first difference on, where that may be a byte that
    /// classic sent in place of the file's. Tells whether it is.
    fn compare_mapped<S: WriteStore<File = F>>(
        &mut self,
        finding: Finding,
        cx: &mut Context<'_, S>,
    ) -> Result<bool, SourceError> {
        let Finding::Differs(at) = finding else {
            return Ok(false);
        };
        let is_exact = (self.disk.generation()).is_some_and(|held| !held.classic);
        let may_be = is_exact && self.byte_at(at, cx)? == Some(classic::MASKED);
        if may_be {
            self.end.mapped_from = MaybeOffset::some(at);
            self.end.check = Some(Box::new(EndCheck::new(at, self.disk.size(), true)));
        }
        Ok(may_be)
    }

    /// Compares what a classic server sends again with what we hold. Tells how much of it that was;
    /// the rest is new.
    pub(super) fn take_again<S: WriteStore<File = F>>(
        &mut self,
        data: &[u8],
        is_end: bool,
        cx: &mut Context<'_, S>,
    ) -> Result<usize, SourceError> {
        let (Some(at), Some(copy)) = (self.end.again_at.get(), self.disk.copy_mut()) else {
            return Ok(0);
        };
        let mut files = cx.files(&self.config, "");
        let left = usize::try_from(copy.size() - at).unwrap_or(usize::MAX);
        // What goes beyond our copy is new.
        let again = data.get(..left).unwrap_or(data);
        // As classic sends them, both with 0xff for 0x07.
        let same = equal_bytes(again, at, true, copy, &mut files)?;
        let at = at + same;
        self.end.again_at = MaybeOffset::some(at);
        let is_all_the_same = at == copy.size();
        let is_over = is_all_the_same || is_end || same < again.len() as u64;
        if is_over && self.may_look_closer() && (!is_all_the_same || self.may_be_spoiled(cx)?) {
            return Err(self.look_closer());
        }
        let is_settled = if is_all_the_same {
            true
        } else if same < again.len() as u64 {
            self.cut_different(at, cx)? || self.give_up_generation(cx)?
        } else if is_end {
            // A keep-alive behind fewer bytes than we hold: the server's file ends here.
            self.cut_zeros(at, cx)? || self.give_up_generation(cx)?
        } else {
            false
        };
        if is_settled {
            self.end.again_at = MaybeOffset::NONE;
            self.confirm_end(cx)?;
        }
        Ok(same as usize)
    }

    /// Gives up the generation: the server's file is another one, for which classic knows no better
    /// way than to begin it anew.
    fn give_up_generation<S: WriteStore<File = F>>(
        &mut self,
        cx: &mut Context<'_, S>,
    ) -> Result<bool, SourceError> {
        if let Some(inode) = self.disk.inode() {
            self.leave(Generation::classic(inode), None, Left::default(), cx)?;
            // The connection ends with this, so nothing can wait for others.
            self.finish_change(cx)?;
        }
        Err(SourceError::AskAgain)
    }

    /// Cuts off what differs from `at` on, where the server has other bytes, if it is our
    /// generation nevertheless. Tells whether it was.
    fn cut_different<S: WriteStore<File = F>>(
        &mut self,
        at: u64,
        cx: &mut Context<'_, S>,
    ) -> Result<bool, SourceError> {
        // What a power cut spoils lies behind the checkpoint, and zeros are its sign. Generations
        // begin alike: a few bytes that are the same prove nothing.
        let is_ours = self.is_behind_checkpoint(at)
            && (at >= START_LEN as u64 || self.byte_at(at, cx)? == Some(0));
        if is_ours {
            self.doubtful_zeros(cx)?;
            self.cut_end(at, cx)?;
        }
        Ok(is_ours)
    }

    /// Cuts off zeros from `at` on, where the server's file ends: they are nobody's. Tells whether
    /// there was nothing else.
    fn cut_zeros<S: WriteStore<File = F>>(
        &mut self,
        at: u64,
        cx: &mut Context<'_, S>,
    ) -> Result<bool, SourceError> {
        self.doubtful_zeros(cx)?;
        let copy = self.disk.copy();
        // Anything but zeros was sent by this server once: that it is gone there is the box's loss,
        // for the answer line to judge.
        let is_ours =
            self.is_behind_checkpoint(at) && copy.is_some_and(|copy| copy.has_only_zeros_from(at));
        if is_ours {
            self.cut_end(at, cx)?;
        }
        Ok(is_ours)
    }

    fn is_behind_checkpoint(&self, at: u64) -> bool {
        let good = self.disk.copy().and_then(LocalCopy::doubtful_from);
        good.is_some_and(|good| at >= good)
    }

    /// The byte of the copy at `at`.
    fn byte_at<S: WriteStore<File = F>>(
        &self,
        at: u64,
        cx: &mut Context<'_, S>,
    ) -> Result<Option<u8>, SourceError> {
        let Some(copy) = self.disk.copy() else {
            return Ok(None);
        };
        let mut files = cx.files(&self.config, "");
        let mut byte = [0];
        let read = copy
            .read_at(&mut byte, at, &mut files)
            .map_err(SourceError::Files)?;
        Ok((read == 1).then_some(byte[0]))
    }

    fn cut_end<S: WriteStore<File = F>>(
        &mut self,
        at: u64,
        cx: &mut Context<'_, S>,
    ) -> Result<(), SourceError> {
        let Some(copy) = self.disk.copy_mut() else {
            return Ok(());
        };
        let stamp = (cx.stamp)(cx.now.wall);
        let mut files = cx.files(&self.config, &stamp);
        let aside = Aside::Differs {
            is_taken_over: copy.is_taken_over(),
            from: at,
            len: copy.size().saturating_sub(at),
        };
        let dropped = copy.drop_end(at, &mut files).map_err(SourceError::Files)?;
        self.note_dropped(aside, dropped, cx)
    }

    /// Confirms that the copy is what the server has: that is noted where it outlives this process.
    pub(super) fn confirm_end<S: WriteStore<File = F>>(
        &mut self,
        cx: &mut Context<'_, S>,
    ) -> Result<(), SourceError> {
        let Some(copy) = self.disk.copy_mut() else {
            return Ok(());
        };
        let mut files = cx.files(&self.config, "");
        copy.confirm(&mut files).map_err(SourceError::Files)
    }
}
