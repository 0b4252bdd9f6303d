//! Which file answers a request: the live one, or one of the rotated ones, and from where.
//!
//! Pure: it sees files only through [`ReadStore`]. Rotated files are looked for when somebody asks, never kept; that is
//! [`super::survey`]'s.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use super::config::FileEntry;
use super::follow::Place;
use super::memory::Memory;
use super::order::{self, Age};
use super::search::place_of;
use super::survey::{Candidates, Findings, is_lasting};
use crate::ids::Inode;
use crate::store::{Kind, ReadStore, Stat};
use crate::wire::number::InodeWord;
use crate::wire::reply::{Mark, Reply};
use crate::wire::request::Request;

/// A file that answers a request.
pub struct Choice<F> {
    /// The open file.
    pub file: F,
    /// What it was when it was opened; always a regular file.
    pub stat: Stat,
    /// Where the data start; never behind the end of the file.
    pub offset: u64,
    /// What to tell the client.
    pub reply: Reply,
    /// Whether it is the live file or a rotated one.
    pub place: Place,
    /// The rotated file that comes after it, as far as somebody wants to know.
    pub then: Option<Inode>,
}

/// Why nothing answers a request. In classic the client sees only that the connection closes.
#[derive(Debug)]
pub enum Refusal {
    /// There is no such file now, nor a rotated one that would do.
    Missing,
    /// The path holds something that is never served.
    NotRegular(Kind),
    /// The system would not let us.
    Unreadable(io::Error),
    /// The rotated files change their names all the time, so that one might be overlooked.
    Unsettled,
    /// That takes longer, and has to be asked again: see [`super::survey`].
    Later,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Missing => f.write_str("there is no such file now"),
            Refusal::NotRegular(Kind::Link) => f.write_str(
                "it is a symbolic link; name the file it leads to (links among its directories are fine)",
            ),
            Refusal::NotRegular(Kind::Directory) => f.write_str("it is a directory"),
            Refusal::NotRegular(_) => f.write_str("it is not a regular file"),
            Refusal::Unreadable(error) => write!(f, "cannot read it: {error}"),
            Refusal::Unsettled => f.write_str("its rotated files are being renamed just now"),
            Refusal::Later => f.write_str("it is still being looked for"),
        }
    }
}

/// One question to the catalog.
pub struct Query<'a, S> {
    /// The files.
    pub store: &'a S,
    /// The configured log that the request's path names.
    pub entry: &'a FileEntry,
    /// The number of that entry in the configuration, under which `memory` knows it.
    pub index: u32,
    /// Who asks.
    pub peer: IpAddr,
    /// How long a rotated file must have been quiet to count as complete, ending now, as nanoseconds since 1970:
    /// a rotated file written later than this may still be written to.
    pub quiet_since_ns: u64,
    /// The rotated files. Without them, what cannot be told without them is [`Refusal::Later`].
    pub findings: Option<&'a Findings>,
}

impl<'a, S: ReadStore> Query<'a, S> {
    /// Answers a classic request. See the table in the README's section on the protocol.
    pub fn choose(
        &self,
        request: &Request<'_>,
        memory: &mut Memory,
    ) -> Result<Choice<S::File>, Refusal> {
        let live = self.open_live()?;
        if let Some((_, stat)) = &live {
            memory.saw_live(self.index, stat.id.inode, stat.mtime_ns);
        }
        let asked = request.inode.inode();
        if asked == Inode::NONE {
            let (file, stat) = live.ok_or(Refusal::Missing)?;
            return Ok(first_contact(file, stat, request.offset));
        }
        match live {
            Some((file, stat)) if stat.id.inode == asked => {
                let dropped = memory.take_truncation(self.peer, self.index, asked, request.offset);
                Ok(same_inode(file, stat, request, dropped))
            }
            live => self.choose_rotated(live, request, memory),
        }
    }

