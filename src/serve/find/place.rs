//! The place of a file in its log: live, the newest rotated one, or an older one. Pure.

use super::candidates::{Candidate, Candidates};
use crate::store::Stat;

/// Which file of a log it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// The configured path leads to it.
    Live,
    /// It is rotated, and no rotated file is newer: that may have been a moment ago, unnoticed by
    /// its writer.
    Latest,
    /// It is rotated, and so was its successor since.
    Older,
}

/// Which file of the log it is.
pub(super) fn place_of(stat: &Stat, rotated: &Candidates) -> Place {
    match candidate_of(stat, rotated) {
        None => Place::Live,
        Some(found) if rotated.iter().any(|c| c.age > found.age) => Place::Older,
        Some(_) => Place::Latest,
    }
}

/// The rotated file that an open file is; `None` if it is not among them.
pub(super) fn candidate_of<'a>(stat: &Stat, rotated: &'a Candidates) -> Option<&'a Candidate> {
    rotated.iter().find(|c| c.age.id == stat.id)
}
