//! `fetch_logs`, the collector.

mod verify;

use std::ffi::{OsStr, OsString};
use std::fs::{File, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::Applet;
use super::daemon::{self, Daemon};
use super::exit::Exit;
use super::options::{self, Parsed};
use super::seconds;
use crate::collect::config::Config;
use crate::collect::copy::pointer::BootId;
use crate::collect::shell::{Collector, Options, reaches};
use crate::collect::source::Periods;
use crate::store::config_file;
use crate::sys::boot_id;
use crate::sys::confine::Network;
use crate::sys::files;
use crate::sys::outside::Held;
use crate::sys::signals::Signals;
use crate::sys::trusted::{Place, make_dirs};

/// Its name, its usage, and how it is started.
pub const APPLET: Applet = Applet {
    name: NAME,
    about: "keeps live copies of log files on many servers",
    usage: USAGE,
    run,
};

const NAME: &str = "fetch_logs";

const USAGE: &str = "\
usage: fetch_logs [-t] [-b] [-P PIDFILE] [-u USER] [-s]
                  [-r RETRY] [-w WAIT] [-i IDLE] SNMP_DIR CONF
       fetch_logs verify [-w WAIT] [-j N] SNMP_DIR CONF
  SNMP_DIR    the directory of the status files, one for each server
  CONF        the configuration
  -t          check the configuration and exit
  -b          go to the background once everything that can fail has been tried
  -P PIDFILE  write the process number there
  -u USER     give up privileges before any file is opened
  -s          send events to syslog instead of stdout and stderr
  -r RETRY    seconds to wait after a first failure; grows to 60 (5)
  -w WAIT     seconds to wait for a connection, and for an answer (3)
  -i IDLE     seconds without a byte, keep-alives included, after which a server is dead (120)
  -h, -V      show this help, show the version
verify compares the live and the last rotated copy of every source with the
server's files, prints a line for each, and may run beside the collector.
Its status is 0 if all is well and nothing is on record as lost.
  -j N        connections at the same time (8)
";

fn run(_: &OsStr, args: &[OsString]) -> Result<(), Exit> {
    // Only as the very first word: later it could be the name of a directory.
    if let Some((first, rest)) = args.split_first()
        && first == "verify"
    {
        return verify::run(rest);
    }
    let known = format!("tr:w:i:{}", daemon::OPTIONS);
    let misuse = |what: &str| Exit::misuse(NAME, what, USAGE);
    let parsed = options::parse(args, &known).map_err(|bad| misuse(&bad.to_string()))?;
    let signals = daemon::catch_signals(NAME)?;
    let [snmp_dir, config_path] = parsed.operands.as_slice() else {
        return Err(misuse("it takes two operands, SNMP_DIR and CONF"));
    };
    let periods = periods(&parsed).map_err(|bad| misuse(&bad))?;
    let options = Options {
        snmp_dir: absolute(snmp_dir)?,
        config_path: absolute(config_path)?,
        // A daemon leaves its directory; relative paths in the configuration mean this one.
        base_dir: absolute(OsStr::new("."))?,
        periods,
        syslog: options::has(&parsed, 's'),
        boot: boot_id().and_then(|id| BootId::new(&id)),
    };
    let config = read_config(&options)?;
    if options::has(&parsed, 't') {
        daemon::tell_abilities(NAME);
        return Ok(());
    }
    let mut daemon = Daemon::start(NAME, &parsed)?;
    let (signals, held) = daemon.leave_helper(&options.config_path, signals, config)?;
    let (mut collector, lock) =
        begin(options, &mut daemon, signals, held).map_err(|exit| daemon.failed(exit))?;
    let end = collector
        .run()
        .map_err(|error| Exit::failure(NAME, format_args!("the event loop failed: {error}")))?;
    let (signals, outside) = collector.let_go();
    drop(lock);
    daemon.finish(end, None, signals, outside)
}

/// All that can fail in the process that works.
fn begin(
    options: Options,
    daemon: &mut Daemon,
    signals: Signals,
    held: Held<Config>,
) -> Result<(Collector, File), Exit> {
    let config = match held {
        Held::Kept(config) => config,
        Held::Handed(_) => read_config(&options)?,
    };
    // After the forks and the change of the user: a record lock is not inherited, and the files
    // must belong to whom they are written by.
    let lock = prepare(&options.snmp_dir)?;
    let reactor = daemon.reactor(signals)?;
    let inside = daemon.confine(reaches(&options.snmp_dir, &config), Network::Connects)?;
    let collector = Collector::new(options, config, reactor, inside);
    daemon.ready()?;
    Ok((collector, lock))
}

fn read_config(options: &Options) -> Result<Config, Exit> {
    let parse = |text: &[u8]| Config::parse_in(&options.base_dir, text);
    config_file::read(&options.config_path, parse).map_err(Exit::configuration)
}

fn periods(parsed: &Parsed) -> Result<Periods, String> {
    Ok(Periods {
        retry_ms: seconds::option(parsed, 'r', 5_000)?,
        wait_ms: seconds::option(parsed, 'w', 3_000)?,
        idle_ms: seconds::option(parsed, 'i', 120_000)?,
    })
}

/// Makes sure that status files can be written, creating their directory if only that is missing:
/// it often stands in memory and is gone after a start of the host. The file that is returned is
/// locked, so that no other collector writes them.
fn prepare(snmp_dir: &Path) -> Result<File, Exit> {
    // Now and aloud, rather than at the first change of a status, when nobody listens any more.
    let probe = || {
        make_dirs(snmp_dir)?;
        let place = Place::of(&snmp_dir.join(".fetch_logs.tmp"))?;
        place.create_scratch(LOCK_MODE)?;
        place.unlink()
    };
    probe().map_err(|error| {
        let dir = snmp_dir.display();
        Exit::failure(
            NAME,
            format_args!("cannot write status files to {dir}: {error}"),
        )
    })?;
    let path = snmp_dir.join(".fetch_logs.lock");
    let failed = |error| {
        let path = path.display();
        Exit::failure(NAME, format_args!("cannot lock {path}: {error}"))
    };
    let file = open_lock(&path).map_err(failed)?;
    let holder = ask_again(|| files::try_lock(&file), || thread::sleep(LOCK_PAUSE));
    match holder.map_err(failed)? {
        None => Ok(file),
        Some(pid) => {
            let dir = snmp_dir.display();
            Err(Exit::failure(
                NAME,
                format_args!("another collector, process {pid}, writes status files to {dir}"),
            ))
        }
    }
}

/// Tries to get a lock as long as somebody has it, but not for ever: a collector that was killed
/// just now may still be ending, and a successor of it ends after it.
fn ask_again(
    mut try_lock: impl FnMut() -> io::Result<Option<u32>>,
    mut pause: impl FnMut(),
) -> io::Result<Option<u32>> {
    for _ in 0..LOCK_PAUSES {
        match try_lock() {
            Ok(Some(_)) => pause(),
            result => return result,
        }
    }
    try_lock()
}

/// Two seconds.
const LOCK_PAUSES: u32 = 40;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// Not emptied and never removed: to remove a lock file would let two hold locks on two files.
fn open_lock(path: &Path) -> io::Result<File> {
    let place = Place::of(path)?;
    let file = match place.create_new(LOCK_MODE) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => place.open_write()?,
        result => result?,
    };
    // Of an older version it is for everybody to read. Somebody else's stays as it is.
    let _ = file.set_permissions(Permissions::from_mode(LOCK_MODE));
    Ok(file)
}

/// Whoever can read a file can lock it for reading, and so keep us from locking it.
const LOCK_MODE: u32 = 0o600;

fn absolute(path: &OsStr) -> Result<PathBuf, Exit> {
    files::absolute(Path::new(path)).map_err(|error| {
        Exit::failure(
            NAME,
            format_args!("cannot find {}: {error}", path.display()),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_of_one_that_is_ending_is_waited_for_and_no_other() {
        let ask = |held_for: u32| {
            let paused = std::cell::Cell::new(0);
            let held = || Ok((paused.get() < held_for).then_some(7));
            let holder = ask_again(held, || paused.set(paused.get() + 1));
            (holder.unwrap(), paused.get())
        };
        assert_eq!(ask(0), (None, 0));
        assert_eq!(ask(1), (None, 1));
        assert_eq!(ask(LOCK_PAUSES), (None, LOCK_PAUSES));
        assert_eq!(ask(u32::MAX), (Some(7), LOCK_PAUSES));
        let refused = ask_again(|| Err(ErrorKind::Other.into()), || panic!("for nothing"));
        assert!(refused.is_err());
    }
}
