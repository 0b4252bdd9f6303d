//! What the helper lets the operator's program hear of: the variables of an event, and no file but
//! a copy. Whoever has taken over a confined collector asks for runs, too; what he could set
//! besides would be run or read outside of the walls.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::conf;
use crate::collect::config::{Config, Texts};

/// The variables of an event.
pub(super) const VARIABLES: [&str; 6] = [
    "FETCHLOGS_EVENT",
    "FETCHLOGS_SERVER",
    "FETCHLOGS_LOG",
    FILE,
    "FETCHLOGS_BYTES",
    "FETCHLOGS_MD5",
];

const FILE: &str = "FETCHLOGS_FILE";

/// Where copies are, by every configuration that the collector was given, and by the one that is
/// there now.
pub struct Handed {
    config_path: PathBuf,
    base_dir: PathBuf,
    known: RefCell<Known>,
}

#[derive(Default)]
struct Known {
    /// Directories of copies.
    dirs: BTreeSet<PathBuf>,
    /// Directories somewhere below which copies are.
    roots: BTreeSet<PathBuf>,
}

impl Handed {
    /// Knows the configuration that the collector starts with, and where it is from.
    pub fn new(config_path: &Path, base_dir: &Path, config: &Config) -> Handed {
        let mut known = Known::default();
        known.add(config);
        Handed {
            config_path: config_path.to_path_buf(),
            base_dir: base_dir.to_path_buf(),
            known: RefCell::new(known),
        }
    }

    /// Takes note of a configuration that the collector is given.
    pub fn learn(&self, texts: &Texts) {
        if let Ok(config) = conf::parse(&self.config_path, &self.base_dir, texts) {
            self.known.borrow_mut().add(&config);
        }
    }

    /// Whether the program may have this variable with this value. Reads the configuration where it
    /// is of a copy that none has named so far: a successor has read it by itself.
    pub fn accepts(&self, name: &[u8], value: &[u8]) -> bool {
        if name != FILE.as_bytes() {
            return VARIABLES.iter().any(|known| known.as_bytes() == name);
        }
        let file = Path::new(OsStr::from_bytes(value));
        if value.is_empty() || self.known.borrow().has(file) {
            return true;
        }
        self.learn(&conf::gather(&self.config_path));
        self.known.borrow().has(file)
    }
}

impl Known {
    fn add(&mut self, config: &Config) {
        let locals = config.sources.iter().map(|source| &source.local);
        let dirs = locals.filter_map(|local| local.parent());
        self.dirs.extend(dirs.map(Path::to_path_buf));
        // Those of all lines that stand for many logs.
        self.roots.extend(config.root.clone());
    }

    fn has(&self, file: &Path) -> bool {
        let is_plain = |part| matches!(part, Component::Normal(_));
        let is_below = |root: &PathBuf| {
            let rest = file.strip_prefix(root).unwrap_or(Path::new(""));
            *rest != *Path::new("") && rest.components().all(is_plain)
        };
        let is_in = |dir| self.dirs.contains(dir) || self.roots.iter().any(is_below);
        // The configuration itself may have `..` in a path; behind it nothing may.
        file.file_name().is_some() && file.parent().is_some_and(is_in)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn handed(dir: &Path, text: &str) -> Handed {
        let path = dir.join("conf");
        fs::write(&path, text).unwrap();
        let config = conf::read(&path, Path::new("/base/../here")).unwrap();
        Handed::new(&path, Path::new("/base/../here"), &config)
    }

    const CONF: &str = "192.0.2.1 1 /log /copies/a/log /copies/a/p\n192.0.2.1 1 /other r/log r/p\n";

    #[test]
    fn the_variables_of_an_event_are_accepted_and_no_others() {
        let dir = tempfile::tempdir().unwrap();
        let handed = handed(dir.path(), CONF);
        for name in VARIABLES.iter().filter(|name| **name != FILE) {
            assert!(handed.accepts(name.as_bytes(), b"x"), "{name}");
        }
        for name in ["LD_PRELOAD", "PATH", "BASH_ENV", "", "FETCHLOGS_", "IFS"] {
            assert!(!handed.accepts(name.as_bytes(), b"x"), "{name}");
        }
    }

    #[test]
    fn a_file_is_a_copy_or_there_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let handed = handed(dir.path(), CONF);
        let accepts = |file: &str| handed.accepts(FILE.as_bytes(), file.as_bytes());
        for file in ["", "/copies/a/log.1", "/base/../here/r/log.2026"] {
            assert!(accepts(file), "{file}");
        }
        let odd = [
            "/etc/passwd",
            "/copies/log.1",
            "/copies/a/b/log.1",
            "/copies/a/../../etc/passwd",
            "/copies/a/..",
            "/copies/a",
            "copies/a/log.1",
            "log.1",
            "/base/../here/r/../../../etc/passwd",
            "/",
            "--help",
        ];
        for file in odd {
            assert!(!accepts(file), "{file}");
        }
    }

    #[test]
    fn a_new_configuration_is_known_and_the_one_before_is_not_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let handed = handed(dir.path(), CONF);
        let accepts = |file: &str| handed.accepts(FILE.as_bytes(), file.as_bytes());
        assert!(!accepts("/copies/b/log.1"));
        let text =
            "copies /all/%h/%p\n192.0.2.2 1 /log /copies/b/log /copies/b/p\n192.0.2.2 1 /v/*\n";
        fs::write(dir.path().join("conf"), text).unwrap();
        for file in ["/copies/a/log.1", "/copies/b/log.1", "/all/h/v/x.1"] {
            assert!(accepts(file), "{file}");
        }
        for file in ["/all/../etc/passwd", "/all/h/../../etc/passwd", "/all"] {
            assert!(!accepts(file), "{file}");
        }
    }
}
