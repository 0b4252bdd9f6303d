//! Configuration files: read whole, parsed by whoever knows how, and refused with
//! `FILE:LINE:COLUMN: what is wrong`.

use std::fmt::{self, Display};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::limits::CONFIG_MAX_LEN;
use crate::sys::outside::Outside;
use crate::sys::{error_saying, files};

/// The reason why a configuration file cannot be used; one line for each error in it.
#[derive(Debug)]
pub enum Unusable {
    /// The system would not let us read it.
    Unreadable(PathBuf, io::Error),
    /// It was read, and this is wrong with it: lines that begin with the place.
    Invalid(PathBuf, String),
}

impl Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unusable::Unreadable(path, error) => {
                write!(f, "cannot read {}: {error}", path.display())
            }
            Unusable::Invalid(path, faults) => {
                // Each line gets the name, so that an editor that reads such lines can go from one
                // to the next.
                for (number, fault) in faults.lines().enumerate() {
                    if number > 0 {
                        f.write_str("\n")?;
                    }
                    write!(f, "{}:{fault}", path.display())?;
                }
                Ok(())
            }
        }
    }
}

/// Reads a configuration with `parse`. It must be a regular file or a link to one: whoever waited
/// for a writer to open a FIFO, or for the end of a terminal, would serve nobody meanwhile.
pub fn read<T, F: Display>(
    path: &Path,
    parse: impl FnOnce(&[u8]) -> Result<T, F>,
) -> Result<T, Unusable> {
    parse_file(path, open(path), parse)
}

/// Reads it once more. Where the daemon is confined, the helper opens the file.
pub fn read_again<T, F: Display>(
    path: &Path,
    outside: Option<&Outside>,
    parse: impl FnOnce(&[u8]) -> Result<T, F>,
) -> Result<T, Unusable> {
    let opened = outside.map_or_else(|| open(path), Outside::config);
    parse_file(path, opened, parse)
}

/// Opens it, waiting for nobody.
pub fn open(path: &Path) -> io::Result<File> {
    // Links are followed: a configuration is the operator's own, and often a link into a directory
    // under version control.
    files::open_without_waiting(path)
}

fn parse_file<T, F: Display>(
    path: &Path,
    opened: io::Result<File>,
    parse: impl FnOnce(&[u8]) -> Result<T, F>,
) -> Result<T, Unusable> {
    let text = opened
        .and_then(|file| read_whole(file, CONFIG_MAX_LEN))
        .map_err(|error| Unusable::Unreadable(path.to_path_buf(), error))?;
    parse(&text).map_err(|faults| Unusable::Invalid(path.to_path_buf(), faults.to_string()))
}

/// All of it, if it is a regular file of no more than so many bytes.
pub fn read_whole(file: File, max_len: usize) -> io::Result<Vec<u8>> {
    let failed = |text| Err(error_saying(io::ErrorKind::Other, text));
    // By descriptor and not by path, so that what is looked at is what is read.
    let found = file.metadata()?;
    if !found.is_file() {
        return failed("it is not a regular file");
    }
    let too_long = "a configuration has 16 MiB at most, with all that it includes";
    if found.len() > max_len as u64 {
        return failed(too_long);
    }
    // It may grow.
    let text = files::read_small(&file, max_len + 1)?;
    match text.len() > max_len {
        true => failed(too_long),
        false => Ok(text),
    }
}

const _: () = assert!(CONFIG_MAX_LEN == 16 << 20, "as it is said");

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::sys::testing::make_fifo;

    #[test]
    fn every_fault_gets_the_name_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("conf");
        fs::write(&path, "x").unwrap();
        let unusable = read(&path, |_| Err::<(), _>("1:1: this\n2:5: that")).unwrap_err();
        let name = path.display();
        assert_eq!(
            unusable.to_string(),
            format!("{name}:1:1: this\n{name}:2:5: that")
        );
    }

    #[test]
    fn what_is_no_regular_file_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let (fifo, link) = (dir.path().join("fifo"), dir.path().join("link"));
        make_fifo(&fifo);
        std::os::unix::fs::symlink(&fifo, &link).unwrap();
        for path in [&*fifo, &link, dir.path(), Path::new("/dev/null")] {
            let unusable = read(path, |_| Ok::<_, &str>(())).unwrap_err();
            let name = path.display();
            assert_eq!(
                unusable.to_string(),
                format!("cannot read {name}: it is not a regular file")
            );
        }
    }

    #[test]
    fn one_that_is_too_long_is_refused_unread() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("conf");
        let file = File::create(&path).unwrap();
        let error_at = |len: usize| {
            file.set_len(len as u64).unwrap();
            let read = read(&path, |text| Ok::<_, &str>(text.len()));
            read.map_err(|unusable| unusable.to_string())
        };
        assert_eq!(error_at(CONFIG_MAX_LEN).unwrap(), CONFIG_MAX_LEN);
        for len in [CONFIG_MAX_LEN + 1, 3 << 30] {
            let text = error_at(len).unwrap_err();
            assert!(
                text.ends_with("a configuration has 16 MiB at most, with all that it includes")
            );
        }
    }

    #[test]
    fn a_link_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (conf, link) = (dir.path().join("conf"), dir.path().join("link"));
        fs::write(&conf, "x").unwrap();
        std::os::unix::fs::symlink(&conf, &link).unwrap();
        assert!(read(&link, |text| Ok::<_, &str>(text.len())).is_ok_and(|len| len == 1));
    }

    #[test]
    fn a_missing_file_is_named() {
        let unusable = read(Path::new("/nonexistent/conf"), |_| Ok::<_, &str>(())).unwrap_err();
        assert!(
            unusable
                .to_string()
                .starts_with("cannot read /nonexistent/conf: ")
        );
    }
}
