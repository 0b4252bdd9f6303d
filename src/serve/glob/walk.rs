//! From patterns to paths, through the directories. Nothing is allocated but the error [`TooMuch`]: the path being
//! walked, the path found and the names of directories still to be entered stand in fixed buffers.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::component::matches;
use super::{Pattern, Step};
use crate::limits::{GLOB_ENTRIES_MAX, GLOB_PATH_MAX_LEN, GLOB_WAITING_LEN};
use crate::store::ReadStore;

/// A glob that met more directory entries, or more directories, than are looked at. It travels inside an
/// [`io::Error`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooMuch;

impl fmt::Display for TooMuch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the glob meets more than {GLOB_ENTRIES_MAX} directory entries or {GLOB_WAITING_LEN} bytes of directory \
             names; make it narrower"
        )
    }
}

impl std::error::Error for TooMuch {}

/// See [`Patterns::for_each_match`](super::Patterns::for_each_match).
pub(super) fn walk<S: ReadStore>(
    patterns: &[Pattern],
    store: &S,
    each: &mut dyn FnMut(&Path) -> bool,
) -> io::Result<()> {
    let mut walk = Walk {
        store,
        each,
        here: PathBytes::new(),
        found: PathBytes::new(),
        waiting: heapless::Vec::new(),
        entries_left: GLOB_ENTRIES_MAX,
        trouble: None,
    };
    for pattern in patterns {
        if walk.take(&pattern.steps).is_break() {
            break;
        }
    }
    walk.trouble.map_or(Ok(()), Err)
}

type PathBytes = heapless::Vec<u8, GLOB_PATH_MAX_LEN>;

struct Walk<'w, S> {
    store: &'w S,
    each: &'w mut dyn FnMut(&Path) -> bool,
    /// The directory that is walked, without the slash behind it; empty at the root.
    here: PathBytes,
    /// The path that is told to the caller, while `here` is being listed.
    found: PathBytes,
    /// The names, each with a NUL behind it, of directories that matched and have not been entered yet: a stack of
    /// such lists, one for each wild component on the way to `here`.
    waiting: heapless::Vec<u8, GLOB_WAITING_LEN>,
    entries_left: usize,
    /// The first error worth telling.
    trouble: Option<io::Error>,
}

/// `Break` ends the whole walk: the caller has enough, or a limit is reached.
type Flow = ControlFlow<()>;

impl<S: ReadStore> Walk<'_, S> {
    /// Finds what the steps lead to from `here`.
    fn take(&mut self, steps: &[Step]) -> Flow {
        match steps {
            [] => Flow::Continue(()),
            [Step::Literal(name)] => self.within(name, |walk| walk.report_here()),
            [Step::Literal(name), rest @ ..] => self.within(name, |walk| walk.take(rest)),
            [Step::Wild(pattern)] => self.report_matches(pattern),
            [Step::Wild(pattern), rest @ ..] => self.enter_matches(pattern, rest),
        }
    }

    /// Does something one name further down. A path too long for any system call leads nowhere.
    fn within(&mut self, name: &[u8], act: impl FnOnce(&mut Self) -> Flow) -> Flow {
        let len = self.here.len();
        let flow = if append(&mut self.here, name) {
            act(self)
        } else {
            Flow::Continue(())
        };
        self.here.truncate(len);
        flow
    }

    fn report_here(&mut self) -> Flow {
        let path = as_path(&self.here);
        match self.store.stat_path(path) {
            Ok(_) if !(self.each)(path) => Flow::Break(()),
            Ok(_) => Flow::Continue(()),
            Err(error) => self.note(error),
        }
    }

    fn report_matches(&mut self, pattern: &[u8]) -> Flow {
        // Both have the same room, so this fits.
        self.found.clear();
        let _ = self.found.extend_from_slice(&self.here);
        let stem = self.found.len();
        let mut flow = Flow::Continue(());
        let mut full = false;
        let listed = self.store.list(directory(&self.here), &mut |name| {
            full = !take_one(&mut self.entries_left);
            if full {
                return false;
            }
            self.found.truncate(stem);
            if matches(pattern, name)
                && append(&mut self.found, name)
                && !(self.each)(as_path(&self.found))
            {
                flow = Flow::Break(());
            }
            flow.is_continue()
        });
        self.conclude(listed, full)?;
        flow
    }

    fn enter_matches(&mut self, pattern: &[u8], rest: &[Step]) -> Flow {
        let start = self.waiting.len();
        let mut full = false;
        let listed = self.store.list(directory(&self.here), &mut |name| {
            full = !take_one(&mut self.entries_left)
                || (matches(pattern, name) && !put(&mut self.waiting, name));
            !full
        });
        self.conclude(listed, full)?;
        let mut at = start;
        while let Some(name) = name_at(&self.waiting, at) {
            at = at.saturating_add(name.len()).saturating_add(1);
            let len = self.here.len();
            if append(&mut self.here, name) {
                self.take(rest)?;
            }
            self.here.truncate(len);
        }
        self.waiting.truncate(start);
        Flow::Continue(())
    }

    /// Judges how listing a directory ended.
    fn conclude(&mut self, listed: io::Result<()>, full: bool) -> Flow {
        if full {
            self.trouble
                .get_or_insert_with(|| io::Error::other(TooMuch));
            return Flow::Break(());
        }
        match listed {
            Ok(()) => Flow::Continue(()),
            Err(error) => self.note(error),
        }
    }

    /// Keeps the first error that says more than "nothing there".
    fn note(&mut self, error: io::Error) -> Flow {
        if !is_nothing_there(&error) {
            self.trouble.get_or_insert(error);
        }
        Flow::Continue(())
    }
}

/// Whether an error says no more than that there is nothing, or nothing for us.
pub fn is_nothing_there(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidFilename, NotADirectory, NotFound, PermissionDenied};
    matches!(
        error.kind(),
        NotFound | NotADirectory | PermissionDenied | InvalidFilename
    )
}

fn as_path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

fn directory(here: &[u8]) -> &Path {
    as_path(if here.is_empty() { b"/" } else { here })
}

/// Puts a slash and a name behind a path; `false`, and the path as it was, if there is no room.
fn append(path: &mut PathBytes, name: &[u8]) -> bool {
    let len = path.len();
    let fits = path.push(b'/').is_ok() && path.extend_from_slice(name).is_ok();
    if !fits {
        path.truncate(len);
    }
    fits
}

/// Puts a name and its NUL on the list; `false` if there is no room.
fn put(waiting: &mut heapless::Vec<u8, GLOB_WAITING_LEN>, name: &[u8]) -> bool {
    waiting.extend_from_slice(name).is_ok() && waiting.push(0).is_ok()
}

/// The name that begins at `at`; `None` behind the last one.
fn name_at(waiting: &[u8], at: usize) -> Option<&[u8]> {
    waiting
        .get(at..)?
        .split_inclusive(|&byte| byte == 0)
        .next()?
        .strip_suffix(&[0])
}

/// Counts one down; `false` if there was none left.
fn take_one(left: &mut usize) -> bool {
    match left.checked_sub(1) {
        Some(fewer) => {
            *left = fewer;
            true
        }
        None => false,
    }
}
