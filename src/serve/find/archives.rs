//! Compressed rotated files: which of them may hold what a client lacks. Pure.
//!
//! The box never inflates. Who can is told of each, and finds out; others are told that there is
//! something.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;

use super::candidates::{Candidate, Candidates, name_of};
use super::left_out::{LeftOut, Tail, token_of};
use super::order::{self, Evidence, Placed};
use super::query::Query;
use super::refusal::Refusal;
use super::token::given_id;
use crate::ids::{Born, FileId, Identity};
use crate::limits::ARCHIVES_MAX;
use crate::serve::glob::uncompressed;
use crate::sorting::sort_by_key;
use crate::store::{ReadStore, Stat};
use crate::wire::given::archive_sum;
use crate::wire::request::{Extension, Given, Request, id_sum};

/// A second in nanoseconds.
const SECOND_NS: u64 = 1_000_000_000;

/// What a client lacks, as far as it told.
pub struct Lacking<'a> {
    /// All that is older was last written no later.
    pub floor_ns: u64,
    /// The sum of the token of what it holds.
    pub own: Option<u32>,
    /// How much it holds of that.
    pub offset: u64,
    /// The archives that it does not want.
    pub settled: &'a [u32],
    /// It can take them.
    pub can_inflate: bool,
}

impl<'a> Lacking<'a> {
    /// Whether it is the archive that the client holds a part of, or begins with.
    fn is_own(&self, place: &Place<'_>) -> bool {
        place.is_archive && self.own.is_some() && self.own == given_id(place.file.identity())
    }

    /// What a request tells.
    pub fn of(request: &Request<'_>, v2: &'a Extension) -> Lacking<'a> {
        Lacking {
            floor_ns: v2.mtime_ns.unwrap_or(0),
            own: v2.identity.as_ref().map(id_sum),
            offset: request.offset,
            settled: &v2.settled,
            can_inflate: v2.gz,
        }
    }
}

/// What there is of compressed files.
#[derive(Default)]
pub struct Archives {
    /// Those that may hold what a client lacks, oldest first.
    pub list: Vec<LeftOut>,
    /// One is there of which it holds all.
    pub is_own_there: bool,
    /// What it was given before is there, and nothing came between that and the oldest of these
    /// and is gone.
    pub is_given_there: bool,
}

impl Archives {
    /// Whether something that cannot be sent may come before something that can.
    pub fn has_hole(&self) -> bool {
        let sent = self.list.iter().rposition(LeftOut::is_gzip);
        let before = self.list.iter().take(sent.unwrap_or(0));
        before.into_iter().any(|it| !it.is_gzip())
    }
}

/// A rotated file in the order of generations, compressed or not.
struct Place<'c> {
    placed: Placed,
    file: &'c Candidate,
    is_archive: bool,
}

impl Place<'_> {
    fn may_be_before(&self, other: &Place<'_>) -> bool {
        self.placed.age < other.placed.age || self.placed.is_doubtful_beside(&other.placed)
    }

    /// Whether it was last written before a moment, for all that its time says. Some compressors
    /// keep the second alone.
    fn is_older_than(&self, moment_ns: u64) -> bool {
        let at_ns = self.placed.age.mtime_ns();
        let may_be_ns = match at_ns % SECOND_NS {
            0 => at_ns + (SECOND_NS - 1),
            _ => at_ns,
        };
        may_be_ns < moment_ns
    }
}

/// What a file in the order is to a client.
enum Verdict {
    /// The client holds all of it.
    Own,
    /// The client was given it before; certainly, or for all that its size says.
    Given { is_sure: bool },
    /// It is nothing that the client lacks.
    Nothing,
    /// The client may lack it.
    Lacking,
}

/// What the client knows of when something was written.
struct Floor {
    /// All that is older was last written no later.
    ns: u64,
    /// A clock was set back since.
    is_wrong: bool,
    /// What was last written at that very moment was given to the client, and no size tells which
    /// of several that was.
    is_given: bool,
}

