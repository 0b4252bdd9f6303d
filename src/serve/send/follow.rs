//! An open file that is being sent: the place in it, and what has become of its name. Pure.
//!
//! The file is the buffer: what a socket did not take is read again. Both versions of the protocol
//! stand on this.

use std::io;
use std::path::Path;

use super::at_path::{AtPath, Own, Step};
use super::context::Context;
use super::zeros::span::Zeros;
use crate::ids::{FileId, Inode};
use crate::limits::DRAIN_MAX_MS;
use crate::mutation::{self, Mutation};
use crate::serve::config::Config;
use crate::serve::find::place::Place;
use crate::serve::find::refusal::Refusal;
use crate::store::{ReadStore, Stat, Writers};
use crate::time::{Mono, Now};

/// A moment that does not come.
const NEVER: Mono = Mono::from_ms(u64::MAX);

/// A file and the next byte of it to be sent.
pub struct Follow<F> {
    file: F,
    stat: Stat,
    offset: u64,
    looked_at: Mono,
    /// Whether the next look is to come as soon as everything is sent.
    look_due: bool,
    urgency: Urgency,
    watch: Watch,
    fate: Fate,
    /// The first other file that was seen at the path.
    successor: Option<FileId>,
    /// Where neither it nor another regular file is at the path: when that has lasted for `$grace`;
    /// else [`NEVER`].
    astray_at: Mono,
    /// The zeros where the next bytes would stand, if the file ends in some. Rarely there, so that
    /// a client takes little memory.
    zeros: Option<Box<Zeros>>,
    /// Whether zeros at the end of the file are kept back.
    pub(super) keeps_back_zeros: bool,
}

/// Whether changes of the file are told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Watch {
    /// They are not.
    Off,
    /// They are, so that looks are only a safety net.
    On,
    /// It has grown and nobody told.
    Unreliable,
}

/// Whether a look is asked for before its time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Urgency {
    /// It is not.
    None,
    /// The next is to come at once.
    AtOnce,
    /// The last came at once, and nothing was sent since: to ask again would lead to nothing.
    Futile,
}

/// What has become of the file's name.
#[derive(Clone, Copy)]
enum Fate {
    /// The configured path still leads to the file.
    Live,
    /// The path leads elsewhere or nowhere. The file is drained, for its writer may not have
    /// noticed; it is complete when it was quiet until `quiet_at`, and earlier if nobody writes to
    /// it any more. A writer that never moves on must not keep the next generation away for ever:
    /// at `drained_at` it is left behind.
    Superseded {
        quiet_at: Mono,
        drained_at: Mono,
        /// The system, asked last, did not say who writes to it.
        is_unaskable: bool,
    },
}

/// What a look at the file shows.
pub enum Look {
    /// Nothing that would end it.
    Same,
    /// It became shorter.
    Truncated,
    /// Everything was sent and nothing more is to come: another file has its name, or comes after
    /// it among the rotated ones.
    Rotated,
    /// The same as far as a writer can be waited for that keeps something back. But there is no
    /// live file, or nothing was written to it, and somebody may write to this one still.
    Quiet,
    /// Everything was sent, and since `$grace` no file that could be served has its name, for this
    /// reason.
    Astray(Refusal),
    /// The system does not let us look.
    Unreadable(Box<io::Error>),
}

impl Look {
    #[inline(never)]
    fn unreadable(error: io::Error) -> Look {
        Look::Unreadable(Box::new(error))
    }
}

