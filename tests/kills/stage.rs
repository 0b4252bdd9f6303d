//! Both programs and their files in one run, with one of the programs under watch: it is traced, and something is done
//! to it once. What ends because of that is started anew as it is.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::boxed::Boxed;
use super::fault::{Fault, Program};
use super::patience::Patience;
use super::place::Place;
use super::running::{End, How, Running};
use super::trace::{self, Order};
use crate::common::pair::content::md5_of;
use crate::common::pair::copies::Copies;
use crate::common::pair::daemon::{self, COLLECTOR, SERVER, text_of};
use crate::common::pair::{config, pointer};
use crate::common::process::Signal;

/// What a script returns: what was waited for in vain.
pub type Done = Result<(), String>;

/// Longer than anything takes on a machine that is busy with other runs and whose disk does not answer for a while.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long the kernel may take to end a program that was killed. Its sockets stay open meanwhile and nobody answers.
/// The server's inotify descriptor is closed only once all processors have let go of it, and that took a minute where
/// one of them did not come to run the kernel's own threads.
const ENDING: Duration = Duration::from_secs(600);

/// Longer than any pause the programs make by themselves after one failed call, on such a machine.
const RECOVERY: Duration = Duration::from_secs(30);

/// Where one of these fails, the C library or Rust's runtime ends the process, in whatever way.
const RUNTIME_CALLS: [&str; 10] = [
    "arch_prctl",
    "brk",
    "exit_group",
    "mmap",
    "mprotect",
    "munmap",
    "poll",
    "rt_sigaction",
    "rt_sigreturn",
    "sigaltstack",
];

/// How long calls go on failing.
const AFFLICTION: Duration = Duration::from_millis(100);

/// The two programs and their files.
pub struct Stage<'a> {
    place: Place,
    fields: &'static str,
    /// The collector has a hook.
    hook: Option<PathBuf>,
    logs: Vec<Boxed>,
    server: Option<Running>,
    collector: Option<Running>,
    strace: &'a Path,
    watched: Program,
    order: Order<'a>,
    watch: Watch,
    stopping: Option<Program>,
    /// The signals that were sent.
    told: Vec<Signal>,
    status: &'static str,
    /// Whether something may be on record.
    may_lose: bool,
    ended: Option<End>,
    findings: Vec<String>,
}

/// How far the watching has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Watch {
    /// The next start is watched.
    Due,
    /// It is off until the watched part of the script.
    Off,
    On,
    /// Calls have failed since then.
    Hit(Instant),
    /// The program runs as it is.
    Over,
}

