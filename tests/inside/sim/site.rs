//! A box: its disk, its clock, its logs, and the server's process as its shell drives it.

use super::Pace;
use super::disk::{Disk, Open};
use super::log::Log;
use crate::inside::fake::{Fake, Handle, hear};
use crate::serve::config::Config;
use crate::serve::find::journal::Journal;
use crate::serve::find::journal::arrivals::Trail;
use crate::serve::find::sightings::Sightings;
use crate::serve::session::Session;

pub struct Site {
    pub disk: Disk<Fake>,
    pub logs: Vec<Log>,
    /// The process, while it runs.
    pub server: Option<Server>,
    pub wall_ms: i64,
    /// Times of files are multiples of this.
    pub tick_ms: u64,
    /// Its clock was set back.
    pub set_back: bool,
    /// Without power nothing answers, not even the kernel.
    pub powered: bool,
    /// Counts the starts of the server.
    pub runs: u32,
    /// Counts the starts of the machine; what was planned before is void.
    pub epoch: u32,
    /// The kernel tells of changed files at once.
    pub hints: bool,
    /// Its logs are in memory.
    pub tmpfs: bool,
    /// Collector and server speak classic, which cannot cure everything.
    pub classic: bool,
    /// The server is an old one, which knows nothing else.
    pub old_server: bool,
    pub pace: &'static Pace,
    pub delay_check_ms: u64,
    /// The order of the logs in the configuration, which a HUP may change.
    pub reversed: bool,
}

/// The server's process.
pub struct Server {
    pub config: Config,
    pub journal: Journal,
    pub sightings: Sightings,
    pub sessions: Vec<Served>,
    /// When all logs are looked at next.
    pub look_at_ms: u64,
}

/// A session and the connection it belongs to.
pub struct Served {
    pub conn: u32,
    pub session: Session<Open<Handle>>,
    /// It may have something to send or to work on.
    pub ready: bool,
}

impl Site {
    pub fn config(&self) -> Config {
        let seconds = |ms: u64| format!("{}.{:03}", ms / 1000, ms % 1000);
        let mut text = format!(
            "$delay_check = {}; $alive_interval = {}; $timeout_write = 60; $grace = 10;\n",
            seconds(self.delay_check_ms),
            self.pace.alive_s
        );
        let mut lines: Vec<String> = self
            .logs
            .iter()
            .map(|log| {
                let glob = log.glob();
                let hash = if log.habits.series.is_some() {
                    "series"
                } else {
                    "files"
                };
                format!("${hash}{{'{}'}} = '{glob}';\n", log.key())
            })
            .collect();
        if self.reversed {
            lines.reverse();
        }
        text.extend(lines);
        Config::parse(text.as_bytes()).unwrap()
    }

    pub fn start_server(&mut self) {
        self.disk.revive();
        self.runs += 1;
        self.server = Some(Server {
            config: self.config(),
            journal: Journal::new(self.runs),
            sightings: Sightings::new(),
            sessions: Vec::new(),
            look_at_ms: 0,
        });
        self.keep_journal();
    }

    /// The server takes up its logs, as the shell does it.
    pub fn keep_journal(&mut self) {
        for log in &mut self.logs {
            log.take_told();
        }
        let Some(server) = &self.server else {
            return;
        };
        server.journal.take_up(&server.config);
        for (index, entry) in (0..).zip(&server.config.files) {
            let path = entry.path.display().to_string();
            self.disk.with(|fs| fs.take_trail(&path));
            let is_attended = self.hints.then_some(false);
            server.journal.set_attended(index, is_attended);
            let is_abreast = server.journal.look(index, &entry.path, &self.disk);
            // The files of a series are looked through first.
            assert_eq!(is_abreast, server.journal.is_settled(index));
        }
    }

