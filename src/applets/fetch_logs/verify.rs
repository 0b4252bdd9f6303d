//! `fetch_logs verify`, which compares the copies with the servers' files.

use std::ffi::OsString;
use std::io;
use std::path::Path;

use super::{NAME, USAGE};
use crate::applets::exit::Exit;
use crate::applets::options::{self, Parsed};
use crate::applets::seconds;
use crate::collect::config::Config;
use crate::collect::shell::verify::{Options, Outcome, Verification};
use crate::limits::{VERIFY_CONNECTIONS, VERIFY_CONNECTIONS_MAX};
use crate::reactor::Reactor;
use crate::store::config_file;
use crate::sys::signals::{Signal, Signals};

/// Runs it with the arguments behind its name.
pub fn run(args: &[OsString]) -> Result<(), Exit> {
    let misuse = |what: &str| Exit::misuse(NAME, what, USAGE);
    let parsed = options::parse(args, "w:j:").map_err(|bad| misuse(&bad.to_string()))?;
    // The status files are not touched; they are named so that the operands are those of the
    // collector.
    let [_snmp_dir, config_path] = parsed.operands.as_slice() else {
        return Err(misuse("verify takes two operands, SNMP_DIR and CONF"));
    };
    let options = Options {
        connections: connections(&parsed).map_err(|bad| misuse(&bad))?,
        wait_ms: seconds::option(&parsed, 'w', 3_000).map_err(|bad| misuse(&bad))?,
    };
    let config =
        config_file::read(Path::new(config_path), Config::parse).map_err(Exit::configuration)?;
    let failed =
        |what: &str, error: io::Error| Exit::failure(NAME, format_args!("{what}: {error}"));
    // Caught, so that an interruption is said, and half a list of verdicts is not taken for all of
    // it.
    let reactor = Signals::install(&[Signal::Term, Signal::Int])
        .and_then(Reactor::new)
        .map_err(|error| failed("cannot set up the event loop", error))?;
    let outcome = Verification::new(options, reactor)
        .run(config)
        .map_err(|error| failed("the comparison broke off", error))?;
    match outcome {
        Outcome::Good => Ok(()),
        Outcome::Bad => Err(Exit::silent(1)),
        Outcome::Interrupted => Err(Exit::failure(NAME, "interrupted")),
    }
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
