//! The search for a name that a rotated copy can have: the local copy's, a stamp, and a number
//! where several are made within one second.

use std::path::{Path, PathBuf};

use super::PACKED_ENDINGS;
use super::error::FileError;
use super::files::LocalFiles;
use super::pointer::RotatedSuffix;
use crate::collect::config::with_ending;
use crate::limits::SUFFIX_ATTEMPTS_MAX;
use crate::store::WriteStore;

impl<F, S: WriteStore<File = F>> LocalFiles<'_, S> {
    /// A name for a rotated copy that nothing has.
    pub(super) fn free_name(&mut self) -> Result<(RotatedSuffix, PathBuf), FileError> {
        self.free_name_after("")
    }

    /// A name that nothing has, with `mark` between the local copy's name and the stamp.
    pub(super) fn free_name_after(
        &mut self,
        mark: &str,
    ) -> Result<(RotatedSuffix, PathBuf), FileError> {
        self.free_name_of(mark, self.stamp, 0)
    }

    /// A name that nothing has and that sorts behind `last`, which a copy got before: the clock may
    /// have been set back. If there is none, or that was another day, the time decides.
    pub(super) fn free_name_behind(
        &mut self,
        last: Option<&RotatedSuffix>,
    ) -> Result<(RotatedSuffix, PathBuf), FileError> {
        match last.filter(|last| last.is_ahead_of(self.stamp)) {
            Some(last) => {
                match self.free_name_of("", last.stamp(), last.attempt().saturating_add(1)) {
                    Err(FileError::NoFreeName(_)) => self.free_name(),
                    result => result,
                }
            }
            None => self.free_name(),
        }
    }

    /// A name with this stamp that nothing has, from the number `first` on, right behind one that
    /// is taken: the first such name, unless others were taken out of the row.
    ///
    /// A box may fill hundreds of generations within one second, so they are not tried one by one:
    /// the steps double until a name is free, and then the row's end is found by halving.
    fn free_name_of(
        &mut self,
        mark: &str,
        stamp: &str,
        first: u16,
    ) -> Result<(RotatedSuffix, PathBuf), FileError> {
        let last = SUFFIX_ATTEMPTS_MAX - 1;
        let (mut number, mut step) = (first, 1);
        // Every number below this one counts as taken.
        let mut above = first;
        let mut free = loop {
            if let Some(free) = self.name_if_free(mark, stamp, number)? {
                break free;
            }
            above = number.saturating_add(1);
            if above > last {
                return Err(self.no_free_name());
            }
            number = number.saturating_add(step).min(last);
            step *= 2;
        };
        while above < number {
            let middle = above + (number - above) / 2;
            match self.name_if_free(mark, stamp, middle)? {
                Some(name) => (free, number) = (name, middle),
                None => above = middle + 1,
            }
        }
        Ok(free)
    }

    /// The name with this number, if nothing has it. Only a hint: somebody may take the name at any
    /// moment, so whoever gives it must not overwrite.
    fn name_if_free(
        &mut self,
        mark: &str,
        stamp: &str,
        number: u16,
    ) -> Result<Option<(RotatedSuffix, PathBuf)>, FileError> {
        // Without a stamp there is no name: whoever passes none does not expect to need one.
        let suffix = RotatedSuffix::new(stamp, number).filter(|_| number < SUFFIX_ATTEMPTS_MAX);
        let Some(suffix) = suffix else {
            return Err(self.no_free_name());
        };
        let path = self.name_with(mark, &suffix);
        let is_free = self.stat_path(&path)?.is_none();
        // What is set aside nobody is told to compress.
        let is_free = is_free && (!mark.is_empty() || !self.is_packed(&path)?);
        Ok(is_free.then_some((suffix, path)))
    }

    /// Whether somebody has compressed a copy of this name, and would put another one in its place.
    fn is_packed(&mut self, path: &Path) -> Result<bool, FileError> {
        for ending in PACKED_ENDINGS {
            if self.stat_path(&with_ending(path, ending))?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// All names of this second are taken.
    fn no_free_name(&self) -> FileError {
        FileError::NoFreeName(self.paths.local.to_path_buf())
    }
}
