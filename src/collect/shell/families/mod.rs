//! Lines that stand for all logs which a glob finds on a box: who is asked, and which sources come
//! and go with the answers.

mod claims;
mod lists;
mod pace;

use std::ops::ControlFlow::{Break, Continue};

use self::claims::Claims;
use self::pace::Pace;
use super::statuses::Statuses;
use super::{Collector, FAMILIES, conf};
use crate::collect::config::family::FamilyConfig;
use crate::collect::config::{Address, SourceConfig};
use crate::collect::error::{Closed, SourceError};
use crate::collect::family::{Family, Trouble, Waits};
use crate::collect::status::ServerIndex;
use crate::limits::{
    LIST_TURN_LEN, MEMBER_EACH_MS, MEMBERS_MAX, MOVES_TOLD, READ_MS, REFUSED_EACH_MS, REFUSED_TOLD,
};
use crate::reactor::connection::Connection;
use crate::reactor::token::Token;
use crate::reactor::{self, Rest};
use crate::sys::clock;
use crate::time::{Mono, Now, Wall};
use crate::wire::escape::{Escaped, OneLine};
use crate::wire::table::{Row, State};

/// A line, its question and its sources.
pub struct FamilySlot {
    config: FamilyConfig,
    family: Family,
    connection: Option<Connection>,
    /// Nobody could be reached at one of its addresses.
    is_unreached: bool,
    life: u16,
    /// Counts the tries, so that each address of a name has its turn.
    tries: usize,
    /// The logs that have a source, in order.
    members: Vec<Box<[u8]>>,
    /// Those of them that the box has no more.
    leaving: Vec<Leaving>,
    /// Those that have no source, and that was told.
    refused: Vec<Box<[u8]>>,
    /// How many more may come.
    pace: Pace,
    /// Some wait for that until this moment.
    more_at: Option<Mono>,
    /// How many more refusals are told.
    telling: Pace,
    /// How many more of those that come and go are told.
    moving: Pace,
    /// When the next list is looked through, be there another before or not.
    list_at: Mono,
    told: String,
    is_cut_told: bool,
    /// Which log of those that were asked for has no source, and why; empty if all have one.
    lacking: String,
    servers: [Option<ServerIndex>; 2],
    reported_error: bool,
    /// Since when it is in error, or is not.
    since: Wall,
}

/// A log that the box has no more.
struct Leaving {
    path: Box<[u8]>,
    /// When that was told.
    since: Mono,
    /// When its source may go, or is looked at again.
    at: Mono,
}

impl FamilySlot {
    fn new(config: FamilyConfig, now: Now) -> FamilySlot {
        let (now, wall) = (now.mono, now.wall);
        FamilySlot {
            config,
            family: Family::new(now),
            connection: None,
            is_unreached: false,
            life: 0,
            tries: 0,
            members: Vec::new(),
            leaving: Vec::new(),
            refused: Vec::new(),
            pace: Pace::new(MEMBERS_MAX, MEMBER_EACH_MS, now),
            more_at: None,
            telling: Pace::new(REFUSED_TOLD, REFUSED_EACH_MS, now),
            moving: Pace::new(MOVES_TOLD, REFUSED_EACH_MS, now),
            list_at: now,
            told: String::new(),
            is_cut_told: false,
            lacking: String::new(),
            servers: [None; 2],
            reported_error: true,
            since: wall,
        }
    }

    /// Its line.
    pub fn config(&self) -> &FamilyConfig {
        &self.config
    }

    fn close(&mut self) {
        let connection = self.connection.take();
        self.is_unreached |= connection.is_some_and(|it| !it.is_made());
    }

    fn poll_timeout(&self) -> Mono {
        let leaving = self.leaving.iter().map(|leaving| leaving.at);
        let others = leaving.chain(self.more_at);
        others.fold(self.family.poll_timeout(), Mono::min)
    }

