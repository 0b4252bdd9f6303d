//! The real log server and the real collector with version 2 between them, for the log `m` of one box.
//!
//! Everything lies in a directory that is gone when the pair is dropped: the box's log in `remote/`, the copies in
//! `local/`, the pointer in `pointer/`, the status in `status/`. [`Boxed`] is the box: it writes and rotates and
//! remembers every generation, so that [`Pair::expect`] can say what the collector must hold.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fetchlogs::collect::copy::pointer::{Pointer, Token};
use fetchlogs::wire::md5::{Hex, Md5};
use tempfile::TempDir;

use super::FETCHLOGS;

/// What a pair is started with.
#[derive(Clone, Copy)]
pub struct Setup {
    /// The globs of the rotated files, below `remote/`.
    pub globs: &'static str,
    /// What follows the fifth field of the source.
    pub fields: &'static str,
    /// `$delay_check`, in seconds.
    pub check_s: f64,
    /// `$grace`, in seconds.
    pub grace_s: f64,
    /// The collector's `-i`, in seconds.
    pub idle_s: f64,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            globs: "m.*[0-9]",
            fields: "",
            check_s: 0.1,
            grace_s: 0.5,
            idle_s: 120.0,
        }
    }
}

/// The two daemons and their files.
pub struct Pair {
    home: TempDir,
    setup: Setup,
    /// Where the server listens, once it was started, or whoever answers in its place.
    pub address: SocketAddr,
    /// Where the collector connects to, if not to the server itself.
    pub via: Option<SocketAddr>,
    server: Option<Daemon>,
    collector: Option<Daemon>,
}

impl Pair {
    /// Starts both and waits for the first contact with an empty log.
    pub fn start(setup: Setup) -> (Pair, Boxed) {
        let (mut pair, log) = Pair::prepare(setup);
        pair.start_server();
        pair.start_collector();
        pair.expect_status("OK\n");
        (pair, log)
    }

    /// The files are in their places and an empty log is there; neither of the two runs.
    pub fn prepare(setup: Setup) -> (Pair, Boxed) {
        Pair::prepare_in(std::env::temp_dir(), setup)
    }

    /// The same below a directory of the caller's choice.
    pub fn prepare_in(dir: impl AsRef<Path>, setup: Setup) -> (Pair, Boxed) {
        let home = tempfile::tempdir_in(dir).unwrap();
        for dir in ["remote", "local", "pointer", "status"] {
            fs::create_dir(home.path().join(dir)).unwrap();
        }
        let log = Boxed::new(home.path().join("remote/m"));
        let pair = Pair {
            home,
            setup,
            address: SocketAddr::new(own_address().into(), 0),
            via: None,
            server: None,
            collector: None,
        };
        (pair, log)
    }

    /// A path below the pair's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Starts the server, at the same port as before, and waits until it listens.
    pub fn start_server(&mut self) {
        assert!(self.server.is_none());
        let remote = self.path("remote");
        let globs = self.setup.globs.split(' ');
        let globs: Vec<String> = globs
            .map(|glob| remote.join(glob).display().to_string())
            .collect();
        let text = format!(
            "$hosts_allow{{'127.0.0.0/8'}} = 1; $bind_addr = '{}'; $bind_port = {};\n\
             $delay_check = {}; $grace = {};\n$files{{'{}'}} = '{}';\n1;\n",
            self.address.ip(),
            self.address.port(),
            self.setup.check_s,
            self.setup.grace_s,
            remote.join("m").display(),
            globs.join(" "),
        );
        let config = self.path("server.conf");
        fs::write(&config, text).unwrap();
        let mut command = Command::new(FETCHLOGS);
        command.args(["gen_numbers", "-c"]).arg(config);
        let said = self.server_says().len();
        self.server = Some(Daemon::start(command, self.home.path(), "server"));
        let address = self.wait_for("the server to listen", |pair| {
            let text = pair.server_says();
            let (_, rest) = text.get(said..)?.split_once("listening on ")?;
            rest.split_once('\n')?.0.parse().ok()
        });
        self.address = address;
    }

    /// Starts the collector.
    pub fn start_collector(&mut self) {
        assert!(self.collector.is_none());
        self.write_collector_config(self.setup.fields);
        let mut command = Command::new(FETCHLOGS);
        command
            .args(["fetch_logs", "-r", "0.1", "-w", "60", "-i"])
            .arg(self.setup.idle_s.to_string())
            .arg(self.path("status"))
            .arg(self.path("collector.conf"));
        self.collector = Some(Daemon::start(command, self.home.path(), "collector"));
    }

