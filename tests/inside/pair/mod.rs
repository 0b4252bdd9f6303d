//! The server's session and the collector's source as a pair, under one virtual clock and with a
//! link between them that fails on demand: everything that version 2 promises, tried on the real
//! machines without a process or a socket.
//!
//! [`Pair`] drives both as their shells do, [`link::Link`] carries the bytes, and [`log::Log`] is
//! the writer on the box: it knows every generation it wrote, so [`oracle`] can say what the
//! collector must hold.

mod link;
mod log;
mod oracle;
mod seal;

mod alike;
mod breaks;
mod change;
mod classic;
mod clocks;
mod copied;
mod copytruncate;
mod cuts;
mod fair;
mod identity;
mod late;
mod left_out;
mod liar;
mod moments;
mod old_collector;
mod outage;
mod pins;
mod power;
mod reboot;
mod rotation;
#[cfg(feature = "noise")]
mod sealed;
mod series;
mod view;
mod walk;
mod zeros;

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use self::link::{End, Line, Link};
use self::log::Log;
use self::seal::Seal;
use super::fair::Turn;
use super::fake::{Fake, Handle};
use crate::collect::config::Config as CollectConfig;
use crate::collect::copy::pointer::BootId;
use crate::collect::error::Closed;
use crate::collect::event::Event;
use crate::collect::source::{self, Periods, Source};
use crate::limits::CHUNK_LEN;
use crate::random::Random;
use crate::serve::config::Config as ServeConfig;
use crate::serve::find::journal::Journal;
use crate::serve::find::sightings::Sightings;
use crate::serve::send::context;
use crate::serve::session::Session;
use crate::time::{Civil, Mono, Now, Wall};

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

const PERIODS: Periods = Periods {
    retry_ms: 5_000,
    wait_ms: 3_000,
    idle_ms: 120_000,
};

/// Long enough for every check, grace time and retry that a settled pair still waits for.
const SETTLE_MS: u64 = 200_000;

/// 2026-11-22T13:29:56Z, when every test begins.
const START_MS: u64 = 1_795_354_196_000;

/// Rounds without time going by after which the machines are said to spin.
const ROUNDS_MAX: u32 = 20_000;

/// Timeouts of one moment after which the machines are said to spin.
const TIMEOUTS_MAX: u32 = 40;

/// How many generations, copies and events a report shows.
const SHOWN_MAX: usize = 8;

/// Both machines and what is around them.
struct Pair {
    log: Log,
    host: Fake,
    link: Link,
    /// Connections are sealed from the next one on.
    is_sealed: bool,
    /// What the present connection is sealed by.
    seal: Option<Seal>,
    source: Source<Handle>,
    /// Sessions of connections that the server does not know to be gone come first, the present one
    /// last.
    sessions: Vec<Served>,
    serve_config: ServeConfig,
    journal: Journal,
    sightings: Sightings,
    source_config: &'static str,
    host_boot: BootId,
    random: Random,
    mono_ms: u64,
    box_wall_ms: i64,
    host_wall_ms: i64,
    /// Whether the server learns of changed files at once, or only at its checks.
    hints: bool,
    /// The server's process is another one from the next connection on.
    starts_server: bool,
    /// A broken connection kills the collector, too.
    kill_at_cut: bool,
    /// After a broken connection none can be made.
    away_after_cut: bool,
    said: RefCell<Vec<String>>,
    said_at_ms: RefCell<Vec<u64>>,
    /// The names of the finished copies, oldest first.
    kept: RefCell<Vec<PathBuf>>,
    /// Each loss that was told: how many copies were finished then, and the inode.
    lost: RefCell<Vec<(usize, u64)>>,
    /// What one call of the source may cost.
    source_max: Turn,
    buf: Vec<u8>,
}

/// A session, and the connection it belongs to.
struct Served {
    session: Session<Handle>,
    conn: u32,
}

impl Pair {
    /// A collector that has never been here, a box whose log is empty, hints.
    fn new() -> Pair {
        Pair::with("")
    }

