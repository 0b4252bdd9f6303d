//! Who tells that a served file has changed: one watch on each live file and one on its directory.
//!
//! A hint for speed, never the truth: what is missed here is found at the next check.

use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

use mio::unix::SourceFd;
use mio::{Interest, Registry};

use super::WATCHES;
use crate::limits::{RENAMED_FILES_MAX, WATCHES_PER_FILE_MAX};
use crate::reactor::token::Token;
use crate::report::Report;
use crate::serve::config::FileEntry;
use crate::sys::inotify::{Inotify, Watch, WatchId};

/// All watches of the server.
pub struct Watches {
    inotify: Inotify,
    /// What each watch is about, oldest first. Files of one directory share its watch.
    rows: Vec<Row>,
    /// By file: whether it changed since the last drain began.
    changed: Vec<bool>,
}

struct Row {
    id: WatchId,
    file: u32,
    what: Watch,
}

impl Watches {
    /// Nothing watched yet.
    pub fn new(registry: &Registry) -> io::Result<Watches> {
        let inotify = Inotify::new()?;
        let token = Token {
            kind: WATCHES,
            index: 0,
            generation: 0,
        };
        let fd = inotify.as_raw_fd();
        registry.register(&mut SourceFd(&fd), token.pack(), Interest::READABLE)?;
        Ok(Watches {
            inotify,
            rows: Vec::new(),
            changed: Vec::new(),
        })
    }

    /// Watches what stands at a file's path now, and the directory it is in; either may be another than last time, for
    /// instance where a link on the way was turned elsewhere. Tells whether anything of it was not watched already.
    pub fn add(&mut self, file: u32, files: &[FileEntry], report: &mut Report) -> bool {
        let Some(entry) = files.get(file as usize) else {
            return false;
        };
        let dir_is_new = entry
            .path
            .parent()
            .is_some_and(|dir| self.watch(file, dir, Watch::Directory, report));
        self.watch(file, &entry.path, Watch::File, report) || dir_is_new
    }

    /// Ends all watches.
    pub fn clear(&mut self) {
        for row in std::mem::take(&mut self.rows) {
            let _ = self.inotify.unwatch(row.id);
        }
        self.changed.clear();
    }

    /// Takes in all that was told since the last call. Afterwards [`has_changed`](Self::has_changed) knows about each
    /// file; the result says whether there is any.
    pub fn drain(&mut self, files: &[FileEntry], report: &mut Report, buf: &mut [u8]) -> bool {
        self.changed.clear();
        self.changed.resize(files.len(), false);
        let mut renamed: heapless::Vec<u32, RENAMED_FILES_MAX> = heapless::Vec::new();
        let (rows, changed) = (&mut self.rows, &mut self.changed);
        let result = self.inotify.read_events(buf, &mut |event| {
            let Some(id) = event.id else {
                // Too much happened to be told in single events.
                changed.fill(true);
                return;
            };
            for row in rows.iter().filter(|row| row.id == id) {
                if let Some(changed) = changed.get_mut(row.file as usize) {
                    *changed = true;
                }
                if row.what == Watch::Directory && !renamed.contains(&row.file) {
                    let _ = renamed.push(row.file);
                }
            }
            if event.gone {
                rows.retain(|row| row.id != id);
            }
        });
        if let Err(error) = result {
            report.say(format_args!("cannot read what has changed: {error}"));
            self.changed.fill(true);
        }
        for file in renamed {
            if let Some(entry) = files.get(file as usize) {
                self.watch(file, &entry.path, Watch::File, report);
            }
        }
        self.changed.contains(&true)
    }

    /// Whether the last drain told of a change of this file or in its directory.
    pub fn has_changed(&self, file: u32) -> bool {
        self.changed.get(file as usize).copied().unwrap_or(false)
    }

    /// Watches what stands at a path now, and tells whether it was not watched already. What stood there before stays
    /// watched, a file for its late writers, but not for ever: the oldest watch goes first.
    fn watch(&mut self, file: u32, path: &Path, what: Watch, report: &mut Report) -> bool {
        let id = match self.inotify.watch(path, what) {
            Ok(id) => id,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return false,
            Err(error) => {
                report.say(format_args!(
                    "changes of {} are noticed only at every check: {error}",
                    path.display()
                ));
                return false;
            }
        };
        if self.rows.iter().any(|row| row.id == id && row.file == file) {
            return false;
        }
        self.rows.push(Row { id, file, what });
        let is_alike = |row: &Row| row.file == file && row.what == what;
        if self.rows.iter().filter(|row| is_alike(row)).count() > WATCHES_PER_FILE_MAX
            && let Some(oldest) = self.rows.iter().position(is_alike)
        {
            let row = self.rows.remove(oldest);
            if !self.rows.iter().any(|other| other.id == row.id) {
                let _ = self.inotify.unwatch(row.id);
            }
        }
        true
    }
}
