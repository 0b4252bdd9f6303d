//! The list of version 2: which logs there are that a glob of the client finds, and which come.
//! Pure.

use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;

use super::ending::Ending;
use super::outbox::Outbox;
use crate::ids::Inode;
use crate::limits::{LISTED_AT_ONCE, MEMBERS_MAX, REPLY_MAX_LEN};
use crate::serve::config::Config;
use crate::serve::glob::Patterns;
use crate::time::Mono;
use crate::wire::frame::Frame;
use crate::wire::frame::log::Log;
use crate::wire::number::InodeWord;
use crate::wire::reply::{Mark, Reply, Terms};

/// A list on its way, and what comes after it.
pub struct List {
    asked: Patterns,
    out: Outbox,
    /// The change up to which the client knows the logs; `None` before the first list.
    known: Option<u32>,
    /// What is being told.
    pass: Option<Pass>,
    /// There may be something to tell.
    is_due: bool,
    /// How many were told since the list began.
    told: usize,
}

/// The logs, once through.
struct Pass {
    /// Those that came later than this are told; all, where there is no such change.
    after: Option<u32>,
    /// The last change when it began.
    until: u32,
    /// The next log.
    at: usize,
}

impl List {
    /// A list for who asks for what `asked` finds.
    pub fn new(asked: Patterns, boot: u32, now: Mono) -> List {
        let reply = Reply {
            mark: Mark::Found,
            // There is no file, and 0 is for refusals.
            inode: InodeWord::plain(Inode(1)),
            v2: Some(Terms {
                boot,
                ..Terms::default()
            }),
        };
        let mut out = Vec::with_capacity(REPLY_MAX_LEN);
        out.extend_from_slice(&reply.to_line());
        List {
            asked,
            out: Outbox::new(out, now),
            known: None,
            pass: None,
            is_due: true,
            told: 0,
        }
    }

    /// The logs may be others now.
    pub fn note_change(&mut self) {
        self.is_due = true;
    }

    /// They may have other numbers now: the list begins anew.
    pub fn restart(&mut self) {
        (self.known, self.pass, self.is_due) = (None, None, true);
    }

    /// Whether [`work`](Self::work) has something to do now.
    pub fn has_work(&self) -> bool {
        // A client that takes nothing costs little memory.
        self.out.is_taken() && (self.is_due || self.pass.is_some())
    }

    /// Looks at some logs, and tells those that the client is to know.
    pub fn work(&mut self, config: &Config) {
        let Some(mut pass) = self.pass.take().or_else(|| self.begin(config)) else {
            return;
        };
        let finds = self.asked.finder();
        let exact = config.exact();
        let end = (pass.at + LISTED_AT_ONCE).min(config.files.len());
        for at in pass.at..end {
            let path = config.files[at].path.as_os_str().as_bytes();
            let member = at
                .checked_sub(exact)
                .and_then(|at| config.members.list.get(at));
            let since = member.map_or(0, |member| member.since);
            let is_leaving = member.is_some_and(|member| member.is_leaving);
            let is_new = pass.after.is_none_or(|after| since > after);
            if !is_new || is_leaving || path.is_empty() || !finds(path) {
                continue;
            }
            self.told += 1;
            match self.told.cmp(&(MEMBERS_MAX + 1)) {
                std::cmp::Ordering::Less => Log::Path(path).append_to(self.out.end()),
                std::cmp::Ordering::Equal => Log::More.append_to(self.out.end()),
                std::cmp::Ordering::Greater => {}
            }
        }
        pass.at = end;
        if end < config.files.len() {
            self.pass = Some(pass);
            return;
        }
        self.known = Some(pass.until);
        let members = &config.members;
        let mut left_out = members.left_out.iter();
        let lacks_some = members.is_cut || left_out.any(|path| finds(path.as_os_str().as_bytes()));
        if lacks_some && pass.after.is_none() && self.told <= MEMBERS_MAX {
            Log::More.append_to(self.out.end());
        }
        let all = Frame::Alive {
            size: self.told as u64,
        };
        self.out.end().extend_from_slice(&all.to_bytes());
    }

    /// Begins to tell what is new, if anything is.
    fn begin(&mut self, config: &Config) -> Option<Pass> {
        self.is_due = false;
        let members = &config.members;
        let after = self.known.filter(|known| *known >= members.removed);
        if after == Some(members.version) {
            return None;
        }
        if after.is_none() {
            self.told = 0;
            Log::Begin.append_to(self.out.end());
        }
        Some(Pass {
            after,
            until: members.version,
            at: 0,
        })
    }

    /// Fills `buf` with what is to be sent.
    pub fn output(&mut self, buf: &mut [u8]) -> usize {
        self.out.output(buf)
    }

    /// The socket took the first `len` bytes of the last output.
    pub fn consume_output(&mut self, len: usize, now: Mono) {
        self.out.consume_output(len, now);
    }

    /// A deadline has come.
    pub fn handle_timeout(&mut self, config: &Config, now: Mono) -> ControlFlow<Ending> {
        self.out.handle_timeout(self.told as u64, config, now)
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do next.
    pub fn poll_timeout(&self, config: &Config) -> Mono {
        self.out.poll_timeout(config)
    }
}
