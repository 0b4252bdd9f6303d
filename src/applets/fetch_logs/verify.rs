//! `fetch_logs verify`, which compares the copies with the servers' files.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::{NAME, misuse, once};
use crate::applets::exit::Exit;
use crate::applets::options::{self, Parsed};
use crate::applets::seconds;
use crate::collect::config::SourceConfig;
use crate::collect::shell::seats;
use crate::collect::shell::verify::{Options, Verification};
use crate::limits::{VERIFY_CONNECTIONS, VERIFY_CONNECTIONS_MAX};

/// Runs it with the arguments behind its name.
pub fn run(args: &[OsString]) -> Result<(), Exit> {
    let parsed = options::parse(args, "aqJk:w:j:").map_err(|bad| misuse(&bad.to_string()))?;
    let [snmp_dir, config_path, wanted @ ..] = parsed.operands.as_slice() else {
        return Err(misuse(OPERANDS));
    };
    let wanted = match wanted {
        [] => None,
        [server] => Some((server, None)),
        [server, log] => Some((server, Some(log))),
        _ => return Err(misuse(OPERANDS)),
    };
    let options = Options {
        connections: connections(&parsed).map_err(|bad| misuse(&bad))?,
        wait_ms: seconds::option(&parsed, 'w', 3_000).map_err(|bad| misuse(&bad))?,
        all: options::has(&parsed, 'a'),
        quiet: options::has(&parsed, 'q'),
        json: options::has(&parsed, 'J'),
    };
    let (mut config, reactor) = once::prepare(Path::new(config_path), &parsed)?;
    seats::add_members(Path::new(snmp_dir), &mut config);
    if let Some((server, log)) = wanted {
        let log = log.map(|log| log.as_os_str());
        config.sources.retain(|source| is_of(source, server, log));
        if config.sources.is_empty() {
            let text = format!("{NAME}: there is no such log in the configuration\n");
            return Err(Exit::with_status(2, text));
        }
    }
    let outcome = Verification::new(options, reactor).run(config);
    once::exit(outcome, "the comparison broke off")
}

const OPERANDS: &str = "verify takes SNMP_DIR and CONF, and perhaps a box and one of its logs";

/// Whether a source is of this box, and of this log, as the box or the log host calls it.
fn is_of(source: &SourceConfig, server: &OsStr, log: Option<&OsStr>) -> bool {
    let is_box = source.server().is_called(&server.to_string_lossy());
    let is_log = |log: &OsStr| *log.as_bytes() == *source.remote || source.local.as_os_str() == log;
    is_box && log.is_none_or(is_log)
}

fn connections(parsed: &Parsed) -> Result<usize, String> {
    let Some(text) = options::value(parsed, 'j') else {
        return Ok(VERIFY_CONNECTIONS);
    };
    let number = text.to_str().and_then(|text| text.parse().ok());
    number
        .filter(|number| (1..=VERIFY_CONNECTIONS_MAX).contains(number))
        .ok_or_else(|| format!("option -j takes a number from 1 to {VERIFY_CONNECTIONS_MAX}"))
}
