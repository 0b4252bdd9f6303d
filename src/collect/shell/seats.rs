//! Several collectors with one SNMP_DIR: who has which seat, and what the others show.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{File, Permissions};
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::collect::config::{Config, SourceConfig};
use crate::limits::{TABLE_MAX_LEN, TABLE_ROWS_MAX};
use crate::sys::trusted::{self, Place};
use crate::sys::{error_saying, files};
use crate::wire::seat::Seat;
use crate::wire::table::{Collector, Line, Reader, Row};

/// A try to take a seat.
#[derive(Debug)]
pub enum Taken {
    /// It is ours for as long as the file is open, and no other one of the process is.
    Seat(Seat, File),
    /// This process fetches the same.
    Same(u32),
    /// This process fetches nobody knows what, since its table cannot be read.
    Unknown(u32, String, io::Error),
    /// Collectors have all seats.
    Full,
}

/// Takes the first seat that is free. Fails with what cannot be locked. That of another user is
/// passed over, if its table says that nothing of ours is fetched there.
pub fn take(snmp_dir: &Path, config: &Config) -> Result<Taken, (String, io::Error)> {
    let ours = copies_of(config);
    for seat in Seat::all() {
        let path = snmp_dir.join(seat.file("lock"));
        let failed = |error| (path.display().to_string(), error);
        let pid = match open_lock(&path) {
            Ok(file) => match files::try_lock(&file).map_err(failed)? {
                None => return Ok(Taken::Seat(seat, file)),
                Some(pid) => pid,
            },
            Err(error) if is_closed(&error) => match shared(snmp_dir, seat, &ours, config) {
                Ok(None) => continue,
                _ => return Err(failed(error)),
            },
            Err(error) => return Err(failed(error)),
        };
        match shared(snmp_dir, seat, &ours, config) {
            Ok(None) => {}
            Ok(Some(_)) => return Ok(Taken::Same(pid)),
            Err(error) => {
                let table = snmp_dir.join(seat.file("table"));
                return Ok(Taken::Unknown(pid, table.display().to_string(), error));
            }
        }
    }
    Ok(Taken::Full)
}

fn is_closed(error: &io::Error) -> bool {
    error.kind() == ErrorKind::PermissionDenied
}

/// Another collector that runs, and is in the way.
pub struct Rival {
    /// Its process; 0 where that cannot be told.
    pub pid: u32,
    /// A copy that it has, and that is to be ours; `None` where nobody knows what it has.
    pub copy: Option<PathBuf>,
}

/// Who would be in the way of these sources, beside the collector with this seat. One of whom
/// nobody knows anything is told of only where no other one is in the way.
pub fn rival(snmp_dir: &Path, own: Seat, config: &Config) -> Option<Rival> {
    let ours = copies_of(config);
    let mut unknown = None;
    for seat in Seat::all().filter(|seat| *seat != own) {
        let Some(pid) = holder(snmp_dir, seat) else {
            continue;
        };
        match shared(snmp_dir, seat, &ours, config) {
            Ok(None) => {}
            Err(_) => unknown = Some(Rival { pid, copy: None }),
            Ok(copy) => return Some(Rival { pid, copy }),
        }
    }
    unknown
}

/// The first copy in the table of a seat that is among these.
fn shared(
    snmp_dir: &Path,
    seat: Seat,
    ours: &BTreeSet<&[u8]>,
    config: &Config,
) -> io::Result<Option<PathBuf>> {
    let mut found = None;
    each_row(snmp_dir, seat, &mut |row| {
        if found.is_none() && is_ours(&row, ours, config) {
            found = Some(PathBuf::from(OsStr::from_bytes(&row.local)));
        }
    })?;
    Ok(found)
}

/// Whether a source that is shown is one of ours.
fn is_ours(row: &Row<'_>, copies: &BTreeSet<&[u8]>, config: &Config) -> bool {
    let mut families = config.families.iter();
    let Row {
        server,
        remote,
        local,
        ..
    } = row;
    copies.contains(&**local)
        || families.any(|family| {
            family.has(server, remote, local) || family.is_shown_as(server, remote, local)
        })
}

