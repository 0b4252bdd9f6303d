//! The mio half of the log server: sockets, files, clocks and signals around the clients' sessions.
//!
//! It owns the reactor, the listener, the [`Clients`], and what all of these share: the files, one
//! buffer, and the watches that tell of changes. What a client is sent is for [`super::session`] to
//! decide.

mod admission;
mod client;
mod clients;
mod families;
mod followers;
mod keeping;
mod listening;
mod reach;
mod rows;
#[cfg(feature = "noise")]
mod sealing;
mod state;
mod watches;

use std::io;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
#[cfg(feature = "noise")]
use std::rc::Rc;

use self::clients::Clients;
pub use self::reach::reaches;
#[cfg(feature = "noise")]
use self::sealing::Sealing;
use self::watches::Watches;
use super::config::Config;
use super::find;
use super::find::families::Families;
use super::find::journal::Journal;
use super::find::pins;
use super::find::query::open_regular;
use super::find::sightings::Sightings;
use super::send::context::Context;
use crate::limits::CHUNK_LEN;
#[cfg(feature = "noise")]
use crate::noise::key::Identity;
use crate::reactor::connection::Link;
use crate::reactor::listener::{Bound, Listener};
use crate::reactor::token::Token;
use crate::reactor::{End, Event, Reactor};
use crate::report::Report;
use crate::store::ReadStore;
use crate::store::config_file::{self, Unusable};
use crate::store::real::RealRead;
use crate::sys;
use crate::sys::clock;
use crate::sys::outside::{Inside, Outside};
use crate::sys::rlimit::raise_descriptor_limit;
use crate::sys::signals::{Signal, Signals};
use crate::time::{Mono, Now};

/// What a token's kind says.
const CLIENT: u8 = 0;
const LISTENER: u8 = 1;
const WATCHES: u8 = 2;

/// The running server.
pub struct Server {
    config_path: PathBuf,
    inside: Inside,
    is_shut_out: bool,
    /// Not before this moment the walls are looked at unasked.
    check_walls_from: Mono,
    reactor: Reactor,
    listener: Listener,
    clients: Clients,
    shared: Shared,
    /// When all logs are looked at next, whatever was told of them.
    look_at: Mono,
    /// When what is held may be looked at next.
    keep_from: Mono,
}

/// What every client is served with.
struct Shared {
    files: Files,
    watches: Option<Watches>,
    report: Report,
    buf: Box<[u8]>,
    now: Now,
    /// Whom files are held for.
    kept_for: pins::Clients,
    /// One of them has come, or has come on.
    keep_due: bool,
    #[cfg(feature = "noise")]
    sealing: Sealing,
}

/// What every session works on.
struct Files {
    store: RealRead,
    config: Config,
    journal: Journal,
    sightings: Sightings,
    families: Families,
}

impl Server {
    /// Takes over a socket that [`bind`] made. `config_path` is read again at SIGHUP. The walls of
    /// `inside` leave room for what the configuration [`reaches`]; the store was made before them.
    pub fn new(
        config_path: PathBuf,
        config: Config,
        listener: Bound,
        reactor: Reactor,
        mut report: Report,
        inside: Inside,
        store: RealRead,
    ) -> io::Result<Server> {
        let watches = Watches::new(reactor.registry())
            .inspect_err(|error| {
                report.say(format_args!(
                    "changes are noticed only at every check, because this system cannot tell of them: {error}"
                ));
            })
            .ok();
        let listener = Listener::new(listener, LISTENER_TOKEN, reactor.registry())?;
        announce(&listener, &mut report)?;
        let mut server = Server {
            config_path,
            check_walls_from: clock::now().mono.plus_ms(inside.patience_ms(0)),
            inside,
            is_shut_out: false,
            reactor,
            listener,
            clients: Clients::new(config.max_clients.min(64)),
            shared: Shared {
                files: Files {
                    store,
                    config,
                    journal: Journal::new(sys::random_seed() as u32),
                    sightings: Sightings::new(),
                    families: Families::default(),
                },
                watches,
                report,
                buf: vec![0; CHUNK_LEN].into_boxed_slice(),
                now: clock::now(),
                kept_for: pins::Clients::default(),
                keep_due: false,
                #[cfg(feature = "noise")]
                sealing: Sealing::default(),
            },
            look_at: clock::now().mono,
            keep_from: clock::now().mono,
        };
        server.find_members();
        server.check_config();
        server.keep_journal();
        Ok(server)
    }

