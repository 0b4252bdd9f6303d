//! The demo as a process without a terminal: how it ends, and that nothing is left of it.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../common/mod.rs"]
mod common;

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::process::{Guarded, Signal, send};
use common::wait::PATIENCE;
use common::{FETCHLOGS, outside_program};
use tempfile::TempDir;

/// A running demo with a directory for temporary files of its own.
struct Demo {
    tmp: TempDir,
    child: Guarded,
    /// `None` once nobody reads it any more.
    stdout: Option<BufReader<ChildStdout>>,
    stderr: ChildStderr,
    shown: String,
}

/// How a demo ended.
struct Ended {
    status: ExitStatus,
    stdout: String,
    stderr: String,
}

impl Demo {
    fn start<S: AsRef<OsStr>>(args: &[S]) -> Demo {
        let tmp = tempfile::tempdir().unwrap();
        let mut command = Command::new(FETCHLOGS);
        command
            .arg("demo")
            .args(args)
            .env("TMPDIR", tmp.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = Guarded::start(&mut command);
        let (stdout, stderr) = child.take_pipes();
        Demo {
            tmp,
            child,
            stdout: Some(BufReader::new(stdout)),
            stderr,
            shown: String::new(),
        }
    }

    /// Reads up to the first line that holds `text` and returns that line.
    fn wait_for(&mut self, text: &str) -> String {
        loop {
            let mut line = String::new();
            let stdout = self.stdout.as_mut().unwrap();
            let len = stdout.read_line(&mut line).unwrap();
            assert!(len > 0, "no {text:?} in:\n{}", self.shown);
            self.shown.push_str(&line);
            if line.contains(text) {
                return line;
            }
        }
    }

    /// The directory it made.
    fn dir(&self) -> PathBuf {
        let mut entries = fs::read_dir(self.tmp.path()).unwrap();
        entries.next().unwrap().unwrap().path()
    }

    fn signal(&self, signal: Signal) {
        self.child.signal(signal);
    }

    /// Waits for the end, and makes sure that nothing is left.
    fn end(mut self) -> Ended {
        if let Some(stdout) = &mut self.stdout {
            stdout.read_to_string(&mut self.shown).unwrap();
        }
        let mut stderr = String::new();
        self.stderr.read_to_string(&mut stderr).unwrap();
        let status = self.child.wait();
        assert_nothing_left(self.tmp.path());
        Ended {
            status,
            stdout: std::mem::take(&mut self.shown),
            stderr,
        }
    }
}

impl Ended {
    fn assert_identical(&self) {
        let all = format!("{}\n{}", self.stdout, self.stderr);
        assert_eq!(self.status.code(), Some(0), "{all}");
        assert_eq!(self.stdout.lines().last(), Some("identical"), "{all}");
        assert_eq!(self.stderr, "");
        assert!(!self.stdout.contains('\x1b'), "{all}");
    }

    fn assert_failed(&self, why: &str) {
        let all = format!("{}\n{}", self.stdout, self.stderr);
        assert_eq!(self.status.code(), Some(1), "{all}");
        assert!(self.stderr.contains(why), "{all}");
        assert!(!self.stdout.contains("identical"), "{all}");
    }
}

fn assert_nothing_left(tmp: &Path) {
    let left: Vec<PathBuf> = fs::read_dir(tmp)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(left.is_empty(), "{left:?}");
    let processes = processes_in(tmp);
    assert!(processes.is_empty(), "{processes:?}");
}

/// The processes that work below a directory, by number and name.
fn processes_in(dir: &Path) -> Vec<(u32, String)> {
    let dir = dir.canonicalize().unwrap();
    let pids = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid: u32| {
        let cwd = fs::read_link(format!("/proc/{pid}/cwd")).ok()?;
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        cwd.starts_with(&dir).then(|| (pid, name.trim().to_owned()))
    })
    .collect()
}

