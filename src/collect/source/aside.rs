//! What has to be done about the end of the copy before anybody can be asked about it, and may take
//! long: zeros are looked for, and an end that is not the server's moves to a file of its own. It
//! is done in parts, for all other sources wait meanwhile.

use std::path::Path;

use super::{Context, Source};
use crate::collect::copy::{Dropped, Found, LocalCopy};
use crate::collect::error::{ProtocolError, SourceError};
use crate::collect::event::Event;
use crate::store::WriteStore;

/// Why an end is set aside.
#[derive(Clone, Copy)]
pub(super) enum Aside {
    /// The box has forgotten it.
    Forgotten { size: u64 },
    /// The server has other bytes in its place.
    Differs {
        is_taken_over: bool,
        from: u64,
        len: u64,
    },
}

impl Aside {
    /// The event that tells of it, with the name that the end has now, unless it is gone.
    pub(super) fn event(self, kept: Option<&Path>) -> Event<'_> {
        match self {
            Aside::Forgotten { size } => Event::Rescued {
                size,
                kept: kept.unwrap_or(Path::new("")),
            },
            Aside::Differs {
                is_taken_over,
                from,
                len,
            } => Event::Cut {
                is_taken_over,
                from,
                len,
                kept,
            },
        }
    }
}

impl<F> Source<F> {
    /// Sets aside what is held from `at` on, which the box has forgotten.
    pub(super) fn set_aside<S: WriteStore<File = F>>(
        &mut self,
        at: u64,
        cx: &mut Context<'_, S>,
    ) -> Result<(), SourceError> {
        let Some(copy) = self.disk.copy_mut() else {
            return Err(ProtocolError::Terms.into());
        };
        let stamp = (cx.stamp)(cx.now.wall);
        let mut files = cx.files(&self.config, &stamp);
        let kept = copy.rescue(at, &mut files).map_err(SourceError::Files)?;
        let dropped = kept.map_or(Dropped::Moving, Dropped::Kept);
        self.note_dropped(Aside::Forgotten { size: at }, dropped, cx)
    }

    /// Tells what became of the end of the copy. Where that takes longer, the server is asked again
    /// afterwards.
    pub(super) fn note_dropped<S>(
        &mut self,
        aside: Aside,
        dropped: Dropped,
        cx: &mut Context<'_, S>,
    ) -> Result<(), SourceError> {
        let kept = match &dropped {
            Dropped::Zeros => None,
            Dropped::Kept(kept) => Some(kept.as_path()),
            Dropped::Moving => {
                self.end.aside = Some(Box::new(aside));
                return Err(SourceError::AskAgain);
            }
        };
        (cx.events)(&self.config, aside.event(kept));
        Ok(())
    }

    /// Whether the end of the copy has to be looked at, or set aside, before it can be asked about.
    pub(super) fn is_end_unsettled(&self) -> bool {
        self.disk.copy().is_some_and(LocalCopy::is_unsettled)
    }

    /// Does a part of that.
    pub(super) fn settle_end<S: WriteStore<File = F>>(
        &mut self,
        cx: &mut Context<'_, S>,
    ) -> Result<(), SourceError> {
        let Some(copy) = self.disk.copy_mut().filter(|copy| copy.is_unsettled()) else {
            return Ok(());
        };
        let stamp = (cx.stamp)(cx.now.wall);
        let mut files = cx.files(&self.config, &stamp);
        let kept = copy.settle_part(&mut files).map_err(SourceError::Files)?;
        if let Some(kept) = kept {
            match self.end.aside.take() {
                Some(aside) => (cx.events)(&self.config, aside.event(Some(&kept))),
                None => (cx.events)(&self.config, Event::Found(&Found::RescueFinished(kept))),
            }
        }
        Ok(())
    }

    /// The number of zeros at the end of the copy that may stand where a power cut took something.
    /// Where they have to be looked for in parts, the server is asked again afterwards.
    pub(super) fn doubtful_zeros<S: WriteStore<File = F>>(
        &mut self,
        cx: &mut Context<'_, S>,
    ) -> Result<u64, SourceError> {
        self.settle_end(cx)?;
        let zeros = self.disk.copy().map_or(Some(0), LocalCopy::doubtful_zeros);
        zeros.ok_or(SourceError::AskAgain)
    }

    /// Whether there is work here that comes before the server is asked again, and that ends the
    /// wait when it is done. To compare a finished copy with its digest is no such work: the log is
    /// followed meanwhile.
    pub(super) fn is_kept_from_the_server(&self) -> bool {
        let heal = self.finished.heal();
        self.has_end_work()
            || heal.is_some_and(|heal| heal.is_answered())
            || self.archives.is_at_work()
    }
}
