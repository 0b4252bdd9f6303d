//! The two programs, live, on this host: a log that is appended to and rotated, a link that is
//! cut, and the checksums of log and copy in the end.
//!
//! This file tells the story; `existing` tells the shorter one of a log that is there already.
//! Server and collector are processes of their own (`processes`), joined by a link that the demo
//! can cut (`relay`). What is shown goes through `screen`, and what has to go in the end belongs to
//! `scratch`.

mod compare;
mod daemons;
mod existing;
mod failure;
mod latency;
mod log;
mod processes;
mod relay;
mod scratch;
mod screen;
mod stage;

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use self::compare::{Generation, Naming, Pair, are_identical, generations};
use self::daemons::Daemons;
pub use self::failure::Failure;
use self::latency::{Latencies, Ms};
use self::log::{LIVE, Log, size_of};
use self::screen::{Grouped, Look};
use self::stage::{Gauge, Stage};

/// Plays the demo on stdout, with a log of its own or with an existing `file`, which is only read.
/// Whatever it made is gone when it returns, however it ends.
pub fn run(file: Option<&Path>) -> Result<(), Failure> {
    let mut stage = Stage::new()?;
    let outcome = match file {
        Some(file) => existing::play(&mut stage, file),
        None => play(&mut stage),
    };
    // Before the last line: "identical" is said only when nothing is left behind.
    let closed = stage.close();
    // The failure of the play comes first, since that of clearing up may follow from it.
    let pairs = outcome?;
    closed?;
    verdict(&mut stage, &pairs)
}

/// Lines that are in the log before the collector comes.
const OLD_LINES: usize = 200;
/// Lines that are appended one by one, twice.
const SINGLE_LINES: usize = 20;
/// Lines that a writer adds to a file after it was renamed.
const LATE_LINES: usize = 3;
/// Lines in the burst in which the connection is cut, and the bytes that get through before.
const BURST_LINES: usize = 5_000;
const CUT_AFTER: u64 = 123_456;
/// Between two lines, and between two scenes: time to read.
const LINE_PAUSE: Duration = Duration::from_millis(50);
const SCENE_PAUSE: Duration = Duration::from_millis(400);

/// The log, its copy and who makes it.
struct Play<'a> {
    stage: &'a mut Stage,
    log: Log,
    daemons: Daemons,
}

fn play(stage: &mut Stage) -> Result<Vec<Pair>, Failure> {
    stage.screen.line(
        Look::Bold,
        "A log server and a collector at work: the copy equals the log, come what may.",
    )?;
    let mut log = Log::create(&stage.dir().join("log")).map_err(writing())?;
    // Old lines, so that first contact has something to catch up with.
    log.append(OLD_LINES).map_err(writing())?;
    let daemons = Daemons::start(stage, &log.path(), Some(".*[0-9]"), None)?;
    let mut play = Play {
        stage,
        log,
        daemons,
    };
    play.first_contact()?;
    play.single_lines("lines appended")?;
    play.rotation()?;
    play.cut()?;
    play.rotation_meanwhile()?;
    play.mend()?;
    play.single_lines("more lines")?;
    play.compare()
}

