//! `gen_numbers`, the log server.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
#[cfg(feature = "noise")]
use std::rc::Rc;

use super::Applet;
use super::daemon::{self, Daemon};
use super::exit::Exit;
use super::{locals, options};
#[cfg(feature = "noise")]
use crate::noise::key::Identity;
use crate::reactor::listener::Bound;
use crate::serve::config::Config;
use crate::serve::shell::{Server, bind, list, reaches, troubles};
use crate::store::config_file;
#[cfg(feature = "noise")]
use crate::store::key_file;
use crate::store::real::RealRead;
use crate::sys::confine::Network;
use crate::sys::outside::Held;
use crate::sys::signals::Signals;
use crate::sys::{files, stdio};

/// Its name, its usage, and how it is started.
pub const APPLET: Applet = Applet {
    name: NAME,
    about: "serves log files to the hosts it allows",
    usage: USAGE,
    run,
};

const NAME: &str = "gen_numbers";

const USAGE: &str = "\
usage: gen_numbers [-c CONF] [-t] [-l] [-b] [-P PIDFILE] [-u USER] [-s]
  -c CONF     the configuration; without it PROGRAM.locals beside the program
              if it is called by a name of its own, else /etc/gen_numbers.pl.locals
  -t          check the configuration and exit
  -l          list the files of each log, and what each is taken for, and exit
  -b          go to the background once everything that can fail has been tried
  -P PIDFILE  write the process number there
  -u USER     give up privileges after binding the port
  -s          send messages to syslog instead of stderr
  -h, -V      show this help, show the version
";

const DEFAULT_CONFIG: &str = "/etc/gen_numbers.pl.locals";

fn run(called: &OsStr, args: &[OsString]) -> Result<(), Exit> {
    let known = format!("c:tl{}", daemon::OPTIONS);
    let misuse = |what: &str| Exit::misuse(NAME, what, USAGE);
    let parsed = options::parse(args, &known).map_err(|bad| misuse(&bad.to_string()))?;
    let signals = daemon::catch_signals(NAME)?;
    if !parsed.operands.is_empty() {
        return Err(misuse("it takes no operands"));
    }
    let path = match options::value(&parsed, 'c') {
        Some(path) => PathBuf::from(path),
        None => locals::beside(called).unwrap_or_else(|| PathBuf::from(DEFAULT_CONFIG)),
    };
    let failed = |what: fmt::Arguments| Exit::failure(NAME, what);
    // A daemon leaves its directory, and SIGHUP reads the file again.
    let path = files::absolute(&path)
        .map_err(|error| failed(format_args!("cannot find {}: {error}", path.display())))?;
    let mut config = config_file::read(&path, Config::parse).map_err(Exit::configuration)?;
    // While there is the right to read it; successors of this process inherit it.
    let mut own = Own::default();
    own.read(&config)?;
    // Nothing was changed up to here, so the check may run beside a server that is at work.
    if options::has(&parsed, 't') {
        daemon::tell_abilities(NAME);
        let mut doubts: Vec<String> = config.doubts().collect();
        doubts.extend(troubles(&mut config));
        for doubt in doubts {
            let line = format!("{}: warning: {doubt}\n", path.display());
            // Where stderr is closed, nobody wants to know.
            let _ = stdio::complain(line.as_bytes());
        }
        return Ok(());
    }
    if options::has(&parsed, 'l') {
        let is_sound = list(&mut config, &mut |log| {
            let _ = stdio::print(log.as_bytes());
        });
        return match is_sound {
            true => Ok(()),
            false => Err(failed(format_args!("not all of these files can be read"))),
        };
    }
    // Before the privileges are given up: ports below 1024 are for root.
    let socket = listen(&config)?;
    let mut daemon = Daemon::start(NAME, &parsed)?;
    let held = (config, socket);
    let open = || files::open_without_waiting(&path);
    // A server asks for no rehearsal: nothing of what it needs can be had by one process only.
    let rehearse = || Ok(String::new());
    let (signals, held) = daemon.leave_helper(&open, &rehearse, signals, held)?;
    let mut server =
        begin(path, &mut daemon, signals, held, &mut own).map_err(|exit| daemon.failed(exit))?;
    let end = server
        .run()
        .map_err(|error| failed(format_args!("the event loop failed: {error}")))?;
    let (socket, signals, outside) = server.let_go();
    daemon.finish(end, socket, signals, outside)
}

