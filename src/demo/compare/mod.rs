//! The proof: the checksums of the log and of its copy, generation by generation.

use std::cmp::Reverse;
use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::failure::Failure;
use super::screen::Grouped;
use crate::limits::CHUNK_LEN;
use crate::wire::escape::Escaped;
use crate::wire::md5::{Hex, Md5};

/// One file of a log or of a copy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Generation {
    /// Its name for a person.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// The number of bytes that count: its size, or less.
    pub bytes: u64,
}

/// The naming of rotated files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Naming {
    /// `messages.1` is the youngest, as logrotate does.
    Numbered,
    /// `messages.20261122132956` and, in the same second, `messages.20261122132956.1`, as the
    /// collector does.
    Stamped,
}

/// A generation of the log beside that of the copy; one of them may be missing.
pub struct Pair {
    /// The log's.
    pub log: Option<Checked>,
    /// The copy's.
    pub copy: Option<Checked>,
}

/// A generation and its checksum.
pub struct Checked {
    generation: Generation,
    md5: [u8; 16],
}

/// Called between any two pieces of work; its failure ends the work.
pub type Tick<'a> = &'a mut dyn FnMut() -> Result<(), Failure>;

/// The files in `dir` called `live` or with something behind that, oldest first.
pub fn generations(dir: &Path, live: &OsStr, naming: Naming) -> io::Result<Vec<Generation>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(suffix) = name.as_bytes().strip_prefix(live.as_bytes()) else {
            continue;
        };
        let age = naming.age(&String::from_utf8_lossy(suffix));
        let bytes = match entry.metadata() {
            Ok(metadata) => metadata.len(),
            // It was renamed since it was listed.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let generation = Generation {
            name: shown(dir, &name),
            path: entry.path(),
            bytes,
        };
        found.push((age, generation));
    }
    found.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(found
        .into_iter()
        .map(|(_, generation)| generation)
        .collect())
}

/// Checks the generations of both sides, the oldest of one against the oldest of the other.
pub fn compare(
    log: Vec<Generation>,
    copy: Vec<Generation>,
    tick: Tick<'_>,
) -> Result<Vec<Pair>, Failure> {
    let (mut log, mut copy) = (log.into_iter(), copy.into_iter());
    let mut pairs = Vec::new();
    loop {
        // By age and not by name: the two sides call their files differently. One missing in the
        // middle so shows as a difference in every pair behind it, which is loud enough.
        let (log, copy) = (log.next(), copy.next());
        if log.is_none() && copy.is_none() {
            return Ok(pairs);
        }
        pairs.push(Pair {
            log: log.map(|one| check(one, tick)).transpose()?,
            copy: copy.map(|one| check(one, tick)).transpose()?,
        });
    }
}

/// Whether there is something to compare and all of it is the same.
pub fn are_identical(pairs: &[Pair]) -> bool {
    !pairs.is_empty() && pairs.iter().all(Pair::is_identical)
}

impl Pair {
    /// Whether both sides are there, with the same bytes.
    pub fn is_identical(&self) -> bool {
        matches!((&self.log, &self.copy), (Some(log), Some(copy))
            if log.md5 == copy.md5 && log.generation.bytes == copy.generation.bytes)
    }

    /// What is wrong with a pair that is not identical.
    pub fn difference(&self, tick: Tick<'_>) -> Result<String, Failure> {
        let (log, copy) = match (&self.log, &self.copy) {
            (Some(log), Some(copy)) => (&log.generation, &copy.generation),
            (Some(_), None) => return Ok("the copy of it is missing".into()),
            (None, _) => return Ok("there is no such generation of the log".into()),
        };
        let shown = |byte: Option<u8>, whose| match byte {
            Some(byte) => format!("0x{byte:02x} in the {whose}"),
            None => format!("the {whose} ends"),
        };
        Ok(match first_difference(log, copy, tick)? {
            // Somebody has written to one of them since the checksums were made.
            None => "no longer different".into(),
            Some(found) => format!(
                "they differ from byte {} on: {}, {}",
                Grouped(found.at),
                shown(found.in_log, "log"),
                shown(found.in_copy, "copy")
            ),
        })
    }
}

/// One line as `md5sum` prints it, and the size.
impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Generation { name, bytes, .. } = &self.generation;
        let bytes = Grouped(*bytes).to_string();
        write!(f, "{}  {name:<30}{bytes:>10}", Hex(&self.md5))
    }
}

