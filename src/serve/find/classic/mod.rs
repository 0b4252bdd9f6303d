//! The decision on a classic request: the live file or one of the rotated ones, and from where.
//! Pure.

use super::findings::{Candidates, next_by_names};
use super::order::Age;
use super::place::{Place, place_of};
use super::query::{Choice, Query};
use super::refusal::Refusal;
use super::sightings::Sightings;
use crate::ids::Inode;
use crate::store::{ReadStore, Stat};
use crate::wire::number::InodeWord;
use crate::wire::reply::{Mark, Reply};
use crate::wire::request::Request;

impl<S: ReadStore> Query<'_, S> {
    /// Answers a classic request, as the table in the README's section "Answer" has it.
    pub fn choose(
        &self,
        request: &Request<'_>,
        sightings: &mut Sightings,
    ) -> Result<Choice<S::File>, Refusal> {
        let live = self.open_live()?;
        if let Some((_, stat)) = &live {
            sightings.saw_live(self.index, stat.id.inode, stat.mtime_ns);
        }
        let asked = request.inode.inode();
        if asked == Inode::NONE {
            let (file, stat) = live.ok_or(Refusal::Missing)?;
            return Ok(first_contact(file, stat, request.offset));
        }
        match live {
            Some((file, stat)) if stat.id.inode == asked => {
                // A file that was truncated and has grown beyond the client's offset looks as if
                // nothing had happened; only the memory of it tells.
                let dropped =
                    sightings.take_truncation(self.peer, self.index, asked, request.offset);
                Ok(same_inode(file, stat, request, dropped))
            }
            live => self.choose_rotated(live, request, sightings),
        }
    }

    /// The client's generation is not the live file: it is rotated, or gone.
    fn choose_rotated(
        &self,
        live: Option<(S::File, Stat)>,
        request: &Request<'_>,
        sightings: &Sightings,
    ) -> Result<Choice<S::File>, Refusal> {
        let asked = request.inode.inode();
        let rotated = self.candidates(live.as_ref().map(|(_, stat)| stat.id.inode))?;
        let held = rotated
            .iter()
            .find(|c| c.age.inode == asked && request.offset <= c.size);
        // The client's own file is sent on while it may grow: it has more, or is not complete yet.
        if held.is_some()
            && !sightings.is_left_behind(self.index, asked, request.offset)
            && let Some((file, stat)) = self.open_rotated(asked)?
            && request.offset <= stat.size
            && (request.offset < stat.size
                || !(sightings.is_complete(self.index, asked, request.offset)
                    || live.is_some() && self.complete(&file, &stat, rotated)))
        {
            return Ok(Choice {
                file,
                offset: request.offset,
                reply: Reply::classic(Mark::Found, request.inode),
                place: place_of(&stat, rotated),
                stat,
                then: None,
            });
        }
        // The client has all of its generation, or it is gone: the next one.
        if let Some(held) = held {
            let mut before = held;
            while let Some(next) = next_by_names(rotated, before) {
                if let Some((file, stat)) = self.open_rotated(next.age.inode)? {
                    return Ok(from_start(
                        file,
                        stat,
                        Mark::Found,
                        place_of(&stat, rotated),
                    ));
                }
                before = next;
            }
        }
        let (mark, newer_than) = match held {
            Some(_) => (Mark::Found, None),
            None => {
                let mark = match sightings.is_complete(self.index, asked, request.offset) {
                    true => Mark::Found,
                    false => Mark::Lost,
                };
                // Without knowing when it was written, no rotated file can be said to be newer.
                let last_written = sightings.last_written(self.index, asked);
                (mark, last_written.map(|mtime_ns| Age::at(mtime_ns, asked)))
            }
        };
        if let Some(after) = newer_than
            && let Some((file, stat)) = self.open_newer(rotated, after)?
        {
            return Ok(from_start(file, stat, mark, place_of(&stat, rotated)));
        }
        let (file, stat) = live.ok_or(Refusal::Missing)?;
        Ok(from_start(file, stat, mark, Place::Live))
    }

    /// Whether a rotated file may be taken as complete: nobody writes to it, or it was quiet for
    /// long enough. The newest one may have been renamed a moment ago, unnoticed by a writer that
    /// had nothing to write: it has to be quiet from now on. While there is no live file its writer
    /// has not moved on, so it stays open.
    fn complete(&self, file: &S::File, stat: &Stat, rotated: &Candidates) -> bool {
        let is_quiet = stat.mtime_ns <= self.quiet_since_ns;
        is_quiet && place_of(stat, rotated) == Place::Older || self.store.at_rest(file)
    }
}

/// The client holds nothing it could name: the live file from where it wants.
fn first_contact<F>(file: F, stat: Stat, offset: u64) -> Choice<F> {
    if offset > stat.size {
        return from_start(file, stat, Mark::Lost, Place::Live);
    }
    Choice {
        offset,
        ..from_start(file, stat, Mark::Found, Place::Live)
    }
}

/// The client's inode is that of the live file: it goes on where it was, or starts over if that was
/// truncated.
fn same_inode<F>(file: F, stat: Stat, request: &Request<'_>, dropped: bool) -> Choice<F> {
    let truncated = dropped || request.offset > stat.size;
    let (mark, inode, offset) = if truncated {
        (Mark::Lost, request.inode.respelled(), 0)
    } else {
        (Mark::Found, request.inode, request.offset)
    };
    Choice {
        file,
        stat,
        offset,
        reply: Reply::classic(mark, inode),
        place: Place::Live,
        then: None,
    }
}

/// A generation that is new to the client.
fn from_start<F>(file: F, stat: Stat, mark: Mark, place: Place) -> Choice<F> {
    Choice {
        file,
        stat,
        offset: 0,
        reply: Reply::classic(mark, InodeWord::plain(stat.id.inode)),
        place,
        then: None,
    }
}

#[cfg(test)]
mod tests;