impl<F> Follow<F> {
    /// Follows an open file from `offset`, which lies within it.
    pub fn new(
        file: F,
        stat: Stat,
        offset: u64,
        place: Place,
        grace_ms: u64,
        now: Now,
    ) -> Follow<F> {
        let drained_at = now.mono.plus_ms(grace_ms.max(DRAIN_MAX_MS));
        let fate = match place {
            Place::Live => Fate::Live,
            // It may have got its name a moment ago, unnoticed by its writer: it has to be quiet
            // while somebody looks.
            Place::Latest => Fate::Superseded {
                quiet_at: now.mono.plus_ms(grace_ms),
                drained_at,
                is_unaskable: false,
            },
            // It is not the newest of the rotated files, so its own last write tells how long it is
            // quiet.
            Place::Older => Fate::Superseded {
                quiet_at: quiet_at(&stat, grace_ms, now),
                drained_at,
                is_unaskable: false,
            },
        };
        let follow = Follow {
            file,
            stat,
            offset,
            looked_at: now.mono,
            // A client that came back for the end of a rotated file waits for nothing but that
            // look.
            look_due: place != Place::Live && offset == stat.size,
            urgency: Urgency::None,
            watch: Watch::Off,
            fate,
            successor: None,
            astray_at: NEVER,
            zeros: None,
            keeps_back_zeros: false,
        };
        follow.check_invariants();
        follow
    }

    /// Checks that the parts agree with each other; in release builds it does nothing.
    pub(super) fn check_invariants(&self) {
        debug_assert!(
            self.offset <= self.stat.size,
            "more was sent than the file has"
        );
        match self.fate {
            // Whether a live file is complete is no question, so no look is due for that.
            Fate::Live => debug_assert!(!self.look_due),
            Fate::Superseded {
                quiet_at,
                drained_at,
                ..
            } => {
                debug_assert!(quiet_at <= drained_at, "a writer is waited for too long");
                debug_assert!(!self.look_due || self.to_send() == 0);
            }
        }
        self.check_zeros();
    }

    /// The open file.
    pub fn file(&self) -> &F {
        &self.file
    }

    /// Gives the file up.
    pub fn into_file(self) -> F {
        self.file
    }

    /// The file's inode.
    pub fn inode(&self) -> Inode {
        self.stat.id.inode
    }

    /// The file's device and inode.
    pub fn id(&self) -> FileId {
        self.stat.id
    }

    /// What the file was at the last look.
    pub fn stat(&self) -> &Stat {
        &self.stat
    }

    /// The next byte to be sent.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// How many bytes are known to be there behind that.
    pub fn ahead(&self) -> u64 {
        self.stat.size - self.offset
    }

    /// So many more bytes were sent.
    pub fn advance(&mut self, len: u64) {
        self.offset = self.stat.size.min(self.offset + len);
        self.urgency = match self.urgency {
            Urgency::Futile => Urgency::None,
            urgency => urgency,
        };
        self.pass_zeros();
        self.note_all_sent();
        self.check_invariants();
    }

    /// Notes whether everything a rotated file had is sent: whether it is complete need not wait
    /// for the next check.
    pub(super) fn note_all_sent(&mut self) {
        self.look_due |= matches!(self.fate, Fate::Superseded { .. }) && self.to_send() == 0;
    }

    /// Notes whether there is something to be sent again: a look is due once it is.
    pub(super) fn note_to_send(&mut self) {
        self.look_due &= self.to_send() == 0;
    }

    /// What is known of zeros behind the offset.
    pub(super) fn zeros(&self) -> Option<&Zeros> {
        self.zeros.as_deref()
    }

    /// The same, to be changed.
    pub(super) fn zeros_mut(&mut self) -> Option<&mut Zeros> {
        self.zeros.as_deref_mut()
    }

    /// Sets what is known of zeros behind the offset.
    pub(super) fn set_zeros(&mut self, zeros: Option<Zeros>) {
        self.zeros = zeros.map(Box::new);
    }

    /// Asks for a look at once; but for one at the next check if the last came at once, too, and
    /// led to nothing, so that a file that cannot be read as far as its size says is not looked at
    /// all the time.
    pub fn look_soon(&mut self) {
        self.urgency = match self.urgency {
            Urgency::None => Urgency::AtOnce,
            urgency => urgency,
        };
    }

    /// Changes of the file are told from now on, or are not.
    pub fn set_watched(&mut self, is_watched: bool) {
        self.watch = match (self.watch, is_watched) {
            (Watch::Unreliable, _) => Watch::Unreliable,
            (_, true) => Watch::On,
            (_, false) => Watch::Off,
        };
    }

