//! The look for the logs of families: which there are, and which went. Pure.
//!
//! It goes through all that the keys find, in parts, and sifts it: a rotated file of a log is never
//! a log of its own. What was found is then entered into the configuration.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::limits::{
    FAMILY_BETWEEN_MS, FAMILY_LEAVE_MS, FAMILY_WAIT_MS, LEFT_OUT_NAMED, MEMBERS_MAX, NAMES_MAX,
    WALKED_AT_ONCE,
};
use crate::serve::config::Config;
use crate::serve::config::family::Family;
use crate::serve::glob::{Progress, Walk, uncompressed};
use crate::store::{Kind, ReadStore};
use crate::time::Mono;

/// When is looked for logs, and the look that is under way.
#[derive(Default)]
pub struct Families {
    round: Option<Box<Round>>,
    /// When the next one is due, if something came or went.
    due_at: Option<Mono>,
    /// When the last one began.
    begun_at: Mono,
    /// The directories from which logs may come, once a look is over.
    dirs: Vec<PathBuf>,
    /// Of which families there are too many logs, as far as that was told.
    crowded: Vec<u32>,
}

/// What a look has changed.
#[derive(Default)]
pub struct Change {
    /// The numbers of logs that came.
    pub added: Vec<u32>,
    /// The numbers of those that went.
    pub removed: Vec<u32>,
    /// Those who ask which logs there are have to be told.
    pub is_told: bool,
    /// What is worth telling.
    pub troubles: Vec<String>,
}

/// A look under way.
struct Round {
    /// The family whose key is being walked; behind the last one all names are there.
    family: usize,
    walk: Option<Walk>,
    /// Shorter ones first: that of a log is shorter than those of its rotated files.
    names: Vec<Name>,
    /// Whose rotated files are sorted out next: first those of all other logs, then names.
    sifted: usize,
    /// The name of which is looked whether something is left.
    left: usize,
    is_cut: bool,
    dirs: Vec<PathBuf>,
}

/// A path that may be a log.
struct Name {
    path: PathBuf,
    family: u32,
    is_log: bool,
    /// It, or a rotated file of it, is there.
    is_there: bool,
}

impl Families {
    /// A name came or went where logs come from.
    pub fn note_change(&mut self, now: Mono) {
        let next = self.begun_at.plus_ms(FAMILY_BETWEEN_MS);
        self.look_at(now.plus_ms(FAMILY_WAIT_MS).max(next));
    }

    /// A look is due at this moment, at the latest.
    pub fn look_at(&mut self, at: Mono) {
        self.due_at = Some(self.due_at.map_or(at, |due| due.min(at)));
    }

    /// When [`work`](Self::work) has something to do.
    pub fn poll_timeout(&self) -> Option<Mono> {
        match self.round.is_some() {
            true => Some(Mono::default()),
            false => self.due_at,
        }
    }

    /// The directories from which logs may come, as the last look has found them.
    pub fn dirs(&self) -> &[PathBuf] {
        &self.dirs
    }

    /// Does a part of a look that is due. Tells whether one is over: then
    /// [`enter`](Self::enter) has to follow.
    pub fn work<S: ReadStore>(&mut self, config: &Config, store: &S, now: Mono) -> bool {
        if self.round.is_none() {
            if self.due_at.is_none_or(|due| due > now) {
                return false;
            }
            (self.due_at, self.begun_at) = (None, now);
            self.round = Some(Box::new(Round::new()));
        }
        self.round
            .as_mut()
            .is_some_and(|round| round.advance(config, store))
    }

