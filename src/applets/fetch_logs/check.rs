//! `fetch_logs check`, which asks every server once whether it would serve what is configured.

use std::ffi::OsString;

use super::{misuse, once};
use crate::applets::exit::Exit;
use crate::applets::options;
use crate::applets::seconds;
use crate::collect::shell::check::{Checking, Options};

/// Runs it with the arguments behind its name.
pub fn run(args: &[OsString]) -> Result<(), Exit> {
    let parsed = options::parse(args, "jk:w:").map_err(|bad| misuse(&bad.to_string()))?;
    let config_path = once::config_path("check", &parsed)?;
    let options = Options {
        wait_ms: seconds::option(&parsed, 'w', 3_000).map_err(|bad| misuse(&bad))?,
        json: options::has(&parsed, 'j'),
    };
    let (config, reactor) = once::prepare(config_path, &parsed)?;
    let outcome = Checking::new(options, reactor).run(config);
    once::exit(outcome, "the check broke off")
}