impl Play<'_> {
    fn first_contact(&mut self) -> Result<(), Failure> {
        let (log_dir, copy_dir) = (
            self.log.dir().to_owned(),
            self.daemons.copy_dir().to_owned(),
        );
        let relay = Rc::clone(self.daemons.relay());
        self.stage.show(move || Gauge {
            log: total(&log_dir, Naming::Numbered),
            copy: total(&copy_dir, Naming::Stamped),
            is_up: relay.is_up(),
        });
        self.wait_for_copies()?;
        let dir = self.stage.dir().display().to_string();
        self.stage.screen.event(format_args!(
            "gen_numbers serves log/{LIVE}; fetch_logs copies it: copy/{LIVE}\n(in {dir})"
        ))?;
        self.stage.screen.event(format_args!(
            "{OLD_LINES} lines were in the log before: copied"
        ))
    }

    fn single_lines(&mut self, what: &str) -> Result<(), Failure> {
        self.stage.latencies = Latencies::default();
        for _ in 0..SINGLE_LINES {
            let began = Instant::now();
            self.log.append(1).map_err(writing())?;
            let size = self.log.size().map_err(writing())?;
            let copy = self.daemons.copy();
            // By the size of the copy: to read it would take part in the time that is measured.
            self.stage.measure("a line to reach the copy", began, |_| {
                size_of(copy).is_ok_and(|copied| copied >= size)
            })?;
            self.stage.pause(LINE_PAUSE)?;
        }
        let latencies = &self.stage.latencies;
        let (median, slowest) = (Ms(latencies.median()), Ms(latencies.slowest()));
        let count = latencies.count();
        self.stage.screen.event(format_args!(
            "{count} {what}: copied {median} later (median; slowest {slowest})"
        ))
    }

    fn rotation(&mut self) -> Result<(), Failure> {
        self.stage.pause(SCENE_PAUSE)?;
        self.log.rotate().map_err(writing())?;
        self.log.append(1).map_err(writing())?;
        self.stage.screen.event(format_args!(
            "rotated: {LIVE} -> {LIVE}.1, and a new {LIVE} begins"
        ))?;
        self.stage.pause(SCENE_PAUSE)?;
        // The collector had time to see the rotation: so these lines really come late.
        self.log.append_late(LATE_LINES).map_err(writing())?;
        self.log.let_go();
        self.wait_for_copies()?;
        let copies = self.copies().map_err(reading())?;
        // The last is the live copy, the one before it the rotated copy of just now.
        let renamed = copies.iter().rev().nth(1).map_or("", |copy| &copy.name);
        self.stage.screen.event(format_args!(
            "{LATE_LINES} lines written late to {LIVE}.1: copied; then the collector\n\
             renamed its copy too: {renamed}"
        ))
    }

    fn cut(&mut self) -> Result<(), Failure> {
        self.stage.pause(SCENE_PAUSE)?;
        let before = self.log.size().map_err(writing())?;
        let relay = self.daemons.relay();
        // Before the burst is written, so that the cut falls into the middle of it.
        relay.cut_after(CUT_AFTER);
        self.log.append(BURST_LINES).map_err(writing())?;
        self.stage
            .wait("the connection to be cut", |_| !relay.is_up())?;
        let burst = self.log.size().map_err(writing())? - before;
        self.stage.screen.event(format_args!(
            "connection cut, after {} bytes of {} new ones",
            Grouped(CUT_AFTER),
            Grouped(burst),
        ))
    }

    /// The outage lasts until the collector has noticed.
    fn rotation_meanwhile(&mut self) -> Result<(), Failure> {
        self.log.rotate().map_err(writing())?;
        self.log.append_late(LATE_LINES).map_err(writing())?;
        self.log.let_go();
        self.log.append(OLD_LINES).map_err(writing())?;
        self.stage.screen.event(format_args!(
            "rotated again meanwhile: {LIVE} -> {LIVE}.1 -> {LIVE}.2;\n\
             {LATE_LINES} late lines into {LIVE}.1, {OLD_LINES} lines into the new {LIVE}"
        ))?;
        let daemons = &self.daemons;
        self.stage
            // The link answers nobody now, so the collector gives up waiting, and that shows in its
            // status.
            .wait("the collector to notice the outage", |_| !daemons.is_ok())?;
        let stopped = stopped_at(self.daemons.copy()).map_err(reading())?;
        self.stage.screen.event(format_args!(
            "the collector notices: SNMP status ERR; its copy ends\n{}, at byte {}",
            stopped.place,
            Grouped(stopped.size)
        ))
    }

    fn mend(&mut self) -> Result<(), Failure> {
        self.daemons.relay().mend();
        self.stage.screen.event("connection back")?;
        self.wait_for_copies()?;
        let daemons = &self.daemons;
        self.stage
            .wait("the collector's status to be OK", |_| daemons.is_ok())?;
        self.stage.screen.event(format_args!(
            "the collector went on at that byte, finished {LIVE}.1, renamed its\n\
             copy again and copied the new {LIVE}; SNMP status OK"
        ))?;
        self.stage.pause(SCENE_PAUSE)
    }

    fn compare(self) -> Result<Vec<Pair>, Failure> {
        let log = generations(self.log.dir(), LIVE.as_ref(), Naming::Numbered).map_err(reading())?;
        let copy = self.copies().map_err(reading())?;
        let heading = "md5 of every file of the log and of its copy, oldest first";
        show_pairs(self.stage, heading, log, copy)
    }

    /// Waits until the copy has as many files as the log, of the same sizes.
    fn wait_for_copies(&mut self) -> Result<(), Failure> {
        let (log, copy) = (self.log.dir(), self.daemons.copy_dir());
        let sizes = |dir: &Path, naming| -> io::Result<Vec<u64>> {
            let all = generations(dir, LIVE.as_ref(), naming)?;
            Ok(all.iter().map(|one| one.bytes).collect())
        };
        self.stage.wait("the copy to be complete", |_| {
            // In the middle of a rename either side may be unreadable: then the wait just goes on.
            let log = sizes(log, Naming::Numbered);
            let copy = sizes(copy, Naming::Stamped);
            matches!((log, copy), (Ok(log), Ok(copy)) if log == copy)
        })
    }

    fn copies(&self) -> io::Result<Vec<Generation>> {
        generations(self.daemons.copy_dir(), LIVE.as_ref(), Naming::Stamped)
    }
}

