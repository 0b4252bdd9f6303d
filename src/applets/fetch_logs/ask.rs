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
    /// Whether it is there.
    pub presence: Presence,
    /// How long ago this was so, in seconds.
    pub age: u64,
    /// What is to be told where it is not there, or one of several.
    pub absence: Option<String>,
}

/// Whether a collector is there, the worst last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Presence {
    /// It runs.
    Runs,
    /// It has the socket, and does not answer there.
    Mute,
    /// It does not run.
    Gone,
}

/// Why there is no state.
#[derive(Debug)]
pub enum Trouble {
    /// There is neither a socket nor a table.
    NoCollector,
    /// There is no table, and no answer at the socket.
    Mute,
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
    let states = states(snmp_dir, wait)?;
    let absence = absence(&states);
    let mut all = states.into_iter().map(|(_, state)| state);
    let mut state = all.next().ok_or(Trouble::NoCollector)?;
    for mut other in all {
        state.rows.append(&mut other.rows);
        let (one, two) = (&state.collector, &other.collector);
        let is_faulty = one.is_faulty || two.is_faulty;
        let hooks_left = one.hooks_left.saturating_add(two.hooks_left);
        // Of several the one that does not run is what has to be told.
        if state.presence < other.presence {
            let rows = state.rows;
            state = State { rows, ..other };
        }
        state.collector.is_faulty = is_faulty;
        state.collector.hooks_left = hooks_left;
    }
    state.absence = absence;
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
            presence: Presence::Runs,
            age: 0,
            absence: None,
        });
    }
    let kind = asked.err().map(|error| error.kind());
    let is_mute = kind == Some(ErrorKind::TimedOut);
    let table = Table::read(snmp_dir, seat).map_err(|error| match error.kind() {
        ErrorKind::NotFound if is_mute => Trouble::Mute,
        ErrorKind::NotFound => Trouble::NoCollector,
        ErrorKind::InvalidData => Trouble::NoTable,
        _ => Trouble::Unreadable(error),
    })?;
    let age = SystemTime::now()
        .duration_since(table.written)
        .unwrap_or_default();
    // Where there is nobody at the socket, there is nobody. Where we may not ask, or cannot since
    // something else has its name, the age of the table tells.
    let is_refused = kind == Some(ErrorKind::ConnectionRefused);
    let is_gone = is_refused && local_socket::is_there(snmp_dir, &seat.file("sock"));
    let is_stale = age > Duration::from_millis(TABLE_STALE_MS);
    let presence = match is_gone || is_stale || table.collector.until.is_some() {
        _ if is_mute => Presence::Mute,
        true => Presence::Gone,
        false => Presence::Runs,
    };
    Ok(State {
        rows: table.rows,
        presence,
        collector: table.collector,
        age: age.as_secs(),
        absence: None,
    })
}

/// The state of the boxes that are meant.
pub fn look(wanted: &Wanted) -> Result<State, Exit> {
    let mut state =
        state(&wanted.snmp_dir, wanted.wait).map_err(|trouble| told(&wanted.snmp_dir, trouble))?;
    for name in &wanted.boxes {
        if !state.rows.iter().any(|row| is_of(row, name)) {
            return Err(no_box(name).ending_with(2));
        }
    }
    if !wanted.boxes.is_empty() {
        let is_meant = |row: &Row<'_>| wanted.boxes.iter().any(|name| is_of(row, name));
        state.rows.retain(is_meant);
    }
    Ok(state)
}

/// Whether a source is of the box with this name or address.
pub fn is_of(row: &Row<'_>, name: &str) -> bool {
    let is_called = |called: &str| !called.is_empty() && name.eq_ignore_ascii_case(called);
    is_called(&row.server) || is_called(&row.address)
}

/// What is said where no source is of the box that is meant.
pub fn no_box(name: &str) -> Exit {
    let text = format_args!("there is no box {name} in the configuration of the collector");
    Exit::failure(NAME, text)
}

