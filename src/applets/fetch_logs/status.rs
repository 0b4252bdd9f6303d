//! `fetch_logs status`, which shows how the sources of a running collector fare.

use std::ffi::OsString;
use std::fmt::Write;

use super::ask::{Presence, State, WAIT, WATCH_WAIT, Wanted, exit_status, look, sum};
use super::misuse;
use super::watch;
use crate::applets::exit::Exit;
use crate::applets::options;
use crate::collect::view::json;
use crate::collect::view::lines::{self, Line};
use crate::collect::view::summary::Summary;
use crate::sys::clock;
use crate::wire::table::Collector;

/// Runs it with the arguments behind its name.
pub fn run(args: &[OsString]) -> Result<(), Exit> {
    let parsed = options::parse(args, "ajrw").map_err(|bad| misuse(&bad.to_string()))?;
    let Some((dir, boxes)) = parsed.operands.split_first() else {
        return Err(misuse("status takes SNMP_DIR, and boxes perhaps"));
    };
    let is_watch = options::has(&parsed, 'w');
    let wanted = Wanted {
        snmp_dir: dir.into(),
        boxes: boxes
            .iter()
            .map(|it| it.to_string_lossy().into_owned())
            .collect(),
        all: options::has(&parsed, 'a'),
        wait: if is_watch { WATCH_WAIT } else { WAIT },
    };
    if is_watch {
        return watch::run(wanted);
    }
    let mut state = look(&wanted)?;
    if options::has(&parsed, 'r') {
        return running(&state);
    }
    lines::sort(&mut state.rows);
    let summary = sum(&state.rows);
    let text = match options::has(&parsed, 'j') {
        true => as_json(&state, &summary),
        false => as_text(&state, &summary, &wanted),
    };
    crate::applets::print(&text)?;
    exit_status(&state, &summary)
}

/// Only whether a collector runs: whatever is wrong with boxes, a new start would not mend it.
fn running(state: &State) -> Result<(), Exit> {
    match &state.absence {
        Some(absence) => Err(Exit::with_status(3, format!("{absence}\n"))),
        None => Ok(()),
    }
}

fn as_text(state: &State, summary: &Summary, wanted: &Wanted) -> String {
    let mut text = String::new();
    let now = clock::now().wall.secs();
    for row in state.rows.iter().filter(|row| wanted.shows(row)) {
        let _ = writeln!(text, "{}", Line { row, now });
    }
    let _ = writeln!(text, "{summary}");
    if state.collector.is_faulty {
        text.push_str(FAULTY);
    }
    if let Some(absence) = &state.absence {
        let _ = writeln!(text, "{absence}");
    }
    text
}

const FAULTY: &str =
    "the configuration has faults: not all of it is in force; fetch_logs -t tells them\n";

fn as_json(state: &State, summary: &Summary) -> String {
    let mut text = String::from("{\"sources\":[");
    for (at, row) in state.rows.iter().enumerate() {
        text.push_str(if at > 0 { ",\n" } else { "\n" });
        let _ = json::write_row(row, &mut text);
    }
    text.push_str("],\n");
    let collector = Collector {
        until: match (state.presence, state.collector.until) {
            (Presence::Runs, _) => None,
            // As far as anybody knows.
            (_, until) => Some(until.unwrap_or(clock::now().wall.secs() - state.age)),
        },
        ..state.collector.clone()
    };
    let _ = json::write_about(summary, &collector, clock::now().wall.secs(), &mut text);
    text.push_str("}\n");
    text
}