    /// The same with these keys, to which clients prove who they are.
    #[cfg(feature = "noise")]
    pub fn sealed(mut self, own: Option<Rc<Identity>>) -> Server {
        self.shared.sealing = Sealing::new(own);
        self
    }

    /// Runs until TERM or INT, or until the walls shut out what is configured; then
    /// [`let_go`](Self::let_go).
    pub fn run(&mut self) -> io::Result<End> {
        self.inside.begun();
        while !self.is_shut_out {
            self.shared.now = self.reactor.wait(self.next_deadline())?;
            self.shared.report.tick(self.shared.now.mono);
            self.clients.handle_deadlines(&mut self.shared);
            if self.handle_signals().is_break() {
                return Ok(End::Stopped);
            }
            for event in self.reactor.events() {
                self.handle_event(event);
            }
            if self.listener.is_due(self.shared.now.mono) {
                self.accept();
            }
            self.clients.send_more(&mut self.shared);
            self.clients.work(&mut self.shared);
            self.work_on_journal();
            self.work_on_families();
            if std::mem::take(&mut self.shared.keep_due) {
                self.keep_from = self.shared.now.mono;
                self.keep_deleted();
            }
            self.tell_refused();
            if self.shared.files.journal.is_behind() {
                self.clients.handle_changes(&mut self.shared);
            }
        }
        Ok(End::ShutOut)
    }

    /// Ends all connections, and leaves what a successor needs: the listening socket, the signals
    /// and the way outside.
    pub fn let_go(self) -> (Option<OwnedFd>, Signals, Option<Outside>) {
        let signals = self.reactor.into_signals();
        (self.listener.into_socket(), signals, self.inside.outside)
    }