    /// The same with options at the end of the collector's line.
    fn with(options: &'static str) -> Pair {
        let host = Fake::new();
        let mono_ms = 1_000;
        let source = new_source(options, mono_ms);
        let mut pair = Pair {
            log: Log::new(),
            host,
            link: Link::new(),
            is_sealed: false,
            seal: None,
            source,
            sessions: Vec::new(),
            serve_config: ServeConfig::parse(
                b"$files{'/v/m'} = '/v/m.* /v/m-*'; $delay_check = 5; $alive_interval = 60; \
                  $timeout_write = 60; $grace = 10;",
            )
            .unwrap(),
            journal: Journal::new(1),
            sightings: Sightings::new(),
            source_config: options,
            host_boot: reboot::boot(1),
            random: Random::new(mono_ms),
            mono_ms,
            box_wall_ms: START_MS as i64,
            host_wall_ms: START_MS as i64,
            hints: true,
            starts_server: false,
            kill_at_cut: false,
            away_after_cut: false,
            said: RefCell::default(),
            said_at_ms: RefCell::default(),
            kept: RefCell::default(),
            lost: RefCell::default(),
            source_max: Turn::OF_SOURCE,
            buf: vec![0; CHUNK_LEN],
        };
        pair.tell_time();
        pair.keep_journal(1);
        pair
    }

    /// A pair that follows the live file and holds all of it.
    fn following() -> Pair {
        let mut pair = Pair::new();
        pair.log.create();
        pair.log.lines(5);
        pair.run_ms(1_000);
        assert_eq!(pair.local(), pair.log.live_bytes());
        pair
    }

    fn without_hints(mut self) -> Pair {
        self.set_hints(false);
        self
    }

    /// Whether the server learns of changed files at once, from now on.
    fn set_hints(&mut self, hints: bool) {
        self.hints = hints;
        self.keep_journal(self.journal.epoch() + 1);
    }

    fn seed(&mut self, seed: u64) {
        self.random = Random::new(seed);
    }

    // The world goes on.

    /// Lets time pass, from deadline to deadline.
    fn run_ms(&mut self, ms: u64) {
        let until = self.mono_ms + ms;
        let (mut timeouts, mut finished) = (0, 0);
        loop {
            self.pump();
            // Each generation of a backlog takes a deadline, and many take no time.
            if self.kept.borrow().len() > finished {
                finished = self.kept.borrow().len();
                timeouts = 0;
            }
            let next = self.next_deadline();
            if next > until {
                break;
            }
            if next > self.mono_ms {
                self.advance_to(next);
                timeouts = 0;
            }
            timeouts += 1;
            assert!(
                timeouts < TIMEOUTS_MAX,
                "deadlines in the past\n{}",
                self.report()
            );
            self.timeouts();
        }
        self.advance_to(until);
    }

    /// Lets everything happen that still will if nothing is written any more.
    fn settle(&mut self) {
        self.run_ms(SETTLE_MS);
    }

    /// The same, and then all is well and nothing is said to be lost.
    fn settle_without_loss(&mut self) {
        self.settle();
        self.check();
        assert!(!self.says("lost"), "{}", self.report());
    }

    fn advance_to(&mut self, mono_ms: u64) {
        let by = (mono_ms - self.mono_ms) as i64;
        self.mono_ms = mono_ms;
        self.box_wall_ms += by;
        self.host_wall_ms += by;
        self.tell_time();
    }

    /// Sets the wall clocks by so much; the monotonic ones do not notice.
    fn step_clocks(&mut self, of_box_ms: i64, of_host_ms: i64) {
        self.box_wall_ms += of_box_ms;
        self.host_wall_ms += of_host_ms;
        self.tell_time();
    }

    fn tell_time(&self) {
        self.log.disk.at_ms(self.box_wall_ms as u64);
        self.host.at_ms(self.host_wall_ms as u64);
    }

    fn next_deadline(&self) -> u64 {
        let sessions = self
            .sessions
            .iter()
            .filter_map(|served| served.session.poll_timeout(&self.serve_config));
        let source = self.source.poll_timeout(&PERIODS);
        let machines = sessions.chain(source).map(Mono::ms);
        machines
            .chain(self.link.next_arrival())
            .min()
            .unwrap_or(u64::MAX)
    }

    fn timeouts(&mut self) {
        for at in 0..self.sessions.len() {
            self.with_session(at, |session, cx, _| session.handle_timeout(cx));
        }
        self.with_source(|source, cx, _| source.handle_timeout(cx));
    }

