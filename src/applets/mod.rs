//! Command lines and dispatch.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::ExitCode;

use crate::snmp;
use crate::snmp::oid::Oid;

/// Runs the applet that the command line names.
pub fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let called = args.next().unwrap_or_default();
    let is_helper = |name: &OsString| {
        Path::new(name)
            .file_name()
            .is_some_and(|name| matches!(name.as_bytes(), b"snmp_from_file" | b"snmp_from_file.pl"))
    };
    if !is_helper(&called) && !args.next().is_some_and(|name| is_helper(&name)) {
        eprintln!("fetchlogs: applets: snmp_from_file");
        return ExitCode::from(2);
    }
    match snmp_options(args) {
        Some(options) => ExitCode::from(u8::try_from(snmp::run(&options)).unwrap_or(1)),
        None => {
            eprintln!("usage: snmp_from_file [-d SNMP_DIR] [-o BASE_OID] [-S STALE]");
            ExitCode::from(2)
        }
    }
}

fn snmp_options(mut args: impl Iterator<Item = OsString>) -> Option<snmp::Options> {
    let mut options = snmp::Options::default();
    while let Some(flag) = args.next() {
        let value = args.next()?;
        match flag.as_bytes() {
            b"-d" => options.dir = value.into(),
            b"-o" => options.base = Oid::parse(value.as_bytes())?,
            b"-S" => {
                let stale: f64 = value.to_str()?.parse().ok()?;
                options.stale_ms = (stale * 1000.0) as u64;
            }
            _ => return None,
        }
    }
    Some(options)
}
