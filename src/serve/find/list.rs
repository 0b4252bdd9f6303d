//! What the globs of each log find, and what it is taken for, in words. Pure.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::candidates::{Candidate, Candidates};
use super::crowd::Reached;
use super::families::{settle, shown};
use super::findings::{Findings, Occasion};
use super::journal::Journal;
use super::query::{Query, open_regular};
use super::refusal::Refusal;
use super::scan::Scan;
use crate::serve::config::{Config, FileEntry};
use crate::serve::glob::Progress;
use crate::sorting::sort_by_key;
use crate::store::{Kind, ReadStore, Stat};
use crate::time::Civil;
use crate::wire::escape::Escaped;

/// Calls `say` with a text of several lines for each log. Tells whether all that is to be read can
/// be.
pub fn list<S: ReadStore>(config: &mut Config, store: &S, say: &mut dyn FnMut(&str)) -> bool {
    let journal = Journal::new(0);
    let mut is_sound = true;
    let mut text = String::new();
    settle(config, store, &mut |trouble| {
        is_sound = false;
        let _ = writeln!(text, "{trouble}");
    });
    for (number, family) in (0..).zip(&config.families) {
        let (key, count) = (shown(family), config.count_of(number));
        let _ = writeln!(text, "{key} finds logs: {count}");
    }
    if !text.is_empty() {
        say(&text);
    }
    journal.settle(config, store);
    for (index, entry) in (0..).zip(&config.files) {
        let query = Query {
            store,
            entry,
            files: &config.files,
            index,
            journal: &journal,
            given: &[],
            peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
            quiet_since_ns: u64::MAX,
            reached: Reached::default(),
            findings: None,
        };
        let mut listing = Listing {
            text: String::new(),
            is_sound: true,
            told: Vec::new(),
        };
        listing.log(&query);
        is_sound &= listing.is_sound;
        say(&listing.text);
    }
    is_sound
}

struct Listing {
    text: String,
    is_sound: bool,
    /// The files that have their line.
    told: Vec<PathBuf>,
}

impl Listing {
    fn log<S: ReadStore>(&mut self, query: &Query<'_, S>) {
        let path = Escaped(query.entry.path.as_os_str().as_bytes());
        let what = match query.journal.is_series(query.index) {
            true => ", a series",
            false => "",
        };
        let _ = writeln!(self.text, "{path}{what}");
        let live = self.live(query);
        match rotated(query, live) {
            Ok(found) => self.rotated(&found, query, live),
            Err(refusal) => self.fault(format_args!("{refusal}")),
        }
        self.globs(query);
    }

    /// The live file.
    fn live<S: ReadStore>(&mut self, query: &Query<'_, S>) -> Option<Stat> {
        let path = query.live_path();
        let path: &Path = match path.as_os_str().is_empty() {
            true => &query.entry.path,
            false => &path,
        };
        match open_regular(query.store, &query.live_path()) {
            Ok((_, stat)) => {
                let why = match query.journal.is_series(query.index) {
                    true => "the newest",
                    false if query.store.is_mounted(path) => "mounted here alone",
                    false => "",
                };
                self.line("live", Some((stat.size, stat.mtime_ns)), path, why);
                Some(stat)
            }
            Err(refusal) => {
                self.is_sound = false;
                self.line("live", None, path, &refusal.to_string());
                None
            }
        }
    }

    /// The rotated files, the newest first.
    fn rotated<S: ReadStore>(
        &mut self,
        found: &Candidates,
        query: &Query<'_, S>,
        live: Option<Stat>,
    ) {
        let id = live.map(|stat| stat.id);
        let findings = Findings::new(Occasion::Request, 0, id, found.clone());
        let query = &Query {
            findings: Some(&findings),
            ..*query
        };
        let opened = query.open_live().ok().flatten();
        let mut order: Vec<&Candidate> = found.iter().collect();
        sort_by_key(&mut order, |c| std::cmp::Reverse(c.inferred_age()));
        for (at, candidate) in order.iter().enumerate() {
            let is_doubtful = order.iter().any(|c| c.is_doubtful_beside(candidate));
            let readable = open_regular(query.store, candidate.path()).map(|_| ());
            let why = match readable {
                Err(refusal) => {
                    self.is_sound = false;
                    refusal.to_string()
                }
                Ok(()) if query.is_suspect(candidate, found, opened.as_ref()) => {
                    "perhaps a copy that somebody made: not sent if another file has its bytes"
                        .into()
                }
                Ok(()) if is_doubtful => "names and times contradict each other".into(),
                Ok(()) if candidate.is_stamped() => "by the date or time in its name".into(),
                Ok(()) if candidate.is_named() => "by the number in its name".into(),
                Ok(()) => "by its last write".into(),
            };
            self.candidate(&format!("rotated {}", at + 1), candidate, &why);
        }
        for candidate in found.archives() {
            self.candidate(
                "compressed",
                candidate,
                "for collectors that can inflate it",
            );
        }
        if found.is_cut() {
            self.fault(format_args!("there are more files than are looked at"));
        }
    }

    fn candidate(&mut self, what: &str, candidate: &Candidate, why: &str) {
        let seen = Some((candidate.size, candidate.written_ns));
        self.line(what, seen, candidate.path(), why);
    }

