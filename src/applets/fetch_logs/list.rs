//! `fetch_logs list`: the finished copies of all sources, for whoever compresses, moves or removes
//! them.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{NAME, absolute, misuse};
use crate::applets::exit::Exit;
use crate::applets::options;
use crate::collect::config::SourceConfig;
use crate::collect::copy::pointer::RotatedSuffix;
use crate::collect::copy::{PACKED_ENDINGS, Paths, directory_of};
use crate::collect::shell::conf;
use crate::limits::GAPS_MAX_LEN;
use crate::sys::{files, stdio};

/// Runs it with the arguments behind its name.
pub fn run(args: &[OsString]) -> Result<(), Exit> {
    let parsed = options::parse(args, "").map_err(|bad| misuse(&bad.to_string()))?;
    let [config_path] = parsed.operands.as_slice() else {
        return Err(misuse("list takes CONF"));
    };
    let (path, base) = (absolute(config_path)?, absolute(OsStr::new("."))?);
    let mut config = conf::read(&path, &base).map_err(Exit::configuration)?;
    if let Some(faults) = &config.faults {
        // Where stderr is closed, nobody wants to know.
        let _ = stdio::complain(format!("{}\n", faults.lines("")).as_bytes());
    }
    conf::add_members_on_disk(&mut config);
    let named = Named::of(&config.sources);
    let mut dirs: BTreeMap<&Path, BTreeMap<&OsStr, &SourceConfig>> = BTreeMap::new();
    for source in &config.sources {
        let name = source.local.file_name().unwrap_or_default();
        let sources = dirs.entry(directory_of(&source.local)).or_default();
        sources.insert(name, source);
    }
    let mut text = Vec::new();
    for (dir, sources) in dirs {
        list(dir, &sources, &named, &mut text)?;
    }
    let printed = io::stdout().write_all(&text);
    printed.map_err(|error| Exit::failure(NAME, format_args!("cannot print: {error}")))
}

/// The files that lines of the configuration name, and which are in use whatever they are called:
/// device and inode of each, sorted.
struct Named(Vec<(u64, u64)>);

impl Named {
    fn of(sources: &[SourceConfig]) -> Named {
        let paths = sources.iter().flat_map(|it| [&it.local, &it.pointer]);
        let found = paths.filter_map(|path| fs::symlink_metadata(path).ok());
        let mut ids: Vec<(u64, u64)> = found.map(|it| (it.dev(), it.ino())).collect();
        ids.sort_unstable();
        Named(ids)
    }

    fn has(&self, found: &fs::Metadata) -> bool {
        let id = (found.dev(), found.ino());
        self.0.binary_search(&id).is_ok()
    }
}

/// A finished copy, by what stands behind the name of its live one.
struct Ending<'a> {
    suffix: &'a str,
    is_packed: bool,
}

/// What is noted of the copies of a source.
struct Notes {
    /// What somebody is still to look at: the first words are suffixes.
    waiting: Vec<u8>,
    /// What is on record, with names of copies in it.
    gaps: Vec<u8>,
}

/// Adds a line for each finished copy in a directory: what is known of it, its size and its path.
fn list(
    dir: &Path,
    sources: &BTreeMap<&OsStr, &SourceConfig>,
    named: &Named,
    text: &mut Vec<u8>,
) -> Result<(), Exit> {
    let failed = |path: &Path, error: io::Error| {
        Exit::failure(
            NAME,
            format_args!("cannot read {}: {error}", path.display()),
        )
    };
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(dir, error)),
    };
    let mut notes: BTreeMap<&OsStr, Notes> = BTreeMap::new();
    let mut lines = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| failed(dir, error))?;
        let name = entry.file_name();
        let Some((base, ending)) = parts(name.as_bytes()) else {
            continue;
        };
        let Some((base, source)) = sources.get_key_value(OsStr::from_bytes(base)) else {
            continue;
        };
        let found = match entry.metadata() {
            Ok(found) if found.is_file() && !named.has(&found) => found,
            // It went meanwhile, or is none of ours, or what a source works with.
            Ok(_) | Err(_) => continue,
        };
        let notes = match notes.get(base) {
            Some(notes) => notes,
            None => {
                let read = Notes::read(source).map_err(|(path, error)| failed(&path, error))?;
                notes.entry(base).or_insert(read)
            }
        };
        let state = notes.state(&ending);
        let mut line = format!("{state}\t{}\t", found.len()).into_bytes();
        line.extend_from_slice(entry.path().as_os_str().as_bytes());
        line.push(b'\n');
        lines.push((ending.suffix.to_owned(), line));
    }
    lines.sort();
    lines
        .iter()
        .for_each(|(_, line)| text.extend_from_slice(line));
    Ok(())
}

/// What the name of a finished copy is made of: that of its live one, and what stands behind it.
fn parts(name: &[u8]) -> Option<(&[u8], Ending<'_>)> {
    let endings = PACKED_ENDINGS.iter().map(|ending| ending.as_bytes());
    let packed = { endings }.find_map(|ending| name.strip_suffix(ending));
    let plain = packed.unwrap_or(name);
    let is_dot = |byte: &u8| *byte == b'.';
    let last = plain.iter().rposition(is_dot)?;
    let before = plain[..last].iter().rposition(is_dot);
    // A number may stand behind the stamp.
    [Some(last), before].into_iter().flatten().find_map(|at| {
        let suffix = str::from_utf8(&plain[at + 1..]).ok()?;
        RotatedSuffix::parse(suffix)?;
        let is_packed = packed.is_some();
        Some((&plain[..at], Ending { suffix, is_packed }))
    })
}

