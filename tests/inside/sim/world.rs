//! Both kinds of machines and the network under one clock, driven as the shells drive them.

use super::disk::{Disk, Open};
use super::host::Host;
use super::net::{End, Net, Stage};
use super::oracle::violated;
use super::site::{Served, Site};
use super::trace::Trace;
use super::turns::Turns;
use super::unkind::Unkind;
use crate::collect::source::{self, Source};
use crate::inside::fair::Turn;
use crate::inside::fake::{Fake, Handle};
use crate::inside::model::{self, Model};
use crate::limits::{CHUNK_LEN, RETRY_MAX_MS, TURN_BYTES_MAX};
use crate::serve::send::context::Context;
use crate::serve::session::Session;
use crate::time::{Mono, Now, Wall};

pub struct World {
    pub now_ms: u64,
    pub sites: Vec<Site>,
    pub host: Host,
    pub net: Net,
    pub trace: Trace,
    pub buf: Vec<u8>,
    /// Status files are touched in time; else along with whatever else happens.
    pub wakes_to_touch: bool,
    /// In what it is unkind, if it is.
    pub unkind: Option<Unkind>,
    busy: Busy,
    turns: Turns,
}

/// Notices machines that spin.
#[derive(Default)]
struct Busy {
    second: u64,
    timeouts: u32,
}

/// Timeouts in one virtual second and machine after which the machines are said to spin.
const TIMEOUTS_MAX: u32 = 60;

/// Rounds without time going by after which they are said to.
const ROUNDS_MAX: u32 = 400_000;

impl World {
    pub fn new(host: Host, trace: Trace) -> World {
        World {
            now_ms: 1_000,
            sites: Vec::new(),
            host,
            net: Net::new(),
            trace,
            buf: vec![0; CHUNK_LEN],
            wakes_to_touch: true,
            unkind: None,
            busy: Busy::default(),
            turns: Turns::default(),
        }
    }

    pub fn mono(&self) -> Mono {
        Mono::from_ms(self.now_ms)
    }

    /// Lets the machines run until this moment, or until something happens at `agenda`.
    pub fn run_until(&mut self, until_ms: u64) {
        loop {
            self.pump();
            let next = self.next_moment();
            if next > until_ms {
                break;
            }
            self.advance_to(next.max(self.now_ms));
            self.timeouts();
        }
        self.advance_to(until_ms);
    }

    fn advance_to(&mut self, now_ms: u64) {
        let by = (now_ms - self.now_ms) as i64;
        self.now_ms = now_ms;
        self.trace.at(now_ms);
        if by == 0 {
            return;
        }
        for site in &mut self.sites {
            site.wall_ms += by;
            site.tell_time();
        }
        self.host.wall_ms += by;
        self.host.tell_time();
    }

    fn next_moment(&self) -> u64 {
        let servers = self.sites.iter().filter_map(|site| site.server.as_ref());
        let sessions = servers.flat_map(|server| {
            let deadline = |served: &Served| served.session.poll_timeout(&server.config);
            server.sessions.iter().filter_map(deadline)
        });
        let collector = self.host.collector.iter();
        let sources = collector.flat_map(|collector| {
            let slots = collector.slots.iter();
            slots.filter_map(|slot| slot.source.poll_timeout(&self.host.periods))
        });
        let machines = sessions.chain(sources).map(Mono::ms);
        let touch = self.host.status_deadline().filter(|_| self.wakes_to_touch);
        let is_deaf = |at: usize| self.host.is_changing(at);
        let rest = [self.net.next_moment(&is_deaf), touch];
        machines
            .chain(rest.into_iter().flatten())
            .min()
            .unwrap_or(u64::MAX)
    }

    fn timeouts(&mut self) {
        let mono = self.mono();
        let mut count = 0;
        for site in 0..self.sites.len() {
            for at in (0..self.sessions(site)).rev() {
                let is_due = self.sites[site].server.as_ref().is_some_and(|server| {
                    let session = &server.sessions[at].session;
                    let deadline = session.poll_timeout(&server.config);
                    deadline.is_some_and(|deadline| deadline <= mono)
                });
                if is_due {
                    count += 1;
                    self.with_session(site, at, |session, cx, _| session.handle_timeout(cx));
                }
                if self.sites[site].server.is_none() {
                    break;
                }
            }
        }
        for at in 0..self.host.feeds.len() {
            let host = &self.host;
            let is_due = host.collector.as_ref().is_some_and(|collector| {
                let deadline = collector.slots[at].source.poll_timeout(&host.periods);
                deadline.is_some_and(|deadline| deadline <= mono)
            });
            if is_due {
                count += 1;
                self.with_source(at, |source, cx, _| source.handle_timeout(cx));
            }
        }
        self.host.write_statuses(mono);
        self.note_busy(count);
    }