    fn next_deadline(&self) -> Option<Mono> {
        let journal_at = match self.shared.files.journal.has_work() {
            true => self.shared.now.mono,
            false => self.look_at,
        };
        let deadlines = [
            Some(journal_at),
            self.clients.poll_timeout(self.shared.now.mono),
            self.listener.poll_timeout(),
            self.shared.files.families.poll_timeout(),
            self.shared.report.poll_timeout(),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// Breaks when the daemon is to stop.
    fn handle_signals(&mut self) -> ControlFlow<()> {
        for signal in self.reactor.signals() {
            match signal {
                Signal::Term | Signal::Int => return ControlFlow::Break(()),
                Signal::Hup => self.reload(),
                Signal::Usr1 => self.tell_state(),
            }
        }
        ControlFlow::Continue(())
    }

    fn handle_event(&mut self, event: Event) {
        match event.token.kind {
            LISTENER => self.accept(),
            WATCHES => {
                self.clients.handle_changes(&mut self.shared);
                self.keep_deleted();
            }
            _ => self.clients.handle_event(event, &mut self.shared),
        }
    }

    /// Accepts who waits, as far as the turn allows.
    fn accept(&mut self) {
        loop {
            match self.listener.accept(self.shared.now.mono) {
                Ok(Some((stream, peer))) => {
                    let registry = self.reactor.registry();
                    self.clients
                        .accept(stream, peer.ip(), registry, &mut self.shared);
                }
                Ok(None) => return,
                Err(error) => {
                    let report = &mut self.shared.report;
                    return report.say(format_args!("cannot accept a connection: {error}"));
                }
            }
        }
    }

    /// SIGHUP: takes up a changed configuration. Clients that it still allows keep their
    /// connection; a faulty file changes nothing.
    fn reload(&mut self) {
        let mut config = match self.read_config() {
            Ok(config) => config,
            Err(unusable) => {
                let report = &mut self.shared.report;
                for line in unusable.to_string().lines() {
                    report.say(format_args!("{line}"));
                }
                return report.say(format_args!("the configuration stays as it was before"));
            }
        };
        #[cfg(feature = "noise")]
        if let Some(why) = self.keep_key(&mut config) {
            let report = &mut self.shared.report;
            report.say(format_args!("{why}"));
            return report.say(format_args!("the configuration stays as it was before"));
        }
        if config.bind != self.shared.files.config.bind {
            self.listen_on(config.bind);
        }
        config.inherit(&self.shared.files.config);
        let before = std::mem::replace(&mut self.shared.files.config, config);
        self.shared.files.families = Families::default();
        // Nobody looks where there are none, and what is due would be so for ever.
        if !self.shared.files.config.families.is_empty() {
            self.shared.files.families.look_at(self.shared.now.mono);
        }
        self.shared.files.sightings = Sightings::new();
        self.shared.kept_for.clear();
        self.shared.files.store.forget_refused();
        self.clients.reload(&before, &mut self.shared);
        self.check_config();
        self.keep_journal();
        // A successor reads what was found sound just now.
        if !self.fits_walls() {
            self.be_shut_out();
        }
        self.shared
            .report
            .say(format_args!("read the configuration again"));
    }

    /// Behind the walls no key file can be read: the key stays. Tells what makes the new
    /// configuration useless without one.
    #[cfg(feature = "noise")]
    fn keep_key(&mut self, config: &mut Config) -> Option<&'static str> {
        let before = &self.shared.files.config.sealing.private_key_file;
        if config.sealing.private_key_file != *before {
            config.sealing.private_key_file.clone_from(before);
            let report = &mut self.shared.report;
            report.say(format_args!(
                "$private_key_file counts from the next start on"
            ));
        }
        config.sealing.fault()
    }

    /// Takes the configured logs into the journal.
    fn keep_journal(&mut self) {
        let files = &self.shared.files;
        files.journal.take_up(&files.config);
        self.look_at_all();
    }

    /// Looks at all logs, and makes sure that their directories are watched.
    fn look_at_all(&mut self) {
        for index in 0..self.shared.files.config.files.len() as u32 {
            self.look_at_one(index);
        }
        let after_ms = self.shared.files.config.alive_interval_ms;
        self.look_at = self.shared.now.mono.plus_ms(after_ms);
    }

    fn look_at_one(&mut self, index: u32) {
        let Shared {
            files,
            watches,
            report,
            ..
        } = &mut self.shared;
        let Files {
            store,
            config,
            journal,
            ..
        } = files;
        let Some(entry) = config.files.get(index as usize).filter(|it| it.is_any()) else {
            return;
        };
        let is_attended = watches
            .as_mut()
            .and_then(|watches| watches.attend(index, &config.files, journal, report));
        journal.set_attended(index, is_attended);
        // Where it is behind, it catches up before the next turn.
        let _ = journal.look(index, &entry.path, store);
    }

    /// Whether a directory that was made, replaced or mounted, or a new configuration, lies outside
    /// of the walls by now. A successor would read the configuration: one that is faulty by now
    /// keeps this process at work.
    fn check_walls(&mut self) {
        if self.fits_walls() {
            return;
        }
        match self.read_config() {
            Ok(_) => self.be_shut_out(),
            Err(unusable) => self.shared.report.say(format_args!(
                "directories are new or were replaced, and no new process can take over: {unusable}"
            )),
        }
    }

    fn fits_walls(&self) -> bool {
        self.is_shut_out || (self.inside.walls).fits(&reaches(&self.shared.files.config))
    }

    fn be_shut_out(&mut self) {
        self.is_shut_out = true;
        self.shared.report.say(format_args!(
            "directories are new or were replaced: a new process, which may read them, takes over"
        ));
    }

    /// The configuration as it is now. One that names logs is not replaced by nothing: a file may
    /// have been emptied and not be written yet.
    fn read_config(&self) -> Result<Config, Unusable> {
        let outside = self.inside.outside.as_ref();
        let config = config_file::read_again(&self.config_path, outside, Config::parse)?;
        match config.serves_nothing() && !self.shared.files.config.serves_nothing() {
            true => Err(Unusable::Empty(self.config_path.clone())),
            false => Ok(config),
        }
    }

    /// Looks at all logs now and then, and does a part of what the journal still has to find out.
    fn work_on_journal(&mut self) {
        if self.look_at <= self.shared.now.mono {
            self.look_at_all();
            self.keep_deleted();
            if self.check_walls_from <= self.shared.now.mono {
                self.check_walls();
            }
        }
        let files = &self.shared.files;
        files.journal.work(&files.config, &files.store);
    }

    /// Says what was not opened, because it may be anybody's.
    fn tell_refused(&mut self) {
        for refused in self.shared.files.store.refused() {
            self.shared.report.say(format_args!("{refused}"));
        }
    }

    /// Moves the listening socket. The old one is closed first, for both may want the same port;
    /// where the new place is not to be had, the old one is taken again.
    fn listen_on(&mut self, wanted: SocketAddr) {
        let before = self.listener.address();
        self.listener.close(self.reactor.registry());
        let mut listen = |address| {
            Bound::bind(address)
                .and_then(|socket| Listener::new(socket, LISTENER_TOKEN, self.reactor.registry()))
        };
        let report = &mut self.shared.report;
        let replaced = listen(wanted).or_else(|error| {
            report.say(format_args!("cannot listen on {wanted}: {error}"));
            before.and_then(&mut listen)
        });
        match replaced {
            Ok(listener) => {
                self.listener = listener;
                let _ = announce(&self.listener, report);
            }
            Err(error) => report.say(format_args!("nobody can connect any more: {error}")),
        }
    }

    /// Makes room for as many clients as are configured, and says what makes a configuration
    /// useless.
    fn check_config(&mut self) {
        let (config, report) = (&self.shared.files.config, &mut self.shared.report);
        raise_descriptor_limit(config.max_clients as u64 * 2 + 64);
        if config.hosts.is_empty() {
            report.say(format_args!("%hosts_allow is empty: nobody is served"));
        }
        if config.serves_nothing() {
            report.say(format_args!("%files is empty: nothing is served"));
        }
        if let Some(doubt) = config.local_doubt() {
            report.say(format_args!("{doubt}"));
        }
        let store = &self.shared.files.store;
        for entry in config.files.iter().filter(|it| store.is_mounted(&it.path)) {
            report.say(format_args!("{} {MOUNTED_ALONE}", entry.path.display()));
        }
    }
}

impl Shared {
    /// What stands between a new client's socket and its session.
    #[cfg(feature = "noise")]
    fn link(&self) -> Link {
        self.sealing.channel(&self.files.config)
    }

