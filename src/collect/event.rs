//! The events of a source, in the words of the event lines.

use std::fmt;
use std::path::Path;

use super::copy::Found;
use super::copy::left_out::LeftOut;
use super::copy::loss::Loss;
use super::error::SourceError;
use crate::ids::Inode;
use crate::limits::{HOOK_SLOW_MS, HOOK_TRIES, HOOKS_WAITING_MAX};
use crate::wire::frame::Reason;
use crate::wire::md5::Hex;

/// One event of one source. Its text is what follows time, address and remote file in an event
/// line.
#[derive(Debug)]
pub enum Event<'a> {
    /// The generation is complete and its copy has a name of its own now.
    Rotated {
        /// The next generation.
        next: Inode,
        /// The reason for the end of the generation.
        reason: Reason,
        /// The size of the complete copy.
        size: u64,
        /// The name of the complete copy.
        kept: &'a Path,
    },
    /// The file with the same inode is another generation now: what was held is kept under a name
    /// of its own.
    Truncated {
        /// The reason for the end of the generation.
        reason: Reason,
        /// The size of what was held.
        size: u64,
        /// The name of what was held.
        kept: &'a Path,
    },
    /// Something that the server had will never be here.
    Lost(Loss),
    /// The server leaves out a file.
    LeftOut(&'a LeftOut),
    /// The server's copy of the complete generation ends before ours, which is kept whole.
    KeptMore {
        /// The size of our copy.
        ours: u64,
        /// The size of the server's.
        theirs: u64,
        /// Our copy's name.
        kept: &'a Path,
    },
    /// The server has forgotten the end of what we hold; our bytes from there on are in this file.
    Rescued {
        /// The size of the server's file.
        size: u64,
        /// The file.
        kept: &'a Path,
    },
    /// After a restart of this machine, after a write failed or after fetchlogs 1.1, the end of the
    /// copy was not what the server has: it was cut off.
    Cut {
        /// Whether the copy was taken over from fetchlogs 1.1, and nothing else is known.
        is_taken_over: bool,
        /// The place from which on it differed.
        from: u64,
        /// The number of bytes that were cut off.
        len: u64,
        /// The file that has them now; `None` if they were zeros, as a power cut leaves them.
        kept: Option<&'a Path>,
    },
    /// After a restart of this machine, after a write failed or after fetchlogs 1.1, a copy was
    /// finished whose end could not be compared.
    Unchecked {
        /// Whether the copy was taken over from fetchlogs 1.1, and nothing else is known.
        is_taken_over: bool,
        /// The name of the copy.
        kept: &'a Path,
    },
    /// A complete copy has the server's digest.
    Verified {
        /// The copy's name.
        path: &'a Path,
        /// The digest.
        md5: [u8; 16],
        /// The part of the copy that the digest is of, where that is not all: of how many bytes, of
        /// how many.
        part: Option<(u64, u64)>,
    },
    /// A finished copy is not compared with the server's file, and will not be.
    NeverVerified {
        /// The copy's name.
        path: &'a Path,
        /// The reason.
        why: &'a str,
    },
    /// A complete copy was not the same as the server's file and is now; the other bytes are kept
    /// beside it.
    Healed {
        /// The copy's name.
        path: &'a Path,
        /// The place from which on they differed.
        from: u64,
        /// The name of what it was before.
        kept: &'a Path,
    },
    /// A complete copy was the beginning of what the server has of the generation, and is all of it
    /// now.
    Completed {
        /// The copy's name.
        path: &'a Path,
        /// Its size before.
        from: u64,
        /// Its size.
        size: u64,
    },
    /// The server had more of a generation that it had given whole, and that cannot be had.
    LostLate {
        /// The name of the copy.
        path: &'a Path,
        /// Its size.
        from: u64,
        /// The size of the server's file.
        size: u64,
    },
    /// A complete copy is not the same as the server's file, and cannot be made so.
    Differs {
        /// The copy's name.
        path: &'a Path,
        /// The reason.
        why: &'a str,
    },
    /// The server has sent a file twice.
    GivenTwice {
        /// The second copy.
        path: &'a Path,
        /// The first.
        of: &'a Path,
        /// The second is only known to have the beginning of the first, or all of it.
        is_part: bool,
        /// Whether the second was the same, byte for byte, and is not kept.
        is_gone: bool,
    },
    /// What a compressed file of the box holds cannot be had.
    #[cfg(feature = "gz")]
    BadArchive {
        /// Its name on the box, escaped.
        name: &'a str,
        /// The reason.
        why: &'a str,
    },
    /// A copy is of what somebody copied on the box of a generation that is gone there, and of
    /// which nothing is here.
    Remains(&'a Path),
    /// The operator's program failed for something that happened, as often as it is tried.
    HookFailed {
        /// The program.
        program: &'a Path,
        /// The word for what happened.
        kind: &'static str,
        /// The copy that it happened to.
        path: Option<&'a Path>,
        /// How it failed.
        why: &'a str,
    },
    /// The operator's program takes long for something that happened, and still runs.
    HookSlow {
        /// The program.
        program: &'a Path,
        /// The word for what happened.
        kind: &'static str,
        /// The copy that it happened to.
        path: Option<&'a Path>,
    },
    /// So many events that waited for the operator's program had to make room.
    HooksDropped {
        /// The program.
        program: &'a Path,
        /// The number of events.
        count: u32,
    },
    /// The clock of the box is far from ours: by so many seconds it is ahead, or behind below 0.
    ClockFar(i64),
    /// The clock of the box was far from ours and is not any more.
    ClockRight,
    /// The server used to speak version 2 and does not any more.
    Downgraded,
    /// The local files were found in a state worth telling.
    Found(&'a Found),
    /// An error of the source.
    Error(&'a SourceError),
    /// So many events were not told, because the box brings about too many.
    Untold(u32),
    /// The state of the source, because that changed for the better or somebody asked.
    State(State<'a>),
}

/// The state of a source: what it is doing.
#[derive(Debug)]
pub enum State<'a> {
    /// It is about to connect or to be answered.
    Connecting,
    /// It follows this generation and holds so many bytes of it.
    Following {
        /// The generation.
        inode: Option<Inode>,
        /// The size of the local copy.
        size: u64,
        /// The number of bytes that it is behind the server, as far as the server tells.
        behind: Option<u64>,
        /// Whether losses or differences are on record.
        flawed: bool,
    },
    /// An error of the source.
    Error(&'a SourceError),
}

/// How grave an event is: the numbers of syslog(3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// Something is lost, or wrong for good.
    Error = 3,
    /// Something is wrong for now, or was.
    Warning = 4,
    /// As it should be.
    Info = 6,
}

impl Severity {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Error => "err",
            Severity::Warning => "warning",
            Severity::Info => "info",
        }
    }
}

impl Event<'_> {
    /// How grave it is. A loss is what an operator must not overlook.
    pub fn severity(&self) -> Severity {
        match self {
            Event::Lost(_)
            | Event::LostLate { .. }
            | Event::Found(Found::Lost(_))
            | Event::Differs { .. }
            | Event::Remains(_)
            | Event::LeftOut(LeftOut {
                is_missing: true, ..
            }) => Severity::Error,
            #[cfg(feature = "gz")]
            Event::BadArchive { .. } => Severity::Error,
            Event::Rotated { .. }
            | Event::Truncated { .. }
            | Event::Verified { .. }
            | Event::Completed { .. }
            | Event::ClockRight
            | Event::State(State::Connecting | State::Following { .. }) => Severity::Info,
            _ => Severity::Warning,
        }
    }
}

