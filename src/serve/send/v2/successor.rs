//! The searches that a stream waits for: which bytes come first in a generation, and which file
//! comes next. See [`crate::serve::find::search`]. Pure.

use std::io;
use std::ops::ControlFlow::{self, Continue};

use super::V2Stream;
use crate::limits::GUARD_LEN;
use crate::serve::find::compare::is_there;
use crate::serve::find::crowd::Reached;
use crate::serve::find::findings::{Begun, Findings, Occasion};
use crate::serve::find::query::Query;
use crate::serve::find::refusal::Refusal;
use crate::serve::find::search::Search;
use crate::serve::find::v2::next::{Duplicate, Following};
use crate::serve::send::context::Context;
use crate::serve::send::ending::Ending;
use crate::serve::send::follow::Look;
use crate::store::ReadStore;
use crate::wire::crc32::Crc32;

impl<F> V2Stream<F> {
    /// Puts a question to the files that there are. The answer [`Refusal::Later`] means that they
    /// are being searched; then the whole look is taken again with what was found.
    pub(super) fn ask<S: ReadStore<File = F>, T>(
        &mut self,
        occasion: Occasion,
        query: &Query<'_, S>,
        question: impl FnOnce() -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        // Within `search_on`: something was found. Only for another occasion, or where names have
        // changed since, the search begins anew.
        let found = query.findings.filter(|it| it.occasion() == occasion);
        match found {
            None => self.start_search(occasion, query),
            Some(findings) => match question() {
                Err(Refusal::Later) if findings.is_paused() => {}
                Err(Refusal::Later | Refusal::Unsettled) => self.repeat_search(findings, query)?,
                // What stays as it is was found out once, and takes nothing from the next part.
                Err(refusal @ Refusal::Unreadable(_)) if !refusal.is_lasting() => {
                    findings.note_unanswered();
                    return Err(refusal);
                }
                answer => return answer,
            },
        }
        Err(Refusal::Later)
    }

    /// Searches, unless that is done already.
    fn start_search<S: ReadStore<File = F>>(&mut self, occasion: Occasion, query: &Query<'_, S>) {
        // The look came again for another reason while the search is under way.
        if self.is_searching_on(|present| present == occasion) {
            return;
        }
        self.search = Some(match self.take_plan(occasion, query) {
            Some(search) => search,
            None => Box::new(Search::new(occasion, &self.query_from_here(query))),
        });
    }

    /// Searches once more; it fails where that was done too often.
    fn repeat_search<S: ReadStore<File = F>>(
        &mut self,
        findings: &Findings,
        query: &Query<'_, S>,
    ) -> Result<(), Refusal> {
        self.drop_plan();
        let again = Search::again(findings, &self.query_from_here(query));
        self.search = Some(Box::new(again.ok_or(Refusal::Unsettled)?));
        Ok(())
    }

    /// Whether bytes that were just read belong to the generation being sent; `None` while that is
    /// being searched for. Only what is read or found after them can show it: at any moment before,
    /// the file may have been truncated and have grown again.
    pub(super) fn is_continuation<S: ReadStore<File = F>>(
        &mut self,
        bytes: &[u8],
        query: &Query<'_, S>,
    ) -> io::Result<Option<bool>> {
        // What was sent before is still there, directly before these bytes.
        if !self.fingerprint.is_empty() {
            return self.is_sound(query.store).map(Some);
        }
        let start = &bytes[..bytes.len().min(GUARD_LEN)];
        // The bytes were read before this; if the file still begins with them, they belong to what
        // is there now.
        if !is_there(query.store, self.follow.file(), start, 0)? {
            return Ok(Some(false));
        }
        // What has a rotated file after it was found to come next among all of them.
        if self.is_old {
            self.sound_size = self.follow.stat().size;
            return Ok(Some(true));
        }
        let begun = Begun {
            len: bytes.len() as u32,
            crc: Crc32::new().update(bytes).finish(),
        };
        // The search began after these very bytes had been read and found none before them.
        if self.proved == Some(begun) {
            self.sound_size = self.follow.known_size();
            return Ok(Some(true));
        }
        self.proved = None;
        let search = Search::new(Occasion::Begun(begun), &self.query_from_here(query));
        self.search = Some(Box::new(search));
        Ok(None)
    }

