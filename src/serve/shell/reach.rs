//! What a server has to reach, for the walls around it.

use std::path::{Path, PathBuf};

use crate::serve::config::Config;
use crate::serve::config::family::Family;
use crate::sys::confine::Reaches;
use crate::sys::trusted::{self, Untrusted};

/// The directories of all logs and of their rotated files, and those above them where that gives
/// little away: so a directory that is made, replaced or mounted later is reached without more ado.
/// A log behind linked directories is reached where they lead to now.
pub fn reaches(config: &Config) -> Reaches {
    let mut reaches = Reaches::default();
    reaches.write(Path::new("/dev/null"));
    reaches.read(Path::new("/dev/urandom"));
    let mut before = PathBuf::new();
    // Where the logs of a family are is known before they are found.
    let exact = config.files[..config.exact()].iter().flat_map(|entry| {
        // The name of a series is no file.
        let live = entry.path.parent().filter(|_| !entry.is_series);
        let live = live.map(Path::to_path_buf);
        live.into_iter().chain(entry.patterns.roots())
    });
    let families = config.families.iter().flat_map(Family::roots);
    for dir in exact.chain(families) {
        // Mostly the rotated files are beside the log, and the next log beside both.
        if dir == before {
            continue;
        }
        before.clone_from(&dir);
        // Whose links are followed is decided where files are opened. What nobody would follow is
        // not reached either, and whoever turns such a link about changes nothing.
        if is_refused(&dir) {
            continue;
        }
        reaches.read(with_siblings(&dir));
        if let Ok(target) = dir.canonicalize() {
            reaches.read(with_siblings(&target));
        }
    }
    reaches
}

fn is_refused(dir: &Path) -> bool {
    let opened = trusted::open_dir(dir);
    opened.is_err_and(|error| Untrusted::of(&error).is_some())
}

/// A directory with those beside it; on its own if those are the large ones of the system, as it is
/// with `/var/log`.
fn with_siblings(dir: &Path) -> &Path {
    let has_depth = |above: &&Path| above.components().count() > 2;
    dir.parent().filter(has_depth).unwrap_or(dir)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::confine::Right;

    #[test]
    fn the_directories_of_logs_globs_and_targets() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        let base = base.display().to_string();
        let target = format!("{base}/data/app.log");
        let link = format!("{base}/app/app.log");
        std::fs::create_dir(format!("{base}/data")).unwrap();
        std::fs::write(&target, "x").unwrap();
        std::os::unix::fs::symlink(format!("{base}/data"), format!("{base}/app")).unwrap();
        let text = format!(
            "$files{{'{link}'}} = '/old/*/app.log.* /older/app.log';\n$files{{'/var/log/b'}} = '/*/b /srv/app/logs/*';\n"
        );
        let config = Config::parse(text.as_bytes()).unwrap();
        let found: Vec<_> = reaches(&config)
            .iter()
            .filter(|reach| reach.right == Right::Read)
            .map(|reach| reach.path.display().to_string())
            .collect();
        let wanted = [
            "/",
            "/dev/urandom",
            "/old",
            "/older",
            "/srv/app",
            &base,
            "/var/log",
        ];
        assert_eq!(found, wanted);
    }
}
