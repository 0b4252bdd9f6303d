//! Whose turn it is at the log host, and that nobody waits for others longer than for a step of
//! each.

use std::collections::BTreeMap;

use super::oracle::violated;
use crate::inside::fair::Turn;
use crate::reactor::ready::ReadyList;

/// The sources whose files change, as the collector's shell has them, and what was asked of the
/// disk.
#[derive(Default)]
pub struct Turns {
    line: ReadyList,
    /// By source: how many steps others made since it waits, and how many may be made.
    waited: BTreeMap<u32, (usize, usize)>,
    /// By box: syncs in this turn.
    syncs: BTreeMap<usize, u64>,
    most_syncs: u64,
}

impl Turns {
    /// A source waits for a step, if it does not already.
    pub fn wait(&mut self, source: usize) {
        let source = source as u32;
        if !self.waited.contains_key(&source) {
            self.waited.insert(source, (0, self.line.len()));
        }
        self.line.push(source);
    }

    /// The next one, which makes a step.
    pub fn next(&mut self) -> Option<usize> {
        let next = self.line.pop()?;
        self.waited.remove(&next);
        for (other, (waited, most)) in &mut self.waited {
            *waited += 1;
            if *waited > *most {
                violated(format!(
                    "source {other} waits for {waited} steps of others, {most} before it"
                ));
            }
        }
        Some(next as usize)
    }

    /// So many syncs were made for a source of this box.
    pub fn note_syncs(&mut self, site: usize, syncs: u64) {
        let of_box = self.syncs.entry(site).or_default();
        *of_box += syncs;
        self.most_syncs = self.most_syncs.max(*of_box);
        if *of_box > Turn::SYNCS_OF_BOX {
            violated(format!(
                "others wait too long for box {site}: {of_box} syncs in a turn"
            ));
        }
    }

    /// The turn is over.
    pub fn end_turn(&mut self) {
        self.syncs.clear();
    }

    /// The collector's process is gone, and all that waited with it.
    pub fn clear(&mut self) {
        *self = Turns::default();
    }
}
