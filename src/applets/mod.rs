//! The command line: which applet, with which options, and the exit status it ends with.
//!
//! The name the program was called by decides, the historic names of fetchlogs 1.1 included; else
//! the first argument does; else the list of applets is shown. Every applet has a file here that
//! reads its options and starts it.

mod daemon;
#[cfg(feature = "demo")]
mod demo;
mod exit;
#[cfg(feature = "fetch_logs")]
mod fetch_logs;
#[cfg(feature = "gen_numbers")]
mod gen_numbers;
#[cfg(feature = "noise")]
mod keys;
#[cfg(any(feature = "gen_numbers", feature = "fetch_logs"))]
mod locals;
mod options;
#[cfg(feature = "fetch_logs")]
mod seconds;
#[cfg(feature = "fetch_logs")]
mod snmp_from_file;

use std::ffi::{OsStr, OsString};
use std::path::Path;

use self::exit::Exit;
use crate::sys::stdio;

/// One program of several in the binary.
struct Applet {
    name: &'static str,
    about: &'static str,
    usage: &'static str,
    run: fn(&OsStr, &[OsString]) -> Result<(), Exit>,
}

const APPLETS: &[Applet] = &[
    #[cfg(feature = "gen_numbers")]
    gen_numbers::APPLET,
    #[cfg(feature = "fetch_logs")]
    fetch_logs::APPLET,
    #[cfg(feature = "fetch_logs")]
    snmp_from_file::APPLET,
    #[cfg(feature = "noise")]
    keys::GENKEY,
    #[cfg(feature = "noise")]
    keys::PUBKEY,
    #[cfg(feature = "demo")]
    demo::APPLET,
];

/// Runs the applet that the command line names and tells its exit status: 0 fine, 1 a failure at
/// run time, 2 misuse of the command line, 78 a faulty configuration.
pub fn main(words: Vec<OsString>) -> u8 {
    // Whoever calls execve(2) may leave it empty; then the first argument decides.
    let (called, args) = match words.split_first() {
        Some((called, args)) => (called.as_os_str(), args),
        None => (OsStr::new(""), &words[..]),
    };
    let outcome = match applet_named(called) {
        Some(applet) => start(applet, called, args),
        None => start_first(called, args),
    };
    match outcome {
        Ok(()) => 0,
        Err(exit) => {
            exit.explain();
            exit.code()
        }
    }
}

/// The first argument names the applet.
fn start_first(called: &OsStr, args: &[OsString]) -> Result<(), Exit> {
    let Some((first, rest)) = args.split_first() else {
        return Err(Exit::misuse("fetchlogs", "name an applet", &overview()));
    };
    if let Some(applet) = applet_named(first) {
        return start(applet, called, rest);
    }
    match first.to_str() {
        Some("-h" | "--help") => print(&overview()),
        Some("-V" | "--version") => print(&version("fetchlogs")),
        _ => Err(Exit::misuse(
            "fetchlogs",
            &format!("there is no applet {}", first.display()),
            &overview(),
        )),
    }
}

fn start(applet: &Applet, called: &OsStr, args: &[OsString]) -> Result<(), Exit> {
    let asked = |short: &str, long: &str| {
        args.iter()
            // Behind that there are only operands, which may be called anything.
            .take_while(|arg| *arg != "--")
            .any(|arg| arg == short || arg == long)
    };
    if asked("-h", "--help") {
        // Before anything else of the command line is looked at: who asks for help may have the
        // rest wrong.
        return print(&format!("{}\n\n{}", applet.about, applet.usage));
    }
    if asked("-V", "--version") {
        return print(&version(applet.name));
    }
    (applet.run)(called, args)
}

/// The applet that a path or a word names, with or without the ending of its Perl ancestor.
fn applet_named(name: &OsStr) -> Option<&'static Applet> {
    // Links may stand in any directory.
    let name = Path::new(name).file_name()?.to_str()?;
    let name = name.strip_suffix(".pl").unwrap_or(name);
    APPLETS.iter().find(|applet| applet.name == name)
}

fn version(name: &str) -> String {
    format!("{name} {}\n", env!("CARGO_PKG_VERSION"))
}

fn overview() -> String {
    let mut text = String::from("usage: fetchlogs APPLET [ARGUMENT]...\n\napplets:\n");
    for applet in APPLETS {
        text.push_str(&format!("  {:<15} {}\n", applet.name, applet.about));
    }
    text.push_str("\nEvery applet knows -h and -V. A link named like an applet runs it.\n");
    text
}

/// Prints what was asked for. Nobody there to read it is a failure.
fn print(text: &str) -> Result<(), Exit> {
    // By hand, since `print!` panics where nobody reads.
    stdio::print(text.as_bytes())
        .map_err(|error| Exit::failure("fetchlogs", format_args!("cannot print: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn historic_names_and_paths_are_applets() {
        for (name, applet) in [
            ("gen_numbers", "gen_numbers"),
            ("/usr/sbin/gen_numbers.pl", "gen_numbers"),
            ("./fetch_logs", "fetch_logs"),
            ("/etc/snmp/snmp_from_file.pl", "snmp_from_file"),
            ("demo", "demo"),
        ] {
            assert_eq!(applet_named(OsStr::new(name)).map(|a| a.name), Some(applet));
        }
        for name in ["fetchlogs", "", "/", "gen_number", "gen_numbers.py"] {
            assert!(applet_named(OsStr::new(name)).is_none());
        }
    }

    #[test]
    fn every_applet_is_in_the_overview() {
        for applet in APPLETS {
            assert!(overview().contains(applet.name));
            assert!(applet.usage.starts_with("usage: "));
        }
    }
}
