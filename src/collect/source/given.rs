//! What a source remembers of what it was given, and tells its server: read from the ledger when it
//! is needed, which is rare.

use std::path::Path;

use super::change::Afterwards;
use super::{Context, Source};
use crate::collect::config::Proto;
use crate::collect::copy::given::{CopySums, Entry, Ledger};
use crate::collect::copy::pointer::RotatedSuffix;
use crate::collect::copy::{Finished, Generation};
use crate::collect::event::Event;
use crate::collect::finished::double::Double;
use crate::ids::Inode;
use crate::store::WriteStore;
use crate::wire::frame::Reason;
use crate::wire::request::{Extension, Given, GivenList, id_sum};
use crate::wire::token::Token;

impl<F> Source<F> {
    /// Adds to a request for the stream the token of the generation held, and what was given
    /// before.
    pub(super) fn tell_given<S: WriteStore<File = F>>(
        &self,
        held: &Generation,
        request: &mut Extension,
        cx: &mut Context<'_, S>,
    ) {
        // What cannot be read now is not told.
        let Some(ledger) = self.ledger(cx) else {
            return;
        };
        request.identity = ledger.token_of(held);
        request.given = list_of(&ledger);
    }

    /// Notes the token that the server gives the generation held. Most answers change nothing.
    pub(super) fn note_token<S: WriteStore<File = F>>(
        &mut self,
        token: Option<Token>,
        cx: &mut Context<'_, S>,
    ) {
        let Some(held) = self.disk.generation().filter(|_| token.is_some()) else {
            return;
        };
        let boot = cx.boot.cloned();
        self.change_ledger(cx, |ledger| ledger.set_token(&held, token, boot.as_ref()));
    }

    /// A power cut may have left the ledger that was before the present generation: nothing says
    /// then that a token that is noted is that of the generation held.
    pub(super) fn doubt_token<S: WriteStore<File = F>>(&self, cx: &mut Context<'_, S>) {
        let boot = cx.boot.cloned();
        self.change_ledger(cx, |ledger| {
            if !ledger.is_of(boot.as_ref()) {
                ledger.forget_tokens();
            }
        });
    }

    /// Notes the token of the generation that begins with a rotation, before that is made. Tells
    /// what the newest copy that was given whole is called, as far as the ledger has it.
    pub(super) fn announce_token<S: WriteStore<File = F>>(
        &self,
        next: &Generation,
        change: &Afterwards,
        cx: &mut Context<'_, S>,
    ) -> Option<RotatedSuffix> {
        let tokens = change.tokens.as_ref();
        let token = tokens.and_then(|tokens| tokens.begins);
        let is_suspect = tokens.is_some_and(|tokens| tokens.is_suspect);
        let boot = cx.boot.cloned();
        let ledger = self.change_ledger(cx, |ledger| {
            if change.held != Inode::NONE && token.is_some() {
                ledger.announce(next, token, is_suspect, boot.as_ref());
            }
        })?;
        ledger.entries().first().map(|entry| entry.suffix.clone())
    }

    /// Notes the generation that was left, if it is whole, and the token of the one that begins.
    /// Before that no generation was held at a first contact, which begins anew.
    pub(super) fn note_change<S: WriteStore<File = F>>(
        &mut self,
        change: &Afterwards,
        kept: Option<&Path>,
        cx: &mut Context<'_, S>,
    ) {
        if self.config.proto == Proto::Classic {
            return;
        }
        let Some(begun) = self.disk.generation() else {
            return;
        };
        let boot = cx.boot.cloned();
        let suffix = kept.and_then(|kept| RotatedSuffix::of(kept, &self.config.local));
        self.change_ledger(cx, |ledger| {
            if change.held == Inode::NONE {
                *ledger = Ledger::default();
            }
            if let Some(suffix) = suffix.filter(|_| change.is_whole) {
                ledger.add(Entry {
                    size: change.size,
                    sums: None,
                    token: token_at_end(change, ledger),
                    suffix,
                    is_suspect: change.tokens.as_ref().is_some_and(|it| it.is_suspect),
                });
            }
            let tokens = change.tokens.as_ref();
            let token = tokens.and_then(|tokens| tokens.begins);
            ledger.set_token(&begun, token, boot.as_ref());
        });
    }

    /// Notes what whoever was killed behind a rotation had not noted. `held` is the inode of the
    /// present generation.
    pub(super) fn note_unnoted<S: WriteStore<File = F>>(
        &self,
        list: &[Finished],
        held: Inode,
        cx: &mut Context<'_, S>,
    ) {
        if self.config.proto == Proto::Classic || list.is_empty() {
            return;
        }
        self.change_ledger(cx, |ledger| {
            for finished in list {
                ledger.catch_up(finished, held, &self.config);
            }
        });
    }

    /// Notes the checksums of a copy that was compared.
    pub(super) fn note_sums<S: WriteStore<File = F>>(
        &mut self,
        copy: &Path,
        size: u64,
        sums: CopySums,
        cx: &mut Context<'_, S>,
    ) {
        self.change_ledger(cx, |ledger| {
            ledger.set_sums(copy, size, sums, &self.config);
        });
    }

    /// Whether a copy with this digest is as it was received: where the server has another one now
    /// for a file that it found by content, that is another file.
    pub(super) fn is_as_received<S: WriteStore<File = F>>(
        &self,
        finished: &Finished,
        md5: Option<[u8; 16]>,
        cx: &mut Context<'_, S>,
    ) -> bool {
        // Classic has changed what it brought.
        if !finished.by_content || finished.classic {
            return false;
        }
        let Some(ledger) = self.ledger(cx) else {
            return false;
        };
        let entry = ledger.entry_of(&finished.path, &self.config);
        entry.is_some_and(|entry| {
            let noted = entry.sums.map(|sums| sums.md5);
            entry.size == finished.size && noted.is_some() && noted == md5
        })
    }

