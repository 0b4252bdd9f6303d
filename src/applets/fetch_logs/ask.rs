//! How the state of a running collector is asked for: at its control socket, or from its table.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::NAME;
use crate::applets::exit::Exit;
use crate::collect::shell::seats::{TOLD_MAX_LEN, Table};
use crate::collect::view::amount::Span;
use crate::collect::view::lines;
use crate::collect::view::summary::Summary;
use crate::limits::TABLE_STALE_MS;
use crate::sys::{clock, error_saying, local_socket};
use crate::wire::seat::Seat;
use crate::wire::table::{self, Collector, Row};

/// The state of a collector, as it was told.
pub struct State {
    /// Its sources.
    pub rows: Vec<Row<'static>>,
    /// The collector itself.
    pub collector: Collector<'static>,
    /// Whether it runs.
    pub is_running: bool,
    /// How long ago this was so, in seconds.
    pub age: u64,
}

/// Why there is no state.
#[derive(Debug)]
pub enum Trouble {
    /// There is neither a socket nor a table.
    NoCollector,
    /// The table cannot be read.
    Unreadable(io::Error),
    /// What is there is no table, or half of one.
    NoTable,
}

/// What is to be shown.
pub struct Wanted {
    /// The directory of the status files.
    pub snmp_dir: PathBuf,
    /// The boxes that are meant; all of them if there are none.
    pub boxes: Vec<String>,
    /// Sources without troubles, too.
    pub all: bool,
    /// How long a collector has to answer.
    pub wait: Duration,
}

impl Wanted {
    /// Whether a source of a box that is meant is shown.
    pub fn shows(&self, row: &Row<'_>) -> bool {
        self.all || lines::is_troubled(row)
    }
}

/// Asks for the state of all collectors with this directory.
pub fn state(snmp_dir: &Path, wait: Duration) -> Result<State, Trouble> {
    let mut all = states(snmp_dir, wait)?.into_iter().map(|(_, state)| state);
    let mut state = all.next().ok_or(Trouble::NoCollector)?;
    for mut other in all {
        state.rows.append(&mut other.rows);
        let (one, two) = (&state.collector, &other.collector);
        let is_faulty = one.is_faulty || two.is_faulty;
        let hooks_left = one.hooks_left.saturating_add(two.hooks_left);
        // Of several the one that does not run is what has to be told.
        if state.is_running {
            let rows = state.rows;
            state = State { rows, ..other };
        }
        state.collector.is_faulty = is_faulty;
        state.collector.hooks_left = hooks_left;
    }
    Ok(state)
}

/// The state of each collector by itself.
pub fn states(snmp_dir: &Path, wait: Duration) -> Result<Vec<(Seat, State)>, Trouble> {
    let mut states = Vec::new();
    for seat in Seat::all() {
        match state_of(snmp_dir, seat, wait) {
            Ok(state) => states.push((seat, state)),
            Err(Trouble::NoCollector) => {}
            Err(trouble) => return Err(trouble),
        }
    }
    Ok(states)
}

fn state_of(snmp_dir: &Path, seat: Seat, wait: Duration) -> Result<State, Trouble> {
    let asked = request(snmp_dir, seat, "GET /status.tsv HTTP/1.0\r\n\r\n", wait);
    if let Ok(text) = &asked {
        let (rows, collector) = table::read(text).ok_or(Trouble::NoTable)?;
        return Ok(State {
            rows: rows.into_iter().map(Row::into_owned).collect(),
            collector: collector.into_owned(),
            is_running: true,
            age: 0,
        });
    }
    let table = Table::read(snmp_dir, seat).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Trouble::NoCollector,
        ErrorKind::InvalidData => Trouble::NoTable,
        _ => Trouble::Unreadable(error),
    })?;
    let age = SystemTime::now()
        .duration_since(table.written)
        .unwrap_or_default();
    // Where there is nobody at the socket, there is nobody. Where we may not ask, or cannot since
    // something else has its name, the age of the table tells.
    let is_refused = asked.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused);
    let is_gone = is_refused && local_socket::is_there(snmp_dir, &seat.file("sock"));
    let is_stale = age > Duration::from_millis(TABLE_STALE_MS);
    Ok(State {
        rows: table.rows,
        is_running: !is_gone && !is_stale && table.collector.until.is_none(),
        collector: table.collector,
        age: age.as_secs(),
    })
}

