//! The shell of the helper: standard input and output, the real directory, the clock, and silence.
//!
//! The agent reads standard error through the same pipe as standard output, so a single byte there
//! is taken for an answer. From its first moment on [`run`] therefore says nothing at all but
//! answers, not even in a panic; only the command line, which an operator types, is complained
//! about, and that is over before `run`.

use std::fs::{self, DirEntry, File};
use std::io::{self, ErrorKind, Read, Write};
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::panic;
use std::path::{Path, PathBuf};
use std::process;
use std::time::{SystemTime, UNIX_EPOCH};

use super::dialogue::Dialogue;
use super::instance::Forms;
use super::numbers::Numbers;
use super::oid::Oid;
use super::status::{Status, StatusDir};
use crate::sys::{stdio, trusted};
use crate::time::Wall;
use crate::wire::seat::Seat;

/// The settings that the command line may change.
pub struct Options {
    /// The collector's directory of status files.
    pub dir: PathBuf,
    /// The subtree that the agent hands over: the first word of its `pass_persist` line.
    pub base: Oid,
    /// A status file that was not touched for longer tells nothing any more.
    pub stale_ms: u64,
    /// What a walk shows.
    pub forms: Forms,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            dir: PathBuf::from("/var/snmp_data"),
            base: Oid::from_array([1, 3, 6, 1, 4, 99]),
            stale_ms: 120_000,
            forms: Forms::Short,
        }
    }
}

/// Answers the agent on standard input and output until it closes one of them, and returns the exit
/// status: 0, or 1 for a failure that nobody can be told about.
pub fn run(options: &Options) -> i32 {
    let mut dialogue = Dialogue::new(options.base.clone(), options.stale_ms, options.forms);
    let mut dir = RealDir::new(&options.dir);
    // Before the first byte is read: an answer out of turn would be taken for the first.
    let ended = fall_silent().and_then(|()| {
        let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
        converse(&mut input, &mut output, &mut dialogue, &mut dir)
    });
    match ended {
        Ok(()) => 0,
        // The agent has gone; that is how the helper is told to end.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => 0,
        Err(_) => 1,
    }
}

/// Makes sure that this process never writes to standard error again. A panic becomes exit status 1
/// and nothing else: the agent starts a new helper with its next request.
pub fn fall_silent() -> io::Result<()> {
    stdio::silence_stderr()?;
    // The default hook prints to standard error, and unwinding could reach code that prints as
    // well.
    panic::set_hook(Box::new(|_| process::exit(1)));
    Ok(())
}

/// Lets `dialogue` answer `input` on `output` until the input ends; each answer is out before the
/// next line is read.
fn converse(
    input: &mut impl Read,
    output: &mut impl Write,
    dialogue: &mut Dialogue,
    dir: &mut dyn StatusDir,
) -> io::Result<()> {
    // Longer than a usual request; one that is longer yet comes in pieces.
    let mut buf = [0; 512];
    loop {
        let len = read(input, &mut buf)?;
        if len == 0 {
            return Ok(());
        }
        // After the wait: hours may have passed since the request before.
        let now = wall(SystemTime::now());
        let mut bytes = buf.get(..len).unwrap_or_default();
        while !bytes.is_empty() {
            // One line a call, with its answer written before the next: the agent may have sent
            // several.
            let taken = dialogue.handle_input(bytes, now, dir);
            bytes = bytes.get(taken..).unwrap_or_default();
            if !dialogue.output().is_empty() {
                output.write_all(dialogue.output())?;
                // Whatever `output` holds back, the agent would wait for without a limit.
                output.flush()?;
                dialogue.consume_output(dialogue.output().len());
            }
        }
    }
}

/// The directory on disk.
struct RealDir<'a> {
    path: &'a Path,
    tables: Option<Tables>,
}

/// What was read of the collectors' tables, and of which files.
struct Tables {
    ids: Vec<Id>,
    numbers: Option<Numbers>,
}

/// Device, number, size, and the time of the last write in nanoseconds.
type Id = (u64, u64, u64, i128);

/// More than a table has with ten thousand sources of the longest names.
const TABLE_MAX_LEN: u64 = 64 * 1024 * 1024;