    /// Whether a file that was written to, and yet is no longer than what was sent, holds something
    /// else now.
    pub(super) fn is_written_over<S: ReadStore<File = F>>(
        &mut self,
        occasion: Occasion,
        query: &Query<'_, S>,
    ) -> bool {
        // Not written to; or longer, and then the check before the next bytes tells. A file that is
        // allocated ahead need not become longer before it has something to send, and zeros may be
        // all that a log has.
        let mtime_ns = self.follow.stat().mtime_ns;
        if mtime_ns == self.sound_ns || self.follow.to_send() > 0 {
            return false;
        }
        let is_same = match self.follow.offset() {
            // Of nothing there is no fingerprint: only a duplicate tells that there was something.
            0 => {
                let duplicate = self.first_duplicate(occasion, query);
                let is_none = duplicate.map(|duplicate| duplicate.is_none()).ok();
                // What is emptied after this has another time.
                if is_none == Some(true) {
                    self.sound_ns = mtime_ns;
                }
                is_none
            }
            _ => self.is_sound(query.store).ok(),
        };
        is_same == Some(false)
    }

    /// A duplicate of what was written first since the generation began, if it was truncated before
    /// anybody looked.
    pub(super) fn first_duplicate<S: ReadStore<File = F>>(
        &mut self,
        occasion: Occasion,
        query: &Query<'_, S>,
    ) -> Result<Option<Duplicate<F>>, Refusal> {
        // The last look may be too old: what was truncated since has another time and size.
        let own = query.store.stat(self.follow.file());
        let own = own.map_err(Refusal::unreadable)?;
        let before = self.journey.as_ref().and_then(|journey| journey.before);
        let floor_ns = self.floor_ns;
        let seq = self.generation.seq;
        self.ask(occasion, query, || {
            query.first_duplicate(own, before, floor_ns, seq)
        })
    }

    /// Whether it is known which generation comes next, where that can be known already: what has
    /// the name now need not be the first that had it since, and what was first may be gone soon.
    pub(super) fn knows_successor<S: ReadStore<File = F>>(&mut self, query: &Query<'_, S>) -> bool {
        let (None, Some(successor), false) = (self.then, self.follow.successor(), self.is_in_doubt)
        else {
            return true;
        };
        // The journal has seen it come, too, and will not forget it.
        if query.known_seq(self.generation.seq).is_some() {
            return true;
        }
        let (own, floor_ns) = (self.follow.id(), self.floor_ns);
        let ask = || query.first_after(own, floor_ns);
        match self.ask(Occasion::Superseded, query, ask) {
            Ok(Following::Rotated(next)) => self.then = Some(next),
            Ok(Following::Live) => self.then = Some(successor),
            // Whatever has the name now need not be the first that had it since.
            Ok(Following::Doubtful) => self.is_in_doubt = true,
            // What is not known now may be at the next look.
            Err(Refusal::Later | Refusal::Unsettled) => return false,
            // To be asked again and again would keep the other questions from their answers.
            Err(_) => self.then = Some(successor),
        }
        true
    }

    /// What follows from a look at a file that is quiet, and that somebody may write to still.
    pub(super) fn look_at_quiet<S: ReadStore<File = F>>(
        &mut self,
        cx: &Context<'_, S>,
        query: &Query<'_, S>,
    ) -> Result<Look, Refusal> {
        // Zeros at its end come in any case: there is no telling when the next file is written to.
        let is_over = self.follow.zeros().is_some() || !self.is_awaited(cx, query)?;
        Ok(match is_over && self.follow.is_complete(cx) {
            true => Look::Rotated,
            false => Look::Same,
        })
    }

    /// Whether a writer that may still have the file open is waited for, since there are files
    /// after this one, which the client has all of, and nothing was written to any of them. So its
    /// writer keeps nothing back, and may have noticed nothing. [`Refusal::Later`] while that is
    /// searched for: other questions must not take the place of that search. What cannot be read
    /// for once is refused here, for a question that fails leaves the next one no part to be
    /// answered in.
    pub(super) fn is_awaited<S: ReadStore<File = F>>(
        &mut self,
        cx: &Context<'_, S>,
        query: &Query<'_, S>,
    ) -> Result<bool, Refusal> {
        // Nobody writes to a duplicate.
        if self.reason.is_some() || self.follow.is_live() || self.follow.is_at_rest(cx.store) {
            return Ok(false);
        }
        let (live, now) = (query.live_id(), cx.now.mono);
        let calm = self.journey.as_ref().and_then(|journey| journey.calm);
        // Between two searches the live file alone tells.
        let is_known = calm.is_some_and(|(id, until)| id == live && now < until);
        // What is searched for already has its answer first.
        let is_other = |occasion| occasion != Occasion::Rotated;
        let is_busy = self.is_searching_on(is_other)
            || query.findings.is_some_and(|it| is_other(it.occasion()));
        if !is_known && !is_busy {
            let left = self.left();
            match self.ask(Occasion::Rotated, query, || query.is_empty_after(&left)) {
                Ok(true) => {
                    let until = now.plus_ms(cx.config.alive_interval_ms);
                    self.journey_mut().calm = Some((live, until));
                }
                Err(refusal @ (Refusal::Later | Refusal::Unreadable(_)))
                    if !refusal.is_lasting() =>
                {
                    return Err(refusal);
                }
                // It is told where the next one is named.
                Ok(false) | Err(_) => return Ok(false),
            }
        }
        self.follow.stay(now, cx.config);
        Ok(true)
    }