/// The place of a generation among the others: first by class, then as the naming has it.
type Age = (u8, Reverse<u64>, String);
const ODD: u8 = 0;
const ROTATED: u8 = 1;
const LIVE: u8 = 2;

impl Naming {
    /// What is called differently sorts as the oldest: it must not pass unnoticed.
    fn age(self, suffix: &str) -> Age {
        if suffix.is_empty() {
            return (LIVE, Reverse(0), String::new());
        }
        let odd = (ODD, Reverse(0), suffix.to_owned());
        let Some(suffix) = suffix.strip_prefix('.') else {
            return odd;
        };
        match self {
            Naming::Numbered => suffix
                .parse()
                // The greatest number is the oldest, so it comes first.
                .map_or(odd, |number| (ROTATED, Reverse(number), String::new())),
            Naming::Stamped => {
                let (stamp, number) = suffix.split_once('.').unwrap_or((suffix, "0"));
                match number.parse::<u64>() {
                    Ok(number) if stamp.bytes().all(|byte| byte.is_ascii_digit()) => {
                        // Stamps have one length, so they sort as text; the number behind one is
                        // given the same length.
                        (ROTATED, Reverse(0), format!("{stamp}.{number:05}"))
                    }
                    _ => odd,
                }
            }
        }
    }
}

/// The name with that of its directory before it.
fn shown(dir: &Path, name: &OsStr) -> String {
    let dir = dir.file_name().unwrap_or_default();
    let both = [dir.as_bytes(), b"/", name.as_bytes()].concat();
    Escaped(&both).to_string()
}

fn check(generation: Generation, tick: Tick<'_>) -> Result<Checked, Failure> {
    let mut md5 = Md5::new();
    let mut bytes = 0;
    let mut reader = Pieces::open(&generation)?;
    // The size that counts is the one that was read: a file may be shorter than it was when it was
    // listed.
    while let Some(piece) = reader.next(tick)? {
        md5.update(piece);
        bytes += piece.len() as u64;
    }
    Ok(Checked {
        generation: Generation {
            bytes,
            ..generation
        },
        md5: md5.finish(),
    })
}

/// The first byte that is not the same, and what is there on either side.
struct Difference {
    at: u64,
    in_log: Option<u8>,
    in_copy: Option<u8>,
}

fn first_difference(
    log: &Generation,
    copy: &Generation,
    tick: Tick<'_>,
) -> Result<Option<Difference>, Failure> {
    let (mut log, mut copy) = (Pieces::open(log)?, Pieces::open(copy)?);
    let mut before = 0;
    loop {
        // Both come in full pieces but for the last, so that the same place of each stands side by
        // side.
        let one = log.next(tick)?.unwrap_or_default();
        let other = copy.next(tick)?.unwrap_or_default();
        let longer = one.len().max(other.len());
        if let Some(at) = (0..longer).find(|at| one.get(*at) != other.get(*at)) {
            return Ok(Some(Difference {
                at: before + at as u64,
                in_log: one.get(at).copied(),
                in_copy: other.get(at).copied(),
            }));
        }
        if longer == 0 {
            return Ok(None);
        }
        before += longer as u64;
    }
}

/// The bytes of a generation that count, piece by piece; every piece but the last is full.
struct Pieces {
    reader: io::Take<File>,
    buf: Vec<u8>,
    name: String,
}

impl Pieces {
    fn open(generation: &Generation) -> Result<Pieces, Failure> {
        let name = generation.name.clone();
        let file = File::open(&generation.path).map_err(Failure::system(format!("open {name}")))?;
        Ok(Pieces {
            // A live log may grow while it is read; what came later is not compared.
            reader: file.take(generation.bytes),
            buf: Vec::with_capacity(CHUNK_LEN),
            name,
        })
    }

    fn next(&mut self, tick: Tick<'_>) -> Result<Option<&[u8]>, Failure> {
        tick()?;
        self.buf.clear();
        self.reader
            .by_ref()
            .take(CHUNK_LEN as u64)
            .read_to_end(&mut self.buf)
            .map_err(Failure::system(format!("read {}", self.name)))?;
        Ok(Some(self.buf.as_slice()).filter(|piece| !piece.is_empty()))
    }
}

#[cfg(test)]
mod tests;
