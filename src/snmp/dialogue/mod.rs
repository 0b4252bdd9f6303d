//! The agent's dialogue: lines in, answers out. Pure: the status files and the time are passed in.
//!
//! ```text
//! PING             -> PONG
//! get, OID         -> OID, type, value: three lines;  or NONE
//! getnext, OID     -> the same for the first instance behind OID
//! set, OID         -> not-writable
//! anything else    -> NONE if it came right after a PING, otherwise nothing
//! ```
//!
//! The agent waits for its answer without a time limit and takes any other line for the answer to
//! its next request. So every question has exactly one answer, at once, and nothing else is ever
//! said. After `set` and its identifier the agent's releases send one line (`TYPE VALUE`), two or
//! none, or the identifier once more without an end: nothing is done with them and nobody waits for
//! them. `PING` brings the dialogue back in step from everywhere.

use std::fmt::Write;
use std::mem;

use super::instance::{self, Forms};
use super::oid::Oid;
use super::status::{self, StatusDir};
use super::value::Value;
use crate::limits::{SNMP_LINE_MAX_LEN, SNMP_REPLY_MAX_LEN};
use crate::time::Wall;

/// One conversation with the agent.
///
/// The caller passes what it read to [`handle_input`](Dialogue::handle_input), which takes one line
/// at most; then writes [`output`](Dialogue::output), says so with
/// [`consume_output`](Dialogue::consume_output), and goes on with the rest.
pub struct Dialogue {
    base: Oid,
    stale_ms: u64,
    forms: Forms,
    phase: Phase,
    line: Line,
    output: heapless::Vec<u8, SNMP_REPLY_MAX_LEN>,
    written: usize,
}

/// The place in the dialogue, which says what the next line can be.
#[derive(Clone, Copy)]
enum Phase {
    /// At the start and after an answer: a command is taken, everything else is skipped.
    Idle,
    /// After `PING`: a command is due, so whatever comes is answered.
    Pinged,
    /// After a command: its identifier is due, so whatever comes is answered.
    Asked(Command),
    /// After `set` or an unknown command: lines that belong to it may follow, and only `PING`
    /// counts.
    Deaf,
}

#[derive(Clone, Copy)]
enum Command {
    Get,
    GetNext,
    Set,
}

impl Dialogue {
    /// A conversation about the subtree of `base`, where a status file older than `stale_ms` counts
    /// as an error. A walk shows these forms.
    pub fn new(base: Oid, stale_ms: u64, forms: Forms) -> Dialogue {
        Dialogue {
            base,
            stale_ms,
            forms,
            phase: Phase::Idle,
            line: Line::default(),
            output: heapless::Vec::new(),
            written: 0,
        }
    }

    /// Takes bytes up to the end of the first line and says how many it took: none while output is
    /// pending.
    pub fn handle_input(&mut self, bytes: &[u8], now: Wall, dir: &mut dyn StatusDir) -> usize {
        // One question, one answer, in this order: the next is not even looked at before.
        if !self.output().is_empty() {
            return 0;
        }
        let mut parts = bytes.splitn(2, |&byte| byte == b'\n');
        let part = parts.next().unwrap_or_default();
        // The pipe may end a line anywhere, and may hold several.
        self.line.extend(part);
        if parts.next().is_none() {
            return part.len();
        }
        let line = mem::take(&mut self.line);
        self.handle_line(line.text(), now, dir);
        part.len() + 1
    }

    /// The answer, as far as it is not written yet; empty if nothing is to be said.
    pub fn output(&self) -> &[u8] {
        self.output.get(self.written..).unwrap_or_default()
    }

    /// Takes note that the first `count` bytes of the output are written.
    pub fn consume_output(&mut self, count: usize) {
        self.written = self.written.saturating_add(count);
        if self.written >= self.output.len() {
            self.output.clear();
            self.written = 0;
        }
    }