/// What is said where there is no state.
pub fn told(snmp_dir: &Path, trouble: Trouble) -> Exit {
    let dir = snmp_dir.display();
    let text = match trouble {
        Trouble::NoCollector => format!("no collector runs with the status directory {dir}"),
        Trouble::Mute => format!("the collector with the status directory {dir} does not answer"),
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
    match (state.presence, summary.exit_status()) {
        (Presence::Mute | Presence::Gone, _) => Err(Exit::silent(3)),
        (Presence::Runs, 0) if state.collector.is_faulty => Err(Exit::silent(1)),
        (Presence::Runs, 0) => Ok(()),
        (Presence::Runs, status) => Err(Exit::silent(status)),
    }
}

/// Which collectors are not there, and since when; nothing if all are.
fn absence(states: &[(Seat, State)]) -> Option<String> {
    let ago = |state: &State| match state.collector.until {
        Some(until) if state.presence == Presence::Gone => {
            Span(clock::now().wall.secs().saturating_sub(until))
        }
        _ => Span(state.age),
    };
    if let [(_, state)] = states {
        let ago = ago(state);
        return match (state.presence, state.collector.until) {
            (Presence::Runs, _) => None,
            (Presence::Mute, _) => Some(format!(
                "the collector does not answer; this is from its table of {ago} ago"
            )),
            (Presence::Gone, Some(_)) => Some(format!("no collector runs: it stopped {ago} ago")),
            (Presence::Gone, None) => Some(format!(
                "no collector runs: its last sign of life was {ago} ago"
            )),
        };
    }
    let all = states.len();
    let of = |presence, what: [&str; 2]| {
        let is_it = |(_, state): &&(Seat, State)| state.presence == presence;
        let found: Vec<String> = states
            .iter()
            .filter(is_it)
            .map(|(seat, state)| format!("{}, {} ago", seat.file("table"), ago(state)))
            .collect();
        let what = what[usize::from(found.len() > 1)];
        let (count, those) = (found.len(), found.join("; "));
        (count > 0)
            .then(|| format!("{count} of {all} collectors {what}; the last sign of life: {those}"))
    };
    let told = [
        of(Presence::Gone, ["does not run", "do not run"]),
        of(Presence::Mute, ["does not answer", "do not answer"]),
    ];
    let told: Vec<String> = told.into_iter().flatten().collect();
    (!told.is_empty()).then(|| told.join("; "))
}

/// Sends a request to the control socket and returns the body of its answer. Each part of it may
/// take so long to come.
pub fn request(snmp_dir: &Path, seat: Seat, request: &str, wait: Duration) -> io::Result<String> {
    let connected = local_socket::connect(snmp_dir, &seat.file("sock"));
    let mut socket = connected.map_err(silence)?;
    socket.set_read_timeout(Some(wait))?;
    socket.set_write_timeout(Some(wait))?;
    // One that has no time for us may close before it has read all, and has answered all the same.
    let sent = socket.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let heard = socket.take(TOLD_MAX_LEN).read_to_end(&mut answer);
    let (status, body) = parts(&answer);
    match (sent.and(heard.map(drop)), status) {
        (Ok(()), Some("200")) => Ok(body.to_owned()),
        (_, Some(status)) if status != "200" => Err(error_saying(ErrorKind::Other, body.trim())),
        (Ok(()), _) => Err(ErrorKind::InvalidData.into()),
        (Err(error), _) => Err(silence(error)),
    }
}

/// How a person would call an error that means nothing but silence.
fn silence(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            error_saying(ErrorKind::TimedOut, "it does not answer")
        }
        _ => error,
    }
}

/// The status and the body of an answer.
fn parts(answer: &[u8]) -> (Option<&str>, &str) {
    let answer = std::str::from_utf8(answer).unwrap_or_default();
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) => (head.split(' ').nth(1), body),
        None => (None, ""),
    }
}

/// How long a collector has to answer.
pub const WAIT: Duration = Duration::from_secs(10);

/// The same where somebody sits before the screen and presses keys.
pub const WATCH_WAIT: Duration = Duration::from_millis(1500);

#[cfg(test)]
mod tests {
    use super::*;

    fn state(presence: Presence, until: Option<u64>, age: u64) -> State {
        State {
            rows: Vec::new(),
            collector: Collector {
                since: 1,
                until,
                version: "2".into(),
                is_faulty: false,
                hooks_left: 0,
            },
            presence,
            age,
            absence: None,
        }
    }

    #[test]
    fn of_several_it_is_said_which_is_not_there() {
        let told = |states: Vec<State>| absence(&Seat::all().zip(states).collect::<Vec<_>>());
        let runs = || state(Presence::Runs, None, 1);
        let gone = || state(Presence::Gone, None, 600);
        let mute = || state(Presence::Mute, Some(5), 30);
        let hour_ago = clock::now().wall.secs() - 7_230;
        let stopped = || state(Presence::Gone, Some(hour_ago), 1);
        let cases = [
            (vec![runs()], None),
            (vec![runs(), runs()], None),
            (
                vec![gone()],
                Some("no collector runs: its last sign of life was 10 min ago"),
            ),
            (
                vec![stopped()],
                Some("no collector runs: it stopped 2 h ago"),
            ),
            (
                vec![mute()],
                Some("the collector does not answer; this is from its table of 30 s ago"),
            ),
            (
                vec![runs(), gone()],
                Some(
                    "1 of 2 collectors does not run; the last sign of life: .fetch_logs.2.table, 10 min ago",
                ),
            ),
            (
                vec![stopped(), gone(), mute()],
                Some(
                    "2 of 3 collectors do not run; the last sign of life: .fetch_logs.table, 2 h ago; .fetch_logs.2.table, 10 min ago; 1 of 3 collectors does not answer; the last sign of life: .fetch_logs.3.table, 30 s ago",
                ),
            ),
        ];
        for (states, text) in cases {
            assert_eq!(told(states).as_deref(), text);
        }
    }

    #[test]
    fn a_box_has_a_name_and_an_address() {
        let text = "box\tlocal_file\tstate\taddress\nRouter5\t/l/a\tfollowing\t10.0.0.5\nx\t/l/b\tfollowing\t-\n#collector\t1\t-\t2\n";
        let (rows, _) = table::read(text).unwrap();
        let found = |name: &str| rows.iter().filter(|row| is_of(row, name)).count();
        for (name, count) in [("router5", 1), ("10.0.0.5", 1), ("X", 1), ("", 0), ("y", 0)] {
            assert_eq!(found(name), count, "{name}");
        }
    }
}