/// The logs that were followed when this seat's table was written and that boxes have told of.
pub fn remembered(snmp_dir: &Path, own: Seat, config: &Config) -> Vec<Row<'static>> {
    if config.families.is_empty() {
        return Vec::new();
    }
    let mut rows = Vec::new();
    let read = each_row(snmp_dir, own, &mut |row| {
        let mut families = config.families.iter();
        if families.any(|family| family.has(&row.server, &row.remote, &row.local)) {
            rows.push(row.into_owned());
        }
    });
    match read {
        Ok(_) => rows,
        Err(_) => Vec::new(),
    }
}

/// Adds the logs that collectors with this directory follow, and that boxes have told of.
pub fn add_members(snmp_dir: &Path, config: &mut Config) {
    if config.families.is_empty() {
        return;
    }
    for seat in Seat::all() {
        let rows = Table::read(snmp_dir, seat).map(|table| table.rows);
        for row in rows.unwrap_or_default() {
            let mut families = config.families.iter();
            let member = families.find_map(|family| {
                let is_it = family.source.server().to_string() == row.server;
                family.member(&row.remote).ok().filter(|_| is_it)
            });
            let is_other = |member: &SourceConfig| {
                !config
                    .sources
                    .iter()
                    .any(|source| source.local == member.local)
            };
            config.sources.extend(member.filter(is_other));
        }
    }
}

fn copies_of(config: &Config) -> BTreeSet<&[u8]> {
    let sources = config.sources.iter();
    sources
        .map(|source| source.local.as_os_str().as_bytes())
        .collect()
}

/// The status files that are other collectors', of those that run beside the one with this seat.
pub fn claimed(snmp_dir: &Path, own: Seat) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for seat in Seat::all().filter(|seat| *seat != own && is_taken(snmp_dir, *seat)) {
        // Of one that cannot be read to its end, too.
        let _ = each_row(snmp_dir, seat, &mut |row| names.extend(status_files(row)));
    }
    names
}

fn is_taken(snmp_dir: &Path, seat: Seat) -> bool {
    holder(snmp_dir, seat).is_some()
}

/// The process that has a seat, which is not ours: what it has locked must not be closed here.
fn holder(snmp_dir: &Path, seat: Seat) -> Option<u32> {
    match Place::of(&snmp_dir.join(seat.file("lock"))).and_then(|place| place.open_write()) {
        Ok(file) => files::locked_by(&file),
        // Another user's may be locked or not.
        Err(error) => is_closed(&error).then_some(0),
    }
}

/// Removes the tables of seats that nobody has and whose sources are all ours by now.
pub fn clear_up(snmp_dir: &Path, own: Seat, config: &Config) {
    let ours = copies_of(config);
    for seat in Seat::all().filter(|seat| *seat != own && !is_taken(snmp_dir, *seat)) {
        let mut are_ours = true;
        let read = each_row(snmp_dir, seat, &mut |row| {
            are_ours &= is_ours(&row, &ours, config);
        });
        if read.is_ok() && are_ours {
            let path = snmp_dir.join(seat.file("table"));
            let _ = Place::of(&path).and_then(|place| place.unlink());
        }
    }
}

/// The status files of boxes that were configured when this seat's table was written, and are not
/// any more.
pub fn outdated(snmp_dir: &Path, own: Seat, config: &Config) -> BTreeSet<String> {
    let families = config.families.iter().map(|family| &family.source);
    let servers: BTreeSet<String> = (config.sources.iter().chain(families))
        .map(|source| source.server().to_string())
        .collect();
    let mut names = BTreeSet::new();
    let read = each_row(snmp_dir, own, &mut |row| {
        if !servers.contains(&*row.server) {
            names.extend(status_files(row));
        }
    });
    match read {
        Ok(_) => names,
        Err(_) => BTreeSet::new(),
    }
}

/// What a collector shows of itself in its table.
pub struct Table {
    /// Its sources.
    pub rows: Vec<Row<'static>>,
    /// The collector itself.
    pub collector: Collector<'static>,
    /// When it was written or touched.
    pub written: SystemTime,
}

