//! A server, its logs and local copies of them, in a directory of their own that is gone when dropped.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use fetchlogs::collect::copy::pointer::Pointer;
use fetchlogs::ids::Inode;
use tempfile::TempDir;

use super::common::FETCHLOGS;

/// The stamp of rotated copies that a test makes.
pub const STAMP: &str = "20261122132956";

/// The directory and what runs in it.
pub struct Place {
    home: TempDir,
    server: Option<Daemon>,
    address: SocketAddr,
    sources: Vec<String>,
}

/// A process that ends with the test.
pub struct Daemon(pub Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What `verify` said.
#[derive(Debug)]
pub struct Said {
    pub status: i32,
    /// The lines without address and remote file, and without the directory of the copies.
    pub lines: Vec<String>,
    pub stderr: String,
}

impl Said {
    /// The verdict about a copy.
    pub fn of(&self, copy: &str) -> &str {
        let line = self.lines.iter().find_map(|line| {
            line.split_once(": ")
                .filter(|(name, _)| *name == copy)
                .map(|(_, verdict)| verdict)
        });
        line.unwrap_or_else(|| panic!("nothing is said of {copy}: {self:?}"))
    }
}

impl Place {
    /// A server that serves everything in `remote/` that is asked for in this test.
    pub fn new(logs: &[&str]) -> Place {
        Place::allowing("127.0.0.1", logs)
    }

    /// One that allows only this client.
    pub fn allowing(client: &str, logs: &[&str]) -> Place {
        let home = tempfile::tempdir().unwrap();
        for dir in ["remote", "local", "status"] {
            fs::create_dir(home.path().join(dir)).unwrap();
        }
        let config = home.path().join("server.conf");
        let mut text = format!(
            "$hosts_allow{{'{client}'}} = 1; $bind_addr = '127.0.0.1'; $bind_port = 0;\n\
             $delay_check = 0.1; $grace = 0.1;\n"
        );
        for log in logs {
            let path = home.path().join("remote").join(log);
            let path = path.display();
            text += &format!("$files{{'{path}'}} = '{path}.*[0-9]';\n");
        }
        fs::write(&config, text).unwrap();
        let mut server = Command::new(FETCHLOGS)
            .arg("gen_numbers")
            .arg("-c")
            .arg(config)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let address = listening_address(&mut server);
        Place {
            home,
            server: Some(Daemon(server)),
            address,
            sources: Vec::new(),
        }
    }

    pub fn path(&self) -> &Path {
        self.home.path()
    }

    pub fn remote(&self, name: &str) -> PathBuf {
        self.path().join("remote").join(name)
    }

    pub fn local(&self, name: &str) -> PathBuf {
        self.path().join("local").join(name)
    }

    /// Where the sources that are added next are asked.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn stop_server(&mut self) {
        self.server = None;
    }

    /// Sends all sources that are added from now on to another server.
    pub fn ask(&mut self, address: SocketAddr) {
        self.address = address;
    }

    /// Adds a source. There need not be any copy of it.
    pub fn source(&mut self, name: &str, fields: &str) {
        self.sources.push(format!(
            "{} {} {} {} {} {fields}",
            self.address.ip(),
            self.address.port(),
            self.remote(name).display(),
            self.local(name).display(),
            self.local(&format!("{name}.pointer")).display(),
        ));
    }

    /// Adds a source with a log and a live copy of it.
    pub fn copied(&mut self, name: &str, theirs: &[u8], ours: &[u8]) {
        self.source(name, "");
        fs::write(self.remote(name), theirs).unwrap();
        fs::write(self.local(name), ours).unwrap();
        self.point(name);
    }

    /// Lets the pointer say that the live copy is one of the log that is there now.
    pub fn point(&self, name: &str) {
        let inode = fs::metadata(self.remote(name)).unwrap().ino();
        let pointer = Pointer::of(Inode(inode)).write();
        fs::write(self.local(&format!("{name}.pointer")), pointer.as_bytes()).unwrap();
    }

    /// Adds a rotated log and the rotated copy of it.
    pub fn rotated(&self, name: &str, theirs: &[u8], ours: &[u8]) {
        fs::write(self.remote(&format!("{name}.1")), theirs).unwrap();
        fs::write(self.local(&format!("{name}.{STAMP}")), ours).unwrap();
    }

    /// Writes the configuration and tells its name.
    pub fn config(&self) -> PathBuf {
        let path = self.path().join("collector.conf");
        fs::write(&path, self.sources.join("\n") + "\n").unwrap();
        path
    }

    /// The command that compares everything.
    pub fn command(&self, options: &[&str]) -> Command {
        let mut command = Command::new(FETCHLOGS);
        command
            .args(["fetch_logs", "verify"])
            .args(options)
            .arg(self.path().join("status"))
            .arg(self.config());
        command
    }

    /// Compares everything.
    pub fn verify(&self) -> Said {
        self.verify_with(&[])
    }

    pub fn verify_with(&self, options: &[&str]) -> Said {
        self.said(self.command(options).output().unwrap())
    }

    fn said(&self, output: Output) -> Said {
        let local = format!("{}/", self.path().join("local").display());
        let remote = format!("{}/", self.path().join("remote").display());
        let stdout = String::from_utf8(output.stdout).unwrap();
        let lines = stdout.lines().map(|line| {
            let mut words = line.splitn(3, ' ');
            assert!(
                words
                    .next()
                    .is_some_and(|word| word.parse::<std::net::IpAddr>().is_ok())
            );
            assert!(words.next().is_some_and(|word| word.starts_with(&remote)));
            let rest = words.next().unwrap().strip_prefix(&local);
            rest.unwrap_or_else(|| panic!("{line}")).to_owned()
        });
        Said {
            status: output.status.code().unwrap_or(-1),
            lines: lines.collect(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Starts a collector of all sources.
    pub fn collect(&self) -> Daemon {
        let out = File::create(self.path().join("events")).unwrap();
        let collector = Command::new(FETCHLOGS)
            .args(["fetch_logs", "-r", "0.1"])
            .arg(self.path().join("status"))
            .arg(self.config())
            .stdout(out)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Daemon(collector)
    }

    /// What the collector has said.
    pub fn events(&self) -> String {
        fs::read_to_string(self.path().join("events")).unwrap_or_default()
    }

    /// Every name in the directory of the copies, with size and times.
    pub fn snapshot(&self) -> Vec<(PathBuf, u64, i64, i64)> {
        let entries = fs::read_dir(self.path().join("local")).unwrap();
        let mut all: Vec<_> = entries
            .map(|entry| {
                let entry = entry.unwrap();
                let stat = entry.metadata().unwrap();
                (
                    entry.path(),
                    stat.len(),
                    stat.mtime_nsec(),
                    stat.ctime_nsec(),
                )
            })
            .collect();
        all.sort();
        all
    }
}

/// A comparison under way.
pub struct Running {
    process: Daemon,
    stdout: BufReader<ChildStdout>,
}

impl Running {
    pub fn start(place: &Place, options: &[&str]) -> Running {
        let mut command = place.command(options);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        Running {
            process: Daemon(process),
            stdout,
        }
    }

    pub fn pid(&self) -> u32 {
        self.process.0.id()
    }

    /// The next line, newline included.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }

    pub fn is_running(&mut self) -> bool {
        self.process.0.try_wait().unwrap().is_none()
    }

    /// Waits for its end and tells the status and what it said on stderr.
    pub fn wait(mut self) -> (Option<i32>, String) {
        let status = self.process.0.wait().unwrap().code();
        let mut stderr = String::new();
        let mut pipe = self.process.0.stderr.take().unwrap();
        pipe.read_to_string(&mut stderr).unwrap();
        (status, stderr)
    }
}

/// `IDENTICAL`, as it is said of these bytes.
pub fn identical(bytes: &[u8]) -> String {
    let md5 = fetchlogs::wire::md5::Md5::new().update(bytes).finish();
    let md5 = fetchlogs::wire::md5::Hex(&md5);
    format!("IDENTICAL md5={md5} {} bytes", bytes.len())
}

/// A log with lines that are all different.
pub fn log(lines: usize) -> Vec<u8> {
    (0..lines)
        .flat_map(|number| format!("Nov 22 13:29:56 box daemon[1]: line {number}\n").into_bytes())
        .collect()
}

/// Waits until something is so.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Reads where a server listens, and goes on reading so that it never waits for us.
fn listening_address(server: &mut Child) -> SocketAddr {
    let mut stderr = BufReader::new(server.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    let address = line.trim_end().rsplit(' ').next().unwrap();
    let address = address.parse().unwrap_or_else(|_| panic!("{line}"));
    std::thread::spawn(move || std::io::copy(&mut stderr.by_ref(), &mut std::io::sink()));
    address
}