    /// Writes the source with other fields behind the fifth; a running collector reads them at HUP.
    pub fn write_collector_config(&self, fields: &str) {
        let server = self.via.unwrap_or(self.address);
        let text = format!(
            "{} {} {} {} {} {fields}\n",
            server.ip(),
            server.port(),
            self.path("remote/m").display(),
            self.local().display(),
            self.pointer().display(),
        );
        fs::write(self.path("collector.conf"), text).unwrap();
    }

    /// SIGKILL, at whatever the server is doing.
    pub fn kill_server(&mut self) {
        self.server = None;
    }

    /// SIGKILL, at whatever the collector is doing.
    pub fn kill_collector(&mut self) {
        self.collector = None;
    }

    /// Lets something happen to the box, with the collector connected or away.
    pub fn change(&mut self, log: &mut Boxed, away: bool, act: impl FnOnce(&mut Boxed)) {
        if !away {
            return act(log);
        }
        self.kill_collector();
        act(log);
        self.start_collector();
    }

    /// Sends a signal, by its name, to the collector.
    pub fn signal_collector(&self, name: &str) {
        self.collector.as_ref().unwrap().signal(name);
    }

    /// Lets something happen to the box in one moment, as the server sees it.
    pub fn in_one_moment(&mut self, log: &mut Boxed, act: impl FnOnce(&mut Boxed)) {
        let server = self.server.as_ref().unwrap();
        server.signal("STOP");
        act(log);
        server.signal("CONT");
    }

    /// Lets the pointer say that the copy was last followed in an earlier boot of the box.
    pub fn pretend_another_boot(&self) {
        let mut pointer = Pointer::parse(&fs::read(self.pointer()).unwrap()).unwrap();
        pointer.token = Token::new(b"boot");
        fs::write(self.pointer(), pointer.write().as_bytes()).unwrap();
    }

    /// How much memory the collector has, in KiB.
    pub fn collector_memory_kb(&self) -> u64 {
        let pid = self.collector.as_ref().unwrap().child.id();
        let status = text_of(Path::new(&format!("/proc/{pid}/status")));
        let (_, rest) = status.split_once("VmRSS:").unwrap();
        rest.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// The live copy.
    pub fn local(&self) -> PathBuf {
        self.path("local/m")
    }

    /// The pointer file.
    pub fn pointer(&self) -> PathBuf {
        self.path("pointer/m")
    }

    /// What is in the live copy.
    pub fn held(&self) -> Vec<u8> {
        fs::read(self.local()).unwrap_or_default()
    }

    /// The copies of complete generations, oldest first: by their stamps, in one second by the number behind it.
    pub fn finished(&self) -> Vec<PathBuf> {
        let mut found: Vec<(u64, u64, PathBuf)> = Vec::new();
        for entry in fs::read_dir(self.path("local")).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let Some(ending) = name.strip_prefix("m.") else {
                continue;
            };
            let (stamp, number) = ending.split_once('.').unwrap_or((ending, "0"));
            if let (14, Ok(stamp), Ok(number)) = (stamp.len(), stamp.parse(), number.parse()) {
                found.push((stamp, number, path));
            }
        }
        found.sort();
        found.into_iter().map(|(_, _, path)| path).collect()
    }

