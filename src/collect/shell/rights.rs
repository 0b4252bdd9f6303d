//! The groups that files are given to, and what is told where that cannot be done.

use std::io;

use super::journal::Journal;
use super::slot::Slot;
use crate::collect::config::SourceConfig;
use crate::sys::local_socket::group_id;

/// What was told of the rights of files.
#[derive(Default)]
pub struct FileRights {
    is_ungiven_told: bool,
}

impl FileRights {
    /// Finds the numbers of the groups that a configuration names. One that is not there is told,
    /// and the files keep the collector's.
    pub fn find_groups<'a>(
        &mut self,
        sources: impl Iterator<Item = &'a SourceConfig>,
        journal: &mut Journal,
    ) {
        self.is_ungiven_told = false;
        let mut known: Vec<(&str, Option<u32>)> = Vec::new();
        for access in sources.filter_map(|source| source.access.as_ref()) {
            let Some(name) = access.group.as_deref() else {
                continue;
            };
            let found = known.iter().find(|(group, _)| *group == name);
            let gid = match found {
                Some((_, gid)) => *gid,
                None => {
                    let gid = group_id(name);
                    if gid.is_none() {
                        journal.complain(&format_args!(
                            "there is no group {name}: the files keep the collector's own"
                        ));
                    }
                    known.push((name, gid));
                    gid
                }
            };
            access.gid.set(gid);
        }
    }

    /// Tells once that a file could not be given the rights that are configured.
    pub fn tell_ungiven(&mut self, slot: &Slot, error: &io::Error, journal: &mut Journal) {
        if std::mem::replace(&mut self.is_ungiven_told, true) {
            return;
        }
        let local = slot.config().local.display();
        journal.complain(&format_args!(
            "cannot give new files of {local} the mode or the group that is configured: {error}; the collector has to be in that group"
        ));
    }
}