    /// Moves everything that can move at this moment.
    fn pump(&mut self) {
        if self.log.take_changed() && self.hints {
            self.look();
            self.hint();
        }
        let mut rounds = 0;
        while self.round() {
            rounds += 1;
            assert!(rounds < ROUNDS_MAX, "no end of moving\n{}", self.report());
        }
    }

    /// Lets the server's journal look, as its shell does.
    fn look(&mut self) {
        let is_behind = !self.journal.take_behind().is_empty();
        self.look_as(is_behind);
    }

    fn look_as(&mut self, is_behind: bool) {
        let disk = &self.log.disk;
        match self.hints {
            true => disk.tell_journal(0, "/v/m", &self.journal, is_behind),
            false => {
                self.journal.set_attended(0, None);
                // The files of a series are looked through first.
                while self.journal.has_work() {
                    self.journal.work(&self.serve_config, disk);
                }
                assert!(self.journal.look(0, "/v/m".as_ref(), disk));
            }
        }
        while self.journal.has_work() {
            self.journal.work(&self.serve_config, disk);
        }
    }

    /// The server's journal begins, or begins anew.
    fn keep_journal(&mut self, epoch: u32) {
        self.journal = Journal::new(epoch);
        self.journal.take_up(&self.serve_config);
        self.log.disk.take_trail("/v/m");
        self.journal.set_attended(0, self.hints.then_some(false));
        self.look();
    }

    /// Tells every session that its files may have changed.
    fn hint(&mut self) {
        for at in 0..self.sessions.len() {
            self.with_session(at, |session, cx, _| session.handle_hint(cx));
        }
    }

    /// One part of everything. Tells whether anything moved.
    fn round(&mut self) -> bool {
        if !self.journal.take_behind().is_empty() {
            self.look_as(true);
            self.hint();
        }
        let connected = self.connect();
        let changed = self.change_files();
        let asked = self.carry_up();
        let served = self.serve();
        let brought = self.carry_down();
        if self.source.owes_record() {
            self.with_source(|source, cx, _| source.put_unwritten_on_record(cx));
        }
        let worked = self.source.has_work();
        if worked {
            self.with_source(|source, cx, buf| source.work(buf, cx));
        }
        self.drop_unwanted();
        connected || changed || asked || served || brought || worked
    }

    /// Opens the connection that the source wants.
    fn connect(&mut self) -> bool {
        if !self.source.wants_connection() || self.link.conn.is_some() {
            return false;
        }
        match self.link.line {
            Line::Refused => {
                let refused = std::io::Error::from_raw_os_error(111);
                self.with_source(|source, cx, _| {
                    source.handle_closed(Closed::NotMade(refused), cx)
                });
            }
            Line::Dark => {
                self.link.open();
            }
            Line::Up => {
                if std::mem::take(&mut self.starts_server) {
                    self.keep_journal(self.mono_ms as u32);
                }
                let conn = self.link.open();
                self.seal = self.is_sealed.then(Seal::new).flatten();
                if let Some(seal) = &mut self.seal {
                    let second = seal.shake_hands();
                    self.link.down(&second, self.mono_ms);
                }
                let session = Session::new(PEER, Mono::from_ms(self.mono_ms));
                self.sessions.push(Served { session, conn });
                self.with_source(|source, cx, _| source.handle_connected(cx));
            }
        }
        true
    }

    /// Carries the request line to the server.
    fn carry_up(&mut self) -> bool {
        let Some(at) = self.current() else {
            return false;
        };
        let output = self.source.output().to_vec();
        if output.is_empty() || self.seal.as_ref().is_some_and(|seal| !seal.is_ready()) {
            return false;
        }
        let output = &output[..output.len().min(self.link.step)];
        let taken = output.len();
        self.with_source(|source, cx, _| source.consume_output(taken, cx));
        let mut heard = self.link.up(output);
        if let Some(seal) = &mut self.seal {
            heard = seal.up(&heard);
        }
        self.with_session(at, |session, cx, _| session.handle_input(&heard, cx));
        if self.hints {
            self.with_session(at, |session, cx, _| session.handle_hint(cx));
        }
        true
    }