    /// Enters what was found. A log that is gone stays for a while, and for as long as it
    /// `is_busy`: for who was not sent all of it.
    pub fn enter(
        &mut self,
        config: &mut Config,
        now: Mono,
        is_busy: &dyn Fn(u32) -> bool,
    ) -> Change {
        let mut change = Change::default();
        let Some(mut round) = self.round.take() else {
            return change;
        };
        round.names.retain(|name| name.is_log);
        let patience_ms = config.grace_ms + FAMILY_LEAVE_MS;
        let exact = config.exact();
        for at in 0..config.members.list.len() {
            if !config.files[exact + at].is_any() {
                continue;
            }
            let path = &config.files[exact + at].path;
            let index = (exact + at) as u32;
            let place = round.names.iter().position(|name| name.path == *path);
            let found = place.map(|place| round.names.swap_remove(place));
            if found.is_some_and(|name| name.is_there) {
                change.is_told |= config.members.list[at].is_leaving;
                config.let_stay(at);
                continue;
            }
            let member = &mut config.members.list[at];
            let is_leaving = member.is_leaving;
            let gone_at = *member.gone_at.get_or_insert(now);
            // First it is told no more; its place is another's once everybody has left it.
            let until = gone_at.plus_ms(match is_leaving {
                true => patience_ms,
                false => FAMILY_BETWEEN_MS,
            });
            if until > now || (is_leaving && is_busy(index)) {
                self.look_at(until.max(now.plus_ms(FAMILY_BETWEEN_MS)));
            } else if is_leaving {
                config.remove_member(index);
                change.removed.push(index);
            } else {
                config.let_leave(at);
                change.is_told = true;
                self.look_at(gone_at.plus_ms(patience_ms));
            }
        }
        let mut crowded = Vec::new();
        let (mut left_out, mut is_cut) = (Vec::new(), round.is_cut);
        for name in round.names.iter().filter(|name| name.is_there) {
            let family = &config.families[name.family as usize];
            let Some(entry) = family.entry(&name.path) else {
                continue;
            };
            if config.count_of(name.family) < MEMBERS_MAX {
                change.added.push(config.add_member(entry, name.family));
                continue;
            }
            match left_out.len() < LEFT_OUT_NAMED {
                true => left_out.push(entry.path),
                false => is_cut = true,
            }
            if !crowded.contains(&name.family) {
                crowded.push(name.family);
            }
        }
        change.is_told |= config.leave_out(left_out, is_cut);
        for number in &crowded {
            if !self.crowded.contains(number) {
                let key = shown(&config.families[*number as usize]);
                change.troubles.push(format!(
                    "{key} finds more than {MEMBERS_MAX} logs: the others are not served"
                ));
            }
        }
        if round.is_cut {
            change.troubles.push(format!(
                "the keys of %files with * find more than {NAMES_MAX} files, or more than is looked at: not all are served"
            ));
        }
        self.crowded = crowded;
        self.dirs = round.dirs;
        change
    }
}

/// Enters all logs of families that there are now. `trouble` hears what is wrong.
pub fn settle<S: ReadStore>(config: &mut Config, store: &S, trouble: &mut dyn FnMut(String)) {
    let change = Families::default().settle(config, store, Mono::default());
    change.troubles.into_iter().for_each(&mut *trouble);
    for (number, family) in (0..).zip(&config.families) {
        if config.count_of(number) == 0 {
            trouble(format!("{} finds no log now", shown(family)));
        }
    }
}

impl Families {
    /// Does a whole look at once.
    pub fn settle<S: ReadStore>(&mut self, config: &mut Config, store: &S, now: Mono) -> Change {
        self.look_at(now);
        while !self.work(config, store, now) {}
        self.enter(config, now, &|_| false)
    }
}

impl Round {
    fn new() -> Round {
        Round {
            family: 0,
            walk: None,
            names: Vec::new(),
            sifted: 0,
            left: 0,
            is_cut: false,
            dirs: Vec::new(),
        }
    }

    /// Does a part. Tells whether it was the last.
    fn advance<S: ReadStore>(&mut self, config: &Config, store: &S) -> bool {
        if let Some(family) = config.families.get(self.family) {
            self.walk(family, config, store);
        } else if self.sifted < config.exact() + self.names.len() {
            self.sift(config);
        } else if self.left < self.names.len() {
            self.look_for_rest(config, store);
        } else {
            return true;
        }
        false
    }

    /// Takes some steps through what the key of a family finds.
    fn walk<S: ReadStore>(&mut self, family: &Family, config: &Config, store: &S) {
        let number = self.family as u32;
        let mut walk = (self.walk.take()).unwrap_or_else(|| Walk::new(&family.logs).telling_dirs());
        for _ in 0..WALKED_AT_ONCE {
            match walk.advance(store) {
                Progress::On => {}
                Progress::Found => {
                    let path = walk.found();
                    // What is compressed is no log, and neither is a link.
                    let is_log = uncompressed(path.as_os_str().as_bytes()).is_none()
                        && matches!(store.stat_path(path), Ok(stat) if stat.kind == Kind::Regular);
                    if is_log {
                        self.add(path.to_path_buf(), number, true);
                    }
                }
                Progress::Over => {
                    self.dirs.append(&mut walk.take_dirs());
                    self.is_cut |= walk.end().is_err();
                    self.add_standing(number, config);
                    self.family += 1;
                    return;
                }
            }
        }
        self.walk = Some(walk);
    }