/// Shows the checksums of both sides.
fn show_pairs(
    stage: &mut Stage,
    heading: &str,
    log: Vec<Generation>,
    copy: Vec<Generation>,
) -> Result<Vec<Pair>, Failure> {
    let pairs = compare::compare(log, copy, &mut || stage.turn())?;
    stage.screen.end_status()?;
    stage.screen.line(Look::Bold, format_args!("\n{heading}"))?;
    for pair in &pairs {
        for side in [&pair.log, &pair.copy].into_iter().flatten() {
            stage.screen.line(Look::Plain, side)?;
        }
        if !pair.is_identical() {
            let difference = pair.difference(&mut || stage.turn())?;
            stage.screen.line(Look::Bad, difference)?;
        }
    }
    Ok(pairs)
}

/// The last line.
fn verdict(stage: &mut Stage, pairs: &[Pair]) -> Result<(), Failure> {
    if are_identical(pairs) {
        stage.screen.line(Look::Good, "identical")
    } else {
        stage.screen.line(Look::Bad, "DIFFERENT")?;
        Err(Failure::Different)
    }
}

/// The end of a copy that was cut off.
struct Stopped {
    size: u64,
    place: &'static str,
}

fn stopped_at(copy: &Path) -> io::Result<Stopped> {
    let mut file = File::open(copy)?;
    let size = file.metadata()?.len();
    // An empty copy counts as one that ends with a line.
    let mut last = [b'\n'];
    if size > 0 {
        file.seek(SeekFrom::Start(size - 1))?;
        file.read_exact(&mut last)?;
    }
    let place = match last {
        [b'\n'] => "at the end of a line",
        _ => "in the middle of a line",
    };
    Ok(Stopped { size, place })
}

fn total(dir: &Path, naming: Naming) -> u64 {
    let all = generations(dir, LIVE.as_ref(), naming).unwrap_or_default();
    all.iter().map(|one| one.bytes).sum()
}

fn writing() -> impl FnOnce(io::Error) -> Failure {
    Failure::system("write the log")
}

fn reading() -> impl FnOnce(io::Error) -> Failure {
    Failure::system("look at the copy")
}