impl Table {
    /// Reads the table of a seat. It is another user's: what has its name may be anything. Fails
    /// with `InvalidData` where it is no table, or half of one.
    pub fn read(snmp_dir: &Path, seat: Seat) -> io::Result<Table> {
        let mut rows = Vec::new();
        let (collector, written) = each_row(snmp_dir, seat, &mut |row| {
            rows.push(row.into_owned());
        })?;
        Ok(Table {
            rows,
            collector,
            written,
        })
    }
}

/// Reads the table of a seat line by line, and gives its rows one by one. Returns what it says of
/// the collector, and when it was written. Fails as [`Table::read`] does, after some rows perhaps.
fn each_row(
    snmp_dir: &Path,
    seat: Seat,
    see: &mut dyn FnMut(Row<'_>),
) -> io::Result<(Collector<'static>, SystemTime)> {
    let file = trusted::open(&snmp_dir.join(seat.file("table")))?;
    let found = file.metadata()?;
    if !found.is_file() {
        let text = "it is not a regular file";
        return Err(error_saying(ErrorKind::InvalidInput, text));
    }
    let too_much = || {
        error_saying(
            ErrorKind::FileTooLarge,
            "it is longer than of any collector",
        )
    };
    if found.len() > TABLE_MAX_LEN {
        return Err(too_much());
    }
    // It may grow.
    let mut lines = BufReader::new(file.take(TABLE_MAX_LEN));
    let mut line = String::new();
    let mut next = |line: &mut String| {
        line.clear();
        lines.read_line(line)?;
        match line.pop() {
            Some('\n') => Ok(()),
            _ => Err(io::Error::from(ErrorKind::InvalidData)),
        }
    };
    next(&mut line)?;
    let reader = Reader::new(&line).ok_or(ErrorKind::InvalidData)?;
    for _ in 0..=TABLE_ROWS_MAX {
        next(&mut line)?;
        match reader.line(&line).ok_or(ErrorKind::InvalidData)? {
            Line::Source(row) => see(row),
            // Without it half of the table may be missing.
            Line::End(collector) => {
                let written = found.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                return Ok((collector.into_owned(), written));
            }
        }
    }
    Err(too_much())
}

/// The names of the status files of a row.
fn status_files(row: Row<'_>) -> impl Iterator<Item = String> {
    let names = [row.server, row.address].map(Cow::into_owned);
    // What another process has written names no file of another directory.
    names.into_iter().filter(|name| {
        !name.is_empty()
            && name.len() <= NAME_MAX_LEN
            && !name.starts_with('.')
            && !name.contains('/')
    })
}

/// No file has a longer name.
const NAME_MAX_LEN: usize = 255;

/// More than is told of ten thousand sources with the longest names.
pub const TOLD_MAX_LEN: u64 = 256 * 1024 * 1024;

/// Not emptied and never removed: to remove a lock file would let two hold locks on two files.
fn open_lock(path: &Path) -> io::Result<File> {
    let place = Place::of(path)?;
    let file = match place.create_new(LOCK_MODE) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => place.open_write()?,
        result => result?,
    };
    // Of an older version it is for everybody to read. Somebody else's stays as it is.
    let _ = file.set_permissions(Permissions::from_mode(LOCK_MODE));
    Ok(file)
}

