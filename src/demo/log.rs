//! The log that the demo writes: a program that logs, and a logrotate, in one.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// A log with its writer. Lines go to the live file; after a rotation a slow writer may still add
/// to the renamed one.
pub struct Log {
    dir: PathBuf,
    live: File,
    renamed: Option<File>,
    lines: usize,
}

/// The name of the live file.
pub const LIVE: &str = "messages";

/// The texts of the lines: of different lengths, so that no cut falls on the same place in each.
const TEXTS: [&str; 5] = [
    "kernel: eth0: link is up, 1000 Mbit/s, full duplex",
    "dnsmasq[412]: query[A] printer.example.net from 10.4.3.77",
    "hostapd: wlan0: station authenticated",
    "kernel: DROP IN=ppp0 OUT= SRC=198.51.100.23 DST=10.4.3.5 LEN=44 PROTO=TCP SPT=50612 DPT=23",
    "ntpd[390]: offset 0.000412",
];

impl Log {
    /// Creates `dir` and an empty log in it.
    pub fn create(dir: &Path) -> io::Result<Log> {
        fs::create_dir(dir)?;
        Ok(Log {
            dir: dir.to_path_buf(),
            live: create_live(dir)?,
            renamed: None,
            lines: 0,
        })
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The live file.
    pub fn path(&self) -> PathBuf {
        self.dir.join(LIVE)
    }

    /// The size of the live file.
    pub fn size(&self) -> io::Result<u64> {
        Ok(self.live.metadata()?.len())
    }

    /// Appends so many lines to the live file, in one piece.
    pub fn append(&mut self, lines: usize) -> io::Result<()> {
        let text = self.text(lines);
        // One write for all lines: a burst, as it comes from a program that buffers.
        self.live.write_all(text.as_bytes())
    }

    /// Appends to the file that was renamed last, as a writer does that has not noticed yet.
    /// Nothing if there is none.
    pub fn append_late(&mut self, lines: usize) -> io::Result<()> {
        let text = self.text(lines);
        match &mut self.renamed {
            Some(renamed) => renamed.write_all(text.as_bytes()),
            None => Ok(()),
        }
    }

    /// Renames `messages.1` to `messages.2` and so on, `messages` to `messages.1`, and starts a new
    /// `messages`.
    pub fn rotate(&mut self) -> io::Result<()> {
        let rotated = |number: usize| self.dir.join(format!("{LIVE}.{number}"));
        // From the oldest down, so that no rename falls on a name that is still taken.
        let free = (1..).find(|number| !rotated(*number).exists()).unwrap_or(1);
        for number in (1..free).rev() {
            fs::rename(rotated(number), rotated(number + 1))?;
        }
        fs::rename(self.path(), rotated(1))?;
        let live = create_live(&self.dir)?;
        // The descriptor stays open as that of a daemon that was not told of the rotation.
        self.renamed = Some(std::mem::replace(&mut self.live, live));
        Ok(())
    }

    /// The slow writer closes the renamed file.
    pub fn let_go(&mut self) {
        self.renamed = None;
    }

    fn text(&mut self, lines: usize) -> String {
        let mut text = String::new();
        for number in self.lines..self.lines + lines {
            let what = TEXTS.get(number % TEXTS.len()).unwrap_or(&"");
            let _ = writeln!(text, "line {:06} {what}", number + 1);
        }
        self.lines += lines;
        text
    }
}

fn create_live(dir: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        // The name must be free: somebody else's log is never written to.
        .create_new(true)
        .open(dir.join(LIVE))
}

/// The size of a file; 0 if there is none.
pub fn size_of(path: &Path) -> io::Result<u64> {
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
        other => other.map(|metadata| metadata.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotations_shift_the_files_and_late_lines_go_to_the_renamed_one() {
        let parent = tempfile::tempdir().unwrap();
        let mut log = Log::create(&parent.path().join("log")).unwrap();
        for _ in 0..3 {
            log.append(1).unwrap();
            log.rotate().unwrap();
            log.append(1).unwrap();
            log.append_late(1).unwrap();
            log.let_go();
            log.append_late(1).unwrap();
        }
        let numbers = |name: &str| -> Vec<String> {
            let text = fs::read_to_string(log.dir().join(name)).unwrap();
            text.lines().map(|line| line[5..11].to_owned()).collect()
        };
        assert_eq!(numbers("messages.3"), ["000001", "000003"]);
        assert_eq!(numbers("messages.2"), ["000002", "000005", "000007"]);
        assert_eq!(numbers("messages.1"), ["000006", "000009", "000011"]);
        assert_eq!(numbers("messages"), ["000010"]);
        assert_eq!(log.size().unwrap(), size_of(&log.path()).unwrap());
        assert_eq!(size_of(&log.dir().join("messages.4")).unwrap(), 0);
    }
}