    /// Other files beside the live copy whose names have this in them.
    pub fn beside(&self, mark: &str) -> Vec<PathBuf> {
        let all = fs::read_dir(self.path("local")).unwrap();
        let mut found: Vec<PathBuf> = all
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.to_str().unwrap().contains(mark))
            .collect();
        found.sort();
        found
    }

    /// Every event so far, in all runs of the collector.
    pub fn events(&self) -> String {
        text_of(&self.path("collector.out"))
    }

    /// What the collector said on stderr.
    pub fn complaints(&self) -> String {
        text_of(&self.path("collector.err"))
    }

    /// What the server said.
    pub fn server_says(&self) -> String {
        text_of(&self.path("server.err"))
    }

    /// The status that a monitoring system sees.
    pub fn status(&self) -> String {
        let server = self.via.unwrap_or(self.address);
        fs::read_to_string(self.path("status").join(server.ip().to_string())).unwrap_or_default()
    }

    /// Waits until the copies are exactly these generations, oldest first, the live one last, and every finished one
    /// has been verified.
    pub fn expect(&mut self, generations: &[impl AsRef<[u8]>]) {
        self.expect_copies(generations);
        self.expect_verified();
    }

    /// Waits until the copies are exactly these generations, verified or not.
    pub fn expect_copies(&mut self, generations: &[impl AsRef<[u8]>]) {
        self.until(|pair| pair.compare(generations));
    }

    /// Waits until every finished copy has been verified, and with the digest that it has.
    pub fn expect_verified(&mut self) {
        self.until(|pair| {
            let events = pair.events();
            for path in pair.finished() {
                let digest = md5_of(&fs::read(&path).unwrap());
                let verified = format!("verified md5={digest} {}\n", path.display());
                if !events.contains(&verified) {
                    return Err(format!("there is no {verified}"));
                }
            }
            Ok(())
        });
    }

    /// Waits until the live copy is this.
    pub fn expect_live(&mut self, bytes: &[u8]) {
        self.until(|pair| differ(&pair.held(), bytes, &pair.local()));
    }

    /// Waits until the collector has said this.
    pub fn expect_event(&mut self, text: &str) {
        self.until(|pair| match pair.events().contains(text) {
            true => Ok(()),
            false => Err(format!("the collector does not say {text:?}")),
        });
    }

    /// Waits until the status is this.
    pub fn expect_status(&mut self, text: &str) {
        self.until(|pair| match pair.status() {
            status if status == text => Ok(()),
            status => Err(format!("the status is {status:?} instead of {text:?}")),
        });
    }

    /// Nothing was lost and nothing differs, as far as the collector has said up to now.
    pub fn assert_no_losses(&mut self) {
        for bad in [" lost ", " differs "] {
            assert!(!self.events().contains(bad), "{}", self.everything_said());
        }
        assert!(self.beside(".gaps").is_empty());
    }

    /// Waits until the check says `Ok`; otherwise fails with its last word and those of the daemons.
    pub fn until(&mut self, mut check: impl FnMut(&Pair) -> Result<(), String>) {
        let mut why = String::new();
        let done = self.poll(|pair| match check(pair) {
            Ok(()) => Some(()),
            Err(reason) => {
                why = reason;
                None
            }
        });
        assert!(done.is_some(), "{why}\n{}", self.everything_said());
    }

    /// Waits for a value.
    pub fn wait_for<T>(&mut self, what: &str, check: impl FnMut(&Pair) -> Option<T>) -> T {
        self.poll(check)
            .unwrap_or_else(|| panic!("waited for {what}\n{}", self.everything_said()))
    }

    fn poll<T>(&mut self, mut check: impl FnMut(&Pair) -> Option<T>) -> Option<T> {
        let start = Instant::now();
        loop {
            if let Some(value) = check(self) {
                return Some(value);
            }
            if start.elapsed() > PATIENCE || !self.all_run() {
                // What ended may have said its last word in between.
                return check(self);
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn all_run(&mut self) -> bool {
        let daemons = [&mut self.server, &mut self.collector];
        daemons.into_iter().flatten().all(Daemon::is_running)
    }

    fn compare(&self, generations: &[impl AsRef<[u8]>]) -> Result<(), String> {
        let mut paths = self.finished();
        paths.push(self.local());
        for (path, expected) in paths.iter().zip(generations) {
            let held = fs::read(path).unwrap_or_default();
            differ(&held, expected.as_ref(), path)?;
        }
        match (paths.len(), generations.len()) {
            (ours, theirs) if ours != theirs => Err(format!("{ours} copies instead of {theirs}")),
            _ => Ok(()),
        }
    }

    /// All that helps to see why a test failed.
    pub fn everything_said(&mut self) -> String {
        let mut text = String::new();
        for entry in fs::read_dir(self.path("local")).unwrap().flatten() {
            let len = entry.metadata().map_or(0, |metadata| metadata.len());
            let _ = writeln!(text, "{len:>10} {}", entry.path().display());
        }
        if !self.all_run() {
            text += "a daemon has ended\n";
        }
        let _ = write!(
            text,
            "-- pointer\n{}-- server\n{}-- collector\n{}{}",
            text_of(&self.pointer()),
            self.server_says(),
            self.complaints(),
            self.events()
        );
        text
    }
}

/// Longer than anything on a machine that is busy with other tests may take.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The box: its log, and what was ever written into each generation of it, the live one last.
pub struct Boxed {
    /// The live file.
    pub path: PathBuf,
    /// What was written.
    pub written: Vec<Vec<u8>>,
}

impl Boxed {
    fn new(path: PathBuf) -> Boxed {
        File::create_new(&path).unwrap();
        Boxed {
            path,
            written: vec![Vec::new()],
        }
    }

    /// A writer that keeps its descriptor.
    pub fn writer(&self) -> File {
        let mut options = File::options();
        options.append(true).create(true).open(&self.path).unwrap()
    }

    /// Opens the live file, writes and closes it.
    pub fn append(&mut self, bytes: impl AsRef<[u8]>) {
        self.writer().write_all(bytes.as_ref()).unwrap();
        self.note(bytes);
    }

    /// Somebody else wrote this into the live generation.
    pub fn note(&mut self, bytes: impl AsRef<[u8]>) {
        let live = self.written.last_mut().unwrap();
        live.extend_from_slice(bytes.as_ref());
    }

    /// Makes room for the newest rotated file, renames the live one to it and creates the next.
    pub fn rotate(&mut self, names: Names) {
        self.rename(names);
        File::create_new(&self.path).unwrap();
        self.begin();
    }

    /// The first half of that: nothing has the live name afterwards.
    pub fn rename(&mut self, names: Names) {
        match names {
            Names::From(first) => {
                let count = (first..).take_while(|n| self.numbered(*n).exists()).count();
                for number in (first..first + count).rev() {
                    fs::rename(self.numbered(number), self.numbered(number + 1)).unwrap();
                }
                fs::rename(&self.path, self.numbered(first)).unwrap();
            }
            Names::Rising => {
                // Only the times of their last writes tell that they rise, and those are as coarse as the kernel's
                // clock.
                thread::sleep(Duration::from_millis(20));
                let free = { 1.. }
                    .map(|n| self.numbered(n))
                    .find(|path| !path.exists());
                fs::rename(&self.path, free.unwrap()).unwrap();
            }
            Names::Dates => {
                let free = (1..).map(|day| {
                    let (month, day) = (1 + day / 28, 1 + day % 28);
                    self.named(&format!("-2026{month:02}{day:02}"))
                });
                let free = { free }.find(|path| !path.exists()).unwrap();
                fs::rename(&self.path, free).unwrap();
            }
            Names::Old => fs::rename(&self.path, self.named(".old")).unwrap(),
        }
    }

    /// The live file is another generation from here on.
    pub fn begin(&mut self) {
        self.written.push(Vec::new());
    }

    /// The rotated file with this number.
    pub fn numbered(&self, number: usize) -> PathBuf {
        self.named(&format!(".{number}"))
    }

    /// The file whose name has this behind the live one's.
    pub fn named(&self, ending: &str) -> PathBuf {
        PathBuf::from(format!("{}{ending}", self.path.display()))
    }
}

/// How rotated files are called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Names {
    /// `m.1` or `m.0` is the newest, higher numbers are older.
    From(usize),
    /// `m.1` is the oldest.
    Rising,
    /// `m-20260102` and so on.
    Dates,
    /// There is one, `m.old`.
    Old,
}

/// A running daemon, killed when dropped. What it says is added to files beside the others of its pair.
struct Daemon {
    child: Child,
}

impl Daemon {
    fn start(mut command: Command, home: &Path, name: &str) -> Daemon {
        let log = |ending: &str| {
            let mut options = File::options();
            let path = home.join(format!("{name}.{ending}"));
            options.create(true).append(true).open(path).unwrap()
        };
        let child = command
            .env("TZ", "UTC0")
            .stdin(Stdio::null())
            .stdout(log("out"))
            .stderr(log("err"))
            .spawn()
            .unwrap();
        Daemon { child }
    }

    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &kill]).status().unwrap();
        assert!(status.success());
    }

    fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The MD5 of all bytes, as `md5sum` shows it.
