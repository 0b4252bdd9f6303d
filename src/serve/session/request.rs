//! The answer to a complete request line: what the session does next. Pure.

use std::ffi::OsStr;
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::{Context, Ending, Phase, query_about};
use crate::ids::Inode;
use crate::limits::{LOOKS_MAX, REQUEST_MAX_LEN};
use crate::serve::config::Config;
use crate::serve::find::archives::Lacking;
use crate::serve::find::crowd::Reached;
use crate::serve::find::findings::{Findings, Occasion};
use crate::serve::find::left_out::{LeftOut, Told};
use crate::serve::find::query::{Choice, Generation, Query};
use crate::serve::find::refusal::Refusal;
use crate::serve::find::search::Search;
use crate::serve::find::sightings::Sightings;
use crate::serve::find::token::Known;
use crate::serve::glob::Patterns;
use crate::serve::send::classic::ClassicStream;
use crate::serve::send::list::List;
use crate::serve::send::op::OpReply;
use crate::serve::send::v2::V2Stream;
use crate::store::ReadStore;
use crate::time::Mono;
use crate::wire::escape::Escaped;
use crate::wire::frame::ErrorCode;
use crate::wire::line::LineBuf;
use crate::wire::reply::Mark;
use crate::wire::request::{BadRequest, Extension, Op, Request, asks_for_v2};

/// A request whose answer takes long.
pub(super) struct Searching {
    line: LineBuf<REQUEST_MAX_LEN>,
    /// `None` before it begins, for the first time or anew.
    search: Option<Search>,
    /// How often it began.
    tries: usize,
    /// Whether the log was looked at since the search came to its end.
    has_looked: bool,
    /// The client takes what there is, and no more.
    pub(super) is_last: bool,
}

/// Answers a request line, or begins to search for the answer. Who asked for version 2 is told why
/// there is nothing to be had.
pub(super) fn answer<S: ReadStore>(
    peer: IpAddr,
    line: LineBuf<REQUEST_MAX_LEN>,
    cx: &mut Context<'_, S>,
) -> Phase<S::File> {
    let request = match Request::parse(line.line()) {
        Ok(request) => request,
        // A classic client cannot be told why, and a 1.1 server closes without a word.
        Err(bad) if asks_for_v2(line.line()) => {
            let text = bad.to_string();
            return refusal(&text, Ending::BadRequest(bad), cx.now.mono);
        }
        Err(bad) => return Phase::Ended(Ending::BadRequest(bad)),
    };
    if (request.v2.as_ref()).is_some_and(|v2| v2.op == Op::List) {
        return list(&request, cx);
    }
    match find(peer, &request, None, cx) {
        Err(Ending::Refused(Refusal::Later)) => Phase::Searching(Box::new(Searching {
            line,
            search: None,
            tries: 0,
            has_looked: false,
            is_last: false,
        })),
        found => settle(peer, &request, found, cx.now.mono),
    }
}

/// Begins to tell which logs there are.
fn list<S: ReadStore>(request: &Request<'_>, cx: &Context<'_, S>) -> Phase<S::File> {
    let now = cx.now.mono;
    match Patterns::parse_one(&request.name()) {
        Ok(asked) => Phase::Listing(Box::new(List::new(asked, cx.store.boot(), now))),
        Err(_) => {
            let bad = BadRequest::Glob;
            refusal(&bad.to_string(), Ending::BadRequest(bad), now)
        }
    }
}

/// Whether a line asks about a copy, and for nothing that lasts.
pub(super) fn is_question(line: &[u8]) -> bool {
    let op = Request::parse(line)
        .ok()
        .and_then(|request| Some(request.v2?.op));
    matches!(op, Some(Op::Digest | Op::Sums { .. } | Op::Range { .. }))
}

/// Turns a client away for which there is no place. Who asked for version 2 is told so.
pub(super) fn turn_away<F>(why: &'static str, line: &[u8], now: Mono) -> Phase<F> {
    match asks_for_v2(line) {
        true => refusal(why, Ending::Full(why), now),
        false => Phase::Ended(Ending::Full(why)),
    }
}

impl Searching {
    /// Whether the request is one of classic.
    pub(super) fn is_classic(&self) -> bool {
        !asks_for_v2(self.line.line())
    }

    /// Begins anew, because the configuration has changed.
    pub(super) fn restart(&mut self) {
        self.search = None;
    }

