//! `fetch_logs`, the collector.

mod ack;
mod ask;
mod check;
mod list;
mod once;
mod status;
mod verify;
mod watch;

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use super::Applet;
use super::daemon::{self, Daemon};
use super::exit::Exit;
use super::options::{self, Parsed};
use super::seconds;
use crate::collect::config::Config;
use crate::collect::copy::directory_of;
use crate::collect::copy::pointer::BootId;
use crate::collect::shell::control::{self, Doors};
use crate::collect::shell::handed::Handed;
use crate::collect::shell::seats::{self, Taken};
use crate::collect::shell::{self, Collector, Form, Options, conf, reaches};
use crate::collect::source::Periods;
use crate::collect::view::summary::Count;
use crate::limits::CONFIG_ERRORS_MAX;
use crate::noise::key::Identity;
use crate::reactor::listener::Bound;
#[cfg(feature = "noise")]
use crate::store::key_file;
use crate::sys::boot_id;
use crate::sys::confine::Network;
use crate::sys::files;
use crate::sys::hooks::Hook;
use crate::sys::local_socket;
use crate::sys::outside::{self, Held};
use crate::sys::signals::Signals;
use crate::sys::stdio;
use crate::sys::trusted::{Place, make_dirs};
use crate::wire::seat::Seat;

/// Its name, its usage, and how it is started.
pub const APPLET: Applet = Applet {
    name: NAME,
    about: "keeps live copies of log files on many servers",
    usage: USAGE,
    run,
};

const NAME: &str = "fetch_logs";

const USAGE: &str = "\
usage: fetch_logs [-t] [-b] [-P PIDFILE] [-u USER] [-s] [-j]
                  [-r RETRY] [-w WAIT] [-i IDLE] [-g GROUP]
                  [-k KEYFILE] [-l ADDRESS:PORT] [-m FILE] [-x PROGRAM]
                  SNMP_DIR CONF
       fetch_logs verify [-a] [-q] [-J] [-k KEYFILE] [-w WAIT] [-j N]
                  SNMP_DIR CONF [BOX [LOG]]
       fetch_logs status [-a] [-j] [-r] [-w] SNMP_DIR [BOX]...
       fetch_logs ack SNMP_DIR BOX [LOG]
       fetch_logs check [-k KEYFILE] [-w WAIT] [-j] SNMP_DIR CONF
       fetch_logs list CONF
  SNMP_DIR    the directory of the status files, one for each server
  CONF        the configuration
  -t          check the configuration and exit
  -b          go to the background once everything that can fail has been tried
  -P PIDFILE  write the process number there
  -u USER     give up privileges before any file is opened
  -s          send events to syslog instead of stdout and stderr
  -r RETRY    seconds to wait after a first failure; grows to 60 (5)
  -j          events as JSON on stdout
  -g GROUP    members of the group may use the control socket, too
  -k KEYFILE  our private key, for sources with key=
  -l ADDRESS:PORT
              answer /status.json, /metrics and the page there, too
  -m FILE     write metrics for node_exporter's textfile collector there
  -x PROGRAM  run PROGRAM for each rotated, verified, healed, lost and differs
  -w WAIT     seconds to wait for a connection, and for an answer (3)
  -i IDLE     seconds without a byte, keep-alives included, after which a server is dead (120)
  -h, -V      show this help, show the version
verify compares the live and the last rotated copy of every source with the
server's files, prints a line for each, and may run beside the collector.
Its status is 0 if all is well and nothing is on record as lost.
  -a          all rotated copies, not only the last
  -q          only what is not as it should be
  -J          lines of JSON
  -j N        connections at the same time (8)
status shows how the sources of a running collector fare, those with troubles
first. Its status is 0 if all is well, 1 if something is lost or still to
come, 2 if a source is in error, 3 if no collector runs.
  -a          all sources, not only those with troubles
  -j          as JSON
  -r          nothing but its status, which is 0 if a collector runs, else 3
  -w          again and again, live
ack takes note of losses: the record gets another name, and the status of the
server is OK again.
check asks every server once whether it serves what is configured, and prints a
line for each source. Its status is 0 if all are served.
list prints a line for each finished copy: settled, packed, waits or noted, its
size and its path. Those that wait or are noted are to be left alone.
";

/// What else it does than to collect, by the first word.
const MODES: &[(&str, Mode)] = &[
    ("verify", verify::run),
    ("status", status::run),
    ("ack", ack::run),
    ("check", check::run),
    ("list", list::run),
];

type Mode = fn(&[OsString]) -> Result<(), Exit>;

