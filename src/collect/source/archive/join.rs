//! What becomes of the generation held when an archive was found right: it is the rest of that, or
//! the next one.

use super::Whole;
use crate::collect::archive::Offered;
use crate::collect::archive::fetch::{clear_away, path_of};
use crate::collect::config::SourceConfig;
use crate::collect::copy::given::Ledger;
use crate::collect::copy::left_out::LeftOut;
use crate::collect::copy::{Finished, Generation, Origin};
use crate::collect::error::SourceError;
use crate::collect::event::Event;
use crate::collect::source::answer::Left;
use crate::collect::source::change::Afterwards;
use crate::collect::source::tokens::Tokens;
use crate::collect::source::{Context, Source};
use crate::store::WriteStore;
use crate::wire::frame::note::{LeftOut as Why, Note};

impl<F> Source<F> {
    /// Whether what is held goes as far as this with an archive, but for an end that is in doubt:
    /// then that is set aside.
    pub(super) fn cut_doubtful<S: WriteStore<File = F>>(
        &mut self,
        differs_at: Option<u64>,
        cx: &mut Context<'_, S>,
    ) -> Result<bool, SourceError> {
        let Some(at) = differs_at else {
            return Ok(true);
        };
        // Zeros that a power cut left are nobody's. Whatever else differs says that it is another
        // generation: they all begin alike.
        let sound = self.disk.size() - self.doubtful_zeros(cx)?;
        let mut files = cx.files(&self.config, "");
        let Some(copy) = self.disk.copy_mut().filter(|_| at >= sound && at > 0) else {
            return Ok(false);
        };
        let cut = copy.cut(at, &mut files);
        cut.map(|()| true).map_err(SourceError::Files)
    }

    /// An archive is the next generation: what is held is over.
    pub(super) fn begin_archive<S: WriteStore<File = F>>(
        &mut self,
        offered: &Offered,
        (is_held_whole, is_behind_lost): (bool, bool),
        cx: &mut Context<'_, S>,
    ) -> Result<(), SourceError> {
        let held = self.disk.generation();
        let origin = held.and_then(|held| held.origin);
        let whole = self.archives.whole.as_ref();
        let before_ns = whole.map_or(0, |whole| whole.mtime_ns);
        let next = Generation {
            inode: offered.inode,
            origin: Some(Origin {
                mtime_ns: origin.map_or(0, |origin| origin.mtime_ns).max(before_ns),
                boot: origin.map_or(0, |origin| origin.boot),
            }),
            classic: false,
        };
        let next_token = Some(offered.token);
        match held {
            None => {
                let afterwards = Afterwards {
                    tokens: Tokens::of_next(next_token),
                    ..Afterwards::of_first(next.inode)
                };
                self.change(next, None, afterwards, cx)?;
            }
            Some(_) => {
                let is_whole = whole.is_some() || is_held_whole;
                let loss = match is_whole && !is_behind_lost {
                    true => None,
                    false => Some(self.loss_of_held(cx)?),
                };
                let left = Left {
                    is_whole,
                    next_token,
                };
                self.leave(next, loss, left, cx)?;
            }
        }
        self.finish_change(cx)
    }

    /// An archive is what is held and known to be whole: it was compressed since.
    pub(super) fn pass_over_own<S: WriteStore<File = F>>(
        &mut self,
        offered: &Offered,
        cx: &mut Context<'_, S>,
    ) {
        tell_duplicate(offered, &self.config, cx);
        clear_away(&path_of(&self.config.local), cx.store);
        self.archives.settle(offered);
        if let Some(work) = &mut self.archives.work {
            work.list.remove(work.at);
        }
    }

    /// Whether the generation held was begun as that of an archive, before a failure or in an
    /// earlier run.
    pub(super) fn has_begun<S: WriteStore<File = F>>(
        &self,
        offered: &Offered,
        cx: &mut Context<'_, S>,
    ) -> bool {
        let held = self.disk.generation();
        held.is_some_and(|held| {
            let ledger = Ledger::read(&self.config, cx.store).unwrap_or_default();
            let token = ledger.token_of(&held);
            token.is_some_and(|token| token.id() == offered.token.id())
        })
    }

    /// The generation held is all of an archive.
    pub(super) fn hold_archive<S: WriteStore<File = F>>(
        &mut self,
        offered: &Offered,
        size: u64,
        md5: [u8; 16],
        cx: &mut Context<'_, S>,
    ) -> Result<(), SourceError> {
        let Some(held) = self.disk.generation() else {
            return Ok(());
        };
        let now = Generation {
            inode: offered.inode,
            ..held
        };
        self.know_as(held, now, cx)?;
        self.confirm_end(cx)?;
        self.note_token(Some(offered.token), cx);
        self.health.set_server_size(size);
        clear_away(&path_of(&self.config.local), cx.store);
        // The size at its end is that of its last member: only we know that all of it is here.
        self.archives.settle(offered);
        self.archives.whole = Some(Whole {
            inode: offered.inode,
            size,
            md5: Some(md5),
            mtime_ns: offered.mtime_ns,
            sum: offered.sum(),
            is_suspect: false,
        });
        Ok(())
    }

    /// Forgets what was known to be whole, if it is not held any more: another generation has
    /// begun, or a disk that failed has less of it by now.
    pub(super) fn check_whole(&mut self) {
        let Some(whole) = &self.archives.whole else {
            return;
        };
        let is_held = self.disk.inode() == Some(whole.inode);
        if is_held && self.disk.size() == whole.size {
            return;
        }
        if is_held {
            let sum = whole.sum;
            self.archives.settled.retain(|settled| *settled != sum);
        }
        self.archives.whole = None;
    }

    /// The copy that is left, if it is all of an archive, with the digest of that. It may be asked
    /// for again: to leave it may fail.
    pub(in crate::collect::source) fn inflated(&mut self) -> Option<Finished> {
        self.check_whole();
        let whole = self.archives.whole.as_ref()?;
        let held = self.disk.generation()?;
        Some(Finished {
            // The rotation gives the name.
            path: std::path::PathBuf::new(),
            inode: whole.inode,
            size: whole.size,
            md5: whole.md5,
            by_content: false,
            classic: held.classic,
        })
    }
}

/// Tells that an archive is taken for what is held or was given. What comes behind that may have
/// the same bytes nevertheless.
pub(super) fn tell_duplicate<S>(offered: &Offered, config: &SourceConfig, cx: &mut Context<'_, S>) {
    let note = LeftOut::of(&Note {
        why: Why::Duplicate,
        is_missing: false,
        size: offered.size,
        name: offered.name.as_bytes(),
    });
    (cx.events)(config, Event::LeftOut(&note));
}
