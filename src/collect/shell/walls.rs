//! What is behind the walls, and what is outside of them: the configuration, new directories, and
//! when another process has to take over.

use std::collections::BTreeSet;
use std::path::Path;

use super::conf::{self, Unusable};
use super::seats::{self, Rival};
use super::slot::Slot;
use super::{Collector, Options, reaches};
use crate::collect::config::Config;
use crate::limits::WALLS_CHECK_MS;
use crate::sys::confine::Reaches;

impl Collector {
    /// Whether a directory that was made, replaced or mounted, or a new configuration, lies outside
    /// of the walls by now. A successor would read the configuration: one that it could not begin
    /// with keeps this process at work.
    pub(super) fn check_walls(&mut self) {
        self.check_walls_at = self.now.mono.plus_ms(WALLS_CHECK_MS);
        if self.fits(&self.reaches) {
            return;
        }
        let usable = self.read_config().and_then(|config| self.prepare(&config));
        match usable {
            Ok(_) => self.be_shut_out(),
            Err(unusable) => self.journal.complain(&format_args!(
                "directories are new or were replaced, and no new process can take over: {unusable}"
            )),
        }
    }

    pub(super) fn fits(&self, reaches: &Reaches) -> bool {
        self.is_shut_out || self.inside.walls.fits(reaches)
    }

    /// Finds out what would keep a configuration from its work while the one before still does its
    /// own, and makes the directories that are missing and are to be made. Returns what is reached
    /// then; where that does not fit the walls, a successor can begin.
    pub(super) fn prepare(&mut self, config: &Config) -> Result<Reaches, Unusable> {
        let snmp_dir = &self.options.snmp_dir;
        let rival = seats::rival(snmp_dir, self.seat, config);
        if let Some(Rival {
            pid,
            copy: Some(copy),
        }) = rival
        {
            let mut sources = config.sources.iter();
            let source = sources.find(|source| *source.local == *copy);
            let family = config
                .families
                .iter()
                .find(|family| family.copy_at(&copy).is_some());
            let source = source.or(family.map(|family| &family.source));
            let place = source.map(|source| config.place_of(source));
            return Err(Unusable::Rivalled(place.unwrap_or_default(), copy, pid));
        }
        let mut unmade = Vec::new();
        conf::make_missing_dirs(config, &mut |what| unmade.push(what.to_string()));
        let mut unmade = unmade.join("\n");
        let mut reached = reaches(&self.options, config);
        let is_whole = unmade.is_empty() && self.fits(&reached);
        if let Some(outside) = &self.inside.outside
            && !is_whole
        {
            let failed = |why| Unusable::NoSuccessor(why);
            let rehearsal = outside
                .rehearse()
                .map_err(|error| failed(error.to_string()))?;
            unmade = rehearsal.map_err(failed)?;
            // It may have made directories.
            reached = reaches(&self.options, config);
            if let Some(Rival { pid, .. }) = rival {
                let why = format!("nobody knows what another collector, process {pid}, fetches");
                return Err(failed(why));
            }
        }
        if !unmade.is_empty() {
            if self.lacks_dirs(config) {
                return Err(Unusable::Unmade(unmade));
            }
            self.journal.complain(&unmade);
        }
        Ok(reached)
    }

    /// Whether a directory that is to be made is missing, and is not one of a source that is in
    /// error for that already.
    fn lacks_dirs(&self, config: &Config) -> bool {
        let families = self.families.iter().map(|family| &family.config().source);
        let sources = self.slots.iter().flatten().map(Slot::config);
        let running = || sources.clone().chain(families.clone());
        let is_root = |root: &&Path| running().any(|source| source.local.starts_with(root));
        let root = config.root.as_deref().filter(is_root);
        let dirs = running().filter_map(|source| source.local.parent());
        let known: BTreeSet<&Path> = dirs.chain(root).collect();
        let missing = conf::missing_dirs(config);
        missing.iter().any(|dir| !known.contains(&**dir))
    }

    fn is_empty(&self) -> bool {
        self.families.is_empty() && self.slots.iter().all(Option::is_none)
    }

    pub(super) fn be_shut_out(&mut self) {
        self.is_shut_out = true;
        self.journal.complain(
            &"directories are new or were replaced: a new process, which may write there, takes over",
        );
    }

    /// The configuration as it is now. One that was right is not replaced by one with faults, or by
    /// nothing: a file may have been emptied and not be written yet.
    pub(super) fn read_config(&self) -> Result<Config, Unusable> {
        let Options {
            config_path,
            base_dir,
            ..
        } = &self.options;
        let mut config = conf::read_again(config_path, base_dir, self.inside.outside.as_ref())?;
        let own = self.options.own.as_ref();
        config.set_own(own).map_err(Unusable::NoOwnKey)?;
        match config.faults {
            Some(faults) if !self.is_faulty => Err(Unusable::Invalid(faults)),
            _ if config.is_empty() && !self.is_empty() => Err(Unusable::Empty(config_path.clone())),
            _ => Ok(config),
        }
    }
}
