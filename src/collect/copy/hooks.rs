//! The list of what happened and was not handed to the operator's program yet, beside the pointer
//! file (FILES.md, "Hooks"). An event is durable there before whatever else tells of it is
//! forgotten, and stands there until the program has ended well: so it is handed over at least
//! once, whoever is killed, and whenever.

use std::path::Path;

use super::error::{FileError, system};
use super::files::LocalFiles;
use super::hook_event::{HookEvent, HookKind};
use super::loss::Loss;
use super::pointer::RotatedSuffix;
use super::rotation::Syncs;
use crate::limits::HOOKS_WAITING_MAX;
use crate::store::WriteStore;

impl<F, S: WriteStore<File = F>> LocalFiles<'_, S> {
    /// Puts events on the list, if anybody wants to hear of them; those that stand there stand
    /// there once. Where there are too many the oldest goes.
    pub fn put_hooks(&mut self, events: &[HookEvent], syncs: Syncs) -> Result<(), FileError> {
        let Some(news) = self.hooks.filter(|_| !events.is_empty()) else {
            return Ok(());
        };
        let (mut list, is_right) = self.parse_hooks()?;
        let before = list.len();
        for event in events {
            if !list.contains(event) {
                list.push(event.clone());
            }
        }
        news.is_new.set(true);
        let excess = list.len().saturating_sub(HOOKS_WAITING_MAX);
        let dropped = u32::try_from(excess).unwrap_or(u32::MAX);
        list.drain(..excess);
        // What stood there already may be what a sync has failed for, which the system takes for
        // written: it has to be written once more.
        let is_all_new = list.len() == before + events.len();
        if syncs == Syncs::Barrier && is_all_new && is_right {
            return self.append_hooks(events);
        }
        self.replace_hooks(&list)?;
        news.dropped.set(news.dropped.get().saturating_add(dropped));
        self.sync_dir(self.paths.pointer_dir())
    }

    fn append_hooks(&mut self, events: &[HookEvent]) -> Result<(), FileError> {
        let path = self.paths.hooks();
        let failed = |error| system("write", &path, error);
        let file = self.open_list(&path)?;
        let lines: String = events.iter().map(|it| format!("{it}\n")).collect();
        self.store
            .append_all(&file, lines.as_bytes())
            .map_err(failed)
    }

    /// Puts on the list that a copy of so many bytes has got this name, and what was lost behind it
    /// if that is told by nothing but the rotation.
    pub(super) fn put_rotated(
        &mut self,
        rotated: &Path,
        size: u64,
        lost: Option<Loss>,
        syncs: Syncs,
    ) -> Result<(), FileError> {
        let local = self.paths.local;
        let of = |kind| HookEvent::of(kind).about(rotated, local);
        let rotated = of(HookKind::Rotated).with_bytes(Some(size));
        match lost {
            Some(loss) => {
                let lost = of(HookKind::Lost).with_bytes(loss.at_least);
                self.put_hooks(&[lost, rotated], syncs)
            }
            None => self.put_hooks(&[rotated], syncs),
        }
    }

    /// Makes durable what a barrier was to make durable.
    pub fn sync_hooks(&mut self) -> Result<(), FileError> {
        let (list, _) = self.parse_hooks()?;
        if !list.is_empty() {
            self.replace_hooks(&list)?;
        }
        self.sync_dir(self.paths.pointer_dir())
    }

    /// What was not handed over yet, oldest first.
    pub fn read_hooks(&mut self) -> Result<Vec<HookEvent>, FileError> {
        Ok(self.parse_hooks()?.0)
    }

    /// Takes an event off the list, which need not be durable: it is handed over once more then.
    pub fn remove_hook(&mut self, event: &HookEvent) -> Result<(), FileError> {
        let (mut list, _) = self.parse_hooks()?;
        let Some(at) = list.iter().position(|it| it == event) else {
            return Ok(());
        };
        list.remove(at);
        self.replace_hooks(&list)?;
        if let Some(news) = self.hooks {
            news.is_new.set(true);
        }
        Ok(())
    }

    /// The list, and whether it is as it was written: a power cut may leave a part of a line, or
    /// zeros.
    fn parse_hooks(&mut self) -> Result<(Vec<HookEvent>, bool), FileError> {
        let path = self.paths.hooks();
        let mut buf = vec![0; LIST_MAX_LEN + 1];
        let len = self.store.read_small(&path, &mut buf);
        let len = len.map_err(|error| system("read", &path, error))?;
        let text = buf.get(..len.unwrap_or(0)).unwrap_or_default();
        let mut is_right = text.len() <= LIST_MAX_LEN;
        let mut list = Vec::new();
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            // A failed sync before it leaves zeros in front of a line.
            let start = line.iter().take_while(|byte| **byte == 0).count();
            is_right &= start == 0;
            match line[start..].strip_suffix(b"\n").and_then(HookEvent::read) {
                Some(event) => list.push(event),
                None => is_right = false,
            }
        }
        Ok((list, is_right))
    }

    /// Replaces the list; by none at all where it would be empty.
    fn replace_hooks(&mut self, list: &[HookEvent]) -> Result<(), FileError> {
        let path = self.paths.hooks();
        if list.is_empty() {
            let removed = self.store.unlink(&path);
            return removed.map_err(|error| system("write", &path, error));
        }
        let text: String = list.iter().map(|it| format!("{it}\n")).collect();
        self.replace_list(&path, &text)
    }
}

