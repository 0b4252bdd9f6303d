//! The streaming half of a session: one open file, the place in it, and what may still happen to it. Pure.
//!
//! The file is the buffer: what a socket did not take is read again. All that is kept is a cursor, the size last seen
//! and the moments from which the deadlines follow.

use std::io;
use std::net::IpAddr;

use super::catalog::Choice;
use super::config::Config;
use super::session::{Context, Ending};
use crate::ids::Inode;
use crate::store::{ReadStore, Stat};
use crate::time::{Mono, Now};
use crate::wire::classic;

/// A file on its way to a client.
pub struct Stream<F> {
    file: F,
    inode: Inode,
    index: u32,
    /// The answer line, or what is left of it.
    head: heapless::Vec<u8, 48>,
    /// The next byte of the file to be sent.
    offset: u64,
    /// The file's size when it was last looked at.
    size: u64,
    /// A keep-alive is to be sent.
    alive_due: bool,
    /// When the client last took a byte, or first had one to take.
    moved_at: Mono,
    /// When the file was last looked at.
    looked_at: Mono,
    /// The next look is to come at once.
    look_due: bool,
    fate: Fate,
}

/// What has become of the file's name.
#[derive(Clone, Copy)]
enum Fate {
    /// The configured path still leads to the file.
    Live,
    /// The path leads elsewhere or nowhere. The file is drained, for its writer may not have noticed; it is complete
    /// when it was quiet until `quiet_at`, and earlier if nobody writes to it any more.
    Superseded { quiet_at: Mono },
}

/// Whether the stream goes on.
pub enum Turn {
    /// It does.
    On,
    /// It does not, and this is why.
    Over(Ending),
}

impl<F> Stream<F> {
    /// Starts sending what the catalog chose.
    pub fn new(index: u32, choice: Choice<F>, config: &Config, now: Now) -> Stream<F> {
        let Choice {
            file,
            stat,
            offset,
            reply,
            live,
        } = choice;
        let fate = if live {
            Fate::Live
        } else {
            Fate::Superseded {
                quiet_at: quiet_at(&stat, config, now),
            }
        };
        Stream {
            file,
            inode: stat.id.inode,
            index,
            head: reply.to_line(),
            offset,
            size: stat.size,
            alive_due: offset == stat.size,
            moved_at: now.mono,
            looked_at: now.mono,
            look_due: false,
            fate,
        }
    }

    /// The number of the configured log being served.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// The configured log has another number now.
    pub fn renumber(&mut self, index: u32) {
        self.index = index;
    }

    /// Looks at the file and at its name and draws the consequences.
    pub fn look<S: ReadStore<File = F>>(&mut self, peer: IpAddr, cx: &mut Context<'_, S>) -> Turn {
        self.looked_at = cx.now.mono;
        self.look_due = false;
        let stat = match cx.store.stat(&self.file) {
            Ok(stat) => stat,
            Err(error) => return Turn::Over(Ending::Unreadable(error)),
        };
        if stat.size < self.size {
            cx.memory
                .was_truncated(peer, self.index, self.inode, self.offset);
            return Turn::Over(Ending::Truncated);
        }
        let grown = stat.size > self.size;
        self.note_size(stat.size, cx.now.mono);
        let Some(entry) = cx.config.files.get(self.index as usize) else {
            return Turn::Over(Ending::NotServed);
        };
        let named = cx.store.stat_path(&entry.path);
        let followed_by_another = match &named {
            Ok(named) if named.id == stat.id => {
                cx.memory.saw_live(self.index, self.inode, stat.mtime_ns);
                self.fate = Fate::Live;
                return Turn::On;
            }
            Ok(_) => true,
            Err(_) => false,
        };
        self.supersede(grown, cx);
        // While nothing has the live name and the file still has one, its writer has not moved on.
        if (followed_by_another || stat.links == 0) && self.is_complete(cx) {
            cx.memory
                .was_completed(self.index, self.inode, stat.mtime_ns, self.offset);
            return Turn::Over(Ending::Rotated);
        }
        Turn::On
    }

