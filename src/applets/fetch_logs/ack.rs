//! `fetch_logs ack`, with which an operator takes note of losses.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::ask::Presence;
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
    states.retain(|(_, state)| state.presence != Presence::Gone);
    if states.is_empty() {
        let dir = dir.display();
        return Err(failure(&format!(
            "no collector runs with the status directory {dir}: nothing was done"
        )));
    }
    for (_, state) in &mut states {
        state.rows.retain(|row| ask::is_of(row, &server));
    }
    states.retain(|(_, state)| !state.rows.is_empty());
    if states.is_empty() {
        return Err(ask::no_box(&server));
    }
    for (_, state) in &mut states {
        state
            .rows
            .retain(|row| log.is_none_or(|log| is_log(row, log)));
    }
    states.retain(|(_, state)| !state.rows.is_empty());
    if states.is_empty() {
        return Err(failure(
            "there is no such log in the configuration of the collector",
        ));
    }
    let mut noted = Vec::new();
    let renamed = states
        .iter()
        .flat_map(|(_, state)| &state.rows)
        .try_for_each(|row| note(row, &mut noted));
    // Whatever was renamed, whoever cannot be told of it, and whatever else went wrong.
    let told = states
        .iter()
        .try_for_each(|(seat, state)| tell(dir, *seat, &state.rows));
    if noted.is_empty() && renamed.is_ok() {
        noted.push(format!("{server}: nothing is on record as lost\n"));
    }
    crate::applets::print(&noted.concat())?;
    match (renamed, told) {
        (Err(one), Err(two)) => Err(failure(&format!("{one}\n{NAME}: {two}"))),
        (Err(what), Ok(())) | (Ok(()), Err(what)) => Err(failure(&what)),
        (Ok(()), Ok(())) => Ok(()),
    }
}

fn is_log(row: &Row<'_>, log: &OsStr) -> bool {
    *log.as_bytes() == *row.remote || *log.as_bytes() == *row.local
}

/// Puts a record away, and notes its new name. Fails with what is to be told.
fn note(row: &Row<'_>, noted: &mut Vec<String>) -> Result<(), String> {
    let (server, remote) = (&row.server, Escaped(&row.remote));
    match put_away(row) {
        Ok(None) => Ok(()),
        Ok(Some(path)) => {
            noted.push(format!(
                "{server} {remote}: the record of losses is {} now\n",
                path.display()
            ));
            Ok(())
        }
        Err(error) => {
            let local = Escaped(&row.local);
            Err(format!(
                "{server} {remote}: cannot rename {local}.gaps: {error}"
            ))
        }
    }
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

/// Has a collector look at the records of the boxes of these sources. Fails with what is to be
/// told.
fn tell(dir: &Path, seat: Seat, rows: &[Row<'_>]) -> Result<(), String> {
    let servers: BTreeSet<&str> = rows.iter().map(|row| &*row.server).collect();
    for server in servers {
        let body = format!("{server}\n");
        let len = body.len();
        let head = "POST /ack HTTP/1.0\r\nContent-Length:";
        let asked = format!("{head} {len}\r\n\r\n{body}");
        ask::request(dir, seat, &asked, ask::WAIT).map_err(|error| {
            format!("the collector cannot be told, and sees it at USR1: {error}")
        })?;
    }
    Ok(())
}

fn failure(what: &str) -> Exit {
    Exit::failure(NAME, what)
}
