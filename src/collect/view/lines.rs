//! The lines of `fetch_logs status`: sentences about sources.

use std::cmp::Reverse;
use std::fmt;

use super::amount::{Bytes, Span};
use crate::wire::escape::{Escaped, OneLine};
use crate::wire::table::{Row, State};

/// How badly a source fares: the smaller, the worse.
pub fn rank(row: &Row<'_>) -> u8 {
    match row.state {
        State::Error => 0,
        _ if row.losses > 0 => 1,
        State::Connecting => 2,
        State::Following if row.behind.unwrap_or(0) > 0 => 3,
        State::Following => 4,
    }
}

/// Whether there is something to say of it even where only troubles are told.
pub fn is_troubled(row: &Row<'_>) -> bool {
    rank(row) < 4
}

/// Sorts sources: the worst first, among equals who is in trouble for longer or has more missing,
/// then by box and log.
pub fn sort(rows: &mut [Row<'_>]) {
    rows.sort_by(|a, b| {
        let key = |row: &Row<'_>| (rank(row), Reverse(row.behind.unwrap_or(0)));
        let since = |row: &Row<'_>| match row.state {
            State::Following => 0,
            _ => row.since.unwrap_or(0),
        };
        (key(a), since(a), &a.server, &a.remote).cmp(&(key(b), since(b), &b.server, &b.remote))
    });
}

/// What is to be said of a source at `now`, as one line.
pub struct Line<'a> {
    /// The source.
    pub row: &'a Row<'a>,
    /// Seconds since 1970.
    pub now: u64,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = self.row;
        let (server, remote) = (OneLine(&row.server), Escaped(&row.remote));
        write!(f, "{server} {remote} {}", row.state.word())?;
        if let Some(since) = row.since {
            write!(f, " for {}", self.since(since))?;
        }
        if row.state != State::Following && !row.why.is_empty() {
            write!(f, ": {}", OneLine(&row.why))?;
        }
        if let Some(at) = row.next_try.filter(|_| row.state != State::Following) {
            write!(f, "; next try in {}", Span(at.saturating_sub(self.now)))?;
        }
        if let Some(at) = row.last_contact.filter(|_| row.state != State::Following) {
            write!(f, "; last contact {} ago", self.since(at))?;
        }
        if let Some(behind) = row.behind.filter(|behind| *behind > 0) {
            write!(f, "; {} behind", Bytes(behind))?;
        }
        if row.losses > 0 {
            let end = if row.losses == 1 { "" } else { "es" };
            let (losses, local) = (row.losses, Escaped(&row.local));
            write!(f, "; {losses} loss{end} on record in {local}.gaps")?;
        }
        if row.unverified > 0 {
            let copies = match row.unverified {
                1 => "1 copy".to_owned(),
                count => format!("{count} copies"),
            };
            write!(f, "; {copies} not verified yet")?;
        }
        if row.hooks_waiting > 0 {
            write!(f, "; {} waiting for the hook", row.hooks_waiting)?;
        }
        if row.state == State::Following {
            write!(f, "; holds {}", Bytes(row.held))?;
            if let Some(at) = row.last_byte {
                write!(f, ", last byte {} ago", self.since(at))?;
            }
        }
        Ok(())
    }
}

impl Line<'_> {
    fn since(&self, at: u64) -> Span {
        Span(self.now.saturating_sub(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000;

    fn row() -> Row<'static> {
        Row {
            server: "10.0.0.1".into(),
            remote: b"/var/log/m".as_slice().into(),
            local: b"/c/m".as_slice().into(),
            state: State::Following,
            since: Some(NOW - 7200),
            held: 2048,
            behind: Some(0),
            last_byte: Some(NOW - 3),
            last_contact: Some(NOW - 1),
            next_try: None,
            losses: 0,
            unverified: 0,
            hooks_waiting: 0,
            is_paused: false,
            why: "".into(),
            rotations: 0,
            healed: 0,
            connections: 0,
            bytes: 0,
            address: "".into(),
        }
    }

    fn line(row: Row<'_>) -> String {
        Line {
            row: &row,
            now: NOW,
        }
        .to_string()
    }

    #[test]
    fn a_line_says_how_a_source_fares() {
        let well = "10.0.0.1 /var/log/m following for 2 h; holds 2.0 kB, last byte 3 s ago";
        assert_eq!(line(row()), well);
        let troubled = Row {
            behind: Some(155_000),
            losses: 1,
            unverified: 2,
            hooks_waiting: 5,
            ..row()
        };
        assert_eq!(
            line(troubled),
            "10.0.0.1 /var/log/m following for 2 h; 155 kB behind; 1 loss on record in /c/m.gaps; 2 copies not verified yet; 5 waiting for the hook; holds 2.0 kB, last byte 3 s ago"
        );
        let failed = Row {
            state: State::Error,
            behind: None,
            next_try: Some(NOW + 60),
            losses: 2,
            why: "cannot connect: \u{1b}refused".into(),
            ..row()
        };
        assert_eq!(
            line(failed),
            "10.0.0.1 /var/log/m error for 2 h: cannot connect: \\x1brefused; next try in 60 s; last contact 1 s ago; 2 losses on record in /c/m.gaps"
        );
    }

    #[test]
    fn the_worst_comes_first() {
        let with = |server: &'static str, state, since, behind, losses| Row {
            server: server.into(),
            state,
            since: Some(since),
            behind: Some(behind),
            losses,
            ..row()
        };
        let mut rows = [
            with("well-2", State::Following, 5, 0, 0),
            with("well-1", State::Following, 9, 0, 0),
            with("late", State::Following, 5, 1, 0),
            with("later", State::Following, 5, 2, 0),
            with("new", State::Connecting, 5, 0, 0),
            with("lossy", State::Following, 5, 0, 1),
            with("broken", State::Error, 9, 0, 0),
            with("broken-longer", State::Error, 5, 0, 0),
        ];
        sort(&mut rows);
        let order = rows.each_ref().map(|row| &*row.server);
        assert_eq!(
            order,
            [
                "broken-longer",
                "broken",
                "lossy",
                "new",
                "later",
                "late",
                "well-1",
                "well-2"
            ]
        );
        assert_eq!(rows.iter().filter(|row| is_troubled(row)).count(), 6);
    }
}