    fn is_in_error(&self) -> bool {
        let is_known = !self.members.is_empty() || self.family.is_listening();
        self.family.trouble().is_some() || !self.lacking.is_empty() || !is_known
    }

    /// Takes a place among the sources of its server, whose status begins anew.
    pub fn join_status(&mut self, address: Address, statuses: &mut Statuses) {
        let name = self.config.source.name.clone();
        self.servers = [
            statuses.add_source(address),
            name.and_then(|name| statuses.add_source(Address::Name(name))),
        ];
        // It is what it was.
        let since = self.since;
        self.reported_error = true;
        self.tell_status(statuses, since);
    }

    fn tell_status(&mut self, statuses: &mut Statuses, now: Wall) {
        let in_error = self.is_in_error();
        if in_error != self.reported_error {
            for server in self.servers.into_iter().flatten() {
                statuses.set(server, self.reported_error, in_error);
            }
            self.reported_error = in_error;
            self.since = now;
        }
    }

    /// Which box it is of, among all.
    pub fn server_index(&self) -> Option<ServerIndex> {
        let [address, name] = self.servers;
        name.or(address)
    }

    /// Shows it, if it is not well or finds nothing: its logs are shown by themselves.
    pub fn show(&self, now: Now, see: &mut dyn FnMut(&Row<'_>)) {
        use std::os::unix::ffi::OsStrExt;
        let (state, why) = match self.family.trouble() {
            Some(trouble) => (State::Error, trouble.to_string()),
            None if !self.lacking.is_empty() => (State::Error, self.lacking.clone()),
            None if !self.members.is_empty() || !self.family.logs().paths.is_empty() => return,
            None if self.family.is_listening() => (State::Following, String::new()),
            None => (State::Connecting, String::new()),
        };
        let source = &self.config.source;
        see(&Row {
            server: source.server().to_string().into(),
            remote: (&*source.remote).into(),
            local: source.local.as_os_str().as_bytes().into(),
            state,
            since: Some(self.since.secs()),
            held: 0,
            behind: None,
            last_byte: None,
            last_contact: None,
            next_try: self.family.next_try().map(|at| now.secs_at(at)),
            losses: 0,
            unverified: 0,
            hooks_waiting: 0,
            is_paused: false,
            why: OneLine(&why).to_string().into(),
            rotations: 0,
            healed: 0,
            connections: 0,
            bytes: 0,
            address: source.address.to_string().into(),
        });
    }
}

impl Collector {
    /// Takes up the lines of a configuration, and tells the sources that they have already: those
    /// of lines that ask for the same as before, and those that were `remembered` from another run.
    pub(super) fn apply_families(
        &mut self,
        families: Vec<FamilyConfig>,
        sources: &[SourceConfig],
        remembered: &[Row<'_>],
    ) -> Vec<SourceConfig> {
        let mut before = std::mem::take(&mut self.families);
        let mut claims = Claims::of(sources.iter());
        let mut wanted = Vec::new();
        for config in families {
            let same = before.iter().position(|old| old.config == config);
            let alike = || before.iter().position(|old| old.config.asks_like(&config));
            let mut known = Vec::new();
            let mut slot = match same {
                Some(at) => {
                    let mut slot = before.swap_remove(at);
                    known.append(&mut slot.members);
                    slot.config = config;
                    slot
                }
                None => {
                    if let Some(at) = alike() {
                        known.append(&mut before[at].members);
                    }
                    FamilySlot::new(config, self.now)
                }
            };
            let of_before = remembered
                .iter()
                .filter(|row| slot.config.has(&row.server, &row.remote, &row.local));
            known.extend(of_before.map(|row| row.remote.as_ref().into()));
            known.sort_unstable();
            known.dedup();
            known.truncate(MEMBERS_MAX);
            for remote in known {
                if let Ok(source) = slot.config.member(&remote)
                    && claims.take(&source).is_ok()
                {
                    conf::make_dir_of(&source, &mut |what| self.journal.complain(&what));
                    wanted.push(source);
                    slot.members.push(remote);
                }
            }
            slot.refused.clear();
            // Other lines may have let go of what it tells.
            slot.more_at = slot.family.is_listening().then_some(self.now.mono);
            self.families.push(slot);
        }
        wanted
    }

    /// The status of their boxes begins anew, and so do their deadlines.
    pub(super) fn join_family_statuses(&mut self) {
        for (index, slot) in (0..).zip(&mut self.families) {
            let source = &slot.config.source;
            let found = self.resolver.addresses_of(source);
            let first = found.iter().flatten().next();
            let address = match first {
                Some(std::net::SocketAddr::V6(address)) if address.scope_id() != 0 => None,
                first => first.map(|address| address.ip().into()),
            };
            let address = address.unwrap_or_else(|| source.address.clone());
            slot.join_status(address, &mut self.statuses);
            (self.family_deadlines).set_about(index, Some(slot.poll_timeout()), self.now.mono);
        }
    }

    /// Those that wait ask at once.
    pub(super) fn ask_families_at_once(&mut self) {
        let now = self.now.mono;
        for index in 0..self.families.len() as u32 {
            self.drive_family(index, &mut |slot, _| {
                slot.family.try_at_once(now);
                Rest::None
            });
        }
    }

    /// Addresses of names have become known: those that lack one ask now.
    pub(super) fn tell_families_of_names(&mut self) {
        let now = self.now.mono;
        for index in 0..self.families.len() as u32 {
            let slot = &mut self.families[index as usize];
            let lacks_one = matches!(
                slot.family.trouble(),
                Some(Trouble::Source(SourceError::NoAddress))
            );
            if slot.tries == 0 || lacks_one {
                slot.family.try_at_once(now);
                self.drive_family(index, &mut |_, _| Rest::None);
            }
        }
    }

    /// Does what is due.
    pub(super) fn turn_over_families(&mut self, due: Mono) {
        // Lists are as dear as what sources have to read, and no source is to wait for them.
        let until = clock::now().mono.plus_ms(READ_MS);
        while let Some(index) = self.family_deadlines.pop_due(due) {
            self.let_leave(index);
            self.let_come(index);
            self.drive_family(index, &mut |_, _| Rest::None);
            if clock::now().mono >= until {
                break;
            }
        }
        for _ in 0..self.families_ready.len() {
            if let Some(index) = self.families_ready.pop() {
                self.read_family(index);
            }
            if clock::now().mono >= until {
                return;
            }
        }
    }

    /// A connection has news.
    pub(super) fn handle_family_event(&mut self, event: reactor::Event) {
        let index = event.token.index;
        let slot = self.families.get_mut(index as usize);
        let Some(slot) = slot.filter(|slot| slot.life == event.token.life) else {
            return;
        };
        let (waits, now) = (waits(&self.options.periods), self.now.mono);
        if event.writable
            && let Some(connection) = &mut slot.connection
        {
            match connection.handle_writable() {
                Ok(false) => {}
                Ok(true) => {
                    let asked = slot.config.asked();
                    slot.family.handle_connected(&asked, waits, now);
                }
                Err(ended) => {
                    let random = &mut self.random;
                    slot.family.handle_closed(ended.into(), waits, now, random);
                }
            }
        }
        // It is read when it is its turn: what one of them brings is a list of hundreds.
        let rest = match event.readable {
            true => Rest::More,
            false => Rest::None,
        };
        self.drive_family(index, &mut |_, _| rest);
    }

    fn read_family(&mut self, index: u32) {
        let mut buf = std::mem::take(&mut self.buf);
        let (waits, now) = (waits(&self.options.periods), self.now.mono);
        self.drive_family(index, &mut |slot, random| {
            let Some(connection) = slot.connection.as_mut().filter(|it| it.is_made()) else {
                return Rest::None;
            };
            let family = &mut slot.family;
            let room = LIST_TURN_LEN.max(connection.least_room()).min(buf.len());
            let read = connection.read(&mut buf[..room], room, &mut |input| {
                family.handle_input(input, waits, now, random);
                match family.wants_connection() {
                    true => Continue(()),
                    false => Break(()),
                }
            });
            read.unwrap_or_else(|ended| {
                family.handle_closed(ended.into(), waits, now, random);
                Rest::None
            })
        });
        self.buf = buf;
    }

    /// Lets something happen to one, and does all that follows from it.
    fn drive_family(
        &mut self,
        index: u32,
        act: &mut dyn FnMut(&mut FamilySlot, &mut crate::random::Random) -> Rest,
    ) {
        let (waits, now) = (waits(&self.options.periods), self.now.mono);
        let Some(slot) = self.families.get_mut(index as usize) else {
            return;
        };
        if act(slot, &mut self.random) == Rest::More {
            self.families_ready.push(index);
        }
        let found = self.resolver.addresses_of(&slot.config.source);
        // As long as its name is looked up for the first time it waits for that.
        let Some(found) = found else {
            return self.family_deadlines.set(index, None);
        };
        slot.family.handle_timeout(waits, now, &mut self.random);
        if !slot.family.wants_connection() {
            slot.close();
        } else if slot.connection.is_none() {
            let place = slot.tries.checked_rem(found.len()).unwrap_or(0);
            slot.tries += 1;
            slot.life = (slot.life + 1) & Token::LIFE_MAX;
            let token = Token {
                kind: FAMILIES,
                index,
                life: slot.life,
            };
            let made = match found.get(place) {
                None => Err(Closed::NoAddress),
                Some(address) => {
                    let key = slot.config.source.key.as_ref();
                    Connection::connect_to(*address, key, token, self.reactor.registry())
                        .map_err(Closed::from)
                }
            };
            match made {
                Ok(connection) => slot.connection = Some(connection),
                Err(closed) => {
                    slot.is_unreached = true;
                    let random = &mut self.random;
                    slot.family.handle_closed(closed, waits, now, random);
                }
            }
        }
        if let Some(connection) = slot.connection.as_mut().filter(|it| it.is_made()) {
            let sent = connection.send(&mut slot.family, Family::output, |family, len| {
                family.consume_output(len, waits, now);
            });
            if let Err(ended) = sent {
                let random = &mut self.random;
                slot.family.handle_closed(ended.into(), waits, now, random);
            }
        }
        if !slot.family.wants_connection() {
            slot.close();
        }
        let trouble = slot.family.trouble().map(ToString::to_string);
        let trouble = trouble.unwrap_or_default();
        if slot.told != trouble {
            if !trouble.is_empty() {
                let what = format!("{}: {trouble}", name_of(&slot.config));
                self.journal.complain(&OneLine(&what));
            }
            slot.told = trouble;
            self.shown.note_news();
        }
        if slot.family.has_news() {
            // A server that is ours has no more of them; each is compared with all sources.
            slot.more_at = Some(slot.more_at.map_or(slot.list_at, |at| at.min(slot.list_at)));
            self.let_come(index);
        }
        if let Some(slot) = self.families.get_mut(index as usize) {
            if std::mem::take(&mut slot.is_unreached) {
                self.resolver.doubt(&slot.config.source, now);
            }
            slot.tell_status(&mut self.statuses, self.now.wall);
            let at = slot.poll_timeout();
            self.family_deadlines.set_about(index, Some(at), now);
        }
    }
}

/// A line, for a person.
fn name_of(config: &FamilyConfig) -> String {
    let source = &config.source;
    format!("{} {}", source.server(), Escaped(&source.remote))
}

fn waits(periods: &crate::collect::source::Periods) -> Waits {
    Waits {
        retry_ms: periods.retry_ms,
        wait_ms: periods.wait_ms,
        idle_ms: periods.idle_ms,
    }
}
