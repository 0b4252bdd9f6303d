//! What is behind the walls, and what is outside of them: the configuration, new directories, and
//! when another process has to take over.

use super::conf::{self, Unusable};
use super::{Collector, Options};
use crate::collect::config::Config;
use crate::limits::WALLS_CHECK_MS;

impl Collector {
    /// Whether a directory that was made, replaced or mounted, or a new configuration, lies outside
    /// of the walls by now. A successor would read the configuration: one that is faulty by now
    /// keeps this process at work.
    pub(super) fn check_walls(&mut self) {
        self.check_walls_at = self.now.mono.plus_ms(WALLS_CHECK_MS);
        if self.fits_walls() {
            return;
        }
        match self.read_config() {
            Ok(_) => self.be_shut_out(),
            Err(unusable) => self.journal.complain(&format_args!(
                "directories are new or were replaced, and no new process can take over: {unusable}"
            )),
        }
    }

    pub(super) fn fits_walls(&self) -> bool {
        self.is_shut_out || self.inside.walls.fits(&self.reaches)
    }

    /// Makes the directories that are missing and are to be made. Behind walls there has to be a
    /// root for them: else only a successor makes them, and this is false.
    pub(super) fn makes_dirs(&mut self, config: &Config) -> bool {
        if self.inside.outside.is_some() && config.root.is_none() {
            return conf::missing_dirs(config).is_empty();
        }
        conf::make_missing_dirs(config, &mut |what| self.journal.complain(&what));
        true
    }

    pub(super) fn be_shut_out(&mut self) {
        self.is_shut_out = true;
        self.journal.complain(
            &"directories are new or were replaced: a new process, which may write there, takes over",
        );
    }

    pub(super) fn read_config(&self) -> Result<Config, Unusable> {
        let Options {
            config_path,
            base_dir,
            ..
        } = &self.options;
        let config = conf::read_again(config_path, base_dir, self.inside.outside.as_ref())?;
        match config.faults {
            Some(faults) if !self.is_faulty => Err(Unusable::Invalid(faults)),
            _ => Ok(config),
        }
    }
}