    /// Those that were found before, and are not there just now.
    fn add_standing(&mut self, number: u32, config: &Config) {
        let entries = &config.files[config.exact()..];
        for (member, entry) in config.members.list.iter().zip(entries) {
            if member.family == number && entry.is_any() {
                self.add(entry.path.clone(), number, false);
            }
        }
    }

    fn add(&mut self, path: PathBuf, family: u32, is_there: bool) {
        let len = path.as_os_str().len();
        let place = self.names.binary_search_by(|name| {
            let by_len = name.path.as_os_str().len().cmp(&len);
            by_len.then_with(|| name.path.as_os_str().cmp(path.as_os_str()))
        });
        match place {
            // Of two keys that find it the first one has it.
            Ok(_) => {}
            Err(_) if self.names.len() >= NAMES_MAX => self.is_cut = true,
            Err(at) => self.names.insert(
                at,
                Name {
                    path,
                    family,
                    is_log: true,
                    is_there,
                },
            ),
        }
    }

    /// Sorts out what are the rotated files of one log, or that log itself, which has a key of its
    /// own.
    fn sift(&mut self, config: &Config) {
        let at = self.sifted.checked_sub(config.exact());
        self.sifted += 1;
        let Some(at) = at else {
            let entry = &config.files[self.sifted - 1];
            let finds = entry.patterns.finder();
            for name in &mut self.names {
                let is_it = name.path == entry.path;
                name.is_log &= !is_it && !finds(name.path.as_os_str().as_bytes());
            }
            return;
        };
        let Some(name) = self.names.get(at).filter(|name| name.is_log) else {
            return;
        };
        let Some(entry) = config.families[name.family as usize].entry(&name.path) else {
            self.names[at].is_log = false;
            return;
        };
        let finds = entry.patterns.finder();
        let mut has_rotated = false;
        for other in &mut self.names[at + 1..] {
            if other.is_log && finds(other.path.as_os_str().as_bytes()) {
                has_rotated |= other.is_there;
                other.is_log = false;
            }
        }
        // While it has rotated files it is there for who lacks some of them.
        self.names[at].is_there |= has_rotated;
    }

    /// Looks whether a log that is gone has left rotated files.
    fn look_for_rest<S: ReadStore>(&mut self, config: &Config, store: &S) {
        let name = &mut self.names[self.left];
        let patterns = match self.walk {
            None if name.is_log && !name.is_there => {
                let entry = config.families[name.family as usize].entry(&name.path);
                entry.map(|entry| entry.patterns)
            }
            _ => None,
        };
        let walk = self.walk.take().or(patterns.as_ref().map(Walk::new));
        let Some(mut walk) = walk else {
            self.left += 1;
            return;
        };
        for _ in 0..WALKED_AT_ONCE {
            match walk.advance(store) {
                Progress::On => {}
                progress => {
                    name.is_there = progress == Progress::Found;
                    self.left += 1;
                    return;
                }
            }
        }
        self.walk = Some(walk);
    }
}