    /// Whether a search is under way on such an occasion.
    pub(super) fn is_searching_on(&self, is_it: impl FnOnce(Occasion) -> bool) -> bool {
        let search = self.search.as_ref();
        search.is_some_and(|search| is_it(search.occasion()))
    }

    /// Does a part of the search and, once there is something to go on with, goes on.
    pub(super) fn search_on<S: ReadStore<File = F>>(
        &mut self,
        mut search: Box<Search>,
        cx: &mut Context<'_, S>,
        query: &Query<'_, S>,
    ) -> ControlFlow<Ending> {
        let occasion = search.occasion();
        if self.is_plan_outdated(&search, query) {
            self.drop_plan();
            *search = Search::new(occasion, &self.query_from_here(query));
        }
        let findings = match search.advance(query) {
            Ok(Some(findings)) => findings,
            Ok(None) => {
                self.search = Some(search);
                return Continue(());
            }
            Err(refusal) => {
                // It is not known whether these bytes come first, so they must not be sent; with
                // the next look the question is put again.
                self.rewritten |= matches!(occasion, Occasion::Begun(_));
                let intact = !self.rewritten;
                return self.wait_or_end(refusal, intact, cx, query);
            }
        };
        let grace_ms = cx.config.grace_ms;
        let troubles = &cx.sightings.troubles;
        findings.give_up(troubles.given_up(self.index, grace_ms, cx.now.mono));
        let query = Query {
            findings: Some(findings),
            ..self.query_from_here(query)
        };
        let turn = match occasion {
            Occasion::Begun(begun) => self.prove(begun, cx, &query),
            _ => self.look(cx, &query),
        };
        if let Some(id) = findings.take_failed() {
            let troubles = &mut cx.sightings.troubles;
            troubles.could_not_read(self.index, id, cx.now.mono);
        }
        // Only some of the files were judged in this part; what was found out about them is kept.
        // But a question that fails is put first in the next part again, and leaves the others
        // none of it: they wait for the next look.
        let may_go_on = findings.is_paused() && !findings.has_failed();
        if may_go_on && self.search.is_none() {
            self.search = Some(search);
        } else if occasion == Occasion::Rotated && self.search.is_none() {
            self.keep_plan(search, cx.now.mono);
        }
        turn
    }

    /// The query, from where the stream stands.
    #[inline(never)]
    pub(super) fn query_from_here<'a, S>(&self, query: &Query<'a, S>) -> Query<'a, S> {
        Query {
            reached: Reached {
                own: Some(self.follow.id().inode),
                floor_ns: Some(self.floor_ns),
            },
            ..*query
        }
    }

    /// Nothing was sent of the live file, and it may have been emptied and written anew since it
    /// got its number.
    pub(super) fn renumber_live<S: ReadStore<File = F>>(&mut self, query: &Query<'_, S>) {
        let path = &query.entry.path;
        if !self.follow.is_live() || !query.journal.look(self.index, path, query.store) {
            return;
        }
        let seq = query.seq_of(self.generation.identity);
        if seq != self.generation.seq {
            self.generation.seq = seq;
            self.token_due = true;
        }
    }

    /// Nothing was sent, so any bytes would do. If there is a duplicate from the time since the
    /// generation began, these are not its first: others were written, copied and truncated before
    /// anybody looked.
    fn prove<S: ReadStore<File = F>>(
        &mut self,
        begun: Begun,
        cx: &Context<'_, S>,
        query: &Query<'_, S>,
    ) -> ControlFlow<Ending> {
        match self.first_duplicate(Occasion::Begun(begun), query) {
            Ok(None) => {
                self.proved = Some(begun);
                self.renumber_live(query);
            }
            // Other files are judged in the next part, or the search has begun anew.
            Err(Refusal::Later) => {}
            Err(refusal @ Refusal::Unreadable(_)) => {
                return self.wait_or_end(refusal, false, cx, query);
            }
            Ok(Some(_)) | Err(_) => {
                self.rewritten = true;
                self.follow.look_soon();
            }
        }
        Continue(())
    }
}