    /// What else each glob finds, or that it finds nothing.
    fn globs<S: ReadStore>(&mut self, query: &Query<'_, S>) {
        for (glob, mut walk) in query.entry.patterns.walks() {
            let mut finds_any = false;
            loop {
                match walk.advance(query.store) {
                    Progress::On => {}
                    Progress::Found => {
                        finds_any = true;
                        self.other(walk.found(), query);
                    }
                    Progress::Over => break,
                }
            }
            let glob = Escaped(&glob);
            match walk.end() {
                Err(error) => self.fault(format_args!("{glob}: {error}")),
                Ok(()) if finds_any => {}
                Ok(()) => {
                    let _ = writeln!(self.text, "  {:<14}{glob}", "finds nothing");
                }
            }
        }
    }

    /// A file that has no line yet.
    fn other<S: ReadStore>(&mut self, path: &Path, query: &Query<'_, S>) {
        if self.told.iter().any(|told| told == path) {
            return;
        }
        let is_other = |entry: &FileEntry| entry.path == path && entry.path != query.entry.path;
        let stat = query.store.stat_path(path);
        let seen = stat.as_ref().ok().map(|stat| (stat.size, stat.mtime_ns));
        let why = match stat {
            _ if query.files.iter().any(is_other) => "a log of its own".into(),
            Ok(Stat { kind, .. }) => match kind {
                Kind::Regular => "another name of one of these files".into(),
                Kind::Link => "a symbolic link".into(),
                Kind::Directory => "a directory".into(),
                Kind::Special => "not a regular file".into(),
            },
            Err(error) => error.to_string(),
        };
        self.line("ignored", seen, path, &why);
    }

    fn fault(&mut self, what: std::fmt::Arguments<'_>) {
        self.is_sound = false;
        let _ = writeln!(self.text, "  {:<14}{what}", "fault");
    }

    fn line(&mut self, what: &str, seen: Option<(u64, u64)>, path: &Path, why: &str) {
        let _ = match seen {
            Some((size, written_ns)) => {
                let written = Civil::from_unix((written_ns / 1_000_000_000) as i64);
                write!(self.text, "  {what:<12} {size:>12} {written} ")
            }
            None => write!(self.text, "  {what:<12} {:>12} {:<19} ", "-", "-"),
        };
        let colon = if why.is_empty() { "" } else { ": " };
        let path_text = Escaped(path.as_os_str().as_bytes());
        let _ = writeln!(self.text, "{path_text}{colon}{why}");
        self.told.push(path.to_path_buf());
    }
}

/// The rotated files beside the live one.
fn rotated<S: ReadStore>(query: &Query<'_, S>, live: Option<Stat>) -> Result<Candidates, Refusal> {
    let is_series = query.journal.is_series(query.index);
    let live = live.map(|stat| stat.id);
    let mut scan = Scan::new(&query.entry.patterns, live, is_series, query.reached);
    loop {
        if let Some((_, found)) = scan.advance(query.entry, query.files, query.store)? {
            return Ok(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inside::fake::Fake;

    fn listed(conf: &str, disk: &Fake) -> (String, bool) {
        let mut text = String::new();
        let mut config = Config::parse(conf.as_bytes()).unwrap();
        let is_sound = list(&mut config, disk, &mut |log| text += log);
        (text, is_sound)
    }

    #[test]
    fn each_file_is_there_with_what_it_is_taken_for() {
        let disk = Fake::new();
        for (at, path) in [
            "/v/m.2",
            "/v/m.1",
            "/v/m.3.gz",
            "/v/a-2026-11-21.log",
            "/v/a-2026-11-22.log",
            "/v/m",
        ]
        .into_iter()
        .enumerate()
        {
            disk.at_ms(1_795_354_196_000 + at as u64 * 60_000);
            disk.write(path, path.as_bytes());
        }
        disk.put_other("/v/m.4", Kind::Link);
        disk.put_other("/v/m.5", Kind::Directory);
        let conf = "$files{'/v/m'} = '/v/m.[0-9] /old/m.*'; $series{'/a'} = '/v/a-*.log';";
        let (text, is_sound) = listed(conf, &disk);
        assert_eq!(
            text,
            "\
/a, a series
  live                   19 2026-11-22T13:33:56 /v/a-2026-11-22.log: the newest
  rotated 1              19 2026-11-22T13:32:56 /v/a-2026-11-21.log: by the date or time in its name
/v/m
  live                    4 2026-11-22T13:34:56 /v/m
  rotated 1               6 2026-11-22T13:30:56 /v/m.1: by the number in its name
  rotated 2               6 2026-11-22T13:29:56 /v/m.2: by the number in its name
  compressed              9 2026-11-22T13:31:56 /v/m.3.gz: for collectors that can inflate it
  ignored                 0 1970-01-01T00:00:00 /v/m.4: a symbolic link
  ignored                 0 1970-01-01T00:00:00 /v/m.5: a directory
  finds nothing /old/m.*
"
        );
        assert!(is_sound);
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let disk = Fake::new();
        disk.write("/v/m.1", b"one");
        disk.set_readable("/v/m.1", false);
        let (text, is_sound) = listed("$files{'/v/m'} = '/v/m.*';", &disk);
        assert!(!is_sound);
        assert!(text.contains("/v/m: there is no such file now\n"), "{text}");
        assert!(text.contains("/v/m.1: cannot read it: "), "{text}");
        let (text, is_sound) = listed("$series{'/v/s'} = '/v/s-*';", &disk);
        assert!(
            !is_sound && text.contains("/v/s: there is no such file now\n"),
            "{text}"
        );
    }
}
