//! Which rotated files may be no more than copies that somebody made, where nobody saw them come:
//! by how long they were written to, and by their names. Pure.
//!
//! A file that was live was written to for as long as it was. One that somebody copied, restored or
//! unpacked has all its bytes from one moment. So has the copy of a rotator that truncates the live
//! file; but it has the name of a rotated file.
//!
//! That a file may be a copy is no proof that it is one: what is in it has to be in another file,
//! or to have been given.

use std::path::Path;

use super::candidates::{Candidate, Candidates};
use super::findings::TIMES_GRAIN_NS;
use super::journal::record::Standing;
use super::order;
use super::query::Query;
use crate::ids::FileId;
use crate::mutation::{self, Mutation};
use crate::sorting::sort_by_key;
use crate::store::{ReadStore, Stat};

/// How a file came to have its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Making {
    /// It was written to for a while.
    Lived,
    /// It has all of them from the moment of its birth, or says that it is older than that.
    AtOnce,
    /// Its birth is not known.
    Unknown,
}

/// What is known of a rotated file besides its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Traits {
    /// It was seen at the live path.
    was_live: bool,
    making: Making,
    /// It was created after the live file, whose name it never had then.
    is_after_live: bool,
    /// Its name is that of the live file with a number, a date or a time.
    is_plain: bool,
    /// Its name is like that of a file that was live.
    has_kin: bool,
}

impl Traits {
    /// Whether it has had the live name for all that is known.
    fn has_lived(self) -> bool {
        self.was_live || (self.making == Making::Lived && !self.is_after_live)
    }

    /// Whether it may be a copy that somebody made.
    fn is_suspect(self) -> bool {
        !(self.has_lived() || self.is_plain || self.has_kin)
    }
}

impl Candidate {
    /// Whether it shows that it was copied: it was created after its last write, as the times are
    /// that came with its bytes.
    pub fn is_copied(&self) -> bool {
        let copied_from = self.written_ns.saturating_add(TIMES_GRAIN_NS);
        self.birth.at_ns.is_some_and(|at| at > copied_from)
    }

    fn making(&self) -> Making {
        let Some(born_ns) = self.birth.at_ns else {
            return Making::Unknown;
        };
        let copied_ns = COPIED_MIN_NS.saturating_add(self.size.saturating_mul(COPIED_BYTE_NS));
        match self.written_ns <= born_ns.saturating_add(copied_ns) {
            true => Making::AtOnce,
            false => Making::Lived,
        }
    }
}

impl<S: ReadStore> Query<'_, S> {
    /// Whether a rotated file may be a copy that somebody made, `live` being the live file.
    pub(super) fn is_suspect(
        &self,
        candidate: &Candidate,
        rotated: &Candidates,
        live: Option<&(S::File, Stat)>,
    ) -> bool {
        if mutation::is_on(Mutation::SuspectBelieved) {
            return false;
        }
        let path = self.stem();
        let all = || match rotated.iter().all(|c| order::is_plain(c.path(), path)) {
            true => Vec::new(),
            false => {
                let birth = |(file, stat): &(S::File, Stat)| {
                    let birth = self.store.birth_of(file, stat.id.device);
                    birth.at_ns
                };
                suspects(rotated, path, live.and_then(birth))
            }
        };
        let id = &candidate.age.id;
        self.findings
            .is_some_and(|findings| findings.suspects(all).binary_search(id).is_ok())
    }
}

/// The files that may be copies, in the order of their identities, for a live file at this path
/// that was created then.
fn suspects(rotated: &Candidates, path: &Path, live_ns: Option<u64>) -> Vec<FileId> {
    let traits = |c: &Candidate, has_kin| Traits {
        was_live: matches!(c.standing, Standing::Generation(_)),
        making: c.making(),
        is_after_live: live_ns.is_some_and(|live| c.birth.at_ns.is_some_and(|at| at > live)),
        is_plain: order::is_plain(c.path(), path),
        has_kin,
    };
    // One for each name that a rotator gives.
    let mut kin: Vec<&Candidate> = Vec::new();
    for candidate in rotated.iter().filter(|c| traits(c, false).has_lived()) {
        if !kin.iter().any(|known| known.is_called_like(candidate)) {
            kin.push(candidate);
        }
    }
    let has_kin = |c: &Candidate| kin.iter().any(|known| known.is_called_like(c));
    let suspects = rotated
        .iter()
        .filter(|c| traits(c, has_kin(c)).is_suspect());
    let mut suspects: Vec<FileId> = suspects.map(|c| c.age.id).collect();
    sort_by_key(&mut suspects, |id| *id);
    suspects
}

/// A copy takes no longer than this, and this for each byte: even a slow disk takes 10 MB/s.
const COPIED_MIN_NS: u64 = 2_000_000_000;
const COPIED_BYTE_NS: u64 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_no_sign_of_a_generation_is_suspect() {
        let none = Traits {
            was_live: false,
            making: Making::AtOnce,
            is_after_live: false,
            is_plain: false,
            has_kin: false,
        };
        let lived = Traits {
            making: Making::Lived,
            ..none
        };
        for (traits, is_suspect) in [
            (none, true),
            (
                Traits {
                    making: Making::Unknown,
                    ..none
                },
                true,
            ),
            (lived, false),
            (
                Traits {
                    is_after_live: true,
                    ..lived
                },
                true,
            ),
            (
                Traits {
                    was_live: true,
                    is_after_live: true,
                    ..lived
                },
                false,
            ),
            (
                Traits {
                    is_plain: true,
                    ..none
                },
                false,
            ),
            (
                Traits {
                    has_kin: true,
                    ..none
                },
                false,
            ),
        ] {
            assert_eq!(traits.is_suspect(), is_suspect, "{traits:?}");
        }
    }
}
