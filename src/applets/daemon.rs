//! The start of both daemons: background, pid file, user, signals.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use super::exit::Exit;
use super::options::{self, Parsed};
use crate::limits::SUCCESSOR_RETRY_MS;
use crate::reactor::{End, Reactor};
use crate::report::Report;
use crate::sys::confine::{self, Confinement, Network, Reaches};
use crate::sys::hooks::Hook;
use crate::sys::outside::{self, Held, Inside, Outside, Rehearsal, Task};
use crate::sys::process::{
    Background, PidFile, Role, drop_privileges, empty_bounding_set, set_process_name,
};
use crate::sys::signals::{Signals, ignore_stray_signals};
use crate::sys::{env, notify};

/// The letters of the options that this module understands.
pub const OPTIONS: &str = "bsP:u:";

/// Catches the signals a daemon acts on, as the first thing it does: one that comes early must not
/// end it. They wait until the event loop runs.
pub fn catch_signals(program: &str) -> Result<Signals, Exit> {
    Signals::install(Signals::ALL)
        .map_err(|error| Exit::failure(program, format_args!("cannot catch signals: {error}")))
}

/// A daemon that has taken all steps but the last.
pub struct Daemon {
    program: &'static str,
    background: Option<Background>,
    pid_file: Option<PidFile>,
    outside: Option<Outside>,
    is_successor: bool,
    to_syslog: bool,
    hook: Option<Hook>,
}

impl Daemon {
    /// Goes to the background, writes the pid file and gives up privileges, as far as the options
    /// say so. Whatever needs privileges, and whatever the operator should hear of at once, comes
    /// before.
    pub fn start(program: &'static str, parsed: &Parsed) -> Result<Daemon, Exit> {
        let failed =
            |what: &str, error: io::Error| Exit::failure(program, format_args!("{what}: {error}"));
        // Before the fork, which hands it on: `ps` shows the name of the applet and not of the
        // binary.
        set_process_name(program);
        ignore_stray_signals();
        // The number of the process changes with this, so it comes before the pid file is written.
        let background = if options::has(parsed, 'b') {
            match Background::fork()
                .map_err(|error| failed("cannot go to the background", error))?
            {
                Role::Parent { status } => return Err(Exit::silent(status)),
                Role::Child(background) => Some(background),
            }
        } else {
            None
        };
        let pid_file = options::value(parsed, 'P')
            .map(|path| create_pid_file(program, path))
            .transpose()?;
        // While there is the right to do so. It does not touch what this process itself may do.
        empty_bounding_set();
        // Last, since the pid file often stands where only root may write.
        if let Some(user) = options::value(parsed, 'u') {
            let user = user.to_string_lossy();
            drop_privileges(&user)
                .map_err(|error| failed(&format!("cannot become the user {user}"), error))?;
        }
        Ok(Daemon {
            program,
            background,
            pid_file,
            outside: None,
            is_successor: false,
            to_syslog: options::has(parsed, 's'),
            hook: None,
        })
    }

    /// Has the helper run a program for what happens, whenever it is asked.
    #[cfg(feature = "fetch_logs")]
    pub fn run_hook(&mut self, hook: Option<Hook>) {
        self.hook = hook;
    }

    /// Leaves a helper outside of the walls to come, if this kernel can confine files, or there is
    /// a program to run. What only one process may have is given in `held`. Returns in each
    /// successor of this process, too, with what that is handed ([`outside::split`]).
    pub fn leave_helper<T>(
        &mut self,
        config: &dyn Fn() -> io::Result<File>,
        rehearse: &dyn Fn() -> Rehearsal,
        signals: Signals,
        held: T,
    ) -> Result<(Signals, Held<T>), Exit> {
        if confine::abilities().landlock == 0 && self.hook.is_none() {
            return Ok((signals, Held::Kept(held)));
        }
        let task = Task {
            config,
            rehearse,
            pid_file: self.pid_file.as_ref(),
            is_background: self.background.is_some(),
            hook: self.hook.as_ref(),
        };
        let (outside, signals, held) = outside::split(&task, signals, held).map_err(|error| {
            Exit::failure(self.program, format_args!("cannot start a helper: {error}"))
        })?;
        self.outside = Some(outside);
        if let Held::Handed(_) = held {
            set_process_name(self.program);
            self.is_successor = true;
            self.background = None;
        }
        Ok((signals, held))
    }

