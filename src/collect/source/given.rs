//! What a source remembers of what it was given, and tells its server: read from the ledger when it
//! is needed, which is rare.

use std::path::Path;

use super::change::Afterwards;
use super::{Context, Source};
use crate::collect::config::Proto;
use crate::collect::copy::Generation;
use crate::collect::copy::given::{CopySums, Entry, Ledger};
use crate::collect::copy::pointer::RotatedSuffix;
use crate::ids::Inode;
use crate::store::WriteStore;
use crate::wire::frame::{Reason, Role};
use crate::wire::request::{Extension, Given, GivenList, id_sum};
use crate::wire::token::Token;

/// The tokens that came for the end of a generation and the begin of the next.
#[derive(Default)]
pub struct Tokens {
    /// That of the generation that begins.
    pub begins: Option<Token>,
    /// That of the file which has all of the generation that ends.
    pub ended: Option<Token>,
}

impl Tokens {
    /// The token of the generation that begins, where nothing is known of an end.
    pub fn of_next(begins: Option<Token>) -> Option<Box<Tokens>> {
        let tokens = Tokens {
            begins,
            ended: None,
        };
        begins.map(|_| Box::new(tokens))
    }

    /// Takes in the token of a FILE frame; a later one counts.
    pub fn take(&mut self, role: Role, token: Token) {
        match role {
            Role::Begins => self.begins = Some(token),
            Role::Ended => self.ended = Some(token),
        }
    }
}

impl<F> Source<F> {
    /// Adds to a request for the stream the token of the generation held, and what was given before.
    pub(super) fn tell_given<S: WriteStore<File = F>>(
        &self,
        held: &Generation,
        request: &mut Extension,
        cx: &mut Context<'_, S>,
    ) {
        // What cannot be read now is not told.
        let Ok(ledger) = Ledger::read(&self.config, cx.store) else {
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
        self.change_ledger(cx, |ledger| ledger.set_token(&held, token));
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
        let suffix = kept.and_then(|kept| RotatedSuffix::of(kept, &self.config.local));
        self.change_ledger(cx, |ledger| {
            if change.held == Inode::NONE {
                *ledger = Ledger::default();
            }
            // Empty files are all alike.
            if let Some(suffix) = suffix.filter(|_| change.is_whole && change.size > 0) {
                ledger.add(Entry {
                    size: change.size,
                    sums: None,
                    token: token_at_end(change, ledger),
                    suffix,
                });
            }
            let tokens = change.tokens.as_ref();
            ledger.set_token(&begun, tokens.and_then(|tokens| tokens.begins));
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
        let config = self.config.clone();
        self.change_ledger(cx, |ledger| ledger.set_sums(copy, size, sums, &config));
    }

    /// Changes the ledger, which is written only if that makes it another. Where that fails, less is
    /// known the next time.
    fn change_ledger<S: WriteStore<File = F>>(
        &self,
        cx: &mut Context<'_, S>,
        change: impl FnOnce(&mut Ledger),
    ) {
        // What cannot be read for want of something must not be replaced.
        let Ok(before) = Ledger::read(&self.config, cx.store) else {
            return;
        };
        let mut ledger = before.clone();
        change(&mut ledger);
        if ledger != before {
            let _ = ledger.write(&self.config, cx.store);
        }
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
