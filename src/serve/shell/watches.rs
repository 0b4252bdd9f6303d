//! The watches on the served logs, which tell of changes: one on each live file and one on its
//! directory.
//!
//! A hint for speed, never the truth: what is missed here is found at the next check.

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use mio::unix::SourceFd;
use mio::{Interest, Registry};

use super::WATCHES;
use super::rows::{Row, Rows};
use crate::limits::WATCHES_PER_FILE_MAX;
use crate::reactor::token::Token;
use crate::report::Report;
use crate::serve::config::FileEntry;
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
    /// How often the name was given to something since then; `None` where that is not known.
    arrivals: Option<u32>,
    /// It was taken from something since then.
    has_departed: bool,
}

impl State {
    const NEW: State = State {
        deaf: false,
        changed: false,
        renamed: false,
        arrivals: Some(0),
        has_departed: false,
    };
}

/// What the last drain told of the name of a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Name {
    /// Nothing.
    Kept,
    /// It was given to something so often.
    Given {
        /// How often.
        times: u32,
        /// It was taken from what had it before; if not, that was overwritten.
        has_departed: bool,
    },
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
        })
    }

    /// Watches the directory that a file is in. `None` if that cannot be had; else whether all that
    /// happened there was told since this was asked before.
    pub fn attend(&mut self, file: u32, files: &[FileEntry], report: &mut Report) -> Option<bool> {
        let dir = files.get(file as usize)?.path.parent()?;
        self.states.resize(files.len(), State::NEW);
        let is_new = self.watch(file, dir, Watch::Directory, report);
        let watches = self
            .by_file
            .between([file, DIRECTORY, 0], [file, DIRECTORY, u32::MAX]);
        (!watches.is_empty()).then_some(!is_new)
    }

    /// What the last drain told of the name of a file.
    pub fn name_of(&self, file: u32) -> Name {
        match self.states.get(file as usize) {
            Some(state) if !state.changed => Name::Kept,
            Some(State { arrivals: None, .. }) | None => Name::Unsure,
            Some(State { renamed: false, .. }) => Name::Kept,
            Some(State {
                arrivals: Some(times),
                has_departed,
                ..
            }) => Name::Given {
                times: *times,
                has_departed: *has_departed,
            },
        }
    }

    /// Watches what stands at a file's path now, and the directory it is in; either may be another
    /// than last time, for instance where a link on the way was turned elsewhere. Tells whether
    /// anything of it was not watched already.
    pub fn add(&mut self, file: u32, files: &[FileEntry], report: &mut Report) -> bool {
        let Some(entry) = files.get(file as usize) else {
            return false;
        };
        self.states.resize(files.len(), State::NEW);
        self.states[file as usize].deaf = false;
        let dir_is_new = entry
            .path
            .parent()
            .is_some_and(|dir| self.watch(file, dir, Watch::Directory, report));
        self.watch(file, &entry.path, Watch::File, report) || dir_is_new
    }

    /// Whether changes of a file that was added will be told, as far as the system promises that.
    pub fn tells(&self, file: u32) -> bool {
        self.states.get(file as usize).is_some_and(|it| !it.deaf)
    }

    /// Ends all watches.
    pub fn clear(&mut self) {
        for watch in self.by_watch.all().chunk_by(|a, b| a[0] == b[0]) {
            let _ = self.inotify.unwatch(WatchId::from_number(watch[0][0]));
        }
        self.by_watch.clear();
        self.by_file.clear();
        self.states.clear();
        self.changed.clear();
    }

    /// Takes in all that was told since the last call, and tells which files it is about, each
    /// once.
    pub fn drain(&mut self, files: &[FileEntry], report: &mut Report, buf: &mut [u8]) -> &[u32] {
        for file in self.changed.drain(..) {
            if let Some(state) = self.states.get_mut(file as usize) {
                (state.changed, state.renamed) = (false, false);
                (state.arrivals, state.has_departed) = (Some(0), false);
            }
        }
        self.states.resize(files.len(), State::NEW);
        let Watches {
            inotify,
            by_watch,
            by_file,
            states,
            changed,
        } = self;
        let mut note = |file: u32, what: What| {
            if let Some(state) = states.get_mut(file as usize) {
                if !std::mem::replace(&mut state.changed, true) {
                    changed.push(file);
                }
                state.renamed |= what != What::Changed;
                match what {
                    What::Arrived => state.arrivals = state.arrivals.map(|times| times + 1),
                    What::Unsure => state.arrivals = None,
                    What::Departed => state.has_departed = true,
                    What::Changed | What::Renamed => {}
                }
            }
        };
        let result = inotify.read_events(buf, &mut |event| {
            let Some(id) = event.id else {
                // Too much happened to be told in single events.
                by_file
                    .all()
                    .iter()
                    .for_each(|row| note(row[0], What::Unsure));
                return;
            };
            let about = by_watch.of(id.number());
            concerned(about, &event, files, &mut note);
            if event.gone {
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
        for at in 0..self.changed.len() {
            let file = self.changed[at];
            let is_renamed = self.states.get(file as usize).is_some_and(|it| it.renamed);
            if let Some(entry) = files.get(file as usize).filter(|_| is_renamed) {
                self.watch(file, &entry.path, Watch::File, report);
            }
        }
        &self.changed
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
            if self.by_watch.of(oldest).is_empty() {
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
    /// Its name was taken from what had it.
    Departed,
    /// Its name was given to something.
    Arrived,
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
    let live_name = |file: u32| {
        let path = files.get(file as usize)?.path.as_os_str().as_bytes();
        path.rsplit(|byte| *byte == b'/').next()
    };
    let is_named = |file: u32| live_name(file) == Some(name);
    let is_near = |file: u32| live_name(file).is_some_and(|live| name.starts_with(live));
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
                    DIRECTORY if any_named && event.arrived => What::Arrived,
                    DIRECTORY if any_named && event.departed => What::Departed,
                    DIRECTORY if any_named || name.is_empty() => What::Renamed,
                    _ => What::Changed,
                },
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::serve::glob::Patterns;

    fn told(rows: &[Row], names: &[&str], name: &str) -> Vec<(u32, What)> {
        let files: Vec<FileEntry> = names
            .iter()
            .map(|name| FileEntry {
                path: PathBuf::from("/log").join(name),
                patterns: Patterns::parse(b"").unwrap(),
            })
            .collect();
        let mut told = Vec::new();
        let mut note = |file, what| told.push((file, what));
        let event = Event {
            id: None,
            name: name.as_bytes(),
            arrived: true,
            departed: false,
            gone: false,
        };
        concerned(rows, &event, &files, &mut note);
        told
    }

    #[test]
    fn a_name_concerns_the_logs_that_it_may_be_of() {
        let rows = [0, 1, 2].map(|file| [1, file, DIRECTORY]);
        let told = |name: &str| told(&rows, &["m", "m1", "x"], name);
        assert_eq!(told("m1"), [(1, What::Arrived)]);
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