/// A log of someone else's, of so many lines.
fn log_of(dir: &Path, lines: usize) -> PathBuf {
    let path = dir.join("auth.log");
    let text: String = (0..lines).map(|n| format!("line {n} of it\n")).collect();
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn it_ends_with_identical_and_leaves_nothing() {
    let mut demo = Demo::start::<&str>(&[]);
    demo.wait_for("lines appended: copied ");
    let names: Vec<String> = processes_in(demo.tmp.path())
        .into_iter()
        .map(|(_, name)| name)
        .collect();
    assert!(names.contains(&"gen_numbers".to_owned()), "{names:?}");
    assert!(names.contains(&"fetch_logs".to_owned()), "{names:?}");
    let ended = demo.end();
    ended.assert_identical();
    for scene in [
        "rotated: messages -> messages.1",
        "late",
        "connection cut",
        "rotated again",
        "SNMP status ERR",
        "connection back",
        "SNMP status OK",
    ] {
        assert!(ended.stdout.contains(scene), "{scene}");
    }
    let widest = ended.stdout.lines().map(str::len).max();
    assert!(widest.unwrap() < 80, "{}", ended.stdout);
    let files = ended.stdout.lines().filter(|line| {
        line.split_once("  ")
            .is_some_and(|(md5, _)| md5.len() == 32)
    });
    assert_eq!(files.count(), 6, "{}", ended.stdout);
    let picture = without_numbers(&include_str!("picture.svg").replace("&gt;", ">"));
    for line in ended.stdout.lines().filter(|line| line.starts_with('+')) {
        let (_, step) = line.split_once(" s ").unwrap();
        assert!(
            picture.contains(&without_numbers(step)),
            "the picture lacks {step}: tests/demo/picture makes it anew"
        );
    }
}

/// A text without what is different each time.
fn without_numbers(text: &str) -> String {
    let is_number = |c: &char| c.is_ascii_digit() || ".,".contains(*c);
    text.chars().filter(|c| !is_number(c)).collect()
}

#[test]
fn a_copy_that_was_tampered_with_is_different() {
    let mut demo = Demo::start::<&str>(&[]);
    let line = demo.wait_for("renamed its copy too: ");
    let (_, name) = line.trim_end().rsplit_once(' ').unwrap();
    let mut copy = OpenOptions::new()
        .write(true)
        .open(demo.dir().join(name))
        .unwrap();
    copy.seek(SeekFrom::Start(1000)).unwrap();
    copy.write_all(b"!").unwrap();
    let ended = demo.end();
    assert_eq!(ended.status.code(), Some(1));
    assert_eq!(ended.stdout.lines().last(), Some("DIFFERENT"));
    assert!(
        ended.stdout.contains("they differ from byte 1,000 on: "),
        "{}",
        ended.stdout
    );
}

#[test]
fn a_file_is_copied_and_only_read() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_of(dir.path(), 20_000);
    let before = (fs::read(&log).unwrap(), log.metadata().unwrap());
    let link = dir.path().join("link");
    symlink(&log, &link).unwrap();
    let ended = Demo::start(&[&link]).end();
    ended.assert_identical();
    assert!(ended.stdout.contains("connection cut"));
    let after = log.metadata().unwrap();
    assert_eq!(fs::read(&log).unwrap(), before.0);
    assert_eq!(after.modified().unwrap(), before.1.modified().unwrap());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn a_file_that_grows_meanwhile_is_identical_too() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_of(dir.path(), 0);
    let mut demo = Demo::start(&[&log]);
    let mut writer = OpenOptions::new().append(true).open(&log).unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    let may_stop = is_over.clone();
    let writing = thread::spawn(move || {
        // Until after the demo: it must not matter when the last line comes.
        while !may_stop.load(Ordering::SeqCst) {
            writeln!(writer, "a line").unwrap();
            thread::sleep(Duration::from_millis(20));
        }
    });
    demo.wait_for("connection back");
    let ended = demo.end();
    is_over.store(true, Ordering::SeqCst);
    ended.assert_identical();
    assert!(ended.stdout.contains("others wrote"), "{}", ended.stdout);
    writing.join().unwrap();
}

