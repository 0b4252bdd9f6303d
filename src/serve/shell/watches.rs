//! The watches on the served logs, which tell of changes: one on each live file and one on its
//! directory.
//!
//! A hint for speed, never the truth: what is missed here is found at the next check.

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use mio::unix::SourceFd;
use mio::{Interest, Registry};

use super::WATCHES;
use super::rows::{Row, Rows};
use crate::limits::{FAMILY_DIRS_MAX, WATCHES_PER_FILE_MAX};
use crate::reactor::token::Token;
use crate::report::Report;
use crate::serve::config::FileEntry;
use crate::serve::find::journal::Journal;
use crate::serve::find::journal::arrivals::Trail;
use crate::sys::inotify::{Event, Inotify, Watch, WatchId};

/// All watches of the server.
pub struct Watches {
    inotify: Inotify,
    /// Watch, file, what: what each watch is about. Files of one directory share its watch.
    by_watch: Rows,
    /// The same as file, what, watch. The kernel counts upwards, so the oldest comes first.
    by_file: Rows,
    states: Vec<State>,
    /// What the last drain told of.
    changed: Vec<u32>,
    /// The same of names, in order: for each file whose name was given to something or taken.
    trails: Vec<(u32, Trail)>,
    /// The same of names that the globs of a series find.
    names: Vec<Named>,
    /// The watches on directories from which logs of families come.
    nurseries: Vec<u32>,
    /// A name came or went there.
    is_family_told: bool,
}

/// A name that the globs of a series find.
pub struct Named {
    /// The number of the series.
    pub file: u32,
    /// The name.
    pub name: Vec<u8>,
    /// It was given to something; else it was taken.
    pub is_there: bool,
}

/// What is known of a file.
#[derive(Clone, Copy)]
struct State {
    /// A watch could not be had: changes may go untold.
    deaf: bool,
    /// It changed since the last drain began.
    changed: bool,
    /// Something else may have its name since then.
    renamed: bool,
    /// What happened to the name since then was not told.
    unsure: bool,
    /// Each of its files has a name of its own.
    is_series: bool,
}

impl State {
    const NEW: State = State {
        deaf: false,
        changed: false,
        renamed: false,
        unsure: false,
        is_series: false,
    };
}

/// What the last drain told of the name of a log.
pub enum Name<'a> {
    /// Nothing.
    Kept,
    /// It was given to something, or taken.
    Given(&'a Trail),
    /// Not all was told.
    Unsure,
}

impl Watches {
    /// Nothing watched yet.
    pub fn new(registry: &Registry) -> io::Result<Watches> {
        let inotify = Inotify::new()?;
        let token = Token {
            kind: WATCHES,
            index: 0,
            life: 0,
        };
        let fd = inotify.as_raw_fd();
        registry.register(&mut SourceFd(&fd), token.pack(), Interest::READABLE)?;
        Ok(Watches {
            inotify,
            by_watch: Rows::default(),
            by_file: Rows::default(),
            states: Vec::new(),
            changed: Vec::new(),
            trails: Vec::new(),
            names: Vec::new(),
            nurseries: Vec::new(),
            is_family_told: false,
        })
    }

    /// Watches the directory that a file is in, or those in which the files of a series come.
    /// `None` if that cannot be had; else whether all that happened there was told since this was
    /// asked before.
    pub fn attend(
        &mut self,
        file: u32,
        files: &[FileEntry],
        journal: &Journal,
        report: &mut Report,
    ) -> Option<bool> {
        let entry = files.get(file as usize)?;
        self.states.resize(files.len(), State::NEW);
        self.states[file as usize].is_series = journal.is_series(file);
        let mut is_new = false;
        for dir in dirs_of(file, entry, journal) {
            is_new |= self.watch(file, &dir, Watch::Directory, report);
        }
        let watches = self
            .by_file
            .between([file, DIRECTORY, 0], [file, DIRECTORY, u32::MAX]);
        let is_attended = (!watches.is_empty()).then_some(!is_new);
        // What is made below is told by nobody before it is watched, too.
        if let Some(dir) = journal.live_path(file, entry).parent() {
            self.watch(file, dir, Watch::Directory, report);
        }
        is_attended
    }

    /// Names that came to the directories of series, or went from there, in that order.
    pub fn take_names(&mut self) -> Vec<Named> {
        std::mem::take(&mut self.names)
    }