impl Event<'_> {
    /// Whether a box can bring it about as often as it likes, and nothing is missing where only the
    /// first are told: what it leaves out is on record, and how a source is stands in its status.
    pub fn is_at_will(&self) -> bool {
        matches!(
            self,
            Event::LeftOut(_)
                | Event::Error(_)
                | Event::State(_)
                | Event::ClockFar(_)
                | Event::ClockRight
                | Event::Downgraded
        )
    }
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Rotated {
                next,
                reason,
                size,
                kept,
            } => {
                match reason {
                    Reason::Rotated => write!(f, "rotated to {next}")?,
                    other => write!(f, "{other}, {next} follows")?,
                }
                write!(f, "; {size} bytes kept as {}", kept.display())
            }
            Event::Truncated { reason, size, kept } => {
                // The box may call it rotated, but the same inode comes next: for a person the file
                // was cut.
                let what = match reason {
                    Reason::Rotated => Reason::Truncated,
                    other => *other,
                };
                write!(f, "{what}; {size} bytes kept as {}", kept.display())
            }
            Event::Lost(loss) => loss.fmt(f),
            Event::LeftOut(note) => note.fmt(f),
            Event::Untold(count) => write!(
                f,
                "{count} more lines about this box were left out, since there were too many in a minute; see its status"
            ),
            Event::KeptMore { ours, theirs, kept } => write!(
                f,
                "the server kept {theirs} of {ours} bytes; ours are all in {}",
                kept.display()
            ),
            Event::Rescued { size, kept } => write!(
                f,
                "the server has forgotten all behind {size}; our bytes from there on are kept as {}",
                kept.display()
            ),
            Event::Cut {
                is_taken_over,
                from,
                len,
                kept,
            } => {
                f.write_str(match is_taken_over {
                    true => "in the copy taken over from fetchlogs 1.1 ",
                    false => "after a restart of this machine or a failure of its disk ",
                })?;
                write!(f, "{len} bytes from {from} on ")?;
                match kept {
                    Some(kept) => write!(
                        f,
                        "were not the server's; they are kept as {}",
                        kept.display()
                    ),
                    None => f.write_str("were zeros that nobody wrote; they are fetched again"),
                }
            }
            Event::Unchecked {
                is_taken_over,
                kept,
            } => {
                f.write_str(match is_taken_over {
                    true => "the copy was taken over from fetchlogs 1.1, which notes nothing but an inode",
                    false => "this machine was started again or its disk failed",
                })?;
                write!(
                    f,
                    ", and the server has nothing to compare the end of {} with: it stays as it is",
                    kept.display()
                )
            }
            Event::Verified { path, md5, part } => {
                write!(f, "verified md5={} ", Hex(md5))?;
                if let Some((size, copy_size)) = part {
                    write!(f, "of the first {size} of {copy_size} bytes of ")?;
                }
                write!(f, "{}", path.display())
            }
            Event::NeverVerified { path, why } => {
                write!(f, "not verified {}: {why}", path.display())
            }
            Event::Healed { path, from, kept } => write!(
                f,
                "healed {} from {from}; what it was before is kept as {}",
                path.display(),
                kept.display()
            ),
            Event::Completed { path, from, size } => write!(
                f,
                "completed {} from {from} on: the server has {size} bytes of it",
                path.display()
            ),
            Event::LostLate { path, from, size } => write!(
                f,
                "lost {}:{from}, at least {} bytes: they were written after it was complete, and the server does not give them",
                path.display(),
                size - from
            ),
            Event::Differs { path, why } => {
                write!(
                    f,
                    "{} differs from the server's file: {why}",
                    path.display()
                )
            }
            Event::GivenTwice {
                path,
                of,
                is_part,
                is_gone,
            } => {
                let (path, of) = (path.display(), of.display());
                let what = match is_part {
                    true => "was copied on the box, and is the double or the beginning of",
                    false => "is the double of",
                };
                write!(f, "given twice: {path} {what} {of}")?;
                f.write_str(match is_gone {
                    true => " and is not kept",
                    false => ", which cannot be compared with it now; it stays",
                })
            }
            Event::Remains(path) => write!(
                f,
                "{} may be what somebody copied on the box of a file that is gone: where it belongs, \
                 and whether it is whole, is not certain",
                path.display()
            ),
            #[cfg(feature = "gz")]
            Event::BadArchive { name, why } => write!(
                f,
                "lost {name}, a compressed file of the box: {why}; nothing of it is taken"
            ),
            Event::HookFailed {
                program,
                kind,
                path,
                why,
            } => {
                write!(f, "the hook {} failed for {kind}", program.display())?;
                write_copy(f, *path)?;
                write!(f, ": {why}; it was tried {HOOK_TRIES} times and is left")
            }
            Event::HookSlow {
                program,
                kind,
                path,
            } => {
                write!(f, "the hook {} runs for {kind}", program.display())?;
                write_copy(f, *path)?;
                write!(f, " and has not ended in {} s", HOOK_SLOW_MS / 1000)
            }
            Event::HooksDropped { program, count } => write!(
                f,
                "older events that waited for the hook {} are left, as more than {HOOKS_WAITING_MAX} wait: {count}",
                program.display()
            ),
            Event::ClockFar(ahead_s @ 0..) => write!(
                f,
                "the clock of the box is {ahead_s} s ahead of ours, and the times in its logs are too"
            ),
            Event::ClockFar(ahead_s) => write!(
                f,
                "the clock of the box is {} s behind ours, and the times in its logs are too",
                ahead_s.unsigned_abs()
            ),
            Event::ClockRight => f.write_str("the clock of the box is right again"),
            Event::Downgraded => f.write_str(
                "the server speaks only the classic protocol now: copies are not verified any more",
            ),
            Event::Found(found) => found.fmt(f),
            Event::Error(error) => error.fmt(f),
            Event::State(state) => state.fmt(f),
        }
    }
}

/// The copy that something is about, if it is about one.
fn write_copy(f: &mut fmt::Formatter<'_>, path: Option<&Path>) -> fmt::Result {
    path.map_or(Ok(()), |path| write!(f, " of {}", path.display()))
}

impl fmt::Display for State<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            State::Connecting => f.write_str("connecting"),
            State::Following {
                inode,
                size,
                behind,
                flawed,
            } => {
                let inode = inode.unwrap_or(Inode::NONE);
                write!(f, "following {inode} from {size}")?;
                if let Some(behind) = behind.filter(|behind| *behind > 0) {
                    write!(f, ", {behind} bytes behind")?;
                }
                if *flawed {
                    f.write_str(", with losses or differences on record")?;
                }
                Ok(())
            }
            State::Error(error) => error.fmt(f),
        }
    }
}
