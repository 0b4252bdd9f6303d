//! One client: its session together with its connection.

use std::ops::ControlFlow::{Break, Continue};

#[cfg(feature = "noise")]
use super::sealing::Sealing;
use super::watches::Watches;
#[cfg(feature = "noise")]
use crate::limits::LAST_WORDS_MS;
use crate::limits::{CHUNK_LEN, SEND_COST_LEN};
#[cfg(feature = "noise")]
use crate::noise::key::PublicKey;
use crate::reactor::Rest;
use crate::reactor::connection::{Connection, Ended};
use crate::report::Report;
use crate::serve::config::Config;
use crate::serve::send::context::Context;
use crate::serve::send::ending::Ending;
use crate::serve::session::Session;
use crate::store::real::RealRead;
#[cfg(feature = "noise")]
use crate::time::Mono;

/// A session and its connection. What fails on the connection ends the session.
pub struct Client {
    /// The socket, and what it took.
    pub connection: Connection,
    /// The machine.
    pub session: Session<std::fs::File>,
    /// When it goes at the latest, once its session has ended before all was sent that was sealed.
    #[cfg(feature = "noise")]
    pub leaves: Option<Mono>,
}

impl Client {
    /// There is room again.
    pub fn handle_writable(&mut self) {
        if self.connection.handle_writable().is_err() {
            self.session.handle_closed();
        }
    }

    /// Reads what the client sent, to the end: there is little that it may send.
    pub fn read(&mut self, cx: &mut Context<'_, RealRead>, buf: &mut [u8]) {
        let session = &mut self.session;
        let read = self.connection.read(buf, usize::MAX, &mut |input| {
            session.handle_input(input, cx);
            match session.ending() {
                None => Continue(()),
                Some(_) => Break(()),
            }
        });
        match read {
            Ok(_) => {}
            Err(Ended::ByPeer) => self.session.handle_half_closed(),
            #[cfg(feature = "noise")]
            Err(Ended::Rejected(why)) => self.session.end(Ending::Unsealed(why)),
            Err(_) => self.session.handle_closed(),
        }
    }

    /// Answers the first message of a client that is to be sealed.
    #[cfg(feature = "noise")]
    pub fn answer_handshake(&mut self, sealing: &mut Sealing, cx: &Context<'_, RealRead>) {
        let peer = self.session.peer();
        let is_allowed = |key: &PublicKey| cx.config.sealing.allows(key);
        let channel = self.connection.transform();
        if let Err(why) = sealing.answer(channel, peer, &is_allowed, cx.now.mono) {
            self.session.end(Ending::Unsealed(why));
        }
    }

    /// Until when a client stays whose session is over, because what was said last is sealed and
    /// the socket has not taken all of it. Takes note of a handshake that came to nothing.
    #[cfg(feature = "noise")]
    pub fn leaves_later(&mut self, sealing: &mut Sealing, now: Mono) -> Option<Mono> {
        let ending = self.session.ending()?;
        let is_over = matches!(
            ending,
            Ending::Left | Ending::Stalled | Ending::Unsealed(_) | Ending::Withdrawn
        );
        let channel = self.connection.transform();
        if !is_over && !channel.pending().is_empty() {
            let until = *self.leaves.get_or_insert(now.plus_ms(LAST_WORDS_MS));
            if now < until {
                return Some(until);
            }
        }
        if channel.is_sealed() && !channel.is_confirmed() {
            sealing.note_in_vain(self.session.peer(), now);
        }
        None
    }

    /// Sends what there is until the connection is full or the client has had its share of the
    /// turn.
    pub fn send(&mut self, cx: &mut Context<'_, RealRead>, buf: &mut [u8]) -> Rest {
        self.send_share(cx, buf).unwrap_or_else(|_| {
            self.session.handle_closed();
            #[cfg(feature = "noise")]
            self.drop_last_words();
            Rest::None
        })
    }

    fn send_share(
        &mut self,
        cx: &mut Context<'_, RealRead>,
        buf: &mut [u8],
    ) -> Result<Rest, Ended> {
        let mut sent = 0;
        while self.connection.has_room()? {
            if sent >= CHUNK_LEN {
                return Ok(Rest::More);
            }
            let len = self.session.output(buf, cx);
            if len == 0 {
                break;
            }
            let output = &buf[..len];
            let taken = self.connection.write(output)?;
            if taken == 0 {
                break;
            }
            sent += taken.max(SEND_COST_LEN);
            self.session.consume_output(output, taken, cx.now.mono);
        }
        Ok(Rest::None)
    }

    /// Has the log watched that the client is served since just now, if any. What happened between
    /// opening the file and watching it was not told, so it is looked at once more.
    pub fn watch(
        &mut self,
        watches: &mut Watches,
        cx: &mut Context<'_, RealRead>,
        report: &mut Report,
    ) {
        let Some(file) = self.session.file() else {
            return;
        };
        let is_new = watches.add(file, &cx.config.files, cx.journal, report);
        self.session.set_watched(watches.tells(file));
        if is_new {
            self.session.handle_hint(cx);
        }
    }

    /// The connection is broken: nothing more of it can be sent.
    #[cfg(feature = "noise")]
    fn drop_last_words(&mut self) {
        let channel = self.connection.transform();
        channel.consume_pending(channel.pending().len());
    }

    /// Whether a new configuration still serves a client with this key, or without one.
    #[cfg(feature = "noise")]
    fn keeps_seal(&mut self, config: &Config) -> bool {
        let channel = self.connection.transform();
        match channel.peer() {
            Some(key) => config.sealing.allows(key),
            None => !(config.sealing.is_required && channel.is_plain()),
        }
    }

    /// Another configuration stands in place of `before`.
    pub fn reload(&mut self, before: &Config, config: &Config) {
        let number = |old: Option<u32>| {
            let entry = old.and_then(|old| before.files.get(old as usize))?;
            config.index_of(&entry.path)
        };
        self.session.renumber_log(number(self.session.log()));
        if !config.hosts.allows(&self.session.peer()) {
            return self.session.end(Ending::Withdrawn);
        }
        #[cfg(feature = "noise")]
        if !self.keeps_seal(config) {
            return self.session.end(Ending::Withdrawn);
        }
        self.session.renumber(number(self.session.file()));
    }
}