    /// What was told of the name of a file since [`forget`](Self::forget).
    pub fn name_of(&self, file: u32) -> Name<'_> {
        let is_unsure = |state: &State| state.unsure;
        if self.states.get(file as usize).is_none_or(is_unsure) {
            return Name::Unsure;
        }
        match self.trails.iter().find(|(of, _)| *of == file) {
            Some((_, trail)) => Name::Given(trail),
            None => Name::Kept,
        }
    }

    /// Watches what stands at a file's path now, and the directory it is in; either may be another
    /// than last time, for instance where a link on the way was turned elsewhere. Tells whether
    /// anything of it was not watched already.
    pub fn add(
        &mut self,
        file: u32,
        files: &[FileEntry],
        journal: &Journal,
        report: &mut Report,
    ) -> bool {
        let Some(entry) = files.get(file as usize) else {
            return false;
        };
        self.states.resize(files.len(), State::NEW);
        self.states[file as usize].deaf = false;
        let live = journal.live_path(file, entry);
        let dir_is_new = live
            .parent()
            .is_some_and(|dir| self.watch(file, dir, Watch::Directory, report));
        self.watch(file, &live, Watch::File, report) || dir_is_new
    }

    /// Whether changes of a file that was added will be told, as far as the system promises that.
    pub fn tells(&self, file: u32) -> bool {
        self.states.get(file as usize).is_some_and(|it| !it.deaf)
    }

    /// Watches the directories from which logs of families come, or that above one which is not
    /// there yet. Tells whether all that comes will be told.
    pub fn attend_families(&mut self, dirs: &[PathBuf]) -> bool {
        let mut is_all = dirs.len() < FAMILY_DIRS_MAX;
        let mut nurseries = Vec::new();
        for dir in dirs {
            let watched =
                (dir.ancestors()).find_map(|dir| match self.inotify.watch(dir, Watch::Directory) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                    watched => Some(watched),
                });
            match watched {
                Some(Ok(id)) if nurseries.contains(&id.number()) => {}
                Some(Ok(id)) => nurseries.push(id.number()),
                _ => is_all = false,
            }
        }
        for watch in std::mem::replace(&mut self.nurseries, nurseries) {
            if !self.nurseries.contains(&watch) && self.by_watch.of(watch).is_empty() {
                let _ = self.inotify.unwatch(WatchId::from_number(watch));
            }
        }
        is_all
    }

    /// Whether a name came or went there since the last call.
    pub fn take_family_told(&mut self) -> bool {
        std::mem::take(&mut self.is_family_told)
    }

    /// A log is none any more: another one may have its number.
    pub fn leave(&mut self, file: u32) {
        while let Some(&[_, what, watch]) = self.by_file.of(file).first() {
            self.by_file.remove([file, what, watch]);
            self.by_watch.remove([watch, file, what]);
            if self.by_watch.of(watch).is_empty() && !self.nurseries.contains(&watch) {
                let _ = self.inotify.unwatch(WatchId::from_number(watch));
            }
        }
        self.trails.retain(|(of, _)| *of != file);
        self.names.retain(|named| named.file != file);
    }

    /// Ends all watches.
    pub fn clear(&mut self) {
        for watch in self.by_watch.all().chunk_by(|a, b| a[0] == b[0]) {
            let _ = self.inotify.unwatch(WatchId::from_number(watch[0][0]));
        }
        for watch in self.nurseries.drain(..) {
            let _ = self.inotify.unwatch(WatchId::from_number(watch));
        }
        self.by_watch.clear();
        self.by_file.clear();
        self.states.clear();
        self.changed.clear();
        self.trails.clear();
        self.names.clear();
    }

    /// Forgets what was told so far.
    pub fn forget(&mut self) {
        for file in self.changed.drain(..) {
            if let Some(state) = self.states.get_mut(file as usize) {
                (state.changed, state.renamed, state.unsure) = (false, false, false);
            }
        }
        self.trails.clear();
    }

    /// The files of which something was told, each once.
    pub fn changed(&self) -> &[u32] {
        &self.changed
    }

    /// Takes in all that was told since the last call. Tells whether a name of a file was in it, or
    /// may have been.
    pub fn drain(&mut self, files: &[FileEntry], report: &mut Report, buf: &mut [u8]) -> bool {
        self.states.resize(files.len(), State::NEW);
        let Watches {
            inotify,
            by_watch,
            by_file,
            states,
            changed,
            trails,
            names,
            nurseries,
            is_family_told,
        } = self;
        let mut is_told = false;
        let series = (0..)
            .zip(states.iter())
            .filter(|(_, state)| state.is_series);
        let series: Vec<u32> = series.map(|(file, _)| file).collect();
        let mut note = |file: u32, what: What| {
            if let Some(state) = states.get_mut(file as usize) {
                if !std::mem::replace(&mut state.changed, true) {
                    changed.push(file);
                }
                state.renamed |= what != What::Changed;
                state.unsure |= what == What::Unsure;
            }
        };
        let result = inotify.read_events(buf, &mut |event| {
            let Some(id) = event.id else {
                is_told = true;
                *is_family_told = true;
                // Too much happened to be told in single events.
                by_file
                    .all()
                    .iter()
                    .for_each(|row| note(row[0], What::Unsure));
                return;
            };
            *is_family_told |=
                nurseries.contains(&id.number()) && (event.arrived || event.departed || event.gone);
            let about = by_watch.of(id.number());
            concerned(about, &event, files, &mut note);
            is_told |= play(about, &event, files, trails);
            let in_dir = |row: &&Row| row[2] == DIRECTORY && series.contains(&row[1]);
            for &[_, file, _] in about.iter().filter(in_dir) {
                if let Some(named) = named(file, &event, files) {
                    names.push(named);
                    note(file, What::Renamed);
                }
            }
            if event.gone {
                nurseries.retain(|watch| *watch != id.number());
                let dirs = about.iter().filter(|row| row[2] == DIRECTORY);
                dirs.for_each(|row| note(row[1], What::Unsure));
                while let Some(&[watch, file, what]) = by_watch.of(id.number()).first() {
                    by_watch.remove([watch, file, what]);
                    by_file.remove([file, what, watch]);
                }
            }
        });
        if let Err(error) = result {
            report.say(format_args!("cannot read what has changed: {error}"));
            by_file
                .all()
                .iter()
                .for_each(|row| note(row[0], What::Unsure));
        }
        is_told
    }

    /// Watches what has the name of a file now, where that was told of.
    pub fn follow_names(&mut self, files: &[FileEntry], journal: &Journal, report: &mut Report) {
        for at in 0..self.changed.len() {
            let file = self.changed[at];
            let is_renamed = self.states.get(file as usize).is_some_and(|it| it.renamed);
            if let Some(entry) = files.get(file as usize).filter(|_| is_renamed) {
                self.watch(file, &journal.live_path(file, entry), Watch::File, report);
            }
        }
    }

    /// Watches what stands at a path now, and tells whether it was not watched already. What stood
    /// there before stays watched, a file for its late writers, but not for ever: the oldest watch
    /// goes first.
    fn watch(&mut self, file: u32, path: &Path, what: Watch, report: &mut Report) -> bool {
        let id = match self.inotify.watch(path, what) {
            Ok(id) => id,
            // The directory tells when it comes.
            Err(error) if error.kind() == io::ErrorKind::NotFound && what == Watch::File => {
                return false;
            }
            Err(error) => {
                self.states[file as usize].deaf = true;
                if error.kind() != io::ErrorKind::NotFound {
                    report.say(format_args!(
                        "changes of {} are noticed only at every check: {error}",
                        path.display()
                    ));
                }
                return false;
            }
        };
        let (id, what) = (id.number(), number_of(what));
        if !self.by_watch.insert([id, file, what]) {
            return false;
        }
        self.by_file.insert([file, what, id]);
        let alike = self
            .by_file
            .between([file, what, 0], [file, what, u32::MAX]);
        if alike.len() > WATCHES_PER_FILE_MAX
            && let Some(&[_, _, oldest]) = alike.first()
        {
            self.by_file.remove([file, what, oldest]);
            self.by_watch.remove([oldest, file, what]);
            if self.by_watch.of(oldest).is_empty() && !self.nurseries.contains(&oldest) {
                let _ = self.inotify.unwatch(WatchId::from_number(oldest));
            }
        }
        true
    }
}

