//! The walls around the collector, and what lies outside of them by now.

use super::Collector;
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

    pub(super) fn be_shut_out(&mut self) {
        self.is_shut_out = true;
        self.journal.complain(
            &"directories are new or were replaced: a new process, which may write there, takes over",
        );
    }
}