/// The keys of this side, where the configuration asks for some, and the file that they are from.
#[cfg(feature = "noise")]
#[derive(Default)]
struct Own(Option<(PathBuf, Rc<Identity>)>);

#[cfg(not(feature = "noise"))]
#[derive(Default)]
struct Own {}

impl Own {
    /// Reads them, if they are not known: later this user may have no right to do so.
    #[cfg(feature = "noise")]
    fn read(&mut self, config: &Config) -> Result<(), Exit> {
        if let Some(fault) = config.sealing.fault() {
            return Err(Exit::configuration(fault));
        }
        let Some(path) = &config.sealing.private_key_file else {
            self.0 = None;
            return Ok(());
        };
        if self.0.as_ref().is_none_or(|(known, _)| known != path) {
            let own = key_file::read(path).map_err(Exit::configuration)?;
            self.0 = Some((path.clone(), Rc::new(own)));
        }
        Ok(())
    }

    /// Who succeeds another process has the key that this one had: so was it told at SIGHUP, and
    /// this user may have no right to read another one.
    #[cfg(feature = "noise")]
    fn stay(&self, config: &mut Config) {
        config.sealing.private_key_file = self.0.as_ref().map(|(path, _)| path.clone());
    }

    #[cfg(not(feature = "noise"))]
    fn stay(&self, _: &mut Config) {}

    #[cfg(not(feature = "noise"))]
    fn read(&mut self, _: &Config) -> Result<(), Exit> {
        Ok(())
    }
}

/// All that can fail in the process that works.
fn begin(
    path: PathBuf,
    daemon: &mut Daemon,
    signals: Signals,
    held: Held<(Config, Bound)>,
    own: &mut Own,
) -> Result<Server, Exit> {
    let (config, socket) = match held {
        Held::Kept(held) => held,
        Held::Handed(socket) => {
            let (mut config, socket) = succeed(&path, socket)?;
            own.stay(&mut config);
            (config, socket)
        }
    };
    own.read(&config)?;
    let reactor = daemon.reactor(signals)?;
    // It knows this boot, of which nothing can be read behind the walls.
    let store = RealRead::new();
    let inside = daemon.confine(reaches(&config), Network::Accepts)?;
    let report = daemon.report();
    let server = Server::new(path, config, socket, reactor, report, inside, store)
        .map_err(|error| Exit::failure(NAME, format_args!("cannot start: {error}")))?;
    #[cfg(feature = "noise")]
    let server = server.sealed(own.0.take().map(|(_, own)| own));
    // Whoever waits for a daemon with `-b` hears that it works.
    daemon.ready()?;
    Ok(server)
}

fn listen(config: &Config) -> Result<Bound, Exit> {
    bind(config).map_err(|error| {
        Exit::failure(
            NAME,
            format_args!("cannot listen on {}: {error}", config.bind),
        )
    })
}

/// What a process begins with that goes on where another one was shut out. A new place to listen
/// that is not to be had was told of at SIGHUP.
fn succeed(path: &Path, socket: Option<OwnedFd>) -> Result<(Config, Bound), Exit> {
    let config = config_file::read(path, Config::parse).map_err(Exit::configuration)?;
    let socket = match socket.map(Bound::adopt) {
        Some(adopted) if adopted.is_at(config.bind) => adopted,
        adopted => listen(&config).or_else(|exit| adopted.ok_or(exit))?,
    };
    Ok((config, socket))
}