    /// Notes, after a look that nobody asked for, whether the file had grown untold since it had
    /// this size. Then changes are not told, whatever was promised: it may stand on another host.
    pub fn note_missed_growth(&mut self, size: u64) {
        if self.is_live() && self.stat.size > size {
            self.watch = Watch::Unreliable;
        }
    }

    /// A look was taken, or need not be.
    pub fn looked(&mut self, now: Mono) {
        self.looked_at = now;
        self.look_due = false;
        self.urgency = match self.urgency {
            Urgency::AtOnce => Urgency::Futile,
            Urgency::None | Urgency::Futile => Urgency::None,
        };
        self.check_invariants();
    }

    /// Takes `stat` for what the file is now, though it may have become shorter: nothing of it was
    /// sent.
    pub fn start_over(&mut self, stat: Stat) {
        self.stat = stat;
        self.zeros = None;
        self.check_invariants();
    }

    /// Looks at the file and at its name. `sent` says that the client has everything up to the
    /// offset, `has_next` that a file is known which comes after it.
    pub fn look<S: ReadStore<File = F>>(
        &mut self,
        path: &Path,
        sent: bool,
        has_next: bool,
        cx: &Context<'_, S>,
    ) -> Look {
        let look = self.look_now(path, sent, has_next, cx);
        self.check_invariants();
        look
    }

    fn look_now<S: ReadStore<File = F>>(
        &mut self,
        path: &Path,
        sent: bool,
        has_next: bool,
        cx: &Context<'_, S>,
    ) -> Look {
        self.looked(cx.now.mono);
        let stat = match cx.store.stat(&self.file) {
            Ok(stat) => stat,
            Err(error) => return Look::unreadable(error),
        };
        // A file that is cut and grows beyond its old size between two looks is not seen here; what
        // was sent last is read again with the next bytes.
        if mutation::is_on(Mutation::TruncationIgnored) {
            self.offset = self.offset.min(stat.size);
        } else if stat.size < self.stat.size && !self.loses_only_zeros(&stat) {
            return Look::Truncated;
        }
        let grown = match self.take_in(stat, cx) {
            Ok(is_written) => is_written,
            Err(error) => return Look::unreadable(error),
        };
        let named = cx.store.stat_path(path);
        let is_empty = named.as_ref().is_ok_and(|named| named.size == 0);
        let at = AtPath::of(named, stat.id);
        match at {
            // It got its name back, from a rotator that failed half-way, say.
            AtPath::Same => {
                self.fate = Fate::Live;
                self.astray_at = NEVER;
                return Look::Same;
            }
            // The client may still have to be told; the file itself is as live as can be known.
            AtPath::Ghost => {
                self.fate = Fate::Live;
                self.stray(cx.now.mono, cx.config);
            }
            AtPath::Other(id) => {
                // The first one counts: with several rotations between two looks this is the
                // nearest that was seen.
                self.successor.get_or_insert(id);
                // What was renamed while nobody could see it was renamed this moment, perhaps, and
                // its writer has `$grace` from now on.
                if self.is_astray() {
                    self.fate = Fate::Live;
                }
                self.astray_at = NEVER;
            }
            // No other file was seen at the path, so this one is sent on, and is live again as soon
            // as a look finds it at its path. At worst `$grace` began with an error and not with
            // the renaming.
            AtPath::Odd(_) | AtPath::Nothing | AtPath::Unknown(_) => {
                self.stray(cx.now.mono, cx.config);
            }
        }
        if !matches!(at, AtPath::Ghost) {
            self.supersede(grown, cx);
            // A look before the client has everything cannot find it complete, so the one after
            // that must not wait.
            self.look_due = !sent && self.to_send() == 0;
        }
        let own = Own {
            has_name: stat.links > 0,
            has_next,
            is_sent: sent,
            is_astray: self.astray_at <= cx.now.mono,
        };
        let keeps_nothing_back = match at {
            AtPath::Other(_) => is_empty,
            // A rotator has its moment.
            AtPath::Nothing => has_next && stat.links > 0,
            _ => false,
        };
        if keeps_nothing_back && sent && !self.is_at_rest(cx.store) {
            return match self.is_quiet(cx.now.mono) {
                true => Look::Quiet,
                false => Look::Same,
            };
        }
        match at.step(own, || self.is_complete(cx)) {
            Step::Follow | Step::Wait => Look::Same,
            Step::End => Look::Rotated,
            Step::Seek | Step::Tell => Look::Astray(at.into_refusal()),
        }
    }

