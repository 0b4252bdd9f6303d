//! What is found wrong while lines are read.

use super::ConfigError;

/// What is wrong, and what may not be meant.
#[derive(Default)]
pub(super) struct Faults {
    pub(super) errors: Vec<ConfigError>,
    pub(super) warnings: Vec<ConfigError>,
    /// Something is wrong with a line that goes for others.
    pub(super) are_fatal: bool,
}

impl Faults {
    /// The value, if it is one.
    pub(super) fn keep<T>(&mut self, read: Result<T, ConfigError>) -> Option<T> {
        read.map_err(|error| self.errors.push(error)).ok()
    }
}
