//! The program that an operator has run for what happens to a log: asked for by a daemon, run by
//! its helper, which is outside of the walls and waits for nobody.
//!
//! The two have a line of their own. A daemon sends a message for each run, with a place in its
//! table and the variables, and hears how it ended. Another process that takes over the daemon gets
//! another line; what was begun for its predecessor goes on, and is its own if it asks for the
//! same.

use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::clock;
use super::line::Line;
use super::program::{Child, Exit, Program};
use crate::limits::{HOOK_MS, HOOKS_TOGETHER_MAX};
use crate::time::Mono;

/// The program.
pub struct Hook {
    /// Its path, absolute.
    pub program: PathBuf,
    /// Whether what it prints goes to stderr only, for stdout has another form.
    pub spares_stdout: bool,
    /// Whether it may be given a variable.
    pub accepts: Box<Accepts>,
}

/// Judges a variable by its name and its value.
pub type Accepts = dyn Fn(&[u8], &[u8]) -> bool;

impl Hook {
    /// Whether it may be run with these variables, each of which ends with a NUL. One that is set
    /// twice would hide another one.
    fn accepts_all(&self, variables: &[u8]) -> bool {
        let Some(variables) = variables.strip_suffix(b"\0") else {
            return variables.is_empty();
        };
        let mut names: heapless::Vec<&[u8], VARIABLES_MAX> = heapless::Vec::new();
        variables.split(|byte| *byte == 0).all(|text| {
            let end = text.iter().position(|byte| *byte == b'=');
            let parts = end.and_then(|end| Some((text.get(..end)?, text.get(end + 1..)?)));
            parts.is_some_and(|(name, value)| {
                let is_new = !names.contains(&name) && names.push(name).is_ok();
                is_new && (self.accepts)(name, value)
            })
        })
    }
}

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// By itself, with this status.
    Status(u8),
    /// By this signal.
    Signal(u8),
    /// It took too long and was killed.
    TooLong,
    /// It could not be run, for the reason with this number.
    NotRun(u8),
    /// It was not run: as many as may run together do.
    Busy,
}

/// A daemon's end of the line.
pub struct Hooks(Line);

impl Hooks {
    /// Has the program run with these variables. How it ends is told with the place. Fails with
    /// `WouldBlock` where the helper does not listen now.
    pub fn start(&self, place: u8, variables: &[(&str, &OsStr)]) -> io::Result<()> {
        let mut message = vec![place];
        for (name, value) in variables {
            message.extend_from_slice(name.as_bytes());
            message.push(b'=');
            message.extend_from_slice(value.as_bytes());
            message.push(0);
        }
        self.0.send_bytes(&message)
    }

