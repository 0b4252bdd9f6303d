//! `fetch_logs status -w`: the state again and again, on a screen or in a pipe.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::time::{Duration, Instant};

use super::NAME;
use super::ask::{State, Wanted, exit_status, look, sum};
use crate::applets::exit::Exit;
use crate::collect::view::lines::{self, Line};
use crate::collect::view::screen::keys::Presses;
use crate::collect::view::screen::{Choice, Key, Page, Rates, Screen, arrange};
use crate::collect::view::summary::Summary;
use crate::limits::WATCH_MS;
use crate::sys::clock;
use crate::sys::signals::{Signal, Signals};
use crate::sys::terminal::{self, Keys};
use crate::wire::table::Row;

/// Shows it until a key, a signal or the end of whoever reads.
pub fn run(wanted: Wanted) -> Result<(), Exit> {
    let failed = |error: io::Error| Exit::failure(NAME, format_args!("cannot show it: {error}"));
    match io::stdout().is_terminal() {
        true => on_screen(&wanted).map_err(failed)?,
        false => in_pipe(&wanted),
    }
}

/// Lines without end for whoever reads them.
fn in_pipe(wanted: &Wanted) -> Result<(), Exit> {
    loop {
        let mut state = look(wanted)?;
        lines::sort(&mut state.rows);
        let now = clock::now().wall;
        let mut text = format!(
            "{} {}\n",
            clock::local_time(now),
            head(&state, &sum(&state.rows))
        );
        for row in state.rows.iter().filter(|row| wanted.shows(row)) {
            text.push_str(&format!(
                "  {}\n",
                Line {
                    row,
                    now: now.secs()
                }
            ));
        }
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
            result => result.map_err(|error| Exit::failure(NAME, error))?,
        }
        std::thread::sleep(Duration::from_millis(WATCH_MS));
    }
}

/// The inner result is how it all fares in the end.
fn on_screen(wanted: &Wanted) -> io::Result<Result<(), Exit>> {
    // Caught, so that the terminal is put in order before the end.
    let mut signals = Signals::install(&[Signal::Term, Signal::Int])?;
    let keys = Keys::catch()?;
    let screen = Alternate::open()?;
    let mut choice = Choice::default();
    let mut rates = Rates::default();
    let mut presses = Presses::default();
    let mut looked_at = Instant::now();
    let outcome = 'all: loop {
        let state = match look(wanted) {
            Ok(state) => state,
            Err(exit) => break Err(exit),
        };
        let ms = looked_at.elapsed().as_millis();
        looked_at = Instant::now();
        rates.note(&state.rows, u64::try_from(ms).unwrap_or(u64::MAX));
        let summary = sum(&state.rows);
        let mut page = draw(&state, &summary, &rates, &mut choice)?;
        loop {
            let left = WATCH_MS.saturating_sub(looked_at.elapsed().as_millis() as u64);
            let mut buf = [0; 16];
            let len = match &keys {
                Some(keys) => keys.wait(left, &mut buf)?,
                None => {
                    std::thread::sleep(Duration::from_millis(left));
                    0
                }
            };
            presses.take(&buf[..len]);
            while let Some(key) = presses.next_key() {
                if choice.press(&key, page) == Key::Quit {
                    break 'all exit_status(&state, &summary);
                }
                page = draw(&state, &summary, &rates, &mut choice)?;
            }
            if signals.drain().next().is_some() {
                break 'all exit_status(&state, &summary);
            }
            if len == 0 {
                break;
            }
        }
    };
    drop((screen, keys));
    Ok(outcome)
}

/// Draws the screen. Returns how far the keys for a page move.
fn draw(state: &State, summary: &Summary, rates: &Rates, choice: &mut Choice) -> io::Result<Page> {
    let (height, width) = terminal::size().unwrap_or((24, 80));
    let mut rows: Vec<Row<'_>> = state.rows.clone();
    arrange(&mut rows, rates, choice);
    let head = head(state, summary);
    let screen = Screen {
        rows: &rows,
        rates,
        head: &head,
        now: clock::now().wall.secs(),
        choice: *choice,
        height,
        width,
    };
    // From the upper left corner on, each line in place of what stood there. It is cleared before,
    // for behind a line as wide as the terminal the cursor stands on its last column.
    let mut text = String::from("\x1b[H");
    for (at, line) in screen.lines().iter().enumerate() {
        let (on, off) = if at == 1 {
            ("\x1b[7m", "\x1b[m")
        } else {
            ("", "")
        };
        let end = if at + 1 < height { "\r\n" } else { "" };
        text.push_str(&format!("\x1b[K{on}{line}{off}{end}"));
    }
    text.push_str("\x1b[J");
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(screen.page())
}

fn head(state: &State, summary: &Summary) -> String {
    match &state.absence {
        Some(absence) => absence.clone(),
        None if state.collector.is_faulty => format!("the configuration has faults; {summary}"),
        None => summary.to_string(),
    }
}

/// The other screen of the terminal, without a cursor; what was there before is back in the end.
struct Alternate;

impl Alternate {
    fn open() -> io::Result<Alternate> {
        let mut out = io::stdout().lock();
        out.write_all(b"\x1b[?1049h\x1b[?25l\x1b[?7l")?;
        out.flush()?;
        Ok(Alternate)
    }
}

impl Drop for Alternate {
    fn drop(&mut self) {
        let mut out = io::stdout().lock();
        let _ = out.write_all(b"\x1b[?7h\x1b[?25h\x1b[?1049l");
        let _ = out.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::super::ask::Presence;
    use super::*;
    use crate::wire::table::Collector;

    #[test]
    fn the_head_says_what_is_wrong_with_the_collector() {
        let mut state = State {
            rows: Vec::new(),
            collector: Collector {
                since: 1,
                until: None,
                version: "2".into(),
                is_faulty: false,
                hooks_left: 0,
            },
            presence: Presence::Runs,
            age: 0,
            absence: None,
        };
        let summary = Summary::default();
        let sums = "0 sources on 0 servers: 0 followed; nothing behind";
        assert_eq!(head(&state, &summary), sums);
        state.collector.is_faulty = true;
        let faulty = format!("the configuration has faults; {sums}");
        assert_eq!(head(&state, &summary), faulty);
        state.absence = Some("no collector runs".into());
        assert_eq!(head(&state, &summary), "no collector runs");
    }
}