/// Whoever can read a file can lock it for reading, and so keep us from locking it.
const LOCK_MODE: u32 = 0o600;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::sys::testing::in_child;

    fn table(dir: &Path, seat: Seat, rows: &[(&str, &str, &str)]) {
        let mut text = String::from("box\tlocal_file\tstate\taddress\n");
        for (server, local, address) in rows {
            text += &format!("{server}\t{local}\tfollowing\t{address}\n");
        }
        text += "#collector\t1\t-\t2.0.0\n";
        fs::write(dir.join(seat.file("table")), text).unwrap();
    }

    fn config(text: &str) -> Config {
        Config::parse(text.as_bytes()).unwrap()
    }

    /// What a process finds while another one has the first seat.
    fn beside_one<T: FnOnce(&Path) -> bool>(rows: &[(&str, &str, &str)], act: T) {
        let dir = tempfile::tempdir().unwrap();
        table(dir.path(), Seat::FIRST, rows);
        let own = config("a 19 /r /l/a /p/a");
        let taken = take(dir.path(), &own).unwrap();
        assert!(matches!(taken, Taken::Seat(Seat::FIRST, _)));
        let child = in_child(|| u8::from(act(dir.path())));
        assert_eq!(child.wait(), 1);
    }

    #[test]
    fn one_that_fetches_something_else_has_another_seat() {
        let second = Seat::all().nth(1).unwrap();
        beside_one(&[("x", "/l/x", "10.0.0.9")], |dir| {
            let taken = take(dir, &config("b 19 /r /l/b /p/b")).unwrap();
            let is_second = matches!(taken, Taken::Seat(seat, _) if seat == second);
            let claimed: Vec<String> = claimed(dir, second).into_iter().collect();
            is_second && claimed == ["10.0.0.9", "x"]
        });
    }

    #[test]
    fn one_that_fetches_the_same_has_none() {
        beside_one(&[("x", "/l/b", "")], |dir| {
            let taken = take(dir, &config("b 19 /r /l/b /p/b\nb 19 /s /l/c /p/c"));
            matches!(taken, Ok(Taken::Same(_)))
        });
        // Nobody knows what the other one fetches.
        beside_one(&[], |dir| {
            fs::write(dir.join(Seat::FIRST.file("table")), "half a table\n").unwrap();
            let taken = take(dir, &config("b 19 /r /l/b /p/b"));
            matches!(taken, Ok(Taken::Unknown(..)))
        });
    }

    #[test]
    fn a_table_that_somebody_planted_costs_little() {
        let dir = tempfile::tempdir().unwrap();
        let seats: Vec<Seat> = Seat::all().collect();
        let path = dir.path().join(seats[1].file("table"));
        let own = config("a 19 /r /l/a /p/a");
        let error_of = || {
            let taken = rival(dir.path(), Seat::FIRST, &own);
            assert!(taken.is_none(), "nobody has that seat");
            let Err(error) = Table::read(dir.path(), seats[1]) else {
                panic!("it was read");
            };
            clear_up(dir.path(), Seat::FIRST, &own);
            assert!(path.exists());
            error.kind()
        };
        let rows = "a\tfollowing\n".repeat(TABLE_ROWS_MAX as usize + 1);
        let end = "#collector\t1\t-\t2.0.0\n";
        fs::write(&path, format!("box\tstate\n{rows}{end}")).unwrap();
        assert_eq!(error_of(), ErrorKind::FileTooLarge);
        let file = File::create(&path).unwrap();
        file.set_len(TABLE_MAX_LEN + 1).unwrap();
        assert_eq!(error_of(), ErrorKind::FileTooLarge);
        file.set_len(TABLE_MAX_LEN / 16).unwrap();
        assert_eq!(error_of(), ErrorKind::InvalidData);
    }

    #[test]
    fn what_is_left_of_a_seat_goes_where_its_sources_are_ours() {
        let dir = tempfile::tempdir().unwrap();
        let seats: Vec<Seat> = Seat::all().collect();
        table(dir.path(), seats[1], &[("a", "/l/a", "")]);
        table(
            dir.path(),
            seats[2],
            &[("a", "/l/a", ""), ("x", "/l/x", "")],
        );
        let own = config("a 19 /r /l/a /p/a");
        clear_up(dir.path(), Seat::FIRST, &own);
        assert!(!dir.path().join(seats[1].file("table")).exists());
        assert!(dir.path().join(seats[2].file("table")).exists());
        let outdated = outdated(dir.path(), seats[2], &own);
        assert_eq!(outdated.into_iter().collect::<Vec<_>>(), ["x"]);
    }

    #[test]
    fn no_table_names_a_file_of_another_directory() {
        let dir = tempfile::tempdir().unwrap();
        let rows = [("../x", "/l/x", "/etc/y"), (".fetch_logs.lock", "/l/y", "")];
        table(dir.path(), Seat::FIRST, &rows);
        assert!(outdated(dir.path(), Seat::FIRST, &config("")).is_empty());
    }
}