#[test]
fn a_file_that_is_rotated_meanwhile_is_no_proof() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_of(dir.path(), 100);
    let mut demo = Demo::start(&[&log]);
    // Long before its end.
    demo.wait_for("connection cut");
    fs::rename(&log, dir.path().join("auth.log.1")).unwrap();
    File::create(&log).unwrap();
    demo.end().assert_failed("was rotated or truncated");
}

#[test]
fn files_that_cannot_be_shown_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let huge = dir.path().join("huge");
    File::create(&huge).unwrap().set_len(1 << 40).unwrap();
    let blank = dir.path().join("a log");
    File::create(&blank).unwrap();
    let cases = [
        (PathBuf::from("/nonexistent/log"), "/nonexistent/log"),
        (dir.path().to_path_buf(), "is not a regular file"),
        (PathBuf::from("/dev/null"), "is not a regular file"),
        (huge, "is larger than 64 MiB"),
        (blank, "it has a blank in it"),
    ];
    for (file, why) in cases {
        Demo::start(&[file]).end().assert_failed(why);
    }
}

#[test]
fn misuse_shows_the_usage() {
    for args in [&["a", "b"][..], &["-x"]] {
        let ended = Demo::start(args).end();
        assert_eq!(ended.status.code(), Some(2), "{args:?}");
        assert!(ended.stderr.contains("usage: demo [FILE]"));
        assert_eq!(ended.stdout, "");
    }
}

#[test]
fn a_signal_in_the_middle_cleans_up() {
    let demos =
        [Signal::TERM, Signal::INT, Signal::HUP].map(|name| (name, Demo::start::<&str>(&[])));
    // Each in a thread of its own, so that none is at its end before it is its turn.
    thread::scope(|scope| {
        for (name, mut demo) in demos {
            scope.spawn(move || {
                demo.wait_for("rotated");
                demo.signal(name);
                let began = Instant::now();
                demo.end().assert_failed("stopped");
                assert!(began.elapsed() < PATIENCE, "{name:?}");
            });
        }
    });
}

#[test]
fn a_signal_during_the_outage_cleans_up() {
    let mut demo = Demo::start::<&str>(&[]);
    demo.wait_for("connection cut");
    demo.signal(Signal::TERM);
    demo.end().assert_failed("stopped");
}

#[test]
fn a_collector_that_dies_is_named() {
    let mut demo = Demo::start::<&str>(&[]);
    demo.wait_for("lines appended");
    let processes = processes_in(demo.tmp.path());
    let collector = processes.iter().find(|(_, name)| name == "fetch_logs");
    send(collector.unwrap().0, Signal::KILL);
    demo.end()
        .assert_failed("fetch_logs ended by itself: signal: 9");
}

#[test]
fn a_reader_that_goes_away_ends_it() {
    let mut demo = Demo::start::<&str>(&[]);
    demo.wait_for("lines were in the log before");
    demo.stdout = None;
    demo.end().assert_failed("nobody takes the output");
}

#[test]
fn a_place_without_room_for_it_is_named() {
    let ended = Command::new(FETCHLOGS)
        .arg("demo")
        .env("TMPDIR", "/nonexistent/tmp")
        .output()
        .unwrap();
    assert_eq!(ended.status.code(), Some(1));
    let stderr = String::from_utf8(ended.stderr).unwrap();
    assert!(stderr.contains("/nonexistent/tmp"), "{stderr}");
}

#[test]
fn on_a_terminal_a_line_is_refreshed_and_gone_in_the_end() {
    let Some(script) = outside_program("script") else {
        return;
    };
    let tmp = tempfile::tempdir().unwrap();
    let output = Command::new(script)
        .args(["-qec", &format!("'{FETCHLOGS}' demo"), "/dev/null"])
        .env("TMPDIR", tmp.path())
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{shown}");
    assert!(shown.contains("==> copy "), "{shown}");
    assert!(shown.contains("=/=> copy "), "{shown}");
    let last = shown.trim_end().lines().last().unwrap();
    assert!(last.contains("identical"), "{last}");
    assert!(!last.contains("==>"), "{last}");
    assert_nothing_left(tmp.path());
}
