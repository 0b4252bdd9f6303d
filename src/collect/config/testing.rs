//! Configurations of tests: they are one text, and right or not.

use std::path::{Path, PathBuf};

use super::texts::{Found, Text, Texts};
use super::{Config, ConfigErrors};

impl Config {
    /// Reads a whole configuration, leaving relative paths as they are. If anything is wrong with
    /// it, tells all that is wrong instead. No source at all is fine.
    pub fn parse(text: &[u8]) -> Result<Config, ConfigErrors> {
        Config::parse_in(Path::new(""), text)
    }

    /// The same, with relative paths that start from `dir`.
    pub fn parse_in(dir: &Path, text: &[u8]) -> Result<Config, ConfigErrors> {
        let mut config = Config::read(dir, &Texts::of(text))?;
        config.faults.take().map_or(Ok(config), Err)
    }
}

impl Texts {
    /// One text, at no path.
    pub fn of(text: &[u8]) -> Texts {
        Texts::with(vec![Text {
            path: PathBuf::new(),
            found: Found::File(text.to_vec()),
        }])
    }
}
