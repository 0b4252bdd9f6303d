//! The oracle of the unkind worlds: what the copies of a source prove, where bytes repeat.

use super::Dimension;
use super::explain::{Held, Truth, Wrong, certain, judge};
use crate::inside::sim::host::Feed;
use crate::inside::sim::log::Log;
use crate::inside::sim::oracle::written_len;
use crate::inside::sim::rotator::Rotator;
use crate::inside::sim::world::World;
use crate::wire::frame::DATA_MAX;

impl Wrong {
    /// How a failure of this kind is called, in front of what is said of it.
    pub fn text(self) -> &'static str {
        match self {
            Wrong::Lost => "lost and not told",
            Wrong::Twice => "twice",
            Wrong::Order => "out of order",
            Wrong::Joined => "joined wrongly",
            Wrong::Stuck => "stuck",
        }
    }
}

impl World {
    /// Nothing is missing and nothing is there twice, or it is told.
    pub fn check_unkind(&self, at: usize) -> Result<(), String> {
        let feed = &self.host.feeds[at];
        let log = &self.sites[feed.site].logs[feed.log];
        let copies = self.kept_copies(at);
        let (held, truths) = (held(log, &copies), truths(log));
        judge(&held, &truths, self.is_told(feed, log)).map_err(|wrong| {
            let (copies, generations) = (copies.len(), log.generations().count());
            format!(
                "{}: {copies} copies of {generations} generations of {}\n{}",
                wrong.text(),
                feed.local,
                picture(log, &held, &truths)
            )
        })
    }

    /// How much of a generation the collector holds for certain.
    pub fn held_for_certain(&self, at: usize, number: u64) -> usize {
        let feed = &self.host.feeds[at];
        let log = &self.sites[feed.site].logs[feed.log];
        let place = log.numbers().position(|known| known == number);
        match place.filter(|_| !self.is_told(feed, log)) {
            Some(place) => certain(&held(log, &self.kept_copies(at)), &truths(log), place),
            None => 0,
        }
    }

    /// Whether the collector says that something is missing, or nobody can expect more.
    fn is_told(&self, feed: &Feed, log: &Log) -> bool {
        // Without a copy nobody knows what a truncation took, but that there was one is told.
        let is_cut = log.rotator == Rotator::BusyboxInPlace && feed.says("truncated");
        self.is_on_record(feed) || feed.says("lost ") || is_cut || log.unsure
    }

    /// The copies that are not empty, oldest first, and whether one is the live one.
    fn kept_copies(&self, at: usize) -> Vec<(bool, Vec<u8>)> {
        let local = &self.host.feeds[at].local;
        let mut copies = Vec::new();
        self.host.each_copy(at, |path, _, bytes| {
            let is_live = path.to_str() == Some(local);
            copies.push((is_live, bytes.to_vec()));
        });
        copies.retain(|(_, bytes)| !bytes.is_empty());
        copies
    }
}

/// Which copies can be of which generations, for whoever reads of a failure.
fn picture(log: &Log, held: &[Held<'_>], truths: &[Truth<'_>]) -> String {
    let mut text = format!(
        "{:?}, {:?}, {:?}\n",
        log.rotator, log.habits.content, log.habits.actors
    );
    for (generation, truth) in log.generations().zip(truths) {
        let copies = held.iter().enumerate();
        let of_it = copies.filter(|(_, copy)| truth.bytes.starts_with(copy.bytes));
        let of_it: Vec<_> = of_it.map(|(n, copy)| (n, copy.bytes.len())).collect();
        let (inode, len) = (generation.inode, truth.bytes.len());
        let (must, traced) = (truth.must, truth.traced);
        text += &format!(
            "inode {inode}: {len} bytes, {must} must be there, {traced} or told; copies {of_it:?}\n"
        );
    }
    text
}

/// The copies as the comparison takes them.
fn held<'a>(log: &Log, copies: &'a [(bool, Vec<u8>)]) -> Vec<Held<'a>> {
    let content = log.habits.content;
    let written = copies
        .iter()
        .map(|(is_live, bytes)| (*is_live, content.written(bytes)));
    let written = written.filter(|(_, bytes)| !bytes.is_empty());
    let held = written.map(|(is_live, bytes)| Held {
        bytes,
        firm: match is_live {
            true => bytes.len().saturating_sub(DATA_MAX),
            false => bytes.len(),
        },
    });
    held.collect()
}

/// The generations as the comparison takes them.
fn truths(log: &Log) -> Vec<Truth<'_>> {
    let all: Vec<_> = log.generations().collect();
    // Where somebody else's copy of a generation is still there, who did not see it made takes it
    // for the generation itself, and what the box destroyed of that leaves no trace.
    let others = [Dimension::Copies, Dimension::Restored];
    let is_copied = others.iter().any(|d| log.habits.actors.contains(d));
    let truth = |n: usize| {
        // Of a generation of which nothing is held only the inode is known: a later one with the
        // same may be taken for it.
        let is_given_out_again =
            (0..=n).any(|first| all[n + 1..].iter().any(|g| g.inode == all[first].inode));
        // Zeros at the end of a generation that is not over are not written yet.
        let is_over = n + 1 < all.len();
        Truth {
            bytes: &all[n].bytes,
            must: match is_over {
                true => all[n].must,
                false => written_len(&all[n].bytes).min(all[n].must),
            },
            // A ring that is written over still shows that it was.
            traced: match is_given_out_again && log.habits.series.is_none() || is_copied {
                true => 0,
                false => all[n].traced,
            },
        }
    };
    (0..all.len()).map(truth).collect()
}
