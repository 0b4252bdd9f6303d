//! The demo with a log that is there already: it is served where it is and only ever read.

use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use super::compare::{Generation, Naming, Pair, generations};
use super::daemons::Daemons;
use super::failure::Failure;
use super::log::size_of;
use super::reading;
use super::screen::{Grouped, Look};
use super::show_pairs;
use super::stage::{Gauge, Stage};
use crate::limits::DEMO_FILE_MAX_LEN;
use crate::wire::escape::Escaped;

/// The time for which a log is watched after it was copied, in case somebody writes to it.
const WATCH: Duration = Duration::from_secs(2);
/// The time for which the connection stays cut.
const OUTAGE: Duration = Duration::from_millis(800);
/// Up to here half a log is no more than an answer line.
const SHORT_LEN: u64 = 256;

/// Has the log copied, with a cut connection in between, and compares what it holds in the end.
pub fn play(stage: &mut Stage, path: &Path) -> Result<Vec<Pair>, Failure> {
    let log = Existing::open(path)?;
    stage.screen.line(
        Look::Bold,
        "A server and a collector at work: FILE is copied, and only read.",
    )?;
    let daemons = start(stage, &log)?;
    cut(stage, &log, &daemons)?;
    mend(stage, &log, &daemons)?;
    // So many bytes are compared in the end, whatever is written to the log from then on.
    let size = watch(stage, &log, &daemons)?;
    let pairs = compare(stage, &log, &daemons, size)?;
    // Once more: a rotation during the comparison would make the result mean nothing.
    log.check()?;
    Ok(pairs)
}

/// The log as it was found.
struct Existing {
    /// Without links, because the server follows none.
    path: PathBuf,
    /// Kept open, so that its inode number stays its own.
    file: File,
    first_size: u64,
}

impl Existing {
    fn open(path: &Path) -> Result<Existing, Failure> {
        let shown = path.display();
        let unreadable = || Failure::system(format!("read {shown}"));
        let path = fs::canonicalize(path).map_err(unreadable())?;
        // Before it is opened: opening a pipe would wait for its writer.
        if !fs::metadata(&path).map_err(unreadable())?.is_file() {
            return Err(Failure::Unfit(format!("{shown} is not a regular file")));
        }
        let file = File::open(&path).map_err(unreadable())?;
        let first_size = file.metadata().map_err(unreadable())?.len();
        if first_size > DEMO_FILE_MAX_LEN {
            let most = DEMO_FILE_MAX_LEN / (1024 * 1024);
            return Err(Failure::Unfit(format!(
                "{shown} is larger than {most} MiB: too much to copy for a demo"
            )));
        }
        Ok(Existing {
            path,
            file,
            first_size,
        })
    }

    /// Its name, without the directory, for a person.
    fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or_default();
        Escaped(name.as_bytes()).to_string()
    }

    /// Its size now.
    fn size(&self) -> Result<u64, Failure> {
        self.check()?;
        let metadata = self.file.metadata();
        Ok(metadata.map_err(Failure::system("look at the log"))?.len())
    }

    /// Whether it is still the same file and has only grown.
    fn check(&self) -> Result<(), Failure> {
        let open = self.file.metadata();
        let named = fs::metadata(&self.path);
        let is_same = matches!((open, named), (Ok(open), Ok(named))
            if open.ino() == named.ino() && open.dev() == named.dev() && open.len() >= self.first_size);
        if is_same {
            return Ok(());
        }
        Err(Failure::Unfit(format!(
            "{} was rotated or truncated during the demo; try again",
            Escaped(self.path.as_os_str().as_bytes())
        )))
    }
}