    /// Whether it is time to look at all logs, whatever was told of them.
    pub fn take_look_due(&mut self, now_ms: u64) -> bool {
        let alive_ms = self.pace.alive_s * 1_000;
        let Some(server) = &mut self.server else {
            return false;
        };
        let is_due = server.look_at_ms <= now_ms;
        if is_due {
            server.look_at_ms = now_ms + alive_ms;
        }
        is_due
    }

    /// The logs of which the journal has heard less than it has seen.
    pub fn take_behind(&self) -> Vec<String> {
        self.paths_of(Journal::take_behind)
    }

    /// The series whose files were looked through.
    pub fn take_moved(&self) -> Vec<String> {
        self.paths_of(Journal::take_moved)
    }

    fn paths_of(&self, take: fn(&Journal) -> Vec<u32>) -> Vec<String> {
        let Some(server) = &self.server else {
            return Vec::new();
        };
        let path = |&index: &u32| {
            let entry = server.config.files.get(index as usize);
            entry.map(|entry| entry.path.display().to_string())
        };
        take(&server.journal).iter().filter_map(path).collect()
    }

    /// The kernel told that something happened around a log, or it is time to look.
    pub fn look(&mut self, path: &str) {
        let told = self.take_told(path);
        let Some(server) = &self.server else {
            return;
        };
        if let Some(told) = told {
            self.look_at_series(server, path, &told);
            return;
        }
        if let Some(index) = server.config.index_of(path.as_ref()) {
            let journal = &server.journal;
            let trail = match self.hints {
                true => self.disk.with(|fs| fs.take_trail(path)),
                false => Trail::default(),
            };
            hear(&trail, index, path.as_ref(), journal, &self.disk);
        }
    }

    /// It is time to look, whatever was told.
    pub fn look_now(&mut self, path: &str) {
        let is_series = |log: &Log| log.key() == path && log.habits.series.is_some();
        if let Some(server) = &self.server
            && let Some(index) = server.config.index_of(path.as_ref())
            && self.logs.iter().any(is_series)
        {
            let is_attended = self.hints.then_some(true);
            server.journal.set_attended(index, is_attended);
        }
        self.look(path);
    }

    /// What was told of the names of a series; `None` for any other log.
    fn take_told(&mut self, path: &str) -> Option<Vec<(String, bool)>> {
        let log = self.logs.iter_mut().find(|log| log.key() == path)?;
        log.habits.series.is_some().then(|| log.take_told())
    }

    fn look_at_series(&self, server: &Server, path: &str, told: &[(String, bool)]) {
        let Some(index) = server.config.index_of(path.as_ref()) else {
            return;
        };
        for (name, is_there) in told.iter().filter(|_| self.hints) {
            server.journal.note_name(index, name.as_bytes(), *is_there);
        }
        // Its files are looked through first.
        let _ = server.journal.look(index, path.as_ref(), &self.disk);
    }

    /// SIGHUP, as the shell does it.
    pub fn reload(&mut self) {
        self.reversed = !self.reversed;
        let config = self.config();
        let Some(server) = &mut self.server else {
            return;
        };
        let before = std::mem::replace(&mut server.config, config);
        server.sightings = Sightings::new();
        for served in &mut server.sessions {
            let path = served
                .session
                .file()
                .and_then(|file| before.files.get(file as usize))
                .map(|entry| &entry.path);
            let file = path.and_then(|path| server.config.index_of(path));
            served.session.renumber(file);
            served.ready = true;
        }
        self.keep_journal();
    }

    /// Sets the time that writes leave on files: that of the kernel's last tick.
    pub fn tell_time(&self) {
        let tick = self.wall_ms as u64 / self.tick_ms * self.tick_ms;
        self.disk.with(|fs| fs.at_ms(tick));
    }

    /// Files without a name vanish once nobody has them open.
    pub fn purge(&self) {
        let free = self.disk.with(|fs| fs.free_inodes());
        for inode in free {
            let is_held = self.logs.iter().any(|log| log.held_inode() == Some(inode));
            if !is_held && !self.disk.is_open(inode) {
                self.disk.with(|fs| fs.forget(inode));
            }
        }
    }
}
