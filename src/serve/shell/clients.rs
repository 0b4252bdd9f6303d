//! All clients: who becomes one, what follows from what happens to one, and when it goes.

use std::cmp::Reverse;
use std::io;
use std::net::IpAddr;

use mio::Registry;
use mio::net::TcpStream;

use super::admission::{ClientCounts, TurnedAway, home};
use super::client::Client;
use super::followers::Followers;
use super::{CLIENT, Shared, listening};
use crate::limits::{
    DEADLINES_MS, PLAN_KEPT_MS, PLANS_MAX, QUESTIONS_MAX, SEARCH_MS, SEND_MS, TURNED_AWAY_MAX,
    WORK_MS,
};
use crate::reactor::connection::Connection;
use crate::reactor::deadlines::Deadlines;
use crate::reactor::ready::ReadyList;
use crate::reactor::slab::Slab;
use crate::reactor::token::Token;
use crate::reactor::{Event, Rest, Stopwatch};
use crate::serve::config::Config;
use crate::serve::send::context::Context;
use crate::serve::send::ending::Ending;
use crate::serve::session::{Doing, Session};
use crate::store::real::RealRead;
use crate::time::Mono;

/// All clients, and when each has its turn.
pub struct Clients {
    places: Slab<Client>,
    counts: ClientCounts,
    followers: Followers,
    deadlines: Deadlines,
    lists: Lists,
    /// Whom a change of files concerns; kept for its room.
    concerned: Vec<u32>,
}

/// Who has something to do that no event will tell of.
struct Lists {
    /// Who takes more than one share of a turn.
    ready: ReadyList,
    /// Who waits for a file to be found; of each address the first until it is.
    searching: ReadyList,
    /// Whose digests and checksums are being computed, in turn.
    computing: ReadyList,
}

/// What happens to a client. It is called by reference, so that what follows from it is compiled
/// once.
type Act<'a> = dyn FnMut(&mut Client, &mut Context<'_, RealRead>, &mut [u8]) + 'a;

impl Clients {
    /// No clients yet, and room for some before it has to grow.
    pub fn new(expected: usize) -> Clients {
        Clients {
            places: Slab::with_capacity(expected),
            counts: ClientCounts::default(),
            followers: Followers::default(),
            deadlines: Deadlines::new(),
            lists: Lists {
                ready: ReadyList::new(),
                searching: ReadyList::new(),
                computing: ReadyList::new(),
            },
            concerned: Vec::new(),
        }
    }

    /// When a client has something to do, at the latest.
    pub fn poll_timeout(&self, now: Mono) -> Option<Mono> {
        match self.lists.are_empty() {
            true => self.deadlines.next(),
            false => Some(now),
        }
    }

    /// Does what is due, for no longer than a line of another log may wait.
    pub fn handle_deadlines(&mut self, shared: &mut Shared) {
        let watch = Stopwatch::start();
        while let Some(index) = self.deadlines.pop_due(shared.now.mono) {
            self.drive(index, shared, &mut |client, cx, _| {
                client.session.handle_timeout(cx);
            });
            if watch.ms() >= DEADLINES_MS {
                return;
            }
        }
    }

    /// Sends to clients that take as much as they are given, each its share in turn, to all
    /// together no longer than a line of another log may wait.
    pub fn send_more(&mut self, shared: &mut Shared) {
        let watch = Stopwatch::start();
        while let Some(index) = self.lists.ready.pop() {
            self.drive(index, shared, &mut |_, _, _| {});
            if watch.ms() >= SEND_MS {
                return;
            }
        }
    }

    /// Does some of what takes long, for all clients together no longer than a line of another log
    /// may wait. Addresses take turns, however many clients they have. Of one address a search is
    /// finished before the next begins, because its client gives up after some seconds.
    pub fn work(&mut self, shared: &mut Shared) {
        let act: &mut Act<'_> = &mut |client, cx, buf| client.session.work(buf, cx);
        let watch = Stopwatch::start();
        while watch.ms() < SEARCH_MS
            && let Some(index) = self.search_next()
        {
            // An answer stands on what was told.
            if shared.files.journal.is_behind() {
                self.handle_changes(shared);
            }
            self.drive(index, shared, act);
            self.limit_plans(index, shared.now.mono);
        }
        while let Some(index) = self.compute_next() {
            self.compute(index, shared, act);
            if watch.ms() >= WORK_MS {
                break;
            }
        }
    }

