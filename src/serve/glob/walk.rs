//! The walk from patterns to paths, through the directories, in as many parts as the caller likes.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::{Pattern, Patterns, Step, matches, uncompressed};
use crate::limits::{FAMILY_DIRS_MAX, GLOB_ENTRIES_MAX, GLOB_PATH_MAX_LEN, GLOB_WAITING_LEN};
use crate::store::{Names, ReadStore};

/// A walk under way. The order of what it finds is the directories' own; a path that two patterns
/// find comes twice.
pub struct Walk {
    patterns: Box<[Pattern]>,
    /// The pattern that is being walked.
    at: usize,
    /// What is still to be done for it; the last comes first.
    todo: Vec<Todo>,
    found: PathBuf,
    entries_left: usize,
    /// Bytes of names of directories that have still to be entered.
    waiting_len: usize,
    /// The first error worth telling.
    trouble: Option<io::Error>,
    /// The directories in which it has looked, if they are wanted.
    dirs: Option<Vec<PathBuf>>,
}

/// The result of one part of a walk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// [`Walk::found`] leads to something that was not told before.
    Found,
    /// Nothing to tell.
    On,
    /// That was all.
    Over,
}

/// A glob that met more directory entries, or more directories, than are looked at. It travels
/// inside an [`io::Error`].
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

/// One thing to do: what a pattern has from its step `step` on, in the directory `here`.
struct Todo {
    here: Rc<[u8]>,
    step: usize,
    how: How,
}

enum How {
    /// Find what the step leads to.
    Begin,
    /// Find that with the ending of gzip behind its name.
    Archive,
    /// Compare the names in the directory with the step, which is wild; names of directories are
    /// gathered.
    Compare(Names, Vec<OsString>),
    /// Take the next step in each of these directories.
    Enter(std::vec::IntoIter<OsString>),
}

impl Walk {
    /// A walk that begins.
    pub fn new(patterns: &Patterns) -> Walk {
        Walk::through(patterns.list())
    }

    pub(super) fn through(patterns: Box<[Pattern]>) -> Walk {
        Walk {
            patterns,
            at: 0,
            todo: vec![Todo::at_the_root()],
            found: PathBuf::new(),
            entries_left: GLOB_ENTRIES_MAX,
            waiting_len: 0,
            trouble: None,
            dirs: None,
        }
    }

    /// One that remembers in which directories it has looked for names, of some of them.
    pub fn telling_dirs(mut self) -> Walk {
        self.dirs = Some(Vec::new());
        self
    }

    /// These directories.
    pub fn take_dirs(&mut self) -> Vec<PathBuf> {
        self.dirs.take().unwrap_or_default()
    }

    fn note_dir(&mut self, dir: &Path) {
        if let Some(dirs) = self
            .dirs
            .as_mut()
            .filter(|dirs| dirs.len() < FAMILY_DIRS_MAX)
        {
            dirs.push(dir.to_path_buf());
        }
    }

    /// Begins this walk once more.
    pub fn restart(&mut self) {
        *self = Walk::through(std::mem::take(&mut self.patterns));
    }

    /// Takes one step: an entry of a directory, or a look at one path.
    #[inline(never)]
    pub fn advance<S: ReadStore>(&mut self, store: &S) -> Progress {
        // Each part takes one thing off the stack, and puts back what is left of it: a directory of
        // thousands of names must not keep the other clients waiting.
        let Some(pattern) = self.patterns.get(self.at) else {
            return Progress::Over;
        };
        let Some(Todo { here, step, how }) = self.todo.pop() else {
            self.at += 1;
            self.todo.push(Todo::at_the_root());
            return Progress::On;
        };
        let is_last = step + 1 >= pattern.steps.len();
        match (how, pattern.steps.get(step)) {
            (How::Begin, Some(Step::Literal(name))) => match child(&here, name) {
                // The last step is looked at, since nobody has seen that name yet. One in between
                // is not: the next step finds out whether it is there.
                Some(path) if is_last => {
                    let how = How::Archive;
                    self.todo.push(Todo { here, step, how });
                    self.look_at(path, store)
                }
                path => self.begin(path, step + 1),
            },
            (How::Archive, Some(Step::Literal(name))) => {
                match child(&here, &[name, &b".gz"[..]].concat()) {
                    Some(path) => self.look_at(path, store),
                    None => Progress::On,
                }
            }
            (How::Begin, Some(Step::Wild(_))) => self.open(here, step, store),
            (How::Compare(mut names, matched), Some(Step::Wild(pattern))) => match names.next() {
                Some(Ok(name)) => {
                    // A rotator may compress what it has named.
                    let before = uncompressed(name.as_bytes()).filter(|_| is_last);
                    let is_match = matches(pattern, name.as_bytes())
                        || before.is_some_and(|name| matches(pattern, name));
                    let how = How::Compare(names, matched);
                    self.todo.push(Todo { here, step, how });
                    self.take_in(name, is_match, is_last)
                }
                // All names are compared before the first directory is entered, so that only one
                // directory is open at a time.
                end => {
                    let how = How::Enter(matched.into_iter());
                    self.todo.push(Todo { here, step, how });
                    match end {
                        Some(Err(error)) => self.note(error),
                        _ => Progress::On,
                    }
                }
            },
            (How::Enter(mut names), _) => {
                let Some(name) = names.next() else {
                    return Progress::On;
                };
                // It waits no longer.
                self.waiting_len -= waiting_len(&name);
                let path = child(&here, name.as_bytes());
                let how = How::Enter(names);
                self.todo.push(Todo { here, step, how });
                self.begin(path, step + 1)
            }
            _ => Progress::On,
        }
    }