    /// Does a part of the search. Tells what comes after it.
    pub(super) fn work<S: ReadStore>(
        &mut self,
        peer: IpAddr,
        cx: &mut Context<'_, S>,
    ) -> Option<Phase<S::File>> {
        // It was parsed before; a request borrows from its line and cannot be kept beside it.
        let request = match Request::parse(self.line.line()) {
            Ok(request) => request,
            Err(bad) => return Some(Phase::Ended(Ending::BadRequest(bad))),
        };
        let settle = |found, now| Some(settle(peer, &request, found, now));
        let Some(search) = &mut self.search else {
            let Some(query) = query(peer, &request, cx) else {
                return settle(Err(not_served(&request)), cx.now.mono);
            };
            // First which file of a series is live.
            if !cx.journal.is_settled(query.index) {
                cx.journal.work(cx.config, cx.store);
                return None;
            }
            let query = Query {
                reached: reached(&request, query.index, cx.sightings),
                ..query
            };
            // The walk begins in the next part: this one has only looked at the live name.
            self.search = Some(Search::new(Occasion::Request, &query));
            self.tries += 1;
            self.has_looked = false;
            return None;
        };
        let Some(query) = query(peer, &request, cx) else {
            return settle(Err(not_served(&request)), cx.now.mono);
        };
        let findings = match search.advance(&query) {
            Ok(Some(findings)) => findings,
            Ok(None) => return None,
            Err(refusal) => return settle(Err(Ending::Refused(refusal)), cx.now.mono),
        };
        // What a log has become takes many comparisons, too: the look that an answer begins with
        // has little left to do.
        if !std::mem::replace(&mut self.has_looked, true) {
            let _ = cx.journal.look(query.index, &query.entry.path, cx.store);
            return None;
        }
        match find(peer, &request, Some(findings), cx) {
            Err(Ending::Refused(Refusal::Later)) if findings.is_paused() => None,
            // Something was renamed since it was found.
            Err(Ending::Refused(Refusal::Later | Refusal::Unsettled)) if self.tries < LOOKS_MAX => {
                self.search = None;
                None
            }
            found => settle(found, cx.now.mono),
        }
    }
}

/// Finds what a request asks for.
fn find<S: ReadStore>(
    peer: IpAddr,
    request: &Request<'_>,
    findings: Option<&Findings>,
    cx: &mut Context<'_, S>,
) -> Result<Phase<S::File>, Ending> {
    let (config, now) = (cx.config, cx.now);
    let query = query(peer, request, cx).ok_or_else(|| not_served(request))?;
    let given = request.v2.as_ref().map_or(&[][..], |v2| &v2.given);
    let query = Query {
        findings,
        given,
        reached: reached(request, query.index, cx.sightings),
        ..query
    };
    let index = query.index;
    // What is answered has to be no older than what the journal knows.
    if !cx.journal.look(index, &query.entry.path, cx.store) {
        return Err(Ending::Refused(Refusal::Later));
    }
    let troubles = &mut cx.sightings.troubles;
    if let Some(findings) = findings {
        findings.give_up(troubles.given_up(index, config.grace_ms, now.mono));
    }
    let found = answer_to(request, &query, cx);
    let failed = findings.and_then(Findings::take_failed);
    if let Some(id) = failed {
        let troubles = &mut cx.sightings.troubles;
        troubles.could_not_read(index, id, now.mono);
    }
    found
}

/// Answers a request by what is found.
fn answer_to<S: ReadStore>(
    request: &Request<'_>,
    query: &Query<'_, S>,
    cx: &mut Context<'_, S>,
) -> Result<Phase<S::File>, Ending> {
    let (store, config, now) = (cx.store, cx.config, cx.now);
    let index = query.index;
    let Some(v2) = &request.v2 else {
        let choice = query
            .choose(request, cx.sightings)
            .map_err(Ending::Refused)?;
        for left_out in &choice.left_out {
            cx.sightings.troubles.note(index, left_out);
        }
        return Ok(Phase::Streaming(Box::new(ClassicStream::new(
            index, choice, config, now,
        ))));
    };
    if v2.op == Op::Stream {
        // Version 2 asks for nothing that was seen before: what the client proves and the files
        // decide.
        let mut choice = query.resume(request, v2).map_err(Ending::Refused)?;
        let mut left_out = std::mem::take(&mut choice.left_out);
        if lacks_something(request, v2, &choice, query) {
            let lacking = Lacking::of(request, v2);
            let found = query
                .archives(&lacking, &choice.stat)
                .map_err(Ending::Refused)?;
            let has_hole = found.has_hole();
            // Where nothing is held, what comes right behind what was given is the rest of it.
            let is_oldest_sent = v2.gz && found.list.first().is_some_and(LeftOut::is_gzip);
            let follows = request.offset == 0 && found.is_given_there && is_oldest_sent;
            let is_own_there = found.is_own_there || follows;
            if let Some(terms) = choice.reply.v2.as_mut().filter(|_| is_own_there) {
                (terms.lost, terms.whole) = (false, true);
            }
            let (gzip, others): (Vec<LeftOut>, _) =
                found.list.into_iter().partition(|it| v2.gz && it.is_gzip());
            if !gzip.is_empty() {
                let is_whole = choice.reply.v2.as_ref().is_some_and(|terms| terms.whole);
                let known = v2.identity.as_ref().and_then(Known::of);
                let own = known.filter(|known| known.epoch == cx.journal.epoch());
                // One may be that of what is held.
                let is_other = |it: &&LeftOut| !it.has_size(request.offset);
                let others = gzip.iter().filter(is_other).count();
                let is_covered = is_own_there
                    || own
                        .and_then(|own| query.known_seq(own.seq))
                        .is_some_and(|seq| query.may_cover(seq, choice.generation.seq, others));
                let told = Told {
                    archives: gzip,
                    is_whole,
                    is_lost: is_whole && (!is_covered || has_hole),
                };
                return Err(Ending::Refused(Refusal::Compressed(Box::new(told))));
            }
            left_out.extend(others);
        }
        if let (false, Some(terms)) = (left_out.is_empty() || v2.notes, &mut choice.reply.v2)
            && choice.reply.mark == Mark::Lost
        {
            // It is not told by NOTE.
            (terms.lost, terms.whole) = (true, false);
        }
        let mut stream = V2Stream::new(index, choice, v2, store, config, now)?;
        stream.tell_left_out(&left_out, cx);
        return Ok(Phase::StreamingV2(Box::new(stream)));
    }
    let (file, stat) = query.held(request, v2).map_err(|refusal| match refusal {
        // To an `op` that is ERROR 6, and not 3: there may well be a live file.
        Refusal::Missing => Ending::Gone,
        other => Ending::Refused(other),
    })?;
    // Who knows a token is told that of the file which was found.
    let identity = query.identity(&file, &stat);
    let token = v2
        .identity
        .and(query.token(Generation { identity, seq: 0 }));
    let reply = OpReply::new(file, stat, request, v2.op, (store.boot(), token), now.mono);
    reply
        .map(|reply| Phase::Answering(Box::new(reply)))
        .ok_or(Ending::BadRequest(BadRequest::Extension))
}