    fn note_busy(&mut self, count: u32) {
        let second = self.now_ms / 1000;
        if self.busy.second != second {
            self.busy = Busy {
                second,
                timeouts: 0,
            };
        }
        self.busy.timeouts += count;
        let machines: usize = (0..self.sites.len()).map(|site| self.sessions(site)).sum();
        let most = TIMEOUTS_MAX * (machines + self.host.feeds.len() + 1) as u32;
        if self.busy.timeouts > most {
            violated("deadlines come again and again without time going by".to_owned());
        }
    }

    /// Moves everything that can move at this moment.
    pub fn pump(&mut self) {
        let mut rounds = 0;
        while self.round() {
            rounds += 1;
            if rounds == ROUNDS_MAX {
                violated("no end of moving".to_owned());
            }
        }
        self.net.sweep();
    }

    fn round(&mut self) -> bool {
        self.hint();
        let heeded = self.check_failed_syncs();
        let settled = self.settle_slots();
        let arrived = self.arrive();
        let served = self.serve();
        let worked = self.work();
        let changed = self.change_files();
        self.turns.end_turn();
        let kept = self.keep_journals();
        kept || heeded || settled || arrived || served || worked || changed
    }

    // The servers.

    fn sessions(&self, site: usize) -> usize {
        let server = self.sites[site].server.as_ref();
        server.map_or(0, |server| server.sessions.len())
    }

    /// Tells sessions that their files have changed, where the kernel does, or that the journal is
    /// behind.
    fn hint(&mut self) {
        for site in 0..self.sites.len() {
            let behind = self.sites[site].take_behind();
            let moved = self.sites[site].take_moved();
            for log in 0..self.sites[site].logs.len() {
                let log = &mut self.sites[site].logs[log];
                let is_moved = moved.iter().any(|path| path == log.key());
                let is_behind = behind.iter().any(|path| path == log.key());
                if !log.take_changed() && !is_behind && !is_moved {
                    continue;
                }
                let path = log.key().to_owned();
                self.sites[site].purge();
                if self.sites[site].hints {
                    self.sites[site].look(&path);
                    self.notice_death(site);
                }
                for at in 0..self.sessions(site) {
                    let Some(server) = self.sites[site]
                        .server
                        .as_ref()
                        .filter(|_| self.sites[site].hints || is_moved)
                    else {
                        break;
                    };
                    let index = server.config.index_of(path.as_ref());
                    if index.is_some() && server.sessions[at].session.file() == index {
                        self.with_session(site, at, |session, cx, _| session.handle_hint(cx));
                    }
                }
            }
        }
    }

    /// Lets the journals find out what was there before them, and look now and then.
    fn keep_journals(&mut self) -> bool {
        let mut moved = false;
        for site in 0..self.sites.len() {
            let due = self.sites[site].take_look_due(self.now_ms);
            if due {
                for log in 0..self.sites[site].logs.len() {
                    let path = self.sites[site].logs[log].key().to_owned();
                    self.sites[site].look_now(&path);
                }
            }
            if let Some(server) = &self.sites[site].server
                && server.journal.has_work()
            {
                server.journal.work(&server.config, &self.sites[site].disk);
                moved = true;
            }
            self.notice_death(site);
        }
        moved
    }

    /// The process may have been killed in the middle of that.
    fn notice_death(&mut self, site: usize) {
        if self.sites[site].server.is_some() && self.sites[site].disk.is_dead() {
            self.kill_server(site);
        }
    }

    /// Lets every session that is ready work and send.
    fn serve(&mut self) -> bool {
        let mut moved = false;
        for site in 0..self.sites.len() {
            let mut at = 0;
            while at < self.sessions(site) {
                let served = self.sites[site]
                    .server
                    .as_mut()
                    .map(|server| &mut server.sessions[at]);
                let is_ready = served.is_some_and(|served| std::mem::take(&mut served.ready));
                if is_ready {
                    moved = true;
                    self.serve_one(site, at);
                }
                let is_over = self.sites[site]
                    .server
                    .as_ref()
                    .is_some_and(|server| server.sessions[at].session.ending().is_some());
                match is_over {
                    true => self.end_session(site, at),
                    false => at += 1,
                }
            }
        }
        moved
    }