fn run(_: &OsStr, args: &[OsString]) -> Result<(), Exit> {
    // Only as the very first word: later it could be the name of a directory.
    if let Some((first, rest)) = args.split_first()
        && let Some((_, run)) = MODES.iter().find(|(mode, _)| first == mode)
    {
        return run(rest);
    }
    let known = format!("tjr:w:i:k:l:m:g:x:{}", daemon::OPTIONS);
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
        form: match (options::has(&parsed, 's'), options::has(&parsed, 'j')) {
            (true, true) => return Err(misuse("-j is for stdout, and -s for syslog")),
            (true, false) => Form::Syslog,
            (false, true) => Form::Json,
            (false, false) => Form::Lines,
        },
        metrics: options::value(&parsed, 'm').map(metrics).transpose()?,
        hook: options::value(&parsed, 'x').map(hook).transpose()?,
        own: own(options::value(&parsed, 'k'))?,
        boot: boot_id().and_then(|id| BootId::new(&id)),
    };
    let config = read_config(&options)?;
    if options::has(&parsed, 't') {
        return judge(config);
    }
    for (said, word) in [(&config.faults, ""), (&config.warnings, "warning: ")] {
        if let Some(said) = said {
            // Where stderr is closed, nobody wants to know.
            let _ = stdio::complain(format!("{}\n", said.lines(word)).as_bytes());
        }
    }
    // Before the privileges are given up: ports below 1024 are for root.
    let port = options::value(&parsed, 'l').map(listen).transpose()?;
    let mut daemon = Daemon::start(NAME, &parsed)?;
    let known = || Handed::new(&options.config_path, &options.base_dir, &config);
    let handed = options.hook.is_some().then(known).map(Rc::new);
    let hook = handed.clone().zip(options.hook.clone());
    daemon.run_hook(hook.map(|(handed, program)| Hook {
        program,
        spares_stdout: options.form == Form::Json,
        accepts: Box::new(move |name, value| handed.accepts(name, value)),
    }));
    let texts = || {
        let texts = conf::gather(&options.config_path);
        if let Some(handed) = &handed {
            handed.learn(&texts);
        }
        outside::file_of(&texts.pack())
    };
    let rehearse = || rehearse(&options, &parsed).map_err(|exit| exit.message().to_owned());
    let held = (config, port);
    let (signals, held) = daemon.leave_helper(&texts, &rehearse, signals, held)?;
    let mut collector = begin(options, &parsed, &mut daemon, (signals, held))
        .map_err(|exit| daemon.failed(exit))?;
    let end = collector
        .run()
        .map_err(|error| Exit::failure(NAME, format_args!("the event loop failed: {error}")))?;
    let (port, signals, outside) = collector.let_go();
    daemon.finish(end, port, signals, outside)
}

fn misuse(what: &str) -> Exit {
    Exit::misuse(NAME, what, USAGE)
}

/// All that can fail in a successor and takes nothing away from whoever works. Makes the
/// directories that are missing, and returns which it cannot make.
fn rehearse(options: &Options, parsed: &Parsed) -> Result<String, Exit> {
    let config = read_config(options)?;
    probe(&options.snmp_dir)?;
    group(parsed)?;
    let mut unmade = Vec::new();
    conf::make_missing_dirs(&config, &mut |what| unmade.push(what.to_string()));
    unmade.truncate(CONFIG_ERRORS_MAX);
    Ok(unmade.join("\n"))
}

/// All that can fail in the process that works.
fn begin(
    options: Options,
    parsed: &Parsed,
    daemon: &mut Daemon,
    (signals, held): (Signals, Held<(Config, Option<Port>)>),
) -> Result<Collector, Exit> {
    let (config, port) = match held {
        Held::Kept(held) => held,
        Held::Handed(socket) => {
            let port = options::value(parsed, 'l');
            let port = port.map(|text| adopt(text, socket)).transpose()?;
            (read_config(&options)?, port)
        }
    };
    // After the forks and the change of the user: a record lock is not inherited, and the files
    // must belong to whom they are written by.
    let (seat, lock) = prepare(&options.snmp_dir, &config)?;
    let reactor = daemon.reactor(signals)?;
    let is_open = port.as_ref().is_some_and(|(bound, _)| !bound.is_loopback());
    // Behind the walls no directory can be made, and no socket.
    conf::make_missing_dirs(&config, &mut |what| daemon.warn(what));
    let doors = Doors {
        local: Some(make_socket(&options.snmp_dir, seat, parsed)?),
        port,
    };
    let inside = daemon.confine(reaches(&options, &config), Network::Connects)?;
    let held = shell::Held { seat, lock, doors };
    let collector = Collector::new(options, config, reactor, inside, held);
    if is_open {
        daemon.warn(format_args!(
            "the port of -l is no loopback: whoever reaches it can see, unencrypted, which logs there are and how they fare"
        ));
    }
    daemon.ready()?;
    Ok(collector)
}