    /// Lets every session work and send.
    fn serve(&mut self) -> bool {
        let mut moved = false;
        for at in 0..self.sessions.len() {
            if self.sessions[at].session.has_work() {
                moved = true;
                self.with_session(at, |session, cx, buf| session.work(buf, cx));
            }
            moved |= self.send(at);
            // What was read may be the occasion for a search.
            moved |= self.sessions[at].session.has_work();
        }
        let present = self.link.conn.as_ref().map(|conn| conn.number);
        let mut ended = false;
        self.sessions.retain(|served| {
            let is_over = served.session.ending().is_some();
            ended |= is_over && Some(served.conn) == present;
            !is_over
        });
        if ended && let Some(conn) = &mut self.link.conn {
            conn.end.get_or_insert(End::Fin);
        }
        moved || ended
    }

    /// Sends as much as the socket of one session takes.
    fn send(&mut self, at: usize) -> bool {
        let is_present = self.current() == Some(at);
        let mut moved = false;
        loop {
            let room = match is_present {
                true => self.link.room(),
                false => 0,
            };
            let len = self.with_session(at, |session, cx, buf| session.output(buf, cx));
            let len = len.min(room);
            if len == 0 {
                return moved;
            }
            moved = true;
            match &mut self.seal {
                None => self.link.down(&self.buf[..len], self.mono_ms),
                Some(seal) => {
                    for record in seal.down(&self.buf[..len]) {
                        self.link.down(&record, self.mono_ms);
                    }
                }
            }
            let now = Mono::from_ms(self.mono_ms);
            self.with_session(at, |session, _, buf| session.consume_output(buf, len, now));
            if self.sessions[at].session.ending().is_some() {
                return moved;
            }
        }
    }

    /// Carries bytes to the collector, and the end of the connection.
    fn carry_down(&mut self) -> bool {
        if self.source.is_changing() {
            return false;
        }
        let Some(mut arrived) = self.link.arrive(self.mono_ms) else {
            return false;
        };
        match &mut arrived {
            link::Arrival::Bytes(bytes) => {
                let opened = self.seal.as_mut().map(|seal| seal.open(bytes));
                match opened {
                    None => self.with_source(|source, cx, _| source.handle_input(bytes, cx)),
                    Some(Ok(mut plain)) => {
                        // A machine is never given nothing.
                        if !plain.is_empty() {
                            self.with_source(|source, cx, _| source.handle_input(&mut plain, cx));
                        }
                    }
                    Some(Err(why)) => {
                        let closed = Closed::Broken(std::io::Error::other(why));
                        self.with_source(|source, cx, _| source.handle_closed(closed, cx));
                        self.hang_up();
                    }
                }
            }
            link::Arrival::End(end) => {
                let closed = match end {
                    End::Fin => Closed::ByServer,
                    End::Reset => Closed::Broken(std::io::Error::from_raw_os_error(104)),
                };
                if self.away_after_cut {
                    self.link.line = Line::Refused;
                }
                match self.kill_at_cut {
                    true => self.restart_collector(),
                    false => self.with_source(|source, cx, _| source.handle_closed(closed, cx)),
                }
                self.hang_up();
            }
        }
        true
    }

    /// Closes the connection that the source no longer wants.
    fn drop_unwanted(&mut self) {
        if !self.source.wants_connection() && self.link.conn.is_some() {
            self.hang_up();
        }
    }

    /// The collector's socket is gone; the server hears of it unless the line is dark.
    fn hang_up(&mut self) {
        let at = self.current();
        self.link.conn = None;
        if let Some(at) = at.filter(|_| self.link.line != Line::Dark) {
            self.sessions[at].session.handle_closed();
            self.sessions.remove(at);
        }
    }

    /// The session at the other end of the present connection.
    fn current(&self) -> Option<usize> {
        let conn = self.link.conn.as_ref()?.number;
        self.sessions.iter().position(|served| served.conn == conn)
    }

    // What a test does to it.

    /// Breaks the connection, if there is one. Both sides notice.
    fn cut(&mut self) {
        if let Some(conn) = &mut self.link.conn {
            conn.cut(End::Reset);
        }
        if let Some(at) = self.current() {
            self.sessions.remove(at);
        }
        self.pump();
    }

    /// Cuts the connection and lets nobody connect until [`reconnect`](Self::reconnect).
    fn go_away(&mut self) {
        self.link.line = Line::Refused;
        self.cut();
    }

