//! `fetch_logs verify`, which compares the copies with the servers' files.

use std::ffi::OsString;

use super::{misuse, once};
use crate::applets::exit::Exit;
use crate::applets::options::{self, Parsed};
use crate::applets::seconds;
use crate::collect::shell::verify::{Options, Verification};
use crate::limits::{VERIFY_CONNECTIONS, VERIFY_CONNECTIONS_MAX};

/// Runs it with the arguments behind its name.
pub fn run(args: &[OsString]) -> Result<(), Exit> {
    let parsed = options::parse(args, "w:j:").map_err(|bad| misuse(&bad.to_string()))?;
    let config_path = once::config_path("verify", &parsed)?;
    let options = Options {
        connections: connections(&parsed).map_err(|bad| misuse(&bad))?,
        wait_ms: seconds::option(&parsed, 'w', 3_000).map_err(|bad| misuse(&bad))?,
    };
    let (config, reactor) = once::prepare(config_path)?;
    let outcome = Verification::new(options, reactor).run(config);
    once::exit(outcome, "the comparison broke off")
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
