//! The status files as files: replaced by rename, touched, taken away when their server is no longer configured.

use std::fs::{self, File};
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::journal::Journal;
use crate::collect::status::{Action, Report, ServerIndex, Servers, file_name};
use crate::time::{Mono, Now};

/// The directory of the status files and what belongs into them.
pub struct Statuses {
    dir: PathBuf,
    servers: Servers,
    addresses: Vec<IpAddr>,
    before: Vec<IpAddr>,
}

impl Statuses {
    /// No servers yet.
    pub fn new(dir: PathBuf, now: Mono) -> Statuses {
        Statuses {
            dir,
            servers: Servers::new(now),
            addresses: Vec::new(),
            before: Vec::new(),
        }
    }

    /// Forgets all servers: every source joins again after this.
    pub fn restart(&mut self, now: Mono) {
        self.servers = Servers::new(now);
        self.before = std::mem::take(&mut self.addresses);
    }

    /// Takes in one more source of a server, in error.
    pub fn add_source(&mut self, address: IpAddr) -> ServerIndex {
        let index = self.servers.add_source(address);
        if let Err(at) = self.addresses.binary_search(&address) {
            self.addresses.insert(at, address);
        }
        index
    }

    /// After all sources have joined: takes away the files of servers that have none any more.
    pub fn remove_unused(&mut self) {
        for address in std::mem::take(&mut self.before) {
            if self.addresses.binary_search(&address).is_err() {
                let _ = fs::remove_file(self.dir.join(&*file_name(address)));
            }
        }
    }

    /// A source was or was not in error, and now is or is not.
    pub fn set(&mut self, server: ServerIndex, was_error: bool, is_error: bool) {
        self.servers.set(server, was_error, is_error);
    }

    /// When [`write_due`](Self::write_due) has something to do.
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.servers.poll_timeout()
    }

    /// Writes and touches what is due.
    pub fn write_due(&mut self, now: Now, journal: &mut Journal) {
        while let Some((server, action)) = self.servers.poll(now.mono) {
            let Some(address) = self.servers.address(server) else {
                continue;
            };
            let path = self.dir.join(&*file_name(address));
            let result = match action {
                Action::Write(text) => replace(&path, text),
                Action::Touch => touch(&path),
            };
            let report = self.servers.done(server, result.is_ok(), now.mono);
            match (report, result) {
                (Some(Report::Failing), Err(error)) => journal.complain(&format_args!(
                    "cannot write the status file {}: {error}",
                    path.display()
                )),
                (Some(Report::Recovered), _) => {
                    journal.complain(&format_args!("{} can be written again", path.display()));
                }
                _ => {}
            }
        }
    }
}

/// Replaces a status file as a whole, so that a reader finds the old text or the new one and never half of it.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut scratch = path.as_os_str().to_owned();
    scratch.push(".tmp");
    let scratch = Path::new(&scratch);
    File::create(scratch)?.write_all(text.as_bytes())?;
    fs::rename(scratch, path)
}

/// Makes a status file's time of last write the present one.
fn touch(path: &Path) -> io::Result<()> {
    File::options()
        .write(true)
        .open(path)?
        .set_modified(SystemTime::now())
}