    /// The path that was found last.
    pub fn found(&self) -> &Path {
        &self.found
    }

    /// How the walk ended, once it is over.
    ///
    /// A directory that is missing, is no directory or may not be read contributes nothing. Any
    /// other error does not end the walk either: everything that can be found is told, then the
    /// first such error is returned, so that the caller knows that something may be missing. It is
    /// [`TooMuch`] where a limit cut the walk short.
    pub fn end(&mut self) -> io::Result<()> {
        self.trouble.take().map_or(Ok(()), Err)
    }

    /// Goes on with a step below `path`. A path too long for any system call leads nowhere.
    fn begin(&mut self, path: Option<Vec<u8>>, step: usize) -> Progress {
        if let Some(path) = path {
            let (here, how) = (path.into(), How::Begin);
            self.todo.push(Todo { here, step, how });
        }
        Progress::On
    }

    fn look_at<S: ReadStore>(&mut self, path: Vec<u8>, store: &S) -> Progress {
        self.found = PathBuf::from(OsString::from_vec(path));
        if self.dirs.is_some()
            && let Some(dir) = self.found.parent().map(Path::to_path_buf)
        {
            self.note_dir(&dir);
        }
        match store.stat_path(&self.found) {
            // What it is, is for the caller to ask; here it only has to be there.
            Ok(_) => Progress::Found,
            Err(error) => self.note(error),
        }
    }

    fn open<S: ReadStore>(&mut self, here: Rc<[u8]>, step: usize, store: &S) -> Progress {
        // The root has an empty path here, so that a slash can be put before every name.
        let dir = if here.is_empty() { b"/" } else { &*here };
        let dir = Path::new(OsStr::from_bytes(dir));
        self.note_dir(dir);
        match store.names(dir) {
            Ok(names) => {
                let how = How::Compare(names, Vec::new());
                self.todo.push(Todo { here, step, how });
                Progress::On
            }
            Err(error) => self.note(error),
        }
    }

    /// Takes in a name of the directory that is on top of what is to be done.
    fn take_in(&mut self, name: OsString, is_match: bool, is_last: bool) -> Progress {
        // Names that do not match cost as much to read as those that do.
        let Some(entries_left) = self.entries_left.checked_sub(1) else {
            return self.give_up();
        };
        self.entries_left = entries_left;
        // `advance` has just put the directory back there.
        let Some(Todo { here, how, .. }) = self.todo.last_mut().filter(|_| is_match) else {
            return Progress::On;
        };
        if is_last {
            let Some(path) = child(here, name.as_bytes()) else {
                return Progress::On;
            };
            self.found = PathBuf::from(OsString::from_vec(path));
            return Progress::Found;
        }
        // Counted in bytes, because it bounds memory: a pattern like `/*/*/*/x` could gather all
        // directories of a disk.
        self.waiting_len += waiting_len(&name);
        if self.waiting_len > GLOB_WAITING_LEN {
            return self.give_up();
        }
        if let How::Compare(_, matched) = how {
            matched.push(name);
        }
        Progress::On
    }

    /// A limit is reached: what has been found has to do.
    fn give_up(&mut self) -> Progress {
        self.at = self.patterns.len();
        self.todo.clear();
        self.trouble
            .get_or_insert_with(|| io::Error::other(TooMuch));
        Progress::Over
    }

    /// Keeps the first error that says more than "nothing there".
    pub fn note(&mut self, error: io::Error) -> Progress {
        use io::ErrorKind::{InvalidFilename, NotADirectory, NotFound, PermissionDenied};
        // Such a path simply holds no rotated file: a glob with braces names many that need not be
        // there.
        if !matches!(
            error.kind(),
            NotFound | NotADirectory | PermissionDenied | InvalidFilename
        ) {
            self.trouble.get_or_insert(error);
        }
        Progress::On
    }
}

impl Todo {
    fn at_the_root() -> Todo {
        Todo {
            here: Rc::default(),
            step: 0,
            how: How::Begin,
        }
    }
}

/// The path of a name in a directory; `None` if it is too long. The root is empty.
fn child(dir: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    let path = [dir, b"/", name].concat();
    // Linux takes paths of 4096 bytes with the NUL at their end.
    (path.len() <= GLOB_PATH_MAX_LEN).then_some(path)
}

/// The room that a name takes among those that wait.
fn waiting_len(name: &OsStr) -> usize {
    name.len() + 1
}