    /// The box can be reached again; waits until it was.
    fn reconnect(&mut self) {
        self.link.line = Line::Up;
        self.run_ms(100_000);
    }

    /// The collector's process dies and is started again.
    fn restart_collector(&mut self) {
        self.link.conn = None;
        for served in &mut self.sessions {
            served.session.handle_closed();
        }
        self.sessions.clear();
        self.source = new_source(self.source_config, self.mono_ms);
    }

    /// The same collector with another configuration line.
    fn reconfigure(&mut self, options: &'static str) {
        self.source_config = options;
        self.restart_collector();
    }

    /// The box loses its power: connections vanish without a word.
    fn reboot_box(&mut self) {
        self.sessions.clear();
        if let Some(conn) = &mut self.link.conn {
            conn.cut(End::Reset);
        }
        self.log.disk.reboot();
        // The server starts when the disk has become what the power cut made of it.
        self.starts_server = true;
        self.pump();
    }

    // The machines.

    fn with_session<R>(
        &mut self,
        at: usize,
        act: impl FnOnce(&mut Session<Handle>, &mut context::Context<'_, Fake>, &mut [u8]) -> R,
    ) -> R {
        self.log.disk.take_done();
        let mut cx = context::Context {
            store: &self.log.disk,
            config: &self.serve_config,
            journal: &self.journal,
            sightings: &mut self.sightings,
            now: Now {
                mono: Mono::from_ms(self.mono_ms),
                wall: Wall::from_ms(self.box_wall_ms as u64),
            },
        };
        let result = act(&mut self.sessions[at].session, &mut cx, &mut self.buf);
        let done = self.log.disk.take_done();
        let turn = Turn {
            syncs: 0,
            calls: done.steps as u64,
            bytes: done.bytes as u64,
        };
        assert_eq!(turn.complaint(Turn::OF_SESSION), None);
        result
    }

    fn with_source<R>(
        &mut self,
        act: impl FnOnce(&mut Source<Handle>, &mut source::Context<'_, Fake>, &mut [u8]) -> R,
    ) -> R {
        let (said, kept) = (&self.said, &self.kept);
        let (said_at_ms, mono_ms) = (&self.said_at_ms, self.mono_ms);
        let lost = &self.lost;
        let wall_ms = self.host_wall_ms as u64;
        let mut store = self.host.clone();
        let before = (self.host.syncs(), self.host.calls());
        self.host.take_done();
        let mut cx = source::Context {
            store: &mut store,
            now: Now {
                mono: Mono::from_ms(self.mono_ms),
                wall: Wall::from_ms(wall_ms),
            },
            stamp: &|wall| Civil::from_unix(wall.secs() as i64).stamp(),
            boot: Some(&self.host_boot),
            periods: &PERIODS,
            random: &mut self.random,
            hooks: None,
            events: &mut |_, event| {
                if let Event::Rotated { kept: path, .. } | Event::Truncated { kept: path, .. } =
                    &event
                {
                    kept.borrow_mut().push(path.to_path_buf());
                }
                if let Event::Lost(loss) = &event {
                    lost.borrow_mut().push((kept.borrow().len(), loss.inode.0));
                }
                said.borrow_mut().push(event.to_string());
                said_at_ms.borrow_mut().push(mono_ms);
            },
        };
        let result = act(&mut self.source, &mut cx, &mut self.buf);
        let turn = Turn {
            syncs: (self.host.syncs() - before.0).into(),
            calls: (self.host.calls() - before.1).into(),
            bytes: self.host.take_done().bytes as u64,
        };
        assert_eq!(turn.complaint(self.source_max), None);
        let next = self.source.poll_timeout(&PERIODS);
        assert!(
            next.is_none_or(|next| next.ms() >= self.mono_ms),
            "the source has a deadline in the past"
        );
        result
    }
}

fn new_source(options: &str, mono_ms: u64) -> Source<Handle> {
    let line = format!("10.0.0.1 19 /v/m /l/m /p/m {options}");
    let config = CollectConfig::parse(line.as_bytes()).unwrap();
    let config = config.sources.into_iter().next().unwrap();
    let mut source = Source::new(config, Mono::from_ms(mono_ms));
    source.share_barriers();
    source
}
