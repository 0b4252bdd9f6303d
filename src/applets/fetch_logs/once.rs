//! What modes have in common that do something once for all sources and end.

use std::fmt::Display;
use std::io;
use std::path::Path;

use super::{NAME, misuse, own};
use crate::applets::exit::Exit;
use crate::applets::options::{self, Parsed};
use crate::collect::config::Config;
use crate::collect::shell::conf;
use crate::collect::shell::outcome::Outcome;
use crate::reactor::Reactor;
use crate::sys::signals::{Signal, Signals};
use crate::sys::stdio;

/// The configuration file among the operands of `mode`.
pub fn config_path<'a>(mode: &str, parsed: &'a Parsed) -> Result<&'a Path, Exit> {
    // The status files are not touched; they are named so that the operands are those of the
    // collector.
    match parsed.operands.as_slice() {
        [_snmp_dir, config_path] => Ok(Path::new(config_path)),
        _ => Err(misuse(&format!(
            "{mode} takes two operands, SNMP_DIR and CONF"
        ))),
    }
}

/// Reads the configuration and the key of `-k`, and sets up the event loop.
pub fn prepare(config_path: &Path, parsed: &Parsed) -> Result<(Config, Reactor), Exit> {
    let mut config = conf::read(config_path, Path::new("")).map_err(Exit::configuration)?;
    let own = own(options::value(parsed, 'k'))?;
    config.set_own(own.as_ref()).map_err(Exit::configuration)?;
    if let Some(faults) = &config.faults {
        // Where stderr is closed, nobody wants to know.
        let _ = stdio::complain(format!("{}\n", faults.lines("")).as_bytes());
    }
    // Caught, so that an interruption is said, and half a list is not taken for all of it.
    let reactor = Signals::install(&[Signal::Term, Signal::Int])
        .and_then(Reactor::new)
        .map_err(|error| failed("cannot set up the event loop", &error))?;
    Ok((config, reactor))
}

/// The exit that an outcome stands for. `what` broke off where there is none.
pub fn exit(outcome: io::Result<Outcome>, what: &str) -> Result<(), Exit> {
    match outcome {
        Ok(Outcome::Good) => Ok(()),
        Ok(Outcome::Bad) => Err(Exit::silent(1)),
        Ok(Outcome::Interrupted) => Err(Exit::failure(NAME, "interrupted")),
        Err(error) => Err(failed(what, &error)),
    }
}

fn failed(what: &str, error: &dyn Display) -> Exit {
    Exit::failure(NAME, format_args!("{what}: {error}"))
}