/// The key of a family, for a person.
pub fn shown(family: &Family) -> String {
    crate::wire::escape::Escaped(&family.key).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inside::fake::Fake;

    struct Rig {
        disk: Fake,
        config: Config,
        families: Families,
        now: Mono,
    }

    impl Rig {
        fn new(text: &str, paths: &[&str]) -> Rig {
            let disk = Fake::new();
            for path in paths {
                disk.write(path, b"x");
            }
            let config = Config::parse(text.as_bytes()).unwrap();
            let families = Families::default();
            let now = Mono::from_ms(10_000);
            let mut rig = Rig {
                disk,
                config,
                families,
                now,
            };
            rig.look(0);
            rig
        }

        fn look(&mut self, after_ms: u64) -> Change {
            self.look_while(after_ms, &|_| false)
        }

        fn look_while(&mut self, after_ms: u64, is_busy: &dyn Fn(u32) -> bool) -> Change {
            self.now = self.now.plus_ms(after_ms);
            let (families, now) = (&mut self.families, self.now);
            families.look_at(now);
            while !families.work(&self.config, &self.disk, now) {}
            families.enter(&mut self.config, now, is_busy)
        }

        /// What there is, by place.
        fn logs(&self) -> Vec<&str> {
            let members = &self.config.files[self.config.exact()..];
            members.iter().map(|it| it.path.to_str().unwrap()).collect()
        }
    }

    #[test]
    fn a_rotated_file_of_another_log_is_no_log() {
        let text = "$files{'/v/*'} = '%p.*[0-9]'; $files{'/v/exact'} = '/v/e-*'; $series{'/s'} = '/v/s-*';";
        let rig = Rig::new(
            text,
            &[
                "/v/a",
                "/v/a.1",
                "/v/a.2.gz",
                "/v/b.1",
                "/v/exact",
                "/v/e-1",
                "/v/s-1",
                "/v/s-2",
                "/v/.h",
            ],
        );
        assert_eq!(rig.logs(), ["/v/a", "/v/b.1"]);
        assert!(rig.config.index_of("/v/a".as_ref()).is_some());
    }

    #[test]
    fn what_becomes_a_rotated_file_is_a_log_no_more() {
        let mut rig = Rig::new("$files{'/v/*'} = '%p.*[0-9]';", &["/v/b.1"]);
        assert_eq!(rig.logs(), ["/v/b.1"]);
        rig.disk.write("/v/b", b"x");
        rig.look(1_000);
        rig.look(1_000);
        let change = rig.look(20_000);
        assert_eq!(change.removed.len(), 1);
        assert_eq!(rig.logs(), ["", "/v/b"]);
    }

    #[test]
    fn one_that_is_gone_stays_for_its_rotated_files_and_its_clients() {
        let mut rig = Rig::new(
            "$files{'/v/*.log'} = '%p.*[0-9]';",
            &["/v/a.log", "/v/a.log.1"],
        );
        rig.disk.remove("/v/a.log");
        rig.look(60_000);
        assert!(rig.config.members.list[0].gone_at.is_none());
        rig.disk.remove("/v/a.log.1");
        let before = rig.config.members.version;
        rig.look(1_000);
        assert_eq!(rig.config.members.version, before, "it may come again");
        assert!(rig.look(1_000).is_told);
        assert_eq!(rig.config.members.removed, rig.config.members.version);
        assert!(rig.look_while(60_000, &|_| true).removed.is_empty());
        assert_eq!(rig.look(1_000).removed, [0]);
        assert!(rig.config.index_of("/v/a.log".as_ref()).is_none());
        // Its place is the next one's.
        rig.disk.write("/v/b.log", b"x");
        assert_eq!(rig.look(1_000).added, [0]);
    }

    #[test]
    fn one_that_comes_again_is_told_anew_and_keeps_its_place() {
        let mut rig = Rig::new("$files{'/v/*.log'} = '%p.1';", &["/v/a.log"]);
        rig.disk.remove("/v/a.log");
        rig.look(1_000);
        rig.look(1_000);
        let member = rig.config.members.list[0];
        assert!(member.is_leaving);
        rig.disk.write("/v/a.log", b"x");
        let change = rig.look(1_000);
        assert!(change.added.is_empty() && change.is_told);
        assert!(rig.config.members.list[0].since > member.since);
    }

    #[test]
    fn there_is_an_end_to_how_many_there_are_and_it_is_told_once() {
        let paths: Vec<String> = (0..300).map(|n| format!("/v/{n:03}.log")).collect();
        let paths: Vec<&str> = paths.iter().map(|path| &**path).collect();
        let mut rig = Rig::new("$files{'/v/*.log'} = '%p.1';", &paths);
        assert_eq!(rig.logs().len(), MEMBERS_MAX);
        assert!(rig.look(1_000).troubles.is_empty());
        let mut config = rig.config.clone();
        config.members = Default::default();
        config.files.clear();
        let change = Families::default().settle(&mut config, &rig.disk, rig.now);
        assert_eq!(change.troubles.len(), 1);
    }

    #[test]
    fn a_new_configuration_keeps_the_logs_of_the_keys_that_stay() {
        let rig = Rig::new(
            "$files{'/v/*'} = '%p.1'; $files{'/w/*'} = '%p.1';",
            &["/v/a", "/w/b"],
        );
        let mut config = Config::parse(b"$files{'/w/*'} = '%p.1'; $files{'/x'} = '';").unwrap();
        config.inherit(&rig.config);
        assert!(config.index_of("/v/a".as_ref()).is_none());
        assert!(config.index_of("/w/b".as_ref()).is_some());
        assert!(config.members.removed > rig.config.members.version);
    }
}