    /// A deadline has come: look if it is time to, notice a client that stands still, have a keep-alive sent.
    pub fn handle_timeout<S: ReadStore<File = F>>(
        &mut self,
        peer: IpAddr,
        cx: &mut Context<'_, S>,
    ) -> Turn {
        let now = cx.now.mono;
        if self.next_look(cx.config) <= now
            && let Turn::Over(ending) = self.look(peer, cx)
        {
            return Turn::Over(ending);
        }
        if self.has_output() {
            if self.moved_at.plus_ms(cx.config.timeout_write_ms) <= now {
                return Turn::Over(Ending::Stalled);
            }
        } else if self.moved_at.plus_ms(cx.config.alive_interval_ms) <= now {
            self.alive_due = true;
            self.moved_at = now;
        }
        Turn::On
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do next.
    pub fn poll_timeout(&self, config: &Config) -> Mono {
        let idle_ms = if self.has_output() {
            config.timeout_write_ms
        } else {
            config.alive_interval_ms
        };
        self.next_look(config).min(self.moved_at.plus_ms(idle_ms))
    }

    /// Fills `buf` with the answer line, file bytes or a keep-alive.
    pub fn output<S: ReadStore<File = F>>(
        &mut self,
        buf: &mut [u8],
        store: &S,
    ) -> io::Result<usize> {
        let head_len = self.head.len();
        let Some((head, rest)) = buf.split_at_mut_checked(head_len) else {
            return Ok(0);
        };
        head.copy_from_slice(&self.head);
        let wanted = usize::try_from(self.size - self.offset)
            .unwrap_or(usize::MAX)
            .min(rest.len());
        let body = &mut rest[..wanted];
        let read = store.read_at(&self.file, body, self.offset)?;
        classic::mask(&mut body[..read]);
        if self.offset == self.size && self.alive_due && !rest.is_empty() {
            rest[0] = classic::KEEP_ALIVE;
            return Ok(head_len + 1);
        }
        Ok(head_len + read)
    }

    /// The socket took the first `len` bytes of the last output.
    pub fn consume_output(&mut self, len: usize, now: Mono) {
        if len == 0 {
            return;
        }
        self.moved_at = now;
        let from_head = len.min(self.head.len());
        self.head.drain(..from_head);
        let rest = (len - from_head) as u64;
        if rest == 0 {
            return;
        }
        if self.offset < self.size {
            self.offset += rest;
        }
        self.alive_due = false;
        // Everything a rotated file had is sent: whether it is complete need not wait for the next check.
        self.look_due = matches!(self.fate, Fate::Superseded { .. }) && !self.has_output();
    }

    /// Whether there is something the client has not taken yet.
    fn has_output(&self) -> bool {
        !self.head.is_empty() || self.offset < self.size || self.alive_due
    }

    /// Takes note of the size; what is new to send starts the client's time to take it.
    fn note_size(&mut self, size: u64, now: Mono) {
        if size > self.size && !self.has_output() {
            self.moved_at = now;
        }
        self.size = size;
    }

    /// The name leads elsewhere: the time of quiet starts, or starts again after growth.
    fn supersede<S: ReadStore<File = F>>(&mut self, grown: bool, cx: &Context<'_, S>) {
        if grown || matches!(self.fate, Fate::Live) {
            self.fate = Fate::Superseded {
                quiet_at: cx.now.mono.plus_ms(cx.config.grace_ms),
            };
        }
    }

    /// Whether everything was sent and nothing more is to come.
    fn is_complete<S: ReadStore<File = F>>(&mut self, cx: &Context<'_, S>) -> bool {
        if self.has_output() {
            return false;
        }
        let Fate::Superseded { quiet_at } = self.fate else {
            return false;
        };
        if quiet_at > cx.now.mono && !cx.store.at_rest(&self.file) {
            return false;
        }
        // The last writer may have written between the look and its close.
        if let Ok(stat) = cx.store.stat(&self.file) {
            self.note_size(stat.size.max(self.offset), cx.now.mono);
        }
        !self.has_output()
    }

    /// When the file is to be looked at next: at every check, and when the time of quiet is over.
    fn next_look(&self, config: &Config) -> Mono {
        if self.look_due {
            return self.looked_at;
        }
        let check_at = self.looked_at.plus_ms(config.delay_check_ms);
        match self.fate {
            Fate::Superseded { quiet_at } if quiet_at > self.looked_at && !self.has_output() => {
                check_at.min(quiet_at)
            }
            _ => check_at,
        }
    }
}

/// When a file that is rotated already will have been quiet for long enough, going by its last write.
fn quiet_at(stat: &Stat, config: &Config, now: Now) -> Mono {
    let written_ms = stat.mtime_ns / 1_000_000;
    let quiet_ms = now.wall.ms().saturating_sub(written_ms);
    now.mono.plus_ms(
        config
            .grace_ms
            .saturating_sub(quiet_ms)
            .min(config.grace_ms),
    )
}