    /// Does a part of what is computed for a client: its handshake comes before anything else.
    fn compute(&mut self, index: u32, shared: &mut Shared, act: &mut Act<'_>) {
        #[cfg(feature = "noise")]
        if let Some(client) = self.client(index)
            && client.connection.transform().owes_answer()
        {
            let mut sealing = std::mem::take(&mut shared.sealing);
            self.drive(index, shared, &mut |client, cx, _| {
                client.answer_handshake(&mut sealing, cx);
            });
            shared.sealing = sealing;
            return;
        }
        self.drive(index, shared, act);
    }

    fn client(&mut self, index: u32) -> Option<&mut Client> {
        let life = self.places.life(index)?;
        self.places.get_mut(index, life)
    }

    /// Whose search goes on, or begins.
    fn search_next(&mut self) -> Option<u32> {
        let places = &self.places;
        // Who has found much already is done before others of its address find as much.
        let has_plan =
            |index| client_of(places, index).is_some_and(|it| it.session.plan().is_some());
        (self.counts).next_of(
            &self.lists.searching,
            &|index| peer_of(places, index),
            &has_plan,
        )
    }

    /// Of one address so many files are kept as what was found for generations to come. A plan that
    /// was of no use for a while leaves its room to the one that `index` has now.
    fn limit_plans(&mut self, index: u32, now: Mono) {
        let places = &self.places;
        let plan = |index| client_of(places, index)?.session.plan();
        let (Some((own, _)), Some(ip)) = (plan(index), peer_of(places, index)) else {
            return;
        };
        let mut all = own;
        let mut oldest = None;
        for other in (0..places.bound()).filter(|other| *other != index) {
            if let Some((len, served)) = plan(other)
                && peer_of(places, other).map(home) == Some(home(ip))
            {
                all += len;
                let this = (served, other, len);
                oldest = Some(oldest.map_or(this, |before| this.min(before)));
            }
        }
        let idle = oldest.filter(|(served, ..)| now.since_ms(*served) >= PLAN_KEPT_MS);
        if all > PLANS_MAX
            && let Some((_, other, len)) = idle
            && let Some(client) = self.client(other)
        {
            client.session.free_plan();
            all -= len;
        }
        if all > PLANS_MAX
            && let Some(client) = self.client(index)
        {
            client.session.free_plan();
        }
    }

    /// For whom something is computed next, who goes to the end of the line.
    fn compute_next(&mut self) -> Option<u32> {
        let (places, line) = (&self.places, &mut self.lists.computing);
        let next = (self.counts).next_of(line, &|index| peer_of(places, index), &|_| false)?;
        line.remove(next);
        Some(next)
    }