/// Whether a client may lack what is in compressed files only, for all that is known without them.
fn lacks_something<S: ReadStore>(
    request: &Request<'_>,
    v2: &Extension,
    choice: &Choice<S::File>,
    query: &Query<'_, S>,
) -> bool {
    let is_first = request.inode.inode() == Inode::NONE;
    let is_lost = choice.reply.v2.as_ref().is_some_and(|terms| terms.lost);
    // Where nothing is held, an inode alone does not tell that it is still the same file. But where
    // the one before is there as it was, nothing came between. Of a clock that was set back no time
    // tells what came since.
    let is_behind = |ns: u64| {
        let is_there = query.findings.is_none_or(|it| it.has_written_at(ns));
        ns <= choice.stat.mtime_ns && !is_there
    };
    let is_unknown = request.offset == 0 && v2.identity.is_none();
    let may_lack = || is_unknown && v2.mtime_ns.is_some_and(is_behind);
    is_lost || (is_first && v2.history) || (!is_first && may_lack())
}

/// A query about the log that a request names.
fn query<'a, S>(peer: IpAddr, request: &Request<'_>, cx: &Context<'a, S>) -> Option<Query<'a, S>> {
    let name = request.name();
    let path = Path::new(OsStr::from_bytes(&name));
    query_about(cx.config.index_of(path)?, peer, cx)
}

/// The number of the configured log that a request line names, if it makes sense.
pub(super) fn log_of(line: &[u8], config: &Config) -> Option<u32> {
    let request = Request::parse(line).ok()?;
    let name = request.name();
    config.index_of(Path::new(OsStr::from_bytes(&name)))
}

/// How far a client has come, by its request.
fn reached(request: &Request<'_>, index: u32, sightings: &Sightings) -> Reached {
    let own = Some(request.inode.inode()).filter(|inode| *inode != Inode::NONE);
    let floor_ns = match (&request.v2, own) {
        (Some(v2), None) => v2.history.then_some(0),
        (Some(v2), Some(_)) => v2.mtime_ns,
        (None, own) => own.and_then(|own| sightings.last_written(index, own)),
    };
    Reached { own, floor_ns }
}

fn not_served(request: &Request<'_>) -> Ending {
    Ending::NotServed((*request.name()).into())
}

/// Goes on with what was found. Who asked for version 2 is told why there is nothing.
fn settle<F>(
    peer: IpAddr,
    request: &Request<'_>,
    found: Result<Phase<F>, Ending>,
    now: Mono,
) -> Phase<F> {
    found.unwrap_or_else(|ending| {
        if request.v2.is_none() {
            return Phase::Ended(ending);
        }
        let text = reason(peer, request, &ending);
        refusal(&text, ending, now)
    })
}

/// Tells why nothing is served, and then ends as `ending` says.
fn refusal<F>(text: &str, ending: Ending, now: Mono) -> Phase<F> {
    let reply = OpReply::refuse(code_of(&ending), text, ending, now);
    Phase::Answering(Box::new(reply))
}

/// The reason for a person, as an ERROR frame carries it.
fn reason(peer: IpAddr, request: &Request<'_>, ending: &Ending) -> String {
    let name = request.name();
    let path = Escaped(&name);
    match ending {
        Ending::NotServed(_) => format!("{peer} may not read {path}: not in %files"),
        other => format!("{path}: {other}"),
    }
}

fn code_of(ending: &Ending) -> ErrorCode {
    match ending {
        Ending::NotServed(_) => ErrorCode::NotServed,
        Ending::Refused(refusal) => refusal.code(),
        Ending::Gone => ErrorCode::Gone,
        Ending::Full(_) => ErrorCode::Busy,
        Ending::Unreadable(_) => ErrorCode::NotReadable,
        _ => ErrorCode::BadRequest,
    }
}