impl<S: ReadStore> Query<'_, S> {
    /// The compressed files that may hold something of the generation which a client asks for, or
    /// that came between that and what was `chosen`. [`Refusal::Later`] where more of them have to
    /// be looked at than one part may.
    pub fn archives(&self, lacking: &Lacking<'_>, chosen: &Stat) -> Result<Archives, Refusal> {
        let rotated = self.candidates(self.live_id())?;
        let mut all = Archives::default();
        if rotated.archives().is_empty() {
            return Ok(all);
        }
        let mut order = self.in_order(rotated);
        let last = order.iter().position(|it| it.file.age.id == chosen.id);
        if let Some(last) = last {
            let last = order.remove(last);
            order.retain(|it| it.may_be_before(&last));
        }
        let mut floor = Floor {
            ns: lacking.floor_ns,
            // What began after a moment was not last written before it.
            is_wrong: chosen.size > 0 && chosen.mtime_ns < lacking.floor_ns,
            is_given: false,
        };
        floor.is_given = floor.ns > 0 && !self.is_told_at(&floor, &order, lacking)?;
        let mut is_behind_given = false;
        let mut found: Vec<(bool, &Place<'_>)> = Vec::new();
        for place in &order {
            match self.verdict(place, lacking, &floor)? {
                Verdict::Nothing => continue,
                Verdict::Lacking => {
                    // Of what is held a part, all that is older was given.
                    if lacking.is_own(place) {
                        found.clear();
                        (is_behind_given, all.is_given_there) = (true, true);
                    }
                    // Names know better than a clock that was set what comes behind another one.
                    let is_older = !is_behind_given && place.is_older_than(floor.ns);
                    found.push((is_older && !floor.is_wrong, place));
                    continue;
                }
                Verdict::Own => all.is_own_there = true,
                Verdict::Given { is_sure } => all.is_given_there = is_sure,
            }
            // What is older was given, or is not wanted.
            is_behind_given = true;
            found.retain_mut(|(is_older, other)| {
                *is_older = false;
                other.placed.is_doubtful_beside(&place.placed)
            });
            all.is_given_there &= found.is_empty();
        }
        found.retain(|(is_older, _)| !is_older);
        found.truncate(ARCHIVES_MAX);
        let told = found.into_iter().map(|(_, place)| self.told(place.file));
        all.list = told.collect::<Result<_, _>>()?;
        Ok(all)
    }

    /// Whether one of the archives that were last written at that very moment is known to have been
    /// given.
    fn is_told_at(
        &self,
        floor: &Floor,
        order: &[Place<'_>],
        lacking: &Lacking<'_>,
    ) -> Result<bool, Refusal> {
        let is_at_floor = |it: &&Place<'_>| it.is_archive && it.file.written_ns == floor.ns;
        for place in order.iter().filter(is_at_floor) {
            if let Verdict::Given { .. } = self.verdict(place, lacking, floor)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The rotated files that come behind the archive which a client holds all or a part of, by the
    /// order of all of them: where that is there, no moment has to tell.
    pub(super) fn behind_archive(
        &self,
        own: Option<Identity>,
        rotated: &Candidates,
    ) -> Vec<FileId> {
        let is_own = |c: &Candidate| own == Some(c.identity());
        if !rotated.archives().iter().any(is_own) {
            return Vec::new();
        }
        let order = self.in_order(rotated);
        let behind = order.iter().skip_while(|it| !is_own(it.file)).skip(1);
        let plain = behind.filter(|it| !it.is_archive);
        plain.map(|it| it.file.age.id).collect()
    }

    /// What one of the files is to the client.
    fn verdict(
        &self,
        place: &Place<'_>,
        lacking: &Lacking<'_>,
        floor: &Floor,
    ) -> Result<Verdict, Refusal> {
        let file = place.file;
        if !place.is_archive {
            return Ok(match self.is_given(file) {
                true => Verdict::Given { is_sure: true },
                false => Verdict::Nothing,
            });
        }
        let identity = file.identity();
        let id = given_id(identity);
        let sum = token_of(identity).map(|token| archive_sum(&token, file.size, file.written_ns));
        let is_settled = sum.is_some_and(|sum| lacking.settled.contains(&sum));
        let is_own = lacking.is_own(place);
        // Where the system does not tell births any more, it has another token.
        let may_be_own = is_own || is_settled && lacking.offset > 0;
        if is_own && is_settled || may_be_own && self.has_size(file, lacking.offset)? {
            return Ok(Verdict::Own);
        }
        // Without a birth the inode may be another file's by now.
        let is_it =
            |given: &Given| given.id == id && id.is_some() && identity.born != Born::Unknown;
        let is_it = self.given.iter().any(is_it);
        let is_old = file.written_ns <= floor.ns || floor.is_wrong || !lacking.can_inflate;
        let is_at_floor = floor.is_given && file.written_ns == floor.ns;
        let is_sure = is_it || file.written_ns == floor.ns;
        if !is_own && (is_it || is_at_floor || self.seems_given(file, id, is_old)?) {
            return Ok(Verdict::Given { is_sure });
        }
        Ok(match is_settled {
            true => Verdict::Nothing,
            false => Verdict::Lacking,
        })
    }

    /// Whether an archive has the size of something that the client was given, and may be that by
    /// what is known otherwise: its identity, or that it `is_old` enough.
    fn seems_given(
        &self,
        file: &Candidate,
        id: Option<u32>,
        is_old: bool,
    ) -> Result<bool, Refusal> {
        for given in self.given.iter().filter(|it| it.id == id || is_old) {
            if self.has_size(file, given.size)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// All rotated files in the order of generations: a clock that was set shows only beside all
    /// others.
    fn in_order<'c>(&self, rotated: &'c Candidates) -> Vec<Place<'c>> {
        // What is there uncompressed counts, and the other one is in the making.
        let is_alone = |archive: &&Candidate| {
            let path = archive.path().as_os_str().as_bytes();
            let before = uncompressed(path).map(OsStr::from_bytes);
            let mut plain = rotated.iter();
            !plain.any(|c| Some(c.path().as_os_str()) == before)
        };
        let archives = rotated.archives().iter().filter(is_alone);
        let archives = archives.map(|file| (file, true));
        let files: Vec<_> = archives.chain(rotated.iter().map(|c| (c, false))).collect();
        let evidence: Vec<Evidence<'_>> = files.iter().map(|(file, _)| evidence(file)).collect();
        let placed = order::arrange(name_of(self.stem()), &evidence);
        let places = placed.into_iter().zip(files);
        let mut order: Vec<Place<'c>> = places
            .map(|(placed, (file, is_archive))| Place {
                placed,
                file,
                is_archive,
            })
            .collect();
        sort_by_key(&mut order, |it| it.placed.age);
        order
    }

    /// What a client is told of a compressed file.
    fn told(&self, archive: &Candidate) -> Result<LeftOut, Refusal> {
        Ok(match self.tail_of(archive)? {
            Some(tail) => LeftOut::compressed(archive, tail),
            None => LeftOut::unreadable(archive),
        })
    }

    /// Whether the last member of a compressed file has so many bytes, modulo 2^32, as far as that
    /// can be read.
    fn has_size(&self, archive: &Candidate, all: u64) -> Result<bool, Refusal> {
        let tail = self.tail_of(archive)?;
        Ok(tail.is_some_and(|tail| tail.has_size(all)))
    }

    /// What a compressed file is, and what its end tells, as it was found once in a search; `None`
    /// if it cannot be had.
    fn tail_of(&self, archive: &Candidate) -> Result<Option<Tail>, Refusal> {
        let findings = self.findings.ok_or(Refusal::Later)?;
        let id = archive.age.id;
        findings.tail(id, self.quiet_since_ns, || {
            let Some((file, stat)) = self.open_found(id, archive.path(), findings)? else {
                return Ok(None);
            };
            // It is asked for once more: what its end would tell cannot be guessed.
            let last = self.last_of(&file, &stat).map_err(|error| {
                findings.note_failed(id, &error);
                Refusal::unreadable(error)
            })?;
            Ok(Some(Tail {
                size: stat.size,
                written_ns: stat.mtime_ns,
                is_fresh: stat.mtime_ns > self.quiet_since_ns,
                last,
                is_gzip: archive.path().extension() == Some(OsStr::new("gz")),
            }))
        })
    }

    /// The last bytes of a file; zeros where there are not so many.
    fn last_of(&self, file: &S::File, stat: &Stat) -> io::Result<[u8; 8]> {
        let mut last = [0; 8];
        let Some(from) = stat.size.checked_sub(last.len() as u64) else {
            return Ok(last);
        };
        match self.store.read_at(file, &mut last, from)? {
            8 => Ok(last),
            _ => Ok([0; 8]),
        }
    }
}

/// What tells the place of a file, compressed or not.
fn evidence(candidate: &Candidate) -> Evidence<'_> {
    let name = name_of(candidate.path());
    Evidence {
        name: uncompressed(name).unwrap_or(name),
        mtime_ns: candidate.written_ns,
        born_ns: candidate.birth.at_ns,
        id: candidate.age.id,
    }
}