fn read_config(options: &Options) -> Result<Config, Exit> {
    let mut config =
        conf::read(&options.config_path, &options.base_dir).map_err(Exit::configuration)?;
    let own = options.own.as_ref();
    config.set_own(own).map_err(Exit::configuration)?;
    Ok(config)
}

/// The keys of this side, by the file of `-k`.
fn own(path: Option<&OsStr>) -> Result<Option<Rc<Identity>>, Exit> {
    let Some(path) = path else {
        return Ok(None);
    };
    #[cfg(feature = "noise")]
    return match key_file::read(Path::new(path)) {
        Ok(own) => Ok(Some(Rc::new(own))),
        Err(unusable) => Err(Exit::configuration(unusable)),
    };
    #[cfg(not(feature = "noise"))]
    Err(Exit::failure(
        NAME,
        format_args!("-k {}: {}", path.display(), crate::noise::ABSENT),
    ))
}

/// Says what is wrong with a configuration, what may not be meant, and what it comes to.
fn judge(mut config: Config) -> Result<(), Exit> {
    if let Some(faults) = config.faults.take() {
        return Err(Exit::configuration(faults));
    }
    daemon::tell_abilities(NAME);
    // Where stderr is closed, nobody wants to know.
    let warn = |text: &str| _ = io::stderr().write_all(text.as_bytes());
    if let Some(warnings) = &config.warnings {
        warn(&format!("{}\n", warnings.lines("warning: ")));
    }
    let mut seen = BTreeSet::new();
    let mut servers = BTreeSet::new();
    for source in &config.sources {
        servers.insert(source.server().to_string());
        for file in [&source.local, &source.pointer] {
            let dir = directory_of(file);
            if !seen.insert(dir) || (source.makes_dirs && !dir.exists()) {
                continue;
            }
            let what = match std::fs::metadata(dir) {
                Ok(found) if !found.is_dir() => "is no directory",
                Ok(_) if !files::is_writable(dir) => "cannot be written to by this user",
                Ok(_) => continue,
                Err(_) => "is not there",
            };
            let (place, dir) = (config.place_of(source), dir.display());
            warn(&format!("{place}: warning: {dir} {what}\n"));
        }
    }
    for family in &config.families {
        servers.insert(family.source.server().to_string());
    }
    let sources = Count(config.sources.len(), "source");
    let servers = Count(servers.len(), "server");
    let patterns = match config.families.len() {
        0 => String::new(),
        count => format!(" and {}", Count(count, "pattern")),
    };
    super::print(&format!("ok: {sources}{patterns} on {servers}\n"))
}

/// The file of `-m`. What has that name is replaced, so it is one that is meant for metrics.
fn metrics(path: &OsStr) -> Result<PathBuf, Exit> {
    match Path::new(path).extension() {
        Some(end) if end == "prom" => absolute(path),
        _ => Err(misuse(
            "option -m takes a file whose name ends in .prom, or nobody would look at it",
        )),
    }
}

/// The program of `-x`, which has to be one.
fn hook(path: &OsStr) -> Result<PathBuf, Exit> {
    let path = absolute(path)?;
    let why = match std::fs::metadata(&path) {
        Err(error) => error.to_string(),
        Ok(found) if !found.is_file() => "it is no file".to_owned(),
        Ok(found) if found.permissions().mode() & 0o111 == 0 => {
            "it is not executable (chmod +x)".to_owned()
        }
        Ok(_) => return Ok(path),
    };
    let path = path.display();
    Err(Exit::failure(
        NAME,
        format_args!("cannot run the hook {path}: {why}"),
    ))
}

/// Listens where `-l` says.
fn listen(text: &OsStr) -> Result<Port, Exit> {
    let (addresses, name) = port_of(text)?;
    let mut bound = Err(ErrorKind::AddrNotAvailable.into());
    for address in addresses {
        bound = Bound::bind(address);
        if bound.is_ok() {
            break;
        }
    }
    let bound = bound.map_err(|error| {
        let text = text.display();
        Exit::failure(NAME, format_args!("cannot listen on {text}: {error}"))
    })?;
    Ok((bound, name))
}

/// Goes on with the socket of another process.
fn adopt(text: &OsStr, socket: Option<OwnedFd>) -> Result<Port, Exit> {
    let (addresses, name) = port_of(text)?;
    let is_right = |bound: &Bound| addresses.iter().any(|address| bound.is_at(*address));
    match socket.map(Bound::adopt).filter(is_right) {
        Some(bound) => Ok((bound, name)),
        None => listen(text),
    }
}

/// A socket that listens, and the name it was asked for by.
type Port = (Bound, Option<Box<str>>);

