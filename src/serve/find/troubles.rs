//! The memory of a server for files that it could not give to its clients: how often it tried, and
//! what it has said of them. Pure.

use std::path::Path;

use super::left_out::LeftOut;
use crate::ids::FileId;
use crate::limits::{FAILURES_MAX, LEFT_OUT_MAX, UNREADABLE_TRIES, UNREADABLE_TRY_MS};
use crate::time::Mono;
use crate::wire::frame::note::LeftOut as Why;

/// Bounded memory of files that are left out, one for a whole server.
#[derive(Default)]
pub struct Troubles {
    failures: Vec<Failure>,
    /// What was said in the server's log.
    said: Vec<(u32, Option<FileId>, Why)>,
    /// What is still to be said there.
    lines: Vec<String>,
    /// That nobody can ask who writes to a file was said.
    is_unaskable_said: bool,
}

/// A rotated file of which something could not be read.
struct Failure {
    file: u32,
    id: FileId,
    tries: u8,
    first: Mono,
    last: Mono,
}

/// How long such a file is not tried again.
const GIVEN_UP_MS: u64 = 3_600_000;

/// So many times `$grace` a file is tried before it is given up.
const PATIENCE: u64 = 6;

impl Troubles {
    /// Nothing remembered.
    pub const fn new() -> Troubles {
        Troubles {
            failures: Vec::new(),
            said: Vec::new(),
            lines: Vec::new(),
            is_unaskable_said: false,
        }
    }

    /// Notes that a rotated file of entry `file` could not be read.
    pub fn could_not_read(&mut self, file: u32, id: FileId, now: Mono) {
        self.failures
            .retain(|failure| now.since_ms(failure.last) < GIVEN_UP_MS);
        let is_it = |failure: &&mut Failure| failure.file == file && failure.id == id;
        if let Some(failure) = self.failures.iter_mut().find(is_it) {
            // However many clients ask at the same time, it is one try.
            if now.since_ms(failure.last) >= UNREADABLE_TRY_MS {
                failure.tries = failure.tries.saturating_add(1);
                failure.last = now;
            }
            return;
        }
        push_out(
            &mut self.failures,
            FAILURES_MAX,
            Failure {
                file,
                id,
                tries: 1,
                first: now,
                last: now,
            },
        );
    }

    /// The rotated files of entry `file` that nobody waits for any more: they could not be read for
    /// a while.
    pub fn given_up(&self, file: u32, grace_ms: u64, now: Mono) -> Vec<FileId> {
        let is_given_up = |failure: &&Failure| {
            failure.file == file
                && failure.tries >= UNREADABLE_TRIES
                && failure.last.since_ms(failure.first) >= PATIENCE * grace_ms
                && now.since_ms(failure.last) < GIVEN_UP_MS
        };
        let given_up = self.failures.iter().filter(is_given_up);
        given_up.map(|failure| failure.id).collect()
    }

    /// Notes that a file of entry `file` was left out, to be said once.
    pub fn note(&mut self, file: u32, left_out: &LeftOut) {
        let key = (file, left_out.id, left_out.why);
        if !self.said.contains(&key) {
            push_out(&mut self.said, LEFT_OUT_MAX, key);
            push_out(&mut self.lines, LEFT_OUT_MAX, left_out.to_string());
        }
    }

    /// Notes that rotated files of a log count as complete although nobody could ask whether
    /// somebody writes to them still, to be said once, of whichever log.
    pub fn note_unaskable(&mut self, log: &Path) {
        if std::mem::replace(&mut self.is_unaskable_said, true) {
            return;
        }
        self.lines.push(format!(
            "whether somebody still writes to a rotated file of {} cannot be asked, for want of CAP_LEASE; it counts as complete once it is quiet",
            log.display()
        ));
    }

    /// What is to be said in the server's log, once.
    pub fn take_lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }
}

/// Appends, dropping the oldest entry where the list is full.
fn push_out<T>(list: &mut Vec<T>, max: usize, item: T) {
    if list.len() >= max {
        list.remove(0);
    }
    list.push(item);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Inode;

    const fn id(inode: u64) -> FileId {
        FileId {
            device: 1,
            inode: Inode(inode),
        }
    }

    const GRACE_MS: u64 = 10_000;

    /// Whether a file is given up after failures at these seconds.
    fn is_given_up_after(seconds: &[u64]) -> bool {
        let mut troubles = Troubles::new();
        let mut now = Mono::default();
        for second in seconds {
            now = Mono::from_ms(second * 1_000);
            troubles.could_not_read(1, id(7), now);
        }
        assert!(troubles.given_up(0, GRACE_MS, now).is_empty());
        troubles.given_up(1, GRACE_MS, now) == [id(7)]
    }

    #[test]
    fn a_file_is_given_up_after_some_tries_and_some_time() {
        assert!(is_given_up_after(&[5, 10, 20, 40, 80]));
        assert!(!is_given_up_after(&[5, 10, 20, 40]));
        assert!(!is_given_up_after(&[5, 80]));
        assert!(!is_given_up_after(&[5, 5, 5, 5, 5, 80, 80]));
        assert!(is_given_up_after(&[5, 6, 7, 65]));
        // What failed an hour ago and more is forgotten.
        assert!(!is_given_up_after(&[5, 6, 7, 65, 4_000]));
    }

    #[test]
    fn the_memory_is_bounded() {
        let mut troubles = Troubles::new();
        for n in 0..1_000 {
            troubles.could_not_read(1, id(n), Mono::from_ms(n));
        }
        assert_eq!(troubles.failures.len(), FAILURES_MAX);
    }
}
