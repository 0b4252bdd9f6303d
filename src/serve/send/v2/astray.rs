//! A stream whose log has no live file, or none that can be served: what there is is sent, and then
//! the client is told why nothing follows. Pure.
//!
//! PROTOCOL.md, "The stream": the session goes on. ERROR stands in place of the keep-alives until
//! an ALIVE or NEXT says that it is over.

use std::ops::ControlFlow::{self, Break, Continue};
use std::os::unix::ffi::OsStrExt;

use super::V2Stream;
use crate::serve::config::{Config, FileEntry};
use crate::serve::find::findings::Occasion;
use crate::serve::find::query::Query;
use crate::serve::find::refusal::Refusal;
use crate::serve::send::context::Context;
use crate::serve::send::ending::Ending;
use crate::serve::send::follow::Look;
use crate::store::ReadStore;
use crate::time::Mono;
use crate::wire::escape::Escaped;
use crate::wire::frame::Frame;

/// Nothing comes next for the time being.
pub(super) struct Astray {
    /// Why.
    refusal: Refusal,
    /// Whether that is wrong, and the client is told.
    is_wrong: bool,
    /// Whether it is in the server's own log.
    is_noted: bool,
    /// When to search again; a rotated file may have come unnoticed.
    seek_at: Mono,
}

impl<F> V2Stream<F> {
    /// What is wrong with the log, if it is not in the server's own log yet.
    pub fn take_notice(&mut self, config: &Config) -> Option<String> {
        let entry = config.files.get(self.index as usize)?;
        let astray = self.astray.as_mut()?;
        let is_noted = std::mem::replace(&mut astray.is_noted, true);
        (!is_noted).then(|| reason(entry, &astray.refusal))
    }

    /// Whether a look shows nothing new since it was found that nothing comes next. Notices, too,
    /// where there is a live file again.
    pub(super) fn is_still_astray<S: ReadStore<File = F>>(
        &mut self,
        look: &Look,
        cx: &Context<'_, S>,
        query: &Query<'_, S>,
    ) -> bool {
        if query.findings.is_some() {
            return false;
        }
        let is_astray = self.follow.is_astray();
        if self.astray.is_some() && !is_astray && (self.follow.is_live() || query.has_live()) {
            self.note_unseen(query);
            self.end_trouble();
        }
        let Some(astray) = &self.astray else {
            return false;
        };
        let is_early = astray.seek_at > cx.now.mono;
        match look {
            // What has the name cannot be read, and to search would not change that.
            Look::Rotated => is_early || !is_astray,
            Look::Astray(refusal) => is_early && astray.refusal.is_like(refusal),
            Look::Same | Look::Quiet | Look::Truncated | Look::Unreadable(_) => false,
        }
    }

    /// While nothing could be seen at the path, the file was deleted. Others may have come and gone
    /// the same way, unless the journal knows better.
    pub(super) fn note_unseen<S: ReadStore<File = F>>(&mut self, query: &Query<'_, S>) {
        let is_gone = self.astray.is_some() && self.follow.stat().links == 0;
        self.has_loss |= is_gone && query.known_seq(self.generation.seq).is_none();
    }

    /// Everything was sent, and for `$grace` there was no live file. A rotated one may come next;
    /// else that is told, unless it is nothing but a writer that takes its time.
    pub(super) fn stray<S: ReadStore<File = F>>(
        &mut self,
        refusal: Refusal,
        cx: &mut Context<'_, S>,
        query: &Query<'_, S>,
    ) -> ControlFlow<Ending> {
        // Where nobody can look, the file may well be the live one.
        let is_gone = !matches!(refusal, Refusal::Unreadable(_));
        if is_gone && self.follow.is_over(cx) {
            match self.is_awaited(cx, query) {
                Some(true) => {}
                Some(false) => return self.finish_astray(cx, query),
                None => return Continue(()),
            }
        }
        // A file that still has a name and grows has a writer that has not moved on.
        if !matches!(refusal, Refusal::Missing) || self.follow.stat().links == 0 {
            self.set_astray(refusal, true, cx, query.entry);
        }
        Continue(())
    }

