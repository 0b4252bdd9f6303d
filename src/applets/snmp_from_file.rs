//! `snmp_from_file`, the helper of net-snmp's agent.

use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::exit::Exit;
use super::{Applet, locals, options, seconds};
use crate::snmp::instance::Forms;
use crate::snmp::locals::Locals;
use crate::snmp::oid::Oid;
use crate::snmp::{self, Options};
use crate::sys::files;

/// Its name, its usage, and how it is started.
pub const APPLET: Applet = Applet {
    name: NAME,
    about: "shows the status files to net-snmp (pass_persist)",
    usage: USAGE,
    run,
};

const NAME: &str = "snmp_from_file";

const USAGE: &str = "\
usage: snmp_from_file [-d SNMP_DIR] [-o BASE_OID] [-S STALE] [-w]
  -d SNMP_DIR  the directory of the status files (/var/snmp_data)
  -o BASE_OID  where the values hang in the tree (.1.3.6.1.4.99)
  -S STALE     seconds after which a status file counts as stale (120)
  -w           a walk shows BASE_OID.1.IP too, as it did before
  -h, -V       show this help, show the version
";

fn run(called: &OsStr, args: &[OsString]) -> Result<(), Exit> {
    let misuse = |what: &str| Exit::misuse(NAME, what, USAGE);
    let parsed = options::parse(args, "d:o:S:w").map_err(|bad| misuse(&bad.to_string()))?;
    if !parsed.operands.is_empty() {
        return Err(misuse("it takes no operands"));
    }
    // All complaints come before `run`, from which on nothing may be said on stderr.
    let mut chosen = match locals::beside(called) {
        Some(file) => set_by(&file)?,
        None => Options::default(),
    };
    if let Some(dir) = options::value(&parsed, 'd') {
        chosen.dir = dir.into();
    }
    if let Some(base) = options::value(&parsed, 'o') {
        chosen.base = Oid::parse(base.as_bytes()).ok_or_else(|| {
            misuse("option -o takes a numeric object identifier, such as .1.3.6.1.4.99")
        })?;
    }
    if let Some(stale) = options::value(&parsed, 'S') {
        chosen.stale_ms = stale
            .to_str()
            .and_then(seconds::to_ms)
            .ok_or_else(|| misuse("option -S takes seconds, such as 120"))?;
    }
    if options::has(&parsed, 'w') {
        chosen.forms = Forms::Both;
    }
    match snmp::run(&chosen) {
        0 => Ok(()),
        status => Err(Exit::silent(u8::try_from(status).unwrap_or(1))),
    }
}

/// What the file of settings of fetchlogs 1.1 says.
fn set_by(path: &Path) -> Result<Options, Exit> {
    let faulty =
        |what: &dyn Display| Exit::configuration(format_args!("{}: {what}", path.display()));
    let text =
        files::open_without_waiting(path).and_then(|file| files::read_small(&file, LOCALS_LEN));
    let text = text.map_err(|error| faulty(&error))?;
    let text = str::from_utf8(&text).map_err(|error| faulty(&error))?;
    let set = Locals::parse(text).map_err(|line| {
        faulty(&format_args!(
            "line {line} is not understood; the file can set $snmp_data_dir, $root_mib and $stale_timeout"
        ))
    })?;
    let mut chosen = Options::default();
    if let Some(dir) = set.dir {
        chosen.dir = dir.into();
    }
    if let Some(base) = set.base {
        chosen.base = Oid::parse(base.as_bytes()).ok_or_else(|| {
            faulty(&"$root_mib is no numeric object identifier, such as .1.3.6.1.4.99")
        })?;
    }
    if let Some(stale) = set.stale {
        let stale = seconds::to_ms(stale);
        chosen.stale_ms = stale.ok_or_else(|| faulty(&"$stale_timeout is no number of seconds"))?;
    }
    Ok(chosen)
}

/// Longer than any that there is.
const LOCALS_LEN: usize = 64 * 1024;
