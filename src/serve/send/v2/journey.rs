//! What a stream keeps beyond the generation that it sends. Most streams send one for a day, and
//! have none of it. Pure.

use super::V2Stream;
use super::pace::Pace;
use super::plan::Plan;
use crate::ids::FileId;
use crate::limits::NOTES_MAX;
use crate::serve::find::archives::Lacking;
use crate::serve::find::left_out::LeftOut;
use crate::serve::find::query::Query;
use crate::serve::find::refusal::Refusal;
use crate::serve::find::v2::next::{Left, NextFile};
use crate::serve::send::context::Context;
use crate::store::ReadStore;
use crate::time::Mono;
use crate::wire::frame::note::LeftOut as Why;
use crate::wire::frame::{Frame, Role};

/// What concerns more than one generation.
#[derive(Default)]
pub(super) struct Journey {
    /// The file of the generation before.
    pub before: Option<FileId>,
    pub pace: Pace,
    /// Nothing was written to any file after the present one when this one had the live name, and
    /// so long that is believed.
    pub calm: Option<(Option<FileId>, Mono)>,
    /// The digest of the present one is computed, which nobody would wait for otherwise.
    pub has_digest_due: bool,
    /// What the client was told as left out.
    told: Vec<(Option<FileId>, Why)>,
    /// What a search has found, for the generations after the next one.
    pub plan: Plan,
}

impl Journey {
    /// Whether the client was not told of a file yet, and is to be told. A log with more than that
    /// has told enough.
    fn is_news(&mut self, file: &LeftOut) -> bool {
        let key = (file.id, file.why);
        let is_news = self.told.len() < NOTES_MAX && !self.told.contains(&key);
        if is_news {
            self.told.push(key);
        }
        is_news
    }
}

/// The next generation, and the compressed files that may have come before it. The client does not
/// want those that are `settled`.
pub(super) fn next_after<S: ReadStore>(
    left: &Left,
    settled: &[u32],
    can_inflate: bool,
    query: &Query<'_, S>,
) -> Result<(NextFile<S::File>, Vec<LeftOut>), Refusal> {
    let next = query.next_after(left)?;
    // Of what came between two generations that the journal knows nothing can be unseen.
    if !next.after_loss && query.has_seen_all(left.seq, next.generation.seq) {
        return Ok((next, Vec::new()));
    }
    let lacking = Lacking {
        floor_ns: left.mtime_ns,
        own: None,
        offset: 0,
        settled,
        can_inflate,
    };
    let between = query.archives(&lacking, &next.stat)?;
    Ok((next, between.list))
}

impl<F> V2Stream<F> {
    pub(super) fn journey_mut(&mut self) -> &mut Journey {
        self.journey.get_or_insert_default()
    }

    /// Tells what is left out: to the client, each file once if it knows how, and to the server's
    /// log. What was written to later is told again, since that may go on. Returns whether the
    /// client has to be told of a loss in its place.
    pub fn tell_left_out<S>(&mut self, left_out: &[LeftOut], cx: &mut Context<'_, S>) -> bool {
        let mut late = 0;
        for file in left_out {
            cx.sightings.troubles.note(self.index, file);
            if !self.knows_notes {
                continue;
            }
            match file.token() {
                Some(token) if late < NOTES_MAX => {
                    late += 1;
                    let role = Role::Late;
                    self.say(Frame::File { role, token });
                    self.say(Frame::Note(file.note()));
                }
                Some(_) => {}
                None if self.journey_mut().is_news(file) => self.say(Frame::Note(file.note())),
                None => {}
            }
        }
        !self.knows_notes && !left_out.is_empty()
    }

    /// Tells a client that can inflate of compressed files. Tells how many that are, and whether
    /// something came that is not told so.
    pub(super) fn tell_archives(&mut self, between: &[LeftOut]) -> (usize, bool) {
        let mut count = 0;
        let mut has_more = false;
        for archive in between {
            match archive
                .archive()
                .filter(|_| self.can_inflate && archive.is_gzip())
            {
                Some(archive) => {
                    self.say(Frame::Archive(archive));
                    count += 1;
                }
                None => has_more = true,
            }
        }
        (count, has_more)
    }

    /// Whether the next generation may be named now.
    pub(super) fn may_name(&mut self, now: Mono) -> bool {
        let Some(journey) = &mut self.journey else {
            return true;
        };
        let may = journey.pace.allows(now);
        if !may {
            // What was found is too old by then.
            journey.plan.drop();
        }
        may
    }

    /// The stream looks anew at what there is to do.
    pub(super) fn looked(&mut self) {
        if let Some(journey) = &mut self.journey {
            journey.pace.looked();
        }
    }

    /// When the next generation may be named, if one waits for that.
    pub(super) fn waits_until(&self) -> Option<Mono> {
        let journey = self.journey.as_ref()?;
        journey.pace.waits_until()
    }
}