    /// The same where nothing keeps back its end. Without a next one it may come back to its path,
    /// and zeros at its end may be written over.
    fn finish_astray<S: ReadStore<File = F>>(
        &mut self,
        cx: &mut Context<'_, S>,
        query: &Query<'_, S>,
    ) -> ControlFlow<Ending> {
        if self.follow.may_end_in_zeros() {
            let left = self.left();
            let next = self.ask(Occasion::Rotated, query, || query.next_after(&left));
            if let Err(refusal) = next {
                return self.wait_or_end(refusal, true, cx, query);
            }
        }
        match self.follow.is_complete(cx) {
            true => self.finish(cx, query),
            false => Continue(()),
        }
    }

    /// What follows cannot be told now. During a rotation, between two names and while others
    /// change, that passes: the next look tries again. `intact` says that the file being left still
    /// holds the whole generation.
    pub(super) fn wait_or_end<S: ReadStore<File = F>>(
        &mut self,
        refusal: Refusal,
        intact: bool,
        cx: &Context<'_, S>,
        query: &Query<'_, S>,
    ) -> ControlFlow<Ending> {
        match &refusal {
            Refusal::Unsettled | Refusal::Later => {}
            Refusal::Missing if intact => {
                // PROTOCOL.md, "Rotation": the newest rotated file is followed on.
                let own = self.follow.id();
                let is_calm = self.follow.stat().links > 0 && query.is_rotated(own);
                // Right after a look that has seen a file it is a matter of moments.
                if self.follow.is_astray() {
                    self.set_astray(refusal, !is_calm, cx, query.entry);
                }
            }
            Refusal::Missing if !self.follow.stray(cx.now.mono, cx.config) => {}
            Refusal::Unreadable(_) | Refusal::NotRegular(_) if intact && refusal.is_lasting() => {
                self.set_astray(refusal, true, cx, query.entry);
            }
            // The client comes back and is told.
            _ => return Break(Ending::Refused(refusal)),
        }
        self.rewritten = !intact;
        Continue(())
    }

    /// Puts a keep-alive before the next DATA frame: the size, or what is wrong.
    pub(super) fn say_alive(&mut self, entry: &FileEntry) {
        match &self.astray {
            Some(astray) if astray.is_wrong => {
                let text = reason(entry, &astray.refusal);
                self.say(Frame::Error {
                    code: astray.refusal.code(),
                    text: text.as_bytes(),
                });
            }
            _ => self.say(Frame::Alive {
                size: self.follow.known_size(),
            }),
        }
    }

    /// Notes why nothing comes next, and tells the client if that is wrong and news.
    fn set_astray<S>(
        &mut self,
        refusal: Refusal,
        is_wrong: bool,
        cx: &Context<'_, S>,
        entry: &FileEntry,
    ) {
        let before = self.astray.as_ref();
        let was_wrong = before.is_some_and(|before| before.is_wrong);
        let is_known = before.is_some_and(|before| before.refusal.is_like(&refusal));
        let is_news = is_wrong != was_wrong || is_wrong && !is_known;
        let between_ms = cx.config.alive_interval_ms.max(cx.config.grace_ms);
        self.astray = Some(Box::new(Astray {
            refusal,
            is_wrong,
            is_noted: !(is_wrong && is_news),
            seek_at: cx.now.mono.plus_ms(between_ms),
        }));
        // Else the next keep-alive tells it.
        if is_news && self.is_between() {
            self.say_alive(entry);
        }
    }

    /// There is a live file again.
    fn end_trouble(&mut self) {
        if !self.is_between() {
            return;
        }
        if self.astray.take().is_some_and(|astray| astray.is_wrong) {
            let size = self.follow.known_size();
            self.say(Frame::Alive { size });
        }
    }

    /// Whether a small frame can be said: it must not come into the middle of another one, and they
    /// must not pile up.
    fn is_between(&self) -> bool {
        self.head.is_empty() && self.open.as_ref().is_none_or(|open| open.taken == 0)
    }
}

/// The reason for a person.
fn reason(entry: &FileEntry, refusal: &Refusal) -> String {
    let path = Escaped(entry.path.as_os_str().as_bytes());
    format!("{path}: {refusal}")
}