    /// The file has lost its name, or is without it still; it may have grown.
    fn supersede<S: ReadStore<File = F>>(&mut self, grown: bool, cx: &Context<'_, S>) {
        // From the moment on at which the name is seen to be gone, the writer has `$grace` to
        // notice, and as much again with every write; but not for ever.
        let now = cx.now.mono;
        let grace_ms = cx.config.grace_ms;
        self.fate = match self.fate {
            Fate::Live => Fate::Superseded {
                quiet_at: now.plus_ms(grace_ms),
                drained_at: now.plus_ms(grace_ms.max(DRAIN_MAX_MS)),
                is_unaskable: false,
            },
            Fate::Superseded {
                drained_at,
                is_unaskable,
                ..
            } if grown => Fate::Superseded {
                quiet_at: now.plus_ms(grace_ms).min(drained_at),
                drained_at,
                is_unaskable,
            },
            fate => fate,
        };
    }

    /// When it is to be looked at next: at every check, or where changes are told with every
    /// keep-alive, and when the time of quiet is over.
    pub fn next_look(&self, sent: bool, config: &Config) -> Mono {
        if self.urgency == Urgency::AtOnce || (self.look_due && sent) {
            return self.looked_at;
        }
        let between_ms = match self.fate {
            // A keep-alive needs a turn anyway, so that such a look costs no wake-up of its own.
            Fate::Live
                if self.watch == Watch::On
                    && !self.is_astray()
                    && self.urgency != Urgency::Futile =>
            {
                config.delay_check_ms.max(config.alive_interval_ms)
            }
            _ => config.delay_check_ms,
        };
        let check_at = self.looked_at.plus_ms(between_ms);
        let quiet_at = match self.fate {
            Fate::Superseded { quiet_at, .. } => quiet_at,
            Fate::Live => NEVER,
        };
        // The end of `$grace` is news only once the client has everything.
        [quiet_at, self.astray_at]
            .into_iter()
            .filter(|at| *at > self.looked_at && sent)
            .fold(check_at, Mono::min)
    }

    /// Whether neither it nor another regular file was at the path, as far as the last look could
    /// tell.
    pub fn is_astray(&self) -> bool {
        self.astray_at != NEVER
    }

    /// Whether it has lost its last name, and nothing has the one it had.
    pub fn is_deleted<S: ReadStore>(&self, path: &Path, cx: &Context<'_, S>) -> bool {
        let at = || AtPath::of(cx.store.stat_path(path), self.stat.id);
        self.is_astray() && self.stat.links == 0 && matches!(at(), AtPath::Nothing)
    }

    /// Notes that there is no live file, as was found in another way. Tells whether that has lasted
    /// for `$grace`.
    pub fn stray(&mut self, now: Mono, config: &Config) -> bool {
        if self.astray_at == NEVER {
            self.astray_at = now.plus_ms(config.grace_ms);
        }
        self.astray_at <= now
    }

    /// The file that was first seen to have taken over the name.
    pub fn successor(&self) -> Option<FileId> {
        self.successor
    }

    /// Whether it is over only because its writer would go on for ever.
    pub fn is_left_behind(&self, now: Mono) -> bool {
        matches!(self.fate, Fate::Superseded { drained_at, .. } if drained_at <= now)
    }

    /// Whether the file is still the live one, as far as the last look could tell.
    pub fn is_live(&self) -> bool {
        matches!(self.fate, Fate::Live)
    }

