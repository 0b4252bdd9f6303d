//! `fetch_logs ack`, with which an operator takes note of losses.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::{NAME, ask, misuse};
use crate::applets::exit::Exit;
use crate::applets::options;
use crate::sys::clock;
use crate::sys::trusted::Place;
use crate::wire::escape::Escaped;
use crate::wire::seat::Seat;
use crate::wire::table::Row;

/// Runs it with the arguments behind its name.
pub fn run(args: &[OsString]) -> Result<(), Exit> {
    let parsed = options::parse(args, "").map_err(|bad| misuse(&bad.to_string()))?;
    let (dir, server, log) = match parsed.operands.as_slice() {
        [dir, server] => (dir, server, None),
        [dir, server, log] => (dir, server, Some(log.as_os_str())),
        _ => {
            return Err(misuse(
                "ack takes SNMP_DIR, a box, and one of its logs perhaps",
            ));
        }
    };
    let server = server.to_string_lossy();
    let dir = Path::new(dir);
    let mut states =
        ask::states(dir, ask::WAIT).map_err(|trouble| ask::told(dir, trouble).ending_with(1))?;
    states.retain(|(_, state)| state.is_running);
    if states.is_empty() {
        let dir = dir.display();
        return Err(failure(&format!(
            "no collector runs with the status directory {dir}: nothing was done"
        )));
    }
    for (_, state) in &mut states {
        state.rows.retain(|row| is_meant(row, &server, log));
    }
    states.retain(|(_, state)| !state.rows.is_empty());
    if states.is_empty() {
        return Err(failure(
            "there is no such log in the configuration of the collector",
        ));
    }
    let tell = || {
        states
            .iter()
            .try_for_each(|(seat, _)| tell(dir, *seat, &server))
    };
    let mut noted = Vec::new();
    for row in states.iter().flat_map(|(_, state)| &state.rows) {
        match put_away(row) {
            Ok(Some(path)) => noted.push(format!(
                "{server} {}: the record of losses is {} now\n",
                Escaped(&row.remote),
                path.display()
            )),
            Ok(None) => {}
            Err(error) => {
                let (local, remote) = (Escaped(&row.local), Escaped(&row.remote));
                tell()?;
                return Err(failure(&format!(
                    "{server} {remote}: cannot rename {local}.gaps: {error}"
                )));
            }
        }
    }
    tell()?;
    if noted.is_empty() {
        noted.push(format!("{server}: nothing is on record as lost\n"));
    }
    crate::applets::print(&noted.concat())
}

fn is_meant(row: &Row<'_>, server: &str, log: Option<&OsStr>) -> bool {
    let is_log = |log: &OsStr| *log.as_bytes() == *row.remote || *log.as_bytes() == *row.local;
    row.server.eq_ignore_ascii_case(server) && log.is_none_or(is_log)
}

/// Renames the record of losses to one with the time in its name, if there is one.
fn put_away(row: &Row<'_>) -> io::Result<Option<PathBuf>> {
    let named = |ending: &str| {
        let name = [&*row.local, ending.as_bytes()].concat();
        PathBuf::from(OsString::from_vec(name))
    };
    let from = named(".gaps");
    match fs::symlink_metadata(&from) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        found => found?,
    };
    let stamp = clock::local_time(clock::now().wall).stamp();
    for attempt in 0..SUFFIXES_MAX {
        let to = match attempt {
            0 => named(&format!(".gaps.{stamp}")),
            attempt => named(&format!(".gaps.{stamp}.{attempt}")),
        };
        match rename_new(&from, &to) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            result => return result.map(|()| Some(to)),
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

/// Renames to a name that nothing has.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    let (from, to) = (Place::of(from)?, Place::of(to)?);
    match from.rename_new(&to) {
        Err(error) if error.kind() == ErrorKind::Unsupported => {}
        result => return result,
    }
    match to.metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => from.rename(&to),
        found => found.and(Err(ErrorKind::AlreadyExists.into())),
    }
}

/// Names that are tried within one second.
const SUFFIXES_MAX: u32 = 100;

/// Has the collector look at the records of a box.
fn tell(dir: &Path, seat: Seat, server: &str) -> Result<(), Exit> {
    let body = format!("{server}\n");
    let len = body.len();
    let head = "POST /ack HTTP/1.0\r\nContent-Length:";
    match ask::request(dir, seat, &format!("{head} {len}\r\n\r\n{body}"), ask::WAIT) {
        Ok(_) => Ok(()),
        Err(error) => Err(failure(&format!(
            "the collector cannot be told, and sees it at USR1: {error}"
        ))),
    }
}

fn failure(what: &str) -> Exit {
    Exit::failure(NAME, what)
}
