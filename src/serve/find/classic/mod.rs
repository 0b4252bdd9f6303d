//! The decision on a classic request: the live file or one of the rotated ones, and from where.
//! Pure.

use super::candidates::{Candidate, Candidates};
use super::order::Age;
use super::place::{Place, place_of};
use super::query::{Choice, Generation, Query};
use super::refusal::Refusal;
use super::sightings::Sightings;
use crate::ids::{FileId, Inode};
use crate::store::{ReadStore, Stat};
use crate::wire::number::InodeWord;
use crate::wire::reply::{Mark, Reply};
use crate::wire::request::Request;

impl<S: ReadStore> Query<'_, S> {
    /// Answers a classic request, as the table in the PROTOCOL.md's section "Answer" has it.
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
            let (file, stat) = live.ok_or_else(|| self.no_live())?;
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
        let rotated = self.candidates(live.as_ref().map(|(_, stat)| stat.id))?;
        let held = rotated
            .iter()
            .find(|c| c.age.id.inode == asked && request.offset <= c.size);
        // The client's own file is sent on while it may grow: it has more, or is not complete yet.
        if let Some(held) = held
            && !sightings.is_left_behind(self.index, asked, request.offset)
            && let Some((file, stat)) = self.open_rotated(held.age.id)?
            && request.offset <= stat.size
            && (request.offset < stat.size
                || !(sightings.is_complete(self.index, asked, request.offset)
                    || self.complete(&file, &stat, live.is_some(), rotated)))
        {
            // It has all there is, and nothing follows.
            if request.offset == stat.size
                && live.is_none()
                && let odd @ Refusal::NotRegular(_) = self.no_live()
            {
                return Err(odd);
            }
            return Ok(Choice {
                file,
                offset: request.offset,
                reply: Reply::classic(Mark::Found, request.inode),
                place: place_of(&stat, rotated),
                generation: Generation::unnumbered(&stat),
                stat,
                then: None,
                left_out: Vec::new(),
            });
        }
        // The client has all of its generation, or it is gone: the next one.
        let (mark, newer_than) = match held {
            Some(held) => (Mark::Found, Some(held.by_names())),
            None => {
                let mark = match sightings.is_complete(self.index, asked, request.offset) {
                    true => Mark::Found,
                    false => Mark::Lost,
                };
                // Without knowing when it was written, no rotated file can be said to be newer.
                let last_written = sightings.last_written(self.index, asked);
                let id = FileId {
                    device: 0,
                    inode: asked,
                };
                let record = self.journal.record_of_inode(self.index, asked);
                let seq = record.map_or(0, |record| record.seq);
                let at = |mtime_ns| (seq, 0, Age::at(mtime_ns, id));
                (mark, last_written.map(at))
            }
        };
        let order = |c: &Candidate| match held {
            Some(_) => c.by_names(),
            None => (c.age.seq, 0, c.inferred_age()),
        };
        let newer = match newer_than {
            Some(after) => self.open_newer(rotated, order, after)?,
            None => None,
        };
        let is_newer = |c: &Candidate| newer_than.is_some_and(|after| order(c) > after);
        let mut left_out = self.left_out(rotated, &is_newer, newer.as_ref().map(|(_, stat)| stat));
        let own = rotated.iter().find(|c| c.age.id.inode == asked);
        left_out.extend(own.and_then(|own| self.left_out_itself(own)));
        // All that classic can say of it.
        let mark = match left_out.is_empty() {
            true => mark,
            false => Mark::Lost,
        };
        let choice = match newer {
            Some((file, stat)) => from_start(file, stat, mark, place_of(&stat, rotated)),
            None => {
                let (file, stat) = live.ok_or_else(|| self.no_live())?;
                from_start(file, stat, mark, Place::Live)
            }
        };
        Ok(Choice { left_out, ..choice })
    }

    /// Whether a rotated file may be taken as complete: nobody writes to it, or it was quiet for
    /// long enough. The newest one may have been renamed a moment ago, unnoticed by a writer that
    /// had nothing to write: it has to be quiet from now on. While there is no live file, either,
    /// its writer has not moved on, so it stays open.
    fn complete(&self, file: &S::File, stat: &Stat, has_live: bool, rotated: &Candidates) -> bool {
        let is_quiet = stat.mtime_ns <= self.quiet_since_ns;
        match place_of(stat, rotated) {
            Place::Older => is_quiet || self.store.at_rest(file),
            Place::Latest | Place::Live => has_live && self.store.at_rest(file),
        }
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
        generation: Generation::unnumbered(&stat),
        stat,
        offset,
        reply: Reply::classic(mark, inode),
        place: Place::Live,
        then: None,
        left_out: Vec::new(),
    }
}

/// A generation that is new to the client.
fn from_start<F>(file: F, stat: Stat, mark: Mark, place: Place) -> Choice<F> {
    Choice {
        file,
        generation: Generation::unnumbered(&stat),
        stat,
        offset: 0,
        reply: Reply::classic(mark, InodeWord::plain(stat.id.inode)),
        place,
        then: None,
        left_out: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