fn port_of(text: &OsStr) -> Result<Addresses, Exit> {
    let found = text.to_str().and_then(control::address_of);
    found.ok_or_else(|| misuse("option -l takes ADDRESS:PORT, such as 127.0.0.1:9119"))
}

type Addresses = (Vec<SocketAddr>, Option<Box<str>>);

/// Makes the control socket. Where it cannot be made the copies go on all the same.
fn make_socket(snmp_dir: &Path, seat: Seat, parsed: &Parsed) -> Result<Made, Exit> {
    let name = seat.file("sock");
    let made = local_socket::listen(snmp_dir, &name, group(parsed)?);
    Ok((made, snmp_dir.join(name)))
}

/// The group of `-g`.
fn group(parsed: &Parsed) -> Result<Option<u32>, Exit> {
    let group = options::value(parsed, 'g').map(|name| {
        let id = name.to_str().and_then(local_socket::group_id);
        let name = name.display();
        id.ok_or_else(|| Exit::failure(NAME, format_args!("there is no group {name}")))
    });
    group.transpose()
}

type Made = (io::Result<UnixListener>, PathBuf);

fn periods(parsed: &Parsed) -> Result<Periods, String> {
    Ok(Periods {
        retry_ms: seconds::option(parsed, 'r', 5_000)?,
        wait_ms: seconds::option(parsed, 'w', 3_000)?,
        idle_ms: seconds::option(parsed, 'i', 120_000)?,
    })
}

/// Makes sure that status files can be written, creating their directory if only that is missing:
/// it often stands in memory and is gone after a start of the host.
fn probe(snmp_dir: &Path) -> Result<(), Exit> {
    // Now and aloud, rather than at the first change of a status, when nobody listens any more.
    let probe = || {
        make_dirs(snmp_dir, 0o777)?;
        let name = format!(".fetch_logs.probe.{}", std::process::id());
        let place = Place::of(&snmp_dir.join(name))?;
        place.create_scratch(PROBE_MODE)?;
        place.unlink()
    };
    probe().map_err(|error| {
        let dir = snmp_dir.display();
        Exit::failure(
            NAME,
            format_args!("cannot write status files to {dir}: {error}"),
        )
    })
}

/// Takes a place in the directory of the status files. The file that is returned is locked, so that
/// no other collector has the same one.
fn prepare(snmp_dir: &Path, config: &Config) -> Result<(Seat, File), Exit> {
    probe(snmp_dir)?;
    let dir = snmp_dir.display();
    let taken = ask_again(
        || seats::take(snmp_dir, config),
        || thread::sleep(LOCK_PAUSE),
    );
    let taken = taken.map_err(|(path, error)| {
        Exit::failure(NAME, format_args!("cannot lock {path}: {error}"))
    })?;
    Err(match taken {
        Taken::Seat(seat, lock) => return Ok((seat, lock)),
        Taken::Same(pid) => Exit::failure(
            NAME,
            format_args!("another collector, process {pid}, writes status files to {dir}"),
        ),
        Taken::Unknown(pid, table, error) => Exit::failure(
            NAME,
            format_args!(
                "another collector, process {pid}, writes status files to {dir}, and its table {table} cannot be read: {error}"
            ),
        ),
        Taken::Full => Exit::failure(
            NAME,
            format_args!("no more collectors can write status files to {dir}"),
        ),
    })
}

/// Tries to get a seat as long as somebody has it, but not for ever: a collector that was killed
/// just now may still be ending, and a successor of it ends after it. One that has just begun still
/// has the table of the one before.
fn ask_again<E>(
    mut take: impl FnMut() -> Result<Taken, E>,
    mut pause: impl FnMut(),
) -> Result<Taken, E> {
    for _ in 0..LOCK_PAUSES {
        match take() {
            Ok(Taken::Same(_) | Taken::Unknown(..)) => pause(),
            result => return result,
        }
    }
    take()
}

/// Two seconds.
const LOCK_PAUSES: u32 = 40;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

const PROBE_MODE: u32 = 0o600;

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
            let take = || {
                Ok::<_, ()>(match paused.get() < held_for {
                    true => Taken::Same(7),
                    false => Taken::Full,
                })
            };
            let taken = ask_again(take, || paused.set(paused.get() + 1)).unwrap();
            let holder = matches!(taken, Taken::Same(_)).then_some(7);
            (holder, paused.get())
        };
        assert_eq!(ask(0), (None, 0));
        assert_eq!(ask(1), (None, 1));
        assert_eq!(ask(LOCK_PAUSES), (None, LOCK_PAUSES));
        assert_eq!(ask(u32::MAX), (Some(7), LOCK_PAUSES));
        let refused = ask_again(|| Err(ErrorKind::Other), || panic!("for nothing"));
        assert!(refused.is_err());
    }
}
