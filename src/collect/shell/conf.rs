//! The configuration as files: CONF, which may be a directory, and what it includes.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::collect::config::{Config, ConfigErrors, Found, NoOwnKey, SourceConfig, Texts};
use crate::limits::CONFIG_MAX_LEN;
use crate::store::config_file;
use crate::sys::files;
use crate::sys::outside::Outside;
use crate::sys::trusted::make_dirs;

/// The reason why a configuration cannot be used; one line for each error in it.
#[derive(Debug)]
pub enum Unusable {
    /// The system would not let us read it.
    Unreadable(PathBuf, String),
    /// It was read, and this is wrong with it.
    Invalid(ConfigErrors),
    /// It names no log any more, as a file that was emptied and not written yet.
    Empty(PathBuf),
    /// The source at this place is to have this copy, which the collector that is this process has.
    Rivalled(String, PathBuf, u32),
    /// Directories of new sources cannot be made, with a line for each.
    Unmade(String),
    /// A source is to be sealed, and there is no key of our own.
    NoOwnKey(NoOwnKey),
    /// A process has to take over, and none could, for this reason.
    NoSuccessor(String),
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unusable::Unreadable(path, why) => write!(f, "cannot read {}: {why}", path.display()),
            Unusable::Invalid(errors) => errors.fmt(f),
            Unusable::Empty(path) => write!(f, "{} names no log any more", path.display()),
            Unusable::Rivalled(place, local, pid) => {
                let local = local.display();
                write!(
                    f,
                    "{place}: another collector, process {pid}, has the copy {local}"
                )
            }
            Unusable::NoOwnKey(which) => which.fmt(f),
            Unusable::Unmade(lines) => f.write_str(lines),
            Unusable::NoSuccessor(why) => write!(f, "no new process could take over: {why}"),
        }
    }
}

/// Reads a configuration in which relative paths of copies start from `dir`. Files must be regular
/// ones or links to such: whoever waited for a writer to open a FIFO would fetch nothing meanwhile.
pub fn read(conf: &Path, dir: &Path) -> Result<Config, Unusable> {
    parse(conf, dir, &gather(conf))
}

/// Reads it once more. Where the daemon is confined, the helper reads the files.
pub fn read_again(conf: &Path, dir: &Path, outside: Option<&Outside>) -> Result<Config, Unusable> {
    let Some(outside) = outside else {
        return read(conf, dir);
    };
    let packed = outside
        .config()
        .and_then(|file| files::read_small(&file, usize::MAX));
    let texts = packed.and_then(|packed| Texts::unpack(&packed));
    let failed = |error: io::Error| Unusable::Unreadable(conf.to_path_buf(), error.to_string());
    parse(conf, dir, &texts.map_err(failed)?)
}

/// CONF and what belongs to it, as it is now.
pub fn gather(conf: &Path) -> Texts {
    let mut room = CONFIG_MAX_LEN;
    Texts::gather(conf, &mut |path| {
        find(path, &mut room).unwrap_or_else(|error| Found::Failed(error.to_string()))
    })
}

/// The directories of copies that are missing, and are to be made.
pub fn missing_dirs(config: &Config) -> BTreeSet<PathBuf> {
    let sources = config.sources.iter().filter(|source| source.makes_dirs);
    let dirs = sources.filter_map(|source| source.local.parent());
    let dirs: BTreeSet<&Path> = dirs.chain(config.root.as_deref()).collect();
    let missing = dirs.into_iter().filter(|dir| !dir.exists());
    missing.map(Path::to_path_buf).collect()
}

