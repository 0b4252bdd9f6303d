//! A face in a file: the table, and the metrics of `-m`. It is written in parts beside its place
//! and renamed there, so that a reader finds the old one or the new one.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use super::journal::Journal;
use crate::collect::view::faces::{About, Face, Making, Sources};
use crate::limits::{
    STATUS_RETRY_MS, STATUS_TOUCH_MS, TABLE_EACH_US, TABLE_MIN_MS, TABLE_QUICK_MAX, TABLE_QUICK_MS,
};
use crate::sys::trusted::Place;
use crate::time::Mono;

/// One face and its file.
pub struct FaceFile {
    path: PathBuf,
    scratch: PathBuf,
    face: Face,
    /// What is told of it if it cannot be written.
    what: &'static str,
    /// Written as soon as something changes; else only now and then.
    is_prompt: bool,
    writing: Option<(File, Making)>,
    /// The moment at which it is written, whatever happens.
    due_at: Mono,
    /// The moment before which it is not written again.
    free_at: Mono,
    /// So many more writings may follow quickly, since there were few lately.
    quick: u64,
    begun_at: Mono,
    /// Something is new since the last writing began.
    has_news: bool,
    is_failing: bool,
}

impl FaceFile {
    /// A file that is written soon. If it is prompt, that is with the next turn.
    pub fn new(path: PathBuf, face: Face, what: &'static str, is_prompt: bool, now: Mono) -> Self {
        let mut scratch = path.clone().into_os_string();
        scratch.push(".tmp");
        FaceFile {
            path,
            scratch: scratch.into(),
            face,
            what,
            is_prompt,
            writing: None,
            // What is to be written only now and then has something to say by then.
            due_at: if is_prompt {
                now
            } else {
                now.plus_ms(TABLE_MIN_MS)
            },
            free_at: now,
            quick: TABLE_QUICK_MAX,
            begun_at: now,
            has_news: false,
            is_failing: false,
        }
    }

    /// Something is worth showing at once.
    pub fn note_news(&mut self) {
        self.has_news = true;
    }

    /// When [`work`](Self::work) has something to do.
    pub fn poll_timeout(&self) -> Mono {
        match self.writing {
            Some(_) => Mono::default(),
            None if self.has_news && self.is_prompt => self.free_at.min(self.due_at),
            None => self.due_at,
        }
    }

    /// Writes a part, if it is time.
    pub fn work(
        &mut self,
        sources: &dyn Sources,
        about: &About<'_>,
        now: Mono,
        journal: &mut Journal,
    ) {
        if self.poll_timeout() <= now {
            let result = self.write_part(sources, about, now);
            self.settle(result, now, journal);
        }
    }

    /// Writes all of it now.
    pub fn finish(&mut self, sources: &dyn Sources, about: &About<'_>, now: Mono) {
        self.writing = None;
        loop {
            // Nobody is left to be told.
            if self.write_part(sources, about, now).is_err() || self.writing.is_none() {
                return;
            }
        }
    }

    /// Takes the file away.
    pub fn remove(&self) {
        let _ = Place::of(&self.path).and_then(|place| place.unlink());
    }

    fn write_part(
        &mut self,
        sources: &dyn Sources,
        about: &About<'_>,
        now: Mono,
    ) -> io::Result<()> {
        let (mut file, mut making) = match self.writing.take() {
            Some(writing) => writing,
            None => {
                self.has_news = false;
                self.free_at = now.plus_ms(self.pause_ms(sources.places(), now));
                self.due_at = now.plus_ms(STATUS_TOUCH_MS);
                let file = Place::of(&self.scratch)?.create_scratch(MODE)?;
                (file, Making::new(self.face))
            }
        };
        let mut part = String::new();
        making.make(sources, about, &mut part);
        file.write_all(part.as_bytes())?;
        match making.is_done() {
            true => self.put_in_place(),
            false => {
                self.writing = Some((file, making));
                Ok(())
            }
        }
    }

    /// How long to wait before the next writing: what changes together, as at a start, is there at
    /// once, and what changes all the time is written seldom.
    fn pause_ms(&mut self, sources: usize, now: Mono) -> u64 {
        let lasting_ms = TABLE_MIN_MS.max(sources as u64 * TABLE_EACH_US / 1000);
        let earned = now.since_ms(self.begun_at) / lasting_ms;
        self.begun_at = now;
        self.quick = self.quick.saturating_add(earned).min(TABLE_QUICK_MAX);
        match self.quick.checked_sub(1) {
            Some(quick) => {
                self.quick = quick;
                TABLE_QUICK_MS
            }
            None => lasting_ms,
        }
    }

    fn put_in_place(&self) -> io::Result<()> {
        Place::of(&self.scratch)?.rename(&Place::of(&self.path)?)
    }

    fn settle(&mut self, result: io::Result<()>, now: Mono, journal: &mut Journal) {
        let path = self.path.display();
        match result {
            Ok(()) if self.writing.is_none() && self.is_failing => {
                journal.complain(&format_args!("{path} can be written again"));
                self.is_failing = false;
            }
            Ok(()) => {}
            Err(error) => {
                self.due_at = now.plus_ms(STATUS_RETRY_MS);
                self.free_at = self.due_at;
                if !std::mem::replace(&mut self.is_failing, true) {
                    let what = self.what;
                    journal.complain(&format_args!("cannot write {what} {path}: {error}"));
                }
            }
        }
    }
}

/// Who reads it is another user.
const MODE: u32 = 0o644;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_all_the_time_is_written_seldom() {
        let path = PathBuf::from("/nowhere/table");
        let mut file = FaceFile::new(path, Face::Table, "the table", true, Mono::default());
        let mut now = Mono::default();
        let mut pauses = Vec::new();
        for _ in 0..6 {
            let pause_ms = file.pause_ms(1, now);
            pauses.push(pause_ms);
            now = now.plus_ms(pause_ms);
        }
        // The wait for the sixth has earned another one.
        assert_eq!(pauses, [20, 20, 20, 20, 1000, 20]);
        now = now.plus_ms(60_000);
        assert_eq!(file.pause_ms(1, now), 20);
        let many = [0; 5].map(|_| file.pause_ms(10_000, now));
        assert_eq!(many, [20, 20, 20, 5_000, 5_000]);
    }
}
