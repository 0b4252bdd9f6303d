//! `fetch_logs check`, which asks every server once whether it would serve what is configured.

use std::ffi::OsString;
use std::io;
use std::path::Path;

use super::{NAME, USAGE};
use crate::applets::exit::Exit;
use crate::applets::options;
use crate::applets::seconds;
use crate::collect::config::Config;
use crate::collect::shell::check::{Checking, Options, Outcome};
use crate::reactor::Reactor;
use crate::store::config_file;
use crate::sys::signals::{Signal, Signals};

/// Runs it with the arguments behind its name.
pub fn run(args: &[OsString]) -> Result<(), Exit> {
    let misuse = |what: &str| Exit::misuse(NAME, what, USAGE);
    let parsed = options::parse(args, "jw:").map_err(|bad| misuse(&bad.to_string()))?;
    // The status files are not touched; they are named so that the operands are those of the
    // collector.
    let [_snmp_dir, config_path] = parsed.operands.as_slice() else {
        return Err(misuse("check takes two operands, SNMP_DIR and CONF"));
    };
    let options = Options {
        wait_ms: seconds::option(&parsed, 'w', 3_000).map_err(|bad| misuse(&bad))?,
        json: options::has(&parsed, 'j'),
    };
    let config =
        config_file::read(Path::new(config_path), Config::parse).map_err(Exit::configuration)?;
    let failed =
        |what: &str, error: io::Error| Exit::failure(NAME, format_args!("{what}: {error}"));
    let reactor = Signals::install(&[Signal::Term, Signal::Int])
        .and_then(Reactor::new)
        .map_err(|error| failed("cannot set up the event loop", error))?;
    match Checking::new(options, reactor).run(config) {
        Ok(Outcome::Good) => Ok(()),
        Ok(Outcome::Bad) => Err(Exit::silent(1)),
        Ok(Outcome::Interrupted) => Err(Exit::failure(NAME, "interrupted")),
        Err(error) => Err(failed("the check broke off", error)),
    }
}