/// Makes them, and tells where that fails: the sources that have them are in error then.
pub fn make_missing_dirs(config: &Config, tell: &mut dyn FnMut(fmt::Arguments<'_>)) {
    for dir in missing_dirs(config) {
        if let Err(error) = make_dirs(&dir, COPIES_MODE) {
            let dir = dir.display();
            tell(format_args!("cannot make the directory {dir}: {error}"));
        }
    }
}

/// Makes the directory of one copy, where it is missing.
pub fn make_dir_of(source: &SourceConfig, tell: &mut dyn FnMut(fmt::Arguments<'_>)) {
    let Some(dir) = source.local.parent().filter(|dir| !dir.exists()) else {
        return;
    };
    if let Err(error) = make_dirs(dir, COPIES_MODE) {
        let dir = dir.display();
        tell(format_args!("cannot make the directory {dir}: {error}"));
    }
}

/// Adds the sources of all copies that are there of lines which stand for many logs.
pub fn add_members_on_disk(config: &mut Config) {
    let Some(root) = config.root.clone().filter(|_| !config.families.is_empty()) else {
        return;
    };
    let mut dirs = vec![root];
    while let Some(dir) = dirs.pop() {
        let Ok(entries) = fs::read_dir(dir) else {
            continue;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                dirs.push(path);
                continue;
            }
            let local = path.as_os_str().as_bytes().strip_suffix(b".pointer");
            let local = local.map(|local| Path::new(OsStr::from_bytes(local)));
            let copy = local.and_then(|local| {
                let mut families = config.families.iter();
                families.find_map(|family| family.copy_at(local))
            });
            let is_other = |copy: &SourceConfig| {
                !config
                    .sources
                    .iter()
                    .any(|source| source.local == copy.local)
            };
            config.sources.extend(copy.filter(is_other));
        }
    }
}

/// The rights of their directories: what logs say is not for everybody.
const COPIES_MODE: u32 = 0o750;

pub(super) fn parse(conf: &Path, dir: &Path, texts: &Texts) -> Result<Config, Unusable> {
    match texts.failed() {
        Some(why) => Err(Unusable::Unreadable(conf.to_path_buf(), why.to_owned())),
        None => Config::read(dir, texts).map_err(Unusable::Invalid),
    }
}

/// What is there, if there is room for it beside what was found before.
fn find(path: &Path, room: &mut usize) -> io::Result<Found> {
    let file = config_file::open(path)?;
    if file.metadata()?.is_dir() {
        return Ok(Found::Dir(names_in(path)?));
    }
    let text = config_file::read_whole(file, *room)?;
    *room -= text.len();
    Ok(Found::File(text))
}

/// The files of a directory that are meant: `*.conf`, but for hidden ones, in the order of names.
fn names_in(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let is_meant = |name: &OsStr| {
        let name = name.as_bytes();
        name.ends_with(b".conf") && !name.starts_with(b".")
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if is_meant(&entry.file_name()) {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;
    use crate::sys::testing::make_fifo;

    #[test]
    fn a_directory_is_read_in_the_order_of_names() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        write("20-b.conf", "b /r\n");
        write("10-a.conf", "copies /c/%h/%f\na /r\n");
        write(".hidden.conf", "no sense");
        write("20-b.conf~", "no sense");
        let config = read(dir.path(), Path::new("/")).unwrap();
        let servers: Vec<String> = (config.sources.iter())
            .map(|source| source.server().to_string())
            .collect();
        assert_eq!(servers, ["a", "b"]);
        let place = config.place_of(&config.sources[1]);
        assert_eq!(place, format!("{}/20-b.conf:1", dir.path().display()));
    }

    #[test]
    fn faults_name_their_file() {
        let dir = tempfile::tempdir().unwrap();
        let [conf, part, none] = ["conf", "part", "none"].map(|name| dir.path().join(name));
        fs::write(&conf, "a 19 /r /l /p\ninclude part\n").unwrap();
        fs::write(&part, "a 19 /r /m /q\nx\n").unwrap();
        let config = read(&conf, Path::new("/")).unwrap();
        assert_eq!(config.sources.len(), 1);
        let (conf_name, part_name) = (conf.display(), part.display());
        let faults = config.faults.unwrap().to_string();
        let expected = format!(
            "{part_name}:1:1: the same REMOTE_FILE of the same server is fetched by line 1 already (it stands in {conf_name})\n{part_name}:2:2: PORT is missing"
        );
        assert!(faults.starts_with(&expected), "{faults}");

        fs::write(&part, "include conf").unwrap();
        let text = read(&conf, Path::new("/")).unwrap_err().to_string();
        let expected = format!("{part_name}:1:9: what is included includes this file again");
        assert_eq!(text, expected);
        fs::remove_file(&part).unwrap();
        let text = read(&conf, Path::new("/")).unwrap_err().to_string();
        let expected = format!("{conf_name}:2:9: cannot read what belongs to it: {part_name}: ");
        assert!(text.starts_with(&expected), "{text}");
        let text = read(&none, Path::new("/")).unwrap_err().to_string();
        assert!(text.starts_with(&format!("cannot read {}: ", none.display())));
    }

    #[test]
    fn all_files_together_have_a_longest_length() {
        let dir = tempfile::tempdir().unwrap();
        let [conf, part, more] = ["conf", "part", "more"].map(|name| dir.path().join(name));
        fs::write(&conf, "a 19 /r /l /p\ninclude part\ninclude more\n").unwrap();
        let text = |len: usize| "#".repeat(len);
        fs::write(&part, text(CONFIG_MAX_LEN / 2)).unwrap();
        fs::write(&more, text(CONFIG_MAX_LEN / 2 - 40)).unwrap();
        assert_eq!(read(&conf, Path::new("/")).unwrap().sources.len(), 1);
        for len in [CONFIG_MAX_LEN / 2, 3 << 30] {
            File::create(&more).unwrap().set_len(len as u64).unwrap();
            let text = read(&conf, Path::new("/")).unwrap_err().to_string();
            let (conf, more) = (conf.display(), more.display());
            let expected = format!(
                "{conf}:3:9: cannot read what belongs to it: {more}: a configuration has 16 MiB at most, with all that it includes"
            );
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn what_is_no_regular_file_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let (fifo, link) = (dir.path().join("fifo"), dir.path().join("link"));
        make_fifo(&fifo);
        std::os::unix::fs::symlink(&fifo, &link).unwrap();
        for path in [&*fifo, &link, Path::new("/dev/null")] {
            let name = path.display();
            let text = read(path, Path::new("/")).unwrap_err().to_string();
            assert_eq!(
                text,
                format!("cannot read {name}: it is not a regular file")
            );
        }
        fs::write(fifo.with_file_name("x.conf"), "a 19 /r /l /p").unwrap();
        assert!(read(dir.path(), Path::new("/")).is_ok());
        fs::rename(&fifo, fifo.with_file_name("y.conf")).unwrap();
        assert!(read(dir.path(), Path::new("/")).is_err());
    }
}
