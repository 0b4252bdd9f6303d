//! One client: its session together with its connection.

use std::ops::ControlFlow::{Break, Continue};

use super::watches::Watches;
use crate::limits::{CHUNK_LEN, SEND_COST_LEN};
use crate::reactor::Rest;
use crate::reactor::connection::{Connection, Ended};
use crate::report::Report;
use crate::serve::config::Config;
use crate::serve::send::context::Context;
use crate::serve::send::ending::Ending;
use crate::serve::session::Session;
use crate::store::real::RealRead;

/// A session and its connection. What fails on the connection ends the session.
pub struct Client {
    /// The socket, and what it took.
    pub connection: Connection,
    /// The machine.
    pub session: Session<std::fs::File>,
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
            Err(_) => self.session.handle_closed(),
        }
    }

    /// Sends what there is until the connection is full or the client has had its share of the
    /// turn.
    pub fn send(&mut self, cx: &mut Context<'_, RealRead>, buf: &mut [u8]) -> Rest {
        self.send_share(cx, buf).unwrap_or_else(|_| {
            self.session.handle_closed();
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
        self.session.renumber(number(self.session.file()));
    }
}