/// Starts both; the link breaks by itself half-way through the log.
fn start(stage: &mut Stage, log: &Existing) -> Result<Daemons, Failure> {
    // A short log is over before the answer is: that link is cut by hand.
    let cut_after = Some(log.first_size / 2).filter(|half| *half > SHORT_LEN);
    let daemons = Daemons::start(stage, &log.path, None, cut_after)?;
    let (path, copy) = (log.path.clone(), daemons.copy().to_path_buf());
    let relay = Rc::clone(daemons.relay());
    stage.show(move || Gauge {
        log: size_of(&path).unwrap_or(0),
        copy: size_of(&copy).unwrap_or(0),
        is_up: relay.is_up(),
    });
    let dir = stage.dir().display().to_string();
    stage.screen.event(format_args!(
        "gen_numbers serves {} ({} bytes);\nfetch_logs keeps copy/{} in {dir}",
        Escaped(log.path.as_os_str().as_bytes()),
        Grouped(log.first_size),
        log.name(),
    ))?;
    Ok(daemons)
}

fn cut(stage: &mut Stage, log: &Existing, daemons: &Daemons) -> Result<(), Failure> {
    let (relay, copy) = (daemons.relay(), daemons.copy());
    let is_complete = || fs::metadata(copy).is_ok_and(|copy| copy.len() >= log.first_size);
    // A long log cuts the link by itself on the way; a short one is complete before.
    stage.wait("the log to be copied", |_| !relay.is_up() || is_complete())?;
    // Harmless where the link has cut itself.
    relay.cut();
    stage.screen.event("connection cut")?;
    stage.pause(OUTAGE)?;
    let size = size_of(copy).map_err(reading())?;
    stage.screen.event(format_args!(
        "the copy ends at byte {} of {}",
        Grouped(size),
        Grouped(log.first_size)
    ))
}

fn mend(stage: &mut Stage, log: &Existing, daemons: &Daemons) -> Result<(), Failure> {
    daemons.relay().mend();
    stage.screen.event("connection back")?;
    wait_for_bytes(stage, log, daemons, log.first_size)?;
    stage.screen.event(format_args!(
        "the collector went on at that byte: {} bytes copied",
        Grouped(log.first_size)
    ))
}

/// Gives others time to write to the log; tells its size in the end, which the copy then has.
fn watch(stage: &mut Stage, log: &Existing, daemons: &Daemons) -> Result<u64, Failure> {
    stage.pause(WATCH)?;
    let size = log.size()?;
    wait_for_bytes(stage, log, daemons, size)?;
    let seconds = WATCH.as_secs();
    match size.saturating_sub(log.first_size) {
        0 => stage.screen.event(format_args!(
            "watched it for {seconds} s: nobody wrote to it"
        ))?,
        more => stage.screen.event(format_args!(
            "others wrote {} more bytes to it meanwhile: copied too",
            Grouped(more)
        ))?,
    }
    Ok(size)
}

fn compare(
    stage: &mut Stage,
    log: &Existing,
    daemons: &Daemons,
    bytes: u64,
) -> Result<Vec<Pair>, Failure> {
    let of_log = Generation {
        name: log.name(),
        path: log.path.clone(),
        bytes,
    };
    let name = log.path.file_name().unwrap_or_default();
    // More than one file would say that the collector did not go on with the first.
    let mut of_copy = generations(daemons.copy_dir(), name, Naming::Stamped).map_err(reading())?;
    if let Some(live) = of_copy.last_mut() {
        // The copy may have more by now, as the log has.
        live.bytes = bytes;
    }
    let heading = format!(
        "md5 of the {} bytes that FILE had in the end",
        Grouped(bytes)
    );
    show_pairs(stage, &heading, vec![of_log], of_copy)
}

/// Waits for a size of the copy. A log that was rotated meanwhile is the better reason when it does
/// not come.
fn wait_for_bytes(
    stage: &mut Stage,
    log: &Existing,
    daemons: &Daemons,
    bytes: u64,
) -> Result<(), Failure> {
    let copy = daemons.copy();
    stage
        .wait("the copy to be complete", |_| {
            fs::metadata(copy).is_ok_and(|copy| copy.len() >= bytes)
        })
        .or_else(|late| log.check().and(Err(late)))
}