impl<'a> Stage<'a> {
    /// Everything is in its place, the log `m` is empty, and neither program runs.
    pub fn new(strace: &'a Path, watched: Program, order: Order<'a>) -> Stage<'a> {
        let place = Place::new();
        Stage {
            logs: vec![Boxed::create(place.path("remote/m"))],
            place,
            fields: "",
            hook: None,
            server: None,
            collector: None,
            strace,
            watched,
            order,
            watch: Watch::Due,
            stopping: None,
            told: Vec::new(),
            status: "OK\n",
            may_lose: false,
            ended: None,
            findings: Vec::new(),
        }
    }

    /// What follows the fifth field of the sources.
    pub fn set_fields(&mut self, fields: &'static str) {
        self.fields = fields;
    }

    /// The collector has a hook that compresses what is verified, elsewhere, and fails twice for each event.
    pub fn set_hook(&mut self) {
        let path = self.place.path("hook");
        let dir = self.place.path("hooked");
        fs::create_dir(&dir).unwrap();
        let script = format!(
            "#!/bin/sh
            cd {}
            k=$FETCHLOGS_EVENT.${{FETCHLOGS_FILE##*/}}
            for n in 1 2; do [ -e $k.$n ] || {{ : >$k.$n; exit 1; }}; done
            [ $FETCHLOGS_EVENT = verified ] || exit 0
            gzip -c $FETCHLOGS_FILE >$k.part && mv $k.part $FETCHLOGS_MD5.gz
            ",
            dir.display()
        );
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        self.hook = Some(path);
    }

    /// Waits until the hook has been run for each generation that was verified, and has done its work. Where calls fail
    /// it may have been given up, which is told.
    pub fn settle_hooks(&mut self) -> Done {
        if self.is_failing() {
            return Ok(());
        }
        let mut has_begun_anew = false;
        self.until(|stage| {
            let generations = stage.logs[0].generations();
            let (_, finished) = generations.split_last().unwrap();
            let events = daemon::told(stage.place.path("").as_path(), COLLECTOR);
            let is_done = |(bytes, copy): (&Vec<u8>, PathBuf)| {
                let packed = stage.place.path(&format!("hooked/{}.gz", md5_of(bytes)));
                let gzip = Command::new("gzip").arg("-dc").arg(packed).output();
                // What is done to every process is done to each run of the hook, too, or to a program that it runs.
                let is_killed = |how| {
                    let told = format!("for verified of {}: it {how};", copy.display());
                    events.contains(&told)
                };
                gzip.is_ok_and(|gzip| gzip.stdout == *bytes)
                    || is_killed("was ended by signal 9")
                    || is_killed("ended with status 137")
            };
            let copies = stage.copies().rotated();
            if copies.len() == finished.len() && finished.iter().zip(copies).all(is_done) {
                return Ok(());
            }
            // The helper is a process of its own, and was killed in the collector's place.
            let said = daemon::complaints(&stage.place.path(""), COLLECTOR);
            if said.contains("is not run before a new start") && !has_begun_anew {
                has_begun_anew = true;
                stage.relieve();
            }
            Err("the hook was not run for all that was verified".into())
        })
    }

    /// The box's log.
    pub fn log(&mut self) -> &mut Boxed {
        &mut self.logs[0]
    }

    /// The directory, the address and the disk.
    pub fn place(&mut self) -> &mut Place {
        &mut self.place
    }

    /// The live copy of the log.
    pub fn local(&self) -> PathBuf {
        self.place.path("local/m")
    }

    /// The pointer file of the log.
    pub fn pointer(&self) -> PathBuf {
        self.place.path("local/m.pointer")
    }

    /// What came before the part of the script that is watched: both run as they are, and are killed afterwards.
    pub fn before(&mut self, script: impl FnOnce(&mut Self) -> Done) -> Done {
        self.watch = Watch::Off;
        self.start()?;
        script(self)?;
        self.collector = None;
        self.server = None;
        self.watch = Watch::Due;
        Ok(())
    }

    /// Starts the server, waits until it listens, and starts the collector.
    pub fn start(&mut self) -> Done {
        self.configure();
        self.launch(Program::Server);
        self.until_listening()?;
        self.launch(Program::Collector);
        Ok(())
    }

    /// Another log on the same box.
    pub fn add_log(&mut self) {
        let path = self.place.path("remote/n");
        self.logs.push(Boxed::create(path));
        self.logs[1].append(3);
    }

    /// Both programs read a configuration with all the logs and these fields. Whoever is told at a bad moment is told
    /// again, as an operator would who saw the complaint.
    pub fn reconfigure(&mut self, fields: &'static str) -> Done {
        self.fields = fields;
        self.configure();
        let copy = self.place.path("local/n");
        let mut told = Instant::now() - RECOVERY;
        self.until(|stage| {
            if copy.exists() {
                return Ok(());
            }
            if told.elapsed() > Duration::from_millis(250) {
                let all_told = stage.signal(Program::Server, Signal::HUP)
                    && stage.signal(Program::Collector, Signal::HUP);
                if all_told {
                    told = Instant::now();
                }
            }
            Err("the new source is not followed".into())
        })
    }

    /// Sends a signal, once the program catches it.
    pub fn tell(&mut self, program: Program, signal: Signal) -> Done {
        self.until(|stage| match stage.signal(program, signal) {
            true => Ok(()),
            false => Err("the program does not catch signals".into()),
        })
    }

    /// Stops the watched program in good order and starts it as it is.
    pub fn restart_watched(&mut self) -> Done {
        self.stopping = Some(self.watched);
        self.until(|stage| {
            let Some(program) = stage.stopping else {
                return Ok(());
            };
            stage.signal(program, Signal::TERM);
            Err("the program does not stop".into())
        })?;
        self.until_listening()
    }

    /// Waits until the collector has said this, but not for long: it may be what could not be said.
    pub fn until_said(&mut self, text: &str) -> Done {
        let start = Instant::now();
        let path = self.place.path("collector.out");
        self.until(|_| {
            let is_said =
                text_of(&path).contains(text) || start.elapsed() > Duration::from_millis(500);
            is_said
                .then_some(())
                .ok_or_else(|| format!("{text} is not said"))
        })
    }

    /// Waits until all copies are what the box had, generation by generation, and the status tells it.
    pub fn settle(&mut self) -> Done {
        self.until(|stage| {
            for log in &stage.logs {
                let name = log.path().file_name().unwrap();
                let copies = Copies::at(stage.place.path("local").join(name));
                copies.compare(log.generations())?;
            }
            stage.check_status()
        })
    }

    /// Waits until the copies are right although the live one had this damage before its rotation.
    ///
    /// It is healed, unless the other side or the disk fails again and again: then it stays as it was, and is on record. A
    /// server that was started anew does not recognise the damaged copy: then it is kept, put on record as lost, and the
    /// generation is fetched again.
    pub fn settle_after_damage(&mut self, damaged: &[u8]) -> Done {
        let healed = self.logs[0].generations().to_vec();
        self.until(|stage| {
            let held = |path: &PathBuf| fs::read(path).unwrap_or_default();
            let held: Vec<Vec<u8>> = stage.copies().paths().iter().map(held).collect();
            let is_whole = held == healed;
            let is_refetched = held[1..] == healed && damaged.starts_with(&held[0]);
            let is_left = held.len() == 2 && held[0] == damaged && held[1] == healed[1];
            let record = text_of(&stage.place.path("local/m.gaps"));
            let is_told = is_refetched && record.contains(" lost ")
                || is_left && stage.is_failing() && record.contains(" differs ");
            match is_whole || is_told {
                true => Ok(()),
                false => Err("the copies are not what the box had".into()),
            }
        })?;
        self.may_lose = true;
        let kept = self.beside(".damaged");
        match kept.iter().all(|path| fs::read(path).unwrap() == damaged) {
            true => Ok(()),
            false => Err("what was damaged is not kept as it was".into()),
        }
    }

    /// The status is to be `ERR` from now on, because of something that is lost.
    pub fn expect_loss(&mut self) {
        self.status = "ERR\n";
        self.may_lose = true;
    }

    /// The box is in another boot than when the copy was last followed.
    pub fn pretend_another_boot(&self) {
        pointer::pretend_another_boot(&self.pointer());
    }

    /// The files beside the live copy whose names have this in them.
    pub fn beside(&self, mark: &str) -> Vec<PathBuf> {
        self.copies().beside(mark)
    }

    /// The copies of the log.
    fn copies(&self) -> Copies {
        Copies::at(self.local())
    }

    /// Waits until the check says `Ok`, and keeps both programs running meanwhile.
    pub fn until(&mut self, mut check: impl FnMut(&mut Self) -> Done) -> Done {
        let mut patience = Patience::new(Instant::now());
        let mut pause_ms = 1;
        loop {
            self.tend()?;
            let Err(why) = check(self) else {
                return Ok(());
            };
            let waited = patience.look(Instant::now());
            if waited > RECOVERY && patience.age() < ENDING && self.is_ending() {
                patience.begin_anew();
            } else if self.watch == Watch::On && self.is_once() && waited > RECOVERY {
                self.findings
                    .push(format!("does not recover by itself: {why}"));
                self.relieve();
                patience = Patience::new(Instant::now());
            } else if waited > PATIENCE {
                return Err(why);
            }
            thread::sleep(Duration::from_millis(pause_ms));
            pause_ms = (pause_ms + 1).min(5);
        }
    }

    /// Ends both programs and tells what was found besides.
    pub fn finish(mut self) -> Findings {
        if let Some(collector) = self.collector.take() {
            collector.kill();
        }
        if let Some(server) = self.server.take() {
            server.kill();
        }
        let record = text_of(&self.place.path("local/m.gaps"));
        // To say that a copy could not be read is right when it was so.
        let is_said = |line: &str| self.is_failing() && line.contains("it cannot be read");
        if !self.may_lose && !record.lines().all(is_said) {
            self.findings.push(format!("on record: {record}"));
        }
        for name in [SERVER, COLLECTOR] {
            let said = daemon::complaints(&self.place.path(""), name);
            if said.contains("panicked at") && !self.is_about_the_runtime() {
                self.findings.push(format!("the {name} panicked"));
            }
        }
        let trace = self.trace();
        let was_hit = match self.order {
            Order::Count => false,
            Order::Inject(point) if point.fault == Fault::Kill => {
                self.ended == Some(End::Signal(Signal::KILL.as_raw()))
            }
            Order::Inject(_) => trace::has_failed_a_call(&trace),
        };
        Findings {
            was_hit,
            ended: self.ended,
            calls: trace::calls_in(&trace),
            said: self.everything_said(),
            faults: self.findings,
        }
    }

    fn until_listening(&mut self) -> Done {
        let start = Instant::now();
        self.until(|stage| {
            let server = stage.server.as_ref();
            let is_said = server.is_some_and(|server| server.complaints().contains("listening on"));
            // To say it may be what failed.
            match is_said || start.elapsed() > Duration::from_millis(500) {
                true => Ok(()),
                false => Err("the server does not listen".into()),
            }
        })
    }

    fn signal(&mut self, program: Program, signal: Signal) -> bool {
        let running = self.running(program).as_ref();
        let is_sent = running.is_some_and(|running| running.signal(signal));
        self.told.extend(is_sent.then_some(signal));
        is_sent
    }

    /// Starts anew what has ended for a reason, and the watched program once its calls have failed for a while.
    fn tend(&mut self) -> Done {
        for program in [Program::Server, Program::Collector] {
            let running = self.running(program).as_mut();
            let Some(end) = running.and_then(Running::end) else {
                continue;
            };
            let is_watched =
                program == self.watched && self.watch != Watch::Over && self.watch != Watch::Off;
            if self.stopping == Some(program) {
                self.stopping = None;
            } else if !is_watched {
                return Err(format!("the {program} has ended: {end:?}"));
            } else if let Some(fault) = self.fault_in(end) {
                self.findings.push(fault);
            }
            if is_watched {
                self.watch = Watch::Over;
                self.ended = Some(end);
            }
            self.launch(program);
        }
        match self.watch {
            Watch::On if self.is_from_on() && trace::has_failed_a_call(&self.trace()) => {
                self.watch = Watch::Hit(Instant::now());
            }
            Watch::Hit(since) if since.elapsed() > AFFLICTION => self.relieve(),
            _ => {}
        }
        Ok(())
    }

    /// What is wrong with the way in which the watched program has ended.
    fn fault_in(&self, end: End) -> Option<String> {
        let Order::Inject(point) = self.order else {
            return Some(format!("ended without a reason: {end:?}"));
        };
        if self.is_about_the_runtime() && point.fault != Fault::Kill {
            return None;
        }
        let is_fine = match point.fault {
            Fault::Kill => end == End::Signal(Signal::KILL.as_raw()),
            // Whoever is about to end because of the fault no longer catches what comes then.
            Fault::Once(_) | Fault::FromOn(_) => match end {
                End::Status(_) => true,
                End::Signal(signal) => self.told.iter().any(|told| told.as_raw() == signal),
            },
        };
        (!is_fine).then(|| format!("ended: {end:?}"))
    }

    /// The watched program is killed and runs as it is from now on.
    fn relieve(&mut self) {
        let watched = self.watched;
        if let Some(running) = self.running(watched).take() {
            running.kill();
        }
        self.watch = Watch::Over;
        if self.stopping == Some(watched) {
            self.stopping = None;
        }
        self.launch(watched);
    }

    fn launch(&mut self, program: Program) {
        let options;
        let trace = self.trace();
        let how = if program == self.watched && self.watch == Watch::Due {
            self.watch = Watch::On;
            options = self.order.options(&trace);
            How::Traced(self.strace, &options)
        } else {
            How::Plain
        };
        let path = |name: &str| self.place.path(name).display().to_string();
        let arguments = match program {
            Program::Server => vec!["gen_numbers".into(), "-c".into(), path("server.conf")],
            Program::Collector => {
                let options = "fetch_logs -r 0.05 -w 1 -i 1".split(' ').map(str::to_owned);
                let hook = self.hook.as_ref().map(|hook| hook.display().to_string());
                let hook = hook.into_iter().flat_map(|hook| ["-x".to_owned(), hook]);
                { options }
                    .chain(hook)
                    .chain([path("status"), path("collector.conf")])
                    .collect()
            }
        };
        let home = self.place.path("");
        let running = Running::start(&how, &home, &program.to_string(), &arguments);
        *self.running(program) = Some(running);
    }

    /// Whether one of the programs has come to its end, and only the kernel is not through with it.
    fn is_ending(&self) -> bool {
        let both = [&self.server, &self.collector];
        both.into_iter().flatten().any(Running::is_ending)
    }

    fn running(&mut self, program: Program) -> &mut Option<Running> {
        match program {
            Program::Server => &mut self.server,
            Program::Collector => &mut self.collector,
        }
    }

    fn configure(&self) {
        let address = self.place.address();
        let [remote, local] = ["remote", "local"].map(|dir| self.place.path(dir));
        let mut statements =
            "$delay_check = 0.1; $grace = 0.2; $alive_interval = 0.3; $timeout_write = 5;\n"
                .to_owned();
        let mut sources = String::new();
        for log in &self.logs {
            let name = log.path().file_name().unwrap().to_str().unwrap();
            statements += &config::served(&remote, name, &format!("{name}.*[0-9]"));
            let pointer = local.join(format!("{name}.pointer"));
            let copy = local.join(name);
            sources += &config::source(address, log.path(), &copy, &pointer, self.fields);
        }
        let server = config::server(address, "127.0.0.0/8", &statements);
        fs::write(self.place.path("server.conf"), server).unwrap();
        fs::write(self.place.path("collector.conf"), sources).unwrap();
    }

    fn check_status(&self) -> Done {
        // After a failure the status may be some seconds late.
        if self.is_once() {
            return Ok(());
        }
        let ip = self.place.address().ip().to_string();
        let is_recorded = !self.beside(".gaps").is_empty();
        match text_of(&self.place.path("status").join(ip)) {
            status if status == self.status => Ok(()),
            // What is on record is looked at in the end.
            status if is_recorded && self.is_failing() && status == "ERR\n" => Ok(()),
            status => Err(format!("the status is {status:?}")),
        }
    }

    fn is_about_the_runtime(&self) -> bool {
        matches!(self.order, Order::Inject(point) if RUNTIME_CALLS.contains(&&*point.call))
    }

    fn is_once(&self) -> bool {
        matches!(self.order, Order::Inject(point) if matches!(point.fault, Fault::Once(_)))
    }

    fn is_failing(&self) -> bool {
        self.is_once() || self.is_from_on()
    }

    fn is_from_on(&self) -> bool {
        matches!(self.order, Order::Inject(point) if matches!(point.fault, Fault::FromOn(_)))
    }

    fn trace(&self) -> PathBuf {
        self.place.path("trace")
    }

    fn everything_said(&self) -> String {
        let mut text = String::new();
        for path in self.beside("") {
            let len = fs::metadata(&path).map_or(0, |metadata| metadata.len());
            text += &format!("{len:>10} {}\n", path.display());
        }
        for name in ["server.err", "collector.err", "collector.out"] {
            text += &format!("-- {name}\n{}", text_of(&self.place.path(name)));
        }
        text + "-- pointer\n" + &text_of(&self.pointer())
    }
}

/// What a run has shown besides what its script checks.
pub struct Findings {
    /// Whether there was such a call.
    pub was_hit: bool,
    /// How the watched program ended by itself, if it did.
    pub ended: Option<End>,
    /// The calls that were traced.
    pub calls: trace::Calls,
    /// What is wrong.
    pub faults: Vec<String>,
    /// What helps to see why.
    pub said: String,
}
