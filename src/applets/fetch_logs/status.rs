//! `fetch_logs status`, which shows how the sources of a running collector fare.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::ask::{self, State, Trouble};
use super::watch;
use super::{NAME, USAGE};
use crate::applets::exit::Exit;
use crate::applets::options;
use crate::collect::view::amount::Span;
use crate::collect::view::json;
use crate::collect::view::lines::{self, Line};
use crate::collect::view::summary::Summary;
use crate::sys::clock;
use crate::wire::table::{Collector, Row};

/// What is to be shown.
pub struct Wanted {
    /// The directory of the status files.
    pub snmp_dir: PathBuf,
    /// The boxes that are meant; all of them if there are none.
    pub boxes: Vec<String>,
    /// Sources without troubles, too.
    pub all: bool,
}

/// Runs it with the arguments behind its name.
pub fn run(args: &[OsString]) -> Result<(), Exit> {
    let misuse = |what: &str| Exit::misuse(NAME, what, USAGE);
    let parsed = options::parse(args, "ajw").map_err(|bad| misuse(&bad.to_string()))?;
    let Some((dir, boxes)) = parsed.operands.split_first() else {
        return Err(misuse("status takes SNMP_DIR, and boxes perhaps"));
    };
    let wanted = Wanted {
        snmp_dir: dir.into(),
        boxes: boxes
            .iter()
            .map(|it| it.to_string_lossy().into_owned())
            .collect(),
        all: options::has(&parsed, 'a'),
    };
    if options::has(&parsed, 'w') {
        return watch::run(wanted);
    }
    let mut state = look(&wanted)?;
    lines::sort(&mut state.rows);
    let summary = sum(&state.rows);
    let text = match options::has(&parsed, 'j') {
        true => as_json(&state, &summary),
        false => as_text(&state, &summary, wanted.all),
    };
    crate::applets::print(&text)?;
    exit_status(&state, &summary)
}

/// The state of the boxes that are meant.
pub fn look(wanted: &Wanted) -> Result<State, Exit> {
    let mut state =
        ask::state(&wanted.snmp_dir).map_err(|trouble| told(&wanted.snmp_dir, trouble))?;
    let is_meant = |row: &Row<'_>| {
        wanted
            .boxes
            .iter()
            .any(|it| it.eq_ignore_ascii_case(&row.server))
    };
    for name in &wanted.boxes {
        if !state
            .rows
            .iter()
            .any(|row| name.eq_ignore_ascii_case(&row.server))
        {
            let text =
                format!("{NAME}: there is no box {name} in the configuration of the collector\n");
            return Err(Exit::with_status(2, text));
        }
    }
    if !wanted.boxes.is_empty() {
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

fn as_text(state: &State, summary: &Summary, all: bool) -> String {
    let mut text = String::new();
    let now = clock::now().wall.secs();
    let shown = state
        .rows
        .iter()
        .filter(|row| all || lines::is_troubled(row));
    for row in shown {
        let _ = writeln!(text, "{}", Line { row, now });
    }
    let _ = writeln!(text, "{summary}");
    if let Some(absence) = absence(state) {
        let _ = writeln!(text, "{absence}");
    }
    text
}

fn as_json(state: &State, summary: &Summary) -> String {
    let mut text = String::from("{\"sources\":[");
    for (at, row) in state.rows.iter().enumerate() {
        text.push_str(if at > 0 { ",\n" } else { "\n" });
        let _ = json::write_row(row, &mut text);
    }
    text.push_str("],\n");
    let collector = Collector {
        until: match (state.is_running, state.collector.until) {
            (true, _) => None,
            // As far as anybody knows.
            (false, until) => Some(until.unwrap_or(clock::now().wall.secs() - state.age)),
        },
        ..state.collector.clone()
    };
    let _ = json::write_about(summary, &collector, clock::now().wall.secs(), &mut text);
    text.push_str("}\n");
    text
}