/// Longest line: a word, a suffix, a number, a digest, a checksum, and what stands between.
const LINE_MAX_LEN: usize = 8 + RotatedSuffix::MAX_LEN + 20 + 32 + 8 + 5;

/// The most that is read of a list.
const LIST_MAX_LEN: usize = 2 * HOOKS_WAITING_MAX * LINE_MAX_LEN;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::copy::{HookNews, Paths};
    use crate::inside::model::{Model, PowerCut};

    const LIST: &str = "/p/m.hooks";

    fn with<R>(disk: &mut Model, act: impl FnOnce(&mut LocalFiles<'_, Model>) -> R) -> (R, u32) {
        let news = HookNews::default();
        let result = act(&mut LocalFiles {
            store: disk,
            paths: Paths {
                remote: b"/var/log/m",
                local: Path::new("/l/m"),
                pointer: Path::new("/p/m"),
            },
            boot: None,
            stamp: "20261122132956",
            hooks: Some(&news),
        });
        (result, news.dropped.get())
    }

    fn put(disk: &mut Model, event: &HookEvent) -> Result<(), FileError> {
        let events = std::slice::from_ref(event);
        with(disk, |files| files.put_hooks(events, Syncs::Own)).0
    }

    fn rotated(at: usize) -> HookEvent {
        let copy = format!("/l/m.202611221329{at:02}");
        HookEvent::of(HookKind::Rotated)
            .about(Path::new(&copy), Path::new("/l/m"))
            .with_bytes(Some(at as u64))
    }

    fn some() -> Vec<HookEvent> {
        vec![
            rotated(1),
            HookEvent {
                kind: HookKind::Verified,
                ..rotated(2).with_md5([0xa5; 16])
            },
            HookEvent::of(HookKind::Lost).with_text("lost 7:3"),
            HookEvent::of(HookKind::Lost).with_text("lost 8:3"),
            HookEvent::of(HookKind::Differs).with_bytes(Some(u64::MAX)),
            HookEvent::of(HookKind::Healed),
        ]
    }

    #[test]
    fn what_is_put_on_the_list_stands_there_once_until_it_is_taken_off() {
        let mut disk = Model::new();
        disk.write("/p/m", b"");
        for event in some().iter().chain(&some()) {
            put(&mut disk, event).unwrap();
        }
        let read = |disk: &mut Model| with(disk, |files| files.read_hooks().unwrap()).0;
        assert_eq!(read(&mut disk), some());
        for (at, event) in some().iter().enumerate() {
            with(&mut disk, |files| files.remove_hook(event).unwrap());
            assert_eq!(read(&mut disk), some()[at + 1..]);
        }
        assert!(disk.read(LIST).is_none());
        with(&mut disk, |files| files.remove_hook(&rotated(1)).unwrap());
    }

    #[test]
    fn nobody_who_does_not_want_to_hear_has_a_list() {
        let mut disk = Model::new();
        disk.write("/p/m", b"");
        let mut files = LocalFiles {
            store: &mut disk,
            paths: Paths {
                remote: b"/var/log/m",
                local: Path::new("/l/m"),
                pointer: Path::new("/p/m"),
            },
            boot: None,
            stamp: "",
            hooks: None,
        };
        files.put_hooks(&some(), Syncs::Own).unwrap();
        assert!(disk.read(LIST).is_none());
    }

    #[test]
    fn whatever_a_crash_leaves_of_the_list_what_was_put_there_is_read() {
        for torn in [&b"rotated 2026112213"[..], b"\0\0\0\0", b"rotated", b"\n"] {
            let mut disk = Model::new();
            disk.write("/p/m", b"");
            put(&mut disk, &rotated(1)).unwrap();
            disk.write(LIST, torn);
            put(&mut disk, &rotated(2)).unwrap();
            let list = with(&mut disk, |files| files.read_hooks().unwrap()).0;
            assert_eq!(list, [rotated(1), rotated(2)], "{torn:?}");
        }
    }

    #[test]
    fn where_there_are_too_many_the_oldest_go_and_are_counted() {
        let mut disk = Model::new();
        disk.write("/p/m", b"");
        let all: Vec<HookEvent> = (0..HOOKS_WAITING_MAX as u64 + 5)
            .map(|bytes| HookEvent::of(HookKind::Lost).with_bytes(Some(bytes)))
            .collect();
        let (first, last) = all.split_at(HOOKS_WAITING_MAX - 2);
        let put = |disk: &mut Model, events: &[HookEvent]| {
            with(disk, |files| files.put_hooks(events, Syncs::Own).unwrap()).1
        };
        assert_eq!(put(&mut disk, first), 0);
        assert_eq!(put(&mut disk, last), 5);
        let list = with(&mut disk, |files| files.read_hooks().unwrap()).0;
        assert_eq!(list, all[5..]);
    }

    #[test]
    fn what_was_put_there_outlives_a_power_cut_whatever_failed_before() {
        for failing in 1..16 {
            let mut disk = Model::new();
            disk.write("/p/m", b"");
            put(&mut disk, &rotated(1)).unwrap();
            disk.flush();
            disk.fail_call(failing, 5);
            let second = put(&mut disk, &rotated(2));
            disk.revive();
            let third = put(&mut disk, &rotated(3));
            disk.cut_power(PowerCut::Unordered, &mut |_| 0);
            let list = with(&mut disk, |files| files.read_hooks().unwrap()).0;
            assert!(list.contains(&rotated(1)), "{failing}");
            assert!(second.is_err() || list.contains(&rotated(2)), "{failing}");
            assert!(third.is_err() || list.contains(&rotated(3)), "{failing}");
        }
    }
}