/// The state of the boxes that are meant.
pub fn look(wanted: &Wanted) -> Result<State, Exit> {
    let mut state =
        state(&wanted.snmp_dir, wanted.wait).map_err(|trouble| told(&wanted.snmp_dir, trouble))?;
    let is_of = |row: &Row<'_>, name: &String| name.eq_ignore_ascii_case(&row.server);
    for name in &wanted.boxes {
        if !state.rows.iter().any(|row| is_of(row, name)) {
            let text =
                format!("{NAME}: there is no box {name} in the configuration of the collector\n");
            return Err(Exit::with_status(2, text));
        }
    }
    if !wanted.boxes.is_empty() {
        let is_meant = |row: &Row<'_>| wanted.boxes.iter().any(|name| is_of(row, name));
        state.rows.retain(is_meant);
    }
    Ok(state)
}

/// What is said where there is no state.
pub fn told(snmp_dir: &Path, trouble: Trouble) -> Exit {
    let dir = snmp_dir.display();
    let text = match trouble {
        Trouble::NoCollector => format!("no collector runs with the status directory {dir}"),
        Trouble::Unreadable(error) => format!("cannot read the table in {dir}: {error}"),
        Trouble::NoTable => format!("what is in {dir} is no table of this version of fetchlogs"),
    };
    Exit::with_status(3, format!("{NAME}: {text}\n"))
}

/// The sums over these sources.
pub fn sum(rows: &[Row<'_>]) -> Summary {
    let mut summary = Summary::default();
    rows.iter().for_each(|row| summary.add(row));
    let servers: BTreeSet<&str> = rows.iter().map(|row| &*row.server).collect();
    summary.servers = servers.len();
    summary
}

/// The exit status that says the same.
pub fn exit_status(state: &State, summary: &Summary) -> Result<(), Exit> {
    match (state.is_running, summary.exit_status()) {
        (false, _) => Err(Exit::silent(3)),
        (true, 0) if state.collector.is_faulty => Err(Exit::silent(1)),
        (true, 0) => Ok(()),
        (true, status) => Err(Exit::silent(status)),
    }
}

/// That no collector runs, and since when; nothing if one does.
pub fn absence(state: &State) -> Option<String> {
    if state.is_running {
        return None;
    }
    let ago = match state.collector.until {
        Some(until) => clock::now().wall.secs().saturating_sub(until),
        None => state.age,
    };
    let what = match state.collector.until {
        Some(_) => "it stopped",
        None => "its last sign of life was",
    };
    Some(format!("no collector runs: {what} {} ago", Span(ago)))
}

/// Sends a request to the control socket and returns the body of its answer. Each part of it may
/// take so long to come.
pub fn request(snmp_dir: &Path, seat: Seat, request: &str, wait: Duration) -> io::Result<String> {
    let mut socket = local_socket::connect(snmp_dir, &seat.file("sock"))?;
    socket.set_read_timeout(Some(wait))?;
    socket.set_write_timeout(Some(wait))?;
    socket.write_all(request.as_bytes())?;
    let mut answer = String::new();
    socket.take(TOLD_MAX_LEN).read_to_string(&mut answer)?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or(ErrorKind::InvalidData)?;
    let mut words = head.split(' ').skip(1);
    match words.next() {
        Some("200") => Ok(body.to_owned()),
        _ => Err(error_saying(ErrorKind::Other, body.trim())),
    }
}

/// How long a collector has to answer.
pub const WAIT: Duration = Duration::from_secs(10);

/// The same where somebody sits before the screen and presses keys.
pub const WATCH_WAIT: Duration = Duration::from_millis(1500);