    /// Whether it was quiet for long enough, or its writer goes on for ever.
    fn is_quiet(&self, now: Mono) -> bool {
        matches!(self.fate, Fate::Superseded { quiet_at, .. } if quiet_at <= now)
    }

    /// Whether it is certain that nobody writes to it any more.
    pub fn is_at_rest<S: ReadStore<File = F>>(&mut self, store: &S) -> bool {
        let writers = store.writers(&self.file);
        if let Fate::Superseded { is_unaskable, .. } = &mut self.fate {
            *is_unaskable = writers == Writers::Unknown;
        }
        writers == Writers::Nobody
    }

    /// Whether the system, when it was asked last, did not say who writes to it.
    pub fn is_unaskable(&self) -> bool {
        matches!(
            self.fate,
            Fate::Superseded {
                is_unaskable: true,
                ..
            }
        )
    }

    /// Nothing is kept back by its writer, whoever that is: it has all the time again.
    pub fn stay(&mut self, now: Mono, config: &Config) {
        if let Fate::Superseded { drained_at, .. } = &mut self.fate {
            *drained_at = now.plus_ms(config.grace_ms.max(DRAIN_MAX_MS));
        }
    }

    /// Whether nothing more is to come.
    pub fn is_complete<S: ReadStore<File = F>>(&mut self, cx: &Context<'_, S>) -> bool {
        // They are sent first.
        let is_complete = self.is_over(cx) && !self.release_zeros() && self.ahead() == 0;
        self.note_to_send();
        is_complete
    }

    /// Whether nobody writes to it any more, be it that it ends in zeros which were not sent yet.
    pub fn is_over<S: ReadStore<File = F>>(&mut self, cx: &Context<'_, S>) -> bool {
        let Fate::Superseded { quiet_at, .. } = self.fate else {
            return false;
        };
        // Root and the owner of the file need not wait: the kernel tells them that nobody has it
        // open for writing.
        let is_waited_for = quiet_at > cx.now.mono && !mutation::is_on(Mutation::NoGrace);
        if is_waited_for && !self.is_at_rest(cx.store) {
            return false;
        }
        // The last writer may have written between the look and its close.
        let stat = cx.store.stat(&self.file);
        let grown = stat.ok().filter(|stat| stat.size >= self.stat.size);
        grown.is_none_or(|stat| self.take_in(stat, cx).is_ok())
    }

    /// Takes in what the file is now. Tells whether it was written to.
    fn take_in<S: ReadStore<File = F>>(
        &mut self,
        stat: Stat,
        cx: &Context<'_, S>,
    ) -> io::Result<bool> {
        let before = std::mem::replace(&mut self.stat, stat);
        if self.keeps_back_zeros {
            let settle_ms = cx.config.alive_interval_ms;
            let looked = self.look_at_zeros(&before, cx.store, cx.now.mono, settle_ms);
            // What is known of the zeros is about the file as it was.
            looked.inspect_err(|_| self.stat = before)?;
        }
        // What is allocated ahead is written to without becoming longer.
        let is_filled = self.zeros.is_some() && stat.mtime_ns != before.mtime_ns;
        self.note_to_send();
        Ok(stat.size > before.size || is_filled)
    }

    /// Whether a file that became shorter, as it is now, may have lost nothing but zeros at its end
    /// that nobody was sent. One of which nothing was sent may have been emptied as well.
    fn loses_only_zeros(&self, stat: &Stat) -> bool {
        self.zeros.is_some() && stat.size >= self.offset && self.offset > 0
    }
}

/// When a file that is rotated already will have been quiet for long enough, going by its last
/// write.
fn quiet_at(stat: &Stat, grace_ms: u64, now: Now) -> Mono {
    let written_ms = stat.mtime_ns / 1_000_000;
    // A last write in the future, by a clock that was set back, counts as one of this moment.
    let quiet_ms = now.wall.ms().saturating_sub(written_ms);
    now.mono.plus_ms(grace_ms.saturating_sub(quiet_ms))
}