    /// Builds the walls, as far as this kernel has them. Only what `reaches` name can be opened
    /// from here on, one half of the network is closed, and nothing can be executed.
    pub fn confine(&mut self, reaches: Reaches, network: Network) -> Result<Inside, Exit> {
        let walls = Confinement::build(reaches, network).map_err(|error| {
            Exit::failure(self.program, format_args!("cannot confine itself: {error}"))
        })?;
        Ok(Inside {
            walls,
            outside: self.outside.take(),
        })
    }

    /// Where the daemon's own messages go.
    pub fn report(&self) -> Report {
        match self.to_syslog {
            true => Report::to_syslog(self.program),
            false => Report::to_stderr(self.program),
        }
    }

    /// Says what is not wrong, and may not be meant; once, whoever takes over later.
    #[cfg(feature = "fetch_logs")]
    pub fn warn(&self, what: std::fmt::Arguments<'_>) {
        if !self.is_successor {
            self.report().say(what);
        }
    }

    /// Takes note that a process could not begin to work. Where it should have taken over, the
    /// helper will start it again, and the operator, who is not there any more, is told.
    pub fn failed(&self, exit: Exit) -> Exit {
        if !self.is_successor {
            return exit;
        }
        self.report().say(format_args!(
            "no new process can take over, the next try is in {} seconds: {}",
            SUCCESSOR_RETRY_MS / 1000,
            exit.message()
        ));
        Exit::silent(1)
    }

    /// After the event loop, and after everything else was let go. Hands over to a successor, if
    /// that is how it ended, and accompanies it to its end.
    pub fn finish(
        self,
        end: End,
        socket: Option<OwnedFd>,
        signals: Signals,
        outside: Option<Outside>,
    ) -> Result<(), Exit> {
        let Some(outside) = outside else {
            return Ok(());
        };
        let status = match end {
            End::Stopped => 0,
            End::ShutOut => outside.hand_over(socket, signals),
        };
        outside.remove_pid_file();
        match status {
            0 => Ok(()),
            status => Err(Exit::silent(status)),
        }
    }

    /// The event loop.
    pub fn reactor(&self, signals: Signals) -> Result<Reactor, Exit> {
        Reactor::new(signals).map_err(|error| {
            Exit::failure(
                self.program,
                format_args!("cannot set up the event loop: {error}"),
            )
        })
    }

    /// Everything that can fail has been tried: the service manager is told, if there is one, and
    /// the process that waits in the foreground may end.
    pub fn ready(&mut self) -> Result<(), Exit> {
        let manager = env::variable(c"NOTIFY_SOCKET").filter(|_| !self.is_successor);
        if let Some(manager) = manager {
            // A manager that cannot be told gives up on its own; until then the logs are served.
            let _ = notify::ready(manager);
        }
        let Some(background) = self.background.take() else {
            return Ok(());
        };
        background.ready().map_err(|error| {
            Exit::failure(
                self.program,
                format_args!("cannot go to the background: {error}"),
            )
        })
    }
}

/// Says on stdout what this kernel can confine, for whoever checks a configuration.
pub fn tell_abilities(program: &str) {
    // Where stdout is closed, nobody wants to know.
    let _ = super::print(&format!("{program}: {}\n", confine::abilities()));
}

fn create_pid_file(program: &str, path: &OsStr) -> Result<PidFile, Exit> {
    let path = Path::new(path);
    PidFile::create(path).map_err(|error| {
        Exit::failure(
            program,
            format_args!("cannot write the pid file {}: {error}", path.display()),
        )
    })
}