    /// The client's generation is not the live file: it is rotated, or gone.
    fn choose_rotated(
        &self,
        live: Option<(S::File, Stat)>,
        request: &Request<'_>,
        memory: &Memory,
    ) -> Result<Choice<S::File>, Refusal> {
        let asked = request.inode.inode();
        let rotated = self.candidates(live.as_ref().map(|(_, stat)| stat.id.inode))?;
        let held = rotated
            .iter()
            .find(|c| c.age.inode == asked && request.offset <= c.size);
        if held.is_some()
            && !memory.is_left_behind(self.index, asked, request.offset)
            && let Some((file, stat)) = self.open_rotated(asked)?
            && request.offset <= stat.size
            && (request.offset < stat.size
                || !(memory.is_complete(self.index, asked, request.offset)
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
        let (mark, newer_than) = match held {
            Some(held) => (Mark::Found, Some(held.age)),
            None => {
                let mark = match memory.is_complete(self.index, asked, request.offset) {
                    true => Mark::Found,
                    false => Mark::Lost,
                };
                let last_written = memory.last_written(self.index, asked);
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

    /// Whether a rotated file may be taken as complete: nobody writes to it, or it was quiet for long enough. The newest
    /// one may have been renamed a moment ago, unnoticed by a writer that had nothing to write: it has to be quiet from
    /// now on. While there is no live file its writer has not moved on, so it stays open.
    fn complete(&self, file: &S::File, stat: &Stat, rotated: &Candidates) -> bool {
        let is_quiet = stat.mtime_ns <= self.quiet_since_ns;
        is_quiet && place_of(stat, rotated) == Place::Older || self.store.at_rest(file)
    }

    /// Opens the live file; `None` if there is none at the moment.
    pub(super) fn open_live(&self) -> Result<Option<(S::File, Stat)>, Refusal> {
        match self.open_regular(&self.entry.path) {
            Ok(opened) => Ok(Some(opened)),
            Err(Refusal::Missing) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// Opens a path and makes sure of what it got. What stands there is looked at first only for the message's sake.
    fn open_regular(&self, path: &Path) -> Result<(S::File, Stat), Refusal> {
        let seen = self.store.stat_path(path).map_err(refusal)?;
        if seen.kind != Kind::Regular {
            return Err(Refusal::NotRegular(seen.kind));
        }
        let file = self.store.open(path).map_err(refusal)?;
        let stat = self.store.stat(&file).map_err(refusal)?;
        match stat.kind {
            Kind::Regular => Ok((file, stat)),
            other => Err(Refusal::NotRegular(other)),
        }
    }

    /// The inode of the live file, if there is one.
    pub(super) fn live_inode(&self) -> Option<Inode> {
        let stat = self.store.stat_path(&self.entry.path);
        stat.ok().map(|stat| stat.id.inode)
    }

    /// The rotated files, without the live one.
    pub(super) fn candidates(&self, live: Option<Inode>) -> Result<&'a Candidates, Refusal> {
        self.findings.ok_or(Refusal::Later)?.rotated(live)
    }

    /// Opens the rotated file that has this inode, one of the [`candidates`](Self::candidates); `None` if we are not
    /// permitted to read it.
    pub(super) fn open_rotated(&self, inode: Inode) -> Result<Option<(S::File, Stat)>, Refusal> {
        let path = self.findings.and_then(|findings| findings.path_of(inode));
        match self.open_regular(path.ok_or(Refusal::Unsettled)?) {
            Ok((file, stat)) if stat.id.inode == inode => Ok(Some((file, stat))),
            Err(Refusal::Unreadable(error)) if is_lasting(&error) => Ok(None),
            Err(Refusal::Unreadable(error)) => Err(Refusal::Unreadable(error)),
            // It was renamed since it was seen.
            Ok(_) | Err(_) => Err(Refusal::Unsettled),
        }
    }

    /// Opens the oldest of the rotated files that are newer than `after` and that we are permitted to read.
    pub(super) fn open_newer(
        &self,
        rotated: &Candidates,
        after: Age,
    ) -> Result<Option<(S::File, Stat)>, Refusal> {
        let newer_than = |age| order::next_newer(rotated.iter().map(|c| c.age), age);
        let mut next = newer_than(after);
        while let Some(age) = next {
            let opened = self.open_rotated(age.inode)?;
            if opened.is_some() {
                return Ok(opened);
            }
            next = newer_than(age);
        }
        Ok(None)
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

/// The client's inode is that of the live file: it goes on where it was, or starts over if that was truncated.
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

fn refusal(error: io::Error) -> Refusal {
    match error.kind() {
        io::ErrorKind::NotFound => Refusal::Missing,
        _ => Refusal::Unreadable(error),
    }
}

#[cfg(test)]
mod tests;
