//! A question to the files of one log, and how they are opened to answer it.
//!
//! Pure: files are seen only through [`ReadStore`]. Rotated files are looked for when somebody
//! asks, never kept; that is [`super::search`]'s.

use std::net::IpAddr;
use std::path::Path;

use super::crowd::Standing;
use super::findings::{Candidates, Findings, is_lasting};
use super::left_out::LeftOut;
use super::order::{self, Age};
use super::place::Place;
use super::refusal::Refusal;
use crate::ids::Inode;
use crate::serve::config::FileEntry;
use crate::store::{Kind, ReadStore, Stat};
use crate::wire::frame::note::LeftOut as Why;
use crate::wire::reply::Reply;

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
    /// Files that would have come before it, or that are the client's own, and are left out.
    pub left_out: Vec<LeftOut>,
}

/// One question to the files of a log.
pub struct Query<'a, S> {
    /// The files.
    pub store: &'a S,
    /// The configured log that the request's path names.
    pub entry: &'a FileEntry,
    /// The number of that entry in the configuration, under which `sightings` knows it.
    pub index: u32,
    /// Who asks.
    pub peer: IpAddr,
    /// How long a rotated file must have been quiet to count as complete, ending now, as
    /// nanoseconds since 1970: a rotated file written later than this may still be written to.
    pub quiet_since_ns: u64,
    /// What is known of the client, which decides which files are looked at where there are too
    /// many.
    pub standing: Standing,
    /// The rotated files. Without them, what cannot be told without them is [`Refusal::Later`].
    pub findings: Option<&'a Findings>,
}

impl<'a, S: ReadStore> Query<'a, S> {
    /// Opens the live file; `None` if there is none at the moment.
    pub(super) fn open_live(&self) -> Result<Option<(S::File, Stat)>, Refusal> {
        match self.open_regular(&self.entry.path) {
            Ok(opened) => Ok(Some(opened)),
            Err(Refusal::Missing) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// Opens a path and makes sure of what it got. What stands there is looked at first only for
    /// the message's sake.
    fn open_regular(&self, path: &Path) -> Result<(S::File, Stat), Refusal> {
        // Opening a FIFO or a device could block or have an effect.
        let seen = self.store.stat_path(path)?;
        if seen.kind != Kind::Regular {
            return Err(Refusal::NotRegular(seen.kind));
        }
        // The name may lead elsewhere by now, so what counts is the file that is open.
        let file = self.store.open(path)?;
        let stat = self.store.stat(&file)?;
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

    /// Opens the rotated file that has this inode, one of the [`candidates`](Self::candidates);
    /// `None` if we are not permitted to read it, or have tried it often enough.
    pub(super) fn open_rotated(&self, inode: Inode) -> Result<Option<(S::File, Stat)>, Refusal> {
        let findings = self.findings.ok_or(Refusal::Unsettled)?;
        let path = findings.path_of(inode).ok_or(Refusal::Unsettled)?;
        if findings.is_given_up(inode) {
            return Ok(None);
        }
        match self.open_regular(path) {
            Ok((file, stat)) if stat.id.inode == inode => Ok(Some((file, stat))),
            Err(Refusal::Unreadable(error)) if is_lasting(&error) => {
                findings.leave_out(inode, Why::NotPermitted);
                Ok(None)
            }
            Err(Refusal::Unreadable(error)) => {
                findings.note_failed(inode, &error);
                Err(Refusal::Unreadable(error))
            }
            // It was renamed since it was seen.
            Ok(_) | Err(_) => Err(Refusal::Unsettled),
        }
    }

    /// Opens the oldest of the rotated files that are newer than `after` and that we are permitted
    /// to read.
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