pub fn md5_of(bytes: &[u8]) -> String {
    Hex(&Md5::new().update(bytes).finish()).to_string()
}

/// Numbered lines, each different from all others.
pub fn lines(numbers: std::ops::Range<u64>) -> Vec<u8> {
    numbers.fold(Vec::new(), |mut text, number| {
        writeln!(text, "line {number:08} of the log").unwrap();
        text
    })
}

/// Bytes of all values without any order, the same for each seed.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut random = Random(seed);
    (0..len).map(|_| random.below(256) as u8).collect()
}

/// Random numbers that a seed repeats.
pub struct Random(pub u64);

impl Random {
    /// A number from 0 to `limit` - 1.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

fn differ(held: &[u8], expected: &[u8], path: &Path) -> Result<(), String> {
    if held == expected {
        return Ok(());
    }
    let same = held.iter().zip(expected).take_while(|(a, b)| a == b);
    let at = same.count();
    let start = |bytes: &[u8]| {
        let part = &bytes[at..bytes.len().min(at + 60)];
        String::from_utf8_lossy(part).into_owned()
    };
    Err(format!(
        "{} has {} bytes, not {}; from {at} on {:?}, not {:?}",
        path.display(),
        held.len(),
        expected.len(),
        start(held),
        start(expected)
    ))
}

fn text_of(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// An address in 127/8 that no other pair of this run has, so that nobody takes the server's port while it is away.
fn own_address() -> Ipv4Addr {
    static NEXT: AtomicU32 = AtomicU32::new(2);
    let [_, _, a, b] = std::process::id().to_be_bytes();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    Ipv4Addr::new(127, a, b, u8::try_from(number).unwrap())
}
