//! The status files as files: replaced by rename, touched, taken away when their server is no
//! longer configured.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::journal::Journal;
use crate::collect::config::Address;
use crate::collect::status::{Action, Report, ServerIndex, Servers, file_name};
use crate::sys::trusted::Place;
use crate::time::{Mono, Now};
use crate::wire::seat::Seat;

/// The directory of the status files and what belongs into them.
pub struct Statuses {
    dir: PathBuf,
    servers: Servers,
    addresses: Vec<Address>,
    before: Vec<Address>,
    scratch: PathBuf,
    /// The files of other collectors, and those of them that ours would have, too.
    claimed: BTreeSet<String>,
    shared: BTreeSet<String>,
}

impl Statuses {
    /// No servers yet, for the collector of this seat.
    pub fn new(dir: PathBuf, seat: Seat, now: Mono) -> Statuses {
        Statuses {
            scratch: dir.join(seat.file("tmp")),
            claimed: BTreeSet::new(),
            shared: BTreeSet::new(),
            dir,
            servers: Servers::new(now),
            addresses: Vec::new(),
            before: Vec::new(),
        }
    }

    /// Forgets all servers: every source joins again after this.
    pub fn restart(&mut self, now: Mono) {
        self.servers = Servers::new(now);
        self.before.append(&mut self.addresses);
    }

    /// These files are other collectors', and are left alone.
    pub fn leave(&mut self, claimed: BTreeSet<String>) {
        self.claimed = claimed;
    }

    /// These files were written by a process before this one: they are taken away, too.
    pub fn inherit(&mut self, names: BTreeSet<String>) {
        let names = names
            .into_iter()
            .filter(|name| !self.claimed.contains(name));
        let address = |name: String| match name.parse::<IpAddr>() {
            Ok(ip) => Address::Ip(ip),
            Err(_) => Address::Name(name.into()),
        };
        self.before.extend(names.map(address));
    }

    /// The files that were left alone since the last call.
    pub fn take_shared(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.shared)
    }

    /// Takes in one more source of a server, in error. `None` if its file is another collector's.
    pub fn add_source(&mut self, address: Address) -> Option<ServerIndex> {
        if !self.claimed.is_empty() && self.claimed.contains(&file_name(&address)) {
            self.shared.insert(file_name(&address));
            return None;
        }
        if let Err(at) = self.addresses.binary_search(&address) {
            self.addresses.insert(at, address.clone());
        }
        Some(self.servers.add_source(address))
    }

    /// After all sources have joined: takes away the files of servers that have none any more.
    pub fn remove_unused(&mut self) {
        for address in std::mem::take(&mut self.before) {
            if self.addresses.binary_search(&address).is_err() {
                let path = self.dir.join(file_name(&address));
                let _ = Place::of(&path).and_then(|place| place.unlink());
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
            let path = self.dir.join(file_name(address));
            let result = match action {
                // A disk without room for a new file mostly has room for other letters in the old
                // one.
                Action::Write(text) => replace(&path, &self.scratch, text)
                    .or_else(|error| rewrite(&path, text).map_err(|_| error)),
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

/// Replaces a status file as a whole, so that a reader finds the old text or the new one and never
/// half of it.
fn replace(path: &Path, scratch: &Path, text: &str) -> io::Result<()> {
    // What is there was left by a run that was killed, or put there by somebody: whatever it is, it
    // is not written through.
    let place = Place::of(scratch)?;
    place.create_scratch(MODE)?.write_all(text.as_bytes())?;
    place.rename(&Place::of(path)?)
}

/// The agent that shows them is another user.
const MODE: u32 = 0o644;

/// Writes a status file where it is. The texts are so short that no reader finds half of one.
fn rewrite(path: &Path, text: &str) -> io::Result<()> {
    let mut file = open_regular(path)?;
    file.write_all(text.as_bytes())?;
    file.set_len(text.len() as u64)
}

fn open_regular(path: &Path) -> io::Result<File> {
    let file = Place::of(path)?.open_write()?;
    let metadata = file.metadata()?;
    // Another name may lead to it, too: then it is somebody's.
    if !metadata.is_file() || metadata.nlink() > 1 {
        return Err(ErrorKind::InvalidInput.into());
    }
    Ok(file)
}

/// Makes a status file's time of last write the present one. Anything but a regular file in its
/// place is an error, and is replaced thereupon.
fn touch(path: &Path) -> io::Result<()> {
    open_regular(path)?.set_modified(SystemTime::now())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::collect::shell::Form;
    use crate::sys::testing::make_fifo;

    #[test]
    fn a_link_in_the_way_is_replaced_and_not_written_through() {
        let dir = tempfile::tempdir().unwrap();
        let (victim, path) = (dir.path().join("victim"), dir.path().join("10.0.0.1"));
        let scratch = dir.path().join(Seat::FIRST.file("tmp"));
        fs::write(&victim, "precious").unwrap();
        symlink(&victim, &path).unwrap();
        symlink(&victim, &scratch).unwrap();
        assert!(touch(&path).is_err());
        replace(&path, &scratch, "OK\n").unwrap();
        assert_eq!(fs::read(&victim).unwrap(), b"precious");
        assert!(fs::symlink_metadata(&path).unwrap().is_file());
        assert_eq!(fs::read(&path).unwrap(), b"OK\n");
        fs::hard_link(&victim, &scratch).unwrap();
        replace(&path, &scratch, "ERR\n").unwrap();
        assert_eq!(fs::read(&victim).unwrap(), b"precious");
        assert!(touch(&path).is_ok());
    }

    #[test]
    fn where_no_file_can_be_made_the_present_one_gets_the_new_text() {
        let dir = tempfile::tempdir().unwrap();
        let address = Address::from(IpAddr::from([10, 0, 0, 1]));
        let path = dir.path().join("10.0.0.1");
        fs::write(&path, "OK\n").unwrap();
        // What cannot be removed is as good as a disk without room.
        fs::create_dir(dir.path().join(Seat::FIRST.file("tmp"))).unwrap();
        let mut statuses = Statuses::new(dir.path().to_path_buf(), Seat::FIRST, Mono::default());
        let server = statuses.add_source(address).unwrap();
        let mut journal = Journal::new(Form::Lines);
        statuses.write_due(Now::default(), &mut journal);
        assert_eq!(fs::read(&path).unwrap(), b"ERR\n");
        statuses.set(server, true, false);
        statuses.write_due(Now::default(), &mut journal);
        assert_eq!(fs::read(&path).unwrap(), b"OK\n");
        fs::hard_link(&path, dir.path().join("victim")).unwrap();
        statuses.set(server, false, true);
        statuses.write_due(Now::default(), &mut journal);
        assert_eq!(fs::read(&path).unwrap(), b"OK\n");
    }

    #[test]
    fn a_fifo_in_the_way_does_not_make_us_wait() {
        let dir = tempfile::tempdir().unwrap();
        let (path, scratch) = (
            dir.path().join("10.0.0.1"),
            dir.path().join(Seat::FIRST.file("tmp")),
        );
        make_fifo(&path);
        make_fifo(&scratch);
        assert!(touch(&path).is_err());
        replace(&path, &scratch, "OK\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"OK\n");
    }
}