    /// Closes a client where that makes room for an address that has fewer: of those with the most,
    /// who has asked for nothing and been silent for longest, or else one that was served.
    fn make_room(&mut self, ip: IpAddr, shared: &mut Shared) {
        let own = self.counts.taken_by(ip);
        let mut worst = None;
        for index in 0..self.places.bound() {
            let Some(client) =
                client_of(&self.places, index).filter(|client| !client.session.is_turned_away())
            else {
                continue;
            };
            let is_silent = client.session.is_silent();
            let taken = self.counts.taken_by(client.session.peer());
            // Who is served goes only for who has two less: else each would push out the other.
            if taken < own + if is_silent { 1 } else { 2 } {
                continue;
            }
            let until = client.session.poll_timeout(&shared.files.config);
            let badness = (is_silent, taken, Reverse(until));
            if worst.is_none_or(|(worst, _)| badness > worst) {
                worst = Some((badness, index));
            }
        }
        if let Some(((is_silent, ..), index)) = worst {
            self.drive(index, shared, &mut |client, _, _| {
                client.session.end(match is_silent {
                    true => Ending::MadeRoom,
                    false => Ending::GaveWay,
                });
            });
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Client> {
        (0..self.places.bound()).filter_map(|index| client_of(&self.places, index))
    }

    /// A client's connection has news.
    pub fn handle_event(&mut self, event: Event, shared: &mut Shared) {
        let Token { index, life, .. } = event.token;
        let Some(client) = self.places.get_mut(index, life) else {
            return;
        };
        if event.writable {
            client.handle_writable();
        }
        if event.readable {
            self.drive(index, shared, &mut |client, cx, buf| client.read(cx, buf));
        } else {
            self.lists.ready.push(index);
        }
    }

    /// Files or directories have changed, or the journal is behind: whoever follows one of them
    /// looks at once.
    pub fn handle_changes(&mut self, shared: &mut Shared) {
        let mut concerned = std::mem::take(&mut self.concerned);
        for file in listening::listen(shared) {
            concerned.extend(self.followers.of(file));
        }
        for index in concerned.drain(..) {
            self.note_whether_told(index, shared);
            self.drive(index, shared, &mut |client, cx, _| {
                client.session.handle_hint(cx);
            });
        }
        self.concerned = concerned;
    }

    /// Another configuration stands in place of `before`: clients of whom it no longer wants to
    /// know go, the others have their logs watched anew.
    pub fn reload(&mut self, before: &Config, shared: &mut Shared) {
        if let Some(watches) = &mut shared.watches {
            watches.clear();
        }
        for index in 0..self.places.bound() {
            self.drive(index, shared, &mut |client, cx, _| {
                client.reload(before, cx.config);
            });
        }
        if let Some(watches) = &mut shared.watches {
            for file in self.followers.files() {
                watches.add(
                    file,
                    &shared.files.config.files,
                    &shared.files.journal,
                    &mut shared.report,
                );
            }
        }
        for index in 0..self.places.bound() {
            self.note_whether_told(index, shared);
        }
    }

    /// The logs of families are others now: who asks which there are is told, and whoever follows
    /// one that went goes.
    pub fn handle_logs(&mut self, removed: &[u32], shared: &mut Shared) {
        for index in 0..self.places.bound() {
            self.drive(index, shared, &mut |client, cx, _| {
                let session = &mut client.session;
                let is_removed = |log: Option<u32>| log.is_some_and(|log| removed.contains(&log));
                if is_removed(session.file()) {
                    session.renumber(None);
                }
                if is_removed(session.log()) {
                    session.renumber_log(None);
                }
                if session.is_listing() {
                    session.handle_hint(cx);
                }
            });
        }
    }

    /// Makes a client of a peer that connected; or tells it why not, if there is room for that.
    pub fn accept(
        &mut self,
        stream: TcpStream,
        ip: IpAddr,
        registry: &Registry,
        shared: &mut Shared,
    ) {
        let Some(session) = self.session_for(ip, shared) else {
            return;
        };
        if !session.is_turned_away() {
            self.counts.take(ip);
        }
        let (index, life) = self.places.insert(Client {
            connection: Connection::accepted(stream, shared.link()),
            session,
            #[cfg(feature = "noise")]
            leaves: None,
        });
        if let Err(error) = self.register(index, life, registry) {
            let report = &mut shared.report;
            report.say_of_peer(home(ip), format_args!("{ip}: cannot be served: {error}"));
            return self.remove(index, life);
        }
        self.drive(index, shared, &mut |_, _, _| {});
    }

    /// What a peer may say and hear; `None` where not even the reason is told to it.
    fn session_for(&mut self, ip: IpAddr, shared: &mut Shared) -> Option<Session<std::fs::File>> {
        let now = shared.now.mono;
        let admit = |clients: &Clients, shared: &Shared| {
            let is_full = clients.places.is_full();
            clients.counts.admit(ip, &shared.files.config, is_full)
        };
        let mut admitted = admit(self, shared);
        if admitted == Err(TurnedAway::Full) {
            self.make_room(ip, shared);
            admitted = admit(self, shared);
        }
        let Err(turned_away) = admitted else {
            return Some(Session::new(ip, now));
        };
        let why = turned_away.why();
        // Whoever hears it is told of when it has.
        let extra = self.places.len() - self.counts.taken();
        if turned_away == TurnedAway::NotAllowed
            || extra >= TURNED_AWAY_MAX
            || self.places.is_full()
        {
            let report = &mut shared.report;
            report.say_of_peer(home(ip), format_args!("{ip}: {why}"));
            return None;
        }
        Some(Session::turned_away(ip, why, extra < QUESTIONS_MAX, now))
    }

    fn register(&mut self, index: u32, life: u16, registry: &Registry) -> io::Result<()> {
        let token = Token {
            kind: CLIENT,
            index,
            life,
        };
        match self.places.get_mut(index, life) {
            Some(client) => client.connection.register(token, registry),
            None => Ok(()),
        }
    }

    /// Lets something happen to one client and does all that follows from it: watches its log,
    /// sends, lines it up for what is left, sets its deadline, or closes.
    fn drive(&mut self, index: u32, shared: &mut Shared, act: &mut Act<'_>) {
        let Some(life) = self.places.life(index) else {
            return;
        };
        let Some(client) = self.places.get_mut(index, life) else {
            return;
        };
        let mut cx = shared.files.context(shared.now);
        let watched = client.session.file();
        act(client, &mut cx, &mut shared.buf);
        if watched.is_none()
            && let Some(watches) = &mut shared.watches
        {
            client.watch(watches, &mut cx, &mut shared.report);
        }
        let rest = client.send(&mut cx, &mut shared.buf);
        let peer = client.session.peer();
        let home = home(peer);
        for line in shared.files.sightings.troubles.take_lines() {
            shared.report.say_of_peer(home, format_args!("{line}"));
        }
        self.lists.line_up(index, client, rest);
        self.followers.turn(index, watched, client.session.file());
        if shared.files.config.keep_deleted > 0
            && let Doing::Sending(sent) = client.session.doing()
        {
            let now = shared.now.mono;
            shared.keep_due |= shared.kept_for.note(peer, sent.index, sent.inode, now);
        }
        if let Some(notice) = client.session.take_notice(&shared.files.config) {
            shared
                .report
                .say_of_peer(home, format_args!("{peer}: {notice}"));
        }
        #[cfg(feature = "noise")]
        if let Some(until) = client.leaves_later(&mut shared.sealing, shared.now.mono) {
            return self.deadlines.set(index, Some(until));
        }
        let Some(ending) = client.session.ending() else {
            let at = client.session.poll_timeout(&shared.files.config);
            return self.deadlines.set_about(index, at, shared.now.mono);
        };
        if ending.is_noteworthy() {
            let files = &shared.files.config.files;
            let log = client.session.log().and_then(|log| files.get(log as usize));
            let log = log.map(|log| format!("{}: ", log.path.display()));
            shared.report.say_of_peer(
                home,
                format_args!("{peer}: {}{ending}", log.unwrap_or_default()),
            );
        }
        self.deadlines.set(index, None);
        self.lists.remove(index);
        self.remove(index, life);
    }

    fn remove(&mut self, index: u32, life: u16) {
        if let Some(client) = self.places.remove(index, life)
            && !client.session.is_turned_away()
        {
            self.counts.free(client.session.peer());
        }
    }

    /// What a client is served may have become one that cannot be watched, or that can.
    fn note_whether_told(&mut self, index: u32, shared: &Shared) {
        if let Some(client) = self.client(index)
            && let Some(file) = client.session.file()
            && let Some(watches) = &shared.watches
        {
            client.session.set_watched(watches.tells(file));
        }
    }
}

fn client_of(places: &Slab<Client>, index: u32) -> Option<&Client> {
    places.get(index, places.life(index)?)
}

fn peer_of(places: &Slab<Client>, index: u32) -> Option<IpAddr> {
    Some(client_of(places, index)?.session.peer())
}

impl Lists {
    fn are_empty(&self) -> bool {
        let lists = [&self.ready, &self.searching, &self.computing];
        lists.iter().all(|list| list.is_empty())
    }

    /// Puts a client where it belongs after something happened to it.
    fn line_up(&mut self, index: u32, client: &mut Client, rest: Rest) {
        if rest == Rest::More {
            self.ready.push(index);
        }
        #[cfg(feature = "noise")]
        if client.connection.transform().owes_answer() {
            self.computing.push(index);
        }
        let session = &client.session;
        match session.is_searching() {
            true => self.searching.push(index),
            false => self.searching.remove(index),
        }
        if session.has_work() && !session.is_searching() {
            self.computing.push(index);
        }
    }

    fn remove(&mut self, index: u32) {
        for list in [&mut self.ready, &mut self.searching, &mut self.computing] {
            list.remove(index);
        }
    }
}
