//! A daemon whose system calls fail, or kill it, at a place of our choice. strace does that, from behind: the process
//! that is started is the daemon itself.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::super::{FETCHLOGS, outside_program, skipped};

/// How to run the daemon.
pub struct Strace {
    program: PathBuf,
    calls: String,
    effect: Option<Effect>,
    paths: Vec<PathBuf>,
    trace: PathBuf,
}

/// What happens at a call.
enum Effect {
    /// It fails with this error.
    Error(String),
    /// SIGKILL comes before the one with this number.
    Kill(usize),
}

/// The program, if it is there and this system lets it trace.
pub fn program() -> Option<PathBuf> {
    let program = outside_program("strace")?;
    let mut trial = Command::new(&program);
    trial.args(["-D", "-f", "--seccomp-bpf", "-etrace=inotify_init1", "-o"]);
    trial.args(["/dev/null", "true"]);
    let works = trial.status().is_ok_and(|status| status.success());
    if !works {
        assert!(
            std::env::var_os("CI").is_none(),
            "strace may not trace here"
        );
        skipped("strace may not trace here");
    }
    works.then_some(program)
}

impl Strace {
    /// Follows these system calls, separated by commas; a `?` before one that not every machine has.
    pub fn new(calls: &str) -> Strace {
        Strace {
            program: program().expect("strace was there a moment ago"),
            calls: calls.into(),
            effect: None,
            paths: Vec::new(),
            trace: "/dev/null".into(),
        }
    }

    /// They fail. `error` is an error's name and perhaps which of the calls: `ENOSPC:when=2..4`.
    pub fn failing(mut self, error: &str) -> Strace {
        self.effect = Some(Effect::Error(error.into()));
        self
    }

    /// The `n`th of them never happens, because SIGKILL comes first.
    pub fn killing_before(mut self, n: usize) -> Strace {
        self.effect = Some(Effect::Kill(n));
        self
    }

    /// Only those of them that have to do with these paths.
    pub fn on(mut self, paths: &[PathBuf]) -> Strace {
        self.paths = paths.into();
        self
    }

    /// They are written down, one a line, with the paths of their descriptors.
    pub fn into_trace(mut self, path: &Path) -> Strace {
        self.trace = path.into();
        self
    }

    /// The daemon's program, without arguments yet.
    pub fn command(self) -> Command {
        let mut command = Command::new(self.program);
        command.args(["-D", "-f", "-qq", "-o"]).arg(self.trace);
        command.arg(format!("-etrace={}", self.calls));
        match self.effect {
            // Fast, for it stops at no other calls; but then signals do not come.
            Some(Effect::Error(error)) => {
                command.arg("--seccomp-bpf");
                command.arg(format!("-einject={}:error={error}", self.calls));
            }
            Some(Effect::Kill(n)) => {
                command.arg(format!("-einject={}:signal=KILL:when={n}", self.calls));
            }
            // What a descriptor leads to, after its number.
            None => {
                command.arg("-y");
            }
        }
        for path in self.paths {
            command.arg("-P").arg(path);
        }
        command.arg(FETCHLOGS);
        command
    }
}