impl StatusDir for RealDir<'_> {
    fn read(&mut self, address: IpAddr, buf: &mut [u8]) -> Status {
        // The agent often runs as root, and others may be able to write to the directory.
        let file = match trusted::open(&self.path.join(address.to_string())) {
            // The spelling that the collector uses comes first: to read the whole directory is the
            // exception.
            Err(error) if error.kind() == ErrorKind::NotFound => self.open_other_spelling(address),
            file => file,
        };
        file.and_then(|file| read_status(file, buf))
            .unwrap_or_else(|error| status_of(&error))
    }

    fn list(&mut self, each: &mut dyn FnMut(IpAddr)) {
        for (address, _) in self.files() {
            each(address);
        }
    }

    fn numbers(&mut self) -> Option<&Numbers> {
        let files: Vec<(File, Id)> = Seat::all().filter_map(|seat| self.table_of(seat)).collect();
        let ids: Vec<Id> = files.iter().map(|(_, id)| *id).collect();
        // An agent that walks asks for one number after the other.
        if self.tables.as_ref().is_none_or(|tables| tables.ids != ids) {
            let texts = files.into_iter().filter_map(|(file, id)| {
                let mut text = String::new();
                file.take(TABLE_MAX_LEN).read_to_string(&mut text).ok()?;
                Some((
                    text,
                    Wall::from_ms(u64::try_from(id.3 / 1_000_000).unwrap_or(0)),
                ))
            });
            let numbers = Numbers::parse(&texts.collect::<Vec<_>>());
            self.tables = Some(Tables { ids, numbers });
        }
        self.tables.as_ref()?.numbers.as_ref()
    }
}

impl<'a> RealDir<'a> {
    fn new(path: &'a Path) -> RealDir<'a> {
        RealDir { path, tables: None }
    }

    fn table_of(&self, seat: Seat) -> Option<(File, Id)> {
        let path = self.path.join(seat.file("table"));
        // One call for each seat that nobody has: to open is more, and an agent that walks asks
        // thousands of times.
        let file = Some(path)
            .filter(|path| path.exists())
            .and_then(|path| trusted::open(&path).ok())?;
        let found = file.metadata().ok().filter(|found| found.is_file())?;
        let nanos = i128::from(found.mtime()) * 1_000_000_000 + i128::from(found.mtime_nsec());
        Some((file, (found.dev(), found.ino(), found.len(), nanos)))
    }

    /// The files named like an address. Others, such as one that is just being written, are
    /// nobody's status.
    fn files(&self) -> impl Iterator<Item = (IpAddr, DirEntry)> {
        let entries = fs::read_dir(self.path).into_iter().flatten();
        // A directory that cannot be read further tells what it told so far: a walk has no way to
        // fail.
        entries.map_while(Result::ok).filter_map(|entry| {
            let address = entry.file_name().to_str()?.parse().ok()?;
            Some((address, entry))
        })
    }

    /// Opens a file of `address` under another of its names: an IPv6 address has many, an IPv4
    /// address only one.
    fn open_other_spelling(&self, address: IpAddr) -> io::Result<File> {
        // Whoever writes the files spells an address as he likes: `::1` is also `0:0:0:0:0:0:0:1`.
        let mut files = self.files().filter(|_| address.is_ipv6());
        match files.find(|&(other, _)| other == address) {
            Some((_, entry)) => trusted::open(&entry.path()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }
}

/// Reads the start of an open file, if it is one that has a start.
fn read_status(mut file: File, buf: &mut [u8]) -> io::Result<Status> {
    // Of the open file, so that nothing can be put in its place between the look and the reading.
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok(Status::NotRegular);
    }
    let written = wall(metadata.modified()?);
    let mut len = 0;
    while let Some(rest) = buf.get_mut(len..).filter(|rest| !rest.is_empty()) {
        match read(&mut file, rest)? {
            0 => break,
            count => len += count,
        }
    }
    Ok(Status::File { len, written })
}

/// The status that a failed open or read stands for.
fn status_of(error: &io::Error) -> Status {
    match error.raw_os_error() {
        // A link, and a socket.
        Some(libc::ELOOP | libc::ENXIO) => Status::NotRegular,
        _ if error.kind() == ErrorKind::NotFound => Status::Missing,
        _ => Status::Unreadable,
    }
}

/// Reads once; a signal in between is no reason to come back with nothing.
fn read(input: &mut impl Read, buf: &mut [u8]) -> io::Result<usize> {
    loop {
        match input.read(buf) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// The moment as milliseconds since 1970; what lies before that counts as its start.
fn wall(time: SystemTime) -> Wall {
    // A clock that was never set, or a `touch`, may date a file before 1970.
    let since_1970 = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Wall::from_ms(u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