const DIRECTORY: u32 = number_of(Watch::Directory);

const fn number_of(what: Watch) -> u32 {
    what as u32
}

/// What an event says of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum What {
    /// It may have changed.
    Changed,
    /// Something else may have its name, or nothing.
    Renamed,
    /// What happened was not told.
    Unsure,
}

/// Calls `note` with each file that an event concerns, and what it says of it. `about` are the rows
/// of the watch. A name in a directory is that of one log, or else
/// begins with it as names of rotated files mostly do, or else may be of any.
fn concerned(
    about: &[Row],
    event: &Event<'_>,
    files: &[FileEntry],
    note: &mut dyn FnMut(u32, What),
) {
    let name = event.name;
    let is_named = |file: u32| live_name(file, files) == Some(name);
    let is_near = |file: u32| live_name(file, files).is_some_and(|live| name.starts_with(live));
    let in_dir = || about.iter().filter(|row| row[2] == DIRECTORY);
    let any_named = in_dir().any(|row| is_named(row[1]));
    let any_near = any_named || in_dir().any(|row| is_near(row[1]));
    for &[_, file, what] in about {
        let is_it = match what {
            DIRECTORY if any_named => is_named(file),
            DIRECTORY => !any_near || is_near(file),
            _ => true,
        };
        if is_it {
            note(
                file,
                match what {
                    DIRECTORY if any_named || name.is_empty() => What::Renamed,
                    _ => What::Changed,
                },
            );
        }
    }
}

