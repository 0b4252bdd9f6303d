//! A configuration, taken up: at the start, and at SIGHUP.

use std::collections::BTreeSet;

use super::families::FamilySlot;
use super::resolver::Wanted;
use super::slot::Slot;
use super::{Collector, seats};
use crate::collect::config::family::FamilyConfig;
use crate::collect::config::{Config, SourceConfig};
use crate::collect::view::summary::Count;
use crate::sys;
use crate::wire::table::Row;

impl Collector {
    /// The same as [`apply`](Self::apply), and says what is different.
    pub(super) fn apply_and_tell(&mut self, config: Config) {
        let before = self.slots.iter().flatten().count();
        let patterns = (self.families.len(), config.families.len());
        let is_as_before = |new: &&FamilyConfig| {
            let mut old = self.families.iter();
            old.any(|old| old.config() == *new)
        };
        let same = config.families.iter().filter(is_as_before).count();
        let (added, unchanged) = self.apply(config, &[]);
        let (added, removed) = (Count(added, "source"), before - unchanged);
        let patterns = match patterns {
            (0, 0) => String::new(),
            (before, now) => {
                let (more, less) = (now - same, before.saturating_sub(same));
                format!("; patterns: {more} added, {less} removed, {same} unchanged")
            }
        };
        self.journal.complain(&format_args!(
            "{added} added, {removed} removed, {unchanged} unchanged{patterns}"
        ));
    }

    /// SIGHUP: changed sources start anew, unchanged ones keep their connection. A faulty file
    /// changes nothing.
    pub(super) fn reload(&mut self) {
        let usable = self.read_config().and_then(|config| {
            let reaches = self.prepare(&config)?;
            Ok((config, reaches))
        });
        match usable {
            Ok((config, reaches)) => {
                self.reaches = reaches;
                if !self.fits(&self.reaches) {
                    // The successor reads what was found sound just now, and reaches all of it.
                    return self.be_shut_out();
                }
                if let Some(faults) = &config.faults {
                    self.journal.complain(faults);
                }
                self.is_faulty = config.faults.is_some();
                self.shown.note_faulty(self.is_faulty);
                let claimed = seats::claimed(&self.options.snmp_dir, self.seat);
                self.statuses.leave(claimed);
                self.apply_and_tell(config);
                self.try_at_once();
                self.connect_anew();
            }
            Err(unusable) => {
                self.journal.complain(&unusable);
                self.journal
                    .complain(&"the configuration stays as it was before");
                self.shown.note_faulty(true);
            }
        }
    }

    /// Brings the running sources into line with a configuration. Returns how many are new, and how
    /// many are as they were.
    pub(super) fn apply(&mut self, config: Config, remembered: &[Row<'_>]) -> (usize, usize) {
        // What is not configured any more has no other moment for that.
        self.put_on_record(None);
        let mut wanted = config.sources;
        wanted.extend(self.apply_families(config.families, &wanted, remembered));
        let families = self.families.iter().map(|family| &family.config().source);
        let all = || wanted.iter().chain(families.clone());
        sys::rlimit::raise_descriptor_limit(descriptors_for(wanted.len() + families.len()));
        self.resolver.keep(all());
        self.rights.find_groups(all(), &mut self.journal);
        wanted.sort_unstable_by(|a, b| a.local.as_os_str().cmp(b.local.as_os_str()));
        let mut runs = vec![false; wanted.len()];
        for place in &mut self.slots {
            match place.as_ref().and_then(|slot| unchanged(slot, &wanted)) {
                Some(at) => runs[at] = true,
                None => {
                    let gone = place.take();
                    if let (Some(hooks), Some(slot)) = (&mut self.hooks, gone) {
                        hooks.forget(slot.config());
                    }
                }
            }
        }
        let unchanged = runs.iter().filter(|runs| **runs).count();
        let added = wanted.len() - unchanged;
        let mut places = 0..;
        let new = wanted.into_iter().zip(runs).filter(|(_, runs)| !runs);
        for (config, _) in new {
            let addresses = self.resolver.addresses_of(&config);
            let slot = Slot::new(config, addresses, self.now);
            let free = places.find(|&at| self.slots.get(at).is_none_or(Option::is_none));
            match free.and_then(|at| self.slots.get_mut(at)) {
                Some(place) => *place = Some(slot),
                None => self.slots.push(Some(slot)),
            }
        }
        self.join_statuses();
        self.tell_shared();
        self.ask_for_names(Wanted::All);
        let states = self.slots.iter().flatten().map(Slot::state);
        self.manager.recount(states);
        self.shown.note_news();
        (added, unchanged)
    }

    /// Says which status files are other collectors'.
    fn tell_shared(&mut self) {
        for name in self.statuses.take_shared() {
            let text =
                format_args!("the status file {name} is another collector's, and left to it");
            self.journal.complain(&text);
        }
    }

    /// Every source joins the status of its server anew.
    pub(super) fn join_statuses(&mut self) {
        self.statuses.restart(self.now.mono);
        for (index, place) in (0..).zip(&mut self.slots) {
            let at = place.as_mut().and_then(|slot| {
                slot.join_status(&mut self.statuses);
                slot.poll_timeout(&self.options.periods)
            });
            self.deadlines.set(index, at);
        }
        self.join_family_statuses();
        self.statuses.remove_unused();
        let families = self.families.iter().map(FamilySlot::server_index);
        let indices = self.slots.iter().flatten().map(Slot::server_index);
        let indices = indices.chain(families);
        self.boxes = indices.collect::<BTreeSet<_>>().len();
    }
}

/// Where a slot's source stands among `sources`, which are in the order of their local copies, if
/// nothing about it is new.
fn unchanged(slot: &Slot, sources: &[SourceConfig]) -> Option<usize> {
    let config = slot.config();
    let found =
        sources.binary_search_by(|source| source.local.as_os_str().cmp(config.local.as_os_str()));
    let at = found.ok()?;
    (sources[at] == *config).then_some(at)
}

/// Each source has a socket and a local copy open; a rotation, the status files and the process
/// need some more.
pub fn descriptors_for(sources: usize) -> u64 {
    sources as u64 * 2 + 64
}