    /// The next run that has ended, with its place; `None` if no other one has. Fails where the
    /// helper is gone.
    pub fn ended(&self) -> io::Result<Option<(u8, Ended)>> {
        let mut buf = [0; 3];
        loop {
            match self.0.receive_bytes(&mut buf) {
                Ok(Some([place, kind, value])) => {
                    if let Some(ended) = Ended::read(*kind, *value) {
                        return Ok(Some((*place, ended)));
                    }
                }
                Ok(Some(_)) => {}
                Ok(None) => return Err(ErrorKind::BrokenPipe.into()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }
}

impl AsRawFd for Hooks {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl Ended {
    fn words(self) -> [u8; 2] {
        match self {
            Ended::Status(status) => [b's', status],
            Ended::Signal(signal) => [b'k', signal],
            Ended::TooLong => [b't', 0],
            Ended::NotRun(number) => [b'n', number],
            Ended::Busy => [b'b', 0],
        }
    }

    fn read(kind: u8, value: u8) -> Option<Ended> {
        Some(match kind {
            b's' => Ended::Status(value),
            b'k' => Ended::Signal(value),
            b't' => Ended::TooLong,
            b'n' => Ended::NotRun(value),
            b'b' => Ended::Busy,
            _ => return None,
        })
    }
}

/// The helper's half.
pub(super) struct Runner<'a> {
    hook: Option<&'a Hook>,
    /// To the process that does the daemon's work now.
    line: Option<Line>,
    /// Counts the lines.
    life: u32,
    running: heapless::Vec<Running, HOOKS_TOGETHER_MAX>,
    /// How long one may take.
    limit_ms: u64,
    message: Box<[u8]>,
}

/// A run.
struct Running {
    place: u8,
    /// The line that it was asked for on.
    life: u32,
    variables: Box<[u8]>,
    child: Child,
    /// What can be read once it has ended, where there is such a thing.
    end: Option<OwnedFd>,
    until: Mono,
    is_killed: bool,
}

/// What a helper waits for on behalf of hooks.
pub(super) const ENDS: usize = HOOKS_TOGETHER_MAX + 1;

/// Three paths and a host name, each of which may be as long as the system lets it, and more.
const MESSAGE_MAX_LEN: usize = 20_000;

/// More variables than there are.
const VARIABLES_MAX: usize = 8;

/// How often one is looked at whose end the system does not tell by a descriptor.
const LOOK_MS: libc::c_int = 100;

impl<'a> Runner<'a> {
    /// Nothing runs. Without a hook nothing ever will.
    pub(super) fn new(hook: Option<&'a Hook>) -> Runner<'a> {
        if hook.is_some() {
            // Ignored, which whoever started us may have left so, it would take away the ends of
            // children.
            // SAFETY: the usual effect of a signal runs no code of ours.
            unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
        }
        Runner {
            hook,
            line: None,
            life: 0,
            running: heapless::Vec::new(),
            limit_ms: HOOK_MS,
            message: match hook {
                Some(_) => vec![0; MESSAGE_MAX_LEN].into(),
                None => Box::default(),
            },
        }
    }

    /// The end of a new line, for who does the daemon's work from now on; `None` without a hook.
    pub(super) fn new_line(&mut self) -> Option<Hooks> {
        self.line = None;
        self.life += 1;
        let (inside, outside) = self.hook.and_then(|_| Line::pair().ok())?;
        self.line = Some(outside);
        Some(Hooks(inside))
    }

    /// What is to be waited for.
    pub(super) fn ends(&self) -> [Option<BorrowedFd<'_>>; ENDS] {
        let mut ends = [None; ENDS];
        ends[0] = self.line.as_ref().map(AsFd::as_fd);
        for (end, running) in ends[1..].iter_mut().zip(&self.running) {
            *end = running.end.as_ref().map(AsFd::as_fd);
        }
        ends
    }

    /// How long at most, in milliseconds; a negative number is for ever.
    pub(super) fn wait_ms(&self) -> libc::c_int {
        if self.running.is_empty() {
            return -1;
        }
        let now = clock::now().mono;
        let waits = self.running.iter().map(|running| {
            if running.end.is_none() || running.is_killed {
                return LOOK_MS;
            }
            // A bit more, so as not to be early by rounding.
            let left_ms = running.until.since_ms(now).saturating_add(1);
            left_ms.try_into().unwrap_or(libc::c_int::MAX)
        });
        waits.min().unwrap_or(-1)
    }

    /// Does what there is to do, after a wait.
    pub(super) fn turn(&mut self) {
        // Known to the compiler, so that a server alone has nothing of it.
        if self.hook.is_none() || !cfg!(feature = "fetch_logs") {
            return;
        }
        self.reap();
        self.hear();
    }

    /// Asks all that run to end, for the daemon does.
    pub(super) fn end(&self) {
        for running in self.running.iter().filter(|_| cfg!(feature = "fetch_logs")) {
            running.child.signal(libc::SIGTERM);
        }
    }

    fn hear(&mut self) {
        let mut buf = std::mem::take(&mut self.message);
        while let Some(line) = &self.line {
            match line.receive_bytes(&mut buf) {
                Ok(Some([place, variables @ ..])) => self.start(*place, variables),
                Ok(Some([])) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Ok(None) | Err(_) => self.line = None,
            }
        }
        self.message = buf;
    }

    fn start(&mut self, place: u8, variables: &[u8]) {
        let Some(hook) = self.hook else { return };
        if !hook.accepts_all(variables) {
            return self.tell(place, Ended::NotRun(libc::EPERM as u8));
        }
        let life = self.life;
        let is_left = |it: &&mut Running| it.life != life && *it.variables == *variables;
        if let Some(running) = self.running.iter_mut().find(is_left) {
            (running.place, running.life) = (place, life);
            return;
        }
        if self.running.is_full() {
            return self.tell(place, Ended::Busy);
        }
        let program = Program {
            path: &hook.program,
            variables,
            // Whom the service manager hears is the daemon.
            without: "NOTIFY_SOCKET",
            spares_stdout: hook.spares_stdout,
        };
        match program.start() {
            Ok(child) => {
                let end = child.end().ok();
                // There is room.
                let _ = self.running.push(Running {
                    place,
                    life,
                    variables: variables.into(),
                    child,
                    end,
                    until: clock::now().mono.plus_ms(self.limit_ms),
                    is_killed: false,
                });
            }
            Err(error) => {
                let number = error.raw_os_error().and_then(|it| u8::try_from(it).ok());
                self.tell(place, Ended::NotRun(number.unwrap_or(libc::EIO as u8)));
            }
        }
    }

    /// Takes note of what has ended, and ends what takes too long.
    fn reap(&mut self) {
        let mut at = 0;
        while let Some(running) = self.running.get_mut(at) {
            let is_over = running.until <= clock::now().mono;
            let status = match running.child.try_wait() {
                Ok(None) => {
                    if is_over && !running.is_killed {
                        running.is_killed = true;
                        running.child.signal(libc::SIGKILL);
                    }
                    at += 1;
                    continue;
                }
                Ok(Some(Exit::Status(status))) => Ended::Status(status),
                Ok(Some(Exit::Signal(signal))) => Ended::Signal(signal),
                // Somebody else has waited for it.
                Err(_) => Ended::Status(1),
            };
            let running = self.running.swap_remove(at);
            if running.life == self.life {
                let ended = if running.is_killed {
                    Ended::TooLong
                } else {
                    status
                };
                self.tell(running.place, ended);
            }
        }
    }

    fn tell(&self, place: u8, ended: Ended) {
        let [kind, value] = ended.words();
        if let Some(line) = &self.line {
            // Whoever does not hear it has it run once more.
            let _ = line.send_bytes(&[place, kind, value]);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::*;
    use crate::sys::line::wait_for_any;
    use crate::sys::testing::alone;

    fn hook(dir: &Path, script: &str) -> Hook {
        let program = dir.join("hook");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Hook {
            program,
            spares_stdout: false,
            accepts: Box::new(|name, _| name.starts_with(b"FETCHLOGS_") || name == b"TOLD"),
        }
    }

    /// Lets the helper work until a run has ended.
    fn next(runner: &mut Runner<'_>, hooks: &Hooks) -> (u8, Ended) {
        loop {
            wait_for_any(runner.ends(), runner.wait_ms().min(1_000));
            runner.turn();
            if let Some(ended) = hooks.ended().unwrap() {
                return ended;
            }
        }
    }

    #[test]
    fn a_program_gets_its_variables_and_nothing_else_of_ours() {
        let _alone = alone();
        let dir = tempfile::tempdir().unwrap();
        let told = dir.path().join("told");
        let hook = hook(
            dir.path(),
            "{ echo \"$FETCHLOGS_EVENT:$FETCHLOGS_FILE:${FETCHLOGS_MD5-none}\"; pwd; cat; ls /proc/$$/fd
             grep SigIgn /proc/$$/status; cut -d' ' -f5 /proc/$$/stat; echo $$; } >\"$TOLD\"; exit 7",
        );
        let mut runner = Runner::new(Some(&hook));
        let hooks = runner.new_line().unwrap();
        let left = fs::File::open("/dev/null").unwrap();
        // SAFETY: takes numbers; the copy is left open for the program to inherit, if it may.
        let kept = unsafe { libc::dup(left.as_raw_fd()) };
        let file = OsStr::from_bytes(b"/l/m n=\xff");
        let variables = [
            ("FETCHLOGS_EVENT", OsStr::new("verified")),
            ("FETCHLOGS_FILE", file),
            ("TOLD", told.as_os_str()),
        ];
        hooks.start(3, &variables).unwrap();
        assert_eq!(next(&mut runner, &hooks), (3, Ended::Status(7)));
        // SAFETY: the descriptor is our own.
        unsafe { libc::close(kept) };
        let text = fs::read(&told).unwrap();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[..2], ["verified:/l/m n=\u{fffd}:none", "/"]);
        let open: Vec<&&str> = lines[2..].iter().take_while(|it| it.len() < 4).collect();
        // The shell has its script open, as a number of its own.
        assert!(!open.contains(&&&*kept.to_string()), "{text}");
        let ignored = lines
            .iter()
            .find(|line| line.starts_with("SigIgn"))
            .unwrap();
        let ignored = u64::from_str_radix(ignored.split('\t').nth(1).unwrap(), 16).unwrap();
        // Signals 32 to 34 are the C library's own: nobody can set them, and this process may have
        // been started with one of them ignored.
        assert_eq!(ignored & !(0b111 << 31), 0, "{ignored:x}");
        let [group, own] = &lines[lines.len() - 2..] else {
            panic!()
        };
        assert_eq!(group, own, "it has a group of its own");
    }

    #[test]
    fn however_it_ends_is_told() {
        let _alone = alone();
        let dir = tempfile::tempdir().unwrap();
        let script = hook(dir.path(), "kill -9 $$");
        let mut runner = Runner::new(Some(&script));
        let hooks = runner.new_line().unwrap();
        hooks.start(0, &[]).unwrap();
        assert_eq!(next(&mut runner, &hooks), (0, Ended::Signal(9)));
        fs::remove_file(&script.program).unwrap();
        hooks.start(1, &[]).unwrap();
        let missing = Ended::NotRun(libc::ENOENT as u8);
        assert_eq!(next(&mut runner, &hooks), (1, missing));
    }

    #[test]
    fn what_it_may_not_be_given_is_not_run() {
        let _alone = alone();
        let dir = tempfile::tempdir().unwrap();
        let ran = dir.path().join("ran");
        let script = hook(dir.path(), &format!("touch {}", ran.display()));
        let mut runner = Runner::new(Some(&script));
        let hooks = runner.new_line().unwrap();
        let refused = Ended::NotRun(libc::EPERM as u8);
        let odd: [&[(&str, &str)]; 6] = [
            &[("LD_PRELOAD", "/c/evil.so")],
            &[("FETCHLOGS_EVENT", "lost"), ("PATH", "/c")],
            &[("FETCHLOGS_EVENT", "lost"), ("FETCHLOGS_EVENT", "rotated")],
            &[("FETCHLOGS_EVENT", "lost\0BASH_ENV=/c/evil")],
            &[("FETCHLOGS_EVENT", "lost\0odd")],
            &[("FETCHLOGS_EVENT", "lost\0")],
        ];
        for variables in odd {
            let variables: Vec<_> = variables
                .iter()
                .map(|(name, value)| (*name, OsStr::new(*value)))
                .collect();
            hooks.start(5, &variables).unwrap();
            assert_eq!(next(&mut runner, &hooks), (5, refused), "{variables:?}");
        }
        hooks.0.send_bytes(b"\x06FETCHLOGS_EVENT=cut").unwrap();
        assert_eq!(next(&mut runner, &hooks), (6, refused));
        assert!(!ran.exists());
    }

    #[test]
    fn one_that_takes_too_long_goes_with_all_it_has_started() {
        let _alone = alone();
        let dir = tempfile::tempdir().unwrap();
        let pid_file = dir.path().join("pid");
        let script = format!(
            "trap '' TERM; sleep 600 & echo $! >{}; wait",
            pid_file.display()
        );
        let hook = hook(dir.path(), &script);
        let mut runner = Runner::new(Some(&hook));
        runner.limit_ms = 300;
        let hooks = runner.new_line().unwrap();
        hooks.start(2, &[]).unwrap();
        assert_eq!(next(&mut runner, &hooks), (2, Ended::TooLong));
        let pid: libc::pid_t = fs::read_to_string(pid_file)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        let is_there = || {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
            stat.is_ok_and(|stat| !stat.contains(") Z "))
        };
        for _ in 0..200 {
            if !is_there() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("what it has started goes on");
    }

    #[test]
    fn what_was_begun_for_another_process_is_not_begun_twice() {
        let _alone = alone();
        let dir = tempfile::tempdir().unwrap();
        let go = dir.path().join("go");
        let script = format!(
            "echo x >>{0}/runs; while ! [ -e {0}/go ]; do sleep 0.01; done",
            dir.path().display()
        );
        let hook = hook(dir.path(), &script);
        let mut runner = Runner::new(Some(&hook));
        let first = runner.new_line().unwrap();
        let variables = |event| [("FETCHLOGS_EVENT", OsStr::new(event))];
        for (place, event) in ["a", "b", "c", "d"].into_iter().enumerate() {
            first.start(place as u8, &variables(event)).unwrap();
        }
        runner.turn();
        drop(first);
        let second = runner.new_line().unwrap();
        second.start(3, &variables("a")).unwrap();
        second.start(1, &variables("e")).unwrap();
        assert_eq!(next(&mut runner, &second), (1, Ended::Busy));
        fs::write(go, "").unwrap();
        assert_eq!(next(&mut runner, &second), (3, Ended::Status(0)));
        while !runner.running.is_empty() {
            wait_for_any(runner.ends(), runner.wait_ms());
            runner.turn();
        }
        assert_eq!(second.ended().unwrap(), None);
        assert_eq!(fs::read(dir.path().join("runs")).unwrap().len(), 8);
        drop(runner);
        assert!(second.ended().is_err());
    }
}