/// Plays an event in a directory again for the files whose names it may be about: the one that has
/// that name, and those of which was told before.
fn play(
    about: &[Row],
    event: &Event<'_>,
    files: &[FileEntry],
    trails: &mut Vec<(u32, Trail)>,
) -> bool {
    if !event.arrived && !event.departed {
        return false;
    }
    let in_dir = |file: u32| {
        let watch = about.first().map_or(0, |row| row[0]);
        about.binary_search(&[watch, file, DIRECTORY]).is_ok()
    };
    let mut dirs = about.iter().filter(|row| row[2] == DIRECTORY);
    if let Some(&[_, file, _]) = dirs.find(|row| live_name(row[1], files) == Some(event.name))
        && !trails.iter().any(|(of, _)| *of == file)
    {
        trails.push((file, Trail::default()));
    }
    let mut is_told = false;
    for (file, trail) in trails.iter_mut().filter(|(file, _)| in_dir(*file)) {
        is_told = true;
        let live = live_name(*file, files).unwrap_or_default();
        match event.arrived {
            true => trail.arrived(live, event.name, event.cookie),
            false => trail.departed(live, event.name, event.cookie),
        }
    }
    is_told
}

/// A name that came or went, if a glob of the series finds it, or it may be a directory on the way.
fn named(file: u32, event: &Event<'_>, files: &[FileEntry]) -> Option<Named> {
    let entry = files.get(file as usize)?;
    let is_of_it = event.arrived || event.departed;
    (is_of_it && entry.patterns.may_find(event.name)).then(|| Named {
        file,
        name: event.name.to_vec(),
        is_there: event.arrived,
    })
}

/// The directories of a log, or those in which the files of a series come.
fn dirs_of(file: u32, entry: &FileEntry, journal: &Journal) -> Vec<PathBuf> {
    match journal.is_series(file) {
        true => entry.patterns.roots(),
        false => entry
            .path
            .parent()
            .map(Path::to_path_buf)
            .into_iter()
            .collect(),
    }
}

fn live_name(file: u32, files: &[FileEntry]) -> Option<&[u8]> {
    let path = files.get(file as usize)?.path.as_os_str().as_bytes();
    path.rsplit(|byte| *byte == b'/').next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::glob::Patterns;

    fn told(rows: &[Row], names: &[&str], name: &str) -> Vec<(u32, What)> {
        let files: Vec<FileEntry> = names
            .iter()
            .map(|name| FileEntry {
                path: PathBuf::from("/log").join(name),
                patterns: Patterns::parse(b"").unwrap(),
                is_series: false,
            })
            .collect();
        let mut told = Vec::new();
        let mut note = |file, what| told.push((file, what));
        let event = Event {
            id: None,
            name: name.as_bytes(),
            arrived: true,
            departed: false,
            cookie: 0,
            gone: false,
        };
        concerned(rows, &event, &files, &mut note);
        told
    }

    #[test]
    fn a_name_concerns_the_logs_that_it_may_be_of() {
        let rows = [0, 1, 2].map(|file| [1, file, DIRECTORY]);
        let told = |name: &str| told(&rows, &["m", "m1", "x"], name);
        assert_eq!(told("m1"), [(1, What::Renamed)]);
        assert_eq!(told("m.1"), [(0, What::Changed)]);
        assert_eq!(told("m1.1"), [(0, What::Changed), (1, What::Changed)]);
        assert_eq!(told("@4000.s"), [0, 1, 2].map(|file| (file, What::Changed)));
    }

    #[test]
    fn a_change_of_a_file_concerns_that_file() {
        let rows = [[1, 1, number_of(Watch::File)]];
        assert_eq!(told(&rows, &["m", "m1"], ""), [(1, What::Changed)]);
    }
}
