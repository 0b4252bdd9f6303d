//! What a process uses, as Linux tells it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::pair::strace;
use crate::common::wait::poll;

/// Nothing of all this takes so long.
const PATIENCE: Duration = Duration::from_secs(120);

/// Between two looks.
const STEP: Duration = Duration::from_micros(200);

/// Processor time of a process so far, in seconds, its threads included. `/proc/PID/stat` counts in steps of 10 ms,
/// which is more than there is to be seen of an idle one; the scheduler knows it better.
pub fn cpu_s(pid: u32) -> f64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten();
    let nanos: f64 = tasks
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("schedstat")).ok())
        .filter_map(|text| text.split_whitespace().next()?.parse::<f64>().ok())
        .sum();
    nanos / 1e9
}

/// Resident memory of a process that is its own, in KiB: what is shared with files on disk is not counted.
pub fn private_kib(pid: u32) -> f64 {
    field(pid, "smaps_rollup", &["Private_Dirty:", "Swap:"])
}

fn field(pid: u32, file: &str, names: &[&str]) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap();
    let value = |line: &str| {
        let rest = names.iter().find_map(|name| line.strip_prefix(name))?;
        rest.trim().trim_end_matches(" kB").parse::<f64>().ok()
    };
    text.lines().filter_map(value).sum()
}

/// System calls a second of a process, counted by strace over some time; `None` without strace.
pub fn calls_per_s(pid: u32, time: Duration) -> Option<f64> {
    let strace = strace::program()?;
    let out = tempfile::NamedTempFile::new().unwrap();
    let mut tracer = Command::new(strace)
        .args(["-f", "-qq", "-p", &pid.to_string(), "-o"])
        .arg(out.path())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(time);
    let id = rustix::process::Pid::from_child(&tracer);
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    tracer.wait().unwrap();
    let lines = fs::read_to_string(out.path()).unwrap().lines().count();
    Some(lines as f64 / time.as_secs_f64())
}

/// Waits, in short steps, until something is so, and tells how long that took.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    let done = poll(PATIENCE, STEP, || is_so().then_some(()).ok_or(()));
    assert!(done.is_ok(), "waited in vain: {what}");
    start.elapsed()
}

/// The size of a file; 0 without one.
pub fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}