    /// Handles a whole line; `None` is one that was too long.
    fn handle_line(&mut self, line: Option<&[u8]>, now: Wall, dir: &mut dyn StatusDir) {
        match (self.phase, line) {
            // In every phase: net-snmp sends it before each request, and after it neither side can
            // be out of step.
            (_, Some(b"PING")) => self.say(Phase::Pinged, "PONG"),
            // Old releases leave out the value of a type that they do not know, and the end of the
            // line with it; they wait for the answer for ever.
            (Phase::Deaf, Some(line)) if is_glued(line) => self.say(Phase::Pinged, "PONG"),
            // Even a line that is too long or no identifier: the agent is waiting, and NONE frees
            // it.
            (Phase::Asked(command), _) => self.answer(command, line.and_then(Oid::parse), now, dir),
            (Phase::Idle | Phase::Pinged, Some(b"get")) => self.phase = Phase::Asked(Command::Get),
            (Phase::Idle | Phase::Pinged, Some(b"getnext")) => {
                self.phase = Phase::Asked(Command::GetNext);
            }
            (Phase::Idle | Phase::Pinged, Some(b"set")) => self.phase = Phase::Asked(Command::Set),
            // An empty line asks nothing, and an answer to it would be taken for that to the next
            // request.
            (Phase::Pinged, Some(b"")) => {}
            // A command of a later release: one answer for it, and nothing for the lines that
            // belong to it.
            (Phase::Pinged, _) => self.say(Phase::Deaf, "NONE"),
            (Phase::Idle | Phase::Deaf, _) => {}
        }
    }

    /// Answers a command; `None` is an identifier that was none.
    fn answer(&mut self, command: Command, asked: Option<Oid>, now: Wall, dir: &mut dyn StatusDir) {
        let found = match command {
            // The value is on its way in a line of its own, which must not be taken for a command.
            Command::Set => return self.say(Phase::Deaf, "not-writable"),
            Command::Get => asked.and_then(|asked| self.value(asked, now, dir)),
            Command::GetNext => asked.and_then(|asked| self.value_after(&asked, now, dir)),
        };
        let Some((oid, kind, value)) = found else {
            return self.say(Phase::Idle, "NONE");
        };
        self.say(Phase::Idle, format_args!("{oid}\n{kind}"));
        // The output is as large as the longest identifier and the longest value need.
        let _ = self.output.extend_from_slice(&value);
        let _ = self.output.push(b'\n');
    }

    /// What is asked for by its own identifier. It is read anew for each question: the agent asks
    /// seldom, and what it is told must be true now.
    fn value(&self, asked: Oid, now: Wall, dir: &mut dyn StatusDir) -> Option<Told> {
        let suffix = asked.below(&self.base)?;
        if let Some(address) = instance::address(suffix) {
            let value = status::value(dir, address, now, self.stale_ms);
            return Some((asked, "string", value));
        }
        let (kind, value) = dir.numbers()?.get(suffix, now, self.stale_ms)?;
        Some((asked, kind, value))
    }

    /// The first behind `asked`, which may lie before the base, and behind it too.
    fn value_after(&self, asked: &Oid, now: Wall, dir: &mut dyn StatusDir) -> Option<Told> {
        let after = match asked.below(&self.base) {
            Some(suffix) => suffix,
            // A walk of the whole tree comes from before: then the first instance follows.
            None if *asked < self.base => &[],
            None => return None,
        };
        let suffix = match instance::next(after, self.forms, dir) {
            Some((suffix, _)) => suffix,
            // No part of an address is as large as the one under which the numbers hang.
            None => dir.numbers()?.next(after, now)?,
        };
        self.value(self.base.child(&suffix)?, now, dir)
    }

    /// Puts one line into the output and changes the phase.
    fn say(&mut self, phase: Phase, line: impl std::fmt::Display) {
        self.phase = phase;
        // Output is empty here, and holds the longest line there is.
        let _ = writeln!(self.output, "{line}");
    }
}

/// Whether a line is the identifier of a `set` whose line has no end, and the next `PING`.
fn is_glued(line: &[u8]) -> bool {
    let oid = line.strip_suffix(b"PING").and_then(Oid::parse);
    oid.is_some()
}

/// An identifier, the type of its value, and the value.
type Told = (Oid, &'static str, Value);

/// A line, as far as it has come.
#[derive(Default)]
struct Line {
    bytes: heapless::Vec<u8, SNMP_LINE_MAX_LEN>,
    is_too_long: bool,
}

impl Line {
    fn extend(&mut self, bytes: &[u8]) {
        // Remembered, because a long line that was cut could look like a short one that means
        // something.
        self.is_too_long |= self.bytes.extend_from_slice(bytes).is_err();
    }

    /// The line without blanks around it (a carriage return is one); `None` if it was too long to
    /// keep.
    fn text(&self) -> Option<&[u8]> {
        (!self.is_too_long).then(|| self.bytes.trim_ascii())
    }
}

#[cfg(test)]
mod tests;