    /// Takes in the token of the file with which the server answers a heal. Tells whether that is
    /// another file than the one that was finished.
    pub(super) fn is_other_file<S: WriteStore<File = F>>(
        &mut self,
        theirs: Option<Token>,
        cx: &mut Context<'_, S>,
    ) -> bool {
        let ledger = self.ledger(cx);
        let (Some(heal), Some(theirs), Some(ledger)) = (self.finished.heal_mut(), theirs, ledger)
        else {
            return false;
        };
        let entry = ledger.entry_of(&heal.finished().path, &self.config);
        match entry.and_then(|entry| entry.token) {
            Some(ours) if ours.id() == theirs.id() => {
                heal.recognise();
                false
            }
            ours => ours.is_some(),
        }
    }

    /// Whether the file with which the server answers is another one than that of the generation
    /// held, as far as the tokens tell, else the inodes. It may hold the same bytes: a duplicate
    /// that was made before the log was truncated.
    pub(super) fn is_other_than_held<S: WriteStore<File = F>>(
        &self,
        inode: Inode,
        theirs: Option<Token>,
        cx: &mut Context<'_, S>,
    ) -> bool {
        let Some(held) = self.disk.generation() else {
            return false;
        };
        let ledger = self.ledger(cx).unwrap_or_default();
        match ledger.token_of(&held).zip(theirs) {
            Some((ours, theirs)) => ours.id() != theirs.id(),
            None => inode != held.inode,
        }
    }

    /// A copy was found to be right. Where the server has sent the same file before, both copies
    /// are compared; and with all older ones where the file may be a copy of another generation.
    pub(super) fn suspect_double<S: WriteStore<File = F>>(
        &mut self,
        finished: Finished,
        cx: &mut Context<'_, S>,
    ) {
        let Some(ledger) = self.ledger(cx) else {
            return;
        };
        if let Some(of) = ledger.double_of(&finished.path, &self.config) {
            self.finished.begin_double(Double::new(finished, of));
            return;
        }
        let entry = ledger.entry_of(&finished.path, &self.config);
        if entry.is_some_and(|entry| entry.is_suspect) {
            let older = ledger.longer_before(&finished.path, &self.config);
            self.finished.begin_double(Double::within(finished, older));
        }
    }

    /// Compares one more slice of two copies.
    pub(super) fn work_on_double<S: WriteStore<File = F>>(
        &mut self,
        buf: &mut [u8],
        cx: &mut Context<'_, S>,
    ) {
        let double = self.finished.double_mut();
        let Some(is_gone) = double.and_then(|double| double.work(buf, cx.store)) else {
            return;
        };
        let Some(double) = self.finished.end_double() else {
            return;
        };
        let path = &*double.finished().path;
        match double.of() {
            Some(of) => {
                let is_part = double.is_within();
                let twice = Event::GivenTwice {
                    path,
                    of,
                    is_part,
                    is_gone,
                };
                (cx.events)(&self.config, twice);
            }
            None => self.note_flaw(Event::Remains(path), cx),
        }
        if is_gone {
            self.change_ledger(cx, |ledger| ledger.forget(path, &self.config));
        }
        self.update_list(cx);
    }

    /// What is remembered; `None` where that cannot be read now.
    pub(super) fn ledger<S: WriteStore<File = F>>(
        &self,
        cx: &mut Context<'_, S>,
    ) -> Option<Ledger> {
        Ledger::read(&self.config, cx.store).ok()
    }

    /// Changes the ledger, which is written only if that makes it another, and tells what it is.
    /// Where that fails, less is known the next time.
    fn change_ledger<S: WriteStore<File = F>>(
        &self,
        cx: &mut Context<'_, S>,
        change: impl FnOnce(&mut Ledger),
    ) -> Option<Ledger> {
        // What cannot be read for want of something must not be replaced.
        let before = self.ledger(cx)?;
        let mut ledger = before.clone();
        change(&mut ledger);
        if ledger != before {
            let _ = ledger.write(&self.config, cx.store);
        }
        Some(ledger)
    }
}

/// The token of the file that has all of the generation that was left.
fn token_at_end(change: &Afterwards, ledger: &Ledger) -> Option<Token> {
    // A file that was cut or written anew has another generation by now.
    let is_moved = matches!(change.reason, Reason::Truncated | Reason::Rewritten);
    let ended = change.tokens.as_ref().and_then(|tokens| tokens.ended);
    ended.or_else(|| {
        let left = change.left.as_ref().filter(|_| !is_moved)?;
        ledger.token_of(left)
    })
}

/// The generations that were given, as a request tells them.
fn list_of(ledger: &Ledger) -> GivenList {
    let told = ledger.entries().iter().map(|entry| Given {
        size: entry.size,
        md5: entry.sums.map(|sums| start_of(&sums.md5)),
        id: entry.token.as_ref().map(id_sum),
    });
    let mut list = GivenList::default();
    // The newest, as many as there is room for.
    told.map_while(|given| list.push(given).ok()).for_each(drop);
    list
}

fn start_of(md5: &[u8; 16]) -> u32 {
    let [a, b, c, d, ..] = *md5;
    u32::from_be_bytes([a, b, c, d])
}
