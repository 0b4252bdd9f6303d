//! How the state of a running collector is asked for: at its control socket, or from its table.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::collect::shell::control::SOCKET;
use crate::collect::shell::face_file::TABLE;
use crate::limits::TABLE_STALE_MS;
use crate::sys::local_socket;
use crate::wire::table::{Collector, Line, Reader, Row};

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

/// Asks for the state.
pub fn state(snmp_dir: &Path) -> Result<State, Trouble> {
    let asked = request(snmp_dir, "GET /status.tsv HTTP/1.0\r\n\r\n");
    if let Ok(text) = &asked {
        let (rows, collector) = read(text).ok_or(Trouble::NoTable)?;
        return Ok(State {
            rows,
            collector,
            is_running: true,
            age: 0,
        });
    }
    let path = snmp_dir.join(TABLE);
    let text = fs::read_to_string(&path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Trouble::NoCollector,
        _ => Trouble::Unreadable(error),
    })?;
    let (rows, collector) = read(&text).ok_or(Trouble::NoTable)?;
    let written = fs::metadata(&path).and_then(|found| found.modified());
    let written = written.unwrap_or(SystemTime::UNIX_EPOCH);
    let age = SystemTime::now()
        .duration_since(written)
        .unwrap_or_default();
    // Where there is nobody at the socket, there is nobody; where we may not ask, its age tells.
    let is_gone = asked.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused);
    let is_stale = age > Duration::from_millis(TABLE_STALE_MS);
    Ok(State {
        rows,
        is_running: !is_gone && !is_stale && collector.until.is_none(),
        collector,
        age: age.as_secs(),
    })
}

/// Sends a request to the control socket and returns the body of its answer.
pub fn request(snmp_dir: &Path, request: &str) -> io::Result<String> {
    let mut socket = local_socket::connect(snmp_dir, SOCKET)?;
    socket.set_read_timeout(Some(WAIT))?;
    socket.set_write_timeout(Some(WAIT))?;
    socket.write_all(request.as_bytes())?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or(ErrorKind::InvalidData)?;
    let mut words = head.split(' ').skip(1);
    match words.next() {
        Some("200") => Ok(body.to_owned()),
        _ => Err(io::Error::other(body.trim().to_owned())),
    }
}

const WAIT: Duration = Duration::from_secs(10);

fn read(text: &str) -> Option<(Vec<Row<'static>>, Collector<'static>)> {
    let mut lines = text.lines();
    let reader = Reader::new(lines.next()?)?;
    let mut rows = Vec::new();
    for line in lines {
        match reader.line(line)? {
            Line::Source(row) => rows.push(row.into_owned()),
            // Without it half of the table may be missing.
            Line::End(collector) => return Some((rows, collector.into_owned())),
        }
    }
    None
}
