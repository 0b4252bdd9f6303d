//! Configuration files: read whole, parsed by whoever knows how, and refused with `FILE:LINE:COLUMN: what is wrong`.

use std::fmt::{self, Display};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Why a configuration file cannot be used; one line for each fault.
#[derive(Debug)]
pub enum Unusable {
    /// The system would not let us read it.
    Unreadable(PathBuf, io::Error),
    /// It was read, and this is wrong with it: lines that begin with the place.
    Faulty(PathBuf, String),
}

impl Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unusable::Unreadable(path, error) => {
                write!(f, "cannot read {}: {error}", path.display())
            }
            Unusable::Faulty(path, faults) => {
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

/// Reads a configuration with `parse`.
pub fn read<T, F: Display>(
    path: &Path,
    parse: impl FnOnce(&[u8]) -> Result<T, F>,
) -> Result<T, Unusable> {
    let text = fs::read(path).map_err(|error| Unusable::Unreadable(path.to_path_buf(), error))?;
    parse(&text).map_err(|faults| Unusable::Faulty(path.to_path_buf(), faults.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_missing_file_is_named() {
        let unusable = read(Path::new("/nonexistent/conf"), |_| Ok::<_, &str>(())).unwrap_err();
        assert!(
            unusable
                .to_string()
                .starts_with("cannot read /nonexistent/conf: ")
        );
    }
}