    /// What stands between a new client's socket and its session.
    #[cfg(not(feature = "noise"))]
    fn link(&self) -> Link {
        crate::reactor::connection::Plain
    }
}

impl Files {
    fn context(&mut self, now: Now) -> Context<'_, RealRead> {
        Context {
            store: &self.store,
            config: &self.config,
            journal: &self.journal,
            sightings: &mut self.sightings,
            now,
        }
    }
}

/// Binds the listening socket; privileges may be dropped afterwards. Fails where the port is taken
/// or not permitted. On Linux the box need not have the address yet.
pub fn bind(config: &Config) -> io::Result<Bound> {
    Bound::bind(config.bind)
}

/// Why logs could not be served to anybody now, a text for each that could not.
pub fn troubles(config: &mut Config) -> Vec<String> {
    let store = RealRead::new();
    let journal = Journal::new(0);
    let mut texts = Vec::new();
    find::families::settle(config, &store, &mut |trouble| texts.push(trouble));
    journal.settle(config, &store);
    let of_logs = (0..).zip(&config.files).filter_map(|(index, entry)| {
        let path = entry.path.display();
        match open_regular(&store, &journal.live_path(index, entry)) {
            Err(refusal) => Some(format!("{path}: {refusal}")),
            Ok(_) if store.is_mounted(&entry.path) => Some(format!("{path} {MOUNTED_ALONE}")),
            Ok(_) => (journal.is_series(index) && !entry.is_series).then(|| {
                format!("{path} is a symbolic link: the newest file that its patterns find is served, as of a $series")
            }),
        }
    });
    texts.extend(of_logs);
    texts
}

/// Of a log whose path is a mount.
const MOUNTED_ALONE: &str =
    "is mounted here alone: if its file is replaced outside nobody notices; mount its directory";

/// Calls `say` with what the globs of each log find, and what it is taken for. Tells whether all
/// that is to be read can be.
pub fn list(config: &mut Config, say: &mut dyn FnMut(&str)) -> bool {
    find::list::list(config, &RealRead::new(), say)
}

const LISTENER_TOKEN: Token = Token {
    kind: LISTENER,
    index: 0,
    life: 0,
};

/// Says where it listens.
fn announce(listener: &Listener, report: &mut Report) -> io::Result<()> {
    let address = listener.address()?;
    let yet = match listener.is_ahead() {
        true => ", which this machine has not got yet",
        false => "",
    };
    report.say(format_args!("listening on {address}{yet}"));
    Ok(())
}
