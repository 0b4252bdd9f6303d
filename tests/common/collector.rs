//! A real collector, its configuration, and the files it keeps.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};
use tempfile::TempDir;

use super::FETCHLOGS;
use super::patience::eventually;

/// The file every source asks for unless a test says otherwise.
pub const REMOTE: &str = "/var/log/messages";

/// Short periods where waiting is not what is tested, long ones where a busy machine must not look like a dead peer.
/// Later options override these.
const USUAL_OPTIONS: [&str; 6] = ["-r", "0.02", "-w", "60", "-i", "120"];

/// A directory with a configuration, local copies, pointers and status files. It outlives any collector in it.
pub struct Place {
    dir: TempDir,
}

impl Place {
    /// An empty one, in memory where there is such a place: each start of a collector makes the whole file system
    /// durable, and the disk has others to serve.
    pub fn new() -> Place {
        let memory = tempfile::tempdir_in("/dev/shm");
        let dir = memory.or_else(|_| tempfile::tempdir()).unwrap();
        fs::create_dir(dir.path().join("snmp")).unwrap();
        Place { dir }
    }

    /// One with these lines as its configuration.
    pub fn with(lines: impl FnOnce(&Place) -> Vec<String>) -> Place {
        let place = Place::new();
        place.configure(&lines(&place));
        place
    }

    /// One with a single source, its local copy named `log`.
    pub fn following(server: SocketAddr) -> Place {
        Place::with(|place| vec![place.line(server, REMOTE, "log")])
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A line of the configuration: the local copy is `NAME`, its pointer `NAME.ptr`.
    pub fn line(&self, server: SocketAddr, remote: &str, name: &str) -> String {
        let local = self.path(name);
        let local = local.display();
        format!(
            "{} {} {remote} {local} {local}.ptr",
            server.ip(),
            server.port()
        )
    }

    /// Writes the configuration; a running collector reads it at HUP.
    pub fn configure(&self, lines: &[String]) {
        fs::write(self.path("conf"), lines.join("\n") + "\n").unwrap();
    }

    /// Starts a collector here with the usual options and some more.
    pub fn start(&self, options: &[&str]) -> Collector {
        Collector::spawn(&mut self.command(options))
    }

    /// The command that [`start`](Place::start) runs.
    pub fn command(&self, options: &[&str]) -> Command {
        let mut command = Command::new(FETCHLOGS);
        command
            .arg("fetch_logs")
            .args(USUAL_OPTIONS)
            .args(options)
            .arg(self.path("snmp"))
            .arg(self.path("conf"))
            .current_dir(self.dir.path());
        command
    }

    /// What is in a file; nothing if there is none.
    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_default()
    }

    /// Waits until a file holds exactly these bytes.
    pub fn wait_for(&self, name: &str, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let shown: String = text.chars().take(200).collect();
        eventually(&format!("{name} to hold {shown:?}"), || {
            (self.read(name) == bytes).then_some(())
        });
    }

    /// Waits until the status of a server is this.
    pub fn wait_for_status(&self, address: &str, status: &str) {
        self.wait_for(&format!("snmp/{address}"), status.as_bytes());
    }

    /// The first word of a pointer file.
    pub fn pointer(&self, name: &str) -> String {
        let text = String::from_utf8(self.read(name)).unwrap();
        text.split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned()
    }

    /// Every name in it.
    pub fn names(&self) -> BTreeSet<String> {
        let entries = fs::read_dir(self.dir.path()).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    /// The names that begin with `NAME.` and a stamp, oldest first.
    pub fn rotated(&self, name: &str) -> Vec<String> {
        let key = |full: &String| {
            let stamp = full.strip_prefix(name)?.strip_prefix('.')?;
            let (stamp, number) = stamp.split_once('.').unwrap_or((stamp, "0"));
            let is_stamp = stamp.len() == 14 && stamp.bytes().all(|byte| byte.is_ascii_digit());
            Some((stamp.to_owned(), number.parse::<u32>().ok()?)).filter(|_| is_stamp)
        };
        let mut names: Vec<String> = self.names().into_iter().collect();
        names.retain(|name| key(name).is_some());
        names.sort_by_key(key);
        names
    }
}

/// A running collector. It is killed when it goes out of scope; if a test is failing, what it said is shown.
pub struct Collector {
    child: Child,
    /// Its lines on stdout.
    pub out: Lines,
    /// Its lines on stderr.
    pub err: Lines,
}

impl Collector {
    /// Runs a command that becomes a collector.
    pub fn spawn(command: &mut Command) -> Collector {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Collector {
            out: Lines::of(child.stdout.take().unwrap()),
            err: Lines::of(child.stderr.take().unwrap()),
            child,
        }
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        send_signal(signal, self.pid()).unwrap();
    }

    /// Stops it, and waits until it does nothing more.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
        let stat = format!("/proc/{}/stat", self.pid());
        eventually("the collector to be stopped", || {
            let stat = fs::read_to_string(&stat).unwrap();
            stat.rsplit(") ").next()?.starts_with('T').then_some(())
        });
    }

    /// Kills it as a power cut would, but for the disk.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end and tells how it did.
    pub fn stop(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        eventually("the collector to end", || self.child.try_wait().unwrap())
    }

    /// Whether it runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!(
                "stdout: {:#?}\nstderr: {:#?}",
                self.out.all(),
                self.err.all()
            );
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines that a process prints, collected as they come.
#[derive(Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    fn of(stream: impl Read + Send + 'static) -> Lines {
        let lines = Lines::default();
        let kept = lines.clone();
        thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                kept.0.lock().unwrap().push(line);
            }
        });
        lines
    }

    /// All lines so far.
    pub fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// The lines so far that contain a text.
    pub fn with(&self, text: &str) -> Vec<String> {
        let mut lines = self.all();
        lines.retain(|line| line.contains(text));
        lines
    }

    /// Waits for a line that contains a text and gives the first such line.
    pub fn wait_for(&self, text: &str) -> String {
        self.wait_for_nth(text, 1)
    }

    /// Waits until so many lines contain a text and gives the last of them.
    pub fn wait_for_nth(&self, text: &str, count: usize) -> String {
        eventually(&format!("line {count} with {text:?}"), || {
            self.with(text).into_iter().nth(count - 1)
        })
    }
}

/// Sends a signal to a process; an error if there is none.
pub fn send_signal(signal: Signal, pid: u32) -> rustix::io::Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    kill_process(pid.unwrap(), signal)
}

/// Runs a collector that is expected to end by itself: its exit status, stdout and stderr.
pub fn run(args: impl IntoIterator<Item = impl AsRef<OsStr>>, dir: &Path) -> (i32, String, String) {
    let output = Command::new(FETCHLOGS)
        .arg("fetch_logs")
        .args(args)
        .current_dir(dir)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr),
    )
}
