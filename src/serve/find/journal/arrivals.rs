//! What the system tells of the names in a directory, played again: which files had the name of a
//! log one after another, and where each of them is now. Pure.

use std::path::Path;

use super::glimpse::Glimpse;
use crate::store::ReadStore;

/// What was told of a log since that was taken in last.
#[derive(Clone, Default)]
pub struct Trail {
    stays: Vec<Stay>,
    /// The name was taken from what had it, and not given to anything since.
    is_vacant: bool,
}

/// A file that was given the name of the log.
#[derive(Clone)]
struct Stay {
    /// Its name now; `None` where that is not known.
    name: Option<Vec<u8>>,
    /// What the system calls the move that took that name from it; 0 for none.
    cookie: u32,
    overwrites: bool,
}

/// A file that was given the name of a log.
pub struct Arrival {
    /// What it is; `None` where nobody knows where it is now.
    pub glimpse: Option<Glimpse>,
    /// It was put in the place of what had the name.
    pub overwrites: bool,
}

impl Trail {
    /// A name in the directory of the log named `live` was given to something: by the move with
    /// this number, or by none where that is 0.
    pub fn arrived(&mut self, live: &[u8], name: &[u8], cookie: u32) {
        let moved = |stay: &Stay| cookie != 0 && stay.cookie == cookie;
        let moved = self.stays.iter().position(moved);
        self.forget_name(name);
        if name == live {
            if let Some(at) = moved {
                self.stays.remove(at);
            }
            self.stays.push(Stay {
                name: Some(name.to_vec()),
                cookie: 0,
                overwrites: !std::mem::take(&mut self.is_vacant),
            });
        } else if let Some(at) = moved {
            self.stays[at].name = Some(name.to_vec());
        }
    }

    /// The same of a name that was taken from something.
    pub fn departed(&mut self, live: &[u8], name: &[u8], cookie: u32) {
        self.is_vacant |= name == live;
        if let Some(at) = self.forget_name(name) {
            self.stays[at].cookie = cookie;
        }
    }

    /// Whether the name of the log is free.
    pub fn is_vacant(&self) -> bool {
        self.is_vacant
    }

    /// Looks at all that was given the name of a log, in that order.
    pub fn arrivals<S: ReadStore>(&self, live: &Path, store: &S) -> Vec<Arrival> {
        let arrival = |stay: &Stay| Arrival {
            glimpse: path_of(live, stay).and_then(|path| Glimpse::at(&path, store).ok()),
            overwrites: stay.overwrites,
        };
        self.stays.iter().map(arrival).collect()
    }

    fn forget_name(&mut self, name: &[u8]) -> Option<usize> {
        let has_it = |stay: &Stay| stay.name.as_deref() == Some(name);
        let at = self.stays.iter().position(has_it)?;
        self.stays[at].name = None;
        Some(at)
    }
}

fn path_of(live: &Path, stay: &Stay) -> Option<std::path::PathBuf> {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let name = stay.name.as_deref()?;
    Some(live.with_file_name(OsStr::from_bytes(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told, and under which names those that had the name of the log are found: `-` where
    /// nobody knows.
    fn names(told: &str) -> String {
        let mut trail = Trail::default();
        for word in told.split_whitespace() {
            let (act, rest) = word.split_at(1);
            let (name, cookie) = rest.split_once('#').unwrap_or((rest, "0"));
            let (name, cookie) = (name.as_bytes(), cookie.parse().unwrap());
            match act {
                "+" => trail.arrived(b"m", name, cookie),
                _ => trail.departed(b"m", name, cookie),
            }
        }
        let name = |stay: &Stay| match &stay.name {
            Some(name) => String::from_utf8(name.clone()).unwrap(),
            None => "-".to_owned(),
        };
        let mut names: Vec<String> = trail.stays.iter().map(name).collect();
        if trail.is_vacant {
            names.push("vacant".to_owned());
        }
        names.join(" ")
    }

    #[test]
    fn files_are_followed_through_their_names() {
        for (told, found) in [
            ("", ""),
            ("-m#1 +m.1#1", "vacant"),
            ("-m#1 +m.1#1 +m", "m"),
            ("-m#1 +m.1#1 +m -m#2 +m.2#2 +m", "m.2 m"),
            // Numbers that are counted up: the one before makes room first.
            ("-m#1 +m.1#1 +m -m.1#2 +m.2#2 -m#3 +m.1#3 +m", "m.1 m"),
            (
                "+m -m#1 +m.1#1 +m -m.1#2 +m.2#2 -m#3 +m.1#3 +m",
                "m.2 m.1 m",
            ),
            // Deleted, overwritten, moved out of the directory.
            ("-m +m -m +m", "- m"),
            ("+m#1 +m#2", "- m"),
            ("+m -m#1 +m", "- m"),
            ("+m -m#1 +m.1#1 +m -m#2 +m.1#2", "- m.1 vacant"),
            // Back again.
            ("+m -m#1 +m.1#1 -m.1#2 +m#2", "m"),
            // Files of others do not matter.
            ("+n -m.7#1 +m.8#1 +m -n#2 +n.1#2", "m"),
            // Two moves that happen at the same time.
            ("+m -m#1 -n#2 +n.1#2 +m.1#1", "m.1 vacant"),
        ] {
            assert_eq!(names(told), found, "{told}");
        }
    }

    #[test]
    fn a_file_overwrites_what_was_not_taken_away() {
        let mut trail = Trail::default();
        trail.arrived(b"m", b"m", 1);
        trail.departed(b"m", b"m", 2);
        trail.arrived(b"m", b"m", 0);
        let overwrites: Vec<bool> = trail.stays.iter().map(|stay| stay.overwrites).collect();
        assert_eq!(overwrites, [true, false]);
    }
}