    fn serve_one(&mut self, site: usize, at: usize) {
        let has_work = |session: &Session<Open<Handle>>| session.has_work();
        self.with_session(site, at, |session, cx, buf| {
            if has_work(session) {
                session.work(buf, cx);
            }
        });
        let mut sent = 0;
        while sent < TURN_BYTES_MAX {
            let Some(conn) = self.conn_of(site, at) else {
                return;
            };
            let link = &self.net.links[site];
            let (room, delay_ms) = match self.net.conns.get(&conn) {
                Some(conn) => (conn.down.room(link.window), link.delay_ms),
                None => return,
            };
            let len = self.with_session(site, at, |session, cx, buf| session.output(buf, cx));
            let len = len.unwrap_or(0).min(room);
            if len == 0 {
                break;
            }
            sent += len;
            let (now, at_ms) = (self.mono(), self.now_ms + delay_ms);
            self.trace.tick("sent", u64::from(conn), len as u64);
            if let Some(conn) = self.net.conns.get_mut(&conn) {
                conn.down.push(at_ms, &self.buf[..len]);
            }
            self.with_session(site, at, |session, _, buf| {
                session.consume_output(buf, len, now)
            });
        }
        let more = sent >= TURN_BYTES_MAX;
        if let Some(server) = &mut self.sites[site].server
            && let Some(served) = server.sessions.get_mut(at)
        {
            served.ready = more || served.session.has_work();
        }
    }

    fn conn_of(&self, site: usize, at: usize) -> Option<u32> {
        let server = self.sites[site].server.as_ref()?;
        Some(server.sessions.get(at)?.conn)
    }

    /// The session is over: its socket is closed.
    fn end_session(&mut self, site: usize, at: usize) {
        let Some(server) = &mut self.sites[site].server else {
            return;
        };
        let served = server.sessions.remove(at);
        let ending = served.session.ending().map(ToString::to_string);
        self.trace.note(format!(
            "box {site}: session {} ends: {}",
            served.conn,
            ending.unwrap_or_default()
        ));
        self.hang_up_box(served.conn, Some(End::Fin));
    }

    /// The box no longer knows the connection; whether the other side is told depends on how that
    /// came.
    pub fn hang_up_box(&mut self, number: u32, end: Option<End>) {
        let Some(conn) = self.net.conns.get_mut(&number) else {
            return;
        };
        conn.at_box = false;
        let at_ms = self.now_ms + self.net.links[conn.site].delay_ms;
        match end {
            Some(end) => conn.down.finish(at_ms, end),
            None => conn.down.drop_all(),
        }
        let source = conn.source;
        self.was_disconnected(source);
    }