impl Notes {
    fn read(source: &SourceConfig) -> Result<Notes, (std::path::PathBuf, io::Error)> {
        let paths = Paths::of(source);
        let read = |path: std::path::PathBuf| match read(&path) {
            Ok(bytes) => Ok(bytes),
            Err(error) => Err((path, error)),
        };
        let mut waiting = read(paths.unverified())?;
        for line in read(paths.hooks())?.split(|byte| *byte == b'\n') {
            // EVENT STAMP ...
            let rest = line.splitn(2, |byte| *byte == b' ').nth(1);
            waiting.extend_from_slice(rest.unwrap_or_default());
            waiting.push(b'\n');
        }
        let gaps = read(paths.gaps())?;
        Ok(Notes { waiting, gaps })
    }

    fn state(&self, ending: &Ending<'_>) -> &'static str {
        let suffix = ending.suffix.as_bytes();
        let mut lines = self.waiting.split(|byte| *byte == b'\n');
        if lines.any(|line| line.split(|byte| *byte == b' ').next() == Some(suffix)) {
            return "waits";
        }
        // Where the record is longer than is read, nobody knows what it names.
        if self.gaps.len() > GAPS_MAX_LEN || names(&self.gaps, suffix) {
            return "noted";
        }
        match ending.is_packed {
            true => "packed",
            false => "settled",
        }
    }
}

/// Whether a text names a copy with this behind its name, and not with more than that.
fn names(text: &[u8], suffix: &[u8]) -> bool {
    let named = [b".", suffix].concat();
    let mut at = 0;
    while let Some(found) = text[at..]
        .windows(named.len())
        .position(|part| *part == named)
    {
        at += found + named.len();
        let is_longer = match text.get(at..).unwrap_or_default() {
            [b'.', digit, ..] => digit.is_ascii_digit(),
            [next, ..] => next.is_ascii_digit(),
            [] => false,
        };
        if !is_longer {
            return true;
        }
    }
    false
}

/// A record of ours; nothing if it is not there.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = match files::open_without_waiting(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    if !file.metadata()?.is_file() {
        return Err(ErrorKind::InvalidInput.into());
    }
    files::read_small(&file, GAPS_MAX_LEN + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::config::Config;

    #[test]
    fn names_are_taken_apart_from_their_end() {
        for (name, expected) in [
            ("m.20261122132956", Some(("m", "20261122132956", false))),
            ("m.20261122132956.1", Some(("m", "20261122132956.1", false))),
            (
                "m.1.20261122132956.1.gz",
                Some(("m.1", "20261122132956.1", true)),
            ),
            ("m.20261122132956.xz", Some(("m", "20261122132956", true))),
            (
                "m.20261122132956.20261122132957",
                Some(("m.20261122132956", "20261122132957", false)),
            ),
            (
                "m.rescued.20261122132956",
                Some(("m.rescued", "20261122132956", false)),
            ),
            ("m", None),
            ("m.gz", None),
            ("m.gaps", None),
            ("m.20261122132956.damaged", None),
            ("m.20261122132956.damaged.1", None),
            ("m.20261122132956.healing", None),
            ("m.20261122132956.0", None),
            ("m.20261122132956.1.1", None),
            ("m.2026112213295", None),
            ("m.20261122132956.tar", None),
        ] {
            let found = parts(name.as_bytes());
            let found = found.map(|(base, it)| (base, it.suffix, it.is_packed));
            let expected = expected.map(|(base, it, packed)| (base.as_bytes(), it, packed));
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn a_copy_is_named_by_all_of_its_name() {
        let gaps = b"20261123000000 /var/log/m lost 7:3, WHY and is now /l/m.20261122132956.1\n";
        assert!(names(gaps, b"20261122132956.1"));
        assert!(!names(gaps, b"20261122132956"));
        assert!(!names(gaps, b"20261122132956.11"));
        assert!(!names(gaps, b"20261123000000"));
        assert!(names(
            b"/l/m.20261122132956 differs from",
            b"20261122132956"
        ));
    }

    #[test]
    fn what_a_source_works_with_is_not_finished_whatever_it_is_called() {
        let dir = tempfile::tempdir().unwrap();
        let [live, dated, finished] = ["m", "m.20200101000000", "m.20200102000000"]
            .map(|name| dir.path().join(name).display().to_string());
        for path in [&live, &dated, &finished] {
            fs::write(path, "x").unwrap();
        }
        let text = format!("a 19 /a {live} {live}.p\na 19 /b {dated} {live}.q");
        let config = Config::parse(text.as_bytes()).unwrap();
        let named = Named::of(&config.sources);
        let source = &config.sources[0];
        let sources = BTreeMap::from([(OsStr::new("m"), source)]);
        let mut found = Vec::new();
        list(dir.path(), &sources, &named, &mut found).unwrap();
        let found = String::from_utf8(found).unwrap();
        assert_eq!(found, format!("settled\t1\t{finished}\n"));
    }
}