    pub fn with_session<R>(
        &mut self,
        site: usize,
        at: usize,
        act: impl FnOnce(&mut Session<Open<Handle>>, &mut Context<'_, Disk<Fake>>, &mut [u8]) -> R,
    ) -> Option<R> {
        let now = Now {
            mono: self.mono(),
            wall: Wall::from_ms(self.sites[site].wall_ms as u64),
        };
        let Site { server, disk, .. } = &mut self.sites[site];
        let server = server.as_mut()?;
        let served = server.sessions.get_mut(at)?;
        disk.with(|fs| fs.take_done());
        disk.take_own_looks();
        let mut cx = Context {
            store: &*disk,
            config: &server.config,
            journal: &server.journal,
            sightings: &mut server.sightings,
            now,
        };
        let result = act(&mut served.session, &mut cx, &mut self.buf);
        let done = disk.with(|fs| fs.take_done());
        let turn = Turn {
            syncs: 0,
            calls: (done.steps - disk.take_own_looks()) as u64,
            bytes: done.bytes as u64,
        };
        judge(turn, Turn::OF_SESSION);
        served.ready = true;
        if disk.is_dead() {
            self.kill_server(site);
            return None;
        }
        Some(result)
    }

    /// The process is gone; the kernel closes its sockets.
    pub fn kill_server(&mut self, site: usize) {
        self.trace.note(format!("box {site}: server killed"));
        let server = self.sites[site].server.take();
        self.sites[site].disk.revive();
        for served in server.into_iter().flat_map(|server| server.sessions) {
            self.hang_up_box(served.conn, Some(End::Reset));
        }
    }

    // The collector.

    /// Brings every socket into line with what its source wants, and sends.
    fn settle_slots(&mut self) -> bool {
        let mut moved = false;
        for at in 0..self.host.feeds.len() {
            let Some(collector) = &self.host.collector else {
                return moved;
            };
            let slot = &collector.slots[at];
            match (slot.source.wants_connection(), slot.conn) {
                (true, None) => {
                    let site = self.host.feeds[at].site;
                    let conn = self.net.open(site, at, self.now_ms);
                    self.trace.tick("connect", at as u64, u64::from(conn));
                    self.set_conn(at, Some(conn));
                    moved = true;
                }
                (false, Some(conn)) => {
                    self.hang_up_host(conn, Some(End::Fin));
                    self.set_conn(at, None);
                    moved = true;
                }
                (true, Some(conn)) => moved |= self.ask(at, conn),
                (false, None) => {}
            }
        }
        moved
    }

    pub fn set_conn(&mut self, at: usize, conn: Option<u32>) {
        if let Some(collector) = &mut self.host.collector {
            collector.slots[at].conn = conn;
        }
    }

    /// Sends the request line, or a part of it.
    fn ask(&mut self, at: usize, number: u32) -> bool {
        let Some(collector) = &self.host.collector else {
            return false;
        };
        let output = collector.slots[at].source.output();
        let Some(conn) = self.net.conns.get_mut(&number) else {
            return false;
        };
        if output.is_empty() || conn.stage != Stage::Made {
            return false;
        }
        let link = &self.net.links[conn.site];
        let sent = match self.sites[conn.site].old_server {
            true => without_v2(output),
            false => output[..output.len().min(link.step)].to_vec(),
        };
        let len = if self.sites[conn.site].old_server {
            output.len()
        } else {
            sent.len()
        };
        conn.up.push(self.now_ms + link.delay_ms, &sent);
        self.with_source(at, |source, cx, _| source.consume_output(len, cx));
        true
    }

    /// The log host no longer knows the connection.
    pub fn hang_up_host(&mut self, number: u32, end: Option<End>) {
        let Some(conn) = self.net.conns.get_mut(&number) else {
            return;
        };
        conn.at_host = false;
        if !conn.at_box {
            // The box never heard of it, or has closed it.
            conn.up.drop_all();
        }
        let at_ms = self.now_ms + self.net.links[conn.site].delay_ms;
        match end {
            Some(end) => conn.up.finish(at_ms, end),
            None => conn.up.drop_all(),
        }
        let source = conn.source;
        self.was_disconnected(source);
    }

    pub fn with_source<R>(
        &mut self,
        at: usize,
        act: impl FnOnce(
            &mut Source<Open<model::Handle>>,
            &mut source::Context<'_, Disk<Model>>,
            &mut [u8],
        ) -> R,
    ) -> Option<R> {
        let (mono, waited_until) = (self.mono(), self.waits_until(at));
        let was_good = self.host.is_streaming_well(at, mono);
        let before = self.host.disk.asked();
        self.host.disk.with(|fs| fs.take_moved());
        let result = self.host.with_source(at, self.now_ms, &mut self.buf, act);
        let (after, moved) = (
            self.host.disk.asked(),
            self.host.disk.with(|fs| fs.take_moved()),
        );
        let syncs = after.syncs - before.syncs;
        self.turns.note_syncs(self.host.feeds[at].site, syncs);
        judge(
            Turn {
                syncs,
                calls: after.calls - before.calls,
                bytes: moved.read + moved.written,
            },
            Turn::OF_SOURCE,
        );
        for (at, line) in self.host.take_said() {
            let feed = &mut self.host.feeds[at];
            self.trace.note(format!("{}: {line}", feed.local));
            feed.said.push(line);
        }
        if self.host.disk.is_dead() {
            self.kill_collector();
            return None;
        }
        let waits_until = self.waits_until(at);
        if waits_until != waited_until && waits_until.is_some_and(|until| until > mono) {
            self.check_wait(at, was_good);
        }
        self.host.tell_status(at, mono);
        result
    }

    /// When a source will try again, if it has no connection now.
    fn waits_until(&self, at: usize) -> Option<Mono> {
        let source = &self.host.collector.as_ref()?.slots[at].source;
        match source.wants_connection() {
            true => None,
            false => source.poll_timeout(&self.host.periods),
        }
    }

    /// A source never waits longer than the number of its failures in a row allows.
    fn check_wait(&mut self, at: usize, was_good: bool) {
        let (now, periods) = (self.mono(), self.host.periods);
        let Some(collector) = &mut self.host.collector else {
            return;
        };
        let slot = &mut collector.slots[at];
        slot.failures = if was_good { 1 } else { slot.failures + 1 };
        if slot.source.has_work() {
            return;
        }
        let Some(until) = slot.source.poll_timeout(&periods) else {
            return;
        };
        let wait_ms = until.since_ms(now);
        let grown = periods.retry_ms << (slot.failures - 1).min(10);
        let most = grown.min(RETRY_MAX_MS) * 5 / 4;
        if wait_ms > most {
            violated(format!(
                "{} waits {wait_ms} ms after failure {}",
                self.host.feeds[at].local, slot.failures
            ));
        }
    }

    /// The process is gone; the kernel closes its sockets.
    pub fn kill_collector(&mut self) {
        self.trace.note("collector killed".to_owned());
        self.stop_collector(Some(End::Reset));
        self.host.disk.revive();
        self.note_files();
        self.check_pointers();
    }

    /// What is on the disk of the log host, for who looks for a fault.
    pub fn note_files(&mut self) {
        for feed in &self.host.feeds {
            let read = |path: &str| self.host.disk.with(|fs| fs.read(path)).unwrap_or_default();
            let (pointer, copy) = (read(&feed.pointer), read(&feed.local));
            let zeros = copy.iter().rev().take_while(|byte| **byte == 0).count();
            self.trace.note(format!(
                "{}: {} bytes, {zeros} zeros at their end; {}",
                feed.local,
                copy.len(),
                String::from_utf8_lossy(&pointer).trim()
            ));
        }
    }

    /// The process or its machine is gone.
    pub fn stop_collector(&mut self, end: Option<End>) {
        self.turns.clear();
        let collector = self.host.collector.take();
        let slots = collector.into_iter().flat_map(|collector| collector.slots);
        let conns: Vec<u32> = slots.filter_map(|slot| slot.conn).collect();
        for conn in conns {
            self.hang_up_host(conn, end);
        }
    }

    /// A sync of the whole disk that failed concerns all sources, those too that have nothing to
    /// do.
    fn check_failed_syncs(&mut self) -> bool {
        let failed = self.host.disk.with(|fs| fs.all_failed_syncs());
        let Some(collector) = &mut self.host.collector else {
            return false;
        };
        if std::mem::replace(&mut collector.failed_syncs, failed) == failed {
            return false;
        }
        for at in 0..self.host.feeds.len() {
            self.with_source(at, |source, cx, _| source.check_failed_syncs(cx));
        }
        true
    }

    /// Lets one source make a step of the change of its files. Tells whether any waits for that.
    fn change_files(&mut self) -> bool {
        for at in 0..self.host.feeds.len() {
            if self.host.may_change(at) {
                self.turns.wait(at);
            }
        }
        let Some(at) = self.turns.next() else {
            return false;
        };
        // It may have given that up.
        if self.host.may_change(at) {
            let before = self.host.disk.asked().syncs;
            self.with_source(at, |source, cx, _| source.step_alone(cx));
            let step = Turn {
                syncs: self.host.disk.asked().syncs - before,
                ..Turn::default()
            };
            // One that fails is told, noted as a doubt, and tried anew: that is judged as a call.
            if self.host.wants_connection(at) {
                judge(step, Turn::OF_STEP);
            }
        }
        true
    }

    /// Lets sources compare and heal.
    fn work(&mut self) -> bool {
        let mut moved = false;
        for at in 0..self.host.feeds.len() {
            let is_so = |host: &Host, of: fn(&Source<_>) -> bool| {
                let collector = host.collector.as_ref();
                collector.is_some_and(|collector| of(&collector.slots[at].source))
            };
            if is_so(&self.host, Source::owes_record) {
                self.with_source(at, |source, cx, _| source.put_unwritten_on_record(cx));
                moved = true;
            }
            if is_so(&self.host, Source::has_work) {
                self.with_source(at, |source, cx, buf| source.work(buf, cx));
                moved = true;
            }
        }
        moved
    }
}

/// A request line as an old server hears it, which does not read behind the third word.
fn without_v2(line: &[u8]) -> Vec<u8> {
    let at = line.windows(3).position(|word| word == b" v2");
    match at {
        Some(at) => [&line[..at], b"\n"].concat(),
        None => line.to_vec(),
    }
}

/// All others wait for one, and not too long.
fn judge(turn: Turn, most: Turn) {
    if let Some(complaint) = turn.complaint(most) {
        violated(complaint);
    }
}
